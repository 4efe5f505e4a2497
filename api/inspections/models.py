"""Tables of inspections, training and joint meetings."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel

from api.albums import Photo, of_one
from api.inspections.rules import Item, SignedBy


def _in(column: str, words: type[StrEnum], *, absent: bool = False) -> CheckConstraint:
    listed = f"{column} IN ({', '.join(repr(word.value) for word in words)})"
    return CheckConstraint(f"{column} IS NULL OR {listed}" if absent else listed, name=column)


class Inspection(SQLModel, table=True):
    """An officer looked at a guard on site (实地检查). Never changed; what was wrong about it is another one's word."""

    __table_args__ = (
        CheckConstraint("witness IS NULL OR witness != guard", name="witness"),
        Index("ix_inspection_guard", "guard", "at_ms"),
        Index("ix_inspection_area", "station", "area", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    guard: str = Field(foreign_key="guard.id")
    company: str | None = None
    duty: int | None = Field(foreign_key="patrol_duty.number", default=None)
    point: str | None = None
    witness: str | None = None
    words: str | None = Field(sa_type=Text, default=None)
    by: str
    at_ms: int = Field(sa_type=BigInteger)


class InspectionItem(SQLModel, table=True):
    """Something that was found; an inspection without one is passed."""

    __tablename__ = "inspection_item"
    __table_args__ = (_in("item", Item),)

    inspection: int = Field(primary_key=True, foreign_key="inspection.number")
    item: str = Field(primary_key=True)


class InspectionPhoto(Photo, table=True):
    """A photo of an inspection."""

    __tablename__ = "inspection_photo"
    __table_args__ = of_one("inspection_photo", "inspection")

    inspection: int = Field(foreign_key="inspection.number", index=True)


class Training(SQLModel, table=True):
    """A training of skills (培训). `point`: the checkpoint whose reader takes the sign-in."""

    __table_args__ = (
        CheckConstraint("to_ms > from_ms", name="span"),
        Index("ix_training_area", "station", "area", "from_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    subject: str
    point: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    by: str
    made_ms: int = Field(sa_type=BigInteger)
    closed_ms: int | None = Field(sa_type=BigInteger, default=None)


class TrainingGuest(SQLModel, table=True):
    """Somebody who is expected, or came. `mark`: out of 100."""

    __tablename__ = "training_guest"
    __table_args__ = (
        CheckConstraint("mark IS NULL OR mark BETWEEN 0 AND 100", name="mark"),
        CheckConstraint("(mark IS NULL) = (marked_by IS NULL)", name="marked"),
        CheckConstraint("(signed_ms IS NULL) = (signed_by IS NULL)", name="signed"),
        _in("signed_by", SignedBy, absent=True),
    )

    training: int = Field(primary_key=True, foreign_key="training.number")
    guard: str = Field(primary_key=True, foreign_key="guard.id")
    company: str | None = None
    expected: bool = True
    signed_ms: int | None = Field(sa_type=BigInteger, default=None)
    signed_by: str | None = None
    check_in: str | None = None
    mark: int | None = None
    marked_by: str | None = None


class Meeting(SQLModel, table=True):
    """A joint meeting (联席会议) with its minutes. `companies`: who was there, ids with commas between them."""

    __table_args__ = (Index("ix_meeting_area", "station", "area", "at_ms"), {"sqlite_autoincrement": True})

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    subject: str
    companies: str
    minutes: str = Field(sa_type=Text)
    at_ms: int = Field(sa_type=BigInteger)
    by: str
    made_ms: int = Field(sa_type=BigInteger)


class MeetingTask(SQLModel, table=True):
    """What a meeting gave somebody to do: a company, or the station itself (None)."""

    __tablename__ = "meeting_task"
    __table_args__ = (
        CheckConstraint("(done_ms IS NULL) = (done_by IS NULL)", name="done"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    meeting: int = Field(foreign_key="meeting.number", index=True)
    company: str | None = None
    words: str = Field(sa_type=Text)
    due_ms: int = Field(sa_type=BigInteger)
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    done_by: str | None = None
    found: str | None = Field(sa_type=Text, default=None)
