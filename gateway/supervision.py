"""What is wrong with the installation, each with its restore: pure, times are arguments.

A unit is silent after two heartbeat periods and a bit; when more than a third of a line (and at least three units)
is silent at once, that is one fault of the line or jamming, not many of units. Every fault is a pair of events: it
begins, it is over. Faults never ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.ids import UnitId
from devices.readings import Heartbeat

SILENT_PERIODS: Final = 2.2
LOW_BATTERY: Final = 20
GOOD_BATTERY: Final = 30
JAMMED_SHARE: Final = 3
"""More than one in three ..."""
JAMMED_LEAST: Final = 3
"""... and at least so many."""

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


class Supervision:
    """The faults of one gateway."""

    def __init__(self, units: Iterable[tuple[UnitId, str]], *, heartbeat_s: int, now_ns: int) -> None:
        """`units` are (unit, line) that send heartbeats. They count as heard at the start."""
        self._silent_ns = int(heartbeat_s * SILENT_PERIODS * 1_000_000_000)
        self._units: dict[UnitId, _Watched] = {}
        self._faults: dict[tuple[str, Subject], Change] = {}
        self.watch(units, now_ns=now_ns)

    def watch(self, units: Iterable[tuple[UnitId, str]], *, now_ns: int) -> None:
        """Watch these units from now on; what was known of them stays."""
        old = self._units
        self._units = {
            unit: _Watched(unit, line, old[unit].heard_ns if unit in old else now_ns) for unit, line in units
        }

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

    def told(self, unit: UnitId, heartbeat: Heartbeat) -> list[Change]:
        """What a heartbeat says about the unit itself."""
        changes = self.state("mains", unit, wrong=not heartbeat.mains, unit=unit)
        changes += self.state("cover", unit, wrong=heartbeat.cover_open, unit=unit)
        changes += self.state("sounder", unit, wrong=heartbeat.sounder_broken, unit=unit)
        if heartbeat.battery is not None:
            low = heartbeat.battery < LOW_BATTERY
            good = heartbeat.battery >= GOOD_BATTERY
            if low or good:  # between them nothing changes, so that it does not come and go
                changes += self.state("battery", unit, wrong=low, unit=unit, detail={"percent": heartbeat.battery})
        return changes

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
        """Find units and lines that have fallen silent."""
        changes: list[Change] = []
        lines: dict[str, list[_Watched]] = {}
        for watched in self._units.values():
            lines.setdefault(watched.line, []).append(watched)
        for line, units in lines.items():
            silent = [watched for watched in units if now_ns - watched.heard_ns > self._silent_ns]
            many = len(silent) >= JAMMED_LEAST and len(silent) * JAMMED_SHARE > len(units)
            changes += self.state("line_silent", line, wrong=many, detail={"units": len(silent)})
            for watched in silent:
                if not many:
                    changes += self.state("unit_silent", watched.unit, wrong=True, unit=watched.unit)
        return changes
