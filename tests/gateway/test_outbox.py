from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.ids import Epoch, EventId
from broker.kinds import EventType, Kind, Lane
from broker.messages import Outcome
from gateway import outbox as box
from gateway.events import STATION, Entry, Event
from gateway.journal import Delivery
from gateway.outbox import Outbox, Parcel
from tests.gateway.place import GATEWAY, Clock, S, plain, press

EPOCH = Epoch("a" * 16)
CLOCK = Clock()


class Journal:
    """What a journal knows of deliveries, as a dictionary: the outbox's other side."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.state: dict[Delivery, bool] = {}
        """Handed or not; gone when done."""
        self.born: dict[int, int] = {}

    def append(self, event: Event, now_ns: int) -> Entry:
        entry = Entry(EPOCH, len(self.entries) + 1, event)
        self.entries[entry.seq] = entry
        self.born[entry.seq] = now_ns
        for target in event.targets(GATEWAY):
            self.state[Delivery(EPOCH, event.lane, entry.seq, target)] = False
        return entry

    def mark(self, handed: list[Delivery], done: list[Delivery]) -> None:
        for delivery in handed:
            if delivery in self.state:
                self.state[delivery] = True
        for delivery in done:
            self.state.pop(delivery, None)

    def pending(self, *, limit: int, without: set[int]) -> list[tuple[Entry, list[str]]]:
        found: dict[int, list[str]] = {}
        rows = sorted((row for row, handed in self.state.items() if not handed), key=lambda row: (row.lane, row.seq))
        for row in rows:
            if row.seq in without or (row.seq not in found and len(found) >= limit):
                continue
            found.setdefault(row.seq, []).append(row.target)
        return [(self.entries[seq], targets) for seq, targets in found.items()]


class Road:
    """Outbox, journal and the time, with the little that uplink does between them."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.journal = Journal()
        self.now_ns = 1_000 * S
        self.receipted: set[EventId] = set()
        self.published: Counter[tuple[EventId, str]] = Counter()

    def keep(self, *events: Event) -> list[Entry]:
        entries = [self.journal.append(event, self.now_ns) for event in events]
        self.outbox.add([(entry, entry.event.targets(GATEWAY)) for entry in entries], now_ns=self.now_ns)
        return entries

    def refill(self) -> None:
        if self.outbox.wants_more:
            self.outbox.begin_reading()
            self.finish_reading(self.read())

    def read(self) -> list[tuple[Entry, list[str]]]:
        return self.journal.pending(limit=box.ROOM // 2, without=self.outbox.known(EPOCH))

    def finish_reading(self, pending: list[tuple[Entry, list[str]]]) -> None:
        aged = [(entry, targets, self.now_ns - self.journal.born[entry.seq]) for entry, targets in pending]
        self.outbox.refill(aged, now_ns=self.now_ns, complete=len(pending) < box.ROOM // 2)

    def take(self) -> Parcel | None:
        self.refill()
        parcel = self.outbox.take(self.now_ns)
        if parcel is not None:
            self.published[parcel.entry.event.id, parcel.target] += 1
        return parcel

    def hand(self, parcel: Parcel) -> None:
        self.journal.mark(*self.outbox.handed(parcel, now_ns=self.now_ns))

    def receipt(self, *events: EventId, outcome: Outcome = Outcome.STORED) -> None:
        self.receipted.update(events)
        done = self.outbox.receipt(dict.fromkeys(events, outcome), now_ns=self.now_ns)
        self.journal.mark([], done)

    def send_all(self, *, receipts: bool = False, most: int = 100_000) -> list[Parcel]:
        sent: list[Parcel] = []
        while len(sent) < most and (parcel := self.take()) is not None:
            self.hand(parcel)
            sent.append(parcel)
            if receipts and parcel.target == STATION:
                self.receipt(parcel.entry.event.id)
        return sent


def taken(road: Road) -> Parcel:
    parcel = road.take()
    assert parcel is not None
    return parcel


def fault() -> Event:
    return plain(CLOCK, EventType.FAULT)


def check_in() -> Event:
    return plain(CLOCK, EventType.CHECK_IN)


def seqs(parcels: list[Parcel]) -> list[int]:
    return [parcel.entry.seq for parcel in parcels if parcel.target == STATION]


@pytest.mark.proves("N2", "F27")
def test_a_puback_closes_a_view_and_only_a_receipt_closes_the_delivery_to_the_station() -> None:
    road = Road()
    (entry,) = road.keep(press(CLOCK))
    sent = road.send_all()
    assert [parcel.target for parcel in sent] == entry.event.targets(GATEWAY)
    assert list(road.journal.state) == [Delivery(EPOCH, Lane.ALARM, 1, STATION)]
    road.receipt(entry.event.id)
    assert road.journal.state == {}
    assert road.outbox.counts.receipted == 1


def test_a_receipt_may_come_before_the_puback() -> None:
    road = Road()
    (entry,) = road.keep(fault())
    parcel = road.take()
    assert parcel is not None
    road.receipt(entry.event.id)
    road.hand(parcel)
    assert road.journal.state == {}
    road.now_ns += 3_600 * S
    assert road.take() is None


def test_a_rejected_event_is_done_with_and_counted() -> None:
    road = Road()
    (entry,) = road.keep(fault())
    road.send_all()
    road.receipt(entry.event.id, outcome=Outcome.REJECTED)
    assert road.journal.state == {}
    assert road.outbox.counts.rejected == 1


def test_an_alarm_is_overdue_as_long_as_it_has_no_receipt_wherever_it_is_and_nothing_else_ever_is() -> None:
    road = Road()
    road.keep(check_in(), fault())
    held, flying, sent, bad = road.keep(*(press(CLOCK, number=number, kind=Kind.DURESS) for number in range(1, 5)))

    def overdue(after_s: int = 30, limit: int = 9) -> list[int]:
        found = road.outbox.overdue(now_ns=road.now_ns, after_ns=after_s * S, limit=limit)
        return [entry.seq for entry in found]

    parcels = iter(road.take, None)
    by_event = {parcel.entry.event.id: parcel for parcel in parcels if parcel.target == STATION}
    road.outbox.refused(by_event[held.event.id], now_ns=road.now_ns)
    road.hand(by_event[sent.event.id])
    road.journal.mark([], road.outbox.unsendable(by_event[bad.event.id]))
    assert overdue() == []
    road.now_ns += 30 * S
    assert overdue() == [held.seq, flying.seq, sent.seq]
    assert overdue(limit=2) == [held.seq, flying.seq]
    road.outbox.lost(now_ns=road.now_ns)
    assert overdue() == [held.seq, flying.seq, sent.seq]
    road.receipt(flying.event.id)
    assert overdue() == [held.seq, sent.seq]
    road.outbox.behind_others([held.event.id, flying.event.id])
    assert overdue() == [sent.seq, held.seq]
    road.outbox.not_elsewhere(held.event.id)
    road.receipt(sent.event.id)
    assert overdue() == []


@pytest.mark.proves("N7")
def test_lanes_go_in_order_and_by_sequence_inside_a_lane() -> None:
    road = Road()
    road.send_all()
    events = [check_in(), fault(), press(CLOCK, kind=Kind.DURESS), check_in(), fault(), press(CLOCK, kind=Kind.DURESS)]
    road.keep(*events)
    assert seqs(road.send_all()) == [3, 6, 2, 5, 1, 4]


def test_a_fresh_alarm_goes_before_older_ones_that_waited_for_a_minute() -> None:
    road = Road()
    road.keep(press(CLOCK, kind=Kind.DURESS), press(CLOCK, kind=Kind.DURESS))
    road.now_ns += 61 * S
    road.keep(press(CLOCK, kind=Kind.DURESS), check_in())
    assert seqs(road.send_all()) == [3, 1, 2, 4]


@pytest.mark.proves("N3")
def test_what_was_in_flight_when_the_connection_went_goes_again() -> None:
    road = Road()
    road.keep(press(CLOCK))
    first = [road.take() for _ in range(6)]
    assert road.take() is None
    road.outbox.lost(now_ns=road.now_ns)
    again = [road.take() for _ in range(6)]
    assert {one.target for one in first if one} == {one.target for one in again if one}


def test_what_was_receipted_in_flight_does_not_go_again_when_the_connection_goes() -> None:
    road = Road()
    (entry,) = road.keep(fault())
    road.take()
    road.receipt(entry.event.id)
    road.outbox.lost(now_ns=road.now_ns)
    assert road.take() is None
    assert road.outbox.waiting == 0


def test_without_a_receipt_it_goes_again_after_30_s_doubling_to_10_minutes() -> None:
    road = Road()
    road.keep(fault())
    road.send_all()
    waited = []
    for _ in range(7):
        since = road.now_ns
        while not road.send_all():
            road.now_ns += S
        waited.append((road.now_ns - since) // S)
    assert waited == [30, 60, 120, 240, 480, 600, 600]


@pytest.mark.proves("N2")
def test_a_new_generation_of_the_station_is_sent_everything_without_a_receipt_once() -> None:
    road = Road()
    road.keep(fault(), fault())
    road.outbox.station_started(5, now_ns=road.now_ns)
    road.send_all()
    road.outbox.station_started(5, now_ns=road.now_ns)
    assert road.send_all() == []
    road.outbox.station_started(6, now_ns=road.now_ns)
    assert len(road.send_all()) == 2
    road.outbox.station_started(6, now_ns=road.now_ns)
    assert road.send_all() == []


@pytest.mark.proves("N2", "N7", "N9")
def test_five_thousand_events_with_the_station_away_are_all_told_when_it_is_back() -> None:
    road = Road()
    road.outbox.station_started(1, now_ns=road.now_ns)
    for number in range(5_000):
        road.keep(press(CLOCK, kind=Kind.DURESS) if number % 10 == 0 else check_in())
        road.send_all()
    assert road.outbox.waiting <= 2 * box.ROOM
    known = road.outbox.known(EPOCH)
    assert len([seq for seq in known if seq % 10 != 1]) <= box.AWAITING_ROOM + 2 * box.ROOM
    assert len([one for one in road.published if one[1] == "police"]) == 500  # no alarm waited for the station
    road.outbox.station_started(2, now_ns=road.now_ns)
    for _ in range(200):
        road.now_ns += S
        road.send_all(receipts=True)
    assert len(road.receipted) == 5_000
    assert road.journal.state == {}


@pytest.mark.proves("N9")
def test_a_broker_that_keeps_little_for_a_station_that_is_back_gets_no_more_than_a_hundred_at_a_time() -> None:
    road = Road()
    for _ in range(400):
        road.keep(fault())
        road.send_all()
    road.outbox.station_started(1, now_ns=road.now_ns)
    delivered: list[int] = []
    while batch := road.send_all():
        assert len(batch) <= 100
        delivered += seqs(batch)
        road.receipt(*(parcel.entry.event.id for parcel in batch))
    assert delivered == sorted(delivered)
    assert len(delivered) == 400
    assert road.journal.state == {}


def test_receipts_that_never_come_do_not_hold_up_those_that_wait_for_their_turn_to_go_again() -> None:
    road = Road()
    for _ in range(150):
        road.keep(fault())
        road.send_all()
    road.outbox.station_started(1, now_ns=road.now_ns)
    lost = road.send_all()
    assert len(lost) == 100
    road.now_ns += 30 * S
    again = road.send_all(receipts=True)
    assert {*seqs(again)} == {*range(1, 151)}
    assert road.journal.state == {}


@pytest.mark.proves("N7")
def test_while_much_waits_for_receipts_only_alarms_are_added() -> None:
    road = Road()
    for _ in range(box.AWAITING_ROOM + 50):
        road.keep(check_in())
        road.send_all()
    assert len(road.published) == box.AWAITING_ROOM
    road.keep(press(CLOCK, kind=Kind.DURESS))
    assert [parcel.target for parcel in road.send_all()] == [STATION, "police"]
    road.receipt(*(event for event, _ in list(road.published)[:10]))
    assert len(road.send_all()) == 9  # the alarm took one place


@pytest.mark.proves("N7")
def test_a_target_that_is_refused_backs_off_alone_and_holds_up_nobody() -> None:
    road = Road()
    road.keep(*(press(CLOCK, number=number) for number in range(1, 31)))
    refused = 0
    told: Counter[str] = Counter()
    for _ in range(600):
        parcel = road.take()
        if parcel is None:
            break
        if parcel.target == "police":
            refused += 1
            road.outbox.refused(parcel, now_ns=road.now_ns)
        else:
            road.hand(parcel)
            told[parcel.target] += 1
    assert refused == 1
    assert set(told.values()) == {30}
    road.now_ns += 5 * S - 1
    assert road.take() is None
    road.now_ns += 1
    probe = taken(road)
    assert probe.target == "police"
    road.hand(probe)
    assert len(road.send_all()) == 29


def test_refusals_that_were_in_flight_together_count_as_one_and_the_wait_grows_to_a_minute() -> None:
    road = Road()
    road.keep(*(press(CLOCK, kind=Kind.DURESS) for _ in range(3)))
    waited = []
    for _ in range(6):
        flying: list[Parcel] = []
        while (parcel := road.take()) is not None:
            flying.append(parcel)
        for one in flying:
            road.outbox.refused(one, now_ns=road.now_ns)
        since = road.now_ns
        while (probe := road.take()) is None:
            road.now_ns += S
        waited.append((road.now_ns - since) // S)
        road.outbox.refused(probe, now_ns=road.now_ns - 1)
    assert waited == [5, 10, 20, 40, 60, 60]


@pytest.mark.proves("F27")
def test_a_station_that_nobody_has_seen_is_tried_every_five_seconds_and_at_once_when_it_says_that_it_is_there() -> None:
    road = Road()
    road.keep(*(fault() for _ in range(3)))
    for _ in range(3):
        parcel = road.take()
        assert parcel is not None
        road.outbox.refused(parcel, now_ns=road.now_ns, longer=False)
        assert road.take() is None
        road.now_ns += 5 * S
    parcel = taken(road)
    road.outbox.refused(parcel, now_ns=road.now_ns, longer=False)
    assert road.take() is None
    road.outbox.station_started(road.outbox.generation, now_ns=road.now_ns)  # as before: its link was gone
    assert len(road.send_all()) == 3


def test_a_new_connection_ends_every_pause() -> None:
    road = Road()
    road.keep(fault())
    parcel = road.take()
    assert parcel is not None
    road.outbox.refused(parcel, now_ns=road.now_ns)
    assert road.take() is None
    road.outbox.lost(now_ns=road.now_ns)
    assert road.take() is not None


def test_a_view_that_nobody_could_be_told_for_ten_minutes_is_dropped_and_counted() -> None:
    road = Road()
    road.keep(press(CLOCK))
    road.refill()
    assert road.outbox.drop_old_views(road.now_ns + 599 * S) == []
    road.now_ns += 600 * S
    dropped = road.outbox.drop_old_views(road.now_ns)
    assert {delivery.target for delivery in dropped} == {"police", "community:c1", "grid:r1", "household:h03",
                                                         "household:h04"}  # fmt: skip
    assert road.outbox.counts.views_dropped == 5
    road.journal.mark([], dropped)
    assert [parcel.target for parcel in road.send_all()] == [STATION]
    assert road.outbox.waiting == 0


@pytest.mark.proves("N7")
def test_a_fresh_alarm_finds_room_whatever_is_held() -> None:
    road = Road()
    road.send_all()
    road.keep(*(check_in() for _ in range(5_000)))
    assert road.outbox.waiting == box.ROOM
    road.keep(press(CLOCK, kind=Kind.DURESS))
    parcel = road.take()
    assert parcel is not None
    assert parcel.entry.seq == 5_001


@pytest.mark.proves("N7")
def test_a_fresh_alarm_goes_first_although_memory_is_full_of_old_ones() -> None:
    road = Road()
    road.send_all()
    for _ in range(3_000):
        road.keep(press(CLOCK, kind=Kind.DURESS))
    assert road.outbox.waiting == 2 * box.ROOM
    road.now_ns += 120 * S
    road.keep(press(CLOCK, kind=Kind.DURESS))
    parcel = road.take()
    assert parcel is not None
    assert parcel.entry.seq == 3_001
    road.hand(parcel)
    sent = road.send_all(receipts=True)
    assert {*seqs(sent)} == {*range(1, 3_001)}


@pytest.mark.proves("N6")
def test_order_inside_a_lane_is_kept_when_some_were_spilled() -> None:
    road = Road()
    road.send_all()
    for _ in range(3_000):
        road.keep(press(CLOCK, kind=Kind.DURESS))
        if road.now_ns % 3 == 0:
            road.send_all(receipts=True, most=2)
    sent = seqs(road.send_all(receipts=True))
    assert sent == sorted(sent)
    assert road.journal.state == {}


def test_what_is_added_while_the_journal_is_read_is_neither_lost_nor_doubled() -> None:
    road = Road()
    road.send_all()
    road.keep(*(fault() for _ in range(600)))
    for _ in range(2):
        road.outbox.begin_reading()
        road.keep(fault())
        answer = road.read()
        road.keep(*(fault() for _ in range(300)))
        road.finish_reading(answer)
    road.send_all(receipts=True)
    assert road.journal.state == {}
    assert set(road.published.values()) == {1}


@pytest.mark.proves("N6")
@pytest.mark.parametrize("make", [fault, check_in, lambda: press(CLOCK, kind=Kind.DURESS)])
def test_what_comes_while_the_journal_is_read_does_not_overtake_what_waits_in_it(make: Callable[[], Event]) -> None:
    road = Road()
    road.send_all()
    road.keep(*(make() for _ in range(4 * box.ROOM)))
    sent: list[Parcel] = []

    def send_what_is_here() -> None:
        while (parcel := road.outbox.take(road.now_ns)) is not None:
            sent.append(parcel)
            road.hand(parcel)
            if parcel.target == STATION:
                road.receipt(parcel.entry.event.id)

    send_what_is_here()
    while road.outbox.wants_more:
        road.outbox.begin_reading()
        answer = road.read()
        road.keep(*(make() for _ in range(20 if len(sent) < 2_000 else 0)))
        send_what_is_here()  # reading takes longer than sending
        road.finish_reading(answer)
        send_what_is_here()
    assert seqs(sent) == sorted(seqs(sent))
    assert road.journal.state == {}


def test_a_journal_that_could_not_be_read_is_read_again() -> None:
    road = Road()
    road.journal.append(fault(), road.now_ns)
    road.outbox.begin_reading()
    wanted = [road.outbox.wants_more]
    road.outbox.break_off_reading()
    assert [*wanted, road.outbox.wants_more] == [False, True]
    assert len(road.send_all()) == 1


def test_after_a_new_journal_nothing_of_the_old_one_is_marked() -> None:
    road = Road()
    (entry, _) = road.keep(fault(), fault())
    flying = road.take()
    assert flying is not None
    road.outbox.clear()
    assert road.outbox.handed(flying, now_ns=road.now_ns) == ([], [])
    road.outbox.refused(flying, now_ns=road.now_ns)
    assert road.outbox.receipt({entry.event.id: Outcome.STORED}, now_ns=road.now_ns) == []
    moved = Entry(Epoch("b" * 16), 1, entry.event)
    road.outbox.begin_reading()
    road.outbox.refill([(moved, [STATION], 0)], now_ns=road.now_ns, complete=True)
    again = road.outbox.take(road.now_ns)
    assert again is not None
    assert again.delivery.epoch == "b" * 16


def test_a_reading_of_the_old_journal_does_not_hide_what_is_in_the_new_one() -> None:
    road = Road()
    road.send_all()
    road.outbox.begin_reading()
    road.outbox.clear()
    road.journal.append(fault(), road.now_ns)
    road.outbox.refill([], now_ns=road.now_ns, complete=True)
    assert len(road.send_all()) == 1


def test_what_cannot_be_said_is_not_tried_for_ever_and_stays_in_sight() -> None:
    road = Road()
    (entry,) = road.keep(press(CLOCK))
    while (parcel := road.take()) is not None:
        road.journal.mark([], road.outbox.unsendable(parcel))
    assert list(road.journal.state) == [Delivery(EPOCH, Lane.ALARM, 1, STATION)]
    assert road.outbox.counts.unsendable == 6
    assert road.outbox.open == [(entry.event, [STATION])]
    assert road.outbox.known(EPOCH) == {1}


def test_everything_that_is_open_is_told_with_the_targets_that_are_left() -> None:
    road = Road()
    entries = road.keep(press(CLOCK), fault(), fault())
    for _ in range(2):  # the station and the police have the press
        road.hand(taken(road))
    taken(road)
    assert [event.id for event, _ in road.outbox.open] == [entry.event.id for entry in entries]
    assert {*road.outbox.open[0][1]} == {STATION, "community:c1", "grid:r1", "household:h03", "household:h04"}
    road.receipt(entries[0].event.id)
    assert STATION not in road.outbox.open[0][1]


def test_what_the_journal_gave_up_is_not_sent() -> None:
    road = Road()
    road.send_all()
    entries = road.keep(check_in(), press(CLOCK, kind=Kind.DURESS), check_in(), check_in(), fault())
    told = Entry(EPOCH, 6, plain(CLOCK, EventType.PRUNED, detail={"first": 1, "last": 3}))
    road.outbox.drop(told)
    assert seqs(road.send_all()) == [2, 5, 4]
    road.outbox.drop(replace(told, event=replace(told.event, detail={"first": 4, "last": 4})))
    road.receipt(entries[3].event.id)
    assert road.outbox.counts.receipted == 0


class Deliveries(RuleBasedStateMachine):
    """Whatever happens: every event reaches every target at least once and is closed by its receipt alone."""

    def __init__(self) -> None:
        super().__init__()
        self.road = Road()
        self.flying: list[Parcel] = []
        self.reading: list[tuple[Entry, list[str]]] | None = None
        self.told: set[tuple[EventId, str]] = set()
        self.generation = 1

    @rule(kinds=st.lists(st.sampled_from(["alarm", "fault", "check_in"]), min_size=1, max_size=8))
    def keep(self, kinds: list[str]) -> None:
        made: dict[str, Any] = {"alarm": lambda: press(CLOCK), "fault": fault, "check_in": check_in}
        self.road.keep(*(made[kind]() for kind in kinds))

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        for _ in range(count):
            parcel = self.road.outbox.take(self.road.now_ns)
            if parcel is not None:
                self.flying.append(parcel)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 10**6), stored=st.booleans())
    def hand(self, which: int, stored: bool) -> None:
        parcel = self.flying.pop(which % len(self.flying))
        self.road.hand(parcel)
        self.told.add((parcel.entry.event.id, parcel.target))
        if stored and parcel.target == STATION:
            self.road.receipt(parcel.entry.event.id)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 10**6))
    def receipt_overtakes(self, which: int) -> None:
        parcel = self.flying[which % len(self.flying)]
        if parcel.target == STATION:
            self.told.add((parcel.entry.event.id, STATION))
            self.road.receipt(parcel.entry.event.id)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 10**6))
    def refuse(self, which: int) -> None:
        self.road.outbox.refused(self.flying.pop(which % len(self.flying)), now_ns=self.road.now_ns)

    @rule()
    def lose_connection(self) -> None:
        self.flying.clear()
        self.road.outbox.lost(now_ns=self.road.now_ns)

    @rule()
    def restart_station(self) -> None:
        self.generation += 1
        self.road.outbox.station_started(self.generation, now_ns=self.road.now_ns)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.road.now_ns += seconds * S

    @precondition(lambda self: self.reading is None)
    @rule()
    def begin_reading(self) -> None:
        if self.road.outbox.wants_more:
            self.road.outbox.begin_reading()
            self.reading = self.road.read()

    @precondition(lambda self: self.reading is not None)
    @rule(works=st.booleans())
    def finish_reading(self, works: bool) -> None:
        assert self.reading is not None
        if works:
            self.road.finish_reading(self.reading)
        else:
            self.road.outbox.break_off_reading()
        self.reading = None

    @invariant()
    def closed_only_by_a_receipt(self) -> None:
        open_ = {delivery.seq for delivery in self.road.journal.state if delivery.target == STATION}
        for seq, entry in self.road.journal.entries.items():
            assert (seq in open_) is (entry.event.id not in self.road.receipted)

    def teardown(self) -> None:
        """Peace: everything arrives in the end."""
        road = self.road
        if self.reading is not None:
            road.finish_reading(self.reading)
        road.outbox.lost(now_ns=road.now_ns)
        road.outbox.station_started(self.generation + 1, now_ns=road.now_ns)
        for _ in range(30):
            for parcel in road.send_all(receipts=True):
                self.told.add((parcel.entry.event.id, parcel.target))
            road.now_ns += 60 * S
        assert road.journal.state == {}
        wanted = {
            (entry.event.id, target)
            for entry in road.journal.entries.values()
            for target in entry.event.targets(GATEWAY)
        }
        assert self.told >= wanted
        assert road.outbox.waiting == 0


class CrampedDeliveries(Deliveries):
    """The same with hardly any room, so that everything spills and waits its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.before = (box.ROOM, box.AWAITING_ROOM, box.AWAITING_MOST, box.RESEND_WINDOW)
        vars(box).update(ROOM=4, AWAITING_ROOM=3, AWAITING_MOST=6, RESEND_WINDOW=2)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            names = ("ROOM", "AWAITING_ROOM", "AWAITING_MOST", "RESEND_WINDOW")
            vars(box).update(zip(names, self.before, strict=True))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = hypothesis_settings(max_examples=60, stateful_step_count=60, deadline=None)
TestCrampedDeliveries = CrampedDeliveries.TestCase
TestCrampedDeliveries.settings = hypothesis_settings(max_examples=150, stateful_step_count=60, deadline=None)
del Deliveries, CrampedDeliveries
