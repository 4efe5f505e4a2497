"""Inspections, training, joint meetings and the four ones over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlmodel import Session

from api.access import Authority, may
from api.albums import MOST as PHOTO_MOST
from api.bodies import file_of, whole
from api.clock import iso
from api.inspections.schemas import (
    DueAnswer,
    Found,
    FourOnesAnswer,
    InspectionAnswer,
    InspectionPage,
    Mark,
    MeetingAnswer,
    MeetingPage,
    NewInspection,
    NewMeeting,
    NewTraining,
    PhotoAnswer,
    SigningIn,
    TrainingAnswer,
    TrainingPage,
    four_ones_answer,
    inspection_answer,
    meeting_answer,
    photo_answer,
    to_check_answer,
    training_answer,
)
from api.inspections.service import Inspected, Taught
from api.pages import NUMBER_MOST, PAGE, Cursor, Limit, Number, below, cursor
from api.photos import ANSWERS, give
from api.problems import answers
from api.shapes import Moment
from api.station import CurrentStation, Station
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["inspections"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


def _inspected(station: Station, session: Session, by: Authority, found: Inspected) -> InspectionAnswer:
    return inspection_answer(found, station.guards.sees(session, by, [found.inspection.guard]))


def _taught(station: Station, session: Session, by: Authority, found: Taught) -> TrainingAnswer:
    return training_answer(found, station.guards.sees(session, by, [one.guard for one in found.guests]))


@router.post("/inspections", summary="Inspect a guard on site (实地检查)", status_code=HTTPStatus.CREATED)
def inspect(
    station: CurrentStation, by: Annotated[Authority, may("inspection.make")], new: NewInspection
) -> InspectionAnswer:
    """Nothing found is passed. Asleep or drunk is never one officer's word alone."""
    with station.database.write() as session:
        found = station.inspections.inspect(
            session,
            by,
            area=new.area,
            guard=new.guard,
            point=new.point,
            items=new.items,
            witness=new.witness,
            words=new.words,
        )
        return _inspected(station, session, by, found)


