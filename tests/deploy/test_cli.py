"""What goes wrong at the command line: one sentence that says what to do, and an exit code that a script can read."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.stage import example
from tests.api.peers import eventually
from tests.forking import Forked

OK, BAD, USAGE, MISSING, STORE = range(5)
PATIENCE_S = 60.0
NOT_YET = "not connected yet"
VILLAGE = str(example("village.toml"))
HOME = str(example("home.toml"))


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def shouwang(*arguments: str | Path) -> Said:
    """Run the command in this process, as far as it ends by itself."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def shouwang_outside(*arguments: str | Path, path: str | None = None) -> Said:
    """Run it as a process of its own."""
    env = {**os.environ, **({} if path is None else {"PATH": path})}
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        process = Forked("deploy.cli", [str(argument) for argument in arguments], stdout=out, stderr=err, env=env)
        code = process.wait(PATIENCE_S)
        out.seek(0)
        err.seek(0)
        return Said(code, out.read(), err.read())


def complains(said: Said, code: int, about: str) -> None:
    """One line, with what it is about in it, and no traceback."""
    assert said.code == code, said
    assert about in said.err
    assert said.err.startswith(("shouwang: ", "error: "))
    assert said.err.count("\n") == 1


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "keys"
    assert shouwang("keys", VILLAGE, "--keys", folder).code == OK
    return folder


@pytest.fixture
def not_toml(tmp_path: Path) -> Path:
    path = tmp_path / "bad.toml"
    path.write_text("[station\n", encoding="utf-8")
    return path


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# The site file, for every command that reads one


@pytest.mark.parametrize(
    "command",
    [
        ["gateway", "--id", "gw1", "--site"],
        ["station", "--site"],
        ["sim", "--id", "gw1", "--site"],
        ["watch", "--as", "police", "--site"],
        ["box", "--site"],
        ["demo", "--once", "--site"],
        ["keys"],
    ],
    ids=lambda command: command[0],
)
def test_a_site_file_that_is_missing_or_no_toml_is_refused(command: list[str], not_toml: Path) -> None:
    complains(shouwang(*command, not_toml.with_name("none.toml")), USAGE, "cannot be read: No such file")
    complains(shouwang(*command, not_toml), USAGE, "this is not TOML")


def test_check_tells_everything_and_names_the_place(not_toml: Path) -> None:
    assert shouwang("check", VILLAGE).code == OK
    wrong = shouwang("check", not_toml, "--lang", "en")
    assert wrong.code == USAGE
    assert "bad.toml:1:" in wrong.out.replace("\n", "")
    assert shouwang("check", not_toml.with_name("none.toml")).code == MISSING


def test_check_for_programs_has_one_shape_even_when_there_is_no_file(not_toml: Path) -> None:
    for path, code in ((Path(VILLAGE), OK), (not_toml, USAGE), (not_toml.with_name("none.toml"), MISSING)):
        said = shouwang("check", path, "--json")
        answer = json.loads(said.out)
        assert said.code == code
        assert set(answer) == {"file", "ok", "errors", "warnings", "problems"}
        assert answer["ok"] is (code == OK)


def test_an_unknown_command_or_none_shows_the_help() -> None:
    assert shouwang("nonsense").code == USAGE
    assert "demo" in shouwang().out


# Keys


def test_keys_are_told_once_and_a_second_run_adds_nothing(tmp_path: Path) -> None:
    first = json.loads(shouwang("keys", HOME, "--keys", tmp_path / "keys", "--json").out)
    second = json.loads(shouwang("keys", HOME, "--keys", tmp_path / "keys", "--json").out)
    assert set(first["tokens"]) == {"owner"}
    assert "token owner" in first["added"]
    assert second == {"added": [], "tokens": {}}


def test_keys_that_others_can_read_are_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o755)  # whatever the umask is
    complains(shouwang("keys", HOME, "--keys", tmp_path / "keys"), USAGE, "chmod 700")


