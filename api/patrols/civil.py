"""When rounds are walked, in civil time: shifts, the days of a plan, and what a plan unfolds to. Pure.

Theory:

1. A shift begins at a time of day and lasts some minutes, past midnight if need be. Its duty day is the day on which
   it begins: the tail after midnight belongs to it, to its weekday, and to whoever was listed on it.
2. A plan holds on weekdays, on holidays or not, on days of the month (a mask of 31 bits), from a day to a day. A day
   may count as another weekday (调休上班) or as a holiday (0). Where a temporary plan of a route holds, no routine plan
   of that route does, also where the temporary one has no rounds (停巡).
3. A round begins at a time of day; what follows in it is counted in minutes that pass, since a walk takes as long as it
   takes. A time of day that never is (clocks go forward) is the moment at which they do; one that is twice (clocks go
   back) is its first time. Rounds of a plan that so begin at the same moment are one, the one that is named last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from api.patrols.rules import Expected, Order, RoundPlan

MINUTE_MS: Final = 60_000
DAY_MIN: Final = 1_440
HANDOVER_MIN: Final = 15
"""So long the next shift may be there before the last one goes (交接)."""
WEEK: Final = frozenset(range(1, 8))
"""Monday is 1, as ISO counts."""
EVERY_DAY: Final = (1 << 31) - 1
HOLIDAY: Final = 0
"""What a holiday counts as, where a working day counts as the weekday 1 to 7."""

Calendar = Mapping[date, int]
"""Days that count as something else than their own weekday."""


class Holidays(StrEnum):
    """What a plan makes of holidays."""

    ALSO = "also"
    ONLY = "only"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """From `starts_min` after midnight of the duty day, for `lasts_min`."""

    id: str
    starts_min: int
    lasts_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A point of a route; `after_min` counts from the beginning of the round, None: at any time of it."""

    point: str
    after_min: int | None = None
    buffer_min: int = 0
    extended_min: int = 0
    optional: bool = False
    dwell_min: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Points and how they follow on one another. `legs_s`: least seconds of walking from a point to another."""

    id: str
    order: Order
    visits: tuple[Visit, ...]
    legs_s: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """On which duty days. `month_days`: bit 0 is the first of the month. Both ends included; None: without an end."""

    weekdays: frozenset[int] = WEEK
    holidays: Holidays = Holidays.ALSO
    month_days: int = EVERY_DAY
    from_day: date | None = None
    to_day: date | None = None

    def hold(self, day: date, calendar: Calendar) -> bool:
        """Whether this is one of the days."""
        if (self.from_day is not None and day < self.from_day) or (self.to_day is not None and day > self.to_day):
            return False
        if not self.month_days >> (day.day - 1) & 1:
            return False
        counts_as = calendar.get(day, day.isoweekday())
        if counts_as == HOLIDAY:
            own = day.isoweekday() in self.weekdays
            return self.holidays is Holidays.ONLY or (self.holidays is Holidays.ALSO and own)
        return self.holidays is not Holidays.ONLY and counts_as in self.weekdays


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A route, walked in a shift. Each round begins `begins_min` after the shift does, and lasts `lasts_min`."""

    id: str
    route: Route
    shift: Shift
    begins_min: tuple[int, ...]
    lasts_min: int
    zone: ZoneInfo
    days: Days = Days()
    temporary: bool = False


def moment(day: date, minutes: int, zone: ZoneInfo) -> int:
    """Unix ms of a civil time, `minutes` on the clock after midnight of `day`: the first of two, the end of a gap."""
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001 - civil time
    first = _seconds(wanted.replace(tzinfo=zone, fold=0))
    if datetime.fromtimestamp(first, zone).replace(tzinfo=None) == wanted:
        return first * 1_000
    # In a gap the first reading counts with the clock before it, and lands behind it; the second lands before it.
    before, after = _seconds(wanted.replace(tzinfo=zone, fold=1)), first
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after * 1_000


def _seconds(moment_: datetime) -> int:
    return round(moment_.astimezone(UTC).timestamp())


def civil_day(at_ms: int, zone: ZoneInfo) -> date:
    """What day it is."""
    return datetime.fromtimestamp(at_ms / 1_000, zone).date()


def span(shift: Shift, day: date, zone: ZoneInfo) -> tuple[int, int]:
    """When the shift of this duty day begins and ends."""
    return moment(day, shift.starts_min, zone), moment(day, shift.starts_min + shift.lasts_min, zone)


def duty_day(shift: Shift, at_ms: int, zone: ZoneInfo) -> date | None:
    """The duty day to whose shift a moment belongs; None: to none. Where two touch, to the one that begins."""
    today = civil_day(at_ms, zone)
    for day in (today, today - timedelta(days=1)):
        begins_ms, ends_ms = span(shift, day, zone)
        if begins_ms <= at_ms < ends_ms:
            return day
    return None


