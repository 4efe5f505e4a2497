"""Frames on a line: docs/link.md, "Frame"."""

import pytest
from cobs import cobs  # type: ignore[import-untyped,unused-ignore] # cobs carries no types
from fastcrc import crc16
from hypothesis import given
from hypothesis import strategies as st

from devices.framing import CRC_BYTES, Deframer, FramingCounts, enclose
from tests.devices.feeding import cut, feed_every_way, places, single_bytes
from tests.devices.vectors import Vector, read_vectors

SIZE = 31
CONTENT = bytes(range(SIZE))
FRAME = enclose(CONTENT)
MOST_HELD = SIZE + CRC_BYTES + 1


class Timeless:
    """A deframer as the feeding helpers want it: it has no use for the time."""

    def __init__(self) -> None:
        self.deframer = Deframer(SIZE)

    def receive_data(self, data: bytes, _now_ns: int) -> list[bytes]:
        return self.deframer.receive_data(data)


@pytest.mark.parametrize("vector", read_vectors("cobs"), ids=lambda vector: vector.meaning)
def test_stuffing_is_that_of_the_paper(vector: Vector) -> None:
    plain = bytes.fromhex(vector.meaning)
    assert cobs.encode(plain) == vector.data
    assert cobs.decode(vector.data) == plain


def test_the_check_sum_has_the_published_check_value() -> None:
    [vector] = read_vectors("crc16")
    assert crc16.ibm_3740(bytes.fromhex(vector.meaning)).to_bytes(CRC_BYTES, "big") == vector.data


def test_a_frame_has_a_delimiter_at_each_end_and_none_inside() -> None:
    assert FRAME[:1] == FRAME[-1:] == b"\x00"
    assert b"\x00" not in FRAME[1:-1]
    assert len(FRAME) == SIZE + CRC_BYTES + 3


def test_a_frame_is_read_however_it_is_delivered() -> None:
    feed_every_way(Timeless, FRAME, [CONTENT], again=[CONTENT])


def test_frames_may_share_a_delimiter() -> None:
    assert Deframer(SIZE).receive_data(FRAME + FRAME[1:]) == [CONTENT, CONTENT]


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_any_content_comes_back(content: bytes) -> None:
    assert Deframer(SIZE).receive_data(enclose(content)) == [content]


@given(st.binary(max_size=200), places())
def test_garbage_never_raises_and_never_costs_the_next_frame(garbage: bytes, where: list[int]) -> None:
    deframer = Deframer(SIZE)
    for piece in cut(garbage, where):
        deframer.receive_data(piece)
    assert deframer.receive_data(FRAME)[-1] == CONTENT


@given(st.lists(st.sampled_from([FRAME, FRAME[:-3], b"\x00", b"\x05ab\x00", bytes([9] * 80)])), places())
def test_how_a_stream_is_cut_makes_no_difference(parts: list[bytes], where: list[int]) -> None:
    stream = b"".join(parts)
    whole, pieces = Deframer(SIZE), Deframer(SIZE)
    wanted = whole.receive_data(stream)
    assert [content for piece in cut(stream, where) for content in pieces.receive_data(piece)] == wanted
    assert pieces.counts == whole.counts
    assert pieces.inside_frame == whole.inside_frame


@pytest.mark.proves("N9", "F36")
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(enclose(CONTENT[:-1]), id="too short"),
        pytest.param(enclose(CONTENT + b"\x01"), id="one byte too long"),
        pytest.param(enclose(CONTENT * 20), id="far too long"),
        pytest.param(FRAME[:5] + bytes([FRAME[5] ^ 0x10]) + FRAME[6:], id="one bit turned"),
        pytest.param(b"\x00\x09ab\x00", id="no byte stuffing"),
        pytest.param(b"\x00\x01\x00", id="nothing inside"),
    ],
)
def test_what_is_no_frame_costs_itself_and_is_counted(bad: bytes) -> None:
    deframer = Deframer(SIZE)
    assert deframer.receive_data(FRAME + bad + FRAME) == [CONTENT, CONTENT]
    assert deframer.counts == FramingCounts(bytes=2 * len(FRAME) + len(bad), frames=2, bad=1)


def test_every_turned_bit_is_noticed() -> None:
    """The check sum finds each single error; a delimiter that appears or vanishes breaks the length."""
    for place in range(1, len(FRAME) - 1):
        for bit in range(8):
            broken = bytearray(FRAME)
            broken[place] ^= 1 << bit
            assert Deframer(SIZE).receive_data(bytes(broken)) == []


def test_an_endless_run_is_not_kept() -> None:
    deframer = Deframer(SIZE)
    for _ in range(1_000):
        deframer.receive_data(bytes([7] * 1_000))
        assert len(deframer._partial) <= MOST_HELD
    assert deframer.receive_data(b"\x00" + FRAME) == [CONTENT]
    assert deframer.counts.bad == 1


def test_somebody_is_sending_from_the_first_byte_behind_a_delimiter_to_the_next_one() -> None:
    deframer = Deframer(SIZE)
    inside = []
    for byte in single_bytes(FRAME):
        deframer.receive_data(byte)
        inside.append(deframer.inside_frame)
    assert inside == [False, *[True] * (len(FRAME) - 2), False]


def test_an_oversize_run_counts_as_somebody_sending() -> None:
    deframer = Deframer(SIZE)
    deframer.receive_data(bytes([7] * 100))
    assert deframer.inside_frame
    deframer.receive_data(b"\x00")
    assert not deframer.inside_frame
