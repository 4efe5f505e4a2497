"""Rankings and grades without tables: few duties say little, like with like, grades say how often one is checked."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.points.facts import Fact
from api.points.rules import default
from api.points.standing import LEAST, Line, Ranking, explain, grade, hundredths, mean_demerits, rank

NOW = 1_800_000_000_000


def duties(guard: str, n: int, *, colour: str | None = "red", night: bool = False) -> list[Fact]:
    return [
        Fact(
            key=f"{guard}:{colour}:{night}:{number}", guard=guard, company="co1", area="north", occurred_ms=NOW,
            colour=colour, night=night, duty=True,
        )
        for number in range(n)
    ]  # fmt: skip


def line(
    guard: str, tenths: int, *, colour: str | None = "red", night: bool = False, fact: str | None = "round:1"
) -> Line:
    return Line(guard=guard, company="co1", points_tenths=tenths, fact=fact, colour=colour, night=night)


def ranked(facts: list[Fact], lines: list[Line]) -> Ranking:
    return rank(facts, lines, colour="red", night=False)


@pytest.mark.proves("P8")
def test_whoever_had_one_lucky_duty_is_not_before_whoever_was_good_in_forty() -> None:
    facts = [*duties("steady", 40), *duties("lucky", 6), *duties("poor", 40)]
    found = ranked(facts, [line("steady", 360), line("lucky", 60), line("poor", -100)])
    places = {row.guard: row.place for row in found.rows}
    assert places == {"steady": 1, "lucky": 2, "poor": 3}
    lucky = next(row for row in found.rows if row.guard == "lucky")
    assert (lucky.rate, lucky.rate > Fraction(360, 40) if lucky.rate else False) == (Fraction(10), True)
    assert lucky.shrunk == (60 + 10 * found.mean) / 16


@pytest.mark.proves("P8")
def test_fewer_than_five_duties_are_shown_and_not_ranked() -> None:
    found = ranked([*duties("new", LEAST - 1), *duties("old", LEAST)], [line("new", 900)])
    assert [(row.guard, row.place) for row in found.rows] == [("old", 1), ("new", None)]
    assert (found.ranked, explain(found.rows[1], found.mean).en) == (1, "4 duties: fewer than 5 are not ranked")


@pytest.mark.proves("P8")
def test_only_like_is_compared_with_like_and_merits_are_in_the_sum_alone() -> None:
    facts = [*duties("a", 5), *duties("a", 5, night=True), *duties("b", 5, colour="blue")]
    lines = [line("a", 10), line("a", -50, night=True), line("a", 100, fact="merit:J1:a"), line("b", 90, colour="blue")]
    (row,) = ranked(facts, lines).rows
    assert (row.guard, row.points_tenths, row.total_tenths, row.duties) == ("a", 10, 60, 5)


@pytest.mark.proves("P8")
def test_the_place_is_explained_in_one_line_in_both_languages() -> None:
    found = ranked(duties("a", 10), [line("a", 75)])
    said = explain(found.rows[0], found.mean)
    assert said.zh == "10班每班0.75分，与同类平均0.75分（计10班）折算为0.75分"
    assert "\n" not in said.en


@pytest.mark.proves("P8")
@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 60), st.integers(-300, 300)), min_size=1))
def test_a_shrunk_rate_is_between_the_own_rate_and_the_mean_and_nobody_better_is_behind(
    people: dict[str, tuple[int, int]],
) -> None:
    found = ranked(
        [fact for guard, (n, _) in people.items() for fact in duties(guard, n)],
        [line(guard, tenths) for guard, (_, tenths) in people.items()],
    )
    for row in found.rows:
        assert row.rate is not None
        assert min(row.rate, found.mean) <= row.shrunk <= max(row.rate, found.mean)
        assert (row.place is None) == (row.duties < LEAST)
    placed = [row for row in found.rows if row.place is not None]
    assert [row.shrunk for row in placed] == sorted((row.shrunk for row in placed), reverse=True)


@pytest.mark.proves("P8")
@pytest.mark.parametrize(
    ("lost", "letter", "checks"),
    [(0, "A", 1), (1, "B", 2), (50, "B", 2), (51, "C", 4), (90, "C", 4), (91, "D", 5), (999, "D", 5)],
)
def test_a_grade_is_what_is_left_of_twelve_and_says_how_often_one_is_checked(
    lost: int, letter: str, checks: int
) -> None:
    found = grade(default().grading, Fraction(lost))
    assert (found.grade, found.checks) == (letter, checks)
    assert found.left_tenths == max(0, 120 - lost)


@pytest.mark.proves("P8")
def test_without_thirty_percent_taking_part_a_company_is_not_of_the_best_grade() -> None:
    grading = default().grading
    assert grade(grading, Fraction(0), share=Fraction(3, 10)).grade == "A"
    assert grade(grading, Fraction(0), share=Fraction(29, 100)).grade == "B"
    assert grade(grading, Fraction(60), share=Fraction(29, 100)).grade == "C"


@pytest.mark.proves("P8")
def test_a_companys_demerits_are_the_mean_of_its_people_and_its_own() -> None:
    assert mean_demerits([20, 10], 4, own=10) == Fraction(30, 4) + 10
    assert mean_demerits([], 0) == 0


@given(st.fractions(min_value=-1_000, max_value=1_000))
def test_a_rate_is_shown_to_the_nearest_hundredth(tenths: Fraction) -> None:
    assert abs(Fraction(hundredths(tenths)) * 10 - tenths) <= Fraction(1, 20)
