"""The gateway's end of a simulated line in virtual time: the real LineLink, a disk that takes 5 ms, groups."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TypeVar

from devices.commands import Lamp, Pattern, Siren
from devices.line_link import LineLink, UnitKey
from devices.readings import ButtonPressed, CommandDone, Heartbeat, Key, LinkReading, Numbered, Proof, UnitHello
from firmware_sim.diary import Entry
from firmware_sim.line import NativeLine
from firmware_sim.settings import LineSettings, UnitSettings

MS = 1_000_000
S = 1_000 * MS
COMMIT_NS = 5 * MS
GROUP = 10


def a_line(units: int, baud: int, *, name: str = "line1") -> LineSettings:
    return LineSettings(
        name=name,
        baud=baud,
        units=tuple(
            UnitSettings(name=f"u{number:03}", unit=number, key=number.to_bytes(2, "big") * 8, door=100 + number)
            for number in range(1, units + 1)
        ),
    )


def group_of(unit: int) -> range:
    """Ten households one after the other are a group."""
    first = (unit - 1) // GROUP * GROUP + 1
    return range(first, first + GROUP)


@dataclass
class GatewayEnd:
    """Rings at once, answers after the commit. `seen` is every reading with its time."""

    line: NativeLine
    sirens: bool = True
    seed: int = 0
    commit_ns: int = COMMIT_NS
    siren_seconds: int = 180
    late_ns: int = 0
    """How late at most this end's process hears, and how late at most it gets its bytes to the wire."""
    now_ns: int = 0
    seen: list[tuple[int, LinkReading]] = field(default_factory=list)
    alarms: dict[int, dict[int, int]] = field(default_factory=dict)
    """Group (first unit) -> unit that pressed -> when that was read."""
    wire: list[tuple[int, bytes]] = field(default_factory=list)
    """What this end sent, and when."""

    def __post_init__(self) -> None:
        settings = [unit.settings for unit in self.line.units.values()]
        self._commits: list[tuple[int, int, int, int, int]] = []
        self._order = count()
        self._dice = Random(f"late {self.seed}")
        self._arriving: list[tuple[int, bytes]] = []
        self._leaving: list[tuple[int, bytes]] = []
        self._counters = 0
        self._known: set[tuple[int, int, int]] = set()
        self.link = LineLink(
            units={unit.unit: UnitKey(unit.key) for unit in settings},
            timing=self.line.timing,
            take_counter=self._take_counter,
            random_bytes=Random(self.seed).randbytes,
        )
        self._units = {unit.unit for unit in settings}

    def _take_counter(self) -> int:
        self._counters += 1
        return self._counters

    def run(self, until_ns: int) -> None:
        """Let line and gateway go on together up to `until_ns`."""
        while True:
            due = self.next_due()
            if due is None or due > until_ns:
                break
            self.step(max(due, self.now_ns))
        self.now_ns = max(self.now_ns, until_ns)
        self.line.advance(self.now_ns)

    def next_due(self) -> int | None:
        dues = [self.line.next_due(), self.link.next_due(), self._commits[0][0] if self._commits else None]
        dues += [waiting[0][0] for waiting in (self._arriving, self._leaving) if waiting]
        return min((due for due in dues if due is not None), default=None)

    def step(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self.line.advance(now_ns)
        for at_ns, data in self.line.take_heard():
            self._delay(self._arriving, data, at_ns)
        while self._arriving and self._arriving[0][0] <= now_ns:
            self._take(self.link.receive_data(self._arriving.pop(0)[1], now_ns))
        self._take(self.link.advance(now_ns))
        while self._commits and self._commits[0][0] <= now_ns:
            _, _, unit, boot, number = heapq.heappop(self._commits)
            self.link.answer(unit=unit, boot=boot, number=number)
        data = self.link.data_to_send(now_ns)
        if data:
            self.wire.append((now_ns, data))
            self._delay(self._leaving, data, now_ns)
        while self._leaving and self._leaving[0][0] <= now_ns:
            self.line.receive(self._leaving.pop(0)[1], now_ns)

    def _delay(self, queue: list[tuple[int, bytes]], data: bytes, now_ns: int) -> None:
        """Put `data` behind what waits already: bytes never overtake."""
        at_ns = now_ns + self._dice.randrange(self.late_ns + 1)
        queue.append((max(at_ns, queue[-1][0] if queue else 0), data))

    def _take(self, readings: list[LinkReading]) -> None:
        for reading in readings:
            self.seen.append((self.now_ns, reading))
            match reading:
                case UnitHello(floor=floor) | Heartbeat(floor=floor) | CommandDone(floor=floor):
                    self._counters = max(self._counters, floor)
            if isinstance(reading, ButtonPressed) and self._is_new(reading) and reading.key != Key.DURESS:
                self.ring(reading.unit)
            if isinstance(reading, Numbered):
                commit = (self.now_ns + self.commit_ns, next(self._order), reading.unit, reading.boot, reading.number)
                heapq.heappush(self._commits, commit)

    def _is_new(self, reading: ButtonPressed) -> bool:
        key = (reading.unit, reading.boot, reading.number)
        new = key not in self._known and reading.proof is Proof.SEALED
        self._known.add(key)
        return new

    def ring(self, unit: int) -> None:
        """Tell the whole group of `unit`, the newest doors first."""
        group = group_of(unit)
        alarm = self.alarms.setdefault(group.start, {})
        alarm[unit] = self.now_ns
        self.link.set_lamp(unit=unit, lamp=Lamp.KEPT)
        if not self.sirens:
            return
        doors = tuple(100 + presser for presser in reversed(alarm))[:4]
        for other in group:
            if other in self._units:
                own = other in alarm
                siren = Siren(Pattern.PANIC, 3, self.siren_seconds, group.start, doors, own=own)
                self.link.sound(unit=other, siren=siren, now_ns=self.now_ns)

    def presses(self) -> list[tuple[int, ButtonPressed]]:
        return [(at_ns, reading) for at_ns, reading in self.seen if isinstance(reading, ButtonPressed)]


E = TypeVar("E", bound=Entry)


def entries(line: NativeLine, kind: type[E]) -> list[tuple[str, E]]:
    return [(name, entry) for name, unit in line.units.items() for entry in unit.diary if type(entry) is kind]
