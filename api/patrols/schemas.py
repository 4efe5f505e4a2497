"""What HTTP takes and gives of plans and rounds."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from api.clock import iso
from api.patrols.civil import EVERY_DAY, Holidays
from api.patrols.judging import judged_of
from api.patrols.models import (
    Checkpoint,
    PatrolDay,
    PatrolException,
    PatrolPlan,
    PatrolRescore,
    PatrolRound,
    PatrolRoute,
    PatrolRouteVisit,
    PatrolShift,
    PatrolVisit,
)
from api.patrols.rules import OUTCOME_WORDS, REASON_WORDS, Order, Outcome, Reason
from api.shapes import Answer, Asked, CivilDay, WordsAnswer, words_answer
from broker.ids import SEGMENT

DAY_MIN: Final = 1_440
POINTS_MOST: Final = 200
ROUNDS_MOST: Final = 48

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=96)]
Minutes = Annotated[int, Field(ge=0, le=DAY_MIN)]


class NewCheckpoint(Asked):
    """A patrol point. With a reader: the gateway, and the reader's name there."""

    id: Segment
    area: Segment
    name: Line = Field(examples=["东门"])
    place: Segment | None = None
    gateway: Segment | None = None
    reader: Segment | None = None
    dwell_min: Minutes = 0


class CheckpointAnswer(Answer):
    """A patrol point."""

    id: str
    area: str
    name: str
    place: str | None
    gateway: str | None
    reader: str | None
    dwell_min: int
    since: datetime
    until: datetime | None


class CheckpointList(Answer):
    """Those that you reach, by id."""

    items: tuple[CheckpointAnswer, ...]


class LegAsked(Asked):
    """The least seconds that somebody takes from a checkpoint to another; `both_ways`: and back."""

    from_point: Segment
    to_point: Segment
    least_s: Annotated[int, Field(ge=1, le=86_400)]
    both_ways: bool = True


class LegAnswer(Answer):
    """One way from a checkpoint to another."""

    from_point: str
    to_point: str
    least_s: int


class LegList(Answer):
    """Those between checkpoints that you reach."""

    items: tuple[LegAnswer, ...]


class VisitAsked(Asked):
    """A point of a route. `after_min` counts from the beginning of the round; without it, at any time of the round.

    On time within `buffer_min`; early or late within `extended_min` beyond that. `dwell_min` None: as the point says.
    """

    point: Segment
    after_min: Minutes | None = None
    buffer_min: Minutes = 5
    extended_min: Minutes = 10
    optional: bool = False
    dwell_min: Minutes | None = None


class NewRoute(Asked):
    """A route: its points, and how they follow on one another."""

    id: Segment
    area: Segment
    name: Line = Field(examples=["北片夜巡线"])
    order: Order
    visits: Annotated[tuple[VisitAsked, ...], Field(max_length=POINTS_MOST)]


class VisitPlanned(Answer):
    """A point of a route."""

    point: str
    after_min: int | None
    buffer_min: int
    extended_min: int
    optional: bool
    dwell_min: int


class RouteAnswer(Answer):
    """A route."""

    id: str
    area: str
    name: str
    order: Order
    visits: tuple[VisitPlanned, ...]
    since: datetime
    until: datetime | None


class RouteList(Answer):
    """Those that you reach, by id."""

    items: tuple[RouteAnswer, ...]


class NewShift(Asked):
    """From a time of day, for some minutes; past midnight it belongs to the day on which it begins."""

    id: Segment
    area: Segment
    name: Line = Field(examples=["夜班"])
    starts_min: Annotated[int, Field(ge=0, lt=DAY_MIN)]
    lasts_min: Annotated[int, Field(ge=1, le=DAY_MIN)]


class ShiftAnswer(Answer):
    """A shift."""

    id: str
    area: str
    name: str
    starts_min: int
    lasts_min: int
    since: datetime
    until: datetime | None


class ShiftList(Answer):
    """Those that you reach, by id."""

    items: tuple[ShiftAnswer, ...]


class NewPlan(Asked):
    """A route that is walked in a shift. `begins_min`: when rounds begin, after the beginning of the shift.

    A temporary plan takes the place of the route's routine plans on its days; without rounds nobody walks then (停巡).
    """

    route: Segment
    shift: Segment
    company: Segment | None = None
    begins_min: Annotated[tuple[Minutes, ...], Field(max_length=ROUNDS_MOST)]
    lasts_min: Annotated[int, Field(ge=1, le=DAY_MIN)]
    weekdays: Annotated[frozenset[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1)] = frozenset(range(1, 8))
    holidays: Holidays = Holidays.ALSO
    month_days: Annotated[int, Field(ge=1, le=EVERY_DAY, description="Bit 0 is the first of the month")] = EVERY_DAY
    from_day: CivilDay | None = None
    to_day: CivilDay | None = None
    temporary: bool = False


