"""Quieting the neighbours' sirens of one place over HTTP: an officer, a reason, an end.

It takes sound away and nothing else: police, community, grid and neighbours are told of a press there as before. Its
gateway goes by the end in its slice and by its own clock; whatever is not certain sounds.
"""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlalchemy import RowMapping

from api.access import Authority, may
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import NotThere, answers
from api.register import repository
from api.register.endpoints import Id
from api.register.schemas import LiftAsked, QuietAsked, QuietingAnswer, QuietingPage
from api.register.views import quieting_answer
from api.station import CurrentStation, Station
from broker.ids import SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/register",
    tags=["register"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Place = Annotated[str | None, Query(pattern=SEGMENT, description="Only of this place")]
Still = Annotated[bool, Query(description="Only what still holds")]


@router.get("/quietings", summary="Places whose neighbours' sirens are or were quieted")
def list_quietings(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("quieting.read")],
    place: Place = None,
    still: Still = False,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> QuietingPage:
    """Those of places that you reach, newest first."""
    register = station.register
    found: list[RowMapping] = []
    edge = below(after)
    with station.database.read() as session:
        while len(found) <= limit:
            rows = repository.quietings(
                session, register.station, place=place, still_only=still, below=edge, limit=limit + 1
            )
            found += [row for row in rows if by.reach.covers(register.subject(row["place"]))]
            if len(rows) <= limit:
                break
            edge = rows[-1]["number"]
    now_ms = station.clock()
    items = [quieting_answer(row, now_ms=now_ms) for row in found[:limit]]
    return QuietingPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post(
    "/places/{place}/quiet",
    summary="Quiet the neighbours' sirens for a place, for 72 hours at most",
    status_code=HTTPStatus.CREATED,
)
def quiet(
    station: CurrentStation, by: Annotated[Authority, may("quieting.order")], place: Id, asked: QuietAsked
) -> QuietingAnswer:
    """From now on, instead of what was ordered before. Fire sounds all the same; what rings already goes on."""
    _reached(station, by, place)
    with station.registrar.edit(by.principal.account) as edit:
        edit.quiet(place, minutes=asked.minutes, reason=asked.reason)
        (row,) = repository.still(edit.session, "quieting", station.register.station, place=place)
        return quieting_answer(row, now_ms=edit.at_ms)


@router.post("/places/{place}/quiet/lift", summary="Let the neighbours' sirens sound again")
def lift(
    station: CurrentStation, by: Annotated[Authority, may("quieting.order")], place: Id, asked: LiftAsked
) -> QuietingAnswer:
    """Before its end. 404 where nothing is quieted."""
    _reached(station, by, place)
    with station.registrar.edit(by.principal.account) as edit:
        edit.lift_quieting(place, reason=asked.reason)
        (row,) = repository.quietings(
            edit.session, station.register.station, place=place, still_only=False, below=None, limit=1
        )
        return quieting_answer(row, now_ms=edit.at_ms)


def _reached(station: Station, by: Authority, place: str) -> None:
    register = station.register
    if register.place(place) is None or not by.reach.covers(register.subject(place)):
        raise NotThere(f"no place {place!r} here")
