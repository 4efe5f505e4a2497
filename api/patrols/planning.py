"""What people keep: checkpoints, legs, routes, shifts, plans, days. Takes a session, never commits.

Everything is ended and never changed; a round shows what it was planned by. Rounds follow in the same transaction.

PatrolProblem
+-- Unwalkable              422: .troubles, every one of them; nothing was kept
+-- AlreadyThere            409: something of that id is there, or was: ids are not used again
+-- InUse                   409: .by what it is used
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock
from api.patrols import repository
from api.patrols.civil import (
    Route,
    Trouble,
    Visit,
    civil_day,
    clash,
    shifts_overlap,
    troubles_of_plan,
    troubles_of_route,
)
from api.patrols.models import (
    Checkpoint,
    PatrolDay,
    PatrolLeg,
    PatrolPlan,
    PatrolRound,
    PatrolRoute,
    PatrolRouteVisit,
    PatrolShift,
)
from api.patrols.schemas import DayAsked, LegAsked, NewCheckpoint, NewPlan, NewRoute, NewShift
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over, Subject

CLASH_DAYS: Final = 62
"""How far ahead rounds of a new plan are held against those of others: every weekday, and every day of a month."""


class Unwalkable(Problem):
    """Something that cannot be walked, or not beside what is there. Field: `troubles`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "unwalkable"
    title = "This cannot be walked"

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        self.troubles = tuple(troubles)
        super().__init__(
            "; ".join(one.en for one in troubles)[:512],
            troubles=[{"where": one.where, "zh": one.zh, "en": one.en} for one in troubles],
        )


class AlreadyThere(Problem):
    """There is, or was, one of that id. Field: `id`."""

    status = HTTPStatus.CONFLICT
    type = "already_there"
    title = "This id is taken"

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__(f"{id_!r} is there or was; take another id", id=id_, zh="编号已用过，请换一个")


class InUse(Problem):
    """It cannot end while something goes by it. Field: `by`."""

    status = HTTPStatus.CONFLICT
    type = "in_use"
    title = "Something goes by this"

    def __init__(self, by: Sequence[str]) -> None:
        self.by = tuple(by)
        super().__init__(f"end these first: {', '.join(by)}"[:512], by=[*by], zh="请先结束使用它的线路或计划")


