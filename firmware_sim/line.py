"""A native line: units on one medium, and the gateway's port at its end, as one discrete-event simulation.

Whatever is due at a time happens at that time, in the order of time, however late the driver calls: only
the gateway's own bytes enter at the moment of the call.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from random import Random

from devices.frames import FRAME_BYTES
from devices.timing import LineTiming
from firmware_sim.diary import Entry
from firmware_sim.faults import Fault
from firmware_sim.medium import GATEWAY, Ear, Medium, Station
from firmware_sim.settings import LineSettings
from firmware_sim.unit import Memory, Unit

UNIT_EAR = Ear()
SLICE_NS = 1_000_000
"""The gateway's port hands on what it heard every millisecond, as a USB converter does, or four characters."""

_FRAME = re.compile(rb"\x00[^\x00]+\x00|[^\x00]+|\x00")


class NativeLine:
    """One line. Feed what the gateway sends, advance, take what it hears."""

    def __init__(
        self,
        settings: LineSettings,
        *,
        seed: int,
        heartbeat_ns: int,
        faults: Iterable[Fault],
        now_ns: int,
        memories: Mapping[str, Memory] | None = None,
        write: Callable[[str, Entry], None] = lambda _unit, _entry: None,
    ) -> None:
        """Power every unit up. Each unit and the medium have dice of their own, so none disturbs another."""
        self.name = settings.name
        self.timing = LineTiming(settings.baud, FRAME_BYTES)
        self.medium = Medium(baud=settings.baud, dice=Random(f"{seed} {settings.name}"), faults=faults)
        self.medium.join(GATEWAY, Ear(then=max(4, SLICE_NS // self.timing.char_ns)))
        self.units: dict[str, Unit] = {}
        self._stations: dict[Station, Unit] = {}
        self._dues: list[tuple[int, Station]] = []
        self._due_of: dict[Station, int | None] = {}
        self._heard: list[tuple[int, bytes]] = []
        for unit in settings.units:
            made = Unit(
                unit,
                timing=self.timing,
                heartbeat_ns=heartbeat_ns,
                dice=Random(f"{seed} {settings.name} {unit.name}"),
                now_ns=now_ns,
                memory=(memories or {}).get(unit.name),
                write=partial(write, unit.name),
            )
            self.units[unit.name] = made
            self._stations[Station(unit.unit)] = made
            self.medium.join(Station(unit.unit), UNIT_EAR)
            self.touch(made)

    def touch(self, unit: Unit) -> None:
        """Something was done to `unit`: ask it again when it is due next."""
        station = Station(unit.settings.unit)
        due = unit.next_due()
        if due != self._due_of.get(station):
            self._due_of[station] = due
            if due is not None:
                heapq.heappush(self._dues, (due, station))

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take what the gateway sends from `now_ns` on. Call `advance(now_ns)` first."""
        for frame in _FRAME.findall(data):
            self.medium.transmit(GATEWAY, frame, now_ns)

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due, each at its own time."""
        while (due := self.next_due()) is not None and due <= now_ns:
            self._step(due)

    def next_due(self) -> int | None:
        """Return when to call `advance` next, None if only when something is done."""
        while self._dues and self._due_of[self._dues[0][1]] != self._dues[0][0]:
            heapq.heappop(self._dues)  # that unit is due at another time now
        dues = [due for due in (self.medium.next_due(), self._dues[0][0] if self._dues else None) if due is not None]
        return min(dues, default=None)

    def take_heard(self) -> list[tuple[int, bytes]]:
        """Return what has arrived at the gateway's port since the last call, with the times."""
        heard, self._heard = self._heard, []
        return heard

    def backlog_ns(self, now_ns: int) -> int:
        """For how long the wire will still be busy with what the gateway has handed over."""
        return self.medium.busy_until(GATEWAY) - now_ns

    def _step(self, now_ns: int) -> None:
        for heard in self.medium.advance(now_ns):
            for station in heard.listeners:
                if station == GATEWAY:
                    self._heard.append((heard.at_ns, heard.data))
                else:
                    unit = self._stations[station]
                    unit.hear(heard.data, heard.at_ns)
                    self.touch(unit)
        while self._dues and self._dues[0][0] <= now_ns:
            due, station = heapq.heappop(self._dues)
            if self._due_of[station] == due:
                self._due_of[station] = None
                self._ask(self._stations[station], now_ns)

    def _ask(self, unit: Unit, now_ns: int) -> None:
        unit.advance(now_ns)
        frame = unit.data_to_send(now_ns)
        if frame:
            self.medium.transmit(Station(unit.settings.unit), frame, now_ns)
        self.touch(unit)
