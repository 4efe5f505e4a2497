"""Lines: a port, what speaks on it, and the recorder, put together. Bytes and events only pass through here.

The order is fixed: read, judge and sound, write the siren frames, keep, answer. While a commit is under way the port
is not read, so that no more than one commit's worth is ever taken from a line that cannot repeat; past 50 ms it is
read into a buffer all the same, because a UART overflows and an alarm must sound whatever the disk does. When much
waits in that buffer, a port is read no faster than its wire carries: no real line is held back by that, and what has
flow control keeps the rest until the commit is done. Nothing in the buffer is answered. Before anything is written to
a line of units, what waits in its port is read: the wire is half-duplex, and whoever began to speak during a commit
is not to be talked into.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from broker.ids import EventId, PressKey, UnitId, press_key
from broker.kinds import EventType, Kind, Lane
from devices.commands import Lamp, Siren
from devices.line_link import LineLink, UnitKey
from devices.pn532 import Pn532
from devices.radio433 import Form, Radio433
from devices.rdm6300 import Rdm6300
from devices.readings import CommandDone, Heartbeat, KeyTaken, LinkReading, UnitHello
from devices.wiegand import WiegandText
from gateway.events import Entry, Event
from gateway.intake import Told
from gateway.journal import JournalError
from gateway.links.uart import OpenPort
from gateway.recorder import Batch, Recorder
from gateway.settings import Line, Reader, Unit
from gateway.stamps import Clock
from gateway.supervision import Change, Supervision

log = structlog.get_logger("gateway.lines")

READ_ON_S: Final = 0.05
"""A port waits this long for a commit before it is read on."""
MANY_UNKEPT: Final = 1_000
"""Events in the buffer: from so many on a port is read no faster than its wire carries. A full line of 115200 baud
brings them in 3 s, and 600 more when a commit hangs for 5: nothing changes for it, and every press on it rings."""
LEAST_READ_S: Final = 0.5
"""A port is read this often all the same: a press that waits in it must ring within a second (N5)."""
MOST_UNKEPT: Final = 20_000
"""Past that, which is a minute of such a line, the newest gives way: check-ins, and alarms that a unit raised before.
The units repeat it."""
RETRY_S: Final = 1.0
STARVED_S: Final = 0.05
"""Without a leased counter the line is looked at again after this."""
CLOSE_S: Final = 5.0
HELD_BACK_S: Final = 2.0
"""A line that was held back for so long has a disk that hangs."""
BITS: Final = 10
"""Of one octet on a wire."""
REFUSED_OVER_NS: Final = 600_000_000_000
"""A line on which no seal was refused for so long is in order again."""
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
        self.gave_way = 0
        """Events that were let go of because no disk took them; nothing of them was answered."""
        self.held_back = 0
        """How often so much waited for the disk that no more was read than had to be."""
        self.hearing = hearing
        self.loop = asyncio.get_running_loop()
        self._waiting = Batch()
        self._under_way = 0
        """Events that are being committed now."""
        self._keeping: asyncio.Task[None] | None = None

    @property
    def unkept(self) -> int:
        """Events of this source that are not on disk yet."""
        return self._under_way + self.waiting

    @property
    def waiting(self) -> int:
        """Those that wait for the next commit."""
        return len(self._waiting.events)

    def take(self, batch: Batch) -> None:
        """Keep a batch: now, or together with what waits."""
        self._waiting.extend(batch)
        if self.waiting > MOST_UNKEPT:
            self._make_room()
        if self._waiting and self._keeping is None:
            self._keeping = self.loop.create_task(self._keep())
        if self._keeping is not None:
            self.hold()

    def _make_room(self) -> None:
        """The disk has taken nothing for very long: what costs least gives way. The units repeat it (N7, N9)."""
        gone = give_way(self._waiting.events, at_most=self.waiting - MOST_UNKEPT)
        self.gave_way += len(gone)
        self.hearing.recorder.forget(gone)
        ids = {event.id for event in gone}
        forgotten = {event.message for event in gone if event.message is not None}
        self._waiting.events = [event for event in self._waiting.events if event.id not in ids]
        self._waiting.told = [told for told in self._waiting.told if self.message(told) not in forgotten]

    def message(self, told: Told) -> PressKey | None:
        """The key of the message that waits for this answer."""
        del told
        return None

    def note(self, changes: Sequence[Change]) -> None:
        """Keep faults that began or ended."""
        if changes:
            self.take(self.hearing.recorder.note(changes))

    async def close(self) -> None:
        """Keep what was heard, unless the disk would not take it for CLOSE_S."""
        if self._keeping is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._keeping
            except TimeoutError:
                log.error("closed with events that no disk took", source=self.name, events=self.unkept)  # noqa: TRY400

    def hold(self) -> None:
        """A commit is under way."""

    def let_go(self) -> None:
        """What waited is on its way to the disk: there is room again."""

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
            self._under_way = len(batch.events)
            with self._going_on("reading on"):
                self.let_go()
            entries = await self._keep_one(batch)
            self._under_way = 0
            with self._going_on("handing on what is kept"):  # else it is delivered after a restart
                self.hearing.recorder.kept(batch, entries)
            with self._going_on("answering what is kept"):  # else the units ask again
                self.answer(batch.told)
        self._keeping = None
        self.go_on()

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """Whatever goes wrong here: what is heard next is kept all the same."""
        try:
            yield
        except Exception:
            log.exception("a mistake of the program", source=self.name, what=what)

    async def _keep_one(self, batch: Batch) -> list[Entry]:
        """Try until the disk takes it: what was heard is not thrown away, and not confirmed either (N1, N7)."""
        while True:
            try:
                return await self.hearing.recorder.keep(batch, heard=self.counters(batch))
            except JournalError as error:
                log.warning("not kept, tried again", source=self.name, events=len(batch.events), why=error.what)
            except Exception:
                log.exception("not kept, tried again", source=self.name, events=len(batch.events))
            await asyncio.sleep(RETRY_S)


class PortLine(Source):
    """A source with a serial port."""

    def __init__(self, settings: Line, hearing: Hearing, open_port: OpenPort) -> None:
        """The port is opened by `start`."""
        super().__init__(settings.name, hearing)
        self.port = open_port(settings.port, settings.baud, self)
        self.closing = False
        self._read_on: asyncio.TimerHandle | None = None
        self._held_back_s: float | None = None
        """Since when."""
        self._octets_s = settings.baud / BITS
        self._carried_s = 0.0
        """When the wire would have brought all that was read."""

    def start(self) -> None:
        """Open the port."""
        self.port.start()

    async def close(self) -> None:
        """Keep what was heard, and close the port."""
        self.closing = True
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

    def count(self, data: bytes) -> None:
        """So much was read."""
        self._carried_s = max(self._carried_s, self.loop.time()) + len(data) / self._octets_s

    @property
    def _ahead_s(self) -> float:
        """How much sooner we have read than the wire brings it: little, where it is a wire."""
        return min(self._carried_s - self.loop.time(), LEAST_READ_S)

    def supervise_backlog(self) -> list[Change]:
        """A line of which much waits for the disk, and goes on waiting, is a fault, until less does."""
        since_s, detail = self._held_back_s, {"times": self.held_back, "gave_way": self.gave_way}
        wrong = since_s is not None and self.loop.time() - since_s > HELD_BACK_S
        return self.hearing.supervision.state("line_held_back", self.name, wrong=wrong, detail=detail)

    def hold(self) -> None:
        """Read no further while a commit is under way, but not longer than READ_ON_S, or than the wire takes."""
        if self.waiting >= MANY_UNKEPT and self._held_back_s is None:
            self._held_back_s = self.loop.time()
            self.held_back += 1
        if self._read_on is None:
            self.port.pause()
            wait_s = READ_ON_S if self._held_back_s is None else max(READ_ON_S, self._ahead_s)
            self._read_on = self.loop.call_later(wait_s, self._read_anyway)

    @property
    def may_listen(self) -> bool:
        """Whether there is room for what waits in the port."""
        return not self.closing and (self._held_back_s is None or self._ahead_s <= READ_ON_S)

    def let_go(self) -> None:
        """Read as usual again."""
        if self._held_back_s is not None:
            self._held_back_s = None
            self.go_on()

    def go_on(self) -> None:
        """Read again."""
        if self._read_on is not None:
            self._read_on.cancel()
        self._read_anyway()

    def _read_anyway(self) -> None:
        self._read_on = None
        if not self.closing:
            self.port.resume()


Talker = Rdm6300 | Radio433 | WiegandText
"""What speaks by itself."""


def nobody(_source: UnitId, _readings: Sequence[object], _batch: Batch) -> None:
    """Answer nothing at a reader."""


class ReaderLine(PortLine):
    """A bare reader or receiver. What is read is kept, and then answered at the checkpoint, not on this line."""

    codec: Talker | Pn532

    def __init__(
        self,
        settings: Line,
        codec: Talker | Pn532,
        *,
        hearing: Hearing,
        open_port: OpenPort,
        answers: Callable[[UnitId, Sequence[object], Batch], None] = nobody,
    ) -> None:
        """`codec` reads what the port gives. Readings are said to come from the reader's id.

        `answers` is told what was read and what of it is about to be kept.
        """
        super().__init__(settings, hearing, open_port)
        self.codec = codec
        self._answers = answers
        self._source = UnitId(settings.reader or settings.name)
        self._reads = settings.reader is not None

    def opened(self) -> None:
        """The port is there."""
        super().opened()
        self.silent(wrong=False)

    def lost(self, why: str) -> None:
        """The port is gone, and with it the reader: that excuses whoever cannot check in there."""
        super().lost(why)
        self.silent(wrong=True)

    def silent(self, *, wrong: bool) -> None:
        """Whether no card can be read here; nothing of a receiver that reads none."""
        if self._reads:
            self.note(self.hearing.supervision.state("reader_silent", self._source, wrong=wrong))

    def heard(self, data: bytes) -> None:
        """Bytes were read."""
        self.count(data)
        self.read(self.codec.receive_data(data, self.hearing.clock().mono_ns))

    def read(self, readings: Sequence[object]) -> None:
        """This was read: keep it."""
        batch = self.hearing.recorder.hear(self._source, readings)
        if readings:
            self._answers(self._source, readings, batch)
        self.take(batch)


class AskedLine(ReaderLine):
    """A reader that must be asked for each card. It falls silent as a fault, about the reader."""

    codec: Pn532

    def __init__(self, settings: Line, codec: Pn532, **more: Any) -> None:
        """As `ReaderLine`."""
        super().__init__(settings, codec, **more)
        self._timer: asyncio.TimerHandle | None = None

    def opened(self) -> None:
        """The port is there: wake the reader."""
        super().opened()
        self.codec.start(self.hearing.clock().mono_ns)
        self._flush()

    def lost(self, why: str) -> None:
        """The port is gone, and with it whatever was asked; a card that was being read counts by its number."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.read(self.codec.stop())
        super().lost(why)

    def heard(self, data: bytes) -> None:
        """Bytes were read."""
        super().heard(data)
        self._flush()

    def supervise(self) -> None:
        """A reader that does not answer reads no card: say so."""
        self.silent(wrong=self.port.up and not self.codec.answers and self.codec.counts.restarts > 1)

    async def close(self) -> None:
        """Ask no more, keep what was heard, and close the port."""
        if self._timer is not None:
            self._timer.cancel()
        self.read(self.codec.stop())
        await super().close()

    def _flush(self) -> None:
        """Ask what is to be asked, and wake up when the next is due."""
        data = self.codec.data_to_send()
        if data:
            self.port.write(data)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self.codec.next_due()
        if due_ns is not None and self.port.up and not self.closing:
            delay_s = max(due_ns - self.hearing.clock().mono_ns, 0) / 1e9
            self._timer = self.loop.call_later(delay_s, self._advance)

    def _advance(self) -> None:
        self._timer = None
        self.read(self.codec.advance(self.hearing.clock().mono_ns))
        self._flush()


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
        key_taken: Callable[[UnitId, bytes], None] = lambda _unit, _key: None,
    ) -> None:
        """`commit_s` tells how long the last commit took; `raise_above` moves the downlink counter.

        `key_taken` is told of a unit that speaks with another key from now on.
        """
        super().__init__(settings, hearing, open_port)
        self.link = link
        self._ids = {unit.address: unit.id for unit in units}
        self._commit_s = commit_s
        self._raise_above = raise_above
        self._key_taken = key_taken
        self._timer: asyncio.TimerHandle | None = None
        self._hearing_now = False
        self._frames_before = (0, 0)
        self._refused_before = 0
        self._refused_ns: int | None = None

    def set_units(self, units: tuple[Unit, ...], keys: Mapping[int, UnitKey]) -> None:
        """Know these units from now on. One that hangs at the address of another begins with nothing of that one's."""
        ids = {unit.address: unit.id for unit in units}
        self.link.set_units({address: key for address, key in keys.items() if self._ids.get(address) == ids[address]})
        self.link.set_units(keys)
        self._ids = ids
        self.link.offer_keys(self.hearing.clock().mono_ns)
        self.flush()

    def heard(self, data: bytes) -> None:
        """Bytes were read: sound first, keep, answer later."""
        self.count(data)
        self._hearing_now = True
        try:
            self._hear(self.link.receive_data(data, self.hearing.clock().mono_ns))
        finally:
            self._hearing_now = False

    def _hear(self, readings: list[LinkReading]) -> None:
        for reading in readings:
            if isinstance(reading, UnitHello | Heartbeat | CommandDone):
                self._raise_above(reading.floor)
            elif isinstance(reading, KeyTaken):
                self._key_taken(self._ids[reading.unit], self.link.key(reading.unit))
        if readings:
            batch = self.hearing.recorder.hear(self.name, readings)
            self.take(batch)
            for told in batch.again:
                self._answer(told)
            if batch.idle:
                # A heartbeat is answered at the pace of a commit, so that its answer tells nobody anything.
                self.loop.call_later(self._commit_s(), self.answer, batch.idle)
        self.flush()

    def answer(self, told: list[Told]) -> None:
        """These are on disk."""
        self._listen()
        for one in told:
            self._answer(one)
        self.flush()

    def _listen(self) -> None:
        """Hear who speaks by now, as far as a port tells: a commit or a long turn of the loop may lie behind us."""
        if not self._hearing_now and self.may_listen:
            self.port.read_waiting()

    def _answer(self, told: Told) -> None:
        self.link.answer(unit=told.address, boot=told.boot, number=told.number)

    def message(self, told: Told) -> PressKey | None:
        """The key of the message that waits for this answer."""
        unit = self._ids.get(told.address)
        return None if unit is None else press_key(unit, boot=told.boot, number=told.number)

    def counters(self, batch: Batch) -> Mapping[UnitId, int]:
        """The replay windows of the units that spoke."""
        return {
            self._ids[told.address]: self.link.window(told.address) for told in batch.told if told.address in self._ids
        }

    @property
    def windows(self) -> dict[UnitId, int]:
        """The replay windows of all units."""
        return {unit: self.link.window(address) for address, unit in self._ids.items()}

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
        self._listen()
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
            delay_s = max(due_ns - now_ns, 0) / 1e9
            if not self.port.up:
                delay_s = RETRY_S
            elif self.link.starved:
                delay_s = max(delay_s, STARVED_S)
            self._wake_in(max(delay_s, 0.0002))

    def _wake_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay_s, self._advance)

    def _advance(self) -> None:
        self._timer = None
        try:
            self._listen()
            self._hear(self.link.advance(self.hearing.clock().mono_ns))
        except Exception:  # what is due stays due: without a timer a siren would wait until somebody speaks
            self._wake_in(RETRY_S)
            raise

    def supervise(self) -> None:
        """Compare the line's counters with those of the last look: much garbage is a fault of the line."""
        counts = self.link.framing
        frames, bad = counts.frames - self._frames_before[0], counts.bad - self._frames_before[1]
        self._frames_before = (counts.frames, counts.bad)
        noisy = bad >= GARBAGE_LEAST and bad > GARBAGE_SHARE * (frames + bad)
        changes = self.hearing.supervision.state(
            "line_noisy", self.name, wrong=noisy, detail={"bad": bad, "good": frames}
        )
        changes += self._supervise_seals()
        for address, unit in self._ids.items():
            silent = address in self.link.silent
            changes += self.hearing.supervision.state("does_not_confirm", unit, wrong=silent, unit=unit)
        changes += self.hearing.supervision.state("no_counters", self.name, wrong=self.link.starved)
        self.note(changes)
        self.link.offer_keys(self.hearing.clock().mono_ns)
        self.flush()

    def _supervise_seals(self) -> list[Change]:
        """Frames that do not open: a unit that is not in the register, a wrong key, or somebody who tries."""
        now_ns, refused = self.hearing.clock().mono_ns, self.link.counts.refused
        if refused > self._refused_before:
            self._refused_ns = now_ns
        self._refused_before = refused
        wrong = self._refused_ns is not None and now_ns - self._refused_ns < REFUSED_OVER_NS
        detail = {"frames": refused}
        return self.hearing.supervision.state("seal_refused", self.name, wrong=wrong, detail=detail)

    async def close(self) -> None:
        """Keep what was heard, and close the port."""
        if self._timer is not None:
            self._timer.cancel()
        await super().close()


def give_way(events: Sequence[Event], *, at_most: int) -> list[Event]:
    """What goes for want of room, newest first: telemetry, check-ins, then alarms of units of which one waits (N7)."""
    newest = events[::-1]
    worth = [[event for event in newest if event.lane is lane] for lane in (Lane.TELEMETRY, Lane.CHECK_IN)]
    first: dict[tuple[UnitId | None, Kind | None], EventId] = {}
    for event in events:
        first.setdefault((event.unit, event.kind), event.id)
    worth.append([one for one in newest if one.type is EventType.PRESS and first[one.unit, one.kind] != one.id])
    return [event for some in worth for event in some][:at_most]


def make_codec(settings: Line, reader: Reader | None, known: Container[str]) -> Talker:
    """Return the codec of a line on which something speaks by itself; `reader`: what is said of it."""
    match settings.kind:
        case "rdm6300":
            return Rdm6300(known)
        case "wiegand":
            return (
                WiegandText()
                if reader is None
                else WiegandText(reversed_octets=reader.reversed_octets, bits=reader.bits)
            )
        case _:
            return Radio433(Form(settings.form))
