"""Reading and writing accounts at the broker. Never commits."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from api.brokers.models import BrokerAccount


def given(session: Session, station: str) -> Sequence[BrokerAccount]:
    """Every account that was ever given out here, by user name."""
    found = select(BrokerAccount).where(col(BrokerAccount.station) == station)
    return session.exec(found.order_by(col(BrokerAccount.user))).all()


def account(session: Session, station: str, user: str) -> BrokerAccount | None:
    """The account of this user name."""
    return session.get(BrokerAccount, (station, user))
