"""`shouwang doctor`: what is not well is named with what mends it, and nothing secret goes to whoever helps."""

import json
import os
import pty
import re
import shutil
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
from deploy.listening import listeners
from deploy.mosquitto import PrivateBroker
from tests.api.peers import eventually
from tests.deploy.authorities import Certified

CANARY = "金丝雀七三一"
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
    root = tmp_path / "root"
    put(root, "sys/class/watchdog/watchdog0/state", "active\n")
    put(root, "sys/class/watchdog/watchdog0/timeout", "15\n")
    put(root, "proc/net/tcp", sockets(LOOPBACK_1883))
    return Patient(
        path=site, keys=tmp_path / "keys", state=state, gateway="gw1", broker_port=listening, now_ms=NOW_MS, root=root
    )


LOOPBACK_1883 = "0100007F:075B 00000000:0000 0A 11"
"""Local and remote address, state and inode of a socket, as /proc/net has them on a machine of little endian."""


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def sockets(*listed: str) -> str:
    lines = ["  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"]
    for one in listed:
        local, remote, state, inode = one.split()
        lines.append(f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1")
    return "\n".join([*lines, ""])


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
    assert unplugged.mend == "ls -l /dev/shouwang /dev/serial/by-id"


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
    tell(box, uplink={"up": False, "trouble": f"no {CANARY} 13812345678"}, queued=5, faults=["unit_silent u03"])
    box.path.write_text(box.path.read_text().replace('label = "', f'label = "{CANARY}'))
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
    assert "unit_silent u03" in texts["shouwang-doctor/health.json"]
    for personal in (CANARY, json.dumps(CANARY)[1:-1], "13812345678"):
        assert personal not in told
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
    only_tmp = "lies in memory" in done.stdout and done.stdout.count("✗") == 1  # where tests are run in tmpfs
    assert done.returncode == int(only_tmp), done.stdout + done.stderr
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


def test_a_port_whose_name_does_not_stay_is_told_with_the_name_that_does(box: Patient) -> None:
    port = re.findall(r'port = "(/dev/pts/\d+)"', box.path.read_text())[0]
    dev = box.root / "dev"
    dev.mkdir()
    (dev / "ttyUSB0").symlink_to(port)
    box.path.write_text(box.path.read_text().replace(f'"{port}"', f'"{dev}/ttyUSB0"'))
    nameless = found(box)["line line1"]
    assert nameless.state is State.DOUBTFUL
    assert nameless.mend is not None
    assert nameless.mend.startswith("udevadm trigger")

    by_id, socket_name = dev / "serial/by-id/usb-1a86_USB_Serial-if00-port0", dev / "shouwang/platform-x-usb-0_1_2_1_0"
    for name in (by_id, socket_name):
        name.parent.mkdir(parents=True)
        name.symlink_to(port)
    assert found(box)["line line1"].mend == 'port = "/dev/shouwang/platform-x-usb-0_1_2_1_0"'
    assert found(box)["line line1"].state is State.DOUBTFUL

    box.path.write_text(box.path.read_text().replace(f'"{dev}/ttyUSB0"', f'"{by_id}"'))
    assert found(box)["line line1"].state is State.GOOD  # udev wrote nothing down of it
    device = Path(port).stat().st_rdev
    data = f"run/udev/data/c{os.major(device)}:{os.minor(device)}"
    put(box.root, data, "E:ID_SERIAL=1a86_USB_Serial\n")
    same_name = found(box)["line line1"]
    assert same_name.state is State.DOUBTFUL
    assert "no number of its own" in same_name.words.en
    assert same_name.mend == 'port = "/dev/shouwang/platform-x-usb-0_1_2_1_0"'
    put(box.root, data, "E:ID_SERIAL=FTDI_A10\nE:ID_SERIAL_SHORT=A10\n")
    assert found(box)["line line1"].state is State.GOOD
    box.path.write_text(box.path.read_text().replace(f'"{by_id}"', f'"{socket_name}"'))
    (box.root / data).unlink()
    assert found(box)["line line1"].state is State.GOOD


def test_a_journal_that_would_not_outlive_the_power_is_told(box: Patient) -> None:
    assert "lasting" not in found(box)  # nothing is known of mounts, and nothing is claimed
    for kind, state in (("ext4", State.GOOD), ("overlay", State.DOUBTFUL), ("tmpfs", State.BAD)):
        put(box.root, "proc/self/mounts", f"x / ext4 rw 0 0\ny {box.state.resolve().parent} {kind} rw 0 0\n")
        assert found(box)["lasting"].state is state
    put(box.root, "proc/self/mounts", f"x / overlay rw 0 0\ny {box.state.resolve()} ext4 rw 0 0\n")
    assert found(box)["lasting"].state is State.GOOD  # an overlay over the root, and a partition for what has to stay


def test_a_watchdog_that_is_missing_or_not_armed_is_told(box: Patient) -> None:
    assert "15 s" in found(box)["watchdog"].words.en
    put(box.root, "sys/class/watchdog/watchdog0/state", "inactive\n")
    assert found(box)["watchdog"].state is State.DOUBTFUL
    assert "shouwang-board" in str(found(box)["watchdog"].mend)
    (box.root / "sys/class/watchdog/watchdog0/state").unlink()
    assert found(box)["watchdog"].mend == "systemctl show --property=RuntimeWatchdogUSec"
    shutil.rmtree(box.root / "sys")
    assert "dtparam=watchdog=on" in str(found(box)["watchdog"].mend)
    assert "watchdog" not in found(replace(box, gateway=None))  # a server's is its own matter


@pytest.mark.skipif(sys.byteorder != "little", reason="the sockets here are those of a machine of little endian")
def test_whoever_can_be_reached_is_named_with_what_closes_it(box: Patient) -> None:
    """Sockets of a Raspberry Pi OS as it comes, with a broker that should have been on loopback."""
    assert found(box)["listening"].words.en == "1 port for this machine alone: 1883"
    put(
        box.root, "proc/net/tcp", sockets(
            LOOPBACK_1883, "00000000:0016 00000000:0000 0A 21", "00000000:22B3 00000000:0000 0A 22",
            "00000000:1F90 00000000:0000 0A 23", "0A00A8C0:9C40 0B00A8C0:22B3 01 24",
        ),
    )  # fmt: skip
    nowhere, everywhere = "0" * 32 + ":0000", "0" * 32
    itself = f"{'0' * 24}01000000:0277"
    put(box.root, "proc/net/tcp6", sockets(f"{everywhere}:0016 {nowhere} 0A 25", f"{itself} {nowhere} 0A 26"))
    put(box.root, "proc/net/udp", sockets("00000000:14E9 00000000:0000 07 27", "00000000:0044 00000000:0000 07 28"))
    put(box.root, "proc/net/udp6", sockets(f"{everywhere}:D431 {nowhere} 07 29"))
    for pid, inode, program, unit in (
        (101, 21, "sshd", "ssh.service"), (102, 22, "mosquitto", "mosquitto.service"),
        (103, 29, "thing", "system-thing.slice/thing.service"),
    ):  # fmt: skip
        put(box.root, f"proc/{pid}/comm", f"{program}\n")
        put(box.root, f"proc/{pid}/cgroup", f"0::/system.slice/{unit}\n")
        (box.root / f"proc/{pid}/fd").mkdir()
        (box.root / f"proc/{pid}/fd/3").symlink_to(f"socket:[{inode}]")
    told = {what.removeprefix("listening "): one for what, one in found(box).items() if what.startswith("listening ")}
    assert {what: one.mend for what, one in told.items() if one.state is State.DOUBTFUL} == {
        "tcp/22": "systemctl disable --now ssh",
        "tcp/8080": "sudo ss -lnp --tcp 'sport = :8080'",
        "tcp/8883": "cp /usr/share/doc/shouwang/examples/mosquitto.conf /etc/mosquitto/conf.d/shouwang.conf; "
        "systemctl restart mosquitto",
        "udp/5353": "systemctl disable --now avahi-daemon.socket avahi-daemon",
        "udp/54321": "systemctl disable --now thing.service",
    }
    assert {what for what, one in told.items() if one.state is State.GOOD} == {"udp/68"}
    assert "631" in found(box)["listening"].words.en
    assert "(sshd)" in told["tcp/22"].words.en
    assert all(one.words.zh and one.words.zh != one.words.en for one in told.values())

    text = box.path.read_text().replace("private = true", 'host = "10.0.0.1"\nport = 8883\nmutual = true')
    box.path.write_text(text + '\n[tls]\nfolder = "tls"\n')
    put(box.root, "proc/net/tcp", sockets("00000000:22B3 00000000:0000 0A 22", "00000000:20FB 00000000:0000 0A 23"))
    station = found(replace(box, gateway=None))
    assert [station[f"listening tcp/{port}"].state for port in (8443, 8883)] == [State.GOOD] * 2
    shutil.rmtree(box.keys / "station")  # a box with a gateway alone
    gateway = found(box)
    assert [gateway[f"listening tcp/{port}"].state for port in (8443, 8883)] == [State.DOUBTFUL] * 2


def test_whoever_listens_is_found_by_what_linux_says_of_this_very_machine(listening: int) -> None:
    [own] = [one for one in listeners(Path("/proc")) if (one.protocol, one.port) == ("tcp", listening)]
    assert own.loopback
    assert own.program == Path("/proc/self/comm").read_text().strip()
