"""Rights at the broker, rendered from the table of topics: mosquitto's ACL file and its configuration.

A principal is one account and one connection (a second connection of an account ends the first). Its MQTT user
name, client id and certificate name are one text: `{station}.{role}.{id}`, without the id for the roles that a
station has once, and `@seat` behind it where one principal needs several connections (two desks of one police
station). Default is deny; the file names what each may do, one line a topic, no patterns and no `%c`.

mosquitto grants a SUBSCRIBE to anything and filters at delivery, so rights are tested by what arrives.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import pbkdf2_hmac
from typing import Final

from broker.ids import StationId, segment
from broker.messages import MAX_PAYLOAD
from broker.topics import TABLE, Role, Row, build, filter_of

OVERHEAD: Final = 1_024
"""Octets of an MQTT packet around a payload, at most: topic, packet id, properties."""

MAX_KEEPALIVE_S: Final = 60
QUEUED_MESSAGES: Final = 20_000
"""Per client: more than a day of a station's alarms. Beyond it the broker drops what it has acknowledged, and
the receipts (not the broker) make up for it."""


LOOPBACK: Final = "127.0.0.1"

PBKDF2_ITERATIONS: Final = 101
"""What mosquitto_passwd 2.0 uses. The passwords are long random texts, which more rounds would not make better."""
SALT_BYTES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody with an account at the broker of a station.

    For gateways: `alerts` are the audiences whose alarm topics it may write, as messages spell them
    (`household:h03`, `grid:g2`); None means every one of its station. `rings` are the households whose units
    hang on this gateway though their group's home is another one (marked `remote`): it receives their topics.
    """

    station: StationId
    role: Role
    id: str = ""
    seat: str = ""
    alerts: frozenset[str] | None = None
    rings: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what could not be a user name or a topic level: IdError, or ValueError for a missing id."""
        segment("station", self.station)
        if self.role.many:
            segment(self.role, self.id)
        elif self.id:
            raise ValueError(f"a station has one {self.role}, so it has no id")
        if self.seat:
            segment("seat", self.seat)

    @property
    def user(self) -> str:
        """MQTT user name, client id and certificate name: `north.household.h03`, `north.police@desk-2`."""
        name = f"{self.station}.{self.role}" + (f".{self.id}" if self.id else "")
        return f"{name}@{self.seat}" if self.seat else name

    @property
    def audience(self) -> str:
        """Who it is, as `body.audience` and `kid` spell it: `police`, `household:h03`."""
        return f"{self.role}:{self.id}" if self.id else str(self.role)


@dataclass(frozen=True, slots=True)
class Right:
    """One line of an ACL: `access` is `read` or `write`."""

    access: str
    filter: str


def rights(principal: Principal) -> Iterator[Right]:
    """All that `principal` may do, in the order of the table; nothing else."""
    for row in TABLE:
        if row.publisher is principal.role:
            yield from (Right("write", f) for f in _filters(row, principal, writing=True))
        if principal.role in row.receivers:
            yield from (Right("read", f) for f in _filters(row, principal, writing=False))


def _filters(row: Row, principal: Principal, *, writing: bool) -> list[str]:
    if row.owner is None:
        return [build(row.name, principal.station)]
    if row.owner is principal.role:
        return [build(row.name, principal.station, principal.id)]
    if principal.role is Role.STATION or (writing and principal.alerts is None):
        return [filter_of(row.name, principal.station)]
    others = (principal.alerts or frozenset()) if writing else {f"{Role.HOUSEHOLD}:{id_}" for id_ in principal.rings}
    return [
        build(row.name, principal.station, id_)
        for role, _, id_ in (other.partition(":") for other in sorted(others))
        if role == row.owner
    ]


def password_digest(password: str, *, salt: bytes) -> str:
    """A line of mosquitto's password file behind the user name: `$7$101$salt$digest` (PBKDF2, SHA-512)."""
    digest = pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ITERATIONS)
    return f"$7${PBKDF2_ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}"


def acl_file(principals: Iterable[Principal]) -> str:
    """The text of mosquitto's `acl_file`: one block a principal, sorted by user name."""
    blocks = [_block(principal) for principal in sorted(principals, key=lambda principal: principal.user)]
    return "# Rendered from broker/topics.py. Whoever is not named here may do nothing.\n" + "".join(blocks)


def _block(principal: Principal) -> str:
    lines = "".join(f"topic {right.access} {right.filter}\n" for right in rights(principal))
    return f"\nuser {principal.user}\n{lines}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of a listener that knows its clients by certificate. Absolute paths."""

    ca: str
    certificate: str
    key: str
    revoked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """What differs from one mosquitto of ours to the next. Paths are absolute; `directory` ends without a slash.

    `run_as` names the user that mosquitto changes to when root starts it: it must be able to read and write
    `directory` (a private instance says `root`; an installed one keeps mosquitto's own user, None).
    Without `tls` the listener takes passwords, and belongs on a loopback address. With it `local` is the port of a
    second listener, on loopback and for passwords: whoever runs the broker asks there whether it answers, and cuts off
    there whose certificate was revoked.
    """

    directory: str
    port: int
    address: str = LOOPBACK
    connections: int = 1_000
    run_as: str | None = None
    tls: Tls | None = None
    local: int | None = None

    @property
    def acl_path(self) -> str:
        """Where the broker looks for its ACL."""
        return f"{self.directory}/acl"

    @property
    def password_path(self) -> str:
        """Where the broker looks for password digests."""
        return f"{self.directory}/passwords"


def broker_file(settings: BrokerSettings) -> str:
    """The text of `mosquitto.conf`.

    Listeners with stated addresses (2.0.11 opens an anonymous one by itself when none is named), and never
    `per_listener_settings` (it loses queued messages). Persistence is on, but nothing relies on it. Size is limited
    by packet and not by `message_size_limit`, which acknowledges what it throws away.
    """
    lines = [
        "# Rendered by broker/acl.py.",
        *([f"user {settings.run_as}"] if settings.run_as else []),
        f"listener {settings.port} {settings.address}",
        *_listener_security(settings),
        *_each_listener(settings),
        *([] if settings.tls is None or settings.local is None else _local_listener(settings)),
        "allow_anonymous false",
        f"acl_file {settings.acl_path}",
        "persistence true",
        f"persistence_location {settings.directory}/",
        "autosave_interval 30",
        "persistent_client_expiration 30d",
        f"max_queued_messages {QUEUED_MESSAGES}",
        "max_inflight_messages 100",
        f"max_packet_size {MAX_PAYLOAD + OVERHEAD}",
        f"max_keepalive {MAX_KEEPALIVE_S}",
        "set_tcp_nodelay true",
        "sys_interval 10",
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
    ]
    return "\n".join(lines) + "\n"


def _each_listener(settings: BrokerSettings) -> list[str]:
    return ["use_username_as_clientid true", f"max_connections {settings.connections}"]


def _local_listener(settings: BrokerSettings) -> list[str]:
    listener = f"listener {settings.local} {LOOPBACK}"
    return [listener, *_each_listener(settings), f"password_file {settings.password_path}"]


def _listener_security(settings: BrokerSettings) -> list[str]:
    if settings.tls is None:
        return [f"password_file {settings.password_path}"]
    tls = settings.tls
    return [
        f"cafile {tls.ca}",
        f"certfile {tls.certificate}",
        f"keyfile {tls.key}",
        *([f"crlfile {tls.revoked}"] if tls.revoked else []),
        "tls_version tlsv1.2",
        "require_certificate true",
        "use_identity_as_username true",
    ]
