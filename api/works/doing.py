"""Threads that do long works, one a lane, in whichever process has time: small works never wait for large ones.

A work is claimed by a row, so that one process does it; it says how far it is in that row, at most twice a second, and
asks there whether it was given up. While it writes what it is about (one transaction) it says nothing and only looks. A
process that ended, or of which nothing was heard for GONE_MS, has broken its work off, and nothing of it is kept.

GivenUp                     .tell raised it: somebody does not want it any more
Stopped                     .tell raised it: this process ends
Superseded                  another process has called this work broken off
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlmodel import Session

from api.accounts.acting import acting
from api.clock import Clock
from api.database import Database
from api.leases.service import is_gone
from api.problems import MayNot, NotThere, Problem
from api.progress import Tell
from api.rights.rules import Authority
from api.works import repository
from api.works.models import LongWork
from api.works.rules import WHOLE, Kind, State, thousandths
from api.works.service import ASKED, File, Works

WRITING: Final = "writing"
"""The phase in which the work itself has the tables from its first row on: nothing is said then, only looked."""
SAY_S: Final = 0.5
LOOK_S: Final = 0.5
"""How often it is looked whether another process has asked for something."""
IDLE_S: Final = 30.0
"""The same where there is no other process: whoever asks wakes us."""
GIVE_WAY_S: Final = 0.005
"""So long it rests at each word while people write."""
BEAT_S: Final = 5.0
GONE_MS: Final = 60_000

log = structlog.get_logger("api.works")


class GivenUp(Exception):
    """Nobody wants it any more."""


class Stopped(Exception):
    """This process ends."""


class Superseded(Exception):
    """It is not ours any more."""


class Failed(Exception):
    """It cannot be done. Fields: `why` (as `LongWork.why`), and what there is to show of it."""

    def __init__(self, why: str, result: Mapping[str, Any] | None = None) -> None:
        self.why = why
        self.result = result
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a work. `drop`: of this work (by id) what was sent is needed no more."""

    result: Mapping[str, Any] = field(default_factory=dict)
    file: File | None = None
    drop: tuple[str, ...] = ()


class Task:
    """One work in hand: what is asked, by whom, and whom to tell how far it is."""

    def __init__(self, lane: "_Lane", row: LongWork, by: Authority) -> None:
        assert row.number is not None
        self.id = row.id
        self.kind = Kind(row.kind)
        self.by = by
        self.asked: dict[str, Any] = json.loads(row.asked)
        self._lane = lane
        self._number = row.number
        self._said_s = 0.0
        self._phase = ""
        self._part = 0
        self.finished = False

    def data(self, of: str | None = None) -> bytes:
        """The file that was sent for this work, or for another one (its id). Raises Failed."""
        with self._lane.database.read() as session:
            row = repository.find(session, self._lane.station, of or self.id)
            file = None if row is None or row.number is None else repository.file(session, row.number, ASKED)
        if file is None:
            raise Failed("file_gone")
        return file.content

    def authority(self, action: str) -> Authority:
        """How far whoever asked reaches with another action."""
        return self._lane.works.authority_for(self.by.principal, action)

    @property
    def tell(self) -> Tell:
        """Whom to tell. Raises GivenUp, Stopped or Superseded where it ends."""
        return self._tell

    def finish(self, session: Session, outcome: Outcome) -> None:
        """Say that it is done, in the transaction that does it. Raises Superseded."""
        number, lane = self._number, self._lane
        values = {
            "state": State.DONE.value, "ended_ms": lane.clock(), "part": WHOLE,
            "result": json.dumps(outcome.result, ensure_ascii=False),
        }  # fmt: skip
        if not repository.change(session, number, State.RUNNING, lane.holder, **values):
            raise Superseded
        if outcome.file is not None:
            lane.works.keep(session, number, outcome.file)
        for one in outcome.drop:
            row = repository.find(session, lane.station, one)
            if row is not None and row.number is not None:
                repository.drop_file(session, row.number)
        self.finished = True

    def _tell(self, phase: str, done: int, of: int) -> None:
        lane, writes = self._lane, phase == WRITING and done > 0
        if lane.stopping.is_set():
            raise Stopped
        self._part = max(self._part, min(thousandths(self.kind, phase, done, of), WHOLE - 1))
        if not writes and lane.database.awaited:
            lane.stopping.wait(GIVE_WAY_S)
        another = phase != self._phase and not writes
        if not another and monotonic() - self._said_s < SAY_S:
            return
        self._said_s, self._phase = monotonic(), phase
        if writes:
            with lane.database.read() as session:
                goes_on = repository.goes_on(session, self._number, lane.holder)
        else:
            values = {"phase": phase, "done": done, "total": of, "part": self._part, "beat_ms": lane.clock()}
            with lane.database.write(patient=True) as session:
                repository.change(session, self._number, State.RUNNING, lane.holder, **values)
                goes_on = repository.goes_on(session, self._number, lane.holder)
        if goes_on is None:
            raise Superseded
        if not goes_on:
            raise GivenUp


Do = Callable[[Task], Outcome]
"""Does a work. Raises Failed or a Problem where it cannot be, and lets pass what `tell` raises."""


