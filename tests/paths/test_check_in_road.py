"""The road of a check-in, from the tag to the station, told once in peace and then with a kill at every step."""

from functools import partial
from itertools import count

import pytest

from faults.town import Town

GATEWAY_STEPS = [
    *(f"journal.append:{when}:{number}" for number in (1, 2) for when in ("before", "after")),
    *(f"link.write.line1:{when}:{number}" for number in (1, 2) for when in ("before", "after")),
    *(f"uplink.publish:{when}:{number}" for number in (1, 2) for when in ("before", "after")),
]
STATION_STEPS = [f"ingest.{step}:{when}:1" for step in ("commit", "ack", "receipt") for when in ("before", "after")]

UNITS = ("u01", "u02", "u03", "u04")
PATROL_TAG = "0A00B1C2D3"
NUMBERS = count(1)


def tag() -> str:
    """A tag that nobody has held yet."""
    return f"{next(NUMBERS):010X}"


@pytest.mark.proves("P1", "N3", "N4")
def test_in_peace_a_check_in_reaches_the_station_once_and_nobody_else(running_town: Town) -> None:
    running_town.hold_tag("u02", tag())
    running_town.village.do("tag", unit="gate", tag=PATROL_TAG)
    running_town.box.wait_until(
        lambda: len(running_town.stored("check_in")) == 2, "both check-ins are stored", timeout_s=60
    )
    running_town.settle()
    verdict = running_town.verdict()
    assert not verdict.wrong
    assert PATROL_TAG in {body["detail"]["tag"] for body in running_town.stored("check_in")}
    assert not any(running_town.witnesses.delivered().values())


@pytest.mark.proves("N1", "N3", "N4", "N14", "P1")
@pytest.mark.parametrize("step", GATEWAY_STEPS)
def test_a_gateway_killed_at_any_step_loses_no_confirmed_check_in(running_town: Town, step: str) -> None:
    with running_town.killed(running_town.gateway, step):
        running_town.act_until_dead(
            running_town.gateway, [partial(running_town.hold_tag, unit, tag()) for unit in UNITS]
        )
    running_town.settle()
    assert not running_town.verdict().wrong
    assert not any(running_town.witnesses.delivered().values())


@pytest.mark.proves("N2", "N3", "P1")
@pytest.mark.parametrize("step", STATION_STEPS)
def test_a_station_killed_at_any_step_loses_no_check_in(running_town: Town, step: str) -> None:
    with running_town.killed(running_town.station, step):
        running_town.hold_tag("u05", tag())
    running_town.settle()
    assert not running_town.verdict().wrong
