"""Reading and writing what is owed. Never commits."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Final

from sqlalchemy import Table, bindparam, func, or_, select, update
from sqlmodel import Session, SQLModel

from api.database import Bulk
from api.ingest.models import Gateway
from api.outgoing.models import OwedRecord

OUTGOING: Final[Table] = SQLModel.metadata.tables["outgoing"]
GATEWAY: Final[Table] = SQLModel.metadata.tables["gateway"]

_FIELDS: Final = tuple(field.name for field in fields(OwedRecord))
_ADD: Final = Bulk("outgoing", [name for name in _FIELDS if name != "number"] + ["state", "tries"])
_values: Final = attrgetter(*_ADD.names[:-2])
_LISTENING: Final = select(GATEWAY.c.id).where(GATEWAY.c.online.is_(True), GATEWAY.c.session.is_not(None))
_WAITING: Final = (
    select(*(OUTGOING.c[name] for name in _FIELDS))
    .where(
        OUTGOING.c.state == "waiting",
        OUTGOING.c.topic.not_in(bindparam("held", expanding=True)),
        or_(OUTGOING.c.command_to.is_(None), OUTGOING.c.command_to.in_(_LISTENING)),
    )
    .order_by(OUTGOING.c.number)
    .limit(bindparam("most"))
)
_SENT: Final = (
    update(OUTGOING)
    .where(OUTGOING.c.number == bindparam("this"))
    .values(
        state="sent",
        listened=bindparam("anybody"),
        sent_ms=bindparam("now"),
        tries=OUTGOING.c.tries + 1,
        trouble=None,
    )
)
_FAILED: Final = (
    update(OUTGOING)
    .where(OUTGOING.c.number == bindparam("this"))
    .values(tries=OUTGOING.c.tries + 1, trouble=bindparam("why"))
)


def add(session: Session, rows: Iterable[OwedRecord]) -> None:
    """Insert rows, in the order in which they will be sent."""
    _ADD.insert(session, [(*_values(row), "waiting", 0) for row in rows])


def waiting(session: Session, *, limit: int, held: Collection[str] = ()) -> list[OwedRecord]:
    """What can be sent now, oldest first: not to topics that are `held`, and commands only to gateways that listen."""
    rows = session.connection().execute(_WAITING, {"held": [*held], "most": limit})
    return [OwedRecord(**row) for row in rows.mappings()]


def alarms_commanded(session: Session, gateway: str) -> list[str | None]:
    """The alarms of which a command to this gateway waits."""
    found = select(OUTGOING.c.alarm).where(OUTGOING.c.state == "waiting", OUTGOING.c.command_to == gateway)
    return [*session.connection().execute(found).scalars()]


def how_many_waiting(session: Session) -> int:
    """How many messages have not been sent."""
    found = select(func.count()).select_from(OUTGOING).where(OUTGOING.c.state == "waiting")
    return session.connection().execute(found).scalar_one()


def mark_sent(session: Session, listened: Mapping[int, bool], *, sent_ms: int) -> None:
    """The broker has these (by number), and says whether anybody received them."""
    rows = [{"this": number, "anybody": anybody, "now": sent_ms} for number, anybody in listened.items()]
    if rows:
        session.connection().execute(_SENT, rows)


def mark_failed(session: Session, troubles: Mapping[int, str]) -> None:
    """The broker has not taken these (by number); they stay owed."""
    rows = [{"this": number, "why": trouble[:128]} for number, trouble in troubles.items()]
    if rows:
        session.connection().execute(_FAILED, rows)


def next_counters(session: Session, gateway: str, how_many: int) -> tuple[str, int] | None:
    """The gateway's session and the first of `how_many` counters, used up from now on; None without a session."""
    row = session.get(Gateway, gateway)
    if row is None or row.session is None:
        return None
    first = row.command_counter + 1
    row.command_counter += how_many
    session.flush()
    return row.session, first
