"""The register's rights come to a mosquitto that runs: who is added is let in, who is taken away hears nothing more."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from broker.access import Access
from broker.acl import Principal, password_digest
from broker.ids import StationId
from broker.topics import Name, Role, build
from deploy import access as accessing
from deploy.access import Following
from deploy.accounts import ACCESS_FILE
from deploy.mosquitto import PROBE, PrivateBroker, write_private
from tests.api.peers import eventually
from tests.deploy.mailbox import Mailbox, Refused

STATION = StationId("north")
WITHIN_S = 60.0
"""How long it may take from the station's file until nobody hears by the old rights. mosquitto itself takes 0.1 s."""
NOT_AUTHORIZED = 0x87


def household(id_: str) -> Principal:
    return Principal(station=STATION, role=Role.HOUSEHOLD, id=id_)


def gateway(*alerted: str) -> Principal:
    held = frozenset(f"household:{one}" for one in alerted)
    return Principal(station=STATION, role=Role.GATEWAY, id="gw1", alerts=held)


def topic(id_: str) -> str:
    return build(Name.HOUSEHOLD_ALARM, STATION, id_)


def said(*principals: Principal, **passwords: str) -> Access:
    digests = {f"north.household.{id_}": password_digest(given, salt=bytes(12)) for id_, given in passwords.items()}
    return Access(principals=principals, digests=digests)


def let_in(broker: PrivateBroker, who: Principal, password: str) -> bool:
    try:
        with Mailbox(broker.port, who.user, password):
            return True
    except Refused:
        return False


@pytest.mark.proves("N4", "G1")
def test_rights_follow_the_stations_file_while_everybody_else_stays_connected(tmp_path: Path) -> None:
    path = tmp_path / ACCESS_FILE
    h1, h2, h3 = household("h1"), household("h2"), household("h3")
    with PrivateBroker(tmp_path / "broker", [gateway("h1", "h2"), h1, h2]) as broker:
        following = Following(path, broker.renew)
        following.start()
        try:
            with (
                Mailbox.of(broker, gateway()) as sender,
                Mailbox.of(broker, h1) as gone,
                Mailbox.of(broker, h2) as stays,
            ):
                gone.subscribe(topic("h1"))
                stays.subscribe(topic("h2"))
                assert sender.publish(topic("h3"), b"not yet") == NOT_AUTHORIZED

                write_private(path, said(gateway("h2", "h3"), h2, h3, h3="new").text())
                eventually(lambda: let_in(broker, h3, "new"), "the new household is let in", deadline_s=WITHIN_S)
                assert gone.lost.wait(WITHIN_S), "whoever has no account any more is cut off"
                assert not let_in(broker, h1, broker.password(h1))
                with Mailbox(broker.port, h3.user, "new") as post:
                    post.subscribe(topic("h3"), topic("h2"))
                    for id_ in ("h3", "h2"):
                        assert sender.publish(topic(id_), id_.encode()) == 0
                    assert sender.publish(topic("h1"), b"x") == NOT_AUTHORIZED
                    assert [arrival.payload for arrival in post.settled()] == [b"h3"]
                assert [arrival.payload for arrival in stays.settled()] == [b"h2"]
                assert gone.arrived == []
                assert not sender.lost.is_set()
                assert not stays.lost.is_set()
        finally:
            following.stop()


@pytest.mark.proves("N4", "G1")
def test_another_password_ends_the_connection_that_was_made_with_the_one_before(tmp_path: Path) -> None:
    h1 = household("h1")
    with PrivateBroker(tmp_path, [h1]) as broker, Mailbox.of(broker, h1) as post:
        broker.renew(said(h1, h1="another"))
        assert post.lost.wait(WITHIN_S)
        assert not let_in(broker, h1, broker.password(h1))
        assert let_in(broker, h1, "another")
        broker.restart()
        assert let_in(broker, h1, "another")


@pytest.mark.proves("N4")
def test_a_file_that_nobody_can_read_changes_nothing_and_is_told_once(tmp_path: Path) -> None:
    path, told, renewed = tmp_path / ACCESS_FILE, list[str](), list[Access]()
    following = Following(path, renewed.append, told=told.append)
    assert not following.look()
    path.write_text("half a te")
    assert not following.look()
    assert not following.look()
    assert len(told) == 1
    write_private(path, said(gateway()).text())
    assert following.look()
    assert not following.look()
    assert renewed == [said(gateway())]


def test_a_broker_whose_folder_refuses_is_tried_again(tmp_path: Path) -> None:
    path, told, tries = tmp_path / ACCESS_FILE, list[str](), list[Access]()

    def renew(one: Access) -> None:
        tries.append(one)
        if len(tries) < 3:
            raise OSError("the disk is full")

    write_private(path, said(gateway()).text())
    following = Following(path, renew, told=told.append)
    assert [following.look() for _ in range(4)] == [False, False, True, False]
    assert told == ["rights at the broker: the disk is full"]


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.cli", "broker", "render", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.proves("G1", "N4")
def test_for_an_installed_broker_the_command_writes_both_files_and_lets_it_read_them(tmp_path: Path) -> None:
    """As on another machine: the station's file, and a mosquitto of which only the process id is known."""
    h1, h2 = household("h1"), household("h2")
    with PrivateBroker(tmp_path / "broker", [h1]) as broker, Mailbox.of(broker, h1) as post:
        (tmp_path / "pid").write_text(f"{broker.pid}\n")
        path = tmp_path / "access.json"
        path.write_text(said(replace(PROBE), h2, gateway(), h2="given").text())
        done = render("--access", str(path), "--out", str(broker.directory), "--pid-file", str(tmp_path / "pid"))
        assert done.returncode == 0, done.stderr
        assert "north.gateway.gw1 has no password" in done.stderr
        assert post.lost.wait(WITHIN_S)
        assert let_in(broker, h2, "given")
    for name in ("acl", "passwords"):
        assert (tmp_path / "broker" / name).stat().st_mode & 0o777 == 0o600
    missing = render("--state", str(tmp_path / "nowhere"), "--out", str(tmp_path))
    assert (missing.returncode, "the station writes it" in missing.stderr) == (3, True)
    path.write_text("{}")
    assert render("--access", str(path), "--out", str(tmp_path)).returncode == 2


def test_what_is_no_process_id_is_not_signalled(tmp_path: Path) -> None:
    for text in ("", "1", "-5", "0", "mosquitto"):
        (tmp_path / "pid").write_text(text)
        with pytest.raises(OSError, match="no process id"):
            accessing.reload(tmp_path / "pid")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_whoever_owns_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 4_321, 4_322)
    accessing.render(said(gateway()), tmp_path, passwords={}, digests={})
    for name in ("acl", "passwords"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4_321, 4_322, 0o600)
