"""What may happen to an alarm: pure, without tables, clocks or messages.

Theory:

1. An alarm is in one state. TABLE says for every (state, action) which state follows, or that it is refused:
   there is no pair without an answer, and no state changes anywhere else. `docs/lifecycle.md` shows it to people.
2. Nothing that a household does closes an alarm. A cancel makes it "cancelled by household, to be verified",
   which is as open as before; once somebody has acknowledged, a cancel is noted beside the state.
3. A duress alarm cannot be cancelled: whoever holds the key may be the danger. A cancel that cannot be verified
   changes nothing, whatever the kind. Both are kept and shown.
4. Exactly one acknowledgement is taken. Who comes second is refused and told who was first.
5. Nothing is closed unseen: before it is resolved, somebody has called back or been at the door (`may_resolve`);
   for duress only police in person. Only a handler finds that an alarm was false.
6. Nobody asks about his own work: the follow-up is done by somebody who had no hand in it.
7. Two events are the same press when their press keys are equal; for fixed-code radio, which has no press
   number, when the same code is heard again within 10 s. An event that is not verified never merges with one
   that is, so that nobody can hide a press behind a forged copy; nor does a silent alarm with a visible one.
8. A cancel is heard from a gateway that brought the press itself, and from no other.
9. Presses in earnest that everybody may see, from one place within 10 minutes, are one incident. Its kind is the
   gravest of its members', so that it only rises by itself. Duress, the unverified, tests and drills stand alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.kinds import OLD_AFTER_MS, SIREN_PRIORITY, EventType, Kind, LadderState, Mark, UpdateState
from broker.messages import GatewayEvent

FIXED_CODE_MERGE_MS: Final = 10_000
INCIDENT_MS: Final = 600_000
"""How long after its last press an incident takes another one in."""
FALSE_WITHIN_MS: Final = 30 * 24 * 3_600_000
FALSE_FOR_A_VISIT: Final = 3
"""So many false alarms from one place within that time, and somebody goes and looks why."""


class State(StrEnum):
    """Where an alarm stands. The words are those of `UpdateState` where audiences are told of it."""

    RECEIVED = "received"
    CANCELLED_BY_HOUSEHOLD = "cancelled_by_household"
    ACKNOWLEDGED = "acknowledged"
    VERIFIED = "verified"
    DISPATCHED = "dispatched"
    ON_THE_WAY = "on_the_way"
    ON_SCENE = "on_scene"
    RESOLVED = "resolved"
    FOLLOWED_UP = "followed_up"
    ARCHIVED = "archived"


class Action(StrEnum):
    """What is done to an alarm. `receive` opens one."""

    RECEIVE = "receive"
    CANCEL = "cancel"
    ANSWER = "answer"
    ARRIVE = "arrive"
    """A neighbour or a guard is there; the police's own arrival is `on_scene`."""
    RUNG = "rung"
    """The gateway says that it rang what the station ordered."""
    ACKNOWLEDGE = "acknowledge"
    CALL_BACK = "call_back"
    """Somebody was called and it is still not known what is the matter."""
    VERIFY = "verify"
    SET_KIND = "set_kind"
    DISPATCH = "dispatch"
    RECALL = "recall"
    RECALL_ALL = "recall_all"
    HAND_OVER = "hand_over"
    """To 119 or 120."""
    NUMBER = "number"
    """The number that 110 gave it."""
    ON_THE_WAY = "on_the_way"
    ON_SCENE = "on_scene"
    STAND_BACK = "stand_back"
    TRANSFER = "transfer"
    ACCEPT = "accept"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"
    JOIN = "join"
    REPORT_UP = "report_up"
    URGE = "urge"
    WRONG_ADDRESS = "wrong_address"
    LINK = "link"
    NOTE = "note"
    ATTACH = "attach"
    RESOLVE = "resolve"
    FOLLOW_UP = "follow_up"
    WAIVE = "waive"
    FILE = "file"
    """A test or a drill goes to the archive without a follow-up."""
    ARCHIVE = "archive"
    REOPEN = "reopen"


class Part(StrEnum):
    """What an event is to the alarm that it belongs to."""

    PRESS = "press"
    DURATION = "duration"
    CANCEL = "cancel"
    CANCEL_REFUSED = "cancel_refused"
    ANSWER = "answer"
    RUNG = "rung"


