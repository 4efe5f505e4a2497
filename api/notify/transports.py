"""The ways out: a signed webhook of ours, apprise for everything that people use, and push services for browsers.

One door for apprise.

    CannotSend          .trouble: one word for the row. Never what an address or a server says: both may hold secrets.

What may be sent to is decided each time, when it is sent: https alone, to a host that an administrator allowed, whose
addresses lie outside our own walls. All are connected to the very addresses that were judged, however the name is
answered a moment later: a webhook and a push by their own connection, apprise because in its thread nothing else is
resolved while it sends. A browser's address is what its user sends us: only the push services of PUSH_SERVICES are
taken, and of those what an administrator allowed. Apprise is kept to services with fixed hosts, e-mail by TLS, and JSON
over https. None follows redirects.
"""

import http.client
import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from api.notify import rules
from api.notify.encryption import Device, StationKey, seal
from api.notify.rules import Words

if TYPE_CHECKING:
    from apprise import NotifyBase

TIMEOUT_S: Final = 10.0
"""For one step of a connection."""
LIMIT_S: Final = 20.0
"""For all of it."""
URL_MOST: Final = 2_000

SERVICES: Final[Mapping[str, str | None]] = {
    "wecombot": "qyapi.weixin.qq.com",
    "dingtalk": "oapi.dingtalk.com",
    "feishu": "open.feishu.cn",
    "jsons": None,
    "mailtos": None,
}
"""What of apprise may be used, with the host that it sends to (None: the one of the address)."""
PUSH_SERVICES: Final = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "web.push.apple.com",
    "notify.windows.com",
)
"""Where browsers' push services are: at this host or below it. An administrator allows each by this name."""
PUSH_TTL_MOST_S: Final = 86_400
SUBJECT: Final = "mailto:station@shouwang.invalid"
"""Whom a push service could ask about us: it wants an address, and there is nobody whose we may give away."""
GONE: Final = "gone"
"""The push service knows the browser no more."""
FOR_TESTS: Final = "json"
"""Plain http, to loopback alone and only where a setting allows it."""

logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses, which hold keys

Resolve = Callable[[str, int], Collection[str]]


