"""Tracks, reverse look-up, nearest guards and coverage over HTTP."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api import paper
from api.access import Authority, may
from api.problems import answers
from api.shapes import Moment
from api.station import CurrentStation
from api.tracks.rules import SOURCE_WORDS
from api.tracks.schemas import CoverageAnswer, LookUpAnswer, LookUpAsked, NearList, Reason, TrackAnswer
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["patrol"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Segment = Annotated[str, Path(pattern=SEGMENT)]
Guard = Annotated[str, Path(pattern=EVENT_ID)]
Begins = Annotated[Moment, Query(description="From when")]
Ends = Annotated[Moment, Query(description="Until before when")]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)


@router.post("/track-look-ups", summary="Who was at a checkpoint (轨迹反查)")
def look_up(
    station: CurrentStation, by: Annotated[Authority, may("track.look_up")], asked: LookUpAsked
) -> LookUpAnswer:
    """Was there, must have passed, could have been: each with its evidence and weight. Every look-up is audited."""
    with station.database.write() as session:
        return station.tracks.look_up(
            session, by, asked.point, from_ms=_ms(asked.begins), to_ms=_ms(asked.ends), reason=asked.reason
        )


@router.post(
    "/track-look-ups/sheet",
    summary="The sheet of a look-up for a case file (案件用)",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def print_look_up(
    station: CurrentStation, by: Annotated[Authority, may("track.look_up")], asked: LookUpAsked
) -> Response:
    """The same, to print and sign. Audited as well."""
    with station.database.write() as session:
        found = station.tracks.look_up(
            session, by, asked.point, from_ms=_ms(asked.begins), to_ms=_ms(asked.ends), reason=asked.reason
        )
    zone = station.settings.zone

    def at(moment: datetime) -> str:
        return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")

    page = paper.page(
        "api.tracks",
        "look_up.html",
        found=found,
        at=at,
        sources=SOURCE_WORDS,
        station=station.settings.station,
        printed_by=by.principal.name,
    )
    return Response(page, media_type=paper.MEDIA_TYPE)


@router.get("/guards/{guard}/track", summary="Track of a guard, with its points to replay")
def get_track(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("track.read")],
    guard: Guard,
    begins: Begins,
    ends: Ends,
    reason: Annotated[Reason, Query(description="The number of a case, or why it is asked")],
) -> TrackAnswer:
    """Shift by shift, 31 days at most; outside of shifts nobody has a position. Every look is audited."""
    with station.database.write() as session:
        return station.tracks.track(session, by, guard, from_ms=_ms(begins), to_ms=_ms(ends), reason=reason)


@router.get("/places/{place}/nearest-guards", summary="The nearest guards on duty")
def list_nearest_guards(
    station: CurrentStation, by: Annotated[Authority, may("track.nearest")], place: Segment
) -> NearList:
    """By the last check-in of the shift and the least walking times, twenty at most."""
    with station.database.write() as session:
        return station.tracks.nearest(session, by, place)


@router.get("/areas/{area}/coverage", summary="Coverage of an area by its colour")
def get_coverage(
    station: CurrentStation, by: Annotated[Authority, may("track.coverage")], area: Segment, begins: Begins, ends: Ends
) -> CoverageAnswer:
    """The gaps that were longer than the colour allowed then, and for how much of the time it was kept; no names."""
    with station.database.read() as session:
        return station.tracks.coverage(session, by, area, from_ms=_ms(begins), to_ms=_ms(ends))
