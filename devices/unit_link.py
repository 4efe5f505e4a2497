"""The unit's role of the native link: say until answered, hear only what is sealed for me and new.

Theory of operation (docs/link.md, "A unit on the line"):

1. A unit sends when the line has been silent for `idle_ns` and a random number of slots more. When it
   hears somebody meanwhile, the slots that have passed are taken off, and after a broken frame (a
   collision) it draws anew. It cannot hear while it sends. Among how many slots it draws follows what it
   hears: half as many more after every broken frame, fewer after a silence that nobody used. So few units
   are quick and many do not destroy each other.
2. A confirmation draws no lots. The gateway sends a burst of frames back to back; the unit that was
   addressed last confirms first, and so on backwards. Each remembers who was addressed behind it, and
   strikes from the end whom it hears.
3. What has a message number is repeated until a Kept names it, in a fresh frame each time. A press goes
   before everything else. Heartbeats repeat exactly as presses do, so that nobody can tell them apart.
   After QUICK_TRIES a unit takes the gateway to be away, and says one of its messages every 2 s, in turn.
4. A downlink frame counts only if its seal opens with my key and its counter is above every one before.

Every method takes the monotonic time in nanoseconds. After `receive_data`, `say` or a passed
`next_due()`, call `data_to_send` and put what it returns on the wire at once. Before that, store `boot`,
`key` and a value above `floor` if they changed: they must outlive a power cut (docs/link.md, "Counters").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from devices.carrier import Carrier
from devices.commands import Challenge, Command, Kept, KeyHalf, Result
from devices.frames import (
    UP,
    Header,
    build_frame,
    decode_downlink,
    encode_uplink,
    new_deframer,
    split_content,
)
from devices.framing import DELIMITER
from devices.readings import (
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    Confirmation,
    FreshProof,
    Heartbeat,
    Numbered,
    TagRead,
)
from devices.sealing import Seal
from devices.timing import (
    FIRST_SPREAD,
    FIRST_WINDOW,
    LAST_SPREAD,
    LONG_SILENCE_SLOTS,
    MS,
    QUICK_TRIES,
    SLOW_REPEAT_NS,
    LineTiming,
)

ROLL_OVER = 60_000
"""From this frame number on a unit takes a new boot number as soon as nothing waits for an answer."""
LAST_FRAME = 0xFFFF
LAST_NUMBER = 0xFFFF
LAST_BOOT = 0xFFFF
MOST_WAITING = 64
"""A unit without an answer keeps so many messages: the oldest of the most urgent kinds."""
MOST_CONFIRMATIONS = 8
"""So many confirmations wait for the line; the gateway asks again for older ones."""


def _rank(message: Numbered) -> int:
    match message:
        case ButtonPressed():
            return 0
        case CancelPressed() | AnswerGiven():
            return 1
        case TagRead():
            return 2
        case _:
            return 3


@dataclass(frozen=True, slots=True)
class Order:
    """A command that this unit shall carry out; `counter` is what a confirmation names."""

    counter: int
    command: Command


@dataclass(slots=True)
class _Waiting:
    """A numbered message that no Kept has named yet."""

    message: Numbered
    said_ns: int
    not_before_ns: int
    tries: int = 0
    tried_ns: int = 0

    @property
    def slow(self) -> bool:
        """Whether nobody seems to listen."""
        return self.tries >= QUICK_TRIES

    def turn(self) -> tuple[bool, int]:
        """What is slow comes last, and whoever has waited longest first of it."""
        return self.slow, self.tried_ns if self.slow else 0


class UnitLink:
    """One unit's end of the line."""

    def __init__(
        self,
        *,
        unit: int,
        key: bytes,
        boot: int,
        floor: int,
        timing: LineTiming,
        draw: Callable[[int], int],
    ) -> None:
        """`boot` is one more than at the last power-up; `draw(n)` returns a random number below n."""
        self.unit = unit
        self.boot = boot
        self.floor = floor
        self.key = key
        self.frame = 0
        self.dropped = 0
        """Messages given up for want of room."""
        self._seal = Seal(key)
        self._old_seal: Seal | None = None
        self._halves: dict[int, KeyHalf] = {}
        self._timing = timing
        self._draw = draw
        self._deframer = new_deframer()
        self._waiting: list[_Waiting] = []
        self._confirmations: deque[Confirmation] = deque(maxlen=MOST_CONFIRMATIONS)
        # Should the boot number ever come twice, the gateway must not take a press for one that it knows.
        self._number = draw(LAST_NUMBER)
        self._carrier = Carrier(timing)
        self._window = FIRST_WINDOW
        self._slots = draw(FIRST_WINDOW)
        self._before: list[int] = []  # who was addressed behind me, and confirms before me
        self._burst_goes_on = False

    def take_number(self) -> int:
        """Return the next message number (1 to 65535) for a message that will be said."""
        self._number = self._number % LAST_NUMBER + 1
        return self._number

    def say(self, message: Numbered, now_ns: int) -> Numbered | None:
        """Repeat `message` until it is answered. Its number must come from `take_number`.

        A heartbeat takes the place of one that waits. When more than MOST_WAITING wait, the newest of the
        least urgent kind is dropped, and returned.
        """
        if isinstance(message, Heartbeat):
            for waiting in self._waiting:
                if isinstance(waiting.message, Heartbeat):
                    waiting.message = message
                    return None
        if not self._waiting:
            self._slots = self._draw(self._window)
        self._waiting.append(_Waiting(message, now_ns, now_ns))
        self._waiting.sort(key=lambda waiting: _rank(waiting.message))  # stable: oldest first within a rank
        if len(self._waiting) <= MOST_WAITING:
            return None
        self.dropped += 1
        return self._waiting.pop().message

    def confirm(self, confirmation: Confirmation) -> None:
        """Say once that a downlink frame was carried out (or could not be)."""
        self._confirmations.append(confirmation)

    @property
    def owes_confirmation(self) -> bool:
        """Whether an order has been carried out and not been confirmed yet."""
        return bool(self._confirmations)

    @property
    def unanswered(self) -> list[Numbered]:
        """What is being repeated now."""
        return [waiting.message for waiting in self._waiting]

    def receive_data(self, data: bytes, now_ns: int) -> list[Order]:
        """Take what was heard on the line; return the new orders that are for this unit.

        You must carry out each and `confirm` it: a Siren by Sounded, the others by CommandDone. A Kept
        is only shown. Challenge and KeyHalf are dealt with here.
        """
        if not data:
            return []
        self._end_silence(now_ns)
        orders = [self._take(content) for content in self._cut(data)]
        self._carrier.heard(now_ns, inside_frame=self._deframer.inside_frame, began=DELIMITER in data)
        return [order for order in orders if order is not None]

    def overhear(self, begin_ns: int, end_ns: int) -> None:
        """Somebody sent one whole frame to somebody else: what `receive_data` would have made of it, for less work.

        For a receiver that knows its address. Not while a confirmation is owed: then it matters who sent.
        """
        self._end_silence(begin_ns)
        if self._deframer.inside_frame:
            self._cut(DELIMITER)
        self._carrier.heard(end_ns, inside_frame=False)

    def _cut(self, data: bytes) -> list[bytes]:
        """Return the whole frames; a broken one was a collision: more want the line than I thought."""
        bad = self._deframer.counts.bad
        contents = self._deframer.receive_data(data)
        if self._deframer.counts.bad > bad:
            self._widen()
            self._slots = self._draw(self._window)
        return contents

    def _end_silence(self, now_ns: int) -> None:
        """Take the slots that have passed off mine; if nobody used many, fewer want the line than I thought."""
        unused = (now_ns - self._carrier.quiet_ns - self._timing.idle_ns) // self._timing.slot_ns
        if unused <= 0:
            return
        if any(waiting.not_before_ns < now_ns for waiting in self._speaking()):
            self._slots = max(self._slots - unused, 0)
        if unused > self._window:
            self._window = FIRST_WINDOW
        elif unused > 2 * LONG_SILENCE_SLOTS:
            self._window = max(self._window // 2, FIRST_WINDOW)
        elif unused > LONG_SILENCE_SLOTS:
            self._window = max(self._window - self._window // 8, FIRST_WINDOW)

    def _widen(self) -> None:
        self._window = min(self._window * 3 // 2, self._timing.last_window)

    def data_to_send(self, now_ns: int) -> bytes:
        """Return one frame if this unit may and must send now, else nothing."""
        if self._ready_ns() > now_ns:
            return b""
        if self._confirmations:
            return self._build(encode_uplink(self._confirmations.popleft()), now_ns)
        due = min(
            (waiting for waiting in self._speaking() if waiting.not_before_ns <= now_ns),
            key=_Waiting.turn,
            default=None,
        )
        if due is None:
            return b""
        frame = self._build(encode_uplink(_aged(due, now_ns)), now_ns)
        due.tries += 1
        due.tried_ns = now_ns
        tries = min(due.tries, QUICK_TRIES)
        wait_ns = min(self._timing.answer_ns << max(tries - 2, 0) // 2, SLOW_REPEAT_NS)
        spread = min(FIRST_SPREAD << tries - 1, LAST_SPREAD)
        due.not_before_ns = self._carrier.quiet_ns + wait_ns + self._draw(spread) * self._timing.slot_ns
        if due.slow:
            for waiting in self._waiting:
                if waiting.slow:
                    waiting.not_before_ns = max(waiting.not_before_ns, self._carrier.quiet_ns + wait_ns)
        return frame

    def next_due(self) -> int | None:
        """Return when `data_to_send` is worth calling again, or None if only by something heard or said."""
        if self._confirmations:
            return self._ready_ns()
        if not self._waiting:
            return None
        return max(self._ready_ns(), min(waiting.not_before_ns for waiting in self._speaking()))

    def _speaking(self) -> list[_Waiting]:
        """What may be said: while a press waits for its first answers, nothing but presses."""
        presses = [one for one in self._waiting if isinstance(one.message, ButtonPressed) and not one.slow]
        return presses or self._waiting

    def _ready_ns(self) -> int:
        """When the line will be mine, as far as can be told now."""
        if self._confirmations:
            return self._carrier.quiet_ns + self._timing.turn_idle_ns + len(self._before) * self._timing.slot_ns
        return self._carrier.quiet_ns + self._timing.idle_ns + self._slots * self._timing.slot_ns

    def _build(self, body: bytes, now_ns: int) -> bytes:
        if self.frame >= LAST_FRAME:
            self._roll_over()  # nobody has answered five thousand repeats; some press will count twice
        self.frame += 1
        frame = build_frame(self._seal, UP, self.unit, self.boot << 16 | self.frame, body)
        self._carrier.sends(now_ns, len(frame))
        self._slots = self._draw(self._window)
        self._before = []
        self._burst_goes_on = False
        return frame

    def _roll_over(self) -> None:
        self.boot = self.boot % LAST_BOOT + 1
        self.frame = 0

    def _take(self, content: bytes) -> Order | None:
        """Keep account of whose turn it is, and open what is for me."""
        split = split_content(content)
        if split is None:
            return None
        header, header_bytes, sealed = split
        if header.direction == UP:
            self._burst_goes_on = False
            self._strike(header.unit)
            return None
        if header.unit == self.unit:
            return self._open(header, header_bytes, sealed)
        if self._burst_goes_on:
            self._before.append(header.unit)
        return None

    def _strike(self, unit: int) -> None:
        """`unit` was heard: it has had its turn, and so has everybody who was addressed behind it."""
        if unit in self._before:
            while self._before.pop() != unit:
                pass

    def _open(self, header: Header, header_bytes: bytes, sealed: bytes) -> Order | None:
        body = self._unseal(header_bytes, sealed)
        if body is None:
            return None
        command = decode_downlink(body)
        old = header.counter <= self.floor
        if old or not isinstance(command, Kept):
            self._before = []
            self._burst_goes_on = True
        if old:
            self._confirm_old(header.counter)
            return None
        self.floor = header.counter
        match command:
            case None:
                self.confirm(CommandDone(self.unit, header.counter, Result.NOT_SUPPORTED, self.floor))
            case Kept(boot=boot, number=number):
                self._forget(boot, number)
            case Challenge(nonce=nonce):
                self.confirm(FreshProof(self.unit, self.boot, nonce))
                return None
            case KeyHalf():
                result = self._take_half(command)
                self.confirm(CommandDone(self.unit, header.counter, result, self.floor))
                return None
        return None if command is None else Order(header.counter, command)

    def _unseal(self, header: bytes, sealed: bytes) -> bytes | None:
        """The old key opens until the new one has: the gateway may not know yet that I have it."""
        body = self._seal.open(header, sealed)
        if body is not None:
            self._old_seal = None
        elif self._old_seal is not None:
            body = self._old_seal.open(header, sealed)
        return body

    def _confirm_old(self, counter: int) -> None:
        """Tell my floor, once however often I hear what is old: somebody may be replaying it."""
        old = [one for one in self._confirmations if isinstance(one, CommandDone) and one.result == Result.COUNTER_OLD]
        for one in old:
            self._confirmations.remove(one)
        self.confirm(CommandDone(self.unit, counter, Result.COUNTER_OLD, self.floor))

    def _forget(self, boot: int, number: int) -> None:
        """The gateway has it, and is not away: what was slow may be said at once."""
        if boot != self.boot:
            return
        self._waiting = [waiting for waiting in self._waiting if waiting.message.number != number]
        for waiting in self._waiting:
            if waiting.slow:
                waiting.not_before_ns = 0
        if self.frame >= ROLL_OVER and not self._waiting:
            self._roll_over()

    def _take_half(self, command: KeyHalf) -> Result:
        """The new key seals from the next frame on, once both halves are in."""
        self._halves = {half.half: half for half in self._halves.values() if half.key_id == command.key_id}
        self._halves[command.half] = command
        if len(self._halves) < 2:
            return Result.KEY_INCOMPLETE
        self.key = self._halves[0].material + self._halves[1].material
        self._old_seal, self._seal = self._seal, Seal(self.key)
        self._halves = {}
        return Result.DONE


def _aged(waiting: _Waiting, now_ns: int) -> Numbered:
    """A repeated press or tag tells how long ago it really was."""
    message = waiting.message
    if isinstance(message, ButtonPressed | TagRead):
        return replace(message, age_ms=message.age_ms + (now_ns - waiting.said_ns) // MS)
    return message
