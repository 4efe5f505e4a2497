"""What still has to be delivered, and in which order: pure, in memory, with the journal behind it.

Theory. Every event has deliveries: one to the station, which only the station's receipt closes (N2), and one to each
audience of the policy, which a good PUBACK closes. Lanes go in order (fresh alarms first), by sequence inside a
lane; an alarm that waited for a minute moves to the lane of old ones. At most ROOM events are held here; the rest
stay in the journal and are read back when there is room (`wants_more`). A delivery to the station that has no
receipt is sent again: once for each new generation of the station, else after 30 s, doubling to 10 min. A view
that could not be told within 10 min is dropped and counted: what happened is at the station all the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from broker.ids import Epoch, EventId
from broker.kinds import OLD_AFTER_MS, Lane
from broker.messages import Outcome
from gateway.events import STATION, Entry
from gateway.journal import Delivery

ROOM: Final = 512
AWAITING_ROOM: Final = 2_000
"""So many events without a receipt: then only alarms are sent, until some come."""
FIRST_RESEND_NS: Final = 30_000_000_000
LAST_RESEND_NS: Final = 600_000_000_000
VIEW_LIFE_NS: Final = 600_000_000_000
REFUSED_PAUSE_NS: Final = 5_000_000_000


@dataclass(slots=True)
class _Held:
    entry: Entry
    lane: Lane
    known_ns: int
    """When it came here: for the lane and life of an alarm of this boot it is its age that counts."""
    targets: list[str]

    @property
    def alarm(self) -> bool:
        return self.lane <= Lane.OLD_ALARM


@dataclass(slots=True)
class _Awaited:
    entry: Entry
    due_ns: int
    wait_ns: int
    generation: int


@dataclass(slots=True)
class OutboxCounts:
    """Since start."""

    handed: int = 0
    receipted: int = 0
    rejected: int = 0
    resent: int = 0
    views_dropped: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to be made and published now."""

    entry: Entry
    target: str
    delivery: Delivery


