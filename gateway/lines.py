"""Lines: a port, what speaks on it, and the recorder, put together. Bytes and events only pass through here.

The order is fixed: read, judge and sound, write the siren frames, keep, answer. While a commit is under way the port
is not read, so that no more than one commit's worth is ever taken from a line that cannot repeat; past 50 ms it is
read into a bounded buffer all the same, because a UART overflows and an alarm must sound whatever the disk does.
Nothing in that buffer is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker.ids import UnitId
from devices.commands import Lamp, Siren
from devices.line_link import LineLink
from devices.radio433 import Form, Radio433
from devices.rdm6300 import Rdm6300
from devices.readings import CommandDone, Heartbeat, LinkReading, UnitHello
from gateway.intake import Told
from gateway.journal import JournalError
from gateway.links.uart import OpenPort
from gateway.recorder import Batch, Recorder
from gateway.settings import Line, Unit
from gateway.stamps import Clock
from gateway.supervision import Change, Supervision

READ_ON_S: Final = 0.05
"""A port waits this long for a commit before it is read on."""
MOST_UNKEPT: Final = 2_000
"""Events in the buffer: past that the port waits for the disk, and the units repeat."""
RETRY_S: Final = 1.0
GARBAGE_SHARE: Final = 0.5
GARBAGE_LEAST: Final = 50


@dataclass(frozen=True, slots=True)
class Hearing:
    """What every line of one gateway shares."""

    recorder: Recorder
    supervision: Supervision
    clock: Clock


class Source:
    """Where events come from: a buffer, and one commit at a time. By itself, for what has no port."""

    def __init__(self, name: str, hearing: Hearing) -> None:
        """`name` is the line's, in faults and health."""
        self.name = name
        self.unkept = 0
        """Events of this source that wait for the disk now."""
        self.hearing = hearing
        self.loop = asyncio.get_running_loop()
        self._waiting = Batch()
        self._keeping: asyncio.Task[None] | None = None

    def take(self, batch: Batch) -> None:
        """Keep a batch: now, or together with what waits."""
        self._waiting.extend(batch)
        self.unkept = len(self._waiting.events)
        if self._waiting and self._keeping is None:
            self._keeping = self.loop.create_task(self._keep())
        if self._keeping is not None:
            self.hold()

    def note(self, changes: Sequence[Change]) -> None:
        """Keep faults that began or ended."""
        if changes:
            self.take(self.hearing.recorder.note(changes))

    async def close(self) -> None:
        """Keep what was heard."""
        if self._keeping is not None:
            await self._keeping

    def hold(self) -> None:
        """A commit is under way."""

    def go_on(self) -> None:
        """Nothing waits for the disk any more."""

    def counters(self, batch: Batch) -> Mapping[UnitId, int]:
        """The counters that must be as durable as the batch."""
        del batch
        return {}

    def answer(self, told: list[Told]) -> None:
        """These are on disk: tell who waits for that."""

    async def _keep(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, Batch()
            await self._keep_one(batch)
            self.unkept = len(self._waiting.events)
            self.answer(batch.told)
        self._keeping = None
        self.go_on()

    async def _keep_one(self, batch: Batch) -> None:
        """Try until the disk takes it: what was heard is not thrown away, and not confirmed either (N1, N7)."""
        while True:
            try:
                await self.hearing.recorder.keep(batch, heard=self.counters(batch))
            except JournalError:
                await asyncio.sleep(RETRY_S)
            else:
                return


class PortLine(Source):
    """A source with a serial port."""

    def __init__(self, settings: Line, hearing: Hearing, open_port: OpenPort) -> None:
        """The port is opened by `start`."""
        super().__init__(settings.name, hearing)
        self.port = open_port(settings.port, settings.baud, self)
        self._read_on: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Open the port."""
        self.port.start()

    async def close(self) -> None:
        """Keep what was heard, and close the port."""
        self.port.pause()
        await super().close()
        self.port.close()

    def opened(self) -> None:
        """The port is there."""
        self.note(self.hearing.supervision.state("line_lost", self.name, wrong=False))

    def lost(self, why: str) -> None:
        """The port is gone."""
        self.note(self.hearing.supervision.state("line_lost", self.name, wrong=True, detail={"why": why[:90]}))

    def heard(self, data: bytes) -> None:
        """Bytes were read."""
        raise NotImplementedError

    def hold(self) -> None:
        """Read no further while a commit is under way, but not longer than READ_ON_S."""
        if self._read_on is None:
            self.port.pause()
            self._read_on = self.loop.call_later(READ_ON_S, self._read_anyway)

    def go_on(self) -> None:
        """Read again."""
        if self._read_on is not None:
            self._read_on.cancel()
            self._read_on = None
        self.port.resume()

    def _read_anyway(self) -> None:
        self._read_on = None
        if self.unkept < MOST_UNKEPT:
            self.port.resume()


class ReaderLine(PortLine):
    """A bare reader or receiver: it speaks, nobody answers."""

    def __init__(self, settings: Line, codec: Rdm6300 | Radio433, *, hearing: Hearing, open_port: OpenPort) -> None:
        """`codec` reads what the port gives. Readings are said to come from the reader's id."""
        super().__init__(settings, hearing, open_port)
        self.codec = codec
        self._source = settings.reader or settings.name

    def heard(self, data: bytes) -> None:
        """Bytes were read."""
        readings = self.codec.receive_data(data, self.hearing.clock().mono_ns)
        self.take(self.hearing.recorder.hear(self._source, readings))


class NativeLine(PortLine):
    """A line of one-key units."""

    def __init__(
        self,
        settings: Line,
        link: LineLink,
        *,
        units: tuple[Unit, ...],
        hearing: Hearing,
        open_port: OpenPort,
        commit_s: Callable[[], float],
        raise_above: Callable[[int], None],
    ) -> None:
        """`commit_s` tells how long the last commit took; `raise_above` moves the downlink counter."""
        super().__init__(settings, hearing, open_port)
        self.link = link
        self._ids = {unit.address: unit.id for unit in units}
        self._commit_s = commit_s
        self._raise_above = raise_above
        self._timer: asyncio.TimerHandle | None = None
        self._frames_before = (0, 0)

    def heard(self, data: bytes) -> None:
        """Bytes were read: sound first, keep, answer later."""
        self._hear(self.link.receive_data(data, self.hearing.clock().mono_ns))

    def _hear(self, readings: list[LinkReading]) -> None:
        for reading in readings:
            if isinstance(reading, UnitHello | Heartbeat | CommandDone):
                self._raise_above(reading.floor)
        if readings:
            batch = self.hearing.recorder.hear(self.name, readings)
            for told in batch.again:
                self._answer(told)
            if batch.idle:
                # A heartbeat is answered at the pace of a commit, so that its answer tells nobody anything.
                self.loop.call_later(self._commit_s(), self.answer, batch.idle)
            self.take(batch)
        self.flush()

    def answer(self, told: list[Told]) -> None:
        """These are on disk."""
        for one in told:
            self._answer(one)
        self.flush()

    def _answer(self, told: Told) -> None:
        self.link.answer(unit=told.address, boot=told.boot, number=told.number)

    def counters(self, batch: Batch) -> Mapping[UnitId, int]:
        """The replay windows of the units that spoke."""
        return {
            self._ids[told.address]: self.link.window(told.address) for told in batch.told if told.address in self._ids
        }

    def sound(self, unit: Unit, siren: Siren | None) -> None:
        """The unit's sounder shall play this."""
        self.link.sound(unit=unit.address, siren=siren, now_ns=self.hearing.clock().mono_ns)

    def show(self, unit: Unit, lamp: Lamp, *, with_answer: bool) -> None:
        """The unit's lamp shall show this; `with_answer`: the answer that is due carries it."""
        if with_answer:
            self.link.set_lamp(unit=unit.address, lamp=lamp)
        else:
            self.link.show_lamp(unit=unit.address, lamp=lamp, now_ns=self.hearing.clock().mono_ns)

    def flush(self) -> None:
        """Write what may be written now, and wake up when there is more."""
        now_ns = self.hearing.clock().mono_ns
        if self.port.up:
            data = self.link.data_to_send(now_ns)
            if data:
                self.port.write(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self.link.next_due()
        if due_ns is not None:
            delay_s = max(due_ns - now_ns, 0) / 1e9 if self.port.up else RETRY_S
            self._timer = self.loop.call_later(max(delay_s, 0.0002), self._advance)

    def _advance(self) -> None:
        self._timer = None
        self._hear(self.link.advance(self.hearing.clock().mono_ns))

    def supervise(self) -> None:
        """Compare the line's counters with those of the last look: much garbage is a fault of the line."""
        counts = self.link.framing
        frames, bad = counts.frames - self._frames_before[0], counts.bad - self._frames_before[1]
        self._frames_before = (counts.frames, counts.bad)
        noisy = bad >= GARBAGE_LEAST and bad > GARBAGE_SHARE * (frames + bad)
        changes = self.hearing.supervision.state(
            "line_noisy", self.name, wrong=noisy, detail={"bad": bad, "good": frames}
        )
        for address, unit in self._ids.items():
            silent = address in self.link.silent
            changes += self.hearing.supervision.state("does_not_confirm", unit, wrong=silent, unit=unit)
        changes += self.hearing.supervision.state("no_counters", self.name, wrong=self.link.starved)
        self.note(changes)

    async def close(self) -> None:
        """Keep what was heard, and close the port."""
        if self._timer is not None:
            self._timer.cancel()
        await super().close()


def make_codec(settings: Line, tags: frozenset[str]) -> Rdm6300 | Radio433:
    """Return the codec of a reader line."""
    return Rdm6300(tags) if settings.kind == "rdm6300" else Radio433(Form(settings.form))
