"""Inspections, training, meetings and the four ones as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.guards.models import Guard
from api.guards.schemas import GuardId, Line, Said, Segment
from api.inspections.models import InspectionPhoto, TrainingGuest
from api.inspections.rules import ITEM_WORDS, MARK_MOST, ONE_WORDS, RULE_OF, Item, One, SignedBy, Week
from api.inspections.service import Done, Inspected, Met, Taught, ToCheck
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer

Point = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Witness = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class NewInspection(Asked):
    """The form: whom, where, and what was found; nothing found is passed. `witness`: an account or a guard."""

    area: Segment
    guard: GuardId
    point: Point | None = None
    items: Annotated[tuple[Item, ...], Field(max_length=len(Item))] = ()
    witness: Witness | None = None
    words: Said | None = None


class ItemAnswer(Answer):
    """Something that was found, and the rule of points that it falls under."""

    item: Item
    item_words: WordsAnswer
    rule: str


class PhotoAnswer(Answer):
    """A photo. `by` is an account."""

    id: str
    type: str
    size: int
    by: str
    at: datetime


class InspectionAnswer(Answer):
    """An inspection. Who was inspected is null for whoever does not reach him."""

    number: int
    area: str
    guard: str | None
    name: str | None
    company: str | None
    duty: int | None
    point: str | None
    passed: bool
    items: tuple[ItemAnswer, ...]
    witness: str | None
    words: str | None
    by: str
    at: datetime
    photos: tuple[PhotoAnswer, ...]


class InspectionPage(Answer):
    """A page, newest first."""

    items: tuple[InspectionAnswer, ...]
    next: str | None


class NewTraining(Asked):
    """When, about what, and who is expected. A tag at the reader of `point` signs in."""

    area: Segment
    subject: Line = Field(examples=["灭火器使用"])
    point: Point | None = None
    begins: Moment
    ends: Moment
    expected: Annotated[tuple[GuardId, ...], Field(max_length=500)] = ()


class GuestAnswer(Answer):
    """Somebody who is expected or came. Who he is, is null for whoever does not reach him."""

    guard: str | None
    name: str | None
    company: str | None
    expected: bool
    signed: datetime | None
    signed_by: SignedBy | None
    mark: int | None


class TrainingAnswer(Answer):
    """A training."""

    number: int
    area: str
    subject: str
    point: str | None
    begins: datetime
    ends: datetime
    closed: datetime | None
    guests: tuple[GuestAnswer, ...]


class TrainingPage(Answer):
    """A page, newest first."""

    items: tuple[TrainingAnswer, ...]
    next: str | None


class SigningIn(Asked):
    """Who came without a tag."""

    guard: GuardId


class Mark(Asked):
    """Whose mark, out of 100."""

    guard: GuardId
    mark: Annotated[int, Field(ge=0, le=MARK_MOST)]


class NewMeetingTask(Asked):
    """What is to be done until when, by a company, or by the station itself."""

    company: Segment | None = None
    words: Said
    due: Moment


class NewMeeting(Asked):
    """The minutes of a joint meeting that was held, who was there, and what is to be done."""

    area: Segment
    subject: Line
    at: Moment
    companies: Annotated[tuple[Segment, ...], Field(max_length=100)] = ()
    minutes: Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
    tasks: Annotated[tuple[NewMeetingTask, ...], Field(max_length=50)] = ()


class MeetingTaskAnswer(Answer):
    """A task of a meeting."""

    number: int
    company: str | None
    words: str
    due: datetime
    overdue: bool
    done: datetime | None
    found: str | None


class MeetingAnswer(Answer):
    """A meeting; of its tasks, those that concern whoever reads."""

    number: int
    area: str
    subject: str
    at: datetime
    companies: tuple[str, ...]
    minutes: str
    by: str
    tasks: tuple[MeetingTaskAnswer, ...]


class MeetingPage(Answer):
    """A page, newest first."""

    items: tuple[MeetingAnswer, ...]
    next: str | None


class Found(Asked):
    """What was done."""

    words: Said


class OneAnswer(Answer):
    """One of the four ones. `times` and `done` are null where nothing tells the station of it."""

    one: One
    one_words: WordsAnswer
    times: int | None
    done: bool | None


class ToCheckAnswer(Answer):
    """What is to be looked at on site `of` times a month: by the grade of a guard or a company, the colour of an area.

    `next`: until when the next one is to be made, null when all are. Who a guard is, is null for whoever does not reach
    him.
    """

    id: str
    service_number: str | None
    name: str | None
    company: str | None
    by: str
    of: int
    done: int
    left: int
    next: datetime | None
    overdue: bool


class DueAnswer(Answer):
    """What is to be looked at in an area this month. Areas by id; companies and guards, the soonest due first."""

    area: str
    begins: datetime
    ends: datetime
    areas: tuple[ToCheckAnswer, ...]
    companies: tuple[ToCheckAnswer, ...]
    guards: tuple[ToCheckAnswer, ...]
    next: str | None


class FourOnesAnswer(Answer):
    """The four ones (四个一) of an area and a civil week. `checks`: of the month, as the colour of the area asks."""

    area: str
    begins: datetime
    ends: datetime
    checks: ToCheckAnswer
    items: tuple[OneAnswer, ...]


def to_check_answer(one: ToCheck, now_ms: int, guard: Guard | None = None) -> ToCheckAnswer:
    """Something that is to be looked at, as HTTP shows it."""
    checks = one.checks
    return ToCheckAnswer(
        id=one.id,
        service_number=None if guard is None else guard.service_number,
        name=None if guard is None else guard.name,
        company=one.company,
        by=one.by,
        of=checks.of,
        done=checks.done,
        left=checks.left,
        next=None if checks.next_ms is None else iso(checks.next_ms),
        overdue=checks.overdue(now_ms),
    )


def photo_answer(photo: InspectionPhoto) -> PhotoAnswer:
    """A photo without what is on it."""
    return PhotoAnswer(id=photo.id, type=photo.type, size=photo.size, by=photo.by, at=iso(photo.at_ms))


def inspection_answer(found: Inspected, seen: Mapping[str, Guard]) -> InspectionAnswer:
    """A row as whoever reaches those of `seen` may read it."""
    row, who = found.inspection, seen.get(found.inspection.guard)
    assert row.number is not None
    return InspectionAnswer(
        number=row.number,
        area=row.area,
        guard=None if who is None else who.id,
        name=None if who is None else who.name,
        company=row.company,
        duty=row.duty,
        point=row.point,
        passed=not found.items,
        items=tuple(
            ItemAnswer(item=one, item_words=words_answer(ITEM_WORDS[one]), rule=RULE_OF[one]) for one in found.items
        ),
        witness=row.witness,
        words=row.words,
        by=row.by,
        at=iso(row.at_ms),
        photos=tuple(map(photo_answer, found.photos)),
    )


def _guest(row: TrainingGuest, who: Guard | None) -> GuestAnswer:
    return GuestAnswer(
        guard=None if who is None else who.id,
        name=None if who is None else who.name,
        company=row.company,
        expected=row.expected,
        signed=None if row.signed_ms is None else iso(row.signed_ms),
        signed_by=None if row.signed_by is None else SignedBy(row.signed_by),
        mark=None if who is None else row.mark,
    )


def training_answer(found: Taught, seen: Mapping[str, Guard]) -> TrainingAnswer:
    """A row as whoever reaches those of `seen` may read it."""
    row = found.training
    assert row.number is not None
    return TrainingAnswer(
        number=row.number,
        area=row.area,
        subject=row.subject,
        point=row.point,
        begins=iso(row.from_ms),
        ends=iso(row.to_ms),
        closed=None if row.closed_ms is None else iso(row.closed_ms),
        guests=tuple(_guest(one, seen.get(one.guard)) for one in found.guests),
    )


def meeting_answer(found: Met, *, now_ms: int) -> MeetingAnswer:
    """A row as HTTP shows it."""
    row, tasks = found.meeting, []
    assert row.number is not None
    for one in found.tasks:
        assert one.number is not None
        tasks.append(
            MeetingTaskAnswer(
                number=one.number,
                company=one.company,
                words=one.words,
                due=iso(one.due_ms),
                overdue=(one.done_ms or now_ms) > one.due_ms,
                done=None if one.done_ms is None else iso(one.done_ms),
                found=one.found,
            )
        )
    return MeetingAnswer(
        number=row.number,
        area=row.area,
        subject=row.subject,
        at=iso(row.at_ms),
        companies=tuple(one for one in row.companies.split(",") if one),
        minutes=row.minutes,
        by=row.by,
        tasks=tuple(tasks),
    )


def four_ones_answer(area: str, span: Week, found: list[Done], checks: ToCheck, now_ms: int) -> FourOnesAnswer:
    """The list as HTTP shows it."""
    return FourOnesAnswer(
        area=area,
        begins=iso(span.from_ms),
        ends=iso(span.to_ms),
        checks=to_check_answer(checks, now_ms),
        items=tuple(
            OneAnswer(
                one=one.one,
                one_words=words_answer(ONE_WORDS[one.one]),
                times=one.times,
                done=None if one.times is None else one.times > 0,
            )
            for one in found
        ),
    )
