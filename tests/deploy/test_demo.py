"""The demo as a user runs it: real serial lines, a real broker, a real database; judged from outside."""

import fcntl
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import HOUSEHOLDS, UNITS

pytestmark = pytest.mark.timeout(120)
"""It takes 15 s on a quiet machine, and much longer on one that runs all tests at once."""

WITHIN_S = 60.0
EVENINGS = 3
NEIGHBOURS = [f"household:{household}" for household in HOUSEHOLDS if household != "h03"]
PANIC = [{"alarm": "panic", "door": 503}, {"update": "acknowledged", "of": "panic"}]
CANCELLED = {"update": "cancelled_by_household", "of": "panic"}


@pytest.fixture(scope="module")
def evening() -> Any:
    """One evening, played once for all that is asked of it."""
    return played()


def played() -> Any:
    command = [sys.executable, "-m", "deploy.cli", "demo", "--once", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def within_a_second(evening: Any, times: Callable[[Any], list[int]]) -> None:
    """Of three evenings one at least: a slow product is slow on each, and a busy machine is not always as busy."""
    slow = []
    for again in range(EVENINGS):
        found = times(played() if again else evening)
        if all(0 < ms < 1_000 for ms in found):
            return
        slow.append(found)
    raise AssertionError(slow)


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "ms"} for row in rows]


@pytest.mark.proves("A1", "A3", "A5", "A6", "N4")
def test_everybody_learns_what_they_may_and_nothing_else(evening: Any) -> None:
    assert set(evening) == {"ok", "problems", "audiences", "units", "patrol"}
    assert evening["ok"] is True
    assert evening["problems"] == []
    audiences = {audience: without_times(rows) for audience, rows in evening["audiences"].items()}
    assert audiences.pop("household:h03") == []
    assert audiences.pop("police") == [*PANIC, {"alarm": "duress", "door": 602}, CANCELLED]
    assert set(audiences) == {"community:c1", "grid:w1", *NEIGHBOURS}
    assert all(rows == [*PANIC, CANCELLED] for rows in audiences.values())


@pytest.mark.proves("A1", "N5")
@pytest.mark.timeout(400)
def test_everybody_learns_within_a_second(evening: Any) -> None:
    def times(evening: Any) -> list[int]:
        told = [row["ms"] for rows in evening["audiences"].values() for row in rows if "alarm" in row]
        assert len(told) == 13
        return [*told, *(seen["ms"] for seen in evening["units"].values())]

    within_a_second(evening, times)


@pytest.mark.proves("P1", "P3")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv: nothing ends the programs of a killed demo")
def test_a_live_demo_walks_its_night_and_leaves_nothing_behind_when_it_is_killed(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    command = [sys.executable, "-m", "deploy.cli", "demo", "--state", str(tmp_path / "demo")]
    demo = subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "40"},
    )
    os.close(terminal)
    try:
        read_until(screen, "r 夜巡")
        running = children(demo.pid)
        assert set(running) == {"mosquitto", "mosquitto_sub", "station", "sim", "gateway"}
        ends = [os.pidfd_open(pid) for pids in running.values() for pid in pids]
        os.write(screen, b"r")
        said = read_until(screen, "李明: ")
        assert "张强: 东门岗亭 准时 · 西门 漏巡 (23:25:" in said
        assert "发现) · 地下车库 迟到 3 min" in said, said[said.find("张强: ") :][:300]
        assert "night: " not in said  # which is how a problem begins
    finally:
        demo.kill()
        demo.wait()
        os.close(screen)
    for end in ends:
        assert select.select([end], [], [], WITHIN_S)[0]  # readable as soon as the process is gone
        os.close(end)


def read_until(screen: int, text: str) -> str:
    """What the demo shows until it has shown this."""
    said, deadline = b"", time.monotonic() + WITHIN_S
    while text not in (shown := said.decode(errors="replace")):
        assert time.monotonic() < deadline, shown[-2_000:]
        if select.select([screen], [], [], 1)[0]:
            said += os.read(screen, 65_536)
    return shown


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


@pytest.mark.proves("P1", "P2", "P3")
def test_the_night_has_one_late_one_missed_and_one_impossible_check_in(evening: Any) -> None:
    visits = {
        (who["name"], visit["point"]): visit
        for one in evening["patrol"]["rounds"]
        for who in one["guards"]
        for visit in one["visits"]
    }
    assert {key: (visit["outcome"], visit["outcome_words"]["zh"]) for key, visit in visits.items()} == {
        ("张强", "east"): ("on_time", "准时"),
        ("张强", "west"): ("missed", "漏巡"),
        ("张强", "garage"): ("late", "迟到"),
        ("李明", "garage"): ("on_time", "准时"),
        ("李明", "west"): ("on_time", "准时"),
        ("李明", "east"): ("too_fast", "过快"),
        ("王芳", "east"): ("on_time", "准时"),
    }
    impossible, missed = visits["李明", "east"], visits["张强", "west"]
    assert impossible["by_the_clock"] == "on_time"
    assert impossible["leg_s"] < 60 < impossible["leg_least_s"]
    late_s = datetime.fromisoformat(missed["told"]) - datetime.fromisoformat(missed["closes"])
    assert timedelta(0) <= late_s <= timedelta(seconds=5)


@pytest.mark.proves("P1")
@pytest.mark.timeout(400)
def test_every_card_is_answered_at_its_reader_within_a_second(evening: Any) -> None:
    def times(evening: Any) -> list[int]:
        visits = [visit for one in evening["patrol"]["rounds"] for visit in one["visits"]]
        answered = [visit["answered_ms"] for visit in visits if visit["at"] is not None]
        assert len(answered) == 6
        return answered

    within_a_second(evening, times)


@pytest.mark.proves("P7", "P9")
def test_points_are_booked_with_reasons_and_the_impossible_one_is_only_flagged(evening: Any) -> None:
    patrol = evening["patrol"]
    booked = {(entry["name"], entry["rule"]): entry for entry in patrol["points"]}
    assert {key: entry["points"] for key, entry in booked.items()} == {
        ("张强", "P02"): -0.5,
        ("张强", "P04"): -2.0,
        ("王芳", "P01"): 1.0,
    }
    assert booked["张强", "P04"]["state"] == "pending"
    assert all(entry["reason"]["zh"] and entry["reason"]["en"] for entry in booked.values())
    assert [(flag["name"], flag["rule"], flag["state"]) for flag in patrol["flags"]] == [("李明", "P07", "open")]


@pytest.mark.proves("P4")
def test_the_look_up_gives_its_three_answers_for_one_checkpoint(evening: Any) -> None:
    found = {one["name"]: one for one in evening["patrol"]["look_up"]["findings"]}
    assert {name: (one["answer"], one["answer_words"]["en"]) for name, one in found.items()} == {
        "李明": ("was_there", "was there"),
        "张强": ("must_have_passed", "must have passed"),
        "王芳": ("could_have_been", "could have been there"),
    }
    assert all(one["evidence"] for one in found.values())
