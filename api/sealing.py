"""Secrets that rows hold for the station itself: sealed, so that a copy of the database does not give them away.

The key is made from the station's signing key, which lies in a file of its own (0600) and in no backup of the tables.
SealBroken: it was sealed with another key, for another purpose, or somebody changed it.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """What was sealed cannot be opened."""


class Sealer:
    """Seals for one purpose; what it sealed opens for that purpose alone."""

    def __init__(self, seed: bytes, purpose: str) -> None:
        self._cipher = AESGCM(hmac.new(seed, b"shouwang seal " + purpose.encode(), sha256).digest())

    def seal(self, text: str, *, about: str) -> str:
        """`text` as a row may keep it; `about` names the row, so that it cannot be moved to another."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), about.encode())).decode()

    def open(self, sealed: str, *, about: str) -> str:
        """What was sealed. Raises SealBroken."""
        try:
            raw = b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], about.encode()).decode()
        except (InvalidTag, ValueError):
            raise SealBroken from None
