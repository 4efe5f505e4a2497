"""Reading and writing accounts. Never commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, bindparam, delete, func, insert, not_, or_, select, update
from sqlmodel import Session

from api.accounts.models import (
    Account,
    AccountGrant,
    ApiToken,
    Desk,
    Joining,
    RecoveryCode,
    SignIn,
    SignInFailure,
)
from api.accounts.rules import HOME, Ended, Limits, State
from api.database import table_of
from api.rights.rules import Grant, Role

ACCOUNT: Final = table_of(Account)
GRANT: Final = table_of(AccountGrant)
SIGN_IN: Final = table_of(SignIn)
DESK: Final = table_of(Desk)
TOKEN: Final = table_of(ApiToken)
RECOVERY: Final = table_of(RecoveryCode)
JOINING: Final = table_of(Joining)
FAILURE: Final = table_of(SignInFailure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An account that somebody proved to be his: how, and what he was granted, good now or not."""

    account: str
    name: str
    kind: str
    one_time: bool
    grants: tuple[Grant, ...]


_HOLDER: Final = (ACCOUNT.c.id, ACCOUNT.c.name, ACCOUNT.c.kind, ACCOUNT.c.one_time)
_GRANTS: Final = (GRANT.c.role, GRANT.c.scope, GRANT.c.from_ms, GRANT.c.to_ms)
_WITH_GRANTS: Final = ACCOUNT.outerjoin(
    GRANT,
    and_(
        GRANT.c.account == ACCOUNT.c.id,
        GRANT.c.from_ms <= bindparam("now"),
        or_(GRANT.c.to_ms.is_(None), GRANT.c.to_ms > bindparam("now")),
    ),
)
_ACTIVE: Final = ACCOUNT.c.state == State.ACTIVE.value
_BY_TOKEN: Final = (
    select(*_HOLDER, *_GRANTS, TOKEN.c.id.label("token"), TOKEN.c.used_ms)
    .select_from(TOKEN.join(_WITH_GRANTS, TOKEN.c.account == ACCOUNT.c.id))
    .where(
        TOKEN.c.digest == bindparam("digest"),
        TOKEN.c.revoked_ms.is_(None),
        or_(TOKEN.c.expires_ms.is_(None), TOKEN.c.expires_ms > bindparam("now")),
        _ACTIVE,
    )
)
_GRANTS_OF: Final = (
    select(GRANT).where(GRANT.c.account.in_(bindparam("accounts", expanding=True))).order_by(GRANT.c.number)
)
_BY_SESSION: Final = (
    select(*_HOLDER, *_GRANTS, SIGN_IN.c.began_ms, SIGN_IN.c.seen_ms, SIGN_IN.c.second_factor, SIGN_IN.c.desk)
    .select_from(SIGN_IN.join(_WITH_GRANTS, SIGN_IN.c.account == ACCOUNT.c.id))
    .where(SIGN_IN.c.digest == bindparam("digest"), SIGN_IN.c.ended_ms.is_(None), _ACTIVE)
)
_BY_DESK: Final = (
    select(*_HOLDER, *_GRANTS, DESK.c.duty_ms, DESK.c.officer, DESK.c.seen_ms, DESK.c.area)
    .select_from(DESK.join(_WITH_GRANTS, DESK.c.account == ACCOUNT.c.id))
    .where(DESK.c.digest == bindparam("digest"), _ACTIVE)
)


def _known(rows: Sequence[Any]) -> tuple[Known, Row[Any]] | None:
    if not rows:
        return None
    first = rows[0]
    grants = tuple(
        Grant(role=Role(row.role), scope=row.scope, from_ms=row.from_ms, to_ms=row.to_ms)
        for row in rows
        if row.role is not None
    )
    return Known(account=first.id, name=first.name, kind=first.kind, one_time=first.one_time, grants=grants), first


def by_token(session: Session, digest: str, *, now_ms: int) -> tuple[Known, Row[Any]] | None:
    """Whose token this is, if it is good now; with the token's id and last use."""
    return _known(session.connection().execute(_BY_TOKEN, {"digest": digest, "now": now_ms}).all())


def by_session(session: Session, digest: str, *, now_ms: int) -> tuple[Known, Row[Any]] | None:
    """Whose session this is, if it was not ended; with its times, its factor and its desk."""
    return _known(session.connection().execute(_BY_SESSION, {"digest": digest, "now": now_ms}).all())


