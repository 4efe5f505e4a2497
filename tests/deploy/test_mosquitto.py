"""A real mosquitto, started as the demo and the tests start it."""

import asyncio
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.acl import Principal
from broker.ids import StationId
from broker.messages import MAX_PAYLOAD
from broker.topics import Role
from deploy import mosquitto
from deploy.mosquitto import BrokerDied, BrokerError, BrokerSilent, MosquittoMissing, PrivateBroker
from tests.deploy.mailbox import PATIENCE_S, Mailbox, Refused

NORTH = StationId("north")
GATEWAY = Principal(station=NORTH, role=Role.GATEWAY, id="gw1")
POLICE = Principal(station=NORTH, role=Role.POLICE)
REPO = Path(__file__).parents[2]
ALARMS = "sw1/north/police/alarm"
NOBODY = 65_534

OWNER = """
import sys
from pathlib import Path
from deploy.mosquitto import PrivateBroker
broker = PrivateBroker(Path(sys.argv[1]), [])
broker.start()
print(broker.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path / "broker", [GATEWAY, POLICE]) as running:
        yield running


def owner_of_a_broker(directory: Path, *, user: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user,
        group=user,
    )


def ends(pid_descriptor: int) -> bool:
    return bool(select.select([pid_descriptor], [], [], PATIENCE_S)[0])


def test_it_lets_its_accounts_in_as_soon_as_it_has_started(broker: PrivateBroker) -> None:
    with Mailbox.of(broker, POLICE) as police, Mailbox.of(broker, GATEWAY) as gateway:
        police.subscribe(ALARMS)
        assert gateway.publish(ALARMS, b"help") == 0
        assert [arrival.payload for arrival in police.settled()] == [b"help"]


@pytest.mark.parametrize(
    ("user", "password"), [(None, None), ("north.police", "wrong"), ("north.police", ""), ("x", "x")]
)
def test_nobody_else_is_let_in(broker: PrivateBroker, user: str | None, password: str | None) -> None:
    with pytest.raises(Refused, match="Not authorized"):
        Mailbox(broker.port, user, password)


def test_it_listens_on_loopback_only(broker: PrivateBroker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE_S):
        pass
    with (
        pytest.raises(ConnectionRefusedError),
        socket.create_connection(("127.0.0.2", broker.port), timeout=PATIENCE_S),
    ):
        pass


def test_its_files_are_for_its_owner_alone(broker: PrivateBroker) -> None:
    assert broker.directory.stat().st_mode & 0o777 == 0o700
    for name in ("acl", "passwords", "mosquitto.conf"):
        assert (broker.directory / name).stat().st_mode & 0o777 == 0o600
    for password in broker.passwords.values():
        assert password not in (broker.directory / "passwords").read_text()


def test_given_passwords_are_taken_and_the_others_drawn(tmp_path: Path) -> None:
    made = PrivateBroker(tmp_path, [GATEWAY, POLICE], passwords={POLICE.user: "by hand"})
    assert made.password(POLICE) == made.passwords[POLICE.user] == "by hand"
    assert len(made.password(GATEWAY)) >= 16
    assert set(made.passwords) == {GATEWAY.user, POLICE.user}


def test_a_restart_keeps_port_and_accounts(broker: PrivateBroker) -> None:
    port, pid = broker.port, broker.pid
    broker.restart()
    assert broker.port == port
    assert broker.pid != pid
    with Mailbox.of(broker, POLICE):
        pass


def test_a_kill_ends_every_connection_and_a_start_brings_it_back(broker: PrivateBroker) -> None:
    police = Mailbox.of(broker, POLICE)
    broker.kill()
    assert police.lost.wait(PATIENCE_S)
    assert not broker.running
    with pytest.raises(BrokerError, match="does not run"):
        _ = broker.pid
    broker.start()
    with Mailbox.of(broker, POLICE):
        pass
    police.close()


def test_stopping_what_does_not_run_is_nothing(tmp_path: Path) -> None:
    broker = PrivateBroker(tmp_path / "broker", [])
    broker.stop()
    broker.start()
    broker.stop()
    broker.stop()
    broker.kill()
    assert not broker.running


def test_it_is_not_started_twice(broker: PrivateBroker) -> None:
    with pytest.raises(BrokerError, match="runs already"):
        broker.start()


def test_a_suspended_broker_answers_nobody_until_it_is_resumed(broker: PrivateBroker) -> None:
    broker.suspend()
    with socket.create_connection(("127.0.0.1", broker.port), timeout=0.2) as connection:
        connection.sendall(b"\xc0\x00")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    broker.resume()
    with Mailbox.of(broker, POLICE):
        pass
    broker.suspend()
    broker.stop()
    assert not broker.running


def test_two_brokers_live_side_by_side(broker: PrivateBroker, tmp_path: Path) -> None:
    with PrivateBroker(tmp_path / "other", [POLICE]) as other:
        assert other.port != broker.port
        with pytest.raises(Refused):
            Mailbox(other.port, POLICE.user, broker.password(POLICE))


def test_a_port_that_somebody_took_meanwhile_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        draws = iter([taken.getsockname()[1], mosquitto.free_port()])
        monkeypatch.setattr(mosquitto, "free_port", lambda: next(draws))
        with PrivateBroker(tmp_path / "broker", []) as broker:
            assert broker.port != taken.getsockname()[1]


def test_a_given_port_that_is_taken_is_an_error_that_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        broker = PrivateBroker(tmp_path / "broker", [], port=taken.getsockname()[1])
        with pytest.raises(BrokerDied, match="Address already in use") as caught:
            broker.start()
        assert "Address already in use" in caught.value.log
        assert not broker.running


def test_a_broken_rights_file_is_an_error_that_shows_what_mosquitto_said(tmp_path: Path) -> None:
    broker = PrivateBroker(tmp_path / "broker", [], render_acl=lambda _: "topic fly sw1/#\n")
    with pytest.raises(BrokerDied, match="acl"):
        broker.start()


def test_a_program_that_runs_and_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "mosquitto"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    broker = PrivateBroker(tmp_path / "broker", [])
    with pytest.raises(BrokerSilent, match=r"did not answer within 0\.1 s"):
        broker.start(timeout_s=0.1)
    assert not broker.running


def test_a_program_that_cannot_be_run_is_an_error_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mosquitto").write_bytes(b"\x7fno program")
    (tmp_path / "mosquitto").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerDied, match="Exec format error"):
        PrivateBroker(tmp_path / "broker", []).start()


def test_one_that_takes_too_long_to_stop_is_ended_by_force(broker: PrivateBroker) -> None:
    descriptor = os.pidfd_open(broker.pid)
    broker.stop(timeout_s=0)
    assert not broker.running
    assert ends(descriptor)
    os.close(descriptor)


def test_a_missing_mosquitto_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mosquitto, "SBIN", str(tmp_path))
    with pytest.raises(MosquittoMissing, match="apt-get install mosquitto"):
        PrivateBroker(tmp_path / "broker", []).start()


def test_it_is_found_where_an_ordinary_path_does_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with PrivateBroker(tmp_path / "broker", []) as broker:
        assert broker.running


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv: nothing ends mosquitto when we are killed")
def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    with owner_of_a_broker(tmp_path / "broker") as owner:
        assert owner.stdout is not None
        descriptor = os.pidfd_open(int(owner.stdout.readline()))
        try:
            owner.send_signal(signal.SIGKILL)
            assert ends(descriptor)
        finally:
            os.close(descriptor)


def test_it_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel's parent-death signal goes by thread."""
    broker = PrivateBroker(tmp_path / "broker", [POLICE])
    starter = threading.Thread(target=broker.start)
    starter.start()
    starter.join()
    with Mailbox.of(broker, POLICE):
        pass
    broker.stop()


