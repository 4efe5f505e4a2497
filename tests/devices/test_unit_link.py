"""The unit's role of the native link: docs/link.md, "A unit on the line"."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.commands import Challenge, Kept, KeyHalf, Lamp, Pattern, Result, SetTime, ShowLamp, Siren, Stop
from devices.frames import DOWN, FRAME_BYTES, UP, build_frame
from devices.readings import (
    Answer,
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    FreshProof,
    Key,
    Numbered,
    Part,
    PartFailed,
    PressEnded,
    Sounded,
    TagRead,
    TestPressed,
)
from devices.sealing import Seal
from devices.timing import FIRST_WINDOW, MS, SLOW_REPEAT_NS, LineTiming, S
from devices.unit_link import (
    LAST_BOOT,
    LAST_FRAME,
    LAST_NUMBER,
    MOST_CONFIRMATIONS,
    MOST_WAITING,
    ROLL_OVER,
    Order,
    UnitLink,
)
from tests.devices.link_ends import (
    SEALED,
    SLOW_LINE,
    START_NS,
    UNIT,
    UnitEnd,
    a_heartbeat,
    a_press,
    a_unit,
    down,
    key_of,
    read,
    up,
)

CHAR = SLOW_LINE.char_ns
SIREN = Siren(Pattern.PANIC, 3, 180, 1, (5,))


def numbers(end: UnitEnd) -> list[int]:
    return [frame.said.number for _, frame in end.sent if isinstance(frame.said, Numbered)]


def say(end: UnitEnd, message: Numbered) -> None:
    end.link.say(message, end.now_ns)


# Saying


@pytest.mark.proves("N5")
def test_a_press_on_a_silent_line_is_said_at_once() -> None:
    end = a_unit()
    say(end, a_press(1))
    [frame] = end.run(START_NS)
    assert frame.said == a_press(1)
    assert (frame.direction, frame.unit, frame.counter) == (UP, UNIT, 0x0001_0001)


@pytest.mark.proves("N1", "N3")
def test_a_message_is_said_until_a_kept_names_it_in_a_fresh_frame_each_time() -> None:
    end = a_unit(seed=1)
    say(end, a_press(3))
    said = end.run(START_NS + 60 * S)
    assert len(said) > 20
    assert len({frame.counter for frame in said}) == len(said)
    end.hear(down(Kept(1, 3, Lamp.KEPT), 1))
    assert end.link.unanswered == []
    assert end.link.next_due() is None
    assert end.link.data_to_send(end.now_ns) == b""


@pytest.mark.parametrize("kept", [Kept(1, 4, Lamp.KEPT), Kept(2, 3, Lamp.KEPT)])
def test_a_kept_for_another_message_or_another_boot_answers_nothing(kept: Kept) -> None:
    end = a_unit()
    say(end, a_press(3))
    end.hear(down(kept, 1))
    assert end.link.unanswered == [a_press(3)]


def test_a_repeated_press_and_tag_tell_how_long_ago_it_was() -> None:
    end = a_unit()
    say(end, a_press(1, age_ms=300))
    end.run(START_NS + 10 * S)
    for at_ns, frame in end.sent:
        assert isinstance(frame.said, ButtonPressed)
        assert frame.said.age_ms == (at_ns - START_NS + 300 * MS) // (100 * MS) * 100
    tag = a_unit()
    say(tag, TagRead(UNIT, 1, 1, "0A", 0, SEALED))
    tag.run(START_NS + S)
    last = tag.sent[-1][1].said
    assert isinstance(last, TagRead)
    assert last.age_ms > 0


@pytest.mark.proves("N7")
def test_while_a_press_waits_for_its_first_answers_nothing_else_is_said() -> None:
    end = a_unit(seed=2)
    say(end, TagRead(UNIT, 1, 1, "0A", 0, SEALED))
    say(end, a_heartbeat(2))
    say(end, a_press(3))
    end.run(START_NS + 2 * S)
    assert set(numbers(end)) == {3}
    end.run(START_NS + 60 * S)
    assert set(numbers(end)) == {1, 2, 3}


def test_what_matters_more_is_said_first_and_what_came_first_before_its_like() -> None:
    end = a_unit()
    messages: list[Numbered] = [
        TestPressed(UNIT, 1, 1, SEALED),
        TagRead(UNIT, 1, 2, "0A", 0, SEALED),
        AnswerGiven(UNIT, 1, 3, Answer.GOING, 9, SEALED),
        CancelPressed(UNIT, 1, 4, 0, SEALED),
        a_press(5),
        a_press(6),
    ]
    for message in messages:
        say(end, message)
    assert [message.number for message in end.link.unanswered] == [5, 6, 3, 4, 2, 1]
    for counter, number in enumerate([5, 6], start=1):
        [frame] = end.run(end.link.next_due() or 0)
        assert isinstance(frame.said, ButtonPressed)
        assert frame.said.number == number
        end.now_ns += SLOW_LINE.frame_ns
        end.hear(down(Kept(1, number, Lamp.KEPT), counter))
    end.run(end.now_ns + S)
    assert numbers(end)[:6] == [5, 6, 3, 4, 2, 1]


@pytest.mark.proves("N7")
def test_who_is_not_answered_says_one_thing_every_two_seconds_in_turn() -> None:
    """A gateway that is away for hours must not come back to a line full of repeats."""
    end = a_unit(seed=3)
    for number in range(1, 21):
        say(end, TagRead(UNIT, 1, number, "0A", 0, SEALED))
    end.run(START_NS + 300 * S)
    before = len(end.sent)
    end.run(START_NS + 400 * S)
    late = numbers(end)[before:]
    assert 40 <= len(late) <= 50
    assert set(late) == set(range(1, 21))


def test_the_first_answer_after_a_long_silence_lets_everything_out_at_once() -> None:
    end = a_unit(seed=4)
    for number in range(1, 21):
        say(end, TagRead(UNIT, 1, number, "0A", 0, SEALED))
    end.run(START_NS + 300 * S)
    began_ns, counter = end.now_ns, 0
    while end.link.unanswered:
        [frame] = end.run(end.link.next_due() or 0)
        assert isinstance(frame.said, TagRead)
        end.now_ns += SLOW_LINE.frame_ns + 10 * MS
        counter += 1
        end.hear(down(Kept(1, frame.said.number, Lamp.IDLE), counter))
    assert counter == 20
    assert end.now_ns - began_ns < SLOW_REPEAT_NS + 20 * 200 * MS


@pytest.mark.proves("N7")
def test_a_unit_that_nobody_answers_keeps_presses_and_drops_the_newest_of_the_least() -> None:
    end = a_unit()
    for number in range(1, MOST_WAITING + 11):
        say(end, TestPressed(UNIT, 1, number, SEALED))
    assert end.link.dropped == 10
    for number in range(100, 103):
        say(end, a_press(number))
    assert [message.number for message in end.link.unanswered] == [100, 101, 102, *range(1, MOST_WAITING - 2)]
    assert end.link.dropped == 13


def test_a_heartbeat_takes_the_place_of_one_that_was_not_answered() -> None:
    end = a_unit()
    say(end, a_press(1))
    say(end, a_heartbeat(2))
    say(end, a_heartbeat(3))
    assert end.link.unanswered == [a_press(1), a_heartbeat(3)]
    assert end.link.dropped == 0


def test_message_numbers_begin_anywhere_and_go_round() -> None:
    """Should a boot number ever come twice, a press must not pass for one that the gateway knows."""
    link = UnitLink(unit=UNIT, key=key_of(UNIT), boot=1, floor=0, timing=SLOW_LINE, draw=lambda below: below - 1)
    assert [link.take_number() for _ in range(3)] == [LAST_NUMBER, 1, 2]
    assert a_unit().link.take_number() == 1


# Nobody can tell a duress press from a heartbeat


def others() -> list[Numbered]:
    kinds: list[Numbered] = [a_press(1, key=key) for key in Key]
    return [
        *kinds,
        PressEnded(UNIT, 1, 1, 1, 100, SEALED),
        PartFailed(UNIT, 1, 1, Part.COVER, SEALED),
        TestPressed(UNIT, 1, 1, SEALED),
        TagRead(UNIT, 1, 1, "0A", 0, SEALED),
        AnswerGiven(UNIT, 1, 1, Answer.GOING, 1, SEALED),
    ]


@pytest.mark.proves("A3", "N4")
@pytest.mark.parametrize("message", others(), ids=repr)
@pytest.mark.parametrize("baud", [9600, 115200])
def test_everything_is_repeated_on_the_schedule_of_a_heartbeat(message: Numbered, baud: int) -> None:
    def schedule(said: Numbered) -> list[tuple[int, int]]:
        end = a_unit(seed=5, timing=LineTiming(baud, FRAME_BYTES))
        say(end, said)
        end.run(START_NS + 120 * S)
        return [(at_ns, frame.counter) for at_ns, frame in end.sent]

    assert schedule(message) == schedule(a_heartbeat(1))


@pytest.mark.proves("A3")
def test_a_duress_press_is_answered_and_forgotten_as_a_heartbeat_is() -> None:
    def seen(said: Numbered) -> list[Order]:
        end = a_unit()
        say(end, said)
        end.run(START_NS)
        orders = end.hear(down(Kept(1, said.number, Lamp.IDLE), 1))
        assert end.link.unanswered == []
        assert end.link.next_due() is None
        return orders

    assert seen(a_press(1, key=Key.DURESS)) == seen(a_heartbeat(1)) == [Order(1, Kept(1, 1, Lamp.IDLE))]


# The line


def test_a_unit_waits_for_eight_characters_of_silence_and_its_slots() -> None:
    link = UnitLink(unit=UNIT, key=key_of(UNIT), boot=1, floor=0, timing=SLOW_LINE, draw=lambda below: below // 4)
    link.receive_data(up(a_press(1, unit=8), 0x1_0001, unit=8), START_NS)
    link.say(a_press(1), START_NS)
    due = link.next_due()
    assert due == START_NS + 8 * CHAR + FIRST_WINDOW // 4 * 4 * CHAR
    assert link.data_to_send(due - 1) == b""
    assert len(link.data_to_send(due)) == FRAME_BYTES


def test_a_unit_does_not_interrupt_a_frame() -> None:
    end = a_unit()
    frame = up(a_press(1, unit=8), 0x1_0001, unit=8)
    say(end, a_press(1))
    for place, byte in enumerate(frame[:-1]):
        end.link.receive_data(bytes([byte]), START_NS + place * CHAR)
        assert end.link.data_to_send(START_NS + place * CHAR) == b""
    assert (end.link.next_due() or 0) >= START_NS + len(frame) * CHAR


def test_a_lone_disturbance_keeps_the_line_busy_for_one_frame_and_not_for_ever() -> None:
    end = a_unit()
    say(end, a_press(1))
    end.hear(b"\x55")
    due = end.link.next_due()
    assert due is not None
    assert due <= START_NS + SLOW_LINE.frame_ns + SLOW_LINE.idle_ns
    assert end.run(due)


def test_hearing_nothing_changes_nothing() -> None:
    end = a_unit()
    say(end, a_press(1))
    due = end.link.next_due()
    assert end.hear(b"") == []
    assert end.link.next_due() == due


def test_slots_that_passed_are_taken_off_when_somebody_else_was_first() -> None:
    link = UnitLink(unit=UNIT, key=key_of(UNIT), boot=1, floor=0, timing=SLOW_LINE, draw=lambda below: below // 4)
    other = up(a_press(1, unit=8), 0x1_0001, unit=8)
    link.receive_data(other, START_NS)
    link.say(a_press(1), START_NS)
    later_ns = START_NS + SLOW_LINE.idle_ns + 5 * SLOW_LINE.slot_ns
    link.receive_data(other, later_ns)
    assert link.next_due() == later_ns + SLOW_LINE.idle_ns + (FIRST_WINDOW // 4 - 5) * SLOW_LINE.slot_ns


def test_slots_count_only_from_when_there_is_something_to_say() -> None:
    link = UnitLink(unit=UNIT, key=key_of(UNIT), boot=1, floor=0, timing=SLOW_LINE, draw=lambda below: below // 4)
    other = up(a_press(1, unit=8), 0x1_0001, unit=8)
    link.receive_data(other, START_NS)
    link.receive_data(other, START_NS + 10 * S)
    link.say(a_press(1), START_NS + 10 * S)
    assert link.next_due() == START_NS + 10 * S + SLOW_LINE.idle_ns + FIRST_WINDOW // 4 * SLOW_LINE.slot_ns


def window_after(link: UnitLink, *silences_slots: int) -> int:
    """Hear a good frame behind each of these silences, and return among how many slots the unit draws then."""
    good = up(a_press(1, unit=8), 0x1_0001, unit=8)
    link.receive_data(good, START_NS)
    now_ns = START_NS
    for slots in silences_slots:
        now_ns += SLOW_LINE.idle_ns + slots * SLOW_LINE.slot_ns
        link.receive_data(good, now_ns)
    return link._window


def test_collisions_widen_the_window_and_unused_silences_narrow_it() -> None:
    def collided() -> UnitLink:
        link = a_unit().link
        for _ in range(20):
            link.receive_data(b"\x00\x05broken\x00", START_NS)
        return link

    assert window_after(a_unit().link, 0, 0) == FIRST_WINDOW
    widest = window_after(collided())
    assert widest == SLOW_LINE.last_window > FIRST_WINDOW
    assert window_after(collided(), 0, 5) == widest
    assert window_after(collided(), 7) == max(widest - widest // 8, FIRST_WINDOW)
    assert window_after(collided(), 13) == max(widest // 2, FIRST_WINDOW)
    assert window_after(collided(), widest + 1) == FIRST_WINDOW


@pytest.mark.parametrize("inside", [False, True])
def test_overhearing_is_hearing_a_frame_for_somebody_else(inside: bool) -> None:
    heard, overheard = a_unit(seed=6), a_unit(seed=6)
    frame = up(a_press(1, unit=8), 0x1_0001, unit=8)
    begin_ns, end_ns = START_NS + 50 * MS, START_NS + 50 * MS + 36 * CHAR
    for end in (heard, overheard):
        say(end, a_press(1))
        if inside:
            end.hear(b"\x55")
    heard.link.receive_data(frame[:2], begin_ns)
    heard.link.receive_data(frame[2:], end_ns)
    overheard.link.overhear(begin_ns, end_ns)
    assert heard.link.next_due() == overheard.link.next_due()
    assert heard.run(START_NS + 10 * S) == overheard.run(START_NS + 10 * S)


# Orders


@pytest.mark.parametrize("command", [Kept(1, 1, Lamp.KEPT), ShowLamp(Lamp.COMING), SIREN, Stop(), SetTime(5)])
def test_an_order_for_me_comes_out_once(
    command: Kept | ShowLamp | Siren | Stop | SetTime,
) -> None:
    end = a_unit()
    frame = down(command, 12)
    assert end.hear(frame) == [Order(12, command)]
    assert end.link.floor == 12
    assert end.hear(frame) == []


@pytest.mark.proves("N12", "N13")
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(down(SIREN, 12, unit=8), id="for another unit"),
        pytest.param(down(SIREN, 12, key=key_of(8)), id="with another key"),
        pytest.param(build_frame(Seal(key_of(UNIT)), 2, UNIT, 12, bytes(16)), id="of another direction"),
        pytest.param(up(a_press(1), 0x1_0001), id="my own"),
    ],
)
def test_what_is_not_for_me_does_nothing(frame: bytes) -> None:
    end = a_unit()
    assert end.hear(frame) == []
    assert end.link.floor == 0
    assert not end.link.owes_confirmation


@pytest.mark.proves("N12")
def test_a_recorded_order_is_refused_and_the_unit_tells_its_floor() -> None:
    end = a_unit(floor=300)
    for counter in (1, 300):
        assert end.hear(down(SIREN, counter)) == []
        [frame] = end.run(end.now_ns + S)
        assert frame.said == CommandDone(UNIT, counter, Result.COUNTER_OLD, 300)
    assert end.hear(down(SIREN, 301)) == [Order(301, SIREN)]


def test_a_flood_of_recorded_orders_is_confirmed_once_and_never_before_what_was_done() -> None:
    end = a_unit(floor=300)
    end.hear(down(SIREN, 301))
    end.link.confirm(Sounded(UNIT, 301, Pattern.PANIC, works=True))
    for counter in range(1, 200):
        end.hear(down(SIREN, counter))
    said = [frame.said for frame in end.run(end.now_ns + 60 * S)]
    assert said == [
        Sounded(UNIT, 301, Pattern.PANIC, works=True),
        CommandDone(UNIT, 199, Result.COUNTER_OLD, 301),
    ]


def test_confirmations_that_the_line_does_not_take_are_forgotten_from_the_oldest_on() -> None:
    end = a_unit()
    for counter in range(1, 50):
        end.link.confirm(Sounded(UNIT, counter, Pattern.PANIC, works=True))
    said = [frame.said for frame in end.run(end.now_ns + 60 * S)]
    newest = range(50 - MOST_CONFIRMATIONS, 50)
    assert said == [Sounded(UNIT, counter, Pattern.PANIC, works=True) for counter in newest]


def test_an_order_of_a_later_version_is_confirmed_as_not_supported() -> None:
    end = a_unit()
    frame = build_frame(Seal(key_of(UNIT)), DOWN, UNIT, 5, b"\x99" + bytes(15))
    assert end.hear(frame) == []
    [confirmed] = end.run(end.now_ns + S)
    assert confirmed.said == CommandDone(UNIT, 5, Result.NOT_SUPPORTED, 5)


@pytest.mark.proves("N12", "N13")
def test_a_challenge_is_given_back() -> None:
    end = a_unit()
    assert end.hear(down(Challenge(b"8 random"), 5)) == []
    [frame] = end.run(end.now_ns + S)
    assert frame.said == FreshProof(UNIT, 1, b"8 random")


# Whose turn it is to confirm


def heard_burst(*units: int, mine: int) -> UnitEnd:
    """The unit hears a burst to these units; one frame of it is its own."""
    end = a_unit()
    for counter, unit in enumerate(units, start=1):
        end.hear(down(SIREN, counter, unit=unit))
    end.link.confirm(Sounded(UNIT, mine, Pattern.PANIC, works=True))
    return end


def test_the_last_of_a_burst_confirms_first_and_the_others_backwards() -> None:
    last = heard_burst(1, 2, UNIT, mine=3).link.next_due()
    middle = heard_burst(1, UNIT, 2, mine=2).link.next_due()
    earliest = heard_burst(UNIT, 1, 2, mine=1).link.next_due()
    assert last == START_NS + 5 * CHAR
    assert middle == START_NS + 5 * CHAR + SLOW_LINE.slot_ns
    assert earliest == START_NS + 5 * CHAR + 2 * SLOW_LINE.slot_ns


def test_each_confirmation_that_is_heard_brings_my_turn_nearer() -> None:
    end = heard_burst(UNIT, 1, 2, 3, mine=1)
    end.hear(up(Sounded(3, 4, 2, works=True), 0x1_0001, unit=3))
    assert end.link.next_due() == START_NS + 5 * CHAR + 2 * SLOW_LINE.slot_ns
    end.hear(up(Sounded(1, 2, 2, works=True), 0x1_0001, unit=1))
    assert end.link.next_due() == START_NS + 5 * CHAR  # 2 was silent, and had its turn before 1


def test_a_stranger_s_frame_is_nobody_s_turn() -> None:
    end = heard_burst(UNIT, 1, 2, mine=1)
    end.hear(up(a_press(1, unit=9), 0x1_0001, unit=9))
    assert end.link.next_due() == START_NS + 5 * CHAR + 2 * SLOW_LINE.slot_ns


def test_an_answer_in_between_does_not_add_to_a_burst() -> None:
    end = heard_burst(UNIT, 1, mine=1)
    end.hear(up(Sounded(1, 2, 2, works=True), 0x1_0001, unit=1))
    end.hear(down(Kept(1, 1, Lamp.KEPT), 9, unit=4))
    assert end.link.next_due() == START_NS + 5 * CHAR


def test_after_its_confirmation_a_unit_waits_for_nobody_any_more() -> None:
    end = heard_burst(UNIT, 1, 2, mine=1)
    end.run(START_NS + 100 * MS)
    end.hear(down(SIREN, 4, unit=1))
    end.link.confirm(Sounded(UNIT, 4, Pattern.PANIC, works=True))
    assert end.link.next_due() == end.now_ns + 5 * CHAR


# Keys

NEW_KEY = bytes(range(16))
HALVES = [KeyHalf(1, 0, NEW_KEY[:8]), KeyHalf(1, 1, NEW_KEY[8:])]


def results(end: UnitEnd, *halves: KeyHalf) -> list[int]:
    """Tell the unit these halves under its old key, and return what it confirms."""
    told = []
    for half in halves:
        counter = end.link.floor + 1
        assert end.hear(down(half, counter)) == []
        [frame] = end.run(end.now_ns + S)
        assert isinstance(frame.said, CommandDone)
        assert frame.said.counter == counter
        told.append(frame.said.result)
    return told


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_new_key_seals_once_both_halves_are_in(order: tuple[int, int]) -> None:
    end = a_unit()
    assert results(end, *(HALVES[half] for half in order)) == [Result.KEY_INCOMPLETE, Result.DONE]
    assert end.link.key == NEW_KEY
    say(end, a_press(1))
    assert end.run(end.now_ns + 100 * MS)[0].said == a_press(1)


def test_halves_of_two_keys_make_no_key() -> None:
    end = a_unit()
    mixed = KeyHalf(2, 1, bytes(8))
    assert results(end, HALVES[0], mixed, HALVES[0]) == [Result.KEY_INCOMPLETE] * 3
    assert end.link.key == key_of(UNIT)
    assert results(end, HALVES[1]) == [Result.DONE]


@pytest.mark.proves("N5", "N13")
def test_the_old_key_opens_until_the_new_one_has() -> None:
    """The gateway may not have heard that the unit has the new key: its sirens must get through all the same."""
    end = a_unit()
    results(end, *HALVES)
    assert end.hear(down(SIREN, 10)) == [Order(10, SIREN)]
    assert end.hear(down(Stop(), 11, key=NEW_KEY)) == [Order(11, Stop())]
    assert end.hear(down(SIREN, 12)) == []
    assert end.hear(down(SIREN, 13, key=NEW_KEY)) == [Order(13, SIREN)]


# Counters


@pytest.mark.proves("N3", "F42")
def test_the_boot_number_rolls_over_when_nothing_waits_any_more() -> None:
    end = a_unit(boot=4)
    say(end, a_press(1, boot=4))
    end.link.frame = ROLL_OVER - 1
    end.run(START_NS)
    assert (end.link.boot, end.link.frame) == (4, ROLL_OVER)
    end.hear(down(Kept(4, 1, Lamp.KEPT), 1))
    assert (end.link.boot, end.link.frame) == (5, 0)
    say(end, a_press(2, boot=5))
    assert end.run(START_NS + S)[0].counter == 0x0005_0001


def test_the_boot_number_does_not_roll_over_under_a_message_that_waits() -> None:
    """It is part of the press key: the same press would be another one."""
    end = a_unit(boot=4)
    say(end, a_press(1, boot=4))
    say(end, TestPressed(UNIT, 4, 2, SEALED))
    end.link.frame = ROLL_OVER
    end.hear(down(Kept(4, 1, Lamp.KEPT), 1))
    assert end.link.boot == 4
    end.hear(down(Kept(4, 2, Lamp.KEPT), 2))
    assert end.link.boot == 5


def test_a_frame_number_is_never_used_twice_even_if_nobody_ever_answers() -> None:
    end = a_unit(boot=LAST_BOOT)
    say(end, a_press(1, boot=LAST_BOOT))
    end.link.frame = LAST_FRAME - 1
    end.run(START_NS + 2 * S)
    assert [frame.counter for _, frame in end.sent[:3]] == [0xFFFF_FFFF, 0x0001_0001, 0x0001_0002]


@given(st.lists(st.binary(max_size=120) | st.integers(1, 40).map(lambda n: down(SIREN, n)), max_size=20), st.integers())
def test_whatever_is_heard_raises_nothing_and_keeps_little(heard: list[bytes], seed: int) -> None:
    end = a_unit(seed=seed)
    dice = Random(seed)
    say(end, a_press(1))
    for data in heard:
        end.now_ns += dice.randrange(100 * MS)
        for order in end.hear(data):
            end.link.confirm(Sounded(UNIT, order.counter, Pattern.PANIC, works=True))
        read(end.link.data_to_send(end.now_ns))
    assert end.link.unanswered == [a_press(1)]
    assert len(end.link._confirmations) <= MOST_CONFIRMATIONS
