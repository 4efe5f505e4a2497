"""Carries ladders out: opens and settles deadlines in the transaction of a change, and tells who is due to be told.

Whom a rung tells learns what his role's eyes may read, and nothing when they may not know of the alarm at all: the rung
then has nobody to tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlmodel import Session

from api.accounts.repository import holders
from api.alarms import repository as alarms
from api.alarms import views
from api.alarms.changes import Change
from api.alarms.models import AlarmRecord
from api.alarms.rules import Action, State
from api.audit.rules import AUDIT_CHANGED
from api.clock import Clock
from api.duty.service import UNATTENDED, desk_attended, on_duty, without
from api.escalation import repository, rules
from api.escalation.rules import ANSWERS_COUNT, BESIDE, STAGE_OF, Cause, Due, Outcome, Rung, Sound, Stage, Target
from api.faults.jobs import JOB_MISSING
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What becomes of levels, and who is told what by the one that is `told`."""

    marks: Mapping[int, repository.Mark]
    told: int | None = None
    sound: Sound | None = None
    targets: tuple[Target, ...] = ()
    notices: tuple[tuple[Target, Notice, list[str]], ...] = ()
    nobody: bool = False


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

    def follow(self, session: Session, changes: Sequence[Change]) -> None:
        """The consequence: open the deadlines of stages that begin, settle those of stages that are over."""
        rows: list[repository.Row] = []
        for change in changes:
            alarm, state = change.alarm, State(change.alarm.state)
            if not rules.climbs(Kind(alarm.kind), None if alarm.mark is None else Mark(alarm.mark)):
                continue
            if change.before is None:
                for stage in rules.stages(state, None):
                    rows += self._begin(session, alarm, stage, 0, at_ms=change.at_ms)
                continue
            before, now = STAGE_OF[change.before], STAGE_OF[state]
            if change.action is Action.URGE and now is not None:
                repository.add(session, rows)
                rows = self._urged(session, alarm, at_ms=change.at_ms)
            if before is now and change.action is not Action.SET_KIND:
                continue
            repository.add(session, rows)
            rows = []
            over = {*Stage} - BESIDE
            if state not in ANSWERS_COUNT or change.action is Action.SET_KIND:
                over.add(Stage.ANSWERS)
            if now is None:
                over.add(Stage.URGED)
            repository.settle(session, alarm.id, stages=over, at_ms=change.at_ms)
            if now is not None:
                round_ = repository.next_round(session, alarm.id, now)
                rows += self._begin(session, alarm, now, round_, at_ms=change.at_ms)
        repository.add(session, rows)

    def _urged(self, session: Session, alarm: AlarmRecord, *, at_ms: int) -> list[repository.Row]:
        """A superior gave a deadline: his last one counts."""
        repository.settle(session, alarm.id, stages={Stage.URGED}, at_ms=at_ms)
        round_ = repository.next_round(session, alarm.id, Stage.URGED)
        after_s = max(0, ((alarm.due_ms or at_ms) - at_ms) // 1_000)
        return self._begin(session, alarm, Stage.URGED, round_, at_ms=at_ms, after_s=after_s)

    def _begin(
        self, session: Session, alarm: AlarmRecord, stage: Stage, round_: int, *, at_ms: int, after_s: int = 0
    ) -> list[repository.Row]:
        """The levels of a stage as they are to be written; what is due at once is done."""
        kind = Kind(alarm.kind)
        ladder = rules.pick(
            repository.ladders(session, self._register.station, stage),
            rules.defaults().get((kind, stage), ()),
            kind=kind,
            areas=self._areas(alarm),
        )
        if not ladder:
            return []
        key = (alarm.id, stage.value, round_)
        planned = rules.plan(ladder, at_ms, after_s=after_s)
        marks: Mapping[int, repository.Mark] = {}
        if planned[0].due_ms <= at_ms:
            due = Due(told=0, passed=(), late=False)
            plan = self._plan(session, alarm, stage, due, dict(enumerate(ladder)), now_ms=at_ms, cause=Cause.TIMER)
            self._tell(session, alarm, key, plan, now_ms=at_ms)
            marks = plan.marks
        return repository.rows_of(planned, marks, station=self._register.station, key=key, opened_ms=at_ms)

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
        running = {row.level: row for row in repository.running_levels(session, key)}
        due = rules.due({level: left for level, left in remaining_ms.items() if level in running})
        if due is None:
            return False
        rungs = {level: row.rung for level, row in running.items()}
        plan = self._plan(session, alarm, Stage(key[1]), due, rungs, now_ms=now_ms, cause=cause)
        mine = [repository.claim(session, running[one].number, mark, at_ms=now_ms) for one, mark in plan.marks.items()]
        if all(mine):
            self._tell(session, alarm, key, plan, now_ms=now_ms)
        return True

    def undeliverable(self, session: Session, escalation: str, now_ms: int) -> None:
        """Nobody whom this level told could be reached: the next one is due at once."""
        alarm_id, stage, round_, level = escalation.split(":")
        key = (alarm_id, stage, int(round_))
        row = repository.level(session, key, int(level))
        if row is None or row.outcome != Outcome.TOLD:
            return
        found = repository.of_alarm(session, row.alarm)
        above = [one for one in found if (one.stage, one.round) == key[1:] and one.level > row.level]
        alarm = alarms.find(session, row.alarm)
        if alarm is None or not above or any(one.outcome != Outcome.RUNNING for one in above):
            return  # it was the last, or has climbed already
        self.fire(session, alarm, key, {min(one.level for one in above): 0}, now_ms=now_ms, cause=Cause.UNDELIVERABLE)

    def desk_unattended(self, session: Session, now_ms: int) -> None:
        """Tell the level above that nobody sits at any desk."""
        self._tell_above(session, UNATTENDED, now_ms)

    def record_changed(self, session: Session, now_ms: int) -> None:
        """Tell the level above that the record of who did what does not hold what gateways were told of it."""
        self._tell_above(session, AUDIT_CHANGED, now_ms)

    def job_missing(self, session: Session, now_ms: int, *, over: bool) -> None:
        """Tell the level above and the administrators that nobody does a part of the work, or somebody again."""
        administrators = holders(session, Role.ADMINISTRATOR, now_ms=now_ms)
        self._tell_above(session, JOB_MISSING, now_ms, over=over, beside=administrators)

    def _tell_above(
        self, session: Session, fault: str, now_ms: int, *, over: bool = False, beside: Sequence[str] = ()
    ) -> None:
        station = self._register.station
        areas = (station, *self._register.ancestors(station))
        notice = Notice(
            kind_shown=None, fault=fault, over=over, grid=None, number=None, link=self._link(""), police_only=False
        )
        told = {*beside}
        self._notify(session, accounts=sorted(told), notice=notice, now_ms=now_ms)
        for role in (Role.DUTY_LEADER, Role.COMMAND_CENTRE):
            accounts = [one for one in on_duty(session, role=role, areas=areas, at_ms=now_ms) if one not in told]
            told.update(accounts)
            self._notify(session, accounts=accounts, notice=notice, now_ms=now_ms)

    def _plan(
        self,
        session: Session,
        alarm: AlarmRecord,
        stage: Stage,
        due: Due,
        rungs: Mapping[int, Rung],
        *,
        now_ms: int,
        cause: Cause,
    ) -> _Plan:
        """What becomes of the levels that are due, and of those above it that they come to at once."""
        if stage is Stage.ANSWERS and self._enough(session, alarm, rungs[due.told]):
            enough = repository.Mark(outcome=Outcome.ENOUGH, cause=cause, late=due.late)
            return _Plan(marks=dict.fromkeys((*due.passed, due.told), enough))
        passed = repository.Mark(outcome=Outcome.PASSED, cause=cause, late=True)
        marks = dict.fromkeys(due.passed, passed)
        people: dict[int, dict[Target, tuple[str, ...]]] = {}

        def somebody(level: int) -> bool:
            people[level] = self._people(session, alarm, rungs[level], now_ms=now_ms)
            return bool(people[level])

        climb = rules.climb((level for level in rungs if level >= due.told), somebody)
        why = cause
        for level in climb.skipped:
            late = due.late and level == due.told
            marks[level] = repository.Mark(outcome=Outcome.SKIPPED, cause=why, late=late)
            why = Cause.NOBODY
        if climb.told is None:
            return _Plan(marks=marks, nobody=True)
        told = people[climb.told]
        if due.late:
            told = self._people(session, alarm, Rung(after_s=0, tell=(Target.DUTY_OFFICER,)), now_ms=now_ms) | told
        notices: list[tuple[Target, Notice, list[str]]] = []
        heard: set[str] = set()
        for target, accounts in told.items():
            if target is Target.NEIGHBOURS:
                continue
            notice = self._notice(alarm, target.eyes, level=climb.told, late=due.late)
            if notice is not None:
                notices.append((target, notice, [account for account in accounts if account not in heard]))
                heard.update(accounts)
        marks[climb.told] = repository.Mark(outcome=Outcome.TOLD, cause=why, late=due.late, people=len(heard))
        return _Plan(
            marks=marks, told=climb.told, sound=rungs[climb.told].sound, targets=tuple(told), notices=tuple(notices)
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

    def _tell(self, session: Session, alarm: AlarmRecord, key: repository.Key, plan: _Plan, *, now_ms: int) -> None:
        """Owe everybody what a plan says, once its levels are ours."""
        if plan.nobody:
            self._nobody(session, alarm, now_ms=now_ms)
        if plan.told is None:
            return
        escalation = ":".join((*map(str, key), str(plan.told)))
        for target, notice, accounts in plan.notices:
            if target is Target.DESK:
                self._to_desk(session, notice=notice, now_ms=now_ms)
            else:
                self._notify(session, accounts=accounts, notice=notice, now_ms=now_ms, escalation=escalation)
        # Neighbours' screens would let a household hear that the presser's excludes; they learn from the alarm itself.
        eyes = {target.eyes for target in plan.targets} - {Audience.NEIGHBOUR} | {Audience.POLICE}
        late = plan.marks[plan.told].late
        body = {"action": "escalate", "stage": key[1], "level": plan.told, "late": late, "sound": plan.sound}
        self._put(
            session,
            topic="alarm",
            about=f"alarm:{alarm.id}",
            body=body,
            subject=self._subject(alarm),
            eyes=frozenset(one for one in eyes if one is not None and self._may(alarm, one)),
            at_ms=now_ms,
        )

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
