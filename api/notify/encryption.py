"""What a push service may not read, and how it knows us.

One door for http-ece (RFC 8188, 8291) and py-vapid (RFC 8292).

    BadKeys             what a browser gave as its keys is none

The station has one P-256 key (`StationKey`), made once: browsers bind a subscription to it. Each message is encrypted
to the browser with a key of its own that is forgotten at once. Text is padded, so that its length says nothing.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16
SALT_BYTES: Final = 16
PADDED: Final = 512
"""Octets of a message before it is encrypted, whatever it says; JSON takes spaces at its end."""
TOKEN_S: Final = 3_600
"""How long an authorization is good; push services take no more than a day."""


class BadKeys(Exception):
    """These are no keys of a browser."""


def encoded(octets: bytes) -> str:
    """As browsers write octets."""
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Octets as browsers write them. Raises BadKeys."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise BadKeys from None


@dataclass(frozen=True, slots=True)
class Device:
    """A browser's keys: its public point, and its secret. Made by `of`, so they are keys."""

    point: bytes
    secret: bytes

    @classmethod
    def of(cls, p256dh: str, auth: str) -> Self:
        """As a browser gives them. Raises BadKeys."""
        point, secret = decoded(p256dh), decoded(auth)
        if len(point) != POINT_BYTES or len(secret) != AUTH_BYTES:
            raise BadKeys
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise BadKeys from None
        return cls(point, secret)

    def __repr__(self) -> str:
        """Without the keys."""
        return "Device()"


def seal(text: bytes, device: Device) -> bytes:
    """`text` (JSON, at most PADDED octets) as that browser alone can read it."""
    return encrypt(text.ljust(PADDED), device, ec.generate_private_key(ec.SECP256R1()), salt=None)


def encrypt(text: bytes, device: Device, key: ec.EllipticCurvePrivateKey, *, salt: bytes | None) -> bytes:
    """One record of `aes128gcm`. `key` and `salt` (None: drawn) are good for one message."""
    ece: Any = import_module("http_ece")  # with the first push
    found: bytes = ece.encrypt(
        text, salt=salt, private_key=key, dh=device.point, auth_secret=device.secret, version="aes128gcm"
    )
    return found


@dataclass(frozen=True, slots=True)
class StationKey:
    """The station's key for push services. `private`: 32 octets in base64url."""

    private: str

    @classmethod
    def new(cls) -> Self:
        """Another one."""
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        return cls(encoded(number.to_bytes(32, "big")))

    @property
    def public(self) -> str:
        """What a browser subscribes with."""
        key = ec.derive_private_key(int.from_bytes(decoded(self.private), "big"), ec.SECP256R1())
        point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        return encoded(point)

    def authorization(self, *, audience: str, subject: str, now_s: int) -> str:
        """The header that says to a push service (`audience`: its origin) who sends, and whom to ask (`subject`)."""
        claims: Mapping[str, object] = {"aud": audience, "exp": now_s + TOKEN_S, "sub": subject}
        header: str = _vapid().from_raw(self.private.encode()).sign(claims)["Authorization"]
        return header

    def __repr__(self) -> str:
        """Without the key."""
        return "StationKey()"


@cache
def _vapid() -> Any:
    return import_module("py_vapid").Vapid02
