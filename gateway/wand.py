"""Reads a patrol wand once: everything out of it, into somebody's hands, and only then may it forget.

WandTrouble                 .why: no port, no answer, or an answer that cannot be
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from devices.wand import CardRecord, Details, WandReader, WandRefused
from gateway.links.uart import Port

BAUD: Final = 115_200
REPLY_S: Final = 1.0
TRIES: Final = 5
LOWEST_CODE: Final = 0x1000
HIGHEST_CODE: Final = 0xF000

Keep = Callable[[Sequence[CardRecord], Details], None]
"""Keeps what was read; whatever it raises, the wand forgets nothing."""


class WandTrouble(Exception):
    """The wand could not be read; it has forgotten nothing. Field: `why`."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


class _Talk:
    """One wand on one port."""

    def __init__(self, path: Path, baud: int, random: Random) -> None:
        self.reader = WandReader(codes=iter(lambda: random.randint(LOWEST_CODE, HIGHEST_CODE), 0))
        self._news = asyncio.Event()
        self._trouble: str | None = None
        self._port = Port(path, baud, self)

    def opened(self) -> None:
        self._news.set()

    def lost(self, why: str) -> None:
        self._trouble = why
        self._news.set()

    def heard(self, data: bytes) -> None:
        try:
            send = self.reader.receive_data(data)
        except WandRefused as error:
            self._trouble = str(error)
        else:
            if send:
                self._port.write(send)
        self._news.set()

    def open(self) -> None:
        """Raises WandTrouble."""
        self._port.start()
        self._check()

    def close(self) -> None:
        self._port.close()

    async def until(self, send: bytes, reached: Callable[[], bool], *, reply_s: float) -> None:
        """Send, and ask again while nothing comes. Raises WandTrouble."""
        self._port.write(send)
        silent = 0
        while not reached():
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), reply_s)
                silent = 0
            except TimeoutError:
                silent += 1
                if silent >= TRIES:
                    raise WandTrouble("the wand does not answer; is it switched on and the right port?") from None
                self._port.write(self.reader.again())
            self._check()

    def _check(self) -> None:
        if self._trouble is not None:
            raise WandTrouble(self._trouble)


async def read_wand(path: Path, keep: Keep, *, baud: int = BAUD, random: Random, reply_s: float = REPLY_S) -> int:
    """Read what is unread, hand it to `keep`, and let the wand forget it. Returns how many. Raises WandTrouble."""
    talk = _Talk(path, baud, random)
    try:
        talk.open()
        await talk.until(talk.reader.begin(), lambda: talk.reader.done, reply_s=reply_s)
        assert talk.reader.details is not None
        found = talk.reader.records
        if found:
            await asyncio.to_thread(keep, found, talk.reader.details)
            await talk.until(talk.reader.commit(), lambda: talk.reader.committed, reply_s=reply_s)
        return len(found)
    finally:
        talk.close()
