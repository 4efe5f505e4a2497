"""The answer at the checkpoint: sound and lamp within a second, and a known card differs from an unknown one."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broker.ids import UnitId, event_id
from broker.kinds import EventType
from broker.messages import Action, Command
from devices import pn532, wiegand
from devices.commands import Pattern
from devices.readings import Proof, TagRead
from firmware_sim.acts import HoldTag
from firmware_sim.reader import wiegand_bits
from firmware_sim.settings import LineKind, LineSettings, VillageSettings
from firmware_sim.village import Village
from gateway import checkpoints as rules
from gateway.alert import Switch
from gateway.checkpoints import (
    CHIRP_AGAIN_NS,
    LATE_NS,
    MOST_PENDING,
    Checkpoints,
    Chirp,
    KnownTags,
    outputs,
)
from gateway.events import Event
from gateway.journal import Journal
from gateway.program import Gateway, Wrap, leave
from gateway.settings import Reader
from gateway.stamps import Stamp
from tests.gateway.place import GATEWAY, settings
from tests.gateway.running import around, journalled, running, until_fault
from tests.gateway.test_slices import configure, slice_of
from tests.gateway.waiting import PATIENCE_S, until
from tests.gateway.wire import Units, Wire

MS = 1_000_000
AT = Stamp(1_790_000_000_000, 10**12, "b1", "synced")
GATE = Reader.model_validate({"id": "rd1", "line": "gate", "buzzer": 17, "lamp": 27})
MUTE = Reader.model_validate({"id": "rd2", "line": "door"})
CARD = "100086F444"
KNOWN = frozenset({CARD, "0A00B1C2D3", "04416D412B0289"})


def check_in(tag: str, *, unit: str = "rd1", number: int = 1, late_ms: int = 0) -> Event:
    return Event(
        id=event_id(number, bytes(10)),
        type=EventType.CHECK_IN,
        stamp=AT,
        unit=UnitId(unit),
        detail={"tag": tag},
        late_ms=late_ms,
    )


class Bench:
    """The checkpoints of one gateway, and what is to be seen and heard there."""

    def __init__(self, *readers: Reader) -> None:
        self.tags = KnownTags(KNOWN)
        self.checkpoints = Checkpoints(readers or (GATE,), self.tags)
        self.log: list[tuple[int, str, bool]] = []

    def do(self, at_ms: int, switches: list[Switch | Chirp]) -> None:
        for one in switches:
            assert isinstance(one, Switch)
            self.log.append((at_ms, str(one.sounder.id).partition(".")[2], one.on))

    def run(self, until_ms: int) -> None:
        while (due_ns := self.checkpoints.next_due()) is not None and due_ns <= until_ms * MS:
            self.do(due_ns // MS, self.checkpoints.advance(due_ns))

    def said(self, output: str) -> list[tuple[int, bool]]:
        return [(at_ms, on) for at_ms, name, on in self.log if name == output]


@pytest.mark.proves("P1")
def test_a_known_card_is_one_tone_and_a_steady_lamp() -> None:
    bench = Bench()
    event = check_in(CARD)
    bench.checkpoints.heard([event], 0)
    bench.do(20, list(bench.checkpoints.kept([event], 20 * MS)))
    bench.run(5_000)
    assert bench.said("buzzer") == [(20, True), (170, False)]
    assert bench.said("lamp") == [(20, True), (1_520, False)]


@pytest.mark.proves("P1")
@pytest.mark.parametrize("tag", ["62E3086CED", "0800112233"])
def test_an_unknown_card_is_three_tones_and_a_flickering_lamp(tag: str) -> None:
    bench = Bench()
    event = check_in(tag)
    bench.checkpoints.heard([event], 0)
    bench.do(0, list(bench.checkpoints.kept([event], 0)))
    bench.run(5_000)
    assert bench.said("buzzer") == [(0, True), (100, False), (200, True), (300, False), (400, True), (500, False)]
    assert len(bench.said("lamp")) == 10


@pytest.mark.proves("P1", "N1")
def test_a_card_that_no_disk_takes_is_told_so_within_a_second_and_not_confirmed_later() -> None:
    bench = Bench()
    event = check_in(CARD)
    bench.checkpoints.heard([event], 0)
    assert bench.checkpoints.advance(LATE_NS - 1) == []
    bench.run(5_000)
    assert bench.said("buzzer") == [(700, True), (1_700, False)]
    assert bench.said("lamp") == []
    assert bench.checkpoints.kept([event], 6_000 * MS) == []


@pytest.mark.proves("P1")
def test_a_card_is_known_by_any_of_its_faces_unless_two_have_it() -> None:
    tags = KnownTags(KNOWN)
    assert all(tags.knows(tag) for tag in (CARD, "0086F444", "86F444", "04416D412B0289"))
    assert not any(tags.knows(tag) for tag in ("", "no tag", "87F444", "000000"))
    assert CARD in tags
    assert "86F444" not in tags  # another first frame of it is waited for: it may be a ghost
    tags.replace({CARD, "620086F444"})
    assert not tags.knows("86F444")
    assert not tags.knows("0086F444")
    assert tags.knows(CARD)


def test_the_next_card_ends_the_answer_to_the_one_before() -> None:
    bench = Bench()
    first, second = check_in("62E3086CED"), check_in(CARD, number=2)
    bench.checkpoints.heard([first, second], 0)
    bench.do(0, list(bench.checkpoints.kept([first], 0)))
    bench.run(250)
    bench.do(250, list(bench.checkpoints.kept([second], 250 * MS)))
    bench.run(5_000)
    assert bench.said("buzzer") == [(0, True), (100, False), (200, True), (400, False)]
    assert bench.said("lamp")[-1] == (1_750, False)
    assert bench.checkpoints.next_due() is None


def test_a_number_that_is_none_of_its_own_is_answered_as_unknown_at_once() -> None:
    bench = Bench(GATE, MUTE)
    bench.do(0, list(bench.checkpoints.refused(UnitId("rd1"), 0)))
    assert bench.log == [(0, "buzzer", True), (0, "lamp", True)]
    assert bench.checkpoints.refused(UnitId("rd2"), 0) == []
    assert bench.checkpoints.refused(UnitId("nobody"), 0) == []


@pytest.mark.proves("P1")
def test_a_native_unit_answers_by_its_own_tone_once_for_a_known_card_and_twice_for_an_unknown_one() -> None:
    checkpoints = Bench().checkpoints
    unit = UnitId("u01")
    assert checkpoints.kept([check_in(CARD, unit="u01")], 0) == [Chirp(unit)]
    assert checkpoints.next_due() is None
    assert checkpoints.kept([check_in("62E3086CED", unit="u01")], 0) == [Chirp(unit)]
    assert checkpoints.advance(CHIRP_AGAIN_NS - 1) == []
    assert checkpoints.advance(CHIRP_AGAIN_NS) == [Chirp(unit)]
    assert checkpoints.kept([check_in(CARD, unit="u01", late_ms=60_000)], 0) == []


def test_what_is_no_check_in_or_was_not_heard_here_is_not_answered() -> None:
    bench = Bench()
    press = replace(check_in(CARD), type=EventType.PRESS)
    bench.checkpoints.heard([press], 0)
    assert bench.checkpoints.next_due() is None
    assert bench.checkpoints.kept([press, replace(check_in(CARD), unit=None), check_in(CARD)], 0) == []


def test_however_many_cards_wait_for_the_disk_no_more_than_so_many_are_remembered() -> None:
    bench = Bench()
    bench.checkpoints.heard([check_in(CARD, number=number) for number in range(2 * MOST_PENDING)], 0)
    assert len(bench.checkpoints._pending) == MOST_PENDING


def call(*readers: str, lasts_ms: int = 10_000, age_ms: int = 0) -> Command:
    return Command.model_validate(
        {
            "topic": f"sw1/north/gateway/{GATEWAY}/command",
            "audience": f"gateway:{GATEWAY}",
            "id": "01900000-0000-7000-8000-000000000000",
            "age_ms": age_ms,
            "session": "0" * 32,
            "counter": 1,
            "action": Action.CALL,
            "units": readers,
            "lasts_ms": lasts_ms,
        }
    )


@pytest.mark.proves("P5")
def test_a_reader_that_calls_somebody_blinks_slowly_and_stops_by_itself() -> None:
    bench = Bench()
    bench.do(0, bench.checkpoints.called(call("rd1", "rd9", lasts_ms=7_000, age_ms=1_500), 0))
    bench.run(60_000)
    lit = [(0, True), (500, False), (2_000, True), (2_500, False), (4_000, True), (4_500, False)]
    assert bench.said("lamp") == lit
    assert bench.said("buzzer") == []
    assert bench.checkpoints.next_due() is None
    assert bench.checkpoints.called(call("rd1", lasts_ms=1_000, age_ms=1_000), 0) == []


@pytest.mark.proves("P5", "P1")
def test_the_answer_to_a_card_comes_before_the_call_and_the_call_goes_on_after_it() -> None:
    bench = Bench()
    bench.do(0, bench.checkpoints.called(call("rd1", lasts_ms=60_000), 0))
    event = check_in(CARD)
    bench.checkpoints.heard([event], 100 * MS)
    bench.do(100, list(bench.checkpoints.kept([event], 100 * MS)))
    bench.run(4_000)
    assert bench.said("lamp") == [(0, True), (1_600, False), (3_100, True), (3_600, False)]


@pytest.mark.proves("P5")
def test_the_last_word_of_the_station_says_which_readers_call() -> None:
    lamp = Reader.model_validate({"id": "rd2", "line": "door", "lamp": 5})
    bench = Bench(GATE, lamp, Reader.model_validate({"id": "rd3", "line": "x"}))
    bench.do(0, bench.checkpoints.called(call("rd1", "rd3", lasts_ms=60_000), 0))
    changed = [one for one in bench.checkpoints.called(call("rd2"), 100 * MS) if isinstance(one, Switch)]
    assert [(one.sounder.id, one.on) for one in changed] == [("rd1.lamp", False), ("rd2.lamp", True)]
    bench.do(200, bench.checkpoints.called(call(), 200 * MS))
    assert bench.checkpoints.next_due() is None


def test_a_call_is_over_in_the_middle_of_an_answer_without_ending_it() -> None:
    bench = Bench()
    bench.do(0, bench.checkpoints.called(call("rd1"), 0))
    bench.do(0, list(bench.checkpoints.refused(UnitId("rd1"), 0)))
    bench.do(50, bench.checkpoints.called(call(lasts_ms=0), 50 * MS))
    bench.run(5_000)
    assert len([on for _, on in bench.said("lamp") if on]) == 5
    assert bench.said("lamp")[-1] == (900, False)


def test_a_reader_has_the_outputs_that_the_site_file_gives_it() -> None:
    low = Reader.model_validate({"id": "rd3", "line": "x", "lamp": 5, "active_high": False})
    assert {name: (output.pin, output.active_high) for name, output in outputs(low).items()} == {"lamp": (5, False)}
    assert outputs(MUTE) == {}


# With real ports, real pins of the mock factory, and simulated readers


class SimulatedReader:
    """A reader of firmware_sim at the other end of a pseudo-terminal."""

    def __init__(self, wire: Wire, kind: LineKind, *, baud: int = 115_200) -> None:
        self._wire = wire
        line = LineSettings(name="gate", kind=kind, baud=baud)
        self._village = Village(VillageSettings(lines=(line,), heartbeat_s=0), now_ns=time.monotonic_ns())
        self._task: asyncio.Task[None] | None = None
        wire.heard = self._heard

    def start(self) -> None:
        self._wire.listen()
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._wire.unplug()

    def hold(self, tag: str, *, memory: str = "") -> None:
        self._village.perform(HoldTag("gate", tag, memory=memory), time.monotonic_ns())

    def _heard(self, data: bytes) -> None:
        self._village.lines["gate"].receive(data, time.monotonic_ns())

    async def _run(self) -> None:
        while True:
            self._village.advance(time.monotonic_ns())
            for _, data in self._village.lines["gate"].take_heard():
                self._wire.say(data)
            await asyncio.sleep(0.002)


class Checkpoint:
    """What a guard sees and hears: the pins, over the gateway's own simulator socket."""

    def __init__(self, gateway: Gateway, writer: asyncio.StreamWriter) -> None:
        self.gateway = gateway
        self.writer = writer
        self.levels: list[tuple[int, bool]] = []

    def rises(self, pin: int) -> int:
        """How often an output has gone on."""
        return self.levels.count((pin, True))

    def drive(self, pin: int, *, high: bool) -> None:
        self.writer.write(json.dumps({"pin": pin, "high": high}).encode() + b"\n")

    async def over(self) -> None:
        """The last answer has no more tones."""
        steps = self.gateway._checkpoints._steps
        await until(lambda: not any(switch.sounder.pin == 17 for left in steps.values() for _, switch in left))

    async def answered(self, *, tones: int) -> None:
        """Wait for an answer of so many tones with a lamp, which none has that says `not kept`."""
        before, lit = self.rises(17), self.rises(27)
        await until(lambda: self.rises(17) >= before + tones)
        await self.over()
        assert self.rises(17) == before + tones
        assert self.rises(27) > lit


