"""The live desk in a browser: how soon an alarm is painted, what the page weighs, when it is there, how it scrolls.

    shouwang bench --only desk        # after scripts/setup dev, which brings Playwright

An alarm counts as received at `alarm.received_ms` of the station's own table, on the same clock as the browser's, and
as painted when its card is in the page and two frames have been drawn. 49 more screens hear the feed meanwhile, on
one thread of this process.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api.accounts.proofs import Passwords
from bench import station
from bench.figures import Figure, at_most, middle, percentile
from deploy.mosquitto import PrivateBroker

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

WHO: Final = station.OFFICERS[-1]
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of a station that lasts a minute
ALARMS: Final = 60
EVERY_MS: Final = 200
SETTLE_MS: Final = 1_500
LOADS: Final = 5
VIEWERS: Final = 49
PAINTED_MS: Final = 300.0
SIZE_KB: Final = 150.0
FIRST_PAINT_MS: Final = 1_000.0
SLOWED: Final = 4
OPEN: Final = 1_000
TASK_MS: Final = 50.0
SCROLLS: Final = 40
WAIT_MS: Final = 60_000

WATCH: Final = """() => {
  window.painted = {};
  const seen = (node) => {
    if (!(node instanceof Element)) return;
    const cards = node.matches("article.card") ? [node] : node.querySelectorAll("article.card");
    for (const card of cards) {
      const id = card.id.slice(6);
      if (id in painted) continue;
      painted[id] = 0;
      requestAnimationFrame(() => requestAnimationFrame(() => { painted[id] = Date.now(); }));
    }
  };
  new MutationObserver((all) => all.forEach((one) => one.addedNodes.forEach(seen)))
    .observe(document.getElementById("alarms"), { childList: true, subtree: true });
}"""
LONG: Final = """() => {
  window.long = [];
  new PerformanceObserver((list) => long.push(...list.getEntries().map((one) => one.duration)))
    .observe({ entryTypes: ["longtask"] });
}"""
SCROLL: Final = """async (times) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const end = document.documentElement.scrollHeight - innerHeight;
  for (let number = 0; number <= times; number++) {
    scrollTo(0, (end * number) / times);
    await frame();
    await frame();
  }
  await new Promise((done) => setTimeout(done, 300));
  return { longest: Math.max(0, ...long), cards: document.querySelectorAll("article.card").length, end };
}"""


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the other chapters do without

    directory.mkdir(parents=True)
    with (
        PrivateBroker(directory / "broker", station.PRINCIPALS) as broker,
        station.Bench(directory, broker) as bench,
        sync_playwright() as playwright,
    ):
        with closing(sqlite3.connect(bench.database)) as db, db:
            kept = Passwords().hash(PASSWORD)
            db.execute("UPDATE account SET kind = 'person', login = id, password = ? WHERE id = ?", (kept, WHO))
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        figures = [*_arriving(browser, bench), *_light(browser, bench), *_many(browser, bench)]
        browser.close()
    return figures


def _arriving(browser: Browser, bench: station.Bench) -> list[Figure]:
    """Presses one by one, and when each was seen."""
    done = threading.Event()
    with _desk(browser, bench) as page, bench.viewers(VIEWERS) as viewers:
        page.locator("#line.open").wait_for()
        page.evaluate(WATCH)
        listening = threading.Thread(target=viewers.listen, args=(done,))
        listening.start()
        envelopes = bench.envelopes(ALARMS)
        for envelope in envelopes:
            bench.send([envelope])
            page.wait_for_timeout(EVERY_MS)
        page.wait_for_function("(many) => Object.values(painted).filter(Boolean).length >= many", arg=ALARMS)
        painted: dict[str, int] = page.evaluate("painted")
        done.set()
        listening.join()
    with closing(sqlite3.connect(f"file:{bench.database}?mode=ro", uri=True)) as db:
        received: dict[str, int] = dict(db.execute("SELECT id, received_ms FROM alarm").fetchall())
    took = [
        float(painted[json.loads(one)["body"]["id"]] - received[json.loads(one)["body"]["id"]]) for one in envelopes
    ]
    note = f"{VIEWERS} more screens hear it"
    return [
        _figure("alarm received to painted, p50", percentile(took, 0.5), "ms"),
        _figure("alarm received to painted, p95", percentile(took, 0.95), "ms", PAINTED_MS, note=note),
    ]


def _light(browser: Browser, bench: station.Bench) -> list[Figure]:
    """What is loaded for the desk with ALARMS open alarms, and when something of it is seen on a slow machine."""
    painted: list[float] = []
    size = 0
    for _ in range(LOADS):
        bodies: list[bytes] = []
        with _desk(browser, bench, slowed=SLOWED, bodies=bodies) as page:
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        size = sum(len(gzip.compress(body)) for body in bodies)
    return [
        _figure("live desk, all that it loads, gzipped", size / 1_000, "kB", SIZE_KB, note=f"{ALARMS} open alarms"),
        _figure(
            f"first paint at {SLOWED}x CPU slow-down",
            middle(painted),
            "ms",
            FIRST_PAINT_MS,
            note=f"slowest {max(painted):.0f}",
        ),
    ]


def _many(browser: Browser, bench: station.Bench) -> list[Figure]:
    """OPEN alarms, every group of them opened, scrolled through."""
    bench.send(bench.envelopes(OPEN - ALARMS))
    with _desk(browser, bench) as page:
        page.locator("#line.open").wait_for()
        page.evaluate("document.querySelectorAll('#alarms details').forEach((one) => { one.open = true; })")
        page.wait_for_timeout(SETTLE_MS)
        page.evaluate(LONG)
        seen: dict[str, float] = page.evaluate(SCROLL, SCROLLS)
    if seen["cards"] != OPEN:
        raise RuntimeError(f"{seen['cards']} cards of {OPEN} alarms")
    return [
        _figure(
            f"longest task while {OPEN:,} open alarms scroll",
            seen["longest"],
            "ms",
            TASK_MS,
            note=f"0: none over 50 ms; {seen['end']:,.0f} px",
        )
    ]


@contextmanager
def _desk(
    browser: Browser, bench: station.Bench, *, slowed: int = 1, bodies: list[bytes] | None = None
) -> Iterator[Page]:
    """The live desk in a browser that has nothing of it yet, loaded."""
    with browser.new_context(base_url=bench.origin, viewport={"width": 1440, "height": 900}, locale="zh-CN") as context:
        login = {"login": WHO, "password": PASSWORD}
        signed_in = context.request.post("/api/v1/session", data=login, headers={"Origin": bench.origin})
        if not signed_in.ok:
            raise RuntimeError(signed_in.text())
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        answers: list[Response] = []

        def answered(answer: Response) -> None:
            answers.append(answer)

        page.on("response", answered)
        if slowed > 1:
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowed})
        page.goto("/desk")
        page.wait_for_timeout(SETTLE_MS)
        if bodies is not None:
            bodies += [one.body() for one in answers if one.ok and "/api/" not in one.url]
        yield page


def _chromium() -> str:
    found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("there is no chromium: scripts/setup dev")
    return found


def _figure(name: str, value: float, unit: str, most: float | None = None, *, note: str = "") -> Figure:
    bound = None if most is None else at_most(most)
    return Figure(part="desk", name=name, value=value, unit=unit, bound=bound, note=note)
