"""PN532 on a UART ("HSU"): NFC and MIFARE cards at 13.56 MHz, 115200 baud 8N1. The gateway asks, the chip answers.

Source: docs/readers.md, "PN532". A frame is ::

    00 FF | LEN LCS | TFI data | DCS          LEN + LCS and TFI + data + DCS are 0 modulo 256
    00 FF | FF FF LENM LENL LCS | TFI data | DCS
    00 FF 00 FF    taken (ACK)                00 FF FF 00    say it again (NACK)

with any number of 00 around it; TFI is D4 from us and D5 from the chip. An answer comes behind its ACK, often in the
same read, and is believed without it.

After power-up the chip sleeps: it is woken, told that there is no secure module (SAMConfiguration), asked who it is,
told not to look for a card for ever (RFConfiguration), and then asked for cards again and again. Whatever goes wrong,
it all begins anew.

A card that came near and has the answers of a type 2 tag (NTAG21x, MIFARE Ultralight: SAK 00, ATQA 0044) is also read:
InDataExchange with READ (30), four pages at a time, pages 0 to 3 first, as far as its NDEF message reaches. That takes
some 12 ms a read and `MEMORY_NS` at most, because somebody waits for the tone: then the card counts by its UID alone,
as does one whose memory is locked, empty, gone or no NDEF. What is written is never more than a part of that reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from devices.ndef import NdefError, octets_needed, read_tag, words
from devices.readings import TagRefused, TagSeen
from devices.recent import Recent
from devices.timing import MS

POLL_NS: Final = 150 * MS
"""So long after an answer the next card is asked for."""
ANSWER_NS: Final = 1_500 * MS
"""An answer that did not come within this does not come: the first one through a USB adapter took a second more."""
REST_NS: Final = 1_000 * MS
"""A chip that does not answer is woken again after this."""
GONE_NS: Final = 600 * MS
"""A card that four polls did not see has left."""
MEMORY_NS: Final = 100 * MS
"""So long the memory of a card is read at most: with the pause between two polls before it, and the 700 ms that a disk
has behind it, a card is answered within a second of its coming near. It is enough for some 100 octets."""
MOST_TAGS: Final = 64
MOST_BODY: Final = 265

WAKE: Final = b"\x55\x55" + bytes(14)
SAM_CONFIGURATION: Final = b"\x14\x01"
GET_FIRMWARE: Final = b"\x02"
LIMIT_RETRIES: Final = b"\x32\x05\xff\x01\x02"
"""RFConfiguration, item 5: look for a card three times, then answer that there is none."""
LIST_TARGETS: Final = b"\x4a\x01\x00"
"""InListPassiveTarget: one card, 106 kbit/s, type A."""

TYPE_2: Final = b"\x00\x44\x00"
"""ATQA and SAK of NTAG21x and MIFARE Ultralight."""
READ_OCTETS: Final = 16
"""Four pages of four octets."""
MOST_MEMORY: Final = 888
"""User memory of the largest, an NTAG216; octets."""

_EXCHANGE, _READ = 0x40, 0x30
_USER_PAGE, _NDEF_MAGIC = 4, 0xE1
_HOST, _CHIP = 0xD4, 0xD5
_START: Final = b"\x00\xff"
_SYNTAX_ERROR: Final = b"\x7f"
_RANDOM_ID: Final = 0x08
_CASCADE: Final = 0x88
_UID_OCTETS: Final = (4, 7, 10)


class Said(Enum):
    """What a chip says that has no body."""

    TAKEN = "ACK"
    AGAIN = "NACK"


class Pn532Frames:
    """Cuts frames out of what a chip sends: `Said`, or the body with its TFI. Never holds more than one frame."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self.frames = 0
        self.checksum_errors = 0
        self.noise_bytes = 0
        """Bytes outside of frames; a 00 is none, since any number of them may stand between frames."""

    def receive_data(self, data: bytes) -> list[Said | bytes]:
        """Take what was read, return every frame that it completes."""
        self._partial += data
        found: list[Said | bytes] = []
        while (at := self._partial.find(_START)) >= 0:
            self._skip(at)
            size = self._size()
            if size is None or len(self._partial) < size:
                return found
            if size == 0:
                self._skip(1)
            else:
                found += self._frame(size)
        self._skip(len(self._partial) - self._partial.endswith(_START[:1]))
        return found

    def forget(self) -> None:
        """Give up the unfinished frame."""
        self._skip(len(self._partial))

    def _skip(self, count: int) -> None:
        self.noise_bytes += count - self._partial.count(0, 0, count)
        del self._partial[:count]

    def _size(self) -> int | None:
        """Bytes of the frame that begins here; None: too few to tell; 0: none begins here."""
        head = self._partial
        if len(head) < 4:
            return None
        if bytes(head[2:4]) in (b"\x00\xff", b"\xff\x00"):
            return 4
        if head[2:4] != b"\xff\xff":
            return 4 + head[2] + 1 if head[2] and not (head[2] + head[3]) % 256 else 0
        if len(head) < 7:
            return None
        length = head[4] << 8 | head[5]
        return 7 + length + 1 if 0 < length <= MOST_BODY and not sum(head[4:7]) % 256 else 0

    def _frame(self, size: int) -> list[Said | bytes]:
        frame = bytes(self._partial[:size])
        if size == 4:
            del self._partial[:size]
            self.frames += 1
            return [Said.TAKEN if frame[3] == 0xFF else Said.AGAIN]
        body = frame[7:] if frame[2:4] == b"\xff\xff" else frame[4:]
        if sum(body) % 256:
            self.checksum_errors += 1
            self._skip(1)  # a frame may begin inside what was only taken for one
            return []
        del self._partial[:size]
        self.frames += 1
        return [body[:-1]]


