"""NDEF: docs/readers.md, "NDEF"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.ndef import (
    MOST_OCTETS,
    MOST_RECORDS,
    NdefError,
    OtherRecord,
    Record,
    TextRecord,
    UriRecord,
    octets_needed,
    read_message,
    read_tag,
    words,
)
from tests.devices.vectors import Vector, read_vectors

VECTORS = read_vectors("ndef")
URI, TAG_URI, TAG_TEXT, CUT = VECTORS


def read(data: bytes) -> tuple[Record, ...]:
    return read_tag(data) if data[0] == 0x03 else read_message(data)


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", [URI, TAG_URI, TAG_TEXT], ids=lambda vector: vector.meaning)
def test_published_tags_are_read(vector: Vector) -> None:
    (record,) = read(vector.data)
    assert vector.meaning == (record.uri if isinstance(record, UriRecord) else getattr(record, "text", None))


def test_the_language_of_a_text_is_kept() -> None:
    assert read_tag(TAG_TEXT.data) == (TextRecord("Test", "en"),)


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.meaning)
def test_what_is_cut_short_anywhere_is_refused(vector: Vector) -> None:
    message = vector.data if vector.data[0] != 0x03 else vector.data.removesuffix(b"\xfe")
    for length in range(1, len(message) if vector is not CUT else len(message) + 1):
        with pytest.raises(NdefError):
            read(message[:length])


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("00 00 01 03 A0 0C 34 " + TAG_TEXT.data.hex(), (TextRecord("Test", "en"),)),
        ("03 FF 00 0F" + URI.data.hex(), (UriRecord("http://www.okeddy.com"),)),
        ("03 00 FE", ()),
        ("03 07 D9 01 01 01 55 78 00 FE", (UriRecord(""),)),
        ("03 08 C1 01 00 00 00 01 55 00", (UriRecord(""),)),
        ("03 0A 91 01 01 55 00 51 01 01 55 04", (UriRecord(""), UriRecord("https://"))),
        ("03 09 D1 01 05 54 82 7A 68 4F 60", (TextRecord("你", "zh"),)),
        ("03 0B D1 01 07 54 82 7A 68 FF FE 60 4F", (TextRecord("你", "zh"),)),
        ("03 04 D1 01 00 54", (OtherRecord(1, b"T", b""),)),
        ("03 05 D1 01 01 55 23", (OtherRecord(1, b"U", b"\x23"),)),
        ("03 05 D2 01 01 61 07", (OtherRecord(2, b"a", b"\x07"),)),
        ("03 05 D1 01 01 53 07", (OtherRecord(1, b"S", b"\x07"),)),
    ],
)
def test_memory_of_every_form_is_read(memory: str, expected: tuple[Record, ...]) -> None:
    assert read_tag(bytes.fromhex(memory)) == expected


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "FE",
        "00 00",
        "01 03 A0 0C 34",
        "03 05 51 01 01 55 00",  # does not begin
        "03 05 91 01 01 55 00",  # does not end
        "03 0A 91 01 01 55 00 D1 01 01 55 04",  # begins twice
        "03 05 F1 01 01 55 00",  # in pieces
        "03 06 D1 01 01 55 00 00",  # something behind it
        "03 06 D1 01 02 55 00 FF",  # no UTF-8
        "03 06 D1 01 02 54 05 65",  # a language that is longer than all of it
        "03 07 D1 01 03 54 01 FF 41",  # a language that is no ASCII
    ],
)
def test_what_is_no_message_is_refused(memory: str) -> None:
    with pytest.raises(NdefError):
        read_tag(bytes.fromhex(memory))


def test_more_than_a_tag_holds_is_refused() -> None:
    with pytest.raises(NdefError):
        read_message(bytes(MOST_OCTETS + 1))
    records = [bytes([flags]) + b"\x01\x01\x55\x00" for flags in (0x91, *[0x11] * MOST_RECORDS, 0x51)]
    with pytest.raises(NdefError):
        read_message(b"".join(records))


@given(st.binary(max_size=200))
def test_whatever_is_on_a_tag_it_is_read_or_refused(data: bytes) -> None:
    for look in (read_tag, read_message):
        try:
            records = look(data)
        except NdefError:
            continue
        assert len(records) <= MOST_RECORDS


@pytest.mark.parametrize(
    ("memory", "octets"),
    [
        ("", 1),
        ("00 00", 3),
        ("03", 2),
        ("03 0F", 17),
        ("03 FF", 4),
        ("03 FF 01 00", 260),
        ("01 03 A0 0C 34", 6),
        ("01 03", 6),
        ("01 03 A0 0C 34 03 10 D1", 23),
        ("FE", None),
        ("01 03 A0 0C 34 FE", None),
    ],
)
def test_how_far_a_message_reaches_is_known_from_its_beginning(memory: str, octets: int | None) -> None:
    assert octets_needed(bytes.fromhex(memory)) == octets


@given(st.binary(max_size=60))
def test_so_many_octets_are_enough_and_fewer_are_not(data: bytes) -> None:
    """Reading on as often as more is asked for ends, and what is then there reads as all of it does."""
    have, needed = 0, octets_needed(b"")
    while needed is not None and have < needed <= len(data):
        have, needed = needed, octets_needed(data[:needed])
    if needed is not None and needed <= have:
        try:
            whole = read_tag(data)
        except NdefError:
            with pytest.raises(NdefError):
                read_tag(data[:have])
        else:
            assert read_tag(data[:have]) == whole


def test_words_are_what_can_be_read_in_their_order() -> None:
    assert words([UriRecord("tel:110"), OtherRecord(2, b"a", b""), TextRecord("你", "zh")]) == ("tel:110", "你")
