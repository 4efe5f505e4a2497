"""What still has to be delivered, and in which order: pure, in memory, with the journal behind it.

Theory. Every event has deliveries: one to the station, which only the station's receipt closes (N2), and one to each
audience of the policy, which a good PUBACK closes. Lanes go in order (fresh alarms first), by sequence inside a
lane; an alarm that waited for a minute moves to the lane of old ones. About ROOM events are held here; the others
are spilled: they stay in the journal and are read back when there is room (`wants_more`). A delivery to the station
that has no receipt is sent again: once for each new generation of the station, else after 30 s, doubling to 10 min.
A view that could not be told within 10 min is dropped and counted: what happened is at the station all the same.

What may not go now is passed over, and nothing waits behind it: a target that the broker refuses backs off by
itself (5 s, doubling to a minute), and while very much waits for receipts only alarms are added to it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from broker.ids import Epoch, EventId
from broker.kinds import OLD_AFTER_MS, Lane
from broker.messages import Outcome
from gateway.events import STATION, Entry, Event
from gateway.journal import Delivery

ROOM: Final = 512
AWAITING_ROOM: Final = 500
"""So many events without a receipt: then only alarms are sent to the station, until some come ..."""
AWAITING_MOST: Final = 10_000
"""... and from so many on, not even those: they are safe in the journal, and memory is not endless."""
RESEND_WINDOW: Final = 100
"""So many are sent again at a time, and others when these have their receipts: a broker's queue may be small, and it
drops what does not fit without a word."""
RESEND_SLACK: Final = 500
"""So many that have their receipts may still be in the order of sending again, which is made anew then."""
FIRST_RESEND_NS: Final = 30_000_000_000
LAST_RESEND_NS: Final = 600_000_000_000
VIEW_LIFE_NS: Final = 600_000_000_000
FIRST_PAUSE_NS: Final = 5_000_000_000
LAST_PAUSE_NS: Final = 60_000_000_000
OLD_NS: Final = OLD_AFTER_MS * 1_000_000


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
    again: bool = False
    """It was sent again, and has no receipt since."""


@dataclass(slots=True)
class _Pause:
    """A target that the broker refused."""

    until_ns: int
    wait_ns: int


@dataclass(slots=True)
class OutboxCounts:
    """Since start."""

    handed: int = 0
    receipted: int = 0
    rejected: int = 0
    resent: int = 0
    views_dropped: int = 0
    refused: int = 0
    unsendable: int = 0


class Parcel(NamedTuple):
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
    _alarms: int = 0
    """So many of the held ones are alarms."""
    _heap: list[tuple[int, int, EventId]] = field(default_factory=list)
    _parked: dict[EventId, None] = field(default_factory=dict)
    """Held, and nothing of them may go now."""
    _unpark_ns: int | None = None
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _awaited: dict[EventId, _Awaited] = field(default_factory=dict)
    _resend: list[tuple[int, int, EventId]] = field(default_factory=list)
    """When which is due, by sequence among those that are due together."""
    _turns: deque[EventId] = field(default_factory=deque)
    """Due, and waiting for room in the window."""
    _again: int = 0
    _in_flight: dict[EventId, dict[str, Parcel]] = field(default_factory=dict)
    """By target."""
    _closed_early: set[EventId] = field(default_factory=set)
    """Receipts that came before the PUBACK of what they are for."""
    _unsendable: dict[EventId, Entry] = field(default_factory=dict)
    _owed: dict[EventId, int] = field(default_factory=dict)
    """Alarms that have no receipt, by when they came here, oldest first."""
    _spilled: Lane | None = Lane.ALARM
    """The most urgent lane of which the journal may have deliveries that are not here."""
    _fresh_until_ns: int = 0
    """Until then a spilled alarm is fresh: alarms that come now must queue behind it."""
    _spilled_since: tuple[Lane | None, int] = (None, 0)
    """The same two, of what was spilled while the journal was being read."""
    _since_reading: set[EventId] | None = None
    """Events that came while the journal was being read: its answer about them is stale."""

    # Filling

    def add(self, entries: Iterable[tuple[Entry, Sequence[str]]], *, now_ns: int) -> None:
        """Take events that were committed just now, with their targets; what finds no room waits in the journal."""
        for entry, targets in entries:
            if self._since_reading is not None:
                self._since_reading.add(entry.event.id)
            if self._has_room(entry.event.lane, now_ns):
                self._owe(entry, targets, now_ns)
                self._hold(entry, list(targets), now_ns)
            else:
                self._spill(entry.event.lane, now_ns)

    def begin_reading(self) -> None:
        """The journal is about to be read; you must `refill`, or call `break_off_reading`.

        What comes meanwhile goes on queueing behind what was spilled: it may be more than one reading brings.
        """
        self._since_reading = set()
        self._spilled_since = (None, 0)

    def break_off_reading(self) -> None:
        """The journal could not be read."""
        self._since_reading = None
        self._spilled = Lane.ALARM

    def refill(self, pending: Sequence[tuple[Entry, list[str], int]], *, now_ns: int, complete: bool) -> None:
        """Take (event, targets, age in ns) from the journal, in its order. `complete`: it has no others."""
        came = self._since_reading or set()
        self._since_reading = None
        self._spilled, self._fresh_until_ns = self._spilled_since
        for entry, targets, age_ns in pending:
            event = entry.event.id
            if event not in self._held and event not in self._awaited and event not in came:
                self._owe(entry, targets, now_ns)
                self._hold(entry, targets, now_ns - age_ns)
        if not complete and pending:
            entry, _, age_ns = pending[-1]
            self._spill(entry.event.lane, now_ns - age_ns)

    def owed_again(self, *, now_ns: int) -> None:
        """The journal has deliveries again that are not here; whatever they are of, they are not fresh."""
        self._spill(Lane.ALARM, now_ns - OLD_NS)

    @property
    def wants_more(self) -> bool:
        """Whether the journal may hold deliveries that are not here, and there is room for them."""
        if self._spilled is None or self._since_reading is not None:
            return False
        return (self._alarms if self._spilled <= Lane.OLD_ALARM else len(self._held)) <= ROOM // 2

    def known(self, epoch: Epoch) -> set[int]:
        """Sequence numbers of `epoch` that are here already (the journal need not read them again)."""
        here = (held.entry for held in self._held.values())
        awaited = (awaited.entry for awaited in self._awaited.values())
        return {entry.seq for entry in chain(here, awaited, self._unsendable.values()) if entry.epoch == epoch}

    @property
    def open(self) -> list[tuple[Event, list[str]]]:
        """Every event that is known here and not delivered, in order, with the targets that it still must reach."""
        found: dict[EventId, tuple[Entry, list[str]]] = {}
        everywhere = chain(
            ((held.entry, target) for held in self._held.values() for target in held.targets),
            ((parcel.entry, target) for flying in self._in_flight.values() for target, parcel in flying.items()),
            ((awaited.entry, STATION) for awaited in self._awaited.values()),
            ((entry, STATION) for entry in self._unsendable.values()),
        )
        for entry, target in everywhere:
            closed = target == STATION and entry.event.id in self._closed_early
            targets = found.setdefault(entry.event.id, (entry, []))[1]
            if not closed and target not in targets:
                targets.append(target)
        in_order = sorted(found.values(), key=lambda row: row[0].seq)
        return [(entry.event, targets) for entry, targets in in_order if targets]

    def drop(self, pruned: Entry) -> None:
        """The journal gave up what the event `pruned` names: it is not sent any more."""
        first, last = pruned.event.detail["first"], pruned.event.detail["last"]
        assert isinstance(first, int)
        assert isinstance(last, int)
        for event, held in list(self._held.items()):
            if _is_among(held.entry, pruned.epoch, first, last) and not self._flies(event):
                self._let_go(event)
        for event, awaited in list(self._awaited.items()):
            if _is_among(awaited.entry, pruned.epoch, first, last):
                self._pop_awaited(event)

    def clear(self) -> None:
        """Forget everything: a new journal began, and what matters is in it. What flies is not waited for."""
        self._held.clear()
        self._alarms = 0
        self._heap.clear()
        self._parked.clear()
        self._awaited.clear()
        self._resend.clear()
        self._turns.clear()
        self._again = 0
        self._in_flight.clear()
        self._closed_early.clear()
        self._unsendable.clear()
        self._owed.clear()
        self._spilled = Lane.ALARM
        self._fresh_until_ns = 0
        self._spilled_since = (Lane.ALARM, 0)  # whatever a reading that is under way will find in the old one

    def _has_room(self, lane: Lane, now_ns: int) -> bool:
        """Order inside a lane is kept: what comes after something that was spilled is spilled too.

        A fresh alarm goes before old ones, and finds room as long as something else can give way for it.
        """
        if lane is not Lane.ALARM:
            return len(self._held) < ROOM and (self._spilled is None or lane < self._spilled)
        if now_ns < self._fresh_until_ns:
            return False
        return len(self._held) < 2 * ROOM or self._make_room(now_ns)

    def _make_room(self, now_ns: int) -> bool:
        """Let go of something less urgent than a fresh alarm: it still is in the journal."""
        for event, held in self._held.items():
            old = not held.alarm or now_ns - held.known_ns >= OLD_NS
            if old and event not in self._awaited and not self._flies(event):
                self._spill(held.entry.event.lane, held.known_ns)
                self._let_go(event)
                self._owed.pop(event, None)
                return True
            if self._alarms == len(self._held):  # the first is the oldest: those behind it are no older
                return False
        return False

    def _spill(self, lane: Lane, known_ns: int) -> None:
        fresh_until_ns = known_ns + OLD_NS if lane is Lane.ALARM else 0
        self._spilled = lane if self._spilled is None else min(lane, self._spilled)
        self._fresh_until_ns = max(self._fresh_until_ns, fresh_until_ns)
        if self._since_reading is not None:
            since, until_ns = self._spilled_since
            self._spilled_since = (lane if since is None else min(lane, since), max(until_ns, fresh_until_ns))

    def _hold(self, entry: Entry, targets: list[str], known_ns: int) -> None:
        held = _Held(entry, entry.event.lane, known_ns, targets)
        self._held[entry.event.id] = held
        self._alarms += held.alarm
        self._push(held)

    def _let_go(self, event: EventId) -> None:
        self._alarms -= self._held.pop(event).alarm
        self._parked.pop(event, None)

    # Sending

    def take(self, now_ns: int) -> Parcel | None:
        """Return what is to be published next, None when nothing is to be now."""
        self._requeue(now_ns)
        self._unpark(now_ns)
        while self._heap:
            lane, _, event = self._heap[0]
            held = self._held.get(event)
            if held is None or not held.targets or held.lane != lane or event in self._parked:
                heapq.heappop(self._heap)
                continue
            if lane is Lane.ALARM and now_ns - held.known_ns >= OLD_NS:
                heapq.heappop(self._heap)
                held.lane = Lane.OLD_ALARM
                self._push(held)
                continue
            for place, target in enumerate(held.targets):
                if self._may_go(held, target, now_ns):
                    del held.targets[place]
                    parcel = Parcel(held.entry, target, _delivery(held.entry, target))
                    self._in_flight.setdefault(event, {})[target] = parcel
                    return parcel
            heapq.heappop(self._heap)
            self._parked[event] = None
        return None

    def handed(self, parcel: Parcel, *, now_ns: int) -> tuple[list[Delivery], list[Delivery]]:
        """The broker has it. Return the deliveries to mark as (handed, done)."""
        if not self._landed(parcel):
            return [], []  # of a journal that is not ours any more
        event = parcel.entry.event.id
        self._pauses.pop(parcel.target, None)
        self._settle(event)
        self.counts.handed += 1
        if parcel.target != STATION:
            return [], [parcel.delivery]
        if event in self._closed_early:
            self._closed_early.discard(event)
            return [], []
        before = self._awaited.get(event)
        wait_ns = min(before.wait_ns * 2, LAST_RESEND_NS) if before is not None else 0
        wait_ns = max(wait_ns, FIRST_RESEND_NS)
        again = before is not None and before.again
        self._awaited[event] = _Awaited(parcel.entry, now_ns + wait_ns, wait_ns, self.generation, again)
        heapq.heappush(self._resend, (now_ns + wait_ns, parcel.entry.seq, event))
        return [parcel.delivery], []

    def refused(self, parcel: Parcel, *, now_ns: int, longer: bool = True) -> None:
        """The broker would not take it: it stays, and its target backs off. Others may fare better.

        `longer`: twice as long as the last time, and not FIRST_PAUSE_NS again.
        """
        if not self._landed(parcel):
            return
        self.counts.refused += 1
        pause = self._pauses.get(parcel.target)
        if pause is None or not longer:
            self._pauses[parcel.target] = _Pause(now_ns + FIRST_PAUSE_NS, FIRST_PAUSE_NS)
        elif now_ns >= pause.until_ns:  # else it flew together with one that was refused already
            pause.wait_ns = min(pause.wait_ns * 2, LAST_PAUSE_NS)
            pause.until_ns = now_ns + pause.wait_ns
        self._put_back(parcel, now_ns)

    def unsendable(self, parcel: Parcel) -> list[Delivery]:
        """No message can be made of it. A view is given up (returned as done); an event stays open, and in sight."""
        self._landed(parcel)
        self.counts.unsendable += 1
        if parcel.target == STATION:
            self._unsendable[parcel.entry.event.id] = parcel.entry
            self._owed.pop(parcel.entry.event.id, None)
        self._settle(parcel.entry.event.id)
        return [] if parcel.target == STATION else [parcel.delivery]

    def lost(self, *, now_ns: int) -> None:
        """The connection went: what was in flight goes again (the receivers know copies by their id)."""
        flying, self._in_flight = self._in_flight, {}
        for parcel in chain.from_iterable(parcels.values() for parcels in flying.values()):
            if parcel.target == STATION and parcel.entry.event.id in self._closed_early:
                self._closed_early.discard(parcel.entry.event.id)
                self._settle(parcel.entry.event.id)
            else:
                self._put_back(parcel, now_ns)
        self._pauses.clear()
        self._unpark_ns = now_ns

    def _may_go(self, held: _Held, target: str, now_ns: int) -> bool:
        pause = self._pauses.get(target)
        if pause is not None and now_ns < pause.until_ns:
            self._unpark_ns = pause.until_ns if self._unpark_ns is None else min(self._unpark_ns, pause.until_ns)
            return False
        if target != STATION or held.entry.event.id in self._awaited:
            return True
        return len(self._awaited) < (AWAITING_MOST if held.alarm else AWAITING_ROOM)

    def _unpark(self, now_ns: int) -> None:
        if self._unpark_ns is not None and self._unpark_ns <= now_ns:
            self._unpark_ns = None
            parked, self._parked = self._parked, {}
            for event in parked:
                self._push(self._held[event])

    def _put_back(self, parcel: Parcel, now_ns: int) -> None:
        held = self._held.get(parcel.entry.event.id)
        if held is None:
            self._hold(parcel.entry, [parcel.target], now_ns)
        else:
            held.targets.insert(0, parcel.target)
            self._push(held)

    def _push(self, held: _Held) -> None:
        self._parked.pop(held.entry.event.id, None)
        heapq.heappush(self._heap, (held.lane, held.entry.seq, held.entry.event.id))

    def _settle(self, event: EventId) -> None:
        held = self._held.get(event)
        if held is not None and not held.targets and not self._flies(event):
            self._let_go(event)

    def _flies(self, event: EventId, *, target: str | None = None) -> bool:
        flying = self._in_flight.get(event)
        return flying is not None and (target is None or target in flying)

    def _landed(self, parcel: Parcel) -> bool:
        """Whether it was in flight until now."""
        event = parcel.entry.event.id
        flying = self._in_flight.get(event)
        if flying is None or flying.get(parcel.target) is not parcel:
            return False
        del flying[parcel.target]
        if not flying:
            del self._in_flight[event]
        return True

    # Receipts

    def receipt(self, outcomes: dict[EventId, Outcome], *, now_ns: int) -> list[Delivery]:
        """The station has committed these (or will never). Return the deliveries that are done with."""
        done: list[Delivery] = []
        for event, outcome in outcomes.items():
            self.counts.rejected += outcome is Outcome.REJECTED
            self._owed.pop(event, None)
            entry = self._close(event)
            if entry is not None:
                self.counts.receipted += 1
                done.append(_delivery(entry, STATION))
        if done:
            self._unpark_ns = now_ns
        if not self._turns and len(self._resend) > RESEND_SLACK + 2 * len(self._awaited):
            self._resend = [(one.due_ns, one.entry.seq, event) for event, one in self._awaited.items()]
            heapq.heapify(self._resend)
        return done

    def _close(self, event: EventId) -> Entry | None:
        """Take `event` from wherever it waits for its receipt: sent, about to be sent again, on its way."""
        awaited, held = self._pop_awaited(event), self._held.get(event)
        entry = None if awaited is None else awaited.entry
        if held is not None and STATION in held.targets:
            held.targets.remove(STATION)
            entry = held.entry
            self._settle(event)
        flying = self._in_flight.get(event, {}).get(STATION)
        if flying is not None and event not in self._closed_early:
            self._closed_early.add(event)
            entry = flying.entry
        return entry

    # The other road

    def overdue(self, *, now_ns: int, after_ns: int, limit: int) -> list[Entry]:
        """Alarms that are here for so long and have no receipt, oldest first. They go on as they are."""
        found: list[Entry] = []
        for event, since_ns in list(self._owed.items()):
            if len(found) >= limit:
                break
            if now_ns - since_ns < after_ns:
                continue
            entry = self._on_its_way(event)
            if entry is None:
                del self._owed[event]
            else:
                found.append(entry)
        return found

    def owes_alarm(self, *, now_ns: int) -> bool:
        """Whether the station owes a receipt for an alarm that is here."""
        return bool(self.overdue(now_ns=now_ns, after_ns=0, limit=1))

    def behind_others(self, events: Iterable[EventId]) -> None:
        """These were tried in vain: others that are overdue come first now."""
        for event in events:
            since_ns = self._owed.pop(event, None)
            if since_ns is not None:
                self._owed[event] = since_ns

    def not_elsewhere(self, event: EventId) -> None:
        """No message can be made of it: it is not overdue any more."""
        self._owed.pop(event, None)

    def _owe(self, entry: Entry, targets: Sequence[str], now_ns: int) -> None:
        if entry.event.lane <= Lane.OLD_ALARM and STATION in targets:
            self._owed.setdefault(entry.event.id, now_ns)

    def _on_its_way(self, event: EventId) -> Entry | None:
        """An event whose delivery to the station is here, sent or not."""
        held = self._held.get(event)
        if held is not None and STATION in held.targets:
            return held.entry
        flying = self._in_flight.get(event, {}).get(STATION)
        if flying is not None:
            return flying.entry
        awaited = self._awaited.get(event)
        return None if awaited is None else awaited.entry

    def station_started(self, generation: int, *, now_ns: int) -> None:
        """The station is there, and tells its generation; for a new one what has no receipt goes again, once."""
        if self._pauses.pop(STATION, None) is not None:
            self._unpark_ns = now_ns
        if generation <= self.generation:
            return
        self.generation = generation
        for event, awaited in self._awaited.items():
            if awaited.generation < generation:
                awaited.due_ns, awaited.wait_ns = now_ns, 0
                heapq.heappush(self._resend, (now_ns, awaited.entry.seq, event))

    def _requeue(self, now_ns: int) -> None:
        while self._resend and self._resend[0][0] <= now_ns:
            due_ns, _, event = heapq.heappop(self._resend)
            awaited = self._awaited.get(event)
            if awaited is None or awaited.due_ns != due_ns:
                continue
            if awaited.again:
                self._send_again(event, now_ns)  # it has its place in the window
            else:
                self._turns.append(event)
        while self._turns and self._again < RESEND_WINDOW:
            self._send_again(self._turns.popleft(), now_ns)

    def _send_again(self, event: EventId, now_ns: int) -> None:
        awaited = self._awaited.get(event)
        if awaited is None:
            return  # its receipt came while it waited for its turn
        self.counts.resent += 1
        self._again += not awaited.again
        awaited.again = True
        awaited.due_ns = now_ns + LAST_RESEND_NS  # set anew when it is handed over again
        heapq.heappush(self._resend, (awaited.due_ns, awaited.entry.seq, event))
        held = self._held.get(event)
        if held is None:
            self._hold(awaited.entry, [STATION], now_ns - OLD_NS)
        elif STATION not in held.targets and not self._flies(event, target=STATION):
            held.targets.append(STATION)
            self._push(held)

    def _pop_awaited(self, event: EventId) -> _Awaited | None:
        awaited = self._awaited.pop(event, None)
        self._again -= awaited is not None and awaited.again
        return awaited

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

    @property
    def waiting(self) -> int:
        """Events held here, for the health page; the journal knows all of them."""
        return len(self._held)


def _is_among(entry: Entry, epoch: Epoch, first: int, last: int) -> bool:
    return entry.epoch == epoch and first <= entry.seq <= last and entry.event.lane >= Lane.CHECK_IN


def _delivery(entry: Entry, target: str) -> Delivery:
    return Delivery(entry.epoch, entry.event.lane, entry.seq, target)
