"""Kinds of alarms, types of events, states and answers, each with its words.

The words are the project's word list and binding on every screen, in every message and in every document;
a word that is missing here is missing everywhere, so the tables are total (a test holds them to it).
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Kind(StrEnum):
    """What is the matter, as far as an alarm says."""

    PANIC = "panic"
    HELP = "help"
    MEDICAL = "medical"
    FIRE = "fire"
    INTRUSION = "intrusion"
    DURESS = "duress"  # silent: the police and nobody else
    TAMPER = "tamper"  # a fault for people to look at, never a siren
    TEST = "test"
    DRILL = "drill"
    UNVERIFIED = "unverified"  # unknown unit, wrong tag, possible replay: what it says cannot be trusted


class Mark(StrEnum):
    """Why an alarm is not in earnest. An alarm in earnest has no mark."""

    TEST = "test"
    DRILL = "drill"


class EventType(StrEnum):
    """What a gateway records in its journal and sends to its station."""

    PRESS = "press"
    DURATION = "duration"  # how long the key of an earlier press was held
    CANCEL = "cancel"
    ANSWER = "answer"
    SOUNDED = "sounded"
    SILENCED = "silenced"  # sound stopped early, and by whom
    RESET = "reset"  # a named person put a latched alarm back
    ALERT = "alert"  # a phone press or a call taken by the desk, ordered by the station
    UNVERIFIED = "unverified"
    TEST = "test"
    TAMPER = "tamper"
    RESTORE = "restore"  # tamper or loop restored
    FAULT = "fault"
    FAULT_RESTORED = "fault_restored"
    EPOCH_OPENED = "epoch_opened"
    PRUNED = "pruned"  # a range of telemetry that was dropped for room
    CHECK_IN = "check_in"
    HELLO = "hello"  # a unit powered up
    HEARTBEAT = "heartbeat"


class Lane(IntEnum):
    """Order of sending: lower goes first, by sequence inside a lane."""

    ALARM = 0
    OLD_ALARM = 1
    FAULT = 2
    CHECK_IN = 3
    TELEMETRY = 4


class LadderState(StrEnum):
    """How far an alarm got, as the presser sees it."""

    KEPT = "kept"
    POLICE_HAVE_IT = "police_have_it"
    SOMEBODY_COMING = "somebody_coming"
    POLICE_NOT_REACHED = "police_not_reached"
    CLOSED = "closed"


class UpdateState(StrEnum):
    """What an audience learns about an alarm that it knows."""

    CANCELLED_BY_HOUSEHOLD = "cancelled_by_household"
    ACKNOWLEDGED = "acknowledged"
    SOMEBODY_COMING = "somebody_coming"
    STAND_BACK = "stand_back"
    FALSE_ALARM = "false_alarm"
    CLOSED = "closed"


class Answer(StrEnum):
    """What a neighbour says by key or phone."""

    COMING = "coming"
    WATCHING = "watching"
    CANNOT = "cannot"


@dataclass(frozen=True, slots=True)
class Words:
    """One thing in Chinese and in English."""

    zh: str
    en: str


KIND_WORDS: Final[dict[Kind, Words]] = {
    Kind.PANIC: Words("紧急报警", "panic"),
    Kind.HELP: Words("一般求助", "help"),
    Kind.MEDICAL: Words("医疗求助", "medical"),
    Kind.FIRE: Words("火警", "fire"),
    Kind.INTRUSION: Words("入侵报警", "intrusion"),
    Kind.DURESS: Words("胁迫报警(无声)", "duress"),
    Kind.TAMPER: Words("防拆", "tamper"),
    Kind.TEST: Words("测试", "test"),
    Kind.DRILL: Words("演练", "drill"),
    Kind.UNVERIFIED: Words("未登记/未核验", "unverified"),
}

NEIGHBOUR_HELP: Final = Words("求助", "help")
"""What neighbours read for help *and* for medical without consent: two words would give the medical one away."""

LADDER_WORDS: Final[dict[LadderState, Words]] = {
    LadderState.KEPT: Words("已记录", "kept"),
    LadderState.POLICE_HAVE_IT: Words("派出所已签收", "police have it"),
    LadderState.SOMEBODY_COMING: Words("有人正赶来", "somebody is coming"),
    LadderState.POLICE_NOT_REACHED: Words(
        "邻户已响警,派出所未联系上，请拨打110", "neighbours rung, police not reached, phone 110"
    ),
    LadderState.CLOSED: Words("办结", "closed"),
}

UPDATE_WORDS: Final[dict[UpdateState, Words]] = {
    UpdateState.CANCELLED_BY_HOUSEHOLD: Words("住户撤销·待核实", "cancelled by household, to be verified"),
    UpdateState.ACKNOWLEDGED: Words("签收", "acknowledged"),
    UpdateState.SOMEBODY_COMING: Words("有人正赶来", "somebody is coming"),
    UpdateState.STAND_BACK: Words("不要靠近", "stand back"),
    UpdateState.FALSE_ALARM: Words("误报", "false alarm"),
    UpdateState.CLOSED: Words("办结", "closed"),
}

CALLER_TOOK_BACK_WORDS: Final = Words("本人撤销·待核实", "taken back by whoever called, to be verified")
"""Instead of the household's: whoever called for help did so for himself, and no household has to do with it."""