class Source(StrEnum):
    """How an alarm came."""

    UNIT = "unit"
    PHONE = "phone"
    """A household's phone page."""
    DESK = "desk"
    """A caller, typed in."""
    UNREADABLE = "unreadable"


def for_himself(source: str, place: str | None) -> bool:
    """Whether somebody on patrol called for help for himself: by his phone, at no household's place."""
    return source == Source.PHONE and place is None


class Whereabouts(StrEnum):
    """Where whoever raised it by phone says to be."""

    HOME = "home"
    POSITION = "position"
    UNKNOWN = "unknown"


class Ring(StrEnum):
    """What became of the neighbours' sirens, for an alarm that the station raised."""

    ORDERED = "ordered"
    RUNG = "rung"
    GATEWAY_OFFLINE = "gateway_offline"
    NO_GATEWAY = "no_gateway"
    SHOWN = "shown"
    """Away from home: neighbours read it and are not rung."""
    SILENT = "silent"
    """A kind that rings nowhere."""


class Outcome(StrEnum):
    """What it turned out to be. Only a handler says it."""

    REAL = "real"
    FALSE = "false"
    TEST = "test"
    DRILL = "drill"
    NOTHING_FOUND = "nothing_found"


class Cause(StrEnum):
    """Why a false alarm was raised."""

    CHILD = "child"
    PET = "pet"
    UNIT = "unit"
    MISTAKE = "mistake"


FRESH: Final = (State.RECEIVED, State.CANCELLED_BY_HOUSEHOLD)
"""Nobody has it."""
HANDLED: Final = (State.ACKNOWLEDGED, State.VERIFIED, State.DISPATCHED, State.ON_THE_WAY, State.ON_SCENE)
"""Somebody has it, and it is not over."""
OPEN: Final = (*FRESH, *HANDLED)
CLOSED: Final = (State.RESOLVED, State.FOLLOWED_UP, State.ARCHIVED)

_Rule = dict[State, State]


def _stay(*states: State) -> _Rule:
    return {state: state for state in states}


def _to(after: State, *states: State) -> _Rule:
    return dict.fromkeys(states, after)


_UNFILED: Final = (*OPEN, State.RESOLVED, State.FOLLOWED_UP)

_RULES: Final[Mapping[Action, _Rule]] = {
    Action.RECEIVE: _stay(*State),
    Action.CANCEL: _stay(*State) | _to(State.CANCELLED_BY_HOUSEHOLD, State.RECEIVED),
    Action.ANSWER: _stay(*OPEN),
    Action.ARRIVE: _stay(*OPEN),
    Action.RUNG: _stay(*State),
    Action.ACKNOWLEDGE: _to(State.ACKNOWLEDGED, *FRESH),
    Action.CALL_BACK: _stay(*HANDLED),
    Action.VERIFY: _stay(*HANDLED) | _to(State.VERIFIED, State.ACKNOWLEDGED),
    Action.SET_KIND: _stay(*OPEN),
    Action.DISPATCH: _stay(*HANDLED) | _to(State.DISPATCHED, State.ACKNOWLEDGED, State.VERIFIED),
    Action.RECALL: _stay(State.DISPATCHED, State.ON_THE_WAY, State.ON_SCENE),
    Action.RECALL_ALL: _to(State.ACKNOWLEDGED, State.DISPATCHED, State.ON_THE_WAY) | _stay(State.ON_SCENE),
    Action.HAND_OVER: _stay(*HANDLED),
    Action.NUMBER: _stay(*HANDLED, State.RESOLVED, State.FOLLOWED_UP),
    Action.ON_THE_WAY: _to(State.ON_THE_WAY, *HANDLED) | _stay(State.ON_SCENE),
    Action.ON_SCENE: _to(State.ON_SCENE, *HANDLED),
    Action.STAND_BACK: _stay(*OPEN),
    Action.TRANSFER: _stay(*HANDLED),
    Action.ACCEPT: _stay(*HANDLED),
    Action.REFUSE: _stay(*HANDLED),
    Action.WITHDRAW: _stay(*HANDLED),
    Action.JOIN: _stay(*HANDLED),
    Action.REPORT_UP: _stay(*OPEN),
    Action.URGE: _stay(*OPEN, State.RESOLVED),
    Action.WRONG_ADDRESS: _stay(*_UNFILED),
    Action.LINK: _stay(*_UNFILED),
    Action.NOTE: _stay(*_UNFILED),
    Action.ATTACH: _stay(*_UNFILED),
    Action.RESOLVE: _to(State.RESOLVED, *HANDLED),
    Action.FOLLOW_UP: _to(State.FOLLOWED_UP, State.RESOLVED),
    Action.WAIVE: _to(State.FOLLOWED_UP, State.RESOLVED),
    Action.FILE: _to(State.ARCHIVED, State.RESOLVED),
    Action.ARCHIVE: _to(State.ARCHIVED, State.FOLLOWED_UP),
    Action.REOPEN: _to(State.ACKNOWLEDGED, *CLOSED),
}
"""By action: what follows on each state in which it may be done. What does not stand here is refused."""

