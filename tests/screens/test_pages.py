"""Every page in both themes and at three widths: nobody is kept out of it, nothing sticks out, nothing complains.

Pages are those of the console's routers, so that a new one is looked at from its first day.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from playwright.sync_api import APIResponse, Browser

from broker.kinds import Kind
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import settings_in
from tests.api.peers import HOUSEHOLDS, PRINCIPALS, Gateway
from tests.api.people import Hands
from tests.api.signing_in import code
from tests.screens.conftest import serving_busily
from tests.screens.pages import ALARM, WITH_PAGES, askers, is_page, module_of, paths
from tests.screens.seeing import Screen, Serving


class Lookers:
    """One station for all pages, and a screen for each person: who looks at a page changes nothing."""

    def __init__(self, browser: Browser, busy: Serving, alarms: list[str]) -> None:
        self.alarms = alarms
        self._browser = browser
        self._busy = busy
        self._screens: dict[str, Screen] = {}

    def ask(self, login: str, path: str) -> APIResponse:
        """What this person is answered."""
        if login not in self._screens:
            self._screens[login] = Screen(self._browser, self._busy.origin)
            self._screens[login].enter(login, code=code(self._busy.station))
        return self._screens[login].context.request.get(path, max_redirects=0)

    def look_at(self, login: str, path: str) -> list[str]:
        """What is wrong with the page for whoever has asked for it."""
        return self._screens[login].look_at(path)

    def put_down(self) -> list[str]:
        """What the screens have complained of since the last time; nobody looks any more."""
        wrong = []
        for login, one in self._screens.items():
            one.put_down()
            wrong += [f"{login}: {said}" for said in one.wrong]
            one.wrong.clear()
        return wrong

    def close(self) -> None:
        for one in self._screens.values():
            one.close()


@pytest.fixture(scope="module")
def lookers(browser: Browser, migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookers]:
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(migrated_file, folder / "station.db")
    with PrivateBroker(folder / "broker", PRINCIPALS) as broker:
        settings = settings_in(folder, broker, f"sqlite:///{folder}/station.db")
        with serving_busily(settings, Hands()) as busy, Gateway(broker) as gateway:
            events = [
                gateway.event(kind=Kind.DURESS),
                gateway.event(kind=Kind.FIRE, label="<b>老王</b>的家在很长很长的一条街道的最后一个院子里面第二个门"),
                gateway.event(kind=Kind.PANIC, place=HOUSEHOLDS[1], unit=None),
            ]
            gateway.send(events)
            gateway.receipted(events)
            made = Lookers(browser, busy, [event.id for event in events])
            yield made
            made.close()


@pytest.mark.parametrize("router", WITH_PAGES, ids=map(module_of, WITH_PAGES))
def test_a_page_keeps_nobody_out_and_sticks_out_nowhere(lookers: Lookers, router: APIRouter) -> None:
    wrong: list[str] = []
    nobody: list[str] = []
    more = [f"/alarms/{alarm}" for alarm in lookers.alarms] if module_of(router) == ALARM else []
    all_paths = paths(router) + more
    for path in all_paths:
        for login in askers(router, path):
            answer = lookers.ask(login, path)
            if answer.ok or answer.status == 404:
                if is_page(answer):
                    wrong += lookers.look_at(login, path)
                break
        else:
            nobody.append(path)
    wrong += lookers.put_down()
    assert wrong == []
    assert nobody == []
    assert all_paths


def test_what_looks_at_pages_sees_what_is_wrong(browser: Browser, serving: Serving) -> None:
    one = Screen(browser, serving.origin)
    one.page.goto("/login")
    assert one.wrong == []
    assert one.violations() == []
    one.page.evaluate(
        """document.body.innerHTML = `<button></button><p>wide</p><img src="https://elsewhere.example/x.png">`;
           document.querySelector("p").style.width = "3000px";"""
    )
    one.page.wait_for_timeout(200)
    assert one.overflow() > 0
    assert any("button-name" in found for found in one.violations())
    assert any("Content Security Policy" in said for said in one.wrong)
    one.close()
