"""Decides colours of areas and levels of cards, as people say. Takes a session, never commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlmodel import Session, col, select

from api.audit.service import record
from api.clock import Clock
from api.colours.models import AreaColour, GoodCard
from api.colours.problems import BadBand
from api.colours.rules import DAY_MS, LOOKED_BACK_MS, Band, Card, Colour, Decided, Suggestion, band, suggest, table
from api.etags import expect
from api.guards.guarding import Guards
from api.guards.models import Guard
from api.pages import newest
from api.problems import NotThere
from api.register.service import Register
from api.reports import repository as reports
from api.reports.rules import Span
from api.rights.rules import Authority, Over
from broker.policy import Audience


def bands(session: Session, areas: Collection[str], at_ms: int) -> dict[str, Band]:
    """What held in each of these areas at a moment."""
    return {area: found for (area, _), found in bands_then(session, [(area, at_ms) for area in areas]).items()}


def bands_then(session: Session, asked: Collection[tuple[str, int]]) -> dict[tuple[str, int], Band]:
    """What held in each of these areas at the moment beside it."""
    rows: dict[str, list[Decided]] = {area: [] for area, _ in asked}
    until_ms = max((at_ms for _, at_ms in asked), default=0)
    found = select(AreaColour).where(col(AreaColour.area).in_(rows), AreaColour.from_ms <= until_ms)
    for row in session.exec(found.order_by(col(AreaColour.number))):
        rows[row.area].append(
            Decided(
                colour=Colour(row.colour),
                afterwards=Colour(row.afterwards),
                every_min=row.every_min,
                checks_month=row.checks_month,
                from_ms=row.from_ms,
                expires_ms=row.expires_ms,
                to_ms=row.to_ms,
            )
        )
    decided = {(area, at_ms): [one for one in rows[area] if one.from_ms <= at_ms] for area, at_ms in asked}
    return {(area, at_ms): band(some, at_ms, of=table()) for (area, at_ms), some in decided.items()}


def bands_between(session: Session, area: str, from_ms: int, to_ms: int) -> list[tuple[int, int, Band]]:
    """What held in an area from `from_ms` until before `to_ms`, piece by piece: (from, until before, what)."""
    rows = session.exec(select(AreaColour).where(AreaColour.area == area, AreaColour.from_ms < to_ms)).all()
    edges = {at_ms for row in rows for at_ms in (row.from_ms, row.expires_ms, row.to_ms) if at_ms is not None}
    ordered = sorted({from_ms, to_ms} | {at_ms for at_ms in edges if from_ms < at_ms < to_ms})
    held = bands_then(session, [(area, at_ms) for at_ms in ordered])
    return [(begins, ends, held[area, begins]) for begins, ends in pairwise(ordered)]


def band_at(session: Session, area: str, at_ms: int) -> Band:
    """What held in an area at a moment."""
    return bands(session, (area,), at_ms)[area]


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """An area with what holds there, how many alarms there were within 30 days, and what they suggest.

    `version`: the number of the last decision, 0 before the first.
    """

    area: str
    band: Band
    alarms: int
    suggestion: Suggestion | None
    version: int


class Colours:
    """The colours of one station."""

    def __init__(self, register: Register, guards: Guards, *, clock: Clock) -> None:
        self._register = register
        self._guards = guards
        self._clock = clock

    def painted(self, session: Session, by: Authority, *, area: str | None = None) -> list[Painted]:
        """Every area that the account reaches, or one. Raises NotThere."""
        mine = frozenset[str]().union(*(self._register.within(one) for one in by.reach.over(Over.AREA)))
        if area is not None:
            if area not in mine:
                raise NotThere(f"no area {area!r} of yours")
            mine = frozenset((area,))
        now = self._clock()
        held, alarms, last = bands(session, mine, now), self._alarms(session, now), self._last(session, mine)
        return [
            Painted(
                area=one,
                band=held[one],
                alarms=alarms.get(one, 0),
                suggestion=suggest(held[one].colour, alarms.get(one, 0), of=table()),
                version=last.get(one, 0),
            )
            for one in sorted(mine)
        ]

    def history(self, session: Session, by: Authority, area: str, *, below: int | None, limit: int) -> list[AreaColour]:
        """Every decision about an area, newest first. Raises NotThere."""
        self.painted(session, by, area=area)
        asked = select(AreaColour).where(AreaColour.area == area)
        if below is not None:
            asked = asked.where(col(AreaColour.number) < below)
        return [*session.exec(asked.order_by(col(AreaColour.number).desc()).limit(limit))]

    def decide(
        self,
        session: Session,
        by: Authority,
        area: str,
        *,
        colour: Colour,
        afterwards: Colour | None,
        every_min: int | None,
        checks_month: int | None,
        expires_ms: int | None,
        reason: str,
        if_match: str,
    ) -> Painted:
        """Give an area a colour until a moment. Without `afterwards`, what holds now holds again.

        Raises NotThere, StaleVersion or BadBand.
        """
        (before,), now, known = self.painted(session, by, area=area), self._clock(), table()
        expect(if_match, before.version)
        ends_ms = now + known.days * DAY_MS if expires_ms is None else expires_ms
        if not now < ends_ms <= now + known.most_days * DAY_MS:
            raise BadBand(f"a colour is decided for {known.most_days} days at most")
        default = known.defaults[colour]
        still = select(AreaColour).where(AreaColour.area == area, col(AreaColour.to_ms).is_(None))
        for row in session.exec(still):
            row.to_ms = now
            session.add(row)
        session.flush()
        decided = AreaColour(
            station=self._register.station,
            area=area,
            colour=colour.value,
            afterwards=(before.band.colour if afterwards is None else afterwards).value,
            every_min=default.every_min if every_min is None else every_min,
            checks_month=default.checks_month if checks_month is None else checks_month,
            reason=reason,
            alarms=before.alarms,
            set_by=by.principal.account,
            from_ms=now,
            expires_ms=ends_ms,
        )
        session.add(decided)
        session.flush()
        detail = {"colour": colour.value, "before": before.band.colour.value, "alarms": before.alarms}
        record(session, at_ms=now, by=by.principal.account, action=by.action, about=f"area:{area}", detail=detail,
               reason=reason)  # fmt: skip
        return self.painted(session, by, area=area)[0]

    def cards(self, session: Session, by: Authority, guard: str) -> Sequence[GoodCard]:
        """Every level that a guard had, newest first. Raises NotThere."""
        self._guards.guard(session, by, guard)
        asked = select(GoodCard).where(GoodCard.guard == guard)
        return session.exec(asked.order_by(col(GoodCard.number).desc())).all()

    def held_cards(
        self, session: Session, by: Authority, *, below: int | None, limit: int
    ) -> list[tuple[GoodCard, Guard]]:
        """The level that each guard whom the account reaches has now, the newest decision first."""
        held = select(GoodCard).where(GoodCard.station == self._register.station, col(GoodCard.to_ms).is_(None))

        def show(row: GoodCard) -> tuple[GoodCard, Guard]:
            return row, self._guards.guard(session, by, row.guard)

        return newest(session, held, col(GoodCard.number), show, below=below, limit=limit)

    def give_card(
        self, session: Session, by: Authority, guard: str, *, level: Card, quarter: str, reason: str
    ) -> GoodCard:
        """Decide the level of a guard's card for a quarter. Raises NotThere."""
        self._guards.guard(session, by, guard)
        now = self._clock()
        for row in session.exec(select(GoodCard).where(GoodCard.guard == guard, col(GoodCard.to_ms).is_(None))):
            row.to_ms = now
            session.add(row)
        session.flush()
        card = GoodCard(
            station=self._register.station,
            guard=guard,
            level=level.value,
            quarter=quarter,
            reason=reason,
            set_by=by.principal.account,
            from_ms=now,
        )
        session.add(card)
        session.flush()
        detail = {"level": level.value, "quarter": quarter}
        record(session, at_ms=now, by=card.set_by, action=by.action, about=f"guard:{guard}", detail=detail,
               reason=reason)  # fmt: skip
        return card

    def _alarms(self, session: Session, now_ms: int) -> dict[str, int]:
        """Alarms in earnest of the last 30 days by area, as the community may know of them: without duress."""
        found: dict[str, int] = {}
        span = Span(now_ms - LOOKED_BACK_MS, now_ms)
        lay = reports.trees(session, self._register.station)
        for case in reports.cases(session, span, Audience.COMMUNITY, lay=lay):
            if case.counts:
                for area in case.areas:
                    found[area] = found.get(area, 0) + 1
        return found

    def _last(self, session: Session, areas: Collection[str]) -> dict[str, int]:
        still = select(AreaColour).where(col(AreaColour.area).in_(areas), col(AreaColour.to_ms).is_(None))
        return {row.area: row.number or 0 for row in session.exec(still)}
