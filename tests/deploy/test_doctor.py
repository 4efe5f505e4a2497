"""`shouwang doctor`: what is not well is named with what mends it, and nothing secret goes to whoever helps."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.acl import Principal
from broker.ids import StationId
from broker.topics import Role
from deploy import authority, doctor, keys
from deploy.check import load
from deploy.doctor import Finding, Patient, State, examine
from deploy.mosquitto import PrivateBroker
from tests.api.peers import eventually
from tests.deploy.authorities import Certified

ROOT = Path(__file__).parents[2]
VILLAGE = (ROOT / "examples" / "village.toml").read_text(encoding="utf-8")
NOW_MS = 1_795_000_000_000
HEALTH = {
    "uplink": {"up": True, "trouble": None},
    "queued": 0,
    "lines": {"line1": {"up": True, "trouble": None}},
    "faults": [],
}


@pytest.fixture
def listening() -> Iterator[int]:
    """Something that answers where a broker is looked for."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.fixture
def ports() -> Iterator[dict[str, str]]:
    """For each port of the village one with nothing behind it."""
    pairs = {name: pty.openpty() for name in re.findall(r'port = "(ports/\w+)"', VILLAGE)}
    yield {name: os.ttyname(theirs) for name, (_, theirs) in pairs.items()}
    for pair in pairs.values():
        for end in pair:
            os.close(end)


@pytest.fixture
def box(tmp_path: Path, ports: dict[str, str], listening: int) -> Patient:
    """A gateway on which everything is well."""
    site = tmp_path / "village.toml"
    text = VILLAGE
    for name, device in ports.items():
        text = text.replace(f'"{name}"', f'"{device}"')
    site.write_text(text)
    keys.provision(load(site), tmp_path / "keys")
    state = tmp_path / "state"
    state.mkdir()
    (state / "health.json").write_text(json.dumps(HEALTH))
    os.utime(state / "health.json", (NOW_MS / 1_000, NOW_MS / 1_000))
    return Patient(path=site, keys=tmp_path / "keys", state=state, gateway="gw1", broker_port=listening, now_ms=NOW_MS)


def found(patient: Patient) -> dict[str, Finding]:
    return {one.what: one for one in examine(patient)}


def tell(patient: Patient, **changed: object) -> None:
    path = patient.state / "health.json"
    path.write_text(json.dumps(HEALTH | changed))
    os.utime(path, (patient.now_ms / 1_000, patient.now_ms / 1_000))


@pytest.mark.proves("A10")
def test_a_box_on_which_all_is_well_is_green(box: Patient) -> None:
    findings = found(box)
    unwell = {what: one.words.en for what, one in findings.items() if one.state is not State.GOOD}
    assert unwell.keys() <= {"clock"}  # of a machine for tests nothing may keep it right
    assert {
        "versions",
        "site",
        "keys",
        "disk",
        "writing",
        "broker",
        "line line1",
        "gateway",
        "uplink",
    } <= findings.keys()
    assert list(box.state.iterdir()) == [box.state / "health.json"]


@pytest.mark.proves("A10", "N8")
def test_each_thing_that_is_not_well_is_named_with_what_mends_it(box: Patient) -> None:
    box.keys.chmod(0o755)
    exposed = found(box)["keys"]
    assert exposed.state is State.BAD
    assert exposed.mend == f"chmod -R go= {box.keys}"
    box.keys.chmod(0o700)

    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        closed = gone.getsockname()[1]
    assert found(replace(box, broker_port=closed))["broker"].state is State.BAD
    assert found(replace(box, now_ms=0))["clock"].state is State.BAD
    assert found(replace(box, now_ms=NOW_MS + 3_600_000))["gateway"].state is State.BAD

    box.path.write_text(box.path.read_text().replace("/dev/pts/", "/dev/pts/no"))
    unplugged = found(box)["line line1"]
    assert unplugged.state is State.BAD
    assert unplugged.mend == "ls -l /dev/serial/by-id"


def test_what_a_running_gateway_says_of_itself_counts(box: Patient) -> None:
    tell(box, uplink={"up": False, "trouble": "Not authorized"}, queued=5_000, faults=["unit_silent u03"])
    findings = found(box)
    assert findings["uplink"].state is State.BAD
    assert "Not authorized" in findings["uplink"].words.en
    assert findings["queue"].state is State.DOUBTFUL
    assert "unit_silent u03" in findings["faults"].words.zh
    (box.state / "health.json").write_text("{")
    assert found(box)["gateway"].state is State.BAD


def test_a_site_file_that_cannot_be_used_ends_it_there_and_an_unknown_gateway_too(box: Patient) -> None:
    assert "gw1" in found(replace(box, gateway="gw9"))["site"].words.zh
    box.path.write_text("station = 3")
    findings = found(box)
    assert findings["site"].state is State.BAD
    assert findings["site"].mend == f"shouwang check {box.path}"
    box.path.unlink()
    assert found(box)["site"].state is State.BAD


