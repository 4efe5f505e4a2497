"""Drafts staggered plans and keeps them. Takes a session, never commits.

PlannerProblem
+-- TooLate                 422: the duty has begun, and nothing can be laid into what is past
+-- CannotBePlanned         422: .refusals, each bound that cannot be kept, for whom and when
+-- PlannedAlready          409: .plans that it became; they are other ones than those asked for
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock, iso
from api.colours.service import band_at
from api.patrols import service as patrols
from api.patrols.civil import Trouble, begins_min, duty_day
from api.patrols.planning import Planning, Unwalkable
from api.patrols.schemas import NewPlan
from api.planner import repository
from api.planner.draws import SEED_BYTES, commitment
from api.planner.models import Stagger, StaggerPlan
from api.planner.regularity import regularity
from api.planner.rules import MINUTE_MS, WHY_WORDS, Draft, Duty, Refusal, draft
from api.planner.schemas import NewStagger, NewStaggerPlans, StaggerAnswer, duty_of, stagger_answer
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority

LOOKED_BACK: Final = 100
"""So many plans of the area are looked at for those of the same hours."""
NIGHTS: Final = 14
"""So many duties of the same hours are judged together: who watches for two weeks."""
DAY_MS: Final = 86_400_000


class TooLate(Problem):
    """The duty has begun."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "too_late"
    title = "This duty has begun"