def command(body: bytes) -> bytes:
    """The frame of a command to the chip; `body` of at most 254 octets."""
    data = bytes([_HOST]) + body
    return b"\x00\x00\xff%c%c%b%c\x00" % (len(data), -len(data) % 256, data, -sum(data) % 256)


@dataclass(frozen=True, slots=True)
class Pn532Counts:
    """What came of a chip since it was opened."""

    frames: int
    reads: int
    """Answers with a card in them; repeats and what follows come out of these."""
    repeats: int
    random_ids: int
    bad_ids: int
    """Cards whose UID has no length of a UID, or is none."""
    memories: int
    """Cards in whose memory something was written that could be read."""
    checksum_errors: int
    noise_bytes: int
    restarts: int
    """Times that the chip had to be woken, the first one too."""


_STEPS: Final = (SAM_CONFIGURATION, GET_FIRMWARE, LIMIT_RETRIES, LIST_TARGETS)


def read_pages(page: int) -> bytes:
    """InDataExchange with the card that was listed: its four pages from `page` on."""
    return bytes([_EXCHANGE, 1, _READ, page])


@dataclass(slots=True)
class _Card:
    """One that came near, while its memory is read. `memory`: from page 0 on."""

    uid: bytes
    until_ns: int
    memory: bytes = b""

    @property
    def seen(self) -> TagSeen:
        """What is known of it by now."""
        try:
            return TagSeen(self.uid.hex().upper(), words(read_tag(self.memory[_USER_PAGE * 4 :])))
        except NdefError:
            return TagSeen(self.uid.hex().upper())

    def read_on(self, pages: bytes) -> bool:
        """Take four pages; whether there is more to read."""
        self.memory += pages
        header = self.memory[:READ_OCTETS]
        if header[:3] + header[4:8] != self.uid or header[12] != _NDEF_MAGIC:
            self.memory = b""  # another card by now, or nothing is written
            return False
        user = self.memory[READ_OCTETS:]
        needed = octets_needed(user)
        return needed is not None and len(user) < min(needed, header[14] * 8, MOST_MEMORY)


