"""433 MHz receivers that decode fixed codes and hand them on over a UART (EV1527 class).

Source: docs/readers.md, "433 MHz". A code has 24 bits: a 20-bit identity burnt into the transmitter
and a 4-bit command, one bit for each key. Anybody can record and repeat it: `Proof.FIXED_CODE`.

What a receiver sends does not say which form it has, and the two binary forms can be mistaken for
each other when a byte is lost. So the form is told, never guessed::

    timed   FD, three bytes of code, one byte of pulse time, DF
    plain   FD, three bytes of code, DF
    text    a line that holds the code, see `_LINES`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from devices.cutting import ANY, LineCutter, Shape, ShapeCutter
from devices.readings import RadioCode
from devices.recent import Recent
from devices.timing import S

SAME_PRESS_NS = 2 * S
"""One press is 3 to 10 frames, and goes on while the key is held: each of them prolongs this."""
GAP_NS = 1 * S
"""No receiver pauses this long inside a frame: what stands before such a gap is no part of it."""
MOST_CODES = 256
"""Codes remembered at once; past that somebody floods the air."""
MOST_LINE = 64

IDENTITY_BITS, COMMAND_BITS = 20, 4
_CODES = 1 << (IDENTITY_BITS + COMMAND_BITS)
_NO_CODES = (0, _CODES - 1)
"""A dead and a saturated receiver. No transmitter is given these."""

_HEAD, _TAIL = b"\xfd", b"\xdf"
_CODE = (ANY,) * 3
_TIMED: Shape = (_HEAD, *_CODE, ANY, _TAIL)
_PLAIN: Shape = (_HEAD, *_CODE, _TAIL)

_LINES = (
    # [label] six hexadecimal digits [pulse time]; whatever is printed before a label is ignored
    (re.compile(rb"(?:.*(?:LC|RX): ?)?(?:0[xX])?([0-9A-Fa-f]{6})(?:[ ,]?[0-9A-Fa-f]{2})?"), 16),
    # the receiving example of the rc-switch library, which many home-made receivers run
    (re.compile(rb".*Received ([0-9]{1,8}) / 24bit Protocol: ?[0-9]{1,2}"), 10),
)


class Form(Enum):
    """What the receiver at the other end of the wire sends; the value is its name in a site file."""

    TIMED = "timed"
    PLAIN = "plain"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Radio433Counts:
    """What arrived since the receiver was opened."""

    frames: int
    """Codes of the right form; repeats and no-codes come out of these."""
    repeats: int
    no_codes: int
    """All zero or all one."""
    bad_lines: int
    """Whole lines that hold no code: a wrong form, or the receiver's own chatter."""
    noise_bytes: int


def code_of(identity: int, command: int) -> int:
    """Return the 24 bits on the air; a ValueError if one of the two does not fit."""
    if identity >> IDENTITY_BITS or command >> COMMAND_BITS:
        raise ValueError(
            f"identity {identity:X} and command {command:X} are not {IDENTITY_BITS} and {COMMAND_BITS} bits"
        )
    return identity << COMMAND_BITS | command


def reading_of(code: int) -> RadioCode:
    """The other way round."""
    return RadioCode(code >> COMMAND_BITS, code & ((1 << COMMAND_BITS) - 1))


class Radio433:
    """One receiver: bytes in, one `RadioCode` for each press of a transmitter's key."""

    def __init__(self, form: Form = Form.TIMED) -> None:
        self._form = form
        self._cutter = (
            LineCutter(MOST_LINE) if form is Form.TEXT else ShapeCutter(_TIMED if form is Form.TIMED else _PLAIN)
        )
        self._recent: Recent[int] = Recent(window_ns=SAME_PRESS_NS, most=MOST_CODES)
        self._heard_ns = 0
        self._frames = 0
        self._repeats = 0
        self._no_codes = 0
        self._bad_lines = 0

    @property
    def counts(self) -> Radio433Counts:
        """A snapshot."""
        return Radio433Counts(
            frames=self._frames,
            repeats=self._repeats,
            no_codes=self._no_codes,
            bad_lines=self._bad_lines,
            noise_bytes=self._cutter.noise_bytes,
        )

    def receive_data(self, data: bytes, now_ns: int) -> list[RadioCode]:
        """Take what was read at `now_ns`, return the codes that are no repeats."""
        if now_ns - self._heard_ns > GAP_NS:
            self._cutter.forget()
        self._heard_ns = now_ns
        self._recent.expire(now_ns)
        codes = (self._code(frame) for frame in self._cutter.receive_data(data))
        return [reading_of(code) for code in codes if code is not None and self._is_new(code, now_ns)]

    def _code(self, frame: bytes) -> int | None:
        if self._form is not Form.TEXT:
            return int.from_bytes(frame[1:4], "big")
        for pattern, base in _LINES:
            if (match := pattern.fullmatch(frame.strip())) and (code := int(match[1], base)) < _CODES:
                return code
        self._bad_lines += 1
        return None

    def _is_new(self, code: int, now_ns: int) -> bool:
        self._frames += 1
        if code in _NO_CODES:
            self._no_codes += 1
            return False
        again = code in self._recent
        self._repeats += again
        self._recent.note(code, now_ns)
        return not again
