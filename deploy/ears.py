"""Ears at the checkpoints: what a gateway's simulated pins do, written down with the time by the machine's own clock.

They stand outside of the gateway, at the socket on which its mock pins tell what they are set to.
"""

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Self

from deploy.box import BoxError


class Ears:
    """Listens to the pins of one gateway. A context manager."""

    def __init__(self, path: Path) -> None:
        """`path`: the socket of the gateway's simulated pins."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._heard: list[tuple[int, int, bool]] = []
        self._listening = threading.Thread(target=self._listen, name="ears", daemon=True)

    def __enter__(self) -> Self:
        """Listen from now on. Raises BoxError when nothing tells anything there."""
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            raise BoxError("gateway", f"does not tell its pins at {self._path}: {error}") from error
        self._listening.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._listening.join()
        self._socket.close()

    def _listen(self) -> None:
        with self._socket.makefile("rb") as lines, suppress(OSError):
            for line in lines:
                told = json.loads(line)
                self._heard.append((time_ns(), int(told["pin"]), bool(told["high"])))

    def rises(self, pin: int, since_ns: int) -> list[int]:
        """When this pin went high since then, Unix nanoseconds."""
        return [at_ns for at_ns, heard, high in list(self._heard) if heard == pin and high and at_ns >= since_ns]

    def was_high(self, pin: int, since_ns: int) -> bool:
        """Whether this pin was high at any time since then; one that is high already need not go high."""
        heard = [(at_ns, high) for at_ns, one, high in list(self._heard) if one == pin]
        before = [high for at_ns, high in heard if at_ns < since_ns]
        return any(high for at_ns, high in heard if at_ns >= since_ns) or before[-1:] == [True]
