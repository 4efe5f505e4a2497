"""SQLite: one process, one writer, many readers.

Every write and every checkpoint goes through one connection, under one lock; SQLite before 3.51.3 can damage its log
when two connections checkpoint, and one writer never meets SQLITE_BUSY. Readers have connections of their own that
the file system's mode keeps from writing. A second process is refused: for that there is PostgreSQL.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Self

import structlog
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from api.database.door import Database
from api.database.errors import DatabaseError, DatabaseInUse, DatabaseNewer, DatabaseUnsafe
from api.database.upgrade import HEAD, newest, present, upgrade

BUSY_TIMEOUT_MS: Final = 5_000
SCRUB_MS: Final = 250
READERS: Final = 8
READER_KIB: Final = 256
"""What a reader keeps of the file. Every commit makes it worthless, and the system keeps the file in memory anyway."""
BEFORE: Final = "before-v"
"""In the name of a copy that was kept before an update: `station.db.before-v0041`."""
COPIES_MS: Final = 30 * 86_400_000
FULL: Final = 2
"""PRAGMA synchronous: every commit is synced before it returns."""

log = structlog.get_logger("api.database")


class SQLite(Database, backend="sqlite", shared=False):
    """The database in one file, for this process alone."""

    def __init__(self, path: Path, lock_file: IO[str]) -> None:
        self.path = path
        self._lock_file = lock_file
        super().__init__(_engine(path, read_only=False), _engine(path, read_only=True))

    @classmethod
    def at(cls, url: str, station: str | None) -> Self:  # noqa: ARG003 - the file is the station's
        """Take the file for this process; it is made when missing. Raises DatabaseInUse."""
        path = Path(make_url(url).database or "").absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(path, _only_process(path))

    def close(self) -> None:
        """Give everything back. The last connection to close is the writer, which checkpoints."""
        super().close()
        self._lock_file.close()

    def scrub(self) -> None:
        """Carry the log into the file and empty it; `secure_delete` has overwritten in the file what was deleted.

        A reader that looks meanwhile puts it off: what is due again tomorrow is scrubbed then.
        """
        with self._turns.mine(patient=True):
            connection = self._writer.raw_connection()
            try:
                connection.execute(f"PRAGMA busy_timeout={SCRUB_MS}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
                connection.close()

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables forward to `revision`, the record of it included, in one transaction."""
        if revision == HEAD:
            self._keep_copy()
        try:
            with self._turns.mine(patient=False), self._references_later() as connection:
                current = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                assert current == 0, "user_version is not ours to use"
                upgrade(connection, revision)
        except DatabaseNewer:
            raise DatabaseNewer(self._copies()) from None

    def _copies(self) -> list[Path]:
        """What was kept before tables were brought forward, the newest last."""
        return sorted(self.path.parent.glob(f"{self.path.name}.{BEFORE}[0-9][0-9][0-9][0-9]"))

    def forget_copies(self, now_ms: int) -> None:
        """Take away copies that are as old as a backup may become: nothing personal stays in them for longer."""
        for copy in self._copies():
            if now_ms - copy.stat().st_mtime * 1_000 > COPIES_MS:
                copy.unlink(missing_ok=True)

    def _keep_copy(self) -> None:
        """Before tables of an earlier version are brought forward, keep them beside: there is no other way back.

        Where there is no room they are brought forward all the same, in one transaction, and it is logged.
        """
        with self._reading() as connection:
            was = present(connection)
        if was is None or was >= newest():
            return
        copy = self.path.with_name(f"{self.path.name}.{BEFORE}{was}")
        fresh = copy.with_name(f".{copy.name}.new")
        fresh.unlink(missing_ok=True)
        raw = self._writer.raw_connection()
        try:
            fresh.touch(mode=0o600)  # VACUUM INTO takes an empty file, and its mode
            raw.execute("VACUUM INTO ?", (str(fresh),))
            fresh.replace(copy)
        except (OSError, sqlite3.Error) as error:
            log.error("database.no_copy", trouble=str(error))  # noqa: TRY400 - the reason is enough
            fresh.unlink(missing_ok=True)
            return
        finally:
            raw.close()
        for older in self._copies():
            if older != copy:
                older.unlink()
        log.info("database.kept", copy=str(copy), version=was)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _references_later(self) -> Iterator[Connection]:
        """A transaction in which a table may be replaced by a changed copy of itself.

        To drop a table is to delete its rows, which those that refer to it would not let happen. So references are
        checked once, before the commit. The pragma does nothing inside a transaction and is set around it.
        """
        with self._writer.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA foreign_keys=0")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                    if broken is not None:
                        raise DatabaseError(f"a row of {broken[0]} refers to a row of {broken[2]} that is not there")
            finally:
                raw.execute("PRAGMA foreign_keys=1")


def _only_process(path: Path) -> IO[str]:
    lock_file = path.with_name(path.name + ".lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock_file.seek(0)
        pid = lock_file.read(16).strip()
        lock_file.close()
        raise DatabaseInUse(path, pid) from None
    lock_file.truncate(0)
    lock_file.write(f"{os.getpid()}\n")
    lock_file.flush()
    return lock_file


def _engine(path: Path, *, read_only: bool) -> Engine:
    engine = create_engine(
        f"sqlite:///file:{path}?mode={'ro' if read_only else 'rwc'}&uri=true",
        pool_size=READERS if read_only else 1,
        max_overflow=0,
        pool_use_lifo=True,  # the one that was used last knows its statements and pages; eight know the same
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they are personal, and errors are logged
    )
    event.listen(engine, "connect", _connect_reader if read_only else _connect_writer)
    event.listen(engine, "begin", _begin_reader if read_only else _begin_writer)
    return engine


def _connect_writer(connection: Any, _record: object) -> None:
    """Every new connection of the pool begins with SQLite's own defaults, which lose commits: set, and read back."""
    _connect(connection)
    for pragma, wanted in (("journal_mode=WAL", "wal"), ("synchronous=FULL", FULL), ("secure_delete=ON", 1)):
        name = pragma.partition("=")[0]
        connection.execute(f"PRAGMA {pragma}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise DatabaseUnsafe(name, found)
    connection.execute("PRAGMA journal_size_limit=67108864")


def _connect_reader(connection: Any, _record: object) -> None:
    _connect(connection)
    connection.execute("PRAGMA query_only=ON")
    connection.execute(f"PRAGMA cache_size=-{READER_KIB}")


def _connect(connection: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_writer` does
    for name, wanted in (("busy_timeout", BUSY_TIMEOUT_MS), ("foreign_keys", 1)):
        connection.execute(f"PRAGMA {name}={wanted}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise DatabaseUnsafe(name, found)


def _begin_writer(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reader(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
