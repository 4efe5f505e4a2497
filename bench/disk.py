"""A disk that takes its time: the journal's commit is delayed on purpose, by the same means as in the tests.

1. Every commit takes 20 ms longer, as on a slow card, while a line of 115200 baud is as full as it can be (320 frames a
   second, each a check-in that must be kept). Nothing may be lost, and what waits may not grow.
2. Every commit takes 5 s longer, as on a card that is about to die. Neighbours must be rung all the same: the ten units
   of a group get their siren frames within a second of the press, though it is not on disk yet.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.figures import Figure, at_most, exactly, percentile
from bench.listening import STATION, Receivers
from bench.places import GATEWAY, Place
from bench.terminal import Terminal
from devices.frames import FRAME_BYTES
from devices.timing import LineTiming

BAUD: Final = 115_200
SLOW_MS: Final = 20
FULL_S: Final = 8.0
DYING_MS: Final = 5_000
PRESSES: Final = 10
EVERY_S: Final = 0.7
SIREN_S: Final = 1.0
ARRIVE_S: Final = 60.0
SETTLE_S: Final = 2.0
BACKLOG: Final = 320
"""What a second of a full line brings."""


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    return [*_slow(directory / "slow"), *_dying(directory / "dying")]


def backlog(went: Sequence[int], came: Sequence[int]) -> int:
    """The most that had gone and not come at any moment; times in ns, of the same things in any order."""
    came = sorted(came)
    return max(gone - bisect_right(came, at) for gone, at in enumerate(sorted(went), 1))


def _slow(directory: Path) -> list[Figure]:
    place = Place(groups=10, baud=BAUD, accounts=False)
    part = f"commit + {SLOW_MS} ms, full line"
    every_s = LineTiming(BAUD, FRAME_BYTES).frame_ns / 1e9
    with place.box(directory) as box, Receivers(box) as receivers:
        crowd = place.crowd(box)
        with Terminal(place.port(box), crowd.hear) as line:
            box.start_gateway(GATEWAY, interfere=[f"journal.append:delay:{SLOW_MS}"])
            time.sleep(SETTLE_S)
            receivers.forget()
            units = place.units
            frames = [crowd.check_in(units[index % len(units)]) for index in range(int(FULL_S / every_s))]
            went = line.write_paced((one.frame for one in frames), every_s=every_s)
            receivers.wait(len(frames), timeout_s=ARRIVE_S)
            went_ns = {(one.unit, one.number): at for one, at in zip(frames, went, strict=True)}
            came_ns: dict[tuple[str, int], int] = {}
            for arrival in receivers.arrivals():
                if arrival.audience == STATION:
                    body = arrival.body
                    came_ns.setdefault((body["unit"], int(body["detail"]["tag"], 16)), arrival.at_ns)
    times = [(came_ns[key] - at) / 1e9 for key, at in went_ns.items() if key in came_ns]
    lost = len(went_ns.keys() - came_ns.keys())
    told = [
        Figure(part=part, name="frames", value=len(frames) / (went[-1] - went[0]) * 1e9, unit="frames/s"),
        Figure(part=part, name="lost", value=lost, unit="events", bound=exactly(0)),
    ]
    if times:
        told += [
            Figure(
                part=part,
                name="most that waited at once",
                value=backlog(list(went_ns.values()), list(came_ns.values())),
                unit="events",
                bound=at_most(BACKLOG, "one second of the line"),
            ),
            Figure(
                part=part,
                name="frame -> station, p99",
                value=percentile(times, 0.99),
                unit="s",
                note=f"p50 {percentile(times, 0.5):.3f}, last second p50 {percentile(times[-BACKLOG:], 0.5):.3f}",
            ),
        ]
    return told


def _dying(directory: Path) -> list[Figure]:
    place = Place(groups=PRESSES, baud=BAUD)
    part = f"commit + {DYING_MS / 1000:g} s"
    with place.box(directory) as box, Receivers(box) as receivers:
        crowd = place.crowd(box)
        with Terminal(place.port(box), crowd.hear) as line:
            box.start_gateway(GATEWAY, interfere=[f"journal.append:delay:{DYING_MS}"])
            time.sleep(0.5)
            receivers.forget()
            went: dict[str, int] = {}
            wanted = 0
            for group in range(PRESSES):
                press = crowd.press(place.units[group * 10])
                went[press.unit] = line.write(press.frame)
                wanted += 1 + len(place.audiences_of(press.unit))
                time.sleep(EVERY_S)
            come = receivers.wait(wanted, timeout_s=ARRIVE_S)
            count = receivers.count()
        sirens = list(crowd.heard.sirens)
    waits: list[float] = []
    silent = 0
    for unit, at_ns in went.items():
        for neighbour in place.neighbours_of(unit):
            rung = next((when for when, who, _ in sirens if who == neighbour and when >= at_ns), None)
            silent += rung is None
            waits += [] if rung is None else [(rung - at_ns) / 1e9]
    return [
        Figure(part=part, name="without siren", value=silent, unit="units", bound=exactly(0)),
        Figure(
            part=part,
            name="press written -> siren frame written, slowest",
            value=max(waits, default=float("inf")),
            unit="s",
            bound=at_most(SIREN_S),
            note=f"{len(waits)} units",
        ),
        Figure(part=part, name="messages lost", value=0 if come else wanted - count, unit="messages", bound=exactly(0)),
    ]
