"""Drills that go on here: pure, times are arguments.

Theory. The station tells of a drill when it begins: a group, its named units, how long it still takes. A press of such
a unit meanwhile is marked, and rings as a drill. Whatever is not certain falls toward alarm: a gateway that starts
anew knows of no drill, and a press that it does not mark is real, here and at the station. A drill ends by the
monotonic clock, by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.ids import GroupId, UnitId
from broker.messages import Command


@dataclass(frozen=True, slots=True)
class _Drill:
    units: frozenset[UnitId]
    until_ns: int


class Drills:
    """At most one for each group; the last word of the station counts."""

    def __init__(self) -> None:
        self._running: dict[GroupId, _Drill] = {}

    def ordered(self, command: Command, now_ns: int) -> None:
        """A `drill` command, whose signature, session and counter are good, arrived at monotonic `now_ns`."""
        if command.group is None:
            return
        left_ms = (command.lasts_ms or 0) - command.age_ms
        self._running[command.group] = _Drill(frozenset(command.units or ()), now_ns + max(left_ms, 0) * 1_000_000)

    def names(self, unit: UnitId, group: GroupId | None, now_ns: int) -> bool:
        """Whether a press of this unit, in this group, is part of a drill now."""
        drill = None if group is None else self._running.get(group)
        return drill is not None and unit in drill.units and now_ns < drill.until_ns
