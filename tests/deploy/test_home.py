"""One box, one button, one siren: the whole of examples/home.toml by the one command that runs it."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any, Self

import pytest

from deploy.mosquitto import free_port
from deploy.stage import example

BUTTON, SIREN = 17, 27
WITHIN_S = 60.0


@dataclass
class Home:
    """`shouwang box`, seen from outside."""

    process: subprocess.Popen[str]
    port: int
    state: Path
    token: str = ""
    told: SimpleQueue[str] = field(default_factory=SimpleQueue)
    said: list[str] = field(default_factory=list)

    def wait_for(self, words: str, *, times: int = 1) -> None:
        """Until it has said this so often. What it says is kept: programs are started in no promised order."""
        deadline = time.monotonic() + WITHIN_S
        while sum(words in line for line in self.said) < times:
            assert time.monotonic() < deadline, (words, self.said)
            with suppress(Empty):
                self.said.append(self.told.get(timeout=0.2))

    def alarms(self) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v1/alarms")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:  # noqa: S310 - our own address
            items: list[dict[str, Any]] = json.load(answer)["items"]
            return items

    def wait_for_alarms(self, count: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + WITHIN_S
        while len(alarms := self.alarms()) < count and time.monotonic() < deadline:
            time.sleep(0.05)  # there is nothing to wait on at somebody else's HTTP
        return alarms

    def child(self, name: str) -> int:
        """The process id of one of its programs."""
        for pid in self.children():
            if f"\0{name}\0" in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise AssertionError(f"there is no {name}")

    def children(self) -> list[int]:
        """The process ids of all of its programs."""
        lists = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in lists for pid in path.read_text().split()]


class Pins:
    """The mock pins' private socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(WITHIN_S)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def drive(self, pin: int, *, high: bool) -> None:
        self._socket.sendall(json.dumps({"pin": pin, "high": high}).encode() + b"\n")

    def seen(self) -> Any:
        return json.loads(self._file.readline())


def hear(errors: IO[str], told: SimpleQueue[str]) -> None:
    for line in errors:
        told.put(line)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    port = free_port()
    site = tmp_path / "home.toml"
    text = example("home.toml").read_text("utf-8")
    site.write_text(text.replace("[station]\n", f"[station]\nport = {port} # 8080 may be somebody's\n", 1), "utf-8")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "deploy.cli", "box", "--site", str(site), "--state", str(tmp_path / "box"),
            "--gpio", "mock",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    running = Home(process, port, tmp_path / "box")
    reading = Thread(target=hear, args=(process.stderr, running.told))
    reading.start()
    try:
        running.token = process.stdout.readline().removeprefix("owner: ").split()[0]
        for name in ("broker", "station", "gateway-box"):
            running.wait_for(f"{name}: started")
        yield running
    finally:
        process.terminate()
        try:
            process.wait(WITHIN_S)
        finally:
            process.kill()
            process.wait()
            reading.join()
            process.stdout.close()
            process.stderr.close()


@pytest.mark.proves("A2", "A4", "N5")
def test_a_wired_button_sounds_the_siren_and_reaches_the_station(home: Home) -> None:
    with Pins(home.state / "gateway-box" / "gpio.sock") as pins:
        pins.drive(BUTTON, high=False)
        assert pins.seen() == {"pin": SIREN, "high": True}
    [alarm] = home.wait_for_alarms(1)
    assert (alarm["kind"], alarm["place"], alarm["door"], alarm["label"]) == ("panic", "h1", 1, "一楼")
    assert (alarm["unit"], alarm["verified"], alarm["acknowledged"]) == ("button", True, None)


@pytest.mark.proves("N14", "F54")
def test_a_gateway_that_dies_is_started_again_and_takes_presses(home: Home) -> None:
    first = home.child("box")
    os.kill(first, signal.SIGKILL)
    home.wait_for("gateway-box: started", times=2)
    assert home.child("box") != first
    with Pins(home.state / "gateway-box" / "gpio.sock") as pins:
        pins.drive(BUTTON, high=False)
        assert pins.seen() == {"pin": SIREN, "high": True}
    assert [alarm["place"] for alarm in home.wait_for_alarms(1)] == ["h1"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv: nothing ends the programs of a killed box")
def test_a_box_that_is_killed_leaves_nothing_behind(home: Home) -> None:
    ends = [os.pidfd_open(pid) for pid in home.children()]
    assert len(ends) == 3
    home.process.kill()
    home.process.wait()
    for end in ends:
        assert select.select([end], [], [], WITHIN_S)[0]  # readable as soon as the process is gone
        os.close(end)


def test_a_box_that_is_told_to_stop_leaves_nothing_behind(home: Home) -> None:
    children = home.children()
    assert len(children) == 3  # broker, station, gateway
    home.process.terminate()
    assert home.process.wait(WITHIN_S) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
