"""The demo as a user runs it: real serial lines, a real broker, a real database; judged from outside."""

import json
import subprocess
import sys
from typing import Any

import pytest

from deploy.demo import HOUSEHOLDS, UNITS

NEIGHBOURS = [f"household:{household}" for household in HOUSEHOLDS if household != "h03"]
PANIC = [{"alarm": "panic", "door": 503}, {"update": "acknowledged", "of": "panic"}]
CANCELLED = {"update": "cancelled_by_household", "of": "panic"}


@pytest.fixture(scope="module")
def evening() -> Any:
    """One evening, played once for all that is asked of it."""
    command = [sys.executable, "-m", "deploy.cli", "demo", "--once", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=55, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "ms"} for row in rows]


@pytest.mark.proves("A1", "A3", "A5", "A6", "N4")
def test_everybody_learns_what_they_may_and_nothing_else(evening: Any) -> None:
    assert set(evening) == {"ok", "problems", "audiences", "units"}
    assert evening["ok"] is True
    assert evening["problems"] == []
    audiences = {audience: without_times(rows) for audience, rows in evening["audiences"].items()}
    assert audiences.pop("household:h03") == []
    assert audiences.pop("police") == [*PANIC, {"alarm": "duress", "door": 602}, CANCELLED]
    assert set(audiences) == {"community:c1", "grid:w1", *NEIGHBOURS}
    assert all(rows == [*PANIC, CANCELLED] for rows in audiences.values())


@pytest.mark.proves("A1", "N5")
def test_everybody_learns_within_a_second(evening: Any) -> None:
    told = [row["ms"] for rows in evening["audiences"].values() for row in rows if "alarm" in row]
    rung = [seen["ms"] for seen in evening["units"].values()]
    assert len(told) == 13
    assert all(0 < ms < 1_000 for ms in (*told, *rung)), (told, rung)


@pytest.mark.proves("A3", "A5")
def test_ten_sirens_name_the_door_and_one_lamp_climbs(evening: Any) -> None:
    assert set(evening["units"]) == set(UNITS)
    for unit, seen in evening["units"].items():
        assert (seen["siren"], seen["doors"], seen["stopped"]) == (["panic"], [503], True)
        assert seen["lamps"] == (["kept", "police_have_it"] if unit == "u03" else [])
