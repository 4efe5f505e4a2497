"""The gateway's role of the native link: docs/link.md, "The gateway on a line"."""

from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.commands import (
    Challenge,
    Command,
    Kept,
    KeyHalf,
    Lamp,
    Pattern,
    Result,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.frames import FRAME_BYTES, UP, build_frame
from devices.line_link import KNOWN_MESSAGES, STARVED_NS, LineLink, LinkCounts, UnitKey
from devices.readings import (
    CommandDone,
    FreshProof,
    KeyTaken,
    LinkReading,
    NotUnderstood,
    Proof,
    SealRefused,
    Sounded,
    UnitHello,
)
from devices.sealing import Seal
from devices.timing import BURST_FRAMES, CHALLENGE_NS, CONFIRM_TRIES, LATER_FRAMES, MS, YIELD_FRAMES, LineTiming, S
from tests.devices.feeding import feed_every_way
from tests.devices.link_ends import (
    SEALED,
    SLOW_LINE,
    START_NS,
    UNIT,
    Frame,
    GatewayEnd,
    a_gateway,
    a_heartbeat,
    a_press,
    down,
    key_of,
    up,
)

BOOT_1 = 0x0001_0000
FAST_LINE = LineTiming(115200, FRAME_BYTES)
SIREN = Siren(Pattern.PANIC, 3, 180, 1, (5,))
FIRE = Siren(Pattern.FIRE, 3, 180, 2, (6,))
HELLO = UnitHello(UNIT, 1, 1, 1, 1, 0, SEALED)


def heard(end: GatewayEnd, *frames: bytes) -> list[LinkReading]:
    return [reading for frame in frames for reading in end.hear(frame)]


def commands(frames: list[Frame]) -> list[tuple[int, Command | None]]:
    return [(frame.unit, frame.command) for frame in frames]


def confirm(end: GatewayEnd, frame: Frame, counter: int) -> list[LinkReading]:
    """The unit confirms `frame`, in its own frame with this uplink counter."""
    siren = frame.command
    done: Sounded | CommandDone = CommandDone(frame.unit, frame.counter, Result.DONE, frame.counter)
    if isinstance(siren, Siren):
        done = Sounded(frame.unit, frame.counter, siren.pattern, works=True)
    return end.hear(up(done, counter, unit=frame.unit))


def sound(end: GatewayEnd, siren: Siren | None, *units: int) -> None:
    for unit in units or (UNIT,):
        end.link.sound(unit=unit, siren=siren, now_ns=end.now_ns)


def quiet(end: GatewayEnd, after_ns: int = S) -> list[Frame]:
    return end.run(end.now_ns + after_ns)


def next_frames(end: GatewayEnd) -> list[Frame]:
    """What the gateway sends next, and no more."""
    while (due := end.link.next_due()) is not None:
        frames = end.run(max(due, end.now_ns))
        if frames:
            return frames
    return []


# Hearing


@pytest.mark.proves("A2")
def test_a_press_is_read_however_it_is_delivered() -> None:
    def codec() -> LineLink:
        return a_gateway().link

    repeat = replace(a_press(1), proof=Proof.REPEAT)
    feed_every_way(codec, up(a_press(1), BOOT_1 + 1), [a_press(1)], again=[repeat])


@pytest.mark.proves("N3", "N9")
def test_a_message_in_a_fresh_frame_is_sealed_each_time_and_keeps_its_key() -> None:
    """Whoever keeps it merges by (unit, boot, number): the first time may not have reached the disk."""
    end = a_gateway()
    said = heard(end, *(up(a_press(4), BOOT_1 + frame) for frame in (1, 2, 5)))
    assert said == [a_press(4)] * 3
    assert end.link.window(UNIT) == BOOT_1 + 5
    assert end.link.counts == LinkCounts(sealed=3)


@pytest.mark.proves("N9", "N13")
def test_a_seal_that_does_not_open_is_told_with_the_address() -> None:
    end = a_gateway()
    unknown = up(a_press(1, unit=99), BOOT_1 + 1, unit=99)
    forged = up(a_press(1), BOOT_1 + 1, key=key_of(8))
    assert heard(end, unknown, forged) == [SealRefused(99, known=False), SealRefused(UNIT, known=True)]
    assert end.link.counts == LinkCounts(refused=2)


@pytest.mark.proves("N9")
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(down(SIREN, 1), id="our own echo, or another gateway"),
        pytest.param(build_frame(Seal(key_of(UNIT)), 0x22, UNIT, 1, bytes(16)), id="another version"),
        pytest.param(up(a_press(1, unit=0xFFFF), 1, unit=0xFFFF), id="a reserved address"),
    ],
)
def test_what_is_not_from_a_unit_of_this_version_is_counted(frame: bytes) -> None:
    end = a_gateway()
    assert heard(end, frame) == []
    assert end.link.counts == LinkCounts(foreign=1)
    assert end.link.framing.frames == 1


def test_a_type_that_we_do_not_know_is_told_once() -> None:
    end = a_gateway()
    newer = build_frame(Seal(key_of(UNIT)), UP, UNIT, BOOT_1 + 1, b"\x70" + bytes(15))
    assert heard(end, newer, newer) == [NotUnderstood(UNIT, 0x70)]
    assert end.link.counts == LinkCounts(not_understood=2)


# Replays


@pytest.mark.proves("N3", "N12")
def test_a_recorded_frame_of_a_known_message_is_a_repeat() -> None:
    end = a_gateway()
    frames = [up(a_press(number), BOOT_1 + number) for number in range(1, 4)]
    heard(end, *frames)
    assert heard(end, *frames) == [replace(a_press(number), proof=Proof.REPEAT) for number in range(1, 4)]
    assert end.link.counts == LinkCounts(sealed=3, repeats=3)
    assert quiet(end) == []


