"""A station that browsers look at, and browsers that notice what nobody should see in one."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, Self

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from starlette.testclient import TestClient

from api.clock import Clock, wall_ms
from api.console.language import COOKIE as LANGUAGE
from api.program import build, listen, listen_tls, server_of
from api.settings import StationSettings
from api.station import Station
from tests.api.conftest import Served
from tests.api.signing_in import PASSWORD

AXE: Final = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
SERIOUS: Final = frozenset({"serious", "critical"})
RUN_AXE: Final = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .map(({id, impact, nodes}) => ({id, impact, where: nodes.map((node) => node.target.join(" ")).slice(0, 5)}))"""
CLIPPED: Final = """() => [...document.querySelectorAll("main *, .head .who *")].filter((one) => {
    const said = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const style = getComputedStyle(one);
    return said && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1 && style.textOverflow !== "ellipsis"
        && !["auto", "scroll"].includes(style.overflowX) && !one.closest("select, svg, textarea, .leaflet-container");
}).map((one) => `${one.localName}.${one.className} ${one.textContent.trim().slice(0, 40)}`)"""
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
LOOKS: Final[tuple[tuple[Literal["light", "dark"], int, int], ...]] = (
    ("light", 1440, 900),
    ("light", 1024, 768),
    ("dark", 390, 844),
)
SIZE_ALONE: Final = 1024
PATIENCE_S: Final = 60.0
"""How long what has to come may take: a busy machine is no failure."""
LOST: Final = "net::ERR"
CONFLICT: Final = "409"
"""What a browser says by itself of a server that is away."""


@contextmanager
def chromium(*arguments: str, home: Path | None = None) -> Iterator[Browser]:
    """Debian's, without a screen. `home`: where it looks for roots that its user trusts (`.pki/nssdb`)."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found is not None, "there is no chromium: scripts/setup dev"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", *arguments],
            env=None if home is None else {**os.environ, "HOME": str(home)},
        )
        yield browser
        browser.close()


class Serving:
    """A station served in this process over a real port, which it keeps when it is started again."""

    def __init__(self, settings: StationSettings, *, clock: Clock = wall_ms) -> None:
        self._settings = settings
        self._clock = clock
        self._running: Any = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve; the broker is heard when this returns."""
        app = build(self._settings, clock=self._clock)
        self.station: Station = app.state.station
        self.served = Served(app, TestClient(app), self._settings.database)
        listener, secure = listen(self._settings), listen_tls(self._settings)
        server = server_of(app, secure)
        kept: dict[str, Any] = {"port": listener.getsockname()[1]}
        if secure is not None and (tls := self._settings.http.tls) is not None:
            kept["tls"] = tls.model_copy(update={"port": secure.getsockname()[1]})
        self._settings = self._settings.model_copy(update={"http": self._settings.http.model_copy(update=kept)})
        self._running = server
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        self._thread.start()
        assert self.station.link.ready.wait(PATIENCE_S)

    def stop(self) -> None:
        """End it in order; feeds are hung up."""
        if self._thread is not None:
            self._running.should_exit = True
            self._thread.join(PATIENCE_S)
            self._thread = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._settings.http.port}"

    @property
    def secure_origin(self) -> str:
        """The same by HTTPS."""
        assert self._settings.http.tls is not None
        return f"https://127.0.0.1:{self._settings.http.tls.port}"


class Screen:
    """One browser of one person. Whatever it complains of is kept, and fails the test at the end."""

    def __init__(self, browser: Browser, origin: str, **how: Any) -> None:
        self.origin = origin
        self.context: BrowserContext = browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, "locale": "zh-CN", "base_url": origin} | how
        )
        self.context.set_default_timeout(PATIENCE_S * 1_000)
        self.wrong: list[str] = []
        self.away = False
        """Whether the server may be unreachable, which browsers call an error."""
        self.conflict = False
        """Whether somebody else may have been first, which they call one too."""
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        self.context.on("request", self._asked)

    @cached_property
    def page(self) -> Page:
        """What is looked at. Whoever only asks needs none, and each is a process of its own."""
        return self.context.new_page()

    def _said(self, message: ConsoleMessage) -> None:
        expected = (self.away and LOST in message.text) or (self.conflict and CONFLICT in message.text)
        if message.type == "error" and not expected:
            self.wrong.append(f"console: {message.text} {message.location}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", "blob:")):
            self.wrong.append(f"off origin: {request.url}")

    def enter(self, login: str, *, code: str | None = None) -> None:
        """Sign in by a request, for what is not about signing in. `code`: for whoever has a second factor."""
        said = {"login": login, "password": PASSWORD, "code": code}
        answer = self.context.request.post("/api/v1/session", data=said, headers={"Origin": self.origin})
        assert answer.ok, answer.text()

    def sign_in(self, login: str, to: str = "/desk") -> Page:
        """The same, and look at a page."""
        self.enter(login)
        self.page.goto(to)
        return self.page

    def look_at(self, path: str) -> list[str]:
        """What is wrong with a page in either theme, or at any of the three widths that are looked at."""
        wrong: list[str] = []
        for scheme, width, height in LOOKS:
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": height})
            if width == LOOKS[0][1]:
                self.page.goto(path)
                self.page.wait_for_load_state("load")
            if (wide := self.overflow()) > 0:
                wrong.append(f"{path} at {width}: {wide} px too wide")
            if width != SIZE_ALONE:
                wrong += [f"{path} at {width} {scheme}: {one}" for one in self.violations()]
        return wrong

    def speak(self, language: str) -> None:
        """Whatever is opened from now on is in this language."""
        self.context.add_cookies([{"name": LANGUAGE, "value": language, "url": self.origin}])

    def narrow(self, path: str) -> list[str]:
        """What sticks out of the window, or of its own box without a way to see it, at the width of now."""
        wide = self.overflow()
        return [f"{path}: {wide} px too wide"] * (wide > 0) + [f"{path}: cut off: {one}" for one in self.clipped()]

    def clipped(self) -> list[str]:
        """Words that are wider than what they stand in, where nobody can push them sideways."""
        found: list[str] = self.page.evaluate(CLIPPED)
        return found

    def connected(self) -> None:
        """Wait until the desk hears of alarms."""
        self.page.locator("#line.open").wait_for()

    def violations(self) -> list[str]:
        """What axe-core finds that keeps somebody from using the page."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate(RUN_AXE)
        return [json.dumps(one, ensure_ascii=False) for one in found if one["impact"] in SERIOUS]

    def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        wide: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide

    def overflow_large(self) -> int:
        """The same on the smallest phone, with letters twice as large as they are (WCAG 1.4.4 and 1.4.10)."""
        size, large = self.page.viewport_size, "document.documentElement.style.fontSize = "
        self.page.set_viewport_size({"width": 320, "height": 568})
        self.page.evaluate(f"{large}'200%'")
        wide = self.overflow()
        self.page.evaluate(f"{large}''")
        if size is not None:
            self.page.set_viewport_size(size)
        return wide

    def put_down(self) -> None:
        """Nobody looks for now; who is signed in stays so."""
        if "page" in vars(self):
            self.page.close()
            del self.page

    def close(self) -> None:
        self.context.close()
