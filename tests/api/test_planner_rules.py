"""The staggered planner without tables: its bounds hold for every seed, and what cannot be is named."""

import hashlib
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.planner.draws import Draws, commitment
from api.planner.regularity import GUESSABLE, regularity
from api.planner.rules import MINUTE_MS, WHY_WORDS, Draft, Duty, Pass, Refusal, Shift, Why, broken, draft

T0 = 1_800_000_000_000
HOUR = 60


def at(minute: float) -> int:
    return T0 + round(minute * MINUTE_MS)


def shift(team: str, starts: int, ends: int, *, round_: int = 40, most: int = 99) -> Shift:
    return Shift(team=team, starts_ms=at(starts), ends_ms=at(ends), round_ms=round_ * MINUTE_MS, most=most)


def duty(
    *shifts: Shift, ends: int = 8 * HOUR, limit: int = HOUR, apart: int = 10, others: tuple[float, ...] = ()
) -> Duty:
    return Duty(
        starts_ms=T0,
        ends_ms=at(ends),
        limit_ms=limit * MINUTE_MS,
        apart_ms=apart * MINUTE_MS,
        others_ms=tuple(at(minute) for minute in others),
        shifts=shifts,
    )


NIGHT = duty(shift("a", 0, 480), shift("b", 0, 480), shift("c", 120, 480), others=(35, 190.5, 300, 700, -20))

seeds = st.binary(min_size=16, max_size=16)


@pytest.mark.proves("P2")
@given(seeds)
def test_every_bound_holds_for_every_seed(seed: bytes) -> None:
    found = draft(NIGHT, seed)
    assert isinstance(found, Draft)
    assert broken(NIGHT, found.passes) == ()
    assert found.widest_ms <= NIGHT.limit_ms


