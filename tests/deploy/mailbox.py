"""An MQTT 5 client for tests that is judged by what arrives, and knows when nothing more will."""

from dataclasses import dataclass
from queue import SimpleQueue
from ssl import SSLContext
from threading import Event
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker.acl import Principal
from deploy.mosquitto import LOOPBACK, PrivateBroker

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Arrival:
    topic: str
    payload: bytes
    retained: bool


class Refused(Exception):
    """The broker did not let us in. Field: `code`."""

    def __init__(self, code: ReasonCode) -> None:
        self.code = code
        super().__init__(str(code))


class Mailbox:
    """One connection of one account. Subscribes with QoS 0, so that no window holds anything back."""

    def __init__(self, port: int, user: str | None, password: str | None, *, tls: SSLContext | None = None) -> None:
        self.arrived: list[Arrival] = []
        self.lost = Event()
        self._let_in = False
        self._answers: SimpleQueue[ReasonCode] = SimpleQueue()
        self._client = Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._client.on_publish = self._published
        self._client.on_subscribe = self._subscribed
        self._client.connect(LOOPBACK, port, keepalive=30)
        self._client.loop_start()
        code = self._answer()
        if code.is_failure:
            self._client.loop_stop()
            raise Refused(code)
        self._let_in = True

    @classmethod
    def by_certificate(cls, port: int, tls: SSLContext) -> Self:
        """As whoever the certificate names."""
        return cls(port, None, None, tls=tls)

    @classmethod
    def of(cls, broker: PrivateBroker, principal: Principal) -> Self:
        return cls(broker.port, principal.user, broker.password(principal))

    def subscribe(self, *filters: str) -> None:
        for filter_ in filters:
            self._client.subscribe(filter_, qos=0)
            assert not self._answer().is_failure, "mosquitto grants everything"

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """The reason code of the broker's acknowledgement."""
        self._client.publish(topic, payload, qos=1, retain=retain)
        return self._answer().value

    def settled(self) -> list[Arrival]:
        """All that arrived of what was published (and acknowledged) before this call.

        The broker queues for every subscriber before it acknowledges to the publisher, and a connection is in
        order: behind the answer to one more question there is nothing left on its way.
        """
        self.subscribe("settled")
        return self.arrived

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> ReasonCode:
        return self._answers.get(timeout=PATIENCE_S)

    def _connected(self, _client: Client, _userdata: Any, _flags: Any, code: ReasonCode, _more: Any) -> None:
        self._answers.put(code)

    def _disconnected(self, _client: Client, _userdata: Any, _flags: Any, code: ReasonCode, _more: Any) -> None:
        self.lost.set()
        if not self._let_in:  # in TLS 1.3 a refused certificate shows only after the handshake
            self._answers.put(code)

    def _message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        self.arrived.append(Arrival(message.topic, bytes(message.payload), message.retain))

    def _published(self, _client: Client, _userdata: Any, _mid: int, code: ReasonCode, _more: Properties) -> None:
        self._answers.put(code)

    def _subscribed(
        self, _client: Client, _userdata: Any, _mid: int, codes: list[ReasonCode], _more: Properties | None
    ) -> None:
        self._answers.put(codes[0])
