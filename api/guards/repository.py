"""Reading and writing guards and their duties. Never commits."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Select, Table, bindparam, func, or_
from sqlalchemy import select as ask
from sqlmodel import Session, SQLModel, col, select

from api.database import table_of
from api.guards.models import (
    Guard,
    GuardCard,
    GuardEmployment,
    GuardExcuse,
    GuardLeave,
    GuardPhoneOut,
    PatrolDuty,
    PatrolDutyMember,
    PatrolSuspension,
)
from api.guards.rules import DUTY_MOST_MS, Cause, Employment, Excuse, Serving, Tells, Told
from broker.tags import Enrolled, Known, Tag, faces

AT_ONCE = 500
"""How many values one question lists."""

_EMPLOYED = table_of(GuardEmployment)
_CARD = table_of(GuardCard)


def add(session: Session, row: SQLModel) -> None:
    """Insert a row; the database numbers it."""
    session.add(row)
    session.flush()


def portions(ids: Collection[str]) -> Iterator[list[str]]:
    """`ids`, in lists that a database takes in one question."""
    whole = sorted(set(ids))
    for begin in range(0, len(whole), AT_ONCE):
        yield whole[begin : begin + AT_ONCE]


def guards(session: Session, ids: Collection[str]) -> list[Guard]:
    """The guards of these ids."""
    return [
        row for portion in portions(ids) for row in session.exec(select(Guard).where(col(Guard.id).in_(portion))).all()
    ]


def written_as(session: Session, station: str, words: Collection[str]) -> dict[str, str]:
    """By service number, or else by a name that nobody else of the station has."""
    numbers: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for portion in portions(words):
        here = select(Guard).where(Guard.station == station)
        for row in session.exec(here.where(col(Guard.service_number).in_(portion))):
            numbers[row.service_number or ""] = row.id
        for row in session.exec(here.where(col(Guard.name).in_(portion))):
            names.setdefault(row.name or "", []).append(row.id)
    return {name: ids[0] for name, ids in names.items() if len(ids) == 1} | numbers


def of_areas(session: Session, areas: Collection[str]) -> set[str]:
    """Whoever belongs to these areas and has not left."""
    asked = [
        select(Guard.id).where(col(Guard.area).in_(portion), col(Guard.closed_ms).is_(None))
        for portion in portions(areas)
    ]
    return {id_ for one in asked for id_ in session.exec(one)}


def guard_of_account(session: Session, account: str) -> str | None:
    """The guard who signs in with this account."""
    return session.exec(select(Guard.id).where(Guard.account == account, col(Guard.closed_ms).is_(None))).first()


def employments(session: Session, ids: Collection[str]) -> dict[str, list[Employment]]:
    """Of each guard, in order."""
    found: dict[str, list[Employment]] = {}
    columns = _EMPLOYED.c.guard, _EMPLOYED.c.company, _EMPLOYED.c.from_ms, _EMPLOYED.c.to_ms
    for portion in portions(ids):
        asked = ask(*columns).where(_EMPLOYED.c.guard.in_(portion)).order_by(_EMPLOYED.c.from_ms)
        for guard, company, from_ms, to_ms in session.connection().execute(asked).all():
            found.setdefault(guard, []).append(Employment(company=company, from_ms=from_ms, to_ms=to_ms))
    return found


def of_company(session: Session, company: str, *, from_ms: int, to_ms: int) -> list[str]:
    """Guards of a company in a span."""
    rows = select(GuardEmployment.guard).where(
        GuardEmployment.company == company,
        GuardEmployment.from_ms < to_ms,
        or_(col(GuardEmployment.to_ms).is_(None), col(GuardEmployment.to_ms) > from_ms),
    )
    return sorted(set(session.exec(rows)))


def guard_of_card(session: Session, tag: Tag, at_ms: int) -> str | None:
    """Whose card it was, by any of the tag's faces that is nobody else's; None: nobody's, or of more than one."""
    low24 = faces(tag).low24
    same = GuardCard.tag == tag.value if low24 is None else GuardCard.low24 == low24
    rows = session.exec(
        select(GuardCard.tag, GuardCard.guard).where(
            same, GuardCard.from_ms <= at_ms, or_(col(GuardCard.to_ms).is_(None), col(GuardCard.to_ms) > at_ms)
        )
    ).all()
    whose = dict(rows)
    found = Enrolled(map(Tag, whose)).find(tag)
    return whose[found.tag.value] if isinstance(found, Known) else None


