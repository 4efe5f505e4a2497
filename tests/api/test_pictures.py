"""What is kept of a picture: what it looks like, and nothing of where it was taken."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pictures import JPEG, PNG, WEBP, NotAPicture, bare

SECRET = b"GPSLatitude 33.3477"


def segment(marker: int, said: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(said) + 2) + said


def exif(*, orientation: int | None = 6, order: str = ">") -> bytes:
    entry = b"" if orientation is None else struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    head = {">": b"MM\0\x2a", "<": b"II\x2a\0"}[order] + struct.pack(f"{order}I", 8)
    return b"Exif\0\0" + head + struct.pack(f"{order}H", len(entry) // 12) + entry + bytes(4) + SECRET


def jpeg(*more: bytes, behind: bytes = b"") -> bytes:
    """As cameras write it: scans whose data holds stuffed octets and a restart, and what hangs behind the end."""
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    return (
        b"\xff\xd8" + b"".join(more) + segment(0xDB, bytes(65)) + segment(0xC2, bytes(9)) + scan
        + segment(0xC4, bytes(20)) + scan + b"\xff\xd9" + behind
    )  # fmt: skip


def chunk(name: bytes, said: bytes) -> bytes:
    return struct.pack(">I", len(said)) + name + said + struct.pack(">I", zlib.crc32(name + said))


def png(*more: bytes, behind: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + data + chunk(b"IEND", b"") + behind


def part(name: bytes, said: bytes) -> bytes:
    return name + struct.pack("<I", len(said)) + said + b"\0" * (len(said) % 2)


def webp(*more: bytes, flags: int = 0, behind: bytes = b"") -> bytes:
    body = b"WEBP" + part(b"VP8X", bytes([flags]) + bytes(9)) + part(b"VP8L", b"\x2f" + bytes(6)) + b"".join(more)
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


SAYS_MORE = [
    (jpeg(segment(0xE1, exif(orientation=None)), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
          segment(0xED, SECRET), segment(0xFE, SECRET), segment(0xE2, b"MPF\0" + SECRET), behind=SECRET), jpeg()),
    (png(chunk(b"eXIf", SECRET), chunk(b"tEXt", SECRET), chunk(b"zTXt", SECRET), chunk(b"iTXt", SECRET),
         chunk(b"tIME", bytes(7)), chunk(b"prVt", SECRET), behind=SECRET), png()),
    (webp(part(b"EXIF", SECRET), part(b"XMP ", SECRET), part(b"ODD ", SECRET + b"x"), flags=0x1C, behind=SECRET),
     webp(flags=0x10)),
]  # fmt: skip


@pytest.mark.proves("P11", "N16")
@pytest.mark.parametrize(("content", "picture"), SAYS_MORE)
def test_nothing_of_where_and_when_is_left_and_the_picture_is_the_same(content: bytes, picture: bytes) -> None:
    kind, kept = bare(content)
    assert kept == picture
    assert SECRET not in kept
    assert bare(kept) == (kind, kept)
    assert kind in {JPEG, PNG, WEBP}


@pytest.mark.parametrize("order", ["<", ">"])
def test_which_way_up_stays(order: str) -> None:
    _, kept = bare(jpeg(segment(0xE1, exif(orientation=8, order=order))))
    assert SECRET not in kept
    assert struct.pack(">HHIH", 0x0112, 3, 1, 8) in kept
    assert bare(kept)[1] == kept


def test_colour_stays_and_a_thumbnail_goes() -> None:
    colour = segment(0xE2, b"ICC_PROFILE\0\x01\x01profile")
    adobe = segment(0xEE, b"Adobe\0d\0\0\0\0\x01")
    thumbnail = segment(0xE0, b"JFIF\0\x01\x02\x01\0\x48\0\x48\x01\x01" + SECRET)
    plain = segment(0xE0, b"JFIF\0\x01\x02\x01\0\x48\0\x48\0\0")
    assert bare(jpeg(thumbnail, colour, adobe))[1] == jpeg(plain, colour, adobe)


@pytest.mark.parametrize("whole", [jpeg(), png(), webp()])
def test_what_is_cut_off_anywhere_is_no_picture(whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(NotAPicture):
            bare(whole[:length])


@given(st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"%PDF-1.7",
                        b"<svg onload=alert(1)>"]), st.binary(max_size=200))  # fmt: skip
def test_whatever_comes_it_is_a_picture_or_refused(begins: bytes, more: bytes) -> None:
    try:
        _, kept = bare(begins + more)
    except NotAPicture:
        return
    assert bare(kept)[1] == kept
