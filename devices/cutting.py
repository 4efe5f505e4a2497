"""Cuts frames out of a stream that has neither lengths nor escapes, only a recognisable shape.

A shape is a row of byte sets: the first byte of a frame is in the first set, the second in the
second. What fills one shape must not begin another: then a frame is whole as soon as it fills one.
"""

from __future__ import annotations

Shape = tuple[bytes, ...]

ANY = bytes(range(256))
HEX = b"0123456789ABCDEFabcdef"

_LINE_ENDS = b"\r\n"
_TEXT = range(0x20, 0x7F)


class ShapeCutter:
    """Yields what fills a shape; every other byte is one count in `noise_bytes`.

    A run of bytes that stops fitting costs only its first byte: the next frame may begin inside it.
    Never holds more than one frame.
    """

    def __init__(self, *shapes: Shape) -> None:
        self._shapes = shapes
        self._partial = bytearray()
        self.noise_bytes = 0

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what was read, return every frame that it completes."""
        frames: list[bytes] = []
        for byte in data:
            self._partial.append(byte)
            frames += self._settle()
        return frames

    def forget(self) -> None:
        """Give up the unfinished frame: what comes next belongs to another one."""
        self.noise_bytes += len(self._partial)
        self._partial.clear()

    def _settle(self) -> list[bytes]:
        frames: list[bytes] = []
        while self._partial:
            fitting = [shape for shape in self._shapes if self._fits(shape)]
            if not fitting:
                del self._partial[0]
                self.noise_bytes += 1
            elif len(fitting[0]) <= len(self._partial):
                frames.append(bytes(self._partial[: len(fitting[0])]))
                del self._partial[: len(fitting[0])]
            else:
                break
        return frames

    def _fits(self, shape: Shape) -> bool:
        return all(byte in allowed for byte, allowed in zip(self._partial, shape, strict=False))


class LineCutter:
    """Yields printable lines, without their ends; control and eight-bit bytes begin the line anew.

    A line longer than `most` is dropped up to its end. What is not in a line counts in `noise_bytes`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._partial = bytearray()
        self._overlong = False
        self.noise_bytes = 0

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take what was read, return every line that it completes; empty lines are none."""
        lines: list[bytes] = []
        for byte in data:
            if byte in _LINE_ENDS:
                if self._partial:
                    lines.append(bytes(self._partial))
                self._partial.clear()
                self._overlong = False
            elif byte not in _TEXT:
                self.noise_bytes += 1
                self.forget()
            elif self._overlong:
                self.noise_bytes += 1
            else:
                self._extend(byte)
        return lines

    def forget(self) -> None:
        """Give up the unfinished line: what comes next belongs to another one."""
        self.noise_bytes += len(self._partial)
        self._partial.clear()
        self._overlong = False

    def _extend(self, byte: int) -> None:
        self._partial.append(byte)
        if len(self._partial) > self._most:
            self.forget()
            self._overlong = True
