"""Alarms that no key was pressed for: a phone page, a caller at the desk; and taking one back by phone."""

from sqlmodel import Session

from api.alarms import repository, rules
from api.alarms.absorbing import assign
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.problems import NotARealPlace
from api.alarms.requests import Called, LineTested, Position, Raised
from api.alarms.rules import Action, Ring, Source, State, Whereabouts
from api.alarms.service import Alarms
from api.rights.rules import Authority, Over
from broker.kinds import OLD_AFTER_MS, Kind
from broker.messages import Action as Order
from broker.policy import quieted

KEPT_MS: int = 12 * 3_600_000
"""So long a phone goes on sending what was pressed in silence."""


def by_phone(session: Session, alarms: Alarms, by: Authority, actor: Actor, what: Raised) -> AlarmRecord:
    """A household presses on its page. Raises NotARealPlace for a place that is not its own."""
    place = _own(by, what.place)
    return _raise(
        session, alarms, actor, Kind(what.kind), Source.PHONE, place=place, address=None, words=what.words,
        whereabouts=what.whereabouts, position=what.position,
    )  # fmt: skip


def in_silence(session: Session, alarms: Alarms, by: Authority, actor: Actor, what: LineTested) -> AlarmRecord | None:
    """A phone's silent key: duress, of a household whose consent to one is written down; else nothing happens.

    Raises NotARealPlace for a place that is not its own.
    """
    place = _own(by, what.place)
    known = alarms.register.place(place)
    if not what.held or known is None or not known.duress:
        return None
    age_ms = 0 if what.at is None or what.now is None else round((what.now - what.at).total_seconds() * 1_000)
    return _raise(
        session, alarms, actor, Kind.DURESS, Source.PHONE, place=place, address=None, words="",
        whereabouts=Whereabouts.UNKNOWN, position=None, age_ms=min(max(age_ms, 0), KEPT_MS),
    )  # fmt: skip


def _own(by: Authority, asked: str | None) -> str:
    own = sorted(by.reach.over(Over.PLACE))
    place = asked or (own[0] if len(own) == 1 else None)
    if place is None or place not in own:
        raise NotARealPlace(asked or "")
    return place


def by_desk(session: Session, alarms: Alarms, by: Authority, actor: Actor, what: Called) -> AlarmRecord:
    """The desk types in what a caller says. Raises NotARealPlace for a place out of its reach."""
    subject = alarms.register.subject(what.place)
    if (what.place is not None and alarms.register.place(what.place) is None) or not by.reach.covers(subject):
        raise NotARealPlace(what.place or what.address or "")
    away = what.away or what.place is None
    return _raise(
        session, alarms, actor, Kind(what.kind), Source.DESK, place=what.place, address=what.address, words=what.words,
        whereabouts=Whereabouts.UNKNOWN if away else Whereabouts.HOME, position=None, away=away,
    )  # fmt: skip


def by_staff(
    session: Session,
    alarms: Alarms,
    actor: Actor,
    kind: Kind,
    *,
    address: str | None,
    words: str,
    position: Position | None,
) -> AlarmRecord:
    """Somebody on patrol calls for help for himself: at no household's place, and so for the police alone."""
    return _raise(
        session, alarms, actor, kind, Source.PHONE, place=None, address=address, words=words,
        whereabouts=Whereabouts.UNKNOWN if position is None else Whereabouts.POSITION, position=position,
    )  # fmt: skip


def cancel(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor) -> AlarmRecord:
    """Whoever raised it takes it back on his page: sirens stop, and it stays open until somebody has verified."""
    if alarm.cancelled_ms is not None:
        return alarm
    now = alarms.clock()
    alarms.changing.change(session, alarm, Action.CANCEL, at_ms=now, by=by, now={"cancelled_ms": now})
    for press, gateway in alarms.telling.presses(session, alarm):
        alarms.telling.order(session, alarm, gateway, Order.STOP, happened_ms=now, alarm=press, by=by.role)
    return alarm


def _raise(
    session: Session,
    alarms: Alarms,
    actor: Actor,
    kind: Kind,
    source: Source,
    *,
    place: str | None,
    address: str | None,
    words: str,
    whereabouts: Whereabouts,
    position: Position | None,
    away: bool = False,
    age_ms: int = 0,
) -> AlarmRecord:
    now = alarms.clock()
    known = alarms.register.place(place)
    group = None if known is None else known.group
    id_ = alarms.telling.new_id()
    alarm = AlarmRecord(
        id=id_,
        key=f"event:{id_}",
        kind=kind.value,
        state=State.RECEIVED.value,
        verified=True,
        late=age_ms >= OLD_AFTER_MS,
        gateway=alarms.register.gateway_of(group),
        at_ms=now - age_ms,
        clock="synced",
        age_ms=age_ms,
        happened_ms=now - age_ms,
        received_ms=now,
        place=place,
        group=group,
        door=None if known is None else known.door,
        label=None if known is None else known.label or None,
        source=source.value,
        raised_by=actor.account,
        words=words or None,
        address=address or (None if known is None else known.address or None),
        whereabouts=whereabouts.value,
        lat_e6=None if position is None else round(position.lat * 1e6),
        lon_e6=None if position is None else round(position.lon * 1e6),
        accuracy_m=None if position is None else position.accuracy_m,
    )
    assign(alarm, alarms.register)
    alarm.quiet = bool(quieted(kind, None if known is None else known.quiet_until_ms, now, clock=alarm.clock))
    alarm.ring = _ring(session, alarm, away=away or whereabouts is Whereabouts.POSITION).value
    if place is not None and rules.joins_incidents(kind, None):
        recent = repository.last_incidents(session, [place], since_ms=now - rules.INCIDENT_MS)
        alarm.incident = recent.get(place, (id_, now))[0]
    repository.add_alarms(session, [alarm])
    stored = repository.find(session, id_)
    assert stored is not None
    detail = {"source": source.value, "ring": alarm.ring, "kind": alarm.kind, "place": place, "group": alarm.group}
    alarms.changing.note(session, stored, Action.RECEIVE, None, at_ms=now, by=actor, detail=detail)
    if alarm.ring in {Ring.ORDERED, Ring.GATEWAY_OFFLINE}:  # one that comes back within a minute rings after all
        told = {"kind": kind, "group": group, "place": place, "door": alarm.door, "label": alarm.label,
                "quiet": alarm.quiet or None}  # fmt: skip
        alarms.telling.order(session, alarm, alarm.gateway, Order.ALERT, happened_ms=now, alarm=id_,
                             **{name: value for name, value in told.items() if value is not None})  # fmt: skip
    return stored


def _ring(session: Session, alarm: AlarmRecord, *, away: bool) -> Ring:
    """What becomes of the neighbours' sirens."""
    if Kind(alarm.kind) is Kind.DURESS:
        return Ring.SILENT
    if not alarm.group_known:
        return Ring.NO_GATEWAY  # for the police alone: neighbours are not even shown it
    if away:
        return Ring.SHOWN
    if alarm.gateway is None:
        return Ring.NO_GATEWAY
    return Ring.ORDERED if repository.is_online(session, alarm.gateway) else Ring.GATEWAY_OFFLINE
