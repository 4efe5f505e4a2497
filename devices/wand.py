"""Patrol wands (巡更棒) of the one protocol that is openly described, read over a serial line.

Source: the DoNetDrive wand in the public repository laijinjie/DoNetDrive and its copies; docs/readers.md, "Wands". ::

    7E  address(1) code(2) class(1) command(1) length(1) data(length) check(1)  7E

Inside, 7E is written 7F 01 and 7F is written 7F 02. `check` is the low byte of the sum of all before it, unescaped.
Numbers are big endian. A reply carries the code of its request and the same command; its class may have 30 added.

    04/01  how much there is: capacity, write index, read index (u32 each), wrapped (u8); then of the other store
    04/06  read records: store u8 (1: cards), first serial u32, count u32
           reply: count u32, then serial u32 and 12 bytes for each
    04/04  set the read index: store u8, index u32. The wand may write over what lies before it.

Theory. The store is a ring of `capacity` places, numbered from 1. What lies between the read index and the write index
is unread; with `wrapped` set the write index has begun anew. Where it has come past the read index as well, unread
records were written over, which the wand does not count: that is said (`overrun`) and everything that is left is read.
The read index is set last, and only when somebody else holds every record: until then the wand gives them again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

EDGE: Final = 0x7E
ESCAPE: Final = 0x7F
_ESCAPED: Final = {0x01: EDGE, 0x02: ESCAPE}
_HEAD: Final = struct.Struct(">BHBBB")
_STORE: Final = struct.Struct(">IIIB")
_INDEX: Final = struct.Struct(">BI")
_ASK: Final = struct.Struct(">BII")
_RECORD: Final = struct.Struct(">IH6BB3s")
_COUNT: Final = struct.Struct(">I")

RECORDS: Final = 0x04
DETAILS: Final = 0x01
COMMIT: Final = 0x04
READ: Final = 0x06
REPLY: Final = 0x30
CARDS: Final = 1
MOST_BODY: Final = _HEAD.size + 255 + 1
MOST_AT_ONCE: Final = (255 - _COUNT.size) // _RECORD.size
"""Records that one reply can hold."""
NOBODY: Final = 0xFFFF
"""The number of a guard where none was read."""
MOST_CAPACITY: Final = 1 << 20
"""A wand that says it holds more says something else."""


class WandRefused(Exception):
    """What the wand said cannot be. Field: `what`."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"the wand said what cannot be: {what}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, without edges and escapes."""

    address: int
    code: int
    group: int
    """The class of its command."""
    command: int
    data: bytes = b""

    def encode(self) -> bytes:
        """The frame as it goes over the wire."""
        body = _HEAD.pack(self.address, self.code, self.group, self.command, len(self.data)) + self.data
        body += bytes((sum(body) & 0xFF,))
        inside = body.replace(b"\x7f", b"\x7f\x02").replace(b"\x7e", b"\x7f\x01")
        return b"\x7e" + inside + b"\x7e"

    def answers(self, asked: Frame) -> bool:
        """Whether this is the reply to `asked`."""
        return (self.code, self.command) == (asked.code, asked.command) and self.group in {
            asked.group,
            asked.group + REPLY,
        }


@dataclass(frozen=True, slots=True)
class WandCounts:
    """What arrived since the line was opened."""

    frames: int
    bad_frames: int
    """Between two edges, and broken: a wrong sum or length, an escape of nothing."""
    noise_bytes: int


class WandFrames:
    """Cuts frames out of bytes. A bad one costs itself and nothing else."""

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._frames = 0
        self._bad = 0
        self._noise = 0

    @property
    def counts(self) -> WandCounts:
        """A snapshot."""
        return WandCounts(self._frames, self._bad, self._noise)

    def receive_data(self, data: bytes) -> list[Frame]:
        """Take what was read, return the frames that are whole."""
        found: list[Frame] = []
        for byte in data:
            if byte == EDGE:
                if self._body:
                    frame = _decode(bytes(self._body))
                    if frame is None:
                        self._bad += 1
                        self._body = bytearray()  # its end may be the beginning of the next one
                    else:
                        self._frames += 1
                        found.append(frame)
                        self._body = None
                else:
                    self._body = bytearray()
            elif self._body is None:
                self._noise += 1
            elif len(self._body) >= 2 * MOST_BODY:
                self._noise += len(self._body) + 1
                self._body = None
            else:
                self._body.append(byte)
        return found


def _decode(raw: bytes) -> Frame | None:
    body = bytearray()
    escaped = False
    for byte in raw:
        if escaped:
            if byte not in _ESCAPED:
                return None
            body.append(_ESCAPED[byte])
            escaped = False
        elif byte == ESCAPE:
            escaped = True
        else:
            body.append(byte)
    if escaped or len(body) < _HEAD.size + 1 or sum(body[:-1]) & 0xFF != body[-1]:
        return None
    address, code, group, command, length = _HEAD.unpack_from(body)
    if len(body) != _HEAD.size + length + 1:
        return None
    return Frame(address, code, group, command, bytes(body[_HEAD.size : -1]))


@dataclass(frozen=True, slots=True)
class Details:
    """How full the store of cards is. Indices are those of the last record written and read; 0: none."""

    capacity: int
    written: int
    read: int
    wrapped: bool

    @property
    def overrun(self) -> bool:
        """Whether records that nobody had read were written over."""
        return self.wrapped and self.written > self.read

    def unread(self) -> list[range]:
        """The serials that are to be read, oldest first."""
        if not self.wrapped:
            first = self.read + 1 if self.read <= self.written else 1  # emptied since: it counts from 1 again
            return _some(range(first, self.written + 1))
        begin = self.written if self.overrun else self.read
        return _some(range(begin + 1, self.capacity + 1), range(1, self.written + 1))


def _some(*ranges: range) -> list[range]:
    return [one for one in ranges if one]


def details(data: bytes) -> Details:
    """The reply to 04/01. WandRefused where the numbers cannot be."""
    if len(data) < _STORE.size:
        raise WandRefused(f"{len(data)} bytes of details")
    capacity, written, read, wrapped = _STORE.unpack_from(data)
    if not 0 < capacity <= MOST_CAPACITY or max(written, read) > capacity:
        raise WandRefused(f"{written} written and {read} read of {capacity}")
    return Details(capacity, written, read, bool(wrapped))


@dataclass(frozen=True, slots=True)
class CardRecord:
    """One card that was read. `at`: the wand's own civil time, None where its clock shows none; `card`: 24 bits."""

    serial: int
    guard: int
    at: datetime | None
    is_guard: bool
    card: str


