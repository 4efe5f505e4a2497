"""Changes of the register that are planned ahead, over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.access import Authority, may
from api.clock import iso
from api.etags import IfMatch
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import NotThere, answers
from api.register import views
from api.register.agenda import Differs, Wanted
from api.register.endpoints import EDITED
from api.register.models import ChangeSort, ChangeState
from api.register.problems import NotAhead
from api.register.schemas import (
    PlannedAnswer,
    PlannedArea,
    PlannedAsked,
    PlannedOccupancy,
    PlannedPage,
    PlannedPlace,
    TriedAnswer,
)
from api.station import CurrentStation, Station

router: Final = APIRouter(
    prefix="/api/v1/register/planned",
    tags=["register"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

DryRun = Annotated[bool, Query(description="Try it, and plan nothing")]


@router.get("", summary="Changes that are planned ahead, and what became of them")
def list_planned(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.planned")],
    state: ChangeState | None = ChangeState.PLANNED,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> PlannedPage:
    """Those of areas and places that you reach, newest first; without the names of people."""
    with station.database.read() as session:
        found = station.agenda.page(session, by, state=state, below=below(after), limit=limit)
        items = [views.planned_answer(row) for row in found[:limit]]
    return PlannedPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/areas", summary="Plan how an area is drawn, or that it ends", responses=EDITED)
def plan_area(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.area")],
    asked: PlannedArea,
    dry_run: DryRun = False,
) -> TriedAnswer:
    """From that moment on; until then nothing changes. Only what differs is written then."""
    becomes = None if asked.becomes is None else views.area_fields(asked.becomes)
    return _plan(station, by, asked, Wanted(sort=ChangeSort.AREA, about=asked.area, becomes=becomes), dry_run=dry_run)


@router.post("/places", summary="Plan what a place is and its group, or that it ends", responses=EDITED)
def plan_place(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.place")],
    asked: PlannedPlace,
    dry_run: DryRun = False,
) -> TriedAnswer:
    """The same for a place."""
    there = station.register.place(asked.place)
    if there is None:
        raise NotThere(f"no place {asked.place!r} here")
    becomes = None if asked.becomes is None else views.place_fields(asked.becomes, way_in=there.way_in)
    return _plan(station, by, asked, Wanted(sort=ChangeSort.PLACE, about=asked.place, becomes=becomes), dry_run=dry_run)


@router.post("/occupancies", summary="Plan who lives where (迁入, 迁出, 出借, 归还, 互换)", responses=EDITED)
def plan_occupancy(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.occupancy")],
    asked: PlannedOccupancy,
    dry_run: DryRun = False,
) -> TriedAnswer:
    """From that moment on alarms of the place are theirs, and the new ones begin with no consents."""
    wanted = Wanted(
        sort=ChangeSort.OCCUPANCY, about=asked.place, step=asked.step, name=asked.name or "", other=asked.other
    )
    return _plan(station, by, asked, wanted, dry_run=dry_run)


@router.post("/{number}/cancel", summary="Let a planned change not be made", responses=EDITED)
def cancel_planned(
    station: CurrentStation, by: Annotated[Authority, may("register.planned")], number: Number, if_match: IfMatch
) -> PlannedAnswer:
    """By whoever may plan it. One that was refused is done with by this, and so is its fault."""
    with station.database.write() as session:
        return views.planned_answer(station.agenda.cancel(session, by, number, if_match=if_match))


def _plan(station: Station, by: Authority, asked: PlannedAsked, wanted: Wanted, *, dry_run: bool) -> TriedAnswer:
    at_ms = round(asked.at.timestamp() * 1_000)
    if at_ms <= station.clock():
        raise NotAhead
    tried = station.agenda.attempt(station.database, by, wanted, at_ms=at_ms)
    planned = None
    if not dry_run:
        with station.database.write() as session:
            row = station.agenda.plan(session, by, wanted, tried.differs, at_ms=at_ms)
            planned = views.planned_answer(row)
    return TriedAnswer(at=iso(at_ms), changes=_changes(tried.differs), after=[*tried.after], planned=planned)


def _changes(differs: Differs) -> list[str]:
    return sorted(differs)
