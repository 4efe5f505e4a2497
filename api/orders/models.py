"""The table of orders to guards. When he was on the way and on scene stands in `alarm_dispatch`."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel

from api.orders.rules import Answer, Ended


def _null_or_in(column: str, words: type[StrEnum]) -> CheckConstraint:
    listed = f"{column} IN ({', '.join(repr(word.value) for word in words)})"
    return CheckConstraint(f"{column} IS NULL OR {listed}", name=column)


class AlarmOrder(SQLModel, table=True):
    """A guard was ordered to an alarm. `company`: his employer then. `until_ms`: until when it excuses at most.

    `due_ms`: until when he is to answer; None once that is settled. `unanswered_ms`: when he had not, and `offered` who
    was the next nearest then. `check_in`: what proved his arrival; `source`: by which means it came.
    """

    __tablename__ = "alarm_order"
    __table_args__ = (
        _null_or_in("answer", Answer),
        CheckConstraint(
            "(answer IS NULL) = (answered_ms IS NULL) AND (answer IS NULL) = (answered_by IS NULL)", name="answered"
        ),
        _null_or_in("ended", Ended),
        CheckConstraint("(ended IS NULL) = (ended_ms IS NULL)", name="ended_ms"),
        CheckConstraint("due_ms IS NULL OR (answer IS NULL AND ended IS NULL)", name="due"),
        CheckConstraint("(check_in IS NULL) = (source IS NULL)", name="proof"),
        Index("ix_alarm_order_open", "ended_ms", "guard"),
        Index("ix_alarm_order_due", "due_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    alarm: str = Field(foreign_key="alarm.id", index=True)
    dispatch: int = Field(foreign_key="alarm_dispatch.number")
    guard: str = Field(foreign_key="guard.id", index=True)
    company: str | None = None
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    due_ms: int | None = Field(sa_type=BigInteger, default=None)
    words: str | None = Field(sa_type=Text, default=None)
    reason: str | None = Field(sa_type=Text, default=None)
    """Why somebody is sent to what is for the police alone."""
    behalf: str | None = None
    """Through whom he was told (代录)."""
    unanswered_ms: int | None = Field(sa_type=BigInteger, default=None)
    offered: str | None = None
    answer: str | None = None
    answered_ms: int | None = Field(sa_type=BigInteger, default=None)
    answered_by: str | None = None
    answered_behalf: str | None = None
    declined_for: str | None = Field(sa_type=Text, default=None)
    check_in: str | None = None
    source: str | None = None
    ended_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended: str | None = None
