"""The night's verdict: did the station make of the round what was walked? Judged from outside, as the evening is.

Evidence is the walkers' own diary (whose card was held to which reader when, by the night's clock, and what the
reader's own pins answered) and what the station answers over HTTP. What is right is written down in `deploy.night` once
more, as plain data about that night, and on purpose not read from the rules of the station.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

ANSWER_MS: Final = 1_000
"""Within so long whoever holds a card is answered."""
SLACK_S: Final = 5.0
"""So far the station's times may lie from the walkers'; on a quiet machine they lie within 0.2 s."""


@dataclass(frozen=True, slots=True)
class Held:
    """A card that was held to a reader: whose, where, when by the night's clock, and what the reader answered.

    `answered_ms`: how soon its tone began, None when it said nothing; `tones`: one is known, three are unknown.
    """

    guard: str
    point: str
    at_ms: int
    answered_ms: int | None
    tones: int
    lamp: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit of a round: when it was planned, in seconds after the night begins, and what became of it."""

    point: str
    planned_s: int
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One guard's round and all that must follow from it. Guards go by their service numbers."""

    guard: str
    route: str
    stops: tuple[Stop, ...]
    points: frozenset[tuple[str, int]]
    """Rules and tenths of points that are booked."""
    flags: frozenset[str]
    """Rules that are flagged, and cost nothing before an officer confirms them."""
    answer: str
    """What the reverse look-up says of him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of a night. `begins_ms` and `held` are the walkers', all else is as the station answers over HTTP.

    Times of the walkers are Unix milliseconds.
    """

    begins_ms: int
    people: Mapping[str, tuple[str, str]]
    """By the station's id of a guard: service number and name."""
    points: Mapping[str, str]
    """Names of checkpoints."""
    held: Sequence[Held]
    check_ins: Sequence[Mapping[str, Any]]
    rounds: Sequence[Mapping[str, Any]]
    exceptions: Sequence[Mapping[str, Any]]
    entries: Sequence[Mapping[str, Any]]
    flags: Sequence[Mapping[str, Any]]
    look_up: Mapping[str, Any]


@dataclass(slots=True)
class Night:
    """What a night comes to. `problems` is empty when everything was right; `report` is for people and programs."""

    problems: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def judge(evidence: Evidence, expected: Sequence[Expected]) -> Night:
    """Compare what the station says with what was walked; every deviation is one problem, in words."""
    problems = [
        *_wrong_answers(evidence),
        *_wrong_check_ins(evidence),
        *_wrong_rounds(evidence, expected),
        *_wrong_exceptions(evidence, expected),
        *_wrong_points(evidence, expected),
        *_wrong_look_up(evidence, expected),
    ]
    return Night([f"night: {one}" for one in problems], _report(evidence))


def _wrong_answers(evidence: Evidence) -> Iterator[str]:
    for one in evidence.held:
        where = f"{one.guard} at {one.point}"
        if one.answered_ms is None:
            yield f"{where}: the reader did not answer"
        elif one.answered_ms > ANSWER_MS:
            yield f"{where}: the reader answered after {one.answered_ms} ms, expected {ANSWER_MS} at most"
        elif one.tones != 1 or not one.lamp:
            lamp = "the lamp on" if one.lamp else "the lamp dark"
            yield f"{where}: the reader answered with {one.tones} tones and {lamp}, expected one tone and the lamp"


def _wrong_check_ins(evidence: Evidence) -> Iterator[str]:
    left = list(evidence.check_ins)
    for one in evidence.held:
        where = f"{one.guard} at {one.point}"
        found = [
            check_in
            for check_in in left
            if (_who(evidence, check_in["guard"]), check_in["point"]) == (one.guard, one.point)
            and abs(_s(check_in["at"]) - one.at_ms / 1_000) <= SLACK_S
        ]
        if len(found) != 1:
            yield f"{where}: the station has {len(found)} check-ins, expected one"
        for check_in in found:
            left.remove(check_in)
            if check_in["source"] != "fixed_reader" or check_in["flags"]:
                yield f"{where}: the check-in is of {check_in['source']} with flags {check_in['flags']}"
    for check_in in left:
        yield f"{_who(evidence, check_in['guard'])} at {check_in['point']}: a check-in that nobody made"


