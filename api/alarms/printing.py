"""The sheet that a patrol takes along (派警单): one A4, with what its reader may read and no more."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Response
from sqlmodel import Session

from api import paper
from api.access import Authority, may
from api.alarms.belongings import contacts
from api.alarms.doing import AlarmId, people_of
from api.alarms.schemas import state_words
from api.alarms.sight import Seen
from api.audit import service as audit
from api.problems import answers
from api.station import CurrentStation, Station
from broker.kinds import MARK_WORDS
from broker.policy import Audience

router: Final = APIRouter(
    prefix="/api/v1/alarms/{alarm}",
    tags=["alarms"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.get(
    "/sheet",
    summary="The sheet to take along (派警单)",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def print_sheet(station: CurrentStation, by: Annotated[Authority, may("alarm.print")], alarm: AlarmId) -> Response:
    """One A4, as far as the household consented; for duress 请勿回拨 and no telephones. Every print is audited."""
    with station.database.write() as session:
        seen = station.alarms.see(session, by, alarm)
        about, who = f"alarm:{seen.alarm.id}", by.principal.account
        audit.record(session, at_ms=station.clock(), by=who, action=by.action, about=about)
        return Response(sheet(station, session, seen, printed_by=by.principal.name), media_type=paper.MEDIA_TYPE)


def sheet(station: Station, session: Session, seen: Seen, *, printed_by: str) -> str:
    """The sheet as this reader may have it."""
    shown, zone = seen.shown, station.settings.zone
    place = station.register.place(shown.place)
    police = shown.eyes is Audience.POLICE
    people = people_of(station, session)

    def name(account: str | None) -> str:
        person = None if account is None else people(account)
        return (account or "") if person is None else person.name

    def at(unix_ms: int | None) -> str:
        return paper.civil(unix_ms, zone)

    return paper.page(
        "api.alarms",
        "sheet.html",
        shown=shown,
        mark=None if shown.mark is None else MARK_WORDS[shown.mark],
        state=state_words(shown.state, himself=shown.himself),
        address=shown.address or ("" if place is None else place.address),
        contacts=contacts(session, station.register, seen) if police else [],
        notes=station.alarms.notes(session, seen.alarm) if police or shown.dispatched else [],
        name=name,
        at=at,
        printed=at(station.clock()),
        printed_by=printed_by,
        station=_called(station),
    )


def _called(station: Station) -> str:
    area = station.register.area(station.settings.station)
    return (area.name if area is not None else "") or station.settings.station
