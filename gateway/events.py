"""What the gateway keeps: an event with its stamp, its meaning, and who was to be told at that moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from broker.ids import CommunityId, Epoch, EventId, GatewayId, GridId, GroupId, HouseholdId, PressKey, StationId, UnitId
from broker.kinds import EventType, Kind, Lane, Mark, lane
from broker.messages import AlarmView, GatewayEvent, alarm_view, audience_of, plain
from broker.policy import AlarmFacts, Audience, Membership, View, views
from broker.signing import canonical
from broker.topics import Name, build
from gateway.stamps import Stamp

STATION = "station"
"""The delivery that only the station's receipt closes. The others are audiences of the policy."""

Detail = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, before it has a place in the journal. Fields mean what they mean in `GatewayEvent`.

    `membership` is who belonged together at the moment of the event, whatever the register says later.
    """

    id: EventId
    type: EventType
    stamp: Stamp
    kind: Kind | None = None
    unit: UnitId | None = None
    place: HouseholdId | None = None
    group: GroupId | None = None
    door: int | None = None
    label: str | None = None
    press: PressKey | None = None
    message: PressKey | None = None
    """Its own key where it came as a numbered message: how a repeat is told after a restart."""
    verified: bool = True
    reason: str | None = None
    mark: Mark | None = None
    detail: Detail = field(default_factory=dict)
    late_ms: int = 0
    """How old it was already when the gateway learned of it."""
    membership: Membership | None = None
    medical_consent: bool = False

    @property
    def lane(self) -> Lane:
        """The lane of its freshest moment."""
        return lane(self.type, age_ms=0)

    @property
    def at_ms(self) -> int:
        """When it happened, by the gateway's clock, which may stand at 1970."""
        return max(0, self.stamp.wall_ms - self.late_ms)

    @property
    def alarms(self) -> bool:
        """Whether the policy has anything to say about it: only these make views."""
        return self.kind is not None and self.type in _WITH_VIEWS

    def facts(self, gateway: GatewayId) -> AlarmFacts:
        """What the audience policy must know. Only for an event that `alarms`."""
        assert self.kind is not None
        return AlarmFacts(
            kind=self.kind,
            group=self.group,
            place=self.place,
            door=self.door,
            label=self.label,
            gateway=gateway,
            unit=self.unit,
            press=self.press,
            verified=self.verified,
            reason=self.reason,
            at_ms=self.at_ms,
            clock=self.stamp.quality,
            mark=self.mark,
            medical_consent=self.medical_consent,
        )

    def views(self, gateway: GatewayId) -> list[View]:
        """Who is told of it, and what."""
        if not self.alarms or self.membership is None:
            return []
        return list(_views_of(self.facts(gateway), self.membership))

    def targets(self, gateway: GatewayId) -> list[str]:
        """Whom it must be delivered to: the station, then every audience of the policy."""
        return [STATION, *(view.addressee for view in self.views(gateway))]

    def to_json(self) -> bytes:
        """For the journal: everything but the id, in a form of which a digest can be taken."""
        values: dict[str, Any] = {
            "type": self.type,
            "wall_ms": self.stamp.wall_ms,
            "mono_ns": self.stamp.mono_ns,
            "boot": self.stamp.boot,
            "quality": self.stamp.quality,
        }
        for name in _PLAIN:
            value = getattr(self, name)
            if value not in _ABSENT[name]:
                values[name] = value
        if self.detail:
            values["detail"] = dict(self.detail)
        if self.membership is not None and self.membership.group is not None:
            values["members"] = {
                "households": sorted(self.membership.households),
                "excluded": sorted(self.membership.excluded),
                "community": self.membership.community,
                "grid": self.membership.grid,
            }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


@lru_cache(maxsize=128)  # journal, outbox and composer ask for the same ones one after the other
def _views_of(facts: AlarmFacts, membership: Membership) -> tuple[View, ...]:
    return tuple(views(facts, membership))


_WITH_VIEWS = frozenset({EventType.PRESS, EventType.UNVERIFIED, EventType.TEST, EventType.TAMPER})

_PLAIN = (
    "kind", "unit", "place", "group", "door", "label", "press",
    "verified", "reason", "mark", "late_ms", "medical_consent",
)  # fmt: skip
_ABSENT: dict[str, tuple[object, ...]] = dict.fromkeys(_PLAIN, (None,)) | {
    "verified": (True,),
    "late_ms": (0,),
    "medical_consent": (False,),
}