@asynccontextmanager
async def checkpoint(
    tmp_path: Path, *, wrap: Wrap = leave, late_ns: int = 60_000 * MS, **more: Any
) -> AsyncIterator[Checkpoint]:
    """A gateway with readers. `late_ns`: how long a disk may take; this machine may be busier than a Pi."""
    values = {"units": [], "gpio": "mock", "gpio_socket": tmp_path / "gpio", "tags": KNOWN, "lines": []} | more
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(rules, "LATE_NS", late_ns)
        patch.setattr(wiegand, "SILENCE_NS", 250 * MS)  # a busy machine pauses in the middle of a frame
        gateway = await stack.enter_async_context(running(settings(tmp_path / "state", **values), wrap=wrap))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "gpio"))
        seen = Checkpoint(gateway, writer)

        async def watch() -> None:
            while line := await reader.readline():
                level = json.loads(line)
                seen.levels.append((level["pin"], level["high"]))

        watching = asyncio.create_task(watch())
        try:
            yield seen
        finally:
            writer.close()
            watching.cancel()


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    made = Wire(tmp_path / "port")
    await asyncio.to_thread(made.plug)
    yield made
    if made.plugged:
        made.close()


async def tags_kept(gateway: Gateway) -> list[tuple[str | None, object]]:
    await until(lambda: not any(line.unkept for line in (*gateway._lines.values(), gateway._own)))
    events = await journalled(gateway)
    return [(event.unit, event.detail["tag"]) for event in events if event.type is EventType.CHECK_IN]


