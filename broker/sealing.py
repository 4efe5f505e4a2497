"""Sealing for a gateway: what only the holder of its seed can open, whoever reads it on the way. Pure.

Each gateway has an X25519 key pair beside its signing key, made from the same seed by HKDF; the public key stands in
its signed status. Whoever seals draws a key pair for this one text: X25519 between the two, HKDF-SHA256 over both
public keys, AES-256-GCM. A sealed text is base64url of the drawn public key and the ciphertext. It does not say who
sealed: that is what the station's signature around it is for (docs/adr/0012).

SealBroken: it was sealed for somebody else, about something else, or changed.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PUBLIC_BYTES: Final = 32
SECRET_BYTES: Final = 32
NONCE_BYTES: Final = 12
CIPHER_KEY_BYTES: Final = 32


class SealBroken(Exception):
    """What was sealed cannot be opened."""


def sealing_key(seed: bytes) -> bytes:
    """The public key, 32 octets, for which others seal; `seed` is the gateway's own."""
    return _own(seed).public_key().public_bytes_raw()


def seal(text: bytes, *, key: bytes, about: str, secret: bytes) -> str:
    """`text`, to be opened by the owner of the public `key` alone, and only as `about`.

    `secret`: 32 random octets, never used twice. Raises ValueError when `key` is no key.
    """
    drawn = X25519PrivateKey.from_private_bytes(secret)
    public = drawn.public_key().public_bytes_raw()
    cipher, nonce = _cipher(drawn.exchange(X25519PublicKey.from_public_bytes(key)), public + key)
    return urlsafe_b64encode(public + cipher.encrypt(nonce, text, about.encode())).rstrip(b"=").decode()


def unseal(sealed: str, *, seed: bytes, about: str) -> bytes:
    """What was sealed for the owner of `seed`. Raises SealBroken."""
    own = _own(seed)
    try:
        octets = urlsafe_b64decode(sealed.encode() + b"==")
        public, rest = octets[:PUBLIC_BYTES], octets[PUBLIC_BYTES:]
        shared = own.exchange(X25519PublicKey.from_public_bytes(public))
        cipher, nonce = _cipher(shared, public + own.public_key().public_bytes_raw())
        return cipher.decrypt(nonce, rest, about.encode())
    except (InvalidTag, ValueError):
        raise SealBroken from None


def _own(seed: bytes) -> X25519PrivateKey:
    """Another key than the one that signs: neither use can be turned against the other."""
    derived = HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"shouwang gateway x25519").derive(seed)
    return X25519PrivateKey.from_private_bytes(derived)


def _cipher(shared: bytes, salt: bytes) -> tuple[AESGCM, bytes]:
    octets = HKDF(SHA256(), CIPHER_KEY_BYTES + NONCE_BYTES, salt=salt, info=b"shouwang slice keys").derive(shared)
    return AESGCM(octets[:CIPHER_KEY_BYTES]), octets[CIPHER_KEY_BYTES:]
