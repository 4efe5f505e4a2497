"""Reading and writing the alarm tables. Never commits."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Final

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.sql.dml import Update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as sqlselect

from api.alarms.models import (
    AlarmAnswer,
    AlarmAttachment,
    AlarmDispatch,
    AlarmErrand,
    AlarmRecord,
    AlarmRequest,
    AlarmTransfer,
    PartRecord,
    StepRecord,
)
from api.alarms.rules import ACKNOWLEDGEABLE, HANDLED, OPEN, Outcome, Part, State
from api.database import Bulk
from api.ingest.models import Gateway
from broker.kinds import Kind

ALARM: Final[Table] = SQLModel.metadata.tables["alarm"]
PART: Final[Table] = SQLModel.metadata.tables["alarm_event"]
STEP: Final[Table] = SQLModel.metadata.tables["alarm_step"]
ANSWER: Final[Table] = SQLModel.metadata.tables["alarm_answer"]
REQUEST: Final[Table] = SQLModel.metadata.tables["alarm_request"]

_ALARM_FIELDS: Final = tuple(field.name for field in fields(AlarmRecord))
_PART_FIELDS: Final = tuple(field.name for field in fields(PartRecord))
_STEP_FIELDS: Final = tuple(field.name for field in fields(StepRecord))
_OPENING: Final = (
    "id", "key", "kind", "state", "mark", "verified", "reason", "late", "place", "group", "door", "label", "unit",
    "gateway",
    "at_ms", "clock", "age_ms", "happened_ms", "received_ms", "presses", "cancelled_ms", "acknowledged_ms",
    "acknowledged_by", "version", "source", "group_known", "consent", "excluded", "incident", "raised_by", "words",
    "address", "whereabouts", "lat_e6", "lon_e6", "accuracy_m", "ring", "during_drill", "quiet",
)  # fmt: skip
"""Columns that may have a value when an alarm is opened."""

_ADD_ALARM: Final = Bulk("alarm", _OPENING)
_ADD_PART: Final = Bulk("alarm_event", _PART_FIELDS)
_ADD_STEP: Final = Bulk("alarm_step", _STEP_FIELDS)
_alarm_values: Final = attrgetter(*_ADD_ALARM.names)
_part_values: Final = attrgetter(*_PART_FIELDS)
_step_values: Final = attrgetter(*_STEP_FIELDS)
_CHANGING: Final = ("state", "verified", "happened_ms", "presses", "cancelled_ms", "version", "ring", "quiet")
"""Columns of an alarm that later events change."""

_ALARMS: Final = select(*(ALARM.c[name] for name in _ALARM_FIELDS))
_PARTS: Final = select(*(PART.c[name] for name in _PART_FIELDS))
_BY_KEYS: Final = _ALARMS.where(ALARM.c.key.in_(bindparam("keys", expanding=True))).order_by(ALARM.c.number)
_WAITING: Final = _PARTS.where(PART.c.alarm.is_(None), PART.c.key.in_(bindparam("keys", expanding=True)))
_HEADS: Final = (
    select(ALARM.c.place, ALARM.c.incident, func.max(ALARM.c.happened_ms).label("happened_ms"))
    .where(
        ALARM.c.place.in_(bindparam("places", expanding=True)),
        ALARM.c.incident.is_not(None),
        ALARM.c.happened_ms >= bindparam("since"),
    )
    .group_by(ALARM.c.place, ALARM.c.incident)
    .order_by(func.max(ALARM.c.happened_ms))
)
_HEAD: Final = (
    select(ALARM.c.place, ALARM.c.incident, ALARM.c.happened_ms)
    .where(ALARM.c.place == bindparam("at"), ALARM.c.incident.is_not(None), ALARM.c.happened_ms >= bindparam("since"))
    .order_by(ALARM.c.happened_ms.desc())
    .limit(1)
)
_FEW: Final = 8
"""Of so many places each is asked for its last one: a place in a storm has thousands."""
_BY_KEYS_LOCKED: Final = _BY_KEYS.with_for_update()
_ANY_WAITING: Final = select(PART.c.event).where(PART.c.alarm.is_(None), PART.c.part == Part.ANSWER.value).limit(1)
_SAVE: Final = (
    update(ALARM)
    .where(ALARM.c.id == bindparam("this_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_ACKNOWLEDGE: Final = (
    update(ALARM)
    .where(ALARM.c.id == bindparam("this_id"), ALARM.c.state.in_([state.value for state in ACKNOWLEDGEABLE]))
    .values(
        acknowledged_ms=bindparam("at"), acknowledged_by=bindparam("by"), owner=bindparam("by"),
        state=State.ACKNOWLEDGED.value,
    )
)  # fmt: skip
_THIS: Final = _ALARMS.where(ALARM.c.id == bindparam("this_id"))
_JOINED: Final = _ALARMS.where(
    ALARM.c.id.in_(select(PART.c.alarm).where(PART.c.event == bindparam("this_id"), PART.c.part == Part.PRESS.value))
)
_PARTS_OF: Final = (
    _PARTS.where(PART.c.alarm == bindparam("this_id"), PART.c.part == bindparam("this_part"))
    .order_by(PART.c.received_ms, PART.c.event)
)  # fmt: skip
_ALL_OF: Final = _PARTS.where(PART.c.alarm == bindparam("this_id")).order_by(PART.c.received_ms, PART.c.event)
_ATTACH: Final = (
    update(PART)
    .where(PART.c.event == bindparam("this_event"))
    .values(alarm=bindparam("new_alarm"), part=bindparam("new_part"))
)


@lru_cache(maxsize=256)
def _change_of(*columns: str) -> Update:
    values = {name: bindparam(f"new_{name}", type_=ALARM.c[name].type) for name in columns}
    return update(ALARM).where(ALARM.c.id == bindparam("this_id")).values(values)


def _new(columns: Mapping[str, object]) -> dict[str, object]:
    return {f"new_{name}": value for name, value in columns.items()}


def by_keys(session: Session, keys: Collection[str]) -> list[AlarmRecord]:
    """Every alarm with one of these keys, oldest first; nobody else changes them until the transaction ends."""
    rows = session.connection().execute(_BY_KEYS_LOCKED, {"keys": [*keys]})
    return [AlarmRecord(**row) for row in rows.mappings()]


def last_incidents(session: Session, places: Collection[str], *, since_ms: int) -> dict[str, tuple[str, int]]:
    """The incident of the newest alarm of each of these places since then that is part of one, and when it happened."""
    connection = session.connection()
    if len(places) > _FEW:
        rows = connection.execute(_HEADS, {"places": [*places], "since": since_ms}).all()
    else:
        each = [connection.execute(_HEAD, {"at": place, "since": since_ms}).first() for place in places]
        rows = [row for row in each if row is not None]
    return {row.place: (row.incident, row.happened_ms) for row in rows}


def of_incident(session: Session, incident: str) -> list[AlarmRecord]:
    """The alarms of one incident, oldest first."""
    return _alarms(session, _ALARMS.where(ALARM.c.incident == incident).order_by(ALARM.c.number))


def by_events(session: Session, events: Collection[str]) -> dict[str, AlarmRecord]:
    """The alarms that these presses opened or joined, by the event's id."""
    found = {alarm.id: alarm for alarm in _alarms(session, _ALARMS.where(ALARM.c.id.in_(events)))}
    joined = _ALARMS.add_columns(PART.c.event.label("press")).join(PART, PART.c.alarm == ALARM.c.id)
    presses = joined.where(PART.c.event.in_(events), PART.c.part == Part.PRESS.value)
    for row in session.connection().execute(presses).mappings():
        found.setdefault(row["press"], AlarmRecord(**{name: row[name] for name in _ALARM_FIELDS}))
    return found


