"""The slice of the register that this gateway runs: taken whole, kept as last known good, and never an older one.

Theory. What the box was set up with (the site file) is version 0. A slice that the station signs replaces it whole:
units, households, groups, exclusions, consents, doors, and the gateways whose alarms may ring here. Hardware is only
ever local: a unit whose line is not here, or whose key is not here yet, stays unknown, which the police see when it is
pressed.

Keys of units come sealed in the slice, or lie here. A key that works is never lost: one that the slice does not have
stays what it was, and where it has another one than the site file, the unit is believed by either. A slice that cannot
be opened is refused whole.

The slice is kept as it came, in signed parts, in `register.json`: what is read back at a start is verified like what
came over the wire, so an edit of that file by hand is refused. So is an edit of the slice in the site file: beside the
parts stands the digest of what the site file said when the slice came, and another digest at a start is the fault
`register_drift`, until the station sends a newer slice. Either way the gateway goes on with what it knows.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import SecretBytes

from broker.messages import ConfigPart
from broker.sealing import SECRET_BYTES, SealBroken, seal, sealing_key, unseal
from broker.signing import EnvelopeError, Verifier
from broker.slices import Assembly, RegisterSlice, SliceRefused, SliceUnit, open_keys
from devices.sealing import KEY_BYTES
from gateway.settings import Contact, GatewaySettings, Group, Household, Remote, Unit, ZigbeeButton
from gateway.unit_keys import SpokenKey, digest

FILE: Final = "register.json"
MOST_FILE: Final = 64 << 20

Device = TypeVar("Device", Remote, ZigbeeButton)


@dataclass(frozen=True, slots=True)
class Kept:
    """A slice with the envelopes that it came in, by topic, and the keys of units that came in it or before it."""

    slice: RegisterSlice
    topic: str
    envelopes: tuple[bytes, ...]
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Applied:
    """Settings as a slice makes them, and the units of it that are not usable here, with the reason in one word."""

    settings: GatewaySettings
    unusable: dict[str, str] = field(default_factory=dict)


def apply(
    settings: GatewaySettings,
    one: RegisterSlice,
    keys: Mapping[str, bytes] | None = None,
    spoken: Mapping[str, SpokenKey] | None = None,
) -> Applied:
    """What the gateway shall work with: hardware as it is set up here, everything else from the slice.

    `keys`: what came sealed in it or in an earlier one, by unit; `spoken`: what units speak with by now.
    """
    by_id = {unit.id: unit for unit in one.units}
    units, unusable = _units(settings, one.units, keys or {}, spoken or {})
    sounding = {sounder.household for sounder in settings.sounders}
    remote_here = {household.id for household in settings.households if household.remote and household.id in sounding}
    changed = {
        "groups": tuple(
            Group(id=group.id, community=group.community, grid=group.grid) for group in one.groups
        ),
        "households": tuple(
            Household(
                id=household.id,
                group=household.group,
                door=household.door,
                label=household.label,
                excludes=frozenset(household.excludes),
                medical_consent=household.medical_consent,
                duress=household.duress,
                remote=household.remote or household.id in remote_here,
                quiet_until_ms=household.quiet_until_ms,
            )
            for household in one.households
        ),
        "units": units,
        "known_keys": _believed(settings, one),
        "contacts": tuple(_contact(contact, by_id) for contact in settings.contacts),
        "remotes": _devices(settings.remotes, by_id),
        "tags": settings.tags if one.tags is None else frozenset(one.tags),
        "zigbee_buttons": _devices(settings.zigbee_buttons, by_id),
    }  # fmt: skip
    return Applied(settings.model_copy(update=changed), unusable)


def _believed(settings: GatewaySettings, one: RegisterSlice) -> dict[str, str]:
    """Public keys by kid: the station's as it is set up here; of gateways those that the slice names, and no others."""
    if one.peers is None:
        return settings.known_keys
    here: dict[str, dict[str, str]] = {}
    for kid, key in settings.known_keys.items():
        role, _, gateway = kid.partition("#")[0].partition(":")
        here.setdefault(gateway if role == "gateway" else "", {})[kid] = key
    believed = here.get("", {})
    for peer in one.peers:
        believed = believed | (peer.public or here.get(peer.gateway, {}))
    return believed


