"""Signing in and out, one's own account, everybody's accounts, desks and joining over HTTP."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy.exc import IntegrityError

from api.access import (
    DESK_COOKIE,
    SESSION_COOKIE,
    Authority,
    anybody,
    cookie_name,
    is_secure,
    may,
    own_page,
    presented,
    proof_of,
)
from api.accounts import repository, schemas
from api.accounts.problems import BadJoiningCode, LoginTaken, TooManyTries, WeakSecret, WrongSecret
from api.accounts.rules import Kind, at_home
from api.accounts.service import Begun, LookedUp, Proof
from api.clock import iso
from api.etags import IfMatch, etag
from api.pages import PAGE, Limit, Number
from api.problems import NotThere, Problem, answers
from api.rights.rules import Role
from api.station import CurrentStation, Station

COMMON: Final = answers(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)
ASKED: Final = COMMON | answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
FOUND: Final = answers(HTTPStatus.NOT_FOUND)
TRIED: Final = COMMON | answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)

DESK_AGE_S: Final = 400 * 86_400
"""As long as browsers keep a cookie at most."""

router: Final = APIRouter(prefix="/api/v1", tags=["accounts"])

Id = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]
Own = Annotated[Authority, may("account.own")]
Manage = Annotated[Authority, may("account.manage")]
Read = Annotated[Authority, may("account.read")]
Give = Annotated[Authority, may("grant.give")]
Tokens = Annotated[Authority, may("token.manage")]
Pair = Annotated[Authority, may("desk.pair")]


def _set_cookie(response: Response, request: Request, name: str, value: str, *, age_s: int | None = None) -> None:
    named, secure = cookie_name(request, name), is_secure(request)
    response.set_cookie(named, value, max_age=age_s, httponly=True, samesite="lax", secure=secure, path="/")


def _signed_in(station: Station, request: Request, response: Response, cookie: str) -> schemas.SessionAnswer:
    response.headers["Cache-Control"] = "no-store"
    with station.database.read() as session:
        proof = station.accounts.who(session, replace(presented(request), bearer=None, cookie=cookie))
    assert proof is not None, "it was begun a moment ago"
    kept = proof.desk is None and at_home({grant.role for grant in proof.granted.grants})
    _set_cookie(response, request, SESSION_COOKIE, cookie, age_s=DESK_AGE_S if kept else None)
    return schemas.session_answer(proof)


def _sign_in(
    station: Station, request: Request, response: Response, *, login: str, secret: str, code: str | None, pin: bool
) -> schemas.SessionAnswer:
    """The three steps of `api.accounts.service`: read, reckon, write."""
    given = presented(request)
    own_page(station, request, None)
    accounts, source = station.accounts, "?" if request.client is None else request.client.host
    with station.database.read() as session:
        found = accounts.look_up(session, given, login=login, source=source, pin=pin)
        before = accounts.who(session, given)
    if not isinstance(found, LookedUp):
        raise found
    if found.desk is None and accounts.passwords.crowded:
        raise TooManyTries(1_000)  # whoever is at a paired desk waits in the queue instead
    fits = accounts.passwords.fits(secret, found.kept)
    with station.database.write() as session:
        begun = accounts.begin(session, found, fits=fits, code=code, before=None if before is None else before.session)
    if isinstance(begun, Problem):
        raise begun
    return _signed_in(station, request, response, begun.cookie)


@router.post("/session", summary="Sign in (登录)", responses=TRIED, dependencies=[anybody("session.begin")])
def sign_in(
    station: CurrentStation, request: Request, response: Response, asked: schemas.SignIn
) -> schemas.SessionAnswer:
    """A session in a cookie that no script can read. Wrong tries are slowed down, never locked out."""
    return _sign_in(
        station, request, response, login=asked.login, secret=asked.password.get_secret_value(), code=asked.code,
        pin=False,
    )  # fmt: skip


@router.post(
    "/session/pin",
    summary="Change the officer on a paired desk (换人)",
    responses=TRIED,
    dependencies=[anybody("session.begin")],
)
def change_officer(
    station: CurrentStation, request: Request, response: Response, asked: schemas.QuickChange
) -> schemas.SessionAnswer:
    """Only on a paired desk. The session of whoever was there ends; the desk stays on duty."""
    return _sign_in(
        station, request, response, login=asked.login, secret=asked.pin.get_secret_value(), code=None, pin=True
    )


@router.get("/session", summary="Who is signed in here", responses=ASKED)
def get_session(request: Request, _by: Annotated[Authority, may("session.own")]) -> schemas.SessionAnswer:
    """With what the rights are, and what has to be done before they can be used."""
    return schemas.session_answer(proof_of(request))


@router.delete("/session", summary="Sign out (退出)", status_code=HTTPStatus.NO_CONTENT, responses=ASKED)
def sign_out(
    station: CurrentStation, request: Request, response: Response, _by: Annotated[Authority, may("session.own")]
) -> None:
    """The session ends at once. A desk on duty goes on showing."""
    with station.database.write() as session:
        station.accounts.end(session, proof_of(request))
    secure = is_secure(request)  # without it browsers would not let go of one that begins with __Host-
    response.delete_cookie(cookie_name(request, SESSION_COOKIE), path="/", secure=secure, httponly=True, samesite="lax")


# -- one's own account


def _proved_again(station: Station, proof: Proof, password: str) -> None:
    """Raises WrongSecret unless it is the account's password."""
    with station.database.read() as session:
        kept = station.accounts.own(session, proof).password
    if not station.accounts.passwords.fits(password, kept):
        raise WrongSecret


