"""Readers on a line of their own: tags by RDM6300, Wiegand converter or PN532, fixed-code transmitters at 433 MHz.

All but the PN532 only talk. A frame reaches the gateway's port in two halves, since a real one is read so.
"""

from __future__ import annotations

import heapq
from collections import deque
from functools import reduce
from operator import xor

from devices.radio433 import Form, code_of
from firmware_sim.diary import CodeSent, Entry, TagHeld, Write
from firmware_sim.medium import BITS_OF_A_CHARACTER

MS = 1_000_000
S = 1_000 * MS
REPEAT_NS = 60 * MS
"""An RDM6300 sends a tag so often while it is near."""
AIR_FRAME_NS = 45 * MS
"""A fixed-code transmitter needs so long for its 24 bits, and repeats them while its key is down."""
LEAST_CODES = 3
"""A receiver hands on at least so many of one press."""
DIARY_ENTRIES = 10_000
PULSE = 0x68
"""Pulse time that the timed form tells along, in units of about 3 microseconds: a usual transmitter."""


def rdm6300_frame(tag: str) -> bytes:
    """Return what an RDM6300 sends for a tag of ten hexadecimal digits."""
    identity = bytes.fromhex(tag)
    if len(identity) != 5:
        raise ValueError(f"an EM4100 tag has ten digits, this is {tag!r}")
    return b"\x02%b%02X\x03" % (tag.upper().encode("ascii"), reduce(xor, identity))


def code_frame(identity: int, command: int, form: Form) -> bytes:
    """Return what a 433 MHz receiver sends for a code."""
    code = code_of(identity, command)
    match form:
        case Form.TIMED:
            return b"\xfd%b%c\xdf" % (code.to_bytes(3, "big"), PULSE)
        case Form.PLAIN:
            return b"\xfd%b\xdf" % code.to_bytes(3, "big")
        case Form.TEXT:
            return b"LC:%06X\r\n" % code


def wiegand_bits(tag: str) -> str:
    """Return the bits that a Wiegand reader sends for a tag of 6 (26 bits) or 8 (34 bits) hexadecimal digits."""
    if len(tag) not in (6, 8):
        raise ValueError(f"a Wiegand tag has six or eight digits, this is {tag!r}")
    number = f"{int(tag, 16):0{len(tag) * 4}b}"
    half = len(number) // 2
    even, odd = number[:half].count("1") % 2, 1 - number[half:].count("1") % 2
    return f"{even}{number}{odd}"


