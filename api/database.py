"""The station's tables: one process, one writer, many readers.

Every write and every checkpoint goes through one connection, under one lock (`Database.write`); SQLite before
3.51.3 can damage its log when two connections checkpoint, and one writer never meets SQLITE_BUSY. Readers
(`Database.read`) have connections of their own that the file system's mode keeps from writing. A second process
is refused: for that there is PostgreSQL.

Times in tables are Unix milliseconds in UTC. Table models do not validate, so every table has CHECK constraints.

    DatabaseError
    +-- DatabaseInUse           .path .pid: another process has it
    +-- DatabaseUnsafe          .setting: a commit would not survive a power cut, so nothing is begun
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Self

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlmodel import Session, SQLModel

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS: Final = 5_000
READERS: Final = 8
FULL: Final = 2
"""PRAGMA synchronous: every commit is synced before it returns."""

Commit = Callable[[Session], None]


class DatabaseError(Exception):
    """The tables cannot be used."""


class DatabaseInUse(DatabaseError):
    """Another process has it. Fields: `path`, and `pid` where the other one left it."""

    def __init__(self, path: Path, pid: str) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"{path} is in use by process {pid or '?'}: a second process needs PostgreSQL")


class DatabaseUnsafe(DatabaseError):
    """A setting that keeps commits could not be had. Field: `setting`."""

    def __init__(self, setting: str, found: object) -> None:
        self.setting = setting
        super().__init__(f"PRAGMA {setting} is {found!r}: commits would not be safe")


class Turns:
    """A lock for which people go before machines.

    Who asks patiently (ingest) gets it only when nobody else waits, so that an officer waits for one batch at
    most and not for a queue of them.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = False
        self._people = 0

    @contextmanager
    def mine(self, *, patient: bool) -> Iterator[None]:
        """Hold the lock inside the block."""
        with self._changed:
            if patient:
                self._changed.wait_for(lambda: not self._taken and self._people == 0)
            else:
                self._people += 1
                self._changed.wait_for(lambda: not self._taken)
                self._people -= 1
            self._taken = True
        try:
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


class Database:
    """All tables of one station. Use `open`; `close` when done."""

    def __init__(self, path: Path, lock_file: IO[str]) -> None:
        self.path = path
        self._lock_file = lock_file
        self._turns = Turns()
        self._writer = _engine(path, read_only=False)
        self._readers = _engine(path, read_only=True)

    @classmethod
    def open(cls, url: str) -> Self:
        """Take the database at `url` (`sqlite:///path`) for this process and bring its tables up to date.

        Raises DatabaseInUse, DatabaseUnsafe, or what the database itself says.
        """
        path = Path(make_url(url).database or "").absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        database = cls(path, _only_process(path))
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Give everything back. The last connection to close is the writer, which checkpoints."""
        self._readers.dispose()
        self._writer.dispose()
        self._lock_file.close()

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables to `revision`, the record of it included, in one transaction."""
        with self._turns.mine(patient=False), self._writer.begin() as connection:
            config = migrations(connection)
            current = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            assert current == 0, "user_version is not ours to use"
            if revision in {"head", "heads"} or revision.startswith("+"):
                command.upgrade(config, revision)
            else:
                command.downgrade(config, revision)

    @contextmanager
    def write(self, *, patient: bool = False, commit: Commit = Session.commit) -> Iterator[Session]:
        """One transaction: `commit` at the end of the block, nothing at all when it raises.

        The only place in the program that commits. `patient` waits until no person waits.
        """
        with self._turns.mine(patient=patient), Session(self._writer, autoflush=False) as session:
            yield session
            commit(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Look, at one moment of the tables. Keep it short: a long reader keeps the log from being checkpointed."""
        with Session(self._readers) as session:
            yield session


class Bulk:
    """Inserts many rows of one table at the speed of the driver.

    The statement is made once, and values go to the driver as they are, in the order of `names`: they must be what
    it takes (int, str, bytes, bool, None).
    """

    def __init__(self, table: str, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = table
        self._sql: dict[str, str] = {}

    def insert(self, session: Session, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows` now."""
        if not rows:
            return
        connection = session.connection()
        sql = self._sql.get(connection.dialect.name)
        if sql is None:
            sql = self._sql[connection.dialect.name] = self._compile(connection)
        connection.exec_driver_sql(sql, [*rows])

    def _compile(self, connection: Connection) -> str:
        table = SQLModel.metadata.tables[self._table]
        places = {"qmark": "?", "format": "%s", "pyformat": "%s"}[connection.dialect.paramstyle]
        quote = connection.dialect.identifier_preparer.quote
        columns = ", ".join(quote(table.c[name].name) for name in self.names)
        return f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({', '.join([places] * len(self.names))})"  # noqa: S608 - names of ours


def migrations(connection: Connection) -> Config:
    """Alembic's configuration, without a file, for work on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


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
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # they are personal, and errors are logged
    )
    event.listen(engine, "connect", _connect_reader if read_only else _connect_writer)
    event.listen(engine, "begin", _begin_reader if read_only else _begin_writer)
    return engine


def _connect_writer(connection: Any, _record: object) -> None:
    """Every new connection of the pool begins with SQLite's own defaults, which lose commits: set, and read back."""
    _connect(connection)
    for pragma, wanted in (("journal_mode=WAL", "wal"), ("synchronous=FULL", FULL)):
        name = pragma.partition("=")[0]
        connection.execute(f"PRAGMA {pragma}")
        found = connection.execute(f"PRAGMA {name}").fetchone()[0]
        if found != wanted:
            raise DatabaseUnsafe(name, found)
    connection.execute("PRAGMA journal_size_limit=67108864")


def _connect_reader(connection: Any, _record: object) -> None:
    _connect(connection)
    connection.execute("PRAGMA query_only=ON")


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
