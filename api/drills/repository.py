"""Reading and writing drills and absences; looking up what readiness is made of. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, or_
from sqlmodel import Session, SQLModel, col, select

from api.alarms.models import Alarm, AlarmAnswer
from api.drills.models import Away, Drill, DrillUnit
from api.drills.rules import DAY_MS, Span
from api.ingest.models import Fault, Gateway
from broker.kinds import Kind, Mark

_ALARM = SQLModel.metadata.tables[str(Alarm.__tablename__)]


def add(session: Session, drill: Drill, units: Collection[str]) -> Drill:
    """Insert one with its units; the database numbers it."""
    session.add(drill)
    session.flush()
    assert drill.number is not None
    session.add_all(DrillUnit(drill=drill.number, unit=unit) for unit in sorted(units))
    session.flush()
    return drill


def find(session: Session, number: int) -> Drill | None:
    """The one of this number."""
    return session.get(Drill, number)


def units(session: Session, numbers: Collection[int]) -> dict[int, frozenset[str]]:
    """The units that each of these names."""
    found: dict[int, frozenset[str]] = dict.fromkeys(numbers, frozenset())
    for row in session.exec(select(DrillUnit).where(col(DrillUnit.drill).in_(numbers))):
        found[row.drill] |= {row.unit}
    return found


def page(
    session: Session, *, groups: Collection[str], after_ms: int | None, below: int | None, limit: int
) -> Sequence[Drill]:
    """Drills of these groups, newest first; with `after_ms` only those that are not over then."""
    found = select(Drill).where(col(Drill.group).in_(groups))
    if after_ms is not None:
        found = found.where(Drill.ends_ms > after_ms, col(Drill.called_off_ms).is_(None))
    if below is not None:
        found = found.where(col(Drill.number) < below)
    return session.exec(found.order_by(col(Drill.number).desc()).limit(limit)).all()


def running(session: Session, groups: Collection[str], *, now_ms: int) -> dict[str, list[Span]]:
    """The drills of these groups that went on within the last day: an event may have waited for so long."""
    lately = select(Drill).where(
        col(Drill.group).in_(groups), Drill.begins_ms <= now_ms, Drill.ends_ms > now_ms - DAY_MS
    )
    rows = session.exec(lately).all()
    named = units(session, [row.number for row in rows if row.number is not None]) if rows else {}
    found: dict[str, list[Span]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(
            Span(
                begins_ms=row.begins_ms,
                ends_ms=row.ends_ms,
                called_off_ms=row.called_off_ms,
                units=named[row.number or 0],
            )
        )
    return found


def presses(
    session: Session, group: str, units: Collection[str], *, from_ms: int, to_ms: int
) -> list[tuple[str, str | None, int]]:
    """Presses of these units that were part of a drill between two moments, oldest first: alarm, unit, moment."""
    found = select(Alarm.id, Alarm.unit, Alarm.happened_ms).where(
        Alarm.group == group,
        Alarm.mark == Mark.DRILL.value,
        Alarm.kind != Kind.DURESS.value,
        col(Alarm.unit).in_([*units]),
        Alarm.happened_ms >= from_ms,
        Alarm.happened_ms < to_ms,
    )
    return [*session.exec(found.order_by(col(Alarm.happened_ms))).all()]


def answers(session: Session, alarms: Collection[str]) -> list[AlarmAnswer]:
    """What neighbours answered to these alarms, oldest first."""
    found = select(AlarmAnswer).where(col(AlarmAnswer.alarm).in_([*alarms]), col(AlarmAnswer.place).is_not(None))
    return [*session.exec(found.order_by(col(AlarmAnswer.at_ms), col(AlarmAnswer.number)))]


def to_order(session: Session, *, now_ms: int) -> Sequence[Drill]:
    """Drills that go on and of which the gateway was not told."""
    return session.exec(
        select(Drill)
        .where(
            Drill.begins_ms <= now_ms,
            Drill.ends_ms > now_ms,
            col(Drill.ordered_ms).is_(None),
            col(Drill.called_off_ms).is_(None),
        )
        .order_by(col(Drill.number))
    ).all()


def away(session: Session, places: Collection[str], *, at_ms: int) -> frozenset[str]:
    """Those of the places at which nobody is."""
    found = select(Away.place).where(
        col(Away.place).in_(places), Away.from_ms <= at_ms, or_(col(Away.to_ms).is_(None), col(Away.to_ms) > at_ms)
    )
    return frozenset(session.exec(found))


def absence(session: Session, place: str, *, at_ms: int) -> Away | None:
    """The absence of a place that goes on, or is still to come."""
    found = select(Away).where(Away.place == place, or_(col(Away.to_ms).is_(None), col(Away.to_ms) > at_ms))
    return session.exec(found.order_by(col(Away.number).desc()).limit(1)).first()


def online(session: Session, gateways: Collection[str]) -> frozenset[str]:
    """Those of the gateways that are there now."""
    found = select(Gateway.id).where(col(Gateway.id).in_(gateways), col(Gateway.online).is_(True))
    return frozenset(session.exec(found))


def faults(session: Session, gateways: Collection[str]) -> list[tuple[str, str, str]]:
    """Open faults of these gateways: gateway, code, what it is about."""
    found = select(Fault.gateway, Fault.code, Fault.about).where(
        col(Fault.gateway).in_(gateways), col(Fault.cleared_ms).is_(None)
    )
    return [*session.exec(found).all()]


def last_tests(session: Session, units: Collection[str]) -> dict[str, int]:
    """When each of these units was last tested, by a test of its own or as part of a drill."""
    rows = session.connection().execute(
        select(_ALARM.c.unit, func.max(_ALARM.c.happened_ms))
        .where(_ALARM.c.unit.in_(units), or_(_ALARM.c.kind == Kind.TEST.value, _ALARM.c.mark.is_not(None)))
        .group_by(_ALARM.c.unit)
    )
    return {str(unit): int(at_ms) for unit, at_ms in rows}
