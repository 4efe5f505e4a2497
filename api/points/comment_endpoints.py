"""Comments (点评) over HTTP: kept, edited, published."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from api.access import Authority, may
from api.etags import IfMatch, etag
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.points.comment_schemas import (
    KeptCommentAnswer,
    KeptCommentPage,
    NewComment,
    Sentences,
    kept_comment_answer,
)
from api.points.publishing import Read, Said
from api.problems import answers
from api.station import CurrentStation
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/points",
    tags=["points"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Comment = Annotated[str, Path(pattern=EVENT_ID)]
EDIT: Final = "points.comment.edit"
READ: Final = "points.comment.read"


def _answer(found: Read, response: Response) -> KeptCommentAnswer:
    response.headers["ETag"] = etag(found.row.version)
    return kept_comment_answer(found)


@router.post(
    "/comments/{area}",
    summary="Begin a comment (点评) from its draft",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.CONFLICT),
)
def keep_comment(
    station: CurrentStation,
    by: Annotated[Authority, may(EDIT)],
    area: Annotated[str, Path(pattern=SEGMENT, description="An area; the station's id is the whole station")],
    new: NewComment,
    response: Response,
) -> KeptCommentAnswer:
    """A part about the whole, and one about each company. A time has one comment; asked again, the answer names it."""
    with station.database.write() as session:
        found = station.publishing.keep(
            session, by, area, period=new.of(), day=new.day, corrects=new.corrects
        )  # fmt: skip
        return _answer(found, response)


@router.get("/kept-comments", summary="Comments, newest first")
def list_comments(
    station: CurrentStation, by: Annotated[Authority, may(READ)], limit: Limit = PAGE, after: Cursor = None
) -> KeptCommentPage:
    """The station's own; a company those with a part about it, and of these that part; the level above weekly ones.

    Others than the station see what is published.
    """
    with station.database.read() as session:
        found = station.publishing.listed(session, by, below=below(after), limit=limit + 1)
        items = tuple(kept_comment_answer(one) for one in found[:limit])
    return KeptCommentPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/kept-comments/{comment}", summary="One comment")
def get_comment(
    station: CurrentStation, by: Annotated[Authority, may(READ)], comment: Comment, response: Response
) -> KeptCommentAnswer:
    """`outdated` names cited facts that were judged anew since: then it should be edited, or corrected."""
    with station.database.read() as session:
        return _answer(station.publishing.one(session, by, comment), response)


@router.put(
    "/kept-comments/{comment}",
    summary="Edit a comment",
    responses=answers(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def edit_comment(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may(EDIT)],
    comment: Comment,
    new: Sentences,
    if_match: IfMatch,
    response: Response,
) -> KeptCommentAnswer:
    """All its sentences. Each cites facts of its area and time, and in a company's part of that company alone."""
    said = [
        Said(company=one.company, zh=one.zh, en=one.en, cites=tuple(dict.fromkeys(one.cites))) for one in new.sentences
    ]
    with station.database.write() as session:
        return _answer(station.publishing.edit(session, by, comment, said, if_match=if_match), response)


@router.post(
    "/kept-comments/{comment}/publication",
    summary="Publish a comment",
    responses=answers(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def publish_comment(
    station: CurrentStation,
    by: Annotated[Authority, may(EDIT)],
    comment: Comment,
    if_match: IfMatch,
    response: Response,
) -> KeptCommentAnswer:
    """It never changes after that. Refused while it cites what was judged anew since it was written."""
    with station.database.write() as session:
        return _answer(station.publishing.publish(session, by, comment, if_match=if_match), response)
