"""Judges many rounds at once: some ten questions for a slice of rounds, and one statement for each table.

Takes a session, never commits. What a round is judged by does not depend on what else is in its slice.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Row
from sqlmodel import Session

from api.checkins import service as checkins
from api.checkins.rules import CheckIn
from api.faults import repository as faults
from api.faults.rules import GATEWAY_OFFLINE, LOST_MS
from api.guards import service as guards
from api.guards.service import Cause
from api.ingest.models import Fault
from api.patrols import repository
from api.patrols.models import PatrolRound, PatrolVisit
from api.patrols.rules import (
    EXCEPTIONS,
    Band,
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
    Span,
    answering,
    counts,
    evaluate,
    true_since,
    unread,
)
from api.register.service import Register

GATEWAY_FAULTS: Final = frozenset({GATEWAY_OFFLINE, "journal", "internal_error", "clone"})
POWER_FAULTS: Final = frozenset({"power_cut", "mains", "area_outage"})
READER_FAULTS: Final = frozenset({"line_lost", "line_silent", "pins_lost", "reader_silent", "unit_silent"})
"""Codes of `api.faults`; of a reader where the fault is about it, or about its whole line."""
_REASONS: Final[Mapping[Cause, Reason]] = {
    Cause.SUSPENDED: Reason.SUSPENDED,
    Cause.SPOT_CALL: Reason.RETASKED,
    Cause.ALARM: Reason.ALARM,
    Cause.LEAVE: Reason.LEAVE,
}
_NOBODY: Final = ""
"""No guard has this id: orders that hold for everybody hold for it as well."""

RoundRow = PatrolRound | Row[Any]
VisitRow = PatrolVisit | Row[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A round that was judged, and how it stood before (None: for the first time)."""

    round: Round
    evaluation: Evaluation
    before: Evaluation | None
    answers: Mapping[str, frozenset[int]]
    """Of each guard who is listed, the visits (their places in the plan) for which he answers if nobody makes them."""
    away: Mapping[str, Mapping[int, str]]
    """Of each guard, the visits that fell into his leave, with what shows it."""
    gone: tuple[str, ...]
    """Guards of the round as it stood before, who are none of it now."""


Consequence = Callable[[Session, Sequence[Verdict]], None]
"""Told in its transaction of what was judged."""


def listed(session: Session, register: Register, rounds: Sequence[RoundRow]) -> dict[int, dict[str, list[Span]]]:
    """Who is on duty lists for each of these rounds, and when; nobody: anybody's check-ins count."""
    lies_in = {area: register.lies_in(area) for area in {row.area for row in rounds}}
    by_area: dict[str, list[guards.Serving]] = {}
    from_ms, to_ms = min(row.starts_ms for row in rounds), max(row.ends_ms for row in rounds)
    for one in guards.servings(session, from_ms, to_ms, areas=frozenset().union(*lies_in.values())):
        by_area.setdefault(one.area, []).append(one)
    found: dict[int, dict[str, list[Span]]] = {}
    for row in rounds:
        mine = found[_number(row)] = {}
        for area in sorted(lies_in[row.area] & by_area.keys()):
            for one in by_area[area]:
                if one.from_ms < row.ends_ms and one.to_ms > row.starts_ms and one.route in {None, row.route}:
                    mine.setdefault(one.guard, []).append((one.from_ms, one.to_ms))
    of_companies = [row for row in rounds if row.company is not None]
    jobs = guards.employments(session, {guard for row in of_companies for guard in found[_number(row)]})
    for row in of_companies:
        mine = found[_number(row)]
        of = {guard: guards.employer(jobs.get(guard, ()), row.starts_ms) for guard in mine}
        found[_number(row)] = {guard: spans for guard, spans in mine.items() if of[guard] == row.company}
    return found


def excuse_of(fault: Fault, readers: Mapping[str, str], from_ms: int, to_ms: int) -> Excuse | None:
    """What a fault excuses in the time in which it was there, at the points of its gateway (with their readers)."""
    there = readers
    if fault.code in GATEWAY_FAULTS:
        reason = Reason.GATEWAY
        if fault.code == GATEWAY_OFFLINE:  # it had been silent for so long when it was found to be lost
            from_ms -= LOST_MS
    elif fault.code in POWER_FAULTS:
        reason = Reason.POWER
        there = {point: reader for point, reader in readers.items() if fault.about in {"", reader, fault.gateway}}
    elif fault.code in READER_FAULTS:
        reason = Reason.READER
        there = {point: reader for point, reader in readers.items() if fault.about == reader}
    else:
        return None
    if not there:
        return None
    return Excuse(
        from_ms=from_ms, to_ms=to_ms, reason=reason, evidence=f"fault:{fault.number}", points=frozenset(there)
    )


