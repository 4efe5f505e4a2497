"""A broker, settings and a served station for each test, and for each test on either database."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
from fastapi import FastAPI
from sqlalchemy.engine import Engine
from sqlalchemy.util import LRUCache
from starlette.routing import BaseRoute
from starlette.testclient import TestClient

from api.accounts import proofs
from api.clock import Clock, wall_ms
from api.database import Database
from api.program import build
from api.settings import StationSettings, token_hash
from api.station import Station
from api.steps import Wrap, unwrapped
from broker.signing import Signer, gateway_kid
from broker.topics import Role
from deploy.mosquitto import PrivateBroker
from tests.api.databases import Databases, cluster_for_tests, rows
from tests.api.peers import (
    COMMUNITY,
    DEADLINE_S,
    GATEWAYS,
    GRID,
    HOUSEHOLDS,
    PRINCIPALS,
    STATION,
    Gateway,
    principal,
    seed,
)
from tests.api.people import Hands
from tests.forking import Forked

ROOT = Path(__file__).parents[2]
TOKENS = {"li": "token-of-li", "zhao": "token-of-zhao"}


@pytest.fixture(scope="session", autouse=True)
def passwords_cost_little() -> Iterator[None]:
    """A fifth of the time of these tests was Argon2. `test_accounts` holds what the product itself takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proofs, "Passwords", partial(proofs.Passwords, memory_kib=8, rounds=1))
        yield


class CompiledOnce(LRUCache[Any, Any]):
    """SQLAlchemy's cache of compiled statements, for every engine of one kind of database."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(self._for_all(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self._for_all(key))

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(self._for_all(key), compiled)

    def _for_all(self, key: Any) -> Any:
        dialect, *statement = key
        return (type(dialect), *statement)


@pytest.fixture(scope="session", autouse=True)
def statements_are_compiled_once() -> Iterator[None]:
    """A third of the time of these tests was SQL that each test's own engine compiled anew."""
    shared = CompiledOnce(5_000)
    with pytest.MonkeyPatch.context() as patch:
        kept = property(lambda _engine: shared, lambda _engine, _own: None)
        patch.setattr(Engine, "_compiled_cache", kept, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def openapi_is_written_once() -> Iterator[None]:
    """It takes two seconds for each application, and is the same for all that have the same routes."""
    written: dict[tuple[int, ...], tuple[list[BaseRoute], dict[str, Any]]] = {}
    write = FastAPI.openapi

    def once(app: FastAPI) -> dict[str, Any]:
        ours = [route for route in app.routes if getattr(route, "path", None) != app.openapi_url]
        same = tuple(map(id, ours))
        if same not in written:
            written[same] = (ours, write(app))  # with the routes, so that no other gets the id of one
        return written[same][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastAPI, "openapi", once)
        yield


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path / "broker", PRINCIPALS) as running:
        yield running
        running.kill()  # in order it takes 0.1 s, for sessions that nobody will come back to


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The PostgreSQL of this run, started when the first test needs it."""
    with cluster_for_tests() as cluster:
        yield Databases(cluster)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the present tables: to copy it takes a millisecond, to make it a third of a second."""
    path = tmp_path_factory.mktemp("migrated") / "station.db"
    Database.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def hands() -> Hands:
    """The clock of a station, moved by the test."""
    return Hands()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Every test that has to do with the tables runs on both; `only_sqlite` and `only_postgresql` say otherwise."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with the present tables."""
    if database_kind == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "station.db")
        yield f"sqlite:///{tmp_path}/station.db"
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.fresh() as url:
            yield url