def begins_min(shift: Shift, day: date, at_ms: int, zone: ZoneInfo) -> int | None:
    """How many minutes after the shift of that duty day a round begins at this moment; None: at no whole minute."""
    local = datetime.fromtimestamp(at_ms / 1_000, zone)
    minutes = (local.date() - day).days * DAY_MIN + local.hour * 60 + local.minute - shift.starts_min
    return minutes if moment(day, shift.starts_min + minutes, zone) == at_ms else None


def unfold(plan: Plan, day: date) -> tuple[RoundPlan, ...]:
    """The rounds of a plan on a duty day, by time, whether it holds that day or not (`on_day` asks that)."""
    found: dict[int, RoundPlan] = {}
    for number, begins in enumerate(plan.begins_min, start=1):
        starts_ms = moment(day, plan.shift.starts_min + begins, plan.zone)
        found[starts_ms] = RoundPlan(
            id=f"{plan.id}.{day:%Y%m%d}.{number}",
            order=plan.route.order,
            expected=tuple(_expected(visit, starts_ms) for visit in plan.route.visits),
            starts_ms=starts_ms,
            ends_ms=starts_ms + plan.lasts_min * MINUTE_MS,
            legs={leg: seconds * 1_000 for leg, seconds in plan.route.legs_s.items()},
        )
    return tuple(found[starts_ms] for starts_ms in sorted(found))


def _expected(visit: Visit, starts_ms: int) -> Expected:
    return Expected(
        point=visit.point,
        at_ms=None if visit.after_min is None else starts_ms + visit.after_min * MINUTE_MS,
        buffer_ms=visit.buffer_min * MINUTE_MS,
        extended_ms=visit.extended_min * MINUTE_MS,
        optional=visit.optional,
        dwell_ms=visit.dwell_min * MINUTE_MS,
    )


