"""All receivers of a site in one process: a raw MQTT connection for each account, the time of each arrival.

They are the same for the product and for the bare loop. The one that stands for the station answers the gateway's
events with signed receipts, as the station does, but keeps them in memory only: here the gateway is measured.

`Receivers` is the benchmark's end; `python -m bench.listening` is the other, with one JSON object a line on its
standard input and output. MQTT 3.1.1 by hand, because a client library would take the processor from what is measured.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from broker.acl import Principal
from broker.ids import EventId, StationId
from broker.messages import MAX_RESULTS, Receipt
from broker.signing import STATION_KID, Signer
from broker.topics import Name, Role, build
from deploy import assembly
from deploy.box import Box, observers

READY_S: Final = 30.0
RECEIPT_IDS: Final = 100
RECEIPT_WAIT_S: Final = 0.02
STATION: Final = "station"
"""The receiver that gets the events themselves; the others get views."""

_EVENT_ID: Final = re.compile(rb'"id":"([0-9a-f-]{36})"')
_BESIDES: Final = re.compile(rb'"event":"(?!press"|check_in")')
"""Faults and the like, which nobody has sent: they get their receipt and are not counted."""
_GATEWAY: Final = re.compile(r"^sw1/[a-z0-9-]+/gateway/([a-z0-9-]+)/event$")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message: who got it, when (monotonic ns), and what it was."""

    audience: str
    at_ns: int
    topic: str
    payload: str

    @property
    def body(self) -> dict[str, Any]:
        """The signed body."""
        body: dict[str, Any] = json.loads(self.payload)["body"]
        return body