class Reader:
    """A talking device on a line: frames go out at their time, paced at the baud."""

    def __init__(self, name: str, *, baud: int, write: Write = lambda _: None) -> None:
        self.name = name
        self.diary: deque[Entry] = deque(maxlen=DIARY_ENTRIES)
        self.cut = False
        self._char_ns = BITS_OF_A_CHARACTER * S // baud
        self._write = write
        self._busy_until_ns = 0
        self._due: list[tuple[int, int, bytes]] = []
        self._order = 0
        self._heard: list[tuple[int, bytes]] = []

    def hold_tag(self, tag: str, now_ns: int, *, hold_ns: int, memory: bytes = b"") -> None:
        """A tag is near for `hold_ns`: its frame comes at once and every 60 ms. It has no memory to be read."""
        del memory
        self._note(TagHeld(at_ns=now_ns, tag=tag.upper()))
        for at_ns in range(now_ns, now_ns + max(hold_ns, 1), REPEAT_NS):
            self._put(rdm6300_frame(tag), at_ns)

    def hold_wiegand(self, tag: str, now_ns: int) -> None:
        """A card is held to a Wiegand reader behind a converter: one line, however long it stays."""
        self._note(TagHeld(at_ns=now_ns, tag=tag.upper()))
        self._put(wiegand_bits(tag).encode() + b"\r\n", now_ns)

    def send_code(self, identity: int, command: int, now_ns: int, *, hold_ns: int, form: Form) -> None:
        """A transmitter's key is down for `hold_ns`."""
        self._note(CodeSent(at_ns=now_ns, identity=identity, command=command))
        for repeat in range(max(LEAST_CODES, hold_ns // AIR_FRAME_NS)):
            self._put(code_frame(identity, command, form), now_ns + (repeat + 1) * AIR_FRAME_NS)

    def _put(self, frame: bytes, at_ns: int) -> None:
        start_ns = max(at_ns, self._busy_until_ns)
        half = len(frame) // 2
        self._busy_until_ns = start_ns + len(frame) * self._char_ns
        for end_ns, part in ((start_ns + half * self._char_ns, frame[:half]), (self._busy_until_ns, frame[half:])):
            self._order += 1
            heapq.heappush(self._due, (end_ns, self._order, part))

    def receive(self, data: bytes, now_ns: int) -> None:
        """A reader does not listen."""

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due."""
        while self._due and self._due[0][0] <= now_ns:
            at_ns, _, part = heapq.heappop(self._due)
            if not self.cut:
                self._heard.append((at_ns, part))

    def next_due(self) -> int | None:
        """Return when to call `advance` next."""
        return self._due[0][0] if self._due else None

    def unsent_bytes(self, now_ns: int) -> int:  # noqa: ARG002
        """Nothing is ever sent to a reader."""
        return 0

    def take_heard(self) -> list[tuple[int, bytes]]:
        """Return what has arrived at the gateway's port since the last call, with the times."""
        heard, self._heard = self._heard, []
        return heard

    def _note(self, entry: Entry) -> None:
        self.diary.append(entry)
        self._write(entry)


SEARCH_NS = 30 * MS
"""A PN532 looks for a card so long before it says that there is none."""
READ_NS = 10 * MS
"""Reading four pages of a card, with the way over its own wire and the air."""
_ASKED = b"\x00\x00\xff"
_ACK = b"\x00\x00\xff\x00\xff\x00"
_REPLIES = {0x14: b"\x15", 0x02: b"\x03\x32\x01\x06\x07", 0x32: b"\x33"}
_LIST, _EXCHANGE = 0x4A, 0x40
_NO_ANSWER = b"\x01"
"""The status that a card did not answer in time."""


class Pn532Reader(Reader):
    """A PN532: it sleeps until it is woken, then answers each question behind its ACK."""

    def __init__(self, name: str, *, baud: int, write: Write = lambda _: None) -> None:
        super().__init__(name, baud=baud, write=write)
        self.awake = False
        self._near: dict[str, int] = {}
        self._written: dict[str, bytes] = {}
        self._asked = bytearray()

    def hold_tag(self, tag: str, now_ns: int, *, hold_ns: int, memory: bytes = b"") -> None:
        """A card is near for `hold_ns`; whoever asks meanwhile is told of it, and may read its `memory`."""
        if len(tag) not in (8, 14, 20):
            raise ValueError(f"a UID has 8, 14 or 20 digits, this is {tag!r}")
        self._note(TagHeld(at_ns=now_ns, tag=tag.upper()))
        self._near[tag] = now_ns + max(hold_ns, 1)
        self._written[tag] = memory

    def receive(self, data: bytes, now_ns: int) -> None:
        """The gateway asks."""
        self.awake = self.awake or b"\x55" in data
        self._asked += data
        while (at := self._asked.find(_ASKED)) >= 0 and len(self._asked) >= at + 5 + self._asked[at + 3] + 1:
            end = at + 5 + self._asked[at + 3]
            body = bytes(self._asked[at + 5 : end])
            if self.awake and not (sum(body) + self._asked[end]) % 256 and body[:1] == b"\xd4" and len(body) > 1:
                self._reply(body[1], body[2:], now_ns)
            del self._asked[: end + 1]

    def _reply(self, code: int, asked: bytes, now_ns: int) -> None:
        card = next((tag for tag, until_ns in self._near.items() if until_ns > now_ns), None)
        if code == _EXCHANGE:
            self._put(_ACK + _pn532_frame(b"\x41" + self._read(card, asked)), now_ns + READ_NS)
            return
        if code != _LIST:
            self._put(_ACK + _pn532_frame(_REPLIES.get(code, b"\x7f")), now_ns)
            return
        if card is None:
            self._put(_ACK + _pn532_frame(b"\x4b\x00"), now_ns + SEARCH_NS)
            return
        uid = bytes.fromhex(card)
        about = bytes([1, 1, 0, 4 if len(uid) == 4 else 0x44, 8 if len(uid) == 4 else 0, len(uid)])
        self._put(_ACK + _pn532_frame(b"\x4b" + about + uid), now_ns)

    def _read(self, card: str | None, asked: bytes) -> bytes:
        """What a card answers to READ: a status, and four pages if that is 0. Past its end it begins anew."""
        if card is None or len(card) != 14 or asked[:2] != b"\x01\x30" or len(asked) != 3:
            return _NO_ANSWER
        uid, written = bytes.fromhex(card), self._written[card]
        size = max(-(-len(written) // 8) * 8, 48)
        head = uid[:3] + bytes([0x88 ^ uid[0] ^ uid[1] ^ uid[2]]) + uid[3:]
        head += bytes([uid[3] ^ uid[4] ^ uid[5] ^ uid[6], 0x48, 0, 0])
        head += bytes([0xE1, 0x10, size // 8, 0]) if written else bytes(4)
        pages = head + written.ljust(size, b"\x00")
        at = asked[2] * 4
        return b"\x00" + (pages + pages)[at : at + 16] if at < len(pages) else _NO_ANSWER


def _pn532_frame(body: bytes) -> bytes:
    data = b"\xd5" + body
    return _ASKED + bytes([len(data), 256 - len(data)]) + data + bytes([-sum(data) % 256, 0])
