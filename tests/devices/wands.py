"""A simulated patrol wand, made from the description and not from our reader."""

import struct
from typing import Final

from devices.wand import MOST_AT_ONCE, Frame, WandFrames

RECORD: Final = bytes.fromhex("0017 1A0B16081E0F 00 86F444")
"""Guard 23, 2026-11-22 08:30:15, place 86F444: constructed, in hexadecimal by hand."""


class Wand:
    """A wand as it is described: it answers one request after another, and forgets nothing before it is told."""

    def __init__(self, capacity: int, written: int, read: int, *, wrapped: bool = False, skips: set[int] | None = None):
        self.store = [capacity, written, read, wrapped]
        self.skips = skips or set()
        self.asked: list[int] = []
        self._frames = WandFrames()

    def answer(self, sent: bytes) -> bytes:
        return b"".join(self._reply(one).encode() for one in self._frames.receive_data(sent))

    def _reply(self, one: Frame) -> Frame:
        data = b""
        self.asked.append(one.command)
        if one.command == 0x01:
            data = struct.pack(">IIIB", *self.store) + bytes(7)
        elif one.command == 0x06:
            store, first, many = struct.unpack(">BII", one.data)
            assert store == 1
            assert many <= MOST_AT_ONCE
            serials = [serial for serial in range(first, first + many) if serial not in self.skips]
            self.skips -= {*range(first, first + many)}
            data = struct.pack(">I", len(serials)) + b"".join(struct.pack(">I", one) + RECORD for one in serials)
        else:
            self.store[2] = struct.unpack(">BI", one.data)[1]
        return Frame(one.address, one.code, one.group + 0x30, one.command, data)
