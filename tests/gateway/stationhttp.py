"""The station's HTTP, as small as the gateway's other road needs it: a real server on a free port of this machine."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from broker.ids import EventId, StationId
from broker.messages import GatewayEvent, Receipt, audience_of
from broker.signing import Signer, Verifier, canonical
from broker.topics import Name, build
from tests.gateway.place import GATEWAY, GATEWAY_SIGNER, STATION, STATION_SIGNER, new_id
from tests.gateway.waiting import PATIENCE_S

TRIAL = f"/api/v1/gateways/{GATEWAY}/trial"
EVENTS = f"/api/v1/gateways/{GATEWAY}/events"


class StationHttp:
    """Stores in memory. `refuse` answers instead, as long as it is set."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = server.server_port
        self.stored: list[EventId] = []
        self.requests: list[int] = []
        """How many events came with each."""
        self.trials = 0
        self.refuse: tuple[int, dict[str, str], bytes] | None = None
        self.poison: dict[EventId, tuple[int, dict[str, str], bytes] | None] = {}
        """What is answered when one of these comes; None: it is passed over without a word."""
        self.signer = STATION_SIGNER
        self.hold = Event()
        """Nothing is answered before it is set."""
        self.hold.set()
        self._verifier = Verifier(StationId(STATION), {GATEWAY_SIGNER.kid: GATEWAY_SIGNER.public})

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == TRIAL:
            return self._answer_trial(body)
        assert path == EVENTS, path
        self.hold.wait(PATIENCE_S)
        topic = build(Name.GATEWAY_EVENT, STATION, GATEWAY)
        events = [self._verifier.open(topic, canonical(one)) for one in json.loads(body)["events"]]
        self.requests.append(len(events))
        if self.refuse is not None:
            return self.refuse
        for event in events:
            if (refusal := self.poison.get(event.id)) is not None:
                return refusal
        ids = [event.id for event in events if isinstance(event, GatewayEvent) and event.id not in self.poison]
        fresh = [one for one in ids if one not in self.stored]
        self.stored += fresh
        receipt = receipt_of(fresh, [one for one in ids if one not in fresh], signer=self.signer)
        return 200, {}, b'{"receipts":[' + receipt + b"]}"

    def _answer_trial(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self._verifier.open(build(Name.GATEWAY_STATUS, STATION, GATEWAY), canonical(json.loads(body)))
        self.trials += 1
        if self.refuse is not None:
            return self.refuse
        return 200, {}, b'{"receipts":[' + receipt_of([], [], signer=self.signer) + b"]}"


def receipt_of(stored: list[EventId], duplicate: list[EventId], *, signer: Signer = STATION_SIGNER) -> bytes:
    topic = build(Name.GATEWAY_RECEIPT, STATION, GATEWAY)
    return signer.envelope(
        Receipt(
            topic=topic,
            audience=audience_of(topic),
            id=new_id(),
            age_ms=0,
            generation=1,
            stored=tuple(stored),
            duplicate=tuple(duplicate),
        )
    )


@contextmanager
def serving(
    answer: Callable[[str, bytes], tuple[int, dict[str, str], bytes]] | None = None, *, tls: Path | None = None
) -> Iterator[StationHttp]:
    """A station over HTTP; with `tls`, a certificate and its key in one file, over HTTPS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, said = (answer or station.answer)(self.path, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            return  # a gateway that hung up is no concern of a test

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    station = StationHttp(server)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield station
    finally:
        station.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
