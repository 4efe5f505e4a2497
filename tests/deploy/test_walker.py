"""The judge of the demo's night, shown nights made by hand: the right one passes, each deviation is one problem."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from deploy.night import NIGHT
from deploy.stage import civil, night_tables
from deploy.walker import Evidence, Expected, Held, Stop, judge

BEGINS_S = 1_800_000_000
LEAST_S = 240

LATE = Expected(
    guard="G1",
    route="north",
    stops=(Stop("east", 0, "on_time"), Stop("west", 600, "missed"), Stop("garage", 1_200, "late")),
    points=frozenset({("P02", -5), ("P04", -20)}),
    flags=frozenset(),
    answer="must_have_passed",
)
FAST = Expected(
    guard="G2",
    route="south",
    stops=(Stop("west", 600, "on_time"), Stop("east", 1_200, "too_fast")),
    points=frozenset(),
    flags=frozenset({"P07"}),
    answer="was_there",
)
HELD = (
    Held("G1", "east", (BEGINS_S + 20) * 1_000, 40, 1, lamp=True),
    Held("G2", "west", (BEGINS_S + 890) * 1_000, 40, 1, lamp=True),
    Held("G2", "east", (BEGINS_S + 910) * 1_000, 40, 1, lamp=True),
    Held("G1", "garage", (BEGINS_S + 1_680) * 1_000, 40, 1, lamp=True),
)

Row = Mapping[str, Any]
Change = Callable[[Evidence], Evidence]


def at(after_s: float) -> str:
    return datetime.fromtimestamp(BEGINS_S + after_s, UTC).isoformat()


def words(word: str) -> dict[str, str]:
    return {"zh": f"{word}的", "en": word}


def check_in(one: Held, **changed: Any) -> Row:
    made = {"guard": f"id-{one.guard}", "point": one.point, "at": at(one.at_ms / 1_000 - BEGINS_S)}
    return {**made, "source": "fixed_reader", "flags": [], **changed}


def visit(guard: str, stop: Stop, **changed: Any) -> Row:
    held = next((one for one in HELD if (one.guard, one.point) == (guard, stop.point)), None)
    return {
        "point": stop.point,
        "planned": at(stop.planned_s),
        "due": at(stop.planned_s + 300),
        "closes": at(stop.planned_s + 900),
        "at": None if held is None else at(held.at_ms / 1_000 - BEGINS_S),
        "outcome": stop.outcome,
        "outcome_words": words(stop.outcome),
        "by_the_clock": "on_time",
        "off_s": 0,
        "leg_s": 20,
        "leg_least_s": LEAST_S,
        **changed,
    }


def round_(want: Expected, **changed: Any) -> Row:
    visits = [visit(want.guard, stop) for stop in want.stops]
    told: dict[str, Any] = {"route": want.route, "guards": [f"id-{want.guard}"], "visits": visits}
    return {**told, "evaluations": 1, "rescored": [], **changed}


def exception(route: str, stop: Stop, **changed: Any) -> Row:
    closes_s = stop.planned_s + 900
    told = {"route": route, "point": stop.point, "outcome": stop.outcome, "due": at(closes_s)}
    return {**told, "detected": at(closes_s + 0.4), **changed}


def entry(guard: str, rule: str, tenths: int, **changed: Any) -> Row:
    told = {"guard": f"id-{guard}", "rule": rule, "points_tenths": tenths, "reason": words(rule)}
    return {**told, "state": "pending", "state_words": words("pending"), **changed}


def finding(want: Expected, **changed: Any) -> Row:
    told = {"guard": f"id-{want.guard}", "answer": want.answer, "answer_words": words(want.answer)}
    times = {"earliest": at(0), "latest": at(1)}
    return {
        **told,
        **times,
        "because_words": words("because"),
        "weight": 100,
        "evidence": [{"point": "east", "at": at(20)}],
        **changed,
    }


LOOK_UP = {"point": "west", "point_name": "西门", "begins": at(0), "ends": at(1_800), "reason": "demo"}
RIGHT = Evidence(
    begins_ms=BEGINS_S * 1_000,
    people={"id-G1": ("G1", "甲"), "id-G2": ("G2", "乙"), "id-G9": ("G9", "癸")},
    points={"east": "东门", "west": "西门", "garage": "车库"},
    held=HELD,
    check_ins=[check_in(one) for one in HELD],
    rounds=[round_(LATE), round_(FAST)],
    exceptions=[exception(one.route, stop) for one in (LATE, FAST) for stop in one.stops if stop.outcome != "on_time"],
    entries=[entry("G1", "P02", -5), entry("G1", "P04", -20)],
    flags=[entry("G2", "P07", -30)],
    look_up={**LOOK_UP, "findings": [finding(FAST), finding(LATE)]},
)


def problems(evidence: Evidence) -> list[str]:
    return judge(evidence, (LATE, FAST)).problems


def answers(**changed: Any) -> Change:
    return lambda right: replace(right, held=[replace(right.held[0], **changed), *right.held[1:]])


def checks_in(change: Callable[[list[Row]], list[Row]]) -> Change:
    return lambda right: replace(right, check_ins=change(list(right.check_ins)))


def walks(want: Expected, **changed: Any) -> Change:
    return lambda right: replace(
        right, rounds=[round_(want, **changed) if one["route"] == want.route else one for one in right.rounds]
    )


def visits(want: Expected, nth: int, **changed: Any) -> Change:
    made = [visit(want.guard, stop, **(changed if stop is want.stops[nth] else {})) for stop in want.stops]
    return walks(want, visits=made)


def tells(change: Callable[[list[Row]], list[Row]]) -> Change:
    return lambda right: replace(right, exceptions=change(list(right.exceptions)))


def books(change: Callable[[list[Row]], list[Row]]) -> Change:
    return lambda right: replace(right, entries=change(list(right.entries)))


def flags(*rows: Row) -> Change:
    return lambda right: replace(right, flags=rows)


def finds(*rows: Row) -> Change:
    return lambda right: replace(right, look_up={**LOOK_UP, "findings": rows})


DEVIATIONS: dict[str, tuple[Change, str]] = {
    "a reader that says nothing": (answers(answered_ms=None), "G1 at east: the reader did not answer"),
    "a reader that answers late": (answers(answered_ms=1_200), "after 1200 ms"),
    "a card that is not known": (answers(tones=3), "with 3 tones"),
    "a dark lamp": (answers(lamp=False), "the lamp dark"),
    "a check-in that is lost": (checks_in(lambda right: right[1:]), "G1 at east: the station has 0 check-ins"),
    "a check-in that is there twice": (checks_in(lambda right: [right[0], *right]), "has 2 check-ins"),
    "a check-in that nobody made": (
        checks_in(lambda right: [*right, check_in(Held("G9", "east", BEGINS_S * 1_000, 40, 1, lamp=True))]),
        "G9 at east: a check-in that nobody made",
    ),
    "a check-in by something weaker": (
        checks_in(lambda right: [check_in(HELD[0], source="qr"), *right[1:]]),
        "the check-in is of qr",
    ),
    "a check-in that is held to be odd": (
        checks_in(lambda right: [check_in(HELD[0], flags=["by_24"]), *right[1:]]),
        "with flags ['by_24']",
    ),
    "a round that is not there": (lambda right: replace(right, rounds=right.rounds[:1]), "south: there was no round"),
    "a round too many": (
        lambda right: replace(right, rounds=[*right.rounds, round_(replace(LATE, route="gate"))]),
        "gate: a round that nobody planned",
    ),
    "a round of somebody else": (walks(LATE, guards=["id-G2"]), "was not walked by G1 alone"),
    "a round that is judged again": (walks(LATE, evaluations=2), "was judged 2 times"),
    "a round by other points": (walks(FAST, visits=[]), "does not go by west, east"),
    "the late one is on time": (visits(LATE, 2, outcome="on_time"), "G1 at garage: is on_time, expected late"),
    "the missed one is excused": (visits(LATE, 1, outcome="excused"), "G1 at west: is excused, expected missed"),
    "the impossible one passes": (visits(FAST, 1, outcome="on_time"), "G2 at east: is on_time, expected too_fast"),
    "another time was planned": (visits(LATE, 0, planned=at(60)), "was planned for"),
    "another time was read": (visits(LATE, 0, at=at(200)), "the walker says otherwise"),
    "a missed one that was read": (visits(LATE, 1, at=at(700)), "the walker says otherwise"),
    "a walk that is no faster": (visits(FAST, 1, leg_s=300), "too fast after 300 of 240 s"),
    "nobody is told of the miss": (tells(lambda right: right[1:]), "west of north: nobody was told"),
    "an exception too many": (
        tells(lambda right: [*right, exception("north", LATE.stops[0], outcome="early")]),
        "east of north: is told to be early",
    ),
    "the miss is found out late": (
        tells(lambda right: [exception("north", LATE.stops[1], detected=at(1_560)), *right[1:]]),
        "found out at",
    ),
    "points that are not booked": (books(lambda right: right[1:]), "G1: P02 is not booked with -5"),
    "points too many": (books(lambda right: [*right, entry("G2", "P07", -30)]), "G2: P07 is booked with -30"),
    "points without a reason": (
        books(lambda right: [entry("G1", "P02", -5, reason={"zh": "", "en": "late"}), *right[1:]]),
        "without a reason",
    ),
    "the impossible one is not flagged": (flags(), "G2: P07 is not flagged"),
    "a flag too many": (flags(*RIGHT.flags, entry("G1", "F03", -60)), "G1: F03 is flagged, and should not"),
    "the look-up says less": (
        finds(finding(FAST), finding(LATE, answer="could_have_been")),
        "look-up: G1 is could_have_been, expected must_have_passed",
    ),
    "the look-up forgets somebody": (finds(finding(FAST)), "look-up: G1 is not named"),
    "the look-up names a stranger": (
        finds(finding(FAST), finding(LATE), finding(LATE, guard="id-G9")),
        "look-up: G9 is must_have_passed, and was not on duty",
    ),
    "the look-up shows no evidence": (finds(finding(FAST, evidence=[]), finding(LATE)), "G2 is named without evidence"),
}


@pytest.mark.proves("P3")
def test_the_right_night_passes_and_is_reported() -> None:
    night = judge(RIGHT, (LATE, FAST))
    assert night.problems == []
    assert night.report["begins"] == "2027-01-15T08:00:00Z"
    north = night.report["rounds"][0]["visits"]
    assert [(one["point_name"], one["outcome"], one["answered_ms"]) for one in north] == [
        ("东门", "on_time", 40),
        ("西门", "missed", None),
        ("车库", "late", 40),
    ]
    assert north[1]["told"] == at(1_500.4)
    assert [(one["name"], one["rule"], one["points"]) for one in night.report["points"]] == [
        ("甲", "P02", -0.5),
        ("甲", "P04", -2.0),
    ]
    assert [(one["name"], one["answer"]) for one in night.report["look_up"]["findings"]] == [
        ("乙", "was_there"),
        ("甲", "must_have_passed"),
    ]


@pytest.mark.parametrize("zh", [True, False])
def test_people_read_each_visit_with_its_due_time_and_what_became_of_it(zh: bool) -> None:
    text = StringIO()
    tables = night_tables(judge(RIGHT, (LATE, FAST)).report, zh=zh)
    for table in tables:
        assert all(column.header for column in table.columns)
        Console(file=text, width=160).print(table)
    planned, due = (civil(at(after_s)) for after_s in (600, 900))
    shown = [line for line in text.getvalue().splitlines() if "西门" in line and planned in line]
    missed = f"missed的 ({civil(at(1_500.4))} 发现)" if zh else f"missed ({civil(at(1_500.4))} found out)"
    assert all(due in line for line in shown)
    assert missed in shown[0]
    assert ("20 s (至少需 240 s)" if zh else "20 s (nobody in less than 240 s)") in text.getvalue()
    assert "P04" in text.getvalue()
    assert ("核实后-3" if zh else "if confirmed -3") in text.getvalue()


@pytest.mark.proves("P3")
@pytest.mark.parametrize(("change", "said"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_every_deviation_is_one_problem(change: Change, said: str) -> None:
    [problem] = problems(change(RIGHT))
    assert said in problem


def test_a_night_without_any_evidence_is_full_of_problems() -> None:
    nothing = Evidence(
        begins_ms=0, people={}, points={}, held=(), check_ins=(), rounds=(), exceptions=(), entries=(), flags=(),
        look_up={**LOOK_UP, "findings": ()},
    )  # fmt: skip
    found = judge(nothing, NIGHT).problems
    assert {f"night: {one.route}: there was no round" for one in NIGHT} <= {*found}
    assert {f"night: look-up: {one.guard} is not named, expected {one.answer}" for one in NIGHT} <= {*found}
