"""Pictures of screens as they are, small enough to keep: `make screenshots` puts them into docs/screens."""

import os
import re
from base64 import b64decode
from dataclasses import dataclass
from email.utils import formatdate
from html import unescape
from pathlib import Path
from time import sleep
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser

from api.accounts import repository as accounts
from api.checkins.rules import Source
from api.checkins.service import Said
from api.console.routers import ROUTERS
from api.rights.rules import Role
from api.works.doing import Outcome, Task
from api.works.rules import Kind as WorkKind
from broker.kinds import Kind
from tests.api.peers import GRID, HOUSEHOLDS, STATION, Gateway
from tests.api.people import Hands
from tests.api.signing_in import account, code
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS
from tests.screens.album import DESK, FIRST, LAST, Shot, every, how, index, page_of
from tests.screens.pages import WITH_PAGES, askers, is_page, paths
from tests.screens.sample import Furnisher
from tests.screens.seeing import Screen, Serving

LARGEST: Final = 200_000
SCREENS: Final = os.environ.get("SCREENS")
LOOKS: Final = os.environ.get("LOOKS", "").split()
"""How a reviewer wants to see every page: `LOOKS="zh-dark-390 en-light-1440"`, into the folder SCREENS."""
ONLY: Final = os.environ.get("ONLY", "")
"""A pattern of the addresses that he wants to see."""
TALLEST: Final = 3_000
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "service_workers": "block",
}
QUALITY: Final = 70
"""Of WebP, which every browser shows and which is half of what JPEG would be."""
STORM: Final = 90
LOUD: Final = (Kind.PANIC, Kind.FIRE, Kind.MEDICAL, Kind.HELP, Kind.INTRUSION)


@dataclass(frozen=True)
class Scene:
    """One picture: who looks at what, and how."""

    name: str
    words: str
    login: str
    path: str
    how: tuple[tuple[str, Any], ...] = ()


SCENES: Final = (
    Scene("desk", "The live desk (实时警情台)", "wang", "/desk"),
    Scene("desk-dark", "The live desk at night", "wang", "/desk", how=(("color_scheme", "dark"),)),
    Scene("alarm", "One alarm", "wang", "/alarms/{alarm}"),
    Scene("guard", "The guard's phone (保安手机)", "gu", "/phone/guard", how=tuple(PHONE.items())),
    Scene("household", "The household's phone", "hu", "/phone/", how=tuple(PHONE.items())),
    Scene("patrol", "Rounds now", "wang", "/patrol"),
    Scene("points", "Points", "wang", "/points"),
)
PRESSES: Final = (
    (Kind.HELP, "刘家", 104, 190),
    (Kind.MEDICAL, "陈家", 103, 95),
    (Kind.FIRE, "李家", 102, 40),
    (Kind.PANIC, "王家", 101, 12),
    (Kind.DURESS, "王家", 101, 3),
)
"""Kind, label, door, and how many seconds before the picture."""


def others(browser: Browser, busy: Serving, screens: dict[str, Screen]) -> list[Scene]:
    """Every page that no scene shows, by what it calls itself, as whoever is let in first sees it.

    `screens`: of whom there is one already, by login; who was needed is added."""
    shown = {scene.path for scene in SCENES}
    found: list[Scene] = []
    for router in WITH_PAGES:
        for path in paths(router):
            if path in shown or path.removesuffix("household") in shown:
                continue
            for login in askers(router, path):
                if login not in screens:
                    screens[login] = Screen(browser, busy.origin, service_workers="block")
                    screens[login].enter(login, code=code(busy.station))
                answer = screens[login].context.request.get(path, max_redirects=0, max_retries=2)
                if is_page(answer):
                    name = path.strip("/").replace("/", "-")
                    words = re.search(r"<title>([^<]*?)( · [^<·]*)?</title>", answer.text())
                    how = tuple(PHONE.items()) if path.startswith("/phone") else ()
                    found.append(Scene(name, unescape(words[1]).strip() if words else name, login, path, how=how))
                if is_page(answer) or answer.status == 404:
                    break
    return found


