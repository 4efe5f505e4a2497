"""The station's one connection to its broker, and the one door to paho on this side.

One user may have one connection (a second one ends the first), so the same connection receives and publishes.

What a caller must know:
- Nothing that arrives is acknowledged by this module. `acknowledge` it after it has been committed; until then
  the broker keeps it, and brings it again to the next connection. At most `RECEIVE_MAXIMUM` messages are on their
  way here at a time, which is the back-pressure.
- `publish` refuses while there is no connection: what must not be lost waits in a table, not in memory.
- A future of `publish` tells the *broker's* answer. It never means that anybody has got the message.

    LinkError
    +-- NotConnected            nothing was sent, or its answer can no longer come
    +-- Refused                 .code: the broker will not carry it
"""

import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from api.settings import BrokerAccess

KEEPALIVE_S: Final = 15
RECEIVE_MAXIMUM: Final = 200
"""Unacknowledged messages on their way here: two batches, so that one arrives while the other is written."""
IN_FLIGHT: Final = 20
"""Unacknowledged messages on their way out: the least that a broker of ours grants (mosquitto grants 20 to start
with), since paho cannot take a smaller window while it is connected."""
WILL_DELAY_S: Final = 5
"""A reconnect shorter than this is not announced as an absence."""
BACK_OFF_S: Final = 0.25
BACK_OFF_MOST_S: Final = 3.0
"""Every alarm of every gateway waits for this one connection, and one attempt every few seconds storms nobody."""
NO_SUBSCRIBERS: Final = 0x10
REFUSED_FROM: Final = 0x80

log = structlog.get_logger("api.mqtt")


class LinkError(Exception):
    """A message did not go out."""


class NotConnected(LinkError):
    """There is no connection, or it ended before the broker answered."""


class Refused(LinkError):
    """The broker answered no. Field: `code`, the MQTT 5 reason code."""

    def __init__(self, code: int, name: str) -> None:
        self.code = code
        super().__init__(f"{name} ({code:#04x})")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message of the broker, not yet acknowledged. `connection` and `mid` say how to; `at` is monotonic seconds."""

    topic: str
    payload: bytes
    retained: bool
    connection: int
    mid: int
    qos: int
    at: float


@dataclass(frozen=True, slots=True)
class Connected:
    """Subscriptions stand. `resumed`: the broker still had the session, so nothing that it took was lost by it."""

    connection: int
    resumed: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing more will come."""


