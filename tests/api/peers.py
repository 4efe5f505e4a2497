"""The other ends of the broker, as a station's tests need them: gateways that send, audiences that listen.

Written on paho directly, so that the station's own door is not on both sides of a test.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from random import Random
from time import monotonic, time_ns
from typing import Any, Self, TypeVar

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.acl import Principal
from broker.ids import CommunityId, Epoch, EventId, GatewayId, GridId, HouseholdId, Session, StationId, event_id
from broker.kinds import EventType, Kind
from broker.messages import (
    Body,
    ChainHead,
    Command,
    GatewayEvent,
    GatewayStatus,
    Outcome,
    Receipt,
    StationHello,
    audience_of,
)
from broker.signing import Signer, Verifier, gateway_kid
from broker.topics import Name, Role, build
from deploy.mosquitto import PrivateBroker

STATION = StationId("north")
DEADLINE_S = 60.0


def seed(name: str) -> bytes:
    """A key for tests, always the same for a name."""
    return sha256(name.encode()).digest()


STATION_KEY = Signer("station", seed("station"))
GATEWAYS = (GatewayId("g1"), GatewayId("g2"))
HOUSEHOLDS = tuple(HouseholdId(f"h{number:02}") for number in range(1, 5))
COMMUNITY = CommunityId("c1")
GRID = GridId("r1")


def principal(role: Role, id: str = "", *, seat: str = "") -> Principal:  # noqa: A002 - an id is what it is
    return Principal(station=STATION, role=role, id=id, seat=seat)


PRINCIPALS = (
    principal(Role.STATION),
    *(principal(Role.GATEWAY, gateway) for gateway in GATEWAYS),
    principal(Role.POLICE),
    principal(Role.COMMUNITY, COMMUNITY),
    principal(Role.GRID, GRID),
    *(principal(Role.HOUSEHOLD, household) for household in HOUSEHOLDS),
)


B = TypeVar("B", bound=Body)


@dataclass(frozen=True)
class Heard:
    """One message as it came."""

    topic: str
    payload: bytes
    retained: bool
    body: Body


def eventually(true: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Wait for what nobody tells of: a row of a table, a state of another thread."""
    began, never = monotonic(), threading.Event()
    while True:
        looked = monotonic()
        if true():
            return
        assert looked - began < deadline_s, f"not {what} within {deadline_s} s"
        never.wait(max(0.005, monotonic() - looked))  # whoever is waited for needs the processor, too