@pytest.fixture
def empty_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database in which there is nothing."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
    else:
        databases: Databases = request.getfixturevalue("databases")
        with databases.fresh(migrated=False) as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database, open."""
    with closing(Database.open(database_url, station=STATION)) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path, broker: PrivateBroker, database_url: str) -> StationSettings:
    return settings_in(tmp_path, broker, database_url)


def settings_in(folder: Path, broker: PrivateBroker, database_url: str) -> StationSettings:
    """A station with two officers and one group of households, whose key is in `folder`."""
    key = folder / "station.key"
    key.write_text(seed("station").hex())
    station = principal(Role.STATION)
    return StationSettings.model_validate(
        {
            "station": STATION,
            "broker": {"port": broker.port, "user": station.user, "password": broker.password(station)},
            "database": database_url,
            "http": {"port": 0},
            "signing": {"path": key},
            "gateway_keys": {gateway_kid(gateway): Signer("x", seed(gateway)).public.hex() for gateway in GATEWAYS},
            "officers": [
                {"id": "li", "name": "李警官", "role": "officer", "token_hash": token_hash(TOKENS["li"])},
                {"id": "zhao", "name": "赵警官", "role": "duty_officer", "token_hash": token_hash(TOKENS["zhao"])},
            ],
            "groups": [{"id": "gr1", "community": COMMUNITY, "grid": GRID}],
            "households": [
                {"id": household, "group": "gr1", "door": 101 + number, "label": f"第{number}户"}
                for number, household in enumerate(HOUSEHOLDS)
            ],
            "units": [{"id": "u1", "household": HOUSEHOLDS[0]}],
        }
    )


only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
only_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


class Served:
    """A station that runs in this process, seen over HTTP, from the inside and by reading its tables."""

    def __init__(self, app: FastAPI, client: TestClient, database: str) -> None:
        self.app = app
        self.client = client
        self.station: Station = app.state.station
        self._database = database

    def get(self, path: str, *, officer: str = "li", status: int = 200, **query: Any) -> Any:
        answer = self.client.get(path, params=query, headers={"Authorization": f"Bearer {TOKENS[officer]}"})
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, *, officer: str = "li", status: int = 200) -> Any:
        answer = self.client.post(path, headers={"Authorization": f"Bearer {TOKENS[officer]}"})
        assert answer.status_code == status, answer.text
        return answer.json()

    def health(self) -> dict[str, Any]:
        answer = self.client.get("/healthz")
        health: dict[str, Any] = answer.json()
        assert answer.status_code == (503 if health["status"] == "failing" else 200)
        return health

    def alarms(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("/api/v1/alarms", limit=200)["items"]
        return items

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return rows(self._database, sql, *values)


class Process:
    """A station in a process of its own. Its log is read as it is written.

    It is forked off a process that has imported everything, unless it is to be started as it really is.
    """

    def __init__(self, settings: StationSettings, folder: Path, *module: str, really: bool = False) -> None:
        self.database = settings.database
        path = folder / "station.json"
        if not path.exists():  # another process may be reading it
            path.write_text(as_json(settings))
        name, *rest = module or ("api.program",)
        self.log: list[dict[str, Any]] = []
        self.said = ""
        self._changed = threading.Condition()
        read, write = os.pipe()
        self._lines = os.fdopen(read)
        if really:
            command = [sys.executable, "-m", name, str(path), *rest]
            self._popen: Forked | subprocess.Popen[bytes] = subprocess.Popen(command, cwd=ROOT, stderr=write)
        else:
            self._popen = Forked(name, [str(path), *rest], stderr=write)
        os.close(write)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def until(self, event: str, *, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """Wait for a line of the log and return it."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found[:] = [line for line in self.log if line["event"] == event]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, deadline_s), f"no {event} in {self.said}"
        return found[0]

    def ready(self) -> int:
        """Wait until it serves and is subscribed; return its HTTP port."""
        self.until("broker.connected")
        return self.port()

    def port(self) -> int:
        """Wait until it serves; return its HTTP port."""
        port: int = self.until("station.ready")["port"]
        return port

    def stop(self) -> int:
        """End it in order and return its exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        self._popen.kill()
        self.ended()

    def ended(self) -> int:
        """Wait until it has ended, by whatever; return its exit code."""
        code = self._popen.wait(DEADLINE_S)
        self._reader.join()
        return code

    def _read(self) -> None:
        with self._lines as lines:
            for line in lines:
                with self._changed:
                    self.said += line
                    if line.startswith("{"):
                        self.log.append(json.loads(line))
                    self._changed.notify_all()


Launch = Callable[..., Process]


@contextmanager
def launching(settings: StationSettings, folder: Path, *, really: bool) -> Iterator[Launch]:
    """Start station processes; whatever still runs at the end is killed."""
    with ExitStack() as running:

        def start(*module: str) -> Process:
            return running.enter_context(Process(settings, folder, *module, really=really))

        yield start


@pytest.fixture
def launch(settings: StationSettings, tmp_path: Path) -> Iterator[Launch]:
    """Start station processes; whatever still runs at the end is killed."""
    with launching(settings, tmp_path, really=False) as start:
        yield start


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def serve(settings: StationSettings) -> Serve:
    """Run the station as often as a test likes, one at a time."""

    @contextmanager
    def serving(
        *, wrap: Wrap = unwrapped, clock: Clock = wall_ms, wait: bool = True, **otherwise: Any
    ) -> Iterator[Served]:
        app = build(settings.model_copy(update=otherwise), wrap=wrap, clock=clock)
        with TestClient(app) as client:
            if wait:
                assert app.state.station.link.ready.wait(DEADLINE_S)
            yield Served(app, client, settings.database)

    return serving


@pytest.fixture
def served(serve: Serve) -> Iterator[Served]:
    with serve() as one:
        yield one


@pytest.fixture
def gateway(broker: PrivateBroker) -> Iterator[Gateway]:
    with Gateway(broker) as one:
        yield one


def as_json(settings: StationSettings) -> str:
    """Settings as `deploy` writes them, secrets included."""
    values = settings.model_dump(mode="json")
    assert settings.broker.password is not None
    values["broker"]["password"] = settings.broker.password.get_secret_value()
    return json.dumps(values)
