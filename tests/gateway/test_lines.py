"""Lines with real ports, real units' ends and a real journal: sound, keep, answer, in this order."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event as Gate
from typing import Any

import pytest

from broker.ids import UnitId
from broker.kinds import EventType, Kind
from devices.commands import Lamp, Pattern, Siren
from devices.frames import UP, build_frame, encode_uplink
from devices.readings import Answer, AnswerGiven, ButtonPressed, CancelPressed, Key, Numbered, Proof, TagRead
from devices.sealing import Seal
from devices.unit_link import UnitLink
from gateway import lines as line_rules
from gateway.journal import Refused
from gateway.links.uart import READ_BYTES
from gateway.program import Gateway, leave
from tests.gateway.place import Clock, plain, press, seed, settings
from tests.gateway.running import around, journalled, running, until_fault
from tests.gateway.waiting import PATIENCE_S, until
from tests.gateway.wire import Units, Wire

pytestmark = pytest.mark.anyio


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    one = Wire(tmp_path / "line1")
    one.plug()
    yield one
    one.close()


@asynccontextmanager
async def town(
    wire: Wire, *, echo: bool = False, wrap: Any = leave, **more: Any
) -> AsyncIterator[tuple[Gateway, Units]]:
    folder = wire.name.parent
    lines = [{"name": "line1", "port": wire.name, "baud": 115200}]
    async with running(settings(folder / "state", **({"lines": lines} | more)), wrap=wrap) as gateway:
        units = Units(wire, range(1, 6), echo=echo)
        try:
            yield gateway, units
        finally:
            units.close()


@pytest.mark.proves("A1", "A4", "N1", "N5")
async def test_with_nobody_to_talk_to_a_press_rings_at_the_neighbours_and_is_kept_and_answered(wire: Wire) -> None:
    async with town(wire) as (gateway, units):
        number = units.press(1)
        await until(lambda: all(units.plays(unit) for unit in (1, 3, 4)))
        await until(lambda: units.is_kept(1, number))
        siren = units.plays(3)
        assert siren is not None
        assert (siren.pattern, siren.doors, siren.own) == (Pattern.PANIC, (101,), False)
        assert units.lamps[1] is Lamp.KEPT
        assert [event.kind for event in await journalled(gateway) if event.type is EventType.PRESS] == [Kind.PANIC]
        await asyncio.sleep(0.2)
        assert units.sirens[2] == []
        assert units.sirens[5] == []


@pytest.mark.proves("N5", "F09")
async def test_a_commit_that_takes_five_seconds_delays_no_siren(wire: Wire) -> None:
    gate = Gate()

    def slow(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            gate.wait(PATIENCE_S)
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", slow)) as (gateway, units):
        first = units.press(1)
        await until(lambda: units.plays(3))
        second = units.press(3, Key.FIRE)
        await until(lambda: (siren := units.plays(4)) and siren.pattern is Pattern.FIRE)
        assert not gateway._keeper.counts.events, "nothing is written yet"
        assert not units.is_kept(1, first)
        gate.set()
        await until(lambda: units.is_kept(1, first) and units.is_kept(3, second))


@pytest.mark.proves("N1", "N5", "F55")
async def test_a_line_that_could_not_be_written_to_for_a_moment_loses_nothing_and_goes_on(wire: Wire) -> None:
    """Whatever is raised there: sirens and answers come when it is over, also where nobody says anything more."""
    short = [True]

    def no_memory(write: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(data: bytes) -> Any:
            if short[0]:
                raise MemoryError
            return write(data)

        return wrapped

    async with town(wire, wrap=around("link.write.line1", no_memory)) as (gateway, units):
        first = units.press(1)
        await until(lambda: gateway._keeper.counts.events)
        second = units.press(3, Key.FIRE)
        await until(lambda: gateway._keeper.counts.events >= 2)
        assert not units.is_kept(1, first)
        short[0] = False
        await until(lambda: units.plays(4))
        await until(lambda: units.is_kept(1, first) and units.is_kept(3, second))
        kept = [event.message for event in await journalled(gateway) if event.type is EventType.PRESS]
        assert kept == [f"u01:1:{first}", f"u03:1:{second}"]


async def test_after_a_commit_nobody_is_talked_into_who_began_to_speak_meanwhile(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 9600 baud a frame takes 42 ms: so long the gateway leaves the line to a frame that has begun."""
    monkeypatch.setattr(line_rules, "READ_ON_S", 10.0)
    gate = Gate()

    def slow(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            gate.wait(PATIENCE_S)
            return append(*args, **named)

        return wrapped

    lines = [{"name": "line1", "port": wire.name, "baud": 9_600}]
    async with town(wire, wrap=around("journal.append", slow), lines=lines) as (gateway, units):
        first, second = (units.links[unit].take_number() for unit in (1, 2))
        units.say(1, TagRead(1, 1, first, "04a1b2c3", 0, Proof.SEALED))
        await until(lambda: gateway._lines["line1"].unkept)
        frame = spoken(units.links[2], TagRead(2, 1, second, "04a1b2c4", 0, Proof.SEALED))
        wire.say(frame[:8])
        gate.set()
        await until(lambda: gateway._keeper.counts.events)
        await asyncio.sleep(0.015)
        assert not wire.data
        wire.say(frame[8:])
        await until(lambda: units.is_kept(1, first) and units.is_kept(2, second))


def spoken(link: UnitLink, message: Numbered) -> bytes:
    """The frame that a unit says when its time has come."""
    link.say(message, 0)
    now_ns = 0
    while not (data := link.data_to_send(now_ns)):
        now_ns = link.next_due() or 0
    return data


def alarms(played: list[tuple[float, Siren | None]]) -> set[int]:
    """For which alarms somebody's siren sounded; a frame may be said twice."""
    return {siren.alarm for _, siren in played if siren is not None}


@pytest.mark.proves("N12", "N3", "N13")
async def test_frames_that_somebody_recorded_are_no_press_after_a_restart(wire: Wire) -> None:
    """One that the gateway heard, and one that was kept from it; their unit is not there any more to be asked."""
    heard, kept_back = (
        build_frame(
            Seal(seed("u01")[:16]),
            UP,
            1,
            1 << 16 | counter,
            encode_uplink(ButtonPressed(1, 1, number, Key.PANIC, 0, Proof.SEALED)),
        )
        for number, counter in ((8, 6), (7, 5))
    )
    async with town(wire) as (gateway, units):
        wire.say(heard)
        await until(lambda: units.plays(3))
        await until(lambda: gateway._keeper.counts.events and not gateway._lines["line1"].unkept)
    wire.data.clear()
    lines = [{"name": "line1", "port": wire.name, "baud": 115200}]
    async with running(settings(wire.name.parent / "state", lines=lines, siren_s=10)) as gateway:
        others = Units(wire, range(3, 6))
        try:
            line = gateway._lines["line1"]
            assert isinstance(line, line_rules.NativeLine)
            await until(lambda: others.plays(3) and others.plays(4))  # the alarm goes on that the restart broke off
            before = {unit: alarms(found) for unit, found in others.sirens.items()}
            wire.say(heard)
            wire.say(kept_back)
            await until(lambda: (line.link.counts.repeats, line.link.counts.stale) == (1, 1))
            await until(lambda: not line.unkept)
            told = [(event.kind, event.verified) for event in await journalled(gateway) if event.kind]
            assert told == [(Kind.PANIC, True), (Kind.UNVERIFIED, False)]
            assert {unit: alarms(found) for unit, found in others.sirens.items()} == before
        finally:
            others.close()


@pytest.mark.proves("N3")
async def test_a_press_that_is_repeated_while_the_disk_is_slow_rings_once_and_is_one_event(wire: Wire) -> None:
    gate = Gate()

    def slow(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            gate.wait(PATIENCE_S)
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", slow)) as (gateway, units):
        number = units.press(1)
        await until(lambda: gateway._intake.counts.repeats >= 2)
        assert not units.is_kept(1, number)
        gate.set()
        await until(lambda: units.is_kept(1, number))
        assert [event.type for event in await journalled(gateway)].count(EventType.PRESS) == 1
        assert len({siren.alarm for _, siren in units.sirens[3] if siren}) == 1


@pytest.mark.proves("N1", "N5", "N8")
async def test_while_the_disk_refuses_sirens_sound_nothing_is_confirmed_and_nothing_is_lost(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "RETRY_S", 0.05)
    refuse = [True]

    def failing(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if refuse[0]:
                raise Refused(Path("journal"), "input/output error")
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", failing)) as (gateway, units):
        number = units.press(1)
        await until(lambda: units.plays(3))
        await until_fault(gateway, "journal")
        assert not units.is_kept(1, number)
        refuse[0] = False
        await until(lambda: units.is_kept(1, number))
        await until(lambda: "journal" not in gateway._supervision.faults)
        assert [event.type for event in await journalled(gateway)].count(EventType.PRESS) == 1


@pytest.mark.proves("N1")
async def test_a_mistake_of_ours_while_keeping_stops_nothing(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_rules, "RETRY_S", 0.02)
    calls = [0]

    def clumsy(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] % 2:
                raise RuntimeError("a mistake")
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", clumsy)) as (gateway, units):
        numbers = [units.press(unit) for unit in (1, 2, 3)]
        await until(lambda: all(units.is_kept(unit, number) for unit, number in zip((1, 2, 3), numbers, strict=True)))
        assert [event.type for event in await journalled(gateway)].count(EventType.PRESS) == 3


@pytest.mark.proves("N2")
async def test_a_mistake_of_ours_after_keeping_does_not_keep_it_twice(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town(wire) as (gateway, units):
        monkeypatch.setattr(gateway._recorder, "kept", lambda *_: 1 / 0)
        number = units.press(1)
        await until(lambda: units.is_kept(1, number))
        assert [event.type for event in await journalled(gateway)].count(EventType.PRESS) == 1


@pytest.mark.proves("N4")
async def test_on_the_wire_duress_is_answered_as_a_heartbeat_is(wire: Wire) -> None:
    async with town(wire) as (gateway, units):
        before = len(wire.data)
        beat = units.beat(1)
        await until(lambda: units.is_kept(1, beat))
        of_beat = len(wire.data) - before
        before = len(wire.data)
        duress = units.press(2, Key.DURESS)
        await until(lambda: units.is_kept(2, duress))
        await asyncio.sleep(0.2)
        assert len(wire.data) - before == of_beat
        assert (units.lamps[1], units.lamps[2]) == (Lamp.IDLE, Lamp.IDLE)
        assert not any(units.sirens.values())
        cancel = units.links[2].take_number()
        units.say(2, CancelPressed(2, 1, cancel, duress, Proof.SEALED))
        await until(lambda: units.is_kept(2, cancel))
        assert not any(units.sirens.values())
        kinds = [event.kind for event in await journalled(gateway) if event.kind]
        assert kinds == [Kind.DURESS]


async def test_a_unit_that_powers_up_is_answered_and_plays_on(wire: Wire) -> None:
    async with town(wire) as (_, units):
        units.press(1)
        await until(lambda: units.plays(3))
        rung = len(units.sirens[3])
        hello = units.hello(3)
        await until(lambda: units.is_kept(3, hello))
        await until(lambda: len(units.sirens[3]) > rung)


async def test_a_line_that_gives_the_gateway_its_own_frames_back_works_all_the_same(wire: Wire) -> None:
    async with town(wire, echo=True) as (gateway, units):
        number = units.press(1)
        await until(lambda: units.is_kept(1, number) and units.plays(3) and units.plays(4))
        assert gateway._supervision.faults.count("line_noisy") == 0
        assert len({siren.alarm for _, siren in units.sirens[3] if siren}) == 1


@pytest.mark.proves("A10", "N8", "N14", "F38")
async def test_an_unplugged_line_is_one_fault_and_its_return_the_restore(wire: Wire) -> None:
    async with town(wire) as (gateway, units):
        first = units.press(1)
        await until(lambda: units.is_kept(1, first))
        wire.unplug()
        await until_fault(gateway, "line_lost")
        await asyncio.sleep(0.5)
        await asyncio.to_thread(wire.plug)
        wire.listen()
        await until(lambda: "line_lost" not in gateway._supervision.faults)
        second = units.press(1)
        await until(lambda: units.is_kept(1, second))
        faults = [(event.type, event.detail["fault"]) for event in await journalled(gateway) if "fault" in event.detail]
        assert [one for one in faults if one[1] == "line_lost"] == [
            (EventType.FAULT, "line_lost"),
            (EventType.FAULT_RESTORED, "line_lost"),
        ]


@pytest.mark.proves("N9", "N13")
async def test_strangers_on_the_line_are_shown_to_the_police_and_are_a_fault(wire: Wire) -> None:
    async with town(wire, status_s=5) as (gateway, units):
        stranger = Units(wire, [77])
        stranger.press(77)
        await until(lambda: gateway._intake.counts.events >= 1)
        wire.heard = units._heard
        await until_fault(gateway, "seal_refused")
        (shown,) = [event for event in await journalled(gateway) if event.type is EventType.UNVERIFIED]
        assert (shown.kind, shown.reason, shown.detail["address"]) == (Kind.UNVERIFIED, "unknown_unit", 77)
        stranger.close()
        assert not any(units.sirens.values())


@pytest.mark.proves("F36")
async def test_garbage_costs_a_counter_and_much_of_it_is_a_fault(wire: Wire) -> None:
    async with town(wire, status_s=5) as (gateway, units):
        for _ in range(200):
            wire.say(b"\x00\x05garbage\x00")
        number = units.press(1)
        await until(lambda: units.is_kept(1, number))
        await until_fault(gateway, "line_noisy")


@pytest.mark.proves("F53")
async def test_a_sounder_that_does_not_work_is_a_fault(wire: Wire) -> None:
    async with town(wire) as (gateway, units):
        units.broken = {3}
        units.press(1)
        await until_fault(gateway, "sounder")


@pytest.mark.proves("A9")
async def test_an_answer_and_a_silenced_sounder_are_kept_and_only_ones_own_is_silent(wire: Wire) -> None:
    async with town(wire) as (gateway, units):
        units.press(1)
        await until(lambda: units.plays(3) and units.plays(4))
        siren = units.plays(3)
        assert siren is not None
        for answer in (Answer.GOING, Answer.SILENCE_MINE):
            number = units.links[3].take_number()
            units.say(3, AnswerGiven(3, 1, number, answer, siren.alarm, Proof.SEALED))
            await until(lambda number=number: units.is_kept(3, number))  # type: ignore[misc] # bound in the loop
        await until(lambda: units.plays(3) is None)
        assert units.plays(4) is not None
        events = await journalled(gateway)
        (alarm,) = [event for event in events if event.type is EventType.PRESS]
        (answered,) = [event for event in events if event.type is EventType.ANSWER]
        assert answered.detail["event"] == alarm.id


@pytest.mark.proves("N7", "N9")
async def test_what_no_disk_takes_gives_way_to_alarms_and_is_new_when_it_is_said_again(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "MOST_UNKEPT", 5)
    monkeypatch.setattr(line_rules, "RETRY_S", 0.05)
    refuse = [True]

    def failing(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if refuse[0]:
                raise Refused(Path("journal"), "full")
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", failing)) as (gateway, units):
        line = gateway._lines["line1"]
        numbers = []
        for tag in range(12):
            numbers.append(units.links[2].take_number())
            units.say(2, TagRead(2, 1, numbers[-1], f"{tag:02X}", 0, Proof.SEALED))
        await until(lambda: line.gave_way > 0)
        press = units.press(1)
        await until(lambda: units.plays(3))
        refuse[0] = False
        await until(lambda: units.is_kept(1, press))
        await until(lambda: all(units.is_kept(2, number) for number in numbers))
        tags = [event.detail["tag"] for event in await journalled(gateway) if event.type is EventType.CHECK_IN]
        assert sorted(tags) == sorted(f"{tag:02X}" for tag in range(12))


def held(gate: Gate) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Commits that hang until the gate is opened."""

    def around_append(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            gate.wait(PATIENCE_S)
            return append(*args, **named)

        return wrapped

    return around_append


def check_ins(count: int) -> list[bytes]:
    """Frames of unit 2, one after the other, as if it waited for no answer."""
    seal = Seal(seed("u02")[:16])
    tags = (TagRead(2, 1, number, f"{number - 1:04X}", 0, Proof.SEALED) for number in range(1, count + 1))
    return [build_frame(seal, UP, 2, 1 << 16 | tag.number, encode_uplink(tag)) for tag in tags]


async def tags_kept(gateway: Gateway) -> list[object]:
    return [event.detail["tag"] for event in await journalled(gateway) if event.type is EventType.CHECK_IN]


@pytest.mark.proves("N7", "N9", "F39")
@pytest.mark.parametrize("baud", [115_200, 921_600])
async def test_a_port_that_brings_more_than_a_disk_takes_is_held_back_and_nothing_of_it_is_lost(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, baud: int
) -> None:
    monkeypatch.setattr(line_rules, "MANY_UNKEPT", 100)
    monkeypatch.setattr(line_rules, "HELD_BACK_S", 0.2)
    gate = Gate()
    lines = [{"name": "line1", "port": wire.name, "baud": baud}]
    async with town(wire, wrap=around("journal.append", held(gate)), lines=lines) as (gateway, _):
        line = gateway._lines["line1"]
        wire.heard = lambda _data: None  # whoever answers amid a frame that is half written spoils it, as on any wire
        frames = check_ins(4_000)
        writing = asyncio.create_task(asyncio.to_thread(wire.pour, b"".join(frames)))
        await until(lambda: line.held_back)
        began, before = time.monotonic(), line.waiting
        await until_fault(gateway, "line_held_back")
        await asyncio.sleep(1.0)
        carried_s = time.monotonic() - began + line_rules.LEAST_READ_S
        assert line.waiting - before <= (carried_s * baud / line_rules.BITS + READ_BYTES) / len(frames[0])
        gate.set()
        await writing
        await until(lambda: gateway._keeper.counts.events >= len(frames) and not line.unkept)
        await until(lambda: "line_held_back" not in gateway._supervision.faults)
        assert await tags_kept(gateway) == [f"{tag:04X}" for tag in range(len(frames))]
        told = gateway.health()["lines"]["line1"]  # type: ignore[index] # a plain dictionary
        assert told["held_back"] >= 1
        assert told["gave_way"] == 0


@pytest.mark.proves("N5", "N7", "F39")
async def test_a_press_on_a_full_wire_rings_however_much_waits_for_the_disk(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "MANY_UNKEPT", 50)
    gate = Gate()
    async with town(wire, wrap=around("journal.append", held(gate))) as (gateway, units):
        line = gateway._lines["line1"]
        frames = check_ins(480)  # 1.5 s of a full line of 115200 baud
        for first in range(0, len(frames), 16):
            wire.say(b"".join(frames[first : first + 16]))
            await asyncio.sleep(0.05)
        assert line.held_back == 1
        number = units.press(1)
        await until(lambda: units.plays(3) and units.plays(4))
        assert not units.is_kept(1, number)
        gate.set()
        await until(lambda: units.is_kept(1, number))
        assert await tags_kept(gateway) == [f"{tag:04X}" for tag in range(len(frames))]


@pytest.mark.proves("N7", "F39")
def test_no_unit_loses_its_first_alarm_for_want_of_room() -> None:
    clock = Clock()
    one, again, two = press(clock), press(clock, number=2), press(clock, unit="u02")
    tags = [plain(clock, EventType.CHECK_IN) for _ in range(2)]
    waiting = [one, tags[0], again, two, tags[1], plain(clock, EventType.FAULT)]
    assert line_rules.give_way(waiting, at_most=1) == [tags[1]]
    assert line_rules.give_way(waiting, at_most=6) == [tags[1], tags[0], again]


@pytest.mark.proves("P1")
async def test_bare_readers_and_receivers_speak_through_their_own_ports(tmp_path: Path) -> None:
    radio = Wire(tmp_path / "radio")
    gate = Wire(tmp_path / "gate")
    for one in (radio, gate):
        await asyncio.to_thread(one.plug)
    more = {
        "lines": [
            {"name": "radio", "port": radio.name, "kind": "radio433", "form": "text"},
            {"name": "gate", "port": gate.name, "kind": "rdm6300", "reader": "rd1"},
        ],
        "units": [],
    }
    async with running(settings(tmp_path / "state", **more)) as gateway:
        body = b"0A00C0FFEE"
        check = 0
        for octet in bytes.fromhex(body.decode()):
            check ^= octet
        frame = b"\x02" + body + b"%02X" % check + b"\x03"
        for _ in range(3):
            gate.say(frame)
        await until(lambda: gateway._intake.counts.events >= 1)
        radio.say(b"nothing that is a code\r\n")
        await asyncio.sleep(0.1)
        (tag,) = [event for event in await journalled(gateway) if event.type is EventType.CHECK_IN]
        assert tag.unit == UnitId("rd1")
        assert set(gateway.health()["lines"]) == {"radio", "gate"}  # type: ignore[call-overload] # a plain dictionary
    radio.close()
    gate.close()


async def test_closing_does_not_wait_for_ever_for_a_disk(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_rules, "CLOSE_S", 0.1)
    refuse = [True]

    def failing(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if refuse[0]:
                raise Refused(Path("journal"), "full")
            return append(*args, **named)

        return wrapped

    async with town(wire, wrap=around("journal.append", failing)) as (_, units):
        units.press(1)
        await until(lambda: units.plays(3))
