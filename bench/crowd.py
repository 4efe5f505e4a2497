"""All units of a line as far as the benchmark needs them: frames sealed in advance, and sirens confirmed.

They do not wait for their turn and repeat nothing: what they say arrives, since there is no wire here to collide on.

Presses are sealed under one boot number and confirmations under the one before it, each with frame numbers of its own:
a press that was sealed in advance is still new when it is written, whatever was confirmed meanwhile. (The gateway wants
no new counter of a confirmation: it names one of the gateway's.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.commands import Kept, Result, ShowLamp, Siren, Stop
from devices.frames import DOWN, UP, build_frame, decode_downlink, encode_uplink, new_deframer, split_content
from devices.readings import ButtonPressed, CommandDone, Key, Numbered, Proof, Sounded, TagRead
from devices.sealing import Seal


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame ready to be written, and the key of the message that is in it."""

    unit: str
    boot: int
    number: int
    frame: bytes

    @property
    def key(self) -> str:
        """How messages name it."""
        return f"{self.unit}:{self.boot}:{self.number}"


@dataclass(slots=True)
class _Voice:
    name: str
    address: int
    seal: Seal
    boot: int = 0
    frame: int = 0
    number: int = 0
    confirmed: int = 0


@dataclass(slots=True)
class Heard:
    """What the gateway told the units, and when it was on the line (monotonic ns)."""

    kept: dict[str, int] = field(default_factory=dict)
    """First answer to each message, by its key."""
    sirens: list[tuple[int, str, Siren]] = field(default_factory=list)


class Crowd:
    """The units of one line. Give `hear` to the `Terminal`; what they press may come from another thread."""

    def __init__(self, keys: Mapping[str, bytes], *, confirm: bool = True) -> None:
        """`keys` are the units' own, the first one's address is 1; `confirm`: answer sirens and lamps."""
        self._voices = {name: _Voice(name, address, Seal(key)) for address, (name, key) in enumerate(keys.items(), 1)}
        self._by_address = {voice.address: voice for voice in self._voices.values()}
        self._deframer = new_deframer()
        self._confirm = confirm
        self.heard = Heard()
        self.power_up()

    def power_up(self) -> None:
        """Every unit begins to count anew with a higher boot number."""
        for voice in self._voices.values():
            voice.boot += 2
            voice.frame = voice.number = voice.confirmed = 0

    def press(self, unit: str, key: Key = Key.PANIC) -> Prepared:
        """The frame that tells of a key."""
        voice = self._next(unit)
        return self._say(voice, ButtonPressed(voice.address, voice.boot, voice.number, key, 0, Proof.SEALED))

    def check_in(self, unit: str) -> Prepared:
        """The frame that tells of a guard's tag; the tag's digits are the message's number."""
        voice = self._next(unit)
        tag = f"{voice.number:010X}"
        return self._say(voice, TagRead(voice.address, voice.boot, voice.number, tag, 0, Proof.SEALED))

    def hear(self, data: bytes, at_ns: int) -> bytes:
        """Take what the gateway says; return the confirmations that it waits for."""
        said = bytearray()
        for content in self._deframer.receive_data(data):
            split = split_content(content)
            if split is None or split[0].direction != DOWN:
                continue
            header, header_bytes, sealed = split
            voice = self._by_address[header.unit]
            body = voice.seal.open(header_bytes, sealed)
            assert body is not None
            said += self._obey(voice, header.counter, body, at_ns)
        return bytes(said)

    def _obey(self, voice: _Voice, counter: int, body: bytes, at_ns: int) -> bytes:
        answer: Sounded | CommandDone
        match decode_downlink(body):
            case Kept(boot=boot, number=number):
                self.heard.kept.setdefault(f"{voice.name}:{boot}:{number}", at_ns)
                return b""
            case Siren(pattern=pattern) as siren:
                self.heard.sirens.append((at_ns, voice.name, siren))
                answer = Sounded(voice.address, counter, pattern, works=True)
            case ShowLamp() | Stop():
                answer = CommandDone(voice.address, counter, Result.DONE, counter)
            case _:
                return b""
        if not self._confirm:
            return b""
        voice.confirmed += 1
        return _sealed(voice, voice.boot - 1, voice.confirmed, encode_uplink(answer))

    def _next(self, unit: str) -> _Voice:
        voice = self._voices[unit]
        voice.number += 1
        return voice

    @staticmethod
    def _say(voice: _Voice, message: Numbered) -> Prepared:
        voice.frame += 1
        frame = _sealed(voice, voice.boot, voice.frame, encode_uplink(message))
        return Prepared(voice.name, voice.boot, voice.number, frame)


def _sealed(voice: _Voice, boot: int, number: int, body: bytes) -> bytes:
    return build_frame(voice.seal, UP, voice.address, boot << 16 | number, body)
