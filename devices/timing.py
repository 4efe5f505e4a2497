"""The numbers of docs/link.md, "Timing": when who may send, how long to wait, how often to repeat.

Everything is derived from the baud rate, in nanoseconds. A character is ten bits (8N1). The figures that
these numbers reach are measured by tests/firmware_sim/test_contention.py: change one, and run that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

MS = 1_000_000
S = 1_000 * MS


@dataclass(frozen=True)  # no slots: the derived times are worked out once
class LineTiming:
    """The times of one line at one baud rate."""

    baud: int
    frame_bytes: int

    @cached_property
    def char_ns(self) -> int:
        """One character on the wire: ten bits."""
        return 10 * S // self.baud

    @cached_property
    def frame_ns(self) -> int:
        """One whole frame on the wire, both delimiters included."""
        return self.frame_bytes * self.char_ns

    def wire_ns(self, count: int) -> int:
        """`count` characters on the wire."""
        return count * self.char_ns

    @cached_property
    def turn_idle_ns(self) -> int:
        """A unit whose turn it is to confirm sends once the line has been silent this long: 5 characters.

        It waits one slot more for each unit that confirms before it and has not been heard.
        """
        return 5 * self.char_ns

    @cached_property
    def idle_ns(self) -> int:
        """Any other frame of a unit waits for this much silence, and for a random number of slots more.

        8 characters, and at least REACTION_NS: so the gateway goes first when both wait.
        """
        return max(8 * self.char_ns, REACTION_NS)

    @cached_property
    def slot_ns(self) -> int:
        """Back-off is counted in slots of 4 characters (a unit hears another within one)."""
        return 4 * self.char_ns

    @cached_property
    def last_window(self) -> int:
        """A unit draws among so many slots at most: 60 at 9600, 720 at 115200."""
        return max(FIRST_WINDOW, LAST_WINDOW_NS // self.slot_ns)

    @cached_property
    def gateway_idle_ns(self) -> int:
        """The gateway waits for this much silence, 3 characters, after anything but the end of a frame.

        After the end of a frame it need not wait: its serial port is slower than a unit's turn-round.
        """
        return 3 * self.char_ns

    @cached_property
    def gateway_last_ns(self) -> int:
        """After this much silence it is too late for the gateway to go before the units ..."""
        return self.idle_ns - REACTION_NS // 2

    @cached_property
    def unused_ns(self) -> int:
        """... and after this much no unit wants the line: it may go again."""
        return self.idle_ns + YIELD_SLOTS * self.slot_ns

    @cached_property
    def inserts_answers(self) -> bool:
        """Whether the gateway is quick enough to speak between two confirmations (up to 16,600 baud)."""
        return self.turn_idle_ns >= REACTION_NS

    @cached_property
    def answer_ns(self) -> int:
        """A unit waits this long for an answer: 2 frames, and 150 ms for the gateway's disk."""
        return 2 * self.frame_ns + 150 * MS

    def confirm_ns(self, outstanding: int) -> int:
        """The gateway waits this long for a confirmation while `outstanding` units owe one.

        They confirm in turn: a frame and a gap each; two frames more for answers in between. A first siren
        that was lost at 9600 is sent again as soon as the other nine have confirmed, and is heard within 1 s.
        """
        return outstanding * (self.frame_ns + self.turn_idle_ns) + 2 * self.frame_ns + REACTION_NS

    def silent_ns(self, silent: int) -> int:
        """The gateway tries this seldom while `silent` units confirm nothing.

        10 s at least, and 20 frames for each of them: together they get 5 % of the line.
        """
        return max(10 * S, 20 * silent * self.frame_ns)

    def update_ns(self, units: int) -> int:
        """A sounder that plays already is told of further doors at most this often, with `units` on the line.

        8 frames for each unit, at least 1 s: so that presses have the line while many press.
        """
        return max(S, 8 * units * self.frame_ns)


REACTION_NS = 3 * MS
"""From the last character on the wire to the gateway's first: its serial port and operating system."""
FIRST_WINDOW = 32
"""Slots among which a unit draws on a quiet line."""
LAST_WINDOW_NS = 250 * MS
"""A unit never draws among more slots than pass in this time."""
LONG_SILENCE_SLOTS = 6
"""A unit that hears a longer silence end draws among an eighth less; after twice as long, among half."""
FIRST_SPREAD = 16
"""A unit that was not answered waits up to so many slots longer, so that two who met do not meet again ..."""
LAST_SPREAD = 128
"""... twice as many after each try, up to this."""
QUICK_TRIES = 10
"""For so many tries a press lets its unit say nothing else; then the gateway is taken to be away."""
SLOW_REPEAT_NS = 2 * S
"""A unit repeats at least this often, however many tries were in vain."""
CONFIRM_TRIES = 8
"""After so many tries the gateway calls a unit that does not confirm silent, and tries every `silent_ns`."""
BURST_FRAMES = 10
"""The gateway sends at most so many frames back to back: the first sirens of one group."""
LATER_FRAMES = 3
"""What is no first siren goes at most so many at a time."""
PATIENCE_NS = 1 * S
"""What is no first siren waits for answers, but not longer than this."""
INSERTED_ANSWERS = 2
"""So many answers at most go between two confirmations."""
YIELD_SLOTS = 20
"""After a burst and its confirmations the gateway leaves the line to the units for so many slots ..."""
YIELD_FRAMES = 6
"""... and never for longer than so many frames, whatever it hears."""
CHALLENGE_NS = 1 * S
"""A challenged unit answers within this, or its message counts as a possible replay."""
ENDED_AFTER_NS = 2 * S
"""How long a key was held is told so long after it was released: other presses go first ..."""
ENDED_SPREAD_NS = 8 * S
"""... and a random part of this later, since a storm of presses ends in a storm of releases."""