def _wrong_rounds(evidence: Evidence, expected: Sequence[Expected]) -> Iterator[str]:
    rounds = {str(one["route"]): one for one in evidence.rounds}
    for route in rounds.keys() - {one.route for one in expected}:
        yield f"{route}: a round that nobody planned"
    for want in expected:
        if (found := rounds.get(want.route)) is None:
            yield f"{want.route}: there was no round"
            continue
        if [_who(evidence, guard) for guard in found["guards"]] != [want.guard]:
            yield f"{want.route}: was not walked by {want.guard} alone"
        if found["evaluations"] != 1 or found["rescored"]:
            yield f"{want.route}: was judged {found['evaluations']} times, expected once"
        if [visit["point"] for visit in found["visits"]] != [stop.point for stop in want.stops]:
            yield f"{want.route}: does not go by {', '.join(stop.point for stop in want.stops)}"
            continue
        for visit, stop in zip(found["visits"], want.stops, strict=True):
            if (why := _wrong_visit(evidence, want.guard, visit, stop)) is not None:
                yield f"{want.guard} at {stop.point}: {why}"


def _wrong_visit(evidence: Evidence, guard: str, visit: Mapping[str, Any], stop: Stop) -> str | None:
    """What is wrong with a visit, the worst first; None when nothing is."""
    if visit["outcome"] != stop.outcome:
        return f"is {visit['outcome']}, expected {stop.outcome}"
    if abs(_s(visit["planned"]) - evidence.begins_ms / 1_000 - stop.planned_s) > 0:
        return f"was planned for {visit['planned']}"
    made = [one.at_ms / 1_000 for one in evidence.held if (one.guard, one.point) == (guard, stop.point)]
    if (visit["at"] is None) != (not made) or (made and abs(_s(visit["at"]) - made[0]) > SLACK_S):
        return f"was read at {visit['at']}, and the walker says otherwise"
    if stop.outcome == "too_fast" and not visit["leg_s"] < visit["leg_least_s"]:
        return f"is too fast after {visit['leg_s']} of {visit['leg_least_s']} s"
    return None


def _wrong_exceptions(evidence: Evidence, expected: Sequence[Expected]) -> Iterator[str]:
    right = {
        (one.route, stop.point, stop.outcome) for one in expected for stop in one.stops if stop.outcome != "on_time"
    }
    told = [(str(one["route"]), str(one["point"]), str(one["outcome"])) for one in evidence.exceptions]
    for route, point, outcome in sorted(right - {*told}):
        yield f"{point} of {route}: nobody was told that it is {outcome}"
    for one, key in zip(evidence.exceptions, told, strict=True):
        if key not in right or told.count(key) > 1:
            yield f"{key[1]} of {key[0]}: is told to be {key[2]}, and should not"
        elif key[2] == "missed" and not 0 <= _s(one["detected"]) - _s(one["due"]) <= SLACK_S:
            yield f"{key[1]} of {key[0]}: was missed at {one['due']} and found out at {one['detected']}"


def _wrong_points(evidence: Evidence, expected: Sequence[Expected]) -> Iterator[str]:
    booked = [(_who(evidence, one["guard"]), str(one["rule"]), int(one["points_tenths"])) for one in evidence.entries]
    right = {(one.guard, *entry) for one in expected for entry in one.points}
    for guard, rule, tenths in sorted(right - {*booked}):
        yield f"{guard}: {rule} is not booked with {tenths} tenths of a point"
    for one, key in zip(evidence.entries, booked, strict=True):
        if key not in right or booked.count(key) > 1:
            yield f"{key[0]}: {key[1]} is booked with {key[2]} tenths of a point, and should not"
        elif not one["reason"]["zh"] or not one["reason"]["en"]:
            yield f"{key[0]}: {key[1]} is booked without a reason"
    raised = {(_who(evidence, one["guard"]), str(one["rule"])) for one in evidence.flags}
    suspected = {(one.guard, rule) for one in expected for rule in one.flags}
    for guard, rule in sorted(suspected - raised):
        yield f"{guard}: {rule} is not flagged"
    for guard, rule in sorted(raised - suspected):
        yield f"{guard}: {rule} is flagged, and should not"


