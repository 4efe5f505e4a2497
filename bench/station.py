"""The station under load: ingest against two floors, acknowledging meanwhile, 200 screens, a million archived alarms.

Ingest is measured from the first publish of a gateway until the last event has its signed receipt. Its floors take the
same 10,000 messages and the same rows:

1. discard: a consumer with manual acknowledgement that takes them from the same broker and does nothing.
2. executemany: SQLAlchemy Core inserts the rows that the station made of them (inbox, alarm, deadlines) into a new
   database with the same tables, indexes and settings (WAL, synchronous=FULL), 100 events a commit.

The slower of the two is the floor. It parses, verifies, judges, signs and answers nothing.
"""

from __future__ import annotations

import json
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from sqlalchemy import MetaData, create_engine, event

from bench.figures import Figure, at_least, at_most, middle, percentile
from bench.footprint import private_mib, rss_mib
from broker.acl import Principal
from broker.ids import EVENT_ID_RANDOM_BYTES, StationId, event_id
from broker.kinds import EventType, Kind
from broker.messages import GatewayEvent, Receipt, audience_of
from broker.signing import Signer, Verifier, gateway_kid
from broker.topics import Name, Role, build
from deploy.mosquitto import PrivateBroker

STATION: Final = StationId("bench")
GATEWAY: Final = "g1"
EVENTS: Final = 10_000
ROUNDS: Final = 3
UNITS: Final = 3_000
WINDOW: Final = 200
SHARE: Final = 0.3
ACKNOWLEDGE_MS: Final = 50.0
ACKNOWLEDGED: Final = 200
EVERY_S: Final = 0.02
VIEWERS: Final = 200
VIEWERS_OF_ONE: Final = 40
LAST_VIEWER_MS: Final = 500.0
TOLD: Final = 20
ARCHIVED: Final = 1_000_000
LIST_MS: Final = 50.0
LISTED: Final = 100
RSS_MIB: Final = 200.0
REST_S: Final = 12.0
"""After the storm, until the station has given back what is free."""
ANSWER_S: Final = 180.0
EPOCH: Final = "00000000000000b1"

