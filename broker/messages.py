"""The messages: closed, versioned, frozen. `docs/topics.md` shows one of each, and tests execute them.

Every body has `v` (1), `type`, the `topic` it was published on, the `audience` it is for (`broker.topics`), an
`id` and `age_ms`: how old the thing it tells of was when this was sent, so that receivers need no clock to see
that something is too old to ring. The id of an event and of all its views is one and the same.

Numbers are integers below 2**53 (RFC 8785); there are no floats. Absent and None are the same: None is not
written. Texts that people wrote hold no control characters (`clean`).
"""

import re
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from broker.ids import (
    EPOCH,
    EVENT_ID,
    PRESS_KEY,
    SEGMENT,
    SESSION,
    Epoch,
    EventId,
    GatewayId,
    GroupId,
    HouseholdId,
    PressKey,
    Session,
    UnitId,
)
from broker.kinds import CALLER_TOOK_BACK_WORDS, UPDATE_WORDS, EventType, Kind, LadderState, Mark, UpdateState
from broker.policy import AlarmFacts, View
from broker.topics import parse

VERSION: Final = 1
MAX_PAYLOAD: Final = 16_384
"""Octets of an envelope. A broker that refuses more, and models whose largest body fits, both hang on it."""

MAX_RESULTS: Final = 200
MAX_DETAILS: Final = 16
MAX_FAULTS: Final = 64
MAX_EPOCHS: Final = 64
MAX_MISSING: Final = 50
MAX_DRILL_UNITS: Final = 30
LONGEST_DRILL_MS: Final = 7_200_000
CONFIG_PART_CHARS: Final = 12_000
TEXT_CHARS: Final = 96

_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
"""C0, C1, line separators, and what turns the writing direction: they make a label show what it does not say."""

_UNWANTED: Final = re.compile(f"[{_CONTROLS}\ud800-\udfff]")

