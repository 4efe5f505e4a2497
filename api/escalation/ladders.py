"""Setting ladders: whoever leads says for his area how it climbs. Takes a session, never commits.

BadLadder                   422: .faults, every one of them
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock
from api.escalation import repository, rules
from api.escalation.models import LadderRow
from api.escalation.rules import Ladder, LadderFault, Stage
from api.etags import expect
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Subject
from broker.kinds import Kind

ANY_WORD: Final = "any"


class BadLadder(Problem):
    """It cannot be climbed, or tells whom it may not. Field: `faults`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_ladder"
    title = "This is no ladder"

    def __init__(self, faults: Sequence[LadderFault]) -> None:
        self.faults = tuple(faults)
        words = [{"where": one.where, "why": one.why} for one in faults]
        super().__init__("; ".join(f"rung {one.where}: {one.why}" for one in faults), faults=words)


class Ladders:
    """The ladders of one station, as people set them."""

    def __init__(self, register: Register, *, clock: Clock) -> None:
        self._register = register
        self._clock = clock

    def all(self, session: Session, by: Authority) -> list[LadderRow]:
        """Those that hold where the account reaches."""
        rows = repository.rows(session, self._register.station)
        return [row for row in rows if by.reach.covers(self._subject(row.area))]

    def holding(
        self, session: Session, by: Authority, stage: Stage, *, kind: str, area: str
    ) -> tuple[LadderRow | None, int]:
        """The ladder that was set for exactly this, None without one; and the version that a change must name.

        Raises NotThere.
        """
        if not self._known(kind, area) or not by.reach.covers(self._subject(_none(area))):
            raise NotThere("no such kind, or no such area of yours")
        row = repository.newest(session, self._register.station, stage, kind=_none(kind), area=_none(area))
        if row is None:
            return None, 0
        return (row if row.to_ms is None else None), row.version

    def set(
        self, session: Session, by: Authority, stage: Stage, ladder: Ladder, *, kind: str, area: str, if_match: str
    ) -> LadderRow:
        """Let this ladder hold from now on; alarms that climb already go on as they began.

        Raises NotThere, StaleVersion or BadLadder.
        """
        row, version = self.holding(session, by, stage, kind=kind, area=area)
        expect(if_match, version)
        named = None if kind == ANY_WORD else Kind(kind)
        if faults := rules.faults(ladder, kind=named, stage=stage):
            raise BadLadder(faults)
        now = self._clock()
        if row is not None:
            row.to_ms = now
        new = LadderRow(
            station=self._register.station,
            stage=stage.value,
            kind=_none(kind),
            area=_none(area),
            rungs=repository.text(ladder),
            version=version + 1,
            from_ms=now,
            made_by=by.principal.account,
        )
        repository.add_ladder(session, new)
        self._audit(session, by, stage, kind=kind, area=area, version=version + 1)
        return new

    def take_back(self, session: Session, by: Authority, stage: Stage, *, kind: str, area: str, if_match: str) -> None:
        """Let what would hold without it hold again. Raises NotThere or StaleVersion."""
        row, version = self.holding(session, by, stage, kind=kind, area=area)
        if row is None:
            raise NotThere("nobody set a ladder for this")
        expect(if_match, version)
        row.to_ms = self._clock()
        session.flush()
        session.info.pop("ladders", None)
        self._audit(session, by, stage, kind=kind, area=area, taken_back=True)

    def _known(self, kind: str, area: str) -> bool:
        kinds = {one.value for one in Kind} - {Kind.TEST.value, Kind.DRILL.value}
        here = area in {ANY_WORD, self._register.station} or self._register.area(area) is not None
        return (kind == ANY_WORD or kind in kinds) and here

    def _subject(self, area: str) -> Subject:
        above = () if not area else (area, *self._register.ancestors(area))
        return Subject(areas=frozenset((self._register.station, *above)))

    def _audit(self, session: Session, by: Authority, stage: Stage, **detail: object) -> None:
        now, account = self._clock(), by.principal.account
        record(session, at_ms=now, by=account, action="ladder.edit", about=f"ladder:{stage}", detail=detail)


def _none(word: str) -> str:
    return rules.ANY if word == ANY_WORD else word
