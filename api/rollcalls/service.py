"""Calls the roll, hears answers, and does what is due. Takes a session, never commits; `look` is one of the rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import bindparam
from sqlalchemy import select as ask
from sqlmodel import Session, col, select

from api.audit.service import record
from api.checkins import service as checkins
from api.checkins.rules import CheckIn, Source
from api.clock import Clock
from api.database import Database, table_of
from api.guards import service as guards
from api.guards.guarding import Guards
from api.notify.rules import Notice, Pushed, tag_of
from api.pages import newest
from api.patrols import service as patrols
from api.points.facts import Fact, Happened, Happening
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Over
from api.rollcalls.lamps import Lamps, ReadersAlong, nowhere
from api.rollcalls.models import RollCall, RollCalled, RollCandidate
from api.rollcalls.problems import BadCall, NobodyThere, NotCalled, NotNow
from api.rollcalls.rules import (
    AGAIN_MS,
    LOOKED_BACK_MS,
    SEED_BYTES,
    SPOT_MOST_MIN,
    CalledState,
    Way,
    after_deadline,
    contradicts,
    digest,
    draw,
)
from api.rollcalls.rules import Over as AnsweredOver
from api.tracks.ways import Ways

Note = Callable[[Session, Fact], None]
LOOK_S: Final = 1
AT_ONCE: Final = 500
"""How many deadlines one transaction takes."""
READ: Final = frozenset({Source.FIXED_READER, Source.NFC_PHONE})
"""Check-ins that come at once and by tag; a wand tells later."""
_CALLED: Final = table_of(RollCalled)
_WAITING: Final = (
    ask(_CALLED.c.number)
    .where(_CALLED.c.state == CalledState.WAITING.value, _CALLED.c.guard.in_(bindparam("guards", expanding=True)))
    .order_by(_CALLED.c.number)
)


class Push(Protocol):
    """`api.notify.service.push`."""

    def __call__(self, session: Session, /, *, accounts: Sequence[str], notice: Notice, now_ms: int) -> int: ...


def nobody(_session: Session, /, *, accounts: Sequence[str], notice: Notice, now_ms: int) -> int:  # noqa: ARG001 - `Push`
    """Push to no phone."""
    return 0


@dataclass(frozen=True, slots=True)
class Called:
    """A call with everybody who was called, and everybody who might have been drawn."""

    call: RollCall
    people: tuple[RollCalled, ...]
    candidates: tuple[str, ...]


class RollCalls:
    """The roll-calls of one station. `note` hears what points are made of."""

    def __init__(
        self,
        register: Register,
        people: Guards,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        note: Note,
        push: Push = nobody,
        along: ReadersAlong = nowhere,
        owes: Callable[[], None] = lambda: None,
    ) -> None:
        """`push` tells phones; `along` finds the readers that call somebody by their lamp.

        `owes` is called when a gateway is to be told.
        """
        self._register = register
        self._lamps = Lamps(register, along, random_bytes=random_bytes)
        self._owes = owes
        self._push = push
        self._guards = people
        self._clock = clock
        self._random_bytes = random_bytes
        self._note = note

    # Calling

    def commit(self, session: Session, by: Authority, *, area: str, many: int) -> Called:
        """Make the seed of a draw and show its digest; nobody is called yet. Raises NotThere."""
        self._reached(by, area)
        seed, now = self._random_bytes(SEED_BYTES).hex(), self._clock()
        call = self._add(session, by, now, area=area, way=Way.DRAW, seed=seed, seed_digest=digest(seed), many=many)
        self._record(session, by, call, {"digest": call.seed_digest, "many": many}, now)
        return self._called(session, call)

    def call_drawn(self, session: Session, by: Authority, number: int) -> Called:
        """Draw from whoever is on duty there now, by the seed that was committed to, and call them.

        Raises NotThere, NotNow or NobodyThere.
        """
        call, now = self._call(session, by, number), self._clock()
        if call.seed is None or call.called_ms is not None:
            raise NotNow("this draw is called already, or is no draw")
        there = guards.on_duty(session, now, self._register.within(call.area))
        if not there:
            raise NobodyThere
        session.add_all(RollCandidate(call=number, guard=one) for one in there)
        drawn = draw(call.seed, there, call.many)
        self._ring(session, call, drawn, now)
        self._record(session, by, call, {"drawn": drawn}, now)
        return self._called(session, call)

    def call_by_hand(self, session: Session, by: Authority, *, area: str, people: Sequence[str]) -> Called:
        """Call these at once. Raises NotThere or NotNow."""
        self._reached(by, area)
        now = self._clock()
        wanted = list(dict.fromkeys(people))
        for one in wanted:
            self._here(session, by, one)
            if any(row.state == CalledState.WAITING.value for row in self._calls_of(session, one)):
                raise NotNow("a call waits for one of these already (正在点名)")
        call = self._add(session, by, now, area=area, way=Way.HAND)
        self._ring(session, call, wanted, now)
        self._record(session, by, call, {"called": wanted}, now)
        return self._called(session, call)

    def spot(self, session: Session, by: Authority, *, area: str, guard: str, words: str, minutes: int) -> Called:
        """Call one and give him something else to do (点调), in one step: what he misses meanwhile is excused.

        Raises NotThere, NotNow, or BadCall for whoever is not on duty.
        """
        self._reached(by, area)
        self._here(session, by, guard)
        now = self._clock()
        if not guards.servings_of(session, guard, now, now + 1):
            raise BadCall("whoever is not on duty is not re-tasked (不在岗)")
        for row in self._calls_of(session, guard):
            before = session.get_one(RollCall, row.call)
            if before.until_ms is not None and before.done_ms is None and now < before.until_ms:
                raise NotNow(f"he is at spot call {before.number}; end that first")
        until = now + minutes * 60_000
        call = self._add(session, by, now, area=area, way=Way.SPOT, words=words, until_ms=until)
        self._ring(session, call, [guard], now)
        guards.excuse(
            session,
            station=self._register.station,
            guard=guard,
            cause=guards.Cause.SPOT_CALL,
            evidence=_evidence(call),
            from_ms=now,
            to_ms=until,
            now_ms=now,
        )
        self._record(session, by, call, {"spot": guard, "minutes": minutes}, now)
        return self._called(session, call)

    def spot_done(self, session: Session, by: Authority, number: int) -> Called:
        """What he was called for is done; from now on his visits count again. Raises NotThere or NotNow."""
        call, now = self._call(session, by, number), self._clock()
        if call.until_ms is None or call.done_ms is not None or now >= call.until_ms:
            raise NotNow("this is no spot call that goes on")
        call.done_ms = now
        session.add(call)
        session.flush()
        for row in self._people(session, number):
            guards.end_excuse(session, row.guard, _evidence(call), now)
        self._record(session, by, call, {"done": True}, now)
        return self._called(session, call)

    # Answering

    def answer_by_radio(
        self, session: Session, by: Authority, number: int, *, guard: str, claimed: str | None
    ) -> Called:
        """The operator heard him. Raises NotThere, NotCalled or NotNow."""
        call = self._call(session, by, number)
        row = self._waiting(session, call, guard)
        self._answer(session, call, row, AnsweredOver.RADIO, claimed=claimed, typed_by=by.principal.account)
        self._record(session, by, call, {"radio": guard}, self._clock())
        return self._called(session, call)

    def answer_by_phone(self, session: Session, by: Authority, number: int, *, claimed: str | None) -> RollCalled:
        """He answers himself, on his phone's page. Raises NotThere or NotNow."""
        own = guards.guard_of_account(session, by.principal.account)
        call = session.get(RollCall, number)
        if own is None or call is None or not any(row.guard == own for row in self._people(session, number)):
            raise NotThere(f"no call {number} of yours")
        row = self._waiting(session, call, own)
        self._answer(session, call, row, AnsweredOver.PHONE, claimed=claimed)
        self._record(session, by, call, {"phone": own}, self._clock())
        return row

    def heard(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """A tag at a reader answers a call that waits for whose it is: a consequence of `checkins`."""
        by_guard: dict[str, CheckIn] = {}
        for one in check_ins:
            if one.guard is not None and one.source in READ:
                by_guard.setdefault(one.guard, one)
        if not by_guard:
            return
        for number in session.connection().scalars(_WAITING, {"guards": [*by_guard]}).all():
            row = session.get_one(RollCalled, number)
            one = by_guard[row.guard]
            if one.at_ms >= row.first_ms:
                call = session.get_one(RollCall, row.call)
                self._answer(session, call, row, AnsweredOver.READER, claimed=one.point, check_in=one.id)

    def mine(self, session: Session, by: Authority) -> list[tuple[RollCall, RollCalled]]:
        """Calls that wait for whoever asks."""
        own = guards.guard_of_account(session, by.principal.account)
        asked = select(RollCalled).where(RollCalled.guard == own, RollCalled.state == CalledState.WAITING.value)
        rows = session.exec(asked.order_by(col(RollCalled.number))).all()
        return [(session.get_one(RollCall, row.call), row) for row in rows]

    # Looking

    def one(self, session: Session, by: Authority, number: int) -> Called:
        """One in the account's area, or with somebody of its own. Raises NotThere."""
        return self._called(session, self._call(session, by, number))

    def listed(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Called]:
        """Those, newest first."""

        def show(row: RollCall) -> Called:
            return self._called(session, self._call(session, by, row.number or 0))

        return newest(session, select(RollCall), col(RollCall.number), show, below=below, limit=limit)

    # What is due

    def look(self, database: Database, now_ms: int) -> None:
        """Repeat calls that nobody answered, and say which were missed: one of the rounds."""
        with database.read() as session:
            due = select(RollCalled.number).where(col(RollCalled.due_ms) <= now_ms)
            if session.exec(due.limit(1)).first() is None:
                return
        with database.write(patient=True) as session:
            self.follow(session, now_ms)
        self._owes()

    def follow(self, session: Session, now_ms: int) -> None:
        """Do what is due at a moment, at most AT_ONCE, in the order in which it was due."""
        due = select(RollCalled).where(col(RollCalled.due_ms) <= now_ms)
        for row in session.exec(due.order_by(col(RollCalled.due_ms)).limit(AT_ONCE)).all():
            assert row.due_ms is not None
            after = after_deadline(second=row.second_ms is not None, due_ms=max(row.due_ms, now_ms))
            if after.again:
                # Whoever is called late has his 3 minutes all the same.
                row.second_due_ms, row.second_ms, row.due_ms = row.due_ms, now_ms, after.due_ms
                session.add(row)
                session.flush()
                self._lamps.tell(session, [row], now_ms)
            else:
                call = session.get_one(RollCall, row.call)
                row.state, row.missed_ms, row.due_ms = CalledState.MISSED.value, row.due_ms, None
                self._settle(session, call, row, now_ms)

    # Inside

    def _answer(
        self,
        session: Session,
        call: RollCall,
        row: RollCalled,
        over: AnsweredOver,
        *,
        claimed: str | None,
        typed_by: str | None = None,
        check_in: str | None = None,
    ) -> None:
        now = self._clock()
        row.state, row.answered_ms, row.over, row.due_ms = CalledState.ANSWERED.value, now, over.value, None
        row.claimed, row.typed_by, row.check_in = claimed, typed_by, check_in
        self._settle(session, call, row, now)

    def _settle(self, session: Session, call: RollCall, row: RollCalled, now_ms: int) -> None:
        """Look where he was last, write it beside the answer, and tell what points are made of."""
        looked = checkins.of_guard(session, row.guard, now_ms - LOOKED_BACK_MS, now_ms + 1)
        before = [one for one in looked if one.id != row.check_in and one.point is not None]
        if before:
            last = max(before, key=lambda one: (one.at_ms, one.id))
            row.last_check_in, row.last_point, row.last_ms = last.id, last.point, last.at_ms
        row.contradicts = row.answered_ms is not None and contradicts(
            claimed=row.claimed,
            last=row.last_point,
            last_ms=row.last_ms,
            answered_ms=row.answered_ms,
            least_ms=_least_ms(session, row.last_point, row.claimed),
        )
        session.add(row)
        session.flush()
        self._lamps.tell(session, [row], now_ms)
        self._tell(session, call, row)
        if not any(one.state == CalledState.WAITING.value for one in self._people(session, row.call)):
            call.ends_ms = now_ms
            session.add(call)
            session.flush()

    def _tell(self, session: Session, call: RollCall, row: RollCalled) -> None:
        """Whoever was not on the roster has missed nothing, and earns nothing."""
        if row.duty is None:
            return
        evidence = (f"call:{call.number}", *(one for one in (row.check_in, row.last_check_in) if one is not None))
        if row.answered_ms is None:
            happened = [Happening(what=Happened.NOT_ANSWERED, evidence=evidence, at_ms=row.missed_ms)]
        else:
            seconds = (row.answered_ms - row.first_ms) // 1_000
            happened = [Happening(what=Happened.ANSWERED, evidence=evidence, value=seconds, at_ms=row.answered_ms)]
            if row.contradicts:
                happened.append(Happening(what=Happened.CONTRADICTED, evidence=evidence, at_ms=row.answered_ms))
        fact = Fact(
            key=f"call:{call.number}:{row.guard}",
            guard=row.guard,
            company=row.company,
            area=call.area,
            occurred_ms=row.first_ms,
            happenings=tuple(happened),
            active=row.answered_ms is not None,
        )
        self._note(session, fact)

    def _ring(self, session: Session, call: RollCall, people: Sequence[str], now_ms: int) -> None:
        assert call.number is not None
        rows = []
        for one in people:
            serving = guards.servings_of(session, one, now_ms, now_ms + 1)
            row = RollCalled(
                call=call.number,
                guard=one,
                company=guards.employer_at(session, one, now_ms),
                duty=serving[0].duty if serving else None,
                state=CalledState.WAITING.value,
                first_ms=now_ms,
                due_ms=now_ms + AGAIN_MS,
            )
            session.add(row)
            rows.append(row)
        call.called_ms = now_ms
        session.add(call)
        session.flush()
        self._lamps.tell(session, rows, now_ms)
        accounts = [one.account for one in guards.named(session, people).values() if one.account is not None]
        notice = Notice(
            kind_shown=None, grid=None, number=None, link="", police_only=False, pushed=Pushed.ROLL_CALL,
            tag=tag_of(f"roll-call:{call.number}"),
        )  # fmt: skip
        self._push(session, accounts=accounts, notice=notice, now_ms=now_ms)

    def _add(self, session: Session, by: Authority, now_ms: int, *, area: str, way: Way, **more: Any) -> RollCall:
        call = RollCall(
            station=self._register.station,
            area=area,
            way=way.value,
            by=by.principal.account,
            committed_ms=now_ms,
            **more,
        )
        session.add(call)
        session.flush()
        return call

    def _here(self, session: Session, by: Authority, guard: str) -> None:
        if self._guards.guard(session, by, guard).closed_ms is not None:
            raise NotNow(f"{guard} has left for good")

    def _reached(self, by: Authority, area: str) -> None:
        known = area == self._register.station or self._register.area(area) is not None
        if not known or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")

    def _call(self, session: Session, by: Authority, number: int) -> RollCall:
        call = session.get(RollCall, number)
        if call is None:
            raise NotThere(f"no call {number} of yours")
        if by.reach.covers(self._register.subject_of_area(call.area)):
            return call
        own = any(held.over in {Over.COMPANY, Over.SELF} for held in by.reach.held)
        if not own or not self._guards.sees(session, by, [row.guard for row in self._people(session, number)]):
            raise NotThere(f"no call {number} of yours")
        return call

    def _calls_of(self, session: Session, guard: str) -> Sequence[RollCalled]:
        """His calls that wait, or that may be spot calls that go on."""
        since = self._clock() - SPOT_MOST_MIN * 60_000
        return session.exec(select(RollCalled).where(RollCalled.guard == guard, RollCalled.first_ms >= since)).all()

    def _people(self, session: Session, number: int) -> Sequence[RollCalled]:
        asked = select(RollCalled).where(RollCalled.call == number)
        return session.exec(asked.order_by(col(RollCalled.number))).all()

    def _waiting(self, session: Session, call: RollCall, guard: str) -> RollCalled:
        for row in self._people(session, call.number or 0):
            if row.guard == guard:
                if row.state != CalledState.WAITING.value:
                    raise NotNow(f"this call of him is {row.state}")
                return row
        raise NotCalled(guard)

    def _called(self, session: Session, call: RollCall) -> Called:
        might = select(RollCandidate.guard).where(RollCandidate.call == call.number)
        people = tuple(self._people(session, call.number or 0))
        return Called(call, people, tuple(sorted(session.exec(might))))

    def _record(self, session: Session, by: Authority, call: RollCall, detail: dict[str, object], now_ms: int) -> None:
        record(
            session,
            at_ms=now_ms,
            by=by.principal.account,
            action=by.action,
            about=f"roll_call:{call.number}",
            detail=detail,
        )


def _evidence(call: RollCall) -> str:
    return f"spot_call:{call.number}"


def _least_ms(session: Session, last: str | None, claimed: str | None) -> int | None:
    """The least walking time between two checkpoints over the legs that were put down; None: none is known."""
    if last is None or claimed is None:
        return None
    least = Ways({leg: seconds * 1_000 for leg, seconds in patrols.legs_s(session).items()}).least(last, claimed)
    return None if least is None else least.ms