@pytest.mark.anyio
@pytest.mark.proves("P1")
@pytest.mark.parametrize(
    ("kind", "known", "unknown"),
    [
        (LineKind.RDM6300, CARD, "62E3086CED"),
        (LineKind.WIEGAND, "0086F444", "CB98A605"),
        (LineKind.PN532, "04416D412B0289", "CB98A605"),
    ],
    ids=lambda value: getattr(value, "value", value),
)
async def test_every_kind_of_reader_is_answered_and_known_and_unknown_differ(
    tmp_path: Path, wire: Wire, kind: LineKind, known: str, unknown: str
) -> None:
    baud = 115_200 if kind is LineKind.PN532 else 9_600
    lines = [{"name": "gate", "port": wire.name, "kind": kind.value, "baud": baud, "reader": "rd1"}]
    reader = SimulatedReader(wire, kind, baud=baud)
    reader.start()
    async with checkpoint(tmp_path, lines=lines, readers=[GATE.model_dump()]) as seen:
        if kind is LineKind.PN532:
            await until(lambda: seen.gateway._lines["gate"].codec.answers)  # type: ignore[attr-defined] # it is one
        reader.hold(known)
        await seen.answered(tones=1)
        reader.hold(unknown)
        await seen.answered(tones=3)
        assert await tags_kept(seen.gateway) == [("rd1", known), ("rd1", unknown)]
        health: Any = seen.gateway.health()
        assert health["lines"]["gate"]["reader"]["frames"] >= 2
    reader.stop()


