"""Tables of points. The ledger (`points_entry`) is only added to: no row of it is ever changed or taken out."""

from typing import Any, Final

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import BigInteger, Field, SQLModel

from api.points.states import StepAction

FIRST: Final[Any] = text("corrects IS NULL")


class PointsFact(SQLModel, table=True):
    """A revision of a fact. `happenings`: JSON. `place_in_line`: the number of the first revision; caps go by it.

    `newest` is the only column that ever changes: a newer revision takes it away.
    """

    __tablename__ = "points_fact"
    __table_args__ = (
        UniqueConstraint("station", "key", "revision", name="uq_points_fact_revision"),
        Index("ix_points_fact_guard", "guard", "occurred_ms"),
        Index("ix_points_fact_time", "station", "occurred_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    key: str
    revision: int
    place_in_line: int
    guard: str | None = None
    company: str | None = None
    area: str
    colour: str | None = None
    night: bool
    duty: bool
    active: bool
    occurred_ms: int = Field(sa_type=BigInteger)
    heard_ms: int = Field(sa_type=BigInteger)
    happenings: str = Field(sa_type=Text)
    newest: bool = True


class PointsEntry(SQLModel, table=True):
    """One line of the ledger. `month`: the civil month whose account it is in. `evidence`: a JSON list of ids."""

    __tablename__ = "points_entry"
    __table_args__ = (
        CheckConstraint("guard IS NOT NULL OR company IS NOT NULL", name="whose"),
        UniqueConstraint("id", name="uq_points_entry_id"),
        UniqueConstraint("reverses", name="uq_points_entry_reverses"),
        Index("ix_points_entry_guard", "guard", "occurred_ms"),
        Index("ix_points_entry_company", "company", "number"),
        Index("ix_points_entry_month", "station", "month", "number"),
        Index("ix_points_entry_time", "station", "occurred_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str
    station: str
    rule: str
    version: int
    guard: str | None = None
    company: str | None = None
    points_tenths: int
    occurred_ms: int = Field(sa_type=BigInteger)
    booked_ms: int = Field(sa_type=BigInteger)
    month: str
    evidence: str = Field(sa_type=Text)
    reason_zh: str = Field(sa_type=Text)
    reason_en: str = Field(sa_type=Text)
    made_by: str
    reverses: str | None = Field(foreign_key="points_entry.id", default=None)
    fact: str | None = Field(index=True, default=None)
    item: str = ""
    area: str | None = None
    colour: str | None = None
    night: bool = False


class PointsFlag(SQLModel, table=True):
    """Something suspected: worth `points_tenths` if an officer confirms it, and nothing until then."""

    __tablename__ = "points_flag"
    __table_args__ = (
        UniqueConstraint("id", name="uq_points_flag_id"),
        Index("ix_points_flag_station", "station", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str
    station: str
    rule: str
    version: int
    guard: str | None = None
    company: str | None = None
    points_tenths: int
    occurred_ms: int = Field(sa_type=BigInteger)
    raised_ms: int = Field(sa_type=BigInteger)
    evidence: str = Field(sa_type=Text)
    reason_zh: str = Field(sa_type=Text)
    reason_en: str = Field(sa_type=Text)
    fact: str = Field(index=True)
    item: str
    area: str
    colour: str | None = None
    night: bool


class PointsStep(SQLModel, table=True):
    """What somebody did about an entry or a flag (`about`: its id). Each thing happens once."""

    __tablename__ = "points_step"
    __table_args__ = (
        CheckConstraint(f"action IN ({', '.join(repr(one.value) for one in StepAction)})", name="action"),
        UniqueConstraint("about", "action", name="uq_points_step_once"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    about: str
    action: str
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    words: str | None = Field(sa_type=Text, default=None)


class PointsBalance(SQLModel, table=True):
    """What the entries of one owner (`guard:…` or `company:…`) in one month add up to."""

    __tablename__ = "points_balance"

    station: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    month: str = Field(primary_key=True)
    points_tenths: int
    entries: int


class PointsMonth(SQLModel, table=True):
    """A closed month. `digest` is over the month before it and every entry of this one."""

    __tablename__ = "points_month"
    __table_args__ = (CheckConstraint("length(previous) = 64 AND length(digest) = 64", name="digest"),)

    station: str = Field(primary_key=True)
    month: str = Field(primary_key=True)
    entries: int
    points_tenths: int
    previous: str
    digest: str
    closed_ms: int = Field(sa_type=BigInteger)
    closed_by: str


class PointsRules(SQLModel, table=True):
    """A version of the rules as it was written, in force from `from_ms`."""

    __tablename__ = "points_rules"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    station: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    text: str = Field(sa_type=Text)
    from_ms: int = Field(sa_type=BigInteger)
    made_ms: int = Field(sa_type=BigInteger)
    made_by: str
    reason: str


class PointsTrial(SQLModel, table=True):
    """Rules of this digest were simulated on the past; without it they cannot be switched on."""

    __tablename__ = "points_trial"
    __table_args__ = (Index("ix_points_trial_digest", "station", "digest"), {"sqlite_autoincrement": True})

    number: int | None = Field(primary_key=True, default=None)
    station: str
    digest: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    made_ms: int = Field(sa_type=BigInteger)
    made_by: str


class PointsComment(SQLModel, table=True):
    """A comment on a day or a week of an area; once published it never changes, and `corrects` names what it is for.

    `version`: of what is edited. There is one for a time, and one correction of each.
    """

    __tablename__ = "points_comment"
    __table_args__ = (
        UniqueConstraint("id", name="uq_points_comment_id"),
        UniqueConstraint("corrects", name="uq_points_comment_corrects"),
        CheckConstraint("period IN ('day', 'week')", name="period"),
        CheckConstraint("from_ms < to_ms AND version > 0", name="span"),
        CheckConstraint("(published_ms IS NULL) = (published_by IS NULL)", name="published"),
        Index(
            "uq_points_comment_first",
            "station",
            "area",
            "period",
            "from_ms",
            unique=True,
            sqlite_where=FIRST,
            postgresql_where=FIRST,
        ),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str
    station: str
    area: str
    period: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    version: int
    made_ms: int = Field(sa_type=BigInteger)
    made_by: str
    edited_ms: int = Field(sa_type=BigInteger)
    edited_by: str
    published_ms: int | None = Field(sa_type=BigInteger, default=None)
    published_by: str | None = None
    corrects: str | None = Field(foreign_key="points_comment.id", default=None)


class PointsSentence(SQLModel, table=True):
    """A sentence of a comment. `company`: whose part it is in, None: of the whole. `cites`: JSON, [key, revision]."""

    __tablename__ = "points_sentence"
    __table_args__ = (
        UniqueConstraint("comment", "nth", name="uq_points_sentence_nth"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    comment: str = Field(foreign_key="points_comment.id")
    nth: int
    company: str | None = None
    zh: str | None = Field(sa_type=Text, default=None)
    en: str | None = Field(sa_type=Text, default=None)
    cites: str = Field(sa_type=Text)
    written_ms: int = Field(sa_type=BigInteger)
