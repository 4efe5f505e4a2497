"""What the gateway keeps: an event with its stamp, its meaning, and who was to be told at that moment."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any, Final

from broker.ids import CommunityId, Epoch, EventId, GatewayId, GridId, GroupId, HouseholdId, PressKey, StationId, UnitId
from broker.kinds import EventType, Kind, Lane, Mark, lane
from broker.messages import AlarmView, GatewayEvent, alarm_view, audience_of, clean, plain
from broker.policy import QUIET, AlarmFacts, Audience, Membership, View, views
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
            quiet=True if self.detail.get(QUIET) is True else None,  # settled when it was heard, whatever came later
        )

    def views(self, gateway: GatewayId) -> list[View]:
        """Who is told of it, and what."""
        if not self.alarms or self.membership is None:
            return []
        return views(self.facts(gateway), self.membership)

    def targets(self, gateway: GatewayId) -> list[str]:
        """Whom it must be delivered to: the station, then every audience of the policy."""
        if not self.alarms or self.membership is None or self.kind is None:
            return [STATION]
        # What else is known of an alarm changes what is told, and never whom: all presses of a unit ask for the same.
        facts = AlarmFacts(gateway=gateway, kind=self.kind, mark=self.mark, group=self.group, place=self.place)
        return [STATION, *_audiences_of(facts, self.membership)]

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
            values["members"] = _members_of(self.membership)
        return canonical(values)


@lru_cache(maxsize=512)  # those of a unit are asked for at each of its events
def _members_of(membership: Membership) -> Mapping[str, object]:
    return {
        "households": sorted(membership.households),
        "excluded": sorted(membership.excluded),
        "community": membership.community,
        "grid": membership.grid,
    }


@lru_cache(maxsize=512)  # as above
def _audiences_of(facts: AlarmFacts, membership: Membership) -> tuple[str, ...]:
    return tuple(view.addressee for view in views(facts, membership))


TEMPLATES: Final = 512
"""Of messages to the station: about as many as units of a gateway are heard from again and again."""

_EVENT_GAPS = frozenset({"age_ms", "at_ms", "detail", "id", "mono_us", "press", "seq"})
"""What differs between two events of one kind from one unit. Everything but `detail` is made by programs."""
_VIEW_GAPS = frozenset({"age_ms", "audience", "topic"})
"""What differs between the members of one audience: topics and audiences are ASCII without quotation marks."""

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
        membership = _membership(
            station,
            group=group,
            households=tuple(members["households"]),
            excluded=tuple(members["excluded"]),
            community=members["community"],
            grid=members["grid"],
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


@lru_cache(maxsize=512)  # thousands of events are read back of a few hundred households, and it is most of each
def _membership(
    station: StationId,
    *,
    group: str,
    households: tuple[str, ...],
    excluded: tuple[str, ...],
    community: str | None,
    grid: str | None,
) -> Membership:
    return Membership(
        station=station,
        group=GroupId(group),
        households=frozenset(HouseholdId(household) for household in households),
        excluded=frozenset(HouseholdId(household) for household in excluded),
        community=None if community is None else CommunityId(community),
        grid=None if grid is None else GridId(grid),
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


def _detail(detail: Detail) -> bytes:
    """In its canonical form. ValueError, as its model has it: a value that no message takes."""
    for value in detail.values():
        if clean(value) != value if isinstance(value, str) else abs(value) >= 2**53:
            raise ValueError(f"detail: {value!r:.96}")
    return canonical(detail)


def _template(body: Mapping[str, object], gaps: Collection[str]) -> bytes:
    """The canonical form of `body` with gaps in it, to be filled by name with what is JSON already."""
    members: list[bytes] = []
    for is_gap, names in groupby(sorted(body), key=gaps.__contains__):
        if is_gap:
            members += [b'"%b":%%(%b)b' % (name.encode(), name.encode()) for name in names]
        else:
            members.append(canonical({name: body[name] for name in names})[1:-1].replace(b"%", b"%%"))
    return b"{" + b",".join(members) + b"}"


class Composer:
    """Makes the messages of one gateway from journal entries."""

    def __init__(self, station: StationId, gateway: GatewayId) -> None:
        self._gateway = gateway
        self._topic = build(Name.GATEWAY_EVENT, station, gateway)
        self._audience = audience_of(self._topic)
        self._templates: dict[tuple[object, ...], bytes] = {}
        """Of the events to the station, by all that is not filled in."""
        self._planned: tuple[EventId | None, dict[str, View]] = (None, {})
        self._views: dict[Audience, bytes] = {}
        """Templates of the views that are planned."""

    def write(self, entry: Entry, target: str, *, age_ms: int) -> Written | None:
        """What `compose` makes, in its canonical form, and much sooner. ValueError: no message can be made of it."""
        event = entry.event
        if target == STATION:
            return Written(
                self._topic,
                self._event_template(entry)
                % {
                    b"age_ms": b"%d" % (age_ms + event.late_ms),
                    b"at_ms": b"%d" % event.at_ms,
                    b"detail": _detail(event.detail),
                    b"id": b'"%b"' % event.id.encode(),
                    b"mono_us": b"%d" % (event.stamp.mono_ns // 1_000),
                    b"press": b'"%b"' % (event.press or "").encode(),
                    b"seq": b"%d" % entry.seq,
                },
            )
        view = self._view(event, target)
        if view is None:
            return None
        template = self._views.get(view.audience)
        if template is None:
            body = alarm_view(view, alarm=event.id, age_ms=0)
            template = self._views[view.audience] = _template(plain(body), _VIEW_GAPS)
        return Written(
            view.topic,
            template
            % {
                b"age_ms": b"%d" % (age_ms + event.late_ms),
                b"audience": b'"%b"' % view.addressee.encode(),
                b"topic": b'"%b"' % view.topic.encode(),
            },
        )

    def _event_template(self, entry: Entry) -> bytes:
        """The model checks every value in it, once for all events of one kind from one unit."""
        event, stamp = entry.event, entry.event.stamp
        key = (
            entry.epoch, stamp.boot, stamp.quality, event.type, event.kind, event.unit, event.place, event.group,
            event.door, event.label, event.verified, event.reason, event.mark, event.press is None, *event.detail,
        )  # fmt: skip
        template = self._templates.get(key)
        if template is None:
            body = self.compose(entry, STATION, age_ms=0)
            assert body is not None
            if len(self._templates) >= TEMPLATES:
                self._templates.clear()
            template = self._templates[key] = _template(plain(body), _EVENT_GAPS)
        return template

    def _view(self, event: Event, target: str) -> View | None:
        if self._planned[0] != event.id:  # the views of one event are asked for in a row
            self._planned = (event.id, {view.addressee: view for view in event.views(self._gateway)})
            self._views.clear()
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
