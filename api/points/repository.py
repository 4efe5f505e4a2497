"""Reading and writing facts, the ledger, flags, balances, months and rules. Never commits."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, or_, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, SQLModel, col, select

from api.database import Bulk, BulkUpdate, table_of
from api.points.facts import Fact, Happened, Happening
from api.points.models import (
    PointsBalance,
    PointsComment,
    PointsEntry,
    PointsFact,
    PointsFlag,
    PointsMonth,
    PointsRules,
    PointsSentence,
    PointsStep,
    PointsTrial,
)
from api.points.rules import Booked, RuleSet, default, read
from api.points.states import StepAction
from broker.kinds import Words

AT_ONCE: Final = 500
"""How many values one question lists."""
_FACT: Final = table_of(PointsFact)
_ADD_FACTS: Final = Bulk(
    "points_fact",
    ["station", "key", "revision", "place_in_line", "guard", "company", "area", "colour", "night", "duty", "active",
     "occurred_ms", "heard_ms", "happenings", "newest"],
)  # fmt: skip
_ADD_ENTRIES: Final = Bulk(
    "points_entry",
    ["id", "station", "rule", "version", "guard", "company", "points_tenths", "occurred_ms", "booked_ms", "month",
     "evidence", "reason_zh", "reason_en", "made_by", "reverses", "fact", "item", "area", "colour", "night"],
)  # fmt: skip
_BALANCE: Final = table_of(PointsBalance)
_BALANCES: Final = sql_select(_BALANCE.c.owner, _BALANCE.c.month, _BALANCE.c.points_tenths, _BALANCE.c.entries).where(
    _BALANCE.c.station == bindparam("station"), _BALANCE.c.owner.in_(bindparam("owners", expanding=True))
)
_RAISE: Final = BulkUpdate("points_balance", ["points_tenths", "entries"], by=["station", "owner", "month"])
_ADD_BALANCES: Final = Bulk("points_balance", ["points_tenths", "entries", "station", "owner", "month"])
_NEWEST_NO_MORE: Final = update(_FACT).where(_FACT.c.number == bindparam("b_number")).values(newest=False)
_SENTENCE: Final = table_of(PointsSentence)


def add(session: Session, *rows: SQLModel) -> None:
    """Insert rows."""
    session.add_all(rows)
    session.flush()


def portions(values: Iterable[str]) -> Iterator[list[str]]:
    """`values`, in lists that a database takes in one question."""
    whole = sorted({*values})
    for begin in range(0, len(whole), AT_ONCE):
        yield whole[begin : begin + AT_ONCE]


def month_span(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """From when until before when a civil month is, Unix ms."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=zone)
    after = (first + timedelta(days=31)).replace(day=1)
    return round(first.timestamp() * 1_000), round(after.timestamp() * 1_000)


# Facts