class PlanAnswer(Answer):
    """A plan."""

    number: int
    area: str
    route: str
    shift: str
    company: str | None
    begins_min: tuple[int, ...]
    lasts_min: int
    weekdays: tuple[int, ...]
    holidays: Holidays
    month_days: int
    from_day: date | None
    to_day: date | None
    temporary: bool
    since: datetime
    until: datetime | None


class PlanPage(Answer):
    """A page, newest first."""

    items: tuple[PlanAnswer, ...]
    next: str | None


class DayAsked(Asked):
    """What a day counts as: 0 is a holiday, 1 to 7 another weekday."""

    counts_as: Annotated[int, Field(ge=0, le=7)]
    name: Line = Field(examples=["国庆节"])


class DayAnswer(Answer):
    """A day that counts as something else than its own weekday."""

    day: date
    counts_as: int
    name: str


class DayList(Answer):
    """Those of a year, by day."""

    items: tuple[DayAnswer, ...]


class VisitAnswer(Answer):
    """What became of an expected visit. `off_s`: how far outside its on-time band, negative early."""

    nth: int
    point: str
    point_name: str
    planned: datetime | None
    due: datetime
    closes: datetime
    optional: bool
    outcome: Outcome
    outcome_words: WordsAnswer
    by_the_clock: Outcome
    check_in: str | None
    weight: int | None
    """Of that check-in as evidence: 100 a fixed reader, 10 a witness."""
    at: datetime | None
    off_s: int
    out_of_order: bool
    leg_s: int | None
    leg_least_s: int | None
    stay_s: int | None
    dwell_short: bool
    excuse: Reason | None
    excuse_words: WordsAnswer | None
    evidence: str | None


class RoundAnswer(Answer):
    """A round; `evaluations` counts how often it was judged: once, and again for late data."""

    number: int
    id: str
    plan: int
    route: str
    route_name: str
    area: str
    company: str | None
    day: date
    order: Order
    begins: datetime
    ends: datetime
    judged: datetime | None
    evaluations: int


class RoundPage(Answer):
    """A page, newest first."""

    items: tuple[RoundAnswer, ...]
    next: str | None


class GoingVisit(VisitAnswer):
    """A visit of a round that goes on. `seen`: when somebody of it was read there; it is judged when the round is."""

    seen: datetime | None


class RoundVisitsAnswer(RoundAnswer):
    """A round with what has become of its visits so far."""

    visits: tuple[GoingVisit, ...]


class RoundsNow(Answer):
    """A page, newest first."""

    items: tuple[RoundVisitsAnswer, ...]
    next: str | None


class RescoreAnswer(Answer):
    """What late data changed about a visit."""

    point: str
    point_name: str
    at: datetime
    before: Outcome
    before_words: WordsAnswer
    before_check_in: str | None
    after: Outcome
    after_words: WordsAnswer
    after_check_in: str | None


class RoundDetailAnswer(RoundAnswer):
    """A round with its guards, as far as you may know them, its visits, and what late data changed."""

    guards: tuple[str, ...]
    visits: tuple[VisitAnswer, ...]
    rescored: tuple[RescoreAnswer, ...]


class OwnGroup(Answer):
    """A group in which he serves: where what he reports may be."""

    id: str
    name: str


class OwnPoint(Answer):
    """A checkpoint. `group`: in which group it is, where that is known."""

    id: str
    name: str
    group: str | None


class LastSeen(Answer):
    """Where he checked in last, today."""

    point: OwnPoint
    at: datetime


class OwnVisit(Answer):
    """An expected visit. It counts from `opens` to `closes` and is on time until `due`.

    `seen`: when somebody of this round checked in there, also where it is not judged yet.
    """

    nth: int
    point: OwnPoint
    planned: datetime | None
    opens: datetime
    due: datetime
    closes: datetime
    optional: bool
    dwell_s: int
    seen: datetime | None
    outcome: Outcome
    outcome_words: WordsAnswer
    excuse_words: WordsAnswer | None


class OwnRound(RoundAnswer):
    """One's own round, with what is still to do."""

    name: str
    visits: tuple[OwnVisit, ...]


