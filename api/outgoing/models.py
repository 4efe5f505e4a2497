"""The table of what is owed, and its rows in memory (why there are both, `api.alarms.models` says)."""

from dataclasses import dataclass

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel


class Outgoing(SQLModel, table=True):
    """One message to one topic. `body` is complete but for what is only known when it is sent.

    Filled in then: its age (from `happened_ms`); for a command the gateway's session and the next counter.
    """

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent')", name="state"),
        CheckConstraint("(state = 'sent') = (sent_ms IS NOT NULL)", name="sent"),
        CheckConstraint("tries >= 0", name="counts"),
        Index("ix_outgoing_state", "state", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    topic: str
    command_to: str | None = None
    """The gateway, for a command."""
    alarm: str | None = None
    body: str = Field(sa_type=Text)
    happened_ms: int = Field(sa_type=BigInteger)
    state: str = "waiting"
    tries: int = 0
    trouble: str | None = None
    listened: bool | None = None
    """Whether the broker had a receiver for it."""
    sent_ms: int | None = Field(sa_type=BigInteger, default=None)


@dataclass(slots=True, kw_only=True, frozen=True)
class OwedRecord:
    """A row of `outgoing` as it is written and sent. `number` is None until the database has given one."""

    number: int | None = None
    id: str
    topic: str
    command_to: str | None
    alarm: str | None
    body: str
    happened_ms: int
