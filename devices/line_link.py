"""The gateway's role of the native link on one line: sealed readings in, orders and desired states out.

Theory of operation (docs/link.md, "The gateway on a line"):

1. A frame counts as new if its seal opens and its counter is above the unit's window. An old counter is
   a repeat if the message is known, otherwise the unit is challenged: a fresh answer within 1 s makes the
   message good and moves the window, none makes it `STALE` (a possible replay, never dropped).
2. Nothing is answered here by itself. The caller answers (`answer`) once a message is on disk; until then
   the unit repeats, which is the back-pressure.
3. Sirens and lamps are desired states, not queues. What a unit has not confirmed is sent again.
4. The gateway goes before the units (3 idle characters against 8), sends first sirens back to back, and
   leaves the units a gap after that.

Every method takes the monotonic time in nanoseconds. After any of them, and when `next_due()` passes, put
what `data_to_send` returns on the wire at once; call `advance` when `next_due()` passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from devices.commands import (
    Challenge,
    Command,
    Kept,
    KeyHalf,
    Lamp,
    Result,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.frames import DOWN, UP, Header, build_frame, decode_uplink, encode_downlink, new_deframer, split_content
from devices.framing import FramingCounts
from devices.readings import (
    CommandDone,
    FreshProof,
    Heartbeat,
    KeyTaken,
    LinkReading,
    NotUnderstood,
    Numbered,
    Proof,
    SealRefused,
    Sounded,
    UnitHello,
)
from devices.sealing import Seal
from devices.timing import (
    BURST_FRAMES,
    CHALLENGE_NS,
    CONFIRM_SLOW_NS,
    CONFIRM_TRIES,
    YIELD_SLOTS,
    LineTiming,
    S,
)

KNOWN_MESSAGES = 256
"""So many message keys are remembered of each unit, to tell a repeat from a replay."""
UPDATE_NS = 1 * S
"""A sounder that plays already is told of further doors at most this often."""

_FIRST, _ANSWER, _STATE, _LATER = range(4)
"""Who goes first on the line: first sirens, stops and challenges; answers; lamps; updates, time, keys."""


@dataclass(slots=True)
class LinkCounts:
    """Counted since the line was opened; N9: received = passed on + these."""

    sealed: int = 0
    repeats: int = 0
    stale: int = 0
    proved: int = 0
    refused: int = 0
    foreign: int = 0
    not_understood: int = 0
    unasked: int = 0
    sent: int = 0
    resent: int = 0


@dataclass(frozen=True, slots=True)
class UnitKey:
    """What the gateway must know to talk with a unit. `next_key` is one that it has been offered."""

    key: bytes
    next_key: bytes | None = None
    window: int = 0
    """Highest uplink counter (boot number << 16 | frame number) that was accepted before."""
    known: Iterable[tuple[int, int]] = ()
    """(boot, number) of messages that are on disk already."""


@dataclass(slots=True)
class _Owed:
    """Something that a unit has not confirmed yet."""

    command: Command
    rank: int
    due_ns: int
    tries: int = 0
    sent: dict[int, Command] = field(default_factory=dict)
    """What went out under which counter: a confirmation names the counter."""


@dataclass(slots=True)
class _Peer:
    unit: int
    seal: Seal
    next_seal: Seal | None
    window: int
    known: deque[tuple[int, int]]
    siren: Siren | None = None
    lamp: Lamp = Lamp.IDLE
    owed_siren: _Owed | None = None
    owed_lamp: _Owed | None = None
    owed_other: deque[_Owed] = field(default_factory=deque)
    playing: Siren | None = None
    told_ns: int = 0
    """When a frame last went to it."""
    nonce: bytes | None = None
    held: list[Numbered] = field(default_factory=list)
    held_until_ns: int = 0

    def owed(self) -> Iterable[_Owed]:
        for owed in (self.owed_siren, self.owed_lamp, self.owed_other[0] if self.owed_other else None):
            if owed is not None:
                yield owed


def _claim(siren: Siren) -> tuple[int, bool]:
    """How much of a hurry a siren is in, against what plays now: a louder kind, or the order to stand back."""
    return (siren.pattern, not siren.stand_back)


class LineLink:
    """The gateway's end of one line."""

    def __init__(
        self,
        *,
        units: Mapping[int, UnitKey],
        timing: LineTiming,
        take_counter: Callable[[], int | None],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """`take_counter` returns a downlink counter that was never used, or None when none is leased."""
        self._peers: dict[int, _Peer] = {}
        self._owing: dict[int, _Peer] = {}
        self._held: dict[int, _Peer] = {}
        self._timing = timing
        self._take_counter = take_counter
        self._random_bytes = random_bytes
        self._deframer = new_deframer()
        self._answers: deque[tuple[int, Kept]] = deque()
        self._challenges: deque[tuple[int, Challenge]] = deque()
        self._heard_ns = 0
        self._sent_until_ns = 0
        self._burst = 0
        self.counts = LinkCounts()
        self.silent: set[int] = set()
        """Units that have not confirmed a siren or lamp after CONFIRM_TRIES."""
        self.starved = False
        """Whether something could not be sent for want of a leased counter."""
        self.set_units(units)

    @property
    def framing(self) -> FramingCounts:
        """Bytes and frames of the line."""
        return self._deframer.counts

    def set_units(self, units: Mapping[int, UnitKey]) -> None:
        """Know these units from now on; those that were known keep their windows and states."""
        peers: dict[int, _Peer] = {}
        for unit, key in units.items():
            next_seal = None if key.next_key is None else Seal(key.next_key)
            old = self._peers.get(unit)
            if old is not None:
                old.seal, old.next_seal = Seal(key.key), next_seal
                peers[unit] = old
            else:
                known = deque(key.known, KNOWN_MESSAGES)
                peers[unit] = _Peer(unit, Seal(key.key), next_seal, key.window, known)
        self._peers = peers
        self._owing = {unit: peer for unit, peer in self._owing.items() if unit in peers}
        self._held = {unit: peer for unit, peer in self._held.items() if unit in peers}

    def window(self, unit: int) -> int:
        """Return the highest uplink counter accepted from `unit`."""
        return self._peers[unit].window

    # Hearing

    def receive_data(self, data: bytes, now_ns: int) -> list[LinkReading]:
        """Take what was read from the port; return what the units said."""
        if data:
            self._heard_ns = now_ns
        readings: list[LinkReading] = []
        for content in self._deframer.receive_data(data):
            self._take(content, now_ns, readings)
        return readings

    def advance(self, now_ns: int) -> list[LinkReading]:
        """Return messages whose challenge nobody answered in time, as `Proof.STALE`."""
        readings: list[LinkReading] = []
        for peer in [peer for peer in self._held.values() if peer.held_until_ns <= now_ns]:
            self.counts.stale += len(peer.held)
            readings += peer.held
            self._release(peer)
        return readings

    def _release(self, peer: _Peer) -> None:
        peer.nonce = None
        peer.held = []
        del self._held[peer.unit]

    def _take(self, content: bytes, now_ns: int, readings: list[LinkReading]) -> None:
        split = split_content(content)
        if split is None or split[0].direction != UP:
            self.counts.foreign += 1  # another version, or our own echo
            return
        header, header_bytes, sealed = split
        peer = self._peers.get(header.unit)
        body = None if peer is None else self._open(peer, header_bytes, sealed, readings)
        if peer is None or body is None:
            self.counts.refused += 1
            readings.append(SealRefused(header.unit, known=peer is not None))
            return
        new = header.counter > peer.window
        if new:
            peer.window = header.counter
        said = decode_uplink(body, header.unit, header.boot, Proof.SEALED if new else Proof.STALE)
        match said:
            case NotUnderstood():
                self.counts.not_understood += 1
                readings.append(said)
            case FreshProof(nonce=nonce):
                self._prove(peer, header, nonce, readings)
            case Sounded() | CommandDone():
                self._settle(peer, said, now_ns, readings)
            case _:
                self._pass(peer, said, now_ns, readings)

    def _open(self, peer: _Peer, header: bytes, sealed: bytes, readings: list[LinkReading]) -> bytes | None:
        body = peer.seal.open(header, sealed)
        if body is None and peer.next_seal is not None:
            body = peer.next_seal.open(header, sealed)
            if body is not None:
                peer.seal, peer.next_seal = peer.next_seal, None
                peer.owed_other = deque(owed for owed in peer.owed_other if not isinstance(owed.command, KeyHalf))
                readings.append(KeyTaken(peer.unit))
        return body

    def _pass(self, peer: _Peer, said: Numbered, now_ns: int, readings: list[LinkReading]) -> None:
        key = (said.boot, said.number)
        if said.proof is Proof.SEALED:
            self.counts.sealed += 1
            if key not in peer.known:
                peer.known.append(key)
                self._refresh(peer, said, now_ns)
            readings.append(said)
        elif key in peer.known:
            self.counts.repeats += 1
            readings.append(replace(said, proof=Proof.REPEAT))
        else:
            self._challenge(peer, said, now_ns)

    def _refresh(self, peer: _Peer, said: Numbered, now_ns: int) -> None:
        """A unit that powered up plays and shows nothing any more: tell it again."""
        if isinstance(said, UnitHello):
            peer.playing = None
            if peer.siren is not None:
                self._owe(peer, siren=_Owed(peer.siren, _FIRST, now_ns))
        if isinstance(said, UnitHello | Heartbeat):
            self.silent.discard(peer.unit)

    def _challenge(self, peer: _Peer, said: Numbered, now_ns: int) -> None:
        if all((held.boot, held.number) != (said.boot, said.number) for held in peer.held):
            peer.held.append(said)
        if peer.nonce is None:
            peer.nonce = self._random_bytes(8)
            peer.held_until_ns = now_ns + CHALLENGE_NS
            self._held[peer.unit] = peer
            self._challenges.append((peer.unit, Challenge(peer.nonce)))

    def _prove(self, peer: _Peer, header: Header, nonce: bytes, readings: list[LinkReading]) -> None:
        if peer.nonce is None or nonce != peer.nonce:
            self.counts.unasked += 1
            return
        peer.window = header.counter
        for held in peer.held:
            self.counts.proved += 1
            peer.known.append((held.boot, held.number))
            readings.append(replace(held, proof=Proof.SEALED))
        self._release(peer)

    def _settle(self, peer: _Peer, said: Sounded | CommandDone, now_ns: int, readings: list[LinkReading]) -> None:
        """Close what the unit confirms. A confirmation needs no new counter: it names ours."""
        readings.append(said)
        owed = next((owed for owed in peer.owed() if said.counter in owed.sent), None)
        if owed is None:
            self.counts.unasked += 1
            return
        self.silent.discard(peer.unit)
        if isinstance(said, CommandDone) and said.result == Result.COUNTER_OLD:
            owed.due_ns = now_ns  # the caller raises the counter above the unit's floor, then it goes again
        elif owed is peer.owed_siren:
            confirmed = owed.sent[said.counter]
            peer.playing = confirmed if isinstance(confirmed, Siren) else None
            peer.owed_siren = None
            if peer.siren != peer.playing:
                self._want(peer, peer.siren, now_ns)
        elif owed is peer.owed_lamp:
            peer.owed_lamp = None
        else:
            peer.owed_other.popleft()

    # Saying

    def answer(self, *, unit: int, boot: int, number: int) -> None:
        """Tell `unit` that message (boot, number) is on disk; the lamp it shall show goes along."""
        peer = self._peers.get(unit)
        if peer is None:
            return
        kept = Kept(boot, number, peer.lamp)
        if (unit, kept) not in self._answers:
            self._answers.append((unit, kept))
        peer.owed_lamp = None  # it goes along; the unit asks again if this is lost

    def show_lamp(self, *, unit: int, lamp: Lamp, now_ns: int) -> None:
        """The lamp of `unit` shall show this, until told otherwise."""
        peer = self._peers.get(unit)
        if peer is not None and peer.lamp is not lamp:
            peer.lamp = lamp
            self._owe(peer, lamp=_Owed(ShowLamp(lamp), _STATE, now_ns))

    def set_lamp(self, *, unit: int, lamp: Lamp) -> None:
        """The next answer to `unit` shall carry this lamp: of a press, the answer itself lights it."""
        peer = self._peers.get(unit)
        if peer is not None:
            peer.lamp = lamp

    def sound(self, *, unit: int, siren: Siren | None, now_ns: int) -> None:
        """The sounder of `unit` shall play this (None: be silent), until told otherwise."""
        peer = self._peers.get(unit)
        if peer is not None and peer.siren != siren:
            peer.siren = siren
            self._want(peer, siren, now_ns)

    def tell(self, *, unit: int, command: SetTime | KeyHalf, now_ns: int) -> None:
        """Send `command` until it is confirmed."""
        peer = self._peers.get(unit)
        if peer is not None:
            self._owe(peer, other=_Owed(command, _LATER, now_ns))

    def _want(self, peer: _Peer, siren: Siren | None, now_ns: int) -> None:
        if siren is None:
            self._owe(peer, siren=_Owed(Stop(), _FIRST, now_ns))
            return
        louder = peer.playing is None or _claim(siren) < _claim(peer.playing)
        rank = _FIRST if louder else _LATER
        owed = peer.owed_siren
        if owed is not None and isinstance(owed.command, Siren) and _claim(owed.command) <= _claim(siren):
            owed.command = siren  # a frame of this claim is on its way: the next one says the newest
        else:
            self._owe(peer, siren=_Owed(siren, rank, now_ns if louder else max(now_ns, peer.told_ns + UPDATE_NS)))

    def _owe(
        self, peer: _Peer, *, siren: _Owed | None = None, lamp: _Owed | None = None, other: _Owed | None = None
    ) -> None:
        peer.owed_siren = siren or peer.owed_siren
        peer.owed_lamp = lamp or peer.owed_lamp
        if other is not None:
            peer.owed_other.append(other)
        self._owing[peer.unit] = peer

    def data_to_send(self, now_ns: int) -> bytes:
        """Return the frames to put on the wire now: at most a burst, often none."""
        if self._ready_ns() > now_ns:
            return b""
        if self._heard_ns > self._sent_until_ns or now_ns >= self._yielded_ns():
            self._burst = 0
        data = bytearray()
        while self._burst < BURST_FRAMES:
            frame = self._next_frame(now_ns)
            if not frame:
                break
            data += frame
            self._burst += 1
        if data:
            self._sent_until_ns = now_ns + self._timing.wire_ns(len(data))
            self._burst = BURST_FRAMES  # the units' turn
        return bytes(data)

    def next_due(self) -> int | None:
        """Return when `advance` and `data_to_send` are worth calling again, None if nothing waits."""
        dues = [peer.held_until_ns for peer in self._held.values()]
        ready_ns = self._ready_ns()
        if self._answers or self._challenges:
            dues.append(ready_ns)
        else:
            dues += [max(owed.due_ns, ready_ns) for peer in self._owing.values() for owed in peer.owed()]
        return min(dues, default=None)

    def _yielded_ns(self) -> int:
        return self._sent_until_ns + self._timing.idle_ns + YIELD_SLOTS * self._timing.slot_ns

    def _ready_ns(self) -> int:
        """When the line will be ours, as far as can be told now."""
        heard_ns = self._heard_ns
        if self._deframer.inside_frame:
            heard_ns += self._timing.frame_ns  # the rest of it is on its way
        ready_ns = max(heard_ns, self._sent_until_ns) + self._timing.gateway_idle_ns
        if self._burst >= BURST_FRAMES and self._heard_ns <= self._sent_until_ns:
            ready_ns = max(ready_ns, self._yielded_ns())
        return ready_ns

    def _next_frame(self, now_ns: int) -> bytes:
        if self._challenges:
            return self._build(*self._challenges[0], self._challenges)
        best: tuple[int, int, _Peer, _Owed] | None = None
        outstanding = 0
        for peer in list(self._owing.values()):
            settled = True
            for owed in peer.owed():
                settled = False
                outstanding += owed.tries > 0
                if owed.due_ns <= now_ns and (best is None or (owed.rank, owed.due_ns) < best[:2]):
                    best = (owed.rank, owed.due_ns, peer, owed)
            if settled:
                del self._owing[peer.unit]
        if self._answers and (best is None or best[0] > _FIRST):
            return self._build(*self._answers[0], self._answers)
        if best is None:
            return b""
        _, _, peer, owed = best
        return self._send_owed(peer, owed, outstanding, now_ns)

    def _send_owed(self, peer: _Peer, owed: _Owed, outstanding: int, now_ns: int) -> bytes:
        counter = self._take_counter()
        if counter is None:
            self.starved = True
            return b""
        self.starved = False
        owed.sent[counter] = owed.command
        owed.tries += 1
        self.counts.sent += 1
        self.counts.resent += owed.tries > 1
        peer.told_ns = now_ns
        if owed.tries >= CONFIRM_TRIES:
            self.silent.add(peer.unit)
            owed.due_ns = now_ns + CONFIRM_SLOW_NS
        else:
            owed.due_ns = now_ns + self._timing.confirm_ns(outstanding + 1)
        return build_frame(peer.seal, DOWN, peer.unit, counter, encode_downlink(owed.command))

    def _build(
        self, unit: int, command: Command, queue: deque[tuple[int, Kept]] | deque[tuple[int, Challenge]]
    ) -> bytes:
        counter = self._take_counter()
        if counter is None:
            self.starved = True
            return b""
        queue.popleft()
        peer = self._peers.get(unit)
        if peer is None:  # removed meanwhile
            return b""
        self.counts.sent += 1
        return build_frame(peer.seal, DOWN, unit, counter, encode_downlink(command))
