"""Whoever asked for something once, as far as he reaches now: for what is done later, in his name."""

from sqlmodel import Session

from api.accounts.repository import ACCOUNT, grants, one
from api.accounts.rules import State
from api.rights.rules import Grant, Principal, Role


def acting(session: Session, account: str, *, now_ms: int, via: str) -> Principal:
    """An account with its grants of this moment; with none where it may not sign in any more."""
    row = one(session, ACCOUNT, id=account)
    held = (
        Grant(role=Role(grant.role), scope=grant.scope, from_ms=grant.from_ms, to_ms=grant.to_ms)
        for grant in grants(session, [account])
    )
    active = row is not None and row.state == State.ACTIVE
    return Principal(
        account=account, name="", grants=tuple(grant for grant in held if active and grant.holds(now_ms)), via=via
    )
