"""A long work in a real browser: the bar moves by itself, the page may be left, and it says when it is done."""

import threading
from urllib.parse import urlsplit

from playwright.sync_api import expect

from api.rights.rules import Role
from api.works.doing import Outcome, Task
from api.works.rules import Kind
from tests.api.peers import STATION
from tests.api.signing_in import account
from tests.screens.conftest import Open
from tests.screens.seeing import Serving


def test_a_long_work_moves_by_itself_and_says_when_it_is_done(screen: Open, serving: Serving) -> None:
    account(serving.station, "lin", (Role.DUTY_LEADER, STATION))
    so_far, go = [10], threading.Event()

    def slowly(task: Task) -> Outcome:
        while not go.wait(0.05):
            task.tell("judging", so_far[0], 100)
        return Outcome(result={"agrees": True, "entries": 7, "owners": 1, "months": 0, "points_tenths": 0, "wrong": 0,
                               "differences": []})  # fmt: skip

    serving.station.doing.do[Kind.POINTS] = slowly
    lin = screen()
    page = lin.sign_in("lin", to="/points/months")
    page.get_by_role("button", name="复算全部积分").click()
    bar = page.locator("#now progress")
    expect(page.locator("#now")).to_contain_text("45 %")
    path = urlsplit(page.url).path
    page.evaluate("window.same = true")
    so_far[0] = 80
    expect(bar).to_have_attribute("value", "840")
    assert page.evaluate("window.same") is True  # it was not loaded anew
    assert lin.look_at(path) == []
    page.goto("/works")
    page.get_by_role("link", name="积分复算").click()
    expect(bar).to_have_attribute("value", "840")
    page.context.set_offline(True)
    expect(page.locator("#lost")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#lost")).to_be_hidden()
    lin.wrong.clear()  # that it could not reach the station while there was no network
    go.set()
    expect(page.get_by_text("分毫不差")).to_be_visible()
    assert page.locator("#now").count() == 0
    assert lin.look_at(path) == []
