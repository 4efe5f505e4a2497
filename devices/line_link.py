"""The gateway's role of the native link on one line: sealed readings in, orders and desired states out.

Theory of operation (docs/link.md, "The gateway on a line"):

1. A frame is fresh if its seal opens and its counter is above the unit's window. A message in a frame that
   is not fresh is a repeat if it is known. If not, it is held for 1 s and the unit is challenged; the right
   answer moves the window to where the unit's counter is, so that its next repeat is fresh. What is still
   unknown after that second comes out as `STALE`: a possible replay, never dropped. Nothing that was
   answered makes a recorded frame `SEALED`.
2. Nothing is answered here by itself. The caller answers (`answer`) once a message is on disk; until then
   the unit repeats, which is the back-pressure.
3. Sirens and lamps are desired states, not queues. What a unit has not confirmed is sent again, behind
   everything that was not sent yet, and ever more seldom the more units are silent.
4. The gateway goes right after a frame, before the units' time comes, or when the line has been silent for
   so long that no unit wants it: never at a moment that a unit may pick. It sends first sirens back to
   back, lets every unit of the burst confirm in turn (answers may go in between where the line is slow
   enough), and then leaves the line to the units until one has used it.

Every method takes the monotonic time in nanoseconds. After any of them, after counters were leased, and
when `next_due()` passes, put what `data_to_send` returns on the wire at once; call `advance` when
`next_due()` passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from heapq import heappop, heappush
from itertools import count, islice

from devices.carrier import Carrier
from devices.commands import (
    Challenge,
    Command,
    Kept,
    KeyHalf,
    Lamp,
    Pattern,
    Result,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.frames import DOWN, UP, Header, build_frame, decode_uplink, encode_downlink, new_deframer, split_content
from devices.framing import DELIMITER, FramingCounts
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
    CONFIRM_TRIES,
    INSERTED_ANSWERS,
    LATER_FRAMES,
    MS,
    PATIENCE_NS,
    YIELD_FRAMES,
    LineTiming,
    S,
)

KNOWN_MESSAGES = 256
"""So many message keys are remembered of each unit, to tell a repeat from a replay."""
CHALLENGE_BYTES = 8
STARVED_NS = 50 * MS
"""Without a leased counter the gateway looks again after this."""


class _Rank(IntEnum):
    """Who goes first on the line. Challenges and answers, which are no states, go between FIRST and AGAIN."""

    FIRST = 0
    """Sirens that the unit does not play yet, and stops."""
    AGAIN = 1
    """The same, when they were not confirmed: a unit that is away delays nobody."""
    STATE = 2
    """Lamps."""
    LATER = 3
    """Further doors, short tones, time, keys."""


class _About(Enum):
    """What a unit can owe a confirmation of, each once: a newer wish takes the place of the older."""

    SIREN = "siren"
    LAMP = "lamp"
    TIME = "time"
    KEY_0 = "key, first half"
    KEY_1 = "key, second half"


_NOT_FIRST = (_Rank.AGAIN, _Rank.STATE, _Rank.LATER)
_HALVES = (_About.KEY_0, _About.KEY_1)


@dataclass(slots=True)
class LinkCounts:
    """Counted since the line was opened; N9: received = passed on + these."""

    sealed: int = 0
    repeats: int = 0
    stale: int = 0
    proved: int = 0
    """Held messages that their unit said again in a fresh frame in time."""
    refused: int = 0
    foreign: int = 0
    not_understood: int = 0
    unasked: int = 0
    sent: int = 0
    resent: int = 0


@dataclass(frozen=True, slots=True)
class UnitKey:
    """What the gateway must know to talk with a unit. `next_key` is one that it has been offered.

    `others` are keys that it was offered before that: it may have taken one of them.
    """

    key: bytes
    next_key: bytes | None = None
    window: int = 0
    """Highest uplink counter (boot number << 16 | frame number) that was accepted before."""
    known: Iterable[tuple[int, int]] = ()
    """(boot, number) of messages that are on disk already."""
    others: tuple[bytes, ...] = ()


@dataclass(slots=True, eq=False)
class _Owed:
    """Something that a unit has not confirmed yet."""

    peer: _Peer
    about: _About
    command: Command
    rank: _Rank
    since_ns: int
    due_ns: int
    tries: int = 0
    sent: dict[int, Command] = field(default_factory=dict)
    """What went out under which counter, the last CONFIRM_TRIES: a confirmation names the counter."""


@dataclass(slots=True, eq=False)
class _Peer:
    unit: int
    key: bytes
    seal: Seal
    next_key: bytes | None
    next_seal: Seal | None
    window: int
    known: deque[int]
    siren: Siren | None = None
    """What it shall play, until `siren_until_ns`."""
    siren_until_ns: int = 0
    playing: Siren | None = None
    """What it has confirmed to play, until `playing_until_ns`."""
    playing_until_ns: int = 0
    told_ns: int | None = None
    """When a siren frame last went to it. None: what it plays is anybody's guess."""
    last_counter: int = 0
    """Of the last frame that went to it."""
    lamp: Lamp = Lamp.IDLE
    owed: dict[_About, _Owed] = field(default_factory=dict)
    nonce: bytes | None = None
    nonce_until_ns: int = 0
    others: tuple[tuple[bytes, Seal], ...] = ()
    key_id: int | None = None
    """Of the offer that is under way: halves of two offers never make a key."""


