"""What becomes known after rounds were judged: leave, orders, excuses, duty lists, faults. It marks what it touches.

Each is a row with a number that rises, whoever writes it and in whichever process; one writer at a time means that a
higher number was committed later. So nothing has to be told to patrols: they look for rows of higher numbers than they
have heard of, and let those rounds be judged again that such a row changes. What lies ahead of `now_ms` changes none.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row
from sqlmodel import Session

from api.faults import repository as faults
from api.guards import service as guards
from api.guards.service import Tells, Told
from api.ingest.models import Fault
from api.patrols import repository
from api.patrols.judging import band, excuse_of, judged_of
from api.patrols.rules import EXCUSABLE, Excuse, Reason, counts
from api.register.service import Register

FAULT: Final = "fault"
AT_ONCE: Final = 100


def waiting(session: Session) -> bool:
    """Whether something was told that nobody has heard of."""
    heard = _heard(session)
    return bool(guards.told_after(session, _of_guards(heard), 1) or faults.began_after(session, heard[FAULT], 1))


def hear(session: Session, register: Register, now_ms: int) -> bool:
    """Let the rounds be judged again that what was told touches; whether more may wait."""
    heard = _heard(session)
    told = guards.told_after(session, _of_guards(heard), AT_ONCE)
    began = faults.began_after(session, heard[FAULT], AT_ONCE)
    touched: set[int] = set()
    judged_in = _JudgedIn(session, register)
    for one in told:
        heard[one.tells.value] = max(heard[one.tells.value], one.number)
        if one.from_ms <= now_ms:
            touched.update(_touched(session, judged_in, one))
    for number, fault, at_ms in began:
        heard[FAULT] = number
        touched.update(_touched_by_fault(session, fault, at_ms, now_ms))
    for some in repository.portions(touched):
        repository.judge_again(session, some, now_ms=now_ms)
    if told or began:
        repository.put_heard(session, heard)
    return max(len(told), len(began)) >= AT_ONCE


def _heard(session: Session) -> dict[str, int]:
    return {**{kind.value: 0 for kind in Tells}, FAULT: 0, **repository.heard(session)}


def _of_guards(heard: dict[str, int]) -> dict[Tells, int]:
    return {kind: heard[kind.value] for kind in Tells}


class _JudgedIn:
    """Judged rounds in an area and a span, asked for once: a list names many guards for one shift."""

    def __init__(self, session: Session, register: Register) -> None:
        self._session = session
        self._register = register
        self._within: dict[str, Collection[str]] = {}
        self._found: dict[tuple[str, int, int], Sequence[Row[Any]]] = {}

    def __call__(self, area: str | None, from_ms: int, to_ms: int) -> Sequence[Row[Any]]:
        station = self._register.station
        area = area or station
        found = self._found.get((area, from_ms, to_ms))
        if found is None:
            within = self._within.get(area)
            if within is None:
                within = self._within[area] = self._register.within(area)
            found = repository.judged_in(self._session, station, within, from_ms, to_ms)
            self._found[area, from_ms, to_ms] = found
        return found


def _touched(session: Session, judged_in: _JudgedIn, told: Told) -> Iterator[int]:
    """A list or a leave changes who answers for what; anything else excuses what was not made as planned."""
    rounds: Sequence[Row[Any]]
    if told.guard is not None and told.tells in {Tells.LEAVE, Tells.EXCUSE}:
        rounds = repository.judged_of_guard(session, told.guard, told.from_ms, told.to_ms)
    else:
        rounds = judged_in(told.area, told.from_ms, told.to_ms)
    if rounds and told.tells is Tells.DUTY and told.guard is not None:
        jobs = guards.employments(session, (told.guard,)).get(told.guard, ())
        rounds = [
            row
            for row in rounds
            if told.route in {None, row.route}
            and (row.company is None or guards.employer(jobs, row.starts_ms) == row.company)
        ]
    if told.tells in {Tells.DUTY, Tells.LEAVE}:
        yield from (row.number for row in rounds if row.starts_ms < told.to_ms and row.ends_ms > told.from_ms)
        return
    excuse = Excuse(from_ms=told.from_ms, to_ms=told.to_ms, reason=Reason.STATION, evidence="")
    for visit in repository.blamed(session, [row.number for row in rounds]):
        if _excused(excuse, visit):
            yield visit.round


def _touched_by_fault(session: Session, fault: Fault, at_ms: int, now_ms: int) -> Iterator[int]:
    ended = next((ends for begins, ends in faults.spans(session, [fault])[fault.number or 0] if begins == at_ms), None)
    readers = repository.points_at(session, fault.gateway) if fault.gateway else {}
    excuse = excuse_of(fault, readers, at_ms, now_ms if ended is None else ended)
    if excuse is None or excuse.points is None:
        return
    for number, visit in repository.touched(session, excuse.points, excuse.from_ms, excuse.to_ms, now_ms=now_ms):
        if visit.outcome in EXCUSABLE and _excused(excuse, visit):
            yield number


def _excused(excuse: Excuse, visit: Row[Any]) -> bool:
    return counts(excuse, visit.point, band(visit)) and not judged_of(visit).detail.too_fast
