"""The seal: docs/link.md, "Seal"."""

import json

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from hypothesis import given
from hypothesis import strategies as st

from devices.frames import HEADER
from devices.sealing import KEY_BYTES, TAG_BYTES, Seal
from tests.devices.vectors import Vector, read_vectors

KEY, OTHER_KEY = bytes(range(16)), bytes(range(1, 17))
HEADER_BYTES = HEADER.pack(0x10, 1, 0x0001_0001)
BODY = b"\x02\x00\x01\x01" + bytes(12)


@pytest.mark.parametrize("vector", read_vectors("link-ccm"), ids=lambda vector: vector.data[:4].hex())
def test_the_cipher_is_that_of_nist_and_of_rfc_3610(vector: Vector) -> None:
    given_ = {name: bytes.fromhex(value) for name, value in json.loads(vector.meaning).items()}
    cipher = AESCCM(given_["key"], tag_length=len(vector.data) - len(given_["plain"]))
    assert cipher.encrypt(given_["nonce"], given_["plain"], given_["associated"]) == vector.data
    assert cipher.decrypt(given_["nonce"], vector.data, given_["associated"]) == given_["plain"]


def test_a_seal_is_ccm_with_the_header_as_nonce_and_as_associated_data() -> None:
    assert Seal(KEY).close(HEADER_BYTES, BODY) == AESCCM(KEY, tag_length=8).encrypt(HEADER_BYTES, BODY, HEADER_BYTES)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=7, max_size=7), st.binary(max_size=40))
def test_what_was_sealed_is_opened(key: bytes, header: bytes, body: bytes) -> None:
    sealed = Seal(key).close(header, body)
    assert len(sealed) == len(body) + TAG_BYTES
    assert Seal(key).open(header, sealed) == body


@pytest.mark.proves("N13")
def test_nothing_opens_once_a_bit_of_key_header_body_or_tag_is_another() -> None:
    sealed = Seal(KEY).close(HEADER_BYTES, BODY)
    for place in range(8 * KEY_BYTES):
        assert Seal(turned(KEY, place)).open(HEADER_BYTES, sealed) is None
    for place in range(8 * len(HEADER_BYTES)):
        assert Seal(KEY).open(turned(HEADER_BYTES, place), sealed) is None
    for place in range(8 * len(sealed)):
        assert Seal(KEY).open(HEADER_BYTES, turned(sealed, place)) is None


@pytest.mark.parametrize("sealed", [b"", bytes(TAG_BYTES - 1), bytes(TAG_BYTES)])
def test_what_is_too_short_to_hold_a_tag_does_not_open(sealed: bytes) -> None:
    assert Seal(KEY).open(HEADER_BYTES, sealed) is None


@pytest.mark.parametrize("length", [0, 15, 17, 24, 32])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    """24 and 32 bytes would be AES-192 and AES-256: other frames, and a unit that cannot read them."""
    with pytest.raises(ValueError, match=f"16 bytes, this one has {length}"):
        Seal(bytes(length))


def turned(data: bytes, place: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << place).to_bytes(len(data), "big")
