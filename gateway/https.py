"""The one door to HTTP in the gateway: one request at a time, on a thread of its own, bounded in time and size.

The standard library's client does: a thread may wait for a name or a certificate, the loop never does. Nothing is
followed (no redirects), no proxy is asked, nothing is kept open. http.client is imported when it is first needed,
which on most gateways is never.

HttpError               .why (one word) .what
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gateway.stamps import kernel_synced
from gateway.trust import believing, is_early

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection, HTTPResponse

CONNECT_S: Final = 5.0
STEP_S: Final = 10.0
"""The other side may be silent for so long."""
WHOLE_S: Final = 20.0
"""And all of it may take so long."""
ANSWER_MOST: Final = 262_144
WAIT_MOST_S: Final = 600.0


class HttpError(Exception):
    """There is no answer."""

    def __init__(self, why: str, what: str) -> None:
        self.why = why
        self.what = what
        super().__init__(f"{why}: {what}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. `path` begins all that is asked for there; empty, or with a slash in front and none behind."""

    secure: bool
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. `wait_s`: it asks not to be asked again before that."""

    status: int
    body: bytes
    wait_s: float = 0.0


def address_of(url: str) -> Address:
    """Read an address. ValueError: it is none, or would send alarms in the clear to another machine."""
    parts = urlsplit(url)
    host, secure = parts.hostname, parts.scheme == "https"
    odd = parts.username is not None or bool(parts.query or parts.fragment) or any(map(str.isspace, url))
    if parts.scheme not in {"http", "https"} or not host or odd or not url.isprintable() or parts.port == 0:
        raise ValueError("an address begins with https:// and names a machine")
    if not secure and not is_here(host):
        raise ValueError("alarms go to another machine by https only")
    return Address(secure, host, parts.port or (443 if secure else 80), parts.path.rstrip("/"))


def is_here(host: str) -> bool:
    """Whether a host is this machine, whatever its names are elsewhere."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


class Client:
    """Asks one server. Use from the event loop only."""

    def __init__(
        self,
        address: Address,
        *,
        ca: Path | None = None,
        whole_s: float = WHOLE_S,
        synced: Callable[[], bool] = kernel_synced,
    ) -> None:
        """`ca`: the authority that signed the server's certificate; None: those that this machine trusts.

        `synced`: whether something keeps this machine's clock right.
        """
        self._address = address
        self._ca = ca
        self._whole_s = whole_s
        self._synced = synced
        self._context: ssl.SSLContext | None = None
        self._connection: HTTPConnection | None = None
        self.busy = False
        """Whether a request is under way, also one that nobody waits for any more."""

    async def post(self, path: str, body: bytes) -> Answer:
        """Send `body` as JSON. Raises HttpError."""
        if self.busy:
            raise HttpError("busy", "the request before has not ended")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()

        def settle(answer: Answer | HttpError) -> None:
            if answered.done():
                return
            if isinstance(answer, HttpError):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)

        def work() -> None:
            answer = self._ask(self._address.path + path, body)
            self.busy = False
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, answer)

        # A thread that the program need not wait for at its end: a name may be looked up for half a minute.
        thread = threading.Thread(target=work, name="https", daemon=True)
        self.busy = True
        try:
            thread.start()
        except RuntimeError as error:  # the machine has no room for another thread
            self.busy = False
            raise HttpError("no_thread", str(error)) from None
        try:
            async with asyncio.timeout(self._whole_s):
                return await answered
        except TimeoutError:
            raise HttpError("timeout", f"no whole answer within {self._whole_s:g} s") from None
        finally:
            self._abort()

    def _abort(self) -> None:
        """End what still goes on: whoever waits in a read hears of it at once."""
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not that of a TLS socket, which is not the thread's

    # On the thread

    def _ask(self, path: str, body: bytes) -> Answer | HttpError:
        from http.client import HTTPException  # noqa: PLC0415 - most gateways never need it

        connection: HTTPConnection | None = None
        try:
            connection = self._connection = self._connect()
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                if not is_early(error) or self._synced():
                    raise
                connection.close()
                connection = self._connection = self._connect(any_time=True)
                connection.connect()
            connection.sock.settimeout(STEP_S)
            headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
            connection.request("POST", path, body, headers)
            return self._read(connection.getresponse())
        except ssl.SSLError as error:
            self._context = None  # the authority's file may be renewed
            return HttpError("tls", str(error))
        except (OSError, HTTPException, ValueError) as error:
            self._context = None
            return HttpError("no_answer", str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            return HttpError("internal", f"{type(error).__name__}: {error}")
        finally:
            self._connection = None
            if connection is not None:
                connection.close()

    def _connect(self, *, any_time: bool = False) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - as above

        address = self._address
        if not address.secure:
            return HTTPConnection(address.host, address.port, timeout=CONNECT_S)
        if any_time:  # for this once: the next request finds out anew whether the clock is right by then
            context = believing(self._ca, any_time=True)
            return HTTPSConnection(address.host, address.port, timeout=CONNECT_S, context=context)
        if self._context is None:
            self._context = believing(self._ca)
        return HTTPSConnection(address.host, address.port, timeout=CONNECT_S, context=self._context)

    def _read(self, response: HTTPResponse) -> Answer | HttpError:
        body = response.read(ANSWER_MOST + 1)
        if len(body) > ANSWER_MOST:
            return HttpError("too_large", f"more than {ANSWER_MOST} octets")
        asked = response.headers.get("Retry-After", "")
        wait_s = min(float(asked), WAIT_MOST_S) if asked.isascii() and asked.isdigit() else 0.0
        return Answer(response.status, body, wait_s)
