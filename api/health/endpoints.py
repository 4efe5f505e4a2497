"""Health over HTTP, open to whoever can reach the port: monitors have no token."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.health.schemas import Health
from api.health.service import examine
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
