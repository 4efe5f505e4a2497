"""The power is cut under a gateway in a storm of presses, twenty times; what a unit was told is kept is there."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from faults.audiences import DOORS
from faults.disks import CuttableDisk, NoSuchDisk
from faults.sets import Damaged, confirmed, read_journal
from faults.town import Town, town

CUTS = 20
SEED = 20260
PRESSES_EACH = 6
SERVICE_S = 60.0
"""N14: presses are accepted again within this."""


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
        assert struck.wait_siren("u08", message) < 1.0
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


def storm(struck: Town, dice: Random) -> None:
    """Press at many units, and return when so many of them were answered as the dice say."""
    before = len(confirmed(struck.village.events))
    for unit in dice.sample(sorted(DOORS), PRESSES_EACH):
        struck.press(unit, dice.choice(["panic", "fire", "help", "medical", "intrusion"]), hold_ms=30)
    wanted = before + dice.randrange(PRESSES_EACH)
    struck.box.wait_until(
        lambda: len(confirmed(struck.village.events)) >= wanted, "some were confirmed", timeout_s=SERVICE_S
    )


def lose_power(struck: Town, disk: CuttableDisk) -> None:
    """Program and disk go together, and the power comes back.

    The program goes first: a kernel that is cut off by ioctl lives on, and may tell a sync under way that it is done.
    """
    struck.gateway.kill()
    disk.cut()
    disk.restore()
