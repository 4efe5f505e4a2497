"""What is asked of an alarm over HTTP. `behalf` names who did it, when somebody else enters it for him (代录)."""

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.alarms.rules import Cause, Outcome, Whereabouts
from api.shapes import Asked, Moment
from broker.ids import EVENT_ID, SEGMENT
from broker.kinds import Answer, Kind
from broker.messages import _CONTROLS as CONTROLS

_LINE: Final = f"^[^{CONTROLS}]*$"
_TEXT: Final = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]*$"

Name = Annotated[str, StringConstraints(pattern=_LINE, min_length=1, max_length=48)]
Words = Annotated[str, StringConstraints(pattern=_TEXT, max_length=1_000)]
Reason = Annotated[str, StringConstraints(pattern=_TEXT, min_length=2, max_length=500)]
Id = Annotated[str, StringConstraints(pattern=SEGMENT)]
AlarmIdField = Annotated[str, StringConstraints(pattern=EVENT_ID)]


class Entered(Asked):
    """A step, or what somebody reported of one."""

    behalf: Annotated[Name | None, Field(description="Who did it and reported it by radio or phone (代录)")] = None


class Noted(Entered):
    """Words beside it."""

    words: Words = ""


class Written(Entered):
    """A note."""

    words: Annotated[Words, StringConstraints(min_length=1)]


class Reasoned(Entered):
    """Something that needs a reason."""

    reason: Reason


class Result(StrEnum):
    """What came of calling back or of looking."""

    IN_NEED = "in_need"
    SAFE = "safe"
    NO_ANSWER = "no_answer"
    UNCLEAR = "unclear"


class Verified(Entered):
    """回拨核实. `contact`: the rank of the contact that was called; null: the place itself."""

    result: Result
    contact: Annotated[int, Field(ge=1, le=9)] | None = None
    in_person: bool = False
    words: Words = ""


class KindSet(Reasoned):
    """Of what kind it is."""

    kind: Kind


class Sent(Entered):
    """派警. Accounts, teams or both."""

    accounts: Annotated[list[Id], Field(max_length=50)] = Field(default_factory=list)
    teams: Annotated[list[Id], Field(max_length=10)] = Field(default_factory=list)
    words: Words = ""

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.accounts and not self.teams:
            raise ValueError("name accounts, teams or both")
        return self


class Recalled(Reasoned):
    """Somebody who is called back."""

    account: Id


class HandedOver(Entered):
    """119 or 120, and who took the call there."""

    service: Literal["119", "120"]
    name: Name
    words: Words = ""


class Numbered(Entered):
    """The number of 110."""

    number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,32}$")]


class Moved(Noted):
    """Somebody is on the way or on scene. `account`: who, if not whoever enters it."""

    account: Id | None = None


class Resolved(Entered):
    """办结. A false alarm has a cause."""

    outcome: Outcome
    cause: Cause | None = None
    words: Words = ""

    @model_validator(mode="after")
    def _cause(self) -> Self:
        if (self.outcome is Outcome.FALSE) != (self.cause is not None):
            raise ValueError("a false alarm has a cause, and nothing else has one")
        return self


class FollowedUp(Entered):
    """回访: how content the household is (1 to 5), in its own words."""

    satisfaction: Annotated[int, Field(ge=1, le=5)]
    words: Words = ""
    in_person: bool = False


class Urged(Reasoned):
    """督办, with a deadline."""

    due: Moment


class Given(Reasoned):
    """转办, 协办 or 上报. `receiver`: an area: a police station, a community, a centre."""

    receiver: Id


class Answered(Entered):
    """What is said to an offer."""

    accept: bool
    reason: Words = ""

    @model_validator(mode="after")
    def _why(self) -> Self:
        if not self.accept and len(self.reason) < 2:
            raise ValueError("a refusal has a reason")
        return self


class Linked(Reasoned):
    """Another alarm that is part of the same incident."""

    to: AlarmIdField


class Spoken(Asked):
    """A neighbour's answer."""

    answer: Answer


class Position(Asked):
    """WGS 84."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    accuracy_m: Annotated[int, Field(ge=0, le=100_000)]


class Raised(Asked):
    """An alarm raised on a phone page. `place`: needed by whoever belongs to several."""

    kind: Literal[Kind.PANIC, Kind.HELP, Kind.MEDICAL, Kind.FIRE, Kind.INTRUSION]
    place: Id | None = None
    whereabouts: Whereabouts = Whereabouts.UNKNOWN
    position: Position | None = None
    words: Words = ""

    @model_validator(mode="after")
    def _position(self) -> Self:
        if (self.whereabouts is Whereabouts.POSITION) != (self.position is not None):
            raise ValueError("a position goes with whereabouts 'position', and with nothing else")
        return self


class LineTested(Asked):
    """A phone page tries its line. `held`: its key was held for 2 s; `at`, `now`: when, by the phone's clock."""

    held: bool = False
    place: Id | None = None
    at: Moment | None = None
    now: Moment | None = None


class Called(Entered):
    """An alarm that a caller told the desk of. A place, or an address in words."""

    kind: Literal[Kind.PANIC, Kind.HELP, Kind.MEDICAL, Kind.FIRE, Kind.INTRUSION, Kind.DURESS]
    place: Id | None = None
    address: Annotated[str, StringConstraints(pattern=_LINE, max_length=200)] | None = None
    words: Words = ""
    away: Annotated[bool, Field(description="The caller is not at the place: its neighbours are not rung")] = False

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.place is None and not self.address:
            raise ValueError("a place or an address is needed")
        return self


class Done(Entered):
    """What came of an errand."""

    found: Annotated[Words, StringConstraints(min_length=1)]
