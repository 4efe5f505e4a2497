"""What the demo shows people: the village live, with keys to press, and the verdict as a table.

Everything on the screen comes from the same outside evidence as the verdict: the witnesses at the broker, the units'
diaries, and the station over HTTP.
"""

import os
import select
import signal
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from broker.kinds import KIND_WORDS, LADDER_WORDS, NEIGHBOUR_HELP, UPDATE_WORDS, Kind, LadderState, UpdateState
from deploy import demo, night, walker
from deploy.box import Box, BoxError, Village
from deploy.check import Language
from deploy.clock import Dial
from deploy.observers import Witnesses
from deploy.verdict import Verdict
from deploy.walker import Held

REFRESH_S: Final = 0.1
MOST_LINES: Final = 30
KEY_BYTES: Final = 64
ESCAPE: Final = b"\x1b"
CHROME_LINES: Final = 20
"""What the table, its header, the keys and the frame of the events take of the screen's height."""

LAMP_STYLES: Final = {
    LadderState.KEPT: "yellow",
    LadderState.POLICE_HAVE_IT: "green",
    LadderState.SOMEBODY_COMING: "bold green",
    LadderState.POLICE_NOT_REACHED: "bold red",
}
LAMPS: Final = {
    "kept": LadderState.KEPT,
    "police_have_it": LadderState.POLICE_HAVE_IT,
    "coming": LadderState.SOMEBODY_COMING,
    "not_reached": LadderState.POLICE_NOT_REACHED,
}
"""As the units' diaries call them; whatever else a lamp shows is nothing."""

OUTCOME_STYLES: Final = {
    "on_time": "green",
    "late": "yellow",
    "early": "yellow",
    "missed": "red",
    "too_fast": "bold red",
}

ACT_WORDS: Final = {
    demo.Act.VILLAGE: ("正在启动村庄...", "starting the village..."),
    demo.Act.EVENING: ("晚上: 503报警, 602胁迫报警...", "evening: 503 presses panic, 602 duress..."),
    demo.Act.NIGHT: ("夜里: 两名保安巡逻...", "night: two guards walk their round..."),
}

KEYS: Final = {"p": Kind.PANIC, "h": Kind.HELP, "m": Kind.MEDICAL, "f": Kind.FIRE, "d": Kind.DURESS}
DIGITS: Final = "1234567890"
HELP: Final = {
    "zh": "1-0 选住户  p 紧急报警  h 一般求助  m 医疗求助  f 火警  d 胁迫报警(无声)  c 撤销  w 马上去  "
    "a 派出所签收  t 巡更打卡  r 夜巡  k 网关断电重启  q 退出",
    "en": "1-0 household  p panic  h help  m medical  f fire  d duress (silent)  c cancel  w coming at once  "
    "a police acknowledge  t check-in  r night round  k power-cut the gateway  q quit",
}
ROLES: Final = {"police": ("派出所", "police"), "community": ("社区", "community"), "grid": ("网格员", "grid worker")}


def name_of(audience: str, *, zh: bool) -> str:
    """An audience as people call it."""
    role, _, id_ = audience.partition(":")
    words = ROLES.get(role)
    return id_ if words is None else f"{words[0] if zh else words[1]} {id_}".strip()


def word_of(name: str, *, zh: bool) -> str:
    """A kind or an update as people read it."""
    if name in {*Kind}:
        words = KIND_WORDS[Kind(name)]
    elif name in {*UpdateState}:
        words = UPDATE_WORDS[UpdateState(name)]
    else:
        return name
    return words.zh if zh else words.en


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """A closed window (SIGHUP) and SIGTERM end what runs inside as Ctrl-C does; while it ends, nothing interrupts."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def end(_number: int, _frame: object) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def pattern_of(pattern: str, *, zh: bool) -> str:
    """A siren's pattern, as neighbours name the kind."""
    if pattern == Kind.HELP:
        return NEIGHBOUR_HELP.zh if zh else NEIGHBOUR_HELP.en
    return word_of(pattern, zh=zh)


