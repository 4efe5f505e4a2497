"""Phones in people's hands: a press and what becomes of it, a round without a network, a hazard with its photo."""

import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from api.patrols.models import Checkpoint
from api.rights.rules import Role
from api.settings import StationSettings
from broker.kinds import EventType, Kind
from broker.messages import Action
from tests.api.peers import COMMUNITY, GATEWAYS, GRID, HOUSEHOLDS, STATION, Gateway, eventually
from tests.api.people import Hands, Somebody, somebody
from tests.api.signing_in import ORIGIN, PASSWORD, account
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS
from tests.screens.seeing import Screen, Serving

PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "timezone_id": "Asia/Shanghai",
}
DRAW: Final = """() => {
    const sheet = Object.assign(document.createElement("canvas"), { width: 4000, height: 3000 });
    const pen = sheet.getContext("2d");
    pen.fillStyle = "teal";
    pen.fillRect(0, 0, 4000, 3000);
    return sheet.toDataURL("image/jpeg").split(",")[1];
}"""
"""A photo as a camera takes it, larger than is sent."""
KEPT: Final = """() => new Promise((done) => {
    const opening = indexedDB.open("shouwang-phone");
    opening.onsuccess = () => {
        const asking = opening.result.transaction("queue").objectStore("queue").count();
        asking.onsuccess = () => done(asking.result);
    };
})"""
"""How much the phone keeps to be sent."""
MILLISECONDS: Final = re.compile(r"\d+ 毫秒")
ONLINE: Final = "SELECT count(*) FROM gateway WHERE online"
Phone = Callable[..., Screen]


@pytest.fixture
def settings(settings: StationSettings) -> StationSettings:
    """The group's home gateway is the first one, so that a phone can ring it; one household has a silent key."""
    groups = tuple(group.model_copy(update={"gateway": GATEWAYS[0]}) for group in settings.groups)
    first, *others = settings.households
    households = (first.model_copy(update={"duress": True}), *others)
    return settings.model_copy(update={"groups": groups, "households": households})


@pytest.fixture
def phone(browser: Browser) -> Iterator[Phone]:
    """A phone of one's own, signed in. At the end none may have complained of anything."""
    opened: list[Screen] = []

    def one(serving: Serving, login: str, to: str, *, clock: Hands | None = None, **how: Any) -> Screen:
        made = Screen(browser, serving.origin, **PHONE | how)
        opened.append(made)
        if clock is not None:
            made.page.clock.set_system_time(clock.now_ms / 1_000)
        made.sign_in(login, to)
        return made

    yield one
    for each in opened:
        each.close()
    assert [wrong for each in opened for wrong in each.wrong] == []


def lit(page: Page) -> list[str]:
    """The rungs of the ladder that are lit."""
    found: list[str] = page.locator("#mine .ladder li.reached b").all_inner_texts()
    return found


def rung(page: Page, nth: int) -> Locator:
    return page.locator("#mine .ladder li").nth(nth)


def posted(page: Page, path: str) -> list[Request]:
    """From now on, every request that is sent there, whether it arrives or not."""
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.method == "POST" and one.url.endswith(path) else None)
    return sent


