"""Whom the gateway believes by TLS, also while its own clock is wrong.

Theory. A box without a battery clock wakes up in 1970, or in the hour in which it was switched off, and to it every
certificate that was signed since lies in the future. Its alarms must not wait for the time (N6). So where a certificate
is refused because it does not count *yet*, and nothing keeps this clock right, it is asked for all but the time: the
authority, the name and the use still have to be right, and what is said is signed as well. A certificate that has ended
is refused always: a clock that is behind makes none end.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

NOT_YET_VALID: Final = 9
"""X509_V_ERR_CERT_NOT_YET_VALID (x509_vfy.h)."""
NO_CHECK_TIME: Final = 0x20_0000
"""X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h); the standard library has no name for it, and hands it on."""


def believing(ca: Path | None, *, any_time: bool = False) -> ssl.SSLContext:
    """A context for TLS 1.2 and later. `ca` None: the authorities that this machine trusts. Raises OSError."""
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    if any_time:
        context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    return context


def is_early(error: BaseException) -> bool:
    """Whether a connection was refused only because a certificate does not count yet."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == NOT_YET_VALID
