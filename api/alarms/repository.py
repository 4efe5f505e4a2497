"""Reading and writing the alarm tables. Never commits."""

from collections.abc import Collection, Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Final

from sqlalchemy import Select, Table, bindparam, select, update
from sqlmodel import Session, SQLModel

from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.rules import ACKNOWLEDGEABLE, Part, State
from api.database import Bulk
from broker.kinds import Kind

ALARM: Final[Table] = SQLModel.metadata.tables["alarm"]
PART: Final[Table] = SQLModel.metadata.tables["alarm_event"]
STEP: Final[Table] = SQLModel.metadata.tables["alarm_step"]

_ALARM_FIELDS: Final = tuple(field.name for field in fields(AlarmRecord))
_PART_FIELDS: Final = tuple(field.name for field in fields(PartRecord))
_STEP_FIELDS: Final = tuple(field.name for field in fields(StepRecord))
_ADD_ALARM: Final = Bulk("alarm", [name for name in _ALARM_FIELDS if name != "number"])
_ADD_PART: Final = Bulk("alarm_event", _PART_FIELDS)
_ADD_STEP: Final = Bulk("alarm_step", _STEP_FIELDS)
_alarm_values: Final = attrgetter(*_ADD_ALARM.names)
_part_values: Final = attrgetter(*_PART_FIELDS)
_step_values: Final = attrgetter(*_STEP_FIELDS)
_CHANGING: Final = ("state", "verified", "happened_ms", "presses", "cancelled_ms", "version")
"""Columns of an alarm that later events change."""

