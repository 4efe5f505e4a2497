"""HTTPS beside HTTP: the certificate in use, and what is said to browsers by the one and by the other.

Theory. Plain HTTP stays open: a household's press, a gateway's road and a checkpoint's form work on a phone that trusts
nobody. Who opens another page in a browser that can do better (`Upgrade-Insecure-Requests`, W3C) is sent to HTTPS, but
only while the certificate counts and covers the name that he used, so that nobody is sent before a wall. What scripts
and machines ask for is never redirected.

A browser that was told HSTS lets nobody past an expired certificate. So it is told for as long as leaves
HSTS_SPARE_MS before the certificate's end, and in its last days not to insist any more.

A renewed certificate is taken without a restart: each handshake asks for the context of the moment. What cannot be used
is left alone, and is a fault; the station starts without it, too, and is there by HTTP alone until it can be used.

TlsError                    .path: the certificate or the key cannot be used
"""

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.certificates import Certificate, CertificateError, read
from api.clock import Clock
from api.settings import SettingsError, TlsListener

LOOK_S: Final = 5
"""How often the files are looked at."""
HSTS_MOST_MS: Final = 30 * 86_400_000
HSTS_SPARE_MS: Final = 14 * 86_400_000

STAYS: Final = ("/api", "/healthz", "/metrics", "/phone", "/trust", "/static", "/language")
"""What is never redirected: machines, the phones' pages and what they load, and how to come to trust the station."""
SIGNS_IN: Final = "/login"

log = structlog.get_logger("api.tls")

Stamps = tuple[tuple[int, int, int], ...]


class TlsError(SettingsError):
    """The certificate or its key cannot be used. Field: `path`."""


class Identity:
    """The station's certificate with its key, as they are now. `context` is for the listener, for good."""

    certificate: Certificate | None = None
    """What is shown; None as long as there never was one that could be used: then nobody gets in by HTTPS."""
    trouble: str = ""
    """Why what lies there now is not shown; empty while it is."""

    def __init__(self, settings: TlsListener) -> None:
        """What cannot be used keeps nobody from starting: alarms come by HTTP as well."""
        self._settings = settings
        self.port = settings.outside
        """The port that browsers ask."""
        self._stamps: Stamps = ()
        self.context = self._now = _context()
        self.context.sni_callback = self._choose  # asked in each handshake, also in one that names nobody
        self.look()

    def serves_at(self, port: int) -> None:
        """This is the port that was taken; browsers may be told another."""
        self.port = self._settings.public_port or port

    def look(self) -> None:
        """Take what was put in the place of certificate and key, when it can be used."""
        stamps = _stamps(self._settings)
        if stamps == self._stamps:
            return
        self._stamps = stamps
        try:
            self._now, self.certificate = self._load()
        except TlsError as error:
            self.trouble = str(error)
            log.warning("tls.refused", why=self.trouble)
        else:
            self.trouble = ""
            log.info("tls.takes", name=self.certificate.name, not_after_ms=self.certificate.not_after_ms)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._now

    def _load(self) -> tuple[ssl.SSLContext, Certificate]:
        path = self._settings.certificate
        try:
            certificate = read(path)
            context = _context()
            context.load_cert_chain(path, self._settings.key, password=_no_passphrase)
        except CertificateError as error:
            raise TlsError(error.path, str(error).partition(": ")[2]) from None
        except ssl.SSLError as error:
            raise TlsError(path, f"certificate and key cannot be used together: {error.reason}") from None
        except (OSError, ValueError) as error:
            raise TlsError(self._settings.key, f"the key cannot be read: {error}") from None
        return context, certificate


def _no_passphrase() -> bytes:
    raise ValueError("it is encrypted, and nobody is there to open it")


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _stamps(settings: TlsListener) -> Stamps:
    return tuple(map(_stamp, (settings.certificate, settings.key)))


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def hsts_s(certificate: Certificate | None, now_ms: int) -> int:
    """For how many seconds browsers may be told to insist on HTTPS."""
    if certificate is None:
        return 0
    return max(0, min(HSTS_MOST_MS, certificate.not_after_ms - now_ms - HSTS_SPARE_MS)) // 1_000


class Doors:
    """ASGI in front of everything: sends browsers from HTTP to HTTPS, and says HSTS where it was asked for."""

    def __init__(self, app: ASGIApp, *, settings: TlsListener, identity: Identity, clock: Clock) -> None:
        self._app = app
        self._settings = settings
        self._identity = identity
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say where it is served."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["scheme"] == "https":
            await self._app(scope, receive, self._insisting(send) if self._settings.hsts else send)
        elif (where := self._elsewhere(scope)) is not None:
            await _redirect(send, where)
        else:
            await self._app(scope, receive, send)

    def _insisting(self, send: Send) -> Send:
        value = f"max-age={hsts_s(self._identity.certificate, self._clock())}"

        async def insist(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Strict-Transport-Security"] = value
            await send(message)

        return insist

    def _elsewhere(self, scope: Scope) -> str | None:
        """Where a browser should go instead; None: nowhere."""
        headers = Headers(scope=scope)
        if not self._settings.redirect or scope["method"] not in {"GET", "HEAD"}:
            return None
        if headers.get("upgrade-insecure-requests") != "1" or _stays(scope["path"], scope["query_string"]):
            return None
        host = _name_in(headers.get("host", ""))
        certificate = self._identity.certificate
        if certificate is None or not certificate.covers(host) or not certificate.valid(self._clock()):
            return None
        port = self._identity.port
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        return f"https://{host}{'' if port == 443 else f':{port}'}{path}{f'?{query}' if query else ''}"


def _stays(path: str, query: bytes) -> bool:
    if path == SIGNS_IN:  # a guard who scanned a checkpoint's code comes back to the phone's page
        return b"to=/phone" in query or b"to=%2Fphone" in query
    return any(path == one or path.startswith(f"{one}/") for one in STAYS)


def _name_in(host: str) -> str:
    """The name or address of a Host header, an IPv6 address in its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def _redirect(send: Send, where: str) -> None:
    """For this once: what a browser remembers would still send it there when the certificate has expired."""
    headers = [
        (b"location", where.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"vary", b"Upgrade-Insecure-Requests"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": HTTPStatus.TEMPORARY_REDIRECT, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
