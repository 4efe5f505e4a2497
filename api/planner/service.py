"""Drafts staggered plans and keeps them. Takes a session, never commits.

PlannerProblem
+-- TooLate                 422: the duty has begun, and nothing can be laid into what is past
+-- CannotBePlanned         422: .refusals, each bound that cannot be kept, for whom and when
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock, iso
from api.colours.service import band_at
from api.planner import repository
from api.planner.draws import SEED_BYTES, commitment
from api.planner.models import Stagger
from api.planner.regularity import regularity
from api.planner.rules import WHY_WORDS, Draft, Duty, Refusal, draft
from api.planner.schemas import NewStagger, StaggerAnswer, duty_of, stagger_answer
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

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    def asked(self, session: Session, by: Authority, area: str, new: NewStagger) -> tuple[str, Duty]:
        """What is to be planned, by the colour that the area then has. Raises NotThere or TooLate."""
        self._reached(by, area)
        band = band_at(session, area, round(new.begins.timestamp() * 1_000))
        duty = duty_of(new, limit_ms=band.every_ms)
        if duty.starts_ms < self._clock():
            raise TooLate("a duty is planned before it begins")
        return band.colour.value, duty

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

    def plan(self, session: Session, by: Authority, number: int) -> StaggerAnswer:
        """One plan. Raises NotThere."""
        row = repository.find(session, number)
        if row is None or not by.reach.covers(self._register.subject_of_area(row.area)):
            raise NotThere(f"no staggered plan {number} of yours")
        return self._show(session, [row])[0]

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
        found = []
        for row in rows:
            watched: dict[int, list[int]] = {}
            for one in known:
                if (one.number or 0) <= (row.number or 0) and _same_hours(one, row):
                    watched.setdefault(one.starts_ms, _passes(one))
            nights = sorted(watched.items(), reverse=True)[:NIGHTS]
            regular = regularity([passes for _, passes in nights], row.ends_ms - row.starts_ms)
            found.append(stagger_answer(row, regular, now_ms=now))
        return found

    def _reached(self, by: Authority, area: str) -> None:
        if self._register.area(area) is None or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")


def _same_hours(one: Stagger, other: Stagger) -> bool:
    lasts = one.ends_ms - one.starts_ms == other.ends_ms - other.starts_ms
    return lasts and (one.starts_ms - other.starts_ms) % DAY_MS == 0


def _passes(row: Stagger) -> list[int]:
    """Everybody's passes, since whoever watches sees all of them; in ms since the duty began."""
    every = [*json.loads(row.others), *(at_ms for at_ms, _ in json.loads(row.passes))]
    return sorted(at_ms - row.starts_ms for at_ms in every)
