"""Reading and writing complaints. Never commits."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, or_, update
from sqlmodel import Session, col, select

from api.complaints.models import Complaint
from api.complaints.rules import Way
from api.database import table_of

_TABLE = table_of(Complaint)


def add(session: Session, row: Complaint) -> None:
    """Insert one; the database numbers it."""
    session.add(row)
    session.flush()


def find(session: Session, number: int) -> Complaint | None:
    """The one of this number."""
    return session.get(Complaint, number)


def by_code(session: Session, code: str) -> Complaint | None:
    """The one of this code."""
    return session.exec(select(Complaint).where(Complaint.code == code)).one_or_none()


def lately(session: Session, area: str, *, since_ms: int) -> int:
    """How many came over the board of an area since then."""
    found = select(func.count()).where(
        Complaint.area == area, Complaint.made_ms > since_ms, Complaint.way == Way.BOARD.value
    )
    return session.exec(found).one()


def page(
    session: Session, *, where: Sequence[ColumnElement[bool]], still: bool, below: int | None, limit: int
) -> Sequence[Complaint]:
    """Those that one of these conditions lets be seen, newest first."""
    found = select(Complaint).where(or_(*where))
    if still:
        found = found.where(col(Complaint.answered_ms).is_(None))
    if below is not None:
        found = found.where(col(Complaint.number) < below)
    return session.exec(found.order_by(col(Complaint.number).desc()).limit(limit)).all()


def move(session: Session, row: Complaint, values: dict[str, object]) -> bool:
    """Compare and set: write `values` unless somebody else was faster; the row is read anew."""
    done = session.connection().execute(
        update(_TABLE)
        .where(_TABLE.c.number == row.number, _TABLE.c.version == row.version)
        .values(**values, version=row.version + 1)
    )
    session.refresh(row)
    return done.rowcount == 1
