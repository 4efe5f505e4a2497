"""What every test of the gateway gets."""

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from deploy.mosquitto import PrivateBroker
from tests.gateway.disks import SmallDisk
from tests.gateway.station import EVERYBODY


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the gateway's code logged, as values."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path / "broker", EVERYBODY) as running:
        yield running
        running.kill()  # in order it takes 0.1 s, for sessions that nobody will come back to


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "small", "3m")
    if disk.trouble:
        pytest.skip(f"a disk of its own needs root, to mount it: {disk.trouble}")
    yield disk
    disk.close()