class Pn532:
    """One chip: write what `data_to_send` gives, call `advance` when `next_due` has come."""

    def __init__(self) -> None:
        self._frames = Pn532Frames()
        self._near: Recent[str] = Recent(window_ns=GONE_NS, most=MOST_TAGS)
        self._step = 0
        self._asked = b""
        """What was asked last, without its frame."""
        self._answer_ns = 0
        """Until when its answer may come."""
        self._card: _Card | None = None
        self._due_ns: int | None = None
        self._waiting = False
        self._unsent = b""
        self._reads = 0
        self._repeats = 0
        self._random_ids = 0
        self._bad_ids = 0
        self._memories = 0
        self._restarts = 0
        self.firmware: str | None = None
        """What the chip says it is, as `1.6`."""
        self.answers = False
        """Whether the chip answered what it was asked last."""

    @property
    def counts(self) -> Pn532Counts:
        """A snapshot."""
        return Pn532Counts(
            frames=self._frames.frames,
            reads=self._reads,
            repeats=self._repeats,
            random_ids=self._random_ids,
            bad_ids=self._bad_ids,
            memories=self._memories,
            checksum_errors=self._frames.checksum_errors,
            noise_bytes=self._frames.noise_bytes,
            restarts=self._restarts,
        )

    def start(self, now_ns: int) -> None:
        """The port is open: wake the chip."""
        self._step = 0
        self._restarts += 1
        self._frames.forget()
        self._ask(_STEPS[0], now_ns)

    def stop(self) -> list[TagSeen | TagRefused]:
        """The port is gone: return the card that was being read, by what is known of it."""
        return self._seen()

    def data_to_send(self) -> bytes:
        """What is to be written now, once."""
        data, self._unsent = self._unsent, b""
        return data

    def next_due(self) -> int | None:
        """When to call `advance`; None before `start`."""
        return self._due_ns

    def advance(self, now_ns: int) -> list[TagSeen | TagRefused]:
        """Ask for the next card, or give up an answer that did not come; return a card that waited for one."""
        if self._due_ns is None or now_ns < self._due_ns:
            return []
        if not self._waiting:
            self._ask(_STEPS[self._step], now_ns)
            return []
        if now_ns < self._answer_ns:
            self._due_ns = self._answer_ns
            return self._seen()
        readings = self._seen()
        if self.answers or self._step:
            self._lose(now_ns)
        else:
            self.start(now_ns)
        return readings

    def receive_data(self, data: bytes, now_ns: int) -> list[TagSeen | TagRefused]:
        """Take what was read at `now_ns`, return the cards that came near."""
        self._near.expire(now_ns)
        readings: list[TagSeen | TagRefused] = []
        for said in self._frames.receive_data(data):
            if said is Said.AGAIN and self._waiting:
                self._ask(self._asked, now_ns)
            elif isinstance(said, bytes) and self._waiting:
                readings += self._answer(said, now_ns)
        return readings

    def _ask(self, what: bytes, now_ns: int) -> None:
        """Put a question."""
        self._unsent = (WAKE if what == SAM_CONFIGURATION else b"") + command(what)
        self._asked, self._waiting, self._answer_ns = what, True, now_ns + ANSWER_NS
        self._due_ns = self._answer_ns if self._card is None else min(self._answer_ns, self._card.until_ns)

    def _lose(self, now_ns: int) -> None:
        """It does not answer, or does not know what we say: wake it in a while."""
        self.answers, self._step, self._waiting, self._due_ns = False, 0, False, now_ns + REST_NS
        self._restarts += 1
        self._frames.forget()

    def _answer(self, body: bytes, now_ns: int) -> list[TagSeen | TagRefused]:
        if body == _SYNTAX_ERROR:
            readings = self._seen()
            self._lose(now_ns)
            return readings
        if len(body) < 2 or body[0] != _CHIP or body[1] != self._asked[0] + 1:
            return []  # the answer to something that was asked before
        self.answers, self._waiting, self._due_ns = True, False, now_ns + POLL_NS
        if self._asked[0] == _EXCHANGE:
            return self._memory(body[2:], now_ns)
        if self._asked == LIST_TARGETS:
            return self._targets(body[2:], now_ns)
        if self._asked == GET_FIRMWARE and len(body) >= 5:
            self.firmware = f"{body[3]}.{body[4]}"
        self._step += 1
        self._ask(_STEPS[self._step], now_ns)
        return []

    def _targets(self, answer: bytes, now_ns: int) -> list[TagSeen | TagRefused]:
        """The answer to LIST_TARGETS: how many, then number, ATQA (2), SAK, length, UID."""
        if not answer.startswith(b"\x01"):
            return []
        self._reads += 1
        uid = answer[6 : 6 + answer[5]] if len(answer) > 5 else b""
        if len(uid) not in _UID_OCTETS or len(uid) != answer[5] or not any(uid) or uid[0] == _CASCADE:
            self._bad_ids += 1
            return []
        tag, random = uid.hex().upper(), len(uid) == 4 and uid[0] == _RANDOM_ID
        near = "random" if random else tag  # it has a new number at each poll
        again = near in self._near
        self._near.note(near, now_ns)
        self._random_ids += random
        self._repeats += again
        if again:
            return []
        if random:
            return [TagRefused()]
        if answer[2:5] != TYPE_2:
            return [TagSeen(tag)]
        self._card = _Card(uid, now_ns + MEMORY_NS)
        self._ask(read_pages(0), now_ns)
        return []

    def _memory(self, answer: bytes, now_ns: int) -> list[TagSeen | TagRefused]:
        """The answer to READ: status (0: good), then four pages. A card that was told of already is read no further."""
        if self._card is None:
            return []
        self._near.note(self._card.uid.hex().upper(), now_ns)
        if len(answer) == 1 + READ_OCTETS and not answer[0] and self._card.read_on(answer[1:]):
            self._ask(read_pages(len(self._card.memory) // 4), now_ns)
            return []
        return self._seen()

    def _seen(self) -> list[TagSeen | TagRefused]:
        """The card whose memory is being read, once."""
        card, self._card = self._card, None
        if card is None:
            return []
        seen = card.seen
        self._memories += bool(seen.written)
        return [seen]
