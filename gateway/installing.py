"""Installation windows that are open here: pure, times are arguments.

Theory. A unit that was not handed over and is pressed within a signed window sounds by itself, once and shortly, and
goes on the station's list: nobody is alarmed by people who screw it to a wall. Whatever is not certain falls toward
alarm: a unit that is handed over is always real, whoever opened a window; so is one outside its window; and a gateway
that starts anew knows of no window until the station tells it again.
"""

from __future__ import annotations

from broker.ids import HouseholdId
from broker.messages import Command


class Windows:
    """At most one for each place and one for the whole gateway (None); the last word of the station counts."""

    def __init__(self) -> None:
        self._until_ns: dict[HouseholdId | None, int] = {}

    def ordered(self, command: Command, now_ns: int) -> None:
        """An `install` command, whose signature, session and counter are good, arrived at monotonic `now_ns`."""
        left_ms = (command.lasts_ms or 0) - command.age_ms
        self._until_ns[command.place] = now_ns + max(left_ms, 0) * 1_000_000

    def covers(self, place: HouseholdId | None, now_ns: int) -> bool:
        """Whether units of this place may be installed now."""
        return any(now_ns < self._until_ns.get(one, 0) for one in {place, None})
