import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.mosquitto import PrivateBroker
from gateway import mqtt
from gateway.mqtt import WINDOW, Access, Arrived, MqttLink, Patience, Will
from tests.deploy.mailbox import Mailbox
from tests.gateway.place import GATEWAY, STATION
from tests.gateway.station import THE_GATEWAY, THE_STATION
from tests.gateway.waiting import PATIENCE_S, until

pytestmark = pytest.mark.anyio

EVENT = f"sw1/{STATION}/gateway/{GATEWAY}/event"
STATUS = f"sw1/{STATION}/gateway/{GATEWAY}/status"
RECEIPT = f"sw1/{STATION}/gateway/{GATEWAY}/receipt"
QUICK = Patience(keepalive_s=1, connect_s=1, answer_s=1.0, look_s=0.05, steady_s=0.2)


class Hearer:
    def __init__(self) -> None:
        self.connects = 0
        self.losses: list[str] = []
        self.messages: list[Arrived] = []
        self.answers: dict[int, str | None] = {}
        self.clumsy = False

    def connected(self) -> None:
        self.connects += 1
        self._stumble()

    def disconnected(self, why: str) -> None:
        self.losses.append(why)
        self._stumble()

    def arrived(self, message: Arrived) -> None:
        self.messages.append(message)
        self._stumble()

    def published(self, ticket: int, refusal: str | None) -> None:
        self.answers[ticket] = refusal
        self._stumble()

    def _stumble(self) -> None:
        if self.clumsy:
            raise RuntimeError("a mistake of ours")


@asynccontextmanager
async def linked(
    broker: PrivateBroker,
    *,
    password: str | None = None,
    patience: Patience | None = None,
    wait: bool = True,
    **more: Any,
) -> AsyncIterator[tuple[MqttLink, Hearer]]:
    hearer = Hearer()
    access = Access("127.0.0.1", broker.port, THE_GATEWAY.user, password or broker.password(THE_GATEWAY))
    link = MqttLink(access, client_id=GATEWAY, listener=hearer, subscriptions=(RECEIPT,), patience=patience, **more)
    link.start()
    try:
        if wait:
            await until(lambda: link.up)
        yield link, hearer
    finally:
        await link.close()


@pytest.fixture
def station(broker: PrivateBroker) -> Iterator[Mailbox]:
    with Mailbox.of(broker, THE_STATION) as one:
        one.subscribe(f"sw1/{STATION}/#")
        yield one


async def test_what_is_published_arrives_and_is_answered(broker: PrivateBroker, station: Mailbox) -> None:
    async with linked(broker) as (link, hearer):
        ticket = link.publish(EVENT, b"one")
        assert ticket is not None
        await until(lambda: hearer.answers == {ticket: None})
        await until(lambda: [one.payload for one in station.arrived] == [b"one"])
        assert (link.connects, link.trouble, hearer.connects) == (1, "", 1)


async def test_what_is_said_to_the_gateway_arrives_even_at_once_after_the_connect(
    broker: PrivateBroker, station: Mailbox
) -> None:
    async with linked(broker) as (_, hearer):
        await asyncio.to_thread(station.publish, RECEIPT, b"for you")
        await until(lambda: hearer.messages == [Arrived(RECEIPT, b"for you", retained=False)])


@pytest.mark.proves("N2", "F26")
async def test_a_publish_that_the_broker_refuses_is_told_with_its_reason(broker: PrivateBroker) -> None:
    async with linked(broker) as (link, hearer):
        ticket = link.publish(f"sw1/{STATION}/station/status", b"not mine to say")
        assert ticket is not None
        await until(lambda: hearer.answers == {ticket: "Not authorized"})
        assert link.up


async def test_the_window_is_kept(broker: PrivateBroker) -> None:
    async with linked(broker) as (link, hearer):
        for number in range(WINDOW):
            assert link.room == WINDOW - number
            link.publish(EVENT, b"x")
        assert link.room == 0
        await until(lambda: link.room == WINDOW)
        assert len(hearer.answers) == WINDOW


async def test_without_a_connection_nothing_is_taken(tmp_path: Path) -> None:
    del tmp_path
    hearer = Hearer()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        access = Access("127.0.0.1", nobody.getsockname()[1], "u", "p")
        link = MqttLink(access, client_id="x", listener=hearer, subscriptions=())
        assert link.publish("a", b"b") is None
        link.start()
        await until(lambda: "refused" in link.trouble)
        assert (link.room, link.publish("a", b"b"), hearer.losses) == (0, None, [])
        link.flush()
        await link.close()


async def test_a_wrong_password_is_told_and_tried_again(broker: PrivateBroker) -> None:
    async with linked(broker, password="wrong", wait=False) as (link, hearer):
        await until(lambda: "refuses" in link.trouble)
        assert THE_GATEWAY.user in link.trouble
        assert not link.up
        assert hearer.connects == 0


