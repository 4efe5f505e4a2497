"""Both ends of the native link together: what they promise to each other whatever happens on the way."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


class Trouble:
    """An hour on a bad line, from dice: presses, power cuts, lost and doubled frames, and somebody who records."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.wire = JoinedWire(UNITS, seed=seed, baud=self.dice.choice([9600, 19200, 115200]))
        self.cut: set[Message] = set()
        """What a unit had to say when its power went."""

    def go_on(self, steps: int) -> None:
        deeds = [self.press] * 6 + [self.beat] * 4 + [self.replay] * 6 + [self.sound, self.show] * 2
        deeds += [self.cut_a_unit, self.cut_the_gateway, self.change_the_weather]
        for _ in range(steps):
            self.dice.choice(deeds)()
            self.wire.run(self.dice.randrange(1_500) * MS)

    def somebody(self) -> int:
        return self.dice.randint(1, UNITS)

    def press(self) -> None:
        self.wire.units[self.somebody()].press()

    def beat(self) -> None:
        self.wire.units[self.somebody()].beat()

    def replay(self) -> None:
        if self.wire.sent:
            _, _, content = self.dice.choice(self.wire.sent[-400:])
            self.wire.replay(enclose(content))

    def sound(self) -> None:
        siren = self.dice.choice([None, Siren(Pattern(self.dice.randint(1, 6)), 3, 250, 1, (5,))])
        self.wire.sound(siren, self.somebody(), self.somebody())

    def show(self) -> None:
        self.wire.show(self.dice.choice(list(Lamp)), self.somebody())

    def cut_a_unit(self) -> None:
        unit = self.wire.units[self.somebody()]
        self.cut |= unit.waiting
        unit.power_up()
        unit.hello()

    def cut_the_gateway(self) -> None:
        self.wire.start_gateway()

    def change_the_weather(self) -> None:
        self.wire.loss = self.dice.choice([0.0, 0.1, 0.5, 1.0])
        self.wire.copies = self.dice.choice([0.0, 0.3])

    def clear_up(self) -> None:
        """The weather is fine, and nobody replays any more."""
        self.wire.loss = self.wire.copies = 0.0
        self.wire.run(40 * S)
        for unit in self.wire.units.values():
            unit.beat()  # its answer brings the lamp after a restart
        self.wire.run(20 * S)


@pytest.mark.proves("N1", "N3", "N9", "N12", "N13")
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_messages_are_kept_once_and_answered_and_nothing_old_is_new(seed: int) -> None:
    trouble = Trouble(seed)
    wire = trouble.wire
    trouble.go_on(60)
    trouble.clear_up()

    # Kept: what was said, all of it, but for what a unit took with it into a power cut; and nothing else.
    assert wire.disk.messages <= said(wire)
    replaced = said(wire) - wire.disk.messages - trouble.cut
    assert all(message in wire.beats for message in replaced), "a heartbeat takes the place of an older one"
    assert unanswered(wire) == set()

    # A nonce is used once: for this the seal rests on the counters alone.
    nonces = Counter(header for _, header, _ in wire.sent)
    assert max(nonces.values(), default=1) == 1

    # Orders are carried out in their order, each once, over all power cuts.
    for unit in wire.units.values():
        assert unit.obeyed == sorted(set(unit.obeyed))

    # Nothing is a possible replay that no unit has ever said.
    assert set(wire.stale) <= said(wire)

    # Whoever shall play plays that, and nobody else; lamps show what they shall.
    for address, siren in wire.wanted.items():
        playing = wire.units[address].playing
        assert (playing and playing.pattern) == (siren and siren.pattern)
    for address, lamp in wire.lamps.items():
        assert wire.units[address].lamp is lamp


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
