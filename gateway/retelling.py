"""Tells a station once more what it lost: a restored backup is older than the receipts that it gave (N2, N9).

A receipt says that the station has committed an event. A station that comes back from a backup does not have what it
committed after that, and says so in its hello: the highest sequence number that it holds, and what is missing below it.
Of a station that lost nothing that is nothing but what still waits here. What has no delivery any more and is missing
there is owed to the station again, and only to the station: no siren, no lamp and no neighbour hears of it (N12), its
age goes with it, and what the station has after all it knows by the id (N3). Fresh alarms go before all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from broker.ids import Epoch
from broker.messages import Head
from gateway.journal import Journal, JournalError, Reopened
from gateway.keeping import Keeper
from gateway.stamps import Clock

RETOLD_MS: Final = 31 * 86_400_000
"""What is older is not told again: backups are kept no longer, and whoever lost all has no use for a year of alarms."""

TOLD_AGAIN: Final = "the station lost what it had: told again"
"""What the log says then, and only then."""

log = structlog.get_logger("gateway.retelling")


class Retelling:
    """One gateway's. Use from the event loop only."""

    def __init__(self, keeper: Keeper, *, clock: Clock, owed_again: Callable[[], None]) -> None:
        """`owed_again`: the journal has deliveries that it did not have before."""
        self.count = 0
        """Events that were told again, since start."""
        self._keeper = keeper
        self._clock = clock
        self._owed_again = owed_again
        self._running: asyncio.Task[None] | None = None
        self._next: tuple[Epoch, Sequence[tuple[int, int]]] | None = None

    def compare(self, highest: Sequence[Head]) -> None:
        """Look, soon, for what the station should have by its receipts and does not. The last hello counts."""
        epoch, head = self._keeper.head
        held = next((one for one in highest if one.epoch == epoch), None)
        above = 0 if held is None else held.seq
        ranges = [] if held is None or held.missing is None else [(one.first, one.last) for one in held.missing]
        if above < head.seq:
            ranges.append((above + 1, head.seq))
        if not ranges:
            return
        self._next = epoch, ranges
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Wait for what is being looked at."""
        self._next = None
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while self._next is not None:
            (epoch, ranges), self._next = self._next, None
            try:
                await self._keeper.flush()  # receipts that came are in the journal first
                count = sum([await self._look(epoch, first, last) for first, last in ranges])
            except JournalError:
                return  # it is in `Keeper.trouble`; the next hello finds it so again
            if count:
                self.count += count
                log.warning(TOLD_AGAIN, events=count)

    async def _look(self, epoch: Epoch, first: int, last: int) -> int:
        """A little at a time: between two looks the journal takes what happens now."""
        now = self._clock()
        from_ms = now.wall_ms - RETOLD_MS if now.quality == "synced" else 0
        count = 0
        on_from: int | None = first

        def owe_again(journal: Journal) -> Reopened | None:
            return journal.owe_again(on_from or first, last, from_ms=from_ms) if journal.epoch == epoch else None

        while on_from is not None and on_from <= last:
            found = await self._keeper.ask(owe_again)
            if found is None:
                break  # another journal began meanwhile; the station says what it holds of that
            if found.events:
                await self._keeper.look()
                self._owed_again()
            count, on_from = count + found.events, found.on_from
        return count
