"""Rounds: unfolded ahead, looked at when they are due, judged once, and again only on late data.

The clock of a round is its rows, as with ladders of escalation:

1. A plan unfolds into rounds and visits some days ahead. A round that has begun stays as it was planned.
2. Once a visit has closed that nobody made, it is missed: the exception stands at once, with the time since when it is
   so and the time when it was found out. Where nothing at all was read there, that takes no judging.
3. Once the last visit of a round has closed, the round is judged, and everything else is known.
4. A check-in that comes later marks the rounds whose visits it may change, and no others. They are judged once more,
   however many check-ins came; what changed is kept as before and after. So do faults, leave, orders and duty lists
   that become known later (`causes`).
5. Rounds are judged in slices, each in a transaction of its own, so that a person who writes waits for one of them.

Functions take a session and never commit; the jobs of the clock have transactions of their own.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.checkins.rules import CheckIn
from api.clock import Clock
from api.database import Database
from api.guards import service as guards
from api.patrols import causes, repository
from api.patrols.civil import Shift, civil_day, on_day, unfold
from api.patrols.judging import Consequence, as_round, judge, listed, look_at, stands
from api.patrols.models import Checkpoint, PatrolPlan, PatrolRound
from api.patrols.rules import Evaluation, Order, Outcome, Round, RoundPlan, band_of
from api.register.service import Register

AHEAD_DAYS: Final = 2
BACK_DAYS: Final = 7
"""How far back rounds are unfolded that nobody unfolded in time, because the station was off."""
LOOK_S: Final = 1.0
UNFOLD_S: Final = 60.0
ROUNDS_AT_ONCE: Final = 100
"""In one transaction: a person who writes waits for one such slice."""
TURNS_AT_ONCE: Final = 20
"""How many portions one turn of the clock takes, so that other jobs have theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKey:
    """What two temporary plans of one day have alike when they are the same."""

    route: str
    shift: str
    company: str | None
    begins_min: tuple[int, ...]
    lasts_min: int
    from_day: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundNow:
    """A round and how it stands; `evaluation` None: not judged yet."""

    round: Round
    evaluation: Evaluation | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A round that is to be there."""

    row: PatrolPlan
    day: date
    plan: RoundPlan


def rounds_of(session: Session, guard: str, from_ms: int, to_ms: int) -> list[RoundNow]:
    """Rounds of a guard that share a moment with a span and have been judged, in order."""
    rows = repository.rounds_of_guard(session, guard, from_ms, to_ms)
    numbers = [row.number or 0 for row in rows]
    whose, visits = repository.guards(session, numbers), repository.visits(session, numbers)
    return [
        RoundNow(round=as_round(row, whose[row.number or 0]), evaluation=stands(row, visits[row.number or 0]))
        for row in rows
    ]


def readers(session: Session, hanging: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The checkpoints at which these readers (gateway, reader) hang now; those that hang at none are left out."""
    return repository.at_readers(session, hanging) if hanging else {}


def patrolling(session: Session, register: Register, point: str, at_ms: int) -> set[str]:
    """The guards who were on a duty list for a checkpoint at a moment: of an area around it, or of a route by it."""
    row = repository.checkpoint(session, point)
    if row is None:
        return set()
    areas, routes = set(register.lies_in(row.area)), repository.routes_by(session, point)
    return {
        one.guard
        for one in guards.servings(session, at_ms, at_ms + 1)
        if (one.area in areas if one.route is None else one.route in routes)
    }


def readers_along(session: Session, *, areas: Collection[str], route: str | None) -> list[tuple[str, str]]:
    """The readers (gateway, reader) at the checkpoints of a route, or where there is none, of these areas, now."""
    return repository.readers_along(session, areas=areas, route=route)


def with_readers(session: Session) -> frozenset[str]:
    """The gateways with a reader that hangs at a checkpoint now."""
    return repository.with_readers(session)


