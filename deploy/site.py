"""The site file: one TOML for a whole site, read in one piece. docs/site.md describes every table and key.

Reading goes in two steps, and neither stops at the first mistake. `parse` gives each table its shape (keys, types,
ranges) and makes of it what can be made; `deploy.rules` then looks at the whole. `deploy.check` does both.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StrictBool, StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticRefusal
from pydantic_core import ErrorDetails

from broker import tags
from broker.ids import SEGMENT, CommunityId, GatewayId, GridId, GroupId, HouseholdId, StationId, UnitId
from broker.kinds import Kind
from broker.messages import TEXT_CHARS, Text
from deploy.positions import Path
from deploy.problems import Finding, finding, shorten
from devices.frames import LAST_ADDRESS
from devices.radio433 import COMMAND_BITS, IDENTITY_BITS

TAG: Final = tags.VALUE

AlarmKind = Literal[
    Kind.PANIC, Kind.HELP, Kind.MEDICAL, Kind.FIRE, Kind.INTRUSION, Kind.DURESS, Kind.TAMPER, Kind.TEST, Kind.DRILL
]
"""What a key can be for: every kind but unverified, which is a verdict."""

LineKind = Literal["native", "rdm6300", "radio433", "wiegand", "pn532"]
Form = Literal["timed", "plain", "text"]

_SEGMENT: Final = Field(strict=True, pattern=SEGMENT)
StationRef = Annotated[StationId, _SEGMENT]
CommunityRef = Annotated[CommunityId, _SEGMENT]
GridRef = Annotated[GridId, _SEGMENT]
GroupRef = Annotated[GroupId, _SEGMENT]
HouseholdRef = Annotated[HouseholdId, _SEGMENT]
GatewayRef = Annotated[GatewayId, _SEGMENT]
UnitRef = Annotated[UnitId, _SEGMENT]
Name = Annotated[str, _SEGMENT]
Label = Annotated[Text, Field(strict=True)]
Word = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=255)]
PortNumber = Annotated[int, Field(strict=True, ge=1, le=65_535)]
Baud = Annotated[int, Field(strict=True)]
Pin = Annotated[int, Field(strict=True, ge=0, le=27)]
Volume = Annotated[int, Field(strict=True, ge=0, le=3)]
Hour = Annotated[int, Field(strict=True, ge=0, le=23)]


class Entry(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _at: Path = PrivateAttr(default=())
    _refused: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def at(self) -> Path:
        """The path of this table in the document."""
        return self._at

    @property
    def refused(self) -> frozenset[str]:
        """Keys that the document has with a value that cannot be, or misspelt: here they have their defaults."""
        return self._refused


class Station(Entry):
    id: StationRef
    label: Label = ""
    host: Word = "127.0.0.1"
    port: PortNumber = 8080
    utc_offset_min: Annotated[int, Field(strict=True, ge=-720, le=840)] = 480
    lost_within_s: Literal[20, 90] = 90


class Broker(Entry):
    private: StrictBool = False
    host: Word = "127.0.0.1"
    port: PortNumber = 8883
    ca: Word | None = None
    mutual: StrictBool = False
    listen: Word | None = None
    plain: StrictBool = False


class Road(Entry):
    url: Word
    ca: Word | None = None
    after_s: Annotated[int, Field(strict=True, ge=1, le=600)] = 30


class Tls(Entry):
    folder: Word
    port: PortNumber = 8443
    public_port: PortNumber | None = None
    redirect: StrictBool = True
    hsts: StrictBool = False


class Notify(Entry):
    link: Word | None = None
    loopback: StrictBool = False


class Officer(Entry):
    id: Name
    label: Annotated[Text, Field(strict=True, max_length=64)] = ""
    role: Literal["officer", "duty_officer"] = "officer"


class Community(Entry):
    id: CommunityRef
    label: Label = ""


class Grid(Entry):
    id: GridRef
    community: CommunityRef
    label: Label = ""


class Group(Entry):
    id: GroupRef
    grid: GridRef | None = None
    community: CommunityRef | None = None
    gateway: GatewayRef | None = None
    label: Label = ""


class Household(Entry):
    id: HouseholdRef
    group: GroupRef | None = None
    door: Annotated[int, Field(strict=True, ge=1, le=9_999)] | None = None
    label: Label = ""
    excludes: frozenset[HouseholdRef] = frozenset()
    medical_consent: StrictBool = False
    duress: StrictBool = False
    remote: StrictBool = False
    mqtt: StrictBool = False


class Line(Entry):
    name: Name
    port: Word
    baud: Baud = 9600
    kind: LineKind = "native"
    form: Form | None = None


class Unit(Entry):
    id: UnitRef
    line: Name
    address: Annotated[int, Field(strict=True, ge=1, le=LAST_ADDRESS)]
    household: HouseholdRef
    silent: StrictBool = False
    volume: Volume = 3
    night_volume: Volume = 3
    strobe: StrictBool = False


class Reader(Entry):
    id: UnitRef
    line: Name | None = None
    d0: Pin | None = None
    d1: Pin | None = None
    form: Literal["w26", "w34"] | None = None
    reversed: StrictBool = False
    buzzer: Pin | None = None
    lamp: Pin | None = None
    active_high: StrictBool = True
    label: Label = ""

    @property
    def pins(self) -> tuple[tuple[str, int], ...]:
        """Its pins, by key."""
        given = (("d0", self.d0), ("d1", self.d1), ("buzzer", self.buzzer), ("lamp", self.lamp))
        return tuple((name, pin) for name, pin in given if pin is not None)


class Contact(Entry):
    id: UnitRef
    pin: Pin
    household: HouseholdRef | None = None
    kind: AlarmKind = Kind.PANIC
    role: Literal["key", "loop", "checkpoint"] = "key"
    normally_closed: StrictBool = False
    buzzer: Pin | None = None
    lamp: Pin | None = None
    active_high: StrictBool = True

    @property
    def pins(self) -> tuple[tuple[str, int], ...]:
        """The pins of its answer, by key."""
        given = (("buzzer", self.buzzer), ("lamp", self.lamp))
        return tuple((name, pin) for name, pin in given if pin is not None)


class Sounder(Entry):
    id: UnitRef
    pin: Pin
    household: HouseholdRef | None = None
    group: GroupRef | None = None
    active_high: StrictBool = True


class Remote(Entry):
    id: UnitRef
    identity: Annotated[int, Field(strict=True, ge=0, lt=1 << IDENTITY_BITS)]
    command: Annotated[int, Field(strict=True, ge=0, lt=1 << COMMAND_BITS)]
    household: HouseholdRef
    kind: AlarmKind = Kind.PANIC


class Zigbee(Entry):
    host: Word = "127.0.0.1"
    port: PortNumber = 1883
    user: Word | None = None
    base: Word = "zigbee2mqtt"


class ZigbeeButton(Entry):
    id: UnitRef
    name: Word
    household: HouseholdRef
    actions: dict[Word, AlarmKind] = {"emergency": Kind.PANIC}


class Gateway(Entry):
    id: GatewayRef
    place: Label = ""
    gpio: Literal["auto", "none", "mock", "lgpio"] = "auto"
    heartbeat_s: Annotated[int, Field(strict=True, ge=5, le=86_400)] = 300
    siren_s: Annotated[int, Field(strict=True, ge=10, le=255)] = 180
    not_reached_s: Annotated[int, Field(strict=True, ge=1, le=3600)] = 30
    status_s: Annotated[int, Field(strict=True, ge=5, le=60)] = 20
    night: tuple[Hour, Hour] = (22, 6)
    keep_events: Annotated[int, Field(strict=True, ge=100, le=1_000_000_000)] = 100_000
    lines: Annotated[tuple[Line, ...], Field(alias="line")] = ()
    units: Annotated[tuple[Unit, ...], Field(alias="unit")] = ()
    readers: Annotated[tuple[Reader, ...], Field(alias="reader")] = ()
    contacts: Annotated[tuple[Contact, ...], Field(alias="contact")] = ()
    sounders: Annotated[tuple[Sounder, ...], Field(alias="sounder")] = ()
    remotes: Annotated[tuple[Remote, ...], Field(alias="remote")] = ()
    zigbee: Zigbee | None = None
    zigbee_buttons: Annotated[tuple[ZigbeeButton, ...], Field(alias="zigbee_button")] = ()

    @property
    def households(self) -> frozenset[HouseholdId]:
        """Those who have something on this gateway: a unit, a key or a sounder."""
        return frozenset(device.household for device in (*self.pressed, *self.sounders) if device.household is not None)

    @property
    def pressed(self) -> tuple["Pressed", ...]:
        """All that somebody can press."""
        return (*self.units, *self.contacts, *self.remotes, *self.zigbee_buttons)

    @property
    def factory(self) -> Literal["none", "mock", "lgpio"]:
        """What drives the pins; `auto` is the real one where something hangs on a pin."""
        if self.gpio != "auto":
            return self.gpio
        wired = self.contacts or self.sounders or any(reader.pins for reader in self.readers)
        return "lgpio" if wired else "none"


Pressed = Unit | Contact | Remote | ZigbeeButton
"""What an alarm can come from."""


class Tag(Entry):
    tag: Annotated[str, Field(strict=True, pattern=TAG)]
    label: Label = ""


class Site(Entry):
    """A whole site, as its file has it."""

    station: Station
    broker: Broker = Broker()
    tls: Tls | None = None
    road: Road | None = None
    notify: Notify = Notify()
    officers: Annotated[tuple[Officer, ...], Field(alias="officer")] = ()
    communities: Annotated[tuple[Community, ...], Field(alias="community")] = ()
    grids: Annotated[tuple[Grid, ...], Field(alias="grid")] = ()
    groups: Annotated[tuple[Group, ...], Field(alias="group")] = ()
    households: Annotated[tuple[Household, ...], Field(alias="household")] = ()
    gateways: Annotated[tuple[Gateway, ...], Field(alias="gateway")] = ()
    tags: Annotated[tuple[Tag, ...], Field(alias="tag")] = ()

    def gateway(self, gateway: GatewayId) -> Gateway | None:
        """The gateway of this id."""
        return next((one for one in self.gateways if one.id == gateway), None)

    @cached_property
    def _groups(self) -> Mapping[GroupId, Group]:
        return {group.id: group for group in self.groups}

    @cached_property
    def _communities(self) -> Mapping[GridId | None, CommunityId]:
        return {grid.id: grid.community for grid in self.grids}

    def group(self, group: GroupId) -> Group | None:
        """The group of this id."""
        return self._groups.get(group)

    def home(self, group: Group) -> GatewayId | None:
        """The home gateway of a group: the one that it names, or the only one that there is."""
        if group.gateway is not None:
            return group.gateway
        return self.gateways[0].id if len(self.gateways) == 1 else None

    def community(self, group: Group) -> CommunityId | None:
        """The community of a group: its own, or that of its grid."""
        return group.community or self._communities.get(group.grid)


@dataclass(frozen=True, slots=True)
class Draft:
    """What could be made of a file. With `findings`, `site` lacks what was wrong, and serves only to find more.

    `whole` is False when anything is missing from `site`: then nothing may be concluded from what is not there.
    """

    site: Site
    document: Mapping[str, object]
    findings: tuple[Finding, ...]
    whole: bool


def parse(document: Mapping[str, object]) -> Draft:
    """Make a site of a TOML document, and tell everything that is wrong with the shape of it."""
    reading = _Reading()
    site = reading.entry(Site, dict(document), ())
    assert isinstance(site, Site)
    return Draft(site, document, tuple(reading.findings), whole=not reading.findings)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: its spelling, its attribute, and what may stand behind it.

    `table` is the model of a table, or of each of several (`many`). Otherwise `value` tells what fits.
    """

    name: str
    attribute: str
    required: bool
    value: TypeAdapter[object]
    table: type[Entry] | None = None
    many: bool = False