def _after_rise(station: Station, request: Request, response: Response, begun: Begun | None) -> schemas.SessionAnswer:
    if begun is None:
        return schemas.session_answer(proof_of(request))
    return _signed_in(station, request, response, begun.cookie)


@router.get("/account", summary="One's own account", responses=ASKED)
def get_own_account(station: CurrentStation, request: Request, _by: Own) -> schemas.OwnAnswer:
    """Without its secrets."""
    with station.database.read() as session:
        row = station.accounts.own(session, proof_of(request))
        return schemas.own_answer(row, recovery_codes=repository.recovery_codes_left(session, row.id))


@router.post("/account/password", summary="Set a password of one's own", responses=ASKED)
def set_password(
    station: CurrentStation, request: Request, response: Response, _by: Own, asked: schemas.NewPassword
) -> schemas.SessionAnswer:
    """Every other session of the account ends, and this one goes on under a new cookie."""
    proof, new = proof_of(request), asked.new_password.get_secret_value()
    _proved_again(station, proof, asked.password.get_secret_value())
    if new == asked.password.get_secret_value() or len(set(new)) < 4:
        raise WeakSecret("password")
    hashed = station.accounts.passwords.hash(new)
    with station.database.write() as session:
        begun = station.accounts.set_password(session, proof, hashed)
    station.forget_first_secret(proof.principal.account)
    return _after_rise(station, request, response, begun)


@router.put("/account/pin", summary="Set one's PIN", status_code=HTTPStatus.NO_CONTENT, responses=ASKED)
def set_pin(station: CurrentStation, request: Request, _by: Own, asked: schemas.NewPin) -> None:
    """Six digits, good only on a paired desk."""
    proof, pin = proof_of(request), asked.pin.get_secret_value()
    _proved_again(station, proof, asked.password.get_secret_value())
    hashed = station.accounts.passwords.hash(pin)
    with station.database.write() as session:
        station.accounts.set_pin(session, proof, pin, hashed)


@router.post("/account/totp", summary="Begin to set up a second factor", responses=ASKED)
def begin_totp(
    station: CurrentStation, request: Request, response: Response, _by: Own, asked: schemas.TotpBegin
) -> schemas.TotpAnswer:
    """The secret for an authenticator app. It counts once a code was confirmed."""
    proof = proof_of(request)
    _proved_again(station, proof, asked.password.get_secret_value())
    with station.database.write() as session:
        secret, address = station.accounts.offer_totp(session, proof)
    response.headers["Cache-Control"] = "no-store"
    return schemas.TotpAnswer(secret=secret, address=address)


