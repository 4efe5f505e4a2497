"""Alarms as HTTP shows them."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.rules import Action, Part, State
from api.clock import iso
from api.register.service import Register
from broker.kinds import KIND_WORDS, UPDATE_WORDS, Kind, Mark, UpdateState, Words


class Answer(BaseModel):
    """What is answered: closed, so that nothing slips in that nobody decided to show."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WordsAnswer(Answer):
    """A word in both languages."""

    zh: str
    en: str


class AcknowledgedAnswer(Answer):
    """Who has the alarm, since when. `name` and `role` as they are now; None for somebody who has left."""

    by: str
    name: str | None
    role: str | None
    at: datetime


class AlarmAnswer(Answer):
    """One alarm. Times are UTC."""

    id: str
    """The event id of the press that opened it."""
    number: int
    """Rises by the order of arrival."""
    kind: Kind
    words: WordsAnswer
    state: State
    state_words: WordsAnswer
    mark: Mark | None
    verified: bool
    reason: str | None
    """Why it is not verified, in one word."""
    late: bool
    """Older than 60 s when it arrived."""
    place: str | None
    group: str | None
    door: int | None
    label: str | None
    unit: str | None
    gateway: str
    at: datetime
    """By the gateway's clock."""
    clock: str
    """How good that clock was: synced or unsynced."""
    happened: datetime
    """By the station's clock: when it was received, less its age."""
    received: datetime
    age_ms: Annotated[int, Field(ge=0)]
    presses: Annotated[int, Field(ge=1)]
    """Events that are this alarm: the same press heard by two gateways is two."""
    cancelled: datetime | None
    """When the household took it back, which closes nothing."""
    acknowledged: AcknowledgedAnswer | None
    version: int


class EventAnswer(Answer):
    """An event that belongs to an alarm."""

    event: str
    part: Part
    gateway: str
    received: datetime


class StepAnswer(Answer):
    """Something that was done about an alarm, by an officer or by an event."""

    action: Action
    state: State
    officer: str | None
    event: str | None
    at: datetime


class AlarmDetailAnswer(AlarmAnswer):
    """One alarm with all that belongs to it."""

    events: list[EventAnswer]
    steps: list[StepAnswer]


class AlarmPage(Answer):
    """Alarms, newest first. `next` is the cursor of the page after this one; None at the end."""

    items: list[AlarmAnswer]
    next: str | None


STATE_WORDS: Final = {
    State.RECEIVED: Words("待签收", "waiting to be acknowledged"),
    State.CANCELLED_BY_HOUSEHOLD: UPDATE_WORDS[UpdateState.CANCELLED_BY_HOUSEHOLD],
    State.ACKNOWLEDGED: UPDATE_WORDS[UpdateState.ACKNOWLEDGED],
}


def alarm_answer(alarm: AlarmRecord, register: Register) -> AlarmAnswer:
    """An alarm of the table as it is answered."""
    return AlarmAnswer.model_validate(_fields(alarm, register))


def alarm_detail_answer(
    alarm: AlarmRecord, events: list[PartRecord], steps: list[StepRecord], register: Register
) -> AlarmDetailAnswer:
    """An alarm with its events and steps."""
    return AlarmDetailAnswer.model_validate(
        {
            **_fields(alarm, register),
            "events": [
                EventAnswer(event=one.event, part=Part(one.part), gateway=one.gateway, received=iso(one.received_ms))
                for one in events
            ],
            "steps": [
                StepAnswer(
                    action=Action(one.action),
                    state=State(one.state),
                    officer=one.officer,
                    event=one.event,
                    at=iso(one.at_ms),
                )
                for one in steps
            ],
        }
    )


def _fields(alarm: AlarmRecord, register: Register) -> dict[str, object]:
    acknowledged = None
    if alarm.acknowledged_by is not None and alarm.acknowledged_ms is not None:
        officer = register.officer(alarm.acknowledged_by)
        acknowledged = AcknowledgedAnswer(
            by=alarm.acknowledged_by,
            name=None if officer is None else officer.name,
            role=None if officer is None else officer.role,
            at=iso(alarm.acknowledged_ms),
        )
    return {
        "id": alarm.id,
        "number": alarm.number,
        "kind": alarm.kind,
        "words": _words(KIND_WORDS[Kind(alarm.kind)]),
        "state": alarm.state,
        "state_words": _words(STATE_WORDS[State(alarm.state)]),
        "mark": alarm.mark,
        "verified": alarm.verified,
        "reason": alarm.reason,
        "late": alarm.late,
        "place": alarm.place,
        "group": alarm.group,
        "door": alarm.door,
        "label": alarm.label,
        "unit": alarm.unit,
        "gateway": alarm.gateway,
        "at": iso(alarm.at_ms),
        "clock": alarm.clock,
        "happened": iso(alarm.happened_ms),
        "received": iso(alarm.received_ms),
        "age_ms": alarm.age_ms,
        "presses": alarm.presses,
        "cancelled": None if alarm.cancelled_ms is None else iso(alarm.cancelled_ms),
        "acknowledged": acknowledged,
        "version": alarm.version,
    }


def _words(words: Words) -> WordsAnswer:
    return WordsAnswer(zh=words.zh, en=words.en)
