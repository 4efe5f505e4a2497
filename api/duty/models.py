"""Tables of duty: the roster, who is away, live desks, and sheets of handing over."""

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel


class DutyShift(SQLModel, table=True):
    """`account` serves in `role` for `area` (`rules.Shift`). `weekdays` are digits, Monday 1. Ended, never changed."""

    __tablename__ = "duty_shift"
    __table_args__ = (
        CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts"),
        CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        CheckConstraint("length(weekdays) BETWEEN 1 AND 7", name="weekdays"),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        CheckConstraint("deputy_of IS NULL OR deputy_of != account", name="deputy"),
        Index("ix_duty_shift_role", "role", "area", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    account: str = Field(index=True)
    role: str
    area: str
    deputy_of: str | None = None
    zone: str
    weekdays: str
    starts_min: int
    lasts_min: int
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    version: int = 1


class DutyLeave(SQLModel, table=True):
    """`account` is away; why is nobody's business here. `stand_in` serves instead."""

    __tablename__ = "duty_leave"
    __table_args__ = (
        CheckConstraint("to_ms >= from_ms", name="span"),
        CheckConstraint("stand_in IS NULL OR stand_in != account", name="stand_in"),
        Index("ix_duty_leave_account", "account", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    account: str
    stand_in: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    version: int = 1


class LiveDesk(SQLModel, table=True):
    """A live desk: a screen that shows and sounds. `beats` counts how often it said that somebody sits there."""

    __tablename__ = "live_desk"
    __table_args__ = (CheckConstraint("beats > 0", name="beats"),)

    station: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    account: str
    since_ms: int = Field(sa_type=BigInteger)
    """Since when this account has it."""
    seen_ms: int = Field(sa_type=BigInteger)
    beats: int = Field(sa_type=BigInteger)


class Handover(SQLModel, table=True):
    """A sheet of handing over (交接班). `sheet` holds what both signed: ids, states and times, nobody's name."""

    __table_args__ = (
        CheckConstraint("giver != taker", name="two"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("(done_ms IS NULL) OR (gave_ms IS NOT NULL AND took_ms IS NOT NULL)", name="done"),
        Index("ix_handover_station", "station", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    giver: str
    taker: str
    note: str = ""
    sheet: str = Field(sa_type=Text)
    made_ms: int = Field(sa_type=BigInteger)
    gave_ms: int | None = Field(sa_type=BigInteger, default=None)
    took_ms: int | None = Field(sa_type=BigInteger, default=None)
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1
