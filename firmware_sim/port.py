"""The operating system's end of a simulated line: a pseudo-terminal behind a stable path, or a real port.

A pseudo-terminal takes bytes as fast as they come; the line behind it paces them at its baud. Its slave
side stays open here, so that a gateway may come and go without a hang-up; `unplug` is a hang-up.
"""

from __future__ import annotations

import asyncio
import errno
import os
import termios
import tty
from collections.abc import Callable
from pathlib import Path

READ_BYTES = 4096


class PortUnusable(Exception):
    """The path cannot be a simulated port; the message says why."""


class Port:
    """One end of a cable. `received` is called with whatever the other end has sent."""

    def __init__(
        self,
        path: Path,
        *,
        baud: int,
        received: Callable[[bytes], None],
        lost: Callable[[], None] = lambda: None,
        attach: bool = False,
    ) -> None:
        """`path` becomes a link to a new pseudo-terminal; with `attach` it is a terminal that exists already.

        `lost` is called when a cable is pulled at the other end.
        """
        self.path = path
        self._attach = attach
        self.dropped_bytes = 0
        """Written while nobody emptied the port: a UART loses these too."""
        self._baud = baud
        self._received = received
        self._lost = lost
        self._master: int | None = None
        self._listening = False
        self._slave: int | None = None

    @property
    def plugged(self) -> bool:
        """Whether there is a port at all just now."""
        return self._master is not None

    def plug(self) -> None:
        """Put the plug in: a terminal stands behind `path` from now on."""
        if self._master is not None:
            return
        if self._attach:
            self._master = self._open_terminal()
        else:
            self._master, self._slave = self._open_pair()
        os.set_blocking(self._master, False)
        self.listen(on=True)

    def unplug(self) -> None:
        """Pull the plug: whoever has the port open gets a hang-up, and the path is gone."""
        if self._master is None:
            return
        self.listen(on=False)
        os.close(self._master)
        self._master = None
        if self._slave is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._slave)
            self._slave = None

    def listen(self, *, on: bool) -> None:
        """Read what the other end sends, or leave it where it is: then its writes fill up, as on a slow UART."""
        if self._master is not None and on != self._listening:
            self._listening = on
            loop = asyncio.get_running_loop()
            if on:
                loop.add_reader(self._master, self._read)
            else:
                loop.remove_reader(self._master)

    def write(self, data: bytes) -> None:
        """Hand bytes to the other end; what does not fit is lost and counted."""
        if self._master is None:
            return
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            written = 0  # a real cable was pulled
        self.dropped_bytes += len(data) - written

    def _read(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if data:
            self._received(data)
        else:
            self.unplug()
            self._lost()

    def _open_pair(self) -> tuple[int, int]:
        master, slave = os.openpty()
        try:
            tty.setraw(slave, termios.TCSANOW)  # the default would throw waiting bytes away
            _link(self.path, os.ttyname(slave))
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        return master, slave

    def _open_terminal(self) -> int:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise PortUnusable(f"{self.path}: {error.strerror}") from error
        try:
            tty.setraw(descriptor, termios.TCSANOW)
            attributes = termios.tcgetattr(descriptor)
            attributes[4] = attributes[5] = getattr(termios, f"B{self._baud}")
            termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
        except (AttributeError, termios.error) as error:
            os.close(descriptor)
            raise PortUnusable(f"{self.path} does not take {self._baud} baud: {error}") from error
        return descriptor


def _link(path: Path, target: str) -> None:
    """Make `path` point to `target` in one step, so that nobody ever sees it point nowhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_symlink():
        raise PortUnusable(f"{path} exists and is no port")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(path)
