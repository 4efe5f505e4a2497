"""Spans of service and what they exclude: pure. A span is [from, to) in Unix milliseconds.

Theory:

1. Whoever is on two lists at once is on neither: overlapping spans of one guard are refused, and the one that is in the
   way is named.
2. A company's figures are those of the guards that it employed on that day; a guard's ledger goes with him.
3. Leave, a stand-in, a swap and a relief cut a span and begin another one on the same duty; the row that was cut stays.
4. Time is excused where the station itself took it: patrols suspended, a spot call, an alarm, a duty called off.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.kinds import Words

HOUR_MS: Final = 3_600_000
DUTY_MOST_MS: Final = 24 * HOUR_MS
"""A longer duty is a misprint, and no law lets anybody serve it."""

HANDOVER_MS: Final = HOUR_MS // 4
"""So long somebody may be relieved by one whose own time has begun: both are there while they hand over."""
LATE_RELIEF_MS: Final = 2 * HOUR_MS
"""So long after his time somebody may still be waiting to be relieved."""
LEAVE_MOST_MS: Final = 366 * 24 * HOUR_MS
PHONE_OUT_MOST_MS: Final = 24 * HOUR_MS
SUSPENSION_MOST_MS: Final = 7 * 24 * HOUR_MS


class Force(StrEnum):
    """Whose people somebody is one of."""

    GUARD = "guard"
    POLICE = "police"
    GRID_WORKER = "grid_worker"
    VOLUNTEER = "volunteer"


class CardEnd(StrEnum):
    """Why a card no longer stands for a guard. A reissued card is another card."""

    RETURNED = "returned"
    LOST = "lost"


class Came(StrEnum):
    """How somebody came onto a duty list."""

    LISTED = "listed"
    STAND_IN = "stand_in"
    SWAP = "swap"
    RELIEF = "relief"


class Went(StrEnum):
    """How somebody went off a duty list before its end."""

    LEAVE = "leave"
    STAND_IN = "stand_in"
    SWAP = "swap"
    RELIEF = "relief"
    CALLED_OFF = "called_off"


class Cause(StrEnum):
    """Why a visit that was not made is nobody's fault."""

    SUSPENDED = "suspended"
    SPOT_CALL = "spot_call"
    ALARM = "alarm"
    LEAVE = "leave"


class Instead(StrEnum):
    """What shows a visit when the phone is dead, from strong to weak."""

    READER = "reader"
    RADIO = "radio"
    WITNESS = "witness"


class Decision(StrEnum):
    """What the police said to a company that asked for another one's guard."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"


FORCE_WORDS: Final = {
    Force.GUARD: Words("保安", "guard"),
    Force.POLICE: Words("民警", "police"),
    Force.GRID_WORKER: Words("网格员", "grid worker"),
    Force.VOLUNTEER: Words("志愿者", "volunteer"),
}
CAUSE_WORDS: Final = {
    Cause.SUSPENDED: Words("奉命暂停巡逻", "patrols suspended by order"),
    Cause.SPOT_CALL: Words("点调", "spot call"),
    Cause.ALARM: Words("处置警情", "sent to an alarm"),
    Cause.LEAVE: Words("请假", "leave"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Employment:
    """A company's guard from a moment until before another; None: still."""

    company: str
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """Time in which visits are excused, why, and the id of what shows it ("suspension:3", "call:9")."""

    cause: Cause
    from_ms: int
    to_ms: int
    evidence: str
    areas: frozenset[str] | None = None
    """Only visits in these areas; None: wherever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A guard's time on a duty list."""

    duty: int
    area: str
    route: str | None
    shift: str
    guard: str
    from_ms: int
    to_ms: int


class Tells(StrEnum):
    """What may be told of guards after the time that it is about; each has numbers of its own, which rise."""

    DUTY = "duty"
    """Somebody is on a duty list of an area, or of a route."""
    LEAVE = "leave"
    EXCUSE = "excuse"
    SUSPENSION = "suspension"


@dataclass(frozen=True, slots=True)
class Told:
    """Something that was told of guards, about a span."""

    tells: Tells
    number: int
    guard: str | None
    area: str | None
    route: str | None
    from_ms: int
    to_ms: int


def overlap(one_from: int, one_to: int | None, other_from: int, other_to: int | None) -> bool:
    """Whether two spans share a moment. A span of nothing shares none."""
    if one_to == one_from or other_to == other_from:
        return False
    return (other_to is None or one_from < other_to) and (one_to is None or other_from < one_to)


def employer(rows: Iterable[Employment], at_ms: int) -> str | None:
    """Whose guard somebody was at a moment; None: nobody's."""
    for row in rows:
        if row.from_ms <= at_ms and (row.to_ms is None or at_ms < row.to_ms):
            return row.company
    return None


def belongs_to(rows: Iterable[Employment], now_ms: int) -> str | None:
    """Whose guard somebody is, for rights: the company that employs him, or the one that will."""
    for row in rows:
        if row.to_ms is None or now_ms < row.to_ms:
            return row.company
    return None


def clip(from_ms: int, to_ms: int, *, within_from: int, within_to: int) -> tuple[int, int] | None:
    """The part of a span that lies within another; None: nothing does."""
    begins, ends = max(from_ms, within_from), min(to_ms, within_to)
    return (begins, ends) if begins < ends else None