@dataclass(slots=True)
class Outbox:
    """The deliveries of one gateway."""

    generation: int = 0
    """The station's, as far as it told."""
    counts: OutboxCounts = field(default_factory=OutboxCounts)
    _held: dict[EventId, _Held] = field(default_factory=dict)
    _heap: list[tuple[int, int, EventId]] = field(default_factory=list)
    _awaited: dict[EventId, _Awaited] = field(default_factory=dict)
    _resend: list[tuple[int, EventId]] = field(default_factory=list)
    _in_flight: dict[Delivery, Parcel] = field(default_factory=dict)
    _closed_early: set[EventId] = field(default_factory=set)
    """Receipts that came before the PUBACK of what they are for."""
    _spilled: bool = True
    _paused_until_ns: int = 0

    # Filling

    def add(self, entries: Iterable[tuple[Entry, Sequence[str]]], *, now_ns: int) -> None:
        """Take events that were committed just now, with their targets; what finds no room waits in the journal."""
        for entry, targets in entries:
            if len(self._held) >= (ROOM if entry.event.lane > Lane.ALARM else self._alarm_room(now_ns)):
                self._spilled = True
            else:
                self._hold(entry, list(targets), now_ns)

    def refill(self, pending: Iterable[tuple[Entry, list[str], int]], *, now_ns: int, complete: bool) -> None:
        """Take (event, targets, age in ns) from the journal. `complete`: it has no others."""
        for entry, targets, age_ns in pending:
            if entry.event.id not in self._held and entry.event.id not in self._awaited:
                self._hold(entry, targets, now_ns - age_ns)
        self._spilled = not complete

    @property
    def wants_more(self) -> bool:
        """Whether the journal may hold deliveries that are not here, and there is room for them."""
        return self._spilled and len(self._held) <= ROOM // 2

    def known(self, epoch: Epoch) -> set[int]:
        """Sequence numbers of `epoch` that are here already (the journal need not read them again)."""
        here = (held.entry for held in self._held.values())
        awaited = (awaited.entry for awaited in self._awaited.values())
        return {entry.seq for entry in chain(here, awaited) if entry.epoch == epoch}

    def _hold(self, entry: Entry, targets: list[str], known_ns: int) -> None:
        self._held[entry.event.id] = _Held(entry, entry.event.lane, known_ns, targets)
        heapq.heappush(self._heap, (entry.event.lane, entry.seq, entry.event.id))

    def _alarm_room(self, now_ns: int) -> int:
        """Fresh alarms always find room: as many again, and then in the place of one that is old already."""
        oldest = next(iter(self._held), None)
        if len(self._held) >= 2 * ROOM and oldest is not None:
            old = now_ns - self._held[oldest].known_ns >= OLD_AFTER_MS * 1_000_000
            if old and not self._flies(oldest):
                del self._held[oldest]  # it still is in the journal
                self._spilled = True
        return 2 * ROOM

    def clear(self) -> None:
        """Forget everything: a new journal began, and what matters is in it."""
        self._held.clear()
        self._heap.clear()
        self._awaited.clear()
        self._resend.clear()
        self._spilled = True

    # Sending

    def take(self, now_ns: int) -> Parcel | None:
        """Return what is to be published next, None when nothing is to be now."""
        if now_ns < self._paused_until_ns:
            return None
        self._requeue(now_ns)
        while self._heap:
            lane, seq, event = self._heap[0]
            held = self._held.get(event)
            if held is None or not held.targets or held.lane != lane:
                heapq.heappop(self._heap)
                continue
            age_ns = now_ns - held.known_ns
            if held.lane is Lane.ALARM and age_ns >= OLD_AFTER_MS * 1_000_000:
                heapq.heappop(self._heap)
                held.lane = Lane.OLD_ALARM
                heapq.heappush(self._heap, (held.lane, seq, event))
                continue
            if not held.alarm and len(self._awaited) >= AWAITING_ROOM:
                return None
            target = held.targets.pop(0)
            parcel = Parcel(held.entry, target, _delivery(held.entry, target))
            self._in_flight[parcel.delivery] = parcel
            return parcel
        return None

    def handed(self, parcel: Parcel, *, now_ns: int) -> tuple[list[Delivery], list[Delivery]]:
        """The broker has it. Return the deliveries to mark as (handed, done)."""
        self._in_flight.pop(parcel.delivery, None)
        self._settle(parcel.entry.event.id)
        self.counts.handed += 1
        if parcel.target != STATION:
            return [], [parcel.delivery]
        before = self._awaited.get(parcel.entry.event.id)
        if before is None and parcel.entry.event.id in self._closed_early:
            self._closed_early.discard(parcel.entry.event.id)
            return [], [parcel.delivery]
        wait_ns = FIRST_RESEND_NS if before is None else min(before.wait_ns * 2, LAST_RESEND_NS)
        awaited = _Awaited(parcel.entry, now_ns + wait_ns, wait_ns, self.generation)
        self._awaited[parcel.entry.event.id] = awaited
        heapq.heappush(self._resend, (awaited.due_ns, parcel.entry.event.id))
        return [parcel.delivery], []

    def refused(self, parcel: Parcel, *, now_ns: int) -> None:
        """The broker would not take it: it stays, and everything pauses, since the next would fare no better."""
        self._in_flight.pop(parcel.delivery, None)
        self.counts.refused += 1
        self._put_back(parcel, now_ns)
        self._paused_until_ns = now_ns + REFUSED_PAUSE_NS

    def lost(self, *, now_ns: int) -> None:
        """The connection went: what was in flight goes again (the receivers know copies by their id)."""
        for parcel in list(self._in_flight.values()):
            self._put_back(parcel, now_ns)
        self._in_flight.clear()
        self._paused_until_ns = 0

    def _put_back(self, parcel: Parcel, now_ns: int) -> None:
        held = self._held.get(parcel.entry.event.id)
        if held is None:
            self._hold(parcel.entry, [parcel.target], now_ns)
        else:
            held.targets.insert(0, parcel.target)
            self._push(held)

    def _push(self, held: _Held) -> None:
        heapq.heappush(self._heap, (held.lane, held.entry.seq, held.entry.event.id))

    def _settle(self, event: EventId) -> None:
        held = self._held.get(event)
        if held is not None and not held.targets and not self._flies(event):
            del self._held[event]

    def _flies(self, event: EventId, *, target: str | None = None) -> bool:
        return any(
            parcel.entry.event.id == event and target in (None, parcel.target) for parcel in self._in_flight.values()
        )

    # Receipts

    def receipt(self, outcomes: dict[EventId, Outcome]) -> list[Delivery]:
        """The station has committed these (or will never). Return the deliveries that are done with."""
        done: list[Delivery] = []
        for event, outcome in outcomes.items():
            self.counts.rejected += outcome is Outcome.REJECTED
            awaited = self._awaited.pop(event, None)
            if awaited is None:
                if self._flies(event, target=STATION):
                    self._closed_early.add(event)
                continue
            self.counts.receipted += 1
            done.append(_delivery(awaited.entry, STATION))
        return done

    def station_started(self, generation: int, *, now_ns: int) -> None:
        """The station tells its generation; for a new one everything without a receipt goes again, once."""
        if generation <= self.generation:
            return
        self.generation = generation
        for event, awaited in self._awaited.items():
            if awaited.generation < generation:
                awaited.due_ns = now_ns
                heapq.heappush(self._resend, (now_ns, event))

    def _requeue(self, now_ns: int) -> None:
        while self._resend and self._resend[0][0] <= now_ns:
            due_ns, event = heapq.heappop(self._resend)
            awaited = self._awaited.get(event)
            if awaited is None or awaited.due_ns != due_ns:
                continue
            self.counts.resent += 1
            awaited.due_ns = now_ns + LAST_RESEND_NS  # set anew when it is handed over again
            held = self._held.get(event)
            if held is None:
                self._hold(awaited.entry, [STATION], now_ns - OLD_AFTER_MS * 1_000_000)
            elif STATION not in held.targets:
                held.targets.append(STATION)
                self._push(held)

    # Giving up views

    def drop_old_views(self, now_ns: int) -> list[Delivery]:
        """Return views that nobody could be told for 10 minutes; the station still gets the event."""
        dropped: list[Delivery] = []
        for event, held in list(self._held.items()):
            if now_ns - held.known_ns >= VIEW_LIFE_NS:
                gone = [target for target in held.targets if target != STATION]
                held.targets = [target for target in held.targets if target == STATION]
                dropped += [_delivery(held.entry, target) for target in gone]
                self._settle(event)
        self.counts.views_dropped += len(dropped)
        return dropped

    # Looking

    def next_due(self) -> int | None:
        """When something will be due for sending again, None when nothing waits for its time."""
        return self._resend[0][0] if self._resend else None

    @property
    def waiting(self) -> int:
        """Events held here, for the health page; the journal knows all of them."""
        return len(self._held)


def _delivery(entry: Entry, target: str) -> Delivery:
    return Delivery(entry.epoch, entry.event.lane, entry.seq, target)
