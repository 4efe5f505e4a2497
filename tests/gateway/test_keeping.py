"""What `Keeper` promises to those who await it, whatever the file under it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from threading import Event as Gate
from threading import Thread
from typing import Any

import pytest

from broker.kinds import EventType, Kind, Lane
from gateway.counters import Counters
from gateway.events import Entry, Event
from gateway.journal import Carried, Damaged, Delivery, Heard, Journal, Refused
from gateway.keeping import NO_EPOCH, Append, Keeper
from gateway.opening import open_journal
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, plain, press
from tests.gateway.waiting import PATIENCE_S, until

pytestmark = pytest.mark.anyio
CLOCK = Clock()


class Disk:
    """A folder on which a journal can be opened, as long as nobody says no."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self.refuses = ""
        self.opened = 0

    def reopen(self, *, afresh: bool = False, carried: Carried | None = None) -> Journal:
        if self.refuses:
            raise Refused(self.path, self.refuses)
        self.opened += 1
        return open_journal(
            self.path, station=STATION, gateway=GATEWAY, now=CLOCK(), random_bytes=DICE, afresh=afresh, carried=carried
        ).journal


class Watch:
    def __init__(self) -> None:
        self.known = Carried()
        self.renewed = 0

    def note(self) -> None:
        self.renewed += 1


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@asynccontextmanager
async def keeping(
    disk: Disk, watch: Watch, *, wrap: Callable[[Append], Append] = lambda append: append, empty: bool = False
) -> AsyncIterator[Keeper]:
    journal = None if empty else await asyncio.to_thread(disk.reopen)
    counters = await asyncio.to_thread(partial(Counters, disk.path.parent / "counters", random_bytes=DICE))
    keeper = Keeper(journal, counters, reopen=disk.reopen, carry=lambda: watch.known, renewed=watch.note, wrap=wrap)
    try:
        yield keeper
    finally:
        disk.refuses = ""
        await keeper.close()


def fault() -> Event:
    return plain(CLOCK, EventType.FAULT)


async def stored(keeper: Keeper) -> list[Event]:
    return await keeper.ask(lambda journal: [journal.entry(seq).event for seq in range(1, journal.head_seq + 1)])


@pytest.mark.proves("N1")
async def test_what_append_returned_is_in_the_file(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch) as keeper:
        entries = await keeper.append([fault(), press(CLOCK)], heard=[Heard("u01", 3)])
        assert [entry.event for entry in entries] == (await stored(keeper))[1:]
        assert (keeper.epoch, keeper.head_seq) == (entries[0].epoch, 3)
        assert (keeper.counts.commits, keeper.counts.events) == (1, 2)


