"""The clock of the ladders: a thread that looks twice a second at what is due, and every 10 s writes down what remains.

It counts by a monotonic clock. Rows that it finds are new to it, after a restart all of them: for those the earlier of
the two counts that they hold decides (`rules.remains_ms`). Several processes may run one each: whoever turns a row from
running has it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Final

import structlog
from sqlmodel import Session

from api.alarms import repository as alarms
from api.clock import Clock
from api.database import Database
from api.escalation import repository, rules
from api.escalation.service import Escalation

LOOK_S: Final = 0.5
AT_ONCE: Final = 25
"""Stages that are worked in one transaction, so that people get their turn between."""
SAVE_AT_ONCE: Final = 500

log = structlog.get_logger("api.escalation")

Key = tuple[str, str, int]


@dataclass(slots=True)
class _Counted:
    number: int
    level: int
    due_s: float


class LadderClock:
    """Calls `escalation` when a level is due."""

    def __init__(
        self,
        database: Database,
        escalation: Escalation,
        *,
        station: str,
        clock: Clock,
        monotonic_s: Callable[[], float] = monotonic,
        fired: Callable[[], None] = lambda: None,
    ) -> None:
        """`fired` is called after a commit that may owe something."""
        self._database = database
        self._escalation = escalation
        self._station = station
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._fired = fired
        self._top = 0
        """The highest number that was found. A higher one is committed later (`api.database`)."""
        self._counted: dict[Key, dict[int, _Counted]] = {}
        self._saved_s = monotonic_s()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ladders", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left running."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is due in hand, and write down what remains."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
            self.save()

    @property
    def alive(self) -> bool:
        """Whether it counts."""
        return self._thread.is_alive()

    def look(self) -> int:
        """Find what is new, do what is due, write down what remains when it is time. Returns how many stages fired."""
        with self._database.read() as session:
            fresh = repository.waiting(session, self._station, above=self._top)
        now_ms, now_s = self._clock(), self._monotonic_s()
        for row in fresh:
            left_ms = rules.remains_ms(due_ms=row.due_ms, remaining_s=row.remaining_s, now_ms=now_ms)
            levels = self._counted.setdefault(row.key, {})
            levels[row.level] = _Counted(row.number, row.level, now_s + left_ms / 1_000)
            self._top = max(self._top, row.number)
        due = [key for key, levels in self._counted.items() if any(one.due_s <= now_s for one in levels.values())]
        fired = 0
        waiting = iter(due)
        while some := [*islice(waiting, AT_ONCE)]:
            with self._database.write() as session:
                done = {key: self._fire(session, key, now_s=now_s) for key in some}
            for key, was in done.items():
                fired += was
                self._forget(key, now_s=now_s)
            self._fired()
        if now_s - self._saved_s >= rules.SAVE_S:
            self.save()
        return fired

    def save(self) -> None:
        """Write down how many seconds remain of everything, and forget what does not run any more."""
        now_s = self._monotonic_s()
        self._saved_s = now_s
        with self._database.read() as session:
            running = {row.number for row in repository.waiting(session, self._station)}
        for key in [*self._counted]:
            levels = {level: one for level, one in self._counted[key].items() if one.number in running}
            if levels:
                self._counted[key] = levels
            else:
                del self._counted[key]
        left = iter(
            {
                one.number: max(0, int(one.due_s - now_s))
                for levels in self._counted.values()
                for one in levels.values()
            }.items()
        )
        while some := dict(islice(left, SAVE_AT_ONCE)):
            with self._database.write(patient=True) as session:
                repository.save(session, some)

    def _fire(self, session: Session, key: Key, *, now_s: float) -> bool:
        alarm = alarms.find(session, key[0])
        if alarm is None:
            return False
        left_ms = {level: round((one.due_s - now_s) * 1_000) for level, one in self._counted[key].items()}
        return self._escalation.fire(session, alarm, key, left_ms, now_ms=self._clock())

    def _forget(self, key: Key, *, now_s: float) -> None:
        """Drop what was due: it is done, or it was not running any more."""
        self._counted[key] = {level: one for level, one in self._counted[key].items() if one.due_s > now_s}
        if not self._counted[key]:
            del self._counted[key]

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except Exception:  # what is due stays due
                log.exception("escalation.look_failed")
