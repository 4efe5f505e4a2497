"""What people do, when: seeded scripts for the demonstration, the benches and the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from devices.readings import Answer, Key
from firmware_sim.acts import Act, Cancel, GiveAnswer, HoldTag, Press, Test


@dataclass(frozen=True, slots=True)
class Scene:
    """`act` happens `at_ms` after the script begins."""

    at_ms: float
    act: Act


def storm(units: Sequence[str], *, within_ms: int, seed: int, key: Key = Key.PANIC, hold_ms: int = 200) -> list[Scene]:
    """Everybody presses once, at a random moment within `within_ms`."""
    dice = Random(f"storm {seed}")
    scenes = [Scene(dice.uniform(0, within_ms), Press(unit, key, hold_ms=hold_ms)) for unit in units]
    return sorted(scenes, key=lambda scene: scene.at_ms)


AUDIBLE = (Key.PANIC, Key.HELP, Key.MEDICAL, Key.FIRE, Key.INTRUSION)
ANSWERS = (Answer.GOING, Answer.WATCHING, Answer.CANNOT, Answer.SILENCE_MINE)


def village_evening(
    units: Sequence[str], *, seed: int, minutes: int = 30, readers: Sequence[str] = (), tags: Sequence[str] = ()
) -> list[Scene]:
    """Ordinary trouble: a press every few minutes, neighbours who answer, some cancels, tests and rounds."""
    dice = Random(f"evening {seed}")
    scenes: list[Scene] = []
    at_s = dice.uniform(5, 60)
    while at_s < minutes * 60:
        scenes += _incident(dice, at_s, units)
        at_s += dice.expovariate(1 / 180)
    for reader in readers:
        for tag in tags:
            scenes.append(Scene(dice.uniform(0, minutes * 60_000), HoldTag(reader, tag)))
    scenes.append(Scene(dice.uniform(0, minutes * 60_000), Test(dice.choice(units))))
    return sorted(scenes, key=lambda scene: scene.at_ms)


def _incident(dice: Random, at_s: float, units: Sequence[str]) -> list[Scene]:
    victim = dice.choice(units)
    key = Key.DURESS if dice.random() < 0.1 else dice.choice(AUDIBLE)
    scenes = [Scene(at_s * 1000, Press(victim, key, hold_ms=dice.choice((80, 200, 600, 3000))))]
    if key is Key.DURESS:
        return scenes
    if dice.random() < 0.2:
        scenes.append(Scene((at_s + dice.uniform(5, 40)) * 1000, Cancel(victim)))
    neighbours = [unit for unit in units if unit != victim]
    answering = dice.sample(neighbours, min(len(neighbours), dice.randrange(4)))
    return scenes + [
        Scene((at_s + dice.uniform(3, 60)) * 1000, GiveAnswer(neighbour, dice.choice(ANSWERS)))
        for neighbour in answering
    ]
