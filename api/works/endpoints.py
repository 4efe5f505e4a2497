"""Long works over HTTP: begun with 202 and a Location, looked at, given up, begun again; what came of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlmodel import Session

from api.access import Authority, may, whole_station
from api.accounts.repository import ACCOUNT, one
from api.bodies import file_of, whole
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import NotThere, answers
from api.register.endpoints import REASON_CHARS
from api.register.files import BYTES_MOST, FileRefused, Format
from api.register.problems import NeedsReason
from api.register.sheets import Sheet
from api.reports.rules import Period
from api.station import CurrentStation, Station
from api.works import repository
from api.works.models import LongWork
from api.works.rules import Kind, State
from api.works.schemas import (
    ExportAsked,
    PointsReportAsked,
    ReportAsked,
    WorkAnswer,
    WorkPage,
    YearReportAsked,
    work_answer,
)
from api.works.service import HEAVY_OCTETS, File
from broker.ids import EVENT_ID

router: Final = APIRouter(
    prefix="/api/v1/works",
    tags=["works"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

NAME_CHARS: Final = 120
HEAVY_PLACES: Final = 300
"""An export of more households is not made before smaller works."""

Id = Annotated[str, Path(pattern=EVENT_ID)]
Own = Annotated[Authority, may("work.own")]
Imports = Annotated[Authority, may("register.import")]
BEGUN: Final = HTTPStatus.ACCEPTED


def _show(station: Station, session: Session, by: Authority, rows: Sequence[LongWork]) -> list[WorkAnswer]:
    numbers = [row.number for row in rows if row.number is not None]
    files = repository.files(session, numbers)
    names = _names(session, {row.by for row in rows})
    return [
        work_answer(
            row,
            name=names[row.by],
            mine=row.by == by.principal.account,
            shown=row.state in {State.DONE, State.FAILED} and station.long_works.shows(by.principal, row),
            files=files,
            before=repository.before(session, row) if row.state == State.WAITING else 0,
            now_ms=station.clock(),
        )
        for row in rows
    ]


def _names(session: Session, accounts: Collection[str]) -> dict[str, str]:
    rows = {account: one(session, ACCOUNT, id=account) for account in accounts}
    return {account: "" if row is None else row.name or "" for account, row in rows.items()}


def _begun(station: Station, response: Response, answer: WorkAnswer) -> WorkAnswer:
    """After the commit: somebody does it, and says here how far it is."""
    station.doing.wake()
    response.headers["Location"] = f"/api/v1/works/{answer.id}"
    return answer


@router.post(
    "/imports",
    summary="Try an import of a spreadsheet or a site file",
    status_code=BEGUN,
    openapi_extra=file_of(BYTES_MOST),
)
def try_import(  # noqa: PLR0917 - parameters of HTTP
    station: CurrentStation,
    by: Imports,
    data: Annotated[bytes, Depends(whole)],
    response: Response,
    form: Annotated[Format, Query(alias="format")] = Format.XLSX,
    sheet: Annotated[Sheet | None, Query(description="Which sheet a CSV file is")] = None,
    name: Annotated[str, Query(max_length=NAME_CHARS, description="What the file is called")] = "",
) -> WorkAnswer:
    """Changes nothing. The file and the report are kept for a day; what it says is imported by `take`."""
    whole_station(station, by)
    asked = {"format": form.value, "sheet": None if sheet is None else sheet.value, "name": name}
    file = File(name=name, media="application/octet-stream", content=data)
    with station.database.write() as session:
        row = station.long_works.ask(
            session, by, Kind.IMPORT_TRIAL, asked, heavy=len(data) > HEAVY_OCTETS, file=file
        )  # fmt: skip
        (answer,) = _show(station, session, by, [row])
    return _begun(station, response, answer)


@router.post(
    "/{work}/take", summary="Import what a trial found", status_code=BEGUN, responses=answers(HTTPStatus.CONFLICT)
)  # fmt: skip
def take_import(station: CurrentStation, by: Imports, work: Id, response: Response) -> WorkAnswer:
    """All of it or nothing, in one transaction; nothing where the register has changed since the trial."""
    with station.database.write() as session:
        (answer,) = _show(station, session, by, [station.long_works.take(session, by, work)])
    return _begun(station, response, answer)


@router.post("/points", summary="Recompute all points from the facts (积分复算)", status_code=BEGUN)
def recompute_points(
    station: CurrentStation, by: Annotated[Authority, may("points.recompute")], response: Response
) -> WorkAnswer:
    """Whether ledger, balances and closed months are what facts and rules of their time make. Changes nothing."""
    whole_station(station, by)
    with station.database.write() as session:
        (answer,) = _show(station, session, by, [station.long_works.ask(session, by, Kind.POINTS, {}, heavy=True)])
    return _begun(station, response, answer)


@router.post("/reports", summary="Make a report of alarms as a file", status_code=BEGUN)
def make_report(
    station: CurrentStation, by: Annotated[Authority, may("report.read")], asked: ReportAsked, response: Response
) -> WorkAnswer:
    """What `/api/v1/reports` answers at once, for long times and large areas."""
    kind = Kind.REPORT_ALARMS if asked.report == "alarms" else Kind.REPORT_CARDS
    _area(station, asked.area)
    if not by.reach.covers(station.register.subject_of_area(asked.area)):
        raise NotThere(f"no area {asked.area!r} of yours")
    words = asked.model_dump(mode="json", exclude={"report"} | (set() if kind is Kind.REPORT_CARDS else {"whose"}))
    with station.database.write() as session:
        row = station.long_works.ask(session, by, kind, words, heavy=asked.period is Period.YEAR)
        (answer,) = _show(station, session, by, [row])
    return _begun(station, response, answer)


@router.post("/points-reports", summary="Make a report of points as a file", status_code=BEGUN)
def make_points_report(
    station: CurrentStation,
    by: Annotated[Authority, may("points.report")],
    asked: PointsReportAsked,
    response: Response,
) -> WorkAnswer:
    """What `/api/v1/points/reports` answers at once. A company's has its own people alone."""
    _area(station, asked.area)
    words = asked.model_dump(mode="json")
    with station.database.write() as session:
        row = station.long_works.ask(session, by, Kind.REPORT_POINTS, words, heavy=asked.period is Period.YEAR)
        (answer,) = _show(station, session, by, [row])
    return _begun(station, response, answer)


