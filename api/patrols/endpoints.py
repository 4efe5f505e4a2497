"""Plans and rounds over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from api.access import Authority, may
from api.checkins.service import weights
from api.guards.service import employments
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.patrols import repository
from api.patrols.going import going
from api.patrols.own import own_rounds
from api.patrols.schemas import (
    CheckpointAnswer,
    CheckpointList,
    DayAnswer,
    DayAsked,
    DayList,
    ExceptionPage,
    LegAnswer,
    LegAsked,
    LegList,
    NewCheckpoint,
    NewPlan,
    NewRoute,
    NewShift,
    OwnRounds,
    PlanAnswer,
    PlanPage,
    RoundDetailAnswer,
    RoundPage,
    RoundsNow,
    RouteAnswer,
    RouteList,
    ShiftAnswer,
    ShiftList,
    checkpoint_answer,
    day_answer,
    exception_answer,
    plan_answer,
    round_answer,
    round_detail,
    route_answer,
    shift_answer,
)
from api.problems import NotThere, answers
from api.rights.rules import Over
from api.shapes import CivilDay
from api.station import CurrentStation
from broker.ids import SEGMENT

AROUND_MS: Final = 30 * 60_000
"""A round goes on for as long before it begins and after it has closed."""
READ_BEFORE_MS: Final = 86_400_000
"""How far back check-ins without a checkpoint are given to one that is put down at their reader."""

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["patrols"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Segment = Annotated[str, Path(pattern=SEGMENT)]
Ended = Annotated[bool, Query(description="Also those that have ended")]
Year = Annotated[int, Query(ge=2000, le=2199)]


@router.get("/checkpoints", summary="Patrol points (巡查点)")
def list_checkpoints(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.read")],
    ended: Ended = False,  # noqa: FBT002 - a query parameter
) -> CheckpointList:
    """Those of the areas that you reach, by id."""
    with station.database.read() as session:
        rows = station.planning.checkpoints(session, by, ended=ended)
        return CheckpointList(items=tuple(checkpoint_answer(row) for row in rows))


@router.post("/checkpoints", summary="Put a patrol point down", status_code=HTTPStatus.CREATED)
def add_checkpoint(
    station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], new: NewCheckpoint
) -> CheckpointAnswer:
    """One reader hangs at one point; what it read in the day before is put there, too.

    Ids are not used twice: an old round shows where it was.
    """
    with station.database.write() as session:
        row = station.planning.add_checkpoint(session, by, new)
        if row.gateway is not None and row.reader is not None:
            since_ms = row.from_ms - READ_BEFORE_MS
            station.checkins.read_at(session, row.gateway, row.reader, point=row.id, from_ms=since_ms)
        return checkpoint_answer(row)


@router.post("/checkpoints/{point}/end", summary="Take a patrol point away")
def end_checkpoint(
    station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], point: Segment
) -> CheckpointAnswer:
    """Refused while a route goes by it; twice is once."""
    with station.database.write() as session:
        return checkpoint_answer(station.planning.end_checkpoint(session, by, point))


@router.get("/patrol-legs", summary="Least walking times between points")
def list_legs(station: CurrentStation, by: Annotated[Authority, may("patrol.read")]) -> LegList:
    """Who is faster than that is flagged as too fast, and an officer looks."""
    with station.database.read() as session:
        found = station.planning.legs(session, by)
    return LegList(
        items=tuple(
            LegAnswer(from_point=one, to_point=two, least_s=least) for (one, two), least in sorted(found.items())
        )
    )


@router.put("/patrol-legs", summary="Say how long a walk takes at least")
def set_leg(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], asked: LegAsked) -> LegList:
    """For rounds that unfold from now on; those that have keep theirs."""
    with station.database.write() as session:
        rows = station.planning.set_leg(session, by, asked)
        return LegList(
            items=tuple(
                LegAnswer(from_point=row.from_point, to_point=row.to_point, least_s=row.least_s) for row in rows
            )
        )


@router.get("/patrol-routes", summary="Routes (巡查线路)")
def list_routes(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.read")],
    ended: Ended = False,  # noqa: FBT002 - a query parameter
) -> RouteList:
    """Those of the areas that you reach, by id, with their points."""
    with station.database.read() as session:
        found = station.planning.routes(session, by, ended=ended)
        return RouteList(items=tuple(route_answer(row, visits) for row, visits in found))


@router.post("/patrol-routes", summary="Lay a route down", status_code=HTTPStatus.CREATED)
def add_route(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], new: NewRoute) -> RouteAnswer:
    """In exact order with times, in exact order, or in any order. Everything that is wrong is named at once."""
    with station.database.write() as session:
        row = station.planning.add_route(session, by, new)
        return route_answer(row, repository.visits_of_routes(session, [row.id])[row.id])


@router.post("/patrol-routes/{route}/end", summary="Take a route away")
def end_route(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], route: Segment) -> RouteAnswer:
    """Refused while a plan walks it; twice is once."""
    with station.database.write() as session:
        row = station.planning.end_route(session, by, route)
        return route_answer(row, repository.visits_of_routes(session, [row.id])[row.id])


@router.get("/patrol-shifts", summary="Shifts (班次)")
def list_shifts(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.read")],
    ended: Ended = False,  # noqa: FBT002 - a query parameter
) -> ShiftList:
    """Those of the areas that you reach, by id."""
    with station.database.read() as session:
        return ShiftList(items=tuple(shift_answer(row) for row in station.planning.shifts(session, by, ended=ended)))


@router.post("/patrol-shifts", summary="Begin a shift", status_code=HTTPStatus.CREATED)
def add_shift(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], new: NewShift) -> ShiftAnswer:
    """May pass midnight: the tail belongs to the day on which it begins. Shifts of one area do not overlap."""
    with station.database.write() as session:
        return shift_answer(station.planning.add_shift(session, by, new))


@router.post("/patrol-shifts/{shift}/end", summary="Take a shift away")
def end_shift(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], shift: Segment) -> ShiftAnswer:
    """Refused while a plan is walked in it; twice is once."""
    with station.database.write() as session:
        return shift_answer(station.planning.end_shift(session, by, shift))


@router.get("/patrol-plans", summary="Plans: which route, in which shift, on which days")
def list_plans(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.round.read")],
    ended: Ended = False,  # noqa: FBT002 - a query parameter
    limit: Limit = PAGE,
    after: Cursor = None,
) -> PlanPage:
    """Newest first; a company sees those that its own guards walk."""
    with station.database.read() as session:
        rows = station.planning.plans(session, by, ended=ended, below=below(after), limit=limit + 1)
        items = [plan_answer(row) for row in rows[:limit]]
    return PlanPage(items=tuple(items), next=cursor(items[-1].number) if len(rows) > limit else None)


@router.post("/patrol-plans", summary="Let a route be walked", status_code=HTTPStatus.CREATED)
def add_plan(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], new: NewPlan) -> PlanAnswer:
    """Refused with every reason when it cannot be walked, leaves its shift, or overlaps another plan of the route."""
    with station.database.write() as session:
        return plan_answer(station.planning.add_plan(session, by, new))


@router.post("/patrol-plans/{number}/end", summary="Let it be walked no more")
def end_plan(station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], number: Number) -> PlanAnswer:
    """A round that has begun goes on; those that have not are taken away. Twice is once."""
    with station.database.write() as session:
        return plan_answer(station.planning.end_plan(session, by, number))


@router.get("/patrol-days", summary="Holidays, and days that count as others (节假日, 调休)")
def list_days(station: CurrentStation, by: Annotated[Authority, may("patrol.read")], year: Year) -> DayList:
    """Those of a year, by day."""
    del by  # the whole station has one calendar
    with station.database.read() as session:
        rows = repository.days(session, f"{year}-01-01", f"{year}-12-31")
        return DayList(items=tuple(day_answer(row) for row in rows))


@router.put("/patrol-days/{day}", summary="Say what a day counts as")
def set_day(
    station: CurrentStation, by: Annotated[Authority, may("patrol.plan")], day: CivilDay, asked: DayAsked
) -> DayAnswer:
    """For the whole station, so by whoever reaches all of it; rounds that have not begun follow."""
    with station.database.write() as session:
        return day_answer(station.planning.set_day(session, by, day.isoformat(), asked))


@router.get("/patrol-rounds", summary="Rounds as they were planned and judged")
def list_rounds(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.round.read")],
    day: CivilDay | None = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> RoundPage:
    """Newest first; `day` is the duty day, to which the hours after midnight belong."""
    with station.database.read() as session:
        areas, companies = station.planning.areas(by), by.reach.over(Over.COMPANY)
        day_ = None if day is None else day.isoformat()
        rows = repository.rounds(session, areas, companies, day_=day_, below=below(after), limit=limit + 1)
        routes = repository.route_names(session, {row.route for row in rows})
        items = [round_answer(row, routes) for row in rows[:limit]]
    return RoundPage(items=tuple(items), next=cursor(items[-1].number) if len(rows) > limit else None)


@router.get("/patrol-rounds/now", summary="Rounds that go on, visit by visit")
def list_rounds_now(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.round.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> RoundsNow:
    """From half an hour before they begin until half an hour after their last visit has closed."""
    now_ms = station.clock()
    with station.database.read() as session:
        areas, companies = station.planning.areas(by), by.reach.over(Over.COMPANY)
        span = now_ms - AROUND_MS, now_ms + AROUND_MS
        rows = repository.rounds_around(session, areas, companies, *span, below=below(after), limit=limit + 1)
        items = going(session, station.register, rows[:limit], now_ms=now_ms)
    return RoundsNow(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.get("/patrol-rounds/own", summary="One's own rounds of today (今日巡逻)")
def list_own_rounds(station: CurrentStation, by: Annotated[Authority, may("patrol.round.own")]) -> OwnRounds:
    """Visit by visit with their bands, the names of the checkpoints, and where one checked in last."""
    with station.database.read() as session:
        return own_rounds(session, station.register, by, now_ms=station.clock())


@router.get("/patrol-rounds/{number}", summary="One round, visit by visit")
def get_round(
    station: CurrentStation, by: Annotated[Authority, may("patrol.round.read")], number: Number
) -> RoundDetailAnswer:
    """With what late data changed, before and after. A company sees the ids of its own guards alone."""
    with station.database.read() as session:
        row = repository.round_(session, number)
        if row is None or not station.planning.reaches(by, row):
            raise NotThere(f"no round {number} of yours")
        guards = repository.guards(session, [number])[number]
        if row.area not in station.planning.areas(by):
            employed, companies = employments(session, guards), by.reach.over(Over.COMPANY)
            guards = [
                guard
                for guard in guards
                if any(
                    one.company in companies and one.from_ms <= row.starts_ms < (one.to_ms or row.ends_ms)
                    for one in employed.get(guard, ())
                )
            ]
        visits = repository.visits(session, [number])[number]
        return round_detail(
            row,
            guards,
            visits,
            [*repository.rescores(session, number)],
            points=repository.point_names(session, {visit.point for visit in visits}),
            routes=repository.route_names(session, {row.route}),
            weights=weights(session, {visit.check_in for visit in visits if visit.check_in is not None}),
        )


@router.get("/patrol-exceptions", summary="Visits that were not made as planned")
def list_exceptions(
    station: CurrentStation,
    by: Annotated[Authority, may("patrol.round.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> ExceptionPage:
    """Newest first: since when it is so, and since when it is known. Those that late data took away are gone."""
    with station.database.read() as session:
        areas, companies = station.planning.areas(by), by.reach.over(Over.COMPANY)
        rows = repository.exceptions(session, areas, companies, below=below(after), limit=limit + 1)
        points = repository.point_names(session, {visit.point for _, visit, _ in rows})
        routes = repository.route_names(session, {round_.route for *_, round_ in rows})
        items = [exception_answer(*row, points=points, routes=routes) for row in rows[:limit]]
    return ExceptionPage(items=tuple(items), next=cursor(items[-1].number) if len(rows) > limit else None)
