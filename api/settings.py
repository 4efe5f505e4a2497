"""What a station must be told. `deploy` writes it as one JSON file; everything is frozen and closed.

SettingsError               .path: the file cannot be read or is not what is described here
"""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from broker.ids import SEGMENT, CommunityId, GatewayId, GridId, GroupId, HouseholdId, StationId, UnitId
from broker.signing import SEED_BYTES, STATION_KID, gateway_of_kid

Port = Annotated[int, Field(ge=0, le=65_535)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""An Ed25519 public key, 32 octets in hexadecimal."""
UnitKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""The key of a unit, 16 octets in hexadecimal."""
DatabaseUrl = Annotated[str, StringConstraints(pattern=r"^(sqlite:///.+|postgresql(\+psycopg)?://.+)$")]
GatewayKid = Annotated[str, StringConstraints(pattern=r"^gateway:[a-z0-9-]{1,32}(#[0-9]{1,4})?$")]


class SettingsError(Exception):
    """Settings that cannot be used, in words for whoever wrote the file. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class Settings(BaseModel):
    """Frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BrokerAccess(Settings):
    """Where the station's broker is, and as whom the station comes. User name and client id are one text."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    user: str
    password: SecretStr | None = None
    ca: Path | None = None
    """The authority that signed the broker's certificate; without it the connection is not encrypted."""
    certificate: Path | None = None
    """Our own, with `key`, where the broker knows its accounts by certificate and not by password."""
    key: Path | None = None
    session_expiry_s: Annotated[int, Field(ge=60, le=2_592_000)] = 604_800
    """How long the broker keeps what arrives while the station is away."""


class TlsListener(Settings):
    """HTTPS beside HTTP. `host` None: as HTTP. Port 0 takes a free one, which the log then names."""

    host: str | None = None
    port: Port = 8443
    public_port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """Which port browsers ask, where something in front of the station passes it on; None: the same."""
    certificate: Path
    key: Path
    root: Path | None = None
    """The root that phones are to trust, as /trust gives it out; None: they know one already."""
    issued: Path | None = None
    """The list of what the authority signed, whose ends are watched."""
    redirect: bool = True
    """Whether browsers are sent from HTTP to HTTPS, except from the phones' pages."""
    hsts: bool = False
    """Whether browsers shall insist on HTTPS. They keep any port but 80, so it needs 80 and 443 (RFC 6797, 8.3)."""

    @property
    def outside(self) -> int:
        """The port that browsers ask."""
        return self.port if self.public_port is None else self.public_port

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.hsts and self.outside != 443:
            raise ValueError("hsts needs browsers to come to port 443: with it they ask no other port without TLS")
        return self


class HttpAddress(Settings):
    """Where HTTP is served. Port 0 takes a free one, which the log then names."""

    host: str = "127.0.0.1"
    port: Port = 8080
    tls: TlsListener | None = None


class SigningKey(Settings):
    """The station's own key: a file of 32 octets, or of their 64 hexadecimal digits."""

    path: Path
    kid: Annotated[str, StringConstraints(pattern=r"^station(#[0-9]{1,4})?$")] = STATION_KID
    former: tuple[Path, ...] = ()
    """Keys that it had before: nothing is signed with them, but what they sealed in the tables still opens."""

    def seed(self) -> bytes:
        """Read the 32 octets. Raises SettingsError."""
        return _seed(self.path)

    def former_seeds(self) -> tuple[bytes, ...]:
        """The same of the keys before. Raises SettingsError."""
        return tuple(map(_seed, self.former))


def _seed(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(path, f"the signing key cannot be read: {error.strerror}") from None
    if len(content) == SEED_BYTES:
        return content
    try:
        seed = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise SettingsError(path, f"a signing key is {SEED_BYTES} octets or their hexadecimal digits")
    return seed


class Officer(Settings):
    """Somebody who may see and acknowledge. `token_hash` is the SHA-256 of the bearer token, in hexadecimal."""

    id: Annotated[str, StringConstraints(pattern=SEGMENT)]
    name: Name
    role: Literal["officer", "duty_officer"]
    token_hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def token_hash(token: str) -> str:
    """What stands in the settings for a bearer token. Tokens are long and random, so one round is enough."""
    return sha256(token.encode()).hexdigest()


class Household(Settings):
    """A place behind a door. `excludes` are neighbours that shall not be told."""

    id: Annotated[HouseholdId, StringConstraints(pattern=SEGMENT)]
    group: Annotated[GroupId, StringConstraints(pattern=SEGMENT)] | None = None
    door: Annotated[int, Field(ge=0, le=9_999)] | None = None
    label: Annotated[str, StringConstraints(max_length=96)] = ""
    excludes: frozenset[HouseholdId] = frozenset()
    medical_consent: bool = False
    duress: bool = False


class Group(Settings):
    """Households that answer for each other, with their community, their grid and their home gateway."""

    id: Annotated[GroupId, StringConstraints(pattern=SEGMENT)]
    community: Annotated[CommunityId, StringConstraints(pattern=SEGMENT)] | None = None
    grid: Annotated[GridId, StringConstraints(pattern=SEGMENT)] | None = None
    gateway: Annotated[GatewayId, StringConstraints(pattern=SEGMENT)] | None = None


class Unit(Settings):
    """A unit and the household whose it is; a native one with its gateway, line and address there."""

    id: Annotated[UnitId, StringConstraints(pattern=SEGMENT)]
    household: Annotated[HouseholdId, StringConstraints(pattern=SEGMENT)]
    sort: Literal["native", "contact", "remote", "zigbee"] = "native"
    gateway: Annotated[GatewayId, StringConstraints(pattern=SEGMENT)] | None = None
    line: Annotated[str, StringConstraints(pattern=SEGMENT)] | None = None
    address: Annotated[int, Field(ge=1, le=0xFFEF)] | None = None
    silent: bool = False
    volume: Annotated[int, Field(ge=0, le=3)] = 3
    night_volume: Annotated[int, Field(ge=0, le=3)] = 3
    strobe: bool = False


class AccountSettings(Settings):
    """How long a session lasts, and from where pages may send. Times in seconds."""

    idle_s: Annotated[int, Field(ge=60, le=86_400)] = 1_800
    desk_idle_s: Annotated[int, Field(ge=60, le=86_400)] = 600
    """The same on a paired workstation, which many share: only actions count as use there."""
    absolute_s: Annotated[int, Field(ge=300, le=604_800)] = 43_200
    home_s: Annotated[int, Field(ge=300, le=34_560_000)] = 15_552_000
    """After so long without use the session of somebody who is nothing but a household ends: a phone with the one large
    button must not be found signed out when it is needed."""
    joining_s: Annotated[int, Field(ge=3_600, le=86_400)] = 86_400
    """How long a household's joining code is good."""
    origins: tuple[Annotated[str, StringConstraints(pattern=r"^https?://[^/]+$")], ...] = ()
    """From where pages may send with a cookie; empty: only from the address that they ask."""
    secrets: Path | None = None
    """The folder for the first administrator's one-time secret; default: beside the database's file, or the key."""


class NotifySettings(Settings):
    """How people are told beyond the screen. `link`: where they open an alarm, without the alarm's id at its end."""

    link: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s]+)?$")] = ""
    loopback: bool = False
    """Whether channels may send to this machine, and without TLS: for tests."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is no time zone that this machine knows") from error
    return name


class StationSettings(Settings):
    """One station, whole."""

    station: Annotated[StationId, StringConstraints(pattern=SEGMENT)]
    broker: BrokerAccess
    database: DatabaseUrl = Field(default="sqlite:///station.db", repr=False)
    """SQLite for one process, or PostgreSQL. It may hold a password."""
    http: HttpAddress = HttpAddress()
    signing: SigningKey
    time_zone: Annotated[str, AfterValidator(_known_zone)] = "Asia/Shanghai"
    """In which plans, rosters and reports say what day it is (IANA)."""
    quiet_days: Annotated[int, Field(ge=0, le=90)] = 7
    """A reader that read nothing for so long, though visits were due there, is a fault; 0: only walked rounds count."""
    lost_within_s: Literal[20, 90] = 90
    """So soon after its last word a gateway is called lost at the latest. 20 takes gateways that speak every 5 s."""
    gateway_keys: dict[GatewayKid, PublicKey] = {}
    """Public keys by kid (`gateway:g1`, after a rotation `gateway:g1#2`): whoever has one here is believed."""
    accounts: AccountSettings = AccountSettings()
    notify: NotifySettings = NotifySettings()
    attachments: Path | None = None
    """The folder for files that belong to alarms; default: beside the database's file, or the key."""
    officers: tuple[Officer, ...] = ()
    groups: tuple[Group, ...] = ()
    households: tuple[Household, ...] = ()
    units: tuple[Unit, ...] = ()
    unit_keys: dict[UnitId, UnitKey] = Field(default={}, repr=False)
    """Keys of units, for the gateways on which they come to hang; one that is put down at the desk goes before."""
    mqtt_households: tuple[HouseholdId, ...] = ()
    """Households that were set up with an account at the broker."""
    broker_access: Path | None = None
    """The file that says who may do what at the broker, for whoever runs it; None: nobody asks."""
    area_names: dict[str, Annotated[str, StringConstraints(max_length=96)]] = {}
    """What people call a community, a grid, a group or the station, by its id."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        everybody: dict[str, list[str]] = {
            "officer": [officer.id for officer in self.officers],
            "group": [group.id for group in self.groups],
            "household": [household.id for household in self.households],
            "unit": [unit.id for unit in self.units],
        }
        for what, ids in everybody.items():
            if twice := [id_ for id_, times in Counter(ids).items() if times > 1]:
                raise ValueError(f"{what} {twice[0]!r} is there twice")
        groups = {group.id for group in self.groups}
        for household in self.households:
            if household.group is not None and household.group not in groups:
                raise ValueError(f"household {household.id!r} is in group {household.group!r}, which is not there")
        households = {household.id for household in self.households}
        for unit in self.units:
            if unit.household not in households:
                raise ValueError(f"unit {unit.id!r} is in household {unit.household!r}, which is not there")
        self._check_areas()
        return self

    def _check_areas(self) -> None:
        """Rights are given over areas by their ids: an id that named two of them would reach too far."""
        kinds: dict[str, set[str]] = {self.station: {"station"}}
        lies: dict[str, set[str]] = {}
        for group in self.groups:
            for what, area in (("group", group.id), ("grid", group.grid), ("community", group.community)):
                if area is not None:
                    kinds.setdefault(area, set()).add(what)
            if group.grid is not None and group.community is not None:
                lies.setdefault(group.grid, set()).add(group.community)
        if twice := [area for area, named in kinds.items() if len(named) > 1]:
            raise ValueError(f"area {twice[0]!r} is named as {' and as '.join(sorted(kinds[twice[0]]))}")
        if split := [grid for grid, communities in lies.items() if len(communities) > 1]:
            raise ValueError(f"grid {split[0]!r} lies in {' and in '.join(sorted(lies[split[0]]))}: it can in one only")

    def let_go(self) -> None:
        """Forget what the tables have since the first start; of 3,000 households it is as much as a storm leaves."""
        self.__dict__.update(groups=(), households=(), units=())

    @property
    def zone(self) -> ZoneInfo:
        """The station's civil time."""
        return ZoneInfo(self.time_zone)

    @property
    def attachments_folder(self) -> Path:
        """Where files that belong to alarms are kept."""
        if self.attachments is not None:
            return self.attachments
        kind, _, path = self.database.partition(":///")
        beside = Path(path).absolute() if kind == "sqlite" else self.signing.path
        return beside.parent / "attachments"

    @property
    def gateways(self) -> frozenset[GatewayId]:
        """Every gateway that has a key here."""
        return frozenset(gateway_of_kid(kid) for kid in self.gateway_keys)

    @property
    def public_keys(self) -> dict[str, bytes]:
        """The gateways' public keys, 32 octets each, by kid."""
        return {kid: bytes.fromhex(key) for kid, key in self.gateway_keys.items()}


def load(path: Path) -> StationSettings:
    """Read settings from a JSON file. Raises SettingsError, which names every fault at once."""
    try:
        return StationSettings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(path, f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError(path, faults) from None
