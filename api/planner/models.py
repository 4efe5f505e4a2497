"""Tables of staggered plans, and of what became of them."""

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel


class Stagger(SQLModel, table=True):
    """A staggered plan (错峰) of an area, never changed.

    JSON: `others` [ms, ...], `shifts` [[team, starts_ms, ends_ms, round_ms, most], ...], `passes` [[ms, team], ...].
    `seed` (hex) is told when the duty is over.
    """

    __table_args__ = (
        CheckConstraint("starts_ms < ends_ms", name="span"),
        CheckConstraint("widest_ms <= limit_ms", name="kept"),
        Index("ix_stagger_area", "station", "area", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    colour: str
    starts_ms: int = Field(sa_type=BigInteger)
    ends_ms: int = Field(sa_type=BigInteger)
    limit_ms: int = Field(sa_type=BigInteger)
    apart_ms: int = Field(sa_type=BigInteger)
    others: str = Field(sa_type=Text)
    shifts: str = Field(sa_type=Text)
    passes: str = Field(sa_type=Text)
    widest_ms: int = Field(sa_type=BigInteger)
    seed: str
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class StaggerPlan(SQLModel, table=True):
    """A temporary plan of `api.patrols` that a staggered plan became, for one of its teams on one duty day."""

    __tablename__ = "stagger_plan"

    plan: int = Field(primary_key=True, foreign_key="patrol_plan.number")
    stagger: int = Field(foreign_key="stagger.number", index=True)
    team: str
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
