"""A village under attack, in real processes, and that the attack would find what there is to find."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.nemeses import NEMESES
from faults.program import Report, run

ROOT = Path(__file__).parents[2]
INVARIANTS = {"N1", "N2", "N3", "N4", "N6", "N9", "N12", "N14"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="cutting a disk's power needs root")


def attacked(tmp_path: Path, *only: str, mutations: dict[str, str] | None = None) -> Report:
    return run(length_s=12, seed=1, only=only, keep=tmp_path / "kept", mutations=mutations)


@pytest.mark.timeout(600)
@pytest.mark.proves("N1", "N2", "N3", "N4", "N6", "N9", "N12", "N14")
def test_a_minute_of_every_fault_loses_leaks_and_rings_nothing_twice(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cli", "faults", "--smoke", "--json", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert {name: one["count"] for name, one in told["found"].items()} == dict.fromkeys(told["found"], 0)
    assert told["invariants"] == dict.fromkeys(INVARIANTS, "kept")
    struck = {blow["name"] for blow in told["struck"]}
    assert len(struck) >= 10
    assert all(0 < blow["begin_s"] < blow["end_s"] for blow in told["struck"])
    assert len(told["struck"]) <= told["planned"]
    assert struck | told["skipped"].keys() <= NEMESES.keys()
    counts = told["counts"]
    assert counts["pressed"] == counts["confirmed"] == counts["journalled"] == counts["stored"] >= 300
    assert not (tmp_path / "kept").exists()


@needs_root
@pytest.mark.timeout(300)
@pytest.mark.proves("N1")
def test_a_journal_that_is_not_synced_is_found_by_a_power_cut_and_everything_is_kept(tmp_path: Path) -> None:
    report = attacked(tmp_path, "power-cut", mutations={"gateway": "commits_are_not_synced"})
    assert not report.unhurt
    assert report.invariants["N1"] != "kept"
    assert report.kept_in == str(tmp_path / "kept")
    assert json.loads((tmp_path / "kept" / "report.json").read_text())["seed"] == 1
    assert (tmp_path / "kept" / "town" / "box" / "gateway-gw1.log").stat().st_size
    assert list((tmp_path / "kept" / "gateway").glob("journal.db*"))


@pytest.mark.timeout(300)
@pytest.mark.proves("N4")
def test_a_widened_cell_of_the_policy_is_found_as_a_leak(tmp_path: Path) -> None:
    report = attacked(tmp_path, "uplink-slow", mutations={"gateway": "neighbours_learn_of_duress"})
    assert report.invariants["N4"] != "kept"
    assert report.found["leaked"]


def test_a_fault_that_there_is_not_is_named_with_those_that_there_are() -> None:
    command = [sys.executable, "-m", "deploy.cli", "faults", "--only", "earthquake"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "earthquake" in done.stderr
    assert "power-cut" in done.stderr