def last_visible_of_unit(session: Session, unit: str) -> AlarmRecord | None:
    """The newest alarm of a unit that everybody may see: what a cancel without a number means."""
    hidden = (Kind.DURESS.value, Kind.UNVERIFIED.value)
    found = _ALARMS.where(ALARM.c.unit == unit, ALARM.c.kind.not_in(hidden))
    return _first(session, found.order_by(ALARM.c.number.desc()).limit(1))


def waiting(session: Session, keys: Collection[str]) -> list[PartRecord]:
    """Events that came before the press that they follow."""
    rows = session.connection().execute(_WAITING, {"keys": [*keys]})
    return [PartRecord(**row) for row in rows.mappings()]


def waiting_for(session: Session, beginnings: Collection[str]) -> list[PartRecord]:
    """What was said of presses before they came, by how its key begins."""
    if session.connection().execute(_ANY_WAITING).first() is None:
        return []
    found = _PARTS.where(PART.c.alarm.is_(None), or_(*(PART.c.key.startswith(one) for one in beginnings)))
    return _parts(session, found)


def add_answer(
    session: Session,
    alarm: str,
    *,
    place: str | None,
    answer: str | None,
    at_ms: int,
    event: str | None = None,
    account: str | None = None,
) -> None:
    """Write what a neighbour said; without an answer, that somebody is there."""
    values = {"alarm": alarm, "place": place, "answer": answer, "event": event, "account": account, "at_ms": at_ms}
    session.connection().execute(insert(ANSWER).values(**values))


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