@pytest.mark.parametrize("turns", range(6))
async def test_closing_at_the_moment_in_which_the_connection_goes_ends_it(broker: PrivateBroker, turns: int) -> None:
    async with linked(broker) as (link, _):
        link._gone.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        closing = asyncio.create_task(link.close())
        done, _ = await asyncio.wait([closing], timeout=PATIENCE_S)
        if not done and link._task is not None:
            link._task.cancel()  # or nothing would ever end here
        assert done


@pytest.mark.proves("N14")
async def test_a_broker_that_dies_and_comes_back_is_found_again(broker: PrivateBroker, station: Mailbox) -> None:
    async with linked(broker) as (link, hearer):
        for times in range(1, 4):
            await asyncio.to_thread(broker.kill)
            await until(lambda times=times: len(hearer.losses) == times)  # type: ignore[misc] # bound in the loop
            assert not link.up
            await asyncio.to_thread(broker.start)
            await until(lambda: link.up)
            ticket = link.publish(EVENT, b"again")
            await until(lambda ticket=ticket: ticket in hearer.answers)  # type: ignore[misc] # bound in the loop
        assert hearer.connects == 4
    assert station is not None


@pytest.mark.proves("N14", "F18")
async def test_whoever_hurries_does_not_wait_for_the_end_of_a_long_pause(broker: PrivateBroker) -> None:
    async with linked(broker, jitter=lambda: 1e6) as (link, hearer):
        await asyncio.to_thread(broker.kill)
        await until(lambda: hearer.losses)
        await asyncio.to_thread(broker.start)
        link.hurry()
        await until(lambda: link.up)


@pytest.mark.proves("N14", "F18")
async def test_while_an_alarm_waits_the_pauses_stay_short(
    broker: PrivateBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "FIRST_BACKOFF_S", 1e6)
    monkeypatch.setattr(mqtt, "URGENT_BACKOFF_S", 0.01)
    async with linked(broker, urgent=lambda: True) as (link, hearer):
        await asyncio.to_thread(broker.kill)
        await until(lambda: hearer.losses)
        await asyncio.to_thread(broker.start)
        await until(lambda: link.up)


@pytest.mark.proves("N8")
@pytest.mark.parametrize("speak", [False, True])
async def test_a_broker_that_stands_still_is_found_out(broker: PrivateBroker, speak: bool) -> None:
    async with linked(broker, patience=QUICK) as (link, hearer):
        broker.suspend()
        try:
            if speak:
                link.publish(EVENT, b"anybody there?")
            await until(lambda: hearer.losses)
            assert not link.up
        finally:
            broker.resume()
        await until(lambda: link.up)


@pytest.mark.proves("F19")
def test_with_the_patience_that_ships_a_silent_broker_is_found_out_within_30_s() -> None:
    shipped = Patience()
    assert 2 * shipped.keepalive_s + shipped.look_s < 30
    assert shipped.answer_s + shipped.look_s < 30


async def test_a_broker_that_accepts_and_says_nothing_is_given_up() -> None:
    hearer = Hearer()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        access = Access("127.0.0.1", mute.getsockname()[1], "u", "p")
        link = MqttLink(access, client_id="x", listener=hearer, subscriptions=(), patience=QUICK)
        link.start()
        await until(lambda: "ended" in link.trouble)
        await link.close()
    assert hearer.connects == 0


async def test_two_of_one_name_do_not_throw_each_other_out_four_times_a_second(broker: PrivateBroker) -> None:
    async with linked(broker) as (first, _), linked(broker, wait=False) as (second, _):
        await asyncio.sleep(2.5)
        assert first.connects + second.connects < 12


async def test_the_will_is_said_by_the_broker_and_the_farewell_by_us(broker: PrivateBroker, station: Mailbox) -> None:
    async with linked(broker, will=lambda: Will(STATUS, b"gone without a word")) as (link, _):
        assert link._client is not None
        sock = link._client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)
        await until(lambda: b"gone without a word" in [one.payload for one in station.arrived])
        await until(lambda: link.connects == 2)
        await link.close(Will(STATUS, b"goodbye"))
        await link.close(Will(STATUS, b"goodbye"))
    said = [one.payload for one in await asyncio.to_thread(station.settled)]
    assert said == [b"gone without a word", b"goodbye"]


async def test_a_mistake_in_what_is_called_back_ends_nothing(broker: PrivateBroker, station: Mailbox) -> None:
    async with linked(broker) as (link, hearer):
        hearer.clumsy = True
        link.publish(EVENT, b"one")
        await asyncio.to_thread(station.publish, RECEIPT, b"two")
        await until(lambda: hearer.answers and hearer.messages)
        await asyncio.to_thread(broker.restart)
        await until(lambda: hearer.losses)
        await until(lambda: hearer.connects == 2)
        assert link.failures == 4
        ticket = link.publish(EVENT, b"three")
        await until(lambda: ticket in hearer.answers)


