"""The native one-key frame: a header in the clear, a sealed body of one length for all purposes.

Source: docs/link.md, "Frame" and "Bodies". Numbers are big-endian. Content of a frame, 31 bytes::

    0       version (high four bits, 1) and direction (low four bits: 0 up, 1 down)
    1..2    unit address, 1 to 0xFFEF
    3..6    counter: up, boot number and frame number; down, one 32-bit number
    7..22   sealed body: type, then 15 bytes, unused ones zero
    23..30  tag

Nobody outside a unit and its gateway can tell a press from a heartbeat: same length, same answer,
same repeats.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import assert_never

from devices.commands import (
    MOST_DOORS,
    Challenge,
    Command,
    Kept,
    KeyHalf,
    Lamp,
    Pattern,
    SetTime,
    ShowLamp,
    Siren,
    Stop,
)
from devices.framing import CRC_BYTES, Deframer, enclose
from devices.readings import (
    AnswerGiven,
    ButtonPressed,
    CancelPressed,
    CommandDone,
    Confirmation,
    FreshProof,
    Heartbeat,
    NotUnderstood,
    Numbered,
    PartFailed,
    PartRestored,
    PressEnded,
    Proof,
    Sounded,
    TagRead,
    TestPressed,
    UnitHello,
)
from devices.sealing import TAG_BYTES, Seal

VERSION = 1
UP = 0
DOWN = 1
BODY_BYTES = 16
HEADER = struct.Struct(">BHI")
CONTENT_BYTES = HEADER.size + BODY_BYTES + TAG_BYTES
FRAME_BYTES = 1 + 1 + CONTENT_BYTES + CRC_BYTES + 1
"""On the wire: delimiter, COBS code byte, content, CRC, delimiter. 36 bytes."""

LAST_ADDRESS = 0xFFEF
"""Above are reserved addresses; 0 is one too. There is no broadcast: see docs/link.md."""

MOST_TENTHS = 0xFFFF
TAG_ROOM = 10

_HELLO = struct.Struct(">HHBI")
_PRESS = struct.Struct(">HBH")
_ENDED = struct.Struct(">HHH")
_PAIR = struct.Struct(">HH")
_ANSWER = struct.Struct(">HBH")
_SOUNDED = struct.Struct(">IBB")
_TAG = struct.Struct(">HHB10s")
_HEARTBEAT = struct.Struct(">HBBHI")
_PART = struct.Struct(">HB")
_NUMBER = struct.Struct(">H")
_DONE = struct.Struct(">IBI")
_KEPT = struct.Struct(">HHB")
_SIREN = struct.Struct(">BBBBHB4H")
_TIME = struct.Struct(">I")
_KEY = struct.Struct(">BB8s")

_OWN, _STROBE, _STAND_BACK = 1, 2, 4
_MAINS, _COVER, _SOUNDER = 1, 2, 4
_FULL_BATTERY = 100
_NO_BATTERY = 0xFF


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a frame that everybody on the line can read."""

    direction: int
    unit: int
    counter: int

    @property
    def boot(self) -> int:
        """Boot number of an uplink counter."""
        return self.counter >> 16


def new_deframer() -> Deframer:
    """Return a deframer for frames of this link."""
    return Deframer(CONTENT_BYTES)


def split_content(content: bytes) -> tuple[Header, bytes, bytes] | None:
    """Return header, header bytes and sealed body; None if version, direction or address is foreign."""
    first, unit, counter = HEADER.unpack_from(content)
    if first >> 4 != VERSION or first & 0x0F > DOWN or not 1 <= unit <= LAST_ADDRESS:
        return None
    return Header(first & 0x0F, unit, counter), content[: HEADER.size], content[HEADER.size :]


def build_frame(seal: Seal, direction: int, unit: int, counter: int, body: bytes) -> bytes:
    """Return the wire bytes of one frame. A (direction, unit, counter) must never come twice."""
    header = HEADER.pack(VERSION << 4 | direction, unit, counter)
    return enclose(header + seal.close(header, body))


def _body(kind: int, payload: bytes) -> bytes:
    return bytes([kind]) + payload.ljust(BODY_BYTES - 1, b"\x00")


