"""The table of the live feed."""

from sqlalchemy import CheckConstraint, Text
from sqlmodel import BigInteger, Field, SQLModel


class FeedEntry(SQLModel, table=True):
    """Something that screens hear, kept for a day so that a viewer that was away can resume.

    `id` is drawn at random: whoever sees some entries and not others cannot tell that there were others. `subject` is
    what rights ask about it, `eyes` whose eyes may read it; both as they were when it happened.
    """

    __tablename__ = "feed_entry"
    __table_args__ = (
        CheckConstraint("length(id) = 32", name="id"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    topic: str
    about: str
    body: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    eyes: str
    """Words, separated by spaces."""
    at_ms: int = Field(sa_type=BigInteger, index=True)
