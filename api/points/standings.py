"""Rankings, grades and reports of one station, for those who may read them. Takes a session, writes nothing."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from sqlmodel import Session

from api.guards import service as guards
from api.points import repository
from api.points.commenting import Sentence, draft
from api.points.ledger import Ledger
from api.points.models import PointsEntry
from api.points.rules import APPEAL_UPHELD, Grading, in_force
from api.points.service import Points
from api.points.standing import Grade, Line, Ranking, grade, mean_demerits, rank
from api.points.states import EntryState, StepAction
from api.problems import NotThere
from api.progress import Tell, told, untold
from api.register import repository as companies
from api.register.service import Register
from api.reports.rules import Period, Span, span
from api.rights.rules import Authority, Over, Subject

YEAR_MS = 365 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport:
    """A company on one page. `review`: so many of its appeals were upheld that the rules should be looked at (C02)."""

    company: str
    name: str
    grade: Grade
    guards: int
    active: int
    debits: int
    appealed: int
    upheld: int
    review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A row of a report: tenths earned and lost, and taken back of what was lost."""

    name: str
    company: str | None
    earned: int
    lost: int
    reversed: int
    total: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsReport:
    """Who earned and lost what in a span, by which rule."""

    guards: tuple[Sum, ...]
    companies: tuple[Sum, ...]
    rules: tuple[Sum, ...]