UInt = Annotated[int, Field(ge=0, lt=2**53)]
Seq = Annotated[int, Field(ge=1, lt=2**53)]
Door = Annotated[int, Field(ge=0, le=9_999)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
"""A word of ours, for programs: a fault, a reason, the key of a detail, a role."""
Text = Annotated[str, StringConstraints(pattern=f"^[^{_CONTROLS}]*$", max_length=TEXT_CHARS)]
"""Words of people, for people."""
Detail = Annotated[int, Field(gt=-(2**53), lt=2**53)] | bool | Text

EventIdField = Annotated[EventId, StringConstraints(pattern=EVENT_ID)]
EpochField = Annotated[Epoch, StringConstraints(pattern=EPOCH)]
SessionField = Annotated[Session, StringConstraints(pattern=SESSION)]
PressField = Annotated[PressKey, StringConstraints(pattern=PRESS_KEY)]
GatewayField = Annotated[GatewayId, StringConstraints(pattern=SEGMENT)]
GroupField = Annotated[GroupId, StringConstraints(pattern=SEGMENT)]
HouseholdField = Annotated[HouseholdId, StringConstraints(pattern=SEGMENT)]
UnitField = Annotated[UnitId, StringConstraints(pattern=SEGMENT)]
DigestField = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
BootField = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{1,36}$")]
Clock = Literal["synced", "unsynced"]


class Part(BaseModel):
    """A value inside a body."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _always_sent(schema: dict[str, Any]) -> None:
    """What has a default for those who write bodies is none the less required of those who send them."""
    schema["required"] = ["v", "type", *schema["required"]]


class Envelope(Part):
    """What every body begins with."""

    model_config = ConfigDict(json_schema_extra=_always_sent)

    v: Literal[1] = VERSION
    topic: Annotated[str, StringConstraints(pattern=r"^sw1/[a-z0-9/-]{1,120}$")]
    audience: Annotated[str, StringConstraints(pattern=r"^[a-z]+(:[a-z0-9-]{1,32})?$")]
    id: EventIdField
    age_ms: UInt


class GatewayEvent(Envelope):
    """One row of a gateway's journal, on its way to the station. Identity is `id`, order (gateway, epoch, seq).

    `at_ms` is wall time as the gateway's clock had it (`clock` says how good that is), `mono_us` the monotonic
    clock of boot `boot`. `reason` says in one word why it is unverified. Nothing in it is for neighbours' eyes.
    """

    type: Literal["event"] = "event"
    gateway: GatewayField
    epoch: EpochField
    seq: Seq
    event: EventType
    at_ms: UInt
    mono_us: UInt
    boot: BootField
    clock: Clock
    kind: Kind | None = None
    unit: UnitField | None = None
    place: HouseholdField | None = None
    group: GroupField | None = None
    door: Door | None = None
    label: Text | None = None
    press: PressField | None = None
    verified: bool = True
    reason: Word | None = None
    mark: Mark | None = None
    detail: Annotated[dict[Word, Detail], Field(max_length=MAX_DETAILS)] = {}

    def facts(self, *, medical_consent: bool = False) -> AlarmFacts | None:
        """What the policy needs to know of this event; None when it is not an alarm of any kind."""
        if self.kind is None:
            return None
        return AlarmFacts(
            kind=self.kind,
            group=self.group,
            place=self.place,
            door=self.door,
            label=self.label,
            gateway=self.gateway,
            unit=self.unit,
            press=self.press,
            verified=self.verified,
            reason=self.reason,
            at_ms=self.at_ms,
            clock=self.clock,
            mark=self.mark,
            medical_consent=medical_consent,
        )


class AlarmView(Envelope):
    """An alarm in the words of one audience; `id` is the alarm's event id. What the policy withholds is absent.

    `quiet`: an officer quieted the neighbours' sirens for that place, so whoever receives this makes no sound of it.
    """

    type: Literal["alarm"] = "alarm"
    kind: Kind
    word_zh: Text
    word_en: Text
    mark: Mark | None = None
    door: Door | None = None
    label: Text | None = None
    quiet: Literal[True] | None = None
    group: GroupField | None = None
    place: HouseholdField | None = None
    gateway: GatewayField | None = None
    unit: UnitField | None = None
    press: PressField | None = None
    verified: bool | None = None
    reason: Word | None = None
    at_ms: UInt | None = None
    clock: Clock | None = None


class AlarmUpdate(Envelope):
    """What became of `alarm`. `by` is the role of who did it, never a name. `id` is the update's own."""

    type: Literal["update"] = "update"
    alarm: EventIdField
    state: UpdateState
    word_zh: Text
    word_en: Text
    by: Word | None = None


class Outcome(StrEnum):
    """What the station did with an event."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class Rejection(Part):
    """An event that the station will not take, with the reason in one word. Sending it again changes nothing."""

    id: EventIdField
    reason: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,16}$")]


class ChainHead(Part):
    """The head of a hash chain: whoever has it can tell whether anything up to `seq` was changed since (N15)."""

    seq: Seq
    digest: DigestField


class Missing(Part):
    """Sequence numbers `first` to `last`, some of which the station does not hold."""

    first: Seq
    last: Seq


class Head(Part):
    """What the station holds of an epoch: the highest sequence number that it has, and the highest head it was told.

    `missing`, in a hello alone: where something below `seq` is missing, lowest first; the last range may reach too far.
    """

    epoch: EpochField
    seq: UInt
    chain: ChainHead | None = None
    missing: Annotated[tuple[Missing, ...], Field(min_length=1, max_length=MAX_MISSING)] | None = None


class Receipt(Envelope):
    """Sent after the station's commit, and only then. Each event id that it names is done with.

    At most 200 ids in all (three short lists, because 200 of them must fit into one message). `holds` is of the epoch
    that the gateway's last status named.
    """

    type: Literal["receipt"] = "receipt"
    generation: UInt
    stored: tuple[EventIdField, ...] = ()
    duplicate: tuple[EventIdField, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    holds: Head | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if len(self.stored) + len(self.duplicate) + len(self.rejected) > MAX_RESULTS:
            raise ValueError(f"a receipt names at most {MAX_RESULTS} events")
        return self

    def outcomes(self) -> dict[EventId, Outcome]:
        """Every id that it names, with its outcome."""
        return (
            dict.fromkeys(self.stored, Outcome.STORED)
            | dict.fromkeys(self.duplicate, Outcome.DUPLICATE)
            | {rejection.id: Outcome.REJECTED for rejection in self.rejected}
        )


class StationHello(Envelope):
    """What the station holds of this gateway, said when it sees the gateway come online (newest epoch last).

    What is missing, and what lies above the highest sequence number, the gateway tells again as far as it has it, also
    when it had a receipt for it: a station that was restored from a backup lost what came after that.
    """

    type: Literal["hello"] = "hello"
    generation: UInt
    highest: Annotated[tuple[Head, ...], Field(max_length=MAX_EPOCHS)] = ()


class StationAudit(Envelope):
    """Where the station's own record of who did what ends, for a gateway to keep and to tell back (N15).

    It answers a status: `follows` is what that status told back, and a gateway that holds anything else keeps that.
    `rewritten`: the station's record does not hold what it follows, and somebody answered for that by name.
    """

    type: Literal["audit"] = "audit"
    head: ChainHead
    follows: ChainHead | None = None
    rewritten: bool = False


class Action(StrEnum):
    """What a station may order a gateway to do."""

    LADDER = "ladder"
    STOP = "stop"
    STAND_BACK = "stand_back"
    ALERT = "alert"
    READINESS = "readiness"
    DRILL = "drill"
    INSTALL = "install"
    CALL = "call"


_NEEDS: Final[dict[Action, tuple[str, ...]]] = {
    Action.LADDER: ("alarm", "state"),
    Action.STOP: ("alarm", "by"),
    Action.STAND_BACK: ("alarm",),
    Action.ALERT: ("alarm", "kind", "group"),
    Action.READINESS: (),
    Action.DRILL: ("group", "units", "lasts_ms"),
    Action.INSTALL: ("lasts_ms",),
    Action.CALL: ("units", "lasts_ms"),
}


class Command(Envelope):
    """An order to a gateway. Refused unless `session` is that of its present connection and `counter` rose.

    `alarm` is the event id of the alarm that it is about; for `alert`, of the press that the station journalled, and
    `quiet` says that an officer quieted the neighbours' sirens for that place.
    `drill`: presses of `units` in `group` are part of a drill for `lasts_ms` from when the station said so (that is,
    less the age of the command); it replaces an earlier one of that group, and 0 ends it.
    `install`: for `lasts_ms`, units that are not handed over (of `place`; without it, of the whole gateway) are being
    installed, and chirp instead of ringing.
    `call`: somebody is called at the roll (点名): the lamps of the readers `units` blink for `lasts_ms`. It replaces an
    earlier one, and of nobody's name is anything said; no readers, or 0, ends it.
    """

    type: Literal["command"] = "command"
    session: SessionField
    counter: UInt
    action: Action
    alarm: EventIdField | None = None
    state: LadderState | None = None
    by: Word | None = None
    kind: Kind | None = None
    group: GroupField | None = None
    place: HouseholdField | None = None
    door: Door | None = None
    label: Text | None = None
    mark: Mark | None = None
    quiet: Literal[True] | None = None
    units: Annotated[tuple[UnitField, ...], Field(max_length=MAX_DRILL_UNITS)] | None = None
    lasts_ms: Annotated[int, Field(ge=0, le=LONGEST_DRILL_MS)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in _NEEDS[self.action] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.action} needs {', '.join(missing)}")
        return self


class ConfigPart(Envelope):
    """Part `part` of `parts` of register slice `version`, whose UTF-8 text has this SHA-256 when put together."""

    type: Literal["config"] = "config"
    version: UInt
    part: UInt
    parts: Annotated[int, Field(ge=1, le=10_000)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    data: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=CONFIG_PART_CHARS)]
    """base64url without padding of a slice of the text."""


class GatewayStatus(Envelope):
    """A gateway's presence, retained, and its will (`online` false, the rest as it was at connect).

    `head` is the highest sequence number of `epoch`, `digest` the head of its chain there (zeros where `head` is 0),
    `low` the lowest that is not done: what the station misses below `low` is a gap. `queued` counts events without a
    receipt. `register_version`: the register slice that it runs (0: what it was set up with). `audit`: the newest head
    of the station's own record that it was told and has on disk; absent as long as it was told none. `sealing_key`: the
    X25519 key (hexadecimal) for which the station seals what only this gateway may read.
    """

    type: Literal["gateway_status"] = "gateway_status"
    gateway: GatewayField
    online: bool
    generation: UInt
    session: SessionField
    epoch: EpochField
    head: UInt
    digest: DigestField
    low: UInt
    clock: Clock
    queued: UInt
    faults: Annotated[tuple[Word, ...], Field(max_length=MAX_FAULTS)] = ()
    register_version: UInt | None = None
    sealing_key: DigestField | None = None
    audit: ChainHead | None = None


class StationStatus(Envelope):
    """The station's presence, retained, and its will. A higher generation means: send again what has no receipt."""

    type: Literal["station_status"] = "station_status"
    online: bool
    generation: UInt


Body = (
    GatewayEvent
    | AlarmView
    | AlarmUpdate
    | Receipt
    | StationHello
    | StationAudit
    | Command
    | ConfigPart
    | GatewayStatus
    | StationStatus
)

BODIES: Final[dict[str, type[Body]]] = {
    "event": GatewayEvent,
    "alarm": AlarmView,
    "update": AlarmUpdate,
    "receipt": Receipt,
    "hello": StationHello,
    "audit": StationAudit,
    "command": Command,
    "config": ConfigPart,
    "gateway_status": GatewayStatus,
    "station_status": StationStatus,
}

_BODY: Final[TypeAdapter[Body]] = TypeAdapter(Annotated[Body, Field(discriminator="type")])


def parse_body(data: bytes) -> Body:
    """The body in JSON `data`. Raises ValueError (mostly as pydantic.ValidationError) when it is not one of ours."""
    body = _BODY.validate_json(data)
    if "v" not in body.model_fields_set:
        raise ValueError("v: it says of no version that it is of it")
    return body


def plain(body: Body) -> dict[str, object]:
    """The body as JSON values, None left out. What is signed is the canonical form of this."""
    return body.model_dump(mode="json", exclude_none=True)


@lru_cache(maxsize=4_096)
def audience_of(topic: str) -> str:
    """The `audience` that a message on `topic` must carry. Raises TopicError."""
    return parse(topic).audience


def alarm_view(view: View, *, alarm: EventId, age_ms: int) -> AlarmView:
    """The message for one audience of the policy's plan."""
    return AlarmView.model_validate(
        {
            "topic": view.topic,
            "audience": view.addressee,
            "id": alarm,
            "age_ms": age_ms,
            "kind": view.kind,
            "word_zh": view.words.zh,
            "word_en": view.words.en,
            "mark": view.mark,
            **view.fields,
        }
    )


def alarm_update(
    view: View,
    *,
    update: EventId,
    alarm: EventId,
    age_ms: int,
    state: UpdateState,
    by: str | None = None,
    himself: bool = False,
) -> AlarmUpdate:
    """The message, with the id `update` of its own, that tells one audience of `alarm` what became of it.

    `himself`: whoever called did so for himself; then it is not said that a household took it back.
    """
    words = CALLER_TOOK_BACK_WORDS if himself and state is UpdateState.CANCELLED_BY_HOUSEHOLD else UPDATE_WORDS[state]
    return AlarmUpdate(
        topic=view.update_topic,
        audience=view.addressee,
        id=update,
        age_ms=age_ms,
        alarm=alarm,
        state=state,
        word_zh=words.zh,
        word_en=words.en,
        by=by,
    )


def clean(text: str) -> str:
    """`text` without control characters and cut to what a message takes, so that any label fits into one."""
    return _UNWANTED.sub("", text)[:TEXT_CHARS]
