"""Both databases for tests: a file, or a database of its own in one PostgreSQL that the whole run shares.

A database is a copy of one that was migrated once, which takes ten milliseconds instead of a second.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy.engine import make_url
from sqlmodel import Session

from api.database import Database
from deploy.postgresql import PrivateCluster
from tests.api.peers import STATION

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ROOM: Final = 2 << 30
"""Octets that a run may need, at 8 MiB for each database."""
PREFIX: Final = "shouwang-tests-"
TEMPLATE: Final = "migrated"


class Databases:
    """Fresh databases on one server."""

    def __init__(self, cluster: PrivateCluster) -> None:
        self.cluster = cluster
        self._made = 0
        self._migrated = False

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a database that nobody has used, gone after the block."""
        self._made += 1
        name = f"test{self._made}"
        if migrated and not self._migrated:
            self._do(f"CREATE DATABASE {TEMPLATE}")
            Database.open(self.cluster.socket_url(TEMPLATE), station=STATION).close()
            self._migrated = True
        self._do(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if migrated else 'template0'} STRATEGY file_copy")
        yield self.cluster.socket_url(name)
        self._do(f"DROP DATABASE {name} WITH (FORCE)")

    def _do(self, sql: str) -> None:
        with psycopg.connect(dsn(self.cluster.socket_url()), autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def cluster_for_tests() -> Iterator[PrivateCluster]:
    """A PostgreSQL whose files are in memory, where there is room for them: it syncs as always, which costs nothing."""
    _clear_away()
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=MEMORY if in_memory else None))
    folder.chmod(0o711)  # PostgreSQL runs as another user than root
    try:
        with PrivateCluster(folder / "cluster") as running:
            yield running
    finally:
        shutil.rmtree(folder)


def _clear_away() -> None:
    """Give back the memory of runs that were killed."""
    for left in MEMORY.glob(f"{PREFIX}*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(left, ignore_errors=True)


def dsn(url: str) -> str:
    """A URL of ours as the driver itself takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def rows(url: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read a database with nothing of the station's. Values stand as `?`."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(f"file:{make_url(url).database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()
    options = f'-c search_path="station-{STATION}" -c default_transaction_read_only=on'
    with psycopg.connect(dsn(url), options=options) as server:
        return server.execute(sql.replace("%", "%%").replace("?", "%s").encode(), values).fetchall()


def poison(session: Session, event: str) -> None:
    """Let the database refuse the inbox row of one event, whoever writes it."""
    connection = session.connection()
    which = f"NEW.id = '{event}'"
    if connection.dialect.name == "sqlite":
        refusing = "BEGIN SELECT RAISE(ABORT, 'poison'); END"
        connection.exec_driver_sql(f"CREATE TRIGGER poison BEFORE INSERT ON inbox WHEN {which} {refusing}")
    else:
        refusing = "BEGIN RAISE EXCEPTION 'poison'; END"
        connection.exec_driver_sql(f"CREATE FUNCTION poison() RETURNS trigger AS $${refusing}$$ LANGUAGE plpgsql")
        each = f"FOR EACH ROW WHEN ({which}) EXECUTE FUNCTION poison()"
        connection.exec_driver_sql(f"CREATE TRIGGER poison BEFORE INSERT ON inbox {each}")
