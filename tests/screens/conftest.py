"""One chromium for each module, a station for each test, and a screen for each person."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import text

from api.accounts import repository as accounts
from api.rights.rules import Role
from api.settings import StationSettings
from tests.api.conftest import broker, gateway, migrated_file, passwords_cost_little, settings
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION
from tests.api.people import Hands, somebody
from tests.api.signing_in import account
from tests.api.test_guards import duty, hire
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out
from tests.screens.seeing import PATIENCE_S, Screen, Serving, chromium

__all__ = ["broker", "gateway", "migrated_file", "passwords_cost_little", "settings"]

Open = Callable[..., Screen]

expect.set_options(timeout=PATIENCE_S * 1_000)

PEOPLE: tuple[tuple[str, str, Role, str], ...] = (
    ("wang", "王建国", Role.DUTY_OFFICER, STATION),
    ("lin", "林芳", Role.DUTY_LEADER, STATION),
    ("bao", "包经理", Role.GUARD_COMPANY, "beiguan"),
    ("xin", "辛师傅", Role.INSTALLER, COMMUNITY),
    ("sun", "孙主任", Role.COMMUNITY, COMMUNITY),
    ("gu", "顾强", Role.GUARD, "beiguan"),
    ("he", "何组长", Role.GROUP_LEADER, "gr1"),
    ("hu", "胡奶奶", Role.HOUSEHOLD, HOUSEHOLDS[0]),
    ("kai", "开管理", Role.ADMINISTRATOR, ""),
    ("shen", "申审计", Role.AUDITOR, ""),
)
"""Whoever comes first and is let in looks at a page."""
POINTS = {"east": "东门岗亭", "shed": "自行车棚", "power": "配电房"}
"""What `lay_out` calls by their ids."""


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
def hands() -> Hands:
    """A minute after the round of `busy` began."""
    return Hands()


@pytest.fixture
def busy(settings: StationSettings, hands: Hands) -> Iterator[Serving]:
    with serving_busily(settings, hands) as running:
        yield running


@contextmanager
def serving_busily(settings: StationSettings, hands: Hands) -> Iterator[Serving]:
    """A station with PEOPLE, a company, and a round that has begun with a guard on duty."""
    with Serving(settings, clock=hands) as running:
        with running.station.registrar.edit("li") as edit:
            edit.put_company("beiguan", name="北关保安", code=None, if_match=None)
        made = {}
        for login, name, role, scope in PEOPLE:
            made[login] = account(running.station, login, (role, scope))
            with running.station.database.write() as session:
                accounts.change_account(session, made[login], name=name)
        officer = somebody(running.served, "planner", Role.OFFICER, STATION)
        lay_out(officer)
        duty(officer, hire(officer, "B1", "顾强", "beiguan", account=made["gu"]), area="gr1")
        with running.station.database.write() as session:
            for id_, name in POINTS.items():
                session.connection().execute(
                    text("UPDATE checkpoint SET name = :name WHERE id = :id"), {"name": name, "id": id_}
                )
        hands.now_ms = BEGINS_MS + MINUTE_MS
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