def as_text(happenings: Sequence[Happening]) -> str:
    """Happenings as a row holds them."""
    rows = [
        [one.what.value, one.item, [*one.evidence], one.value, one.at_ms, *_called(one.called)] for one in happenings
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _called(words: Words | None) -> tuple[str, ...]:
    return () if words is None else (words.zh, words.en)


def as_fact(row: PointsFact | Row[Any]) -> Fact:
    """A row as the rules take it."""
    return Fact(
        key=row.key,
        guard=row.guard,
        company=row.company,
        area=row.area,
        occurred_ms=row.occurred_ms,
        happenings=tuple(
            Happening(
                what=Happened(what),
                item=item,
                evidence=tuple(evidence),
                value=value,
                at_ms=at_ms,
                called=Words(*called) if called else None,
            )
            for what, item, evidence, value, at_ms, *called in json.loads(row.happenings)
        ),
        colour=row.colour,
        night=row.night,
        duty=row.duty,
        active=row.active,
        order=row.place_in_line,
    )


def newest(session: Session, station: str, keys: Collection[str]) -> dict[str, PointsFact]:
    """The newest revision of each of these facts."""
    found: dict[str, PointsFact] = {}
    for portion in portions(keys):
        rows = select(PointsFact).where(
            PointsFact.station == station, col(PointsFact.key).in_(portion), col(PointsFact.newest).is_(True)
        )
        found |= {row.key: row for row in session.exec(rows)}
    return found


def keep(session: Session, station: str, changed: Sequence[tuple[Fact, PointsFact | None]], *, heard_ms: int) -> None:
    """Insert facts, each with the revision that it takes the place of; new ones stand behind all others in line."""
    rows: list[tuple[object, ...]] = [
        (
            station,
            fact.key,
            1 if old is None else old.revision + 1,
            0 if old is None else old.place_in_line,
            fact.guard,
            fact.company,
            fact.area,
            fact.colour,
            fact.night,
            fact.duty,
            fact.active,
            fact.occurred_ms,
            heard_ms,
            as_text(fact.happenings),
            True,
        )
        for fact, old in changed
    ]
    connection = session.connection()
    gone = [{"b_number": old.number} for _, old in changed if old is not None]
    if gone:
        connection.execute(_NEWEST_NO_MORE, gone)
        for _, old in changed:
            if old is not None:
                session.expire(old)
    _ADD_FACTS.insert(session, rows)
    for some in portions(fact.key for fact, old in changed if old is None):
        new = _FACT.c.station == station, _FACT.c.key.in_(some), _FACT.c.place_in_line == 0
        connection.execute(update(_FACT).where(*new).values(place_in_line=_FACT.c.number))


def facts(
    session: Session,
    station: str,
    from_ms: int,
    to_ms: int,
    *,
    guards: Collection[str] | None = None,
    companies: Collection[str] = (),
) -> list[Fact]:
    """The newest revision of every fact of a span; of these guards, or about these companies themselves."""
    of = _FACT.c
    anywhere = sql_select(_FACT).where(of.occurred_ms >= from_ms, of.occurred_ms < to_ms, of.newest.is_(True))
    asked = anywhere.where(of.station == station)
    connection = session.connection()
    if guards is None:
        return [as_fact(row) for row in connection.execute(asked.order_by(of.number))]
    found = []
    for portion in portions(guards):  # with the station, SQLite would go through everybody's facts of that time
        mine = connection.execute(anywhere.where(of.guard.in_(portion))).all()
        found += [as_fact(row) for row in mine if row.station == station]
    for portion in portions(companies):
        rows = connection.execute(asked.where(of.guard.is_(None), of.company.in_(portion)))
        found += [as_fact(row) for row in rows]
    return found


# The ledger


def entry(session: Session, id_: str) -> PointsEntry | None:
    """The entry of this id."""
    return session.exec(select(PointsEntry).where(PointsEntry.id == id_)).first()


def reversal_of(session: Session, id_: str) -> PointsEntry | None:
    """The entry that took this one back."""
    return session.exec(select(PointsEntry).where(PointsEntry.reverses == id_)).first()


def reversals(session: Session, ids: Collection[str]) -> dict[str, PointsEntry]:
    """By the entry that was taken back, the one that did it."""
    found: dict[str, PointsEntry] = {}
    for portion in portions(ids):
        for row in session.exec(select(PointsEntry).where(col(PointsEntry.reverses).in_(portion))):
            found[row.reverses or ""] = row
    return found


def of_facts(session: Session, station: str, keys: Collection[str]) -> list[PointsEntry]:
    """Every entry that the rules made of these facts, reversals left out, in order."""
    found: list[PointsEntry] = []
    for portion in portions(keys):  # by the facts alone: asked for what reverses nothing, SQLite reads the whole ledger
        rows = session.exec(select(PointsEntry).where(col(PointsEntry.fact).in_(portion)))
        found += [row for row in rows if row.station == station and row.reverses is None]
    return sorted(found, key=lambda row: row.number or 0)


def booked(rows: Sequence[PointsEntry], taken: dict[str, PointsEntry]) -> list[Booked]:
    """Entries as `rules.settle` takes them; `taken`: their reversals."""
    return [
        Booked(
            id=row.id,
            about=(row.fact or "", row.rule, row.item),
            guard=row.guard,
            company=row.company,
            points_tenths=row.points_tenths,
            reversed_by=taken[row.id].rule if row.id in taken else None,
        )
        for row in rows
    ]


def page(
    session: Session,
    station: str,
    *,
    guards: Collection[str] = (),
    companies: Collection[str] = (),
    areas: Collection[str] | None = (),
    guard: str | None = None,
    rule: str | None = None,
    waiting: bool = False,
    below: int | None,
    limit: int,
) -> Sequence[PointsEntry]:
    """Entries newest first: those of `guards`, of `companies`, or in `areas` (None: everywhere).

    `waiting`: appeals that nobody has decided.
    """
    found = select(PointsEntry).where(PointsEntry.station == station)
    if areas is not None:
        found = found.where(
            or_(
                col(PointsEntry.guard).in_([*guards]),
                col(PointsEntry.company).in_([*companies]),
                col(PointsEntry.area).in_([*areas]),
            )
        )
    if guard is not None:
        found = found.where(PointsEntry.guard == guard)
    if rule is not None:
        found = found.where(PointsEntry.rule == rule)
    if waiting:
        found = found.where(
            col(PointsEntry.id).in_(select(PointsStep.about).where(PointsStep.action == StepAction.APPEALED.value)),
            col(PointsEntry.id).not_in(select(PointsStep.about).where(PointsStep.action == StepAction.REJECTED.value)),
            col(PointsEntry.id).not_in(select(PointsEntry.reverses).where(col(PointsEntry.reverses).is_not(None))),
        )
    if below is not None:
        found = found.where(col(PointsEntry.number) < below)
    return session.exec(found.order_by(col(PointsEntry.number).desc()).limit(limit)).all()


def entries(session: Session, station: str, from_ms: int, to_ms: int) -> list[PointsEntry]:
    """Every entry about something that happened in a span, reversals too, in order."""
    rows = select(PointsEntry).where(
        PointsEntry.station == station, PointsEntry.occurred_ms >= from_ms, PointsEntry.occurred_ms < to_ms
    )
    return [*session.exec(rows.order_by(col(PointsEntry.number)))]


def booked_since(session: Session, guard: str, since_ms: int) -> list[PointsEntry]:
    """A guard's entries that were booked since then."""
    rows = select(PointsEntry).where(PointsEntry.guard == guard, PointsEntry.booked_ms > since_ms)
    return [*session.exec(rows.order_by(col(PointsEntry.number)))]


def appealed(session: Session, guard: str) -> list[PointsEntry]:
    """A guard's entries that were ever appealed."""
    steps = select(PointsStep.about).where(PointsStep.action == StepAction.APPEALED.value)
    rows = select(PointsEntry).where(PointsEntry.guard == guard, col(PointsEntry.id).in_(steps))
    return [*session.exec(rows.order_by(col(PointsEntry.number)))]


def of_month(session: Session, station: str, month: str) -> list[PointsEntry]:
    """Every entry in the account of a month, in order."""
    rows = select(PointsEntry).where(PointsEntry.station == station, PointsEntry.month == month)
    return [*session.exec(rows.order_by(col(PointsEntry.number)))]


def how_many(session: Session, station: str) -> int:
    """How many entries the whole ledger has."""
    return session.exec(select(func.count()).select_from(PointsEntry).where(PointsEntry.station == station)).one()


def all_entries(session: Session, station: str) -> Iterator[PointsEntry]:
    """The whole ledger in order."""
    rows = select(PointsEntry).where(PointsEntry.station == station).order_by(col(PointsEntry.number))
    yield from session.exec(rows.execution_options(yield_per=1_000))


# Steps and flags


def steps(session: Session, about: Collection[str]) -> dict[str, list[PointsStep]]:
    """What was done about each of these, in order."""
    found: dict[str, list[PointsStep]] = {one: [] for one in about}
    for portion in portions(about):
        rows = select(PointsStep).where(col(PointsStep.about).in_(portion)).order_by(col(PointsStep.number))
        for row in session.exec(rows):
            found[row.about].append(row)
    return found


def flag(session: Session, id_: str) -> PointsFlag | None:
    """The flag of this id."""
    return session.exec(select(PointsFlag).where(PointsFlag.id == id_)).first()


def flags_of_facts(session: Session, station: str, keys: Collection[str]) -> list[PointsFlag]:
    """Every flag about these facts."""
    found: list[PointsFlag] = []
    for portion in portions(keys):
        rows = session.exec(select(PointsFlag).where(col(PointsFlag.fact).in_(portion)))
        found += [row for row in rows if row.station == station]
    return sorted(found, key=lambda row: row.number or 0)


def flags(
    session: Session, station: str, *, areas: Collection[str] | None, below: int | None, limit: int
) -> Sequence[PointsFlag]:
    """Flags newest first, in `areas` (None: everywhere)."""
    found = select(PointsFlag).where(PointsFlag.station == station)
    if areas is not None:
        found = found.where(col(PointsFlag.area).in_([*areas]))
    if below is not None:
        found = found.where(col(PointsFlag.number) < below)
    return session.exec(found.order_by(col(PointsFlag.number).desc()).limit(limit)).all()


# Balances and months


def add_entries(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Insert entries by their columns, in this order."""
    _ADD_ENTRIES.insert(session, [tuple(row[name] for name in _ADD_ENTRIES.names) for row in rows])


def rise(session: Session, station: str, risen: Mapping[tuple[str, str], Sequence[int]]) -> None:
    """Add entries to what an owner's entries of a month add up to: tenths, by (owner, month)."""
    there: dict[tuple[str, str], tuple[int, int]] = {}
    for some in portions(owner for owner, _ in risen):
        rows = session.connection().execute(_BALANCES, {"station": station, "owners": some}).all()
        there |= {(owner, month): (tenths, entries) for owner, month, tenths, entries in rows}
    changed: list[tuple[object, ...]] = []
    new: list[tuple[object, ...]] = []
    for (owner, month), tenths in risen.items():
        before, many = there.get((owner, month), (0, 0))
        row = (before + sum(tenths), many + len(tenths), station, owner, month)
        (changed if (owner, month) in there else new).append(row)
    _RAISE.update(session, changed)
    _ADD_BALANCES.insert(session, new)


def balances(session: Session, station: str, owners: Collection[str] | None = None) -> list[PointsBalance]:
    """By owner and month; of all owners, or of these."""
    asked = select(PointsBalance).where(PointsBalance.station == station).execution_options(populate_existing=True)
    asked = asked.order_by(col(PointsBalance.owner), col(PointsBalance.month))
    if owners is None:
        return [*session.exec(asked)]
    return [
        row for some in portions(owners) for row in session.exec(asked.where(col(PointsBalance.owner).in_(some)))
    ]  # fmt: skip


def closed(session: Session, station: str) -> list[PointsMonth]:
    """Closed months, the first one first."""
    return [
        *session.exec(select(PointsMonth).where(PointsMonth.station == station).order_by(col(PointsMonth.month)))
    ]  # fmt: skip


def first_open(session: Session, station: str) -> str | None:
    """The first month with an entry that is not closed."""
    done = select(PointsMonth.month).where(PointsMonth.station == station)
    rows = select(PointsEntry.month).where(PointsEntry.station == station, col(PointsEntry.month).not_in(done))
    return session.exec(rows.order_by(col(PointsEntry.month)).limit(1)).first()


def line(row: PointsEntry) -> tuple[object, ...]:
    """An entry as a month's digest is made of it."""
    return (
        row.number, row.id, row.rule, row.version, row.guard, row.company, row.points_tenths, row.occurred_ms,
        row.booked_ms, row.evidence, row.reason_zh, row.reason_en, row.made_by, row.reverses, row.fact, row.item,
        row.area, row.colour, row.night,
    )  # fmt: skip


# Rules


def rule_rows(session: Session, station: str) -> list[PointsRules]:
    """Every version, the first one first."""
    rows = select(PointsRules).where(PointsRules.station == station).order_by(col(PointsRules.version))
    return [*session.exec(rows)]


def rule_sets(session: Session, station: str) -> tuple[RuleSet, ...]:
    """Every version, read; the one of this release where there is none yet. Kept for the session."""
    kept: tuple[RuleSet, ...] | None = session.info.get("points_rules")
    if kept is None:
        rows = rule_rows(session, station)
        kept = tuple(read(row.text, from_ms=row.from_ms) for row in rows) or (default(),)
        session.info["points_rules"] = kept
    return kept


def tried(session: Session, station: str, digest: str) -> bool:
    """Whether these rules were simulated."""
    rows = select(PointsTrial.number).where(PointsTrial.station == station, PointsTrial.digest == digest)
    return session.exec(rows.limit(1)).first() is not None


# Comments


def comment(session: Session, id_: str) -> PointsComment | None:
    """The comment of this id."""
    return session.exec(select(PointsComment).where(PointsComment.id == id_)).first()


def comment_on(session: Session, station: str, area: str, period: str, from_ms: int) -> PointsComment | None:
    """The first comment on a time; its corrections follow it."""
    rows = select(PointsComment).where(
        PointsComment.station == station,
        PointsComment.area == area,
        PointsComment.period == period,
        PointsComment.from_ms == from_ms,
        col(PointsComment.corrects).is_(None),
    )
    return session.exec(rows).first()


def correction_of(session: Session, ids: Collection[str]) -> dict[str, PointsComment]:
    """By the comment that is corrected, the one that does it."""
    found: dict[str, PointsComment] = {}
    for portion in portions(ids):
        for row in session.exec(select(PointsComment).where(col(PointsComment.corrects).in_(portion))):
            found[row.corrects or ""] = row
    return found


def sentences(session: Session, ids: Collection[str]) -> dict[str, list[PointsSentence]]:
    """What each of these comments says, in order."""
    found: dict[str, list[PointsSentence]] = {one: [] for one in ids}
    for portion in portions(ids):
        rows = select(PointsSentence).where(col(PointsSentence.comment).in_(portion))
        for row in session.exec(rows.order_by(col(PointsSentence.comment), col(PointsSentence.nth))):
            found[row.comment].append(row)
    return found


def say(session: Session, comment: str, rows: Sequence[PointsSentence]) -> None:
    """Let a comment say this, and nothing else."""
    session.execute(delete(_SENTENCE).where(_SENTENCE.c.comment == comment))
    add(session, *rows)


def comments(
    session: Session, station: str, seen: Sequence[ColumnElement[bool]], *, below: int | None, limit: int
) -> Sequence[PointsComment]:
    """Comments of which one of `seen` holds, newest first."""
    found = select(PointsComment).where(PointsComment.station == station, or_(*seen))
    if below is not None:
        found = found.where(col(PointsComment.number) < below)
    return session.exec(found.order_by(col(PointsComment.number).desc()).limit(limit)).all()


def seen_by_company(companies: Collection[str]) -> ColumnElement[bool]:
    """Published comments with a part of one of these."""
    parts = select(PointsSentence.comment).where(col(PointsSentence.company).in_([*companies]))
    return col(PointsComment.published_ms).is_not(None) & col(PointsComment.id).in_(parts)


def seen_in(areas: Collection[str] | None, *, period: str | None = None) -> ColumnElement[bool]:
    """Comments on these areas (None: everywhere); of a `period`: only those that are published."""
    there = col(PointsComment.number).is_not(None) if areas is None else col(PointsComment.area).in_([*areas])
    if period is None:
        return there
    return there & (col(PointsComment.period) == period) & col(PointsComment.published_ms).is_not(None)


def published(session: Session, areas: Collection[str], period: str, from_ms: int, to_ms: int) -> int:
    """How many times of a period that begin in [from, to) were commented on in public in these areas."""
    rows = select(func.count(col(PointsComment.number))).where(
        col(PointsComment.area).in_([*areas]),
        PointsComment.period == period,
        PointsComment.from_ms >= from_ms,
        PointsComment.from_ms < to_ms,
        col(PointsComment.corrects).is_(None),
        col(PointsComment.published_ms).is_not(None),
    )
    return session.exec(rows).one()
