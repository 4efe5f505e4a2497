"""What came in and what was wrong with it, over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter

from api.access import Authority, may, whole_station
from api.ingest import repository
from api.ingest.schemas import (
    DeadLetterPage,
    EventList,
    GatewayList,
    dead_letter_answer,
    event_answer,
    gateway_answer,
    rejection_answer,
)
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import answers
from api.station import CurrentStation
from broker.kinds import EventType

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["ingest"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


MayRead = Annotated[Authority, may("ingest.read")]


@router.get("/dead-letters", summary="Messages that could not be taken in, newest first")
def list_dead_letters(
    station: CurrentStation, by: MayRead, limit: Limit = PAGE, after: Cursor = None
) -> DeadLetterPage:
    """Nothing that arrived disappears: it is stored, or it stands here with the reason. For the whole station's."""
    whole_station(station, by)
    with station.database.read() as session:
        found = repository.dead_letters(session, below=below(after), limit=limit + 1)
        return DeadLetterPage(
            items=[dead_letter_answer(row) for row in found[:limit]],
            next=cursor(found[limit - 1].number or 0) if len(found) > limit else None,
            rejections=[rejection_answer(row) for row in repository.rejections(session)],
        )


@router.get("/events", summary="What the gateways recorded, newest first")
def list_events(
    station: CurrentStation,
    by: MayRead,
    type: EventType | None = None,  # noqa: A002 - as in the messages
    limit: Limit = PAGE,
) -> EventList:
    """Check-ins, answers, tests, faults: everything that has a row of its own in the inbox. For the whole station's."""
    whole_station(station, by)
    with station.database.read() as session:
        found = repository.events(session, event=None if type is None else type.value, limit=limit)
        return EventList(items=[event_answer(row) for row in found])


@router.get("/gateways", summary="Gateways by their last status")
def list_gateways(station: CurrentStation, _by: MayRead) -> GatewayList:
    """Every gateway that ever said something."""
    with station.database.read() as session:
        return GatewayList(gateways=[gateway_answer(row) for row in repository.gateways(session)])