def deeper(screens: dict[str, Screen], found: list[Scene]) -> list[Scene]:
    """One page of each address with an id in it, where links of the pages lead to one."""
    wanted = {
        route.path: route.path_regex
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and "{" in route.path
    }
    del wanted["/language/{language}"]
    more: list[Scene] = []
    ahead = list(found)
    while ahead:
        scene = ahead.pop(0)
        ask = screens[scene.login].context.request
        for href in map(unescape, re.findall(r'href="(/[^"#]*)', ask.get(scene.path, max_retries=2).text())):
            route = next((one for one, pattern in wanted.items() if pattern.match(href.partition("?")[0])), None)
            if route is None or not is_page(ask.get(href, max_redirects=0, max_retries=2)):
                continue
            del wanted[route]
            name = re.sub(r"[{}:]", "", route).strip("/").replace("/", "-")
            more.append(Scene(name, name, scene.login, href))
            ahead.append(more[-1])
    return more


def review(browser: Browser, busy: Serving, now: int, folder: Path, first: list[Scene]) -> list[str]:
    """Each page in each of LOOKS, as long as it is. What a browser says against them."""
    wrong: list[str] = []
    screens: dict[str, Screen] = {}
    for scene in first:
        if scene.login not in screens:
            screens[scene.login] = Screen(browser, busy.origin, service_workers="block")
            screens[scene.login].enter(scene.login, code=code(busy.station))
    scenes = [*first, *(scene for scene in SCENES if "{" not in scene.path), *others(browser, busy, screens)]
    for one in screens.values():
        one.page.clock.set_system_time(now / 1_000)
    scenes += deeper(screens, scenes)
    for scene in scenes:
        if not re.search(ONLY, scene.path):
            continue
        one = screens[scene.login]
        for look in LOOKS:
            language, theme, width = look.split("-")
            one.speak(language)
            one.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
            one.page.set_viewport_size({"width": int(width), "height": 844 if int(width) < 600 else 900})
            one.page.goto(scene.path)
            one.page.wait_for_timeout(300)
            tall = one.page.evaluate("document.documentElement.scrollHeight")
            one.page.screenshot(
                path=folder / f"{scene.name}.{look}.png",
                animations="disabled",
                scale="css",
                full_page=True,
                clip={"x": 0, "y": 0, "width": int(width), "height": min(tall, TALLEST)},
            )
            wrong += one.narrow(f"{scene.path} {look}")
    for one in screens.values():
        wrong += one.wrong
        one.close()
    return wrong


def _screen(browser: Browser, busy: Serving, now: int, login: str, look: dict[str, Any]) -> Screen:
    one = Screen(browser, busy.origin, **look)
    one.page.clock.set_system_time(now / 1_000)
    one.context.route(
        "**/healthz", lambda route: route.fulfill(headers={"Date": formatdate(now / 1_000, usegmt=True)})
    )  # fmt: skip
    if login:
        one.enter(login, code=code(busy.station))
    return one


def _taken(one: Screen, shot: Shot, path: str, file: Path) -> str:
    """Take the picture. Where it was taken: a link may have led on from the path."""
    if shot.through:
        text = one.context.request.get(path).text()
        found = re.search(f'href="({shot.through})"', text)
        assert found is not None, shot.name
        path = unescape(found[1])
    one.page.goto(path)
    one.page.wait_for_load_state("load")
    one.page.wait_for_timeout(600)
    if shot.do is not None:
        shot.do(one.page)
    one.page.wait_for_timeout(600)
    taken = one.context.new_cdp_session(one.page).send(
        "Page.captureScreenshot", {"format": "webp", "quality": QUALITY}
    )  # fmt: skip
    file.write_bytes(b64decode(taken["data"]))
    return path


def _walked(busy: Serving, hands: Hands, guard: str, *passed: tuple[str, int]) -> None:
    """A guard was at points, so many minutes ago."""
    told = [
        Said(
            id=f"{guard[-8:]}-{point}", source=Source.NFC_PHONE, tag=None, point=point, guard=guard, device_ms=None,
            at_ms=hands.now_ms - ago * MINUTE_MS,
        )
        for point, ago in passed
    ]  # fmt: skip
    with busy.station.database.write() as session:
        busy.station.checkins.add(session, told, hands.now_ms)


