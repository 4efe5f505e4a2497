"""Tables of roll-calls and spot calls: each call, and each person who is called with his deadline."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.rollcalls.rules import CalledState, Over, Way


def _in(column: str, words: type[StrEnum], *, absent: bool = False) -> CheckConstraint:
    listed = f"{column} IN ({', '.join(repr(word.value) for word in words)})"
    return CheckConstraint(f"{column} IS NULL OR {listed}" if absent else listed, name=column)


class RollCall(SQLModel, table=True):
    """A call. A draw begins with its seed's digest alone (`committed_ms`); `called_ms`: when people were called.

    A spot call is one person, and `words` what he is to do, until `until_ms`. `ends_ms`: when nobody was waited for.
    """

    __tablename__ = "roll_call"
    __table_args__ = (
        _in("way", Way),
        CheckConstraint("(way = 'draw') = (seed IS NOT NULL)", name="seed"),
        CheckConstraint("(seed IS NULL) = (seed_digest IS NULL)", name="seed_digest"),
        CheckConstraint("(way = 'spot') = (until_ms IS NOT NULL)", name="spot"),
        CheckConstraint("called_ms IS NULL OR called_ms >= committed_ms", name="committed"),
        CheckConstraint("ends_ms IS NULL OR called_ms IS NOT NULL", name="ended"),
        Index("ix_roll_call_area", "station", "area", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    way: str
    by: str
    words: str | None = Field(sa_type=Text, default=None)
    seed: str | None = None
    seed_digest: str | None = None
    many: int = 0
    """How many are drawn."""
    committed_ms: int = Field(sa_type=BigInteger)
    called_ms: int | None = Field(sa_type=BigInteger, default=None)
    until_ms: int | None = Field(sa_type=BigInteger, default=None)
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    ends_ms: int | None = Field(sa_type=BigInteger, default=None)


class RollCandidate(SQLModel, table=True):
    """Somebody who might have been drawn."""

    __tablename__ = "roll_candidate"

    call: int = Field(primary_key=True, foreign_key="roll_call.number")
    guard: str = Field(primary_key=True, foreign_key="guard.id")


class RollCalled(SQLModel, table=True):
    """Somebody who was called. `due_ms`: when the call is repeated or missed; None once it is settled.

    `last_*`: the last check-in before he answered or missed it. `claimed`: the checkpoint where he says he is.
    """

    __tablename__ = "roll_called"
    __table_args__ = (
        _in("state", CalledState),
        _in("over", Over, absent=True),
        CheckConstraint("(state = 'waiting') = (due_ms IS NOT NULL)", name="due"),
        CheckConstraint("(state = 'answered') = (answered_ms IS NOT NULL)", name="answered"),
        CheckConstraint("(answered_ms IS NULL) = (over IS NULL)", name="answered_over"),
        CheckConstraint("(second_ms IS NULL) = (second_due_ms IS NULL)", name="second"),
        UniqueConstraint("call", "guard", name="uq_roll_called_guard"),
        Index("ix_roll_called_due", "due_ms"),
        Index("ix_roll_called_guard", "guard", "state"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    call: int = Field(foreign_key="roll_call.number", index=True)
    guard: str = Field(foreign_key="guard.id")
    company: str | None = None
    duty: int | None = Field(foreign_key="patrol_duty.number", default=None)
    state: str
    first_ms: int = Field(sa_type=BigInteger)
    due_ms: int | None = Field(sa_type=BigInteger, default=None)
    second_due_ms: int | None = Field(sa_type=BigInteger, default=None)
    second_ms: int | None = Field(sa_type=BigInteger, default=None)
    missed_ms: int | None = Field(sa_type=BigInteger, default=None)
    answered_ms: int | None = Field(sa_type=BigInteger, default=None)
    over: str | None = None
    typed_by: str | None = None
    check_in: str | None = None
    claimed: str | None = None
    last_check_in: str | None = None
    last_point: str | None = None
    last_ms: int | None = Field(sa_type=BigInteger, default=None)
    contradicts: bool = False
