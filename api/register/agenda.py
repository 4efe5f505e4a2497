"""Changes of the register that are planned ahead, and made by themselves at their time. Takes a session, never commits.

A change is planned by whoever may make it now, and tried at once: on the register as it will be then, when what is
planned before it has been made. At its time it is asked of the same rules again, in the order of times, then of
numbers, in the name of whoever planned it. Of an area or a place only what was to differ is written; where somebody
else has changed just that meanwhile, nothing is. What is not possible then is refused with its reasons: a fault that
people work off, and whoever planned it is told.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, TypeVar

from sqlmodel import Session

from api.accounts.acting import acting
from api.audit.service import record
from api.clock import Clock
from api.database import Database
from api.etags import etag, expect
from api.faults.service import clear_fault, raise_fault
from api.notify.rules import Notice
from api.notify.service import notify
from api.problems import NotThere, Problem
from api.register import repository
from api.register.models import AreaKind, ChangeSort, ChangeState, ChangeStep, PlaceKind, PlannedChange
from api.register.problems import Impossible
from api.register.registrar import AreaFields, Edit, PlaceFields, Registrar
from api.register.rules import Fault
from api.register.service import Register
from api.rights.rules import Authority, Subject, rights

_F = TypeVar("_F", AreaFields, PlaceFields)

LOOK_S: Final = 1.0
REFUSED: Final = "register_change_refused"
ACTIONS: Final[Mapping[ChangeSort, str]] = {
    ChangeSort.AREA: "register.area",
    ChangeSort.PLACE: "register.place",
    ChangeSort.OCCUPANCY: "register.occupancy",
}
"""What whoever plans must be allowed to do, then as well as now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to happen to an area or a place. `becomes` None with no `step`: it ends."""

    sort: ChangeSort
    about: str
    becomes: AreaFields | PlaceFields | None = None
    step: ChangeStep | None = None
    name: str = ""
    other: str | None = None


Differs = Mapping[str, Sequence[Any]]
"""By field: what it is before and after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a trial: what would differ, and which planned changes (by number) come before it."""

    differs: Differs
    after: tuple[int, ...]


class Agenda:
    """The changes of one station's register that are planned."""

    def __init__(
        self, register: Register, registrar: Registrar, *, clock: Clock, link: str = ""
    ) -> None:  # fmt: skip
        """`link` is where whoever is told of a refusal goes."""
        self._register = register
        self._registrar = registrar
        self._clock = clock
        self._link = link

    # Planning

    def attempt(self, database: Database, by: Authority, wanted: Wanted, *, at_ms: int) -> Tried:
        """Try it as things will be then, and take everything back. Raises Impossible or NotThere."""
        with database.write(commit=Session.rollback) as session:
            before = repository.planned(session, self._register.station, until_ms=at_ms)
            after = tuple(row.number for row in before if row.number is not None)
            for row in before:
                self._attempt_earlier(session, row)
            edit = self._registrar.within(session, by.principal.account, at_ms=at_ms)
            body = _first(edit, wanted)
            self._make(edit, by, wanted.sort, wanted.about, body)
        return Tried(differs=body.get("differs", {}), after=after)

    def _attempt_earlier(self, session: Session, row: PlannedChange) -> None:
        try:
            with session.begin_nested():
                edit = self._registrar.within(session, row.by, at_ms=row.at_ms)
                self._make(edit, None, ChangeSort(row.sort), row.about, _body(row))
        except Problem:
            return  # it will be refused then, and changes nothing

    def plan(self, session: Session, by: Authority, wanted: Wanted, differs: Differs, *, at_ms: int) -> PlannedChange:
        """Let it be made then. It has been tried."""
        now, account = self._clock(), by.principal.account
        row = PlannedChange(
            station=self._register.station,
            sort=wanted.sort.value,
            about=wanted.about,
            place=None if wanted.sort is ChangeSort.AREA else wanted.about,
            body=json.dumps(_words(wanted, differs), ensure_ascii=False),
            at_ms=at_ms,
            by=account,
            made_ms=now,
        )
        session.add(row)
        session.flush()
        self._record(session, row, by=account, done="plan")
        return row

    def page(
        self, session: Session, by: Authority, *, state: ChangeState | None, below: int | None, limit: int
    ) -> list[PlannedChange]:
        """Those of what the account reaches, newest first."""
        found: list[PlannedChange] = []
        while len(found) <= limit:
            rows = repository.plans(session, self._register.station, state=state, below=below, limit=limit + 1)
            found += [row for row in rows if by.reach.covers(self.subject(row))]
            if len(rows) <= limit:
                break
            below = rows[-1].number
        return found

    def cancel(self, session: Session, by: Authority, number: int, *, if_match: str) -> PlannedChange:
        """Let it not be made; or have done with one that was refused. Raises NotThere or StaleVersion."""
        row = session.get(PlannedChange, number)
        if row is None or row.station != self._register.station or not by.reach.covers(self.subject(row)):
            raise NotThere(f"no planned change {number} here")
        action = ACTIONS[ChangeSort(row.sort)]
        reach = rights().reach(by.principal, action, groups=self._register.groups_of_places)
        if not reach.covers(self.subject(row)) or row.state not in {ChangeState.PLANNED, ChangeState.REFUSED}:
            raise NotThere(f"no planned change {number} of yours")
        expect(if_match, row.version)
        clear_fault(session, REFUSED, about=str(number), now_ms=self._clock())
        self._end(session, row, ChangeState.CANCELLED, by=by.principal.account)
        return row

    def subject(self, row: PlannedChange) -> Subject:
        """What rights ask about a planned change."""
        if row.sort == ChangeSort.AREA:
            return self._register.subject_of_area(row.about)
        return self._register.subject(row.about)

    # At its time

    def run(self, database: Database, now_ms: int) -> None:
        """Make what is due, one after the other, each in a transaction of its own."""
        with database.read() as session:
            due = [row.number for row in repository.planned(session, self._register.station, until_ms=now_ms)]
        made = [self._run(database, number) for number in due if number is not None]
        if any(made):
            self._registrar.done()

    def _run(self, database: Database, number: int) -> bool:
        try:
            with database.write(patient=True) as session:
                row = session.get(PlannedChange, number)
                if row is None or row.state != ChangeState.PLANNED:
                    return False
                by = self._planner(session, row)
                edit = self._registrar.within(session, row.by)
                self._make(edit, by, ChangeSort(row.sort), row.about, _body(row))
                self._end(session, row, ChangeState.DONE, by=None)
        except Problem as problem:
            with database.write(patient=True) as session:
                self._refuse(session, number, problem)
            return False
        self._register.refresh(database)
        return True

    def _refuse(self, session: Session, number: int, problem: Problem) -> None:
        row, now = session.get(PlannedChange, number), self._clock()
        assert row is not None
        found = problem.faults if isinstance(problem, Impossible) else (Fault("changed_meanwhile", row.about),)
        row.state, row.ended_ms = ChangeState.REFUSED.value, now
        row.refused = json.dumps([[fault.code, fault.about] for fault in found])
        row.version += 1
        session.flush()
        codes = " ".join(dict.fromkeys(fault.code for fault in found))
        areas = self.subject(row).areas
        raise_fault(session, REFUSED, about=str(number), detail=codes, now_ms=now, areas=areas)
        notice = Notice(
            kind_shown=None, fault=REFUSED, grid=None, number=number, link=self._link, police_only=False, urgent=False
        )
        notify(session, accounts=[row.by], notice=notice, now_ms=now)
        self._record(session, row, by=None, done="refuse")

    def _planner(self, session: Session, row: PlannedChange) -> Authority:
        """Whoever planned it, as far as he reaches today. Raises Impossible where he may do it no more."""
        action = ACTIONS[ChangeSort(row.sort)]
        who = acting(session, row.by, now_ms=self._clock(), via="plan")
        return Authority(who, action, rights().reach(who, action, groups=self._register.groups_of_places))

    def _end(self, session: Session, row: PlannedChange, state: ChangeState, *, by: str | None) -> None:
        row.state, row.ended_ms, row.ended_by, row.body = state.value, self._clock(), by, ""
        row.version += 1
        session.flush()
        self._record(session, row, by=by, done="cancel" if state is ChangeState.CANCELLED else "make")

    def _record(self, session: Session, row: PlannedChange, *, by: str | None, done: str) -> None:
        detail = {"done": done, "sort": row.sort, "about": row.about, "at_ms": row.at_ms}
        record(
            session, at_ms=self._clock(), by=by, action="register.planned", about=f"planned_change:{row.number}",
            detail=detail,
        )  # fmt: skip

    # What is made

    def _make(
        self, edit: Edit, by: Authority | None, sort: ChangeSort, about: str, body: Mapping[str, Any]
    ) -> None:  # fmt: skip
        """Make a change. `by` None: rights are not asked, in a trial of what somebody else planned."""
        if not body:
            raise Impossible([Fault("words_erased", about)])
        if sort is ChangeSort.AREA:
            self._reaches(by, self._register.subject_of_area(about))
            self._make_area(edit, by, about, body)
            return
        self._reaches(by, self._register.subject(about))
        place = edit.now.places.get(about)
        if place is None:
            raise Impossible([Fault("place_unknown", about)])
        if sort is ChangeSort.OCCUPANCY:
            self._step(edit, by, about, body, if_match=etag(place.version))
        elif "differs" not in body:
            edit.close_place(about, if_match=etag(place.version))
        else:
            now = PlaceFields(**{field.name: getattr(place, field.name) for field in fields(PlaceFields)})
            becomes = _changed(now, body["differs"], PlaceKind)
            if becomes.group is not None and becomes.group != now.group:
                self._reaches(by, self._register.subject_of_area(becomes.group))
            edit.change_place(about, becomes, if_match=etag(place.version))

    def _make_area(self, edit: Edit, by: Authority | None, about: str, body: Mapping[str, Any]) -> None:
        area = edit.now.areas.get(about)
        if area is None:
            raise Impossible([Fault("area_unknown", about)])
        if "differs" not in body:
            edit.close_area(about, if_match=etag(area.version))
            return
        now = AreaFields(**{field.name: getattr(area, field.name) for field in fields(AreaFields)})
        becomes = _changed(now, body["differs"], AreaKind)
        for above in {becomes.parent, becomes.police_parent} - {now.parent, now.police_parent, None}:
            self._reaches(by, self._register.subject_of_area(str(above)))
        edit.change_area(about, becomes, if_match=etag(area.version))

    def _step(self, edit: Edit, by: Authority | None, place: str, body: Mapping[str, Any], *, if_match: str) -> None:
        match ChangeStep(body["step"]):
            case ChangeStep.MOVE_IN:
                edit.move_in(place, body["name"], if_match=if_match)
            case ChangeStep.MOVE_OUT:
                edit.move_out(place, if_match=if_match)
            case ChangeStep.LEND:
                edit.lend(place, body["name"], if_match=if_match)
            case ChangeStep.GIVE_BACK:
                edit.give_back(place, if_match=if_match)
            case ChangeStep.SWAP:
                other = body["other"]
                self._reaches(by, self._register.subject(other))
                if other not in edit.now.places:
                    raise Impossible([Fault("place_unknown", other)])
                edit.swap(place, other, if_match=if_match)

    def _reaches(self, by: Authority | None, subject: Subject) -> None:
        if by is None or by.reach.covers(subject):
            return
        if by.principal.via == "plan":
            raise Impossible([Fault("planner_gone", by.principal.account)])
        raise NotThere("no such area or place of yours")


