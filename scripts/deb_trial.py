"""`make deb-test`: install the package in a clean Debian, boot it with systemd, and use it as a technician would.

The root is debootstrap's smallest, kept as a tar below build/deb so that it is fetched once; the mirror is the one that
apt of this machine uses. systemd-nspawn boots it with a network of its own that has nothing but loopback, so that
nothing here can meet a broker or a station that runs on this machine. Needs root, debootstrap and systemd-container,
and says so with exit code 3; 1 when something is not as it should be; each line that is printed was looked at.
"""

import argparse
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from scripts import deb

MISSING: Final = 3
BOOT_S: Final = 60.0
WATCHDOG_S: Final = 45.0
"""WatchdogSec=20 of the unit, a start, and a machine that is busy."""
POLL_S: Final = 0.2
ROOTS: Final = deb.OUT / "roots"
INSIDE: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
}
SERVICES: Final = ("shouwang-gateway", "shouwang-station", "shouwang-rights")
SIM_UNIT: Final = "village"
NOT_IN_A_CONTAINER: Final = {"clock", "watchdog", "pins", "faults", "station"}
"""Lines of `shouwang doctor` that need a machine of its own; the last two are the first ones' faults."""
FAULTS_THERE: Final = "faults: pins_lost gpio, clock wall"

SETTING_UP: Final = """
set -e
sed -e 's/^private = true.*/port = 1883/' -e 's/^gpio = "mock".*//' -e 's#"ports/#"/run/village/#' \
    /usr/share/doc/shouwang/examples/village.toml > /etc/shouwang/site.toml
chown root:shouwang /etc/shouwang/site.toml && chmod 640 /etc/shouwang/site.toml
shouwang check /etc/shouwang/site.toml --json > /dev/null
shouwang keys /etc/shouwang/site.toml --json > /root/made.json
chown -R shouwang: /etc/shouwang/keys
echo GATEWAY=gw1 > /etc/shouwang/gateway.env
install -d -o mosquitto -g mosquitto -m 700 /etc/mosquitto/shouwang
cp /usr/share/doc/shouwang/examples/mosquitto.conf /etc/mosquitto/conf.d/shouwang.conf
"""
"""What docs/operations.md#a-box-in-minutes tells a technician to type; only that ports are simulated ones here."""


class Wrong(Exception):
    """What is not as it should be."""