@pytest.mark.proves("N12")
def test_window_and_known_messages_outlive_a_restart() -> None:
    key = UnitKey(key_of(UNIT), window=BOOT_1 + 9, known=[(1, 3)])
    end = a_gateway({UNIT: key})
    assert heard(end, up(a_press(3), BOOT_1 + 9)) == [replace(a_press(3), proof=Proof.REPEAT)]
    assert heard(end, up(a_press(4), BOOT_1 + 8)) == []
    assert heard(end, up(a_press(4), BOOT_1 + 10)) == [a_press(4)]


@pytest.mark.proves("N12", "N13")
def test_an_old_counter_with_an_unknown_message_is_challenged_and_told_as_stale() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 9)})
    assert heard(end, up(a_press(4), BOOT_1 + 8)) == []
    [frame] = end.run(START_NS + CHALLENGE_NS - 1)
    assert isinstance(frame.command, Challenge)
    assert end.link.advance(START_NS + CHALLENGE_NS - 1) == []
    assert end.link.next_due() == START_NS + CHALLENGE_NS
    assert end.link.advance(START_NS + CHALLENGE_NS) == [replace(a_press(4), proof=Proof.STALE)]
    assert end.link.counts == LinkCounts(stale=1, sent=1)
    assert end.link.next_due() is None


def challenged(old: bytes) -> tuple[GatewayEnd, bytes]:
    """A gateway that heard `old`, and the nonce of its challenge."""
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 9)})
    assert heard(end, old) == []
    [frame] = end.run(START_NS + 100 * MS)
    assert isinstance(frame.command, Challenge)
    return end, frame.command.nonce


@pytest.mark.proves("N12", "N13")
def test_a_recorded_press_does_not_ring_because_its_unit_is_there_to_be_challenged() -> None:
    """The unit proves that it lives, not that it has just said that."""
    end, nonce = challenged(up(a_press(4), BOOT_1 + 8))
    assert heard(end, up(FreshProof(UNIT, 1, nonce), BOOT_1 + 20)) == []
    assert end.link.window(UNIT) == BOOT_1 + 20
    assert end.link.advance(START_NS + CHALLENGE_NS) == [replace(a_press(4), proof=Proof.STALE)]


@pytest.mark.proves("N7", "N13")
def test_a_unit_whose_counter_fell_back_is_believed_again_as_soon_as_it_has_proved_it() -> None:
    end, nonce = challenged(up(a_press(4), BOOT_1 + 1))
    assert heard(end, up(FreshProof(UNIT, 1, nonce), BOOT_1 + 2)) == []
    assert heard(end, up(a_press(4), BOOT_1 + 3)) == [a_press(4)]
    assert end.link.advance(START_NS + 10 * S) == []
    assert end.link.counts == LinkCounts(sealed=1, proved=1, sent=1)


@pytest.mark.proves("N12", "N13")
def test_a_proof_counts_once_in_time_and_with_the_right_nonce() -> None:
    old = up(a_press(4), BOOT_1 + 1)
    for case in ("wrong nonce", "too late", "twice", "never asked"):
        end, nonce = challenged(old) if case != "never asked" else (a_gateway(), b"12345678")
        before = end.link.window(UNIT)
        if case == "wrong nonce":
            heard(end, up(FreshProof(UNIT, 1, b"12345678"), BOOT_1 + 2))
        elif case == "too late":
            end.now_ns = START_NS + CHALLENGE_NS
            heard(end, up(FreshProof(UNIT, 1, nonce), BOOT_1 + 2))
        elif case == "twice":
            proof = up(FreshProof(UNIT, 1, nonce), BOOT_1 + 2)
            heard(end, proof, up(a_press(5), BOOT_1 + 3), proof)
            before = BOOT_1 + 3
        else:
            heard(end, up(FreshProof(UNIT, 1, nonce), BOOT_1 + 2))
            before = BOOT_1 + 2
        assert end.link.window(UNIT) == before, case
        assert end.link.counts.unasked == 1, case


def test_one_challenge_serves_all_that_is_held_and_a_second_comes_after_a_second() -> None:
    end, _ = challenged(up(a_press(4), BOOT_1 + 1))
    heard(end, up(a_press(4), BOOT_1 + 1), up(a_press(5), BOOT_1 + 2))
    assert quiet(end, 500 * MS) == []
    quiet(end)
    assert end.stale == [replace(a_press(number), proof=Proof.STALE) for number in (4, 5)]
    heard(end, up(a_press(6), BOOT_1 + 3))
    [frame] = quiet(end, 500 * MS)
    assert isinstance(frame.command, Challenge)


def test_a_challenge_that_could_not_be_sent_in_time_is_not_sent() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 9)}, leased=0)
    heard(end, up(a_press(4), BOOT_1 + 1))
    quiet(end, 2 * S)
    end.counters.leased = 100
    assert quiet(end, 10 * S) == []


def test_only_the_newest_messages_are_remembered() -> None:
    end = a_gateway()
    heard(end, *(up(a_press(number), BOOT_1 + number) for number in range(1, KNOWN_MESSAGES + 2)))
    assert heard(end, up(a_press(1), BOOT_1 + 1)) == []  # challenged, not taken for new
    assert heard(end, up(a_press(2), BOOT_1 + 2)) == [replace(a_press(2), proof=Proof.REPEAT)]


@pytest.mark.proves("N12", "N13")
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 40)), max_size=60))
def test_no_frame_is_fresh_twice(said: list[tuple[int, int]]) -> None:
    """Frames in any order, any of them again and again: each counter is fresh once, and never after a higher one."""
    end = a_gateway()
    highest = BOOT_1
    for number, frame in said:
        counter = BOOT_1 + frame
        readings = end.hear(up(a_press(number), counter))
        fresh = [reading for reading in readings if reading == a_press(number)]
        assert len(fresh) == (counter > highest)
        highest = max(highest, counter)


