"""Takes reports in, moves matters and tasks along, keeps the admitted list. Takes a session, never commits.

TaskProblem
+-- NotNow                  409: the action is refused in this state, or somebody was faster. .state
+-- OwnWork                 409: whoever handled it does not ask how it was handled
+-- NotAdmitted             422: what is laid on a grid worker must be on the admitted list
+-- NoSuchWorker            422: .worker is no grid worker of that area
+-- AlreadyListed           409: an entry of that id is on the list
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from sqlmodel import Session

from api.alarms.rules import Action, State
from api.albums import Album
from api.audit.service import record
from api.clock import Clock
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject
from api.tasks import repository
from api.tasks.models import Admitted, Matter, MatterPhoto, MatterStep, Task
from api.tasks.rules import TaskState, admits, due_ms, matter_after, may_ask, task_after
from api.tasks.schemas import NewAdmitted, NewMatter, NewStep, NewTask
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id

AGAIN_MS: Final = 86_400_000
"""The same report by the same account is one for so long, while it is open."""

PHOTOS: Final = Album(MatterPhoto, "matter")


class NotNow(Problem):
    """What is asked cannot follow on this state, or somebody else was faster. Field: `state`."""

    status = HTTPStatus.CONFLICT
    type = "not_now"
    title = "Not in this state"

    def __init__(self, action: str, state: str) -> None:
        self.state = state
        super().__init__(f"{action} cannot follow on {state}", state=state)


class OwnWork(Problem):
    """Whoever handled it asks nobody how it was handled."""

    status = HTTPStatus.CONFLICT
    type = "own_work"
    title = "Somebody else has to ask"

    def __init__(self) -> None:
        super().__init__("you handled this: the follow-up is another person's (回访须由他人进行)")


class NotAdmitted(Problem):
    """It is not on the admitted list. Field: `admitted`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_admitted"
    title = "Not on the admitted list"

    def __init__(self, admitted: str) -> None:
        self.admitted = admitted
        super().__init__(f"{admitted!r} is not on the admitted list now (不在准入清单)", admitted=admitted)