@cache
def keys_of(model: type[Entry]) -> Mapping[str, Key]:
    """Every key that a table of this model may have, in the order of the file's description."""
    return {key.name: key for key in _keys(model)}


def _keys(model: type[Entry]) -> Iterator[Key]:
    for attribute, field in model.model_fields.items():
        table, many = _table_in(field.annotation)
        yield Key(
            name=field.alias or attribute,
            attribute=attribute,
            required=field.is_required(),
            value=TypeAdapter(object if table else field.rebuild_annotation()),
            table=table,
            many=many,
        )


def _table_in(annotation: Any) -> tuple[type[Entry] | None, bool]:
    """The model in `Entry`, `Entry | None` or `tuple[Entry, ...]`, and whether there are several."""
    for inner in (annotation, *get_args(annotation)):
        if isinstance(inner, type) and issubclass(inner, Entry):
            return inner, get_origin(annotation) is tuple
    return None, False


class _Reading:
    """One pass over a document. A value that is wrong is left out; a table without what it needs as well."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def entry(self, model: type[Entry], raw: Mapping[str, object], at: Path) -> Entry | None:
        keys = keys_of(model)
        values: dict[str, object] = {}
        refused: set[str] = set()
        for name, value in raw.items():
            if self._refused_secret(name, value, at, known=name in keys):
                continue
            if name not in keys:
                refused.add(self._unknown(name, keys, at))
                continue
            made = self._table_or_value(keys[name], value, (*at, name))
            if made is None:
                refused.add(name)
            else:
                values[name] = made
        lacking = [key for key in keys.values() if key.required and key.name not in values]
        self._missing([key for key in lacking if key.name not in raw], at)
        if lacking and at:
            return None
        if lacking:  # the document itself: only the station is required, and everything else can still be looked at
            values["station"] = Station(id=StationId("station"))
        entry = model.model_validate(values)
        entry._at, entry._refused = at, frozenset(refused)  # noqa: SLF001 - they are our own
        return entry

    def _table_or_value(self, key: Key, value: object, at: Path) -> object:
        if key.table is None:
            return self._value(key.value, value, at)
        if key.many:
            return self._tables(key.table, value, at)
        if isinstance(value, dict):
            return self.entry(key.table, value, at)
        self._note("not_a_table", at, key=_header(at), value=_show(value))
        return None

    def _tables(self, model: type[Entry], value: object, at: Path) -> object:
        if not isinstance(value, list):
            self._note("not_tables", at, key=_header(at), value=_show(value))
            return None
        made: list[Entry] = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                self._note("not_a_table", (*at, index), key=_header(at), value=_show(item))
            elif (entry := self.entry(model, item, (*at, index))) is not None:
                made.append(entry)
        return tuple(made)

    def _value(self, adapter: TypeAdapter[object], value: object, at: Path) -> object:
        try:
            return adapter.validate_python(value)
        except PydanticRefusal as refusal:
            for error in refusal.errors(include_url=False):
                self.findings.append(_translate(error, at))
            return None

    def _missing(self, keys: list[Key], at: Path) -> None:
        for key in keys:
            self._note("missing_table" if key.table else "missing_key", at, key=key.name)

    def _unknown(self, name: str, keys: Mapping[str, Key], at: Path) -> str:
        """Tell that there is no such key; return the one that was probably meant."""
        near = get_close_matches(name, keys, n=1)
        if near:
            self._note("misspelt_key", (*at, name), key=shorten(name), near=near[0])
        else:
            self._note("unknown_key", (*at, name), key=shorten(name), known=", ".join(keys))
        return near[0] if near else name

    def _refused_secret(self, name: str, value: object, at: Path, *, known: bool) -> bool:
        secret = (not known and _SECRET_KEY.search(name)) or (isinstance(value, str) and _SECRET_VALUE.search(value))
        if secret:
            self._note("secret", (*at, name))
        return bool(secret)

    def _note(self, code: str, at: Path, **fields: object) -> None:
        self.findings.append(finding(code, at, **fields))


_SECRET_KEY: Final = re.compile(r"passw|passphrase|secret|token|seed|credential|psk|(^|_)keys?$", re.IGNORECASE)
_SECRET_VALUE: Final = re.compile(r"-----BEGIN|[0-9A-Fa-f]{32}|://[^/@]*:[^/@]*@")
"""A PEM block, a key of 16 bytes or more in hexadecimal, an address with a password in it."""


def _header(at: Path) -> str:
    return ".".join(shorten(part) for part in at if isinstance(part, str))


_TYPES: Final = {
    "string_type": "not_text",
    "int_type": "not_a_number",
    "bool_type": "not_a_bool",
    "tuple_type": "not_a_list",
    "frozen_set_type": "not_a_list",
    "dict_type": "not_a_table",
}
_PATTERNS: Final = {SEGMENT: "bad_id", TAG: "bad_tag"}


def _translate(error: ErrorDetails, at: Path) -> Finding:
    """What pydantic found, in the words of the catalogue. `at` is where its look began."""
    path = (*at, *(part for part in error["loc"] if part != "[key]"))
    value, context = _show(error["input"]), error.get("ctx", {})
    match error["type"]:
        case "string_pattern_mismatch" if context["pattern"] in _PATTERNS:
            return finding(_PATTERNS[context["pattern"]], path, value=value)
        case "string_pattern_mismatch" | "string_too_long" | "string_unicode":
            return finding("bad_text", path, limit=context.get("max_length", TEXT_CHARS))
        case "greater_than_equal":
            return finding("too_small", path, limit=context["ge"], value=value)
        case "less_than_equal":
            return finding("too_large", path, limit=context["le"], value=value)
        case "less_than":
            return finding("too_large", path, limit=context["lt"] - 1, value=value)
        case "literal_error":
            return finding(
                "not_one_of", path, choices=", ".join(re.findall(r"'([^']*)'", context["expected"])), value=value
            )
        case "missing":
            return finding("not_two", path[:-1], limit=2)
        case "too_long":
            return finding("not_two", path, limit=context["max_length"])
        case known if known in _TYPES:
            return finding(_TYPES[known], path, key=_header(path), value=value)
    return finding("not_valid", path, value=value)


def _show(value: object) -> str:
    """A value of the file as its writer knows it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"…"' if _SECRET_VALUE.search(value) else f'"{shorten(value)}"'
        case int() if abs(value) >= 10**12:
            return "…"  # may be a key, and is certainly no sensible number
        case int() | float():
            return str(value)
        case list():
            return "[…]"
        case dict():
            return "{…}"
    return shorten(str(value))
