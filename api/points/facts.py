"""What points are made of: facts that other parts of the station found, in one shape that any rules can judge. Pure.

A fact is about one guard (or, guard None, about a company) at one time. It holds what happened, each with its evidence,
and nothing of what that is worth. The same `key` told again is a newer revision: the ledger follows it by reversal.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from broker.kinds import Words


class Happened(StrEnum):
    """Everything that a rule can be about. There is no word for scans beyond the plan: nothing can pay for them."""

    COMPLETE = "complete"
    LATE = "late"
    EARLY = "early"
    MISSED = "missed"
    WRONG_ORDER = "wrong_order"
    NOT_STARTED = "not_started"
    TOO_FAST = "too_fast"
    DWELL_SHORT = "dwell_short"
    EXCUSED = "excused"
    """`evidence` says by what. Never worth anything; it takes back what was booked for the same `item`."""
    COVERAGE_GAP = "coverage_gap"
    ANSWERED = "answered"
    """`value`: seconds from the call to the answer."""
    NOT_ANSWERED = "not_answered"
    CONTRADICTED = "contradicted"
    INSPECTION_PASSED = "inspection_passed"
    OFF_POST = "off_post"
    ASLEEP = "asleep"
    GEAR_MISSING = "gear_missing"
    GEAR_BROKEN = "gear_broken"
    BUDDY = "buddy"
    CLONED = "cloned"
    CLOCK = "clock"
    DAMAGED = "damaged"
    INFORMATION = "information"
    INCIDENT = "incident"
    DISPUTE = "dispute"
    ARREST = "arrest"
    """`value`: tenths of points as the officer set them."""
    HAZARD = "hazard"
    FIRST_ON_SCENE = "first_on_scene"
    TRAINED = "trained"
    TRAINING_MISSED = "training_missed"
    ORDER_DONE = "order_done"


WEAK: Final = frozenset(
    {Happened.TOO_FAST, Happened.CONTRADICTED, Happened.BUDDY, Happened.CLONED, Happened.CLOCK}
)  # fmt: skip
"""What a machine only suspects. A rule about one of these must be a flag, which an officer confirms."""
MERITS: Final = frozenset(
    {Happened.INFORMATION, Happened.INCIDENT, Happened.DISPUTE, Happened.ARREST, Happened.HAZARD,
     Happened.FIRST_ON_SCENE}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened. `item`: what it was about (a checkpoint, a form's line), unique per `what` in a fact."""

    what: Happened
    item: str = ""
    evidence: tuple[str, ...] = ()
    value: int = 0
    at_ms: int | None = None
    """When it was due or happened, where the fact is about a longer time."""
    called: Words | None = None
    """`item` as people call it, then; None where it has no other name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something found about a guard, or about a company (guard None).

    `key`: what it is about, `round:17`. `company`: the employer of that day. `duty`: one expected duty, the n of every
    rate; `active`: the guard was there. `order`: when the station first heard of the key, a number that rises; caps are
    filled in this order. `occurred_ms`: UTC.
    """

    key: str
    guard: str | None
    company: str | None
    area: str
    occurred_ms: int
    happenings: tuple[Happening, ...] = ()
    colour: str | None = None
    night: bool = False
    duty: bool = False
    active: bool = False
    order: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError: one thing cannot happen twice to the same item of a fact."""
        if len({(one.what, one.item) for one in self.happenings}) != len(self.happenings):
            raise ValueError(f"{self.key}: two happenings about the same item")


class VisitJudged(Protocol):
    """What the evaluation of a round says of one checkpoint (`api.patrols.rules.Judged`)."""

    @property
    def point(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def check_in(self) -> str | None: ...
    @property
    def due_ms(self) -> int | None: ...


_OF_OUTCOME: Final = {
    "late": Happened.LATE,
    "early": Happened.EARLY,
    "missed": Happened.MISSED,
    "wrong_order": Happened.WRONG_ORDER,
    "too_fast": Happened.TOO_FAST,
    "excused": Happened.EXCUSED,
}


def of_round(
    key: str,
    visits: Sequence[VisitJudged],
    *,
    guard: str,
    company: str | None,
    area: str,
    occurred_ms: int,
    colour: str | None = None,
    night: bool = False,
    own: Collection[str] | None = None,
    listed: bool = True,
    answers: Collection[int] | None = None,
    away: Mapping[int, str] | None = None,
    dwell_short: Collection[str] = (),
    causes: Mapping[int, str] | None = None,
    names: Mapping[str, str] | None = None,
    ordered: bool = False,
) -> Fact | None:
    """The fact of a round that is over, as far as it concerns one guard; None while a visit is still pending.

    `own`: his check-ins, where others were on the round too (None: all are his). What another one did is not his, what
    nobody did is of everybody who was `listed`, but for whoever served only a part of the round: he `answers` for the
    visits of these places in the plan (None: for all). `dwell_short`: check-ins that stayed too short. By the place of
    a visit in the plan, the id of what excuses it: `causes`, and for this guard alone `away`. `names`: of checkpoints.
    `ordered`: the round was ordered for this day, as staggered patrols are; then it is also an order that was done.

    What was excused is left out: the rest decides whether the round is complete, and a round in which everything was
    excused is no duty.
    """
    if any(str(visit.outcome) == "pending" for visit in visits):
        return None
    causes, away, names = causes or {}, away or {}, names or {}
    happened: list[Happening] = []
    counted: list[VisitJudged] = []
    """Of what concerns him, what was not excused."""
    for nth, visit in enumerate(visits):
        mine = visit.check_in is not None and (own is None or visit.check_in in own)
        item, name = f"{nth + 1}:{visit.point}", names.get(visit.point)
        called = None if name is None else Words(name, name)
        excused = str(visit.outcome) == "excused"
        if not excused and (mine or answers is None or nth in answers):
            counted.append(visit)
        if not mine and (visit.check_in is not None or not listed or (answers is not None and nth not in answers)):
            if visit.check_in is None and nth in away:
                happened.append(
                    Happening(
                        what=Happened.EXCUSED, item=item, evidence=(away[nth],), at_ms=visit.due_ms, called=called
                    )
                )
            continue
        seen = (visit.check_in,) if visit.check_in else ()
        if (what := _OF_OUTCOME.get(str(visit.outcome))) is not None:
            cause = causes.get(nth)
            evidence = (*seen, *((cause,) if cause else ())) if what is Happened.EXCUSED else seen
            happened.append(
                Happening(what=what, item=item, evidence=evidence or (key,), at_ms=visit.due_ms, called=called)
            )
        if visit.check_in in dwell_short and not excused:
            short = Happening(what=Happened.DWELL_SHORT, item=item, evidence=seen, at_ms=visit.due_ms, called=called)
            happened.append(short)
    made = tuple(visit.check_in for visit in visits if visit.check_in)
    his = tuple(one for one in made if own is None or one in own)
    if counted and his and all(str(visit.outcome) == "on_time" for visit in counted):
        if not frozenset(dwell_short).intersection(visit.check_in for visit in counted if visit.check_in):
            happened.append(Happening(what=Happened.COMPLETE, evidence=his))
            if ordered and listed:
                happened.append(Happening(what=Happened.ORDER_DONE, evidence=his))
    elif not made and (why := [*dict.fromkeys((*causes.values(), *away.values()))]):
        happened.append(Happening(what=Happened.EXCUSED, evidence=tuple(why)))
    elif counted and not made and listed and (answers is None or len(answers) == len(visits)):
        happened.append(Happening(what=Happened.NOT_STARTED, evidence=(key,)))
    return Fact(
        key=key,
        guard=guard,
        company=company,
        area=area,
        occurred_ms=occurred_ms,
        happenings=tuple(happened),
        colour=colour,
        night=night,
        duty=bool(counted) and listed,
        active=bool(his),
    )
