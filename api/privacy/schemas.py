"""What privacy takes and gives over HTTP."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

from api.privacy.rules import Class, Rule, Then


class FieldAnswer(BaseModel):
    """One personal field."""

    table: str
    column: str
    purpose_zh: str
    purpose_en: str
    least_days: int
    most_days: int | None
    law: str
    then: Then | None


class FieldList(BaseModel):
    """The field register."""

    items: list[FieldAnswer]


class Erase(BaseModel):
    """Why: the household asks for it, a mistake, ..."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=500)]


class Export(BaseModel):
    """Everything about one household that whoever asks may read. Times in Unix milliseconds."""

    place: str
    address: str
    """Of the place, while this household lived there; empty once it was erased."""
    label: str
    household: list[dict[str, Any]]
    addresses: list[dict[str, Any]]
    periods: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    consents: list[dict[str, Any]]
    exclusions: list[dict[str, Any]]
    quietings: list[dict[str, Any]]
    complaints: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    absences: list[dict[str, Any]]
    answers: list[dict[str, Any]]
    alarms: list[dict[str, Any]]
    looked_up: list[dict[str, Any]]


def field_answer(rule: Rule, column: str, class_: Class) -> FieldAnswer:
    """A column of the register."""
    return FieldAnswer(
        table=rule.table,
        column=column,
        purpose_zh=class_.zh,
        purpose_en=class_.en,
        least_days=class_.least_days,
        most_days=class_.most_days,
        law=class_.law,
        then=rule.then,
    )
