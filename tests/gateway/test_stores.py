from pathlib import Path

import pytest

from broker.kinds import EventType
from gateway.journal import Heard, InUse
from gateway.settings import GatewaySettings
from gateway.stores import Stores, open_stores, reopen
from tests.gateway.disks import SmallDisk
from tests.gateway.place import DICE, Clock, press, settings

CLOCK = Clock()


def opened(place: GatewaySettings) -> Stores:
    return open_stores(place, clock=CLOCK, random_bytes=DICE)


def shut(stores: Stores) -> None:
    if stores.journal is not None:
        stores.journal.close()


@pytest.fixture
def place(tmp_path: Path) -> GatewaySettings:
    return settings(tmp_path / "state" / "gw1")


def test_at_a_first_start_everything_is_made(place: GatewaySettings) -> None:
    stores = opened(place)
    assert stores.journal is not None
    assert (stores.heard, stores.known, stores.lately, stores.counters_lost) == ({}, {}, [], False)
    assert stores.counters.take() is not None
    shut(stores)


@pytest.mark.proves("N3")
def test_a_restart_finds_windows_messages_and_what_was_interrupted(place: GatewaySettings) -> None:
    first = opened(place)
    assert first.journal is not None
    event = press(CLOCK)
    first.journal.append([event], heard=[Heard("u01", 70_000)])
    shut(first)
    second = opened(place)
    assert second.heard == {"u01": 70_000}
    assert second.known == {"u01:1:1": event.id}
    assert [(entry.event, owed) for entry, owed in second.lately] == [(event, True)]
    assert second.start == first.start + 1
    shut(second)


def test_a_second_process_is_turned_away(place: GatewaySettings) -> None:
    first = opened(place)
    with pytest.raises(InUse):
        opened(place)
    shut(first)


def test_lost_counters_beside_a_journal_are_told(place: GatewaySettings) -> None:
    shut(opened(place))
    (place.state / "counters").unlink()
    stores = opened(place)
    assert stores.counters_lost
    shut(stores)


@pytest.mark.proves("N14")
def test_a_journal_that_is_no_database_is_set_aside(place: GatewaySettings) -> None:
    place.state.mkdir(parents=True)
    (place.state / "journal.db").write_bytes(b"rubbish" * 10_000)
    stores = opened(place)
    assert stores.journal is not None
    assert list(place.state.glob("journal.db.damaged-*"))
    shut(stores)


@pytest.mark.proves("N14")
def test_a_journal_that_opens_and_does_not_read_is_set_aside_and_what_reads_goes_along(place: GatewaySettings) -> None:
    first = opened(place)
    assert first.journal is not None
    whole, spoiled = press(CLOCK, number=1), press(CLOCK, number=2)
    first.journal.append([whole, spoiled], heard=[Heard("u01", 5)])
    assert first.journal._db is not None
    first.journal._db.execute("UPDATE event SET payload = x'5b5d' WHERE seq = 3")
    shut(first)
    stores = opened(place)
    assert stores.journal is not None
    assert [entry.event.id for entry, _ in stores.lately] == [whole.id]
    assert stores.heard == {"u01": 5}
    assert stores.known.keys() == {"u01:1:1", "u01:1:2"}
    first_event = stores.journal.entry(1).event
    assert first_event.type is EventType.EPOCH_OPENED
    shut(stores)


@pytest.mark.proves("N5", "N14")
def test_where_nothing_can_be_made_there_are_counters_to_ring_with_and_no_journal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stores = opened(settings(tmp_path / "file" / "state"))
    assert stores.journal is None
    assert stores.counters.take() is not None
    assert stores.counters.improvised


@pytest.mark.proves("N5", "N14")
def test_a_card_that_became_read_only_leaves_counters_to_ring_with_and_never_the_same_twice(
    small_disk: SmallDisk,
) -> None:
    place = settings(small_disk.folder / "state")
    first = opened(place)
    taken = {first.counters.take() for _ in range(500)}
    shut(first)
    small_disk.remount("ro")
    starts = {first.start}
    for _ in range(3):
        stores = opened(place)
        assert stores.journal is None
        more = {stores.counters.take() for _ in range(500)}
        assert None not in more
        assert not taken & more
        taken |= more
        assert stores.start not in starts
        starts.add(stores.start)
    small_disk.remount("rw")
    reopen(place, clock=CLOCK, random_bytes=DICE).close()
