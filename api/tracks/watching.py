"""Runs the rules of `suspicions` over what guards check in, and tells the points ledger what an officer should look at.

Theory:

1. Each check-in, and each about which something else is found out, is a row of `suspicion_due` from its own
   transaction on. A guard's day is looked at once something of it has waited for SETTLE_MS: what waited in a phone or
   in a wand comes in pieces.
2. Looked at are his check-ins from AROUND_MS before until AROUND_MS after it, and whoever else read his card, all by
   index. The looking is done in a transaction that only reads; nobody who writes waits for it.
3. Cards that always come together are looked for in a civil month, once a month, and only of those two who met at
   least MET_LEAST times within MET_MS without standing on one list, in at least every second place that one came to.
4. Each suspicion is a fact of its own in the ledger, `suspicion:KIND:GUARD:...`, one for each guard. One that shares a
   check-in with a fact of its kind is that fact, so that late data raise nothing twice; of a pair of readings the later
   one says which it is. What late data explain is told with nothing in it, and a flag that is still open is withdrawn.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.checkins import service as checkins
from api.checkins.rules import CheckIn, Source
from api.clock import Clock
from api.colours.service import band_at
from api.database import Database
from api.guards import service as guards
from api.patrols import service as patrols
from api.patrols.models import Checkpoint
from api.patrols.scoring import NIGHT
from api.points.facts import Fact, Happened, Happening
from api.register.service import Register
from api.reports.rules import Period, span
from api.tracks import repository
from api.tracks.repository import Due
from api.tracks.service import known_ways
from api.tracks.suspicions import PHONE, READ, TOGETHER_MS, Kind, Suspicion, alone, reads, together
from broker.kinds import Words

LOOK_S: Final = 5.0
SETTLE_MS: Final = 60_000
AROUND_MS: Final = 86_400_000
MET_MS: Final = 12 * 3_600_000
MET_LEAST: Final = 3
AT_ONCE: Final = 50
"""Days of guards in one transaction."""
TURNS_AT_ONCE: Final = 1
"""Transactions in one turn of the job: the other jobs of the rounds wait for it."""

_HAPPENED: Final[Mapping[Kind, Happened]] = {
    Kind.IMPOSSIBLE_SPEED: Happened.TOO_FAST,
    Kind.TWO_PLACES: Happened.CLONED,
    Kind.BURST: Happened.CLONED,
    Kind.ALWAYS_TOGETHER: Happened.BUDDY,
    Kind.CLOCK: Happened.CLOCK,
}
_PAIRS: Final = frozenset({Kind.IMPOSSIBLE_SPEED, Kind.TWO_PLACES})
_LOOKED_AT: Final = READ | PHONE

Told = Callable[[Session, str, int, int], Sequence[Fact]]
NoteAll = Callable[[Session, Iterable[Fact]], None]


class Watch:
    """Looks after the check-ins of one station. `told` and `note_all`: of the points ledger."""

    def __init__(self, register: Register, *, clock: Clock, zone: ZoneInfo, told: Told, note_all: NoteAll) -> None:
        self._register = register
        self._clock = clock
        self._zone = zone
        self._told = told
        self._note_all = note_all

    def follow(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """A consequence of check-ins: they are to be looked at."""
        now = self._clock()
        repository.add(
            session,
            [(one.guard, one.at_ms, now) for one in check_ins if one.guard is not None and one.source in _LOOKED_AT],
        )

    def look(self, database: Database, now_ms: int) -> None:
        """Look at what has waited long enough. A job of the rounds."""
        for _ in range(TURNS_AT_ONCE):
            with database.read() as session:
                due = repository.due(session, heard_ms=now_ms - SETTLE_MS, limit=AT_ONCE)
                facts = _Looking(session, self._register, zone=self._zone, told=self._told).facts(due)
            if not due:
                return
            with database.write(patient=True) as session:
                self._note_all(session, facts)
                repository.done(session, due)


class _Looking:
    """One portion of what is due, in one transaction."""

    def __init__(self, session: Session, register: Register, *, zone: ZoneInfo, told: Told) -> None:
        self._session = session
        self._register = register
        self._zone = zone
        self._told = told
        self._points: dict[str, Checkpoint] = {}
        self._servings: dict[tuple[str, int], list[guards.Serving]] = {}
        self._months: dict[tuple[str, int], list[CheckIn]] = {}
        self._kept: dict[str, Fact] = {}

    def facts(self, due: Sequence[Due]) -> list[Fact]:
        """What is new, and what is explained now."""
        around = {(one.guard, one.from_ms, one.to_ms): self._around(one.guard, one.from_ms, one.to_ms) for one in due}
        for (_, from_ms, to_ms), read in [*around.items()]:
            for guard in {one.guard for one in read if one.guard is not None}:
                if (guard, from_ms, to_ms) not in around:
                    around[guard, from_ms, to_ms] = self._around(guard, from_ms, to_ms)
        self._name({one.point for read in around.values() for one in read if one.point is not None})
        ways = known_ways(self._session, self._register, [*self._points.values()])
        for (guard, from_ms, to_ms), read in around.items():
            found = [one for one in alone(read, ways=ways) if guard in one.guards]
            self._follow(guard, found, read, from_ms - AROUND_MS, to_ms + AROUND_MS)
        for (guard, from_ms, to_ms), read in around.items():
            mine = [one for one in reads(read) if one.guard == guard]
            self._meet(guard, [one for one in mine if from_ms - MET_MS <= one.at_ms <= to_ms + MET_MS])
        return [*self._kept.values()]

    def _around(self, guard: str, from_ms: int, to_ms: int) -> list[CheckIn]:
        """His check-ins, and those by his cards whosever they were then."""
        begins, ends = from_ms - AROUND_MS, to_ms + AROUND_MS + 1
        mine = checkins.of_guard(self._session, guard, begins, ends)
        cards = {one.tag for one in mine if one.source is Source.FIXED_READER and one.tag is not None}
        known = {one.id for one in mine}
        others = checkins.of_tags(self._session, cards, begins, ends) if cards else []
        return [*mine, *(one for one in others if one.id not in known)]

    def _name(self, points: Collection[str]) -> None:
        self._points |= patrols.points_named(self._session, {one for one in points if one not in self._points})

    def _follow(
        self, guard: str, found: Sequence[Suspicion], read: Sequence[CheckIn], from_ms: int, to_ms: int
    ) -> None:
        """Keep what was not told yet, and take back what is explained: of that, all should have been read."""
        told = [
            fact
            for fact in self._told(self._session, guard, from_ms - AROUND_MS, to_ms + 1)
            if fact.key.startswith("suspicion:") and fact.happenings
        ]
        still: set[str] = set()
        for one in found:
            same = next((fact for fact in told if _same(fact, one, guard)), None)
            if same is not None:
                still.add(same.key)
            else:
                self._keep(one, guard, one.evidence[-1] if one.kind in _PAIRS else one.evidence[0], read)
        for fact in told:
            ends = fact.happenings[0].at_ms or fact.occurred_ms
            inside = from_ms <= fact.occurred_ms and ends <= to_ms
            if inside and fact.key not in still and not fact.key.startswith(_head(Kind.ALWAYS_TOGETHER, guard)):
                self._kept[fact.key] = replace(fact, happenings=())

    def _meet(self, guard: str, mine: Sequence[CheckIn]) -> None:
        """Whom he kept meeting, who was not of his team."""
        if len(mine) < MET_LEAST:
            return
        met: dict[str, list[CheckIn]] = {}
        near = checkins.near(self._session, {(one.point or "", one.at_ms) for one in mine}, TOGETHER_MS)
        others = [one for one in reads(near) if one.guard is not None and one.guard != guard]
        for one in mine:
            for who in {
                other.guard or ""
                for other in others
                if other.point == one.point and abs(other.at_ms - one.at_ms) <= TOGETHER_MS
            }:
                met.setdefault(who, []).append(one)
        for who, there in sorted(met.items()):
            if len(there) < MET_LEAST or 2 * len(there) < len(mine):
                continue
            strange = [one for one in there if not self._mates(guard, who, one.at_ms)]
            if len(strange) >= MET_LEAST:
                self._compare(*sorted((guard, who)), at_ms=strange[-1].at_ms)

    def _compare(self, one: str, other: str, *, at_ms: int) -> None:
        """Two guards over the civil month of a moment, if that was not told yet."""
        month = span(Period.MONTH, self._civil(at_ms).date(), self._zone)
        of = f"{self._civil(at_ms):%Y-%m}"
        keys = {one: f"{_head(Kind.ALWAYS_TOGETHER, one)}{other}:{of}"}
        keys |= {other: f"{_head(Kind.ALWAYS_TOGETHER, other)}{one}:{of}"}
        told = {
            fact.key for who in keys for fact in self._told(self._session, who, month.from_ms, month.to_ms)
        } | self._kept.keys()  # fmt: skip
        if told.issuperset(keys.values()):
            return
        read = [
            *self._month(one, month.from_ms, month.to_ms),
            *self._month(other, month.from_ms, month.to_ms),
        ]

        for found in together(read, mates=self._mates):
            self._name({check_in.point for check_in in read if check_in.id in found.evidence and check_in.point})
            for who, key in keys.items():
                if key not in told:
                    self._keep(found, who, key.removeprefix(_head(found.kind, who)), read)

    def _month(self, guard: str, from_ms: int, to_ms: int) -> list[CheckIn]:
        key = guard, from_ms
        if key not in self._months:
            self._months[key] = checkins.of_guard(self._session, guard, from_ms, to_ms)
        return self._months[key]

    def _mates(self, one: str, other: str, at_ms: int) -> bool:
        """Whether both stood on one duty list then."""
        return not self._lists(one, at_ms).isdisjoint(self._lists(other, at_ms))

    def _lists(self, guard: str, at_ms: int) -> set[int]:
        month = span(Period.MONTH, self._civil(at_ms).date(), self._zone)
        key = guard, month.from_ms
        if key not in self._servings:
            self._servings[key] = guards.servings_of(self._session, guard, month.from_ms, month.to_ms)
        return {one.duty for one in self._servings[key] if one.from_ms <= at_ms < one.to_ms}

    def _keep(self, one: Suspicion, guard: str, rest: str, read: Iterable[CheckIn]) -> None:
        """As a fact of the area in which it was read last."""
        point = next((other.point for other in read if other.id == one.evidence[-1]), None)
        known = self._points.get(point or "")
        area = self._register.station if known is None else known.area
        key = f"{_head(one.kind, guard)}{rest}"
        happening = Happening(
            what=_HAPPENED[one.kind],
            item=(point or "") if one.kind is Kind.IMPOSSIBLE_SPEED else one.kind.value,
            evidence=one.evidence,
            value=one.times if one.took_ms is None else one.took_ms // 1_000,
            at_ms=one.to_ms,
            called=Words(known.name, known.name)
            if known is not None and known.name and one.kind is Kind.IMPOSSIBLE_SPEED
            else None,
        )
        self._kept[key] = Fact(
            key=key,
            guard=guard,
            company=guards.employer_at(self._session, guard, one.from_ms),
            area=area,
            occurred_ms=one.from_ms,
            happenings=(happening,),
            colour=band_at(self._session, area, one.from_ms).colour.value,
            night=self._civil(one.from_ms).hour in NIGHT,
        )

    def _civil(self, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1_000, self._zone)


def _head(kind: Kind, guard: str) -> str:
    return f"suspicion:{kind.value}:{guard}:"


def _same(fact: Fact, one: Suspicion, guard: str) -> bool:
    """Whether a fact is about this: of a pair the later reading says so, of more any reading of both."""
    if not fact.key.startswith(_head(one.kind, guard)):
        return False
    before = fact.happenings[0].evidence
    return before[-1] == one.evidence[-1] if one.kind in _PAIRS else not {*before}.isdisjoint(one.evidence)
