"""Shifts, days and the hours that are twice or never."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.patrols.civil import (
    Days,
    Holidays,
    Plan,
    Route,
    Shift,
    Visit,
    clash,
    duty_day,
    moment,
    on_day,
    shifts_overlap,
    span,
    troubles_of_plan,
    troubles_of_route,
    unfold,
)
from api.patrols.rules import Order

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
NIGHT = Shift(id="night", starts_min=22 * 60, lasts_min=8 * 60)
SPRING, AUTUMN = date(2026, 3, 28), date(2026, 10, 24)
"""The duty days whose nights lose and gain an hour in Berlin."""
DAY = date(2026, 11, 20)


def route(order: Order = Order.FREE, *visits: Visit, **legs: int) -> Route:
    return Route(
        id="r1",
        order=order,
        visits=visits or (Visit(point="A"), Visit(point="B")),
        legs_s={(leg[0], leg[1]): minutes * 60 for leg, minutes in legs.items()},
    )


def plan(zone: ZoneInfo = SHANGHAI, **changed: object) -> Plan:
    values: dict[str, object] = {
        "id": "p1", "route": route(), "shift": NIGHT, "begins_min": (0, 120, 240, 360), "lasts_min": 60, "zone": zone,
    }  # fmt: skip
    return Plan(**(values | changed))  # type: ignore[arg-type]  # a test names what it changes


def local(at_ms: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, zone):%d %H:%M %Z}"


@pytest.mark.proves("P2")
def test_the_tail_after_midnight_belongs_to_the_day_on_which_the_shift_began() -> None:
    rounds = unfold(plan(), DAY)
    assert [local(one.starts_ms, SHANGHAI) for one in rounds] == [
        "20 22:00 CST", "21 00:00 CST", "21 02:00 CST", "21 04:00 CST",
    ]  # fmt: skip
    assert {duty_day(NIGHT, one.starts_ms, SHANGHAI) for one in rounds} == {DAY}
    begins_ms, ends_ms = span(NIGHT, DAY, SHANGHAI)
    assert duty_day(NIGHT, ends_ms, SHANGHAI) is None
    assert duty_day(NIGHT, begins_ms - 1, SHANGHAI) is None
    assert len({one.id for one in rounds}) == 4


@pytest.mark.proves("P2", "F16")
def test_an_hour_that_never_is_has_one_round_and_not_two() -> None:
    hourly = plan(BERLIN, begins_min=tuple(range(0, 480, 60)))
    rounds = [local(one.starts_ms, BERLIN) for one in unfold(hourly, SPRING)]
    assert rounds == [
        "28 22:00 CET", "28 23:00 CET", "29 00:00 CET", "29 01:00 CET",
        "29 03:00 CEST", "29 04:00 CEST", "29 05:00 CEST",
    ]  # fmt: skip
    assert unfold(hourly, SPRING)[4].id.endswith(".6")  # the one that is named last


@pytest.mark.proves("P2")
def test_an_hour_that_is_twice_has_one_round() -> None:
    hourly = plan(BERLIN, begins_min=tuple(range(0, 480, 60)))
    rounds = [local(one.starts_ms, BERLIN) for one in unfold(hourly, AUTUMN)]
    assert rounds[3:6] == ["25 01:00 CEST", "25 02:00 CEST", "25 03:00 CET"]
    assert len(rounds) == 8
    begins_ms, ends_ms = span(NIGHT, AUTUMN, BERLIN)
    assert ends_ms - begins_ms == 9 * 3_600_000


def test_a_walk_takes_as_long_as_it_takes_whatever_the_clock_does() -> None:
    timed = route(Order.TIMED, Visit(point="A", after_min=0), Visit(point="B", after_min=40))
    for day in (SPRING, AUTUMN, DAY):
        for one in unfold(plan(BERLIN, route=timed, begins_min=(210,)), day):
            times = [expected.at_ms for expected in one.expected]
            assert times == [one.starts_ms, one.starts_ms + 40 * 60_000]


@given(
    day=st.dates(date(1986, 1, 1), date(2030, 12, 31)),
    minutes=st.lists(st.integers(0, 3_000), min_size=2, max_size=2).map(sorted),
    zone=st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("America/St_Johns")]),
)
def test_later_on_the_clock_is_never_earlier_in_time(day: date, minutes: list[int], zone: ZoneInfo) -> None:
    sooner, later = (moment(day, one, zone) for one in minutes)
    assert sooner <= later
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes[0])  # noqa: DTZ001 - civil time
    shown = datetime.fromtimestamp(sooner / 1_000, zone)
    if shown.replace(tzinfo=None) != wanted:  # the clock went forward over it
        just_before = datetime.fromtimestamp(sooner / 1_000 - 1, zone)
        assert just_before.replace(tzinfo=None) < wanted < shown.replace(tzinfo=None)
    else:
        assert shown.astimezone(UTC) == wanted.replace(tzinfo=zone, fold=0).astimezone(UTC)


@pytest.mark.proves("P2")
def test_a_plan_holds_on_its_weekdays_and_a_day_may_count_as_another() -> None:
    workdays = Days(weekdays=frozenset({1, 2, 3, 4, 5}), holidays=Holidays.NEVER)
    saturday, wednesday = date(2026, 10, 10), date(2026, 10, 7)
    calendar = {saturday: 3, wednesday: 0}
    assert not workdays.hold(saturday, {})
    assert workdays.hold(saturday, calendar)
    assert workdays.hold(wednesday, {})
    assert not workdays.hold(wednesday, calendar)
    assert Days(holidays=Holidays.ONLY).hold(wednesday, calendar)
    assert not Days(holidays=Holidays.ONLY).hold(wednesday, {})
    first_and_last = Days(month_days=1 | 1 << 30)
    assert [first_and_last.hold(date(2026, 1, day), {}) for day in (1, 2, 31)] == [True, False, True]
    assert not Days(from_day=DAY, to_day=DAY).hold(DAY + timedelta(days=1), {})


@pytest.mark.proves("P2")
def test_a_temporary_plan_wins_over_the_routine_ones_of_its_route_and_over_no_others() -> None:
    routine, elsewhere = plan(id="routine"), plan(id="elsewhere", route=Route(id="r2", order=Order.FREE, visits=()))
    none = plan(id="none", temporary=True, begins_min=(), days=Days(from_day=DAY, to_day=DAY))
    assert [one.id for one in on_day([routine, elsewhere, none], DAY, {})] == ["elsewhere", "none"]
    assert [one.id for one in on_day([routine, elsewhere, none], DAY + timedelta(days=1), {})] == [
        "routine", "elsewhere",
    ]  # fmt: skip


@pytest.mark.proves("P2")
def test_a_plan_that_cannot_be_walked_is_named() -> None:
    visits = (Visit(point="A", after_min=0, buffer_min=2), Visit(point="B", after_min=5, buffer_min=2))
    timed = plan(route=route(Order.TIMED, *visits, AB=15))
    assert [one.zh for one in troubles_of_plan(timed)] == ["走不到:最快也要迟到 6 分钟才到 B"]
    assert troubles_of_plan(plan(route=route(Order.TIMED, *visits, AB=9))) == []
    assert [one.where for one in troubles_of_plan(plan(route=route(Order.ORDERED, AB=61)))] == ["visits"]
    long_stay = (Visit(point="A", dwell_min=40), Visit(point="B", dwell_min=30))
    assert "cannot be walked" in troubles_of_plan(plan(route=route(Order.FREE, *long_stay)))[0].en


def test_every_trouble_of_a_route_and_of_a_plan_is_named_at_once() -> None:
    bad = route(Order.TIMED, Visit(point="A", after_min=9), Visit(point="X", after_min=3), Visit(point="B"), AC=1)
    assert [one.where for one in troubles_of_route(bad, "AB")] == ["visits[2]", "visits[3]", "legs", "visits"]
    assert [one.where for one in troubles_of_route(route(Order.FREE, Visit(point="A", optional=True)), "A")] == [
        "visits"
    ]
    found = troubles_of_plan(plan(begins_min=(0, 30, 460), temporary=True))
    assert [one.where for one in found] == ["begins_min", "lasts_min", "days"]


def test_overlapping_shifts_and_rounds_are_found() -> None:
    early = Shift(id="early", starts_min=6 * 60, lasts_min=8 * 60)
    assert not shifts_overlap(NIGHT, early)
    assert not shifts_overlap(early, NIGHT)
    assert shifts_overlap(NIGHT, Shift(id="dawn", starts_min=5 * 60, lasts_min=60))
    assert shifts_overlap(NIGHT, Shift(id="day", starts_min=0, lasts_min=1_440))
    for minutes, overlaps in ((15, False), (16, True)):  # a hand-over of a quarter of an hour is none
        longer = Shift(id="longer", starts_min=NIGHT.starts_min, lasts_min=NIGHT.lasts_min + minutes)
        assert shifts_overlap(longer, early) is overlaps
        assert shifts_overlap(early, longer) is overlaps
    assert shifts_overlap(NIGHT, Shift(id="short", starts_min=NIGHT.starts_min, lasts_min=10))
    assert shifts_overlap(early, Shift(id="same", starts_min=6 * 60, lasts_min=1))
    week = [DAY + timedelta(days=number) for number in range(7)]
    weekend = plan(id="p2", days=Days(weekdays=frozenset({6, 7})))
    found = clash(plan(), [weekend], week, {})
    assert found is not None
    assert "2026-11-21" in found.zh
    assert clash(plan(days=Days(weekdays=frozenset({1}))), [weekend], week, {}) is None
