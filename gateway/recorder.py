"""From readings to what is kept: stamp, judge, sound at once, keep, and only then answer.

The order is the product's promise. `hear` runs through without waiting for anything and has started the local alert
when it returns (N5); `keep` returns when the events are on disk (N1); `kept` lights the lamps that the answers carry
and hands over what is to be delivered. Only after these may anything be answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from broker.ids import EventId, GatewayId, UnitId
from broker.kinds import EventType
from broker.messages import Command
from devices.readings import Heartbeat, PartFailed, PartRestored, Proof, SealRefused, Sounded
from gateway.alert import Alert, Play, Switch
from gateway.events import Entry, Event
from gateway.intake import Intake, Told, Verdict
from gateway.journal import Dropped, Heard
from gateway.keeping import Keeper
from gateway.ladder import Ladder, Show
from gateway.stamps import Clock, Stamp
from gateway.supervision import Change, Supervision

log = structlog.get_logger("gateway.recorder")


@dataclass(slots=True)
class Batch:
    """What one read of a line brought, until it is kept."""

    events: list[Event] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    """To be answered when the events are on disk."""
    idle: list[Told] = field(default_factory=list)
    """Heartbeats: answered without a commit, at the pace of one."""
    again: list[Told] = field(default_factory=list)
    """Repeats of what is on disk already: answered at once."""

    def __bool__(self) -> bool:
        return bool(self.events or self.told)

    def extend(self, other: Batch) -> None:
        """Take what another read brought."""
        self.events += other.events
        self.told += other.told


class Recorder:
    """Hears for all lines of one gateway."""

    def __init__(
        self,
        *,
        gateway: GatewayId,
        intake: Intake,
        alert: Alert,
        ladder: Ladder,
        supervision: Supervision,
        keeper: Keeper,
        clock: Clock,
        sound: Callable[[Sequence[Play | Switch]], None],
        show: Callable[[Sequence[Show]], None],
        committed: Callable[[list[Entry]], None],
    ) -> None:
        """`sound` and `show` reach the units and pins; `committed` hears of everything that is on disk."""
        self._gateway = gateway
        self._intake = intake
        self._alert = alert
        self._ladder = ladder
        self._supervision = supervision
        self._keeper = keeper
        self._clock = clock
        self._sound = sound
        self._show = show
        self._committed = committed
        self._unkept: set[EventId] = set()

    def hear(self, line: str, readings: Iterable[object]) -> Batch:
        """Judge readings of `line`, sound what must sound; return what is to be kept."""
        batch = Batch()
        stamp = self._clock()
        for reading in readings:
            try:
                self._supervise(line, reading, stamp, batch)
                self._take(self._intake.judge(line, reading, stamp), stamp, batch)
            except Exception:  # the others of this read are to be kept all the same
                log.exception("a reading was not understood", source=line)
        return batch

    def hear_contact(self, contact: UnitId, boot: int, reading: object) -> Batch:
        """The same for a wired contact."""
        batch = Batch()
        stamp = self._clock()
        self._take(self._intake.judge_contact(contact, boot, reading, stamp), stamp, batch)
        return batch

    def note(self, changes: Iterable[Change]) -> Batch:
        """Faults that began or ended, as events."""
        stamp = self._clock()
        batch = Batch()
        for change in changes:
            event = self._intake.fault(
                change.fault, stamp, over=change.over, unit=change.unit, subject=change.subject, detail=change.detail
            )
            batch.events.append(event)
        return batch

    def drop(self, dropped: Dropped) -> Event:
        """What gave way for want of room, as an event. For the journal's thread."""
        return self._intake.dropped(dropped, self._keeper.epoch, self._clock())

    def order(self, type: EventType, command: Command) -> Batch:  # noqa: A002 - as in GatewayEvent
        """What the station ordered here, as evidence."""
        return Batch(events=[self._intake.ordered(type, command, self._clock())])

    async def keep(self, batch: Batch, *, heard: Mapping[UnitId, int]) -> list[Entry]:
        """Keep what was heard. JournalError: nothing is kept, and nothing may be answered."""
        return await self._keeper.append(batch.events, heard=[Heard(unit, counter) for unit, counter in heard.items()])

    def kept(self, batch: Batch, entries: list[Entry]) -> None:
        """It is on disk: light the lamps that the answers will carry, and deliver."""
        now_ns = self._clock().mono_ns
        self._unkept.difference_update(event.id for event in batch.events)
        shows = [self._ladder.begin(event, now_ns) for event in batch.events]
        self._show([show for show in shows if show is not None])
        self._committed(entries)

    def hand_on(self, entries: list[Entry]) -> None:
        """These are on disk without having been heard: deliver them."""
        self._committed(entries)

    @property
    def known(self) -> dict[str, EventId]:
        """The messages that are on disk, by key, as far as they are remembered; oldest first."""
        return {message: event for message, event in self._intake.known.items() if event not in self._unkept}

    def forget(self, gone: Iterable[Event]) -> None:
        """These were let go of before they were kept: when they are said again, they are new."""
        for event in gone:
            self._unkept.discard(event.id)
            self._intake.forget(event)

    def _take(self, verdict: Verdict, stamp: Stamp, batch: Batch) -> None:
        event = verdict.event
        if event is not None:  # first: intake knows the message now, and what is not in here counts as kept
            self._unkept.add(event.id)
            batch.events.append(event)
        try:
            self._ring(verdict, stamp)
        except Exception:  # a press that cannot be sounded is kept and told all the same
            log.exception("what was heard could not be sounded")
        if verdict.told is None:
            return
        if verdict.heartbeat:
            batch.idle.append(verdict.told)
        elif verdict.repeat is None:
            batch.told.append(verdict.told)
        elif verdict.repeat not in self._unkept:
            batch.again.append(verdict.told)

    def _ring(self, verdict: Verdict, stamp: Stamp) -> None:
        event = verdict.event
        if verdict.rings and event is not None:
            self._sound(self._alert.ring(event, facts=event.facts(self._gateway), now_ns=stamp.mono_ns))
        if verdict.chirps is not None:
            self._sound(self._alert.chirp(verdict.chirps))
        if verdict.cancels is not None:
            self._sound(self._alert.stop(verdict.cancels))
        if verdict.silences is not None:
            self._sound(self._alert.silence(verdict.silences))

    def _supervise(self, line: str, reading: object, stamp: Stamp, batch: Batch) -> None:
        genuine = not isinstance(reading, SealRefused) and getattr(reading, "proof", None) is not Proof.STALE
        address = getattr(reading, "unit", None) if genuine else None
        unit = None if address is None else self._intake.register.unit(line, address)
        if unit is None:
            return
        changes = self._supervision.heard(unit.id, stamp.mono_ns)
        match reading:
            case Heartbeat():
                changes += self._supervision.told(unit.id, reading, stamp.mono_ns)
            case PartFailed(part=part):
                changes += self._supervision.part(unit.id, part, works=False, now_ns=stamp.mono_ns)
            case PartRestored(part=part):
                changes += self._supervision.part(unit.id, part, works=True, now_ns=stamp.mono_ns)
            case Sounded(works=works):
                changes += self._supervision.state("sounder", unit.id, wrong=not works, unit=unit.id)
            case _:
                pass
        if changes:
            batch.events += self.note(changes).events
