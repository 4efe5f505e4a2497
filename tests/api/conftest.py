"""A broker, settings and a served station for each test."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.clock import Clock, wall_ms
from api.ingest.service import Wrap, unwrapped
from api.program import build
from api.settings import StationSettings, token_hash
from api.station import Station
from broker.signing import Signer, gateway_kid
from broker.topics import Role
from deploy.mosquitto import PrivateBroker
from tests.api.peers import (
    COMMUNITY,
    GATEWAYS,
    GRID,
    HOUSEHOLDS,
    PRINCIPALS,
    STATION,
    Gateway,
    principal,
    seed,
)

TOKENS = {"li": "token-of-li", "zhao": "token-of-zhao"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path / "broker", PRINCIPALS) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, broker: PrivateBroker) -> StationSettings:
    key = tmp_path / "station.key"
    key.write_text(seed("station").hex())
    station = principal(Role.STATION)
    return StationSettings.model_validate(
        {
            "station": STATION,
            "broker": {"port": broker.port, "user": station.user, "password": broker.password(station)},
            "database": f"sqlite:///{tmp_path}/station.db",
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


class Served:
    """A station that runs in this process, seen over HTTP, from the inside and by reading its file."""

    def __init__(self, app: FastAPI, client: TestClient, path: Path) -> None:
        self.client = client
        self.station: Station = app.state.station
        self._path = path

    def get(self, path: str, *, officer: str = "li", status: int = 200, **query: Any) -> Any:
        answer = self.client.get(path, params=query, headers={"Authorization": f"Bearer {TOKENS[officer]}"})
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, *, officer: str = "li", status: int = 200) -> Any:
        answer = self.client.post(path, headers={"Authorization": f"Bearer {TOKENS[officer]}"})
        assert answer.status_code == status, answer.text
        return answer.json()

    def alarms(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get("/api/v1/alarms", limit=200)["items"]
        return items

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return rows(self._path, sql, *values)


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the database file with nothing of the station's."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


Serve = Callable[..., AbstractContextManager[Served]]


@pytest.fixture
def serve(settings: StationSettings, tmp_path: Path) -> Serve:
    """Run the station as often as a test likes, one at a time."""

    @contextmanager
    def serving(*, wrap: Wrap = unwrapped, clock: Clock = wall_ms, wait: bool = True) -> Iterator[Served]:
        app = build(settings, wrap=wrap, clock=clock)
        with TestClient(app) as client:
            if wait:
                assert app.state.station.link.ready.wait(20)
            yield Served(app, client, tmp_path / "station.db")

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
    values["broker"]["password"] = settings.broker.password.get_secret_value()
    return json.dumps(values)
