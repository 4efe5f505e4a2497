"""Readers on a line of their own: an RDM6300 for tags, a 433 MHz receiver for fixed-code transmitters.

Both only talk. A frame reaches the gateway's port in two halves, since a real one is read so.
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

    def hold_tag(self, tag: str, now_ns: int, *, hold_ns: int) -> None:
        """A tag is near for `hold_ns`: its frame comes at once and every 60 ms."""
        self._note(TagHeld(at_ns=now_ns, tag=tag.upper()))
        for at_ns in range(now_ns, now_ns + max(hold_ns, 1), REPEAT_NS):
            self._put(rdm6300_frame(tag), at_ns)

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
