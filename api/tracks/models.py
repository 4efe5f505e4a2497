"""The table of what is still to be looked at for suspicions."""

from sqlmodel import BigInteger, Field, Index, SQLModel


class SuspicionDue(SQLModel, table=True):
    """A guard checked in at `at_ms`, or something else was found out about that; it goes once it was looked at."""

    __tablename__ = "suspicion_due"
    __table_args__ = (Index("ix_suspicion_due_guard", "guard", "at_ms"), {"sqlite_autoincrement": True})

    number: int | None = Field(primary_key=True, default=None)
    guard: str
    at_ms: int = Field(sa_type=BigInteger)
    heard_ms: int = Field(sa_type=BigInteger)
