"""Long works as HTTP takes and shows them."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from api.clock import iso
from api.register.files import WHY, Format
from api.register.schemas import ReportAnswer
from api.register.sheets import Sheet
from api.reports.rules import Period
from api.reports.schemas import AreaReport, CardAnswer, Whose
from api.shapes import Answer, Asked, CivilDay, WordsAnswer, words_answer
from api.works.models import LongWork
from api.works.rules import KIND_WORDS, OPEN, PHASE_WORDS, STATE_WORDS, WHY_WORDS, Kind, State, left_s
from broker.ids import SEGMENT
from broker.kinds import Words

Area = Annotated[str, StringConstraints(pattern=SEGMENT)]
FILE: Final = "file:"


class ReportAsked(Asked):
    """Which report, as a file."""

    report: Literal["alarms", "cards"]
    area: Area
    day: CivilDay = Field(description="Any day of the period")
    period: Period = Period.YEAR
    whose: Whose = Field(default=Whose.GRID, description="Whose scorecards")
    format: Literal["csv", "xlsx"] = "xlsx"


class PointsReportAsked(Asked):
    """Points of an area and a time, as a file."""

    area: Area
    day: CivilDay = Field(description="Any day of the period")
    period: Period = Period.YEAR
    format: Literal["csv", "xlsx"] = "xlsx"


class YearReportAsked(Asked):
    """A year of an area, as pages show it."""

    area: Area
    day: CivilDay = Field(description="Any day of the year")


class ExportAsked(Asked):
    """The register as a file. There are names and phones in it: the reason is recorded."""

    format: Format = Format.XLSX
    sheet: Sheet | None = Field(default=None, description="Which sheet, as CSV")
    reason: str = Field(max_length=200)


class MonthOfPoints(Answer):
    """Points of a month, in tenths."""

    month: date
    earned: int
    lost: int
    reversed: int
    total: int


class YearReport(Answer):
    """What comes of a report of a year: its file is this. `points`: up to now; none for whoever may not read them."""

    alarms: AreaReport
    cards: dict[Whose, tuple[CardAnswer, ...]]
    points: tuple[MonthOfPoints, ...]


class FileAnswer(Answer):
    """A file that is kept for a day."""

    name: str
    media: str
    octets: int


class DifferenceAnswer(Answer):
    """Where the station does not say what ledger or facts do. `about`: an entry, a fact, an account or a month."""

    about: str
    what: str
    kept: str
    recomputed: str


class RecomputedAnswer(Answer):
    """What came of a recomputation; `wrong` counts all differences, of which the first are listed."""

    agrees: bool
    entries: int
    owners: int
    months: int
    points_tenths: int
    wrong: int
    differences: list[DifferenceAnswer]


class WorkAnswer(Answer):
    """One long work. `part`: how far it is, in thousandths; `done` of `total` in its present `phase`."""

    id: str
    kind: Kind
    words: WordsAnswer
    state: State
    state_words: WordsAnswer
    mine: bool
    by: str
    by_name: str
    sent: str
    """Of an import or an export: what the file is called."""
    area: str | None
    """Of a report: which, of what time."""
    period: Period | None
    day: date | None
    part: int
    phase: WordsAnswer | None
    done: int
    total: int
    left_s: int | None
    """How many seconds it will probably take yet; null while nothing can be said."""
    before: int
    """While it waits: how many come first."""
    stopping: bool
    """Somebody gave it up, and it ends at its next step."""
    why: WordsAnswer | None
    made: datetime
    begun: datetime | None
    ended: datetime | None
    may_take: bool
    """A trial whose file can be imported now."""
    may_again: bool
    file: FileAnswer | None
    report: ReportAnswer | None
    """Of an import or its trial."""
    recomputed: RecomputedAnswer | None


class WorkPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[WorkAnswer, ...]
    next: str | None


def work_answer(
    row: LongWork,
    *,
    name: str,
    mine: bool,
    shown: bool,
    files: Mapping[tuple[int, str], tuple[str, str, int]],
    before: int,
    now_ms: int,
) -> WorkAnswer:
    """A row as HTTP shows it. `shown`: whether what came of it is; `files`: those of this work."""
    assert row.number is not None
    kind, state, asked = Kind(row.kind), State(row.state), json.loads(row.asked)
    result: dict[str, Any] | None = json.loads(row.result) if row.result and shown else None
    imports = kind in {Kind.IMPORT_TRIAL, Kind.IMPORT}
    report = ReportAnswer.model_validate(result) if result is not None and imports else None
    made = files.get((row.number, "made")) if shown else None
    kept = (row.number, "asked") in files
    good = report is not None and not report.wrong and report.added + report.changed > 0
    ended = state not in OPEN
    return WorkAnswer(
        id=row.id,
        kind=kind,
        words=words_answer(KIND_WORDS[kind]),
        state=state,
        state_words=words_answer(STATE_WORDS[state]),
        mine=mine,
        by=row.by,
        by_name=name,
        sent=asked.get("name", ""),
        area=asked.get("area"),
        period=asked.get("period"),
        day=asked.get("day"),
        part=row.part,
        phase=words_answer(PHASE_WORDS[row.phase]) if row.phase and state is State.RUNNING else None,
        done=row.done,
        total=row.total,
        left_s=left_s(row.begun_ms, now_ms, row.part) if row.begun_ms and state is State.RUNNING else None,
        before=before,
        stopping=row.stop and not ended,
        why=words_answer(_why(row.why)) if row.why else None,
        made=iso(row.made_ms),
        begun=None if row.begun_ms is None else iso(row.begun_ms),
        ended=None if row.ended_ms is None else iso(row.ended_ms),
        may_take=shown and kind is Kind.IMPORT_TRIAL and state is State.DONE and good and kept,
        may_again=mine and ended and state is not State.DONE and (kept or not imports or kind is Kind.IMPORT),
        file=None
        if made is None or state is not State.DONE
        else FileAnswer(name=made[0], media=made[1], octets=made[2]),
        report=report,
        recomputed=RecomputedAnswer.model_validate(result) if result is not None and kind is Kind.POINTS else None,
    )


def _why(code: str) -> Words:
    if code.startswith(FILE):
        return WHY[code.removeprefix(FILE)]
    return WHY_WORDS[code]
