"""A household's unit by itself: what it says, shows, sounds and writes down, with a gateway of sealed frames."""

from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import pytest

from devices.commands import Challenge, Command, Kept, KeyHalf, Lamp, Pattern, SetTime, ShowLamp, Siren, Stop
from devices.frames import (
    DOWN,
    FRAME_BYTES,
    build_frame,
    decode_uplink,
    encode_downlink,
    new_deframer,
    split_content,
)
from devices.readings import (
    Answer,
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    Confirmation,
    FreshProof,
    Heartbeat,
    Key,
    NotUnderstood,
    Numbered,
    Part,
    PartFailed,
    PartRestored,
    PressEnded,
    Proof,
    Sounded,
    TagRead,
    TestPressed,
    UnitHello,
)
from devices.sealing import Seal
from devices.timing import LineTiming
from devices.unit_link import MOST_WAITING
from firmware_sim.diary import (
    Confirmed,
    Entry,
    GivenUp,
    KeyStuck,
    LampChanged,
    PoweredUp,
    PowerLost,
    Pressed,
    Released,
    Said,
    SirenChanged,
    SirenIgnored,
    SirenStarted,
    SirenStopped,
    to_plain,
)
from firmware_sim.settings import UnitSettings
from firmware_sim.unit import DEBOUNCE_NS, FLOOR_STEP, HELLO_SPREAD_NS, Memory, Unit

MS = 1_000_000
S = 1_000 * MS
KEY = bytes(range(16))
SIREN = Siren(Pattern.PANIC, 3, 180, 7, (103,))
E = TypeVar("E", bound=Entry)


@dataclass
class Bench:
    """A unit on a workbench: time goes in steps of a millisecond, every frame is opened."""

    has_sounder: bool = True
    battery: int | None = None
    heartbeat_s: float = 0
    memory: Memory | None = None
    now_ns: int = 0
    counter: int = 0
    said: list[Numbered | Confirmation | NotUnderstood] = field(default_factory=list)
    flash: list[Memory] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seal = Seal(KEY)
        self.unit = Unit(
            UnitSettings(name="u03", unit=3, key=KEY, door=103, has_sounder=self.has_sounder, battery=self.battery),
            timing=LineTiming(9600, FRAME_BYTES),
            heartbeat_ns=round(self.heartbeat_s * S),
            dice=Random(1),
            now_ns=0,
            memory=self.memory,
            remember=self.flash.append,
        )
        self.hello()

    def hello(self) -> None:
        """Let the unit say hello, and keep it."""
        self.run(HELLO_SPREAD_NS + 100 * MS)
        self.keep_all()
        self.said.clear()

    def run(self, for_ns: int) -> None:
        until_ns = self.now_ns + for_ns
        while (due := self.unit.next_due()) is not None and due <= until_ns:
            self.now_ns = max(due, self.now_ns)
            self.unit.advance(self.now_ns)
            self.open(self.unit.data_to_send(self.now_ns))
        self.now_ns = until_ns

    def open(self, frame: bytes) -> None:
        for content in new_deframer().receive_data(frame):
            split = split_content(content)
            assert split is not None
            header, header_bytes, sealed = split
            body = self.seal.open(header_bytes, sealed)
            assert body is not None
            self.said.append(decode_uplink(body, header.unit, header.boot, Proof.SEALED))

    def tell(self, command: Command) -> None:
        self.counter += 1
        frame = build_frame(self.seal, DOWN, 3, self.counter, encode_downlink(command))
        self.run(100 * MS)
        self.unit.hear(frame, self.now_ns)
        self.run(100 * MS)

    def keep(self, message: Numbered, lamp: Lamp = Lamp.IDLE) -> None:
        self.tell(Kept(self.unit.memory.boot, message.number, lamp))

    def keep_all(self) -> None:
        for message in {id(one): one for one in self.said if isinstance(one, Numbered)}.values():
            self.keep(message)

    def press(self, key: Key, *, hold_ms: int = 200, bounces: int = 0) -> None:
        self.unit.press(key, self.now_ns, hold_ns=hold_ms * MS, bounces=bounces)

    def diary(self, kind: type[E]) -> list[E]:
        return [entry for entry in self.unit.diary if type(entry) is kind]

    def heard(self, kind: type[Numbered] | type[Confirmation]) -> list[object]:
        return [one for one in self.said if type(one) is kind]


