"""Cases made anew from the log: the signed envelopes that came in, and the steps that were taken, in their order.

Nothing that stands in the alarm table is read here but which events belong to which alarm. An envelope that is not
what it was when it came (its digest stands beside it) is told, and what it said is not believed.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from api.alarms import rules as life
from api.alarms.models import AlarmEvent, AlarmStep
from api.alarms.rules import Action, Part
from api.database import table_of
from api.drills import repository as drills
from api.drills.rules import judge
from api.ingest.models import Inbox
from api.reports.repository import Trees
from api.reports.rules import Case, Span
from broker.kinds import Kind, Mark
from broker.messages import GatewayEvent, parse_body

_STEP = table_of(AlarmStep)
_PART = table_of(AlarmEvent)
_INBOX = table_of(Inbox)


@dataclass(frozen=True, slots=True)
class Taken:
    """An event as it came in."""

    event: GatewayEvent
    received_ms: int

    @property
    def happened_ms(self) -> int:
        """By the station's reckoning."""
        event = self.event
        synced = event.clock == "synced"
        age_ms = life.age_ms(event.age_ms, at_ms=event.at_ms, synced=synced, received_ms=self.received_ms)
        return self.received_ms - age_ms


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done."""

    action: Action
    at_ms: int
    officer: str | None
    event: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the log says: cases, and ids of events whose envelope was changed."""

    cases: list[Case]
    changed: list[str]


def read(session: Session, when: Span, *, lay: Trees) -> Reading:
    """Every alarm that was received in a time, from the log alone."""
    opened = select(_STEP.c.alarm).where(
        _STEP.c.action == Action.RECEIVE.value, _STEP.c.at_ms >= when.from_ms, _STEP.c.at_ms < when.to_ms
    )
    steps = _steps(session, opened)
    presses, changed = _presses(session, opened)
    cases = [
        replay(alarm, taken, presses.get(alarm, ()), in_drill=_in_drill(session, presses.get(alarm, ())))
        for alarm, taken in steps.items()
    ]
    placed = [replace(case, areas=lay.around(case.group, case.happened_ms)) for case in cases]
    return Reading(sorted(placed, key=lambda case: case.id), sorted(changed))


def replay(alarm: str, steps: Sequence[Step], presses: Sequence[Taken], *, in_drill: bool) -> Case:
    """The case of one alarm, from what opened it and from its steps in order."""
    case = _opened(alarm, steps[0], presses, in_drill=in_drill)
    for step in steps[1:]:
        case = _after(case, step)
    return case


def _opened(alarm: str, first: Step, presses: Sequence[Taken], *, in_drill: bool) -> Case:
    by_id = {taken.event.id: taken for taken in presses}
    taken = None if first.event is None else by_id.get(first.event)  # type: ignore[call-overload] # an id is a text
    if taken is None:  # raised here, or nothing that could be read
        return Case(
            id=alarm,
            kind=str(first.detail.get("kind", Kind.UNVERIFIED.value)),
            mark=None,
            place=first.detail.get("place"),
            group=first.detail.get("group"),
            areas=frozenset(),
            happened_ms=first.at_ms,
            received_ms=first.at_ms,
        )
    held = [one.happened_ms for one in presses if not one.event.verified and one is not taken]
    mark = life.mark_of(taken.event, drill=in_drill)
    return Case(
        id=alarm,
        kind=life.kind_of(taken.event).value,
        mark=None if mark is None else mark.value,
        place=taken.event.place,
        group=taken.event.group,
        areas=frozenset(),
        happened_ms=max([taken.happened_ms, *held]),
        received_ms=taken.received_ms,
    )


def _after(case: Case, step: Step) -> Case:
    detail = step.detail
    match step.action:
        case Action.ACKNOWLEDGE:
            return replace(case, acknowledged_ms=case.acknowledged_ms or step.at_ms)
        case Action.ON_SCENE:
            return replace(case, on_scene_ms=case.on_scene_ms or step.at_ms)
        case Action.SET_KIND:
            return replace(case, kind=detail["after"], mark=None)
        case Action.URGE:
            return replace(case, due_ms=detail["due_ms"])
        case Action.RESOLVE:
            return replace(case, resolved_ms=step.at_ms, handler=step.officer, outcome=detail["outcome"])
        case Action.FOLLOW_UP:
            return replace(case, followed_up_ms=step.at_ms, satisfaction=detail["satisfaction"])
        case Action.REOPEN:
            return replace(
                case, resolved_ms=None, handler=None, outcome=None, followed_up_ms=None, satisfaction=None, due_ms=None
            )
        case _:
            return case


def _steps(session: Session, alarms: Any) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = defaultdict(list)
    columns = (_STEP.c.alarm, _STEP.c.action, _STEP.c.at_ms, _STEP.c.officer, _STEP.c.event, _STEP.c.detail)
    rows = select(*columns).where(_STEP.c.alarm.in_(alarms)).order_by(_STEP.c.number)
    for alarm, action, at_ms, officer, event, detail in session.connection().execute(rows):
        found[alarm].append(Step(Action(action), at_ms, officer, event, json.loads(detail) if detail else {}))
    return found


def _presses(session: Session, alarms: Any) -> tuple[dict[str, list[Taken]], list[str]]:
    found: dict[str, list[Taken]] = defaultdict(list)
    changed: list[str] = []
    rows = (
        select(_PART.c.alarm, _INBOX.c.id, _INBOX.c.received_ms, _INBOX.c.digest, _INBOX.c.envelope)
        .join(_INBOX, _INBOX.c.id == _PART.c.event)
        .where(_PART.c.alarm.in_(alarms), _PART.c.part == Part.PRESS.value)
        .order_by(_INBOX.c.received_ms, _INBOX.c.id)
    )
    for alarm, id_, received_ms, digest, envelope in session.connection().execute(rows):
        event = _event(envelope, digest)
        if event is None:
            changed.append(id_)
        else:
            found[alarm].append(Taken(event, received_ms))
    return found, changed


def _event(envelope: str, digest: str) -> GatewayEvent | None:
    if sha256(envelope.encode()).hexdigest() != digest:
        return None
    body = parse_body(json.dumps(json.loads(envelope)["body"]).encode())
    return body if isinstance(body, GatewayEvent) else None


def _in_drill(session: Session, presses: Iterable[Taken]) -> bool:
    first = next(iter(presses), None)
    if first is None or first.event.mark is not Mark.DRILL or first.event.group is None:
        return False
    spans = drills.running(session, [first.event.group], now_ms=first.received_ms).get(first.event.group, ())
    return judge(spans, unit=first.event.unit, marked=True, at_ms=first.happened_ms).drill
