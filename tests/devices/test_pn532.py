"""The PN532 on a UART: docs/readers.md, "PN532"."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.pn532 import (
    ANSWER_NS,
    GET_FIRMWARE,
    GONE_NS,
    LIMIT_RETRIES,
    LIST_TARGETS,
    MEMORY_NS,
    POLL_NS,
    REST_NS,
    SAM_CONFIGURATION,
    WAKE,
    Pn532,
    Pn532Frames,
    Said,
    command,
    read_pages,
)
from devices.readings import TagRefused, TagSeen
from tests.devices.feeding import START_NS, cut, feed_every_way, places
from tests.devices.vectors import Vector, read_vectors

VECTORS = read_vectors("pn532")
COMMANDS = {vector.meaning: vector.data for vector in read_vectors("pn532-commands")}
ACK, NACK, SYNTAX, SAM, FIRMWARE, SHORT, LONG, SLIP = (vector.data for vector in VECTORS)
LISTED, *PAGES, REFUSED = (vector.data for vector in read_vectors("pn532-memory"))
"""One card that was read: its listing, then pages 0, 4, 8 and 12; and an answer that is an error."""
BADGE, ADDRESS = "04A035B2BC2B80", "https://qconsf.com/?id=3566"
RETRIES_DONE = bytes.fromhex("0000FF02FED5 33 F8 00")
"""Reply to RFConfiguration, by the rule of every reply: the command's code plus one, nothing else."""
NONE_THERE = bytes.fromhex("0000FF03FDD5 4B 00 E0 00")
WORDS: dict[str, list[Said | bytes]] = {"ACK": [Said.TAKEN], "NACK": [Said.AGAIN], "nothing": []}


class Framing:
    """The framing alone, as the feeder wants it."""

    def __init__(self) -> None:
        self.frames = Pn532Frames()

    def receive_data(self, data: bytes, now_ns: int) -> list[Said | bytes]:
        del now_ns
        return self.frames.receive_data(data)


def meaning(vector: Vector) -> list[Said | bytes]:
    return WORDS[vector.meaning] if vector.meaning in WORDS else [bytes.fromhex(vector.meaning)]


def reply(body: bytes) -> bytes:
    data = b"\xd5" + body
    return b"\x00\x00\xff" + bytes([len(data), -len(data) % 256]) + data + bytes([-sum(data) % 256, 0])


def card(uid: str, *, atqa: str = "0004", sak: str = "08") -> bytes:
    octets = bytes.fromhex(uid)
    return reply(b"\x4b\x01\x01" + bytes.fromhex(atqa + sak) + bytes([len(octets)]) + octets)


class Bench:
    """A chip's driver, and the chip's side of the talk."""

    def __init__(self) -> None:
        self.chip = Pn532()
        self.now_ns = START_NS
        self.chip.start(self.now_ns)
        self.readings: list[TagSeen | TagRefused] = []

    def answer(self, data: bytes) -> None:
        self.readings += self.chip.receive_data(data, self.now_ns)

    def wait(self, ns: int) -> None:
        self.now_ns += ns
        self.readings += self.chip.advance(self.now_ns)

    def alive(self) -> bool:
        return self.chip.answers

    def wake(self) -> "Bench":
        for data in (SAM, FIRMWARE, RETRIES_DONE):
            self.chip.data_to_send()
            self.answer(ACK + data)
        assert self.chip.data_to_send() == COMMANDS["list"]
        return self

    def poll(self, data: bytes) -> None:
        self.answer(ACK + data)
        self.wait(POLL_NS)
        assert self.chip.data_to_send() == COMMANDS["list"]


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.meaning)
def test_captured_frames_are_cut_however_they_arrive(vector: Vector) -> None:
    feed_every_way(Framing, vector.data, meaning(vector), again=meaning(vector))


@pytest.mark.proves("P1")
def test_an_acknowledgement_and_its_reply_come_in_one_read() -> None:
    whole = [Said.TAKEN, bytes.fromhex("D50332010607")]
    feed_every_way(Framing, ACK + FIRMWARE, whole, again=whole)
    everything = [frame for vector in VECTORS for frame in meaning(vector)]
    feed_every_way(Framing, b"".join(vector.data for vector in VECTORS), everything, again=everything)


def test_a_long_frame_is_cut_as_well() -> None:
    body = b"\xd5\x41" + bytes(range(198)) + b"\x00\xff" * 10
    frame = b"\x00\x00\xff\xff\xff" + len(body).to_bytes(2, "big")
    frame += bytes([-sum(len(body).to_bytes(2, "big")) % 256]) + body + bytes([-sum(body) % 256, 0])
    feed_every_way(Framing, frame, [body], again=[body])