class Slice:
    """What some rounds are judged by, as far as it is known now.

    `points`: the points of each round at which is looked what was read there (None: all of them).
    """

    def __init__(
        self,
        session: Session,
        register: Register,
        rounds: Sequence[RoundRow],
        visits: Mapping[int, Sequence[Row[Any]]],
        *,
        points: Mapping[int, Collection[str]] | None = None,
    ) -> None:
        self._register = register
        self.visits = visits
        self.standing = repository.standing(session, visits)
        self.before = repository.guards(session, [_number(row) for row in rounds])
        self.listed = listed(session, register, rounds)
        self._lies_in = {area: register.lies_in(area) for area in {row.area for row in rounds}}
        from_ms, to_ms = min(row.opens_ms for row in rounds), max(row.closes_ms for row in rounds) + 1
        asked = points or {number: {one.point for one in rows} for number, rows in visits.items()}
        self._points = asked
        # What few people read is asked by them: a point is on the way of many rounds at once.
        by_guard = {number for number, points in asked.items() if 0 < len(self.listed[number]) <= len(points)}
        whose = frozenset[str]().union(*(self.listed[number] for number in by_guard))
        where = frozenset[str]().union(*(asked[number] for number in asked.keys() - by_guard))
        self._of_guard = _by_time(checkins.of_guards(session, whose, from_ms, to_ms), lambda one: one.guard)
        self._at_point = _by_time(checkins.at_points(session, where, from_ms, to_ms), lambda one: one.point)
        self._by_guard = by_guard
        people = {_NOBODY}.union(*self.listed.values(), *self.before.values())
        self._excuses = guards.excuses_of(session, people, from_ms, to_ms)
        self._hang = repository.hanging(session, {one.point for rows in visits.values() for one in rows})
        self._faults: dict[str, list[tuple[Fault, int, int | None]]] = {}
        gateways = {gateway for gateway, _ in self._hang.values()}
        for some in repository.portions(gateways):
            rows = faults.between(session, some, from_ms=from_ms, to_ms=to_ms + LOST_MS)
            spans = faults.spans(session, rows) if rows else {}
            for row in rows:
                mine = [(row, begins, ends) for begins, ends in spans[row.number or 0]]
                self._faults.setdefault(row.gateway, []).extend(mine)

    def read(self, row: RoundRow) -> list[CheckIn]:
        """What was read at the points of a round while it was open, by those who are listed for it."""
        number = _number(row)
        mine, points = self.listed[number], self._points[number]
        if number in self._by_guard:
            some = (one for guard in mine for one in _within(self._of_guard.get(guard), row.opens_ms, row.closes_ms))
            return [one for one in some if one.point in points]
        some = (one for point in points for one in _within(self._at_point.get(point), row.opens_ms, row.closes_ms))
        return [one for one in some if not mine or one.guard in mine]

    def plan(self, row: RoundRow) -> RoundPlan:
        """The round as it is expected, with what excuses."""
        visits = self.visits[_number(row)]
        return RoundPlan(
            id=row.id,
            order=Order(row.order),
            expected=tuple(_expected(visit) for visit in visits),
            starts_ms=row.starts_ms,
            ends_ms=row.ends_ms,
            legs=repository.legs_of(row.legs),
            excuses=(*self._by_order(row), *self._by_faults(row, visits)),
        )

    def away(self, row: RoundRow, guard: str) -> dict[int, str]:
        """The visits of a round that fell into a guard's leave, by their places in the plan."""
        found: dict[int, str] = {}
        for one in self._excuses.get(guard, ()):
            if one.cause is Cause.LEAVE and one.from_ms <= row.closes_ms and one.to_ms > row.opens_ms:
                leave = Excuse(from_ms=one.from_ms, to_ms=one.to_ms, reason=Reason.LEAVE, evidence=one.evidence)
                visits = enumerate(self.visits[_number(row)])
                found |= {nth: one.evidence for nth, visit in visits if counts(leave, visit.point, band(visit))}
        return found

    def _by_order(self, row: RoundRow) -> Iterator[Excuse]:
        mine = self.listed[_number(row)]
        for guard in (_NOBODY, *sorted(mine)):
            for one in self._excuses[guard]:
                if one.areas is not None and (guard != _NOBODY or not one.areas & self._lies_in[row.area]):
                    continue
                if one.cause is Cause.LEAVE and len(mine) > 1:  # the others can still go
                    continue
                begins, ends = max(one.from_ms, row.opens_ms), min(one.to_ms, row.closes_ms + 1)
                if begins < ends:
                    yield Excuse(from_ms=begins, to_ms=ends, reason=_REASONS[one.cause], evidence=one.evidence)

    def _by_faults(self, row: RoundRow, visits: Sequence[VisitRow]) -> Iterator[Excuse]:
        if not self._faults:
            return
        at: dict[str, dict[str, str]] = {}
        for visit in visits:
            if (hangs := self._hang.get(visit.point)) is not None and hangs[0] in self._faults:
                at.setdefault(hangs[0], {})[visit.point] = hangs[1]
        for gateway, readers in sorted(at.items()):
            for fault, from_ms, to_ms in self._faults[gateway]:
                found = excuse_of(fault, readers, from_ms, row.closes_ms if to_ms is None else to_ms)
                if found is not None and found.from_ms <= row.closes_ms and found.to_ms >= row.opens_ms:
                    yield found


