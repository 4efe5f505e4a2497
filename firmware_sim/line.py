"""A native line: units on one medium, and the gateway's port at its end, as one discrete-event simulation.

Theory of operation:

1. Whatever is due at a time happens at that time, in the order of time, however late the driver calls: only
   the gateway's own bytes enter at the moment of the call.
2. Hundreds of units hear every frame, and nearly all of them only learn from it that the line was busy. So a
   unit hears when it must: a frame at its end if it is for that unit or the unit owes a confirmation, a
   broken one if the unit has something to say, and everything else when the unit acts the next time. Each
   piece is told with its own time, so a unit cannot tell the difference.
3. That is right because a whole foreign frame only ever makes a unit send later (`UnitLink.overhear`).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from devices.frames import DOWN, FRAME_BYTES, new_deframer, split_content
from devices.timing import LineTiming
from firmware_sim.diary import Entry
from firmware_sim.faults import Fault
from firmware_sim.medium import GATEWAY, Ear, Heard, Medium, Station
from firmware_sim.settings import LineSettings
from firmware_sim.unit import Memory, Unit

UNIT_EAR = Ear()
SLICE_NS = 1_000_000
"""The gateway's port hands on what it heard every millisecond, as a USB converter does, or four characters."""
KEPT_PIECES = 200
"""A unit that acts after a long silence of its own catches up with so many frames: older ones shaped nothing."""

_FRAME = re.compile(rb"\x00[^\x00]+\x00|[^\x00]+|\x00")


@dataclass(frozen=True, slots=True)
class _Whole:
    """One whole frame that met nobody; `unit` is the station that it is for."""

    pieces: tuple[Heard, ...]
    sender: Station
    unit: Station | None
    begin_ns: int
    end_ns: int


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
        remember: Callable[[str, Memory], None] = lambda _unit, _memory: None,
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
        self._past: list[_Whole | Heard] = []
        self._forgotten = 0
        self._known: dict[Station, int] = {}  # so many of forgotten and past has a unit been told
        self._open: list[Heard] = []  # pieces of a frame that has not ended
        self._peeked: dict[Station, int] = {}  # so many of those has a unit been told
        self._inside: set[Station] = set()  # what they heard last may have left them inside a frame
        self._talkers: set[Station] = set()  # they have something to say
        self._owing: set[Station] = set()  # they owe a confirmation
        for unit in settings.units:
            made = Unit(
                unit,
                timing=self.timing,
                heartbeat_ns=heartbeat_ns,
                dice=Random(f"{seed} {settings.name} {unit.name}"),
                now_ns=now_ns,
                memory=(memories or {}).get(unit.name),
                write=partial(write, unit.name),
                remember=partial(remember, unit.name),
            )
            station = Station(unit.unit)
            self.units[unit.name] = made
            self._stations[station] = made
            self._known[station] = 0
            self.medium.join(station, UNIT_EAR)
            self._plan(station)

    def act(self, name: str, now_ns: int, what: Callable[[Unit], None]) -> None:
        """Do something to a unit at `now_ns`, after everything that was due before."""
        self.advance(now_ns)
        station = Station(self.units[name].settings.unit)
        self._catch_up(station)
        what(self.units[name])
        self._plan(station)
        self.advance(now_ns)  # it may send at this very moment

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

    def unsent_bytes(self, now_ns: int) -> int:
        """How much of what the gateway has handed over the wire has not carried yet."""
        return max(self.medium.busy_until(GATEWAY) - now_ns, 0) // self.timing.char_ns

    def _step(self, now_ns: int) -> None:
        for heard in self.medium.advance(now_ns):
            if GATEWAY in heard.listeners:
                self._heard.append((heard.at_ns, heard.data))
            else:
                self._spread(heard)
        while self._dues and self._dues[0][0] <= now_ns:
            due, station = heapq.heappop(self._dues)
            if self._due_of[station] == due:
                self._due_of[station] = None
                self._ask(station, now_ns)

    def _ask(self, station: Station, now_ns: int) -> None:
        self._catch_up(station)
        unit = self._stations[station]
        unit.advance(now_ns)
        frame = unit.data_to_send(now_ns)
        if frame:
            self.medium.transmit(station, frame, now_ns)
        self._plan(station)

    def _plan(self, station: Station) -> None:
        """Ask this unit again when it is due next."""
        unit = self._stations[station]
        (self._talkers.add if unit.unanswered else self._talkers.discard)(station)
        (self._owing.add if unit.owes_confirmation else self._owing.discard)(station)
        due = unit.next_due()
        if due != self._due_of.get(station):
            self._due_of[station] = due
            if due is not None:
                heapq.heappush(self._dues, (due, station))

    # Who hears what, and when

    def _spread(self, heard: Heard) -> None:
        """The units' ears have heard a piece: of a frame that goes on, at the end of one, or of garbage."""
        self._open.append(heard)
        if heard.clean and not heard.last:
            return
        whole = self._whole() if heard.clean else None
        waiting, self._open = self._open, []
        self._past += [whole] if whole else waiting
        concerned = set(self._owing) | self._peeked.keys()
        for station, told in self._peeked.items():
            self._tell(station, waiting[told:])
            self._known[station] = self._forgotten + len(self._past)
        self._peeked.clear()
        if whole is None:
            self._inside = set(self._stations)
            torn = all(piece.clean for piece in waiting)  # the rest of a frame for anybody may follow
            concerned |= self._stations.keys() if torn else self._talkers
        else:
            concerned |= self._talkers & self._inside
            concerned |= {station for station in (whole.unit,) if station in self._stations}
            self._inside &= {whole.sender}
        for station in sorted(concerned):
            self._catch_up(station)
            self._plan(station)
        if len(self._past) > 2 * KEPT_PIECES:
            self._forgotten += len(self._past) - KEPT_PIECES
            del self._past[:-KEPT_PIECES]

    def _whole(self) -> _Whole | None:
        """The frame that has just ended, if that is what the open pieces are."""
        if len({piece.sender for piece in self._open}) > 1:
            return None
        contents = new_deframer().receive_data(b"".join(piece.data for piece in self._open))
        split = split_content(contents[0]) if len(contents) == 1 else None
        if split is None:
            return None
        first, last = self._open[0], self._open[-1]
        unit = Station(split[0].unit) if split[0].direction == DOWN else None
        return _Whole(tuple(self._open), first.sender, unit, first.at_ns, last.at_ns)

    def _catch_up(self, station: Station) -> None:
        """Tell a unit what it has missed, each piece with its own time."""
        unit = self._stations[station]
        missed = self._past[max(self._known[station] - self._forgotten, 0) :]
        self._known[station] = self._forgotten + len(self._past)
        owes = unit.owes_confirmation
        for item in missed:
            if isinstance(item, Heard):
                owes = self._tell(station, (item,))
            elif owes or item.unit == station:
                owes = self._tell(station, item.pieces)
            elif station in item.pieces[0].listeners:
                unit.overhear(item.begin_ns, item.end_ns)
        if self._open:
            self._tell(station, self._open[self._peeked.get(station, 0) :])
            self._peeked[station] = len(self._open)

    def _tell(self, station: Station, pieces: Iterable[Heard]) -> bool:
        """Let a unit hear; return whether it owes a confirmation now."""
        unit = self._stations[station]
        for piece in pieces:
            if station in piece.listeners:
                unit.hear(piece.data, piece.at_ns)
        return unit.owes_confirmation
