"""What is wrong with the installation, each with its restore: pure, times are arguments.

Theory. A unit is silent after two heartbeat periods and a bit. Many units fail one after the other when the cause
is one: heartbeats are spread over a period, so that a cut line shows unit by unit. Therefore the first unit that
falls silent is not judged alone: when more than a third of its line (and at least three units) are overdue by then,
the line is at fault, or somebody jams it, and that is one fault. In the same way mains: a unit that lost it waits
for a moment, and when more than a third of all units lost it, that is the village's power cut. Of a line whose port
is gone nothing more is said than that. Every fault is a pair of events: it begins, it is over. Faults never ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.ids import UnitId
from devices.readings import Heartbeat, Part

SILENT_PERIODS: Final = 2.2
OVERDUE_PERIODS: Final = 1.15
"""Whoever was cut off together with the first one that is silent has missed at least one heartbeat by then."""
MAINS_NS: Final = 10_000_000_000
"""A unit without mains waits so long for others before it is a fault by itself."""
LOW_BATTERY: Final = 20
GOOD_BATTERY: Final = 30
MANY_SHARE: Final = 3
"""More than one in three ..."""
MANY_LEAST: Final = 3
"""... and at least so many have one cause."""

Subject = str


@dataclass(frozen=True, slots=True)
class Change:
    """A fault begins, or is over. `subject`: the unit, line or thing it is about."""

    fault: str
    subject: Subject
    over: bool
    unit: UnitId | None = None
    detail: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    unit: UnitId
    line: str
    heard_ns: int
    no_mains_ns: int | None = None
    """Since when it has no mains."""


class Supervision:
    """The faults of one gateway."""

    def __init__(self, units: Iterable[tuple[UnitId, str]], *, heartbeat_s: int, now_ns: int) -> None:
        """`units` are (unit, line) that send heartbeats. They count as heard at the start."""
        self._silent_ns = int(heartbeat_s * SILENT_PERIODS * 1_000_000_000)
        self._overdue_ns = int(heartbeat_s * OVERDUE_PERIODS * 1_000_000_000)
        self._units: dict[UnitId, _Watched] = {}
        self._faults: dict[tuple[str, Subject], Change] = {}
        self.watch(units, now_ns=now_ns)

    def watch(self, units: Iterable[tuple[UnitId, str]], *, now_ns: int) -> None:
        """Watch these units from now on; what was known of them stays."""
        old = self._units
        self._units = {unit: old.get(unit) or _Watched(unit, line, now_ns) for unit, line in units}

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of what is wrong now, each once, sorted."""
        return tuple(sorted({fault for fault, _ in self._faults}))

    @property
    def open(self) -> tuple[Change, ...]:
        """Everything that is wrong now."""
        return tuple(self._faults.values())

    def heard(self, unit: UnitId, now_ns: int) -> list[Change]:
        """Something genuine came from `unit`."""
        watched = self._units.get(unit)
        if watched is not None:
            watched.heard_ns = now_ns
        return self.state("unit_silent", unit, wrong=False, unit=unit)

    def told(self, unit: UnitId, heartbeat: Heartbeat, now_ns: int) -> list[Change]:
        """What a heartbeat says about the unit itself."""
        changes = self.mains(unit, there=heartbeat.mains, now_ns=now_ns)
        changes += self.state("cover", unit, wrong=heartbeat.cover_open, unit=unit)
        changes += self.state("sounder", unit, wrong=heartbeat.sounder_broken, unit=unit)
        if heartbeat.battery is not None:
            low = heartbeat.battery < LOW_BATTERY
            good = heartbeat.battery >= GOOD_BATTERY
            if low or good:  # between them nothing changes, so that it does not come and go
                changes += self.state("battery", unit, wrong=low, unit=unit, detail={"percent": heartbeat.battery})
        return changes

    def part(self, unit: UnitId, part: int, *, works: bool, now_ns: int) -> list[Change]:
        """What a unit says at once about its mains, battery or sounder; its heartbeats say it again."""
        match part:
            case Part.MAINS:
                return self.mains(unit, there=works, now_ns=now_ns)
            case Part.BATTERY:
                return self.state("battery", unit, wrong=not works, unit=unit)
            case Part.SOUNDER:
                return self.state("sounder", unit, wrong=not works, unit=unit)
            case _:
                return []

    def mains(self, unit: UnitId, *, there: bool, now_ns: int) -> list[Change]:
        """A unit has its mains supply, or not; the fault comes with `advance`."""
        watched = self._units.get(unit)
        if watched is None:
            return []
        if there:
            watched.no_mains_ns = None
            return self.state("mains", unit, wrong=False, unit=unit)
        if watched.no_mains_ns is None:
            watched.no_mains_ns = now_ns
        return []

    def state(
        self,
        fault: str,
        subject: Subject,
        *,
        wrong: bool,
        unit: UnitId | None = None,
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> list[Change]:
        """Say whether something is wrong now; returns a change only when it was not known."""
        key = (fault, subject)
        if wrong == (key in self._faults):
            return []
        change = Change(fault, subject, over=not wrong, unit=unit, detail=detail or {})
        if wrong:
            self._faults[key] = change
        else:
            del self._faults[key]
        return [change]

    def advance(self, now_ns: int) -> list[Change]:
        """Find units and lines that have fallen silent, and power cuts."""
        lines: dict[str, list[_Watched]] = {}
        for watched in self._units.values():
            lines.setdefault(watched.line, []).append(watched)
        changes: list[Change] = []
        for line, units in lines.items():
            changes += self._look_at_line(line, units, now_ns)
        return changes + self._look_at_mains(now_ns)

    def _look_at_line(self, line: str, units: list[_Watched], now_ns: int) -> list[Change]:
        if ("line_lost", line) in self._faults:
            for watched in units:  # nobody can be heard there; afterwards each has its full time
                watched.heard_ns = max(watched.heard_ns, now_ns - self._overdue_ns)
            return []
        silent = [watched for watched in units if now_ns - watched.heard_ns > self._silent_ns]
        overdue = [watched for watched in units if now_ns - watched.heard_ns > self._overdue_ns]
        known = ("line_silent", line) in self._faults
        fresh = [watched for watched in silent if ("unit_silent", watched.unit) not in self._faults]
        many = _many(overdue, units) and (known or bool(fresh))
        changes = self.state("line_silent", line, wrong=many, detail={"units": len(overdue)})
        if not many:
            for watched in fresh:
                changes += self.state("unit_silent", watched.unit, wrong=True, unit=watched.unit)
        return changes

    def _look_at_mains(self, now_ns: int) -> list[Change]:
        without = [watched for watched in self._units.values() if watched.no_mains_ns is not None]
        many = _many(without, list(self._units.values()))
        changes = self.state("power_cut", "village", wrong=many, detail={"units": len(without)})
        if not many:
            for watched in without:
                if watched.no_mains_ns is not None and now_ns - watched.no_mains_ns >= MAINS_NS:
                    changes += self.state("mains", watched.unit, wrong=True, unit=watched.unit)
        return changes


def _many(some: list[_Watched], all_: list[_Watched]) -> bool:
    return len(some) >= MANY_LEAST and len(some) * MANY_SHARE > len(all_)
