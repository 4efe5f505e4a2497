"""A station on a real port, and screens that listen to its feed: the test client cannot hold a stream open."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, Self

from api.clock import Clock, wall_ms
from api.leases.rules import Role
from api.program import build, server_of
from api.settings import StationSettings
from api.station import Station
from tests.api.peers import DEADLINE_S


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    id: str
    data: dict[str, Any]
    retry: int | None = None


@dataclass
class Live:
    """A station that serves on a port of its own."""

    station: Station
    port: int
    screens: list["Screen"] = field(default_factory=list)


class Screen:
    """Listens in a thread of its own, and keeps what it hears."""

    def __init__(
        self, port: int, token: str, *, last: str | None = None, path: str = "/api/v1/feed", cookie: str | None = None
    ) -> None:
        self.events: list[Event] = []
        self.over = False
        self._changed = threading.Condition()
        self._connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        headers = {"Authorization": f"Bearer {token}"} if cookie is None else {"Cookie": cookie}
        headers |= {} if last is None else {"Last-Event-ID": last}
        self._connection.request("GET", path, headers=headers)
        assert self._connection.sock is not None
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __enter__(self) -> Self:
        self.hear("hello")
        return self

    def __exit__(self, *_: object) -> None:
        if not self.over:
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._answer.close()
        self._connection.close()

    def named(self, name: str) -> list[Event]:
        return [event for event in [*self.events] if event.name == name]

    def until(self, true: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
        with self._changed:
            assert self._changed.wait_for(true, deadline_s), f"not {what}; heard {self.events}"

    def hear(self, name: str, which: Callable[[Event], bool] = lambda _event: True) -> Event:
        """Wait for an event; the first that fits."""
        found: list[Event] = []

        def look() -> bool:
            found[:] = [event for event in self.named(name) if which(event)]
            return bool(found)

        self.until(look, f"heard {name}")
        return found[0]

    def ended(self) -> None:
        self.until(lambda: self.over, "over")

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._answer:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                retry = fields.get("retry")
                event = Event(
                    fields["event"],
                    fields.get("id", ""),
                    json.loads(fields["data"]),
                    None if retry is None else int(retry),
                )
                fields = {}
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass
        with self._changed:
            self.over = True
            self._changed.notify_all()


@contextmanager
def live(settings: StationSettings, *, role: Role = Role.ALL, clock: Clock = wall_ms) -> Iterator[Live]:
    """Serve a station on a free port, until the block ends."""
    app = build(settings, role=role, clock=clock)
    station: Station = app.state.station
    server = server_of(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Live(station, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