@pytest.mark.proves("A1", "A2", "A5", "A9")
def test_a_press_rings_lights_its_ladder_and_the_neighbour_says_that_he_comes(
    serving: Serving, gateway: Gateway, phone: Phone
) -> None:
    gateway.say_status()
    eventually(lambda: serving.served.rows(ONLINE) == [(1,)], "known to be there")
    for login, place in (("hu", HOUSEHOLDS[0]), ("lin", HOUSEHOLDS[1])):
        account(serving.station, login, (Role.HOUSEHOLD, place))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    mine, theirs = phone(serving, "hu", "/phone/"), phone(serving, "lin", "/phone/#neighbours")
    page, near = mine.page, theirs.page
    for one in (mine, theirs):
        one.connected()
    expect(near.locator("#near-none")).to_contain_text("邻居都平安")
    page.locator("#press").tap()
    expect(rung(page, 1)).to_have_class("reached")
    assert lit(page) == ["已发出", "已收到"]
    assert gateway.commanded(lambda one: one.action is Action.ALERT).kind is Kind.PANIC
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert (alarm["place"], alarm["source"]) == (HOUSEHOLDS[0], "phone")
    card = near.locator(f"#near-{alarm['id']}")
    expect(card).to_contain_text("101 号")
    card.get_by_role("button", name="马上去").tap()
    expect(rung(page, 3)).to_contain_text("邻居 1 户马上到")
    assert lit(page) == ["已发出", "已收到", "有人来了"]  # nobody of the police has seen it
    card.get_by_role("button", name="我到了").tap()
    expect(rung(page, 3)).to_contain_text("邻居 1 户已到")
    officer.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
    expect(rung(page, 2)).to_have_class("reached")
    assert [one["answer"] for one in officer.get(f"/api/v1/alarms/{alarm['id']}")["answers"]["list"]] == ["coming"]
    officer.post(f"/api/v1/alarms/{alarm['id']}/on-the-way", {})
    expect(rung(page, 3)).to_contain_text("警方正赶来")
    officer.post(f"/api/v1/alarms/{alarm['id']}/stand-back", {})
    expect(card).to_contain_text("不要靠近")
    expect(card.get_by_role("button", name="马上去")).to_have_count(0)
    page.locator("#other").tap()  # the language, in the middle of it
    expect(rung(page, 2)).to_contain_text("Acknowledged")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(rung(page, 3)).to_contain_text("police are on their way")
    page.locator("#say-fire").tap()
    page.get_by_role("dialog").get_by_role("button", name="Yes").tap()
    expect(card).to_contain_text("火警 · 紧急报警")  # one matter of one home, which stays forbidden
    expect(near.locator("main section.urgent")).to_have_count(1)
    expect(card.get_by_role("button", name="马上去")).to_have_count(0)
    expect(card.get_by_role("button", name="看着呢")).to_have_count(1)
    assert [one.overflow_large() for one in (mine, theirs)] == [0, 0]
    for one in officer.get("/api/v1/alarms", open="true")["items"]:
        if one["kind"] == "fire":
            officer.post(f"/api/v1/alarms/{one['id']}/acknowledge")
            officer.post(f"/api/v1/alarms/{one['id']}/on-scene", {})
            officer.post(f"/api/v1/alarms/{one['id']}/resolve", {"outcome": "real"})
    officer.post(f"/api/v1/alarms/{alarm['id']}/on-scene", {})
    officer.post(f"/api/v1/alarms/{alarm['id']}/resolve", {"outcome": "real"})
    expect(page.locator("#press")).to_be_visible()
    expect(near.locator("#near-none")).to_be_visible()


