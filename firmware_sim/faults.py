"""What goes wrong on a line: small frozen faults that are put one behind the other.

A fault changes what one station sends into what reaches the wire. It gets dice from the line, so a
seed tells the whole story again. Faults of the unit itself (bounce, stuck key, battery, reboot) are
things that happen to `firmware_sim.unit.Unit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that a station sends without a pause, `pause_ns` after its chunk before."""

    data: bytes
    pause_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Each byte has one bit turned with this chance."""

    name: ClassVar[str] = "noise"
    per_byte: float

    def apply(self, chunks: list[Chunk], dice: Random) -> list[Chunk]:
        return [replace(chunk, data=self._turn(chunk.data, dice)) for chunk in chunks]

    def _turn(self, data: bytes, dice: Random) -> bytes:
        return bytes(byte ^ (1 << dice.randrange(8) if dice.random() < self.per_byte else 0) for byte in data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Nobody hears a frame, with this chance. The sender does not know."""

    name: ClassVar[str] = "loss"
    per_frame: float

    def apply(self, chunks: list[Chunk], dice: Random) -> list[Chunk]:
        return [] if dice.random() < self.per_frame else chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A frame comes in two parts, `pause_ms` apart, with this chance: a slow writer."""

    name: ClassVar[str] = "split"
    per_frame: float
    pause_ms: float = 2.0

    def apply(self, chunks: list[Chunk], dice: Random) -> list[Chunk]:
        return [part for chunk in chunks for part in self._split(chunk, dice)]

    def _split(self, chunk: Chunk, dice: Random) -> list[Chunk]:
        if len(chunk.data) < 2 or dice.random() >= self.per_frame:
            return [chunk]
        at = dice.randrange(1, len(chunk.data))
        return [replace(chunk, data=chunk.data[:at]), Chunk(chunk.data[at:], round(self.pause_ms * 1e6))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A frame is heard twice, with this chance: a repeater, or a driver that sends again."""

    name: ClassVar[str] = "duplicate"
    per_frame: float

    def apply(self, chunks: list[Chunk], dice: Random) -> list[Chunk]:
        return chunks * 2 if dice.random() < self.per_frame else chunks


Fault = Noise | Loss | Split | Duplicate
FAULTS: Mapping[str, type[Fault]] = {fault.name: fault for fault in (Noise, Loss, Split, Duplicate)}


def distort(data: bytes, faults: Iterable[Fault], dice: Random) -> list[Chunk]:
    """Return what reaches the wire of what a station sends."""
    chunks = [Chunk(data)]
    for fault in faults:
        chunks = fault.apply(chunks, dice)
    return chunks


def fault_from(value: object) -> Fault:
    """Read a fault as it stands in JSON: `{"fault": "loss", "per_frame": 0.1}`."""
    if not isinstance(value, Mapping) or value.get("fault") not in FAULTS:
        raise ValueError(f"a fault is one of {', '.join(FAULTS)}, with its numbers; this is {value!r}")
    numbers = {str(name): number for name, number in value.items() if name != "fault"}
    try:
        fault = FAULTS[value["fault"]](**numbers)
    except TypeError as error:
        raise ValueError(f"fault {value['fault']}: {error}") from None
    for name, number in numbers.items():
        if not isinstance(number, int | float) or number < 0 or (name.startswith("per_") and number > 1):
            raise ValueError(f"fault {value['fault']}: {name} is {number!r}")
    return fault


def fault_to(fault: Fault) -> dict[str, object]:
    """The other way round."""
    return {"fault": fault.name, **asdict(fault)}
