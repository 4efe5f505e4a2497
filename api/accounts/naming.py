"""What people are called, by their accounts: for answers that would else say ids."""

from collections.abc import Collection

from sqlalchemy import select
from sqlmodel import Session

from api.accounts.repository import ACCOUNT, GRANT
from api.accounts.rules import HOME


def names(session: Session, accounts: Collection[str]) -> dict[str, str]:
    """Of those that are there; a closed account keeps its name."""
    found = select(ACCOUNT.c.id, ACCOUNT.c.name).where(ACCOUNT.c.id.in_([*accounts]))
    return {row.id: row.name for row in session.connection().execute(found)}


def serving_ever(session: Session, accounts: Collection[str]) -> set[str]:
    """Those of `accounts` that hold or held a role that is more than living somewhere."""
    home = [role.value for role in HOME]
    found = select(GRANT.c.account).where(GRANT.c.account.in_([*accounts]), GRANT.c.role.not_in(home))
    return {row.account for row in session.connection().execute(found)}