@pytest.mark.proves("A2", "N3")
def test_a_press_without_a_network_is_sent_by_itself_when_there_is_one_and_is_one_alarm(
    serving: Serving, phone: Phone
) -> None:
    account(serving.station, "hu", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    one = phone(serving, "hu", "/phone/")
    page = one.page
    one.connected()
    one.away = True
    one.context.set_offline(True)
    expect(page.locator("#offline")).to_contain_text("请打 110")
    assert page.locator("#press use").get_attribute("href") == "#picture-tabs-alarm"  # pictures ask nobody either
    page.locator("#tab-neighbours").tap()
    expect(page.locator("#unheard")).to_contain_text("看不到邻居的报警")
    assert page.locator("#near-none").count() == 0  # not asked is not none
    page.locator("#tab-news").tap()
    expect(page.locator("#drills")).to_be_visible()
    assert page.locator("#drills-none").count() == 0
    page.locator("#tab-alarm").tap()
    sent = posted(page, "/api/v1/alarms")
    page.locator("#press").tap()
    expect(page.locator("#mine")).to_contain_text("没有网络：请打 110")
    assert lit(page) == []
    page.wait_for_timeout(1_500)  # it tries, and nothing arrives
    assert officer.get("/api/v1/alarms", open="true")["items"] == []
    one.context.set_offline(False)
    expect(rung(page, 1)).to_have_class("reached")
    expect(page.locator("#mine .alert")).to_have_count(0)
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert alarm["kind"] == "panic"
    page.locator("#cancel").tap()
    page.get_by_role("dialog").get_by_role("button", name="撤销", exact=True).tap()
    expect(page.locator("#mine")).to_contain_text("已撤销，派出所会再核实")
    (still,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert (still["id"], still["state"]) == (alarm["id"], "cancelled_by_household")  # open until somebody has looked


TWICE: Final = """async () => {
    document.getElementById("cancel").click();
    await null;
    document.querySelector("dialog .main").click();
}"""
"""Agreed to before anybody has read what is asked."""


class Finger:
    """One that slips, stays, or comes twice, as the browser's own touches."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._line = page.context.new_cdp_session(page)

    def _touch(self, kind: str, *points: tuple[float, float]) -> None:
        touched = [{"x": x, "y": y} for x, y in points]
        self._line.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    def down(self, place: Locator) -> tuple[float, float]:
        place.evaluate('one => one.scrollIntoView({ block: "center" })')
        box = place.bounding_box()
        assert box is not None
        there = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self._touch("touchStart", there)
        return there

    def move(self, x: float, y: float) -> None:
        self._touch("touchMove", (x, y))

    def up(self) -> None:
        self._touch("touchEnd")


@pytest.mark.proves("A2")
def test_a_hand_that_shakes_slips_or_stays_raises_one_alarm_and_a_double_tap_takes_nothing_back(
    serving: Serving, phone: Phone
) -> None:
    account(serving.station, "hu", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    one = phone(serving, "hu", "/phone/")
    page, finger = one.page, Finger(one.page)
    one.connected()
    assert one.overflow_large() == 0
    sent = posted(page, "/api/v1/alarms")
    x, y = finger.down(page.locator("#press"))
    for step in range(1, 5):  # a browser takes this for scrolling, and makes no click
        finger.move(x + 4 * step, y + 8 * step)
    finger.up()
    page.locator("#mine").wait_for()
    page.touchscreen.tap(x, y)  # the second half of a double tap
    expect(rung(page, 1)).to_have_class("reached")
    page.wait_for_timeout(900)
    assert (len(sent), page.get_by_role("dialog").count()) == (1, 0)

    page.evaluate(TWICE)
    expect(page.get_by_role("dialog").get_by_role("button", name="撤销", exact=True)).to_be_enabled()
    page.get_by_role("dialog").get_by_role("button", name="不撤销").tap()
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert alarm["state"] == "received"

    finger.down(page.locator("#press-again"))
    for _ in range(60):
        page.wait_for_timeout(100)
        if len(sent) > 1 and page.locator("#press-again").count():
            break
    assert len(sent) == 2  # while the finger is still there
    finger.up()
    page.wait_for_timeout(200)
    assert (len(sent), page.get_by_role("dialog").count()) == (2, 0)


@pytest.mark.proves("A2", "N3")
def test_a_page_that_is_closed_and_opened_again_without_its_station_still_has_the_press(
    serving: Serving, phone: Phone
) -> None:
    account(serving.station, "hu", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
    somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    one = phone(serving, "hu", "/phone/")
    page = one.page
    one.connected()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    one.away = True
    serving.stop()
    page.locator("#press").tap()
    page.locator("#mine").wait_for()
    page.close()
    page = one.context.new_page()
    page.goto("/phone/")  # the shell is in the phone, and so is what was pressed
    expect(page.locator("#mine")).to_contain_text("正在发出")
    expect(page.locator("#mine")).to_contain_text("请打 110")
    serving.start()
    expect(rung(page, 1)).to_have_class("reached")
    assert len(Somebody(serving.served, "xu").get("/api/v1/alarms", open="true")["items"]) == 1


def check_in(page: Page, text: str) -> None:
    page.locator("#type input[name=written]").fill(text)
    page.locator("#type button.main").tap()


@pytest.mark.proves("P1", "P3", "P5", "P10")
def test_a_guards_round_without_a_network_is_listed_sent_later_and_judged_and_he_answers_and_arrives(
    busy: Serving, hands: Hands, phone: Phone
) -> None:
    station = busy.station
    with station.database.write() as session:
        session.get_one(Checkpoint, "power").place = HOUSEHOLDS[0]  # whoever checks in there is at its door
    officer = somebody(busy.served, "xu", Role.DUTY_LEADER, STATION)
    codes = {point: officer.get(f"/api/v1/checkpoints/{point}/code")["page"] for point in ("east", "shed", "power")}
    one = phone(busy, "gu", "/phone/guard", clock=hands)
    page = one.page
    expect(page.locator("#next h1")).to_have_text("东门岗亭")
    one.connected()
    one.away = True
    one.context.set_offline(True)
    page.locator("#tab-check").tap()
    check_in(page, "no tag")
    expect(page.locator("#type .problem")).to_contain_text("不像标签号")
    page.locator("#tab-check").tap()  # everything is drawn anew, as it is every few seconds
    expect(page.locator("#type .problem")).to_contain_text("不像标签号")
    assert page.locator("#type input[name=written]").input_value() == "no tag"
    check_in(page, codes["east"])
    expect(page.locator("#done li").first).to_contain_text("东门岗亭")
    hands.now_ms = BEGINS_MS + 11 * MINUTE_MS
    page.clock.set_system_time(hands.now_ms / 1_000)
    check_in(page, codes["shed"])
    page.locator("#tab-today").tap()
    expect(page.locator("#queue h2")).to_have_text("还没上传：2 条")
    expect(page.locator("#next h1")).to_have_text("配电房")
    assert busy.served.rows("SELECT id FROM check_in") == []
    hands.now_ms = BEGINS_MS + 22 * MINUTE_MS
    page.clock.set_system_time(hands.now_ms / 1_000)
    station.patrols.look(station.database, hands.now_ms)
    raised = {one["point"]: one["outcome"] for one in officer.get("/api/v1/patrol-exceptions")["items"]}
    assert raised == {"east": "missed", "shed": "missed"}  # as far as the station could know
    one.context.set_offline(False)
    expect(page.locator("#queue h2")).to_have_text("都上传了")
    check_in_times = busy.served.rows("SELECT point, at_ms FROM check_in ORDER BY at_ms")
    assert [(point, (at - BEGINS_MS) // MINUTE_MS) for point, at in check_in_times] == [("east", 1), ("shed", 11)]
    hands.now_ms = BEGINS_MS + 29 * MINUTE_MS
    station.patrols.look(station.database, hands.now_ms)
    left = [(one["point"], one["outcome"]) for one in officer.get("/api/v1/patrol-exceptions")["items"]]
    assert left == [("power", "missed")]  # what he had done without a network is as it was
    answer_and_arrive(page, officer, hands, codes)


def answer_and_arrive(page: Page, officer: Somebody, hands: Hands, codes: dict[str, str]) -> None:
    """Called by roll-call, sent to an alarm, there by a check-in."""
    page.clock.set_system_time(hands.now_ms / 1_000)
    (guard,) = officer.get("/api/v1/guards")["items"]
    call = officer.post("/api/v1/roll-calls", {"area": "gr1", "guards": [guard["id"]]}, status=201)["number"]
    card = page.locator(f"#call-{call}")
    expect(card).to_contain_text("点名")
    card.get_by_role("combobox").select_option("shed")
    card.get_by_role("button", name="应答：我在岗").tap()
    expect(card).to_have_count(0)
    (told,) = officer.get(f"/api/v1/roll-calls/{call}")["people"]
    assert (told["over"], told["claimed"]) == ("phone", "shed")

    alarm = officer.post("/api/v1/calls", {"kind": "panic", "place": HOUSEHOLDS[0]}, status=201)["id"]
    officer.post(f"/api/v1/alarms/{alarm}/acknowledge")
    order = officer.post(f"/api/v1/alarms/{alarm}/orders", {"guard": guard["id"], "words": "走北门"}, status=201)
    card = page.locator(f"#order-{order['number']}")
    expect(card).to_contain_text("派您去处置警情")
    card.get_by_role("button", name="看派单").tap()
    expect(page.locator("main")).to_contain_text("走北门")
    expect(page.locator("#help-press")).to_be_visible()  # where he needs it most
    page.locator("#tab-today").tap()
    expect(page.locator("main")).not_to_contain_text("走北门")
    card.get_by_role("button", name="看派单").tap()
    page.locator("#order-steps").get_by_role("button", name="接令").tap()
    page.locator("#order-steps").get_by_role("button", name="我已出发").tap()
    expect(page.locator("#order-steps a.main")).to_have_attribute("href", "#check")
    assert officer.get(f"/api/v1/alarms/{alarm}")["state"] == "on_the_way"
    page.locator("#order-steps a.main").tap()
    hands.pass_(minutes=3)
    page.clock.set_system_time((hands.now_ms - MINUTE_MS) / 1_000)  # the station's stands still, and his goes on
    check_in(page, codes["power"])
    expect(page.locator("#done li").first).to_contain_text("派出所已收到")
    eventually(lambda: officer.get(f"/api/v1/alarms/{alarm}")["state"] == "on_scene", "on scene")
    page.locator("#tab-today").tap()
    page.locator(f"#order-{order['number']}").get_by_role("button").tap()
    expect(page.locator("#order-steps")).to_contain_text("已到场")


@pytest.mark.proves("P11")
def test_a_hazard_goes_with_a_photo_that_is_drawn_anew_and_waits_for_a_network(
    busy: Serving, hands: Hands, tmp_path: Path, phone: Phone
) -> None:
    officer = somebody(busy.served, "xu", Role.DUTY_LEADER, STATION)
    picture, no_picture = tmp_path / "large.jpg", tmp_path / "text.jpg"
    no_picture.write_text("<script>no picture</script>")
    one = phone(busy, "gu", "/phone/guard#report", clock=hands)
    page = one.page
    picture.write_bytes(b64decode(page.evaluate(DRAW)))
    page.locator("#report").wait_for()
    one.connected()
    page.locator("#report button.main").tap()
    expect(page.locator("#report .problem").first).to_contain_text("请写下看到了什么")
    page.locator("#photo").set_input_files(no_picture)
    expect(page.locator("#report")).to_contain_text("不是能看的照片")
    page.locator("#photo").set_input_files(picture)
    expect(page.locator("#report img")).to_be_visible()
    one.away = True
    one.context.set_offline(True)
    page.locator("#report textarea").fill("3号楼<b>消防通道</b>被堵")
    page.locator("#report button.main").tap()
    expect(page.locator("#said")).to_contain_text("已记下")
    page.locator("#tab-today").tap()
    expect(page.locator("#queue h2")).to_have_text("还没上传：1 条")
    one.context.set_offline(False)
    expect(page.locator("#queue h2")).to_have_text("都上传了")
    (matter,) = officer.get("/api/v1/matters")["items"]
    assert matter["words"].startswith("3号楼<b>消防通道</b>被堵")
    eventually(lambda: len(busy.served.rows("SELECT sha256 FROM matter_photo")) == 1, "kept with its photo")
    page.locator("#tab-report").tap()
    expect(page.locator("#matters")).to_contain_text("待受理")


@pytest.mark.proves("A1", "G2")
def test_a_grid_worker_on_the_way_sees_takes_and_asks_afterwards(
    serving: Serving, gateway: Gateway, phone: Phone
) -> None:
    account(serving.station, "ge", (Role.GRID_WORKER, GRID))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    silent, loud = gateway.event(kind=Kind.DURESS), gateway.event(kind=Kind.FIRE, place=HOUSEHOLDS[1])
    gateway.send([silent, loud])
    gateway.receipted([silent, loud])
    one = phone(serving, "ge", "/phone/field")
    page = one.page
    card = page.locator(f"#alarm-{loud.id}")
    expect(card).to_contain_text("火警")
    assert page.locator("main section.card-of").count() == 1  # duress is for the police
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    card.get_by_role("button", name="签收").tap()
    expect(card).to_contain_text("ge的名字 已签收")
    card.get_by_role("button", name="打开").tap()
    page.get_by_role("button", name="我在路上").tap()
    page.get_by_role("button", name="我到现场了").tap()
    expect(page.locator("#steps")).to_contain_text("到场")
    officer.post(f"/api/v1/alarms/{loud.id}/resolve", {"outcome": "real"})
    page.locator("#tab-todo").tap()
    visit = page.locator(f"#follow-{loud.id}")
    visit.get_by_role("button", name="记下回访").tap()
    expect(visit.locator(".problem")).to_contain_text("请选 1 至 5")
    page.locator("#tab-duty").tap()
    expect(page.locator("#me")).to_contain_text("ge的名字")
    assert COMMUNITY not in page.locator("#me").inner_text()


@pytest.mark.proves("P10", "N3")
def test_a_guard_calls_for_help_without_a_network_and_the_desk_reads_where_he_was(
    busy: Serving, hands: Hands, phone: Phone
) -> None:
    officer = somebody(busy.served, "xu", Role.DUTY_LEADER, STATION)
    code = officer.get("/api/v1/checkpoints/east/code")["page"]
    one = phone(busy, "gu", "/phone/guard", clock=hands)
    page = one.page
    expect(page.locator("#next h1")).to_have_text("东门岗亭")
    one.connected()
    expect(page.locator("#help-key")).to_contain_text("还没有打卡")
    one.away = True
    one.context.set_offline(True)
    page.locator("#tab-check").tap()
    check_in(page, code)
    page.locator("#tab-today").tap()
    expect(page.locator("#help-key")).to_contain_text("最近一次打卡：东门岗亭")
    page.locator("#help-press").tap()
    page.get_by_role("dialog").get_by_role("button", name="求助", exact=True).tap()
    expect(page.locator("#help-now .alert")).to_contain_text("没有网络")
    sent = posted(page, "/api/v1/help-calls")
    one.context.set_offline(False)
    expect(page.locator("#help-now li.reached")).to_have_count(2)
    assert one.overflow() == 0
    assert one.violations() == []
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    (call,) = officer.get("/api/v1/help-calls", open="true")["items"]
    assert (call["name"], call["seen"]["name"], call["on_duty"]) == ("顾强", "东门岗亭", True)
    desk = Screen(page.context.browser, busy.origin)  # type: ignore[arg-type]
    desk.sign_in("wang")
    card = desk.page.locator(f"#alarm-{call['alarm']}")
    expect(card).to_contain_text("保安 顾强 B1 · 求助")
    expect(card).to_contain_text("最后打卡： 东门岗亭")
    card.get_by_role("button", name="签收").click()
    expect(page.locator("#help-now li.reached")).to_have_count(3)
    page.locator("#help-cancel").tap()
    page.get_by_role("dialog").get_by_role("button", name="撤销", exact=True).tap()
    expect(page.locator("#help-cancelled")).to_contain_text("已由本人撤销，派出所仍会核实")
    expect(page.locator("#help-now li.reached")).to_have_count(3)  # it closes nothing
    expect(card).to_contain_text("本人撤销")
    expect(card).to_contain_text("最后打卡： 东门岗亭")  # it stands on the card that was taken as well
    assert desk.overflow() == 0
    assert desk.wrong == []
    desk.close()


@pytest.mark.proves("N4")
def test_a_key_that_is_held_leaves_nothing_on_the_phone_with_or_without_a_network(
    serving: Serving, phone: Phone
) -> None:
    for place in HOUSEHOLDS[:2]:
        account(serving.station, f"at-{place}", (Role.HOUSEHOLD, place))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    screens = [phone(serving, f"at-{place}", "/phone/#home") for place in HOUSEHOLDS[:2]]
    for one in screens:  # the first household agreed to a silent key, the second did not
        page = one.page
        one.connected()
        page.locator("#try-now").tap()
        expect(page.locator("#try")).to_contain_text("连得上")
        before = MILLISECONDS.sub("", page.locator("main").inner_text())
        page.locator("#try-now").click(delay=2_300)
        expect(page.locator("#try")).to_contain_text("连得上")
        page.wait_for_timeout(1_000)
        assert MILLISECONDS.sub("", page.locator("main").inner_text()) == before
        one.away = True
        one.context.set_offline(True)
        page.locator("#try-now").tap()
        expect(page.locator("#try")).to_contain_text("连不上")
        before = page.locator("main").inner_text()
        page.locator("#try-now").click(delay=2_300)
        page.wait_for_timeout(1_000)
        assert page.locator("main").inner_text() == before
        assert page.evaluate(KEPT) == 1
        one.context.set_offline(False)
        eventually(lambda page=page: page.evaluate(KEPT) == 0, "sent by itself, and nothing is left")  # type: ignore[misc]
        expect(page.locator("#line.open")).to_be_visible()
        assert page.locator(".badge").count() == 0
        page.locator("#tab-alarm").tap()
        expect(page.locator("#press")).to_be_visible()  # no alarm of ours goes on
    found = officer.get("/api/v1/alarms", open="true")["items"]
    assert [(one["kind"], one["place"]) for one in found] == [("duress", HOUSEHOLDS[0])] * 2


LABELLED: Final = """(text) => {
    globalThis.BarcodeDetector = class {
        static async getSupportedFormats() { return ["qr_code"]; }
        async detect() { return [{ rawValue: text }]; }
    };
}"""
"""A browser that reads codes, which Debian's chromium is not: whatever it is shown says `text`."""
PIXEL: Final = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.proves("A2", "G5")
def test_an_installer_scans_hangs_presses_reads_back_and_hands_over_also_without_a_network(
    serving: Serving, gateway: Gateway, phone: Phone
) -> None:
    installer = account(serving.station, "xin", (Role.INSTALLER, COMMUNITY))
    officer = somebody(serving.served, "xu", Role.DUTY_OFFICER, STATION)
    unit = {"id": "n1", "gateway": gateway.name, "line": "line1", "address": 77}
    officer.post("/api/v1/register/units", unit, status=201)
    one = phone(serving, "xin", "/")
    page = one.page
    page.add_init_script(f"({LABELLED})('{serving.origin}/register/devices/n1')")
    page.goto("/")
    assert page.url.endswith("/phone/install")  # with which the role begins
    expect(page.locator("#install-none")).to_contain_text("都移交了")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.locator("#to-scan").tap()
    type_in = page.locator("#type")
    type_in.locator("input").fill("不是编号")
    type_in.locator("button.main").tap()
    expect(type_in.locator(".problem")).to_contain_text("编号只有字母")
    one.away = True
    one.context.set_offline(True)
    page.locator("#qr-picture").set_input_files({"name": "label.png", "mimeType": "image/png", "buffer": PIXEL})
    expect(page.locator("#unit h1")).to_have_text("n1")
    expect(page.locator("#unit")).to_contain_text("联网后才核对")
    choose = page.locator("#choose")
    choose.locator("button.main").tap()
    expect(choose.locator(".problem")).to_contain_text("请先选位置")
    choose.locator("select").select_option(HOUSEHOLDS[3])
    choose.locator("button.main").tap()
    page.get_by_role("button", name="换个位置").tap()
    choose.locator("input[name=find]").fill("102")
    expect(choose.locator("option")).to_have_count(2)
    choose.locator("select").select_option(HOUSEHOLDS[1])
    choose.locator("button.main").tap()
    expect(page.locator("#press-test")).to_contain_text("位置发送后才能试按")
    read = page.locator("#read-back")
    read.locator("input").fill("第3户")
    read.locator("button.main").tap()
    expect(read.locator(".problem")).to_contain_text("登记的是“第1户”")
    read.locator("input").fill("第 1 户")
    read.locator("button.main").tap()
    expect(read).to_contain_text("已记在手机里")
    expect(page.locator("#queue h2")).to_have_text("还没上传：2 条")
    assert (one.overflow(), one.violations()) == (0, [])
    page.reload()  # by the worker
    expect(page.locator("#item-n1")).to_contain_text("第1户")
    lost: list[int] = []

    def lose(route: Route) -> None:
        """The station has done it, and its answer does not arrive."""
        if lost:
            return route.continue_()
        lost.append(route.fetch().status)
        return route.abort()

    page.route("**/register/units/n1/install", lose)
    one.conflict = True  # it is asked to hang where it hangs already
    one.context.set_offline(False)
    expect(page.locator("#queue h2")).to_have_text("都上传了")
    one.away = one.conflict = False
    assert lost == [200]
    (left,) = officer.get("/api/v1/installations")["items"]
    assert (left["unit"], left["place"], left["read_back_by"]) == ("n1", HOUSEHOLDS[1], installer)
    page.locator("#item-n1 button").tap()
    expect(page.locator("#hand-over")).to_contain_text("先做完前面几步")
    test = page.locator("#press-test")
    expect(test).to_contain_text("按键就是真警")
    test.get_by_role("button", name="开始试按").tap()
    expect(test).to_contain_text("网关 g1 不在线")  # it has not heard of it, and the press would be real
    gateway.say_status()
    assert gateway.commanded(lambda one: one.action is Action.INSTALL).place == HOUSEHOLDS[1]
    expect(test).to_contain_text("前按键不报警")
    expect(test).to_contain_text("还没收到")
    assert (one.overflow(), one.violations()) == (0, [])
    chirp = gateway.event(EventType.TEST, unit="n1", press="n1:1:1", detail={"installing": True, "key": "fire"})
    gateway.send([chirp])
    gateway.receipted([chirp])
    expect(page.locator("#result-station")).to_contain_text("共 1 次")
    test.get_by_role("button", name="没叫").tap()
    expect(test).to_contain_text("查供电、接线和音量")
    expect(page.locator("#hand-over button")).to_have_count(0)
    eventually(lambda: officer.get("/api/v1/installations")["items"][0]["siren"] is False, "that it did not chirp")
    test.get_by_role("button", name="叫了").tap()
    eventually(lambda: officer.get("/api/v1/installations")["items"][0]["siren"] is True, "that it chirped")
    test.get_by_role("button", name="结束试按").tap()
    expect(test).to_contain_text("试按时段以外")
    page.locator("#hand-over button").tap()
    page.get_by_role("dialog").get_by_role("button", name="移交使用").tap()
    expect(page.locator("#whole")).to_contain_text("每次按键都是真警")
    assert officer.get("/api/v1/register/units/n1")["handed"] is True
    assert officer.get("/api/v1/alarms")["items"] == []
    page.locator("#other").tap()
    expect(page.locator("#whole")).to_contain_text("every press is real")
    page.locator("#back").tap()
    expect(page.locator("#install-none")).to_contain_text("Everything is handed over")


SMALL: Final = """() => [...document.querySelectorAll("main :is(button, a.button, input:not([type=hidden]), summary)")]
    .map((one) => [one.textContent || one.name, one.getBoundingClientRect().height])
    .filter(([, height]) => height > 0 && height < 48)"""
"""What is hard to hit with a thumb."""


@pytest.mark.proves("A9", "G5")
def test_a_group_leader_sees_on_a_phone_who_answers_while_it_goes_on_and_confirms_who_joined(
    serving: Serving, gateway: Gateway, phone: Phone
) -> None:
    account(serving.station, "he", (Role.GROUP_LEADER, "gr1"))
    neighbour = somebody(serving.served, "zhang", Role.HOUSEHOLD, HOUSEHOLDS[1])
    inviter = somebody(serving.served, "liu", Role.COMMUNITY, COMMUNITY)
    code = inviter.post(f"/api/v1/places/{HOUSEHOLDS[2]}/joining", status=201)["code"]
    joined = {"code": code, "name": "周桂英", "login": "zhou", "password": PASSWORD}
    answer = serving.served.client.post("/api/v1/join", json=joined, headers={"Origin": ORIGIN})
    assert answer.status_code == 201, answer.text
    one = phone(serving, "he", "/")
    page = one.page
    assert page.url.endswith("/group")  # with which the role begins
    now = page.locator("#now")
    expect(now).to_contain_text("没有警情")
    expect(now).to_contain_text("月测逾期")
    event = gateway.event(kind=Kind.FIRE)
    gateway.send([event])
    gateway.receipted([event])
    neighbour.post(f"/api/v1/alarms/{event.id}/answer", {"answer": "coming"})
    expect(now).to_contain_text("马上去 1")  # nobody has touched the phone
    expect(now.locator(".rows")).to_contain_text("102")
    wrong = [one.overflow(), one.violations(), page.evaluate(SMALL)]
    page.emulate_media(color_scheme="dark")
    assert [*wrong, one.violations()] == [0, [], [], []]
    page.get_by_role("button", name="认识，确认").tap()
    expect(page.get_by_text("没有等待确认的住户")).to_be_visible()
