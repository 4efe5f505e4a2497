"""Faults: raising and ending them in the caller's transaction, working them off, and looking for what is lost.

`raise_fault` and `clear_fault` are for every part of the station that notices something. `Faults` is what people do
about it, and the look every few seconds (`supervise`) at what nobody tells: a gateway that says nothing, many that
fell silent at once.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Final

import structlog
from sqlmodel import Session

from api.accounts.problems import NoSuchPerson
from api.accounts.serving import EVERYWHERE, Serving, serving
from api.audit.service import record
from api.clock import Clock
from api.database import Database
from api.etags import expect
from api.faults import repository, rules
from api.faults.problems import AlreadyDone, AlreadyTaken, NoSuchFault, StillThere
from api.faults.rules import AREA_OUTAGE, BROKER_LOST, GATEWAY_OFFLINE, MAINS, SILENT, Act, Silence, Work
from api.feed.rules import ANY_EYES
from api.feed.service import put
from api.ingest.models import Fault
from api.mqtt import Link
from api.register.service import Register
from api.rights.rules import Authority, Subject, Without, rights

LOOK_S: Final = 5.0
SETTLE_S: Final = 90.0
"""So long after the broker is back nobody is called lost: they need time to say that they are there."""
BROKER_S: Final = 60.0
LEAP_S: Final = 30.0
"""The station's own clock was put forward by more than this between two looks: then silence by it is no silence."""

log = structlog.get_logger("api.faults")


def raise_fault(
    session: Session,
    code: str,
    *,
    about: str,
    detail: str = "",
    now_ms: int,
    areas: Collection[str],
    gateway: str = "",
) -> Fault:
    """Say that something is wrong, or that it still is. `areas`: those in which it lies, so that they see it."""
    row = repository.latest(session, code, gateway, about)
    if row is not None and row.cleared_ms is None:
        row.times += 1
        row.last_ms = now_ms
        row.detail = detail or row.detail
        session.flush()
        return row
    if row is not None and row.cleared_ms is not None and rules.comes_back(row.cleared_ms, now_ms):
        row.cleared_ms = None
        row.times += 1
        row.began_ms = row.last_ms = now_ms
        row.detail = detail or row.detail
        row.areas = _words(areas)
        row.units = row.battery_until_ms = None
        _move(row, Act.CAME_BACK)
        repository.add_step(session, row, Act.CAME_BACK, at_ms=now_ms)
    else:
        row = Fault(
            code=code,
            gateway=gateway,
            about=about,
            detail=detail,
            times=1,
            first_ms=now_ms,
            last_ms=now_ms,
            began_ms=now_ms,
            areas=_words(areas),
        )
        repository.add(session, row)
        repository.add_step(session, row, Act.BEGAN, at_ms=now_ms)
    _tell(session, row, now_ms)
    return row


def clear_fault(session: Session, code: str, *, about: str, now_ms: int, gateway: str = "") -> None:
    """Say that it is over; nothing happens when it was not there."""
    row = repository.present(session, code, gateway, about)
    if row is not None:
        end(session, row, now_ms=now_ms)


def end(session: Session, row: Fault, *, now_ms: int) -> None:
    """This one is over."""
    row.cleared_ms = now_ms
    row.part_of = None if row.work == Work.OPEN else row.part_of
    _move(row, Act.RESTORED)
    repository.add_step(session, row, Act.RESTORED, at_ms=now_ms)
    _tell(session, row, now_ms)


def quiet_about(session: Session, code: str) -> set[tuple[str, str]]:
    """What a code is there about now: gateway and name of each."""
    return {(row.gateway, row.about) for row in repository.silent(session, [code])}


def areas_of(register: Register, gateway: str, about: str) -> frozenset[str]:
    """The areas in which something about a unit, or else about its gateway, lies."""
    place = register.place_of_unit(about.partition(":")[0])
    if place is not None:
        return register.subject(place).areas
    groups = [group for group in register.groups_in(register.station) if register.gateway_of(group) == gateway]
    inside = frozenset[str]().union(*(register.areas_of(group) for group in groups))
    return inside | register.areas_of(None)


