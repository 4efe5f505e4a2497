"""Alarms raised over HTTP, their files, and the errands that they leave."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Path, Query
from sqlmodel import Session
from starlette.responses import FileResponse

from api.access import Authority, may
from api.alarms import attaching, raising, repository
from api.alarms.doing import AlarmId, Key, On, actor, once, people_of
from api.alarms.models import AlarmErrand
from api.alarms.requests import Called, Done, LineTested, Raised
from api.alarms.schemas import ERRAND_WORDS, AlarmAnswer, ErrandAnswer, ErrandsAnswer, LineAnswer, alarm_answer, at
from api.alarms.sight import look, ties, within
from api.audit import service as audit
from api.bodies import file_of, whole
from api.clock import iso
from api.problems import NoSuchAlarm, NotThere, answers
from api.shapes import words_answer
from api.station import CurrentStation, Station
from broker.ids import EVENT_ID

PROBLEMS: Final = answers(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
router: Final = APIRouter(prefix="/api/v1", tags=["alarms"], responses=PROBLEMS)

MustKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="Drawn once for each press: however often it is sent, it is one alarm",
    ),
]


@router.post("/alarms", summary="Raise an alarm on a phone page", status_code=HTTPStatus.CREATED)
def raise_alarm(
    station: CurrentStation, by: Annotated[Authority, may("alarm.raise")], what: Raised, key: MustKey
) -> AlarmAnswer:
    """It rings the group through its gateway. `ring` says what became of that: an offline gateway rings nobody.

    With a position, away from home, neighbours are shown it and not rung.
    """

    def work(session: Session) -> AlarmAnswer:
        return _shown(station, session, by, raising.by_phone(session, station.alarms, by, actor(by), what).id)

    return once(station, by, work, what="raise", request=what, key=key)


@router.post("/line-tests", summary="Try the line from a phone page")
def test_line(
    station: CurrentStation, by: Annotated[Authority, may("alarm.raise")], what: LineTested, key: MustKey
) -> LineAnswer:
    """Says when the station heard it; nothing rings. Held, it is the silent key of a household that agreed to one.

    Every phone has it and every answer is the same: whoever looks over a shoulder, or asks himself, learns nothing.
    """
    account, now = by.principal.account, station.clock()
    digest = sha256(f"line {what.held} {what.place}".encode()).hexdigest()
    with station.database.write() as session:
        if repository.request(session, account, key) is None:
            raised = raising.in_silence(session, station.alarms, by, actor(by), what)
            if raised is not None:
                repository.keep_request(session, account, key, digest=digest, alarm=raised.id, at_ms=now)
    station.sender.wake()
    return LineAnswer(heard=iso(now))


@router.post("/calls", summary="Enter an alarm for a caller", status_code=HTTPStatus.CREATED)
def enter_call(
    station: CurrentStation, by: Annotated[Authority, may("alarm.enter")], what: Called, key: Key = None
) -> AlarmAnswer:
    """The desk types in what a caller says. With a place its group is rung, unless it is duress."""

    def work(session: Session) -> AlarmAnswer:
        who = actor(by, None, what.behalf)
        return _shown(station, session, by, raising.by_desk(session, station.alarms, by, who, what).id)

    return once(station, by, work, what="call", request=what, key=key)


@router.post(
    "/alarms/{alarm}/attachments",
    summary="Attach a file",
    responses=answers(
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
    openapi_extra=file_of(attaching.MOST),
)
def attach(
    on: On,
    by: Annotated[Authority, may("alarm.report")],
    content: Annotated[bytes, Depends(whole)],
    name: Annotated[str, Query(max_length=200, description="What it was called; shown as text only")] = "",
) -> AlarmAnswer:
    """The body is the file. What it is, is judged by its content: JPEG, PNG, WebP, MP3, OGG, WAV, PDF."""
    folder = on.station.settings.attachments_folder
    return on.do(
        by,
        lambda s, seen, who: attaching.attach(s, on.alarms, seen.alarm, who, folder=folder, content=content, name=name),
        name="attach",
    )


@router.get(
    "/alarms/{alarm}/attachments/{attachment}",
    summary="A file of an alarm",
    response_class=FileResponse,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def get_attachment(
    station: CurrentStation,
    by: Annotated[Authority, may("alarm.handle")],
    alarm: AlarmId,
    attachment: Annotated[str, Path(pattern=EVENT_ID)],
) -> FileResponse:
    """To be saved, never shown in the page that asked: under its digest, as the type that its content has."""
    with station.database.read() as session:
        seen = station.alarms.see(session, by, alarm)
        found = [one for one in repository.attachments(session, seen.alarm.id) if one.id == attachment]
        if not found:
            raise NotThere("no such file here")
        path = attaching.path_of(station.settings.attachments_folder, found[0].sha256)
        kind = found[0].type
    if not path.is_file():
        raise NotThere("the file is not in its folder any more")
    name = f"{path.name[:16]}.{kind.rpartition('/')[2]}"
    return FileResponse(path, media_type=kind, filename=name)


@router.get("/errands", summary="What alarms left to do: visits, addresses")
def list_errands(
    station: CurrentStation,
    by: Annotated[Authority, may("errand.read")],
    done: bool = False,  # noqa: FBT001, FBT002 - a parameter of HTTP
) -> ErrandsAnswer:
    """Those of alarms that may be seen, newest first, at most 200."""
    with station.database.read() as session:
        where = within(by, station.register)
        rows = repository.errands(session, where=where, is_open=not done, limit=200)
        return ErrandsAnswer(items=[_errand(one) for one in rows if _sees(session, station, by, one)])


@router.post(
    "/errands/{errand}/done",
    summary="Say what came of an errand",
    responses=answers(HTTPStatus.NOT_FOUND),
)
def finish_errand(
    station: CurrentStation,
    by: Annotated[Authority, may("errand.do")],
    errand: Annotated[str, Path(pattern=EVENT_ID)],
    what: Done,
) -> ErrandAnswer:
    """The first answer stays."""
    with station.database.write() as session:
        found = repository.errand(session, errand)
        if found is None or not _sees(session, station, by, found):
            raise NotThere("no such errand here")
        if found.done_ms is None:
            now = station.clock()
            found.done_ms, found.done_by, found.found = now, by.principal.account, what.found
            session.add(found)
            session.flush()
            audit.record(session, at_ms=now, by=by.principal.account, action="errand.done",
                         about=f"alarm:{found.alarm}", detail={"errand": found.id, "found": what.found})  # fmt: skip
        return _errand(found)


def _shown(station: Station, session: Session, by: Authority, alarm: str) -> AlarmAnswer:
    """An alarm that was just raised, as whoever raised it sees it."""
    found = repository.find(session, alarm)
    seen = None if found is None else look(by, found, station.register, ties(session, [alarm]))
    if seen is None:
        raise NoSuchAlarm(alarm)
    return alarm_answer(seen.shown, people_of(station, session))


def _sees(session: Session, station: Station, by: Authority, errand: AlarmErrand) -> bool:
    alarm = repository.find(session, errand.alarm)
    return alarm is not None and look(by, alarm, station.register, ties(session, [alarm.id])) is not None


def _errand(errand: AlarmErrand) -> ErrandAnswer:
    return ErrandAnswer.model_validate(
        {
            "id": errand.id,
            "alarm": errand.alarm,
            "what": errand.what,
            "words": words_answer(ERRAND_WORDS[errand.what]),
            "place": errand.place,
            "about": errand.words,
            "opened": iso(errand.opened_ms),
            "done": at(errand.done_ms),
            "done_by": errand.done_by,
            "found": errand.found,
        }
    )
