"""The points ledger as other parts of the station use it. Takes a session, never commits.

station.points.note(session, fact)       a fact, or a newer revision of it: what it is worth is booked or put right
station.points.note_all(session, facts)  many at once
station.points.book(session, entry)      one entry by hand; entries are never changed, only reversed
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.clock import Clock
from api.guards import service as guards
from api.guards.service import Force
from api.points import repository
from api.points.facts import Fact, Happened
from api.points.models import PointsEntry, PointsFact, PointsFlag, PointsStep
from api.points.rules import (
    APPEAL_UPHELD,
    EXCUSED,
    LATE_DATA,
    Booked,
    Judged,
    RuleSet,
    in_force,
    judge,
    month_of,
    settle,
)
from api.points.states import EntryState, FlagState, StepAction, entry_state, flag_state
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id

SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. Points are whole tenths, `occurred_ms` is UTC, `guard` None: about the company.

    `reverses`: the id of the entry that this one takes back (冲正). `made_by`: an account, or "system".
    `fact` and `item`: what the rules made it of; `area`, `colour` and `night` say with whom it may be compared.
    """

    rule: str
    version: int
    guard: str | None
    company: str | None
    points_tenths: int
    occurred_ms: int
    evidence: tuple[str, ...]
    reason_zh: str
    reason_en: str
    made_by: str
    reverses: str | None = None
    fact: str | None = None
    item: str = ""
    area: str | None = None
    colour: str | None = None
    night: bool = False


def owner_of(guard: str | None, company: str | None) -> str:
    """Whose account an entry is in."""
    return f"guard:{guard}" if guard is not None else f"company:{company}"


