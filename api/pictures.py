"""Pictures without what they tell beside the picture: pure, and by the containers alone.

Theory. A phone writes into a picture where it was taken, when, and with which phone. A picture is read as the chain of
parts that its format is, and written anew of those parts that make it look as it does; whatever else is in it (Exif,
XMP, IPTC, comments, thumbnails, what was hung on behind the end) does not go along. Nothing is decoded, so no picture
loses quality, and no library sees what strangers send. Of Exif one number stays: which way up. What does not read as
such a chain to its end is no picture.
"""

from collections.abc import Iterator
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
WEBP: Final = "image/webp"

_PNG_BEGINS: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"bKGD", b"pHYs"}
)
_WEBP_KEPT: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP"})
_WEBP_SAYS_MORE: Final = 0x08 | 0x04
"""Flags of VP8X: there is Exif, there is XMP."""

_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length: TEM, and restarts inside the picture's data."""
_EXIF: Final = b"Exif\0\0"
_ICC: Final = b"ICC_PROFILE\0"
_ORIENTATION: Final = 0x0112


class NotAPicture(Exception):
    """It is no JPEG, PNG or WebP that reads to its end."""


def bare(content: bytes) -> tuple[str, bytes]:
    """The type of a picture by its content, and the picture alone. Raises NotAPicture."""
    try:
        if content.startswith(b"\xff\xd8"):
            return JPEG, b"".join(_jpeg(content))
        if content.startswith(_PNG_BEGINS):
            return PNG, _PNG_BEGINS + b"".join(_png(content))
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return WEBP, _webp(content)
    except IndexError:
        pass
    raise NotAPicture


def _jpeg(content: bytes) -> Iterator[bytes]:
    yield content[:2]
    at, seen = 2, False
    while True:
        if content[at] != 0xFF:
            raise NotAPicture
        while content[at + 1] == 0xFF:  # padding
            at += 1
        marker = content[at + 1]
        if marker == _EOI:
            if not seen:
                raise NotAPicture
            yield b"\xff\xd9"
            return
        if marker in _ALONE:
            yield content[at : at + 2]
            at += 2
            continue
        length = _big(content, at + 2, 2)
        segment = content[at : at + 2 + length]
        # 00 is no marker: padding inside of a scan's data, which programs read differently
        if length < 2 or len(segment) != 2 + length or marker in {0x00, _SOI}:
            raise NotAPicture
        yield _jpeg_segment(marker, segment)
        at += 2 + length
        if marker == _SOS:
            seen, begin = True, at
            at = _data_ends(content, at)
            yield content[begin:at]


def _jpeg_segment(marker: int, segment: bytes) -> bytes:
    """The segment, or nothing where it says more than the picture."""
    said = segment[4:]
    if marker == _APP1 and said.startswith(_EXIF):
        turned = _orientation(said[len(_EXIF) :])
        return b"" if turned is None else _exif(turned)
    if marker == _APP0:
        # version, density; a thumbnail shows what a crop left out
        return b"\xff\xe0\x00\x10" + said[:12] + b"\0\0" if said.startswith(b"JFIF\0") and len(said) >= 14 else b""
    if marker == _APP2:
        return segment if said.startswith(_ICC) else b""
    if marker == _APP14:
        return segment if said.startswith(b"Adobe") else b""
    return b"" if marker == _COM or _APP0 <= marker <= 0xEF else segment


def _data_ends(content: bytes, at: int) -> int:
    """Where the next marker after a scan's data begins."""
    while True:
        at = content.find(b"\xff", at)
        if at < 0:
            raise NotAPicture
        following = content[at + 1]
        if following != 0 and following not in _ALONE:
            return at
        at += 2


def _orientation(tiff: bytes) -> int | None:
    """Which way up, 1 to 8, by the first directory of an Exif block; None where it does not say."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None

    def number(at: int, octets: int) -> int:
        return int.from_bytes(tiff[at : at + octets], "little" if order == "little" else "big")

    directory = number(4, 4)
    for entry in range(min(number(directory, 2), 64)):
        at = directory + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION and number(at + 2, 2) == 3 and 1 <= number(at + 8, 2) <= 8:
            return number(at + 8, 2)
    return None


def _exif(orientation: int) -> bytes:
    """An Exif segment with nothing but the orientation in it."""
    tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation]) + bytes(6)
    said = _EXIF + tiff
    return b"\xff\xe1" + (len(said) + 2).to_bytes(2, "big") + said


def _png(content: bytes) -> Iterator[bytes]:
    at, first = len(_PNG_BEGINS), True
    while True:
        length, name = _big(content, at, 4), content[at + 4 : at + 8]
        chunk = content[at : at + 12 + length]
        if len(chunk) != 12 + length or first is not (name == b"IHDR"):
            raise NotAPicture
        if name in _PNG_KEPT:
            yield chunk
        if name == b"IEND":
            return
        at, first = at + len(chunk), False


def _webp(content: bytes) -> bytes:
    end = 8 + int.from_bytes(content[4:8], "little")
    if end > len(content):
        raise NotAPicture
    kept, at = [], 12
    while at < end:
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        whole = 8 + length + length % 2
        chunk = content[at : at + whole]
        if len(name) < 4 or at + whole > end:
            raise NotAPicture
        if name == b"VP8X" and length >= 10:
            chunk = chunk[:8] + bytes([chunk[8] & ~_WEBP_SAYS_MORE]) + chunk[9:]
        if name in _WEBP_KEPT:
            kept.append(chunk)
        at += whole
    if not {chunk[:4] for chunk in kept} & {b"VP8 ", b"VP8L"}:  # nothing that is shown; moving pictures are none
        raise NotAPicture
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _big(content: bytes, at: int, octets: int) -> int:
    if at + octets > len(content):
        raise NotAPicture
    return int.from_bytes(content[at : at + octets], "big")
