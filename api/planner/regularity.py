"""How well somebody who watched could say when the next round comes: pure.

Theory:

1. Somebody who watched some duties knows two things: the clock ("they come at ten past ten") and the rhythm ("they
   come every forty minutes"). `clock` is the share of passes for which another duty had one within
   `WITHIN_MS`, `rhythm` the share of pauses within `WITHIN_MS` of the median pause.
2. Some of that is chance: whoever says "they come now" all night long is right as well. So each share is taken beyond
   what chance gives, (share - chance) / (1 - chance), and not below 0. 0: no better than chance; 1: like a timetable.
   Chance is, for the clock, the part of the duty that lies within `WITHIN_MS` of the other duty's passes; for the
   rhythm, the share that pauses would have which are spread evenly from 0 to twice the median.
3. The index is the greater of the two: one way to guess is enough. From `GUESSABLE` on it warns. With too little to
   judge by, it is None and not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from statistics import median
from typing import Final

WITHIN_MS: Final = 5 * 60_000
"""Whoever is right by five minutes has guessed it."""
GUESSABLE: Final = 0.5
FEWEST_DUTIES: Final = 3
FEWEST_PAUSES: Final = 5


@dataclass(frozen=True, slots=True)
class Regularity:
    """The two indexes, 0 to 1; None: too little to judge by."""

    clock: float | None
    rhythm: float | None

    @property
    def index(self) -> float | None:
        """The greater one."""
        return max((one for one in (self.clock, self.rhythm) if one is not None), default=None)

    @property
    def guessable(self) -> bool:
        """Whether to warn."""
        return self.index is not None and self.index >= GUESSABLE


def regularity(duties: Sequence[Sequence[int]], span_ms: int) -> Regularity:
    """Of duties that begin at the same hour and take `span_ms`; each is its passes, in ms since its beginning."""
    kept = [sorted(one) for one in duties if one]
    return Regularity(_clock(kept, span_ms), _rhythm(kept))


def _clock(duties: Sequence[Sequence[int]], span_ms: int) -> float | None:
    if len(duties) < FEWEST_DUTIES:
        return None
    hits, chance, passes = 0, 0.0, 0
    for one, other in permutations(duties, 2):
        hits += sum(1 for at in one if any(abs(at - seen) <= WITHIN_MS for seen in other))
        chance += len(one) * _covered(other, span_ms) / span_ms
        passes += len(one)
    return _beyond(hits / passes, chance / passes)


def _covered(passes: Sequence[int], span_ms: int) -> int:
    """How much of the duty lies near one of the passes, which are in order."""
    found = end = 0
    for at in passes:
        begin, next_end = max(end, at - WITHIN_MS, 0), min(span_ms, at + WITHIN_MS)
        found += max(0, next_end - begin)
        end = max(end, next_end)
    return found


def _rhythm(duties: Sequence[Sequence[int]]) -> float | None:
    pauses = [later - sooner for one in duties for sooner, later in pairwise(one)]
    if len(pauses) < FEWEST_PAUSES:
        return None
    middle = median(pauses)
    share = sum(1 for pause in pauses if abs(pause - middle) <= WITHIN_MS) / len(pauses)
    return _beyond(share, min(1.0, WITHIN_MS / middle) if middle else 1.0)


def _beyond(share: float, chance: float) -> float:
    """The share beyond chance; where chance alone is always right, nothing can be said against anybody."""
    return 0.0 if chance >= 1 else max(0.0, (share - chance) / (1 - chance))