class Peer:
    """Somebody at the broker. What it hears is checked as a receiver checks it, and kept in order."""

    def __init__(self, broker: PrivateBroker, who: Principal, *topics: str) -> None:
        self.heard: list[Heard] = []
        self._changed = threading.Condition()
        self._verifier = Verifier(STATION, {"station": STATION_KEY.public})
        self._topics = topics
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=who.user, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(who.user, broker.password(who))
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.max_inflight_messages_set(20)
        self._client.reconnect_delay_set(1, 1)
        self._subscribed = 0
        self._published: set[int] = set()
        self._port = broker.port
        self.on_heard: Callable[[Heard], None] = lambda _heard: None

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.until(lambda: self._subscribed > 0, "subscribed")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send, and return when the broker has it."""
        self.publish_all([(topic, payload)], retain=retain)

    def publish_all(self, messages: Iterable[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Send many, and return when the broker has all of them."""
        mids = {self._client.publish(topic, payload, qos=1, retain=retain).mid for topic, payload in messages}
        self.until(lambda: mids <= self._published, "published")
        with self._changed:
            self._published -= mids

    def until(self, true: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Wait until something is so; what can change it is what arrives here."""
        with self._changed:
            assert self._changed.wait_for(true, deadline_s), (
                f"not {what} within {deadline_s} s; heard {len(self.heard)}"
            )

    def bodies(self, kind: type[B]) -> list[B]:
        """Every message of this kind so far."""
        return [heard.body for heard in [*self.heard] if isinstance(heard.body, kind)]

    def hear(self, kind: type[B], which: Callable[[B], bool] = lambda _body: True) -> B:
        """Wait for a message of this kind that fits; the first one, if there are several."""
        found: list[B] = []

        def look() -> bool:
            found[:] = [body for body in self.bodies(kind) if which(body)]
            return bool(found)

        self.until(look, f"heard a {kind.__name__}")
        return found[0]

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, *_: Any) -> None:
        with self._changed:
            self._subscribed += 1
            self._changed.notify_all()

    def _on_publish(self, _client: Client, _userdata: Any, mid: int, *_: Any) -> None:
        with self._changed:
            self._published.add(mid)
            self._changed.notify_all()

    def _on_message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        body = self._verifier.open(message.topic, bytes(message.payload), retained=message.retain)
        heard = Heard(message.topic, bytes(message.payload), message.retain, body)
        self.on_heard(heard)
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()


def digest(chain: str, seq: int) -> str:
    """The head of some chain."""
    return sha256(f"{chain} {seq}".encode()).hexdigest()


class Maker:
    """Makes and signs the events of one gateway, in the order of its journal."""

    def __init__(self, name: str, *, epoch: str = "00000000000000e1", salt: int = 0) -> None:
        self.name = GatewayId(name)
        self.epoch = Epoch(epoch)
        self.signer = Signer(gateway_kid(self.name), seed(name))
        self.session = Session(f"{salt:032x}")
        self.topic = build(Name.GATEWAY_EVENT, STATION, name)
        self._seq = count(1)
        self._dice = Random(f"{name}{epoch}{salt}")

    def new_id(self) -> EventId:
        return event_id(time_ns() // 1_000_000, self._dice.randbytes(10))

    def event(self, event: EventType = EventType.PRESS, **fields: Any) -> GatewayEvent:
        """The next event of the journal: a panic of the first household, unless `fields` say otherwise."""
        seq = next(self._seq)
        values: dict[str, Any] = {
            "topic": self.topic,
            "audience": audience_of(self.topic),
            "id": self.new_id(),
            "age_ms": 5,
            "gateway": self.name,
            "epoch": self.epoch,
            "seq": seq,
            "event": event,
            "at_ms": time_ns() // 1_000_000,
            "mono_us": seq,
            "boot": "b1",
            "clock": "synced",
            "unit": "u1",
            "place": HOUSEHOLDS[0],
            "group": "gr1",
            "door": 101,
            "label": "老王家",
        }
        if event is EventType.PRESS:
            values |= {"kind": Kind.PANIC, "press": f"u1:1:{seq}"}
        return GatewayEvent.model_validate(values | fields)

    def presses(self, how_many: int) -> list[GatewayEvent]:
        return [self.event() for _ in range(how_many)]


class Gateway(Maker, Peer):
    """A gateway's side of the contract: events that it made, what became of each, who greeted it, what it was told."""

    def __init__(
        self, broker: PrivateBroker, name: str = GATEWAYS[0], *, epoch: str = "00000000000000e1", salt: int = 0
    ) -> None:
        Maker.__init__(self, name, epoch=epoch, salt=salt)
        Peer.__init__(
            self,
            broker,
            principal(Role.GATEWAY, name),
            build(Name.GATEWAY_RECEIPT, STATION, name),
            build(Name.GATEWAY_COMMAND, STATION, name),
            build(Name.GATEWAY_CONFIG, STATION, name),
            build(Name.STATION_STATUS, STATION),
        )

    def send(self, events: Sequence[GatewayEvent]) -> None:
        """Sign and publish; the broker has them when this returns."""
        self.publish_all([(event.topic, self.signer.envelope(event)) for event in events])

    def receipted(self, events: Iterable[GatewayEvent | EventId]) -> dict[EventId, Outcome]:
        """Wait until each of these has an outcome, and return the first one of each."""
        ids = [event if isinstance(event, str) else event.id for event in events]
        self.until(lambda: self.outcomes().keys() >= {*ids}, "receipted")
        outcomes = self.outcomes()
        return {id_: outcomes[id_][0] for id_ in ids}

    def outcomes(self) -> dict[EventId, list[Outcome]]:
        """Every outcome that was ever told of an event."""
        told: dict[EventId, list[Outcome]] = {}
        for receipt in self.bodies(Receipt):
            for id_, outcome in receipt.outcomes().items():
                told.setdefault(id_, []).append(outcome)
        return told

    def reasons(self) -> dict[EventId, str]:
        """Why events were rejected."""
        return {rejection.id: rejection.reason for receipt in self.bodies(Receipt) for rejection in receipt.rejected}

    def say_status(self, **said: Any) -> None:
        """Publish the retained status."""
        status = self.status(**said)
        self.publish(status.topic, self.signer.envelope(status), retain=True)

    def status(
        self,
        *,
        online: bool = True,
        head: int = 0,
        low: int = 1,
        epoch: str | None = None,
        chain: str = "a",
        register_version: int | None = None,
        faults: tuple[str, ...] = (),
        audit: ChainHead | None = None,
        sealing_key: str | None = None,
    ) -> GatewayStatus:
        """The status. `chain` makes the digest: another one is another history."""
        topic = build(Name.GATEWAY_STATUS, STATION, self.name)
        return GatewayStatus(
            topic=topic,
            audience=audience_of(topic),
            id=self.new_id(),
            age_ms=0,
            gateway=self.name,
            online=online,
            generation=1,
            session=self.session,
            epoch=Epoch(epoch or self.epoch),
            head=head,
            digest=digest(chain, head),
            low=low,
            clock="synced",
            queued=0,
            register_version=register_version,
            faults=faults,
            audit=audit,
            sealing_key=sealing_key,
        )

    def greeted(self, which: Callable[[StationHello], bool] = lambda _hello: True) -> StationHello:
        """Wait for a hello."""
        return self.hear(StationHello, which)

    def commanded(self, which: Callable[[Command], bool] = lambda _command: True) -> Command:
        """Wait for a command."""
        return self.hear(Command, which)


def listener(broker: PrivateBroker, role: Role, id: str = "") -> Peer:  # noqa: A002 - an id is what it is
    """One audience, hearing all that its rights allow."""
    return Peer(broker, principal(role, id), f"sw1/{STATION}/#")