class CannotSend(Exception):
    """It was not taken. Field: `trouble`, one word."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        super().__init__(trouble)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a channel sends. `sort`: apprise, webhook or push.

    For push: the browser's keys and the station's, the language of its reader, and the page that he has.
    """

    sort: str
    url: str
    secret: str = ""
    device: Device | None = None
    key: StationKey | None = None
    language: str = "zh"
    home: str = ""

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Address(sort={self.sort!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What may be sent to. `loopback`: this machine too, for tests."""

    hosts: frozenset[str]
    loopback: bool = False


def resolve(host: str, port: int) -> Collection[str]:
    """Every address of a host. Raises CannotSend."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise CannotSend("no_such_host") from None
    return [str(one[4][0]) for one in found]


_system_getaddrinfo: Final = socket.getaddrinfo
_pins = threading.local()


def _getaddrinfo(host: bytes | str | None, *more: Any, **named: Any) -> Any:
    """The system's; in a thread with pins only what they say. Plugins take neither a resolver nor a connection."""
    pins: Mapping[str, Sequence[str]] | None = getattr(_pins, "of", None)
    if pins is None:
        return _system_getaddrinfo(host, *more, **named)
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""
    found: list[Any] = []
    for address in pins.get(name.lower(), ()):
        with suppress(socket.gaierror):  # of the other family than what is wanted
            found += _system_getaddrinfo(address, *more, **named)
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "not judged")
    return found


socket.getaddrinfo = _getaddrinfo


@contextmanager
def pinned(host: str, addresses: Sequence[str]) -> Iterator[None]:
    """Let this thread connect by name to these addresses of this host, and to nothing else."""
    names = {host.lower()}
    with suppress(UnicodeError):
        names.add(host.encode("idna").decode("ascii").lower())
    _pins.of = dict.fromkeys(names, addresses)
    try:
        yield
    finally:
        del _pins.of


def host_of(address: Address, *, loopback: bool) -> str:
    """The host that an address sends to. Raises CannotSend for one that may not be used at all."""
    if address.sort == "webhook":
        return _webhook_parts(address.url, loopback=loopback)[0]
    if address.sort == "push":
        return service_of(_webhook_parts(address.url, loopback=loopback)[0], loopback=loopback)
    return _plugin_host(address.url, _plugin(address.url, loopback=loopback))


def service_of(host: str, *, loopback: bool) -> str:
    """The push service that a host belongs to. Raises CannotSend for one that is none."""
    found = next((one for one in PUSH_SERVICES if host == one or host.endswith(f".{one}")), None)
    if found is None and loopback:
        return host
    if found is None:
        raise CannotSend("no_push_service")
    return found


def send(
    address: Address,
    words: Words,
    *,
    delivery: str,
    station: str,
    now_s: int,
    walls: Walls,
    resolver: Resolve = resolve,
) -> None:
    """Send one message and wait until it is taken. Raises CannotSend."""
    if address.sort == "webhook":
        _send_webhook(address, words, delivery=delivery, station=station, now_s=now_s, walls=walls, resolver=resolver)
    elif address.sort == "push":
        _send_push(address, words, now_s=now_s, walls=walls, resolver=resolver)
    else:
        _send_apprise(address, words, walls=walls, resolver=resolver)


def _judged(host: str, port: int, walls: Walls, resolver: Resolve, *, allowed: str | None = None) -> list[str]:
    """The addresses of a host, every one of which may be sent to. Raises CannotSend.

    `allowed`: by which name it was allowed, if not by its own.
    """
    if (allowed or host) not in walls.hosts:
        raise CannotSend("host_not_allowed")
    found = [*resolver(host, port)]
    if not found or not all(rules.may_connect(one, loopback=walls.loopback) for one in found):
        raise CannotSend("address_not_allowed")
    return found


def _webhook_parts(url: str, *, loopback: bool) -> tuple[str, int, str, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise CannotSend("bad_address") from None
    secure = parts.scheme == "https"
    if (
        not host
        or parts.username is not None
        or len(url) > URL_MOST
        or not (secure or (parts.scheme == "http" and loopback))
    ):
        raise CannotSend("bad_address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or any(ord(one) <= 32 for one in path):
        raise CannotSend("bad_address")
    return host.lower(), port or (443 if secure else 80), path, secure


class _Pinned(http.client.HTTPConnection):
    """Connects to the address that was judged, whatever the resolver says now."""

    def __init__(self, host: str, port: int, *, addresses: Sequence[str], secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._addresses = addresses
        self._secure = secure

    def connect(self) -> None:
        """Open the connection, to the first address that takes it."""
        for address in self._addresses[:-1]:
            with suppress(OSError):
                self.sock = socket.create_connection((address, self.port), TIMEOUT_S)
                break
        else:
            self.sock = socket.create_connection((self._addresses[-1], self.port), TIMEOUT_S)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _send_webhook(
    address: Address, words: Words, *, delivery: str, station: str, now_s: int, walls: Walls, resolver: Resolve
) -> None:
    content = rules.body({**words.data, "title": words.title}, delivery=delivery, station=station)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "shouwang",
        "X-Shouwang-Delivery": delivery,
        "X-Shouwang-Timestamp": str(now_s),
        "X-Shouwang-Signature": rules.signature(address.secret, timestamp=now_s, content=content),
    }
    status = _post(address.url, content, headers, walls=walls, resolver=resolver)
    if not 200 <= status < 300:
        raise CannotSend("redirected" if 300 <= status < 400 else f"status_{status}")


def _send_push(address: Address, words: Words, *, now_s: int, walls: Walls, resolver: Resolve) -> None:
    """RFC 8030. The service keeps it no longer than it is good, and shows of several of one topic the last."""
    if address.device is None or address.key is None:
        raise CannotSend("bad_address")
    host, port, _path, secure = _webhook_parts(address.url, loopback=walls.loopback)
    allowed = service_of(host, loopback=walls.loopback)
    usual = port == (443 if secure else 80)
    origin = f"{'https' if secure else 'http'}://{host}{'' if usual else f':{port}'}"
    ttl_s = (words.data["expires_ms"] - now_s * 1_000) // 1_000
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "aes128gcm",
        "TTL": str(max(0, min(PUSH_TTL_MOST_S, ttl_s))),
        "Urgency": "high" if words.data["urgent"] else "normal",
        "Topic": words.data["tag"],
        "Authorization": address.key.authorization(audience=origin, subject=SUBJECT, now_s=now_s),
    }
    status = _post(
        address.url, seal(payload_of(words), address.device), headers, walls=walls, resolver=resolver, allowed=allowed
    )
    if status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE}:
        raise CannotSend(GONE)
    if not 200 <= status < 300:
        raise CannotSend("redirected" if 300 <= status < 400 else f"status_{status}")


def payload_of(words: Words) -> bytes:
    """What a browser is sent, before it is encrypted."""
    return json.dumps(words.data["payload"], ensure_ascii=False, separators=(",", ":")).encode()


def _post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    walls: Walls,
    resolver: Resolve,
    allowed: str | None = None,
) -> int:
    """Send it to an address that is judged first; what the other side answered. Raises CannotSend."""
    host, port, path, secure = _webhook_parts(url, loopback=walls.loopback)
    judged = _judged(host, port, walls, resolver, allowed=allowed)
    if not secure and not all(map(_is_loopback, judged)):
        raise CannotSend("address_not_allowed")
    connection = _Pinned(host, port, addresses=judged, secure=secure)
    ends = threading.Timer(LIMIT_S, connection.close)
    ends.daemon = True
    ends.start()
    try:
        connection.request("POST", path, body=content, headers=dict(headers))
        return connection.getresponse().status
    except TimeoutError:
        raise CannotSend("timeout") from None
    except ssl.SSLError:
        raise CannotSend("tls") from None
    except (OSError, http.client.HTTPException, AttributeError):  # AttributeError: closed by the timer in between
        raise CannotSend("no_connection") from None
    finally:
        ends.cancel()
        connection.close()


