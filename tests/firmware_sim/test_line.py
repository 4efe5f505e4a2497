"""Units on a line and the gateway's end of it, in virtual time."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

import pytest

from devices.commands import Lamp, Pattern, Siren
from devices.frames import UP, new_deframer, split_content
from devices.readings import Key, PressEnded, Proof, UnitHello
from firmware_sim.diary import Confirmed, FrameSent, LampChanged, PoweredUp, Pressed, SirenStarted, SirenStopped
from firmware_sim.faults import Duplicate, Fault, Loss, Noise, Split
from firmware_sim.line import NativeLine
from firmware_sim.medium import GATEWAY, Heard, Station
from firmware_sim.unit import Memory
from tests.firmware_sim.gateway_end import MS, GatewayEnd, S, a_line, entries


def line_of(
    units: int,
    baud: int,
    *,
    seed: int = 0,
    faults: Iterable[Fault] = (),
    heartbeat_s: float = 60,
    kind: type[NativeLine] = NativeLine,
) -> NativeLine:
    return kind(a_line(units, baud), seed=seed, heartbeat_ns=round(heartbeat_s * S), faults=faults, now_ns=0)


def press(gateway: GatewayEnd, unit: str, key: Key, at_ns: int, *, hold_ms: int = 200) -> None:
    gateway.run(at_ns)
    gateway.line.act(unit, at_ns, lambda pressed: pressed.press(key, at_ns, hold_ns=hold_ms * MS))


@pytest.mark.proves("A1", "A4", "A5", "N5")
@pytest.mark.parametrize("baud", [9600, 19_200, 57_600, 115_200])
def test_a_lone_press_is_kept_and_rings_the_whole_group_within_a_second(baud: int) -> None:
    line = line_of(10, baud)
    gateway = GatewayEnd(line)
    press(gateway, "u003", Key.PANIC, 8 * S)
    gateway.run(30 * S)
    [(presser, pressed)] = entries(line, Pressed)
    [confirmed] = [entry for name, entry in entries(line, Confirmed) if name == "u003" and entry.key == "panic"]
    rung = dict(entries(line, SirenStarted))
    assert presser == "u003"
    assert 0 < confirmed.at_ns - pressed.at_ns < 1000 * MS
    assert rung.keys() == line.units.keys()
    assert all(entry.doors == (103,) for entry in rung.values())
    assert [name for name, entry in rung.items() if entry.own] == ["u003"]
    assert max(entry.at_ns for entry in rung.values()) - pressed.at_ns < 500 * MS
    assert [(name, entry.lamp) for name, entry in entries(line, LampChanged)] == [("u003", Lamp.KEPT)]
    [ended] = [reading for _, reading in gateway.seen if isinstance(reading, PressEnded)]
    assert (ended.press, ended.held_ms) == (pressed.number, 200)


def test_the_first_frame_of_a_press_on_a_silent_line_is_on_the_wire_at_once() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    press(gateway, "u003", Key.PANIC, 20 * S)
    gateway.run(21 * S)
    [(_, pressed)] = entries(line, Pressed)
    assert next(
        entry.at_ns for entry in line.units["u003"].diary if type(entry) is FrameSent and entry.at_ns > 20 * S
    ) == (pressed.at_ns)


@pytest.mark.proves("N7")
def test_a_key_that_is_pressed_over_and_over_rings_once_and_every_press_is_kept() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    for at_ms in range(8000, 13_000, 500):
        press(gateway, "u003", Key.PANIC, at_ms * MS)
    gateway.run(40 * S)
    assert len(entries(line, Pressed)) == 10
    assert len([1 for _, entry in entries(line, Confirmed) if entry.key]) == 10
    assert len(entries(line, SirenStarted)) == 10
    assert len({reading.number for _, reading in gateway.presses()}) == 10


@pytest.mark.parametrize(
    "faults",
    [
        (Noise(per_byte=0.002),),
        (Loss(per_frame=0.1),),
        (Duplicate(per_frame=0.3),),
        (Split(per_frame=0.3, pause_ms=3),),
        (Noise(per_byte=0.001), Loss(per_frame=0.05), Duplicate(per_frame=0.1), Split(per_frame=0.1)),
    ],
    ids=lambda faults: "+".join(fault.name for fault in faults),
)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.proves("N1", "N3")
def test_on_a_bad_line_every_press_is_kept_once_and_rings_once(faults: tuple[Fault, ...], seed: int) -> None:
    line = line_of(10, 9600, seed=seed, faults=faults)
    gateway = GatewayEnd(line, seed=seed)
    dice = Random(seed)
    for number, unit in enumerate(dice.sample(sorted(line.units), 3)):
        press(gateway, unit, Key.PANIC, (10 + 4 * number) * S)
    gateway.run(60 * S)
    pressed = {(name, entry.boot, entry.number) for name, entry in entries(line, Pressed)}
    confirmed = [(name, entry.boot, entry.number) for name, entry in entries(line, Confirmed) if entry.key]
    read = {
        (f"u{reading.unit:03}", reading.boot, reading.number)
        for _, reading in gateway.presses()
        if reading.proof is Proof.SEALED
    }
    assert pressed == read == set(confirmed)
    assert len(confirmed) == len(pressed) == 3
    assert len(entries(line, SirenStarted)) == len(line.units)
    assert {unit.lamp for name, unit in line.units.items() if any(name == presser for presser, *_ in pressed)} == {
        Lamp.KEPT
    }


@pytest.mark.proves("N3")
def test_a_rebooted_unit_says_hello_is_told_again_what_to_play_and_its_next_press_counts() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    press(gateway, "u003", Key.PANIC, 8 * S)
    gateway.run(10 * S)
    line.act("u005", 10 * S, lambda unit: unit.reboot(10 * S))
    gateway.run(20 * S)
    assert [entry.boot for name, entry in entries(line, PoweredUp) if name == "u005"] == [1, 2]
    assert [(reading.boot, reading.floor) for _, reading in gateway.seen if isinstance(reading, UnitHello)][-1][0] == 2
    assert len([1 for name, _ in entries(line, SirenStarted) if name == "u005"]) == 2
    press(gateway, "u005", Key.HELP, 20 * S)
    gateway.run(22 * S)
    [reading] = {(reading.boot, reading.key): reading for _, reading in gateway.presses() if reading.unit == 5}.values()
    assert (reading.boot, reading.key, reading.proof) == (2, Key.HELP, Proof.SEALED)
    assert [entry.key for name, entry in entries(line, Confirmed) if name == "u005" and entry.key] == ["help"]


def test_units_that_power_up_with_a_memory_go_on_where_they_were() -> None:
    first = line_of(3, 9600)
    gateway = GatewayEnd(first)
    press(gateway, "u001", Key.PANIC, 8 * S)
    gateway.run(12 * S)
    memories = {name: unit.memory for name, unit in first.units.items()}
    again = NativeLine(a_line(3, 9600), seed=1, heartbeat_ns=0, faults=(), now_ns=12 * S, memories=memories)
    assert all(unit.memory == Memory(2, memories[name].floor) for name, unit in again.units.items())
    gateway.line = again
    press(gateway, "u002", Key.PANIC, 20 * S)
    gateway.run(25 * S)
    assert [entry.key for name, entry in entries(again, Confirmed) if entry.key] == ["panic"]


def test_a_cut_line_carries_nothing_and_a_mended_one_delivers_what_waited() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    gateway.run(8 * S)
    line.medium.cut = frozenset({GATEWAY})
    press(gateway, "u003", Key.PANIC, 9 * S)
    gateway.run(30 * S)
    assert gateway.presses() == []
    line.medium.cut = frozenset()
    gateway.run(36 * S)
    [first, *_] = gateway.presses()
    assert first[1].age_ms >= 20_000
    assert [entry.key for _, entry in entries(line, Confirmed) if entry.key] == ["panic"]


def test_units_behind_a_cut_are_away_and_the_others_are_not() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    gateway.run(8 * S)
    line.medium.cut = frozenset({Station(9), Station(10)})
    press(gateway, "u003", Key.PANIC, 9 * S)
    gateway.run(20 * S)
    assert {name for name, _ in entries(line, SirenStarted)} == {f"u{number:03}" for number in range(1, 9)}
    assert gateway.link.silent == {9, 10}


def test_a_stop_silences_the_group_and_a_fire_is_louder_than_a_panic() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    press(gateway, "u003", Key.PANIC, 8 * S)
    gateway.run(10 * S)
    for unit in line.units.values():
        gateway.link.sound(unit=unit.settings.unit, siren=Siren(Pattern.FIRE, 3, 60, 9, (110,)), now_ns=10 * S)
    gateway.run(12 * S)
    assert {unit.playing.pattern for unit in line.units.values() if unit.playing} == {Pattern.FIRE}
    for unit in line.units.values():
        gateway.link.sound(unit=unit.settings.unit, siren=None, now_ns=12 * S)
    gateway.run(14 * S)
    assert [entry.why for _, entry in entries(line, SirenStopped)] == ["told"] * 10


@pytest.mark.parametrize("seed", range(3))
def test_no_nonce_comes_twice_on_the_wire(seed: int) -> None:
    """A nonce is the clear header of a frame: direction, unit, counter. Reboots and repeats included."""
    line = line_of(10, 9600, seed=seed, faults=(Loss(per_frame=0.2),), heartbeat_s=5)
    gateway = GatewayEnd(line, seed=seed)
    dice = Random(seed)
    for at_s in range(8, 60, 4):
        press(gateway, dice.choice(sorted(line.units)), Key.PANIC, at_s * S)
        victim = dice.choice(sorted(line.units))
        line.act(victim, at_s * S, lambda unit, at_ns=at_s * S: unit.reboot(at_ns))  # type: ignore[misc]
    gateway.run(80 * S)
    sent = [entry.data for _, entry in entries(line, FrameSent)]
    told = [frame for _, data in gateway.wire for frame in frames_of(data)]
    headers = [header_of(frame) for frame in (*sent, *told)]
    assert len(headers) > 500
    assert len(set(headers)) == len(headers)


def frames_of(data: bytes) -> list[bytes]:
    return [b"\x00" + part + b"\x00" for part in data.split(b"\x00") if part]


def header_of(frame: bytes) -> bytes:
    [content] = new_deframer().receive_data(frame)
    split = split_content(content)
    assert split is not None
    return split[1]


class PunctualLine(NativeLine):
    """Tells every unit every piece the moment it is heard, as a wire does: slow, and obviously right."""

    def _spread(self, heard: Heard) -> None:
        for station in heard.listeners:
            if station in self._stations:
                self._stations[station].hear(heard.data, heard.at_ns)
                self._plan(station)

    def _catch_up(self, station: Station) -> None:
        """There is nothing to catch up with."""


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("faults", [(), (Noise(per_byte=0.001), Loss(per_frame=0.05), Split(per_frame=0.05))])
def test_a_unit_that_hears_when_it_must_does_the_same_as_one_that_hears_at_once(
    seed: int, faults: tuple[Fault, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firmware_sim.line.KEPT_PIECES", 100_000)

    def story(kind: type[NativeLine]) -> list[tuple[int, str, bytes]]:
        line = line_of(20, 19_200, seed=seed, faults=faults, heartbeat_s=4, kind=kind)
        gateway = GatewayEnd(line, seed=seed)
        dice = Random(seed)
        for unit in sorted(line.units):
            press(gateway, unit, Key.PANIC, 6 * S + dice.randrange(int(unit[1:]) * 100 * MS, 2_100 * MS))
        gateway.run(15 * S)
        said = [(entry.at_ns, name, entry.data) for name, entry in entries(line, FrameSent)]
        return sorted([*said, *((at_ns, "gateway", data) for at_ns, data in gateway.wire)])

    slow, fast = story(PunctualLine), story(NativeLine)
    assert len(slow) > 200
    assert fast == slow


@pytest.mark.proves("A3")
def test_nobody_on_the_line_can_tell_a_duress_press_from_a_heartbeat() -> None:
    """Same lengths, same moments, same answer: once with each, on two lines that are otherwise the same."""

    def story(*, duress: bool) -> list[tuple[int, int, int, int]]:
        line = line_of(10, 9600, seed=5, heartbeat_s=1000)
        gateway = GatewayEnd(line, seed=5)
        gateway.run(8 * S)
        unit = line.units["u003"]
        if duress:
            line.act("u003", 8 * S, lambda one: one.press(Key.DURESS, 8 * S))
        gateway.run(8 * S + 15 * MS)  # the debounce
        if not duress:
            line.act("u003", 8 * S + 15 * MS, lambda one: one._say_heartbeat(8 * S + 15 * MS))
        gateway.run(40 * S)
        assert unit.lamp is Lamp.IDLE
        assert unit.playing is None
        wire = [(entry.at_ns, entry.data) for _, entry in entries(line, FrameSent)] + gateway.wire
        seen = []
        for at_ns, data in sorted(wire):
            [content] = new_deframer().receive_data(data)
            split = split_content(content)
            assert split is not None
            seen.append((at_ns, split[0].direction, split[0].unit, len(data)))
        return seen

    silent, alive = story(duress=True), story(duress=False)
    assert len([1 for at_ns, direction, *_ in silent if direction == UP and at_ns > 8 * S]) == 1
    assert silent == alive


@pytest.mark.proves("A3")
def test_a_duress_press_leaves_the_following_heartbeats_as_they_would_have_been() -> None:
    """Heartbeats come at random moments of the period since the last one; duress takes the place of one."""
    gaps: dict[bool, list[int]] = {True: [], False: []}
    for seed in range(40):
        line = line_of(1, 9600, seed=seed, heartbeat_s=10)
        gateway = GatewayEnd(line, seed=seed)
        press(gateway, "u001", Key.DURESS, 20 * S)
        gateway.run(60 * S)
        times = [entry.at_ns for _, entry in entries(line, FrameSent)]
        duress = next(at_ns for at_ns in times if at_ns >= 20 * S)
        for before, after in pairwise(times):
            gaps[before == duress].append(after - before)
    assert max(gaps[True]) <= 10 * S
    assert max(gaps[False]) <= 10 * S
    mean = {kind: sum(values) / len(values) / S for kind, values in gaps.items()}
    assert mean[True] == pytest.approx(mean[False], abs=1.5)
