"""What was recorded is changed behind the gateway's back: it is noticed, and alarms go on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faults.sets import read_journal
from faults.town import Town, town
from tests.gateway.tampering import rewrite


@pytest.fixture
def own_town(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path) as running:
        yield running


@pytest.mark.proves("N15")
def test_a_journal_that_was_changed_is_a_fault_that_the_station_shows_and_a_press_is_told_all_the_same(
    own_town: Town,
) -> None:
    recorded = len(read_journal(own_town.state))
    own_town.box.wait_until(lambda: told_head(own_town) >= recorded, "the station was told the head", timeout_s=60)
    own_town.gateway.stop()
    rewrite(own_town.state / "journal.db")
    own_town.restart(own_town.gateway)
    # The gateway finds it by what the station says. The station itself does only if the gateway's head is as it was.
    own_town.box.wait_until(lambda: "journal" in changes(own_town), "the station knows", timeout_s=60)
    own_town.press("u03")
    own_town.settle()
    own_town.box.wait_until(lambda: witnessed(own_town) > 0, "the gateway told the station's head back", timeout_s=60)
    verdict = own_town.verdict()
    assert not verdict.untold
    assert not verdict.unrung


def told_head(running: Town) -> int:
    """The highest head that the station will hold against the gateway's journal."""
    with closing(sqlite3.connect(f"file:{running.database}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM chain_head").fetchone()[0])


def witnessed(running: Town) -> int:
    """The highest head of the station's own record that its gateway keeps."""
    with closing(sqlite3.connect(f"file:{running.database}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT coalesce(max(seq), 0) FROM audit_witness WHERE why = ''").fetchone()[0])


def changes(running: Town) -> set[str]:
    faults = running.box.get("/api/v1/faults")["faults"]
    return {fault["about"] for fault in faults if fault["code"] == "history_changed"}
