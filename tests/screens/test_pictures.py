"""Pictures of screens as they are, small enough to keep: `make screenshots` puts them into docs/screens."""

import os
import re
from dataclasses import dataclass
from email.utils import formatdate
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser

from api.console.routers import ROUTERS
from broker.kinds import Kind
from tests.api.peers import HOUSEHOLDS, Gateway
from tests.api.people import Hands
from tests.api.signing_in import code
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
HEAD: Final = """# Screens

Made by `make screenshots` from a station of the tests; do not edit. `tests/screens` tries every page in a browser, in
both themes and at three widths.
"""


@dataclass(frozen=True)
class Scene:
    """One picture: who looks at what, and how."""

    name: str
    words: str
    login: str
    path: str
    kept: bool = False
    """Whether the picture is in the repository; the others are made when somebody wants them."""
    how: tuple[tuple[str, Any], ...] = ()


SCENES: Final = (
    Scene("desk", "The live desk (实时警情台)", "wang", "/desk", kept=True),
    Scene("desk-dark", "The live desk at night", "wang", "/desk", how=(("color_scheme", "dark"),)),
    Scene("alarm", "One alarm", "wang", "/alarms/{alarm}"),
    Scene("guard", "The guard's phone (保安手机)", "gu", "/phone/guard", kept=True, how=tuple(PHONE.items())),
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


@pytest.mark.timeout(900 if SCREENS else 60)
def test_pictures_are_small_enough_to_keep(
    browser: Browser, busy: Serving, gateway: Gateway, hands: Hands, tmp_path: Path
) -> None:
    now = hands.now_ms
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
    folder = Path(SCREENS) if SCREENS else tmp_path
    folder.mkdir(exist_ok=True)
    if LOOKS:
        own = Furnisher(busy, hands).everything(gateway)
        alarms = [Scene("alarm-going", "", "lin", f"/alarms/{own}")]
        alarms += [Scene(f"alarm-{one.kind}", "", "wang", f"/alarms/{one.id}") for one in made]
        assert review(browser, busy, now, folder, alarms) == []
        return
    page = [HEAD]
    wrong: list[str] = []
    signed_in: dict[str, Screen] = {}
    scenes = (*SCENES, *others(browser, busy, signed_in)) if SCREENS else SCENES[:1]
    for each in signed_in.values():
        each.close()
    for scene in scenes:
        one = Screen(browser, busy.origin, **dict(scene.how))
        one.page.clock.set_system_time(now / 1_000)
        one.context.route(
            "**/healthz", lambda route: route.fulfill(headers={"Date": formatdate(now / 1_000, usegmt=True)})
        )
        one.sign_in(scene.login, scene.path.format(alarm=made[2].id))
        if scene.path == "/desk":
            one.connected()
        if scene.name == "desk":
            one.page.locator(f"#alarm-{made[1].id} form button").click()
            one.page.locator(f"#alarm-{made[1].id}.seen").wait_for()
            one.page.locator(f"#alarm-{made[2].id} .place").click()
            one.page.locator("#detail h1, #detail h2").first.wait_for()
        one.page.wait_for_timeout(1_000)
        picture = folder / f"{scene.name}.png"
        one.page.screenshot(path=picture, animations="disabled", scale="css")
        wrong += one.wrong
        one.close()
        assert not scene.kept or picture.stat().st_size <= LARGEST, picture.name
        page.append(
            f"## {scene.words}\n\n`{scene.path}`\n" + (f"\n![{scene.words}]({picture.name})\n" if scene.kept else "")
        )
    (folder / "README.md").write_text("\n".join(page), encoding="utf-8")
    assert wrong == []
