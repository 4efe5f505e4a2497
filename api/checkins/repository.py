"""Reading and writing check-ins, tags and unknown tags. Never commits.

Indexes of check-ins begin with the hour (`models.CheckInRow` says why), so each question names the hours that it asks
for: those of its window, or where that is long or open, those in which there is any check-in.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    RowMapping,
    TextClause,
    and_,
    bindparam,
    func,
    literal_column,
    text,
    update,
)
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from api.checkins.models import (
    HOUR_MS,
    CheckInRow,
    CheckpointCode,
    CheckpointTag,
    GuardPosition,
    UnknownTag,
    WandImport,
    WandRow,
)
from api.checkins.rules import CheckIn, Ended, Holding, Source
from api.database import Bulk, table_of
from broker.tags import Tag, faces

AT_ONCE: Final = 500
"""Values in one IN."""
HOURS_AT_ONCE: Final = 32 * 24
"""Hours in one question: a month, and a repeat before it."""
HOURS_LATELY: Final = 48
NEVER: Final = 1 << 62
"""An hour after all others."""

_CHECK_IN: Final = table_of(CheckInRow)
_HOUR: Final = literal_column(f"(check_in.at_ms / {HOUR_MS})", BigInteger)
"""As the indexes have it, to the letter."""
_NEAR: Final = sql_select(_CHECK_IN).where(
    _HOUR.in_([bindparam("first_hour"), bindparam("last_hour")]),
    _CHECK_IN.c.point == bindparam("of"),
    _CHECK_IN.c.at_ms.between(bindparam("begins"), bindparam("ends")),
)
_OF_RULES: Final = tuple(
    _CHECK_IN.c[name]
    for name in ("id", "guard", "tag", "point", "source", "at_ms", "device_ms", "server_ms", "skew_ms", "flags")
)
_SOURCES: Final = {source.value: source for source in Source}
_TAG: Final = table_of(CheckpointTag)
_TAGS_BY: Final = {
    column: sql_select(_TAG.c.tag, _TAG.c.point, _TAG.c.from_ms, _TAG.c.to_ms, _TAG.c.ended)
    .where(_TAG.c[column].in_(bindparam("values", expanding=True)))
    .order_by(_TAG.c.number)
    for column in ("tag", "low24")
}
_ADD: Final = Bulk(
    "check_in",
    ["id", "source", "gateway", "reader", "tag", "guard", "point", "at_ms", "device_ms", "server_ms", "skew_ms",
     "flags"],
)  # fmt: skip


def portions(values: Collection[str]) -> Iterator[list[str]]:
    """`values`, in lists that a database takes in one question."""
    whole = sorted({*values})
    for first in range(0, len(whole), AT_ONCE):
        yield whole[first : first + AT_ONCE]


def add(session: Session, rows: Sequence[tuple[CheckIn, str | None, str | None]]) -> None:
    """Insert check-ins, each with its gateway and reader."""
    _ADD.insert(
        session,
        [
            (
                one.id,
                one.source.value,
                gateway,
                reader,
                one.tag,
                one.guard,
                one.point,
                one.at_ms,
                one.device_ms,
                one.server_ms,
                one.skew_ms,
                " ".join(sorted(one.flags)),
            )
            for one, gateway, reader in rows
        ],
    )


def _stored(way: str, sort: str) -> TextClause:
    """The hours after or before an hour in which there is any check-in: one look into an index for each."""
    hour = f"at_ms / {HOUR_MS}"
    next_ = f"(SELECT {hour} FROM check_in WHERE {hour} {way} {{than}} ORDER BY {hour} {sort} LIMIT 1)"  # noqa: S608 - ours
    return text(
        f"WITH RECURSIVE stored(hour) AS (SELECT {next_.format(than=':than')} "  # noqa: S608 - ours
        f"UNION ALL SELECT {next_.format(than='stored.hour')} FROM stored WHERE stored.hour IS NOT NULL) "
        "SELECT hour FROM stored WHERE hour IS NOT NULL LIMIT :many"
    )


_AFTER: Final = _stored(">", "ASC")
_BEFORE: Final = _stored("<", "DESC")


def _hours_since(session: Session, from_ms: int, to_ms: int | None = None) -> Iterator[list[int]]:
    """The hours of [from, to) in which there may be check-ins, in lists that a database takes in one question."""
    first = max(0, from_ms) // HOUR_MS
    last = None if to_ms is None else (max(1, to_ms) - 1) // HOUR_MS
    if last is not None and last - first < HOURS_AT_ONCE:
        yield [*range(first, last + 1)]
        return
    than, more = first - 1, True
    while more:
        stored = [*session.connection().execute(_AFTER, {"than": than, "many": HOURS_AT_ONCE}).scalars()]
        if hours := [hour for hour in stored if last is None or hour <= last]:
            yield hours
        more = len(hours) == HOURS_AT_ONCE
        than = stored[-1] if stored else than


def _hours_back(session: Session, from_ms: int) -> Iterator[list[int]]:
    """The hours since then in which there are check-ins, the newest first."""
    first, than, many, more = max(0, from_ms) // HOUR_MS, NEVER, HOURS_LATELY, True
    while more:
        stored = [*session.connection().execute(_BEFORE, {"than": than, "many": many}).scalars()]
        if hours := [hour for hour in stored if hour >= first]:
            yield hours
        more = len(hours) == many
        than, many = (stored[-1] if stored else than), HOURS_AT_ONCE


def held(session: Session, ids: Collection[str]) -> set[str]:
    """Those of these ids that are there."""
    found: set[str] = set()
    for some in portions(ids):
        found.update(session.connection().scalars(sql_select(_CHECK_IN.c.id).where(_CHECK_IN.c.id.in_(some))))
    return found


def check_in(row: RowMapping) -> CheckIn:
    """A row as the rules have it."""
    return CheckIn(
        id=row["id"],
        guard=row["guard"],
        tag=row["tag"],
        point=row["point"],
        source=Source(row["source"]),
        at_ms=row["at_ms"],
        device_ms=row["device_ms"],
        server_ms=row["server_ms"],
        skew_ms=row["skew_ms"],
        flags=_flags(row["flags"]),
    )


@lru_cache(maxsize=1_024)
def _flags(words: str) -> frozenset[str]:
    return frozenset(words.split())


def of_guard(session: Session, guard: str, from_ms: int, to_ms: int) -> list[CheckIn]:
    """A guard's check-ins in [from, to), by time."""
    return [*_found(session, _CHECK_IN.c.guard == guard, from_ms, to_ms)]


