"""What is sealed for a gateway is opened by it alone, and only as what it was sealed for."""

import hmac
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from broker.sealing import SealBroken, seal, sealing_key, unseal
from broker.signing import Signer

SEED, OTHER, SECRET = bytes(range(32)), bytes(range(1, 33)), bytes(range(64, 96))


@pytest.mark.proves("N13")
@given(st.binary(max_size=4_000), st.binary(min_size=32, max_size=32))
def test_its_owner_opens_it(text: bytes, secret: bytes) -> None:
    assert unseal(seal(text, key=sealing_key(SEED), about="a", secret=secret), seed=SEED, about="a") == text


@pytest.mark.proves("N13")
def test_nobody_else_does_and_not_as_something_else_and_not_when_any_octet_was_changed() -> None:
    sealed = seal(b"a key", key=sealing_key(SEED), about="north/gw1", secret=SECRET)
    broken = [sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :] for at in range(len(sealed) - 1)]
    tries = [(one, SEED, "north/gw1") for one in (*broken, "", "A", "*", sealed[:43])]
    tries += [(sealed, OTHER, "north/gw1"), (sealed, SEED, "north/gw2")]
    for one, seed, about in tries:
        with pytest.raises(SealBroken):
            unseal(one, seed=seed, about=about)


def test_a_sealed_text_shows_nothing_but_its_length_and_no_two_are_alike() -> None:
    one = seal(b"k" * 40, key=sealing_key(SEED), about="a", secret=SECRET)
    other = seal(b"k" * 40, key=sealing_key(SEED), about="a", secret=OTHER)
    assert one != other
    assert len(one) == len(other) == 118


def test_what_is_no_key_is_refused() -> None:
    for key in (bytes(32), b"short"):
        with pytest.raises(ValueError):  # noqa: PT011 - the library's own words
            seal(b"", key=key, about="a", secret=SECRET)


def test_the_key_for_sealing_is_not_the_key_that_signs() -> None:
    assert sealing_key(SEED) != Signer("gateway:gw1", SEED).public


def test_it_is_what_the_documents_say_of_it() -> None:
    """RFC 5869 and RFC 7748 written down a second time, and AES-GCM by the library."""
    sealed = urlsafe_b64decode(seal(b"a key", key=sealing_key(SEED), about="north/gw1", secret=SECRET) + "==")
    own = hkdf(SEED, salt=bytes(32), info=b"shouwang gateway x25519", length=32)
    mine, drawn = curve(own, BASE), sealed[:32]
    assert mine == sealing_key(SEED)
    assert drawn == curve(SECRET, BASE)
    octets = hkdf(curve(own, drawn), salt=drawn + mine, info=b"shouwang slice keys", length=44)
    assert AESGCM(octets[:32]).decrypt(octets[32:], sealed[32:], b"north/gw1") == b"a key"


BASE = (9).to_bytes(32, "little")
PRIME = 2**255 - 19


def hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    key = hmac.digest(salt, secret, "sha256")
    out = block = b""
    for number in range(1, 3):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:length]


def curve(secret: bytes, point: bytes) -> bytes:
    """The Montgomery ladder of RFC 7748, section 5."""
    k = int.from_bytes(secret, "little") & ~7 & ((1 << 255) - 1) | 1 << 254
    u = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for at in range(254, -1, -1):
        bit = k >> at & 1
        if swapped ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, u * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121_665 * e) % PRIME
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")
