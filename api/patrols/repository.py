"""Reading and writing what is to be patrolled, and rounds. Never commits."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, bindparam, delete, func, insert, or_, tuple_, update
from sqlalchemy import select as ask
from sqlmodel import Session, SQLModel, col, select

from api.database import Bulk, BulkUpdate, table_of
from api.patrols.civil import Calendar, Days, Holidays, Plan, Route, Shift, Visit
from api.patrols.models import (
    Checkpoint,
    PatrolDay,
    PatrolException,
    PatrolHeard,
    PatrolLeg,
    PatrolPlan,
    PatrolRescore,
    PatrolRound,
    PatrolRoundGuard,
    PatrolRoute,
    PatrolRouteVisit,
    PatrolShift,
    PatrolVisit,
)
from api.patrols.rules import EXCEPTIONS, EXCUSABLE, Order
from api.register.models import Company

PORTION: Final = 500
"""How many ids one question names."""

ROUND_MOST_MS: Final = 3 * 86_400_000
"""No round is longer than a day, and neither are its bands before and after it."""

_ROUND: Final = table_of(PatrolRound)
_VISIT: Final = table_of(PatrolVisit)
_POINT: Final = table_of(Checkpoint)
_GUARD: Final = table_of(PatrolRoundGuard)
_EXCEPTION: Final = table_of(PatrolException)
_ADD_EXCEPTIONS: Final = Bulk("patrol_exception", ["visit", "round", "outcome", "due_ms", "detected_ms"])
_ADD_RESCORES: Final = Bulk(
    "patrol_rescore", ["round", "visit", "at_ms", "before", "before_check_in", "after", "after_check_in"]
)
_ADD_GUARDS: Final = Bulk("patrol_round_guard", ["round", "guard"])
_SETTLE_VISITS: Final = BulkUpdate("patrol_visit", ["outcome", "check_in", "detail", "looked_ms"], by=["number"])
_SETTLE_ROUNDS: Final = BulkUpdate("patrol_round", ["evaluated_ms", "evaluations", "again_ms"], by=["number"])
_CLEAR: Final = BulkUpdate("patrol_exception", ["cleared_ms"], by=["number"])
_GONE: Final = delete(_GUARD).where(_GUARD.c.round == bindparam("b_round"), _GUARD.c.guard == bindparam("b_guard"))
_AT_READERS: Final = (
    ask(_POINT.c.gateway, _POINT.c.reader, _POINT.c.id)
    .where(
        tuple_(_POINT.c.gateway, _POINT.c.reader).in_(bindparam("hang", expanding=True)),
        _POINT.c.to_ms.is_(None),
    )
    .order_by(_POINT.c.id)
)
_OVER: Final = (
    ask(_ROUND)
    .where(_ROUND.c.evaluated_ms.is_(None), _ROUND.c.closes_ms < bindparam("now_ms"))
    .order_by(_ROUND.c.closes_ms, _ROUND.c.number)
    .limit(bindparam("many"))
)
_AGAIN: Final = ask(_ROUND).where(_ROUND.c.again_ms >= 0).order_by(_ROUND.c.again_ms).limit(bindparam("many"))
_WAITS: Final = (
    _VISIT.c.looked_ms.is_(None),
    _VISIT.c.closes_ms < bindparam("now_ms"),
    _ROUND.c.closes_ms >= bindparam("now_ms"),
)
_VISIT_WAITS: Final = ask(_VISIT.c.number).join(_ROUND, _ROUND.c.number == _VISIT.c.round).where(*_WAITS).limit(1)
_DUE_VISITS: Final = (
    ask(_VISIT)
    .where(
        _VISIT.c.looked_ms.is_(None),
        _VISIT.c.closes_ms < bindparam("now_ms"),
        _VISIT.c.round.in_(
            ask(_VISIT.c.round)
            .join(_ROUND, _ROUND.c.number == _VISIT.c.round)
            .where(*_WAITS)
            .group_by(_VISIT.c.round)
            .order_by(func.min(_VISIT.c.closes_ms), _VISIT.c.round)
            .limit(bindparam("rounds"))
            .scalar_subquery()
        ),
    )
    .order_by(_VISIT.c.closes_ms, _VISIT.c.number)
)
_SETTLED: Final = func.coalesce(_ROUND.c.again_ms, -1) < 0
"""Nothing waits. `IS NULL` says the same, but by it SQLite prefers the index of what waits, and goes through all."""
_TOUCHED: Final = (
    ask(_VISIT)
    .join(_ROUND, _ROUND.c.number == _VISIT.c.round)
    .where(
        _VISIT.c.point.in_(bindparam("points", expanding=True)),
        _VISIT.c.closes_ms >= bindparam("from_ms"),
        _VISIT.c.closes_ms < bindparam("now_ms"),
        _VISIT.c.opens_ms <= bindparam("to_ms"),
        _ROUND.c.evaluated_ms.is_not(None),
        _SETTLED,
    )
)


Id = TypeVar("Id", int, str)


def portions(ids: Collection[Id]) -> Iterator[list[Id]]:
    """`ids`, in lists that a database takes in one question."""
    whole: list[Id] = sorted(set(ids))
    for begin in range(0, len(whole), PORTION):
        yield whole[begin : begin + PORTION]


def add(session: Session, *rows: SQLModel) -> None:
    """Insert, and number."""
    session.add_all(rows)
    session.flush()


def add_visits(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert visits of rounds by their columns: there are tens of thousands of a day."""
    if rows:
        session.connection().execute(insert(PatrolVisit), [dict(row) for row in rows])


