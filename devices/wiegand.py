"""Wiegand 26 and 34: two wires that pulse low, D0 for a 0 and D1 for a 1; also behind a converter to a serial port.

Source: docs/readers.md, "Wiegand". A frame has no beginning and no length: it ends with a silence, and it is a tag
only with exactly 26 or 34 bits and both parities right::

    26 bits    even parity over the 12 bits behind it, 24 bits of number, odd parity over the 12 bits before it
    34 bits    even parity over the 16 bits behind it, 32 bits of number, odd parity over the 16 bits before it

The number is one value; the split into facility and card differs by maker, and is for people (`broker.tags.faces`).
A bit that got lost in front gives another right-looking number to whoever guesses: here it costs that frame. Only eight
bits lost of 34 may look like 26 with both parities right, one time in four: say which of the two a reader sends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from devices.cutting import LineCutter
from devices.readings import TagSeen
from devices.recent import Recent
from devices.timing import MS

SILENCE_NS: Final = 25 * MS
"""No pulse for so long: the frame is over. Pulses come about every millisecond."""
AGAIN_NS: Final = 1_000 * MS
"""The same tag again within this is the same reading: some readers repeat while the card stays."""
MOST_BITS: Final = 64
"""Bits kept of a frame; what is longer is only counted."""
MOST_LINE: Final = 80
MOST_TAGS: Final = 64
NUMBER_BITS: Final = {26: 24, 34: 32}
"""Bits of number by bits of frame."""

_BITS: Final = re.compile(rb"[01]+")
_WORDS: Final = re.compile(rb"Wiegand[0-9]? HEX = ([0-9A-Fa-f]{1,16}), DECIMAL = ([0-9]{1,20}), Type W([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class WiegandCounts:
    """What arrived since the reader was opened."""

    frames: int
    """Frames of a right length with both parities right; repeats and zeros come out of these."""
    repeats: int
    zeros: int
    """The number 0, which no card has."""
    parity_errors: int
    wrong_lengths: int
    """Frames of any other length: noise, lost bits, keys of a keypad (4 or 8 bits)."""
    last_wrong_length: int
    """Bits of the last one of these, 0 before the first."""
    bad_lines: int
    """Lines of a converter that hold no frame."""
    noise_bytes: int


class _Frames:
    """What both kinds of wire have in common: bits in, tags out."""

    def __init__(self, *, reversed_octets: bool, bits: int | None) -> None:
        self._lengths = NUMBER_BITS if bits is None else {bits: NUMBER_BITS[bits]}
        self._reversed = reversed_octets
        self._recent: Recent[str] = Recent(window_ns=AGAIN_NS, most=MOST_TAGS)
        self._frames = 0
        self._repeats = 0
        self._zeros = 0
        self._parity_errors = 0
        self._wrong_lengths = 0
        self._last_wrong_length = 0
        self._bad_lines = 0
        self._noise_bytes = 0

    @property
    def counts(self) -> WiegandCounts:
        """A snapshot."""
        return WiegandCounts(
            frames=self._frames,
            repeats=self._repeats,
            zeros=self._zeros,
            parity_errors=self._parity_errors,
            wrong_lengths=self._wrong_lengths,
            last_wrong_length=self._last_wrong_length,
            bad_lines=self._bad_lines,
            noise_bytes=self._noise_bytes,
        )

    def _frame(self, frame: int, length: int, now_ns: int) -> list[TagSeen]:
        """`length` bits, the first one highest."""
        if length not in self._lengths:
            return self._wrong(length)
        half = length // 2
        if (frame >> half).bit_count() % 2 or not (frame & ((1 << half) - 1)).bit_count() % 2:
            self._parity_errors += 1
            return []
        return self._number(frame >> 1 & ((1 << NUMBER_BITS[length]) - 1), NUMBER_BITS[length], now_ns)

    def _wrong(self, length: int) -> list[TagSeen]:
        self._wrong_lengths += 1
        self._last_wrong_length = length
        return []

    def _number(self, number: int, bits: int, now_ns: int) -> list[TagSeen]:
        self._frames += 1
        if not number:
            self._zeros += 1
            return []
        octets = number.to_bytes(bits // 8, "big")
        tag = (octets[::-1] if self._reversed else octets).hex().upper()
        self._recent.expire(now_ns)
        again = tag in self._recent
        self._recent.note(tag, now_ns)
        self._repeats += again
        return [] if again else [TagSeen(tag)]


class Wiegand(_Frames):
    """A reader on two wires: pulses in, one `TagSeen` for each card. Call `advance` when `next_due` has come."""

    def __init__(self, *, reversed_octets: bool = False, bits: int | None = None) -> None:
        """`reversed_octets`: it sends the octets of a number in the other order. `bits`: 26, 34, None: any."""
        super().__init__(reversed_octets=reversed_octets, bits=bits)
        self._bits = 0
        self._length = 0
        self._pulse_ns = 0

    def pulse(self, bit: int, now_ns: int) -> list[TagSeen]:
        """D0 (`bit` 0) or D1 (1) went low; the frame before it, if a silence lay between."""
        readings = self.advance(now_ns)
        if self._length < MOST_BITS:
            self._bits = self._bits << 1 | bit
        self._length += 1
        self._pulse_ns = now_ns
        return readings

    def advance(self, now_ns: int) -> list[TagSeen]:
        """The frame that a silence has ended by now."""
        if not self._length or now_ns - self._pulse_ns < SILENCE_NS:
            return []
        bits, length, self._bits, self._length = self._bits, self._length, 0, 0
        return self._frame(bits, length, now_ns)

    def next_due(self) -> int | None:
        """When the frame under way is over, if no pulse comes."""
        return self._pulse_ns + SILENCE_NS if self._length else None


class WiegandText(_Frames):
    """A converter that writes each frame as a line, 9600 baud as a rule: the bits, or a sketch's words for them."""

    def __init__(self, *, reversed_octets: bool = False, bits: int | None = None) -> None:
        """Both as in `Wiegand`."""
        super().__init__(reversed_octets=reversed_octets, bits=bits)
        self._cutter = LineCutter(MOST_LINE)

    def receive_data(self, data: bytes, now_ns: int) -> list[TagSeen]:
        """Take what was read at `now_ns`, return the tags that are no repeats."""
        readings: list[TagSeen] = []
        for line in self._cutter.receive_data(data):
            readings += self._line(line.strip(), now_ns)
        self._noise_bytes = self._cutter.noise_bytes
        return readings

    def _line(self, line: bytes, now_ns: int) -> list[TagSeen]:
        if _BITS.fullmatch(line):
            return self._frame(int(line, 2), len(line), now_ns)
        words = _WORDS.fullmatch(line)
        if words is None or int(words[1], 16) != int(words[2]):
            self._bad_lines += 1
            return []
        number, length = int(words[2]), int(words[3])
        if length not in self._lengths or number >> NUMBER_BITS[length]:
            return self._wrong(length)
        return self._number(number, NUMBER_BITS[length], now_ns)