class Faults:
    """What people do about faults, and the look at what nobody tells."""

    def __init__(
        self, database: Database, register: Register, link: Link, *, clock: Clock, lost_within_s: int = 90
    ) -> None:
        """`lost_within_s`: so soon after its last word a gateway is called lost at the latest, 90 or 20."""
        self._lost_within_s = lost_within_s
        self._database = database
        self._register = register
        self._link = link
        self._clock = clock
        self._ready_since: float | None = None
        self._lost_since: float | None = monotonic()
        self._ahead_s = clock() / 1_000 - monotonic()

    # People

    def see(self, session: Session, by: Authority, number: int) -> Fault:
        """A fault that `by` may see. Raises NoSuchFault."""
        row = repository.fault(session, number)
        if row is None or not by.reach.covers(subject(row, self._register)):
            raise NoSuchFault(number)
        return row

    def acknowledge(self, session: Session, by: Authority, number: int) -> Fault:
        """Take a fault. Exactly one does. Raises NoSuchFault, AlreadyTaken or AlreadyDone."""
        row = self.see(session, by, number)
        if row.owner == by.principal.account and row.work == Work.ACKNOWLEDGED:
            return row
        return self._act(session, by, row, Act.ACKNOWLEDGE, owner=by.principal.account)

    def assign(self, session: Session, by: Authority, number: int, *, account: str, if_match: str) -> Fault:
        """Give it to somebody who may work it off. Raises NoSuchFault, StaleVersion, NoSuchPerson or AlreadyDone."""
        row = self.see(session, by, number)
        expect(if_match, row.version)
        if not self._workers(session, row, account=account, limit=1):
            raise NoSuchPerson(account)
        return self._act(session, by, row, Act.ASSIGN, owner=account)

    def workers(self, session: Session, by: Authority, number: int, *, after: str | None, limit: int) -> list[Serving]:
        """To whom a fault can be given: who may work it off, by account. Raises NoSuchFault."""
        return self._workers(session, self.see(session, by, number), after=after, limit=limit)

    def _workers(
        self, session: Session, row: Fault, *, limit: int, account: str | None = None, after: str | None = None
    ) -> list[Serving]:
        work = rights().actions["fault.work"]
        assert not isinstance(work, Without)
        areas = {EVERYWHERE, *subject(row, self._register).areas}
        return serving(session, [*work], areas, at_ms=self._clock(), account=account, after=after, limit=limit)

    def note(self, session: Session, by: Authority, number: int, *, words: str, asked: str | None) -> Fault:
        """Write something beside a fault; the same request twice is once. Raises NoSuchFault."""
        row = self.see(session, by, number)
        if asked is not None and repository.step_asked(session, number, asked) is not None:
            return row
        return self._act(session, by, row, Act.NOTE, words=words, asked=asked)

    def done(self, session: Session, by: Authority, number: int, *, reason: str, if_match: str) -> Fault:
        """Nothing more is to be done. What is still there needs a reason.

        Raises NoSuchFault, StaleVersion, StillThere or AlreadyDone.
        """
        row = self.see(session, by, number)
        expect(if_match, row.version)
        if row.cleared_ms is None and not reason:
            raise StillThere(number)
        return self._act(session, by, row, Act.DONE, words=reason)

    def _act(
        self,
        session: Session,
        by: Authority,
        row: Fault,
        act: Act,
        *,
        owner: str | None = None,
        words: str = "",
        asked: str | None = None,
    ) -> Fault:
        now = self._clock()
        assert row.number is not None
        if rules.TABLE[Work(row.work), act] is None:
            if row.work == Work.DONE:
                raise AlreadyDone(row.number)
            raise AlreadyTaken(row.number, by=row.owner, at_ms=row.owner_ms)
        _move(row, act)
        if owner is not None:
            row.owner, row.owner_ms = owner, now
        account = by.principal.account
        assignee = owner if act is Act.ASSIGN else None
        repository.add_step(session, row, act, at_ms=now, account=account, assignee=assignee, words=words, asked=asked)
        record(session, at_ms=now, by=account, action=by.action, about=f"fault:{row.number}",
               detail={"act": act.value, "assignee": assignee}, reason=words or None)  # fmt: skip
        _tell(session, row, now)
        return row

    # What nobody tells

    def supervise(self, now_ms: int) -> None:
        """Look once: the broker, gateways that say nothing, many that fell silent together."""
        judges = self._judges()
        with self._database.read() as session:
            due = self._is_due(session, judges=judges, now_ms=now_ms)
        if due:
            with self._database.write(patient=True) as session:
                self._note_broker(session, now_ms=now_ms)
                if judges:
                    self._note_lost(session, now_ms=now_ms)
                self._gather(session, now_ms=now_ms)

    def _judges(self) -> bool:
        """Whether the station hears so well that silence means something."""
        before, self._ahead_s = self._ahead_s, self._clock() / 1_000 - monotonic()
        if not self._link.ready.is_set():
            self._ready_since = None
            self._lost_since = self._lost_since or monotonic()
            return False
        self._lost_since = None
        if self._ahead_s - before > LEAP_S:
            self._ready_since = None
        self._ready_since = self._ready_since or monotonic()
        return monotonic() - self._ready_since >= SETTLE_S

    def _is_due(self, session: Session, *, judges: bool, now_ms: int) -> bool:
        lost = judges and bool(self._lost(session, now_ms))
        broker = repository.present(session, BROKER_LOST, "", self._register.station) is not None
        return lost or broker is not self._broker_is_lost() or self._would_gather(session)

    def _broker_is_lost(self) -> bool:
        return self._lost_since is not None and monotonic() - self._lost_since >= BROKER_S

    def _note_broker(self, session: Session, *, now_ms: int) -> None:
        station = self._register.station
        if self._broker_is_lost():
            if repository.present(session, BROKER_LOST, "", station) is None:
                raise_fault(session, BROKER_LOST, about=station, now_ms=now_ms, areas=self._register.lies_in(station))
        else:
            clear_fault(session, BROKER_LOST, about=station, now_ms=now_ms)

    def _lost(self, session: Session, now_ms: int) -> list[str]:
        """Gateways that say nothing any more and are not called lost yet."""
        offline = {row.gateway for row in repository.silent(session, [GATEWAY_OFFLINE])}
        heard = repository.heard(session)
        known = self._register.gateways
        silent = partial(rules.is_lost, now_ms=now_ms, within_s=self._lost_within_s)
        return [id_ for id_, seen in heard if id_ in known and id_ not in offline and silent(seen)]

    def _note_lost(self, session: Session, *, now_ms: int) -> None:
        for gateway in self._lost(session, now_ms):
            areas = areas_of(self._register, gateway, "")
            raise_fault(session, GATEWAY_OFFLINE, about="", gateway=gateway, now_ms=now_ms, areas=areas)

    def _would_gather(self, session: Session) -> bool:
        if repository.outages(session):
            return True
        rows = repository.silent(session, SILENT)
        if len(rows) <= 1:
            return False
        lie = _Lie(self._register)
        return bool(rules.outages([lie.silence(row) for row in rows], lie.units_in))

    def _gather(self, session: Session, *, now_ms: int) -> None:
        """Make one fault of many, let latecomers join, and end what is over."""
        rows = {row.number: row for row in repository.silent(session, SILENT) if row.number is not None}
        lie = _Lie(self._register)
        for whole in repository.outages(session):
            _go_on(session, whole, rows, lie, now_ms=now_ms)
        alone = [lie.silence(row) for row in rows.values() if row.part_of is None]
        for found in rules.outages(alone, lie.units_in):
            areas = self._register.lies_in(found.area)
            whole = raise_fault(session, AREA_OUTAGE, about=found.area, now_ms=now_ms, areas=areas)
            whole.began_ms = found.began_ms
            _count(session, whole, [rows[number] for number in found.members], lie)


