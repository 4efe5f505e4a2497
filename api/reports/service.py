"""Makes reports. Takes a session, writes nothing.

ReportProblem
+-- NoSuchOwner             422: these cards are for whoever leads
"""

from collections.abc import Iterator, Mapping
from datetime import date
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.clock import Clock
from api.drills.service import Drills
from api.problems import MayNot, NotThere
from api.progress import Tell, told, untold
from api.register.models import Meaning
from api.register.service import Register
from api.reports import repository
from api.reports.rules import (
    Card,
    Case,
    Complained,
    Figures,
    Period,
    Share,
    Span,
    WorkerCard,
    cards,
    complained,
    figures,
    span,
    worker_card,
)
from api.reports.schemas import Whose
from api.rights.rules import Authority, Role
from broker.policy import Audience

LEADERS = (Role.DUTY_LEADER, Role.COMMAND_CENTRE)
"""Who sees cards of single officers."""
_MEANINGS: Mapping[Whose, Meaning] = {
    Whose.GRID: Meaning.GRID,
    Whose.COMMUNITY: Meaning.COMMUNITY,
    Whose.STATION: Meaning.STATION,
}


class Reports:
    """The reports of one station."""

    def __init__(self, register: Register, drills: Drills, *, clock: Clock, zone: ZoneInfo) -> None:
        self._register = register
        self._drills = drills
        self._clock = clock
        self.zone = zone

    def span(self, period: Period, day: date) -> Span:
        """The period in which a day lies, in the station's civil time."""
        return span(period, day, self.zone)

    def names(self) -> dict[str, str]:
        """What areas are called."""
        return {area.id: area.name or area.id for area in self._register.now.areas.values()}

    def area(
        self, session: Session, by: Authority, area: str, when: Span, *, tell: Tell = untold
    ) -> tuple[Figures, dict[str, Figures]]:
        """The figures of an area, and of each area right below it. Raises NotThere."""
        eyes = self._eyes(by, area)
        found = self.cases(session, when, eyes, area, tell=tell)
        ids = sorted(self._below(area))
        below = {
            one: self._figures([case for case in found if one in case.areas])
            for one in told(ids, tell, "reckoning", of=len(ids))
        }
        return self._figures(found), below

    def cards(
        self, session: Session, by: Authority, area: str, when: Span, whose: Whose, *, tell: Tell = untold
    ) -> list[Card]:
        """Scorecards in an area. Raises NotThere, or MayNot for cards of persons."""
        eyes = self._eyes(by, area)
        found = self.cases(session, when, eyes, area, tell=tell)
        now = self._clock()
        if whose is Whose.HANDLER:
            if not by.principal.has(*LEADERS):
                raise MayNot(by.action)
            handlers = {case.handler for case in found if case.handler is not None}
            return cards(found, handlers, now_ms=now, zone=self.zone, owns=lambda owner, case: case.handler == owner)
        areas = self._of_meaning(area, _MEANINGS[whose])
        return cards(
            found, told(areas, tell, "reckoning", of=len(areas)), now_ms=now, zone=self.zone, owns=_lay_in
        )  # fmt: skip

    def year(
        self, session: Session, by: Authority, area: str, when: Span, *, tell: Tell = untold
    ) -> tuple[Figures, dict[str, Figures], dict[Whose, list[Card]]]:
        """What `area` and `cards` of areas say, with the alarms read once. Raises NotThere."""
        found = self.cases(session, when, self._eyes(by, area), area, tell=tell)
        now, ids = self._clock(), sorted(self._below(area))
        owners = {whose: self._of_meaning(area, meaning) for whose, meaning in _MEANINGS.items()}
        many = len(ids) + sum(map(len, owners.values()))
        steps = told(range(many), tell, "reckoning", of=many)

        def stepped(areas: list[str]) -> Iterator[str]:
            return (one for one, _ in zip(areas, steps, strict=False))

        below = {one: self._figures([case for case in found if one in case.areas]) for one in stepped(ids)}
        scored = {
            whose: cards(found, stepped(areas), now_ms=now, zone=self.zone, owns=_lay_in)
            for whose, areas in owners.items()
        }
        return self._figures(found), below, scored

    def departments(self, session: Session, by: Authority, area: str, when: Span) -> dict[str, Share]:
        """On-time shares of the departments in whose name tasks were done in an area. Raises NotThere."""
        self._eyes(by, area)
        within = self._register.within(area)
        return dict(repository.department_tasks(session, when, within, now_ms=self._clock()))

    def complaints(self, session: Session, by: Authority, area: str, when: Span) -> Complained:
        """What was complained of in an area, in counts alone. Raises NotThere."""
        self._eyes(by, area)
        return complained(repository.complaints(session, when, self._register.within(area)), now_ms=self._clock())

    def own_card(self, session: Session, by: Authority, when: Span) -> WorkerCard:
        """The grid worker's own card, wherever he worked."""
        account = by.principal.account
        return worker_card(account, repository.work(session, when, account, areas=None, now_ms=self._clock()))

    def worker_cards(self, session: Session, by: Authority, area: str, when: Span) -> list[WorkerCard]:
        """Cards of those who were grid workers in an area, by what they did there. Raises NotThere."""
        self._eyes(by, area)
        within, now = self._register.within(area), self._clock()
        made = [
            worker_card(one, repository.work(session, when, one, areas=within, now_ms=now))
            for one in repository.workers(session, when, within)
        ]
        return sorted(made, key=lambda one: (one.score_tenths is None, -(one.score_tenths or 0), one.worker))

    def installation(self, session: Session, by: Authority, area: str) -> tuple[Share, Share, Share, Share]:
        """Installed, online, sound, ready groups. Raises NotThere."""
        self._eyes(by, area)
        register = self._register
        groups = sorted(register.groups_in(area))
        places = {place: group for group in groups for place in register.places_in(group)}
        units = {unit: place for place in places for unit in register.units_of(place)}
        gateways = {gateway for group in groups if (gateway := register.gateway_of(group)) is not None}
        broken = repository.faulty(session, gateways)
        reached: set[str] = set()
        ready = 0
        for group in groups:
            now = self._drills.readiness(session, group)
            reached |= {unit for place in now.reached | now.away for unit in register.units_of(place)}
            ready += bool(now.reached) and len(now.reached | now.away) == now.places
        return (
            Share(len(set(units.values())), len(places)),
            Share(len(reached & units.keys()), len(units)),
            Share(sum(unit not in broken for unit in units), len(units)),
            Share(ready, len(groups)),
        )

    def cases(
        self, session: Session, when: Span, eyes: Audience | None, area: str, *, tell: Tell = untold
    ) -> list[Case]:  # fmt: skip
        """The alarms of a time that these eyes may know of and that lay in an area when they came."""
        lay = repository.trees(session, self._register.station)
        return [case for case in repository.cases(session, when, eyes, lay=lay, tell=tell) if area in case.areas]

    def _of_meaning(self, area: str, meaning: Meaning) -> list[str]:
        areas = self._register.now.areas
        return sorted(one for one in self._register.within(area) if areas[one].meaning is meaning)

    def _below(self, area: str) -> list[str]:
        areas = self._register.now.areas.values()
        return [one.id for one in areas if area in (one.parent, one.police_parent)]

    def _figures(self, found: list[Case]) -> Figures:
        return figures(found, now_ms=self._clock(), zone=self.zone)

    def _eyes(self, by: Authority, area: str) -> Audience | None:
        """With whose eyes somebody looks at an area. Raises NotThere for one that is not his, or that is not there."""
        known = area == self._register.station or self._register.area(area) is not None
        held = by.reach.covers(self._register.subject_of_area(area)) if known else ()
        if not held:
            raise NotThere(f"no area {area!r} of yours")
        return held[0].eyes


def _lay_in(owner: str, case: Case) -> bool:
    return owner in case.areas