def on_day(plans: Iterable[Plan], day: date, calendar: Calendar) -> list[Plan]:
    """The plans that hold on a duty day: temporary ones of a route instead of its routine ones."""
    holding = [plan for plan in plans if plan.days.hold(day, calendar)]
    overridden = {plan.route.id for plan in holding if plan.temporary}
    return [plan for plan in holding if plan.temporary or plan.route.id not in overridden]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with something that is to be kept: where, why in both languages."""

    where: str
    zh: str
    en: str


def troubles_of_route(route: Route, points: Iterable[str]) -> list[Trouble]:
    """Everything that is wrong with a route, as far as no round is known; `points`: those that there are."""
    known, found = frozenset(points), []
    if not route.visits:
        found.append(Trouble("visits", "线路上没有点", "there is no point on the route"))
    if route.visits and all(visit.optional for visit in route.visits):
        found.append(Trouble("visits", "全是可选点,永远不会漏巡", "every point is optional: nothing could be missed"))
    for number, visit in enumerate(route.visits, start=1):
        where = f"visits[{number}]"
        if visit.point not in known:
            found.append(Trouble(where, f"没有巡查点 {visit.point}", f"there is no checkpoint {visit.point!r}"))
        if route.order is Order.TIMED and visit.after_min is None:
            found.append(Trouble(where, "按序定时的线路每点都要有时间", "in exact order with times each has its time"))
        if route.order is Order.ORDERED and visit.after_min is not None:
            found.append(Trouble(where, "按序不定时的线路不写时间", "in exact order without times none has a time"))
    on_route = {visit.point for visit in route.visits}
    for (from_, to), seconds in route.legs_s.items():
        if from_ == to or not {from_, to} <= on_route:
            found.append(
                Trouble("legs", f"{from_} 到 {to} 不是这条线路的路段", f"{from_!r} to {to!r} is no leg of this route")
            )
        elif seconds <= 0:
            found.append(Trouble("legs", f"{from_} 到 {to} 的时间须大于零", f"{from_!r} to {to!r} takes some time"))
    if route.order is Order.TIMED:
        times = [visit.after_min for visit in route.visits if visit.after_min is not None]
        if any(later < sooner for sooner, later in pairwise(times)):
            found.append(Trouble("visits", "时间没有按顺序递增", "the times do not rise in the order of the route"))
    return found


def troubles_of_plan(plan: Plan) -> list[Trouble]:
    """Everything that is wrong with a plan by itself: rounds that overlap, leave the shift or cannot be walked."""
    found = []
    begins = sorted(plan.begins_min)
    if len(set(begins)) < len(begins):
        found.append(Trouble("begins_min", "有两轮同时开始", "two rounds begin at the same time"))
    for sooner, later in pairwise(sorted(set(begins))):
        if sooner + plan.lasts_min > later:
            found.append(
                Trouble(
                    "begins_min",
                    f"第{sooner}分开始的一轮与第{later}分开始的一轮重叠",
                    f"the round that begins at minute {sooner} overlaps the one at minute {later}",
                )
            )
    if begins and begins[-1] + plan.lasts_min > plan.shift.lasts_min:
        found.append(
            Trouble("lasts_min", "最后一轮超出班次", f"the last round goes beyond the shift {plan.shift.id!r}")
        )
    if not plan.begins_min and not plan.temporary:
        found.append(Trouble("begins_min", "常规计划至少一轮", "a routine plan has at least one round"))
    if plan.temporary and (plan.days.from_day is None or plan.days.to_day is None):
        found.append(Trouble("days", "临时计划要有起止日期", "a temporary plan has a first and a last day"))
    if plan.days.from_day and plan.days.to_day and plan.days.to_day < plan.days.from_day:
        found.append(Trouble("days", "结束日期早于开始日期", "it would end before it begins"))
    for number, visit in enumerate(plan.route.visits, start=1):
        if visit.after_min is not None and visit.after_min > plan.lasts_min:
            found.append(
                Trouble(
                    f"visits[{number}]", f"{visit.point} 的时间超出本轮", f"{visit.point!r} is after the round ends"
                )
            )
    return found + _walkable(plan)


def _walkable(plan: Plan) -> list[Trouble]:
    """Whether the required visits can be made on time at the least walking times, earliest arrival after earliest."""
    visits = [visit for visit in plan.route.visits if not visit.optional]
    legs = plan.route.legs_s
    if plan.route.order is Order.FREE:
        least = [
            min((legs[from_, to] for from_, to in legs if to == point), default=0)
            for point in {visit.point for visit in visits}
        ]
        needs_s = sum(least) - max(least, default=0) + sum(visit.dwell_min * 60 for visit in visits)
        return [_too_far("visits", needs_s, plan)] if needs_s > plan.lasts_min * 60 else []
    found: list[Trouble] = []
    first = visits[0] if visits else None
    now_s = 0 if first is None or first.after_min is None else (first.after_min - first.buffer_min) * 60
    before: Visit | None = None
    for visit in visits:
        if before is not None:
            now_s += before.dwell_min * 60 + legs.get((before.point, visit.point), 0)
        before = visit
        if visit.after_min is None:
            continue
        soonest, latest = (visit.after_min - visit.buffer_min) * 60, (visit.after_min + visit.buffer_min) * 60
        if now_s > latest:
            late = -(-(now_s - latest) // 60)
            found.append(
                Trouble(
                    visit.point,
                    f"走不到:最快也要迟到 {late} 分钟才到 {visit.point}",
                    f"cannot be walked: {visit.point!r} is reached {late} min late at the soonest",
                )
            )
            now_s = latest
        now_s = max(now_s, soonest)
    needs_s = now_s + (before.dwell_min * 60 if before else 0)
    if plan.route.order is Order.ORDERED and needs_s > plan.lasts_min * 60:
        found.append(_too_far("visits", needs_s, plan))
    return found


def _too_far(where: str, needs_s: int, plan: Plan) -> Trouble:
    needs = -(-needs_s // 60)
    return Trouble(
        where,
        f"走不完:至少要 {needs} 分钟,一轮只有 {plan.lasts_min} 分钟",
        f"cannot be walked: it takes at least {needs} min, and a round is {plan.lasts_min} min",
    )


def shifts_overlap(one: Shift, other: Shift) -> bool:
    """Whether two daily shifts share more of the clock than a hand-over takes, at the end of the one or the other."""
    if max(one.lasts_min, other.lasts_min) >= DAY_MIN:
        return True
    gap = (other.starts_min - one.starts_min) % DAY_MIN
    if min(one.lasts_min, other.lasts_min) <= HANDOVER_MIN:  # it would be all hand-over, or none
        return gap < one.lasts_min or DAY_MIN - gap < other.lasts_min
    return one.lasts_min - gap > HANDOVER_MIN or other.lasts_min - (DAY_MIN - gap) > HANDOVER_MIN


def clash(plan: Plan, others: Sequence[Plan], days: Iterable[date], calendar: Calendar) -> Trouble | None:
    """The first day on which rounds of this plan overlap rounds of another one that holds beside it on its route."""
    rivals = [other for other in others if other.route.id == plan.route.id and other.temporary == plan.temporary]
    for day in days:
        if not plan.days.hold(day, calendar):
            continue
        mine = unfold(plan, day)
        for other in rivals:
            if not other.days.hold(day, calendar):
                continue
            for theirs in unfold(other, day):
                if any(own.starts_ms < theirs.ends_ms and theirs.starts_ms < own.ends_ms for own in mine):
                    return Trouble(
                        "begins_min",
                        f"{day:%Y-%m-%d} 与计划 {other.id} 的一轮重叠",
                        f"on {day:%Y-%m-%d} a round overlaps one of plan {other.id!r}",
                    )
    return None