# Answering


@pytest.mark.proves("N1", "A5")
def test_nothing_is_answered_that_was_not_kept() -> None:
    end = a_gateway()
    heard(end, up(a_press(4), BOOT_1 + 1))
    assert quiet(end) == []
    end.link.answer(unit=UNIT, boot=1, number=4)
    assert commands(quiet(end)) == [(UNIT, Kept(1, 4, Lamp.IDLE))]


def test_an_answer_carries_the_lamp_as_it_is_when_it_goes_out() -> None:
    end = a_gateway()
    end.link.answer(unit=UNIT, boot=1, number=4)
    end.link.set_lamp(unit=UNIT, lamp=Lamp.KEPT)
    assert commands(quiet(end)) == [(UNIT, Kept(1, 4, Lamp.KEPT))]
    assert quiet(end) == []


def test_an_answer_that_waits_is_not_doubled() -> None:
    end = a_gateway()
    for _ in range(5):
        end.link.answer(unit=UNIT, boot=1, number=4)
    assert len(quiet(end)) == 1


@pytest.mark.proves("A3", "N4")
def test_the_answer_to_a_duress_press_is_that_to_a_heartbeat() -> None:
    """In plain text too, apart from the number: whoever has the unit's key learns nothing either."""

    def answered(number: int) -> tuple[bytes, int]:
        end = a_gateway()
        heard(end, up(a_heartbeat(number) if number == 1 else a_press(number, key=6), BOOT_1 + 1))
        end.link.answer(unit=UNIT, boot=1, number=number)
        [(at_ns, frame)] = [(at_ns, frame) for at_ns, frame in [(end.now_ns, one) for one in quiet(end)]]
        return frame.body, at_ns

    heartbeat, duress = answered(1), answered(2)
    assert heartbeat[0][:3] + heartbeat[0][5:] == duress[0][:3] + duress[0][5:]
    assert heartbeat[1] == duress[1]


# Lamps


def test_a_lamp_is_told_until_it_is_confirmed() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    frames = quiet(end)
    assert len(frames) > 1
    assert set(commands(frames)) == {(UNIT, ShowLamp(Lamp.COMING))}
    assert confirm(end, frames[0], BOOT_1 + 1) == [CommandDone(UNIT, frames[0].counter, 0, frames[0].counter)]
    assert quiet(end) == []
    assert end.link.counts.resent == len(frames) - 1


def test_a_newer_lamp_takes_the_place_of_one_that_was_not_confirmed() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    [old] = end.run(end.now_ns)
    end.link.show_lamp(unit=UNIT, lamp=Lamp.IDLE, now_ns=end.now_ns)
    assert confirm(end, old, BOOT_1 + 1) == []
    assert end.link.counts.unasked == 1
    assert set(commands(quiet(end))) == {(UNIT, ShowLamp(Lamp.IDLE))}


def test_a_lamp_that_an_answer_brings_is_not_undone_by_one_that_waits() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    end.link.set_lamp(unit=UNIT, lamp=Lamp.KEPT)
    assert commands(quiet(end))[0] == (UNIT, ShowLamp(Lamp.KEPT))


# Sirens


@pytest.mark.proves("A1", "A3", "A4", "N5")
def test_the_first_sirens_of_a_group_go_in_one_burst_at_once() -> None:
    end = a_gateway()
    sound(end, SIREN, *range(1, 11))
    frames = end.run(end.now_ns)
    assert commands(frames) == [(unit, SIREN) for unit in range(1, 11)]
    assert {at_ns for at_ns, _ in end.sent} == {START_NS}
    assert len({(frame.unit, frame.counter) for frame in frames}) == 10


def test_a_siren_that_is_confirmed_is_not_said_again() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    assert confirm(end, frame, BOOT_1 + 1) == [Sounded(UNIT, frame.counter, Pattern.PANIC, works=True)]
    sound(end, SIREN)
    assert quiet(end, 60 * S) == []


def test_a_late_confirmation_of_an_earlier_try_is_one() -> None:
    end = a_gateway()
    sound(end, SIREN)
    frames = quiet(end, 2 * S)
    assert len(frames) > 2
    assert confirm(end, frames[0], BOOT_1 + 1)
    assert quiet(end, 60 * S) == []


@pytest.mark.proves("N13")
def test_a_confirmation_that_names_no_order_of_ours_is_not_passed_on() -> None:
    """Recorded on an earlier day, it would be evidence that a sounder sounds."""
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    recorded = up(Sounded(UNIT, 77, Pattern.PANIC, works=True), BOOT_1 + 1)
    assert heard(end, recorded) == []
    assert confirm(end, frame, BOOT_1 + 2)
    assert confirm(end, frame, BOOT_1 + 2) == []
    assert end.link.counts == LinkCounts(unasked=2, sent=1)


def test_a_confirmation_needs_no_fresh_counter_because_it_names_ours() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 500)})
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    assert confirm(end, frame, BOOT_1 + 2)
    assert quiet(end, 60 * S) == []


