"""Warnings and tips as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from api.tips.models import Tip
from api.tips.rules import STATE_WORDS, TIP_WORDS, Span, TipKind, TipState
from broker.ids import SEGMENT

Area = Annotated[str, StringConstraints(pattern=SEGMENT)]


class NewTip(Asked):
    """What is to be published. Without `from` it is shown at once."""

    kind: TipKind
    title: Annotated[str, StringConstraints(min_length=1, max_length=120)] = Field(examples=["冒充客服诈骗高发"])
    text: Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
    areas: Annotated[tuple[Area, ...], Field(min_length=1, max_length=200, description="Whom it is for, by area")]
    begins: Moment | None = None
    expires: Moment


class ReadCount(Answer):
    """In how many of the places that it is for it was read."""

    places: int
    read: int


class TipAnswer(Answer):
    """One warning or tip. `reads` is for whoever publishes; None for others."""

    number: int
    kind: TipKind
    words: WordsAnswer
    title: str
    text: str
    state: TipState
    state_words: WordsAnswer
    areas: tuple[str, ...]
    begins: datetime
    expires: datetime
    reads: ReadCount | None


class TipPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[TipAnswer, ...]
    next: str | None


def tip_answer(tip: Tip, areas: tuple[str, ...], reads: ReadCount | None, *, now_ms: int) -> TipAnswer:
    """A row as HTTP shows it."""
    state = Span(from_ms=tip.from_ms, expires_ms=tip.expires_ms, withdrawn_ms=tip.withdrawn_ms).state(now_ms)
    assert tip.number is not None
    return TipAnswer(
        number=tip.number,
        kind=TipKind(tip.kind),
        words=words_answer(TIP_WORDS[TipKind(tip.kind)]),
        title=tip.title,
        text=tip.text,
        state=state,
        state_words=words_answer(STATE_WORDS[state]),
        areas=areas,
        begins=iso(tip.from_ms),
        expires=iso(tip.expires_ms),
        reads=reads,
    )
