"""What accounts take and give over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from sqlalchemy import Row

from api.accounts import proofs
from api.accounts.service import Proof
from api.accounts.serving import Serving
from api.clock import iso
from api.rights.rules import Grant, Role
from api.shapes import Answer, Moment

Login = Annotated[str, StringConstraints(min_length=2, max_length=64, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 -]{3,24}$")]
Language = Literal["zh", "en"]


def _of_characters(secret: SecretStr) -> SecretStr:
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("half a character is none") from None
    return secret


Password = Annotated[SecretStr, Field(min_length=10, max_length=256), AfterValidator(_of_characters)]
GivenSecret = Annotated[SecretStr, Field(min_length=1, max_length=256), AfterValidator(_of_characters)]


def _six_digits(pin: SecretStr) -> SecretStr:
    text = pin.get_secret_value()
    if not (text.isascii() and text.isdigit()):
        raise ValueError("a PIN is six digits")
    return pin


Pin = Annotated[SecretStr, Field(min_length=6, max_length=6), AfterValidator(_six_digits)]
Code = Annotated[str, StringConstraints(strip_whitespace=True, min_length=6, max_length=32)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Scope = Annotated[str, StringConstraints(max_length=64)]


class Asked(BaseModel):
    """Closed: a field that nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")


class SignIn(Asked):
    """Login and password; with a second factor its code, or a recovery code."""

    login: Login
    password: GivenSecret
    code: Code | None = None


class QuickChange(Asked):
    """Another officer on the same workstation."""

    login: Login
    pin: Pin


class NewPassword(Asked):
    """A password of one's own."""

    password: GivenSecret
    new_password: Password


class NewPin(Asked):
    """The PIN for quick changes of officer; the password proves who sets it."""

    password: GivenSecret
    pin: Pin


class TotpBegin(Asked):
    """The password proves who sets up a second factor."""

    password: GivenSecret


class TotpConfirm(Asked):
    """A code that the authenticator app shows."""

    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]


class Join(Asked):
    """A household makes its account."""

    code: Annotated[str, StringConstraints(min_length=6, max_length=64)]
    name: Name
    login: Login
    password: Password
    phone: Phone | None = None
    language: Language = "zh"


class NewAccount(Asked):
    """An account without any rights. A person gets a one-time password, which the answer tells once."""

    kind: Literal["person", "machine"] = "person"
    name: Name
    login: Login | None = None
    phone: Phone | None = None
    language: Language = "zh"


class ChangedAccount(Asked):
    """What is given is changed; a phone that is null is taken away."""

    name: Name | None = None
    phone: Phone | None = None
    language: Language | None = None


class Because(Asked):
    """Why."""

    reason: Reason


class Reset(Asked):
    """A new one-time password; with `second_factor` the second factor is taken away, too."""

    second_factor: bool = False


class NewGrant(Asked):
    """A role over something that the register has."""

    role: Role
    scope: Scope = ""
    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    deputy_of: Scope | None = None


class NewToken(Asked):
    """A token for a machine, which the answer tells once."""

    label: Name
    days: Annotated[int, Field(ge=1, le=400)] = 365


class NewDesk(Asked):
    """Pair the workstation that sends this."""

    name: Name
    area: Scope


class Duty(Asked):
    """Put the desk on duty, or take it off."""

    on_duty: bool


class Settled(Asked):
    """The grid worker knows the household, or not."""

    confirmed: bool
    reason: Reason | None = None


class GrantShown(BaseModel):
    """A role over something that one has now."""

    role: Role
    scope: str
    to: datetime | None


class SessionAnswer(BaseModel):
    """Who is signed in. `must`: what has to be done before the rights can be used."""

    account: str
    name: str
    via: Literal["session", "desk", "token"]
    grants: list[GrantShown]
    must: list[Literal["change_password", "set_up_second_factor", "sign_in_with_second_factor"]]
    desk: str | None
    csrf: str | None
    """Send it as X-CSRF-Token with everything that changes something."""


class OwnAnswer(BaseModel):
    """One's own account."""

    id: str
    login: str | None
    name: str
    phone: str | None
    language: Language
    second_factor: bool
    pin: bool
    recovery_codes: int


class TotpAnswer(BaseModel):
    """A secret for an authenticator app, told once."""

    secret: str
    address: str


class RecoveryAnswer(BaseModel):
    """Codes that stand for a lost second factor, each once; told once."""

    recovery_codes: list[str]
    session: SessionAnswer


class GrantAnswer(BaseModel):
    """A grant, past, present or to come."""

    number: int
    role: Role
    scope: str
    from_: Annotated[datetime, Field(alias="from")]
    to: datetime | None
    deputy_of: str | None
    given_by: str | None


class AccountAnswer(BaseModel):
    """An account and everything that it was ever granted."""

    id: str
    kind: Literal["person", "machine", "desk"]
    login: str | None
    name: str
    phone: str | None
    language: Language
    state: Literal["waiting", "active", "closed"]
    second_factor: bool
    version: int
    grants: list[GrantAnswer]