@pytest.mark.proves("N7", "N9")
def test_what_a_unit_has_no_room_for_stands_in_its_diary() -> None:
    bench = Bench()
    for _ in range(MOST_WAITING):
        bench.press(Key.PANIC, hold_ms=100)
        bench.run(S)
    meant = {one.number for one in bench.diary(Pressed)} | {one.number for one in bench.diary(Said)}
    kept = {one.number for one in bench.diary(Confirmed)}
    no_room = {one.number for one in bench.diary(GivenUp)}
    assert bench.unit.unanswered == MOST_WAITING
    assert no_room <= meant - kept
    assert len(meant - kept - no_room) == MOST_WAITING
    assert not no_room & {one.number for one in bench.diary(Pressed)}, "presses go before what is less urgent"


def test_a_press_is_told_when_the_contact_is_certain() -> None:
    bench = Bench()
    bench.press(Key.PANIC)
    bench.run(DEBOUNCE_NS)
    [message] = bench.said
    [entry] = bench.diary(Pressed)
    assert isinstance(message, ButtonPressed)
    assert (message.key, message.age_ms) == (Key.PANIC, 0)
    assert (entry.boot, entry.number, entry.key) == (message.boot, message.number, "panic")
    assert entry.at_ns == bench.now_ns


def test_how_long_a_key_was_held_is_told_later() -> None:
    bench = Bench()
    bench.press(Key.FIRE, hold_ms=1500)
    bench.run(2 * S)
    [pressed] = {one.number: one for one in bench.said if isinstance(one, ButtonPressed)}.values()
    assert not bench.heard(PressEnded)
    bench.keep(pressed)
    bench.run(15 * S)
    ended = bench.said[-1]
    assert isinstance(ended, PressEnded)
    assert (ended.press, ended.held_ms) == (pressed.number, 1500)
    [released] = bench.diary(Released)
    assert released.held_ms == 1500


@pytest.mark.proves("F45")
@pytest.mark.parametrize("bounces", [1, 5, 10])
def test_a_bouncing_contact_is_one_press(bounces: int) -> None:
    bench = Bench()
    bench.press(Key.PANIC, bounces=bounces)
    bench.run(S)
    assert len(bench.diary(Pressed)) == len(bench.diary(Released)) == 1


@pytest.mark.proves("F46")
def test_a_touch_shorter_than_the_debounce_is_no_press() -> None:
    bench = Bench()
    bench.press(Key.PANIC, hold_ms=5)
    bench.run(S)
    assert not bench.diary(Pressed)


@pytest.mark.proves("F45")
def test_a_stuck_key_is_one_press_and_one_note_and_blocks_no_other_key() -> None:
    bench = Bench()
    bench.unit.jam(Key.PANIC, bench.now_ns)
    bench.press(Key.PANIC)
    bench.run(100 * S)
    assert [entry.key for entry in bench.diary(Pressed)] == ["panic"]
    assert [entry.key for entry in bench.diary(KeyStuck)] == ["panic"]
    bench.press(Key.FIRE)
    bench.run(S)
    assert [entry.key for entry in bench.diary(Pressed)] == ["panic", "fire"]
    bench.unit.jam(Key.PANIC, bench.now_ns, jammed=False)
    bench.run(S)
    assert "panic" in [entry.key for entry in bench.diary(Released)]


@pytest.mark.proves("A5")
def test_the_diary_says_confirmed_once_and_what_the_lamp_shows() -> None:
    bench = Bench()
    bench.press(Key.PANIC)
    bench.run(S)
    [entry] = bench.diary(Pressed)
    for _ in range(2):
        bench.tell(Kept(entry.boot, entry.number, Lamp.KEPT))
    bench.tell(ShowLamp(Lamp.POLICE_HAVE_IT))
    [confirmed] = [one for one in bench.diary(Confirmed) if one.what == "press"]
    assert (confirmed.boot, confirmed.number, confirmed.key) == (entry.boot, entry.number, "panic")
    assert [one.lamp for one in bench.diary(LampChanged)] == [Lamp.KEPT, Lamp.POLICE_HAVE_IT]
    assert bench.unit.lamp is Lamp.POLICE_HAVE_IT


