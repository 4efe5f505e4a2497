"""The clock of the ladders: a thread that looks twice a second at what is due, and every 10 s writes down what remains.

It counts by a monotonic clock. Rows that it finds are new to it, after a restart all of them: for those the earlier of
the two counts that they hold decides (`rules.remains_ms`). Several processes may run one each: whoever turns a row from
running has it.

A storm leaves tens of thousands of running levels. Of each it keeps a number and a moment, 16 octets, and asks for the
rest when it is due. What remains is written down by arithmetic, many rows to a statement: for rows that count by UTC it
is their `due_ms` less the moment that UTC has come to by the monotonic clock since they were found (`_Found`).
"""

import math
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
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
from api.escalation.repository import Key
from api.escalation.service import Escalation

LOOK_S: Final = 0.5
AT_ONCE: Final = 25
"""Stages that are worked in one transaction, so that people get their turn between."""
SAVE_AT_ONCE: Final = 500
ASK_AT_ONCE: Final = 500
SAME_MS: Final = 500
"""UTC that went so little astray from the monotonic clock did not."""

log = structlog.get_logger("api.escalation")


@dataclass(slots=True)
class _Found:
    """Levels up to number `last`, found when UTC and the monotonic clock were `apart_ms`."""

    last: int
    apart_ms: int


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
        self._numbers = array("q")
        """The levels that are counted, rising; and when each is due."""
        self._due_s = array("d")
        self._next_s = math.inf
        self._found: list[_Found] = []
        self._by_seconds: dict[int, float] = {}
        """Of those levels whose seconds run out before UTC says so: when."""
        self._saved_s = monotonic_s()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ladders", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left running."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand, and write down what remains."""
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
        now_ms, now_s = self._clock(), self._monotonic_s()
        with self._database.read() as session:
            self._count(repository.waiting(session, self._station, above=self._top), now_ms=now_ms, now_s=now_s)
        fired = 0
        if self._next_s <= now_s:
            due = [number for number, due_s in zip(self._numbers, self._due_s, strict=True) if due_s <= now_s]
            for first in range(0, len(due), ASK_AT_ONCE):
                stages = iter(self._stages(due[first : first + ASK_AT_ONCE]).items())
                while some := dict(islice(stages, AT_ONCE)):
                    if self._stopping.is_set():
                        return fired  # what is due stays due: whoever starts next finds it
                    with self._database.write(patient=True) as session:
                        fired += sum([self._fire(session, key, now_s=now_s) for key in some])
                    self._forget(number for numbers in some.values() for number in numbers)
                    self._fired()
            self._forget(due)  # of the rest nothing runs any more
            self._next_s = min(self._due_s, default=math.inf)
        if now_s - self._saved_s >= rules.SAVE_S:
            self.save()
        return fired

    def save(self) -> None:
        """Write down how many seconds remain of everything, and forget what does not run any more."""
        now_s = self._monotonic_s()
        self._saved_s = now_s
        numbers, dues_s = array("q"), array("d")
        with self._database.read() as session:
            for number, _, _ in repository.waiting(session, self._station):
                due_s = self._when(number)
                if due_s is not None:
                    numbers.append(number)
                    dues_s.append(due_s)
        self._numbers, self._due_s = numbers, dues_s
        self._by_seconds = {one: due_s for one, due_s in self._by_seconds.items() if self._when(one) is not None}
        below = 0
        for found in self._found:
            self._count_down(below, found.last, at_ms=found.apart_ms + round(now_s * 1_000))
            below = found.last
        odd = iter(self._by_seconds.items())
        while some := dict(islice(odd, SAVE_AT_ONCE)):
            with self._database.write(patient=True) as session:
                repository.save(session, {one: max(0, int(due_s - now_s)) for one, due_s in some.items()})

    def _count_down(self, below: int, last: int, *, at_ms: int) -> None:
        numbers = self._numbers[bisect_left(self._numbers, below + 1) : bisect_left(self._numbers, last + 1)]
        for first in range(0, len(numbers), SAVE_AT_ONCE):
            some = numbers[first : first + SAVE_AT_ONCE]
            with self._database.write(patient=True) as session:
                repository.count_down(session, self._station, first=some[0], last=some[-1], at_ms=at_ms)

    def _count(self, fresh: Iterable[tuple[int, int, int]], *, now_ms: int, now_s: float) -> None:
        """Take in what was found: numbers that rise, above all that are known."""
        before = self._top
        for number, due_ms, remaining_s in fresh:
            left_ms = rules.remains_ms(due_ms=due_ms, remaining_s=remaining_s, now_ms=now_ms)
            self._numbers.append(number)
            self._due_s.append(now_s + left_ms / 1_000)
            self._next_s = min(self._next_s, self._due_s[-1])
            if left_ms < due_ms - now_ms:
                self._by_seconds[number] = self._due_s[-1]
            self._top = number
        if self._top == before:
            return
        apart_ms = now_ms - round(now_s * 1_000)
        if self._found and abs(self._found[-1].apart_ms - apart_ms) <= SAME_MS:
            self._found[-1].last = self._top
        else:
            self._found.append(_Found(self._top, apart_ms))

    def _stages(self, numbers: list[int]) -> dict[Key, list[int]]:
        """The stages of those levels that still run. All levels of a stage are worked with the first that is met."""
        stages: dict[Key, list[int]] = {}
        with self._database.read() as session:
            for number, key in repository.keys(session, numbers).items():
                stages.setdefault(key, []).append(number)
        return stages

    def _fire(self, session: Session, key: Key, *, now_s: float) -> bool:
        alarm = alarms.find(session, key[0])
        if alarm is None:
            return False
        left_ms = {
            row.level: round((due_s - now_s) * 1_000)
            for row in repository.running_levels(session, key)
            if (due_s := self._when(row.number)) is not None
        }
        return self._escalation.fire(session, alarm, key, left_ms, now_ms=self._clock())

    def _where(self, number: int) -> int | None:
        """The place of a level that is counted."""
        place = bisect_left(self._numbers, number)
        return place if place < len(self._numbers) and self._numbers[place] == number else None

    def _when(self, number: int) -> float | None:
        """When a level is due; None for one that is not counted."""
        place = self._where(number)
        return None if place is None else self._due_s[place]

    def _forget(self, numbers: Iterable[int]) -> None:
        """They are done, or were not running any more: never due again, and let go of when it is saved next."""
        for number in numbers:
            place = self._where(number)
            if place is not None:
                self._due_s[place] = math.inf

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                self.look()
            except Exception:  # what is due stays due
                log.exception("escalation.look_failed")
