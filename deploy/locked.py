r"""A stream that only whoever knows a passphrase can read, and in which nobody can change, swap or leave out a piece.

scrypt makes a key of the passphrase; the stream goes in pieces of 64 KiB, each sealed by AES-256-GCM under a nonce that
counts and says which piece is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar, 2015, as in
age). The head (magic, salt, cost) is bound to every piece. Nothing is believed before its piece was opened whole.

Format: 8 octets `SWLOCK1\n`, 16 of salt, 1 of log2(N), then pieces of 65,536 + 16 octets, the last one shorter.

LockedError     wrong passphrase, or the file was changed or cut short
"""

import io
from collections.abc import Callable
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC: Final = b"SWLOCK1\n"
SALT_BYTES: Final = 16
COST: Final = 15
"""log2 of scrypt's N: 32 MiB and 0.1 s on a laptop, a second on a Pi."""
COST_MOST: Final = 20
PIECE: Final = 65_536
TAG_BYTES: Final = 16
LEAST_CHARS: Final = 12
"""Of a passphrase: whoever has the file may try as long as he likes."""


class LockedError(Exception):
    """It cannot be opened."""


class Locking(io.RawIOBase):
    """Writes what is written to it, sealed, to `to`. `close` writes the last piece; `to` stays open."""

    def __init__(
        self, to: IO[bytes], passphrase: str, *, random_bytes: Callable[[int], bytes], cost: int = COST
    ) -> None:
        salt = random_bytes(SALT_BYTES)
        self._head = MAGIC + salt + bytes([cost])
        self._cipher = AESGCM(_key(passphrase, salt, cost))
        self._to = to
        self._rest = bytearray()
        self._number = 0
        to.write(self._head)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Take octets; whole pieces go out, the last one is kept back until it is known to be the last."""
        more = bytes(data)  # type: ignore[call-overload] # whatever a file takes
        self._rest += more
        while len(self._rest) > PIECE:
            self._seal(bytes(self._rest[:PIECE]), last=False)
            del self._rest[:PIECE]
        return len(more)

    def close(self) -> None:
        """Seal what is left as the last piece."""
        if not self.closed:
            self._seal(bytes(self._rest), last=True)
        super().close()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        self._to.write(self._cipher.encrypt(_nonce(self._number, last=last), piece, self._head))
        self._number += 1


class Unlocking(io.RawIOBase):
    """Reads what `Locking` wrote to `source`. Raises LockedError, also when it ends too early."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        head = source.read(len(MAGIC) + SALT_BYTES + 1)
        if len(head) != len(MAGIC) + SALT_BYTES + 1 or not head.startswith(MAGIC) or head[-1] > COST_MOST:
            raise LockedError("this is no locked backup")
        self._head = head
        self._cipher = AESGCM(_key(passphrase, head[len(MAGIC) : -1], head[-1]))
        self._source = source
        self._piece = source.read(PIECE + TAG_BYTES)
        self._number = 0
        self._open = bytearray()
        self._next()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give what was opened; 0 only after the last piece."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type] # whatever a file gives
        while not self._open and self._piece:
            self._next()
        count = min(len(view), len(self._open))
        view[:count] = self._open[:count]
        del self._open[:count]
        return count

    def _next(self) -> None:
        following = self._source.read(PIECE + TAG_BYTES) if len(self._piece) == PIECE + TAG_BYTES else b""
        try:
            opened = self._cipher.decrypt(_nonce(self._number, last=not following), self._piece, self._head)
        except InvalidTag:
            if self._number == 0:
                raise LockedError("another passphrase, or the file was changed") from None
            raise LockedError("the file was changed or cut short") from None
        self._open += opened
        self._number += 1
        self._piece = following


def is_locked(source: IO[bytes]) -> bool:
    """Whether a file that can be sought begins as a locked one; it is where it was afterwards."""
    at = source.tell()
    found = source.read(len(MAGIC)) == MAGIC
    source.seek(at)
    return found


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << cost, r=8, p=1).derive(passphrase.encode())


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
