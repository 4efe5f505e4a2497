"""Staggered plans over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.access import Authority, may
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.planner.schemas import NewStagger, NewStaggerPlans, StaggerAnswer, StaggerPage
from api.problems import answers
from api.station import CurrentStation
from broker.ids import SEGMENT

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


@router.post("/areas/{area}/staggered-plans", summary="Draft a staggered plan (错峰)", status_code=HTTPStatus.CREATED)
def draft_staggered_plan(
    station: CurrentStation, by: Annotated[Authority, may("stagger.draft")], area: Segment, new: NewStagger
) -> StaggerAnswer:
    """Fill the gaps of police and others, never over the colour's limit, no two teams in step, not to be guessed.

    What cannot be planned is answered with every bound that cannot be kept, for whom and when. A draft orders nobody.
    """
    with station.database.read() as session:
        colour, duty = station.planner.asked(session, by, area, new)
    drafted = station.planner.draft(area, colour, duty)
    with station.database.write() as session:
        return station.planner.keep(session, by, drafted)


@router.get("/areas/{area}/staggered-plans", summary="Staggered plans of an area")
def list_staggered_plans(
    station: CurrentStation,
    by: Annotated[Authority, may("stagger.read")],
    area: Segment,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> StaggerPage:
    """Newest first, each with how well it could be guessed by whoever watched the duties before it."""
    with station.database.read() as session:
        items = station.planner.listed(session, by, area, below=below(after), limit=limit + 1)
    more = len(items) > limit
    return StaggerPage(items=tuple(items[:limit]), next=cursor(items[limit - 1].number) if more else None)


@router.get("/staggered-plans/{number}", summary="A staggered plan")
def get_staggered_plan(
    station: CurrentStation, by: Annotated[Authority, may("stagger.read")], number: Number
) -> StaggerAnswer:
    """With its seed when the duty is over, so that anybody can make the plan anew."""
    with station.database.read() as session:
        return station.planner.plan(session, by, number)


@router.post(
    "/staggered-plans/{number}/plans", summary="Let a staggered plan be walked", responses=answers(HTTPStatus.CONFLICT)
)
def order_staggered_plan(
    station: CurrentStation, by: Annotated[Authority, may("stagger.order")], number: Number, new: NewStaggerPlans
) -> StaggerAnswer:
    """Temporary plans, one for each team and duty day; they take the place of their routes' routine plans of that day.

    Refused with every reason of every team, and then nothing is kept. The same again is answered with the same plans.
    """
    with station.database.write() as session:
        return station.planner.order(session, by, number, new)
