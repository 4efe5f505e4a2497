"""Red areas that were uncovered for too long while a company was on duty there (P09), told to the points ledger.

Theory:

1. Asked is a duty list in an area of its own colour, company by company: from the first moment of its people on it
   until the last. Outside of that nobody owes a round. It is looked at SETTLE_MS after it is over and again for
   BACK_MS, since a phone or a wand may have more to say; the same again is nothing, what late data explain is reversed.
2. A check-in at any checkpoint of the area is a pass, whoever made it. Uncovered is what is longer than TIMES the
   interval that held, while the area was red.
3. A gap is excused, whole, where patrols there were suspended, where one of the company's people on that list was sent
   to an alarm or called elsewhere, or where a gateway, reader or the power at a checkpoint of the area was out within
   it: a machine takes no points from whom a machine may have failed.
4. Two lists of one company in one area share a gap: the list of the lower number has it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.checkins import service as checkins
from api.clock import Clock
from api.colours.rules import Colour
from api.colours.service import bands_between
from api.database import Database
from api.faults import repository as faults
from api.guards import service as guards
from api.guards.service import Cause
from api.patrols import service as patrols
from api.patrols.judging import GATEWAY_FAULTS, POWER_FAULTS, READER_FAULTS
from api.patrols.scoring import NIGHT
from api.points.facts import Fact, Happened, Happening
from api.register.service import Register
from api.tracks.rules import Band, Gap, coverage
from broker.kinds import Words

LOOK_S: Final = 900.0
SETTLE_MS: Final = 3_600_000
BACK_MS: Final = 3 * 86_400_000
TIMES: Final = 1.5
"""What the rule P09 calls too long, as a multiple of the interval of the colour."""
_OUT: Final = GATEWAY_FAULTS | POWER_FAULTS | READER_FAULTS
_NOBODY: Final = ""


class Uncovered:
    """Looks at the duty lists of one station that are over."""

    def __init__(
        self,
        register: Register,
        *,
        clock: Clock,
        zone: ZoneInfo,
        note_all: Callable[[Session, Collection[Fact]], None],
    ) -> None:
        self._register = register
        self._clock = clock
        self._zone = zone
        self._note_all = note_all

    def look(self, database: Database) -> None:
        """Look at what is over. A job of the rounds; who writes waits only while something is told."""
        with database.read() as session:
            facts = self.facts(session)
        if facts:
            with database.write(patient=True) as session:
                self._note_all(session, facts)

    def facts(self, session: Session) -> list[Fact]:
        """One for each duty list and company in an area that was red then, with every gap that was too long."""
        to_ms = self._clock() - SETTLE_MS
        from_ms = to_ms - BACK_MS
        lists: dict[int, list[guards.Serving]] = {}
        for one in guards.servings(session, from_ms, to_ms):
            lists.setdefault(one.duty, []).append(one)
        over = {duty: some for duty, some in lists.items() if max(one.to_ms for one in some) <= to_ms}
        jobs = guards.employments(session, {one.guard for some in over.values() for one in some})
        told: dict[tuple[str, str], list[tuple[int, int]]] = {}
        found: list[Fact] = []
        for duty, some in sorted(over.items()):
            of: dict[str, list[guards.Serving]] = {}
            for one in some:
                company = guards.employer(jobs.get(one.guard, ()), one.from_ms)
                if company is not None:
                    of.setdefault(company, []).append(one)
            for company, his in sorted(of.items()):
                fact = self._fact(session, duty, company, his, told.setdefault((his[0].area, company), []))
                if fact is not None:
                    found.append(fact)
        return found

    def _fact(
        self,
        session: Session,
        duty: int,
        company: str,
        servings: Sequence[guards.Serving],
        told: list[tuple[int, int]],
    ) -> Fact | None:
        area = servings[0].area
        from_ms, to_ms = min(one.from_ms for one in servings), max(one.to_ms for one in servings)
        bands = [
            Band(colour=band.colour.value, limit_ms=round(band.every_ms * TIMES), from_ms=begins, to_ms=ends)
            for begins, ends, band in bands_between(session, area, from_ms, to_ms)
            if band.colour is Colour.RED
        ]
        if not bands:
            return None
        points = patrols.points_in(session, self._register.within(area), ended=True)
        passed = checkins.at_points(session, [one.id for one in points], from_ms, to_ms)
        at = {one.at_ms: one.id for one in passed}
        gaps: dict[int, Gap] = {}
        for gap in coverage(at, bands, from_ms, to_ms).gaps:
            if not any(gap.from_ms < ends and begins < gap.to_ms for begins, ends in told):
                gaps.setdefault(gap.from_ms, gap)
        told += [(gap.from_ms, gap.to_ms) for gap in gaps.values()]
        gateways = {one.gateway for one in points if one.gateway is not None}
        people = {one.guard for one in servings}
        here = self._register.area(area)
        name = area if here is None else here.name or area
        return Fact(
            key=f"coverage:{duty}:{company}",
            guard=None,
            company=company,
            area=area,
            occurred_ms=to_ms,
            happenings=tuple(
                self._happenings(
                    session,
                    duty=duty,
                    area=area,
                    name=name,
                    gaps=gaps.values(),
                    passed=at,
                    people=people,
                    gateways=gateways,
                )
            ),
            colour=Colour.RED.value,
            night=datetime.fromtimestamp(from_ms / 1_000, self._zone).hour in NIGHT,
        )

    def _happenings(
        self,
        session: Session,
        *,
        duty: int,
        area: str,
        name: str,
        gaps: Collection[Gap],
        passed: Mapping[int, str],
        people: Collection[str],
        gateways: Collection[str],
    ) -> Iterator[Happening]:
        for gap in gaps:
            cause = self._excuse(session, area, gap, people, gateways)
            edges = tuple(passed[at_ms] for at_ms in (gap.from_ms, gap.to_ms) if at_ms in passed)
            yield Happening(
                what=Happened.EXCUSED if cause else Happened.COVERAGE_GAP,
                item=f"{gap.from_ms}:{area}",
                evidence=(cause,) if cause else (f"duty:{duty}", *edges),
                value=(gap.to_ms - gap.from_ms) // 60_000,
                at_ms=gap.from_ms,
                called=Words(name, name),
            )

    def _excuse(
        self, session: Session, area: str, gap: Gap, people: Collection[str], gateways: Collection[str]
    ) -> str | None:
        """What shows that it was not the company's doing; None: nothing is known of."""
        around = self._register.lies_in(area) | self._register.within(area)
        for some in guards.excuses_of(session, {_NOBODY, *people}, gap.from_ms, gap.to_ms).values():
            for one in some:
                if one.cause is not Cause.LEAVE and (one.areas is None or one.areas & around):
                    return one.evidence
        rows = faults.between(session, gateways, from_ms=gap.from_ms, to_ms=gap.to_ms) if gateways else ()
        return next((f"fault:{row.number}" for row in rows if row.code in _OUT), None)
