"""Readers that cannot be asked: quiet when rounds pass them by without a card, or nobody was read there for days."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.rules import Source
from api.checkins.service import Said
from api.faults.words import words
from api.patrols.quiet import DAY_MS, WALKED_PAST, Expected, is_quiet
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.people import Hands, Somebody, somebody
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out

NIGHT_MS = 61 * MINUTE_MS


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, "north")


def night(station: Served, hands: Hands, day: int, *points: str, by: Source = Source.NFC_PHONE) -> list[str]:
    """One night: these points are checked in at; an hour later everything looks. Returns the readers that are quiet."""
    hands.now_ms = BEGINS_MS + day * DAY_MS + NIGHT_MS
    fixed = by is Source.FIXED_READER
    said = [
        Said(
            id=f"c-{day}-{point}",
            source=by,
            tag=None,
            at_ms=BEGINS_MS + day * DAY_MS + nth * 10 * MINUTE_MS,
            device_ms=None,
            point=point,
            gateway="g1" if fixed else None,
            reader=f"r-{point}" if fixed else None,
        )
        for nth, point in enumerate(points)
    ]
    own = station.station
    with own.database.write() as session:
        own.checkins.add(session, said, hands.now_ms)
    own.patrols.unfold_next(own.database, hands.now_ms)
    own.patrols.look(own.database, hands.now_ms)
    own.quiet_readers.look(own.database)
    return [about for (about,) in station.rows(
        "SELECT about FROM fault WHERE code = 'reader_quiet' AND gateway = 'g1' AND cleared_ms IS NULL"
    )]  # fmt: skip


@only_sqlite
@pytest.mark.proves("A10", "N8")
def test_a_reader_that_three_walked_rounds_passed_by_is_quiet_until_it_reads_a_card(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    lay_out(officer)
    assert night(station, hands, 0, "east", "power") == []
    assert night(station, hands, 1, "east", "shed", "power") == []
    assert night(station, hands, 2, "east") == ["r-shed"]
    assert night(station, hands, 3) == ["r-shed"]
    assert night(station, hands, 4, "shed", by=Source.FIXED_READER) == []
    assert night(station, hands, 5, "east", "power") == []


@only_sqlite
@pytest.mark.proves("A10")
def test_a_reader_to_which_nobody_goes_is_quiet_after_a_week_and_excuses_nobody(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    lay_out(officer)
    assert [night(station, hands, day) for day in range(7)] == [[]] * 7
    assert night(station, hands, 7) == ["r-shed"]
    missed = station.rows(
        "SELECT DISTINCT outcome FROM patrol_visit WHERE point = 'shed' AND closes_ms < ?", hands.now_ms
    )
    assert missed == [("missed",)]


@only_sqlite
def test_where_nothing_was_to_be_expected_silence_says_nothing(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    reader = {"gateway": "g1", "reader": "r-shed"}
    officer.post("/api/v1/checkpoints", {"id": "shed", "area": "gr1", "name": "车棚", **reader}, status=201)
    assert night(station, hands, 60) == []


@pytest.mark.proves("A10")
@given(visits=st.integers(0, 9), walked=st.integers(0, 9), days=st.integers(0, 30), quiet=st.integers(0, 9))
def test_more_that_was_expected_and_longer_silence_never_make_a_quiet_reader_a_good_one(
    visits: int, walked: int, days: int, quiet: int
) -> None:
    now_ms = 100 * DAY_MS
    one = Expected(last_ms=now_ms - days * DAY_MS, visits=visits, walked=walked)
    more = Expected(last_ms=one.last_ms - DAY_MS, visits=visits + 1, walked=walked + 1)
    assert is_quiet(one, quiet_days=quiet, now_ms=now_ms) <= is_quiet(more, quiet_days=quiet, now_ms=now_ms)
    nothing = Expected(last_ms=0, visits=0, walked=0)
    assert not is_quiet(nothing, quiet_days=quiet, now_ms=now_ms)
    assert is_quiet(one, quiet_days=0, now_ms=now_ms) is (walked >= WALKED_PAST)


def test_it_is_explained_in_both_languages() -> None:
    assert words("reader_quiet").zh != words("reader_quiet").en
    assert "reader_quiet" not in words("reader_quiet").en
