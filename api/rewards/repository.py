"""Reading and writing rewards and the fund. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, or_
from sqlmodel import Session, SQLModel, col, select

from api.rewards.models import Reward, RewardFund, RewardStep


def add(session: Session, row: SQLModel) -> None:
    """Insert a row."""
    session.add(row)
    session.flush()


def find(session: Session, number: int) -> Reward | None:
    """The reward of this number."""
    return session.get(Reward, number)


def of_event(session: Session, station: str, event: str) -> Reward | None:
    """The reward for an event."""
    return session.exec(select(Reward).where(Reward.station == station, Reward.event == event)).first()


def steps(session: Session, number: int) -> list[RewardStep]:
    """What was done, in order."""
    rows = select(RewardStep).where(RewardStep.reward == number).order_by(col(RewardStep.number))
    return [*session.exec(rows)]


def page(
    session: Session,
    station: str,
    *,
    guards: Collection[str],
    companies: Collection[str],
    areas: Collection[str] | None,
    below: int | None,
    limit: int,
) -> Sequence[Reward]:
    """Newest first: of these guards, companies or areas (None: everywhere)."""
    found = select(Reward).where(Reward.station == station)
    if areas is not None:
        of = (col(Reward.guard).in_([*guards]), col(Reward.company).in_([*companies]), col(Reward.area).in_([*areas]))
        found = found.where(or_(*of))
    if below is not None:
        found = found.where(col(Reward.number) < below)
    return session.exec(found.order_by(col(Reward.number).desc()).limit(limit)).all()


def balance_fen(session: Session, station: str) -> int:
    """What the fund's rows add up to."""
    found = session.exec(select(func.sum(RewardFund.amount_fen)).where(RewardFund.station == station)).first()
    return int(found or 0)


def paid_in(session: Session, station: str, reference: str) -> bool:
    """Whether money was put in on this paper already."""
    rows = select(RewardFund.number).where(RewardFund.station == station, RewardFund.reference == reference)
    return session.exec(rows).first() is not None
