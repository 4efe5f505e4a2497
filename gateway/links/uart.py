"""A serial port on the event loop, by its stable name: opened without a flush, opened again whenever it goes.

The one door to pyserial, which opens, locks and configures the port; bytes then move by its descriptor on the
loop. pyserial's own `open` flushes the input: 127 lines were lost by that in a restart under load, so the flush is
overridden here. A read of nothing is a lost port.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import serial

READ_BYTES: Final = 16_384
FIRST_BACKOFF_S: Final = 0.1
LAST_BACKOFF_S: Final = 5.0
MOST_UNWRITTEN: Final = 65_536


class PortUser(Protocol):
    """Who owns a port. Called on the loop; must not block."""

    def opened(self) -> None:
        """The port is there."""

    def lost(self, why: str) -> None:
        """The port is gone or cannot be opened; it is tried again by itself."""

    def heard(self, data: bytes) -> None:
        """Bytes were read."""


class _Patient(serial.Serial):
    """pyserial without the flush of what already waits in the port."""

    def _reset_input_buffer(self) -> None:
        """Keep the bytes: a press may be among them."""


class Port:
    """One port that is kept open."""

    def __init__(self, path: Path, baud: int, user: PortUser) -> None:
        """Nothing is opened before `start`."""
        self.path = path
        self.trouble = "not opened yet"
        self.opens = 0
        self._baud = baud
        self._user = user
        self._serial: _Patient | None = None
        self._fd = -1
        self._unwritten = bytearray()
        self._reading = False
        self._paused = False
        self._backoff_s = FIRST_BACKOFF_S
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def up(self) -> bool:
        """Whether the port is open."""
        return self._fd >= 0

    def start(self) -> None:
        """Open the port now, or as soon as it is there."""
        self._timer = None
        try:
            self._serial = _Patient(
                str(self.path), self._baud, timeout=0, write_timeout=0, exclusive=True, rtscts=False, dsrdtr=False
            )
            self._fd = self._serial.fileno()
            os.set_blocking(self._fd, False)
        except (OSError, ValueError, termios.error) as error:  # SerialException is an OSError, termios.error is not
            self._fail(str(error))
            return
        self._backoff_s = FIRST_BACKOFF_S
        self.trouble = ""
        self.opens += 1
        self._listen()
        self._user.opened()

    def close(self) -> None:
        """Close for good."""
        if self._timer is not None:
            self._timer.cancel()
        self._drop()

    def pause(self) -> None:
        """Read no more for now: what comes waits in the kernel, and then in the units."""
        self._paused = True
        self._listen()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._listen()

    def read_waiting(self) -> None:
        """Read what is there already, also while nothing else is read."""
        if self._serial is None:
            return
        try:
            waiting = self._serial.in_waiting
        except OSError as error:
            self._fail(str(error))
            return
        if waiting:  # else a read returns nothing, as it does of a port that is gone
            self._read()

    def write(self, data: bytes) -> bool:
        """Send; False when the port is gone or does not take any more."""
        if not self.up or len(self._unwritten) + len(data) > MOST_UNWRITTEN:
            return False
        if not self._unwritten:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                pass
            except OSError as error:
                self._fail(str(error))
                return False
        if data:
            self._unwritten += data
            self._loop.add_writer(self._fd, self._write_on)
        return True

    def _write_on(self) -> None:
        try:
            del self._unwritten[: os.write(self._fd, self._unwritten)]
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(str(error))
            return
        if not self._unwritten:
            self._loop.remove_writer(self._fd)

    def _listen(self) -> None:
        want = self.up and not self._paused
        if want and not self._reading:
            self._loop.add_reader(self._fd, self._read)
        elif self._reading and not want and self.up:
            self._loop.remove_reader(self._fd)
        self._reading = want

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(str(error))
            return
        if not data:
            self._fail("the device is gone (a read returned nothing)")
            return
        self._user.heard(data)

    def _fail(self, why: str) -> None:
        self._drop()
        self.trouble = why
        self._user.lost(why)
        self._timer = self._loop.call_later(self._backoff_s, self.start)
        self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)

    def _drop(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self._fd = -1
        self._reading = False
        self._unwritten.clear()
        if self._serial is not None:
            with contextlib.suppress(OSError):
                self._serial.close()
            self._serial = None


OpenPort = Callable[[Path, int, PortUser], Port]