def site_keys(settings: GatewaySettings) -> dict[str, bytes]:
    """Keys of units as the site's keys have them."""
    keys = {unit.id: unit.key for unit in settings.units} | settings.unit_keys
    return {str(unit): key.get_secret_value() for unit, key in keys.items()}


def _units(
    settings: GatewaySettings,
    said: Iterable[SliceUnit],
    sealed: Mapping[str, bytes],
    spoken: Mapping[str, SpokenKey],
) -> tuple[tuple[Unit, ...], dict[str, str]]:
    here = {unit.id: unit for unit in settings.units}
    keys = site_keys(settings)
    lines = {line.name for line in settings.lines if line.kind == "native"}
    units: list[Unit] = []
    unusable: dict[str, str] = {}
    taken: set[tuple[str, int]] = set()
    for unit in said:
        if unit.sort != "native":
            continue
        wired, key, came = here.get(unit.id), keys.get(unit.id), sealed.get(unit.id)
        now, others = spoken.get(unit.id), tuple[bytes, ...]()
        if now is not None and now.instead_of == digest(key):
            key, others = now.key, now.offered
        was_offered = None if wired is None else wired.next_key
        offered = None if key is None or came in (None, key) else came
        line = unit.line or (None if wired is None else wired.line)
        address = unit.address or (None if wired is None else wired.address)
        if line is None or address is None or line not in lines or (line, address) in taken:
            unusable[unit.id] = "line"
        elif key is None and came is None:
            unusable[unit.id] = "key"
        else:
            taken.add((line, address))
            units.append(
                Unit(
                    id=unit.id,
                    line=line,
                    address=address,
                    household=unit.household,
                    key=SecretBytes(key or came or b""),
                    next_key=was_offered if offered is None else SecretBytes(offered),
                    other_keys=tuple(SecretBytes(one) for one in others if one not in (key, offered)),
                    silent=unit.silent,
                    volume=unit.volume,
                    night_volume=unit.night_volume,
                    strobe=unit.strobe,
                    installing=unit.installing,
                )
            )
    return tuple(units), unusable


def _contact(contact: Contact, said: dict[Any, SliceUnit]) -> Contact:
    """A wired key rings for the place that the slice names; a loop of the box itself is nobody's."""
    if contact.household is None:
        return contact
    unit = said.get(contact.id)
    return contact.model_copy(update={"household": None if unit is None else unit.household})


def _devices(devices: tuple[Device, ...], said: dict[Any, SliceUnit]) -> tuple[Device, ...]:
    return tuple(
        device.model_copy(update={"household": said[device.id].household}) for device in devices if device.id in said
    )


def seed_digest(settings: GatewaySettings) -> str:
    """The digest of what the site file says of people and places here."""
    said = {
        "groups": [_plain(group) for group in settings.groups],
        "households": [_plain(household) for household in settings.households],
        "units": [[unit.id, unit.line, unit.address, unit.household] for unit in settings.units],
    }
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _plain(one: Group | Household) -> dict[str, Any]:
    values: dict[str, Any] = one.model_dump(mode="json")
    if isinstance(one, Household):
        values["excludes"] = sorted(one.excludes)
        del values["quiet_until_ms"]  # only the station says it
    return values


@dataclass(frozen=True, slots=True)
class Found:
    """What was kept. `drift`: somebody changed by hand what is the station's to say. `trouble`: it cannot be read."""

    kept: Kept | None = None
    drift: bool = False
    trouble: str | None = None


def load(settings: GatewaySettings, verifier: Verifier) -> Found:
    """Read the last known good slice, if there is one. Blocking."""
    path = settings.state / FILE
    try:
        if path.stat().st_size > MOST_FILE:
            return Found(drift=True, trouble="too large")
        values = json.loads(path.read_bytes())
        topic, envelopes = values["topic"], tuple(b64decode(one, validate=True) for one in values["parts"])
        seed = values["seed"]
        whole = _verify(settings, verifier, topic, envelopes)
    except FileNotFoundError:
        return Found()
    except (OSError, ValueError, KeyError, TypeError, EnvelopeError, SliceRefused) as error:
        return Found(drift=True, trouble=type(error).__name__)
    keys = _kept_keys(settings, values.get("keys"))
    kept = Kept(whole, topic, envelopes, keys or {})
    return Found(kept, drift=keys is None or seed != seed_digest(settings))


