"""Staggered plans as HTTP takes and shows them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.planner.draws import commitment
from api.planner.models import Stagger, StaggerPlan
from api.planner.regularity import Regularity
from api.planner.rules import MINUTE_MS, Duty, Shift
from api.shapes import Answer, Asked, Moment
from broker.ids import SEGMENT

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]


class TeamOnDuty(Asked):
    """A team that goes rounds. `round_min`: how long a round keeps it busy, rest included. It goes `rounds` at most."""

    team: Segment = Field(examples=["t1"])
    begins: Moment
    ends: Moment
    round_min: Annotated[int, Field(ge=1, le=480)]
    rounds: Annotated[int, Field(ge=1, le=99)] = 99


class NewStagger(Asked):
    """What to plan. `others`: when police and other teams pass; their gaps are filled first.

    `limit_min` may be tighter than the colour of the area asks, and counts for nothing where it is looser.
    """

    begins: Moment
    ends: Moment
    apart_min: Annotated[int, Field(ge=1, le=240)] = 10
    limit_min: Annotated[int, Field(ge=2, le=1_440)] | None = None
    others: Annotated[tuple[Moment, ...], Field(max_length=100)] = ()
    teams: Annotated[tuple[TeamOnDuty, ...], Field(max_length=12)]


class PassAnswer(Answer):
    """A round of a team of ours begins."""

    at: datetime
    team: str


class RegularityAnswer(Answer):
    """How well somebody who watched the duties before could say when the next round comes: 0 by chance, 1 always.

    `clock`: by the time of day. `rhythm`: by the pauses. None: too little to judge by.
    """

    clock: float | None
    rhythm: float | None
    guessable: bool


class TeamOrder(Asked):
    """By which route a team goes its rounds, in which shift, and whose guards they are.

    `lasts_min`: how long a round is; without it, as long as it was planned to keep the team busy.
    """

    team: Segment = Field(examples=["t1"])
    route: Segment
    shift: Segment
    company: Segment | None = None
    lasts_min: Annotated[int, Field(ge=1, le=480)] | None = None


class NewStaggerPlans(Asked):
    """For each team that goes rounds, once."""

    teams: Annotated[tuple[TeamOrder, ...], Field(min_length=1, max_length=12)]


class StaggerPlanAnswer(Answer):
    """A temporary plan that a staggered plan became, for one team on one duty day."""

    plan: int
    team: str


class StaggerAnswer(Answer):
    """A staggered plan. `plans`: what it became. `in_step`: passes within `apart_min` of a round of an area beside it.

    `beside`: when those rounds begin; told with the seed, with which it makes the plan anew.

    `commitment` is SHA-256("shouwang stagger " + seed); the seed is told when the duty is over.
    """

    number: int
    area: str
    colour: str
    begins: datetime
    ends: datetime
    limit_min: int
    apart_min: int
    passes: tuple[PassAnswer, ...]
    plans: tuple[StaggerPlanAnswer, ...]
    others: tuple[datetime, ...]
    widest_min: float
    in_step: int
    beside: tuple[datetime, ...] | None
    regularity: RegularityAnswer
    commitment: str
    seed: str | None
    made_by: str
    made: datetime


class StaggerPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[StaggerAnswer, ...]
    next: str | None


def duty_of(new: NewStagger, *, limit_ms: int) -> Duty:
    """What is asked, as the rules take it."""
    asked_ms = limit_ms if new.limit_min is None else min(limit_ms, new.limit_min * MINUTE_MS)
    return Duty(
        starts_ms=_ms(new.begins),
        ends_ms=_ms(new.ends),
        limit_ms=asked_ms,
        apart_ms=new.apart_min * MINUTE_MS,
        others_ms=tuple(_ms(one) for one in new.others),
        shifts=tuple(
            Shift(
                team=one.team,
                starts_ms=_ms(one.begins),
                ends_ms=_ms(one.ends),
                round_ms=one.round_min * MINUTE_MS,
                most=one.rounds,
            )
            for one in new.teams
        ),
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


def stagger_answer(
    row: Stagger, regular: Regularity, plans: Sequence[StaggerPlan], *, beside_ms: Sequence[int], now_ms: int
) -> StaggerAnswer:
    """A row as HTTP shows it. `beside_ms`: rounds of areas beside it, as they were when it was made."""
    assert row.number is not None
    passes = json.loads(row.passes)
    return StaggerAnswer(
        number=row.number,
        area=row.area,
        colour=row.colour,
        begins=iso(row.starts_ms),
        ends=iso(row.ends_ms),
        limit_min=row.limit_ms // MINUTE_MS,
        apart_min=row.apart_ms // MINUTE_MS,
        passes=tuple(PassAnswer(at=iso(at_ms), team=team) for at_ms, team in passes),
        plans=tuple(StaggerPlanAnswer(plan=one.plan, team=one.team) for one in plans),
        others=tuple(iso(at_ms) for at_ms in json.loads(row.others)),
        widest_min=round(row.widest_ms / MINUTE_MS, 1),
        in_step=sum(any(abs(at_ms - one) < row.apart_ms for one in beside_ms) for at_ms, _ in passes),
        beside=tuple(iso(at_ms) for at_ms in beside_ms) if now_ms >= row.ends_ms else None,
        regularity=RegularityAnswer(
            clock=None if regular.clock is None else round(regular.clock, 3),
            rhythm=None if regular.rhythm is None else round(regular.rhythm, 3),
            guessable=regular.guessable,
        ),
        commitment=commitment(bytes.fromhex(row.seed)),
        seed=row.seed if now_ms >= row.ends_ms else None,
        made_by=row.made_by,
        made=iso(row.made_ms),
    )
