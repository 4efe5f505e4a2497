"""Orders to guards for alarms: pure.

Theory:

1. The desk sends one guard after another; a person decides each time. Whoever does not answer in time stays sent, is
   marked, and the next nearest is named; the desk orders him instead, or waits.
2. Where he is to go is told to nobody but himself, from the order until it ends: declined, called back, or closed with
   the alarm. Whoever has no account is told by radio or through his company, which reads that there is an order and not
   where or why.
3. What is for the police alone (`api.alarms.views`) is ordered to police. An officer may send somebody else, with a
   reason, by radio: nothing of it is shown to whoever is sent, nor to his company, and nothing is excused by it, since
   an excuse would tell. A spot call excuses his round, and says nothing of an alarm.
4. He has arrived when he checks in at the checkpoint of the place, or near it, after the order; what a person entered
   is marked as entered.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.alarms.models import AlarmRecord
from api.alarms.views import may_know
from api.checkins.rules import CheckIn, Flag, Source
from broker.kinds import Words

ANSWER_S: Final = 120
ANSWER_LEAST_S: Final = 30
ANSWER_MOST_S: Final = 1_800
LASTS_MS: Final = 12 * 3_600_000
"""So long an order excuses at most; it ends with the alarm, mostly long before."""
NO_PROOF: Final = frozenset({Source.BUTTON, Source.WITNESS, Source.RADIO})
"""What somebody says of somebody, and a button that anybody may press; the desk may enter it, marked as entered."""
DOUBTED: Final = frozenset({Flag.UNVERIFIED.value, Flag.FUTURE.value})


class Way(StrEnum):
    """How an order reaches him."""

    PAGE = "page"
    RADIO = "radio"


class Answer(StrEnum):
    """What he said to it."""

    ACCEPTED = "accepted"
    DECLINED = "declined"


class Ended(StrEnum):
    """How it ended."""

    DECLINED = "declined"
    CALLED_BACK = "called_back"
    CLOSED = "closed"


class Stage(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    UNANSWERED = "unanswered"
    ACCEPTED = "accepted"
    ON_THE_WAY = "on_the_way"
    ARRIVED = "arrived"
    DECLINED = "declined"
    CALLED_BACK = "called_back"
    CLOSED = "closed"


STAGE_WORDS: Final = {
    Stage.WAITING: Words("待接令", "waiting for an answer"),
    Stage.UNANSWERED: Words("超时未接令", "not answered in time"),
    Stage.ACCEPTED: Words("已接令", "accepted"),
    Stage.ON_THE_WAY: Words("赶赴现场", "on the way"),
    Stage.ARRIVED: Words("到场", "arrived"),
    Stage.DECLINED: Words("不能前往", "declined"),
    Stage.CALLED_BACK: Words("已撤回", "called back"),
    Stage.CLOSED: Words("警情已办结", "closed with the alarm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What is known of an order, as moments in ms."""

    unanswered_ms: int | None
    answer: Answer | None
    on_the_way_ms: int | None
    on_scene_ms: int | None
    ended: Ended | None


def stage(times: Times) -> Stage:
    """How far an order is."""
    if times.ended is not None:
        return Stage(times.ended.value)
    if times.on_scene_ms is not None:
        return Stage.ARRIVED
    if times.on_the_way_ms is not None:
        return Stage.ON_THE_WAY
    if times.answer is not None:
        return Stage.ACCEPTED
    return Stage.WAITING if times.unanswered_ms is None else Stage.UNANSWERED


def for_police_alone(alarm: AlarmRecord) -> bool:
    """Whether somebody who is no police may not even know of it when he is sent."""
    return not may_know(alarm.kind, alarm.mark, alarm.group_known, None, dispatched=True)


def proves(one: CheckIn, *, ordered_ms: int, now_ms: int) -> bool:
    """Whether a check-in shows by itself that its guard was at its checkpoint since he was ordered."""
    return ordered_ms <= one.at_ms <= now_ms and one.source not in NO_PROOF and not one.flags & DOUBTED
