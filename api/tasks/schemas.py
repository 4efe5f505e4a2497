"""Matters, the admitted list and tasks as HTTP takes and shows them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from api.alarms.rules import Action, Outcome, State
from api.clock import iso
from api.shapes import Answer, Asked, WordsAnswer, words_answer
from api.tasks.models import Admitted, Matter, MatterPhoto, MatterStep, Task
from api.tasks.rules import MATTER_WORDS, TASK_WORDS, MatterKind, TaskState, overdue
from broker.ids import SEGMENT

NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewMatter(Asked):
    """A hazard or an incident, where it is, in the reporter's words. Without `place`: somewhere in the group."""

    kind: MatterKind
    group: Segment
    place: Segment | None = None
    words: Said = Field(examples=["3号楼消防通道被电动车堵住"])


class MatterAction(StrEnum):
    """What may be done about a matter."""

    ACKNOWLEDGE = Action.ACKNOWLEDGE.value
    VERIFY = Action.VERIFY.value
    ON_THE_WAY = Action.ON_THE_WAY.value
    ON_SCENE = Action.ON_SCENE.value
    NOTE = Action.NOTE.value
    RESOLVE = Action.RESOLVE.value
    FOLLOW_UP = Action.FOLLOW_UP.value
    ARCHIVE = Action.ARCHIVE.value
    REOPEN = Action.REOPEN.value


class NewStep(Asked):
    """What was done. `resolve` needs an outcome, `follow_up` what the reporter said, 1 to 5, `reopen` a reason."""

    action: MatterAction
    words: Said | None = None
    outcome: Outcome | None = None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needs = {
            MatterAction.RESOLVE: ("outcome", "words"),
            MatterAction.FOLLOW_UP: ("satisfaction",),
            MatterAction.NOTE: ("words",),
            MatterAction.REOPEN: ("words",),
        }.get(self.action, ())
        if missing := [name for name in needs if getattr(self, name) is None]:
            raise ValueError(f"{self.action} needs {', '.join(missing)}")
        extra = {"outcome": MatterAction.RESOLVE, "satisfaction": MatterAction.FOLLOW_UP}
        if wrong := [name for name, owner in extra.items() if getattr(self, name) is not None and self.action != owner]:
            raise ValueError(f"{self.action} takes no {', '.join(wrong)}")
        return self


class StepAnswer(Answer):
    """Something that was done. `by` is an account."""

    action: Action
    state: State
    by: str
    at: datetime
    words: str | None


class MatterAnswer(Answer):
    """One matter."""

    number: int
    kind: MatterKind
    kind_words: WordsAnswer
    group: str
    place: str | None
    words: str
    state: State
    by: str
    owner: str | None
    reported: datetime
    outcome: Outcome | None
    satisfaction: int | None
    version: int


class PhotoAnswer(Answer):
    """A photo of a matter. `by` is an account."""

    id: str
    type: str
    size: int
    by: str
    at: datetime


class NamedAnswer(Answer):
    """An account by name."""

    account: str
    name: str


class MatterDetailAnswer(MatterAnswer):
    """A matter with what was done about it, and its photos. `people`: who the accounts are, for its handlers alone."""

    steps: tuple[StepAnswer, ...]
    photos: tuple[PhotoAnswer, ...]
    people: tuple[NamedAnswer, ...]


class WorkerList(Answer):
    """On whom a task can be laid, by name."""

    items: tuple[NamedAnswer, ...]


class MatterPage(Answer):
    """A page, newest first."""

    items: tuple[MatterAnswer, ...]
    next: str | None


class NewAdmitted(Asked):
    """An entry of the admitted list: nothing is admitted without department, authority, deadline and funds."""

    id: Segment
    name: Line = Field(examples=["独居老人一键报警器月度测试协助"])
    department: Line = Field(examples=["区民政局"])
    authority: Line = Field(examples=["区网格化服务管理办公室 2026年第3号批复"])
    deadline_h: Annotated[int, Field(ge=1, le=8_760, description="Hours from assigning to done")]
    funds: Line = Field(examples=["每件15元，区财政"])


