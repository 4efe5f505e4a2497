"""Tables of alarms, and their rows in memory.

The table classes define columns and constraints. What works on many rows uses the records below them: making an
instance of a table class takes longer than everything else that is done for an event. A test holds the fields of
each record to the columns of its table.
"""

from dataclasses import dataclass

from sqlalchemy import CheckConstraint, Index
from sqlmodel import BigInteger, Field, SQLModel

from api.alarms.rules import Action, Part, State
from broker.kinds import Kind, Mark


def _in(column: str, words: type[Kind | Mark | State | Action | Part]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Alarm(SQLModel, table=True):
    """One alarm, however many gateways heard the press and however often.

    `id` is the event id of the press that opened it. `at_ms` and `clock` are the gateway's clock and how good it
    was, `received_ms` is the station's, and `happened_ms` the station's reckoning (received less age).
    `key` finds the alarm that another event belongs to (`rules.key_of`). `presses` counts events that merged.
    """

    __table_args__ = (
        CheckConstraint(_in("kind", Kind), name="kind"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint(f"mark IS NULL OR {_in('mark', Mark)}", name="mark"),
        CheckConstraint("clock IN ('synced', 'unsynced')", name="clock"),
        CheckConstraint("age_ms >= 0 AND presses > 0 AND version > 0", name="counts"),
        CheckConstraint("length(id) = 36", name="id"),
        CheckConstraint(
            "(acknowledged_ms IS NULL) = (acknowledged_by IS NULL)"
            " AND (state != 'acknowledged') = (acknowledged_ms IS NULL)",
            name="acknowledged",
        ),
        CheckConstraint("kind != 'duress' OR cancelled_ms IS NULL", name="duress_stays"),
        Index("ix_alarm_state", "state", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    key: str = Field(index=True)
    kind: str
    state: str
    mark: str | None = None
    verified: bool
    reason: str | None = None
    late: bool
    place: str | None = None
    group: str | None = None
    door: int | None = None
    label: str | None = None
    unit: str | None = Field(default=None, index=True)
    gateway: str
    at_ms: int = Field(sa_type=BigInteger)
    clock: str
    age_ms: int = Field(sa_type=BigInteger)
    happened_ms: int = Field(sa_type=BigInteger)
    received_ms: int = Field(sa_type=BigInteger)
    presses: int = 1
    cancelled_ms: int | None = Field(sa_type=BigInteger, default=None)
    acknowledged_ms: int | None = Field(sa_type=BigInteger, default=None)
    acknowledged_by: str | None = None
    version: int = 1


class AlarmEvent(SQLModel, table=True):
    """An event that belongs to an alarm, and as what. Without an alarm it waits for the press of its `key`."""

    __tablename__ = "alarm_event"
    __table_args__ = (
        CheckConstraint(_in("part", Part), name="part"),
        Index("ix_alarm_event_key", "key"),
    )

    event: str = Field(primary_key=True, foreign_key="inbox.id")
    alarm: str | None = Field(default=None, foreign_key="alarm.id", index=True)
    key: str
    part: str
    gateway: str
    received_ms: int = Field(sa_type=BigInteger)


class AlarmStep(SQLModel, table=True):
    """Something was done about an alarm: by an officer, or by the event that brought it."""

    __tablename__ = "alarm_step"
    __table_args__ = (
        CheckConstraint(_in("action", Action), name="action"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint("(officer IS NULL) != (event IS NULL)", name="somebody"),
    )

    number: int | None = Field(primary_key=True, default=None)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    action: str
    state: str
    """The state after it."""
    officer: str | None = None
    event: str | None = None
    at_ms: int = Field(sa_type=BigInteger)


@dataclass(slots=True, kw_only=True)
class AlarmRecord:
    """A row of `alarm`. `number` is None until the database has given one."""

    id: str
    key: str
    kind: str
    state: str
    verified: bool
    late: bool
    gateway: str
    at_ms: int
    clock: str
    age_ms: int
    happened_ms: int
    received_ms: int
    number: int | None = None
    mark: str | None = None
    reason: str | None = None
    place: str | None = None
    group: str | None = None
    door: int | None = None
    label: str | None = None
    unit: str | None = None
    presses: int = 1
    cancelled_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    version: int = 1


@dataclass(slots=True, kw_only=True)
class PartRecord:
    """A row of `alarm_event`."""

    event: str
    alarm: str | None
    key: str
    part: str
    gateway: str
    received_ms: int


@dataclass(slots=True, kw_only=True, frozen=True)
class StepRecord:
    """A row of `alarm_step`, without the number that the database gives."""

    alarm: str
    action: str
    state: str
    officer: str | None
    event: str | None
    at_ms: int