def test_a_kept_for_another_boot_confirms_nothing() -> None:
    bench = Bench()
    bench.press(Key.PANIC)
    bench.run(S)
    [entry] = bench.diary(Pressed)
    bench.tell(Kept(entry.boot + 1, entry.number, Lamp.IDLE))
    assert not [one for one in bench.diary(Confirmed) if one.what == "press"]
    assert bench.unit.unanswered


@pytest.mark.proves("A3")
def test_a_siren_sounds_and_is_confirmed_until_it_is_stopped() -> None:
    bench = Bench()
    bench.tell(SIREN)
    [started] = bench.diary(SirenStarted)
    assert (started.pattern, started.doors, started.alarm, started.own) == (Pattern.PANIC, (103,), 7, False)
    assert bench.said == [Sounded(3, bench.counter, Pattern.PANIC, works=True)]
    bench.tell(Stop())
    assert bench.said[-1] == CommandDone(3, bench.counter, 0, bench.unit.memory.floor - FLOOR_STEP + bench.counter - 1)
    assert [entry.why for entry in bench.diary(SirenStopped)] == ["told"]
    assert bench.unit.playing is None


def test_a_siren_is_over_by_itself() -> None:
    bench = Bench()
    bench.tell(SIREN)
    [started] = bench.diary(SirenStarted)
    bench.run(200 * S)
    [stopped] = bench.diary(SirenStopped)
    assert stopped.why == "over"
    assert stopped.at_ns - started.at_ns == 180 * S


def test_further_doors_change_a_siren_and_the_same_order_again_does_not() -> None:
    bench = Bench()
    bench.tell(SIREN)
    bench.tell(SIREN)
    bench.tell(Siren(Pattern.PANIC, 3, 180, 7, (105, 103)))
    assert len(bench.diary(SirenStarted)) == 1
    assert [entry.doors for entry in bench.diary(SirenChanged)] == [(105, 103)]
    assert len(bench.heard(Sounded)) == 3


@pytest.mark.proves("A9")
def test_silence_mine_quiets_this_sounder_for_this_alarm_only() -> None:
    bench = Bench()
    bench.tell(SIREN)
    bench.unit.answer(Answer.SILENCE_MINE, bench.now_ns)
    bench.run(S)
    [answer] = {one.number: one for one in bench.said if isinstance(one, AnswerGiven)}.values()
    assert (answer.answer, answer.alarm) == (Answer.SILENCE_MINE, 7)
    assert [entry.why for entry in bench.diary(SirenStopped)] == ["silenced"]
    bench.tell(Siren(Pattern.PANIC, 3, 180, 7, (105, 103)))
    assert bench.unit.playing is None
    assert [entry.why for entry in bench.diary(SirenIgnored)] == ["silenced"]
    bench.tell(Siren(Pattern.FIRE, 3, 180, 8, (110,)))
    assert bench.unit.playing is not None


def test_another_answer_leaves_the_sounder_alone() -> None:
    bench = Bench()
    bench.tell(SIREN)
    bench.unit.answer(Answer.GOING, bench.now_ns)
    bench.run(S)
    assert bench.unit.playing == SIREN
    assert bench.heard(AnswerGiven)


def test_the_red_key_is_a_new_alarm_while_the_siren_sounds() -> None:
    bench = Bench()
    bench.tell(SIREN)
    bench.press(Key.PANIC)
    bench.run(S)
    assert len(bench.diary(Pressed)) == 1
    assert bench.unit.playing == SIREN


def test_a_unit_without_a_sounder_says_so() -> None:
    bench = Bench(has_sounder=False)
    bench.tell(SIREN)
    assert bench.said == [Sounded(3, bench.counter, Pattern.PANIC, works=False)]
    assert not bench.diary(SirenStarted)
    assert [entry.why for entry in bench.diary(SirenIgnored)] == ["no sounder"]


