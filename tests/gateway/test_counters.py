from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import counters as numbers
from gateway.counters import HIGHEST_FLOOR, LAST, LEASE, Counters, take_start
from tests.gateway.place import AT_MS, Dice


def test_nothing_is_handed_out_that_is_not_leased_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "counters"
    counters = Counters(path, random_bytes=Dice())
    assert counters.take() is None
    counters.renew()
    taken = [counters.take() for _ in range(LEASE + 1)]
    assert taken[-1] is None
    assert max(number for number in taken if number is not None) == int(path.read_text().split()[0])


def test_a_counter_never_comes_twice_over_restarts(tmp_path: Path) -> None:
    seen: set[int] = set()
    for _ in range(4):
        counters = Counters(tmp_path / "counters", random_bytes=Dice())
        while counters.short:
            counters.renew()
        for _ in range(1_700):
            number = counters.take()
            if number is None:
                counters.renew()
            else:
                assert number not in seen
                seen.add(number)


def test_without_a_file_counting_goes_on_at_a_place_that_chance_chose(tmp_path: Path) -> None:
    starts = []
    for number in range(20):
        counters = Counters(tmp_path / str(number) / "counters", random_bytes=Dice(number))
        assert counters.lost
        (tmp_path / str(number)).mkdir()
        counters.renew()
        starts.append(counters.take())
    assert len(set(starts)) == 20
    assert all(start is not None and 0x8000_0000 <= start < 0xF000_0001 for start in starts)


@pytest.mark.parametrize("text", ["", "12", "12 13", "x x", "-4 -4", "4294967296 4294967296", "1 1 1", "\xff"])
def test_a_file_that_does_not_say_the_same_number_twice_is_a_lost_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "counters"
    path.write_bytes(text.encode("latin-1"))
    assert Counters(path, random_bytes=Dice()).lost


def test_a_units_floor_lifts_the_counter_and_nothing_below_it_or_absurd_does(tmp_path: Path) -> None:
    (tmp_path / "counters").write_text("5000 5000\n")
    counters = Counters(tmp_path / "counters", random_bytes=Dice())
    counters.renew()
    counters.raise_above(5_400)
    assert counters.take() == 5_401
    counters.raise_above(100)
    assert counters.take() == 5_402
    counters.raise_above(LAST)
    assert counters.take() == 5_403
    counters.raise_above(HIGHEST_FLOOR)
    assert counters.take() is None  # beyond the lease: first it must be durable
    counters.renew()
    assert counters.take() == HIGHEST_FLOOR + 1


def test_at_the_end_of_the_range_nothing_is_handed_out_any_more(tmp_path: Path) -> None:
    (tmp_path / "counters").write_text(f"{LAST - 1} {LAST - 1}")
    counters = Counters(tmp_path / "counters", random_bytes=Dice())
    counters.renew()
    assert counters.take() == LAST
    counters.renew()
    assert counters.take() is None


@pytest.mark.proves("N5")
def test_where_no_disk_takes_a_lease_counters_are_improvised_far_from_the_durable_ones(tmp_path: Path) -> None:
    nowhere = tmp_path / "gone" / "counters"
    counters = Counters(nowhere, random_bytes=Dice(3))
    with pytest.raises(OSError, match="gone"):
        counters.renew()
    assert counters.take() is None
    counters.improvise()
    first = counters.take()
    assert first is not None
    counters.improvise()
    assert counters.take() == first + 1
    told = [counters.improvised]
    nowhere.parent.mkdir()
    counters.renew()
    assert [*told, counters.improvised] == [True, False]
    assert Counters(nowhere, random_bytes=Dice()).take() is None
    assert int(nowhere.read_text().split()[0]) > first


@given(leaps=st.lists(st.integers(0, 2**24 - 1), min_size=200, max_size=200))
def test_two_hundred_improvised_runs_stay_inside_the_range(leaps: list[int]) -> None:
    assert sum(leap & 0x3F_FFFF for leap in leaps) < LAST - numbers._LOST_CEILING + (1 << 30)


def test_the_number_of_a_start_rises(tmp_path: Path) -> None:
    path = tmp_path / "starts"
    starts = [take_start(path, wall_ms=AT_MS, random_bytes=Dice(number)) for number in range(3)]
    assert starts == [starts[0], starts[0] + 1, starts[0] + 2]


def test_a_lost_number_begins_elsewhere_and_an_unwritable_one_differs_all_the_same(tmp_path: Path) -> None:
    first = take_start(tmp_path / "a", wall_ms=AT_MS, random_bytes=Dice(1))
    second = take_start(tmp_path / "b", wall_ms=AT_MS, random_bytes=Dice(2))
    third = take_start(tmp_path / "gone" / "c", wall_ms=0, random_bytes=Dice(3))
    fourth = take_start(tmp_path / "gone" / "c", wall_ms=0, random_bytes=Dice(4))
    assert len({first % 65_536, second % 65_536, third % 65_536, fourth % 65_536}) == 4
    assert first < 1 << 36