class Points:
    """The ledger of one station."""

    def __init__(self, station: str, *, clock: Clock, random_bytes: Callable[[int], bytes], zone: ZoneInfo) -> None:
        self.station = station
        self.clock = clock
        self.zone = zone
        self._random_bytes = random_bytes

    # What other parts tell

    def note(self, session: Session, fact: Fact) -> None:
        """Keep a fact or a newer revision of it, and let the ledger follow. The same again is nothing."""
        self.note_all(session, (fact,))

    def note_all(self, session: Session, facts: Iterable[Fact]) -> None:
        """The same for many; each guard's month is judged once. Of two with one key the later one counts.

        Police, grid workers and volunteers come along on rounds and have no points.
        """
        given = {fact.key: fact for fact in facts}
        people = guards.named(session, {fact.guard for fact in given.values() if fact.guard is not None})
        others = {id_ for id_, person in people.items() if person.force is not Force.GUARD}
        given = {key: fact for key, fact in given.items() if fact.guard not in others}
        known = repository.newest(session, self.station, given)
        touched: set[tuple[str | None, str | None, str]] = set()
        moved: set[tuple[str | None, str | None, str]] = set()
        changed: list[tuple[Fact, PointsFact | None]] = []
        for key, fact in given.items():
            old = known.get(key)
            if old is not None and _same(old, fact):
                continue
            changed.append((fact, old))
            touched.add(at := (fact.guard, fact.company, month_of(fact.occurred_ms, self.zone)))
            if old is not None:
                moved |= {at, (old.guard, old.company, month_of(old.occurred_ms, self.zone))}
        if changed:
            repository.keep(session, self.station, changed, heard_ms=self.clock())
            self._follow(session, touched | moved, {*given}, moved)

    def told(self, session: Session, guard: str, from_ms: int, to_ms: int) -> list[Fact]:
        """What stands of a guard and happened in [from, to)."""
        return repository.facts(session, self.station, from_ms, to_ms, guards=(guard,))

    def book(self, session: Session, entry: Entry) -> str:
        """Add one entry and raise its owner's balance; returns its id.

        It goes into the account of the month in which it happened, or where that is closed, of the present one.
        """
        (id_,) = self.book_all(session, (entry,))
        return id_

    def book_all(self, session: Session, entries: Sequence[Entry]) -> list[str]:
        """The same for many, in this order."""
        if not entries:
            return []
        now = self.clock()
        done = {row.month for row in repository.closed(session, self.station)}
        rows: list[dict[str, object]] = []
        risen: dict[tuple[str, str], list[int]] = {}
        for entry in entries:
            month = self._open_month(entry.occurred_ms, now, done)
            rows.append(
                {
                    "id": self.new_id(),
                    "station": self.station,
                    "rule": entry.rule,
                    "version": entry.version,
                    "guard": entry.guard,
                    "company": entry.company,
                    "points_tenths": entry.points_tenths,
                    "occurred_ms": entry.occurred_ms,
                    "booked_ms": now,
                    "month": month,
                    "evidence": json.dumps([*entry.evidence], ensure_ascii=False),
                    "reason_zh": entry.reason_zh,
                    "reason_en": entry.reason_en,
                    "made_by": entry.made_by,
                    "reverses": entry.reverses,
                    "fact": entry.fact,
                    "item": entry.item,
                    "area": entry.area,
                    "colour": entry.colour,
                    "night": entry.night,
                }
            )
            risen.setdefault((owner_of(entry.guard, entry.company), month), []).append(entry.points_tenths)
        repository.add_entries(session, rows)
        repository.rise(session, self.station, risen)
        return [str(row["id"]) for row in rows]

    # What the parts of this folder share

    def sets(self, session: Session) -> tuple[RuleSet, ...]:
        """Every version of the rules."""
        return repository.rule_sets(session, self.station)

    def reverse(
        self, session: Session, row: PointsEntry, rule: str, *, made_by: str, evidence: Sequence[str] = ()
    ) -> str:
        """Take an entry back by one of its own (冲正)."""
        return self.book(session, self._reversal(session, row, rule, made_by=made_by, evidence=evidence))

    def _reversal(
        self, session: Session, row: PointsEntry, rule: str, *, made_by: str, evidence: Sequence[str]
    ) -> Entry:
        rules = in_force(self.sets(session), self.clock())
        _, why = rules.reversals[rule]
        return Entry(
            rule=rule,
            version=rules.version,
            guard=row.guard,
            company=row.company,
            points_tenths=-row.points_tenths,
            occurred_ms=row.occurred_ms,
            evidence=(row.id, *evidence),
            reason_zh=why.zh,
            reason_en=why.en,
            made_by=made_by,
            reverses=row.id,
            fact=row.fact,
            item=row.item,
            area=row.area,
            colour=row.colour,
            night=row.night,
        )

    def states(self, session: Session, rows: Sequence[PointsEntry]) -> dict[str, EntryState]:
        """How far each of these entries is now."""
        ids = [row.id for row in rows]
        done, taken = repository.steps(session, ids), repository.reversals(session, ids)
        sets, now = self.sets(session), self.clock()
        return {
            row.id: entry_state(
                points_tenths=row.points_tenths,
                booked_ms=row.booked_ms,
                reversal=row.reverses is not None,
                reversed_=row.id in taken,
                steps={step.action for step in done[row.id]},
                appeal_ms=in_force(sets, row.occurred_ms).appeal_ms,
                now_ms=now,
            )
            for row in rows
        }

    def step(self, session: Session, about: str, action: StepAction, *, by: str, words: str | None = None) -> None:
        """Write down what was done about an entry or a flag."""
        row = PointsStep(about=about, action=action.value, by=by, at_ms=self.clock(), words=words)
        repository.add(session, row)

    def uphold(self, session: Session, row: PointsEntry, *, by: str) -> str:
        """Take back what an appeal was upheld against."""
        return self.reverse(session, row, APPEAL_UPHELD, made_by=by)

    def new_id(self) -> str:
        """Of a row that other rows name."""
        return event_id(self.clock(), self._random_bytes(EVENT_ID_RANDOM_BYTES))

    def _open_month(self, occurred_ms: int, now_ms: int, done: Collection[str]) -> str:
        month = month_of(occurred_ms, self.zone)
        return month if not done or month > max(done) else max(month_of(now_ms, self.zone), _after(max(done)))

    def _follow(
        self,
        session: Session,
        touched: Collection[tuple[str | None, str | None, str]],
        changed: Collection[str],
        moved: Collection[tuple[str | None, str | None, str]],
    ) -> None:
        """Judge the months of these guards and companies anew and bring ledger and flags to that.

        A fact that nobody heard of before is the last in line and moves nothing that others have, so it alone is
        settled. Where another revision `moved` something, all of that month is.
        """
        facts: dict[str, Fact] = {}
        for month in {month for _, _, month in touched}:
            from_ms, to_ms = repository.month_span(month, self.zone)
            guards = {guard for guard, _, of in touched if of == month and guard is not None}
            companies = {company for guard, company, of in touched if of == month and guard is None and company}
            found = repository.facts(session, self.station, from_ms, to_ms, guards=guards, companies=companies)
            facts |= {fact.key: fact for fact in found}
        owners = {owner_of(guard, company) for guard, company, _ in moved}
        settled = {*changed, *(key for key, fact in facts.items() if owner_of(fact.guard, fact.company) in owners)}
        judged = [
            one for one in judge(self.sets(session), facts.values(), zone=self.zone) if one.fact in settled
        ]  # fmt: skip
        rows = repository.of_facts(session, self.station, settled)
        taken = repository.reversals(session, [row.id for row in rows])
        made = settle(judged, repository.booked(rows, taken))
        by_id = {row.id: row for row in rows}
        excused = {
            (fact.key, one.item): one.evidence
            for fact in facts.values()
            for one in fact.happenings
            if one.what is Happened.EXCUSED
        }
        taken_back = [self._taken_back(session, line, by_id[line.id], excused) for line in made.reverse]
        self.book_all(session, [*taken_back, *map(_entry, made.book)])
        self._flag(session, [one for one in judged if one.flag], settled)

    def _taken_back(
        self,
        session: Session,
        line: Booked,
        row: PointsEntry,
        excused: dict[tuple[str, str], tuple[str, ...]],
    ) -> Entry:
        fact, _, item = line.about
        rule = EXCUSED if (fact, item) in excused and line.points_tenths < 0 else LATE_DATA
        return self._reversal(session, row, rule, made_by=SYSTEM, evidence=excused.get((fact, item), ()))

    def _flag(self, session: Session, judged: Sequence[Judged], keys: Collection[str]) -> None:
        there = repository.flags_of_facts(session, self.station, keys)
        done = repository.steps(session, [row.id for row in there])
        open_ = {
            _about(row): row for row in there if flag_state({one.action for one in done[row.id]}) is FlagState.OPEN
        }  # fmt: skip
        decided = {
            (row.fact, row.rule, row.item, row.guard)
            for row in there
            if {one.action for one in done[row.id]} & {StepAction.CONFIRMED.value, StepAction.DISMISSED.value}
        }
        wanted = {(*one.about, one.guard): one for one in judged}
        for about, row in open_.items():
            if about not in wanted:
                self.step(session, row.id, StepAction.WITHDRAWN, by=SYSTEM)
        for about, one in wanted.items():
            if about not in open_ and about not in decided:
                repository.add(session, self._new_flag(one))

    def _new_flag(self, one: Judged) -> PointsFlag:
        return PointsFlag(
            id=self.new_id(),
            station=self.station,
            rule=one.rule,
            version=one.version,
            guard=one.guard,
            company=one.company,
            points_tenths=one.points_tenths,
            occurred_ms=one.occurred_ms,
            raised_ms=self.clock(),
            evidence=json.dumps([*one.evidence], ensure_ascii=False),
            reason_zh=one.reason.zh,
            reason_en=one.reason.en,
            fact=one.fact,
            item=one.item,
            area=one.area,
            colour=one.colour,
            night=one.night,
        )


def _about(row: PointsFlag) -> tuple[str, str, str, str | None]:
    return (row.fact, row.rule, row.item, row.guard)


def _entry(one: Judged) -> Entry:
    return Entry(
        rule=one.rule,
        version=one.version,
        guard=one.guard,
        company=one.company,
        points_tenths=one.points_tenths,
        occurred_ms=one.occurred_ms,
        evidence=one.evidence,
        reason_zh=one.reason.zh,
        reason_en=one.reason.en,
        made_by=SYSTEM,
        fact=one.fact,
        item=one.item,
        area=one.area,
        colour=one.colour,
        night=one.night,
    )


def _same(row: PointsFact, fact: Fact) -> bool:
    return (
        row.guard, row.company, row.area, row.colour, row.night, row.duty, row.active, row.occurred_ms, row.happenings
    ) == (
        fact.guard, fact.company, fact.area, fact.colour, fact.night, fact.duty, fact.active, fact.occurred_ms,
        repository.as_text(fact.happenings),
    )  # fmt: skip


def _after(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"
