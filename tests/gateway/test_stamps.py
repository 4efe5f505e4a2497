import subprocess
import sys

import pytest

from gateway.stamps import EARLIEST_UNIX_MS, Stamp, SystemClock, age_ms, kernel_synced, read_boot_id
from tests.gateway.place import AT_MS, Clock


def test_age_within_a_boot_comes_from_the_monotonic_clock() -> None:
    clock = Clock()
    then = clock()
    clock.pass_s(2.5)
    clock.wall_ms -= 3_600_000
    assert age_ms(then, clock()) == 2_500


@pytest.mark.proves("N12")
@pytest.mark.parametrize("wall_now_ms", [0, AT_MS - 1, AT_MS, AT_MS + 5])
def test_what_happened_before_a_reboot_is_never_young_enough_to_ring(wall_now_ms: int) -> None:
    then = Clock()()
    now = Stamp(wall_now_ms, 5, "b2", "synced")
    assert age_ms(then, now) == 61_000


def test_across_a_reboot_the_wall_clock_tells_longer_ages() -> None:
    assert age_ms(Stamp(AT_MS, 9, "b1", "synced"), Stamp(AT_MS + 100_000, 1, "b2", "synced")) == 100_000


def test_a_monotonic_clock_that_went_backwards_makes_no_negative_age() -> None:
    assert age_ms(Stamp(AT_MS, 9, "b1", "synced"), Stamp(AT_MS, 1, "b1", "synced")) == 0


def test_the_system_clock_names_its_boot_and_moves_on() -> None:
    clock = SystemClock()
    first, second = clock(), clock()
    assert first.boot == second.boot == read_boot_id()
    assert second.mono_ns >= first.mono_ns


def test_a_clock_is_synced_only_when_the_kernel_says_so_and_the_year_can_be() -> None:
    stamp = SystemClock()()
    assert stamp.quality == ("synced" if kernel_synced() and stamp.wall_ms >= EARLIEST_UNIX_MS else "unsynced")


@pytest.mark.proves("N6", "N11", "N12", "F17")
def test_clocks_of_gateway_and_station_count_while_the_machine_sleeps() -> None:
    """A clock of its own for one process, two hours on by the kernel's count of sleep: as if it had slept so long."""
    ask = (
        "import time; from api.clock import running_s; from gateway.stamps import SystemClock;"
        "print(SystemClock()().mono_ns / 1e9 - time.monotonic(), running_s() - time.monotonic())"
    )
    asleep = ["unshare", "-T", "--boottime", "7200", "--fork"]
    here, there = (
        subprocess.run([*before, sys.executable, "-c", ask], capture_output=True, text=True, check=False)
        for before in ([], asleep)
    )
    if there.returncode and "unshare" in there.stderr:
        pytest.skip(f"NO CLOCK WAS MOVED, F17 IS SHOWN IN PARTS ONLY: {there.stderr}")
    for then, now in zip(here.stdout.split(), there.stdout.split(), strict=True):
        assert float(now) - float(then) == pytest.approx(7_200, abs=5)