@router.get("/inspections", summary="Inspections")
def list_inspections(
    station: CurrentStation,
    by: Annotated[Authority, may("inspection.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> InspectionPage:
    """Newest first: those of your area, or of somebody of yours."""
    with station.database.read() as session:
        found = station.inspections.inspections(session, by, below=below(after), limit=limit + 1)
        items = tuple(_inspected(station, session, by, one) for one in found[:limit])
    return InspectionPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/inspections/{number}", summary="One inspection")
def get_inspection(
    station: CurrentStation, by: Annotated[Authority, may("inspection.read")], number: Number
) -> InspectionAnswer:
    """With what was found and which photos there are."""
    with station.database.read() as session:
        return _inspected(station, session, by, station.inspections.inspection(session, by, number))


@router.post(
    "/inspections/{number}/photos",
    summary="Attach a photo to an inspection",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=file_of(PHOTO_MOST),
)
def attach_inspection_photo(
    station: CurrentStation,
    by: Annotated[Authority, may("inspection.make")],
    number: Number,
    content: Annotated[bytes, Depends(whole)],
) -> PhotoAnswer:
    """By whoever inspected, within a day. Where and when it was taken is not kept."""
    with station.database.write() as session:
        return photo_answer(station.inspections.attach(session, by, number, content))


@router.get(
    "/inspections/{number}/photos/{photo}",
    summary="A photo of an inspection",
    response_class=Response,
    responses=ANSWERS,
)
def get_inspection_photo(
    station: CurrentStation,
    by: Annotated[Authority, may("inspection.read")],
    number: Number,
    photo: Annotated[str, Path(pattern=EVENT_ID)],
) -> Response:
    """For whoever may read the inspection; never as anything but the picture that it is."""
    with station.database.read() as session:
        found = station.inspections.photo(session, by, number, photo)
        return give(found.content, kind=found.type, sha256=found.sha256)


@router.post("/trainings", summary="Announce a training (培训)", status_code=HTTPStatus.CREATED)
def announce_training(
    station: CurrentStation, by: Annotated[Authority, may("training.edit")], new: NewTraining
) -> TrainingAnswer:
    """Who is expected and neither comes nor is excused has missed it."""
    with station.database.write() as session:
        found = station.inspections.teach(
            session,
            by,
            area=new.area,
            subject=new.subject,
            point=new.point,
            from_ms=round(new.begins.timestamp() * 1_000),
            to_ms=round(new.ends.timestamp() * 1_000),
            expected=new.expected,
        )
        return _taught(station, session, by, found)


@router.get("/trainings", summary="Trainings")
def list_trainings(
    station: CurrentStation, by: Annotated[Authority, may("training.read")], limit: Limit = PAGE, after: Cursor = None
) -> TrainingPage:
    """Newest first: those of your area, or with somebody of yours."""
    with station.database.read() as session:
        found = station.inspections.trainings(session, by, below=below(after), limit=limit + 1)
        items = tuple(_taught(station, session, by, one) for one in found[:limit])
    return TrainingPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/trainings/{number}", summary="One training")
def get_training(
    station: CurrentStation, by: Annotated[Authority, may("training.read")], number: Number
) -> TrainingAnswer:
    """With everybody who is expected or came."""
    with station.database.read() as session:
        return _taught(station, session, by, station.inspections.training(session, by, number))


@router.post("/trainings/{number}/sign-ins", summary="Somebody came without a tag")
def sign_in(
    station: CurrentStation, by: Annotated[Authority, may("training.edit")], number: Number, who: SigningIn
) -> TrainingAnswer:
    """Marked as signed by hand; a tag at the training's reader signs in by itself."""
    with station.database.write() as session:
        return _taught(station, session, by, station.inspections.sign_in(session, by, number, who.guard))


@router.post("/trainings/{number}/marks", summary="Give a mark")
def mark_guest(
    station: CurrentStation, by: Annotated[Authority, may("training.edit")], number: Number, new: Mark
) -> TrainingAnswer:
    """To somebody who came, until the training is closed."""
    with station.database.write() as session:
        return _taught(station, session, by, station.inspections.mark(session, by, number, new.guard, new.mark))


@router.post("/trainings/{number}/close", summary="Close a training")
def close_training(
    station: CurrentStation, by: Annotated[Authority, may("training.edit")], number: Number
) -> TrainingAnswer:
    """When it is over: the ledger hears who came, and who missed it without an excuse."""
    with station.database.write() as session:
        return _taught(station, session, by, station.inspections.close(session, by, number))


@router.post("/meetings", summary="Keep the minutes of a joint meeting (联席会议)", status_code=HTTPStatus.CREATED)
def keep_minutes(
    station: CurrentStation, by: Annotated[Authority, may("meeting.edit")], new: NewMeeting
) -> MeetingAnswer:
    """With what companies, or the station itself, are to do until when."""
    with station.database.write() as session:
        found = station.inspections.meet(
            session,
            by,
            area=new.area,
            subject=new.subject,
            at_ms=round(new.at.timestamp() * 1_000),
            present=new.companies,
            minutes=new.minutes,
            tasks=[(one.company, one.words, round(one.due.timestamp() * 1_000)) for one in new.tasks],
        )
        return meeting_answer(found, now_ms=station.clock())


@router.get("/meetings", summary="Joint meetings")
def list_meetings(
    station: CurrentStation, by: Annotated[Authority, may("meeting.read")], limit: Limit = PAGE, after: Cursor = None
) -> MeetingPage:
    """Newest first: those of your area, or at which your company was or got a task."""
    with station.database.read() as session:
        found = station.inspections.meetings(session, by, below=below(after), limit=limit + 1)
        items = tuple(meeting_answer(one, now_ms=station.clock()) for one in found[:limit])
    return MeetingPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/meetings/{number}", summary="One joint meeting")
def get_meeting(
    station: CurrentStation, by: Annotated[Authority, may("meeting.read")], number: Number
) -> MeetingAnswer:
    """With its tasks: a company reads its own."""
    with station.database.read() as session:
        return meeting_answer(station.inspections.meeting(session, by, number), now_ms=station.clock())


@router.post("/meetings/{number}/tasks/{task}/done", summary="Say what was done about a task of a meeting")
def do_meeting_task(
    station: CurrentStation,
    by: Annotated[Authority, may("meeting.do")],
    number: Number,
    task: Annotated[int, Path(ge=1, le=NUMBER_MOST)],
    found: Found,
) -> MeetingAnswer:
    """Whose task it is, or whoever looks after the area."""
    with station.database.write() as session:
        return meeting_answer(station.inspections.do(session, by, number, task, found.words), now_ms=station.clock())


@router.get("/areas/{area}/four-ones", summary="The weekly four ones (四个一)")
def get_four_ones(
    station: CurrentStation,
    by: Annotated[Authority, may("four_ones.read")],
    area: Annotated[str, Path(pattern=SEGMENT)],
    at: Annotated[Moment | None, Query(description="A moment of the week; now")] = None,
) -> FourOnesAnswer:
    """Fills itself from inspections, trainings, comments and meetings; nobody ticks anything."""
    moment = station.clock() if at is None else round(at.timestamp() * 1_000)
    with station.database.read() as session:
        span, found = station.inspections.four_ones(session, by, area, moment)
        checks = station.inspections.of_area(session, area, moment)
        return four_ones_answer(area, span, found, checks, station.clock())


@router.get("/areas/{area}/due-inspections", summary="What is to be looked at on site this month (待检查)")
def list_due_inspections(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("inspection.due")],
    area: Annotated[str, Path(pattern=SEGMENT)],
    everybody: Annotated[bool, Query(description="Also of whom nothing is left to do")] = False,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> DueAnswer:
    """How often colours and grades ask for it, and how often it was done: inspections fill it, nobody ticks."""
    passed = below(after) or 0
    with station.database.read() as session:
        found = station.inspections.due(session, by, area, everybody=everybody)
        page = found.guards[passed : passed + limit]
        seen, now = station.guards.sees(session, by, [one.id for one in page]), station.clock()
        return DueAnswer(
            area=area,
            begins=iso(found.from_ms),
            ends=iso(found.to_ms),
            areas=tuple(to_check_answer(one, now) for one in found.areas),
            companies=tuple(to_check_answer(one, now) for one in found.companies),
            guards=tuple(to_check_answer(one, now, seen.get(one.id)) for one in page),
            next=cursor(passed + limit) if len(found.guards) > passed + limit else None,
        )
