"""Secrets of second factors, as rows keep them: sealed, because whoever has one makes every code of it.

A row of an earlier version holds its secret as it is; it is good, and sealed when the station starts.
"""

from typing import Final

import structlog
from sqlalchemy import or_, select
from sqlmodel import Session

from api.accounts import repository
from api.accounts.repository import ACCOUNT
from api.sealing import SealBroken, Sealer

PURPOSE: Final = "second factor"
MARK: Final = "sealed:"
"""What a sealed secret begins with; no secret does, they are capital letters and digits."""
COLUMNS: Final = ("totp", "totp_waiting")

log = structlog.get_logger("api.factors")


class Factors:
    """Seals and opens the secrets of one station."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal(self, account: str, secret: str) -> str:
        """A secret, as the row of this account may keep it."""
        return MARK + self._sealer.seal(secret, about=account)

    def open(self, account: str, kept: str) -> str | None:
        """What was sealed; None where that was with a key that the station has no more."""
        if not kept.startswith(MARK):
            return kept
        try:
            return self._sealer.open(kept.removeprefix(MARK), about=account)
        except SealBroken:
            log.warning("factors.broken", account=account)
            return None

    def seal_all(self, session: Session) -> int:
        """Seal what stands there as it is, and anew what an earlier key sealed. Returns how many rows changed."""
        found = select(ACCOUNT.c.id, *(ACCOUNT.c[one] for one in COLUMNS))
        found = found.where(or_(*(ACCOUNT.c[one].is_not(None) for one in COLUMNS))).order_by(ACCOUNT.c.id)
        changed = 0
        for row in session.connection().execute(found).mappings().all():
            kept = {name: value for name, value in row.items() if name in COLUMNS and value is not None}
            anew = {name: one for name, value in kept.items() if (one := self._anew(row["id"], value)) is not None}
            if anew:
                changed += repository.change(session, ACCOUNT, {"id": row["id"]}, **anew)
        return changed

    def _anew(self, account: str, kept: str) -> str | None:
        if kept.startswith(MARK) and not self._sealer.is_old(kept.removeprefix(MARK), about=account):
            return None
        secret = self.open(account, kept)
        return None if secret is None else self.seal(account, secret)
