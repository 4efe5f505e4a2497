"""The durable journal: the one door to SQLite in the gateway, and the one writer of its file.

A press is confirmed when `append` has returned, and not before (N1): WAL with synchronous=FULL, so that one
commit is one fsync. Nothing here knows about the network.

Rows of `event` are chained: head = H(previous head, seq, H(salt, payload)). Pruning takes salt and payload and
leaves the digests, so that the chain still verifies (N15) and nothing personal can be guessed from it (N16).

What can go wrong with storage, and what is done (errors drawn as a tree)::

    JournalError            .path .what
    +-- Damaged             not a database, or malformed: set aside by `gateway.opening`, never deleted
    +-- Refused             full, read-only, input/output error: nothing was kept, the caller tries again
    +-- InUse               another process has it

One connection writes and checkpoints, which keeps clear of SQLite's WAL-reset bug (3.7.0 to 3.51.2, Debian 12
has 3.40.1). Journal objects belong to one thread; `gateway.keeping` gives the asyncio side of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar

from broker import ids
from broker.ids import Epoch, EventId, GatewayId, PressKey, StationId
from broker.kinds import EventType, Lane
from gateway.events import STATION, Entry, Event, event_from_json

LIBRARY: Final = f"SQLite {sqlite3.sqlite_version}"
"""What keeps the file, for whoever asks which versions a box has."""
SCHEMA: Final = 1
GENESIS: Final = b"\x00" * 32
SALT_BYTES: Final = 16
KNOWN_PER_START: Final = 20_000
"""So many of the latest message keys are read back at start, to tell repeats from new presses."""

PENDING: Final = 0
HANDED: Final = 1

SHED_LOOK: Final = 5_000
"""So many undelivered events are looked at to find some that may be dropped for room ..."""
SHED_LEAST: Final = 10
"""... and so many in a row at least, since telling that they were dropped takes a row as well."""
SHED_MOST: Final = 500
ROWS: Final = (64, 8, 1)
"""So many rows are written by one statement; few lengths, because each statement is kept, and takes memory."""
LOG_PAGES: Final = 1_000
LOG_PAGES_SCARCE: Final = 32
BALLAST_SPACE: Final = 4
"""The ballast is laid down again when there is room for so many of it."""

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    payload BLOB,
    salt BLOB,
    leaf BLOB NOT NULL,
    head BLOB NOT NULL,
    message TEXT
) STRICT;
CREATE TABLE delivery (
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    target TEXT NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (lane, seq, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_seq ON delivery (seq);
CREATE TABLE heard (unit TEXT PRIMARY KEY, counter INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE carried (message TEXT PRIMARY KEY, id TEXT NOT NULL) STRICT;
"""

_SILENCED: Final = b'"type":"%b"' % EventType.SILENCED.encode()

# What says that the file itself is bad, rather than the disk under it.
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class JournalError(Exception):
    """Something is wrong with the journal at `path`."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        super().__init__(f"{path}: {what}")


class Damaged(JournalError):
    """The file is not a journal of ours any more."""


class Refused(JournalError):
    """The disk would not take it: nothing was kept."""


class InUse(JournalError):
    """Another gateway process has this journal open."""


class ChainHead(NamedTuple):
    """The end of a chain: whoever has it can tell whether anything up to `seq` was changed."""

    seq: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Witness:
    """Where the station's own record ends, as it told, and what that follows."""

    head: ChainHead
    follows: ChainHead | None = None
    rewritten: bool = False
    """Somebody at the station answered for it that `follows` is not in that record."""


class Delivery(NamedTuple):
    """One event on its way to one target. It belongs to one journal file, which `epoch` names."""

    epoch: Epoch
    lane: int
    seq: int
    target: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What happened to deliveries: handed to the broker, or done with for good."""

    handed: Sequence[Delivery] = ()
    done: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """The highest uplink counter of a unit, kept with what it said: a recorded frame stays old over a restart."""

    unit: str
    counter: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What goes along into a new file: events that are not delivered, windows, and which messages are known."""

    events: Sequence[tuple[Event, Sequence[str]]] = ()
    """With the targets that they still must reach."""
    heard: Sequence[Heard] = ()
    known: Mapping[str, EventId] = field(default_factory=dict)
    audit: ChainHead | None = None
    """Where the station's own record ended, as this gateway was told last."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Undelivered events that gave way: everything from `first` to `last` that was not delivered."""

    first: int
    last: int
    count: int


