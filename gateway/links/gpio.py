"""GPIO pins: wired keys, loops and Wiegand readers in, relays and lamps out. The one door to gpiozero.

The pin factory is always passed explicitly. Inputs are the pin's own edges, unbounced, into `devices.contact`:
gpiozero's Button loses events under lgpio (its issue 1090). Edges come on a thread of the library and are handed to
the loop. With the mock factory, a private socket lets a simulator set levels: one JSON line {"pin": 17, "high": true}
each; the states of outputs are told on it in the same form.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import structlog

from devices.contact import Contact as ContactLogic
from devices.contact import Role
from devices.wiegand import Wiegand, WiegandCounts
from gateway.settings import Contact, Reader, Sounder

if TYPE_CHECKING:
    from gpiozero import DigitalOutputDevice
    from gpiozero.pins import Factory, Pin

log = structlog.get_logger("gateway.gpio")

FactoryName = Literal["mock", "lgpio"]


class EdgeUser(Protocol):
    """Who hears what wired contacts say. Called on the loop."""

    def contact_said(self, contact: Contact, reading: object) -> None:
        """A debounced reading of one contact."""

    def reader_said(self, reader: Reader, readings: Sequence[object]) -> None:
        """What a reader on two pins read."""


class GpioError(Exception):
    """A pin that cannot be used. Fields: `pin`, `why`."""

    def __init__(self, pin: int, why: str) -> None:
        self.pin = pin
        self.why = why
        super().__init__(f"GPIO {pin}: {why}")


def make_factory(name: FactoryName) -> Factory:
    """Return gpiozero's pin factory of this name."""
    if name == "mock":
        from gpiozero.pins.mock import MockFactory  # noqa: PLC0415 - only where it is asked for

        return MockFactory()
    from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - needs the Pi's own library

    return LGPIOFactory()


