"""Who holds which role over an area now, by name: the people of whom a form lets somebody choose."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlmodel import Session

from api.accounts.repository import ACCOUNT, GRANT
from api.accounts.rules import Kind, State
from api.rights.rules import Role

EVERYWHERE = ""
"""The scope of a role that is over all."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A person's account, his name, and which of the roles that were asked for he holds, in their own order."""

    account: str
    name: str
    roles: tuple[Role, ...]


def serving(
    session: Session,
    roles: Collection[Role],
    areas: Collection[str],
    *,
    at_ms: int,
    account: str | None = None,
    other_than: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[Serving]:
    """Active people who hold one of `roles` over one of `areas` at `at_ms` (Unix milliseconds), by account.

    `account`: only this one. `other_than`: without this one. `after`: those behind this account. `limit`: at most.
    """
    holds = and_(
        GRANT.c.role.in_([role.value for role in roles]),
        GRANT.c.scope.in_([*areas]),
        GRANT.c.from_ms <= at_ms,
        or_(GRANT.c.to_ms.is_(None), GRANT.c.to_ms > at_ms),
    )
    people = (
        select(ACCOUNT.c.id, ACCOUNT.c.name)
        .where(ACCOUNT.c.id.in_(select(GRANT.c.account).where(holds)))
        .where(ACCOUNT.c.kind == Kind.PERSON.value, ACCOUNT.c.state == State.ACTIVE.value)
        .order_by(ACCOUNT.c.id)
        .limit(limit)
    )
    if account is not None:
        people = people.where(ACCOUNT.c.id == account)
    if other_than is not None:
        people = people.where(ACCOUNT.c.id != other_than)
    if after is not None:
        people = people.where(ACCOUNT.c.id > after)
    found = session.connection().execute(people).all()
    held: dict[str, set[str]] = {}
    each = select(GRANT.c.account, GRANT.c.role).where(holds, GRANT.c.account.in_([row.id for row in found]))
    for row in session.connection().execute(each):
        held.setdefault(row.account, set()).add(row.role)
    order = [*Role]
    return [
        Serving(row.id, row.name, tuple(sorted(map(Role, held[row.id]), key=order.index)))
        for row in found
        if row.id in held
    ]
