"""What becomes of events and of what officers do, inside a transaction that the caller began and will commit."""

from collections.abc import Callable, Iterable, Sequence

from sqlmodel import Session

from api.alarms import repository, rules
from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.rules import Action, Part, State
from api.clock import Clock
from api.outgoing import service as outgoing
from api.problems import AlreadyAcknowledged, NoSuchAlarm
from api.register.service import Register
from api.rights.rules import Principal
from broker.ids import EVENT_ID_RANDOM_BYTES, EventId, GatewayId, GroupId, HouseholdId, PressKey, UnitId, event_id
from broker.kinds import EventType, Kind, LadderState, Mark
from broker.messages import Action as Order
from broker.messages import AlarmUpdate, Command, GatewayEvent, alarm_update, audience_of
from broker.policy import AlarmFacts, views
from broker.topics import Name, build

LAMP_MS: int = 24 * 3_600_000
"""A gateway that comes back is told again what its lamps should show, for alarms of the last day."""

PRESS = rules.PRESS
NOBODY_YET = "0" * 32
"""Stands for the session of a command until it is sent."""


class Alarms:
    """The rules of `rules.py`, carried out on tables."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    def absorb(self, session: Session, events: Sequence[GatewayEvent], *, received_ms: int) -> list[AlarmRecord]:
        """Let new events have their effect; they are in the inbox already. Returns the alarms that they opened."""
        batch = _Batch(self, session, received_ms=received_ms)
        batch.load(events)
        for event in events:
            if event.event in rules.OPENERS:
                batch.press(event)
            elif event.event in rules.FOLLOWERS:
                batch.follow(event)
        batch.save()
        return batch.opened

    def unreadable(
        self, session: Session, gateway: str, *, reason: str, event: EventId | None, received_ms: int
    ) -> None:
        """Show the police that something came from `gateway` which cannot be believed or read, and may be a press.

        One alarm gathers them until somebody acknowledges it, so that a flood is one line and not a thousand.
        """
        key = f"unreadable:{gateway}"
        found = [alarm for alarm in repository.by_keys(session, [key]) if alarm.state != State.ACKNOWLEDGED]
        if found:
            found[-1].presses += 1
            found[-1].version += 1
            repository.save_alarms(session, found[-1:])
            return
        id_ = self._new_id() if event is None or repository.find(session, event) is not None else event
        alarm = AlarmRecord(
            id=id_,
            key=key,
            kind=Kind.UNVERIFIED.value,
            state=State.RECEIVED.value,
            verified=False,
            reason=reason,
            late=False,
            gateway=gateway,
            at_ms=received_ms,
            clock="unsynced",
            age_ms=0,
            happened_ms=received_ms,
            received_ms=received_ms,
        )
        repository.add_alarms(session, [alarm])
        repository.add_steps(session, [_step(alarm, Action.RECEIVE, received_ms, event=id_)])

    def acknowledge(self, session: Session, alarm_id: str, by: Principal) -> AlarmRecord:
        """Take an alarm for `by`. Exactly one wins. Raises NoSuchAlarm or AlreadyAcknowledged."""
        now = self._clock()
        alarm = repository.find(session, alarm_id)
        if alarm is None:
            raise NoSuchAlarm(alarm_id)
        won = repository.acknowledge(session, alarm.id, officer=by.account, at_ms=now)
        alarm = repository.find(session, alarm.id)
        assert alarm is not None
        if not won:
            assert alarm.acknowledged_by is not None
            assert alarm.acknowledged_ms is not None
            first = self._register.officer(alarm.acknowledged_by)
            name = None if first is None else first.name
            raise AlreadyAcknowledged(alarm.id, by=alarm.acknowledged_by, name=name, at_ms=alarm.acknowledged_ms)
        repository.add_steps(session, [_step(alarm, Action.ACKNOWLEDGE, now, officer=by.account)])
        presses = repository.parts(session, alarm.id, Part.PRESS)
        if not presses:  # nothing but what could not be read
            self.tell(session, alarm, alarm.id, Action.ACKNOWLEDGE, happened_ms=now, by=by.grants[0].role)
        for press in presses:
            self.tell(session, alarm, press.event, Action.ACKNOWLEDGE, happened_ms=now, by=by.grants[0].role)
            self.show(session, alarm, press.event, press.gateway, happened_ms=now)
        return alarm

    def show_again(self, session: Session, gateway: GatewayId) -> None:
        """Owe a gateway with a new session what its lamps should show."""
        now = self._clock()
        waiting = outgoing.alarms_commanded(session, gateway)
        for alarm, press in repository.acknowledged_presses(session, gateway, since_ms=now - LAMP_MS):
            if alarm.id not in waiting:
                self.show(session, alarm, press, gateway, happened_ms=alarm.acknowledged_ms or now)

    def _facts(self, alarm: AlarmRecord) -> AlarmFacts:
        household = self._register.household(alarm.place)
        return AlarmFacts(
            kind=Kind(alarm.kind),
            group=None if alarm.group is None else GroupId(alarm.group),
            place=None if alarm.place is None else HouseholdId(alarm.place),
            door=alarm.door,
            label=alarm.label,
            gateway=GatewayId(alarm.gateway),
            unit=None if alarm.unit is None else UnitId(alarm.unit),
            press=None
            if not alarm.key.startswith(PRESS)
            else PressKey(alarm.key.removeprefix(PRESS).removesuffix(rules.SILENT)),
            verified=alarm.verified,
            reason=alarm.reason,
            at_ms=alarm.at_ms,
            clock=alarm.clock,
            mark=None if alarm.mark is None else Mark(alarm.mark),
            medical_consent=household is not None and household.medical_consent,
        )

    def tell(
        self,
        session: Session,
        alarm: AlarmRecord,
        press: str,
        action: Action,
        *,
        happened_ms: int,
        by: str | None = None,
    ) -> None:
        """Owe an update to everybody whom the policy let know of `press`, and to nobody else."""
        updates: list[AlarmUpdate] = [
            alarm_update(view, update=self._new_id(), alarm=EventId(press), age_ms=0, state=rules.TELLS[action], by=by)
            for view in views(self._facts(alarm), self._register.membership(alarm.place))
        ]
        outgoing.owe(session, updates, alarm=alarm.id, happened_ms=happened_ms)

    def show(self, session: Session, alarm: AlarmRecord, press: str, gateway: str, *, happened_ms: int) -> None:
        """Owe the presser's gateway what the lamp should show."""
        if not rules.shows_on_lamp(Kind(alarm.kind)):
            return
        topic = build(Name.GATEWAY_COMMAND, self._register.station, gateway)
        state: LadderState = rules.CLIMBS[State(alarm.state)]
        command = Command.model_validate(
            {
                "topic": topic,
                "audience": audience_of(topic),
                "id": self._new_id(),
                "age_ms": 0,
                "session": NOBODY_YET,
                "counter": 0,
                "action": Order.LADDER,
                "alarm": press,
                "state": state,
            }
        )
        outgoing.owe(session, [command], alarm=alarm.id, happened_ms=happened_ms, command_to=gateway)

    def _new_id(self) -> EventId:
        return event_id(self._clock(), self._random_bytes(EVENT_ID_RANDOM_BYTES))


