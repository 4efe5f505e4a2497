"""Faults as HTTP shows and takes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.faults.models import FaultStep
from api.faults.rules import Act, Work
from api.faults.words import words
from api.ingest.models import Fault
from api.ingest.schemas import GapAnswer
from api.shapes import Answer, Asked, WordsAnswer, words_answer

Words = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class FaultAnswer(Answer):
    """Something is wrong, and how far people are with it."""

    number: int
    code: str
    words: WordsAnswer
    gateway: str
    about: str
    """A unit, a line, an area, the station: what is at fault."""
    detail: str
    there: bool
    """False: it is over, and somebody still has it in hand."""
    times: int
    first: datetime
    began: datetime
    """The last time that it began."""
    last: datetime
    cleared: datetime | None
    work: Work
    owner: str | None
    """The account that took it or was given it."""
    owner_name: str | None
    owner_since: datetime | None
    part_of: int | None
    """The greater fault of which this is a part."""
    units: int | None
    """Of a greater fault: how many units are away."""
    battery_until: datetime | None
    """Of a greater fault: as long as batteries last at least."""
    version: int


class FaultStepAnswer(Answer):
    """Something that was done about it; `account` is empty where the thing itself changed."""

    act: Act
    account: str | None
    account_name: str | None
    assignee: str | None
    assignee_name: str | None
    words: str
    at: datetime


class FaultDetailAnswer(FaultAnswer):
    """One fault with what was done about it and what it is made of."""

    steps: list[FaultStepAnswer]
    parts: list[FaultAnswer]


class FaultList(Answer):
    """Faults, newest first, and events that never arrived."""

    faults: list[FaultAnswer]
    gaps: list[GapAnswer]
    next: str | None


class Assignment(Asked):
    """Whose it is from now on."""

    account: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Note(Asked):
    """Words beside a fault."""

    words: Words


class Closing(Asked):
    """Why nothing more is to be done; needed where it is still there."""

    reason: Annotated[str, StringConstraints(max_length=500)] = Field(default="")


def fault_answer(row: Fault, names: Mapping[str, str]) -> FaultAnswer:
    """A fault as it is answered. `names`: of accounts."""
    return FaultAnswer.model_validate(_fields(row, names))


def fault_detail_answer(
    row: Fault, steps: list[FaultStep], parts: list[Fault], names: Mapping[str, str]
) -> FaultDetailAnswer:
    """A fault with all that belongs to it."""
    told = [
        FaultStepAnswer(
            act=Act(one.act),
            account=one.account,
            account_name=names.get(one.account or ""),
            assignee=one.assignee,
            assignee_name=names.get(one.assignee or ""),
            words=one.words,
            at=iso(one.at_ms),
        )
        for one in steps
    ]
    return FaultDetailAnswer.model_validate(
        {**_fields(row, names), "steps": told, "parts": [fault_answer(part, names) for part in parts]}
    )


def _fields(row: Fault, names: Mapping[str, str]) -> dict[str, object]:
    def moment(ms: int | None) -> datetime | None:
        return None if ms is None else iso(ms)

    return {
        "number": row.number,
        "code": row.code,
        "words": words_answer(words(row.code)),
        "gateway": row.gateway,
        "about": row.about,
        "detail": row.detail,
        "there": row.cleared_ms is None,
        "times": row.times,
        "first": iso(row.first_ms),
        "began": iso(row.began_ms),
        "last": iso(row.last_ms),
        "cleared": moment(row.cleared_ms),
        "work": row.work,
        "owner": row.owner,
        "owner_name": names.get(row.owner or ""),
        "owner_since": moment(row.owner_ms),
        "part_of": row.part_of,
        "units": row.units,
        "battery_until": moment(row.battery_until_ms),
        "version": row.version,
    }
