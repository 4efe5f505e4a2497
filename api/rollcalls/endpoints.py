"""Roll-calls and spot calls over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter
from sqlmodel import Session

from api.access import Authority, may
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.rollcalls.schemas import (
    CalledAnswer,
    NewCall,
    NewDraw,
    NewSpotCall,
    OwnAnswer,
    RadioAnswer,
    RollCallAnswer,
    RollCallPage,
    WaitingCalls,
    called_answer,
    roll_call_answer,
    waiting_call,
)
from api.rollcalls.service import Called
from api.station import CurrentStation, Station

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["roll-calls"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


def _shown(station: Station, session: Session, by: Authority, found: Called) -> RollCallAnswer:
    return roll_call_answer(found, station.guards.sees(session, by, [row.guard for row in found.people]))


@router.post("/roll-calls/draws", summary="Commit to a draw (随机点名)", status_code=HTTPStatus.CREATED)
def commit_draw(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], new: NewDraw
) -> RollCallAnswer:
    """The digest of the seed is shown before anybody is called, and the seed when the call is over."""
    with station.database.write() as session:
        return _shown(station, session, by, station.rollcalls.commit(session, by, area=new.area, many=new.many))


@router.post("/roll-calls/{number}/call", summary="Draw, and call")
def call_draw(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], number: Number
) -> RollCallAnswer:
    """From whoever is on a duty list of the area now; twice is refused."""
    with station.database.write() as session:
        answer = _shown(station, session, by, station.rollcalls.call_drawn(session, by, number))
    station.sender.wake()
    return answer


@router.post("/roll-calls", summary="Call the roll by hand (点名)", status_code=HTTPStatus.CREATED)
def call_by_hand(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], new: NewCall
) -> RollCallAnswer:
    """Answered by tag at a reader, on the phone's page, or by radio; once more after 3 minutes, missed after 3 more."""
    with station.database.write() as session:
        found = station.rollcalls.call_by_hand(session, by, area=new.area, people=new.guards)
        answer = _shown(station, session, by, found)
    station.sender.wake()
    return answer


@router.post("/spot-calls", summary="Call one away from his round (点调)", status_code=HTTPStatus.CREATED)
def spot_call(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], new: NewSpotCall
) -> RollCallAnswer:
    """He is called and re-tasked in one step; what he misses until it is done, or until its time is up, is excused."""
    with station.database.write() as session:
        found = station.rollcalls.spot(
            session, by, area=new.area, guard=new.guard, words=new.words, minutes=new.minutes
        )
        answer = _shown(station, session, by, found)
    station.sender.wake()
    return answer


@router.post("/spot-calls/{number}/done", summary="He goes on with his round")
def end_spot_call(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], number: Number
) -> RollCallAnswer:
    """From now on his visits count again."""
    with station.database.write() as session:
        return _shown(station, session, by, station.rollcalls.spot_done(session, by, number))


@router.post("/roll-calls/{number}/radio", summary="Type in an answer by radio")
def answer_by_radio(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.make")], number: Number, heard: RadioAnswer
) -> RollCallAnswer:
    """With where he says he is; the answer shows where he checked in last, and whether both can be."""
    with station.database.write() as session:
        found = station.rollcalls.answer_by_radio(session, by, number, guard=heard.guard, claimed=heard.claimed)
        answer = _shown(station, session, by, found)
    station.sender.wake()
    return answer


@router.post("/roll-calls/{number}/answer", summary="Answer a call on one's phone")
def answer_by_phone(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.answer")], number: Number, own: OwnAnswer
) -> CalledAnswer:
    """Whom it waits for."""
    with station.database.write() as session:
        row = station.rollcalls.answer_by_phone(session, by, number, claimed=own.claimed)
        answer = called_answer(row, station.guards.sees(session, by, [row.guard]).get(row.guard))
    station.sender.wake()
    return answer


@router.get("/roll-calls/waiting", summary="Calls that wait for oneself")
def list_waiting(station: CurrentStation, by: Annotated[Authority, may("roll_call.answer")]) -> WaitingCalls:
    """Roll-calls and spot calls, with the moment until which to answer."""
    with station.database.read() as session:
        return WaitingCalls(items=tuple(waiting_call(call, row) for call, row in station.rollcalls.mine(session, by)))


@router.get("/roll-calls", summary="Roll-calls and spot calls")
def list_calls(
    station: CurrentStation,
    by: Annotated[Authority, may("roll_call.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> RollCallPage:
    """Newest first: those of your area, or of somebody of yours. Of others' people only the company is shown."""
    with station.database.read() as session:
        found = station.rollcalls.listed(session, by, below=below(after), limit=limit + 1)
        items = tuple(_shown(station, session, by, one) for one in found[:limit])
    return RollCallPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/roll-calls/{number}", summary="One call with everybody's answer")
def get_call(
    station: CurrentStation, by: Annotated[Authority, may("roll_call.read")], number: Number
) -> RollCallAnswer:
    """Each answer beside roster and last check-in."""
    with station.database.read() as session:
        return _shown(station, session, by, station.rollcalls.one(session, by, number))
