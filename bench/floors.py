"""What nobody can go without who hears a line, keeps and then tells: three floors, measured one by one.

1. pty: a byte is written to a pseudo-terminal, and asyncio calls the reader of its other end.
2. commit: one row, SQLite WAL with synchronous=FULL, through an executor of one thread, as the journal does it.
3. publish: paho, QoS 1, from `publish` on one connection to `on_message` on another, both with TCP_NODELAY.

Their medians added up are the floor sum. Nothing overlaps in it, and nothing is signed, judged or opened.

A press comes out of the blue, to a machine that was doing something else: that alone costs a floor about 1.4 times what
it takes back to back, since the processor slept and its caches are cold. So the pause between two samples is the
caller's, and is the same for floors and product.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import tty
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from paho.mqtt.client import Client, MQTTMessage

from bench import bare
from bench.figures import percentile
from broker.acl import Principal
from broker.ids import StationId
from broker.topics import Name, Role, build
from deploy.mosquitto import PrivateBroker

MESSAGE_BYTES: Final = 600
"""About as long as a signed message."""
ROW_BYTES: Final = 300
WARM_UP: Final = 5
SHORTEST_S, LONGEST_S = 0.005, 0.03
HURRY_S: Final = 0.001
"""Between two samples back to back."""
ANSWER_S: Final = 10.0


@dataclass(slots=True)
class Floors:
    """Samples in milliseconds."""

    pty: list[float] = field(default_factory=list)
    commit: list[float] = field(default_factory=list)
    publish: list[float] = field(default_factory=list)

    @property
    def sum_ms(self) -> float:
        """The sum of the three medians."""
        return sum(percentile(samples, 0.5) for samples in (self.pty, self.commit, self.publish))

    def add(self, other: Floors) -> None:
        """Take the samples of another round."""
        self.pty += other.pty
        self.commit += other.commit
        self.publish += other.publish


class FloorKit:
    """A store and a broker of its own for the floors. A context manager."""

    def __init__(self, directory: Path) -> None:
        """Nothing runs yet."""
        station = StationId("floor")
        self._directory = directory
        self._topic = build(Name.GATEWAY_EVENT, station, "f")
        self._teller = Principal(station=station, role=Role.GATEWAY, id="f")
        self._hearer = Principal(station=station, role=Role.STATION)
        self._broker = PrivateBroker(directory / "broker", (self._teller, self._hearer))

    def __enter__(self) -> Self:
        """Start the broker, connect."""
        self._broker.start()
        self._arrived = threading.Event()
        self._at_ns = 0
        self._publisher = self._connect(self._teller)
        subscribed = threading.Event()
        self._subscriber = self._connect(self._hearer)
        self._subscriber.on_message = self._on_message
        self._subscriber.on_subscribe = lambda *_: subscribed.set()
        self._subscriber.subscribe(self._topic, qos=1)
        if not subscribed.wait(ANSWER_S):
            raise TimeoutError("the broker of the floors does not answer a SUBSCRIBE")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End both."""
        for client in (self._publisher, self._subscriber):
            client.disconnect()
            client.loop_stop()
        self._broker.stop()

    def measure(self, samples: int, *, pause_s: Callable[[], float] = lambda: HURRY_S) -> Floors:
        """Take so many samples of each, with a pause after each."""
        floors = asyncio.run(self._measure_loop(samples, pause_s))
        floors.publish = _timed(self._publish, samples, pause_s)
        return floors

    def _connect(self, principal: Principal) -> Client:
        client = bare.connect(port=self._broker.port, user=principal.user, password=self._broker.password(principal))
        client.loop_start()
        return client

    def _on_message(self, _client: Client, _userdata: object, _message: MQTTMessage) -> None:
        self._at_ns = time.monotonic_ns()
        self._arrived.set()

    def _publish(self) -> float:
        self._arrived.clear()
        began_ns = time.monotonic_ns()
        self._publisher.publish(self._topic, b"x" * MESSAGE_BYTES, qos=1)
        if not self._arrived.wait(ANSWER_S):
            raise TimeoutError("a message of the floors does not arrive")
        return (self._at_ns - began_ns) / 1e6

    async def _measure_loop(self, samples: int, pause_s: Callable[[], float]) -> Floors:
        floors = Floors()
        loop = asyncio.get_running_loop()
        master, slave = os.openpty()
        tty.setraw(slave)
        try:
            for _ in range(samples + WARM_UP):
                floors.pty.append(await _cross(loop, master, slave))
                await asyncio.sleep(pause_s())
        finally:
            os.close(master)
            os.close(slave)
        db = bare.open_store(self._directory / "floor.db")
        with ThreadPoolExecutor(max_workers=1) as thread:
            for _ in range(samples + WARM_UP):
                began_ns = time.monotonic_ns()
                await loop.run_in_executor(thread, bare.commit, db, [b"x" * ROW_BYTES])
                floors.commit.append((time.monotonic_ns() - began_ns) / 1e6)
                await asyncio.sleep(pause_s())
        db.close()
        floors.pty, floors.commit = floors.pty[WARM_UP:], floors.commit[WARM_UP:]
        return floors


async def _cross(loop: asyncio.AbstractEventLoop, master: int, slave: int) -> float:
    """Milliseconds from a write on one end to the reader's call on the other."""
    arrived: asyncio.Future[int] = loop.create_future()

    def read() -> None:
        os.read(slave, 4096)
        loop.remove_reader(slave)
        arrived.set_result(time.monotonic_ns())

    loop.add_reader(slave, read)
    began_ns = time.monotonic_ns()
    os.write(master, b"x" * 36)
    return (await arrived - began_ns) / 1e6


def a_while(dice: random.Random) -> float:
    """A pause as between two presses, in seconds."""
    return dice.uniform(SHORTEST_S, LONGEST_S)


def _timed(measure: Callable[[], float], samples: int, pause_s: Callable[[], float]) -> list[float]:
    times = []
    for _ in range(samples + WARM_UP):
        times.append(measure())
        time.sleep(pause_s())
    return times[WARM_UP:]
