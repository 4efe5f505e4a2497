"""Reading and writing orders. Never commits."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import select as ask
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from api.alarms.models import AlarmDispatch
from api.database import table_of
from api.orders.models import AlarmOrder

_ORDER: Final = table_of(AlarmOrder)
_AWAITED: Final = ask(_ORDER.c.guard).where(_ORDER.c.ended_ms.is_(None), _ORDER.c.check_in.is_(None))


def add(session: Session, row: AlarmOrder) -> AlarmOrder:
    """Insert one, or write it anew; the database numbers it."""
    session.add(row)
    session.flush()
    return row


def find(session: Session, number: int) -> AlarmOrder | None:
    """The one of this number."""
    return session.get(AlarmOrder, number)


def dispatch_of(session: Session, row: AlarmOrder) -> AlarmDispatch:
    """How he was sent: on the way and on scene stand there."""
    return session.get_one(AlarmDispatch, row.dispatch)


def of_alarm(session: Session, alarm: str) -> Sequence[AlarmOrder]:
    """All to this alarm, in order."""
    return session.exec(select(AlarmOrder).where(AlarmOrder.alarm == alarm).order_by(col(AlarmOrder.number))).all()


def open_to(session: Session, alarm: str) -> Sequence[AlarmOrder]:
    """Those to this alarm that have not ended."""
    found = select(AlarmOrder).where(AlarmOrder.alarm == alarm, col(AlarmOrder.ended_ms).is_(None))
    return session.exec(found.order_by(col(AlarmOrder.number))).all()


def open_of(session: Session, guards: Collection[str]) -> Sequence[AlarmOrder]:
    """Those to these guards that have not ended."""
    found = select(AlarmOrder).where(col(AlarmOrder.ended_ms).is_(None), col(AlarmOrder.guard).in_(guards))
    return session.exec(found.order_by(col(AlarmOrder.number))).all()


def still_open(session: Session) -> Sequence[AlarmOrder]:
    """All that have not ended: few, however many guards there are."""
    found = select(AlarmOrder).where(col(AlarmOrder.ended_ms).is_(None))
    return session.exec(found.order_by(col(AlarmOrder.number))).all()


def awaited(session: Session) -> set[str]:
    """The guards with an order that has not ended and that no check-in has proved yet: nearly always nobody."""
    return set(session.connection().scalars(_AWAITED))


def due(session: Session, now_ms: int, *, limit: int) -> Sequence[AlarmOrder]:
    """Those that should have been answered, as they were due."""
    found = select(AlarmOrder).where(col(AlarmOrder.due_ms) <= now_ms)
    return session.exec(found.order_by(col(AlarmOrder.due_ms), col(AlarmOrder.number)).limit(limit)).all()


def orders(*, only_open: bool) -> SelectOfScalar[AlarmOrder]:
    """All of them, or those that have not ended."""
    found = select(AlarmOrder)
    return found.where(col(AlarmOrder.ended_ms).is_(None)) if only_open else found
