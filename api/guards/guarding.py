"""Takes guards on, puts them on duty lists, and keeps what becomes of those. Takes a session, never commits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import Session, col, select

from api.audit.service import record
from api.clock import Clock
from api.etags import expect
from api.guards import repository
from api.guards.models import (
    Guard,
    GuardCard,
    GuardEmployment,
    GuardLeave,
    GuardPhoneOut,
    PatrolDuty,
    PatrolDutyMember,
    PatrolRelief,
    PatrolSuspension,
)
from api.guards.problems import (
    BadSpan,
    CardTaken,
    NoSuchArea,
    NoSuchCompany,
    NotEmployed,
    NotNow,
    NotOnDuty,
    NumberTaken,
    OnLeave,
    OverlappingShifts,
)
from api.guards.rules import (
    DUTY_MOST_MS,
    HANDOVER_MS,
    LATE_RELIEF_MS,
    LEAVE_MOST_MS,
    PHONE_OUT_MOST_MS,
    SUSPENSION_MOST_MS,
    Came,
    CardEnd,
    Force,
    Instead,
    Went,
    belongs_to,
    employer,
)
from api.pages import newest
from api.problems import NotThere
from api.register import repository as companies
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.tags import Enrolled, Known, Tag, faces

BACK_MS = 24 * 3_600_000
"""How far back something may be told that was done before it was typed in."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A duty list with everybody who is or was on it."""

    duty: PatrolDuty
    members: tuple[PatrolDutyMember, ...]