TABLE: Final[Mapping[tuple[State, Action], State | None]] = {
    (state, action): _RULES[action].get(state) for action in Action for state in State
}
"""The state after an action; None when it is refused."""

ACKNOWLEDGEABLE: Final = tuple(state for state in State if TABLE[state, Action.ACKNOWLEDGE] is not None)

COARSE: Final[Mapping[State, State]] = {state: state for state in State} | {
    State.VERIFIED: State.ACKNOWLEDGED,
    State.DISPATCHED: State.ACKNOWLEDGED,
    State.ON_SCENE: State.ON_THE_WAY,
    State.FOLLOWED_UP: State.RESOLVED,
    State.ARCHIVED: State.RESOLVED,
}
"""States as neighbours and the presser's household read them: no finer than what they are told by message."""

_TOLD: Final[Mapping[State, UpdateState]] = {
    State.CANCELLED_BY_HOUSEHOLD: UpdateState.CANCELLED_BY_HOUSEHOLD,
    State.ACKNOWLEDGED: UpdateState.ACKNOWLEDGED,
    State.ON_THE_WAY: UpdateState.SOMEBODY_COMING,
    State.RESOLVED: UpdateState.CLOSED,
}


def told(state: State, outcome: Outcome | None = None) -> UpdateState | None:
    """What the audiences were last told of an alarm in this state; None while they only know that it is."""
    if COARSE[state] is State.RESOLVED and outcome is Outcome.FALSE:
        return UpdateState.FALSE_ALARM
    return _TOLD.get(COARSE[state])


CLIMBS: Final[Mapping[State, LadderState]] = {
    state: {
        State.ACKNOWLEDGED: LadderState.POLICE_HAVE_IT,
        State.ON_THE_WAY: LadderState.SOMEBODY_COMING,
        State.RESOLVED: LadderState.CLOSED,
    }[COARSE[state]]
    for state in (*HANDLED, *CLOSED)
}
"""What the presser's lamp shows in this state, beyond what the gateway knows by itself."""


OPENERS: Final = frozenset({EventType.PRESS, EventType.ALERT, EventType.UNVERIFIED, EventType.TEST})
FOLLOWERS: Final = frozenset({EventType.CANCEL, EventType.DURATION})

PRESS: Final = "press:"
EVENT_ID_CHARS: Final = 36
SILENT: Final = "!"


@dataclass(frozen=True, slots=True)
class Key:
    """How to find the alarm that a press belongs to. `within_ms`: only one that happened so near in time."""

    text: str
    within_ms: int | None = None


def kind_of(event: GatewayEvent) -> Kind:
    """The kind of the alarm that this event opens; whatever does not say it is shown as unverified."""
    if event.kind is not None:
        return event.kind
    return Kind.TEST if event.event is EventType.TEST else Kind.UNVERIFIED


def mark_of(event: GatewayEvent, *, drill: bool = False) -> Mark | None:
    """The mark, which the kinds test and drill carry without being told; a press is part of a drill that is known."""
    if kind_of(event) is Kind.TEST or event.mark is Mark.TEST:
        return Mark.TEST
    return Mark.DRILL if drill or kind_of(event) is Kind.DRILL else None


