"""`shouwang points recompute`: the ledger replayed, and judged anew from the facts, against what the station says.

Three questions, each by reading alone: do the entries add up to the balances; do the facts, by the rules of their time,
give these entries and no others; does each closed month still have its digest.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from api.database.errors import DatabaseError
from api.database.looking import looking
from api.points import repository
from api.points.models import PointsEntry
from api.points.rules import REVERSALS, judge, settle
from api.points.service import owner_of
from api.points.states import BEGINNING, month_digest
from api.progress import Tell, told, untold
from api.settings import StationSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where the station does not say what its ledger or its facts do. `about`: an entry, an account or a month."""

    about: str
    what: str
    kept: str
    recomputed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What came of it."""

    entries: int
    owners: int
    points_tenths: int
    months: int
    differences: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything agrees to the digit."""
        return not self.differences


def recompute(settings: StationSettings) -> Recomputed:
    """Look at the database of a station, whether it runs or not. Raises DatabaseError."""
    try:
        with looking(settings.database, station=settings.station) as session:
            return recomputed(session, station=settings.station, zone=settings.zone)
    except DBAPIError as error:
        raise DatabaseError(f"the ledger cannot be read: {error.orig}") from None


def recomputed(session: Session, *, station: str, zone: ZoneInfo, tell: Tell = untold) -> Recomputed:
    """The same within a session."""
    many = repository.how_many(session, station)
    rows = [*told(repository.all_entries(session, station), tell, "reading", of=many)]
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sums[owner_of(row.guard, row.company), row.month] += row.points_tenths
    found = [
        *_replayed(rows),
        *_balances(session, station, rows, sums),
        *_judged(session, rows, station=station, zone=zone, tell=tell),
        *_months(session, station, rows, tell=tell),
    ]
    return Recomputed(
        entries=len(rows),
        owners=len({owner for owner, _ in sums}),
        points_tenths=sum(sums.values()),
        months=len(repository.closed(session, station)),
        differences=tuple(found),
    )


def _replayed(rows: list[PointsEntry]) -> Iterator[Difference]:
    """Every reversal takes back one entry before it, exactly, and once."""
    before: dict[str, PointsEntry] = {}
    taken: set[str] = set()
    for row in rows:
        about = f"entry {row.number} {row.id}"
        if row.reverses is None:
            if row.rule in REVERSALS:
                yield Difference(about=about, what="reverses", kept="nothing", recomputed="an entry")
        elif (other := before.get(row.reverses)) is None or row.reverses in taken:
            yield Difference(about=about, what="reverses", kept=row.reverses, recomputed="an entry before it, once")
        else:
            taken.add(row.reverses)
            if (row.points_tenths, row.guard) != (-other.points_tenths, other.guard):
                yield Difference(
                    about=about, what="points", kept=tenths(row.points_tenths), recomputed=tenths(-other.points_tenths)
                )
        before[row.id] = row


def _balances(
    session: Session, station: str, rows: list[PointsEntry], sums: Counter[tuple[str, str]]
) -> Iterator[Difference]:
    kept = {(row.owner, row.month): row for row in repository.balances(session, station)}
    counts = Counter((owner_of(row.guard, row.company), row.month) for row in rows)
    for owner, month in sorted(kept.keys() | counts.keys()):
        row, about = kept.get((owner, month)), f"{owner} {month}"
        points, entries = (0, 0) if row is None else (row.points_tenths, row.entries)
        if points != sums[owner, month]:
            yield Difference(about=about, what="balance", kept=tenths(points), recomputed=tenths(sums[owner, month]))
        if entries != counts[owner, month]:
            yield Difference(about=about, what="entries", kept=str(entries), recomputed=str(counts[owner, month]))


def _judged(
    session: Session, rows: list[PointsEntry], *, station: str, zone: ZoneInfo, tell: Tell
) -> Iterator[Difference]:  # fmt: skip
    """What the facts are worth by the rules of their time is what stands in the ledger."""
    facts = repository.facts(session, station, -(1 << 62), 1 << 62)
    worth = judge(repository.rule_sets(session, station), facts, zone=zone, tell=tell)
    taken = {row.reverses: row for row in rows if row.reverses is not None}
    lines = [row for row in rows if row.fact is not None and row.reverses is None]
    made = settle(worth, repository.booked(lines, taken))
    replaced = {line.about for line in made.reverse}
    wanted = {one.about: one for one in made.book}
    for line in made.reverse:
        should = tenths(wanted[line.about].points_tenths) if line.about in wanted else "nothing"
        yield Difference(about=f"entry {line.id}", what="worth", kept=tenths(line.points_tenths), recomputed=should)
    for one in made.book:
        if one.about not in replaced:
            about = f"fact {one.fact} {one.rule} {one.item}".strip()
            yield Difference(about=about, what="worth", kept="nothing", recomputed=tenths(one.points_tenths))


def _months(session: Session, station: str, rows: list[PointsEntry], *, tell: Tell) -> Iterator[Difference]:
    previous = BEGINNING
    closed = repository.closed(session, station)
    for month in told(closed, tell, "months", of=len(closed)):
        lines = [repository.line(row) for row in rows if row.month == month.month]
        if month.previous != previous:
            about = f"month {month.month}"
            yield Difference(about=about, what="digest before", kept=month.previous, recomputed=previous)
        digest = month_digest(month.previous, month.month, lines)
        if digest != month.digest:
            yield Difference(about=f"month {month.month}", what="digest", kept=month.digest, recomputed=digest)
        previous = month.digest


def tenths(number: int) -> str:
    """Tenths as people write them."""
    return f"{'-' if number < 0 else ''}{abs(number) // 10}.{abs(number) % 10}"


def as_text(found: Recomputed) -> str:
    """For people; the first difference first."""
    head = f"{found.entries} entries of {found.owners} accounts, {tenths(found.points_tenths)} points"
    lines = [f"{head}, {found.months} closed months"]
    lines += [
        f"{one.about}: {one.what} is {one.kept}, recomputed {one.recomputed}" for one in found.differences
    ]  # fmt: skip
    lines.append("everything agrees to the digit" if found.agrees else "the ledger does NOT agree")
    return "\n".join(lines)


def as_json(found: Recomputed) -> str:
    """For programs."""
    return json.dumps({"agrees": found.agrees, **asdict(found)}, ensure_ascii=False)
