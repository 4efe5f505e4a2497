"""Reading and writing complaints. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, func, or_, update
from sqlmodel import Session, col, select

from api.accounts.models import Account, AccountGrant
from api.accounts.rules import State
from api.complaints.models import Complaint
from api.complaints.rules import Way
from api.database import table_of
from api.rights.rules import Role

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


def due(session: Session, station: str, *, now_ms: int) -> Sequence[Complaint]:
    """Those without an answer at which the clock is to look, in the order in which they came."""
    found = select(Complaint).where(
        Complaint.station == station, col(Complaint.climbs_ms) <= now_ms, col(Complaint.answered_ms).is_(None)
    )
    return session.exec(found.order_by(col(Complaint.number))).all()


def is_anyone_unheard(session: Session, station: str) -> bool:
    """Whether there is one without an answer of which nobody was told."""
    found = select(Complaint.number).where(
        Complaint.station == station, col(Complaint.told).is_(None), col(Complaint.answered_ms).is_(None)
    )
    return session.exec(found.limit(1)).first() is not None


def holding(session: Session, roles: Collection[Role], areas: Collection[str], *, at_ms: int) -> list[tuple[Role, str]]:
    """Active accounts that hold one of these roles over one of these areas at a moment, each with the role."""
    found = (
        select(AccountGrant.role, AccountGrant.account)
        .join(Account, col(Account.id) == col(AccountGrant.account))
        .where(
            col(AccountGrant.role).in_([role.value for role in roles]),
            col(AccountGrant.scope).in_([*areas]),
            AccountGrant.from_ms <= at_ms,
            or_(col(AccountGrant.to_ms).is_(None), col(AccountGrant.to_ms) > at_ms),
            Account.state == State.ACTIVE.value,
        )
    )
    return [(Role(role), account) for role, account in session.exec(found)]


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
