"""Complaints over HTTP: made and looked up by anybody, looked into by whoever leads the duty complained of."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.access import Authority, anybody, may
from api.complaints.schemas import (
    Answered,
    BoardComplaint,
    ComplaintAnswer,
    ComplaintPage,
    LookedUp,
    LookUp,
    MadeAnswer,
    NewComplaint,
    complaint_answer,
    looked_up,
    made_answer,
)
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.station import CurrentStation
from broker.ids import SEGMENT

PUBLIC: Final = answers(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
KNOWN: Final = answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

router: Final = APIRouter(prefix="/api/v1", tags=["complaints"], responses=PUBLIC)

Grid = Annotated[str, Path(pattern=SEGMENT)]


@router.post(
    "/boards/{grid}/complaints",
    summary="Complain over a grid's public board (投诉)",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.TOO_MANY_REQUESTS),
)
def complain(
    station: CurrentStation, _by: Annotated[None, anybody("complaint.make")], grid: Grid, new: BoardComplaint
) -> MadeAnswer:
    """Nobody is asked who he is. The code that is answered is all that is needed to read how far it is."""
    with station.database.write() as session:
        return made_answer(station.complaints.over_board(session, grid, new))


@router.post(
    "/complaints",
    summary="Complain by account, or type a caller's complaint in",
    status_code=HTTPStatus.CREATED,
    responses=KNOWN,
)
def enter_complaint(
    station: CurrentStation, by: Annotated[Authority, may("complaint.enter")], new: NewComplaint
) -> MadeAnswer:
    """A caller is told the code. Whoever types it in does not get to see it again, unless he looks into it."""
    with station.database.write() as session:
        return made_answer(station.complaints.enter(session, by, new))


@router.post("/complaints/look-up", summary="How far a complaint is, by its code")
def look_up(station: CurrentStation, _by: Annotated[None, anybody("complaint.make")], asked: LookUp) -> LookedUp:
    """The answer, once there is one; not the complaint itself. In a body, so that no log of addresses has the code."""
    with station.database.read() as session:
        return looked_up(station.complaints.look_up(session, asked.code))


@router.get("/complaints", summary="Complaints, newest first", responses=KNOWN)
def list_complaints(
    station: CurrentStation,
    by: Annotated[Authority, may("complaint.read")],
    still: bool = False,  # noqa: FBT001, FBT002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> ComplaintPage:
    """Those that you look into, and those that you made; `still`: without an answer. None is about your own duty."""
    with station.database.read() as session:
        found = station.complaints.page(session, by, still=still, below=below(after), limit=limit + 1)
        items = tuple(complaint_answer(row, now_ms=station.clock()) for row in found[:limit])
    return ComplaintPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post(
    "/complaints/{number}/take",
    summary="Look into a complaint",
    responses=KNOWN | answers(HTTPStatus.CONFLICT),
)
def take_complaint(
    station: CurrentStation, by: Annotated[Authority, may("complaint.handle")], number: Number
) -> ComplaintAnswer:
    """Of two at once one has it."""
    with station.database.write() as session:
        return complaint_answer(station.complaints.take(session, by, number), now_ms=station.clock())


@router.post(
    "/complaints/{number}/answer",
    summary="Answer a complaint",
    responses=KNOWN | answers(HTTPStatus.CONFLICT),
)
def answer_complaint(
    station: CurrentStation, by: Annotated[Authority, may("complaint.handle")], number: Number, found: Answered
) -> ComplaintAnswer:
    """What was found, in words that whoever has the code reads. Once."""
    with station.database.write() as session:
        row = station.complaints.answer(session, by, number, finding=found.finding, words=found.words)
        return complaint_answer(row, now_ms=station.clock())
