"""Calls for help of people on patrol. Takes a session, never commits. What becomes of one stays in `api.alarms`."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from sqlmodel import Session, col

from api.accounts import repository as accounts
from api.alarms import raising
from api.alarms import repository as alarm_rows
from api.alarms.changes import Change
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.problems import AskedDifferently
from api.alarms.requests import Position
from api.alarms.rules import OPEN, Action, State
from api.alarms.service import Alarms
from api.alarms.views import may_know
from api.checkins import service as checkins
from api.clock import Clock
from api.guards import service as guards
from api.helps import repository, rules
from api.helps.models import HelpCall, HelpTold
from api.helps.rules import Eyes, Seen
from api.notify.rules import Notice, Pushed, tag_of
from api.pages import newest
from api.patrols import service as patrols
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject
from api.tracks.service import Aim, Tracks
from broker.kinds import Kind
from broker.policy import Audience

SKEW_HEARD_MS: Final = 60_000
"""A phone's clock that is off by less is believed."""


class Notify(Protocol):
    """`api.notify.service.notify`."""

    def __call__(self, session: Session, /, *, accounts: Sequence[str], notice: Notice, now_ms: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call for help as somebody reads it. `place`: the name of the checkpoint; `told`: how many near were told."""

    row: HelpCall
    alarm: AlarmRecord
    eyes: Eyes
    own: bool
    person: guards.Person | None
    name: str | None
    place: str | None
    told: int

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something about it."""
        return State(self.alarm.state) in OPEN


class Helps:
    """The help calls of one station."""

    def __init__(
        self,
        register: Register,
        alarms: Alarms,
        tracks: Tracks,
        *,
        clock: Clock,
        notify: Notify,
        link: str,
    ) -> None:
        """`link`: the page that whoever is told opens."""
        self._register = register
        self._alarms = alarms
        self._tracks = tracks
        self._clock = clock
        self._notify = notify
        self._link = link

    def call(
        self,
        session: Session,
        by: Authority,
        *,
        key: str,
        kind: Kind,
        last: Seen | None,
        position: Position | None,
        words: str,
        phone_now_ms: int | None,
    ) -> Called:
        """Raise an alarm for himself, or join it to the one that is open. The same key again only shows it.

        Raises AskedDifferently.
        """
        now, account = self._clock(), by.principal.account
        digest = sha256(f"{kind} {last} {position} {words}".encode()).hexdigest()
        earlier = repository.by_key(session, account, key)
        if earlier is not None:
            if earlier.digest != digest:
                raise AskedDifferently
            return self._called(session, earlier, Eyes.OWN, own=True)
        guard = guards.guard_of_account(session, account)
        seen = self._seen(session, guard, last, now_ms=now, phone_now_ms=phone_now_ms)
        role = by.reach.held[0].role
        row = HelpCall(
            station=self._register.station,
            alarm="",
            account=account,
            key=key,
            digest=digest,
            role=role.value,
            guard=guard,
            company=None if guard is None else guards.employer_at(session, guard, now),
            duty=guard is not None and bool(guards.servings_of(session, guard, now, now + 1)),
            point=None if seen is None else seen.point,
            seen_ms=None if seen is None else seen.at_ms,
            at_ms=now,
        )
        before = repository.last_of(session, account)
        alarm = None if before is None else alarm_rows.find(session, before.alarm, lock=True)
        if (
            before is not None
            and alarm is not None
            and rules.joins(
                kind,
                before=Kind(alarm.kind),
                state=State(alarm.state),
                cancelled=alarm.cancelled_ms is not None,
                last_ms=before.at_ms,
                now_ms=now,
            )
        ):
            self._join(session, alarm, row, now)
        else:
            actor = Actor(account=account, role=role.value)
            alarm = raising.by_staff(
                session, self._alarms, actor, kind, address=self._place(session, row.point), words=words,
                position=position,
            )  # fmt: skip
            row.alarm = alarm.id
            repository.add(session, row)
            self._tell(session, row, alarm, position, now)
        return self._called(session, row, Eyes.OWN, own=True)

    def cancel(self, session: Session, by: Authority, alarm: str, *, known_ms: int) -> Called:
        """Take his own call back, of which he knows the press at `known_ms`; one that was pressed later stands.

        Raises NotThere where it is not his own, or is for the police alone.
        """
        row, record = repository.of_alarm(session, alarm), alarm_rows.find(session, alarm, lock=True)
        if row is None or record is None or row.account != by.principal.account:
            raise NotThere("no such help call of yours")
        self._shown(session, by, row)
        row = repository.of_alarm(session, alarm) or row  # a press may have come before the lock
        if rules.takes_back(known_ms, row.at_ms):
            raising.cancel(session, self._alarms, record, Actor(account=row.account, role=by.reach.held[0].role.value))
        return self._called(session, row, Eyes.OWN, own=True)

    def one(self, session: Session, by: Authority, alarm: str) -> Called:
        """The help call that raised an alarm. Raises NotThere where there is none for this account."""
        row = repository.of_alarm(session, alarm)
        if row is None:
            raise NotThere("no such help call of yours")
        return self._shown(session, by, row)

    def listed(
        self, session: Session, by: Authority, *, below: int | None, only_open: bool, limit: int
    ) -> list[Called]:
        """Newest first: what police of the whole station see, else his own, his company's and what he was told of."""
        asked = repository.calls(
            police=self._police(by),
            account=by.principal.account,
            companies=by.reach.over(Over.COMPANY),
            only_open=only_open,
        )
        return newest(session, asked, col(HelpCall.number), lambda row: self._shown(session, by, row),
                      below=below, limit=limit)  # fmt: skip

    # Inside

    def _seen(
        self, session: Session, guard: str | None, last: Seen | None, *, now_ms: int, phone_now_ms: int | None
    ) -> Seen | None:
        read = [] if guard is None else checkins.of_guard(session, guard, now_ms - rules.LOOKED_BACK_MS, now_ms + 1)
        said = last
        if said is not None and patrols.point(session, said.point) is None:
            said = None
        if said is not None and phone_now_ms is not None and abs(phone_now_ms - now_ms) > SKEW_HEARD_MS:
            said = Seen(said.point, said.at_ms - (phone_now_ms - now_ms))
        return rules.place([Seen(one.point, one.at_ms) for one in read if one.point is not None], said, now_ms=now_ms)

    def _join(self, session: Session, alarm: AlarmRecord, row: HelpCall, now: int) -> None:
        """Another press of the same: counted, and its place is the newest."""
        row.alarm = alarm.id
        repository.add(session, row)
        alarm.presses += 1
        alarm.version += 1
        columns: dict[str, object] = {"presses": alarm.presses, "version": alarm.version}
        if (where := self._place(session, row.point)) is not None:
            alarm.address = columns["address"] = where
        alarm_rows.update_alarm(session, alarm.id, columns)
        self._alarms.changing.hear(
            session, Change(alarm=alarm, action=Action.RECEIVE, before=State(alarm.state), at_ms=now, by=row.account)
        )

    def _tell(self, session: Session, row: HelpCall, alarm: AlarmRecord, position: Position | None, now: int) -> None:
        """The nearest on duty learn of it by their channels and on their pages; who they are, the police read."""
        if position is not None:
            aim = Aim(at_e7=(round(position.lat * 1e7), round(position.lon * 1e7)))
        elif row.point is not None:
            aim = Aim(point=row.point)
        else:
            return
        near = [one.guard for one in self._tracks.near(session, aim, self._register.within(row.station)).guards]
        people = guards.named(session, near)
        chosen = rules.told(near, caller=row.guard, accounts={id_: one.account for id_, one in people.items()})
        accounts = [account for one in chosen if (account := people[one].account) is not None]
        repository.add(
            session,
            *(
                HelpTold(alarm=alarm.id, guard=one, account=account, at_ms=now)
                for one, account in zip(chosen, accounts, strict=True)
            ),
        )
        notice = Notice(kind_shown=Kind(alarm.kind), grid=None, number=None, link=self._link, police_only=False,
                        pushed=Pushed.HELP, tag=tag_of(alarm.id))  # fmt: skip
        self._notify(session, accounts=accounts, notice=notice, now_ms=now)

    def _shown(self, session: Session, by: Authority, row: HelpCall) -> Called:
        alarm = alarm_rows.find(session, row.alarm)
        if alarm is None:
            raise NotThere("no such help call of yours")
        own = row.account == by.principal.account
        found = rules.eyes(
            police=self._police(by),
            own=own,
            company=row.company is not None and row.company in by.reach.over(Over.COMPANY),
            told=any(one.account == by.principal.account for one in repository.told_of(session, row.alarm)),
            hidden=not may_know(alarm.kind, alarm.mark, alarm.group_known, None, dispatched=True),
            is_open=State(alarm.state) in OPEN,
        )
        if found is None:
            raise NotThere("no such help call of yours")
        return self._called(session, row, found, own=own)

    def _called(self, session: Session, row: HelpCall, eyes: Eyes, *, own: bool) -> Called:
        alarm = alarm_rows.find(session, row.alarm)
        assert alarm is not None, "a help call has its alarm"
        person = None if row.guard is None else guards.guard(session, row.guard)
        account = None if person is not None else accounts.one(session, accounts.ACCOUNT, id=row.account)
        name = person.name if person is not None else None if account is None else account.name
        return Called(
            row=row, alarm=alarm, eyes=eyes, own=own, person=person, name=name,
            place=self._place(session, row.point), told=len(repository.told_of(session, row.alarm)),
        )  # fmt: skip

    def _police(self, by: Authority) -> bool:
        """Whether he has the police's eyes over what lies nowhere in particular, as `sight` asks it of the alarm."""
        held = by.reach.covers(Subject(areas=self._register.areas_of(None)))
        return any(one.eyes is Audience.POLICE and one.over in {Over.AREA, Over.ALL} for one in held)

    @staticmethod
    def _place(session: Session, point: str | None) -> str | None:
        row = None if point is None else patrols.point(session, point)
        return None if row is None else row.name


def point_of(session: Session, alarm: str) -> str | None:
    """Where whoever called for help was seen last, if this alarm is such a call."""
    row = repository.of_alarm(session, alarm)
    return None if row is None else row.point
