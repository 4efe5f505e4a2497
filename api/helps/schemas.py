"""Help calls as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from api.alarms.requests import Id, Position, Words
from api.alarms.rules import State
from api.rights.rules import Role
from api.shapes import Answer, Asked, Moment, WordsAnswer
from broker.kinds import Kind


class LastSeen(Asked):
    """His last check-in as his phone knows it, which the station may not have yet."""

    point: Id
    at: Moment


class CalledForHelp(Asked):
    """`kind`: panic where he is in danger, help where he only needs somebody. `position`: where his phone is now.

    `now`: by the phone's clock, at each sending; the clocks are compared by it.
    """

    kind: Literal[Kind.PANIC, Kind.HELP] = Kind.PANIC
    last: LastSeen | None = None
    position: Position | None = None
    words: Words = ""
    now: Moment | None = None


class TakenBack(Asked):
    """`called`: when he called, as it was answered. A press of his that came later stands."""

    called: Moment


class SeenAnswer(Answer):
    """Where he checked in last, and how many minutes ago."""

    point: str
    name: str
    at: datetime
    minutes: Annotated[int, Field(ge=0)]


class HelpAnswer(Answer):
    """A call for help. What is null is not known, or not for whoever asks. `told`: how many near were told."""

    alarm: str
    kind: Kind
    words: WordsAnswer
    called: datetime
    open: bool
    state: State
    state_words: WordsAnswer
    cancelled: datetime | None
    """When he took it back himself. It closes nothing."""
    own: bool
    role: Role | None
    guard: str | None
    name: str | None
    service_number: str | None
    company: str | None
    on_duty: bool | None
    seen: SeenAnswer | None
    told: int | None


class HelpPage(Answer):
    """Newest first."""

    items: tuple[HelpAnswer, ...]
    next: str | None
