"""NDEF: what is written on an NFC tag, as text and addresses; the memory of a type 2 tag (NTAG) or a bare message.

Source: docs/readers.md, "NDEF". A type 2 tag holds TLV blocks: 00 is nothing, FE the end, 03 a message, anything else
is skipped; a length of FF is followed by the length in two octets. A message is records, each ::

    flags (80 first, 40 last, 20 chunk, 10 short, 08 id, 07 kind of type) | type length | payload length (1 or 4)
    [id length] | type | [id] | payload

What is written on a tag anybody may have written: it is a hint where the tag is said to hang, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MOST_RECORDS: Final = 32
MOST_OCTETS: Final = 65_536

PREFIXES: Final = {0: "", 1: "http://www.", 2: "https://www.", 3: "http://", 4: "https://", 5: "tel:", 6: "mailto:"}
"""What the first octet of a URI record stands for; others are left out, since nobody here needs them."""

_MESSAGE, _END, _NOTHING = 0x03, 0xFE, 0x00
_FIRST, _LAST, _CHUNK, _SHORT, _ID, _KIND = 0x80, 0x40, 0x20, 0x10, 0x08, 0x07
_WELL_KNOWN = 1
_UTF16, _LANGUAGE = 0x80, 0x3F
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


class NdefError(ValueError):
    """What is no NDEF: cut short, without a message, or of a kind that is not read here."""


@dataclass(frozen=True, slots=True)
class TextRecord:
    """Words for people. `language`: as in `en`."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class UriRecord:
    """An address, its prefix written out."""

    uri: str


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """Any other record: its kind (0 to 7), type and octets."""

    kind: int
    type: bytes
    payload: bytes


Record = TextRecord | UriRecord | OtherRecord


def read_tag(memory: bytes) -> tuple[Record, ...]:
    """The records in the user memory of a type 2 tag (from page 4 on). Raises NdefError."""
    at = 0
    while at < len(memory):
        kind = memory[at]
        at += 1
        if kind == _NOTHING:
            continue
        if kind == _END:
            break
        octets = _take(memory, at, 1)
        at += 1
        if octets == b"\xff":
            octets = _take(memory, at, 2)
            at += 2
        value = _take(memory, at, int.from_bytes(octets, "big"))
        at += len(value)
        if kind == _MESSAGE:
            return read_message(value)
    raise NdefError("no message on the tag")


def octets_needed(memory: bytes) -> int | None:
    """How many octets of the user memory reach to the end of the message; None: there is none.

    `memory`: what was read of it until now, from page 4 on. More than that: read on, and ask again.
    """
    at = 0
    while at < len(memory):
        kind = memory[at]
        at += 1
        if kind == _NOTHING:
            continue
        if kind == _END:
            return None
        head = 3 if memory[at : at + 1] == b"\xff" else 1
        length = memory[at : at + head]
        if len(length) < head:
            return at + head
        at += head + int.from_bytes(length[1:] or length, "big")
        if kind == _MESSAGE:
            return at
    return at + 1


def words(records: Iterable[Record]) -> tuple[str, ...]:
    """What people or programs can read in the records: texts and addresses, in order."""
    return tuple(
        one.text if isinstance(one, TextRecord) else one.uri for one in records if not isinstance(one, OtherRecord)
    )


def read_message(message: bytes) -> tuple[Record, ...]:
    """The records of a message; an empty one has none. Raises NdefError."""
    if len(message) > MOST_OCTETS:
        raise NdefError("too long")
    return tuple(_records(message))


def _records(message: bytes) -> Iterator[Record]:
    at, count, last = 0, 0, not message
    while not last:
        flags, type_length = _take(message, at, 2)
        at += 2
        if bool(flags & _FIRST) != (count == 0) or flags & _CHUNK or count == MOST_RECORDS:
            raise NdefError("records in no order, in pieces, or too many")
        lengths = _take(message, at, (1 if flags & _SHORT else 4) + (1 if flags & _ID else 0))
        at += len(lengths)
        id_length = lengths[-1] if flags & _ID else 0
        payload_length = int.from_bytes(lengths[:-1] if flags & _ID else lengths, "big")
        rest = _take(message, at, type_length + id_length + payload_length)
        at += len(rest)
        yield _record(flags & _KIND, rest[:type_length], rest[type_length + id_length :])
        count, last = count + 1, bool(flags & _LAST)
    if at != len(message):
        raise NdefError("something behind the last record")


def _record(kind: int, type_: bytes, payload: bytes) -> Record:
    if kind == _WELL_KNOWN and payload:
        if type_ == b"T":
            return _text(payload)
        if type_ == b"U" and payload[0] in PREFIXES:
            return UriRecord(PREFIXES[payload[0]] + _decode(payload[1:], "utf-8"))
    return OtherRecord(kind, type_, payload)


def _text(payload: bytes) -> TextRecord:
    language = _take(payload, 1, payload[0] & _LANGUAGE)
    words = payload[1 + len(language) :]
    encoding = "utf-8"
    if payload[0] & _UTF16:
        encoding = "utf-16" if words.startswith(_BYTE_ORDER_MARKS) else "utf-16-be"
    return TextRecord(_decode(words, encoding), _decode(language, "ascii"))


def _decode(octets: bytes, encoding: str) -> str:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        raise NdefError("text that cannot be read") from None


def _take(octets: bytes, at: int, count: int) -> bytes:
    if at + count > len(octets):
        raise NdefError("cut short")
    return octets[at : at + count]
