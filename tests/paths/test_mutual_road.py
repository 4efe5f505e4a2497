"""The whole road of a press through mutual TLS, with certificates that the commands made; strangers are refused."""

import contextlib
import json
import os
import shutil
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import authority
from deploy.mosquitto import LOOPBACK, free_port
from faults.town import Town, town
from tests.deploy.mailbox import PATIENCE_S, Mailbox, Refused

ROOT = Path(__file__).parents[2]
PRIVATE = "private = true"
WITHIN_S = 60.0
GATEWAY, POLICE = "north.gateway.gw1", "north.police"
EVENTS = "sw1/north/gateway/gw1/event"


def shouwang(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@dataclass
class Place:
    """A site whose broker, station and gateway know each other by certificate alone."""

    folder: Path
    town: Town
    port: int

    @property
    def tls(self) -> Path:
        return self.folder / "tls"

    @property
    def ca(self) -> Path:
        return self.folder / "ca"

    def context(self, certificate: Path, key: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.tls / "root.crt"))
        context.load_cert_chain(certificate, key)
        return context

    def lets_in(self, context: ssl.SSLContext) -> bool:
        try:
            with Mailbox.by_certificate(self.port, context):
                return True
        except (Refused, OSError):
            return False

    def is_up(self) -> bool:
        """Whether the gateway says that it is connected."""
        try:
            health = json.loads((self.town.box.gateway_state() / "health.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(health["uplink"]["up"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("mutual")
    ca, tls, https, port = folder / "ca", folder / "tls", free_port(), free_port()

    def prepared(site: Path, keys: Path) -> None:
        """What a technician types."""
        shouwang("ca", "init", "--ca", str(ca), "--name", "village", "--unprotected")
        shouwang("ca", "station", "--ca", str(ca), "--out", str(tls), LOOPBACK)
        common = ("--site", str(site), "--keys", str(keys), "--ca", str(ca), "--tls", str(tls))
        shouwang("provision", "station", *common)
        shouwang("provision", "gateway", "gw1", *common, "--out", str(folder / "carried"))

    changed = [(PRIVATE, f'private = true\nmutual = true\nhost = "{LOOPBACK}"\nport = {port}')]
    more = (
        f'\n[tls]\nfolder = "{tls}"\nport = {https}\n'
        f'\n[road]\nurl = "https://{LOOPBACK}:{https}"\nca = "{tls / "root.crt"}"\nafter_s = 1\n'
    )
    with ExitStack() as stack:
        running = stack.enter_context(town(folder / "town", more=more, changed=changed, prepared=prepared))
        yield Place(folder, running, port)


@pytest.mark.proves("A1", "N2", "N13")
def test_a_press_rings_reaches_the_station_and_is_receipted_where_nobody_has_a_password(place: Place) -> None:
    running = place.town
    running.wait_greeted()
    text = (running.box.directory / "broker/mosquitto.conf").read_text()
    assert f"listener {place.port} {LOOPBACK}" in text
    assert "require_certificate true" in text
    assert "crlfile" in text
    settings = json.loads((running.box.directory / "station/settings.json").read_text())["broker"]
    assert settings["password"] is None
    message = running.press("u03")
    running.wait_siren("u08", message)
    running.settle()
    [alarm] = running.box.get("/api/v1/alarms")["items"]
    assert alarm["place"] == "h03"
    assert not running.verdict().wrong
    log = "".join(path.read_text(errors="replace") for path in running.box.directory.glob("*.log"))
    for path in (running.box.directory / "keys").rglob("*"):
        if path.name in {"seed", "broker.key", "units"}:
            assert not [line for line in path.read_text().splitlines() if len(line) > 30 and line in log], path.name


@pytest.mark.proves("F60", "F58")
def test_a_strangers_certificate_is_refused_and_one_of_another_name_is_that_name(place: Place, tmp_path: Path) -> None:
    signs = authority.open_authority(place.ca, None)
    foreign = authority.establish(tmp_path / "other", name="other", passphrase=None, now=datetime.now(UTC))

    def comes(who: authority.Pair) -> ssl.SSLContext:
        paths = tmp_path / f"{who.issued.serial}.crt", tmp_path / f"{who.issued.serial}.key"
        paths[0].write_bytes(who.certificate)
        paths[1].write_bytes(who.key)
        return place.context(*paths)

    now = datetime.now(UTC)
    assert not place.lets_in(comes(foreign.client(GATEWAY, now=now))), "the right name of another authority"
    assert not place.lets_in(comes(signs.client(GATEWAY, now=now - timedelta(days=0), days=0))), "ended"
    strange = comes(signs.client("north.gateway.gw9", now=now))  # ours, and nobody whom the register knows
    with Mailbox(place.port, GATEWAY, "x", tls=strange) as post:
        assert post.publish(EVENTS, b"as gw1 by the name in the packet") == 0x87
        post.subscribe("#")
        message = place.town.press("u04")
        place.town.wait_siren("u08", message)
        place.town.settle()
        assert post.settled() == []
    with Mailbox.by_certificate(place.port, comes(signs.client(POLICE, now=now))) as post:
        assert post.publish(EVENTS, b"police may read") == 0x87
    assert place.is_up(), "who came under other names put nobody out"


@pytest.mark.proves("F59", "N5", "N2")
def test_a_gateway_whose_certificate_is_revoked_is_cut_rings_on_and_delivers_again_with_a_new_one(
    place: Place,
) -> None:
    running, own = place.town, place.town.box.directory / "keys/gateways/gw1"
    stolen = place.folder / "carried/keys/gateways/gw1"
    thief = place.context(stolen / "broker.crt", stolen / "broker.key")
    running.box.wait_until(place.is_up, "the gateway is connected", timeout_s=WITHIN_S)
    shouwang("ca", "revoke", "--ca", str(place.ca), "--out", str(place.tls), GATEWAY)
    running.box.wait_until(lambda: not place.is_up(), "the gateway is cut off", timeout_s=WITHIN_S)
    running.box.wait_until(lambda: not place.lets_in(thief), "what was stolen opens nothing", timeout_s=PATIENCE_S)
    message = running.press("u05")
    running.wait_siren("u08", message)
    running.wait_confirmed(message)
    running.box.wait_until(
        lambda: any(one["place"] == "h05" for one in running.box.get("/api/v1/alarms")["items"]),
        "the police have it by the other road, which is its signature's",
        timeout_s=WITHIN_S,
    )
    for name in ("broker.crt", "broker.key"):
        (own / name).unlink()
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place.folder / "again")
    common = ("--site", str(running.box.site_path), "--keys", str(running.box.directory / "keys"))
    shouwang("provision", "gateway", "gw1", *common, "--ca", str(place.ca), "--tls", str(place.tls),
             "--out", str(place.folder / "again"))  # fmt: skip
    running.box.wait_until(place.is_up, "it comes back with its new certificate, by itself", timeout_s=60)
    assert not place.lets_in(thief)
    running.settle()
    assert not running.verdict().wrong


@pytest.mark.proves("F29", "F59", "N10", "N14")
def test_the_certificate_of_a_box_that_died_opens_nothing_and_the_new_boxs_is_believed(place: Place) -> None:
    running, keyring = place.town, place.town.box.directory / "keys"
    running.box.wait_until(place.is_up, "the gateway is connected", timeout_s=WITHIN_S)
    dead, office = place.folder / "dead", place.folder / "office"
    running.gateway.kill()
    shutil.copytree(keyring / "gateways/gw1", dead)
    shutil.move(running.state, place.folder / "dead-state")
    old = place.context(dead / "broker.crt", dead / "broker.key")
    assert place.lets_in(old), "it was good until now"
    with closing(sqlite3.connect(running.database)) as tables, tables:  # else an administrator gives the role
        grant = "INSERT INTO account_grant (account, role, scope, from_ms, given_ms)"
        tables.execute(f"{grant} VALUES ('desk', 'duty_leader', 'north', 1, 1)")
    office.mkdir()
    (office / "token").write_text(running.box.tokens["desk"])
    shouwang("replace-gateway", "gw1", "--site", str(running.box.site_path), "--keys", str(keyring),
             "--ca", str(place.ca), "--tls", str(place.tls), "--out", str(place.folder / "new"),
             "--station", f"http://{LOOPBACK}:{running.box.http_port}", "--token", str(office / "token"))  # fmt: skip
    running.box.wait_until(lambda: not place.lets_in(old), "the old box is nobody", timeout_s=PATIENCE_S)
    carried = place.folder / "new/keys/gateways/gw1"
    assert place.lets_in(place.context(carried / "broker.crt", carried / "broker.key"))
    for name in ("seed", "broker.key", "broker.crt"):
        assert (carried / name).read_bytes() == (keyring / "gateways/gw1" / name).read_bytes()
        assert (carried / name).read_bytes() != (dead / name).read_bytes()
    assert (carried / "units").read_bytes() == (dead / "units").read_bytes()
    running.restart(running.gateway)
    running.box.wait_until(place.is_up, "the new box is connected by its certificate", timeout_s=WITHIN_S)
    message = running.press("u09")
    running.wait_siren("u08", message)

    def is_believed() -> bool:
        return any(one["place"] == "h09" and one["verified"] for one in running.box.get("/api/v1/alarms")["items"])

    running.box.wait_until(is_believed, "the police have its press, verified", timeout_s=WITHIN_S)
    assert not place.lets_in(old)