class _Batch:
    """Events that are absorbed together: what they find, what they change, what they add."""

    def __init__(self, alarms: Alarms, session: Session, *, received_ms: int) -> None:
        self.opened: list[AlarmRecord] = []
        self._alarms = alarms
        self._session = session
        self._received_ms = received_ms
        self._known: dict[str, list[AlarmRecord]] = {}
        self._changed: dict[str, AlarmRecord] = {}
        self._presses: dict[str, list[tuple[str, str]]] = {}
        self._parts: list[PartRecord] = []
        self._steps: list[StepRecord] = []

    def load(self, events: Iterable[GatewayEvent]) -> None:
        """Fetch, in one go, the alarms that these events may belong to."""
        keys: set[str] = set()
        for event in events:
            if event.event in rules.OPENERS:
                keys.add(rules.key_of(event).text)
            elif event.event in rules.FOLLOWERS:
                keys.update(rules.followed_keys(event))
        if keys:
            for alarm in repository.by_keys(self._session, keys):
                self._known.setdefault(alarm.key, []).append(alarm)

    def press(self, event: GatewayEvent) -> None:
        """A press opens an alarm or joins the one that it already is."""
        key = rules.key_of(event)
        alarm = _joined(self._known.get(key.text, ()), key, event, received_ms=self._received_ms)
        if alarm is None:
            alarm = _open(event, key.text, received_ms=self._received_ms)
            self._known.setdefault(key.text, []).append(alarm)
            self.opened.append(alarm)
            self._presses[alarm.id] = []
            self._steps.append(_step(alarm, Action.RECEIVE, self._received_ms, event=event.id))
        else:
            self._join(alarm, event)
        self._add(event, Part.PRESS, alarm, key.text)

    def follow(self, event: GatewayEvent) -> None:
        """A cancel or a duration finds its press, or waits for it."""
        keys = rules.followed_keys(event)
        found = [alarm for key in keys for alarm in self._known.get(key, ())]
        if not keys and event.unit is not None:
            last = self._last_visible(event.unit)
            found = [] if last is None else [last]
        alarm = found[-1] if found else None
        part = Part.DURATION
        if event.event is EventType.CANCEL:
            part = Part.CANCEL if event.verified else Part.CANCEL_REFUSED
            if alarm is not None and part is Part.CANCEL:
                part = self._cancel(alarm, event.id, event.gateway, at_ms=self._received_ms)
        self._add(event, part, alarm, keys[0] if keys else "")

    def save(self) -> None:
        """Write everything, what is referred to first."""
        caught_up = self._catch_up()
        new = {alarm.id for alarm in self.opened}
        repository.add_alarms(self._session, self.opened)
        repository.save_alarms(self._session, [alarm for id_, alarm in self._changed.items() if id_ not in new])
        repository.add_parts(self._session, self._parts)
        repository.attach(self._session, caught_up)
        repository.add_steps(self._session, self._steps)

    def _join(self, alarm: AlarmRecord, event: GatewayEvent) -> None:
        """The same press again. Whoever hears of it by this event learns what already was done."""
        self._changed[alarm.id] = alarm
        alarm.presses += 1
        alarm.version += 1
        alarm.verified = alarm.verified or event.verified
        if not event.verified:  # a key that is held repeats its code: the window moves on with it
            alarm.happened_ms = max(alarm.happened_ms, self._received_ms - _age_ms(event, self._received_ms))
        if alarm.state == State.ACKNOWLEDGED:
            happened_ms = alarm.acknowledged_ms or self._received_ms
            self._alarms.tell(self._session, alarm, event.id, Action.ACKNOWLEDGE, happened_ms=happened_ms)
            self._alarms.show(self._session, alarm, event.id, event.gateway, happened_ms=happened_ms)
        elif alarm.state == State.CANCELLED_BY_HOUSEHOLD:
            happened_ms = alarm.cancelled_ms or self._received_ms
            self._alarms.tell(self._session, alarm, event.id, Action.CANCEL, happened_ms=happened_ms)

    def _cancel(self, alarm: AlarmRecord, event: str, gateway: str, *, at_ms: int) -> Part:
        """Note that the household took it back, if that is heard; say what the event is to the alarm."""
        presses = self._presses_of(alarm)
        heard = rules.may_cancel(Kind(alarm.kind), verified=True) and gateway in {told_by for _, told_by in presses}
        after = rules.TABLE[State(alarm.state), Action.CANCEL]
        if not heard or after is None:
            return Part.CANCEL_REFUSED
        if alarm.cancelled_ms is None:
            self._changed[alarm.id] = alarm
            alarm.state = after.value
            alarm.cancelled_ms = at_ms
            alarm.version += 1
            self._steps.append(_step(alarm, Action.CANCEL, at_ms, event=event))
            for press, _ in presses:
                self._alarms.tell(self._session, alarm, press, Action.CANCEL, happened_ms=at_ms)
        return Part.CANCEL

    def _catch_up(self) -> list[PartRecord]:
        """Give newly opened alarms what overtook them; return what had been stored before."""
        by_key: dict[str, AlarmRecord] = {}
        for alarm in self.opened:
            if alarm.key.startswith(PRESS):
                by_key[alarm.key.removesuffix(rules.SILENT)] = alarm
        if not by_key:
            return []
        here = [part for part in self._parts if part.alarm is None and part.key in by_key]
        stored = repository.waiting(self._session, [*by_key])
        for part in [*stored, *here]:
            alarm = by_key[part.key]
            part.alarm = alarm.id
            if part.part == Part.CANCEL:
                part.part = self._cancel(alarm, part.event, part.gateway, at_ms=part.received_ms).value
        return stored

    def _presses_of(self, alarm: AlarmRecord) -> list[tuple[str, str]]:
        """Event id and gateway of every press that is this alarm, those of this batch included."""
        if alarm.id not in self._presses:
            stored = repository.parts(self._session, alarm.id, Part.PRESS)
            here = [part for part in self._parts if part.alarm == alarm.id and part.part == Part.PRESS]
            self._presses[alarm.id] = [(part.event, part.gateway) for part in [*stored, *here]]
        return self._presses[alarm.id]

    def _last_visible(self, unit: str) -> AlarmRecord | None:
        here = [alarm for alarm in self.opened if alarm.unit == unit and rules.is_visible(Kind(alarm.kind))]
        return here[-1] if here else repository.last_visible_of_unit(self._session, unit)

    def _add(self, event: GatewayEvent, part: Part, alarm: AlarmRecord | None, key: str) -> None:
        if part is Part.PRESS and alarm is not None and alarm.id in self._presses:
            self._presses[alarm.id].append((event.id, event.gateway))
        self._parts.append(
            PartRecord(
                event=event.id,
                alarm=None if alarm is None else alarm.id,
                key=key,
                part=part.value,
                gateway=event.gateway,
                received_ms=self._received_ms,
            )
        )


