"""What the demo shows people: the village live, with keys to press, and the verdict as a table.

Everything on the screen comes from the same outside evidence as the verdict: the witnesses at the broker, the units'
diaries, and the station over HTTP.
"""

import os
import select
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy import demo
from deploy.box import Box, BoxError, Village
from deploy.check import Language
from deploy.observers import Witnesses
from deploy.verdict import Verdict

REFRESH_S: Final = 0.1
MOST_LINES: Final = 12

LAMPS: Final = {
    "idle": ("", "", ""),
    "kept": ("已记录", "kept", "yellow"),
    "police_have_it": ("派出所已签收", "police have it", "green"),
    "coming": ("有人正赶来", "somebody is coming", "bold green"),
    "not_reached": ("未联系上派出所, 请拨打110", "police not reached, phone 110", "bold red"),
}
KEYS: Final = {
    "p": ("panic", "紧急报警"),
    "h": ("help", "一般求助"),
    "m": ("medical", "医疗求助"),
    "f": ("fire", "火警"),
    "d": ("duress", "胁迫报警"),
}
DIGITS: Final = "1234567890"


class NotEmpty(FileExistsError):
    """Another evening lies there: its officers' tokens were shown once, and its alarms would be judged again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"{folder} is not empty; give --state a new directory")


@contextmanager
def place(state: Path | None) -> Iterator[Path]:
    """The directory of a demo: the one that was asked for, or one that goes away afterwards. Raises NotEmpty."""
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        if any(state.iterdir()):
            raise NotEmpty(state)
        yield state
        return
    with tempfile.TemporaryDirectory(prefix="shouwang-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def example(name: str) -> Path:
    """An example site file of this distribution."""
    for folder in (Path(__file__).parent / "examples", Path(__file__).parent.parent / "examples"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is not here; give a site file with --site")


def show_verdict(verdict: Verdict, *, language: Language) -> None:
    """Print who learned what and when, what lamps and sirens did, and what was wrong."""
    zh = language == "zh"
    console = Console()
    messages = Table(
        "对象" if zh else "audience", "得知的内容" if zh else "what arrived", title="消息" if zh else "messages"
    )
    for audience, rows in verdict.audiences.items():
        told = [
            f"{row['alarm']} {row['door']} (+{row['ms']} ms)" if "alarm" in row else f"{row['of']}: {row['update']}"
            for row in rows
        ]
        messages.add_row(audience, "\n".join(told) or "-")
    units = Table(
        "报警器" if zh else "unit",
        "指示灯" if zh else "lamp",
        "警号" if zh else "siren",
        "门号" if zh else "doors",
        "ms",
        title="报警器" if zh else "units",
    )
    for unit, seen in verdict.units.items():
        doors = " ".join(str(door) for door in seen["doors"])
        units.add_row(
            unit, " > ".join(seen["lamps"]) or "-", " ".join(seen["siren"]) or "-", doors or "-", str(seen["ms"] or "-")
        )
    console.print(messages, units)
    if verdict.ok:
        console.print(
            "每一方都得知了应知的,且仅此而已" if zh else "everybody learned what they may, and nothing else",
            style="green",
        )
    for problem in verdict.problems:
        console.print(problem, style="red", soft_wrap=True)


@dataclass(slots=True)
class Scene:
    """What the screen knows."""

    zh: bool
    chosen: int = 2
    lamps: dict[str, str] = field(default_factory=dict)
    sirens: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    pressed_s: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def tell(self, line: str) -> None:
        """Add a line to what happened."""
        self.lines = [*self.lines, f"{time.strftime('%H:%M:%S')} {line}"][-MOST_LINES:]

    def unit_said(self, event: dict[str, Any]) -> None:
        """Something from a unit's diary."""
        unit = str(event.get("unit"))
        match event.get("event"):
            case "lamp":
                self.lamps[unit] = str(event["lamp"])
            case "siren" | "siren_changed":
                doors = " ".join(str(door) for door in event["doors"])
                self.sirens[unit] = f"{event['pattern']} {doors}" + (" !" if event["stand_back"] else "")
            case "siren_stopped":
                self.sirens.pop(unit, None)
            case "pressed":
                self.pressed_s[unit] = float(event["at_ns"]) / 1e9
                self.tell(f"{unit} {event['key']}")
            case "confirmed" if event.get("key"):
                late = round((float(event["at_ns"]) / 1e9 - self.pressed_s.get(unit, 0)) * 1_000)
                self.tell(f"{unit} {'已落盘确认' if self.zh else 'confirmed: kept on disk'} +{late} ms")
            case "refused":
                self.tell(str(event.get("why")))

    def look(self, witnesses: Witnesses) -> None:
        """What has arrived at the broker's other side since the last look."""
        for audience, arrivals in witnesses.everything().items():
            for arrival in arrivals[self.seen.get(audience, 0) :]:
                body = arrival.body
                word = body.get("word_zh" if self.zh else "word_en", "")
                since = self.pressed_s.get(str(body.get("unit")), 0.0)
                late = f" +{round((arrival.at_s - since) * 1_000)} ms" if since else ""
                self.told[audience] = f"{word} {body.get('door') or ''}{late}".strip()
                if audience == "police":
                    what = "派出所" if self.zh else "police"
                    self.tell(f"{what}: {word} {body.get('label') or ''} {body.get('unit') or ''}{late}")
            self.seen[audience] = len(arrivals)

    def picture(self) -> Group:
        """The screen."""
        zh = self.zh
        table = Table(expand=True)
        for title in ("", "住户", "指示灯", "警号", "收到") if zh else ("", "household", "lamp", "siren", "was told"):
            table.add_column(title)
        for number, (household, unit) in enumerate(zip(demo.HOUSEHOLDS, demo.UNITS, strict=True)):
            lamp_zh, lamp_en, style = LAMPS[self.lamps.get(unit, "idle")]
            siren = self.sirens.get(unit, "")
            table.add_row(
                Text(
                    f"{'>' if number == self.chosen else ' '}{DIGITS[number]}",
                    style="bold cyan" if number == self.chosen else "",
                ),
                household,
                Text(lamp_zh if zh else lamp_en, style=style),
                Text(siren, style="bold red" if siren else ""),
                self.told.get(f"household:{household}", ""),
            )
        for audience in ("grid:w1", "community:c1", "police"):
            table.add_row("", Text(audience, style="bold"), "", "", self.told.get(audience, ""))
        keys = (
            "1-0 选住户  p 紧急报警  h 求助  m 医疗  f 火警  d 胁迫(无声)  c 撤销  w 马上去  "
            "a 签收  t 巡更打卡  k 断电重启网关  q 退出"
            if zh
            else "1-0 household  p panic  h help  m medical  f fire  d duress  c cancel  w coming  a acknowledge  "
            "t check-in  k kill and restart the gateway  q quit"
        )
        return Group(
            table, Panel("\n".join(self.lines) or " ", title="守望" if zh else "Shouwang"), Text(keys, style="dim")
        )


