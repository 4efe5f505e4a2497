"""Looks up where guards were. Takes a session, never commits; every look at a person stands in the audit chain.

TracksProblem
+-- BadWindow               422: ends before it begins, or is longer than anybody may look at once
+-- NowhereKnown            422: the place has neither a checkpoint nor a position
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from typing import Final

from sqlmodel import Session

from api.audit.service import record
from api.checkins import service as checkins
from api.checkins.rules import CheckIn, Source
from api.clock import Clock, iso
from api.colours.service import Colours, band_at
from api.guards import service as guards
from api.patrols import service as patrols
from api.patrols.models import Checkpoint
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over
from api.tracks.rules import Band, Finding, Near, Shift, Walk, coverage, look_up, nearest
from api.tracks.schemas import (
    CoverageAnswer,
    LookUpAnswer,
    NearAnswer,
    NearList,
    ShiftTrackAnswer,
    StepAnswer,
    TrackAnswer,
    coverage_answer,
    finding_answer,
    near_answer,
)
from api.tracks.ways import By, Ways, metres

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LOOK_UP_MOST_MS: Final = 2 * DAY_MS
TRACK_MOST_MS: Final = 31 * DAY_MS
AROUND_MS: Final = HOUR_MS
"""Somebody on duty checks in at least as often, mostly."""
NEAR_MOST: Final = 20
E6: Final = 1_000_000
E7: Final = 10_000_000
DECISIONS_MOST: Final = 1_000


AIM: Final = "place aimed at"
"""A name that no checkpoint can have."""
NEAR_M: Final = 100
NEAR_WALK_MS: Final = 60_000
"""Whoever checks in so near to a place is there: as the crow flies, or by the least walking time over legs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Where somebody is to go: a place of the register, a checkpoint, or a position in 1e-7 degrees."""

    place: str | None = None
    point: str | None = None
    at_e7: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """Guards on duty, the nearest first. `known`: whether it is known where that is; if not, the last seen first."""

    guards: tuple[Near, ...]
    known: bool


class BadWindow(Problem):
    """A window that nobody may look through."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_window"
    title = "Not this window"


