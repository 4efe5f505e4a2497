"""The checker itself: evidence made by hand, with one thing wrong each time."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.kinds import Lane
from faults.audiences import DOORS, may_know, may_sound
from faults.sets import PRUNED, Delivery, Evidence, Row, judge, read_journal, recall
from gateway.journal import Delivery as Owed
from gateway.journal import Journal, Marks
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, press

S = 1_000_000_000
PRESS = "u03:1:1"


def said(event: str, unit: str, at_s: float, **more: object) -> Mapping[str, Any]:
    return {"event": event, "unit": unit, "at_ns": int(at_s * S), **more}


def siren(unit: str, at_s: float, *doors: int, event: str = "siren") -> Mapping[str, Any]:
    return said(event, unit, at_s, doors=list(doors))


def view(audience: str, alarm: str = "id1", **more: object) -> Delivery:
    topic = f"sw1/north/{audience.replace(':', '/')}/alarm"
    return Delivery(topic, retained=False, body={"type": "alarm", "id": alarm, "kind": "panic", **more})


ROW = Row("e", 1, "id1", "press", PRESS)

ALL_WELL = Evidence(
    events=(
        said("pressed", "u03", 1, boot=1, number=1, key="panic"),
        *(siren(unit, 1.1, 503) for unit in DOORS),
        said("confirmed", "u03", 1.2, boot=1, number=1, what="press", key="panic"),
        *(said("siren_stopped", unit, 9) for unit in DOORS),
    ),
    journal=(ROW,),
    inbox=(ROW,),
    alarms=("id1",),
    delivered={audience: (view(audience),) for audience in may_know("u03", "panic")} | {"household:h03": ()},
)


def with_events(*events: Mapping[str, Any]) -> Evidence:
    return replace(ALL_WELL, events=(*ALL_WELL.events, *events))


def with_delivery(audience: str, *deliveries: Delivery) -> Evidence:
    return replace(ALL_WELL, delivered={**ALL_WELL.delivered, audience: deliveries})


def without_siren(unit: str) -> Evidence:
    return replace(ALL_WELL, events=[one for one in ALL_WELL.events if (one["event"], one["unit"]) != ("siren", unit)])


def test_a_tone_that_answers_a_card_is_no_siren_and_one_that_answers_nothing_is() -> None:
    held, tone = (
        said("said", "u02", 20, boot=1, number=9, what="tag"),
        said("siren", "u02", 21, doors=[], pattern="chirp"),
    )
    assert judge(with_events(held, tone)).wrong == {}
    for others in (
        (tone,),
        ({**held, "unit": "u03"}, tone),
        (held, {**tone, "at_ns": 31 * S}),
        (held, {**tone, "pattern": "panic"}),
    ):
        assert judge(with_events(*others)).wrong == {"phantom": ["u02 sounds, and names no door"]}


def test_nothing_is_wrong_where_everybody_learned_once() -> None:
    verdict = judge(ALL_WELL)
    assert (verdict.wrong, verdict.missing, verdict.copies) == ({}, {}, 0)


LATER = (
    said("pressed", "u03", 20, boot=1, number=2, key="panic"),
    said("confirmed", "u03", 21, boot=1, number=2, what="press", key="panic"),
)
SECOND = Row("e", 2, "id2", "press", "u03:1:2")


@pytest.mark.proves("N1", "N2", "N3", "N4")
@pytest.mark.parametrize(
    ("found", "evidence"),
    {
        "confirmed and in no journal": ("lost", replace(ALL_WELL, journal=(), inbox=(), delivered={})),
        "confirmed and not at the station": ("lost", replace(ALL_WELL, inbox=(), delivered={})),
        "stored and no alarm": ("lost", replace(ALL_WELL, alarms=())),
        "stored out of nowhere": (
            "phantom",
            replace(ALL_WELL, inbox=(ROW, replace(ROW, id="id9", seq=9, type="fault"))),
        ),
        "journalled out of nowhere": ("phantom", replace(ALL_WELL, journal=(ROW, replace(SECOND, message="u09:1:1")))),
        "two alarms of one press": ("phantom", replace(ALL_WELL, alarms=("id1", "id1"))),
        "not believed": ("phantom", replace(ALL_WELL, journal=(replace(ROW, verified=False),))),
        "a delivery out of nowhere": ("phantom", with_delivery("police", view("police"), view("police", "id9"))),
        "told to the presser": ("leaked", with_delivery("household:h03", view("household:h03"))),
        "told on a neighbour's topic": ("leaked", with_delivery("household:h01", view("household:h02"))),
        "told too much": ("leaked", with_delivery("household:h01", view("household:h01", place="h03"))),
        "retained": ("rung_twice", with_delivery("police", replace(view("police"), retained=True))),
        "sounds for a door where nobody pressed": ("phantom", with_events(siren("u08", 10, 501))),
        "sounds anew for the same press": ("rung_twice", with_events(siren("u08", 10, 503))),
        "stands before what was kept earlier": (
            "disordered",
            replace(
                with_events(*LATER),
                journal=(replace(ROW, seq=2), replace(SECOND, seq=1)),
                inbox=(replace(ROW, seq=2), replace(SECOND, seq=1)),
                alarms=("id1", "id2"),
                delivered={},
            ),
        ),
        "stands elsewhere at the station": ("disordered", replace(ALL_WELL, inbox=(replace(ROW, seq=7),))),
    }.values(),
)
def test_whatever_is_wrong_is_found_under_its_name(found: str, evidence: Evidence) -> None:
    assert judge(evidence).wrong.keys() == {found}


def test_a_siren_for_a_neighbour_who_is_excluded_is_a_leak() -> None:
    assert "u05" not in may_sound("u04", "panic")
    evidence = Evidence(
        events=(said("pressed", "u04", 1, boot=1, number=1, key="panic"), siren("u05", 1.1, 504)),
        journal=(),
        inbox=(),
    )
    assert judge(evidence).wrong.keys() == {"leaked"}


def test_a_sounder_for_duress_is_a_leak() -> None:
    evidence = Evidence(
        events=(said("pressed", "u07", 1, boot=1, number=1, key="duress"), siren("u07", 1.1, 602)),
        journal=(),
        inbox=(),
    )
    assert judge(evidence).wrong.keys() == {"leaked"}


def test_who_should_have_learned_and_did_not_is_named() -> None:
    assert judge(with_delivery("grid:w1")).missing == {"untold": [f"grid:w1: {PRESS}"]}
    assert judge(without_siren("u09")).missing == {"unrung": [f"u09: {PRESS}"]}


def test_a_copy_is_counted_and_rings_nobody_twice() -> None:
    verdict = judge(with_delivery("police", view("police"), view("police")))
    assert not verdict.wrong
    assert verdict.copies == 1


def test_a_sounder_that_plays_already_need_not_begin_again_for_the_next_press() -> None:
    events = [one for one in with_events(*LATER).events if one["event"] != "siren_stopped"]
    events += [
        siren("u01", 30, 503, 501, event="siren_changed"),
        said("pressed", "u01", 22, boot=1, number=1, key="help"),
    ]
    rows = (ROW, SECOND)
    verdict = judge(replace(ALL_WELL, events=events, journal=rows, inbox=rows, alarms=("id1", "id2"), delivered={}))
    assert not verdict.wrong
    assert not verdict.missing


def test_what_a_full_disk_took_the_words_of_is_judged_by_what_it_said_before(tmp_path: Path) -> None:
    clock = Clock()
    journal = Journal(tmp_path / "journal.db", station=STATION, gateway=GATEWAY, random_bytes=DICE)
    journal.append([press(clock, number=number) for number in (1, 2, 3)])
    noted: dict[str, Row] = {}
    before = recall(read_journal(tmp_path), noted)
    first, targets = journal.pending(limit=1)[0]
    journal.mark(Marks(done=[Owed(journal.epoch, Lane.ALARM, first.seq, target) for target in targets]))
    assert journal.prune(1) == 1
    assert [row.type for row in read_journal(tmp_path)] == [PRUNED, "press", "press"]
    assert recall(read_journal(tmp_path), noted) == before
    assert [row.message for row in before] == ["u01:1:1", "u01:1:2", "u01:1:3"]
    journal.close()
