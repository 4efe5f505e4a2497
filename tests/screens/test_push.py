"""Push on a phone: how a page says where it stands, what the worker shows, and where a touch leads."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from api.rights.rules import Role
from api.settings import NotifySettings, StationSettings
from tests.api.peers import HOUSEHOLDS, eventually
from tests.api.pushing import Phone, PushService, allow_loopback, push_service
from tests.api.signing_in import account
from tests.screens.seeing import Screen, Serving
from tests.screens.test_phones import PHONE

SUBSCRIBES = """([endpoint, p256dh, auth]) => {
    let there = null;
    const made = () => ({ endpoint, options: {}, toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
        unsubscribe: async () => { there = null; return true; } });
    PushManager.prototype.getSubscription = async () => there;
    PushManager.prototype.subscribe = async () => (there = made());
}"""
"""The browser's own push service is in the internet, where no test goes: its address and keys are ours."""
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({ title, body, tag, data }) => [title, body, tag, data.to])"""
TOUCHED = """async () => {
    const [notification] = await registration.getNotifications();
    dispatchEvent(new NotificationEvent("notificationclick", { notification }));
}"""


@pytest.fixture
def settings(settings: StationSettings) -> StationSettings:
    return settings.model_copy(update={"notify": NotifySettings(loopback=True)})


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as one:
        yield one


def neighbour(browser: Browser, serving: Serving, to: str, phone: Phone | None = None) -> Screen:
    screen = Screen(browser, serving.origin, **PHONE)
    if phone is not None:
        kept = phone.subscription
        values = [kept["endpoint"], kept["p256dh"], kept["auth"]]
        screen.context.add_init_script(f"({SUBSCRIBES})({values})")
        screen.context.grant_permissions(["notifications"], origin=serving.origin)
    screen.sign_in("lin", to)
    return screen


def test_push_is_turned_on_shown_and_touched_and_says_when_it_is_not_to_be_had(
    browser: Browser, serving: Serving, service: PushService
) -> None:
    for nth, login in enumerate(("hu", "lin")):
        account(serving.station, login, (Role.HOUSEHOLD, HOUSEHOLDS[nth]))
    phone = service.phone()
    one = neighbour(browser, serving, "/phone/#home", phone)
    page = one.page
    one.connected()
    expect(page.locator("#push")).to_have_count(0)  # no administrator allowed a push service
    allow_loopback(serving.served)
    page.reload()
    expect(page.locator("#push")).to_contain_text("没有开")
    expect(page.locator("#push")).to_contain_text("不能靠它")
    page.locator("#push-on").tap()
    expect(page.locator("#push")).to_contain_text("已开")
    eventually(lambda: phone.titles == ["推送已开"], "the test has arrived")

    other = Screen(browser, serving.origin, **PHONE)
    other.context.add_init_script('Object.defineProperty(Notification, "permission", { value: "denied" })')
    other.sign_in("hu", "/phone/")
    other.connected()
    other.page.goto("/phone/#home")
    expect(other.page.locator("#push")).to_contain_text("浏览器里关掉了通知")
    other.page.goto("/phone/#alarm")
    other.page.locator("#press").tap()
    eventually(lambda: len(phone.got) == 2, "the alarm was pushed")
    cdp = one.context.new_cdp_session(page)
    registrations: list[str] = []
    cdp.on("ServiceWorker.workerRegistrationUpdated",
           lambda told: registrations.extend(each["registrationId"] for each in told["registrations"]))  # fmt: skip
    cdp.send("ServiceWorker.enable")
    page.wait_for_timeout(100)
    text = json.dumps(phone.got[1].payload)
    for _ in range(2):  # twice is shown once
        cdp.send("ServiceWorker.deliverPushMessage",
                 {"origin": serving.origin, "registrationId": registrations[0], "data": text})  # fmt: skip
    page.wait_for_function(f"async () => (await ({SHOWN})()).length === 1")
    assert page.evaluate(SHOWN) == [
        ["邻居报警：紧急报警", phone.got[1].payload["body"], phone.got[1].payload["tag"], "/phone/#neighbours"]
    ]
    (worker,) = one.context.service_workers
    worker.evaluate(TOUCHED)
    page.wait_for_url("**/phone/#neighbours")
    expect(page.locator("[id^=near-]").first).to_contain_text("101 号")

    page.goto("/phone/#home")
    page.locator("#push-off").tap()
    expect(page.locator("#push")).to_contain_text("没有开")
    assert serving.served.rows("SELECT count(*) FROM notify_channel WHERE ended_ms IS NULL") == [(0,)]
    for each in (one, other):
        each.close()
    assert [wrong for each in (one, other) for wrong in each.wrong] == []