class NowhereKnown(Problem):
    """Nobody can say how far anybody is from there."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "nowhere_known"
    title = "This place has neither a checkpoint nor a position"


class Tracks:
    """Where the guards of one station were."""

    def __init__(self, register: Register, colours: Colours, *, clock: Clock) -> None:
        self._register = register
        self._colours = colours
        self._clock = clock

    def look_up(
        self, session: Session, by: Authority, point: str, *, from_ms: int, to_ms: int, reason: str
    ) -> LookUpAnswer:
        """Who was at a checkpoint in a window. Raises NotThere or BadWindow."""
        now = self._clock()
        _window(from_ms, to_ms, LOOK_UP_MOST_MS)
        row = self._checkpoint(session, by, point)
        areas = self._areas(by)
        servings = guards.servings(session, from_ms, to_ms, areas=areas)
        shifts = [Shift(one.guard, one.from_ms, one.to_ms) for one in servings]
        ids = sorted({one.guard for one in shifts})
        points = {row.id: row, **{one.id: one for one in patrols.points_in(session, areas, ended=True)}}
        found = look_up(
            point,
            from_ms,
            to_ms,
            check_ins=around(session, shifts, from_ms, to_ms),
            shifts=shifts,
            walks=self._walks(session, servings, ids, from_ms, to_ms),
            ways=known_ways(session, self._register, points.values()),
        )
        shown = {one.id for finding in found for one in finding.evidence}
        there = [one.id for one in checkins.at_points(session, (point,), from_ms, to_ms)]
        detail = {"from_ms": from_ms, "to_ms": to_ms, "guards": sorted({one.guard for one in found})}
        record(session, at_ms=now, by=by.principal.account, action=by.action, about=f"checkpoint:{point}",
               detail=detail, reason=reason)  # fmt: skip
        people, names = guards.named(session, ids), {id_: one.name for id_, one in points.items()}
        return LookUpAnswer(
            point=point,
            point_name=row.name,
            begins=iso(from_ms),
            ends=iso(to_ms),
            asked=iso(now),
            reason=reason,
            guards_on_duty=len(ids),
            outside_shifts=sum(1 for one in there if one not in shown),
            findings=tuple(finding_answer(one, people.get(one.guard), _employer(session, one), names) for one in found),
        )

    def track(
        self, session: Session, by: Authority, guard: str, *, from_ms: int, to_ms: int, reason: str
    ) -> TrackAnswer:
        """A guard's shifts in a window, with what was read and where his phone was. Raises NotThere, BadWindow."""
        _window(from_ms, to_ms, TRACK_MOST_MS)
        person = guards.guard(session, guard)
        if person is None or not by.reach.covers(self._register.subject_of_area(person.area)):
            raise NotThere(f"no guard {guard!r} of yours")
        servings = guards.servings_of(session, guard, from_ms, to_ms)
        made = checkins.of_guard(session, guard, from_ms, to_ms)
        known = patrols.points_named(session, {one.point for one in made if one.point is not None})
        steps = [_step(one, known.get(one.point or ""), self._position(known.get(one.point or ""))) for one in made]
        steps += [_phone(one) for one in checkins.positions(session, guard, from_ms, to_ms)]
        steps.sort(key=lambda one: (one.at, one.id or ""))
        record(session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=f"guard:{guard}",
               detail={"from_ms": from_ms, "to_ms": to_ms}, reason=reason)  # fmt: skip
        shifts = []
        for one in servings:
            begins, ends = iso(max(one.from_ms, from_ms)), iso(min(one.to_ms, to_ms))
            inside = tuple(step for step in steps if begins <= step.at < ends)
            shifts.append(ShiftTrackAnswer(begins=iso(one.from_ms), ends=iso(one.to_ms), area=one.area, steps=inside))
        return TrackAnswer(guard=guard, shifts=tuple(shifts))

    def nearest(self, session: Session, by: Authority, place: str) -> NearList:
        """The guards on duty by how soon they can be at a place of the register. Raises NotThere or NowhereKnown."""
        if self._register.place(place) is None or not by.reach.covers(self._register.subject(place)):
            raise NotThere(f"no place {place!r} of yours")
        now = self._clock()
        found = self.near(session, Aim(place=place), self._areas(by))
        if not found.known:
            raise NowhereKnown("neither a checkpoint nor a position is put down for it")
        guards_ = found.guards[:NEAR_MOST]
        record(session, at_ms=now, by=by.principal.account, action=by.action, about=f"place:{place}",
               detail={"guards": [one.guard for one in guards_]})  # fmt: skip
        return NearList(place=place, asked=iso(now), items=tuple(self.shown(session, guards_)))

    def near(self, session: Session, aim: Aim, areas: Collection[str]) -> Around:
        """Every guard on duty in these areas who has checked in, the nearest first. Neither shows nor records."""
        now = self._clock()
        points = patrols.points_in(session, areas, ended=False)
        target, ways = self._target(session, points, aim)
        shifts = [
            Shift(one.guard, one.from_ms, one.to_ms) for one in guards.servings(session, now, now + 1, areas=areas)
        ]
        last = around(session, shifts, now, now + 1)
        known = target in ways.positions or target in {point for leg in ways.legs for point in leg}
        return Around(tuple(nearest(target, now, last=last, shifts=shifts, ways=ways)), known)

    def is_at(self, session: Session, aim: Aim, point: str) -> bool:
        """Whether a checkpoint hangs at a place, or so near that whoever checks in there is there."""
        row = patrols.point(session, point)
        if row is None:
            return False
        if point == aim.point or (row.place is not None and row.place == aim.place):
            return True
        target, ways = self._target(session, patrols.points_in(session, [row.area], ended=False), aim)
        here, there = ways.positions.get(point), ways.positions.get(target)
        if here is not None and there is not None:
            return metres(here, there) <= NEAR_M
        least = ways.least(point, target)
        return least is not None and least.by is By.LEGS and least.ms <= NEAR_WALK_MS

    def shown(self, session: Session, near: Sequence[Near]) -> list[NearAnswer]:
        """Guards who are near, with who they are: for whoever may know."""
        now = self._clock()
        people = guards.named(session, [one.guard for one in near])
        points = patrols.points_named(session, {one.last.point for one in near if one.last.point is not None})
        names = {one.id: one.name for one in points.values()}
        return [
            near_answer(one, people.get(one.guard), guards.employer_at(session, one.guard, now), names) for one in near
        ]

    def coverage(self, session: Session, by: Authority, area: str, *, from_ms: int, to_ms: int) -> CoverageAnswer:
        """How well an area was covered, by its colours of then. Raises NotThere or BadWindow."""
        _window(from_ms, to_ms, TRACK_MOST_MS)
        if self._register.area(area) is None or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")
        to_ms = max(from_ms, min(to_ms, self._clock()))
        points = patrols.points_in(session, self._register.within(area), ended=True)
        passed = checkins.at_points(session, [one.id for one in points], from_ms, to_ms)
        decided = self._colours.history(session, by, area, below=None, limit=DECISIONS_MOST)
        edges = {from_ms, to_ms}
        for row in decided:
            edges |= {at for at in (row.from_ms, row.expires_ms, row.to_ms) if at is not None and from_ms < at < to_ms}
        ordered = sorted(edges)
        bands = []
        for begins, ends in pairwise(ordered):
            band = band_at(session, area, begins)
            bands.append(Band(colour=band.colour.value, limit_ms=band.every_ms, from_ms=begins, to_ms=ends))
        found = coverage([one.at_ms for one in passed], bands, from_ms, to_ms)
        return coverage_answer(area, from_ms, to_ms, len(passed), found)

    def _walks(
        self, session: Session, servings: Collection[guards.Serving], ids: Collection[str], from_ms: int, to_ms: int
    ) -> list[Walk]:
        """The routes in exact order that these guards were listed for or walked; optional points prove nothing."""
        walked = [(one.guard, one.route, one.from_ms, one.to_ms) for one in servings if one.route is not None]
        for guard in ids:
            walked += [
                (guard, one.round.route, one.round.starts_ms - HOUR_MS, one.round.ends_ms + HOUR_MS)
                for one in patrols.rounds_of(session, guard, from_ms, to_ms)
            ]
        ordered = patrols.ordered_routes(session, {route for _, route, _, _ in walked})
        return [
            Walk(guard=guard, route=route, points=ordered[route], from_ms=begins, to_ms=ends)
            for guard, route, begins, ends in walked
            if route in ordered
        ]

    def _target(self, session: Session, points: Collection[Checkpoint], aim: Aim) -> tuple[str, Ways]:
        """What is aimed at among points: a checkpoint that hangs there, whose legs count as well, or the place."""
        if aim.point is not None:
            return aim.point, known_ways(session, self._register, points)
        if aim.place is None:
            return AIM, known_ways(session, self._register, points, at=aim.at_e7)
        target = next((one.id for one in points if one.place == aim.place), AIM)
        return target, known_ways(session, self._register, points, {target: aim.place})

    def _position(self, row: Checkpoint | None) -> tuple[float | None, float | None]:
        place = None if row is None else self._register.place(row.place)
        if place is None or place.lat_e7 is None or place.lon_e7 is None:
            return None, None
        return place.lat_e7 / E7, place.lon_e7 / E7

    def _checkpoint(self, session: Session, by: Authority, point: str) -> Checkpoint:
        row = patrols.point(session, point)
        if row is None or not by.reach.covers(self._register.subject_of_area(row.area)):
            raise NotThere(f"no checkpoint {point!r} of yours")
        return row

    def _areas(self, by: Authority) -> frozenset[str]:
        return frozenset[str]().union(*(self._register.within(one) for one in by.reach.over(Over.AREA)))


