"""What became of each visit of a round: pure, total, deterministic.

Theory:

1. A visit has two bands (the model of GV-AS): within `buffer_ms` of its time it is on time, within `extended_ms` beyond
   that it is early or late, outside it does not count. A visit without a time of its own may be made at any time of
   the round; the bands then begin at the round's ends.
2. It is settled when it is checked in, or when its late band has passed (`closes_ms`): then it is missed. Until then it
   is pending. Check-ins after `as_of` are not looked at, so that the same question has the same answer tomorrow.
3. Readings of one point within REPEAT_MS of the first, with no other point between, are one stay. The stay counts with
   whichever of its readings is best for the visit; nothing is gained by reading again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from broker.kinds import Words

REPEAT_MS: Final = 180_000
"""Reading the same point again within three minutes is one visit."""


class Order(StrEnum):
    """How the points of a route follow on one another."""

    TIMED = "timed"
    """Exactly in this order, each at its time."""
    ORDERED = "ordered"
    """Exactly in this order, at any time of the round."""
    FREE = "free"
    """In any order; a time holds where one is given."""


class Outcome(StrEnum):
    """What became of a visit."""

    ON_TIME = "on_time"
    EARLY = "early"
    LATE = "late"
    MISSED = "missed"
    WRONG_ORDER = "wrong_order"
    TOO_FAST = "too_fast"
    EXCUSED = "excused"
    PENDING = "pending"


class Reason(StrEnum):
    """Why a visit that was not made as planned costs nobody anything."""

    READER = "reader"
    GATEWAY = "gateway"
    POWER = "power"
    ALARM = "alarm"
    RETASKED = "retasked"
    SUSPENDED = "suspended"
    STATION = "station"
    OPTIONAL = "optional"


OUTCOME_WORDS: Final[Mapping[Outcome, Words]] = MappingProxyType(
    {
        Outcome.ON_TIME: Words("准时", "on time"),
        Outcome.EARLY: Words("早到", "early"),
        Outcome.LATE: Words("迟到", "late"),
        Outcome.MISSED: Words("漏巡", "missed"),
        Outcome.WRONG_ORDER: Words("错序", "wrong order"),
        Outcome.TOO_FAST: Words("过快", "too fast"),
        Outcome.EXCUSED: Words("免扣", "excused"),
        Outcome.PENDING: Words("待巡", "pending"),
    }
)
REASON_WORDS: Final[Mapping[Reason, Words]] = MappingProxyType(
    {
        Reason.READER: Words("读卡器故障", "the reader was faulty"),
        Reason.GATEWAY: Words("网关离线", "the gateway was away"),
        Reason.POWER: Words("停电", "there was no power"),
        Reason.ALARM: Words("出警处置", "sent to an alarm"),
        Reason.RETASKED: Words("点调改派", "re-tasked by a spot call"),
        Reason.SUSPENDED: Words("暂停巡逻", "patrols were suspended"),
        Reason.STATION: Words("派出所核准", "allowed by the station"),
        Reason.OPTIONAL: Words("可选点", "an optional point"),
    }
)


class Reading(Protocol):
    """What is asked of a check-in (`api.checkins.rules.CheckIn` is one)."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def guard(self) -> str | None:
        """Who checked in, where it is known."""
        ...

    @property
    def point(self) -> str | None:
        """Where, where it is known."""
        ...

    @property
    def at_ms(self) -> int:
        """When, by the best estimate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A visit that is planned. `at_ms` None: at any time of the round. `dwell_ms`: the least stay, 0 for none."""

    point: str
    at_ms: int | None = None
    buffer_ms: int = 0
    extended_ms: int = 0
    optional: bool = False
    dwell_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """What kept a visit from being made, from `from_ms` to `to_ms`, at `points` (None: at all of them)."""

    from_ms: int
    to_ms: int
    reason: Reason
    evidence: str
    """What shows it: the id of a fault, an alarm, an order."""
    points: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlan:
    """A round as it is expected. `legs`: least walking time in ms from a point to another."""

    id: str
    order: Order
    expected: tuple[Expected, ...]
    starts_ms: int
    ends_ms: int
    legs: Mapping[tuple[str, str], int] = MappingProxyType({})
    excuses: tuple[Excuse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What explains an outcome, and what it would be but for order, walking time and excuse."""

    timing: Outcome
    """By the clock alone: on time, early, late, missed or pending."""
    at_ms: int | None = None
    off_ms: int = 0
    """How far outside its on-time band: negative early, positive late."""
    out_of_order: bool = False
    leg_ms: int | None = None
    """How long the walk to here took, where a least time is known; too fast when under `leg_least_ms`."""
    leg_least_ms: int | None = None
    before: str | None = None
    """The check-in from which the walk is counted."""
    stay_ms: int | None = None
    """How long the stay was, where a least stay is asked."""
    dwell_short: bool = False
    repeats: tuple[str, ...] = ()
    """Other readings of the same stay."""
    excuse: Reason | None = None
    evidence: str | None = None

    @property
    def too_fast(self) -> bool:
        """Whether nobody walks that fast."""
        return self.leg_ms is not None and self.leg_least_ms is not None and self.leg_ms < self.leg_least_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One visit, judged. On time until `due_ms`; missed after `closes_ms`."""

    point: str
    outcome: Outcome
    check_in: str | None
    due_ms: int
    closes_ms: int
    detail: Detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A round, judged: `visits` in the order of the plan; `unused`: check-ins that belong to no visit, by time."""

    visits: tuple[Judged, ...]
    unused: tuple[str, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing is pending any more."""
        return all(visit.outcome is not Outcome.PENDING for visit in self.visits)
