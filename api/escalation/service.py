"""Carries ladders out: opens and settles deadlines in the transaction of a change, and tells who is due to be told.

Whom a rung tells learns what his role's eyes may read, and nothing when they may not know of the alarm at all: the rung
then has nobody to tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlmodel import Session

from api.alarms import repository as alarms
from api.alarms import views
from api.alarms.changes import Change
from api.alarms.models import AlarmRecord
from api.alarms.rules import Action, State
from api.clock import Clock
from api.duty.service import UNATTENDED, desk_attended, on_duty, without
from api.escalation import repository, rules
from api.escalation.rules import ANSWERS_COUNT, STAGE_OF, Cause, Due, Outcome, Rung, Stage, Target
from api.faults.service import raise_fault
from api.notify.rules import Notice
from api.register.service import Register
from api.rights.rules import Role, Subject
from broker.kinds import Kind, Mark
from broker.policy import Audience

NOBODY: Final = "escalation_nobody"
"""The code of the fault: a ladder ended without anybody to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How many neighbours said that they go or watch, and how many can be reached now."""

    answered: int
    reachable: int


class Notify(Protocol):
    """`api.notify.service.notify`."""

    def __call__(
        self,
        session: Session,
        /,
        *,
        accounts: Sequence[str],
        notice: Notice,
        now_ms: int,
        escalation: str | None = None,
    ) -> int: ...


class ToDesk(Protocol):
    """`api.notify.service.notify_desk` of one station."""

    def __call__(self, session: Session, /, *, notice: Notice, now_ms: int, escalation: str | None = None) -> int: ...


class Put(Protocol):
    """`api.feed.service.put`."""

    def __call__(
        self,
        session: Session,
        /,
        *,
        topic: str,
        about: str,
        body: Mapping[str, object],
        subject: Subject,
        eyes: frozenset[Audience],
        at_ms: int,
    ) -> None: ...


Answers = Callable[[Session, AlarmRecord], Answered]


class Escalation:
    """The ladders of one station."""

    def __init__(
        self,
        register: Register,
        *,
        clock: Clock,
        notify: Notify,
        to_desk: ToDesk,
        put: Put,
        answers: Answers,
        link: Callable[[str], str],
    ) -> None:
        """`to_desk` sends to the station's own channels. `link` is where an alarm can be looked at."""
        self._register = register
        self._clock = clock
        self._notify = notify
        self._to_desk = to_desk
        self._put = put
        self._answers = answers
        self._link = link

    # What begins and ends

    def follow(self, session: Session, change: Change) -> None:
        """The consequence: open the deadlines of a stage that begins, settle those of one that is over."""
        alarm, state = change.alarm, State(change.alarm.state)
        kind, mark = Kind(alarm.kind), None if alarm.mark is None else Mark(alarm.mark)
        if not rules.climbs(kind, mark):
            return
        if change.before is None:
            for stage in rules.stages(state, None):
                self._begin(session, alarm, stage, at_ms=change.at_ms, first=True)
            return
        before, now = STAGE_OF[change.before], STAGE_OF[state]
        if before is now and change.action is not Action.SET_KIND:
            return
        over = {*Stage} - {Stage.ANSWERS}
        if state not in ANSWERS_COUNT or change.action is Action.SET_KIND:
            over.add(Stage.ANSWERS)
        repository.settle(session, alarm.id, stages=over, at_ms=change.at_ms)
        if now is not None:
            self._begin(session, alarm, now, at_ms=change.at_ms)

    def _begin(self, session: Session, alarm: AlarmRecord, stage: Stage, *, at_ms: int, first: bool = False) -> None:
        kind = Kind(alarm.kind)
        ladder = rules.pick(
            repository.ladders(session, self._register.station, stage),
            rules.defaults().get((kind, stage), ()),
            kind=kind,
            areas=self._areas(alarm),
        )
        if not ladder:
            return
        planned = rules.plan(ladder, at_ms)
        round_ = 0 if first else repository.next_round(session, alarm.id, stage)
        station = self._register.station
        repository.add(session, planned, station=station, alarm=alarm.id, stage=stage, round_=round_, opened_ms=at_ms)
        if planned[0].due_ms <= at_ms:
            self.fire(session, alarm, (alarm.id, stage.value, round_), {0: 0}, now_ms=at_ms)

    # What is due

    def fire(
        self,
        session: Session,
        alarm: AlarmRecord,
        key: tuple[str, str, int],
        remaining_ms: Mapping[int, int],
        *,
        now_ms: int,
        cause: Cause = Cause.TIMER,
    ) -> bool:
        """Do what is due of a stage; `remaining_ms` by level, as the caller's clock says. Returns whether it was.

        Levels that do not run any more are left alone, whatever the caller thought.
        """
        running = {row.level: row for row in repository.running_levels(session, *key)}
        due = rules.due({level: left for level, left in remaining_ms.items() if level in running})
        if due is None:
            return False
        stage = Stage(key[1])
        rungs = {level: row.rung for level, row in running.items()}
        if stage is Stage.ANSWERS and self._enough(session, alarm, rungs[due.told]):
            for level in (*due.passed, due.told):
                self._claim(session, running[level].number, Outcome.ENOUGH, cause=cause, late=due.late, now_ms=now_ms)
            return True
        for level in due.passed:
            self._claim(session, running[level].number, Outcome.PASSED, cause=cause, late=True, now_ms=now_ms)
        numbers = {level: row.number for level, row in running.items()}
        self._climb(session, alarm, stage, due, numbers=numbers, rungs=rungs, now_ms=now_ms, cause=cause)
        return True

    def undeliverable(self, session: Session, escalation: str, now_ms: int) -> None:
        """Nobody whom this level told could be reached: the next one is due at once."""
        row = repository.find(session, int(escalation))
        if row is None or row.outcome != Outcome.TOLD:
            return
        stage = (row.stage, row.round)
        found = repository.of_alarm(session, row.alarm)
        above = [one for one in found if (one.stage, one.round) == stage and one.level > row.level]
        alarm = alarms.find(session, row.alarm)
        if alarm is None or not above or any(one.outcome != Outcome.RUNNING for one in above):
            return  # it was the last, or has climbed already
        key, next_level = (row.alarm, row.stage, row.round), min(one.level for one in above)
        self.fire(session, alarm, key, {next_level: 0}, now_ms=now_ms, cause=Cause.UNDELIVERABLE)

    def desk_unattended(self, session: Session, now_ms: int) -> None:
        """Tell the level above that nobody sits at any desk."""
        station = self._register.station
        areas = (station, *self._register.ancestors(station))
        notice = Notice(
            kind_shown=None, fault=UNATTENDED, grid=None, number=None, link=self._link(""), police_only=False
        )
        told: set[str] = set()
        for role in (Role.DUTY_LEADER, Role.COMMAND_CENTRE):
            accounts = [one for one in on_duty(session, role=role, areas=areas, at_ms=now_ms) if one not in told]
            told.update(accounts)
            self._notify(session, accounts=accounts, notice=notice, now_ms=now_ms)

    def _climb(
        self,
        session: Session,
        alarm: AlarmRecord,
        stage: Stage,
        due: Due,
        *,
        numbers: Mapping[int, int],
        rungs: Mapping[int, Rung],
        now_ms: int,
        cause: Cause,
    ) -> None:
        people = {
            level: self._people(session, alarm, rung, now_ms=now_ms)
            for level, rung in rungs.items()
            if level >= due.told
        }
        climb = rules.climb(people, lambda level: bool(people[level]))
        why = cause
        for level in climb.skipped:
            late = due.late and level == due.told
            self._claim(session, numbers[level], Outcome.SKIPPED, cause=why, late=late, now_ms=now_ms)
            why = Cause.NOBODY
        if climb.told is None:
            self._nobody(session, alarm, now_ms=now_ms)
            return
        if self._claim(session, numbers[climb.told], Outcome.TOLD, cause=why, late=due.late, now_ms=now_ms):
            told = people[climb.told]
            if due.late:
                told = self._people(session, alarm, Rung(after_s=0, tell=(Target.DUTY_OFFICER,)), now_ms=now_ms) | told
            self._tell(
                session,
                alarm,
                stage,
                told,
                level=climb.told,
                number=numbers[climb.told],
                rung=rungs[climb.told],
                late=due.late,
                now_ms=now_ms,
            )

    def _people(
        self, session: Session, alarm: AlarmRecord, rung: Rung, *, now_ms: int
    ) -> dict[Target, tuple[str, ...]]:
        """Who there is to tell, by target; a target that nobody stands behind, or that may not know, is not there."""
        found: dict[Target, tuple[str, ...]] = {}
        for target in rung.tell:
            if not views.may_know(alarm.kind, alarm.mark, alarm.group_known, target.eyes):
                continue
            match target:
                case Target.NEIGHBOURS:
                    members = self._register.membership(alarm.place).households - {alarm.place}
                    if members:
                        found[target] = ()
                case Target.DESK:
                    if desk_attended(session, self._register.station, now_ms):
                        found[target] = ()
                case _:
                    role = target.role
                    assert role is not None
                    accounts = on_duty(session, role=role, areas=self._areas(alarm), at_ms=now_ms)
                    if target.eyes is Audience.NEIGHBOUR and alarm.excluded:
                        accounts = without(session, accounts, alarm.excluded.split(), at_ms=now_ms)
                    if accounts:
                        found[target] = tuple(accounts)
        return found

    def _tell(
        self,
        session: Session,
        alarm: AlarmRecord,
        stage: Stage,
        people: Mapping[Target, tuple[str, ...]],
        *,
        level: int,
        number: int,
        rung: Rung,
        late: bool,
        now_ms: int,
    ) -> None:
        told: set[str] = set()
        for target, accounts in people.items():
            notice = self._notice(alarm, target.eyes, level=level, late=late)
            if notice is None or target is Target.NEIGHBOURS:
                continue
            if target is Target.DESK:
                self._to_desk(session, notice=notice, now_ms=now_ms)
                continue
            fresh = [account for account in accounts if account not in told]
            told.update(fresh)
            self._notify(session, accounts=fresh, notice=notice, now_ms=now_ms, escalation=str(number))
        # Neighbours' screens would let a household hear that the presser's excludes; they learn from the alarm itself.
        eyes = {target.eyes for target in people} - {Audience.NEIGHBOUR} | {Audience.POLICE}
        body = {"action": "escalate", "stage": stage.value, "level": level, "late": late, "sound": rung.sound}
        self._put(
            session,
            topic="alarm",
            about=f"alarm:{alarm.id}",
            body=body,
            subject=self._subject(alarm),
            eyes=frozenset(one for one in eyes if one is not None and self._may(alarm, one)),
            at_ms=now_ms,
        )
        repository.told(session, number, people=len(told))

    def _nobody(self, session: Session, alarm: AlarmRecord, *, now_ms: int) -> None:
        """Say so to whoever may know that there is an alarm; a fault is read by others as well."""
        body = {"action": "escalate", "nobody": True}
        self._put(
            session,
            topic="alarm",
            about=f"alarm:{alarm.id}",
            body=body,
            subject=self._subject(alarm),
            eyes=frozenset({Audience.POLICE}) if self._may(alarm, Audience.POLICE) else frozenset(),
            at_ms=now_ms,
        )
        if self._may(alarm, Audience.COMMUNITY):
            station = self._register.station
            areas = frozenset((station, *self._register.ancestors(station)))
            raise_fault(session, NOBODY, about=station, now_ms=now_ms, areas=areas)

    def _notice(self, alarm: AlarmRecord, eyes: Audience | None, *, level: int, late: bool) -> Notice | None:
        shown = views.show(alarm, eyes)
        if shown is None:
            return None
        membership = self._register.membership(alarm.place)
        grid = membership.grid if alarm.group_known and eyes is not Audience.NEIGHBOUR else None
        return Notice(
            kind_shown=shown.kind,
            grid=grid,
            number=shown.number,
            link=self._link(alarm.id),
            police_only=not self._may(alarm, Audience.COMMUNITY) and not self._may(alarm, Audience.GRID),
            mark=shown.mark,
            level=level,
            late=late,
        )

    def _enough(self, session: Session, alarm: AlarmRecord, rung: Rung) -> bool:
        found = self._answers(session, alarm)
        return rules.enough(answered=found.answered, reachable=found.reachable, share=rung.share or 0.0)

    def _claim(self, session: Session, number: int, outcome: Outcome, *, cause: Cause, late: bool, now_ms: int) -> bool:
        return repository.claim(session, number, outcome, cause=cause, late=late, at_ms=now_ms)

    def _may(self, alarm: AlarmRecord, eyes: Audience) -> bool:
        return views.may_know(alarm.kind, alarm.mark, alarm.group_known, eyes)

    def _areas(self, alarm: AlarmRecord) -> tuple[str, ...]:
        """Where an alarm lies, from near to far, the station last."""
        station = self._register.station
        if alarm.group is None or not alarm.group_known:
            return (station,)
        return tuple(dict.fromkeys((alarm.group, *self._register.ancestors(alarm.group), station)))

    def _subject(self, alarm: AlarmRecord) -> Subject:
        return self._register.subject(alarm.place, alarm.group)
