"""What HTTP gives about rankings, grades and sums."""

from datetime import datetime
from fractions import Fraction

from api.points.commenting import Sentence
from api.points.recomputing import tenths
from api.points.standing import Grade, Ranking, explain, hundredths
from api.points.standings import Passport, PointsReport, Sum
from api.reports.rules import Span
from api.reports.schemas import span_words
from api.reports.tables import Table
from api.shapes import Answer, WordsAnswer, words_answer


class RankAnswer(Answer):
    """One guard in his class. Rates are points per duty, to the hundredth; `place` None: fewer than five duties."""

    guard: str
    company: str | None
    place: int | None
    total_tenths: int
    points_tenths: int
    duties: int
    rate: str
    shrunk: str
    words: WordsAnswer


class RankingAnswer(Answer):
    """A class of an area. A company sees its own people, a guard himself, with `ranked`: among how many."""

    area: str
    begins: datetime
    ends: datetime
    colour: str | None
    night: bool
    mean: str
    ranked: int
    rows: tuple[RankAnswer, ...]


class GradeAnswer(Answer):
    """What is left of the tenths that everybody begins with, and how often it is checked in a month."""

    left_tenths: int
    grade: str
    checks_a_month: int


class PassportAnswer(Answer):
    """A company on one page. `share`: of its guards that took part in the month, in percent, rounded down."""

    company: str
    name: str
    left_tenths: int
    grade: str
    checks_a_month: int
    guards: int
    active: int
    share: int | None
    share_met: bool | None
    debits: int
    appealed: int
    upheld: int
    review: bool


class SumAnswer(Answer):
    """What was earned, lost and taken back by reversal, in tenths."""

    name: str
    company: str | None
    earned: int
    lost: int
    reversed: int
    total: int
    entries: int


class PointsReportAnswer(Answer):
    """A day, a week, a month or a year of points."""

    area: str
    begins: datetime
    ends: datetime
    guards: tuple[SumAnswer, ...]
    companies: tuple[SumAnswer, ...]
    rules: tuple[SumAnswer, ...]


class SentenceAnswer(Answer):
    """One sentence, and the keys of the facts that it rests on."""

    words: WordsAnswer
    cites: tuple[str, ...]


class CommentAnswer(Answer):
    """A draft: sentences that each cite something; none where there is nothing to cite."""

    area: str
    begins: datetime
    ends: datetime
    sentences: tuple[SentenceAnswer, ...]


def comment_answer(area: str, when: Span, found: tuple[Sentence, ...]) -> CommentAnswer:
    """A draft as HTTP shows it."""
    begins, ends = span_words(when)
    said = tuple(SentenceAnswer(words=words_answer(one.words), cites=one.cites) for one in found)
    return CommentAnswer(area=area, begins=begins, ends=ends, sentences=said)


def ranking_answer(area: str, when: Span, found: Ranking, *, colour: str | None, night: bool) -> RankingAnswer:
    """A class as HTTP shows it."""
    begins, ends = span_words(when)
    return RankingAnswer(
        area=area,
        begins=begins,
        ends=ends,
        colour=colour,
        night=night,
        mean=hundredths(found.mean),
        ranked=found.ranked,
        rows=tuple(
            RankAnswer(
                guard=row.guard,
                company=row.company,
                place=row.place,
                total_tenths=row.total_tenths,
                points_tenths=row.points_tenths,
                duties=row.duties,
                rate=hundredths(row.rate or Fraction(0)),
                shrunk=hundredths(row.shrunk),
                words=words_answer(explain(row, found.mean)),
            )
            for row in found.rows
        ),
    )


def grade_answer(found: Grade) -> GradeAnswer:
    """A grade."""
    return GradeAnswer(left_tenths=found.left_tenths, grade=found.grade, checks_a_month=found.checks)


def passport_answer(found: Passport) -> PassportAnswer:
    """A company."""
    share = found.grade.share
    return PassportAnswer(
        company=found.company,
        name=found.name,
        left_tenths=found.grade.left_tenths,
        grade=found.grade.grade,
        checks_a_month=found.grade.checks,
        guards=found.guards,
        active=found.active,
        share=None if share is None else int(share * 100),
        share_met=found.grade.share_met,
        debits=found.debits,
        appealed=found.appealed,
        upheld=found.upheld,
        review=found.review,
    )


def report_answer(area: str, when: Span, found: PointsReport) -> PointsReportAnswer:
    """Sums."""
    begins, ends = span_words(when)

    def shown(sums: tuple[Sum, ...]) -> tuple[SumAnswer, ...]:
        return tuple(
            SumAnswer(
                name=one.name,
                company=one.company,
                earned=one.earned,
                lost=one.lost,
                reversed=one.reversed,
                total=one.total,
                entries=one.entries,
            )
            for one in sums
        )

    return PointsReportAnswer(
        area=area,
        begins=begins,
        ends=ends,
        guards=shown(found.guards),
        companies=shown(found.companies),
        rules=shown(found.rules),
    )


def report_tables(found: PointsReport) -> list[Table]:
    """The same as tables; points as people write them."""
    columns = ("得分 earned", "扣分 lost", "冲正 reversed", "合计 total", "笔数 entries")

    def row(one: Sum) -> tuple[str | int | None, ...]:
        return (tenths(one.earned), tenths(one.lost), tenths(one.reversed), tenths(one.total), one.entries)

    return [
        Table(
            "保安 Guards",
            ("保安 guard", "公司 company", *columns),
            tuple((one.name, one.company, *row(one)) for one in found.guards),
        ),
        Table("公司 Companies", ("公司 company", *columns), tuple((one.name, *row(one)) for one in found.companies)),
        Table("规则 Rules", ("规则 rule", *columns), tuple((one.name, *row(one)) for one in found.rules)),
    ]
