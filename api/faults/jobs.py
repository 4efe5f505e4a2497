"""A job that no process does is a fault: every process of the station looks, so that whoever is left says so.

The level above is told when it begins and when it is over. Where the job is the notifier's own, nobody would send
that: then whoever looks sends what is owed, until there is a notifier again (`send`).
"""

from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from sqlmodel import Session

from api.clock import Clock
from api.database import Database
from api.faults import repository
from api.faults.service import clear_fault, raise_fault
from api.leases.rules import Job
from api.leases.service import where
from api.register.service import Register

LOOK_S: Final = 5.0
MISSING_S: Final = 30.0
"""Twice as long as a lease lasts: a change of machines is no fault."""
JOB_MISSING: Final = "job_missing"


class Above(Protocol):
    """Tells the level above in the caller's transaction that something begins, or is over."""

    def __call__(self, session: Session, now_ms: int, /, *, over: bool) -> None: ...


class JobWatch:
    """Looks where each job is done, and counts by a monotonic clock for how long it has been nowhere."""

    def __init__(
        self,
        database: Database,
        register: Register,
        *,
        above: Above,
        send: Callable[[], object],
        clock: Clock,
        monotonic_s: Callable[[], float] = monotonic,
    ) -> None:
        self._database = database
        self._register = register
        self._above = above
        self._send = send
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._since_s: dict[Job, float] = {}

    def look(self, _now_ms: int = 0) -> None:
        """Look once; write only what has changed."""
        station, now_ms = self._register.station, self._clock()
        with self._database.read() as session:
            places = where(session, station, now_ms=now_ms)
            raised = {job for job in Job if repository.present(session, JOB_MISSING, "", job.value) is not None}
        missing = {job for job, place in places.items() if place is None}
        now_s = self._monotonic_s()
        self._since_s = {job: self._since_s.get(job, now_s) for job in missing}
        long = {job for job, since_s in self._since_s.items() if now_s - since_s >= MISSING_S}
        begun = long - raised
        over = raised - missing
        if begun or over:
            with self._database.write() as session:
                for job in begun:
                    areas = self._register.lies_in(station)
                    if repository.present(session, JOB_MISSING, "", job.value) is None:
                        raise_fault(session, JOB_MISSING, about=job.value, now_ms=now_ms, areas=areas)
                        self._above(session, now_ms, over=False)
                for job in over:
                    if repository.present(session, JOB_MISSING, "", job.value) is not None:
                        clear_fault(session, JOB_MISSING, about=job.value, now_ms=now_ms)
                        self._above(session, now_ms, over=True)
        if Job.NOTIFIER in long:
            self._send()
