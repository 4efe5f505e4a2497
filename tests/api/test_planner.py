"""Staggered plans over HTTP: within bounds, told why not, and the seed only afterwards."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from api.planner.draws import commitment
from api.planner.rules import MINUTE_MS, Draft, Duty, Shift, draft
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.people import MOMENT, Hands, Somebody, somebody

BEGINS = MOMENT + timedelta(hours=6)


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, "north")


def at(minutes: float, begins: datetime = BEGINS) -> str:
    return (begins + timedelta(minutes=minutes)).isoformat()


def night(begins: datetime = BEGINS, **more: Any) -> dict[str, Any]:
    team = {"begins": at(0, begins), "ends": at(540, begins), "round_min": 40}
    teams = [{"team": name, **team} for name in ("t1", "t2")]
    others = [at(30, begins), at(200, begins)]
    return {"begins": at(0, begins), "ends": at(480, begins), "limit_min": 60, "others": others, "teams": teams} | more


def ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1_000)


@pytest.mark.proves("P2")
def test_a_night_is_drafted_within_bounds_and_its_seed_told_when_it_is_over(officer: Somebody, hands: Hands) -> None:
    made = officer.post("/api/v1/areas/gr1/staggered-plans", night(), status=201)
    assert (made["limit_min"], made["seed"]) == (60, None)
    passes = [ms(one["at"]) for one in made["passes"]]
    every = sorted([ms(made["begins"]), ms(made["ends"]), *map(ms, made["others"]), *passes])
    assert max(b - a for a, b in pairwise(every)) <= 60 * MINUTE_MS
    assert officer.get(f"/api/v1/staggered-plans/{made['number']}")["seed"] is None
    hands.pass_(hours=14)
    told = officer.get(f"/api/v1/staggered-plans/{made['number']}")
    seed = bytes.fromhex(told["seed"])
    assert commitment(seed) == made["commitment"]
    start = ms(made["begins"])
    hours = {"starts_ms": start, "ends_ms": start + 540 * MINUTE_MS, "round_ms": 40 * MINUTE_MS, "most": 99}
    again = draft(
        Duty(
            starts_ms=start,
            ends_ms=ms(made["ends"]),
            limit_ms=60 * MINUTE_MS,
            apart_ms=10 * MINUTE_MS,
            others_ms=tuple(map(ms, made["others"])),
            shifts=(Shift(team="t1", **hours), Shift(team="t2", **hours)),
        ),
        seed,
    )
    assert isinstance(again, Draft)
    assert [(one.at_ms, one.team) for one in again.passes] == [(ms(one["at"]), one["team"]) for one in told["passes"]]


@pytest.mark.proves("P2")
@only_sqlite
def test_teams_of_areas_beside_one_another_are_kept_apart_and_the_plan_can_be_made_anew(
    officer: Somebody, hands: Hands
) -> None:
    wide = night(limit_min=120, others=[])
    first = officer.post("/api/v1/areas/gr1/staggered-plans", wide, status=201)
    theirs = [ms(one["at"]) for one in first["passes"]]
    assert (first["in_step"], first["beside"]) == (0, None)
    other = officer.post("/api/v1/areas/c1/staggered-plans", wide, status=201)
    ours = [ms(one["at"]) for one in other["passes"]]
    assert (other["in_step"], other["beside"]) == (0, None)  # when others walk is told when it is over
    assert ours
    assert min(abs(a - b) for a in ours for b in theirs) >= 10 * MINUTE_MS
    hands.pass_(hours=14)
    told = officer.get(f"/api/v1/staggered-plans/{other['number']}")
    assert [ms(one) for one in told["beside"]] == theirs
    assert officer.get(f"/api/v1/staggered-plans/{first['number']}")["beside"] == []
    start = ms(told["begins"])
    hours = {"starts_ms": start, "ends_ms": start + 540 * MINUTE_MS, "round_ms": 40 * MINUTE_MS, "most": 99}
    again = draft(
        Duty(
            starts_ms=start, ends_ms=ms(told["ends"]), limit_ms=120 * MINUTE_MS, apart_ms=10 * MINUTE_MS, others_ms=(),
            shifts=(Shift(team="t1", **hours), Shift(team="t2", **hours)), beside_ms=tuple(map(ms, told["beside"])),
        ),
        bytes.fromhex(told["seed"]),
    )  # fmt: skip
    assert isinstance(again, Draft)
    assert [one.at_ms for one in again.passes] == ours


@pytest.mark.proves("P2")
def test_what_cannot_be_planned_is_named_with_whom_and_when(officer: Somebody) -> None:
    alone = {"team": "t1", "begins": at(0), "ends": at(240), "round_min": 40}
    answer = officer.post("/api/v1/areas/gr1/staggered-plans", night(teams=[alone]), status=422)
    assert answer["type"] == "cannot_be_planned"
    (refusal,) = answer["refusals"]
    assert refusal["why"] == "nobody"
    assert (ms(refusal["begins"]), ms(refusal["ends"])) == (ms(at(200)), ms(at(480)))
    late = officer.post("/api/v1/areas/gr1/staggered-plans", night(MOMENT - timedelta(hours=1)), status=422)
    assert late["type"] == "too_late"


@pytest.mark.proves("P2")
def test_a_limit_looser_than_the_colours_counts_for_nothing(officer: Somebody) -> None:
    made = officer.post("/api/v1/areas/gr1/staggered-plans", night(limit_min=1_440), status=201)
    colour = officer.get("/api/v1/areas/gr1/colour")
    assert made["colour"] == colour["colour"]
    assert made["limit_min"] == 480


@pytest.mark.proves("P2")
def test_nights_that_are_alike_are_called_guessable(officer: Somebody) -> None:
    made: dict[str, Any] = {}
    for day in range(3):
        begins = BEGINS + timedelta(days=day)
        beat = [at(minutes, begins) for minutes in range(20, 480, 40)]
        made = officer.post("/api/v1/areas/gr1/staggered-plans", night(begins, others=beat), status=201)
    assert made["passes"] == []
    assert made["regularity"] == {"clock": 1.0, "rhythm": 1.0, "guessable": True}
    page = officer.get("/api/v1/areas/gr1/staggered-plans", limit=2)
    assert [one["regularity"]["clock"] for one in page["items"]] == [1.0, None]
    rest = officer.get("/api/v1/areas/gr1/staggered-plans", after=page["next"])
    assert len(rest["items"]) == 1


def test_an_officer_of_another_area_and_a_guard_learn_nothing_of_it(station: Served, officer: Somebody) -> None:
    made = officer.post("/api/v1/areas/gr1/staggered-plans", night(), status=201)
    other = somebody(station, "bai", Role.OFFICER, "gr2")
    other.get(f"/api/v1/staggered-plans/{made['number']}", status=404)
    other.post("/api/v1/areas/gr1/staggered-plans", night(), status=404)
    somebody(station, "guard", Role.GUARD, "co1").get("/api/v1/areas/gr1/staggered-plans", status=403)


def routes(officer: Somebody, *, least_s: int = 60) -> None:
    """Two routes of two points each, and a night shift from 22:00 for nine hours."""
    for name in ("a", "b"):
        points = [f"{name}1", f"{name}2"]
        for point in points:
            officer.post("/api/v1/checkpoints", {"id": point, "area": "gr1", "name": point}, status=201)
        leg = {"from_point": points[0], "to_point": points[1], "least_s": least_s}
        officer.put("/api/v1/patrol-legs", leg)
        visits = [{"point": point, "after_min": None} for point in points]
        route = {"id": f"route-{name}", "area": "gr1", "name": name, "order": "ordered", "visits": visits}
        officer.post("/api/v1/patrol-routes", route, status=201)
    shift = {"id": "night", "area": "gr1", "name": "夜班", "starts_min": 22 * 60, "lasts_min": 540}
    officer.post("/api/v1/patrol-shifts", shift, status=201)


TEAMS: list[dict[str, Any]] = [
    {"team": "t1", "route": "route-a", "shift": "night"},
    {"team": "t2", "route": "route-b", "shift": "night", "lasts_min": 30},
]


@pytest.mark.proves("P2")
def test_a_draft_becomes_plans_whose_rounds_begin_when_it_says_and_the_same_again_is_the_same(
    officer: Somebody, hands: Hands
) -> None:
    routes(officer)
    made = officer.post("/api/v1/areas/gr1/staggered-plans", night(), status=201)
    path = f"/api/v1/staggered-plans/{made['number']}/plans"
    done = officer.post(path, {"teams": TEAMS})
    assert {one["team"] for one in done["plans"]} == {"t1", "t2"}
    assert officer.post(path, {"teams": TEAMS[::-1]})["plans"] == done["plans"]
    numbers = {one["plan"]: one["team"] for one in done["plans"]}
    found = officer.get("/api/v1/patrol-plans")["items"]
    assert {one["number"]: one["temporary"] for one in found} == dict.fromkeys(numbers, True)
    assert {one["route"]: one["lasts_min"] for one in found} == {"route-a": 40, "route-b": 30}
    unfolded = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
    starts = {(ms(one["begins"]), {"route-a": "t1", "route-b": "t2"}[one["route"]]) for one in unfolded}
    assert starts == {(ms(one["at"]), one["team"]) for one in made["passes"]}
    other = [TEAMS[0], TEAMS[1] | {"lasts_min": 20}]
    refused = officer.post(path, {"teams": other}, status=409)
    assert (refused["type"], sorted(refused["plans"])) == ("planned_already", sorted(numbers))
    hands.pass_(hours=7)
    later = officer.post("/api/v1/areas/gr1/staggered-plans", night(BEGINS + timedelta(days=1)), status=201)
    hands.pass_(days=1)
    late = officer.post(f"/api/v1/staggered-plans/{later['number']}/plans", {"teams": TEAMS}, status=422)
    assert late["type"] == "too_late"


@only_sqlite
@pytest.mark.proves("P2")
def test_a_draft_that_cannot_be_walked_is_refused_with_every_reason_of_every_team(
    station: Served, officer: Somebody
) -> None:
    routes(officer, least_s=3_600)
    made = officer.post("/api/v1/areas/gr1/staggered-plans", night(), status=201)
    path = f"/api/v1/staggered-plans/{made['number']}/plans"
    far = officer.post(path, {"teams": TEAMS}, status=422)
    assert far["type"] == "unwalkable"
    assert {one["where"].split(".")[0] for one in far["troubles"]} == {"teams[t1]", "teams[t2]"}
    assert officer.get("/api/v1/patrol-plans")["items"] == []
    missing = officer.post(path, {"teams": [TEAMS[0], TEAMS[1] | {"team": "t9"}]}, status=422)
    assert [one["where"] for one in missing["troubles"]] == ["teams[t9]", "teams"]
    day = {"id": "day", "area": "gr1", "name": "日班", "starts_min": 8 * 60, "lasts_min": 480}
    officer.post("/api/v1/patrol-shifts", day, status=201)
    outside = officer.post(path, {"teams": [one | {"shift": "day"} for one in TEAMS]}, status=422)
    assert len(outside["troubles"]) == len(made["passes"])
    officer.post(path, {"teams": [TEAMS[0] | {"route": "nowhere"}, TEAMS[1]]}, status=404)
    assert officer.get(f"/api/v1/staggered-plans/{made['number']}")["plans"] == []
    somebody(station, "bai", Role.OFFICER, "gr2").post(path, {"teams": TEAMS}, status=404)
