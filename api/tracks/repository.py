"""Reading and writing what is still to be looked at for suspicions. Never commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, func, select
from sqlmodel import Session

from api.database import Bulk, table_of
from api.tracks.models import SuspicionDue

DAY_MS: Final = 86_400_000
_DUE: Final = table_of(SuspicionDue)
_ADD: Final = Bulk("suspicion_due", ["guard", "at_ms", "heard_ms"])
_DONE: Final = delete(_DUE).where(
    _DUE.c.guard == bindparam("of"),
    _DUE.c.at_ms >= bindparam("from_ms"),
    _DUE.c.at_ms <= bindparam("to_ms"),
    _DUE.c.number <= bindparam("last"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a guard checked in on one day (UTC) and nobody looked at: from when to when, up to the row `last`."""

    guard: str
    from_ms: int
    to_ms: int
    last: int


def add(session: Session, rows: Sequence[tuple[str, int, int]]) -> None:
    """Insert (guard, at_ms, heard_ms) before the commit."""
    _ADD.later(session, rows)


def due(session: Session, *, heard_ms: int, limit: int) -> list[Due]:
    """Days of guards of which something was heard until then, longest waiting first."""
    rows = session.connection().execute(
        select(_DUE.c.guard, func.min(_DUE.c.at_ms), func.max(_DUE.c.at_ms), func.max(_DUE.c.number))
        .group_by(_DUE.c.guard, _DUE.c.at_ms // DAY_MS)
        .having(func.min(_DUE.c.heard_ms) <= heard_ms)
        .order_by(func.min(_DUE.c.number))
        .limit(limit)
    )
    return [Due(guard=guard, from_ms=from_ms, to_ms=to_ms, last=last) for guard, from_ms, to_ms, last in rows]


def done(session: Session, looked_at: Sequence[Due]) -> None:
    """Take these away; what came in meanwhile stays."""
    session.connection().execute(
        _DONE, [{"of": one.guard, "from_ms": one.from_ms, "to_ms": one.to_ms, "last": one.last} for one in looked_at]
    )