def memory_with(uri: str) -> str:
    """What a phone writes on an NFC card: the address without a prefix, in a short record."""
    record = b"\xd1\x01%cU\x00%b" % (len(uri) + 1, uri.encode())
    return (b"\x03%c%b\xfe" % (len(record), record)).hex()


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_card_with_something_written_on_it_is_read_and_answered(
    tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pn532, "MEMORY_NS", 500 * MS)  # a machine that does other work is slower than a chip
    lines = [{"name": "gate", "port": wire.name, "kind": "pn532", "baud": 115_200, "reader": "rd1"}]
    code = "PT1:east:1:0123456789abcdef"
    reader = SimulatedReader(wire, LineKind.PN532)
    reader.start()
    async with checkpoint(tmp_path, lines=lines, readers=[GATE.model_dump()]) as seen:
        await until(lambda: seen.gateway._lines["gate"].codec.answers)  # type: ignore[attr-defined] # it is one
        reader.hold("04416D412B0289", memory=memory_with(f"https://sw.example/phone/c/{code}"))
        await seen.answered(tones=1)
        reader.hold("04A035B2BC2B80", memory=memory_with("https://qconsf.com/?id=3566"))
        await seen.answered(tones=3)
        reader.hold("04A035B2BC2B81", memory="0304d1010055")  # cut short
        await seen.answered(tones=3)
        assert len(await tags_kept(seen.gateway)) == 3
        events = [one.detail for one in await journalled(seen.gateway) if one.type is EventType.CHECK_IN]
        assert events == [
            {"tag": "04416D412B0289", "code": code}, {"tag": "04A035B2BC2B80"}, {"tag": "04A035B2BC2B81"},
        ]  # fmt: skip
        health: Any = seen.gateway.health()
        assert health["lines"]["gate"]["reader"]["memories"] == 2
    reader.stop()


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_wiegand_reader_on_two_pins_is_read_and_answered(tmp_path: Path) -> None:
    readers = [{"id": "rd1", "d0": 5, "d1": 6, "form": "w26", "buzzer": 17, "lamp": 27}]
    async with checkpoint(tmp_path, readers=readers) as seen:
        for tag, tones in (("86F444", 1), ("F7AA6C", 3)):
            for bit in wiegand_bits(tag):
                for high in (False, True):
                    seen.drive(6 if bit == "1" else 5, high=high)
            await seen.answered(tones=tones)
        for bit in wiegand_bits("86F444")[3:]:  # a card that begins while the reader powers up
            for high in (False, True):
                seen.drive(6 if bit == "1" else 5, high=high)
        health: Any
        await until(lambda: seen.gateway.health()["readers"]["rd1"]["wrong_lengths"] == 1)  # type: ignore[index]
        health = seen.gateway.health()
        assert health["readers"]["rd1"]["last_wrong_length"] == 23
        assert await tags_kept(seen.gateway) == [("rd1", "86F444"), ("rd1", "F7AA6C")]


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_card_that_the_station_enrolled_meanwhile_is_answered_as_known(tmp_path: Path) -> None:
    readers = [{"id": "rd1", "d0": 5, "d1": 6, "form": "w26", "buzzer": 17, "lamp": 27}]
    async with checkpoint(tmp_path, readers=readers) as seen:
        steps = ((), "F7AA6C", 3), ((), "5A0144", 3), (("62E3F7AA6C",), "F7AA6C", 1)  # one card twice is one reading
        for version, (tags, card, tones) in enumerate(steps, start=1):
            configure(seen.gateway, slice_of(version, tags=list(tags)))
            for bit in wiegand_bits(card):
                for high in (False, True):
                    seen.drive(6 if bit == "1" else 5, high=high)
            await seen.answered(tones=tones)


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_unit_with_a_reader_answers_by_its_own_tone_once_or_twice(tmp_path: Path, wire: Wire) -> None:
    lines = [{"name": "line1", "port": wire.name, "baud": 115_200}]
    async with running(settings(tmp_path / "state", lines=lines, tags=KNOWN)) as gateway:
        units = Units(wire, [1, 2])
        await until(lambda: gateway._lines["line1"].port.up)
        for unit, tag, tones in ((1, CARD, 1), (2, "62E3086CED", 2)):
            link = units.links[unit]
            number = link.take_number()
            units.say(unit, TagRead(unit, link.boot, number, tag, 0, Proof.SEALED))
            await until(partial(_toned, units, unit, tones))
            await until(partial(units.is_kept, unit, number))
        await until(lambda: gateway._checkpoints.next_due() is None)
        assert [siren.pattern for unit in (1, 2) for _, siren in units.sirens[unit] if siren] == [Pattern.CHIRP] * 3
        units.close()
        wire.unplug()


