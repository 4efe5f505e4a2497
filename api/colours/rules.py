"""Which colour an area has, and which one its alarms suggest: pure.

Theory:

1. A colour is somebody's decision, with a reason and an end. It says how often a patrol goes there and how often an
   officer looks on site; both numbers may be set otherwise for one area.
2. When it ends, the colour that was named for afterwards holds, and the area is shown as to be decided anew: no area
   falls to nothing because somebody was on holiday. An area of which nobody ever decided is blue.
3. Alarms of the last 30 days suggest. A machine never changes a colour. Duress is never counted: whoever may read a
   colour must not learn of it.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from broker.kinds import Words

TABLE: Final = Path(__file__).with_name("colours.toml")
DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
LOOKED_BACK_MS: Final = 30 * DAY_MS
EVERY_LEAST_MIN: Final = 10
EVERY_MOST_MIN: Final = 24 * 60
CHECKS_MOST: Final = 31


class Colour(StrEnum):
    """From most to least."""

    RED = "red"
    ORANGE = "orange"
    YELLOW = "yellow"
    BLUE = "blue"


class Card(StrEnum):
    """The level of a guard's good-person card, best first. No colour of an area, and no grade of a company."""

    FIRST = "first"
    SECOND = "second"
    THIRD = "third"
    FOURTH = "fourth"


COLOUR_WORDS: Final = {
    Colour.RED: Words("红色", "red"),
    Colour.ORANGE: Words("橙色", "orange"),
    Colour.YELLOW: Words("黄色", "yellow"),
    Colour.BLUE: Words("蓝色", "blue"),
}
CARD_WORDS: Final = {
    Card.FIRST: Words("好人卡一级", "good-person card, first level"),
    Card.SECOND: Words("好人卡二级", "good-person card, second level"),
    Card.THIRD: Words("好人卡三级", "good-person card, third level"),
    Card.FOURTH: Words("好人卡四级", "good-person card, fourth level"),
}


@dataclass(frozen=True, slots=True)
class Default:
    """What a colour means where nothing else was set."""

    every_min: int
    checks_month: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The whole of `colours.toml`."""

    defaults: Mapping[Colour, Default]
    suggest: Mapping[Colour, int]
    days: int
    most_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision: `colour` until `expires_ms`, `afterwards` from then on. `to_ms`: when another one was taken."""

    colour: Colour
    afterwards: Colour
    every_min: int
    checks_month: int
    from_ms: int
    expires_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What holds in an area at a moment. `expired`: it is to be decided anew. `decided`: somebody ever did."""

    colour: Colour
    every_ms: int
    checks_month: int
    expires_ms: int | None
    expired: bool
    decided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What `alarms` within 30 days suggest instead of the colour that holds; `least` of them would be enough."""

    colour: Colour
    alarms: int
    least: int


@cache
def table() -> Table:
    """The table of this release."""
    return read(TABLE.read_text(encoding="utf-8"))


def read(text: str) -> Table:
    """Read a table. ValueError where the numbers do not fall from red to blue."""
    document = tomllib.loads(text)
    defaults = {Colour(name): Default(**row) for name, row in document["colour"].items()}
    suggest = {Colour(name): int(least) for name, least in document["suggest"].items()}
    if {*defaults} != {*Colour} or {*suggest} != {*Colour} - {Colour.BLUE}:
        raise ValueError("every colour has its numbers, and every one but blue is suggested by some alarms")
    every = [defaults[one].every_min for one in Colour]
    if every != sorted(every):
        raise ValueError("red goes most often")
    least = [suggest[one] for one in Colour if one in suggest]
    if least != sorted(least, reverse=True) or least[-1] < 1:
        raise ValueError("red needs most alarms")
    expiry = document["expiry"]
    return Table(defaults=defaults, suggest=suggest, days=expiry["days"], most_days=expiry["most_days"])


def band(rows: Iterable[Decided], at_ms: int, *, of: Table) -> Band:
    """What holds at a moment, by all decisions about one area."""
    for row in rows:
        if row.from_ms <= at_ms and (row.to_ms is None or at_ms < row.to_ms):
            if at_ms < row.expires_ms:
                return Band(
                    colour=row.colour,
                    every_ms=row.every_min * MINUTE_MS,
                    checks_month=row.checks_month,
                    expires_ms=row.expires_ms,
                    expired=False,
                    decided=True,
                )
            return _default(row.afterwards, of=of, expires_ms=row.expires_ms)
    return _default(Colour.BLUE, of=of, expires_ms=None)


def suggest(now: Colour, alarms: int, *, of: Table) -> Suggestion | None:
    """What so many alarms suggest; None: what holds already."""
    found = next((one for one in Colour if one in of.suggest and alarms >= of.suggest[one]), Colour.BLUE)
    return None if found is now else Suggestion(colour=found, alarms=alarms, least=of.suggest.get(found, 0))


def _default(colour: Colour, *, of: Table, expires_ms: int | None) -> Band:
    return Band(
        colour=colour,
        every_ms=of.defaults[colour].every_min * MINUTE_MS,
        checks_month=of.defaults[colour].checks_month,
        expires_ms=expires_ms,
        expired=expires_ms is not None,
        decided=expires_ms is not None,
    )
