"""Who somebody is: sessions, desks, tokens, second factor. Never commits.

Argon2 takes tens of milliseconds, so nothing here reckons it inside a transaction: `look_up` reads what there is,
the endpoint lets `passwords` compare, `begin` writes what came of it. What is wrong is returned and not raised where
the count of failures must be committed first.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row, Table
from sqlmodel import Session

from api.accounts import proofs, repository, rules
from api.accounts.factors import Factors
from api.accounts.problems import CodeNeeded, TooManyTries, WeakSecret, WrongOrder, WrongSecret
from api.accounts.repository import ACCOUNT, DESK, RECOVERY, SIGN_IN, TOKEN, Known
from api.accounts.rules import Ended, Limits, State
from api.audit import service as audit
from api.clock import Clock
from api.problems import Problem
from api.rights.rules import Grant, Principal
from api.settings import AccountSettings

TOUCH_MS: Final = 60_000
"""A session's last use is written at most this often."""
DESK_TOUCH_MS: Final = 15_000
TOKEN_TOUCH_MS: Final = 3_600_000
RECOVERY_CODES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a request brought to show who sends it."""

    bearer: str | None = None
    cookie: str | None = None
    desk: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """A note of when something was last used, to be written."""

    table: Table
    key: str
    value: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who sends a request, how it was proved, and what is still to be done before he may use his rights.

    `principal` holds what may be used now; `granted` all that the account has. `cookie`: what the CSRF token is made
    of; None where no cookie was used. `session`, `desk`: the digest of the session, the desk's account.
    """

    principal: Principal
    granted: Principal
    must: tuple[str, ...] = ()
    cookie: str | None = None
    session: str | None = None
    desk: str | None = None
    touch: Touch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """Somebody who wants to sign in, as far as the tables know him."""

    account: Row[Any] | None
    counts: tuple[tuple[str, int], ...]
    """What failures are counted by, and the most that each makes wait."""
    desk: str | None
    pin: bool

    @property
    def kept(self) -> str | None:
        """The hash that the secret is held against; None: nobody's."""
        if self.account is None or self.account.state != State.ACTIVE:
            return None
        kept: str | None = self.account.pin if self.pin else self.account.password
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A new session: its cookie, which is told once."""

    cookie: str
    account: str


class Accounts:
    """Proving who one is."""

    def __init__(
        self,
        settings: AccountSettings,
        factors: Factors,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        issuer: str,
    ) -> None:
        self.settings = settings
        self.factors = factors
        self.passwords = proofs.Passwords()
        self._clock = clock
        self._random = random_bytes
        self._issuer = issuer

    # -- who is it

    def who(self, session: Session, given: Presented) -> Proof | None:
        """Whose request this is. Nothing is remembered from an earlier one: what was revoked ends with the next."""
        now = self._clock()
        if given.bearer is not None:
            return self._by_token(session, given.bearer, now)
        return self._by_session(session, given, now) or self._by_desk(session, given, now)

    def _by_token(self, session: Session, bearer: str, now: int) -> Proof | None:
        found = repository.by_token(session, proofs.digest(bearer), now_ms=now)
        if found is None:
            return None
        known, row = found
        principal = Principal(account=known.account, name=known.name, grants=known.grants, via="token")
        late = now - (row.used_ms or 0) >= TOKEN_TOUCH_MS
        touch = Touch(table=TOKEN, key="id", value=row.token, column="used_ms") if late else None
        return Proof(principal=principal, granted=principal, touch=touch)

    def limits(self, *, at_desk: bool, at_home: bool = False) -> Limits:
        """How long a session lasts: on a shared workstation it is idle sooner, at home it goes on while it is used."""
        if at_home and not at_desk:
            return Limits(idle_ms=self.settings.home_s * 1_000, absolute_ms=rules.NEVER_MS)
        idle_s = self.settings.desk_idle_s if at_desk else self.settings.idle_s
        return Limits(idle_ms=idle_s * 1_000, absolute_ms=self.settings.absolute_s * 1_000)

    def _by_session(self, session: Session, given: Presented, now: int) -> Proof | None:
        if given.cookie is None:
            return None
        digest = proofs.digest(given.cookie)
        found = repository.by_session(session, digest, now_ms=now)
        if found is None:
            return None
        known, row = found
        if row.desk is not None and not self._at_desk(session, given, row.desk, now):
            return None
        at_home = rules.at_home({grant.role for grant in known.grants})
        limits = self.limits(at_desk=row.desk is not None, at_home=at_home)
        if rules.has_ended(began_ms=row.began_ms, seen_ms=row.seen_ms, now_ms=now, limits=limits):
            return None
        granted = Principal(account=known.account, name=known.name, grants=known.grants, via="session")
        must, usable = self._usable(session, known, second_factor=row.second_factor)
        late = now - row.seen_ms >= TOUCH_MS
        return Proof(
            principal=replace(granted, grants=usable),
            granted=granted,
            must=must,
            cookie=given.cookie,
            session=digest,
            desk=row.desk,
            touch=Touch(table=SIGN_IN, key="digest", value=digest, column="seen_ms") if late else None,
        )

    @staticmethod
    def _at_desk(session: Session, given: Presented, desk: str, now: int) -> bool:
        """A session that was begun on a paired desk is good there alone."""
        found = None if given.desk is None else repository.by_desk(session, proofs.digest(given.desk), now_ms=now)
        return found is not None and found[0].account == desk

    def _usable(
        self, session: Session, known: Known, *, second_factor: bool
    ) -> tuple[tuple[str, ...], tuple[Grant, ...]]:
        """What has to be done first, and the grants that are good before it is."""
        if known.one_time:
            return ("change_password",), ()
        withheld = [grant for grant in known.grants if grant.role in rules.SECOND_FACTOR]
        if second_factor or not withheld:
            return (), known.grants
        account = repository.one(session, ACCOUNT, id=known.account)
        word = "set_up_second_factor" if account is None or account.totp is None else "sign_in_with_second_factor"
        return (word,), tuple(grant for grant in known.grants if grant not in withheld)

    def _by_desk(self, session: Session, given: Presented, now: int) -> Proof | None:
        """A desk on duty: it reads on, whoever's session ended."""
        found = None if given.desk is None else repository.by_desk(session, proofs.digest(given.desk), now_ms=now)
        if found is None or found[1].duty_ms is None:
            return None
        known, row = found
        principal = Principal(account=known.account, name=known.name, grants=known.grants, via="desk")
        late = now - row.seen_ms >= DESK_TOUCH_MS
        return Proof(
            principal=principal,
            granted=principal,
            cookie=given.desk,
            desk=known.account,
            touch=Touch(table=DESK, key="account", value=known.account, column="seen_ms") if late else None,
        )

    def touch(self, session: Session, touch: Touch) -> None:
        """Note that it was used."""
        repository.change(session, touch.table, {touch.key: touch.value}, **{touch.column: self._clock()})

    def desk(self, session: Session, given: Presented) -> Row[Any] | None:
        """The paired desk that a request comes from, on duty or not."""
        found = (
            None if given.desk is None else repository.by_desk(session, proofs.digest(given.desk), now_ms=self._clock())
        )
        return None if found is None else found[1]

    # -- signing in

    def look_up(self, session: Session, given: Presented, *, login: str, source: str, pin: bool) -> LookedUp | Problem:
        """What there is to compare with; a problem when it is too early for another try."""
        desk = self.desk(session, given)
        if pin and desk is None:
            return WrongSecret()
        account = repository.one(session, ACCOUNT, login=login.casefold())
        about = proofs.digest(f"login:{login.casefold()}")
        counts: tuple[tuple[str, int], ...]
        if desk is None:
            counts = (
                (proofs.digest(f"source:{source}"), rules.SOURCE_WAIT_MS),
                (about, rules.ACCOUNT_WAIT_MS),
            )
        else:
            counts = ((proofs.digest(f"desk:{desk.id}:{about}"), rules.DESK_WAIT_MS),)
        found = LookedUp(account=account, counts=counts, desk=None if desk is None else desk.id, pin=pin)
        return self._too_early(session, found) or found

    def _too_early(self, session: Session, found: LookedUp) -> TooManyTries | None:
        now = self._clock()
        waits = []
        for about, most in found.counts:
            times, last = repository.failures(session, about)
            if now - last < rules.FORGET_MS:
                waits.append(last + rules.wait_ms(times, most_ms=most) - now)
        return TooManyTries(max(waits)) if waits and max(waits) > 0 else None

    def begin(
        self, session: Session, found: LookedUp, *, fits: bool, code: str | None, before: str | None
    ) -> Begun | Problem:
        """A session for whoever proved it, under a new cookie; or what was wrong, once the failure is committed.

        `before`: the digest of the session that this one takes the place of.
        """
        early = self._too_early(session, found)  # many tries may have been reckoned side by side
        if early is not None:
            return early
        now, account = self._clock(), found.account
        if account is None or not fits:
            return self._failed(session, found, now)
        second = False
        if account.totp is not None and not found.pin:
            if code is None:
                return CodeNeeded()
            if not self._code_fits(session, account, code, now):
                return self._failed(session, found, now)
            second = True
        for about, most in found.counts:
            if most != rules.SOURCE_WAIT_MS:
                repository.set_failures(session, about, 0, now_ms=now)
        why = Ended.CHANGED_OFFICER if found.desk is not None else Ended.ROTATED
        if before is not None:
            repository.end_sessions(session, why, now_ms=now, digest=before)
        if found.desk is not None:
            repository.end_sessions(session, why, now_ms=now, desk=found.desk)
        how = "pin" if found.pin else "password and code" if second else "password"
        audit.record(
            session, at_ms=now, by=account.id, action="session.begin", about=f"account:{account.id}",
            detail={"how": how, "desk": found.desk},
        )  # fmt: skip
        return self._new_session(session, account.id, desk=found.desk, second_factor=second, now=now)

    def _failed(self, session: Session, found: LookedUp, now: int) -> WrongSecret:
        for about, _most in found.counts:
            times, last = repository.failures(session, about)
            repository.set_failures(session, about, 1 if now - last >= rules.FORGET_MS else times + 1, now_ms=now)
        if found.account is not None:
            audit.record(
                session, at_ms=now, by=None, action="session.refused", about=f"account:{found.account.id}",
                detail={"desk": found.desk},
            )  # fmt: skip
        return WrongSecret()

    def _code_fits(self, session: Session, account: Row[Any], code: str, now: int) -> bool:
        secret = self.factors.open(account.id, account.totp)
        step = None if secret is None else proofs.totp_step(secret, code, at_ms=now, after=account.totp_step)
        if step is None:
            return repository.use_recovery_code(session, account.id, proofs.digest(code.upper()), now_ms=now)
        # Compare and set: of two requests with one code, one.
        where: dict[str, object] = {"id": account.id, "totp_step": account.totp_step}
        return repository.change(session, ACCOUNT, where, totp_step=step) == 1

    def _new_session(
        self,
        session: Session,
        account: str,
        *,
        desk: str | None,
        second_factor: bool,
        now: int,
        began_ms: int | None = None,
    ) -> Begun:
        cookie = proofs.token(self._random(proofs.TOKEN_BYTES))
        repository.add(
            session, SIGN_IN, digest=proofs.digest(cookie), account=account, desk=desk, second_factor=second_factor,
            began_ms=now if began_ms is None else began_ms, seen_ms=now,
        )  # fmt: skip
        return Begun(cookie=cookie, account=account)

    def end(self, session: Session, proof: Proof) -> None:
        """Sign out. A desk on duty stays on duty."""
        now = self._clock()
        if proof.session is not None:
            repository.end_sessions(session, Ended.SIGNED_OUT, now_ms=now, digest=proof.session)
            account = proof.principal.account
            audit.record(session, at_ms=now, by=account, action="session.end", about=f"account:{account}")

    # -- one's own account

    def own(self, session: Session, proof: Proof) -> Row[Any]:
        """The account's own row."""
        found = repository.one(session, ACCOUNT, id=proof.principal.account)
        assert found is not None, "a proof is of an account that is there"
        return found

    def rise(self, session: Session, proof: Proof, *, second_factor: bool) -> Begun | None:
        """Give the session a new cookie because it may do more from now on, and end all others of the account."""
        if proof.session is None:
            return None
        now = self._clock()
        row = repository.one(session, SIGN_IN, digest=proof.session)
        assert row is not None, "a proof is of a session that is there"
        repository.end_sessions(session, Ended.ROTATED, now_ms=now, digest=proof.session)
        repository.end_sessions(session, Ended.CREDENTIALS, now_ms=now, account=row.account)
        return self._new_session(
            session,
            row.account,
            desk=row.desk,
            second_factor=row.second_factor or second_factor,
            now=now,
            began_ms=row.began_ms,
        )

    def set_password(self, session: Session, proof: Proof, hashed: str) -> Begun | None:
        """Set a password of one's own; every other session of the account ends."""
        self._change(session, proof, "account.password", password=hashed, one_time=False)
        return self.rise(session, proof, second_factor=False)

    def set_pin(self, session: Session, proof: Proof, pin: str, hashed: str) -> None:
        """Set the PIN for quick changes of officer. Raises WeakSecret."""
        if rules.weak_pin(pin):
            raise WeakSecret("PIN")
        self._change(session, proof, "account.pin", pin=hashed)

    def offer_totp(self, session: Session, proof: Proof) -> tuple[str, str]:
        """A new secret for a second factor, and its address; it counts once it was confirmed."""
        account = self.own(session, proof)
        secret = proofs.new_totp(self._random(20))
        repository.change_account(session, account.id, totp_waiting=self.factors.seal(account.id, secret))
        return secret, proofs.totp_address(secret, login=account.login or account.id, issuer=self._issuer)

    def confirm_totp(self, session: Session, proof: Proof, code: str) -> tuple[tuple[str, ...], Begun | None] | Problem:
        """Take the second factor into use; the recovery codes are told once."""
        account, now = self.own(session, proof), self._clock()
        secret = None if account.totp_waiting is None else self.factors.open(account.id, account.totp_waiting)
        if secret is None:
            return WrongOrder("ask for a secret first")
        step = proofs.totp_step(secret, code, at_ms=now, after=0)
        if step is None:
            return WrongSecret()
        self._change(
            session,
            proof,
            "account.second_factor",
            totp=self.factors.seal(account.id, secret),
            totp_waiting=None,
            totp_step=step,
        )
        repository.forget_recovery_codes(session, account.id)
        codes = tuple(proofs.readable(self._random(10)) for _ in range(RECOVERY_CODES))
        for one in codes:
            repository.add(session, RECOVERY, account=account.id, digest=proofs.digest(one))
        return codes, self.rise(session, proof, second_factor=True)

    def _change(self, session: Session, proof: Proof, action: str, **values: Any) -> None:
        account = proof.principal.account
        repository.change_account(session, account, **values)
        audit.record(session, at_ms=self._clock(), by=account, action=action, about=f"account:{account}")

    # -- desks

    def on_duty(self, session: Session, given: Presented, proof: Proof) -> Row[Any] | None:
        """Put the desk that the request comes from on duty; None when it comes from none."""
        desk, now = self.desk(session, given), self._clock()
        if desk is None:
            return None
        officer = proof.principal.account
        repository.change(session, DESK, {"account": desk.id}, duty_ms=now, officer=officer, seen_ms=now)
        audit.record(session, at_ms=now, by=officer, action="desk.on_duty", about=f"account:{desk.id}")
        return repository.one(session, DESK, account=desk.id)

    def off_duty(self, session: Session, given: Presented, proof: Proof) -> Row[Any] | None:
        """Take the desk that the request comes from off duty: it stops showing."""
        desk, now = self.desk(session, given), self._clock()
        if desk is None:
            return None
        repository.change(session, DESK, {"account": desk.id}, duty_ms=None, officer=None)
        by = proof.principal.account
        audit.record(session, at_ms=now, by=by, action="desk.off_duty", about=f"account:{desk.id}")
        return repository.one(session, DESK, account=desk.id)

    # -- by the clock

    def sweep(self, session: Session, now_ms: int) -> int:
        """End what has reached its limits, and forget old counts of failures."""
        repository.forget_failures(session, before_ms=now_ms - rules.FORGET_MS)
        ended = 0
        for at_desk, at_home in ((False, False), (False, True), (True, False)):
            limits = self.limits(at_desk=at_desk, at_home=at_home)
            ended += repository.end_old_sessions(session, limits, at_desk=at_desk, at_home=at_home, now_ms=now_ms)
        return ended
