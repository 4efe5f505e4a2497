"""Tables of accounts."""

from typing import Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.accounts.rules import Ended, Kind, State
from api.rights.rules import Role

HEX64: Final = "length(digest) = 64"


def _in(column: str, words: type[Kind | State | Role | Ended]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


class Account(SQLModel, table=True):
    """Somebody, a machine or a desk. `login` is what a person types; a household needs none to be complete.

    `password` and `pin` are Argon2 hashes, `totp` and `totp_waiting` sealed (`factors`). `one_time`: the password was
    made by somebody else and must be changed. `totp_step` is the last step whose code was used; a code is good once.
    """

    __table_args__ = (
        CheckConstraint(_in("kind", Kind), name="kind"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint("language IN ('zh', 'en')", name="language"),
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("(state = 'closed') = (closed_ms IS NOT NULL)", name="closed"),
    )

    id: str = Field(primary_key=True)
    kind: str
    login: str | None = Field(default=None, unique=True)
    name: str
    phone: str | None = None
    language: str = "zh"
    state: str
    password: str | None = None
    one_time: bool = False
    pin: str | None = None
    totp: str | None = None
    totp_waiting: str | None = None
    totp_step: int = Field(sa_type=BigInteger, default=0)
    made_ms: int = Field(sa_type=BigInteger)
    closed_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class AccountGrant(SQLModel, table=True):
    """A role over something, from a day to a day. Never changed but for its end. `given_by` is empty for a seed."""

    __tablename__ = "account_grant"
    __table_args__ = (
        CheckConstraint(_in("role", Role), name="role"),
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="range"),
        Index("ix_account_grant_account", "account", "from_ms"),
        Index("ix_account_grant_role", "role", "scope"),
    )

    number: int | None = Field(primary_key=True, default=None)
    account: str = Field(foreign_key="account.id")
    role: str
    scope: str = ""
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    deputy_of: str | None = Field(default=None, foreign_key="account.id")
    given_by: str | None = None
    given_ms: int = Field(sa_type=BigInteger)


class SignIn(SQLModel, table=True):
    """A person's session. `digest` is of its cookie. `desk`: the shared workstation that it is on."""

    __tablename__ = "sign_in"
    __table_args__ = (
        CheckConstraint(HEX64, name="digest"),
        CheckConstraint(f"ended_why IS NULL OR {_in('ended_why', Ended)}", name="ended_why"),
        CheckConstraint("(ended_ms IS NULL) = (ended_why IS NULL)", name="ended"),
        Index("ix_sign_in_account", "account", "ended_ms"),
        Index("ix_sign_in_desk", "desk", "ended_ms"),
    )

    digest: str = Field(primary_key=True)
    account: str = Field(foreign_key="account.id")
    desk: str | None = Field(default=None, foreign_key="desk.account")
    second_factor: bool
    began_ms: int = Field(sa_type=BigInteger)
    seen_ms: int = Field(sa_type=BigInteger)
    ended_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended_why: str | None = None


class Desk(SQLModel, table=True):
    """A paired workstation. While `duty_ms` is there it is on duty, put there by `officer`."""

    __table_args__ = (
        CheckConstraint(HEX64, name="digest"),
        CheckConstraint("(duty_ms IS NULL) = (officer IS NULL)", name="duty"),
    )

    account: str = Field(primary_key=True, foreign_key="account.id")
    digest: str = Field(unique=True)
    area: str = Field(index=True)
    paired_by: str
    paired_ms: int = Field(sa_type=BigInteger)
    duty_ms: int | None = Field(sa_type=BigInteger, default=None)
    officer: str | None = Field(default=None, foreign_key="account.id")
    seen_ms: int = Field(sa_type=BigInteger)


class ApiToken(SQLModel, table=True):
    """A machine's token, or the seed token of an officer, as SHA-256."""

    __tablename__ = "api_token"
    __table_args__ = (CheckConstraint(HEX64, name="digest"),)

    id: str = Field(primary_key=True)
    account: str = Field(foreign_key="account.id", index=True)
    digest: str = Field(unique=True)
    label: str
    made_by: str | None = None
    made_ms: int = Field(sa_type=BigInteger)
    expires_ms: int | None = Field(sa_type=BigInteger, default=None)
    used_ms: int | None = Field(sa_type=BigInteger, default=None)
    revoked_ms: int | None = Field(sa_type=BigInteger, default=None)


class RecoveryCode(SQLModel, table=True):
    """A code that stands once for a lost second factor."""

    __tablename__ = "recovery_code"
    __table_args__ = (
        CheckConstraint(HEX64, name="digest"),
        UniqueConstraint("account", "digest", name="uq_recovery_code"),
    )

    number: int | None = Field(primary_key=True, default=None)
    account: str = Field(foreign_key="account.id")
    digest: str
    used_ms: int | None = Field(sa_type=BigInteger, default=None)


class Joining(SQLModel, table=True):
    """An invitation of a household: a code, then an account that waits, then somebody who confirms or refuses it."""

    __table_args__ = (
        CheckConstraint(HEX64, name="digest"),
        CheckConstraint("tries >= 0", name="counts"),
        CheckConstraint("(used_ms IS NULL) = (account IS NULL)", name="used"),
        CheckConstraint("settled_ms IS NULL OR used_ms IS NOT NULL", name="settled"),
        Index("ix_joining_place", "place", "made_ms"),
    )

    id: str = Field(primary_key=True)
    place: str
    digest: str
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    expires_ms: int = Field(sa_type=BigInteger)
    tries: int = 0
    account: str | None = Field(default=None, foreign_key="account.id")
    used_ms: int | None = Field(sa_type=BigInteger, default=None)
    settled_by: str | None = None
    settled_ms: int | None = Field(sa_type=BigInteger, default=None)
    confirmed: bool | None = None


class SignInFailure(SQLModel, table=True):
    """How often in a row a source, an account or a desk was wrong. `about` is a digest: no address stands here."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (CheckConstraint("times > 0", name="counts"),)

    about: str = Field(primary_key=True)
    times: int
    last_ms: int = Field(sa_type=BigInteger, index=True)
