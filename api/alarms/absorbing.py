"""What becomes of events: presses that open alarms or join them, and what follows a press."""

import json
from collections.abc import Iterable, Sequence

from sqlmodel import Session

from api.alarms import repository, rules
from api.alarms.changes import Change
from api.alarms.changing import Changing
from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.rules import TABLE, Action, Part, Ring, State
from api.alarms.telling import Telling
from api.drills import repository as drills
from api.drills.rules import Span, judge
from api.register.service import Register
from broker.ids import HouseholdId
from broker.kinds import OLD_AFTER_MS, Answer, EventType, Kind, Mark, UpdateState
from broker.messages import GatewayEvent
from broker.policy import QUIET

PRESS = rules.PRESS
OF = "of:"
"""Begins the key under which what is said of a press waits for it."""


class Batch:
    """Events that are absorbed together: what they find, what they change, what they add."""

    def __init__(
        self, session: Session, telling: Telling, changing: Changing, register: Register, *, received_ms: int
    ) -> None:
        self.opened: list[AlarmRecord] = []
        self._telling = telling
        self._changing = changing
        self._register = register
        self._session = session
        self._received_ms = received_ms
        self._known: dict[str, list[AlarmRecord]] = {}
        self._by_event: dict[str, AlarmRecord] = {}
        self._recent: dict[str, tuple[str, int]] = {}
        """The incident of the newest alarm of a place, and when it happened."""
        self._changed: dict[str, AlarmRecord] = {}
        self._presses: dict[str, list[tuple[str, str | None]]] = {}
        self._parts: list[PartRecord] = []
        self._steps: list[StepRecord] = []
        self._said: list[tuple[AlarmRecord, str, str, str]] = []
        self._news: list[Change] = []
        self._drills: dict[str, list[Span]] = {}
        """Drills that went on lately, by group."""

    def load(self, events: Iterable[GatewayEvent]) -> None:
        """Fetch, in one go, the alarms that these events may belong to."""
        keys: set[str] = set()
        groups: set[str] = set()
        places: set[str] = set()
        spoken_of: set[str] = set()
        for event in events:
            about = rules.spoken_of(event)
            if about is not None:
                spoken_of.add(about)
            if event.event in rules.OPENERS:
                keys.add(rules.key_of(event).text)
                groups.update(() if event.group is None else (event.group,))
                if event.place is not None and rules.joins_incidents(rules.kind_of(event), rules.mark_of(event)):
                    places.add(event.place)
            elif event.event in rules.FOLLOWERS:
                keys.update(rules.followed_keys(event))
        if groups:
            self._drills = drills.running(self._session, groups, now_ms=self._received_ms)
        if keys:
            for alarm in repository.by_keys(self._session, keys):
                self._known.setdefault(alarm.key, []).append(alarm)
        if places:
            since_ms = self._received_ms - rules.INCIDENT_MS - OLD_AFTER_MS
            self._recent = repository.last_incidents(self._session, places, since_ms=since_ms)
        if spoken_of:
            self._by_event = repository.by_events(self._session, spoken_of)

    def take(self, event: GatewayEvent) -> None:
        """Let one event have its effect."""
        about = rules.spoken_of(event)
        if about is not None and (event.event is EventType.ANSWER or self._find(about) is not None):
            self._spoken(event, about)
        elif event.event in rules.OPENERS:
            self._press(event)
        elif event.event in rules.FOLLOWERS:
            self._follow(event)

    def save(self) -> None:
        """Write everything, what is referred to first; then let everybody hear who listens."""
        caught_up = self._catch_up()
        new = {alarm.id for alarm in self.opened}
        repository.add_alarms(self._session, self.opened)
        repository.save_alarms(self._session, [alarm for id_, alarm in self._changed.items() if id_ not in new])
        repository.add_parts(self._session, self._parts)
        repository.attach(self._session, caught_up)
        repository.add_steps(self._session, self._steps)
        for alarm, place, answer, event in self._said:
            repository.add_answer(self._session, alarm.id, place=place, answer=answer, event=event,
                                  at_ms=self._received_ms)  # fmt: skip
        if self._news:
            self._changing.hear(self._session, *self._news)

    def _press(self, event: GatewayEvent) -> None:
        """A press opens an alarm or joins the one that it already is."""
        key = rules.key_of(event)
        alarm = _joined(self._known.get(key.text, ()), key, event, received_ms=self._received_ms)
        if alarm is None:
            alarm = self._open(event, key.text)
            self._known.setdefault(key.text, []).append(alarm)
            self.opened.append(alarm)
            self._presses[alarm.id] = []
            self._step(alarm, Action.RECEIVE, None, event=event.id)
        else:
            self._join(alarm, event)
        self._add(event, Part.PRESS, alarm, key.text)

    def _open(self, event: GatewayEvent, key: str) -> AlarmRecord:
        kind = rules.kind_of(event)
        age_ms = _age_ms(event, self._received_ms)
        happened_ms = self._received_ms - age_ms
        spans = self._drills.get(event.group or "", ())
        judged = judge(spans, unit=event.unit, marked=event.mark is Mark.DRILL, at_ms=happened_ms)
        mark = rules.mark_of(event, drill=judged.drill)
        alarm = AlarmRecord(
            id=event.id,
            key=key,
            kind=kind.value,
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
            happened_ms=happened_ms,
            received_ms=self._received_ms,
            during_drill=judged.during,
            quiet=event.detail.get(QUIET) is True,
        )
        assign(alarm, self._register)
        if event.place is not None and rules.joins_incidents(kind, mark):
            incident, last_ms = self._recent.get(event.place, (alarm.id, happened_ms))
            alarm.incident = incident if abs(happened_ms - last_ms) <= rules.INCIDENT_MS else alarm.id
            self._recent[event.place] = (alarm.incident, happened_ms)
        return alarm

    def _spoken(self, event: GatewayEvent, about: str) -> None:
        """A neighbour answers, or a gateway says that it rang what the station ordered."""
        alarm = self._find(about)
        part = Part.ANSWER if event.event is EventType.ANSWER else Part.RUNG
        answer = str(event.detail.get("answer", "")) if event.verified else ""  # what cannot be verified says nothing
        if alarm is not None and (part is Part.ANSWER or alarm.gateway == event.gateway):
            self._hear(alarm, event.id, event.place, part, answer)
        self._add(event, part, alarm, f"{OF}{about}:{event.place or ''}:{answer}")

    def _hear(self, alarm: AlarmRecord, event: str, place: str | None, part: Part, answer: str) -> None:
        before = State(alarm.state)
        if part is Part.RUNG:
            alarm.ring = Ring.RUNG.value
            alarm.version += 1
            self._changed[alarm.id] = alarm
            self._step(alarm, Action.RUNG, before, event=event)
            return
        knows = place is not None and HouseholdId(place) in self._telling.neighbours(alarm)
        if answer in {*Answer} and knows and TABLE[before, Action.ANSWER] is not None:
            assert place is not None
            self._said.append((alarm, place, answer, event))
            detail = json.dumps({"place": place, "answer": answer})
            self._step(alarm, Action.ANSWER, before, event=event, detail=detail)

    def _follow(self, event: GatewayEvent) -> None:
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

    def _join(self, alarm: AlarmRecord, event: GatewayEvent) -> None:
        """The same press again. Whoever hears of it by this event learns what already was done."""
        before = State(alarm.state)
        self._changed[alarm.id] = alarm
        alarm.presses += 1
        alarm.version += 1
        alarm.verified = alarm.verified or event.verified
        alarm.quiet = alarm.quiet and event.detail.get(QUIET) is True
        if not event.verified:  # a key that is held repeats its code: the window moves on with it
            alarm.happened_ms = max(alarm.happened_ms, self._received_ms - _age_ms(event, self._received_ms))
        self._news.append(Change(alarm=alarm, action=Action.RECEIVE, before=before, at_ms=self._received_ms))
        news = rules.told(before, None if alarm.outcome is None else rules.Outcome(alarm.outcome))
        if news is not None:
            cancelled = news is UpdateState.CANCELLED_BY_HOUSEHOLD
            happened_ms = (alarm.cancelled_ms if cancelled else alarm.acknowledged_ms) or self._received_ms
            self._telling.tell(self._session, alarm, event.id, news, happened_ms=happened_ms)
            self._telling.show(self._session, alarm, event.id, event.gateway, happened_ms=happened_ms)

    def _cancel(self, alarm: AlarmRecord, event: str, gateway: str, *, at_ms: int) -> Part:
        """Note that the household took it back, if that is heard; say what the event is to the alarm."""
        presses = self._presses_of(alarm)
        heard = rules.may_cancel(Kind(alarm.kind), verified=True) and gateway in {told_by for _, told_by in presses}
        before = State(alarm.state)
        after = TABLE[before, Action.CANCEL]
        if not heard or after is None:
            return Part.CANCEL_REFUSED
        if alarm.cancelled_ms is None:
            self._changed[alarm.id] = alarm
            alarm.state = after.value
            alarm.cancelled_ms = at_ms
            alarm.version += 1
            self._step(alarm, Action.CANCEL, before, event=event, at_ms=at_ms)
            for press, _ in presses:
                self._telling.tell(self._session, alarm, press, UpdateState.CANCELLED_BY_HOUSEHOLD, happened_ms=at_ms)
        return Part.CANCEL

    def _catch_up(self) -> list[PartRecord]:
        """Give newly opened alarms what overtook them; return what had been stored before."""
        by_key: dict[str, AlarmRecord] = {}
        by_id = {f"{OF}{alarm.id}:": alarm for alarm in self.opened}
        for alarm in self.opened:
            if alarm.key.startswith(PRESS):
                by_key[alarm.key.removesuffix(rules.SILENT)] = alarm
        if not self.opened:
            return []
        here = [part for part in self._parts if part.alarm is None]
        stored = repository.waiting(self._session, [*by_key]) if by_key else []
        stored += repository.waiting_for(self._session, [*by_id])
        for part in [*stored, *here]:
            found = by_key.get(part.key) or by_id.get(part.key[: len(OF) + 37])
            if found is None:
                continue
            part.alarm = found.id
            if part.part == Part.CANCEL:
                part.part = self._cancel(found, part.event, part.gateway, at_ms=part.received_ms).value
            elif part.part == Part.ANSWER:
                _, _, place, answer = part.key.split(":", 3)
                self._hear(found, part.event, place, Part.ANSWER, answer)
        return stored

    def _presses_of(self, alarm: AlarmRecord) -> list[tuple[str, str | None]]:
        """Event id and gateway of every press that is this alarm, those of this batch included."""
        if alarm.id not in self._presses:
            stored = repository.parts(self._session, alarm.id, Part.PRESS)
            here = [part for part in self._parts if part.alarm == alarm.id and part.part == Part.PRESS]
            self._presses[alarm.id] = [(part.event, part.gateway) for part in [*stored, *here]]
        return self._presses[alarm.id]

    def _find(self, press: str) -> AlarmRecord | None:
        """The alarm that a press opened or joined."""
        found = self._by_event.get(press)
        if found is None:
            here = [part.alarm for part in self._parts if part.event == press and part.part == Part.PRESS]
            found = next((alarm for alarm in self.opened if alarm.id in here), None)
        if found is None:
            return None
        same = [alarm for alarm in self._known.get(found.key, ()) if alarm.id == found.id]
        return same[0] if same else self._changed.get(found.id, found)

    def _last_visible(self, unit: str) -> AlarmRecord | None:
        here = [alarm for alarm in self.opened if alarm.unit == unit and rules.is_visible(Kind(alarm.kind))]
        return here[-1] if here else repository.last_visible_of_unit(self._session, unit)

    def _step(
        self,
        alarm: AlarmRecord,
        action: Action,
        before: State | None,
        *,
        event: str,
        at_ms: int | None = None,
        detail: str | None = None,
    ) -> None:
        at_ms = self._received_ms if at_ms is None else at_ms
        self._steps.append(
            StepRecord(
                alarm=alarm.id,
                action=action.value,
                state=alarm.state,
                officer=None,
                event=event,
                at_ms=at_ms,
                detail=detail,
            )
        )
        self._news.append(Change(alarm=alarm, action=action, before=before, at_ms=at_ms))

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


def assign(alarm: AlarmRecord, register: Register) -> None:
    """Write down who belonged together, and what the household had consented to, at this moment."""
    membership = register.membership(alarm.place)
    place = register.place(alarm.place)
    alarm.group_known = alarm.group is not None and alarm.group == membership.group
    alarm.excluded = " ".join(sorted(membership.excluded))
    alarm.consent = place is not None and place.medical_consent


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
        kind = alarm.first_kind or alarm.kind
        if near and kind == rules.kind_of(event) and alarm.place == event.place:
            return alarm
    return None


def _age_ms(event: GatewayEvent, received_ms: int) -> int:
    return rules.age_ms(event.age_ms, at_ms=event.at_ms, synced=event.clock == "synced", received_ms=received_ms)


def mark_of(alarm: AlarmRecord) -> Mark | None:
    """The mark of an alarm."""
    return None if alarm.mark is None else Mark(alarm.mark)