class Planning:
    """What is to be patrolled at one station."""

    def __init__(
        self, register: Register, *, clock: Clock, zone: ZoneInfo, unfold: Callable[[Session, int], None]
    ) -> None:
        """`unfold` lets the rounds follow."""
        self._register = register
        self._clock = clock
        self._zone = zone
        self._unfold = unfold

    # Checkpoints and legs

    def add_checkpoint(self, session: Session, by: Authority, new: NewCheckpoint) -> Checkpoint:
        """Put a checkpoint down. Raises NotThere, AlreadyThere or Unwalkable."""
        self._own(by, new.area)
        if repository.checkpoint(session, new.id) is not None:
            raise AlreadyThere(new.id)
        troubles = []
        if new.place is not None and not self._lies(new.place, new.area):
            troubles.append(
                Trouble("place", f"{new.place} 不在 {new.area}", f"{new.place!r} does not lie in {new.area!r}")
            )
        if (new.gateway is None) != (new.reader is None):
            troubles.append(Trouble("reader", "网关与读卡器要一起写", "a reader has a gateway, and a gateway a reader"))
        if new.gateway is not None and new.reader is not None:
            hangs = repository.at_readers(session, {(new.gateway, new.reader)})
            troubles += [
                Trouble("reader", f"读卡器已在巡查点 {point}", f"this reader hangs at {point!r}")
                for point in hangs.values()
            ]
        if troubles:
            raise Unwalkable(troubles)
        row = Checkpoint(
            **new.model_dump(),
            station=self._register.station,
            from_ms=self._clock(),
            made_by=by.principal.account,
        )
        repository.add(session, row)
        self._record(session, by, f"checkpoint:{row.id}", new.model_dump())
        return row

    def end_checkpoint(self, session: Session, by: Authority, id_: str) -> Checkpoint:
        """Take a checkpoint away; twice is once. Raises NotThere, or InUse while a route goes by it."""
        row = repository.checkpoint(session, id_)
        if row is None or not self._covers(by, row.area):
            raise NotThere(f"no checkpoint {id_!r} of yours")
        if row.to_ms is None:
            if used := repository.walked_on(session, id_):
                raise InUse(used)
            row.to_ms = self._clock()
            repository.add(session, row)
            self._record(session, by, f"checkpoint:{id_}", {"ended": True})
        return row

    def checkpoints(self, session: Session, by: Authority, *, ended: bool) -> Sequence[Checkpoint]:
        """Those that the account reaches, by id."""
        return repository.checkpoints(session, self.areas(by), ended=ended)

    def set_leg(self, session: Session, by: Authority, asked: LegAsked) -> list[PatrolLeg]:
        """Say how long a leg takes at least; rounds that have unfolded keep theirs. Raises NotThere or Unwalkable."""
        if asked.from_point == asked.to_point:
            raise Unwalkable([Trouble("to_point", "起点与终点相同", "it would lead to where it begins")])
        named = repository.checkpoints_named(session, (asked.from_point, asked.to_point))
        for point in (asked.from_point, asked.to_point):
            if point not in named or not self._covers(by, named[point].area):
                raise NotThere(f"no checkpoint {point!r} of yours")
        ways = [(asked.from_point, asked.to_point)]
        ways += [(asked.to_point, asked.from_point)] if asked.both_ways else []
        found = []
        for from_point, to_point in ways:
            row = repository.leg(session, from_point, to_point)
            if row is None:
                row = PatrolLeg(from_point=from_point, to_point=to_point, least_s=1, made_by="", made_ms=0)
            row.least_s, row.made_by, row.made_ms = asked.least_s, by.principal.account, self._clock()
            repository.add(session, row)
            found.append(row)
        about = f"leg:{asked.from_point}:{asked.to_point}"
        self._record(session, by, about, {"least_s": asked.least_s, "both_ways": asked.both_ways})
        return found

    def legs(self, session: Session, by: Authority) -> dict[tuple[str, str], int]:
        """Those between checkpoints that the account reaches."""
        return repository.legs(session, [row.id for row in self.checkpoints(session, by, ended=False)])

    # Routes and shifts

    def add_route(self, session: Session, by: Authority, new: NewRoute) -> PatrolRoute:
        """Lay a route down. Raises NotThere, AlreadyThere or Unwalkable, which names everything that is wrong."""
        self._own(by, new.area)
        if repository.route(session, new.id) is not None:
            raise AlreadyThere(new.id)
        points = repository.checkpoints_named(session, {visit.point for visit in new.visits})
        usable = {row.id: row for row in points.values() if row.to_ms is None and self._covers(by, row.area)}
        of_point = {row.id: row.dwell_min for row in usable.values()}
        visits = [
            (visit, of_point.get(visit.point, 0) if visit.dwell_min is None else visit.dwell_min)
            for visit in new.visits
        ]
        route = Route(
            id=new.id,
            order=new.order,
            visits=tuple(Visit(**one.model_dump(exclude={"dwell_min"}), dwell_min=dwell) for one, dwell in visits),
        )
        if troubles := troubles_of_route(route, usable):
            raise Unwalkable(troubles)
        row = PatrolRoute(
            id=new.id,
            station=self._register.station,
            area=new.area,
            name=new.name,
            order=new.order.value,
            from_ms=self._clock(),
            made_by=by.principal.account,
        )
        repository.add(session, row)
        repository.add(
            session,
            *(
                PatrolRouteVisit(route=new.id, nth=nth, **one.model_dump(exclude={"dwell_min"}), dwell_min=dwell)
                for nth, (one, dwell) in enumerate(visits, start=1)
            ),
        )
        self._record(session, by, f"patrol_route:{new.id}", new.model_dump(mode="json"))
        return row

    def end_route(self, session: Session, by: Authority, id_: str) -> PatrolRoute:
        """Take a route away; twice is once. Raises NotThere, or InUse while a plan walks it."""
        row = repository.route(session, id_)
        if row is None or not self._covers(by, row.area):
            raise NotThere(f"no route {id_!r} of yours")
        if row.to_ms is None:
            if used := repository.plans_that_hold(session, route=id_):
                raise InUse([f"plan {one.number}" for one in used])
            row.to_ms = self._clock()
            repository.add(session, row)
            self._record(session, by, f"patrol_route:{id_}", {"ended": True})
        return row

    def routes(
        self, session: Session, by: Authority, *, ended: bool
    ) -> list[tuple[PatrolRoute, list[PatrolRouteVisit]]]:
        """Those that the account reaches, with their points."""
        rows = repository.routes(session, self.areas(by), ended=ended)
        visits = repository.visits_of_routes(session, [row.id for row in rows])
        return [(row, visits[row.id]) for row in rows]

    def add_shift(self, session: Session, by: Authority, new: NewShift) -> PatrolShift:
        """Begin a shift. Raises NotThere, AlreadyThere, or Unwalkable where it overlaps another of its area."""
        self._own(by, new.area)
        if repository.shift(session, new.id) is not None:
            raise AlreadyThere(new.id)
        row = PatrolShift(
            **new.model_dump(),
            station=self._register.station,
            from_ms=self._clock(),
            made_by=by.principal.account,
        )
        mine = repository.as_shift(row)
        troubles = [
            Trouble("starts_min", f"与班次 {other.id} 重叠", f"it overlaps the shift {other.id!r}")
            for other in repository.shifts(session, [new.area], ended=False)
            if shifts_overlap(mine, repository.as_shift(other))
        ]
        if troubles:
            raise Unwalkable(troubles)
        repository.add(session, row)
        self._record(session, by, f"patrol_shift:{new.id}", new.model_dump())
        return row

    def end_shift(self, session: Session, by: Authority, id_: str) -> PatrolShift:
        """Take a shift away; twice is once. Raises NotThere, or InUse while a plan is walked in it."""
        row = repository.shift(session, id_)
        if row is None or not self._covers(by, row.area):
            raise NotThere(f"no shift {id_!r} of yours")
        if row.to_ms is None:
            if used := repository.plans_that_hold(session, shift=id_):
                raise InUse([f"plan {one.number}" for one in used])
            row.to_ms = self._clock()
            repository.add(session, row)
            self._record(session, by, f"patrol_shift:{id_}", {"ended": True})
        return row

    def shifts(self, session: Session, by: Authority, *, ended: bool) -> Sequence[PatrolShift]:
        """Those that the account reaches, by id."""
        return repository.shifts(session, self.areas(by), ended=ended)

    # Plans and days

    def add_plan(self, session: Session, by: Authority, new: NewPlan) -> PatrolPlan:
        """Let a route be walked; its rounds unfold at once. Raises NotThere, or Unwalkable with everything wrong."""
        now = self._clock()
        route, shift = repository.route(session, new.route), repository.shift(session, new.shift)
        if route is None or route.to_ms is not None or not self._covers(by, route.area):
            raise NotThere(f"no route {new.route!r} of yours")
        if shift is None or shift.to_ms is not None or not self._covers(by, shift.area):
            raise NotThere(f"no shift {new.shift!r} of yours")
        if new.company is not None and not repository.company(session, self._register.station, new.company):
            raise NotThere(f"no company {new.company!r}")
        row = PatrolPlan(
            station=self._register.station,
            area=route.area,
            route=new.route,
            shift=new.shift,
            company=new.company,
            begins_min=" ".join(str(one) for one in new.begins_min),
            lasts_min=new.lasts_min,
            weekdays="".join(str(one) for one in sorted(new.weekdays)),
            holidays=new.holidays.value,
            month_days=new.month_days,
            from_day=None if new.from_day is None else new.from_day.isoformat(),
            to_day=None if new.to_day is None else new.to_day.isoformat(),
            temporary=new.temporary,
            from_ms=now,
            made_by=by.principal.account,
        )
        (plan,) = repository.as_plans(session, [row], self._zone)
        troubles = troubles_of_plan(plan)
        if not troubles:
            others = repository.as_plans(session, repository.plans_that_hold(session, route=new.route), self._zone)
            begin = max(civil_day(now, self._zone), new.from_day or civil_day(now, self._zone))
            days = (begin + timedelta(days=number) for number in range(CLASH_DAYS))
            found = clash(plan, others, days, repository.calendar(session))
            troubles = [] if found is None else [found]
        if troubles:
            raise Unwalkable(troubles)
        repository.add(session, row)
        self._record(session, by, f"patrol_plan:{row.number}", new.model_dump(mode="json"))
        self._unfold(session, now)
        return row

    def end_plan(self, session: Session, by: Authority, number: int) -> PatrolPlan:
        """Let nobody walk it any more: rounds that have not begun are gone; twice is once. Raises NotThere."""
        row = repository.plan(session, number)
        if row is None or not self._covers(by, row.area):
            raise NotThere(f"no plan {number} of yours")
        if row.to_ms is None:
            row.to_ms = self._clock()
            repository.add(session, row)
            self._record(session, by, f"patrol_plan:{number}", {"ended": True})
            self._unfold(session, row.to_ms)
        return row

    def plans(
        self, session: Session, by: Authority, *, ended: bool, below: int | None, limit: int
    ) -> Sequence[PatrolPlan]:
        """Those of areas that the account reaches, or of its company, newest first."""
        companies = by.reach.over(Over.COMPANY)
        return repository.plans(session, self.areas(by), companies, ended=ended, below=below, limit=limit)

    def set_day(self, session: Session, by: Authority, day: str, asked: DayAsked) -> PatrolDay:
        """Say what a day counts as, for the whole station; rounds follow. Raises NotThere."""
        self._own(by, self._register.station)
        row = repository.day(session, day) or PatrolDay(day=day, counts_as=0, name="", made_by="", made_ms=0)
        row.counts_as, row.name = asked.counts_as, asked.name
        row.made_by, row.made_ms = by.principal.account, self._clock()
        repository.add(session, row)
        self._record(session, by, f"patrol_day:{day}", asked.model_dump())
        self._unfold(session, row.made_ms)
        return row

    # Reach

    def areas(self, by: Authority) -> frozenset[str]:
        """Every area that the account reaches."""
        return frozenset[str]().union(*(self._register.within(area) for area in by.reach.over(Over.AREA)))

    def reaches(self, by: Authority, row: PatrolRound) -> bool:
        """Whether the account reaches a round, by its area or by its company."""
        subject = self._register.subject_of_area(row.area)
        mine = Subject(areas=subject.areas, group=subject.group, company=row.company)
        return bool(by.reach.covers(mine))

    def _covers(self, by: Authority, area: str) -> bool:
        return bool(by.reach.covers(self._register.subject_of_area(area)))

    def _own(self, by: Authority, area: str) -> None:
        if self._register.area(area) is None or not self._covers(by, area):
            raise NotThere(f"no area {area!r} of yours")

    def _lies(self, place: str, area: str) -> bool:
        group = self._register.groups_of_places.get(place)
        return group is not None and area in self._register.areas_of(group)

    def _record(self, session: Session, by: Authority, about: str, detail: dict[str, object]) -> None:
        record(session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=about, detail=detail)