ANSWER_WORDS: Final[dict[Answer, Words]] = {
    Answer.COMING: Words("马上去", "coming at once"),
    Answer.WATCHING: Words("看着呢", "watching"),
    Answer.CANNOT: Words("去不了", "cannot come"),
}

MARK_WORDS: Final[dict[Mark, Words]] = {
    Mark.TEST: Words("测试", "test"),
    Mark.DRILL: Words("演练", "drill"),
}

SIREN_PRIORITY: Final = (Kind.FIRE, Kind.PANIC, Kind.INTRUSION, Kind.MEDICAL, Kind.HELP, Kind.DRILL)
"""Of several alarms at once, a siren plays the pattern of the kind that stands first here."""

AUDIBLE: Final = frozenset(SIREN_PRIORITY)

OLD_AFTER_MS: Final = 60_000
"""From this age on an alarm rings nowhere and gives way to fresh ones."""

_LANES: Final[dict[EventType, Lane]] = {
    EventType.PRESS: Lane.ALARM,
    EventType.DURATION: Lane.ALARM,
    EventType.CANCEL: Lane.ALARM,
    EventType.ANSWER: Lane.ALARM,
    EventType.ALERT: Lane.ALARM,
    EventType.UNVERIFIED: Lane.ALARM,
    EventType.SOUNDED: Lane.FAULT,
    EventType.SILENCED: Lane.FAULT,
    EventType.RESET: Lane.FAULT,
    EventType.TEST: Lane.FAULT,
    EventType.TAMPER: Lane.FAULT,
    EventType.RESTORE: Lane.FAULT,
    EventType.FAULT: Lane.FAULT,
    EventType.FAULT_RESTORED: Lane.FAULT,
    EventType.EPOCH_OPENED: Lane.FAULT,
    EventType.PRUNED: Lane.FAULT,
    EventType.CHECK_IN: Lane.CHECK_IN,
    EventType.HELLO: Lane.TELEMETRY,
    EventType.HEARTBEAT: Lane.TELEMETRY,
}


def lane(event: EventType, *, age_ms: int) -> Lane:
    """The lane in which an event of this type and age waits to be sent."""
    own = _LANES[event]
    return Lane.OLD_ALARM if own is Lane.ALARM and age_ms >= OLD_AFTER_MS else own


def loudest(kinds: frozenset[Kind]) -> Kind | None:
    """The kind whose pattern a siren plays when these ring together; None when none of them is audible."""
    return next((kind for kind in SIREN_PRIORITY if kind in kinds), None)
