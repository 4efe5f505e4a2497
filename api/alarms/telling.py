"""What audiences and lamps owe to know of an alarm: rows, written with their cause and sent after the commit."""

from collections.abc import Callable

from sqlmodel import Session

from api.alarms import repository, rules
from api.alarms.models import AlarmRecord
from api.alarms.rules import CLIMBS, Part, Source, State
from api.clock import Clock
from api.outgoing import service as outgoing
from api.register.service import Register
from broker.ids import EVENT_ID_RANDOM_BYTES, EventId, GatewayId, GroupId, HouseholdId, PressKey, UnitId, event_id
from broker.kinds import Kind, Mark, UpdateState
from broker.messages import Action as Order
from broker.messages import AlarmUpdate, alarm_update
from broker.policy import AlarmFacts, Membership, neighbours, views

PRESS = rules.PRESS


class Telling:
    """Owes updates to those whom the policy lets know, and orders to the gateways of those who pressed."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    def membership(self, alarm: AlarmRecord) -> Membership:
        """Who belonged together at the place when the alarm came; whoever is left out then or now is left out."""
        group = alarm.group if alarm.group_known else None
        then = frozenset(HouseholdId(place) for place in alarm.excluded.split())
        return Membership(
            station=self._register.station,
            group=None if group is None else GroupId(group),
            households=self._register.places_in(group),
            excluded=then | self._register.membership(alarm.place).excluded,
            community=self._register.community_of(group),
            grid=self._register.grid_of(group),
        )

    def facts(self, alarm: AlarmRecord) -> AlarmFacts:
        """An alarm as the policy asks about it."""
        pressed = alarm.key.removeprefix(PRESS).removesuffix(rules.SILENT) if alarm.key.startswith(PRESS) else None
        return AlarmFacts(
            kind=Kind(alarm.kind),
            group=GroupId(alarm.group) if alarm.group is not None and alarm.group_known else None,
            place=None if alarm.place is None else HouseholdId(alarm.place),
            door=alarm.door,
            label=alarm.label,
            gateway=None if alarm.gateway is None else GatewayId(alarm.gateway),
            unit=None if alarm.unit is None else UnitId(alarm.unit),
            press=None if pressed is None else PressKey(pressed),
            verified=alarm.verified,
            reason=alarm.reason,
            at_ms=alarm.at_ms,
            clock=alarm.clock,
            mark=None if alarm.mark is None else Mark(alarm.mark),
            medical_consent=alarm.consent,
            quiet=True if alarm.quiet else None,
        )

    def neighbours(self, alarm: AlarmRecord) -> tuple[HouseholdId, ...]:
        """The households that may know of an alarm beside the one that pressed."""
        return neighbours(self.facts(alarm), self.membership(alarm))

    def presses(self, session: Session, alarm: AlarmRecord) -> list[tuple[str, str | None]]:
        """The ids by which gateways and audiences know an alarm, each with the gateway that brought it."""
        parts = repository.parts(session, alarm.id, Part.PRESS)
        return [(part.event, part.gateway) for part in parts] or [(alarm.id, _home(alarm))]

    def tell(
        self,
        session: Session,
        alarm: AlarmRecord,
        press: str,
        state: UpdateState,
        *,
        happened_ms: int,
        by: str | None = None,
    ) -> None:
        """Owe an update to everybody whom the policy let know of `press`, and to nobody else. `by`: a role."""
        updates: list[AlarmUpdate] = [
            alarm_update(
                view, update=self.new_id(), alarm=EventId(press), age_ms=0, state=state, by=by, himself=alarm.himself
            )
            for view in views(self.facts(alarm), self.membership(alarm))
        ]
        outgoing.owe(session, updates, alarm=alarm.id, happened_ms=happened_ms)

    def show(self, session: Session, alarm: AlarmRecord, press: str, gateway: str | None, *, happened_ms: int) -> None:
        """Owe the presser's gateway what the lamp should show; for duress nothing, ever."""
        if State(alarm.state) in CLIMBS:
            self.order(session, alarm, gateway, Order.LADDER, happened_ms=happened_ms, alarm=press,
                       state=CLIMBS[State(alarm.state)])  # fmt: skip

    def order(
        self,
        session: Session,
        about: AlarmRecord,
        gateway: str | None,
        action: Order,
        *,
        happened_ms: int,
        **fields: object,
    ) -> None:
        """Owe a gateway an order about an alarm that is no secret."""
        if gateway is None or not rules.shows_on_lamp(Kind(about.kind)):
            return
        outgoing.order(
            session,
            gateway,
            action,
            station=self._register.station,
            id=self.new_id(),
            happened_ms=happened_ms,
            about=about.id,
            **fields,
        )

    def new_id(self) -> EventId:
        """An id of our own, in the form of an event's."""
        return event_id(self._clock(), self._random_bytes(EVENT_ID_RANDOM_BYTES))


def _home(alarm: AlarmRecord) -> str | None:
    """The gateway that rings for an alarm which the station raised; one that could not be read has no lamp."""
    return alarm.gateway if alarm.source in {Source.PHONE, Source.DESK} else None
