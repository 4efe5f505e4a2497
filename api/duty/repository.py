"""Reading and writing the roster, desks and sheets. Never commits."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import BigInteger, bindparam, func, or_, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, SQLModel, col, select

from api.accounts.models import Account, AccountGrant
from api.accounts.rules import State
from api.duty.models import DutyLeave, DutyShift, Handover, LiveDesk
from api.duty.rules import Leave, Shift
from api.rights.rules import Role

_SHIFT: Final = SQLModel.metadata.tables["duty_shift"]
_AT: Final = bindparam("at", type_=BigInteger)
_AREAS: Final = (
    sql_select(_SHIFT.c.area)
    .where(
        _SHIFT.c.role == bindparam("role"), _SHIFT.c.from_ms <= _AT, or_(_SHIFT.c.to_ms.is_(None), _SHIFT.c.to_ms > _AT)
    )
    .distinct()
)
_DESK: Final = SQLModel.metadata.tables["live_desk"]
_ATTENDED: Final = (
    sql_select(_DESK.c.name)
    .where(_DESK.c.station == bindparam("station"), _DESK.c.seen_ms > bindparam("since", type_=BigInteger))
    .limit(1)
)


def shifts(
    session: Session, *, role: Role | None = None, areas: Collection[str] | None = None, at_ms: int | None = None,
    below: int | None = None, limit: int | None = None,
) -> Sequence[DutyShift]:  # fmt: skip
    """Shifts, newest first: of one role, for one of these areas, good at a moment."""
    found = select(DutyShift)
    if role is not None:
        found = found.where(DutyShift.role == role.value)
    if areas is not None:
        found = found.where(col(DutyShift.area).in_([*areas]))
    if at_ms is not None:
        ends = or_(col(DutyShift.to_ms).is_(None), col(DutyShift.to_ms) > at_ms)
        found = found.where(DutyShift.from_ms <= at_ms, ends)
    if below is not None:
        found = found.where(col(DutyShift.number) < below)
    return session.exec(found.order_by(col(DutyShift.number).desc()).limit(limit)).all()


def areas_with_shifts(session: Session, *, role: Role, at_ms: int) -> set[str]:
    """The areas for which anybody is on the roster of a role at a moment."""
    return {*session.connection().execute(_AREAS, {"role": role.value, "at": at_ms}).scalars()}


def same_shift(session: Session, shift: DutyShift) -> DutyShift | None:
    """A shift that says the same and has not been ended otherwise."""
    names = ("account", "role", "area", "zone", "weekdays", "starts_min", "lasts_min", "from_ms", "to_ms", "deputy_of")
    found = select(DutyShift).where(*(getattr(DutyShift, name) == getattr(shift, name) for name in names))
    return session.exec(found).first()


def shift(session: Session, number: int) -> DutyShift | None:
    """The shift of this number."""
    return session.get(DutyShift, number)


def leaves(
    session: Session, *, accounts: Collection[str] | None = None, ends_after_ms: int | None = None,
    below: int | None = None, limit: int | None = None,
) -> Sequence[DutyLeave]:  # fmt: skip
    """Leaves, newest first: of these accounts, not over before a moment."""
    found = select(DutyLeave)
    if accounts is not None:
        found = found.where(col(DutyLeave.account).in_([*accounts]))
    if ends_after_ms is not None:
        found = found.where(DutyLeave.to_ms > ends_after_ms)
    if below is not None:
        found = found.where(col(DutyLeave.number) < below)
    return session.exec(found.order_by(col(DutyLeave.number).desc()).limit(limit)).all()


def leave(session: Session, number: int) -> DutyLeave | None:
    """The leave of this number."""
    return session.get(DutyLeave, number)


def same_leave(session: Session, leave: DutyLeave) -> DutyLeave | None:
    """A leave that says the same."""
    names = ("account", "stand_in", "from_ms", "to_ms")
    found = select(DutyLeave).where(*(getattr(DutyLeave, name) == getattr(leave, name) for name in names))
    return session.exec(found).first()


def is_active(session: Session, account: str) -> bool:
    """Whether there is an account of this id that is in use."""
    return (
        session.exec(select(Account.id).where(Account.id == account, Account.state == State.ACTIVE.value)).first()
        is not None
    )


def holding(session: Session, accounts: Collection[str], *, role: Role, areas: Collection[str], at_ms: int) -> set[str]:
    """Those of `accounts` that are active and hold `role` over one of `areas` at that moment."""
    found = (
        select(AccountGrant.account)
        .join(Account, col(Account.id) == col(AccountGrant.account))
        .where(
            col(AccountGrant.account).in_([*accounts]),
            AccountGrant.role == role.value,
            col(AccountGrant.scope).in_([*areas]),
            AccountGrant.from_ms <= at_ms,
            or_(col(AccountGrant.to_ms).is_(None), col(AccountGrant.to_ms) > at_ms),
            Account.state == State.ACTIVE.value,
        )
    )
    return {*session.exec(found)}


def beat(session: Session, station: str, desk: str, *, account: str, now_ms: int) -> LiveDesk:
    """Note that a desk is attended."""
    row = session.get(LiveDesk, (station, desk))
    if row is None:
        row = LiveDesk(station=station, name=desk, account=account, since_ms=now_ms, seen_ms=now_ms, beats=1)
        session.add(row)
    else:
        if row.account != account:
            row.account, row.since_ms = account, now_ms
        row.seen_ms = now_ms
        row.beats += 1
    session.flush()
    return row


def desks(session: Session, station: str, *, since_ms: int) -> Sequence[LiveDesk]:
    """Desks that were heard of since then."""
    found = select(LiveDesk).where(LiveDesk.station == station, LiveDesk.seen_ms > since_ms)
    return session.exec(found.order_by(col(LiveDesk.name))).all()


def is_attended(session: Session, station: str, *, since_ms: int) -> bool:
    """Whether any desk was heard of since then."""
    asked = {"station": station, "since": since_ms}
    return session.connection().execute(_ATTENDED, asked).first() is not None


def beats(session: Session, station: str) -> int:
    """How often any desk of this station was heard of."""
    return session.exec(select(func.coalesce(func.sum(LiveDesk.beats), 0)).where(LiveDesk.station == station)).one()


def handovers(session: Session, station: str, *, below: int | None, limit: int) -> Sequence[Handover]:
    """Sheets, newest first."""
    found = select(Handover).where(Handover.station == station)
    if below is not None:
        found = found.where(col(Handover.number) < below)
    return session.exec(found.order_by(col(Handover.number).desc()).limit(limit)).all()


def handover(session: Session, station: str, number: int) -> Handover | None:
    """The sheet of this number."""
    found = session.get(Handover, number)
    return found if found is not None and found.station == station else None


def open_handover(session: Session, station: str, *, giver: str, taker: str) -> Handover | None:
    """The sheet between these two that is not signed by both yet."""
    found = select(Handover).where(
        Handover.station == station, Handover.giver == giver, Handover.taker == taker, col(Handover.done_ms).is_(None)
    )
    return session.exec(found.order_by(col(Handover.number).desc())).first()


def claim(session: Session, number: int, *, version: int) -> bool:
    """Compare and set: True when the sheet was of this version, which is used up now."""
    done = session.connection().execute(
        update(Handover).where(col(Handover.number) == number, col(Handover.version) == version)
        .values(version=version + 1)
    )  # fmt: skip
    return done.rowcount == 1


def add(session: Session, row: DutyShift | DutyLeave | Handover) -> None:
    """Insert a row; the database numbers it."""
    session.add(row)
    session.flush()


def as_shift(row: DutyShift) -> Shift:
    """A row as rules take it."""
    return Shift(
        account=row.account,
        role=Role(row.role),
        area=row.area,
        zone=row.zone,
        from_ms=row.from_ms,
        to_ms=row.to_ms,
        weekdays=frozenset(int(day) for day in row.weekdays),
        starts_min=row.starts_min,
        lasts_min=row.lasts_min,
        deputy_of=row.deputy_of,
    )


def as_leave(row: DutyLeave) -> Leave:
    """A row as rules take it."""
    return Leave(account=row.account, from_ms=row.from_ms, to_ms=row.to_ms, stand_in=row.stand_in)
