"""Makes link-frames.hex from the written specification alone (docs/link.md): run it and compare.

    python tests/vectors/make_link_frames.py > tests/vectors/link-frames.hex

It imports nothing of this project and no library for CCM, COBS or CRC. AES comes from `openssl enc -aes-128-ecb`, one
block at a time; CBC-MAC, counter mode, byte stuffing and the check sum are written out here, slowly and plainly.
"""

import json
import subprocess
import sys
from typing import Any

KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")

# Everything that can be said, once or more, as (direction, unit, counter, what).
MESSAGES: list[tuple[str, int, int, dict[str, Any]]] = [
    ("up", 0x0102, 0x0005_0001, {"says": "hello", "number": 1, "firmware": 0x0103, "reason": 1, "floor": 0x0100}),
    ("up", 0x0102, 0x0005_0002, {"says": "press", "number": 2, "key": 1, "age_tenths": 0}),
    ("up", 0x0102, 0x0005_0003, {"says": "press", "number": 2, "key": 1, "age_tenths": 6}),
    ("up", 0x0102, 0x0005_0004, {"says": "ended", "number": 3, "press": 2, "held_tenths": 14}),
    ("up", 0x0102, 0x0005_0005, {"says": "cancel", "number": 4, "press": 2}),
    ("up", 0xFFEF, 0x0001_FFFF, {"says": "answer", "number": 65535, "answer": 1, "alarm": 0x00A7}),
    ("up", 0xFFEF, 0xFFFF_0001, {"says": "sounded", "counter": 0x8000_0001, "pattern": 2, "works": 1}),
    ("up", 0x0001, 0x0001_0001, {"says": "tag", "number": 9, "age_tenths": 0, "tag": "62E3086CED"}),
    ("up", 0x0001, 0x0001_0002, {"says": "tag", "number": 10, "age_tenths": 65535, "tag": "0400112233445566778A"}),
    ("up", 0x0102, 0x0005_0006, {
        "says": "heartbeat", "number": 5, "battery": 255, "flags": 1, "firmware": 0x0103, "floor": 0x0100,
    }),
    ("up", 0x0102, 0x0005_0007, {
        "says": "heartbeat", "number": 6, "battery": 87, "flags": 6, "firmware": 0x0103, "floor": 0x0100,
    }),
    ("up", 0x0102, 0x0005_0008, {"says": "failed", "number": 7, "part": 1}),
    ("up", 0x0102, 0x0005_0009, {"says": "restored", "number": 8, "part": 1}),
    ("up", 0x0102, 0x0005_000A, {"says": "test", "number": 9}),
    ("up", 0x0102, 0x0005_000B, {"says": "done", "counter": 0x0101, "result": 0, "floor": 0x0101}),
    ("up", 0x0102, 0x0005_000C, {"says": "proof", "nonce": "0011223344556677"}),
    ("up", 0x0102, 0x0005_000D, {"says": "press", "number": 10, "key": 6, "age_tenths": 0}),
    ("down", 0x0102, 0x0000_0101, {"says": "kept", "boot": 5, "number": 2, "lamp": 1}),
    ("down", 0x0102, 0x0000_0102, {"says": "lamp", "lamp": 2}),
    ("down", 0x0102, 0x0000_0103, {
        "says": "siren", "pattern": 2, "volume": 3, "flags": 1, "seconds": 180, "alarm": 0x00A7, "doors": [101],
    }),
    ("down", 0xFFEF, 0xFFFF_FFFF, {
        "says": "siren", "pattern": 1, "volume": 0, "flags": 6, "seconds": 60, "alarm": 0x00A8,
        "doors": [104, 103, 102, 101],
    }),
    ("down", 0x0102, 0x0000_0104, {"says": "stop"}),
    ("down", 0x0102, 0x0000_0105, {"says": "time", "unix_s": 1_763_769_600}),
    ("down", 0x0102, 0x0000_0106, {"says": "challenge", "nonce": "0011223344556677"}),
    ("down", 0x0102, 0x0000_0107, {"says": "key_half", "key_id": 1, "half": 0, "material": "F0F1F2F3F4F5F6F7"}),
    ("down", 0x0102, 0x0000_0108, {"says": "key_half", "key_id": 1, "half": 1, "material": "F8F9FAFBFCFDFEFF"}),
]  # fmt: skip