def records(data: bytes) -> list[CardRecord]:
    """The reply to 04/06. WandRefused where its length is not what it says."""
    if len(data) < _COUNT.size or (len(data) - _COUNT.size) % _RECORD.size:
        raise WandRefused(f"{len(data)} bytes of records")
    (count,) = _COUNT.unpack_from(data)
    found = [_record(*fields) for fields in _RECORD.iter_unpack(data[_COUNT.size :])]
    if len(found) != count:
        raise WandRefused(f"{len(found)} records where it said {count}")
    return found


def _record(serial: int, guard: int, *rest: int | bytes) -> CardRecord:
    *time, state, card = rest
    assert isinstance(card, bytes)
    year, month, day, hour, minute, second = (int(one) for one in time)
    try:
        at = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001 - the wand's own civil time
    except ValueError:
        at = None
    return CardRecord(serial, guard, at, state == 1, card.hex().upper())


class WandReader:
    """Reads a wand: give it what came, send what it says. `done` when all records are there, then `commit`.

    A reply that does not come is asked for again by `again`; nothing is remembered in the wand before `commit`.
    """

    def __init__(self, *, address: int = 1, codes: Iterable[int]) -> None:
        """`codes`: numbers for requests, 0x1000 to 0xF000, a new one for each."""
        self._address = address
        self._codes = iter(codes)
        self._frames = WandFrames()
        self._asked: Frame | None = None
        self._details: Details | None = None
        self._waiting: list[int] = []
        self._found: dict[int, CardRecord] = {}
        self._committed = False

    @property
    def counts(self) -> WandCounts:
        """What arrived."""
        return self._frames.counts

    @property
    def details(self) -> Details | None:
        """How full the wand is; None before it has said so."""
        return self._details

    @property
    def done(self) -> bool:
        """Whether every unread record is here."""
        return self._details is not None and not self._waiting

    @property
    def committed(self) -> bool:
        """Whether the wand has taken the read index."""
        return self._committed

    @property
    def records(self) -> Sequence[CardRecord]:
        """What was read, oldest first."""
        assert self._details is not None
        return [self._found[serial] for some in self._details.unread() for serial in some if serial in self._found]

    def begin(self) -> bytes:
        """Ask how much there is."""
        return self._ask(RECORDS, DETAILS)

    def again(self) -> bytes:
        """Ask again for what was not answered, under the same code."""
        assert self._asked is not None
        return self._asked.encode()

    def commit(self) -> bytes:
        """Let the wand forget what was read; only when somebody else holds every record."""
        assert self.done
        assert self._details is not None
        return self._ask(RECORDS, COMMIT, _INDEX.pack(CARDS, self._details.written))

    def receive_data(self, data: bytes) -> bytes:
        """Take what was read, return what is to be sent. WandRefused where the wand says what cannot be."""
        send = b""
        for frame in self._frames.receive_data(data):
            if self._asked is not None and frame.answers(self._asked):
                self._asked = None
                send += self._take(frame)
        return send

    def _take(self, frame: Frame) -> bytes:
        match frame.command:
            case 0x01:
                self._details = details(frame.data)
                self._waiting = [serial for some in self._details.unread() for serial in some]
            case 0x06:
                self._keep(records(frame.data))
            case _:
                self._committed = True
                return b""
        return self._ask_next() if self._waiting else b""

    def _keep(self, found: Sequence[CardRecord]) -> None:
        """Whatever it gave of what was asked for; what is missing is asked for again, unless it gave nothing at all."""
        wanted = {*self._waiting}
        here = {one.serial: one for one in found if one.serial in wanted}
        if not here:
            raise WandRefused(f"none of the records from {self._waiting[0]} on")
        self._found |= here
        self._waiting = [serial for serial in self._waiting if serial not in here]

    def _ask_next(self) -> bytes:
        first = self._waiting[0]
        count = 1
        while count < MOST_AT_ONCE and count < len(self._waiting) and self._waiting[count] == first + count:
            count += 1
        return self._ask(RECORDS, READ, _ASK.pack(CARDS, first, count))

    def _ask(self, group: int, command: int, data: bytes = b"") -> bytes:
        self._asked = Frame(self._address, next(self._codes), group, command, data)
        return self._asked.encode()