def test_a_siren_tells_the_seconds_that_are_left() -> None:
    end = a_gateway()
    sound(end, SIREN)
    for _ in range(200):
        quiet(end)
    told = [frame.command.seconds for _, frame in end.sent if isinstance(frame.command, Siren)]
    wanted = [180 - (at_ns - START_NS) // S for at_ns, _ in end.sent]
    assert told == wanted
    assert told[0] == 180
    assert min(told) > 0


@pytest.mark.proves("N12")
def test_a_siren_that_has_had_its_time_is_not_sent_any_more() -> None:
    end = a_gateway()
    sound(end, SIREN)
    quiet(end, 180 * S)
    assert quiet(end, 600 * S) == []
    sound(end, SIREN)
    assert commands(end.run(end.now_ns)) == [(UNIT, SIREN)]


@pytest.mark.proves("A3")
def test_a_louder_claim_goes_at_once_and_a_lesser_one_later() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    confirm(end, frame, BOOT_1 + 1)
    end.now_ns += 10 * MS
    sound(end, FIRE)
    [louder] = next_frames(end)
    assert louder.command == FIRE
    told_ns = end.now_ns
    confirm(end, louder, BOOT_1 + 2)
    sound(end, replace(FIRE, doors=(7, 6)))
    [update] = next_frames(end)
    assert isinstance(update.command, Siren)
    assert update.command.doors == (7, 6)
    assert end.now_ns - told_ns >= SLOW_LINE.update_ns(10)


def test_to_stand_back_is_a_louder_claim() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    confirm(end, frame, BOOT_1 + 1)
    began_ns = end.now_ns
    sound(end, replace(SIREN, stand_back=True))
    assert next_frames(end)
    assert end.now_ns - began_ns < 300 * MS


def test_what_is_on_its_way_is_said_with_the_newest_doors() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [first_try] = end.run(end.now_ns)
    more = replace(SIREN, doors=(8, 5))
    sound(end, more)
    [second_try] = next_frames(end)
    assert isinstance(second_try.command, Siren)
    assert second_try.command.doors == (8, 5)
    confirm(end, first_try, BOOT_1 + 1)  # it plays, and does not know the second door yet
    [third_try] = next_frames(end)
    assert isinstance(third_try.command, Siren)
    assert third_try.command.doors == (8, 5)
    confirm(end, third_try, BOOT_1 + 2)
    assert quiet(end, 60 * S) == []


def test_what_sounds_is_stopped() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    sound(end, None)
    [stop] = next_frames(end)
    assert stop.command == Stop()
    assert confirm(end, frame, BOOT_1 + 1) == []
    confirm(end, stop, BOOT_1 + 2)
    assert quiet(end, 60 * S) == []
    sound(end, SIREN)
    assert commands(end.run(end.now_ns)) == [(UNIT, SIREN)]


def test_what_nobody_has_heard_of_need_not_be_stopped() -> None:
    end = a_gateway()
    sound(end, None)
    [stop] = end.run(end.now_ns)
    confirm(end, stop, BOOT_1 + 1)
    sound(end, SIREN)
    sound(end, None)
    sound(end, None)
    assert quiet(end, 60 * S) == []


def test_a_gateway_that_has_just_started_stops_what_may_sound_from_before() -> None:
    end = a_gateway()
    sound(end, None)
    sound(end, None)
    assert commands(end.run(end.now_ns)) == [(UNIT, Stop())]
    confirm(end, end.sent[0][1], BOOT_1 + 1)
    sound(end, None)
    assert quiet(end, 60 * S) == []


def test_a_stop_that_is_not_confirmed_is_not_sent_for_ever_in_the_way_of_others() -> None:
    end = a_gateway()
    sound(end, SIREN)
    end.run(end.now_ns)
    sound(end, None)
    quiet(end, 60 * S)
    assert UNIT in end.link.silent


@pytest.mark.proves("N5")
def test_a_unit_that_powers_up_is_told_again_what_to_play() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    confirm(end, frame, BOOT_1 + 1)
    heard(end, up(HELLO, 0x0002_0001))
    [again] = next_frames(end)
    assert isinstance(again.command, Siren)
    assert again.command.pattern is Pattern.PANIC
    confirm(end, again, 0x0002_0002)
    heard(end, up(HELLO, 0x0002_0003))
    assert quiet(end) == []  # the same hello again


@pytest.mark.parametrize("over", [False, True])
def test_a_unit_that_powers_up_is_not_told_what_is_over(over: bool) -> None:
    end = a_gateway()
    if over:
        sound(end, SIREN)
        [frame] = end.run(end.now_ns)
        confirm(end, frame, BOOT_1 + 1)
        end.now_ns += 180 * S
    heard(end, up(HELLO, 0x0002_0001))
    assert quiet(end, 60 * S) == []


def test_a_siren_after_one_that_has_ended_by_itself_is_a_first_siren() -> None:
    end = a_gateway()
    sound(end, SIREN)
    [frame] = end.run(end.now_ns)
    confirm(end, frame, BOOT_1 + 1)
    end.now_ns += 181 * S
    sound(end, replace(SIREN, alarm=9))
    assert len(end.run(end.now_ns)) == 1


# Who does not confirm


@pytest.mark.proves("N8")
def test_a_unit_that_does_not_confirm_is_called_silent_and_tried_seldom() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    quiet(end, 120 * S)
    assert end.link.silent == {UNIT}
    gaps = [later[0] - earlier[0] for earlier, later in zip(end.sent, end.sent[1:], strict=False)]
    assert all(gap < 2 * S for gap in gaps[: CONFIRM_TRIES - 1])
    assert all(gap >= 10 * S for gap in gaps[CONFIRM_TRIES - 1 :])
    confirm(end, end.sent[0][1], BOOT_1 + 1)
    assert end.link.silent == {UNIT}  # that was long ago: it is not among the last eight tries
    confirm(end, end.sent[-1][1], BOOT_1 + 2)
    assert end.link.silent == set()


@pytest.mark.proves("N7")
@pytest.mark.parametrize("dead", [10, 100])
def test_silent_units_get_a_twentieth_of_the_line(dead: int) -> None:
    end = a_gateway(dead)
    for unit in range(1, dead + 1):
        end.link.show_lamp(unit=unit, lamp=Lamp.COMING, now_ns=end.now_ns)
    quiet(end, 600 * S)
    began = len(end.sent)
    quiet(end, 600 * S)
    busy_ns = (len(end.sent) - began) * SLOW_LINE.frame_ns
    assert end.link.silent == set(range(1, dead + 1))
    assert busy_ns <= 0.05 * 600 * S


@pytest.mark.proves("N5", "N7")
def test_units_that_never_confirm_do_not_delay_another_s_first_siren() -> None:
    end = a_gateway(300, timing=FAST_LINE)
    sound(end, SIREN, *range(1, 290))
    quiet(end, 3 * S)
    sound(end, SIREN, 300)
    began_ns = end.now_ns
    quiet(end, S)
    at_ns = next(at_ns for at_ns, frame in end.sent if frame.unit == 300)
    assert at_ns - began_ns <= (LATER_FRAMES + 8) * FAST_LINE.frame_ns


@pytest.mark.proves("N5", "N7")
def test_silent_units_do_not_stretch_the_wait_for_others() -> None:
    end = a_gateway(100)
    for unit in range(1, 100):
        end.link.show_lamp(unit=unit, lamp=Lamp.COMING, now_ns=end.now_ns)
    quiet(end, 600 * S)
    sound(end, SIREN, 100)
    began = len(end.sent)
    quiet(end, 2 * S)
    tries = [at_ns for at_ns, frame in end.sent[began:] if frame.unit == 100]
    assert tries[1] - tries[0] <= SLOW_LINE.confirm_ns(1) + 6 * SLOW_LINE.frame_ns


def test_a_silent_unit_that_is_heard_of_is_tried_at_once() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    quiet(end, 40 * S)
    assert end.link.silent
    heard(end, up(a_heartbeat(1), BOOT_1 + 1))
    began_ns = end.now_ns
    [frame] = next_frames(end)
    assert end.now_ns - began_ns < 300 * MS
    assert end.link.silent
    confirm(end, frame, BOOT_1 + 2)
    assert end.link.silent == set()


def test_a_silent_unit_that_owes_nothing_any_more_is_heard_of_and_not_silent() -> None:
    end = a_gateway()
    sound(end, SIREN)
    quiet(end, 200 * S)
    assert end.link.silent
    heard(end, up(a_heartbeat(1), BOOT_1 + 1))
    assert end.link.silent == set()


# Counters


def test_a_unit_that_finds_a_counter_old_is_asked_again_at_once_and_seldom_if_that_does_not_help() -> None:
    end = a_gateway()
    sound(end, SIREN)
    answered = 0
    for number in range(1, 40):
        for frame in quiet(end, 250 * MS):
            old = CommandDone(UNIT, frame.counter, Result.COUNTER_OLD, 500)
            assert end.hear(up(old, BOOT_1 + 2 * number)) == [old]
            answered += 1
    assert CONFIRM_TRIES <= answered <= CONFIRM_TRIES + 1


def test_a_unit_may_always_tell_its_floor() -> None:
    """Else a gateway that only answers would never learn that all its answers are too old."""
    end = a_gateway()
    old = CommandDone(UNIT, 12345, Result.COUNTER_OLD, 500)
    assert heard(end, up(old, BOOT_1 + 1)) == [old]
    assert heard(end, up(old, BOOT_1 + 1)) == []
    assert heard(end, up(CommandDone(UNIT, 12345, Result.DONE, 500), BOOT_1 + 2)) == []


@pytest.mark.proves("N13", "N14")
def test_a_unit_may_tell_its_floor_with_an_old_counter_if_it_names_our_last_frame() -> None:
    """One that lost its boot number would else never learn that it is challenged."""
    end, _ = challenged(up(a_press(4), BOOT_1 + 1))
    old = CommandDone(UNIT, end.sent[-1][1].counter, Result.COUNTER_OLD, 500)
    other = CommandDone(UNIT, end.sent[-1][1].counter + 1, Result.COUNTER_OLD, 500)
    assert heard(end, up(old, BOOT_1 + 2), up(other, BOOT_1 + 3)) == [old]


@pytest.mark.proves("N8")
def test_without_leased_counters_nothing_is_sent_and_nothing_is_lost() -> None:
    end = a_gateway(leased=0)
    sound(end, SIREN, 1, 2)
    end.link.answer(unit=3, boot=1, number=1)
    end.link.show_lamp(unit=4, lamp=Lamp.COMING, now_ns=end.now_ns)
    assert end.run(end.now_ns) == []
    assert end.link.starved
    assert end.link.next_due() == end.now_ns + STARVED_NS  # looked at again, and not at once
    end.counters.leased = 1
    assert len(quiet(end, 300 * MS)) == 1
    assert end.link.starved
    end.counters.leased = 1_000
    assert {frame.unit for frame in quiet(end, 2 * S)} == {1, 2, 3, 4}
    assert not end.link.starved


def test_answers_too_wait_for_counters() -> None:
    end = a_gateway(leased=2)
    for unit in (1, 2, 3):
        end.link.answer(unit=unit, boot=1, number=1)
    assert len(quiet(end)) == 2
    end.counters.leased = 10
    assert [frame.unit for frame in quiet(end)] == [3]


# Whose turn it is


def test_the_gateway_goes_right_after_a_frame_or_when_no_unit_wants_the_line() -> None:
    end = a_gateway()
    heard(end, up(a_press(4), BOOT_1 + 1))
    end.link.answer(unit=UNIT, boot=1, number=4)
    assert end.link.next_due() == START_NS
    late_ns = START_NS + SLOW_LINE.gateway_last_ns + 1
    assert end.link.data_to_send(late_ns) == b""
    assert end.link.next_due() == START_NS + SLOW_LINE.unused_ns
    assert end.link.data_to_send(START_NS + SLOW_LINE.unused_ns)


def test_the_gateway_does_not_interrupt_a_frame_and_leaves_a_gap_after_a_broken_one() -> None:
    end = a_gateway()
    sound(end, SIREN)
    end.hear(up(a_press(4), BOOT_1 + 1)[:20])
    busy_ns = START_NS + SLOW_LINE.frame_ns + SLOW_LINE.gateway_idle_ns
    assert end.link.next_due() == busy_ns
    assert end.link.data_to_send(busy_ns - 1) == b""
    assert end.link.data_to_send(busy_ns)


def test_after_a_burst_the_units_have_their_turn() -> None:
    end = a_gateway(20)
    sound(end, SIREN, *range(1, 21))
    assert len(end.run(end.now_ns)) == BURST_FRAMES
    quiet_ns = START_NS + BURST_FRAMES * SLOW_LINE.frame_ns
    assert end.link.next_due() == quiet_ns + SLOW_LINE.unused_ns
    end.now_ns = quiet_ns + 60 * MS
    heard(end, up(a_press(1), BOOT_1 + 1))
    assert len(end.run(end.now_ns)) == BURST_FRAMES  # one has used its turn


def test_units_that_talk_without_end_do_not_keep_the_gateway_from_its_turn() -> None:
    end = a_gateway(20)
    sound(end, SIREN, *range(1, 21))
    end.run(end.now_ns)
    end.now_ns += BURST_FRAMES * SLOW_LINE.frame_ns
    for _ in range(YIELD_FRAMES):
        assert len(end.sent) == BURST_FRAMES
        end.now_ns += SLOW_LINE.frame_ns
        end.hear(b"\x00\x05noise\x00")
        end.run(end.now_ns)
    assert len(end.sent) == 2 * BURST_FRAMES


def test_answers_go_in_between_confirmations_where_the_line_is_slow() -> None:
    end = a_gateway()
    sound(end, SIREN, *range(1, 11))
    burst = end.run(end.now_ns)
    for number in range(1, 8):
        end.link.answer(unit=number, boot=1, number=1)
    end.now_ns += len(burst) * SLOW_LINE.frame_ns + 50 * MS
    assert end.run(end.now_ns) == []
    confirm(end, burst[-1], BOOT_1 + 1)
    assert len(quiet(end, 2 * SLOW_LINE.frame_ns + MS)) == 2
    confirm(end, burst[-2], BOOT_1 + 1)
    assert len(end.run(end.now_ns)) == 1


def test_answers_do_not_go_in_between_where_the_line_is_fast() -> None:
    end = a_gateway(timing=FAST_LINE)
    sound(end, SIREN, 1, 2)
    burst = end.run(end.now_ns)
    end.link.answer(unit=3, boot=1, number=1)
    end.now_ns += len(burst) * FAST_LINE.frame_ns + MS
    confirm(end, burst[1], BOOT_1 + 1)
    assert end.run(end.now_ns) == []
    end.now_ns += FAST_LINE.frame_ns
    confirm(end, burst[0], BOOT_1 + 1)
    assert len(end.run(end.now_ns)) == 1


def test_a_burst_has_one_order_for_each_unit() -> None:
    """The turns to confirm are told apart by unit."""
    end = a_gateway()
    for unit in (1, 2):
        end.link.show_lamp(unit=unit, lamp=Lamp.COMING, now_ns=end.now_ns)
        end.link.tell(unit=unit, command=SetTime(1_000), now_ns=end.now_ns)
    assert commands(end.run(end.now_ns)) == [(1, ShowLamp(Lamp.COMING)), (2, ShowLamp(Lamp.COMING))]
    for frame in [frame for _, frame in end.sent]:
        end.now_ns += 200 * MS
        confirm(end, frame, BOOT_1 + 1)
    assert [type(command) for _, command in commands(next_frames(end))] == [SetTime, SetTime]


@pytest.mark.proves("N5", "N7")
def test_first_sirens_go_before_challenges_those_before_answers_and_those_before_the_rest() -> None:
    end = a_gateway({unit: UnitKey(key_of(unit), window=BOOT_1 + 9) for unit in range(1, 11)})
    end.link.tell(unit=1, command=SetTime(1_000), now_ns=end.now_ns)
    end.link.show_lamp(unit=2, lamp=Lamp.COMING, now_ns=end.now_ns)
    end.link.answer(unit=3, boot=1, number=1)
    heard(end, up(a_press(1, unit=4), BOOT_1 + 1, unit=4))
    sound(end, SIREN, 5)
    order = [type(frame.command) for frame in [*quiet(end, 0), *in_turn(end, frames=4)]]
    assert order == [Siren, Challenge, Kept, Siren, ShowLamp, SetTime]  # the siren was not confirmed


@pytest.mark.proves("N7")
def test_short_tones_for_guards_with_cards_delay_no_siren_and_no_answer() -> None:
    end = a_gateway()
    chirp = Siren(Pattern.CHIRP, volume=3, seconds=1, alarm=0, doors=(), own=True)
    sound(end, chirp, *range(1, 5))
    end.link.answer(unit=1, boot=1, number=1)
    sound(end, SIREN, 9)
    order = [frame.command for frame in [*quiet(end, 0), *in_turn(end, frames=1)]]
    assert order[0] == SIREN
    assert isinstance(order[1], Kept)


def test_a_short_tone_gives_way_to_a_siren_of_the_same_unit() -> None:
    end = a_gateway()
    sound(end, Siren(Pattern.CHIRP, volume=3, seconds=1, alarm=0, doors=(), own=True), 9)
    sound(end, SIREN, 9)
    assert [frame.command for frame in quiet(end, 0)] == [SIREN]


def in_turn(end: GatewayEnd, *, frames: int) -> list[Frame]:
    """The next frames of the gateway; after each of them, a unit uses its turn."""
    sent: list[Frame] = []
    counter = BOOT_1 + 20
    while len(sent) < frames:
        counter += 1
        end.now_ns += 3 * SLOW_LINE.frame_ns
        heard(end, up(a_press(counter & 0xFFFF, unit=9), counter, unit=9))
        sent += end.run(end.now_ns)
    return sent


@pytest.mark.proves("N7")
def test_answers_without_end_hold_nothing_else_up_for_much_more_than_a_second() -> None:
    end = a_gateway()
    end.link.show_lamp(unit=1, lamp=Lamp.COMING, now_ns=end.now_ns)
    counter = BOOT_1
    while not any(isinstance(frame.command, ShowLamp) for _, frame in end.sent):
        counter += 1
        heard(end, up(a_press(counter & 0xFFFF), counter))
        end.link.answer(unit=UNIT, boot=1, number=counter & 0xFFFF)
        end.run(end.now_ns)
        end.now_ns += 3 * SLOW_LINE.frame_ns
        assert end.now_ns < START_NS + 3 * S
    assert end.now_ns > START_NS + S


# Time and keys


def test_a_time_is_told_as_it_is_when_it_goes_out() -> None:
    end = a_gateway()
    end.link.tell(unit=UNIT, command=SetTime(1_000), now_ns=end.now_ns)
    quiet(end, 60 * S)
    assert len(end.sent) > CONFIRM_TRIES
    for at_ns, frame in end.sent:
        assert frame.command == SetTime(1_000 + (at_ns - START_NS) // S)


NEW_KEY = bytes(range(16))
HALVES = (KeyHalf(1, 0, NEW_KEY[:8]), KeyHalf(1, 1, NEW_KEY[8:]))


def offered() -> GatewayEnd:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY)})
    for half in HALVES:
        end.link.tell(unit=UNIT, command=half, now_ns=end.now_ns)
    return end