def _joined(
    found: Sequence[AlarmRecord], key: rules.Key, event: GatewayEvent, *, received_ms: int
) -> AlarmRecord | None:
    """The newest of the alarms with this key that the event is a part of.

    A press of another kind or at another place is another alarm, whatever key it claims: otherwise a gateway could
    swallow the alarms of another one by claiming their keys first.
    """
    happened_ms = received_ms - _age_ms(event, received_ms)
    for alarm in reversed(found):
        near = key.within_ms is None or abs(happened_ms - alarm.happened_ms) <= key.within_ms
        if near and alarm.kind == rules.kind_of(event) and alarm.place == event.place:
            return alarm
    return None


def _age_ms(event: GatewayEvent, received_ms: int) -> int:
    return rules.age_ms(event.age_ms, at_ms=event.at_ms, synced=event.clock == "synced", received_ms=received_ms)


def _open(event: GatewayEvent, key: str, *, received_ms: int) -> AlarmRecord:
    mark = rules.mark_of(event)
    age_ms = _age_ms(event, received_ms)
    return AlarmRecord(
        id=event.id,
        key=key,
        kind=rules.kind_of(event).value,
        state=State.RECEIVED.value,
        mark=None if mark is None else mark.value,
        verified=event.verified,
        reason=event.reason,
        late=rules.is_late(age_ms),
        place=event.place,
        group=event.group,
        door=event.door,
        label=event.label,
        unit=event.unit,
        gateway=event.gateway,
        at_ms=event.at_ms,
        clock=event.clock,
        age_ms=age_ms,
        happened_ms=received_ms - age_ms,
        received_ms=received_ms,
    )


def _step(
    alarm: AlarmRecord, action: Action, at_ms: int, *, officer: str | None = None, event: str | None = None
) -> StepRecord:
    return StepRecord(alarm=alarm.id, action=action.value, state=alarm.state, officer=officer, event=event, at_ms=at_ms)
