"""Evaluation against brute force on small rounds, and what holds of it whatever was read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.patrols.aligning import assign, in_order
from api.patrols.rules import (
    REPEAT_MS,
    Evaluation,
    Excuse,
    Expected,
    Order,
    Outcome,
    Reason,
    RoundPlan,
    evaluate,
)

MINUTE_MS: Final = 60_000
APART: Final = 4
"""Minutes between readings that are no repeats of one another."""
POINTS: Final = "ABC"
LONG_AFTER: Final = 10_000 * MINUTE_MS
WORSE: Final = {Outcome.ON_TIME: 0, Outcome.EARLY: 1, Outcome.LATE: 1, Outcome.MISSED: 2, Outcome.EXCUSED: 3}


@dataclass(frozen=True)
class Read:
    id: str
    guard: str | None
    point: str | None
    at_ms: int


times = st.integers(0, 15).map(lambda step: step * APART * MINUTE_MS)
expecteds = st.builds(
    Expected,
    point=st.sampled_from(POINTS),
    at_ms=st.none() | st.integers(0, 60).map(lambda minute: minute * MINUTE_MS),
    buffer_ms=st.integers(0, 12).map(lambda minute: minute * MINUTE_MS),
    extended_ms=st.integers(0, 20).map(lambda minute: minute * MINUTE_MS),
    optional=st.booleans(),
)


def plans(*orders: Order, most: int = 5) -> st.SearchStrategy[RoundPlan]:
    return st.builds(
        RoundPlan,
        id=st.just("r"),
        order=st.sampled_from(orders),
        expected=st.lists(expecteds, min_size=1, max_size=most).map(tuple),
        starts_ms=st.just(0),
        ends_ms=st.integers(0, 60).map(lambda minute: minute * MINUTE_MS),
    )


def reads(most: int = 5) -> st.SearchStrategy[list[Read]]:
    """At most one reading at a moment, each far enough from the next to be a stay of its own."""
    found = st.dictionaries(times, st.sampled_from(POINTS), max_size=most)
    return found.map(lambda them: [Read(f"c{at}", "g", point, at) for at, point in them.items()])


def matched(found: Evaluation, *, chained: bool | None = None) -> dict[int, int]:
    """Visit to time of its check-in; `chained`: only those in order, or only the others."""
    return {
        index: visit.detail.at_ms
        for index, visit in enumerate(found.visits)
        if visit.detail.at_ms is not None and (chained is None or visit.detail.out_of_order is not chained)
    }


def timing(plan: RoundPlan, index: int, at_ms: int) -> str | None:
    """The two bands, written down a second time and otherwise."""
    one = plan.expected[index]
    low, high = (plan.starts_ms, plan.ends_ms) if one.at_ms is None else (one.at_ms, one.at_ms)
    beside = max(low - at_ms, at_ms - high, 0)
    if beside <= one.buffer_ms:
        return "on time"
    return "kept" if beside <= one.buffer_ms + one.extended_ms else None


def distance(plan: RoundPlan, index: int, at_ms: int) -> int:
    one = plan.expected[index]
    if one.at_ms is not None:
        return abs(at_ms - one.at_ms)
    return max(plan.starts_ms - one.buffer_ms - at_ms, at_ms - plan.ends_ms - one.buffer_ms, 0)


def assignments(plan: RoundPlan, visits: Sequence[int], readings: Sequence[Read]) -> Iterator[dict[int, int]]:
    """Every way in which these visits may have these readings."""
    if not visits:
        yield {}
        return
    first, *rest = visits
    yield from assignments(plan, rest, readings)
    for number, one in enumerate(readings):
        if one.point == plan.expected[first].point and timing(plan, first, one.at_ms):
            others = [*readings[:number], *readings[number + 1 :]]
            for more in assignments(plan, rest, others):
                yield {first: one.at_ms, **more}


def worth(plan: RoundPlan, pairs: Mapping[int, int], visits: Sequence[int]) -> tuple[object, ...]:
    """What `evaluate` says that it makes greatest where there is no order."""
    by_right = sorted(visits, key=lambda index: (plan.expected[index].optional, index))
    kinds = [timing(plan, index, pairs[index]) if index in pairs else None for index in by_right]
    spent = sum(distance(plan, index, at) for index, at in pairs.items())
    on_time = tuple(kind == "on time" for kind in kinds)
    return sum(on_time), on_time, sum(1 for kind in kinds if kind), tuple(kind is not None for kind in kinds), -spent


@pytest.mark.proves("P3")
@given(plan=plans(Order.FREE, most=4), readings=reads(5))
def test_in_any_order_nothing_better_can_be_made_of_what_was_read(plan: RoundPlan, readings: list[Read]) -> None:
    found = matched(evaluate(plan, readings, LONG_AFTER))
    for point in POINTS:  # points do not compete
        visits = [index for index, one in enumerate(plan.expected) if one.point == point]
        mine = {index: at for index, at in found.items() if index in visits}
        best = max(worth(plan, pairs, visits) for pairs in assignments(plan, visits, readings))
        assert worth(plan, mine, visits) == best


@pytest.mark.proves("P3")
@given(plan=plans(Order.ORDERED, Order.TIMED), readings=reads())
def test_in_exact_order_no_alignment_keeps_more_in_order(plan: RoundPlan, readings: list[Read]) -> None:
    found = evaluate(plan, readings, LONG_AFTER)
    everything = range(len(plan.expected))

    def value(pairs: Mapping[int, int]) -> tuple[int, int, int, int]:
        optional = sum(plan.expected[index].optional for index in pairs)
        on_time = sum(timing(plan, index, at) == "on time" for index, at in pairs.items())
        return len(pairs) - optional, optional, on_time, -sum(distance(plan, *pair) for pair in pairs.items())

    rising = (
        pairs
        for pairs in assignments(plan, everything, readings)
        if [*pairs.values()] == sorted(pairs.values())  # visits come in the order of the plan
    )
    chain = matched(found, chained=True)
    assert [at for _, at in sorted(chain.items())] == sorted(chain.values())
    assert value(chain) == max(map(value, rising))
    left = [index for index in everything if index not in chain]
    spare = [one for one in readings if one.at_ms not in chain.values()]
    others = matched(found, chained=False)
    for point in POINTS:
        visits = [index for index in left if plan.expected[index].point == point]
        mine = {index: at for index, at in others.items() if index in visits}
        best = max(worth(plan, pairs, visits) for pairs in assignments(plan, visits, spare))
        assert worth(plan, mine, visits) == best


gains = st.lists(st.dictionaries(st.integers(0, 3), st.integers(1, 50), max_size=4), min_size=1, max_size=4)


@given(rows=gains)
def test_an_assignment_is_worth_as_much_as_the_best_of_all(rows: list[dict[int, int]]) -> None:
    def sums() -> Iterator[int]:
        for chosen in permutations([*range(4), *[None] * len(rows)], len(rows)):
            yield sum(row.get(column, 0) for row, column in zip(rows, chosen, strict=True) if column is not None)

    found = assign(rows, 4)
    assert len(set(found.values())) == len(found)
    assert sum(rows[row][column] for row, column in found.items()) == max(sums())
    rising = in_order(rows, 4)
    assert [*rising] == sorted(rising)
    assert sorted(set(rising.values())) == [*rising.values()]


@pytest.mark.proves("P3")
@given(plan=plans(*Order), readings=reads(), by=st.integers(-(10**9), 10**13), as_of=times)
def test_at_another_hour_everything_is_judged_the_same(
    plan: RoundPlan, readings: list[Read], by: int, as_of: int
) -> None:
    moved = replace(
        plan,
        starts_ms=plan.starts_ms + by,
        ends_ms=plan.ends_ms + by,
        expected=tuple(replace(one, at_ms=None if one.at_ms is None else one.at_ms + by) for one in plan.expected),
    )
    then = evaluate(moved, [replace(one, at_ms=one.at_ms + by) for one in readings], as_of + by)
    now = evaluate(plan, readings, as_of)
    assert [(one.outcome, one.check_in, one.due_ms - by, one.closes_ms - by) for one in then.visits] == [
        (one.outcome, one.check_in, one.due_ms, one.closes_ms) for one in now.visits
    ]
    assert then.unused == now.unused


@pytest.mark.proves("P3")
@given(plan=plans(*Order), readings=reads(), data=st.data())
def test_duplicates_and_the_order_of_arrival_change_nothing(
    plan: RoundPlan, readings: list[Read], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(readings), max_size=3)) if readings else []
    renamed = [replace(one, id=f"{one.id}-again") for one in again]
    shuffled = data.draw(st.permutations([*readings, *again, *renamed]))
    once, more = evaluate(plan, readings, LONG_AFTER), evaluate(plan, shuffled, LONG_AFTER)
    assert [(one.outcome, one.check_in, one.detail.at_ms) for one in more.visits] == [
        (one.outcome, one.check_in, one.detail.at_ms) for one in once.visits
    ]


@pytest.mark.proves("P3")
@given(plan=plans(Order.FREE, most=6), readings=reads(8), data=st.data())
def test_one_check_in_more_makes_no_other_visit_worse(
    plan: RoundPlan, readings: list[Read], data: st.DataObject
) -> None:
    taken = {one.at_ms for one in readings}
    at_ms = data.draw(times.filter(lambda at: at not in taken))
    one_more = Read("more", "g", data.draw(st.sampled_from(POINTS)), at_ms)
    before, after = evaluate(plan, readings, LONG_AFTER), evaluate(plan, [*readings, one_more], LONG_AFTER)
    for was, is_ in zip(before.visits, after.visits, strict=True):
        assert WORSE[is_.detail.timing] <= WORSE[was.detail.timing]


@given(plan=plans(*Order), readings=reads(), as_of=times)
def test_what_comes_later_is_not_known_yet(plan: RoundPlan, readings: list[Read], as_of: int) -> None:
    known = [one for one in readings if one.at_ms <= as_of]
    found = evaluate(plan, readings, as_of)
    assert found == evaluate(plan, known, as_of)
    for visit in found.visits:
        assert (visit.detail.timing is Outcome.PENDING) == (visit.check_in is None and as_of <= visit.closes_ms)
    told = [visit.check_in for visit in found.visits if visit.check_in] + [*found.unused]
    repeated = [one for visit in found.visits for one in visit.detail.repeats]
    assert sorted(told + repeated) == sorted(one.id for one in known)  # nothing is lost, nothing counts twice


@given(
    plan=plans(*Order),
    readings=reads(),
    legs=st.dictionaries(
        st.tuples(st.sampled_from(POINTS), st.sampled_from(POINTS)), st.integers(0, 20 * MINUTE_MS), max_size=6
    ),
)
def test_walking_time_only_ever_adds_too_fast(
    plan: RoundPlan, readings: list[Read], legs: dict[tuple[str, str], int]
) -> None:
    bare = evaluate(plan, readings, LONG_AFTER)
    walked = evaluate(replace(plan, legs=legs), readings, LONG_AFTER)
    for was, is_ in zip(bare.visits, walked.visits, strict=True):
        assert is_.check_in == was.check_in
        assert is_.outcome in {was.outcome, Outcome.TOO_FAST} or is_.detail.too_fast
        assert is_.detail.timing == was.detail.timing


@given(
    plan=plans(*Order),
    readings=reads(),
    span=st.tuples(times, times),
    points=st.none() | st.frozensets(st.sampled_from(POINTS)),
)
def test_an_excuse_takes_away_and_adds_nothing(
    plan: RoundPlan, readings: list[Read], span: tuple[int, int], points: frozenset[str] | None
) -> None:
    excuse = Excuse(from_ms=min(span), to_ms=max(span), reason=Reason.POWER, evidence="fault:1", points=points)
    bare = evaluate(plan, readings, LONG_AFTER)
    excused = evaluate(replace(plan, excuses=(excuse,)), readings, LONG_AFTER)
    for was, is_ in zip(bare.visits, excused.visits, strict=True):
        assert is_.outcome in {was.outcome, Outcome.EXCUSED}
        if was.outcome is Outcome.ON_TIME:
            assert is_ == was


def test_reading_again_within_three_minutes_is_one_visit_and_after_that_another() -> None:
    plan = RoundPlan(
        id="r", order=Order.FREE, expected=(Expected(point="A"), Expected(point="A")), starts_ms=0, ends_ms=10**7
    )
    outcomes = [
        [visit.outcome for visit in evaluate(plan, [Read("1", "g", "A", 0), Read("2", "g", "A", at)], 10**8).visits]
        for at in (REPEAT_MS, REPEAT_MS + 1)
    ]
    assert outcomes == [[Outcome.ON_TIME, Outcome.MISSED], [Outcome.ON_TIME, Outcome.ON_TIME]]


def test_a_plan_that_makes_no_sense_is_judged_all_the_same() -> None:
    plan = RoundPlan(
        id="r",
        order=Order.TIMED,
        expected=(Expected(point="A", at_ms=5, buffer_ms=-9, extended_ms=-9, dwell_ms=-1),),
        starts_ms=100,
        ends_ms=-100,
    )
    found = evaluate(plan, [Read("1", None, "A", 5), Read("2", None, None, 5)], 6)
    assert [visit.outcome for visit in found.visits] == [Outcome.ON_TIME]
    assert found.unused == ("2",)
    assert evaluate(replace(plan, expected=()), [], 0) == Evaluation(visits=(), unused=())
