"""Whom the gateway believes by TLS, also while its own clock is wrong.

Theory. A box without a battery clock wakes up in 1970, or in the hour in which it was switched off, and to it every
certificate that was signed since lies in the future. Its alarms must not wait for the time (N6). So where a certificate
is refused because it does not count *yet*, and nothing keeps this clock right, it is asked for all but the time: the
authority, the name and the use still have to be right, and what is said is signed as well. A certificate that has ended
is refused always: a clock that is behind makes none end.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NOT_YET_VALID: Final = 9
"""X509_V_ERR_CERT_NOT_YET_VALID (x509_vfy.h)."""
NO_CHECK_TIME: Final = 0x20_0000
"""X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h); the standard library has no name for it, and hands it on."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Our own certificate and its key, where the other side wants to see one."""

    certificate: Path
    key: Path


def believing(ca: Path | None, *, any_time: bool = False, own: Identity | None = None) -> ssl.SSLContext:
    """A context for TLS 1.2 and later, which checks names. `ca` None: the authorities that this machine trusts.

    `own` is shown to whoever asks for it. Raises OSError.
    """
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if own is not None:
        context.load_cert_chain(own.certificate, own.key, password=_no_passphrase)
    if any_time:
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    return context


def _no_passphrase() -> bytes:
    raise OSError("the key is encrypted, and nobody is there to open it")


DAY_MS: Final = 86_400_000
STAGES: Final[tuple[tuple[int, str], ...]] = (
    (0, "certificate_ended"),
    (DAY_MS, "certificate_ends_now"),
    (7 * DAY_MS, "certificate_ends_soon"),
    (30 * DAY_MS, "certificate_ends"),
)
"""Within so much of its end a certificate is this fault, each of its own, so that it is asked for anew."""


class Credential:
    """When our own certificate ends. A file that was renewed is read anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.ends_ms: int | None = None
        """Unix ms; None: it cannot be read."""
        self.stage = ""
        """The fault that it is; empty: none, or it cannot be read (then the connection says so)."""

    def look(self, now_ms: int, *, synced: bool) -> None:
        """Look once; blocking. Without a right clock nothing is said anew of when it ends."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen != self._seen:
                self.ends_ms = _end(self._path)
                self._seen = seen
        except (OSError, ValueError):
            self.ends_ms, self._seen = None, None
        if synced or self.ends_ms is None:
            self.stage = "" if self.ends_ms is None else _stage(self.ends_ms - now_ms)


def _end(path: Path) -> int:
    from cryptography import x509  # noqa: PLC0415 - most gateways that there are have none

    found = x509.load_pem_x509_certificate(path.read_bytes())
    return int(found.not_valid_after_utc.timestamp() * 1_000)


def _stage(left_ms: int) -> str:
    return next((code for within_ms, code in STAGES if left_ms <= within_ms), "")


def is_early(error: BaseException) -> bool:
    """Whether a connection was refused only because a certificate does not count yet."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == NOT_YET_VALID