@router.post("/year-reports", summary="Make the report of a year, as pages show it", status_code=BEGUN)
def make_year_report(
    station: CurrentStation, by: Annotated[Authority, may("report.read")], asked: YearReportAsked, response: Response
) -> WorkAnswer:
    """Alarms, scorecards of areas, and points by month for whoever may read them. The file is a `YearReport`."""
    _area(station, asked.area)
    if not by.reach.covers(station.register.subject_of_area(asked.area)):
        raise NotThere(f"no area {asked.area!r} of yours")
    words = asked.model_dump(mode="json") | {"period": Period.YEAR.value}
    with station.database.write() as session:
        row = station.long_works.ask(session, by, Kind.REPORT_YEAR, words, heavy=True)
        (answer,) = _show(station, session, by, [row])
    return _begun(station, response, answer)


@router.post("/exports", summary="Export the register as a file", status_code=BEGUN)
def make_export(
    station: CurrentStation, by: Annotated[Authority, may("register.export")], asked: ExportAsked, response: Response
) -> WorkAnswer:
    """What GET /api/v1/register/export does. Recorded with its reason when it is read, and given to nobody else."""
    whole_station(station, by)
    if len(asked.reason.strip()) < REASON_CHARS:
        raise NeedsReason
    if asked.format is Format.CSV and asked.sheet is None:
        raise FileRefused("no_sheet")
    sheet = asked.sheet.value if asked.format is Format.CSV and asked.sheet is not None else None
    day = datetime.fromtimestamp(station.clock() / 1_000, station.settings.zone)
    part = "" if sheet is None else f"-{sheet}"
    words = {
        "format": asked.format.value, "sheet": sheet, "reason": asked.reason,
        "name": f"register{part}-{station.settings.station}-{day:%Y%m%d}.{asked.format.value}",
    }  # fmt: skip
    heavy = len(station.register.now.places) > HEAVY_PLACES
    with station.database.write() as session:
        row = station.long_works.ask(session, by, Kind.EXPORT, words, heavy=heavy)
        (answer,) = _show(station, session, by, [row])
    return _begun(station, response, answer)


@router.get("", summary="Your long works")
def list_works(
    station: CurrentStation,
    by: Own,
    everybody: Annotated[bool, Query(description="For administrators: not only their own")] = False,  # noqa: FBT002
    limit: Limit = PAGE,
    after: Cursor = None,
) -> WorkPage:
    """Newest first. What has ended stays for a day."""
    with station.database.read() as session:
        rows = station.long_works.listed(session, by, everybody=everybody, below=below(after), limit=limit + 1)
        items = tuple(_show(station, session, by, rows[:limit]))
    number = rows[limit - 1].number if len(rows) > limit else None
    return WorkPage(items=items, next=None if number is None else cursor(number))


@router.get("/{work}", summary="One long work: how far it is, and what came of it")
def get_work(station: CurrentStation, by: Own, work: Id) -> WorkAnswer:
    """What came of it is for whoever asked, as long as he may read that."""
    with station.database.read() as session:
        return _show(station, session, by, [station.long_works.find(session, by, work)])[0]


@router.post("/{work}/give-up", summary="Give a long work up")
def give_up_work(station: CurrentStation, by: Own, work: Id) -> WorkAnswer:
    """It ends at its next step and nothing of it is kept. What has ended already stays as it is."""
    with station.database.write() as session:
        return _show(station, session, by, [station.long_works.give_up(session, by, work)])[0]


@router.post(
    "/{work}/again", summary="Begin a long work again", status_code=BEGUN, responses=answers(HTTPStatus.CONFLICT)
)  # fmt: skip
def begin_again(station: CurrentStation, by: Own, work: Id, response: Response) -> WorkAnswer:
    """The same as a new one, after it was broken off, failed or was given up. An import begins with its trial."""
    with station.database.write() as session:
        (answer,) = _show(station, session, by, [station.long_works.again(session, by, work)])
    return _begun(station, response, answer)


@router.get(
    "/{work}/file",
    summary="The file that came of it",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def get_file(station: CurrentStation, by: Own, work: Id) -> Response:
    """Kept for a day."""
    with station.database.read() as session:
        found = station.long_works.file(session, by, work)
        content, media, name = found.content, found.media, found.name
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media, headers=headers)


def _area(station: Station, area: str) -> None:
    if area != station.register.station and station.register.area(area) is None:
        raise NotThere(f"no area {area!r} here")
