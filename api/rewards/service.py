"""Takes rewards from application to payment. Takes a session, never commits.

RewardProblem
+-- OnceOnly                409: this event, or this paper, was entered before. .reference
+-- NotNow                  409: the step cannot follow. .state
+-- SamePerson              409: each step is another person's
+-- FundTooLow              409: .balance_fen
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from sqlmodel import Session

from api.accounts.naming import names
from api.audit.service import record
from api.clock import Clock
from api.guards import service as guards
from api.points.ledger import Ledger
from api.points.problems import NoSuchGuard
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rewards import repository
from api.rewards.models import Reward, RewardFund, RewardStep
from api.rewards.rules import RewardState, may_follow, somebody_else
from api.rights.rules import Authority, Over, Subject


class RewardProblem(Problem):
    """What is asked of a reward cannot be."""

    status = HTTPStatus.CONFLICT


class OnceOnly(RewardProblem):
    """One event, one reward; one paper, one deposit. Field: `reference`."""

    type = "once_only"
    title = "This was entered before (一事一奖)"

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference!r} was entered before", reference=reference)


class NotNow(RewardProblem):
    """The step cannot follow. Field: `state`."""

    type = "not_now"
    title = "Not in this state"

    def __init__(self, wanted: str, state: str) -> None:
        super().__init__(f"{wanted} cannot follow on {state}", state=state)


class SamePerson(RewardProblem):
    """Each step is another person's."""

    type = "same_person"
    title = "Somebody else has to do this"

    def __init__(self) -> None:
        super().__init__("you did a step of this reward before")


class FundTooLow(RewardProblem):
    """There is not enough in the fund. Field: `balance_fen`."""

    type = "fund_too_low"
    title = "The fund does not suffice"

    def __init__(self, balance_fen: int) -> None:
        super().__init__(f"the fund holds {balance_fen} fen", balance_fen=balance_fen)


@dataclass(frozen=True, slots=True)
class Seen:
    """A reward with its steps."""

    row: Reward
    steps: tuple[RewardStep, ...]
    names: Mapping[str, str]
    """What those who took the steps are called, by account; a company is not told."""


def _seen(session: Session, by: Authority, row: Reward, number: int) -> Seen:
    steps = tuple(repository.steps(session, number))
    company = by.reach.over(Over.COMPANY)
    return Seen(row, steps, {} if company else names(session, {step.by for step in steps}))


class Rewards:
    """The rewards and the fund of one station."""

    def __init__(self, register: Register, ledger: Ledger, *, clock: Clock) -> None:
        self._register = register
        self._ledger = ledger
        self._clock = clock

    def apply(
        self, session: Session, by: Authority, *, event: str, guard: str, amount_fen: int, occurred_ms: int, words: str
    ) -> Seen:
        """Apply for a reward. Raises NoSuchGuard or OnceOnly."""
        person = guards.guard(session, guard)
        company = guards.employer_at(session, guard, occurred_ms)
        if person is None or not by.reach.covers(self._subject(person.area, company, person.account)):
            raise NoSuchGuard(guard)
        if repository.of_event(session, self._register.station, event) is not None:
            raise OnceOnly(event)
        row = Reward(
            station=self._register.station,
            event=event,
            guard=guard,
            company=company,
            area=person.area,
            amount_fen=amount_fen,
            state=RewardState.APPLIED.value,
        )
        repository.add(session, row)
        return self._step(session, by, row, RewardState.APPLIED, words)

    def move(self, session: Session, by: Authority, number: int, wanted: RewardState, words: str) -> Seen:
        """Take a reward a step further. Raises NotThere, NotNow, SamePerson or FundTooLow."""
        row = self._find(session, by, number)
        if not may_follow(RewardState(row.state), wanted):
            raise NotNow(wanted.value, row.state)
        if not somebody_else(by.principal.account, {step.by for step in repository.steps(session, number)}):
            raise SamePerson
        if wanted is RewardState.PAID:
            balance = repository.balance_fen(session, row.station)
            if balance < row.amount_fen:
                raise FundTooLow(balance)
            paid = RewardFund(
                station=row.station,
                amount_fen=-row.amount_fen,
                reward=number,
                by=by.principal.account,
                at_ms=self._clock(),
            )
            repository.add(session, paid)
        row.state = wanted.value
        session.add(row)
        return self._step(session, by, row, wanted, words)

    def one(self, session: Session, by: Authority, number: int) -> Seen:
        """A reward that the account reaches. Raises NotThere."""
        return _seen(session, by, self._find(session, by, number), number)

    def listed(self, session: Session, by: Authority, *, below: int | None, limit: int) -> Sequence[Reward]:
        """Those that the account reaches, newest first."""
        return repository.page(
            session,
            self._register.station,
            guards=self._ledger.own(session, by),
            companies=by.reach.over(Over.COMPANY),
            areas=self._ledger.areas(by),
            below=below,
            limit=limit,
        )

    def balance_fen(self, session: Session, by: Authority) -> int:
        """What the fund holds. Raises MayNot."""
        self._register.whole(by)
        return repository.balance_fen(session, self._register.station)

    def put_in(self, session: Session, by: Authority, *, amount_fen: int, reference: str) -> int:
        """Put money into the fund, once for each paper; returns the balance. Raises OnceOnly or MayNot."""
        self._register.whole(by)
        station = self._register.station
        if repository.paid_in(session, station, reference):
            raise OnceOnly(reference)
        account, now = by.principal.account, self._clock()
        row = RewardFund(station=station, amount_fen=amount_fen, reference=reference, by=account, at_ms=now)
        repository.add(session, row)
        detail = {"amount_fen": amount_fen, "reference": reference}
        record(session, at_ms=now, by=account, action=by.action, about=f"reward_fund:{station}", detail=detail)
        return repository.balance_fen(session, station)

    def _step(self, session: Session, by: Authority, row: Reward, state: RewardState, words: str) -> Seen:
        assert row.number is not None
        account, now = by.principal.account, self._clock()
        repository.add(session, RewardStep(reward=row.number, state=state.value, by=account, at_ms=now, words=words))
        about, detail = f"reward:{row.number}", {"state": state.value}
        record(session, at_ms=now, by=account, action=by.action, about=about, detail=detail)
        return _seen(session, by, row, row.number)

    def _find(self, session: Session, by: Authority, number: int) -> Reward:
        row = repository.find(session, number)
        person = None if row is None else guards.guard(session, row.guard)
        account = None if person is None else person.account
        if row is None or not by.reach.covers(self._subject(row.area, row.company, account)):
            raise NotThere(f"no reward {number} of yours")
        return row

    def _subject(self, area: str, company: str | None, account: str | None) -> Subject:
        own = frozenset({account} if account else ())
        return Subject(areas=self._register.lies_in(area), company=company, accounts=own)
