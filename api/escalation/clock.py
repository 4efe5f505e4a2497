"""The clock of the ladders: a thread that looks twice a second at what is due.

It counts by a monotonic clock. Rows that it finds are new to it, after a restart all of them: for those the earlier of
the two counts that they hold decides (`rules.remains_ms`). Several processes may run one each: whoever turns a row from
running has it.

A storm leaves tens of thousands of running levels. Of each it keeps a number and a moment, 16 octets, and asks for the
rest when it is due. All of them count at one pace, so what is written down every 10 s is one number (`CountRow`).
"""

import math
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

import structlog
from sqlmodel import Session

from api.alarms import repository as alarms
from api.clock import Clock, running_s
from api.database import Database
from api.escalation import repository, rules
from api.escalation.repository import Key
from api.escalation.service import Escalation

LOOK_S: Final = 0.5
AT_ONCE: Final = 25
"""Stages that are worked in one transaction, so that people get their turn between."""
ASK_AT_ONCE: Final = 500
SAVE_AT_ONCE: Final = 500
SOONER_MS: Final = 5_000
"""By so much UTC is ahead of the count of a level when it was not running for a while, and not only found late."""

log = structlog.get_logger("api.escalation")


class LadderClock:
    """Calls `escalation` when a level is due."""

    def __init__(
        self,
        database: Database,
        escalation: Escalation,
        *,
        station: str,
        clock: Clock,
        monotonic_s: Callable[[], float] = running_s,
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
        self._found: dict[int, int] = {}
        """What is not written down yet: up to which number levels were found when the count was at what."""
        self._sooner: dict[int, int] = {}
        """Nor this: of levels that UTC calls sooner, the seconds that remained when they were found."""
        self._began_s = self._saved_s = monotonic_s()
        self._earlier: list[tuple[int, int, int]] | None = None
        """What earlier runs counted, as `repository.counted` says it; None until it was asked."""
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
            if self._earlier is None:
                self._earlier = repository.counted(session, self._station)
            fresh = repository.waiting(session, self._station, above=self._top)
            self._count(fresh, self._earlier, now_ms=now_ms, now_s=now_s)
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
        """Write down how far everything was counted, and let go of what is done."""
        now_s = self._monotonic_s()
        self._saved_s = now_s
        runs = [place for place, due_s in enumerate(self._due_s) if due_s < math.inf]
        if len(runs) < len(self._due_s):
            self._numbers = array("q", (self._numbers[place] for place in runs))
            self._due_s = array("d", (self._due_s[place] for place in runs))
        if not runs and not self._found:
            return
        lowest = self._numbers[0] if runs else self._top + 1
        with self._database.write(patient=True) as session:
            repository.count_on(session, self._station, self._found, lowest=lowest, to_ms=self._counted_ms(now_s))
        self._found.clear()
        sooner, self._sooner = iter(self._sooner.items()), {}
        while some := dict(islice(sooner, SAVE_AT_ONCE)):
            with self._database.write(patient=True) as session:
                repository.sooner(session, some)

    def _counted_ms(self, now_s: float) -> int:
        """The count that goes on over restarts."""
        base_ms = self._earlier[-1][2] if self._earlier else 0
        return base_ms + round((now_s - self._began_s) * 1_000)

    def _count(
        self,
        fresh: Iterable[tuple[int, int, int]],
        earlier: Sequence[tuple[int, int, int]],
        *,
        now_ms: int,
        now_s: float,
    ) -> None:
        """Take in what was found: numbers that rise, above all that are known. `earlier`: what was counted of them."""
        before = self._top
        so_far_ms = self._counted_ms(now_s)
        lasts = [last for last, _, _ in earlier]
        for number, due_ms, remaining_s in fresh:
            known = bisect_left(lasts, number)
            counted_ms = so_far_ms - earlier[known][1] if known < len(earlier) else 0
            left_ms = rules.remains_ms(due_ms=due_ms, remaining_s=remaining_s, counted_ms=counted_ms, now_ms=now_ms)
            self._numbers.append(number)
            self._due_s.append(now_s + left_ms / 1_000)
            self._next_s = min(self._next_s, self._due_s[-1])
            self._top = number
            if remaining_s * 1_000 - counted_ms - left_ms > SOONER_MS:
                self._sooner[number] = (left_ms + counted_ms) // 1_000
        if self._top > max(before, lasts[-1] if lasts else 0):
            self._found[self._top] = so_far_ms

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
