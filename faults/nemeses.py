"""What goes wrong: each nemesis does harm to a running town and takes it back. Numbers are rows of docs/faults.md.

A nemesis is a generator of one step, as a context manager is made: harm, yield, take it back. It gets the town and
dice; how long it lasts the schedule says. What it `hurts` is touched by no other meanwhile. `local`: while it lasts,
and a moment after, a siren need not sound within a second, since what would sound it is dead.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from faults.disks import CuttableDisk
from faults.proxy import Proxy, State
from faults.schedule import Kind
from faults.town import Town

GATEWAY: Final = "gateway"
STATION: Final = "station"
BROKER: Final = "broker"
UPLINK: Final = "the gateway's link"
DOWNLINK: Final = "the station's link"
LINE: Final = "line"

Harm = Callable[["Field", Random], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Field:
    """What may be hurt."""

    town: Town
    disk: CuttableDisk | None = None
    """The gateway's, where this machine lets us cut one off."""

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
    """Enter a generator under its own name, with the first line of its docstring as its words."""

    def enter(harm: Callable[[Field, Random], Iterator[None]]) -> Harm:
        name = harm.__name__.replace("_", "-")
        words = (harm.__doc__ or "").partition("\n")[0]
        managed = contextmanager(harm)
        NEMESES[name] = Nemesis(Kind(name, frozenset(hurts), *lasts), rows, managed, words, local, root)
        return managed

    return enter


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


@nemesis("F18", hurts=(UPLINK,), lasts=(0.4, 1.2))
def uplink_flaps(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's link goes for a moment."""
    with _being(field.uplink, State(cut=True)):
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
    disk = _disk(field)
    disk.cut()
    field.town.gateway.kill()
    yield
    disk.restore()
    field.town.box.start_gateway()


@nemesis("F06", hurts=(GATEWAY,), lasts=(1, 5), root=True)
def disk_full(field: Field, _dice: Random) -> Iterator[None]:
    """Something else fills the gateway's disk."""
    ballast = _disk(field).mountpoint / "filled"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            try:
                file.write(bytes(1 << 16))
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    break
                raise
    yield
    ballast.unlink()


@nemesis("F08", hurts=(GATEWAY,), lasts=(1, 4), local=True, root=True)
def disk_read_only(field: Field, _dice: Random) -> Iterator[None]:
    """The gateway's disk takes no more writes, as one does that has found an error, until the box is started anew."""
    disk = _disk(field)
    disk.fail()
    yield
    field.town.gateway.kill()
    disk.restore()
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
