"""The station's end of the broker, as small as the gateway's tests need it; and a broker for both."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from threading import Condition
from time import monotonic
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.acl import Principal
from broker.ids import EventId, GatewayId
from broker.messages import (
    Action,
    Body,
    ChainHead,
    Command,
    GatewayEvent,
    GatewayStatus,
    Head,
    Receipt,
    Rejection,
    StationAudit,
    StationHello,
    StationStatus,
    audience_of,
)
from broker.signing import Signer, Verifier
from broker.topics import Name, Role, build
from deploy.mosquitto import PrivateBroker
from gateway.settings import GatewaySettings
from tests.gateway.place import (
    COMMUNITY,
    GATEWAY,
    GATEWAY_SIGNER,
    GRID,
    HOUSEHOLDS,
    OTHER_GATEWAY,
    OTHER_SIGNER,
    REMOTE,
    STATION,
    STATION_SIGNER,
    new_id,
    settings,
)

PATIENCE_S = 60.0


def principal(role: Role, id: str = "", **more: Any) -> Principal:  # noqa: A002 - an id is what it is
    return Principal(station=STATION, role=role, id=id, **more)


THE_GATEWAY = principal(
    Role.GATEWAY,
    GATEWAY,
    alerts=frozenset((*(f"household:{one}" for one in HOUSEHOLDS), f"grid:{GRID}", f"community:{COMMUNITY}")),
    rings=frozenset(REMOTE),
)
OTHER = principal(Role.GATEWAY, OTHER_GATEWAY)
THE_STATION = principal(Role.STATION)
POLICE = principal(Role.POLICE)
AUDIENCES = (
    POLICE,
    principal(Role.COMMUNITY, COMMUNITY),
    principal(Role.GRID, GRID),
    *(principal(Role.HOUSEHOLD, household) for household in (*HOUSEHOLDS, *REMOTE)),
)
EVERYBODY = (THE_GATEWAY, OTHER, THE_STATION, *AUDIENCES)


def at_broker(broker: PrivateBroker, folder: Path, **more: Any) -> GatewaySettings:
    """The place's gateway with this broker, and no hardware."""
    access = {"port": broker.port, "user": THE_GATEWAY.user, "password": broker.password(THE_GATEWAY)}
    return settings(folder / "state", **({"broker": access, "lines": [], "units": []} | more))


class Peer:
    """Somebody at the broker, who keeps what arrives."""

    def __init__(self, broker: PrivateBroker, who: Principal, *topics: str) -> None:
        self.arrived: list[tuple[str, Body, bool]] = []
        self.changed = Condition()
        self._topics = topics or (f"sw1/{STATION}/#",)
        self._verifier = Verifier(
            STATION, {one.kid: one.public for one in (GATEWAY_SIGNER, OTHER_SIGNER, STATION_SIGNER)}
        )
        self._ready = False
        self._fences: set[int] = set()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=who.user, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(who.user, broker.password(who))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_unsubscribe = self._on_unsubscribe
        self._client.on_message = self._on_message
        self._port = broker.port

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.wait(lambda: self._ready)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait(self, holds: Callable[[], object]) -> None:
        """On a thread of its own: return as soon as it holds."""
        began = monotonic()
        with self.changed:
            assert self.changed.wait_for(lambda: bool(holds()), PATIENCE_S), monotonic() - began

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def catch_up(self) -> None:
        """On a thread of its own: everything that the broker had for this peer until now has arrived.

        A broker answers in the order in which it sends: whatever it had queued stands before this answer.
        """
        _, mid = self._client.unsubscribe(f"sw1/{STATION}/nothing")
        assert mid is not None
        self.wait(lambda: mid in self._fences)

    def bodies(self, kind: type[Any]) -> list[Any]:
        return [body for _, body, _ in list(self.arrived) if isinstance(body, kind)]

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, *_: Any) -> None:
        with self.changed:
            self._ready = True
            self.changed.notify_all()

    def _on_unsubscribe(self, _client: Client, _userdata: Any, mid: int, *_: Any) -> None:
        with self.changed:
            self._fences.add(mid)
            self.changed.notify_all()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        body = self._verifier.open(message.topic, bytes(message.payload), retained=message.retain)
        with self.changed:
            self.arrived.append((message.topic, body, message.retain))
            self.heard(body)
            self.changed.notify_all()

    def heard(self, body: Body) -> None:
        """Somebody may act on it."""


class Station(Peer):
    """Stores in memory; receipts at once when `receipts`."""

    def __init__(self, broker: PrivateBroker, *, receipts: bool = True) -> None:
        super().__init__(broker, THE_STATION, f"sw1/{STATION}/gateway/+/event", f"sw1/{STATION}/gateway/+/status")
        self.receipts = receipts
        self.generation = 1
        self.holds: Head | None = None
        self.stored: dict[EventId, GatewayEvent] = {}
        self.copies: defaultdict[EventId, int] = defaultdict(int)
        self._counter = count(1)

    def heard(self, body: Body) -> None:
        if isinstance(body, GatewayEvent):
            self.stored.setdefault(body.id, body)
            self.copies[body.id] += 1
            if self.receipts:
                self.receipt([body.id])

    def statuses(self, *, online: bool = True) -> list[GatewayStatus]:
        found: list[GatewayStatus] = self.bodies(GatewayStatus)
        return [status for status in found if status.online is online]

    @property
    def session(self) -> str:
        return self.statuses()[-1].session

    def send(self, body: Body, *, signer: Signer = STATION_SIGNER, retain: bool = False) -> None:
        self.publish(body.topic, signer.envelope(body), retain=retain)

    def receipt(self, events: Iterable[EventId], *, rejected: bool = False) -> None:
        ids = tuple(events)
        self.send(
            Receipt(
                **self._head(Name.GATEWAY_RECEIPT, GATEWAY),
                generation=self.generation,
                stored=() if rejected else ids,
                rejected=tuple(Rejection(id=id_, reason="bad") for id_ in ids) if rejected else (),
                holds=self.holds,
            )
        )

    def say_status(self, generation: int, *, online: bool = True) -> None:
        self.generation = generation
        self.send(StationStatus(**self._head(Name.STATION_STATUS), online=online, generation=generation), retain=True)

    def greet(self, *highest: Head) -> None:
        self.send(
            StationHello(**self._head(Name.GATEWAY_RECEIPT, GATEWAY), generation=self.generation, highest=highest)
        )

    def tell_audit(self, head: ChainHead, *, follows: ChainHead | None = None, rewritten: bool = False) -> None:
        """Where the station's own record ends."""
        told = self._head(Name.GATEWAY_RECEIPT, GATEWAY)
        self.send(StationAudit(**told, head=head, follows=follows, rewritten=rewritten))

    def order(self, action: Action, *, retain: bool = False, **more: Any) -> Command:
        values = {
            **self._head(Name.GATEWAY_COMMAND, GATEWAY),
            "session": self.session,
            "counter": next(self._counter),
            "action": action,
        }
        command = Command.model_validate(values | more)
        self.send(command, retain=retain)
        return command

    @staticmethod
    def _head(name: Name, id_: GatewayId | str = "") -> dict[str, Any]:
        topic = build(name, STATION, id_)
        return {"topic": topic, "audience": audience_of(topic), "id": new_id(), "age_ms": 0}