class Clean:
    """A root with nothing but Debian, in a folder, and later a system that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self.boot_log = folder.parent / "boot.log"

    def changed(self, command: str, *, check: bool = True) -> str:
        """Run a line of shell in it while it does not run."""
        with _mounted(self.folder):
            return _run(["chroot", str(self.folder), "sh", "-c", command], check=check)

    def boot(self) -> float:
        """Start systemd in it as process 1; return after how many seconds it said that all is up."""
        began = time.monotonic()
        with self.boot_log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                [
                    "systemd-nspawn",
                    "--quiet",
                    "--directory",
                    str(self.folder),
                    "--boot",
                    "--register=no",
                    "--keep-unit",
                    "--private-network",
                    "--machine",
                    "shouwang-trial",
                    "--hostname",
                    "shouwang",
                    "--console=read-only",
                    "systemd.show_status=1",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        while time.monotonic() - began < BOOT_S:
            if self._nspawn.poll() is not None:
                raise Wrong(f"nothing booted: {self.boot_log.read_text(errors='replace')[-500:]}")
            found = children.read_text(encoding="ascii").split()
            if found:
                self._leader = int(found[0])
                if self.do("systemctl is-system-running", check=False).strip() in {"running", "degraded"}:
                    return time.monotonic() - began
            time.sleep(POLL_S)
        raise Wrong(f"not up within {BOOT_S:g} s: {self.boot_log.read_text(errors='replace')[-500:]}")

    def do(self, command: str, *, check: bool = True) -> str:
        """Run a line of shell in the running system, as root; what it prints."""
        enter = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        return _run([*enter, "sh", "-c", f"cd /root; {command}"], check=check)

    def property(self, unit: str, name: str) -> str:
        """What systemd says of a unit."""
        return self.do(f"systemctl show --property={name} --value {unit}").strip()

    def until(self, what: str, holds: Callable[[], bool], *, within_s: float) -> float:
        """Return after how many seconds it holds. Raises Wrong."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > within_s:
                raise Wrong(f"{what}: not within {within_s:g} s")
            time.sleep(POLL_S)
        return time.monotonic() - began

    def end(self) -> None:
        """End what runs in it."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            if self._leader:  # SIGRTMIN+4: power off
                os.kill(self._leader, signal.SIGRTMIN + 4)
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()


def _run(command: list[str], *, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=INSIDE, errors="replace")
    if check and done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise Wrong(f"{shlex.join(command[-1:])[:120]} ended with {done.returncode}: {last}")
    return done.stdout


@contextmanager
def _mounted(root: Path) -> Iterator[None]:
    """With /proc and the packages that were fetched before; and no service starts by being installed."""
    archives = deb.OUT / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    _run(["mount", "-t", "proc", "proc", str(root / "proc")])
    _run(["mount", "--bind", str(archives), str(root / "var/cache/apt/archives")])
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
        _run(["umount", str(root / "var/cache/apt/archives")])
        _run(["umount", str(root / "proc")])


def mirrors(release: str) -> list[str]:
    """Lines for sources.list, from what apt of this machine uses; of another release only the main archive."""
    form = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)"
    said = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines()
    here = dict.fromkeys(tuple(line.split("|")) for line in said if "|" in line)
    debian = [one for one in here if len(one) == 3 and one[2] == "main" and one[1].split("-")[0] in deb.RELEASES]
    if not debian:
        raise Wrong("apt of this machine names no Debian archive")
    own = [f"deb {uri} {name} main" for uri, name, _ in debian if name.split("-")[0] == release]
    main = min(debian, key=lambda one: len(one[1]))[0]
    return own or [f"deb {main} {release} main"]


def clean_root(release: str, folder: Path) -> None:
    """Unpack a clean root into `folder`; make it first where there is none yet."""
    kept = ROOTS / f"{release}.tar"
    if not kept.is_file():
        ROOTS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOTS) as temporary:
            made = Path(temporary) / "root"
            _run(["debootstrap", "--variant=minbase", release, str(made), mirrors(release)[0].split()[1]])
            part = kept.with_suffix(".part")
            _run(["tar", "--directory", str(made), "--create", "--file", str(part), "."])
            part.rename(kept)
    folder.mkdir(parents=True)
    _run(["tar", "--directory", str(folder), "--extract", "--file", str(kept)])
    (folder / "etc/apt/sources.list").write_text("\n".join(mirrors(release)) + "\n", encoding="utf-8")


def trial(target: deb.Target, package: Path, board: Path, folder: Path, tell: Callable[[str], None]) -> None:
    """Everything that is looked at, one after the other. Raises Wrong at the first that is not so."""

    def good(what: str) -> None:
        tell(f"  ok  {what}")

    clean = Clean(folder / "root")
    began = time.monotonic()
    clean_root(target.distribution, clean.folder)
    for path in (package, board):
        shutil.copy(path, clean.folder / "root" / path.name)
    ours = f"/root/{package.name} /root/{board.name}"
    # All that needs the mirror comes first: what boots later has no network.
    clean.changed("apt-get update -qq && apt-get install -qq -y --no-install-recommends systemd systemd-sysv udev dbus")
    clean.changed(f"apt-get install -qq -y --no-install-recommends --download-only {ours}")
    fetched = clean.folder / "var/cache/apt/archives"
    for path in (deb.OUT / "archives").glob("*.deb"):
        shutil.copy(path, fetched / path.name)
    good(f"a clean {target.distribution} ({time.monotonic() - began:.0f} s)")
    try:
        good(f"boots with systemd as process 1 ({clean.boot():.1f} s)")
        began = time.monotonic()
        clean.do(f"apt-get install -qq -y --no-install-recommends {ours}")
        size = clean.do("dpkg-query --show --showformat='${Installed-Size}' shouwang").strip()
        used = clean.do("du --summarize --block-size=1M /usr/lib/shouwang | cut -f 1").strip()
        good(
            f"installs in {time.monotonic() - began:.0f} s with what it depends on; "
            f"{package.stat().st_size / 1e6:.1f} MB, {int(size) / 1000:.0f} MB unpacked, "
            f"{used} MB with what Python compiled"
        )
        _untouched(clean)
        good("starts and enables nothing by itself; folders and account are there, and nobody else's")
        _board(clean, good)
        clean.do(f"dpkg --install {ours}")
        _untouched(clean)
        good("a second installation changes nothing")
        _refused(clean)
        good("without settings a service says so and does not start")
        _demo(clean, good)
        _services(clean, good)
        _doctor(clean, good)
        _upgraded(clean, ours)
        good("an upgrade starts what ran again with the new version, and keeps settings and journal")
        _power(clean, good)
        _removed(clean)
        good("removing and purging keep keys, journal and database; told to, purging takes them")
    finally:
        clean.end()


def _untouched(clean: Clean) -> None:
    for unit in SERVICES:
        state = clean.property(unit, "ActiveState"), clean.property(unit, "UnitFileState")
        if state != ("inactive", "disabled"):
            raise Wrong(f"{unit} is {state}")
    said = clean.do(
        "stat --format='%n %a %U:%G' /etc/shouwang /etc/shouwang/keys /var/lib/shouwang /etc/shouwang/station.env"
    ).split("\n")
    wanted = [
        "/etc/shouwang 750 root:shouwang",
        "/etc/shouwang/keys 700 shouwang:shouwang",
        "/var/lib/shouwang 700 shouwang:shouwang",
        "/etc/shouwang/station.env 600 root:root",
    ]
    if said[:-1] != wanted:
        raise Wrong(f"folders: {said}")
    conffiles = clean.do("dpkg-query --show --showformat='${Conffiles}' shouwang")
    if "/etc/shouwang/station.env" not in conffiles:
        raise Wrong(f"conffiles: {conffiles}")


def _board(clean: Clean, good: Callable[[str], None]) -> None:
    """What systemd and udev make of what was installed for them. A container has neither chip nor adapters."""
    clean.do("systemctl daemon-reexec && systemctl restart systemd-journald")
    for name in ("RuntimeWatchdogUSec", "RebootWatchdogUSec"):
        if (said := clean.do(f"systemctl show --property={name} --value").strip()) != "15s":
            raise Wrong(f"{name} is {said}")
    clean.do("logger --tag shouwang-trial where-am-i; journalctl --sync")
    kept = clean.do("journalctl --directory=/var/log/journal --identifier=shouwang-trial --quiet", check=False)
    here = clean.do("journalctl --directory=/run/log/journal --identifier=shouwang-trial --quiet", check=False)
    if "where-am-i" not in here or "where-am-i" in kept:
        raise Wrong(f"logs are not in memory alone: {here!r}, {kept!r}")
    good("systemd has the watchdog's 15 s, for running and for reboots, and keeps logs in memory")
    if "verify" in clean.do("udevadm --help"):  # systemd 254
        clean.do("udevadm verify /usr/lib/udev/rules.d/60-shouwang.rules")
        good("`udevadm verify` finds nothing in the rules")
    for unit in SERVICES:
        clean.do(f"systemd-analyze security --offline=true --threshold=30 /usr/lib/systemd/system/{unit}.service")
    good("`systemd-analyze security --threshold=30` passes for what is installed")


def _refused(clean: Clean) -> None:
    if clean.do("systemctl start shouwang-gateway 2>&1 || echo refused").strip()[-7:] != "refused":
        raise Wrong("a gateway without settings started")
    clean.do("systemctl reset-failed")


def _demo(clean: Clean, good: Callable[[str], None]) -> None:
    began = time.monotonic()
    clean.do("shouwang --help")
    help_s = time.monotonic() - began
    began = time.monotonic()
    verdict = json.loads(clean.do("runuser -u nobody -- env HOME=/nonexistent shouwang demo --once --json"))
    if not verdict["ok"]:
        raise Wrong(f"shouwang demo --once: {json.dumps(verdict, ensure_ascii=False)[-800:]}")
    took_s = time.monotonic() - began
    good(f"`shouwang demo --once` passes as nobody ({took_s:.1f} s; `shouwang --help` {help_s:.2f} s)")


def _services(clean: Clean, good: Callable[[str], None]) -> None:
    clean.do(SETTING_UP)
    clean.do(
        "install -d -o shouwang /run/village && runuser -u shouwang mkfifo /run/village/do && "
        f"systemd-run --quiet --unit={SIM_UNIT} --uid=shouwang "
        "sh -c 'exec 3<>/run/village/do; "
        "shouwang sim --site /etc/shouwang/site.toml --id gw1 --keys /etc/shouwang/keys "
        + " ".join(f"--port {line}=/run/village/{line}" for line in ("line1", "gate", "west", "garage"))
        + " <&3 > /run/village/diary'"
    )
    diary = partial(clean.do, "cat /run/village/diary", check=False)
    clean.until("the simulated village", lambda: "ready" in diary(), within_s=30)
    for unit in ("shouwang-station", "shouwang-rights"):
        began = time.monotonic()
        clean.do(f"systemctl enable --now {unit}")
        good(f"`systemctl enable --now {unit}` ({time.monotonic() - began:.1f} s)")
    rights = partial(clean.do, "ls /etc/mosquitto/shouwang")
    clean.until("rights for mosquitto", lambda: rights().split() == ["acl", "passwords"], within_s=60)
    clean.do("systemctl restart mosquitto")
    began = time.monotonic()
    clean.do("systemctl enable --now shouwang-gateway")  # Type=notify: returns when it says that it is ready
    good(f"`systemctl enable --now shouwang-gateway` returns when it is ready ({time.monotonic() - began:.1f} s)")
    clean.until("the station at its broker", lambda: _is_connected(clean), within_s=60)
    for unit in ("shouwang-gateway", "shouwang-station"):
        memory = int(clean.property(unit, "MemoryCurrent").replace("[not set]", "0") or 0)
        rss = clean.do(f"grep VmRSS /proc/$(systemctl show --property=MainPID --value {unit})/status").split()[1]
        good(f"{unit}: {int(rss) // 1024} MiB resident" + (f", {memory >> 20} MiB in its group" if memory else ""))
    if "shouwang-gateway" not in clean.do("journalctl --unit=shouwang-gateway --no-pager --output=short"):
        raise Wrong("the gateway's log is not in the journal")
    _pressed(clean, "h03", good)


def _doctor(clean: Clean, good: Callable[[str], None]) -> None:
    for who in ("--id gw1", ""):
        said = clean.do(f"shouwang doctor /etc/shouwang/site.toml {who} --json", check=False)
        unwell = {one["what"]: one["words"]["en"] for one in json.loads(said) if one["state"] != "good"}
        if not unwell.keys() <= NOT_IN_A_CONTAINER or unwell.get("faults", FAULTS_THERE) != FAULTS_THERE:
            raise Wrong(f"shouwang doctor {who}: {unwell}")
    good("`shouwang doctor` is green but for what a container has not (clock, chip, pins), and nobody else listens")


def _python(clean: Clean, program: str) -> str:
    """Have the package's own Python run a program in there."""
    return clean.do(f"/usr/lib/shouwang/bin/python3 - <<'END' 2>/dev/null\n{program}\nEND\n", check=False).strip()


