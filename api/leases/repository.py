"""Reading and writing leases. Never commits."""

from typing import Final

from sqlalchemy import Table, insert, select, update
from sqlmodel import Session, SQLModel

from api.leases.models import Lease
from api.leases.rules import Held

LEASE: Final[Table] = SQLModel.metadata.tables[str(Lease.__tablename__)]


def find(session: Session, station: str, job: str) -> Held | None:
    """The lease of a job."""
    found = select(LEASE.c.holder, LEASE.c.term, LEASE.c.until_ms)
    row = session.connection().execute(found.where(LEASE.c.station == station, LEASE.c.job == job)).first()
    return None if row is None else Held(*row)


def put(session: Session, station: str, job: str, *, was: Held | None, now: Held) -> bool:
    """Compare and set: False when the lease is not any more what it was."""
    values = {"holder": now.holder, "term": now.term, "until_ms": now.until_ms}
    if was is None:
        session.connection().execute(insert(LEASE).values(station=station, job=job, **values))
        return True
    same = (LEASE.c.station == station, LEASE.c.job == job, LEASE.c.holder == was.holder, LEASE.c.term == was.term)
    return session.connection().execute(update(LEASE).where(*same).values(values)).rowcount == 1
