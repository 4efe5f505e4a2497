"""An older station comes back from a backup, and the gateway tells again what it lost, on the real road."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy import backup, restoring
from deploy.restoring import Target
from faults.audiences import DOORS
from faults.sets import read_inbox
from faults.town import Town, town

MORE = 50


def held(running: Town) -> set[str]:
    """The ids of everything that the station has stored."""
    return {row.id for row in read_inbox(running.database)}


def sirens(running: Town) -> int:
    """How often anything has begun to sound."""
    return sum(event["event"] == "siren" for event in list(running.village.events))


@pytest.mark.proves("N2", "N3", "N9", "N12", "N14", "F13")
def test_fifty_presses_since_the_backup_are_there_again_and_nothing_rings_twice(tmp_path: Path) -> None:
    with town(tmp_path) as running:
        running.wait_greeted()
        first = running.press("u03")
        running.settle()
        keys = running.box.directory / "keys"
        place = backup.find(running.box.directory / "station", site=None, keys=keys)
        path, manifest = backup.make(place, tmp_path / "kept", passphrase=None, now=datetime.now(UTC))
        assert manifest.tables is not None
        assert manifest.tables["rows"]["alarm"] == 1

        for _ in range(MORE // len(DOORS)):
            for unit in DOORS:
                running.press(unit, hold_ms=50)
        running.settle()
        told = {body["press"] for body in running.stored("press")}
        assert len(told) == MORE + 1
        before, opened = sirens(running), len(running.box.get("/api/v1/alarms?limit=200")["items"])
        everything = held(running)

        running.station.kill()
        target = Target(state=running.box.directory / "station", keys=keys, replace=True)
        done = restoring.restore(path, target, passphrase=None, now=datetime.now(UTC))
        assert done.chain_ok
        assert [body["press"] for body in running.stored("press")] == [first]
        running.box.start_station()
        running.box.wait_until(lambda: held(running) >= everything, "all is told again", timeout_s=60)
        running.settle()
        assert {body["press"] for body in running.stored("press")} == told
        assert len(running.box.get("/api/v1/alarms?limit=200")["items"]) == opened
        assert sirens(running) == before
        verdict = running.verdict()
        assert not verdict.wrong
        assert not verdict.untold
        gaps = running.box.get("/api/v1/faults")
        assert [gap for gap in gaps["gaps"] if not gap["reason"]] == []
        assert [fault["code"] for fault in gaps["faults"] if fault["code"] in {"gap", "clone", "history_changed"}] == []

        last = running.press("u05")  # and commands, receipts and sirens go on as ever
        running.wait_siren("u08", last)
        running.settle()
        assert not running.verdict().wrong
