"""What the gateway has on disk: journal, downlink counters, the number of this start. Blocking; for a thread.

None of it is needed to alert: a store that cannot be had is a fault that is told and tried again, and everything
else goes on. Only a second process on the same journal is turned away.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from broker.ids import EventId
from broker.signing import Verifier
from gateway.counters import Counters, take_start
from gateway.events import Entry
from gateway.journal import Carried, Damaged, InUse, Journal, JournalError
from gateway.opening import open_journal
from gateway.rung import load as load_rung
from gateway.settings import GatewaySettings, public_keys
from gateway.slices import Found, load
from gateway.stamps import Clock
from gateway.unit_keys import SpokenKey
from gateway.unit_keys import load as load_keys

log = structlog.get_logger("gateway.stores")

LATELY: Final = 2_000
"""So many of the latest messages are looked through at start for alarms that were interrupted."""


@dataclass(slots=True)
class Stores:
    """What was found. `journal` is None when there is none to be had now."""

    counters: Counters
    start: int
    journal: Journal | None = None
    heard: dict[str, int] = field(default_factory=dict)
    known: dict[str, EventId] = field(default_factory=dict)
    lately: list[tuple[Entry, bool]] = field(default_factory=list)
    found: Found = field(default_factory=Found)
    """The slice of the register that was kept."""
    spoken: dict[str, SpokenKey] = field(default_factory=dict)
    """Keys that units speak with by now."""
    rung: dict[str, list[EventId]] = field(default_factory=dict)
    """Alarms of other gateways that rang here."""
    counters_lost: bool = False
    """Whether there was a journal and no file of counters beside it."""


def open_stores(
    settings: GatewaySettings, *, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> Stores:
    """Open everything. Raises InUse when another process has the journal."""
    with contextlib.suppress(OSError):
        settings.state.mkdir(parents=True, exist_ok=True)
    begun = os.path.exists(settings.state / "journal.db")  # noqa: PTH110 - Path.exists raises where nobody may look
    counters = Counters(settings.state / "counters", random_bytes=random_bytes)
    start = take_start(settings.state / "starts", wall_ms=clock().wall_ms, random_bytes=random_bytes)
    stores = Stores(counters, start, counters_lost=begun and counters.lost)
    stores.found = load(settings, Verifier(settings.station, public_keys(settings)))
    stores.spoken = load_keys(settings)
    stores.rung = load_rung(settings.state)
    if stores.found.trouble is not None:
        log.error("the kept slice of the register is refused", trouble=stores.found.trouble)
    try:
        _read_journal(stores, reopen(settings, clock=clock, random_bytes=random_bytes))
    except InUse:
        raise
    except Damaged as error:  # it opened, and then did not read
        log.error("the journal is damaged and is set aside", trouble=error.what)  # noqa: TRY400 - the reason is enough
        _begin_anew(stores, settings, clock, random_bytes)
    except JournalError as error:
        log.error("there is no journal: alarms ring, nothing is confirmed", trouble=error.what)  # noqa: TRY400
    _lease(counters)
    return stores


def reopen(
    settings: GatewaySettings,
    *,
    clock: Clock,
    afresh: bool = False,
    carried: Carried | None = None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Journal:
    """Open the journal, or a new one (`afresh`) into which what is `carried` goes along. Raises JournalError."""
    opened = open_journal(
        settings.state / "journal.db",
        station=settings.station,
        gateway=settings.gateway,
        now=clock(),
        random_bytes=random_bytes,
        ballast_bytes=settings.ballast_bytes,
        afresh=afresh,
        carried=carried,
    )
    if opened.set_aside is not None:
        log.error("a journal was set aside", file=str(opened.set_aside), trouble=opened.trouble, carried=opened.carried)
    return opened.journal


def _read_journal(stores: Stores, journal: Journal) -> None:
    try:
        stores.heard, stores.known = journal.heard(), journal.known_messages()
        stores.lately = journal.lately(limit=LATELY)
    except BaseException:
        journal.close()
        raise
    stores.journal = journal


def _begin_anew(stores: Stores, settings: GatewaySettings, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
    try:
        _read_journal(stores, reopen(settings, clock=clock, afresh=True, random_bytes=random_bytes))
    except JournalError as error:
        log.error("there is no journal: alarms ring, nothing is confirmed", trouble=error.what)  # noqa: TRY400


def _lease(counters: Counters) -> None:
    try:
        while counters.short:
            counters.renew()
    except OSError as error:
        log.error("no disk takes the counters: they are improvised", trouble=str(error))  # noqa: TRY400
        counters.improvise()
