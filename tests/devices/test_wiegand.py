"""Wiegand 26 and 34: docs/readers.md, "Wiegand"."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.readings import TagSeen
from devices.wiegand import AGAIN_NS, MOST_BITS, NUMBER_BITS, SILENCE_NS, Wiegand, WiegandCounts, WiegandText
from tests.devices.feeding import cut, feed, feed_every_way, places
from tests.devices.vectors import TextVector, read_text_vectors

MS = 1_000_000
VECTORS = read_text_vectors("wiegand.bits")
CAPTURES = [vector for vector in VECTORS if set(vector.text) <= {"0", "1"}]
FIRST, SECOND = CAPTURES[0], CAPTURES[2]


def counts(
    *,
    frames: int = 0,
    repeats: int = 0,
    zeros: int = 0,
    parity_errors: int = 0,
    wrong_lengths: int = 0,
    last_wrong_length: int = 0,
    bad_lines: int = 0,
    noise_bytes: int = 0,
) -> WiegandCounts:
    return WiegandCounts(
        frames, repeats, zeros, parity_errors, wrong_lengths, last_wrong_length, bad_lines, noise_bytes
    )


def with_parity(number: int, bits: int) -> str:
    """Worked out bit by bit, as the specification says it."""
    data = f"{number:0{bits}b}"
    front, back = data[: bits // 2], data[bits // 2 :]
    return ("1" if front.count("1") % 2 else "0") + data + ("0" if back.count("1") % 2 else "1")


numbers = st.sampled_from([24, 32]).flatmap(
    lambda bits: st.integers(1, (1 << bits) - 1).map(lambda number: (number, bits))
)


class Bench:
    """A reader's two wires and somebody who waits for their silence."""

    def __init__(self, *, reversed_octets: bool = False, bits: int | None = None) -> None:
        self.codec = Wiegand(reversed_octets=reversed_octets, bits=bits)
        self.now_ns = 1_000 * MS
        self.tags: list[str] = []

    def send(self, bits: str, *, gaps_us: Iterable[int] = ()) -> None:
        gaps = list(gaps_us) or [1_200]
        for at, bit in enumerate(bits):
            self._note(self.codec.pulse(int(bit), self.now_ns))
            self.now_ns += gaps[at % len(gaps)] * 1_000

    def rest(self, ns: int = SILENCE_NS) -> None:
        self.now_ns += ns
        self._note(self.codec.advance(self.now_ns))

    def _note(self, readings: list[TagSeen]) -> None:
        self.tags += [reading.tag for reading in readings]


def name_of(vector: TextVector) -> str:
    return vector.meaning


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", CAPTURES, ids=name_of)
@pytest.mark.parametrize("gaps_us", [[200], [1_140, 1_235, 1_200], [20_000]], ids=["fast", "measured", "slow"])
def test_captured_frames_are_read_at_any_pace(vector: TextVector, gaps_us: list[int]) -> None:
    bench = Bench()
    bench.send(vector.text, gaps_us=gaps_us)
    assert bench.tags == []
    bench.rest()
    assert bench.tags == [vector.meaning]


@pytest.mark.proves("P1")
def test_frames_back_to_back_are_told_apart_by_the_silence_between_them() -> None:
    bench = Bench()
    for vector in CAPTURES:
        bench.send(vector.text)
        bench.now_ns += SILENCE_NS  # nobody asks: the next pulse ends the frame before it
    bench.rest()
    assert bench.tags == [vector.meaning for vector in CAPTURES]
    assert bench.codec.counts == counts(frames=len(CAPTURES))


@pytest.mark.proves("P1")
@given(numbers)
def test_every_number_is_kept_whole_with_its_leading_zeros(number: tuple[int, int]) -> None:
    value, bits = number
    bench = Bench()
    bench.send(with_parity(value, bits))
    bench.rest()
    assert bench.tags == [f"{value:0{bits // 4}X}"]


