"""A village in real processes that may be hurt: broker, station, gateway, units, and witnesses of it all."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from broker.acl import Principal, acl_file
from deploy import check, children
from deploy.box import Box, BoxError, Running, Village
from deploy.mosquitto import free_port
from faults.audiences import DOORS
from faults.proxy import Proxy
from faults.sets import (
    Damaged,
    Evidence,
    Row,
    Verdict,
    confirmed,
    given_up,
    judge,
    open_deliveries,
    pressed,
    read_deliveries,
    read_inbox,
    read_journal,
    recall,
)
from faults.witnesses import Watch
from firmware_sim.settings import VillageSettings

ROOT = Path(__file__).parents[1]
LAUNCH = Path(__file__).with_name("launch.py")
SETTLE_S = 60.0
PAGE = 100

RenderAcl = Callable[[Iterable[Principal]], str]
Hung = Callable[[VillageSettings], VillageSettings]


class HurtBox(Box):
    """A box whose programs can be killed at a moment of one's choice, or start with a broken promise."""

    mutations: Mapping[str, str] = {}
    links: Mapping[str, Proxy] = {}
    """What stands between a program and the broker."""

    @staticmethod
    def begin(program: str, arguments: Sequence[str], said: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Start a file of ours; what it says goes to `said`."""
        return children.start(
            [sys.executable, program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
        )

    def broker_port(self, program: str) -> int:
        """The link's, where there is one."""
        return self.links[program].port if program in self.links else super().broker_port(program)

    def kill_file(self, name: str) -> Path:
        """What `launch.py` asks at every named point of this program."""
        return self.directory / f"{name}.kill"

    def _start(self, name: str, arguments: list[str], *, interfere: Sequence[str] = (), pipes: bool = False) -> Running:
        if pipes or interfere:  # the simulator; and whoever wants `shouwang --interfere` itself
            return super()._start(name, arguments, interfere=interfere, pipes=pipes)
        log = self.directory / f"{name}.log"
        mutation = self.mutations.get(name.partition("-")[0], "none")
        command = [str(self.kill_file(name)), mutation, *arguments]
        with log.open("ab") as said:
            log_from = said.tell()
            process = self.begin(str(LAUNCH), command, said)
        self.processes[name] = Running(name, process, log, log_from)
        return self.processes[name]


class Town:
    """One village with everything that happened in it."""

    def __init__(self, box: HurtBox, village: Village, witnesses: Watch) -> None:
        self.box = box
        self.village = village
        self.witnesses = witnesses
        self._judged: set[str] = set()
        self._noted: dict[str, Row] = {}
        """What the journal said of its rows whenever it was looked at: on a full disk it lets go of words."""

    # Doing

    def press(self, unit: str, key: str = "panic", *, hold_ms: int = 200) -> str:
        """Press a key; return the message (`u03:1:7`) that the unit means to tell from now on."""
        return self._say("pressed", unit, lambda: self.village.do("press", unit=unit, key=key, hold_ms=hold_ms))

    def hold_tag(self, unit: str, tag: str) -> str:
        """Hold a tag to a unit; return the message."""
        return self._say("said", unit, lambda: self.village.do("tag", unit=unit, tag=tag), what="tag")

    def _say(self, event: str, unit: str, act: Callable[[], None], **also: str) -> str:
        before = len(self.village.events)
        act()
        found: list[str] = []

        def said() -> bool:
            found.extend(
                f"{unit}:{one['boot']}:{one['number']}"
                for one in self.village.events[before:]
                if one["event"] == event and one.get("unit") == unit and also.items() <= one.items()
            )
            return bool(found)

        self.box.wait_until(said, f"{unit} has something to say", timeout_s=60)
        return found[0]

    def wait_confirmed(self, *messages: str, timeout_s: float = SETTLE_S) -> None:
        """Wait until units were told that these are kept; none: everything that any unit said."""
        self.box.wait_until(
            lambda: (set(messages) or self._waiting_to_be_kept()) <= confirmed(self.village.events).keys(),
            f"{', '.join(messages) or 'everything'} is confirmed",
            timeout_s=timeout_s,
        )

    def _waiting_to_be_kept(self) -> set[str]:
        """Everything that any unit said and had room for."""
        return pressed(self.village.events).keys() - given_up(self.village.events)

    def wait_said(self, what: str, times: int) -> None:
        """Wait until the units have meant to say something so often."""
        self.box.wait_until(
            lambda: sum(one.what == what for one in pressed(self.village.events).values()) >= times,
            f"{what} was said {times} times",
            timeout_s=SETTLE_S,
        )

    def wait_greeted(self) -> None:
        """Wait until every unit has said hello and nothing is under way: what happens next is what the test does."""

        def greeted() -> bool:
            return {one.unit for one in pressed(self.village.events).values() if one.what == "hello"} == set(DOORS)

        self.box.wait_until(greeted, "every unit has said hello", timeout_s=60)
        self.settle()

    @contextmanager
    def killed(self, program: Running, *points: str, timeout_s: float = SETTLE_S) -> Iterator[None]:
        """Within, `program` is killed at one of these points; after it, it runs again as if nothing had been."""
        kill_file = self.box.kill_file(program.name)
        fresh = kill_file.with_suffix(".new")
        fresh.write_text("\n".join(points))
        fresh.replace(kill_file)
        try:
            yield
            code = program.wait_dead(timeout_s)
            assert code == -9, f"{program.name} ended with {code}: {program.tail()}"
        finally:
            kill_file.unlink()
        self.restart(program)

    def act_until_dead(self, program: Running, acts: Iterable[Callable[[], str]]) -> None:
        """Have one thing done after the other, each when the one before is confirmed, until `program` is dead."""
        for act in acts:
            if not program.alive:
                return
            message = act()
            self.box.wait_until(
                partial(self._dead_or_confirmed, program, message), f"{message} is confirmed", timeout_s=SETTLE_S
            )

    def _dead_or_confirmed(self, program: Running, message: str) -> bool:
        return not program.alive or message in confirmed(self.village.events)

    def restart(self, program: Running) -> None:
        """Start a program again, as systemd would."""
        if program.name == "station":
            self.box.start_station()
        else:
            self.box.start_gateway()

    @property
    def gateway(self) -> Running:
        """The gateway as it runs now."""
        return self.box.processes["gateway-gw1"]

    @property
    def station(self) -> Running:
        """The station as it runs now."""
        return self.box.processes["station"]

    # Looking

    @property
    def state(self) -> Path:
        """Where the gateway keeps what it keeps."""
        return self.box.gateway_state()

    @property
    def database(self) -> Path:
        """The station's tables."""
        return self.box.directory / "station" / "station.db"

    def evidence(self) -> Evidence:
        """All that can be found from outside, now.

        What was confirmed is looked up first and what was pressed last, and between them the road backwards: what
        happens meanwhile seems neither lost nor out of nowhere.
        """
        known = len(self.village.events)
        delivered = self.witnesses.delivered()
        inbox = read_inbox(self.database)
        alarms = list(self._alarms())
        journal = self._journal()
        noted = {row.message for row in journal if row.message is not None}
        with contextlib.suppress(BoxError):  # a diary is read by a thread, which a busy machine keeps waiting
            self.box.wait_until(
                lambda: noted <= pressed(self.village.events).keys(), "diaries say what journals have", timeout_s=3
            )
        events = [
            event
            for number, event in enumerate(list(self.village.events))
            if number < known or event["event"] != "confirmed"
        ]
        return Evidence(events=events, journal=journal, inbox=inbox, alarms=alarms, delivered=delivered)

    def note_journal(self) -> None:
        """Keep in mind what the gateway's journal says now, where it can be read."""
        with contextlib.suppress(sqlite3.Error, Damaged, OSError):
            recall(read_journal(self.state), self._noted)

    def _journal(self) -> list[Row]:
        for _ in range(5):
            with contextlib.suppress(sqlite3.Error, Damaged, OSError):  # copied while it wrote
                return recall(read_journal(self.state), self._noted)
        try:
            return recall(read_journal(self.state), self._noted)
        except OSError as error:
            raise BoxError("gateway-gw1", f"its disk cannot be read: {error}") from error

    def _alarms(self) -> Iterator[str]:
        after = ""
        while True:
            page = self.box.get(f"/api/v1/alarms?limit={PAGE}{after}")
            yield from (alarm["id"] for alarm in page["items"])
            if page["next"] is None:
                return
            after = f"&after={page['next']}"

    def settle(self, *, timeout_s: float = SETTLE_S) -> None:
        """Wait until every unit was answered and the gateway owes nothing to anybody."""
        self.wait_confirmed(timeout_s=timeout_s)
        try:
            self.box.wait_until(lambda: not self.owed(), "the gateway has delivered everything", timeout_s=timeout_s)
        except BoxError as error:
            error.add_note(f"owed to: {Counter(self.owed())}")
            raise

    def verdict(self, *, timeout_s: float = SETTLE_S) -> Verdict:
        """The verdict on everything so far; of who should have learned, only what is new since the last verdict.

        It waits for what is still on its way to the witnesses and the sounders, and for nothing that may never be.
        """
        verdict = Verdict()

        def complete() -> bool:
            nonlocal verdict
            verdict = self._judge()
            return bool(verdict.wrong) or not verdict.missing

        with contextlib.suppress(BoxError):  # what is missing stands in the verdict
            self.box.wait_until(complete, "everybody learned", timeout_s=timeout_s)
        self._judged |= pressed(self.village.events).keys()
        return verdict

    def _judge(self) -> Verdict:
        verdict = judge(self.evidence())
        return replace(
            verdict,
            untold=[one for one in verdict.untold if one.partition(": ")[2] not in self._judged],
            unrung=[one for one in verdict.unrung if one.partition(": ")[2] not in self._judged],
        )

    def stored(self, event: str) -> list[Mapping[str, Any]]:
        """The bodies of the events of one type that the station has stored, in order."""
        return [row.body for row in read_inbox(self.database) if row.type == event]

    def owed(self) -> list[str]:
        """Whom the gateway still owes something, once for each event."""
        with contextlib.suppress(sqlite3.Error):  # copied while it wrote
            return open_deliveries(self.state)
        return ["unreadable"]

    def deliveries(self) -> list[tuple[int, str]]:
        """What is open in the gateway's journal: lane and target of each."""
        with contextlib.suppress(sqlite3.Error):  # copied while it wrote
            return read_deliveries(self.state)
        return [(0, "unreadable"), (0, "station")]

    def refused(self) -> Mapping[str, int]:
        """What the gateway says about itself: which of its messages were refused, by reason."""
        try:
            health = json.loads((self.state / "health.json").read_text())
        except FileNotFoundError:
            return {}
        refused: Mapping[str, int] = health["uplink"]["refused"]
        return refused

    # Waiting

    def wait_siren(self, unit: str, message: str) -> float:
        """Wait until `unit` sounds for a press; return how many seconds after the press that was."""
        press = pressed(self.village.events)[message]
        door = DOORS[press.unit]

        def sounds(event: Mapping[str, Any]) -> bool:
            after = event.get("unit") == unit and event["at_ns"] >= press.at_ns
            return after and door in event.get("doors", ())

        event = self.village.wait(sounds, timeout_s=60)
        return float(event["at_ns"] - press.at_ns) / 1e9

    def wait_quiet(self, *units: str) -> None:
        """Wait until the sounders of these units are silent."""

        def quiet() -> bool:
            last = {event["unit"]: event["event"] for event in list(self.village.events) if "siren" in event["event"]}
            return all(last.get(unit, "siren_stopped") == "siren_stopped" for unit in units)

        self.box.wait_until(quiet, f"{', '.join(units)} are silent", timeout_s=60)

    def wait_told(self, audience: str, message: str) -> float:
        """Wait until an audience got the alarm of a press; return how many seconds after the press that was."""
        press = pressed(self.village.events)[message]
        found: list[float] = []

        def told() -> bool:
            messages = {row.id: row.message for row in self._journal()}
            found.extend(
                one.at_s
                for one in self.witnesses.arrivals(audience)
                if one.body.get("type") == "alarm" and messages.get(one.body["id"]) == message
            )
            return bool(found)

        self.box.wait_until(told, f"{audience} is told of {message}", timeout_s=60)
        return found[0] - press.at_ns / 1e9

    def wait_seconds(self, seconds: float) -> None:
        """Let time pass: only where the time is what is tested."""
        until = time.monotonic() + seconds
        self.box.wait_until(lambda: time.monotonic() > until, "time passes", timeout_s=seconds + 1)


def hang_up(village: Village) -> None:
    """End the simulator and close its pipes."""
    village.running.stop()
    for pipe in (village.running.process.stdin, village.running.process.stdout):
        assert pipe is not None
        pipe.close()


@contextmanager
def town(
    folder: Path,
    *,
    baud: int = 115_200,
    heartbeat_s: float = 0,
    render_acl: RenderAcl = acl_file,
    mutations: Mapping[str, str] | None = None,
    gateway_state: Path | None = None,
    broker_state: Path | None = None,
    road_s: int | None = None,
    start: bool = True,
    hung: Hung = lambda settings: settings,
    more: str = "",
    clock: Path | None = None,
    links: bool = False,
    changed: Sequence[tuple[str, str]] = (),
    prepared: Callable[[Path, Path], object] = lambda _site, _keys: None,
) -> Iterator[Town]:
    """A town in `folder`, everything in it started. `gateway_state`, `broker_state`: where their disks are.

    `hung`: changes what hangs on the lines; the site file does not know of it.
    `more`: what the site file has beside the example's.
    `road_s`: so long without a receipt an alarm goes to the station by HTTP as well.
    `clock`: a file by which the clocks of station and gateway are put forward (`deploy.clock`).
    `changed`: what else stands otherwise in the site file than in the example.
    `prepared`: is given the site file and the folder of keys before anything is started.
    `links`: gateway and station reach the broker over links that can be hurt (`Town.links`).
    """
    http_port = free_port()
    site_path = folder / "village.toml"
    folder.mkdir(parents=True, exist_ok=True)
    text = (ROOT / "examples" / "village.toml").read_text()
    for old, new in (
        ("baud = 9600", f"baud = {baud}"),
        ("heartbeat_s = 60", "heartbeat_s = 60\nstatus_s = 5"),
        ('id = "desk"', 'id = "desk"\nrole = "duty_officer"'),
        ('"ports/', f'"{folder}/ports/'),
        *changed,
    ):
        assert old in text
        text = text.replace(old, new)
    text += more
    if road_s is not None:
        text += f'\n[road]\nurl = "http://127.0.0.1:{http_port}"\nafter_s = {road_s}\n'
    site_path.write_text(text)
    prepared(site_path, folder / "box" / "keys")
    with ExitStack() as stack:
        site = check.load(site_path)
        box = stack.enter_context(
            HurtBox(site, site_path, folder / "box", render_acl=render_acl, http_port=http_port, clock=clock)
        )
        box.mutations = mutations or {}
        if links:
            box.links = {
                program: stack.enter_context(Proxy(lambda: box.broker.port)) for program in ("station", "gateway-gw1")
            }
        if gateway_state is not None:
            (box.directory / "gateway-gw1").symlink_to(gateway_state)
        if broker_state is not None:
            (box.directory / "broker").symlink_to(broker_state)
        box.start_broker()
        village = box.start_village(heartbeat_s=heartbeat_s, hung=hung)
        stack.callback(hang_up, village)
        if start:
            box.start_station()
            box.start_gateway()
        witnesses = stack.enter_context(Watch(box))
        yield Town(box, village, witnesses)