def test_a_broken_sounder_is_told_and_seen_in_the_confirmation() -> None:
    bench = Bench()
    bench.unit.break_sounder(bench.now_ns)
    bench.run(S)
    bench.tell(SIREN)
    assert [one.part for one in bench.said if isinstance(one, PartFailed)][:1] == [Part.SOUNDER]
    assert bench.heard(Sounded) == [Sounded(3, bench.counter, Pattern.PANIC, works=False)]


@pytest.mark.proves("A10")
def test_faults_of_a_unit_and_their_ends_are_told() -> None:
    bench = Bench(battery=80)
    unit = bench.unit
    unit.tamper(bench.now_ns)
    unit.tamper(bench.now_ns)  # once is enough
    unit.cut_mains(bench.now_ns)
    unit.set_battery(19, bench.now_ns)
    unit.set_battery(25, bench.now_ns)  # still not good
    bench.run(S)
    assert {Part(one.part) for one in bench.said if isinstance(one, PartFailed)} == {
        Part.COVER,
        Part.MAINS,
        Part.BATTERY,
    }
    assert unit.unanswered == 3
    unit.tamper(bench.now_ns, opened=False)
    unit.cut_mains(bench.now_ns, cut=False)
    unit.set_battery(90, bench.now_ns)
    bench.run(5 * S)
    assert {Part(one.part) for one in bench.said if isinstance(one, PartRestored)} == {
        Part.COVER,
        Part.MAINS,
        Part.BATTERY,
    }


def test_a_heartbeat_tells_the_state_of_the_unit() -> None:
    bench = Bench(battery=80, heartbeat_s=5)
    bench.unit.tamper(bench.now_ns)
    bench.run(10 * S)
    *_, heartbeat = (one for one in bench.said if isinstance(one, Heartbeat))
    assert (heartbeat.battery, heartbeat.mains, heartbeat.cover_open, heartbeat.sounder_broken) == (
        80,
        True,
        True,
        False,
    )


def test_a_heartbeat_comes_in_every_period_and_only_the_newest_waits_for_an_answer() -> None:
    bench = Bench(heartbeat_s=5)
    bench.run(60 * S)
    assert bench.unit.unanswered == 1
    numbers = [one.number for one in bench.said if isinstance(one, Heartbeat)]
    assert len(set(numbers)) >= 12
    assert numbers == sorted(numbers)


def test_cancel_names_the_last_press_and_test_and_tag_are_told() -> None:
    bench = Bench()
    bench.press(Key.PANIC)
    bench.run(S)
    pressed = next(one for one in bench.said if isinstance(one, ButtonPressed))
    bench.keep(pressed)
    bench.unit.cancel(bench.now_ns)
    bench.unit.test(bench.now_ns)
    bench.unit.hold_tag("0062E3086C", bench.now_ns)
    bench.run(2 * S)
    assert next(one.press for one in bench.said if isinstance(one, CancelPressed)) == pressed.number
    assert next(one.tag for one in bench.said if isinstance(one, TagRead)) == "0062E3086C"
    assert bench.heard(TestPressed)


def test_a_reboot_loses_everything_but_the_memory() -> None:
    bench = Bench()
    bench.tell(SIREN)
    bench.press(Key.PANIC)
    bench.run(S)
    before = bench.unit.memory
    bench.unit.reboot(bench.now_ns)
    assert bench.unit.next_due() is not None
    assert bench.unit.playing is None
    assert [entry.why for entry in bench.diary(SirenStopped)] == ["power"]
    bench.said.clear()
    bench.run(S)
    assert len(bench.diary(PowerLost)) == 1
    assert bench.unit.memory == Memory(before.boot + 1, before.floor)
    assert not bench.heard(ButtonPressed)
    bench.run(5 * S)
    hello = next(one for one in bench.said if isinstance(one, UnitHello))
    assert (hello.boot, hello.floor) == (before.boot + 1, before.floor)


def test_the_floor_in_flash_is_ahead_so_that_no_old_order_counts_after_a_reboot() -> None:
    bench = Bench()
    bench.tell(SIREN)
    old = bench.counter
    bench.unit.reboot(bench.now_ns)
    bench.run(S)
    bench.said.clear()
    bench.tell(SIREN)  # a counter that the unit may have seen before it lost power
    assert bench.unit.playing is None
    assert [one.result for one in bench.said if isinstance(one, CommandDone)] == [1]
    bench.counter = old + FLOOR_STEP + 1
    bench.tell(SIREN)
    assert bench.unit.playing == SIREN


