"""Push to phone pages over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request

from api.access import Authority, may, proof_of
from api.problems import answers
from api.push.schemas import Endpoint, PushAnswer, StationPushAnswer, SubscribedAnswer, Subscription
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/push",
    tags=["notify"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)

Own = Annotated[Authority, may("push.own")]


@router.get("", summary="Whether this station pushes to phones")
def get_push(station: CurrentStation, by: Own) -> PushAnswer:
    """An extra: nobody relies on it. It is offered once an administrator allowed a push service."""
    with station.database.write() as session:
        return station.pushing.offer(session, by)


@router.put("/device", summary="Push to this browser")
def put_device(request: Request, station: CurrentStation, by: Own, what: Subscription) -> SubscribedAnswer:
    """The page says it anew each time it is opened; after 30 days without that, or after signing out, it ends.

    A browser is one account's: of whoever said it last. Its address must be one of a push service that is allowed.
    """
    with station.database.write() as session:
        return station.pushing.subscribe(session, by, what, signed_in=proof_of(request).session)


@router.post("/device/end", summary="Push to this browser no more", status_code=HTTPStatus.NO_CONTENT)
def end_device(station: CurrentStation, by: Own, what: Endpoint) -> None:
    """Its address and its keys are forgotten. One that is not pushed to stays so."""
    with station.database.write() as session:
        station.pushing.unsubscribe(session, by, what.endpoint.get_secret_value())


@router.post("/test", summary="Push a test to your browsers", status_code=HTTPStatus.ACCEPTED)
def try_push(station: CurrentStation, by: Own) -> None:
    """It says that it is a test and nothing else."""
    with station.database.write() as session:
        station.pushing.trial(session, by)
    station.notifier.wake()


@router.get("/station", summary="What became of what was pushed")
def get_station_push(station: CurrentStation, _by: Annotated[Authority, may("push.station")]) -> StationPushAnswer:
    """Counts of the last 24 hours. A push service that is not reached is no fault: nothing depends on it."""
    with station.database.read() as session:
        return station.pushing.state(session)
