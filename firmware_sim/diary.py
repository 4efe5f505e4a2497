"""What a unit saw and did, written down by the unit alone: evidence that owes nothing to the gateway.

Each record is what somebody standing in front of the unit could have seen or heard, or what its maker
could read out of it. `at_ns` is the simulation's clock; whoever prints a record turns it into wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from typing import ClassVar

from devices.commands import Lamp, Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a unit's diary."""

    event: ClassVar[str]
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredUp(Entry):
    event: ClassVar[str] = "powered_up"
    boot: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLost(Entry):
    event: ClassVar[str] = "power_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed(Entry):
    """The debounce has let a key through, and the unit means to tell the gateway about message `number`."""

    event: ClassVar[str] = "pressed"
    boot: int
    number: int
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Entry):
    event: ClassVar[str] = "released"
    key: str
    held_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStuck(Entry):
    event: ClassVar[str] = "key_stuck"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Entry):
    """Any other message that the unit repeats until it is answered; `what` as in docs/link.md."""

    event: ClassVar[str] = "said"
    boot: int
    number: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(Entry):
    """The gateway says that message `number` is kept. `key` if that was a press."""

    event: ClassVar[str] = "confirmed"
    boot: int
    number: int
    what: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp(Entry):
    """Too much waits to be said: there is no room for this message, and the gateway will never hear of it."""

    event: ClassVar[str] = "given_up"
    boot: int
    number: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LampChanged(Entry):
    event: ClassVar[str] = "lamp"
    lamp: Lamp


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenStarted(Entry):
    event: ClassVar[str] = "siren"
    pattern: Pattern
    doors: tuple[int, ...]
    alarm: int
    volume: int
    seconds: int
    own: bool
    strobe: bool
    stand_back: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenChanged(SirenStarted):
    event: ClassVar[str] = "siren_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenStopped(Entry):
    """`why`: told, over, silenced by its own household, power."""

    event: ClassVar[str] = "siren_stopped"
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenIgnored(Entry):
    """A siren order that made no sound. `why`: no sounder, silenced by its own household."""

    event: ClassVar[str] = "siren_ignored"
    alarm: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSent(Entry):
    event: ClassVar[str] = "frame_sent"
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TagHeld(Entry):
    """A tag came near a bare reader."""

    event: ClassVar[str] = "tag_held"
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSent(Entry):
    """The key of a fixed-code radio transmitter was pressed."""

    event: ClassVar[str] = "code_sent"
    identity: int
    command: int


Write = Callable[[Entry], None]
"""Takes an entry as soon as it is written."""


def to_plain(entry: Entry) -> dict[str, object]:
    """Return the entry as JSON can hold it: names instead of numbers, hexadecimal instead of bytes."""
    return {"event": entry.event, **{field.name: _plain(getattr(entry, field.name)) for field in fields(entry)}}


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.name.lower()
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(item) for item in value]
        case _:
            return value
