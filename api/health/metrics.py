"""Figures for Prometheus: how the station works, never whom it works for.

No label names a person, a place or a gateway. Alarms are counted with the eyes of a community, and how many events came
in or messages wait is not told at all: whoever reads figures shall not learn of a duress alarm from one that moved.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import func, select
from sqlmodel import Session

from api.alarms.rules import OPEN, State
from api.alarms.views import ALARM, visible
from api.faults import repository as faulty
from api.ingest import repository as ingest
from api.leases.rules import Job as Leased
from api.notify import repository as notices
from api.station import Station
from broker.policy import Audience

PREFIX: Final = "shouwang_"
BACKED_UP: Final = "backed-up"
"""Whoever keeps a backup of the station's folder in safety touches this file in it (docs/monitoring.md)."""


class Figures:
    """Collected when somebody asks, into a registry of their own."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """One after the other. Raises what the database says."""
        station = self._station
        yield _one("up", "1 while what this process was started for is done by it, or stood by for", _is_up(station))
        yield _one("stands_by", "1 while another process does what this one was started for", _stands_by(station))
        if Leased.INGEST in station.at_work:
            yield _one("broker_connected", "1 while connected and subscribed", station.connected)
            yield _one("ingest_lag_seconds", "How long the oldest message in hand waits", station.ingest.lag_ms / 1_000)
        if station.role.serves:
            yield _one("feed_viewers", "Screens that listen", station.feed.viewers)
        yield from _disk(station.settings.attachments_folder.parent)
        yield self._certificate()
        with station.database.read() as session:
            yield from self._alarms(session)
            jobs = GaugeMetricFamily(f"{PREFIX}job_done", "1 while some process does it", labels=["work"])
            for job, place in station.where(session).items():
                jobs.add_metric([job.value], int(place is not None))
            yield jobs
            first_ms = notices.waits_since(session, station.settings.station, now_ms=station.clock())
            lag_ms = 0 if first_ms is None else max(0, station.clock() - first_ms)
            yield _one("delivery_lag_seconds", "How long the oldest message to a channel is owed", lag_ms / 1_000)
            yield _one("dead_letters", "Messages that could not be taken in", ingest.how_many_dead_letters(session))
            faults = GaugeMetricFamily(f"{PREFIX}faults", "Faults that are there, by code", labels=["code"])
            for code, many in sorted(faulty.how_many(session).items()):
                faults.add_metric([code], many)
            yield faults
            gateways = ingest.gateways(session)
        now = station.clock()
        online = sum(one.online for one in gateways)
        yield _one("gateways_known", "Gateways that ever said something", len(gateways))
        yield _one("gateways_online", "Gateways that are there by their last status", online)
        oldest = max((now - one.seen_ms for one in gateways), default=0)
        yield _one("gateway_silence_seconds", "Of the gateway that was silent for the longest", max(0, oldest) / 1_000)

    def _certificate(self) -> Metric:
        """Without a sample where this process shows no certificate."""
        name, about = f"{PREFIX}certificate_ends_timestamp_seconds", "When the certificate that is shown ends"
        family = GaugeMetricFamily(name, about, labels=[])
        shown = None if self._station.identity is None else self._station.identity.certificate
        if shown is not None:
            family.add_metric([], shown.not_after_ms / 1_000)
        return family

    def _alarms(self, session: Session) -> Iterator[Metric]:
        """Open alarms that a community may know of, and how long the oldest waits to be acknowledged."""
        may_be_known = visible(Audience.COMMUNITY)
        found = select(ALARM.c.state, func.count(), func.min(ALARM.c.received_ms)).where(
            ALARM.c.state.in_([state.value for state in OPEN]), may_be_known
        )
        rows = session.connection().execute(found.group_by(ALARM.c.state)).all()
        open_ = GaugeMetricFamily(f"{PREFIX}alarms_open", "Open alarms by state", labels=["state"])
        waits_ms = 0
        for state, many, first_ms in rows:
            open_.add_metric([state], many)
            if state in {State.RECEIVED, State.CANCELLED_BY_HOUSEHOLD}:
                waits_ms = max(waits_ms, self._station.clock() - first_ms)
        yield open_
        yield _one("alarm_waits_seconds", "How long the oldest alarm waits to be acknowledged", waits_ms / 1_000)


def _disk(folder: Path) -> Iterator[Metric]:
    """Room where the station keeps its files, and when they were last brought into safety; 0: never."""
    while not folder.is_dir() and folder != folder.parent:  # a station on PostgreSQL may have written nothing yet
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    # In whole hundredths: octets would move with each alarm, one for the police alone among them.
    used = (usage.total - usage.free) * 100 // usage.total / 100
    yield _one("disk_used_ratio", "Of the disk on which the station keeps its files, 0 to 1", used)
    try:
        backed_up_s = (folder / BACKED_UP).stat().st_mtime
    except OSError:
        backed_up_s = 0.0
    yield _one("backup_timestamp_seconds", "When a backup was last kept; 0: never", backed_up_s)


def _is_up(station: Station) -> bool:
    takes_in = Leased.INGEST not in station.at_work or (station.ingest.alive and station.sender.alive)
    return takes_in and all(worker.alive for worker in station.workers.values())


def _stands_by(station: Station) -> bool:
    return bool(station.role.jobs) and not station.at_work


def _one(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, about, value=value)
