"""Faults over HTTP: what is wrong, who sees to it, and when it is over."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from sqlmodel import Session

from api.access import may
from api.accounts.naming import names
from api.accounts.schemas import ServingPage, serving_page
from api.etags import IfMatch, etag
from api.faults import repository
from api.faults.schemas import (
    Assignment,
    Closing,
    FaultAnswer,
    FaultDetailAnswer,
    FaultList,
    Note,
    fault_answer,
    fault_detail_answer,
)
from api.faults.service import areas_of, subject
from api.ingest import repository as ingest
from api.ingest.models import Fault
from api.ingest.schemas import gap_answer
from api.pages import PAGE, PAGE_MOST, Cursor, Limit, below, cursor
from api.problems import answers
from api.rights.rules import Authority, Subject
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/faults",
    tags=["faults"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Number = Annotated[int, Path(ge=1, lt=1 << 31, description="Number of the fault")]
MayRead = Annotated[Authority, may("fault.read")]
MayWork = Annotated[Authority, may("fault.work")]
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=8, max_length=64, description="The same request twice is once"),
]
ROUNDS_MOST: Final = 20


def _answers(session: Session, rows: Sequence[Fault]) -> list[FaultAnswer]:
    known = names(session, {row.owner for row in rows if row.owner is not None})
    return [fault_answer(row, known) for row in rows]


def _answer(session: Session, row: Fault) -> FaultAnswer:
    return _answers(session, [row])[0]


@router.get("", summary="What is wrong, newest first")
def list_faults(
    station: CurrentStation,
    by: MayRead,
    state: Annotated[
        Literal["open", "all"], Query(description="open: there, or in somebody's hands; all: those that are over too")
    ] = "open",
    limit: Limit = PAGE,
    after: Cursor = None,
) -> FaultList:
    """A greater fault stands for its parts: a village's power cut is one line."""
    start = below(after)
    found: list[Fault] = []
    with station.database.read() as session:
        for _ in range(ROUNDS_MOST):
            rows = repository.page(session, everything=state == "all", below=start, limit=PAGE_MOST)
            found += [row for row in rows if by.reach.covers(subject(row, station.register))]
            if len(found) > limit or len(rows) < PAGE_MOST:
                break
            start = rows[-1].number
        gaps = [] if after is not None else [
            gap_answer(row)
            for row in ingest.gaps(session, limit=PAGE_MOST)
            if by.reach.covers(Subject(areas=areas_of(station.register, row.gateway, "")))
        ]  # fmt: skip
        return FaultList(
            faults=_answers(session, found[:limit]),
            gaps=gaps,
            next=cursor(found[limit - 1].number or 0) if len(found) > limit else None,
        )


@router.get("/{number}", summary="One fault", responses=answers(HTTPStatus.NOT_FOUND))
def get_fault(station: CurrentStation, by: MayRead, number: Number, response: Response) -> FaultDetailAnswer:
    """With what was done about it, and its parts."""
    with station.database.read() as session:
        row = station.faults.see(session, by, number)
        response.headers["ETag"] = etag(row.version)
        steps, parts = [*repository.steps(session, number)], [*repository.parts(session, number)]
        people = {
            row.owner,
            *(one.owner for one in parts),
            *(who for one in steps for who in (one.account, one.assignee)),
        }
        return fault_detail_answer(row, steps, parts, names(session, {who for who in people if who is not None}))


@router.post(
    "/{number}/acknowledge",
    summary="Take a fault",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def acknowledge_fault(station: CurrentStation, by: MayWork, number: Number) -> FaultAnswer:
    """Exactly one takes it; the other is told who has it. Taking one's own again changes nothing."""
    with station.database.write() as session:
        return _answer(session, station.faults.acknowledge(session, by, number))


@router.get("/{number}/people", summary="To whom a fault can be given", responses=answers(HTTPStatus.NOT_FOUND))
def list_workers(
    station: CurrentStation,
    by: MayWork,
    number: Number,
    limit: Limit = PAGE,
    after: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
) -> ServingPage:
    """Whoever may work it off, by account."""
    with station.database.read() as session:
        found = station.faults.workers(session, by, number, after=after, limit=limit + 1)
    return serving_page(found, limit)


@router.post(
    "/{number}/assign",
    summary="Give a fault to somebody",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def assign_fault(
    station: CurrentStation,
    by: MayWork,
    number: Number,
    assignment: Assignment,
    if_match: IfMatch,
) -> FaultAnswer:
    """It is his from now on; whose it was stays in its history."""
    with station.database.write() as session:
        row = station.faults.assign(session, by, number, account=assignment.account, if_match=if_match)
        return _answer(session, row)


@router.post("/{number}/notes", summary="Write something beside a fault", responses=answers(HTTPStatus.NOT_FOUND))
def note_fault(station: CurrentStation, by: MayWork, number: Number, note: Note, key: Key = None) -> FaultAnswer:
    """Kept in its history, with the time and whose words they are."""
    with station.database.write() as session:
        return _answer(session, station.faults.note(session, by, number, words=note.words, asked=key))


@router.post(
    "/{number}/done",
    summary="Nothing more is to be done about a fault",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def close_fault(
    station: CurrentStation,
    by: MayWork,
    number: Number,
    closing: Closing,
    if_match: IfMatch,
) -> FaultAnswer:
    """What is still there needs a reason. When it comes back it is open again, by itself."""
    with station.database.write() as session:
        return _answer(session, station.faults.done(session, by, number, reason=closing.reason, if_match=if_match))
