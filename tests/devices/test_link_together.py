"""Both ends of the native link together: what they promise to each other whatever happens on the way."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devices.commands import Lamp, Pattern, Siren
from devices.frames import UP, Header
from devices.framing import enclose
from devices.readings import Key
from devices.timing import MS, SLOW_REPEAT_NS, S
from tests.devices.joined_wire import COMMIT_NS, JoinedWire, Message

UNITS = 5
SIREN = Siren(Pattern.PANIC, 3, 250, 1, (5,))


def unanswered(wire: JoinedWire) -> set[Message]:
    return set().union(*(unit.waiting for unit in wire.units.values()))


def said(wire: JoinedWire) -> set[Message]:
    return set().union(*(unit.said for unit in wire.units.values()))


@pytest.mark.proves("N1", "N3")
@pytest.mark.parametrize("baud", [9600, 19200, 57600, 115200])
def test_everything_that_is_said_is_kept_and_answered(baud: int) -> None:
    wire = JoinedWire(10, baud=baud)
    for unit in wire.units.values():
        unit.press()
        unit.beat()
    wire.run(8 * S)
    assert wire.disk.messages == said(wire)
    assert len(wire.disk.messages) == 20
    assert unanswered(wire) == set()
    assert wire.stale == []


@pytest.mark.proves("A1", "A4", "N5")
@pytest.mark.parametrize("baud", [9600, 115200])
def test_a_press_rings_ten_units_within_a_second_and_each_of_them_confirms(baud: int) -> None:
    wire = JoinedWire(10, baud=baud)
    wire.units[3].press()
    wire.run(wire.timing.frame_ns)
    wire.sound(SIREN, *wire.units)
    wire.run(S - wire.timing.frame_ns)
    assert all(unit.playing == SIREN for unit in wire.units.values())
    wire.run(S)
    assert wire.link.counts.resent == 0
    assert wire.link.next_due() is None


@pytest.mark.proves("A5")
def test_the_lamp_climbs_with_the_ladder() -> None:
    wire = JoinedWire(2)
    wire.link.set_lamp(unit=1, lamp=Lamp.KEPT)
    wire.units[1].press()
    shown = []
    for lamp in (None, Lamp.POLICE_HAVE_IT, Lamp.COMING, Lamp.IDLE):
        if lamp is not None:
            wire.show(lamp, 1)
        wire.run(S)
        shown.append(wire.units[1].lamp)
    assert shown == [Lamp.KEPT, Lamp.POLICE_HAVE_IT, Lamp.COMING, Lamp.IDLE]
    assert wire.units[2].lamp is Lamp.IDLE


@pytest.mark.proves("A3", "N4")
@pytest.mark.parametrize("loss", [0.0, 0.4])
def test_an_onlooker_cannot_tell_a_duress_press_from_a_heartbeat(loss: float) -> None:
    """Who sends when, how often and how much is the same; so are the answers, and the lamp."""

    def seen(*, duress: bool) -> tuple[list[tuple[int, Header, int]], Lamp]:
        wire = JoinedWire(2, seed=7)
        wire.loss = loss
        wire.run(S)
        if duress:
            wire.units[1].press(Key.DURESS)
        else:
            wire.units[1].beat()
        wire.run(30 * S)
        assert unanswered(wire) == set()
        return [(at_ns, header, len(content)) for at_ns, header, content in wire.sent], wire.units[1].lamp

    assert seen(duress=True) == seen(duress=False)


@pytest.mark.proves("N12", "N13")
def test_an_evening_that_was_recorded_and_is_played_again_rings_nothing() -> None:
    wire = JoinedWire(3)
    for unit in wire.units.values():
        unit.press()
    wire.sound(SIREN, *wire.units)
    wire.run(5 * S)
    wire.sound(None, *wire.units)
    wire.run(5 * S)
    evening = [enclose(content) for _, _, content in wire.sent]
    kept, obeyed = set(wire.disk.messages), {unit.address: list(unit.obeyed) for unit in wire.units.values()}
    wire.start_gateway()
    for frame in evening:
        wire.replay(frame)
        wire.run(100 * MS)
    wire.run(10 * S)
    assert wire.disk.messages == kept
    assert all(unit.playing is None for unit in wire.units.values())
    fresh = {
        unit.address: [counter for counter in unit.obeyed if counter not in obeyed[unit.address]]
        for unit in wire.units.values()
    }
    recorded = {header.counter for _, header, content in wire.sent if enclose(content) in evening}
    assert not any(set(counters) & recorded for counters in fresh.values())


@pytest.mark.proves("N7", "N13")
def test_a_unit_that_lost_its_boot_number_is_heard_after_a_challenge() -> None:
    wire = JoinedWire(1)
    for _ in range(20):
        wire.units[1].power_up()
    wire.units[1].press()
    wire.run(2 * S)
    wire.units[1]._boot = 2
    wire.units[1].power_up()
    message = wire.units[1].press()
    wire.run(2 * S)
    assert message in wire.disk.messages
    assert unanswered(wire) == set()
    assert wire.stale == []


@pytest.mark.proves("N1", "N14")
def test_a_gateway_that_lost_its_counters_learns_the_floor_of_its_units() -> None:
    wire = JoinedWire(2)
    wire.units[1].link.floor = 50_000
    message = wire.units[1].press()
    wire.run(5 * S)
    assert message in wire.disk.messages
    assert unanswered(wire) == set()


def test_a_unit_that_comes_back_from_a_power_cut_plays_what_it_shall() -> None:
    wire = JoinedWire(3)
    wire.sound(SIREN, 1, 2, 3)
    wire.run(2 * S)
    wire.units[2].power_up()
    wire.units[2].hello()
    wire.run(2 * S)
    assert wire.units[2].playing is not None


PAUSE_MS = st.integers(0, 1_500)
UNIT = st.integers(1, UNITS)
PATTERN = st.none() | st.sampled_from(Pattern)


class BadLine(RuleBasedStateMachine):
    """An hour on a bad line: presses, power cuts, lost and doubled frames, and somebody who records."""

    @initialize(seed=st.integers(0, 2**32), baud=st.sampled_from([9600, 19200, 115200]))
    def begin(self, seed: int, baud: int) -> None:
        self.wire = JoinedWire(UNITS, seed=seed, baud=baud)
        self.cut: set[Message] = set()
        """What a unit had to say when its power went."""

    @rule(unit=UNIT, pause_ms=PAUSE_MS)
    def press(self, unit: int, pause_ms: int) -> None:
        self.wire.units[unit].press()
        self.wire.run(pause_ms * MS)

    @rule(unit=UNIT, pause_ms=PAUSE_MS)
    def beat(self, unit: int, pause_ms: int) -> None:
        self.wire.units[unit].beat()
        self.wire.run(pause_ms * MS)

    @precondition(lambda self: self.wire.sent)
    @rule(back=st.integers(1, 400), pause_ms=PAUSE_MS)
    def replay(self, back: int, pause_ms: int) -> None:
        _, _, content = self.wire.sent[-min(back, len(self.wire.sent))]
        self.wire.replay(enclose(content))
        self.wire.run(pause_ms * MS)

    @rule(pattern=PATTERN, units=st.tuples(UNIT, UNIT), pause_ms=PAUSE_MS)
    def sound(self, pattern: Pattern | None, units: tuple[int, int], pause_ms: int) -> None:
        self.wire.sound(None if pattern is None else Siren(pattern, 3, 250, 1, (5,)), *units)
        self.wire.run(pause_ms * MS)

    @rule(lamp=st.sampled_from(Lamp), unit=UNIT, pause_ms=PAUSE_MS)
    def show(self, lamp: Lamp, unit: int, pause_ms: int) -> None:
        self.wire.show(lamp, unit)
        self.wire.run(pause_ms * MS)

    @rule(unit=UNIT)
    def cut_a_unit(self, unit: int) -> None:
        self.cut |= self.wire.units[unit].waiting
        self.wire.units[unit].power_up()
        self.wire.units[unit].hello()

    @rule()
    def cut_the_gateway(self) -> None:
        self.wire.start_gateway()

    @rule(loss=st.sampled_from([0.0, 0.1, 0.5, 1.0]), copies=st.sampled_from([0.0, 0.3]))
    def change_the_weather(self, loss: float, copies: float) -> None:
        self.wire.loss, self.wire.copies = loss, copies

    @invariant()
    def a_nonce_is_used_once(self) -> None:
        """For this the seal rests on the counters alone."""
        nonces = Counter(header for _, header, _ in self.wire.sent)
        assert max(nonces.values(), default=1) == 1

    @invariant()
    def orders_are_carried_out_in_their_order_each_once(self) -> None:
        """Over all power cuts."""
        for unit in self.wire.units.values():
            assert unit.obeyed == sorted(set(unit.obeyed))

    def teardown(self) -> None:
        """The weather is fine, nobody replays any more: then all is as it shall be."""
        wire = self.wire
        wire.loss = wire.copies = 0.0
        wire.run(40 * S)
        for unit in wire.units.values():
            unit.beat()  # its answer brings the lamp after a restart
        wire.run(20 * S)

        # Kept: what was said, all of it, but for what a unit took with it into a power cut; and nothing else.
        assert wire.disk.messages <= said(wire)
        replaced = said(wire) - wire.disk.messages - self.cut
        assert all(message in wire.beats for message in replaced), "a heartbeat takes the place of an older one"
        assert unanswered(wire) == set()
        # Nothing is a possible replay that no unit has ever said.
        assert set(wire.stale) <= said(wire)
        # Whoever shall play plays that, and nobody else; lamps show what they shall.
        for address, siren in wire.wanted.items():
            playing = wire.units[address].playing
            assert (playing and playing.pattern) == (siren and siren.pattern)
        for address, lamp in wire.lamps.items():
            assert wire.units[address].lamp is lamp
        self.a_nonce_is_used_once()
        self.orders_are_carried_out_in_their_order_each_once()


BadLine.TestCase.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)


TestBadLine = pytest.mark.timeout(240)(pytest.mark.proves("N1", "N3", "N9", "N12", "N13")(BadLine.TestCase))
"""Whatever happens, messages are kept once and answered, and nothing old is new."""


@pytest.mark.proves("N7")
def test_a_gateway_that_was_away_for_ten_minutes_is_told_everything_within_seconds() -> None:
    wire = JoinedWire(5)
    wire.loss = 1.0
    for _ in range(10):
        for unit in wire.units.values():
            unit.press()
        wire.run(60 * S)
    up = [at_ns for at_ns, header, _ in wire.sent if header.direction == UP]
    busy = sum(at_ns > wire.now_ns - 60 * S for at_ns in up) * wire.timing.frame_ns
    assert busy < 0.15 * 60 * S, "five units that nobody hears leave the line free"
    wire.loss = 0.0
    wire.run(SLOW_REPEAT_NS + 20 * S + COMMIT_NS)
    assert wire.disk.messages == said(wire)
    assert unanswered(wire) == set()
