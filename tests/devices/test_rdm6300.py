"""RDM6300 readers: docs/readers.md, "RDM6300"."""

from collections.abc import Callable, Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cutting import ShapeCutter
from devices.rdm6300 import GONE_NS, MOST_TAGS, Rdm6300, Rdm6300Counts
from devices.readings import TagSeen
from tests.devices.feeding import cut, feed, feed_every_way, places
from tests.devices.vectors import Vector, read_vectors

TAGS = read_vectors("rdm6300")
GHOSTS = read_vectors("rdm6300-ghosts")
FIRST, SECOND = TAGS[0].data, TAGS[1].data
FIRST_SEEN, SECOND_SEEN = TagSeen(TAGS[0].meaning), TagSeen(TAGS[1].meaning)


Variant = Callable[[str], bytes]


class Anybody:
    """Every tag is known."""

    def __contains__(self, tag: object) -> bool:
        return True


def reader(known: Container[str] = Anybody()) -> Rdm6300:
    return Rdm6300(known)


def counts(
    *, frames: int = 0, repeats: int = 0, ghosts: int = 0, checksum_errors: int = 0, noise_bytes: int = 0
) -> Rdm6300Counts:
    return Rdm6300Counts(frames, repeats, ghosts, checksum_errors, noise_bytes)


def checksum(digits: str) -> int:
    value = 0
    for byte in bytes.fromhex(digits):
        value ^= byte
    return value


def text_sum(digits: str) -> bytes:
    return b"\x02%s%02X\x03" % (digits.encode(), checksum(digits))


def raw_sum(digits: str) -> bytes:
    return b"\x02%s%c\x03" % (digits.encode(), checksum(digits))


def text_sum_crlf(digits: str) -> bytes:
    return b"\x02%s%02X\r\n\x03" % (digits.encode(), checksum(digits))


VARIANTS = pytest.mark.parametrize("variant", [text_sum, raw_sum, text_sum_crlf])
tags = st.binary(min_size=5, max_size=5).filter(any).map(lambda number: number.hex().upper())
frames = st.builds(lambda variant, tag: variant(tag), st.sampled_from([text_sum, raw_sum, text_sum_crlf]), tags)


def name_of(vector: Vector) -> str:
    return vector.meaning


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", TAGS, ids=name_of)
def test_captured_tags_are_read_however_they_arrive(vector: Vector) -> None:
    feed_every_way(reader, vector.data, [TagSeen(vector.meaning)])
    feed_every_way(lambda: reader(known=()), vector.data * 2, [TagSeen(vector.meaning)])


@pytest.mark.proves("P1")
def test_all_captured_tags_in_a_row_are_read_in_order() -> None:
    feed_every_way(reader, b"".join(vector.data for vector in TAGS), [TagSeen(vector.meaning) for vector in TAGS])


@pytest.mark.proves("P1")
@given(st.lists(frames, max_size=8), places())
def test_any_mix_of_variants_is_read_the_same_in_any_pieces(stream: list[bytes], where: list[int]) -> None:
    whole, pieces = reader(), reader()
    assert feed(whole, [b"".join(stream)]) == feed(pieces, cut(b"".join(stream), where))
    assert whole.counts == pieces.counts == counts(frames=len(stream), repeats=whole.counts.repeats)


@pytest.mark.parametrize("digits", ["0000000002", "0000000003", "000000000D", "000000000A", "0000000041", "00000000FF"])
@VARIANTS
def test_a_checksum_may_look_like_any_part_of_a_frame(variant: Variant, digits: str) -> None:
    """The raw byte of the 13-byte variant is STX, ETX, CR, LF, a digit."""
    feed_every_way(reader, variant(digits), [TagSeen(digits)])


def test_digits_in_lower_case_are_the_same_tag() -> None:
    assert feed(reader(), [TAGS[0].data.lower()]) == [FIRST_SEEN]


@pytest.mark.proves("P1")
def test_a_tag_held_to_the_reader_is_read_once() -> None:
    codec = reader()
    readings = [codec.receive_data(FIRST, repeat * 65_000_000) for repeat in range(100)]
    assert readings[0] == [FIRST_SEEN]
    assert not any(readings[1:])
    assert codec.counts == counts(frames=100, repeats=99)


@pytest.mark.proves("P1")
def test_a_tag_that_left_and_came_back_is_read_again() -> None:
    codec = reader()
    assert codec.receive_data(FIRST, 0) == [FIRST_SEEN]
    assert codec.receive_data(FIRST, GONE_NS) == []
    assert codec.receive_data(FIRST, 2 * GONE_NS) == []
    assert codec.receive_data(FIRST, 3 * GONE_NS + 1) == [FIRST_SEEN]


def test_two_tags_held_together_are_each_read_once() -> None:
    assert feed(reader(), [FIRST, SECOND] * 20) == [FIRST_SEEN, SECOND_SEEN]


def test_an_unknown_tag_waits_for_its_second_frame() -> None:
    codec = reader(known=())
    assert codec.receive_data(FIRST, 0) == []
    assert codec.receive_data(FIRST, GONE_NS) == [FIRST_SEEN]
    assert codec.receive_data(FIRST, 2 * GONE_NS) == []
    assert codec.counts == counts(frames=3, repeats=1)


def test_a_ghost_between_the_two_frames_of_an_unknown_tag_does_no_harm() -> None:
    assert feed(reader(known=()), [FIRST, GHOSTS[0].data, FIRST]) == [FIRST_SEEN]