def album(browser: Browser, busy: Serving, gateway: Gateway, hands: Hands, folder: Path) -> list[str]:
    """A page of each screen of `ALBUM`, with its picture where that is small. What a browser says against them."""
    furnisher = Furnisher(busy, hands)
    going = furnisher.everything(gateway)
    for login, name, role, scope in (
        ("tang", "唐主任", Role.COMMAND_CENTRE, STATION), ("liu", "刘网格", Role.GRID_WORKER, GRID),
    ):  # fmt: skip
        made = account(busy.station, login, (role, scope))
        with busy.station.database.write() as session:
            accounts.change_account(session, made, name=name)
    _walked(busy, hands, furnisher.others[0], ("east", 26), ("power", 12))
    busy.station.doing.do[WorkKind.POINTS] = _slowly
    now, states, wrong = hands.now_ms, dict[str, Any](), list[str]()
    for shot in every():
        if not re.search(ONLY, shot.name):
            continue
        if shot in LAST:
            events = [gateway.event(at_ms=now - nth * 900, kind=LOUD[nth % len(LOUD)]) for nth in range(STORM)]
            gateway.send(events)
            gateway.receipted(events)
        wrong += _leaf(browser, busy, now, folder, shot, states=states, going=going)
    if not ONLY:
        (folder / "README.md").write_text(index(), encoding="utf-8")
    return wrong


def _leaf(
    browser: Browser, busy: Serving, now: int, folder: Path, shot: Shot, *, states: dict[str, Any], going: str = ""
) -> list[str]:  # fmt: skip
    """One page with its picture. `states`: what browsers keep, by login."""
    kept = {"storage_state": states[shot.login]} if shot.login in states else {}
    one = _screen(browser, busy, now, "" if kept else shot.login, how(shot) | kept)
    picture = folder / f"{shot.name}.webp"
    path = _taken(one, shot, shot.path.format(going=going), picture)
    if shot.login:
        states[shot.login] = one.context.storage_state()
    one.close()
    small = picture.stat().st_size <= LARGEST
    if not small:
        picture.unlink()
    where = f"{path.rpartition('/')[0]}/{{id}}" if shot.through else shot.path.replace("{going}", "{alarm}")
    text = page_of(shot, where, picture.name if small else None)
    (folder / f"{shot.name}.md").write_text(text, encoding="utf-8")
    return [f"{shot.name}: {each}" for each in one.wrong]


def _slowly(task: Task) -> Outcome:
    for step in range(20_000):
        task.tell("judging", 6_400 + step % 10, 20_000)
        sleep(0.05)
    raise AssertionError


@pytest.mark.timeout(900 if SCREENS else 60)
def test_pictures_are_small_enough_to_keep(
    browser: Browser, busy: Serving, gateway: Gateway, hands: Hands, tmp_path: Path
) -> None:
    if SCREENS and not LOOKS:
        hands.now_ms = BEGINS_MS + 34 * MINUTE_MS
        ((guard,),) = busy.served.rows("SELECT id FROM guard")
        _walked(busy, hands, guard, ("east", 33), ("shed", 22))
        busy.station.patrols.look(busy.station.database, hands.now_ms)
    now = hands.now_ms
    folder = Path(SCREENS) if SCREENS else tmp_path
    folder.mkdir(exist_ok=True)
    if SCREENS and not LOOKS:
        for shot in FIRST:
            assert _leaf(browser, busy, now, folder, shot, states={}) == []
    made = []
    for kind, label, door, ago in PRESSES:
        hands.now_ms = now - ago * 1_000
        event = gateway.event(
            at_ms=hands.now_ms, kind=kind, label=label, door=door, place=HOUSEHOLDS[door - 101], unit=f"u{door - 100}"
        )
        gateway.send([event])
        gateway.receipted([event])
        made.append(event)
    hands.now_ms = now
    if LOOKS:
        own = Furnisher(busy, hands).everything(gateway)
        alarms = [Scene("alarm-going", "", "lin", f"/alarms/{own}")]
        alarms += [Scene(f"alarm-{one.kind}", "", "wang", f"/alarms/{one.id}") for one in made]
        assert review(browser, busy, now, folder, alarms) == []
        return
    if not SCREENS:
        one = _screen(browser, busy, now, "wang", how(DESK[0]))
        _taken(one, DESK[0], "/desk", folder / "desk.webp")
        assert (folder / "desk.webp").stat().st_size <= LARGEST
        assert one.wrong == []
        one.close()
        return
    assert album(browser, busy, gateway, hands, folder) == []