def _is_connected(clean: Clean) -> bool:
    url = "http://127.0.0.1:8080/healthz"
    said = _python(clean, f"import urllib.request\nprint(urllib.request.urlopen({url!r}).read().decode())")
    return said.startswith("{") and json.loads(said)["broker"]["connected"] is True


def _stored(clean: Clean) -> int:
    database = "file:/var/lib/shouwang/station/station.db?mode=ro"
    count = "SELECT count(*) FROM alarm"
    connect = f"sqlite3.connect({database!r}, uri=True)"
    return int(_python(clean, f"import sqlite3\nprint({connect}.execute({count!r}).fetchone()[0])") or 0)


def _pressed(clean: Clean, what: str, good: Callable[[str], None]) -> None:
    before = _stored(clean)
    began = time.monotonic()
    clean.do('echo \'{"do": "press", "unit": "u03", "key": "panic"}\' > /run/village/do')
    clean.until(f"the press of {what} at the station", lambda: _stored(clean) > before, within_s=30)
    took_s = time.monotonic() - began
    good(f"a key is pressed and the station has the alarm ({took_s:.1f} s, looked at every {POLL_S} s)")


def _upgraded(clean: Clean, ours: str) -> None:
    before = {unit: clean.property(unit, "MainPID") for unit in SERVICES}
    head = clean.do("find /etc/shouwang -type f | sort | xargs sha256sum")
    clean.do(f"dpkg --install {ours}")
    for unit, pid in before.items():
        clean.until(f"a new {unit} after the upgrade", partial(_runs_anew, clean, unit, pid), within_s=60)
    if clean.do("find /etc/shouwang -type f | sort | xargs sha256sum") != head:
        raise Wrong("the upgrade changed settings or keys")