def test_the_halves_of_a_new_key_go_under_the_old_one() -> None:
    end = offered()
    [half] = end.run(end.now_ns)
    confirm(end, half, BOOT_1 + 1)
    frames = quiet(end)
    assert {half.command, frames[0].command} == set(HALVES)


@pytest.mark.proves("N13")
def test_the_first_frame_under_the_new_key_makes_the_old_one_void() -> None:
    end = offered()
    end.run(end.now_ns)
    assert heard(end, up(a_press(4), BOOT_1 + 1, key=NEW_KEY)) == [KeyTaken(UNIT), a_press(4)]
    assert heard(end, up(a_press(5), BOOT_1 + 2)) == [SealRefused(UNIT, known=True)]
    end.link.answer(unit=UNIT, boot=1, number=4)
    end.keys[UNIT] = NEW_KEY
    assert commands(quiet(end, 60 * S)) == [(UNIT, Kept(1, 4, Lamp.IDLE))]  # and no halves any more


@pytest.mark.proves("N13")
def test_while_a_new_key_is_offered_a_third_one_opens_nothing() -> None:
    end = offered()
    assert heard(end, up(a_press(4), BOOT_1 + 1, key=key_of(8))) == [SealRefused(UNIT, known=True)]


def halves(frames: list[Frame]) -> list[tuple[int, int, bytes]]:
    said = [frame.command for frame in frames]
    return [(one.key_id, one.half, one.material) for one in said if isinstance(one, KeyHalf)]


