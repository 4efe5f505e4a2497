"""Alarms that are one matter: those of one incident, those nearby that may be, and joining two by hand."""

from sqlmodel import Session

from api.access import Authority
from api.alarms import repository, rules
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.problems import CannotLink
from api.alarms.requests import Linked
from api.alarms.rules import TABLE, Action, State
from api.alarms.service import Alarms
from api.alarms.sight import Seen, look, ties, within
from broker.kinds import Kind, Mark

MOST = 200


def members(session: Session, alarms: Alarms, by: Authority, seen: Seen) -> list[Seen]:
    """The alarms of the same incident that this account may see, oldest first; itself among them."""
    if seen.alarm.incident is None:
        return [seen]
    return _seen(session, alarms, by, repository.of_incident(session, seen.alarm.incident)[:MOST])


def nearby(session: Session, alarms: Alarms, by: Authority, seen: Seen) -> list[Seen]:
    """Open alarms of the same group or grid within 10 minutes that are not of this incident: to be linked by hand."""
    alarm = seen.alarm
    if not _links(alarm):
        return []
    register = alarms.register
    grid = register.grid_of(alarm.group)
    groups = register.groups_in(grid) if grid is not None else frozenset()
    near = repository.near(
        session,
        where=within(by, register),
        groups={*groups, *([alarm.group] if alarm.group is not None else [])},
        from_ms=alarm.happened_ms - rules.INCIDENT_MS,
        to_ms=alarm.happened_ms + rules.INCIDENT_MS,
        limit=MOST,
    )
    others = [one for one in near if _links(one) and one.id != alarm.id and one.incident != (alarm.incident or "")]
    return _seen(session, alarms, by, others)


def link(session: Session, alarms: Alarms, seen: Seen, by: Actor, *, to: Seen, what: Linked) -> AlarmRecord:
    """Make one incident of two. Raises CannotLink: duress and what is not verified never join a visible one."""
    alarm, other = seen.alarm, to.alarm
    if not _links(alarm) or not _links(other) or alarm.id == other.id:
        raise CannotLink
    now = alarms.clock()
    target = other.incident or other.id
    detail = {"to": other.id}
    joining = [alarm] if alarm.incident is None else repository.of_incident(session, alarm.incident)
    alarms.changing.change(session, alarm, Action.LINK, at_ms=now, by=by, reason=what.reason, detail=detail,
                           now={"incident": target})  # fmt: skip
    for one in joining:
        if one.id != alarm.id and TABLE[State(one.state), Action.LINK] is not None:
            alarms.changing.change(session, one, Action.LINK, at_ms=now, by=by, reason=what.reason, detail=detail,
                                   now={"incident": target})  # fmt: skip
    if other.incident is None:
        repository.update_alarm(session, other.id, {"incident": target})
    return alarm


def kind_of(members: list[Seen]) -> Kind | None:
    """The kind of an incident, as far as it is shown: the gravest of its alarms."""
    kinds = [seen.shown.kind for seen in members if rules.joins_incidents(seen.shown.kind, None)]
    return rules.gravest(kinds) if kinds else None


def _links(alarm: AlarmRecord) -> bool:
    return rules.joins_incidents(Kind(alarm.kind), None if alarm.mark is None else Mark(alarm.mark))


def _seen(session: Session, alarms: Alarms, by: Authority, found: list[AlarmRecord]) -> list[Seen]:
    tied = ties(session, [alarm.id for alarm in found])
    seen = [look(by, alarm, alarms.register, tied) for alarm in found]
    return [one for one in seen if one is not None]
