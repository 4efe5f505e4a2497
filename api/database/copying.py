"""Taking a station's tables out of its database while it runs, as of one moment, and putting them into another.

SQLite: `VACUUM INTO`, by a reader of its own: writers are not held up, and nothing is copied that is in the log alone.
PostgreSQL: `pg_dump` of the station's schema in a snapshot that this process holds, so that what is counted here is
what is dumped; `pg_restore` in one transaction. The password goes by a file that only we can read, not by the list of
processes.

CopyError       .why: what the database or its program said
"""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.engine import make_url

from api.database.errors import DatabaseError

DEBIAN: Final = Path("/usr/lib/postgresql")
SIDE_FILES: Final = ("", "-wal", "-shm")


class CopyError(DatabaseError):
    """It could not be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in a station's tables: their version, how many rows each has, and where the audit chain ends."""

    kind: str
    """`sqlite` or `postgresql`."""
    revision: str
    """Of the tables, as migrations count them; empty when there are none."""
    rows: Mapping[str, int]
    head: tuple[int, str]
    """Sequence number and digest of the last audit entry; (0, "") when there is none."""


def kind_of(url: str) -> str:
    """`sqlite` or `postgresql`."""
    return make_url(url).get_backend_name()


def file_of(url: str) -> Path:
    """The file of a SQLite database."""
    return Path(make_url(url).database or "").absolute()


def copy_out(url: str, *, station: str, to: Path) -> Contents:
    """Write the tables to the new file `to`, while the station goes on. Raises CopyError."""
    if kind_of(url) == "sqlite":
        return _copy_file(file_of(url), to)
    return _dump(url, f"station-{station}", to)


def look(url: str, *, station: str) -> Contents | None:
    """What is in the database now; None when there is nothing of this station. Raises CopyError."""
    if kind_of(url) == "sqlite":
        path = file_of(url)
        return _look_file(path) if path.exists() else None
    with _connected(url) as server:
        found = server.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (f"station-{station}",)).fetchone()
        return None if found is None else _look_schema(server, f"station-{station}")


def copy_in(url: str, *, station: str, source: Path) -> Contents:
    """Put what `copy_out` wrote where there is nothing of this station yet. Raises CopyError."""
    if kind_of(url) == "sqlite":
        path = file_of(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        found = _look_file(fresh)
        _sync(fresh)
        fresh.replace(path)
        _sync(path.parent)
        return found
    schema = f"station-{station}"
    _run(url, "pg_restore", ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(source)])
    with _connected(url) as server:
        return _look_schema(server, schema)


def set_aside(url: str, *, station: str, mark: str) -> str:
    """Give what is there another name; nothing is deleted. Returns the name. Raises CopyError."""
    if kind_of(url) == "sqlite":
        path = file_of(url)
        aside = path.with_name(f"{path.name}.{mark}")
        for side in SIDE_FILES:
            part = path.with_name(path.name + side)
            if part.exists():
                part.rename(aside.with_name(aside.name + side))
        _sync(path.parent)
        return str(aside)
    name = f"{mark}.{station}"  # 63 octets are room for the longest of both
    with _connected(url) as server:
        rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
        server.execute(rename.format(sql.Identifier(f"station-{station}"), sql.Identifier(name)))
        server.commit()
    return name


def _copy_file(source: Path, to: Path) -> Contents:
    if not source.is_file():
        raise CopyError(f"{source}: there is no such file")
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout=5000")
            connection.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        raise CopyError(f"{source} cannot be copied: {error}") from None
    to.chmod(0o600)
    _sync(to)
    return _look_file(to)


def _look_file(path: Path) -> Contents:
    """What is in a file that is whole. Raises CopyError."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            (sound,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if sound != "ok":
                raise CopyError(f"{path} is damaged: {sound}")
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: _number(connection, name) for name in sorted(names) if not name.startswith("sqlite_")}
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            head = connection.execute("SELECT seq, digest FROM audit_head").fetchone()
    except sqlite3.Error as error:
        raise CopyError(f"{path} is no database of a station: {error}") from None
    return Contents(kind="sqlite", revision=_first(revision), rows=rows, head=_head(head))


def _number(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608 - a name of our own
    return int(count)


def _dump(url: str, schema: str, to: Path) -> Contents:
    with _connected(url) as server:
        server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        (snapshot,) = server.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        found = _look_schema(server, schema)
        what = ["--format=custom", "--no-owner", "--no-privileges", f'--schema="{schema}"', f"--snapshot={snapshot}"]
        to.touch(mode=0o600)
        _run(url, "pg_dump", [*what, f"--file={to}"])
    _sync(to)
    return found


def _look_schema(server: "psycopg.Connection[tuple[object, ...]]", schema: str) -> Contents:
    names = server.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", (schema,)
    ).fetchall()
    if not names:
        raise CopyError(f"there is nothing of {schema} in the database")

    def one(query: str, table: str) -> tuple[object, ...] | None:
        made = sql.SQL(query).format(sql.Identifier(schema, table))
        return server.execute(made).fetchone()

    rows = {str(name): int(str((one("SELECT count(*) FROM {}", str(name)) or (0,))[0])) for (name,) in names}
    revision = one("SELECT version_num FROM {}", "alembic_version")
    head = one("SELECT seq, digest FROM {}", "audit_head")
    return Contents(kind="postgresql", revision=_first(revision), rows=rows, head=_head(head))


def _first(row: tuple[object, ...] | None) -> str:
    return "" if row is None else str(row[0])


def _head(row: tuple[object, ...] | None) -> tuple[int, str]:
    return (0, "") if row is None else (int(str(row[0])), str(row[1]))


@contextmanager
def _connected(url: str) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
    try:
        with psycopg.connect(_dsn(url)) as server:
            yield server
    except psycopg.Error as error:
        raise CopyError(f"the database cannot be read: {str(error).strip()}") from None


def _dsn(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _run(url: str, program: str, arguments: list[str]) -> None:
    """Run one of PostgreSQL's own programs against the database at `url`. Raises CopyError."""
    with tempfile.TemporaryDirectory() as folder:
        service = Path(folder) / "service"
        known = conninfo_to_dict(_dsn(url))
        service.touch(mode=0o600)
        service.write_text("[it]\n" + "".join(f"{name}={value}\n" for name, value in known.items()))
        database = ["--dbname=service=it"]
        done = subprocess.run(
            [str(_program(program)), *database, *arguments],
            env={**os.environ, "PGSERVICEFILE": str(service)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CopyError(f"{program}: {said[0] if said else f'ended with {done.returncode}'}")


def _program(name: str) -> Path:
    """The newest one that is there: it reads servers of older versions, and not of newer ones. Raises CopyError."""
    versions = [path for path in DEBIAN.glob(f"*/bin/{name}") if path.parts[-3].isdecimal()]
    if versions:
        return max(versions, key=lambda path: int(path.parts[-3]))
    found = shutil.which(name)
    if found is None:
        raise CopyError(f"{name} is not here: apt-get install postgresql-client")
    return Path(found)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
