"""Figures from cases: pure, exact, the same wherever they are computed.

Theory:

1. A case is what is known of one alarm. Reports make cases of the alarm table; `shouwang assess` makes them anew from
   the log (signed envelopes and steps). The figures of both must agree to the digit, so they are counts, whole
   milliseconds and fractions of counts; nothing is rounded before it is shown.
2. Drills and tests never count, whoever found them to be one.
3. A percentile is the nearest rank: a time that some alarm really took, never one between two.
4. A share of nothing is unknown (None), not 0 and not 100 %.
5. On time means: closed within CLOSE_WITHIN_MS of its arrival, or within the deadline of whoever urged it last. What is
   still open and not due yet counts neither way; what is open and overdue counts against.
6. A card weighs shares (WEIGHTS); a share that is unknown takes its weight with it, and a card of which more than half
   is unknown has no score. Nobody is scored on how many alarms there were, or how many of them were false.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from broker.kinds import Words

HOUR_MS: Final = 3_600_000
CLOSE_WITHIN_MS: Final = 24 * HOUR_MS
ACKNOWLEDGE_WITHIN_MS: Final = 60_000
"""The first rung of the ladder: after it, an alarm climbs."""
FOLLOW_UP_WITHIN_MS: Final = 7 * 24 * HOUR_MS
REPEATED: Final = 2
"""So many alarms from one place in the time of a report are worth a look (研判)."""
NOT_IN_EARNEST: Final = frozenset({"test", "drill"})
"""Kinds, marks and outcomes that never count."""


class Period(StrEnum):
    """How long a report is over."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Span:
    """From when until before when, Unix milliseconds."""

    from_ms: int
    to_ms: int


