"""The seal of the native link: AES-128-CCM with an 8-byte tag; the one door to `cryptography` here.

Source: docs/link.md, "Seal"; NIST SP 800-38C, RFC 3610. The nonce *is* the seven header bytes
(version and direction, unit address, counter), which CCM takes with a length field of eight bytes.
A nonce is unique because its counter is: see "Counters" there.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

KEY_BYTES = 16
TAG_BYTES = 8


class Seal:
    """One unit's key, ready for use."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """`key` has 16 bytes; anything else is a ValueError."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a unit key has {KEY_BYTES} bytes, this one has {len(key)}")
        self._cipher = AESCCM(key, tag_length=TAG_BYTES)

    def close(self, header: bytes, body: bytes) -> bytes:
        """Return the ciphertext of `body` followed by its tag; `header` is authenticated with it."""
        return self._cipher.encrypt(header, body, header)

    def open(self, header: bytes, sealed: bytes) -> bytes | None:
        """Return the body, or None if key, header or content are not what was sealed."""
        try:
            return self._cipher.decrypt(header, sealed, header)
        except InvalidTag:
            return None
