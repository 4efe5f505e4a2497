"""Taking a gateway's journal out of its file while it runs, as of one moment.

The gateway has its file for itself (locking_mode=EXCLUSIVE), so that no other connection can read it; the files are
copied instead, first the database and then its log. What a checkpoint writes into the first meanwhile stands in the
second as well, as long as the log was not begun anew in between: its head says so (two salts), and then it is copied
again. What is torn at the log's end SQLite leaves out by its checksums; it was confirmed to nobody.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import journal
from gateway.journal import Damaged, JournalError

TRIES: Final = 20
_LOG_HEAD: Final = 32
"""Octets of the head of a log: magic, version, page size, number, two salts, checksums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journalled:
    """What is in a journal."""

    epoch: str
    seq: int
    digest: str
    """The head of its chain, hexadecimal."""
    events: int
    """With their content."""
    owed: int
    """Without the station's receipt."""


def copy_out(source: Path, to: Path) -> Journalled:
    """Write the journal at `source` to the new file `to`. Raises Damaged; JournalError where it never stands still."""
    for _ in range(TRIES):
        if _copy_once(source, to):
            return look(to)
    raise JournalError(source, "could not be copied: it changes too fast")


def look(path: Path) -> Journalled:
    """What is in a journal that nobody has open, every row and the whole chain. Raises Damaged or Refused."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            (sound,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if sound != "ok":
                raise Damaged(path, f"is damaged: {sound}")
            if version != journal.SCHEMA:
                raise journal.newer(path, version)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            bad = journal.first_changed(_rows(db))
            if bad is not None:
                raise Damaged(path, f"event {bad} is not as it was written")
            epoch = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
            last = db.execute("SELECT seq, head FROM event ORDER BY seq DESC LIMIT 1").fetchone()
            events = db.execute("SELECT count(*) FROM event WHERE payload IS NOT NULL").fetchone()[0]
            owed = db.execute("SELECT count(*) FROM delivery WHERE target = 'station'").fetchone()[0]
    except sqlite3.Error as error:
        raise Damaged(path, f"is no journal: {error}") from None
    seq, digest = (0, journal.GENESIS) if last is None else last
    return Journalled(epoch=str(epoch[0]), seq=seq, digest=bytes(digest).hex(), events=events, owed=owed)


def _rows(db: sqlite3.Connection) -> Iterator[tuple[int, bytes | None, bytes, bytes, bytes]]:
    yield from db.execute("SELECT seq, payload, salt, leaf, head FROM event ORDER BY seq")


def _copy_once(source: Path, to: Path) -> bool:
    """Copy both files; whether the log is still the one that it was at the beginning."""
    log, copied = (path.with_name(path.name + "-wal") for path in (source, to))
    before = _log_head(log)
    shutil.copyfile(source, to)
    copied.unlink(missing_ok=True)
    if log.exists():
        shutil.copyfile(log, copied)
    return before == _log_head(copied) == _log_head(log)


def _log_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LOG_HEAD)
    except FileNotFoundError:
        return b""
