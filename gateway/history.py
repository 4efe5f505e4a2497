"""Holds what the station knows of our chain against our chain: history cannot be changed unnoticed (N15).

The station says with receipts and hellos which head of our journal it was told. Every row has the head of the chain
up to it, so that one look tells whether anything before was changed since. The other direction is the station's: it
looks at the head in our status.

The station's own record of who did what is a chain as well, and we are its witness: we keep the newest head that it
told, and tell it back; it looks whether its chain has that head, before it tells another one that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Final

from broker.ids import Epoch
from broker.messages import ChainHead, Head, StationAudit
from gateway import journal
from gateway.journal import Journal, JournalError, Witness
from gateway.keeping import Keeper

UNRELATED: Final = "audit_unrelated"
"""Why a head of the station's record is refused: it does not follow the one that is kept."""


def told_head(head: journal.ChainHead) -> ChainHead:
    """A head as messages say it."""
    return ChainHead(seq=head.seq, digest=head.digest.hex())


def _head(told: ChainHead) -> journal.ChainHead:
    return journal.ChainHead(told.seq, bytes.fromhex(told.digest))


def highest(held: Head) -> int:
    """The highest sequence number of an epoch that the station knows of."""
    return held.seq if held.chain is None else max(held.seq, held.chain.seq)


class History:
    """Compares for one gateway. Use from the event loop only."""

    def __init__(self, keeper: Keeper, *, told: Callable[[int | None], None], refused: Callable[[str], None]) -> None:
        """`told` hears of each comparison: the sequence number of a row that was changed, None when none was.

        `refused` hears why a head of the station's record is not kept.
        """
        self._keeper = keeper
        self._told = told
        self._refused = refused
        self._last: tuple[Epoch, ChainHead] | None = None
        """What was compared last: receipts say the same one again until the next status."""
        self._tasks: set[asyncio.Task[None]] = set()

    def compare(self, held: Iterable[Head]) -> None:
        """Look, soon, at what the station holds of the present journal."""
        epoch = self._keeper.epoch
        for head in held:
            if head.chain is None or head.epoch != epoch or self._last == (epoch, head.chain):
                continue
            self._last = epoch, head.chain
            self._spawn(self._look(epoch, head.chain))

    def witness(self, audit: StationAudit) -> None:
        """Keep, soon, where the station's own record ends."""
        follows = None if audit.follows is None else _head(audit.follows)
        self._spawn(self._keep(Witness(_head(audit.head), follows, rewritten=audit.rewritten)))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being looked at."""
        await asyncio.gather(*self._tasks)

    async def _look(self, epoch: Epoch, chain: ChainHead) -> None:
        def digest(journal: Journal) -> bytes | None:
            return journal.digest_at(chain.seq) if journal.epoch == epoch else None

        try:
            ours = await self._keeper.ask(digest)
        except JournalError:
            self._last = None  # it is in `Keeper.trouble`, and looked at again
            return
        if ours is not None:  # else the station is ahead of us, which is another fault
            self._told(None if ours.hex() == chain.digest else chain.seq)

    async def _keep(self, told: Witness) -> None:
        try:
            kept = await self._keeper.ask(lambda journal: journal.audit == told.head or journal.witness(told))
        except JournalError:
            return  # it is in `Keeper.trouble`; the next status shows that we hold the older one
        if not kept:
            self._refused(UNRELATED)