_ByTime = tuple[list[int], list[CheckIn]]


def _by_time(check_ins: Iterable[CheckIn], key: Callable[[CheckIn], str | None]) -> dict[str, _ByTime]:
    """Check-ins, which are in order of time, and their times, by what they have in common."""
    found: dict[str, _ByTime] = {}
    for one in check_ins:
        times, some = found.setdefault(key(one) or "", ([], []))
        times.append(one.at_ms)
        some.append(one)
    return found


def _within(found: _ByTime | None, from_ms: int, to_ms: int) -> Sequence[CheckIn]:
    if found is None:
        return ()
    times, some = found
    return some[bisect_left(times, from_ms) : bisect_right(times, to_ms)]


def judge(session: Session, register: Register, rounds: Sequence[Row[Any]], now_ms: int) -> list[Verdict]:
    """Judge these rounds, each once, and write down what became of them."""
    written = repository.Written()
    found: list[Verdict] = []
    for some in _alike(rounds):
        visits = repository.visit_rows(session, [row.number for row in some])
        known = Slice(session, register, some, visits)
        found += [_judged(known, row, written, now_ms) for row in some]
    written.write(session)
    return found


def look_at(session: Session, register: Register, due: Sequence[Row[Any]], now_ms: int) -> None:
    """Of visits that have closed, say which nobody made, whatever else comes of their rounds.

    Where a round goes by a point more than once, one reading is one visit: which of them, judging says.
    """
    of: dict[int, list[Row[Any]]] = {}
    for visit in due:
        of.setdefault(visit.round, []).append(visit)
    written = repository.Written()
    for some in _alike(repository.rounds_numbered(session, of)):
        visits = repository.visit_rows(session, [row.number for row in some])
        often: dict[int, bool] = {}
        points: dict[int, set[str]] = {}
        for row in some:
            every = [visit.point for visit in visits[row.number]]
            points[row.number] = {visit.point for visit in of[row.number]}
            often[row.number] = any(every.count(point) > 1 for point in points[row.number])
            if often[row.number]:
                points[row.number] = {*every}
        known = Slice(session, register, some, visits, points=points)
        for row in some:
            read = known.read(row)
            plan = None
            so_far: Evaluation | None = None
            for visit in of[row.number]:
                missed = None
                there = any(one.point == visit.point and visit.opens_ms <= one.at_ms <= visit.closes_ms for one in read)
                if not there:
                    plan = plan or known.plan(row)
                    missed = unread(plan, visit.nth - 1)
                elif often[row.number]:
                    plan = plan or known.plan(row)
                    so_far = so_far or evaluate(plan, read, now_ms)
                    stands = so_far.visits[visit.nth - 1]
                    missed = stands if stands.check_in is None else None
                if missed is not None or visit.number in known.standing:
                    _write(written, visit, missed or judged_of(visit), known.standing, now_ms)
                else:  # it stands as it stood, and nobody needs to look again
                    written.visits.append((visit.outcome, visit.check_in, visit.detail, now_ms, visit.number))
    written.write(session)


def _alike(rounds: Iterable[Row[Any]]) -> Iterator[list[Row[Any]]]:
    """Rounds in portions of about the same time, so that what is asked for them is little more than what they need."""
    some: list[Row[Any]] = []
    begins = ends = longest = 0
    for row in sorted(rounds, key=lambda row: (row.opens_ms, row.number)):
        here = row.closes_ms - row.opens_ms
        if some and max(ends, row.closes_ms) - begins > 2 * max(longest, here):
            yield some
            some = []
        if not some:
            begins, ends, longest = row.opens_ms, row.closes_ms, here
        some.append(row)
        ends, longest = max(ends, row.closes_ms), max(longest, here)
    if some:
        yield some