class Doing:
    """The lanes of this process."""

    def __init__(
        self,
        database: Database,
        works: Works,
        do: Mapping[Kind, Do],
        *,
        station: str,
        holder: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._station = station
        self._holder = holder
        self._clock = clock
        self.do = dict(do)
        """What does each kind."""
        self._lanes = [
            _Lane(database, works, self.do, station=station, holder=holder, clock=clock, heavy=heavy)
            for heavy in (False, True)
        ]

    def start(self) -> None:
        """Begin; what a process of this station left behind that is known to be gone is called broken off first."""
        self.look(self._clock())
        for lane in self._lanes:
            lane.thread.start()

    def wake(self) -> None:
        """Something was asked for."""
        for lane in self._lanes:
            lane.woken.set()

    def stop(self) -> None:
        """Break off what is in hand, at its next step."""
        for lane in self._lanes:
            lane.stopping.set()
            lane.woken.set()
        for lane in self._lanes:
            if lane.thread.ident is not None:
                lane.thread.join()

    @property
    def alive(self) -> bool:
        """Whether somebody does what is asked for."""
        return all(lane.thread.is_alive() for lane in self._lanes)

    def look(self, now_ms: int) -> None:
        """Say that what is in hand is still done, and what others had in hand and do no more."""
        with self._database.read() as session:
            rows = [(row.number, row.holder, row.beat_ms or 0) for row in repository.running(session, self._station)]
        for number, holder, beat_ms in rows:
            assert number is not None
            mine = holder == self._holder and any(lane.number == number for lane in self._lanes)
            if mine:
                values: dict[str, Any] = {"beat_ms": now_ms}
            elif self._gone(holder, beat_ms, now_ms):
                values = {"state": State.BROKEN.value, "why": "restarted", "ended_ms": now_ms}
            else:
                continue
            with self._database.write(patient=True) as session:
                repository.change(session, number, State.RUNNING, holder, **values)

    def _gone(self, holder: str, beat_ms: int, now_ms: int) -> bool:
        if not self._database.shared:
            return True  # there is no other process
        return is_gone(holder) or now_ms - beat_ms > GONE_MS


class _Lane:
    """A thread, and the work that it has in hand."""

    def __init__(
        self,
        database: Database,
        works: Works,
        do: Mapping[Kind, Do],
        *,
        station: str,
        holder: str,
        clock: Clock,
        heavy: bool,
    ) -> None:
        self.database = database
        self.works = works
        self.station = station
        self.holder = holder
        self.clock = clock
        self.heavy = heavy
        self.number: int | None = None
        self.stopping = threading.Event()
        self.woken = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"works-{'large' if heavy else 'small'}", daemon=True)
        self._do = do

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.woken.clear()
            try:
                more = self._next()
            except Exception:  # the database is away; what waits goes on waiting
                log.exception("works.failed")
                more = False
            if not more:
                self.woken.wait(LOOK_S if self.database.shared else IDLE_S)

    def _next(self) -> bool:
        """Do what has waited longest. Returns whether there was anything."""
        with self.database.read() as session:
            number = repository.waiting(session, self.station, heavy=self.heavy)
        if number is None:
            return False
        now, self.number = self.clock(), number
        try:
            with self.database.write(patient=True) as session:
                values = {
                    "state": State.RUNNING.value, "holder": self.holder, "begun_ms": now, "beat_ms": now,
                }  # fmt: skip
                mine = repository.change(session, number, State.WAITING, None, **values)
            if mine:
                self._work(number)
        finally:
            self.number = None
        return True

    def _work(self, number: int) -> None:
        try:
            task = self._task(number)
            outcome = self._do[task.kind](task)
            if not task.finished:
                with self.database.write() as session:
                    task.finish(session, outcome)
        except Superseded:
            log.warning("works.superseded", number=number)
        except GivenUp:
            self._end(number, State.GIVEN_UP)
        except Stopped:
            self._end(number, State.BROKEN, "restarted")
        except Failed as failed:
            self._end(number, State.FAILED, failed.why, failed.result)
        except Problem as problem:
            self._end(number, State.FAILED, _why(problem))
        except (DBAPIError, NoConnection) as error:
            log.warning("works.database", error=type(error).__name__)
            self._end(number, State.FAILED, "database")
        except Exception as error:
            log.exception("works.bug", error=type(error).__name__)
            self._end(number, State.FAILED, "mistake")

    def _task(self, number: int) -> Task:
        """The work with whoever asked for it, as far as he reaches now. Raises Failed."""
        with self.database.write(patient=True) as session:
            row = repository.by_number(session, number)
            assert row is not None
            who = acting(session, row.by, now_ms=self.clock(), via="work")
            by = self.works.authority(who, Kind(row.kind))
            row.reach = self.works.reached(who, Kind(row.kind))
            session.flush()
            session.expunge(row)
        if not by.reach.held:
            raise Failed("may_not")
        return Task(self, row, by)

    def _end(self, number: int, state: State, why: str = "", result: Mapping[str, Any] | None = None) -> None:
        values = {"state": state.value, "why": why, "ended_ms": self.clock()}
        if result is not None:
            values["result"] = json.dumps(result, ensure_ascii=False)
        with self.database.write() as session:
            repository.change(session, number, State.RUNNING, self.holder, **values)


def _why(problem: Problem) -> str:
    match problem:
        case MayNot():
            return "may_not"
        case NotThere():
            return "not_there"
    return "mistake"
