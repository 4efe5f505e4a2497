from contextlib import closing
from pathlib import Path

import pytest

from broker.kinds import EventType
from gateway.journal import Carried, Delivery, Heard, Journal, Marks, Refused
from gateway.opening import Opened, open_journal, put_aside, union
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, new_id, plain, press

CLOCK = Clock()


def opened(path: Path, *, afresh: bool = False, carried: Carried | None = None) -> Opened:
    return open_journal(
        path, station=STATION, gateway=GATEWAY, now=CLOCK(), random_bytes=DICE, afresh=afresh, carried=carried
    )


def test_a_new_journal_begins_with_the_opening_of_its_epoch(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "deep" / "journal.db").journal) as journal:
        first = journal.entry(1).event
        assert (first.type, first.detail) == (EventType.EPOCH_OPENED, {"predecessor": ""})
        assert journal.head_seq == 1


def test_an_old_journal_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(opened(path).journal) as journal:
        epoch = journal.epoch
    found = opened(path)
    with closing(found.journal):
        assert (found.journal.epoch, found.journal.head_seq, found.set_aside) == (epoch, 1, None)


@pytest.mark.proves("N14", "F05")
def test_a_damaged_journal_is_set_aside_and_a_new_one_names_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(opened(path).journal) as journal:
        epoch = journal.epoch
    spoiled = b"spoiled" * 10_000
    path.write_bytes(spoiled)
    found = opened(path)
    with closing(found.journal):
        assert found.set_aside is not None
        assert found.set_aside.read_bytes() == spoiled
        assert "not a database" in found.trouble
        assert found.journal.epoch != epoch
        detail = found.journal.entry(1).event.detail
        assert detail == {"predecessor": epoch, "set_aside": found.set_aside.name}
    path.write_bytes(spoiled)
    again = opened(path)
    again.journal.close()
    assert again.set_aside != found.set_aside
    assert len(list(tmp_path.glob("journal.db.damaged-*"))) == 2


@pytest.mark.proves("N1", "N14")
def test_what_was_not_delivered_goes_along_once_with_windows_and_known_messages(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    done, handed, told = press(CLOCK, number=1), press(CLOCK, number=2), press(CLOCK, number=3)
    with closing(opened(path).journal) as journal:
        entries = journal.append([done, handed], heard=[Heard("u01", 50)])
        rows = {(entry.seq, target): lane for entry, targets in journal.pending(limit=9) for target in targets
                for lane in [entry.event.lane]}  # fmt: skip
        marks = [Delivery(journal.epoch, lane, seq, target) for (seq, target), lane in rows.items()]
        journal.mark(Marks(done=[row for row in marks if row.seq == entries[0].seq]))
        journal.mark(Marks(handed=[row for row in marks if row.seq == entries[1].seq]))
    known = Carried(
        [(handed, ["station"]), (told, ["station"])], [Heard("u01", 60), Heard("u02", 1)], {"u9:1:1": new_id()}
    )
    found = opened(path, afresh=True, carried=known)
    with closing(found.journal) as journal:
        events = [journal.entry(seq).event for seq in range(2, journal.head_seq + 1)]
        assert events == [handed, told]
        assert found.carried == 2
        assert journal.heard() == {"u01": 60, "u02": 1}
        assert {"u01:1:1", "u01:1:2", "u01:1:3", "u9:1:1"} == set(journal.known_messages())
        assert [entry.event.type for entry, _ in journal.pending(limit=9)].count(EventType.EPOCH_OPENED) == 1


def test_what_is_carried_also_reaches_a_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    opened(path).journal.close()
    event = press(CLOCK)
    with closing(opened(path, carried=Carried([(event, ["station"])])).journal) as journal:
        assert journal.entry(2).event == event


def test_memory_knows_better_than_the_file(tmp_path: Path) -> None:
    event = press(CLOCK)
    both = union(Carried([(event, ["station", "police"])]), Carried([(event, ["station"])]))
    assert both.events == [(event, ["station"])]
    assert union(Carried([(plain(CLOCK, EventType.EPOCH_OPENED), ["station"])]), Carried()).events == []
    assert tmp_path.exists()


def test_where_nothing_can_be_made_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused):
        opened(tmp_path / "file" / "journal.db")


def test_side_files_are_set_aside_with_their_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_text(suffix)
    aside = put_aside(path, CLOCK())
    assert aside.read_text() == ""
    assert aside.with_name(aside.name + "-wal").read_text() == "-wal"
    assert not path.exists()


def test_an_unreadable_remark_about_the_predecessor_is_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.with_suffix(".epoch").mkdir()
    with closing(opened(path).journal) as journal:
        assert isinstance(journal, Journal)
        assert journal.entry(1).event.detail == {"predecessor": ""}