def _first(edit: Edit, wanted: Wanted) -> Mapping[str, Any]:
    """What is asked, as a row keeps it: of an area or a place only what differs from what will be there then."""
    now = edit.now.areas.get(wanted.about) if wanted.sort is ChangeSort.AREA else edit.now.places.get(wanted.about)
    if wanted.becomes is None or now is None:
        return _words(wanted, {})
    differs = {
        name: [getattr(now, name), value]
        for name, value in asdict(wanted.becomes).items()
        if getattr(now, name) != value
    }
    if not differs:
        raise Impossible([Fault("nothing_changes", wanted.about)])
    return _words(wanted, differs)


def _words(wanted: Wanted, differs: Differs) -> dict[str, Any]:
    if wanted.step is not None:
        return {"step": wanted.step.value, "name": wanted.name, "other": wanted.other}
    return {"ends": True} if wanted.becomes is None else {"differs": differs}


def _body(row: PlannedChange) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.body or "{}")
    return found


def _changed(now: _F, differs: Differs, kind: Callable[[str], Any]) -> _F:
    """`now` with what differs. Raises Impossible where it is neither what it was nor what it shall be."""
    others = [Fault("changed_meanwhile", name) for name, both in differs.items() if getattr(now, name) not in both]
    if others:
        raise Impossible(others)
    values = {name: kind(after) if name == "kind" else after for name, (_, after) in differs.items()}
    return replace(now, **values)
