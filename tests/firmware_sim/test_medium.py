"""The simulated wire: who hears what, when, and what a collision leaves."""

from random import Random

import pytest

from devices.frames import new_deframer
from devices.framing import enclose
from firmware_sim.faults import Duplicate, Loss, Noise, Split
from firmware_sim.medium import GATEWAY, Ear, Heard, Medium, Station

BAUD = 9600
CHAR_NS = 10 * 1_000_000_000 // BAUD
ONE, TWO, THREE = Station(1), Station(2), Station(3)
FRAME = enclose(bytes(range(1, 32)))
OTHER = enclose(bytes(range(101, 132)))


def wire(*, faults: tuple[Noise | Loss | Split | Duplicate, ...] = (), seed: int = 0) -> Medium:
    medium = Medium(baud=BAUD, dice=Random(seed), faults=faults)
    medium.join(GATEWAY, Ear(then=4))
    for station in (ONE, TWO, THREE):
        medium.join(station, Ear())
    return medium


def heard_by(station: Station, pieces: list[Heard]) -> bytes:
    return b"".join(piece.data for piece in pieces if station in piece.listeners)


def test_a_frame_takes_ten_bits_a_byte() -> None:
    medium = wire()
    end_ns = medium.transmit(ONE, FRAME, 1000)
    assert end_ns == 1000 + len(FRAME) * CHAR_NS
    pieces = medium.advance(end_ns)
    assert pieces[-1].at_ns == end_ns
    assert medium.next_due() is None


def test_a_unit_hears_two_characters_at_once_and_the_rest_at_the_end() -> None:
    medium = wire()
    medium.transmit(ONE, FRAME, 0)
    pieces = [piece for piece in medium.advance(10**9) if TWO in piece.listeners]
    assert [(piece.data, piece.at_ns) for piece in pieces] == [
        (FRAME[:2], 2 * CHAR_NS),
        (FRAME[2:], len(FRAME) * CHAR_NS),
    ]


def test_the_gateway_hears_in_small_slices() -> None:
    medium = wire()
    medium.transmit(ONE, FRAME, 0)
    pieces = [piece for piece in medium.advance(10**9) if GATEWAY in piece.listeners]
    assert max(len(piece.data) for piece in pieces) == 4
    assert b"".join(piece.data for piece in pieces) == FRAME
    assert all(piece.at_ns % CHAR_NS == 0 for piece in pieces)


def test_nobody_hears_itself() -> None:
    medium = wire()
    medium.transmit(ONE, FRAME, 0)
    pieces = medium.advance(10**9)
    assert heard_by(ONE, pieces) == b""
    assert heard_by(TWO, pieces) == heard_by(THREE, pieces) == heard_by(GATEWAY, pieces) == FRAME


def test_what_a_sender_hands_in_while_it_sends_waits_behind() -> None:
    medium = wire()
    first_ns = medium.transmit(GATEWAY, FRAME, 0)
    assert medium.transmit(GATEWAY, OTHER, 5) == first_ns + len(OTHER) * CHAR_NS
    assert heard_by(ONE, medium.advance(10**9)) == FRAME + OTHER
    assert medium.counts.collided == 0


def test_frames_one_after_the_other_are_both_heard() -> None:
    medium = wire()
    end_ns = medium.transmit(ONE, FRAME, 0)
    medium.transmit(TWO, OTHER, end_ns)
    assert heard_by(THREE, medium.advance(10**9)) == FRAME + OTHER


@pytest.mark.parametrize("offset", [0, 1, CHAR_NS, 17 * CHAR_NS + 3, 34 * CHAR_NS, 36 * CHAR_NS - 1])
@pytest.mark.parametrize("seed", range(20))
def test_frames_that_overlap_destroy_each_other(offset: int, seed: int) -> None:
    medium = wire(seed=seed)
    medium.transmit(ONE, FRAME, 0)
    medium.transmit(GATEWAY, OTHER, offset)
    pieces = medium.advance(10**9)
    for listener in (TWO, THREE):
        assert new_deframer().receive_data(heard_by(listener, pieces)) == []
        assert heard_by(listener, pieces) != b""  # garbage is heard all the same
    assert new_deframer().receive_data(heard_by(GATEWAY, pieces)) == []
    assert new_deframer().receive_data(heard_by(ONE, pieces)) == []
    assert medium.counts.collided == 2


def test_a_wire_carries_one_stream_however_many_send() -> None:
    medium = wire()
    for station in (ONE, TWO, GATEWAY):
        medium.transmit(station, FRAME, 0)
    assert len(heard_by(THREE, medium.advance(10**9))) == len(FRAME)


def test_a_sender_hears_the_tail_of_a_frame_that_outlasts_its_own() -> None:
    medium = wire()
    medium.transmit(ONE, FRAME, 0)
    medium.transmit(TWO, OTHER, 10 * CHAR_NS)
    pieces = medium.advance(10**9)
    assert heard_by(ONE, pieces) == OTHER[-9:]  # its receiver needs a character to turn round
    assert heard_by(TWO, pieces) == FRAME[:10]


def test_the_same_seed_makes_the_same_garbage() -> None:
    def story(seed: int) -> list[Heard]:
        medium = wire(faults=(Noise(per_byte=0.05), Loss(per_frame=0.2), Split(per_frame=0.2)), seed=seed)
        for turn in range(20):
            medium.transmit(Station(1 + turn % 3), FRAME, turn * 20 * CHAR_NS)
        return medium.advance(10**10)

    assert story(1) == story(1) != story(2)


def test_late_calls_learn_the_same_in_the_same_order() -> None:
    def story(*, late: bool) -> list[Heard]:
        medium = wire()
        medium.transmit(ONE, FRAME, 0)
        medium.transmit(TWO, OTHER, 3 * CHAR_NS)
        if late:
            return medium.advance(10**9)
        pieces: list[Heard] = []
        while (due := medium.next_due()) is not None:
            pieces += medium.advance(due)
        return pieces

    assert story(late=True) == story(late=False)


def test_a_station_behind_a_cut_hears_nothing_and_disturbs_nobody() -> None:
    medium = wire()
    medium.cut = frozenset({ONE})
    medium.transmit(ONE, FRAME, 0)
    medium.transmit(TWO, OTHER, 0)
    pieces = medium.advance(10**9)
    assert heard_by(ONE, pieces) == b""
    assert heard_by(GATEWAY, pieces) == heard_by(THREE, pieces) == OTHER


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Loss(per_frame=1), b""),
        (Duplicate(per_frame=1), FRAME + FRAME),
        (Split(per_frame=1, pause_ms=5), FRAME),
        (Noise(per_byte=0), FRAME),
    ],
)
def test_a_fault_changes_what_is_heard(fault: Noise | Loss | Split | Duplicate, expected: bytes) -> None:
    medium = wire(faults=(fault,))
    medium.transmit(ONE, FRAME, 0)
    assert heard_by(TWO, medium.advance(10**9)) == expected


def test_noise_turns_one_bit_of_a_byte() -> None:
    medium = wire(faults=(Noise(per_byte=1),))
    medium.transmit(ONE, FRAME, 0)
    changed = heard_by(TWO, medium.advance(10**9))
    assert all((before ^ after).bit_count() == 1 for before, after in zip(FRAME, changed, strict=True))


def test_a_split_frame_pauses_in_the_middle() -> None:
    medium = wire(faults=(Split(per_frame=1, pause_ms=5),))
    assert medium.transmit(ONE, FRAME, 0) == len(FRAME) * CHAR_NS + 5_000_000
