"""What a gateway must be told: its hardware, its slice of the register, its keys. Made by `deploy` from the site file.

Everything is frozen; a new register slice makes a new `Register`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, field_validator

from broker.ids import CommunityId, GatewayId, GridId, GroupId, HouseholdId, StationId, UnitId
from broker.kinds import Kind
from gateway.https import address_of

LineKind = Literal["native", "rdm6300", "radio433", "wiegand", "pn532"]


class Settings(BaseModel):
    """Frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Household(Settings):
    """A place behind a door. `excludes` are households that shall not be told; `remote`: rings through the broker.

    `quiet_until_ms`: until then the neighbours' sirens do not sound for it; only the station says so.
    """

    id: HouseholdId
    group: GroupId | None = None
    door: Annotated[int, Field(ge=0, le=9_999)] | None = None
    label: str = ""
    excludes: frozenset[HouseholdId] = frozenset()
    medical_consent: bool = False
    duress: bool = False
    remote: bool = False
    quiet_until_ms: int | None = None


class Group(Settings):
    """One to thirty households that answer for each other."""

    id: GroupId
    community: CommunityId | None = None
    grid: GridId | None = None


class Unit(Settings):
    """A one-key unit on a native line. `volume` and `night_volume`: 0 (strobe only) to 3."""

    id: UnitId
    line: str
    address: Annotated[int, Field(ge=1, le=0xFFEF)]
    household: HouseholdId
    key: SecretBytes
    next_key: SecretBytes | None = None
    other_keys: tuple[SecretBytes, ...] = ()
    """Keys that it was offered before `next_key`, and may have taken."""
    silent: bool = False
    volume: Annotated[int, Field(ge=0, le=3)] = 3
    night_volume: Annotated[int, Field(ge=0, le=3)] = 3
    strobe: bool = False
    installing: bool = False
    """It is not handed over yet: within an installation window it chirps instead of ringing."""


class Line(Settings):
    """A serial port by its stable name. `reader` is the id of a bare tag reader or receiver on it."""

    name: str
    port: Path
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    kind: LineKind = "native"
    reader: UnitId | None = None
    form: Literal["timed", "plain", "text"] = "timed"
    """How a 433 MHz receiver writes its codes: docs/readers.md."""


class Reader(Settings):
    """A tag reader at a checkpoint: on `line`, or a Wiegand reader on the pins `d0` and `d1` (BCM numbers).

    `form` and `reversed_octets` are of Wiegand readers: how many bits it sends (None: either), and in which order the
    octets of the number. `buzzer` and `lamp` are pins by which it answers.
    """

    id: UnitId
    line: str | None = None
    d0: Annotated[int, Field(ge=0, le=27)] | None = None
    d1: Annotated[int, Field(ge=0, le=27)] | None = None
    form: Literal["w26", "w34"] | None = None
    reversed_octets: bool = False
    buzzer: Annotated[int, Field(ge=0, le=27)] | None = None
    lamp: Annotated[int, Field(ge=0, le=27)] | None = None
    active_high: bool = True

    @property
    def bits(self) -> int | None:
        """Bits of a Wiegand frame, None: 26 or 34."""
        return None if self.form is None else int(self.form[1:])


class Contact(Settings):
    """A key, a loop or a door on a GPIO pin (BCM number); as `checkpoint` a button that says only: somebody is here."""

    id: UnitId
    pin: Annotated[int, Field(ge=0, le=27)]
    household: HouseholdId | None = None
    kind: Kind = Kind.PANIC
    role: Literal["key", "loop", "checkpoint"] = "key"
    normally_closed: bool = False
    buzzer: Annotated[int, Field(ge=0, le=27)] | None = None
    lamp: Annotated[int, Field(ge=0, le=27)] | None = None
    active_high: bool = True


class Sounder(Settings):
    """A relay, siren or lamp on a GPIO pin (BCM number), for a household, a group or everybody of this gateway."""

    id: UnitId
    pin: Annotated[int, Field(ge=0, le=27)]
    household: HouseholdId | None = None
    group: GroupId | None = None
    active_high: bool = True


class Remote(Settings):
    """A fixed-code radio button: id and command as its receiver reads them."""

    id: UnitId
    identity: Annotated[int, Field(ge=0, lt=1 << 20)]
    command: Annotated[int, Field(ge=0, lt=1 << 4)]
    household: HouseholdId
    kind: Kind = Kind.PANIC


class ZigbeeButton(Settings):
    """A button that Zigbee2MQTT knows by `name`; `actions` says which of its words is which kind."""

    id: UnitId
    name: str
    household: HouseholdId
    actions: dict[str, Kind] = {"emergency": Kind.PANIC}


class Tag(Settings):
    """A tag that may be read here, so that its first frame is believed. No names: the station knows whose it is."""

    tag: str


class BrokerAccess(Settings):
    """Where the station's broker is, and as whom this gateway comes: by a certificate with its key, or a password."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8883
    user: str
    password: SecretStr | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class StationAccess(Settings):
    """Where the station takes alarms by HTTPS when the broker's road fails, and how long that road is given."""

    url: str
    ca: Path | None = None
    after_s: Annotated[int, Field(ge=1, le=600)] = 30

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str) -> str:
        address_of(url)
        return url


class ZigbeeAccess(Settings):
    """The broker of Zigbee2MQTT, most often on this box."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    user: str | None = None
    password: SecretStr | None = None
    base: str = "zigbee2mqtt"


class GatewaySettings(Settings):
    """One gateway, whole."""

    station: StationId
    gateway: GatewayId
    place: str = ""
    state: Path
    broker: BrokerAccess
    road: StationAccess | None = None
    signing_seed: SecretBytes
    known_keys: dict[str, str]
    """Public keys, hexadecimal, by kid: the station's, and those of gateways whose groups have remote units here."""
    lines: tuple[Line, ...] = ()
    units: tuple[Unit, ...] = ()
    unit_keys: dict[UnitId, SecretBytes] = {}
    """Keys of units that may come to hang here: which ones do, the station's slice of the register says."""
    households: tuple[Household, ...] = ()
    groups: tuple[Group, ...] = ()
    readers: tuple[Reader, ...] = ()
    contacts: tuple[Contact, ...] = ()
    sounders: tuple[Sounder, ...] = ()
    remotes: tuple[Remote, ...] = ()
    zigbee: ZigbeeAccess | None = None
    zigbee_buttons: tuple[ZigbeeButton, ...] = ()
    tags: frozenset[str] = frozenset()
    heartbeat_s: Annotated[int, Field(ge=5, le=86_400)] = 300
    siren_s: Annotated[int, Field(ge=10, le=255)] = 180
    not_reached_s: Annotated[int, Field(ge=1, le=3600)] = 30
    status_s: Annotated[int, Field(ge=5, le=60)] = 20
    night: tuple[int, int] = (22, 6)
    """Hours of local time between which night_volume counts; fire is always full."""
    utc_offset_min: int = 480
    gpio: Literal["none", "mock", "lgpio"] = "none"
    gpio_socket: Path | None = None
    ballast_bytes: Annotated[int, Field(ge=0)] = 4 << 20
    keep_events: Annotated[int, Field(ge=100)] = 100_000


def public_keys(settings: GatewaySettings) -> dict[str, bytes]:
    """Whom this gateway believes: 32 octets each, by kid."""
    return {kid: bytes.fromhex(key) for kid, key in settings.known_keys.items()}
