"""Numbers that must never come twice: downlink counters, leased a thousand at a time, and the number of this start.

A counter is part of the nonce of every frame to a unit, so that using one twice would break the seal
(docs/link.md, "Counters"): a lease is durable before anything of it is used. The files are their own, so that a
journal that is set aside takes none with it. Where a file is missing or does not read, counting goes on somewhere
in the upper half of the range, at random: nobody can tell a first start from a lost card.

On a disk that takes nothing, sirens must sound all the same (N5). Then counters are improvised: a random leap ahead
for this run of the program, in which the next such run will hardly meet it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

LEASE: Final = 1_000
LAST: Final = 0xFFFF_FFFF
_LOST_FLOOR: Final = 0x8000_0000
_LOST_CEILING: Final = 0xF000_0000
_LEAP_MASK: Final = 0x3F_FFFF
"""Leaps of up to four million: a thousand of them fit into the range."""
HIGHEST_FLOOR: Final = 0xFF00_0000
"""No unit can honestly have seen more: one that claims it would end the downlink of all others."""


class Counters:
    """Counters of one gateway. `take` never touches the disk; `renew` does, and belongs on a thread."""

    def __init__(self, path: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        """Read how far was leased before (nothing is leased yet: call `renew`)."""
        self._path = path
        self._random_bytes = random_bytes
        known = _read_number(path, most=LAST)
        self.lost = known is None
        """Whether counting had to go on somewhere else."""
        self.improvised = False
        """Whether counters are in use that are not durable."""
        drawn = int.from_bytes(random_bytes(4), "big")
        self._next = _LOST_FLOOR + drawn % (_LOST_CEILING - _LOST_FLOOR) if known is None else known
        self._leased = self._next

    def take(self) -> int | None:
        """Return a counter that was never used, or None when none is leased."""
        if self._next >= self._leased:
            return None
        self._next += 1
        return self._next

    @property
    def short(self) -> bool:
        """Whether it is time to `renew`: less than one lease is left."""
        return self._leased - self._next < LEASE

    def raise_above(self, floor: int) -> None:
        """Go on above `floor`, which a unit told (it has seen higher counters than ours): docs/link.md."""
        if self._next < floor <= HIGHEST_FLOOR:
            self._next = floor
            self._leased = max(self._leased, floor)

    def renew(self) -> None:
        """Lease further counters. OSError when the disk does not take it: then nothing new is leased."""
        upto = min(max(self._leased, self._next) + LEASE, LAST)
        _write_number(self._path, upto)
        self._leased = upto
        self.improvised = False

    def improvise(self) -> None:
        """Lease counters without the disk, which would not take it."""
        if not self.improvised:
            self.improvised = True
            self._next += int.from_bytes(self._random_bytes(3), "big") & _LEAP_MASK
        self._leased = min(max(self._leased, self._next) + LEASE, LAST)


def take_start(path: Path, *, wall_ms: int, random_bytes: Callable[[int], bytes]) -> int:
    """Return a number that no start of this gateway had before, higher than the last one where that is known.

    Where it is not, the clock and chance must do: a press on a wired key is known by the start it belongs to.
    """
    drawn = int.from_bytes(random_bytes(2), "big")
    last = _read_number(path, most=1 << 36)
    start = wall_ms // 1_000 + drawn if last is None else last + 1
    try:
        _write_number(path, start)
    except OSError:
        return start + drawn  # the next one will read what we read
    return start


def _read_number(path: Path, *, most: int) -> int | None:
    """The number in `path`, which stands there twice; None when that is not so."""
    with suppress(OSError, ValueError):
        first, second = path.read_text(encoding="ascii").split()
        if first == second and 0 <= int(first) <= most:
            return int(first)
    return None


def _write_number(path: Path, number: int) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(f"{number} {number}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