def key_of(event: GatewayEvent) -> Key:
    """The key of the alarm that this event (one of OPENERS) opens or joins."""
    kind = kind_of(event)
    silent = SILENT if kind is Kind.DURESS else ""
    if kind is Kind.UNVERIFIED:
        return Key(f"event:{event.id}" if event.press is None else f"unverified:{event.gateway}:{event.press}")
    if not event.verified and event.unit is not None:
        return Key(f"code:{event.unit}:{kind}{silent}", within_ms=FIXED_CODE_MERGE_MS)
    if event.verified and event.press is not None:
        return Key(f"{PRESS}{event.press}{silent}")
    return Key(f"event:{event.id}")


def spoken_of(event: GatewayEvent) -> str | None:
    """The press that a neighbour answers, or that the station had ordered to ring, where the event names one."""
    name = {EventType.ANSWER: "event", EventType.ALERT: "alarm"}.get(event.event)
    about = event.detail.get(name) if name is not None else None
    return about if isinstance(about, str) and len(about) == EVENT_ID_CHARS else None


def followed_keys(event: GatewayEvent) -> tuple[str, ...]:
    """The keys under which the press of this event (one of FOLLOWERS) may be found; none when it names no press."""
    if event.press is None or event.press.endswith(":0"):  # number 0: "whatever I pressed last"
        return ()
    return (f"{PRESS}{event.press}", f"{PRESS}{event.press}{SILENT}")


def age_ms(said_ms: int, *, at_ms: int, synced: bool, received_ms: int) -> int:
    """How old an event was when it arrived. The gateway said so when it sent it; a broker may have kept it since.

    A synchronised clock at the gateway shows that; it can make an event older than was said, never younger.
    """
    return max(said_ms, received_ms - at_ms) if synced else said_ms


def is_late(age_ms: int) -> bool:
    """Whether it arrived so old that nothing rang for it at the station's side."""
    return age_ms > OLD_AFTER_MS


def may_cancel(kind: Kind, *, verified: bool) -> bool:
    """Whether a household's cancel, verified or not, is heard for an alarm of this kind."""
    return verified and kind is not Kind.DURESS


def is_visible(kind: Kind) -> bool:
    """Whether a cancel that names no press may mean an alarm of this kind."""
    return kind not in {Kind.DURESS, Kind.UNVERIFIED}


def shows_on_lamp(kind: Kind) -> bool:
    """Whether the presser's unit may show how far the alarm got; for duress it behaves as if idle."""
    return kind is not Kind.DURESS


def may_resolve(kind: Kind, mark: Mark | None, *, checked: bool, outcome: Outcome) -> bool:
    """Whether an alarm may be closed: somebody has seen or asked, or it is a test or a drill that says so itself."""
    return checked or (kind is not Kind.DURESS and mark is not None and outcome in {Outcome.TEST, Outcome.DRILL})


def may_call(kind: Kind, *, in_person: bool) -> bool:
    """Whether verifying may be done so: duress by police in person, since a call may endanger whoever pressed."""
    return in_person or kind is not Kind.DURESS


def may_become(before: Kind, after: Kind) -> bool:
    """Whether a handler may say that an alarm is of another kind.

    Never from or to duress, since others would see an alarm come or go; nor to what is no kind of need.
    """
    return before not in {Kind.DURESS, Kind.TAMPER} and after in SIREN_PRIORITY and after is not Kind.DRILL


def may_follow_up(account: str, handlers: Collection[str | None]) -> bool:
    """Whether this account may ask the household afterwards: it is none of those who handled it."""
    return account not in handlers


def joins_incidents(kind: Kind, mark: Mark | None) -> bool:
    """Whether an alarm of this kind is part of an incident: in earnest, and known to everybody."""
    return mark is None and kind in SIREN_PRIORITY and kind is not Kind.DRILL


def gravest(kinds: Iterable[Kind]) -> Kind:
    """The kind of an incident whose alarms have these (at least one); it rises with them and never falls by itself."""
    return min(kinds, key=SIREN_PRIORITY.index)


def needs_visit(false_before_ms: Collection[int], *, now_ms: int) -> bool:
    """Whether a false alarm found now is the third within 30 days; `false_before_ms`: those found before."""
    return sum(now_ms - at < FALSE_WITHIN_MS for at in false_before_ms) + 1 >= FALSE_FOR_A_VISIT