_ALARMS: Final = select(*(ALARM.c[name] for name in _ALARM_FIELDS))
_PARTS: Final = select(*(PART.c[name] for name in _PART_FIELDS))
_BY_KEYS: Final = _ALARMS.where(ALARM.c.key.in_(bindparam("keys", expanding=True))).order_by(ALARM.c.number)
_WAITING: Final = _PARTS.where(PART.c.alarm.is_(None), PART.c.key.in_(bindparam("keys", expanding=True)))
_SAVE: Final = (
    update(ALARM)
    .where(ALARM.c.id == bindparam("this_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_ATTACH: Final = (
    update(PART)
    .where(PART.c.event == bindparam("this_event"))
    .values(alarm=bindparam("new_alarm"), part=bindparam("new_part"))
)


def by_keys(session: Session, keys: Collection[str]) -> list[AlarmRecord]:
    """Every alarm with one of these keys, oldest first."""
    rows = session.connection().execute(_BY_KEYS, {"keys": [*keys]})
    return [AlarmRecord(**row) for row in rows.mappings()]


def last_visible_of_unit(session: Session, unit: str) -> AlarmRecord | None:
    """The newest alarm of a unit that everybody may see: what a cancel without a number means."""
    hidden = (Kind.DURESS.value, Kind.UNVERIFIED.value)
    found = _ALARMS.where(ALARM.c.unit == unit, ALARM.c.kind.not_in(hidden))
    return _first(session, found.order_by(ALARM.c.number.desc()).limit(1))


def waiting(session: Session, keys: Collection[str]) -> list[PartRecord]:
    """Events that came before the press that they follow."""
    rows = session.connection().execute(_WAITING, {"keys": [*keys]})
    return [PartRecord(**row) for row in rows.mappings()]


def add_alarms(session: Session, alarms: Iterable[AlarmRecord]) -> None:
    """Insert alarms; the database numbers them."""
    _ADD_ALARM.insert(session, [_alarm_values(alarm) for alarm in alarms])


def save_alarms(session: Session, alarms: Iterable[AlarmRecord]) -> None:
    """Write what events changed about alarms."""
    rows = [{"this_id": alarm.id} | {f"new_{name}": getattr(alarm, name) for name in _CHANGING} for alarm in alarms]
    if rows:
        session.connection().execute(_SAVE, rows)


def add_parts(session: Session, parts: Iterable[PartRecord]) -> None:
    """Insert what belongs to alarms, or waits for one."""
    _ADD_PART.insert(session, [_part_values(part) for part in parts])


def attach(session: Session, parts: Iterable[PartRecord]) -> None:
    """Write that waiting events have found their alarm."""
    rows = [{"this_event": part.event, "new_alarm": part.alarm, "new_part": part.part} for part in parts]
    if rows:
        session.connection().execute(_ATTACH, rows)


def add_steps(session: Session, steps: Iterable[StepRecord]) -> None:
    """Insert what was done, in order."""
    _ADD_STEP.insert(session, [_step_values(step) for step in steps])


def acknowledge(session: Session, alarm: str, *, officer: str, at_ms: int) -> bool:
    """Compare and set: True for the one who came first, whatever was read before."""
    done = session.connection().execute(
        update(ALARM)
        .where(ALARM.c.id == alarm, ALARM.c.state.in_([state.value for state in ACKNOWLEDGEABLE]))
        .values(
            state=State.ACKNOWLEDGED.value,
            acknowledged_ms=at_ms,
            acknowledged_by=officer,
            version=ALARM.c.version + 1,
        )
    )
    return done.rowcount == 1


def find(session: Session, id: str) -> AlarmRecord | None:  # noqa: A002 - an id is what it is
    """The alarm with this id, or the one that the press with this event id joined."""
    alarm = _first(session, _ALARMS.where(ALARM.c.id == id))
    if alarm is not None:
        return alarm
    return _first(session, _ALARMS.join(PART, PART.c.alarm == ALARM.c.id).where(PART.c.event == id))


def parts(session: Session, alarm: str, part: Part | None = None) -> list[PartRecord]:
    """The events of an alarm, in the order in which they came."""
    found = _PARTS.where(PART.c.alarm == alarm)
    if part is not None:
        found = found.where(PART.c.part == part.value)
    return _parts(session, found.order_by(PART.c.received_ms, PART.c.event))


def steps(session: Session, alarm: str) -> list[StepRecord]:
    """What was done about an alarm, in order."""
    found = select(*(STEP.c[name] for name in _STEP_FIELDS)).where(STEP.c.alarm == alarm).order_by(STEP.c.number)
    return [StepRecord(**row) for row in session.connection().execute(found).mappings()]


def page(session: Session, *, below: int | None, state: State | None, limit: int) -> list[AlarmRecord]:
    """Alarms with numbers below `below`, newest first."""
    found = _ALARMS
    if below is not None:
        found = found.where(ALARM.c.number < below)
    if state is not None:
        found = found.where(ALARM.c.state == state.value)
    return _alarms(session, found.order_by(ALARM.c.number.desc()).limit(limit))


def acknowledged_presses(session: Session, gateway: str, *, since_ms: int) -> list[tuple[AlarmRecord, str]]:
    """Event ids of presses that came through `gateway`, with their alarms, acknowledged since then."""
    found = (
        _ALARMS.add_columns(PART.c.event.label("press"))
        .join(PART, PART.c.alarm == ALARM.c.id)
        .where(
            ALARM.c.state == State.ACKNOWLEDGED.value,
            ALARM.c.acknowledged_ms >= since_ms,
            PART.c.gateway == gateway,
            PART.c.part == Part.PRESS.value,
        )
        .order_by(ALARM.c.number)
    )
    rows = session.connection().execute(found).mappings()
    return [(AlarmRecord(**{name: row[name] for name in _ALARM_FIELDS}), row["press"]) for row in rows]


def _alarms(session: Session, found: Select[*tuple[object, ...]]) -> list[AlarmRecord]:
    return [AlarmRecord(**row) for row in session.connection().execute(found).mappings()]


def _first(session: Session, found: Select[*tuple[object, ...]]) -> AlarmRecord | None:
    return next(iter(_alarms(session, found)), None)


def _parts(session: Session, found: Select[*tuple[object, ...]]) -> list[PartRecord]:
    return [PartRecord(**row) for row in session.connection().execute(found).mappings()]
