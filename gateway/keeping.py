"""The asyncio side of the journal: one thread owns the file, everybody else awaits it.

Marks (handed over, done) wait for the next commit or for MARKS_S, so that they cost no fsync of their own under
load. A damaged journal is set aside while running and the same events go into a new one; a refusal is told to the
caller, which has not confirmed anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from broker.kinds import EventType
from gateway.counters import Counters
from gateway.events import STATION, Entry, Event
from gateway.journal import Damaged, Delivery, Heard, Journal, JournalError, Marks

T = TypeVar("T")

MARKS_S: Final = 0.2
MOST_CARRIED: Final = 1_000_000


class Append(Protocol):
    """What keeps events: `Journal.append`, or that with something around it (kill points, a slow disk)."""

    def __call__(
        self, events: Sequence[Event], *, marks: Marks | None = None, heard: Sequence[Heard] = ()
    ) -> list[Entry]:
        """Return only when the events are durable."""


@dataclass(slots=True)
class KeepingCounts:
    """What the journal did and suffered, since start."""

    commits: int = 0
    events: int = 0
    refused: int = 0
    set_aside: int = 0
    last_commit_s: float = 0.0


@dataclass(slots=True)
class _Marking:
    handed: list[Delivery] = field(default_factory=list)
    done: list[Delivery] = field(default_factory=list)

    def take(self) -> Marks | None:
        if not self.handed and not self.done:
            return None
        marks = Marks(self.handed, self.done)
        self.handed, self.done = [], []
        return marks


class Keeper:
    """Keeps events for one gateway. Use from the event loop only."""

    def __init__(
        self,
        journal: Journal,
        counters: Counters,
        *,
        reopen: Callable[[], Journal],
        wrap: Callable[[Append], Append] = lambda append: append,
    ) -> None:
        """`reopen` sets the damaged file aside and returns a new journal; `wrap` puts something around append."""
        self.journal = journal
        self.counters = counters
        self.counts = KeepingCounts()
        self.trouble = ""
        self.low = 1
        """Lowest sequence number that is not done, as of the last `look`."""
        self.queued = 0
        """Events without a receipt, as of the last `look`."""
        self._reopen = reopen
        self._wrap = wrap
        self._marking = _Marking()
        self._timer: asyncio.TimerHandle | None = None
        self._renewing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._tasks: set[asyncio.Task[None]] = set()

    async def append(self, events: Sequence[Event], *, heard: Sequence[Heard] = ()) -> list[Entry]:
        """Keep `events`; when this returns they are on disk. JournalError: they are not, try again later."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        marks = self._marking.take()
        try:
            entries = await self._run(partial(self._append, events, marks=marks, heard=heard))
        except JournalError as error:
            if marks is not None:
                self.mark(handed=marks.handed, done=marks.done)
            self.counts.refused += 1
            self.trouble = error.what
            raise
        self.trouble = ""
        self.counts.commits += 1
        self.counts.events += len(entries)
        self.counts.last_commit_s = loop.time() - began
        return entries

    def mark(self, *, handed: Sequence[Delivery] = (), done: Sequence[Delivery] = ()) -> None:
        """Note these with the next commit, or in MARKS_S."""
        self._marking.handed += handed
        self._marking.done += done
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(MARKS_S, self._spawn_flush)

    async def ask(self, question: Callable[[Journal], T]) -> T:
        """Return what `question` finds out, asked on the journal's thread."""
        return await self._run(lambda: question(self.journal))

    async def look(self) -> None:
        """Read `low` and `queued` from the journal."""
        self.low, self.queued = await self.ask(lambda journal: (journal.low(), journal.queued()))

    async def open_epoch(self) -> None:
        """Begin a new journal and take along what the station has not receipted (an old card is in this box)."""
        await self.flush()
        await self._run(self._open_epoch)

    def _open_epoch(self) -> None:
        kept = [entry.event for entry, targets in self.journal.pending(limit=MOST_CARRIED) if STATION in targets]
        self.journal = self._reopen()
        if kept:
            self.journal.append([event for event in kept if event.type is not EventType.EPOCH_OPENED])

    async def flush(self) -> None:
        """Write the marks that wait."""
        marks = self._marking.take()
        if marks is None:
            return
        try:
            await self.ask(lambda journal: journal.mark(marks))
        except JournalError as error:
            self.trouble = error.what  # a mark that is lost costs a copy, which the station knows by its id

    def take_counter(self) -> int | None:
        """Return a fresh downlink counter; leases more in the background when they run short."""
        counter = self.counters.take()
        if self.counters.short and not self._renewing:
            self._renewing = True
            self._spawn(self._renew())
        return counter

    async def close(self) -> None:
        """Write the last marks and close the file."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            await task
        await self.flush()
        await self._run(self.journal.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _append(self, events: Sequence[Event], *, marks: Marks | None, heard: Sequence[Heard]) -> list[Entry]:
        """On the journal's thread. A damaged file costs its own past, never the events in hand (N14)."""
        try:
            return self._wrap(self.journal.append)(events, marks=marks, heard=heard)
        except Damaged:
            self.journal = self._reopen()
            self.counts.set_aside += 1
            return self._wrap(self.journal.append)(events, heard=heard)

    def _spawn_flush(self) -> None:
        self._timer = None
        self._spawn(self.flush())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self) -> None:
        try:
            while self.counters.short:
                await self._run(self.counters.renew)
        except OSError as error:
            self.trouble = str(error)
        finally:
            self._renewing = False
