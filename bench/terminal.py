"""A pseudo-terminal in the place of a line, without a baud: it takes bytes as fast as the gateway reads them.

What the gateway writes is read by a thread at once and handed to `hear`, so that the gateway never waits for us.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

READ_BYTES = 65_536
NEVER_TAKEN_S = 60.0

Hear = Callable[[bytes, int], bytes]
"""Takes what the gateway wrote and when it was read (monotonic ns); returns what the units say to that."""


class NotTaken(Exception):
    """Nobody read what was written to the line."""


class Terminal:
    """One line. A context manager; `path` is a link to the port, as a stable name is."""

    def __init__(self, path: Path, hear: Hear = lambda _data, _at_ns: b"") -> None:
        """The port is there at once, and what is written to it waits for the gateway."""
        self.path = path
        self.written_bytes = 0
        self._hear = hear
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave, termios.TCSANOW)  # the default would throw away what waits
        os.set_blocking(self._master, False)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(os.ttyname(self._slave))
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="line", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """It is there already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Pull the plug."""
        self._closing.set()
        self._thread.join()
        self.path.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)

    def write(self, data: bytes) -> int:
        """Write all of `data`; return when the first byte went (monotonic ns)."""
        with self._writing:
            began_ns = time.monotonic_ns()
            rest = memoryview(data)
            while rest:
                with contextlib.suppress(BlockingIOError):
                    rest = rest[os.write(self._master, rest) :]
                if rest and not select.select([], [self._master], [], NEVER_TAKEN_S)[1]:
                    raise NotTaken(f"{self.path}: {len(rest)} bytes were not read within {NEVER_TAKEN_S:g} s")
            self.written_bytes += len(data)
            return began_ns

    def write_paced(self, frames: Iterable[bytes], *, every_s: float) -> list[int]:
        """Write one frame every `every_s`, as a line of that speed would deliver them; return when each went."""
        went: list[int] = []
        due = time.monotonic()
        for frame in frames:
            time.sleep(max(0.0, due - time.monotonic()))
            went.append(self.write(frame))
            due += every_s
        return went

    def _listen(self) -> None:
        while not self._closing.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self._master, READ_BYTES)
            except BlockingIOError:
                continue
            said = self._hear(data, time.monotonic_ns())
            if said:
                self.write(said)