def point(session: Session, id_: str) -> Checkpoint | None:
    """The checkpoint of this id, ended or not."""
    return repository.checkpoint(session, id_)


def points_in(session: Session, areas: Collection[str], *, ended: bool) -> Sequence[Checkpoint]:
    """The checkpoints of these areas, by id; `ended`: also those that were taken away."""
    return repository.checkpoints(session, areas, ended=ended)


def points_named(session: Session, ids: Collection[str]) -> Mapping[str, Checkpoint]:
    """The checkpoints of these ids, ended or not."""
    return repository.checkpoints_named(session, ids)


def route_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """What these routes are called, ended or not."""
    return repository.route_names(session, ids)


def ordered_routes(session: Session, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Those of these routes that are walked in exact order: the points that have to be visited, in order."""
    rows = [repository.route(session, id_) for id_ in sorted(set(ids))]
    found = [row.id for row in rows if row is not None and row.order != Order.FREE.value]
    visits = repository.visits_of_routes(session, found) if found else {}
    return {route: tuple(one.point for one in visits[route] if not one.optional) for route in found}


def shift(session: Session, id_: str) -> Shift | None:
    """The shift of this id, ended or not."""
    row = repository.shift(session, id_)
    return None if row is None else repository.as_shift(row)


def plan_keys(session: Session, numbers: Collection[int]) -> dict[int, PlanKey]:
    """What these plans are, by number."""
    rows = [repository.plan(session, number) for number in numbers]
    return {
        row.number or 0: PlanKey(
            route=row.route,
            shift=row.shift,
            company=row.company,
            begins_min=tuple(int(one) for one in row.begins_min.split()),
            lasts_min=row.lasts_min,
            from_day=None if row.from_day is None else date.fromisoformat(row.from_day),
        )
        for row in rows
        if row is not None
    }


def legs_s(session: Session) -> Mapping[tuple[str, str], int]:
    """The least seconds of walking from a checkpoint to another, where somebody said."""
    return repository.legs(session)


class Patrols:
    """The rounds of one station."""

    def __init__(
        self, register: Register, *, clock: Clock, zone: ZoneInfo, consequences: Sequence[Consequence] = ()
    ) -> None:
        self._register = register
        self._clock = clock
        self._zone = zone
        self._consequences = consequences
        self.judged = 0
        """How often this process judged a round, since it began."""

    # Unfolding

    def unfold_next(self, database: Database, now_ms: int) -> None:
        """Let rounds unfold ahead. A job of the rounds."""
        with database.read() as session:
            add, drop = self._difference(session, now_ms)
        if add or drop:
            with database.write(patient=True) as session:
                self.unfold_ahead(session, now_ms)

    def unfold_ahead(self, session: Session, now_ms: int) -> None:
        """Add the rounds that plans ask for, and take those away that have not begun and that none asks for now."""
        add, drop = self._difference(session, now_ms)
        for first in range(0, len(drop), repository.PORTION):
            repository.drop_rounds(session, drop[first : first + repository.PORTION])
        rows = [(wanted, self._row(wanted)) for wanted in add]
        repository.add(session, *(row for _, row in rows))
        repository.add_visits(
            session, [visit for wanted, row in rows for visit in _visit_rows(wanted.plan, row.number or 0)]
        )

    def _difference(self, session: Session, now_ms: int) -> tuple[list[_Wanted], list[int]]:
        today = civil_day(now_ms, self._zone)
        last = repository.last_day(session)
        yesterday = today - timedelta(days=1)
        first = yesterday
        if last is not None:
            first = min(yesterday, max(date.fromisoformat(last), today - timedelta(days=BACK_DAYS)))
        rows = repository.plans_that_hold(session)
        plans = repository.as_plans(session, rows, self._zone)
        by_id = {str(row.number): row for row in rows}
        calendar = repository.calendar(session)
        add: list[_Wanted] = []
        drop: list[int] = []
        day = first
        while day <= today + timedelta(days=AHEAD_DAYS):
            wanted = {
                one.id: _Wanted(by_id[plan.id], day, one)
                for plan in on_day(plans, day, calendar)
                for one in unfold(plan, day)
                if one.expected and one.starts_ms >= by_id[plan.id].from_ms
            }
            there = repository.rounds_of_day(session, day.isoformat())
            drop += [number for id_, (number, starts_ms) in there.items() if starts_ms > now_ms and id_ not in wanted]
            add += [one for id_, one in sorted(wanted.items()) if id_ not in there]
            day += timedelta(days=1)
        return add, drop

    def _row(self, wanted: _Wanted) -> PatrolRound:
        plan, row = wanted.plan, wanted.row
        assert row.number is not None
        bands = [band_of(plan, one) for one in plan.expected]
        return PatrolRound(
            id=plan.id,
            station=self._register.station,
            plan=row.number,
            route=row.route,
            area=row.area,
            company=row.company,
            day=wanted.day.isoformat(),
            order=plan.order.value,
            starts_ms=plan.starts_ms,
            ends_ms=plan.ends_ms,
            opens_ms=min(band.opens for band in bands),
            closes_ms=max(band.closes for band in bands),
            legs=repository.legs_text(plan.legs),
        )

    # The clock

    def look(self, database: Database, now_ms: int) -> None:
        """Judge what is over, and raise what was missed, a portion a transaction. A job of the rounds."""
        for _ in range(TURNS_AT_ONCE):
            with database.read() as session:
                due = causes.waiting(session) or repository.due(session, now_ms)
            if not due:
                return
            with database.write(patient=True) as session:
                self.settle(session, now_ms)

    def settle(self, session: Session, now_ms: int) -> None:
        """One portion of what is due: hear what was told, so that nothing is judged twice for it; then judge."""
        if causes.hear(session, self._register, now_ms):
            return
        rounds = repository.due_rounds(session, now_ms, limit=ROUNDS_AT_ONCE)
        if rounds:
            verdicts = judge(session, self._register, rounds, now_ms)
            self.judged += len(verdicts)
            for consequence in self._consequences:
                consequence(session, verdicts)
        if visits := repository.due_visits(session, now_ms, rounds=ROUNDS_AT_ONCE):
            look_at(session, self._register, visits, now_ms)
        session.flush()

    # Late data

    def follow(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """A consequence of check-ins: judged rounds that they may change are judged again, by the clock.

        They change a round into whose visit of that point they fall, if anybody's count there, or that guard's do.
        """
        read: dict[str, list[CheckIn]] = {}
        for one in check_ins:
            if one.point is not None:
                read.setdefault(one.point, []).append(one)
        if not read:
            return
        now = self._clock()
        times = [one.at_ms for some in read.values() for one in some]
        near: dict[int, set[str | None]] = {}
        for number, visit in repository.touched(session, [*read], min(times), max(times), now_ms=now):
            for one in read[visit.point]:
                if visit.opens_ms <= one.at_ms <= visit.closes_ms:
                    near.setdefault(number, set()).add(one.guard)
        if not near:
            return
        mine = listed(session, self._register, repository.rounds_numbered(session, near))
        found = [number for number, guards in near.items() if not mine[number] or guards & mine[number].keys()]
        for some in repository.portions(found):
            repository.judge_again(session, some, now_ms=now)


def _visit_rows(plan: RoundPlan, number: int) -> Iterable[dict[str, object]]:
    for nth, one in enumerate(plan.expected, start=1):
        band = band_of(plan, one)
        yield {
            "round": number,
            "nth": nth,
            "point": one.point,
            "at_ms": one.at_ms,
            "buffer_ms": one.buffer_ms,
            "extended_ms": one.extended_ms,
            "optional": one.optional,
            "dwell_ms": one.dwell_ms,
            "opens_ms": band.opens,
            "due_ms": band.high,
            "closes_ms": band.closes,
            "outcome": Outcome.PENDING.value,
            "detail": "{}",
        }
