"""Alarms over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.access import Authority, may
from api.alarms import repository
from api.alarms.rules import State
from api.alarms.schemas import AlarmAnswer, AlarmDetailAnswer, AlarmPage, alarm_answer, alarm_detail_answer
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import NoSuchAlarm, answers
from api.station import CurrentStation
from broker.ids import EVENT_ID

router: Final = APIRouter(
    prefix="/api/v1/alarms",
    tags=["alarms"],
    responses=answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)

AlarmId = Annotated[str, Path(pattern=EVENT_ID, description="Id of the alarm, or of any press that is part of it")]


@router.get("", summary="Alarms, newest first")
def list_alarms(
    station: CurrentStation,
    _by: Annotated[Authority, may("alarm.read")],
    state: State | None = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> AlarmPage:
    """Every alarm of this station that is in `state`, or in any."""
    with station.database.read() as session:
        found = repository.page(session, below=below(after), state=state, limit=limit + 1)
        items = [alarm_answer(alarm, station.register) for alarm in found[:limit]]
    return AlarmPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/{alarm}", summary="One alarm", responses=answers(HTTPStatus.NOT_FOUND))
def get_alarm(
    station: CurrentStation, _by: Annotated[Authority, may("alarm.read")], alarm: AlarmId
) -> AlarmDetailAnswer:
    """The alarm with its events and with what was done about it."""
    with station.database.read() as session:
        found = repository.find(session, alarm)
        if found is None:
            raise NoSuchAlarm(alarm)
        return alarm_detail_answer(
            found, repository.parts(session, found.id), repository.steps(session, found.id), station.register
        )


@router.post(
    "/{alarm}/acknowledge",
    summary="Take an alarm (签收)",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
)
def acknowledge_alarm(
    station: CurrentStation, by: Annotated[Authority, may("alarm.acknowledge")], alarm: AlarmId
) -> AlarmAnswer:
    """Exactly one officer gets it; whoever comes second is answered 409 with who was first, and when."""
    with station.database.write() as session:
        taken = alarm_answer(station.alarms.acknowledge(session, alarm, by.principal), station.register)
    station.sender.wake()
    return taken
