"""Drills, readiness and absences over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.access import Authority, may
from api.drills.schemas import (
    AbsenceAnswer,
    AbsenceAsked,
    ConditionAnswer,
    DrillAnswer,
    DrillPage,
    DrillResultAnswer,
    NewDrill,
    ReadinessAnswer,
)
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.station import CurrentStation
from broker.ids import SEGMENT

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["drills"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Segment = Annotated[str, Path(pattern=SEGMENT)]


@router.get("/drills", summary="Drills that are announced or go on")
def list_drills(
    station: CurrentStation,
    by: Annotated[Authority, may("drill.read")],
    over: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    limit: Limit = PAGE,
    after: Cursor = None,
) -> DrillPage:
    """Newest first; with `over=true` also those that are over or were called off."""
    with station.database.read() as session:
        items = station.drills.listed(session, by, over=over, below=below(after), limit=limit + 1)
    more = len(items) > limit
    return DrillPage(items=tuple(items[:limit]), next=cursor(items[limit - 1].number) if more else None)


@router.post("/drills", summary="Announce a drill (演练)", status_code=HTTPStatus.CREATED)
def announce_drill(
    station: CurrentStation, by: Annotated[Authority, may("drill.announce")], new: NewDrill
) -> DrillAnswer:
    """At least ten minutes ahead, for two hours at most. A press of a unit that is not named is real all the same."""
    with station.database.write() as session:
        return station.drills.announce(session, by, new)


@router.get("/drills/{number}", summary="A drill with what became of it")
def get_drill(
    station: CurrentStation, by: Annotated[Authority, may("drill.announce")], number: Number
) -> DrillResultAnswer:
    """Which of its units were pressed and which households answered: for whoever looks after the group."""
    with station.database.read() as session:
        return station.drills.result(session, by, number)


@router.post("/drills/{number}/call-off", summary="End a drill early")
def call_off_drill(
    station: CurrentStation, by: Annotated[Authority, may("drill.announce")], number: Number
) -> DrillAnswer:
    """From now on every press is real."""
    with station.database.write() as session:
        answer = station.drills.call_off(session, by, number)
    station.sender.wake()
    return answer


@router.get("/groups/{group}/readiness", summary="How ready a group is (联防就绪)")
def get_readiness(
    station: CurrentStation, by: Annotated[Authority, may("readiness.read")], group: Segment
) -> ReadinessAnswer:
    """Such as "7 of 9 neighbours and the station can be reached now"; who is not, for who looks after the group."""
    with station.database.read() as session:
        return station.drills.ready(session, by, group)


@router.get("/places/{place}/condition", summary="How a place's units are, and whether nobody is at home")
def get_condition(
    station: CurrentStation, by: Annotated[Authority, may("condition.read")], place: Segment
) -> ConditionAnswer:
    """For the household, and whoever looks after it or may have to come: batteries, what is wrong, the last test."""
    with station.database.read() as session:
        return station.drills.condition(session, by, place)


@router.put("/places/{place}/absence", summary="Say that nobody is at home")
def leave_place(
    station: CurrentStation, by: Annotated[Authority, may("absence.write")], place: Segment, asked: AbsenceAsked
) -> AbsenceAnswer:
    """The place is not counted among the neighbours who can come. Its own key works as ever."""
    with station.database.write() as session:
        return station.drills.leave(session, by, place, asked)


@router.delete("/places/{place}/absence", summary="Somebody is at home again", status_code=HTTPStatus.NO_CONTENT)
def come_back(station: CurrentStation, by: Annotated[Authority, may("absence.write")], place: Segment) -> None:
    """Counted again from now on."""
    with station.database.write() as session:
        station.drills.come_back(session, by, place)