def event_from_json(id: EventId, data: bytes, *, station: StationId) -> Event:  # noqa: A002 - an id is what it is
    """Read back what `to_json` wrote. ValueError or KeyError on anything else: the journal is damaged."""
    values: dict[str, Any] = json.loads(data)
    members: dict[str, Any] | None = values.pop("members", None)
    stamp = Stamp(values.pop("wall_ms"), values.pop("mono_ns"), values.pop("boot"), values.pop("quality"))
    kind, mark = values.pop("kind", None), values.pop("mark", None)
    group = values.get("group")
    membership = Membership(station=station)
    if members is not None and group is not None:
        membership = Membership(
            station=station,
            group=GroupId(group),
            households=frozenset(HouseholdId(household) for household in members["households"]),
            excluded=frozenset(HouseholdId(household) for household in members["excluded"]),
            community=None if members["community"] is None else CommunityId(members["community"]),
            grid=None if members["grid"] is None else GridId(members["grid"]),
        )
    return Event(
        id=id,
        type=EventType(values.pop("type")),
        stamp=stamp,
        kind=None if kind is None else Kind(kind),
        mark=None if mark is None else Mark(mark),
        membership=membership,
        **values,
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in its place in the journal. Order is (epoch, seq); identity is `event.id`."""

    epoch: Epoch
    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class Written:
    """A message in its canonical form, ready to be signed and published on `topic`."""

    topic: str
    body: bytes


class _Form:
    """One view in its canonical form, with gaps where those of other members of its audience differ from it."""

    __slots__ = ("_after_age", "_after_audience", "_after_topic")

    def __init__(self, view: View, *, alarm: EventId) -> None:
        """Every value is checked here, by the model. ValueError: no message can be made of it."""
        body = canonical(plain(alarm_view(view, alarm=alarm, age_ms=0)))
        begin, age, rest = body.partition(b'{"age_ms":0')
        assert age
        assert not begin  # keys are sorted, and a quotation mark inside a text is never bare: these are the keys
        self._after_age, _, rest = rest.partition(b'"audience":"%b"' % view.addressee.encode())
        self._after_audience, topic, self._after_topic = rest.partition(b'"topic":"%b"' % view.topic.encode())
        assert topic

    def fill(self, view: View, *, age_ms: int) -> bytes:
        """The canonical form for another member: topics and audiences are ASCII without quotation marks."""
        return b'{"age_ms":%d%b"audience":"%b"%b"topic":"%b"%b' % (
            age_ms,
            self._after_age,
            view.addressee.encode(),
            self._after_audience,
            view.topic.encode(),
            self._after_topic,
        )


class Composer:
    """Makes the messages of one gateway from journal entries."""

    def __init__(self, station: StationId, gateway: GatewayId) -> None:
        self._gateway = gateway
        self._topic = build(Name.GATEWAY_EVENT, station, gateway)
        self._audience = audience_of(self._topic)
        self._planned: tuple[EventId | None, dict[str, View]] = (None, {})
        self._forms: dict[Audience, _Form] = {}
        """Of the views that are planned."""

    def write(self, entry: Entry, target: str, *, age_ms: int) -> Written | None:
        """What `compose` makes, in its canonical form. Nine neighbours cost one model."""
        if target == STATION:
            body = self.compose(entry, target, age_ms=age_ms)
            return None if body is None else Written(body.topic, canonical(plain(body)))
        view = self._view(entry.event, target)
        if view is None:
            return None
        form = self._forms.get(view.audience)
        if form is None:
            form = self._forms[view.audience] = _Form(view, alarm=entry.event.id)
        return Written(view.topic, form.fill(view, age_ms=age_ms + entry.event.late_ms))

    def _view(self, event: Event, target: str) -> View | None:
        if self._planned[0] != event.id:  # the views of one event are asked for in a row
            self._planned = (event.id, {view.addressee: view for view in event.views(self._gateway)})
            self._forms.clear()
        return self._planned[1].get(target)

    def compose(self, entry: Entry, target: str, *, age_ms: int) -> GatewayEvent | AlarmView | None:
        """The message for one delivery; None when the policy (a newer one) has nothing for that audience."""
        event = entry.event
        age_ms += event.late_ms
        if target != STATION:
            view = self._view(event, target)
            return None if view is None else alarm_view(view, alarm=event.id, age_ms=age_ms)
        return GatewayEvent(
            topic=self._topic,
            audience=self._audience,
            id=event.id,
            age_ms=age_ms,
            gateway=self._gateway,
            epoch=entry.epoch,
            seq=entry.seq,
            event=event.type,
            at_ms=event.at_ms,
            mono_us=event.stamp.mono_ns // 1_000,
            boot=event.stamp.boot,
            clock=event.stamp.quality,
            kind=event.kind,
            unit=event.unit,
            place=event.place,
            group=event.group,
            door=event.door,
            label=event.label,
            press=event.press,
            verified=event.verified,
            reason=event.reason,
            mark=event.mark,
            detail=dict(event.detail),
        )