def cards_now(session: Session) -> list[str]:
    """Every tag that is somebody's card now, in the order of issue."""
    return [*session.exec(select(GuardCard.tag).where(col(GuardCard.to_ms).is_(None)).order_by(col(GuardCard.number)))]


def cards_mark(session: Session) -> tuple[int, int | None]:
    """How many cards are somebody's now, and the last of them: another one is issued by a higher number."""
    asked = select(func.count(), func.max(GuardCard.number)).where(col(GuardCard.to_ms).is_(None))
    many, last = session.exec(asked).one()
    return many, last


_CARD_COLUMNS: Final = _CARD.c.tag, _CARD.c.guard, _CARD.c.from_ms, _CARD.c.to_ms, _CARD.c.ended
_CARDS_BY: Final = {
    column: ask(*_CARD_COLUMNS).where(_CARD.c[column].in_(bindparam("values", expanding=True))).order_by(_CARD.c.number)
    for column in ("tag", "low24")
}


def cards(session: Session, tags: Collection[Tag]) -> list[tuple[str, str, int, int | None, str | None]]:
    """Every card that one of these tags may be, whole or by its last 24 bits, whoever had it whenever.

    Of each: tag, guard, from_ms, to_ms, ended.
    """
    long = {tag.value for tag in tags if faces(tag).low24 is None}
    cuts = {low24 for tag in tags if (low24 := faces(tag).low24) is not None}
    connection = session.connection()
    return [
        (tag, guard, from_ms, to_ms, ended)
        for column, values in (("tag", long), ("low24", cuts))
        for portion in portions(values)
        for tag, guard, from_ms, to_ms, ended in connection.execute(_CARDS_BY[column], {"values": portion}).all()
    ]


_DUTY = table_of(PatrolDuty)
_MEMBER = table_of(PatrolDutyMember)
_LEAVE = table_of(GuardLeave)
_EXCUSE = table_of(GuardExcuse)
_ORDER = table_of(PatrolSuspension)


def servings(
    session: Session,
    *,
    from_ms: int,
    to_ms: int,
    guards: Collection[str] | None = None,
    areas: Collection[str] | None = None,
) -> list[Serving]:
    """Times on duty lists that share a moment with a span."""
    asked = (
        ask(_MEMBER.c.guard, _MEMBER.c.from_ms, _MEMBER.c.to_ms, _DUTY.c.number, _DUTY.c.area, _DUTY.c.route,
               _DUTY.c.shift)
        .where(_MEMBER.c.duty == _DUTY.c.number, _MEMBER.c.from_ms < to_ms, _MEMBER.c.to_ms > from_ms,
               _MEMBER.c.to_ms <= to_ms + DUTY_MOST_MS, _MEMBER.c.to_ms > _MEMBER.c.from_ms)
        .order_by(_MEMBER.c.from_ms, _MEMBER.c.number)
    )  # fmt: skip
    if guards is not None:
        asked = asked.where(_MEMBER.c.guard.in_([*guards]))
    if areas is not None:
        asked = asked.where(_DUTY.c.area.in_([*areas]))
    return [
        Serving(duty=number, area=area, route=route, shift=shift, guard=guard, from_ms=begins, to_ms=ends)
        for guard, begins, ends, number, area, route, shift in session.connection().execute(asked).all()
    ]


def excused_by(session: Session, guard: str, evidence: str) -> bool:
    """Whether this evidence has excused the guard already."""
    found = select(GuardExcuse.number).where(GuardExcuse.guard == guard, GuardExcuse.evidence == evidence)
    return session.exec(found).first() is not None


def end_excuse(session: Session, guard: str, evidence: str, to_ms: int) -> None:
    """Cut what this evidence excuses; at least its first moment stays, so that it shows."""
    for row in session.exec(select(GuardExcuse).where(GuardExcuse.guard == guard, GuardExcuse.evidence == evidence)):
        row.to_ms = max(row.from_ms + 1, min(row.to_ms, to_ms))
        session.add(row)
    session.flush()


