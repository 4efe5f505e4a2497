"""433 MHz receivers on a UART: docs/readers.md, "433 MHz"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cutting import LineCutter
from devices.radio433 import (
    GAP_NS,
    MOST_CODES,
    MOST_LINE,
    SAME_PRESS_NS,
    Form,
    Radio433,
    Radio433Counts,
    code_of,
    reading_of,
)
from devices.readings import RadioCode
from tests.devices.feeding import NOISE, cut, feed, feed_every_way, places
from tests.devices.vectors import Vector, read_vectors

AIR = read_vectors("ev1527-codes")
START_NS = 10 * GAP_NS

codes = st.integers(1, 0xFFFFFE)
FORMS = pytest.mark.parametrize("form", list(Form))


def counts(
    *, frames: int = 0, repeats: int = 0, no_codes: int = 0, bad_lines: int = 0, noise_bytes: int = 0
) -> Radio433Counts:
    return Radio433Counts(frames, repeats, no_codes, bad_lines, noise_bytes)


def meant(vector: Vector) -> RadioCode:
    identity, command = vector.meaning.split()
    return RadioCode(int(identity, 16), int(command, 16))


def name_of(vector: Vector) -> str:
    return vector.meaning


def wire(form: Form, code: int) -> bytes:
    """As the table of docs/readers.md says."""
    match form:
        case Form.TIMED:
            return b"\xfd" + code.to_bytes(3, "big") + b"\x44\xdf"
        case Form.PLAIN:
            return b"\xfd" + code.to_bytes(3, "big") + b"\xdf"
        case Form.TEXT:
            return b"LC:%06X\r\n" % code


def receiver(form: Form) -> Radio433:
    return Radio433(form)


@pytest.mark.proves("A2")
@pytest.mark.parametrize("form", [Form.TIMED, Form.TEXT])
def test_captured_frames_are_read_however_they_arrive(form: Form) -> None:
    vectors = read_vectors(f"radio433-{form.value}")
    feed_every_way(lambda: receiver(form), b"".join(vector.data for vector in vectors), [meant(v) for v in vectors])


@pytest.mark.proves("A2")
@pytest.mark.parametrize("vector", AIR, ids=name_of)
def test_identity_and_command_are_where_captures_from_the_air_have_them(vector: Vector) -> None:
    code = int.from_bytes(vector.data, "big")
    assert reading_of(code) == meant(vector)
    assert code_of(meant(vector).identity, meant(vector).command) == code


@pytest.mark.proves("A2")
@FORMS
def test_every_form_is_read_however_it_arrives(form: Form) -> None:
    stream = b"".join(wire(form, int.from_bytes(vector.data, "big")) for vector in AIR)
    feed_every_way(lambda: receiver(form), stream, [meant(vector) for vector in AIR])


@FORMS
@given(data=st.data())
def test_any_codes_are_read_the_same_in_any_pieces(form: Form, data: st.DataObject) -> None:
    sent = data.draw(st.lists(codes, max_size=8))
    stream = b"".join(wire(form, code) for code in sent)
    codec = receiver(form)
    assert feed(codec, cut(stream, data.draw(places()))) == [reading_of(code) for code in dict.fromkeys(sent)]
    assert codec.counts == counts(frames=len(sent), repeats=len(sent) - len(set(sent)))


@pytest.mark.parametrize("form", [Form.TIMED, Form.PLAIN])
@pytest.mark.parametrize("code", [0xFDFDFD, 0xDFDFDF, 0xFDDFFD, 0xDFFDDF, 0x0D0A0D])
def test_a_binary_code_may_look_like_head_and_tail(form: Form, code: int) -> None:
    feed_every_way(lambda: receiver(form), wire(form, code), [reading_of(code)])


@pytest.mark.parametrize("pulse_time", [0x00, 0xDF, 0xFD])
def test_the_pulse_time_may_be_anything_and_changes_nothing(pulse_time: int) -> None:
    stream = b"\xfd\x84\x19\x04" + bytes([pulse_time]) + b"\xdf"
    feed_every_way(Radio433, wire(Form.TIMED, 0x841904) + stream, [RadioCode(0x84190, 4)])


@pytest.mark.parametrize(
    "line",
    [
        b"A1B2C3\r\n",
        b"a1b2c3\n",
        b"A1B2C3\r",
        b"  A1B2C3  \r\n",
        b"0xA1B2C3\r\n",
        b"LC:A1B2C3\r\n",
        b"LC: A1B2C3\r\n",
        b"RX:A1B2C3\r\n",
        b"RX:0xa1b2c3\r\n",
        b"LC:A1B2C344\r\n",
        b"LC:A1B2C3 44\r\n",
        b"A1B2C3,44\r\n",
        b"half a line LC:A1B2C3\r\n",
        b"Received 10597059 / 24bit Protocol: 1\r\n",
    ],
)
def test_a_line_with_a_code_is_understood(line: bytes) -> None:
    feed_every_way(lambda: receiver(Form.TEXT), line, [RadioCode(0xA1B2C, 3)])


@pytest.mark.parametrize(
    "line",
    [
        b"A1B2C",
        b"A1B2C34",
        b"A1B2C3445",
        b"A1B2G3",
        b"uptime: 123456",
        b"XX:A1B2C3",
        b"LC:A1B2C3 dBm",
        b"Received 41858521 / 28bit Protocol: 2",
        b"Received 2661182867 / 32bit Protocol: 2",
        b"Received 16777216 / 24bit Protocol: 1",
        b"Decimal: 82965 (24Bit) Binary: 000000010100010000010101",
        b"RX ready",
    ],
)
def test_a_line_without_a_code_is_counted_and_costs_only_itself(line: bytes) -> None:
    codec = receiver(Form.TEXT)
    assert feed(codec, [line + b"\r\n" + b"LC:A1B2C3\r\n"]) == [RadioCode(0xA1B2C, 3)]
    assert codec.counts == counts(frames=1, bad_lines=1)


def test_a_line_that_never_ends_is_dropped_up_to_its_end() -> None:
    codec = receiver(Form.TEXT)
    endless = b"A" * 10_000
    assert feed(codec, [endless + b"\r\n" + b"A1B2C3\r\n"]) == [RadioCode(0xA1B2C, 3)]
    assert codec.counts == counts(frames=1, noise_bytes=len(endless))


@FORMS
@pytest.mark.parametrize("code", [0x000000, 0xFFFFFF])
def test_all_zero_and_all_one_is_no_code(form: Form, code: int) -> None:
    codec = receiver(form)
    assert feed(codec, [wire(form, code)] * 3) == []
    assert codec.counts == counts(frames=3, no_codes=3)


@pytest.mark.proves("A2", "N3")
@FORMS
def test_the_repeats_of_one_press_are_one_reading(form: Form) -> None:
    codec = receiver(form)
    readings = [codec.receive_data(wire(form, 0xFFB028), START_NS + repeat * 50_000_000) for repeat in range(10)]
    assert readings[0] == [RadioCode(0xFFB02, 8)]
    assert not any(readings[1:])
    assert codec.counts == counts(frames=10, repeats=9)


@pytest.mark.proves("A2")
def test_a_key_held_down_stays_one_press_and_the_next_press_is_another() -> None:
    codec, frame = Radio433(), wire(Form.TIMED, 0xFFB028)
    assert codec.receive_data(frame, START_NS) == [RadioCode(0xFFB02, 8)]
    for second in range(1, 60):
        assert codec.receive_data(frame, START_NS + second * SAME_PRESS_NS) == []
    assert codec.receive_data(frame, START_NS + 60 * SAME_PRESS_NS + 1) == [RadioCode(0xFFB02, 8)]


@pytest.mark.proves("N7")
def test_another_key_of_the_same_transmitter_is_no_repeat() -> None:
    stream = wire(Form.TIMED, 0x936241) + wire(Form.TIMED, 0x936242)
    feed_every_way(Radio433, stream, [RadioCode(0x93624, 1), RadioCode(0x93624, 2)])


@pytest.mark.proves("N7")
def test_a_flood_of_codes_does_not_hide_a_press() -> None:
    codec = Radio433()
    codec.receive_data(b"".join(wire(Form.TIMED, code) for code in range(1, 5_001)), START_NS)
    assert codec.receive_data(wire(Form.TIMED, 0xFFB028), START_NS + 1) == [RadioCode(0xFFB02, 8)]
    assert codec.receive_data(wire(Form.TIMED, 5_000), START_NS + 2) == []
    assert codec.receive_data(wire(Form.TIMED, 5_002 - MOST_CODES), START_NS + 3) == []
    assert codec.receive_data(wire(Form.TIMED, 5_000 - MOST_CODES), START_NS + 4) != []


@pytest.mark.proves("N7")
@FORMS
def test_a_frame_cut_short_does_not_reach_into_the_next_press(form: Form) -> None:
    """The three bytes 44 DF 19 are chosen so that a piece of the old frame and one of the new would make a frame."""
    frame = wire(form, 0x44DF19)
    for length in range(1, len(frame)):
        codec = receiver(form)
        assert codec.receive_data(wire(form, 0xFFB028)[:length], START_NS) in ([], [RadioCode(0xFFB02, 8)])
        assert codec.receive_data(frame, START_NS + GAP_NS + 1) == [reading_of(0x44DF19)]


@pytest.mark.parametrize("form", [Form.TIMED, Form.PLAIN])
@given(data=st.data())
def test_a_byte_lost_never_costs_the_frame_after_the_next(form: Form, data: st.DataObject) -> None:
    broken = wire(form, data.draw(codes))
    lost = data.draw(st.integers(0, len(broken) - 1))
    stream = broken[:lost] + broken[lost + 1 :] + wire(form, 0x841904) * 3
    assert RadioCode(0x84190, 4) in feed(receiver(form), [stream])


@FORMS
@given(data=st.data())
def test_whatever_arrives_ends_the_same_in_any_pieces(form: Form, data: st.DataObject) -> None:
    """In particular nothing raises."""
    parts = data.draw(
        st.lists(st.one_of(st.binary(max_size=30), codes.map(lambda code: wire(form, code))), max_size=12)
    )
    stream = b"".join(parts)
    whole, pieces = receiver(form), receiver(form)
    assert feed(whole, [stream]) == feed(pieces, cut(stream, data.draw(places())))
    assert whole.counts == pieces.counts


@FORMS
def test_noise_alone_yields_nothing(form: Form) -> None:
    codec = receiver(form)
    assert feed(codec, NOISE) == []
    assert codec.counts == counts(noise_bytes=sum(map(len, NOISE)))


@given(identity=st.integers(0, 0xFFFFF), command=st.integers(0, 0xF))
def test_identity_and_command_make_one_code_and_come_back(identity: int, command: int) -> None:
    code = code_of(identity, command)
    assert 0 <= code <= 0xFFFFFF
    assert reading_of(code) == RadioCode(identity, command)


@pytest.mark.parametrize(("identity", "command"), [(0x100000, 0), (-1, 0), (0, 16), (0, -1)])
def test_numbers_that_no_transmitter_has_are_refused(identity: int, command: int) -> None:
    with pytest.raises(ValueError, match="20 and 4 bits"):
        code_of(identity, command)


class TestLineCutter:
    def test_lines_come_without_their_ends_and_empty_ones_not_at_all(self) -> None:
        cutter = LineCutter(MOST_LINE)
        assert cutter.receive_data(b"one\r\n\r\ntwo\rthree\nfou") == [b"one", b"two", b"three"]
        assert cutter.receive_data(b"r\r\n") == [b"four"]
        assert cutter.noise_bytes == 0

    def test_a_byte_that_is_no_text_begins_the_line_anew(self) -> None:
        cutter = LineCutter(MOST_LINE)
        assert cutter.receive_data(b"one\x00two\n") == [b"two"]
        assert cutter.noise_bytes == 4

    def test_a_line_of_just_the_length_is_whole_and_one_longer_is_dropped(self) -> None:
        cutter = LineCutter(3)
        assert cutter.receive_data(b"abc\nabcdef\nabc\n") == [b"abc", b"abc"]
        assert cutter.noise_bytes == 6

    def test_an_overlong_line_is_over_when_it_is_forgotten(self) -> None:
        cutter = LineCutter(3)
        assert cutter.receive_data(b"abcdef") == []
        cutter.forget()
        assert cutter.receive_data(b"abc\n") == [b"abc"]
        assert cutter.noise_bytes == 6

    @given(st.binary(max_size=200), places())
    def test_every_byte_is_in_a_line_at_its_end_or_noise(self, stream: bytes, where: list[int]) -> None:
        cutter = LineCutter(5)
        lines = [line for piece in cut(stream, where) for line in cutter.receive_data(piece)]
        cutter.forget()
        ends = sum(byte in b"\r\n" for byte in stream)
        assert sum(map(len, lines)) + ends + cutter.noise_bytes == len(stream)
        assert all(line.isascii() and len(line) <= 5 for line in lines)