def _toned(units: Units, unit: int, tones: int) -> bool:
    return len(units.sirens[unit]) >= tones


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_phone_that_gives_a_new_number_each_time_is_answered_as_unknown_and_not_kept(
    tmp_path: Path, wire: Wire
) -> None:
    lines = [{"name": "gate", "port": wire.name, "kind": "pn532", "baud": 115_200, "reader": "rd1"}]
    reader = SimulatedReader(wire, LineKind.PN532)
    reader.start()
    async with checkpoint(tmp_path, lines=lines, readers=[GATE.model_dump()]) as seen:
        await until(lambda: seen.gateway._lines["gate"].codec.answers)  # type: ignore[attr-defined] # it is one
        reader.hold("08A1B2C3")
        await seen.answered(tones=3)
        assert await tags_kept(seen.gateway) == []
    reader.stop()


@pytest.mark.anyio
@pytest.mark.proves("P1", "N1")
async def test_a_disk_that_hangs_is_told_by_one_long_tone_while_it_hangs(tmp_path: Path, wire: Wire) -> None:
    turns = threading.Event()

    def hangs(call: Any) -> Any:
        def appended(self: Journal, *given: Any, **named: Any) -> Any:
            assert turns.wait(PATIENCE_S)
            return call(self, *given, **named)

        return appended

    lines = [{"name": "gate", "port": wire.name, "kind": "rdm6300", "reader": "rd1"}]
    reader = SimulatedReader(wire, LineKind.RDM6300, baud=9_600)
    reader.start()
    wrap = around("journal.append", hangs)
    async with checkpoint(tmp_path, lines=lines, readers=[GATE.model_dump()], wrap=wrap, late_ns=rules.LATE_NS) as seen:
        reader.hold(CARD)
        await until(lambda: seen.rises(17))  # while the disk still hangs
        assert seen.gateway._keeper.counts.events == 0
        assert not seen.rises(27)
        turns.set()
        await until(lambda: seen.gateway._keeper.counts.events >= 1)
        assert seen.rises(17) == 1
    reader.stop()


