"""Reading and writing help calls. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from api.alarms.rules import OPEN
from api.helps.models import HelpCall, HelpTold

ALARM = SQLModel.metadata.tables["alarm"]


def add(session: Session, *rows: HelpCall | HelpTold) -> None:
    """Insert them."""
    session.add_all(rows)
    session.flush()


def by_key(session: Session, account: str, key: str) -> HelpCall | None:
    """What this account asked for with this key."""
    return session.exec(select(HelpCall).where(HelpCall.account == account, HelpCall.key == key)).first()


def last_of(session: Session, account: str) -> HelpCall | None:
    """The last press of this account."""
    asked = select(HelpCall).where(HelpCall.account == account).order_by(col(HelpCall.number).desc())
    return session.exec(asked.limit(1)).first()


def of_alarm(session: Session, alarm: str) -> HelpCall | None:
    """The last press of an alarm; None: it is no help call."""
    asked = select(HelpCall).where(HelpCall.alarm == alarm).order_by(col(HelpCall.number).desc())
    return session.exec(asked.limit(1)).first()


def told_of(session: Session, alarm: str) -> Sequence[HelpTold]:
    """Who was told of it."""
    return session.exec(select(HelpTold).where(HelpTold.alarm == alarm).order_by(col(HelpTold.guard))).all()


def calls(*, police: bool, account: str, companies: Collection[str], only_open: bool) -> SelectOfScalar[HelpCall]:
    """The last press of each alarm that concerns somebody: all for police, else his own, his company's, told ones."""
    ways: list[ColumnElement[bool]] = [
        col(HelpCall.account) == account,
        col(HelpCall.company).in_(companies),
        col(HelpCall.alarm).in_(select(HelpTold.alarm).where(HelpTold.account == account)),
    ]
    newest = select(func.max(HelpCall.number)).group_by(col(HelpCall.alarm))
    found = select(HelpCall).join(ALARM, ALARM.c.id == HelpCall.alarm).where(col(HelpCall.number).in_(newest))
    if not police:
        found = found.where(or_(*ways))
    if only_open:
        found = found.where(ALARM.c.state.in_([state.value for state in OPEN]))
    return found
