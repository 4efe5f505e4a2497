"""The tiers of power cuts, as much of each as CI can afford, and that they would find what there is to find.

T2 is in tests/paths/test_power_cut.py. `make power` runs all of each.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from faults import power, writer
from faults.power import Tally
from faults.recorded import Said, Step, Sync, Write, recording, whatever_a_disk_may_have
from gateway import journal as journals

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NO POWER WAS CUT, F03 IS SHOWN IN PARTS ONLY: it needs root")


def unhurt(tier: str, size: int) -> Tally:
    tally = power.run(tier, size=size, seed=3)
    assert not tally.skipped
    assert tally.unhurt, tally.found
    return tally


@pytest.mark.proves("N1", "F02")
def test_a_writer_killed_at_writes_and_syncs_loses_nothing_that_was_confirmed() -> None:
    tally = unhurt("T1", 3)
    assert tally.figures["kills"] >= 6
    assert tally.figures["confirmed"] > 0


@needs_root
@pytest.mark.timeout(120)
@pytest.mark.proves("N1", "N14", "F03")
def test_a_card_that_lies_costs_what_only_it_had_and_the_gap_has_a_name() -> None:
    tally = unhurt("T3", 2)
    assert tally.figures["cuts that lost rows"] == tally.figures["gaps named by a new epoch"] == 2


@pytest.mark.timeout(120)
@pytest.mark.proves("N1", "N14", "F01", "F03", "F04")
def test_whatever_of_the_last_writes_is_on_the_disk_in_whatever_order_nothing_confirmed_is_missing() -> None:
    tally = unhurt("T4", 3)
    assert tally.figures["states"] > 200
    assert tally.figures["... confirmed rows missing"] > 0, (
        "a disk that lies has to cost something, or nothing was tried"
    )


def test_a_journal_that_is_not_synced_is_found_by_torn_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = journals.Journal._connect

    def carelessly(journal: journals.Journal) -> sqlite3.Connection:
        db = connect(journal)
        db.execute("PRAGMA synchronous=OFF")
        return db

    monkeypatch.setattr(journals.Journal, "_connect", carelessly)
    assert any("was confirmed and is not there" in line for line in power.run("T4", size=2, seed=3).found)


def after(*steps: Step) -> Iterator[dict[str, bytes]]:
    for end, files in whatever_a_disk_may_have(steps, Random(1), drawn=4):
        if end == len(steps):
            yield dict(files)


def test_what_was_synced_is_there_in_every_state_and_what_was_not_in_some() -> None:
    states = list(after(Write("a", 0, b"sure"), Sync("a"), Write("a", 4, b"one"), Write("a", 7, b"two")))
    assert all(state["a"].startswith(b"sure") for state in states)
    assert {state["a"] for state in states} >= {b"sure", b"sureonetwo", b"sure\0\0\0two"}


def test_a_long_write_is_torn_at_a_sector_and_a_cut_file_may_be_as_long_as_before() -> None:
    states = list(after(Write("a", 0, b"x" * 5_000)))
    assert any(0 < len(state["a"]) < 5_000 and len(state["a"]) % 512 == 0 for state in states if "a" in state)
    states = list(after(Write("a", 0, b"long"), Sync("a"), Write("a", 1, None)))
    assert {state["a"] for state in states} == {b"long", b"l"}


def test_what_a_journal_writes_is_recorded_with_its_syncs(tmp_path: Path) -> None:
    with recording() as steps:
        writer.opened(tmp_path, Random(1).randbytes).journal.close()
    assert {type(step) for step in steps} == {Write, Sync}
    assert not any(isinstance(step, Said) for step in steps)
    assert (tmp_path / "journal.db").read_bytes() == _written(steps, "journal.db")


def _written(steps: list[Step], file: str) -> bytes:
    last = [files for _, files in whatever_a_disk_may_have([*steps, Sync(file)], Random(1), drawn=0)][-1]
    return last[file]
