"""Alarms as HTTP shows them. Everything is made from `views.Shown`: what it withholds is null here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from api.alarms.rules import Action, Outcome, Part, Ring, Source, State, Whereabouts
from api.alarms.sight import Seen
from api.alarms.views import Shown
from api.clock import iso
from api.shapes import Answer, WordsAnswer, words_answer
from broker.kinds import ANSWER_WORDS, CALLER_TOOK_BACK_WORDS, KIND_WORDS, UPDATE_WORDS, Kind, Mark, UpdateState, Words
from broker.kinds import Answer as NeighbourAnswer


class PersonAnswer(Answer):
    """An account. `name` and `role` as they are now; null for somebody who has left."""

    by: str
    name: str | None
    role: str | None


class AcknowledgedAnswer(PersonAnswer):
    """Who took the alarm, and when."""

    at: datetime


class PositionAnswer(Answer):
    """Where whoever raised it was, in WGS 84, and how well that is known."""

    lat: float
    lon: float
    accuracy_m: int


class AlarmAnswer(Answer):
    """One alarm, as far as these eyes may read it: what is withheld is null. Times are UTC."""

    id: str
    """The event id of the press that opened it."""
    number: int | None
    """Rises by the order of arrival. For police."""
    kind: Kind
    words: WordsAnswer
    first_kind: Kind | None
    """The kind as it came, where a handler has said another one."""
    state: State
    state_words: WordsAnswer
    mark: Mark | None
    do_not_call: bool
    """请勿回拨: a call may endanger whoever pressed; police go there in person."""
    source: Source | None
    said: str | None
    """The caller's words."""
    address: str | None
    whereabouts: Whereabouts | None
    position: PositionAnswer | None
    ring: Ring | None
    """What became of the neighbours' sirens, for an alarm that the station raised."""
    ring_words: WordsAnswer | None
    quiet: bool | None
    """No neighbour's siren sounded, by an officer's order for that place; everybody was told by message."""
    during_drill: bool | None
    """In earnest, while a drill of the group went on (演练期间)."""
    verified: bool | None
    reason: str | None
    """Why it is not verified, in one word."""
    late: bool
    """Older than 60 s when it arrived."""
    place: str | None
    group: str | None
    door: int | None
    label: str | None
    unit: str | None
    gateway: str | None
    at: datetime | None
    """By the gateway's clock."""
    clock: str | None
    """How good that clock was: synced or unsynced."""
    happened: datetime
    """By the station's clock: when it was received, less its age."""
    received: datetime
    age_ms: Annotated[int, Field(ge=0)] | None
    presses: Annotated[int, Field(ge=1)] | None
    """Events that are this alarm: the same press heard by two gateways is two."""
    incident: str | None
    """The first alarm of the incident that it is part of."""
    cancelled: datetime | None
    """When the household took it back, which closes nothing."""
    stand_back: datetime | None
    """When neighbours were told not to come near (不要靠近)."""
    acknowledged: AcknowledgedAnswer | None
    owner: PersonAnswer | None
    """Who is responsible now."""
    checked: datetime | None
    dispatched: datetime | None
    on_the_way: datetime | None
    on_scene: datetime | None
    due: datetime | None
    """The deadline of whoever urged last (督办)."""
    police_number: str | None
    """警单号"""
    resolved: datetime | None
    outcome: Outcome | None
    outcome_words: WordsAnswer | None
    cause: str | None
    followed_up: datetime | None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None
    archived: datetime | None
    version: int | None


class EventAnswer(Answer):
    """An event that belongs to an alarm."""

    event: str
    part: Part
    gateway: str
    received: datetime


class StepAnswer(Answer):
    """Something that was done about an alarm, by somebody or by an event."""

    action: Action
    words: WordsAnswer
    state: State
    officer: str | None
    behalf: str | None
    """Who did it, where `officer` entered it for somebody else (代录)."""
    event: str | None
    reason: str | None
    detail: dict[str, str | int | bool | None] | None
    at: datetime


class DispatchAnswer(Answer):
    """Somebody who was sent (`guard`: by order), or 119 or 120 with the name of whoever took the call."""

    account: str | None
    guard: str | None
    name: str | None
    team: str | None
    service: str | None
    by: str
    at: datetime
    on_the_way: datetime | None
    on_scene: datetime | None
    recalled: datetime | None


