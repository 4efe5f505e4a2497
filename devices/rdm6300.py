"""RDM6300 and its relatives: 125 kHz readers that send each EM4100 tag as text, 9600 baud 8N1.

Source: docs/readers.md, "RDM6300". Three variants are in the shops, told apart by their shape::

    14 bytes    STX, ten hexadecimal digits, two digits of checksum, ETX
    13 bytes    STX, ten hexadecimal digits, the checksum as one raw byte, ETX
    16 bytes    STX, ten hexadecimal digits, two digits of checksum, CR, LF, ETX (ID-12LA, ID-20LA)

The checksum is the exclusive or of the five bytes that the ten digits stand for.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import reduce
from operator import xor

from devices.cutting import ANY, HEX, ShapeCutter
from devices.readings import TagSeen
from devices.recent import Recent
from devices.timing import MS

GONE_NS = 300 * MS
"""A tag that was silent this long has left; two equal frames within it make an unknown tag real.

Readers repeat about every 65 ms while a tag is near; 300 ms is the customary time-out.
"""
MOST_TAGS = 64
"""Tags remembered at once. A reader sends some fifteen frames a second, so 300 ms hold five."""

_STX, _ETX = b"\x02", b"\x03"
_TAG = (HEX,) * 10
_TEXT_SUM = (_STX, *_TAG, HEX, HEX, _ETX)
_RAW_SUM = (_STX, *_TAG, ANY, _ETX)
_TEXT_SUM_CRLF = (_STX, *_TAG, HEX, HEX, b"\r", b"\n", _ETX)


@dataclass(frozen=True, slots=True)
class Rdm6300Counts:
    """What arrived since the reader was opened."""

    frames: int
    """Whole frames with a right checksum; tags, repeats and ghosts come out of these."""
    repeats: int
    """Frames of a tag that was near already."""
    ghosts: int
    """Frames with a right checksum and no tag: all zero, or never repeated by an unknown tag."""
    checksum_errors: int
    noise_bytes: int


class Rdm6300:
    """One reader: bytes in, one `TagSeen` each time a tag comes near."""

    def __init__(self, known: Container[str]) -> None:
        """`known` tags are believed at their first frame; it may change while the reader works."""
        self._known = known
        self._cutter = ShapeCutter(_TEXT_SUM, _RAW_SUM, _TEXT_SUM_CRLF)
        self._held: Recent[str] = Recent(window_ns=GONE_NS, most=MOST_TAGS)
        self._near: Recent[str] = Recent(window_ns=GONE_NS, most=MOST_TAGS)
        self._frames = 0
        self._repeats = 0
        self._zeros = 0
        self._checksum_errors = 0

    @property
    def counts(self) -> Rdm6300Counts:
        """A snapshot. A held frame becomes a ghost with the first bytes that come after its time."""
        return Rdm6300Counts(
            frames=self._frames,
            repeats=self._repeats,
            ghosts=self._zeros + self._held.lapsed,
            checksum_errors=self._checksum_errors,
            noise_bytes=self._cutter.noise_bytes,
        )

    def receive_data(self, data: bytes, now_ns: int) -> list[TagSeen]:
        """Take what was read at `now_ns`, return the tags that came near.

        The first frame of an unknown tag is held back: nothing is due until its second one comes.
        """
        self._held.expire(now_ns)
        self._near.expire(now_ns)
        readings: list[TagSeen] = []
        for frame in self._cutter.receive_data(data):
            tag = _tag(frame)
            if tag is None:
                self._checksum_errors += 1
            elif self._appears(tag, now_ns):
                readings.append(TagSeen(tag))
        return readings

    def _appears(self, tag: str, now_ns: int) -> bool:
        self._frames += 1
        if not int(tag, 16):
            self._zeros += 1  # passes its checksum, and idle readers do send it
            return False
        seen_before = self._held.take(tag)
        if tag in self._near:
            self._repeats += 1
            self._near.note(tag, now_ns)
            return False
        if seen_before or tag in self._known:
            self._near.note(tag, now_ns)
            return True
        self._held.note(tag, now_ns)
        return False


def _tag(frame: bytes) -> str | None:
    """The ten digits of `frame` in upper case; None if its checksum is wrong."""
    tag = frame[1:11].decode("ascii").upper()
    checksum = frame[11] if len(frame) == len(_RAW_SUM) else int(frame[11:13], 16)
    return tag if reduce(xor, bytes.fromhex(tag)) == checksum else None
