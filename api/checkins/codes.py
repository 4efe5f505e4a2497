"""The signed codes of checkpoints: what one says, and whether it held when it was read. Takes a session.

Theory: `broker.qr`. The keys are made of the station's own, one for each checkpoint and version, so that a table of
them is needed nowhere and a screen knows no other checkpoint's.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from sqlmodel import Session

from api.checkins import repository
from broker import qr

Stands = Callable[[Session, str], bool]
"""Says whether there is such a checkpoint now."""
_PURPOSE: Final = b"shouwang checkpoints"


class Codes:
    """The codes of one station."""

    def __init__(self, seed: bytes, stands: Stands) -> None:
        """`seed`: of the station's key."""
        self._secret = hmac.digest(seed, _PURPOSE, sha256)
        self._stands = stands

    def key(self, point: str, version: int) -> bytes:
        """The key of a checkpoint and version, 32 octets."""
        return qr.point_key(self._secret, point, version)

    def read(self, session: Session, text: str, at_ms: int) -> qr.Payload | None:
        """What a code says, if it held when it was read; a version that was ended before holds no more."""
        payload = qr.parse(text)
        if payload is None or not self._stands(session, payload.point):
            return None
        if payload.version != repository.code_version(session, payload.point, at_ms):
            return None
        key = self.key(payload.point, payload.version)
        return payload if qr.holds(payload, key=key, at_s=at_ms // 1_000) else None
