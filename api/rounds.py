"""What the station does by the clock: jobs that look, again and again, whether something is due.

A job takes the time, does what is due in a transaction of its own, and may be called late, twice or after a day of
rest: what is due stands in rows. One that raises is told and called again; it keeps no other from its turn.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from api.clock import Clock

log = structlog.get_logger("api.rounds")

SLOW_S: Final = 1.0
"""A job that takes longer than this is told of: the others wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`run(now_ms)` is called every `every_s` seconds."""

    name: str
    every_s: float
    run: Callable[[int], None]


class Rounds:
    """The thread that makes the rounds."""

    def __init__(self, jobs: Sequence[Job], *, clock: Clock) -> None:
        self._jobs = tuple(jobs)
        self._clock = clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)

    def start(self) -> None:
        """Begin; every job has its first turn at once."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the job in hand."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the rounds are made."""
        return self._thread.is_alive()

    def once(self, now_ms: int) -> None:
        """Give every job one turn."""
        for job in self._jobs:
            self._turn(job, now_ms)

    def _run(self) -> None:
        due = dict.fromkeys(self._jobs, 0.0)
        while not self._stopping.is_set():
            for job in self._jobs:
                if monotonic() >= due[job]:
                    due[job] = monotonic() + job.every_s
                    self._turn(job, self._clock())
            wait_s = min(due.values(), default=monotonic() + 1) - monotonic()
            self._stopping.wait(max(wait_s, 0.01))

    def _turn(self, job: Job, now_ms: int) -> None:
        began = monotonic()
        try:
            job.run(now_ms)
            if (took_s := monotonic() - began) > SLOW_S:
                log.warning("rounds.slow", job=job.name, took_s=round(took_s, 1))
        except Exception:  # what is due stays due
            log.exception("rounds.failed", job=job.name)
