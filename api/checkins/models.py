"""Tables of check-ins, of the tags by which they are known, and of tags that nobody knows."""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import BigInteger, Field, SQLModel

from api.checkins.rules import Ended, Settled, Source, Why
from broker.tags import OCTETS

SIZES: Final = ", ".join(str(octets * 2) for octets in OCTETS)
STILL: Final[Any] = text("to_ms IS NULL")
HOUR_MS: Final = 3_600_000
HOUR: Final[Any] = text(f"(at_ms / {HOUR_MS})")
"""By which indexes of check-ins begin: an expression, since a column of its own would have to be filled."""


def _in(column: str, words: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class CheckInRow(SQLModel, table=True):
    """Every check-in that came, once; repeats and odd ones too. Never changed but by what is found out later.

    Indexes begin with the hour, so that what comes in at one time stands together in each: an index that began with the
    guard had a page of its own for each guard, and every check-in dirtied one wherever it was. Questions name their
    hours (`repository`). The time itself is in none of them: PostgreSQL takes it and its hour for two independent
    things, thinks that a window holds next to nothing, and goes by any index that begins with the hour. A table that
    Alembic makes anew on SQLite loses indexes of expressions: make them again there.

    `id`: of the gateway's event, or made of what an upload or an import says, so that the same again is the same.
    `tag`: as it was read. `guard`, `point`: None while nobody knows. `flags`: words with a space between them.
    """

    __tablename__ = "check_in"
    __table_args__ = (
        UniqueConstraint("id", name="uq_check_in_id"),
        CheckConstraint(_in("source", Source), name="source"),
        Index("ix_check_in_hour_guard", HOUR, "guard"),
        Index("ix_check_in_hour_point", HOUR, "point"),
        Index("ix_check_in_hour_tag", HOUR, "tag"),
        Index("ix_check_in_server_ms", "server_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str
    source: str
    gateway: str | None = None
    reader: str | None = None
    tag: str | None = None
    guard: str | None = None
    point: str | None = None
    at_ms: int = Field(sa_type=BigInteger)
    device_ms: int | None = Field(sa_type=BigInteger, default=None)
    server_ms: int = Field(sa_type=BigInteger)
    skew_ms: int | None = Field(sa_type=BigInteger, default=None)
    flags: str = ""


class CheckpointTag(SQLModel, table=True):
    """A tag that hangs at a checkpoint, from then until then. People's cards are with their guards (`api.guards`).

    `low24`: its last 24 bits, by which readers that give fewer know it (None for long UIDs).
    """

    __tablename__ = "checkpoint_tag"
    __table_args__ = (
        CheckConstraint(f"length(tag) IN ({SIZES})", name="tag"),
        CheckConstraint("(to_ms IS NULL) = (ended IS NULL)", name="ended_then"),
        CheckConstraint(f"ended IS NULL OR {_in('ended', Ended)}", name="ended"),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        Index("ix_checkpoint_tag_tag", "tag"),
        Index("ix_checkpoint_tag_low24", "low24"),
        Index("ix_checkpoint_tag_point", "point"),
        Index("uq_checkpoint_tag_still", "tag", unique=True, sqlite_where=STILL, postgresql_where=STILL),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    tag: str
    low24: str | None = None
    point: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended: str | None = None
    made_ms: int = Field(sa_type=BigInteger)
    made_by: str
    ended_by: str | None = None


class CheckpointCode(SQLModel, table=True):
    """A later version of a checkpoint's QR code, from then on; the one before it is ended. Without a row it is 1."""

    __tablename__ = "checkpoint_code"
    __table_args__ = (CheckConstraint("version BETWEEN 2 AND 9999", name="version"),)

    point: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    from_ms: int = Field(sa_type=BigInteger)
    made_by: str


class UnknownTag(SQLModel, table=True):
    """A tag by which nobody could be found, and why, with how often; kept apart for a person to settle."""

    __tablename__ = "unknown_tag"
    __table_args__ = (
        UniqueConstraint("tag", "why", name="uq_unknown_tag"),
        CheckConstraint(_in("why", Why), name="why"),
        CheckConstraint(f"settled IS NULL OR {_in('settled', Settled)}", name="settled"),
        CheckConstraint("times > 0 AND last_ms >= first_ms", name="times"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    tag: str
    why: str
    gateway: str | None = None
    reader: str | None = None
    times: int
    first_ms: int = Field(sa_type=BigInteger)
    last_ms: int = Field(sa_type=BigInteger)
    settled: str | None = None
    settled_ms: int | None = Field(sa_type=BigInteger, default=None)
    settled_by: str | None = None


class GuardPosition(SQLModel, table=True):
    """Where the phone of a guard on duty said that it was. There is none outside a duty."""

    __tablename__ = "guard_position"
    __table_args__ = (
        UniqueConstraint("guard", "at_ms", name="uq_guard_position"),
        CheckConstraint("lat_e6 BETWEEN -90000000 AND 90000000", name="lat"),
        CheckConstraint("lon_e6 BETWEEN -180000000 AND 180000000", name="lon"),
        Index("ix_guard_position_at_ms", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    guard: str
    at_ms: int = Field(sa_type=BigInteger)
    server_ms: int = Field(sa_type=BigInteger)
    lat_e6: int
    lon_e6: int
    accuracy_m: int | None = None


class WandImport(SQLModel, table=True):
    """A file or a wand that was read. `missing`: serial numbers that are in no reading of this wand, up to the last."""

    __tablename__ = "wand_import"
    __table_args__ = (
        CheckConstraint("kind IN ('spreadsheet', 'store')", name="kind"),
        CheckConstraint("added >= 0 AND bad >= 0 AND missing >= 0 AND rows >= added", name="counts"),
        Index("ix_wand_import_wand", "wand", "last_serial"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    digest: str
    kind: str
    wand: str | None = None
    rows: int
    added: int
    bad: int
    first_serial: int | None = Field(sa_type=BigInteger, default=None)
    last_serial: int | None = Field(sa_type=BigInteger, default=None)
    missing: int = Field(sa_type=BigInteger, default=0)
    wrapped: bool = False
    made_ms: int = Field(sa_type=BigInteger)
    made_by: str


class WandRow(SQLModel, table=True):
    """A row of a file of which nothing could be made, as it stood there, for a person."""

    __tablename__ = "wand_row"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: int | None = Field(primary_key=True, default=None)
    imported: int = Field(foreign_key="wand_import.number", index=True)
    row: int
    why: str
    cells: str = Field(sa_type=Text)
