"""The durable journal: the one door to SQLite in the gateway, and the one writer of its file.

A press is confirmed when `append` has returned, and not before (N1): WAL with synchronous=FULL, so that one
commit is one fsync. Nothing here knows about the network.

Rows of `event` are chained: head = H(previous head, seq, H(salt, payload)). Pruning takes salt and payload and
leaves the digests, so that the chain still verifies (N15) and nothing personal can be guessed from it (N16).

What can go wrong with storage, and what is done (errors drawn as a tree)::

    JournalError            .path .what
    +-- Damaged             not a database, or malformed: set aside by `open_journal`, never deleted
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
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from broker import ids
from broker.ids import Epoch, EventId, GatewayId, StationId
from broker.kinds import EventType
from gateway.events import Entry, Event, event_from_json
from gateway.stamps import Stamp

SCHEMA: Final = 1
GENESIS: Final = b"\x00" * 32
SALT_BYTES: Final = 16
KNOWN_PER_START: Final = 20_000
"""So many of the latest message keys are read back at start, to tell repeats from new presses."""

PENDING: Final = 0
HANDED: Final = 1

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
CREATE INDEX event_message ON event (message) WHERE message IS NOT NULL;
CREATE TABLE delivery (
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    target TEXT NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (lane, seq, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_seq ON delivery (seq);
CREATE TABLE heard (unit TEXT PRIMARY KEY, counter INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

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


@dataclass(frozen=True, slots=True)
class Delivery:
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
        """Open `path`, or make it with a new epoch. Most callers want `open_journal`, which mends as well."""
        self.path = path
        self.made = not path.exists()
        self._station = station
        self._gateway = gateway
        self._random_bytes = random_bytes
        self._ballast = path.with_suffix(".ballast")
        self._lock = _lock(path)
        try:
            self._db = self._connect()
            self._prepare()
            self.epoch = Epoch(self._meta("epoch"))
            last = self._row("SELECT seq, head FROM event ORDER BY seq DESC LIMIT 1")
        except sqlite3.Error as error:
            self._lock.close()
            raise self._blame(error) from error
        except JournalError:
            self._lock.close()
            raise
        self.head_seq: int = 0 if last is None else last[0]
        self._head: bytes = GENESIS if last is None else last[1]
        self._fill_ballast(ballast_bytes)

    # Writing

    def append(
        self, events: Sequence[Event], *, marks: Marks | None = None, heard: Sequence[Heard] = ()
    ) -> list[Entry]:
        """Keep `events` (and what else happened) in one durable commit; return them in their places.

        When this returns, they survive the loss of power at any later instant.
        """
        entries: list[Entry] = []
        head = self._head
        rows = []
        deliveries = []
        for seq, event in enumerate(events, self.head_seq + 1):
            payload, salt = event.to_json(), self._random_bytes(SALT_BYTES)
            leaf = hashlib.sha256(salt + payload).digest()
            head = chain(head, seq, leaf)
            rows.append((seq, event.id, payload, salt, leaf, head, event.message))
            deliveries += [(int(event.lane), seq, target, PENDING) for target in event.targets(self._gateway)]
            entries.append(Entry(self.epoch, seq, event))

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT INTO delivery VALUES (?, ?, ?, ?)", deliveries)
            db.executemany(
                "INSERT INTO heard VALUES (?, ?) ON CONFLICT (unit) DO UPDATE SET counter = excluded.counter",
                [(row.unit, row.counter) for row in heard],
            )
            if marks is not None:
                _mark(db, self.epoch, marks)

        self._transact(work)
        self.head_seq += len(entries)
        self._head = head
        return entries

    def mark(self, marks: Marks) -> None:
        """Note what happened to deliveries, in a commit of its own."""
        self._transact(lambda db: _mark(db, self.epoch, marks))

    def take_generation(self) -> int:
        """Return a number that is higher than at every call before, over restarts too."""
        generation = int(self._meta("generation")) + 1
        self._transact(lambda db: db.execute("UPDATE meta SET value = ? WHERE name = 'generation'", (str(generation),)))
        return generation

    def prune(self, keep: int, *, at_most: int = 500) -> int:
        """Take the content (not the digests) of up to `at_most` delivered events behind the latest `keep`."""

        def work(db: sqlite3.Connection) -> int:
            return db.execute(
                "UPDATE event SET payload = NULL, salt = NULL, message = NULL WHERE seq IN ("
                " SELECT seq FROM event WHERE payload IS NOT NULL AND seq <= ?"
                " AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = event.seq) ORDER BY seq LIMIT ?)",
                (self.head_seq - keep, at_most),
            ).rowcount

        return 0 if self.head_seq <= keep else self._transact(work)

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
        row = self._row("SELECT id, payload FROM event WHERE seq = ?", (seq,))
        if row is None or row[1] is None:
            raise KeyError(seq)
        try:
            event = event_from_json(EventId(row[0]), row[1], station=self._station)
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(self.path, f"event {seq} does not read: {error}") from error
        return Entry(self.epoch, seq, event)

    def low(self) -> int:
        """Return the lowest sequence number that is not done; one above the head when all are."""
        found = self._number("SELECT min(seq) FROM delivery")
        return self.head_seq + 1 if found is None else found

    def queued(self) -> int:
        """Return how many events wait for their receipt."""
        return self._number("SELECT count(*) FROM delivery WHERE target = 'station'") or 0

    def lately(self, *, limit: int) -> list[tuple[Entry, bool]]:
        """Return the latest numbered messages, oldest first, each with whether the station owes its receipt."""
        rows = self._rows(
            "SELECT seq, EXISTS (SELECT 1 FROM delivery WHERE delivery.seq = event.seq AND target = 'station')"
            " FROM event WHERE message IS NOT NULL ORDER BY seq DESC LIMIT ?",
            (limit,),
        )
        return [(self.entry(seq), bool(owed)) for seq, owed in reversed(list(rows))]

    def known_messages(self) -> dict[str, EventId]:
        """Return the event ids of the latest numbered messages, by key, oldest first."""
        rows = self._rows(
            "SELECT message, id FROM event WHERE message IS NOT NULL ORDER BY seq DESC LIMIT ?", (KNOWN_PER_START,)
        )
        return {message: EventId(id_) for message, id_ in reversed(list(rows))}

    def heard(self) -> dict[str, int]:
        """Return the highest uplink counter by unit id."""
        return dict(self._rows("SELECT unit, counter FROM heard"))

    def head_digest(self) -> str:
        """Return the head of the chain, hexadecimal: whoever has it can tell whether history was changed."""
        return self._head.hex()

    def verify(self) -> int | None:
        """Return the sequence number of the first row that is not as it was written, None if all are."""
        head = GENESIS
        for seq, payload, salt, leaf, stored in self._rows(
            "SELECT seq, payload, salt, leaf, head FROM event ORDER BY seq"
        ):
            if payload is not None and hashlib.sha256(salt + payload).digest() != leaf:
                return int(seq)
            head = chain(head, seq, leaf)
            if head != stored:
                return int(seq)
        return None

    def close(self) -> None:
        """Checkpoint and close; the file is whole without its side files after this."""
        try:
            self._db.close()
        finally:
            self._lock.close()

    # Inside

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA journal_size_limit=4194304")
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA temp_store=MEMORY")
        db.execute("PRAGMA cache_size=-1024")
        mode, sync = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous"))
        if (mode, sync) != ("wal", 2):
            raise Refused(self.path, f"cannot be made durable: journal_mode {mode}, synchronous {sync}")
        return db

    def _prepare(self) -> None:
        version = self._number("PRAGMA user_version")
        if version == SCHEMA:
            # A restart asks for receipts anew: the station knows duplicates by their id.
            self._transact(lambda db: db.execute("UPDATE delivery SET state = 0 WHERE state != 0"))
            return
        if version != 0:
            raise Refused(self.path, f"is of version {version}, this program writes version {SCHEMA}")

        def work(db: sqlite3.Connection) -> None:
            for statement in _TABLES.split(";"):
                db.execute(statement)
            epoch = ids.epoch(self._random_bytes(ids.EPOCH_RANDOM_BYTES))
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("epoch", epoch), ("generation", "0")])
            db.execute(f"PRAGMA user_version = {SCHEMA}")

        self._transact(work)
        _sync_folder(self.path.parent)

    def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction. On a full disk the ballast is thrown out and it is tried once more."""
        for last_try in (not self._ballast.exists(), True):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                result = work(self._db)
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL and not last_try:
                    self._ballast.unlink(missing_ok=True)
                    continue
                raise self._blame(error) from error
            else:
                return result
        raise AssertionError("the last try returns or raises")

    def _roll_back(self) -> None:
        """Forget the failed transaction. After a failed fsync the pages in memory are not to be believed: reopen."""
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._db.close()
            self._db = self._connect()

    @property
    def ballast_used(self) -> bool:
        """Whether the disk was so full that the ballast had to go."""
        return not self._ballast.exists()

    def _fill_ballast(self, size: int) -> None:
        if size and not self._ballast.exists():
            try:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, size)
            except OSError:
                self._ballast.unlink(missing_ok=True)  # the disk is nearly full already: supervision says so

    def _blame(self, error: sqlite3.Error) -> JournalError:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _DAMAGE:
            return Damaged(self.path, str(error))
        return Refused(self.path, str(error))

    def _rows(self, sql: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise self._blame(error) from error

    def _row(self, sql: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        return next(self._rows(sql, values), None)

    def _number(self, sql: str) -> int | None:
        row = self._row(sql)
        return None if row is None or row[0] is None else int(row[0])

    def _meta(self, name: str) -> str:
        row = self._row("SELECT value FROM meta WHERE name = ?", (name,))
        if row is None:
            raise Damaged(self.path, f"has no {name}")
        return str(row[0])


def chain(head: bytes, seq: int, leaf: bytes) -> bytes:
    """Return the next head: SHA-256 over the head before, the sequence number (8 bytes) and the leaf."""
    return hashlib.sha256(head + seq.to_bytes(8, "big") + leaf).digest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal ready for use, and what had to be done for that."""

    journal: Journal
    set_aside: Path | None = None
    trouble: str = ""


def open_journal(
    path: Path,
    *,
    station: StationId,
    gateway: GatewayId,
    now: Stamp,
    random_bytes: Callable[[int], bytes],
    ballast_bytes: int = 0,
) -> Opened:
    """Open the journal, whatever state its file is in (N14): a damaged one is set aside and a new one opens.

    A new journal's first event is `epoch_opened`, which names its predecessor where there was one. Raises
    InUse, or Refused when not even a new file can be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    def make() -> Journal:
        return Journal(path, station=station, gateway=gateway, random_bytes=random_bytes, ballast_bytes=ballast_bytes)

    set_aside: Path | None = None
    trouble = ""
    try:
        journal = make()
    except Damaged as error:
        trouble = error.what
        set_aside = put_aside(path, now)
        journal = make()
    if journal.made or set_aside is not None or journal.head_seq == 0:
        detail: dict[str, str | int | bool] = {"predecessor": _read_epoch(path)}
        if set_aside is not None:
            detail["set_aside"] = set_aside.name[-96:]
        identity = ids.event_id(max(now.wall_ms, 0), random_bytes(ids.EVENT_ID_RANDOM_BYTES))
        journal.append([Event(id=identity, type=EventType.EPOCH_OPENED, stamp=now, detail=detail)])
        _write_epoch(path, journal.epoch)
    return Opened(journal, set_aside, trouble)


def put_aside(path: Path, now: Stamp) -> Path:
    """Rename a damaged journal and its side files out of the way; return its new name. Nothing is deleted."""
    number = 0
    while True:
        aside = path.with_name(f"{path.name}.damaged-{now.wall_ms}-{number}")
        if not aside.exists():
            break
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _sync_folder(path.parent)
    return aside


def _mark(db: sqlite3.Connection, epoch: Epoch, marks: Marks) -> None:
    """Note what happened to deliveries of this file; others are of a file that was set aside."""
    handed, done = (
        [(row.lane, row.seq, row.target) for row in rows if row.epoch == epoch] for rows in (marks.handed, marks.done)
    )
    db.executemany("UPDATE delivery SET state = 1 WHERE lane = ? AND seq = ? AND target = ?", handed)
    db.executemany("DELETE FROM delivery WHERE lane = ? AND seq = ? AND target = ?", done)


def _lock(path: Path) -> IO[str]:
    lock = path.with_suffix(".lock").open("a", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise InUse(path, "another gateway process has this journal open; stop it first") from error
    return lock


def _epoch_file(path: Path) -> Path:
    return path.with_suffix(".epoch")


def _read_epoch(path: Path) -> str:
    """The epoch that stood here before, as far as the small file beside the journal still tells."""
    try:
        text = _epoch_file(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text[:16]


def _write_epoch(path: Path, epoch: Epoch) -> None:
    try:
        _epoch_file(path).write_text(epoch, encoding="ascii")
    except OSError:
        return  # only the next epoch's remark about its predecessor hangs on it


def _sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