@router.post(
    "/account/totp/confirm",
    summary="Take the second factor into use",
    responses=ASKED | answers(HTTPStatus.CONFLICT),
)
def confirm_totp(
    station: CurrentStation, request: Request, response: Response, _by: Own, asked: schemas.TotpConfirm
) -> schemas.RecoveryAnswer:
    """Recovery codes are told once, and the session goes on under a new cookie with all its rights."""
    with station.database.write() as session:
        done = station.accounts.confirm_totp(session, proof_of(request), asked.code)
    if isinstance(done, Problem):
        raise done
    codes, begun = done
    return schemas.RecoveryAnswer(recovery_codes=[*codes], session=_after_rise(station, request, response, begun))


# -- everybody's accounts


def _account(station: Station, session: Any, account: str) -> schemas.AccountAnswer:
    row = station.office.find(session, account)
    return schemas.account_answer(row, repository.grants(session, [account]))


@router.get("/accounts", summary="Accounts (账号)", responses=ASKED)
def list_accounts(
    station: CurrentStation,
    by: Read,
    kind: Kind | None = None,
    limit: Limit = PAGE,
    after: Annotated[str, Query(max_length=32, description="`next` of the page before")] = "",
) -> schemas.AccountPage:
    """Those within reach, by id, with everything that they were granted."""
    items: list[schemas.AccountAnswer] = []
    with station.database.read() as session:
        at, more = after, True
        while more and len(items) <= limit:
            rows = repository.accounts(session, after=at, kind=None if kind is None else kind.value, limit=200)
            grants = repository.grants(session, [row.id for row in rows])
            for row in rows:
                own = [grant for grant in grants if grant.account == row.id]
                subjects = (station.office.subject(grant.role, grant.scope) for grant in own)
                if by.reach.everything or any(by.reach.covers(subject) for subject in subjects):
                    items.append(schemas.account_answer(row, own))
            more = len(rows) == 200
            at = rows[-1].id if rows else at
    shown = items[:limit]
    return schemas.AccountPage(items=shown, next=shown[-1].id if len(items) > limit else None)


@router.post(
    "/accounts",
    summary="Open an account",
    status_code=HTTPStatus.CREATED,
    responses=ASKED | answers(HTTPStatus.CONFLICT),
)
def open_account(
    station: CurrentStation, by: Annotated[Authority, may("account.open")], asked: schemas.NewAccount
) -> schemas.OpenedAnswer:
    """Without rights. A person with a login gets a one-time password, to be changed at the first sign-in."""
    secret = station.office.one_time_secret() if asked.kind == "person" and asked.login is not None else None
    hashed = None if secret is None else station.accounts.passwords.hash(secret)
    try:
        with station.database.write() as session:
            account = station.office.open(
                session, by.principal.account, kind=Kind(asked.kind), name=asked.name, login=asked.login,
                phone=asked.phone, language=asked.language, hashed=hashed, one_time=secret is not None,
            )  # fmt: skip
            shown = _account(station, session, account)
    except IntegrityError:
        raise LoginTaken from None
    return schemas.OpenedAnswer(account=shown, one_time_password=secret)


@router.get("/accounts/{account}", summary="One account", responses=ASKED | FOUND)
def get_account(station: CurrentStation, response: Response, by: Read, account: Id) -> schemas.AccountAnswer:
    """With everything that it was ever granted."""
    with station.database.read() as session:
        row = station.office.reached(session, by, account)
        response.headers["ETag"] = etag(row.version)
        return _account(station, session, account)


@router.patch(
    "/accounts/{account}",
    summary="Change name, phone or language",
    responses=ASKED | FOUND | answers(HTTPStatus.PRECONDITION_FAILED),
)
def change_account(
    station: CurrentStation,
    response: Response,
    by: Manage,
    account: Id,
    *,
    asked: schemas.ChangedAccount,
    if_match: IfMatch,
) -> schemas.AccountAnswer:
    """Only of the version that was read."""
    values = asked.model_dump(exclude_unset=True)
    values = {name: value for name, value in values.items() if value is not None or name == "phone"}
    with station.database.write() as session:
        row = station.office.change(session, by, account, version=int(if_match.strip('"')), values=values)
        response.headers["ETag"] = etag(row.version)
        return _account(station, session, account)


@router.post(
    "/accounts/{account}/close",
    summary="Close an account (注销)",
    responses=ASKED | FOUND | answers(HTTPStatus.CONFLICT),
)
def close_account(station: CurrentStation, by: Manage, account: Id, asked: schemas.Because) -> schemas.AccountAnswer:
    """Its sessions, tokens and rights end at once."""
    with station.database.write() as session:
        station.office.close(session, by, account, asked.reason)
        return _account(station, session, account)


