"""Contacts wired to a pin: a key that somebody presses, or a loop that must stay closed.

Source: docs/readers.md, "Wired contacts". The debounce measures for how long the wire was away from
its accepted state, and counts backwards while it is not::

                       away                         away long enough
    settled  -------------------------->  wavering  ------------------>  settled in the other state
             <--------------------------
              back as long as it was away: a glitch

So a clean press takes exactly the debounce time, a bouncing one hardly longer, a spike nothing at
all, and a worn contact that crackles gets through as long as it is closed more than open. A debounce
that waits for silence would never let that one through.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from devices.readings import (
    ContactClosed,
    ContactOpened,
    ContactReading,
    ContactStuck,
    LoopCut,
    LoopRestored,
)
from devices.timing import MS, S

DEBOUNCE_NS = 30 * MS
"""Keys bounce for 1 to 30 ms; a spike on a long wire is over within a few."""
STUCK_NS = 60 * S
"""No hand holds a key for a minute."""


class Role(Enum):
    """What a contact is there for; the value is its name in a site file."""

    KEY = "key"
    LOOP = "loop"


@dataclass(frozen=True, slots=True)
class ContactCounts:
    """What happened since the contact was set up."""

    changes: int
    """Times it left its rest state for good: presses of a key, cuts of a loop."""
    glitches: int
    """Times it wavered and came back, in either state."""


class Contact:
    """One contact: levels and times in, readings out.

    You must call `edge` once with what you find at the start: a key that is pressed by then counts
    as pressed at that moment. After every call, call `advance` at `next_due`, at the latest.

    Times are monotonic; one that lies before the last counts as the last, so that a late callback
    does no harm. An edge may tell what is known already.
    """

    def __init__(
        self,
        *,
        normally_closed: bool,
        role: Role = Role.KEY,
        debounce_ns: int = DEBOUNCE_NS,
        stuck_ns: int = STUCK_NS,
    ) -> None:
        """A loop that is open at rest supervises nothing: a ValueError."""
        if role is Role.LOOP and not normally_closed:
            raise ValueError("a loop is closed at rest: a cut wire could not be told from an open loop")
        self._closed_at_rest = normally_closed
        self._role = role
        self._debounce_ns = debounce_ns
        self._stuck_ns = stuck_ns
        self._now_ns = 0
        self._away = False  # the wire, as it is
        self._active = False  # the state that was accepted
        self._balance_ns = 0  # 0: rest is certain; debounce_ns: the other state is
        self._wavered_ns: int | None = None  # when the wire first left the accepted state
        self._active_ns = 0
        self._stuck_told = False
        self._changes = 0
        self._glitches = 0

    @property
    def counts(self) -> ContactCounts:
        """A snapshot."""
        return ContactCounts(changes=self._changes, glitches=self._glitches)

    def edge(self, *, closed: bool, now_ns: int) -> list[ContactReading]:
        """The circuit is closed, or open, from `now_ns` on; return what became certain before."""
        readings = self.advance(now_ns)
        self._away = closed != self._closed_at_rest
        if self._away != self._active and self._wavered_ns is None:
            self._wavered_ns = self._now_ns
        return readings

    def advance(self, now_ns: int) -> list[ContactReading]:
        """Nothing changed up to `now_ns`; return what became certain."""
        elapsed_ns = max(now_ns - self._now_ns, 0)
        self._now_ns += elapsed_ns
        readings: list[ContactReading] = []
        if self._wavered_ns is not None:
            readings += self._waver(self._wavered_ns, elapsed_ns)
        if self._may_stick and self._now_ns >= self._active_ns + self._stuck_ns:
            self._stuck_told = True
            readings.append(ContactStuck(self._changes))
        return readings

    def next_due(self) -> int | None:
        """When to call `advance`, if no edge comes first; None: not at all."""
        dues: list[int] = []
        if self._wavered_ns is not None:
            dues.append(self._now_ns + self._missing_ns)
        if self._may_stick:
            dues.append(max(self._active_ns + self._stuck_ns, self._now_ns))
        return min(dues, default=None)

    @property
    def _missing_ns(self) -> int:
        """How long the wire must stay as it is until that is certain."""
        return self._debounce_ns - self._balance_ns if self._away else self._balance_ns

    @property
    def _may_stick(self) -> bool:
        """While the wire is back at rest, if only for a moment, nobody can tell that a key is stuck."""
        return self._role is Role.KEY and self._active and self._away and not self._stuck_told

    def _waver(self, wavered_ns: int, elapsed_ns: int) -> list[ContactReading]:
        if elapsed_ns < self._missing_ns:
            self._balance_ns += elapsed_ns if self._away else -elapsed_ns
            return []
        self._balance_ns = self._debounce_ns if self._away else 0
        self._wavered_ns = None
        if self._away == self._active:
            self._glitches += 1
            return []
        self._active = self._away
        return [self._activated(wavered_ns) if self._active else self._released(wavered_ns)]

    def _activated(self, wavered_ns: int) -> ContactReading:
        self._changes += 1
        self._active_ns = wavered_ns
        self._stuck_told = False
        return ContactClosed(self._changes) if self._role is Role.KEY else LoopCut(self._changes)

    def _released(self, wavered_ns: int) -> ContactReading:
        lasted_ms = (wavered_ns - self._active_ns) // MS
        if self._role is Role.KEY:
            return ContactOpened(self._changes, lasted_ms)
        return LoopRestored(self._changes, lasted_ms)