class AdmittedAnswer(Answer):
    """An entry of the admitted list."""

    id: str
    name: str
    department: str
    authority: str
    deadline_h: int
    funds: str
    since: datetime
    until: datetime | None


class AdmittedList(Answer):
    """The list as it is in force."""

    items: tuple[AdmittedAnswer, ...]


class NewTask(Asked):
    """A task for a grid worker, from the admitted list and from nowhere else."""

    admitted: Segment
    worker: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    area: Segment
    words: Said
    matter: Annotated[int, Field(ge=1)] | None = None


class Found(Asked):
    """What was found or done."""

    words: Said


class TaskAnswer(Answer):
    """One task. `worker_name` is for whoever looks after an area."""

    number: int
    admitted: str
    area: str
    worker: str
    worker_name: str | None
    matter: int | None
    words: str
    state: TaskState
    state_words: WordsAnswer
    by: str
    assigned: datetime
    due: datetime
    done: datetime | None
    found: str | None
    overdue: bool
    version: int


class TaskPage(Answer):
    """A page, newest first."""

    items: tuple[TaskAnswer, ...]
    next: str | None


def matter_answer(matter: Matter) -> MatterAnswer:
    """A row as HTTP shows it."""
    return MatterAnswer(**_matter(matter))


def photo_answer(photo: MatterPhoto) -> PhotoAnswer:
    """A photo without what is on it."""
    return PhotoAnswer(id=photo.id, type=photo.type, size=photo.size, by=photo.by, at=iso(photo.at_ms))


def named_answers(names: Iterable[tuple[str, str]]) -> tuple[NamedAnswer, ...]:
    """Accounts with their names, as HTTP shows them."""
    return tuple(NamedAnswer(account=account, name=name) for account, name in names)


def matter_detail(
    matter: Matter, steps: list[MatterStep], photos: list[MatterPhoto], names: Mapping[str, str]
) -> MatterDetailAnswer:
    """A row with its steps and photos, and who the accounts in them are."""
    return MatterDetailAnswer(
        **_matter(matter),
        people=named_answers(sorted(names.items())),
        photos=tuple(photo_answer(photo) for photo in photos),
        steps=tuple(
            StepAnswer(
                action=Action(step.action), state=State(step.state), by=step.by, at=iso(step.at_ms), words=step.words
            )
            for step in steps
        ),
    )


def _matter(matter: Matter) -> dict[str, object]:
    kind = MatterKind(matter.kind)
    return {
        "number": matter.number,
        "kind": kind,
        "kind_words": words_answer(MATTER_WORDS[kind]),
        "group": matter.group,
        "place": matter.place,
        "words": matter.words,
        "state": State(matter.state),
        "by": matter.by,
        "owner": matter.owner,
        "reported": iso(matter.reported_ms),
        "outcome": matter.outcome,
        "satisfaction": matter.satisfaction,
        "version": matter.version,
    }


def admitted_answer(row: Admitted) -> AdmittedAnswer:
    """A row as HTTP shows it."""
    return AdmittedAnswer(
        id=row.id,
        name=row.name,
        department=row.department,
        authority=row.authority,
        deadline_h=row.deadline_h,
        funds=row.funds,
        since=iso(row.from_ms),
        until=None if row.to_ms is None else iso(row.to_ms),
    )


def task_answer(task: Task, names: Mapping[str, str] = NOBODY, *, now_ms: int) -> TaskAnswer:
    """A row as HTTP shows it."""
    assert task.number is not None
    state = TaskState(task.state)
    return TaskAnswer(
        number=task.number,
        admitted=task.admitted,
        area=task.area,
        worker=task.worker,
        worker_name=names.get(task.worker),
        matter=task.matter,
        words=task.words,
        state=state,
        state_words=words_answer(TASK_WORDS[state]),
        by=task.by,
        assigned=iso(task.assigned_ms),
        due=iso(task.due_ms),
        done=None if task.done_ms is None else iso(task.done_ms),
        found=task.found,
        overdue=overdue(state, task.due_ms, task.done_ms, now_ms),
        version=task.version,
    )
