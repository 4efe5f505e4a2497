import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.ids import Epoch, EventId
from broker.kinds import EventType, Kind, Lane
from gateway.events import Event
from gateway.journal import (
    Carried,
    ChainHead,
    Damaged,
    Delivery,
    Dropped,
    Heard,
    InUse,
    Journal,
    Marks,
    Refused,
    Witness,
    salvage,
)
from tests.gateway.disks import SmallDisk
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, plain, press
from tests.gateway.waiting import PATIENCE_S

CLOCK = Clock()


def opened(path: Path, **more: Any) -> Journal:
    return Journal(path, station=STATION, gateway=GATEWAY, random_bytes=DICE, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    one = opened(path)
    yield one
    one.close()


def fault() -> Event:
    return plain(CLOCK, EventType.FAULT)


def check_in() -> Event:
    return plain(CLOCK, EventType.CHECK_IN)


def delivery(journal: Journal, seq: int, target: str = "station", lane: Lane = Lane.FAULT) -> Delivery:
    return Delivery(journal.epoch, lane, seq, target)


def rows(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, values)


# Keeping


@pytest.mark.proves("N1")
def test_what_was_appended_is_there_when_the_file_is_opened_again(path: Path) -> None:
    events = [press(CLOCK), fault(), press(CLOCK, number=2, kind=Kind.DURESS)]
    with closing(opened(path)) as journal:
        entries = journal.append(events, heard=[Heard("u01", 77)])
        assert [entry.seq for entry in entries] == [1, 2, 3]
        epoch = journal.epoch
    with closing(opened(path)) as again:
        assert (again.epoch, again.head_seq, again.made) == (epoch, 3, False)
        assert [again.entry(seq).event for seq in (1, 2, 3)] == events
        assert again.heard() == {"u01": 77}
        assert again.known_messages() == {"u01:1:1": events[0].id, "u01:1:2": events[2].id}


@pytest.mark.proves("N1")
def test_the_journal_is_durable_by_its_settings_which_it_reads_back(journal: Journal) -> None:
    assert journal._db is not None
    pragmas = {name: journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in (
        "journal_mode", "synchronous", "secure_delete", "locking_mode", "journal_size_limit")}  # fmt: skip
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "locking_mode": "exclusive",
                       "journal_size_limit": 4 << 20}  # fmt: skip


def test_deliveries_come_most_urgent_lane_first_and_oldest_first_inside(journal: Journal) -> None:
    journal.append([check_in(), fault(), press(CLOCK, kind=Kind.DURESS), fault(), press(CLOCK, kind=Kind.DURESS)])
    pending = journal.pending(limit=10)
    assert [entry.seq for entry, _ in pending] == [3, 5, 2, 4, 1]
    assert pending[0][1] == ["police", "station"]
    assert [entry.seq for entry, _ in journal.pending(limit=2, without={3})] == [5, 2]


@pytest.mark.proves("N2")
def test_what_is_handed_over_is_not_pending_and_not_done_until_it_is_marked_done(journal: Journal) -> None:
    journal.append([fault(), fault()])
    journal.mark(Marks(handed=[delivery(journal, 1)]))
    assert [entry.seq for entry, _ in journal.pending(limit=9)] == [2]
    assert (journal.low(), journal.queued()) == (1, 2)
    journal.mark(Marks(done=[delivery(journal, 1)]))
    assert (journal.low(), journal.queued()) == (2, 1)
    journal.append([fault()], marks=Marks(done=[delivery(journal, 2)]))
    assert (journal.low(), journal.queued()) == (3, 1)
    journal.mark(Marks(done=[delivery(journal, 3)]))
    assert (journal.low(), journal.queued()) == (4, 0)


