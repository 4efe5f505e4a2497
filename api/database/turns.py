"""Who of this process may write next."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock for which people go before machines.

    Who asks patiently (ingest) gets it only when nobody else waits, so that an officer waits for one batch at
    most and not for a queue of them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._people = 0

    @contextmanager
    def mine(self, *, patient: bool) -> Iterator[None]:
        """Hold the lock inside the block."""
        with self._changed:
            if patient:
                self._changed.wait_for(lambda: not self._taken and self._people == 0)
            else:
                self._people += 1
                self._changed.wait_for(lambda: not self._taken)
                self._people -= 1
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()