def checkpoint(session: Session, id_: str) -> Checkpoint | None:
    """The checkpoint of this id, ended or not."""
    return session.get(Checkpoint, id_)


def checkpoints(session: Session, areas: Collection[str], *, ended: bool) -> Sequence[Checkpoint]:
    """Those of these areas, by id."""
    found = select(Checkpoint).where(col(Checkpoint.area).in_(areas))
    if not ended:
        found = found.where(col(Checkpoint.to_ms).is_(None))
    return session.exec(found.order_by(col(Checkpoint.id))).all()


def checkpoints_named(session: Session, ids: Collection[str]) -> dict[str, Checkpoint]:
    """Those of these ids, ended or not."""
    return {row.id: row for row in session.exec(select(Checkpoint).where(col(Checkpoint.id).in_(ids)))}


def point_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """What these checkpoints are called; one without a name by its id."""
    return {id_: row.name or id_ for id_, row in checkpoints_named(session, ids).items()}


def route_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """What these routes are called, ended or not."""
    found = select(PatrolRoute.id, PatrolRoute.name).where(col(PatrolRoute.id).in_(ids))
    return {id_: name or id_ for id_, name in session.exec(found)}


def at_readers(session: Session, readers: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The checkpoints at which these readers hang now, by gateway and reader."""
    found: dict[tuple[str, str], str] = {}
    whole = sorted(readers)
    for begin in range(0, len(whole), PORTION):
        rows = session.connection().execute(_AT_READERS, {"hang": whole[begin : begin + PORTION]}).all()
        found |= {(gateway, reader): id_ for gateway, reader, id_ in rows}
    return found


def routes_by(session: Session, point: str) -> set[str]:
    """The routes that go by a checkpoint."""
    return set(session.exec(select(PatrolRouteVisit.route).where(PatrolRouteVisit.point == point)))


def with_reader(session: Session) -> Sequence[Checkpoint]:
    """The checkpoints at which a reader hangs now."""
    found = select(Checkpoint).where(col(Checkpoint.gateway).is_not(None), col(Checkpoint.to_ms).is_(None))
    return session.exec(found.order_by(col(Checkpoint.id))).all()


def expected_at(session: Session, point: str, from_ms: int, to_ms: int) -> tuple[int, int]:
    """How many visits of a checkpoint opened after a moment and are over, and how many of their rounds were walked."""
    mine = (
        col(PatrolVisit.point) == point,
        col(PatrolVisit.opens_ms) > from_ms,
        col(PatrolVisit.closes_ms) > from_ms,
        col(PatrolVisit.closes_ms) <= to_ms,
    )
    visits = session.exec(select(func.count()).select_from(PatrolVisit).where(*mine)).one()
    if not visits:
        return 0, 0
    rounds = select(PatrolVisit.round).where(*mine)
    walked = select(func.count(func.distinct(PatrolVisit.round))).where(
        col(PatrolVisit.round).in_(rounds), col(PatrolVisit.check_in).is_not(None)
    )
    return visits, session.exec(walked).one()


def readers_along(session: Session, *, areas: Collection[str], route: str | None) -> list[tuple[str, str]]:
    """The readers (gateway, reader) at the checkpoints of a route, or where there is none, of these areas, now."""
    found = select(Checkpoint.gateway, Checkpoint.reader).where(
        col(Checkpoint.gateway).is_not(None), col(Checkpoint.to_ms).is_(None)
    )
    if route is None:
        found = found.where(col(Checkpoint.area).in_(areas))
    else:
        points = select(PatrolRouteVisit.point).where(PatrolRouteVisit.route == route)
        found = found.where(col(Checkpoint.id).in_(points))
    return sorted({(gateway, reader) for gateway, reader in session.exec(found) if gateway and reader})


def with_readers(session: Session) -> frozenset[str]:
    """The gateways with a reader that hangs at a checkpoint now."""
    found = select(Checkpoint.gateway).where(col(Checkpoint.gateway).is_not(None), col(Checkpoint.to_ms).is_(None))
    return frozenset(gateway for gateway in session.exec(found.distinct()) if gateway is not None)


def legs(session: Session, points: Collection[str] | None = None) -> dict[tuple[str, str], int]:
    """The least seconds between two of these points (None: any)."""
    found = select(PatrolLeg)
    if points is not None:
        found = found.where(col(PatrolLeg.from_point).in_(points), col(PatrolLeg.to_point).in_(points))
    return {(row.from_point, row.to_point): row.least_s for row in session.exec(found)}


def leg(session: Session, from_point: str, to_point: str) -> PatrolLeg | None:
    """One leg."""
    return session.get(PatrolLeg, (from_point, to_point))


def route(session: Session, id_: str) -> PatrolRoute | None:
    """The route of this id, ended or not."""
    return session.get(PatrolRoute, id_)


def routes(session: Session, areas: Collection[str], *, ended: bool) -> Sequence[PatrolRoute]:
    """Those of these areas, by id."""
    found = select(PatrolRoute).where(col(PatrolRoute.area).in_(areas))
    if not ended:
        found = found.where(col(PatrolRoute.to_ms).is_(None))
    return session.exec(found.order_by(col(PatrolRoute.id))).all()


def visits_of_routes(session: Session, ids: Collection[str]) -> dict[str, list[PatrolRouteVisit]]:
    """The points of each, in order."""
    found: dict[str, list[PatrolRouteVisit]] = {id_: [] for id_ in ids}
    rows = select(PatrolRouteVisit).where(col(PatrolRouteVisit.route).in_(ids)).order_by(col(PatrolRouteVisit.nth))
    for row in session.exec(rows):
        found[row.route].append(row)
    return found


def walked_on(session: Session, point: str) -> Sequence[str]:
    """Routes that go by a point and have not ended."""
    found = (
        select(PatrolRoute.id)
        .join(PatrolRouteVisit, col(PatrolRouteVisit.route) == col(PatrolRoute.id))
        .where(PatrolRouteVisit.point == point, col(PatrolRoute.to_ms).is_(None))
    )
    return sorted(set(session.exec(found)))


def shift(session: Session, id_: str) -> PatrolShift | None:
    """The shift of this id, ended or not."""
    return session.get(PatrolShift, id_)


def shifts(session: Session, areas: Collection[str], *, ended: bool) -> Sequence[PatrolShift]:
    """Those of these areas, by id."""
    found = select(PatrolShift).where(col(PatrolShift.area).in_(areas))
    if not ended:
        found = found.where(col(PatrolShift.to_ms).is_(None))
    return session.exec(found.order_by(col(PatrolShift.id))).all()


def plan(session: Session, number: int) -> PatrolPlan | None:
    """The plan of this number, ended or not."""
    return session.get(PatrolPlan, number)


def plans(
    session: Session, areas: Collection[str], companies: Collection[str], *, ended: bool, below: int | None, limit: int
) -> Sequence[PatrolPlan]:
    """Those of these areas or companies, newest first."""
    found = select(PatrolPlan).where(or_(col(PatrolPlan.area).in_(areas), col(PatrolPlan.company).in_(companies)))
    if not ended:
        found = found.where(col(PatrolPlan.to_ms).is_(None))
    if below is not None:
        found = found.where(col(PatrolPlan.number) < below)
    return session.exec(found.order_by(col(PatrolPlan.number).desc()).limit(limit)).all()


def plans_that_hold(session: Session, *, route: str | None = None, shift: str | None = None) -> Sequence[PatrolPlan]:
    """Those that have not ended, of a route or a shift where one is named."""
    found = select(PatrolPlan).where(col(PatrolPlan.to_ms).is_(None))
    if route is not None:
        found = found.where(PatrolPlan.route == route)
    if shift is not None:
        found = found.where(PatrolPlan.shift == shift)
    return session.exec(found.order_by(col(PatrolPlan.number))).all()


def calendar(session: Session) -> Calendar:
    """Days that count as something else than their own weekday."""
    return {date.fromisoformat(row.day): row.counts_as for row in session.exec(select(PatrolDay))}


def company(session: Session, station: str, id_: str) -> bool:
    """Whether there is such a company now."""
    row = session.get(Company, (station, id_))
    return row is not None and row.to_ms is None


def days(session: Session, from_day: str, to_day: str) -> Sequence[PatrolDay]:
    """Those from one to another, both included."""
    found = select(PatrolDay).where(PatrolDay.day >= from_day, PatrolDay.day <= to_day)
    return session.exec(found.order_by(col(PatrolDay.day))).all()


def day(session: Session, day_: str) -> PatrolDay | None:
    """What was said of a day."""
    return session.get(PatrolDay, day_)


def as_route(row: PatrolRoute, visits: Iterable[PatrolRouteVisit], legs: Mapping[tuple[str, str], int]) -> Route:
    """A route as rules take it."""
    found = tuple(
        Visit(
            point=one.point,
            after_min=one.after_min,
            buffer_min=one.buffer_min,
            extended_min=one.extended_min,
            optional=one.optional,
            dwell_min=one.dwell_min,
        )
        for one in visits
    )
    on_it = {one.point for one in found}
    return Route(
        id=row.id,
        order=Order(row.order),
        visits=found,
        legs_s={leg: seconds for leg, seconds in legs.items() if on_it.issuperset(leg)},
    )


def as_shift(row: PatrolShift) -> Shift:
    """A shift as rules take it."""
    return Shift(id=row.id, starts_min=row.starts_min, lasts_min=row.lasts_min)


def as_plan(row: PatrolPlan, route: Route, shift: Shift, zone: ZoneInfo) -> Plan:
    """A plan as rules take it."""
    return Plan(
        id=str(row.number),
        route=route,
        shift=shift,
        begins_min=tuple(int(word) for word in row.begins_min.split()),
        lasts_min=row.lasts_min,
        zone=zone,
        days=Days(
            weekdays=frozenset(int(digit) for digit in row.weekdays),
            holidays=Holidays(row.holidays),
            month_days=row.month_days,
            from_day=None if row.from_day is None else date.fromisoformat(row.from_day),
            to_day=None if row.to_day is None else date.fromisoformat(row.to_day),
        ),
        temporary=row.temporary,
    )


def as_plans(session: Session, rows: Sequence[PatrolPlan], zone: ZoneInfo) -> list[Plan]:
    """Plans as rules take them, with what they are made of."""
    ids = sorted({row.route for row in rows})
    visits: dict[str, list[PatrolRouteVisit]] = {}
    routes: dict[str, PatrolRoute] = {}
    for first in range(0, len(ids), PORTION):
        some = ids[first : first + PORTION]
        visits |= visits_of_routes(session, some)
        routes |= {row.id: row for row in session.exec(select(PatrolRoute).where(col(PatrolRoute.id).in_(some)))}
    known = legs(session)
    made = {id_: as_route(routes[id_], visits[id_], known) for id_ in ids}
    shifts = {row.id: as_shift(row) for row in session.exec(select(PatrolShift))}
    return [as_plan(row, made[row.route], shifts[row.shift], zone) for row in rows]


def last_day(session: Session) -> str | None:
    """The last duty day that was unfolded."""
    return session.exec(select(func.max(PatrolRound.day))).one()


def rounds_of_day(session: Session, day_: str) -> dict[str, tuple[int, int]]:
    """The rounds of a duty day: number and beginning, by id."""
    found = select(PatrolRound.id, PatrolRound.number, PatrolRound.starts_ms).where(PatrolRound.day == day_)
    return {id_: (number or 0, starts_ms) for id_, number, starts_ms in session.exec(found)}


def drop_rounds(session: Session, numbers: Collection[int]) -> None:
    """Take rounds that have not begun away again: nothing happened on them."""
    connection = session.connection()
    for table, column in ((PatrolVisit, col(PatrolVisit.round)), (PatrolRound, col(PatrolRound.number))):
        connection.execute(delete(table).where(column.in_(numbers)))


# What rounds are judged by, and what comes of it: by columns, for many rounds at once


def due_rounds(session: Session, now_ms: int, *, limit: int) -> Sequence[Row[Any]]:
    """Rounds that are over and were never judged, the oldest first, and then judged ones for which late data wait."""
    connection = session.connection()
    found = [*connection.execute(_OVER, {"now_ms": now_ms, "many": limit}).all()]
    if len(found) < limit:  # a question of its own, with an index of its own: one of both goes through all
        found += connection.execute(_AGAIN, {"many": limit - len(found)}).all()
    return found


def due_visits(session: Session, now_ms: int, *, rounds: int) -> Sequence[Row[Any]]:
    """Visits that have closed, of rounds that go on, and that nobody has looked at: of so many rounds, all of theirs.

    The rounds that have waited longest come first; what is asked about a round is asked once for all of its visits.
    """
    return session.connection().execute(_DUE_VISITS, {"now_ms": now_ms, "rounds": rounds}).all()


def due(session: Session, now_ms: int) -> bool:
    """Whether a round or a visit waits."""
    if due_rounds(session, now_ms, limit=1):
        return True
    return session.connection().execute(_VISIT_WAITS, {"now_ms": now_ms}).first() is not None


def rounds_numbered(session: Session, numbers: Collection[int]) -> list[Row[Any]]:
    """The rounds of these numbers."""
    return [
        row
        for some in portions(numbers)
        for row in session.connection().execute(ask(_ROUND).where(_ROUND.c.number.in_(some)).order_by(_ROUND.c.number))
    ]


def visit_rows(session: Session, rounds: Collection[int]) -> dict[int, list[Row[Any]]]:
    """The visits of each round, in the order of the plan."""
    found: dict[int, list[Row[Any]]] = {number: [] for number in rounds}
    for some in portions(rounds):
        asked = ask(_VISIT).where(_VISIT.c.round.in_(some)).order_by(_VISIT.c.round, _VISIT.c.nth)
        for row in session.connection().execute(asked).all():
            found[row.round].append(row)
    return found


def hanging(session: Session, points: Collection[str]) -> dict[str, tuple[str, str]]:
    """The readers (gateway, reader) that hang at these checkpoints."""
    found: dict[str, tuple[str, str]] = {}
    columns = _POINT.c.id, _POINT.c.gateway, _POINT.c.reader
    for some in portions(points):
        asked = ask(*columns).where(_POINT.c.id.in_(some), _POINT.c.gateway.is_not(None))
        found |= {id_: (gateway, reader) for id_, gateway, reader in session.connection().execute(asked).all()}
    return found


def standing(session: Session, rounds: Collection[int]) -> dict[int, tuple[int, str]]:
    """The exceptions of these rounds that stand: number and outcome, by visit."""
    found: dict[int, tuple[int, str]] = {}
    columns = _EXCEPTION.c.visit, _EXCEPTION.c.number, _EXCEPTION.c.outcome
    for some in portions(rounds):
        asked = ask(*columns).where(_EXCEPTION.c.round.in_(some), _EXCEPTION.c.cleared_ms.is_(None))
        found |= {visit: (number, outcome) for visit, number, outcome in session.connection().execute(asked).all()}
    return found


@dataclass(slots=True)
class Written:
    """What is to be written about rounds, row by row."""

    visits: list[tuple[object, ...]] = field(default_factory=list)
    """outcome, check_in, detail, looked_ms, number."""
    rounds: list[tuple[object, ...]] = field(default_factory=list)
    """evaluated_ms, evaluations, again_ms, number."""
    exceptions: list[tuple[object, ...]] = field(default_factory=list)
    """visit, round, outcome, due_ms, detected_ms."""
    cleared: list[tuple[object, ...]] = field(default_factory=list)
    """cleared_ms, number: exceptions that stand no more."""
    rescores: list[tuple[object, ...]] = field(default_factory=list)
    """round, visit, at_ms, before, before_check_in, after, after_check_in."""
    guards: list[tuple[object, ...]] = field(default_factory=list)
    """round, guard."""
    gone: list[tuple[object, ...]] = field(default_factory=list)
    """round, guard: guards of a round no more."""

    def write(self, session: Session) -> None:
        """Write all of it, one statement a table."""
        _SETTLE_VISITS.update(session, self.visits)
        _SETTLE_ROUNDS.update(session, self.rounds)
        _CLEAR.update(session, self.cleared)
        if self.gone:
            gone = [{"b_round": round_, "b_guard": guard} for round_, guard in self.gone]
            session.connection().execute(_GONE, gone)
        _ADD_EXCEPTIONS.insert(session, self.exceptions)
        _ADD_RESCORES.insert(session, self.rescores)
        _ADD_GUARDS.insert(session, self.guards)


def round_(session: Session, number: int) -> PatrolRound | None:
    """The round of this number."""
    return session.get(PatrolRound, number)


def visits(session: Session, rounds: Collection[int]) -> dict[int, list[PatrolVisit]]:
    """The visits of each round, in the order of the plan."""
    found: dict[int, list[PatrolVisit]] = {number: [] for number in rounds}
    rows = select(PatrolVisit).where(col(PatrolVisit.round).in_(rounds))
    for row in session.exec(rows.order_by(col(PatrolVisit.round), col(PatrolVisit.nth))):
        found[row.round].append(row)
    return found


def touched(
    session: Session, points: Collection[str], from_ms: int, to_ms: int, *, now_ms: int
) -> list[tuple[int, Row[Any]]]:
    """Visits of judged rounds at these points that a moment of a span falls into; each with the number of its round.

    Whatever was judged has closed by now, so that the index leaves out all that is still to come.
    """
    span = {"from_ms": from_ms, "to_ms": to_ms, "now_ms": now_ms}
    return [
        (row.round, row)
        for some in portions(points)
        for row in session.connection().execute(_TOUCHED, span | {"points": some}).all()
    ]


def judged_of_guard(session: Session, guard: str, from_ms: int, to_ms: int) -> list[Row[Any]]:
    """Judged rounds of a guard that share a moment with a span, bands included."""
    asked = (
        ask(_ROUND)
        .join(_GUARD, _GUARD.c.round == _ROUND.c.number)
        .where(_GUARD.c.guard == guard, _ROUND.c.opens_ms < to_ms, _ROUND.c.closes_ms >= from_ms)
    )
    return [*session.connection().execute(_judged(asked))]


def judged_in(session: Session, station: str, areas: Collection[str], from_ms: int, to_ms: int) -> list[Row[Any]]:
    """Judged rounds in these areas that share a moment with a span, bands included."""
    asked = ask(_ROUND).where(
        _ROUND.c.station == station,
        _ROUND.c.starts_ms > from_ms - ROUND_MOST_MS,
        _ROUND.c.starts_ms < to_ms + ROUND_MOST_MS,
        _ROUND.c.opens_ms < to_ms,
        _ROUND.c.closes_ms >= from_ms,
    )
    return [
        row
        for some in portions(areas)
        for row in session.connection().execute(_judged(asked.where(_ROUND.c.area.in_(some))))
    ]


def _judged(asked: Select[Any]) -> Select[Any]:
    return asked.where(_ROUND.c.evaluated_ms.is_not(None), _SETTLED)


def blamed(session: Session, rounds: Collection[int]) -> list[Row[Any]]:
    """Visits of these rounds that an excuse may excuse."""
    outcomes = [outcome.value for outcome in EXCUSABLE]
    return [
        row
        for some in portions(rounds)
        for row in session.connection().execute(
            ask(_VISIT).where(_VISIT.c.round.in_(some), _VISIT.c.outcome.in_(outcomes))
        )
    ]


def points_at(session: Session, gateway: str) -> dict[str, str]:
    """The readers of a gateway, by the checkpoint at which each hangs or hung."""
    asked = ask(_POINT.c.id, _POINT.c.reader).where(_POINT.c.gateway == gateway)
    return {row.id: row.reader for row in session.connection().execute(asked)}


def heard(session: Session) -> dict[str, int]:
    """Up to which number rows of each kind were heard of that may excuse what was judged."""
    return {row.kind: row.number for row in session.exec(select(PatrolHeard))}


def put_heard(session: Session, numbers: Mapping[str, int]) -> None:
    """Write down up to which number rows of these kinds were heard of."""
    for kind, number in sorted(numbers.items()):
        row = session.get(PatrolHeard, kind) or PatrolHeard(kind=kind, number=0)
        row.number = number
        session.add(row)
    session.flush()


def judge_again(session: Session, numbers: Collection[int], *, now_ms: int) -> None:
    """Let rounds be judged again."""
    rows = update(PatrolRound).where(col(PatrolRound.number).in_(numbers)).values(again_ms=now_ms)
    session.connection().execute(rows)


def guards(session: Session, rounds: Collection[int]) -> dict[int, list[str]]:
    """The guards of each round, by id."""
    found: dict[int, list[str]] = {number: [] for number in rounds}
    rows = select(PatrolRoundGuard).where(col(PatrolRoundGuard.round).in_(rounds))
    for row in session.exec(rows.order_by(col(PatrolRoundGuard.guard))):
        found[row.round].append(row.guard)
    return found


def temporary(session: Session, rounds_: Collection[int]) -> set[int]:
    """Those of these rounds that a temporary plan made: they were ordered for their day."""
    found: set[int] = set()
    for some in portions(rounds_):
        asked = (
            select(PatrolRound.number)
            .join(PatrolPlan, col(PatrolPlan.number) == col(PatrolRound.plan))
            .where(col(PatrolRound.number).in_(some), col(PatrolPlan.temporary).is_(True))
        )
        found |= {number for number in session.exec(asked) if number is not None}
    return found


def rescores(session: Session, round_: int) -> Sequence[PatrolRescore]:
    """What late data changed about a round."""
    found = select(PatrolRescore).where(PatrolRescore.round == round_)
    return session.exec(found.order_by(col(PatrolRescore.number))).all()


def rounds(
    session: Session,
    areas: Collection[str],
    companies: Collection[str],
    *,
    day_: str | None,
    below: int | None,
    limit: int,
) -> Sequence[PatrolRound]:
    """Rounds of these areas or companies, newest first."""
    found = select(PatrolRound).where(or_(col(PatrolRound.area).in_(areas), col(PatrolRound.company).in_(companies)))
    if day_ is not None:
        found = found.where(PatrolRound.day == day_)
    if below is not None:
        found = found.where(col(PatrolRound.number) < below)
    return session.exec(found.order_by(col(PatrolRound.number).desc()).limit(limit)).all()


def rounds_around(
    session: Session,
    areas: Collection[str],
    companies: Collection[str],
    from_ms: int,
    to_ms: int,
    *,
    below: int | None,
    limit: int,
) -> Sequence[PatrolRound]:
    """Rounds of these areas or companies that begin before `to_ms` and are open until `from_ms`, newest first."""
    found = select(PatrolRound).where(
        or_(col(PatrolRound.area).in_(areas), col(PatrolRound.company).in_(companies)),
        col(PatrolRound.starts_ms) > from_ms - ROUND_MOST_MS,
        col(PatrolRound.starts_ms) < to_ms,
        col(PatrolRound.closes_ms) > from_ms,
    )
    if below is not None:
        found = found.where(col(PatrolRound.number) < below)
    return session.exec(found.order_by(col(PatrolRound.number).desc()).limit(limit)).all()


def exceptions(
    session: Session, areas: Collection[str], companies: Collection[str], *, below: int | None, limit: int
) -> list[tuple[PatrolException, PatrolVisit, PatrolRound]]:
    """Exceptions that stand in rounds of these areas or companies, newest first."""
    found = (
        select(PatrolException, PatrolVisit, PatrolRound)
        .join(PatrolVisit, col(PatrolVisit.number) == col(PatrolException.visit))
        .join(PatrolRound, col(PatrolRound.number) == col(PatrolException.round))
        .where(
            or_(col(PatrolRound.area).in_(areas), col(PatrolRound.company).in_(companies)),
            col(PatrolException.cleared_ms).is_(None),
            col(PatrolException.outcome).in_([outcome.value for outcome in EXCEPTIONS]),
        )
    )
    if below is not None:
        found = found.where(col(PatrolException.number) < below)
    rows = session.exec(found.order_by(col(PatrolException.number).desc()).limit(limit))
    return [(one, visit, round_) for one, visit, round_ in rows]


def rounds_of_guard(session: Session, guard: str, from_ms: int, to_ms: int) -> Sequence[PatrolRound]:
    """Judged rounds of a guard that share a moment with a span, in order."""
    found = (
        select(PatrolRound)
        .join(PatrolRoundGuard, col(PatrolRoundGuard.round) == col(PatrolRound.number))
        .where(PatrolRoundGuard.guard == guard, PatrolRound.starts_ms < to_ms, PatrolRound.ends_ms > from_ms)
    )
    return session.exec(found.order_by(col(PatrolRound.starts_ms), col(PatrolRound.number))).all()


def rounds_in(session: Session, station: str, areas: Collection[str], from_ms: int, to_ms: int) -> list[PatrolRound]:
    """Rounds in these areas that share a moment with a span, judged or not, in order."""
    found = select(PatrolRound).where(
        PatrolRound.station == station,
        PatrolRound.starts_ms > from_ms - ROUND_MOST_MS,
        PatrolRound.starts_ms < to_ms,
        PatrolRound.ends_ms > from_ms,
    )
    rows = [row for some in portions(areas) for row in session.exec(found.where(col(PatrolRound.area).in_(some)))]
    return sorted(rows, key=lambda row: (row.starts_ms, row.number or 0))


def legs_text(legs_ms: Mapping[tuple[str, str], int]) -> str:
    """Legs for a row."""
    return json.dumps([[*leg, least_ms] for leg, least_ms in sorted(legs_ms.items())], ensure_ascii=False)


@lru_cache(maxsize=1_024)
def legs_of(text: str) -> Mapping[tuple[str, str], int]:
    """Legs of a row. Rounds of one plan have the same."""
    return MappingProxyType({(from_, to): least_ms for from_, to, least_ms in json.loads(text)})
