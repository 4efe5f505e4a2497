"""The road of a press, from the key to everybody who may know, told once in peace and then with a kill at every step.

Steps as in the architecture: heard - sounded (`link.write`) - kept (`journal.append`) - confirmed (`link.write`) -
handed over (`uplink.publish`) - taken in (`ingest.commit`) - acknowledged (`ingest.ack`) - receipted
(`ingest.receipt`).
"""

from itertools import cycle

import pytest

from faults.town import Town

GATEWAY_STEPS = [
    *(f"journal.append:{when}:{number}" for number in (1, 2, 3) for when in ("before", "after")),
    *(f"link.write.line1:{when}:{number}" for number in (1, 2, 3) for when in ("before", "after")),
    *(f"uplink.publish:{when}:{number}" for number in (1, 2, 3, 4) for when in ("before", "after")),
]
STATION_STEPS = [f"ingest.{step}:{when}:1" for step in ("commit", "ack", "receipt") for when in ("before", "after")]

PRESSERS = cycle(["u01", "u02", "u03", "u05", "u06", "u08", "u09", "u10"])
"""Doors in turn, so that sounders that still play for the last test have a new door to name."""


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
