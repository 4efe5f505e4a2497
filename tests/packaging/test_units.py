"""The files that systemd, udev and their kin read, judged by those, and services started as they say."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser, MissingSectionHeaderError
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import keys
from deploy.check import load

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
THRESHOLD = 30
"""Tenths of systemd's exposure, of which 100 is everything."""

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
"""prctl(2): what MemoryDenyWriteExecute= is, since Linux 6.3."""


def settings_of(unit: Path) -> dict[str, list[str]]:
    """Every setting of [Service], in order."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").partition("[Service]")[2].partition("\n[Install]")[0].splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.proves("N14")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_may_do_little(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_one_that_systemd_reads(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text(encoding="utf-8").replace("/usr/bin/shouwang", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="accounts and owners are made by root alone")
def test_an_account_and_its_folders_are_made_in_an_empty_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for command in (
        ["systemd-sysusers", f"--root={tmp_path}", str(PACKAGING / "sysusers.d" / "shouwang.conf")],
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(PACKAGING / "tmpfiles.d" / "shouwang.conf")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert re.search("^shouwang:.*(nologin|false)$", (tmp_path / "etc" / "passwd").read_text(), re.MULTILINE)
    for name in ("dialout", "gpio"):
        assert re.search(f"^{name}:.*:.*:shouwang$", (tmp_path / "etc" / "group").read_text(), re.MULTILINE)
    assert (tmp_path / "etc" / "shouwang" / "keys").stat().st_mode & 0o777 == 0o700


def test_drop_ins_have_the_sections_to_which_they_belong() -> None:
    for name, section in (("watchdog.conf", "Manager"), ("journald.conf", "Journal")):
        read = ConfigParser()
        try:
            read.read(PACKAGING / "conf" / name, encoding="utf-8")
        except MissingSectionHeaderError:  # pragma: no cover - the assertion says it better
            pytest.fail(f"{name} has no section")
        assert read.sections() == [section]


def test_no_watchdog_is_asked_to_count_further_than_the_chip_of_a_pi() -> None:
    """bcm2835_wdt: 20 bits of 1/65536 s. Kernels that refuse more arm nothing, and one stood still in a reboot."""
    read = ConfigParser()
    read.read(PACKAGING / "conf" / "watchdog.conf", encoding="utf-8")
    seconds = {name: int(value) for name, value in read["Manager"].items()}
    assert seconds.keys() == {"runtimewatchdogsec", "rebootwatchdogsec"}
    assert all(1 <= one <= (1 << 20) // 65_536 - 1 for one in seconds.values())


@contextmanager
def heard(folder: Path) -> Iterator[socket.socket]:
    """A service manager that only listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(folder / "notify"))
        notify.settimeout(60)
        yield notify


DENIED = f"""
import ctypes, os, sys
assert ctypes.CDLL(None).prctl({PR_SET_MDWE}, {REFUSE_EXEC_GAIN}, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts its arguments as a program that may not execute what it wrote."""


@pytest.mark.timeout(180)
@pytest.mark.proves("N14")
def test_the_gateway_of_the_unit_says_that_it_is_ready_and_feeds_the_watchdog(tmp_path: Path) -> None:
    """With its own ExecStart, without executable memory, below a manager that is only a socket."""
    unit = settings_of(PACKAGING / "systemd" / "shouwang-gateway.service")
    etc, state = tmp_path / "etc", tmp_path / "state"
    etc.mkdir()
    shutil.copyfile(ROOT / "examples" / "village.toml", etc / "site.toml")
    keys.provision(load(etc / "site.toml"), etc / "keys")
    [start] = unit["ExecStart"]
    for old, new in (
        ("/usr/bin/shouwang", f"{sys.executable} -m deploy.cli"),
        ("/etc/shouwang", str(etc)),
        ("/var/lib/shouwang", str(state)),
        ("${GATEWAY}", "gw1"),
    ):
        assert old in start
        start = start.replace(old, new)
    with heard(tmp_path) as notify:
        process = subprocess.Popen(
            [sys.executable, "-c", DENIED, *shlex.split(start)],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )
        try:
            said = [notify.recv(256).decode()]
            while "WATCHDOG=1" not in said:
                said.append(notify.recv(256).decode())
        finally:
            process.terminate()
            code = process.wait(60)
    assert said.index("READY=1") < said.index("WATCHDOG=1")
    assert code == 0
    assert (state / "gw1" / "journal.db").exists()


def test_what_the_programs_need_is_not_taken_from_them() -> None:
    """Seccomp cannot be tried without systemd: these are what our own code asks the kernel for."""
    for unit in UNITS:
        settings = settings_of(unit)
        assert "ProcSubset" not in settings  # /proc/sys/kernel/random/boot_id
        assert settings["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    gateway = settings_of(PACKAGING / "systemd" / "shouwang-gateway.service")
    assert "ProtectClock" not in gateway  # it takes adjtimex(2) away, by which a clock is known to be kept right
    assert "adjtimex clock_adjtime" in gateway["SystemCallFilter"]
    assert "PrivateDevices" not in gateway
    assert {one.split()[0] for one in gateway["DeviceAllow"]} >= {"char-ttyUSB", "char-ttyAMA", "char-gpiochip"}
