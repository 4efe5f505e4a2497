"""What the gateway tells a unit: the downlink bodies of docs/link.md, "Gateway to unit"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Lamp(IntEnum):
    """What the unit's lamp shows: docs/link.md, "Lamp"."""

    IDLE = 0
    KEPT = 1
    """Slow blink: the press is on the gateway's disk."""
    POLICE_HAVE_IT = 2
    """Steady: an officer has acknowledged."""
    COMING = 3
    """Double blink with a tone: somebody is on the way."""
    NOT_REACHED = 4
    """Quick flicker: neighbours rung, police not reached, phone 110."""


class Pattern(IntEnum):
    """What the sounder plays, loudest claim first: docs/link.md, "Patterns"."""

    FIRE = 1
    PANIC = 2
    INTRUSION = 3
    MEDICAL = 4
    HELP = 5
    DRILL = 6
    CHIRP = 7
    """A single short tone: test."""


class Result(IntEnum):
    """How a unit fared with a downlink frame: docs/link.md, "Results"."""

    DONE = 0
    COUNTER_OLD = 1
    NOT_SUPPORTED = 2
    KEY_INCOMPLETE = 3


MOST_DOORS = 4
"""A siren frame names at most so many doors, the newest first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Message (boot, number) is on disk. `lamp` is what the lamp shall show now.

    The answer to a heartbeat and to a duress press carry the lamp that shows anyway, so that neither
    the wire nor the lamp tells one from the other.
    """

    boot: int
    number: int
    lamp: Lamp


@dataclass(frozen=True, slots=True)
class ShowLamp:
    """The lamp shall show this from now on."""

    lamp: Lamp


@dataclass(frozen=True, slots=True)
class Siren:
    """The sounder's desired state: play `pattern` for `seconds` from now, name these doors.

    `alarm` is the 16-bit reference that a neighbour's answer repeats; `volume` 0 (strobe only) to 3;
    `own` marks the presser's own unit; `doors` holds up to MOST_DOORS door numbers of 1 to 65535.
    """

    pattern: Pattern
    volume: int
    seconds: int
    alarm: int
    doors: tuple[int, ...]
    own: bool = False
    strobe: bool = False
    stand_back: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """The sounder shall be silent (the alarm itself is not over: that is the station's to say)."""


@dataclass(frozen=True, slots=True)
class SetTime:
    """Wall-clock time for units with a display: unix seconds."""

    unix_s: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """Give these 8 random bytes back, to prove that you are here and now."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class KeyHalf:
    """Half (0 or 1) of a new 16-byte key; it counts once both halves of one `key_id` are in."""

    key_id: int
    half: int
    material: bytes


Command = Kept | ShowLamp | Siren | Stop | SetTime | Challenge | KeyHalf
"""Everything that goes down the line."""
