"""Reports over HTTP: JSON for programs, CSV and XLSX for people who reckon, a page for paper."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, may
from api.clock import iso
from api.problems import answers
from api.reports.filing import filed
from api.reports.rules import Period, Span
from api.reports.schemas import (
    FILES,
    AreaReport,
    CardReport,
    ComplaintReport,
    Day,
    DepartmentReport,
    Format,
    InstallationReport,
    OwnCard,
    Whose,
    WorkerReport,
    card_answer,
    card_table,
    complaint_report,
    figure_tables,
    figures_answer,
    share_answer,
    span_words,
    worker_card_answer,
)
from api.reports.tables import Table, as_page
from api.station import CurrentStation, Station
from broker.ids import SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/reports",
    tags=["reports"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

MAY: Final = "report.read"

Area = Annotated[str, Path(pattern=SEGMENT, description="An area of yours; the station's id is the whole station")]
Form = Annotated[Format, Query(alias="format")]


@router.get("/{area}/alarms", summary="Alarms of a day, week, month, year", response_model=AreaReport, responses=FILES)
def report_alarms(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
    form: Form = Format.JSON,
) -> AreaReport | Response:
    """Counts, times, rates, hours and repeated places of the area, and of each area right below it."""
    when = station.reports.span(period, day)
    with station.database.read() as session:
        whole, below = station.reports.area(session, by, area, when)
    if form is Format.JSON:
        begins, ends = span_words(when)
        return AreaReport(
            area=area,
            begins=begins,
            ends=ends,
            as_of=iso(station.clock()),
            figures=figures_answer(whole),
            below={one: figures_answer(found) for one, found in below.items()},
        )
    tables = figure_tables(station.reports.names(), {area: whole, **below}, whole)
    return _file(form, f"alarms-{area}-{day}", station=station, when=when, tables=tables)


@router.get("/{area}/cards", summary="Scorecards (考核)", response_model=CardReport, responses=FILES)
def report_cards(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    area: Area,
    day: Day,
    *,
    whose: Whose = Whose.GRID,
    period: Period = Period.MONTH,
    form: Form = Format.JSON,
) -> CardReport | Response:
    """Each level scores the one below. Cards of single officers are for whoever leads."""
    when = station.reports.span(period, day)
    with station.database.read() as session:
        made = station.reports.cards(session, by, area, when, whose)
    if form is Format.JSON:
        begins, ends = span_words(when)
        cards = tuple(card_answer(one) for one in made)
        return CardReport(area=area, whose=whose, begins=begins, ends=ends, cards=cards)
    table = card_table("考核 Scorecards", station.reports.names(), made)
    return _file(form, f"cards-{area}-{day}", station=station, when=when, tables=[table])


@router.get("/{area}/departments", summary="Assisting departments by their tasks")
def report_departments(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
) -> DepartmentReport:
    """Of the tasks that are done or due: how many were done on time, by department of the admitted list."""
    when = station.reports.span(period, day)
    begins, ends = span_words(when)
    with station.database.read() as session:
        found = station.reports.departments(session, by, area, when)
    on_time = {name: share_answer(share) for name, share in found.items()}
    return DepartmentReport(area=area, begins=begins, ends=ends, on_time=on_time)


@router.get("/own/card", summary="A grid worker's own card (我的考核)")
def report_own(
    station: CurrentStation, by: Annotated[Authority, may("report.own")], day: Day, *, period: Period = Period.MONTH
) -> OwnCard:
    """What was laid on you and what you took, and what came of it. The same reckoning as on your community's list."""
    when = station.reports.span(period, day)
    begins, ends = span_words(when)
    with station.database.read() as session:
        card = worker_card_answer(station.reports.own_card(session, by, when))
    return OwnCard(**dict(card), begins=begins, ends=ends)


@router.get("/{area}/workers", summary="Scorecards of grid workers (网格员考核)")
def report_workers(
    station: CurrentStation,
    by: Annotated[Authority, may("report.workers")],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
) -> WorkerReport:
    """For the levels above them, by what they did in the area."""
    when = station.reports.span(period, day)
    begins, ends = span_words(when)
    with station.database.read() as session:
        made = tuple(worker_card_answer(one) for one in station.reports.worker_cards(session, by, area, when))
    return WorkerReport(area=area, begins=begins, ends=ends, cards=made)


@router.get("/{area}/complaints", summary="Complaints in counts (投诉)")
def report_complaints(
    station: CurrentStation,
    by: Annotated[Authority, may("report.complaints")],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
) -> ComplaintReport:
    """By the duty complained of and the way it came; answered, on time, founded. Nobody's name and nobody's words."""
    when = station.reports.span(period, day)
    with station.database.read() as session:
        return complaint_report(area, when, station.reports.complaints(session, by, area, when))


@router.get("/{area}/installation", summary="安装率, 在线率, 完好率")
def report_installation(station: CurrentStation, by: Annotated[Authority, may(MAY)], area: Area) -> InstallationReport:
    """As it is now."""
    with station.database.read() as session:
        installed, online, sound, ready = station.reports.installation(session, by, area)
    return InstallationReport(
        area=area,
        as_of=iso(station.clock()),
        installed=share_answer(installed),
        online=share_answer(online),
        sound=share_answer(sound),
        ready_groups=share_answer(ready),
    )


def _file(form: Format, name: str, *, station: Station, when: Span, tables: list[Table]) -> Response:
    zone = station.reports.zone
    begins, ends = (moment.astimezone(zone).strftime("%Y-%m-%d") for moment in span_words(when))
    if form is Format.HTML:
        note = f"{begins} – {ends} · {station.settings.station}"
        return Response(as_page("警情统计 Alarm report", note, tables), media_type="text/html; charset=utf-8")
    content, media = filed(form, tables)
    attached = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=media, headers=attached)
