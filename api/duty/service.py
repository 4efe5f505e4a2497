"""Keeps the roster, watches the desk, and hands over. Takes a session, never commits.

OutsideRoster           403: a role or an area whose roster this account does not keep
NotYourSheet            403: signed by giver and taker, and by nobody else
NotForDuty              422: whoever is to take over cannot be on duty at this station
SheetChanged            409: alarms came or went since it was made; it was made anew and waits for both signatures
BadZone                 422: no such time zone
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from sqlmodel import Session

from api.accounts.naming import names
from api.accounts.problems import NoSuchPerson
from api.accounts.serving import EVERYWHERE, Serving, serving
from api.alarms.rules import State
from api.alarms.schemas import state_words
from api.audit.service import record
from api.clock import Clock
from api.database import Database
from api.duty import repository, rules
from api.duty.models import DutyLeave, DutyShift, Handover, LiveDesk
from api.duty.schemas import NewHandover, NewLeave, NewShift
from api.duty.sheets import OpenAlarm, Sheet, Signed, page
from api.etags import expect
from api.faults.repository import present
from api.faults.service import clear_fault, raise_fault
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over, Reach, Role, Subject

UNATTENDED: Final = "desk_unattended"
"""The code of the fault."""
TAKERS: Final = (Role.OFFICER, Role.DUTY_OFFICER, Role.DUTY_LEADER)
"""Who takes a duty over, as the table of rights has it for `duty.handover`."""
LOOK_S: Final = 2.0
"""How often a watcher looks."""

_ON_DUTY: Final = "duty.on_duty"
_ROSTERS: Final = "duty.rosters"
_DESKS: Final = "duty.desks"

log = structlog.get_logger("api.duty")


class OutsideRoster(Problem):
    """Somebody else keeps that roster."""

    status = HTTPStatus.FORBIDDEN
    type = "outside_roster"
    title = "You do not keep that roster"


class NotYourSheet(Problem):
    """Only the two who hand over sign."""

    status = HTTPStatus.FORBIDDEN
    type = "not_your_sheet"
    title = "This is not yours to sign"


class NotForDuty(Problem):
    """Nobody who may be on duty at this station. Field: `taker`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_for_duty"
    title = "Nobody who may be on duty here"

    def __init__(self, taker: str) -> None:
        super().__init__(
            "name an officer of this station, by his account",
            zh="接班人须为本所民警, 请填写其账号",
            taker=taker[:64],
            faults=[{"where": "taker", "why": "nobody who may be on duty at this station"}],
        )


class SheetChanged(Problem):
    """What was signed is not what is open now. The answer has the new version."""

    status = HTTPStatus.CONFLICT
    type = "sheet_changed"
    title = "Alarms came or went since this sheet was made"

    def __init__(self, version: int) -> None:
        super().__init__("it was made anew: both read and sign it again", version=version)


class BadZone(Problem):
    """A time zone that is in no table."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_zone"
    title = "There is no such time zone"


Look = Callable[[Session], Sheet]
"""What is open now."""
ChangeOwner = Callable[[Session, Sequence[str], str, str, int], None]
"""(session, alarms, from whom, to whom, at_ms): in the caller's transaction."""


def on_duty(session: Session, *, role: Role, areas: Collection[str], at_ms: int) -> list[str]:
    """The accounts that serve in `role` for one of `areas` at a moment, deputies and stand-ins counted.

    `areas`: every area that the thing lies in. Whoever stands on a roster and does not hold the role there serves not:
    a roster gives nobody rights. Within one transaction the same is looked up once: a storm asks it for every alarm.
    """
    asked = (role, frozenset(areas), at_ms)
    known: dict[object, list[str]] = session.info.setdefault(_ON_DUTY, {})
    if asked not in known:
        known[asked] = _look_up(session, role=role, areas=areas, at_ms=at_ms)
    return [*known[asked]]


