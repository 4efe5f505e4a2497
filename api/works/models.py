"""Tables of long works."""

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.works.rules import WHOLE, Kind, State


def _in(column: str, words: type[Kind | State]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word.value) for word in words)})", name=column)


class LongWork(SQLModel, table=True):
    """One long work. Who asked (`by`), for what (`asked`, JSON), and what came of it (`result`, JSON).

    `same`: a digest of kind, question and file, so that who asks twice has one. `reach`: a digest of what he reached
    when it was done. `part`: how far it is, in thousandths; `phase`, `done`, `total`: where in that. `holder`: the
    process that does it, last heard of at `beat_ms`. `stop`: somebody gave it up. `why`: a word of `rules.WHY_WORDS`,
    or `file:` with one of `register.files.WHY`.
    """

    __tablename__ = "long_work"
    __table_args__ = (
        _in("kind", Kind),
        _in("state", State),
        CheckConstraint("(state IN ('waiting', 'running')) = (ended_ms IS NULL)", name="ended"),
        CheckConstraint(f"part BETWEEN 0 AND {WHOLE} AND done >= 0 AND total >= 0", name="part"),
        Index("ix_long_work_state", "station", "state"),
        Index("ix_long_work_by", "by", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    id: str = Field(unique=True)
    by: str
    kind: str
    asked: str = Field(sa_type=Text)
    same: str
    heavy: bool
    state: str = State.WAITING.value
    phase: str = ""
    done: int = 0
    total: int = 0
    part: int = 0
    made_ms: int = Field(sa_type=BigInteger)
    begun_ms: int | None = Field(sa_type=BigInteger, default=None)
    beat_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended_ms: int | None = Field(sa_type=BigInteger, default=None, index=True)
    holder: str = ""
    stop: bool = False
    reach: str = ""
    why: str = ""
    result: str = Field(default="", sa_type=Text)


class LongWorkFile(SQLModel, table=True):
    """A file that was sent for a work (`asked`), or that came of it (`made`)."""

    __tablename__ = "long_work_file"
    __table_args__ = (
        UniqueConstraint("work", "role"),
        CheckConstraint("role IN ('asked', 'made')", name="role"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    work: int
    role: str
    name: str
    media: str
    content: bytes = Field(sa_type=LargeBinary)
    octets: int
    kept_ms: int = Field(sa_type=BigInteger, index=True)
