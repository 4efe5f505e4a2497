"""A process that checks signatures and does nothing else, so that half of that work is on the machine's other core.

It imports as little as it can (20 MiB). On its standard input come claims, any number at a time: a count, then for each
the public key (32 octets), the signature (64), a length and the octets that were signed; all numbers are 32 bits, the
highest octet first. It answers with as many octets, 1 for each claim that is true. It ends when its input does.
"""

import sys
from collections.abc import Sequence
from struct import Struct
from typing import BinaryIO, Final

from broker.ed25519 import KEY_BYTES, SIGNATURE_BYTES, Claim, check

NUMBER: Final = Struct(">I")


def may_pack(claims: Sequence[Claim]) -> bool:
    """Whether every key and every signature has its length, on which the form relies."""
    return all(len(one.key) == KEY_BYTES and len(one.signature) == SIGNATURE_BYTES for one in claims)


def pack(claims: Sequence[Claim]) -> bytes:
    """Claims as they are asked."""
    parts = [NUMBER.pack(len(claims))]
    for key, signature, signed in claims:
        parts += key, signature, NUMBER.pack(len(signed)), signed
    return b"".join(parts)


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there is nothing more to read."""

    def number() -> int:
        found: int = NUMBER.unpack(asked.read(NUMBER.size))[0]
        return found

    while asked.peek(1):  # type: ignore[attr-defined] # what standard input is
        claims = [
            Claim(asked.read(KEY_BYTES), asked.read(SIGNATURE_BYTES), asked.read(number())) for _ in range(number())
        ]
        answers.write(bytes(check(claims)))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