def test_a_second_frame_that_comes_too_late_is_a_first_one() -> None:
    codec = reader(known=())
    assert codec.receive_data(FIRST, 0) == []
    assert codec.receive_data(FIRST, GONE_NS + 1) == []
    assert codec.counts == counts(frames=2, ghosts=1)


def test_a_tag_enrolled_between_two_frames_is_read_once() -> None:
    known: set[str] = set()
    codec = reader(known)
    assert codec.receive_data(FIRST, 0) == []
    known.add(FIRST_SEEN.tag)
    assert codec.receive_data(FIRST, 1) == [FIRST_SEEN]
    assert codec.receive_data(b"", 2 * GONE_NS) == []
    assert codec.counts == counts(frames=2)


@pytest.mark.parametrize("ghost", GHOSTS, ids=name_of)
def test_a_ghost_of_an_idle_reader_is_counted_and_not_read(ghost: Vector) -> None:
    codec = reader(known=())
    assert codec.receive_data(ghost.data, 0) == []
    assert codec.receive_data(b"", GONE_NS + 1) == []
    assert codec.counts == counts(frames=1, ghosts=1)


@VARIANTS
def test_an_all_zero_tag_is_a_ghost_however_often_it_comes(variant: Variant) -> None:
    codec = reader()
    assert feed(codec, [variant("0000000000")] * 5) == []
    assert codec.counts == counts(frames=5, ghosts=5)


@VARIANTS
@given(tag=tags, flaw=st.integers(1, 255))
def test_a_wrong_checksum_costs_that_frame_and_no_other(variant: Variant, tag: str, flaw: int) -> None:
    frame = bytearray(variant(tag))
    if variant is raw_sum:
        frame[11] ^= flaw
    else:
        frame[11:13] = b"%02X" % (checksum(tag) ^ flaw)
    codec = reader()
    assert feed(codec, [FIRST + frame + SECOND]) == [FIRST_SEEN, SECOND_SEEN]
    assert codec.counts == counts(frames=2, checksum_errors=1)


@VARIANTS
def test_a_frame_cut_short_anywhere_costs_only_itself(variant: Variant) -> None:
    frame = variant(TAGS[2].meaning)
    for length in range(len(frame)):
        codec = reader()
        assert feed(codec, [frame[:length] + FIRST + SECOND]) == [FIRST_SEEN, SECOND_SEEN], frame[:length]
        assert codec.counts == counts(frames=2, noise_bytes=length)


@VARIANTS
def test_a_byte_lost_anywhere_costs_only_that_frame(variant: Variant) -> None:
    frame = variant(TAGS[2].meaning)
    for lost in range(len(frame)):
        codec = reader()
        assert feed(codec, [frame[:lost] + frame[lost + 1 :] + FIRST + SECOND]) == [FIRST_SEEN, SECOND_SEEN]


@given(st.lists(st.one_of(st.binary(max_size=30), frames), max_size=12), places())
def test_whatever_arrives_every_byte_is_accounted_for(parts: list[bytes], where: list[int]) -> None:
    """In particular nothing raises, and what is fed in pieces ends the same."""
    stream = b"".join(parts)
    whole, pieces = reader(), reader()
    assert feed(whole, [stream]) == feed(pieces, cut(stream, where))
    assert whole.counts == pieces.counts
    assert whole.counts.noise_bytes <= len(stream)


@given(st.lists(st.binary(max_size=30), max_size=12), tags)
def test_an_intact_frame_is_read_whatever_stood_before(parts: list[bytes], tag: str) -> None:
    """No variant has room for an STX followed by a digit, so rubbish never swallows the beginning of a frame."""
    assert feed(reader(known={tag}), [*parts, text_sum(tag)])[-1:] == [TagSeen(tag)]


def test_the_reader_holds_no_more_than_a_frame_and_a_few_tags() -> None:
    codec = reader(known=())
    codec.receive_data(b"\x02" * 10_000, 0)
    codec.receive_data(b"".join(text_sum(f"{number:010X}") for number in range(1, 1_001)), 0)
    assert codec.counts == counts(frames=1_000, ghosts=1_000 - MOST_TAGS, noise_bytes=10_000)


class TestShapeCutter:
    def test_a_frame_that_begins_inside_a_broken_one_is_found(self) -> None:
        cutter = ShapeCutter((b"A", b"A", b"B", b"C"), (b"A", b"X"))
        assert cutter.receive_data(b"AABAX" + b"AAX" + b"AAABC") == [b"AX", b"AX", b"AABC"]
        assert cutter.noise_bytes == 3 + 1 + 1

    def test_forgetting_gives_up_what_is_unfinished(self) -> None:
        cutter = ShapeCutter((b"A", b"B"))
        assert cutter.receive_data(b"A") == []
        cutter.forget()
        assert cutter.receive_data(b"BAB") == [b"AB"]
        assert cutter.noise_bytes == 2

    @given(st.text(alphabet="ABCX", max_size=60), st.integers(0, 60))
    def test_every_byte_is_in_a_frame_or_noise(self, text: str, place: int) -> None:
        stream = text.encode()
        cutter = ShapeCutter((b"A", b"ABC", b"C"), (b"A", b"X"))
        framed = sum(len(frame) for piece in cut(stream, [place]) for frame in cutter.receive_data(piece))
        cutter.forget()
        assert framed + cutter.noise_bytes == len(stream)
