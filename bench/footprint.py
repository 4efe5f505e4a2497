"""How much memory a gateway takes, and how soon after its start a press that already waits on the line is told on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from bench.figures import Figure, at_most, middle
from bench.listening import Receivers
from bench.places import GATEWAY, Place
from bench.terminal import Terminal

ROUNDS: Final = 5
START_S: Final = 1.0
ARRIVE_S: Final = 20.0
POLICE: Final = "police"


def rss_mib(pid: int) -> float:
    """What of a process is in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def private_mib(pid: int) -> float:
    """What of a process is in memory now and in no other's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def measure(directory: Path) -> list[Figure]:
    """From the start of the process until the police have a press that was on the line before."""
    place = Place(groups=1, baud=115_200)
    told: list[float] = []
    kept: list[float] = []
    with place.box(directory) as box, Receivers(box) as receivers:
        crowd = place.crowd(box)
        for _ in range(ROUNDS):
            crowd.power_up()
            receivers.forget()
            with Terminal(place.port(box), crowd.hear) as line:
                press = crowd.press(place.units[0])
                line.write(press.frame)
                began_ns = time.monotonic_ns()
                gateway = box.start_gateway(GATEWAY)
                receivers.wait(1 + len(place.audiences_of(press.unit)), timeout_s=ARRIVE_S)
                time.sleep(0.5)
                arrivals = receivers.arrivals()
                told += [(one.at_ns - began_ns) / 1e9 for one in arrivals if one.audience == POLICE][:1]
                if press.key in crowd.heard.kept:
                    kept.append((crowd.heard.kept[press.key] - began_ns) / 1e9)
                gateway.stop()
    return [
        Figure(
            part="start",
            name="process start to first press at the police",
            value=middle(told) if len(told) == ROUNDS else float("inf"),
            unit="s",
            bound=at_most(START_S),
            note="rounds " + ", ".join(f"{one:.2f}" for one in told),
        ),
        Figure(part="start", name="process start to its answer on the line", value=middle(kept), unit="s"),
    ]
