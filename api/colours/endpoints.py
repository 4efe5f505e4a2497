"""Colours of areas and good-person cards over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from api.access import Authority, may
from api.accounts.naming import names
from api.colours.schemas import (
    AreaColourAnswer,
    AreaColourList,
    CardLevelAnswer,
    CardLevelList,
    DecisionPage,
    HeldCardPage,
    NewCardLevel,
    NewColour,
    card_level_answer,
    decision_answer,
    held_card_answer,
    painted_answer,
)
from api.etags import IfMatch, etag
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import answers
from api.station import CurrentStation
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["colours"],
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


@router.get("/colours", summary="Colours of areas (区域四色), and what alarms suggest")
def list_colours(station: CurrentStation, by: Annotated[Authority, may("colour.read")]) -> AreaColourList:
    """Every area of yours. Alarms of the last 30 days suggest, and a person decides."""
    with station.database.read() as session:
        return AreaColourList(items=tuple(painted_answer(one) for one in station.colours.painted(session, by)))


@router.get("/areas/{area}/colour", summary="The colour of an area")
def get_colour(
    station: CurrentStation, by: Annotated[Authority, may("colour.read")], area: Segment, response: Response
) -> AreaColourAnswer:
    """With how often a patrol goes there, how often an officer looks on site, and until when that holds."""
    with station.database.read() as session:
        (one,) = station.colours.painted(session, by, area=area)
    response.headers["ETag"] = etag(one.version)
    return painted_answer(one)


@router.put(
    "/areas/{area}/colour", summary="Decide the colour of an area", responses=answers(HTTPStatus.PRECONDITION_FAILED)
)
def put_colour(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("colour.decide")],
    area: Segment,
    new: NewColour,
    if_match: IfMatch,
    response: Response,
) -> AreaColourAnswer:
    """Signed by whoever is signed in, with a reason, until a moment: in a week unless said otherwise."""
    with station.database.write() as session:
        one = station.colours.decide(
            session,
            by,
            area,
            colour=new.colour,
            afterwards=new.afterwards,
            every_min=new.every_min,
            checks_month=new.checks_month,
            expires_ms=None if new.expires is None else round(new.expires.timestamp() * 1_000),
            reason=new.reason,
            if_match=if_match,
        )
    response.headers["ETag"] = etag(one.version)
    return painted_answer(one)


@router.get("/areas/{area}/colours", summary="Every decision about an area's colour")
def list_decisions(
    station: CurrentStation,
    by: Annotated[Authority, may("colour.read")],
    area: Segment,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> DecisionPage:
    """Newest first."""
    with station.database.read() as session:
        rows = station.colours.history(session, by, area, below=below(after), limit=limit + 1)
        called = names(session, {row.set_by for row in rows})
        items = tuple(decision_answer(row, called) for row in rows[:limit])
    return DecisionPage(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.get("/good-cards", summary="The good-person card (好人卡) that each guard has now")
def list_held_cards(
    station: CurrentStation, by: Annotated[Authority, may("good_card.read")], limit: Limit = PAGE, after: Cursor = None
) -> HeldCardPage:
    """Of your own company, of guards in your area, or yours: the newest decision first."""
    with station.database.read() as session:
        found = station.colours.held_cards(session, by, below=below(after), limit=limit + 1)
        items = tuple(held_card_answer(card, guard) for card, guard in found[:limit])
    last = found[limit - 1][0].number if len(found) > limit else None
    return HeldCardPage(items=items, next=None if last is None else cursor(last))


@router.get("/guards/{guard}/good-cards", summary="A guard's good-person card (好人卡)")
def list_cards(station: CurrentStation, by: Annotated[Authority, may("good_card.read")], guard: Guard) -> CardLevelList:
    """Every level that he had, newest first: his own company's, the police's and his own to read."""
    with station.database.read() as session:
        return CardLevelList(items=tuple(map(card_level_answer, station.colours.cards(session, by, guard))))


@router.post("/guards/{guard}/good-cards", summary="Decide the level of a guard's card", status_code=HTTPStatus.CREATED)
def give_card(
    station: CurrentStation, by: Annotated[Authority, may("good_card.give")], guard: Guard, new: NewCardLevel
) -> CardLevelAnswer:
    """For a quarter, with a reason; the one before ends."""
    with station.database.write() as session:
        row = station.colours.give_card(session, by, guard, level=new.level, quarter=new.quarter, reason=new.reason)
        return card_level_answer(row)
