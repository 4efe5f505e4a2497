"""Reading and writing ladders and deadlines. Never commits."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_rows

from api.database import Bulk
from api.escalation import rules
from api.escalation.models import DeadlineRow, LadderRow
from api.escalation.rules import Cause, Deadline, Ladder, Outcome, Rung, Stage

Key = tuple[str, str, int]
"""A stage of an alarm, and how often it had begun before."""
Row = tuple[object, ...]

DEADLINE: Final[Table] = SQLModel.metadata.tables["deadline"]

LADDER: Final[Table] = SQLModel.metadata.tables["ladder"]
_SET: Final = (
    select(LADDER.c.stage, LADDER.c.kind, LADDER.c.area, LADDER.c.rungs)
    .where(LADDER.c.station == bindparam("station"), LADDER.c.to_ms.is_(None))
    .order_by(LADDER.c.number)
)
_ADD: Final = Bulk(
    "deadline",
    (
        "station", "alarm", "stage", "round", "level", "rung", "opened_ms", "due_ms", "remaining_s", "outcome",
        "cause", "late", "people", "done_ms",
    ),
)  # fmt: skip
_RUNNING: Final = (
    select(DEADLINE.c.number, DEADLINE.c.due_ms, DEADLINE.c.remaining_s)
    .where(
        DEADLINE.c.station == bindparam("station"),
        DEADLINE.c.outcome == Outcome.RUNNING.value,
        DEADLINE.c.number > bindparam("above"),
    )
    .order_by(DEADLINE.c.number)
)
_IN_PIECES: Final = {"yield_per": 1_000}
COUNT: Final[Table] = SQLModel.metadata.tables["ladder_count"]
_COUNTED: Final = (
    select(COUNT.c.last, COUNT.c.from_ms, COUNT.c.to_ms)
    .where(COUNT.c.station == bindparam("station"))
    .order_by(COUNT.c.last)
)
_SOONER: Final = (
    update(DEADLINE)
    .where(DEADLINE.c.number == bindparam("this"), DEADLINE.c.outcome == Outcome.RUNNING.value)
    .values(remaining_s=bindparam("left"))
)
_NEWEST: Final = select(func.max(COUNT.c.last)).where(COUNT.c.station == bindparam("station"))
_COUNT_ON: Final = (
    update(COUNT)
    .where(COUNT.c.station == bindparam("this_station"), COUNT.c.last == bindparam("this"))
    .where(COUNT.c.to_ms < bindparam("now"))
    .values(to_ms=bindparam("now"))
)
_COUNT_NO_MORE: Final = delete(COUNT).where(COUNT.c.station == bindparam("station"), COUNT.c.last < bindparam("below"))
_KEY: Final = (DEADLINE.c.alarm, DEADLINE.c.stage, DEADLINE.c.round)
_KEYS: Final = select(DEADLINE.c.number, *_KEY).where(
    DEADLINE.c.number.in_(bindparam("numbers", expanding=True)), DEADLINE.c.outcome == Outcome.RUNNING.value
)
_LEVELS: Final = (
    select(DEADLINE.c.number, DEADLINE.c.level, DEADLINE.c.rung)
    .where(
        DEADLINE.c.alarm == bindparam("this_alarm"),
        DEADLINE.c.stage == bindparam("this_stage"),
        DEADLINE.c.round == bindparam("this_round"),
        DEADLINE.c.outcome == Outcome.RUNNING.value,
    )
    .order_by(DEADLINE.c.level)
)
_LAST_ROUND: Final = select(func.max(DEADLINE.c.round)).where(
    DEADLINE.c.alarm == bindparam("this_alarm"), DEADLINE.c.stage == bindparam("this_stage")
)
_SETTLE: Final = (
    update(DEADLINE)
    .where(
        DEADLINE.c.alarm == bindparam("this_alarm"),
        DEADLINE.c.outcome == Outcome.RUNNING.value,
        DEADLINE.c.stage.in_(bindparam("stages", expanding=True)),
    )
    .values(outcome=Outcome.SETTLED.value, done_ms=bindparam("at"))
)
_CLAIM: Final = (
    update(DEADLINE)
    .where(DEADLINE.c.number == bindparam("this"), DEADLINE.c.outcome == Outcome.RUNNING.value)
    .values(
        outcome=bindparam("this_outcome"), cause=bindparam("why"), late=bindparam("is_late"),
        people=bindparam("many"), done_ms=bindparam("at"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What becomes of a level. `people`: how many it tells."""

    outcome: Outcome
    cause: Cause
    late: bool
    people: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running level of a stage."""

    number: int
    level: int
    rung: Rung


def ladders(session: Session, station: str, stage: Stage) -> dict[tuple[str, str], Ladder]:
    """The ladders that somebody set for a stage, by kind and area. Read once a transaction."""
    known: dict[str, dict[tuple[str, str], Ladder]] | None = session.info.get("ladders")
    if known is None:
        known = session.info["ladders"] = {one.value: {} for one in Stage}
        for stage_, kind, area, text in session.connection().execute(_SET, {"station": station}):
            known[stage_][kind, area] = rungs(text)
    return known[stage.value]


def rows(session: Session, station: str) -> Sequence[LadderRow]:
    """The ladders that hold."""
    found = select_rows(LadderRow).where(LadderRow.station == station, col(LadderRow.to_ms).is_(None))
    return session.exec(found.order_by(col(LadderRow.stage), col(LadderRow.kind), col(LadderRow.area))).all()


def newest(session: Session, station: str, stage: Stage, *, kind: str, area: str) -> LadderRow | None:
    """The last ladder that was set for exactly this, whether it holds or was taken back."""
    found = select_rows(LadderRow).where(
        LadderRow.station == station, LadderRow.stage == stage.value, LadderRow.kind == kind, LadderRow.area == area
    )
    return session.exec(found.order_by(col(LadderRow.version).desc()).limit(1)).first()


def add_ladder(session: Session, row: LadderRow) -> None:
    """Insert one."""
    session.add(row)
    session.flush()
    session.info.pop("ladders", None)


def rungs(text: str) -> Ladder:
    """A ladder of a row."""
    return tuple(rules.rung(values) for values in json.loads(text))


@lru_cache(maxsize=1_024)
def _rung(text: str) -> Rung:
    return rules.rung(json.loads(text))


@lru_cache(maxsize=1_024)
def _text(rung: Rung) -> str:
    return json.dumps(rules.as_data(rung))


def text(ladder: Iterable[Rung]) -> str:
    """A ladder for a row."""
    return json.dumps([rules.as_data(rung) for rung in ladder])


def rows_of(
    deadlines: Iterable[Deadline], marks: Mapping[int, Mark], *, station: str, key: Key, opened_ms: int
) -> list[Row]:
    """The levels of a stage: running, but for those of which it is decided already what becomes of them."""
    alarm, stage, round_ = key
    running = Mark(outcome=Outcome.RUNNING, cause=Cause.TIMER, late=False)
    found: list[Row] = []
    for one in deadlines:
        mark = marks.get(one.level, running)
        found.append(
            (
                station, alarm, stage, round_, one.level, _text(one.rung), opened_ms, one.due_ms, one.remaining_s,
                mark.outcome.value, mark.cause.value, mark.late, mark.people, None if mark is running else opened_ms,
            )
        )  # fmt: skip
    return found


def add(session: Session, rows: Sequence[Row]) -> None:
    """Insert levels as `rows_of` makes them."""
    _ADD.insert(session, rows)


def next_round(session: Session, alarm: str, stage: Stage) -> int:
    """How often this stage of an alarm has begun."""
    asked = {"this_alarm": alarm, "this_stage": stage.value}
    last = session.connection().execute(_LAST_ROUND, asked).scalar_one()
    return 0 if last is None else last + 1


def settle(session: Session, alarm: str, *, stages: Collection[Stage], at_ms: int) -> None:
    """End what runs of these stages."""
    which = {"this_alarm": alarm, "stages": [stage.value for stage in stages], "at": at_ms}
    session.connection().execute(_SETTLE, which)


def running_levels(session: Session, key: Key) -> list[Running]:
    """What runs of a stage, lowest first."""
    alarm, stage, round_ = key
    asked = {"this_alarm": alarm, "this_stage": stage, "this_round": round_}
    return [
        Running(number=number, level=level, rung=_rung(text))
        for number, level, text in session.connection().execute(_LEVELS, asked)
    ]


def waiting(session: Session, station: str, *, above: int = 0) -> Iterator[tuple[int, int, int]]:
    """What runs, with numbers that rise above `above`: number, due_ms, remaining_s. After a storm there are many."""
    asked = {"station": station, "above": above}
    found = session.connection().execute(_RUNNING, asked, execution_options=_IN_PIECES)
    yield from ((number, due_ms, remaining_s) for number, due_ms, remaining_s in found)


def keys(session: Session, numbers: Collection[int]) -> dict[int, Key]:
    """The stages of those of these levels that run, by number."""
    found = session.connection().execute(_KEYS, {"numbers": [*numbers]})
    return {number: (alarm, stage, round_) for number, alarm, stage, round_ in found}


def counted(session: Session, station: str) -> list[tuple[int, int, int]]:
    """How long levels have been counted: last, from_ms, to_ms, rising (`CountRow`)."""
    found = session.connection().execute(_COUNTED, {"station": station})
    return [(last, from_ms, to_ms) for last, from_ms, to_ms in found]


def count_on(session: Session, station: str, found: Mapping[int, int], *, lowest: int, to_ms: int) -> None:
    """Write down since when levels are counted (from_ms by last number), and that the count has come to `to_ms`.

    What is of levels below `lowest` is taken away. Whoever else counts for the station has written the same.
    """
    connection = session.connection()
    newest = connection.execute(_NEWEST, {"station": station}).scalar_one() or 0
    fresh = [
        {"station": station, "last": last, "from_ms": from_ms, "to_ms": to_ms}
        for last, from_ms in found.items()
        if last > newest
    ]
    if fresh:
        connection.execute(COUNT.insert(), fresh)
    elif newest:
        connection.execute(_COUNT_ON, {"this_station": station, "this": newest, "now": to_ms})
    connection.execute(_COUNT_NO_MORE, {"station": station, "below": lowest})


def sooner(session: Session, remaining_s: Mapping[int, int]) -> None:
    """Write down, by number, what remained of levels when they were found."""
    if remaining_s:
        session.connection().execute(_SOONER, [{"this": number, "left": left} for number, left in remaining_s.items()])


def claim(session: Session, number: int, mark: Mark, *, at_ms: int) -> bool:
    """Compare and set: True for the one who has the level now, whatever was read before."""
    values = {
        "this": number, "this_outcome": mark.outcome.value, "why": mark.cause.value, "is_late": mark.late,
        "many": mark.people, "at": at_ms,
    }  # fmt: skip
    done = session.connection().execute(_CLAIM, values)
    return done.rowcount == 1


def level(session: Session, key: Key, level: int) -> DeadlineRow | None:
    """One level of a stage."""
    alarm, stage, round_ = key
    found = select_rows(DeadlineRow).where(
        DeadlineRow.alarm == alarm, DeadlineRow.stage == stage, DeadlineRow.round == round_, DeadlineRow.level == level
    )
    return session.exec(found).first()


def of_alarm(session: Session, alarm: str) -> Sequence[DeadlineRow]:
    """Every deadline of an alarm, in the order in which they were made."""
    return session.exec(
        select_rows(DeadlineRow).where(DeadlineRow.alarm == alarm).order_by(col(DeadlineRow.number))
    ).all()