class OwnRounds(Answer):
    """Somebody's own rounds from twelve hours ago until eighteen from now, in order, and where he was last."""

    guard: str
    service_number: str | None
    name: str | None
    rounds: tuple[OwnRound, ...]
    last: LastSeen | None
    groups: tuple[OwnGroup, ...]


class ExceptionAnswer(Answer):
    """A visit that was not made as planned: since when that is so, and since when it is known."""

    number: int
    round: int
    route: str
    route_name: str
    area: str
    point: str
    point_name: str
    outcome: Outcome
    outcome_words: WordsAnswer
    due: datetime
    detected: datetime


class ExceptionPage(Answer):
    """A page, newest first."""

    items: tuple[ExceptionAnswer, ...]
    next: str | None


def _until(to_ms: int | None) -> datetime | None:
    return None if to_ms is None else iso(to_ms)


def checkpoint_answer(row: Checkpoint) -> CheckpointAnswer:
    """A row as HTTP shows it."""
    return CheckpointAnswer(
        id=row.id,
        area=row.area,
        name=row.name,
        place=row.place,
        gateway=row.gateway,
        reader=row.reader,
        dwell_min=row.dwell_min,
        since=iso(row.from_ms),
        until=_until(row.to_ms),
    )


def route_answer(row: PatrolRoute, visits: list[PatrolRouteVisit]) -> RouteAnswer:
    """A row with its points."""
    return RouteAnswer(
        id=row.id,
        area=row.area,
        name=row.name,
        order=Order(row.order),
        visits=tuple(
            VisitPlanned(
                point=one.point,
                after_min=one.after_min,
                buffer_min=one.buffer_min,
                extended_min=one.extended_min,
                optional=one.optional,
                dwell_min=one.dwell_min,
            )
            for one in visits
        ),
        since=iso(row.from_ms),
        until=_until(row.to_ms),
    )


def shift_answer(row: PatrolShift) -> ShiftAnswer:
    """A row as HTTP shows it."""
    return ShiftAnswer(
        id=row.id,
        area=row.area,
        name=row.name,
        starts_min=row.starts_min,
        lasts_min=row.lasts_min,
        since=iso(row.from_ms),
        until=_until(row.to_ms),
    )


def plan_answer(row: PatrolPlan) -> PlanAnswer:
    """A row as HTTP shows it."""
    assert row.number is not None
    return PlanAnswer(
        number=row.number,
        area=row.area,
        route=row.route,
        shift=row.shift,
        company=row.company,
        begins_min=tuple(int(word) for word in row.begins_min.split()),
        lasts_min=row.lasts_min,
        weekdays=tuple(int(digit) for digit in row.weekdays),
        holidays=Holidays(row.holidays),
        month_days=row.month_days,
        from_day=None if row.from_day is None else date.fromisoformat(row.from_day),
        to_day=None if row.to_day is None else date.fromisoformat(row.to_day),
        temporary=row.temporary,
        since=iso(row.from_ms),
        until=_until(row.to_ms),
    )


def day_answer(row: PatrolDay) -> DayAnswer:
    """A row as HTTP shows it."""
    return DayAnswer(day=date.fromisoformat(row.day), counts_as=row.counts_as, name=row.name)


Names = Mapping[str, str]
"""What things are called, by id; what is not there is called by its id."""


def _round(row: PatrolRound, routes: Names) -> dict[str, object]:
    return {
        "number": row.number,
        "id": row.id,
        "plan": row.plan,
        "route": row.route,
        "route_name": routes.get(row.route, row.route),
        "area": row.area,
        "company": row.company,
        "day": date.fromisoformat(row.day),
        "order": Order(row.order),
        "begins": iso(row.starts_ms),
        "ends": iso(row.ends_ms),
        "judged": _until(row.evaluated_ms),
        "evaluations": row.evaluations,
    }


def round_answer(row: PatrolRound, routes: Names) -> RoundAnswer:
    """A row as HTTP shows it."""
    return RoundAnswer.model_validate(_round(row, routes))


