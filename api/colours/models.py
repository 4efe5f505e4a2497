"""Tables of colours of areas and of good-person cards. A new decision ends the one before; nothing is overwritten."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import BigInteger, Field, SQLModel

from api.colours.rules import Card, Colour


def _in(column: str, words: type[Colour | Card]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word.value) for word in words)})", name=column)


def _one_still(name: str, *columns: str) -> Index:
    """At most one row of these that has not ended."""
    still: Any = text("to_ms IS NULL")
    return Index(name, *columns, unique=True, sqlite_where=still, postgresql_where=still)


class AreaColour(SQLModel, table=True):
    """Somebody's decision about an area. `alarms`: how many of the 30 days before stood before him."""

    __tablename__ = "area_colour"
    __table_args__ = (
        _in("colour", Colour),
        _in("afterwards", Colour),
        CheckConstraint("every_min BETWEEN 10 AND 1440 AND checks_month BETWEEN 0 AND 31", name="numbers"),
        CheckConstraint("expires_ms > from_ms AND (to_ms IS NULL OR to_ms >= from_ms)", name="span"),
        _one_still("uq_area_colour_still", "station", "area"),
        Index("ix_area_colour_area", "station", "area", "from_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    colour: str
    afterwards: str
    every_min: int
    checks_month: int
    reason: str = Field(sa_type=Text)
    alarms: int
    set_by: str
    from_ms: int = Field(sa_type=BigInteger)
    expires_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class GoodCard(SQLModel, table=True):
    """The level of a guard's good-person card, as somebody decided it for a quarter ("2026Q4")."""

    __tablename__ = "good_card"
    __table_args__ = (
        _in("level", Card),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        _one_still("uq_good_card_still", "guard"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id", index=True)
    level: str
    quarter: str
    reason: str = Field(sa_type=Text)
    set_by: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
