"""Wands: docs/readers.md, "Wands"."""

import struct
from datetime import datetime
from itertools import count, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.wand import (
    MOST_BODY,
    CardRecord,
    Details,
    Frame,
    WandCounts,
    WandFrames,
    WandReader,
    WandRefused,
    details,
    records,
)
from tests.devices.vectors import Vector, read_vectors
from tests.devices.wands import RECORD, Wand

VECTORS = read_vectors("wand")


def frame(meaning: str) -> Frame:
    address, code, group, command, *data = meaning.split()
    return Frame(int(address, 16), int(code, 16), int(group, 16), int(command, 16), bytes.fromhex("".join(data)))


FRAMES = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=255),
)


@pytest.mark.proves("P1")
class TestFrames:
    @pytest.mark.parametrize("vector", VECTORS, ids=lambda one: one.meaning)
    def test_vectors_from_outside_read_and_write(self, vector: Vector) -> None:
        assert WandFrames().receive_data(vector.data) == [frame(vector.meaning)]
        assert frame(vector.meaning).encode() == vector.data

    def test_byte_by_byte_back_to_back_and_in_noise(self) -> None:
        stream = b"".join(vector.data for vector in VECTORS)
        wanted = [frame(vector.meaning) for vector in VECTORS]
        cutter = WandFrames()
        assert [one for byte in stream for one in cutter.receive_data(bytes((byte,)))] == wanted
        noisy = WandFrames()
        assert noisy.receive_data(b"\x00\xff" + stream + b"\x12" + stream) == wanted * 2
        assert noisy.counts == WandCounts(frames=6, bad_frames=0, noise_bytes=3)

    @pytest.mark.parametrize(
        "broken",
        ["01 12 34 04 01 00 4D", "01 12 34 04 01 01 4D", "01 12", "01 12 34 04 01 00 4C 7F", "01 7F 03 04 01 00 4C"],
        ids=["sum", "length", "short", "escape at the end", "escape of nothing"],
    )
    def test_a_broken_frame_costs_itself(self, broken: str) -> None:
        cutter = WandFrames()
        assert cutter.receive_data(b"\x7e" + bytes.fromhex(broken) + b"\x7e") == []
        assert cutter.receive_data(VECTORS[0].data) == [frame(VECTORS[0].meaning)]
        assert (cutter.counts.frames, cutter.counts.bad_frames) == (1, 1)

    def test_one_that_never_ends_is_noise(self) -> None:
        cutter = WandFrames()
        assert cutter.receive_data(b"\x7e" + bytes(3 * MOST_BODY)) == []
        assert cutter.receive_data(VECTORS[0].data) == [frame(VECTORS[0].meaning)]
        assert cutter.counts.noise_bytes == 3 * MOST_BODY

    @given(FRAMES)
    def test_whatever_is_written_is_read(self, one: Frame) -> None:
        assert WandFrames().receive_data(one.encode()) == [one]

    @given(st.lists(st.binary(max_size=64), max_size=8))
    def test_nothing_that_arrives_breaks_it(self, reads: list[bytes]) -> None:
        cutter = WandFrames()
        for data in reads:
            cutter.receive_data(data)
        assert cutter.receive_data(b"\x7e\x7e" + VECTORS[0].data)[-1:] == [frame(VECTORS[0].meaning)]


def said(capacity: int, written: int, read: int, *, wrapped: bool = False) -> bytes:
    return struct.pack(">IIIB", capacity, written, read, wrapped) + bytes(7)


