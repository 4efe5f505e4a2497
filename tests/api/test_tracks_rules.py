"""Reverse look-up, nearest guards and coverage without tables, against looking at every moment."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.rules import CheckIn, Source
from api.tracks.rules import (
    ANSWER_WORDS,
    BECAUSE_WORDS,
    SOURCE_WORDS,
    Answer,
    Band,
    Because,
    Finding,
    Shift,
    Walk,
    coverage,
    look_up,
    nearest,
)
from api.tracks.ways import By, Least, Ways, metres

POINTS = "pqrst"
ROUTE = tuple(POINTS)


def seen(point: str, at_ms: int, *, guard: str = "g", source: Source = Source.FIXED_READER) -> CheckIn:
    return CheckIn(
        id=f"{guard}-{point}-{at_ms}",
        guard=guard,
        tag=None,
        point=point,
        source=source,
        at_ms=at_ms,
        device_ms=None,
        server_ms=at_ms,
        skew_ms=None,
        flags=frozenset(),
    )


LINE = Ways(dict.fromkeys(pairwise(POINTS), 10))
SHIFT = Shift("g", 0, 200)
WALK = Walk(guard="g", route="r", points=ROUTE, from_ms=0, to_ms=200)


def asked(point: str, from_ms: int, to_ms: int, *made: CheckIn, walks: tuple[Walk, ...] = ()) -> tuple[Finding, ...]:
    return look_up(point, from_ms, to_ms, check_ins=made, shifts=[SHIFT], walks=walks, ways=LINE)


@pytest.mark.proves("P4")
def test_the_three_answers_each_with_its_evidence_and_weight() -> None:
    first, last = seen("p", 50), seen("t", 100, source=Source.QR)
    (was,) = asked("p", 40, 60, first, last)
    assert (was.answer, was.evidence, was.weight) == (Answer.WAS_THERE, (first,), Source.FIXED_READER.weight)
    (must,) = asked("r", 40, 120, first, last, walks=(WALK,))
    assert (must.answer, must.because, must.route) == (Answer.MUST_HAVE_PASSED, Because.ON_ROUTE, "r")
    assert (must.evidence, must.weight) == ((first, last), Source.QR.weight)
    assert (must.from_ms, must.to_ms) == (70, 80)
    (could,) = asked("r", 75, 78, first, last, walks=(WALK,))
    assert (could.answer, could.because, could.from_ms, could.to_ms) == (
        Answer.COULD_HAVE_BEEN,
        Because.BY_LEGS,
        75,
        77,
    )
    assert asked("r", 50, 70, first, last) == ()
    assert asked("r", 81, 100, first, last) == ()


def least(one: str, other: str) -> int:
    return abs(POINTS.index(one) - POINTS.index(other)) * 10


@st.composite
def strolls(draw: st.DrawFn) -> list[CheckIn]:
    """What somebody can have done who walks the line: never faster than its legs."""
    found: list[CheckIn] = []
    at_ms = draw(st.integers(0, 60))
    for _ in range(draw(st.integers(0, 6))):
        point = draw(st.sampled_from(POINTS))
        if found:
            at_ms = found[-1].at_ms + least(found[-1].point or "", point) + draw(st.integers(1, 25))
        if at_ms < SHIFT.to_ms:
            found.append(seen(point, at_ms, source=draw(st.sampled_from(Source))))
    return found


windows = st.tuples(st.integers(-20, 220), st.integers(1, 60)).map(lambda one: (one[0], one[0] + one[1]))


@pytest.mark.proves("P4")
@given(strolls(), st.sampled_from(POINTS), windows)
def test_who_could_have_been_there_is_who_could_at_some_moment_by_every_check_in(
    made: list[CheckIn], point: str, window: tuple[int, int]
) -> None:
    found = asked(point, *window, *made)
    moments = [
        at_ms
        for at_ms in range(max(window[0], SHIFT.from_ms), min(window[1], SHIFT.to_ms))
        if all(abs(at_ms - one.at_ms) >= least(point, one.point or "") for one in made)
    ]
    was = [one for one in made if one.point == point and window[0] <= one.at_ms < window[1]]
    if not made:
        assert {one.because for one in found} <= {Because.NO_CHECK_IN}
    elif was:
        assert [one.evidence for one in found] == [tuple(was)]
    else:
        assert {one.answer for one in found} == ({Answer.COULD_HAVE_BEEN} if moments else set())
        spans = {at_ms for one in found for at_ms in range(one.from_ms, one.to_ms + 1)}
        assert spans == {*moments}


@pytest.mark.proves("P4")
@given(strolls(), st.sampled_from(POINTS[1:-1]), windows)
def test_who_must_have_passed_is_who_was_before_it_and_later_behind_it_on_the_route(
    made: list[CheckIn], point: str, window: tuple[int, int]
) -> None:
    inside = [POINTS.index(one.point or "") for one in made if window[0] <= one.at_ms < window[1]]
    x = POINTS.index(point)
    crossed = any(a < x < b for first, a in enumerate(inside) for b in inside[first:])
    found = {one.answer for one in asked(point, *window, *made, walks=(WALK,))}
    if x in inside:
        assert found == {Answer.WAS_THERE}
    else:
        assert (Answer.MUST_HAVE_PASSED in found) is crossed


@pytest.mark.proves("P4")
@given(strolls(), st.sampled_from(POINTS), windows, windows)
def test_a_wider_window_never_takes_an_answer_away(
    made: list[CheckIn], point: str, one: tuple[int, int], other: tuple[int, int]
) -> None:
    order = [*Answer, None]
    wide = min(one[0], other[0]), max(one[1], other[1])
    narrow = [order.index(found.answer) for found in asked(point, *one, *made, walks=(WALK,))]
    wider = [order.index(found.answer) for found in asked(point, *wide, *made, walks=(WALK,))]
    assert not narrow or min(wider) <= min(narrow)


@pytest.mark.proves("P4")
def test_outside_a_shift_nobody_has_a_position() -> None:
    assert asked("p", 190, 300, seen("p", 250)) == asked("p", 190, 200)
    assert asked("p", 200, 300, seen("p", 250), seen("q", 100)) == ()


def test_what_can_neither_be_said_nor_ruled_out_is_named() -> None:
    assert [one.because for one in asked("p", 0, 10)] == [Because.NO_CHECK_IN]
    strange = asked("nowhere", 60, 90, seen("p", 50), seen("q", 100))
    assert [(one.answer, one.because) for one in strange] == [(Answer.CANNOT_SAY, Because.NO_WAY_KNOWN)]
    both = asked("r", 50, 60, seen("p", 50), seen("t", 55))
    assert [(one.answer, one.because) for one in both] == [(Answer.CANNOT_SAY, Because.IMPOSSIBLE)]


def test_nobody_must_have_passed_who_had_no_time_to_or_whose_route_has_another_way() -> None:
    quick = asked("r", 40, 90, seen("p", 50), seen("t", 80), walks=(WALK,))
    assert [one.answer for one in quick] == [Answer.CANNOT_SAY]
    twice = Walk(guard="g", route="r", points=("p", "q", "p", "r", "s"), from_ms=0, to_ms=200)
    either = asked("q", 0, 200, seen("p", 50), seen("s", 100), walks=(twice,))
    assert {one.answer for one in either} == {Answer.COULD_HAVE_BEEN}


def test_least_times_are_the_leg_or_a_shorter_way_else_the_straight_line_at_the_limit() -> None:
    ways = Ways({("a", "b"): 60_000, ("b", "c"): 30_000, ("a", "c"): 120_000}, {"a": (0, 0), "d": (0, 10_000_000)})
    assert ways.least("a", "c") == Least(90_000, By.LEGS)
    assert ways.least("c", "a") == Least(90_000, By.LEGS)
    assert ways.least("b", "d") is None
    assert metres((0, 0), (0, 10_000_000)) == pytest.approx(111_195, abs=1)
    straight = ways.least("a", "d")
    assert straight is not None
    assert (straight.by, straight.ms // 1_000) == (By.SPEED, 111_194 // 7)


@pytest.mark.proves("P10")
def test_the_nearest_is_who_is_there_soonest_at_the_latest_and_only_who_is_on_duty() -> None:
    shifts = [Shift("a", 0, 200), Shift("b", 0, 200), Shift("c", 0, 200), Shift("off", 0, 90), Shift("new", 95, 200)]
    made = [
        seen("q", 10, guard="a"),
        seen("r", 95, guard="b"),
        seen("p", 5, guard="b"),
        seen("x", 99, guard="c"),
        seen("p", 80, guard="off"),
        seen("p", 80, guard="new"),
        seen("p", 120, guard="a"),
    ]
    found = nearest("p", 100, last=made, shifts=shifts, ways=LINE)
    assert [(one.guard, one.least_ms, one.most_ms) for one in found] == [
        ("b", 20, 25),
        ("a", 10, 100),
        ("c", None, None),
    ]


@st.composite
def bands(draw: st.DrawFn) -> list[Band]:
    edges = sorted(draw(st.sets(st.integers(-10, 130), min_size=2, max_size=5)))
    return [
        Band(colour="red", limit_ms=draw(st.integers(1, 40)), from_ms=begins, to_ms=ends)
        for begins, ends in pairwise(edges)
    ]


@pytest.mark.proves("P4")
@given(st.lists(st.integers(-10, 130), max_size=8), bands())
def test_coverage_is_what_looking_at_every_moment_gives(passed: list[int], limits: list[Band]) -> None:
    found = coverage(passed, limits, 0, 120)
    kept = over = 0
    for at_ms in range(120):
        limit = next((band.limit_ms for band in limits if band.from_ms <= at_ms < band.to_ms), None)
        last = max([0, *(one for one in passed if 0 <= one <= at_ms)])
        if limit is not None:
            kept += at_ms - last < limit
            over += at_ms - last >= limit
    assert (found.kept_ms, sum(gap.over_ms for gap in found.gaps)) == (kept, over)


def test_every_answer_and_every_reason_has_its_words() -> None:
    assert {*ANSWER_WORDS} == {*Answer}
    assert {*BECAUSE_WORDS} == {*Because}
    assert {*SOURCE_WORDS} == {*Source}