def _tenths(milliseconds: int) -> int:
    return min(max(milliseconds, 0) // 100, MOST_TENTHS)


def encode_uplink(message: Numbered | Confirmation) -> bytes:
    """Return the 16-byte body of what a unit says."""
    match message:
        case UnitHello(number=number, firmware=firmware, reason=reason, floor=floor):
            return _body(0x01, _HELLO.pack(number, firmware, reason, floor))
        case ButtonPressed(number=number, key=key, age_ms=age_ms):
            return _body(0x02, _PRESS.pack(number, key, _tenths(age_ms)))
        case PressEnded(number=number, press=press, held_ms=held_ms):
            return _body(0x03, _ENDED.pack(number, press, _tenths(held_ms)))
        case CancelPressed(number=number, press=press):
            return _body(0x04, _PAIR.pack(number, press))
        case AnswerGiven(number=number, answer=answer, alarm=alarm):
            return _body(0x05, _ANSWER.pack(number, answer, alarm))
        case Sounded(counter=counter, pattern=pattern, works=works):
            return _body(0x06, _SOUNDED.pack(counter, pattern, works))
        case TagRead(number=number, tag=tag, age_ms=age_ms):
            identity = bytes.fromhex(tag)
            if not 1 <= len(identity) <= TAG_ROOM:
                raise ValueError(f"a tag has 1 to {TAG_ROOM} bytes, this one has {len(identity)}")
            return _body(0x07, _TAG.pack(number, _tenths(age_ms), len(identity), identity))
        case Heartbeat(number=number, battery=battery, mains=mains, firmware=firmware, floor=floor):
            flags = _MAINS * mains | _COVER * message.cover_open | _SOUNDER * message.sounder_broken
            level = _NO_BATTERY if battery is None else battery
            return _body(0x08, _HEARTBEAT.pack(number, level, flags, firmware, floor))
        case PartFailed(number=number, part=part):
            return _body(0x09, _PART.pack(number, part))
        case PartRestored(number=number, part=part):
            return _body(0x0A, _PART.pack(number, part))
        case TestPressed(number=number):
            return _body(0x0B, _NUMBER.pack(number))
        case CommandDone(counter=counter, result=result, floor=floor):
            return _body(0x0C, _DONE.pack(counter, result, floor))
        case FreshProof(nonce=nonce):
            return _body(0x0D, nonce)
        case _:
            assert_never(message)


def decode_uplink(body: bytes, unit: int, boot: int, proof: Proof) -> Numbered | Confirmation | NotUnderstood:
    """Return what a unit said; a body that no version-1 unit sends is `NotUnderstood`.

    Bytes behind the fields of a type are ignored, so that a later firmware may add to them.
    """
    payload = body[1:]
    match body[0]:
        case 0x01:
            number, firmware, reason, floor = _HELLO.unpack_from(payload)
            return UnitHello(unit, boot, number, firmware, reason, floor, proof)
        case 0x02:
            number, key, age = _PRESS.unpack_from(payload)
            return ButtonPressed(unit, boot, number, key, age * 100, proof)
        case 0x03:
            number, press, held = _ENDED.unpack_from(payload)
            return PressEnded(unit, boot, number, press, held * 100, proof)
        case 0x04:
            number, press = _PAIR.unpack_from(payload)
            return CancelPressed(unit, boot, number, press, proof)
        case 0x05:
            number, answer, alarm = _ANSWER.unpack_from(payload)
            return AnswerGiven(unit, boot, number, answer, alarm, proof)
        case 0x06:
            counter, pattern, works = _SOUNDED.unpack_from(payload)
            return Sounded(unit, counter, pattern, works == 1)
        case 0x07:
            number, age, length, identity = _TAG.unpack_from(payload)
            if not 1 <= length <= TAG_ROOM:
                return NotUnderstood(unit, body[0])
            return TagRead(unit, boot, number, identity[:length].hex().upper(), age * 100, proof)
        case 0x08:
            number, level, flags, firmware, floor = _HEARTBEAT.unpack_from(payload)
            battery = level if level <= _FULL_BATTERY else None
            mains, cover, sounder = (bool(flags & bit) for bit in (_MAINS, _COVER, _SOUNDER))
            return Heartbeat(unit, boot, number, battery, mains, cover, sounder, firmware, floor, proof)
        case 0x09:
            number, part = _PART.unpack_from(payload)
            return PartFailed(unit, boot, number, part, proof)
        case 0x0A:
            number, part = _PART.unpack_from(payload)
            return PartRestored(unit, boot, number, part, proof)
        case 0x0B:
            (number,) = _NUMBER.unpack_from(payload)
            return TestPressed(unit, boot, number, proof)
        case 0x0C:
            counter, result, floor = _DONE.unpack_from(payload)
            return CommandDone(unit, counter, result, floor)
        case 0x0D:
            return FreshProof(unit, boot, payload[:8])
        case unknown:
            return NotUnderstood(unit, unknown)


def encode_downlink(command: Command) -> bytes:
    """Return the 16-byte body of what the gateway says."""
    match command:
        case Kept(boot=boot, number=number, lamp=lamp):
            return _body(0x81, _KEPT.pack(boot, number, lamp))
        case ShowLamp(lamp=lamp):
            return _body(0x82, bytes([lamp]))
        case Siren(pattern=pattern, volume=volume, seconds=seconds, alarm=alarm, doors=doors):
            flags = _OWN * command.own | _STROBE * command.strobe | _STAND_BACK * command.stand_back
            named = doors[:MOST_DOORS]
            padded = (*named, *(0,) * (MOST_DOORS - len(named)))
            return _body(0x83, _SIREN.pack(pattern, volume, flags, seconds, alarm, len(named), *padded))
        case Stop():
            return _body(0x84, b"")
        case SetTime(unix_s=unix_s):
            return _body(0x85, _TIME.pack(unix_s))
        case Challenge(nonce=nonce):
            return _body(0x86, nonce)
        case KeyHalf(key_id=key_id, half=half, material=material):
            return _body(0x87, _KEY.pack(key_id, half, material))
        case _:
            assert_never(command)


def decode_downlink(body: bytes) -> Command | None:
    """Return what the gateway said; None for a type or value that this unit does not know."""
    payload = body[1:]
    try:
        match body[0]:
            case 0x81:
                boot, number, lamp = _KEPT.unpack_from(payload)
                return Kept(boot, number, Lamp(lamp))
            case 0x82:
                return ShowLamp(Lamp(payload[0]))
            case 0x83:
                pattern, volume, flags, seconds, alarm, count, *doors = _SIREN.unpack_from(payload)
                own, strobe, stand_back = (bool(flags & bit) for bit in (_OWN, _STROBE, _STAND_BACK))
                named = tuple(doors[:count])
                return Siren(Pattern(pattern), volume, seconds, alarm, named, own, strobe, stand_back)
            case 0x84:
                return Stop()
            case 0x85:
                (unix_s,) = _TIME.unpack_from(payload)
                return SetTime(unix_s)
            case 0x86:
                return Challenge(payload[:8])
            case 0x87:
                key_id, half, material = _KEY.unpack_from(payload)
                return KeyHalf(key_id, half, material) if half <= 1 else None
            case _:
                return None
    except ValueError:
        return None  # a lamp or pattern of a later version