@pytest.mark.anyio
@pytest.mark.proves("P1", "N8")
async def test_a_pn532_that_does_not_answer_is_a_fault_and_back_again_none(tmp_path: Path, wire: Wire) -> None:
    lines = [{"name": "gate", "port": wire.name, "kind": "pn532", "baud": 115_200, "reader": "rd1"}]
    async with checkpoint(tmp_path, lines=lines) as seen:

        def faults() -> tuple[str, ...]:
            """As the rounds find them, without waiting for the next one."""
            seen.gateway._lines["gate"].supervise()  # type: ignore[attr-defined] # it is one that is asked
            return tuple(seen.gateway._supervision.faults)

        assert "reader_silent" not in faults()  # it is given its time to wake up
        await until(lambda: "reader_silent" in faults())
        reader = SimulatedReader(wire, LineKind.PN532)
        reader.start()
        await until(lambda: "reader_silent" not in faults())
        reader.stop()
        await until_fault(seen.gateway, "line_lost")
        assert ("reader_silent", "rd1") in {(one.fault, one.subject) for one in seen.gateway._supervision.open}


@pytest.mark.anyio
@pytest.mark.proves("P1")
async def test_a_wired_button_at_a_checkpoint_is_a_check_in_that_is_answered_and_never_an_alarm(tmp_path: Path) -> None:
    button = {"id": "b1", "pin": 4, "role": "checkpoint", "buzzer": 17, "lamp": 27}
    async with checkpoint(tmp_path, contacts=[button]) as seen:
        seen.drive(4, high=False)
        await seen.answered(tones=1)
        seen.drive(4, high=True)
        seen.drive(4, high=False)
        await until(lambda: seen.gateway._keeper.counts.events >= 2)
        events = await journalled(seen.gateway)
        heard = [(event.unit, event.type, event.detail) for event in events if event.unit == "b1"]
        assert {(unit, type_) for unit, type_, _ in heard} == {("b1", EventType.CHECK_IN)}
        assert heard[0][2] == {"button": True}
        assert all(event.targets(GATEWAY) == ["station"] for event in events if event.unit == "b1")


def test_the_simulated_wiegand_reader_sends_published_frames() -> None:
    assert wiegand_bits("5A0144") == "00101101000000001010001000"
    assert wiegand_bits("60F7AA6C") == "1011000001111011110101010011011001"
    with pytest.raises(ValueError, match="six or eight"):
        wiegand_bits("10" + "0086F444")
