"""What people are called, by their accounts: for answers that would else say ids."""

from collections.abc import Collection

from sqlalchemy import select
from sqlmodel import Session

from api.accounts.repository import ACCOUNT


def names(session: Session, accounts: Collection[str]) -> dict[str, str]:
    """Of those that are there; a closed account keeps its name."""
    found = select(ACCOUNT.c.id, ACCOUNT.c.name).where(ACCOUNT.c.id.in_([*accounts]))
    return {row.id: row.name for row in session.connection().execute(found)}
