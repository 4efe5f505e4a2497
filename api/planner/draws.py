"""Draws that anybody can repeat who is given the seed. Pure."""

import hashlib
from collections.abc import Sequence
from typing import Final, TypeVar

SEED_BYTES: Final = 16
_WORD_BYTES: Final = 4

Item = TypeVar("Item")


class Draws:
    """Numbers made of SHA-256(seed, counter), four bytes each: the same in every version of every language."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0
        self._left = b""

    def below(self, end: int) -> int:
        """A number from 0 until before `end`, each as likely as the others."""
        whole = 1 << (8 * _WORD_BYTES)
        fair = whole - whole % end
        while (word := self._word()) >= fair:
            pass
        return word % end

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in an order of which each is as likely as the others (Fisher and Yates)."""
        found = [*items]
        for last in range(len(found) - 1, 0, -1):
            other = self.below(last + 1)
            found[last], found[other] = found[other], found[last]
        return found

    def _word(self) -> int:
        if not self._left:
            self._left = hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
        word, self._left = self._left[:_WORD_BYTES], self._left[_WORD_BYTES:]
        return int.from_bytes(word, "big")


def commitment(seed: bytes) -> str:
    """What is shown while the seed is secret: whoever gets the seed afterwards sees that it was not chosen later."""
    return hashlib.sha256(b"shouwang stagger " + seed).hexdigest()
