"""`shouwang bench`: every chapter in one run, a table or JSON, and whether all bounds were kept."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import desk, disk, footprint, latency, rounds, sirens, station, storm
from bench.figures import Figure, in_words, missed

Chapter = Callable[[Path], list[Figure]]

CHAPTERS: Final[dict[str, Chapter]] = {
    "latency": latency.measure,
    "storm": storm.measure,
    "sirens": sirens.measure,
    "disk": disk.measure,
    "footprint": footprint.measure,
    "station": station.measure,
    "rounds": rounds.measure,
    "desk": desk.measure,
}
ALONE: Final = frozenset({"station", "rounds", "desk"})
"""Chapters that run only when they are asked for: `shouwang bench --only station`."""
KEPT, MISSED = 0, 1
WIDTH: Final = 180
"""Of the table where nobody says how wide the screen is: in a file, in a log."""


def run(*, only: Iterable[str] = (), as_json: bool = False) -> int:
    """Measure; 0 when every bound is kept, 1 when one is missed. `only`: these chapters."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDTH
    began = time.monotonic()
    at = datetime.now(UTC)
    load = os.getloadavg()[0]
    figures: list[Figure] = []
    wanted = set(only) or CHAPTERS.keys() - ALONE
    chosen = {name: chapter for name, chapter in CHAPTERS.items() if name in wanted}
    with tempfile.TemporaryDirectory(prefix="shouwang-bench-") as directory:
        for name, chapter in chosen.items():
            console.print(f"{time.monotonic() - began:5.0f} s  {name} ...", style="dim", highlight=False)
            figures += chapter(Path(directory) / name)
    lost = missed(figures)
    took_s = time.monotonic() - began
    if as_json:
        told = {
            "at": at.isoformat(timespec="seconds"),
            "machine": machine(),
            "took_s": round(took_s, 1),
            "load_before": round(load, 2),
            "figures": [figure.as_json() for figure in figures],
            "missed": [f"{figure.part}: {figure.name}" for figure in lost],
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
    else:
        show(console, figures)
        console.print(f"{machine()}; {took_s:.0f} s; load before {load:.1f}, after {os.getloadavg()[0]:.1f}")
        for figure in lost:
            console.print(f"missed: {figure.part}: {figure.name}", style="bold red")
    return MISSED if lost else KEPT


def show(console: Console, figures: list[Figure]) -> None:
    """Print the table."""
    table = Table(title="shouwang bench", title_justify="left")
    for heading in ("", "figure", "value", "floor", "ratio", "bound", "", "note"):
        table.add_column(heading, justify="right" if heading in {"value", "floor", "ratio", "bound"} else "left")
    part = ""
    for figure in figures:
        if part and part != figure.part:
            table.add_section()
        bound = (
            "" if figure.bound is None else f"{figure.bound.sense.value} {in_words(figure.bound.value, figure.unit)}"
        )
        why = figure.bound.why if figure.bound is not None else ""
        table.add_row(
            "" if part == figure.part else figure.part,
            figure.name,
            in_words(figure.value, figure.unit),
            "" if figure.floor is None else in_words(figure.floor, figure.unit),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            bound,
            {True: "[green]kept", False: "[bold red]missed", None: ""}[figure.kept],
            "; ".join(text for text in (why, figure.note) if text),
        )
        part = figure.part
    console.print(table)


def machine() -> str:
    """What it was measured on."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"
    )