def _send_apprise(address: Address, words: Words, *, walls: Walls, resolver: Resolve) -> None:
    plugin = _plugin(address.url, loopback=walls.loopback)
    host = _plugin_host(address.url, plugin)
    judged = _judged(host, getattr(plugin, "port", None) or 443, walls, resolver)
    if plugin.secure is False and SERVICES.get(_scheme(address.url)) is None and not all(map(_is_loopback, judged)):
        raise CannotSend("address_not_allowed")
    try:
        with pinned(host, judged):
            taken = plugin.notify(body=words.body, title=words.title)
    except Exception:  # noqa: BLE001 - a hundred authors' plugins; what they raise may hold the address
        raise CannotSend("plugin") from None
    if not taken:
        raise CannotSend("refused")


def _is_loopback(address: str) -> bool:
    return rules.may_connect(address, loopback=True) and not rules.may_connect(address, loopback=False)


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _plugin(url: str, *, loopback: bool) -> "NotifyBase":
    scheme = _scheme(url)
    if len(url) > URL_MOST or not (scheme in SERVICES or (scheme == FOR_TESTS and loopback)):
        raise CannotSend("bad_address")
    apprise = import_module("apprise")  # with the first channel: 4 MiB that a station without one does not need
    try:
        found: Any = apprise.Apprise.instantiate(url, suppress_exceptions=True)
    except Exception:  # noqa: BLE001 - as above
        found = None
    if not isinstance(found, apprise.NotifyBase):
        raise CannotSend("bad_address")
    found.redirects = False
    found.socket_connect_timeout = found.socket_read_timeout = TIMEOUT_S
    found.verify_certificate = True
    plugin: NotifyBase = found
    return plugin


def _plugin_host(url: str, plugin: "NotifyBase") -> str:
    host = SERVICES.get(_scheme(url)) or getattr(plugin, "smtp_host", None) or plugin.host
    if not isinstance(host, str) or not host:
        raise CannotSend("bad_address")
    return host.lower()