class AccountPage(BaseModel):
    """Accounts by id."""

    items: list[AccountAnswer]
    next: str | None


class OpenedAnswer(BaseModel):
    """A new account; the one-time password of a person, told once."""

    account: AccountAnswer
    one_time_password: str | None


class SecretAnswer(BaseModel):
    """A one-time password, told once."""

    one_time_password: str


class TokenAnswer(BaseModel):
    """A token, without itself."""

    id: str
    label: str
    made: datetime
    made_by: str | None
    expires: datetime | None
    used: datetime | None
    revoked: datetime | None


class TokenList(BaseModel):
    """Tokens of an account, newest first."""

    items: list[TokenAnswer]


class MadeToken(BaseModel):
    """The token itself, told once."""

    id: str
    token: str


class DeskAnswer(BaseModel):
    """A paired workstation."""

    id: str
    name: str
    area: str
    on_duty: bool
    officer: str | None
    since: datetime | None
    seen: datetime


class DeskList(BaseModel):
    """Desks by id."""

    items: list[DeskAnswer]


class JoiningAnswer(BaseModel):
    """A code for a household, told once."""

    id: str
    code: str
    expires: datetime


class JoinedAnswer(BaseModel):
    """The account waits for the grid worker."""

    state: Literal["waiting"] = "waiting"


class WaitingAnswer(BaseModel):
    """A household that joined and waits."""

    id: str
    place: str
    name: str
    joined: datetime


class WaitingList(BaseModel):
    """Households that wait, oldest first."""

    items: list[WaitingAnswer]


def _when(ms: int | None) -> datetime | None:
    return None if ms is None else iso(ms)


def grant_shown(grant: Grant) -> GrantShown:
    """A grant that holds now."""
    return GrantShown(role=grant.role, scope=grant.scope, to=_when(grant.to_ms))


def session_answer(proof: Proof) -> SessionAnswer:
    """Who is signed in, and how."""
    return SessionAnswer.model_validate(
        {
            "account": proof.principal.account,
            "name": proof.principal.name,
            "via": proof.principal.via,
            "grants": [grant_shown(grant) for grant in proof.principal.grants],
            "must": [*proof.must],
            "desk": proof.desk,
            "csrf": None if proof.cookie is None else proofs.csrf(proof.cookie),
        }
    )


def own_answer(row: Row[Any], *, recovery_codes: int) -> OwnAnswer:
    """One's own account."""
    return OwnAnswer(
        id=row.id,
        login=row.login,
        name=row.name,
        phone=row.phone,
        language=row.language,
        second_factor=row.totp is not None,
        pin=row.pin is not None,
        recovery_codes=recovery_codes,
    )


def grant_answer(row: Row[Any]) -> GrantAnswer:
    """A row of `account_grant`."""
    return GrantAnswer.model_validate(
        {
            "number": row.number,
            "role": row.role,
            "scope": row.scope,
            "from": iso(row.from_ms),
            "to": _when(row.to_ms),
            "deputy_of": row.deputy_of,
            "given_by": row.given_by,
        }
    )


def account_answer(row: Row[Any], grants: list[Row[Any]]) -> AccountAnswer:
    """A row of `account` with its grants."""
    return AccountAnswer(
        id=row.id,
        kind=row.kind,
        login=row.login,
        name=row.name,
        phone=row.phone,
        language=row.language,
        state=row.state,
        second_factor=row.totp is not None,
        version=row.version,
        grants=[grant_answer(grant) for grant in grants if grant.account == row.id],
    )


def token_answer(row: Row[Any]) -> TokenAnswer:
    """A row of `api_token`."""
    return TokenAnswer(
        id=row.id,
        label=row.label,
        made=iso(row.made_ms),
        made_by=row.made_by,
        expires=_when(row.expires_ms),
        used=_when(row.used_ms),
        revoked=_when(row.revoked_ms),
    )


def desk_answer(row: Row[Any], name: str) -> DeskAnswer:
    """A row of `desk`."""
    return DeskAnswer(
        id=row.account,
        name=name,
        area=row.area,
        on_duty=row.duty_ms is not None,
        officer=row.officer,
        since=_when(row.duty_ms),
        seen=iso(row.seen_ms),
    )


class ServingAnswer(Answer):
    """Somebody who can be chosen, by name, with the roles that he holds there."""

    account: str
    name: str
    roles: tuple[Role, ...]


class ServingPage(Answer):
    """People, by account. `next`: ask for what comes after it."""

    items: tuple[ServingAnswer, ...]
    next: str | None


def serving_page(found: Sequence[Serving], limit: int) -> ServingPage:
    """At most `limit` people as HTTP shows them; one more than that says that there are further ones."""
    items = tuple(ServingAnswer(account=one.account, name=one.name, roles=one.roles) for one in found[:limit])
    return ServingPage(items=items, next=items[-1].account if len(found) > limit else None)
