"""`shouwang admin recover`: the way back in when the only administrator lost password, telephone and recovery codes.

Whoever may read the station's settings and write its database has everything already; this keeps him from forging rows,
and leaves an entry in the chain. NotRecovered: .code, .detail; nothing was changed.
"""

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Row
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from api.accounts import proofs, repository
from api.accounts.office import ADMIN_LOGIN, secret_path
from api.accounts.repository import ACCOUNT
from api.accounts.rules import Ended, Kind, State
from api.audit import service as audit
from api.clock import Clock
from api.database import Database
from api.database.errors import DatabaseError
from api.database.looking import looking
from api.rights.rules import Role
from api.settings import StationSettings

Code = Literal["somebody_else_could", "which_one", "no_such_administrator"]
SECRET_BYTES: Final = 15


class NotRecovered(Exception):
    """Refused. Fields: `code`; `logins` of those whom it is about."""

    def __init__(self, code: Code, logins: Collection[str] = ()) -> None:
        self.code = code
        self.logins = tuple(logins)
        who = ", ".join(self.logins)
        super().__init__(
            {
                "somebody_else_could": f"{who} can reset this account (POST /api/v1/accounts/.../reset); "
                "--force does it all the same",
                "which_one": f"there are several administrators: say --account, one of {who}",
                "no_such_administrator": f"nobody of that name is or was administrator; there are: {who or 'none'}",
            }[code]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Who gets in again, and the password that is good once."""

    account: str
    login: str
    secret: str


def recover(
    settings: StationSettings,
    *,
    login: str | None,
    forced: bool,
    reason: str | None,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
) -> Recovered:
    """Let one administrator in again, by a password that is good once. Raises NotRecovered, DatabaseError.

    His sessions, PIN, second factor and recovery codes end. Who is administrator no more because his time ran out is so
    again when nobody else is.
    """
    secret = proofs.readable(random_bytes(SECRET_BYTES))
    hashed = proofs.Passwords().hash(secret)
    try:
        with looking(settings.database, station=settings.station):
            pass  # opening would make an empty one where there is none
        with (
            closing(Database.open(settings.database, station=settings.station)) as database,
            database.write() as session,
        ):
            row = _chosen(session, login, now=clock())
            _let_in(session, row, hashed, forced=forced, reason=reason, now=clock())
    except DBAPIError as error:
        raise DatabaseError(f"the accounts cannot be changed: {error.orig}") from None
    if row.login == ADMIN_LOGIN:
        secret_path(settings).unlink(missing_ok=True)  # the one of the first start is good no more
    return Recovered(account=row.id, login=row.login, secret=secret)


def _chosen(session: Session, login: str | None, *, now: int) -> Row[Any]:
    """The administrator who is meant. Raises NotRecovered."""
    known = {row.login: row for row in map(_account(session), _holders(session, now))}
    if login is None and len(known) > 1:
        raise NotRecovered("which_one", sorted(known))
    found = next(iter(known.values()), None) if login is None else known.get(login.casefold())
    if found is None:
        raise NotRecovered("no_such_administrator", sorted(known))
    return found


def _holders(session: Session, now: int) -> list[str]:
    """People who can sign in and are administrators now; where nobody is, those who were."""
    present = repository.holders(session, Role.ADMINISTRATOR, now_ms=now)
    return _signing_in(session, present) or _signing_in(session, repository.ever(session, Role.ADMINISTRATOR))


def _signing_in(session: Session, accounts: Collection[str]) -> list[str]:
    rows = map(_account(session), accounts)
    return [row.id for row in rows if (row.kind, row.state) == (Kind.PERSON, State.ACTIVE) and row.login is not None]


def _account(session: Session) -> Callable[[str], Row[Any]]:
    def find(account: str) -> Row[Any]:
        row = repository.one(session, ACCOUNT, id=account)
        assert row is not None, "a grant is of an account that is there"
        return row

    return find


def _let_in(
    session: Session, row: Row[Any], hashed: str, *, forced: bool, reason: str | None, now: int
) -> None:  # fmt: skip
    present = repository.holders(session, Role.ADMINISTRATOR, now_ms=now)
    others = [one for one in map(_account(session), _signing_in(session, present)) if one.id != row.id]
    able = sorted(one.login for one in others if one.password is not None and not one.one_time)
    if able and not forced:
        raise NotRecovered("somebody_else_could", able)
    repository.change_account(session, row.id, password=hashed, one_time=True, pin=None, totp=None, totp_waiting=None)
    repository.forget_recovery_codes(session, row.id)
    ended = repository.end_sessions(session, Ended.CREDENTIALS, now_ms=now, account=row.id)
    repository.set_failures(session, proofs.digest(f"login:{row.login}"), 0, now_ms=now)
    about = f"account:{row.id}"
    if row.id not in present:
        number = repository.add_grant(
            session, account=row.id, role=Role.ADMINISTRATOR.value, scope="", from_ms=now, given_ms=now
        )
        audit.record(session, at_ms=now, by=None, action="grant.give", about=about, detail={"grant": number})
    audit.record(
        session, at_ms=now, by=None, action="account.recover", about=about,
        detail={"forced": bool(able), "sessions": ended}, reason=reason,
    )  # fmt: skip
