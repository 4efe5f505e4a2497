"""Finding and taking away what is personal, table by table as the field register says. Never commits."""

import json
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, RowMapping, Select, Table, and_, delete, func, or_, select, tuple_, update
from sqlmodel import Session, SQLModel

from api.privacy.rules import MOVED_OUT, VACANT, Rule, Then

AT_ONCE: Final = 500
ERASED: Final = "erased"
"""Stands in a JSON object of which only some keys were kept."""


def table(name: str) -> Table:
    """The table of this name."""
    return SQLModel.metadata.tables[name]


def blank(column: Column[Any]) -> str | None:
    """What stands where something was taken away."""
    return None if column.nullable else ""


def _select_due(rule: Rule, before_ms: int) -> Select[Any]:
    here = table(rule.table)
    found = select(here).where(_due(here, rule, before_ms))
    return found.where(_filled(rule)) if rule.then is Then.BLANK else found


def any_due(session: Session, rule: Rule, *, before_ms: int) -> bool:
    """Whether anything in a table is past its period."""
    return session.connection().execute(_select_due(rule, before_ms).limit(1)).first() is not None


def take_due(session: Session, rule: Rule, *, before_ms: int, now_ms: int) -> list[RowMapping]:
    """Blank or delete at most AT_ONCE rows that are due. Returns those rows as they were."""
    here = table(rule.table)
    rows = [*session.connection().execute(_select_due(rule, before_ms).limit(AT_ONCE)).mappings()]
    if rows:
        _take(session, here, rule, rows, now_ms=now_ms)
    return rows


def take_where(session: Session, rule: Rule, *where: ColumnElement[bool], now_ms: int) -> None:
    """Take what is personal out of these rows, whenever they are due."""
    here, more = table(rule.table), True
    blanks = (_filled(rule),) if rule.then is Then.BLANK else ()
    while more:
        rows = [*session.connection().execute(select(here).where(*where, *blanks).limit(AT_ONCE)).mappings()]
        if rows:
            _take(session, here, rule, rows, now_ms=now_ms)
        more = len(rows) == AT_ONCE


def _take(session: Session, here: Table, rule: Rule, rows: Sequence[RowMapping], *, now_ms: int) -> None:
    keys = [*here.primary_key.columns]
    these = tuple_(*keys).in_([tuple(row[key.name] for key in keys) for row in rows])
    if rule.then is Then.DELETE:
        session.connection().execute(delete(here).where(these))
        return
    values: dict[str, Any] = {name: blank(here.c[name]) for name in rule.personal if name not in rule.keep}
    if "erased_ms" in here.c:
        values["erased_ms"] = now_ms
    if values:
        session.connection().execute(update(here).where(these).values(values))
    for row in rows if rule.keep else ():
        kept = {name: _kept(row[name], keep) for name, keep in rule.keep.items() if row[name]}
        if kept:
            this = and_(*(key == row[key.name] for key in keys))
            session.connection().execute(update(here).where(this).values(kept))


def _kept(text: str, keep: Collection[str]) -> str:
    said = json.loads(text)
    left = {key: value for key, value in said.items() if key in keep} if isinstance(said, dict) else {}
    return json.dumps(left | {ERASED: True}, ensure_ascii=False, sort_keys=True)


def _due(here: Table, rule: Rule, before_ms: int) -> ColumnElement[bool]:
    since = rule.since
    assert since is not None, "the register was checked"
    if since.column == MOVED_OUT:
        return _moved_out(here, before_ms)
    if since.column == VACANT:
        return _replaced_or_vacant(here, before_ms)
    if since.table is None:
        return here.c[since.column] <= before_ms
    there = table(since.table)
    (key,) = there.primary_key.columns if since.table != "alarm" else (there.c.id,)
    old = select(key).where(there.c[since.column] <= before_ms)
    return here.c[str(since.key)].in_(old)


def _moved_out(here: Table, before_ms: int) -> ColumnElement[bool]:
    occupancy = table("occupancy")
    same = and_(occupancy.c.station == here.c.station, occupancy.c.occupant == here.c.id)
    still = select(occupancy.c.number).where(same, occupancy.c.to_ms.is_(None)).exists()
    last = select(func.max(occupancy.c.to_ms)).where(same).scalar_subquery()
    return and_(~still, func.coalesce(last, here.c.since_ms) <= before_ms)


def _replaced_or_vacant(here: Table, before_ms: int) -> ColumnElement[bool]:
    occupancy = table("occupancy")
    same = and_(occupancy.c.station == here.c.station, occupancy.c.place == here.c.place)
    still = select(occupancy.c.number).where(same, occupancy.c.to_ms.is_(None)).exists()
    last = select(func.max(occupancy.c.to_ms)).where(same).scalar_subquery()
    return or_(here.c.to_ms <= before_ms, and_(here.c.to_ms.is_(None), ~still, last <= before_ms))


def _filled(rule: Rule) -> ColumnElement[bool]:
    """Whether anything is there that is to go."""
    here, found = table(rule.table), []
    for name in rule.personal:
        column = here.c[name]
        if name in rule.keep:
            found.append(and_(column.is_not(None), ~column.contains(f'"{ERASED}"', autoescape=True)))
        else:
            found.append(column.is_not(None) if column.nullable else column != "")
    return or_(*found)


def rows(session: Session, name: str, *where: ColumnElement[bool], order: str | None = None) -> list[RowMapping]:
    """Rows of a table."""
    here = table(name)
    found = select(here).where(*where)
    if order is not None:
        found = found.order_by(here.c[order])
    return [*session.connection().execute(found).mappings()]


def delete_where(session: Session, name: str, *where: ColumnElement[bool]) -> int:
    """Take rows away."""
    return session.connection().execute(delete(table(name)).where(*where)).rowcount


def set_where(session: Session, name: str, values: dict[str, Any], *where: ColumnElement[bool]) -> int:
    """Set values."""
    return session.connection().execute(update(table(name)).where(*where).values(values)).rowcount
