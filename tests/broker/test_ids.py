import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import ids

MS = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


def test_an_event_id_is_the_uuid_of_rfc_9562() -> None:
    """RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F."""
    rand = (0xCC3 << 62 | 0x18C4DC0C0C07398F).to_bytes(10, "big")
    assert ids.event_id(0x017F22E279B0, rand) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(MS, RANDOM)
def test_an_event_id_is_a_version_7_uuid_that_keeps_its_time(ms: int, random: bytes) -> None:
    made = ids.event_id(ms, random)
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122
    assert ids.is_event_id(made)
    assert ids.event_unix_ms(made) == ms


@given(MS, MS, RANDOM)
def test_event_ids_sort_by_time(earlier: int, later: int, random: bytes) -> None:
    if earlier < later:
        assert ids.event_id(earlier, random) < ids.event_id(later, random)


@given(RANDOM, RANDOM)
def test_every_used_random_bit_shows_in_the_event_id(one: bytes, other: bytes) -> None:
    mask = 2**74 - 1  # six of the eighty bits are not used
    same_bits = int.from_bytes(one, "big") & mask == int.from_bytes(other, "big") & mask
    assert (ids.event_id(0, one) == ids.event_id(0, other)) is same_bits


@pytest.mark.parametrize(("ms", "random"), [(-1, bytes(10)), (2**48, bytes(10)), (0, bytes(9)), (0, bytes(16))])
def test_an_event_id_refuses_what_does_not_fit(ms: int, random: bytes) -> None:
    with pytest.raises(ValueError, match=r"48 bits|10 random bytes"):
        ids.event_id(ms, random)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e279b07cc398c4dc0c0c07398f",
    ],
)
def test_other_uuids_and_other_spellings_are_no_event_ids(text: str) -> None:
    assert not ids.is_event_id(text)


def test_epoch_and_session_are_their_random_bytes_in_hex() -> None:
    assert ids.epoch(bytes(range(8))) == "0001020304050607"
    assert ids.session(bytes(range(16))) == "000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize("size", [0, 7, 9])
def test_an_epoch_takes_eight_bytes_and_a_session_sixteen(size: int) -> None:
    with pytest.raises(ValueError, match="8 random bytes"):
        ids.epoch(bytes(size))
    with pytest.raises(ValueError, match="16 random bytes"):
        ids.session(bytes(size))


@pytest.mark.parametrize("text", ["a", "h01", "grid-3", "0", "-", "a" * 32])
def test_a_segment_is_up_to_32_small_letters_digits_and_dashes(text: str) -> None:
    assert ids.is_segment(text)
    assert ids.segment("household", text) == text


@pytest.mark.parametrize(
    "text", ["", "a" * 33, "A", "a b", "a+", "#", "a/b", "a:b", "a.b", "é", "王", "a\n", "\x00", "٣"]
)
def test_whatever_means_something_in_a_topic_or_a_user_name_is_no_segment(text: str) -> None:
    assert not ids.is_segment(text)
    with pytest.raises(ids.IdError) as caught:
        ids.segment("household", text)
    assert (caught.value.what, caught.value.text) == ("household", text)


def test_an_error_about_an_id_does_not_repeat_a_flood() -> None:
    assert len(str(ids.IdError("unit", "x" * 10_000))) < 200


def test_a_press_key_names_unit_boot_and_number() -> None:
    key = ids.press_key(ids.UnitId("u01"), boot=65_535, number=4_294_967_295)
    assert key == "u01:65535:4294967295"
    assert re.fullmatch(ids.PRESS_KEY, key)


@pytest.mark.parametrize(
    ("unit", "boot", "number"), [("u01", 65_536, 0), ("u01", -1, 0), ("u01", 0, 2**32), ("u:1", 0, 0)]
)
def test_a_press_key_refuses_what_a_unit_cannot_send(unit: str, boot: int, number: int) -> None:
    with pytest.raises(ValueError, match=r"out of range|use 1 to 32"):
        ids.press_key(ids.UnitId(unit), boot=boot, number=number)
