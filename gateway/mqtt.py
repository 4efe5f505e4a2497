"""The one door to paho in the gateway: one MQTT 5 connection on the asyncio loop, publishes with their reason codes.

paho is driven without its thread: its socket is read and written by the loop, so that a publish is one write
away from the wire. TCP_NODELAY is set (without it a publish waits 43 ms for a delayed acknowledgement). Nothing is
queued in paho: what is published while the connection is down is refused here, since the journal is the only queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, cast

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.stamps import kernel_synced
from gateway.trust import Identity, believing, is_early

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

P = ParamSpec("P")

log = structlog.get_logger("gateway.mqtt")

WINDOW: Final = 20
"""Publishes in flight: what mosquitto announces as its Receive Maximum; more gains nothing."""
NO_SUBSCRIBERS: Final = 0x10
"""MQTT 5, 3.4.2.1: the broker has taken it, and there is nobody whom it could give it to. No failure to the broker."""
UNHEARD: Final = "nobody listens"
FIRST_BACKOFF_S: Final = 0.25
LAST_BACKOFF_S: Final = 30.0
URGENT_BACKOFF_S: Final = 3.0
"""While an alarm waits. Five hundred gateways that all have one make 170 attempts a second, which a broker bears."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for whom. A silent broker is found after two keepalives at the latest: under 30 s."""

    keepalive_s: int = 12
    connect_s: float = 5.0
    answer_s: float = 20.0
    """A publish without a PUBACK for so long: the connection is broken, whatever it looks like (MQTT 5, 4.4)."""
    farewell_s: float = 1.0
    steady_s: float = 10.0
    """A connection that held for so long was a good one: the next try comes soon. Else two with the same name would
    throw each other out four times a second."""
    look_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where to connect and as whom. `ca`: the authority of a TLS broker, None on a plain loopback one.

    `own`: the certificate by which a broker knows us that asks for one.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    ca: Path | None = None
    own: Identity | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that came in."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we are gone without a word."""

    topic: str
    payload: bytes


class Listener(Protocol):
    """Who hears of what happens on a connection. Called on the loop; must not block."""

    def connected(self) -> None:
        """The broker has accepted us and our subscriptions are asked for."""

    def disconnected(self, why: str) -> None:
        """The connection is gone; it is tried again by itself."""

    def arrived(self, message: Arrived) -> None:
        """A message came in."""

    def published(self, ticket: int, refusal: str | None) -> None:
        """The broker has answered publish `ticket`; `refusal` is its reason when it would not take it.

        It is UNHEARD when the broker took it and had nobody to give it to.
        """


