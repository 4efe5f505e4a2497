"""Tables of drills, and of places where nobody is."""

from sqlalchemy import CheckConstraint, Index
from sqlmodel import BigInteger, Field, SQLModel


class Drill(SQLModel, table=True):
    """A drill of one group, announced beforehand. It ends by itself at `ends_ms`, or when it is called off.

    `ordered_ms`: when the group's gateway was told.
    """

    __table_args__ = (
        CheckConstraint("announced_ms < begins_ms AND begins_ms < ends_ms", name="announced"),
        CheckConstraint("(called_off_ms IS NULL) = (called_off_by IS NULL)", name="called_off"),
        Index("ix_drill_span", "group", "begins_ms", "ends_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str = Field(index=True)
    group: str
    purpose: str
    by: str
    announced_ms: int = Field(sa_type=BigInteger)
    begins_ms: int = Field(sa_type=BigInteger)
    ends_ms: int = Field(sa_type=BigInteger)
    ordered_ms: int | None = Field(sa_type=BigInteger, default=None)
    called_off_ms: int | None = Field(sa_type=BigInteger, default=None)
    called_off_by: str | None = None


class DrillUnit(SQLModel, table=True):
    """A unit that is named in a drill: a press of it, and of no other, is part of the drill."""

    __tablename__ = "drill_unit"

    drill: int = Field(primary_key=True, foreign_key="drill.number")
    unit: str = Field(primary_key=True, index=True)


class Away(SQLModel, table=True):
    """Nobody is at this place: it is not counted on. `by` is an account, or None when the household said so by key."""

    __table_args__ = (
        CheckConstraint("to_ms IS NULL OR from_ms < to_ms", name="span"),
        Index("ix_away_place", "place", "from_ms"),
    )

    number: int | None = Field(primary_key=True, default=None)
    place: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    by: str | None = None
