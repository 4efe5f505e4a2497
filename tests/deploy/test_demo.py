"""The demo as a user runs it: real serial lines, a real broker, a real database; judged from outside."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import HOUSEHOLDS, UNITS

WITHIN_S = 20.0
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


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv: nothing ends the programs of a killed demo")
def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cli", "demo", "--once", "--state", str(tmp_path / "demo")]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WITHIN_S
        while "gateway" not in (running := children(demo.pid)):
            assert time.monotonic() < deadline
            assert demo.poll() is None
            time.sleep(0.02)  # there is nothing to wait on for somebody else's children
        assert set(running) == {"mosquitto", "mosquitto_sub", "station", "sim", "gateway"}
        ends = [os.pidfd_open(pid) for pids in running.values() for pid in pids]
    finally:
        demo.kill()
        demo.wait()
    for end in ends:
        assert select.select([end], [], [], WITHIN_S)[0]  # readable as soon as the process is gone
        os.close(end)


def children(pid: int) -> dict[str, list[int]]:
    """The processes that a process started, by what they are."""
    found: dict[str, list[int]] = {}
    for child in [
        int(one) for path in Path(f"/proc/{pid}/task").glob("*/children") for one in path.read_text().split()
    ]:
        words = [Path(word).name for word in Path(f"/proc/{child}/cmdline").read_text().split("\0")]
        found.setdefault(words[3] if words[1:3] == ["-m", "deploy.cli"] else words[0], []).append(child)
    return found


@pytest.mark.proves("A3", "A5")
def test_ten_sirens_name_the_door_and_one_lamp_climbs(evening: Any) -> None:
    assert set(evening["units"]) == set(UNITS)
    for unit, seen in evening["units"].items():
        assert (seen["siren"], seen["doors"], seen["stopped"]) == (["panic"], [503], True)
        assert seen["lamps"] == (["kept", "police_have_it"] if unit == "u03" else [])
