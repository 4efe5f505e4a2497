"""A company asks for a guard of another one, and the police confirm it. Takes a session, never commits.

Whoever asks learns nothing by asking: a service number that nobody has waits for the police like any other.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from api.audit.service import record
from api.clock import Clock
from api.guards import repository
from api.guards.guarding import Guards
from api.guards.models import Guard, GuardTakeover
from api.guards.problems import NotNow
from api.guards.rules import Decision, belongs_to
from api.pages import newest
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject


@dataclass(frozen=True, slots=True)
class Asked:
    """What a company asked for; whose the guard is now, where the police look (`present`)."""

    row: GuardTakeover
    present: str | None


class Takeovers:
    """What companies ask for at one station."""

    def __init__(self, register: Register, people: Guards, *, clock: Clock) -> None:
        self._register = register
        self._guards = people
        self._clock = clock

    def ask(self, session: Session, by: Authority, *, company: str, service_number: str, words: str | None) -> Asked:
        """A company asks; the same again while the police think is the same. Raises NotThere."""
        if not by.reach.covers(Subject(company=company)):
            raise NotThere(f"no company {company!r} of yours")
        waiting = select(GuardTakeover).where(
            GuardTakeover.company == company,
            GuardTakeover.service_number == service_number,
            col(GuardTakeover.decision).is_(None),
        )
        if (known := session.exec(waiting).first()) is not None:
            return Asked(known, None)
        row = GuardTakeover(
            station=self._register.station,
            company=company,
            service_number=service_number,
            words=words,
            by=by.principal.account,
            asked_ms=self._clock(),
        )
        repository.add(session, row)
        self._note(session, by, row, {"company": company})
        return Asked(row, None)

    def listed(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Asked]:
        """A company its own, the police those about whom they reach; newest first."""

        def show(row: GuardTakeover) -> Asked:
            return self._seen(session, by, row)

        return newest(session, select(GuardTakeover), col(GuardTakeover.number), show, below=below, limit=limit)

    def decide(self, session: Session, by: Authority, number: int, *, confirm: bool, reason: str | None) -> Asked:
        """The police confirm, and he is the other company's from now on; or refuse.

        Raises NotThere, NotNow, NoSuchCompany.
        """
        row = session.get(GuardTakeover, number)
        if row is None:
            raise NotThere(f"no request {number} of yours")
        self._seen(session, by, row)
        if row.decision is not None:
            raise NotNow("this is decided")
        if confirm:
            guard = self._guard(session, row)
            if guard is None:
                raise NotNow("nobody has this service number (无此工号)")
            row.guard = self._guards.take_over(session, by, guard.id, row.company).id
        row.decision = (Decision.CONFIRMED if confirm else Decision.REFUSED).value
        row.decided_by, row.decided_ms, row.reason = by.principal.account, self._clock(), reason
        session.add(row)
        session.flush()
        self._note(session, by, row, {"decision": row.decision, "guard": row.guard}, reason=reason)
        return self._seen(session, by, row)

    def _seen(self, session: Session, by: Authority, row: GuardTakeover) -> Asked:
        """The police see whose he is now; of a number that nobody has, whoever looks after the whole station."""
        if row.company in by.reach.over(Over.COMPANY):
            return Asked(row, None)
        guard = self._guard(session, row)
        where = self._register.station if guard is None else guard.area
        if not by.reach.covers(self._register.subject_of_area(where)):
            raise NotThere(f"no request {row.number} of yours")
        if guard is None:
            return Asked(row, None)
        employed = repository.employments(session, (guard.id,)).get(guard.id, ())
        return Asked(row, belongs_to(employed, self._clock()))

    def _guard(self, session: Session, row: GuardTakeover) -> Guard | None:
        if row.guard is not None:
            return session.get(Guard, row.guard)
        if row.service_number is None:
            return None
        found = select(Guard).where(Guard.station == row.station, Guard.service_number == row.service_number)
        return session.exec(found.where(col(Guard.closed_ms).is_(None))).first()

    def _note(
        self,
        session: Session,
        by: Authority,
        row: GuardTakeover,
        detail: dict[str, object],
        *,
        reason: str | None = None,
    ) -> None:
        about = f"guard_takeover:{row.number}"
        record(session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=about, detail=detail,
               reason=reason)  # fmt: skip
