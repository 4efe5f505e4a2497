"""QR codes at patrol points: a payload signed for one point, printed once or changing on a gateway's screen. Pure.

Theory. A printed code can be photographed, so it says only that somebody has had a picture of it: the weakest
evidence beside a position, and its check-in must be marked so (`Freshness.STATIC`). A code that changes every
half-minute on a screen says that somebody was there within a minute (`Freshness.ROTATING`), or had a friend there who
sent a picture at once. The signature keeps people from making codes for points that they never saw::

    PT1:point-id:key-version:mac              printed
    PR1:point-id:key-version:window:mac       rotating; window = Unix seconds // 30

`mac` is HMAC-SHA256 with the point's own key over all that stands before the last colon, its first 16 hexadecimal
digits in lower case. A code that leaked is ended by the next key version.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

WINDOW_S: Final = 30
LATE_WINDOWS: Final = 1
"""A rotating code counts in its own window and in the one behind it: the scan may come just after the change."""
EARLY_WINDOWS: Final = 1
"""And just before it, where the scanner's clock is behind the screen's."""
MAC_DIGITS: Final = 16
MOST_CHARS: Final = 96

_PAYLOAD: Final = re.compile(
    r"(?:PT1:(?P<point>[a-z0-9-]{1,32}):(?P<version>[0-9]{1,4})"
    r"|PR1:(?P<point_r>[a-z0-9-]{1,32}):(?P<version_r>[0-9]{1,4}):(?P<window>[0-9]{1,10})):(?P<mac>[0-9a-f]{16})"
)


class Freshness(Enum):
    """How much a code says about when it was scanned."""

    STATIC = "static"
    ROTATING = "rotating"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a code claims. Nothing of it is true before `holds`. `window` None: printed."""

    point: str
    version: int
    window: int | None
    mac: str

    @property
    def freshness(self) -> Freshness:
        """Of which sort the code is."""
        return Freshness.STATIC if self.window is None else Freshness.ROTATING


def point_key(secret: bytes, point: str, version: int) -> bytes:
    """The key of a point, 32 octets, from the station's secret: a gateway with a screen is given this and no more."""
    return hmac.digest(secret, f"shouwang point {point}:{version}".encode(), sha256)


def printed(point: str, version: int, *, key: bytes) -> str:
    """The payload to print for a point. ValueError if point or version cannot be one."""
    return _signed(f"PT1:{point}:{version}", key)


def rotating(point: str, version: int, *, key: bytes, at_s: int) -> str:
    """The payload to show at a moment (Unix s); it changes every WINDOW_S. ValueError as in `printed`."""
    return _signed(f"PR1:{point}:{version}:{at_s // WINDOW_S}", key)


def parse(text: str) -> Payload | None:
    """What a scanned text claims; None if it is no code of ours. Surrounding white space is let be."""
    found = _PAYLOAD.fullmatch(text.strip()) if len(text) <= MOST_CHARS else None
    if found is None:
        return None
    window = found["window"]
    return Payload(
        point=found["point"] or found["point_r"],
        version=int(found["version"] or found["version_r"]),
        window=None if window is None else int(window),
        mac=found["mac"],
    )


def holds(payload: Payload, *, key: bytes, at_s: int) -> bool:
    """Whether `key` (of this point and version) signed it, and a rotating one is of the time `at_s` of the scan."""
    body = f"PT1:{payload.point}:{payload.version}"
    if payload.window is not None:
        body = f"PR1:{payload.point}:{payload.version}:{payload.window}"
    if not hmac.compare_digest(_mac(body, key), payload.mac):
        return False
    return payload.window is None or -EARLY_WINDOWS <= at_s // WINDOW_S - payload.window <= LATE_WINDOWS


def _signed(body: str, key: bytes) -> str:
    text = f"{body}:{_mac(body, key)}"
    if parse(text) is None:
        raise ValueError(f"no code can be made of {body[:64]!r}")
    return text


def _mac(body: str, key: bytes) -> str:
    return hmac.digest(key, body.encode(), sha256).hex()[:MAC_DIGITS]