def span(period: Period, day: date, zone: ZoneInfo) -> Span:
    """The day, week (from Monday), month or year in which `day` lies, in civil time."""
    first = day
    if period is Period.WEEK:
        first = day - timedelta(days=day.weekday())
    elif period is Period.MONTH:
        first = day.replace(day=1)
    elif period is Period.YEAR:
        first = day.replace(month=1, day=1)
    after = {
        Period.DAY: first + timedelta(days=1),
        Period.WEEK: first + timedelta(days=7),
        Period.MONTH: (first + timedelta(days=31)).replace(day=1),
        Period.YEAR: (first + timedelta(days=366)).replace(month=1, day=1),
    }[period]
    return Span(_midnight(first, zone), _midnight(after, zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One alarm. Times are the station's, Unix milliseconds; None: it has not come to that.

    `areas`: every area that it lay in when it came. `handler`: whoever resolved it.
    """

    id: str
    kind: str
    mark: str | None
    place: str | None
    group: str | None
    areas: frozenset[str]
    happened_ms: int
    received_ms: int
    acknowledged_ms: int | None = None
    on_scene_ms: int | None = None
    resolved_ms: int | None = None
    handler: str | None = None
    outcome: str | None = None
    due_ms: int | None = None
    followed_up_ms: int | None = None
    satisfaction: int | None = None

    @property
    def counts(self) -> bool:
        """Whether it was in earnest."""
        return not {self.kind, self.mark, self.outcome} & NOT_IN_EARNEST


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    part: int
    whole: int

    @property
    def value(self) -> Fraction | None:
        """Between 0 and 1; None of nothing."""
        return Fraction(self.part, self.whole) if self.whole else None


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took, in milliseconds: how often it happened, the middle and the ninth tenth."""

    count: int
    p50_ms: int | None
    p90_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the cases of one area and time came to."""

    alarms: int
    by_kind: Mapping[str, int]
    by_hour: tuple[int, ...]
    """24 counts, by the hour of the day in civil time."""
    acknowledge: Times
    arrive: Times
    acknowledged_on_time: Share
    closed: Share
    closed_on_time: Share
    false_alarms: Share
    valid_alarms: Share
    followed_up: Share
    satisfied: Share
    """4 or 5 of 5, of those who said something."""
    repeated: Mapping[str, int]
    """Places from which several came, with how many."""


def figures(cases: Iterable[Case], *, now_ms: int, zone: ZoneInfo) -> Figures:
    """The figures of these cases, as they stand at `now_ms`."""
    counted = sorted((case for case in cases if case.counts), key=lambda case: case.id)
    resolved = [case for case in counted if case.resolved_ms is not None]
    hours = Counter(datetime.fromtimestamp(case.happened_ms / 1_000, UTC).astimezone(zone).hour for case in counted)
    places = Counter(case.place for case in counted if case.place is not None)
    said = [case.satisfaction for case in counted if case.satisfaction is not None]
    return Figures(
        alarms=len(counted),
        by_kind=dict(sorted(Counter(case.kind for case in counted).items())),
        by_hour=tuple(hours[hour] for hour in range(24)),
        acknowledge=_times(counted, lambda case: case.acknowledged_ms),
        arrive=_times(counted, lambda case: case.on_scene_ms),
        acknowledged_on_time=_on_time(
            counted, lambda case: case.acknowledged_ms, lambda case: case.received_ms + ACKNOWLEDGE_WITHIN_MS, now_ms
        ),
        closed=Share(len(resolved), len(counted)),
        closed_on_time=_on_time(counted, lambda case: case.resolved_ms, _close_by, now_ms),
        false_alarms=Share(sum(case.outcome == "false" for case in resolved), len(resolved)),
        valid_alarms=Share(sum(case.outcome == "real" for case in resolved), len(resolved)),
        followed_up=_on_time(resolved, lambda case: case.followed_up_ms, _ask_by, now_ms),
        satisfied=Share(sum(value >= 4 for value in said), len(said)),
        repeated={place: many for place, many in sorted(places.items()) if many >= REPEATED},
    )


WEIGHTS: Final[Mapping[str, int]] = {
    "acknowledged_on_time": 30,
    "closed_on_time": 35,
    "followed_up": 15,
    "satisfied": 20,
}
"""What a card weighs, of 100."""

MEASURE_WORDS: Final[Mapping[str, Words]] = {
    "acknowledged_on_time": Words("按时签收率", "acknowledged on time"),
    "closed_on_time": Words("按时办结率", "closed on time"),
    "followed_up": Words("按时回访率", "followed up on time"),
    "satisfied": Words("满意率", "satisfied"),
    "closed": Words("办结率", "closed"),
    "false_alarms": Words("误报率", "false alarms"),
    "valid_alarms": Words("有效报警率", "valid alarms"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one grid worker was given to do in a time, and what came of it."""

    tasks_on_time: Share
    """Of the tasks laid on him that are done or due: done by their deadline."""
    matters: int
    """Hazards and incidents that he took."""
    matters_on_time: Share
    """Closed within MATTER_WITHIN_MS, of those closed or overdue."""
    satisfied: Share
    """4 or 5 of 5, of the reporters who said something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A scorecard: the figures of whoever is scored, and the score of 100 in tenths; None when too little is known."""

    owner: str
    figures: Figures
    score_tenths: int | None


def card(owner: str, found: Figures) -> Card:
    """Score one set of figures."""
    return Card(owner=owner, figures=found, score_tenths=_score(found, WEIGHTS))


def _score(found: Figures | Work, weights: Mapping[str, int]) -> int | None:
    shares: dict[str, Share] = {name: getattr(found, name) for name in weights}
    known = {name: share.value for name, share in shares.items() if share.value is not None}
    weight = sum(weights[name] for name in known)
    if weight * 2 < sum(weights.values()):
        return None
    return _half_up(sum((weights[name] * value for name, value in known.items()), Fraction()) / weight * 1_000)


def cards(
    cases: Sequence[Case], owners: Iterable[str], *, now_ms: int, zone: ZoneInfo, owns: Callable[[str, Case], bool]
) -> list[Card]:
    """One card for each owner, best first; those without a score stand last."""
    made = [
        card(owner, figures([case for case in cases if owns(owner, case)], now_ms=now_ms, zone=zone))
        for owner in owners
    ]
    return sorted(made, key=lambda one: (one.score_tenths is None, -(one.score_tenths or 0), one.owner))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCard:
    """A grid worker's scorecard. Alarms are not on it: how many there are is nobody's merit or fault."""

    worker: str
    work: Work
    score_tenths: int | None


WORK_WEIGHTS: Final[Mapping[str, int]] = {"tasks_on_time": 45, "matters_on_time": 35, "satisfied": 20}
"""What a grid worker's card weighs, of 100."""
MATTER_WITHIN_MS: Final = 7 * 24 * HOUR_MS


def worker_card(worker: str, work: Work) -> WorkerCard:
    """Score what a grid worker did."""
    return WorkerCard(worker=worker, work=work, score_tenths=_score(work, WORK_WEIGHTS))


def percent_tenths(share: Share) -> int | None:
    """A share in tenths of a percent, half rounded up; None of nothing."""
    return None if share.value is None else _half_up(share.value * 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complained:
    """What was complained of, in counts: about duties, never about anybody."""

    made: int
    by_about: Mapping[str, int]
    by_way: Mapping[str, int]
    answered: Share
    answered_on_time: Share
    """Of those answered or overdue."""
    founded: Share
    """In part or in whole, of those answered."""


def complained(rows: Iterable[Mapping[str, Any]], *, now_ms: int) -> Complained:
    """Count complaints: rows with `about`, `way`, `answered_ms`, `due_ms` and `finding`."""
    found = [*rows]
    answered = [one for one in found if one["answered_ms"] is not None]
    return Complained(
        made=len(found),
        by_about=dict(sorted(Counter(one["about"] for one in found).items())),
        by_way=dict(sorted(Counter(one["way"] for one in found).items())),
        answered=Share(len(answered), len(found)),
        answered_on_time=on_time(((one["answered_ms"], one["due_ms"]) for one in found), now_ms=now_ms),
        founded=Share(sum(one["finding"] in {"founded", "partly"} for one in answered), len(answered)),
    )


def on_time(done_and_due: Iterable[tuple[int | None, int]], *, now_ms: int) -> Share:
    """Of what is done or due: what was done by when it was due."""
    judged = [(at_ms, due_ms) for at_ms, due_ms in done_and_due if at_ms is not None or due_ms <= now_ms]
    return Share(sum(at_ms is not None and at_ms <= due_ms for at_ms, due_ms in judged), len(judged))


def percentile(values: Sequence[int], hundredths: int) -> int | None:
    """The nearest rank: the smallest value that at least so many hundredths of all do not exceed."""
    if not values:
        return None
    rank = -(-len(values) * hundredths // 100)
    return sorted(values)[max(rank, 1) - 1]


def _times(cases: Sequence[Case], until: Callable[[Case], int | None]) -> Times:
    took = [max(0, at_ms - case.received_ms) for case in cases if (at_ms := until(case)) is not None]
    return Times(len(took), percentile(took, 50), percentile(took, 90))


def _on_time(
    cases: Sequence[Case], done: Callable[[Case], int | None], due: Callable[[Case], int], now_ms: int
) -> Share:
    return on_time(((done(case), due(case)) for case in cases), now_ms=now_ms)


def _close_by(case: Case) -> int:
    return case.received_ms + CLOSE_WITHIN_MS if case.due_ms is None else case.due_ms


def _ask_by(case: Case) -> int:
    assert case.resolved_ms is not None
    return case.resolved_ms + FOLLOW_UP_WITHIN_MS


def _half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1_000)
