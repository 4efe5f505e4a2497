"""Reading and writing the alarm tables. Never commits."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from api.alarms.models import Alarm, AlarmEvent, AlarmStep
from api.alarms.rules import ACKNOWLEDGEABLE, Part, State
from broker.kinds import Kind


def by_keys(session: Session, keys: Collection[str]) -> Sequence[Alarm]:
    """Every alarm with one of these keys, oldest first."""
    return session.exec(select(Alarm).where(col(Alarm.key).in_(keys)).order_by(col(Alarm.number))).all()


def last_visible_of_unit(session: Session, unit: str) -> Alarm | None:
    """The newest alarm of a unit that everybody may see: what a cancel without a number means."""
    found = select(Alarm).where(Alarm.unit == unit, Alarm.kind != Kind.DURESS, Alarm.kind != Kind.UNVERIFIED)
    return session.exec(found.order_by(col(Alarm.number).desc()).limit(1)).first()


def waiting(session: Session, keys: Collection[str]) -> Sequence[AlarmEvent]:
    """Events that came before the press that they follow."""
    found = select(AlarmEvent).where(col(AlarmEvent.alarm).is_(None), col(AlarmEvent.key).in_(keys))
    return session.exec(found).all()


def add(session: Session, rows: Iterable[Alarm | AlarmEvent | AlarmStep]) -> None:
    """Insert rows now, so that what refers to them may follow."""
    session.add_all(rows)
    session.flush()


def acknowledge(session: Session, alarm: Alarm, *, officer: str, at_ms: int) -> bool:
    """Compare and set: True for the one who came first, whatever was read before."""
    done = session.connection().execute(
        update(Alarm)
        .where(col(Alarm.id) == alarm.id, col(Alarm.state).in_(ACKNOWLEDGEABLE))
        .values(
            state=State.ACKNOWLEDGED, acknowledged_ms=at_ms, acknowledged_by=officer, version=col(Alarm.version) + 1
        )
    )
    assert isinstance(done, CursorResult)
    session.expire(alarm)
    return bool(done.rowcount == 1)


def find(session: Session, id: str) -> Alarm | None:  # noqa: A002 - an id is what it is
    """The alarm with this id, or the one that the press with this event id joined."""
    alarm = session.exec(select(Alarm).where(Alarm.id == id)).first()
    if alarm is not None:
        return alarm
    joined = select(Alarm).join(AlarmEvent, col(AlarmEvent.alarm) == col(Alarm.id)).where(AlarmEvent.event == id)
    return session.exec(joined).first()


def events(session: Session, alarm: str, part: Part | None = None) -> Sequence[AlarmEvent]:
    """The events of an alarm, in the order in which they came."""
    found = select(AlarmEvent).where(AlarmEvent.alarm == alarm)
    if part is not None:
        found = found.where(AlarmEvent.part == part)
    return session.exec(found.order_by(col(AlarmEvent.received_ms), col(AlarmEvent.event))).all()


def steps(session: Session, alarm: str) -> Sequence[AlarmStep]:
    """What was done about an alarm, in order."""
    return session.exec(select(AlarmStep).where(AlarmStep.alarm == alarm).order_by(col(AlarmStep.number))).all()


def page(session: Session, *, below: int | None, state: State | None, limit: int) -> Sequence[Alarm]:
    """Alarms with numbers below `below`, newest first."""
    found = select(Alarm)
    if below is not None:
        found = found.where(col(Alarm.number) < below)
    if state is not None:
        found = found.where(Alarm.state == state)
    return session.exec(found.order_by(col(Alarm.number).desc()).limit(limit)).all()


def acknowledged_presses(session: Session, gateway: str, *, since_ms: int) -> Sequence[tuple[Alarm, AlarmEvent]]:
    """Presses that came through `gateway`, of alarms acknowledged since then: what its lamps should show."""
    found = (
        select(Alarm, AlarmEvent)
        .join(AlarmEvent, col(AlarmEvent.alarm) == col(Alarm.id))
        .where(
            Alarm.state == State.ACKNOWLEDGED,
            col(Alarm.acknowledged_ms) >= since_ms,
            AlarmEvent.gateway == gateway,
            AlarmEvent.part == Part.PRESS,
        )
        .order_by(col(Alarm.number))
    )
    return session.exec(found).all()
