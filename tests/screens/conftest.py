"""One chromium for each module, a station for each test, and a screen for each person."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from api.rights.rules import Role
from api.settings import StationSettings
from tests.api.conftest import broker, gateway, migrated_file, passwords_cost_little, settings
from tests.api.peers import COMMUNITY, STATION
from tests.api.signing_in import account
from tests.screens.seeing import Screen, Serving, chromium

__all__ = ["broker", "gateway", "migrated_file", "passwords_cost_little", "settings"]

Open = Callable[..., Screen]


@pytest.fixture
def database_url(migrated_file: Path, tmp_path: Path) -> str:
    """On SQLite only: a browser sees no tables."""
    shutil.copy(migrated_file, tmp_path / "station.db")
    return f"sqlite:///{tmp_path}/station.db"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ended with the module: while Playwright runs, it keeps the loop of this thread from everybody else."""
    with chromium() as running:
        yield running


@pytest.fixture
def serving(settings: StationSettings) -> Iterator[Serving]:
    """A station with people of the police and of the community."""
    with Serving(settings) as running:
        for login, role, scope in (
            ("wang", Role.DUTY_OFFICER, STATION),
            ("qian", Role.DUTY_OFFICER, STATION),
            ("sun", Role.COMMUNITY, COMMUNITY),
        ):
            account(running.station, login, (role, scope))
        yield running


@pytest.fixture
def screen(browser: Browser, serving: Serving) -> Iterator[Open]:
    """Open a screen of one's own. At the end none may have complained of anything."""
    opened: list[Screen] = []

    def one(**how: Any) -> Screen:
        opened.append(Screen(browser, serving.origin, **how))
        return opened[-1]

    yield one
    for each in opened:
        each.close()
    assert [wrong for each in opened for wrong in each.wrong] == []
