"""From a press to the sirens, on lines that carry no more than their baud: simulated units on one simulated wire each.

What counts is the gateway's share: **from the moment the gateway has read the first press that concerns a household**
(its own stamp in the event, monotonic clock) **until that household's siren frame begins on the wire** (the unit's own
diary says when the frame had arrived; a frame's time on the wire is taken off). How long the press itself fought for
the wire with everybody else's is told as well, and has no bound: docs/link.md says what a wire can carry.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.figures import Figure, at_most, exactly, percentile
from bench.listening import STATION, Arrival, Receivers
from bench.places import GATEWAY, Place
from deploy.box import BoxError, Village
from devices.frames import FRAME_BYTES
from devices.timing import LineTiming
from firmware_sim.acts import Press
from firmware_sim.scenario import storm

SIREN_S: Final = 1.0
RECORDED_S: Final = 3.0
HELLO_S: Final = 60.0
STORM_S: Final = 60.0
AFTER_S: Final = 2.0
SMALL_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Everybody presses once within this time."""

    groups: int
    baud: int
    within_ms: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.groups * 10} units at {self.baud}, all within {self.within_ms / 1000:g} s"


@dataclass(slots=True)
class Heard:
    """Seconds, of all rounds of one storm."""

    frame: list[float] = field(default_factory=list)
    """Gateway has read a press that concerns a unit -> the unit's siren frame begins."""
    ear: list[float] = field(default_factory=list)
    """Key pressed -> siren at the unit."""
    recorded: list[float] = field(default_factory=list)
    """Key pressed -> the unit knows that its press is kept."""
    silent: int = 0
    """Units whose siren never sounded."""
    unrecorded: int = 0


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    large = Storm(groups=30, baud=115_200, within_ms=10_000)
    small = Storm(groups=1, baud=9_600, within_ms=50)
    heard_large, heard_small = Heard(), Heard()
    _run(large, directory / "large", heard_large, seed=1)
    for seed in range(1, SMALL_ROUNDS + 1):
        _run(small, directory / f"small{seed}", heard_small, seed=seed)
    return [
        *figures(large, heard_large),
        *figures(small, heard_small),
        Figure(
            part=f"sirens: {small.name}",
            name="all presses recorded (the unit knows)",
            value=max(heard_small.recorded, default=float("inf")),
            unit="s",
            bound=at_most(RECORDED_S),
            note=f"the slowest of {SMALL_ROUNDS} rounds",
        ),
    ]


def figures(which: Storm, heard: Heard) -> list[Figure]:
    """What is told about one storm."""
    part = f"sirens: {which.name}"
    told = [
        Figure(part=part, name="without siren", value=heard.silent, unit="units", bound=exactly(0)),
        Figure(part=part, name="presses not recorded", value=heard.unrecorded, unit="presses", bound=exactly(0)),
    ]
    if heard.frame:
        told.append(
            Figure(
                part=part,
                name="press read -> siren frame begins, p99",
                value=percentile(heard.frame, 0.99),
                unit="s",
                bound=at_most(SIREN_S),
                note=f"p50 {percentile(heard.frame, 0.5):.3f}, {len(heard.frame)} units",
            )
        )
    for name, times in (("key -> siren sounds", heard.ear), ("key -> the unit knows", heard.recorded)):
        if times:
            note = f"p50 {percentile(times, 0.5):.2f}, max {max(times):.2f}"
            told.append(Figure(part=part, name=f"{name}, p99", value=percentile(times, 0.99), unit="s", note=note))
    return told


def _run(which: Storm, directory: Path, heard: Heard, *, seed: int) -> None:
    place = Place(groups=which.groups, baud=which.baud, accounts=False)
    with place.box(directory) as box, Receivers(box) as receivers:
        village = box.start_village(GATEWAY, seed=seed)
        box.start_gateway(GATEWAY)
        _wait_for(village, place.units, "hello", timeout_s=HELLO_S)
        offset_ns = time.time_ns() - time.monotonic_ns()
        began = time.monotonic()
        for scene in storm(place.units, within_ms=which.within_ms, seed=seed):
            time.sleep(max(0.0, began + scene.at_ms / 1000 - time.monotonic()))
            assert isinstance(scene.act, Press)
            village.do(scene.act.do, unit=scene.act.unit, key=scene.act.key.name.lower(), hold_ms=scene.act.hold_ms)
        try:
            _wait_for(village, place.units, "press", timeout_s=STORM_S)
        except BoxError:
            heard.unrecorded += len(place.units) - len(_first(village.events, "confirmed", what="press"))
        time.sleep(AFTER_S)
        arrivals = [one for one in receivers.arrivals() if one.audience == STATION]
        take(heard, place, village.events, read_ns(arrivals, offset_ns))


def _wait_for(village: Village, units: Sequence[str], what: str, *, timeout_s: float) -> None:
    """Wait until every unit knows that a message of this kind is kept."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if len(_first(village.events, "confirmed", what=what)) == len(units):
            return
        time.sleep(0.1)
    raise BoxError("sim", f"not every unit had its {what} kept within {timeout_s:g} s")


def _first(events: Sequence[Mapping[str, Any]], *names: str, what: str | None = None) -> dict[str, int]:
    """When each unit's diary first tells of one of these (unix ns)."""
    first: dict[str, int] = {}
    for event in list(events):
        if event.get("event") in names and (what is None or event.get("what") == what):
            first.setdefault(event["unit"], event["at_ns"])
    return first


def read_ns(arrivals: Sequence[Arrival], offset_ns: int) -> dict[str, int]:
    """When the gateway read each unit's press (unix ns), from the events that it sent."""
    told: dict[str, int] = {}
    for arrival in arrivals:
        body = arrival.body
        if body["event"] == "press":
            told.setdefault(body["unit"], body["mono_us"] * 1000 + offset_ns)
    return told


def take(heard: Heard, place: Place, events: Sequence[Mapping[str, Any]], read: Mapping[str, int]) -> None:
    """Add one round."""
    frame_ns = LineTiming(place.baud, FRAME_BYTES).frame_ns
    pressed, sounded = _first(events, "pressed"), _first(events, "siren", "siren_changed")
    kept = _first(events, "confirmed", what="press")
    for unit in place.units:
        if unit in pressed and unit in kept:
            heard.recorded.append((kept[unit] - pressed[unit]) / 1e9)
        group = place.neighbours_of(unit)
        concerning = [read[other] for other in group if other in read]
        if unit not in sounded or not concerning:
            heard.silent += 1
            continue
        heard.frame.append((sounded[unit] - frame_ns - min(concerning)) / 1e9)
        heard.ear.append((sounded[unit] - min(pressed[other] for other in group if other in pressed)) / 1e9)