class NoSuchWorker(Problem):
    """Nobody of that id looks after that area. Field: `worker`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_worker"
    title = "No grid worker of this area"

    def __init__(self, worker: str, area: str) -> None:
        self.worker = worker
        super().__init__(f"{worker!r} is no grid worker of {area!r}", worker=worker)


class AlreadyListed(Problem):
    """There is an entry of that id, in force or not: entries are ended, never changed. Field: `admitted`."""

    status = HTTPStatus.CONFLICT
    type = "already_listed"
    title = "This entry exists"

    def __init__(self, admitted: str) -> None:
        self.admitted = admitted
        super().__init__(f"{admitted!r} exists; end it and admit it under another id", admitted=admitted)


class Tasks:
    """The matters and tasks of one station."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    # Matters

    def report(self, session: Session, by: Authority, new: NewMatter) -> Matter:
        """Take in what somebody saw; a phone that had no answer and sends it again is answered with the first one.

        Raises NotThere for a group or a place that is not known.
        """
        now = self._clock()
        place_group = self._register.groups_of_places.get(new.place or "")
        if self._register.group(new.group) is None or (new.place is not None and place_group != new.group):
            raise NotThere(f"no group {new.group!r} with that place")
        company = next((held.scope for held in by.reach.held if held.over is Over.COMPANY), None)
        if not by.reach.covers(self._subject(new.group, new.place, by.principal.account, company)):
            raise NotThere(f"no group {new.group!r} of yours")
        told = Matter(
            station=self._register.station,
            kind=new.kind.value,
            group=new.group,
            place=new.place,
            words=new.words,
            by=by.principal.account,
            company=company,
            reported_ms=now,
            state=State.RECEIVED.value,
        )
        if (before := repository.open_matter_like(session, told, since_ms=now - AGAIN_MS)) is not None:
            return before
        matter = repository.add_matter(session, told)
        self._step(session, matter, by=by, action=Action.RECEIVE, words=None, now_ms=now)
        return matter

    def matter(self, session: Session, by: Authority, number: int) -> Matter:
        """One that the account reaches. Raises NotThere."""
        matter = repository.matter(session, number)
        if matter is None or not by.reach.covers(self._of(matter)):
            raise NotThere(f"no matter {number} of yours")
        return matter

    def matters(
        self, session: Session, by: Authority, *, state: State | None, below: int | None, limit: int
    ) -> Sequence[Matter]:
        """Those that the account reaches, newest first."""
        groups = self._groups(by)
        own = by.principal.account if any(held.over is Over.SELF for held in by.reach.held) else None
        return repository.matters(session, groups=groups, account=own, state=state, below=below, limit=limit)

    def move(self, session: Session, by: Authority, number: int, new: NewStep) -> Matter:
        """Do something about a matter. Raises NotThere, NotNow or OwnWork."""
        now = self._clock()
        matter = self.matter(session, by, number)
        action = Action(new.action.value)
        after = matter_after(State(matter.state), action)
        if after is None:
            raise NotNow(new.action, matter.state)
        if action is Action.FOLLOW_UP and not may_ask(by.principal.account, repository.handlers(session, number)):
            raise OwnWork
        values: dict[str, object] = {"state": after.value}
        match action:
            case Action.ACKNOWLEDGE:
                values |= {"owner": by.principal.account, "acknowledged_ms": now}
            case Action.RESOLVE:
                assert new.outcome is not None
                values |= {"resolved_ms": now, "outcome": new.outcome.value}
            case Action.FOLLOW_UP:
                values |= {"satisfaction": new.satisfaction}
            case Action.REOPEN:
                values |= {"owner": by.principal.account, "resolved_ms": None, "outcome": None, "satisfaction": None}
            case _:
                pass
        if not repository.move_matter(session, matter, values):
            raise NotNow(new.action, matter.state)
        self._step(session, matter, by=by, action=action, words=new.words, now_ms=now)
        return matter

    def attach(self, session: Session, by: Authority, number: int, content: bytes) -> MatterPhoto:
        """Keep a photo of a matter that is not filed yet. Raises NotThere, NotNow or PhotoProblem."""
        matter = self.matter(session, by, number)
        if State(matter.state) is State.ARCHIVED:
            raise NotNow("attach", matter.state)
        now = self._clock()
        account, id_ = by.principal.account, event_id(now, self._random_bytes(EVENT_ID_RANDOM_BYTES))
        photo = PHOTOS.add(session, number, content, id_=id_, by=account, at_ms=now)
        if photo.id == id_:
            record(session, at_ms=now, by=account, action=by.action, about=f"matter:{number}",
                   detail={"photo": photo.id, "type": photo.type})  # fmt: skip
        return photo

    def photo(self, session: Session, by: Authority, number: int, photo: str) -> MatterPhoto:
        """A photo of a matter that the account reaches. Raises NotThere."""
        self.matter(session, by, number)
        return PHOTOS.one(session, number, photo)

    # The admitted list

    def admit(self, session: Session, by: Authority, new: NewAdmitted) -> Admitted:
        """Put an entry on the list. Raises AlreadyListed."""
        if repository.admitted(session, new.id) is not None:
            raise AlreadyListed(new.id)
        now = self._clock()
        row = Admitted(**new.model_dump(), approved_by=by.principal.account, from_ms=now)
        repository.add(session, row)
        record(
            session,
            at_ms=now,
            by=row.approved_by,
            action=by.action,
            about=f"admitted:{row.id}",
            detail=new.model_dump(),
        )
        return row

    def end(self, session: Session, by: Authority, id: str) -> Admitted:  # noqa: A002 - an id is what it is
        """Take an entry off the list; tasks that were assigned by it stay. Raises NotThere. Twice is once."""
        row = repository.admitted(session, id)
        if row is None:
            raise NotThere(f"no entry {id!r} on the list")
        if row.to_ms is None:
            row.to_ms = self._clock()
            session.flush()
            record(session, at_ms=row.to_ms, by=by.principal.account, action=by.action, about=f"admitted:{id}",
                   detail={"ended": True})  # fmt: skip
        return row

    def listed(self, session: Session) -> Sequence[Admitted]:
        """The list as it is in force."""
        return repository.admitted_at(session, self._clock())

    # Tasks

    def assign(self, session: Session, by: Authority, new: NewTask) -> Task:
        """Lay a task on a grid worker of its area. Raises NotThere, NotAdmitted or NoSuchWorker."""
        now = self._clock()
        if not by.reach.covers(self._register.subject_of_area(new.area)):
            raise NotThere(f"no area {new.area!r} of yours")
        entry = repository.admitted(session, new.admitted)
        if entry is None or not admits(entry.from_ms, entry.to_ms, now):
            raise NotAdmitted(new.admitted)
        if not repository.looks_after(session, new.worker, self._register.lies_in(new.area), now_ms=now):
            raise NoSuchWorker(new.worker, new.area)
        if new.matter is not None:
            self.matter(session, by, new.matter)
        task = Task(
            station=self._register.station,
            admitted=entry.id,
            area=new.area,
            worker=new.worker,
            matter=new.matter,
            words=new.words,
            by=by.principal.account,
            assigned_ms=now,
            due_ms=due_ms(now, entry.deadline_h),
            state=TaskState.ASSIGNED.value,
        )
        repository.add(session, task)
        detail = {"admitted": entry.id, "worker": new.worker, "area": new.area}
        record(session, at_ms=now, by=task.by, action=by.action, about=f"task:{task.number}", detail=detail)
        return task

    def workers(self, session: Session, by: Authority, area: str) -> list[tuple[str, str]]:
        """On whom a task of an area can be laid: accounts with names. Raises NotThere."""
        if not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")
        return repository.workers(session, self._register.lies_in(area), now_ms=self._clock())

    def tasks(
        self,
        session: Session,
        by: Authority,
        *,
        state: TaskState | None,
        matter: int | None,
        below: int | None,
        limit: int,
    ) -> Sequence[Task]:
        """Those that the account assigned to its area, or has to do, newest first; of one `matter`, if it says so."""
        areas = frozenset[str]().union(*(self._register.within(scope) for scope in by.reach.over(Over.AREA)))
        own = by.principal.account if any(held.over is Over.SELF for held in by.reach.held) else None
        return repository.tasks(session, areas=areas, worker=own, state=state, matter=matter, below=below, limit=limit)

    def names(self, session: Session, by: Authority, accounts: Collection[str]) -> dict[str, str]:
        """What these accounts are called, for whoever looks after an area; a reporter reads no names."""
        return repository.names(session, accounts) if by.reach.over(Over.AREA) else {}

    def do(self, session: Session, by: Authority, number: int, found: str) -> Task:
        """The worker says what was done. Raises NotThere or NotNow."""
        return self._move(session, by, number, "done", values={"done_ms": self._clock(), "found": found})

    def accept(self, session: Session, by: Authority, number: int) -> Task:
        """Whoever looks after the area says that it is done with. Raises NotThere or NotNow."""
        values = {"judged_ms": self._clock(), "judged_by": by.principal.account}
        return self._move(session, by, number, "accept", values=values)

    def send_back(self, session: Session, by: Authority, number: int, why: str) -> Task:
        """It is not done: the worker has it again, due as before. Raises NotThere or NotNow."""
        values = {"done_ms": None, "found": None, "judged_ms": self._clock(), "judged_by": by.principal.account}
        return self._move(session, by, number, "send_back", values=values, why=why)

    def _move(
        self,
        session: Session,
        by: Authority,
        number: int,
        step: str,
        *,
        values: Mapping[str, object],
        why: str | None = None,
    ) -> Task:
        task = repository.task(session, number)
        if task is None or not by.reach.covers(self._of_task(task)):
            raise NotThere(f"no task {number} of yours")
        after = task_after(TaskState(task.state), step)
        if after is None or not repository.move_task(session, task, {"state": after.value, **values}):
            raise NotNow(step, task.state)
        record(
            session,
            at_ms=self._clock(),
            by=by.principal.account,
            action=by.action,
            about=f"task:{number}",
            detail={"step": step},
            reason=why,
        )
        return task

    def _step(
        self, session: Session, matter: Matter, *, by: Authority, action: Action, words: str | None, now_ms: int
    ) -> None:
        assert matter.number is not None
        repository.add_step(
            session,
            MatterStep(
                matter=matter.number,
                action=action.value,
                state=matter.state,
                by=by.principal.account,
                at_ms=now_ms,
                words=words,
            ),
        )
        record(
            session,
            at_ms=now_ms,
            by=by.principal.account,
            action=by.action,
            about=f"matter:{matter.number}",
            detail={"step": action.value},
        )

    def _subject(self, group: str, place: str | None, account: str, company: str | None) -> Subject:
        areas = self._register.areas_of(group)
        return Subject(areas=areas, group=group, place=place, company=company, accounts=frozenset({account}))

    def _of(self, matter: Matter) -> Subject:
        return self._subject(matter.group, matter.place, matter.by, matter.company)

    def _of_task(self, task: Task) -> Subject:
        return Subject(areas=self._register.lies_in(task.area), accounts=frozenset({task.worker}))

    def _groups(self, by: Authority) -> frozenset[str]:
        return frozenset[str]().union(*(self._register.groups_in(area) for area in by.reach.over(Over.AREA)))
