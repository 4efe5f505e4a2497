"""Figures without tables: what counts, what is on time, and that nothing depends on the order of the cases."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.reports.rules import (
    CLOSE_WITHIN_MS,
    FOLLOW_UP_WITHIN_MS,
    HOUR_MS,
    Case,
    Figures,
    Period,
    Share,
    Span,
    card,
    cards,
    figures,
    percent_tenths,
    percentile,
    span,
)

ZONE = ZoneInfo("Asia/Shanghai")
NOON = 1_800_000_000_000
"""2027-01-15 16:00 in Shanghai."""


def case(number: int = 1, **more: object) -> Case:
    plain = Case(
        id=f"a{number}",
        kind="panic",
        mark=None,
        place="h01",
        group="gr1",
        areas=frozenset({"gr1", "r1", "c1"}),
        happened_ms=NOON,
        received_ms=NOON,
    )
    return replace(plain, **more)  # type: ignore[arg-type] # fields by name


def of(*cases: Case, now_ms: int = NOON) -> Figures:
    return figures(cases, now_ms=now_ms, zone=ZONE)


@pytest.mark.proves("G4", "A11")
@pytest.mark.parametrize(
    "more", [{"kind": "test"}, {"mark": "drill"}, {"kind": "drill"}, {"outcome": "drill"}, {"outcome": "test"}]
)
def test_drills_and_tests_never_count_whoever_found_them_to_be_one(more: dict[str, object]) -> None:
    found = of(case(1, resolved_ms=NOON + 1, satisfaction=1, **more))
    assert found == of()


@pytest.mark.proves("G2")
def test_on_time_is_within_a_day_or_within_the_deadline_of_whoever_urged() -> None:
    in_time = case(1, resolved_ms=NOON + CLOSE_WITHIN_MS)
    late = case(2, resolved_ms=NOON + CLOSE_WITHIN_MS + 1)
    urged = case(3, resolved_ms=NOON + HOUR_MS + 1, due_ms=NOON + HOUR_MS)
    assert of(in_time).closed_on_time == Share(1, 1)
    assert of(late).closed_on_time == Share(0, 1)
    assert of(urged).closed_on_time == Share(0, 1)


def test_what_is_open_counts_against_only_when_it_is_overdue() -> None:
    assert of(case(), now_ms=NOON + CLOSE_WITHIN_MS - 1).closed_on_time == Share(0, 0)
    assert of(case(), now_ms=NOON + CLOSE_WITHIN_MS).closed_on_time == Share(0, 1)


def test_a_follow_up_is_due_a_week_after_the_alarm_was_closed() -> None:
    closed = case(1, resolved_ms=NOON)
    assert of(closed).followed_up == Share(0, 0)
    assert of(replace(closed, followed_up_ms=NOON + FOLLOW_UP_WITHIN_MS)).followed_up == Share(1, 1)
    assert of(closed, now_ms=NOON + FOLLOW_UP_WITHIN_MS).followed_up == Share(0, 1)


def test_times_are_ones_that_some_alarm_really_took() -> None:
    found = of(*(case(number, acknowledged_ms=NOON + number * 1_000) for number in range(1, 11)))
    assert (found.acknowledge.count, found.acknowledge.p50_ms, found.acknowledge.p90_ms) == (10, 5_000, 9_000)
    assert of(case()).acknowledge.p50_ms is None


def test_an_acknowledgement_by_a_clock_that_runs_behind_took_no_time() -> None:
    assert of(case(acknowledged_ms=NOON - 5)).acknowledge.p50_ms == 0


def test_hours_are_those_of_the_place() -> None:
    assert of(case()).by_hour.index(1) == 16


def test_places_that_pressed_more_than_once_are_named() -> None:
    assert of(case(1), case(2), case(3, place="h02"), case(4, place=None)).repeated == {"h01": 2}


def test_a_share_of_nothing_is_unknown() -> None:
    assert Share(0, 0).value is None
    assert percent_tenths(Share(0, 0)) is None
    assert percent_tenths(Share(1, 8)) == 125
    assert percent_tenths(Share(1, 2_000)) == 1  # 0.05 %: half is rounded up


CASES = st.builds(
    lambda number, kind, took, outcome, satisfaction: case(
        number, kind=kind, resolved_ms=None if took is None else NOON + took, outcome=outcome if took else None,
        satisfaction=satisfaction, place=f"h{number % 3}",
    ),
    st.integers(0, 10_000), st.sampled_from(["panic", "fire", "test"]), st.none() | st.integers(0, 3 * CLOSE_WITHIN_MS),
    st.sampled_from(["real", "false", "nothing_found", "drill"]), st.none() | st.integers(1, 5),
)  # fmt: skip


@given(st.lists(CASES, max_size=12, unique_by=lambda one: one.id), st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_the_cases(cases: list[Case], dice: Random) -> None:
    shuffled = cases[:]
    dice.shuffle(shuffled)
    assert of(*shuffled) == of(*cases)


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=40), st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(values: list[int], hundredths: int) -> None:
    found = percentile(values, hundredths)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= len(values) * hundredths
    assert all(
        sum(value <= lower for value in values) * 100 < len(values) * hundredths for lower in values if lower < found
    )


@pytest.mark.parametrize(
    ("period", "day", "begin", "hours"),
    [
        (Period.DAY, date(2027, 1, 15), date(2027, 1, 15), 24),
        (Period.WEEK, date(2027, 1, 15), date(2027, 1, 11), 7 * 24),
        (Period.MONTH, date(2027, 2, 28), date(2027, 2, 1), 28 * 24),
        (Period.MONTH, date(2027, 12, 31), date(2027, 12, 1), 31 * 24),
        (Period.YEAR, date(2027, 12, 31), date(2027, 1, 1), 365 * 24),
        (Period.YEAR, date(2028, 1, 1), date(2028, 1, 1), 366 * 24),
    ],
)
def test_a_period_is_whole_days_of_civil_time(period: Period, day: date, begin: date, hours: int) -> None:
    found = span(period, day, ZONE)
    assert found.from_ms == span(Period.DAY, begin, ZONE).from_ms
    assert found.to_ms - found.from_ms == hours * HOUR_MS


@pytest.mark.proves("F16")
def test_a_day_on_which_clocks_change_has_the_hours_that_it_has() -> None:
    assert span(Period.DAY, date(2027, 3, 28), ZoneInfo("Europe/Berlin")) == Span(1_806_188_400_000, 1_806_271_200_000)


@pytest.mark.proves("G2")
def test_a_card_weighs_what_is_known_and_has_no_score_where_too_little_is() -> None:
    good = of(case(1, acknowledged_ms=NOON, resolved_ms=NOON, followed_up_ms=NOON, satisfaction=5))
    assert card("r1", good).score_tenths == 1_000
    unknown = of(case(1, acknowledged_ms=NOON))
    assert card("r1", unknown).score_tenths is None
    half = of(case(1, acknowledged_ms=NOON + 60_001, resolved_ms=NOON))
    assert card("r1", half).score_tenths == round(Fraction(35, 65) * 1_000)


def test_cards_stand_in_order_and_count_each_owners_own_cases() -> None:
    late = case(1, acknowledged_ms=NOON + 60_001, resolved_ms=NOON, areas=frozenset({"r1", "c1"}))
    good = case(2, acknowledged_ms=NOON, resolved_ms=NOON, areas=frozenset({"r2", "c1"}))

    def owns(owner: str, one: Case) -> bool:
        return owner in one.areas

    made: Sequence[str] = [
        one.owner for one in cards([late, good], ["r1", "r2", "r3"], now_ms=NOON, zone=ZONE, owns=owns)
    ]
    assert made == ["r2", "r1", "r3"]