def lamp_of(lamp: str, *, zh: bool) -> Text:
    """What a lamp says, in its colour."""
    state = LAMPS.get(lamp)
    if state is None:
        return Text("")
    words = LADDER_WORDS[state]
    return Text(words.zh if zh else words.en, style=LAMP_STYLES[state])


def show_verdict(verdict: Verdict, *, language: Language) -> None:
    """Print who learned what and when, what lamps and sirens did, and what was wrong."""
    zh = language == "zh"
    console = Console()
    messages = Table(
        "对象" if zh else "audience", "得知的内容" if zh else "what arrived", title="消息" if zh else "messages"
    )
    for audience, rows in verdict.audiences.items():
        told = [
            f"{word_of(row['alarm'], zh=zh)} {row['door']} (+{row['ms']} ms)"
            if "alarm" in row
            else f"{word_of(row['of'], zh=zh)}: {word_of(row['update'], zh=zh)}"
            for row in rows
        ]
        messages.add_row(name_of(audience, zh=zh), "\n".join(told) or "-")
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
        lamps = " > ".join(lamp_of(lamp, zh=zh).plain for lamp in seen["lamps"])
        siren = " ".join(pattern_of(pattern, zh=zh) for pattern in seen["siren"])
        units.add_row(unit, lamps or "-", siren or "-", doors or "-", str(seen["ms"] or "-"))
    console.print(messages, units, *night_tables(verdict.patrol, zh=zh))
    if verdict.ok:
        console.print(
            "每一方都得知了应知的,且仅此而已;夜巡的评定与实际行走一致"
            if zh
            else "everybody learned what they may, and nothing else; the night was judged as it was walked",
            style="green",
        )
    for problem in verdict.problems:
        console.print(problem, style="red", soft_wrap=True)


