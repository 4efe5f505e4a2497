"""Health over HTTP, open to whoever can reach the port; figures for whoever has a token that may read them."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.access import anybody, may
from api.health.metrics import Figures
from api.health.schemas import Health
from api.health.service import examine
from api.problems import answers
from api.rights.rules import Authority
from api.station import CurrentStation

router: Final = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the station can do its work", responses={503: {"model": Health}})
def get_health(
    request: Request, response: Response, station: CurrentStation, _: Annotated[None, anybody("health.read")]
) -> Health:
    """200 while alarms get through, 503 when they may not; the answer says what is the matter."""
    health = examine(station, request.app.state.pulse)
    if health.status == "failing":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return health


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses=answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE),
)
def get_metrics(station: CurrentStation, _: Annotated[Authority, may("metrics.read")]) -> PlainTextResponse:
    """Counts and ages of what the station does; nobody and no place is in them. Asks for a token, from anywhere."""
    return PlainTextResponse(Figures(station).text(), media_type=CONTENT_TYPE_LATEST)
