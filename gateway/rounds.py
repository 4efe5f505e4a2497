"""Once a second: look at everything that can be wrong, tell of it, and do what has to be done from time to time.

A round that fails is a fault that is told, and the next one comes. The journal is looked at beside the rounds, so
that a disk that hangs is seen and does not stop them.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import structlog

from gateway.journal import JournalError
from gateway.keeping import Keeper
from gateway.lines import AskedLine, NativeLine, PortLine, Source
from gateway.outbox import Outbox
from gateway.recorder import Recorder
from gateway.road import Road
from gateway.settings import GatewaySettings
from gateway.stamps import Clock
from gateway.supervision import Change, Supervision
from gateway.trust import Credential
from gateway.uplink import Uplink
from gateway.watchdog import Watchdog

log = structlog.get_logger("gateway.rounds")

ROUND_S: Final = 1.0
DISK_FULL_SHARE: Final = 0.9
QUEUE_DEEP: Final = 1_000
VIEWS_EVERY: Final = 10
PRUNE_EVERY: Final = 60
CERTIFICATE_EVERY: Final = 60
PRUNE_MOST: Final = 20
"""So many helpings of rows are pruned or shed at once; the journal is free for others between them."""
UPLINK_DOWN_S: Final = 10.0
"""A shorter loss of the connection is none: a flapping one must not wear out the disk with remarks about it."""
JOURNAL_STUCK_S: Final = 20.0
"""A journal that has not answered for so long: nobody tells the watchdog that all is well."""


class Linked(Protocol):
    """A connection to a broker."""

    up: bool
    trouble: str
    deaf: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """Everything that the rounds go to."""

    keeper: Keeper
    outbox: Outbox
    uplink: Uplink
    supervision: Supervision
    recorder: Recorder
    lines: Mapping[str, PortLine]
    own: Source
    zigbee: Callable[[], Linked | None]
    health: Callable[[], dict[str, object]]
    failures: Callable[[], int]
    road: Road | None = None
    credential: Credential | None = None


class Rounds:
    """The rounds of one gateway."""

    def __init__(self, watched: Watched, settings: GatewaySettings, *, clock: Clock, watchdog: Watchdog) -> None:
        self._to = watched
        self._settings = settings
        self._clock = clock
        self._watchdog = watchdog
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._status_every = max(1, int(settings.status_s / ROUND_S))
        self._told: tuple[str, ...] | None = None
        self._linked: tuple[bool, str] | None = None
        self._up_s = self._loop.time()
        self._answered_s = self._loop.time()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._journal: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on rounds from now on."""
        self._task = self._loop.create_task(self._go(), name="gateway.rounds")

    async def close(self) -> None:
        """Go on no more."""
        tasks = [task for task in (self._task, self._journal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go(self) -> None:
        while True:
            try:
                await self._round()
            except Exception:
                self._failures += 1
                log.exception("a round failed")
            self._number += 1
            await asyncio.sleep(ROUND_S)

    async def _round(self) -> None:
        now = self._clock()
        to = self._to
        changes = to.supervision.advance(now.mono_ns)
        changes += self._look_inside(unsynced=now.quality == "unsynced")
        changes += self._look_at_disk(await self._loop.run_in_executor(None, self._read_disk))
        if to.credential is not None and self._number % CERTIFICATE_EVERY == 0:
            look = partial(to.credential.look, now.wall_ms, synced=now.quality != "unsynced")
            await self._loop.run_in_executor(None, look)
            changes += self._look_at_certificate(to.credential.stage)
        to.own.note(changes)
        for line in to.lines.values():
            line.note(line.supervise_backlog())
        if self._number % self._status_every == 0:
            for line in to.lines.values():
                if isinstance(line, NativeLine | AskedLine):
                    line.supervise()
        if self._number % VIEWS_EVERY == 0:
            to.keeper.mark(done=to.outbox.drop_old_views(now.mono_ns))
        self._look_at_journal()
        await self._tell()
        to.uplink.refill()
        to.uplink.pump()
        if to.road is not None:
            to.road.look()

    def _look_inside(self, *, unsynced: bool) -> list[Change]:
        to, state = self._to, self._to.supervision.state
        if to.uplink.link.up:
            self._up_s = self._loop.time()
        cut = not to.uplink.link.up and self._loop.time() - self._up_s >= UPLINK_DOWN_S
        changes = state("clock", "wall", wrong=unsynced)
        changes += state("journal", "disk", wrong=bool(to.keeper.trouble), detail={"why": to.keeper.trouble[:90]})
        changes += state("counters_improvised", "downlink", wrong=to.keeper.counters.improvised)
        changes += state("uplink", "broker", wrong=cut, detail={"why": to.uplink.link.trouble[:90]})
        if to.road is not None:
            trouble = to.road.trouble
            changes += state("uplink_http", "station", wrong=bool(trouble), detail={"why": trouble[:90]})
            closed = to.road.trial_trouble
            changes += state("https_road", "station", wrong=bool(closed), detail={"why": closed[:90]})
        changes += state("subscription_refused", "broker", wrong=bool(to.uplink.link.deaf))
        changes += state("queue", "outbox", wrong=to.keeper.queued > QUEUE_DEEP)
        changes += state("unsendable", "outbox", wrong=to.outbox.counts.unsendable > 0)
        changes += state("internal_error", "program", wrong=self._failures + to.failures() > 0)
        zigbee = to.zigbee()
        if zigbee is not None:
            changes += state("zigbee_lost", "broker", wrong=not zigbee.up, detail={"why": zigbee.trouble[:90]})
        return changes

    def _read_disk(self) -> tuple[float, int, bool] | str:
        """On a thread: the share that is used, free MiB, and whether the ballast had to go. Or what is wrong."""
        try:
            usage = shutil.disk_usage(self._settings.state)
        except OSError as error:
            return str(error)
        journal = self._to.keeper.journal
        gone = self._settings.ballast_bytes > 0 and journal is not None and journal.ballast_used
        return usage.used / max(usage.total, 1), usage.free >> 20, gone

    def _look_at_disk(self, disk: tuple[float, int, bool] | str) -> list[Change]:
        if isinstance(disk, str):
            return self._to.supervision.state("disk", "state", wrong=True, detail={"why": disk[:90]})
        used, free_mib, gone = disk
        full = used > DISK_FULL_SHARE or gone
        return self._to.supervision.state("disk", "state", wrong=full, detail={"free_mib": free_mib})

    def _look_at_certificate(self, stage: str) -> list[Change]:
        state = self._to.supervision.state
        return [
            *state("certificate_ends", "broker", wrong=stage == "certificate_ends"),
            *state("certificate_ends_soon", "broker", wrong=stage == "certificate_ends_soon"),
            *state("certificate_ends_now", "broker", wrong=stage == "certificate_ends_now"),
            *state("certificate_ended", "broker", wrong=stage == "certificate_ended"),
        ]

    def _look_at_journal(self) -> None:
        if self._journal is not None and not self._journal.done():
            return
        if self._journal is not None and not self._journal.cancelled() and self._journal.exception() is not None:
            self._failures += 1
            log.error("looking at the journal failed", trouble=repr(self._journal.exception()))
        self._journal = self._loop.create_task(self._see_to_journal(prune=self._number % PRUNE_EVERY == 0))

    async def _see_to_journal(self, *, prune: bool) -> None:
        keeper = self._to.keeper
        try:
            await keeper.look()
            if prune:
                await self._prune()
        except JournalError:
            pass  # it is in `Keeper.trouble`
        self._answered_s = self._loop.time()

    async def _prune(self) -> None:
        keeper = self._to.keeper
        full = "disk" in self._to.supervision.faults
        keep = QUEUE_DEEP if full else self._settings.keep_events
        for _ in range(PRUNE_MOST):
            if not await keeper.ask(lambda journal: journal.prune(keep)):
                break
        for _ in range(PRUNE_MOST):
            entry = await keeper.ask(lambda journal: journal.shed(keep, self._to.recorder.drop))
            if entry is None:
                break
            self._to.outbox.drop(entry)
            self._to.recorder.hand_on([entry])
        await keeper.ask(lambda journal: journal.lay_ballast())

    async def _tell(self) -> None:
        link = self._to.uplink.link
        due = self._number % self._status_every == 0
        if due or self._to.supervision.faults != self._told:
            self._told = self._to.supervision.faults
            self._to.uplink.tell_status()
            due = True
        if due or (link.up, link.trouble) != self._linked:  # somebody may be standing before the box
            self._linked = (link.up, link.trouble)
            await self._loop.run_in_executor(None, _write_health, self._settings.state, self._to.health())
        if self._loop.time() - self._answered_s < JOURNAL_STUCK_S:
            self._watchdog.say("WATCHDOG=1")


def _write_health(state: Path, health: dict[str, object]) -> None:
    path = state / "health.json"
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(health, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError:
        return  # the disk's own fault says so
