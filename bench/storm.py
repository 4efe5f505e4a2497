"""Five thousand frames at once: how many events a second get through, against the bare loop.

The frames are sealed in advance by 300 units and written to the line as fast as it takes them. A run ends when the last
message has arrived at the last receiver. Product and bare loop take turns; receivers, broker, line, number of messages
and their length are the same for both. The product opens the seals, judges, rings (the units confirm their sirens),
answers every unit, signs everything and marks what the station has receipted; the bare loop does none of that.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.crowd import Crowd, Prepared
from bench.figures import Figure, at_least, at_most, exactly, middle, out_of_order
from bench.footprint import rss_mib
from bench.listening import STATION, Arrival, Receivers
from bench.places import GATEWAY, Place
from bench.terminal import Terminal
from broker.ids import StationId
from broker.signing import EnvelopeError, Verifier, gateway_kid
from broker.topics import Name, build
from deploy import accounts
from deploy.box import Box

EVENTS: Final = 5_000
ROUNDS: Final = 3
GROUPS: Final = 30
ARRIVE_S: Final = 90.0
SETTLE_S: Final = 2.5
VERIFIED: Final = 11
"""Every so manieth message's signature is checked."""
SHARE: Final = 0.5
RSS_MIB, GROWTH_MIB = 80.0, 15.0
LENGTHS: Final = {"check-ins": 640, "panics": 420}
"""Octets of a message of the bare loop: about what the product's are long."""


@dataclass(slots=True)
class Results:
    """Of all rounds of one kind of storm."""

    bare: list[float] = field(default_factory=list)
    product: list[float] = field(default_factory=list)
    lost: int = 0
    foreign: int = 0
    """Messages that nobody should have had."""
    copies: int = 0
    late: int = 0
    """Messages that came behind a later one of the same unit."""
    unsigned: int = 0


def measure(directory: Path, *, rounds: int = ROUNDS, events: int = EVENTS) -> list[Figure]:
    """All figures of this chapter."""
    place = Place(groups=GROUPS, baud=921_600)
    results = {kind: Results() for kind in LENGTHS}
    idle, after = [], []
    with place.box(directory) as box, Receivers(box) as receivers:
        crowd = place.crowd(box)
        for _ in range(rounds):
            for kind, length in LENGTHS.items():
                frames = prepare(place, crowd, kind, events)
                results[kind].bare.append(_bare(place, box, receivers, frames, kind=kind, length=length))
            with Terminal(place.port(box), crowd.hear) as line:
                gateway = box.start_gateway(GATEWAY)
                time.sleep(SETTLE_S)
                idle.append(rss_mib(gateway.process.pid))
                for kind in LENGTHS:
                    frames = prepare(place, crowd, kind, events)
                    results[kind].product.append(_product(place, line, receivers, frames, kind=kind))
                    check(results[kind], place, frames, receivers.arrivals(), _verifier(box), kind=kind)
                after.append(rss_mib(gateway.process.pid))
                gateway.stop()
    return [
        *(figure for kind, result in results.items() for figure in _figures(kind, result, events)),
        Figure(part="memory", name="gateway, idle", value=middle(idle), unit="MiB"),
        Figure(
            part="memory",
            name="gateway, after the storms",
            value=max(after),
            unit="MiB",
            bound=at_most(RSS_MIB),
            note="rounds " + ", ".join(f"{early:.0f} to {late:.0f}" for early, late in zip(idle, after, strict=True)),
        ),
        Figure(
            part="memory",
            name="growth over idle",
            value=max(late - early for early, late in zip(idle, after, strict=True)),
            unit="MiB",
            bound=at_most(GROWTH_MIB),
            note="the highest of all rounds",
        ),
    ]


def prepare(place: Place, crowd: Crowd, kind: str, events: int) -> list[Prepared]:
    """Seal the frames of one storm: every unit about as often, in an order like that of a crowd."""
    crowd.power_up()
    units = [place.units[index % len(place.units)] for index in range(events)]
    random.Random(f"storm {kind}").shuffle(units)
    say = crowd.check_in if kind == "check-ins" else crowd.press
    return [say(unit) for unit in units]


def wanted(place: Place, kind: str, unit: str) -> tuple[str, ...]:
    """Who must learn of it."""
    return (STATION,) if kind == "check-ins" else (STATION, *place.audiences_of(unit))


