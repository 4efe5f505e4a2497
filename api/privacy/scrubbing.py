"""`shouwang scrub`: what periods and erasures took out of the tables, taken out of the database's files as well.

A SQLite station does it by itself after each erasure. A server cannot without locking its tables, so there it is a step
of its own, while the station is ended (`api.database.rewriting`).

    StationRuns     .where: it would wait for its tables
"""

import json
from dataclasses import asdict

from sqlalchemy.engine import make_url

from api.database.errors import DatabaseError
from api.database.rewriting import Rewritten, rewrite
from api.privacy import rules
from api.restoring import who_runs


class StationRuns(Exception):
    """Somebody has the tables. Field: `where`."""

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(f"the station runs on {where}: end it first; gateways ring and keep meanwhile")


def scrub(url: str, *, station: str, now_ms: int) -> Rewritten:
    """Rewrite every table in which something personal may stand. Raises StationRuns or DatabaseError."""
    if make_url(url).get_backend_name() != "postgresql":
        raise DatabaseError("a SQLite station does this by itself, after each erasure")
    where = who_runs(url, station=station, now_ms=now_ms)
    if where is not None:
        raise StationRuns(where)
    _, tables = rules.register()
    return rewrite(url, station=station, tables={name for name, rule in tables.items() if rule.personal})


def as_text(found: Rewritten) -> str:
    """For whoever keeps the server: what was done, and what is left to him."""
    size = sum(found.tables.values()) / 2**20
    lines = [f"{len(found.tables)} tables rewritten, {size:.1f} MiB; {found.log_bytes >> 20} MiB of log written over"]
    lines += [f"left: {what}: {why} / 未清除" for what, why in found.left.items()]
    return "\n".join(lines)


def as_json(found: Rewritten) -> str:
    """The same for programs."""
    return json.dumps(asdict(found), ensure_ascii=False)