def _wrong_look_up(evidence: Evidence, expected: Sequence[Expected]) -> Iterator[str]:
    found = [(_who(evidence, one["guard"]), str(one["answer"])) for one in evidence.look_up["findings"]]
    for want in expected:
        answers = [answer for guard, answer in found if guard == want.guard]
        if answers != [want.answer]:
            yield f"look-up: {want.guard} is {', '.join(answers) or 'not named'}, expected {want.answer}"
    for guard, answer in found:
        if guard not in {one.guard for one in expected}:
            yield f"look-up: {guard} is {answer}, and was not on duty"
    for one in evidence.look_up["findings"]:
        if not one["evidence"]:
            yield f"look-up: {_who(evidence, one['guard'])} is named without evidence"


def _report(evidence: Evidence) -> dict[str, Any]:
    """All of it in one place: who walked what, what it came to, and what the look-up says."""
    return {
        "begins": datetime.fromtimestamp(evidence.begins_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "rounds": [
            {
                "route": one["route"],
                "guards": [_person(evidence, guard) for guard in one["guards"]],
                "visits": [_visit(evidence, one, visit) for visit in one["visits"]],
            }
            for one in sorted(evidence.rounds, key=lambda one: str(one["route"]))
        ],
        "points": [
            {
                **_person(evidence, one["guard"]),
                "rule": one["rule"],
                "points": one["points_tenths"] / 10,
                "reason": one["reason"],
                "state": one["state"],
                "state_words": one["state_words"],
            }
            for one in _by_person(evidence, evidence.entries)
        ],
        "flags": [
            {
                **_person(evidence, one["guard"]),
                "rule": one["rule"],
                "points_if_confirmed": one["points_tenths"] / 10,
                "reason": one["reason"],
                "state": one["state"],
                "state_words": one["state_words"],
            }
            for one in _by_person(evidence, evidence.flags)
        ],
        "look_up": {
            **{name: evidence.look_up[name] for name in ("point", "point_name", "begins", "ends", "reason")},
            "findings": [
                {
                    **_person(evidence, one["guard"]),
                    **{name: one[name] for name in ("answer", "answer_words", "because_words", "weight")},
                    **{name: one[name] for name in ("earliest", "latest")},
                    "evidence": [f"{each['point']} {each['at']}" for each in one["evidence"]],
                }
                for one in evidence.look_up["findings"]
            ],
        },
    }


def _visit(evidence: Evidence, one: Mapping[str, Any], visit: Mapping[str, Any]) -> dict[str, Any]:
    told = next(
        (
            exception["detected"]
            for exception in evidence.exceptions
            if (exception["route"], exception["point"]) == (one["route"], visit["point"])
        ),
        None,
    )
    numbers = {_who(evidence, guard) for guard in one["guards"]}
    held = next((each for each in evidence.held if each.guard in numbers and each.point == visit["point"]), None)
    names = ("planned", "due", "closes", "at", "outcome", "outcome_words", "by_the_clock", "off_s")
    return {
        "point": visit["point"],
        "point_name": evidence.points.get(visit["point"], ""),
        **{name: visit[name] for name in (*names, "leg_s", "leg_least_s")},
        "told": told,
        "answered_ms": None if held is None else held.answered_ms,
    }


def _by_person(evidence: Evidence, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(rows, key=lambda one: (_who(evidence, one["guard"]), str(one["rule"])))


def _person(evidence: Evidence, guard: str | None) -> dict[str, str]:
    number, name = evidence.people.get(guard or "", ("", ""))
    return {"guard": number, "name": name}


def _who(evidence: Evidence, guard: str | None) -> str:
    """The service number of a guard; a stranger is shown as such."""
    return evidence.people.get(guard or "", (f"somebody ({guard})", ""))[0]


def _s(moment: str | None) -> float:
    """A moment of HTTP as seconds."""
    return 0.0 if moment is None else datetime.fromisoformat(moment).timestamp()
