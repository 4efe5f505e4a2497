"""Downlink counters: leased a thousand at a time, durable before use, never handed out twice.

A counter is part of the nonce of every frame to a unit, so that using one twice would break the seal
(docs/link.md, "Counters"). The file is its own, so that a journal that is set aside takes none with it. Should the
file itself be lost, counting goes on somewhere in the upper half of the range, at random.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

LEASE: Final = 1_000
LAST: Final = 0xFFFF_FFFF
_LOST_FLOOR: Final = 0x8000_0000
_LOST_CEILING: Final = 0xF000_0000


class Counters:
    """Counters of one gateway. `take` never touches the disk; `renew` does, and belongs on the journal's thread."""

    def __init__(self, path: Path, *, random_bytes: Callable[[int], bytes]) -> None:
        """Read how far was leased before (nothing is leased yet: call `renew`)."""
        self._path = path
        self._random_bytes = random_bytes
        self._next, self.lost = self._read()
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
        if floor > self._next:
            self._next = floor
            self._leased = max(self._leased, floor)

    def renew(self) -> None:
        """Lease further counters. OSError when the disk does not take it: then nothing new is leased."""
        upto = min(max(self._leased, self._next) + LEASE, LAST)
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{upto}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._leased = upto

    def _read(self) -> tuple[int, bool]:
        try:
            return int(self._path.read_text(encoding="ascii")), False
        except FileNotFoundError:
            first_start = not self._path.with_name("journal.db").exists()
        except (OSError, ValueError):
            first_start = False
        if first_start:
            return 0, False
        drawn = int.from_bytes(self._random_bytes(4), "big")
        return _LOST_FLOOR + drawn % (_LOST_CEILING - _LOST_FLOOR), True
