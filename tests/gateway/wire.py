"""A serial line as the gateway finds it: a real pseudo-terminal behind a stable name, and units at its other end."""

import asyncio
import os
import pty
import select
import time
import tty
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from random import Random

from devices.commands import Kept, Lamp, Result, ShowLamp, Siren, Stop
from devices.frames import FRAME_BYTES
from devices.readings import ButtonPressed, CommandDone, Heartbeat, Key, Numbered, Proof, Sounded, UnitHello
from devices.timing import LineTiming
from devices.unit_link import Order, UnitLink
from tests.gateway.place import seed

BAUD = 115_200


class Wire:
    """A pseudo-terminal whose name is a link, as udev makes one. `data` is all that the gateway wrote."""

    def __init__(self, name: Path) -> None:
        self.name = name
        self.data = bytearray()
        self.heard: Callable[[bytes], None] = lambda _data: None
        self._master = -1
        self._slave = -1

    @property
    def plugged(self) -> bool:
        return self._master >= 0

    def plug(self) -> None:
        """Put the adapter in: a new device, the old name. Not under a loop."""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name.unlink(missing_ok=True)
        self.name.symlink_to(os.ttyname(self._slave))

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def unplug(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        self.close()

    def close(self) -> None:
        self.name.unlink(missing_ok=True)  # as udev does; else it might soon name somebody else's terminal
        for fd in (self._master, self._slave):
            if fd >= 0:
                os.close(fd)
        self._master = self._slave = -1

    def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def pour(self, data: bytes) -> None:
        """Say all of it, as fast as it is taken. Not under a loop."""
        rest = memoryview(data)
        while rest:
            select.select([], [self._master], [], 30)
            with suppress(BlockingIOError):
                rest = rest[os.write(self._master, rest) :]

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # nobody has the other end open
            return
        self.data += data
        self.heard(data)


class Units:
    """Units on one wire, which do what a unit does. They remember what they were told."""

    def __init__(self, wire: Wire, numbers: Iterable[int], *, echo: bool = False) -> None:
        dice = Random(1)
        timing = LineTiming(BAUD, FRAME_BYTES)
        self.links = {
            number: UnitLink(
                unit=number, key=seed(f"u{number:02}")[:16], boot=1, floor=0, timing=timing, draw=dice.randrange
            )
            for number in numbers
        }
        self.sirens: dict[int, list[tuple[float, Siren | None]]] = {number: [] for number in self.links}
        self.lamps: dict[int, Lamp] = dict.fromkeys(self.links, Lamp.IDLE)
        self.kept: dict[int, list[tuple[float, int]]] = {number: [] for number in self.links}
        self.broken: set[int] = set()
        self._echo = echo
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        wire.heard = self._heard
        wire.listen()

    def press(self, unit: int, key: Key = Key.PANIC) -> int:
        """Press a key and return its number."""
        link = self.links[unit]
        number = link.take_number()
        self.say(unit, ButtonPressed(unit, link.boot, number, key, 0, Proof.SEALED))
        return number

    def hello(self, unit: int) -> int:
        link = self.links[unit]
        number = link.take_number()
        self.say(unit, UnitHello(unit, link.boot, number, 7, 1, link.floor, Proof.SEALED))
        return number

    def beat(self, unit: int, *, mains: bool = True) -> int:
        link = self.links[unit]
        number = link.take_number()
        self.say(unit, Heartbeat(unit, link.boot, number, 80, mains, False, False, 7, link.floor, Proof.SEALED))
        return number

    def say(self, unit: int, message: Numbered) -> None:
        self.links[unit].say(message, time.monotonic_ns())
        self._pump()

    def plays(self, unit: int) -> Siren | None:
        return self.sirens[unit][-1][1] if self.sirens[unit] else None

    def is_kept(self, unit: int, number: int) -> bool:
        return number in [one for _, one in self.kept[unit]]

    def _heard(self, data: bytes) -> None:
        if self._echo and self._wire.plugged:
            self._wire.say(data)
        now_ns = time.monotonic_ns()
        for number, link in self.links.items():
            for order in link.receive_data(data, now_ns):
                self._obey(number, link, order)
        self._pump()

    def _obey(self, number: int, link: UnitLink, order: Order) -> None:
        now = self._loop.time()
        match order.command:
            case Siren() as siren:
                self.sirens[number].append((now, siren))
                works = number not in self.broken
                link.confirm(Sounded(number, order.counter, siren.pattern, works))
            case Kept(number=message, lamp=lamp):
                self.kept[number].append((now, message))
                self.lamps[number] = lamp
            case ShowLamp(lamp=lamp):
                self.lamps[number] = lamp
                link.confirm(CommandDone(number, order.counter, Result.DONE, link.floor))
            case Stop():
                self.sirens[number].append((now, None))
                link.confirm(CommandDone(number, order.counter, Result.DONE, link.floor))
            case _:
                pass

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_ns = time.monotonic_ns()
        for link in self.links.values():
            data = link.data_to_send(now_ns)
            if data and self._wire.plugged:
                self._wire.say(data)
        dues = [due for link in self.links.values() if (due := link.next_due()) is not None]
        if dues:
            delay_s = max((min(dues) - time.monotonic_ns()) / 1e9, 0.0005)
            self._timer = self._loop.call_later(delay_s, self._pump)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
