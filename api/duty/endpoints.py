"""Duty over HTTP: roster, leave, desks, handing over."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from api.access import Authority, may
from api.accounts.naming import names
from api.accounts.schemas import ServingPage, serving_page
from api.alarms.doing import people_of
from api.alarms.schemas import person
from api.duty.schemas import (
    Area,
    Beat,
    DeskAnswer,
    DesksAnswer,
    EndShift,
    HandoverAnswer,
    HandoverPage,
    LeaveAnswer,
    LeavePage,
    NewHandover,
    NewLeave,
    NewShift,
    OnDutyAnswer,
    ShiftAnswer,
    ShiftPage,
    desk_answer,
    handover_answer,
    leave_answer,
    shift_answer,
)
from api.duty.service import SheetChanged
from api.etags import IfMatch, etag
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.rights.rules import ROLE_WORDS, Role
from api.shapes import Moment, words_answer
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/duty",
    tags=["duty"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)

At = Annotated[Moment | None, Query(description="At this moment; without one, now")]


@router.get("/roster", summary="The roster, newest lines first")
def list_shifts(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.read")],
    *,
    area: Annotated[Area | None, Query(description="Of this area itself")] = None,
    at: Annotated[Moment | None, Query(description="Only lines that are good then")] = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> ShiftPage:
    """What was ended stays in it: an old alarm may have to show who was on duty."""
    at_ms = None if at is None else round(at.timestamp() * 1_000)
    with station.database.read() as session:
        rows = station.duty.roster(session, by, area=area, at_ms=at_ms, below=below(after), limit=limit + 1)
        called = names(session, {id_ for row in rows for id_ in (row.account, row.deputy_of) if id_})
        items = tuple(shift_answer(row, called) for row in rows[:limit])
    return ShiftPage(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.get("/people", summary="Whom you can put on a roster")
def list_people(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.edit")],
    *,
    role: Annotated[list[Role] | None, Query(max_length=len(Role), description="Holding one of these")] = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
) -> ServingPage:
    """Who holds a role that can be on duty in your areas, by account. A community reads its own grid workers."""
    with station.database.read() as session:
        found = station.duty.choices(session, by, roles=role or [*Role], after=after, limit=limit + 1)
    return serving_page(found, limit)


@router.post("/roster", summary="Put somebody on duty", status_code=HTTPStatus.CREATED)
def put_on_duty(
    station: CurrentStation, by: Annotated[Authority, may("duty.edit")], new: NewShift, response: Response
) -> ShiftAnswer:
    """A community keeps the roster of its grid workers and group leaders. The same line twice is one line."""
    with station.database.write() as session:
        row = station.duty.put_on(session, by, new)
        made = shift_answer(row, names(session, [row.account, row.deputy_of or ""]))
    response.headers["ETag"] = etag(made.version)
    return made


@router.post(
    "/roster/{number}/end",
    summary="End a line of the roster",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def end_shift(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.edit")],
    *,
    number: Number,
    asked: EndShift,
    if_match: IfMatch,
    response: Response,
) -> ShiftAnswer:
    """It stays in the roster with its end."""
    with station.database.write() as session:
        row = station.duty.end(session, by, number, at=asked.at, if_match=if_match)
        ended = shift_answer(row, names(session, [row.account, row.deputy_of or ""]))
    response.headers["ETag"] = etag(ended.version)
    return ended


@router.get("/now", summary="Who is on duty", responses=answers(HTTPStatus.NOT_FOUND))
def who_is_on_duty(
    station: CurrentStation, by: Annotated[Authority, may("duty.read")], role: Role, area: Area, at: At = None
) -> OnDutyAnswer:
    """Whoever serves in `role` for an area or for one that it lies in; deputies and stand-ins counted."""
    at_ms = None if at is None else round(at.timestamp() * 1_000)
    with station.database.read() as session:
        accounts = station.duty.now(session, by, role=role, area=area, at_ms=at_ms)
        known = people_of(station, session)
        people = tuple(person(account, known) for account in accounts)
    words = words_answer(ROLE_WORDS[role]) if role in ROLE_WORDS else None
    return OnDutyAnswer(role=role, role_words=words, area=area, accounts=tuple(accounts), people=people)


@router.get("/leaves", summary="Who is away, newest first")
def list_leaves(
    station: CurrentStation, by: Annotated[Authority, may("duty.read")], limit: Limit = PAGE, after: Cursor = None
) -> LeavePage:
    """Of accounts on rosters within reach. Why somebody is away is not kept."""
    with station.database.read() as session:
        rows = station.duty.leaves(session, by, below=below(after), limit=limit + 1)
        called = names(session, {id_ for row in rows for id_ in (row.account, row.stand_in) if id_})
        items = tuple(leave_answer(row, called) for row in rows[:limit])
    return LeavePage(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.post("/leaves", summary="Note that somebody is away", status_code=HTTPStatus.CREATED)
def grant_leave(
    station: CurrentStation, by: Annotated[Authority, may("duty.edit")], new: NewLeave, response: Response
) -> LeaveAnswer:
    """The stand-in serves instead; without one, the deputies."""
    with station.database.write() as session:
        row = station.duty.grant_leave(session, by, new)
        made = leave_answer(row, names(session, [row.account, row.stand_in or ""]))
    response.headers["ETag"] = etag(made.version)
    return made


@router.post(
    "/leaves/{number}/end",
    summary="Somebody is back",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def end_leave(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.edit")],
    number: Number,
    if_match: IfMatch,
    response: Response,
) -> LeaveAnswer:
    """From now on; what was is not changed."""
    with station.database.write() as session:
        row = station.duty.end_leave(session, by, number, if_match=if_match)
        ended = leave_answer(row, names(session, [row.account, row.stand_in or ""]))
    response.headers["ETag"] = etag(ended.version)
    return ended


@router.post("/desk", summary="Somebody sits at this desk")
def beat(station: CurrentStation, by: Annotated[Authority, may("duty.desk")], asked: Beat) -> DeskAnswer:
    """A live desk says so every 15 s. No desk for 60 s is a fault that the level above sees."""
    with station.database.write() as session:
        return desk_answer(station.duty.beat(session, by, asked.desk))


@router.get("/desk", summary="Which desks are attended")
def list_desks(station: CurrentStation, _by: Annotated[Authority, may("duty.desk")]) -> DesksAnswer:
    """Those that were heard of within the last minute."""
    with station.database.read() as session:
        desks = tuple(desk_answer(row) for row in station.duty.desks(session))
    return DesksAnswer(attended=bool(desks), desks=desks)


@router.get("/handovers", summary="Sheets of handing over, newest first")
def list_handovers(
    station: CurrentStation, _by: Annotated[Authority, may("duty.handover")], limit: Limit = PAGE, after: Cursor = None
) -> HandoverPage:
    """For police only: a sheet names every open alarm."""
    with station.database.read() as session:
        rows = station.duty.handovers(session, below=below(after), limit=limit + 1)
        people = station.duty.people(session, rows)
        items = tuple(handover_answer(row, people) for row in rows[:limit])
    return HandoverPage(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.get("/handovers/takers", summary="Who can take over from you")
def list_takers(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.handover")],
    limit: Limit = PAGE,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
) -> ServingPage:
    """Officers, duty officers and duty leaders of this station, by account."""
    with station.database.read() as session:
        found = station.duty.takers(session, by, after=after, limit=limit + 1)
    return serving_page(found, limit)


@router.post("/handovers", summary="Make a sheet for the next officer (交接班)", status_code=HTTPStatus.CREATED)
def make_handover(
    station: CurrentStation, by: Annotated[Authority, may("duty.handover")], new: NewHandover, response: Response
) -> HandoverAnswer:
    """From what is open now. Asked again before both have signed, it is the same sheet."""
    with station.database.write() as session:
        row = station.duty.hand_over(session, by, new)
        made = handover_answer(row, station.duty.people(session, [row]))
    response.headers["ETag"] = etag(made.version)
    return made


@router.get("/handovers/{number}", summary="One sheet", responses=answers(HTTPStatus.NOT_FOUND))
def get_handover(
    station: CurrentStation, _by: Annotated[Authority, may("duty.handover")], number: Number, response: Response
) -> HandoverAnswer:
    """With both signatures."""
    with station.database.read() as session:
        row = station.duty.handover(session, number)
        found = handover_answer(row, station.duty.people(session, [row]))
    response.headers["ETag"] = etag(found.version)
    return found


@router.get(
    "/handovers/{number}/sheet",
    summary="One sheet, to be printed",
    response_class=HTMLResponse,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def print_handover(
    station: CurrentStation, _by: Annotated[Authority, may("duty.handover")], number: Number
) -> HTMLResponse:
    """One A4 page or more, in Chinese and English."""
    with station.database.read() as session:
        return HTMLResponse(station.duty.page(session, number, zone=station.settings.zone))


@router.post(
    "/handovers/{number}/sign",
    summary="Sign a sheet",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def sign_handover(
    station: CurrentStation,
    by: Annotated[Authority, may("duty.handover")],
    number: Number,
    if_match: IfMatch,
    response: Response,
) -> HandoverAnswer:
    """Giver and taker sign what they have read. With the second signature the giver's open alarms are the taker's.

    When alarms came or went since, the sheet is made anew, and both read and sign again (409).
    """
    with station.database.write() as session:
        row, signed = station.duty.sign(session, by, number, if_match=if_match)
        found = handover_answer(row, station.duty.people(session, [row]))
    if not signed:
        raise SheetChanged(found.version)
    response.headers["ETag"] = etag(found.version)
    return found
