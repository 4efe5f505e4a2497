"""Reports as HTTP shows them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import Query

from api.clock import iso
from api.reports.rules import (
    MEASURE_WORDS,
    Card,
    Complained,
    Figures,
    Share,
    Span,
    Times,
    WorkerCard,
    percent_tenths,
)
from api.reports.tables import Cell, Table
from api.shapes import Answer, CivilDay
from broker.kinds import KIND_WORDS, Kind

Day = Annotated[
    CivilDay, Query(description="Any day of the period, in the station's civil time", examples=["2026-11-22"])
]
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
            XLSX: {"schema": {"type": "string", "format": "binary"}},
            "text/html": {"schema": {"type": "string"}},
        }
    }
}
"""What a report is answered as, beside JSON."""


class Format(StrEnum):
    """In which form a report is wanted."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


class Whose(StrEnum):
    """Whose scorecards."""

    GRID = "grid"
    COMMUNITY = "community"
    STATION = "station"
    HANDLER = "handler"


class ShareAnswer(Answer):
    """So many of so many; `percent_tenths` is the share in tenths of a percent, None where there was nothing."""

    part: int
    whole: int
    percent_tenths: int | None


class TimesAnswer(Answer):
    """How long it took, in milliseconds (nearest rank)."""

    count: int
    p50_ms: int | None
    p90_ms: int | None


class FiguresAnswer(Answer):
    """What the alarms came to. Tests and drills are not among them."""

    alarms: int
    by_kind: dict[str, int]
    by_hour: tuple[int, ...]
    acknowledge: TimesAnswer
    arrive: TimesAnswer
    acknowledged_on_time: ShareAnswer
    closed: ShareAnswer
    closed_on_time: ShareAnswer
    false_alarms: ShareAnswer
    valid_alarms: ShareAnswer
    followed_up: ShareAnswer
    satisfied: ShareAnswer
    repeated: dict[str, int]


class AreaReport(Answer):
    """One area and time, and each area right below it."""

    area: str
    begins: datetime
    ends: datetime
    as_of: datetime
    figures: FiguresAnswer
    below: dict[str, FiguresAnswer]


class CardAnswer(Answer):
    """A scorecard; `score_tenths` is of 100, in tenths, None where too little is known."""

    owner: str
    score_tenths: int | None
    figures: FiguresAnswer


class CardReport(Answer):
    """Scorecards, best first."""

    area: str
    whose: Whose
    begins: datetime
    ends: datetime
    cards: tuple[CardAnswer, ...]


class DepartmentReport(Answer):
    """Assisting departments by the tasks that were done in their name."""

    area: str
    begins: datetime
    ends: datetime
    on_time: dict[str, ShareAnswer]


class ComplaintReport(Answer):
    """What was complained of in an area and time, in counts alone."""

    area: str
    begins: datetime
    ends: datetime
    made: int
    by_about: dict[str, int]
    by_way: dict[str, int]
    answered: ShareAnswer
    answered_on_time: ShareAnswer
    founded: ShareAnswer


class WorkerCardAnswer(Answer):
    """A grid worker's card; `score_tenths` is of 100, in tenths, None where too little is known."""

    worker: str
    score_tenths: int | None
    tasks_on_time: ShareAnswer
    matters: int
    matters_on_time: ShareAnswer
    satisfied: ShareAnswer


class OwnCard(WorkerCardAnswer):
    """One's own card."""

    begins: datetime
    ends: datetime


class WorkerReport(Answer):
    """Cards of grid workers, best first."""

    area: str
    begins: datetime
    ends: datetime
    cards: tuple[WorkerCardAnswer, ...]


class InstallationReport(Answer):
    """安装率, 在线率, 完好率: places with a unit of all; units reached of all; units without an open fault of all."""

    area: str
    as_of: datetime
    installed: ShareAnswer
    online: ShareAnswer
    sound: ShareAnswer
    ready_groups: ShareAnswer
    """Groups in which every place that is at home can be reached now."""


def share_answer(share: Share) -> ShareAnswer:
    """A share as HTTP shows it."""
    return ShareAnswer(part=share.part, whole=share.whole, percent_tenths=percent_tenths(share))


