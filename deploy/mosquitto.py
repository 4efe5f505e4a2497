"""A mosquitto of our own: on a free loopback port, with our accounts and rights, alive as long as we are.

For the demo, for tests and for a village in a box. It never touches the system's instance on port 1883.

    BrokerError
    +-- MosquittoMissing      not installed
    +-- BrokerDied            .log: what it said last
    +-- BrokerSilent          it runs, and does not answer
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

from broker import acl
from broker.access import Access
from broker.acl import SALT_BYTES, BrokerSettings, Principal, Tls, acl_file, broker_file
from broker.ids import StationId
from broker.topics import Role
from deploy import children

LOOPBACK: Final = "127.0.0.1"
PORT_ATTEMPTS: Final = 8
FREE_ATTEMPTS: Final = 100
FIRST_FREE: Final = 10_000
CLIENT_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
POLL_S: Final = 0.005
START_S: Final = 60.0
"""A broker on a busy Pi with a full card takes its time."""
CUT_S: Final = 10.0
CUT_POLL_S: Final = 0.02
"""mosquitto has read its files 0.1 s after SIGHUP."""
LOG_TAIL_CHARS: Final = 2_000
SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
"""Debian keeps mosquitto where an ordinary user's path does not look."""

SPARE_CONNECTIONS: Final = 1_000
"""For accounts that the register gets while it runs: it reads their number at its start only."""

PROBE: Final = Principal(station=StationId("probe"), role=Role.OBSERVER)
"""The account that asks whether the broker answers; it has no right at all."""


class BrokerError(Exception):
    """The private broker cannot be had."""


class MosquittoMissing(BrokerError):
    """mosquitto is not installed."""

    def __init__(self) -> None:
        super().__init__("mosquitto is not installed: apt-get install mosquitto")


class BrokerDied(BrokerError):
    """It ended by itself. Field: `log`, the end of what it wrote."""

    def __init__(self, log: str) -> None:
        self.log = log
        super().__init__(f"mosquitto ended while it started: {log.strip() or 'it said nothing'}")


class BrokerSilent(BrokerError):
    """It runs, and does not let us in."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self.port = port
        super().__init__(f"mosquitto on port {port} did not answer within {timeout_s:g} s")


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a broker of ours takes those who have a certificate."""

    address: str
    port: int
    tls: Tls


