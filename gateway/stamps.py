"""When something happened, as honestly as a box without a battery clock can say it.

Order never comes from here (N6): the journal's sequence gives it. Wall time is a remark with a quality.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Quality = Literal["synced", "unsynced"]

EARLIEST_UNIX_MS: Final = 1_767_225_600_000
"""2026-01-01: a clock that shows less has not been set since power-up."""

_TIME_ERROR: Final = 5
"""adjtimex(2): "the clock is not synchronised"."""
_TIMEX_BYTES: Final = 208


@dataclass(frozen=True, slots=True)
class Stamp:
    """One instant: wall clock in unix milliseconds, monotonic clock of boot `boot`, and the wall clock's quality."""

    wall_ms: int
    mono_ns: int
    boot: str
    quality: Quality


Clock = Callable[[], Stamp]


def age_ms(then: Stamp, now: Stamp) -> int:
    """How long ago `then` was. Within a boot by the monotonic clock; else by the wall, and more than a minute.

    What happened before a reboot must not ring (N12), so its age is never told as under 61 s, whatever the
    clocks say.
    """
    if then.boot == now.boot:
        return max(0, (now.mono_ns - then.mono_ns) // 1_000_000)
    return max(61_000, now.wall_ms - then.wall_ms)


def kernel_synced() -> bool:
    """Whether the kernel says that something (NTP, a GPS) keeps its clock right."""
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    except (OSError, AttributeError):
        return False
    return state not in (-1, _TIME_ERROR)


def read_boot_id() -> str:
    """The kernel's random id of this boot: monotonic times of different boots do not compare."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class SystemClock:
    """The machine's clocks. The kernel is asked about synchronisation at most once in 10 s.

    The monotonic one counts while the machine sleeps as well: a press from before is not fresh when it wakes.
    """

    def __init__(self) -> None:
        self._boot = read_boot_id()
        self._quality: Quality = "unsynced"
        self._asked_ns = -(10**11)

    def __call__(self) -> Stamp:
        mono_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        wall_ms = time.time_ns() // 1_000_000
        if mono_ns - self._asked_ns > 10_000_000_000:
            self._asked_ns = mono_ns
            self._quality = "synced" if wall_ms >= EARLIEST_UNIX_MS and kernel_synced() else "unsynced"
        return Stamp(wall_ms, mono_ns, self._boot, self._quality)