def _claim(siren: Siren) -> tuple[int, bool]:
    """How much of a hurry a siren is in, against what plays now: a louder kind, or the order to stand back."""
    return (siren.pattern, not siren.stand_back)


def _packed(boot: int, number: int) -> int:
    return boot << 16 | number  # a third of the memory of a tuple, 256 times a unit


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
        self._timing = timing
        self._take_counter = take_counter
        self._random_bytes = random_bytes
        self._deframer = new_deframer()
        self._queues: dict[_Rank, list[tuple[int, int, _Owed]]] = {rank: [] for rank in _Rank}
        """Heaps by due time. An entry whose time is not its order's any more counts for nothing."""
        self._queued = count()
        self._awaited: set[_Owed] = set()
        """What is owed by units that are not known to be silent."""
        self._challenges: dict[int, None] = {}
        self._answers: dict[tuple[int, int, int], None] = {}
        self._answered = False
        """Whether answers had the last turn that was not urgent: then what has waited too long has the next."""
        self._held: dict[tuple[int, int], tuple[int, Numbered]] = {}
        """Messages that nobody has proved yet, by unit and message key, the oldest first; until when."""
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
        """Units that have not confirmed an order after CONFIRM_TRIES."""
        self.starved = False
        """Whether something could not be sent for want of a leased counter."""
        self._starved_ns = 0
        self.set_units(units)

    @property
    def framing(self) -> FramingCounts:
        """Bytes and frames of the line."""
        return self._deframer.counts

    def set_units(self, units: Mapping[int, UnitKey]) -> None:
        """Know these units from now on; those that were known keep their windows and states.

        A unit that has taken its `next_key` keeps it, although the caller may not know that yet.
        """
        before, self._peers = self._peers, {}
        for unit, key in units.items():
            peer = before.pop(unit, None)
            if peer is None:
                known = deque((_packed(*one) for one in key.known), KNOWN_MESSAGES)
                peer = _Peer(unit, key.key, Seal(key.key), None, None, key.window, known)
            elif peer.key not in (key.key, key.next_key):
                peer.key, peer.seal = key.key, Seal(key.key)
            offered = key.next_key if key.next_key != peer.key else None
            if offered != peer.next_key:
                peer.next_key, peer.next_seal = offered, None if offered is None else Seal(offered)
                self._withdraw(peer)
            peer.others = tuple((one, Seal(one)) for one in key.others if one not in (peer.key, peer.next_key))
            self._peers[unit] = peer
        for peer in before.values():
            for owed in list(peer.owed.values()):
                self._settled(owed)
            self.silent.discard(peer.unit)
            self._challenges.pop(peer.unit, None)
        self._answers = {answer: None for answer in self._answers if answer[0] in self._peers}

    def _withdraw(self, peer: _Peer) -> None:
        """What is on its way of an offer is not said again."""
        peer.key_id = None
        for owed in [peer.owed[half] for half in _HALVES if half in peer.owed]:
            self._settled(owed)

    def key(self, unit: int) -> bytes:
        """Return the key with which `unit` spoke last, or that it is believed to have."""
        return self._peers[unit].key

    def offer_keys(self, now_ns: int) -> None:
        """Offer units their new keys where no offer is under way; call it from time to time.

        One that lost half of its key with its power, and one that did not answer, are offered it again.
        """
        for peer in self._peers.values():
            if peer.next_key is not None and not any(half in peer.owed for half in _HALVES):
                before = peer.key_id
                while peer.key_id == before:
                    peer.key_id = self._random_bytes(1)[0]
                self._offer_half(peer, 0, now_ns)

    def _offer_half(self, peer: _Peer, half: int, now_ns: int) -> None:
        assert peer.next_key is not None
        assert peer.key_id is not None
        middle = len(peer.next_key) // 2
        material = peer.next_key[middle:] if half else peer.next_key[:middle]
        self._owe(peer, _HALVES[half], KeyHalf(peer.key_id, half, material), _Rank.LATER, now_ns)

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
            self._carrier.heard(now_ns, inside_frame=self._deframer.inside_frame, began=DELIMITER in data)
            self._hold_until_ns = 0
        return readings

    def advance(self, now_ns: int) -> list[LinkReading]:
        """Return messages that nobody proved in time, as `Proof.STALE`."""
        readings: list[LinkReading] = []
        while self._held:
            place, (until_ns, message) = next(iter(self._held.items()))
            if until_ns > now_ns:
                break
            del self._held[place]
            self.counts.stale += 1
            readings.append(message)
        return readings

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
        fresh = header.counter > peer.window
        if fresh:
            peer.window = header.counter
        said = decode_uplink(body, header.unit, header.boot, Proof.SEALED if fresh else Proof.STALE)
        self._count_turn(said, now_ns)
        match said:
            case NotUnderstood():
                self.counts.not_understood += 1
                if fresh:
                    readings.append(said)
            case FreshProof(nonce=nonce):
                self._prove(peer, header, nonce, now_ns)
            case Sounded() | CommandDone():
                self._confirmed(peer, said, now_ns, readings, fresh=fresh)
            case _:
                self._pass(peer, said, now_ns, readings)

    def _open(self, peer: _Peer, header: bytes, sealed: bytes, readings: list[LinkReading]) -> bytes | None:
        body = peer.seal.open(header, sealed)
        if body is not None:
            return body
        offered = [] if peer.next_key is None or peer.next_seal is None else [(peer.next_key, peer.next_seal)]
        for key, new in (*offered, *peer.others):
            body = new.open(header, sealed)
            if body is not None:
                peer.key, peer.seal, peer.others = key, new, ()
                if key == peer.next_key:
                    peer.next_key = peer.next_seal = None
                self._withdraw(peer)  # halves are sealed anew where there is a newer key yet
                readings.append(KeyTaken(peer.unit))
                return body
        return None

    def _pass(self, peer: _Peer, said: Numbered, now_ns: int, readings: list[LinkReading]) -> None:
        key = _packed(said.boot, said.number)
        if said.proof is Proof.SEALED:
            self.counts.sealed += 1
            if key not in peer.known:
                peer.known.append(key)
                self._refresh(peer, said, now_ns)
            if self._held.pop((peer.unit, key), None) is not None:
                self.counts.proved += 1
            readings.append(said)
        elif key in peer.known:
            self.counts.repeats += 1
            readings.append(replace(said, proof=Proof.REPEAT))
        else:
            self._held.setdefault((peer.unit, key), (now_ns + CHALLENGE_NS, said))
            self._challenge(peer, now_ns)

    def _refresh(self, peer: _Peer, said: Numbered, now_ns: int) -> None:
        """A unit that powered up plays nothing any more, and one that lives may have been silent: tell it again."""
        if isinstance(said, UnitHello):
            peer.playing = None
            if peer.siren is not None and now_ns < peer.siren_until_ns:
                self._owe(peer, _About.SIREN, peer.siren, _Rank.FIRST, now_ns)
        if isinstance(said, UnitHello | Heartbeat) and peer.unit in self.silent:
            if not peer.owed:
                self.silent.discard(peer.unit)
            for owed in peer.owed.values():
                self._queue(owed, now_ns)

    def _challenge(self, peer: _Peer, now_ns: int) -> None:
        if peer.nonce is None or now_ns >= peer.nonce_until_ns:
            peer.nonce = self._random_bytes(CHALLENGE_BYTES)
            peer.nonce_until_ns = now_ns + CHALLENGE_NS
            self._challenges[peer.unit] = None

    def _prove(self, peer: _Peer, header: Header, nonce: bytes, now_ns: int) -> None:
        """The unit is here and now at this counter, whatever was heard before. Each nonce proves that once."""
        if peer.nonce is None or nonce != peer.nonce or now_ns >= peer.nonce_until_ns:
            self.counts.unasked += 1
            return
        peer.nonce = None
        peer.window = header.counter

    def _confirmed(
        self, peer: _Peer, said: Sounded | CommandDone, now_ns: int, readings: list[LinkReading], *, fresh: bool
    ) -> None:
        """Close what the unit confirms. A confirmation needs no fresh counter: it names one of ours."""
        owed = next((owed for owed in peer.owed.values() if said.counter in owed.sent), None)
        old = isinstance(said, CommandDone) and said.result == Result.COUNTER_OLD
        if owed is None and not (old and (fresh or said.counter == peer.last_counter)):
            self.counts.unasked += 1  # late, or replayed
            return
        readings.append(said)
        if owed is None:  # an answer or a challenge was too old for the unit, and now the caller knows its floor
            if peer.nonce is not None:
                self._challenges[peer.unit] = None
            return
        self.silent.discard(peer.unit)
        if old:
            if owed.tries < CONFIRM_TRIES:
                self._queue(owed, now_ns)  # the caller raises the counter above the unit's floor, then it goes again
            return
        self._settled(owed)
        if owed.about is _About.KEY_0 and peer.key_id is not None and _About.KEY_1 not in peer.owed:
            self._offer_half(peer, 1, now_ns)
        if owed.about is _About.SIREN:
            confirmed = owed.sent[said.counter]
            peer.playing = confirmed if isinstance(confirmed, Siren) else None
            peer.playing_until_ns = peer.siren_until_ns
            if peer.siren != peer.playing and now_ns < peer.siren_until_ns:
                self._want(peer, peer.siren, now_ns)

    # Saying

    def answer(self, *, unit: int, boot: int, number: int) -> None:
        """Tell `unit` that message (boot, number) is on disk; the lamp it shall show goes along."""
        if unit in self._peers:
            self._answers[unit, boot, number] = None

    def show_lamp(self, *, unit: int, lamp: Lamp, now_ns: int) -> None:
        """The lamp of `unit` shall show this, until told otherwise."""
        peer = self._peers.get(unit)
        if peer is not None and peer.lamp is not lamp:
            peer.lamp = lamp
            self._owe(peer, _About.LAMP, ShowLamp(lamp), _Rank.STATE, now_ns)

    def set_lamp(self, *, unit: int, lamp: Lamp) -> None:
        """The next answer to `unit` shall carry this lamp: of a press, the answer itself lights it."""
        peer = self._peers.get(unit)
        if peer is not None:
            peer.lamp = lamp
            if _About.LAMP in peer.owed:
                peer.owed[_About.LAMP].command = ShowLamp(lamp)

    def sound(self, *, unit: int, siren: Siren | None, now_ns: int) -> None:
        """The sounder of `unit` shall play this (None: be silent), until told otherwise.

        A siren lasts its `seconds` from the first time it was wanted: saying it again prolongs nothing.
        """
        peer = self._peers.get(unit)
        if peer is None or (siren == peer.siren and self._is_told(peer, now_ns)):
            return
        peer.siren = siren
        if siren is not None:
            peer.siren_until_ns = now_ns + siren.seconds * S
        self._want(peer, siren, now_ns)

    def _is_told(self, peer: _Peer, now_ns: int) -> bool:
        """Whether what it shall play is on its way, or was."""
        if peer.siren is None:
            return peer.told_ns is not None or _About.SIREN in peer.owed
        return now_ns < peer.siren_until_ns

    def tell(self, *, unit: int, command: SetTime | KeyHalf, now_ns: int) -> None:
        """Send `command` until it is confirmed. A time is told as it is when it goes out."""
        peer = self._peers.get(unit)
        if peer is not None:
            about = _About.TIME if isinstance(command, SetTime) else _HALVES[command.half]
            self._owe(peer, about, command, _Rank.LATER, now_ns)

    def _want(self, peer: _Peer, siren: Siren | None, now_ns: int) -> None:
        playing = peer.playing if now_ns < peer.playing_until_ns else None
        owed = peer.owed.get(_About.SIREN)
        if siren is None:
            if peer.told_ns is not None and playing is None and owed is not None and not owed.sent:
                self._settled(owed)  # nothing of it was ever heard
            else:
                self._owe(peer, _About.SIREN, Stop(), _Rank.FIRST, now_ns)
        elif owed is not None and isinstance(owed.command, Siren) and _claim(owed.command) <= _claim(siren):
            owed.command = siren  # a frame of this claim is on its way: the next one says the newest
        elif siren.pattern is Pattern.CHIRP:  # a word to one person: it delays nobody's siren and nobody's answer
            self._owe(peer, _About.SIREN, siren, _Rank.LATER, now_ns)
        elif playing is None or _claim(siren) < _claim(playing):
            self._owe(peer, _About.SIREN, siren, _Rank.FIRST, now_ns)
        else:
            due_ns = max(now_ns, (peer.told_ns or 0) + self._timing.update_ns(len(self._peers)))
            self._owe(peer, _About.SIREN, siren, _Rank.LATER, due_ns)

    def _owe(self, peer: _Peer, about: _About, command: Command, rank: _Rank, due_ns: int) -> None:
        if about in peer.owed:
            self._settled(peer.owed[about])
        owed = _Owed(peer, about, command, rank, since_ns=due_ns, due_ns=due_ns)
        peer.owed[about] = owed
        self._awaited.add(owed)
        self._queue(owed, due_ns)

    def _settled(self, owed: _Owed) -> None:
        del owed.peer.owed[owed.about]
        self._awaited.discard(owed)

    def _queue(self, owed: _Owed, due_ns: int) -> None:
        owed.due_ns = due_ns
        heappush(self._queues[owed.rank], (due_ns, next(self._queued), owed))

    def _first(self, rank: _Rank) -> _Owed | None:
        """Return what is due first of this rank."""
        queue = self._queues[rank]
        while queue:
            due_ns, _, owed = queue[0]
            if owed.peer.owed.get(owed.about) is owed and owed.due_ns == due_ns and owed.rank is rank:
                return owed
            heappop(queue)
        return None

    # The line

    def data_to_send(self, now_ns: int) -> bytes:
        """Return the frames to put on the wire now: at most a burst, often none."""
        quiet_ns = self._carrier.quiet_ns
        if now_ns < quiet_ns + self._lead_ns():
            return b""
        if self._timing.gateway_last_ns < now_ns - quiet_ns < self._timing.unused_ns:
            self._hold_until_ns = quiet_ns + self._timing.unused_ns
            return b""
        self.starved = False
        if self._answers and self._insertable:
            self._insertable -= 1
            return self._send(self._take_answers(1, now_ns), now_ns)
        if now_ns < self._yielded_ns():
            return b""
        self._insertable = 0
        orders, frames = self._take_burst(now_ns)
        self._turns = len(frames)
        data = self._send(frames or self._take_answers(BURST_FRAMES, now_ns), now_ns)
        for owed in orders:
            self._await(owed)
        return data

    def next_due(self) -> int | None:
        """Return when `advance` and `data_to_send` are worth calling again, None if nothing waits."""
        dues = [until_ns for until_ns, _ in islice(self._held.values(), 1)]
        mine_ns = max(self._carrier.quiet_ns + self._lead_ns(), self._hold_until_ns)
        if self.starved:
            mine_ns = max(mine_ns, self._starved_ns + STARVED_NS)
        if self._answers and self._insertable:
            dues.append(mine_ns)
        else:
            waiting = [owed.due_ns for rank in _Rank if (owed := self._first(rank)) is not None]
            if self._answers or self._challenges:
                waiting.append(mine_ns)
            if waiting:
                dues.append(max(min(waiting), mine_ns, self._yielded_ns()))
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

    def _take_burst(self, now_ns: int) -> tuple[list[_Owed], list[bytes]]:
        """What units must confirm, of the most urgent sort that there is; nothing if it is the answers' turn."""
        orders = self._take_due([_Rank.FIRST], BURST_FRAMES, now_ns)
        if not orders:
            challenges = self._take_challenges(now_ns)
            if challenges:
                return [], challenges
            if not self._answers:
                orders = self._take_due(_NOT_FIRST, LATER_FRAMES, now_ns)
            elif self._answered:
                orders = self._take_due(_NOT_FIRST, LATER_FRAMES, now_ns - PATIENCE_NS)
            self._answered = not orders
        frames = [frame for owed in orders if (frame := self._order(owed, now_ns))]
        for owed in orders[len(frames) :]:
            self._queue(owed, owed.due_ns)  # no counter is leased
        return orders[: len(frames)], frames

    def _take_due(self, ranks: Iterable[_Rank], most: int, now_ns: int) -> list[_Owed]:
        """Take what is due, one for each unit: only one confirmation of a burst can be its turn."""
        taken: dict[int, _Owed] = {}
        left: list[_Owed] = []
        for rank in ranks:
            while len(taken) < most and (owed := self._first(rank)) is not None and owed.due_ns <= now_ns:
                heappop(self._queues[rank])
                if isinstance(owed.command, Siren) and owed.peer.siren_until_ns <= now_ns:
                    self._settled(owed)  # it would have ended by itself
                elif taken.setdefault(owed.peer.unit, owed) is not owed:
                    left.append(owed)
        for owed in left:
            self._queue(owed, owed.due_ns)
        return list(taken.values())

    def _order(self, owed: _Owed, now_ns: int) -> bytes:
        """Return the frame of what is owed; nothing if no counter is leased."""
        peer, command = owed.peer, owed.command
        elapsed_s = (now_ns - owed.since_ns) // S
        if isinstance(command, Siren):
            command = replace(command, seconds=(peer.siren_until_ns - now_ns + S - 1) // S)
        elif isinstance(command, SetTime):
            command = replace(command, unix_s=command.unix_s + elapsed_s)
        counter, frame = self._build(peer, command, now_ns)
        if frame:
            owed.sent[counter] = owed.command
            if len(owed.sent) > CONFIRM_TRIES:
                del owed.sent[next(iter(owed.sent))]
            self.counts.resent += owed.tries > 0
            owed.tries += 1
            if owed.about is _About.SIREN:
                peer.told_ns = now_ns
            if owed.rank is _Rank.FIRST:
                owed.rank = _Rank.AGAIN
        return frame

    def _await(self, owed: _Owed) -> None:
        """It has just been sent: when to send it again."""
        if owed.tries < CONFIRM_TRIES:
            wait_ns = self._timing.confirm_ns(len(self._awaited))
        else:
            self.silent.add(owed.peer.unit)
            self._awaited.discard(owed)
            wait_ns = self._timing.silent_ns(len(self.silent))
        self._queue(owed, self._carrier.quiet_ns + wait_ns)

    def _take_challenges(self, now_ns: int) -> list[bytes]:
        frames: list[bytes] = []
        while self._challenges and len(frames) < LATER_FRAMES:
            peer = self._peers[next(iter(self._challenges))]
            if peer.nonce is not None and now_ns < peer.nonce_until_ns:
                _, frame = self._build(peer, Challenge(peer.nonce), now_ns)
                if not frame:
                    break
                frames.append(frame)
            del self._challenges[peer.unit]
        return frames

    def _take_answers(self, most: int, now_ns: int) -> list[bytes]:
        frames: list[bytes] = []
        while self._answers and len(frames) < most:
            unit, boot, number = answer = next(iter(self._answers))
            peer = self._peers[unit]
            _, frame = self._build(peer, Kept(boot, number, peer.lamp), now_ns)
            if not frame:
                break
            frames.append(frame)
            del self._answers[answer]
        return frames

    def _build(self, peer: _Peer, command: Command, now_ns: int) -> tuple[int, bytes]:
        """Return counter and frame; no frame if no counter is leased."""
        counter = self._take_counter()
        if counter is None:
            self.starved = True
            self._starved_ns = now_ns
            return 0, b""
        self.counts.sent += 1
        peer.last_counter = counter
        return counter, build_frame(peer.seal, DOWN, peer.unit, counter, encode_downlink(command))