@contextmanager
def playing(*, language: Language) -> Iterator[Callable[[demo.Act], None]]:
    """Yields what shows on a terminal which act is played; elsewhere nothing is shown."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _act: None
        return
    with console.status("") as status:
        yield lambda act: status.update(ACT_WORDS[act][0 if language == "zh" else 1])


def night_tables(patrol: Mapping[str, Any], *, zh: bool) -> list[Table]:
    """The round of the night: each visit, the points with their reasons, and the look-up."""
    language = "zh" if zh else "en"
    columns = ("保安|guard", "巡查点|checkpoint", "计划|planned", "准时截止|due", "打卡|read", "结果|outcome")
    visits = _table("夜巡|night round", *columns, zh=zh)
    for one in patrol["rounds"]:
        for visit in one["visits"]:
            visits.add_row(
                " ".join(who["name"] for who in one["guards"]),
                visit["point_name"],
                civil(visit["planned"]),
                civil(visit["due"]),
                civil(visit["at"]) if visit["at"] else "-",
                Text(outcome_of(visit, zh=zh), style=OUTCOME_STYLES.get(visit["outcome"], "")),
            )
    points = _table("积分|points", "保安|guard", "规则|rule", "分值|points", "理由|reason", "状态|state", zh=zh)
    for entry in patrol["points"]:
        reason, state = entry["reason"][language], entry["state_words"][language]
        points.add_row(entry["name"], entry["rule"], f"{entry['points']:+g}", reason, state)
    for flag in patrol["flags"]:
        worth = f"{'核实后' if zh else 'if confirmed '}{flag['points_if_confirmed']:+g}"
        points.add_row(flag["name"], flag["rule"], worth, flag["reason"][language], flag["state_words"][language])
    asked = patrol["look_up"]
    window = f"{asked['point_name']} {civil(asked['begins'])}-{civil(asked['ends'])}"
    found = _table(
        f"轨迹反查 {window}|who was at {window}", "保安|guard", "答复|answer", "何时|when", "依据|because", zh=zh
    )
    for one in asked["findings"]:
        words, because = one["answer_words"][language], one["because_words"][language]
        when = dict.fromkeys((civil(one["earliest"]), civil(one["latest"])))
        found.add_row(one["name"], words, "-".join(when), because)
    return [visits, points, found]


def _table(title: str, *columns: str, zh: bool) -> Table:
    """A table whose words stand as `Chinese|English`."""
    words = [one.split("|")[0 if zh else 1] for one in (title, *columns)]
    return Table(*words[1:], title=words[0])


def civil(moment: str) -> str:
    """A moment as a clock there shows it."""
    return datetime.fromisoformat(moment).astimezone(night.ZONE).strftime("%H:%M:%S")


def outcome_of(visit: Mapping[str, Any], *, zh: bool) -> str:
    """What became of a visit, with what makes it so."""
    word = str(visit["outcome_words"]["zh" if zh else "en"])
    match visit["outcome"]:
        case "late" | "early":
            return f"{word} {abs(visit['off_s']) // 60} min"
        case "missed" if visit["told"]:
            return f"{word} ({civil(visit['told'])} {'发现' if zh else 'found out'})"
        case "too_fast":
            took, least = visit["leg_s"], visit["leg_least_s"]
            return f"{word}: {took} s ({f'至少需 {least} s' if zh else f'nobody in less than {least} s'})"
    return word


@dataclass(slots=True)
class Scene:
    """What the screen knows."""

    zh: bool
    chosen: int = 2
    labels: dict[str, str] = field(default_factory=dict)
    lamps: dict[str, str] = field(default_factory=dict)
    sirens: dict[str, str] = field(default_factory=dict)
    told: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """What each audience was told: by alarm its words, and what became of it; the latest last."""
    lines: list[str] = field(default_factory=list)
    pressed_s: dict[str, float] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def say(self, zh: str, en: str) -> str:
        """The one in the language of the screen."""
        return zh if self.zh else en

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
                stand_back = f" {word_of('stand_back', zh=self.zh)}" if event["stand_back"] else ""
                self.sirens[unit] = f"{pattern_of(str(event['pattern']), zh=self.zh)} {doors}{stand_back}"
            case "siren_stopped":
                self.sirens.pop(unit, None)
            case "pressed":
                self.pressed_s[unit] = float(event["at_ns"]) / 1e9
                self.tell(f"{unit} {self.say('按下', 'pressed')} {word_of(event['key'], zh=self.zh)}")
            case "confirmed" if event.get("key"):
                late = round((float(event["at_ns"]) / 1e9 - self.pressed_s.get(unit, 0)) * 1_000)
                self.tell(f"{unit} {self.say('已落盘确认', 'confirmed: kept on disk')} +{late} ms")
            case "refused":
                self.tell(str(event.get("why")))

    def look(self, witnesses: Witnesses) -> None:
        """What has arrived at the broker's other side since the last look."""
        for audience, arrivals in witnesses.everything().items():
            for arrival in arrivals[self.seen.get(audience, 0) :]:
                body = arrival.body
                word = str(body.get("word_zh" if self.zh else "word_en", ""))
                told, late = self.told.setdefault(audience, {}), ""
                if body.get("type") == "update":
                    alarm, _ = told.pop(str(body.get("alarm")), ("", ""))
                    told[str(body.get("alarm"))] = (alarm, word)
                else:
                    since = self.pressed_s.get(str(body.get("unit")), 0.0)
                    late = f" +{round((arrival.at_s - since) * 1_000)} ms" if since else ""
                    told[str(body.get("id"))] = (f"{word} {body.get('door') or ''}".strip(), "")
                if audience == "police":
                    what = f"{word} {body.get('label') or ''}".strip()
                    self.tell(f"{name_of(audience, zh=self.zh)}: {what}{late}")
            self.seen[audience] = len(arrivals)

    def picture(self, height: int) -> Group:
        """The screen, for a terminal of so many lines."""
        table = Table(expand=True, box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        table.add_column("", width=2, no_wrap=True)
        for title, ratio in ((("住户", "household"), 4), (("指示灯", "lamp"), 4), (("警号", "siren"), 4)):
            table.add_column(self.say(*title), ratio=ratio, no_wrap=True, overflow="ellipsis")
        table.add_column(self.say("得知", "was told"), ratio=6, no_wrap=True, overflow="ellipsis")
        for number, (household, unit) in enumerate(zip(demo.HOUSEHOLDS, demo.UNITS, strict=True)):
            chosen = number == self.chosen
            style = "bold cyan" if chosen else ""
            table.add_row(
                Text(f"{'>' if chosen else ' '}{DIGITS[number]}", style=style),
                Text(self.labels.get(household, household), style=style),
                lamp_of(self.lamps.get(unit, ""), zh=self.zh),
                Text(self.sirens.get(unit, ""), style="bold red"),
                self._told(f"household:{household}"),
            )
        for audience in ("grid:w1", "community:c1", "police"):
            table.add_row("", Text(name_of(audience, zh=self.zh), style="bold"), "", "", self._told(audience))
        shown = max(1, height - CHROME_LINES)
        events = Text("\n".join(self.lines[-shown:]) or " ", no_wrap=True, overflow="ellipsis")
        keys = Text(HELP["zh" if self.zh else "en"], style="dim")
        return Group(table, Panel(events, title=self.say("守望", "Shouwang"), padding=(0, 1)), keys)

    def _told(self, audience: str) -> str:
        latest = next(reversed(self.told.get(audience, {}).values()), ())
        return " · ".join(words for words in latest if words)


def live(site_path: Path, folder: Path, *, language: Language) -> None:
    """Show the village until somebody presses q or Ctrl-C."""
    scene = Scene(zh=language == "zh")
    console = Console()
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        with console.status(scene.say(*ACT_WORDS[demo.Act.VILLAGE])):
            box, units, witnesses, dial = stack.enter_context(demo.village(site_path, folder))
        scene.labels = {household.id: household.label or household.id for household in box.site.households}
        for event in list(units.events):
            scene.unit_said(event)
        units.listen(scene.unit_said)
        hands = Hands(scene, box, units, dial)
        with _keys(), Live(console=console, screen=True, auto_refresh=False) as screen:
            while hands.obey(_key()):
                scene.look(witnesses)
                screen.update(scene.picture(console.height), refresh=True)


class Hands:
    """Does what keys stand for. What takes time is done aside, one such thing at a time."""

    def __init__(self, scene: Scene, box: Box, units: Village, dial: Dial) -> None:
        """Nothing is pressed yet."""
        self._scene = scene
        self._box = box
        self._units = units
        self._dial = dial
        self._walked = False
        self._aside: threading.Thread | None = None

    def obey(self, keys: str) -> bool:
        """Do what these keys stand for; False when it is time to go."""
        for key in keys:
            if key == "q":
                return False
            self._try(partial(self._do, key))
        return True

    def _do(self, key: str) -> None:
        unit = demo.UNITS[self._scene.chosen]
        match key:
            case "c":
                self._units.do("cancel", unit=unit)
            case "w":
                self._units.do("answer", unit=unit, answer="going")
            case "t":
                self._do_aside(self._check_in)
            case "a":
                self._do_aside(self._acknowledge)
            case "r":
                self._do_aside(self._walk)
            case "k":
                self._do_aside(self._power_cut)
            case _ if key in KEYS:
                self._units.do("press", unit=unit, key=KEYS[key].value, hold_ms=300)
            case _ if key in DIGITS:
                self._scene.chosen = DIGITS.index(key)
            case _:
                pass

    def _do_aside(self, work: Callable[[], None]) -> None:
        if self._aside is not None and self._aside.is_alive():
            self._scene.tell(self._scene.say("请稍候", "one moment"))
            return
        self._aside = threading.Thread(target=self._try, args=(work,), daemon=True)
        self._aside.start()

    def _try(self, work: Callable[[], None]) -> None:
        """Do it; what goes wrong is told on the screen, in one line."""
        try:
            work()
        except (BoxError, OSError) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
            self._scene.tell(why.splitlines()[0])

    def _acknowledge(self) -> None:
        say = self._scene.say
        waiting = [alarm for alarm in self._box.get("/api/v1/alarms")["items"] if alarm["acknowledged"] is None]
        if not waiting:
            self._scene.tell(say("没有待签收的警情", "nothing waits to be acknowledged"))
        for alarm in waiting[:1]:
            self._box.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
            word = alarm["words"]["zh" if self._scene.zh else "en"]
            self._scene.tell(f"{say('值班台签收', 'the desk acknowledges')}: {word} {alarm['label'] or ''}")

    def _check_in(self) -> None:
        before = len(demo.check_ins(self._box))
        began = time.monotonic()
        self._units.do("tag", unit="gate", tag=demo.TAG)
        self._box.wait_until(
            lambda: len(demo.check_ins(self._box)) > before,
            self._scene.say("派出所收到打卡", "the station has the check-in"),
            timeout_s=demo.WAIT_S,
        )
        late = round((time.monotonic() - began) * 1_000)
        self._scene.tell(f"{self._scene.say('巡更打卡已入库', 'check-in is stored')}: {demo.TAG} +{late} ms")

    def _walk(self) -> None:
        """Let it be night, once: the round is walked, and the screen tells what the station makes of it."""
        scene, zh = self._scene, self._scene.zh
        if self._walked:
            scene.tell(scene.say("今夜已经巡过了", "this night's round was walked"))
            return
        self._walked = True
        scene.tell(
            scene.say("入夜: 网关和派出所的时钟拨快", "night falls: the clocks of gateway and station are put forward")
        )
        names, points = ({one.number: one.name for one in night.GUARDS}, {one.id: one.name for one in night.POINTS})

        def tell(step: night.Step, held: Held | None) -> None:
            at = civil(datetime.fromtimestamp(self._dial.now_ms() / 1_000, night.ZONE).isoformat())
            if held is None or step.guard is None or step.point is None:
                scene.tell(f"{at} {scene.say('派出所发现漏巡', 'the station finds a missed visit')}")
                return
            answer = scene.say("无应答", "no answer") if held.answered_ms is None else f"♪ +{held.answered_ms} ms"
            scene.tell(f"{at} {names[step.guard]} {points[step.point]} {answer}")

        judged = walker.judge(night.walk(self._box, self._units, self._dial, tell=tell), night.NIGHT)
        for one in judged.report["rounds"]:  # a line for each: a small terminal shows four
            who = " ".join(guard["name"] for guard in one["guards"])
            came = (f"{visit['point_name']} {outcome_of(visit, zh=zh)}" for visit in one["visits"])
            scene.tell(f"{who}: {' · '.join(came)}")
        for problem in judged.problems:
            scene.tell(problem)

    def _power_cut(self) -> None:
        gateway = self._box.processes[f"gateway-{self._box.site.gateways[0].id}"]
        gateway.kill()
        self._scene.tell(self._scene.say("网关断电", "the gateway has lost power"))
        self._box.start_gateway()
        self._scene.tell(self._scene.say("网关已重启", "the gateway is back"))


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
    """The keys that were pressed within REFRESH_S, or an empty text; `q` when the terminal is gone.

    Arrows and the like come as several bytes behind an escape, and are no keys of ours.
    """
    ready, _, _ = select.select([sys.stdin], [], [], REFRESH_S)
    if not ready:
        return ""
    typed = os.read(sys.stdin.fileno(), KEY_BYTES)
    if not typed:
        return "q"
    return "" if typed.startswith(ESCAPE) else typed.decode("ascii", "replace")
