"""A clock that can be put forward, as station and gateway take it."""

from pathlib import Path
from time import time_ns

import pytest

from deploy.clock import Dial, for_gateway, for_station

HOUR_MS = 3_600_000


def wall_ms() -> int:
    return time_ns() // 1_000_000


def test_station_and_gateway_show_the_time_to_which_it_was_put(tmp_path: Path) -> None:
    dial = Dial(tmp_path / "clock", make=True)
    station, gateway = for_station(tmp_path / "clock"), for_gateway(tmp_path / "clock")
    assert dial.ahead_ms == 0
    dial.put_to(wall_ms() + HOUR_MS)
    shown = (station(), gateway().wall_ms, dial.now_ms())
    assert all(HOUR_MS - 1_000 < one - wall_ms() <= HOUR_MS for one in shown)
    assert gateway().quality == "synced"


def test_it_is_never_put_back(tmp_path: Path) -> None:
    dial = Dial(tmp_path / "clock", make=True)
    dial.put_to(wall_ms() + HOUR_MS)
    ahead_ms = dial.ahead_ms
    dial.put_to(wall_ms())
    assert dial.ahead_ms == ahead_ms


def test_what_is_no_clock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"123")
    with pytest.raises(ValueError, match="length"):
        for_station(tmp_path / "short")
    with pytest.raises(FileNotFoundError):
        for_gateway(tmp_path / "none")
