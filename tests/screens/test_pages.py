"""Every page in both themes and at three widths: nobody is kept out of it, nothing sticks out, nothing complains.

Pages are those of the console's routers, so that a new one is looked at from its first day.
"""

import pytest
from fastapi import APIRouter
from playwright.sync_api import Browser

from broker.kinds import Kind
from tests.api.peers import HOUSEHOLDS, Gateway
from tests.api.signing_in import code
from tests.screens.pages import ALARM, WITH_PAGES, askers, is_page, module_of, paths
from tests.screens.seeing import Screen, Serving


@pytest.mark.parametrize("router", WITH_PAGES, ids=map(module_of, WITH_PAGES))
def test_a_page_keeps_nobody_out_and_sticks_out_nowhere(
    browser: Browser, busy: Serving, gateway: Gateway, router: APIRouter
) -> None:
    events = [
        gateway.event(kind=Kind.DURESS),
        gateway.event(kind=Kind.FIRE, label="<b>老王</b>的家在很长很长的一条街道的最后一个院子里面第二个门"),
        gateway.event(kind=Kind.PANIC, place=HOUSEHOLDS[1], unit=None),
    ]
    gateway.send(events)
    gateway.receipted(events)
    screens: dict[str, Screen] = {}
    wrong: list[str] = []
    nobody: list[str] = []

    def screen_of(login: str) -> Screen:
        if login not in screens:
            screens[login] = Screen(browser, busy.origin)
            screens[login].enter(login, code=code(busy.station))
        return screens[login]

    more = [f"/alarms/{event.id}" for event in events] if module_of(router) == ALARM else []
    for path in paths(router) + more:
        for login in askers(router, path):
            answer = screen_of(login).context.request.get(path, max_redirects=0)
            if answer.ok or answer.status == 404:
                if is_page(answer):
                    wrong += screens[login].look_at(path)
                break
        else:
            nobody.append(path)
    for login, one in screens.items():
        wrong += [f"{login}: {said}" for said in one.wrong]
        one.close()
    assert wrong == []
    assert nobody == []
    assert screens


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