class Receivers:
    """Receivers of a box: `station`, `police`, `community:c1`, `household:h003`, ... A context manager."""

    def __init__(self, box: Box) -> None:
        """Nothing is started yet."""
        self._box = box

    def __enter__(self) -> Self:
        """Start the process; return when everybody is subscribed."""
        box = self._box
        station = next(one for one in assembly.principals(box.site, box.keys) if one.role is Role.STATION)
        accounts: dict[str, Principal] = {STATION: station, **observers(box.site)}
        told = {
            "port": box.broker.port,
            "seed": box.keys.seed(STATION_KID).hex(),
            "station": box.site.station.id,
            "accounts": [
                {"audience": audience, "user": one.user, "password": box.keys.password(one.user)}
                for audience, one in accounts.items()
            ],
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.listening"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask(told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(5)

    def forget(self) -> None:
        """Count from nothing again."""
        self._ask({"do": "forget"})

    def wait(self, count: int, *, timeout_s: float) -> bool:
        """Wait until so many messages have come since `forget`; False when they do not come in time."""
        return bool(self._ask({"do": "wait", "count": count, "timeout_s": timeout_s})["come"])

    def count(self) -> int:
        """How many messages have come since `forget`."""
        return int(self._ask({"do": "wait", "count": 0, "timeout_s": 0})["count"])

    def last_ns(self) -> int:
        """When the last message came."""
        return int(self._ask({"do": "wait", "count": 0, "timeout_s": 0})["last_ns"])

    def arrivals(self) -> list[Arrival]:
        """All that came since `forget`, in the order of arrival."""
        path = self._box.directory / "arrivals.jsonl"
        self._ask({"do": "write", "path": str(path)})
        with path.open(encoding="utf-8") as file:
            return [Arrival(*json.loads(line)) for line in file]

    def _ask(self, question: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the receivers ended with {self._process.wait()}")
        told: dict[str, Any] = json.loads(answer)
        return told


# The other end


class _Connection:
    """One account's connection: subscribed to all that it may read, every message acknowledged."""

    def __init__(self, audience: str, *, port: int, user: str, password: str) -> None:
        self.audience = audience
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.socket.sendall(
            _packet(0x10, b"\x00\x04MQTT\x04\xc2\x00\x00" + _text("") + _text(user) + _text(password))
            + _packet(0x82, b"\x00\x01" + _text("sw1/#") + b"\x01")
        )
        subscribed = False
        while not subscribed:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError(f"the broker refuses {user}")
            self._buffer += data
            subscribed = any(kind == 0x90 for kind, _ in self._packets())
        self.socket.setblocking(False)

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield (topic, payload) of what has come, and acknowledge it."""
        data = self.socket.recv(262_144)
        if not data:
            raise ConnectionError(f"the broker has ended the connection of {self.audience}")
        self._buffer += data
        acknowledged = bytearray()
        for kind, body in self._packets():
            if kind & 0xF0 != 0x30:
                continue
            end = 2 + int.from_bytes(body[:2], "big")
            topic = body[2:end].decode()
            if kind & 0x06:
                acknowledged += b"\x40\x02" + body[end : end + 2]
                end += 2
            yield topic, body[end:]
        if acknowledged:
            self.socket.send(acknowledged)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send with QoS 1; nobody looks at the answer."""
        self.socket.setblocking(True)
        self.socket.sendall(_packet(0x32, _text(topic) + b"\x00\x02" + payload))
        self.socket.setblocking(False)

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        """Cut whole packets off the buffer."""
        buffer, begin = self._buffer, 0
        while len(buffer) >= begin + 2:
            length, shift, at = 0, 0, begin + 1
            while at < len(buffer):
                length |= (buffer[at] & 0x7F) << shift
                shift += 7
                at += 1
                if not buffer[at - 1] & 0x80:
                    break
            else:
                break
            if len(buffer) < at + length:
                break
            yield buffer[begin], bytes(buffer[at : at + length])
            begin = at + length
        del buffer[:begin]


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _packet(kind: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | 0x80 * (left > 0))
        if not left:
            return bytes([kind]) + bytes(length) + body


@dataclass(slots=True)
class _Desk:
    """The station's place: collects the ids of a gateway's events and sends receipts for them."""

    station: StationId
    signer: Signer
    connection: _Connection
    waiting: dict[str, list[EventId]] = field(default_factory=dict)
    due_s: float | None = None
    sent: int = 0

    def take(self, topic: str, payload: bytes) -> None:
        gateway, found = _GATEWAY.match(topic), _EVENT_ID.search(payload)
        if gateway is None or found is None:
            return  # its status, or a message of the bare loop
        ids = self.waiting.setdefault(gateway[1], [])
        ids.append(EventId(found[1].decode()))
        self.due_s = self.due_s or time.monotonic() + RECEIPT_WAIT_S
        if len(ids) >= RECEIPT_IDS:
            self.send()

    def send(self) -> None:
        assert RECEIPT_IDS <= MAX_RESULTS
        for gateway, ids in self.waiting.items():
            self.sent += 1
            body = Receipt(
                topic=build(Name.GATEWAY_RECEIPT, self.station, gateway),
                audience=f"gateway:{gateway}",
                id=EventId(f"00000000-0000-7000-8000-{self.sent:012x}"),
                age_ms=0,
                generation=1,
                stored=tuple(ids),
            )
            self.connection.publish(body.topic, self.signer.envelope(body))
        self.waiting.clear()
        self.due_s = None


class _Room:
    """All connections, and what has come over them."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._arrived: list[tuple[str, int, str, bytes]] = []
        for account in told["accounts"]:
            connection = _Connection(
                account["audience"], port=told["port"], user=account["user"], password=account["password"]
            )
            self._connections[connection.socket.fileno()] = connection
            self._epoll.register(connection.socket, select.EPOLLIN)
        station = next(one for one in self._connections.values() if one.audience == STATION)
        signer = Signer(STATION_KID, bytes.fromhex(told["seed"]))
        self._desk = _Desk(StationId(told["station"]), signer, station)
        self._epoll.register(sys.stdin, select.EPOLLIN)
        self._waiting: tuple[int, float] | None = None

    def live(self) -> None:
        """Until the input ends."""
        while True:
            for fd, _ in self._epoll.poll(0.002 if self._desk.due_s or self._waiting else 1.0):
                if fd == sys.stdin.fileno():
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self._obey(json.loads(line))
                else:
                    self._receive(self._connections[fd])
            now_s = time.monotonic()
            if self._desk.due_s is not None and now_s >= self._desk.due_s:
                self._desk.send()
            self._answer_wait(now_s)

    def _receive(self, connection: _Connection) -> None:
        at_ns = time.monotonic_ns()
        station = connection.audience == STATION
        with contextlib.suppress(BlockingIOError):
            for topic, payload in connection.read():
                if station:
                    if not topic.endswith("/event"):
                        continue
                    self._desk.take(topic, payload)
                    if _BESIDES.search(payload):
                        continue
                self._arrived.append((connection.audience, at_ns, topic, payload))

    def _obey(self, command: Mapping[str, Any]) -> None:
        match command["do"]:
            case "forget":
                self._arrived.clear()
                _say({})
            case "wait":
                self._waiting = (command["count"], time.monotonic() + command["timeout_s"])
            case "write":
                with Path(command["path"]).open("w", encoding="utf-8") as file:
                    file.writelines(
                        json.dumps([audience, at_ns, topic, payload.decode()]) + "\n"
                        for audience, at_ns, topic, payload in self._arrived
                    )
                _say({})

    def _answer_wait(self, now_s: float) -> None:
        if self._waiting is None:
            return
        count, until_s = self._waiting
        if len(self._arrived) >= count or now_s >= until_s:
            self._waiting = None
            last_ns = self._arrived[-1][1] if self._arrived else 0
            _say({"come": len(self._arrived) >= count, "count": len(self._arrived), "last_ns": last_ns})


def _say(answer: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Connect as told by the first line, then obey."""
    room = _Room(json.loads(sys.stdin.readline()))
    _say({})
    room.live()


if __name__ == "__main__":
    main()
