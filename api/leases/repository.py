"""Reading and writing leases. Never commits."""

from typing import Final

from sqlalchemy import Table, insert, select, update
from sqlmodel import Session, SQLModel

from api.leases.models import Lease
from api.leases.rules import Held

LEASE: Final[Table] = SQLModel.metadata.tables[str(Lease.__tablename__)]


def leases(session: Session, station: str) -> dict[str, Held]:
    """The leases of a station, by job."""
    found = select(LEASE.c.job, LEASE.c.holder, LEASE.c.term, LEASE.c.until_ms).where(LEASE.c.station == station)
    return {job: Held(*rest) for job, *rest in session.connection().execute(found)}


def put(session: Session, station: str, job: str, *, was: Held | None, now: Held) -> bool:
    """Compare and set: False when the lease is not any more what it was."""
    values = {"holder": now.holder, "term": now.term, "until_ms": now.until_ms}
    if was is None:
        session.connection().execute(insert(LEASE).values(station=station, job=job, **values))
        return True
    same = (LEASE.c.station == station, LEASE.c.job == job, LEASE.c.holder == was.holder, LEASE.c.term == was.term)
    return session.connection().execute(update(LEASE).where(*same).values(values)).rowcount == 1
