"""Orders to guards as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.alarms.requests import Entered, Reason, Words
from api.checkins.rules import Source
from api.clock import iso
from api.guards.rules import Force
from api.guards.schemas import GuardId, RowNumber
from api.orders.rules import (
    ANSWER_LEAST_S,
    ANSWER_MOST_S,
    ANSWER_S,
    STAGE_WORDS,
    Answer,
    Ended,
    Stage,
    Times,
    Way,
    stage,
)
from api.orders.service import Nearest, Ordered
from api.shapes import Answer as Answering
from api.shapes import WordsAnswer, words_answer
from api.tracks.schemas import NearAnswer

Written = Annotated[Words, StringConstraints(min_length=1)]


class NewOrder(Entered):
    """Whom to send. `behalf`: through whom he is told (his company, the radio), where he has no account.

    `answer_s`: so long he has to answer before the next nearest is named. `reason`: why somebody who is no police is
    sent to what is for the police alone. `instead_of`: an order to this alarm that is called back for it.
    """

    guard: GuardId
    answer_s: Annotated[int, Field(ge=ANSWER_LEAST_S, le=ANSWER_MOST_S)] = ANSWER_S
    words: Written | None = Field(default=None, examples=["走北门, 楼下会合"])
    reason: Reason | None = None
    instead_of: RowNumber | None = None


class Declined(Entered):
    """Why he cannot go."""

    words: Written | None = None


class CalledBack(Entered):
    """Why he is called back."""

    reason: Reason


class NearGuard(Answering):
    """A guard on duty near an alarm. `way`: how an order reaches him; null: only with a reason, if at all.

    `order`, `stage`: his last order to this alarm. `busy`: he is sent to another one.
    """

    near: NearAnswer
    force: Force
    way: Way | None
    order: int | None
    stage: Stage | None
    busy: bool


class NearGuards(Answering):
    """The nearest first. `offer`: who would be the next to be ordered. `known`: whether it is known where it is."""

    alarm: str
    asked: datetime
    known: bool
    offer: str | None
    items: tuple[NearGuard, ...]


class ProofAnswer(Answering):
    """What shows that he is there: a check-in with its source and weight; nulls where somebody entered it."""

    entered: bool
    check_in: str | None
    source: Source | None
    weight: int | None


class OrderAnswer(Answering):
    """An order. `alarm` and `words` are for the police, and for himself while it goes on; null for everybody else.

    `due`: until when he is to answer; `unanswered`: when he had not, and `offered` who was the next nearest then.
    """

    number: int
    alarm: str | None
    guard: str
    service_number: str | None
    name: str | None
    company: str | None
    stage: Stage
    stage_words: WordsAnswer
    way: Way
    words: str | None
    reason: str | None
    by: str | None
    behalf: str | None
    ordered: datetime
    due: datetime | None
    unanswered: datetime | None
    offered: str | None
    answer: Answer | None
    answered: datetime | None
    answered_by: str | None
    answered_behalf: str | None
    declined_for: str | None
    on_the_way: datetime | None
    arrived: datetime | None
    proof: ProofAnswer | None
    ended: datetime | None


class OrderList(Answering):
    """Orders to one alarm, in order."""

    items: tuple[OrderAnswer, ...]


class OrderPage(Answering):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[OrderAnswer, ...]
    next: str | None


def near_guards(found: Nearest, near: Mapping[str, NearAnswer], stages: Mapping[int, Stage]) -> NearGuards:
    """Guards near an alarm as HTTP shows them; `stages`: of the orders that they have to it."""
    items = []
    for one in found.found:
        number = None if one.order is None else one.order.number
        items.append(
            NearGuard(
                near=near[one.near.guard],
                force=one.force,
                way=one.way,
                order=number,
                stage=None if number is None else stages[number],
                busy=one.busy,
            )
        )
    return NearGuards(
        alarm=found.alarm, asked=iso(found.asked_ms), known=found.known, offer=found.offer, items=tuple(items)
    )


def stage_of(one: Ordered) -> Stage:
    """How far an order is."""
    row = one.row
    times = Times(
        unanswered_ms=row.unanswered_ms,
        answer=None if row.answer is None else Answer(row.answer),
        on_the_way_ms=one.dispatch.on_the_way_ms,
        on_scene_ms=one.dispatch.on_scene_ms,
        ended=None if row.ended is None else Ended(row.ended),
    )
    return stage(times)


def order_answer(one: Ordered) -> OrderAnswer:
    """An order, as far as whoever asks may read it."""
    row, sent = one.row, one.dispatch
    assert row.number is not None
    at = stage_of(one)
    told = one.police or (one.own and row.ended_ms is None)
    return OrderAnswer(
        number=row.number,
        alarm=row.alarm if told else None,
        guard=row.guard,
        service_number=None if one.guard is None else one.guard.service_number,
        name=None if one.guard is None else one.guard.name,
        company=row.company,
        stage=at,
        stage_words=words_answer(STAGE_WORDS[at]),
        way=Way.RADIO if sent.account is None else Way.PAGE,
        words=row.words if told else None,
        reason=row.reason if one.police else None,
        by=row.by if one.police else None,
        behalf=row.behalf if one.police else None,
        ordered=iso(row.at_ms),
        due=_at(row.due_ms),
        unanswered=_at(row.unanswered_ms),
        offered=row.offered if one.police else None,
        answer=None if row.answer is None else Answer(row.answer),
        answered=_at(row.answered_ms),
        answered_by=row.answered_by if one.police else None,
        answered_behalf=row.answered_behalf if one.police else None,
        declined_for=row.declined_for,
        on_the_way=_at(sent.on_the_way_ms),
        arrived=_at(sent.on_scene_ms),
        proof=_proof(one),
        ended=_at(row.ended_ms),
    )


def _proof(one: Ordered) -> ProofAnswer | None:
    if one.dispatch.on_scene_ms is None:
        return None
    source = None if one.row.source is None else Source(one.row.source)
    return ProofAnswer(
        entered=one.row.check_in is None,
        check_in=one.row.check_in,
        source=source,
        weight=None if source is None else source.weight,
    )


def _at(ms: int | None) -> datetime | None:
    return None if ms is None else iso(ms)
