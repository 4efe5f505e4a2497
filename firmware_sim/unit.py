"""A household's unit: keys, lamp, sounder, battery and diary around the unit's role of the link.

Theory of operation:

1. Keys go through the debounce of `devices.contact`. A press is told at once, how long it was held some
   seconds afterwards (never for duress: that would be a second frame that a heartbeat has not).
2. What the gateway orders is carried out and confirmed: a siren by `Sounded`, anything else by
   `CommandDone`; a `Kept` is only shown.
3. The next heartbeat comes at a random moment of the period that begins with the last one, and a duress
   press takes the place of one. So a frame of this unit may come at any moment, and nobody who watches
   the line can tell why it came.
4. A power cut takes everything but `Memory`.

Every method takes the time in nanoseconds; times never run backwards. After any of them, `next_due` says
when to call `advance` and `data_to_send` again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from devices.commands import (
    Challenge,
    Kept,
    KeyHalf,
    Lamp,
    Result,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.contact import Contact
from devices.readings import (
    Answer,
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    ContactClosed,
    ContactOpened,
    ContactReading,
    ContactStuck,
    Heartbeat,
    Key,
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
from devices.timing import ENDED_AFTER_NS, ENDED_SPREAD_NS, MS, LineTiming, S
from devices.unit_link import Order, UnitLink
from firmware_sim.diary import (
    Confirmed,
    Entry,
    FrameSent,
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
    Write,
)
from firmware_sim.settings import UnitSettings

DEBOUNCE_NS = 15 * MS
"""Shorter than on a gateway's long wires: the key sits on the unit's own board."""
FLOOR_STEP = 256
"""The floor goes to flash this far ahead, so that flash is written once in so many orders: docs/link.md, "Counters"."""
HELLO_SPREAD_NS = 3 * S
"""After a power cut a whole village powers up at once; hellos are drawn from so long, presses do not wait."""
LOW_BATTERY = 20
"""Percent; at `GOOD_BATTERY` it is over."""
GOOD_BATTERY = 30
DIARY_ENTRIES = 10_000
"""Older entries of a diary are forgotten; whoever wants all of them takes them as they are written."""
OFF_NS = 500 * MS
"""How long a reboot takes."""
POWER, WATCHDOG = 1, 2
"""Reasons of a hello."""

_SEALED = Proof.SEALED  # a unit fills it in because the reading has the field; it is not on the wire


@dataclass(frozen=True, slots=True)
class Memory:
    """What a unit keeps over a power cut. `floor` is ahead of what it has seen, never behind.

    `key` is one that the gateway has given it, None while it has the one from the factory.
    """

    boot: int = 0
    floor: int = 0
    key: bytes | None = None


@dataclass(slots=True)
class _Timer:
    at_ns: int
    act: Callable[[int], None]


class Unit:
    """One unit on its line."""

    def __init__(
        self,
        settings: UnitSettings,
        *,
        timing: LineTiming,
        heartbeat_ns: int,
        dice: Random,
        now_ns: int,
        memory: Memory | None = None,
        write: Write = lambda _: None,
        remember: Callable[[Memory], None] = lambda _: None,
    ) -> None:
        """Power the unit up. `heartbeat_ns` 0: no heartbeats.

        `write` is told each entry of the diary, `remember` what goes to flash.
        """
        self.settings = settings
        self.name = settings.name
        self.memory = memory or Memory()
        self.diary: deque[Entry] = deque(maxlen=DIARY_ENTRIES)
        self.lamp = Lamp.IDLE
        self.playing: Siren | None = None
        self.battery = settings.battery
        self.mains = True
        self.cover_open = False
        self.sounder_broken = False
        self.powered = False
        self._timing = timing
        self._heartbeat_ns = heartbeat_ns
        self._dice = dice
        self._write = write
        self._remember = remember
        self._fingers: set[Key] = set()
        self._jammed: set[Key] = set()
        self._timers: dict[str, _Timer] = {}
        self._power_up(now_ns, POWER)

    # Power

    def _power_up(self, now_ns: int, reason: int) -> None:
        self._keep(replace(self.memory, boot=self.memory.boot % 0xFFFF + 1))
        self.powered = True
        self._link = UnitLink(
            unit=self.settings.unit,
            key=self.memory.key or self.settings.key,
            boot=self.memory.boot,
            floor=self.memory.floor,
            timing=self._timing,
            draw=self._dice.randrange,
        )
        self._said: dict[int, Numbered] = {}
        self._presses: dict[Key, int] = {}
        self._last_press = 0
        self._last_alarm = 0
        self._hushed: int | None = None
        self._contacts: dict[Key, Contact] = {}
        self._note(PoweredUp(at_ns=now_ns, boot=self._link.boot, floor=self._link.floor))
        for key in sorted(self._fingers | self._jammed):
            self._contact(key).edge(closed=True, now_ns=now_ns)  # held while the power came back: a press
        self._timers["hello"] = _Timer(
            now_ns + self._dice.randrange(HELLO_SPREAD_NS), lambda at_ns: self._say_hello(at_ns, reason)
        )
        self._plan_heartbeat(now_ns)

    def reboot(self, now_ns: int, *, off_ns: int = OFF_NS, reason: int = POWER) -> None:
        """Lose power now and have it back after `off_ns`."""
        if not self.powered:
            return
        self._quiet("power", now_ns)
        self._show(Lamp.IDLE, now_ns)
        self._note(PowerLost(at_ns=now_ns))
        self.powered = False
        self._timers = {name: timer for name, timer in self._timers.items() if name.startswith("finger")}
        self._timers["power"] = _Timer(now_ns + off_ns, lambda at_ns: self._power_up(at_ns, reason))

    # Time

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due."""
        while (due := self._first_timer()) is not None and due[1].at_ns <= now_ns:
            name, timer = due
            del self._timers[name]
            timer.act(timer.at_ns)
        if self.powered:
            for key, contact in self._contacts.items():
                self._take(key, contact.advance(now_ns), now_ns)

    def _first_timer(self) -> tuple[str, _Timer] | None:
        return min(self._timers.items(), key=lambda item: item[1].at_ns, default=None)

    def next_due(self) -> int | None:
        """Return when to call `advance` and `data_to_send` next, None if only when something happens."""
        due = min((timer.at_ns for timer in self._timers.values()), default=None)
        if not self.powered:
            return due
        dues = [due, self._link.next_due(), *(contact.next_due() for contact in self._contacts.values())]
        return min((due for due in dues if due is not None), default=None)

    # The line

    def hear(self, data: bytes, now_ns: int) -> None:
        """Take what was heard on the line."""
        if self.powered:
            for order in self._link.receive_data(data, now_ns):
                self._obey(order, now_ns)
            self._keep_flash()

    def overhear(self, begin_ns: int, end_ns: int) -> None:
        """Somebody sent one whole frame to somebody else."""
        if self.powered:
            self._link.overhear(begin_ns, end_ns)

    def data_to_send(self, now_ns: int) -> bytes:
        """Return a frame that must go on the wire now, or nothing."""
        if not self.powered:
            return b""
        frame = self._link.data_to_send(now_ns)
        if frame:
            self._note(FrameSent(at_ns=now_ns, data=frame))
        self._keep_flash()
        return frame

    @property
    def unanswered(self) -> int:
        """How many messages wait for a Kept."""
        return len(self._link.unanswered) if self.powered else 0

    @property
    def owes_confirmation(self) -> bool:
        """Whether it has carried out an order and not confirmed it yet."""
        return self.powered and self._link.owes_confirmation

    def _keep_flash(self) -> None:
        memory = self.memory
        if self._link.boot != memory.boot:  # the frame numbers ran out
            memory = replace(memory, boot=self._link.boot)
        if self._link.floor > memory.floor:
            memory = replace(memory, floor=self._link.floor + FLOOR_STEP)
        if self._link.key != (memory.key or self.settings.key):
            memory = replace(memory, key=self._link.key)
        if memory is not self.memory:
            self._keep(memory)

    def _keep(self, memory: Memory) -> None:
        self.memory = memory
        self._remember(memory)

    # People

    def press(self, key: Key, now_ns: int, *, hold_ns: int = 200 * MS, bounces: int = 0) -> None:
        """A finger closes a key for `hold_ns`; a worn key opens again `bounces` times in the first milliseconds."""
        self._fingers.add(key)
        self._edge(key, closed=True, now_ns=now_ns)
        for bounce in range(bounces):
            at_ns = now_ns + bounce * 2 * MS
            self._timers[f"finger {key} open {bounce}"] = _Timer(at_ns + MS, self._edge_at(key, closed=False))
            self._timers[f"finger {key} close {bounce}"] = _Timer(at_ns + 2 * MS, self._edge_at(key, closed=True))
        self._timers[f"finger {key}"] = _Timer(now_ns + hold_ns, lambda at_ns: self.release(key, at_ns))

    def release(self, key: Key, now_ns: int) -> None:
        """The finger leaves the key, sooner than `press` said or not."""
        self._timers.pop(f"finger {key}", None)
        self._fingers.discard(key)
        self._edge(key, closed=key in self._jammed, now_ns=now_ns)

    def jam(self, key: Key, now_ns: int, *, jammed: bool = True) -> None:
        """The key sticks once it is pressed (from now on, if it is down), or comes free."""
        if jammed:
            self._jammed.add(key)
        else:
            self._jammed.discard(key)
        self._edge(key, closed=jammed or key in self._fingers, now_ns=now_ns)

    def cancel(self, now_ns: int) -> None:
        """The household takes its last press back."""
        self._say(CancelPressed(*self._next(), self._last_press, _SEALED), now_ns)

    def answer(self, answer: Answer, now_ns: int) -> None:
        """A neighbour answers the alarm that its unit named last; "silence mine" quiets this sounder at once."""
        alarm = self.playing.alarm if self.playing else self._last_alarm
        if answer is Answer.SILENCE_MINE:
            self._hushed = alarm
            self._quiet("silenced", now_ns)
        self._say(AnswerGiven(*self._next(), answer, alarm, _SEALED), now_ns)

    def test(self, now_ns: int) -> None:
        """Somebody presses the test key."""
        self._say(TestPressed(*self._next(), _SEALED), now_ns)

    def hold_tag(self, tag: str, now_ns: int) -> None:
        """A guard holds a tag to this unit's reader."""
        self._say(TagRead(*self._next(), tag, 0, _SEALED), now_ns)

    def tamper(self, now_ns: int, *, opened: bool = True) -> None:
        """Somebody opens, or closes, the cover."""
        if opened != self.cover_open:
            self.cover_open = opened
            self._tell_part(Part.COVER, opened, now_ns)

    def cut_mains(self, now_ns: int, *, cut: bool = True) -> None:
        """The mains go, or come back; a unit with a battery lives on."""
        if cut == self.mains:
            self.mains = not cut
            self._tell_part(Part.MAINS, cut, now_ns)

    def break_sounder(self, now_ns: int, *, broken: bool = True) -> None:
        """The sounder stops working, or is mended."""
        if broken != self.sounder_broken:
            self.sounder_broken = broken
            self._tell_part(Part.SOUNDER, broken, now_ns)

    def set_battery(self, percent: int, now_ns: int) -> None:
        """The battery has `percent` left."""
        before = 100 if self.battery is None else self.battery
        self.battery = percent
        if percent < LOW_BATTERY <= before:
            self._tell_part(Part.BATTERY, failed=True, now_ns=now_ns)
        elif before < GOOD_BATTERY <= percent:
            self._tell_part(Part.BATTERY, failed=False, now_ns=now_ns)

    # Keys

    def _contact(self, key: Key) -> Contact:
        if key not in self._contacts:
            self._contacts[key] = Contact(normally_closed=False, debounce_ns=DEBOUNCE_NS)
        return self._contacts[key]

    def _edge_at(self, key: Key, *, closed: bool) -> Callable[[int], None]:
        return lambda at_ns: self._edge(key, closed=closed, now_ns=at_ns)

    def _edge(self, key: Key, *, closed: bool, now_ns: int) -> None:
        if self.powered:
            contact = self._contact(key)
            self._take(key, contact.edge(closed=closed, now_ns=now_ns), now_ns)

    def _take(self, key: Key, readings: list[ContactReading], now_ns: int) -> None:
        for reading in readings:
            match reading:
                case ContactClosed():
                    self._press(key, now_ns)
                case ContactOpened(held_ms=held_ms):
                    self._release(key, held_ms, now_ns)
                case ContactStuck():
                    self._note(KeyStuck(at_ns=now_ns, key=key.name.lower()))

    def _press(self, key: Key, now_ns: int) -> None:
        boot, number = self._next()[1:]
        self._presses[key] = self._last_press = number
        self._note(Pressed(at_ns=now_ns, boot=boot, number=number, key=key.name.lower()))
        self._utter(ButtonPressed(self.settings.unit, boot, number, key, 0, _SEALED), now_ns)
        if key is Key.DURESS:
            self._plan_heartbeat(now_ns)

    def _release(self, key: Key, held_ms: int, now_ns: int) -> None:
        self._note(Released(at_ns=now_ns, key=key.name.lower(), held_ms=held_ms))
        if key is not Key.DURESS:
            press = self._presses[key]
            at_ns = now_ns + ENDED_AFTER_NS + self._dice.randrange(ENDED_SPREAD_NS)
            self._timers[f"ended {press}"] = _Timer(
                at_ns, lambda at_ns: self._say(PressEnded(*self._next(), press, held_ms, _SEALED), at_ns)
            )

    # Saying

    def _next(self) -> tuple[int, int, int]:
        """Return (unit, boot, number) of a new message."""
        return self.settings.unit, self._link.boot, self._link.take_number()

    def _say(self, message: Numbered, now_ns: int) -> None:
        if self.powered:
            self._note(Said(at_ns=now_ns, boot=message.boot, number=message.number, what=_what(message)))
            self._utter(message, now_ns)

    def _utter(self, message: Numbered, now_ns: int) -> None:
        self._said[message.number] = message
        gone = self._link.say(message, now_ns)
        if gone is not None:
            self._said.pop(gone.number, None)
            self._note(GivenUp(at_ns=now_ns, boot=gone.boot, number=gone.number, what=_what(gone)))

    def _tell_part(self, part: Part, failed: bool, now_ns: int) -> None:  # noqa: FBT001
        if self.powered:
            kind = PartFailed if failed else PartRestored
            self._say(kind(*self._next(), part, _SEALED), now_ns)

    def _say_hello(self, now_ns: int, reason: int) -> None:
        hello = UnitHello(*self._next(), self.settings.firmware, reason, self._link.floor, _SEALED)
        self._say(hello, now_ns)

    def _plan_heartbeat(self, now_ns: int) -> None:
        if self._heartbeat_ns:
            at_ns = now_ns + 1 + self._dice.randrange(self._heartbeat_ns)
            self._timers["heartbeat"] = _Timer(at_ns, self._say_heartbeat)

    def _say_heartbeat(self, now_ns: int) -> None:
        heartbeat = Heartbeat(
            *self._next(),
            self.battery,
            self.mains,
            self.cover_open,
            self.sounder_broken,
            self.settings.firmware,
            self._link.floor,
            _SEALED,
        )
        self._say(heartbeat, now_ns)  # in place of one that waits
        self._plan_heartbeat(now_ns)

    # Obeying

    def _obey(self, order: Order, now_ns: int) -> None:
        match order.command:
            case Kept():
                self._see_kept(order.command, now_ns)
                return
            case Siren():
                self._sound(order.command, now_ns)
                works = self.settings.has_sounder and not self.sounder_broken
                self._link.confirm(Sounded(self.settings.unit, order.counter, order.command.pattern, works))
                return
            case ShowLamp(lamp=lamp):
                self._show(lamp, now_ns)
            case Stop():
                self._hushed = None
                self._quiet("told", now_ns)
            case SetTime() | Challenge() | KeyHalf():
                pass  # no display; the other two are the link's own business
        self._link.confirm(CommandDone(self.settings.unit, order.counter, Result.DONE, self._link.floor))

    def _see_kept(self, kept: Kept, now_ns: int) -> None:
        message = self._said.pop(kept.number, None) if kept.boot == self._link.boot else None
        if message is not None:
            key = Key(message.key).name.lower() if isinstance(message, ButtonPressed) else None
            number = message.number
            self._note(Confirmed(at_ns=now_ns, boot=kept.boot, number=number, what=_what(message), key=key))
        self._show(kept.lamp, now_ns)

    def _show(self, lamp: Lamp, now_ns: int) -> None:
        if lamp is not self.lamp:
            self.lamp = lamp
            self._note(LampChanged(at_ns=now_ns, lamp=lamp))

    # Sounding

    def _sound(self, siren: Siren, now_ns: int) -> None:
        self._last_alarm = siren.alarm
        if not self.settings.has_sounder or self.sounder_broken:
            self._note(SirenIgnored(at_ns=now_ns, alarm=siren.alarm, why="no sounder"))
            return
        if siren.alarm == self._hushed:
            self._note(SirenIgnored(at_ns=now_ns, alarm=siren.alarm, why="silenced"))
            return
        self._hushed = None
        if siren != self.playing:
            self._note(_siren_entry(siren, now_ns, changed=self.playing is not None))
        self.playing = siren
        self._timers["siren"] = _Timer(now_ns + siren.seconds * S, lambda at_ns: self._quiet("over", at_ns))

    def _quiet(self, why: str, now_ns: int) -> None:
        self._timers.pop("siren", None)
        if self.playing is not None:
            self.playing = None
            self._note(SirenStopped(at_ns=now_ns, why=why))

    def _note(self, entry: Entry) -> None:
        self.diary.append(entry)
        self._write(entry)


def _siren_entry(siren: Siren, now_ns: int, *, changed: bool) -> SirenStarted:
    return (SirenChanged if changed else SirenStarted)(
        at_ns=now_ns,
        pattern=siren.pattern,
        doors=siren.doors,
        alarm=siren.alarm,
        volume=siren.volume,
        seconds=siren.seconds,
        own=siren.own,
        strobe=siren.strobe,
        stand_back=siren.stand_back,
    )


def _what(message: Numbered) -> str:
    """What a message is, in the words of the diary."""
    return _WORDS[type(message)]


_WORDS: dict[type[Numbered], str] = {
    UnitHello: "hello",
    ButtonPressed: "press",
    PressEnded: "press_ended",
    CancelPressed: "cancel",
    AnswerGiven: "answer",
    TagRead: "tag",
    Heartbeat: "heartbeat",
    PartFailed: "part_failed",
    PartRestored: "part_restored",
    TestPressed: "test",
}
