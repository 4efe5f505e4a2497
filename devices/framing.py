"""Frames on a line: COBS between zero bytes, with a CRC that tells noise from forgery.

Source: docs/link.md, "Frame". The CRC is CRC-16/IBM-3740 ("CCITT-FALSE": polynomial 0x1021, start
0xFFFF, check value 0x29B1), most significant byte first. It is not security, the seal is: it only
keeps a collision on the wire from looking like somebody with a wrong key.
"""

from __future__ import annotations

from dataclasses import dataclass

from cobs import cobs
from fastcrc import crc16

DELIMITER = b"\x00"
CRC_BYTES = 2


@dataclass(slots=True)
class FramingCounts:
    """What arrived on a line: bytes and frames, good and bad, since it was opened."""

    bytes: int = 0
    frames: int = 0
    bad: int = 0


def enclose(content: bytes) -> bytes:
    """Return `content` with its CRC as one frame: delimiter, COBS, delimiter."""
    checked = content + crc16.ibm_3740(content).to_bytes(CRC_BYTES, "big")
    encoded: bytes = cobs.encode(checked)  # cobs carries no types
    return DELIMITER + encoded + DELIMITER


class Deframer:
    """Cuts a byte stream into frame contents of exactly `content_bytes` bytes.

    `receive_data` buffers at most one frame, whatever is fed. A run of bytes between two delimiters
    that is no frame costs itself and one count in `counts.bad`; it never costs the next frame.
    """

    def __init__(self, content_bytes: int) -> None:
        self._content_bytes = content_bytes
        # COBS adds one byte to anything shorter than 255 bytes.
        self._most = content_bytes + CRC_BYTES + 1
        self._partial = bytearray()
        self._oversize = False
        self.counts = FramingCounts()

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what was read, return the contents of every frame that it completes."""
        self.counts.bytes += len(data)
        contents: list[bytes] = []
        first, *others = data.split(DELIMITER)
        self._take(first)
        for part in others:
            content = self._close()
            if content is not None:
                contents.append(content)
            self._take(part)
        return contents

    @property
    def inside_frame(self) -> bool:
        """Whether bytes of an unfinished frame have arrived: somebody is sending now."""
        return bool(self._partial) or self._oversize

    def _take(self, part: bytes) -> None:
        room = self._most - len(self._partial)
        if len(part) > room:
            self._oversize = True
        self._partial += part[:room]

    def _close(self) -> bytes | None:
        encoded, oversize = bytes(self._partial), self._oversize
        self._partial.clear()
        self._oversize = False
        if not encoded:
            return None  # two delimiters in a row: the gap between frames
        content = None if oversize else self._check(encoded)
        if content is None:
            self.counts.bad += 1
        else:
            self.counts.frames += 1
        return content

    def _check(self, encoded: bytes) -> bytes | None:
        try:
            checked: bytes = cobs.decode(encoded)
        except cobs.DecodeError:
            return None
        content, crc = checked[:-CRC_BYTES], checked[-CRC_BYTES:]
        if len(content) != self._content_bytes or crc16.ibm_3740(content).to_bytes(CRC_BYTES, "big") != crc:
            return None
        return content