class TransferAnswer(Answer):
    """An alarm offered to others (转办), shared with them (协办) or reported to them (上报)."""

    id: str
    what: str
    receiver: str
    reason: str
    by: str
    at: datetime
    answer: str | None
    answered_by: str | None
    answered: datetime | None


class NeighbourAnswerAnswer(Answer):
    """What one neighbour said last, or that somebody is there."""

    place: str | None
    door: int | None
    label: str | None
    answer: NeighbourAnswer | None
    words: WordsAnswer | None
    arrived: datetime | None
    at: datetime


class AnswersAnswer(Answer):
    """How many neighbours can be reached now, and what they said."""

    reachable: int
    coming: int
    watching: int
    cannot: int
    arrived: int
    own: NeighbourAnswer | None
    """What one's own household said."""
    list: list[NeighbourAnswerAnswer]
    """Whoever is coming first, then who watches, then who cannot; for those who may read who it is."""


class AttachmentAnswer(Answer):
    """A file that belongs to an alarm. `name` is what it was called where it came from: show it as text only."""

    id: str
    type: str
    size: int
    sha256: str
    name: str
    by: str
    at: datetime


class AlarmDetailAnswer(AlarmAnswer):
    """One alarm with all that belongs to it and may be read."""

    notes: list[str]
    """How to get in and what to mind, for responders, as far as the household consented."""
    events: list[EventAnswer]
    steps: list[StepAnswer]
    dispatches: list[DispatchAnswer]
    transfers: list[TransferAnswer]
    answers: AnswersAnswer | None
    attachments: list[AttachmentAnswer]
    people: list[PersonAnswer]
    """Who the accounts are that are named in what belongs to it."""


class AlarmPage(Answer):
    """Alarms, newest first. `next` is the cursor of the page after this one; null at the end."""

    items: list[AlarmAnswer]
    next: str | None


class IncidentAnswer(Answer):
    """Alarms that are one matter, oldest first. `kind`: the gravest of theirs, as it may be read."""

    kind: Kind | None
    words: WordsAnswer | None
    alarms: list[AlarmAnswer]


class ContactAnswer(Answer):
    """Whom to call, in calling order."""

    rank: int
    name: str | None
    phone: str | None
    relation: str


class ContactsAnswer(Answer):
    """Whom to call for an alarm. `do_not_call`: nobody (请勿回拨)."""

    do_not_call: bool
    list: list[ContactAnswer]


class ErrandAnswer(Answer):
    """Something to be looked after because of an alarm."""

    id: str
    alarm: str
    what: Literal["visit", "address"]
    words: WordsAnswer
    place: str | None
    about: str
    """A visit: the cause of the last false alarm. An address: what is wrong with it."""
    opened: datetime
    done: datetime | None
    done_by: str | None
    found: str | None


class LineAnswer(Answer):
    """The station has heard a phone."""

    heard: datetime


class ErrandsAnswer(Answer):
    """Errands, newest first."""

    items: list[ErrandAnswer]


ERRAND_WORDS: Final = {
    "visit": Words("三十日内第三次误报，上门查明原因", "third false alarm in 30 days: go and see why"),
    "address": Words("地址有误，请更正", "the address is wrong: correct it"),
}

STATE_WORDS: Final = {
    State.RECEIVED: Words("待签收", "waiting to be acknowledged"),
    State.CANCELLED_BY_HOUSEHOLD: UPDATE_WORDS[UpdateState.CANCELLED_BY_HOUSEHOLD],
    State.ACKNOWLEDGED: UPDATE_WORDS[UpdateState.ACKNOWLEDGED],
    State.VERIFIED: Words("已核实", "verified"),
    State.DISPATCHED: Words("已派警", "dispatched"),
    State.ON_THE_WAY: Words("赶赴现场", "on the way"),
    State.ON_SCENE: Words("到场", "on scene"),
    State.RESOLVED: UPDATE_WORDS[UpdateState.CLOSED],
    State.FOLLOWED_UP: Words("已回访", "followed up"),
    State.ARCHIVED: Words("归档", "archived"),
}