def _kept_keys(settings: GatewaySettings, sealed: object) -> dict[str, bytes] | None:
    """The keys that were kept; None: somebody changed them, or this box has another identity now."""
    if sealed is None:
        return {}
    try:
        found = json.loads(unseal(str(sealed), seed=settings.signing_seed.get_secret_value(), about=FILE))
        return {str(unit): bytes.fromhex(key) for unit, key in found.items()}
    except (SealBroken, ValueError, AttributeError, TypeError):
        return None


def _verify(settings: GatewaySettings, verifier: Verifier, topic: str, envelopes: Sequence[bytes]) -> RegisterSlice:
    assembly = Assembly(settings.station, settings.gateway, runs=-1)
    for envelope in envelopes:
        body = verifier.open(topic, envelope)
        if not isinstance(body, ConfigPart):
            raise SliceRefused("bad_part")
        whole = assembly.take(body)
        if whole is not None:
            return whole
    raise SliceRefused("bad_part")


def keep(settings: GatewaySettings, kept: Kept) -> None:
    """Keep a slice durably, in place of the one before it; the keys sealed for this box. Blocking. Raises OSError."""
    keys = json.dumps({unit: key.hex() for unit, key in kept.keys.items()}).encode()
    own = sealing_key(settings.signing_seed.get_secret_value())
    values = {
        "version": kept.slice.version,
        "topic": kept.topic,
        "seed": seed_digest(settings),
        "parts": [b64encode(one).decode() for one in kept.envelopes],
        "keys": seal(keys, key=own, about=FILE, secret=os.urandom(SECRET_BYTES)),
    }
    _replace(settings.state / FILE, json.dumps(values).encode())


def _replace(path: Path, data: bytes) -> None:
    """Put a whole file in the place of another: after a power cut it is the one or the other."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(new, path)  # noqa: PTH105 - beside os.open
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Incoming:
    """Parts of slices as they come in, with the envelopes that prove them."""

    def __init__(self, settings: GatewaySettings, *, runs: int, keys: Mapping[str, bytes] | None = None) -> None:
        """`runs`: the version that this gateway runs; `keys`: of units, as they came before."""
        self._assembly = Assembly(settings.station, settings.gateway, runs=runs)
        self._seed = settings.signing_seed
        self._keys = dict(keys or {})
        self._envelopes: dict[int, bytes] = {}
        self._of: tuple[int, str] = (0, "")

    @property
    def runs(self) -> int:
        """The version that this gateway runs."""
        return self._assembly.runs

    def take(self, part: ConfigPart, topic: str, envelope: bytes) -> Kept | None:
        """Take a part whose signature is good; the slice, when it is whole. Raises SliceRefused."""
        if part.version > self.runs and self._of != (part.version, part.sha256):
            if part.version < self._of[0]:
                raise SliceRefused("old_version")
            self._of, self._envelopes = (part.version, part.sha256), {}
        whole = self._assembly.take(part)
        if part.version > self.runs:
            self._envelopes[part.part] = envelope
        if whole is None:
            return None
        envelopes = tuple(self._envelopes[number] for number in sorted(self._envelopes))
        self._of, self._envelopes = (0, ""), {}
        kept = Kept(whole, topic, envelopes, self._keys_for(whole))
        self._keys = dict(kept.keys)
        self._assembly.runs = whole.version
        return kept

    def _keys_for(self, one: RegisterSlice) -> dict[str, bytes]:
        """The keys of a slice's units: what it brings; where it brings none, what was here. Raises SliceRefused."""
        came = open_keys(one, seed=self._seed.get_secret_value())
        if any(len(key) != KEY_BYTES for key in came.values()):
            raise SliceRefused("bad_seal")
        here = {str(unit.id) for unit in one.units}
        return {unit: key for unit, key in (self._keys | came).items() if unit in here}