def figures_answer(found: Figures) -> FiguresAnswer:
    """Figures as HTTP shows them."""

    def times(one: Times) -> TimesAnswer:
        return TimesAnswer(count=one.count, p50_ms=one.p50_ms, p90_ms=one.p90_ms)

    return FiguresAnswer(
        alarms=found.alarms,
        by_kind=dict(found.by_kind),
        by_hour=found.by_hour,
        acknowledge=times(found.acknowledge),
        arrive=times(found.arrive),
        acknowledged_on_time=share_answer(found.acknowledged_on_time),
        closed=share_answer(found.closed),
        closed_on_time=share_answer(found.closed_on_time),
        false_alarms=share_answer(found.false_alarms),
        valid_alarms=share_answer(found.valid_alarms),
        followed_up=share_answer(found.followed_up),
        satisfied=share_answer(found.satisfied),
        repeated=dict(found.repeated),
    )


def card_answer(one: Card) -> CardAnswer:
    """A card as HTTP shows it."""
    return CardAnswer(owner=one.owner, score_tenths=one.score_tenths, figures=figures_answer(one.figures))


def complaint_report(area: str, when: Span, found: Complained) -> ComplaintReport:
    """Complaints as HTTP shows them."""
    begins, ends = span_words(when)
    return ComplaintReport(
        area=area,
        begins=begins,
        ends=ends,
        made=found.made,
        by_about=dict(found.by_about),
        by_way=dict(found.by_way),
        answered=share_answer(found.answered),
        answered_on_time=share_answer(found.answered_on_time),
        founded=share_answer(found.founded),
    )


def worker_card_answer(one: WorkerCard) -> WorkerCardAnswer:
    """A grid worker's card as HTTP shows it."""
    work = one.work
    return WorkerCardAnswer(
        worker=one.worker,
        score_tenths=one.score_tenths,
        tasks_on_time=share_answer(work.tasks_on_time),
        matters=work.matters,
        matters_on_time=share_answer(work.matters_on_time),
        satisfied=share_answer(work.satisfied),
    )


def span_words(span: Span) -> tuple[datetime, datetime]:
    """Begin and end as HTTP shows them."""
    return iso(span.from_ms), iso(span.to_ms)


def tenths(value: int | None, unit: str = "%") -> str | None:
    """A number of tenths as people read it."""
    return None if value is None else f"{value // 10}.{value % 10}{unit}"


_COLUMNS = (
    "范围 Area", "报警 Alarms", "签收中位 Acknowledged p50 (s)", "签收九成 p90 (s)", "到场中位 On scene p50 (s)",
    "到场九成 p90 (s)",
)  # fmt: skip
_SHARES = (
    "closed",
    "closed_on_time",
    "acknowledged_on_time",
    "valid_alarms",
    "false_alarms",
    "followed_up",
    "satisfied",
)


def figure_tables(names: dict[str, str], found: dict[str, Figures], whole: Figures) -> list[Table]:
    """The figures of some areas as tables, and of all together the kinds, hours and places."""
    columns = (*_COLUMNS, *(f"{MEASURE_WORDS[name].zh} {MEASURE_WORDS[name].en}" for name in _SHARES))
    rows = tuple((names.get(area, area), *_cells(one)) for area, one in found.items())
    kinds = tuple((KIND_WORDS[Kind(kind)].zh, KIND_WORDS[Kind(kind)].en, many) for kind, many in whole.by_kind.items())
    hours = tuple((f"{hour:02}:00", many) for hour, many in enumerate(whole.by_hour))
    return [
        Table("汇总 Summary", columns, rows),
        Table("类别 Kinds", ("类别", "Kind", "报警 Alarms"), kinds),
        Table("时段 Hours", ("时段 Hour", "报警 Alarms"), hours),
        Table("重复报警 Repeated", ("场所 Place", "报警 Alarms"), tuple(whole.repeated.items())),
    ]


def card_table(title: str, names: dict[str, str], found: list[Card]) -> Table:
    """Scorecards as a table."""
    columns = ("对象 Owner", "得分 Score", *_COLUMNS[1:], *(MEASURE_WORDS[name].zh for name in _SHARES))
    rows = tuple((names.get(one.owner, one.owner), tenths(one.score_tenths, ""), *_cells(one.figures)) for one in found)
    return Table(title, columns, rows)


def _cells(found: Figures) -> tuple[Cell, ...]:
    def seconds(value: int | None) -> Cell:
        return None if value is None else f"{value / 1_000:.1f}"

    times = (found.acknowledge.p50_ms, found.acknowledge.p90_ms, found.arrive.p50_ms, found.arrive.p90_ms)
    shares: tuple[Share, ...] = tuple(getattr(found, name) for name in _SHARES)
    return (found.alarms, *map(seconds, times), *(tenths(percent_tenths(share)) for share in shares))
