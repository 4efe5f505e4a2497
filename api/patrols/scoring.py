"""What the points ledger is told of a round that was judged: one fact a guard, and a newer one after late data."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.colours.service import band_at
from api.guards.service import employer_at, servings_of
from api.patrols.rules import Evaluation, Round
from api.points.facts import Fact, of_round

NIGHT: Final = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
"""Hours of the clock in which a round that begins is one of the night."""


class Scoring:
    """Tells the points ledger."""

    def __init__(self, note: Callable[[Session, Fact], None], *, zone: ZoneInfo) -> None:
        self._note = note
        self._zone = zone

    def follow(self, session: Session, round_: Round, evaluation: Evaluation, _before: Evaluation | None) -> None:
        """A consequence of judging: what one did is his, what nobody did is everybody's who was listed."""
        visits = evaluation.visits
        causes = {nth: visit.detail.evidence for nth, visit in enumerate(visits) if visit.detail.evidence is not None}
        short = {visit.check_in for visit in visits if visit.detail.dwell_short and visit.check_in is not None}
        colour = band_at(session, round_.area, round_.starts_ms).colour
        night = datetime.fromtimestamp(round_.starts_ms / 1_000, self._zone).hour in NIGHT
        for guard in round_.guards:
            fact = of_round(
                f"round:{round_.number}:{guard}",
                visits,
                guard=guard,
                company=employer_at(session, guard, round_.starts_ms),
                area=round_.area,
                occurred_ms=round_.ends_ms,
                colour=colour.value,
                night=night,
                own={visit.check_in for visit in visits if visit.check_in and visit.detail.guard == guard},
                listed=bool(servings_of(session, guard, round_.starts_ms, round_.ends_ms)),
                dwell_short=short,
                causes=causes,
            )
            if fact is not None:
                self._note(session, fact)