def update_alarm(session: Session, alarm: str, columns: Mapping[str, object]) -> None:
    """Write columns of one alarm."""
    session.connection().execute(_change_of(*sorted(columns)), {"this_id": alarm, **_new(columns)})


def acknowledge(session: Session, alarm: str, *, officer: str, at_ms: int) -> bool:
    """Compare and set: True for the one who came first, whatever was read before."""
    done = session.connection().execute(_ACKNOWLEDGE, {"this_id": alarm, "at": at_ms, "by": officer})
    return done.rowcount == 1


def find(session: Session, id: str, *, lock: bool = False) -> AlarmRecord | None:  # noqa: A002 - an id is what it is
    """The alarm with this id, or the one that the press with this event id joined.

    `lock`: nobody else changes it until the transaction ends.
    """
    found = [_locked(_THIS, lock=lock), _locked(_JOINED, lock=lock)]
    ways = (_alarms(session, one, {"this_id": id}) for one in found)
    return next((alarm for way in ways for alarm in way), None)


def by_ids(session: Session, ids: Collection[str]) -> list[AlarmRecord]:
    """The alarms with these ids."""
    return _alarms(session, _ALARMS.where(ALARM.c.id.in_(ids)))


def parts(session: Session, alarm: str, part: Part | None = None) -> list[PartRecord]:
    """The events of an alarm, in the order in which they came."""
    if part is None:
        return _parts(session, _ALL_OF, {"this_id": alarm})
    return _parts(session, _PARTS_OF, {"this_id": alarm, "this_part": part.value})


def steps(session: Session, alarm: str) -> list[StepRecord]:
    """What was done about an alarm, in order."""
    found = select(*(STEP.c[name] for name in _STEP_FIELDS)).where(STEP.c.alarm == alarm).order_by(STEP.c.number)
    return [StepRecord(**row) for row in session.connection().execute(found).mappings()]


def dispatches(session: Session, alarm: str) -> list[AlarmDispatch]:
    """Who was sent to an alarm, in order."""
    found = sqlselect(AlarmDispatch).where(col(AlarmDispatch.alarm) == alarm).order_by(col(AlarmDispatch.number))
    return [*session.exec(found)]


def transfers(session: Session, alarm: str) -> list[AlarmTransfer]:
    """Whom an alarm was offered to, shared with or reported to, in order."""
    found = sqlselect(AlarmTransfer).where(col(AlarmTransfer.alarm) == alarm)
    return [*session.exec(found.order_by(col(AlarmTransfer.at_ms), col(AlarmTransfer.id)))]


def answers(session: Session, alarm: str) -> list[AlarmAnswer]:
    """What neighbours said, in order."""
    found = sqlselect(AlarmAnswer).where(col(AlarmAnswer.alarm) == alarm).order_by(col(AlarmAnswer.number))
    return [*session.exec(found)]


def attachments(session: Session, alarm: str) -> list[AlarmAttachment]:
    """The files of an alarm, in order."""
    found = sqlselect(AlarmAttachment).where(col(AlarmAttachment.alarm) == alarm)
    return [*session.exec(found.order_by(col(AlarmAttachment.at_ms), col(AlarmAttachment.id)))]


def newest_files(session: Session, *, limit: int) -> list[str]:
    """The digests of the newest files; none of a silent alarm's, so that what is said of them tells of none."""
    known = col(AlarmAttachment.alarm).in_(
        select(ALARM.c.id).where(ALARM.c.kind.not_in([Kind.DURESS.value, Kind.UNVERIFIED.value]))
    )
    found = sqlselect(AlarmAttachment.sha256).where(known).order_by(col(AlarmAttachment.at_ms).desc())
    return [*session.exec(found.limit(limit))]


def false_alarms(session: Session, place: str, *, but: str, since_ms: int) -> list[int]:
    """When others than `but` from this place were found to be false since then; duress is not counted."""
    found = select(ALARM.c.resolved_ms).where(
        ALARM.c.place == place,
        ALARM.c.outcome == Outcome.FALSE.value,
        ALARM.c.resolved_ms > since_ms,
        ALARM.c.id != but,
        ALARM.c.kind != Kind.DURESS.value,
    )
    return [*session.connection().execute(found).scalars()]


def has_open_errand(session: Session, place: str, what: str) -> bool:
    """Whether such an errand to this place waits already."""
    found = sqlselect(AlarmErrand).where(
        AlarmErrand.place == place, AlarmErrand.what == what, col(AlarmErrand.done_ms).is_(None)
    )
    return session.exec(found.limit(1)).first() is not None


