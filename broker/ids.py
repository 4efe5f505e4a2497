"""Names of things, and how they are made.

Two families. *Segments* name what people set up (stations, gateways, groups, households, ...): lower-case
letters, digits and `-`, 1 to 32 characters, so that each is a topic level, part of an MQTT user name, part of
a certificate name and a file name without any quoting. *Numbers* are drawn by the programs (event ids, epochs,
nonces); their randomness and time are arguments.
"""

import re
from typing import Final, NewType
from uuid import UUID

StationId = NewType("StationId", str)
GatewayId = NewType("GatewayId", str)
GroupId = NewType("GroupId", str)
HouseholdId = NewType("HouseholdId", str)
CommunityId = NewType("CommunityId", str)
GridId = NewType("GridId", str)
UnitId = NewType("UnitId", str)

EventId = NewType("EventId", str)
"""UUIDv7 (RFC 9562) in its 36-character lower-case text form. Identity of an event everywhere."""

Epoch = NewType("Epoch", str)
"""16 lower-case hex characters: 64 random bits drawn when a journal file is created."""

Session = NewType("Session", str)
"""32 lower-case hex characters: 128 random bits drawn by a gateway at each connect."""

PressKey = NewType("PressKey", str)
"""`unit:boot:number`. Repeats of one press keep it, so that they merge, whoever hears them."""

SEGMENT: Final = r"^[a-z0-9-]{1,32}$"
EVENT_ID: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
EPOCH: Final = r"^[0-9a-f]{16}$"
SESSION: Final = r"^[0-9a-f]{32}$"
PRESS_KEY: Final = r"^[a-z0-9-]{1,32}:[0-9]{1,5}:[0-9]{1,10}$"

_SEGMENT = re.compile(SEGMENT[1:-1])
_EVENT_ID = re.compile(EVENT_ID[1:-1])

EVENT_ID_RANDOM_BYTES: Final = 10
EPOCH_RANDOM_BYTES: Final = 8
SESSION_RANDOM_BYTES: Final = 16


class IdError(ValueError):
    """A text that cannot be an id of its kind. Fields: `what` (the kind of id), `text` (bounded)."""

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text[:64]
        super().__init__(f"{what} {self.text!r}: use 1 to 32 lower-case letters, digits and '-'")


def is_segment(text: str) -> bool:
    """Whether `text` may be an id that people choose: `[a-z0-9-]{1,32}`."""
    return _SEGMENT.fullmatch(text) is not None


def segment(what: str, text: str) -> str:
    """Return `text` when it is a segment, else raise `IdError(what, text)`."""
    if not is_segment(text):
        raise IdError(what, text)
    return text


def is_event_id(text: str) -> bool:
    """Whether `text` is a UUIDv7 in lower-case text form."""
    return _EVENT_ID.fullmatch(text) is not None


def event_id(unix_ms: int, random: bytes) -> EventId:
    """Make the id of an event that happened at `unix_ms` (wall clock, right or wrong) from 10 random bytes.

    RFC 9562 section 5.7: 48 bits of milliseconds, version 7, 12 random bits, variant 10, 62 random bits.
    Six of the 80 random bits are not used. Raises ValueError when either argument is out of range.
    """
    if not 0 <= unix_ms < 1 << 48:
        raise ValueError(f"unix_ms {unix_ms} does not fit into 48 bits")
    if len(random) != EVENT_ID_RANDOM_BYTES:
        raise ValueError(f"an event id takes {EVENT_ID_RANDOM_BYTES} random bytes, not {len(random)}")
    drawn = int.from_bytes(random, "big")
    rand_a = (drawn >> 62) & 0xFFF
    rand_b = drawn & ((1 << 62) - 1)
    text = f"{unix_ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"
    return EventId(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")


def event_unix_ms(event: EventId) -> int:
    """The wall time in `event`, in Unix milliseconds, as its maker's clock had it."""
    return UUID(event).int >> 80


def epoch(random: bytes) -> Epoch:
    """Make the epoch of a new journal file from 8 random bytes."""
    if len(random) != EPOCH_RANDOM_BYTES:
        raise ValueError(f"an epoch takes {EPOCH_RANDOM_BYTES} random bytes, not {len(random)}")
    return Epoch(random.hex())


def session(random: bytes) -> Session:
    """Make the nonce of one connection from 16 random bytes."""
    if len(random) != SESSION_RANDOM_BYTES:
        raise ValueError(f"a session takes {SESSION_RANDOM_BYTES} random bytes, not {len(random)}")
    return Session(random.hex())


def press_key(unit: UnitId, *, boot: int, number: int) -> PressKey:
    """The key of press `number` since power-up `boot` (16 bits) of `unit`."""
    if not 0 <= boot < 1 << 16 or not 0 <= number < 1 << 32:
        raise ValueError(f"boot {boot} or number {number} is out of range")
    return PressKey(f"{segment('unit', unit)}:{boot}:{number}")
