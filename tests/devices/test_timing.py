"""The numbers of the native link: docs/link.md, "Timing"."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.carrier import Carrier
from devices.frames import FRAME_BYTES
from devices.timing import (
    BURST_FRAMES,
    FIRST_SPREAD,
    FIRST_WINDOW,
    LAST_SPREAD,
    LAST_WINDOW_NS,
    MS,
    QUICK_TRIES,
    REACTION_NS,
    SLOW_REPEAT_NS,
    LineTiming,
    S,
)
from tests.devices.link_ends import SLOW_LINE, START_NS, a_press, a_unit

BAUDS = (9600, 19200, 38400, 57600, 115200)
LINES = pytest.mark.parametrize("line", [LineTiming(baud, FRAME_BYTES) for baud in BAUDS], ids=str)
DOCUMENT = (Path(__file__).parents[2] / "docs/link.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("baud", "char_ns", "frame_us"), [(9600, 1_041_666, 37_499), (115200, 86_805, 3_124)])
def test_a_character_has_ten_bits_and_a_frame_36_characters(baud: int, char_ns: int, frame_us: int) -> None:
    line = LineTiming(baud, FRAME_BYTES)
    assert line.char_ns == char_ns
    assert line.frame_ns // 1_000 == frame_us
    assert line.wire_ns(3) == 3 * char_ns


@LINES
def test_nobody_may_speak_at_a_moment_that_is_another_s(line: LineTiming) -> None:
    """Gateway after a frame, then whoever confirms in turn, then units by lot, then the gateway again."""
    assert line.gateway_last_ns < line.idle_ns < line.unused_ns
    assert line.turn_idle_ns < line.idle_ns or line.idle_ns == REACTION_NS
    assert line.gateway_idle_ns < line.turn_idle_ns
    assert line.idle_ns >= REACTION_NS


@LINES
def test_a_unit_hears_another_within_a_slot(line: LineTiming) -> None:
    """Its delimiter and its first byte: then it knows that a frame has begun."""
    assert line.slot_ns >= 2 * line.char_ns


@LINES
def test_nobody_is_asked_again_before_its_turn_can_be_over(line: LineTiming) -> None:
    turns_ns = BURST_FRAMES * (line.frame_ns + line.turn_idle_ns)
    assert line.confirm_ns(BURST_FRAMES) > turns_ns
    assert line.answer_ns > 2 * line.frame_ns + 100 * MS


@pytest.mark.proves("N5")
@LINES
def test_ten_first_sirens_are_heard_within_half_a_second(line: LineTiming) -> None:
    assert BURST_FRAMES * line.frame_ns < S // 2


@LINES
def test_a_unit_draws_among_more_slots_where_more_units_fit(line: LineTiming) -> None:
    assert line.last_window >= FIRST_WINDOW
    assert line.last_window * line.slot_ns <= max(LAST_WINDOW_NS, FIRST_WINDOW * line.slot_ns)
    row = next(row for row in DOCUMENT.splitlines() if row.startswith("| most slots drawn among |"))
    written = dict(zip((9600, 19200, 57600, 115200), row.split("|")[3:7], strict=True))
    if line.baud in written:
        assert line.last_window == int(written[line.baud])


def test_only_a_slow_line_leaves_room_for_answers_between_confirmations() -> None:
    assert LineTiming(16_600, FRAME_BYTES).inserts_answers
    assert not LineTiming(19_200, FRAME_BYTES).inserts_answers
    assert "16,600" in DOCUMENT


@pytest.mark.proves("N7")
@LINES
@pytest.mark.parametrize("silent", [1, 10, 300])
def test_units_that_confirm_nothing_get_a_twentieth_of_the_line(line: LineTiming, silent: int) -> None:
    every_ns = line.silent_ns(silent)
    assert every_ns >= 10 * S
    assert silent * line.frame_ns <= every_ns // 20


@LINES
def test_further_doors_leave_the_line_to_presses(line: LineTiming) -> None:
    assert line.update_ns(1) >= S
    assert line.update_ns(300) >= 8 * 300 * line.frame_ns


def test_the_waits_of_a_unit_are_those_of_the_page() -> None:
    """Each try is a frame, a wait, and by lot some slots: here none."""
    end = a_unit()
    end.link.say(a_press(1), START_NS)
    end.run(START_NS + 30 * S)
    waits = [later - earlier - SLOW_LINE.frame_ns for (earlier, _), (later, _) in pairwise(end.sent)]
    answer_ns = SLOW_LINE.answer_ns
    assert waits[:9] == [factor * answer_ns for factor in (1, 1, 1, 2, 2, 4, 4, 8, 8)]
    assert set(waits[9:]) == {SLOW_REPEAT_NS}
    assert "`answer` after each of the first three tries, twice that after the next two" in DOCUMENT
    assert f"After {QUICK_TRIES} tries" in DOCUMENT


def test_what_is_drawn_by_lot_grows_with_the_tries() -> None:
    asked: list[int] = []

    def draw(below: int) -> int:
        asked.append(below)
        return 0

    end = a_unit()
    end.link._draw = draw
    end.link.say(a_press(1), START_NS)
    end.run(START_NS + 5 * S)
    spreads = [below for below in asked if below not in {FIRST_WINDOW, end.link._window}]
    assert FIRST_SPREAD in spreads
    assert LAST_SPREAD in spreads
    assert spreads == sorted(spreads)


# Carrier sense


def test_a_line_is_silent_from_the_end_of_what_was_heard_or_sent() -> None:
    carrier = Carrier(SLOW_LINE)
    carrier.heard(START_NS, inside_frame=False)
    assert (carrier.quiet_ns, carrier.clean) == (START_NS, True)
    carrier.sends(START_NS + MS, 36)
    assert carrier.quiet_ns == START_NS + MS + SLOW_LINE.frame_ns


def test_the_rest_of_a_frame_that_began_is_on_its_way() -> None:
    carrier = Carrier(SLOW_LINE)
    carrier.heard(START_NS, inside_frame=True, began=True)
    assert (carrier.quiet_ns, carrier.clean) == (START_NS + SLOW_LINE.frame_ns, False)
    carrier.heard(START_NS + 30 * MS, inside_frame=True)
    assert carrier.quiet_ns == START_NS + SLOW_LINE.frame_ns
    carrier.heard(START_NS + 37 * MS, inside_frame=False)
    assert (carrier.quiet_ns, carrier.clean) == (START_NS + 37 * MS, True)


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans(), st.booleans()), max_size=30))
def test_no_disturbance_keeps_a_line_busy_for_longer_than_a_frame(heard: list[tuple[int, bool, bool]]) -> None:
    carrier, now_ns = Carrier(SLOW_LINE), START_NS
    for after_ms, inside, began in heard:
        now_ns += after_ms * MS
        carrier.heard(now_ns, inside_frame=inside, began=began)
        assert now_ns <= carrier.quiet_ns <= now_ns + SLOW_LINE.frame_ns