class CannotBePlanned(Problem):
    """There is no such plan. Field: `refusals`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "cannot_be_planned"
    title = "No plan keeps every bound"

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        words = "; ".join(WHY_WORDS[one.why].en for one in refusals)
        super().__init__(words, refusals=[_said(one) for one in refusals])


class PlannedAlready(Problem):
    """It became plans already, and not these. Field: `plans`."""

    status = HTTPStatus.CONFLICT
    type = "planned_already"
    title = "This became plans already"

    def __init__(self, plans: Sequence[int]) -> None:
        self.plans = tuple(plans)
        super().__init__("end those plans, and draft anew", plans=[*plans], zh="已转为计划, 请先结束并重新编排")


def _said(one: Refusal) -> dict[str, Any]:
    words = WHY_WORDS[one.why]
    more = {"team": one.team, "needed": one.needed, "there": one.there}
    times = {"begins": one.from_ms, "ends": one.to_ms}
    return {
        "why": one.why.value,
        "words": {"zh": words.zh, "en": words.en},
        **{name: value for name, value in more.items() if value is not None},
        **{name: iso(at_ms).isoformat() for name, at_ms in times.items() if at_ms is not None},
    }


@dataclass(frozen=True, slots=True)
class Drafted:
    """A plan that was worked out and is not kept yet."""

    area: str
    colour: str
    duty: Duty
    plan: Draft
    seed: bytes


class Planner:
    """The staggered plans of one station."""

    def __init__(
        self,
        register: Register,
        planning: Planning,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        zone: ZoneInfo,
    ) -> None:
        self._register = register
        self._planning = planning
        self._zone = zone
        self._clock = clock
        self._random_bytes = random_bytes

    def asked(self, session: Session, by: Authority, area: str, new: NewStagger) -> tuple[str, Duty]:
        """What is to be planned, by the colour that the area then has. Raises NotThere or TooLate."""
        self._reached(by, area)
        band = band_at(session, area, round(new.begins.timestamp() * 1_000))
        duty = duty_of(new, limit_ms=band.every_ms)
        duty = replace(duty, beside_ms=self._beside(session, area, duty.starts_ms, duty.ends_ms))
        if duty.starts_ms < self._clock():
            raise TooLate("a duty is planned before it begins")
        return band.colour.value, duty

    def _beside(
        self, session: Session, area: str, from_ms: int, to_ms: int, *, below: int | None = None
    ) -> tuple[int, ...]:
        """When teams of areas beside one begin rounds: of each, the newest draft of a time.

        Beside lies what has the same area above it, on either tree, what lies in it, and what it lies in. `below`: as
        it stood when this draft was made, which is so for ever, since no draft is changed.
        """
        here, areas = self._register.area(area), self._register.now.areas
        above = {one for one in ((here.parent, here.police_parent) if here is not None else ()) if one is not None}
        near = {one.id for one in areas.values() if above & {one.parent, one.police_parent}}
        near = (near | {*self._register.ancestors(area)} | self._register.within(area)) - {area}
        taken: dict[str, list[tuple[int, int]]] = {}
        found: set[int] = set()
        station = self._register.station
        for row in repository.beside(session, near, station=station, from_ms=from_ms, to_ms=to_ms, below=below):
            before = taken.setdefault(row.area, [])
            if all(row.ends_ms <= begins or ends <= row.starts_ms for begins, ends in before):
                before.append((row.starts_ms, row.ends_ms))
                found |= {at_ms for at_ms, _ in json.loads(row.passes)}
        return tuple(sorted(found))

    def draft(self, area: str, colour: str, duty: Duty) -> Drafted:
        """Work the plan out; outside of any transaction, since it may take a second. Raises CannotBePlanned."""
        seed = self._random_bytes(SEED_BYTES)
        plan = draft(duty, seed)
        if not isinstance(plan, Draft):
            raise CannotBePlanned(plan)
        return Drafted(area, colour, duty, plan, seed)

    def keep(self, session: Session, by: Authority, drafted: Drafted) -> StaggerAnswer:
        """Keep it, with its seed, and put into the chain what shows later that the seed was not chosen then."""
        now, duty = self._clock(), drafted.duty
        row = repository.add(
            session,
            Stagger(
                station=self._register.station,
                area=drafted.area,
                colour=drafted.colour,
                starts_ms=duty.starts_ms,
                ends_ms=duty.ends_ms,
                limit_ms=duty.limit_ms,
                apart_ms=duty.apart_ms,
                others=json.dumps(duty.given_ms),
                shifts=json.dumps([[s.team, s.starts_ms, s.ends_ms, s.round_ms, s.most] for s in duty.shifts]),
                passes=json.dumps([[one.at_ms, one.team] for one in drafted.plan.passes]),
                widest_ms=drafted.plan.widest_ms,
                seed=drafted.seed.hex(),
                made_by=by.principal.account,
                made_ms=now,
            ),
        )
        detail = {"area": drafted.area, "commitment": commitment(drafted.seed), "begins_ms": duty.starts_ms}
        record(session, at_ms=now, by=row.made_by, action=by.action, about=f"stagger:{row.number}", detail=detail)
        return self._show(session, [row])[0]

    def order(self, session: Session, by: Authority, number: int, new: NewStaggerPlans) -> StaggerAnswer:
        """Make temporary plans of it, one for each team and duty day; the same again is the same.

        Raises NotThere, TooLate, PlannedAlready, or Unwalkable with every reason of every team; then nothing is kept.
        """
        row = self._found(session, by, number)
        made = repository.plans(session, [number])
        if made:
            if not self._same(session, row, new, made):
                raise PlannedAlready([one.plan for one in made])
            return self._show(session, [row])[0]
        now = self._clock()
        if row.starts_ms < now:
            raise TooLate("a duty is planned before it begins")
        wanted, troubles = self._wanted(session, row, new)
        plans: list[tuple[str, int]] = []
        for team, plan in wanted:
            try:
                kept = self._planning.add_plan(session, by, plan)
            except Unwalkable as problem:
                troubles += [Trouble(f"teams[{team}].{one.where}", one.zh, one.en) for one in problem.troubles]
            else:
                assert kept.number is not None
                plans.append((team, kept.number))
        if troubles:
            raise Unwalkable(troubles)
        for team, kept_number in plans:
            one = StaggerPlan(plan=kept_number, stagger=number, team=team, made_by=by.principal.account, made_ms=now)
            repository.add_plan(session, one)
        detail = {"plans": [kept_number for _, kept_number in plans]}
        record(session, at_ms=now, by=by.principal.account, action=by.action, about=f"stagger:{number}", detail=detail)
        return self._show(session, [row])[0]

    def _wanted(
        self, session: Session, row: Stagger, new: NewStaggerPlans
    ) -> tuple[list[tuple[str, NewPlan]], list[Trouble]]:
        """The plans of each team, one a duty day of its shift; and what is wrong before any of them is looked at."""
        troubles: list[Trouble] = []
        passes: dict[str, list[int]] = {}
        for at_ms, team in json.loads(row.passes):
            passes.setdefault(team, []).append(at_ms)
        asked = [one.team for one in new.teams]
        troubles += [
            Trouble(f"teams[{team}]", "同一队伍写了两次", "this team is named twice")
            for team in sorted({team for team in asked if asked.count(team) > 1})
        ]
        troubles += [
            Trouble(f"teams[{team}]", "草案中此队没有轮次", "this team goes no round in the draft")
            for team in sorted({*asked} - passes.keys())
        ]
        troubles += [
            Trouble("teams", f"缺少队伍 {team} 的线路", f"there is no route for the team {team!r}")
            for team in sorted(passes.keys() - {*asked})
        ]
        if troubles:
            return [], troubles
        busy = {team: round_ms // MINUTE_MS for team, _, _, round_ms, _ in json.loads(row.shifts)}
        wanted: list[tuple[str, NewPlan]] = []
        for one in new.teams:
            shift = patrols.shift(session, one.shift)
            if shift is None:
                raise NotThere(f"no shift {one.shift!r} of yours")
            days: dict[date, list[int]] = {}
            for at_ms in sorted(passes[one.team]):
                day = duty_day(shift, at_ms, self._zone)
                begins = None if day is None else begins_min(shift, day, at_ms, self._zone)
                if day is None or begins is None:
                    when = datetime.fromtimestamp(at_ms / 1_000, self._zone).strftime("%Y-%m-%d %H:%M:%S")
                    troubles.append(
                        Trouble(
                            f"teams[{one.team}]",
                            f"{when} 的一轮不在班次 {one.shift} 的整分钟上",
                            f"the round at {when} is at no whole minute of the shift {one.shift!r}",
                        )
                    )
                    continue
                days.setdefault(day, []).append(begins)
            lasts = busy[one.team] if one.lasts_min is None else one.lasts_min
            wanted += [
                (
                    one.team,
                    NewPlan(
                        route=one.route, shift=one.shift, company=one.company, begins_min=tuple(begins),
                        lasts_min=lasts, from_day=day, to_day=day, temporary=True,
                    ),
                )
                for day, begins in days.items()
            ]  # fmt: skip
        return wanted, troubles

    def _same(self, session: Session, row: Stagger, new: NewStaggerPlans, made: Sequence[StaggerPlan]) -> bool:
        """Whether it became just these plans."""
        wanted, troubles = self._wanted(session, row, new)
        asked = {(team, _key(plan)) for team, plan in wanted}
        kept = {one.plan: one.team for one in made}
        there = {(kept[number], key) for number, key in patrols.plan_keys(session, kept).items()}
        return not troubles and asked == there

    def plan(self, session: Session, by: Authority, number: int) -> StaggerAnswer:
        """One plan. Raises NotThere."""
        return self._show(session, [self._found(session, by, number)])[0]

    def _found(self, session: Session, by: Authority, number: int) -> Stagger:
        row = repository.find(session, number)
        if row is None or not by.reach.covers(self._register.subject_of_area(row.area)):
            raise NotThere(f"no staggered plan {number} of yours")
        return row

    def listed(
        self, session: Session, by: Authority, area: str, *, below: int | None, limit: int
    ) -> list[StaggerAnswer]:
        """Plans of an area, newest first. Raises NotThere."""
        self._reached(by, area)
        station = self._register.station
        return self._show(session, repository.page(session, station=station, area=area, below=below, limit=limit))

    def _show(self, session: Session, rows: Sequence[Stagger]) -> list[StaggerAnswer]:
        """Each with how well it could be guessed by whoever watched the duties of the same hours before it."""
        known = []
        if rows:
            of = {"station": rows[0].station, "area": rows[0].area}
            below = (rows[0].number or 0) + 1
            known = [*repository.page(session, **of, below=below, limit=LOOKED_BACK + len(rows))]
        now = self._clock()
        became: dict[int, list[StaggerPlan]] = {}
        for plan in repository.plans(session, [row.number or 0 for row in rows]):
            became.setdefault(plan.stagger, []).append(plan)
        found = []
        for row in rows:
            watched: dict[int, list[int]] = {}
            for one in known:
                if (one.number or 0) <= (row.number or 0) and _same_hours(one, row):
                    watched.setdefault(one.starts_ms, _passes(one))
            nights = sorted(watched.items(), reverse=True)[:NIGHTS]
            regular = regularity([passes for _, passes in nights], row.ends_ms - row.starts_ms)
            beside = self._beside(session, row.area, row.starts_ms, row.ends_ms, below=row.number)
            found.append(stagger_answer(row, regular, became.get(row.number or 0, ()), beside_ms=beside, now_ms=now))
        return found

    def _reached(self, by: Authority, area: str) -> None:
        if self._register.area(area) is None or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")


def _key(plan: NewPlan) -> patrols.PlanKey:
    return patrols.PlanKey(
        route=plan.route,
        shift=plan.shift,
        company=plan.company,
        begins_min=plan.begins_min,
        lasts_min=plan.lasts_min,
        from_day=plan.from_day,
    )


def _same_hours(one: Stagger, other: Stagger) -> bool:
    lasts = one.ends_ms - one.starts_ms == other.ends_ms - other.starts_ms
    return lasts and (one.starts_ms - other.starts_ms) % DAY_MS == 0


def _passes(row: Stagger) -> list[int]:
    """Everybody's passes, since whoever watches sees all of them; in ms since the duty began."""
    every = [*json.loads(row.others), *(at_ms for at_ms, _ in json.loads(row.passes))]
    return sorted(at_ms - row.starts_ms for at_ms in every)
