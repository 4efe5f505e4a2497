"""The station program: HTTP in the foreground, the consumer and the sender behind it.

    python -m api.program settings.json [ROLE]

It is ready when it has logged `station.ready` (with the HTTP port) or, the same, when GET /healthz answers.
A broker that is away does not keep it from starting: /healthz says so, and alarms come when it is back.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from api import bodies, logs, memory, problems
from api.clock import Clock, wall_ms
from api.console import routers as console
from api.database import Database, DatabaseError, DatabaseInUse
from api.headers import Harmless
from api.health.service import Pulse
from api.ingest.road import Gate
from api.leases.rules import Role
from api.routes import routes
from api.settings import SettingsError, StationSettings, load
from api.station import OnlyShared, Station
from api.steps import Wrap, unwrapped
from api.tls import Doors, Identity

EXIT_OK: Final = 0
EXIT_USAGE: Final = 2
EXIT_IN_USE: Final = 3
"""Another process has the database or the port."""
EXIT_DATABASE: Final = 4

STOP_S: Final = 5
"""How long requests in hand may take after a SIGTERM."""

HANDSHAKE_S: Final = 10
"""Whoever does not shake hands in this time, by TLS, is let go."""

SWITCH_S: Final = 0.000_5
"""How long one thread keeps the interpreter while others want it. At Python's own 5 ms a request that passes through
four threads waits 20 ms and more while ingest is busy; at this it does not, and ingest is no slower."""

log = structlog.get_logger("api.program")


def build(
    settings: StationSettings, *, role: Role = Role.ALL, wrap: Wrap = unwrapped, clock: Clock = wall_ms
) -> FastAPI:
    """The application around one station. Its lifespan starts and stops the station.

    `wrap` is called for each named step (`api.steps`) and returns what is to be called instead. Raises SettingsError
    and DatabaseError, before anything runs.
    """
    station = Station(settings, role=role, wrap=wrap, clock=clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(station.start)
        try:
            yield
        finally:
            await to_thread.run_sync(station.stop)

    app = FastAPI(
        title="Shouwang station",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        routes=[*routes(serves=role.serves)],
    )
    app.state.station = station
    app.state.pulse = Pulse(station)
    app.state.gate = Gate()
    problems.install(app)
    bodies.install(app)
    console.install(app)
    app.add_middleware(Harmless)
    if station.identity is not None and settings.http.tls is not None:
        app.add_middleware(Doors, settings=settings.http.tls, identity=station.identity, clock=clock)
    return app


def run(settings: StationSettings, *, role: Role = Role.ALL, wrap: Wrap = unwrapped, clock: Clock = wall_ms) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError, DatabaseError, or OSError for the HTTP port."""
    logs.configure()
    sys.setswitchinterval(SWITCH_S)
    memory.keep_one_heap()
    with listen(settings) as listener, _listen_tls(settings) as secure:
        _bring_forward(settings)
        app = build(settings, role=role, wrap=wrap, clock=clock)
        server = server_of(app, secure)
        app.state.station.superseded = lambda: setattr(server, "should_exit", True)
        if threading.current_thread() is threading.main_thread():
            # For the moments in which uvicorn does not listen to them itself; it raises them again when it is done.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        server.run(sockets=[listener])


def server_of(app: FastAPI, secure: socket.socket | None = None) -> uvicorn.Server:
    """What serves an application of `build`, to be run over a socket of `listen`; `secure`: one of `listen_tls`."""
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=STOP_S)
    return _Server(config, app.state.station.feed.close, app.state.station.identity, secure)


def _bring_forward(settings: StationSettings) -> None:
    """Bring the tables up to date in a process of its own, so that what only that needs (35 MiB) goes with it.

    It has no say: whatever goes wrong there goes wrong here again, where it is told.
    """
    if threading.current_thread() is threading.main_thread():  # of a process with threads there are no safe copies
        process = get_context("fork").Process(target=_open_and_close, args=(settings,))
        process.start()
        process.join()


def _open_and_close(settings: StationSettings) -> None:
    with suppress(Exception):
        Database.open(settings.database, station=settings.station).close()


def listen(settings: StationSettings) -> socket.socket:
    """Take the HTTP port. Raises OSError, which names it."""
    return _listen((settings.http.host, settings.http.port))


def listen_tls(settings: StationSettings) -> socket.socket | None:
    """Take the HTTPS port, where there shall be one. Raises OSError, which names it."""
    tls = settings.http.tls
    return None if tls is None else _listen((tls.host or settings.http.host, tls.port))


def _listen_tls(settings: StationSettings) -> AbstractContextManager[socket.socket | None]:
    return listen_tls(settings) or nullcontext()


def _listen(address: tuple[str, int]) -> socket.socket:
    try:
        listener = socket.create_server(address)
    except OSError as error:
        raise OSError(error.errno, f"{address[0]}:{address[1]}: {os.strerror(error.errno or 0)}") from None
    # Connections have it from here: asyncio sets it only where the protocol is named, and create_server names none.
    # Without it every answer on a connection that is kept waits 40 ms for a delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        close: Callable[[], None],
        identity: Identity | None,
        secure: socket.socket | None,
    ) -> None:
        super().__init__(config)
        self._close = close
        self._identity = identity
        self._secure = secure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where we are once requests are answered."""
        await super().startup(sockets)
        if self.started and sockets:
            memory.leave_alone()
            host, port, *_ = sockets[0].getsockname()
            secure = await self._serve_tls()
            log.info("station.ready", host=host, port=port, **({} if secure is None else {"https": secure}))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first: an answer that never ends would be waited for."""
        self._close()
        await super().shutdown(sockets)

    async def _serve_tls(self) -> int | None:
        """Serve the same by HTTPS; on which port. uvicorn knows one sort of listener at a time, asyncio any number."""
        if self._identity is None or self._secure is None:
            return None

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn itself
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        serving = await asyncio.get_running_loop().create_server(
            protocol,
            sock=self._secure,
            ssl=self._identity.context,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=HANDSHAKE_S,
            backlog=self.config.backlog,
        )
        self.servers.append(serving)
        port: int = self._secure.getsockname()[1]
        self._identity.serves_at(port)
        return port


def main(settings_path: Path, role: Role = Role.ALL) -> int:
    """Run from a settings file. Returns an exit code; what is wrong goes to standard error in one sentence."""
    try:
        settings = load(settings_path)
    except SettingsError as error:
        return _fail(error, EXIT_USAGE)
    return serve(settings, role=role)


def serve(settings: StationSettings, *, role: Role = Role.ALL, wrap: Wrap = unwrapped, clock: Clock = wall_ms) -> int:
    """Run until told to stop. Returns an exit code as `main` does."""
    try:
        run(settings, role=role, wrap=wrap, clock=clock)
    except (SettingsError, OnlyShared) as error:
        return _fail(error, EXIT_USAGE)
    except DatabaseInUse as error:
        return _fail(error, EXIT_IN_USE)
    except DatabaseError as error:
        return _fail(error, EXIT_DATABASE)
    except DBAPIError as error:
        why, *_ = str(error.orig).splitlines()  # the first says what, the others guess
        return _fail(f"the database cannot be used: {why}", EXIT_DATABASE)
    except OSError as error:
        return _fail(error.strerror or str(error), EXIT_IN_USE)
    return EXIT_OK


def _fail(error: Exception | str, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3} or sys.argv[2:] not in [[], *([role.value] for role in Role)]:
        sys.exit(f"usage: python -m api.program settings.json [{'|'.join(Role)}]")
    sys.exit(main(Path(sys.argv[1]), *map(Role, sys.argv[2:])))
