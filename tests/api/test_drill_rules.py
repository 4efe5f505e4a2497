"""Drills and readiness without tables: when a press belongs to a drill, and who can be reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.drills.rules import (
    AHEAD_MS,
    DAY_MS,
    LONGEST_MS,
    TEST_DUE_MS,
    Judged,
    Span,
    UnitNow,
    bad_times,
    judge,
    readiness,
)

NOW = 1_800_000_000_000


def span(*units: str, begins: int = 100, ends: int = 200, called_off: int | None = None) -> Span:
    return Span(begins_ms=begins, ends_ms=ends, called_off_ms=called_off, units=frozenset(units))


@pytest.mark.proves("A11")
@pytest.mark.parametrize(
    ("unit", "marked", "at_ms", "judged"),
    [
        ("u1", True, 100, Judged(drill=True, during=False)),
        ("u1", True, 199, Judged(drill=True, during=False)),
        ("u1", True, 200, Judged(drill=False, during=False)),  # it is over
        ("u1", True, 99, Judged(drill=False, during=False)),
        ("u2", True, 150, Judged(drill=False, during=True)),  # not named: real, whatever its gateway says
        ("u1", False, 150, Judged(drill=False, during=True)),  # its sirens were real: so is the alarm
        (None, True, 150, Judged(drill=False, during=True)),
    ],
)
def test_a_press_is_real_unless_its_unit_is_named_and_its_gateway_rang_it_as_a_drill(
    unit: str | None, at_ms: int, judged: Judged, *, marked: bool
) -> None:
    assert judge([span("u1")], unit=unit, marked=marked, at_ms=at_ms) == judged


def test_a_drill_that_was_called_off_is_over_from_then_on() -> None:
    spans = [span("u1", called_off=150)]
    assert judge(spans, unit="u1", marked=True, at_ms=149).drill
    assert judge(spans, unit="u1", marked=True, at_ms=150) == Judged(drill=False, during=False)


@given(st.integers(0, 300), st.booleans(), st.sampled_from(["u1", "u2", None]), st.integers(90, 210) | st.none())
def test_no_press_is_both_a_drill_and_in_earnest_during_one(
    at_ms: int, marked: bool, unit: str | None, called_off: int | None
) -> None:
    judged = judge([span("u1", called_off=called_off), span("u2")], unit=unit, marked=marked, at_ms=at_ms)
    assert not (judged.drill and judged.during)
    assert not judged.drill or marked


@pytest.mark.parametrize(
    ("begins", "ends", "good"),
    [
        (NOW + AHEAD_MS, NOW + AHEAD_MS + LONGEST_MS, True),
        (NOW + AHEAD_MS - 1, NOW + AHEAD_MS + 1, False),
        (NOW + AHEAD_MS, NOW + AHEAD_MS, False),
        (NOW + AHEAD_MS, NOW + AHEAD_MS + LONGEST_MS + 1, False),
        (NOW + 91 * DAY_MS, NOW + 91 * DAY_MS + 1, False),
    ],
)
def test_a_drill_is_announced_beforehand_and_ends_by_itself(begins: int, ends: int, *, good: bool) -> None:
    assert (bad_times(now_ms=NOW, begins_ms=begins, ends_ms=ends) is None) is good


def unit(place: str, *, there: bool = True, faults: frozenset[str] = frozenset(), tested: int | None = NOW) -> UnitNow:
    return UnitNow(unit=f"u-{place}", place=place, gateway_there=there, faults=faults, tested_ms=tested)


@pytest.mark.proves("A11")
def test_seven_of_nine_neighbours() -> None:
    places = [f"h{number:02}" for number in range(1, 11)]
    units = [unit(place) for place in places[:8]] + [unit("h09", faults=frozenset({"silent"}))]  # h10 has no unit
    ready = readiness(places, units, away=["h08", "elsewhere"], station_reached=True, now_ms=NOW)
    assert ready.seen_from("h01") == (6, 9)
    assert ready.reached == frozenset(places[:7])
    assert ready.away == {"h08"}


def test_one_good_unit_is_enough_and_a_low_battery_does_not_make_deaf() -> None:
    units = [unit("h01", faults=frozenset({"silent"})), unit("h01", faults=frozenset({"battery"}))]
    assert readiness(["h01"], units, away=[], station_reached=True, now_ms=NOW).reached == {"h01"}


def test_nobody_is_reached_through_a_gateway_that_is_not_there() -> None:
    assert not readiness(["h01"], [unit("h01", there=False)], away=[], station_reached=False, now_ms=NOW).reached


def test_a_place_is_late_when_none_of_its_units_was_tested_for_a_month_and_some_days() -> None:
    old, never = NOW - TEST_DUE_MS - 1, None
    units = [unit("h01", tested=old), unit("h02", tested=never), unit("h03", tested=old), unit("h03", tested=NOW)]
    late = readiness(["h01", "h02", "h03", "h04"], units, away=[], station_reached=True, now_ms=NOW).late
    assert late == {"h01", "h02"}


def test_a_unit_that_was_just_hung_up_is_not_late() -> None:
    new = UnitNow(unit="u", place="h01", gateway_there=True, since_ms=NOW - 1)
    assert not readiness(["h01"], [new], away=[], station_reached=True, now_ms=NOW).late
