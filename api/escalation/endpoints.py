"""Ladders and deadlines over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from api.access import Authority, may
from api.alarms import repository as alarms
from api.alarms import views
from api.escalation import repository
from api.escalation.rules import Stage, defaults
from api.escalation.schemas import (
    DeadlinesAnswer,
    LadderAnswer,
    LaddersAnswer,
    NewLadder,
    deadline_answer,
    default_answer,
    ladder_answer,
)
from api.etags import IfMatch, etag
from api.problems import NoSuchAlarm, NotThere, answers
from api.station import CurrentStation
from broker.ids import EVENT_ID

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["escalation"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)

KindName = Annotated[str, Path(pattern=r"^[a-z_]{1,32}$", description="A kind of alarm, or `any`")]
AreaName = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$", description="An area, or `any`")]
AlarmId = Annotated[str, Path(pattern=EVENT_ID, description="Id of the alarm, or of any press that is part of it")]


@router.get(
    "/alarms/{alarm}/deadlines", summary="How far an alarm has climbed", responses=answers(HTTPStatus.NOT_FOUND)
)
def list_deadlines(
    station: CurrentStation, by: Annotated[Authority, may("escalation.read")], alarm: AlarmId
) -> DeadlinesAnswer:
    """Every level of every stage: due when, told whom and how many, skipped, late or settled."""
    with station.database.read() as session:
        found = alarms.find(session, alarm)
        held = () if found is None else by.reach.covers(station.register.subject(found.place, found.group))
        known = found is not None and any(
            views.may_know(found.kind, found.mark, found.group_known, one.eyes) for one in held
        )
        if found is None or not known:
            raise NoSuchAlarm(alarm)
        rows = repository.of_alarm(session, found.id)
        return DeadlinesAnswer(items=tuple(deadline_answer(row) for row in rows))


@router.get("/ladders", summary="Every ladder")
def list_ladders(station: CurrentStation, by: Annotated[Authority, may("ladder.read")]) -> LaddersAnswer:
    """The defaults of this release, then those that somebody set where the account reaches."""
    with station.database.read() as session:
        rows = station.ladders.all(session, by)
        given = [default_answer(kind.value, stage, ladder) for (kind, stage), ladder in sorted(defaults().items())]
        return LaddersAnswer(items=(*given, *(ladder_answer(row) for row in rows)))


@router.get(
    "/ladders/{stage}/{kind}/{area}",
    summary="The ladder that was set for exactly this",
    responses=answers(HTTPStatus.NOT_FOUND),
)
def get_ladder(
    station: CurrentStation,
    by: Annotated[Authority, may("ladder.read")],
    *,
    stage: Stage,
    kind: KindName,
    area: AreaName,
    response: Response,
) -> LadderAnswer:
    """With the ETag that a change must name. Before anybody set one, that is `"0"`; the problem has it as `version`."""
    with station.database.read() as session:
        row, version = station.ladders.holding(session, by, stage, kind=kind, area=area)
        if row is None:
            raise NotThere(f"nobody set a ladder for this; its ETag is {etag(version)}", version=version)
        found = ladder_answer(row)
    response.headers["ETag"] = etag(version)
    return found


@router.put(
    "/ladders/{stage}/{kind}/{area}",
    summary="Set a ladder",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def set_ladder(
    station: CurrentStation,
    by: Annotated[Authority, may("ladder.edit")],
    *,
    stage: Stage,
    kind: KindName,
    area: AreaName,
    new: NewLadder,
    if_match: IfMatch,
    response: Response,
) -> LadderAnswer:
    """It holds for alarms from now on. The old one is kept with its end."""
    with station.database.write() as session:
        row = station.ladders.set(session, by, stage, new.ladder(), kind=kind, area=area, if_match=if_match)
        made = ladder_answer(row)
    response.headers["ETag"] = etag(made.version)
    return made


@router.delete(
    "/ladders/{stage}/{kind}/{area}",
    summary="Take a ladder back",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def take_ladder_back(
    station: CurrentStation,
    by: Annotated[Authority, may("ladder.edit")],
    *,
    stage: Stage,
    kind: KindName,
    area: AreaName,
    if_match: IfMatch,
) -> None:
    """What would hold without it holds again."""
    with station.database.write() as session:
        station.ladders.take_back(session, by, stage, kind=kind, area=area, if_match=if_match)