@pytest.mark.parametrize("head", ["00FFFFFF010A00", "00FFFFFF000000", "00FF0000", "00FF02FD", "00FFFFFF0001FE"])
def test_a_head_that_cannot_be_is_noise_and_hides_nothing(head: str) -> None:
    framing = Pn532Frames()
    assert framing.receive_data(bytes.fromhex(head) + SAM) == [b"\xd5\x15"]
    assert framing.noise_bytes


def test_a_wrong_checksum_costs_that_frame_and_no_other() -> None:
    framing = Pn532Frames()
    assert framing.receive_data(SLIP + FIRMWARE) == [bytes.fromhex("D50332010607")]
    assert framing.checksum_errors == 1
    assert framing.frames == 1


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([v.data for v in VECTORS])), max_size=10), places())
def test_whatever_arrives_is_the_same_in_any_pieces(parts: list[bytes], where: list[int]) -> None:
    stream = b"".join(parts)
    whole, pieces = Pn532Frames(), Pn532Frames()
    found = [frame for piece in cut(stream, where) for frame in pieces.receive_data(piece)]
    assert whole.receive_data(stream) == found
    for framing in (whole, pieces):
        framing.forget()
    assert (whole.frames, whole.checksum_errors) == (pieces.frames, pieces.checksum_errors)
    assert whole.noise_bytes == pieces.noise_bytes <= len(stream)


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_after_a_pause_an_intact_frame_is_read_whatever_stood_before(parts: list[bytes]) -> None:
    framing = Pn532Frames()
    for part in parts:
        framing.receive_data(part)
    framing.forget()
    assert framing.receive_data(LONG) == [bytes.fromhex("D54B01010044000704416D412B0289")]


@pytest.mark.proves("P1")
def test_what_is_written_is_what_published_captures_write() -> None:
    assert WAKE + command(SAM_CONFIGURATION) == COMMANDS["wake"]
    assert command(GET_FIRMWARE) == COMMANDS["firmware"]
    assert command(LIST_TARGETS) == COMMANDS["list"]
    assert command(b"\x32\x05\xff\xff\xff") == COMMANDS["retries for ever"]


@pytest.mark.proves("P1")
def test_the_chip_is_woken_and_asked_step_by_step() -> None:
    bench = Bench()
    assert bench.chip.data_to_send() == COMMANDS["wake"]
    assert bench.chip.data_to_send() == b""
    assert not bench.alive()
    bench.answer(ACK)
    assert bench.chip.data_to_send() == b""
    bench.answer(SAM)
    assert bench.chip.data_to_send() == COMMANDS["firmware"]
    bench.answer(ACK + FIRMWARE)
    assert bench.chip.firmware == "1.6"
    assert bench.chip.data_to_send() == command(LIMIT_RETRIES)
    bench.answer(RETRIES_DONE)  # without its ACK, which the wire lost
    assert bench.chip.data_to_send() == COMMANDS["list"]
    assert bench.alive()
    assert bench.chip.counts.restarts == 1


@pytest.mark.proves("P1")
@pytest.mark.parametrize(
    ("frame", "tag"),
    [(SHORT, "CB98A605"), (LONG, "04416D412B0289"), (card("04112233445566778899"), "04112233445566778899")],
    ids=["4 bytes", "7 bytes", "10 bytes"],
)
@pytest.mark.parametrize("split", [lambda data: [data], lambda data: [bytes([byte]) for byte in data]])
def test_a_card_is_read_whole_or_byte_by_byte(frame: bytes, tag: str, split: Callable[[bytes], list[bytes]]) -> None:
    bench = Bench().wake()
    for part in split(ACK + frame):
        bench.answer(part)
    if frame is LONG:  # of a type 2 tag: it is read, and this one cannot be
        assert bench.chip.data_to_send() == command(read_pages(0))
        bench.answer(ACK + REFUSED)
    assert bench.readings == [TagSeen(tag)]