@pytest.mark.proves("N13")
def test_a_new_key_is_offered_half_by_half_and_anew_until_a_frame_came_under_it() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY)})
    end.link.offer_keys(end.now_ns)
    end.link.offer_keys(end.now_ns)
    frames = quiet(end, 60 * S)
    assert len(frames) > CONFIRM_TRIES
    [(first_id, half, material)] = set(halves(frames))
    assert (half, material) == (0, NEW_KEY[:8])
    confirm(end, frames[-1], BOOT_1 + 1)
    frames = quiet(end)
    assert set(halves(frames)) == {(first_id, 1, NEW_KEY[8:])}
    confirm(end, frames[-1], BOOT_1 + 2)  # and the unit lacks the first one: its power was gone in between
    assert quiet(end, 60 * S) == []
    end.link.offer_keys(end.now_ns)
    [(second_id, half, _)] = set(halves(quiet(end)))
    assert half == 0
    assert second_id != first_id, "halves of two offers make no key"
    assert heard(end, up(a_press(4), BOOT_1 + 3, key=NEW_KEY)) == [KeyTaken(UNIT), a_press(4)]
    assert end.link.key(UNIT) == NEW_KEY
    end.keys[UNIT] = NEW_KEY
    end.link.offer_keys(end.now_ns)
    assert quiet(end, 60 * S) == []


