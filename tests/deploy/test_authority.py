"""`shouwang ca`: an authority of one's own that phones may trust without fear of it."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from api import certificates
from deploy import authority
from deploy.authority import Authority, AuthorityError, NotPermitted, WrongTime, names_of

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "一句话 correct horse"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    return authority.establish(tmp_path / "ca", name="北关派出所", permit=["example.org"], passphrase=SECRET, now=NOW)


def verify(root: Path, certificate: Path, *more: str, at: datetime = NOW) -> subprocess.CompletedProcess[str]:
    """As OpenSSL judges it, which knows nothing of us."""
    at_s = str(int(at.timestamp()))
    command = ["openssl", "verify", "-attime", at_s, "-CAfile", str(root), *more, str(certificate)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_openssl_accepts_what_the_authority_signed_for_its_names_and_for_nothing_else(
    root: Authority, tmp_path: Path
) -> None:
    pair = root.server(names_of(["police.lan", "192.168.1.10", "fd00::1", "desk.example.org"]), now=NOW)
    authority.put_station(pair, root, tmp_path / "tls")
    made, ca = tmp_path / "tls/station.crt", root.directory / "root.crt"
    for good in (["-verify_hostname", "police.lan"], ["-verify_ip", "192.168.1.10"], ["-verify_ip", "fd00::1"],
                 ["-verify_hostname", "desk.example.org"], ["-purpose", "sslserver", "-x509_strict"]):  # fmt: skip
        assert verify(ca, made, *good).returncode == 0, good
    for bad in (["-verify_hostname", "bank.example.com"], ["-verify_ip", "8.8.8.8"], ["-purpose", "sslclient"]):
        assert verify(ca, made, *bad).returncode != 0, bad
    assert verify(ca, made, at=NOW - timedelta(hours=20)).returncode == 0  # a desk whose clock is slow
    assert verify(ca, made, at=NOW + timedelta(days=395)).returncode == 0
    assert verify(ca, made, at=NOW + timedelta(days=397)).returncode != 0
    alone = root.server(names_of(["192.168.1.10"]), now=NOW)  # most stations have no name at all
    (tmp_path / "alone.crt").write_bytes(alone.certificate)
    assert verify(ca, tmp_path / "alone.crt", "-verify_ip", "192.168.1.10").stderr == ""
    assert alone.issued.name == "192.168.1.10"
    read = certificates.read(made)
    assert read.not_after_ms - read.not_before_ms == 397 * 86_400_000
    assert read.name == "police.lan"
    assert all(read.covers(host) for host in ("police.lan", "POLICE.lan", "192.168.1.10", "[fd00::1]", "fd00:0::1"))
    assert not any(read.covers(host) for host in ("lan", "x.police.lan", "192.168.1.11", "", "*"))
    assert (tmp_path / "tls/station.key").stat().st_mode & 0o777 == 0o600


def test_a_stolen_root_cannot_sign_for_the_internet_nor_make_another_that_could(
    root: Authority, tmp_path: Path
) -> None:
    with pytest.raises(NotPermitted, match=r"bank\.example\.com"):
        root.server(names_of(["bank.example.com"]), now=NOW)
    with pytest.raises(NotPermitted, match=r"8\.8\.8\.8"):
        root.server(names_of(["police.lan", "8.8.8.8"]), now=NOW)

    def forged(signer: ec.EllipticCurvePrivateKey, issuer: x509.Name, name: x509.GeneralName, *, ca: bool) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"thief {ca}")])
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .sign(signer, hashes.SHA256())
        )  # fmt: skip
        path = tmp_path / f"{made.serial_number}.crt"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        if ca:
            below = forged(key, subject, x509.DNSName("police.lan"), ca=False)
            done = verify(root.directory / "root.crt", below, "-untrusted", str(path))
            assert "path length constraint exceeded" in done.stderr
        return path

    stolen = root._key
    for name in (x509.DNSName("bank.example.com"), x509.IPAddress(ip_address("8.8.8.8")),
                 x509.IPAddress(ip_address("2001:db8::1"))):  # fmt: skip
        done = verify(root.directory / "root.crt", forged(stolen, root.root.subject, name, ca=False))
        assert "permitted subtree violation" in done.stderr, name
    assert (
        verify(root.directory / "root.crt", forged(stolen, root.root.subject, x509.DNSName("a.lan"), ca=False)).stderr
        == ""
    )
    forged(stolen, root.root.subject, x509.DNSName("a.lan"), ca=True)


def test_the_root_key_needs_its_passphrase_and_may_be_read_by_nobody_else(root: Authority, tmp_path: Path) -> None:
    key = root.directory / "root.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert root.directory.stat().st_mode & 0o777 == 0o700
    assert b"ENCRYPTED" in key.read_bytes()
    for wrong in (None, "", "correct horse"):
        with pytest.raises(authority.WrongPassphrase):
            authority.open_authority(root.directory, wrong)
    authority.open_authority(root.directory, SECRET)
    key.chmod(0o640)
    with pytest.raises(AuthorityError, match="chmod 600"):
        authority.open_authority(root.directory, SECRET)
    key.chmod(0o600)
    other = authority.establish(tmp_path / "other", name="x", passphrase=None, now=NOW)
    shutil.copy(other.directory / "root.key", key)
    with pytest.raises(AuthorityError, match="not the key of the root"):
        authority.open_authority(root.directory, None)
    key.unlink()
    with pytest.raises(authority.NoAuthority, match="bring the medium"):
        authority.open_authority(root.directory, SECRET)
    with pytest.raises(authority.NoAuthority, match="phones trust it"):
        authority.establish(root.directory, name="x", passphrase=None, now=NOW)


def test_a_clock_that_cannot_be_right_signs_nothing(root: Authority, tmp_path: Path) -> None:
    with pytest.raises(WrongTime, match="1970-01-01"):
        authority.establish(tmp_path / "new", name="x", passphrase=None, now=datetime(1970, 1, 1, tzinfo=UTC))
    with pytest.raises(WrongTime):
        root.server(names_of(["police.lan"]), now=NOW - timedelta(days=40))
    with pytest.raises(WrongTime):
        root.server(names_of(["police.lan"]), now=NOW + timedelta(days=3_700))
    late = root.server(names_of(["police.lan"]), now=NOW + timedelta(days=3_500))
    assert late.issued.not_after == int(root.root.not_valid_after_utc.timestamp())  # and not a day longer


@pytest.mark.parametrize("text", ["", "*.lan", "a b", "1.2.3", "守望.lan", "-", "a..b", "a" * 64, "/", "http://a.lan"])
def test_what_is_no_name_of_a_server_is_refused(text: str) -> None:
    if text == "-":
        text = "a_b.lan"
    with pytest.raises(ValueError, match="neither a DNS name"):
        names_of(["police.lan", text])


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "10.0.0.1/8", "a/b", "*"])
def test_nobody_permits_the_whole_internet_by_mistake(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"whole internet|no network|neither"):
        authority.establish(tmp_path / "ca", name="x", permit=[text], passphrase=None, now=NOW)
    assert not (tmp_path / "ca").exists()


def test_what_is_revoked_stands_in_the_list_that_brokers_read(root: Authority, tmp_path: Path) -> None:
    for user in ("north.gateway.g1", "north.gateway.g2"):
        pair = root.client(user, now=NOW)
        (tmp_path / user).write_bytes(pair.certificate)
    found = x509.load_pem_x509_certificate((tmp_path / "north.gateway.g1").read_bytes())
    [common] = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common.value == "north.gateway.g1"
    uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    crl, ca = str(root.directory / "revoked.crl"), root.directory / "root.crt"
    for user in ("north.gateway.g1", "north.gateway.g2"):
        assert verify(ca, tmp_path / user, "-crl_check", "-CRLfile", crl).returncode == 0
    [ended] = root.revoke("north.gateway.g1", now=NOW)
    assert ended.revoked == int(NOW.timestamp())
    assert "revoked" in verify(ca, tmp_path / "north.gateway.g1", "-crl_check", "-CRLfile", crl).stderr
    assert verify(ca, tmp_path / "north.gateway.g2", "-crl_check", "-CRLfile", crl).returncode == 0
    with pytest.raises(AuthorityError, match="no certificate"):
        root.revoke("north.gateway.g1", now=NOW)
    assert [row.revoked is None for row in authority.listed(root.directory)] == [False, True]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def one(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.cli", "ca", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return one


def test_the_command_goes_from_the_first_root_to_a_renewed_certificate(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\nnot this\n")
    word = ("--ca", "ca", "--passphrase-file", "secret")
    said = run("init", *word, "--name", "北关派出所", "--permit", "police.example.org")
    assert "Keep ca on two sticks" in said.stderr
    assert "U 盘" in said.stderr
    run("station", *word, "--out", "tls", "police.lan", "192.168.1.10", "police.example.org")
    first = certificates.read(tmp_path / "tls/station.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls/station.crt", tmp_path / "tls/station.key")
    run("renew", *word, "--out", "tls")
    second = certificates.read(tmp_path / "tls/station.crt")
    context.load_cert_chain(tmp_path / "tls/station.crt", tmp_path / "tls/station.key")
    assert (second.domains, second.addresses) == (first.domains, first.addresses)
    assert second.sha256 != first.sha256
    told = json.loads(run("list", "--ca", "ca", "--json").stdout)
    assert [row["name"] for row in told["issued"]] == ["police.lan", "police.lan"]
    assert "police.example.org" in told["permitted"]
    assert told["sha256"] == certificates.read(tmp_path / "tls/root.crt").sha256
    assert told["sha256"] in said.stdout
    assert json.loads((tmp_path / "tls/issued.json").read_text()) == told["issued"]
    run("revoke", *word, told["issued"][0]["serial"])
    assert "revoked" in run("list", "--ca", "ca").stdout


def test_what_cannot_be_done_is_said_in_a_sentence(run: Run, tmp_path: Path) -> None:
    assert "shouwang ca init" in run("list", "--ca", "ca", code=2).stderr
    assert "nobody is here" in run("init", "--ca", "ca", "--name", "x", code=2).stderr
    (tmp_path / "short").write_text("short")
    assert "at least 8" in run("init", "--ca", "ca", "--name", "x", "--passphrase-file", "short", code=2).stderr
    run("init", "--ca", "ca", "--name", "x", "--unprotected")
    assert "phones trust it" in run("init", "--ca", "ca", "--name", "x", "--unprotected", code=2).stderr
    assert "may not sign for bank.com" in run("station", "--ca", "ca", "--out", "tls", "bank.com", code=2).stderr
    assert "neither a DNS name" in run("station", "--ca", "ca", "--out", "tls", "守望.lan", code=2).stderr
    assert "station.crt: No such file" in run("renew", "--ca", "ca", "--out", "tls", code=2).stderr
    assert "no certificate" in run("revoke", "--ca", "ca", "nobody", code=2).stderr
    assert not (tmp_path / "tls").exists()
