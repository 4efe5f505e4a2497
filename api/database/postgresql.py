"""PostgreSQL: several processes, on one machine or on many, and several stations in one database.

Each station has a schema of its own, `station-ID`, so that no query that forgets to name the station can show or
change what is another's, and writers of two stations do not wait for each other.

One advisory lock a station orders its writers (why, `api.database.door` says). It is taken with the transaction and
given back by its end, by the server too when it no longer hears of the process that had it: limits below say how
soon. Writers read what is committed when they look (READ COMMITTED, and nobody else writes); readers see one moment
(REPEATABLE READ, READ ONLY).

A lost connection costs the transaction in hand. Connections are tried before they are used again, so that the next
transaction works as soon as the server is back, or a standby has taken its place (name both hosts in the URL).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self
from zlib import crc32

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema

from api.database.bulk import COPY
from api.database.door import Database
from api.database.errors import DatabaseError, DatabaseUnsafe
from api.database.upgrade import upgrade

READERS: Final = 8
READERS_MORE: Final = 8
"""Connections that are closed again when they are not needed any more."""
WAIT_S: Final = 5
"""How long somebody waits for a connection, and for a lock."""
STATEMENT_S: Final = 30
IDLE_S: Final = 30
"""How long a transaction may do nothing before the server ends it: its process is stopped, or its network is cut."""

WRITERS: Final = 0x5357_0001
MIGRATION: Final = 0x5357_0002
"""First numbers of advisory locks, which are per database; the second is the schema's."""

_ALWAYS: Final = {
    "synchronous_commit": "on",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "jit": "off",
}
_WORKING: Final = {
    "lock_timeout": f"{WAIT_S}s",
    "statement_timeout": f"{STATEMENT_S}s",
    "idle_in_transaction_session_timeout": f"{IDLE_S}s",
}
_READING: Final = {"default_transaction_read_only": "on", "default_transaction_isolation": r"repeatable\ read"}
_SAFE: Final = {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on", "server_encoding": "UTF8"}
"""What has to be so for a commit to survive a power cut, and for a name in Chinese to survive at all."""


class _Unsafe(psycopg.OperationalError):
    """The server would lose commits. To whoever works already it is a database that cannot be used for now."""

    def __init__(self, setting: str, found: str) -> None:
        self.found = DatabaseUnsafe(setting, found)
        super().__init__(str(self.found))


class PostgreSQL(Database, backend="postgresql", shared=True):
    """One station's schema in a database on a server."""

    def __init__(self, url: URL, schema: str) -> None:
        self.schema = schema
        self._url = url
        self._mine = {"search_path": f'"{schema}"'}
        self._lock_number = crc32(schema.encode()) - (1 << 31)
        writer = _engine(url, _WORKING | self._mine, max_overflow=0, pool_size=1)
        event.listen(writer, "begin", self._begin_writer)
        reading = _WORKING | _READING | self._mine
        super().__init__(writer, _engine(url, reading, max_overflow=READERS_MORE, pool_size=READERS))

    @property
    def url(self) -> str:
        """Where it is, its password included."""
        return self._url.render_as_string(hide_password=False)

    @classmethod
    def at(cls, url: str, station: str | None) -> Self:
        """The station's tables in the database at `url`, which must exist; nothing is connected yet."""
        if station is None:
            raise DatabaseError("PostgreSQL holds the tables of several stations: say which")
        return cls(make_url(url).set(drivername="postgresql+psycopg"), f"station-{station}")

    def scrub(self) -> None:
        """Left to autovacuum: rewriting tables would lock them, and an alarm does not wait (docs/privacy.md)."""

    def forget_copies(self, now_ms: int) -> None:
        """There are none: a server's backups are made by `shouwang backup` before an update."""

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables forward to `revision`, the record of it included, in one transaction.

        Processes that start together do it one after another, and no process writes meanwhile.
        """
        engine = _engine(self._url, self._mine, poolclass=NullPool)
        with self._turns.mine(patient=False), _begun(engine) as connection:
            for lock in (MIGRATION, WRITERS):
                self._lock(connection, lock)
            if not inspect(connection).has_schema(self.schema):  # IF NOT EXISTS asks for the right to make one
                connection.execute(CreateSchema(self.schema))
            upgrade(connection, revision)

    def _begin_writer(self, connection: Connection) -> None:
        self._lock(connection, WRITERS)

    def _lock(self, connection: Connection, which: int) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({which}, {self._lock_number})")


@contextmanager
def _begun(engine: Engine) -> Iterator[Connection]:
    """A transaction. Raises DatabaseUnsafe."""
    try:
        with engine.begin() as connection:
            yield connection
    except OperationalError as error:
        if isinstance(error.orig, _Unsafe):
            raise error.orig.found from None
        raise


def _engine(url: URL, settings: dict[str, str], **pool: Any) -> Engine:
    options = " ".join(f"-c {name}={value}" for name, value in (_ALWAYS | settings).items())
    engine = create_engine(
        url,
        connect_args={
            "application_name": "shouwang",
            "client_encoding": "utf8",
            "connect_timeout": WAIT_S,
            "options": options,
            "target_session_attrs": "read-write" if "default_transaction_read_only" not in settings else "any",
            "tcp_user_timeout": WAIT_S * 1_000,
        },
        pool_pre_ping=True,
        hide_parameters=True,  # they are personal, and errors are logged
        **pool if "poolclass" in pool else pool | {"pool_timeout": WAIT_S},
    )
    event.listen(engine, "connect", _connect)
    event.listen(engine, "handle_error", _hush)
    event.listen(engine, "do_executemany", _copy)
    event.listen(engine, "do_execute", _copy_one)
    return engine


def _connect(connection: Any, _record: object) -> None:
    """Whoever administers the server may have allowed it to lose commits: read back, on every connection."""
    names = [*_SAFE]
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
        found = dict(zip(names, cursor.fetchone(), strict=True))
    connection.rollback()
    for name, wanted in _SAFE.items():
        if found[name] != wanted:
            raise _Unsafe(name, found[name])


def _copy(cursor: Any, statement: str, rows: Sequence[tuple[object, ...]], _context: object) -> bool:
    """Let what `Bulk` inserts be copied, which is three times as quick as statements and fails like one of them."""
    if not statement.startswith(COPY):
        return False
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
    return True


def _copy_one(cursor: Any, statement: str, row: tuple[object, ...], context: object) -> bool:
    return statement.startswith(COPY) and _copy(cursor, statement, [row], context)


def _hush(context: ExceptionContext) -> None:
    """Leave the details out, in which the server repeats the row: they are personal, and errors are logged."""
    error, shown = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and error.diag.message_primary is not None:
        error.args = (error.diag.message_primary,)
        if shown is not None:
            shown.args = (f"({type(error).__name__}) {error.diag.message_primary}",)
