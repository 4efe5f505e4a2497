"""Certificates at a real mosquitto while it runs: whose was revoked is cut off and does not come back."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.access import Access
from broker.acl import Principal, password_digest
from broker.topics import Role
from deploy import authority
from deploy.accounts import ACCESS_FILE
from deploy.authority import names_of
from deploy.handshakes import Handshakes
from deploy.mosquitto import LOOPBACK, PROBE, SBIN, PrivateBroker, free_port, write_private
from tests.api.peers import eventually
from tests.broker.village import STATION
from tests.deploy.authorities import Certified
from tests.deploy.mailbox import PATIENCE_S, Mailbox, Refused

POLICE = Principal(station=STATION, role=Role.POLICE)
FIRST, SECOND, THIRD = (Principal(station=STATION, role=Role.GATEWAY, id=f"gw{number}") for number in (1, 2, 3))
ALARMS = "sw1/north/police/alarm"
NOW = datetime.now(UTC)


@pytest.fixture
def site(tmp_path: Path) -> Certified:
    return Certified.made(tmp_path, now=NOW - timedelta(days=20))


@pytest.fixture
def broker(site: Certified, tmp_path: Path) -> Iterator[PrivateBroker]:
    with PrivateBroker(tmp_path / "broker", [POLICE, FIRST, SECOND, THIRD], listener=site.listener()) as running:
        yield running


def door(broker: PrivateBroker) -> int:
    assert broker._listener is not None
    return broker._listener.port


def shown(port: int, context: ssl.SSLContext) -> object:
    with (
        socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S) as raw,
        context.wrap_socket(raw, server_hostname=LOOPBACK) as connection,
    ):
        return (connection.getpeercert() or {})["serialNumber"]


def is_let_in(port: int, context: ssl.SSLContext) -> bool:
    try:
        with Mailbox.by_certificate(port, context):
            return True
    except (Refused, OSError):
        return False


@pytest.mark.proves("N10", "F59")
def test_a_revoked_gateway_is_cut_off_and_cannot_return_and_nobody_else_notices(
    site: Certified, broker: PrivateBroker
) -> None:
    port, bad, good = door(broker), site.client(FIRST), site.client(SECOND)
    third = site.client(THIRD)
    watch = Handshakes(site.tls, reload=broker.reload, cut=broker.cut)
    watch.begin()
    with (
        Mailbox.by_certificate(port, bad) as stolen,
        Mailbox.by_certificate(port, good) as other,
        Mailbox.by_certificate(port, third) as also_stolen,
        Mailbox.by_certificate(port, site.client(POLICE)) as police,
    ):
        police.subscribe("#")
        assert stolen.publish(ALARMS, b"before") == 0
        assert watch.look() == ()
        site.root.revoke(FIRST.user, now=datetime.now(UTC))
        assert watch.look() == (), "a list that lies with the authority counts nowhere"
        authority.put_lists(site.root.directory, site.tls)
        assert watch.look() == (FIRST.user,)
        assert stolen.lost.wait(PATIENCE_S)
        assert not is_let_in(port, bad)
        site.root.revoke(THIRD.user, now=datetime.now(UTC))  # within the same second: the later list has to count
        authority.put_lists(site.root.directory, site.tls)
        assert watch.look() == (THIRD.user,)
        assert also_stolen.lost.wait(PATIENCE_S)
        assert not is_let_in(port, third)
        assert not is_let_in(port, bad)
        assert watch.look() == ()
        assert other.publish(ALARMS, b"after") == 0
        assert [one.payload for one in police.settled() if one.topic == ALARMS] == [b"before", b"after"]
        assert not other.lost.is_set()
        assert not police.lost.is_set()
    again = site.client(FIRST)
    assert is_let_in(port, again), "the same box, set up anew"
    assert (broker.directory / "passwords").read_text().count(f"{FIRST.user}:") == 1
    broker.restart()
    assert not is_let_in(port, bad)


def test_a_renewed_certificate_is_shown_without_a_restart(site: Certified, broker: PrivateBroker) -> None:
    port, police = door(broker), site.client(POLICE)
    watch = Handshakes(site.tls, reload=broker.reload, cut=broker.cut)
    watch.begin()
    before = shown(port, police)
    with Mailbox.by_certificate(port, police) as stays:
        authority.put_station(site.root.server(names_of([LOOPBACK]), now=NOW), site.root, site.tls)
        watch.look()
        asked = site.client("north.observer")
        eventually(lambda: shown(port, asked) != before, "the new certificate is shown", deadline_s=PATIENCE_S)
        assert not stays.lost.is_set()


def test_a_list_that_cannot_be_read_is_told_once_and_changes_nothing(site: Certified) -> None:
    told: list[str] = []
    reloads: list[int] = []
    watch = Handshakes(site.tls, reload=lambda: reloads.append(1), cut=print, told=told.append)
    watch.begin()
    (site.tls / "revoked.crl").write_text("half a li")
    assert (watch.look(), watch.look()) == ((), ())
    assert len(told) == 1
    assert not reloads


def test_one_whose_name_nobody_brought_along_is_named_by_its_number(site: Certified) -> None:
    told, cut = list[str](), list[str]()
    watch = Handshakes(site.tls, reload=lambda: None, cut=cut.append, told=told.append)
    watch.begin()
    site.client(FIRST)
    [ended] = site.root.revoke(FIRST.user, now=NOW)
    shutil.copy(site.root.directory / "revoked.crl", site.tls / "revoked.crl")
    assert watch.look() == ()
    assert ended.serial in told[0]
    assert not cut


def test_a_broker_that_fails_meanwhile_is_tried_again(site: Certified) -> None:
    told, tries = list[str](), list[str]()

    def cut(user: str) -> None:
        tries.append(user)
        if len(tries) < 3:
            raise OSError("no such process")

    watch = Handshakes(site.tls, reload=lambda: None, cut=cut, told=told.append)
    watch.begin()
    site.client(FIRST)
    site.root.revoke(FIRST.user, now=NOW)
    authority.put_lists(site.root.directory, site.tls)
    assert [watch.look() for _ in range(4)] == [(), (), (FIRST.user,), ()]
    assert len(told) == 1


@pytest.mark.proves("F60", "F58")
def test_whoever_has_no_certificate_of_this_site_that_counts_today_is_not_let_in(
    site: Certified, broker: PrivateBroker, tmp_path: Path
) -> None:
    port = door(broker)
    elsewhere = Certified.made(tmp_path / "elsewhere")
    foreign = elsewhere.client(FIRST)
    foreign.load_verify_locations(site.root.directory / "root.crt")
    strangers = {
        "nobody": site.client(None),
        "of another authority": foreign,
        "ended": site.client(FIRST, now=NOW - timedelta(days=10), days=5),
        "not begun": site.client(FIRST, now=NOW + timedelta(days=10)),
        "a server's": as_server(site),
    }
    assert {who: is_let_in(port, context) for who, context in strangers.items()} == dict.fromkeys(strangers, False)
    old = site.client(FIRST)
    with pytest.deprecated_call():
        old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError, match=r"version|closed|reset|EOF"):
        shown(port, old)
    assert is_let_in(port, site.client(FIRST))


def as_server(site: Certified) -> ssl.SSLContext:
    """The station's own certificate, shown by somebody who took it: it is not for clients."""
    context = site.client(None)
    context.load_cert_chain(site.tls / "station.crt", site.tls / "station.key")
    return context


