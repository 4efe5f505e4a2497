"""Colours of areas and good-person cards as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.colours.models import AreaColour, GoodCard
from api.colours.rules import (
    CARD_WORDS,
    CHECKS_MOST,
    COLOUR_WORDS,
    EVERY_LEAST_MIN,
    EVERY_MOST_MIN,
    MINUTE_MS,
    Card,
    Colour,
)
from api.colours.service import Painted
from api.guards.models import Guard
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer

Reason = Annotated[str, StringConstraints(min_length=2, max_length=500)]


class NewColour(Asked):
    """A colour until a moment, with a reason. Numbers that are not said are the colour's own.

    `afterwards`: what holds when it ends; without it, what holds now.
    """

    colour: Colour
    afterwards: Colour | None = None
    every_min: Annotated[int, Field(ge=EVERY_LEAST_MIN, le=EVERY_MOST_MIN)] | None = None
    checks_month: Annotated[int, Field(ge=0, le=CHECKS_MOST)] | None = None
    expires: Moment | None = None
    reason: Reason = Field(examples=["一周内三起入室警情"])


class SuggestionAnswer(Answer):
    """What the alarms suggest: at least `least` of them would. Nobody follows it but by deciding."""

    colour: Colour
    colour_words: WordsAnswer
    alarms: int
    least: int


class AreaColourAnswer(Answer):
    """What holds in an area. `alarms`: in earnest, within 30 days. `expired`: it is to be decided anew."""

    area: str
    colour: Colour
    colour_words: WordsAnswer
    every_min: int
    checks_month: int
    expires: datetime | None
    expired: bool
    decided: bool
    alarms: int
    suggestion: SuggestionAnswer | None
    version: int


class AreaColourList(Answer):
    """By area."""

    items: tuple[AreaColourAnswer, ...]


class DecisionAnswer(Answer):
    """A decision: who signed it, why, and how many alarms stood before him. `set_by_name`: None for one long gone."""

    number: int
    area: str
    colour: Colour
    afterwards: Colour
    every_min: int
    checks_month: int
    reason: str
    alarms: int
    set_by: str
    set_by_name: str | None
    begins: datetime
    expires: datetime
    ends: datetime | None


class DecisionPage(Answer):
    """A page, newest first."""

    items: tuple[DecisionAnswer, ...]
    next: str | None


class NewCardLevel(Asked):
    """A level for a quarter, with a reason."""

    level: Card
    quarter: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}Q[1-4]$")]
    reason: Reason


class CardLevelAnswer(Answer):
    """A level of a guard's card (好人卡)."""

    level: Card
    level_words: WordsAnswer
    quarter: str
    reason: str
    set_by: str
    begins: datetime
    ends: datetime | None


class CardLevelList(Answer):
    """Newest first."""

    items: tuple[CardLevelAnswer, ...]


class HeldCardAnswer(CardLevelAnswer):
    """The level that a guard has now."""

    guard: str
    name: str | None
    service_number: str | None


class HeldCardPage(Answer):
    """A page, the newest decision first."""

    items: tuple[HeldCardAnswer, ...]
    next: str | None


def held_card_answer(row: GoodCard, guard: Guard) -> HeldCardAnswer:
    """A level with whose it is."""
    same = card_level_answer(row).model_dump()
    return HeldCardAnswer(**same, guard=guard.id, name=guard.name, service_number=guard.service_number)


def painted_answer(one: Painted) -> AreaColourAnswer:
    """An area as HTTP shows it."""
    found, held = one.suggestion, one.band
    return AreaColourAnswer(
        area=one.area,
        colour=held.colour,
        colour_words=words_answer(COLOUR_WORDS[held.colour]),
        every_min=held.every_ms // MINUTE_MS,
        checks_month=held.checks_month,
        expires=None if held.expires_ms is None else iso(held.expires_ms),
        expired=held.expired,
        decided=held.decided,
        alarms=one.alarms,
        suggestion=None
        if found is None
        else SuggestionAnswer(
            colour=found.colour,
            colour_words=words_answer(COLOUR_WORDS[found.colour]),
            alarms=found.alarms,
            least=found.least,
        ),
        version=one.version,
    )


def decision_answer(row: AreaColour, called: Mapping[str, str]) -> DecisionAnswer:
    """A row as HTTP shows it. `called`: names by account."""
    assert row.number is not None
    return DecisionAnswer(
        number=row.number,
        area=row.area,
        colour=Colour(row.colour),
        afterwards=Colour(row.afterwards),
        every_min=row.every_min,
        checks_month=row.checks_month,
        reason=row.reason,
        alarms=row.alarms,
        set_by=row.set_by,
        set_by_name=called.get(row.set_by),
        begins=iso(row.from_ms),
        expires=iso(row.expires_ms),
        ends=None if row.to_ms is None else iso(row.to_ms),
    )


def card_level_answer(row: GoodCard) -> CardLevelAnswer:
    """A row as HTTP shows it."""
    level = Card(row.level)
    return CardLevelAnswer(
        level=level,
        level_words=words_answer(CARD_WORDS[level]),
        quarter=row.quarter,
        reason=row.reason,
        set_by=row.set_by,
        begins=iso(row.from_ms),
        ends=None if row.to_ms is None else iso(row.to_ms),
    )