def known_ways(
    session: Session,
    register: Register,
    points: Collection[Checkpoint],
    more: Mapping[str, str] | None = None,
    *,
    at: tuple[int, int] | None = None,
) -> Ways:
    """All legs, and the positions of these points; `more`: other names, each with its place; `at`: where AIM is."""
    legs = {leg: seconds * 1_000 for leg, seconds in patrols.legs_s(session).items()}
    places = {one.id: one.place for one in points if one.place is not None} | dict(more or {})
    positions = {} if at is None else {AIM: at}
    for name, place in places.items():
        known = register.place(place)
        if known is not None and known.lat_e7 is not None and known.lon_e7 is not None:
            positions[name] = (known.lat_e7, known.lon_e7)
    return Ways(legs, positions)


def around(session: Session, shifts: Collection[Shift], from_ms: int, to_ms: int) -> list[CheckIn]:
    """What these guards checked in in a window, and at least the last before and the first after it in each shift.

    Most have both within `AROUND_MS`; only of those who have not, the whole shift is read.
    """
    if not shifts:
        return []
    begins, ends = from_ms - AROUND_MS, to_ms + AROUND_MS
    made = checkins.of_guards(session, {one.guard for one in shifts}, begins, ends)
    times: dict[str, list[int]] = {}
    for one in made:
        times.setdefault(one.guard or "", []).append(one.at_ms)
    lacking = [
        shift
        for shift in shifts
        if (shift.from_ms < begins and not any(shift.from_ms <= at < from_ms for at in times.get(shift.guard, ())))
        or (ends < shift.to_ms and not any(to_ms <= at < shift.to_ms for at in times.get(shift.guard, ())))
    ]
    if not lacking:
        return made
    first, last = min(one.from_ms for one in lacking), max(one.to_ms for one in lacking)
    known = {one.id for one in made}
    more = checkins.of_guards(session, {one.guard for one in lacking}, first, last)
    return [*made, *(one for one in more if one.id not in known)]


def _window(from_ms: int, to_ms: int, most_ms: int) -> None:
    if not 0 < to_ms - from_ms <= most_ms:
        raise BadWindow(f"a window ends after it begins, {most_ms // DAY_MS} days later at most")


def _employer(session: Session, one: Finding) -> str | None:
    return guards.employer_at(session, one.guard, one.from_ms)


def _step(one: CheckIn, row: Checkpoint | None, position: tuple[float | None, float | None]) -> StepAnswer:
    return StepAnswer(
        at=iso(one.at_ms),
        id=one.id,
        point=one.point,
        point_name=None if row is None else row.name,
        latitude=position[0],
        longitude=position[1],
        source=one.source,
        weight=one.source.weight,
        flags=tuple(sorted(one.flags)),
    )


def _phone(one: checkins.Position) -> StepAnswer:
    return StepAnswer(
        at=iso(one.at_ms),
        id=None,
        point=None,
        point_name=None,
        latitude=one.lat_e6 / E6,
        longitude=one.lon_e6 / E6,
        source=Source.POSITION,
        weight=Source.POSITION.weight,
        flags=(),
    )