@pytest.mark.proves("N2")
def test_a_restart_asks_anew_for_receipts_that_did_not_come(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.append([fault()])
        journal.mark(Marks(handed=[delivery(journal, 1)]))
    with closing(opened(path)) as again:
        assert [entry.seq for entry, _ in again.pending(limit=9)] == [1]


def test_marks_of_another_epoch_touch_nothing(journal: Journal) -> None:
    journal.append([fault()])
    journal.mark(Marks(done=[delivery(journal, 1)._replace(epoch=Epoch("f" * 16))]))
    assert journal.queued() == 1


def test_lately_tells_the_latest_messages_and_whether_their_receipt_is_owed(journal: Journal) -> None:
    journal.append([press(CLOCK, number=1), fault(), press(CLOCK, number=2), press(CLOCK, number=3)])
    journal.mark(Marks(done=[delivery(journal, 3, lane=Lane.ALARM)]))
    assert [(entry.seq, owed) for entry, owed in journal.lately(limit=2)] == [(3, False), (4, True)]
    journal.append([fault(), plain(CLOCK, EventType.SILENCED, detail={"alarm": "one"})])
    assert [(entry.seq, owed) for entry, owed in journal.lately(limit=2)] == [(4, True), (6, True)]


def test_an_event_that_is_not_there_is_a_key_error(journal: Journal) -> None:
    with pytest.raises(KeyError):
        journal.entry(1)


# One process, one file


def test_a_second_process_is_turned_away_with_a_clear_word(journal: Journal, path: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from gateway.journal import Journal, InUse\n"
        "try:\n"
        "    Journal(pathlib.Path(sys.argv[1]), station='north', gateway='gw1', random_bytes=os.urandom)\n"
        "except InUse as error:\n"
        "    sys.exit(str(error))\n"
    )
    second = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another gateway process has this journal open" in second.stderr
    journal.append([fault()])


def test_a_second_opening_in_the_same_process_is_turned_away_too(journal: Journal, path: Path) -> None:
    with pytest.raises(InUse):
        opened(path)
    assert journal.made


# Damage


def test_a_file_that_is_no_database_is_damaged(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever it may be" * 100)
    with pytest.raises(Damaged) as caught:
        opened(path)
    assert caught.value.path == path


def test_an_event_that_does_not_read_is_damage(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.append([fault()])
    change(path, "UPDATE event SET payload = ? WHERE seq = 1", b"[]")
    with closing(opened(path)) as again, pytest.raises(Damaged, match="event 1"):
        again.pending(limit=1)


def test_a_journal_without_its_epoch_is_damaged(path: Path) -> None:
    opened(path).close()
    change(path, "DELETE FROM meta")
    with pytest.raises(Damaged, match="epoch"):
        opened(path)


@pytest.mark.proves("F57")
def test_a_journal_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    opened(path).close()
    change(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(Refused, match="99"):
        opened(path)
    assert path.read_bytes() == before


@pytest.mark.proves("N14", "F05")
def test_what_could_not_be_opened_is_let_go_of_for_whoever_reads_what_is_left(path: Path) -> None:
    """It was held as long as anybody held the error, and nothing of a damaged file could be taken along."""
    opened(path).close()
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(Refused) as held:
        opened(path)
    with closing(sqlite3.connect(path, timeout=0)) as db:
        assert db.execute("SELECT count(*) FROM meta").fetchone() == (1,)
    assert held.value.path == path


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="locked"):
        opened(tmp_path / "nowhere" / "journal.db")


@pytest.mark.proves("N1", "N14", "F04")
def test_a_torn_tail_costs_only_what_was_not_whole(path: Path, tmp_path: Path) -> None:
    """The log is cut at every 512 bytes of its last frames, as a power cut in the middle of a write leaves it."""
    journal = opened(path)
    for number in range(1, 6):
        journal.append([press(CLOCK, number=number)])
    wal = Path(f"{path}-wal")
    whole = wal.read_bytes()
    for number, cut in enumerate(range(len(whole) - 5 * 4_096, len(whole), 512)):
        copy = tmp_path / f"cut{number}" / "journal.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        copy.with_name("journal.db-wal").write_bytes(whole[:cut])
        with closing(opened(copy)) as torn:
            assert 0 <= torn.head_seq <= 5
            assert torn.verify() is None
            assert [torn.entry(seq).event.press for seq in range(1, torn.head_seq + 1)] == [
                f"u01:1:{number}" for number in range(1, torn.head_seq + 1)
            ]
            torn.append([fault()])
    journal.close()


@pytest.mark.proves("N14", "F05")
def test_whatever_page_is_spoiled_the_journal_opens_or_says_that_it_is_damaged(path: Path, tmp_path: Path) -> None:
    with closing(opened(path)) as journal:
        for number in range(1, 60):
            journal.append([press(CLOCK, number=number)])
    whole = path.read_bytes()
    dice = Random(7)
    for page in range(len(whole) // 4_096):
        copy = tmp_path / f"page{page}" / "journal.db"
        copy.parent.mkdir()
        spoiled = bytearray(whole)
        spoiled[page * 4_096 : (page + 1) * 4_096] = dice.randbytes(4_096)
        copy.write_bytes(spoiled)
        found = salvage_anyway(copy)
        assert all(event.type is EventType.PRESS for event, _ in found.events)
        try:
            with closing(opened(copy)) as journal:
                journal.append([fault()])
                journal.pending(limit=100)
        except Damaged:
            continue


def salvage_anyway(path: Path) -> Carried:
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    return salvage(copy, station=STATION)


def test_what_can_be_read_of_a_file_is_salvaged(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.carry(Carried(heard=[Heard("u02", 5)], known={"u02:1:1": EventId("old")}))
        journal.append([press(CLOCK, number=1), fault(), press(CLOCK, number=2)], heard=[Heard("u01", 9)])
        journal.mark(Marks(handed=[delivery(journal, 1, lane=Lane.ALARM)], done=[delivery(journal, 2)]))
        journal.mark(Marks(done=[delivery(journal, 3, "police", Lane.ALARM)]))
        first, third = journal.entry(1).event, journal.entry(3).event
    change(path, "UPDATE event SET payload = x'00' WHERE seq = 1")
    found = salvage(path, station=STATION)
    assert [(event, "police" in targets, "station" in targets) for event, targets in found.events] == [
        (third, False, True)
    ]
    assert {row.unit: row.counter for row in found.heard} == {"u01": 9, "u02": 5}
    assert found.known == {"u02:1:1": "old", "u01:1:1": first.id, "u01:1:2": third.id}


def test_nothing_is_salvaged_from_what_is_no_database(tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk" * 5_000)
    assert salvage(junk, station=STATION) == Carried([], [], {})


def test_what_is_carried_keeps_the_targets_that_are_left(journal: Journal) -> None:
    event = press(CLOCK)
    journal.carry(Carried([(event, ["station", "grid:r1"])]), first=[fault()])
    assert [(entry.seq, targets) for entry, targets in journal.pending(limit=9)] == [
        (2, ["grid:r1", "station"]),
        (1, ["station"]),
    ]


# A witness of the station's record

FIRST, LATER, OTHER = ChainHead(5, b"1" * 32), ChainHead(9, b"2" * 32), ChainHead(3, b"3" * 32)


@pytest.mark.proves("N15")
def test_a_head_of_the_station_is_kept_over_a_restart_and_goes_along_into_another_file(path: Path) -> None:
    with closing(opened(path)) as journal:
        assert journal.audit is None
        assert journal.witness(Witness(FIRST))
    with closing(opened(path)) as journal:
        assert journal.audit == FIRST
        assert journal.witness(Witness(LATER, FIRST))
    assert salvage(path, station=STATION).audit == LATER
    other = path.with_name("other.db")
    with closing(opened(other)) as journal:
        journal.carry(Carried(audit=LATER), first=[fault()])
    with closing(opened(other)) as journal:
        assert journal.audit == LATER


@pytest.mark.proves("N15")
def test_only_what_follows_takes_the_place_of_a_head_and_a_lower_one_needs_somebody_to_answer(journal: Journal) -> None:
    assert journal.witness(Witness(FIRST))
    assert not journal.witness(Witness(LATER))
    assert not journal.witness(Witness(LATER, OTHER))
    assert not journal.witness(Witness(OTHER, FIRST))
    assert not journal.witness(Witness(ChainHead(FIRST.seq, b"9" * 32), FIRST))
    assert journal.audit == FIRST
    assert journal.witness(Witness(OTHER, FIRST, rewritten=True))
    assert journal.audit == OTHER


@pytest.mark.parametrize("spoiled", ["nonsense", "5:zz", "5:00", "0:" + "00" * 32, "-1:" + "00" * 32])
def test_a_head_that_does_not_read_is_asked_for_anew(path: Path, spoiled: str) -> None:
    with closing(opened(path)) as journal:
        journal.witness(Witness(FIRST))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'audit'", (spoiled,))
    with closing(opened(path)) as journal:
        assert journal.audit is None
        assert journal.witness(Witness(LATER))


# A disk that refuses


def refuse_writes(call: str, nth: int, error: str) -> list[str]:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: nobody can make this disk fail")
    return [strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={call}:error={error}:when={nth}"]


FAILING = """
import os, pathlib, sys
from gateway.journal import Journal, Refused, Damaged
from tests.gateway.place import DICE, Clock, press
path, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
journal = Journal(path, station="north", gateway="gw1", random_bytes=os.urandom)
print("opened", flush=True)
number = 0
while number < count:
    try:
        journal.append([press(Clock(), number=number + 1)])
    except Refused as error:
        print("refused", error.what, flush=True)
        continue
    number += 1
    print("kept", number, journal.head_seq, flush=True)
assert journal.verify() is None
journal.close()
"""


@pytest.mark.proves("N1", "F07")
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("nth", [8, 9, 10, 11, 12])
def test_a_sync_that_fails_keeps_nothing_and_the_next_try_keeps_it_once(path: Path, nth: int, error: str) -> None:
    run = subprocess.run(
        [*refuse_writes("fdatasync,fsync", nth, error), sys.executable, "-c", FAILING, str(path), "8"],
        capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if "opened" not in run.stdout and "Refused" not in run.stderr:
        pytest.skip(f"strace may not trace here: {run.stderr[-200:]}")
    assert run.returncode == 0, run.stderr
    said = run.stdout.split("\n")
    assert sum(line.startswith("refused") for line in said) == 1
    with closing(opened(path)) as journal:
        assert journal.head_seq == 8
        assert journal.verify() is None
        presses = [journal.entry(seq).event.press for seq in range(1, 9)]
        assert presses == [f"u01:1:{number}" for number in range(1, 9)]


@pytest.mark.proves("N1", "N7", "F06")
def test_on_a_full_disk_the_ballast_goes_for_what_must_be_kept_and_comes_back_later(small_disk: SmallDisk) -> None:
    path = small_disk.folder / "journal.db"
    journal = opened(path, ballast_bytes=1 << 20)
    filler = small_disk.fill()
    gone = [journal.ballast_used]
    for number in range(100):
        journal.append([press(CLOCK, number=number + 1)])
    gone.append(journal.ballast_used)
    journal.lay_ballast()
    gone.append(journal.ballast_used)
    filler.unlink()
    journal.lay_ballast()
    gone.append(journal.ballast_used)  # there must be room for it four times
    assert gone == [False, True, True, True]
    journal.close()
    assert opened_again(path) == 100


def opened_again(path: Path) -> int:
    with closing(opened(path)) as journal:
        assert journal.verify() is None
        return journal.head_seq


@pytest.mark.proves("N1")
def test_a_disk_that_is_full_to_the_last_is_told_and_nothing_of_it_is_half_kept(small_disk: SmallDisk) -> None:
    path = small_disk.folder / "journal.db"
    journal = opened(path)
    filler = small_disk.fill()
    with suppress(Refused):
        for _ in range(1_000):
            journal.append([press(CLOCK, number=journal.head_seq + 1)])
    for _ in range(3):
        with pytest.raises(Refused, match="full"):
            journal.append([press(CLOCK, number=journal.head_seq + 1)])
    head = journal.head_seq
    filler.unlink()
    journal.append([press(CLOCK, number=head + 1)])
    assert journal.head_seq == head + 1
    assert journal.verify() is None
    journal.close()


def test_the_ballast_lies_there_from_the_start_and_again_when_there_is_room(path: Path) -> None:
    with closing(opened(path, ballast_bytes=8_192)) as journal:
        ballast = path.with_suffix(".ballast")
        assert ballast.stat().st_size == 8_192
        ballast.unlink()
        assert journal.ballast_used
        journal.lay_ballast()
        assert not journal.ballast_used


# The chain, and an end for what is personal


@pytest.mark.proves("N15", "N16")
def test_pruning_takes_the_words_and_leaves_a_chain_that_still_verifies(path: Path) -> None:
    journal = opened(path)
    journal.append([press(CLOCK, number=number, label=f"secret-canary-{number}") for number in range(1, 9)])
    for number in range(1, 7):
        targets = ("station", "police", "community:c1", "grid:r1", "household:h03", "household:h04")
        journal.mark(Marks(done=[delivery(journal, number, target, Lane.ALARM) for target in targets]))
    head = journal.head
    assert journal.prune(2, at_most=4) == 4
    assert journal.prune(2) == 2
    assert journal.prune(2) == 0
    assert journal.prune(100) == 0
    assert journal.verify() is None
    assert journal.head == head
    with pytest.raises(KeyError):
        journal.entry(1)
    assert [entry.seq for entry, _ in journal.pending(limit=9)] == [7, 8]
    assert len(journal.known_messages()) == 2
    journal.close()
    bytes_left = path.read_bytes()
    assert b"secret-canary-8" in bytes_left
    assert b"secret-canary-3" not in bytes_left


@pytest.mark.proves("N7")
def test_what_is_not_delivered_is_not_pruned_and_is_when_it_is(journal: Journal) -> None:
    journal.append([fault() for _ in range(6)])
    journal.mark(Marks(done=[delivery(journal, seq) for seq in (2, 3, 4)]))
    assert journal.prune(1) == 3
    assert journal.prune(1) == 0
    assert journal.entry(1).seq == 1
    journal.mark(Marks(done=[delivery(journal, 1)]))
    assert journal.prune(1) == 1


@pytest.mark.proves("N15", "F63")
@pytest.mark.parametrize(
    ("tamper", "first_bad"),
    [
        ("UPDATE event SET payload = x'00' WHERE seq = 3", 3),
        ("UPDATE event SET salt = x'00' WHERE seq = 2", 2),
        ("UPDATE event SET leaf = zeroblob(32) WHERE seq = 4", 4),
        ("UPDATE event SET head = zeroblob(32) WHERE seq = 1", 1),
        ("DELETE FROM event WHERE seq = 2", 3),
        ("UPDATE event SET seq = 99 WHERE seq = 5", 99),
    ],
)
def test_verification_names_the_first_row_that_is_not_as_it_was_written(
    path: Path, tamper: str, first_bad: int
) -> None:
    with closing(opened(path)) as journal:
        journal.append([press(CLOCK, number=number) for number in range(1, 6)])
        assert journal.verify() is None
    change(path, tamper)
    with closing(opened(path)) as again:
        assert again.verify() == first_bad


@pytest.mark.proves("N15")
def test_a_tail_that_was_cut_off_shows_by_the_head_that_the_other_side_has(path: Path) -> None:
    with closing(opened(path)) as journal:
        journal.append([fault(), fault()])
        head = journal.head
    change(path, "DELETE FROM event WHERE seq = 2")
    with closing(opened(path)) as again:
        assert again.verify() is None
        assert again.digest_at(2) is None
        assert again.digest_at(1) not in {None, head.digest}


# Room


def tell(dropped: Dropped) -> Event:
    return plain(CLOCK, EventType.PRUNED, detail={"first": dropped.first, "last": dropped.last, "count": dropped.count})


@pytest.mark.proves("N7", "N9")
def test_for_want_of_room_telemetry_goes_first_and_it_is_told_what_went(journal: Journal) -> None:
    def hello() -> Event:
        return plain(CLOCK, EventType.HELLO)

    journal.append([press(CLOCK, kind=Kind.DURESS), *(hello() for _ in range(12)), fault()])
    journal.append([*(check_in() for _ in range(30)), press(CLOCK, kind=Kind.DURESS)])
    assert journal.shed(100, tell) is None
    entry = journal.shed(20, tell)
    assert entry is not None
    assert entry.event.detail == {"first": 15, "last": 44, "count": 30}
    entry = journal.shed(3, tell)
    assert entry is not None
    assert entry.event.detail == {"first": 2, "last": 13, "count": 12}
    assert journal.shed(3, tell) is None
    left = [entry.event.type for entry, _ in journal.pending(limit=99)]
    assert left == [EventType.PRESS] * 2 + [EventType.FAULT] + [EventType.PRUNED] * 2
    assert journal.verify() is None


@pytest.mark.proves("N7", "F10")
def test_alarms_and_faults_are_never_shed(journal: Journal) -> None:
    journal.append([press(CLOCK, kind=Kind.DURESS) for _ in range(50)] + [fault() for _ in range(50)])
    assert journal.shed(0, tell) is None
    assert journal.queued() == 100


class Reopened(RuleBasedStateMachine):
    """Whatever is appended, marked, pruned and reopened: every row is there, once, in order."""

    @initialize(data=st.data())
    def begin(self, data: Any) -> None:
        del data
        self.folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
        self.journal = opened(self.folder / "journal.db")
        self.events: list[Event] = []
        self.open: set[int] = set()
        self.windows: dict[str, int] = {}

    @rule(
        kinds=st.lists(st.sampled_from([EventType.FAULT, EventType.CHECK_IN]), max_size=5),
        unit=st.sampled_from(["u01", "u02"]),
        counter=st.integers(0, 2**32 - 1),
    )
    def append(self, kinds: list[EventType], unit: str, counter: int) -> None:
        events = [plain(CLOCK, kind) for kind in kinds]
        entries = self.journal.append(events, heard=[Heard(unit, counter)])
        assert [entry.event for entry in entries] == events
        self.open |= {entry.seq for entry in entries}
        self.events += events
        self.windows[unit] = counter

    @rule(seq=st.integers(1, 30), done=st.booleans())
    def mark(self, seq: int, done: bool) -> None:
        if seq <= len(self.events):
            row = [delivery(self.journal, seq, lane=self.events[seq - 1].lane)]
            self.journal.mark(Marks(done=row) if done else Marks(handed=row))
            self.open -= {seq} if done else set()

    @rule(keep=st.integers(0, 10))
    def prune(self, keep: int) -> None:
        self.journal.prune(keep)

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = opened(self.folder / "journal.db")
        assert {entry.seq for entry, _ in self.journal.pending(limit=99)} == self.open

    @invariant()
    def everything_is_there(self) -> None:
        if not hasattr(self, "journal"):
            return
        assert self.journal.head_seq == len(self.events)
        assert self.journal.verify() is None
        assert self.journal.heard() == self.windows
        assert self.journal.queued() == len(self.open)
        for seq in self.open:
            assert self.journal.entry(seq).event == self.events[seq - 1]

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            shutil.rmtree(self.folder)


TestReopened = Reopened.TestCase
TestReopened.settings = hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
del Reopened


def test_errors_say_which_file_and_what() -> None:
    error = Refused(Path("/x"), "full")
    assert (error.path, error.what) == (Path("/x"), "full")
    assert re.fullmatch("/x: full", str(error))
