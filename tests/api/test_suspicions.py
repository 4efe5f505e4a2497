"""What looks like fraud, without tables: what must be found, and honest people of whom nothing may be said."""

from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.rules import CheckIn, Flag, Source
from api.tracks.suspicions import (
    BURST_MS,
    BURST_POINTS,
    DAY_MS,
    KIND_WORDS,
    SLACK_MS,
    Kind,
    Suspicion,
    suspicions,
)
from api.tracks.ways import Ways

MINUTE_MS = 60_000
POINTS = "pqrst"
LINE = Ways(dict.fromkeys(pairwise(POINTS), 3 * MINUTE_MS))
NOBODY: frozenset[Flag] = frozenset()


def seen(
    point: str,
    at_ms: int,
    guard: str = "a",
    *,
    tag: str | None = None,
    source: Source = Source.FIXED_READER,
    flags: frozenset[Flag] = NOBODY,
    skew_ms: int | None = None,
) -> CheckIn:
    return CheckIn(
        id=f"{guard}-{point}-{at_ms}-{tag}",
        guard=guard,
        tag=tag or f"tag-{guard}",
        point=point,
        source=source,
        at_ms=at_ms,
        device_ms=None if skew_ms is None else at_ms + skew_ms,
        server_ms=at_ms,
        skew_ms=skew_ms,
        flags=frozenset(flags),
    )


def found(*made: CheckIn, mates: bool = False) -> tuple[Suspicion, ...]:
    return suspicions(made, ways=LINE, mates=lambda _one, _other, _at_ms: mates)


def kinds(*made: CheckIn, mates: bool = False) -> list[Kind]:
    return [one.kind for one in found(*made, mates=mates)]


@pytest.mark.proves("P9")
def test_faster_than_walking_is_impossible_speed_and_faster_than_driving_is_one_tag_in_two_places() -> None:
    (fast,) = found(seen("p", 0), seen("q", 2 * MINUTE_MS))
    assert (fast.kind, fast.took_ms, fast.least_ms) == (Kind.IMPOSSIBLE_SPEED, 2 * MINUTE_MS, 3 * MINUTE_MS)
    assert fast.evidence == ("a-p-0-None", "a-q-120000-None")
    assert kinds(seen("p", 0), seen("q", 20_000)) == [Kind.TWO_PLACES]
    assert kinds(seen("p", 0), seen("q", 3 * MINUTE_MS - SLACK_MS)) == []
    assert kinds(seen("p", 0), seen("p", 1)) == []


@pytest.mark.proves("P9")
def test_a_copied_tag_is_found_though_two_people_carry_it() -> None:
    (copied,) = found(seen("p", 0, "a", tag="x"), seen("t", 60_000, "b", tag="x"))
    assert (copied.kind, copied.guards) == (Kind.TWO_PLACES, ("a", "b"))


@pytest.mark.proves("P9")
def test_tags_that_lie_together_in_a_guardroom_are_a_burst_though_no_walking_time_is_known() -> None:
    made = [seen(f"x{number}", number * 10_000) for number in range(6)]
    (burst,) = found(*made)
    assert (burst.kind, burst.times, burst.of) == (Kind.BURST, 6, 6)
    assert kinds(*made[: BURST_POINTS - 1]) == []


def pairs(nights: int, *, apart_ms: int = 20_000) -> list[CheckIn]:
    return [
        seen(point, night * DAY_MS + place * 5 * MINUTE_MS + (apart_ms if guard == "b" else 0), guard)
        for night in range(nights)
        for place, point in enumerate(POINTS)
        for guard in "ab"
    ]


@pytest.mark.proves("P9")
def test_cards_that_always_come_together_are_found_unless_a_roster_put_them_together() -> None:
    (together,) = found(*pairs(3))
    assert (together.kind, together.guards, together.times, together.of) == (
        Kind.ALWAYS_TOGETHER,
        ("a", "b"),
        15,
        15,
    )
    assert kinds(*pairs(3), mates=True) == []
    assert kinds(*pairs(2)) == []
    assert kinds(*pairs(3, apart_ms=2 * MINUTE_MS)) == []