def test_a_coroutine_starts_and_stops_it_through_a_thread(tmp_path: Path) -> None:
    async def scene() -> None:
        broker = PrivateBroker(tmp_path / "broker", [])
        await asyncio.to_thread(broker.start)
        assert broker.running
        await asyncio.to_thread(broker.stop)
        assert not broker.running

    asyncio.run(scene())


def readable_by_anybody(path: Path) -> bool:
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="is an ordinary user already: every other test shows it")
@pytest.mark.skipif(
    not readable_by_anybody(REPO) or not readable_by_anybody(Path(sys.executable).resolve()),
    reason="an ordinary user cannot read this checkout, or its interpreter",
)
def test_an_ordinary_user_can_start_it_too() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.chown(home, NOBODY, NOBODY)
        with owner_of_a_broker(Path(home) / "broker", user=NOBODY) as owner:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline())
            assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
            descriptor = os.pidfd_open(pid)
            owner.kill()
            assert ends(descriptor)
            os.close(descriptor)


@pytest.mark.proves("N10", "F28")
def test_a_second_connection_of_an_account_ends_the_first(broker: PrivateBroker) -> None:
    first = Mailbox.of(broker, GATEWAY)
    with Mailbox.of(broker, GATEWAY):
        assert first.lost.wait(PATIENCE_S)
    first.close()


@pytest.mark.proves("F26")
def test_the_largest_message_passes_and_a_larger_packet_ends_the_connection(broker: PrivateBroker) -> None:
    with Mailbox.of(broker, POLICE) as police, Mailbox.of(broker, GATEWAY) as gateway:
        police.subscribe(ALARMS)
        assert gateway.publish(ALARMS, bytes(MAX_PAYLOAD)) == 0
        assert [len(arrival.payload) for arrival in police.settled()] == [MAX_PAYLOAD]
    with socket.create_connection(("127.0.0.1", broker.port), timeout=PATIENCE_S) as raw:
        name, secret = (
            len(text).to_bytes(2, "big") + text.encode() for text in (GATEWAY.user, broker.password(GATEWAY))
        )
        hello = b"\x00\x04MQTT\x04\xc2\x00\x1e" + name + name + secret
        raw.sendall(b"\x10" + bytes([len(hello)]) + hello)
        assert raw.recv(4) == b"\x20\x02\x00\x00"
        raw.sendall(b"\x30\xff\xff\x03")  # a PUBLISH of 65,535 octets is announced
        raw.sendall(bytes(1_000))
        assert raw.recv(1) in {b"", b"\xe0"}
