"""A gateway's slice of the register: what the station says, in parts, and how the gateway puts them together. Pure.

The text is the RFC 8785 form of a `RegisterSlice`. It travels in `ConfigPart`s, each of which the station signs; each
carries the SHA-256 of the whole, so that nothing but one and the same text is ever put together. A slice replaces the
one before it whole, and its version is higher.

Two kinds of keys travel in it. `peers` are the other gateways whose messages may ring here, with their public keys.
`sealed` are the keys of the units, which only this gateway can open (broker/sealing.py): whoever reads the broker
learns how many there are, and nothing else. A unit whose key is not in it keeps the key that the gateway has.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from broker.ids import SEGMENT, CommunityId, EventId, GridId, StationId
from broker.messages import (
    CONFIG_PART_CHARS,
    ConfigPart,
    DigestField,
    Door,
    GatewayField,
    GroupField,
    HouseholdField,
    Part,
    Text,
    UInt,
    UnitField,
    audience_of,
)
from broker.sealing import SealBroken, seal, unseal
from broker.signing import canonical, gateway_kid
from broker.tags import VALUE
from broker.topics import Name, build

PART_OCTETS: Final = CONFIG_PART_CHARS // 4 * 3
MOST_OCTETS: Final = 16 << 20
"""A slice of more is nobody's: it would be 40,000 households on one gateway."""

Volume = Annotated[int, Field(ge=0, le=3)]
Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]


class SliceGroup(Part):
    """A group that the gateway alerts, with those who are told of it."""

    id: GroupField
    community: Annotated[CommunityId, StringConstraints(pattern=SEGMENT)] | None = None
    grid: Annotated[GridId, StringConstraints(pattern=SEGMENT)] | None = None


class SliceHousehold(Part):
    """A place. `excludes` shall not be told of what happens here; `remote`: it also rings for other gateways.

    `quiet_until_ms`: an officer quieted the neighbours' sirens for it until then (Unix ms).
    """

    id: HouseholdField
    group: GroupField | None = None
    door: Door | None = None
    label: Text = ""
    excludes: tuple[HouseholdField, ...] = ()
    medical_consent: bool = False
    duress: bool = False
    remote: bool = False
    quiet_until_ms: UInt | None = None


class SliceUnit(Part):
    """A unit and the place where it hangs. `line` and `address` of a native one; without them, as it is wired here.

    `installing`: it is not handed over yet.
    """

    id: UnitField
    household: HouseholdField
    sort: Literal["native", "contact", "remote", "zigbee"] = "native"
    line: Segment | None = None
    address: Annotated[int, Field(ge=1, le=0xFFEF)] | None = None
    silent: bool = False
    volume: Volume = 3
    night_volume: Volume = 3
    strobe: bool = False
    installing: bool = False


class SlicePeer(Part):
    """Another gateway with somebody of the same groups on it: what `public` (by kid) has signed may ring here.

    Without a key in `public`, whoever has one for it already goes on believing that one.
    """

    gateway: GatewayField
    public: dict[str, DigestField] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _its_own(self) -> Self:
        """A peer's key stands for the peer: never for the station, and for no third gateway."""
        own = gateway_kid(self.gateway)
        if any(kid.partition("#")[0] != own for kid in self.public):
            raise ValueError(f"a key of {self.gateway} under somebody else's name")
        return self


class RegisterSlice(Part):
    """All that a gateway knows of people and places, and of nobody else.

    `peers` None: nothing is said of whom it believes. `tags`: those that its readers answer as known, without whose
    they are; None: nothing is said of them. `sealed`: see `seal_keys`.
    """

    v: Literal[1] = 1
    station: Segment
    gateway: GatewayField
    version: UInt
    groups: tuple[SliceGroup, ...] = ()
    households: tuple[SliceHousehold, ...] = ()
    units: tuple[SliceUnit, ...] = ()
    peers: tuple[SlicePeer, ...] | None = None
    tags: tuple[Annotated[str, StringConstraints(pattern=VALUE)], ...] | None = None
    sealed: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] | None = None

    def text(self) -> bytes:
        """Its canonical form."""
        return canonical(self.model_dump(mode="json", exclude_none=True))

    def content(self) -> str:
        """The digest of all but the version and the seal: two slices that say the same have the same."""
        return sha256(self.model_copy(update={"version": 0, "sealed": None}).text()).hexdigest()