def by_desk(session: Session, digest: str, *, now_ms: int) -> tuple[Known, Row[Any]] | None:
    """The desk that was paired with this, on duty or not."""
    return _known(session.connection().execute(_BY_DESK, {"digest": digest, "now": now_ms}).all())


def add(session: Session, table: Table, **values: object) -> None:
    """Insert one row."""
    session.connection().execute(insert(table).values(**values))


def one(session: Session, table: Table, **where: object) -> Row[Any] | None:
    """The row that has these values, if there is one."""
    found = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return session.connection().execute(found).one_or_none()


def one_of(session: Session, table: Table, **where: object) -> Row[Any] | None:
    """Some row that has these values, if there is any."""
    found = select(table).where(*(table.c[name] == value for name, value in where.items())).limit(1)
    return session.connection().execute(found).first()


def change(session: Session, table: Table, where: dict[str, object], **values: object) -> int:
    """Set values in the rows that have those of `where`; how many there were."""
    found = update(table).where(*(table.c[name] == value for name, value in where.items())).values(**values)
    return session.connection().execute(found).rowcount


def change_account(session: Session, account: str, *, version: int | None = None, **values: object) -> bool:
    """Set values of an account, and raise its version; only of `version` where that is given."""
    found = update(ACCOUNT).where(ACCOUNT.c.id == account)
    if version is not None:
        found = found.where(ACCOUNT.c.version == version)
    return session.connection().execute(found.values(version=ACCOUNT.c.version + 1, **values)).rowcount == 1


def accounts(session: Session, *, after: str, kind: str | None, limit: int) -> list[Row[Any]]:
    """Accounts by id."""
    found = select(ACCOUNT).where(ACCOUNT.c.id > after).order_by(ACCOUNT.c.id).limit(limit)
    if kind is not None:
        found = found.where(ACCOUNT.c.kind == kind)
    return [*session.connection().execute(found)]


def grants(session: Session, accounts: Collection[str]) -> list[Row[Any]]:
    """Every grant that these accounts ever had, oldest first."""
    return [*session.connection().execute(_GRANTS_OF, {"accounts": [*accounts]})]