def _look_up(session: Session, *, role: Role, areas: Collection[str], at_ms: int) -> list[str]:
    rosters: dict[object, set[str]] = session.info.setdefault(_ROSTERS, {})
    if (role, at_ms) not in rosters:
        rosters[role, at_ms] = repository.areas_with_shifts(session, role=role, at_ms=at_ms)
    if rosters[role, at_ms].isdisjoint(areas):
        return []
    shifts = [repository.as_shift(row) for row in repository.shifts(session, role=role, areas=areas, at_ms=at_ms)]
    if not shifts:
        return []
    accounts = {shift.account for shift in shifts}
    away = repository.leaves(session, accounts=accounts, ends_after_ms=at_ms)
    # A stand-in may be away as well.
    away = [*away, *repository.leaves(session, accounts=_stand_ins(away) - accounts, ends_after_ms=at_ms)]
    serving = rules.on_duty(shifts, [repository.as_leave(row) for row in away], at_ms)
    holding = repository.holding(session, serving, role=role, areas=areas, at_ms=at_ms) if serving else set()
    return [account for account in serving if account in holding]


def without(session: Session, accounts: Collection[str], places: Collection[str], *, at_ms: int) -> list[str]:
    """Those of `accounts` that do not live or work at one of `places`."""
    there = repository.holding(session, accounts, role=Role.HOUSEHOLD, areas=places, at_ms=at_ms)
    return [account for account in accounts if account not in there]


def desk_attended(session: Session, station: str, at_ms: int) -> bool:
    """Whether a live desk of this station was heard of within the last minute."""
    known: dict[object, bool] = session.info.setdefault(_DESKS, {})
    if (station, at_ms) not in known:
        since_ms = at_ms - int(rules.UNATTENDED_S * 1_000)
        known[station, at_ms] = repository.is_attended(session, station, since_ms=since_ms)
    return known[station, at_ms]


def _stand_ins(leaves: Sequence[DutyLeave]) -> set[str]:
    return {leave.stand_in for leave in leaves if leave.stand_in is not None}