@router.post("/accounts/{account}/reset", summary="Give a one-time password", responses=ASKED | FOUND)
def reset_account(station: CurrentStation, by: Manage, account: Id, asked: schemas.Reset) -> schemas.SecretAnswer:
    """For somebody who lost his password, his PIN or his second factor. His sessions end."""
    secret = station.office.one_time_secret()
    hashed = station.accounts.passwords.hash(secret)
    with station.database.write() as session:
        station.office.reset(session, by, account, hashed, second_factor=asked.second_factor)
    return schemas.SecretAnswer(one_time_password=secret)


# -- grants and tokens


@router.post(
    "/accounts/{account}/grants",
    summary="Give a role over something (授权)",
    status_code=HTTPStatus.CREATED,
    responses=ASKED | FOUND | answers(HTTPStatus.CONFLICT),
)
def give_grant(station: CurrentStation, by: Give, account: Id, asked: schemas.NewGrant) -> schemas.GrantAnswer:
    """From a day to a day. A deputy (AB 岗) gets what the other has, and names him."""
    with station.database.write() as session:
        row = station.office.give(
            session, by, account, role=asked.role, scope=asked.scope, from_ms=_ms(asked.from_), to_ms=_ms(asked.to),
            deputy_of=asked.deputy_of,
        )  # fmt: skip
        return schemas.grant_answer(row)


def _ms(at: Any) -> int | None:
    return None if at is None else int(at.timestamp() * 1_000)


@router.post(
    "/grants/{number}/end",
    summary="Take a grant back",
    responses=ASKED | FOUND | answers(HTTPStatus.CONFLICT),
)
def end_grant(station: CurrentStation, by: Give, number: Number, asked: schemas.Because) -> schemas.GrantAnswer:
    """It ends now, also for requests that are on their way."""
    with station.database.write() as session:
        return schemas.grant_answer(station.office.take(session, by, number, asked.reason))


@router.get("/accounts/{account}/tokens", summary="Tokens of a machine", responses=ASKED | FOUND)
def list_tokens(station: CurrentStation, _by: Tokens, account: Id) -> schemas.TokenList:
    """Without the tokens themselves, which nobody has but the machine."""
    with station.database.read() as session:
        station.office.find(session, account)
        return schemas.TokenList(items=[schemas.token_answer(row) for row in repository.tokens(session, account)])


@router.post(
    "/accounts/{account}/tokens",
    summary="Make a token for a machine",
    status_code=HTTPStatus.CREATED,
    responses=ASKED | FOUND | answers(HTTPStatus.CONFLICT),
)
def make_token(station: CurrentStation, by: Tokens, account: Id, asked: schemas.NewToken) -> schemas.MadeToken:
    """The token is told once."""
    with station.database.write() as session:
        expires = station.clock() + asked.days * 86_400_000
        made, token = station.office.make_token(
            session, by.principal.account, account, label=asked.label, expires_ms=expires
        )
    return schemas.MadeToken(id=made, token=token)


@router.post(
    "/accounts/{account}/tokens/{token}/revoke",
    summary="Revoke a token",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ASKED | FOUND,
)
def revoke_token(station: CurrentStation, by: Tokens, account: Id, token: Id) -> None:
    """It is good for nothing from the next request on."""
    with station.database.write() as session:
        station.office.revoke_token(session, by.principal.account, account, token)


# -- desks


@router.get("/desks", summary="Paired workstations", responses=ASKED)
def list_desks(station: CurrentStation, by: Pair) -> schemas.DeskList:
    """Those of the areas within reach."""
    with station.database.read() as session:
        rows = repository.desks(session)
    shown = [row for row in rows if by.reach.covers(station.office.subject(Role.DUTY_OFFICER, row.area))]
    return schemas.DeskList(items=[schemas.desk_answer(row, row.name) for row in shown])


