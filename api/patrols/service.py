"""Rounds: unfolded ahead, looked at when they are due, judged once, and again only on late data.

The clock of a round is its rows, as with ladders of escalation:

1. A plan unfolds into rounds and visits some days ahead. A round that has begun stays as it was planned.
2. Once a visit has closed and nothing at all was read there, it is missed: the exception stands at once, with the time
   since when it is so and the time when it was found out. That takes no judging.
3. Once the last visit of a round has closed, the round is judged, and everything else is known.
4. A check-in that comes later marks the rounds whose visits it may change, and no others. They are judged once more,
   however many check-ins came; what changed is kept as before and after.

Functions take a session and never commit; the jobs of the clock have transactions of their own.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.checkins import service as checkins
from api.checkins.rules import CheckIn
from api.clock import Clock
from api.database import Database
from api.faults import repository as faults
from api.guards import service as guards
from api.guards.service import Cause
from api.patrols import repository
from api.patrols.civil import civil_day, on_day, unfold
from api.patrols.models import (
    Checkpoint,
    PatrolException,
    PatrolPlan,
    PatrolRescore,
    PatrolRound,
    PatrolVisit,
)
from api.patrols.rules import (
    EXCEPTIONS,
    Detail,
    Evaluation,
    Excuse,
    Expected,
    Judged,
    Order,
    Outcome,
    Reason,
    Round,
    RoundPlan,
    band_of,
    evaluate,
    true_since,
    unread,
)
from api.register.service import Register

AHEAD_DAYS: Final = 2
BACK_DAYS: Final = 7
"""How far back rounds are unfolded that nobody unfolded in time, because the station was off."""
LOOK_S: Final = 1.0
UNFOLD_S: Final = 60.0
ROUNDS_AT_ONCE: Final = 50
VISITS_AT_ONCE: Final = 500
TURNS_AT_ONCE: Final = 20
"""How many portions one turn of the clock takes, so that other jobs have theirs."""

GATEWAY_FAULTS: Final = frozenset({"gateway_offline", "journal", "internal_error", "clone"})
POWER_FAULTS: Final = frozenset({"power_cut", "mains", "area_outage"})
READER_FAULTS: Final = frozenset({"line_lost", "line_silent", "pins_lost", "unit_silent"})
"""Codes of `api.faults`; of a reader where the fault is about it, or about its whole line."""
_REASONS: Final[Mapping[Cause, Reason]] = {
    Cause.SUSPENDED: Reason.SUSPENDED,
    Cause.SPOT_CALL: Reason.RETASKED,
    Cause.ALARM: Reason.ALARM,
    Cause.LEAVE: Reason.LEAVE,
}

Consequence = Callable[[Session, Round, Evaluation, Evaluation | None], None]
"""Told of each judging in its transaction: the round, how it stands, how it stood before (None: for the first time)."""


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
    numbers = [_number(row) for row in rows]
    whose, visits = repository.guards(session, numbers), repository.visits(session, numbers)
    return [
        RoundNow(round=_round(row, whose[_number(row)]), evaluation=_stands(row, visits[_number(row)])) for row in rows
    ]


def readers(session: Session, hanging: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """The checkpoints at which these readers (gateway, reader) hang now; those that hang at none are left out."""
    return repository.at_readers(session, hanging) if hanging else {}


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


def ordered_routes(session: Session, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Those of these routes that are walked in exact order: the points that have to be visited, in order."""
    rows = [repository.route(session, id_) for id_ in sorted(set(ids))]
    found = [row.id for row in rows if row is not None and row.order != Order.FREE.value]
    visits = repository.visits_of_routes(session, found) if found else {}
    return {route: tuple(one.point for one in visits[route] if not one.optional) for route in found}


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
            session, [visit for wanted, row in rows for visit in _visit_rows(wanted.plan, _number(row))]
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
        """Judge what is over, and raise what was missed. A job of the rounds."""
        for _ in range(TURNS_AT_ONCE):
            with database.read() as session:
                due = repository.due_rounds(session, now_ms, limit=1) or repository.due_visits(session, now_ms, limit=1)
            if not due:
                return
            with database.write(patient=True) as session:
                self.settle(session, now_ms)

    def settle(self, session: Session, now_ms: int) -> None:
        """One portion of what is due."""
        for row in repository.due_rounds(session, now_ms, limit=ROUNDS_AT_ONCE):
            self._judge(session, row, now_ms)
        due: dict[int, list[PatrolVisit]] = {}
        for visit in repository.due_visits(session, now_ms, limit=VISITS_AT_ONCE):
            due.setdefault(visit.round, []).append(visit)
        for number, visits in due.items():
            of = repository.round_(session, number)
            assert of is not None
            self._look_at(session, of, visits, now_ms)
        session.flush()

    def _look_at(self, session: Session, row: PatrolRound, due: Sequence[PatrolVisit], now_ms: int) -> None:
        """Of visits that have closed: those at which nothing was read are missed, whatever else comes of the round."""
        mine = self._guards_of(session, row)
        read = self._read(session, {visit.point for visit in due}, row, mine)
        rows = repository.visits(session, [_number(row)])[_number(row)]
        plan: RoundPlan | None = None
        standing = repository.standing(session, _number(row))
        for visit in due:
            visit.looked_ms = now_ms
            session.add(visit)
            if any(one.point == visit.point and visit.opens_ms <= one.at_ms <= visit.closes_ms for one in read):
                continue
            plan = plan or self._plan(session, row, rows, mine)
            self._write(session, visit, unread(plan, visit.nth - 1), standing, now_ms)

    def _judge(self, session: Session, row: PatrolRound, now_ms: int) -> None:
        number = _number(row)
        rows = repository.visits(session, [number])[number]
        before = _stands(row, rows)
        mine = self._guards_of(session, row)
        read = self._read(session, {visit.point for visit in rows}, row, mine)
        evaluation = evaluate(self._plan(session, row, rows, mine), read, now_ms)
        self.judged += 1
        late = before is not None
        standing = repository.standing(session, number)
        for visit, judged in zip(rows, evaluation.visits, strict=True):
            visit.looked_ms = visit.looked_ms or now_ms
            was = Outcome(visit.outcome), visit.check_in
            self._write(session, visit, judged, standing, now_ms)
            if was != (judged.outcome, judged.check_in) and (late or was[0] is not Outcome.PENDING):
                session.add(
                    PatrolRescore(
                        round=number,
                        visit=visit.number or 0,
                        at_ms=now_ms,
                        before=was[0].value,
                        before_check_in=was[1],
                        after=judged.outcome.value,
                        after_check_in=judged.check_in,
                    )
                )
        used = {visit.check_in for visit in evaluation.visits}
        came = {one.guard for one in read if one.id in used and one.guard is not None}
        repository.put_guards(session, number, mine | came)
        row.evaluated_ms, row.evaluations, row.again_ms = now_ms, row.evaluations + 1, None
        session.add(row)
        session.flush()
        told = _round(row, sorted(mine | came))
        for consequence in self._consequences:
            consequence(session, told, evaluation, before)

    @staticmethod
    def _write(
        session: Session, visit: PatrolVisit, judged: Judged, standing: Mapping[int, PatrolException], now_ms: int
    ) -> None:
        visit.outcome, visit.check_in = judged.outcome.value, judged.check_in
        visit.detail = _detail_text(judged.detail)
        session.add(visit)
        stands = standing.get(visit.number or 0)
        if stands is not None and stands.outcome == visit.outcome:
            return
        if stands is not None:
            stands.cleared_ms = now_ms
            session.add(stands)
        if judged.outcome in EXCEPTIONS:
            session.add(
                PatrolException(
                    visit=visit.number or 0,
                    round=visit.round,
                    outcome=judged.outcome.value,
                    due_ms=true_since(judged),
                    detected_ms=now_ms,
                )
            )

    # Late data

    def follow(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """A consequence of check-ins: judged rounds that they may change are judged again, by the clock."""
        times: dict[str, list[int]] = {}
        for one in check_ins:
            if one.point is not None:
                times.setdefault(one.point, []).append(one.at_ms)
        if not times:
            return
        first, last = min(map(min, times.values())), max(map(max, times.values()))
        found: set[int] = set()
        points = sorted(times)
        for begin in range(0, len(points), repository.PORTION):
            some = points[begin : begin + repository.PORTION]
            for number, point, opens_ms, closes_ms in repository.touched(session, some, first, last):
                if any(opens_ms <= at_ms <= closes_ms for at_ms in times[point]):
                    found.add(number)
        if found:
            repository.judge_again(session, found, now_ms=self._clock())

    # What a round is judged by

    def _guards_of(self, session: Session, row: PatrolRound) -> frozenset[str]:
        """Who is listed for a round; nobody: anybody's check-ins count."""
        areas = self._register.lies_in(row.area)
        listed = {
            one.guard
            for one in guards.servings(session, row.starts_ms, row.ends_ms, areas=areas)
            if one.route is None or one.route == row.route
        }
        if row.company is None:
            return frozenset(listed)
        return frozenset(guard for guard in listed if guards.employer_at(session, guard, row.starts_ms) == row.company)

    @staticmethod
    def _read(session: Session, points: Collection[str], row: PatrolRound, mine: frozenset[str]) -> list[CheckIn]:
        found = checkins.at_points(session, points, row.opens_ms, row.closes_ms + 1)
        return [one for one in found if not mine or one.guard in mine]

    def _plan(
        self, session: Session, row: PatrolRound, visits: Sequence[PatrolVisit], mine: frozenset[str]
    ) -> RoundPlan:
        return RoundPlan(
            id=row.id,
            order=Order(row.order),
            expected=tuple(_expected(visit) for visit in visits),
            starts_ms=row.starts_ms,
            ends_ms=row.ends_ms,
            legs=repository.legs_of(row.legs),
            excuses=(*self._by_order(session, row, mine), *_by_faults(session, row, {one.point for one in visits})),
        )

    def _by_order(self, session: Session, row: PatrolRound, mine: frozenset[str]) -> Iterable[Excuse]:
        areas = self._register.lies_in(row.area)
        for guard in sorted(mine):
            for one in guards.excuses(session, guard, row.opens_ms, row.closes_ms + 1):
                if one.areas is not None and not one.areas & areas:
                    continue
                if one.cause is Cause.LEAVE and len(mine) > 1:  # the others can still go
                    continue
                yield Excuse(from_ms=one.from_ms, to_ms=one.to_ms, reason=_REASONS[one.cause], evidence=one.evidence)


def _by_faults(session: Session, row: PatrolRound, points: Collection[str]) -> Iterable[Excuse]:
    """Faults of readers, gateways and power at the checkpoints of a round."""
    hang = {one.id: (one.gateway, one.reader) for one in repository.checkpoints_named(session, points).values()}
    gateways = sorted({gateway for gateway, _ in hang.values() if gateway is not None})
    if not gateways:
        return
    for fault in faults.between(session, gateways, from_ms=row.opens_ms, to_ms=row.closes_ms + 1):
        there = {point: reader for point, (gateway, reader) in hang.items() if gateway == fault.gateway}
        if fault.code in GATEWAY_FAULTS:
            reason = Reason.GATEWAY
        elif fault.code in POWER_FAULTS:
            reason = Reason.POWER
            there = {point: reader for point, reader in there.items() if fault.about in {"", reader, fault.gateway}}
        elif fault.code in READER_FAULTS:
            reason = Reason.READER
            there = {point: reader for point, reader in there.items() if fault.about == reader}
        else:
            continue
        if there:
            yield Excuse(
                from_ms=fault.first_ms,
                to_ms=row.closes_ms if fault.cleared_ms is None else fault.cleared_ms,
                reason=reason,
                evidence=f"fault:{fault.number}",
                points=frozenset(there),
            )


def _number(row: PatrolRound) -> int:
    assert row.number is not None
    return row.number


def _round(row: PatrolRound, guards_: Sequence[str]) -> Round:
    return Round(
        number=_number(row),
        id=row.id,
        route=row.route,
        area=row.area,
        company=row.company,
        day=date.fromisoformat(row.day),
        starts_ms=row.starts_ms,
        ends_ms=row.ends_ms,
        guards=tuple(guards_),
    )


def _expected(visit: PatrolVisit) -> Expected:
    return Expected(
        point=visit.point,
        at_ms=visit.at_ms,
        buffer_ms=visit.buffer_ms,
        extended_ms=visit.extended_ms,
        optional=visit.optional,
        dwell_ms=visit.dwell_ms,
    )


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


def _stands(row: PatrolRound, visits: Sequence[PatrolVisit]) -> Evaluation | None:
    """How a round stands by its rows; what was read for no visit is not kept."""
    if row.evaluated_ms is None:
        return None
    return Evaluation(visits=tuple(judged_of(visit) for visit in visits), unused=())


def judged_of(visit: PatrolVisit) -> Judged:
    """A visit as it stands."""
    return Judged(
        point=visit.point,
        outcome=Outcome(visit.outcome),
        check_in=visit.check_in,
        due_ms=visit.due_ms,
        closes_ms=visit.closes_ms,
        detail=_detail(visit.detail, Outcome(visit.outcome)),
    )


_TOLD: Final = tuple((one.name, one.default) for one in fields(Detail) if one.name != "timing")


def _detail_text(detail: Detail) -> str:
    told = {name: value for name, bare in _TOLD if (value := getattr(detail, name)) != bare}
    return json.dumps({"timing": detail.timing.value, **told}, ensure_ascii=False)


def _detail(text: str, outcome: Outcome) -> Detail:
    values = json.loads(text)
    excuse = values.pop("excuse", None)
    return Detail(
        timing=Outcome(values.pop("timing", outcome.value)),
        excuse=None if excuse is None else Reason(excuse),
        repeats=tuple(values.pop("repeats", ())),
        **values,
    )