class Guards:
    """The guards of one station, as people change them."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    # Who they are

    def subject(self, session: Session, guard: Guard) -> Subject:
        """What rights need to know of a guard: where he belongs, whose he is now, and his own account."""
        rows = repository.employments(session, (guard.id,)).get(guard.id, ())
        return Subject(
            areas=self._register.lies_in(guard.area),
            company=belongs_to(rows, self._clock()),
            accounts=frozenset() if guard.account is None else frozenset((guard.account,)),
        )

    def guard(self, session: Session, by: Authority, id_: str) -> Guard:
        """One that the account reaches. Raises NotThere."""
        guard = session.get(Guard, id_)
        if guard is None or not by.reach.covers(self.subject(session, guard)):
            raise NotThere(f"no guard {id_!r} of yours")
        return guard

    def own(self, session: Session, by: Authority, guard: Guard) -> bool:
        """Whether somebody asks for himself, or for whom his own company employs."""
        held = by.reach.covers(self.subject(session, guard))
        return any(one.over in {Over.COMPANY, Over.SELF} for one in held)

    def sees(self, session: Session, by: Authority, ids: Sequence[str]) -> dict[str, Guard]:
        """Those of the guards whom the account reaches, so that it may be told who they are."""
        rows = repository.guards(session, ids)
        employed = repository.employments(session, [row.id for row in rows])
        now = self._clock()
        return {
            row.id: row
            for row in rows
            if by.reach.covers(
                Subject(
                    areas=self._register.lies_in(row.area),
                    company=belongs_to(employed.get(row.id, ()), now),
                    accounts=frozenset() if row.account is None else frozenset((row.account,)),
                )
            )
        }

    def guards(self, session: Session, by: Authority, *, after: str | None, limit: int) -> list[Guard]:
        """Those whom the account reaches and who have not left, by id."""
        areas = frozenset[str]().union(*(self._register.within(area) for area in by.reach.over(Over.AREA)))
        now = self._clock()
        employed = select(GuardEmployment.guard).where(
            col(GuardEmployment.company).in_(by.reach.over(Over.COMPANY)),
            or_(col(GuardEmployment.to_ms).is_(None), col(GuardEmployment.to_ms) > now),
        )
        near: list[ColumnElement[bool]] = [col(Guard.area).in_(areas), col(Guard.id).in_(employed)]
        if any(held.over is Over.SELF for held in by.reach.held):
            near.append(col(Guard.account) == by.principal.account)
        found: list[Guard] = []
        while True:
            asked = select(Guard).where(or_(*near), col(Guard.closed_ms).is_(None))
            if after is not None:
                asked = asked.where(Guard.id > after)
            rows = session.exec(asked.order_by(col(Guard.id)).limit(limit)).all()
            seen = self.sees(session, by, [row.id for row in rows])
            found += [row for row in rows if row.id in seen]
            if len(rows) < limit or len(found) >= limit:
                return found[:limit]
            after = rows[-1].id

    def add(
        self,
        session: Session,
        by: Authority,
        *,
        force: Force,
        service_number: str,
        name: str,
        area: str | None,
        account: str | None,
        company: str | None,
    ) -> Guard:
        """Take somebody on; a guard is employed by a company from now on.

        Raises NotThere, NoSuchArea, NoSuchCompany, NumberTaken or BadSpan.
        """
        now = self._clock()
        area = self._register.station if area is None else self._area(area)
        if (force is Force.GUARD) is (company is None):
            raise BadSpan("a guard has a company, and nobody else has one")
        subject = Subject(areas=self._register.lies_in(area), company=company)
        if not by.reach.covers(subject):
            raise NotThere("no such company or area of yours")
        self._free_number(session, service_number, account, but=None)
        guard = Guard(
            id=event_id(now, self._random_bytes(EVENT_ID_RANDOM_BYTES)),
            station=self._register.station,
            force=force.value,
            service_number=service_number,
            name=name,
            area=area,
            account=account,
            made_by=by.principal.account,
            made_ms=now,
        )
        repository.add(session, guard)
        if company is not None:
            self._employ(session, by, guard, company, now)
        self._note(session, by, f"guard:{guard.id}", {"force": force.value, "company": company})
        return guard

    def change(
        self,
        session: Session,
        by: Authority,
        id_: str,
        *,
        service_number: str,
        name: str,
        area: str,
        account: str | None,
        if_match: str,
    ) -> Guard:
        """Say anew what he is known by. Raises NotThere, StaleVersion, NoSuchArea, NumberTaken or NotNow."""
        guard = self._present(session, by, id_)
        expect(if_match, guard.version)
        self._free_number(session, service_number, account, but=guard.id)
        guard.area = self._area(area)
        guard.service_number, guard.name, guard.account = service_number, name, account
        guard.version += 1
        session.add(guard)
        session.flush()
        self._note(session, by, f"guard:{id_}", {"changed": True})
        return guard

    def close(self, session: Session, by: Authority, id_: str) -> Guard:
        """He leaves for good: employment, cards and duties end now. Raises NotThere or NotNow."""
        guard, now = self._present(session, by, id_), self._clock()
        for job in self._jobs(session, id_):
            self._end_job(session, by, job, now)
        for card in session.exec(select(GuardCard).where(GuardCard.guard == id_, col(GuardCard.to_ms).is_(None))):
            card.to_ms, card.ended = now, CardEnd.RETURNED.value
        for member in self._memberships(session, id_, now):
            self._cut(session, member, now, Went.LEAVE)
        guard.closed_ms, guard.account = now, None
        guard.version += 1
        session.add(guard)
        session.flush()
        self._note(session, by, f"guard:{id_}", {"left": True})
        return guard

    # Whose they are

    def employments(self, session: Session, id_: str) -> list[GuardEmployment]:
        """Of one guard, in order."""
        found = select(GuardEmployment).where(GuardEmployment.guard == id_)
        return [*session.exec(found.order_by(col(GuardEmployment.from_ms)))]

    def employ(self, session: Session, by: Authority, id_: str, company: str) -> Guard:
        """A company employs him from now on; his ledger comes with him. Raises NotThere, NoSuchCompany, NotNow."""
        guard, now = self._present(session, by, id_), self._clock()
        if Force(guard.force) is not Force.GUARD:
            raise NotNow("only a guard has a company")
        if not by.reach.covers(Subject(areas=self._register.lies_in(guard.area), company=company)):
            raise NotThere(f"no company {company!r} of yours")
        if self._jobs(session, id_):
            raise NotNow("he is employed; end that first")
        self._employ(session, by, guard, company, now)
        self._note(session, by, f"guard:{id_}", {"company": company})
        return guard

    def take_over(self, session: Session, by: Authority, id_: str, company: str) -> Guard:
        """Another company employs him from now on: his job and his duties for the present one end now.

        Raises NotThere, NoSuchCompany or NotNow.
        """
        guard, now = self._present(session, by, id_), self._clock()
        if Force(guard.force) is not Force.GUARD:
            raise NotNow("only a guard has a company")
        jobs = self._jobs(session, id_)
        if any(job.company == company for job in jobs):
            raise NotNow("he is that company's already")
        for job in jobs:
            self._end_job(session, by, job, now)
        for member in self._memberships(session, id_, now):
            self._cut(session, member, now, Went.LEAVE)
        self._employ(session, by, guard, company, max([now, *(job.to_ms or now for job in jobs)]))
        self._note(session, by, f"guard:{id_}", {"company": company, "before": [job.company for job in jobs]})
        return guard

    def dismiss(self, session: Session, by: Authority, id_: str) -> Guard:
        """His employment ends now, and so do his duties for that company. Raises NotThere or NotNow."""
        guard, now = self._present(session, by, id_), self._clock()
        jobs = self._jobs(session, id_)
        if not jobs:
            raise NotNow("nobody employs him")
        for job in jobs:
            self._end_job(session, by, job, now)
        for member in self._memberships(session, id_, now):
            self._cut(session, member, now, Went.LEAVE)
        self._note(session, by, f"guard:{id_}", {"dismissed": True})
        return guard

    # Cards

    def cards(self, session: Session, id_: str) -> list[GuardCard]:
        """Of one guard, in the order of issue."""
        return [*session.exec(select(GuardCard).where(GuardCard.guard == id_).order_by(col(GuardCard.number)))]

    def issue(self, session: Session, by: Authority, id_: str, tag: Tag, *, since_ms: int | None = None) -> GuardCard:
        """Give him a card, the first or another one after a loss. Raises NotThere, NotNow or CardTaken.

        `since_ms`: he has had it since then, but no longer than since it was somebody else's.
        """
        guard, now = self._present(session, by, id_), self._clock()
        low24 = faces(tag).low24
        same = GuardCard.tag == tag.value if low24 is None else GuardCard.low24 == low24
        held = session.exec(select(GuardCard.tag).where(same, col(GuardCard.to_ms).is_(None))).all()
        if held:
            found = Enrolled({*map(Tag, held), tag}).find(Tag(low24) if low24 is not None else tag)
            if tag.value in held or not isinstance(found, Known):
                raise CardTaken
        until = session.exec(select(func.max(GuardCard.to_ms)).where(same)).one() or 0
        card = GuardCard(
            station=self._register.station,
            guard=guard.id,
            tag=tag.value,
            low24=low24,
            from_ms=max(until, now if since_ms is None else min(since_ms, now)),
            made_by=by.principal.account,
        )
        repository.add(session, card)
        self._note(session, by, f"guard:{id_}", {"card": card.number, "from_ms": card.from_ms})
        return card

    def end_card(
        self, session: Session, by: Authority, id_: str, number: int, how: CardEnd, *, at_ms: int | None = None
    ) -> GuardCard:
        """A card is lost (挂失) or given back: from then on it is nobody's. Raises NotThere or NotNow."""
        self.guard(session, by, id_)
        card = session.get(GuardCard, number)
        if card is None or card.guard != id_:
            raise NotThere(f"no card {number} of this guard")
        if card.to_ms is not None:
            raise NotNow("this card is nobody's already")
        now = self._clock()
        card.to_ms, card.ended = max(card.from_ms, now if at_ms is None else min(at_ms, now)), how.value
        session.add(card)
        session.flush()
        self._note(session, by, f"guard:{id_}", {"card": number, "ended": how.value, "to_ms": card.to_ms})
        return card

    # Leave, and a dead phone

    def leaves(self, session: Session, id_: str) -> list[GuardLeave]:
        """Leave of one guard that is not over, in order."""
        return [*repository.leave_at(session, id_, from_ms=self._clock(), to_ms=1 << 52)]

    def leave(
        self, session: Session, by: Authority, id_: str, *, from_ms: int, to_ms: int, stand_in: str | None
    ) -> tuple[GuardLeave, list[int]]:
        """He is away; whoever stands in takes his duties. Returns the duty lists on which nobody does.

        Raises NotThere, NotNow, BadSpan, OverlappingShifts, OnLeave or NotEmployed.
        """
        now = self._clock()
        self._present(session, by, id_)
        self._span(from_ms, to_ms, most_ms=LEAVE_MOST_MS, earliest_ms=now - BACK_MS)
        if repository.leave_at(session, id_, from_ms=from_ms, to_ms=to_ms):
            raise NotNow("he is on leave then already")
        instead = None if stand_in is None else self._present(session, by, stand_in)
        if stand_in == id_:
            raise BadSpan("nobody stands in for himself")
        row = GuardLeave(
            station=self._register.station,
            guard=id_,
            stand_in=stand_in,
            from_ms=from_ms,
            to_ms=to_ms,
            made_by=by.principal.account,
            made_ms=now,
        )
        repository.add(session, row)
        uncovered = []
        for member in self._memberships(session, id_, from_ms):
            if member.from_ms >= to_ms:
                continue
            begins, ends = max(member.from_ms, from_ms), member.to_ms
            self._cut(session, member, begins, Went.LEAVE)
            if instead is None:
                uncovered.append(member.duty)
            else:
                duty = session.get_one(PatrolDuty, member.duty)
                self._put(session, by, duty, instead, (begins, ends), came=Came.STAND_IN, after=member)
        self._note(session, by, f"guard:{id_}", {"leave": row.number, "stand_in": stand_in})
        return row, uncovered

    def end_leave(self, session: Session, by: Authority, id_: str, number: int) -> GuardLeave:
        """He is back early; on lists that he was taken off, he is put again by hand. Raises NotThere or NotNow."""
        self.guard(session, by, id_)
        row, now = session.get(GuardLeave, number), self._clock()
        if row is None or row.guard != id_:
            raise NotThere(f"no leave {number} of this guard")
        if row.to_ms <= max(now, row.from_ms):
            raise NotNow("this leave is over")
        row.to_ms = max(now, row.from_ms)
        session.add(row)
        session.flush()
        self._note(session, by, f"guard:{id_}", {"leave": number, "ended": True})
        return row

    def phone_dead(
        self,
        session: Session,
        by: Authority,
        id_: str,
        *,
        from_ms: int,
        to_ms: int,
        instead: Instead,
        witness: str | None,
    ) -> GuardPhoneOut:
        """His phone is dead: what shows his visits instead, and marks them.

        Raises NotThere, NotNow, BadSpan, or NotOnDuty for a witness who does not serve on the same list then.
        """
        now = self._clock()
        self._present(session, by, id_)
        self._span(from_ms, to_ms, most_ms=PHONE_OUT_MOST_MS, earliest_ms=now - BACK_MS)
        if (instead is Instead.WITNESS) is (witness is None):
            raise BadSpan("a witness is named where one is to show it, and nowhere else")
        if witness is not None:
            own = {one.duty for one in repository.servings(session, from_ms=from_ms, to_ms=to_ms, guards=(id_,))}
            his = {one.duty for one in repository.servings(session, from_ms=from_ms, to_ms=to_ms, guards=(witness,))}
            if witness == id_ or not own & his:
                raise NotOnDuty(witness)
        row = GuardPhoneOut(
            station=self._register.station,
            guard=id_,
            instead=instead.value,
            witness=witness,
            from_ms=from_ms,
            to_ms=to_ms,
            told_by=by.principal.account,
            told_ms=now,
        )
        repository.add(session, row)
        self._note(session, by, f"guard:{id_}", {"phone_out": row.number, "instead": instead.value})
        return row

    # Duty lists

    def list_duty(
        self,
        session: Session,
        by: Authority,
        *,
        area: str,
        route: str | None,
        shift: str,
        from_ms: int,
        to_ms: int,
        guards: Sequence[str],
    ) -> Listed:
        """Make a duty list. Everybody on it is one whom the account reaches.

        Raises NotThere, NoSuchArea, BadSpan, OverlappingShifts, OnLeave or NotEmployed.
        """
        now = self._clock()
        self._span(from_ms, to_ms, most_ms=DUTY_MOST_MS, earliest_ms=now - BACK_MS)
        if not any(held.over is Over.COMPANY for held in by.reach.held):
            self._reached(by, area)
        duty = PatrolDuty(
            station=self._register.station,
            area=self._area(area),
            route=route,
            shift=shift,
            from_ms=from_ms,
            to_ms=to_ms,
            made_by=by.principal.account,
            made_ms=now,
        )
        repository.add(session, duty)
        for id_ in dict.fromkeys(guards):
            guard = self._present(session, by, id_)
            self._put(session, by, duty, guard, (from_ms, to_ms), came=Came.LISTED)
        self._note(session, by, f"patrol_duty:{duty.number}", {"area": area, "guards": sorted(set(guards))})
        return self._listed(session, duty)

    def duty(self, session: Session, by: Authority, number: int) -> Listed:
        """One that lies in the account's area, or on which somebody of its own is or was. Raises NotThere."""
        duty = session.get(PatrolDuty, number)
        if duty is None:
            raise NotThere(f"no duty list {number} of yours")
        listed = self._listed(session, duty)
        if not by.reach.covers(self._register.subject_of_area(duty.area)):
            mine = self.sees(session, by, [one.guard for one in listed.members])
            if not mine:
                raise NotThere(f"no duty list {number} of yours")
        return listed

    def duties(
        self, session: Session, by: Authority, *, from_ms: int, to_ms: int, below: int | None, limit: int
    ) -> list[Listed]:
        """Those that share a moment with a span, newest first."""

        def show(row: PatrolDuty) -> Listed:
            return self.duty(session, by, row.number or 0)

        asked = select(PatrolDuty).where(PatrolDuty.from_ms < to_ms, PatrolDuty.to_ms > from_ms)
        return newest(session, asked, col(PatrolDuty.number), show, below=below, limit=limit)

    def join(self, session: Session, by: Authority, number: int, guard: str) -> Listed:
        """Put one more on the list, from now or its beginning on. Raises as `list_duty` does, or NotNow."""
        duty = self._open(session, by, number)
        begins = max(duty.from_ms, self._clock())
        self._put(session, by, duty, self._present(session, by, guard), (begins, duty.to_ms), came=Came.LISTED)
        return self._changed(session, by, duty, {"joined": guard})

    def stand_in(self, session: Session, by: Authority, number: int, guard: str, instead: str) -> Listed:
        """Another one serves for him, from now or the beginning on (顶班). Raises NotOnDuty besides."""
        duty = self._open(session, by, number)
        self._present(session, by, guard)
        member = self._member(session, duty, guard)
        begins, ends = max(member.from_ms, self._clock()), member.to_ms
        self._cut(session, member, begins, Went.STAND_IN)
        self._put(
            session, by, duty, self._present(session, by, instead), (begins, ends), came=Came.STAND_IN, after=member
        )
        return self._changed(session, by, duty, {"left": guard, "stand_in": instead})

    def swap(self, session: Session, by: Authority, number: int, guard: str, *, other: int, with_guard: str) -> Listed:
        """Two change places (换班): each serves what is still to come of the other's. Raises NotOnDuty besides."""
        duty, second = self._open(session, by, number), self._open(session, by, other)
        one, two = self._member(session, duty, guard), self._member(session, second, with_guard)
        first, next_ = self._present(session, by, guard), self._present(session, by, with_guard)
        if number == other or guard == with_guard:
            raise BadSpan("two guards on two lists change places")
        now = self._clock()
        spans = [(max(row.from_ms, now), row.to_ms) for row in (one, two)]
        for row, (begins, _) in zip((one, two), spans, strict=True):
            self._cut(session, row, begins, Went.SWAP)
        self._put(session, by, duty, next_, spans[0], came=Came.SWAP, after=one)
        self._put(session, by, second, first, spans[1], came=Came.SWAP, after=two)
        self._changed(session, by, second, {"swapped": [with_guard, guard]})
        return self._changed(session, by, duty, {"swapped": [guard, with_guard]})

    def relieve(self, session: Session, by: Authority, number: int, *, giver: str, taker: str, words: str) -> Listed:
        """One hands over to the next (交接), who serves the time that is left, until a list of his own begins.

        Raises NotThere, NotNow, NotOnDuty, OverlappingShifts or NotEmployed.
        """
        duty, now = self._open(session, by, number, late_ms=LATE_RELIEF_MS), self._clock()
        self._present(session, by, giver)
        next_ = self._present(session, by, taker)
        if giver == taker:
            raise BadSpan("nobody relieves himself")
        rows = [
            row
            for row in self._listed(session, duty).members
            if row.guard == giver and row.from_ms <= now < row.to_ms + LATE_RELIEF_MS and row.to_ms > row.from_ms
        ]
        if not rows:
            raise NotOnDuty(giver, number)
        member = rows[-1]
        if member.to_ms > now:
            ends = member.to_ms
            own = repository.servings(session, from_ms=now, to_ms=ends, guards=(taker,))
            if own and own[0].from_ms > now:
                ends = own[0].from_ms
            self._cut(session, member, now, Went.RELIEF)
            # Whoever is there for the next list already takes over in that time; anywhere else he would be twice.
            there = own and own[0].from_ms <= now and own[0].area == duty.area
            if not (there and ends - now <= HANDOVER_MS):
                self._put(session, by, duty, next_, (now, ends), came=Came.RELIEF, after=member)
        row = PatrolRelief(duty=number, giver=giver, taker=taker, words=words, by=by.principal.account, at_ms=now)
        repository.add(session, row)
        return self._changed(session, by, duty, {"relief": row.number, "giver": giver, "taker": taker})

    def reliefs(self, session: Session, number: int) -> list[PatrolRelief]:
        """What was handed over on a list, in order."""
        return [
            *session.exec(select(PatrolRelief).where(PatrolRelief.duty == number).order_by(col(PatrolRelief.number)))
        ]

    def call_off(self, session: Session, by: Authority, number: int) -> Listed:
        """Nobody serves this list from now on; by whoever reaches everybody who does. Raises NotThere or NotNow."""
        duty, now = self._open(session, by, number), self._clock()
        for row in self._listed(session, duty).members:
            if row.to_ms > max(now, row.from_ms):
                self._present(session, by, row.guard)
                self._cut(session, row, max(now, row.from_ms), Went.CALLED_OFF)
        duty.called_off_ms, duty.called_off_by = now, by.principal.account
        return self._changed(session, by, duty, {"called_off": True})

    # Orders to suspend

    def suspend(
        self, session: Session, by: Authority, *, area: str, cause: str, words: str, from_ms: int, to_ms: int
    ) -> PatrolSuspension:
        """Order that nobody patrols there for a time; visits of that time are excused. Raises NotThere or BadSpan."""
        now = self._clock()
        self._span(from_ms, to_ms, most_ms=SUSPENSION_MOST_MS, earliest_ms=now - BACK_MS)
        self._reached(by, area)
        row = PatrolSuspension(
            station=self._register.station,
            area=self._area(area),
            cause=cause,
            words=words,
            from_ms=from_ms,
            to_ms=to_ms,
            ordered_by=by.principal.account,
            ordered_ms=now,
        )
        repository.add(session, row)
        self._note(session, by, f"patrol_suspension:{row.number}", {"area": area, "cause": cause}, reason=words)
        return row

    def suspensions(
        self, session: Session, *, running: bool, below: int | None, limit: int
    ) -> Sequence[PatrolSuspension]:
        """Orders, newest first; everybody on patrol has to know them."""
        asked = select(PatrolSuspension)
        if running:
            asked = asked.where(PatrolSuspension.to_ms > self._clock())
        if below is not None:
            asked = asked.where(col(PatrolSuspension.number) < below)
        return session.exec(asked.order_by(col(PatrolSuspension.number).desc()).limit(limit)).all()

    def lift(self, session: Session, by: Authority, number: int) -> PatrolSuspension:
        """Patrols go on from now. Raises NotThere or NotNow."""
        row, now = session.get(PatrolSuspension, number), self._clock()
        if row is None or not by.reach.covers(self._register.subject_of_area(row.area)):
            raise NotThere(f"no order {number} of yours")
        if row.to_ms <= max(now, row.from_ms):
            raise NotNow("this order is over")
        row.to_ms, row.lifted_ms, row.lifted_by = max(now, row.from_ms), now, by.principal.account
        session.add(row)
        session.flush()
        self._note(session, by, f"patrol_suspension:{number}", {"lifted": True})
        return row

    # Inside

    def _present(self, session: Session, by: Authority, id_: str) -> Guard:
        guard = self.guard(session, by, id_)
        if guard.closed_ms is not None:
            raise NotNow(f"{id_} has left for good")
        return guard

    def _area(self, area: str) -> str:
        if area != self._register.station and self._register.area(area) is None:
            raise NoSuchArea(area)
        return area

    def _reached(self, by: Authority, area: str) -> None:
        if not by.reach.covers(self._register.subject_of_area(self._area(area))):
            raise NotThere(f"no area {area!r} of yours")

    def _free_number(self, session: Session, service_number: str, account: str | None, *, but: str | None) -> None:
        same = select(Guard.id).where(Guard.station == self._register.station, Guard.service_number == service_number)
        if (found := session.exec(same).first()) is not None and found != but:
            raise NumberTaken("service number")
        if account is not None:
            held = session.exec(select(Guard.id).where(Guard.account == account)).first()
            if held is not None and held != but:
                raise NumberTaken("account")

    def _jobs(self, session: Session, id_: str) -> list[GuardEmployment]:
        still = select(GuardEmployment).where(GuardEmployment.guard == id_, col(GuardEmployment.to_ms).is_(None))
        return [*session.exec(still)]

    def _employ(self, session: Session, by: Authority, guard: Guard, company: str, now_ms: int) -> None:
        row = companies.row(session, "company", self._register.station, company)
        if row is None or row["to_ms"] is not None:
            raise NoSuchCompany(company)
        job = GuardEmployment(
            station=self._register.station,
            guard=guard.id,
            company=company,
            from_ms=now_ms,
            made_by=by.principal.account,
        )
        repository.add(session, job)

    def _end_job(self, session: Session, by: Authority, job: GuardEmployment, now_ms: int) -> None:
        job.to_ms, job.ended_by = max(now_ms, job.from_ms + 1), by.principal.account
        session.add(job)
        session.flush()

    def _memberships(self, session: Session, id_: str, after_ms: int) -> list[PatrolDutyMember]:
        """Times on lists that are not over at a moment, in order."""
        found = select(PatrolDutyMember).where(
            PatrolDutyMember.guard == id_,
            PatrolDutyMember.to_ms > after_ms,
            col(PatrolDutyMember.to_ms) > col(PatrolDutyMember.from_ms),
        )
        return [*session.exec(found.order_by(col(PatrolDutyMember.from_ms)))]

    def _cut(self, session: Session, member: PatrolDutyMember, at_ms: int, went: Went) -> None:
        member.to_ms, member.went = max(member.from_ms, min(at_ms, member.to_ms)), went.value
        session.add(member)
        session.flush()

    def _put(
        self,
        session: Session,
        by: Authority,
        duty: PatrolDuty,
        guard: Guard,
        span: tuple[int, int],
        *,
        came: Came,
        after: PatrolDutyMember | None = None,
    ) -> None:
        """Raises OverlappingShifts, OnLeave or NotEmployed."""
        from_ms, to_ms = span
        for one in repository.servings(session, from_ms=from_ms, to_ms=to_ms, guards=(guard.id,)):
            raise OverlappingShifts(guard.id, guard.name, one.duty, one.from_ms, one.to_ms)
        if repository.leave_at(session, guard.id, from_ms=from_ms, to_ms=to_ms):
            raise OnLeave(guard.id, guard.name)
        jobs = repository.employments(session, (guard.id,)).get(guard.id, ())
        if Force(guard.force) is Force.GUARD and employer(jobs, from_ms) is None:
            raise NotEmployed(guard.id, guard.name)
        assert duty.number is not None
        row = PatrolDutyMember(
            duty=duty.number,
            guard=guard.id,
            from_ms=from_ms,
            to_ms=to_ms,
            listed_to_ms=to_ms,
            came=came.value,
            instead_of=None if after is None else after.number,
            made_by=by.principal.account,
            made_ms=self._clock(),
        )
        repository.add(session, row)

    def _member(self, session: Session, duty: PatrolDuty, guard: str) -> PatrolDutyMember:
        now = self._clock()
        for row in self._listed(session, duty).members:
            if row.guard == guard and row.to_ms > max(now, row.from_ms):
                return row
        raise NotOnDuty(guard, duty.number)

    def _listed(self, session: Session, duty: PatrolDuty) -> Listed:
        rows = select(PatrolDutyMember).where(PatrolDutyMember.duty == duty.number)
        return Listed(duty, tuple(session.exec(rows.order_by(col(PatrolDutyMember.number)))))

    def _open(self, session: Session, by: Authority, number: int, *, late_ms: int = 0) -> PatrolDuty:
        duty = self.duty(session, by, number).duty
        if duty.called_off_ms is not None or duty.to_ms + late_ms <= self._clock():
            raise NotNow(f"duty list {number} is over")
        return duty

    def _changed(self, session: Session, by: Authority, duty: PatrolDuty, detail: dict[str, object]) -> Listed:
        duty.version += 1
        session.add(duty)
        session.flush()
        self._note(session, by, f"patrol_duty:{duty.number}", detail)
        return self._listed(session, duty)

    def _span(self, from_ms: int, to_ms: int, *, most_ms: int, earliest_ms: int) -> None:
        if to_ms <= from_ms:
            raise BadSpan("it would end before it begins (结束早于开始)")
        if to_ms - from_ms > most_ms:
            raise BadSpan(f"it is at most {most_ms // 3_600_000} hours long")
        if from_ms < earliest_ms:
            raise BadSpan("it may begin a day ago at most")

    def _note(
        self,
        session: Session,
        by: Authority,
        about: str,
        detail: dict[str, object],
        *,
        reason: str | None = None,
    ) -> None:
        record(
            session,
            at_ms=self._clock(),
            by=by.principal.account,
            action=by.action,
            about=about,
            detail=detail,
            reason=reason,
        )
