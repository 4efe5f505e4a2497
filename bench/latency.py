"""One press at a time: from the moment its frame is written to the line until the audiences have it.

The line is a pseudo-terminal without a baud, so that the gateway is measured and not the wire. Every press is a panic
in a group of ten: the station's event, then a view each for police, community, grid and nine neighbours, all signed.
Floors and product take turns within the run, at the same pace.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.figures import Figure, at_most, exactly, in_words, percentile
from bench.floors import FloorKit, Floors, a_while
from bench.listening import STATION, Arrival, Receivers
from bench.places import Place
from bench.terminal import Terminal

PART: Final = "one press"
ROUNDS: Final = 5
PRESSES: Final = 50
"""In each round."""
FLOOR_SAMPLES: Final = 50
HURRIED_SAMPLES: Final = 20
WARM_UP: Final = 10
ARRIVE_S: Final = 10.0
SETTLE_S: Final = 1.5
FIRST, LAST, LAST_P99 = 2.5, 5.0, 10.0
"""Bounds, as multiples of the floor sum."""


@dataclass(slots=True)
class Presses:
    """What became of single presses, in milliseconds after the frame was written."""

    first: list[float] = field(default_factory=list)
    """The first audience has it."""
    last: list[float] = field(default_factory=list)
    """All audiences have it."""
    station: list[float] = field(default_factory=list)
    """The station has the event."""
    incomplete: int = 0
    """Presses of which somebody did not learn, or somebody who must not."""

    def take(self, went_ns: dict[str, int], arrivals: list[Arrival], wanted: dict[str, tuple[str, ...]]) -> None:
        """Add the presses in `went_ns` (by press key); `wanted` are the audiences that each must reach."""
        key_of = {
            one.body["id"]: one.body["press"] for one in arrivals if one.audience == STATION and "press" in one.body
        }
        came: dict[str, dict[str, float]] = {key: {} for key in went_ns}
        for arrival in arrivals:
            key = key_of.get(arrival.body["id"], "")
            if key in came:
                came[key].setdefault(arrival.audience, (arrival.at_ns - went_ns[key]) / 1e6)
        for key, times in came.items():
            station = times.pop(STATION, None)
            if station is None or set(times) != set(wanted[key]):
                self.incomplete += 1
                continue
            self.station.append(station)
            self.first.append(min(times.values()))
            self.last.append(max(times.values()))


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    place = Place(groups=1, baud=921_600)
    dice = random.Random("latency")
    floors, hurried, presses = Floors(), Floors(), Presses()
    with place.box(directory) as box, FloorKit(directory / "floors") as kit:
        crowd = place.crowd(box)
        with Terminal(place.port(box), crowd.hear) as line, Receivers(box) as receivers:
            box.start_gateway()
            time.sleep(SETTLE_S)
            for round_ in range(ROUNDS + 1):
                if round_:
                    floors.add(kit.measure(FLOOR_SAMPLES, pause_s=lambda: a_while(dice)))
                    hurried.add(kit.measure(HURRIED_SAMPLES))
                receivers.forget()
                went_ns: dict[str, int] = {}
                wanted: dict[str, tuple[str, ...]] = {}
                count = 0
                for index in range(PRESSES if round_ else WARM_UP):
                    press = crowd.press(place.units[index % len(place.units)])
                    wanted[press.key] = place.audiences_of(press.unit)
                    count += 1 + len(wanted[press.key])
                    went_ns[press.key] = line.write(press.frame)
                    receivers.wait(count, timeout_s=ARRIVE_S)
                    time.sleep(a_while(dice))
                if round_:
                    presses.take(went_ns, receivers.arrivals(), wanted)
    return figures(floors, presses, hurried)


def figures(floors: Floors, presses: Presses, hurried: Floors) -> list[Figure]:
    """What is told about it."""
    floor = floors.sum_ms
    parts = {"pty to reader": floors.pty, "commit FULL, executor": floors.commit, "publish to arrival": floors.publish}
    made = [
        Figure(part="floors", name=f"{name}, p50", value=percentile(samples, 0.5), unit="ms", note=_spread(samples))
        for name, samples in parts.items()
    ]
    made.append(Figure(part="floors", name="floor sum", value=floor, unit="ms", note="with the pauses of the presses"))
    made.append(Figure(part="floors", name="floor sum, back to back", value=hurried.sum_ms, unit="ms"))
    if not presses.last:
        return [
            *made,
            Figure(
                part=PART,
                name="presses with a wrong audience",
                value=presses.incomplete,
                unit="events",
                bound=exactly(0),
            ),
        ]

    def against(name: str, value: float, factor: float | None, note: str = "") -> Figure:
        bound = None if factor is None else at_most(factor * floor, f"{factor:g} x floor sum")
        return Figure(part=PART, name=name, value=value, unit="ms", floor=floor, bound=bound, note=note)

    return [
        *made,
        against("station, p50", percentile(presses.station, 0.5), None, _spread(presses.station)),
        against("first audience, p50", percentile(presses.first, 0.5), FIRST, _spread(presses.first)),
        against("last of 12 audiences, p50", percentile(presses.last, 0.5), LAST, _spread(presses.last)),
        against("last of 12 audiences, p99", percentile(presses.last, 0.99), LAST_P99, f"{len(presses.last)} presses"),
        Figure(
            part=PART, name="presses with a wrong audience", value=presses.incomplete, unit="events", bound=exactly(0)
        ),
    ]


def _spread(samples: list[float]) -> str:
    return "p95 " + in_words(percentile(samples, 0.95), "") + ", p99 " + in_words(percentile(samples, 0.99), "")