def _power(clean: Clean, good: Callable[[str], None]) -> None:
    unit = "shouwang-gateway"
    pid = clean.property(unit, "MainPID")
    clean.do(f"kill -KILL {pid}")
    took = clean.until("a gateway after SIGKILL", lambda: _runs_anew(clean, unit, pid), within_s=30)
    good(f"killed, it is ready again ({took:.1f} s)")
    pid = clean.property(unit, "MainPID")
    clean.do(f"kill -STOP {pid}")
    took = clean.until("a gateway that stood still", lambda: _runs_anew(clean, unit, pid), within_s=WATCHDOG_S)
    log = clean.do(f"journalctl --unit={unit} --no-pager --output=cat")
    if "Watchdog timeout" not in log and "watchdog" not in log.lower():
        raise Wrong("it was started anew, and not by its watchdog")
    good(f"stopped in its tracks (SIGSTOP), the watchdog kills it and it is ready again ({took:.1f} s)")


def _runs_anew(clean: Clean, unit: str, pid: str) -> bool:
    return clean.property(unit, "MainPID") not in {pid, "0"} and clean.property(unit, "ActiveState") == "active"


def _removed(clean: Clean) -> None:
    clean.do("apt-get remove -qq -y shouwang shouwang-board")
    for unit in SERVICES:
        if clean.property(unit, "ActiveState") == "active":
            raise Wrong(f"{unit} runs although it was removed")
    if clean.do("find /usr/lib/shouwang 2>/dev/null | head -3", check=False):
        raise Wrong("something stays in /usr/lib/shouwang")
    clean.do("dpkg --purge shouwang")
    kept = ("/etc/shouwang/keys/station", "/var/lib/shouwang/gw1/journal.db", "/var/lib/shouwang/station/station.db")
    for path in kept:
        clean.do(f"test -e {path}")
    clean.do("dpkg --install /root/shouwang_*.deb && SHOUWANG_PURGE_DATA=yes dpkg --purge shouwang")
    if clean.do("ls -d /etc/shouwang /var/lib/shouwang 2>/dev/null", check=False):
        raise Wrong("purging did not take the data though it was told")


