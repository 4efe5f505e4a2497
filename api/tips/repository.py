"""Reading and writing warnings and tips. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import func
from sqlmodel import Session, col, select

from api.tips.models import Tip, TipArea, TipRead


def add(session: Session, tip: Tip, areas: Collection[str]) -> Tip:
    """Insert one with its areas; the database numbers it."""
    session.add(tip)
    session.flush()
    assert tip.number is not None
    session.add_all(TipArea(tip=tip.number, area=area) for area in sorted(areas))
    session.flush()
    return tip


def find(session: Session, number: int) -> Tip | None:
    """The one of this number."""
    return session.get(Tip, number)


def page(
    session: Session, *, areas: Collection[str] | None, shown_at: int | None, below: int | None, limit: int
) -> Sequence[Tip]:
    """Newest first: those for one of `areas` (None: any), and with `shown_at` only those shown then."""
    found = select(Tip)
    if areas is not None:
        found = found.where(col(Tip.number).in_(select(TipArea.tip).where(col(TipArea.area).in_(areas))))
    if shown_at is not None:
        found = found.where(Tip.from_ms <= shown_at, Tip.expires_ms > shown_at, col(Tip.withdrawn_ms).is_(None))
    if below is not None:
        found = found.where(col(Tip.number) < below)
    return session.exec(found.order_by(col(Tip.number).desc()).limit(limit)).all()


def begun(session: Session, *, after_ms: int, until_ms: int) -> Sequence[Tip]:
    """Those that began in this time, and are still shown at its end."""
    found = select(Tip).where(
        Tip.from_ms > after_ms, Tip.from_ms <= until_ms, Tip.expires_ms > until_ms, col(Tip.withdrawn_ms).is_(None)
    )
    return session.exec(found.order_by(col(Tip.number))).all()


def areas(session: Session, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The areas that each of these is for."""
    found: dict[int, tuple[str, ...]] = dict.fromkeys(numbers, ())
    rows = select(TipArea).where(col(TipArea.tip).in_(numbers)).order_by(col(TipArea.tip), col(TipArea.area))
    for row in session.exec(rows):
        found[row.tip] += (row.area,)
    return found


def reads(session: Session, numbers: Collection[int]) -> dict[int, int]:
    """In how many places each of these was read."""
    rows = select(TipRead.tip, func.count()).where(col(TipRead.tip).in_(numbers)).group_by(col(TipRead.tip))
    return dict(session.exec(rows).all())


def read(session: Session, number: int, places: Collection[str], *, now_ms: int) -> None:
    """Note that it was read at these places; the first time counts."""
    for place in sorted(places):
        if session.get(TipRead, (number, place)) is None:
            session.add(TipRead(tip=number, place=place, read_ms=now_ms))
    session.flush()
