"""The live desk as officers have it before them: what arrives, who took it, what a restart leaves, keys alone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from broker.kinds import Kind
from broker.messages import GatewayEvent
from tests.api.peers import Gateway
from tests.screens.conftest import Open
from tests.screens.seeing import Serving

KINDS = (Kind.PANIC, Kind.FIRE, Kind.MEDICAL, Kind.HELP, Kind.INTRUSION)
MANY = 300


def press(gateway: Gateway, how_many: int = 1, **fields: Any) -> list[GatewayEvent]:
    """Alarms that the station has stored when this returns."""
    events = [
        gateway.event(**({"kind": KINDS[number % len(KINDS)]} if how_many > 1 else {}) | fields)
        for number in range(how_many)
    ]
    gateway.send(events)
    gateway.receipted(events)
    return events


def focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.id")
    return found


@pytest.mark.proves("A7", "N11")
def test_a_press_arrives_by_itself_is_taken_by_a_key_and_the_other_officer_reads_by_whom(
    screen: Open, gateway: Gateway
) -> None:
    one, other = screen(), screen(color_scheme="dark")
    first, second = one.sign_in("wang"), other.sign_in("qian")
    one.connected()
    other.connected()
    expect(first.locator("#alarms")).to_contain_text("没有未办结的警情")
    [event] = press(gateway, label="<img src=x onerror=alert(1)>老王")
    for page in (first, second):
        card = page.locator(f"#alarm-{event.id}")
        expect(card).to_contain_text("<img src=x onerror=alert(1)>老王")
        expect(card).to_have_class(re.compile("sent"))
        expect(page).to_have_title(re.compile("1"))
    assert first.locator("#alarms img").count() == 0
    first.keyboard.press("j")
    assert focused(first) == f"alarm-{event.id}"
    first.keyboard.press("a")
    for page in (first, second):
        card = page.locator(f"#alarm-{event.id}")
        expect(card).to_contain_text("签收 · wang的名字")
        expect(card).to_have_class(re.compile("seen"))
        expect(card.locator("form")).to_have_count(0)


@pytest.mark.proves("A7")
def test_a_desk_says_that_it_is_cut_off_and_comes_back_with_what_happened_meanwhile(
    screen: Open, serving: Serving, gateway: Gateway
) -> None:
    one = screen()
    page = one.sign_in("wang")
    one.connected()
    [before] = press(gateway)
    expect(page.locator(f"#alarm-{before.id}")).to_be_visible()
    one.away = True
    serving.stop()
    expect(page.locator("#line")).to_have_text("未连接")
    expect(page.locator("#lost")).to_be_visible()
    events = [gateway.event(kind=Kind.FIRE)]
    gateway.send(events)  # the broker keeps it
    serving.start()
    gateway.receipted(events)
    expect(page.locator("#line")).to_have_text("已连接")
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator(f"#alarm-{events[0].id}")).to_be_visible()
    expect(page.locator(f"#alarm-{before.id}")).to_be_visible()
    [after] = press(gateway)
    expect(page.locator(f"#alarm-{after.id}")).to_be_visible()


def test_of_three_hundred_alarms_at_once_none_is_missing_and_the_desk_still_answers(
    screen: Open, gateway: Gateway
) -> None:
    one = screen()
    page = one.sign_in("wang")
    one.connected()
    events = press(gateway, MANY)
    expect(page.locator("#alarms article.card")).to_have_count(MANY)
    expect(page.locator("#count")).to_have_text(str(MANY))
    shown = set(page.locator("#alarms article.card").evaluate_all("(all) => all.map((one) => one.id.slice(6))"))
    assert shown == {event.id for event in events}
    page.keyboard.press("j")
    assert focused(page).startswith("alarm-")
    kind = page.locator(":focus").get_attribute("data-kind")
    assert kind == Kind.FIRE  # the most urgent of these
    taken = focused(page)
    page.keyboard.press("a")
    expect(page.locator(f"#{taken}")).to_contain_text("签收 · wang的名字")
    expect(page.locator("#alarms article.card.sent")).to_have_count(MANY - 1)
    assert one.overflow() == 0


def test_an_officer_without_a_mouse_goes_through_the_desk(screen: Open, gateway: Gateway) -> None:
    fire, panic = (press(gateway, kind=kind)[0] for kind in (Kind.FIRE, Kind.PANIC))
    one = screen()
    page = one.page
    page.goto("/desk")
    page.keyboard.type("wang")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    one.connected()
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("跳到内容")
    page.keyboard.press("Enter")
    assert focused(page) == "main"
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_id("begin")
    page.keyboard.press("Enter")
    expect(page.locator("#begin")).to_be_hidden()
    for key, where in (("j", fire), ("j", panic), ("j", panic), ("k", fire)):
        page.keyboard.press(key)
        assert focused(page) == f"alarm-{where.id}"
    width: str = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(width.removesuffix("px")) >= 2
    page.keyboard.press("a")
    card = page.locator(f"#alarm-{fire.id}")
    expect(card).to_contain_text("签收 · wang的名字")
    assert page.evaluate("document.activeElement.closest('article')?.id") is not None  # not thrown back to the top


def test_the_language_is_chosen_by_a_link_and_stays(screen: Open, gateway: Gateway) -> None:
    press(gateway)
    one = screen()
    page = one.sign_in("wang")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Open alarms")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    one.connected()
    expect(page.locator("#line")).to_have_text("connected")
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("未办结警情")
