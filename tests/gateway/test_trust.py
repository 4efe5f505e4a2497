"""A gateway whose clock is behind, and certificates that lie in its future."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from deploy import authority
from deploy.authority import names_of
from deploy.mosquitto import PrivateBroker
from gateway.https import Client, HttpError, address_of
from gateway.mqtt import Access, MqttLink
from tests.gateway.place import GATEWAY
from tests.gateway.station import THE_GATEWAY
from tests.gateway.stationhttp import serving
from tests.gateway.test_mqtt import Hearer, Tunnel
from tests.gateway.waiting import until

pytestmark = pytest.mark.anyio

AHEAD = timedelta(days=300)
Sign = Callable[..., tuple[Path, Path]]


@pytest.fixture
def sign(tmp_path: Path) -> Sign:
    """A root, and a certificate with its key in one file, signed when the right time is `at`."""

    def one(name: str, at: datetime, *, host: str = "127.0.0.1") -> tuple[Path, Path]:
        root = authority.establish(tmp_path / name, name=name, passphrase=None, now=at)
        pair = root.server(names_of([host]), now=at)
        whole = tmp_path / f"{name}.pem"
        whole.write_bytes(pair.key + pair.certificate)
        return root.directory / "root.crt", whole

    return one


@pytest.mark.proves("N6")
async def test_f14_a_gateway_that_woke_up_in_the_past_reaches_the_station_and_believes_no_stranger(sign: Sign) -> None:
    """To a clock that is 300 days behind, a certificate of today is one of 300 days ahead."""
    now = datetime.now(UTC)
    ca, whole = await asyncio.to_thread(sign, "ahead", now + AHEAD)
    stranger, _ = await asyncio.to_thread(sign, "stranger", now + AHEAD)
    with serving(lambda _path, _body: (200, {}, b"{}"), tls=whole) as station:
        address = address_of(f"https://127.0.0.1:{station.port}")
        unset = Client(address, ca=ca, synced=lambda: False)
        for _ in range(2):
            assert (await unset.post("/x", b"{}")).status == 200
        # Who knows the time refuses; and so does everybody whom the authority or the name does not please.
        elsewhere = address_of(f"https://localhost:{station.port}")
        for client in (
            Client(address, ca=ca, synced=lambda: True),
            Client(address, ca=stranger, synced=lambda: False),
            Client(elsewhere, ca=ca, synced=lambda: False),
        ):
            with pytest.raises(HttpError) as caught:
                await client.post("/x", b"{}")
            assert caught.value.why == "tls"


@pytest.mark.proves("N13")
async def test_f58_a_certificate_that_has_ended_is_refused_whatever_the_clock_is_worth(tmp_path: Path) -> None:
    ca, whole = await asyncio.to_thread(ended, tmp_path)
    with serving(lambda _path, _body: (200, {}, b"{}"), tls=whole) as station:
        address = address_of(f"https://127.0.0.1:{station.port}")
        for client in (Client(address, ca=ca, synced=lambda: True), Client(address, ca=ca, synced=lambda: False)):
            with pytest.raises(HttpError, match="expired"):
                await client.post("/x", b"{}")


def ended(folder: Path) -> tuple[Path, Path]:
    """A root of now, with a leaf of the past that its key signed."""
    now = datetime.now(UTC)
    root = authority.establish(folder / "ended", name="ended", passphrase=None, now=now)
    key = root._key
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "station")]))
        .issuer_name(root.root.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(hours=20))
        .not_valid_after(now - timedelta(hours=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    whole = folder / "ended.pem"
    pem = serialization.Encoding.PEM
    open_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    whole.write_bytes(open_key + made.public_bytes(pem))
    return root.directory / "root.crt", whole


# paho drops the socket of a handshake that failed without closing it.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.proves("N6")
async def test_f14_a_gateway_that_woke_up_in_the_past_reaches_its_broker(
    sign: Sign, broker: PrivateBroker, tmp_path: Path
) -> None:
    ca, whole = await asyncio.to_thread(sign, "ahead", datetime.now(UTC) + AHEAD, host="localhost")
    tunnel = await asyncio.to_thread(Tunnel, tmp_path, broker)
    tunnel._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tunnel._context.load_cert_chain(whole)
    access = Access("localhost", tunnel.port, THE_GATEWAY.user, broker.password(THE_GATEWAY), ca)
    unset = MqttLink(access, client_id=GATEWAY, listener=Hearer(), subscriptions=(), synced=lambda: False)
    unset.start()
    await until(lambda: unset.up)
    await unset.close()
    right = MqttLink(access, client_id=GATEWAY, listener=Hearer(), subscriptions=(), synced=lambda: True)
    right.start()
    await until(lambda: "not yet valid" in right.trouble)
    assert not right.up
    await right.close()
    tunnel.close()