@pytest.mark.parametrize(
    "command",
    [
        ["gateway", "--id", "gw1", "--state", "STATE"],
        ["station", "--state", "STATE"],
        ["sim", "--id", "gw1"],
        ["watch", "--as", "police", "--broker-port", "1"],
    ],
    ids=lambda command: command[0],
)
def test_missing_keys_are_named_with_the_command_that_makes_them(command: list[str], tmp_path: Path) -> None:
    told = [str(tmp_path / "state") if word == "STATE" else word for word in command]
    said = shouwang(*told, "--site", VILLAGE, "--keys", tmp_path / "none")
    complains(said, USAGE, "is missing. `shouwang keys` makes what is missing")


# The gateway


def test_a_gateway_that_the_site_does_not_have_is_refused(keys: Path, tmp_path: Path) -> None:
    for command in (["gateway", "--state", tmp_path], ["sim"]):
        said = shouwang(*command, "--site", VILLAGE, "--keys", keys, "--id", "gw9")
        complains(said, USAGE, "there is no gateway 'gw9' in the site file, only gw1")


@pytest.mark.parametrize("wish", ["nonsense", "journal.append:before", "journal.append:maybe:1", ":before:1"])
def test_an_interference_that_cannot_be_read_is_refused(wish: str, keys: Path, tmp_path: Path) -> None:
    settings = ["--site", VILLAGE, "--keys", str(keys), "--state", str(tmp_path / "state"), "--interfere", wish]
    complains(shouwang("gateway", *settings, "--id", "gw1"), USAGE, "give POINT:before|after|delay|mute:NUMBER")
    complains(shouwang("station", *settings), USAGE, "give POINT:before|after|delay|mute:NUMBER")


