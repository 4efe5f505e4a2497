"""Tables of what came in."""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from broker.kinds import EventType


def one_of(column: str, words: type[EventType] | tuple[str, ...]) -> str:
    """SQL for a CHECK: `column` holds one of `words`."""
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


HEX64: Final = "length(digest) = 64"


class StationRow(SQLModel, table=True):
    """The one row about ourselves. `generation` rises with every start and with every lost session."""

    __tablename__ = "station"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), CheckConstraint("generation > 0", name="rises"))

    id: int = Field(primary_key=True, default=1)
    generation: int = Field(sa_type=BigInteger)
    alive_ms: int = Field(sa_type=BigInteger)


class Inbox(SQLModel, table=True):
    """Every event that was taken in, once, with the signed envelope that it came in.

    `copy` is 0, unless another event has the same place in the gateway's order already: two gateways with one
    identity. Both are kept.
    """

    __table_args__ = (
        UniqueConstraint("gateway", "epoch", "seq", "copy", name="uq_inbox_order"),
        CheckConstraint("seq > 0 AND copy >= 0", name="order"),
        CheckConstraint("length(id) = 36", name="id"),
        CheckConstraint("length(epoch) = 16", name="epoch"),
        CheckConstraint(HEX64, name="digest"),
        CheckConstraint(one_of("event", EventType), name="event"),
    )

    id: str = Field(primary_key=True)
    gateway: str
    epoch: str
    seq: int = Field(sa_type=BigInteger)
    copy_: int = Field(sa_column=Column("copy", BigInteger, nullable=False))
    event: str
    received_ms: int = Field(sa_type=BigInteger, index=True)
    digest: str
    """SHA-256 of `envelope`, hexadecimal."""
    envelope: str = Field(sa_type=Text)


class DeadLetter(SQLModel, table=True):
    """A message that was not taken in, with the reason. What is known of it may be a lie: it was not verified.

    `digest` is over what identifies it (topic, event id or payload), so that its repeats count and do not pile up.
    """

    __tablename__ = "dead_letter"
    __table_args__ = (
        CheckConstraint("tries > 0 AND times > 0", name="counts"),
        CheckConstraint("length(payload) <= 65536", name="bounded"),
        Index("ix_dead_letter_order", "gateway", "epoch", "seq"),
        CheckConstraint(HEX64, name="digest"),
    )

    number: int | None = Field(primary_key=True, default=None)
    digest: str = Field(unique=True)
    topic: str
    payload: bytes = Field(sa_type=LargeBinary)
    reason: str
    detail: str
    tries: int
    times: int
    event: str | None = None
    gateway: str | None = None
    epoch: str | None = None
    seq: int | None = Field(sa_type=BigInteger, default=None)
    first_ms: int = Field(sa_type=BigInteger)
    last_ms: int = Field(sa_type=BigInteger)


class Rejection(SQLModel, table=True):
    """How often what came from a gateway (or from nowhere known, empty) was refused for a reason."""

    __table_args__ = (CheckConstraint("times > 0", name="counts"),)

    gateway: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    times: int = Field(sa_type=BigInteger)
    last_ms: int = Field(sa_type=BigInteger)


class Gateway(SQLModel, table=True):
    """What is known of a gateway from its last status. `command_counter` is the last that went to it."""

    __table_args__ = (CheckConstraint("command_counter >= 0", name="counter"),)

    id: str = Field(primary_key=True)
    online: bool
    session: str | None = None
    generation: int | None = Field(sa_type=BigInteger, default=None)
    epoch: str | None = None
    head: int | None = Field(sa_type=BigInteger, default=None)
    low: int | None = Field(sa_type=BigInteger, default=None)
    queued: int | None = Field(sa_type=BigInteger, default=None)
    clock: str | None = None
    faults: str = ""
    """Words, separated by spaces."""
    seen_ms: int = Field(sa_type=BigInteger)
    command_counter: int = Field(sa_type=BigInteger, default=0)


class GatewayEpoch(SQLModel, table=True):
    """An epoch of a gateway's journal, in the order in which they became known.

    `highest` is the highest sequence number that is held. Below `checked`, gaps have been looked for.
    """

    __tablename__ = "gateway_epoch"
    __table_args__ = (
        UniqueConstraint("gateway", "epoch", name="uq_gateway_epoch"),
        CheckConstraint("highest >= 0 AND checked >= 1", name="order"),
    )

    number: int | None = Field(primary_key=True, default=None)
    gateway: str
    epoch: str
    highest: int = Field(sa_type=BigInteger)
    checked: int = Field(sa_type=BigInteger, default=1)
    opened_ms: int = Field(sa_type=BigInteger)


class ChainHead(SQLModel, table=True):
    """The highest head of an epoch's chain that its gateway told: whether it changes its history shows here (N15)."""

    __tablename__ = "chain_head"
    __table_args__ = (
        CheckConstraint("seq > 0", name="order"),
        CheckConstraint(HEX64, name="digest"),
    )

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    digest: str
    told_ms: int = Field(sa_type=BigInteger)


class Gap(SQLModel, table=True):
    """Sequence numbers `first` to `last` that a gateway says are done and that are not here.

    `pruned` when the gateway reported that it dropped them, empty when nobody knows.
    """

    __table_args__ = (
        CheckConstraint("first >= 1 AND last >= first", name="range"),
        CheckConstraint("reason IN ('', 'pruned')", name="reason"),
        Index("ix_gap_order", "gateway", "epoch", "first"),
    )

    number: int | None = Field(primary_key=True, default=None)
    gateway: str
    epoch: str
    first: int = Field(sa_type=BigInteger)
    last: int = Field(sa_type=BigInteger)
    reason: str = ""
    found_ms: int = Field(sa_type=BigInteger)


class Fault(SQLModel, table=True):
    """Something is wrong, and somebody should look. It is there until `cleared_ms`; meanwhile, repeats count.

    `began_ms` is when it began the last time. How far people are with it is `work` (`api.faults.rules`). `areas` (words
    separated by spaces) are those in which it lies. A fault that is part of a greater one names it in `part_of`;
    the greater one says how many `units` are away, and until when their batteries last.
    """

    __table_args__ = (
        CheckConstraint("times > 0", name="counts"),
        CheckConstraint(one_of("work", ("open", "acknowledged", "assigned", "done")), name="work"),
        Index("ix_fault_open", "code", "gateway", "about", "cleared_ms"),
        Index("ix_fault_work", "work", "number"),
        Index("ix_fault_gateway", "gateway", "cleared_ms"),
    )

    number: int | None = Field(primary_key=True, default=None)
    code: str
    gateway: str = ""
    about: str = ""
    detail: str = ""
    times: int = 1
    first_ms: int = Field(sa_type=BigInteger)
    last_ms: int = Field(sa_type=BigInteger)
    cleared_ms: int | None = Field(sa_type=BigInteger, default=None)
    began_ms: int = Field(sa_type=BigInteger, default=0)
    areas: str = Field(sa_type=Text, default="")
    work: str = "open"
    owner: str | None = None
    owner_ms: int | None = Field(sa_type=BigInteger, default=None)
    part_of: int | None = Field(default=None, index=True)
    units: int | None = None
    battery_until_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1
