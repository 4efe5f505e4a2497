"""The station as a process: how it starts, how it ends, what it says, and what it never says."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from api.program import EXIT_DATABASE, EXIT_IN_USE, EXIT_USAGE, main
from api.settings import SettingsError, SigningKey, StationSettings, load
from tests.api.conftest import ROOT, TOKENS, Launch, as_json, launching, only_sqlite
from tests.api.peers import Gateway


@pytest.fixture
def launch_really(settings: StationSettings, tmp_path: Path) -> Iterator[Launch]:
    """Start it as it really is started; elsewhere it is forked off."""
    with launching(settings, tmp_path, really=True) as start:
        yield start


def test_it_says_when_it_is_ready_and_ends_in_order_on_sigterm(launch_really: Launch) -> None:
    station = launch_really()
    port = station.ready()
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz").json()["status"] == "ok"
    assert station.stop() == 0
    assert [line["event"] for line in station.log][-1] == "station.stopped"


@only_sqlite
@pytest.mark.proves("N2")
def test_a_second_process_on_the_same_database_is_refused(launch: Launch) -> None:
    first = launch()
    first.ready()
    second = launch()
    assert second.ended() == EXIT_IN_USE
    assert second.said.endswith(f"is in use by process {first.pid}: a second process needs PostgreSQL\n")
    assert "Traceback" not in second.said


@pytest.mark.proves("N16")
def test_its_log_names_no_person_no_place_and_no_secret(
    launch: Launch, gateway: Gateway, settings: StationSettings
) -> None:
    station = launch()
    port = station.ready()
    events = [*gateway.presses(3), gateway.event(group="nowhere")]
    gateway.send(events)
    gateway.publish(gateway.topic, "老王家 13800138000".encode())
    gateway.receipted(events)
    for press in (events[0].id, events[0].id, "nonsense"):
        httpx2.post(
            f"http://127.0.0.1:{port}/api/v1/alarms/{press}/acknowledge",
            headers={"Authorization": f"Bearer {TOKENS['li']}"},
        )
    assert station.stop() == 0
    assert settings.broker.password is not None
    secret = settings.broker.password.get_secret_value()
    for word in ("老王家", "13800138000", "李警官", "h01", "101", TOKENS["li"], secret):
        assert word not in {value for line in station.log for value in line.values() if isinstance(value, str)}
        assert word not in station.said or word == "101"  # a number like any other
    assert all({"event", "level", "timestamp"} <= line.keys() for line in station.log)


class TestSettings:
    @pytest.fixture
    def values(self, settings: StationSettings) -> dict[str, object]:
        values: dict[str, object] = json.loads(as_json(settings))
        return values

    def test_what_deploy_writes_is_what_is_read(self, settings: StationSettings, tmp_path: Path) -> None:
        path = tmp_path / "station.json"
        path.write_text(as_json(settings))
        assert load(path) == settings

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"station": "North Station"}, "station: String should match pattern"),
            ({"database": "mysql://x/y"}, "database: String should match pattern"),
            ({"extra": 1}, "extra: Extra inputs are not permitted"),
            ({"gateway_keys": {"gateway:g1": "short"}}, "gateway_keys.gateway:g1: String should match pattern"),
            ({"groups": []}, "household 'h01' is in group 'gr1', which is not there"),
            ({"units": [{"id": "u1", "household": "h77"}]}, "unit 'u1' is in household 'h77', which is not there"),
            ({"groups": [{"id": "gr1"}, {"id": "gr1"}]}, "group 'gr1' is there twice"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, values: dict[str, object], tmp_path: Path, changed: dict[str, object], said: str
    ) -> None:
        path = tmp_path / "station.json"
        path.write_text(json.dumps(values | changed))
        with pytest.raises(SettingsError) as error:
            load(path)
        assert said in str(error.value)
        assert "token_hash" not in str(error.value)

    def test_every_fault_is_named_at_once(self, values: dict[str, object], tmp_path: Path) -> None:
        path = tmp_path / "station.json"
        path.write_text(json.dumps(values | {"station": "", "database": "", "http": {"port": -1}}))
        with pytest.raises(SettingsError) as error:
            load(path)
        assert all(name in str(error.value) for name in ("station:", "database:", "http.port:"))

    def test_a_missing_file_is_one_sentence_and_an_exit_code(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(tmp_path / "none.json") == EXIT_USAGE
        assert capsys.readouterr().err == f"error: {tmp_path}/none.json: cannot be read: No such file or directory\n"

    @only_sqlite
    def test_a_damaged_database_is_one_sentence_and_an_exit_code(
        self, settings: StationSettings, tmp_path: Path, launch: Launch
    ) -> None:
        (tmp_path / "station.db").write_bytes(b"this is no database" * 1_000)
        station = launch()
        assert station.ended() == EXIT_DATABASE
        assert station.said == "error: the database cannot be used: file is not a database\n"
        assert (tmp_path / "station.db").read_bytes().startswith(b"this is no database")
        assert settings.database.endswith("station.db")

    @only_sqlite
    def test_a_port_that_is_taken_is_one_sentence_and_an_exit_code(
        self, settings: StationSettings, tmp_path: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            path = tmp_path / "taken.json"
            http = settings.http.model_copy(update={"port": port})
            path.write_text(as_json(settings.model_copy(update={"http": http})))
            done = subprocess.run(
                [sys.executable, "-m", "api.program", path], cwd=ROOT, capture_output=True, text=True, check=False
            )
        assert (done.returncode, done.stderr) == (EXIT_IN_USE, f"error: 127.0.0.1:{port}: Address already in use\n")

    def test_without_arguments_it_says_how_it_is_used(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "api.program"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (
            1,
            "usage: python -m api.program settings.json [all|ingest|notifier|web]\n",
        )

    @pytest.mark.parametrize("content", [b"\x01" * 32, b"01" * 32 + b"\n"])
    def test_a_key_is_32_octets_or_their_digits(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        assert SigningKey(path=path).seed() == b"\x01" * 32

    @pytest.mark.parametrize("content", [b"", b"\x01" * 31, b"zz" * 32, "键".encode() * 9])
    def test_anything_else_is_no_key(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(SettingsError, match="a signing key is 32 octets"):
            SigningKey(path=path).seed()
