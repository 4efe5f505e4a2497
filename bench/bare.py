"""The bare loop: reads frames, commits them, then publishes as many messages for each as the product would; unsigned.

It is what nobody who keeps before sending can go without: the same port, one FULL commit for what one read brought
(in a thread, and no reading ahead of it), paho with QoS 1 and the same window, messages of the product's length to the
product's topics. It opens no seal, judges nothing, rings nobody, signs nothing and marks nothing as delivered.

`python -m bench.bare` takes its orders as one JSON object on standard input and says "ready".
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import sys
import termios
import tty
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

READ_BYTES: Final = 16_384
WINDOW: Final = 20


def open_store(path: Path) -> sqlite3.Connection:
    """A file with the same durability as the journal: WAL, synchronous=FULL."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS frame (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    return db


def commit(db: sqlite3.Connection, frames: Sequence[bytes]) -> None:
    """Keep these in one commit."""
    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO frame (data) VALUES (?)", [(frame,) for frame in frames])
    db.execute("COMMIT")


def connect(*, port: int, user: str, password: str, loop: asyncio.AbstractEventLoop | None = None) -> Client:
    """A paho client with TCP_NODELAY, connected; driven by `loop`, or by paho's own thread after `loop_start`."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=user, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
    )
    client.username_pw_set(user, password)
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", port, clean_start=True)
    sock = cast("socket.socket", client.socket())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if loop is not None:

        def want_write(_client: Client, _userdata: object, sock: SocketLike) -> None:
            loop.add_writer(sock, client.loop_write)

        def no_want_write(_client: Client, _userdata: object, sock: SocketLike) -> None:
            loop.remove_writer(sock)

        client.on_socket_register_write = want_write
        client.on_socket_unregister_write = no_want_write
        loop.add_reader(sock, client.loop_read)
        if client.want_write():
            loop.add_writer(sock, client.loop_write)
    return client


class Loop:
    """The loop itself. `topics` and `lengths`: for the frame at index i, the entries at i modulo their number."""

    def __init__(self, orders: Mapping[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._topics: list[list[str]] = orders["topics"]
        self._payload = b"x" * orders["length"]
        self._store = open_store(Path(orders["store"]))
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._partial = b""
        self._seen = 0
        self._fd = os.open(orders["line"], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._fd, termios.TCSANOW)
        self._client = connect(port=orders["port"], user=orders["user"], password=orders["password"], loop=self._loop)
        self.connected = asyncio.Event()
        self._client.on_connect = self._on_connect
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.add_reader(self._fd, self._read)

    def _on_connect(
        self, _client: Client, _userdata: object, _flags: ConnectFlags, reason: ReasonCode, _more: Properties | None
    ) -> None:
        if reason.is_failure:
            raise SystemExit(f"the broker refuses the bare loop: {reason}")
        self.connected.set()

    def _read(self) -> None:
        data = self._partial + os.read(self._fd, READ_BYTES)
        *whole, self._partial = data.split(b"\x00")
        frames = [frame for frame in whole if frame]
        if frames:
            self._loop.remove_reader(self._fd)
            task = self._loop.create_task(self._keep_and_tell(frames))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _keep_and_tell(self, frames: list[bytes]) -> None:
        await self._loop.run_in_executor(self._thread, commit, self._store, frames)
        self._loop.add_reader(self._fd, self._read)
        for _ in frames:
            for topic in self._topics[self._seen % len(self._topics)]:
                self._client.publish(topic, self._payload, qos=1)
            self._seen += 1


async def run(orders: Mapping[str, Any]) -> None:
    """Until the input ends."""
    loop = Loop(orders)
    await loop.connected.wait()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Take the orders and go."""
    asyncio.run(run(json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
