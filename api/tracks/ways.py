"""How long somebody needs from a checkpoint to another at least: pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from math import asin, cos, radians, sin, sqrt
from typing import Final

EARTH_M: Final = 6_371_000
SPEED_LIMIT_MMS: Final = 7_000
"""25 km/h in mm/s: an electric bicycle at its limit, so that nobody is ruled out wrongly."""

FASTER: Final = 5
"""How much faster than walking the limit is: 7 m/s and 1.4 m/s."""


class By(StrEnum):
    """What a least time rests on."""

    LEGS = "legs"
    """The least walking times that were put down for the legs."""
    SPEED = "speed"
    """The straight line and the speed limit."""


@dataclass(frozen=True, slots=True)
class Least:
    """The least time in ms, and what it rests on."""

    ms: int
    by: By


@dataclass(frozen=True, slots=True)
class Ways:
    """Least times between points. `legs` in ms (good both ways where one is put down), `positions` in 1e-7 degrees.

    Where a leg is put down, it or a shorter way over other legs counts; elsewhere the straight line at the speed limit,
    or a shorter way over legs. Only where both are unknown, None.
    """

    legs: Mapping[tuple[str, str], int]
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    limit_mms: int = SPEED_LIMIT_MMS
    _next: Mapping[str, Mapping[str, int]] = field(init=False, repr=False, compare=False)
    _found: dict[str, dict[str, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        around: dict[str, dict[str, int]] = {}
        for (one, other), ms in self.legs.items():
            around.setdefault(one, {})[other] = ms
            if (other, one) not in self.legs:
                around.setdefault(other, {})[one] = ms
        object.__setattr__(self, "_next", around)
        object.__setattr__(self, "_found", {})

    def least(self, one: str, other: str) -> Least | None:
        """From one point to another; 0 from a point to itself."""
        if one == other:
            return Least(0, By.LEGS)
        walked = self._over_legs(one).get(other)
        straight = None if other in self._next.get(one, {}) else self._straight(one, other)
        if walked is not None and (straight is None or walked <= straight):
            return Least(walked, By.LEGS)
        return None if straight is None else Least(straight, By.SPEED)

    def fastest(self, one: str, other: str) -> int | None:
        """The least time in ms of whoever drives at the limit; in less, nobody was at both."""
        straight = self._straight(one, other)
        if straight is not None:
            return straight
        least = self.least(one, other)
        return None if least is None else least.ms // FASTER

    def _straight(self, one: str, other: str) -> int | None:
        here, there = self.positions.get(one), self.positions.get(other)
        if here is None or there is None:
            return None
        return int(metres(here, there) * 1_000_000 / self.limit_mms)

    def _over_legs(self, start: str) -> Mapping[str, int]:
        """Least times from `start` over legs (Dijkstra), worked out once."""
        if (known := self._found.get(start)) is not None:
            return known
        found: dict[str, int] = {}
        ahead = [(0, start)]
        while ahead:
            ms, point = heappop(ahead)
            if point in found:
                continue
            found[point] = ms
            for onward, leg_ms in self._next.get(point, {}).items():
                if onward not in found:
                    heappush(ahead, (ms + leg_ms, onward))
        self._found[start] = found
        return found


def metres(one: tuple[int, int], other: tuple[int, int]) -> float:
    """The way as the crow flies between two positions (latitude, longitude in 1e-7 degrees)."""
    (lat, lon), (lat2, lon2) = ((radians(a / 1e7), radians(b / 1e7)) for a, b in (one, other))
    half = sin((lat2 - lat) / 2) ** 2 + cos(lat) * cos(lat2) * sin((lon2 - lon) / 2) ** 2
    return 2 * EARTH_M * asin(min(1.0, sqrt(half)))
