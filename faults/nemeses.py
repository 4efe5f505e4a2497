"""What goes wrong: each nemesis does harm to a running town and takes it back. Numbers are rows of docs/faults.md.

A nemesis is a generator of one step, as a context manager is made: harm, yield, take it back. It gets the town and
dice; how long it lasts the schedule says. What acts again and again while it lasts does so on a thread (`_meanwhile`).
What it `hurts` is touched by no other meanwhile. `local`: while it lasts, and a moment after, a siren need not sound
within a second, since what would sound it is dead. Its rows stand in its name: `F19-broker-stalled`.
"""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from deploy import children
from deploy.box import Running
from faults.audiences import DOORS, LOUD
from faults.disks import CuttableDisk, SmallDisk, fill
from faults.proxy import Proxy, State
from faults.schedule import Kind
from faults.town import Town

GATEWAY: Final = "gateway"
STATION: Final = "station"
BROKER: Final = "broker"
UPLINK: Final = "the gateway's link"
DOWNLINK: Final = "the station's link"
LINE: Final = "line"
PROCESSORS: Final = "processors"

HOGS_EACH: Final = 2
"""So many programs for each processor, which do nothing but count."""
SPARE_BYTES: Final = 1 << 20
"""What a program may still get when memory is short: a few more objects, no further thread."""

