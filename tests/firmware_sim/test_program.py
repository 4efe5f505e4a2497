"""The simulator as a real process on real pseudo-terminals, with the gateway's role of the link at the other end."""

import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from devices.commands import Lamp, Pattern, Siren
from devices.frames import FRAME_BYTES
from devices.line_link import LineLink, UnitKey
from devices.rdm6300 import Rdm6300
from devices.readings import ButtonPressed, CommandDone, Heartbeat, LinkReading, Numbered, TagSeen, UnitHello
from devices.timing import LineTiming
from firmware_sim.settings import LineKind, LineSettings, VillageSettings
from tests.firmware_sim.gateway_end import a_line

PATIENCE_S = 60
VILLAGE = VillageSettings(
    lines=(a_line(3, 19_200), LineSettings(name="gate", kind=LineKind.RDM6300)),
    heartbeat_s=0,
)


class Simulator:
    """The process: commands in, events out."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self._partial = b""

    def do(self, **command: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    @property
    def descriptor(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def read(self) -> bool:
        """Take what it has said; False at its end."""
        data = os.read(self.descriptor, 65_536)
        *lines, self._partial = (self._partial + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        return bool(data)

    def find(self, **wanted: object) -> list[dict[str, Any]]:
        return [event for event in self.events if wanted.items() <= event.items()]

    def wait(self, **wanted: object) -> dict[str, Any]:
        """Read until such an event has come."""
        until = time.monotonic() + PATIENCE_S
        while not self.find(**wanted):
            ready, _, _ = select.select([self.descriptor], [], [], max(until - time.monotonic(), 0))
            if not ready or not self.read():
                pytest.fail(f"{wanted} did not come, only {self.events}")
        return self.find(**wanted)[0]


class Gateway:
    """A descriptor and a LineLink: hears, rings everybody, answers."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.descriptor, termios.TCSANOW)
        line = VILLAGE.lines[0]
        self.counters = count(1)
        self.link = LineLink(
            units={unit.unit: UnitKey(unit.key) for unit in line.units},
            timing=LineTiming(line.baud, FRAME_BYTES),
            take_counter=lambda: next(self.counters),
            random_bytes=Random(1).randbytes,
        )
        self.readings: list[LinkReading] = []

    def turn(self, *, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        readings = self.link.receive_data(data, now_ns) + self.link.advance(now_ns)
        for reading in readings:
            self.readings.append(reading)
            if isinstance(reading, UnitHello | Heartbeat | CommandDone):
                self.counters = count(max(next(self.counters), reading.floor + 1))
            if isinstance(reading, ButtonPressed):
                siren = Siren(Pattern.PANIC, 3, 60, 7, (100 + reading.unit,))
                for unit in (1, 2, 3):
                    self.link.sound(unit=unit, siren=siren, now_ns=now_ns)
                self.link.set_lamp(unit=reading.unit, lamp=Lamp.KEPT)
            if isinstance(reading, Numbered):
                self.link.answer(unit=reading.unit, boot=reading.boot, number=reading.number)
        os.write(self.descriptor, self.link.data_to_send(time.monotonic_ns()))

    def serve(self, simulator: Simulator, **wanted: object) -> dict[str, Any]:
        """Keep the line going until the simulator has told such an event."""
        until = time.monotonic() + PATIENCE_S
        while not simulator.find(**wanted):
            due_ns = self.link.next_due()
            wait_s = 1.0 if due_ns is None else min(max(due_ns - time.monotonic_ns(), 0) / 1e9, 1.0)
            ready, _, _ = select.select([self.descriptor, simulator.descriptor], [], [], wait_s)
            if simulator.descriptor in ready:
                assert simulator.read()
            self.turn(data=os.read(self.descriptor, 4096) if self.descriptor in ready else b"")
            if time.monotonic() > until:
                pytest.fail(f"{wanted} did not come, only {simulator.events}")
        return simulator.find(**wanted)[0]


@contextmanager
def simulator(folder: Path, *options: str, settings: VillageSettings = VILLAGE) -> Iterator[Simulator]:
    file = folder / "village.json"
    file.write_text(settings.to_json())
    command = [sys.executable, "-m", "firmware_sim.program", str(file), "--ports", str(folder / "ports"), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Simulator(process)
        finally:
            process.kill()


@pytest.mark.proves("A1", "A2", "A5")
def test_a_press_on_a_real_port_rings_and_is_confirmed_by_the_units_themselves(tmp_path: Path) -> None:
    with simulator(tmp_path) as village:
        ports: Mapping[str, str] = village.wait(event="ready")["ports"]
        gateway = Gateway(ports["line1"])
        before_ns = time.time_ns()
        village.do(do="press", unit="u002", key="panic", id=1)
        confirmed = gateway.serve(village, event="confirmed", unit="u002", key="panic")
        for unit in ("u001", "u002", "u003"):
            siren = gateway.serve(village, event="siren", unit=unit)
            assert (siren["pattern"], siren["doors"], siren["line"]) == ("panic", [102], "line1")
        assert gateway.serve(village, event="lamp", unit="u002")["lamp"] == "kept"
        [done] = village.find(event="done", id=1)
        [pressed] = village.find(event="pressed", unit="u002")
        assert (done["do"], done["unit"], done["key"]) == ("press", "u002", "panic")
        assert before_ns <= done["at_ns"] < pressed["at_ns"] < confirmed["at_ns"] <= time.time_ns()
        os.close(gateway.descriptor)


def test_a_tag_reaches_the_port_of_its_reader(tmp_path: Path) -> None:
    with simulator(tmp_path) as village:
        descriptor = os.open(village.wait(event="ready")["ports"]["gate"], os.O_RDWR | os.O_NOCTTY)
        village.do(do="tag", unit="gate", tag="0062E3086C")
        codec = Rdm6300(known=("0062E3086C",))
        seen: list[TagSeen] = []
        while not seen:
            seen += codec.receive_data(os.read(descriptor, 100), time.monotonic_ns())
        assert seen == [TagSeen("0062E3086C")]
        os.close(descriptor)


@pytest.mark.proves("N14")
def test_a_plug_that_is_pulled_and_put_back_costs_nothing_but_time(tmp_path: Path) -> None:
    with simulator(tmp_path) as village:
        path = village.wait(event="ready")["ports"]["line1"]
        village.do(do="unplug", line="line1")
        village.wait(event="done", do="unplug")
        assert not Path(path).exists()
        village.do(do="press", unit="u001", key="fire")
        village.wait(event="pressed", unit="u001")
        village.do(do="plug", line="line1")
        village.wait(event="done", do="plug")
        gateway = Gateway(path)
        gateway.serve(village, event="confirmed", unit="u001", key="fire")
        os.close(gateway.descriptor)


def test_the_boot_number_goes_on_where_it_was_after_a_kill(tmp_path: Path) -> None:
    memory = str(tmp_path / "memory.json")
    for boot in (1, 2, 3):
        with simulator(tmp_path, "--memory", memory) as village:
            assert village.wait(event="powered_up", unit="u001")["boot"] == boot
            village.wait(event="ready")
    assert oct((tmp_path / "memory.json").stat().st_mode)[-3:] == "600"


def test_a_bad_command_is_refused_with_a_reason_and_the_village_goes_on(tmp_path: Path) -> None:
    with simulator(tmp_path, "--frames") as village:
        village.wait(event="ready")
        assert village.process.stdin is not None
        village.process.stdin.write(b"press the button\n\n")
        village.do(do="press", unit="u009", key="panic", id="a")
        village.do(do="unplug", line="line9", id="b")
        village.do(do="log", unit="u003", id="c")
        village.do(do="faults", line="line1", faults=[{"fault": "loss", "per_frame": 1}], id="d")
        assert "no unit 'u009'" in village.wait(event="refused", id="a")["why"]
        assert "line9" in village.wait(event="refused", id="b")["why"]
        assert "no JSON" in village.find(event="refused")[0]["why"]
        [entry, *_] = village.wait(event="done", id="c")["entries"]
        assert (entry["event"], entry["unit"], entry["boot"]) == ("powered_up", "u003", 1)
        village.wait(event="done", id="d")
        assert len(bytes.fromhex(village.wait(event="frame_sent")["data"])) == FRAME_BYTES


def test_units_do_not_wait_for_whoever_reads_the_events(tmp_path: Path) -> None:
    with simulator(tmp_path) as village:
        descriptor = os.open(village.wait(event="ready")["ports"]["gate"], os.O_RDWR | os.O_NOCTTY)
        for number in range(3000):
            village.do(do="log", unit="u003", id=number)  # a megabyte that nobody reads
        village.do(do="tag", unit="gate", tag="0062E3086C")
        assert os.read(descriptor, 1) == b"\x02"
        village.wait(event="done", id=2999)
        assert len(village.find(event="done", do="log")) == 3000
        os.close(descriptor)


def test_it_ends_when_nobody_reads_the_events_any_more(tmp_path: Path) -> None:
    with simulator(tmp_path) as village:
        village.wait(event="ready")
        assert village.process.stdout is not None
        village.process.stdout.close()
        village.do(do="test", unit="u003")
        assert village.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("way", ["quit", "end of input", "terminate"])
def test_it_ends_when_it_is_told_to_and_takes_its_ports_away(tmp_path: Path, way: str) -> None:
    with simulator(tmp_path, *(["--stay"] if way == "terminate" else [])) as village:
        ports = village.wait(event="ready")["ports"]
        assert village.process.stdin is not None
        if way == "quit":
            village.do(do="quit")
        else:
            village.process.stdin.close()
        if way == "terminate":
            village.process.send_signal(signal.SIGTERM)
        assert village.process.wait(PATIENCE_S) == 0
        assert not any(Path(path).exists() for path in ports.values())
        if way != "quit":
            village.process.stdin = None  # Popen would flush it once more


def test_it_attaches_to_a_port_that_exists(tmp_path: Path) -> None:
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    with simulator(tmp_path, "--attach", f"gate={os.ttyname(slave)}") as village:
        assert village.wait(event="ready")["ports"]["gate"] == os.ttyname(slave)
        village.do(do="tag", unit="gate", tag="0062E3086C")
        assert os.read(master, 1) == b"\x02"
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    ("options", "text", "why"),
    [
        ([], "nonsense", "this is no JSON"),
        (["--attach", "line9=/dev/null"], VILLAGE.to_json(), "--attach line9"),
        (["--attach", "gate=/dev/null"], VILLAGE.to_json(), "/dev/null"),
        (["--memory", "/dev/null/memory"], VILLAGE.to_json(), "Not a directory"),
    ],
)
def test_what_cannot_start_says_why_and_exits_with_2(tmp_path: Path, options: list[str], text: str, why: str) -> None:
    file = tmp_path / "village.json"
    file.write_text(text)
    command = [sys.executable, "-m", "firmware_sim.program", str(file), "--ports", str(tmp_path), *options]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 2
    assert why in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr


def test_a_memory_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text('{"u001": 17}')
    file = tmp_path / "village.json"
    file.write_text(VILLAGE.to_json())
    command = [sys.executable, "-m", "firmware_sim.program", str(file), "--ports", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--memory", str(tmp_path / "memory.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 2
    assert b"memory.json does not hold the units' memories" in ended.stderr
