"""A whole site on this machine: broker, station, gateways and simulated units as processes of their own.

The demo, the tests of whole roads and the benchmark all run it. Every process is one that a user could start by
hand; this only starts, watches and ends them. State lies in one directory: keys, settings, journals, logs.

    BoxError            .process .log (its last lines)
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from broker.acl import Principal, acl_file
from deploy import access, accounts, assembly, children, keys
from deploy.handshakes import Handshakes, listener_files
from deploy.mosquitto import (
    LOOPBACK,
    BrokerError,
    Listener,
    MosquittoMissing,
    PrivateBroker,
    free_port,
    write_private,
)
from deploy.site import Site

if TYPE_CHECKING:
    from firmware_sim.settings import VillageSettings

READY_S: Final = 60.0
"""A station that makes its tables on a small board, or beside ten other programs, needs more than 20 s."""
STOP_S: Final = 8.0
POLL_S: Final = 0.01
RESTART_S: Final = 1.0
TAIL_LINES: Final = 12


class BoxError(Exception):
    """A process of the box did not do what it should. Fields: `process`, `log` (the last lines that it wrote)."""

    def __init__(self, process: str, why: str, log: str = "") -> None:
        self.process = process
        self.log = log
        super().__init__(f"{process}: {why}" + (f"\n{log}" if log else ""))


@dataclass(slots=True)
class Running:
    """One child process. Its standard error goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_from: int = 0
    """Where its own part of the log begins; before that are those that ran before it."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def said(self) -> str:
        """All that it wrote."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self.log_from)
            return log.read().decode(errors="replace")
        return ""

    def tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.said().splitlines()[-TAIL_LINES:])

    def stop(self) -> int:
        """End it in order, by force after STOP_S; return its exit code."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """End it as a crash would."""
        self.process.kill()
        return self.process.wait()

    def close(self) -> None:
        """Close the pipes of a process that has ended; whoever reads them has read their end."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def wait_dead(self, timeout_s: float) -> int:
        """Wait until it ends by itself; return its exit code. Raises BoxError when it does not."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise BoxError(self.name, f"was to end within {timeout_s:g} s and did not", self.tail()) from None


@dataclass(slots=True)
class Village:
    """The simulator: commands in, the units' own diaries out."""

    running: Running
    events: list[dict[str, Any]] = field(default_factory=list)
    _new: "queue.SimpleQueue[dict[str, Any]]" = field(default_factory=queue.SimpleQueue)
    _told: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)

    def read(self) -> None:
        """Read what it tells, until it ends (on a thread of its own)."""
        assert self.running.process.stdout is not None
        for line in self.running.process.stdout:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                self.events.append(event)
                self._new.put(event)
                for tell in self._told:
                    tell(event)

    def listen(self, tell: Callable[[dict[str, Any]], None]) -> None:
        """Call `tell` with every event from now on, on the reading thread."""
        self._told.append(tell)

    def do(self, do: str, **what: object) -> None:
        """Have something done to the village: `do("press", unit="u03", key="panic")`."""
        assert self.running.process.stdin is not None
        self.running.process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
        self.running.process.stdin.flush()

    def wait(self, wanted: Callable[[dict[str, Any]], bool], *, timeout_s: float) -> dict[str, Any]:
        """Return the first event, past or to come, that is wanted. Raises BoxError."""
        for event in list(self.events):
            if wanted(event):
                return event
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                event = self._new.get(timeout=min(left, 0.2))
                if wanted(event):
                    return event
            if not self.running.alive:
                break
        raise BoxError("sim", f"what was waited for did not happen within {timeout_s:g} s", self.running.tail())


