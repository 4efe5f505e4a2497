"""Wired contacts: docs/readers.md, "Wired contacts"."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.contact import DEBOUNCE_NS, STUCK_NS, Contact, ContactCounts, Role
from devices.readings import (
    ContactClosed,
    ContactOpened,
    ContactReading,
    ContactStuck,
    LoopCut,
    LoopRestored,
)

MS = 1_000_000
S = 1_000 * MS
START_NS = 100 * S

WIRINGS = pytest.mark.parametrize("normally_closed", [False, True], ids=["normally open", "normally closed"])

Edge = tuple[bool, int]
"""Whether the key is pressed (the loop cut) from then on, and when, counted from the start."""


class Bench:
    """A contact with somebody who presses it, and who looks at it when it asks for that."""

    def __init__(self, *, normally_closed: bool = False, role: Role = Role.KEY, pressed: bool = False) -> None:
        self.contact = Contact(normally_closed=normally_closed, role=role)
        self._normally_closed = normally_closed
        self.log: list[tuple[int, ContactReading]] = []
        self.move(0, pressed=pressed)

    def move(self, at_ns: int, *, pressed: bool) -> None:
        self.wait(at_ns)
        self._note(at_ns, self.contact.edge(closed=pressed != self._normally_closed, now_ns=START_NS + at_ns))

    def wait(self, until_ns: int) -> None:
        while (due_ns := self.contact.next_due()) is not None and due_ns < START_NS + until_ns:
            self._note(due_ns - START_NS, self.contact.advance(due_ns))
        self._note(until_ns, self.contact.advance(START_NS + until_ns))

    def play(self, *edges: Edge) -> None:
        for pressed, at_ns in edges:
            self.move(at_ns, pressed=pressed)

    @property
    def readings(self) -> list[ContactReading]:
        return [reading for _, reading in self.log]

    def _note(self, at_ns: int, readings: list[ContactReading]) -> None:
        self.log += [(at_ns, reading) for reading in readings]


def bouncing(at_ns: int, gaps_ns: list[int], *, pressed: bool) -> list[Edge]:
    """A change to `pressed` that bounces: the wire flips after each gap, and stays after the last."""
    times = list(accumulate(gaps_ns, initial=at_ns))
    flips = [(pressed if number % 2 == 0 else not pressed, time) for number, time in enumerate(times)]
    return flips if len(flips) % 2 else flips[:-1]


bounces = st.lists(st.integers(1_000, 10 * MS), max_size=20).filter(lambda gaps: sum(gaps) <= 30 * MS)
edges = st.lists(st.tuples(st.booleans(), st.integers(0, 90 * S) | st.integers(0, 60 * MS)), max_size=30).map(
    lambda steps: [
        (pressed, at_ns) for (pressed, _), at_ns in zip(steps, accumulate(gap for _, gap in steps), strict=True)
    ]
)


@pytest.mark.proves("A2", "N7")
@WIRINGS
def test_a_press_is_told_after_the_debounce_time_without_waiting_for_the_release(*, normally_closed: bool) -> None:
    bench = Bench(normally_closed=normally_closed)
    bench.move(1 * S, pressed=True)
    bench.wait(2 * S)
    assert bench.log == [(1 * S + DEBOUNCE_NS, ContactClosed(1))]


@pytest.mark.proves("A2")
@WIRINGS
def test_a_release_is_told_with_how_long_the_key_was_held(*, normally_closed: bool) -> None:
    bench = Bench(normally_closed=normally_closed)
    bench.play((True, 1 * S), (False, 4 * S))
    bench.wait(5 * S)
    assert bench.log[1:] == [(4 * S + DEBOUNCE_NS, ContactOpened(1, held_ms=3_000))]


@pytest.mark.proves("A2", "N7")
@WIRINGS
def test_a_key_pressed_during_the_start_is_a_press(*, normally_closed: bool) -> None:
    bench = Bench(normally_closed=normally_closed, pressed=True)
    bench.wait(DEBOUNCE_NS)
    assert bench.log == [(DEBOUNCE_NS, ContactClosed(1))]
    bench.move(1 * S, pressed=False)
    bench.wait(2 * S)
    assert bench.readings[1:] == [ContactOpened(1, held_ms=1_000)]


@WIRINGS
def test_a_key_at_rest_at_the_start_says_nothing(*, normally_closed: bool) -> None:
    bench = Bench(normally_closed=normally_closed)
    bench.wait(3_600 * S)
    assert bench.readings == []
    assert bench.contact.next_due() is None
    assert bench.contact.counts == ContactCounts(changes=0, glitches=0)


@pytest.mark.parametrize("pulse_ns", [1, 1 * MS, DEBOUNCE_NS - 1])
def test_a_pulse_shorter_than_the_debounce_time_is_counted_and_no_alarm(pulse_ns: int) -> None:
    bench = Bench()
    bench.play((True, 1 * S), (False, 1 * S + pulse_ns))
    bench.wait(2 * S)
    assert bench.readings == []
    assert bench.contact.counts == ContactCounts(changes=0, glitches=1)


def test_a_drop_out_while_the_key_is_held_is_counted_and_no_release() -> None:
    bench = Bench()
    bench.play((True, 1 * S), (False, 2 * S), (True, 2 * S + 5 * MS), (False, 3 * S))
    bench.wait(4 * S)
    assert bench.readings == [ContactClosed(1), ContactOpened(1, held_ms=2_000)]
    assert bench.contact.counts == ContactCounts(changes=1, glitches=1)


@pytest.mark.proves("N7")
def test_spikes_of_the_mains_never_add_up_to_an_alarm() -> None:
    """A long wire beside a cable: 4 ms of every 10."""
    bench = Bench()
    for period in range(1_000):
        bench.play((True, period * 10 * MS), (False, period * 10 * MS + 4 * MS))
    bench.wait(20 * S)
    assert bench.readings == []
    assert bench.contact.counts == ContactCounts(changes=0, glitches=1_000)


@pytest.mark.proves("N7")
def test_a_worn_key_that_crackles_without_end_gets_through() -> None:
    """It never keeps one level for the debounce time, but is closed more than open."""
    bench = Bench()
    for period in range(100):
        bench.play((True, period * 10 * MS), (False, period * 10 * MS + 7 * MS))
    assert bench.readings == [ContactClosed(1)]
    closed_ns, _ = bench.log[0]
    assert closed_ns < 100 * MS


@pytest.mark.proves("A2", "N3")
@given(closing=bounces, opening=bounces, held_ns=st.integers(200 * MS, 50 * S), normally_closed=st.booleans())
def test_a_press_that_bounces_is_one_press_and_one_release(
    *, closing: list[int], opening: list[int], held_ns: int, normally_closed: bool
) -> None:
    bench = Bench(normally_closed=normally_closed)
    bench.play(*bouncing(1 * S, closing, pressed=True), *bouncing(1 * S + held_ns, opening, pressed=False))
    bench.wait(100 * S)
    (closed_ns, pressed), (_, released) = bench.log
    assert pressed == ContactClosed(1)
    assert isinstance(released, ContactOpened)
    assert abs(released.held_ms - held_ns // MS) <= 30
    assert 1 * S + DEBOUNCE_NS <= closed_ns <= 1 * S + sum(closing) + DEBOUNCE_NS


@pytest.mark.proves("A2", "N7")
def test_a_stuck_key_is_one_fault_and_a_press_after_its_release_is_a_new_one() -> None:
    bench = Bench()
    bench.play((True, 1 * S), (False, 3_601 * S), (True, 3_602 * S), (False, 3_603 * S))
    bench.wait(3_700 * S)
    assert bench.log == [
        (1 * S + DEBOUNCE_NS, ContactClosed(1)),
        (1 * S + STUCK_NS, ContactStuck(1)),
        (3_601 * S + DEBOUNCE_NS, ContactOpened(1, held_ms=3_600_000)),
        (3_602 * S + DEBOUNCE_NS, ContactClosed(2)),
        (3_603 * S + DEBOUNCE_NS, ContactOpened(2, held_ms=1_000)),
    ]


def test_a_key_that_sticks_again_is_a_fault_again() -> None:
    bench = Bench()
    bench.play((True, 0), (False, 100 * S), (True, 101 * S))
    bench.wait(200 * S)
    assert [reading for reading in bench.readings if isinstance(reading, ContactStuck)] == [
        ContactStuck(1),
        ContactStuck(2),
    ]


def test_a_key_let_go_at_the_last_moment_is_not_stuck() -> None:
    bench = Bench()
    bench.play((True, 0), (False, STUCK_NS - 1 * MS))
    bench.wait(100 * S)
    assert bench.readings == [ContactClosed(1), ContactOpened(1, held_ms=59_999)]


def test_a_drop_out_at_the_stuck_time_only_delays_the_fault() -> None:
    bench = Bench()
    bench.play((True, 0), (False, STUCK_NS - 1 * MS), (True, STUCK_NS + 1 * MS))
    bench.wait(100 * S)
    assert bench.log[1:] == [(STUCK_NS + 1 * MS, ContactStuck(1))]
    assert bench.contact.counts == ContactCounts(changes=1, glitches=1)


@pytest.mark.proves("A10")
def test_a_cut_loop_is_told_and_so_is_its_repair() -> None:
    bench = Bench(normally_closed=True, role=Role.LOOP)
    bench.play((True, 1 * S), (False, 7_201 * S), (True, 7_300 * S))
    bench.wait(7_400 * S)
    assert bench.log == [
        (1 * S + DEBOUNCE_NS, LoopCut(1)),
        (7_201 * S + DEBOUNCE_NS, LoopRestored(1, cut_ms=7_200_000)),
        (7_300 * S + DEBOUNCE_NS, LoopCut(2)),
    ]


@pytest.mark.proves("A10")
def test_a_loop_that_is_cut_at_the_start_is_told() -> None:
    bench = Bench(normally_closed=True, role=Role.LOOP, pressed=True)
    bench.wait(1 * S)
    assert bench.readings == [LoopCut(1)]


@pytest.mark.proves("A10", "N7")
def test_the_cut_wire_of_a_normally_closed_key_is_an_alarm_and_then_a_fault() -> None:
    """Nobody can tell a cut wire from a press there: the doubt falls toward alarm."""
    contact = Contact(normally_closed=True)
    assert contact.edge(closed=True, now_ns=START_NS) == []
    assert contact.edge(closed=False, now_ns=START_NS + 1) == []
    assert contact.advance(START_NS + 1 + STUCK_NS) == [ContactClosed(1), ContactStuck(1)]


def test_a_loop_that_is_open_at_rest_is_refused() -> None:
    with pytest.raises(ValueError, match="closed at rest"):
        Contact(normally_closed=False, role=Role.LOOP)


def test_before_the_first_level_there_is_nothing_to_say() -> None:
    contact = Contact(normally_closed=True)
    assert contact.advance(START_NS) == []
    assert contact.next_due() is None


def test_an_edge_that_repeats_the_level_changes_nothing() -> None:
    bench = Bench()
    bench.play((True, 1 * S), (True, 1 * S + 10 * MS), (True, 2 * S), (False, 3 * S), (False, 3 * S + 1 * MS))
    bench.wait(4 * S)
    assert bench.readings == [ContactClosed(1), ContactOpened(1, held_ms=2_000)]
    assert bench.contact.counts == ContactCounts(changes=1, glitches=0)


def test_a_late_callback_with_an_earlier_time_does_no_harm() -> None:
    contact = Contact(normally_closed=False)
    contact.edge(closed=False, now_ns=START_NS)
    assert contact.advance(START_NS + 100 * MS) == []
    assert contact.edge(closed=True, now_ns=START_NS + 90 * MS) == []
    assert contact.next_due() == START_NS + 100 * MS + DEBOUNCE_NS
    assert contact.advance(START_NS + 95 * MS) == []
    assert contact.advance(START_NS + 100 * MS + DEBOUNCE_NS) == [ContactClosed(1)]


def test_a_contact_may_have_other_times() -> None:
    contact = Contact(normally_closed=False, debounce_ns=0, stuck_ns=1 * S)
    assert contact.edge(closed=True, now_ns=START_NS) == []
    assert contact.next_due() == START_NS
    assert contact.advance(START_NS) == [ContactClosed(1)]
    assert contact.next_due() == START_NS + 1 * S
    assert contact.advance(START_NS + 1 * S) == [ContactStuck(1)]
    assert contact.next_due() is None


def test_whoever_looks_late_still_learns_of_the_whole_press() -> None:
    """A gateway that was busy for two seconds, told of the edges afterwards, in order, with their times."""
    contact = Contact(normally_closed=False)
    contact.edge(closed=False, now_ns=START_NS)
    contact.edge(closed=True, now_ns=START_NS + 100 * MS)
    assert contact.edge(closed=False, now_ns=START_NS + 300 * MS) == [ContactClosed(1)]
    assert contact.advance(START_NS + 2 * S) == [ContactOpened(1, held_ms=200)]


@pytest.mark.proves("N7")
@given(steps=edges, normally_closed=st.booleans(), role=st.sampled_from(Role))
def test_readings_do_not_depend_on_how_often_somebody_looks(
    *, steps: list[Edge], normally_closed: bool, role: Role
) -> None:
    normally_closed = normally_closed or role is Role.LOOP
    attentive = Bench(normally_closed=normally_closed, role=role)
    attentive.play(*steps)
    end_ns = (steps[-1][1] if steps else 0) + 100 * S
    attentive.wait(end_ns)

    lazy = Contact(normally_closed=normally_closed, role=role)
    seen = lazy.edge(closed=normally_closed, now_ns=START_NS)
    for pressed, at_ns in steps:
        seen += lazy.edge(closed=pressed != normally_closed, now_ns=START_NS + at_ns)
    seen += lazy.advance(START_NS + end_ns)
    assert seen == attentive.readings
    assert lazy.counts == attentive.contact.counts


@given(edges)
def test_presses_and_releases_alternate_and_are_numbered_in_order(steps: list[Edge]) -> None:
    bench = Bench()
    bench.play(*steps, (False, (steps[-1][1] if steps else 0) + 1 * S))
    bench.wait((steps[-1][1] if steps else 0) + 2 * S)
    pairs = [reading for reading in bench.readings if not isinstance(reading, ContactStuck)]
    presses, releases = pairs[::2], pairs[1::2]
    assert presses == [ContactClosed(number) for number in range(1, len(pairs) // 2 + 1)]
    assert [reading.count for reading in releases if isinstance(reading, ContactOpened)] == [
        reading.count for reading in presses
    ]
    assert all(reading.held_ms >= 0 for reading in releases if isinstance(reading, ContactOpened))
    assert all(earlier <= later for (earlier, _), (later, _) in pairwise(bench.log))
    assert bench.contact.next_due() is None
