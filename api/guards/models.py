"""Tables of guards and of who serves when. What joins two things has `from_ms` and `to_ms`; nothing is overwritten."""

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import BigInteger, Field, SQLModel

from api.guards.rules import Came, CardEnd, Cause, Decision, Force, Instead, Went


def _in(column: str, words: type[StrEnum], *, absent: bool = False) -> CheckConstraint:
    listed = f"{column} IN ({', '.join(repr(word.value) for word in words)})"
    return CheckConstraint(f"{column} IS NULL OR {listed}" if absent else listed, name=column)


def _one_still(name: str, *columns: str) -> Index:
    """At most one row of these that has not ended."""
    still: Any = text("to_ms IS NULL")
    return Index(name, *columns, unique=True, sqlite_where=still, postgresql_where=still)


class Guard(SQLModel, table=True):
    """Somebody who goes on patrol: no file on him, only what others need to know him by. `area`: where he belongs.

    `closed_ms`: when he left for good; from then on his name's period runs.
    """

    __table_args__ = (
        _in("force", Force),
        CheckConstraint("version > 0", name="version"),
        UniqueConstraint("station", "service_number", name="uq_guard_service_number"),
        UniqueConstraint("account", name="uq_guard_account"),
    )

    id: str = Field(primary_key=True)
    station: str = Field(index=True)
    force: str
    service_number: str | None = None
    name: str | None = None
    area: str
    account: str | None = None
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    closed_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class GuardEmployment(SQLModel, table=True):
    """A guard with a company of the register, from a moment until before another one."""

    __tablename__ = "guard_employment"
    __table_args__ = (
        ForeignKeyConstraint(["station", "company"], ["company.station", "company.id"]),
        CheckConstraint("to_ms IS NULL OR to_ms > from_ms", name="span"),
        _one_still("uq_guard_employment_still", "guard"),
        Index("ix_guard_employment_guard", "guard", "from_ms"),
        Index("ix_guard_employment_company", "station", "company", "from_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id")
    company: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str
    ended_by: str | None = None


class GuardTakeover(SQLModel, table=True):
    """A company asks for a guard of another one, by his service number; the police confirm or refuse.

    Whether there is such a guard is not written down before they have confirmed, so that nobody learns it by asking.
    """

    __tablename__ = "guard_takeover"
    __table_args__ = (
        ForeignKeyConstraint(["station", "company"], ["company.station", "company.id"]),
        _in("decision", Decision, absent=True),
        CheckConstraint(
            "(decision IS NULL) = (decided_ms IS NULL) AND (decision IS NULL) = (decided_by IS NULL)", name="decided"
        ),
        CheckConstraint("guard IS NULL OR decision = 'confirmed'", name="guard"),
        Index("ix_guard_takeover_company", "station", "company", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    company: str
    service_number: str | None = None
    words: str | None = Field(sa_type=Text, default=None)
    by: str
    asked_ms: int = Field(sa_type=BigInteger)
    decision: str | None = None
    decided_by: str | None = None
    decided_ms: int | None = Field(sa_type=BigInteger, default=None)
    reason: str | None = Field(sa_type=Text, default=None)
    guard: str | None = Field(foreign_key="guard.id", default=None)


class GuardCard(SQLModel, table=True):
    """A tag that stands for a guard: `tag` as `broker.tags` writes it, `low24` as a short reader sees it."""

    __tablename__ = "guard_card"
    __table_args__ = (
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        CheckConstraint("(to_ms IS NULL) = (ended IS NULL)", name="ended_ms"),
        _in("ended", CardEnd, absent=True),
        _one_still("uq_guard_card_still", "station", "tag"),
        Index("ix_guard_card_tag", "tag", "from_ms"),
        Index("ix_guard_card_low24", "low24", "from_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id", index=True)
    tag: str
    low24: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended: str | None = None
    made_by: str


class GuardLeave(SQLModel, table=True):
    """A guard is away; why is nobody's business here. Taken back: `to_ms` is cut."""

    __tablename__ = "guard_leave"
    __table_args__ = (
        CheckConstraint("to_ms >= from_ms", name="span"),
        CheckConstraint("stand_in IS NULL OR stand_in != guard", name="stand_in"),
        Index("ix_guard_leave_guard", "guard", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id")
    stand_in: str | None = Field(foreign_key="guard.id", default=None)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class GuardExcuse(SQLModel, table=True):
    """Time in which a guard could not make his visits, through no fault of his. `evidence`: what shows it, as an id."""

    __tablename__ = "guard_excuse"
    __table_args__ = (
        CheckConstraint("to_ms > from_ms", name="span"),
        _in("cause", Cause),
        UniqueConstraint("guard", "evidence", name="uq_guard_excuse_evidence"),
        Index("ix_guard_excuse_guard", "guard", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id")
    cause: str
    evidence: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    made_ms: int = Field(sa_type=BigInteger)


class GuardPhoneOut(SQLModel, table=True):
    """A guard's phone is dead: what shows his visits `instead`, marked as such; a witness goes on the same duty."""

    __tablename__ = "guard_phone_out"
    __table_args__ = (
        CheckConstraint("to_ms > from_ms", name="span"),
        CheckConstraint("(instead = 'witness') = (witness IS NOT NULL)", name="witness"),
        CheckConstraint("witness IS NULL OR witness != guard", name="two"),
        _in("instead", Instead),
        Index("ix_guard_phone_out_guard", "guard", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    guard: str = Field(foreign_key="guard.id")
    instead: str
    witness: str | None = Field(foreign_key="guard.id", default=None)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    told_by: str
    told_ms: int = Field(sa_type=BigInteger)


class PatrolDuty(SQLModel, table=True):
    """A duty list: who goes in an area, or on a route of it, from when until when. `shift`: what it is called."""

    __tablename__ = "patrol_duty"
    __table_args__ = (
        CheckConstraint("to_ms > from_ms", name="span"),
        CheckConstraint("(called_off_ms IS NULL) = (called_off_by IS NULL)", name="called_off"),
        CheckConstraint("version > 0", name="version"),
        Index("ix_patrol_duty_area", "station", "area", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    route: str | None = None
    shift: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    called_off_ms: int | None = Field(sa_type=BigInteger, default=None)
    called_off_by: str | None = None
    version: int = 1


class PatrolDutyMember(SQLModel, table=True):
    """A guard on a duty list, for a part of it or the whole. `instead_of`: whose row this one follows.

    Whoever goes before he came has a span of nothing; the row stays, so that it shows who was listed.
    """

    __tablename__ = "patrol_duty_member"
    __table_args__ = (
        CheckConstraint("to_ms >= from_ms AND listed_to_ms >= to_ms", name="span"),
        CheckConstraint("went IS NOT NULL OR to_ms = listed_to_ms", name="ended"),
        _in("came", Came),
        _in("went", Went, absent=True),
        Index("ix_patrol_duty_member_guard", "guard", "to_ms"),
        Index("ix_patrol_duty_member_to_ms", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    duty: int = Field(foreign_key="patrol_duty.number", index=True)
    guard: str = Field(foreign_key="guard.id")
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    listed_to_ms: int = Field(sa_type=BigInteger)
    came: str
    went: str | None = None
    instead_of: int | None = Field(foreign_key="patrol_duty_member.number", default=None)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class PatrolRelief(SQLModel, table=True):
    """A relief handed over (交接): who gave, who took, what was said."""

    __tablename__ = "patrol_relief"
    __table_args__ = (CheckConstraint("giver != taker", name="two"), {"sqlite_autoincrement": True})

    number: int | None = Field(primary_key=True, default=None)
    duty: int = Field(foreign_key="patrol_duty.number", index=True)
    giver: str = Field(foreign_key="guard.id")
    taker: str = Field(foreign_key="guard.id")
    words: str = Field(sa_type=Text)
    by: str
    at_ms: int = Field(sa_type=BigInteger)


class PatrolSuspension(SQLModel, table=True):
    """An order to suspend patrols of an area, and of what lies in it: weather, an emergency. Lifted: `to_ms` is cut."""

    __tablename__ = "patrol_suspension"
    __table_args__ = (
        CheckConstraint("to_ms >= from_ms", name="span"),
        CheckConstraint("(lifted_ms IS NULL) = (lifted_by IS NULL)", name="lifted"),
        CheckConstraint("cause IN ('weather', 'emergency')", name="cause"),
        Index("ix_patrol_suspension_area", "station", "area", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    cause: str
    words: str = Field(sa_type=Text)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    ordered_by: str
    ordered_ms: int = Field(sa_type=BigInteger)
    lifted_ms: int | None = Field(sa_type=BigInteger, default=None)
    lifted_by: str | None = None