ROOT: Final = Path(__file__).parents[1]
TOPIC: Final = build(Name.GATEWAY_EVENT, STATION, GATEWAY)
RECEIPTS: Final = build(Name.GATEWAY_RECEIPT, STATION, GATEWAY)
PRINCIPALS: Final = (
    Principal(station=STATION, role=Role.STATION),
    Principal(station=STATION, role=Role.GATEWAY, id=GATEWAY),
)
OFFICERS: Final = tuple(f"o{number}" for number in range(-(-VIEWERS // VIEWERS_OF_ONE)))


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    directory.mkdir(parents=True)
    figures: list[Figure] = []
    with PrivateBroker(directory / "broker", PRINCIPALS) as broker, Bench(directory, broker) as bench:
        rates = [bench.storm() for _ in range(ROUNDS)]
        with _while_ingest(bench):
            acknowledged = bench.acknowledge()
        time.sleep(REST_S)
        memory = bench.memory_mib()
        last = bench.tell_viewers()
        bench.stop()
        rows = _rows(bench.database, EVENTS)
        discard = [_discard(broker, bench.envelopes()) for _ in range(ROUNDS)]
        many = [_executemany(directory / f"floor{number}.db", bench.database, rows) for number in range(ROUNDS)]
        floor = min(middle(discard), middle(many))
        figures += [
            Figure(
                part="station",
                name="ingest of 10,000 presses with receipts",
                value=middle(rates),
                unit="events/s",
                floor=floor,
                bound=at_least(SHARE * floor, f"{SHARE:g} x the slower floor"),
                note="rounds " + ", ".join(f"{rate:,.0f}" for rate in rates),
            ),
            Figure(part="station", name="floor: discard", value=middle(discard), unit="events/s"),
            Figure(part="station", name="floor: Core executemany", value=middle(many), unit="events/s"),
            _latency("acknowledge while ingest runs, p50", percentile(acknowledged, 0.5)),
            _latency("acknowledge while ingest runs, p99", percentile(acknowledged, 0.99), ACKNOWLEDGE_MS),
            _latency("last of 200 screens, p50", percentile(last, 0.5)),
            _latency("last of 200 screens, slowest", max(last), LAST_VIEWER_MS),
            Figure(
                part="station",
                name="station's processes after all presses",
                value=memory,
                unit="MiB",
                bound=at_most(RSS_MIB),
            ),
        ]
        _archive(bench.database, ARCHIVED)
        bench.start()
        listed = bench.list_open()
        figures.append(_latency("open alarms with 1,000,000 archived, p99", percentile(listed, 0.99), LIST_MS))
    return figures


def _latency(name: str, ms: float, most: float | None = None) -> Figure:
    return Figure(part="station", name=name, value=ms, unit="ms", bound=None if most is None else at_most(most))


@contextmanager
def _while_ingest(bench: Bench) -> Iterator[None]:
    """A gateway in a process of its own: in this one it would be measured how long its threads keep an officer's."""
    gateway = get_context("fork").Process(target=bench.send, args=(bench.envelopes(),))
    gateway.start()
    try:
        yield
    finally:
        gateway.join()
    if gateway.exitcode != 0:
        raise RuntimeError("the gateway of this benchmark failed")


class Bench:
    """A station in a process of its own, and the gateway that sends to it."""

    def __init__(self, directory: Path, broker: PrivateBroker) -> None:
        self.database = directory / "station.db"
        self._broker = broker
        self._settings = directory / "station.json"
        self._signer = Signer(gateway_kid(GATEWAY), _seed(GATEWAY))  # type: ignore[arg-type] # an id of ours
        self._dice = Random(1)
        self._seq = 0
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._write_settings(directory)

    def __enter__(self) -> Self:
        """Start the station."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def start(self) -> None:
        """Start the station and wait until it serves and is subscribed."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api.program", str(self._settings)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        wanted = {"station.ready", "broker.connected"}
        for line in self._process.stderr:
            said = json.loads(line) if line.startswith("{") else {}
            wanted -= {said.get("event", "")}
            self._port = said.get("port", self._port)
            if not wanted:
                break
        else:
            raise RuntimeError("the station ended while it started")
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def stop(self) -> None:
        """End the station."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def memory_mib(self) -> float:
        """Of the station, and what its children have beside it: pages that they share are counted once."""
        assert self._process is not None
        pid = self._process.pid
        return rss_mib(pid) + sum(private_mib(child) for child in _children(pid))

    @property
    def origin(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self._port}"

    def envelopes(self, many: int = EVENTS) -> list[bytes]:
        """So many presses, signed in advance."""
        made: list[bytes] = []
        for _ in range(many):
            self._seq += 1
            unit = self._seq % UNITS
            made.append(
                self._signer.envelope(
                    GatewayEvent.model_validate(
                        {
                            "topic": TOPIC,
                            "audience": audience_of(TOPIC),
                            "id": event_id(time.time_ns() // 1_000_000, self._dice.randbytes(EVENT_ID_RANDOM_BYTES)),
                            "age_ms": 5,
                            "gateway": GATEWAY,
                            "event": EventType.PRESS,
                            "epoch": EPOCH,
                            "seq": self._seq,
                            "boot": "b1",
                            "at_ms": time.time_ns() // 1_000_000,
                            "mono_us": self._seq,
                            "clock": "synced",
                            "unit": f"u{unit}",
                            "place": f"h{unit}",
                            "group": f"gr{unit // 10}",
                            "door": unit,
                            "label": "老王家",
                            "kind": Kind.PANIC,
                            "press": f"u{unit}:1:{self._seq}",
                            "verified": True,
                        }
                    )
                )
            )
        return made

    def storm(self) -> float:
        """Send EVENTS presses; events a second until the last receipt."""
        return self.send(self.envelopes())

    def send(self, envelopes: Sequence[bytes]) -> float:
        """Send them; events a second until the last receipt."""
        missing = {json.loads(one)["body"]["id"] for one in envelopes}
        verifier = Verifier(STATION, {"station": Signer("station", _seed("station")).public})
        done = threading.Event()

        def heard(_client: Client, _userdata: object, message: MQTTMessage) -> None:
            body = verifier.open(message.topic, bytes(message.payload), retained=message.retain)
            if isinstance(body, Receipt):
                missing.difference_update(body.stored)
                if not missing:
                    done.set()

        with _connected(self._broker, PRINCIPALS[1], heard, RECEIPTS) as client:
            began = time.monotonic()
            _publish(client, envelopes)
            if not done.wait(ANSWER_S):
                raise TimeoutError(f"{len(missing)} events have no receipt")
            return len(envelopes) / (time.monotonic() - began)

    def acknowledge(self) -> list[float]:
        """Milliseconds of each of ACKNOWLEDGED acknowledgements, one every EVERY_S, as one officer sends them."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT id FROM alarm WHERE state = 'received' LIMIT ?", (ACKNOWLEDGED,)).fetchall()
        took: list[float] = []
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)) as http:
            for (alarm,) in found:
                began = time.monotonic()
                _ask(http, "POST", f"/api/v1/alarms/{alarm}/acknowledge")
                took.append((time.monotonic() - began) * 1_000)
                time.sleep(EVERY_S)
        return took

    def tell_viewers(self) -> list[float]:
        """Milliseconds from an acknowledgement's request until the last of VIEWERS has heard of it, TOLD times."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            found = db.execute("SELECT id FROM alarm WHERE state = 'received' LIMIT ?", (TOLD,)).fetchall()
        took: list[float] = []
        with self.viewers() as viewers, closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as http:
            for (alarm,) in found:
                began = time.monotonic()
                hearing = threading.Thread(target=_ask, args=(http, "POST", f"/api/v1/alarms/{alarm}/acknowledge"))
                hearing.start()
                viewers.until_all_heard(alarm)
                took.append((time.monotonic() - began) * 1_000)
                hearing.join()
        return took

    def viewers(self, many: int = VIEWERS) -> Viewers:
        """Screens that hear its feed."""
        return Viewers(self._port, many)

    def list_open(self) -> list[float]:
        """Milliseconds of each of LISTED first pages of the open alarms."""
        took: list[float] = []
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)) as http:
            for number in range(LISTED + 5):
                began = time.monotonic()
                _ask(http, "GET", "/api/v1/alarms?open=true")
                if number >= 5:
                    took.append((time.monotonic() - began) * 1_000)
        return took

    def _write_settings(self, directory: Path) -> None:
        key = directory / "station.key"
        key.write_text(_seed("station").hex())
        settings = {
            "station": STATION,
            "broker": {
                "port": self._broker.port,
                "user": PRINCIPALS[0].user,
                "password": self._broker.password(PRINCIPALS[0]),
            },
            "database": f"sqlite:///{self.database}",
            "http": {"port": 0},
            "signing": {"path": str(key)},
            "gateway_keys": {gateway_kid(GATEWAY): self._signer.public.hex()},  # type: ignore[arg-type] # an id of ours
            "officers": [
                {"id": who, "name": who, "role": "officer", "token_hash": sha256(token_of(who).encode()).hexdigest()}
                for who in OFFICERS
            ],
            "groups": [{"id": f"gr{n}", "community": "c1", "grid": f"r{n // 10}"} for n in range(UNITS // 10)],
            "households": [
                {"id": f"h{n}", "group": f"gr{n // 10}", "door": n, "label": f"第{n}户"} for n in range(UNITS)
            ],
            "units": [{"id": f"u{n}", "household": f"h{n}"} for n in range(UNITS)],
        }
        self._settings.write_text(json.dumps(settings), encoding="utf-8")


class Viewers:
    """Screens on one thread: each has heard when the alarm's id has come over its connection."""

    def __init__(self, port: int, many: int = VIEWERS) -> None:
        self._port = port
        self._many = many
        self._selector = selectors.DefaultSelector()
        self._tails: dict[socket.socket, bytes] = {}

    def __enter__(self) -> Self:
        """Connect, and wait until each is greeted."""
        for number in range(self._many):
            one = socket.create_connection(("127.0.0.1", self._port))
            token = token_of(OFFICERS[number % len(OFFICERS)])
            one.sendall(f"GET /api/v1/feed HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            self._tails[one] = b""
            self._selector.register(one, selectors.EVENT_READ)
        self.until_all_heard("event: hello")
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        for one in self._tails:
            one.close()
        self._selector.close()

    def until_all_heard(self, what: str) -> None:
        """Return when every screen has heard of it."""
        waiting = set(self._tails)
        until = time.monotonic() + 30
        while waiting:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(waiting)} screens have not heard of it")
            for key, _ in self._selector.select(1):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                came = one.recv(65_536)
                if not came:
                    raise ConnectionError("a screen was cut")
                self._tails[one] = (self._tails[one] + came)[-8_192:]
                if what.encode() in self._tails[one]:
                    waiting.discard(one)

    def listen(self, until: threading.Event) -> None:
        """Read whatever comes, so that nobody waits for a screen that does not."""
        while not until.is_set():
            for key, _ in self._selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.recv(65_536)


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows of one table as a floor inserts them: for each commit its own."""

    name: str
    portions: list[list[dict[str, Any]]]


def _rows(database: Path, events: int) -> list[_Table]:
    """The rows that the station made of the first `events` presses, as many for each commit as 100 events made."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        inbox = [dict(row) for row in db.execute("SELECT * FROM inbox ORDER BY rowid LIMIT ?", (events,))]
        ids = {row["id"] for row in inbox}
        alarms = [row for row in map(dict, db.execute("SELECT * FROM alarm ORDER BY number")) if row["id"] in ids]
        dues = [row for row in map(dict, db.execute("SELECT * FROM deadline ORDER BY number")) if row["alarm"] in ids]
    return [_Table("inbox", _portions(inbox)), _Table("alarm", _portions(alarms)), _Table("deadline", _portions(dues))]


