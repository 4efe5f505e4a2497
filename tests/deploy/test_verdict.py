"""The judge of the demo, shown evenings that are made by hand: the right one passes, each deviation is one problem.

A judge that sees nothing would pass every demo, so this is where the demo's own promise is held.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from deploy.observers import Arrival
from deploy.verdict import ENVELOPE, FIELDS, WORDS, Evidence, Expected, judge

TAG = "0A00B1C2D3"
EVERYBODY = ("police", "community:c1", "grid:w1", "household:h01", "household:h02", "household:h03", "household:h04")

PANIC = Expected(
    key="panic",
    unit="u01",
    household="h01",
    door=101,
    label="1-101",
    told=frozenset(EVERYBODY) - {"household:h01", "household:h04"},
    rings=frozenset({"u01", "u02", "u03"}),
    updates=("acknowledged", "cancelled_by_household"),
    lamps=("kept", "police_have_it"),
)
"""h04 is excluded by h01: it may neither read nor hear of the panic."""

DURESS = Expected(
    key="duress",
    unit="u02",
    household="h02",
    door=102,
    label="1-102",
    told=frozenset({"police"}),
    rings=frozenset(),
    updates=(),
    lamps=(),
)

IDS = {"panic": "id-of-the-panic", "duress": "id-of-the-duress"}

Body = dict[str, Any]
Entry = Mapping[str, Any]
Change = Callable[[Evidence], Evidence]


def arrival(audience: str, body: Body, *, retained: bool = False) -> Arrival:
    name = "update" if body["type"] == "update" else "alarm"
    topic = f"sw1/north/{audience.replace(':', '/')}/{name}"
    body = {"topic": topic, "audience": audience, **body}
    return Arrival(1_000.5, retained, topic, json.dumps({"body": body, "kid": "gateway:gw1", "sig": "..."}))


def alarm(audience: str, press: Expected, /, **changed: object) -> Arrival:
    zh, en = WORDS[press.key]
    told = {"kind": press.key, "word_zh": zh, "word_en": en, "door": press.door, "label": press.label}
    body: Body = dict.fromkeys((FIELDS[audience.partition(":")[0]] | ENVELOPE) - {"topic", "audience"}, "something")
    body |= told | {"type": "alarm", "id": IDS[press.key]} | ({"unit": press.unit} if audience == "police" else {})
    return arrival(audience, {key: value for key, value in (body | changed).items() if value is not None})


def update(audience: str, press: Expected, state: str, **more: object) -> Arrival:
    body = {"type": "update", "id": "another", "v": 1, "age_ms": 0, "alarm": IDS[press.key], "state": state}
    return arrival(audience, body | more)


def told(audience: str) -> list[Arrival]:
    """All that an audience gets in the right evening, in order."""
    arrivals = []
    if audience in PANIC.told:
        arrivals += [alarm(audience, PANIC), *(update(audience, PANIC, state) for state in PANIC.updates)]
    if audience in DURESS.told:
        arrivals.append(alarm(audience, DURESS))
    return arrivals


def entry(event: str, unit: str, **more: object) -> Entry:
    return {"event": event, "unit": unit, "at_ns": 1_000_200_000_000, **more}


def siren(unit: str, *, event: str = "siren", **changed: object) -> Entry:
    return entry(event, unit, **({"pattern": "panic", "doors": [101], "own": unit == "u01"} | changed))


def diary(unit: str) -> list[Entry]:
    """All that a unit writes down in the right evening."""
    entries = [entry("powered_up", unit)]
    for press in (PANIC, DURESS):
        if press.unit == unit:
            entries += [entry("pressed", unit, key=press.key), entry("confirmed", unit, key=press.key)]
            entries += [entry("lamp", unit, lamp=lamp) for lamp in press.lamps]
    if unit in PANIC.rings:
        entries += [siren(unit), entry("siren_stopped", unit, why="told")]
    return entries


def stored(press: Expected) -> Entry:
    return {
        "id": IDS[press.key],
        "kind": press.key,
        "place": press.household,
        "door": press.door,
        "state": "acknowledged",
        "cancelled": "2026-11-22T00:00:00Z" if "cancelled_by_household" in press.updates else None,
    }


RIGHT = Evidence(
    arrivals={audience: told(audience) for audience in EVERYBODY},
    diaries=[line for unit in ("u01", "u02", "u03", "u04") for line in diary(unit)],
    alarms=[stored(PANIC), stored(DURESS)],
    check_ins=[{"detail": {"tag": TAG}}],
)


def problems(evidence: Evidence) -> list[str]:
    return judge(evidence, (PANIC, DURESS), tag=TAG).problems


def arrivals(audience: str, change: Callable[[list[Arrival]], list[Arrival]]) -> Change:
    return lambda right: replace(right, arrivals={**right.arrivals, audience: change(list(right.arrivals[audience]))})


def gets(audience: str, *more: Arrival) -> Change:
    return arrivals(audience, lambda right: [*right, *more])


def gets_instead(audience: str, wrong: Arrival) -> Change:
    return arrivals(audience, lambda right: [wrong, *right[1:]])


def writes(*more: Entry) -> Change:
    return lambda right: replace(right, diaries=[*right.diaries, *more])


def writes_not(unit: str, event: str) -> Change:
    return lambda right: replace(
        right, diaries=[line for line in right.diaries if (line["unit"], line["event"]) != (unit, event)]
    )


def writes_instead(wrong: Entry) -> Change:
    key = (wrong["unit"], wrong["event"])
    return lambda right: replace(
        right, diaries=[wrong if (line["unit"], line["event"]) == key else line for line in right.diaries]
    )


def stores(*alarms: Entry) -> Change:
    return lambda right: replace(right, alarms=alarms)


def checks_in(*tags: str) -> Change:
    return lambda right: replace(right, check_ins=[{"detail": {"tag": tag}} for tag in tags])


def without_witness(audience: str) -> Change:
    return lambda right: replace(right, arrivals={who: seen for who, seen in right.arrivals.items() if who != audience})


GARBAGE = Arrival(1_000.5, False, "sw1/north/household/h03/alarm", "not JSON")

DEVIATIONS: dict[str, tuple[Change, str]] = {
    "a neighbour learns of the duress": (gets("household:h03", alarm("household:h03", DURESS)), "the duress of h02"),
    "the community learns of the duress": (gets("community:c1", alarm("community:c1", DURESS)), "the duress of h02"),
    "an update tells of the duress": (
        gets("grid:w1", update("grid:w1", DURESS, "acknowledged")),
        "the duress of h02",
    ),
    "an excluded neighbour learns of it": (gets("household:h04", alarm("household:h04", PANIC)), "the panic of h01"),
    "the presser is told of itself": (gets("household:h01", alarm("household:h01", PANIC)), "the panic of h01"),
    "something that nobody pressed": (
        gets("household:h03", alarm("household:h03", PANIC, id="unknown")),
        "something unknown",
    ),
    "something that is no message": (gets("household:h03", GARBAGE), "something unknown"),
    "a neighbour is not told": (arrivals("household:h03", lambda right: right[1:]), "0 times, expected 1"),
    "a neighbour is told twice": (gets("household:h03", alarm("household:h03", PANIC)), "2 times, expected 1"),
    "an update is missing": (arrivals("grid:w1", lambda right: right[:-1]), "expected ('acknowledged', "),
    "an update comes twice": (
        gets("grid:w1", update("grid:w1", PANIC, "cancelled_by_household")),
        "expected ('acknowledged', ",
    ),
    "an update says too much": (
        arrivals("grid:w1", lambda right: [right[0], update("grid:w1", PANIC, "acknowledged", phone="1"), right[2]]),
        "says too much: phone",
    ),
    "a neighbour is told the unit": (
        gets_instead("household:h03", alarm("household:h03", PANIC, unit="u01")),
        "too much about the panic: unit",
    ),
    "the grid worker is not told the place": (
        gets_instead("grid:w1", alarm("grid:w1", PANIC, place=None)),
        "was not told place",
    ),
    "a wrong word": (
        gets_instead("household:h03", alarm("household:h03", PANIC, word_zh="火警")),
        "word_zh of the panic is '火警'",
    ),
    "a wrong door": (gets_instead("household:h03", alarm("household:h03", PANIC, door=102)), "door of the panic"),
    "signed for somebody else": (
        gets_instead("household:h03", alarm("household:h03", PANIC, audience="household:h02")),
        "audience of the panic",
    ),
    "a retained copy": (
        arrivals("household:h03", lambda right: [replace(right[0], retained=True), *right[1:]]),
        "a retained message",
    ),
    "the duress is cancelled at the police": (
        gets("police", update("police", DURESS, "cancelled_by_household")),
        "updates of the duress",
    ),
    "no witness": (without_witness("household:h02"), "household:h02: had no witness"),
    "an excluded neighbour's siren": (writes(siren("u04")), "u04: its siren sounded"),
    "a siren without a sound": (writes_not("u03", "siren"), "u03: its siren started 0 times"),
    "a siren that starts twice": (writes(siren("u03")), "u03: its siren started 2 times"),
    "a siren that names the duress": (
        writes(siren("u03", event="siren_changed", doors=[101, 102])),
        "u03: its siren named doors [101, 102]",
    ),
    "a siren of another kind": (writes_instead(siren("u03", pattern="fire")), "u03: its siren played fire"),
    "a neighbour's siren that says it was its own": (writes_instead(siren("u03", own=True)), "u03: its siren says"),
    "a siren that goes on": (writes_not("u03", "siren_stopped"), "u03: its siren went on"),
    "a lamp for the duress": (writes(entry("lamp", "u02", lamp="kept")), "u02: its lamp showed ('kept',)"),
    "a neighbour's lamp": (writes(entry("lamp", "u04", lamp="coming")), "u04: its lamp showed"),
    "no lamp for the presser": (writes_not("u01", "lamp"), "u01: its lamp showed ()"),
    "no confirmation": (writes_not("u02", "confirmed"), "u02: its press was never confirmed"),
    "a unit without a diary": (writes_not("u03", "powered_up"), "u03: kept no diary"),
    "the station lacks an alarm": (stores(stored(PANIC)), "station: has 1 alarms, expected 2"),
    "the station has one too many": (
        stores(stored(PANIC), stored(DURESS), {**stored(PANIC), "id": "unknown"}),
        "station: has 3 alarms, expected 2",
    ),
    "the station has another kind": (
        stores({**stored(PANIC), "kind": "help"}, stored(DURESS)),
        "is stored as help",
    ),
    "the cancel closes the alarm": (stores({**stored(PANIC), "state": "closed"}, stored(DURESS)), "nobody closed it"),
    "the station does not know of the cancel": (
        stores({**stored(PANIC), "cancelled": None}, stored(DURESS)),
        "does not know that h01 took the panic back",
    ),
    "the station takes the duress for cancelled": (
        stores(stored(PANIC), {**stored(DURESS), "cancelled": "2026-11-22T00:00:00Z"}),
        "believes that h02 took the duress back",
    ),
    "the check-in is missing": (checks_in(), "station: has check-ins []"),
    "the check-in is there twice": (checks_in(TAG, TAG), "station: has check-ins"),
    "a check-in of another tag": (checks_in("0A00B1C2D4"), "station: has check-ins"),
}


def test_an_evening_in_which_everybody_learned_what_they_may_passes() -> None:
    verdict = judge(RIGHT, (PANIC, DURESS), tag=TAG)
    assert verdict.problems == []
    assert verdict.ok
    assert verdict.as_plain()["audiences"]["household:h03"][0] == {"alarm": "panic", "ms": 300, "door": 101}
    assert verdict.units["u01"]["lamps"] == ["kept", "police_have_it"]
    assert verdict.units["u02"]["lamps"] == []


@pytest.mark.proves("N4")
@pytest.mark.parametrize(("change", "said"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_every_deviation_is_one_problem(change: Change, said: str) -> None:
    [problem] = problems(change(RIGHT))
    assert said in problem


def test_a_press_that_the_police_never_heard_of_is_a_problem() -> None:
    found = problems(arrivals("police", lambda right: right[:-1])(RIGHT))
    assert "police: 0 alarms of u02 (duress), expected one" in found


def test_two_alarms_for_one_press_are_a_problem() -> None:
    found = problems(gets("police", alarm("police", PANIC, id="another"))(RIGHT))
    assert "police: 2 alarms of u01 (panic), expected one" in found


def test_an_evening_without_any_evidence_is_full_of_problems() -> None:
    nothing = Evidence(arrivals={}, diaries=(), alarms=(), check_ins=())
    found = problems(nothing)
    assert {f"{audience}: had no witness" for audience in PANIC.told} <= {*found}
    assert {"u01: kept no diary", "u02: kept no diary", "u03: kept no diary"} <= {*found}