class Box:
    """One site in one directory. A context manager: everything that was started is ended."""

    def __init__(
        self,
        site: Site,
        site_path: Path,
        directory: Path,
        *,
        render_acl: Callable[[Iterable[Principal]], str] = acl_file,
        http_port: int = 0,
        gpio: str | None = None,
        clock: Path | None = None,
    ) -> None:
        """Nothing runs yet; keys are made where they are missing. Raises KeysError.

        `http_port` 0 takes a free one; `gpio` replaces the pins that the site file asks for; `clock` is a file by which
        the clocks of station and gateways are put forward (`deploy.clock`).
        """
        self.site = site
        self.site_path = site_path.absolute()
        self.directory = directory.absolute()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        provisioned = keys.provision(site, self.directory / "keys")
        self.keys = provisioned.keys
        self.tokens = dict(provisioned.tokens)
        self.http_port = http_port or free_port()
        self._gpio = gpio
        self._clock = [] if clock is None else ["--clock", str(clock.absolute())]
        self.processes: dict[str, Running] = {}
        principals = assembly.principals(site, self.keys)
        self.broker = PrivateBroker(
            self.directory / "broker",
            principals,
            passwords={principal.user: password for principal, password in principals.items()},
            listener=self._listener(),
            render_acl=render_acl,
        )
        self._handshakes: Handshakes | None = None
        self._following = access.Following(self.directory / "station" / accounts.ACCESS_FILE, self.broker.renew)
        self._following.look()
        self._follows = False

    def __enter__(self) -> Self:
        """Nothing is started by entering."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End everything."""
        self._following.stop()
        if self._handshakes is not None:
            self._handshakes.stop()
        for running in reversed(self.processes.values()):
            running.stop()
            running.close()
        self.broker.stop()

    # Starting

    def start_broker(self) -> None:
        """Start the broker, and let it know what becomes of certificates."""
        self.broker.start()
        if self._handshakes is None and (tls := self._tls_folder()) is not None:
            self._handshakes = Handshakes(tls, reload=self.broker.reload, cut=self.broker.cut)
            self._handshakes.begin()
            self._handshakes.start()

    def _tls_folder(self) -> Path | None:
        """Where the files of the broker's door for certificates are; None: it has none."""
        if not self.site.broker.mutual or self.site.tls is None:
            return None
        return self.directory / "station" / self.site.tls.folder

    def _listener(self) -> Listener | None:
        folder, broker = self._tls_folder(), self.site.broker
        return None if folder is None else Listener(broker.listen or LOOPBACK, broker.port, listener_files(folder))

    def _broker_address(self, program: str) -> assembly.BrokerAddress | None:
        """Where a program finds the broker; None: where the site file says, by its certificate."""
        return None if self.site.broker.mutual else assembly.BrokerAddress(port=self.broker_port(program))

    def start_station(self, *, interfere: Sequence[str] = ()) -> Running:
        """Start the station and wait until it answers over HTTP."""
        settings = assembly.station_settings(
            self.site,
            self.keys,
            state=self._state("station"),
            broker=self._broker_address("station"),
            http_port=self.http_port,
        )
        path = self._state("station") / "settings.json"
        write_private(path, assembly.station_text(settings))
        if not self._follows:
            self._following.start()
            self._follows = True
        running = self._start("station", ["station", "--settings", str(path), *self._clock], interfere=interfere)
        self._wait(running, lambda: self._answers("/healthz"))
        return running

    def start_gateway(self, gateway: str | None = None, *, interfere: Sequence[str] = ()) -> Running:
        """Start a gateway (the first one of the site) and wait until it hears its lines."""
        name = gateway or self.site.gateways[0].id
        arguments = [
            "gateway", "--site", str(self.site_path), "--id", name, "--keys", str(self.directory / "keys"),
            "--state", str(self.gateway_state(name)), *self._clock,
        ]  # fmt: skip
        if (address := self._broker_address(f"gateway-{name}")) is not None:
            arguments += ["--broker-port", str(address.port)]
        if self._gpio is not None:
            arguments += ["--gpio", self._gpio, "--gpio-socket", str(self.gateway_state(name) / "gpio.sock")]
        running = self._start(f"gateway-{name}", arguments, interfere=interfere)
        self._wait(running, lambda: "gateway ready" in running.said())
        return running

    def start_village(
        self,
        gateway: str | None = None,
        *,
        heartbeat_s: float | None = None,
        seed: int = 1,
        hung: "Callable[[VillageSettings], VillageSettings]" = lambda settings: settings,
    ) -> Village:
        """Start the simulated units of a gateway on its ports. `hung` changes what hangs there."""
        name = gateway or self.site.gateways[0].id
        settings = assembly.village_settings(self.site, self.keys, name, heartbeat_s=heartbeat_s, seed=seed)
        path = self._state("village") / f"{name}.json"
        write_private(path, hung(settings).to_json())
        ports = assembly.ports(self.site, name, state=self.gateway_state(name))
        for port in ports.values():
            port.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["sim", "--settings", str(path), "--memory", str(self._state("village") / f"{name}.memory")]
        arguments += [item for line, port in ports.items() for item in ("--port", f"{line}={port}")]
        running = self._start(f"sim-{name}", arguments, pipes=True)
        village = Village(running)
        threading.Thread(target=village.read, name="village", daemon=True).start()
        village.wait(lambda event: event.get("event") == "ready", timeout_s=READY_S)
        return village

    def broker_port(self, program: str) -> int:  # noqa: ARG002 - whoever puts something between asks who it is for
        """Where a program (`station`, `gateway-ID`) finds the broker."""
        return self.broker.port

    def gateway_state(self, gateway: str | None = None) -> Path:
        """The state directory of a gateway."""
        return self._state(f"gateway-{gateway or self.site.gateways[0].id}")

    def keep_running(self, stop: threading.Event, told: Callable[[str], object]) -> None:
        """Start everything and start again whatever ends, until `stop` is set. `told` hears of each start.

        Raises MosquittoMissing: no restart mends that.
        """
        starts: dict[str, Callable[[], object]] = {"broker": self.start_broker, "station": self.start_station}
        starts |= {f"gateway-{gateway.id}": partial(self.start_gateway, gateway.id) for gateway in self.site.gateways}
        while not stop.is_set():
            for name, start in starts.items():
                if not self._lives(name) and not stop.is_set():
                    try:
                        start()
                    except MosquittoMissing:
                        raise
                    except (BoxError, BrokerError) as error:
                        told(str(error) if isinstance(error, BoxError) else f"{name}: {error}")
                    else:
                        told(f"{name}: started")
            stop.wait(RESTART_S)

    def _lives(self, name: str) -> bool:
        if name == "broker":
            return self.broker.running
        return name in self.processes and self.processes[name].alive

    # Looking

    def get(self, path: str, *, officer: str | None = None) -> Any:
        """GET from the station, as `officer`. Raises OSError (HTTPError) on refusal."""
        return self._ask("GET", path, officer=officer)

    def post(self, path: str, body: object = None, *, officer: str | None = None) -> Any:
        """POST to the station, as `officer`. Raises OSError (HTTPError) on refusal."""
        return self._ask("POST", path, officer=officer, body=body)

    def put(self, path: str, body: object, *, officer: str | None = None) -> Any:
        """PUT to the station, as `officer`. Raises OSError (HTTPError) on refusal."""
        return self._ask("PUT", path, officer=officer, body=body)

    def wait_until(self, holds: Callable[[], bool], what: str, *, timeout_s: float) -> None:
        """Wait until something holds. Raises BoxError which says what did not."""
        deadline = time.monotonic() + timeout_s
        while True:
            began = time.monotonic()
            if holds():
                return
            if time.monotonic() > deadline:
                raise BoxError("box", f"{what}: not within {timeout_s:g} s")
            time.sleep(max(POLL_S, time.monotonic() - began))  # whoever is waited for needs the processor, too

    def _ask(self, method: str, path: str, *, officer: str | None, body: object = None) -> Any:
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.http_port}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        who = officer or (self.site.officers[0].id if self.site.officers else None)
        if who in self.tokens:
            request.add_header("Authorization", f"Bearer {self.tokens[who]}")
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
            return json.load(answer)

    def _answers(self, path: str) -> bool:
        try:
            self._ask("GET", path, officer=None)
        except urllib.error.HTTPError as error:
            return error.code == 503  # it answers, and says that something is not ready yet
        except OSError:
            return False
        return True

    def _state(self, name: str) -> Path:
        path = self.directory / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _start(self, name: str, arguments: list[str], *, interfere: Sequence[str] = (), pipes: bool = False) -> Running:
        log = self.directory / f"{name}.log"
        command = [sys.executable, "-m", "deploy.cli", *arguments]
        command += [item for one in interfere for item in ("--interfere", one)]
        with log.open("ab") as errors:
            log_from = errors.tell()
            process = children.start(
                command,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else errors,
                stderr=errors,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        running = Running(name, process, log, log_from)
        self.processes[name] = running
        return running

    def _wait(self, running: Running, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_S
        while not ready():
            if not running.alive:
                raise BoxError(
                    running.name, f"ended with {running.process.returncode} while it started", running.tail()
                )
            if time.monotonic() > deadline:
                raise BoxError(running.name, f"was not ready within {READY_S:g} s", running.tail())
            time.sleep(POLL_S)


def observers(site: Site) -> Mapping[str, Principal]:
    """Everybody who only receives at the broker, by audience: police, communities, grids, households."""
    found = {principal.audience: principal for principal in accounts.principals(site)}
    return {
        audience: principal for audience, principal in found.items() if not audience.startswith(("gateway", "station"))
    }
