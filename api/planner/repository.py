"""Reading and writing staggered plans. Never commits."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlmodel import Session, col, select

from api.planner.models import Stagger, StaggerPlan

BESIDE_MOST: Final = 500


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


def beside(
    session: Session, areas: Collection[str], *, station: str, from_ms: int, to_ms: int, below: int | None
) -> Sequence[Stagger]:
    """Plans of these areas that touch a time, newest first; `below`: only those that were there before this one."""
    found = select(Stagger).where(
        Stagger.station == station, col(Stagger.area).in_(areas), Stagger.starts_ms < to_ms, Stagger.ends_ms > from_ms
    )
    if below is not None:
        found = found.where(col(Stagger.number) < below)
    return session.exec(found.order_by(col(Stagger.number).desc()).limit(BESIDE_MOST)).all()


def plans(session: Session, numbers: Collection[int]) -> list[StaggerPlan]:
    """What these became, in the order of the plans."""
    found = select(StaggerPlan).where(col(StaggerPlan.stagger).in_(numbers))
    return [*session.exec(found.order_by(col(StaggerPlan.plan)))]


def add_plan(session: Session, row: StaggerPlan) -> None:
    """Write down that it became this plan."""
    session.add(row)
    session.flush()