def test_a_state_directory_that_cannot_be_one_is_said(keys: Path, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    for command in (["gateway", "--id", "gw1"], ["station"]):
        said = shouwang(*command, "--site", VILLAGE, "--keys", keys, "--state", taken)
        complains(said, STORE, "is a file, not a directory")


def health(state: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((state / "health.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"faults": []}
    return told


def runs_alone(state: Path) -> bool:
    """Whether it has missed its ports and its broker by now."""
    told = health(state)
    return {"line_lost line1", "line_lost gate"} <= {*told["faults"]} and told["uplink"]["trouble"] != NOT_YET


@pytest.fixture
def running_gateway(keys: Path, tmp_path: Path) -> Iterator[Path]:
    """A gateway whose ports and whose broker are missing; yields its state directory."""
    state = tmp_path / "state"
    command = ["gateway", "--site", VILLAGE, "--keys", str(keys), "--id", "gw1", "--state", str(state)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", *command, "--broker-port", str(closed_port())],
            stdout=log, stderr=log, bufsize=0,
        )  # fmt: skip
    try:
        eventually(lambda: process.poll() is not None or runs_alone(state), "told of what it lacks")
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield state
        process.terminate()
        assert process.wait(PATIENCE_S) == OK
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.proves("A10", "N8")
def test_a_gateway_without_ports_and_without_a_broker_runs_and_says_so(running_gateway: Path) -> None:
    told = health(running_gateway)
    assert not told["uplink"]["up"]
    assert "Connection refused" in told["uplink"]["trouble"]
    assert {"line_lost line1", "line_lost gate"} <= set(told["faults"])
    assert all("No such file" in line["trouble"] for line in told["lines"].values())


def test_a_second_gateway_on_the_same_state_is_refused(running_gateway: Path, keys: Path) -> None:
    said = shouwang("gateway", "--site", VILLAGE, "--keys", keys, "--id", "gw1", "--state", running_gateway)
    complains(said, MISSING, "another gateway process has this journal open; stop it first")


# The station


def test_a_station_wants_either_a_site_or_settings(tmp_path: Path) -> None:
    complains(shouwang("station"), USAGE, "give either --site or --settings")
    complains(shouwang("station", "--site", VILLAGE, "--settings", tmp_path), USAGE, "give either")


def test_settings_that_cannot_be_used_are_refused_with_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    complains(shouwang("station", "--settings", path), USAGE, "cannot be read")
    path.write_text("{}")
    said = shouwang("station", "--settings", path)
    complains(said, USAGE, "station: Field required; broker: Field required; signing: Field required")


def test_an_http_port_that_somebody_has_is_said(keys: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site = tmp_path / "site.toml"
        port = taken.getsockname()[1]
        site.write_text(Path(VILLAGE).read_text("utf-8").replace("[station]\n", f"[station]\nport = {port}\n"), "utf-8")
        assert tomllib.loads(site.read_text("utf-8"))["station"]["port"] == port
        said = shouwang("station", "--site", site, "--keys", keys, "--state", tmp_path / "state")
    complains(said, MISSING, "Address already in use")


def test_a_database_that_is_none_is_said(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"this is no database" * 100)
    said = shouwang_outside("station", "--site", VILLAGE, "--keys", keys, "--state", tmp_path)
    complains(said, STORE, "the database cannot be used: file is not a database")


def test_a_database_server_that_is_away_is_said_without_its_password(keys: Path, tmp_path: Path) -> None:
    url = f"postgresql+psycopg://shouwang:very-secret@127.0.0.1:{closed_port()}/shouwang"
    said = shouwang_outside("station", "--site", VILLAGE, "--keys", keys, "--state", tmp_path, "--database", url)
    complains(said, STORE, "the database cannot be used: connection failed")
    assert "very-secret" not in said.err
    said = shouwang_outside(
        "station", "--site", VILLAGE, "--keys", keys, "--state", tmp_path, "--database", "mysql://x"
    )
    complains(said, USAGE, "database: String should match pattern")


# The simulator


def test_a_simulator_wants_a_village_and_ports_that_exist(keys: Path, tmp_path: Path) -> None:
    complains(shouwang("sim"), USAGE, "give --settings, or --site with --id")
    complains(shouwang("sim", "--settings", tmp_path / "none.json"), USAGE, "none.json: No such file")
    (tmp_path / "village.json").write_text("{}")
    complains(shouwang("sim", "--settings", tmp_path / "village.json"), USAGE, "lines")
    village = ("sim", "--site", VILLAGE, "--id", "gw1", "--keys", keys)
    complains(shouwang(*village, "--attach", "line1"), USAGE, "'line1': give LINE=PATH")
    gone = tmp_path / "ttyUSB7"
    complains(shouwang_outside(*village, "--attach", f"line1={gone}", "--attach", f"gate={gone}"), MISSING, str(gone))


# Watching, the box, the demo


def test_watching_as_nobody_names_those_who_have_an_account(keys: Path) -> None:
    said = shouwang("watch", "--site", VILLAGE, "--keys", keys, "--as", "h03")
    complains(said, USAGE, "there is no 'h03' with an account, only police, community:c1, grid:w1, household:h01")


def test_watching_without_a_broker_is_said(keys: Path) -> None:
    port = str(closed_port())
    said = shouwang("watch", "--site", VILLAGE, "--keys", keys, "--as", "household:h03", "--broker-port", port)
    complains(said, MISSING, "Connection refused")


def test_a_box_or_a_demo_whose_state_is_a_file_is_refused(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    complains(shouwang_outside("box", "--site", HOME, "--state", taken), MISSING, "is a file, not a directory")
    complains(shouwang("demo", "--once", "--state", taken), MISSING, "is a file, not a directory")


def test_a_demo_at_another_site_says_what_it_lacks() -> None:
    complains(shouwang("demo", "--once", "--site", HOME), USAGE, "has no unit u01 of h01")


def test_a_demo_in_a_directory_that_has_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    complains(shouwang("demo", "--once", "--state", tmp_path), USAGE, "is not empty")


def test_a_demo_without_mosquitto_sub_says_what_to_install(tmp_path: Path) -> None:
    """mosquitto itself is found where Debian puts it, whatever the path says."""
    (tmp_path / "setpriv").symlink_to(shutil.which("setpriv") or "/usr/bin/setpriv")
    said = shouwang_outside("demo", "--once", path=str(tmp_path))
    complains(said, MISSING, "apt-get install mosquitto")


def test_every_command_has_help() -> None:
    for name in ("demo", "gateway", "station", "sim", "watch", "check", "keys", "box", "bench"):
        assert "Usage" in shouwang(name, "--help").out


def test_a_chapter_that_the_benchmark_does_not_have_is_refused() -> None:
    complains(shouwang("bench", "--only", "nonsense"), USAGE, "there is no chapter nonsense")
