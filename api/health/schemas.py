"""Health as HTTP shows it: no names, no places, no alarms."""

from typing import Literal

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
    """What is owed to others and not sent yet."""

    alive: bool
    waiting: int


class Health(Answer):
    """`ok`; `attention`: it works, and somebody should look; `failing`: alarms may not get through."""

    status: Literal["ok", "attention", "failing"]
    station: str
    generation: int
    database: DatabaseHealth
    broker: BrokerHealth
    ingest: IngestHealth
    outgoing: OutgoingHealth
    stopped: tuple[str, ...]
    """Workers that ought to run and do not: escalation, notifications, the feed, the rounds."""
    dead_letters: int
    open_faults: int
