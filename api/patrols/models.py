"""Tables of what is to be patrolled, of rounds as they unfold, and of what became of each visit."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.patrols.civil import Holidays
from api.patrols.rules import Order, Outcome


def _in(column: str, words: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


def _ended() -> CheckConstraint:
    return CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span")


class Checkpoint(SQLModel, table=True):
    """A patrol point (巡查点), with the reader that hangs there, if one does. Ended, never changed.

    `dwell_min`: the least stay that a route asks for where it says nothing else.
    """

    __table_args__ = (
        _ended(),
        CheckConstraint("dwell_min >= 0", name="dwell"),
        CheckConstraint("(gateway IS NULL) = (reader IS NULL)", name="reader"),
        Index("ix_checkpoint_area", "station", "area", "to_ms"),
        Index("ix_checkpoint_reader", "gateway", "reader", "to_ms"),
    )

    id: str = Field(primary_key=True)
    station: str
    area: str
    place: str | None = None
    name: str
    gateway: str | None = None
    reader: str | None = None
    dwell_min: int = 0
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str


class PatrolLeg(SQLModel, table=True):
    """The least seconds of walking from a point to another, one way."""

    __tablename__ = "patrol_leg"
    __table_args__ = (CheckConstraint("least_s > 0 AND from_point != to_point", name="least"),)

    from_point: str = Field(primary_key=True, foreign_key="checkpoint.id")
    to_point: str = Field(primary_key=True, foreign_key="checkpoint.id")
    least_s: int
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class PatrolRoute(SQLModel, table=True):
    """A route (巡查线路). Ended, never changed."""

    __tablename__ = "patrol_route"
    __table_args__ = (
        _ended(),
        CheckConstraint(_in('"order"', Order), name="order"),
        Index("ix_patrol_route_area", "station", "area", "to_ms"),
    )

    id: str = Field(primary_key=True)
    station: str
    area: str
    name: str
    order: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str


class PatrolRouteVisit(SQLModel, table=True):
    """The `nth` point of a route, minutes as in `civil.Visit`."""

    __tablename__ = "patrol_route_visit"
    __table_args__ = (
        CheckConstraint("nth > 0 AND buffer_min >= 0 AND extended_min >= 0 AND dwell_min >= 0", name="minutes"),
        CheckConstraint("after_min IS NULL OR after_min >= 0", name="after"),
    )

    route: str = Field(primary_key=True, foreign_key="patrol_route.id")
    nth: int = Field(primary_key=True)
    point: str = Field(foreign_key="checkpoint.id", index=True)
    after_min: int | None = None
    buffer_min: int
    extended_min: int
    optional: bool
    dwell_min: int


class PatrolShift(SQLModel, table=True):
    """A shift (班次) of an area: from a time of day, for some minutes. Ended, never changed."""

    __tablename__ = "patrol_shift"
    __table_args__ = (
        _ended(),
        CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts"),
        CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        Index("ix_patrol_shift_area", "station", "area", "to_ms"),
    )

    id: str = Field(primary_key=True)
    station: str
    area: str
    name: str
    starts_min: int
    lasts_min: int
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str


class PatrolPlan(SQLModel, table=True):
    """A route that is walked in a shift, on which days. Ended, never changed. `company`: whose guards walk it.

    `begins_min`: minutes after the beginning of the shift, words with a space between them. `weekdays`: digits,
    Monday 1. `month_days`: bit 0 is the first. Days are written as ISO dates.
    """

    __tablename__ = "patrol_plan"
    __table_args__ = (
        _ended(),
        ForeignKeyConstraint(["station", "company"], ["company.station", "company.id"]),
        CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        CheckConstraint(_in("holidays", Holidays), name="holidays"),
        CheckConstraint("month_days BETWEEN 1 AND 2147483647", name="month_days"),
        CheckConstraint("length(weekdays) BETWEEN 1 AND 7", name="weekdays"),
        Index("ix_patrol_plan_route", "route", "to_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    route: str = Field(foreign_key="patrol_route.id")
    shift: str = Field(foreign_key="patrol_shift.id")
    company: str | None = None
    begins_min: str
    lasts_min: int
    weekdays: str
    holidays: str
    month_days: int
    from_day: str | None = None
    to_day: str | None = None
    temporary: bool
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    made_by: str


class PatrolDay(SQLModel, table=True):
    """A day that counts as a holiday (0) or as another weekday (1-7, 调休)."""

    __tablename__ = "patrol_day"
    __table_args__ = (CheckConstraint("counts_as BETWEEN 0 AND 7", name="counts_as"),)

    day: str = Field(primary_key=True)
    counts_as: int
    name: str
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class PatrolRound(SQLModel, table=True):
    """A round (一轮), as it was planned when it unfolded. `day`: its duty day. `legs`: JSON of [from, to, least ms].

    `again_ms`: since when late data wait for it to be judged again. `evaluations` counts how often it was judged.
    """

    __tablename__ = "patrol_round"
    __table_args__ = (
        UniqueConstraint("id", name="uq_patrol_round_id"),
        CheckConstraint(_in('"order"', Order), name="order"),
        CheckConstraint("ends_ms > starts_ms AND closes_ms >= opens_ms", name="span"),
        CheckConstraint("(evaluated_ms IS NULL) = (evaluations = 0)", name="evaluated"),
        Index("ix_patrol_round_day", "day", "plan"),
        Index("ix_patrol_round_due", "evaluated_ms", "closes_ms"),
        Index("ix_patrol_round_again", "again_ms"),
        Index("ix_patrol_round_area", "station", "area", "starts_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str
    station: str
    plan: int = Field(foreign_key="patrol_plan.number")
    route: str
    area: str
    company: str | None = None
    day: str
    order: str
    starts_ms: int = Field(sa_type=BigInteger)
    ends_ms: int = Field(sa_type=BigInteger)
    opens_ms: int = Field(sa_type=BigInteger)
    closes_ms: int = Field(sa_type=BigInteger)
    legs: str = Field(sa_type=Text)
    evaluated_ms: int | None = Field(sa_type=BigInteger, default=None)
    evaluations: int = 0
    again_ms: int | None = Field(sa_type=BigInteger, default=None)


class PatrolRoundGuard(SQLModel, table=True):
    """A guard of a round: listed for it, or checked in on it."""

    __tablename__ = "patrol_round_guard"

    round: int = Field(primary_key=True, foreign_key="patrol_round.number")
    guard: str = Field(primary_key=True, index=True)


class PatrolVisit(SQLModel, table=True):
    """An expected visit: the deadline row. It counts from `opens_ms` to `closes_ms`, and is on time until `due_ms`."""

    __tablename__ = "patrol_visit"
    __table_args__ = (
        UniqueConstraint("round", "nth", name="uq_patrol_visit_nth"),
        CheckConstraint(_in("outcome", Outcome), name="outcome"),
        CheckConstraint("opens_ms <= due_ms AND due_ms <= closes_ms", name="bands"),
        Index("ix_patrol_visit_due", "looked_ms", "closes_ms"),
        Index("ix_patrol_visit_point", "point", "closes_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    round: int = Field(foreign_key="patrol_round.number", index=True)
    nth: int
    point: str
    at_ms: int | None = Field(sa_type=BigInteger, default=None)
    buffer_ms: int = Field(sa_type=BigInteger)
    extended_ms: int = Field(sa_type=BigInteger)
    optional: bool
    dwell_ms: int = Field(sa_type=BigInteger)
    opens_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger)
    closes_ms: int = Field(sa_type=BigInteger)
    looked_ms: int | None = Field(sa_type=BigInteger, default=None)
    """When somebody looked, once it had closed, whether anything was read there at all."""
    outcome: str = Outcome.PENDING.value
    check_in: str | None = None
    detail: str = Field(sa_type=Text, default="{}")


class PatrolException(SQLModel, table=True):
    """A visit that was not made as planned. `due_ms`: since when that is so; `detected_ms`: since when it is known."""

    __tablename__ = "patrol_exception"
    __table_args__ = (
        CheckConstraint(_in("outcome", Outcome), name="outcome"),
        CheckConstraint("cleared_ms IS NULL OR cleared_ms >= detected_ms", name="cleared"),
        Index("ix_patrol_exception_visit", "visit", "cleared_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    visit: int = Field(foreign_key="patrol_visit.number")
    round: int = Field(foreign_key="patrol_round.number", index=True)
    outcome: str
    due_ms: int = Field(sa_type=BigInteger)
    detected_ms: int = Field(sa_type=BigInteger)
    cleared_ms: int | None = Field(sa_type=BigInteger, default=None)


class PatrolRescore(SQLModel, table=True):
    """What late data changed about a visit that had been judged: before, and after."""

    __tablename__ = "patrol_rescore"
    __table_args__ = (
        CheckConstraint(_in("before", Outcome), name="before"),
        CheckConstraint(_in("after", Outcome), name="after"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    round: int = Field(foreign_key="patrol_round.number", index=True)
    visit: int = Field(foreign_key="patrol_visit.number")
    at_ms: int = Field(sa_type=BigInteger)
    before: str
    before_check_in: str | None = None
    after: str
    after_check_in: str | None = None


class PatrolHeard(SQLModel, table=True):
    """Up to which number rows of a kind were heard of that may change what was judged: leave, faults and the like."""

    __tablename__ = "patrol_heard"
    __table_args__ = (CheckConstraint("number >= 0", name="number"),)

    kind: str = Field(primary_key=True)
    number: int = Field(sa_type=BigInteger)
