"""`shouwang provision`: what a technician carries is whole, is nobody else's, and is told to nobody."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from api import certificates
from broker.acl import Principal
from broker.signing import STATION_KID
from broker.topics import Role
from deploy import assembly, authority, check, keys, provisioning
from deploy.keys import KeyMissing
from deploy.provisioning import ProvisioningError

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC)
Run = Callable[..., subprocess.CompletedProcess[str]]
PRIVATE = "private = true # shouwang starts a mosquitto of its own; another one: host, port, ca"
MUTUAL = 'host = "police.lan"\nport = 8883\nmutual = true'
SECOND = """
[[group]]
id = "ten9"
grid = "w1"
gateway = "gw2"

[[household]]
id = "h91"
group = "ten9"
door = 911
label = "别处人家"

[[gateway]]
id = "gw2"

[[gateway.line]]
name = "line1"
port = "/dev/ttyUSB0"

[[gateway.unit]]
id = "u91"
line = "line1"
address = 11
household = "h91"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as on the computer on which a site is prepared: site file with two gateways, and an authority."""
    text = (ROOT / "examples/village.toml").read_text(encoding="utf-8")
    assert PRIVATE in text
    site = text.replace(PRIVATE, MUTUAL)
    (tmp_path / "site.toml").write_text(site + SECOND, encoding="utf-8")
    authority.establish(tmp_path / "ca", name="village", passphrase=None, now=NOW)
    return tmp_path


@pytest.fixture
def run(desk: Path) -> Run:
    def one(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.cli", "provision", *arguments],
            cwd=desk, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return one


def secrets_in(folder: Path) -> set[str]:
    """Every long word of every file below that only its owner may read and that is no certificate."""
    words: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in {".crt", ".toml", ".env"} and path.name != "public":
            words |= set(re.findall(r"[A-Za-z0-9+/_-]{20,}", path.read_text()))
    return words


def everything_is_private(folder: Path) -> bool:
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*")) if path.is_dir()}
    return modes == {0o600} and folders == {0o700}


@pytest.mark.proves("N13")
def test_what_is_carried_to_a_gateway_starts_it_and_holds_nothing_of_anybody_else(run: Run, desk: Path) -> None:
    said = run("gateway", "gw2", "--site", "site.toml", "--ca", "ca", "--out", "stick/gw2", "--tls", "tls")
    out = desk / "stick/gw2"
    assert "专人携带" in said.stderr
    labels = re.findall(r'label = "([^"]+)"', (desk / "site.toml").read_text())
    assert len(labels) > 5
    assert not [label for label in labels if label in said.stdout + said.stderr]
    assert everything_is_private(out)
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert found == [
        "gateway.env", "keys/gateways/gw2/broker.crt", "keys/gateways/gw2/broker.key", "keys/gateways/gw2/seed",
        "keys/gateways/gw2/units", "keys/public", "keys/root.crt", "site.toml",
    ]  # fmt: skip
    assert (out / "gateway.env").read_text() == "GATEWAY=gw2\n"

    carried = check.check(out / "site.toml")
    assert [one.code for one in carried.problems if one.severity == "error"] == []
    text = (out / "site.toml").read_text(encoding="utf-8")
    assert "h91" in text
    assert not re.search(r'"h0\d"|desk|u0\d|\[tls\]|private', text)
    settings = assembly.gateway_settings(check.load(out / "site.toml"), keys.read(out / "keys"), "gw2", state=desk)
    assert settings.broker.password is None
    assert (settings.broker.host, settings.broker.port) == ("police.lan", 8883)
    assert settings.broker.certificate == out / "keys/gateways/gw2/broker.crt"
    assert settings.broker.ca == out / "keys/root.crt"
    assert [unit.id for unit in settings.units] == ["u91"]
    assert set(settings.known_keys) == {STATION_KID}

    certificate = certificates.read(out / "keys/gateways/gw2/broker.crt")
    assert certificate.name == "north.gateway.gw2"
    assert certificate.not_after_ms - certificate.not_before_ms <= 398 * 86_400_000
    listed = json.loads((desk / "tls/issued.json").read_text())
    assert [(row["name"], row["sort"]) for row in listed] == [("north.gateway.gw2", "client")]
    assert not [word for word in secrets_in(desk / "keys") | secrets_in(out) if word in said.stdout + said.stderr]
    assert "there is something already" in run(
        "gateway", "gw2", "--site", "site.toml", "--ca", "ca", "--out", "stick/gw2", code=2
    ).stderr  # fmt: skip


def test_a_gateway_that_serves_a_group_with_another_one_carries_what_it_must_know_of_it(desk: Path) -> None:
    """h91 hangs on gw2 and is in the group of gw1: each rings for the other."""
    text = (desk / "site.toml").read_text(encoding="utf-8")
    shared = text.replace(
        '[[household]]\nid = "h91"\ngroup = "ten9"', '[[household]]\nid = "h91"\ngroup = "ten1"\nremote = true'
    )
    before, _, after = shared.partition('[[group]]\nid = "ten9"')
    (desk / "site.toml").write_text(before + after.partition("\n\n")[2], encoding="utf-8")
    site = check.load(desk / "site.toml")
    provisioning.provision_gateway(
        site, (desk / "site.toml").read_text(encoding="utf-8"), "gw2",
        keyring=desk / "keys", out=desk / "gw2", signs=authority.open_authority(desk / "ca", None), now=NOW,
    )  # fmt: skip
    whole = assembly.gateway_settings(site, keys.read(desk / "keys"), "gw2", state=desk)
    carried = check.load(desk / "gw2/site.toml")
    part = assembly.gateway_settings(carried, keys.read(desk / "gw2/keys"), "gw2", state=desk)
    names = ("households", "groups", "units", "lines", "known_keys", "tags", "unit_keys", "road")
    assert {name: getattr(part, name) for name in names} == {name: getattr(whole, name) for name in names}
    assert set(part.known_keys) == {STATION_KID, "gateway:gw1"}
    assert not (desk / "gw2/keys/gateways/gw1").exists()


def test_a_renewed_certificate_is_for_the_same_key_and_is_no_secret(run: Run, desk: Path) -> None:
    common = ("--site", "site.toml", "--ca", "ca")
    assert "leave --renew out" in run("gateway", "gw1", *common, "--out", "x", "--renew", code=2).stderr
    run("gateway", "gw1", *common, "--out", "stick")
    run("gateway", "gw1", *common, "--out", "renewed", "--renew")
    carried = [path for path in (desk / "renewed").rglob("*") if path.is_file()]
    assert [path.name for path in carried] == ["broker.crt"]
    old, new = (
        x509.load_pem_x509_certificate(path.read_bytes())
        for path in (desk / "stick/keys/gateways/gw1/broker.crt", carried[0])
    )
    assert old.public_key() == new.public_key()
    assert old.serial_number != new.serial_number
    (desk / "keys/gateways/gw1/broker.crt").write_bytes((desk / "keys/root.crt").read_bytes())
    assert "not that of north.gateway.gw1" in run(
        "gateway", "gw1", *common, "--out", "other", "--renew", code=2
    ).stderr  # fmt: skip


def test_the_station_comes_by_certificate_too_and_says_what_is_missing(run: Run, desk: Path) -> None:
    site, folder = check.load(desk / "site.toml"), desk / "keys"
    keys.provision(site, folder)
    with pytest.raises(KeyMissing, match="shouwang provision station"):
        assembly.station_settings(site, keys.read(folder), state=desk)
    with pytest.raises(KeyMissing, match="shouwang provision gateway gw1"):
        assembly.gateway_settings(site, keys.read(folder), "gw1", state=desk)
    run("station", "--site", "site.toml", "--ca", "ca", "--tls", "tls")
    made = assembly.station_settings(site, keys.read(folder), state=desk)
    assert made.broker.password is None
    assert certificates.read(folder / "station/broker.crt").name == made.broker.user == "north.station"
    assert json.loads(assembly.station_text(made))["broker"]["certificate"] == str(folder / "station/broker.crt")
    (folder / "station/broker.key").chmod(0o640)
    with pytest.raises(keys.KeysExposed, match="chmod 600"):
        keys.read(folder).identity(STATION_KID)


def test_labels_of_units_have_their_keys_and_nobody_else_reads_them(run: Run, desk: Path) -> None:
    said = run("unit", "u01", "u91", "--site", "site.toml", "--out", "labels.html")
    page = (desk / "labels.html").read_text(encoding="utf-8")
    assert (desk / "labels.html").stat().st_mode & 0o777 == 0o600
    known = keys.read(desk / "keys").units
    for unit, key in known.items():
        words = " ".join(key.hex()[at : at + 4] for at in range(0, 32, 4))
        assert (words in page) is (unit in {"u01", "u91"})
        assert key.hex() not in said.stdout + said.stderr
    assert page.count("<svg") == 2
    assert "gw2 line1 11" in page
    assert "no unit 'u99'" in run("unit", "u99", "--site", "site.toml", "--out", "more.html", code=2).stderr
    assert not (desk / "more.html").exists()


def test_a_household_gets_a_certificate_that_reads_its_own_and_a_word_about_its_rights(run: Run, desk: Path) -> None:
    common = ("--site", "site.toml", "--ca", "ca")
    said = run("user", "household:h91", *common, "--out", "ha")
    assert "until the desk gives it an account" in said.stderr
    assert everything_is_private(desk / "ha")
    note = json.loads((desk / "ha/broker.json").read_text())
    assert note["subscribe"] == ["sw1/north/household/h91/alarm", "sw1/north/household/h91/update"]
    assert (note["user"], note["host"], note["port"]) == ("north.household.h91", "police.lan", 8883)
    assert certificates.read(desk / "ha/broker.crt").name == "north.household.h91"
    assert run("user", "police", *common, "--out", "desk").stderr == ""
    assert "until the desk" in run("user", "police@desk-2", *common, "--out", "desk2").stderr
    for wrong in ("station", "gateway:gw1", "household", "household:H 1", "police:x"):
        run("user", wrong, *common, "--out", "wrong", code=2)
    assert not (desk / "wrong").exists()


def test_what_cannot_be_done_is_said_in_a_sentence(run: Run, desk: Path) -> None:
    assert "give --ca" in run("gateway", "gw1", "--site", "site.toml", "--out", "x", code=2).stderr
    assert "no gateway 'gw9'" in run("gateway", "gw9", "--site", "site.toml", "--ca", "ca", "--out", "x", code=2).stderr
    assert "bring the medium" in run("gateway", "gw1", "--site", "site.toml", "--ca", "no", "--out", "x", code=2).stderr
    assert not (desk / "x").exists()
    text = (desk / "site.toml").read_text(encoding="utf-8").replace(MUTUAL, "private = true")
    (desk / "site.toml").write_text(text, encoding="utf-8")
    run("gateway", "gw1", "--site", "site.toml", "--out", "plain")
    assert (desk / "plain/keys/gateways/gw1/account").exists(), "without certificates it comes by its password"
    long = Principal(station=check.load(desk / "site.toml").station.id, role=Role.HOUSEHOLD, id="h" * 32, seat="s" * 32)
    signs = authority.open_authority(desk / "ca", None)
    with pytest.raises(authority.AuthorityError, match="more than 64"):
        signs.client(long.user, now=NOW + timedelta(days=1))
    with pytest.raises(ProvisioningError, match="no unit"):
        provisioning.labels(check.load(desk / "site.toml"), ["nobody"], keyring=desk / "keys")
