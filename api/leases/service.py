"""Holds a job of a station for this process, and keeps whoever lost it from committing anything.

StationInUse            .holder: another process does it; a DatabaseInUse
LeaseLost               another process has taken it over: nothing of the transaction is kept; an OperationalError
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlmodel import Session

from api.clock import Clock
from api.database import Database, DatabaseInUse
from api.leases import repository, rules
from api.leases.rules import Held

EVERYTHING: Final = "all"
"""The one job there is now: all that a station does."""
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


class Tenure:
    """One job of one station, held by this process from `claim` to `stop`."""

    def __init__(
        self, database: Database, *, station: str, holder: str, clock: Clock, superseded: Callable[[], None]
    ) -> None:
        """`superseded` is called once when another process has taken it over."""
        self._database = database
        self._station = station
        self._holder = holder
        self._clock = clock
        self._superseded = superseded
        self._held: Held | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def claim(self) -> None:
        """Take it; from now on every transaction shows that it is ours. Raises StationInUse."""
        with self._database.write() as session:
            was = repository.find(session, self._station, EVERYTHING)
            gone = was is not None and is_gone(was.holder)
            now = rules.claim(was, by=self._holder, now_ms=self._clock(), gone=gone)
            if now is None:
                assert was is not None
                raise StationInUse(self._station, was.holder)
            taken = repository.put(session, self._station, EVERYTHING, was=was, now=now)
            assert taken, "writers come one after another"
        self._held = now
        self._database.fence = self.require

    def start(self) -> None:
        """Renew it until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Give it back, so that the next process need not wait."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        with suppress(SQLAlchemyError):  # gone, or the database is away: it runs out by itself
            self.renew(until_ms=0)

    def renew(self, *, until_ms: int | None = None) -> None:
        """Have it for longer. Raises LeaseLost."""
        held = self._held
        assert held is not None, "it is claimed first"
        end = self._clock() + rules.HELD_MS if until_ms is None else until_ms
        with self._database.write() as session:  # which asks `require` before it commits
            repository.put(session, self._station, EVERYTHING, was=held, now=Held(held.holder, held.term, end))

    def require(self, session: Session) -> None:
        """Raise LeaseLost unless it is ours still. Writers come one after another, so it stays so until the commit."""
        held, now = self._held, repository.find(session, self._station, EVERYTHING)
        if held is None or now is None or (now.holder, now.term) != (held.holder, held.term):
            raise LeaseLost

    def _run(self) -> None:
        while not self._stopping.wait(rules.RENEW_S):
            try:
                self.renew()
            except LeaseLost:
                log.error("station.superseded", station=self._station)  # noqa: TRY400 - nothing of ours went wrong
                self._superseded()
                return
            except SQLAlchemyError as error:  # the database is away; nobody else can take it either
                log.warning("lease.failed", error=type(error).__name__)


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