def of_guards(session: Session, guards: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """Check-ins of all these guards in [from, to), by time."""
    found = [one for some in portions(guards) for one in _found(session, _CHECK_IN.c.guard.in_(some), from_ms, to_ms)]
    return sorted(found, key=lambda one: (one.at_ms, one.id))


def at_points(session: Session, points: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """Check-ins at these checkpoints in [from, to), by time."""
    found = [one for some in portions(points) for one in _found(session, _CHECK_IN.c.point.in_(some), from_ms, to_ms)]
    return sorted(found, key=lambda one: (one.at_ms, one.id))


def of_tags(session: Session, tags: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """Check-ins by these tags, as they were read, in [from, to), by time."""
    found = [one for some in portions(tags) for one in _found(session, _CHECK_IN.c.tag.in_(some), from_ms, to_ms)]
    return sorted(found, key=lambda one: (one.at_ms, one.id))


def near(session: Session, where: Collection[tuple[str, int]], within_ms: int) -> list[CheckIn]:
    """Check-ins at a checkpoint within so much time of a moment; `where`: (checkpoint, moment) of each. By time.

    `within_ms`: half an hour at most, so that two hours hold it.
    """
    assert within_ms <= HOUR_MS // 2
    found: dict[str, CheckIn] = {}
    for point, at_ms in sorted({*where}):
        begins, ends = at_ms - within_ms, at_ms + within_ms
        hours = {"first_hour": max(0, begins) // HOUR_MS, "last_hour": max(0, ends) // HOUR_MS}
        about = {"of": point, "begins": begins, "ends": ends, **hours}
        found |= {row["id"]: check_in(row) for row in session.connection().execute(_NEAR, about).mappings()}
    return sorted(found.values(), key=lambda one: (one.at_ms, one.id))


def _found(session: Session, which: ColumnElement[bool], from_ms: int, to_ms: int) -> Iterator[CheckIn]:
    for hours in _hours_since(session, from_ms, to_ms):
        inside = _HOUR.in_(hours), _CHECK_IN.c.at_ms >= from_ms, _CHECK_IN.c.at_ms < to_ms
        sql = sql_select(*_OF_RULES).where(which, *inside).order_by(_CHECK_IN.c.at_ms, _CHECK_IN.c.id)
        for row in session.connection().execute(sql).all():
            id_, guard, tag, point, source, at_ms, device_ms, server_ms, skew_ms, flags = row
            yield CheckIn(
                id=id_, guard=guard, tag=tag, point=point, source=_SOURCES[source], at_ms=at_ms, device_ms=device_ms,
                server_ms=server_ms, skew_ms=skew_ms, flags=_flags(flags),
            )  # fmt: skip


def _since(session: Session, which: ColumnElement[bool], from_ms: int, limit: int) -> list[CheckIn]:
    """The oldest since then, `limit` at most, by time."""
    found: list[CheckIn] = []
    for hours in _hours_since(session, from_ms):
        sql = sql_select(_CHECK_IN).where(which, _HOUR.in_(hours), _CHECK_IN.c.at_ms >= from_ms)
        rows = session.connection().execute(sql.order_by(_CHECK_IN.c.at_ms).limit(limit - len(found)))
        found += [check_in(row) for row in rows.mappings()]
        if len(found) == limit:
            break
    return found


def page(session: Session, ids: Collection[str], *, below: int | None, limit: int) -> Sequence[CheckInRow]:
    """Check-ins, newest row first: those of `ids`, if there are any."""
    found = select(CheckInRow)
    if ids:
        found = found.where(col(CheckInRow.id).in_([*ids]))
    if below is not None:
        found = found.where(col(CheckInRow.number) < below)
    return session.exec(found.order_by(col(CheckInRow.number).desc()).limit(limit)).all()


def by_tags(session: Session, tags: Collection[str], *, from_ms: int, limit: int) -> list[CheckIn]:
    """Check-ins by these tags, as they were read, since then."""
    found: list[CheckIn] = []
    for some in portions(tags):
        found += _since(session, _CHECK_IN.c.tag.in_(some), from_ms, limit - len(found))
    return found


def by_ids(session: Session, ids: Collection[str]) -> list[CheckIn]:
    """The check-ins of these ids."""
    return [
        check_in(row)
        for some in portions(ids)
        for row in session.connection().execute(sql_select(_CHECK_IN).where(_CHECK_IN.c.id.in_(some))).mappings()
    ]


def change(session: Session, one: CheckIn) -> None:
    """Write down what was found out about a check-in: who, where, and the flags."""
    session.connection().execute(
        update(_CHECK_IN)
        .where(_CHECK_IN.c.id == one.id)
        .values(guard=one.guard, point=one.point, flags=" ".join(sorted(one.flags)))
    )


def holdings(session: Session, tags: Iterable[Tag]) -> Iterator[Holding]:
    """Every checkpoint's tag that one of these may be, whole or by its last bits, whenever it hung there."""
    wanted = {*tags}
    long = {tag.value for tag in wanted if faces(tag).low24 is None}
    cuts = {low24 for tag in wanted if (low24 := faces(tag).low24) is not None}
    for column, values in (("tag", long), ("low24", cuts)):
        for some in portions(values):
            rows = session.connection().execute(_TAGS_BY[column], {"values": some}).all()
            for tag, point, from_ms, to_ms, ended in rows:
                yield Holding(Tag(tag), None, point, from_ms, to_ms, lost=ended == Ended.LOST.value)


def add_tag(session: Session, row: CheckpointTag) -> CheckpointTag:
    """Insert one; the database numbers it."""
    session.add(row)
    session.flush()
    return row


def tag(session: Session, number: int) -> CheckpointTag | None:
    """The one of this number."""
    return session.get(CheckpointTag, number)


def tags(session: Session, *, point: str | None, still: bool, below: int | None, limit: int) -> Sequence[CheckpointTag]:
    """Tags of checkpoints, newest first."""
    found = select(CheckpointTag)
    if point is not None:
        found = found.where(CheckpointTag.point == point)
    if still:
        found = found.where(col(CheckpointTag.to_ms).is_(None))
    if below is not None:
        found = found.where(col(CheckpointTag.number) < below)
    return session.exec(found.order_by(col(CheckpointTag.number).desc()).limit(limit)).all()


def code_version(session: Session, point: str, at_ms: int) -> int:
    """The version of a checkpoint's QR code that held at a moment."""
    found = select(func.max(CheckpointCode.version)).where(
        CheckpointCode.point == point, col(CheckpointCode.from_ms) <= at_ms
    )
    return session.exec(found).one() or 1


def last_read(session: Session, point: str, gateway: str, reader: str, *, from_ms: int) -> int | None:
    """When this reader last read anything at this checkpoint since then."""
    which = _CHECK_IN.c.point == point, _CHECK_IN.c.gateway == gateway, _CHECK_IN.c.reader == reader
    for hours in _hours_back(session, from_ms):
        found = session.connection().scalar(
            sql_select(func.max(_CHECK_IN.c.at_ms)).where(_HOUR.in_(hours), *which, _CHECK_IN.c.at_ms >= from_ms)
        )
        if found is not None:
            return int(found)
    return None


def tags_now(session: Session) -> list[str]:
    """Every tag that hangs at a checkpoint now, in the order in which they were enrolled."""
    found = select(CheckpointTag.tag).where(col(CheckpointTag.to_ms).is_(None))
    return [*session.exec(found.order_by(col(CheckpointTag.number)))]


def tags_mark(session: Session) -> tuple[int, int | None]:
    """How many tags hang at checkpoints now, and the last of them: another one has a higher number."""
    asked = select(func.count(), func.max(CheckpointTag.number)).where(col(CheckpointTag.to_ms).is_(None))
    many, last = session.exec(asked).one()
    return many, last


def unknown(session: Session, number: int) -> UnknownTag | None:
    """The unknown tag of this number."""
    return session.get(UnknownTag, number)


def unknown_by(session: Session, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], UnknownTag]:
    """The unknown tags of these (tag, why)."""
    found: dict[tuple[str, str], UnknownTag] = {}
    for some in portions({one for one, _ in keys}):
        for row in session.exec(select(UnknownTag).where(col(UnknownTag.tag).in_(some))):
            found[row.tag, row.why] = row
    return found


def unknown_like(session: Session, tag: Tag) -> Sequence[UnknownTag]:
    """Unknown tags that may be this one."""
    low24 = faces(tag).low24
    which = UnknownTag.tag == tag.value if low24 is None else col(UnknownTag.tag).endswith(low24)
    return session.exec(select(UnknownTag).where(which)).all()


def how_many_unknown(session: Session) -> int:
    """How many unknown tags there are."""
    return session.exec(select(func.count()).select_from(UnknownTag)).one()


def add_unknown(session: Session, rows: Iterable[UnknownTag]) -> None:
    """Insert them."""
    session.add_all(rows)
    session.flush()


def unknown_page(session: Session, *, still: bool, below: int | None, limit: int) -> Sequence[UnknownTag]:
    """Unknown tags, newest first; `still`: that nobody has settled."""
    found = select(UnknownTag)
    if still:
        found = found.where(col(UnknownTag.settled).is_(None))
    if below is not None:
        found = found.where(col(UnknownTag.number) < below)
    return session.exec(found.order_by(col(UnknownTag.number).desc()).limit(limit)).all()


def nowhere(session: Session, gateway: str, reader: str, *, from_ms: int, limit: int) -> list[CheckIn]:
    """Check-ins at this reader since then of which nobody knows at which checkpoint, oldest first."""
    which = and_(_CHECK_IN.c.point.is_(None), _CHECK_IN.c.gateway == gateway, _CHECK_IN.c.reader == reader)
    return _since(session, which, from_ms, limit)


def has_position(session: Session, guard: str, at_ms: int) -> bool:
    """Whether this guard's position at this moment is there."""
    found = select(GuardPosition.number).where(GuardPosition.guard == guard, GuardPosition.at_ms == at_ms)
    return session.exec(found).first() is not None


def positions(session: Session, guard: str, from_ms: int, to_ms: int) -> Sequence[GuardPosition]:
    """A guard's positions in [from, to), by time."""
    found = select(GuardPosition).where(
        GuardPosition.guard == guard, GuardPosition.at_ms >= from_ms, GuardPosition.at_ms < to_ms
    )
    return session.exec(found.order_by(col(GuardPosition.at_ms))).all()


def add_bad(session: Session, imported: int, rows: Iterable[tuple[int, str, str]]) -> None:
    """Keep rows (row, why, cells) of an import for a person."""
    session.add_all(WandRow(imported=imported, row=row, why=why, cells=cells) for row, why, cells in rows)
    session.flush()


def bad_rows(session: Session, imported: int) -> Sequence[WandRow]:
    """Rows of an import that somebody should look at."""
    return session.exec(select(WandRow).where(WandRow.imported == imported).order_by(col(WandRow.row))).all()


def imports(session: Session, *, below: int | None, limit: int) -> Sequence[WandImport]:
    """Imports, newest first."""
    found = select(WandImport)
    if below is not None:
        found = found.where(col(WandImport.number) < below)
    return session.exec(found.order_by(col(WandImport.number).desc()).limit(limit)).all()


def last_serial(session: Session, wand: str, *, below: int) -> int | None:
    """The highest serial number under `below` that was read of a wand."""
    found = select(func.max(WandImport.last_serial)).where(WandImport.wand == wand, col(WandImport.last_serial) < below)
    return session.exec(found).one()