@pytest.mark.proves("P1")
class TestStore:
    def test_a_record_of_the_description(self) -> None:
        (one,) = records(struct.pack(">II", 1, 5) + RECORD)
        assert one == CardRecord(5, 23, datetime(2026, 11, 22, 8, 30, 15), is_guard=False, card="86F444")  # noqa: DTZ001

    def test_a_clock_that_shows_no_time_is_said_and_the_card_is_kept(self) -> None:
        (one,) = records(struct.pack(">II", 1, 5) + bytes.fromhex("FFFF 1A0D16081E0F 01 86F444"))
        assert (one.at, one.is_guard, one.card, one.guard) == (None, True, "86F444", 0xFFFF)

    @pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x01", bytes(4) + bytes(15), bytes(4) + bytes(16)])
    def test_records_that_are_not_what_they_say_are_refused(self, data: bytes) -> None:
        with pytest.raises(WandRefused):
            records(data)

    @pytest.mark.parametrize("data", [b"", said(0, 0, 0), said(10, 11, 0), said(10, 0, 11), said(1 << 31, 0, 0)])
    def test_details_that_cannot_be_are_refused(self, data: bytes) -> None:
        with pytest.raises(WandRefused):
            details(data)

    @pytest.mark.parametrize(
        ("store", "unread", "overrun"),
        [
            (Details(10, 0, 0, wrapped=False), [], False),
            (Details(10, 7, 3, wrapped=False), [4, 5, 6, 7], False),
            (Details(10, 7, 7, wrapped=False), [], False),
            (Details(10, 2, 7, wrapped=False), [1, 2], False),
            (Details(10, 2, 7, wrapped=True), [8, 9, 10, 1, 2], False),
            (Details(10, 7, 7, wrapped=True), [8, 9, 10, 1, 2, 3, 4, 5, 6, 7], False),
            (Details(10, 7, 3, wrapped=True), [8, 9, 10, 1, 2, 3, 4, 5, 6, 7], True),
            (Details(10, 10, 3, wrapped=True), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], True),
        ],
    )
    def test_what_is_unread_and_whether_the_ring_came_round(
        self, store: Details, unread: list[int], *, overrun: bool
    ) -> None:
        assert [serial for some in store.unread() for serial in some] == unread
        assert store.overrun is overrun


def talk(reader: WandReader, wand: Wand, sent: bytes) -> None:
    while sent:
        sent = reader.receive_data(wand.answer(sent))


@pytest.mark.proves("P1")
class TestReading:
    def test_everything_is_read_and_only_then_may_the_wand_forget(self) -> None:
        wand, reader = Wand(1_000, 40, 3), WandReader(codes=count(0x1000))
        talk(reader, wand, reader.begin())
        assert reader.done
        assert [one.serial for one in reader.records] == [*range(4, 41)]
        assert (wand.store[2], reader.committed) == (3, False), "nothing is forgotten before somebody else holds it"
        talk(reader, wand, reader.commit())
        assert (wand.store[2], reader.committed) == (40, True)
        assert wand.asked == [0x01, 0x06, 0x06, 0x06, 0x04]
        assert reader.counts.frames == 5

    def test_serials_that_were_left_out_are_read_again(self) -> None:
        wand, reader = Wand(100, 9, 0, skips={3, 4, 8}), WandReader(codes=count(0x1000))
        talk(reader, wand, reader.begin())
        assert [one.serial for one in reader.records] == [*range(1, 10)]
        assert wand.asked.count(0x06) == 3

    def test_a_ring_that_came_round_is_read_in_order_of_time(self) -> None:
        wand, reader = Wand(10, 2, 7, wrapped=True), WandReader(codes=count(0x1000))
        talk(reader, wand, reader.begin())
        assert [one.serial for one in reader.records] == [8, 9, 10, 1, 2]

    def test_an_empty_wand_is_done_at_once(self) -> None:
        wand, reader = Wand(10, 7, 7), WandReader(codes=count(0x1000))
        assert (reader.done, reader.details) == (False, None)
        talk(reader, wand, reader.begin())
        assert (reader.done, reader.records) == (True, [])

    def test_a_reply_that_is_lost_is_asked_for_again_and_a_late_one_is_nobodys(self) -> None:
        wand, reader = Wand(10, 2, 0), WandReader(codes=count(0x1000))
        lost = wand.answer(reader.begin())
        assert reader.receive_data(Frame(1, 0x0FFF, 0x34, 0x01, said(10, 9, 0)).encode()) == b""
        asked = reader.receive_data(wand.answer(reader.again()))
        assert reader.receive_data(lost) == b""
        talk(reader, wand, asked)
        assert len(reader.records) == 2

    def test_a_wand_that_gives_nothing_of_what_was_asked_is_refused(self) -> None:
        wand, reader = Wand(10, 2, 0, skips={1, 2}), WandReader(codes=cycle((0x1000, 0x1001)))
        with pytest.raises(WandRefused) as refused:
            talk(reader, wand, reader.begin())
        assert refused.value.what == "none of the records from 1 on"
