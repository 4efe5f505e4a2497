"""Looks at every part of a station."""

import threading
from collections.abc import Mapping
from time import monotonic
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from api.clock import iso
from api.faults import repository as faulty
from api.health.schemas import (
    BrokerHealth,
    CertificateHealth,
    DatabaseHealth,
    Health,
    IngestHealth,
    JobHealth,
    OutgoingHealth,
)
from api.ingest import repository as ingest
from api.leases.rules import Job as Leased
from api.leases.service import Place, here
from api.outgoing import repository as outgoing
from api.station import Station

FRESH_S: Final = 1.0
"""A proof of writing is good for so long: whoever asks more often costs the disk nothing."""
LAG_MOST_MS: Final = 5_000
DAY_MS: Final = 86_400_000


class Pulse:
    """Whether rows can be committed, tried at most once in FRESH_S."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._lock = threading.Lock()
        self._tried: float | None = None
        self._writable = False

    def writable(self) -> bool:
        """Commit a row, unless that was done a moment ago."""
        with self._lock:
            if self._tried is None or monotonic() - self._tried >= FRESH_S:
                self._writable = self._write()
                self._tried = monotonic()
            return self._writable

    def _write(self) -> bool:
        now = self._station.clock()
        try:
            with self._station.database.write() as session:
                ingest.station(session, now_ms=now).alive_ms = now
        except SQLAlchemyError:
            return False
        return True


def examine(station: Station, pulse: Pulse) -> Health:
    """All of it, at one moment."""
    writable = pulse.writable()
    dead_letters = owed = faults = 0
    generation = station.ingest.generation
    places: Mapping[Leased, Place | None] = {}
    try:
        with station.database.read() as session:
            dead_letters = ingest.how_many_dead_letters(session)
            owed = outgoing.how_many_waiting(session)
            faults = sum(faulty.how_many(session).values())
            generation = ingest.generation(session)
            places = station.where(session)
    except SQLAlchemyError:
        writable = False
    takes_in = Leased.INGEST in station.at_work
    stopped = tuple(name for name, worker in station.workers.items() if not worker.alive)
    calm = not dead_letters and not faults and station.ingest.lag_ms <= LAG_MOST_MS and None not in places.values()
    return Health(
        status="failing" if not writable or not station.works else "ok" if calm else "attention",
        station=station.settings.station,
        role=station.role,
        jobs=tuple(_job(job, place) for job, place in places.items()),
        generation=generation,
        database=DatabaseHealth(writable=writable),
        broker=_broker(station) if takes_in else None,
        ingest=_ingest(station) if takes_in else None,
        outgoing=OutgoingHealth(alive=station.sender.alive if takes_in else None, waiting=owed),
        stopped=stopped,
        certificate=_certificate(station),
        dead_letters=dead_letters,
        open_faults=faults,
    )


def _job(job: Leased, place: Place | None) -> JobHealth:
    host, pid = (None, None) if place is None else (place.host, place.pid)
    return JobHealth(job=job, here=place == here(), host=host, pid=pid)


def _certificate(station: Station) -> CertificateHealth | None:
    if station.identity is None:
        return None
    shown = station.identity.certificate
    return CertificateHealth(
        not_after=None if shown is None else iso(shown.not_after_ms),
        days_left=None if shown is None else (shown.not_after_ms - station.clock()) // DAY_MS,
        trouble=bool(station.identity.trouble),
    )


def _broker(station: Station) -> BrokerHealth:
    connected = station.connected
    return BrokerHealth(connected=connected, trouble=None if connected else station.link.trouble or "stopped")


def _ingest(station: Station) -> IngestHealth:
    counts = station.ingest.counts
    return IngestHealth(
        alive=station.ingest.alive,
        trouble=station.ingest.trouble,
        lag_ms=station.ingest.lag_ms,
        waiting=station.ingest.waiting,
        taken=counts.taken,
        stored=counts.stored,
        duplicate=counts.duplicate,
        rejected=counts.rejected,
        statuses=counts.statuses,
    )