def seal_keys(keys: Mapping[str, bytes], one: RegisterSlice, *, key: bytes, secret: bytes) -> str:
    """`RegisterSlice.sealed`: keys of units by id, for the owner of the public `key`.

    `secret`: 32 random octets. Raises ValueError when `key` is no key.
    """
    text = canonical({unit: value.hex() for unit, value in keys.items()})
    return seal(text, key=key, about=_about(one), secret=secret)


def open_keys(one: RegisterSlice, *, seed: bytes) -> dict[str, bytes]:
    """The keys of units that a slice carries. Raises SliceRefused."""
    if one.sealed is None:
        return {}
    try:
        found = json.loads(unseal(one.sealed, seed=seed, about=_about(one)))
        return {str(unit): bytes.fromhex(value) for unit, value in found.items()}
    except (SealBroken, ValueError, AttributeError, TypeError):
        raise SliceRefused("bad_seal") from None


def _about(one: RegisterSlice) -> str:
    return f"{one.station}/{one.gateway}"


def parts(text: bytes, *, station: StationId, gateway: str, version: int, ids: Iterator[EventId]) -> list[ConfigPart]:
    """The messages that carry the text of a slice; each takes one of `ids`."""
    topic = build(Name.GATEWAY_CONFIG, station, gateway)
    digest = sha256(text).hexdigest()
    pieces = [text[at : at + PART_OCTETS] for at in range(0, len(text), PART_OCTETS)]
    return [
        ConfigPart(
            topic=topic,
            audience=audience_of(topic),
            id=next(ids),
            age_ms=0,
            version=version,
            part=number,
            parts=len(pieces),
            sha256=digest,
            data=urlsafe_b64encode(piece).rstrip(b"=").decode(),
        )
        for number, piece in enumerate(pieces)
    ]


class SliceRefused(Exception):
    """Parts that are no slice for this gateway. Field: `code`, one word."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


@dataclass(slots=True)
class Assembly:
    """Parts of the newest slice that is on its way to one gateway."""

    station: str
    gateway: str
    runs: int = 0
    """The version that the gateway runs: nothing older is taken, and nothing of the same."""
    _version: int = 0
    _digest: str = ""
    _pieces: dict[int, bytes] = field(default_factory=dict)

    def take(self, part: ConfigPart) -> RegisterSlice | None:
        """Take a part; the slice, when it is whole. Raises SliceRefused."""
        if part.version == self.runs:
            return None  # said again
        if part.version < self.runs or part.version < self._version:
            raise SliceRefused("old_version")
        if part.part >= part.parts or part.parts * PART_OCTETS > MOST_OCTETS + PART_OCTETS:
            raise SliceRefused("bad_part")
        if (part.version, part.sha256) != (self._version, self._digest):
            self._version, self._digest, self._pieces = part.version, part.sha256, {}
        self._pieces[part.part] = urlsafe_b64decode(part.data.encode() + b"==")
        if len(self._pieces) < part.parts:
            return None
        text = b"".join(self._pieces.get(number, b"") for number in range(part.parts))
        self._version, self._digest, self._pieces = 0, "", {}
        if sha256(text).hexdigest() != part.sha256:
            raise SliceRefused("bad_hash")
        return read(text, station=self.station, gateway=self.gateway, version=part.version)


def read(text: bytes, *, station: str, gateway: str, version: int) -> RegisterSlice:
    """The slice in a text, which must be for this gateway and of this version. Raises SliceRefused."""
    try:
        found = RegisterSlice.model_validate_json(text)
    except ValueError:
        raise SliceRefused("bad_slice") from None
    if (found.station, found.gateway, found.version) != (station, gateway, version):
        raise SliceRefused("not_ours")
    return found
