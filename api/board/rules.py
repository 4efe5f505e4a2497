"""The map of a grid: outlines of areas as shapes on paper. Pure, and of areas alone: no place is on it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 420
MARGIN: Final = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """An area on paper: its corners as SVG writes them, and where its name stands."""

    name: str
    points: str
    x: int
    y: int
    inner: bool
    """Whether it lies in the grid whose map this is."""


def shapes(outlines: Sequence[tuple[str, str]]) -> list[Shape]:
    """Draw (name, outline) on one sheet; the first is the grid itself. North is up, and lengths are true."""
    corners = [[(float(lon), float(lat)) for lon, lat in json.loads(outline)] for _, outline in outlines]
    every = [point for one in corners for point in one]
    if not every:
        return []
    west, south = min(lon for lon, _ in every), min(lat for _, lat in every)
    east, north = max(lon for lon, _ in every), max(lat for _, lat in every)
    narrow = cos(radians((south + north) / 2))
    wide, high = max((east - west) * narrow, 1e-9), max(north - south, 1e-9)
    scale = min((WIDTH - 2 * MARGIN) / wide, (HEIGHT - 2 * MARGIN) / high)

    def on_paper(lon: float, lat: float) -> tuple[int, int]:
        return round(MARGIN + (lon - west) * narrow * scale), round(MARGIN + (north - lat) * scale)

    drawn: list[Shape] = []
    for number, ((name, _), one) in enumerate(zip(outlines, corners, strict=True)):
        points = [on_paper(*point) for point in one]
        x, y = (sum(part) // len(points) for part in zip(*points, strict=True))
        text = " ".join(f"{left},{top}" for left, top in points)
        drawn.append(Shape(name, text, x, y, inner=number > 0))
    return drawn