@pytest.mark.proves("N1", "N3", "F55")
async def test_where_no_thread_can_be_started_any_more_events_are_kept_once(
    disk: Disk, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with keeping(disk, watch) as keeper:
        with monkeypatch.context() as short:
            short.setattr(Thread, "start", no_memory)
            event = press(CLOCK)
            await keeper.append([event])
        assert [one.id for one in await stored(keeper)].count(event.id) == 1


async def test_appends_of_several_lines_are_kept_in_one_order(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch) as keeper:
        kept = await asyncio.gather(*(keeper.append([fault()]) for _ in range(20)))
        assert sorted(entry.seq for (entry,) in kept) == [*range(2, 22)]


@pytest.mark.proves("N2")
async def test_marks_ride_on_the_next_commit_or_go_by_themselves_soon(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch) as keeper:
        (entry,) = await keeper.append([fault()])
        row = Delivery(keeper.epoch, Lane.FAULT, entry.seq, "station")
        keeper.mark(handed=[row])
        await keeper.append([fault()])
        assert [one.seq for one, _ in await keeper.ask(lambda journal: journal.pending(limit=9))] == [1, 3]
        keeper.mark(done=[row])
        await until(lambda: keeper.ask(lambda journal: journal.queued() == 2))
        await keeper.look()
        assert (keeper.low, keeper.queued) == (1, 2)


async def test_marks_survive_a_commit_that_was_refused(disk: Disk, watch: Watch) -> None:
    refuse = [False]

    def wrap(append: Append) -> Append:
        def wrapped(events: Sequence[Event], **more: Any) -> list[Entry]:
            if refuse[0]:
                raise Refused(disk.path, "no")
            return append(events, **more)

        return wrapped

    async with keeping(disk, watch, wrap=wrap) as keeper:
        (entry,) = await keeper.append([fault()])
        keeper.mark(done=[Delivery(keeper.epoch, Lane.FAULT, entry.seq, "station")])
        refuse[0] = True
        with pytest.raises(Refused):
            await keeper.append([fault()])
        assert (keeper.trouble, keeper.counts.refused) == ("no", 1)
        refuse[0] = False
        await keeper.append([])
        assert keeper.trouble == ""
        await keeper.look()
        assert keeper.queued == 1


@pytest.mark.proves("N5", "N14")
async def test_without_a_journal_everything_is_refused_until_there_is_one(disk: Disk, watch: Watch) -> None:
    disk.refuses = "no such disk"
    async with keeping(disk, watch, empty=True) as keeper:
        assert (keeper.epoch, keeper.head_seq) == (NO_EPOCH, 0)
        assert keeper.trouble
        for _ in range(2):
            with pytest.raises(Refused, match="no such disk"):
                await keeper.append([fault()])
        await keeper.flush()
        disk.refuses = ""
        event = fault()
        (entry,) = await keeper.append([event])
        assert entry.seq == 2
        assert (await stored(keeper))[1] == event
        assert disk.opened == 1


def damaging(disk: Disk, at: int) -> Callable[[Append], Append]:
    """Say at the nth append that the file is damaged, as SQLite does of a bad page."""
    count = [0]

    def wrap(append: Append) -> Append:
        def wrapped(events: Sequence[Event], **more: Any) -> list[Entry]:
            count[0] += 1
            if count[0] == at:
                raise Damaged(disk.path, "malformed")
            return append(events, **more)

        return wrapped

    return wrap


@pytest.mark.proves("N1", "N14")
async def test_a_file_that_goes_bad_costs_its_past_and_nothing_in_hand(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch, wrap=damaging(disk, 3)) as keeper:
        first, second, third = (press(CLOCK, number=number) for number in (1, 2, 3))
        (entry,) = await keeper.append([first], heard=[Heard("u01", 1)])
        await keeper.append([second])
        old = keeper.epoch
        row = Delivery(old, Lane.ALARM, entry.seq, "station")
        watch.known = Carried([(second, ["station"])], [Heard("u01", 9)], {"u01:1:1": first.id, "u01:1:2": second.id})
        keeper.mark(done=[row])
        (kept,) = await keeper.append([third])
        assert kept.epoch != old
        assert kept.epoch == keeper.epoch
        events = await stored(keeper)
        assert events[0].type is EventType.EPOCH_OPENED
        assert {event.id for event in events[1:]} == {first.id, second.id, third.id}
        assert await keeper.ask(lambda journal: journal.heard()) == {"u01": 9}
        assert {"u01:1:1", "u01:1:2", "u01:1:3"} <= set(await keeper.ask(lambda journal: journal.known_messages()))
        assert (keeper.counts.set_aside, watch.renewed) == (1, 1)
        keeper.mark(done=[row])
        await keeper.flush()
        assert await keeper.ask(lambda journal: journal.queued()) == len(events)


async def test_two_who_find_the_same_damage_make_one_new_file(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch) as keeper:
        asked = [0]

        def find(journal: Journal) -> str:
            asked[0] += 1
            if asked[0] <= 2:
                raise Damaged(disk.path, "malformed")
            return journal.epoch

        assert len(set(await asyncio.gather(keeper.ask(find), keeper.ask(find)))) == 1
        assert keeper.counts.set_aside == 1


@pytest.mark.proves("N1")
async def test_what_is_carried_is_not_lost_when_no_new_file_can_be_made_at_once(disk: Disk, watch: Watch) -> None:
    async with keeping(disk, watch, wrap=damaging(disk, 2)) as keeper:
        first = press(CLOCK, number=1)
        await keeper.append([first])
        watch.known = Carried([(first, ["station"])])
        disk.refuses = "full"
        with pytest.raises(Refused):
            await keeper.append([press(CLOCK, number=2)])
        assert (keeper.epoch, watch.renewed) == (NO_EPOCH, 1)
        disk.refuses = ""
        await keeper.append([press(CLOCK, number=2)])
        assert first.id in {event.id for event in await stored(keeper)}


@pytest.mark.proves("F12")
async def test_a_restored_card_opens_a_new_epoch_and_takes_along_what_is_not_receipted(
    disk: Disk, watch: Watch
) -> None:
    async with keeping(disk, watch) as keeper:
        entries = await keeper.append([press(CLOCK, number=number, kind=Kind.DURESS) for number in (1, 2, 3)])
        rows = [Delivery(keeper.epoch, Lane.ALARM, entry.seq, "station") for entry in entries]
        keeper.mark(handed=rows, done=rows[:1])
        old = keeper.epoch
        await keeper.open_epoch()
        assert keeper.epoch != old
        kept = [event.id for event in await stored(keeper)][1:]
        assert kept == [entry.event.id for entry in entries]  # the police's view of the first is open still
        pending = await keeper.ask(lambda journal: journal.pending(limit=9))
        targets = {entry.event.id: targets for entry, targets in pending}
        assert targets[entries[0].event.id] == ["police"]
        assert targets[entries[1].event.id] == ["police", "station"]
        assert watch.renewed == 1


async def test_what_the_old_file_took_in_the_last_moment_goes_along(disk: Disk, watch: Watch) -> None:
    late = press(CLOCK, number=7)

    class Moving(Watch):
        asked = 0

        @property
        def both(self) -> Carried:
            self.asked += 1
            return Carried() if self.asked == 1 else Carried([(late, ["station"])])

    moving = Moving()
    journal = await asyncio.to_thread(disk.reopen)
    counters = await asyncio.to_thread(partial(Counters, disk.path.parent / "counters", random_bytes=DICE))
    keeper = Keeper(journal, counters, reopen=disk.reopen, carry=lambda: moving.both, renewed=moving.note)
    await keeper.append([late])
    await keeper.open_epoch()
    assert [event.id for event in await stored(keeper)].count(late.id) == 1
    late = press(CLOCK, number=8)
    moving.asked = 0
    await keeper.open_epoch()
    assert late in await stored(keeper)
    await keeper.close()
    assert watch.renewed == 0


@pytest.mark.proves("N5")
async def test_counters_are_leased_beside_a_commit_that_takes_for_ever(disk: Disk, watch: Watch) -> None:
    gate = Gate()

    def wrap(append: Append) -> Append:
        def wrapped(events: Sequence[Event], **more: Any) -> list[Entry]:
            gate.wait(PATIENCE_S)
            return append(events, **more)

        return wrapped

    async with keeping(disk, watch, wrap=wrap) as keeper:
        slow = asyncio.create_task(keeper.append([fault()]))
        assert keeper.take_counter() is None
        for _ in range(2_500):
            await until(lambda: keeper.take_counter() is not None)
        assert not slow.done()
        gate.set()
        await slow


@pytest.mark.proves("N5", "N8")
async def test_where_no_disk_leases_counters_they_are_improvised_and_it_is_told(tmp_path: Path, watch: Watch) -> None:
    disk = Disk(tmp_path)
    disk.refuses = "nothing works"
    counters = Counters(tmp_path / "nowhere" / "counters", random_bytes=DICE)
    keeper = Keeper(None, counters, reopen=disk.reopen, carry=lambda: watch.known, renewed=watch.note)
    assert keeper.take_counter() is None
    await until(lambda: keeper.take_counter() is not None)
    assert counters.improvised
    assert keeper.counter_trouble
    await keeper.close()