def _product(place: Place, line: Terminal, receivers: Receivers, frames: list[Prepared], *, kind: str) -> float:
    """Events a second."""
    receivers.forget()
    count = sum(len(wanted(place, kind, one.unit)) for one in frames)
    began_ns = line.write(b"".join(one.frame for one in frames))
    receivers.wait(count, timeout_s=ARRIVE_S)
    return len(frames) * 1e9 / (receivers.last_ns() - began_ns)


def _bare(place: Place, box: Box, receivers: Receivers, frames: list[Prepared], *, kind: str, length: int) -> float:
    topics = [[_topic(box, audience) for audience in wanted(place, kind, one.unit)] for one in frames]
    user = accounts.gateway_user(box.site, GATEWAY)
    receivers.forget()
    with Terminal(place.port(box)) as line:
        orders = {
            "line": str(line.path),
            "store": str(box.directory / "bare.db"),
            "port": box.broker.port,
            "user": user,
            "password": box.keys.password(user),
            "topics": topics,
            "length": length,
        }
        with _bare_loop(orders):
            began_ns = line.write(b"".join(one.frame for one in frames))
            count = sum(len(one) for one in topics)
            if not receivers.wait(count, timeout_s=ARRIVE_S):
                raise RuntimeError(f"of {count} messages of the bare loop {receivers.count()} arrived")
            return len(frames) * 1e9 / (receivers.last_ns() - began_ns)


@contextmanager
def _bare_loop(orders: dict[str, object]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(orders) + "\n")
    process.stdin.flush()
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the bare loop ended with {process.wait()}")
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(10)


def _topic(box: Box, audience: str) -> str:
    station: StationId = box.site.station.id
    role, _, id_ = audience.partition(":")
    names = {
        STATION: Name.GATEWAY_EVENT,
        "police": Name.POLICE_ALARM,
        "community": Name.COMMUNITY_ALARM,
        "grid": Name.GRID_ALARM,
        "household": Name.HOUSEHOLD_ALARM,
    }
    return build(names[role], station, GATEWAY if audience == STATION else id_)


def _verifier(box: Box) -> Verifier:
    kid = gateway_kid(GATEWAY)
    return Verifier(box.site.station.id, {kid: bytes.fromhex(box.keys.public_key(kid))})


def check(
    result: Results, place: Place, frames: list[Prepared], arrivals: list[Arrival], verifier: Verifier, *, kind: str
) -> None:
    """Compare what came with what had to come: nothing lost, nothing foreign, in order, signed."""
    keys: dict[str, str] = {}
    for one in arrivals:
        if one.audience == STATION:
            body = one.body
            keys[body["id"]] = body["press"] if kind == "panics" else f"{body['unit']}:{int(body['detail']['tag'], 16)}"
    numbers = {one.key if kind == "panics" else f"{one.unit}:{one.number}": one for one in frames}
    came: Counter[tuple[str, str]] = Counter()
    orders: dict[str, list[tuple[str, int]]] = {}
    for index, one in enumerate(arrivals):
        key = keys.get(one.body["id"], "")
        if key not in numbers:
            result.foreign += 1
            continue
        came[key, one.audience] += 1
        if came[key, one.audience] == 1:
            orders.setdefault(one.audience, []).append((numbers[key].unit, numbers[key].number))
        if index % VERIFIED == 0:
            try:
                verifier.open(one.topic, one.payload.encode(), retained=False)
            except EnvelopeError:
                result.unsigned += 1
    must = {(key, audience) for key, one in numbers.items() for audience in wanted(place, kind, one.unit)}
    result.lost += len(must - came.keys())
    result.foreign += len(came.keys() - must)
    result.copies += sum(times - 1 for times in came.values())
    result.late += sum(out_of_order(order) for order in orders.values())


def _figures(kind: str, result: Results, events: int) -> list[Figure]:
    part = f"storm of {events:,} {kind}"
    bare = middle(result.bare)
    rounds = ", ".join(f"{one:,.0f}/{other:,.0f}" for one, other in zip(result.product, result.bare, strict=True))

    def none(name: str, value: int) -> Figure:
        return Figure(part=part, name=name, value=value, unit="messages", bound=exactly(0))

    return [
        Figure(part=part, name="bare loop", value=bare, unit="events/s"),
        Figure(
            part=part,
            name="product",
            value=middle(result.product),
            unit="events/s",
            floor=bare,
            bound=at_least(SHARE * bare, f"{SHARE:g} x bare loop"),
            note=f"rounds {rounds}",
        ),
        none("lost", result.lost),
        none("at somebody who must not have it", result.foreign),
        none("behind a later one of the same unit", result.late),
        none("not signed", result.unsigned),
        Figure(part=part, name="copies", value=result.copies, unit="messages"),
    ]