@pytest.mark.proves("P1")
@given(numbers)
def test_a_reader_that_sends_octets_backwards_gives_the_same_tag_with_its_flag(number: tuple[int, int]) -> None:
    value, bits = number
    sent = int.from_bytes(value.to_bytes(bits // 8, "little"), "big")
    bench = Bench(reversed_octets=True)
    bench.send(with_parity(sent, bits))
    bench.rest()
    assert bench.tags == [f"{value:0{bits // 4}X}"]


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", CAPTURES, ids=name_of)
def test_lost_bits_never_make_another_card_of_it(vector: TextVector) -> None:
    """The first read after a start came with 29 of 34 bits; a card was once read as another by that."""
    for lost in range(1, len(vector.text)):
        bench = Bench(bits=len(vector.text))
        bench.send(vector.text[lost:])
        bench.rest()
        assert bench.tags == []
        assert bench.codec.counts == counts(wrong_lengths=1, last_wrong_length=len(vector.text) - lost)


def test_eight_lost_bits_may_look_like_26_to_whoever_was_not_told_that_this_reader_sends_34() -> None:
    """34 bits that end in 26 whose parities are right, by chance."""
    text = "10110100" + FIRST.text
    for bits, tags in ((None, [FIRST.meaning]), (34, []), (26, [FIRST.meaning])):
        bench = Bench(bits=bits)
        bench.send(text[8:])
        bench.rest()
        assert bench.tags == tags


@pytest.mark.parametrize("vector", CAPTURES, ids=name_of)
def test_one_wrong_bit_anywhere_costs_the_frame(vector: TextVector) -> None:
    for at, bit in enumerate(vector.text):
        bench = Bench()
        bench.send(vector.text[:at] + ("0" if bit == "1" else "1") + vector.text[at + 1 :])
        bench.rest()
        assert bench.tags == []
        assert bench.codec.counts == counts(parity_errors=1)


def test_a_card_that_stays_is_read_once_and_again_when_it_was_away() -> None:
    bench = Bench()
    for _ in range(5):
        bench.send(FIRST.text)
        bench.rest(AGAIN_NS - 50 * MS)
    assert bench.tags == [FIRST.meaning]
    bench.rest(AGAIN_NS)
    bench.send(FIRST.text)
    bench.rest()
    assert bench.tags == [FIRST.meaning] * 2
    assert bench.codec.counts == counts(frames=6, repeats=4)


@pytest.mark.parametrize("bits", [24, 32])
def test_the_number_zero_is_no_card(bits: int) -> None:
    bench = Bench()
    bench.send(with_parity(0, bits))
    bench.rest()
    assert bench.tags == []
    assert bench.codec.counts == counts(frames=1, zeros=1)


def test_nothing_is_due_while_both_wires_rest() -> None:
    bench = Bench()
    assert bench.codec.next_due() is None
    assert bench.codec.advance(bench.now_ns) == []
    bench.send("1")
    due_ns = bench.codec.next_due()
    assert due_ns is not None
    assert bench.codec.advance(due_ns - 1) == []
    assert bench.codec.advance(due_ns) == []
    assert bench.codec.counts == counts(wrong_lengths=1, last_wrong_length=1)
    assert bench.codec.next_due() is None


def test_a_wire_that_hums_is_one_wrong_length_and_holds_nothing() -> None:
    bench = Bench()
    bench.send("01" * 5_000)
    bench.rest()
    bench.send(SECOND.text)
    bench.rest()
    assert bench.tags == [SECOND.meaning]
    assert bench.codec.counts == counts(frames=1, wrong_lengths=1, last_wrong_length=10_000)
    assert max(NUMBER_BITS) < MOST_BITS


@given(st.lists(st.text(alphabet="01", max_size=70), max_size=8))
def test_whatever_pulses_every_frame_is_accounted_for(frames: list[str]) -> None:
    bench = Bench()
    for bits in frames:
        bench.send(bits)
        bench.rest()
    seen = bench.codec.counts
    assert seen.frames + seen.parity_errors + seen.wrong_lengths == sum(1 for bits in frames if bits)
    assert len(bench.tags) == seen.frames - seen.repeats - seen.zeros


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.meaning}-{len(vector.text)}")
@pytest.mark.parametrize("end", ["\r\n", "\n", " \r"], ids=["CR LF", "LF", "CR"])
def test_a_converters_line_is_read_however_it_arrives(vector: TextVector, end: str) -> None:
    feed_every_way(WiegandText, (vector.text + end).encode(), [TagSeen(vector.meaning)])


def test_a_converters_octets_can_be_turned_too() -> None:
    codec = WiegandText(reversed_octets=True)
    assert feed(codec, [SECOND.text.encode() + b"\n"]) == [TagSeen("6CAAF760")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Wiegand HEX = 60F7AA6C, DECIMAL = 1626843757, Type W34", counts(bad_lines=1)),
        ("RFID reader ready", counts(bad_lines=1)),
        ("Wiegand HEX = 7, DECIMAL = 7, Type W4", counts(wrong_lengths=1, last_wrong_length=4)),
        ("Wiegand HEX = 60F7AA6C, DECIMAL = 1626843756, Type W26", counts(wrong_lengths=1, last_wrong_length=26)),
        ("Wiegand HEX = 0, DECIMAL = 0, Type W26", counts(frames=1, zeros=1)),
        (FIRST.text[1:], counts(wrong_lengths=1, last_wrong_length=25)),
        ("0" * 26, counts(parity_errors=1)),
        ("1" * 81, counts(noise_bytes=81)),
    ],
)
def test_a_line_without_a_card_is_counted_by_its_reason(line: str, expected: WiegandCounts) -> None:
    codec = WiegandText()
    assert feed(codec, [line.encode() + b"\n"]) == []
    assert codec.counts == expected
    assert feed(codec, [FIRST.text.encode() + b"\n"]) == [TagSeen(FIRST.meaning)]


@given(
    st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"\n", FIRST.text.encode() + b"\n"])), max_size=12),
    places(),
)
def test_whatever_a_converter_sends_is_the_same_in_any_pieces(parts: list[bytes], where: list[int]) -> None:
    stream = b"".join(parts)
    whole, pieces = WiegandText(), WiegandText()
    assert feed(whole, [stream]) == feed(pieces, cut(stream, where))
    assert whole.counts == pieces.counts
