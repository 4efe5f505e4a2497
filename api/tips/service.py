"""Publishes, withdraws and shows warnings and tips. Takes a session, never commits.

TipProblem
+-- OutsideReach            403: .areas that the account may not publish to
+-- BadSpan                 422: it would be over, or never end
"""

from collections.abc import Sequence
from http import HTTPStatus

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over, Reach
from api.tips import repository
from api.tips.models import Tip
from api.tips.rules import bad_span
from api.tips.schemas import NewTip, ReadCount, TipAnswer, tip_answer


class OutsideReach(Problem):
    """Areas in which this account publishes nothing. Field: `areas`."""

    status = HTTPStatus.FORBIDDEN
    type = "outside_reach"
    title = "Not your area"

    def __init__(self, areas: Sequence[str]) -> None:
        self.areas = tuple(areas)
        super().__init__(f"you publish nothing in {', '.join(areas)}", areas=[*areas])


class BadSpan(Problem):
    """Times between which nothing can be shown."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_span"
    title = "It cannot be shown then"


class Tips:
    """The warnings and tips of one station."""

    def __init__(self, register: Register, *, clock: Clock) -> None:
        self._register = register
        self._clock = clock

    def publish(self, session: Session, by: Authority, new: NewTip) -> TipAnswer:
        """Publish to areas that the account reaches. Raises OutsideReach or BadSpan."""
        now = self._clock()
        areas = frozenset(new.areas)
        if outside := sorted(area for area in areas if not by.reach.covers(self._register.subject_of_area(area))):
            raise OutsideReach(outside)
        from_ms = now if new.begins is None else _ms(new.begins.timestamp())
        expires_ms = _ms(new.expires.timestamp())
        if why := bad_span(from_ms, expires_ms, now_ms=now):
            raise BadSpan(why)
        tip = repository.add(
            session,
            Tip(
                station=self._register.station,
                kind=new.kind.value,
                title=new.title,
                text=new.text,
                by=by.principal.account,
                made_ms=now,
                from_ms=from_ms,
                expires_ms=expires_ms,
            ),
            areas,
        )
        detail = {"areas": sorted(areas), "kind": new.kind.value}
        record(session, at_ms=now, by=tip.by, action="tip.publish", about=f"tip:{tip.number}", detail=detail)
        return self._show(session, [tip], publisher=True)[0]

    def withdraw(self, session: Session, by: Authority, number: int) -> TipAnswer:
        """Take it back; what was read stays counted. Raises NotThere. Twice is once."""
        now = self._clock()
        tip = repository.find(session, number)
        if tip is None or not self._reaches(session, tip, by.reach):
            raise NotThere(f"no warning or tip {number} of yours")
        if tip.withdrawn_ms is None:
            tip.withdrawn_ms, tip.withdrawn_by = now, by.principal.account
            session.flush()
            record(session, at_ms=now, by=by.principal.account, action="tip.publish", about=f"tip:{number}",
                   detail={"withdrawn": True})  # fmt: skip
        return self._show(session, [tip], publisher=True)[0]

    def published(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[TipAnswer]:
        """What was published where the account publishes, whatever became of it."""
        tips = repository.page(session, areas=self._areas_within(by.reach), shown_at=None, below=below, limit=limit)
        return self._show(session, tips, publisher=True)

    def shown(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[TipAnswer]:
        """What is shown now to somebody who lives, works or serves where the account does."""
        areas = self._areas_around(by.reach)
        tips = repository.page(session, areas=areas, shown_at=self._clock(), below=below, limit=limit)
        return self._show(session, tips, publisher=False)

    def read(self, session: Session, by: Authority, number: int) -> None:
        """Note that the account's household has read it. Raises NotThere when it is not shown to that household."""
        places = by.reach.over(Over.PLACE)
        areas = {area for place in places for area in self._register.subject(place).areas}
        shown = repository.page(session, areas=areas, shown_at=self._clock(), below=number + 1, limit=1)
        if not shown or shown[0].number != number:
            raise NotThere(f"no warning or tip {number} for you")
        repository.read(session, number, places, now_ms=self._clock())

    def _show(self, session: Session, tips: Sequence[Tip], *, publisher: bool) -> list[TipAnswer]:
        numbers = [tip.number for tip in tips if tip.number is not None]
        areas = repository.areas(session, numbers)
        reads = repository.reads(session, numbers) if publisher else {}
        now = self._clock()
        return [
            tip_answer(
                tip, areas[number], self._count(areas[number], reads.get(number, 0)) if publisher else None, now_ms=now
            )
            for number, tip in zip(numbers, tips, strict=True)
        ]

    def _count(self, areas: Sequence[str], read: int) -> ReadCount:
        groups = frozenset[str]().union(*(self._register.groups_in(area) for area in areas))
        places = sum(1 for group in self._register.groups_of_places.values() if group in groups)
        return ReadCount(places=places, read=read)

    def _reaches(self, session: Session, tip: Tip, reach: Reach) -> bool:
        assert tip.number is not None
        return all(
            reach.covers(self._register.subject_of_area(area))
            for area in repository.areas(session, [tip.number])[tip.number]
        )

    def _areas_within(self, reach: Reach) -> frozenset[str]:
        """Every area in which something could have been published by right of these grants."""
        return frozenset[str]().union(*(self._register.within(scope) for scope in reach.over(Over.AREA)))

    def _areas_around(self, reach: Reach) -> frozenset[str]:
        """Every area in which the account's places and areas lie, and every one that lies in them."""
        found = {area for place in reach.over(Over.PLACE) for area in self._register.subject(place).areas}
        for scope in reach.over(Over.AREA):
            found |= self._register.lies_in(scope) | self._register.within(scope)
        return frozenset(found)


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
