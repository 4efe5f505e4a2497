"""How each kind of long work is done, by the parts that do the same at once."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, Final

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock, iso
from api.database import Database
from api.etags import StaleVersion, etag
from api.points.aside import RecomputingFailed, recompute_aside
from api.points.standing_schemas import report_tables
from api.points.standings import Standings
from api.problems import NotThere
from api.register import files
from api.register.exporting import MEDIA, exported
from api.register.files import FileRefused, Format
from api.register.importing import Plan
from api.register.reporting import report
from api.register.service import Register
from api.register.sheets import Sheet
from api.register.taking import Takes
from api.reports import schemas
from api.reports.filing import filed
from api.reports.rules import Period
from api.reports.schemas import Whose, card_table, figure_tables
from api.reports.service import Reports
from api.reports.tables import Table
from api.settings import StationSettings
from api.works.doing import Do, Failed, Outcome, Task
from api.works.rules import Kind
from api.works.schemas import MonthOfPoints, YearReport
from api.works.service import File

DIFFERENCES_SHOWN: Final = 200


def kinds(
    settings: StationSettings,
    database: Database,
    register: Register,
    *,
    takes: Takes,
    reports: Reports,
    standings: Standings,
    clock: Clock,
) -> Mapping[Kind, Do]:
    """Every kind with what does it."""
    return {
        Kind.IMPORT_TRIAL: lambda task: _try(task, register, takes),
        Kind.IMPORT: lambda task: _take(task, register, takes),
        Kind.POINTS: lambda task: _recompute(task, register, settings),
        Kind.REPORT_ALARMS: lambda task: _report_alarms(task, database, reports),
        Kind.REPORT_CARDS: lambda task: _report_cards(task, database, reports),
        Kind.REPORT_POINTS: lambda task: _report_points(task, database, standings),
        Kind.REPORT_YEAR: lambda task: _report_year(task, database, reports, standings, clock=clock),
        Kind.EXPORT: lambda task: _export(task, database, register, clock=clock),
    }


# Imports


def _tables(task: Task, data: bytes) -> list[files.Table]:
    sheet = task.asked["sheet"]
    try:
        return files.tables(
            data, Format(task.asked["format"]), sheet=None if sheet is None else Sheet(sheet), tell=task.tell
        )
    except FileRefused as refused:
        raise Failed(f"file:{refused.code}") from None


def _try(task: Task, register: Register, takes: Takes) -> Outcome:
    register.whole(task.by)
    made, version = takes.see(_tables(task, task.data()), tell=task.tell)
    found = report(made, dry_run=True, applied=False, version=version)
    return Outcome(result=found.model_dump(mode="json"), drop=() if made.changes and not made.problems else (task.id,))


def _take(task: Task, register: Register, takes: Takes) -> Outcome:
    register.whole(task.by)
    trial, version = str(task.asked["trial"]), int(task.asked["version"])
    tables = _tables(task, task.data(trial))

    def outcome(made: Plan) -> dict[str, Any]:
        applied = bool(made.changes) and not made.problems
        return report(made, dry_run=False, applied=applied, version=version + applied).model_dump(mode="json")

    def finish(session: Session, made: Plan) -> None:
        task.finish(session, Outcome(result=outcome(made), drop=(trial,)))

    try:
        made = takes.take(
            tables, by=task.by.principal.account, if_match=etag(version), tell=task.tell, also=finish
        )  # fmt: skip
    except StaleVersion:
        raise Failed("stale") from None
    if made.problems:
        raise Failed("wrong", outcome(made))
    return Outcome()


def _export(task: Task, database: Database, register: Register, *, clock: Clock) -> Outcome:
    register.whole(task.by)
    by, form, sheet = task.by, Format(task.asked["format"]), task.asked["sheet"]
    with database.write() as session:  # before it is read, so that nothing is read that is not recorded
        record(
            session, at_ms=clock(), by=by.principal.account, action="register.export", about="register",
            reason=task.asked["reason"],
        )  # fmt: skip
    with database.read() as session:
        content = exported(session, register, form, None if sheet is None else Sheet(sheet), tell=task.tell)
    return Outcome(file=File(name=task.asked["name"], media=MEDIA[form], content=content))


# Points


def _recompute(task: Task, register: Register, settings: StationSettings) -> Outcome:
    register.whole(task.by)
    try:
        found = recompute_aside(settings.database, station=settings.station, zone=settings.zone, tell=task.tell)
    except RecomputingFailed:
        raise Failed("database") from None
    shown = [asdict(one) for one in found.differences[:DIFFERENCES_SHOWN]]
    return Outcome(
        result={
            "agrees": found.agrees, "entries": found.entries, "owners": found.owners, "months": found.months,
            "points_tenths": found.points_tenths, "wrong": len(found.differences), "differences": shown,
        }
    )  # fmt: skip


# Reports


def _report_alarms(task: Task, database: Database, reports: Reports) -> Outcome:
    area, when = task.asked["area"], reports.span(*_span(task))
    with database.read() as session:
        whole, below = reports.area(session, task.by, area, when, tell=task.tell)
    return _filed(task, "alarms", figure_tables(reports.names(), {area: whole, **below}, whole))


def _report_cards(task: Task, database: Database, reports: Reports) -> Outcome:
    area, when, whose = task.asked["area"], reports.span(*_span(task)), Whose(task.asked["whose"])
    with database.read() as session:
        made = reports.cards(session, task.by, area, when, whose, tell=task.tell)
    return _filed(task, "cards", [card_table("考核 Scorecards", reports.names(), made)])


def _report_points(task: Task, database: Database, standings: Standings) -> Outcome:
    with database.read() as session:
        found = standings.report(
            session, task.by, task.asked["area"], standings.span(*_span(task)), tell=task.tell
        )  # fmt: skip
    return _filed(task, "points", report_tables(found))


def _report_year(
    task: Task, database: Database, reports: Reports, standings: Standings, *, clock: Clock
) -> Outcome:  # fmt: skip
    area, when, now = task.asked["area"], reports.span(*_span(task)), clock()
    with database.read() as session:
        whole, below, scored = reports.year(session, task.by, area, when, tell=task.tell)
        points = _months(task, session, standings, now_ms=now)
    begins, ends = schemas.span_words(when)
    found = YearReport(
        alarms=schemas.AreaReport(
            area=area,
            begins=begins,
            ends=ends,
            as_of=iso(now),
            figures=schemas.figures_answer(whole),
            below={one: schemas.figures_answer(figures) for one, figures in below.items()},
        ),
        cards={whose: tuple(map(schemas.card_answer, made)) for whose, made in scored.items()},
        points=points,
    )
    name = f"year-{area}-{begins.astimezone(reports.zone):%Y}.json"
    return Outcome(file=File(name=name, media="application/json", content=found.model_dump_json().encode()))


def _months(task: Task, session: Session, standings: Standings, *, now_ms: int) -> tuple[MonthOfPoints, ...]:
    """The months that have begun, for whoever may read points of the area."""
    by, found = task.authority("points.report"), list[MonthOfPoints]()
    if not by.reach.held:
        return ()
    year = date.fromisoformat(task.asked["day"]).year
    for month in range(1, 13):
        task.tell("points", month - 1, 12)
        first = date(year, month, 1)
        when = standings.span(Period.MONTH, first)
        if when.from_ms > now_ms:
            break
        try:
            sums = standings.report(session, by, task.asked["area"], when).guards
        except NotThere:
            return ()
        told = {name: sum(getattr(one, name) for one in sums) for name in ("earned", "lost", "reversed", "total")}
        found.append(MonthOfPoints(month=first, **told))
    return tuple(found)


def _span(task: Task) -> tuple[Period, date]:
    return Period(task.asked["period"]), date.fromisoformat(task.asked["day"])


def _filed(task: Task, name: str, tables: list[Table]) -> Outcome:
    task.tell("filing", 0, 1)
    form = schemas.Format(task.asked["format"])
    content, media = filed(form, tables)
    called = f"{name}-{task.asked['area']}-{task.asked['period']}-{task.asked['day']}.{form.value}"
    return Outcome(file=File(name=called, media=media, content=content))