Harm = Callable[["Field", Random], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Field:
    """What may be hurt."""

    town: Town
    disk: CuttableDisk | None = None
    """The gateway's, where this machine lets us cut one off."""
    broker_disk: SmallDisk | None = None
    """The broker's, where this machine lets us make one."""

    @property
    def uplink(self) -> Proxy:
        """Between gateway and broker."""
        return self.town.box.links["gateway-gw1"]

    @property
    def downlink(self) -> Proxy:
        """Between broker and station."""
        return self.town.box.links["station"]


@dataclass(frozen=True, slots=True)
class Nemesis:
    """One kind of harm. `rows`: of docs/faults.md. `root`: it needs a disk that only root can make."""

    kind: Kind
    rows: tuple[str, ...]
    harm: Harm
    words: str
    local: bool = False
    root: bool = False


NEMESES: Final[dict[str, Nemesis]] = {}


def nemesis(
    *rows: str, hurts: tuple[str, ...], lasts: tuple[float, float], local: bool = False, root: bool = False
) -> Callable[[Callable[[Field, Random], Iterator[None]]], Harm]:
    """Enter a generator under its rows and its own name, with the first line of its docstring as its words."""

    def enter(harm: Callable[[Field, Random], Iterator[None]]) -> Harm:
        name = "-".join((*rows, *harm.__name__.split("_")))
        words = (harm.__doc__ or "").partition("\n")[0]
        managed = contextmanager(harm)
        NEMESES[name] = Nemesis(Kind(name, frozenset(hurts), *lasts), rows, managed, words, local, root)
        return managed

    return enter


def called(text: str) -> list[str]:
    """The names that somebody means: a whole one, one without its rows, or a row with all that it has."""
    return [
        name for name, one in NEMESES.items() if text in {name, name.removeprefix("-".join(one.rows) + "-"), *one.rows}
    ]


@contextmanager
def _meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have `act` act on a thread until the event it gets is set. What it raises is raised at the end."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        acting = thread.submit(act, over)
        try:
            yield
        finally:
            over.set()
        acting.result()


# Programs


@nemesis("F02", hurts=(GATEWAY,), lasts=(0.2, 3), local=True)
def gateway_killed(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway is killed, and started again."""
    field.town.gateway.kill()
    yield
    field.town.box.start_gateway()


@nemesis("F34", hurts=(STATION,), lasts=(0.2, 3))
def station_killed(field: Field, _dice: Random) -> Iterator[None]:
    """The station is killed amid its work, and started again."""
    field.town.station.kill()
    yield
    field.town.box.start_station()


@nemesis("F52", hurts=(STATION,), lasts=(6, 12))
def station_away(field: Field, _dice: Random) -> Iterator[None]:
    """The station is stopped in order, and comes back later."""
    field.town.station.stop()
    yield
    field.town.box.start_station()


@nemesis("F54", hurts=(STATION,), lasts=(2, 8))
def station_stalled(field: Field, _dice: Random) -> Iterator[None]:
    """The station stands still, alive (SIGSTOP)."""
    with _stalled(field.town.station.process.pid):
        yield


@nemesis("F54", hurts=(GATEWAY,), lasts=(1, 3), local=True)
def gateway_stalled(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway stands still, alive (SIGSTOP)."""
    with _stalled(field.town.gateway.process.pid):
        yield


@nemesis("F23", hurts=(BROKER, UPLINK, DOWNLINK), lasts=(0.2, 5))
def broker_killed(field: Field, _dice: Random) -> Iterator[None]:
    """The broker is killed and forgets what it had not written."""
    field.town.box.broker.kill()
    yield
    field.town.box.broker.start()


@nemesis("F19", hurts=(BROKER, UPLINK, DOWNLINK), lasts=(1, 6))
def broker_stalled(field: Field, _dice: Random) -> Iterator[None]:
    """The broker stands still: every connection is there, and nobody answers."""
    field.town.box.broker.suspend()
    yield
    field.town.box.broker.resume()


@contextmanager
def _stalled(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@nemesis("F55", hurts=(PROCESSORS,), lasts=(3, 15))
def processors_hogged(_field: Field, _dice: Random) -> Iterator[None]:
    """Two other programs on each processor do nothing but count."""
    count = [sys.executable, "-c", "while True: pass"]
    hogs = [
        children.start(count, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(HOGS_EACH * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@nemesis("F55", hurts=(STATION,), lasts=(2, 8))
def station_without_descriptors(field: Field, _dice: Random) -> Iterator[None]:
    """The station can open no file and take no connection."""
    with _limited(field.town.station, resource.RLIMIT_NOFILE, _next_descriptor(field.town.station)):
        yield


@nemesis("F55", hurts=(GATEWAY, UPLINK), lasts=(2, 8))
def gateway_without_descriptors(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway can open no file, and its connection is gone besides."""
    with _limited(field.town.gateway, resource.RLIMIT_NOFILE, _next_descriptor(field.town.gateway)):
        field.uplink.be(State(cut=True))
        field.uplink.be(State())
        yield


@nemesis("F55", hurts=(STATION,), lasts=(2, 8))
def station_without_memory(field: Field, _dice: Random) -> Iterator[None]:
    """The station gets no more memory; where it ends of that, it is started again."""
    with _limited(field.town.station, resource.RLIMIT_AS, _memory_bytes(field.town.station) + SPARE_BYTES):
        yield
    if not field.town.station.alive:
        field.town.box.start_station()


@nemesis("F55", hurts=(GATEWAY,), lasts=(2, 8), local=True)
def gateway_without_memory(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway gets no more memory; where it ends of that, it is started again."""
    with _limited(field.town.gateway, resource.RLIMIT_AS, _memory_bytes(field.town.gateway) + SPARE_BYTES):
        yield
    if not field.town.gateway.alive:
        field.town.box.start_gateway()


@contextmanager
def _limited(program: Running, limit: int, most: int) -> Iterator[None]:
    """Give a running program no more than so much of something."""
    soft, hard = resource.prlimit(program.process.pid, limit)
    resource.prlimit(program.process.pid, limit, (most, hard))
    try:
        yield
    finally:
        if program.alive:
            resource.prlimit(program.process.pid, limit, (soft, hard))


def _next_descriptor(program: Running) -> int:
    """The number that the next file would get, if there was no gap."""
    return max(int(one.name) for one in Path(f"/proc/{program.process.pid}/fd").iterdir()) + 1


def _memory_bytes(program: Running) -> int:
    """What it has of addresses now."""
    pages = int(Path(f"/proc/{program.process.pid}/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


# Links


@contextmanager
def _being(link: Proxy, state: State) -> Iterator[None]:
    link.be(state)
    try:
        yield
    finally:
        link.be(State())


@nemesis("F18", hurts=(UPLINK,), lasts=(1, 12))
def uplink_cut(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's link to the broker is cut."""
    with _being(field.uplink, State(cut=True)):
        yield


@nemesis("F19", hurts=(UPLINK,), lasts=(3, 12))
def uplink_half_open(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's link is there, and nothing comes through either way."""
    with _being(field.uplink, State(to_server=False, to_client=False)):
        yield


@nemesis("F20", hurts=(UPLINK,), lasts=(3, 12))
def uplink_one_way(field: Field, dice: Random) -> Iterator[None]:
    """The gateway's link is deaf on one side."""
    up = dice.random() < 0.5
    with _being(field.uplink, State(to_server=up, to_client=not up)):
        yield


@nemesis("F22", hurts=(UPLINK,), lasts=(3, 10))
def uplink_slow(field: Field, dice: Random) -> Iterator[None]:
    """The gateway's link delays everything and carries little."""
    with _being(field.uplink, State(delay_s=dice.uniform(0.05, 0.5), rate=dice.choice((4_000, 16_000, 64_000)))):
        yield


@nemesis("F21", hurts=(UPLINK,), lasts=(6, 30))
def uplink_flaps(field: Field, dice: Random) -> Iterator[None]:
    """The gateway's link goes and comes, every half second to two seconds, as long as it lasts."""
    each_s = dice.choice((0.5, 1.0, 2.0))

    def flap(over: threading.Event) -> None:
        while not over.is_set():
            with _being(field.uplink, State(cut=True)):
                over.wait(each_s)
            over.wait(each_s)

    with _meanwhile(flap):
        yield


@nemesis("F18", "F20", hurts=(DOWNLINK,), lasts=(1, 8))
def downlink_hurt(field: Field, dice: Random) -> Iterator[None]:
    """The station's link is cut, or deaf on one side."""
    ways = (State(cut=True), State(to_server=False), State(to_client=False))
    with _being(field.downlink, dice.choice(ways)):
        yield


# Lines


@nemesis("F36", "F44", hurts=(LINE,), lasts=(2, 10))
def line_noisy(field: Field, dice: Random) -> Iterator[None]:
    """Bits turn on the line, frames are split, repeated and lost."""
    faults = [
        {"fault": "noise", "per_byte": dice.choice((0.0005, 0.002))},
        {"fault": "split", "per_frame": 0.3, "pause_ms": 3.0},
        {"fault": "duplicate", "per_frame": 0.3},
        {"fault": "loss", "per_frame": dice.choice((0.02, 0.1))},
    ]
    field.town.village.do("faults", line="line1", faults=faults)
    yield
    field.town.village.do("faults", line="line1", faults=[])


# Disk


@nemesis("F09", hurts=(GATEWAY,), lasts=(2, 6))
def disk_slow(field: Field, dice: Random) -> Iterator[None]:
    """The gateway's disk takes its time over every commit."""
    kill_file = field.town.box.kill_file(field.town.gateway.name)
    fresh = kill_file.with_suffix(".new")
    fresh.write_text(f"journal.append:delay:{dice.choice((200, 500, 1_000))}")
    fresh.replace(kill_file)
    yield
    kill_file.unlink()


@nemesis("F01", hurts=(GATEWAY,), lasts=(0.1, 2), local=True, root=True)
def power_cut(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's box loses power: what its disk was not made to keep is gone."""
    with _without_power(field):
        yield


@nemesis("F48", hurts=(GATEWAY, UPLINK), lasts=(0.5, 3), local=True, root=True)
def storm_in_the_dark(field: Field, dice: Random) -> Iterator[None]:
    """Every unit is pressed while the gateway's link is cut, and in the middle of that its box loses power."""
    with _being(field.uplink, State(cut=True)):
        for unit in dice.sample(sorted(DOORS), len(DOORS)):
            field.town.village.do("press", unit=unit, key=dice.choice(sorted(LOUD)), hold_ms=30)
        time.sleep(dice.uniform(0, 0.6))
        with _without_power(field):
            yield


@contextmanager
def _without_power(field: Field) -> Iterator[None]:
    """Program and disk go together, the program first.

    A kernel that is cut off by ioctl lives on, and may tell a sync under way that it is done.
    """
    disk = _disk(field)
    os.kill(field.town.gateway.process.pid, signal.SIGSTOP)
    disk.cut()
    field.town.gateway.kill()
    yield
    disk.restore(checked=True)
    field.town.box.start_gateway()


@nemesis("F06", hurts=(GATEWAY,), lasts=(1, 5), root=True)
def disk_full(field: Field, _dice: Random) -> Iterator[None]:
    """Something else fills the gateway's disk."""
    filled = fill(_disk(field).mountpoint)
    yield
    filled.unlink()


@nemesis("F25", hurts=(BROKER, UPLINK, DOWNLINK), lasts=(1, 5), root=True)
def broker_disk_full(field: Field, _dice: Random) -> Iterator[None]:
    """The broker's disk is full when it wants to save its queues, and then it is killed."""
    assert field.broker_disk is not None, "asked for only where there is one"
    broker = field.town.box.broker
    filled = fill(field.broker_disk.mountpoint)
    os.kill(broker.pid, signal.SIGUSR1)  # it saves
    yield
    os.kill(broker.pid, signal.SIGUSR1)
    broker.kill()
    filled.unlink()
    broker.start()


@nemesis("F08", hurts=(GATEWAY,), lasts=(1, 4), local=True, root=True)
def disk_read_only(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's disk takes no more writes, as one does that has found an error, until the box is started anew."""
    disk = _disk(field)
    disk.fail()
    yield
    field.town.gateway.kill()
    disk.restore(checked=True)
    field.town.box.start_gateway()


def _disk(field: Field) -> CuttableDisk:
    assert field.disk is not None, "asked for only where there is one"
    return field.disk


def within_reach(*, root: bool) -> dict[str, Nemesis]:
    """The nemeses that this machine can let loose."""
    return {name: one for name, one in NEMESES.items() if root or not one.root}


def shortened(kind: Kind, most_s: float) -> Kind:
    """The same fault for a short attack."""
    return replace(kind, shortest_s=min(kind.shortest_s, most_s), longest_s=min(kind.longest_s, most_s))