class _Lie:
    """Where units lie, as the rule about many asks it: made for one look."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._groups: dict[str, list[str]] = {}
        self._units: dict[str, int] = {}
        self.units_in: dict[str, int] = {}
        """How many units there are in each area."""
        for group in sorted(register.groups_in(register.station)):
            gateway = register.gateway_of(group)
            if gateway is not None:
                self._groups.setdefault(gateway, []).append(group)
            self._units[group] = sum(len(register.units_of(place)) for place in register.places_in(group))
            for area in register.areas_of(group):
                self.units_in[area] = self.units_in.get(area, 0) + self._units[group]

    def silence(self, row: Fault) -> Silence:
        """A fault of a unit, or of a gateway with all that hangs on it."""
        register = self._register
        groups = self._groups.get(row.gateway, [])
        place = register.place_of_unit(row.about.partition(":")[0])
        group = register.groups_of_places.get(place) if place is not None else groups[0] if len(groups) == 1 else None
        near = (group, register.grid_of(group), register.community_of(group), register.station)
        return Silence(
            number=row.number or 0,
            began_ms=row.began_ms,
            gateway=row.gateway,
            areas=tuple(area for area in near if area is not None),
            units=1 if place is not None else max(1, sum(self._units[one] for one in groups)),
            mains=row.code in MAINS,
        )


def _go_on(session: Session, whole: Fault, rows: Mapping[int, Fault], lie: _Lie, *, now_ms: int) -> None:
    """Let latecomers join an outage, or end it."""
    members = [row for row in rows.values() if row.part_of == whole.number]
    last_ms = max([whole.began_ms, *(row.began_ms for row in members)])
    alone = [row for row in rows.values() if row.part_of is None]
    late = [row for row in alone if rules.joins(lie.silence(row), whole.about, last_ms)]
    away = sum(lie.silence(row).units for row in [*members, *late])
    if rules.is_over(whole.units or 0, away):
        for row in members:
            row.part_of = None
        end(session, whole, now_ms=now_ms)
    elif late:
        _count(session, whole, [*members, *late], lie)
        _tell(session, whole, now_ms)


def _count(session: Session, whole: Fault, members: Sequence[Fault], lie: _Lie) -> None:
    """Write down of what an outage is made."""
    together = rules.outage(whole.about, [lie.silence(row) for row in members])
    for row in members:
        row.part_of = whole.number
    whole.units = max(together.units, whole.units or 0)
    whole.battery_until_ms = together.battery_until_ms
    whole.version += 1
    session.flush()


def subject(row: Fault, register: Register) -> Subject:
    """What rights ask about a fault."""
    return Subject(areas=frozenset(row.areas.split()) or areas_of(register, row.gateway, row.about))


def _move(row: Fault, act: Act) -> None:
    after = rules.TABLE[Work(row.work), act]
    assert after is not None
    row.work = after.value
    row.version += 1


def _words(areas: Collection[str]) -> str:
    return " ".join(sorted(areas))


def _tell(session: Session, row: Fault, now_ms: int) -> None:
    """Let screens hear of it."""
    body = {"code": row.code, "there": row.cleared_ms is None, "work": row.work, "version": row.version}
    areas = frozenset(row.areas.split())
    put(session, topic="fault", about=f"fault:{row.number}", body=body, subject=Subject(areas=areas), eyes=ANY_EYES,
        at_ms=now_ms)  # fmt: skip