HIMSELF_WORDS: Final = {
    State.CANCELLED_BY_HOUSEHOLD: CALLER_TOOK_BACK_WORDS,
    Action.CANCEL: Words("本人撤销", "taken back by whoever called"),
}
"""Where somebody on patrol called for help for himself there is no household."""


def state_words(state: State, *, himself: bool) -> Words:
    """A state in words. `himself`: whoever raised it did so for himself, and not for a household."""
    return HIMSELF_WORDS.get(state, STATE_WORDS[state]) if himself else STATE_WORDS[state]


ACTION_WORDS: Final = {
    Action.RECEIVE: Words("接收", "receive"),
    Action.CANCEL: Words("住户撤销", "cancelled by household"),
    Action.ANSWER: Words("邻户应答", "neighbour's answer"),
    Action.ARRIVE: Words("邻户到场", "neighbour arrived"),
    Action.RUNG: Words("邻户已响警", "neighbours rung"),
    Action.ACKNOWLEDGE: Words("签收", "acknowledge"),
    Action.CALL_BACK: Words("回拨", "call back"),
    Action.VERIFY: Words("核实", "verify"),
    Action.SET_KIND: Words("改警种", "set the kind"),
    Action.DISPATCH: Words("派警", "dispatch"),
    Action.RECALL: Words("撤回派警", "recall"),
    Action.RECALL_ALL: Words("全部撤回", "recall the last one"),
    Action.HAND_OVER: Words("转119/120", "hand over to 119 or 120"),
    Action.NUMBER: Words("录入警单号", "enter the number of 110"),
    Action.ON_THE_WAY: Words("赶赴现场", "on the way"),
    Action.ON_SCENE: Words("到场", "on scene"),
    Action.STAND_BACK: UPDATE_WORDS[UpdateState.STAND_BACK],
    Action.TRANSFER: Words("转办", "transfer"),
    Action.ACCEPT: Words("接受转办", "accept"),
    Action.REFUSE: Words("拒绝转办", "refuse"),
    Action.WITHDRAW: Words("撤回转办", "withdraw"),
    Action.JOIN: Words("协办", "handle jointly"),
    Action.REPORT_UP: Words("上报", "report upward"),
    Action.URGE: Words("督办", "urge"),
    Action.WRONG_ADDRESS: Words("地址有误", "wrong address"),
    Action.LINK: Words("关联", "link"),
    Action.NOTE: Words("备注", "note"),
    Action.ATTACH: Words("附件", "attach"),
    Action.RESOLVE: Words("办结", "resolve"),
    Action.FOLLOW_UP: Words("回访", "follow up"),
    Action.WAIVE: Words("免回访", "waive the follow-up"),
    Action.FILE: Words("直接归档", "file"),
    Action.ARCHIVE: Words("归档", "archive"),
    Action.REOPEN: Words("重开", "reopen"),
}

OUTCOME_WORDS: Final = {
    Outcome.REAL: Words("属实", "real"),
    Outcome.FALSE: UPDATE_WORDS[UpdateState.FALSE_ALARM],
    Outcome.TEST: Words("测试", "test"),
    Outcome.DRILL: Words("演练", "drill"),
    Outcome.NOTHING_FOUND: Words("未发现异常", "nothing found"),
}

RING_WORDS: Final = {
    Ring.ORDERED: Words("已下令响警", "ringing was ordered"),
    Ring.RUNG: Words("邻户已响警", "neighbours rung"),
    Ring.GATEWAY_OFFLINE: Words("网关离线，邻户未响警", "the gateway is offline: neighbours are not rung"),
    Ring.NO_GATEWAY: Words("该处无网关，邻户未响警", "there is no gateway: neighbours are not rung"),
    Ring.SHOWN: Words("不在家，仅告知邻户", "away from home: neighbours are shown it, not rung"),
    Ring.SILENT: Words("静默，不响警", "silent: nothing rings"),
}


@dataclass(frozen=True, slots=True)
class Person:
    """An account as it is now."""

    name: str
    role: str | None


