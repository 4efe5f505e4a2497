"""Reading and writing ladders and deadlines. Never commits."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Table, bindparam, func, select, update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_rows

from api.database import Bulk
from api.escalation import rules
from api.escalation.models import DeadlineRow, LadderRow
from api.escalation.rules import Cause, Deadline, Ladder, Outcome, Rung, Stage

DEADLINE: Final[Table] = SQLModel.metadata.tables["deadline"]

_ADD: Final = Bulk(
    "deadline",
    (
        "station", "alarm", "stage", "round", "level", "rung", "opened_ms", "due_ms", "remaining_s", "outcome",
        "cause", "late", "people",
    ),
)  # fmt: skip
_RUNNING: Final = (
    select(*(DEADLINE.c[name] for name in ("number", "alarm", "stage", "round", "level", "due_ms", "remaining_s")))
    .where(
        DEADLINE.c.station == bindparam("station"),
        DEADLINE.c.outcome == Outcome.RUNNING.value,
        DEADLINE.c.number > bindparam("above"),
    )
    .order_by(DEADLINE.c.number)
)
_SAVE: Final = (
    update(DEADLINE)
    .where(DEADLINE.c.number == bindparam("this"), DEADLINE.c.outcome == Outcome.RUNNING.value)
    .values(remaining_s=bindparam("left"))
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
_CLAIM: Final = (
    update(DEADLINE)
    .where(DEADLINE.c.number == bindparam("this"), DEADLINE.c.outcome == Outcome.RUNNING.value)
    .values(
        outcome=bindparam("this_outcome"), cause=bindparam("why"), late=bindparam("is_late"), done_ms=bindparam("at")
    )
)
_TOLD: Final = update(DEADLINE).where(DEADLINE.c.number == bindparam("this")).values(people=bindparam("many"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A running deadline as a clock needs it."""

    number: int
    alarm: str
    stage: str
    round: int
    level: int
    due_ms: int
    remaining_s: int

    @property
    def key(self) -> tuple[str, str, int]:
        """The stage that it is a level of."""
        return self.alarm, self.stage, self.round


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running level of a stage."""

    number: int
    level: int
    rung: Rung


def ladders(session: Session, station: str, stage: Stage) -> dict[tuple[str, str], Ladder]:
    """The ladders that somebody set for a stage, by kind and area. Read once a transaction."""
    known: dict[Stage, dict[tuple[str, str], Ladder]] = session.info.setdefault("ladders", {})
    if stage not in known:
        known[stage] = {
            (row.kind, row.area): rungs(row.rungs) for row in rows(session, station) if row.stage == stage.value
        }
    return known[stage]


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


def add(
    session: Session, deadlines: Iterable[Deadline], *, station: str, alarm: str, stage: Stage, round_: int,
    opened_ms: int,
) -> None:  # fmt: skip
    """Insert the levels of a stage, running."""
    _ADD.insert(
        session,
        [
            (
                station, alarm, stage.value, round_, one.level, _text(one.rung), opened_ms,
                one.due_ms, one.remaining_s, Outcome.RUNNING.value, Cause.TIMER.value, False, 0,
            )
            for one in deadlines
        ],
    )  # fmt: skip


def next_round(session: Session, alarm: str, stage: Stage) -> int:
    """How often this stage of an alarm has begun."""
    found = select(func.max(DEADLINE.c.round)).where(DEADLINE.c.alarm == alarm, DEADLINE.c.stage == stage.value)
    last = session.connection().execute(found).scalar_one()
    return 0 if last is None else last + 1


def settle(session: Session, alarm: str, *, stages: Collection[Stage], at_ms: int) -> None:
    """End what runs of these stages."""
    session.connection().execute(
        update(DEADLINE)
        .where(
            DEADLINE.c.alarm == alarm,
            DEADLINE.c.outcome == Outcome.RUNNING.value,
            DEADLINE.c.stage.in_([stage.value for stage in stages]),
        )
        .values(outcome=Outcome.SETTLED.value, done_ms=at_ms)
    )


def running_levels(session: Session, alarm: str, stage: str, round_: int) -> list[Running]:
    """What runs of a stage, lowest first."""
    asked = {"this_alarm": alarm, "this_stage": stage, "this_round": round_}
    return [
        Running(number=number, level=level, rung=_rung(text))
        for number, level, text in session.connection().execute(_LEVELS, asked)
    ]


def waiting(session: Session, station: str, *, above: int = 0) -> list[Waiting]:
    """What runs, with numbers above `above`."""
    found = session.connection().execute(_RUNNING, {"station": station, "above": above})
    return [Waiting(**row) for row in found.mappings()]


def save(session: Session, remaining_s: Mapping[int, int]) -> None:
    """Write down how many seconds remain, by number."""
    if remaining_s:
        session.connection().execute(_SAVE, [{"this": number, "left": left} for number, left in remaining_s.items()])


def claim(session: Session, number: int, outcome: Outcome, *, cause: Cause, late: bool, at_ms: int) -> bool:
    """Compare and set: True for the one who has the level now, whatever was read before."""
    values = {"this": number, "this_outcome": outcome.value, "why": cause.value, "is_late": late, "at": at_ms}
    done = session.connection().execute(_CLAIM, values)
    return done.rowcount == 1


def told(session: Session, number: int, *, people: int) -> None:
    """Note how many people a level told."""
    session.connection().execute(_TOLD, {"this": number, "many": people})


def find(session: Session, number: int) -> DeadlineRow | None:
    """The deadline of this number."""
    return session.get(DeadlineRow, number)


def of_alarm(session: Session, alarm: str) -> Sequence[DeadlineRow]:
    """Every deadline of an alarm, in the order in which they were made."""
    return session.exec(
        select_rows(DeadlineRow).where(DeadlineRow.alarm == alarm).order_by(col(DeadlineRow.number))
    ).all()
