"""Installing as HTTP takes and shows it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.installing.rules import LONGEST_MS, Left
from api.register.schemas import Id, Line
from api.shapes import Answer, Asked, Moment, WordsAnswer


class WindowAsked(Asked):
    """From now on, for so many minutes: one place, or everything on a gateway."""

    gateway: Id
    place: Id | None = None
    minutes: Annotated[int, Field(ge=1, le=LONGEST_MS // 60_000)]


class WindowAnswer(Answer):
    """An installation window."""

    number: int
    gateway: str
    place: str | None
    by: str
    begins: datetime
    ends: datetime
    open: bool
    gateway_online: bool
    """False: its gateway may not have heard of the window, and a press there may be real."""


class ReadBackAsked(Asked):
    """The address as it was read out at the door, by whoever signs for it."""

    address: Annotated[Line, StringConstraints(min_length=1)]


class SirenHeard(Asked):
    """Whether the siren sounded at the test press, by somebody beside it.

    `at`: when, and `now`: when it is sent, both by the phone's clock; a phone may keep it for long.
    """

    place: Id
    heard: bool
    at: Moment | None = None
    now: Moment | None = None


class LeftAnswer(Answer):
    """Something that is left to do."""

    step: Left
    words: WordsAnswer


class RecordAnswer(Answer):
    """What was done about a unit in a place. `siren`: whether it sounded; null: nobody said."""

    unit: str
    place: str
    chirps: int
    chirped: datetime | None
    siren: bool | None
    siren_words: WordsAnswer
    siren_said: datetime | None
    siren_said_by: str | None
    read_back: datetime | None
    read_back_by: str | None


class InstallationAnswer(RecordAnswer):
    """A unit that is being installed."""

    address: str
    gateway: str | None
    line: str | None
    line_address: int | None
    since: datetime
    left: list[LeftAnswer]


class InstallationPage(Answer):
    """Units that are being installed, by id. `next`: ask for what comes after it."""

    items: list[InstallationAnswer]
    next: str | None