def test_flash_is_written_at_power_up_and_once_in_many_orders() -> None:
    bench = Bench()
    for _ in range(FLOOR_STEP + 10):
        bench.tell(ShowLamp(Lamp.IDLE))
    assert len(bench.flash) == 3  # power, the first order, and one step later
    assert bench.flash[-1] == bench.unit.memory


def test_a_key_that_is_held_while_the_power_comes_back_is_a_press() -> None:
    bench = Bench()
    bench.press(Key.PANIC, hold_ms=5000)
    bench.run(S)
    bench.unit.reboot(bench.now_ns)
    bench.run(S)
    assert [entry.boot for entry in bench.diary(Pressed)] == [1, 2]


def test_a_dead_unit_says_and_hears_nothing() -> None:
    bench = Bench()
    bench.unit.reboot(bench.now_ns, off_ns=100 * S)
    bench.unit.reboot(bench.now_ns)  # no more dead than dead
    bench.said.clear()
    bench.press(Key.PANIC)
    bench.unit.test(bench.now_ns)
    bench.unit.tamper(bench.now_ns)
    bench.tell(SIREN)
    bench.run(S)
    assert bench.said == []
    assert bench.unit.data_to_send(bench.now_ns) == b""
    assert bench.unit.unanswered == 0
    assert not bench.unit.owes_confirmation


def test_a_unit_takes_up_the_memory_that_it_had() -> None:
    bench = Bench(memory=Memory(41, 1000))
    assert bench.diary(PoweredUp)[0] == PoweredUp(at_ns=0, boot=42, floor=1000)


def test_time_and_challenges_are_answered_and_change_nothing() -> None:
    bench = Bench()
    bench.tell(SetTime(1_700_000_000))
    bench.tell(Challenge(b"freshly!"))
    assert [type(one) for one in bench.said] == [CommandDone, FreshProof]
    assert not bench.diary(LampChanged)


def test_a_new_key_outlives_a_power_cut() -> None:
    bench = Bench()
    bench.tell(KeyHalf(1, 0, bytes(8)))
    bench.counter += 1
    bench.unit.hear(
        build_frame(bench.seal, DOWN, 3, bench.counter, encode_downlink(KeyHalf(1, 1, bytes(8)))), bench.now_ns
    )
    assert bench.unit.memory.key == bytes(16)
    bench.seal = Seal(bytes(16))
    bench.run(S)
    assert [one.result for one in bench.said if isinstance(one, CommandDone)] == [3, 0]
    bench.unit.reboot(bench.now_ns)
    bench.hello()
    bench.counter = bench.unit.memory.floor
    bench.tell(SIREN)
    assert bench.unit.playing == SIREN


def test_half_a_key_is_confirmed_as_incomplete() -> None:
    bench = Bench()
    bench.tell(KeyHalf(1, 0, bytes(8)))
    assert [one.result for one in bench.said if isinstance(one, CommandDone)] == [3]


@pytest.mark.proves("A3")
def test_duress_is_one_frame_and_leaves_no_trace_on_lamp_and_sounder() -> None:
    bench = Bench()
    bench.press(Key.DURESS, hold_ms=2000)
    bench.run(S)
    [entry] = bench.diary(Pressed)
    bench.tell(Kept(entry.boot, entry.number, Lamp.IDLE))
    bench.run(60 * S)
    assert not bench.heard(PressEnded)
    assert not bench.diary(LampChanged)
    assert not bench.diary(SirenStarted)
    assert [one.key for one in bench.diary(Confirmed) if one.what == "press"] == ["duress"]


def test_an_entry_in_plain_words_holds_names_and_numbers() -> None:
    bench = Bench()
    bench.tell(SIREN)
    [started] = bench.diary(SirenStarted)
    plain = to_plain(started)
    assert plain["event"] == "siren"
    assert plain["pattern"] == "panic"
    assert plain["doors"] == [103]
    sent = to_plain(next(entry for entry in bench.unit.diary if entry.event == "frame_sent"))
    assert isinstance(sent["data"], str)
    assert len(bytes.fromhex(sent["data"])) == FRAME_BYTES