class Standings:
    """The rankings, grades and reports of one station."""

    def __init__(self, points: Points, ledger: Ledger, register: Register) -> None:
        self._points = points
        self._ledger = ledger
        self._register = register

    def span(self, period: Period, day: date) -> Span:
        """The period in which a day lies, in the station's civil time."""
        return span(period, day, self._points.zone)

    def ranking(
        self, session: Session, by: Authority, area: str, when: Span, *, colour: str | None, night: bool
    ) -> Ranking:
        """A class of an area, ranked. The station sees all of it, a company its own people, a guard himself.

        Raises NotThere.
        """
        within = self._area(area)
        facts = [
            fact
            for fact in repository.facts(session, self._points.station, when.from_ms, when.to_ms)
            if fact.area in within
        ]
        lines = [
            _line(row)
            for row in repository.entries(session, self._points.station, when.from_ms, when.to_ms)
            if row.area is None or row.area in within
        ]
        whole = rank(facts, lines, colour=colour, night=night)
        if by.reach.covers(Subject(areas=self._register.lies_in(area))):
            return whole
        own, companies = self._ledger.own(session, by), by.reach.over(Over.COMPANY)
        rows = tuple(row for row in whole.rows if row.guard in own or row.company in companies)
        return Ranking(mean=whole.mean, ranked=whole.ranked, rows=rows)

    def guard(self, session: Session, by: Authority, guard: str) -> Grade:
        """A guard's grade. Raises NotThere."""
        self._ledger.balance(session, by, guard)
        rows = [row for row in self._debits(session) if row.guard == guard]
        states = self._points.states(session, rows)
        lost = -sum(row.points_tenths for row in rows if states[row.id] is EntryState.FINAL)
        return grade(self._grading(session), Fraction(lost))

    def grades(self, session: Session, guards_: Collection[str]) -> dict[str, Grade]:
        """The grades of these guards, at once: for lists of whoever may read them."""
        lost = dict.fromkeys(guards_, 0)
        rows = [row for row in self._debits(session) if row.guard in lost]
        states = self._points.states(session, rows)
        for row in rows:
            if row.guard is not None and states[row.id] is EntryState.FINAL:
                lost[row.guard] -= row.points_tenths
        grading = self._grading(session)
        return {guard: grade(grading, Fraction(tenths)) for guard, tenths in lost.items()}

    def passport(self, session: Session, by: Authority, company: str, day: date) -> Passport:
        """A company's grade, with the share of its guards that took part in the month of `day`. Raises NotThere."""
        reached = by.reach.covers(Subject(areas=frozenset((self._points.station,)), company=company))
        if not reached or not companies.was_there(session, "company", self._points.station, company):
            raise NotThere(f"no company {company!r} of yours")
        return self.of_company(session, company, day)

    def of_company(self, session: Session, company: str, day: date) -> Passport:
        """The same, for whoever may read it."""
        now = self._points.clock()
        month = self.span(Period.MONTH, day)
        employed = guards.of_company(session, company, from_ms=month.from_ms, to_ms=month.to_ms)
        facts = repository.facts(session, self._points.station, month.from_ms, month.to_ms)
        active = {fact.guard for fact in facts if fact.active and fact.company == company} & {*employed}
        rows = [row for row in self._debits(session) if row.company == company]
        states = self._points.states(session, rows)
        standing = [row for row in rows if states[row.id] is EntryState.FINAL]
        done = repository.steps(session, [row.id for row in rows])
        appealed = sum(any(step.action == StepAction.APPEALED.value for step in done[row.id]) for row in rows)
        taken = repository.reversals(session, [row.id for row in rows])
        upheld = sum(one.rule == APPEAL_UPHELD for one in taken.values())
        everybody = guards.of_company(session, company, from_ms=now - YEAR_MS, to_ms=now + 1)
        demerits = mean_demerits(
            [-row.points_tenths for row in standing if row.guard is not None],
            len({*everybody, *(row.guard for row in standing if row.guard is not None)}),
            own=-sum(row.points_tenths for row in standing if row.guard is None),
        )
        grading = self._grading(session)
        share = Fraction(len(active), len(employed)) if employed else None
        row = companies.row(session, "company", self._points.station, company)
        return Passport(
            company=company,
            name=company if row is None else str(row["name"]),
            grade=grade(grading, demerits, share=share),
            guards=len(employed),
            active=len(active),
            debits=len(rows),
            appealed=appealed,
            upheld=upheld,
            review=bool(rows) and upheld * 100 > grading.upheld * len(rows),
        )

    def area(self, session: Session, by: Authority, area: str) -> Grade:
        """A site's or an area's grade, by what its guards lost there. Raises NotThere."""
        within = self._area(area)
        if not by.reach.covers(Subject(areas=self._register.lies_in(area))):
            raise NotThere(f"no area {area!r} of yours")
        now = self._points.clock()
        facts = repository.facts(session, self._points.station, now - YEAR_MS, now + 1)
        there = {fact.guard for fact in facts if fact.guard is not None and fact.area in within and fact.duty}
        rows = [row for row in self._debits(session) if row.area in within]
        states = self._points.states(session, rows)
        lost = [-row.points_tenths for row in rows if states[row.id] is EntryState.FINAL]
        return grade(self._grading(session), mean_demerits(lost, max(len(there), 1)))

    def report(
        self, session: Session, by: Authority, area: str, when: Span, *, tell: Tell = untold
    ) -> PointsReport:  # fmt: skip
        """Earned and lost in a span, in an area; a company's report has its own people alone. Raises NotThere."""
        within = self._area(area)
        every = repository.entries(session, self._points.station, when.from_ms, when.to_ms)
        rows = [
            row for row in told(every, tell, "reckoning", of=len(every)) if row.area is None or row.area in within
        ]  # fmt: skip
        if not by.reach.covers(Subject(areas=self._register.lies_in(area))):
            companies = by.reach.over(Over.COMPANY)
            if not companies:
                raise NotThere(f"no area {area!r} of yours")
            rows = [row for row in rows if row.company in companies]
        return PointsReport(
            guards=_sums(rows, "guard"), companies=_sums(rows, "company"), rules=_sums(rows, "rule")
        )  # fmt: skip

    def comment(self, session: Session, by: Authority, area: str, when: Span, period: Period) -> tuple[Sentence, ...]:
        """A draft of the comment on a day, a week, ... Raises NotThere."""
        within = self._area(area)
        if not by.reach.covers(Subject(areas=self._register.lies_in(area))):
            raise NotThere(f"no area {area!r} of yours")
        facts = repository.facts(session, self._points.station, when.from_ms, when.to_ms)
        return draft((fact for fact in facts if fact.area in within), period)

    def _area(self, area: str) -> frozenset[str]:
        if area == self._points.station:
            return frozenset((area, *self._register.within(area)))
        if self._register.area(area) is None:
            raise NotThere(f"no area {area!r} here")
        return self._register.within(area)

    def _grading(self, session: Session) -> Grading:
        return in_force(self._points.sets(session), self._points.clock()).grading

    def _debits(self, session: Session) -> list[PointsEntry]:
        now = self._points.clock()
        rows = repository.entries(session, self._points.station, now - YEAR_MS, now + 1)
        return [row for row in rows if row.points_tenths < 0 and row.reverses is None]


def _line(row: PointsEntry) -> Line:
    return Line(
        guard=row.guard,
        company=row.company,
        points_tenths=row.points_tenths,
        fact=row.fact,
        colour=row.colour,
        night=row.night,
    )


def _sums(rows: Sequence[PointsEntry], field: str) -> tuple[Sum, ...]:
    by: dict[str, list[PointsEntry]] = defaultdict(list)
    for row in rows:
        if (name := getattr(row, field)) is not None:
            by[name].append(row)
    return tuple(
        Sum(
            name=name,
            company=some[-1].company if field == "guard" else None,
            earned=sum(row.points_tenths for row in some if row.points_tenths > 0 and row.reverses is None),
            lost=sum(row.points_tenths for row in some if row.points_tenths < 0 and row.reverses is None),
            reversed=sum(row.points_tenths for row in some if row.reverses is not None),
            total=sum(row.points_tenths for row in some),
            entries=len(some),
        )
        for name, some in sorted(by.items())
    )