@pytest.mark.proves("P1")
def test_a_card_that_stays_is_read_once_and_again_when_it_was_away() -> None:
    bench = Bench().wake()
    for _ in range(10):
        bench.poll(SHORT)
    assert bench.readings == [TagSeen("CB98A605")]
    for _ in range(GONE_NS // POLL_NS + 1):
        bench.poll(NONE_THERE)
    bench.poll(SHORT)
    assert bench.readings == [TagSeen("CB98A605")] * 2
    assert bench.chip.counts.reads == 11
    assert bench.chip.counts.repeats == 9


@pytest.mark.proves("P1")
def test_a_random_number_is_refused_once_and_never_a_tag() -> None:
    """A phone gives a new one at each poll."""
    bench = Bench().wake()
    for number in range(5):
        bench.poll(card(f"08{number:06X}"))
    bench.poll(card("08112233445566"))
    assert bench.readings == [TagRefused(), TagSeen("08112233445566")]
    assert bench.chip.counts.random_ids == 5


@pytest.mark.parametrize("uid", ["", "04", "0411223344", "00000000", "88041219"])
def test_what_has_no_number_of_its_own_is_counted(uid: str) -> None:
    bench = Bench().wake()
    bench.poll(card(uid))
    assert bench.readings == []
    assert bench.chip.counts.bad_ids == 1


@pytest.mark.parametrize("body", ["4B01", "4B0101000408", "4B010100040804CB98A6"])
def test_an_answer_cut_short_is_no_card(body: str) -> None:
    bench = Bench().wake()
    bench.poll(reply(bytes.fromhex(body)))
    assert bench.readings == []
    assert bench.chip.counts.bad_ids == 1


def test_an_answer_to_another_question_is_passed_over() -> None:
    bench = Bench().wake()
    for data in (FIRMWARE, reply(b""), b"\x00\x00\xff\x02\xfe\xd4\x4b\xe1\x00"):
        bench.answer(data)
    assert bench.chip.data_to_send() == b""
    bench.poll(SHORT)
    bench.chip.data_to_send()
    assert bench.readings == [TagSeen("CB98A605")]


def test_a_reply_that_nobody_waits_for_changes_nothing() -> None:
    bench = Bench().wake()
    bench.answer(SHORT)
    bench.answer(LONG + NACK + PAGES[0])
    assert bench.readings == [TagSeen("CB98A605")]
    assert bench.chip.data_to_send() == b""


def test_a_firmware_reply_that_is_too_short_names_no_version() -> None:
    bench = Bench()
    bench.answer(SAM)
    bench.answer(reply(b"\x03\x32"))
    assert bench.chip.firmware is None


def test_what_the_chip_did_not_understand_is_said_again() -> None:
    bench = Bench().wake()
    bench.answer(NACK)
    assert bench.chip.data_to_send() == COMMANDS["list"]


@pytest.mark.proves("P1")
def test_a_chip_that_falls_silent_is_woken_again_and_says_so() -> None:
    bench = Bench().wake()
    bench.wait(ANSWER_NS - 1)
    assert bench.alive()
    bench.wait(1)
    assert not bench.alive()
    assert bench.chip.data_to_send() == b""
    bench.wait(REST_NS)
    assert bench.chip.data_to_send() == COMMANDS["wake"]
    bench.wake().poll(SHORT)
    assert bench.readings == [TagSeen("CB98A605")]


def test_a_chip_that_never_answers_is_woken_over_and_over() -> None:
    bench = Bench()
    for woken in range(1, 6):
        assert bench.chip.data_to_send() == COMMANDS["wake"]
        assert bench.chip.counts.restarts == woken
        bench.wait(ANSWER_NS)


def test_a_chip_that_says_it_did_not_understand_is_woken_again() -> None:
    bench = Bench().wake()
    bench.answer(ACK + SYNTAX)
    assert not bench.alive()
    bench.wait(REST_NS)
    assert bench.chip.data_to_send() == COMMANDS["wake"]


def test_half_a_frame_does_not_outlive_a_new_start() -> None:
    bench = Bench().wake()
    bench.answer(LONG[:9])
    bench.chip.start(bench.now_ns)
    bench.wake().poll(SHORT)
    assert bench.readings == [TagSeen("CB98A605")]


def test_nothing_is_due_before_the_port_is_open() -> None:
    chip = Pn532()
    assert chip.next_due() is None
    chip.advance(START_NS)
    assert chip.receive_data(SHORT, START_NS) == []
    assert chip.data_to_send() == b""


def read_memory(bench: Bench, *answers: bytes) -> list[bytes]:
    """Answer LISTED, then each question with the next of these, until none is put. Returns the questions."""
    asked = []
    bench.answer(ACK + LISTED)
    for answer in answers:
        asked.append(bench.chip.data_to_send())
        bench.answer(ACK + answer)
    return asked


@pytest.mark.proves("P1")
@pytest.mark.parametrize("split", [lambda data: [data], lambda data: [bytes([byte]) for byte in data]])
def test_what_is_written_on_a_card_is_read_from_a_published_capture(split: Callable[[bytes], list[bytes]]) -> None:
    """As far as its message reaches and no further: the capture went on to page 12."""
    bench = Bench().wake()
    for part in split(ACK + LISTED):
        bench.answer(part)
    for page, answer in zip((0, 4, 8), PAGES, strict=False):
        assert bench.readings == []
        assert bench.chip.data_to_send() == (COMMANDS["read page 4"] if page == 4 else command(read_pages(page)))
        bench.now_ns += 12_000_000
        for part in split(ACK + answer):
            bench.answer(part)
    assert bench.readings == [TagSeen(BADGE, (ADDRESS,))]
    assert bench.chip.counts.memories == 1
    assert bench.chip.data_to_send() == b""
    bench.wait(POLL_NS)
    assert bench.chip.data_to_send() == COMMANDS["list"]
    bench.poll(LISTED)  # it stays: neither told nor read again
    assert len(bench.readings) == 1


@pytest.mark.proves("P1")
@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([REFUSED], 1),
        ([PAGES[0], REFUSED], 2),
        ([PAGES[0], PAGES[1], reply(b"\x41\x01")], 3),
        ([PAGES[0], PAGES[1], reply(b"\x41\x00\x73\x66")], 3),
        ([PAGES[0], reply(b"\x41\x00" + bytes(16)), reply(b"\x41\x00\xfe" + bytes(15))], 3),
        ([reply(b"\x41\x00" + bytes(16))], 1),
        ([PAGES[0][:20]], 1),
        ([PAGES[0], reply(b"\x41\x00\x03\x04\xd1\x01\x00\xff" + bytes(10))], 2),
    ],
    ids=["locked", "locked further on", "gone", "cut short", "empty", "another card", "garbled", "no NDEF"],
)
def test_a_card_that_cannot_be_read_counts_by_its_number(answers: list[bytes], asked: int) -> None:
    bench = Bench().wake()
    assert len(read_memory(bench, *answers)) == asked
    bench.wait(MEMORY_NS)
    assert bench.readings == [TagSeen(BADGE)]
    assert bench.chip.counts.memories == 0


