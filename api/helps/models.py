"""The tables of help calls. What becomes of one stands in the alarm that it raised."""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel


class HelpCall(SQLModel, table=True):
    """One press for help of somebody on patrol; several may be one alarm.

    `key`: drawn by his phone once for each press. `point`, `seen_ms`: where he was last, and when. `company`: his
    employer then; `duty`: whether he was on duty.
    """

    __tablename__ = "help_call"
    __table_args__ = (
        UniqueConstraint("account", "key"),
        Index("ix_help_call_account", "account", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    alarm: str = Field(foreign_key="alarm.id", index=True)
    account: str
    key: str
    digest: str
    role: str
    guard: str | None = None
    company: str | None = Field(default=None, index=True)
    duty: bool
    point: str | None = None
    seen_ms: int | None = Field(sa_type=BigInteger, default=None)
    at_ms: int = Field(sa_type=BigInteger)


class HelpTold(SQLModel, table=True):
    """Somebody near who was told of a help call."""

    __tablename__ = "help_told"

    alarm: str = Field(primary_key=True, foreign_key="alarm.id")
    guard: str = Field(primary_key=True)
    account: str = Field(index=True)
    at_ms: int = Field(sa_type=BigInteger)
