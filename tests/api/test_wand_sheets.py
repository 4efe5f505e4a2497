"""The spreadsheets of wands: every way in which a time or a chip stands in a cell, and what is no time and no chip."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.sheets import BAD_WORDS, DAY_ZERO, HEADS, Bad, Cell, Sheet, chip_of, civil_time, read, unix_ms
from api.checkins.wands import gaps

pytestmark = pytest.mark.proves("P1")

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 22, 12, 0, 1)  # noqa: DTZ001 - civil time


@pytest.mark.parametrize(
    "cell",
    [
        NOON,
        NOON.replace(microsecond=400_000),
        datetime(2026, 11, 22, 12, 0, 0, 600_000),  # noqa: DTZ001 - civil time
        "2026-11-22 12:00:01",
        "2026/11/22 12:00:01",
        "2026.11.22 12:00:01",
        "2026年11月22日 12:00:01",
        "2026年11月22日12:00:01",
        "2026-11-22T12:00:01",
        46348.5000116,
        "46348.5000116",
    ],
)
def test_one_second_is_the_same_however_it_is_written(cell: Cell) -> None:
    assert civil_time(cell) == NOON


@pytest.mark.parametrize("cell", [None, "", "noon", "12:00", 0, 5.5, -1, 99_999, "1e300", "nan", "inf", True])
def test_what_is_no_time_is_none(cell: Cell) -> None:
    assert civil_time(cell) is None


@given(st.integers(36_526 * 86_400, 73_050 * 86_400))
def test_the_fraction_of_a_serial_number_is_rounded_to_its_second(second: int) -> None:
    found = civil_time(second / 86_400)
    assert found is not None
    assert (found - DAY_ZERO).total_seconds() == second


def test_an_hour_that_never_was_is_said_and_one_that_was_twice_is_the_first() -> None:
    assert unix_ms(datetime(2026, 3, 29, 2, 30), BERLIN) is None  # noqa: DTZ001 - civil time
    assert unix_ms(datetime(2026, 10, 25, 2, 30), BERLIN) == 1_792_888_200_000  # noqa: DTZ001 - 00:30 UTC
    assert unix_ms(NOON, SHANGHAI) == 1_795_320_001_000


@pytest.mark.parametrize(
    ("cell", "chip"),
    [
        ("0F004EBEFC", "0F004EBEFC"),
        ("0f:00:4e:be:fc", "0F004EBEFC"),
        (12_345_678, "0012345678"),
        ("", None),
        (None, None),
    ],
)
def test_a_chip_keeps_its_noughts(cell: Cell, chip: str | None) -> None:
    assert chip_of(cell) == chip


def test_headings_may_stand_in_any_order_in_either_language_under_a_title() -> None:
    rows: list[list[Cell]] = [
        ["十一月巡检记录"],
        ["Chip ID", "编号 ", "Patrol Time"],
        [],
        ["0F004EBEFC", None, "2026-11-22 12:00:01"],
    ]
    found = read(rows, SHANGHAI)
    assert isinstance(found, Sheet)
    ((only,), bad) = found.rows, found.bad
    assert (only.row, only.chip, only.person, bad) == (4, "0F004EBEFC", "", ())
    assert read([["a", "b"]], SHANGHAI) is None
    assert {*BAD_WORDS} == {*Bad}
    assert len(HEADS) == 6


@given(st.lists(st.lists(st.none() | st.text(max_size=12) | st.floats() | st.integers(), max_size=7), max_size=7))
def test_no_sheet_breaks_it(rows: list[list[Cell]]) -> None:
    found = read([[heads[0] for heads in HEADS.values()], *rows], SHANGHAI)
    assert found is not None
    assert len({one.row for one in found.rows} | {one.row for one in found.bad}) <= len(rows)


@pytest.mark.parametrize(
    ("serials", "missing"),
    [([], ()), ([5], ()), ([1, 2, 5, 9], ((3, 4), (6, 8))), ([9, 10, 1, 2], ()), ([3, 3, 4], ())],
)
def test_serial_numbers_that_are_missing(serials: list[int], missing: tuple[tuple[int, int], ...]) -> None:
    assert gaps(serials) == missing
