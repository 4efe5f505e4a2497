"""The configuration that is shipped for more than one machine: certificates instead of passwords."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.acl import BrokerSettings, Principal, Tls, acl_file, broker_file
from broker.topics import Role
from deploy.mosquitto import LOOPBACK, SBIN, free_port
from tests.broker.village import STATION
from tests.deploy.mailbox import PATIENCE_S, Mailbox

POLICE = Principal(station=STATION, role=Role.POLICE)
GATEWAY = Principal(station=STATION, role=Role.GATEWAY, id="gw1")
DISMISSED = Principal(station=STATION, role=Role.GATEWAY, id="gw2")
ALARMS = "sw1/north/police/alarm"
ATTEMPTS = 400
ATTEMPT_S = 0.01


@dataclass
class Authority:
    """A certificate authority for one test, its files in `directory`."""

    directory: Path

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self._write("ca.pem", made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> x509.Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        addresses = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))])
        made = self._builder(subject, key).add_extension(addresses, False).sign(self._key, hashes.SHA256())
        self._write(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))
        self._write(
            f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        return made

    def revoke(self, certificate: x509.Certificate) -> None:
        now = datetime.now(UTC)
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - timedelta(days=1))
            .next_update(now + timedelta(days=1))
            .add_revoked_certificate(entry)
            .sign(self._key, hashes.SHA256())
        )
        self._write("revoked.pem", made.public_bytes(serialization.Encoding.PEM))

    def context(self, name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a refused certificate shows only after the handshake
        if name is not None:
            context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def _write(self, name: str, pem: bytes) -> None:
        (self.directory / name).write_bytes(pem)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    for name in ("broker", POLICE.user, GATEWAY.user):
        made.issue(name)
    made.revoke(made.issue(DISMISSED.user))
    return made


def handshake(port: int, context: ssl.SSLContext) -> None:
    """Raises OSError (ssl.SSLError is one) when the broker does not shake hands."""
    with (
        socket.create_connection((LOOPBACK, port), timeout=PATIENCE_S) as connection,
        context.wrap_socket(connection, server_hostname=LOOPBACK),
    ):
        pass


@pytest.fixture
def port(authority: Authority, tmp_path: Path) -> Iterator[int]:
    files = {name: str(tmp_path / name) for name in ("ca.pem", "broker.pem", "broker.key", "revoked.pem")}
    settings = BrokerSettings(
        directory=str(tmp_path),
        port=free_port(),
        run_as="root",
        tls=Tls(
            ca=files["ca.pem"],
            certificate=files["broker.pem"],
            key=files["broker.key"],
            revoked=files["revoked.pem"],
        ),
    )
    (tmp_path / "acl").write_text(acl_file([POLICE, GATEWAY, DISMISSED]))
    (tmp_path / "mosquitto.conf").write_text(broker_file(settings))
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path=SBIN)
    assert program is not None
    process = subprocess.Popen([program, "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        for _ in range(ATTEMPTS):
            with suppress(OSError):
                handshake(settings.port, authority.context(POLICE.user))
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(ATTEMPT_S)
        yield settings.port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.proves("N4")
def test_the_name_in_the_certificate_is_the_account(authority: Authority, port: int) -> None:
    police = Mailbox(
        port, "north.station", "a user name in the packet is not believed", tls=authority.context(POLICE.user)
    )
    gateway = Mailbox(port, None, None, tls=authority.context(GATEWAY.user))
    with police, gateway:
        police.subscribe("#")
        assert gateway.publish(ALARMS, b"help") == 0
        assert police.publish("sw1/north/police/update", b"forged") == 0x87
        assert [arrival.payload for arrival in police.settled()] == [b"help"]


def test_without_a_certificate_nobody_is_let_in(authority: Authority, port: int) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(port, authority.context(None))


@pytest.mark.proves("N10")
def test_a_revoked_certificate_is_not_let_in(authority: Authority, port: int) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(port, authority.context(DISMISSED.user))


def test_a_certificate_of_another_authority_is_not_let_in(authority: Authority, port: int, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    stranger = Authority(elsewhere)
    stranger.issue(POLICE.user)
    context = authority.context(None)
    context.load_cert_chain(elsewhere / f"{POLICE.user}.pem", elsewhere / f"{POLICE.user}.key")
    with pytest.raises(ssl.SSLError):
        handshake(port, context)