def excuses(session: Session, guards: Collection[str], *, from_ms: int, to_ms: int) -> dict[str, list[Excuse]]:
    """Of each of these guards, whatever excuses him and shares a moment with a span."""
    orders = select(PatrolSuspension).where(PatrolSuspension.from_ms < to_ms, PatrolSuspension.to_ms > from_ms)
    ordered = [
        Excuse(
            cause=Cause.SUSPENDED,
            from_ms=row.from_ms,
            to_ms=row.to_ms,
            evidence=f"suspension:{row.number}",
            areas=frozenset((row.area,)),
        )
        for row in session.exec(orders)
    ]
    found = {guard: [*ordered] for guard in guards}
    for some in portions(guards):
        written = select(GuardExcuse).where(
            col(GuardExcuse.guard).in_(some), GuardExcuse.from_ms < to_ms, GuardExcuse.to_ms > from_ms
        )
        for one in session.exec(written):
            found[one.guard].append(
                Excuse(cause=Cause(one.cause), from_ms=one.from_ms, to_ms=one.to_ms, evidence=one.evidence)
            )
        away = select(GuardLeave).where(
            col(GuardLeave.guard).in_(some), GuardLeave.from_ms < to_ms, GuardLeave.to_ms > from_ms
        )
        for leave in session.exec(away):
            found[leave.guard].append(
                Excuse(cause=Cause.LEAVE, from_ms=leave.from_ms, to_ms=leave.to_ms, evidence=f"leave:{leave.number}")
            )
    return found


def _after(table: Table, *columns: Column[Any]) -> Select[*tuple[Any, ...]]:
    rows: Select[*tuple[Any, ...]] = (
        ask(table.c.number, *columns).where(table.c.number > bindparam("heard")).order_by(table.c.number)
    )
    return rows.limit(bindparam("many"))


_DUTIES_AFTER: Final = _after(
    _MEMBER, _MEMBER.c.guard, _DUTY.c.area, _DUTY.c.route, _MEMBER.c.from_ms, _MEMBER.c.to_ms
).where(_MEMBER.c.duty == _DUTY.c.number)
_OF_GUARDS_AFTER: Final = {
    tells: _after(table, table.c.guard, table.c.from_ms, table.c.to_ms)
    for tells, table in ((Tells.LEAVE, _LEAVE), (Tells.EXCUSE, _EXCUSE))
}
_ORDERS_AFTER: Final = _after(_ORDER, _ORDER.c.area, _ORDER.c.from_ms, _ORDER.c.to_ms)


def told_after(session: Session, heard: Mapping[Tells, int], limit: int) -> list[Told]:
    """What was told about guards by rows of higher numbers than these, by kind and number."""
    connection = session.connection()

    def rows(asked: Select[*tuple[Any, ...]], tells: Tells) -> Sequence[tuple[Any, ...]]:
        return [*map(tuple, connection.execute(asked, {"heard": heard[tells], "many": limit}).all())]

    found = [Told(Tells.DUTY, *row) for row in rows(_DUTIES_AFTER, Tells.DUTY)]
    for tells, asked in _OF_GUARDS_AFTER.items():
        for number, guard, from_ms, to_ms in rows(asked, tells):
            found.append(Told(tells, number, guard, None, None, from_ms, to_ms))
    for number, area, from_ms, to_ms in rows(_ORDERS_AFTER, Tells.SUSPENSION):
        found.append(Told(Tells.SUSPENSION, number, None, area, None, from_ms, to_ms))
    return found


def phone_out(session: Session, guard: str, at_ms: int) -> GuardPhoneOut | None:
    """The last that was told of the guard's phone for a moment."""
    found = select(GuardPhoneOut).where(
        GuardPhoneOut.guard == guard, GuardPhoneOut.from_ms <= at_ms, GuardPhoneOut.to_ms > at_ms
    )
    return session.exec(found.order_by(col(GuardPhoneOut.number).desc())).first()


_PHONE: Final = table_of(GuardPhoneOut)
_PHONES_OUT: Final = ask(_PHONE.c.guard, _PHONE.c.from_ms, _PHONE.c.to_ms).where(
    _PHONE.c.guard.in_(bindparam("guards", expanding=True)),
    _PHONE.c.from_ms < bindparam("ends"),
    _PHONE.c.to_ms > bindparam("begins"),
)


def phones_out(session: Session, guards: Collection[str], *, from_ms: int, to_ms: int) -> list[tuple[str, int, int]]:
    """What was told of the phones of these guards that shares a moment with a span: guard, from_ms, to_ms."""
    span = {"begins": from_ms, "ends": to_ms}
    return [
        (guard, begins, ends)
        for portion in portions(guards)
        for guard, begins, ends in session.connection().execute(_PHONES_OUT, span | {"guards": portion}).all()
    ]


def leave_at(session: Session, guard: str, *, from_ms: int, to_ms: int) -> Sequence[GuardLeave]:
    """Leave of a guard that shares a moment with a span."""
    found = select(GuardLeave).where(GuardLeave.guard == guard, GuardLeave.from_ms < to_ms, GuardLeave.to_ms > from_ms)
    return session.exec(found.order_by(col(GuardLeave.from_ms))).all()