class Duty:
    """The roster, the desks and the sheets of one station."""

    def __init__(self, register: Register, *, clock: Clock, look: Look, change_owner: ChangeOwner) -> None:
        self._register = register
        self._clock = clock
        self._look = look
        self._change_owner = change_owner

    # Roster

    def put_on(self, session: Session, by: Authority, new: NewShift) -> DutyShift:
        """Put an account on duty. The same twice is once. Raises OutsideRoster, BadZone or NoSuchPerson."""
        self._keeps(by, new.role, new.area)
        try:
            ZoneInfo(new.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise BadZone(f"{new.zone[:64]!r} is in no table of time zones") from None
        self._are_people(session, account=new.account, deputy_of=new.deputy_of)
        now = self._clock()
        row = DutyShift(
            station=self._register.station,
            account=new.account,
            role=new.role.value,
            area=new.area,
            deputy_of=new.deputy_of,
            zone=new.zone,
            weekdays="".join(str(day) for day in sorted(new.weekdays)),
            starts_min=new.starts_min,
            lasts_min=new.lasts_min,
            from_ms=_ms(new.begins) or now,
            to_ms=_ms(new.ends),
            made_by=by.principal.account,
            made_ms=now,
        )
        if (same := repository.same_shift(session, row)) is not None:
            return same
        repository.add(session, row)
        self._audit(session, by, "duty.edit", f"shift:{row.number}", account=row.account, role=row.role, area=row.area)
        return row

    def choices(
        self, session: Session, by: Authority, *, roles: Collection[Role], after: str | None, limit: int
    ) -> list[Serving]:
        """Whom the account can put on a roster of its own: who holds one of `roles` over areas of it, by account."""
        kept = {role for role in roles if rules.may_roster({one.role for one in by.reach.held}, role)}
        if by.reach.everything:
            areas = {EVERYWHERE, *self._here()}
        else:
            scopes = by.reach.over(Over.AREA)
            areas = {one for scope in scopes for one in self._register.within(scope) | self._register.lies_in(scope)}
        return serving(session, kept, areas, at_ms=self._clock(), after=after, limit=limit)

    def end(self, session: Session, by: Authority, number: int, *, at: datetime | None, if_match: str) -> DutyShift:
        """End a shift. Raises NotThere or StaleVersion."""
        row = repository.shift(session, number)
        if row is None or not self._covers(by.reach, row.area):
            raise NotThere(f"no shift {number} of yours")
        self._keeps(by, Role(row.role), row.area)
        expect(if_match, row.version)
        row.to_ms = max(row.from_ms, _ms(at) or self._clock())
        row.version += 1
        session.flush()
        self._audit(session, by, "duty.edit", f"shift:{number}", ended=True)
        return row

    def roster(
        self, session: Session, by: Authority, *, area: str | None, at_ms: int | None, below: int | None, limit: int
    ) -> list[DutyShift]:
        """Shifts that the account reaches, newest first."""
        areas = None if area is None else frozenset({area})
        found: list[DutyShift] = []
        while len(found) < limit:
            rows = repository.shifts(session, areas=areas, at_ms=at_ms, below=below, limit=200)
            found.extend(row for row in rows if self._covers(by.reach, row.area))
            if len(rows) < 200:
                break
            below = rows[-1].number
        return found[:limit]

    def now(self, session: Session, by: Authority, *, role: Role, area: str, at_ms: int | None) -> list[str]:
        """Who serves for an area. Raises NotThere."""
        if not self._covers(by.reach, area):
            raise NotThere(f"no area {area[:64]!r} of yours")
        return on_duty(session, role=role, areas=self._subject(area).areas, at_ms=at_ms or self._clock())

    # Leave

    def grant_leave(self, session: Session, by: Authority, new: NewLeave) -> DutyLeave:
        """Note that somebody is away. The same twice is once. Raises OutsideRoster or NoSuchPerson."""
        self._keeps_account(session, by, new.account)
        self._are_people(session, stand_in=new.stand_in)
        row = DutyLeave(
            station=self._register.station,
            account=new.account,
            stand_in=new.stand_in,
            from_ms=_ms(new.begins) or self._clock(),
            to_ms=_ms(new.ends) or 0,
            made_by=by.principal.account,
            made_ms=self._clock(),
        )
        if (same := repository.same_leave(session, row)) is not None:
            return same
        repository.add(session, row)
        self._audit(session, by, "duty.edit", f"leave:{row.number}", account=row.account, stand_in=row.stand_in)
        return row

    def end_leave(self, session: Session, by: Authority, number: int, *, if_match: str) -> DutyLeave:
        """Somebody is back. Raises NotThere, OutsideRoster or StaleVersion."""
        row = repository.leave(session, number)
        if row is None or row.account not in self._reached(session, by):
            raise NotThere(f"no leave {number} of yours")
        self._keeps_account(session, by, row.account)
        expect(if_match, row.version)
        row.to_ms = max(row.from_ms, min(row.to_ms, self._clock()))
        row.version += 1
        session.flush()
        self._audit(session, by, "duty.edit", f"leave:{number}", ended=True)
        return row

    def leaves(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[DutyLeave]:
        """Leaves of accounts that the account reaches, newest first."""
        found: list[DutyLeave] = []
        reached = self._reached(session, by)
        while len(found) < limit:
            rows = repository.leaves(session, below=below, limit=200)
            found.extend(row for row in rows if row.account in reached)
            if len(rows) < 200:
                break
            below = rows[-1].number
        return found[:limit]

    # LiveDesk

    def beat(self, session: Session, by: Authority, desk: str) -> LiveDesk:
        """Somebody sits at a live desk."""
        return repository.beat(
            session, self._register.station, desk, account=by.principal.account, now_ms=self._clock()
        )

    def desks(self, session: Session) -> Sequence[LiveDesk]:
        """Desks that were heard of within the last minute."""
        since_ms = self._clock() - int(rules.UNATTENDED_S * 1_000)
        return repository.desks(session, self._register.station, since_ms=since_ms)

    # Handing over

    def hand_over(self, session: Session, by: Authority, new: NewHandover) -> Handover:
        """Make a sheet for the next officer, or show the one that waits for signatures already.

        Raises NotYourSheet or NotForDuty.
        """
        station, giver = self._register.station, by.principal.account
        if new.taker == giver:
            raise NotYourSheet("two people hand over")
        if not self._may_take(session, new.taker):
            raise NotForDuty(new.taker)
        row = repository.open_handover(session, station, giver=giver, taker=new.taker)
        if row is not None:
            return row
        row = Handover(
            station=station,
            giver=giver,
            taker=new.taker,
            note=new.note,
            sheet=self._look(session).text(),
            made_ms=self._clock(),
        )
        repository.add(session, row)
        self._audit(session, by, "duty.handover", f"handover:{row.number}", taker=new.taker)
        return row

    def takers(self, session: Session, by: Authority, *, after: str | None, limit: int) -> list[Serving]:
        """Everybody who may take over here from whoever asks, by account."""
        me = by.principal.account
        return serving(session, TAKERS, self._here(), at_ms=self._clock(), other_than=me, after=after, limit=limit)

    def _may_take(self, session: Session, account: str) -> bool:
        """Whether somebody may hand over here himself, so that what he takes does not stay with him."""
        areas = self._here()
        return any(
            repository.holding(session, [account], role=role, areas=areas, at_ms=self._clock()) for role in TAKERS
        )

    def _here(self) -> frozenset[str]:
        """Every area of the station, and those that it lies in."""
        station = self._register.station
        return self._register.within(station) | {station, *self._register.ancestors(station)}

    def handover(self, session: Session, number: int) -> Handover:
        """One sheet. Raises NotThere."""
        row = repository.handover(session, self._register.station, number)
        if row is None:
            raise NotThere(f"no sheet {number} here")
        return row

    def people(self, session: Session, rows: Iterable[Handover]) -> dict[str, str]:
        """What everybody on these sheets is called, by account."""
        found: set[str] = set()
        for row in rows:
            sheet = Sheet.read(row.sheet)
            found |= {row.giver, row.taker, *(one.who for one in sheet.out)}
            found |= {one.owner for one in sheet.alarms if one.owner is not None}
        return names(session, found)

    def page(self, session: Session, number: int, *, zone: ZoneInfo) -> str:
        """One sheet as a page to print, in the station's civil time. Raises NotThere."""
        row = self.handover(session, number)
        sheet = Sheet.read(row.sheet)
        signed = Signed(
            number=number,
            station=row.station,
            giver=row.giver,
            taker=row.taker,
            note=row.note,
            made_ms=row.made_ms,
            gave_ms=row.gave_ms,
            took_ms=row.took_ms,
            sheet=sheet,
        )
        areas = {area.id: area.name for area in self._register.now.areas.values() if area.name}
        return page(signed, names=areas | self.people(session, [row]), state=_state, zone=zone)

    def handovers(self, session: Session, *, below: int | None, limit: int) -> Sequence[Handover]:
        """Sheets, newest first."""
        return repository.handovers(session, self._register.station, below=below, limit=limit)

    def sign(self, session: Session, by: Authority, number: int, *, if_match: str) -> tuple[Handover, bool]:
        """Sign; with the second signature the giver's open alarms are the taker's, in this transaction.

        Returns the sheet, and False when what is open has changed: then it was made anew instead of signed, and the
        caller commits that and answers SheetChanged. Raises NotThere, NotYourSheet or StaleVersion.
        """
        row = self.handover(session, number)
        account, now = by.principal.account, self._clock()
        if account not in {row.giver, row.taker}:
            raise NotYourSheet("giver and taker sign")
        if row.done_ms is not None or (account == row.giver and row.gave_ms is not None) or (
            account == row.taker and row.took_ms is not None
        ):  # fmt: skip
            return row, True
        expect(if_match, row.version)
        if not repository.claim(session, number, version=row.version):
            expect(if_match, row.version + 1)
        session.refresh(row)
        current = self._look(session)
        if not Sheet.read(row.sheet).same_alarms(current):
            row.sheet, row.made_ms, row.gave_ms, row.took_ms = current.text(), now, None, None
            session.flush()
            return row, False
        if account == row.giver:
            row.gave_ms = now
        else:
            row.took_ms = now
        if row.gave_ms is not None and row.took_ms is not None:
            row.done_ms = now
            mine = [one.id for one in current.alarms if one.owner == row.giver]
            self._change_owner(session, mine, row.giver, row.taker, now)
        session.flush()
        self._audit(session, by, "duty.handover", f"handover:{number}", signed=account, done=row.done_ms is not None)
        return row, True

    # What is whose

    def _keeps(self, by: Authority, role: Role, area: str) -> None:
        held = by.reach.covers(self._subject(area))
        if not rules.may_roster({one.role for one in held}, role):
            raise OutsideRoster(f"the roster of {role} for {area[:64]!r}")

    def _keeps_account(self, session: Session, by: Authority, account: str) -> None:
        shifts = repository.shifts(session, at_ms=self._clock())
        kept = [row for row in shifts if account in {row.account, row.deputy_of}]
        if not kept:
            raise OutsideRoster("nobody of that account is on a roster of yours")
        for row in kept:
            self._keeps(by, Role(row.role), row.area)

    def _are_people(self, session: Session, **accounts: str | None) -> None:
        """Whether each of them is somebody: a name that is written wrong would be a duty that nobody does."""
        for field, account in accounts.items():
            if account is not None and not repository.is_active(session, account):
                raise NoSuchPerson(account, where=field)

    def _reached(self, session: Session, by: Authority) -> set[str]:
        """Accounts that are or were on a roster within reach."""
        return {row.account for row in repository.shifts(session) if self._covers(by.reach, row.area)}

    def _covers(self, reach: Reach, area: str) -> bool:
        return bool(reach.covers(self._subject(area)))

    def _subject(self, area: str) -> Subject:
        return Subject(areas=frozenset({area, self._register.station, *self._register.ancestors(area)}))

    def _audit(self, session: Session, by: Authority, action: str, about: str, **detail: object) -> None:
        record(session, at_ms=self._clock(), by=by.principal.account, action=action, about=about, detail=detail)


Above = Callable[[Session, int], None]
"""Tells the level above, in the caller's transaction."""


class DeskWatch:
    """Raises a fault when nobody has sat at any desk for a minute, and clears it when somebody does.

    The minute is counted by a monotonic clock from what this watcher saw; several watchers raise one fault.
    """

    def __init__(
        self,
        database: Database,
        register: Register,
        *,
        above: Above,
        clock: Clock,
        monotonic_s: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._register = register
        self._station = register.station
        self._above = above
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._attention = rules.Attention(began_s=monotonic_s())
        self._told: bool | None = None

    def look(self) -> bool:
        """Look once; write only what has changed. Returns whether the desk is unattended."""
        with self._database.read() as session:
            beats = repository.beats(session, self._station)
            raised = present(session, UNATTENDED, "", self._station) is not None
        unattended = self._attention.look(beats, now_s=self._monotonic_s())
        heard = self._attention.heard
        if unattended and not raised:
            with self._database.write() as session:
                if present(session, UNATTENDED, "", self._station) is None:
                    now = self._clock()
                    raise_fault(session, UNATTENDED, about=self._station, now_ms=now, areas=self._areas())
                    self._above(session, now)
        elif raised and heard and not unattended:
            with self._database.write() as session:
                clear_fault(session, UNATTENDED, about=self._station, now_ms=self._clock())
        return unattended

    def _areas(self) -> frozenset[str]:
        """The station and all that it lies in: whoever is above it sees the fault."""
        return frozenset((self._station, *self._register.ancestors(self._station)))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1_000)


def _state(one: OpenAlarm) -> str:
    """How far an alarm on a sheet is; of a state that this release does not know as it was kept."""
    return state_words(State(one.state), himself=one.himself).zh if one.state in {*State} else one.state
