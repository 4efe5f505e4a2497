"""A PostgreSQL of our own: one cluster in one directory, on a free loopback port, alive as long as we are.

For tests and for trying it out; a station in earnest uses a server that somebody looks after. It is made from
Debian's package and never touches the system's clusters.

    ClusterError
    +-- PostgresqlMissing     not installed
    +-- ClusterDied           .log: what it said last
    +-- ClusterSilent         it runs, and does not answer
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from deploy import children
from deploy.mosquitto import LOOPBACK, free_port, write_private

DEBIAN: Final = Path("/usr/lib/postgresql")
OWNER: Final = "shouwang"
"""The cluster's only account, and its superuser."""
UNPRIVILEGED: Final = ("postgres", "nobody")
"""Who it runs as when root starts it, which PostgreSQL does not allow to be root."""
PORT_ATTEMPTS: Final = 8
POLL_S: Final = 0.01
LOG_TAIL_CHARS: Final = 2_000
SOCKET_PATH_MOST: Final = 107
"""What the kernel takes as the name of a socket."""

SETTINGS: Final = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{directory}'
unix_socket_permissions = 0700
max_connections = 120
shared_buffers = 64MB
dynamic_shared_memory_type = mmap
fsync = {fsync}
full_page_writes = {fsync}
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
log_error_verbosity = terse
"""


class ClusterError(Exception):
    """The private cluster cannot be had."""


class PostgresqlMissing(ClusterError):
    """PostgreSQL is not installed."""

    def __init__(self) -> None:
        super().__init__("PostgreSQL is not installed: apt-get install postgresql")


class ClusterDied(ClusterError):
    """It ended by itself. Field: `log`, the end of what it wrote."""

    def __init__(self, log: str) -> None:
        self.log = log
        super().__init__(f"PostgreSQL ended while it started: {log.strip() or 'it said nothing'}")


class ClusterSilent(ClusterError):
    """It runs, and does not let us in."""

    def __init__(self, port: int, timeout_s: float) -> None:
        self.port = port
        super().__init__(f"PostgreSQL on port {port} did not answer within {timeout_s:g} s")


class PrivateCluster:
    """One PostgreSQL with its files in `directory` (made when missing, 0700), and one account.

    Over its socket, which lies in `directory`, nobody is asked for a password; over the loopback everybody is.
    `port` 0 takes a free one at the first start and keeps it over restarts. Without `fsync` a power cut costs the
    whole cluster, and a station refuses it. Used as a context manager it runs inside and is stopped at the end.
    """

    def __init__(self, directory: Path, *, port: int = 0, fsync: bool = True) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.fsync = fsync
        self._port_is_ours = port != 0  # given, or used before: clients know it
        self._password = secrets.token_urlsafe(18)
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and not self._ended.is_set()

    @property
    def pid(self) -> int:
        """The process id. Raises ClusterError when nothing runs."""
        if self._process is None or self._ended.is_set():
            raise ClusterError("PostgreSQL does not run")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """Where its own log goes."""
        return self.directory / "postgresql.log"

    def url(self, database: str = "postgres") -> str:
        """What a station's settings name: over the loopback, with the password."""
        return f"postgresql+psycopg://{OWNER}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        """The same over the socket, which only we and the cluster's user may open."""
        return f"postgresql+psycopg://{OWNER}@/{database}?host={self.directory}&port={self.port}"

    def start(self, *, timeout_s: float = 60.0) -> None:
        """Start it, made first when there is none, and return when it lets us in.

        Raises PostgresqlMissing, ClusterDied or ClusterSilent. A port that somebody took between our look and its
        own is replaced, unless it was given or used before.
        """
        if self.running:
            raise ClusterError("PostgreSQL runs already")
        self._make()
        attempts = 1 if self._port_is_ours else PORT_ATTEMPTS
        while True:
            attempts -= 1
            self.port = self.port if self._port_is_ours else free_port()
            try:
                self._start_once(timeout_s)
            except ClusterDied as died:
                if not attempts or "Address already in use" not in died.log:
                    raise
            else:
                self._port_is_ours = True
                return

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End it in order, its clients too, by force after `timeout_s`. Nothing to do when it does not run."""
        self._end(signal.SIGINT, timeout_s)

    def kill(self) -> None:
        """End it at once, as a crash would: the next start repairs from the log."""
        self._end(signal.SIGQUIT, 10.0)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _make(self) -> None:
        """Its directory and, at the first time, its files."""
        data = self.directory / "data"
        password = self.directory / "password"
        if (data / "PG_VERSION").exists():
            self._password = password.read_text(encoding="utf-8")
            return
        initdb = str(_programs() / "initdb")
        socket_path = self.directory / ".s.PGSQL.65535"
        if len(os.fsencode(socket_path)) > SOCKET_PATH_MOST:
            raise ClusterError(f"{self.directory} is too long a name: its socket could not be opened")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = _account()
        if account is not None:
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            if closed := [str(above) for above in self.directory.parents if not above.stat().st_mode & 0o001]:
                raise ClusterError(f"{closed[0]} lets {account.pw_name} not pass, who would run PostgreSQL")
        write_private(password, self._password)
        if account is not None:
            os.chown(password, account.pw_uid, account.pw_gid)
        command = [initdb, "-D", str(data), "-U", OWNER, "-E", "UTF8", "--locale=C", "--no-instructions"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
        command += [] if self.fsync else ["--no-sync"]
        done = subprocess.run(
            [*_as_account(), *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            shutil.rmtree(data, ignore_errors=True)
            raise ClusterDied((done.stderr or done.stdout)[-LOG_TAIL_CHARS:])

    def _start_once(self, timeout_s: float) -> None:
        data = self.directory / "data"
        settings = SETTINGS.format(port=self.port, directory=self.directory, fsync="on" if self.fsync else "off")
        (data / "postgresql.auto.conf").write_text(settings, encoding="utf-8")
        log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._spawn([*_as_account(), str(_programs() / "postgres"), "-D", str(data)])
        deadline = monotonic() + timeout_s
        while not self._ended.wait(POLL_S):
            if _answers(self.directory / f".s.PGSQL.{self.port}"):
                return
            if monotonic() > deadline:
                self.kill()
                raise ClusterSilent(self.port, timeout_s)
        with self.log_path.open("rb") as log:
            log.seek(log_from)
            raise ClusterDied(log.read().decode(errors="replace")[-LOG_TAIL_CHARS:])

    def _spawn(self, command: list[str]) -> None:
        """Start the process, and a thread that notices its end."""
        with self.log_path.open("ab") as log:
            try:
                process = children.start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                raise ClusterDied(str(error)) from error
        ended = threading.Event()

        def live() -> None:
            process.wait()
            ended.set()

        threading.Thread(target=live, name="postgresql", daemon=True).start()
        self._process, self._ended = process, ended

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        if not self._ended.wait(timeout_s):
            self._process.kill()
            self._ended.wait()
        self._process = None


def _programs() -> Path:
    """Where initdb and postgres are: Debian keeps each version in a folder, and out of everybody's path."""
    versions = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: int(re.sub(r"\D", "", path.parent.name) or 0))
    found = shutil.which("initdb")
    if found is None:
        raise PostgresqlMissing
    return Path(found).resolve().parent


def _account() -> pwd.struct_passwd | None:
    """Whom it runs as instead of root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise ClusterError(f"root may not run PostgreSQL, and there is none of {', '.join(UNPRIVILEGED)}")


def _as_account() -> list[str]:
    """A prefix that gives root's rights away. It asks again to end with us: a new user would have lost that."""
    account = _account()
    if account is None:
        return []
    who = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    return ["setpriv", *who, "--pdeathsig", "TERM", "--"]


def _answers(path: Path) -> bool:
    """Whether the server behind a socket lets our account in: StartupMessage, then AuthenticationOk."""
    fields = b"".join(word.encode() + b"\0" for word in ("user", OWNER, "database", "postgres")) + b"\0"
    message = (3 << 16).to_bytes(4, "big") + fields
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall((len(message) + 4).to_bytes(4, "big") + message)
            accepted = connection.recv(9) == b"R\0\0\0\x08\0\0\0\0"
            connection.sendall(b"X\0\0\0\x04")
            return accepted
    except OSError:
        return False
