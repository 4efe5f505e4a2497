"""One tag, several faces: the same number as readers, wands, cards and people write it. Pure.

Theory. A tag is kept once, as `Tag.value`: all the bits that its reader gave, upper-case hexadecimal, two digits for
each octet, zeros in front kept. Readers give different cuts of the same number: an EM4100 tag of 40 bits is 40 bits at
an RDM6300, its last 32 at a Wiegand-34 reader, its last 24 at a Wiegand-26 reader and in a wand; on the card stands
the last 32 as ten decimal digits, or the last 24 as FFF,NNNNN. So two values may be the same tag, and a shorter value
may be several tags. What may be several is refused and said (`Ambiguous`), never guessed.

UIDs of 7 and 10 octets have no such faces: readers cut them in ways of their own, so only the whole value counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

OCTETS: Final = (3, 4, 5, 7, 10)
"""Lengths of a tag: Wiegand 26 or wand; Wiegand 34 or a short UID; EM4100; double and triple size UIDs."""

VALUE: Final = r"^(?:[0-9A-F]{6}|[0-9A-F]{8}|[0-9A-F]{10}|[0-9A-F]{14}|[0-9A-F]{20})$"
"""What `Tag.value` looks like."""

_VALUE: Final = re.compile(VALUE, re.ASCII)
_HEX_SEPARATORS: Final = re.compile(r"[\s:.\-_]+")
_FACILITY: Final = re.compile(r"([0-9]{3}) ?, ?([0-9]{5})", re.ASCII)
_PRINTED: Final = re.compile(r"[0-9]{10}", re.ASCII)
_IN_WORDS: Final = str.maketrans({"，": ",", "、": ",", "：": ":", "。": ".", "—": "-", "–": "-"})
_MOST_CHARS: Final = 64


class Match(Enum):
    """How a read value and an enrolled one are the same tag, best first."""

    EXACT = "exact"
    """Every bit of both."""
    BY_32 = "by_32"
    """One of them has 32 bits, and these agree: an EM4100 tag at a Wiegand-34 reader, or its printed number."""
    BY_24 = "by_24"
    """One of them has 24 bits, and these agree: Wiegand 26, most wands, FFF,NNNNN."""


@dataclass(frozen=True, slots=True, order=True)
class Tag:
    """A tag by its canonical `value`; ValueError for anything else. Make one of free text with `parse`."""

    value: str

    def __post_init__(self) -> None:
        if not _VALUE.fullmatch(self.value) or not self.value.strip("0"):
            raise ValueError(f"not a tag: {self.value[:24]!r}")

    def __str__(self) -> str:
        return self.value

    @property
    def bits(self) -> int:
        """24, 32, 40, 56 or 80."""
        return len(self.value) * 4


@dataclass(frozen=True, slots=True)
class Faces:
    """How else this tag is written; None where that cannot be known from its bits.

    `em40`, `low32`, `low24`: hexadecimal; `decimal10`: the ten digits printed on most cards, of `low32`;
    `facility_number`: FFF,NNNNN, of `low24`.
    """

    em40: str | None
    low32: str | None
    low24: str | None
    decimal10: str | None
    facility_number: str | None


@lru_cache(maxsize=8_192)  # the same few thousand cards are read all day
def faces(tag: Tag) -> Faces:
    """Every face of a tag."""
    if tag.bits > 40:
        return Faces(None, None, None, None, None)
    low32 = tag.value[-8:] if tag.bits >= 32 else None
    low24 = tag.value[-6:]
    facility, number = divmod(int(low24, 16), 1 << 16)
    return Faces(
        em40=tag.value if tag.bits == 40 else None,
        low32=low32,
        low24=low24,
        decimal10=None if low32 is None else f"{int(low32, 16):010d}",
        facility_number=f"{facility:03d},{number:05d}",
    )


def of_number(number: int, bits: int) -> Tag | None:
    """The tag of a number of so many bits; None for zero, which no card has, and for what does not fit."""
    if not 0 < number < 1 << bits or bits // 8 not in OCTETS or bits % 8:
        return None
    return Tag(f"{number:0{bits // 4}X}")


def canonical(text: str) -> Tag | None:
    """The tag that a machine wrote as hexadecimal (spreadsheet, API, another program): `04:a1:b2` is 04A1B2.

    Digits are never taken for a decimal number here.
    """
    return None if len(text) > _MOST_CHARS else _canonical(text)


@lru_cache(maxsize=8_192)
def _canonical(text: str) -> Tag | None:
    return _of_hex(_HEX_SEPARATORS.sub("", _plain(text)).removeprefix("0X"))


def parse(text: str) -> Tag | None:
    """What people type or read off a card, from any keyboard (full-width digits too); None if it is no tag.

    Taken are: hexadecimal of a known length with or without separators; FFF,NNNNN; and ten digits, which are the
    number printed on a card where they can be one. An EM4100 value that happens to be ten digits is written with a
    separator or with 0x in front; `meanings` gives both.
    """
    found = meanings(text)
    return found[0] if found else None


def meanings(text: str) -> tuple[Tag, ...]:
    """Every tag that a text may mean, the likeliest first: one, or two for ten digits, or none."""
    if len(text) > _MOST_CHARS:
        return ()
    plain = _plain(text)
    if facility := _FACILITY.fullmatch(plain):
        high, low = int(facility[1]), int(facility[2])
        tag = of_number(high << 16 | low, 24) if high <= 0xFF and low <= 0xFFFF else None
        return () if tag is None else (tag,)
    printed = of_number(int(plain), 32) if _PRINTED.fullmatch(plain) else None
    written = canonical(plain)
    return tuple(tag for tag in (printed, written) if tag is not None)


def matches(read: Tag, enrolled: Tag) -> Match | None:
    """Whether two values are the same tag as far as they go. Whether that is the only one, `Enrolled` knows."""
    if read == enrolled:
        return Match.EXACT
    shorter = min(read.bits, enrolled.bits)
    if read.bits == enrolled.bits or max(read.bits, enrolled.bits) > 40:
        return None
    if read.value[-shorter // 4 :] != enrolled.value[-shorter // 4 :]:
        return None
    return Match.BY_32 if shorter == 32 else Match.BY_24


@dataclass(frozen=True, slots=True)
class Known:
    """The one enrolled tag that a value is."""

    tag: Tag
    match: Match


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several enrolled tags that a value may be: none of them is taken. `candidates` are in order."""

    candidates: tuple[Tag, ...]


