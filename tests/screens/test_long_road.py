"""One alarm from a key on the wire to the archive, by everybody's own screen, with every program really running."""

import json
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import create_engine
from sqlmodel import Session

from api.accounts import repository
from api.accounts.proofs import Passwords
from api.accounts.repository import ACCOUNT
from api.accounts.rules import Kind
from api.rights.rules import Role
from faults.town import HurtBox, Town, town
from tests.api.signing_in import PASSWORD
from tests.paths.forked import fork
from tests.screens.seeing import Screen

UNIT: Final = "u03"
PLACE: Final = "h03"
READER: Final = "u02"
YARD: Final = "u09"
CARD: Final = "100086F444"
PEOPLE: Final = (
    ("wang", "王建国", Role.DUTY_OFFICER, "north"),
    ("lin", "林芳", Role.DUTY_LEADER, "north"),
    ("gu", "顾强", Role.GUARD, "beiguan"),
)
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def ask(running: Town, path: str, body: Any, method: str = "POST") -> Any:
    """As the station's officer, who has a token."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.box.http_port}/api/v1{path}",
        method=method,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {running.box.tokens['desk']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - an address of this test
        return json.load(answer)


def let_in(database: Path) -> None:
    """Accounts with passwords: only an administrator with a second factor makes them otherwise."""
    now = time.time_ns() // 1_000_000
    hashed = Passwords(memory_kib=8, rounds=1).hash(PASSWORD)
    engine = create_engine(f"sqlite:///{database}")
    with Session(engine) as session:
        for login, name, role, scope in PEOPLE:
            repository.add(
                session, ACCOUNT, id=login, kind=Kind.PERSON.value, login=login, name=name, language="zh",
                state="active", password=hashed, one_time=False, totp_step=0, made_ms=now, version=1,
            )  # fmt: skip
            repository.add_grant(
                session, account=login, role=role.value, scope=scope, from_ms=now, given_ms=now, given_by="test"
            )
        session.commit()
    engine.dispose()


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """Ten units on a line, a guard on duty with a card, and a checkpoint at the door of who presses."""
    monkeypatch.setattr(HurtBox, "begin", staticmethod(fork))
    with town(tmp_path) as running:
        let_in(running.database)
        ask(running, "/register/companies/beiguan", {"name": "北关保安"}, "PUT")
        point = {"id": "stairs", "area": "w1", "name": "三单元门厅", "place": PLACE, "gateway": "gw1", "reader": READER}
        ask(running, "/checkpoints", point)
        ask(running, "/checkpoints", {"id": "yard", "area": "w1", "name": "后院", "gateway": "gw1", "reader": YARD})
        guard = ask(
            running, "/guards", {"service_number": "B1", "name": "顾强", "company": "beiguan", "account": "gu"}
        )["id"]
        ask(running, f"/guards/{guard}/cards", {"tag": CARD})
        now = datetime.now(UTC)  # not before he was employed
        hours = {"begins": now.isoformat(), "ends": (now + timedelta(hours=8)).isoformat()}
        ask(running, "/patrol-duties", {"area": "w1", "shift": "夜班", "guards": [guard], **hours})
        running.wait_greeted()
        running.wait_confirmed(running.hold_tag(YARD, CARD))
        running.box.wait_until(lambda: len(running.stored("check_in")) == 1, "he was seen", timeout_s=60)
        yield running


def lamp(running: Town, shows: str) -> None:
    """Wait until the lamp of whoever pressed shows it."""

    def shown(event: Mapping[str, Any]) -> bool:
        return (event["event"], event.get("unit"), event.get("lamp")) == ("lamp", UNIT, shows)

    running.village.wait(shown, timeout_s=60)


def opened(page: Page, form: str) -> None:
    """What is next may be open already."""
    if page.locator(f"#do-{form}").get_attribute("open") is None:
        page.locator(f"#do-{form} > summary").click()


def write_down(page: Page, key: str, *, choose: str, words: str) -> None:
    """Open a form of the chosen alarm by its key and fill it in without a mouse."""
    page.keyboard.press(key)
    form = page.locator("#detail .do[open] form, main .alarm .do[open] form").first
    form.locator(f"input[value='{choose}']").focus()
    page.keyboard.press("Space")
    form.locator("textarea").first.focus()
    page.keyboard.type(words)
    form.locator("button.main").focus()
    page.keyboard.press("Enter")


@pytest.mark.timeout(180)  # seven programs start, one after another
@pytest.mark.proves("A2", "A5", "A7", "P10")
def test_a_key_is_pressed_and_everybody_does_his_part_on_a_screen_until_it_is_filed(
    browser: Browser, village: Town
) -> None:
    origin = f"http://127.0.0.1:{village.box.http_port}"
    desk, phone, other = Screen(browser, origin), Screen(browser, origin, **PHONE), Screen(browser, origin)
    page = desk.sign_in("wang")
    desk.connected()
    hand = phone.sign_in("gu", "/phone/guard")

    village.press(UNIT)
    card = page.locator("article.card")
    expect(card).to_contain_text("503")
    lamp(village, "kept")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(card).to_contain_text("签收 · 王建国")
    lamp(village, "police_have_it")

    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_contain_text("顾强")
    page.locator("#guards summary").first.click()
    page.locator("#guards .do[open] textarea").first.fill("走三单元")
    page.locator("#guards .do[open] button.main").click()
    expect(page.locator("#detail")).to_contain_text("待接令")

    order = hand.locator("[id^=order-]").first
    expect(order).to_contain_text("503")
    order.get_by_role("button").first.tap()
    expect(hand.locator("#opened-1")).to_contain_text("走三单元")
    hand.get_by_role("button", name="接令").tap()
    hand.get_by_role("button", name="我已出发").tap()
    expect(page.locator("#now-rest")).to_contain_text("赶赴现场 · 顾强")
    lamp(village, "coming")

    village.hold_tag(READER, CARD)
    expect(hand.locator("#order-steps")).to_contain_text("已到场")
    expect(card).to_contain_text("到场")

    write_down(page, "r", choose="real", words="老人摔倒，已送医")
    expect(card).to_have_count(0)
    expect(page.locator("#count")).to_have_text("0")
    alarm = page.locator("#detail .alarm").get_attribute("data-alarm")
    village.box.wait_until(
        lambda: village.box.get(f"/api/v1/alarms/{alarm}")["state"] == "resolved", "closed", timeout_s=60
    )
    lamp(village, "idle")

    second = other.sign_in("lin", f"/alarms/{alarm}")
    opened(second, "follow-up")
    second.locator("#do-follow-up input[value='5']").check()
    second.locator("#do-follow-up textarea").first.fill("谢谢")
    second.locator("#do-follow-up button.main").click()
    expect(second.locator("#now-head")).to_contain_text("已回访")
    opened(second, "archive")
    second.locator("#do-archive button.main").click()
    expect(second.locator("#now-head")).to_contain_text("归档")
    done = village.box.get(f"/api/v1/alarms/{alarm}")
    assert done["state"] == "archived"
    by = {step["action"]: step["officer"] for step in done["steps"]}
    assert (by["acknowledge"], by["resolve"], by["follow_up"], by["archive"]) == ("wang", "wang", "lin", "lin")
    assert re.search(r"顾强|三单元门厅", second.locator(".alarm").inner_text())
    for screen in (desk, phone, other):
        assert screen.wrong == []
        screen.close()
