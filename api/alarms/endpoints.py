"""Alarms over HTTP: looking at them. What is done about them stands in `actions`, how they begin in `raised`."""

import re
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import StringConstraints

from api.access import Authority, may
from api.alarms import actions, incidents, printing, raised, reading
from api.alarms.belongings import belongings
from api.alarms.doing import AlarmId, people_of
from api.alarms.rules import State
from api.alarms.schemas import (
    AlarmDetailAnswer,
    AlarmPage,
    IncidentAnswer,
    alarm_answer,
    alarm_detail_answer,
    kind_words,
    person,
)
from api.etags import etag
from api.pages import PAGE, PAGE_MOST, Limit
from api.problems import BadCursor, answers
from api.station import CurrentStation
from broker.ids import EVENT_ID, SEGMENT

_reading: Final = APIRouter(
    prefix="/api/v1/alarms",
    tags=["alarms"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Id = Annotated[str, StringConstraints(pattern=EVENT_ID)]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the page before")]


@_reading.get("", summary="Alarms, newest first")
def list_alarms(
    station: CurrentStation,
    by: Annotated[Authority, may("alarm.read")],
    *,
    state: State | None = None,
    open: Annotated[bool, Query(description="Only what is not resolved")] = False,  # noqa: A002 - a parameter of HTTP
    place: Annotated[str | None, Query(pattern=SEGMENT, description="Only of this place, where it may be read")] = None,
    id: Annotated[  # noqa: A002 - a parameter of HTTP
        list[Id] | None, Query(max_length=PAGE_MOST, description="Only these, as far as they may be read")
    ] = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> AlarmPage:
    """Every alarm that this account may see and that is in `state`, or in any, each as its eyes may read it."""
    last = None if after is None else _last(after)
    states = reading.states_of(state, only_open=open)
    with station.database.read() as session:
        people = people_of(station, session)
        page = reading.page(session, by, station.register, after=last, states=states, limit=limit, place=place, ids=id)
        items = [alarm_answer(seen.shown, people) for seen in page.seen]
    return AlarmPage(items=items, next=f"a{items[-1].id}" if page.more else None)


@_reading.get("/{alarm}", summary="One alarm", responses=answers(HTTPStatus.NOT_FOUND))
def get_alarm(
    station: CurrentStation, by: Annotated[Authority, may("alarm.read")], alarm: AlarmId, response: Response
) -> AlarmDetailAnswer:
    """The alarm with all that belongs to it and may be read. The ETag is for `If-Match` of an action."""
    with station.database.read() as session:
        people = people_of(station, session)
        seen = station.alarms.see(session, by, alarm)
        found = belongings(session, station.alarms, by, seen)
        named = [person(account, people) for account in found.accounts()]
        answer = alarm_detail_answer(seen, found, people, named)
    if answer.version is not None:
        response.headers["ETag"] = etag(answer.version)
    return answer


@_reading.get(
    "/{alarm}/incident", summary="The incident that an alarm is part of", responses=answers(HTTPStatus.NOT_FOUND)
)
def get_incident(
    station: CurrentStation, by: Annotated[Authority, may("alarm.read")], alarm: AlarmId
) -> IncidentAnswer:
    """The alarms of the same incident that may be seen, and its kind: the gravest of theirs."""
    with station.database.read() as session:
        people = people_of(station, session)
        seen = incidents.members(session, station.alarms, by, station.alarms.see(session, by, alarm))
        kind = incidents.kind_of(seen)
        return IncidentAnswer(
            kind=kind,
            words=None if kind is None else kind_words(kind),
            alarms=[alarm_answer(one.shown, people) for one in seen],
        )


def _last(cursor: str) -> str:
    """The id in a cursor. Raises BadCursor."""
    if not cursor.startswith("a") or re.fullmatch(EVENT_ID, cursor[1:]) is None:
        raise BadCursor
    return cursor[1:]


router: Final = APIRouter()
for _part in (_reading, raised.router, actions.router, printing.router):
    router.include_router(_part)
