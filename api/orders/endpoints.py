"""Orders to guards for alarms over HTTP."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlmodel import Session

from api.access import Authority, may
from api.alarms.doing import AlarmId
from api.alarms.requests import Entered
from api.orders.schemas import (
    CalledBack,
    Declined,
    NearGuards,
    NewOrder,
    OrderAnswer,
    OrderList,
    OrderPage,
    near_guards,
    order_answer,
    stage_of,
)
from api.orders.service import Ordered
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.station import CurrentStation, Station

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["orders"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Gives = Annotated[Authority, may("order.give")]
Reads = Annotated[Authority, may("order.read")]
Answers = Annotated[Authority, may("order.answer")]


def _do(station: Station, verb: Callable[[Session], Ordered]) -> OrderAnswer:
    """One transaction; once it is committed, gateways and people are told at once."""
    with station.database.write() as session:
        done = order_answer(verb(session))
    station.sender.wake()
    station.notifier.wake()
    return done


@router.get("/alarms/{alarm}/nearest-guards", summary="The guards on duty near an alarm (就近保安)")
def list_near_guards(
    station: CurrentStation,
    by: Gives,
    alarm: AlarmId,
    everybody: Annotated[bool, Query(description="Also who may be sent only with a reason")] = False,  # noqa: FBT002
) -> NearGuards:
    """By their last check-in and the least walking times, with who was ordered, and who would be next. Audited."""
    with station.database.write() as session:
        found = station.orders.nearest(session, by, alarm, everybody=everybody)
        near = {one.guard: one for one in station.tracks.shown(session, [one.near for one in found.found])}
        stages = {one.row.number or 0: stage_of(one) for one in station.orders.to_alarm(session, by, alarm)}
        return near_guards(found, near, stages)


@router.post("/alarms/{alarm}/orders", summary="Order a guard to an alarm (派单)", status_code=HTTPStatus.CREATED)
def give_order(station: CurrentStation, by: Gives, alarm: AlarmId, new: NewOrder) -> OrderAnswer:
    """He sees place, kind and consented notes until it ends; without an account he is told by radio or his company.

    His visits are excused meanwhile. Asked again, it is refused: he is sent already.
    """
    return _do(station, lambda session: station.orders.give(session, by, alarm, **new.model_dump()))


@router.get("/alarms/{alarm}/orders", summary="Orders to an alarm")
def list_orders_to(station: CurrentStation, by: Gives, alarm: AlarmId) -> OrderList:
    """In the order in which they were given."""
    with station.database.read() as session:
        return OrderList(items=tuple(order_answer(one) for one in station.orders.to_alarm(session, by, alarm)))


@router.get("/orders", summary="Orders to guards")
def list_orders(
    station: CurrentStation,
    *,
    by: Reads,
    open: Annotated[bool, Query(description="Only what has not ended")] = False,  # noqa: A002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> OrderPage:
    """Newest first: to alarms that police see, to oneself, to one's company's guards (neither where nor why)."""
    with station.database.read() as session:
        found = station.orders.listed(session, by, below=below(after), only_open=open, limit=limit + 1)
        items = tuple(order_answer(one) for one in found[:limit])
    return OrderPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/orders/{number}", summary="One order")
def get_order(station: CurrentStation, by: Reads, number: Number) -> OrderAnswer:
    """How far it is."""
    with station.database.read() as session:
        return order_answer(station.orders.one(session, by, number))


@router.post("/orders/{number}/accept", summary="He goes (接令)")
def accept_order(station: CurrentStation, by: Answers, number: Number, what: Entered | None = None) -> OrderAnswer:
    """Said by himself, or entered for him by his company or the desk (代录)."""
    behalf = None if what is None else what.behalf
    return _do(
        station, lambda session: station.orders.answer(session, by, number, accept=True, words=None, behalf=behalf)
    )


@router.post("/orders/{number}/decline", summary="He cannot go")
def decline_order(station: CurrentStation, by: Answers, number: Number, what: Declined) -> OrderAnswer:
    """From then on he sees nothing of it, and his visits count again."""
    return _do(
        station,
        lambda session: station.orders.answer(session, by, number, accept=False, words=what.words, behalf=what.behalf),
    )


@router.post("/orders/{number}/on-the-way", summary="He is on the way")
def order_on_the_way(station: CurrentStation, by: Answers, number: Number, what: Entered | None = None) -> OrderAnswer:
    """Whoever has not answered accepts by this."""
    return _do(
        station,
        lambda session: station.orders.on_the_way(session, by, number, behalf=None if what is None else what.behalf),
    )


@router.post("/orders/{number}/arrived", summary="Enter that he is there")
def order_arrived(station: CurrentStation, by: Gives, number: Number, what: Entered | None = None) -> OrderAnswer:
    """For who could not check in; it is shown as entered. A check-in at the place says the same by itself."""
    return _do(
        station,
        lambda session: station.orders.arrived(session, by, number, behalf=None if what is None else what.behalf),
    )


@router.post("/orders/{number}/call-back", summary="Call him back")
def call_back_order(station: CurrentStation, by: Gives, number: Number, what: CalledBack) -> OrderAnswer:
    """From then on he sees nothing of it, and his visits count again."""
    return _do(
        station, lambda session: station.orders.call_back(session, by, number, reason=what.reason, behalf=what.behalf)
    )
