"""Secrets that people and machines prove themselves by; the one door to pwdlib and pyotp.

Passwords and PINs are few bits that people choose: Argon2id, whose parameters were measured on two cores
(docs/adr/0010). Tokens, cookies and recovery codes are 80 bits and more of our own making: one SHA-256 is enough.
"""

import base64
import hmac
import threading
from hashlib import sha256
from typing import Final

import pyotp
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

MEMORY_KIB: Final = 19_456
ROUNDS: Final = 3
LANES: Final = 1
AT_ONCE: Final = 2
"""How many are reckoned at the same time: a rush of wrong passwords takes no more memory than this many."""

SALT: Final = 22
DIGEST: Final = 43
"""Characters of these in what is kept: 16 and 32 octets in base64."""

QUEUE: Final = 8

STEP_S: Final = 30
DRIFT: Final = 1
"""A code of the step before or after is taken too: telephones go wrong by some seconds."""

TOKEN_BYTES: Final = 32


class Passwords:
    """Argon2id. Thread-safe. Whoever names another cost is a test."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, rounds: int = ROUNDS) -> None:
        self._hasher = Argon2Hasher(memory_cost=memory_kib, time_cost=rounds, parallelism=LANES)
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        # In the form of a password that is kept, and of the same cost; what it is the digest of, nobody knows.
        self._nobodys = f"$argon2id$v=19$m={memory_kib},t={rounds},p={LANES}${'A' * SALT}${'A' * DIGEST}"
        self._waiting = 0

    @property
    def crowded(self) -> bool:
        """Whether so many wait for their turn that one more would keep requests of other kinds from theirs."""
        return self._waiting >= QUEUE

    def hash(self, secret: str) -> str:
        """What is kept of a password or PIN."""
        with self._turns:
            return self._hasher.hash(secret)

    def fits(self, secret: str, kept: str | None) -> bool:
        """Whether it is the one. Without a `kept` one it is not, and takes as long."""
        self._waiting += 1  # near enough: it is only a brake
        with self._turns:
            self._waiting -= 1
            try:
                good = self._hasher.verify(secret, kept or self._nobodys)
            except PwdlibError:
                good = False
        return good and kept is not None


def digest(token: str) -> str:
    """What is kept of a token or cookie."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token(random: bytes) -> str:
    """`random` as a token: letters, digits, `-` and `_`."""
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def readable(random: bytes) -> str:
    """`random` as letters and digits that are not mistaken for one another, in groups of five."""
    text = base64.b32encode(random).decode().rstrip("=").translate(str.maketrans("IO", "89"))
    return "-".join(text[at : at + 5] for at in range(0, len(text), 5))


def csrf(cookie: str) -> str:
    """What an unsafe request with this cookie carries in its header, and nobody can make who has no cookie."""
    return hmac.new(cookie.encode("utf-8", "surrogatepass"), b"shouwang csrf", sha256).hexdigest()


def new_totp(random: bytes) -> str:
    """A secret for a second factor, as authenticator apps take it."""
    return base64.b32encode(random).decode().rstrip("=")


def totp_address(secret: str, *, login: str, issuer: str) -> str:
    """The address behind the QR code that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)


def totp_step(secret: str, code: str, *, at_ms: int, after: int) -> int | None:
    """The time step of which `code` is the code, if it is later than step `after`; None: the code is wrong or used."""
    now = at_ms // 1_000 // STEP_S
    maker = pyotp.TOTP(secret)
    found = [
        step
        for step in range(now - DRIFT, now + DRIFT + 1)
        if hmac.compare_digest(maker.generate_otp(step).encode(), code.encode("utf-8", "surrogatepass"))
    ]
    later = [step for step in found if step > after]
    return later[0] if later else None