def live(site_path: Path, folder: Path, *, language: Language) -> None:
    """Show the village until somebody presses q."""
    scene = Scene(zh=language == "zh")
    console = Console()
    with console.status("正在启动村庄..." if scene.zh else "starting the village..."), suppress(KeyboardInterrupt):
        running = demo.village(site_path, folder)
        box, units, witnesses = running.__enter__()
    try:
        for event in list(units.events):
            scene.unit_said(event)
        units.listen(scene.unit_said)
        with _keys(), Live(scene.picture(), console=console, screen=True, auto_refresh=False) as screen:
            while _obey(_key(), scene, box, units):
                scene.look(witnesses)
                screen.update(scene.picture(), refresh=True)
    except KeyboardInterrupt:
        pass
    finally:
        running.__exit__(None, None, None)


def _obey(key: str, scene: Scene, box: Box, units: Village) -> bool:
    """Do what a key stands for; False when it is time to go."""
    unit = demo.UNITS[scene.chosen]
    try:
        match key:
            case "q":
                return False
            case "c":
                units.do("cancel", unit=unit)
            case "w":
                units.do("answer", unit=unit, answer="going")
            case "t":
                units.do("tag", unit="gate", tag=demo.TAG)
            case "a":
                _acknowledge(scene, box)
            case "k":
                box.processes[f"gateway-{box.site.gateways[0].id}"].kill()
                box.start_gateway()
                scene.tell("网关已断电并重启" if scene.zh else "the gateway was killed and is back")
            case _ if key in KEYS:
                units.do("press", unit=unit, key=KEYS[key][0], hold_ms=300)
            case _ if key and key in DIGITS:
                scene.chosen = DIGITS.index(key)
            case _:
                pass
    except (BoxError, OSError) as error:
        scene.tell(str(error))
    return True


def _acknowledge(scene: Scene, box: Box) -> None:
    waiting = [alarm for alarm in box.get("/api/v1/alarms")["items"] if alarm["acknowledged"] is None]
    if not waiting:
        scene.tell("没有待签收的警情" if scene.zh else "nothing waits to be acknowledged")
    for alarm in waiting[:1]:
        box.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
        scene.tell(
            f"{'签收' if scene.zh else 'acknowledged'}: {alarm['words']['zh' if scene.zh else 'en']} {alarm['label']}"
        )


@contextmanager
def _keys() -> Iterator[None]:
    """Single keys from the terminal, without Enter."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin.fileno())
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _key() -> str:
    """The key that was pressed within REFRESH_S, or an empty text."""
    ready, _, _ = select.select([sys.stdin], [], [], REFRESH_S)
    return os.read(sys.stdin.fileno(), 1).decode("ascii", "replace") if ready else ""