def machine() -> str:
    """On what this ran, for whoever reads the figures."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} x {model}, Linux {platform.release()}"


def main() -> int:
    """Try the package of each distribution that was asked for."""
    asks = argparse.ArgumentParser(prog="make deb-test")
    asks.add_argument("--only", action="append", choices=sorted(deb.RELEASES), help="default: both")
    asks.add_argument("--keep", action="store_true", help="leave the root, to look at it")
    asked = asks.parse_args()
    missing = [tool for tool in ("debootstrap", "systemd-nspawn", "nsenter", "apt-get") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        why = f"not here: {', '.join(missing)} (apt-get install debootstrap systemd-container)"
        why = why if missing else "only root may do this"
        print(f"deb-test: NOTHING WAS TRIED: {why}", file=sys.stderr)
        return MISSING
    print(f"deb-test: {machine()}", flush=True)
    failed = 0
    for target in deb.TARGETS:
        if target.architecture != "amd64" or (asked.only and target.distribution not in asked.only):
            continue
        folder = Path(tempfile.mkdtemp(prefix=f"trial-{target.distribution}-", dir=deb.OUT))
        try:
            [package, board] = deb.build([target], deb.OUT)
            print(package.name, flush=True)
            trial(target, package, board, folder, lambda line: print(line, flush=True))
        except (Wrong, deb.NotBuilt) as error:
            failed = 1
            print(f"  NOT {error}", flush=True)
        finally:
            if not asked.keep:
                shutil.rmtree(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())