class PrivateBroker:
    """One mosquitto with its files in `directory` (made when missing, 0700) and an account for each principal.

    Passwords that are not given (by user name) are drawn; `password` tells them. `port` 0 takes a free one at
    the first start and keeps it over restarts. `listener` is open besides, for those who come by certificate.
    `render_acl` is there for tests that break the rights on purpose.
    Used as a context manager it runs inside and is stopped at the end. The methods block for some ten
    milliseconds: a coroutine calls them through `asyncio.to_thread`. One thread at a time starts and ends it; `renew`
    may be called by another.
    """

    def __init__(
        self,
        directory: Path,
        principals: Iterable[Principal],
        *,
        passwords: Mapping[str, str] | None = None,
        port: int = 0,
        listener: Listener | None = None,
        render_acl: Callable[[Iterable[Principal]], str] = acl_file,
    ) -> None:
        self.directory = directory.absolute()
        self.port = port
        self._port_is_ours = port != 0  # given, or used before: clients know it
        self._listener = listener
        self._principals = (*principals, PROBE)
        given = passwords or {}
        self._passwords = {p.user: given.get(p.user) or secrets.token_urlsafe(18) for p in self._principals}
        self._digests: dict[str, str] = {}
        """What a password came to, so that files that say the same are the same."""
        self._render_acl = render_acl
        self._files = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()

    @property
    def passwords(self) -> Mapping[str, str]:
        """Every account's password by user name, the probe's left out."""
        return {user: password for user, password in self._passwords.items() if user != PROBE.user}

    def password(self, principal: Principal) -> str:
        """The password of one account."""
        return self._passwords[principal.user]

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and not self._ended.is_set()

    @property
    def pid(self) -> int:
        """The process id. Raises BrokerError when nothing runs."""
        if self._process is None or self._ended.is_set():
            raise BrokerError("mosquitto does not run")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """Where mosquitto's own log goes."""
        return self.directory / "mosquitto.log"

    def start(self, *, timeout_s: float = START_S) -> None:
        """Start it and return when it answers a CONNECT of one of our accounts.

        Raises MosquittoMissing, BrokerDied or BrokerSilent. A port that somebody took between our look and
        mosquitto's is replaced, unless it was given or used before.
        """
        if self.running:
            raise BrokerError("mosquitto runs already")
        attempts = 1 if self._port_is_ours else PORT_ATTEMPTS
        while True:
            attempts -= 1
            self.port = self.port if self._port_is_ours else free_port()
            try:
                with self._files:  # a SIGHUP would end one that is not ready for it
                    self._start_once(timeout_s)
            except BrokerDied as died:
                if not attempts or "Address already in use" not in died.log:
                    raise
            else:
                self._port_is_ours = True
                return

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End it in order (it saves its sessions), by force after `timeout_s`. Nothing to do when it does not run."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it as a power cut would: nothing is saved."""
        self._end(signal.SIGKILL, 5.0)

    def restart(self, *, timeout_s: float = START_S) -> None:
        """Stop it if it runs, and start it on the same port with the same files."""
        self.stop()
        self.start(timeout_s=timeout_s)

    def renew(self, access: Access) -> None:
        """Let it have these accounts and rights from now on, without ending any connection that may stay.

        Passwords that the station did not give out stay what they are; who has none cannot connect. mosquitto reads
        both files anew within 0.1 s, drops who has no account any more, and delivers by the new rights. Raises OSError.
        """
        with self._files:
            self._principals = (*access.principals, PROBE)
            self._digests |= access.digests
            self._write_rights()
            if self.running:
                with suppress(ProcessLookupError, BrokerError):
                    os.kill(self.pid, signal.SIGHUP)

    def reload(self) -> None:
        """Let it read certificate, key and the list of those that count no more anew; who is connected stays so."""
        with self._files, suppress(ProcessLookupError, BrokerError):
            os.kill(self.pid, signal.SIGHUP)

    def cut(self, user: str) -> None:
        """End the connection of an account that came by certificate. Raises OSError or BrokerSilent.

        mosquitto looks at certificates in the handshake alone. But whoever comes as an account ends the connection that
        it has: so we come as this one, once, on loopback, with a password that nobody was told.
        """
        with self._files:
            end_connection(user, passwords=self.directory / "passwords", port=self.port, reload=self.reload)

    def suspend(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay open and nothing answers, until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended broker go on."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _start_once(self, timeout_s: float) -> None:
        self._write_files()
        log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._spawn()
        deadline = monotonic() + timeout_s
        while not self._ended.wait(POLL_S):
            if _answers(self.port, PROBE.user, self._passwords[PROBE.user]):
                return
            if monotonic() > deadline:
                self.kill()
                raise BrokerSilent(self.port, timeout_s)
        with self.log_path.open("rb") as log:
            log.seek(log_from)
            raise BrokerDied(log.read().decode(errors="replace")[-LOG_TAIL_CHARS:])

    def _write_files(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = BrokerSettings(
            directory=str(self.directory),
            port=self.port if self._listener is None else self._listener.port,
            address=LOOPBACK if self._listener is None else self._listener.address,
            connections=len(self._principals) + SPARE_CONNECTIONS,
            run_as="root" if os.geteuid() == 0 else None,
            tls=None if self._listener is None else self._listener.tls,
            local=None if self._listener is None else self.port,
        )
        self._write_rights()
        write_private(self.directory / "mosquitto.conf", broker_file(settings))

    def _write_rights(self) -> None:
        with self._files:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.directory / "acl", self._render_acl(self._principals))
            write_private(self.directory / "passwords", password_file(self._principals, self._digest_of))

    def _digest_of(self, user: str) -> str | None:
        if user not in self._digests and user in self._passwords:
            self._digests[user] = password_digest(self._passwords[user])
        return self._digests.get(user)

    def _spawn(self) -> None:
        """Start the process, and a thread that notices its end."""
        command = [_find("mosquitto"), "-c", str(self.directory / "mosquitto.conf")]
        with self.log_path.open("ab") as log:
            try:
                process = children.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                raise BrokerDied(str(error)) from error
        ended = threading.Event()

        def live() -> None:
            process.wait()
            ended.set()

        threading.Thread(target=live, name="mosquitto", daemon=True).start()
        self._process, self._ended = process, ended

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if how is signal.SIGTERM:  # a suspended process hears nothing else
                self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
        if not self._ended.wait(timeout_s):
            self._process.kill()
            self._ended.wait()
        self._process = None


def password_digest(password: str) -> str:
    """A line of mosquitto's password file behind the user name, with a salt of its own."""
    return acl.password_digest(password, salt=secrets.token_bytes(SALT_BYTES))


def password_file(principals: Iterable[Principal], digest_of: Callable[[str], str | None]) -> str:
    """The text of mosquitto's `password_file`: a line for each of these who has a password."""
    known = {one.user: digest_of(one.user) for one in principals}
    return "".join(f"{user}:{digest}\n" for user, digest in sorted(known.items()) if digest is not None)


def _find(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path=SBIN)
    if path is None:
        raise MosquittoMissing
    return path


def free_port() -> int:
    """A loopback port that nobody has now.

    It is drawn from below those that the kernel gives to clients: one of these would be taken again by any
    connection that is made before somebody listens on it, or while a program restarts.
    """
    first_of_clients = int(CLIENT_PORTS.read_text(encoding="ascii").split()[0])
    for _ in range(FREE_ATTEMPTS):
        port = secrets.choice(range(FIRST_FREE, first_of_clients))
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise BrokerError(f"no port between {FIRST_FREE} and {first_of_clients} is free")


def end_connection(
    user: str, *, passwords: Path, port: int, reload: Callable[[], object], timeout_s: float = CUT_S
) -> None:
    """End the connection of an account, whoever has it. Raises OSError or BrokerSilent.

    mosquitto looks at a certificate in the handshake alone, and SIGHUP ends no connection of one that was revoked.
    But whoever connects as an account ends the connection that it had: so we come as this one, once, to the listener
    on loopback (`port`), with a password that is in the file for this moment and that nobody was told.
    """
    before = passwords.read_text(encoding="utf-8")
    once = secrets.token_urlsafe(18)
    others = "".join(line for line in before.splitlines(keepends=True) if not line.startswith(f"{user}:"))
    found = passwords.stat()
    owner = (found.st_uid, found.st_gid) if os.geteuid() == 0 else None
    try:
        write_private(passwords, f"{others}{user}:{password_digest(once)}\n", owner=owner)
        reload()
        deadline = monotonic() + timeout_s
        while not _answers(port, user, once):
            if monotonic() > deadline:
                raise BrokerSilent(port, timeout_s)
            sleep(CUT_POLL_S)
    finally:
        write_private(passwords, before, owner=owner)
        reload()


def write_private(path: Path, text: str, *, owner: tuple[int, int] | None = None) -> None:
    """Put a file there whole that only its owner may read: whoever opens it meanwhile reads the one before it.

    `owner`: user and group instead of our own, which takes root.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        file.write(text)
    fresh.replace(path)


def _answers(port: int, user: str, password: str) -> bool:
    """Whether the broker on `port` accepts this account: MQTT 3.1.1 CONNECT, sections 3.1 and 3.2."""
    name, secret = (len(text).to_bytes(2, "big") + text.encode() for text in (user, password))
    body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + name + name + secret  # level 4; user, password, clean; 10 s; client id
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"\x10" + bytes([len(body)]) + body)
            accepted = connection.recv(4) == b"\x20\x02\x00\x00"
            connection.sendall(b"\xe0\x00")
            return accepted
    except OSError:
        return False
