"""The power is cut under a gateway in a storm of presses, twenty times; what a unit was told is kept is there."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from faults.disks import CuttableDisk, NoSuchDisk
from faults.power import SERVICE_S, lose_power, storm
from faults.sets import Damaged, confirmed, read_journal
from faults.town import town

CUTS = 20
SEED = 20260


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CuttableDisk]:
    made = CuttableDisk(tmp_path)
    try:
        made.__enter__()
    except NoSuchDisk as reason:
        pytest.skip(f"NO POWER WAS CUT, N1 IS NOT SHOWN HERE: {reason}")
    yield made
    made.__exit__(None, None, None)


@pytest.mark.timeout(120)
@pytest.mark.proves("N1", "N14", "F01")
def test_twenty_power_cuts_take_nothing_that_a_unit_was_told_is_kept(disk: CuttableDisk, tmp_path: Path) -> None:
    dice = Random(SEED)
    with town(tmp_path, gateway_state=disk.mountpoint) as struck:
        for cut in range(CUTS):
            storm(struck, dice)
            lose_power(struck, disk)
            kept = {row.message for row in read_journal(disk.mountpoint)}  # and the file is whole
            assert confirmed(struck.village.events).keys() <= kept, f"cut {cut} of seed {SEED}"
            power = time.monotonic()
            struck.restart(struck.gateway)
            struck.wait_confirmed(timeout_s=SERVICE_S - (time.monotonic() - power))
        struck.settle()
        assert not struck.verdict(timeout_s=0).wrong
        assert not list(disk.mountpoint.glob("journal.db.damaged*"))


@pytest.mark.proves("N1", "N5", "N14", "F07")
def test_a_press_on_a_disk_that_died_rings_and_is_not_confirmed_before_it_is_kept(
    disk: CuttableDisk, tmp_path: Path
) -> None:
    with town(tmp_path, gateway_state=disk.mountpoint) as struck:
        struck.settle()
        disk.cut()
        message = struck.press("u03")
        struck.wait_siren("u08", message)
        struck.wait_seconds(2.0)
        assert message not in confirmed(struck.village.events)
        struck.gateway.kill()
        disk.restore()
        struck.restart(struck.gateway)
        struck.wait_confirmed(message)
        struck.settle()
        verdict = struck.verdict()
        assert not verdict.wrong
        assert not verdict.missing


@pytest.mark.proves("N1")
def test_a_journal_that_does_not_sync_is_caught_by_one_power_cut(disk: CuttableDisk, tmp_path: Path) -> None:
    """Otherwise the test above would show nothing: a kernel that keeps everything passes it as well."""
    with town(tmp_path, gateway_state=disk.mountpoint, mutations={"gateway": "commits_are_not_synced"}) as careless:
        careless.settle()
        careless.press("u03")
        careless.wait_confirmed()
        lose_power(careless, disk)
        kept = set()
        with suppress(Damaged, sqlite3.Error):
            kept = {row.message for row in read_journal(disk.mountpoint)}
        assert confirmed(careless.village.events).keys() - kept
