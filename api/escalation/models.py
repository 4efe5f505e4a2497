"""Tables of ladders and of their deadlines."""

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.escalation.rules import Cause, Outcome, Stage


def _in(column: str, words: type[Stage | Outcome | Cause]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class LadderRow(SQLModel, table=True):
    """A ladder that somebody set, for a kind and an area (empty: any). Replaced by a newer row, never changed."""

    __tablename__ = "ladder"
    __table_args__ = (
        CheckConstraint(_in("stage", Stage), name="stage"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        UniqueConstraint("station", "stage", "kind", "area", "version", name="uq_ladder_version"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    stage: str
    kind: str = ""
    area: str = ""
    rungs: str = Field(sa_type=Text)
    """JSON of `rules.Rung`s."""
    version: int
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str


class DeadlineRow(SQLModel, table=True):
    """One level of a stage of one alarm. `round` counts how often the stage began (an alarm may be reopened).

    `remaining_s` is of the moment at which it was found (`CountRow` says how long ago that is). Once per level: (alarm,
    stage, round, level) is unique, and whoever turns `outcome` from running has it.
    """

    __tablename__ = "deadline"
    __table_args__ = (
        CheckConstraint(_in("stage", Stage), name="stage"),
        CheckConstraint(_in("outcome", Outcome), name="outcome"),
        CheckConstraint(_in("cause", Cause), name="cause"),
        CheckConstraint("(outcome = 'running') = (done_ms IS NULL)", name="done"),
        CheckConstraint("level >= 0 AND round >= 0 AND people >= 0", name="counts"),
        UniqueConstraint("alarm", "stage", "round", "level", name="uq_deadline_level"),
        Index("ix_deadline_running", "station", "outcome", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    alarm: str = Field(foreign_key="alarm.id")
    stage: str
    round: int
    level: int
    rung: str = Field(sa_type=Text)
    """JSON of the `rules.Rung`, as it was when the stage began."""
    opened_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger)
    remaining_s: int
    outcome: str = "running"
    cause: str = "timer"
    late: bool = False
    people: int = 0
    """How many people it told."""
    done_ms: int | None = Field(sa_type=BigInteger, default=None)


class CountRow(SQLModel, table=True):
    """How long the levels up to number `last`, and above that of the row before, have been counted.

    Milliseconds of a count that goes on over restarts and stands still between them: they were found at `from_ms`. The
    newest row of a station has come to `to_ms`, which is written every 10 s while a level runs.
    """

    __tablename__ = "ladder_count"
    __table_args__ = (CheckConstraint("to_ms >= from_ms AND from_ms >= 0", name="span"),)

    station: str = Field(primary_key=True)
    last: int = Field(primary_key=True, sa_type=BigInteger)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
