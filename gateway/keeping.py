"""The asyncio side of the journal: one thread owns the file, everybody else awaits it.

Marks (handed over, done) wait for the next commit or for MARKS_S, so that they cost no fsync of their own under
load. A damaged journal is set aside while running: what this process knows, and what can still be read of the file,
goes along into a new one. A journal that cannot be had at all is tried again at every turn; meanwhile everything is
refused, so that nothing is confirmed, and the sirens have sounded already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from broker.ids import Epoch
from gateway.counters import Counters
from gateway.events import Entry, Event
from gateway.journal import GENESIS, Carried, ChainHead, Damaged, Delivery, Heard, Journal, JournalError, Marks

T = TypeVar("T")

log = structlog.get_logger("gateway.keeping")

MARKS_S: Final = 0.2
NO_EPOCH: Final = Epoch("0" * 16)


class Append(Protocol):
    """What keeps events: `Journal.append`, or that with something around it (kill points, a slow disk)."""

    def __call__(
        self, events: Sequence[Event], *, marks: Marks | None = None, heard: Sequence[Heard] = ()
    ) -> list[Entry]:
        """Return only when the events are durable."""


class Reopen(Protocol):
    """What opens the journal, on the journal's thread. Raises JournalError."""

    def __call__(self, *, afresh: bool, carried: Carried | None) -> Journal:
        """`afresh`: set the present file aside. What is `carried` is in the journal that is returned."""


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
        done = set(self.done)
        marks = Marks([delivery for delivery in self.handed if delivery not in done], self.done)
        self.handed, self.done = [], []
        return marks


class Keeper:
    """Keeps events for one gateway. Use from the event loop only."""

    def __init__(
        self,
        journal: Journal | None,
        counters: Counters,
        *,
        reopen: Reopen,
        carry: Callable[[], Carried],
        renewed: Callable[[], None],
        wrap: Callable[[Append], Append] = lambda append: append,
    ) -> None:
        """`carry` tells what is known here and must not be lost with a file; `renewed` hears of a new file.

        `wrap` puts something around append.
        """
        self.journal = journal
        self.counters = counters
        self.counts = KeepingCounts()
        self.trouble = "" if journal is not None else "there is no journal yet"
        self.counter_trouble = ""
        self.low = 1
        """Lowest sequence number that is not done, as of the last `look`."""
        self.queued = 0
        """Events without a receipt, as of the last `look`."""
        self._reopen = reopen
        self._carry = carry
        self._renewed = renewed
        self._wrap = wrap
        self._luggage: Carried | None = None
        """What could not be put into a new file, since there was none to be had."""
        self._replacing = asyncio.Lock()
        self._marking = _Marking()
        self._timer: asyncio.TimerHandle | None = None
        self._leasing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        # It begins now. Where a thread cannot be started any more, what was handed to it is refused and done later all
        # the same: presses that were tried again stood in the journal five times.
        self._thread.submit(int)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def epoch(self) -> Epoch:
        """The journal's; zeros while there is none."""
        return NO_EPOCH if self.journal is None else self.journal.epoch

    @property
    def head_seq(self) -> int:
        """The highest sequence number that is on disk."""
        return self.head[1].seq

    @property
    def head(self) -> tuple[Epoch, ChainHead]:
        """The chain on disk, of one journal: its epoch, and where it ends."""
        journal = self.journal
        return (NO_EPOCH, ChainHead(0, GENESIS)) if journal is None else (journal.epoch, journal.head)

    @property
    def audit(self) -> ChainHead | None:
        """The newest head of the station's own record that is on disk."""
        return None if self.journal is None else self.journal.audit

    async def append(self, events: Sequence[Event], *, heard: Sequence[Heard] = ()) -> list[Entry]:
        """Keep `events`; when this returns they are on disk. JournalError: they are not, try again later."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        marks = self._marking.take()
        try:
            entries = await self.ask(lambda journal: self._wrap(journal.append)(events, marks=marks, heard=heard))
        except BaseException:
            if marks is not None:
                self.mark(handed=marks.handed, done=marks.done)
            self.counts.refused += 1
            raise
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
        """Return what `question` finds out or does, on the journal's thread. Raises JournalError.

        A damaged journal costs its own past, never what is asked of it: it is put to the new one.
        """
        used: list[Journal] = []

        def work() -> T:
            used.append(self._opened())
            return question(used[-1])

        try:
            try:
                answer = await self._run(work)
            except Damaged as error:
                log.exception("the journal is damaged", trouble=error.what)
                await self._replace(used[-1] if used else None)
                answer = await self._run(work)
        except JournalError as error:
            self.trouble = error.what
            raise
        self.trouble = ""
        return answer

    async def look(self) -> None:
        """Read `low` and `queued` from the journal. Raises JournalError."""
        self.low, self.queued = await self.ask(lambda journal: (journal.low(), journal.queued()))

    async def open_epoch(self) -> None:
        """Begin a new journal and take along what is not delivered (an old card is in this box)."""
        await self.flush()
        await self._replace(self.journal)

    async def flush(self) -> None:
        """Write the marks that wait."""
        marks = self._marking.take()
        if marks is not None:
            with suppress(JournalError):  # a mark that is lost costs a copy, which the station knows by its id
                await self.ask(lambda journal: journal.mark(marks))

    def take_counter(self) -> int | None:
        """Return a fresh downlink counter; leases more in the background when they run short."""
        counter = self.counters.take()
        if self.counters.short and not self._leasing:
            self._leasing = True
            self._spawn(self._lease())
        return counter

    async def close(self) -> None:
        """Write the last marks and close the file."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            await task
        await self.flush()
        if self.journal is not None:
            await self._run(self.journal.close)
        self._thread.shutdown(wait=False)  # it has nothing left to do

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _opened(self) -> Journal:
        """On the journal's thread: the journal, as soon as there is one."""
        if self.journal is None:
            self.journal = self._reopen(afresh=False, carried=self._luggage)
            self._luggage = None
        return self.journal

    async def _replace(self, used: Journal | None) -> None:
        """Go on in a new file, unless somebody has seen to that already."""
        async with self._replacing:
            if self.journal is not used or used is None:
                return
            carried = self._carry()
            try:
                await self._run(partial(self._swap, used, carried))
                await self._run(partial(self._carry_on, self._carry()))
            finally:
                self.counts.set_aside += 1
                self._renewed()

    def _swap(self, old: Journal, carried: Carried) -> None:
        self.journal, self._luggage = None, carried
        with suppress(JournalError, Exception):  # whatever a damaged file says to that
            old.close()
        self.journal = self._reopen(afresh=True, carried=carried)
        self._luggage = None

    def _carry_on(self, carried: Carried) -> None:
        """What the old file took while the new one was being made, and could not be read there any more."""
        journal = self._opened()
        there = journal.ids()
        late = [(event, targets) for event, targets in carried.events if event.id not in there]
        if late:
            journal.carry(Carried(late))

    def _spawn_flush(self) -> None:
        self._timer = None
        self._spawn(self.flush())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lease(self) -> None:
        """Lease counters, on another thread than the journal's: a slow commit must not keep a siren waiting."""
        try:
            while self.counters.short:
                await asyncio.get_running_loop().run_in_executor(None, self.counters.renew)
            self.counter_trouble = ""
        except OSError as error:
            self.counter_trouble = str(error)
            self.counters.improvise()
        finally:
            self._leasing = False
