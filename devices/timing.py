"""The numbers of docs/link.md, "Timing": when who may send, how long to wait, how often to repeat.

Everything is derived from the baud rate, in nanoseconds. A character is ten bits (8N1).
"""

from __future__ import annotations

from dataclasses import dataclass

MS = 1_000_000
S = 1_000 * MS


@dataclass(frozen=True, slots=True)
class LineTiming:
    """The times of one line at one baud rate."""

    baud: int
    frame_bytes: int

    @property
    def char_ns(self) -> int:
        """One character on the wire: ten bits."""
        return 10 * S // self.baud

    @property
    def frame_ns(self) -> int:
        """One whole frame on the wire, both delimiters included."""
        return self.frame_bytes * self.char_ns

    def wire_ns(self, count: int) -> int:
        """`count` characters on the wire."""
        return count * self.char_ns

    @property
    def idle_ns(self) -> int:
        """A unit may send once the line has been silent this long: 8 characters.

        The gateway sends after 3 (`gateway_idle_ns`), so it goes first when both wait.
        """
        return 8 * self.char_ns

    @property
    def gateway_idle_ns(self) -> int:
        """The gateway may send once the line has been silent this long: 3 characters."""
        return 3 * self.char_ns

    @property
    def slot_ns(self) -> int:
        """Back-off is counted in slots of 4 characters (a unit hears another within one)."""
        return 4 * self.char_ns

    @property
    def answer_ns(self) -> int:
        """A unit waits this long for an answer: 12 frames, and 150 ms for the gateway's disk."""
        return 12 * self.frame_ns + 150 * MS

    def confirm_ns(self, outstanding: int) -> int:
        """The gateway waits this long for a confirmation while `outstanding` units owe one.

        Each of them needs a frame, a gap and some back-off: three frames; plus 50 ms.
        """
        return (6 + 3 * outstanding) * self.frame_ns + 50 * MS


FIRST_WINDOW = 8
"""Slots among which a unit draws at its first try."""
LAST_WINDOW = 64
"""The window doubles at every try without an answer, up to this."""
QUICK_TRIES = 10
"""After so many tries without an answer a unit repeats only every SLOW_REPEAT_NS."""
SLOW_REPEAT_NS = 2 * S
CONFIRM_TRIES = 8
"""After so many tries the gateway calls a unit that does not confirm silent, and tries every CONFIRM_SLOW_NS."""
CONFIRM_SLOW_NS = 10 * S
BURST_FRAMES = 10
"""The gateway sends at most so many frames back to back: the first sirens of one group."""
YIELD_SLOTS = 20
"""After a burst the gateway leaves the line to the units for at most so many slots."""
CHALLENGE_NS = 1 * S
"""A challenged unit answers within this, or its message counts as a possible replay."""
