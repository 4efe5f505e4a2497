"""What the police do about an alarm, from taking it to filing it."""

from sqlmodel import Session

from api.alarms import repository
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.rules import TABLE, Action, State
from api.alarms.schemas import People
from api.alarms.service import Alarms
from api.problems import AlreadyAcknowledged


def acknowledge(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, *, people: People) -> AlarmRecord:
    """Take an alarm (签收). Exactly one wins; raises AlreadyAcknowledged, which says who was first."""
    now = alarms.clock()
    free = TABLE[State(alarm.state), Action.ACKNOWLEDGE] is not None
    if not free or not repository.acknowledge(session, alarm.id, officer=by.account, at_ms=now):
        first = repository.find(session, alarm.id)
        assert first is not None
        assert first.acknowledged_by is not None
        assert first.acknowledged_ms is not None
        person = people(first.acknowledged_by)
        name = None if person is None else person.name
        raise AlreadyAcknowledged(alarm.id, by=first.acknowledged_by, name=name, at_ms=first.acknowledged_ms)
    taken = {"acknowledged_ms": now, "acknowledged_by": by.account, "owner": by.account}
    return alarms.changing.change(session, alarm, Action.ACKNOWLEDGE, at_ms=now, by=by, now=taken)
