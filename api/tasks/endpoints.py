"""Matters, the admitted list and tasks over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response

from api.access import Authority, may
from api.alarms.rules import State
from api.albums import MOST as PHOTO_MOST
from api.bodies import file_of, whole
from api.pages import NUMBER_MOST, PAGE, Cursor, Limit, Number, below, cursor
from api.photos import ANSWERS, give
from api.problems import answers
from api.station import CurrentStation
from api.tasks import repository
from api.tasks.rules import TaskState
from api.tasks.schemas import (
    AdmittedAnswer,
    AdmittedList,
    Found,
    MatterAnswer,
    MatterDetailAnswer,
    MatterPage,
    NewAdmitted,
    NewMatter,
    NewStep,
    NewTask,
    PhotoAnswer,
    TaskAnswer,
    TaskPage,
    WorkerList,
    admitted_answer,
    matter_answer,
    matter_detail,
    named_answers,
    photo_answer,
    task_answer,
)
from api.tasks.service import PHOTOS
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["tasks"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


Segment = Annotated[str, Path(pattern=SEGMENT)]


@router.post("/matters", summary="Report a hazard or an incident (安全隐患, 警情)", status_code=HTTPStatus.CREATED)
def report_matter(
    station: CurrentStation, by: Annotated[Authority, may("matter.report")], new: NewMatter
) -> MatterAnswer:
    """It goes the way of an alarm, without ringing anywhere. Whoever is in danger presses the key instead."""
    with station.database.write() as session:
        return matter_answer(station.tasks.report(session, by, new))


@router.get("/matters", summary="Hazards and incidents, newest first")
def list_matters(
    station: CurrentStation,
    by: Annotated[Authority, may("matter.read")],
    state: State | None = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> MatterPage:
    """Those in your area, and those that you reported."""
    with station.database.read() as session:
        found = station.tasks.matters(session, by, state=state, below=below(after), limit=limit + 1)
        items = tuple(matter_answer(row) for row in found[:limit])
    return MatterPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/matters/{number}", summary="One matter with what was done about it")
def get_matter(
    station: CurrentStation, by: Annotated[Authority, may("matter.read")], number: Number
) -> MatterDetailAnswer:
    """In your area, or reported by you."""
    with station.database.read() as session:
        matter = station.tasks.matter(session, by, number)
        steps, pictures = repository.steps(session, number), PHOTOS.listed(session, number)
        accounts = {matter.by, *(step.by for step in steps), *([] if matter.owner is None else [matter.owner])}
        return matter_detail(matter, steps, pictures, station.tasks.names(session, by, accounts))


@router.post(
    "/matters/{number}/photos",
    summary="Attach a photo",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=file_of(PHOTO_MOST),
)
def attach_photo(
    station: CurrentStation,
    by: Annotated[Authority, may("matter.attach")],
    number: Number,
    content: Annotated[bytes, Depends(whole)],
) -> PhotoAnswer:
    """The body is the picture: JPEG, PNG or WebP by its content. Where and when it was taken is not kept."""
    with station.database.write() as session:
        return photo_answer(station.tasks.attach(session, by, number, content))


@router.get(
    "/matters/{number}/photos/{photo}",
    summary="A photo of a matter",
    response_class=Response,
    responses=ANSWERS,
)
def get_photo(
    station: CurrentStation,
    by: Annotated[Authority, may("matter.read")],
    number: Number,
    photo: Annotated[str, Path(pattern=EVENT_ID)],
) -> Response:
    """To be saved or shown by whoever may read the matter; never as anything but the picture that it is."""
    with station.database.read() as session:
        found = station.tasks.photo(session, by, number, photo)
        return give(found.content, kind=found.type, sha256=found.sha256)


@router.post("/matters/{number}/steps", summary="Do something about a matter")
def move_matter(
    station: CurrentStation, by: Annotated[Authority, may("matter.handle")], number: Number, new: NewStep
) -> MatterAnswer:
    """One of two who do the same at once is answered 409."""
    with station.database.write() as session:
        return matter_answer(station.tasks.move(session, by, number, new))


@router.get("/admitted", summary="The admitted list (事项准入清单)")
def list_admitted(station: CurrentStation, _by: Annotated[Authority, may("admitted.read")]) -> AdmittedList:
    """What may be laid on a grid worker at all."""
    with station.database.read() as session:
        return AdmittedList(items=tuple(admitted_answer(row) for row in station.tasks.listed(session)))


@router.post("/admitted", summary="Admit something", status_code=HTTPStatus.CREATED)
def admit(station: CurrentStation, by: Annotated[Authority, may("admitted.write")], new: NewAdmitted) -> AdmittedAnswer:
    """An entry is never changed: it is ended, and another one admitted."""
    with station.database.write() as session:
        return admitted_answer(station.tasks.admit(session, by, new))


@router.post("/admitted/{id}/end", summary="Take an entry off the list")
def end_admitted(
    station: CurrentStation,
    by: Annotated[Authority, may("admitted.write")],
    id: Segment,  # noqa: A002 - an id is what it is
) -> AdmittedAnswer:
    """Tasks that were assigned by it stay."""
    with station.database.write() as session:
        return admitted_answer(station.tasks.end(session, by, id))


@router.post("/tasks", summary="Lay a task on a grid worker", status_code=HTTPStatus.CREATED)
def assign_task(station: CurrentStation, by: Annotated[Authority, may("task.assign")], new: NewTask) -> TaskAnswer:
    """Only what is on the admitted list, due within that entry's time."""
    with station.database.write() as session:
        return task_answer(station.tasks.assign(session, by, new), now_ms=station.clock())


@router.get("/areas/{area}/grid-workers", summary="On whom a task of an area can be laid")
def list_workers(station: CurrentStation, by: Annotated[Authority, may("task.assign")], area: Segment) -> WorkerList:
    """The grid workers who look after it now, by name."""
    with station.database.read() as session:
        return WorkerList(items=named_answers(station.tasks.workers(session, by, area)))


@router.get("/tasks", summary="Tasks, newest first")
def list_tasks(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("task.read")],
    state: TaskState | None = None,
    matter: Annotated[int | None, Query(ge=1, le=NUMBER_MOST)] = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> TaskPage:
    """Those in your area, and those that you have to do; with `matter` those that came of it."""
    with station.database.read() as session:
        found = station.tasks.tasks(session, by, state=state, matter=matter, below=below(after), limit=limit + 1)
        names = station.tasks.names(session, by, {row.worker for row in found})
        items = tuple(task_answer(row, names, now_ms=station.clock()) for row in found[:limit])
    return TaskPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/tasks/{number}/done", summary="Say what was done")
def do_task(
    station: CurrentStation, by: Annotated[Authority, may("task.do")], number: Number, found: Found
) -> TaskAnswer:
    """Whose task it is."""
    with station.database.write() as session:
        return task_answer(station.tasks.do(session, by, number, found.words), now_ms=station.clock())


@router.post("/tasks/{number}/accept", summary="Say that a task is done with")
def accept_task(station: CurrentStation, by: Annotated[Authority, may("task.assign")], number: Number) -> TaskAnswer:
    """Whoever assigns in that area."""
    with station.database.write() as session:
        return task_answer(station.tasks.accept(session, by, number), now_ms=station.clock())


@router.post("/tasks/{number}/send-back", summary="Say that a task is not done")
def send_back_task(
    station: CurrentStation, by: Annotated[Authority, may("task.assign")], number: Number, why: Found
) -> TaskAnswer:
    """The worker has it again, due as before."""
    with station.database.write() as session:
        return task_answer(station.tasks.send_back(session, by, number, why.words), now_ms=station.clock())
