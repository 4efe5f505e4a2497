"""What every body that HTTP takes or gives has in common."""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from broker.kinds import Words

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
LATEST_MS: Final = round(LATEST.timestamp() * 1_000)


def _thinkable(moment: datetime) -> datetime:
    if not EARLIEST <= moment < LATEST:
        raise ValueError("this is not in our time")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_thinkable)]
"""A moment that somebody asks for. At the ends of the calendar other zones have years 0 and 10000, never shown."""


def _thinkable_day(day: date) -> date:
    if not EARLIEST.date() <= day < LATEST.date():
        raise ValueError("this is not in our time")
    return day


CivilDay = Annotated[date, AfterValidator(_thinkable_day)]
"""A day that somebody asks for, with a week and a month around it."""


class Answer(BaseModel):
    """What is answered: closed, so that nothing slips in that nobody decided to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(BaseModel):
    """What is asked: closed, so that a misspelt field is told and not overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class WordsAnswer(Answer):
    """A word in both languages."""

    zh: str
    en: str


def words_answer(words: Words) -> WordsAnswer:
    """`words` as HTTP shows them."""
    return WordsAnswer(zh=words.zh, en=words.en)
