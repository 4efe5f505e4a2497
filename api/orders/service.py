"""Orders guards to alarms and follows them. Takes a session, never commits; `look` is one of the rounds.

What an alarm goes through stays in `api.alarms`: an order is a dispatch there, and so are on the way and arrived. Here
stands to whom it went, what he answered, and what proved that he came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlmodel import Session, col

from api.alarms import handling
from api.alarms import repository as alarm_rows
from api.alarms.changes import Change
from api.alarms.changing import Actor
from api.alarms.models import AlarmDispatch, AlarmRecord
from api.alarms.problems import CannotSend
from api.alarms.rules import Action
from api.alarms.service import Alarms
from api.alarms.sight import Seen, look, ties
from api.audit.service import record
from api.checkins.rules import CheckIn
from api.clock import Clock
from api.database import Database
from api.guards import service as guards
from api.guards.guarding import Guards
from api.guards.models import Guard
from api.helps import service as helps
from api.notify.rules import Notice, Pushed, tag_of
from api.orders import repository
from api.orders.models import AlarmOrder
from api.orders.problems import AlreadyOrdered, ForPoliceAlone, NotNow, NotOnDuty
from api.orders.rules import LASTS_MS, Answer, Ended, Way, for_police_alone, proves
from api.pages import newest
from api.points.facts import Fact, Happened, Happening
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Over, Role
from api.tracks.rules import Near
from api.tracks.service import NEAR_MOST, Aim, Tracks
from broker.kinds import SIREN_PRIORITY, Kind, Mark
from broker.policy import Audience

LOOK_S: Final = 1
AT_ONCE: Final = 100
"""How many deadlines one transaction takes."""
_OVER: Final = frozenset({Action.RESOLVE, Action.RECALL, Action.RECALL_ALL})

Note = Callable[[Session, Fact], None]


class Notify(Protocol):
    """`api.notify.service.notify`."""

    def __call__(self, session: Session, /, *, accounts: Sequence[str], notice: Notice, now_ms: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """A guard near an alarm. `way`: how an order would reach him; None: only with a reason. `order`: his last to it.

    `busy`: he is at another alarm.
    """

    near: Near
    force: guards.Force
    way: Way | None
    order: AlarmOrder | None
    busy: bool

    @property
    def free(self) -> bool:
        """Whether he may be the next to be ordered."""
        return self.way is not None and self.order is None and not self.busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The guards on duty near an alarm, the nearest first. `known`: whether it is known where it is."""

    alarm: str
    asked_ms: int
    known: bool
    found: tuple[Nearby, ...]

    @property
    def offer(self) -> str | None:
        """Who is next, if the desk wants him."""
        return next((one.near.guard for one in self.found if one.free), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order as somebody sees it: police all of it, the guard what is his, his company that there is one."""

    row: AlarmOrder
    dispatch: AlarmDispatch
    guard: Guard | None
    police: bool
    own: bool


class Orders:
    """The orders of one station. `note` hears what points are made of."""

    def __init__(
        self,
        register: Register,
        alarms: Alarms,
        tracks: Tracks,
        people: Guards,
        *,
        clock: Clock,
        notify: Notify,
        link: Callable[[str], str],
        note: Note,
    ) -> None:
        self._register = register
        self._alarms = alarms
        self._tracks = tracks
        self._guards = people
        self._clock = clock
        self._notify = notify
        self._link = link
        self._note = note

    # Who is near

    def nearest(self, session: Session, by: Authority, alarm: str, *, everybody: bool) -> Nearest:
        """The guards on duty in the account's areas, near to an alarm that it sees. Raises NoSuchAlarm.

        Of what is for the police alone, police only, but with `everybody`.
        """
        seen = self._alarms.see(session, by, alarm)
        found = self._nearest(session, seen.alarm, self._areas(by))
        shown = [one for one in found.found if everybody or one.way is not None][:NEAR_MOST]
        record(session, at_ms=found.asked_ms, by=by.principal.account, action=by.action,
               about=f"alarm:{found.alarm}", detail={"guards": [one.near.guard for one in shown]})  # fmt: skip
        return Nearest(alarm=found.alarm, asked_ms=found.asked_ms, known=found.known, found=tuple(shown))

    def _nearest(self, session: Session, alarm: AlarmRecord, areas: frozenset[str]) -> Nearest:
        now = self._clock()
        around = self._tracks.near(session, aim_of(session, alarm), areas)
        near = around.guards[: 2 * NEAR_MOST]
        people = guards.named(session, [one.guard for one in near])
        earlier = {one.guard: one for one in repository.of_alarm(session, alarm.id)}
        busy = {one.guard for one in repository.open_of(session, [*people]) if one.alarm != alarm.id}
        found = tuple(
            Nearby(
                near=one,
                force=people[one.guard].force,
                way=self._way(session, alarm, people[one.guard], now),
                order=earlier.get(one.guard),
                busy=one.guard in busy,
            )
            for one in near
        )
        return Nearest(alarm=alarm.id, asked_ms=now, known=around.known, found=found)

    def _way(self, session: Session, alarm: AlarmRecord, person: guards.Person, now: int) -> Way | None:
        if person.account is None:
            return None if for_police_alone(alarm) else Way.RADIO
        return Way.PAGE if self._alarms.may_be_sent(session, person.account, alarm, now) else None

    # Ordering

    def give(
        self,
        session: Session,
        by: Authority,
        alarm: str,
        *,
        guard: str,
        answer_s: int,
        words: str | None,
        reason: str | None,
        behalf: str | None,
        instead_of: int | None,
    ) -> Ordered:
        """Order a guard on duty to an alarm; another one is called back for him (`instead_of`).

        Raises NoSuchAlarm, NotThere, NotOnDuty, AlreadyOrdered, ForPoliceAlone, CannotSend or NotNow.
        """
        now = self._clock()
        seen = self._alarms.see(session, by, alarm, lock=True)
        serving = [one for one in guards.servings(session, now, now + 1, areas=self._areas(by)) if one.guard == guard]
        person = guards.guard(session, guard)
        if person is None or not serving:
            raise NotOnDuty(guard)
        if instead_of is not None:
            self._end(session, by, seen, instead_of, reason="改派他人 somebody else is sent", behalf=behalf)
        for one in repository.open_of(session, (guard,)):
            raise AlreadyOrdered(guard, one.number if one.alarm == seen.alarm.id else None)
        way, account = self._way(session, seen.alarm, person, now), person.account
        if way is None:
            if not for_police_alone(seen.alarm):
                raise CannotSend([guard])
            if reason is None:
                raise ForPoliceAlone(guard)
            account = None
        who = Actor(account=by.principal.account, role=seen.held.role.value, behalf=behalf)
        detail = {"way": Way.RADIO.value if account is None else Way.PAGE.value, "words": words}
        sent = handling.order(
            session, self._alarms, seen.alarm, who, guard=guard, account=account, detail=detail, reason=reason
        )
        assert sent.number is not None
        row = AlarmOrder(
            station=self._register.station,
            alarm=seen.alarm.id,
            dispatch=sent.number,
            guard=guard,
            company=guards.employer_at(session, guard, now),
            by=by.principal.account,
            at_ms=now,
            until_ms=now + LASTS_MS,
            due_ms=now + answer_s * 1_000,
            words=words,
            reason=reason,
            behalf=behalf,
        )
        repository.add(session, row)
        if way is not None:  # an excuse would tell his company that there is something to which police alone are sent
            guards.excuse(
                session,
                station=self._register.station,
                guard=guard,
                cause=guards.Cause.ALARM,
                evidence=_evidence(row),
                from_ms=now,
                to_ms=row.until_ms,
                now_ms=now,
            )
        if account is not None:
            self._notify(session, accounts=[account], notice=self._notice(seen.alarm), now_ms=now)
        return self._shown(session, row, police=True)

    def _notice(self, alarm: AlarmRecord) -> Notice:
        return Notice(
            kind_shown=Kind(alarm.kind),
            grid=self._register.grid_of(alarm.group if alarm.group_known else None),
            number=None,
            link=self._link(alarm.id),
            police_only=for_police_alone(alarm),
            mark=None if alarm.mark is None else Mark(alarm.mark),
            pushed=Pushed.ORDER,
            tag=tag_of(f"order:{alarm.id}"),
        )

    def call_back(self, session: Session, by: Authority, number: int, *, reason: str, behalf: str | None) -> Ordered:
        """He is called back; from then on he sees nothing of it. Raises NotThere or NotNow."""
        row, seen = self._row(session, by, number)
        if seen is None:
            raise NotThere(f"no order {number} of yours")
        self._end(session, by, seen, number, reason=reason, behalf=behalf)
        return self._shown(session, row, police=True)

    def _end(
        self, session: Session, by: Authority, seen: Seen, number: int, *, reason: str, behalf: str | None
    ) -> None:
        row = repository.find(session, number)
        if row is None or row.alarm != seen.alarm.id:
            raise NotThere(f"no order {number} to this alarm")
        if row.ended_ms is not None:
            raise NotNow("this order has ended")
        who = Actor(account=by.principal.account, role=seen.held.role.value, behalf=behalf)
        sent = repository.dispatch_of(session, row)
        handling.call_back(
            session, self._alarms, seen.alarm, who, [sent], reason=reason, detail=_detail(row, called_back=True)
        )  # `follow` ends the order

    # What he says

    def answer(
        self, session: Session, by: Authority, number: int, *, accept: bool, words: str | None, behalf: str | None
    ) -> Ordered:
        """He goes, or he cannot: said by himself, or entered for him (代录). Raises NotThere or NotNow."""
        row, seen = self._row(session, by, number)
        if row.ended_ms is not None or row.answer is not None:
            raise NotNow("this order is answered, or has ended")
        now = self._clock()
        row.answer = (Answer.ACCEPTED if accept else Answer.DECLINED).value
        row.answered_ms, row.answered_by, row.answered_behalf = now, by.principal.account, behalf
        row.due_ms = None
        alarm, who = self._alarm(session, row), self._actor(by, seen, behalf)
        if accept:
            repository.add(session, row)
            detail = _detail(row, accepted=True) | {"words": words}
            self._alarms.changing.change(session, alarm, Action.NOTE, at_ms=now, by=who, detail=detail)
        else:
            row.declined_for = words
            row.ended, row.ended_ms = Ended.DECLINED.value, now
            repository.add(session, row)
            guards.end_excuse(session, row.guard, _evidence(row), now)
            sent = repository.dispatch_of(session, row)
            reason = words or "不能前往 declined"
            handling.call_back(
                session, self._alarms, alarm, who, [sent], reason=reason, detail=_detail(row, declined=True)
            )
        return self._shown(session, row, police=seen is not None, by=by)

    def on_the_way(self, session: Session, by: Authority, number: int, *, behalf: str | None) -> Ordered:
        """He is on the way, which says that he accepts. Raises NotThere or NotNow."""
        row, seen = self._row(session, by, number)
        if row.answer is None and row.ended_ms is None:
            self.answer(session, by, number, accept=True, words=None, behalf=behalf)
        sent = self._out(session, row)
        if sent.on_the_way_ms is not None or sent.on_scene_ms is not None:
            raise NotNow("he is on the way already, or there")
        alarm, now = self._alarm(session, row), self._clock()
        who = self._actor(by, seen, behalf)
        handling.go(session, self._alarms, alarm, who, [sent], action=Action.ON_THE_WAY, at_ms=now, detail=_detail(row))
        return self._shown(session, row, police=seen is not None, by=by)

    def arrived(self, session: Session, by: Authority, number: int, *, behalf: str | None) -> Ordered:
        """The desk heard that he is there: entered, and shown as entered until a check-in proves it.

        Raises NotThere or NotNow.
        """
        row, seen = self._row(session, by, number)
        if seen is None:
            raise NotThere(f"no order {number} of yours")
        sent = self._out(session, row)
        if sent.on_scene_ms is not None:
            raise NotNow("he is there already")
        self._arrive(session, row, sent, self._clock(), by=self._actor(by, seen, behalf))
        return self._shown(session, row, police=True)

    def heard(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """Whoever was ordered and checks in there has arrived: a consequence of `checkins`."""
        by_guard: dict[str, list[CheckIn]] = {}
        for one in check_ins:
            if one.guard is not None and one.point is not None:
                by_guard.setdefault(one.guard, []).append(one)
        if not by_guard or by_guard.keys().isdisjoint(repository.awaited(session)):
            return
        now = self._clock()
        for row in repository.still_open(session):
            if row.check_in is not None or row.guard not in by_guard:
                continue
            alarm = self._alarm(session, row)
            for one in sorted(by_guard[row.guard], key=lambda one: (one.at_ms, one.id)):
                if proves(one, ordered_ms=row.at_ms, now_ms=now) and self._tracks.is_at(
                    session, aim_of(session, alarm), one.point or ""
                ):
                    self._prove(session, row, one)
                    break

    def _prove(self, session: Session, row: AlarmOrder, one: CheckIn) -> None:
        row.check_in, row.source, row.due_ms = one.id, one.source.value, None
        repository.add(session, row)
        sent = repository.dispatch_of(session, row)
        if sent.on_scene_ms is None:
            alarm = self._alarm(session, row)
            first = alarm.on_scene_ms is None
            self._arrive(session, row, sent, one.at_ms, by=None)
            if first and not for_police_alone(alarm):
                self._tell(session, row, alarm, one)

    def _arrive(self, session: Session, row: AlarmOrder, sent: AlarmDispatch, at_ms: int, *, by: Actor | None) -> None:
        row.due_ms = None
        repository.add(session, row)
        alarm = self._alarm(session, row)
        hidden = for_police_alone(alarm) and sent.account is None
        proof = {"check_in": row.check_in, "source": row.source} if by is None else {"entered": True}
        handling.go(
            session,
            self._alarms,
            alarm,
            by,
            [sent],
            action=Action.ARRIVE if hidden else Action.ON_SCENE,
            at_ms=at_ms,
            detail=_detail(row) | proof,
        )

    def _tell(self, session: Session, row: AlarmOrder, alarm: AlarmRecord, one: CheckIn) -> None:
        """First on scene at an alarm in earnest, by check-in: what points are made of."""
        if alarm.mark is not None or Kind(alarm.kind) not in SIREN_PRIORITY:
            return
        serving = guards.servings_of(session, row.guard, row.at_ms, row.at_ms + 1)
        if not serving:
            return
        happened = Happening(what=Happened.FIRST_ON_SCENE, evidence=(_evidence(row), one.id), at_ms=one.at_ms)
        fact = Fact(
            key=_evidence(row), guard=row.guard, company=row.company, area=serving[0].area, occurred_ms=one.at_ms,
            happenings=(happened,),
        )  # fmt: skip
        self._note(session, fact)

    # Looking

    def one(self, session: Session, by: Authority, number: int) -> Ordered:
        """An order as the account sees it. Raises NotThere."""
        row, seen = self._row(session, by, number)
        return self._shown(session, row, police=seen is not None, by=by)

    def to_alarm(self, session: Session, by: Authority, alarm: str) -> list[Ordered]:
        """The orders to an alarm that police see. Raises NoSuchAlarm."""
        seen = self._alarms.see(session, by, alarm)
        if seen.shown.eyes is not Audience.POLICE:
            raise NotThere("no orders of yours")
        return [self._shown(session, row, police=True) for row in repository.of_alarm(session, seen.alarm.id)]

    def listed(
        self, session: Session, by: Authority, *, below: int | None, only_open: bool, limit: int
    ) -> list[Ordered]:
        """Those that the account sees, newest first."""

        def show(row: AlarmOrder) -> Ordered:
            return self.one(session, by, row.number or 0)

        asked = repository.orders(only_open=only_open)
        return newest(session, asked, col(AlarmOrder.number), show, below=below, limit=limit)

    # What is due

    def look(self, database: Database, now_ms: int) -> None:
        """Say which orders were not answered in time, and who is next: one of the rounds."""
        with database.read() as session:
            if not repository.due(session, now_ms, limit=1):
                return
        with database.write(patient=True) as session:
            for row in repository.due(session, now_ms, limit=AT_ONCE):
                self._overdue(session, row, now_ms)

    def _overdue(self, session: Session, row: AlarmOrder, now_ms: int) -> None:
        alarm = self._alarm(session, row)
        row.due_ms, row.unanswered_ms = None, now_ms
        row.offered = self._nearest(session, alarm, self._register.within(self._register.station)).offer
        repository.add(session, row)
        detail = _detail(row, unanswered=True) | {"offered": row.offered}
        self._alarms.changing.change(session, alarm, Action.NOTE, at_ms=now_ms, detail=detail)

    # Inside

    def _areas(self, by: Authority) -> frozenset[str]:
        return frozenset[str]().union(*(self._register.within(one) for one in by.reach.over(Over.AREA)))

    def _alarm(self, session: Session, row: AlarmOrder) -> AlarmRecord:
        alarm = alarm_rows.find(session, row.alarm)
        assert alarm is not None, "an order is to an alarm"
        return alarm

    def _row(self, session: Session, by: Authority, number: int) -> tuple[AlarmOrder, Seen | None]:
        """An order, and the alarm as police see it; None: he himself or his company asks. Raises NotThere."""
        row = repository.find(session, number)
        if row is None:
            raise NotThere(f"no order {number} of yours")
        alarm = self._alarm(session, row)
        seen = look(by, alarm, self._register, ties(session, [alarm.id]))
        if seen is not None and seen.shown.eyes is Audience.POLICE:
            return row, seen
        sent = repository.dispatch_of(session, row)
        if (sent.account is None and for_police_alone(alarm)) or not self._his(session, by, row):
            raise NotThere(f"no order {number} of yours")
        return row, None

    def _his(self, session: Session, by: Authority, row: AlarmOrder) -> bool:
        """Whether it is to himself, or to somebody whom his company employs."""
        person = self._guards.sees(session, by, [row.guard]).get(row.guard)
        if person is None:
            return False
        held = by.reach.covers(self._guards.subject(session, person))
        return any(one.over in {Over.COMPANY, Over.SELF} for one in held)

    @staticmethod
    def _actor(by: Authority, seen: Seen | None, behalf: str | None) -> Actor:
        role = Role.GUARD if seen is None else seen.held.role
        return Actor(account=by.principal.account, role=role.value, behalf=behalf)

    @staticmethod
    def _out(session: Session, row: AlarmOrder) -> AlarmDispatch:
        if row.ended_ms is not None:
            raise NotNow("this order has ended")
        return repository.dispatch_of(session, row)

    def _shown(self, session: Session, row: AlarmOrder, *, police: bool, by: Authority | None = None) -> Ordered:
        person = session.get(Guard, row.guard)
        own = by is not None and person is not None and person.account == by.principal.account
        return Ordered(row=row, dispatch=repository.dispatch_of(session, row), guard=person, police=police, own=own)


def follow(session: Session, changes: Sequence[Change]) -> None:
    """Orders end with their alarm, or when somebody is called back: a consequence of `alarms`."""
    for change in changes:
        if change.action not in _OVER:
            continue
        for row in repository.open_to(session, change.alarm.id):
            closed = change.action is Action.RESOLVE
            if not closed and repository.dispatch_of(session, row).recalled_ms is None:
                continue
            row.ended, row.ended_ms = (Ended.CLOSED if closed else Ended.CALLED_BACK).value, change.at_ms
            row.due_ms = None
            repository.add(session, row)
            guards.end_excuse(session, row.guard, _evidence(row), change.at_ms)


def aim_of(session: Session, alarm: AlarmRecord) -> Aim:
    """Where somebody has to go: to whoever raised it by phone away from home, to where he is or was seen last."""
    if alarm.lat_e6 is not None and alarm.lon_e6 is not None:
        return Aim(at_e7=(alarm.lat_e6 * 10, alarm.lon_e6 * 10))
    return Aim(place=alarm.place, point=None if alarm.place is not None else helps.point_of(session, alarm.id))


def _evidence(row: AlarmOrder) -> str:
    return f"order:{row.number}"


def _detail(row: AlarmOrder, **said: bool) -> dict[str, str | int | bool | None]:
    return {"order": row.number, "guard": row.guard, **said}