People = Callable[[str], Person | None]
"""Who an account is; None for somebody who has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What belongs to an alarm, as far as the looker may read it."""

    notes: list[str] = field(default_factory=list)
    events: list[EventAnswer] = field(default_factory=list)
    steps: list[StepAnswer] = field(default_factory=list)
    dispatches: list[DispatchAnswer] = field(default_factory=list)
    transfers: list[TransferAnswer] = field(default_factory=list)
    answers: AnswersAnswer | None = None
    attachments: list[AttachmentAnswer] = field(default_factory=list)

    def accounts(self) -> list[str]:
        """Every account that is named in it."""
        named = {
            *(one.officer for one in self.steps),
            *(who for one in self.dispatches for who in (one.account, one.by)),
            *(who for one in self.transfers for who in (one.by, one.answered_by)),
            *(one.by for one in self.attachments),
        }
        return sorted(one for one in named if one is not None)


def alarm_answer(shown: Shown, people: People) -> AlarmAnswer:
    """An alarm as it is answered."""
    return AlarmAnswer.model_validate(_fields(shown, people))


def alarm_detail_answer(
    seen: Seen, belongings: Belongings, people: People, named: list[PersonAnswer]
) -> AlarmDetailAnswer:
    """An alarm with all that belongs to it, and who is named there."""
    own = {name: getattr(belongings, name) for name in Belongings.__slots__}
    return AlarmDetailAnswer.model_validate({**_fields(seen.shown, people), **own, "people": named})


def answer_words(answer: NeighbourAnswer) -> WordsAnswer:
    """A neighbour's answer in both languages."""
    return words_answer(ANSWER_WORDS[answer])


def at(ms: int | None) -> datetime | None:
    """A time that may not have come."""
    return None if ms is None else iso(ms)


def person(account: str, people: People) -> PersonAnswer:
    """An account by name."""
    found = people(account)
    return PersonAnswer(
        by=account, name=None if found is None else found.name, role=None if found is None else found.role
    )


def action_words(action: Action, *, himself: bool) -> Words:
    """An action in words, as `state_words`."""
    return HIMSELF_WORDS.get(action, ACTION_WORDS[action]) if himself else ACTION_WORDS[action]


_SAME: Final = (
    "id", "number", "kind", "state", "mark", "do_not_call", "source", "address", "whereabouts", "verified", "reason",
    "late", "place", "group", "door", "label", "unit", "gateway", "clock", "age_ms", "presses", "incident", "ring",
    "during_drill", "quiet", "police_number", "outcome", "cause", "satisfaction", "version", "first_kind",
)  # fmt: skip
_TIMES: Final = {
    "at": "at_ms", "happened": "happened_ms", "received": "received_ms", "cancelled": "cancelled_ms",
    "stand_back": "stood_back_ms", "checked": "checked_ms", "dispatched": "dispatched_ms", "on_scene": "on_scene_ms",
    "on_the_way": "on_the_way_ms", "due": "due_ms", "resolved": "resolved_ms", "followed_up": "followed_up_ms",
    "archived": "archived_ms",
}  # fmt: skip


def _fields(shown: Shown, people: People) -> dict[str, object]:
    acknowledged = None
    if shown.acknowledged_by is not None and shown.acknowledged_ms is not None:
        who = person(shown.acknowledged_by, people)
        acknowledged = AcknowledgedAnswer(**who.model_dump(), at=iso(shown.acknowledged_ms))
    position = None
    if shown.lat_e6 is not None and shown.lon_e6 is not None and shown.accuracy_m is not None:
        position = PositionAnswer(lat=shown.lat_e6 / 1e6, lon=shown.lon_e6 / 1e6, accuracy_m=shown.accuracy_m)
    return {
        **{name: getattr(shown, name) for name in _SAME},
        **{name: at(getattr(shown, column)) for name, column in _TIMES.items()},
        "words": words_answer(shown.kind_words),
        "state_words": words_answer(state_words(shown.state, himself=shown.himself)),
        "ring_words": None if shown.ring is None else words_answer(RING_WORDS[Ring(shown.ring)]),
        "outcome_words": None if shown.outcome is None else words_answer(OUTCOME_WORDS[shown.outcome]),
        "said": shown.words,
        "position": position,
        "acknowledged": acknowledged,
        "owner": None if shown.owner is None else person(shown.owner, people),
    }


def kind_words(kind: Kind) -> WordsAnswer:
    """A kind in both languages."""
    return words_answer(KIND_WORDS[kind])
