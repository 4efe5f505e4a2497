"""The gateway's role of the native link on one line: sealed readings in, orders and desired states out.

Theory of operation (docs/link.md, "The gateway on a line"):

1. A frame counts as new if its seal opens and its counter is above the unit's window. An old counter is
   a repeat if the message is known, otherwise the unit is challenged: a fresh answer within 1 s makes the
   message good and moves the window, none makes it `STALE` (a possible replay, never dropped).
2. Nothing is answered here by itself. The caller answers (`answer`) once a message is on disk; until then
   the unit repeats, which is the back-pressure.
3. Sirens and lamps are desired states, not queues. What a unit has not confirmed is sent again.
4. The gateway goes right after a frame, before the units' time comes, or when the line has been silent for
   so long that no unit wants it: never at a moment that a unit may pick. It sends first sirens back to
   back, lets every unit of the burst confirm in turn (answers may go in between where the line is slow
   enough), and then leaves the line to the units until one has used it.

Every method takes the monotonic time in nanoseconds. After any of them, and when `next_due()` passes, put
what `data_to_send` returns on the wire at once; call `advance` when `next_due()` passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from devices.carrier import Carrier
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
    Confirmation,
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
    INSERTED_ANSWERS,
    LATER_FRAMES,
    YIELD_FRAMES,
    LineTiming,
)

KNOWN_MESSAGES = 256
"""So many message keys are remembered of each unit, to tell a repeat from a replay."""

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
        self._answers: deque[tuple[int, Command]] = deque()
        self._challenges: deque[tuple[int, Command]] = deque()
        self._carrier = Carrier(timing)
        self._turns = 0
        """So many confirmations of the last burst may still come, one after the other."""
        self._insertable = 0
        """So many answers may go before the next confirmation."""
        self._yielding = False
        """Whether the units have not had their turn since the last burst."""
        self._yield_since_ns = 0
        self._hold_until_ns = 0
        """Before this it is too late to go before the units, and too early to go after them."""
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
        readings: list[LinkReading] = []
        for content in self._deframer.receive_data(data):
            self._take(content, now_ns, readings)
        if data:
            self._carrier.heard(now_ns, inside_frame=self._deframer.inside_frame)
            self._hold_until_ns = 0
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
            self._count_turn(None, now_ns)
            return
        new = header.counter > peer.window
        if new:
            peer.window = header.counter
        said = decode_uplink(body, header.unit, header.boot, Proof.SEALED if new else Proof.STALE)
        self._count_turn(said, now_ns)
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
            due_ns = now_ns if louder else max(now_ns, peer.told_ns + self._timing.update_ns(len(self._peers)))
            self._owe(peer, siren=_Owed(siren, rank, due_ns))

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
        quiet_ns = self._carrier.quiet_ns
        if now_ns < quiet_ns + self._lead_ns():
            return b""
        if self._timing.gateway_last_ns < now_ns - quiet_ns < self._timing.unused_ns:
            self._hold_until_ns = quiet_ns + self._timing.unused_ns
            return b""
        if self._answers and self._insertable:
            self._insertable -= 1
            return self._send(self._take_all(self._answers, 1), now_ns)
        if now_ns < self._yielded_ns():
            return b""
        burst = self._take_burst(now_ns)
        self._turns = len(burst)
        self._insertable = 0
        return self._send(burst or self._take_all(self._answers, BURST_FRAMES), now_ns)

    def next_due(self) -> int | None:
        """Return when `advance` and `data_to_send` are worth calling again, None if nothing waits."""
        dues = [peer.held_until_ns for peer in self._held.values()]
        mine_ns = max(self._carrier.quiet_ns + self._lead_ns(), self._hold_until_ns)
        ready_ns = max(mine_ns, self._yielded_ns())
        if self._answers and self._insertable:
            dues.append(mine_ns)
        elif self._answers or self._challenges:
            dues.append(ready_ns)
        else:
            dues += [max(owed.due_ns, ready_ns) for peer in self._owing.values() for owed in peer.owed()]
        return min(dues, default=None)

    def _lead_ns(self) -> int:
        return 0 if self._carrier.clean else self._timing.gateway_idle_ns

    def _yielded_ns(self) -> int:
        """When the units will have had their turn."""
        if not self._yielding:
            return 0
        unused_ns = self._carrier.quiet_ns + self._timing.unused_ns
        return min(unused_ns, self._yield_since_ns + YIELD_FRAMES * self._timing.frame_ns)

    def _count_turn(self, said: LinkReading | FreshProof | None, now_ns: int) -> None:
        """A whole frame was heard. The confirmations of a burst come first, what comes then is the units' turn."""
        if self._turns and isinstance(said, Confirmation):
            self._turns -= 1
            self._yield_since_ns = now_ns
            if self._timing.inserts_answers or not self._turns:
                self._insertable = INSERTED_ANSWERS
        else:
            self._yielding = False

    def _send(self, frames: list[bytes], now_ns: int) -> bytes:
        data = b"".join(frames)
        if data:
            self._carrier.sends(now_ns, len(data))
            self._yielding = True
            self._yield_since_ns = self._carrier.quiet_ns
        return data

    def _take_burst(self, now_ns: int) -> list[bytes]:
        """What the units must confirm, the most urgent first; nothing if answers are more urgent."""
        due: list[tuple[int, int, int, _Peer, _Owed]] = []
        outstanding = 0
        for peer in list(self._owing.values()):
            owing = list(peer.owed())
            if not owing:
                del self._owing[peer.unit]
            outstanding += sum(owed.tries > 0 for owed in owing)
            due += [(owed.rank, owed.due_ns, peer.unit, peer, owed) for owed in owing if owed.due_ns <= now_ns]
        due.sort(key=lambda one: one[:3])
        if self._answers and not self._challenges and not (due and due[0][0] == _FIRST):
            return []
        frames = self._take_all(self._challenges, BURST_FRAMES)
        first = sum(rank == _FIRST for rank, *_ in due)
        most = BURST_FRAMES if first > LATER_FRAMES else LATER_FRAMES
        for _, _, _, peer, owed in due[: max(min(most, first or most) - len(frames), 0)]:
            outstanding += owed.tries == 0
            frames.append(self._send_owed(peer, owed, outstanding, now_ns))
        return [frame for frame in frames if frame]

    def _take_all(self, queue: deque[tuple[int, Command]], most: int) -> list[bytes]:
        frames: list[bytes] = []
        while queue and len(frames) < most:
            waiting = len(queue)
            frame = self._build(*queue[0], queue)
            if len(queue) == waiting:
                break  # no counter is leased
            if frame:
                frames.append(frame)
        return frames

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
            owed.due_ns = now_ns + self._timing.confirm_ns(outstanding)
        return build_frame(peer.seal, DOWN, peer.unit, counter, encode_downlink(owed.command))

    def _build(self, unit: int, command: Command, queue: deque[tuple[int, Command]]) -> bytes:
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
