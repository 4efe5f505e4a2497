"""Alarms over HTTP: looking at them, and taking one."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from api.access import Authority, may
from api.alarms import handling, reading
from api.alarms.belongings import belongings
from api.alarms.doing import IfMatch, Key, act, actor, people_of
from api.alarms.models import AlarmRecord
from api.alarms.rules import State
from api.alarms.schemas import AlarmAnswer, AlarmDetailAnswer, AlarmPage, alarm_answer, alarm_detail_answer
from api.alarms.sight import Seen
from api.etags import etag
from api.pages import PAGE, Limit
from api.problems import BadCursor, answers
from api.station import CurrentStation
from broker.ids import EVENT_ID

router: Final = APIRouter(
    prefix="/api/v1/alarms",
    tags=["alarms"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

AlarmId = Annotated[str, Path(pattern=EVENT_ID, description="Id of the alarm, or of any press that is part of it")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]


@router.get("", summary="Alarms, newest first")
def list_alarms(
    station: CurrentStation,
    by: Annotated[Authority, may("alarm.read")],
    *,
    state: State | None = None,
    open: Annotated[bool, Query(description="Only what is not resolved")] = False,  # noqa: A002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> AlarmPage:
    """Every alarm that this account may see and that is in `state`, or in any, each as its eyes may read it."""
    last = None if after is None else _last(after)
    states = reading.states_of(state, only_open=open)
    people = people_of(station)
    with station.database.read() as session:
        page = reading.page(session, by, station.register, after=last, states=states, limit=limit)
        items = [alarm_answer(seen.shown, people) for seen in page.seen]
    return AlarmPage(items=items, next=f"a{items[-1].id}" if page.more else None)


@router.get("/{alarm}", summary="One alarm", responses=answers(HTTPStatus.NOT_FOUND))
def get_alarm(
    station: CurrentStation, by: Annotated[Authority, may("alarm.read")], alarm: AlarmId, response: Response
) -> AlarmDetailAnswer:
    """The alarm with all that belongs to it and may be read. The ETag is for `If-Match` of an action."""
    people = people_of(station)
    with station.database.read() as session:
        seen = station.alarms.see(session, by, alarm)
        answer = alarm_detail_answer(seen, belongings(session, station.alarms, by, seen), people)
    if answer.version is not None:
        response.headers["ETag"] = etag(answer.version)
    return answer


@router.post(
    "/{alarm}/acknowledge",
    summary="Take an alarm (签收)",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
)
def acknowledge_alarm(
    station: CurrentStation,
    by: Annotated[Authority, may("alarm.acknowledge")],
    alarm: AlarmId,
    match: IfMatch = None,
    key: Key = None,
) -> AlarmAnswer:
    """Exactly one gets it; whoever comes second is answered 409 with who was first, and when."""
    people = people_of(station)

    def do(session: Session, seen: Seen) -> AlarmRecord:
        return handling.acknowledge(session, station.alarms, seen.alarm, actor(by, seen), people=people)

    return act(station, by, alarm, do, match=match, key=key)


def _last(cursor: str) -> str:
    """The id in a cursor. Raises BadCursor."""
    if not cursor.startswith("a"):
        raise BadCursor
    return cursor[1:]
