"""What the points ledger is told of rounds that were judged: one fact a guard, and a newer one when judged again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.colours.service import bands_then
from api.guards.service import employer, employments
from api.patrols import repository
from api.patrols.judging import Verdict
from api.points.facts import Fact, of_round

NIGHT: Final = frozenset({22, 23, 0, 1, 2, 3, 4, 5})
"""Hours of the clock in which a round that begins is one of the night."""


class Scoring:
    """Tells the points ledger."""

    def __init__(self, note_all: Callable[[Session, Collection[Fact]], None], *, zone: ZoneInfo) -> None:
        self._note_all = note_all
        self._zone = zone

    def follow(self, session: Session, verdicts: Sequence[Verdict]) -> None:
        """A consequence of judging: what one did is his; what nobody did is of everybody who was listed for it then."""
        colours = bands_then(session, {(one.round.area, one.round.starts_ms) for one in verdicts})
        jobs = employments(session, {guard for one in verdicts for guard in (*one.round.guards, *one.gone)})
        points = {visit.point for one in verdicts for visit in one.evaluation.visits}
        names = {id_: row.name for id_, row in repository.checkpoints_named(session, points).items() if row.name}
        ordered = repository.temporary(session, {one.round.number for one in verdicts})
        facts: list[Fact] = []
        for verdict in verdicts:
            round_ = verdict.round
            colour = colours[round_.area, round_.starts_ms].colour.value
            for guard in (*round_.guards, *verdict.gone):
                company = employer(jobs.get(guard, ()), round_.starts_ms)
                by_order = round_.number in ordered
                fact = self._fact(verdict, guard, company=company, colour=colour, names=names, ordered=by_order)
                if fact is not None:
                    facts.append(fact)
        self._note_all(session, facts)

    def _fact(
        self,
        verdict: Verdict,
        guard: str,
        *,
        company: str | None,
        colour: str,
        names: Mapping[str, str],
        ordered: bool,
    ) -> Fact | None:
        round_, visits = verdict.round, verdict.evaluation.visits
        causes = {nth: visit.detail.evidence for nth, visit in enumerate(visits)}
        return of_round(
            f"round:{round_.number}:{guard}",
            visits,
            guard=guard,
            company=company,
            area=round_.area,
            occurred_ms=round_.ends_ms,
            colour=colour,
            night=datetime.fromtimestamp(round_.starts_ms / 1_000, self._zone).hour in NIGHT,
            own={visit.check_in for visit in visits if visit.check_in and visit.detail.guard == guard},
            listed=guard in verdict.answers,
            answers=verdict.answers.get(guard),
            away=verdict.away.get(guard),
            dwell_short={visit.check_in for visit in visits if visit.detail.dwell_short and visit.check_in is not None},
            causes={nth: cause for nth, cause in causes.items() if cause is not None},
            names=names,
            ordered=ordered,
        )
