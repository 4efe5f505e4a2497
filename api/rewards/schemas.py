"""What HTTP takes and gives about rewards. Money is in fen (分)."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from api.clock import iso
from api.rewards.models import Reward
from api.rewards.rules import STATE_WORDS, RewardState
from api.rewards.service import Seen
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import EVENT_ID

MOST_FEN: Final = 100_000_000
"""A million yuan."""
Reference = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:/-]+$")]
Fen = Annotated[int, Field(ge=1, le=MOST_FEN)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class NewReward(Asked):
    """For what a guard did. `event`: the number of the incident, case or report."""

    event: Reference
    guard: Annotated[str, StringConstraints(pattern=EVENT_ID)]
    amount_fen: Fen
    occurred: Moment
    words: Said


class Judgement(Asked):
    """`yes`: a step further; no: refused. With the reason."""

    yes: bool
    words: Said


class Payment(Asked):
    """How it was paid."""

    words: Said


class RewardAnswer(Answer):
    """A reward."""

    number: int
    event: str
    guard: str
    company: str | None
    amount_fen: int
    state: RewardState
    state_words: WordsAnswer


class RewardStepAnswer(Answer):
    """Who took it a step further."""

    state: RewardState
    by: str
    by_name: str | None
    at: datetime
    words: str | None


class RewardDetail(RewardAnswer):
    """A reward with its steps."""

    steps: tuple[RewardStepAnswer, ...]


class RewardPage(Answer):
    """A page, newest first."""

    items: tuple[RewardAnswer, ...]
    next: str | None


class Deposit(Asked):
    """Money for the fund, on which paper."""

    amount_fen: Fen
    reference: Reference


class FundAnswer(Answer):
    """What the fund holds."""

    balance_fen: int


def reward_answer(row: Reward) -> RewardAnswer:
    """A reward as HTTP shows it."""
    assert row.number is not None
    state = RewardState(row.state)
    return RewardAnswer(
        number=row.number,
        event=row.event,
        guard=row.guard,
        company=row.company,
        amount_fen=row.amount_fen,
        state=state,
        state_words=words_answer(STATE_WORDS[state]),
    )


def reward_detail(seen: Seen) -> RewardDetail:
    """With its steps."""
    steps = tuple(
        RewardStepAnswer(
            state=RewardState(one.state), by=one.by, by_name=seen.names.get(one.by), at=iso(one.at_ms), words=one.words
        )
        for one in seen.steps
    )
    return RewardDetail(**dict(reward_answer(seen.row)), steps=steps)
