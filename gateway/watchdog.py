"""Telling systemd that the program is ready, and that it lives: sd_notify(3), without a library.

What pings is the event loop, and only while the journal answers, so that a wedged program is started anew and a slow
card is not taken for one.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


class Watchdog:
    """The service manager's socket, or nothing where there is no such manager."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` names the socket, as systemd gives it."""
        self._socket: socket.socket | None = None
        address = environment.get("NOTIFY_SOCKET", "")
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            with contextlib.suppress(OSError):
                self._socket.connect("\0" + address[1:] if address.startswith("@") else address)

    def say(self, what: str) -> None:
        """READY=1, WATCHDOG=1 or STOPPING=1."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(what.encode())

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
