"""Who of this process may write next."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

LATELY_S: Final = 1.0
IN_A_ROW: Final = 8
"""So many people go before a machine that waits; then it is its turn, so that whoever asks without end stops nobody."""


class Turns:
    """A lock for which people go before machines, and among their like whoever asked first.

    A machine (ingest, deadlines, what is sent) asks patiently: an officer waits for one batch and not for a queue of
    them. It is handed from one to the next, never free between: a thread that asks again at once cannot take it from
    one that waits, as the deadlines of a storm did from the alarms that came after it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._taken = False
        self._people: deque[threading.Lock] = deque()
        self._machines: deque[threading.Lock] = deque()
        self._in_a_row = 0
        self._asked_s = -LATELY_S

    @property
    def people_lately(self) -> bool:
        """Whether a person asked within the last second: where one is at work, the next request is not far."""
        return monotonic() - self._asked_s < LATELY_S

    @property
    def people_waiting(self) -> int:
        """How many people wait."""
        return len(self._people)

    @property
    def machines_waiting(self) -> int:
        """How many machines wait."""
        return len(self._machines)

    @contextmanager
    def mine(self, *, patient: bool) -> Iterator[None]:
        """Hold the lock inside the block."""
        turn = threading.Lock()
        if not patient:
            self._asked_s = monotonic()
        with self._guard:
            free, self._taken = not self._taken, True
            if not free:
                turn.acquire()
                (self._machines if patient else self._people).append(turn)
        turn.acquire()  # whoever is before us gives it back when it is ours
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        with self._guard:
            if self._people and not (self._machines and self._in_a_row >= IN_A_ROW):
                self._in_a_row += 1
                self._people.popleft().release()
            elif self._machines:
                self._in_a_row = 0
                self._machines.popleft().release()
            else:
                self._taken = False
