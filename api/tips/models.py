"""Tables of warnings and tips."""

from sqlalchemy import CheckConstraint, Text
from sqlmodel import BigInteger, Field, SQLModel


class Tip(SQLModel, table=True):
    """One warning or tip, by an account. It is shown from `from_ms` until before `expires_ms`, or until withdrawn."""

    __table_args__ = (
        CheckConstraint("kind IN ('warning', 'tip')", name="kind"),
        CheckConstraint("from_ms < expires_ms", name="ends"),
        CheckConstraint("(withdrawn_ms IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
        CheckConstraint("length(title) > 0 AND length(title) <= 120", name="title"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str = Field(index=True)
    kind: str
    title: str
    text: str = Field(sa_type=Text)
    by: str
    made_ms: int = Field(sa_type=BigInteger)
    from_ms: int = Field(sa_type=BigInteger)
    expires_ms: int = Field(sa_type=BigInteger, index=True)
    withdrawn_ms: int | None = Field(sa_type=BigInteger, default=None)
    withdrawn_by: str | None = None


class TipArea(SQLModel, table=True):
    """Where it is for."""

    __tablename__ = "tip_area"

    tip: int = Field(primary_key=True, foreign_key="tip.number")
    area: str = Field(primary_key=True)


class TipRead(SQLModel, table=True):
    """A place in which it was read: how many is asked, who in the family is not."""

    __tablename__ = "tip_read"

    tip: int = Field(primary_key=True, foreign_key="tip.number")
    place: str = Field(primary_key=True)
    read_ms: int = Field(sa_type=BigInteger)