def test_a_disk_that_takes_no_writes_is_named(box: Patient) -> None:
    gone = replace(box, state=Path("/proc/1"))
    assert found(gone)["writing"].state is State.BAD


@pytest.mark.proves("G7", "N16")
def test_what_goes_to_whoever_helps_names_nobody_and_opens_nothing(box: Patient, tmp_path: Path) -> None:
    to = tmp_path / "help.tar.gz"
    doctor.bundle(box, examine(box), to)
    assert to.stat().st_mode & 0o777 == 0o600
    with tarfile.open(to) as archive:
        read = {member.name: archive.extractfile(member) for member in archive}
        texts = {name: file.read().decode() for name, file in read.items() if file is not None}
    assert set(texts) == {f"shouwang-doctor/{name}.json" for name in ("findings", "health", "site")}
    told = "".join(texts.values())
    for file in box.keys.rglob("*"):
        if file.is_file():
            for word in file.read_text().split():
                assert len(word) < 12 or word not in told, file
    for personal in ("3号楼", "柳岸", "值班台", "城北派出所"):
        assert personal not in texts["shouwang-doctor/site.json"]
    assert json.loads(texts["shouwang-doctor/site.json"])["gateway"][0]["id"] == "gw1"


def test_the_command_says_it_in_both_languages_and_ends_with_the_verdict(box: Patient, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "deploy.cli", "doctor", str(box.path), "--id", "gw1", "--state", str(box.state),
        "--keys", str(box.keys), "--broker-port", str(box.broker_port),
    ]  # fmt: skip
    os.utime(box.state / "health.json", (time.time(), time.time()))
    done = subprocess.run([*command, "--lang", "en"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "keys: keys are there" in done.stdout
    (box.state / "health.json").unlink()
    done = subprocess.run(
        [*command, "--json", "--bundle", str(tmp_path / "b.tar.gz")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert {one["what"]: one["state"] for one in json.loads(done.stdout)}["gateway"] == "bad"
    assert (tmp_path / "b.tar.gz").exists()


@pytest.mark.proves("A10")
def test_the_end_of_the_stations_certificate_is_told_before_it_comes(box: Patient, tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    signs = authority.establish(tmp_path / "ca", name="x", passphrase=None, now=now)
    authority.put_station(signs.server(authority.names_of(["192.168.1.10"]), now=now), signs, tmp_path / "tls")
    box.path.write_text(box.path.read_text() + f'\n[tls]\nfolder = "{tmp_path / "tls"}"\n')
    station = replace(box, gateway=None)
    for days, state in ((1, State.GOOD), (380, State.DOUBTFUL), (398, State.BAD)):
        at = replace(station, now_ms=int((now + timedelta(days=days)).timestamp() * 1_000))
        assert found(at)["https"].state is state
        assert found(at)["https"].mend == (None if state is State.GOOD else "shouwang ca renew")
    assert "https" not in found(box)  # that of a gateway is not here
    (tmp_path / "tls/station.crt").unlink()
    assert found(station)["https"].state is State.BAD


@pytest.mark.proves("N8", "F58", "F59")
def test_a_gateways_own_certificate_is_tried_at_the_broker_and_its_end_is_told(box: Patient, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    now_ms = int(now.timestamp() * 1_000)
    site = Certified.made(tmp_path / "pki", now=datetime.now(UTC))
    user = Principal(station=StationId("north"), role=Role.GATEWAY, id="gw1")
    with PrivateBroker(tmp_path / "broker", [user], listener=site.listener()) as broker:
        assert broker._listener is not None
        where = f'host = "127.0.0.1"\nport = {broker._listener.port}\nmutual = true'
        box.path.write_text(box.path.read_text().replace("private = true", where))
        mutual = replace(box, broker_port=None, now_ms=now_ms)
        assert "shouwang provision gateway gw1" in found(mutual)["keys"].words.en
        own = box.keys / "gateways/gw1"
        pair = site.root.client(user.user, now=now)
        keys.put(own / "broker.key", pair.key)
        keys.put(own / "broker.crt", pair.certificate)
        keys.put(box.keys / "root.crt", (site.tls / "root.crt").read_bytes())
        well = found(mutual)
        assert [well[what].state for what in ("keys", "broker", "broker certificate", "ca")] == [State.GOOD] * 4
        soon = found(replace(mutual, now_ms=now_ms + 380 * 86_400_000))["broker certificate"]
        assert (soon.state, soon.mend) == (State.DOUBTFUL, "shouwang provision gateway gw1 --renew")
        late = found(replace(mutual, now_ms=now_ms + 400 * 86_400_000))["broker certificate"]
        assert late.state is State.BAD
        site.root.revoke(user.user, now=datetime.now(UTC))
        authority.put_lists(site.root.directory, site.tls)
        broker.reload()
        eventually(lambda: found(mutual)["broker"].state is State.BAD, "it is refused")
        assert "does not take our certificate" in found(mutual)["broker"].words.en
