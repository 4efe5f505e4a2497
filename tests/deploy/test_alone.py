"""A gateway that has nobody: no station, no broker, no right clock. Its village is rung all the same, and told so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.box import Box, Village
from deploy.check import load
from deploy.demo import UNITS, wait_for_hellos
from deploy.stage import example

WITHIN_S = 60.0


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    site = tmp_path / "village.toml"
    text = example("village.toml").read_text("utf-8")
    site.write_text(text.replace("heartbeat_s = 60\n", "heartbeat_s = 60\nnot_reached_s = 3\n"), "utf-8")
    with Box(load(site), site, tmp_path / "box") as box:
        box.broker.start()
        box.broker.kill()  # now nobody answers at its port
        units = box.start_village()
        box.start_gateway()
        wait_for_hellos(units, len(UNITS))
        yield units


def wait(village: Village, **wanted: object) -> dict[str, Any]:
    """The first entry of the units' diaries in which all of this stands."""
    return village.wait(lambda entry: wanted.items() <= entry.items(), timeout_s=WITHIN_S)


@pytest.mark.proves("A4", "A5", "N5")
def test_ten_households_are_rung_and_the_presser_is_told_to_phone(village: Village) -> None:
    village.do("press", unit="u03", key="panic", hold_ms=300)
    pressed = wait(village, event="pressed", unit="u03")
    for unit in UNITS:
        rung = wait(village, event="siren", unit=unit)
        assert (rung["pattern"], rung["doors"]) == ("panic", [503])
        assert rung["at_ns"] - pressed["at_ns"] < 1_000_000_000
    wait(village, event="confirmed", unit="u03", key="panic")
    kept = wait(village, event="lamp", unit="u03", lamp="kept")
    not_reached = wait(village, event="lamp", unit="u03", lamp="not_reached")
    assert not_reached["at_ns"] - pressed["at_ns"] > 2_900_000_000
    assert kept["at_ns"] < not_reached["at_ns"]
