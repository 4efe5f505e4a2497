"""How whoever does something long says how far he is, without knowing who listens.

def plan(..., tell: Tell = untold):
    for row in told(rows, tell, "comparing", of=len(rows)):
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

Tell = Callable[[str, int, int], None]
"""Called with a phase, how much of it is done, and of how much. Whoever listens may raise: then nothing is kept."""

EVERY: Final = 100
"""So many are done between two words."""


def untold(_phase: str, _done: int, _of: int) -> None:
    """Nobody listens."""


def told(things: Iterable[T], tell: Tell, phase: str, *, of: int) -> Iterator[T]:
    """The same things; how many of them went by is told now and then, at the beginning and at the end."""
    tell(phase, 0, of)
    done = 0
    for thing in things:
        yield thing
        done += 1
        if done % EVERY == 0:
            tell(phase, min(done, of), of)
    tell(phase, done, max(done, of))
