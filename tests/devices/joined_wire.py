"""Both ends of the native link on one wire in virtual time, with whatever goes wrong on the way.

The wire is fair where a real one is not: who wants to send while it is busy waits, so that no frames
collide (the wire on which they do is `firmware_sim.medium`). What it does is lose frames, deliver them
twice, and carry what an attacker has recorded; and both ends lose their power. The gateway has a disk:
what is on it, and nothing else, outlives a restart.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from devices.commands import Kept, Lamp, ShowLamp, Siren, Stop
from devices.frames import FRAME_BYTES, Header, new_deframer, split_content
from devices.line_link import LineLink, UnitKey
from devices.readings import CommandDone, Heartbeat, LinkReading, Numbered, Proof, Sounded, UnitHello
from devices.timing import MS, LineTiming
from devices.unit_link import Order, UnitLink
from tests.devices.link_ends import START_NS, a_heartbeat, a_press, key_of

COMMIT_NS = 5 * MS
FLOOR_STEP = 256
LEASE = 1_000
GATEWAY = 0

Message = tuple[int, int, int]
"""Unit, boot number, message number."""


def frames_of(data: bytes) -> list[tuple[Header, bytes]]:
    """The frames in what somebody sends, each with its content."""
    frames = []
    for content in new_deframer().receive_data(data):
        split = split_content(content)
        assert split is not None
        frames.append((split[0], content))
    return frames


@dataclass
class Disk:
    """What the gateway has kept."""

    messages: set[Message] = field(default_factory=set)
    windows: dict[int, int] = field(default_factory=dict)
    leased: int = 0


class Unit:
    """A unit with a flash memory. Power cuts take what it has not stored."""

    def __init__(self, address: int, wire: JoinedWire) -> None:
        self.address = address
        self.said: set[Message] = set()
        self.obeyed: list[int] = []
        """The counters of the orders that it has carried out."""
        self.playing: Siren | None = None
        self.lamp = Lamp.IDLE
        self._wire = wire
        self._boot = 0
        self._floor = 0
        self.power_up()

    def power_up(self) -> None:
        self._boot += 1
        self.playing, self.lamp = None, Lamp.IDLE
        self.link = UnitLink(
            unit=self.address,
            key=key_of(self.address),
            boot=self._boot,
            floor=self._floor,
            timing=self._wire.timing,
            draw=self._wire.dice.randrange,
        )

    @property
    def waiting(self) -> set[Message]:
        return {(self.address, message.boot, message.number) for message in self.link.unanswered}

    def say(self, make: Callable[[int, int], Numbered]) -> Message:
        """Say what `make` makes of boot and message number."""
        message = make(self.link.boot, self.link.take_number())
        self.said.add((self.address, message.boot, message.number))
        self.link.say(message, self._wire.now_ns)
        return self.address, message.boot, message.number

    def press(self, key: int = 1) -> Message:
        return self.say(lambda boot, number: a_press(number, boot=boot, key=key, unit=self.address))

    def beat(self) -> Message:
        message = self.say(lambda boot, number: a_heartbeat(number, boot=boot, unit=self.address))
        self._wire.beats.add(message)
        return message

    def hello(self) -> Message:
        floor = self.link.floor
        return self.say(lambda boot, number: UnitHello(self.address, boot, number, 1, 1, floor, Proof.SEALED))

    def hear(self, data: bytes) -> None:
        for order in self.link.receive_data(data, self._wire.now_ns):
            self._obey(order)

    def _obey(self, order: Order) -> None:
        self.obeyed.append(order.counter)
        if self.link.floor > self._floor:
            self._floor = self.link.floor + FLOOR_STEP
        match order.command:
            case Kept(lamp=lamp):
                self.lamp = lamp
                return
            case Siren():
                self.playing = order.command
                self.link.confirm(Sounded(self.address, order.counter, order.command.pattern, works=True))
                return
            case ShowLamp(lamp=lamp):
                self.lamp = lamp
            case Stop():
                self.playing = None
        self.link.confirm(CommandDone(self.address, order.counter, 0, self.link.floor))


class JoinedWire:
    """The wire and everybody on it."""

    def __init__(self, units: int, *, baud: int = 9600, seed: int = 0) -> None:
        self.timing = LineTiming(baud, FRAME_BYTES)
        self.dice = Random(seed)
        self.now_ns = START_NS
        self.loss = 0.0
        """The chance that a listener misses a frame."""
        self.copies = 0.0
        """The chance that it hears a frame twice."""
        self.disk = Disk()
        self.wanted: dict[int, Siren | None] = {}
        self.lamps: dict[int, Lamp] = {}
        self.sent: list[tuple[int, Header, bytes]] = []
        """What the units and the gateway have sent, and when: not what the attacker has."""
        self.sealed: set[bytes] = set()
        """The contents of what the gateway has read as fresh since it was started."""
        self.stale: list[Message] = []
        self.beats: set[Message] = set()
        """Which of the messages were heartbeats."""
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._free_ns = START_NS
        self._dues: dict[int, int] = {}
        self.units = {address: Unit(address, self) for address in range(1, units + 1)}
        self.start_gateway()

    # The gateway

    def start_gateway(self) -> None:
        """Power the gateway up (again): it knows what is on the disk."""
        self._counter = self.disk.leased
        self._life = next(self._order)
        self.sealed = set()
        known: dict[int, list[tuple[int, int]]] = {}
        for unit, boot, number in sorted(self.disk.messages):
            known.setdefault(unit, []).append((boot, number))
        keys = {
            unit: UnitKey(key_of(unit), window=self.disk.windows.get(unit, 0), known=known.get(unit, []))
            for unit in self.units
        }
        self.windows_at_start = dict(self.disk.windows)
        self.link = LineLink(
            units=keys, timing=self.timing, take_counter=self._take_counter, random_bytes=self.dice.randbytes
        )
        for unit, siren in self.wanted.items():
            self.link.sound(unit=unit, siren=siren, now_ns=self.now_ns)
        for unit, lamp in self.lamps.items():
            self.link.show_lamp(unit=unit, lamp=lamp, now_ns=self.now_ns)

    def _take_counter(self) -> int:
        if self._counter >= self.disk.leased:
            self.disk.leased = self._counter + LEASE
        self._counter += 1
        return self._counter

    def sound(self, siren: Siren | None, *units: int) -> None:
        for unit in units:
            self.wanted[unit] = siren
            self.link.sound(unit=unit, siren=siren, now_ns=self.now_ns)

    def show(self, lamp: Lamp, *units: int) -> None:
        for unit in units:
            self.lamps[unit] = lamp
            self.link.show_lamp(unit=unit, lamp=lamp, now_ns=self.now_ns)

    def _gateway_hears(self, frame: bytes) -> None:
        [(_, content)] = frames_of(frame)
        for reading in self.link.receive_data(frame, self.now_ns):
            self._take(reading, content)

    def _take(self, reading: LinkReading, content: bytes) -> None:
        if isinstance(reading, UnitHello | Heartbeat | CommandDone):
            self._counter = max(self._counter, reading.floor)
        if not isinstance(reading, Numbered):
            return
        message = (reading.unit, reading.boot, reading.number)
        if reading.proof is Proof.STALE:
            self.stale.append(message)
            return
        if reading.proof is Proof.SEALED:
            assert content not in self.sealed, "a frame was fresh twice"
            self.sealed.add(content)
            counter = int.from_bytes(content[3:7], "big")
            assert counter > self.windows_at_start.get(reading.unit, 0), "a restart made a frame fresh again"
        window, life = self.link.window(reading.unit), self._life
        self.at(self.now_ns + COMMIT_NS, lambda: self._commit(message, window, life))

    def _commit(self, message: Message, window: int, life: int) -> None:
        if life != self._life:
            return  # the power went before
        unit, boot, number = message
        self.disk.messages.add(message)
        self.disk.windows[unit] = max(window, self.disk.windows.get(unit, 0))
        self.link.answer(unit=unit, boot=boot, number=number)

    # Time

    def at(self, at_ns: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_ns, next(self._order), what))

    def run(self, for_ns: int) -> None:
        """Let everything happen that is due within `for_ns` from now."""
        until_ns = self.now_ns + for_ns
        while True:
            self._ask()
            if not self._events or self._events[0][0] > until_ns:
                break
            at_ns, _, what = heapq.heappop(self._events)
            self.now_ns = at_ns
            what()
        self.now_ns = until_ns

    def _ask(self) -> None:
        """Plan when everybody wants to be asked next."""
        for station in (GATEWAY, *self.units):
            link = self.link if station == GATEWAY else self.units[station].link
            due = link.next_due()
            if due is None:
                self._dues.pop(station, None)
            elif self._dues.get(station) != max(due, self.now_ns):
                self._dues[station] = max(due, self.now_ns)
                self._plan(station, self._dues[station])

    def _plan(self, station: int, due_ns: int) -> None:
        def act() -> None:
            if self._dues.get(station) != due_ns:
                return
            del self._dues[station]
            if station == GATEWAY:
                for reading in self.link.advance(self.now_ns):
                    self._take(reading, b"")
                self._send(GATEWAY, self.link.data_to_send(self.now_ns))
            else:
                self._send(station, self.units[station].link.data_to_send(self.now_ns))

        self.at(due_ns, act)

    # The wire

    def _send(self, station: int, data: bytes) -> None:
        for header, content in frames_of(data):
            self.sent.append((self.now_ns, header, content))
        if data:
            self.carry(data, heard_by=[one for one in (GATEWAY, *self.units) if one != station])

    def carry(self, data: bytes, *, heard_by: list[int]) -> None:
        """Put `data` on the wire as soon as it is free; everybody hears that it is busy, and then the frames."""
        begin_ns = max(self.now_ns, self._free_ns)
        self._free_ns = begin_ns + self.timing.wire_ns(len(data))
        for place in range(0, len(data), FRAME_BYTES):
            frame = data[place : place + FRAME_BYTES]
            end_ns = begin_ns + self.timing.wire_ns(place + len(frame))
            for station in heard_by:
                if self.dice.random() >= self.loss:
                    for _ in range(2 if self.dice.random() < self.copies else 1):
                        self.at(end_ns, self._hearing(station, frame))

    def _hearing(self, station: int, frame: bytes) -> Callable[[], None]:
        def hear() -> None:
            if station == GATEWAY:
                self._gateway_hears(frame)
            else:
                self.units[station].hear(frame)

        return hear

    def replay(self, frame: bytes) -> None:
        """An attacker sends what was recorded; everybody hears it."""
        self.carry(frame, heard_by=[GATEWAY, *self.units])