def visit_answer(row: PatrolVisit, points: Names, weights: Mapping[str, int]) -> VisitAnswer:
    """A visit as it stands. `weights`: of check-ins."""
    judged = judged_of(row)
    detail = judged.detail
    return VisitAnswer(
        nth=row.nth,
        point=row.point,
        point_name=points.get(row.point, row.point),
        planned=_until(row.at_ms),
        due=iso(row.due_ms),
        closes=iso(row.closes_ms),
        optional=row.optional,
        outcome=judged.outcome,
        outcome_words=words_answer(OUTCOME_WORDS[judged.outcome]),
        by_the_clock=detail.timing,
        check_in=row.check_in,
        weight=weights.get(row.check_in or ""),
        at=_until(detail.at_ms),
        off_s=round(detail.off_ms / 1_000),
        out_of_order=detail.out_of_order,
        leg_s=None if detail.leg_ms is None else detail.leg_ms // 1_000,
        leg_least_s=None if detail.leg_least_ms is None else detail.leg_least_ms // 1_000,
        stay_s=None if detail.stay_ms is None else detail.stay_ms // 1_000,
        dwell_short=detail.dwell_short,
        excuse=detail.excuse,
        excuse_words=None if detail.excuse is None else words_answer(REASON_WORDS[detail.excuse]),
        evidence=detail.evidence,
    )


def round_with_visits(
    row: PatrolRound,
    visits: list[PatrolVisit],
    seen: Mapping[int, int],
    *,
    points: Names,
    routes: Names,
    weights: Mapping[str, int],
) -> RoundVisitsAnswer:
    """A round as far as it has gone. `seen`: when somebody was read, ms, by the place of the visit."""
    shown = [
        GoingVisit(**dict(visit_answer(visit, points, weights)), seen=_until(seen.get(visit.nth))) for visit in visits
    ]
    return RoundVisitsAnswer.model_validate({**_round(row, routes), "visits": tuple(shown)})


def own_visit(row: PatrolVisit, point: OwnPoint, seen_ms: int | None) -> OwnVisit:
    """A visit as whoever is to make it sees it."""
    judged = judged_of(row)
    excuse = judged.detail.excuse
    return OwnVisit(
        nth=row.nth,
        point=point,
        planned=_until(row.at_ms),
        opens=iso(row.opens_ms),
        due=iso(row.due_ms),
        closes=iso(row.closes_ms),
        optional=row.optional,
        dwell_s=row.dwell_ms // 1_000,
        seen=_until(seen_ms),
        outcome=judged.outcome,
        outcome_words=words_answer(OUTCOME_WORDS[judged.outcome]),
        excuse_words=None if excuse is None else words_answer(REASON_WORDS[excuse]),
    )


def own_round(row: PatrolRound, name: str, visits: tuple[OwnVisit, ...]) -> OwnRound:
    """A round as whoever walks it sees it."""
    return OwnRound.model_validate({**_round(row, {row.route: name}), "name": name, "visits": visits})


def last_seen(point: OwnPoint, at_ms: int) -> LastSeen:
    """Where he was last."""
    return LastSeen(point=point, at=iso(at_ms))


def round_detail(
    row: PatrolRound,
    guards: list[str],
    visits: list[PatrolVisit],
    changes: list[PatrolRescore],
    *,
    points: Names,
    routes: Names,
    weights: Mapping[str, int],
) -> RoundDetailAnswer:
    """A round, whole."""
    where = {visit.number: visit.point for visit in visits}
    return RoundDetailAnswer.model_validate(
        {
            **_round(row, routes),
            "guards": tuple(guards),
            "visits": tuple(visit_answer(visit, points, weights) for visit in visits),
            "rescored": tuple(
                RescoreAnswer(
                    point=where[one.visit],
                    point_name=points.get(where[one.visit], where[one.visit]),
                    at=iso(one.at_ms),
                    before=Outcome(one.before),
                    before_words=words_answer(OUTCOME_WORDS[Outcome(one.before)]),
                    before_check_in=one.before_check_in,
                    after=Outcome(one.after),
                    after_words=words_answer(OUTCOME_WORDS[Outcome(one.after)]),
                    after_check_in=one.after_check_in,
                )
                for one in changes
            ),
        }
    )


def exception_answer(
    row: PatrolException,
    visit: PatrolVisit,
    round_: PatrolRound,
    *,
    points: Names,
    routes: Names,
) -> ExceptionAnswer:
    """An exception, with where it was, by id and name."""
    outcome = Outcome(row.outcome)
    return ExceptionAnswer(
        number=row.number or 0,
        round=row.round,
        route=round_.route,
        route_name=routes.get(round_.route, round_.route),
        area=round_.area,
        point=visit.point,
        point_name=points.get(visit.point, visit.point),
        outcome=outcome,
        outcome_words=words_answer(OUTCOME_WORDS[outcome]),
        due=iso(row.due_ms),
        detected=iso(row.detected_ms),
    )