def errands(session: Session, *, where: ColumnElement[bool], is_open: bool, limit: int) -> list[AlarmErrand]:
    """Errands of alarms that pass, newest first."""
    done = col(AlarmErrand.done_ms).is_(None) if is_open else col(AlarmErrand.done_ms).is_not(None)
    seen = select(ALARM.c.id).where(where)
    found = sqlselect(AlarmErrand).where(col(AlarmErrand.alarm).in_(seen), done)
    return [*session.exec(found.order_by(col(AlarmErrand.number).desc()).limit(limit))]


def errand(session: Session, id: str) -> AlarmErrand | None:  # noqa: A002 - an id is what it is
    """The errand of this id."""
    return session.exec(sqlselect(AlarmErrand).where(AlarmErrand.id == id)).first()


def near(
    session: Session, *, where: ColumnElement[bool], groups: Collection[str], from_ms: int, to_ms: int, limit: int
) -> list[AlarmRecord]:
    """Open alarms of these groups that happened in this time, oldest first."""
    found = _ALARMS.where(
        where,
        ALARM.c.group.in_(groups),
        ALARM.c.happened_ms.between(from_ms, to_ms),
        ALARM.c.state.in_([state.value for state in OPEN]),
    )
    return _alarms(session, found.order_by(ALARM.c.number).limit(limit))


def is_online(session: Session, gateway: str) -> bool:
    """Whether a gateway has a session with the broker, as far as we were told."""
    row = session.get(Gateway, gateway)
    return row is not None and row.online


def request(session: Session, account: str, key: str) -> AlarmRequest | None:
    """What this account asked for with this key."""
    return session.get(AlarmRequest, (account, key))


def keep_request(session: Session, account: str, key: str, *, digest: str, alarm: str, at_ms: int) -> None:
    """Remember what was asked with this key."""
    session.add(AlarmRequest(account=account, key=key, digest=digest, alarm=alarm, at_ms=at_ms))
    session.flush()


def forget_requests(session: Session, *, before_ms: int) -> None:
    """Forget what nobody asks again."""
    session.connection().execute(delete(REQUEST).where(REQUEST.c.at_ms < before_ms))


def page(
    session: Session,
    *,
    where: ColumnElement[bool],
    below: int | None,
    states: Collection[State],
    limit: int,
    place: str | None = None,
    ids: Collection[str] | None = None,
) -> list[AlarmRecord]:
    """Alarms with numbers below `below`, of `place` and among `ids` where they are given, newest first."""
    found = _ALARMS.where(where, ALARM.c.state.in_([state.value for state in states]))
    if ids is not None:
        found = found.where(ALARM.c.id.in_(ids))
    if place is not None:
        found = found.where(ALARM.c.place == place)
    if below is not None:
        found = found.where(ALARM.c.number < below)
    return _alarms(session, found.order_by(ALARM.c.number.desc()).limit(limit))


def acknowledged_presses(session: Session, gateway: str, *, since_ms: int) -> list[tuple[AlarmRecord, str]]:
    """Event ids of presses that came through `gateway`, with their alarms, acknowledged since then."""
    found = (
        _ALARMS.add_columns(PART.c.event.label("press"))
        .join(PART, PART.c.alarm == ALARM.c.id)
        .where(
            ALARM.c.state.in_([state.value for state in HANDLED]),
            ALARM.c.acknowledged_ms >= since_ms,
            PART.c.gateway == gateway,
            PART.c.part == Part.PRESS.value,
        )
        .order_by(ALARM.c.number)
    )
    rows = session.connection().execute(found).mappings()
    return [(AlarmRecord(**{name: row[name] for name in _ALARM_FIELDS}), row["press"]) for row in rows]


def _alarms(
    session: Session, found: Select[*tuple[object, ...]], asked: Mapping[str, object] | None = None
) -> list[AlarmRecord]:
    return [AlarmRecord(**row) for row in session.connection().execute(found, asked).mappings()]


@lru_cache(maxsize=16)
def _locked(found: Select[*tuple[object, ...]], *, lock: bool) -> Select[*tuple[object, ...]]:
    return found.with_for_update() if lock else found


def _first(session: Session, found: Select[*tuple[object, ...]]) -> AlarmRecord | None:
    return next(iter(_alarms(session, found)), None)


def _parts(
    session: Session, found: Select[*tuple[object, ...]], asked: Mapping[str, object] | None = None
) -> list[PartRecord]:
    return [PartRecord(**row) for row in session.connection().execute(found, asked).mappings()]