async def test_a_mistake_while_connecting_ends_nothing_either(broker: PrivateBroker) -> None:
    wills = [0]

    def will() -> Will:
        wills[0] += 1
        if wills[0] == 1:
            raise RuntimeError("a mistake of ours")
        return Will(STATUS, b"x")

    async with linked(broker, will=will) as (link, _):
        assert link.failures == 1


async def test_subscriptions_that_are_refused_are_known() -> None:
    """mosquitto grants everything, so this broker is played by hand."""
    told: list[bytes] = []
    ended = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(2):
            body = await reader.readexactly(head[1])
            told.append(head + body)
            if head[0] == 0x10:
                writer.write(b"\x20\x03\x00\x00\x00")
            elif head[0] == 0x82:
                writer.write(b"\x90\x05" + body[:2] + b"\x00" + b"\x01\x87")
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = MqttLink(Access("127.0.0.1", port, None, None), client_id="x", listener=Hearer(), subscriptions=("a", "b"))
    link.start()
    await until(lambda: link.deaf == ("b",))
    await link.close()
    await ended.wait()
    server.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, cert


class Tunnel:
    """TLS in front of a broker. What the broker says is passed on in records as large as they may be."""

    def __init__(self, folder: Path, broker: PrivateBroker) -> None:
        key, self.ca = certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.ca, key)
        self._broker = broker
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.gate = threading.Event()
        self.gate.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            inner = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            try:
                inner.do_handshake()
            except OSError:
                inner.close()
                continue
            outer = socket.create_connection(("127.0.0.1", self._broker.port))
            threading.Thread(target=self._up, args=(inner, outer), daemon=True).start()
            threading.Thread(target=self._down, args=(outer, inner), daemon=True).start()

    def _up(self, inner: ssl.SSLSocket, outer: socket.socket) -> None:
        try:
            while data := inner.recv(16_384):
                outer.sendall(data)
        except OSError:
            pass
        finally:
            outer.close()

    def _down(self, outer: socket.socket, inner: ssl.SSLSocket) -> None:
        try:
            while data := outer.recv(16_384):
                if not self.gate.is_set():
                    self.gate.wait()
                    data += outer.recv(16_384)
                inner.sendall(data)
        except OSError:
            pass
        finally:
            inner.close()


@pytest.fixture
def tunnel(tmp_path: Path, broker: PrivateBroker) -> Iterator[Tunnel]:
    one = Tunnel(tmp_path, broker)
    yield one
    one.close()


@pytest.mark.proves("N9")
async def test_over_tls_everything_of_one_record_is_read_at_once(
    broker: PrivateBroker, station: Mailbox, tunnel: Tunnel
) -> None:
    hearer = Hearer()
    access = Access("localhost", tunnel.port, THE_GATEWAY.user, broker.password(THE_GATEWAY), tunnel.ca)
    link = MqttLink(access, client_id=GATEWAY, listener=hearer, subscriptions=(RECEIPT,))
    link.start()
    await until(lambda: link.up)
    tunnel.gate.clear()
    for number in range(40):
        await asyncio.to_thread(station.publish, RECEIPT, b"%d" % number)
    tunnel.gate.set()
    await until(lambda: len(hearer.messages) == 40)
    await link.close()


# paho drops the socket of a handshake that failed without closing it.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.proves("N13", "F60")
async def test_a_broker_with_a_strangers_certificate_is_not_trusted(
    broker: PrivateBroker, tunnel: Tunnel, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    _, other = await asyncio.to_thread(certificate, tmp_path / "other")
    for ca, word in ((other, "certificate"), (tmp_path / "missing", "No such file")):
        access = Access("localhost", tunnel.port, THE_GATEWAY.user, broker.password(THE_GATEWAY), ca)
        link = MqttLink(access, client_id=GATEWAY, listener=Hearer(), subscriptions=())
        link.start()
        await until(lambda link=link, word=word: word in link.trouble)  # type: ignore[misc] # bound in the loop
        assert not link.up
        await link.close()


async def test_a_broker_that_takes_little_at_a_time_gets_everything(broker: PrivateBroker) -> None:
    async with linked(broker) as (link, hearer):
        broker.suspend()
        tickets = [link.publish(EVENT, bytes(15_000)) for _ in range(WINDOW)]
        for _ in range(3):
            link.publish(EVENT, bytes(15_000))
        await asyncio.sleep(0.05)
        broker.resume()
        await until(lambda: len(hearer.answers) == WINDOW + 3)
        assert None not in tickets
