"""Tables of matters, of the admitted list, and of tasks."""

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel

from api.alarms.rules import Action, Outcome, State
from api.albums import Photo, of_one
from api.tasks.rules import MatterKind, TaskState


def _in(column: str, words: type[MatterKind | TaskState | State | Action | Outcome]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Matter(SQLModel, table=True):
    """A hazard or an incident that somebody reported. It goes the way of an alarm and never rings.

    `by`: the account that reported; `owner`: the one that has it now. `group`: where it is.
    """

    __table_args__ = (
        CheckConstraint(_in("kind", MatterKind), name="kind"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint(f"outcome IS NULL OR {_in('outcome', Outcome)}", name="outcome"),
        CheckConstraint("satisfaction IS NULL OR satisfaction BETWEEN 1 AND 5", name="satisfaction"),
        Index("ix_matter_group", "group", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str = Field(index=True)
    kind: str
    group: str
    place: str | None = None
    words: str = Field(sa_type=Text)
    by: str = Field(index=True)
    company: str | None = None
    reported_ms: int = Field(sa_type=BigInteger)
    state: str
    owner: str | None = None
    acknowledged_ms: int | None = Field(sa_type=BigInteger, default=None)
    resolved_ms: int | None = Field(sa_type=BigInteger, default=None)
    outcome: str | None = None
    satisfaction: int | None = None
    version: int = 1


class MatterStep(SQLModel, table=True):
    """What was done about a matter, and by whom."""

    __tablename__ = "matter_step"
    __table_args__ = (
        CheckConstraint(_in("action", Action), name="action"),
        CheckConstraint(_in("state", State), name="state"),
    )

    number: int | None = Field(primary_key=True, default=None)
    matter: int = Field(foreign_key="matter.number", index=True)
    action: str
    state: str
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    words: str | None = Field(sa_type=Text, default=None)


class MatterPhoto(Photo, table=True):
    """A photo of a matter."""

    __tablename__ = "matter_photo"
    __table_args__ = of_one("matter_photo", "matter")

    matter: int = Field(foreign_key="matter.number", index=True)


class Admitted(SQLModel, table=True):
    """One entry of the admitted list: what may be laid on a grid worker, on whose authority, within what time."""

    __table_args__ = (
        CheckConstraint("deadline_h BETWEEN 1 AND 8760", name="deadline"),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
    )

    id: str = Field(primary_key=True)
    name: str
    department: str
    authority: str
    deadline_h: int
    funds: str
    approved_by: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Task(SQLModel, table=True):
    """Something that a grid worker is asked to do, from the admitted list, due within that entry's time."""

    __table_args__ = (
        CheckConstraint(_in("state", TaskState), name="state"),
        CheckConstraint("(state = 'assigned') = (done_ms IS NULL)", name="done"),
        CheckConstraint("due_ms > assigned_ms", name="due"),
        Index("ix_task_worker", "worker", "state"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str = Field(index=True)
    admitted: str = Field(foreign_key="admitted.id")
    area: str
    worker: str
    matter: int | None = Field(foreign_key="matter.number", default=None)
    words: str = Field(sa_type=Text)
    by: str
    assigned_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger)
    state: str
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    found: str | None = Field(sa_type=Text, default=None)
    judged_ms: int | None = Field(sa_type=BigInteger, default=None)
    judged_by: str | None = None
    version: int = 1
