"""Keys with which units speak by now, where these are not the ones that the site file and the slice say: kept sealed.

Theory. A new key comes in the slice. From then on the unit is believed by either, and is offered the new one over the
line; the first frame under it ends the old one (devices/line_link.py). That must be known after a restart: a siren that
is sealed with the key that the unit has left behind is silence. And who was offered one key and then another may have
taken either.

`instead_of` is the digest of the key in the site file: whoever writes another one there by hand means it, and what was
taken before counts no more. The file holds nothing that the slice did not hold, and is sealed for this box like it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from broker.sealing import SECRET_BYTES, SealBroken, seal, sealing_key, unseal
from devices.sealing import KEY_BYTES
from gateway.settings import GatewaySettings

FILE: Final = "unit-keys"
MOST_OFFERED: Final = 4


@dataclass(frozen=True, slots=True)
class SpokenKey:
    """The key that a unit speaks with, and those that it was offered besides the newest: it may have taken one."""

    key: bytes
    instead_of: str
    offered: tuple[bytes, ...] = ()


def digest(key: bytes | None) -> str:
    """What `SpokenKey.instead_of` says of a key in the site file; None: it has none."""
    return "" if key is None else sha256(b"unit key " + key).hexdigest()


def load(settings: GatewaySettings) -> dict[str, SpokenKey]:
    """What was kept; nothing where it cannot be read: then units are believed by the site file's key and the slice's.

    Blocking.
    """
    try:
        sealed = (settings.state / FILE).read_text(encoding="ascii")
        found = json.loads(unseal(sealed, seed=settings.signing_seed.get_secret_value(), about=FILE))
        return {str(unit): _read(values) for unit, values in found.items()}
    except (OSError, SealBroken, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(settings: GatewaySettings, spoken: Mapping[str, SpokenKey]) -> None:
    """Keep them durably. Blocking. Raises OSError."""
    values = {
        unit: {"key": one.key.hex(), "instead_of": one.instead_of, "offered": [other.hex() for other in one.offered]}
        for unit, one in spoken.items()
    }
    own = sealing_key(settings.signing_seed.get_secret_value())
    text = seal(json.dumps(values).encode(), key=own, about=FILE, secret=os.urandom(SECRET_BYTES))
    path = settings.state / FILE
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)  # noqa: PTH105 - beside os.open
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(values: Mapping[str, object]) -> SpokenKey:
    offered = values["offered"]
    if not isinstance(offered, list):
        raise TypeError("offered keys are a list")
    return SpokenKey(_key(values["key"]), str(values["instead_of"]), tuple(map(_key, offered)))


def _key(text: object) -> bytes:
    key = bytes.fromhex(str(text))
    if len(key) != KEY_BYTES:
        raise ValueError("a key has 16 octets")
    return key