@dataclass(slots=True)
class Enrolled:
    """Tags that are known, looked up by any of their cuts."""

    tags: frozenset[Tag]
    _cuts: dict[str, set[Tag]] = field(init=False, repr=False)

    def __init__(self, tags: Iterable[Tag]) -> None:
        """`tags`: all that are known here."""
        self.tags = frozenset(tags)
        self._cuts = defaultdict(set)
        for tag in self.tags:
            for cut in _cuts(tag):
                self._cuts[cut].add(tag)

    def find(self, read: Tag) -> Known | Ambiguous | None:
        """The enrolled tag that was read, if it is one and no other.

        A whole value is itself, whatever shorter one was enrolled that ends like it; but a short value that is
        enrolled and is also the end of a longer one may be either. So enrol a card once, by all the bits it has.
        """
        near = {tag for cut in _cuts(read) for tag in self._cuts.get(cut, ())}
        if read in self.tags:
            near = {read, *(tag for tag in near if tag.bits > read.bits)}
        found = [(tag, how) for tag in sorted(near) if (how := matches(read, tag)) is not None]
        if not found:
            return None
        if len(found) > 1:
            return Ambiguous(tuple(tag for tag, _ in found))
        return Known(*found[0])

    @property
    def ambiguous24(self) -> dict[str, tuple[Tag, ...]]:
        """24-bit values that stand for more than one enrolled tag, so that nobody is found by them; for enrolment."""
        return {cut: tuple(sorted(tags)) for cut, tags in sorted(self._cuts.items()) if len(cut) == 6 and len(tags) > 1}


def _cuts(tag: Tag) -> set[str]:
    known = faces(tag)
    return {cut for cut in (known.low32, known.low24) if cut is not None}


def _plain(text: str) -> str:
    """Half-width, upper case, Chinese punctuation as the Latin that is meant."""
    return unicodedata.normalize("NFKC", text.translate(_IN_WORDS)).translate(_IN_WORDS).strip().upper()


def _of_hex(digits: str) -> Tag | None:
    return Tag(digits) if _VALUE.fullmatch(digits) and digits.strip("0") else None