@pytest.mark.proves("P1")
def test_a_card_that_is_slow_to_read_is_told_in_time_and_once() -> None:
    bench = Bench().wake()
    read_memory(bench, PAGES[0])
    assert bench.chip.next_due() == bench.now_ns + MEMORY_NS
    bench.wait(MEMORY_NS - 1)
    assert bench.readings == []
    bench.wait(1)
    assert bench.readings == [TagSeen(BADGE)]
    assert bench.alive()
    bench.answer(ACK + PAGES[1])  # late: it is told already
    bench.wait(POLL_NS)
    assert bench.chip.data_to_send().endswith(COMMANDS["list"])
    bench.poll(LISTED)
    assert bench.readings == [TagSeen(BADGE)]


def test_a_chip_that_dies_over_a_card_still_gives_its_number() -> None:
    bench = Bench().wake()
    read_memory(bench, PAGES[0])
    bench.wait(MEMORY_NS)
    bench.wait(ANSWER_NS - MEMORY_NS)
    assert not bench.alive()
    assert bench.readings == [TagSeen(BADGE)]
    bench = Bench().wake()
    read_memory(bench, PAGES[0], SYNTAX)
    assert bench.readings == [TagSeen(BADGE)]
    bench = Bench().wake()
    read_memory(bench)
    assert bench.chip.stop() == [TagSeen(BADGE)]
    assert bench.chip.stop() == []


def test_a_question_about_memory_that_was_not_understood_is_put_again() -> None:
    bench = Bench().wake()
    read_memory(bench, PAGES[0])
    assert bench.chip.data_to_send() == COMMANDS["read page 4"]
    bench.answer(NACK)
    assert bench.chip.data_to_send() == COMMANDS["read page 4"]


def test_a_card_that_claims_more_than_there_is_is_read_to_the_end_of_the_largest() -> None:
    bench = Bench().wake()
    boast = bytearray(PAGES[0])
    boast[22], boast[24] = 0xFF, (boast[24] + 0x12 - 0xFF) % 256
    bench.answer(ACK + LISTED)
    bench.answer(ACK + bytes(boast))
    pages = 0
    while bench.chip.data_to_send():
        pages += 1
        bench.answer(ACK + reply(b"\x41\x00" + (b"\x03\xff\xff\xff" if pages == 1 else bytes(4)) + bytes(12)))
    assert pages == 56
    assert bench.readings == [TagSeen(BADGE)]