def add_grant(session: Session, **values: object) -> int:
    """Insert a grant; its number."""
    made = session.connection().execute(insert(GRANT).values(**values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def holders(session: Session, role: Role, *, now_ms: int) -> list[str]:
    """Active accounts that have a role now, over whatever."""
    found = (
        select(ACCOUNT.c.id)
        .select_from(_WITH_GRANTS)
        .where(GRANT.c.role == role.value, _ACTIVE)
        .order_by(ACCOUNT.c.id)
        .distinct()
    )
    return [*session.connection().execute(found, {"now": now_ms}).scalars()]


def ever(session: Session, role: Role) -> list[str]:
    """Accounts that have or had a role, closed ones too."""
    found = select(GRANT.c.account).where(GRANT.c.role == role.value).order_by(GRANT.c.account).distinct()
    return [*session.connection().execute(found).scalars()]


def end_sessions(
    session: Session, why: Ended, *, now_ms: int, account: str | None = None, desk: str | None = None,
    digest: str | None = None, but: str | None = None,
) -> int:  # fmt: skip
    """End sessions: an account's, a desk's, or one by its digest; all of them `but` one."""
    found = update(SIGN_IN).where(SIGN_IN.c.ended_ms.is_(None))
    for column, wanted in ((SIGN_IN.c.account, account), (SIGN_IN.c.desk, desk), (SIGN_IN.c.digest, digest)):
        if wanted is not None:
            found = found.where(column == wanted)
    if but is not None:
        found = found.where(SIGN_IN.c.digest != but)
    return session.connection().execute(found.values(ended_ms=now_ms, ended_why=why.value)).rowcount


def end_old_sessions(session: Session, limits: Limits, *, at_desk: bool, at_home: bool, now_ms: int) -> int:
    """End every session that has reached a limit: those at a desk, those of households, or the others."""
    open_ones: list[ColumnElement[bool]] = [
        SIGN_IN.c.ended_ms.is_(None),
        SIGN_IN.c.desk.is_not(None) if at_desk else SIGN_IN.c.desk.is_(None),
    ]
    if not at_desk:
        standing = select(GRANT.c.account).where(
            GRANT.c.from_ms <= now_ms, or_(GRANT.c.to_ms.is_(None), GRANT.c.to_ms > now_ms)
        )
        roles = [role.value for role in HOME]
        home = and_(
            SIGN_IN.c.account.in_(standing.where(GRANT.c.role.in_(roles))),
            SIGN_IN.c.account.not_in(standing.where(GRANT.c.role.not_in(roles))),
        )
        open_ones.append(home if at_home else not_(home))
    ended = 0
    for column, most, why in (
        (SIGN_IN.c.began_ms, limits.absolute_ms, Ended.OLD),
        (SIGN_IN.c.seen_ms, limits.idle_ms, Ended.IDLE),
    ):
        found = update(SIGN_IN).where(*open_ones, column <= now_ms - most)
        ended += session.connection().execute(found.values(ended_ms=now_ms, ended_why=why.value)).rowcount
    return ended


def sessions(session: Session, account: str) -> list[Row[Any]]:
    """An account's sessions that were not ended, newest first."""
    found = (
        select(SIGN_IN)
        .where(SIGN_IN.c.account == account, SIGN_IN.c.ended_ms.is_(None))
        .order_by(SIGN_IN.c.began_ms.desc(), SIGN_IN.c.digest)
    )
    return [*session.connection().execute(found)]


def tokens(session: Session, account: str) -> list[Row[Any]]:
    """Every token that an account ever had, newest first."""
    found = select(TOKEN).where(TOKEN.c.account == account).order_by(TOKEN.c.made_ms.desc(), TOKEN.c.id)
    return [*session.connection().execute(found)]


def seed_tokens(session: Session, label: str) -> list[Row[Any]]:
    """Tokens that were seeded and not revoked."""
    found = select(TOKEN).where(TOKEN.c.label == label, TOKEN.c.made_by.is_(None), TOKEN.c.revoked_ms.is_(None))
    return [*session.connection().execute(found)]


def desks(session: Session) -> list[Row[Any]]:
    """Every desk that is still paired, with its name."""
    found = (
        select(DESK, ACCOUNT.c.name)
        .select_from(DESK.join(ACCOUNT, ACCOUNT.c.id == DESK.c.account))
        .where(_ACTIVE)
        .order_by(DESK.c.account)
    )
    return [*session.connection().execute(found)]


def joinings(session: Session) -> list[Row[Any]]:
    """Households that joined and wait for somebody to confirm it, oldest first."""
    found = (
        select(JOINING, ACCOUNT.c.name)
        .select_from(JOINING.join(ACCOUNT, ACCOUNT.c.id == JOINING.c.account))
        .where(JOINING.c.settled_ms.is_(None))
        .order_by(JOINING.c.used_ms, JOINING.c.id)
    )
    return [*session.connection().execute(found)]


def failures(session: Session, about: str) -> tuple[int, int]:
    """How often in a row, and when last."""
    row = one(session, FAILURE, about=about)
    return (0, 0) if row is None else (row.times, row.last_ms)


def set_failures(session: Session, about: str, times: int, *, now_ms: int) -> None:
    """Note a count; 0 forgets it."""
    if times == 0:
        session.connection().execute(delete(FAILURE).where(FAILURE.c.about == about))
    elif change(session, FAILURE, {"about": about}, times=times, last_ms=now_ms) == 0:
        add(session, FAILURE, about=about, times=times, last_ms=now_ms)


def forget_failures(session: Session, *, before_ms: int) -> None:
    """Forget counts that nobody added to since."""
    session.connection().execute(delete(FAILURE).where(FAILURE.c.last_ms < before_ms))


def recovery_codes_left(session: Session, account: str) -> int:
    """How many recovery codes are still good."""
    found = (
        select(func.count()).select_from(RECOVERY).where(RECOVERY.c.account == account, RECOVERY.c.used_ms.is_(None))
    )
    return session.connection().execute(found).scalar_one()


def use_recovery_code(session: Session, account: str, digest: str, *, now_ms: int) -> bool:
    """Use up a recovery code, if it is good."""
    found = update(RECOVERY).where(
        RECOVERY.c.account == account, RECOVERY.c.digest == digest, RECOVERY.c.used_ms.is_(None)
    )
    return session.connection().execute(found.values(used_ms=now_ms)).rowcount == 1


def forget_recovery_codes(session: Session, account: str) -> None:
    """Take every recovery code away."""
    session.connection().execute(delete(RECOVERY).where(RECOVERY.c.account == account))
