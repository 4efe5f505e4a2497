"""Whose accounts there are, and what they were granted: the administrator's side, seeds, joining. Never commits."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Row
from sqlmodel import Session

from api.accounts import proofs, repository, rules
from api.accounts.problems import BadJoiningCode, LoginTaken, NoSuchAccount, NoSuchScope, WrongOrder
from api.accounts.repository import ACCOUNT, DESK, GRANT, JOINING, TOKEN
from api.accounts.rules import Ended, Kind, State
from api.audit import service as audit
from api.clock import Clock
from api.etags import StaleVersion
from api.problems import MayNot, NotThere, Problem
from api.register import repository as companies
from api.register.service import Register
from api.rights.rules import Authority, Role, Subject, rights
from api.settings import AccountSettings, StationSettings

ADMIN_LOGIN: Final = "admin"
FIRST_FILE: Final = "first-administrator.txt"
SEED: Final = "site.toml"


class Office:
    """Accounts, grants, tokens, desks and joining."""

    def __init__(
        self,
        settings: AccountSettings,
        register: Register,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._register = register
        self._clock = clock
        self._random = random_bytes

    def _new_id(self, letter: str) -> str:
        return f"{letter}-{proofs.readable(self._random(10)).replace('-', '').lower()}"

    def one_time_secret(self) -> str:
        """A password for the first sign-in, to be told once and changed then."""
        return proofs.readable(self._random(15))

    # -- accounts

    def find(self, session: Session, account: str) -> Row[Any]:
        """The account of this id. Raises NoSuchAccount."""
        found = repository.one(session, ACCOUNT, id=account)
        if found is None:
            raise NoSuchAccount(account)
        return found

    def reached(self, session: Session, by: Authority, account: str) -> Row[Any]:
        """The account, if it has or had a grant within reach. Raises NoSuchAccount."""
        found = self.find(session, account)
        if by.reach.everything:
            return found
        for grant in repository.grants(session, [account]):
            if by.reach.covers(self.subject(grant.role, grant.scope)):
                return found
        raise NoSuchAccount(account)

    def open(
        self,
        session: Session,
        by: str | None,
        *,
        kind: Kind,
        name: str,
        login: str | None = None,
        phone: str | None = None,
        language: str = "zh",
        hashed: str | None = None,
        one_time: bool = False,
        state: State = State.ACTIVE,
        id_: str | None = None,
    ) -> str:
        """A new account, without any rights; its id. Raises LoginTaken."""
        now = self._clock()
        login = None if login is None else login.casefold()
        if login is not None and repository.one(session, ACCOUNT, login=login) is not None:
            raise LoginTaken
        account = id_ or self._new_id("a")
        repository.add(
            session, ACCOUNT, id=account, kind=kind.value, login=login, name=name, phone=phone, language=language,
            state=state.value, password=hashed, one_time=one_time, totp_step=0, made_ms=now, version=1,
        )  # fmt: skip
        about = f"account:{account}"
        audit.record(session, at_ms=now, by=by, action="account.open", about=about, detail={"kind": kind.value})
        return account

    def change(
        self, session: Session, by: Authority, account: str, *, version: int, values: dict[str, Any]
    ) -> Row[Any]:
        """Change name, phone or language. Raises StaleVersion or NoSuchAccount."""
        found = self.reached(session, by, account)
        if not repository.change_account(session, account, version=version, **values):
            raise StaleVersion(found.version)
        audit.record(
            session, at_ms=self._clock(), by=by.principal.account, action="account.change",
            about=f"account:{account}", detail={"fields": sorted(values)},
        )  # fmt: skip
        return self.find(session, account)

    def close(self, session: Session, by: Authority, account: str, reason: str) -> None:
        """Close an account: no session, no token and no right of it is good any more. Raises WrongOrder."""
        self.reached(session, by, account)
        if account == by.principal.account:
            raise WrongOrder("somebody else has to close your account")
        self.shut(session, account, by=by.principal.account, reason=reason)

    def shut(self, session: Session, account: str, *, by: str | None, reason: str) -> None:
        """Close an account, whoever has decided it."""
        now = self._clock()
        repository.change_account(session, account, state=State.CLOSED.value, closed_ms=now)
        repository.end_sessions(session, Ended.CLOSED, now_ms=now, account=account)
        repository.change(session, TOKEN, {"account": account, "revoked_ms": None}, revoked_ms=now)
        for grant in repository.grants(session, [account]):
            if grant.to_ms is None or grant.to_ms > now:
                repository.change(session, GRANT, {"number": grant.number}, to_ms=max(now, grant.from_ms))
        about = f"account:{account}"
        audit.record(session, at_ms=now, by=by, action="account.close", about=about, reason=reason)

    def reset(self, session: Session, by: Authority, account: str, hashed: str, *, second_factor: bool) -> None:
        """Set a one-time password for somebody who lost his; his sessions end. With `second_factor` that goes, too."""
        self.reached(session, by, account)
        values: dict[str, Any] = {"password": hashed, "one_time": True, "pin": None}
        if second_factor:
            values |= {"totp": None, "totp_waiting": None}
            repository.forget_recovery_codes(session, account)
        now = self._clock()
        repository.change_account(session, account, **values)
        repository.end_sessions(session, Ended.CREDENTIALS, now_ms=now, account=account)
        audit.record(
            session, at_ms=now, by=by.principal.account, action="account.reset", about=f"account:{account}",
            detail={"second_factor": second_factor},
        )  # fmt: skip

    # -- grants

    def subject(self, role: str, scope: str) -> Subject:
        """What a grant of `role` over `scope` is about, for whoever wants to give or take it."""
        match rights().scopes[Role(role)]:
            case "area":
                return self._register.subject_of_area(scope)
            case "place":
                return self._register.subject(scope)
            case "company":
                return Subject(company=scope)
            case _:
                return Subject()

    def check_scope(self, session: Session, role: Role, scope: str) -> None:
        """Raises NoSuchScope when the register does not have it."""
        kind = rights().scopes[role]
        match kind:
            case "area":
                known = scope == self._register.station or self._register.area(scope) is not None
            case "place":
                known = self._register.place(scope) is not None
            case "company":
                known = companies.row(session, "company", self._register.station, scope) is not None
            case _:
                known = scope == ""
        if not known:
            raise NoSuchScope(scope, kind)

    def give(
        self, session: Session, by: Authority, account: str, *, role: Role, scope: str, from_ms: int | None,
        to_ms: int | None, deputy_of: str | None,
    ) -> Row[Any]:  # fmt: skip
        """Give an account a role over something. Raises NoSuchAccount, NoSuchScope, MayNot or WrongOrder."""
        now = self._clock()
        if self.find(session, account).state != State.ACTIVE:
            raise NoSuchAccount(account)
        self.check_scope(session, role, scope)
        held = by.reach.covers(self.subject(role, scope))
        if not any(rules.may_give(one.role, role) for one in held):
            raise MayNot(by.action)
        if deputy_of is not None:
            self._check_deputy(session, account, deputy_of, role=role, scope=scope)
        start = now if from_ms is None else from_ms
        if to_ms is not None and to_ms <= start:
            raise WrongOrder("a grant ends after it begins")
        number = repository.add_grant(
            session, account=account, role=role.value, scope=scope, from_ms=start, to_ms=to_ms, deputy_of=deputy_of,
            given_by=by.principal.account, given_ms=now,
        )  # fmt: skip
        audit.record(
            session, at_ms=now, by=by.principal.account, action="grant.give", about=f"account:{account}",
            detail={"grant": number, "role": role.value, "scope": scope, "to_ms": to_ms, "deputy_of": deputy_of},
        )  # fmt: skip
        return self.grant(session, number)

    def _check_deputy(self, session: Session, account: str, deputy_of: str, *, role: Role, scope: str) -> None:
        if account == deputy_of:
            raise WrongOrder("nobody is his own deputy")
        theirs = [
            one
            for one in repository.grants(session, [deputy_of])
            if (one.role, one.scope) == (role.value, scope) and (one.to_ms is None or one.to_ms > self._clock())
        ]
        if not theirs:
            raise WrongOrder("a deputy gets what the other has: the same role over the same")

    def grant(self, session: Session, number: int) -> Row[Any]:
        """The grant of this number. Raises NotThere."""
        found = repository.one(session, GRANT, number=number)
        if found is None:
            raise NotThere(f"no grant {number} here")
        return found

    def take(self, session: Session, by: Authority, number: int, reason: str) -> Row[Any]:
        """End a grant now. Raises NotThere, MayNot or WrongOrder."""
        found, now = self.grant(session, number), self._clock()
        held = by.reach.covers(self.subject(found.role, found.scope))
        if not held:
            raise NotThere(f"no grant {number} here")
        if not any(rules.may_give(one.role, Role(found.role)) for one in held):
            raise MayNot(by.action)
        if found.to_ms is not None and found.to_ms <= now:
            raise WrongOrder("it has ended already")
        if found.role == Role.ADMINISTRATOR and self._only_administrator(session, found.account, now):
            raise WrongOrder("one administrator has to stay")
        repository.change(session, GRANT, {"number": number}, to_ms=max(now, found.from_ms))
        audit.record(
            session, at_ms=now, by=by.principal.account, action="grant.take", about=f"account:{found.account}",
            detail={"grant": number}, reason=reason,
        )  # fmt: skip
        return self.grant(session, number)

    def _only_administrator(self, session: Session, account: str, now: int) -> bool:
        return repository.holders(session, Role.ADMINISTRATOR, now_ms=now) == [account]

    # -- tokens

    def make_token(
        self, session: Session, by: str | None, account: str, *, label: str, expires_ms: int | None
    ) -> tuple[str, str]:
        """A token for a machine: its id, and the token itself, which is told once. Raises NoSuchAccount, WrongOrder."""
        found, now = self.find(session, account), self._clock()
        if found.kind != Kind.MACHINE:
            raise WrongOrder("people sign in; tokens are for machines")
        token = f"sw_{proofs.token(self._random(proofs.TOKEN_BYTES))}"
        id_ = self._new_id("t")
        repository.add(
            session, TOKEN, id=id_, account=account, digest=proofs.digest(token), label=label, made_by=by,
            made_ms=now, expires_ms=expires_ms,
        )  # fmt: skip
        audit.record(
            session, at_ms=now, by=by, action="token.make", about=f"account:{account}", detail={"token": id_}
        )  # fmt: skip
        return id_, token

    def revoke_token(self, session: Session, by: str, account: str, token: str) -> None:
        """No request with it is good any more. Raises NotThere."""
        now = self._clock()
        if not repository.change(session, TOKEN, {"id": token, "account": account, "revoked_ms": None}, revoked_ms=now):
            raise NotThere("no such token, or it was revoked already")
        audit.record(
            session, at_ms=now, by=by, action="token.revoke", about=f"account:{account}", detail={"token": token}
        )  # fmt: skip

    # -- desks

    def pair(self, session: Session, by: Authority, *, name: str, area: str) -> tuple[str, str]:
        """Make this workstation a desk of an area: its account, and its cookie. Raises NoSuchScope or NotThere."""
        self.check_scope(session, Role.DUTY_OFFICER, area)
        if not by.reach.covers(self.subject(Role.DUTY_OFFICER, area)):
            raise NotThere(f"no area {area[:64]!r} here")
        now, officer = self._clock(), by.principal.account
        account = self.open(session, officer, kind=Kind.DESK, name=name, id_=self._new_id("d"))
        cookie = proofs.token(self._random(proofs.TOKEN_BYTES))
        repository.add(
            session, DESK, account=account, digest=proofs.digest(cookie), area=area, paired_by=officer,
            paired_ms=now, seen_ms=now,
        )  # fmt: skip
        repository.add_grant(
            session, account=account, role=Role.DUTY_OFFICER.value, scope=area, from_ms=now, given_by=officer,
            given_ms=now,
        )  # fmt: skip
        audit.record(
            session, at_ms=now, by=officer, action="desk.pair", about=f"account:{account}", detail={"area": area}
        )  # fmt: skip
        return account, cookie

    def unpair(self, session: Session, by: Authority, account: str, reason: str) -> None:
        """A desk that is a desk no more: it shows nothing, and nobody signs in on it by PIN. Raises NotThere."""
        desk = repository.one(session, DESK, account=account)
        if desk is None or not by.reach.covers(self.subject(Role.DUTY_OFFICER, desk.area)):
            raise NotThere(f"no desk {account[:64]!r} here")
        repository.change(session, DESK, {"account": account}, duty_ms=None, officer=None)
        repository.end_sessions(session, Ended.CLOSED, now_ms=self._clock(), desk=account)
        self.shut(session, account, by=by.principal.account, reason=reason)

    # -- joining

    def invite(self, session: Session, by: Authority, place: str) -> tuple[str, str, int]:
        """A code by which a household makes its account, once: the invitation's id, the code, its end."""
        if self._register.place(place) is None or not by.reach.covers(self._register.subject(place)):
            raise NotThere(f"no place {place[:64]!r} here")
        now = self._clock()
        id_, secret = self._new_id("j"), proofs.readable(self._random(5))
        expires = now + self._settings.joining_s * 1_000
        repository.add(
            session, JOINING, id=id_, place=place, digest=proofs.digest(secret), made_by=by.principal.account,
            made_ms=now, expires_ms=expires, tries=0,
        )  # fmt: skip
        audit.record(
            session, at_ms=now, by=by.principal.account, action="joining.invite", about=f"place:{place}",
            detail={"joining": id_},
        )  # fmt: skip
        return id_, f"{id_}-{secret}", expires

    def may_join(self, session: Session, code: str) -> bool:
        """Whether there is an invitation that this could be the code of: before anything costly is done."""
        found = repository.one(session, JOINING, id=_halves(code)[0])
        return found is not None and found.used_ms is None and found.tries < rules.JOINING_TRIES

    def join(
        self, session: Session, code: str, *, name: str, login: str, hashed: str, phone: str | None, language: str
    ) -> str | Problem:
        """An account that waits to be confirmed; or what is wrong, once the try is committed. Raises LoginTaken."""
        now = self._clock()
        id_, secret = _halves(code)
        found = repository.one(session, JOINING, id=id_)
        if found is None:
            return BadJoiningCode()
        good = (
            found.used_ms is None
            and found.expires_ms > now
            and found.tries < rules.JOINING_TRIES
            and proofs.digest(secret) == found.digest
        )
        if not good:
            repository.change(session, JOINING, {"id": id_}, tries=found.tries + 1)
            return BadJoiningCode()
        account = self.open(
            session, None, kind=Kind.PERSON, name=name, login=login, phone=phone, language=language, hashed=hashed,
            state=State.WAITING,
        )  # fmt: skip
        repository.change(session, JOINING, {"id": id_}, account=account, used_ms=now)
        about = f"place:{found.place}"
        audit.record(session, at_ms=now, by=None, action="joining.use", about=about, detail={"joining": id_})
        return account

    def waiting(self, session: Session, by: Authority) -> list[Row[Any]]:
        """Joined households within reach that nobody has confirmed."""
        return [row for row in repository.joinings(session) if by.reach.covers(self._register.subject(row.place))]

    def settle(self, session: Session, by: Authority, joining: str, *, confirmed: bool, reason: str | None) -> None:
        """Confirm that the account is the household's, or refuse it. Raises NotThere or WrongOrder."""
        found, now = repository.one(session, JOINING, id=joining), self._clock()
        if found is None or found.account is None or not by.reach.covers(self._register.subject(found.place)):
            raise NotThere(f"nobody joined by {joining[:64]!r} here")
        if found.settled_ms is not None:
            raise WrongOrder("it was settled already")
        who = by.principal.account
        repository.change(session, JOINING, {"id": joining}, settled_ms=now, settled_by=who, confirmed=confirmed)
        action = "joining.confirm" if confirmed else "joining.refuse"
        audit.record(
            session, at_ms=now, by=who, action=action, about=f"place:{found.place}", detail={"joining": joining},
            reason=reason,
        )  # fmt: skip
        if not confirmed:
            self.shut(session, found.account, by=who, reason=reason or "refused")
            return
        repository.change_account(session, found.account, state=State.ACTIVE.value)
        repository.add_grant(
            session, account=found.account, role=Role.HOUSEHOLD.value, scope=found.place, from_ms=now,
            given_by=who, given_ms=now,
        )  # fmt: skip

    # -- the beginning

    def seed(self, session: Session, settings: StationSettings) -> None:
        """Let every officer of the settings have an account, a grant over the station and his token.

        What an administrator took away stays away: a seed is planted once. A new token in the settings replaces the
        old one; an officer who is gone from the settings loses token and seeded grant.
        """
        now = self._clock()
        for officer in settings.officers:
            row = repository.one(session, ACCOUNT, id=officer.id)
            if row is None:
                self.open(session, None, kind=Kind.PERSON, name=officer.name, login=officer.id, id_=officer.id)
            elif row.name != officer.name and row.state == State.ACTIVE:
                repository.change_account(session, officer.id, name=officer.name)
            planted = [one for one in repository.grants(session, [officer.id]) if one.given_by is None]
            if not any(one.role == officer.role for one in planted):
                for old in planted:
                    self._end_seed(session, old, now)
                repository.add_grant(
                    session, account=officer.id, role=officer.role, scope=settings.station, from_ms=0, given_ms=now
                )
            self._seed_token(session, officer.id, officer.token_hash, now)
        self._forget_gone(session, {officer.id for officer in settings.officers}, now)

    def _seed_token(self, session: Session, account: str, digest: str, now: int) -> None:
        if repository.one(session, TOKEN, digest=digest) is not None:
            return
        repository.change(session, TOKEN, {"account": account, "label": SEED, "revoked_ms": None}, revoked_ms=now)
        repository.add(
            session, TOKEN, id=self._new_id("t"), account=account, digest=digest, label=SEED, made_ms=now
        )  # fmt: skip
        audit.record(session, at_ms=now, by=None, action="token.seed", about=f"account:{account}")

    def _forget_gone(self, session: Session, here: Iterable[str], now: int) -> None:
        for token in repository.seed_tokens(session, SEED):
            if token.account in {*here}:
                continue
            repository.change(session, TOKEN, {"id": token.id}, revoked_ms=now)
            for grant in repository.grants(session, [token.account]):
                if grant.given_by is None:
                    self._end_seed(session, grant, now)

    def _end_seed(self, session: Session, grant: Row[Any], now: int) -> None:
        if grant.to_ms is None:
            repository.change(session, GRANT, {"number": grant.number}, to_ms=max(now, grant.from_ms))
            about = f"account:{grant.account}"
            audit.record(session, at_ms=now, by=None, action="grant.take", about=about, detail={"grant": grant.number})

    def needs_administrator(self, session: Session) -> bool:
        """Whether nobody was ever made administrator."""
        return repository.one_of(session, GRANT, role=Role.ADMINISTRATOR.value) is None

    def first_administrator(self, session: Session, hashed: str) -> str:
        """The account of the first administrator, whose password is good once."""
        account = self.open(
            session,
            None,
            kind=Kind.PERSON,
            name="管理员 Administrator",
            login=ADMIN_LOGIN,
            hashed=hashed,
            one_time=True,
        )
        now = self._clock()
        repository.add_grant(
            session, account=account, role=Role.ADMINISTRATOR.value, from_ms=now, given_ms=now, scope=""
        )
        return account


def _halves(code: str) -> tuple[str, str]:
    """The invitation and the secret of a code, however it was typed."""
    letter, _, rest = "".join(code.split()).partition("-")
    id_, _, secret = rest.partition("-")
    return f"{letter}-{id_}".lower(), secret.upper()


def secret_path(settings: StationSettings) -> Path:
    """Where the first administrator's one-time secret is written: beside the database's file, or else the key."""
    if settings.accounts.secrets is not None:
        return settings.accounts.secrets / FIRST_FILE
    kind, _, path = settings.database.partition(":///")
    folder = Path(path).absolute().parent if kind == "sqlite" else settings.signing.path.parent
    return folder / FIRST_FILE


def write_secret(path: Path, secret: str) -> None:
    """Write it where only the owner of the program can read it."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"login: {ADMIN_LOGIN}\none-time password: {secret}\n")
        file.flush()
        os.fsync(file.fileno())
