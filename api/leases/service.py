"""Holds the jobs of a process for a station, and keeps whoever lost one from committing anything.

A process that was started for everything asks once and is refused (`claim`); one that was started for a single job
stands by until it is its turn (`start`). A process with several jobs has all of them or none.

StationInUse            .holder: another process does it; a DatabaseInUse
LeaseLost               another process has taken it over: nothing of the transaction is kept; an OperationalError
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlmodel import Session

from api.clock import Clock
from api.database import Database, DatabaseInUse
from api.leases import repository, rules
from api.leases.rules import Held, Job

START_TIME: Final = 19
"""Where /proc/PID/stat says when a process began, counted behind its name."""

log = structlog.get_logger("api.leases")


class StationInUse(DatabaseInUse):
    """Another process runs this station. Field: `holder`."""

    def __init__(self, station: str, holder: str) -> None:
        self.holder = holder
        Exception.__init__(self, f"station {station} is run by another process ({holder})")


class LeaseLost(OperationalError):
    """Another process has taken over what this transaction was for."""

    def __init__(self) -> None:
        super().__init__("lease", None, RuntimeError("another process has taken the station over"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job is done: the machine and the process there."""

    host: str
    pid: int


class Tenure:
    """Jobs of one station, held by this process from `claim`, or from some time after `start`, to `stop`."""

    def __init__(
        self,
        database: Database,
        jobs: Sequence[Job],
        *,
        station: str,
        holder: str,
        clock: Clock,
        superseded: Callable[[], None],
        gained: Callable[[], None] = lambda: None,
    ) -> None:
        """`gained` is called once when waiting is over, `superseded` once when another process has taken over."""
        self._database = database
        self._jobs = tuple(jobs)
        self._station = station
        self._holder = holder
        self._clock = clock
        self._superseded = superseded
        self._gained = gained
        self._held: Mapping[Job, Held] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it is renewed, or waited for."""
        return self._thread.is_alive()

    def claim(self) -> None:
        """Take them; from now on every transaction shows that they are ours. Raises StationInUse."""
        with self._database.write() as session:
            there = repository.leases(session, self._station)
            held = {job: self._claimed(there.get(job)) for job in self._jobs}
            for job, now in held.items():
                taken = repository.put(session, self._station, job, was=there.get(job), now=now)
                assert taken, "writers come one after another"
        self._held = held
        self._database.fence = self.require

    def start(self) -> None:
        """Renew until `stop` what is held; else take it as soon as nobody else has it."""
        self._thread.start()

    def stop(self) -> None:
        """Give it back, so that the next process need not wait."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._held:
            with suppress(SQLAlchemyError):  # gone, or the database is away: it runs out by itself
                self.renew(until_ms=0)

    def renew(self, *, until_ms: int | None = None) -> None:
        """Have it for longer. Raises LeaseLost."""
        assert self._held, "it is claimed first"
        end = self._clock() + rules.HELD_MS if until_ms is None else until_ms
        with self._database.write() as session:  # which asks `require` before it commits
            for job, held in self._held.items():
                repository.put(session, self._station, job, was=held, now=Held(held.holder, held.term, end))

    def require(self, session: Session) -> None:
        """Raise LeaseLost unless all is ours still. Writers come one after another, so it stays so until the commit."""
        there = repository.leases(session, self._station)
        for job, held in self._held.items():
            now = there.get(job)
            if now is None or (now.holder, now.term) != (held.holder, held.term):
                raise LeaseLost

    def _claimed(self, was: Held | None) -> Held:
        """A lease as it is when it is ours. Raises StationInUse."""
        gone = was is not None and is_gone(was.holder)
        now = rules.claim(was, by=self._holder, now_ms=self._clock(), gone=gone)
        if now is None:
            assert was is not None
            raise StationInUse(self._station, was.holder)
        return now

    def _run(self) -> None:
        if not self._held and not self._wait():
            return
        while not self._stopping.wait(rules.RENEW_S):
            try:
                self.renew()
            except LeaseLost:
                log.error("station.superseded", station=self._station)  # noqa: TRY400 - nothing of ours went wrong
                self._superseded()
                return
            except SQLAlchemyError as error:  # the database is away; nobody else can take it either
                log.warning("lease.failed", error=type(error).__name__)

    def _wait(self) -> bool:
        """Stand by until it is ours and its work has begun."""
        log.info("station.stands_by", station=self._station, jobs=[*self._jobs])
        while not self._try():
            if self._stopping.wait(rules.TRY_S):
                return False
        log.info("station.took_over", station=self._station, jobs=[*self._jobs])
        try:
            self._gained()
        except Exception:  # another process, or this one started again, shall try
            log.exception("station.took_over_in_vain")
            self._superseded()
            return False
        return True

    def _try(self) -> bool:
        """Look, which disturbs no writer, and only where it is free take it."""
        try:
            with self._database.read() as session:
                there = repository.leases(session, self._station)
            for job in self._jobs:
                self._claimed(there.get(job))
            self.claim()
        except StationInUse:
            return False
        except SQLAlchemyError as error:
            log.warning("lease.failed", error=type(error).__name__)
            return False
        return True


def where(session: Session, station: str, *, now_ms: int) -> dict[Job, Place | None]:
    """Where each job is done; None: nowhere."""
    there = repository.leases(session, station)
    return {job: _place(there.get(job), now_ms=now_ms) for job in Job}


def here() -> Place:
    """This process."""
    return Place(host=socket.gethostname(), pid=os.getpid())


def _place(held: Held | None, *, now_ms: int) -> Place | None:
    if held is None or held.until_ms <= now_ms or is_gone(held.holder):
        return None
    host, _, pid, _ = held.holder.rsplit("/", 3)
    return Place(host=host, pid=int(pid))


def this_process() -> str:
    """A name for this process that no other has, today or later: `HOST/BOOT-NAMESPACE/PID/BEGAN`."""
    return f"{socket.gethostname()}/{_machine()}/{os.getpid()}/{_began(os.getpid())}"


def is_gone(holder: str) -> bool:
    """Whether a process is known to have ended; of one on another machine nothing is known."""
    _, machine, pid, began = [*holder.rsplit("/", 3), "", "", ""][:4]
    return machine == _machine() and pid.isdecimal() and str(_began(int(pid))) != began


def _machine() -> str:
    """What tells process ids apart that mean different processes: the boot, and the namespace of a container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the boot; None when there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
    except OSError:
        return None
    return None if words[0] == "Z" else int(words[START_TIME])
