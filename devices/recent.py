"""What was seen a moment ago, so that a repeat is known as one."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import takewhile
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Recent(Generic[K]):
    """Keys seen within the last `window_ns`; each sighting prolongs. Holds at most `most` keys.

    Whoever floods it makes it forget the oldest: a repeat may then count as new, which is the safe
    side for an alarm. You must call `expire` before you ask.
    """

    def __init__(self, *, window_ns: int, most: int) -> None:
        self._window_ns = window_ns
        self._most = most
        self._seen_ns: dict[K, int] = {}  # the oldest sighting first
        self.lapsed = 0
        """Keys that went by themselves: too old, or pushed out."""

    def __contains__(self, key: K) -> bool:
        return key in self._seen_ns

    def expire(self, now_ns: int) -> None:
        """Let go of what was last seen longer ago than the window."""
        old = takewhile(lambda seen: now_ns - seen[1] > self._window_ns, self._seen_ns.items())
        for key in [key for key, _ in old]:
            self._lapse(key)

    def note(self, key: K, now_ns: int) -> None:
        """`key` was seen now."""
        self._seen_ns.pop(key, None)
        self._seen_ns[key] = now_ns
        if len(self._seen_ns) > self._most:
            self._lapse(next(iter(self._seen_ns)))

    def take(self, key: K) -> bool:
        """Let go of `key`; whether it was there."""
        return self._seen_ns.pop(key, None) is not None

    def _lapse(self, key: K) -> None:
        del self._seen_ns[key]
        self.lapsed += 1