@contextmanager
def installed(out: Path) -> Iterator[int]:
    """mosquitto with the file that the command wrote, and nothing else."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
    assert program is not None
    text = (out / "mosquitto.conf").read_text()
    if os.geteuid() == 0:  # an installed one becomes mosquitto's own user, which may not read a test's folder
        (out / "mosquitto.conf").write_text(f"user root\n{text}")
    process = subprocess.Popen([program, "-c", str(out / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def shouwang(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.cli", *arguments]


@pytest.mark.proves("F59", "N4")
def test_an_installed_broker_is_started_as_the_command_wrote_it_and_follows_certificates_and_rights(
    site: Certified, tmp_path: Path
) -> None:
    """As on a machine of its own: the station's file, a folder of certificates, a process id."""
    out, access, pid = tmp_path / "mosquitto", tmp_path / ACCESS_FILE, tmp_path / "pid"
    out.mkdir()
    port, local = free_port(), free_port()
    given = {PROBE.user: password_digest("asks", salt=bytes(12))}
    write_private(access, Access(principals=(POLICE, FIRST, SECOND, PROBE), digests=given).text())
    common = ["broker", "render", "--access", str(access), "--out", str(out), "--tls", str(site.tls)]
    common += ["--listen", f"{LOOPBACK}:{port}", "--local-port", str(local)]
    assert subprocess.run(shouwang(*common), check=False, capture_output=True, timeout=60).returncode == 0
    assert (out / "mosquitto.conf").stat().st_mode & 0o777 == 0o600
    bad, good, police = site.client(FIRST), site.client(SECOND), site.client(POLICE)
    with installed(out) as process:
        pid.write_text(str(process))
        eventually(lambda: is_let_in(port, good), "the broker answers", deadline_s=PATIENCE_S)
        with Mailbox(local, PROBE.user, "asks"):  # the door for whoever looks after it
            pass
        follower = subprocess.Popen(shouwang(*common, "--follow", "--pid-file", str(pid)), stderr=subprocess.PIPE)
        try:
            with (
                Mailbox.by_certificate(port, bad) as stolen,
                Mailbox.by_certificate(port, good) as other,
                Mailbox.by_certificate(port, police) as desk,
            ):
                desk.subscribe("#")
                site.root.revoke(FIRST.user, now=datetime.now(UTC))
                authority.put_lists(site.root.directory, site.tls)
                assert stolen.lost.wait(PATIENCE_S)
                assert not is_let_in(port, bad)
                assert other.publish(ALARMS, b"works on") == 0
                write_private(access, Access(principals=(POLICE, PROBE), digests=given).text())
                eventually(lambda: other.publish(ALARMS, b"x") == 0x87, "its rights are gone", deadline_s=PATIENCE_S)
                assert ALARMS in {one.topic for one in desk.settled()}
        finally:
            follower.terminate()
            follower.communicate(timeout=PATIENCE_S)


def test_what_is_no_address_is_refused(site: Certified, tmp_path: Path) -> None:
    write_private(tmp_path / ACCESS_FILE, Access(principals=(POLICE,), digests={}).text())
    for text in ("8883", "0.0.0.0:", "0.0.0.0:99999", ":8883"):
        done = subprocess.run(
            shouwang("broker", "render", "--access", str(tmp_path / ACCESS_FILE), "--out", str(tmp_path),
                     "--tls", str(site.tls), "--listen", text),
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, "ADDRESS:PORT" in done.stderr) == (2, True), text