@pytest.mark.proves("N13")
def test_a_unit_that_took_an_earlier_offer_is_believed_by_it_and_offered_the_newest() -> None:
    earlier = bytes(range(100, 116))
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY, others=(earlier,))})
    end.link.offer_keys(end.now_ns)
    assert heard(end, up(a_press(4), BOOT_1 + 1, key=earlier)) == [KeyTaken(UNIT), a_press(4)]
    assert end.link.key(UNIT) == earlier
    assert heard(end, up(a_press(5), BOOT_1 + 2)) == [SealRefused(UNIT, known=True)]
    end.keys[UNIT] = earlier
    end.link.offer_keys(end.now_ns)
    assert {half for _, half, _ in halves(quiet(end))} == {0}
    assert heard(end, up(a_press(6), BOOT_1 + 3, key=NEW_KEY)) == [KeyTaken(UNIT), a_press(6)]
    assert heard(end, up(a_press(7), BOOT_1 + 4, key=earlier)) == [SealRefused(UNIT, known=True)]


@pytest.mark.proves("N13", "N12")
def test_a_frame_that_was_recorded_under_the_old_key_opens_nothing_after_the_new_one() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY)})
    recorded = up(a_press(4), BOOT_1 + 9)
    assert heard(end, up(a_press(5), BOOT_1 + 1, key=NEW_KEY)) == [KeyTaken(UNIT), a_press(5)]
    assert heard(end, recorded) == [SealRefused(UNIT, known=True)]
    end.link.set_units({UNIT: UnitKey(NEW_KEY, window=end.link.window(UNIT))})
    assert heard(end, recorded) == [SealRefused(UNIT, known=True)]


