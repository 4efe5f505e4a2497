"""The table of boards: each row is a whole board, from when to when it hung."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlmodel import BigInteger, Field, SQLModel

_STILL: Any = text("to_ms IS NULL")


class Board(SQLModel, table=True):
    """What a grid's board says. `entries` is JSON: [{"name", "duty", "contact"}, ...]. Without an end it hangs now."""

    __table_args__ = (
        ForeignKeyConstraint(["station", "grid"], ["area.station", "area.id"]),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        CheckConstraint("version > 0", name="version"),
        Index(
            "uq_board_still", "station", "grid", unique=True, sqlite_where=_STILL, postgresql_where=_STILL
        ),
    )  # fmt: skip

    number: int | None = Field(primary_key=True, default=None)
    station: str
    grid: str
    supervision_phone: str
    note: str = ""
    entries: str = Field(sa_type=Text)
    version: int
    by: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