@pytest.mark.proves("P9")
def test_two_who_often_meet_and_as_often_do_not_are_not_meant() -> None:
    elsewhere = [
        seen("p", 20 * DAY_MS + number * DAY_MS + hour, guard)
        for number in range(10)
        for guard, hour in [("a", 0), ("b", 9_000_000)]
    ]
    assert kinds(*pairs(3), *elsewhere) == []


@pytest.mark.proves("P9")
def test_a_clock_that_was_put_off_and_back_is_found_and_one_that_was_set_right_is_not() -> None:
    def uploaded(*skews_ms: int) -> list[CheckIn]:
        times = [number * 3_600_000 for number in range(len(skews_ms))]
        return [seen("p", at, source=Source.QR, skew_ms=skew) for at, skew in zip(times, skews_ms, strict=True)]

    assert kinds(*uploaded(0, 900_000, 0, 0)) == [Kind.CLOCK]
    assert kinds(*uploaded(900_000, 900_000, 0, 0)) == []
    assert kinds(*uploaded(0, 60_000, 0, -60_000)) == []


@pytest.mark.proves("P9")
def test_times_that_are_only_estimated_and_what_was_said_by_radio_are_held_against_nobody() -> None:
    assert kinds(seen("p", 0), seen("t", 1, flags=frozenset({Flag.UNSET_CLOCK}))) == []
    assert kinds(seen("p", 0), seen("t", 1, source=Source.RADIO)) == []


@st.composite
def scans(draw: st.DrawFn) -> list[CheckIn]:
    return [
        seen(draw(st.sampled_from(POINTS)), draw(st.integers(0, 900)) * 1_000, draw(st.sampled_from("ab")))
        for _ in range(draw(st.integers(0, 12)))
    ]


@pytest.mark.proves("P9")
@given(scans())
def test_of_each_guard_exactly_the_pairs_are_told_that_follow_one_another_too_soon(made: list[CheckIn]) -> None:
    told = {one.evidence for one in found(*made) if one.kind in {Kind.IMPOSSIBLE_SPEED, Kind.TWO_PLACES}}
    wanted = set()
    known = {one.id: one for one in made}.values()
    for one, other in combinations(sorted(known, key=lambda one: (one.at_ms, one.id)), 2):
        between = any(
            one.guard == third.guard and (one.at_ms, one.id) < (third.at_ms, third.id) < (other.at_ms, other.id)
            for third in known
        )
        way = abs(POINTS.index(one.point or "") - POINTS.index(other.point or "")) * 3 * MINUTE_MS
        if one.guard == other.guard and not between and other.at_ms - one.at_ms + SLACK_MS < way:
            wanted.add((one.id, other.id))
    assert told == wanted


@given(scans())
def test_a_burst_is_told_wherever_enough_points_lie_within_a_minute_and_nowhere_else(made: list[CheckIn]) -> None:
    told = {one.guards[0] for one in found(*made) if one.kind is Kind.BURST}
    for guard in "ab":
        mine = [one for one in made if one.guard == guard]
        dense = any(
            len({other.point for other in mine if one.at_ms <= other.at_ms <= one.at_ms + BURST_MS}) >= BURST_POINTS
            for one in mine
        )
        assert (guard in told) is dense


@given(scans(), st.randoms())
def test_the_order_of_arrival_and_readings_that_come_twice_change_nothing(made: list[CheckIn], random: Random) -> None:
    again = [*made, *made[:3]]
    random.shuffle(again)
    assert found(*again) == found(*made)
    assert len({one.id for one in found(*made)}) == len(found(*made))


@given(st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 600)), max_size=40))
def test_of_whoever_walks_nothing_is_said(steps: list[tuple[int, int]]) -> None:
    place, at_ms, made = 0, 0, []
    for step, rest_s in steps:
        onward = min(max(place + step, 0), len(POINTS) - 1)
        at_ms += abs(onward - place) * 3 * MINUTE_MS + rest_s * 1_000
        place = onward
        made.append(seen(POINTS[place], at_ms))
    assert found(*made) == ()


def test_every_suspicion_has_its_words() -> None:
    assert {*KIND_WORDS} == {*Kind}
