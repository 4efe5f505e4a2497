"""What hardware saw, as frozen facts. No reading carries a meaning: intake gives it one.

Times inside a reading are ages in milliseconds, told by the unit itself ("this happened so long
ago"); the moment of arrival is stamped by the caller, since nothing in this package reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Key(IntEnum):
    """Which key of a unit was pressed: the link code of docs/link.md, "Keys"."""

    PANIC = 1
    HELP = 2
    MEDICAL = 3
    FIRE = 4
    INTRUSION = 5
    DURESS = 6


class Answer(IntEnum):
    """What a neighbour answered with a key: the link code of docs/link.md, "Answers"."""

    GOING = 1
    WATCHING = 2
    CANNOT = 3
    SILENCE_MINE = 4


class Part(IntEnum):
    """Which part of a unit a tamper, fault or restore is about: docs/link.md, "Parts"."""

    COVER = 1
    LOOP = 2
    MAINS = 3
    BATTERY = 4
    SOUNDER = 5


class Proof(Enum):
    """How much is known about who sent a reading."""

    SEALED = "sealed"
    """Opened with the unit's own key, counter never seen before. A message that its unit says again, in a new
    frame, is `SEALED` again: merge by (unit, boot, number)."""
    REPEAT = "repeat"
    """Opened with the unit's own key, counter old, and the message is one that is already known."""
    STALE = "stale"
    """Opened with the unit's own key, counter old, and its unit did not say it again in time: possibly a replay.
    If it was none, the same message may still come as `SEALED`, and is then to be believed."""
    FIXED_CODE = "fixed code"
    """A radio code that anybody may record and repeat."""
    WIRED = "wired"
    """A contact or reader on a wire of the gateway itself."""


@dataclass(frozen=True, slots=True)
class ButtonPressed:
    """A key closed. (unit, boot, number) is the press key: repeats keep it.

    `key` is a `Key`, or a code that a newer unit knows and we do not: that is a press all the same.
    """

    unit: int
    boot: int
    number: int
    key: int
    age_ms: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class PressEnded:
    """How long the key of press `press` was held."""

    unit: int
    boot: int
    number: int
    press: int
    held_ms: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class CancelPressed:
    """The household takes press `press` back (0: whatever it pressed last)."""

    unit: int
    boot: int
    number: int
    press: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class AnswerGiven:
    """A neighbour answered alarm `alarm` (the 16-bit reference that the siren frame carried)."""

    unit: int
    boot: int
    number: int
    answer: int
    alarm: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class TagRead:
    """A tag was held to a reader. `tag` is upper-case hexadecimal without separators."""

    unit: int
    boot: int
    number: int
    tag: str
    age_ms: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class UnitHello:
    """A unit powered up. `reason`: 1 power, 2 watchdog. `floor`: it takes downlink counters above this."""

    unit: int
    boot: int
    number: int
    firmware: int
    reason: int
    floor: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A unit lives. `battery` in percent, None when it has none or cannot tell."""

    unit: int
    boot: int
    number: int
    battery: int | None
    mains: bool
    cover_open: bool
    sounder_broken: bool
    firmware: int
    floor: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A part of a unit was opened, cut or lost (tamper, cut loop, mains, battery, sounder)."""

    unit: int
    boot: int
    number: int
    part: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class PartRestored:
    """What `PartFailed` told is over."""

    unit: int
    boot: int
    number: int
    part: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class TestPressed:
    """The test key, or the monthly test by the red key in test mode."""

    __test__ = False  # pytest collects classes named Test...; this one is a reading

    unit: int
    boot: int
    number: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class Sounded:
    """A unit's sounder follows the siren frame with downlink counter `counter`."""

    unit: int
    counter: int
    pattern: int
    works: bool


@dataclass(frozen=True, slots=True)
class CommandDone:
    """A unit carried out (or refused) the downlink frame with this counter.

    `result`: 0 done, 1 counter too old, 2 not supported, 3 key not complete.
    """

    unit: int
    counter: int
    result: int
    floor: int


@dataclass(frozen=True, slots=True)
class FreshProof:
    """A challenged unit gives the challenge back: it is here and now, and its counter is that of this frame."""

    unit: int
    boot: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """A unit has sealed a frame with its new key; the old one is void from now on."""

    unit: int


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A sealed body of a type or shape that this version does not know: a newer unit."""

    unit: int
    type: int


@dataclass(frozen=True, slots=True)
class SealRefused:
    """A whole frame whose seal does not open: unknown unit, or a wrong key. It may be a press."""

    unit: int
    known: bool


@dataclass(frozen=True, slots=True)
class RadioCode:
    """A fixed code from a 433 MHz receiver: 20-bit id and 4-bit command (EV1527 class)."""

    identity: int
    command: int


@dataclass(frozen=True, slots=True)
class TagSeen:
    """A tag at a bare reader. `tag` as in `TagRead`. `written`: texts and addresses in its memory, where it is read."""

    tag: str
    written: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagRefused:
    """A card at a bare reader whose number is none of its own: a new one at each time (phones, some bank cards)."""


@dataclass(frozen=True, slots=True)
class ContactClosed:
    """A wired key was pressed, or the wire of a normally-closed one was cut; `count` rises by one each time."""

    count: int


@dataclass(frozen=True, slots=True)
class ContactOpened:
    """The wired key was released after `held_ms`."""

    count: int
    held_ms: int


@dataclass(frozen=True, slots=True)
class ContactStuck:
    """A wired key is held longer than any hand holds it: one fault, not more alarms."""

    count: int


@dataclass(frozen=True, slots=True)
class LoopCut:
    """A supervised wire carries no current: cut, unplugged, or a cover opened. `count` as in `ContactClosed`."""

    count: int


@dataclass(frozen=True, slots=True)
class LoopRestored:
    """The supervised wire carries current again, after `cut_ms`."""

    count: int
    cut_ms: int


ContactReading = ContactClosed | ContactOpened | ContactStuck | LoopCut | LoopRestored
"""What a wired contact yields."""


Numbered = (
    ButtonPressed
    | PressEnded
    | CancelPressed
    | AnswerGiven
    | TagRead
    | UnitHello
    | Heartbeat
    | PartFailed
    | PartRestored
    | TestPressed
)
"""What a unit repeats until it is answered: it has (unit, boot, number)."""

Confirmation = Sounded | CommandDone | FreshProof
"""What a unit says once, because the gateway asks again if it was lost."""

LinkReading = Numbered | Sounded | CommandDone | KeyTaken | NotUnderstood | SealRefused
"""What the native one-key link yields."""
