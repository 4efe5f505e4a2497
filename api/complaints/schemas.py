"""Complaints as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.complaints.models import Complaint
from api.complaints.rules import ABOUT_WORDS, CODE_CHARS, FINDING_WORDS, STAGE_WORDS, About, Finding, Stage, Way, stage
from api.register.schemas import Id, Phone
from api.shapes import Answer, Asked, WordsAnswer, words_answer

Said = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class BoardComplaint(Asked):
    """What is wrong, about which duty; who complains does not have to say who he is. No names of people, please."""

    about: About
    words: Said = Field(examples=["测试日连续三个月没有人上门协助"])
    phone: Phone | None = None
    """To be called back, if he likes."""


class NewComplaint(BoardComplaint):
    """The same by an account, or typed in for a caller. `grid`: which one; a household's own where it is left out."""

    grid: Id | None = None


class MadeAnswer(Answer):
    """Keep the code: whoever has it reads how far the complaint is."""

    code: str
    about: About
    about_words: WordsAnswer
    made: datetime
    due: datetime


class LookUp(Asked):
    """The code that was given for a complaint."""

    code: Annotated[str, StringConstraints(pattern=rf"^[0-9A-Za-z]{{{CODE_CHARS}}}$")]


class LookedUp(MadeAnswer):
    """How far it is. What was complained of is not repeated."""

    stage: Stage
    stage_words: WordsAnswer
    answered: datetime | None
    finding: Finding | None
    finding_words: WordsAnswer | None
    answer: str | None


class ComplaintAnswer(Answer):
    """A complaint as those read it who look into it, and whoever made it."""

    number: int
    area: str
    about: About
    about_words: WordsAnswer
    way: Way
    words: str
    phone: str | None
    place: str | None
    made: datetime
    due: datetime
    overdue: bool
    stage: Stage
    stage_words: WordsAnswer
    taken: datetime | None
    taken_by: str | None
    answered: datetime | None
    answered_by: str | None
    finding: Finding | None
    finding_words: WordsAnswer | None
    answer: str | None
    version: int


class ComplaintPage(Answer):
    """A page, newest first."""

    items: tuple[ComplaintAnswer, ...]
    next: str | None


class Answered(Asked):
    """What was found, and what whoever complained shall read."""

    finding: Finding
    words: Said


def made_answer(row: Complaint) -> MadeAnswer:
    """What whoever complained is told at once."""
    return MadeAnswer.model_validate(_made(row))


def looked_up(row: Complaint) -> LookedUp:
    """What the code opens."""
    return LookedUp.model_validate(_made(row) | _how_far(row))


def complaint_answer(row: Complaint, *, now_ms: int) -> ComplaintAnswer:
    """A row as HTTP shows it."""
    done_ms = now_ms if row.answered_ms is None else row.answered_ms
    same = ("number", "area", "way", "words", "phone", "place", "taken_by", "answered_by", "version")
    values = {name: getattr(row, name) for name in same} | _made(row) | _how_far(row)
    del values["code"]
    taken = None if row.taken_ms is None else iso(row.taken_ms)
    return ComplaintAnswer.model_validate(values | {"taken": taken, "overdue": done_ms > row.due_ms})


def _made(row: Complaint) -> dict[str, object]:
    about = About(row.about)
    return {
        "code": row.code,
        "about": about,
        "about_words": words_answer(ABOUT_WORDS[about]),
        "made": iso(row.made_ms),
        "due": iso(row.due_ms),
    }


def _how_far(row: Complaint) -> dict[str, object]:
    now, finding = stage(row.taken_ms, row.answered_ms), None if row.finding is None else Finding(row.finding)
    return {
        "stage": now,
        "stage_words": words_answer(STAGE_WORDS[now]),
        "answered": None if row.answered_ms is None else iso(row.answered_ms),
        "finding": finding,
        "finding_words": None if finding is None else words_answer(FINDING_WORDS[finding]),
        "answer": row.answer,
    }
