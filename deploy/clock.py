"""A clock that can be put forward: the night of a demo passes in seconds.

Gateway and station take time as an argument. With `--clock FILE` theirs is the machine's and what FILE says on top, at
every moment; all else (a unit's link, a tone, a time-out) goes on by the machine's own. Nothing is ever put back.
"""

import mmap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.stamps import Clock, Stamp

BYTES: Final = 8


class Dial:
    """How such a clock is set: milliseconds ahead of the machine, as one 64-bit number in a file."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        """Look at the file; `make`: begin one that can be put forward. Raises OSError, ValueError when it is none."""
        if make:
            path.write_bytes(bytes(BYTES))
        with path.open("r+b" if make else "rb") as file:
            access = mmap.ACCESS_WRITE if make else mmap.ACCESS_READ
            self._ahead_ms = memoryview(mmap.mmap(file.fileno(), BYTES, access=access)).cast("q")

    def now_ms(self) -> int:
        """The time that it shows: Unix milliseconds in UTC."""
        return time_ns() // 1_000_000 + self._ahead_ms[0]

    @property
    def ahead_ms(self) -> int:
        """How far it is ahead of the machine's own clock."""
        return self._ahead_ms[0]

    def put_to(self, unix_ms: int) -> None:
        """Show this time now, and go on from there; where it is later already, nothing happens."""
        self._ahead_ms[0] = max(self._ahead_ms[0], unix_ms - time_ns() // 1_000_000)


def for_station(path: Path) -> Callable[[], int]:
    """What the station takes for its clock."""
    return Dial(path).now_ms


def for_gateway(path: Path) -> "Clock":
    """What a gateway takes for its clocks. Its wall clock counts as set: whoever wrote the file set it."""
    from gateway.stamps import SystemClock

    dial, system = Dial(path), SystemClock()

    def stamp() -> "Stamp":
        found = system()
        return replace(found, wall_ms=found.wall_ms + dial.ahead_ms, quality="synced")

    return stamp
