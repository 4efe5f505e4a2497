"""Reading and writing staggered plans. Never commits."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from api.planner.models import Stagger


def add(session: Session, row: Stagger) -> Stagger:
    """Insert one; the database numbers it."""
    session.add(row)
    session.flush()
    return row


def find(session: Session, number: int) -> Stagger | None:
    """The one of this number."""
    return session.get(Stagger, number)


def page(session: Session, *, station: str, area: str, below: int | None, limit: int) -> Sequence[Stagger]:
    """Plans of an area, newest first."""
    found = select(Stagger).where(Stagger.station == station, Stagger.area == area)
    if below is not None:
        found = found.where(col(Stagger.number) < below)
    return session.exec(found.order_by(col(Stagger.number).desc()).limit(limit)).all()