Incoming = Arrival | Connected | Stopped


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when the station is gone."""

    topic: str
    payload: bytes


class Link:
    """Keeps one connection, for ever; what comes over it is in `incoming`, in the order in which it came."""

    def __init__(self, access: BrokerAccess, *, filters: Iterable[str], will: Callable[[], Will]) -> None:
        """`will` is asked before every connect."""
        self.incoming: SimpleQueue[Incoming] = SimpleQueue()
        self.ready = threading.Event()
        """Set while connected with all subscriptions granted."""
        self.trouble: str | None = "not connected yet"
        """Why `ready` is not set, in words."""
        self._access = access
        self._filters = tuple(filters)
        self._will = will
        self._lock = threading.Lock()
        self._answers: dict[int, Future[int]] = {}
        self._early: dict[int, ReasonCode] = {}
        self._abandoned: set[int] = set()
        self._connection = 0
        self._connected = False
        self._resumed = False
        self._failures = 0
        self._context: ssl.SSLContext | None = None
        self._client = self._make_client()

    @property
    def alive(self) -> bool:
        """Whether paho's thread works; it would end, without a word, by an error in a callback."""
        name = f"paho-mqtt-client-{self._access.user}"
        return any(thread.name == name for thread in threading.enumerate())

    def start(self) -> None:
        """Begin to connect, in a thread of its own. Returns at once, whether or not there is a broker."""
        self._set_will()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own types stop here
        properties.SessionExpiryInterval = self._access.session_expiry_s
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        self._client.connect_async(
            self._access.host,
            self._access.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=properties,
        )
        self._client.loop_start()

    def stop(self, farewell: Will | None = None, *, timeout_s: float = 2.0) -> None:
        """Say `farewell` (retained) if there is a connection, and end it so that the will is not sent."""
        if farewell is not None:
            with suppress(LinkError, TimeoutError):
                self.publish(farewell.topic, farewell.payload, retain=True).result(timeout_s)
        self.trouble = "stopped"
        self._client.disconnect()
        self._client.loop_stop()
        self.ready.clear()
        self._fail_answers()
        self.incoming.put(Stopped())

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Future[int]:
        """Send with QoS 1. The future yields the broker's reason code (0, or 0x10: nobody listens).

        It raises NotConnected or Refused. Raises NotConnected at once when there is no connection.
        """
        if not self._connected:
            raise NotConnected("no connection to the broker")
        # The lock is never held while paho is called: paho calls back with locks of its own held.
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        answer: Future[int] = Future()
        with self._lock:
            if sent.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._abandoned.add(sent.mid)  # paho keeps it and may send it yet
                raise NotConnected(str(sent.rc))
            early = self._early.pop(sent.mid, None)
            if early is None:
                self._answers[sent.mid] = answer
        if early is not None:
            _tell(answer, early)
        return answer

    def acknowledge(self, arrivals: Iterable[Arrival]) -> None:
        """Let the broker forget these. One from an earlier connection is left alone: it comes again."""
        for arrival in arrivals:
            if self._connected and arrival.connection == self._connection:
                self._client.ack(arrival.mid, arrival.qos)

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._access.user,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        password = self._access.password
        client.username_pw_set(self._access.user, None if password is None else password.get_secret_value())
        if self._access.ca is not None:
            self._context = ssl.create_default_context(cafile=str(self._access.ca))
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._show()
            client.tls_set_context(self._context)
        client.max_inflight_messages_set(IN_FLIGHT)
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _show(self) -> None:
        """Show our certificate from the next connection on, as it is in its file now: it may have been renewed."""
        access = self._access
        if self._context is None or access.certificate is None or access.key is None:
            return
        try:
            self._context.load_cert_chain(access.certificate, access.key, password=_no_passphrase)
        except OSError as error:
            log.warning("broker.certificate", why=str(error))  # it goes on with the one before, if there is one

    def _set_will(self) -> None:
        will = self._will()
        properties = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call] # as above
        properties.WillDelayInterval = WILL_DELAY_S
        self._client.will_set(will.topic, will.payload, qos=1, retain=True, properties=properties)

    # From here on paho's thread calls. A callback only appends, so that it never waits for a disk or a person.

    def _on_connect(
        self, _client: Client, _userdata: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._down(f"broker refused the connection: {reason}")
            return
        with self._lock:
            self._connection += 1
            self._connected = True
            self._resumed = flags.session_present
        self._client.subscribe([(one, SubscribeOptions(qos=1)) for one in self._filters])

    def _on_subscribe(
        self, client: Client, _userdata: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(reason.value != 1 for reason in reasons):  # QoS 1 or nothing: less would lose without a trace
            self._down(f"broker refused a subscription: {', '.join(str(reason) for reason in reasons)}")
            if isinstance(connection := client.socket(), socket.socket):
                connection.shutdown(socket.SHUT_RDWR)  # begins anew, with a pause; `disconnect` would end it for good
            return
        self._failures = 0
        self.trouble = None
        self.ready.set()
        log.info("broker.connected", resumed=self._resumed)
        self.incoming.put(Connected(self._connection, self._resumed))

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self.incoming.put(
            Arrival(
                topic=message.topic,
                payload=bytes(message.payload),
                retained=message.retain,
                connection=self._connection,
                mid=message.mid,
                qos=message.qos,
                at=monotonic(),
            )
        )

    def _on_publish(
        self, _client: Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        with self._lock:
            answer = self._answers.pop(mid, None)
            if mid in self._abandoned:
                self._abandoned.discard(mid)
            elif answer is None:
                self._early[mid] = reason
        if answer is not None:
            _tell(answer, reason)

    def _on_connect_fail(self, _client: Client, _userdata: Any) -> None:
        self._down("broker cannot be reached")
        self._wait_longer()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self.trouble is None:
            self._down(f"connection lost: {reason}")
        self._fail_answers()
        self._set_will()
        self._wait_longer()

    def _down(self, trouble: str) -> None:
        with self._lock:
            self._connected = False
        self.ready.clear()
        if self.trouble != trouble:
            log.warning("broker.lost", trouble=trouble)
        self.trouble = trouble

    def _fail_answers(self) -> None:
        with self._lock:
            self._connected = False
            unanswered, self._answers = self._answers, {}
            self._abandoned.update(unanswered)  # paho sends them again by itself, and is answered then
        for answer in unanswered.values():
            answer.set_exception(NotConnected("connection lost before the broker answered"))

    def _wait_longer(self) -> None:
        """Double the pause before the next attempt, with jitter, so that a broker is not stormed when it returns."""
        most = min(BACK_OFF_MOST_S, BACK_OFF_S * 2**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._show()
        pause = most * random.uniform(0.5, 1)  # noqa: S311 - spreads load, hides nothing
        self._client.reconnect_delay_set(pause, pause)


def _no_passphrase() -> bytes:
    raise OSError("the key is encrypted, and nobody is there to open it")


def _tell(answer: Future[int], reason: ReasonCode) -> None:
    code = int(reason.value)
    if code >= REFUSED_FROM:
        answer.set_exception(Refused(code, str(reason)))
    else:
        answer.set_result(code)


def _no_delay(_client: Client, _userdata: Any, connection: Any) -> None:
    """Without it the kernel holds small packets back for some 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
