"""What people do with the ledger: read it, have it explained, appeal, decide, confirm, enter merits. Never commits."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from api.audit.service import record
from api.guards import service as guards
from api.points import repository
from api.points.facts import Fact, Happened, Happening
from api.points.models import PointsEntry, PointsFlag, PointsStep
from api.points.problems import AlreadyPaid, Decided, NoSuchGuard, OwnDecision, TooLate
from api.points.rules import in_force
from api.points.service import Entry, Points, owner_of
from api.points.states import EntryState, FlagState, StepAction, flag_state
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject
from broker.kinds import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with how far it is; `appeal_until_ms` where it can be appealed."""

    row: PointsEntry
    state: EntryState
    reversed_by: str | None
    appeal_until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An entry opened: the rule as it was, what would have changed it, and what was done about it."""

    shown: Shown
    rule: Words
    but: Words | None
    steps: tuple[PointsStep, ...]
    reversal: PointsEntry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Of one guard: everything ever booked for him, how much of that is pending, and by month."""

    guard: str
    points_tenths: int
    pending_tenths: int
    months: tuple[tuple[str, int, int], ...]


class Ledger:
    """The ledger of one station, for people."""

    def __init__(self, points: Points, register: Register) -> None:
        self._points = points
        self._register = register

    # Reading

    def listed(
        self,
        session: Session,
        by: Authority,
        *,
        guard: str | None,
        rule: str | None = None,
        appealed: bool = False,
        below: int | None,
        limit: int,
    ) -> list[Shown]:
        """Entries that the account reaches, newest first. `appealed`: those that wait for a decision."""
        rows = repository.page(
            session,
            self._points.station,
            guards=self.own(session, by),
            companies=by.reach.over(Over.COMPANY),
            areas=self.areas(by),
            guard=guard,
            rule=rule,
            waiting=appealed,
            below=below,
            limit=limit,
        )
        return self._shown(session, rows)

    def explained(self, session: Session, by: Authority, id_: str) -> Explained:
        """One entry with its rule, evidence and counter-fact. Raises NotThere."""
        row = self.entry(session, by, id_)
        sets = {one.version: one for one in self._points.sets(session)}
        rules = sets.get(row.version, in_force([*sets.values()], row.occurred_ms))
        rule = rules.rules.get(row.rule)
        words = rule.text if rule is not None else rules.reversals.get(row.rule, (Words("", ""), None))[0]
        return Explained(
            shown=self._shown(session, [row])[0],
            rule=words,
            but=None if rule is None else rule.but,
            steps=tuple(repository.steps(session, [id_])[id_]),
            reversal=repository.reversal_of(session, id_),
        )

    def entry(self, session: Session, by: Authority, id_: str) -> PointsEntry:
        """An entry that the account reaches. Raises NotThere."""
        row = repository.entry(session, id_)
        if row is None or not by.reach.covers(self._subject(session, row.guard, row.company, row.area)):
            raise NotThere(f"no entry {id_!r} of yours")
        return row

    def balance(self, session: Session, by: Authority, guard: str) -> Balance:
        """What a guard's entries add up to. Raises NotThere."""
        person = guards.guard(session, guard)
        now = self._points.clock()
        company = guards.employer_at(session, guard, now)
        if person is None or not by.reach.covers(self._subject(session, guard, company, person.area)):
            raise NotThere(f"no guard {guard!r} of yours")
        rows = repository.balances(session, self._points.station, [owner_of(guard, None)])
        since = now - max(one.appeal_ms for one in self._points.sets(session))
        lately = repository.booked_since(session, guard, since) + repository.appealed(session, guard)
        unsure = {row.id: row for row in lately}
        states = self._points.states(session, [*unsure.values()])
        pending = {EntryState.PENDING, EntryState.APPEALED}
        return Balance(
            guard=guard,
            points_tenths=sum(row.points_tenths for row in rows),
            pending_tenths=sum(row.points_tenths for id_, row in unsure.items() if states[id_] in pending),
            months=tuple((row.month, row.points_tenths, row.entries) for row in rows),
        )

    # Appealing and deciding about it

    def appeal(self, session: Session, by: Authority, id_: str, words: str) -> Explained:
        """Appeal against an entry that is pending. Raises NotThere or TooLate."""
        row = self.entry(session, by, id_)
        state = self._points.states(session, [row])[id_]
        if state is not EntryState.PENDING:
            raise TooLate(state.value)
        self._points.step(session, id_, StepAction.APPEALED, by=by.principal.account, words=words)
        self._audit(session, by, f"points:{id_}", step="appealed")
        return self.explained(session, by, id_)

    def decide(self, session: Session, by: Authority, id_: str, *, upheld: bool, words: str) -> Explained:
        """Decide about an appeal; upheld takes the entry back. Raises NotThere, Decided or OwnDecision."""
        row = self.entry(session, by, id_)
        state = self._points.states(session, [row])[id_]
        if state is not EntryState.APPEALED:
            raise Decided(state.value)
        if row.made_by == by.principal.account:
            raise OwnDecision
        step = StepAction.UPHELD if upheld else StepAction.REJECTED
        self._points.step(session, id_, step, by=by.principal.account, words=words)
        if upheld:
            self._points.uphold(session, row, by=by.principal.account)
        self._audit(session, by, f"points:{id_}", step=step.value)
        return self.explained(session, by, id_)

    # Flags: an officer looks

    def flags(
        self, session: Session, by: Authority, *, below: int | None, limit: int
    ) -> list[tuple[PointsFlag, FlagState]]:
        """What is suspected where the account looks after things, newest first."""
        areas = self.areas(by)
        rows = repository.flags(session, self._points.station, areas=areas, below=below, limit=limit)
        done = repository.steps(session, [row.id for row in rows])
        return [(row, flag_state({step.action for step in done[row.id]})) for row in rows]

    def judge_flag(
        self, session: Session, by: Authority, id_: str, *, confirmed: bool, words: str
    ) -> tuple[PointsFlag, FlagState]:
        """Confirm a flag, which books its points in the officer's name, or dismiss it. Raises NotThere or Decided."""
        row = repository.flag(session, id_)
        if row is None or not by.reach.covers(self._subject(session, row.guard, row.company, row.area)):
            raise NotThere(f"no flag {id_!r} of yours")
        state = flag_state({step.action for step in repository.steps(session, [id_])[id_]})
        if state is not FlagState.OPEN:
            raise Decided(state.value)
        step = StepAction.CONFIRMED if confirmed else StepAction.DISMISSED
        self._points.step(session, id_, step, by=by.principal.account, words=words)
        if confirmed:
            self._points.book(
                session,
                Entry(
                    rule=row.rule,
                    version=row.version,
                    guard=row.guard,
                    company=row.company,
                    points_tenths=row.points_tenths,
                    occurred_ms=row.occurred_ms,
                    evidence=(row.id, *json.loads(row.evidence)),
                    reason_zh=row.reason_zh,
                    reason_en=row.reason_en,
                    made_by=by.principal.account,
                    area=row.area,
                    colour=row.colour,
                    night=row.night,
                ),
            )
        self._audit(session, by, f"points_flag:{id_}", step=step.value)
        return row, FlagState(step.value)

    # Merits

    def merit(
        self,
        session: Session,
        by: Authority,
        *,
        what: Happened,
        guard: str,
        reference: str,
        occurred_ms: int,
        tenths: int,
    ) -> list[Shown]:
        """Enter something good that a guard did. Raises NoSuchGuard or AlreadyPaid: one thing pays him once."""
        person = guards.guard(session, guard)
        company = guards.employer_at(session, guard, occurred_ms)
        if person is None or not by.reach.covers(self._subject(session, guard, company, person.area)):
            raise NoSuchGuard(guard)
        key = f"merit:{reference}:{guard}"
        if repository.newest(session, self._points.station, [key]):
            raise AlreadyPaid(reference)
        happening = Happening(what=what, evidence=(reference, f"account:{by.principal.account}"), value=tenths)
        fact = Fact(
            key=key,
            guard=guard,
            company=company,
            area=person.area,
            occurred_ms=occurred_ms,
            happenings=(happening,),
        )
        self._points.note(session, fact)
        self._audit(session, by, f"guard:{guard}", merit=what.value, reference=reference)
        return self._shown(session, repository.of_facts(session, self._points.station, [key]))

    # Reach

    def own(self, session: Session, by: Authority) -> frozenset[str]:
        """The guard who asks, where he reaches what is his own."""
        if not any(held.over is Over.SELF for held in by.reach.held):
            return frozenset()
        found = guards.guard_of_account(session, by.principal.account)
        return frozenset() if found is None else frozenset((found,))

    def areas(self, by: Authority) -> Collection[str] | None:
        """Every area that the account reaches; None: all of the station."""
        scopes = by.reach.over(Over.AREA)
        if by.reach.everything or self._points.station in scopes:
            return None
        return frozenset[str]().union(*(self._register.within(area) for area in scopes))

    def subject_of_station(self) -> Subject:
        """What concerns the whole station."""
        return Subject(areas=frozenset((self._points.station,)))

    def _subject(self, session: Session, guard: str | None, company: str | None, area: str | None) -> Subject:
        person = None if guard is None else guards.guard(session, guard)
        own = frozenset({person.account} if person is not None and person.account else ())
        return Subject(areas=self._register.lies_in(area or self._points.station), company=company, accounts=own)

    def _shown(self, session: Session, rows: Sequence[PointsEntry]) -> list[Shown]:
        states = self._points.states(session, rows)
        taken = repository.reversals(session, [row.id for row in rows])
        sets = self._points.sets(session)
        return [
            Shown(
                row=row,
                state=states[row.id],
                reversed_by=taken[row.id].id if row.id in taken else None,
                appeal_until_ms=row.booked_ms + in_force(sets, row.occurred_ms).appeal_ms
                if states[row.id] is EntryState.PENDING
                else None,
            )
            for row in rows
        ]

    def _audit(self, session: Session, by: Authority, about: str, **detail: object) -> None:
        record(
            session,
            at_ms=self._points.clock(),
            by=by.principal.account,
            action=by.action,
            about=about,
            detail=detail,
        )