@st.composite
def duties(draw: st.DrawFn) -> Duty:
    """Whatever a station might ask for, sensible or not."""
    ends = draw(st.integers(-1, 600))
    shifts = tuple(
        shift(
            draw(st.sampled_from("abc")),
            start := draw(st.integers(-60, 500)),
            start + draw(st.integers(0, 500)),
            round_=draw(st.integers(0, 90)),
            most=draw(st.integers(0, 12)),
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    others = tuple(draw(st.lists(st.integers(-50, 650), max_size=8)))
    return duty(*shifts, ends=ends, limit=draw(st.integers(5, 240)), apart=draw(st.integers(0, 40)), others=others)


@pytest.mark.proves("P2")
@settings(deadline=None, max_examples=300)
@given(duties(), seeds)
def test_whatever_is_asked_there_is_a_plan_that_keeps_every_bound_or_a_named_reason(asked: Duty, seed: bytes) -> None:
    found = draft(asked, seed)
    assert found == draft(asked, seed)
    if isinstance(found, Draft):
        assert broken(asked, found.passes) == ()
    else:
        assert found
        assert all(one.why in WHY_WORDS for one in found)


@pytest.mark.proves("P2")
@pytest.mark.parametrize("number", range(10))
def test_teams_of_areas_beside_one_another_do_not_go_in_step_where_there_is_room(number: int) -> None:
    """Two areas that are alike are drafted one after the other; their colour leaves room for both."""
    wide = duty(shift("a", 0, 480), shift("b", 0, 480), limit=2 * HOUR, others=(200,))
    first = draft(wide, bytes([number] * 16))
    assert isinstance(first, Draft)
    asked = replace(wide, beside_ms=tuple(one.at_ms for one in first.passes))
    second = draft(asked, bytes([number + 1] * 16))
    assert isinstance(second, Draft)
    assert broken(asked, second.passes) == ()
    assert second.in_step == 0
    assert min(abs(a.at_ms - b.at_ms) for a in first.passes for b in second.passes) >= wide.apart_ms


@pytest.mark.proves("P2")
@settings(deadline=None, max_examples=40)
@given(duties(), seeds, st.lists(st.integers(0, 600), max_size=60))
def test_what_areas_beside_this_one_do_never_makes_a_plan_impossible(
    asked: Duty, seed: bytes, beside: list[int]
) -> None:
    alone, found = draft(asked, seed), draft(replace(asked, beside_ms=tuple(map(at, beside))), seed)
    gave_up = {Why.GAVE_UP, Why.NO_FIT}
    if isinstance(alone, Draft):
        assert isinstance(found, Draft) or {one.why for one in found} == {Why.GAVE_UP}
    elif not {one.why for one in alone} & gave_up:
        assert found == alone
    if isinstance(found, Draft):
        assert broken(asked, found.passes) == ()


def test_without_rounds_beside_it_a_seed_draws_as_ever() -> None:
    """Seeds that were told for plans of before make those plans anew."""
    found = draft(NIGHT, bytes(16))
    assert isinstance(found, Draft)
    digest = hashlib.sha256(repr([((one.at_ms - T0) // MINUTE_MS, one.team) for one in found.passes]).encode())
    assert digest.hexdigest() == "8c327d02ada13e1b87fbb6e4a7b16921db21343b5e753cae18a685efbb36ee9d"


@st.composite
def small_duties(draw: st.DrawFn) -> Duty:
    """Small enough to look at every plan that there is: at most twelve minutes."""
    shifts = tuple(
        shift(team, draw(st.integers(0, 4)), draw(st.integers(7, 12)), round_=draw(st.integers(1, 3)), most=most)
        for team, most in zip("ab", draw(st.lists(st.integers(1, 4), max_size=2)), strict=False)
    )
    others = tuple(draw(st.sets(st.integers(0, 11), max_size=2)))
    return duty(*shifts, ends=draw(st.integers(6, 12)), limit=draw(st.integers(2, 6)), apart=1, others=others)


def any_plan(asked: Duty) -> bool:
    """Whether there is a plan, by trying every team or nobody at every minute."""
    minutes = (asked.ends_ms - asked.starts_ms) // MINUTE_MS
    teams = [one.team for one in asked.shifts]
    return any(
        not broken(asked, [Pass(at(minute), team) for minute, team in enumerate(chosen) if team])
        for chosen in product(["", *teams], repeat=minutes)
    )


@pytest.mark.proves("P2")
@settings(deadline=None, max_examples=60)
@given(small_duties(), seeds)
def test_it_finds_a_plan_exactly_where_trying_everything_finds_one(asked: Duty, seed: bytes) -> None:
    if len(asked.shifts) == 2 and asked.ends_ms > at(9):
        asked = replace(asked, ends_ms=at(9))
    assert isinstance(draft(asked, seed), Draft) == any_plan(asked)


@pytest.mark.proves("P2")
def test_what_police_pass_already_is_left_and_the_gap_is_filled_first() -> None:
    often = tuple(range(20, 480, 40))
    assert draft(duty(shift("a", 0, 480), others=often), b"s") == Draft((), 40 * MINUTE_MS)
    thin = draft(duty(shift("a", 0, 480), others=tuple(m for m in often if not 200 < m < 300)), b"s")
    assert isinstance(thin, Draft)
    assert thin.passes
    assert all(at(180) < one.at_ms < at(300) for one in thin.passes)


@pytest.mark.proves("P2")
def test_two_nights_of_one_team_are_not_the_same() -> None:
    found = [draft(NIGHT, bytes([number])) for number in range(20)]
    assert len({one.passes for one in found if isinstance(one, Draft)}) == 20


@pytest.mark.proves("P2")
@pytest.mark.parametrize(
    ("asked", "refusals"),
    [
        (duty(ends=0), [Refusal(why=Why.BAD_SPAN, from_ms=T0, to_ms=T0)]),
        (duty(limit=15, others=(1,)), [Refusal(why=Why.BAD_LIMIT)]),
        (duty(shift("a", 0, 30), ends=50), [Refusal(why=Why.BAD_SHIFT, team="a", from_ms=T0, to_ms=at(30))]),
        (
            duty(shift("a", 0, 300), shift("a", 200, 480)),
            [Refusal(why=Why.OVERLAPPING_SHIFTS, team="a", from_ms=at(200), to_ms=at(300))],
        ),
        (
            duty(shift("a", 0, 240), shift("b", 330, 480), others=(290,)),
            [Refusal(why=Why.NOBODY, from_ms=at(200), to_ms=at(290))],
        ),
        (duty(shift("a", 0, 480, most=6)), [Refusal(why=Why.TOO_FEW, from_ms=T0, to_ms=at(440), needed=7, there=6)]),
        (duty(shift("a", 0, 480, round_=70)), [Refusal(why=Why.NOBODY, from_ms=at(410), to_ms=at(480))]),
        (
            duty(shift("a", 0, 480, round_=61), others=(460,)),
            [Refusal(why=Why.NO_FIT, from_ms=at(60), to_ms=at(460))],
        ),
    ],
)
def test_what_cannot_be_is_named_and_not_bent(asked: Duty, refusals: list[Refusal]) -> None:
    assert draft(asked, b"s") == tuple(refusals)


def test_where_the_limit_leaves_no_choice_the_only_plan_is_found() -> None:
    tight = duty(shift("a", 0, 540, round_=60), shift("b", 0, 540, round_=60), limit=30, apart=10)
    found = draft(tight, b"s")
    assert isinstance(found, Draft)
    assert broken(tight, found.passes) == ()
    exact = draft(duty(shift("a", 0, 480, most=7)), b"s")
    assert isinstance(exact, Draft)
    assert [one.at_ms for one in exact.passes] == [at(minute) for minute in range(60, 480, 60)]


@pytest.mark.proves("P2")
def test_draws_are_those_of_sha_256_so_that_anybody_can_repeat_them() -> None:
    draws = Draws(b"seed")
    words = b"".join(hashlib.sha256(b"seed" + number.to_bytes(8, "big")).digest() for number in range(2))
    by_hand = [int.from_bytes(words[start : start + 4], "big") % 1_000 for start in range(0, 40, 4)]
    assert [draws.below(1_000) for _ in range(10)] == by_hand
    assert commitment(b"seed") != commitment(b"sead")
    assert sorted(Draws(b"x").shuffled(range(50))) == [*range(50)]


def minutes(*duties: list[int]) -> list[list[int]]:
    return [[minute * MINUTE_MS for minute in one] for one in duties]


SPAN = 8 * HOUR * MINUTE_MS


@pytest.mark.proves("P2")
def test_a_timetable_is_guessable_by_the_clock_though_its_pauses_are_uneven() -> None:
    night = [10, 75, 100, 190, 220, 310, 330, 420]
    seen = regularity(minutes(night, night, [minute + 2 for minute in night]), SPAN)
    assert seen.clock == 1.0
    assert seen.rhythm is not None
    assert seen.rhythm < GUESSABLE
    assert seen.guessable


@pytest.mark.proves("P2")
def test_a_beat_is_guessable_by_its_rhythm_though_it_begins_at_another_minute_each_night() -> None:
    seen = regularity(minutes([*range(0, 480, 40)], [*range(13, 480, 40)], [*range(27, 480, 40)]), SPAN)
    assert seen.clock is not None
    assert seen.clock < GUESSABLE
    assert seen.rhythm == 1.0
    assert seen.guessable


@pytest.mark.proves("P2")
@settings(deadline=None, max_examples=25)
@given(st.lists(seeds, min_size=7, max_size=7, unique=True))
def test_a_week_of_the_planners_nights_is_not_guessable(week: list[bytes]) -> None:
    found = [draft(NIGHT, seed) for seed in week]
    passes = [[one.at_ms - T0 for one in night.passes] for night in found if isinstance(night, Draft)]
    assert not regularity(passes, SPAN).guessable


@given(st.lists(st.lists(st.integers(0, SPAN - 1), max_size=12), max_size=6))
def test_the_index_lies_between_0_and_1_and_with_too_little_there_is_none(duties: list[list[int]]) -> None:
    seen = regularity(duties, SPAN)
    assert all(one is None or 0 <= one <= 1 for one in (seen.clock, seen.rhythm))
    assert regularity(duties[:1], SPAN).clock is None
    assert not regularity([], SPAN).guessable