# The register changes


def test_a_unit_that_stays_keeps_its_window_and_its_states() -> None:
    end = a_gateway()
    heard(end, up(a_press(4), BOOT_1 + 5))
    sound(end, SIREN)
    end.link.set_units({UNIT: UnitKey(key_of(UNIT))})
    assert end.link.window(UNIT) == BOOT_1 + 5
    assert commands(next_frames(end)) == [(UNIT, SIREN)]


def test_a_unit_that_goes_is_told_nothing_any_more_and_is_unknown() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 9), 8: UnitKey(key_of(8))})
    heard(end, up(a_press(4), BOOT_1 + 5))
    sound(end, SIREN)
    quiet(end, 60 * S)
    end.link.show_lamp(unit=UNIT, lamp=Lamp.COMING, now_ns=end.now_ns)
    end.link.answer(unit=UNIT, boot=1, number=4)
    end.link.answer(unit=8, boot=1, number=4)
    heard(end, up(a_press(5), BOOT_1 + 6))
    end.link.set_units({8: UnitKey(key_of(8))})
    assert end.link.silent == set()
    assert {frame.unit for frame in quiet(end, 60 * S)} == {8}
    assert heard(end, up(a_press(6), BOOT_1 + 10)) == [SealRefused(UNIT, known=False)]


@pytest.mark.proves("N9")
def test_what_a_unit_said_before_it_went_is_told_all_the_same() -> None:
    end = a_gateway({UNIT: UnitKey(key_of(UNIT), window=BOOT_1 + 9)})
    heard(end, up(a_press(4), BOOT_1 + 5))
    end.link.set_units({})
    assert end.link.advance(end.now_ns + CHALLENGE_NS) == [replace(a_press(4), proof=Proof.STALE)]


def test_a_key_that_was_taken_stays_when_the_caller_does_not_know_it_yet() -> None:
    end = offered()
    heard(end, up(a_press(4), BOOT_1 + 1, key=NEW_KEY))
    end.link.set_units({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY)})
    assert heard(end, up(a_press(5), BOOT_1 + 2, key=NEW_KEY)) == [a_press(5)]
    end.link.set_units({UNIT: UnitKey(NEW_KEY)})
    assert heard(end, up(a_press(6), BOOT_1 + 3, key=NEW_KEY)) == [a_press(6)]


def test_a_unit_that_was_given_another_key_by_hand_has_it() -> None:
    end = a_gateway()
    end.link.set_units({UNIT: UnitKey(NEW_KEY)})
    assert heard(end, up(a_press(5), BOOT_1 + 1, key=NEW_KEY)) == [a_press(5)]
    assert heard(end, up(a_press(6), BOOT_1 + 2)) == [SealRefused(UNIT, known=True)]


def test_an_offer_can_be_made_and_taken_back() -> None:
    end = a_gateway()
    end.link.set_units({UNIT: UnitKey(key_of(UNIT), next_key=NEW_KEY)})
    end.link.set_units({UNIT: UnitKey(key_of(UNIT))})
    assert heard(end, up(a_press(5), BOOT_1 + 1, key=NEW_KEY)) == [SealRefused(UNIT, known=True)]


def test_wishes_about_a_unit_that_is_not_known_are_ignored() -> None:
    end = a_gateway()
    end.link.sound(unit=99, siren=SIREN, now_ns=end.now_ns)
    end.link.show_lamp(unit=99, lamp=Lamp.COMING, now_ns=end.now_ns)
    end.link.set_lamp(unit=99, lamp=Lamp.COMING)
    end.link.tell(unit=99, command=SetTime(1), now_ns=end.now_ns)
    end.link.answer(unit=99, boot=1, number=1)
    assert quiet(end, 60 * S) == []


# Cost


def test_hundreds_of_units_that_owe_a_confirmation_cost_no_more_than_ten() -> None:
    """Not a timed test but a compared one: the work of a call must not grow with the units that owe something."""

    def microseconds(units: int) -> float:
        end = a_gateway(units, timing=FAST_LINE)
        sound(end, SIREN, *range(1, units + 1))
        quiet(end, 5 * S)
        best = float("inf")
        for _ in range(20):
            began = perf_counter()
            for _ in range(100):
                end.link.next_due()
                end.link.data_to_send(end.now_ns)
            best = min(best, perf_counter() - began)
        return best * 1e4

    assert microseconds(1000) < 5 * microseconds(10)


def test_wishes_that_change_all_the_time_are_not_kept() -> None:
    end = a_gateway(10)
    end.hear(b"\x55")
    for number in range(5_000):
        sound(end, replace(SIREN, pattern=Pattern(1 + number % 6), alarm=number), *range(1, 11))
        end.link.next_due()
    assert sum(len(queue) for queue in end.link._queues.values()) < 100
