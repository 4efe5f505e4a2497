"""The live desk as officers have it before them: what arrives, who took it, what a restart leaves, keys alone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from broker.kinds import Kind
from broker.messages import GatewayEvent
from tests.api.peers import HOUSEHOLDS, Gateway
from tests.screens.conftest import Open
from tests.screens.seeing import Serving

KINDS = (Kind.PANIC, Kind.FIRE, Kind.MEDICAL, Kind.HELP, Kind.INTRUSION)
MANY = 300
SLICE = 12
AGAIN_MS = 4_000
HEAR = """
    window.heard = [];
    window.awake = [];
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) {
      heard.push(this.frequency.value);
      return start.apply(this, when);
    };
    const request = WakeLock.prototype.request;
    WakeLock.prototype.request = function (...what) {
      awake.push(what);
      return request.apply(this, what);
    };
"""
"""Listens at the browser's own loudspeaker and lock, which do what they do."""


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


@pytest.mark.proves("A7", "N11")
def test_of_two_who_press_at_once_the_second_reads_who_was_first(screen: Open, gateway: Gateway) -> None:
    one, other = screen(), screen()
    first, second = one.sign_in("wang"), other.sign_in("qian")
    [event] = press(gateway)
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright puts something on what it calls
        held.append(route)

    second.route("**/acknowledge", hold)
    for page in (second, first):
        expect(page.locator(f"#alarm-{event.id}")).to_be_visible()
        page.keyboard.press("j")
        page.keyboard.press("a")
    expect(first.locator(f"#alarm-{event.id}")).to_contain_text("签收 · wang的名字")
    second.wait_for_timeout(500)  # what the feed says of it comes before the answer
    other.conflict = True
    held[0].continue_()
    card = second.locator(f"#alarm-{event.id}")
    expect(card).to_contain_text("wang的名字 已先签收")
    expect(card).to_contain_text("签收 · wang的名字")
    expect(card).to_have_class(re.compile("seen"))
    second.wait_for_timeout(1_000)
    expect(card).to_contain_text("wang的名字 已先签收")  # also after the list was looked at again


@pytest.mark.proves("A7")
def test_a_desk_that_slept_or_was_without_a_network_has_missed_nothing(screen: Open, gateway: Gateway) -> None:
    one = screen()
    page = one.sign_in("wang")
    one.connected()
    devtools = one.context.new_cdp_session(page)
    devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
    [asleep] = press(gateway)
    devtools.send("Page.setWebLifecycleState", {"state": "active"})
    expect(page.locator(f"#alarm-{asleep.id}")).to_be_visible()
    one.away = True
    one.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('online'))")  # whatever the system says: it tries, and cannot
    expect(page.locator("#line")).to_have_text("未连接")
    [cut] = press(gateway, kind=Kind.FIRE)
    one.context.set_offline(False)
    expect(page.locator(f"#alarm-{cut.id}")).to_be_visible()
    expect(page.locator("#line")).to_have_text("已连接")


@pytest.mark.proves("A7")
def test_an_answer_that_did_not_come_takes_no_card_away(screen: Open, gateway: Gateway) -> None:
    one = screen()
    page = one.sign_in("wang")
    one.connected()
    [event] = press(gateway)
    card = page.locator(f"#alarm-{event.id}")
    expect(card).to_be_visible()
    one.away = True
    asked: list[Route] = []

    def cut(route: Route) -> None:
        asked.append(route)
        route.abort("connectionfailed")

    page.route("**/desk/alarms?*", cut, times=1)
    card.locator("form button").click()
    expect(card).to_contain_text("签收 · wang的名字")
    expect(page.locator("#alarms article.card")).to_have_count(1)
    [later] = press(gateway, kind=Kind.FIRE)
    expect(page.locator(f"#alarm-{later.id}")).to_be_visible()
    assert asked
    expect(card).to_be_visible()


@pytest.mark.proves("A7")
def test_an_alarm_sounds_by_its_kind_until_it_is_taken_flashes_in_the_title_and_is_muted_with_a_reason(
    screen: Open, gateway: Gateway
) -> None:
    one = screen()
    page = one.page
    page.add_init_script(HEAR)
    page.clock.install()
    one.sign_in("wang")
    one.connected()
    press(gateway)
    expect(page.locator("article.card.sent")).to_have_count(1)
    page.clock.run_for(9_000)
    assert page.evaluate("heard") == []  # nothing sounds before somebody sits down
    page.locator("#begin").click()
    expect(page.locator("#begin")).to_be_hidden()
    page.wait_for_function("awake.length === 1")
    assert page.evaluate("heard.splice(0)") == [660, 880]
    page.clock.run_for(AGAIN_MS)
    assert page.evaluate("heard.splice(0)") == [880, 660, 880, 660]
    titles = set()
    for _ in range(4):
        page.clock.run_for(1_000)
        titles.add(page.title())
    assert len(titles) == 2
    assert all(title.startswith("(1) ") for title in titles)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_function("awake.length === 2")  # a lock is lost while nobody sees the page
    page.keyboard.press("m")
    expect(page.locator("#mute input").first).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#muted")).to_contain_text("正在通话")
    page.evaluate("heard.splice(0)")
    page.clock.run_for(30_000)
    assert page.evaluate("heard.splice(0)") == []
    page.clock.run_for(31_000)
    expect(page.locator("#muted")).to_be_hidden()
    page.clock.run_for(AGAIN_MS)
    assert page.evaluate("heard.splice(0)")[-4:] == [880, 660, 880, 660]
    [duress] = press(gateway, kind=Kind.DURESS, place=HOUSEHOLDS[1], unit="u2")
    expect(page.locator(f"#alarm-{duress.id}")).to_contain_text("请勿回拨")
    page.evaluate("heard.splice(0)")
    page.clock.run_for(AGAIN_MS)
    assert set(page.evaluate("heard.splice(0)")) == {1800}  # a tick, whatever else waits
    for left in (1, 0):
        page.locator("article.card.sent form button").first.click()
        expect(page.locator("article.card.sent")).to_have_count(left)
    page.evaluate("heard.splice(0)")
    page.clock.run_for(2 * AGAIN_MS)
    assert page.evaluate("heard") == []
    assert not page.title().startswith("(")


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
    held = focused(page)
    assert held.startswith("alarm-")
    more = press(gateway, 20)
    expect(page.locator("#alarms article.card")).to_have_count(MANY + len(more))
    assert focused(page) == held  # cards move on from slice to slice, and the keyboard stays where it was
    groups = page.evaluate(
        """() => [...document.querySelectorAll(".bucket")].map((one) => ({
            said: one.querySelector("summary span").textContent,
            slices: [...one.querySelectorAll(".slice")].map((slice) => slice.children.length),
            order: [...one.querySelectorAll("article")].map((card) => card.matches(".seen") + card.dataset.received),
            waiting: one.querySelectorAll("article.sent").length,
            kinds: new Set([...one.querySelectorAll("article")].map((card) => card.dataset.kind)).size,
        }))"""
    )
    assert len(groups) == len(KINDS)
    for group in groups:
        assert group["order"] == sorted(group["order"])
        assert all(many == SLICE for many in group["slices"][:-1])
        assert 0 < group["slices"][-1] <= SLICE
        assert group["said"] == f"共 {sum(group['slices'])} 起，{group['waiting']} 起待签收"
        assert group["kinds"] == 1
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