def _portions(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    many = -(-EVENTS // 100)
    numbered = groupby(enumerate(rows), key=lambda one: one[0] * many // max(1, len(rows)))
    return [[row for _, row in some] for _, some in numbered]


def _executemany(path: Path, like: Path, tables: Sequence[_Table]) -> float:
    """Insert them with Core, 100 events a commit, into tables like the station's; events a second."""
    with closing(sqlite3.connect(f"file:{like}?mode=ro", uri=True)) as db:
        names = ", ".join(f"'{table.name}'" for table in tables)
        made = db.execute(f"SELECT sql FROM sqlite_master WHERE tbl_name IN ({names}) AND sql IS NOT NULL").fetchall()  # noqa: S608 - names of ours
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        for (sql,) in sorted(made, key=lambda one: not one[0].startswith("CREATE TABLE")):
            db.execute(sql)
        db.commit()
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=FULL"))
    metadata = MetaData()
    metadata.reflect(engine)
    began = time.monotonic()
    for number in range(len(tables[0].portions)):
        with engine.begin() as connection:
            for table in tables:
                if number < len(table.portions) and table.portions[number]:
                    connection.execute(metadata.tables[table.name].insert(), table.portions[number])
    took = time.monotonic() - began
    engine.dispose()
    return EVENTS / took


def _discard(broker: PrivateBroker, envelopes: Sequence[bytes]) -> float:
    """Take them from the broker with manual acknowledgement and do nothing; events a second."""
    done = threading.Event()
    taken = 0

    def heard(client: Client, _userdata: object, message: MQTTMessage) -> None:
        nonlocal taken
        client.ack(message.mid, message.qos)
        taken += 1
        if taken == len(envelopes):
            done.set()

    with (
        _connected(broker, PRINCIPALS[0], heard, TOPIC, manual_ack=True),
        _connected(broker, PRINCIPALS[1], None) as client,
    ):
        began = time.monotonic()
        _publish(client, envelopes)
        if not done.wait(ANSWER_S):
            raise TimeoutError("the floor's consumer has not got everything")
        return len(envelopes) / (time.monotonic() - began)


@contextmanager
def _connected(
    broker: PrivateBroker, who: Principal, heard: Any, *topics: str, manual_ack: bool = False
) -> Iterator[Client]:
    ready = threading.Event()
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=who.user, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=manual_ack
    )
    client.username_pw_set(who.user, broker.password(who))
    client.on_message = heard
    client.on_subscribe = lambda *_: ready.set()
    client.on_connect = lambda one, *_: one.subscribe([(t, 1) for t in topics]) if topics else ready.set()
    client.on_socket_open = _no_delay
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        if not ready.wait(30):
            raise TimeoutError("the broker does not answer")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _no_delay(_client: Client, _userdata: Any, connection: Any) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _publish(client: Client, envelopes: Sequence[bytes]) -> None:
    for envelope in envelopes:
        client.publish(TOPIC, envelope, qos=1)


def _archive(database: Path, many: int) -> None:
    """Put so many archived alarms into a stopped station's database, each like one that is there."""
    with closing(sqlite3.connect(database)) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(alarm)")]
        changed = {
            "number": "NULL",
            "id": "printf('%036d', n)",
            "key": "'archived:' || n",
            "state": "'archived'",
            "incident": "NULL",
        }
        values = ", ".join(changed.get(name, f'a."{name}"') for name in names)
        columns = ", ".join(f'"{name}"' for name in names)
        db.execute("PRAGMA synchronous=OFF")
        db.execute(
            f"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {many}) "  # noqa: S608 - names of ours
            f"INSERT INTO alarm ({columns}) SELECT {values} FROM t, "
            "(SELECT * FROM alarm WHERE state = 'acknowledged' LIMIT 1) a"
        )
        db.commit()


def _ask(http: HTTPConnection, method: str, path: str) -> bytes:
    http.request(method, path, headers={"Authorization": f"Bearer {token_of(OFFICERS[0])}"})
    answer = http.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{method} {path}: {answer.status} {body[:300]!r}")
    return body


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(one) for one in (task / "children").read_text(encoding="ascii").split()]
    return found


def token_of(who: str) -> str:
    return f"token-of-{who}"


def _seed(name: str) -> bytes:
    return sha256(name.encode()).digest()
