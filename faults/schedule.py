"""Which fault begins when and for how long: drawn from a seed, so that an attack can be made again."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

CALM_S: Final = 1.0
"""Before the first fault: presses that nobody hinders show that the village works."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault as the schedule knows it. `hurts`: what no other fault may touch meanwhile. Times in seconds."""

    name: str
    hurts: frozenset[str]
    shortest_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault in an attack: from when on (seconds from the beginning), how long, with which dice."""

    name: str
    at_s: float
    lasts_s: float
    seed: int

    @property
    def until_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow as it came: from when to when harm was done, seconds from the beginning. It may wait for another's end."""

    name: str
    begin_s: float
    end_s: float


def plan(kinds: Sequence[Kind], *, length_s: float, dice: Random, at_once: int = 2, rest_s: float = 1.0) -> list[Blow]:
    """An attack of `length_s`: each kind comes before any comes again, at most `at_once` at a time.

    Faults that hurt the same thing come after one another, `rest_s` apart; every fault is over at `length_s`.
    """
    blows: list[Blow] = []
    deck: list[Kind] = []
    at_s = CALM_S
    while True:
        if not deck:
            deck = dice.sample(kinds, len(kinds))
        kind = deck.pop()
        lasts_s = dice.uniform(kind.shortest_s, kind.longest_s)
        hurts = {one.name: one.hurts for one in kinds}
        begins_s = at_s
        for blow in sorted(blows, key=lambda one: one.until_s):
            if kind.hurts & hurts[blow.name]:
                begins_s = max(begins_s, blow.until_s + rest_s)
        while crowd := [one.until_s for one in blows if one.at_s < begins_s + lasts_s and one.until_s > begins_s]:
            if len(crowd) < at_once:
                break
            begins_s = min(crowd)
        if begins_s + lasts_s > length_s:
            return sorted(blows, key=lambda one: one.at_s)
        blows.append(Blow(kind.name, begins_s, lasts_s, dice.getrandbits(32)))
        at_s = begins_s + dice.uniform(0.2, rest_s)