class MqttLink:
    """One connection that is kept up. Use from the event loop only."""

    def __init__(
        self,
        access: Access,
        *,
        client_id: str,
        listener: Listener,
        subscriptions: tuple[str, ...],
        will: Callable[[], Will] | None = None,
        jitter: Callable[[], float] = lambda: 1.0,
        patience: Patience | None = None,
        synced: Callable[[], bool] = kernel_synced,
        urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """`will` is asked before every connect; `jitter` returns a factor around 1 for the back-off.

        `urgent`: whether something waits that is worth a try every few seconds.
        `synced`: whether something keeps this machine's clock right.
        """
        self._access = access
        self._client_id = client_id
        self._listener = listener
        self._subscriptions = subscriptions
        self._will = will
        self._jitter = jitter
        self._patience = patience or Patience()
        self._synced = synced
        self._urgent = urgent
        self._hurried = asyncio.Event()
        self._any_time = False
        """Whether a certificate was refused because it did not count yet, and no clock said that this is true."""
        self._client: Client | None = None
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sent: dict[int, float] = {}
        self._writing: asyncio.Handle | None = None
        self._steady_from = 0.0
        self._farewell: int | None = None
        self._said = asyncio.Event()
        self.up = False
        self.trouble = "not connected yet"
        self.connects = 0
        self.deaf: tuple[str, ...] = ()
        """Topics that the broker would not let us hear."""
        self.failures = 0
        """Times that something of ours raised while it was called from here."""

    def start(self) -> None:
        """Connect, and again whenever the connection goes."""
        self._task = self._loop.create_task(self._keep_up(), name=f"mqtt[{self._client_id}]")

    async def close(self, farewell: Will | None = None) -> None:
        """Say `farewell` (retained) where there still is a connection, and disconnect."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        client, self._client = self._client, None
        if client is None:
            return
        if self.up and farewell is not None:
            self._farewell = client.publish(farewell.topic, farewell.payload, qos=1, retain=True).mid
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.farewell_s):
                    await self._said.wait()
        self.up = False
        client.disconnect()
        client.loop_write()
        self._detach(client)

    def flush(self) -> None:
        """Write now what was published. Not from a `Listener` call: there paho is in the middle of something."""
        if self._client is not None and self._writing is not None:
            self._writing.cancel()
            self._write(self._client)

    def hurry(self) -> None:
        """Something urgent has come: where there is no connection, try now instead of when the pause is over."""
        self._hurried.set()

    @property
    def room(self) -> int:
        """How many publishes may be in flight besides those that are."""
        return WINDOW - len(self._sent) if self.up else 0

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Send with QoS 1 and return a ticket for `Listener.published`; None when it cannot be sent now."""
        if not self.up or self._client is None:
            return None
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        self._sent[info.mid] = self._loop.time()
        return info.mid

    async def _keep_up(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            await self._connect_once()
            if self.up and self._loop.time() >= self._steady_from:
                backoff_s = FIRST_BACKOFF_S
            self._down()
            await self._pause(min(backoff_s, URGENT_BACKOFF_S) if self._urgent() else backoff_s)
            backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)

    async def _pause(self, backoff_s: float) -> None:
        """Wait before the next try; whoever hurries cuts it to the shortest pause that there is."""
        self._hurried.clear()
        pause_s = backoff_s * self._jitter()
        shortest_s = min(pause_s, FIRST_BACKOFF_S)
        await asyncio.sleep(shortest_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s - shortest_s):
                await self._hurried.wait()

    async def _connect_once(self) -> None:
        """Connect, and stay until the connection is gone. Whatever goes wrong, the next try comes."""
        self._gone.clear()
        try:
            client = self._make_client()
            await self._loop.run_in_executor(None, self._connect, client)
            self._client = client
            self._attach(client)
            await self._watch(client)
            self._detach(client)
        except (OSError, ValueError) as error:
            self._any_time = self._any_time or is_early(error)
            self.trouble = f"{self._access.host}:{self._access.port}: {error}"
        except Exception as error:
            self.failures += 1
            self.trouble = f"{type(error).__name__}: {error}"
            log.exception("connecting failed in a way that was not foreseen")

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(WINDOW)
        client.connect_timeout = self._patience.connect_s
        if self._access.user is not None:
            client.username_pw_set(self._access.user, self._access.password)
        if self._will is not None:
            will = self._will()
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _connect(self, client: Client) -> None:
        """Blocking, in a worker thread: files are read, names looked up, the connection is made."""
        if self._access.ca is not None:
            self._any_time = self._any_time and not self._synced()
            client.tls_set_context(believing(self._access.ca, any_time=self._any_time, own=self._access.own))
        keepalive_s = self._patience.keepalive_s
        client.connect(self._access.host, self._access.port, keepalive=keepalive_s, clean_start=True)

    def _attach(self, client: Client) -> None:
        sock = client.socket()
        if sock is None:
            self._gone.set()
            return
        # A TLS socket is one too; paho's own type of it has no options.
        cast("socket.socket", sock).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.on_socket_register_write = self._on_want_write
        client.on_socket_unregister_write = self._on_no_want_write
        client.on_socket_close = self._on_socket_close
        self._loop.add_reader(sock, self._read, client)
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)

    def _detach(self, client: Client) -> None:
        """Let go of a client and its socket, whatever state it is in."""
        client.on_disconnect = client.on_socket_unregister_write = client.on_socket_close = None
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        sock = client.socket()
        if sock is not None:
            self._on_socket_close(client, None, sock)
            with contextlib.suppress(OSError):
                sock.close()

    async def _watch(self, client: Client) -> None:
        """Keep the protocol's timers going until the connection is gone."""
        while not self._gone.is_set():
            if client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            oldest = min(self._sent.values(), default=None)
            if oldest is not None and self._loop.time() - oldest > self._patience.answer_s:
                self.trouble = "the broker does not answer publishes"
                return
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience.look_s):
                    await self._gone.wait()

    def _read(self, client: Client) -> None:
        while True:
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._gone.set()
                return
            sock = client.socket()
            # What TLS has decrypted already is not seen by the loop's selector.
            if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                return

    def _down(self) -> None:
        self._sent.clear()
        if self.up:
            self.up = False
            self._guarded(self._listener.disconnected, self.trouble)

    def _guarded(self, call: Callable[P, None], *args: P.args, **named: P.kwargs) -> None:
        """Call what is ours. Its mistakes must not end the connection: paho would break off in the middle."""
        try:
            call(*args, **named)
        except Exception:
            self.failures += 1
            log.exception("an mqtt callback failed", call=getattr(call, "__name__", "?"))

    # Called by paho, on the loop

    def _on_want_write(self, client: Client, _userdata: object, _sock: SocketLike) -> None:
        """Write as soon as the loop comes round: nearly always the socket takes it all."""
        self._writing = self._loop.call_soon(self._write, client)

    def _write(self, client: Client) -> None:
        """Paho writes packet by packet; held together they are one segment, and the broker wakes up once."""
        self._writing = None
        sock = cast("socket.socket | None", client.socket())
        if sock is None:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        client.loop_write()
        if client.socket() is None:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        if client.want_write():
            self._loop.add_writer(sock, client.loop_write)

    def _on_no_want_write(self, _client: Client, _userdata: object, sock: SocketLike) -> None:
        self._loop.remove_writer(sock)

    def _on_socket_close(self, _client: Client, _userdata: object, sock: SocketLike) -> None:
        """Before paho closes a socket: the selector must not keep a number that the next socket gets."""
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.trouble = f"the broker refuses {self._access.user or self._client_id}: {reason}"
            self._gone.set()
            return
        self.up = True
        self.trouble = ""
        self.connects += 1
        self._steady_from = self._loop.time() + self._patience.steady_s
        if self._subscriptions:
            # The broker takes what comes on a connection in order: what we say next is behind this, with or
            # without its answer.
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        self._guarded(self._listener.connected)

    def set_subscriptions(self, subscriptions: tuple[str, ...]) -> None:
        """Hear these topics from now on, at once where there is a connection."""
        gone = [topic for topic in self._subscriptions if topic not in subscriptions]
        self._subscriptions = subscriptions
        if self._client is not None and self.up:
            if gone:
                self._client.unsubscribe(gone)
            self._client.subscribe([(topic, 1) for topic in subscriptions])
            self.flush()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if not self._gone.is_set():  # else it is known already why
            self.trouble = f"the connection to {self._access.host}:{self._access.port} ended: {reason}"
        self._gone.set()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        arrived = Arrived(message.topic, bytes(message.payload), message.retain)
        self._guarded(self._listener.arrived, arrived)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self.deaf = tuple(
            topic for topic, reason in zip(self._subscriptions, reasons, strict=False) if reason.is_failure
        )

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        if mid == self._farewell:
            self._said.set()
        elif self._sent.pop(mid, None) is not None:
            self._guarded(self._listener.published, mid, _refusal(reason))


def _refusal(reason: ReasonCode) -> str | None:
    if reason.value == NO_SUBSCRIBERS:
        return UNHEARD
    return str(reason) if reason.is_failure else None
