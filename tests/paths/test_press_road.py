"""The road of a press, from the key to everybody who may know, told once in peace and then with a kill at every step.

Steps as in the architecture: heard - sounded (`link.write`) - kept (`journal.append`) - confirmed (`link.write`) -
handed over (`uplink.publish`) - taken in (`ingest.commit`) - acknowledged (`ingest.ack`) - receipted
(`ingest.receipt`).
"""

import time
from dataclasses import replace
from itertools import cycle

import pytest

from deploy.doctor import Patient, State, examine
from faults.audiences import DOORS
from faults.town import Town
from gateway.retelling import TOLD_AGAIN

GATEWAY_STEPS = [
    *(f"journal.append:{when}:{number}" for number in (1, 2, 3) for when in ("before", "after")),
    *(f"link.write.line1:{when}:{number}" for number in (1, 2, 3) for when in ("before", "after")),
    *(f"uplink.publish:{when}:{number}" for number in (1, 2, 3, 4) for when in ("before", "after")),
]
STATION_STEPS = [f"ingest.{step}:{when}:1" for step in ("commit", "ack", "receipt") for when in ("before", "after")]

PRESSERS = cycle(["u01", "u02", "u03", "u05", "u06", "u08", "u09", "u10"])
"""Doors in turn, so that sounders that still play for the last test have a new door to name."""


@pytest.mark.proves("A3")
def test_each_key_has_a_sound_of_its_own_that_names_the_door_and_duress_has_none(running_town: Town) -> None:
    heard: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
    for key in ("fire", "panic", "intrusion", "medical", "help"):
        before = len(running_town.village.events)
        message = running_town.press("u05", key, hold_ms=50)
        running_town.wait_siren("u08", message)
        heard[key] = {
            (event["pattern"], tuple(event["doors"]))
            for event in running_town.village.events[before:]
            if event["event"] in {"siren", "siren_changed"} and event["unit"] in {"u02", "u08"}
        }
        running_town.village.do("cancel", unit="u05")
        running_town.wait_quiet(*DOORS)
    # Without the household's word that it may be told, a medical call sounds like any call for help.
    sounds = {key: "help" if key == "medical" else key for key in heard}
    assert heard == {key: {(sound, (DOORS["u05"],))} for key, sound in sounds.items()}

    before = len(running_town.village.events)
    running_town.wait_confirmed(running_town.press("u05", "duress", hold_ms=50))
    running_town.settle()
    told = [event for event in running_town.village.events[before:] if "siren" in event["event"]]
    assert told == []


@pytest.mark.proves("A1", "A4", "N3", "N4")
def test_in_peace_everybody_who_may_know_learns_of_a_press_once(running_town: Town) -> None:
    running_town.press("u03", "panic")
    running_town.press("u04", "fire")
    running_town.press("u06", "medical")
    running_town.press("u07", "duress")
    running_town.settle()
    verdict = running_town.verdict()
    assert not verdict.wrong
    assert not verdict.missing
    assert verdict.copies == 0


@pytest.mark.proves("N1", "N3", "N4", "N12", "N14", "F02")
@pytest.mark.parametrize("step", GATEWAY_STEPS)
def test_a_gateway_killed_at_any_step_loses_no_confirmed_press(running_town: Town, step: str) -> None:
    with running_town.killed(running_town.gateway, step):
        for _ in range(3):
            running_town.press(next(PRESSERS))
    running_town.settle()
    verdict = running_town.verdict()
    assert not verdict.wrong
    assert not verdict.missing


@pytest.mark.proves("N2", "N3", "N4", "F02")
@pytest.mark.parametrize("step", STATION_STEPS)
def test_a_station_killed_at_any_step_loses_no_press_and_counts_none_twice(running_town: Town, step: str) -> None:
    with running_town.killed(running_town.station, step):
        running_town.press(next(PRESSERS))
    running_town.settle()
    verdict = running_town.verdict()
    assert not verdict.wrong
    assert not verdict.missing
    assert TOLD_AGAIN not in running_town.gateway.said()


@pytest.mark.proves("A10", "N8")
def test_the_doctor_finds_gateway_and_station_well_and_puts_nobody_out(running_town: Town) -> None:
    box = running_town.box
    patient = Patient(
        path=box.site_path,
        keys=box.directory / "keys",
        state=running_town.state,
        gateway="gw1",
        broker_port=box.broker.port,
        http_port=box.http_port,
        now_ms=time.time_ns() // 1_000_000,
    )
    station = replace(patient, gateway=None, state=box.directory / "station")
    for findings in (examine(patient), examine(station)):
        assert not [one for one in findings if one.state is State.BAD and one.what != "writing"]
        assert {one.what for one in findings if one.state is State.GOOD} >= {"site", "keys", "broker"}
    running_town.press(next(PRESSERS))
    running_town.settle()
    assert not running_town.verdict().missing
