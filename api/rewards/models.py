"""Tables of rewards and of the fund. Steps and movements of money are only added."""

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.rewards.rules import RewardState

_STATES = f"state IN ({', '.join(repr(one.value) for one in RewardState)})"


class Reward(SQLModel, table=True):
    """Money for what a guard did. `event`: the number of the incident, case or report; it pays once (一事一奖)."""

    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint(_STATES, name="state"),
        UniqueConstraint("station", "event", name="uq_reward_event"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    event: str
    guard: str = Field(foreign_key="guard.id")
    company: str | None = None
    area: str
    amount_fen: int = Field(sa_type=BigInteger)
    state: str


class RewardStep(SQLModel, table=True):
    """Who took a reward a step further, and why."""

    __tablename__ = "reward_step"
    __table_args__ = (
        CheckConstraint(_STATES, name="state"),
        UniqueConstraint("reward", "state", name="uq_reward_step_once"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    reward: int = Field(foreign_key="reward.number")
    state: str
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    words: str | None = Field(sa_type=Text, default=None)


class RewardFund(SQLModel, table=True):
    """Money put in (`reference`: on which paper, once) or paid out for a reward. The balance is the sum."""

    __tablename__ = "reward_fund"
    __table_args__ = (
        CheckConstraint("(amount_fen > 0) = (reward IS NULL)", name="way"),
        CheckConstraint("(reward IS NULL) = (reference IS NOT NULL)", name="reference"),
        UniqueConstraint("reward", name="uq_reward_fund_reward"),
        UniqueConstraint("station", "reference", name="uq_reward_fund_reference"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    amount_fen: int = Field(sa_type=BigInteger)
    reward: int | None = Field(foreign_key="reward.number", default=None)
    reference: str | None = None
    by: str
    at_ms: int = Field(sa_type=BigInteger)
