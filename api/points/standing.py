"""Rankings and grades: pure, exact, the same wherever they are computed.

Theory:

1. The scheme asks for cumulative points; they are shown. The order goes by a rate: points per expected duty, so that
   nobody is last because he worked less.
2. A rate of few duties says little. It is shrunk to the mean of its class as if everybody had WEIGHT duties of the mean
   beside his own: (points + WEIGHT * mean) / (n + WEIGHT). Whoever has fewer than LEAST duties is not ranked.
3. Like with like: a class is the colour of the area, and day or night. Merits belong to no duty; they are in the sum
   and not in the rate.
4. A grade is what is left after the demerits of twelve months that stand for good; pending and appealed ones do not
   count yet. A company's demerits are the mean of its people's, and its own. The grade says how often it is checked.
   Without the share of its guards that takes part, a company is not of the best grade.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from api.points.facts import Fact
from api.points.rules import Band, Grading
from broker.kinds import Words

WEIGHT: Final = 10
LEAST: Final = 5
MERIT: Final = "merit:"
"""How the keys of merits begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An entry as rankings need it."""

    guard: str | None
    company: str | None
    points_tenths: int
    fact: str | None
    colour: str | None
    night: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One guard in one class, rates in tenths per duty. `place` None: not ranked. `total_tenths`: all of the time."""

    guard: str
    company: str | None
    total_tenths: int
    points_tenths: int
    duties: int
    rate: Fraction | None
    shrunk: Fraction
    place: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A class, ranked: the best first, then those who are not ranked. `mean` in tenths per duty."""

    mean: Fraction
    ranked: int
    rows: tuple[Ranked, ...]


def rank(facts: Iterable[Fact], lines: Iterable[Line], *, colour: str | None, night: bool) -> Ranking:
    """Rank the guards who had duties of this class."""
    duties: dict[str, int] = defaultdict(int)
    company: dict[str, str | None] = {}
    for fact in facts:
        if fact.duty and fact.guard is not None and (fact.colour, fact.night) == (colour, night):
            duties[fact.guard] += 1
            company[fact.guard] = fact.company
    points: dict[str, int] = defaultdict(int)
    total: dict[str, int] = defaultdict(int)
    for line in lines:
        if line.guard in duties:
            total[line.guard] += line.points_tenths
            merit = line.fact is not None and line.fact.startswith(MERIT)
            if not merit and (line.colour, line.night) == (colour, night):
                points[line.guard] += line.points_tenths
    all_duties = sum(duties.values())
    mean = Fraction(sum(points.values()), all_duties) if all_duties else Fraction(0)
    shrunk = {guard: (points[guard] + WEIGHT * mean) / (n + WEIGHT) for guard, n in duties.items()}
    counted = [guard for guard, n in duties.items() if n >= LEAST]
    place = {guard: 1 + sum(shrunk[other] > shrunk[guard] for other in counted) for guard in counted}
    rows = [
        Ranked(
            guard=guard,
            company=company[guard],
            total_tenths=total[guard],
            points_tenths=points[guard],
            duties=n,
            rate=Fraction(points[guard], n),
            shrunk=shrunk[guard],
            place=place.get(guard),
        )
        for guard, n in duties.items()
    ]
    rows.sort(key=lambda one: (one.place is None, one.place or 0, one.guard))
    return Ranking(mean=mean, ranked=len(counted), rows=tuple(rows))


def explain(row: Ranked, mean: Fraction) -> Words:
    """How a place came about, in one line."""
    rate, shrunk, middle = hundredths(row.rate or Fraction(0)), hundredths(row.shrunk), hundredths(mean)
    if row.place is None:
        return Words(
            f"{row.duties}班，少于{LEAST}班不排名", f"{row.duties} duties: fewer than {LEAST} are not ranked"
        )  # fmt: skip
    return Words(
        f"{row.duties}班每班{rate}分，与同类平均{middle}分（计{WEIGHT}班）折算为{shrunk}分",
        f"{rate} a duty over {row.duties} duties, drawn to the class mean {middle} (as {WEIGHT} duties): {shrunk}",
    )


def hundredths(tenths: Fraction) -> str:
    """Tenths of points as people read a rate: to the hundredth of a point, half away from zero."""
    whole = (abs(tenths) * 10 * 2 + 1) // 2
    return f"{'-' if tenths < 0 and whole else ''}{whole // 100}.{whole % 100:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What is left and what follows from it. `share`: of guards that took part, where it was asked for."""

    left_tenths: int
    grade: str
    checks: int
    share: Fraction | None = None
    share_met: bool | None = None


def grade(grading: Grading, demerits: Fraction, *, share: Fraction | None = None) -> Grade:
    """`demerits` in tenths, a number of at least 0. Never below zero."""
    left = max(0, int((grading.of - demerits) // 1))
    band = next(one for one in grading.bands if left >= one.least)
    met = None if share is None else share * 100 >= grading.share
    if met is False:
        band = _not_the_best(grading.bands, band)
    return Grade(left_tenths=left, grade=band.grade, checks=band.checks, share=share, share_met=met)


def _not_the_best(bands: Sequence[Band], band: Band) -> Band:
    return bands[1] if band is bands[0] and len(bands) > 1 else band


def mean_demerits(of_guards: Iterable[int], guards: int, own: int = 0) -> Fraction:
    """A company's or an area's: the mean over its guards, and what it lost itself. All in tenths, at least 0."""
    return (Fraction(sum(of_guards), guards) if guards else Fraction(0)) + own
