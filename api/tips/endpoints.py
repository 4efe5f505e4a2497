"""Warnings and tips over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter

from api.access import Authority, may
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.station import CurrentStation
from api.tips.schemas import NewTip, TipAnswer, TipPage

router: Final = APIRouter(
    prefix="/api/v1/tips",
    tags=["tips"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


def _page(items: list[TipAnswer], limit: int) -> TipPage:
    more = len(items) > limit
    return TipPage(items=tuple(items[:limit]), next=cursor(items[limit - 1].number) if more else None)


@router.get("", summary="What is shown now where you live or work")
def list_tips(
    station: CurrentStation, by: Annotated[Authority, may("tip.read")], limit: Limit = PAGE, after: Cursor = None
) -> TipPage:
    """Newest first."""
    with station.database.read() as session:
        return _page(station.tips.shown(session, by, below=below(after), limit=limit + 1), limit)


@router.get("/published", summary="What was published in your area, with read counts")
def list_published_tips(
    station: CurrentStation, by: Annotated[Authority, may("tip.publish")], limit: Limit = PAGE, after: Cursor = None
) -> TipPage:
    """Newest first, expired and withdrawn ones too."""
    with station.database.read() as session:
        return _page(station.tips.published(session, by, below=below(after), limit=limit + 1), limit)


@router.post("", summary="Publish a warning or a tip", status_code=HTTPStatus.CREATED)
def publish_tip(station: CurrentStation, by: Annotated[Authority, may("tip.publish")], new: NewTip) -> TipAnswer:
    """To areas that lie in yours. It disappears by itself when it expires, after 90 days at the latest."""
    with station.database.write() as session:
        return station.tips.publish(session, by, new)


@router.post("/{number}/withdraw", summary="Take it back", responses=answers(HTTPStatus.NOT_FOUND))
def withdraw_tip(station: CurrentStation, by: Annotated[Authority, may("tip.publish")], number: Number) -> TipAnswer:
    """It is shown to nobody from now on."""
    with station.database.write() as session:
        return station.tips.withdraw(session, by, number)


@router.post(
    "/{number}/read",
    summary="Say that your household has read it",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def read_tip(station: CurrentStation, by: Annotated[Authority, may("tip.acknowledge")], number: Number) -> None:
    """Counted once a household, however often and by whomever."""
    with station.database.write() as session:
        station.tips.read(session, by, number)
