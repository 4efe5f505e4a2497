"""What became of each visit of a round: pure, total, deterministic.

Theory:

1. A visit has two bands (the model of GV-AS): within `buffer_ms` of its time it is on time, within `extended_ms` beyond
   that it is early or late, outside it does not count. A visit without a time of its own may be made at any time of
   the round; the bands then begin at the round's ends.
2. It is settled when it is checked in, or when its late band has passed (`closes_ms`): then it is missed. Until then it
   is pending. Check-ins after `as_of` are not looked at, so that the same question has the same answer tomorrow.
3. Readings of one point within REPEAT_MS of the first, with no other point between, are one stay. The stay counts with
   whichever of its readings is best for the visit; nothing is gained by reading again. At a point with a least stay
   the readings of coming and going are one stay, too.
4. What happened is put to what was planned so that it is best for the guard as a whole, and always the same way:
   in any order by weighted assignment per point, in exact order by the longest increasing alignment (`evaluate`).
5. Order comes before walking time, walking time before the clock: what a visit would be by the clock alone stands in
   its detail. Too fast only flags; it is a word about two check-ins, so it is said at the later one, and only where
   both are one guard's.
6. An excuse turns missed, early, late and wrong order into excused, never too fast. A visit with a time is excused when
   the excuse touches its on-time band; one without, when it takes at least half of it. The benefit is the guard's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from api.patrols.aligning import assign, in_order
from broker.kinds import Words

REPEAT_MS: Final = 180_000
"""Reading the same point again within three minutes is one visit."""


class Order(StrEnum):
    """How the points of a route follow on one another."""

    TIMED = "timed"
    """Exactly in this order, each at its time."""
    ORDERED = "ordered"
    """Exactly in this order, at any time of the round."""
    FREE = "free"
    """In any order; a time holds where one is given."""


class Outcome(StrEnum):
    """What became of a visit."""

    ON_TIME = "on_time"
    EARLY = "early"
    LATE = "late"
    MISSED = "missed"
    WRONG_ORDER = "wrong_order"
    TOO_FAST = "too_fast"
    EXCUSED = "excused"
    PENDING = "pending"


class Reason(StrEnum):
    """Why a visit that was not made as planned costs nobody anything."""

    READER = "reader"
    GATEWAY = "gateway"
    POWER = "power"
    ALARM = "alarm"
    RETASKED = "retasked"
    LEAVE = "leave"
    SUSPENDED = "suspended"
    STATION = "station"
    OPTIONAL = "optional"


EXCUSABLE: Final = frozenset({Outcome.MISSED, Outcome.EARLY, Outcome.LATE, Outcome.WRONG_ORDER})
"""Outcomes that an excuse takes away."""
EXCEPTIONS: Final = EXCUSABLE | {Outcome.TOO_FAST}
"""Outcomes that somebody is told of."""

OUTCOME_WORDS: Final[Mapping[Outcome, Words]] = MappingProxyType(
    {
        Outcome.ON_TIME: Words("准时", "on time"),
        Outcome.EARLY: Words("早到", "early"),
        Outcome.LATE: Words("迟到", "late"),
        Outcome.MISSED: Words("漏巡", "missed"),
        Outcome.WRONG_ORDER: Words("错序", "wrong order"),
        Outcome.TOO_FAST: Words("过快", "too fast"),
        Outcome.EXCUSED: Words("免扣", "excused"),
        Outcome.PENDING: Words("待巡", "pending"),
    }
)
REASON_WORDS: Final[Mapping[Reason, Words]] = MappingProxyType(
    {
        Reason.READER: Words("读卡器故障", "the reader was faulty"),
        Reason.GATEWAY: Words("网关离线", "the gateway was away"),
        Reason.POWER: Words("停电", "there was no power"),
        Reason.ALARM: Words("出警处置", "sent to an alarm"),
        Reason.RETASKED: Words("点调改派", "re-tasked by a spot call"),
        Reason.LEAVE: Words("请假", "on leave"),
        Reason.SUSPENDED: Words("暂停巡逻", "patrols were suspended"),
        Reason.STATION: Words("派出所核准", "allowed by the station"),
        Reason.OPTIONAL: Words("可选点", "an optional point"),
    }
)


class Reading(Protocol):
    """What is asked of a check-in (`api.checkins.rules.CheckIn` is one)."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def guard(self) -> str | None:
        """Who checked in, where it is known."""
        ...

    @property
    def point(self) -> str | None:
        """Where, where it is known."""
        ...

    @property
    def at_ms(self) -> int:
        """When, by the best estimate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A visit that is planned. `at_ms` None: at any time of the round. `dwell_ms`: the least stay, 0 for none."""

    point: str
    at_ms: int | None = None
    buffer_ms: int = 0
    extended_ms: int = 0
    optional: bool = False
    dwell_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """What kept a visit from being made, from `from_ms` to `to_ms`, at `points` (None: at all of them)."""

    from_ms: int
    to_ms: int
    reason: Reason
    evidence: str
    """What shows it: the id of a fault, an alarm, an order."""
    points: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """A round as it is expected. `legs`: least walking time in ms from a point to another."""

    id: str
    order: Order
    expected: tuple[Expected, ...]
    starts_ms: int
    ends_ms: int
    legs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    excuses: tuple[Excuse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Which round it is. `day`: its duty day. `guards`: those who are listed for it or checked in on it."""

    number: int
    id: str
    route: str
    area: str
    company: str | None
    day: date
    starts_ms: int
    ends_ms: int
    guards: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What explains an outcome, and what it would be but for order, walking time and excuse."""

    timing: Outcome
    """By the clock alone: on time, early, late, missed or pending."""
    at_ms: int | None = None
    guard: str | None = None
    """Who checked in, where it is known."""
    off_ms: int = 0
    """How far outside its on-time band: negative early, positive late."""
    out_of_order: bool = False
    leg_ms: int | None = None
    """How long the walk to here took, where a least time is known; too fast when under `leg_least_ms`."""
    leg_least_ms: int | None = None
    before: str | None = None
    """The check-in from which the walk is counted."""
    stay_ms: int | None = None
    """How long the stay was, where a least stay is asked."""
    dwell_short: bool = False
    repeats: tuple[str, ...] = ()
    """Other readings of the same stay."""
    excuse: Reason | None = None
    evidence: str | None = None

    @property
    def too_fast(self) -> bool:
        """Whether nobody walks that fast."""
        return self.leg_ms is not None and self.leg_least_ms is not None and self.leg_ms < self.leg_least_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One visit, judged. On time until `due_ms`; missed after `closes_ms`."""

    point: str
    outcome: Outcome
    check_in: str | None
    due_ms: int
    closes_ms: int
    detail: Detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A round, judged: `visits` in the order of the plan; `unused`: check-ins that belong to no visit, by time."""

    visits: tuple[Judged, ...]
    unused: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing is pending any more."""
        return all(visit.outcome is not Outcome.PENDING for visit in self.visits)


def evaluate(plan: RoundPlan, check_ins: Iterable[Reading], as_of: int) -> Evaluation:
    """Judge every visit of a round as it stands at `as_of`. Never raises; the order of `check_ins` does not matter.

    In any order, points do not compete, so each point's visits and stays are a weighted assignment (Hungarian method).
    Its cost, level by level: most visits on time, then most early or late, then least time beside the plan; required
    visits before optional ones and earlier ones before later ones. On time comes before "not missed" because then a
    check-in more never makes another visit worse (an augmenting path takes nothing from whoever it passes).

    In exact order, the longest increasing alignment of visits and stays (dynamic programming, since an assignment knows
    no order): most required visits in order, then most optional ones, then most on time, then least time beside the
    plan. What is left of both is assigned as above and is in the wrong order. Greedy matching would call everything
    after one early reading wrong; this blames the fewest that explain what was read.
    """
    bands = [band_of(plan, expected) for expected in plan.expected]
    stays, strange = _stays(plan, check_ins, as_of)
    kept: dict[int, _Fit] = {}
    chained: frozenset[int] = frozenset()
    if plan.order is not Order.FREE:
        kept = _in_order(plan, bands, stays)
        chained = frozenset(kept)
    kept |= _assigned(plan, bands, stays, kept)
    legs = _legs(plan, stays, kept)
    visits = []
    for index, (expected, band) in enumerate(zip(plan.expected, bands, strict=True)):
        fit = kept.get(index)
        out_of_order = plan.order is not Order.FREE and fit is not None and index not in chained
        visits.append(_judged(plan, expected, band, fit, legs.get(index), out_of_order=out_of_order, as_of=as_of))
    _measure(plan, stays, kept, visits, as_of)
    used = {visit.check_in for visit in visits} | {one for visit in visits for one in visit.detail.repeats}
    unused = [one for stay in stays for one in stay.readings if one.id not in used] + strange
    return Evaluation(visits=tuple(visits), unused=tuple(one.id for one in sorted(unused, key=_by_time)))


def unread(plan: RoundPlan, nth: int) -> Judged:
    """Judge the visit at this place of the plan as one that has closed and for which nothing was read at all."""
    expected = plan.expected[nth]
    band = band_of(plan, expected)
    return _judged(plan, expected, band, None, None, out_of_order=False, as_of=band.closes + 1)


def true_since(visit: Judged) -> int:
    """Since when an exception is one, whenever somebody found out."""
    if visit.check_in is None or visit.detail.at_ms is None:
        return visit.closes_ms
    return visit.due_ms if visit.outcome is Outcome.LATE else visit.detail.at_ms


Span = tuple[int, int]
"""From when until before when, Unix ms."""

_LEVEL: Final = 64
_DISTANCE_MOST: Final = 1 << 50
"""A greater distance than any in our time; so many visits that their sum reaches the next level are no round."""


@dataclass(frozen=True, slots=True)
class Band:
    """When a visit counts: on time from `low` to `high`, both included; early from `opens`, late until `closes`."""

    opens: int
    low: int
    high: int
    closes: int
    at: int | None

    def timing(self, at_ms: int) -> Outcome | None:
        """What a check-in at this time is; None: it does not count."""
        if self.low <= at_ms <= self.high:
            return Outcome.ON_TIME
        if self.opens <= at_ms < self.low:
            return Outcome.EARLY
        return Outcome.LATE if self.high < at_ms <= self.closes else None

    def off_ms(self, at_ms: int) -> int:
        """How far outside the on-time band."""
        return min(0, at_ms - self.low) + max(0, at_ms - self.high)

    def distance(self, at_ms: int) -> int:
        """How far from the plan."""
        return min(abs(self.off_ms(at_ms) if self.at is None else at_ms - self.at), _DISTANCE_MOST)


@dataclass(frozen=True, slots=True)
class _Stay:
    """Readings of one point that are one stay, by time."""

    point: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    """A stay, by its place among all, that a visit may have, and which of its readings counts."""

    stay: int
    reading: Reading
    timing: Outcome
    distance: int


@dataclass(frozen=True, slots=True)
class _Leg:
    took_ms: int
    least_ms: int
    before: str


def _by_time(one: Reading) -> tuple[int, str]:
    return one.at_ms, one.id


def band_of(plan: RoundPlan, expected: Expected) -> Band:
    """When a visit counts."""
    if expected.at_ms is None:
        low, high = plan.starts_ms, max(plan.starts_ms, plan.ends_ms)
    else:
        low = high = expected.at_ms
    low, high = low - max(0, expected.buffer_ms), high + max(0, expected.buffer_ms)
    extended = max(0, expected.extended_ms)
    return Band(low - extended, low, high, high + extended, expected.at_ms)


def _stays(plan: RoundPlan, check_ins: Iterable[Reading], as_of: int) -> tuple[list[_Stay], list[Reading]]:
    """The stays at points of the plan, by time, and what was read elsewhere."""
    dwell: dict[str, int] = {}
    first: dict[str, int] = {}
    for index, expected in enumerate(plan.expected):
        dwell[expected.point] = max(dwell.get(expected.point, 0), expected.dwell_ms)
        first.setdefault(expected.point, index)
    known = {one.id: one for one in sorted(check_ins, key=_by_time, reverse=True) if one.at_ms <= as_of}
    strange = [one for one in known.values() if one.point not in first]
    found: list[_Stay] = []
    here: list[Reading] = []
    for one in sorted(
        (one for one in known.values() if one.point in first),
        key=lambda one: (one.at_ms, first[one.point or ""], one.id),
    ):
        point = one.point or ""
        if here and (point != here[0].point or one.at_ms - here[0].at_ms > REPEAT_MS + dwell[point]):
            found.append(_Stay(here[0].point or "", tuple(here)))
            here = []
        here.append(one)
    if here:
        found.append(_Stay(here[0].point or "", tuple(here)))
    return found, strange


def _fit(band: Band, stay: int, readings: Sequence[Reading]) -> _Fit | None:
    """The best reading of a stay for a visit."""
    best: tuple[bool, int, int, str] | None = None
    found: _Fit | None = None
    for one in readings:
        timing = band.timing(one.at_ms)
        if timing is None:
            continue
        distance = band.distance(one.at_ms)
        key = (timing is not Outcome.ON_TIME, distance, one.at_ms, one.id)
        if best is None or key < best:
            best, found = key, _Fit(stay, one, timing, distance)
    return found


def _in_order(plan: RoundPlan, bands: Sequence[Band], stays: Sequence[_Stay]) -> dict[int, _Fit]:
    at: dict[str, list[int]] = {}
    for number, stay in enumerate(stays):
        at.setdefault(stay.point, []).append(number)
    fits: list[dict[int, _Fit]] = []
    gains: list[dict[int, int]] = []
    for expected, band in zip(plan.expected, bands, strict=True):
        mine = {}
        for number in at.get(expected.point, ()):
            if (fit := _fit(band, number, stays[number].readings)) is not None:
                mine[number] = fit
        fits.append(mine)
        required = 1 << (3 * _LEVEL if not expected.optional else 2 * _LEVEL + 32)
        gains.append(
            {
                number: required + ((fit.timing is Outcome.ON_TIME) << 2 * _LEVEL) - fit.distance
                for number, fit in mine.items()
            }
        )
    return {row: fits[row][number] for row, number in in_order(gains, len(stays)).items()}


def _assigned(
    plan: RoundPlan, bands: Sequence[Band], stays: Sequence[_Stay], kept: Mapping[int, _Fit]
) -> dict[int, _Fit]:
    """Stays for the visits that have none, point by point, from those that nobody has."""
    taken = {fit.stay for fit in kept.values()}
    free: dict[str, list[int]] = {}
    for number, stay in enumerate(stays):
        if number not in taken:
            free.setdefault(stay.point, []).append(number)
    waiting: dict[str, list[int]] = {}
    for index, expected in enumerate(plan.expected):
        if index not in kept and expected.point in free:
            waiting.setdefault(expected.point, []).append(index)
    found: dict[int, _Fit] = {}
    for point, visits in waiting.items():
        visits.sort(key=lambda index: (plan.expected[index].optional, index))
        numbers, many = free[point], len(visits)
        fits: list[dict[int, _Fit]] = []
        gains: list[dict[int, int]] = []
        for rank, index in enumerate(visits):
            mine = {}
            for column, number in enumerate(numbers):
                if (fit := _fit(bands[index], number, stays[number].readings)) is not None:
                    mine[column] = fit
            fits.append(mine)
            on_time, somehow = 1 << (2 * many - 1 - rank), 1 << (many - 1 - rank)
            gains.append(
                {
                    column: ((on_time if fit.timing is Outcome.ON_TIME else somehow) << _LEVEL) - fit.distance
                    for column, fit in mine.items()
                }
            )
        for row, column in assign(gains, len(numbers)).items():
            found[visits[row]] = fits[row][column]
    return found


def _legs(plan: RoundPlan, stays: Sequence[_Stay], kept: Mapping[int, _Fit]) -> dict[int, _Leg]:
    """How long each guard took from the visit before, where a least time is known."""
    found: dict[int, _Leg] = {}
    last: dict[str, _Fit] = {}
    for index, fit in sorted(kept.items(), key=lambda one: one[1].stay):
        guard = fit.reading.guard
        if guard is None:
            continue
        before = last.get(guard)
        last[guard] = fit
        if before is None:
            continue
        least_ms = plan.legs.get((stays[before.stay].point, stays[fit.stay].point), 0)
        if least_ms > 0:
            left = stays[before.stay].readings[-1]
            came = stays[fit.stay].readings[0]
            found[index] = _Leg(max(0, came.at_ms - left.at_ms), least_ms, left.id)
    return found


def _judged(
    plan: RoundPlan,
    expected: Expected,
    band: Band,
    fit: _Fit | None,
    leg: _Leg | None,
    *,
    out_of_order: bool,
    as_of: int,
) -> Judged:
    timing = fit.timing if fit is not None else Outcome.MISSED if as_of > band.closes else Outcome.PENDING
    at_ms = None if fit is None else fit.reading.at_ms
    detail = Detail(
        timing=timing,
        at_ms=at_ms,
        guard=None if fit is None else fit.reading.guard,
        off_ms=0 if at_ms is None else band.off_ms(at_ms),
        leg_ms=None if leg is None else leg.took_ms,
        leg_least_ms=None if leg is None else leg.least_ms,
        before=None if leg is None else leg.before,
    )
    outcome = timing
    if out_of_order:
        outcome, detail = Outcome.WRONG_ORDER, replace(detail, out_of_order=True)
    elif detail.too_fast:
        outcome = Outcome.TOO_FAST
    if outcome in EXCUSABLE and not detail.too_fast:
        excuse = _excuse(plan, expected, band)
        if excuse is not None:
            outcome, detail = Outcome.EXCUSED, replace(detail, excuse=excuse.reason, evidence=excuse.evidence)
        elif expected.optional:
            outcome, detail = Outcome.EXCUSED, replace(detail, excuse=Reason.OPTIONAL)
    return Judged(
        point=expected.point,
        outcome=outcome,
        check_in=None if fit is None else fit.reading.id,
        due_ms=band.high,
        closes_ms=band.closes,
        detail=detail,
    )


def counts(excuse: Excuse, point: str, band: Band) -> bool:
    """Whether an excuse counts for a visit of a point: at once with a time, else when it takes half of it."""
    if excuse.points is not None and point not in excuse.points:
        return False
    shared = min(excuse.to_ms, band.high) - max(excuse.from_ms, band.low)
    return shared >= 0 and (band.at is not None or 2 * shared >= band.high - band.low)


def _excuse(plan: RoundPlan, expected: Expected, band: Band) -> Excuse | None:
    """The first excuse that counts for this visit."""
    found = (excuse for excuse in plan.excuses if counts(excuse, expected.point, band))
    return min(found, key=lambda one: (one.from_ms, one.reason, one.evidence), default=None)


def answering(bands: Sequence[Band], served: Mapping[str, Sequence[Span]]) -> dict[str, frozenset[int]]:
    """For which visits each listed guard answers where nobody makes them, by their places in the plan.

    Whoever was on duty for at least half of the time in which a visit is on time, or for no less of it than anybody
    else: so for each visit somebody answers if anybody was there, and nobody for what was due before he came or after
    he went (relief, swap, stand-in, leave).
    """
    found: dict[str, set[int]] = {guard: set() for guard in served}
    for nth, band in enumerate(bands):
        low, until = band.low, band.high + 1
        shared = {
            guard: sum(max(0, min(to_ms, until) - max(from_ms, low)) for from_ms, to_ms in spans)
            for guard, spans in served.items()
        }
        most = max(shared.values(), default=0)
        for guard, here in shared.items():
            if here and (2 * here >= band.high - low or here == most):
                found[guard].add(nth)
    return {guard: frozenset(places) for guard, places in found.items()}


def _measure(
    plan: RoundPlan, stays: Sequence[_Stay], kept: Mapping[int, _Fit], visits: list[Judged], as_of: int
) -> None:
    """Write down how long each stay was: until the last reading there before another point was read."""
    taken = sorted(fit.stay for fit in kept.values())
    for index, fit in kept.items():
        after = bisect_right(taken, fit.stay)
        until = taken[after] if after < len(taken) else len(stays)
        readings = [*stays[fit.stay].readings]
        number = fit.stay + 1
        while number < until and stays[number].point == stays[fit.stay].point:
            readings += stays[number].readings
            number += 1
        repeats = tuple(one.id for one in readings if one.id != fit.reading.id)
        least_ms = plan.expected[index].dwell_ms
        if not repeats and least_ms <= 0:
            continue
        detail = replace(visits[index].detail, repeats=repeats)
        if least_ms > 0:
            stay_ms = readings[-1].at_ms - readings[0].at_ms
            left = number < len(stays) or as_of > visits[index].closes_ms
            detail = replace(detail, stay_ms=stay_ms, dwell_short=left and stay_ms < least_ms)
        visits[index] = replace(visits[index], detail=detail)