def _judged(known: Slice, row: Row[Any], written: repository.Written, now_ms: int) -> Verdict:
    visits, standing = known.visits[row.number], known.standing
    before, read, mine = stands(row, visits), known.read(row), known.listed[row.number]
    evaluation = evaluate(known.plan(row), read, now_ms)
    for visit, judged in zip(visits, evaluation.visits, strict=True):
        _write(written, visit, judged, standing, now_ms)
        was = Outcome(visit.outcome)
        changed = (was, visit.check_in) != (judged.outcome, judged.check_in)
        if changed and (before is not None or was is not Outcome.PENDING):
            after = judged.outcome.value, judged.check_in
            written.rescores.append((row.number, visit.number, now_ms, was.value, visit.check_in, *after))
    used = {visit.check_in for visit in evaluation.visits}
    were, are = {*known.before[row.number]}, {*mine, *(one.guard for one in read if one.guard and one.id in used)}
    written.guards += [(row.number, guard) for guard in sorted(are - were)]
    written.gone += [(row.number, guard) for guard in sorted(were - are)]
    written.rounds.append((now_ms, row.evaluations + 1, None, row.number))
    away = {guard: known.away(row, guard) for guard in sorted(were | are)}
    return Verdict(
        round=as_round(row, sorted(are)),
        evaluation=evaluation,
        before=before,
        answers=answering([band(visit) for visit in visits], mine),
        away={guard: found for guard, found in away.items() if found},
        gone=tuple(sorted(were - are)),
    )


def _write(
    written: repository.Written,
    visit: Row[Any],
    judged: Judged,
    standing: Mapping[int, tuple[int, str]],
    now_ms: int,
) -> None:
    outcome, detail = judged.outcome.value, _detail_text(judged.detail)
    is_, was = (outcome, judged.check_in, detail), (visit.outcome, visit.check_in, visit.detail)
    if is_ != was or visit.looked_ms is None:
        looked_ms = now_ms if visit.looked_ms is None else visit.looked_ms
        written.visits.append((outcome, judged.check_in, detail, looked_ms, visit.number))
    stands_ = standing.get(visit.number)
    if stands_ is not None and stands_[1] == outcome:
        return
    if stands_ is not None:
        written.cleared.append((now_ms, stands_[0]))
    if judged.outcome in EXCEPTIONS:
        written.exceptions.append((visit.number, visit.round, outcome, true_since(judged), now_ms))


def _number(row: RoundRow) -> int:
    assert row.number is not None
    number: int = row.number
    return number


def as_round(row: RoundRow, guards_: Sequence[str]) -> Round:
    """Which round a row is."""
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


def band(visit: VisitRow) -> Band:
    """When a visit counts."""
    return Band(visit.opens_ms, visit.opens_ms + visit.extended_ms, visit.due_ms, visit.closes_ms, visit.at_ms)


def _expected(visit: VisitRow) -> Expected:
    return Expected(
        point=visit.point,
        at_ms=visit.at_ms,
        buffer_ms=visit.buffer_ms,
        extended_ms=visit.extended_ms,
        optional=visit.optional,
        dwell_ms=visit.dwell_ms,
    )


def stands(row: RoundRow, visits: Sequence[VisitRow]) -> Evaluation | None:
    """How a round stands by its rows; what was read for no visit is not kept."""
    if row.evaluated_ms is None:
        return None
    return Evaluation(visits=tuple(judged_of(visit) for visit in visits), unused=())


def judged_of(visit: VisitRow) -> Judged:
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
_BARE: Final = tuple(default for _, default in _TOLD)
_told: Final = attrgetter(*(name for name, _ in _TOLD))
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode


def _detail_text(detail: Detail) -> str:
    values = _told(detail)
    if values == _BARE:
        return f'{{"timing": "{detail.timing.value}"}}'
    told = {name: value for (name, bare), value in zip(_TOLD, values, strict=True) if value != bare}
    return _encode({"timing": detail.timing.value, **told})


@lru_cache(maxsize=4_096)
def _detail(text: str, outcome: Outcome) -> Detail:
    values = json.loads(text)
    excuse = values.pop("excuse", None)
    return Detail(
        timing=Outcome(values.pop("timing", outcome.value)),
        excuse=None if excuse is None else Reason(excuse),
        repeats=tuple(values.pop("repeats", ())),
        **values,
    )