class Reopened(NamedTuple):
    """So many events go to the station once more; `on_from`: where to go on looking, None when all was looked at."""

    events: int
    on_from: int | None


T = TypeVar("T")


class Journal:
    """An open journal file. All methods raise Damaged or Refused; one that was refused has changed nothing."""

    def __init__(
        self,
        path: Path,
        *,
        station: StationId,
        gateway: GatewayId,
        random_bytes: Callable[[int], bytes],
        ballast_bytes: int = 0,
    ) -> None:
        """Open `path`, or make it with a new epoch. Most callers want `gateway.opening`, which mends as well."""
        self.path = path
        self.made = not path.exists()
        self._station = station
        self._gateway = gateway
        self._random_bytes = random_bytes
        self._ballast = path.with_suffix(".ballast")
        self._ballast_bytes = ballast_bytes
        self._pruned_to = 0
        self.head = ChainHead(0, GENESIS)
        self._lock = _lock(path)
        self._db: sqlite3.Connection | None = None
        try:
            self._db = self._connect()
            self._prepare()
            self.epoch = Epoch(self._meta("epoch"))
            self.audit = _read_witness(self._row("SELECT value FROM meta WHERE name = 'audit'"))
            """The newest head of the station's own record that is kept here."""
            last = self._row("SELECT seq, head FROM event ORDER BY seq DESC LIMIT 1")
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            raise self._blame(error) from error
        except BaseException:
            self._let_go()
            raise
        if last is not None:
            self.head = ChainHead(*last)
        self.lay_ballast(of_scarce=True)

    # Writing

    def append(
        self, events: Sequence[Event], *, marks: Marks | None = None, heard: Sequence[Heard] = ()
    ) -> list[Entry]:
        """Keep `events` (and what else happened) in one durable commit; return them in their places.

        When this returns, they survive the loss of power at any later instant.
        """
        targets = [(event, event.targets(self._gateway)) for event in events]
        return self._append(targets, marks=marks, heard=heard)

    def carry(self, carried: Carried, *, first: Sequence[Event] = ()) -> list[Entry]:
        """Keep `first`, and then what was in another file, in one durable commit."""
        events = [*((event, event.targets(self._gateway)) for event in first), *carried.events]
        known = [*carried.known.items()][-KNOWN_PER_START:]
        return self._append(events, heard=carried.heard, known=known, audit=carried.audit)

    def _append(
        self,
        events: Sequence[tuple[Event, Sequence[str]]],
        *,
        marks: Marks | None = None,
        heard: Sequence[Heard] = (),
        known: Sequence[tuple[str, EventId]] = (),
        audit: ChainHead | None = None,
    ) -> list[Entry]:
        entries: list[Entry] = []
        head = self.head.digest
        rows = []
        deliveries = []
        for seq, (event, targets) in enumerate(events, self.head_seq + 1):
            payload, salt = event.to_json(), self._random_bytes(SALT_BYTES)
            leaf = hashlib.sha256(salt + payload).digest()
            head = chain(head, seq, leaf)
            rows.append((seq, event.id, payload, salt, leaf, head, event.message))
            deliveries += [(int(event.lane), seq, target, PENDING) for target in targets]
            entries.append(Entry(self.epoch, seq, event))

        def work(db: sqlite3.Connection) -> None:
            _insert(db, "INSERT INTO event VALUES", rows)
            _insert(db, "INSERT INTO delivery VALUES", deliveries)
            _insert(db, "INSERT OR REPLACE INTO heard VALUES", [(row.unit, row.counter) for row in heard])
            _insert(db, "INSERT OR REPLACE INTO carried VALUES", known)
            if audit is not None:
                _write_witness(db, audit)
            if marks is not None:
                _mark(db, self.epoch, marks)

        self._transact(work)
        self.head = ChainHead(self.head_seq + len(entries), head)  # at once: other threads read it
        self.audit = audit or self.audit
        return entries

    def witness(self, told: Witness) -> bool:
        """Keep where the station's own record ends, durably. Returns False, and keeps what there is, unless it follows.

        Only what follows what is kept here was held against it. A lower head needs somebody who answered for it.
        """
        held = self.audit
        rewinds = held is not None and told.head.seq <= held.seq and told.head != held
        if told.follows != held or (rewinds and not told.rewritten):
            return False
        if told.head != held:
            self._transact(lambda db: _write_witness(db, told.head))
            self.audit = told.head
        return True

    def mark(self, marks: Marks) -> None:
        """Note what happened to deliveries, in a commit of its own."""
        self._transact(lambda db: _mark(db, self.epoch, marks))

    def prune(self, keep: int, *, at_most: int = 500) -> int:
        """Take the content (not the digests) of up to `at_most` delivered events behind the latest `keep`."""
        if self.head_seq <= keep:
            return 0

        def work(db: sqlite3.Connection) -> list[int]:
            rows = db.execute(
                "SELECT seq FROM event WHERE seq > ? AND seq <= ? AND payload IS NOT NULL"
                " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = event.seq) ORDER BY seq LIMIT ?",
                (self._pruned_to, self.head_seq - keep, at_most),
            )
            found = [int(seq) for (seq,) in rows]
            _forget(db, found)
            return found

        pruned = self._transact(work)
        if not pruned:
            undelivered = self._number("SELECT min(seq) FROM delivery") or self.head_seq
            self._pruned_to = min(self.head_seq - keep, undelivered - 1)  # nothing before it is left to be pruned
        return len(pruned)

    def owe_again(self, first: int, last: int, *, from_ms: int, at_most: int = 200) -> Reopened:
        """Let events in [first, last] go to the station once more, though it said once that it has them.

        Those of which the content is still here, that happened since `from_ms` by this box's clock (0: whenever) and
        that do not wait already. Nobody else is told of them. It looks at `at_most` rows, in one durable commit.
        """

        def work(db: sqlite3.Connection) -> Reopened:
            rows = db.execute(
                "SELECT seq, id, payload FROM event WHERE seq BETWEEN ? AND ? AND payload IS NOT NULL AND NOT EXISTS"
                " (SELECT 1 FROM delivery WHERE delivery.seq = event.seq AND target = ?) ORDER BY seq LIMIT ?",
                (first, last, STATION, at_most),
            ).fetchall()
            young = [row for row in rows if ids.event_unix_ms(EventId(row[1])) >= from_ms]
            lanes = {
                int(seq): _read_event(self.path, seq, id_, payload, None, station=self._station).lane
                for seq, id_, payload in young
            }
            _insert(
                db, "INSERT INTO delivery VALUES", [(int(lane), seq, STATION, PENDING) for seq, lane in lanes.items()]
            )
            return Reopened(len(lanes), None if len(rows) < at_most else int(rows[-1][0]) + 1)

        return self._transact(work)

    def shed(self, keep: int, tell: Callable[[Dropped], Event]) -> Entry | None:
        """When more than `keep` events are undelivered, drop some, and keep what `tell` says about them (N7, N9).

        The longest row of telemetry goes, then check-ins; nothing that is of an alarm or a fault ever does.
        """
        if self.queued() <= keep:
            return None
        open_ = list(
            self._rows("SELECT seq, lane FROM delivery WHERE target = 'station' ORDER BY seq LIMIT ?", (SHED_LOOK,))
        )
        run = max((_longest_run(open_, lane) for lane in (Lane.TELEMETRY, Lane.CHECK_IN)), key=len)
        if len(run) < SHED_LEAST:
            return None
        run = run[:SHED_MOST]
        event = tell(Dropped(run[0], run[-1], len(run)))
        seqs = [(seq,) for seq in run]

        def drop(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM delivery WHERE seq = ?", seqs)
            _forget(db, run)

        (entry,) = self._append([(event, event.targets(self._gateway))])  # told first: a crash between costs a remark
        self._transact(drop)
        return entry

    def lay_ballast(self, *, of_scarce: bool = False) -> None:
        """Lay a file in stock that is thrown out when the disk is full; again, when there is room enough again."""
        if not self._ballast_bytes or self._ballast.exists():
            return
        try:
            disk = os.statvfs(self.path.parent)
            if of_scarce or disk.f_bavail * disk.f_frsize >= BALLAST_SPACE * self._ballast_bytes:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)
                self._reconnected().execute(f"PRAGMA wal_autocheckpoint={self._log_pages()}")
        except (OSError, sqlite3.Error):
            self._ballast.unlink(missing_ok=True)  # the disk is nearly full already: supervision says so

    # Reading

    def pending(self, *, limit: int, without: Collection[int] = ()) -> list[tuple[Entry, list[str]]]:
        """Return up to `limit` events with their undelivered targets, most urgent lane first, then oldest first.

        Events in `without` (sequence numbers) are left out.
        """
        found: dict[int, list[str]] = {}
        for seq, target in self._rows("SELECT seq, target FROM delivery WHERE state = 0 ORDER BY lane, seq, target"):
            if seq in without:
                continue
            if seq not in found and len(found) >= limit:
                break
            found.setdefault(seq, []).append(target)
        return [(self.entry(seq), targets) for seq, targets in found.items()]

    def entry(self, seq: int) -> Entry:
        """Return the event at `seq`. KeyError when there is none, or its content was pruned."""
        row = self._row("SELECT id, payload, message FROM event WHERE seq = ?", (seq,))
        if row is None:
            raise KeyError(seq)
        id_, payload, message = row
        if payload is None:
            raise KeyError(seq)
        return Entry(self.epoch, seq, _read_event(self.path, seq, id_, payload, message, station=self._station))

    def ids(self) -> set[EventId]:
        """Return the ids of all events."""
        return {EventId(id_) for (id_,) in self._rows("SELECT id FROM event")}

    def low(self) -> int:
        """Return the lowest sequence number that is not done; one above the head when all are."""
        found = self._number("SELECT min(seq) FROM delivery")
        return self.head_seq + 1 if found is None else found

    def queued(self) -> int:
        """Return how many events wait for their receipt."""
        return self._number("SELECT count(*) FROM delivery WHERE target = 'station'") or 0

    def lately(self, *, limit: int) -> list[tuple[Entry, bool]]:
        """Return the latest messages and ended sounds, oldest first, each with whether the station owes its receipt."""
        rows = self._rows(
            "SELECT seq, EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = event.seq AND target = 'station')"
            " FROM event WHERE message IS NOT NULL OR instr(payload, ?) ORDER BY seq DESC LIMIT ?",
            (_SILENCED, limit),
        )
        return [(self.entry(seq), bool(owed)) for seq, owed in reversed(list(rows))]

    def known_messages(self) -> dict[str, EventId]:
        """Return the event ids of the latest numbered messages, by key, oldest first."""
        known = {message: EventId(id_) for message, id_ in self._rows("SELECT message, id FROM carried ORDER BY rowid")}
        first = self._number(
            "SELECT min(seq) FROM (SELECT seq FROM event WHERE message IS NOT NULL ORDER BY seq DESC LIMIT ?)",
            (KNOWN_PER_START,),
        )
        rows = self._rows(
            "SELECT message, id FROM event WHERE message IS NOT NULL AND seq >= ? ORDER BY seq", (first or 0,)
        )
        known.update((message, EventId(id_)) for message, id_ in rows)  # one by one: what a list of them took is kept
        return known

    def heard(self) -> dict[str, int]:
        """Return the highest uplink counter by unit id."""
        return dict(self._rows("SELECT unit, counter FROM heard"))

    @property
    def head_seq(self) -> int:
        """The highest sequence number."""
        return self.head.seq

    def digest_at(self, seq: int) -> bytes | None:
        """Return the head of the chain as it was at `seq`; None when there is no such row."""
        row = self._row("SELECT head FROM event WHERE seq = ?", (seq,))
        return None if row is None else bytes(row[0])

    def verify(self) -> int | None:
        """Return the sequence number of the first row that is not as it was written, None if all are."""
        return first_changed(self._rows("SELECT seq, payload, salt, leaf, head FROM event ORDER BY seq"))

    def close(self) -> None:
        """Checkpoint and close; the file is whole without its side files after this."""
        try:
            if self._db is not None:
                self._db.close()
        finally:
            self._lock.close()

    # Inside

    def _let_go(self) -> None:
        """Close what cannot be used: as long as it is open, nobody can read what is left of the file."""
        with suppress(sqlite3.Error):
            if self._db is not None:
                self._db.close()
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA journal_size_limit=4194304")
            db.execute("PRAGMA secure_delete=ON")
            db.execute("PRAGMA temp_store=MEMORY")
            db.execute("PRAGMA cache_size=-1024")
            db.execute(f"PRAGMA wal_autocheckpoint={self._log_pages()}")
            mode, sync = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
            if (mode, sync) != ("wal", 2):
                raise Refused(self.path, f"cannot be made durable: journal_mode {mode}, synchronous {sync}")
        except (sqlite3.Error, JournalError):
            db.close()
            raise
        return db

    def _prepare(self) -> None:
        version = self._number("PRAGMA user_version")
        if version == SCHEMA:
            # A restart asks for receipts anew: the station knows duplicates by their id.
            self._transact(lambda db: db.execute("UPDATE delivery SET state = 0 WHERE state != 0"))
            return
        if version != 0:
            raise newer(self.path, version)

        def work(db: sqlite3.Connection) -> None:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            epoch = ids.epoch(self._random_bytes(ids.EPOCH_RANDOM_BYTES))
            db.execute("INSERT INTO meta VALUES ('epoch', ?)", (epoch,))
            db.execute(f"PRAGMA user_version = {SCHEMA}")

        self._transact(work)
        sync_folder(self.path.parent)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction. On a full disk room is made, twice, and it is tried again."""
        for make_room in (self._checkpoint, self._throw_out_ballast, None):
            try:
                db = self._reconnected()
                db.execute("BEGIN IMMEDIATE")
                result = work(db)
                db.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back(error)
                if _code(error) != sqlite3.SQLITE_FULL or make_room is None:
                    raise self._blame(error) from error
                make_room()
            else:
                return result
        raise AssertionError("the last try returns or raises")

    def _checkpoint(self) -> None:
        """Let the log begin anew in its file: most of it is older copies of the same few pages."""
        with suppress(sqlite3.Error):
            self._reconnected().execute("PRAGMA wal_checkpoint(FULL)").fetchall()

    def _throw_out_ballast(self) -> None:
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)
        with suppress(sqlite3.Error):
            self._reconnected().execute(f"PRAGMA wal_autocheckpoint={self._log_pages()}")
        self._checkpoint()

    def _log_pages(self) -> int:
        """So long may the log become: short where the disk is full, or it takes the room that the pages need."""
        return LOG_PAGES_SCARCE if self._ballast_bytes and self.ballast_used else LOG_PAGES

    def _roll_back(self, error: sqlite3.Error) -> None:
        """Forget the failed transaction, and the connection when it is not to be believed any more.

        After a failed fsync nobody knows what of it is in the file: `_reconnected` will see.
        """
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as second:
            error = second
        if _code(error) != sqlite3.SQLITE_FULL:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _reconnected(self) -> sqlite3.Connection:
        """Return the connection; a new one, where the last one was given up, begins at the head that we know.

        What was refused may stand in the file all the same, when only its fsync failed. It is taken out: whoever
        was refused will bring it again.
        """
        if self._db is None:
            db = self._connect()
            try:
                db.execute("BEGIN IMMEDIATE")
                db.execute("DELETE FROM delivery WHERE seq > ?", (self.head_seq,))
                db.execute("DELETE FROM event WHERE seq > ?", (self.head_seq,))
                db.execute("COMMIT")
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db

    @property
    def ballast_used(self) -> bool:
        """Whether the disk was so full that the ballast had to go."""
        return not self._ballast.exists()

    def _blame(self, error: sqlite3.Error | OSError) -> JournalError:
        blame = Damaged if isinstance(error, sqlite3.Error) and _code(error) in _DAMAGE else Refused
        return blame(self.path, str(error))

    def _rows(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._reconnected().execute(sql, values)
        except sqlite3.Error as error:
            raise self._blame(error) from error

    def _row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        return next(self._rows(sql, values), None)

    def _number(self, sql: str, values: Sequence[object] = ()) -> int | None:
        row = self._row(sql, values)
        return None if row is None or row[0] is None else int(row[0])

    def _meta(self, name: str) -> str:
        row = self._row("SELECT value FROM meta WHERE name = ?", (name,))
        if row is None:
            raise Damaged(self.path, f"has no {name}")
        return str(row[0])


def chain(head: bytes, seq: int, leaf: bytes) -> bytes:
    """Return the next head: SHA-256 over the head before, the sequence number (8 bytes) and the leaf."""
    return hashlib.sha256(head + seq.to_bytes(8, "big") + leaf).digest()


def first_changed(rows: Iterable[tuple[Any, ...]]) -> int | None:
    """Of rows (seq, payload, salt, leaf, head) in order, the number of the first that is not as it was written."""
    head = GENESIS
    for seq, payload, salt, leaf, stored in rows:
        if payload is not None and hashlib.sha256(salt + payload).digest() != leaf:
            return int(seq)
        head = chain(head, seq, leaf)
        if head != stored:
            return int(seq)
    return None


def newer(path: Path, version: int | None) -> Refused:
    """A journal of another version than this program writes: it is left alone, and whoever reads this is told why."""
    return Refused(
        path,
        f"is of version {version}, this program writes version {SCHEMA}. Start the version of Shouwang that wrote it; "
        "or restore the backup that was made before the update (`shouwang restore`)",
    )


def salvage(path: Path, *, station: StationId) -> Carried:
    """Read what can be read of a file that was set aside: what is not delivered, the windows, the known messages."""
    events: list[tuple[Event, list[str]]] = []
    heard: list[Heard] = []
    known: dict[str, EventId] = {}
    audit: ChainHead | None = None
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as db:
        # Each table for itself, and each row for itself: the bad page may be in any of them.
        with suppress(sqlite3.Error):
            heard += [Heard(unit, counter) for unit, counter in db.execute("SELECT unit, counter FROM heard")]
        with suppress(sqlite3.Error):
            audit = _read_witness(db.execute("SELECT value FROM meta WHERE name = 'audit'").fetchone())
        for sql in (
            "SELECT message, id FROM carried ORDER BY rowid",
            "SELECT message, id FROM event WHERE message IS NOT NULL ORDER BY seq",
        ):
            with suppress(sqlite3.Error):
                known.update((message, EventId(id_)) for message, id_ in db.execute(sql))
        targets: dict[int, list[str]] = {}
        with suppress(sqlite3.Error):
            for seq, target in db.execute("SELECT seq, target FROM delivery ORDER BY seq, target"):
                targets.setdefault(seq, []).append(target)
        for seq, open_ in targets.items():
            with suppress(sqlite3.Error, JournalError):
                row = db.execute("SELECT id, payload, message FROM event WHERE seq = ?", (seq,)).fetchone()
                if row is not None and row[1] is not None:
                    events.append((_read_event(path, seq, *row, station=station), open_))
    return Carried(events, heard, known, audit)


def _write_witness(db: sqlite3.Connection, head: ChainHead) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES ('audit', ?)", (f"{head.seq}:{head.digest.hex()}",))


def _read_witness(row: tuple[Any, ...] | None) -> ChainHead | None:
    """What stands in `meta`; None when there is nothing, or nothing that reads: the station tells it anew."""
    with suppress(ValueError):
        if row is not None:
            seq, _, digest = str(row[0]).partition(":")
            head = ChainHead(int(seq), bytes.fromhex(digest))
            return head if head.seq > 0 and len(head.digest) == len(GENESIS) else None
    return None


def _read_event(path: Path, seq: int, id_: str, payload: bytes, message: str | None, *, station: StationId) -> Event:
    try:
        event = event_from_json(EventId(id_), payload, station=station)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(path, f"event {seq} does not read: {error}") from error
    return event if message is None else replace(event, message=PressKey(message))


def _forget(db: sqlite3.Connection, seqs: Iterable[int]) -> None:
    db.executemany(
        "UPDATE event SET payload = NULL, salt = NULL, message = NULL WHERE seq = ?", [(seq,) for seq in seqs]
    )


def _longest_run(open_: Sequence[tuple[int, int]], lane: Lane) -> list[int]:
    """The longest row of undelivered events which are all of `lane` or less urgent."""
    runs = (list(rows) for may_go, rows in groupby(open_, key=lambda row: row[1] >= lane) if may_go)
    return [seq for seq, _ in max(runs, key=len, default=[])]


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code, where the error comes from SQLite and not from Python's module."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _insert(db: sqlite3.Connection, insert: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        _at_once(db, insert, f"({', '.join('?' * len(rows[0]))})", ", ", rows)


def _at_once(db: sqlite3.Connection, verb: str, row: str, between: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Many rows by one statement: between two statements the loop's thread may keep the interpreter for long."""
    done = 0
    for size in ROWS:
        while len(rows) - done >= size:
            some = rows[done : done + size]
            db.execute(f"{verb} {between.join([row] * size)}", [value for values in some for value in values])
            done += size


def _mark(db: sqlite3.Connection, epoch: Epoch, marks: Marks) -> None:
    """Note what happened to deliveries of this file; others are of a file that was set aside."""
    handed, done = (
        [(row.lane, row.seq, row.target) for row in rows if row.epoch == epoch] for rows in (marks.handed, marks.done)
    )
    row = "(lane = ? AND seq = ? AND target = ?)"
    _at_once(db, "UPDATE delivery SET state = 1 WHERE", row, " OR ", handed)
    _at_once(db, "DELETE FROM delivery WHERE", row, " OR ", done)


def _lock(path: Path) -> IO[str]:
    try:
        lock = path.with_suffix(".lock").open("a", encoding="ascii")
    except OSError as error:
        raise Refused(path, f"cannot be locked: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise InUse(path, "another gateway process has this journal open; stop it first") from error
    except OSError as error:
        lock.close()
        raise Refused(path, f"cannot be locked: {error}") from error
    return lock


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
