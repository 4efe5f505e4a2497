"""Rankings, grades and reports of points over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, may
from api.paper import MEDIA_TYPE, civil
from api.points.standing_schemas import (
    CommentAnswer,
    GradeAnswer,
    PassportAnswer,
    PointsReportAnswer,
    RankingAnswer,
    comment_answer,
    grade_answer,
    passport_answer,
    ranking_answer,
    report_answer,
    report_tables,
)
from api.problems import answers
from api.reports.filing import filed
from api.reports.rules import Period
from api.reports.schemas import FILES, Day, Format
from api.reports.tables import as_page
from api.station import CurrentStation
from broker.ids import EVENT_ID, SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/points",
    tags=["points"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

MAY: Final = "points.read"

Area = Annotated[str, Path(pattern=SEGMENT, description="An area; the station's id is the whole station")]


@router.get("/ranking/{area}", summary="A fair ranking (排名)")
def rank_guards(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
    colour: Annotated[str | None, Query(pattern=SEGMENT, description="The area's colour; none: without one")] = None,
    night: bool = False,
) -> RankingAnswer:
    """Cumulative points, and the rate drawn to the mean of the class by which the order goes, with n.

    Like with like: one colour, day or night. Guards are named by id; the station sees all, a company its own people.
    """
    when = station.standings.span(period, day)
    with station.database.read() as session:
        found = station.standings.ranking(session, by, area, when, colour=colour, night=night)
    return ranking_answer(area, when, found, colour=colour, night=night)


@router.get("/guards/{guard}/grade", summary="A guard's grade, and how often he is checked")
def grade_guard(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    guard: Annotated[str, Path(pattern=EVENT_ID)],
) -> GradeAnswer:
    """By what he lost for good in twelve months."""
    with station.database.read() as session:
        return grade_answer(station.standings.guard(session, by, guard))


@router.get("/companies/{company}/grade", summary="A company's grade (等级评定) on one page")
def grade_company(
    station: CurrentStation,
    by: Annotated[Authority, may(MAY)],
    company: Annotated[str, Path(pattern=SEGMENT)],
    day: Day,
) -> PassportAnswer:
    """With the share of its guards that took part in the month of the day: under 30 % it is not of the best grade."""
    with station.database.read() as session:
        return passport_answer(station.standings.passport(session, by, company, day))


@router.get("/areas/{area}/grade", summary="An area's or a site's grade")
def grade_area(station: CurrentStation, by: Annotated[Authority, may(MAY)], area: Area) -> GradeAnswer:
    """By what its guards lost there for good in twelve months, for each guard who had a duty there."""
    with station.database.read() as session:
        return grade_answer(station.standings.area(session, by, area))


@router.get("/comments/{area}", summary="A draft of the daily comment (点评)")
def draft_comment(
    station: CurrentStation,
    by: Annotated[Authority, may("points.comment")],
    area: Area,
    day: Day,
    *,
    period: Period = Period.DAY,
) -> CommentAnswer:
    """What can be said of the day, or of the week; each sentence cites the facts it is made of, and names nobody."""
    when = station.standings.span(period, day)
    with station.database.read() as session:
        return comment_answer(area, when, station.standings.comment(session, by, area, when, period))


@router.get(
    "/reports/{area}",
    summary="Points of a day, week, month, year",
    response_model=PointsReportAnswer,
    responses=FILES,
)
def report_points(
    station: CurrentStation,
    by: Annotated[Authority, may("points.report")],
    area: Area,
    day: Day,
    *,
    period: Period = Period.MONTH,
    form: Annotated[Format, Query(alias="format")] = Format.JSON,
) -> PointsReportAnswer | Response:
    """Earned, lost, reversed: by guard, company and rule. A company's has its own people alone."""
    when = station.standings.span(period, day)
    with station.database.read() as session:
        found = station.standings.report(session, by, area, when)
    if form is Format.JSON:
        return report_answer(area, when, found)
    tables = report_tables(found)
    if form is Format.HTML:
        zone = station.settings.zone
        note = f"{civil(when.from_ms, zone)} – {civil(when.to_ms, zone)} · {area} · {station.settings.station}"
        return Response(as_page("积分统计 Points", note, tables), media_type=MEDIA_TYPE)
    content, media = filed(form, tables)
    attached = {"Content-Disposition": f'attachment; filename="points-{area}-{day}.{form}"'}
    return Response(content, media_type=media, headers=attached)