class Pins:
    """The wired contacts and sounders of one gateway."""

    def __init__(
        self,
        factory: Factory,
        *,
        contacts: Iterable[Contact],
        sounders: Iterable[Sounder],
        user: EdgeUser,
        readers: Iterable[Reader] = (),
    ) -> None:
        """Take the pins; of `readers` those that have two. Raises GpioError with the pin and the reason."""
        self._factory = factory
        self._user = user
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._inputs: list[tuple[Contact, Pin, ContactLogic]] = []
        self._wires: list[tuple[Reader, int, Pin, Wiegand]] = []
        """The two pins of each Wiegand reader, with the bit that a pulse on it is."""
        self._callbacks: list[Callable[[float, int], None]] = []
        """gpiozero holds them weakly: without these they would be gone at once, and no key heard."""
        self._connections: set[asyncio.StreamWriter] = set()
        self._outputs: dict[str, DigitalOutputDevice] = {}
        self._watchers: list[Callable[[int, bool], None]] = []
        self._pin_of: dict[str, int] = {}
        try:
            for contact in contacts:
                self._inputs.append((contact, self._input(contact.pin, edges="both"), _logic(contact)))
            for reader in readers:
                if reader.d0 is not None and reader.d1 is not None:
                    codec = Wiegand(reversed_octets=reader.reversed_octets, bits=reader.bits)
                    self._wires += [
                        (reader, bit, self._input(pin, edges="falling"), codec)
                        for bit, pin in enumerate((reader.d0, reader.d1))
                    ]
            for sounder in sounders:
                self._outputs[sounder.id] = self._output(sounder)
                self._pin_of[sounder.id] = sounder.pin
        except GpioError:
            self.close()
            raise

    def start(self) -> None:
        """Listen from now on. A key that is pressed already counts as pressed now: it may be somebody in need."""
        for contact, pin, logic in self._inputs:
            callback = self._on_change(contact, logic)
            self._callbacks.append(callback)
            pin.when_changed = callback
            self._take(contact, logic, closed=not pin.state, now_ns=time.monotonic_ns())
        for reader, bit, pin, codec in self._wires:
            callback = self._on_pulse(reader, bit, codec)
            self._callbacks.append(callback)
            pin.when_changed = callback

    @property
    def wiegand(self) -> dict[str, WiegandCounts]:
        """What the Wiegand readers have seen, by id."""
        return {reader.id: codec.counts for reader, _, _, codec in self._wires}

    def switch(self, sounder: Sounder, *, on: bool) -> str | None:
        """Turn a sounder on or off; return why it could not be, None when it was."""
        device = self._outputs[sounder.id]
        try:
            (device.on if on else device.off)()
        except Exception as error:  # noqa: BLE001 - whatever the Pi's library makes of a broken pin
            return str(error) or type(error).__name__
        for watcher in self._watchers:
            watcher(self._pin_of[sounder.id], on)
        return None

    def close(self) -> None:
        """Silence everything and give the pins back."""
        for timer in self._timers.values():
            timer.cancel()
        for device in self._outputs.values():
            with contextlib.suppress(Exception):  # a broken one must not keep the next one sounding
                device.off()
                device.close()
        for pin in (*(pin for _, pin, _ in self._inputs), *(pin for _, _, pin, _ in self._wires)):
            pin.when_changed = None
            pin.close()
        self._factory.close()
        for writer in self._connections:
            writer.close()

    def _input(self, number: int, *, edges: Literal["both", "falling"]) -> Pin:
        try:
            pin = self._factory.pin(number)
            pin.function = "input"
            pin.pull = "up"  # a closed contact, or a pulse, pulls the pin to ground
            pin.bounce = None
            pin.edges = edges
        except Exception as error:
            raise GpioError(number, str(error)) from error
        return pin

    def _output(self, sounder: Sounder) -> DigitalOutputDevice:
        from gpiozero import DigitalOutputDevice  # noqa: PLC0415 - 60 ms that a gateway without pins saves

        try:
            return DigitalOutputDevice(sounder.pin, active_high=sounder.active_high, pin_factory=self._factory)
        except Exception as error:
            raise GpioError(sounder.pin, str(error)) from error

    def _on_change(self, contact: Contact, logic: ContactLogic) -> Callable[[float, int], None]:
        def changed(_ticks: float, state: int) -> None:
            now_ns = time.monotonic_ns()
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the pins are being given back
                self._loop.call_soon_threadsafe(lambda: self._take(contact, logic, closed=not state, now_ns=now_ns))

        return changed

    def _take(self, contact: Contact, logic: ContactLogic, *, closed: bool, now_ns: int) -> None:
        for reading in logic.edge(closed=closed, now_ns=now_ns):
            self._user.contact_said(contact, reading)
        self._wait(contact, logic)

    def _wait(self, contact: Contact, logic: ContactLogic) -> None:
        timer = self._timers.pop(contact.id, None)
        if timer is not None:
            timer.cancel()
        due_ns = logic.next_due()
        if due_ns is not None:
            delay_s = max(0, due_ns - time.monotonic_ns()) / 1e9
            self._timers[contact.id] = self._loop.call_later(delay_s, self._advance, contact, logic)

    def _advance(self, contact: Contact, logic: ContactLogic) -> None:
        for reading in logic.advance(time.monotonic_ns()):
            self._user.contact_said(contact, reading)
        self._wait(contact, logic)

    def _on_pulse(self, reader: Reader, bit: int, codec: Wiegand) -> Callable[[float, int], None]:
        def changed(_ticks: float, state: int) -> None:
            if state:
                return  # the end of a pulse
            now_ns = time.monotonic_ns()
            with contextlib.suppress(RuntimeError):  # as above
                self._loop.call_soon_threadsafe(lambda: self._pulse(reader, bit, codec, now_ns))

        return changed

    def _pulse(self, reader: Reader, bit: int, codec: Wiegand, now_ns: int) -> None:
        self._read(reader, codec.pulse(bit, now_ns))
        if reader.id not in self._timers:
            self._wait_for_silence(reader, codec)

    def _wait_for_silence(self, reader: Reader, codec: Wiegand) -> None:
        due_ns = codec.next_due()
        if due_ns is not None:
            delay_s = max(0, due_ns - time.monotonic_ns()) / 1e9
            self._timers[reader.id] = self._loop.call_later(delay_s, self._silence, reader, codec)

    def _silence(self, reader: Reader, codec: Wiegand) -> None:
        """It may be over: once a frame, not once a pulse, is the clock set."""
        del self._timers[reader.id]
        self._read(reader, codec.advance(time.monotonic_ns()))
        self._wait_for_silence(reader, codec)

    def _read(self, reader: Reader, readings: Sequence[object]) -> None:
        if readings:
            self._user.reader_said(reader, readings)

    # The mock factory's private socket

    async def serve_simulator(self, path: Path) -> asyncio.AbstractServer:
        """Let a simulator set levels and see outputs, by a socket that only this user may open."""
        listening = await self._loop.run_in_executor(None, _private_socket, path)
        return await asyncio.start_unix_server(self._simulate, sock=listening)

    async def _simulate(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def told(pin: int, high: bool) -> None:  # noqa: FBT001 - a level is a level
            writer.write(json.dumps({"pin": pin, "high": high}).encode() + b"\n")

        self._watchers.append(told)
        self._connections.add(writer)
        try:
            while line := await reader.readline():
                self._drive(line)
        finally:
            self._watchers.remove(told)
            self._connections.discard(writer)
            writer.close()

    def _drive(self, line: bytes) -> None:
        try:
            order: dict[str, Any] = json.loads(line)
            pin: Any = self._factory.pin(int(order["pin"]))
            (pin.drive_high if order["high"] else pin.drive_low)()
        except Exception as error:  # noqa: BLE001 - whatever gpiozero says of a pin that is none; the next line may be better
            log.warning("not an order for a pin", why=str(error)[:90])


def _private_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    return listening


def _logic(contact: Contact) -> ContactLogic:
    role = Role.LOOP if contact.role == "loop" else Role.KEY
    return ContactLogic(normally_closed=contact.normally_closed, role=role)
