"""Fair draws, calls and their deadlines: pure.

Theory:

1. Whoever draws cannot choose whom: the station makes a seed and shows its digest before anybody is called; everybody
   on duty then is ranked by SHA-256 of seed and id, and the lowest are called. When the call is over the seed is shown,
   and whoever has the roster draws again and finds the same.
2. A call that is not answered is repeated after 3 minutes, and missed 3 minutes later. Both moments are rows; a
   station that was down tells later, with the moment that was due beside the moment at which it was found.
3. Seconds count from the first call. An answer after the first call's 3 minutes is an answer, and earns nothing.
4. Whoever is called and not on the roster has missed nothing. What contradicts a claim is told, never punished.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from broker.kinds import Words

AGAIN_MS: Final = 180_000
"""From the first call to the second, and from the second to missed."""
LOOKED_BACK_MS: Final = 4 * 3_600_000
"""How far back the last check-in before an answer is looked for."""
CONTRADICTS_MS: Final = 60_000
"""Where no walking time is known: whoever checked in elsewhere so shortly before he answered is not where he says."""
SEED_BYTES: Final = 32
DRAWN_MOST: Final = 50
SPOT_MOST_MIN: Final = 12 * 60


class Way(StrEnum):
    """How it came about who is called."""

    DRAW = "draw"
    HAND = "hand"
    SPOT = "spot"


class CalledState(StrEnum):
    """How far a call of one person is."""

    WAITING = "waiting"
    ANSWERED = "answered"
    MISSED = "missed"


class Over(StrEnum):
    """By what he answered."""

    READER = "reader"
    PHONE = "phone"
    RADIO = "radio"


WAY_WORDS: Final = {
    Way.DRAW: Words("随机点名", "roll-call by draw"),
    Way.HAND: Words("指定点名", "roll-call by hand"),
    Way.SPOT: Words("点调", "spot call"),
}


@dataclass(frozen=True, slots=True)
class Deadline:
    """What becomes of a call that nobody answered: a second one, with the next moment; or it is missed."""

    again: bool
    due_ms: int | None


def digest(seed: str) -> str:
    """What is shown of a seed (hexadecimal) before it is used."""
    return sha256(bytes.fromhex(seed)).hexdigest()


def rank(seed: str, guard: str) -> str:
    """Where somebody stands in a draw; the lowest are called."""
    return sha256(bytes.fromhex(seed) + b"|" + guard.encode()).hexdigest()


def draw(seed: str, guards: Iterable[str], count: int) -> list[str]:
    """The so many of these, as the seed has them, each with the same chance."""
    return sorted(set(guards), key=lambda one: rank(seed, one))[:count]


def after_deadline(*, second: bool, due_ms: int) -> Deadline:
    """What follows when a deadline has passed; `second`: it was that of the second call."""
    return Deadline(again=False, due_ms=None) if second else Deadline(again=True, due_ms=due_ms + AGAIN_MS)


def contradicts(
    *, claimed: str | None, last: str | None, last_ms: int | None, answered_ms: int, least_ms: int | None = None
) -> bool:
    """Whether somebody who says that he is at `claimed` was at another checkpoint too short a time before.

    `least_ms`: the least time from there to here; without one, a minute.
    """
    if claimed is None or last is None or last_ms is None or claimed == last:
        return False
    return 0 <= answered_ms - last_ms < (CONTRADICTS_MS if least_ms is None else least_ms)
