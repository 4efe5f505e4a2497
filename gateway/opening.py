"""Opening the journal, whatever state its file is in: a damaged one is set aside, never deleted, and a new one opens.

What can still be read of the old file goes along: undelivered events, the units' counters, the messages that are
known (N14). A new file is a new epoch, and its first event names the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from broker import ids
from broker.ids import Epoch, EventId, GatewayId, StationId
from broker.kinds import EventType
from broker.messages import clean
from gateway.events import Event
from gateway.journal import Carried, Damaged, Heard, Journal, Refused, salvage, sync_folder
from gateway.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal ready for use, and what had to be done for that."""

    journal: Journal
    set_aside: Path | None = None
    trouble: str = ""
    carried: int = 0
    """Undelivered events that went along into the new file."""


def open_journal(
    path: Path,
    *,
    station: StationId,
    gateway: GatewayId,
    now: Stamp,
    random_bytes: Callable[[int], bytes],
    ballast_bytes: int = 0,
    afresh: bool = False,
    carried: Carried | None = None,
) -> Opened:
    """Open the journal or make one. Raises InUse, or Refused when not even a new file can be made.

    `afresh`: set the present file aside in any case. `carried` is what the caller knows and must not be lost.
    """

    def make() -> Journal:
        return Journal(path, station=station, gateway=gateway, random_bytes=random_bytes, ballast_bytes=ballast_bytes)

    set_aside: Path | None = None
    trouble = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if afresh and path.exists():
            set_aside = put_aside(path, now)
        try:
            journal = make()
        except Damaged as error:
            trouble = error.what
            set_aside = put_aside(path, now)
            journal = make()
    except OSError as error:
        raise Refused(path, str(error)) from error
    kept = 0
    try:
        if journal.head_seq == 0:
            found = Carried() if set_aside is None else salvage(set_aside, station=station)
            whole = union(found, carried or Carried())
            journal.carry(whole, first=[_epoch_opened(path, now, set_aside, random_bytes)])
            kept = len(whole.events)
            _write_epoch(path, journal.epoch)
        elif carried is not None:
            journal.carry(carried)
    except BaseException:
        journal.close()
        raise
    return Opened(journal, set_aside, trouble, kept)


def union(found: Carried, told: Carried) -> Carried:
    """Put together what a file and what memory knew, each event once. Of what an old epoch was, nothing goes along."""
    events = {event.id: (event, targets) for event, targets in [*found.events, *told.events]}
    heard: dict[str, int] = {}
    for row in [*found.heard, *told.heard]:
        heard[row.unit] = max(row.counter, heard.get(row.unit, 0))
    return Carried(
        [(event, targets) for event, targets in events.values() if event.type is not EventType.EPOCH_OPENED],
        [Heard(unit, counter) for unit, counter in heard.items()],
        {**found.known, **told.known},
        told.audit or found.audit,
    )


def put_aside(path: Path, now: Stamp) -> Path:
    """Rename a journal and its side files out of the way; return its new name. Nothing is deleted."""
    number = 0
    while True:
        aside = path.with_name(f"{path.name}.damaged-{now.wall_ms}-{number}")
        if not aside.exists():
            break
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


def _epoch_opened(path: Path, now: Stamp, set_aside: Path | None, random_bytes: Callable[[int], bytes]) -> Event:
    detail: dict[str, str | int | bool] = {"predecessor": _read_epoch(path)}
    if set_aside is not None:
        detail["set_aside"] = set_aside.name[-96:]
    identity: EventId = ids.event_id(max(now.wall_ms, 0), random_bytes(ids.EVENT_ID_RANDOM_BYTES))
    return Event(id=identity, type=EventType.EPOCH_OPENED, stamp=now, detail=detail)


def _epoch_file(path: Path) -> Path:
    return path.with_suffix(".epoch")


def _read_epoch(path: Path) -> str:
    """The epoch that stood here before, as far as the small file beside the journal still tells."""
    try:
        text = _epoch_file(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return clean(text)[:16]


def _write_epoch(path: Path, epoch: Epoch) -> None:
    try:
        _epoch_file(path).write_text(epoch, encoding="ascii")
    except OSError:
        return  # only the next epoch's remark about its predecessor hangs on it
