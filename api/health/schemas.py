"""Health as HTTP shows it: no names, no places, no alarms."""

from datetime import datetime
from typing import Literal

from api.leases.rules import Job, Role
from api.shapes import Answer


class DatabaseHealth(Answer):
    """Whether a row could be committed just now."""

    writable: bool


class BrokerHealth(Answer):
    """Whether the station is connected and subscribed, and else why not."""

    connected: bool
    trouble: str | None


class IngestHealth(Answer):
    """The consumer. Counts are since the start: taken = stored + duplicate + rejected + statuses."""

    alive: bool
    trouble: str | None
    lag_ms: int
    waiting: int
    taken: int
    stored: int
    duplicate: int
    rejected: int
    statuses: int


class OutgoingHealth(Answer):
    """What is owed to others and not sent yet. `alive` is null where another process sends."""

    alive: bool | None
    waiting: int


class JobHealth(Answer):
    """Where something is done that one process at a time does for the station; nowhere, if `host` is null."""

    job: Job
    here: bool
    host: str | None
    pid: int | None


class CertificateHealth(Answer):
    """The certificate that this process shows; null while none can be used. `trouble`: why a newer one is not shown."""

    not_after: datetime | None
    days_left: int | None
    trouble: bool


class Health(Answer):
    """Of this process: `ok`; `attention`: it works, and somebody should look; `failing`: alarms may not get through."""

    status: Literal["ok", "attention", "failing"]
    station: str
    role: Role
    """What this process was started for."""
    jobs: tuple[JobHealth, ...]
    generation: int
    database: DatabaseHealth
    broker: BrokerHealth | None
    """Null, as `ingest` is, where another process has the broker."""
    ingest: IngestHealth | None
    outgoing: OutgoingHealth
    stopped: tuple[str, ...]
    """Workers that ought to run here and do not: escalation, notify, feed, rounds, lease."""
    certificate: CertificateHealth | None
    """Null where this process serves no HTTPS."""
    dead_letters: int
    open_faults: int