# Field by field, width in bytes, in the order in which they stand in the body.
BODIES: dict[str, tuple[int, list[tuple[str, int]]]] = {
    "hello": (0x01, [("number", 2), ("firmware", 2), ("reason", 1), ("floor", 4)]),
    "press": (0x02, [("number", 2), ("key", 1), ("age_tenths", 2)]),
    "ended": (0x03, [("number", 2), ("press", 2), ("held_tenths", 2)]),
    "cancel": (0x04, [("number", 2), ("press", 2)]),
    "answer": (0x05, [("number", 2), ("answer", 1), ("alarm", 2)]),
    "sounded": (0x06, [("counter", 4), ("pattern", 1), ("works", 1)]),
    "tag": (0x07, [("number", 2), ("age_tenths", 2), ("length", 1), ("tag", 10)]),
    "heartbeat": (0x08, [("number", 2), ("battery", 1), ("flags", 1), ("firmware", 2), ("floor", 4)]),
    "failed": (0x09, [("number", 2), ("part", 1)]),
    "restored": (0x0A, [("number", 2), ("part", 1)]),
    "test": (0x0B, [("number", 2)]),
    "done": (0x0C, [("counter", 4), ("result", 1), ("floor", 4)]),
    "proof": (0x0D, [("nonce", 8)]),
    "kept": (0x81, [("boot", 2), ("number", 2), ("lamp", 1)]),
    "lamp": (0x82, [("lamp", 1)]),
    "siren": (0x83, [
        ("pattern", 1), ("volume", 1), ("flags", 1), ("seconds", 1), ("alarm", 2), ("doors_named", 1),
        ("door_0", 2), ("door_1", 2), ("door_2", 2), ("door_3", 2),
    ]),
    "stop": (0x84, []),
    "time": (0x85, [("unix_s", 4)]),
    "challenge": (0x86, [("nonce", 8)]),
    "key_half": (0x87, [("key_id", 1), ("half", 1), ("material", 8)]),
}  # fmt: skip


def aes(block: bytes) -> bytes:
    command = ["openssl", "enc", "-aes-128-ecb", "-nopad", "-K", KEY.hex()]
    return subprocess.run(command, input=block, capture_output=True, check=True).stdout


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


def ccm(nonce: bytes, associated: bytes, body: bytes) -> bytes:
    """RFC 3610 with M = 8 (tag bytes) and L = 8 (length bytes): return ciphertext and tag."""
    first = bytes([0x40 | (8 - 2) // 2 << 3 | 8 - 1]) + nonce + len(body).to_bytes(8, "big")
    prefixed = len(associated).to_bytes(2, "big") + associated
    blocks = first + prefixed + bytes(-len(prefixed) % 16) + body + bytes(-len(body) % 16)
    mac = bytes(16)
    for start in range(0, len(blocks), 16):
        mac = aes(xor(mac, blocks[start : start + 16]))
    stream = [aes(bytes([8 - 1]) + nonce + number.to_bytes(8, "big")) for number in (0, 1)]
    return xor(body, stream[1]) + xor(mac, stream[0])[:8]


def crc16(data: bytes) -> int:
    """CRC-16/IBM-3740: polynomial 0x1021, start 0xFFFF, nothing reflected, nothing added."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def cobs(data: bytes) -> bytes:
    """For less than 254 bytes: each run of bytes that are not zero, behind its length and one."""
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\x00"))


def body_of(what: dict[str, Any]) -> bytes:
    code, fields = BODIES[what["says"]]
    values = dict(what)
    if "tag" in values:
        values["length"] = len(values["tag"]) // 2
        values["tag"] = values["tag"].ljust(20, "0")
    if "doors" in values:
        values["doors_named"] = len(values["doors"])
        for place in range(4):
            values[f"door_{place}"] = values["doors"][place] if place < len(values["doors"]) else 0
    body = bytes([code])
    for name, width in fields:
        value = values[name]
        body += bytes.fromhex(value) if isinstance(value, str) else value.to_bytes(width, "big")
    return body + bytes(16 - len(body))


def frame_of(direction: str, unit: int, counter: int, what: dict[str, Any]) -> bytes:
    header = bytes([0x11 if direction == "down" else 0x10]) + unit.to_bytes(2, "big") + counter.to_bytes(4, "big")
    content = header + ccm(header, header, body_of(what))
    return b"\x00" + cobs(content + crc16(content).to_bytes(2, "big")) + b"\x00"


def main() -> None:
    write = sys.stdout.write
    write(
        "# Whole frames of the native link, delimiters included = header, and the 16 bytes of body that are sealed.\n"
    )
    write(f"# The key of every unit is {KEY.hex().upper()} (the example key of FIPS 197).\n\n")
    write(
        "# source: tests/vectors/make_link_frames.py: docs/link.md and the openssl command, nothing of this project\n"
    )
    for direction, unit, counter, what in MESSAGES:
        told = {
            "direction": direction,
            "unit": unit,
            "counter": counter,
            "body": body_of(what).hex().upper(),
            "told": what,
        }
        write(f"{frame_of(direction, unit, counter, what).hex(' ').upper()} = {json.dumps(told)}\n")


if __name__ == "__main__":
    main()
