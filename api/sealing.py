"""Secrets that rows hold for the station itself: sealed, so that a copy of the database does not give them away.

The key is made from the station's signing key, which lies in a file of its own (0600) and in no backup of the tables.
After a change of that key the former one is named in the settings until the station has started once: what it sealed
still opens, and is sealed anew.

SealBroken: it was sealed with another key, for another purpose, or somebody changed it.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.settings import SigningKey

NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """What was sealed cannot be opened."""


class Sealer:
    """Seals for one purpose; what it sealed opens for that purpose alone."""

    def __init__(self, seed: bytes, purpose: str, *, former: Sequence[bytes] = ()) -> None:
        """`former`: seeds that the station had before; what they sealed still opens."""
        self._cipher, *self._former = (
            AESGCM(hmac.new(one, b"shouwang seal " + purpose.encode(), sha256).digest()) for one in (seed, *former)
        )

    @classmethod
    def of(cls, signing: SigningKey, purpose: str) -> Self:
        """With the keys of a station. Raises SettingsError."""
        return cls(signing.seed(), purpose, former=signing.former_seeds())

    def seal(self, text: str, *, about: str) -> str:
        """`text` as a row may keep it; `about` names the row, so that it cannot be moved to another."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), about.encode())).decode()

    def open(self, sealed: str, *, about: str) -> str:
        """What was sealed. Raises SealBroken."""
        for cipher in (self._cipher, *self._former):
            with suppress(SealBroken):
                return _opened(cipher, sealed, about)
        raise SealBroken

    def is_old(self, sealed: str, *, about: str) -> bool:
        """Whether it opens, but not with the present key: it should be sealed anew."""
        for cipher in (self._cipher, *self._former):
            with suppress(SealBroken):
                _opened(cipher, sealed, about)
                return cipher is not self._cipher
        return False


def _opened(cipher: AESGCM, sealed: str, about: str) -> str:
    try:
        raw = b64decode(sealed, validate=True)
        return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
    except (InvalidTag, ValueError):
        raise SealBroken from None
