"""The table of complaints. No column names whom a complaint is about."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.complaints.rules import About, Finding, Way


def _in(column: str, words: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Complaint(SQLModel, table=True):
    """What a resident complained of. `code`: what he looks it up by; `place`, `by`: of an account that made it.

    `told`: up to where whoever is to look into it was told, None while there was nobody; `climbs_ms`: when the clock
    looks at it again.
    """

    __table_args__ = (
        CheckConstraint(_in("about", About), name="about"),
        CheckConstraint(_in("way", Way), name="way"),
        CheckConstraint(f"finding IS NULL OR {_in('finding', Finding)}", name="finding"),
        CheckConstraint("(taken_ms IS NULL) = (taken_by IS NULL)", name="taken"),
        CheckConstraint(
            "(answered_ms IS NULL) = (answered_by IS NULL) AND (answered_ms IS NULL) = (finding IS NULL)",
            name="answered",
        ),
        CheckConstraint("version > 0 AND due_ms > made_ms", name="version"),
        UniqueConstraint("code", name="uq_complaint_code"),
        Index("ix_complaint_area", "area", "made_ms"),
        Index("ix_complaint_climbs", "station", "climbs_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    code: str
    station: str
    area: str
    about: str
    way: str
    words: str = Field(sa_type=Text)
    phone: str | None = None
    place: str | None = None
    by: str | None = None
    made_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger)
    taken_ms: int | None = Field(sa_type=BigInteger, default=None)
    taken_by: str | None = None
    answered_ms: int | None = Field(sa_type=BigInteger, default=None)
    answered_by: str | None = None
    finding: str | None = None
    answer: str | None = Field(sa_type=Text, default=None)
    version: int = 1
    told: str | None = None
    climbs_ms: int | None = Field(sa_type=BigInteger, default=None)
