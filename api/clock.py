"""Wall time, as the station counts it: Unix milliseconds in UTC, whole numbers, in tables and in memory."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import CLOCK_BOOTTIME, clock_gettime, time_ns

Clock = Callable[[], int]
"""Yields Unix milliseconds. An argument wherever time matters, so that tests advance it."""


def wall_ms() -> int:
    """The machine's own clock."""
    return time_ns() // 1_000_000


def running_s() -> float:
    """Seconds since the machine started, and those in which it slept: what is due does not wait for it to wake."""
    return clock_gettime(CLOCK_BOOTTIME)


def iso(unix_ms: int) -> datetime:
    """`unix_ms` as HTTP shows it: an aware datetime in UTC."""
    return datetime.fromtimestamp(unix_ms / 1_000, UTC)