@router.post(
    "/desks",
    summary="Pair this workstation with an area",
    status_code=HTTPStatus.CREATED,
    responses=ASKED | FOUND,
)
def pair_desk(
    station: CurrentStation, request: Request, response: Response, by: Pair, asked: schemas.NewDesk
) -> schemas.DeskAnswer:
    """Its officers change by PIN from now on. It shows alarms while it is on duty, whoever's session ends."""
    with station.database.write() as session:
        account, cookie = station.office.pair(session, by, name=asked.name, area=asked.area)
        row = repository.one(session, repository.DESK, account=account)
    assert row is not None, "it was paired a moment ago"
    _set_cookie(response, request, DESK_COOKIE, cookie, age_s=DESK_AGE_S)
    return schemas.desk_answer(row, asked.name)


@router.post(
    "/desks/{desk}/unpair",
    summary="Take a workstation's pairing away",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ASKED | FOUND,
)
def unpair_desk(station: CurrentStation, by: Pair, desk: Id, asked: schemas.Because) -> None:
    """It shows nothing any more."""
    with station.database.write() as session:
        station.office.unpair(session, by, desk, asked.reason)


@router.put("/session/duty", summary="Put this desk on duty, or take it off (上岗, 下岗)", responses=ASKED | FOUND)
def set_duty(
    station: CurrentStation, request: Request, by: Annotated[Authority, may("desk.duty")], asked: schemas.Duty
) -> schemas.DeskAnswer:
    """A desk on duty never stops showing because a session ended; only an officer takes it off duty."""
    given, proof = presented(request), proof_of(request)
    with station.database.write() as session:
        desk = station.accounts.desk(session, given)
        if desk is None or not by.reach.covers(station.office.subject(Role.DUTY_OFFICER, desk.area)):
            raise NotThere("this workstation is not paired with an area of yours")
        change = station.accounts.on_duty if asked.on_duty else station.accounts.off_duty
        row = change(session, given, proof)
    assert row is not None, "the desk was found in the same transaction"
    return schemas.desk_answer(row, desk.name)


# -- joining


@router.post(
    "/places/{place}/joining",
    summary="Make a joining code for a household",
    status_code=HTTPStatus.CREATED,
    responses=ASKED | FOUND,
)
def invite(
    station: CurrentStation, by: Annotated[Authority, may("joining.invite")], place: Id
) -> schemas.JoiningAnswer:
    """Good once, for a day. It is told once: print it or read it out at the door."""
    with station.database.write() as session:
        id_, code, expires = station.office.invite(session, by, place)
    return schemas.JoiningAnswer(id=id_, code=code, expires=iso(expires))


@router.post(
    "/join",
    summary="Join as a household, by a code",
    status_code=HTTPStatus.CREATED,
    responses=COMMON | answers(HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN),
    dependencies=[anybody("joining.use")],
)
def join(station: CurrentStation, request: Request, asked: schemas.Join) -> schemas.JoinedAnswer:
    """The account waits until the grid worker or the group leader says that it is the household's."""
    own_page(station, request, None)
    with station.database.read() as session:
        if not station.office.may_join(session, asked.code):
            raise BadJoiningCode
    hashed = station.accounts.passwords.hash(asked.password.get_secret_value())
    with station.database.write() as session:
        joined = station.office.join(
            session, asked.code, name=asked.name, login=asked.login, hashed=hashed, phone=asked.phone,
            language=asked.language,
        )  # fmt: skip
    if isinstance(joined, Problem):
        raise joined
    return schemas.JoinedAnswer()


@router.get("/joinings", summary="Households that wait to be confirmed", responses=ASKED)
def list_joinings(station: CurrentStation, by: Annotated[Authority, may("joining.settle")]) -> schemas.WaitingList:
    """Oldest first."""
    with station.database.read() as session:
        rows = station.office.waiting(session, by)
    return schemas.WaitingList(
        items=[
            schemas.WaitingAnswer(id=row.id, place=row.place, name=row.name, joined=iso(row.used_ms)) for row in rows
        ]
    )


@router.post(
    "/joinings/{joining}/settle",
    summary="Confirm a household's account, or refuse it",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ASKED | FOUND | answers(HTTPStatus.CONFLICT),
)
def settle_joining(
    station: CurrentStation,
    by: Annotated[Authority, may("joining.settle")],
    joining: Id,
    asked: schemas.Settled,
) -> None:
    """By somebody who knows the household."""
    with station.database.write() as session:
        station.office.settle(session, by, joining, confirmed=asked.confirmed, reason=asked.reason)
