"""What may happen to an alarm: pure, without tables, clocks or messages.

Theory:

1. An alarm is in one state. TABLE says for every (state, action) which state follows, or that it is refused:
   there is no pair without an answer, and no state changes anywhere else.
2. Nothing that a household does closes an alarm. A cancel makes it "cancelled by household, to be verified",
   which is as open as before; once somebody has acknowledged, a cancel is noted beside the state.
3. A duress alarm cannot be cancelled: whoever holds the key may be the danger. A cancel that cannot be verified
   changes nothing, whatever the kind. Both are kept and shown.
4. Exactly one acknowledgement is taken. Who comes second is refused and told who was first.
5. Two events are the same press when their press keys are equal; for fixed-code radio, which has no press
   number, when the same code is heard again within 10 s. An event that is not verified never merges with one
   that is, so that nobody can hide a press behind a forged copy; nor does a silent alarm with a visible one.
6. A cancel is heard from a gateway that brought the press itself, and from no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.kinds import OLD_AFTER_MS, EventType, Kind, LadderState, Mark, UpdateState
from broker.messages import GatewayEvent

FIXED_CODE_MERGE_MS: Final = 10_000


class State(StrEnum):
    """Where an alarm stands. The words are those of `UpdateState` where audiences are told of it."""

    RECEIVED = "received"
    CANCELLED_BY_HOUSEHOLD = "cancelled_by_household"
    ACKNOWLEDGED = "acknowledged"


class Action(StrEnum):
    """What is done to an alarm. `receive` opens one."""

    RECEIVE = "receive"
    CANCEL = "cancel"
    ACKNOWLEDGE = "acknowledge"


class Part(StrEnum):
    """What an event is to the alarm that it belongs to."""

    PRESS = "press"
    DURATION = "duration"
    CANCEL = "cancel"
    CANCEL_REFUSED = "cancel_refused"


TABLE: Final[Mapping[tuple[State, Action], State | None]] = {
    (State.RECEIVED, Action.RECEIVE): State.RECEIVED,
    (State.RECEIVED, Action.CANCEL): State.CANCELLED_BY_HOUSEHOLD,
    (State.RECEIVED, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.CANCELLED_BY_HOUSEHOLD, Action.RECEIVE): State.CANCELLED_BY_HOUSEHOLD,
    (State.CANCELLED_BY_HOUSEHOLD, Action.CANCEL): State.CANCELLED_BY_HOUSEHOLD,
    (State.CANCELLED_BY_HOUSEHOLD, Action.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Action.RECEIVE): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Action.CANCEL): State.ACKNOWLEDGED,
    (State.ACKNOWLEDGED, Action.ACKNOWLEDGE): None,
}
"""The state after an action; None when it is refused."""

ACKNOWLEDGEABLE: Final = tuple(state for state in State if TABLE[state, Action.ACKNOWLEDGE] is not None)

TELLS: Final[Mapping[Action, UpdateState]] = {
    Action.CANCEL: UpdateState.CANCELLED_BY_HOUSEHOLD,
    Action.ACKNOWLEDGE: UpdateState.ACKNOWLEDGED,
}
"""What the audiences learn when this was done."""

CLIMBS: Final[Mapping[State, LadderState]] = {State.ACKNOWLEDGED: LadderState.POLICE_HAVE_IT}
"""What the presser's lamp shows in this state, beyond what the gateway knows by itself."""

OPENERS: Final = frozenset({EventType.PRESS, EventType.ALERT, EventType.UNVERIFIED, EventType.TEST})
FOLLOWERS: Final = frozenset({EventType.CANCEL, EventType.DURATION})

PRESS: Final = "press:"
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


def mark_of(event: GatewayEvent) -> Mark | None:
    """The mark, which the kinds test and drill carry without being told."""
    return {Kind.TEST: Mark.TEST, Kind.DRILL: Mark.DRILL}.get(kind_of(event), event.mark)


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
