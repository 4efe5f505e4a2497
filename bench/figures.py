"""The arithmetic of the benchmark: percentiles, ratios and bounds. Pure.

A figure stands with what it was measured against and with the bound that it must keep. A figure that has no bound is
information. What a run says is the list of its figures; the verdict is whether all bounds hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median


class Sense(Enum):
    """On which side of its bound a figure may lie."""

    AT_MOST = "<="
    AT_LEAST = ">="
    EXACTLY = "="


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A limit, in the figure's own unit, and how it came about (`5 x floor sum`)."""

    sense: Sense
    value: float
    why: str = ""

    def holds(self, value: float) -> bool:
        """Whether a figure keeps it."""
        match self.sense:
            case Sense.AT_MOST:
                return value <= self.value
            case Sense.AT_LEAST:
                return value >= self.value
            case Sense.EXACTLY:
                return value == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One result. `part`: the chapter it belongs to; `floor`: what it is compared with, in the same unit."""

    part: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    bound: Bound | None = None
    note: str = ""

    @property
    def kept(self) -> bool | None:
        """Whether its bound holds; None when there is none."""
        return None if self.bound is None else self.bound.holds(self.value)

    @property
    def ratio(self) -> float | None:
        """Against its floor."""
        return None if not self.floor else self.value / self.floor

    def as_json(self) -> dict[str, object]:
        """For a program."""
        told: dict[str, object] = {"part": self.part, "name": self.name, "value": self.value, "unit": self.unit}
        if self.floor is not None:
            told |= {"floor": self.floor, "ratio": self.ratio}
        if self.bound is not None:
            told |= {"bound": f"{self.bound.sense.value} {self.bound.value:g}", "why": self.bound.why}
            told["kept"] = self.kept
        return told | ({"note": self.note} if self.note else {})


def at_most(value: float, why: str = "") -> Bound:
    """The figure may not be greater."""
    return Bound(sense=Sense.AT_MOST, value=value, why=why)


def at_least(value: float, why: str = "") -> Bound:
    """The figure may not be smaller."""
    return Bound(sense=Sense.AT_LEAST, value=value, why=why)


def exactly(value: float, why: str = "") -> Bound:
    """The figure must be this."""
    return Bound(sense=Sense.EXACTLY, value=value, why=why)


def missed(figures: Iterable[Figure]) -> list[Figure]:
    """Those that do not keep their bounds."""
    return [figure for figure in figures if figure.kept is False]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ranked = sorted(values)
    rank = -(-len(ranked) * share // 1)  # rounded up
    return ranked[max(int(rank), 1) - 1]


def middle(rounds: Sequence[float]) -> float:
    """The median of the figures of several rounds: one round that somebody else disturbed does not count."""
    return float(median(rounds))


def out_of_order(numbered: Iterable[tuple[str, int]]) -> int:
    """How many of (unit, number), in the order of arrival, came after a higher number of the same unit."""
    highest: dict[str, int] = {}
    late = 0
    for unit, number in numbered:
        late += number < highest.get(unit, number)
        highest[unit] = max(number, highest.get(unit, number))
    return late


def in_words(value: float, unit: str) -> str:
    """A number as people read it: three digits that count."""
    if unit in {"events", "messages"} or float(value).is_integer():
        return f"{value:,.0f} {unit}".strip()
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}".strip()
