"""Taking what was erased out of the files of a PostgreSQL as well: `shouwang scrub`, in a quiet hour.

Theory:

1. A row that is deleted or changed stays in its page until the page is used again, in the indexes, in what ANALYZE
   wrote down of frequent values, and in the log. VACUUM does not overwrite; it only says that there is room.
2. `VACUUM (FULL)` writes a table and its indexes anew and ends the old files. It has the table for itself meanwhile, so
   it is done while no station runs: gateways ring by themselves and keep what they would have told it.
3. The log is never deleted at once: segments that a checkpoint leaves behind are kept under names of segments to come,
   as they are. They are written over here with nothing (`pg_logical_emit_message`), until none is left that was written
   before; twice, since the one in which it began becomes such a one itself.
4. What the server keeps for others (standbys, slots, archives, base backups) and free blocks of the disk are out of its
   reach, and so is whatever this account may not do; it is said and not passed over (`Rewritten.left`).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from api.database.errors import DatabaseError

STATISTICS: Final = "pg_catalog.pg_statistic"
LOG: Final = "the log (pg_wal)"
SLOTS: Final = "what replication slots keep of the log"
ARCHIVE: Final = "archived segments of the log"
LOCK_S: Final = 5
"""Whoever has a table longer than that is not waited for."""
SEGMENTS_MOST: Final = 256
"""More is not written over at a time: 4 GiB of the usual size."""
PIECE: Final = 8 << 20
"""Octets of one message in the log."""

_FILES: Final[LiteralString] = "SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
_HERE: Final[LiteralString] = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"


@dataclass(slots=True)
class Rewritten:
    """What was done. `tables`: with their octets afterwards; `left`: what was not, and why."""

    tables: dict[str, int] = field(default_factory=dict)
    log_bytes: int = 0
    left: dict[str, str] = field(default_factory=dict)


def rewrite(
    url: str, *, station: str, tables: Collection[str], tell: Callable[[str], None] = lambda _table: None
) -> Rewritten:
    """Write these tables of a station anew, and the log over. Raises DatabaseError. Nothing of the station runs."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, autocommit=True, options=f"-c lock_timeout={LOCK_S}s") as server:
            done = Rewritten()
            schema = f"station-{station}"
            there = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", (schema,))
            for (name,) in there.fetchall():
                if name in tables:
                    tell(name)
                    _table(server, schema, name, done)
            _try(server, done, STATISTICS, sql.SQL("VACUUM (FULL) pg_catalog.pg_statistic"))
            _log(server, done)
            return done
    except psycopg.Error as error:
        raise DatabaseError(
            f"the tables cannot be rewritten: {error.diag.message_primary or 'no connection'}"
        ) from None


def _table(server: psycopg.Connection, schema: str, name: str, done: Rewritten) -> None:
    place = sql.Identifier(schema, name)
    if _try(server, done, name, sql.SQL("VACUUM (FULL, ANALYZE) {}").format(place)):
        size = server.execute("SELECT pg_total_relation_size(%s::regclass)", (place.as_string(server),)).fetchone()
        done.tables[name] = 0 if size is None else int(size[0])


def _try(server: psycopg.Connection, done: Rewritten, what: str, statement: sql.SQL | sql.Composed) -> bool:
    """Do it, or say why it is left. A VACUUM that may not do something only warns: that counts as left, too."""
    warned: list[str] = []

    def hear(said: psycopg.errors.Diagnostic) -> None:
        if said.severity_nonlocalized == "WARNING" and said.message_primary:
            warned.append(said.message_primary)

    server.add_notice_handler(hear)
    try:
        server.execute(statement)
    except psycopg.Error as error:
        if server.closed:
            raise
        warned.append(error.diag.message_primary or type(error).__name__)
    finally:
        server.remove_notice_handler(hear)
    if warned:
        done.left[what] = warned[0]
    return not warned


def _log(server: psycopg.Connection, done: Rewritten) -> None:
    if _number(server, "SELECT count(*) FROM pg_replication_slots"):
        done.left[SLOTS] = "as long as a slot needs them"
    if _number(server, "SELECT count(*) FROM pg_settings WHERE name = 'archive_mode' AND setting <> 'off'"):
        done.left[ARCHIVE] = "they are where the archive is"
    size = _number(server, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")
    try:
        for _ in range(2):
            server.execute("CHECKPOINT")
            here = str(server.execute(_HERE).fetchone()[0])  # type: ignore[index] # it has one row
            old = max((str(name) for (name,) in server.execute(_FILES)), default=here)
            written = 0
            while str(server.execute(_HERE).fetchone()[0]) <= old:  # type: ignore[index] # as above
                if written > SEGMENTS_MOST * size:
                    done.left[LOG] = f"more than {SEGMENTS_MOST} segments of it are kept"
                    return
                server.execute("SELECT pg_logical_emit_message(false, 'shouwang', repeat(' ', %s))", (PIECE,))
                written += PIECE
                done.log_bytes += PIECE
    except psycopg.Error as error:
        if server.closed:
            raise
        done.left[LOG] = error.diag.message_primary or type(error).__name__


def _number(server: psycopg.Connection, asked: LiteralString) -> int:
    row = server.execute(asked).fetchone()
    return 0 if row is None else int(row[0])
