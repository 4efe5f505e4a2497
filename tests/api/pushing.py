"""A push service and browsers as they really are: HTTP on this machine, and messages that only the browser reads."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from api.accounts import repository as accounts
from api.notify.encryption import encoded
from api.push.schemas import Subscription
from api.rights.rules import Authority, Principal, Reach
from tests.api.conftest import Served
from tests.api.peers import eventually

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Pushed:
    """A message that arrived, as the browser reads it."""

    headers: Mapping[str, str]
    sealed: bytes
    payload: Any


@dataclass
class Phone:
    """A browser that was subscribed: its keys, and what reached it. `status`: what its push service answers."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = b"sixteen octets.."
    status: int = 201
    got: list[Pushed] = field(default_factory=list)

    @property
    def subscription(self) -> dict[str, str]:
        """What the page sends."""
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return {"endpoint": self.endpoint, "p256dh": encoded(point), "auth": encoded(self.secret)}

    def take(self, headers: Mapping[str, str], sealed: bytes) -> None:
        """Read a message as a browser does."""
        assert headers["Content-Encoding"] == "aes128gcm"
        assert Vapid02.verify(headers["Authorization"])
        text = http_ece.decrypt(sealed, private_key=self.key, auth_secret=self.secret)
        self.got.append(Pushed(headers, sealed, json.loads(text)))

    @property
    def titles(self) -> list[str]:
        return [one.payload["title"] for one in self.got]


class PushService:
    """A push service on this machine."""

    def __init__(self) -> None:
        self.phones: dict[str, Phone] = {}
        self.tries = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                phone, service.tries = service.phones[self.path], service.tries + 1
                if phone.status == 201:
                    phone.take(dict(self.headers), content)
                self.send_response(phone.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def phone(self) -> Phone:
        """A new browser's subscription."""
        path = f"/push/{len(self.phones)}"
        self.phones[path] = Phone(f"http://{LOOPBACK}:{self._server.server_address[1]}{path}")
        return self.phones[path]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService()
    yield service
    service.close()


def allow_loopback(served: Served) -> None:
    """What an administrator does for the push services that there are."""
    with served.station.database.write() as session:
        served.station.channels.allow(session, authority("admin"), LOOPBACK)


def authority(account: str) -> Authority:
    principal = Principal(account=account, name=account, grants=(), via="session")
    return Authority(principal, "push.own", Reach(account=account, held=()))


def subscribe(served: Served, account: str, phone: Phone, *, page: str = "household", language: str = "zh") -> str:
    """As the account's phone does by its page; the digest of its session."""
    station, digest = served.station, f"{account}{phone.endpoint}".encode().hex().ljust(64, "0")[:64]
    with station.database.write() as session:
        if accounts.one(session, accounts.SIGN_IN, digest=digest) is None:
            now = station.clock()
            accounts.add(session, accounts.SIGN_IN, digest=digest, account=account, second_factor=False,
                         began_ms=now, seen_ms=now)  # fmt: skip
        what = Subscription.model_validate(phone.subscription | {"page": page, "language": language})
        station.pushing.subscribe(session, authority(account), what, signed_in=digest)
    return digest


def look(served: Served) -> int:
    """Find whom to push to, and send it; to how many browsers it was owed."""
    station = served.station
    many = station.pushing.look(station.database, station.clock(), wake=station.notifier.wake)
    sent(served)
    return many


def sent(served: Served) -> None:
    """Wait until nothing that was owed waits for its first try."""
    eventually(
        lambda: served.rows("SELECT count(*) FROM delivery WHERE state = 'waiting'") == [(0,)], "everything was tried"
    )
