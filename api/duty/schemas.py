"""Duty as HTTP takes and shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from api.alarms.schemas import PersonAnswer
from api.clock import iso
from api.duty.models import DutyLeave, DutyShift, Handover, LiveDesk
from api.duty.rules import DAY_MIN, DAYS
from api.duty.sheets import Sheet
from api.rights.rules import ROLE_WORDS, Role
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import SEGMENT

Account = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Area = Annotated[str, StringConstraints(pattern=SEGMENT)]
Day = Annotated[int, Field(ge=1, le=7)]
DEFAULT_ZONE = ZoneInfo("Asia/Shanghai").key


class NewShift(Asked):
    """Who serves where and when. Without days and times: always. `deputy_of`: the account whose B post (B岗) it is."""

    account: Account = Field(examples=["li"])
    role: Role
    area: Area
    deputy_of: Account | None = None
    zone: Annotated[str, StringConstraints(max_length=64)] = DEFAULT_ZONE
    weekdays: Annotated[frozenset[Day], Field(min_length=1, description="Monday is 1")] = DAYS
    starts_min: Annotated[int, Field(ge=0, lt=DAY_MIN, description="Minutes after midnight")] = 0
    lasts_min: Annotated[int, Field(ge=1, le=DAY_MIN, description="It may pass midnight")] = DAY_MIN
    begins: Moment | None = None
    ends: Moment | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.deputy_of == self.account:
            raise ValueError("nobody is his own deputy")
        if self.begins is not None and self.ends is not None and self.ends <= self.begins:
            raise ValueError("it ends before it begins")
        return self


class EndShift(Asked):
    """When it ends; without a time, now."""

    at: Moment | None = None


class NewLeave(Asked):
    """Who is away, and who serves instead."""

    account: Account
    stand_in: Account | None = None
    begins: Moment | None = None
    ends: Moment

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.stand_in == self.account:
            raise ValueError("nobody stands in for himself")
        if self.begins is not None and self.ends <= self.begins:
            raise ValueError("it ends before it begins")
        return self


class Beat(Asked):
    """A live desk, by the name that it has in this station."""

    desk: Annotated[str, StringConstraints(pattern=SEGMENT)] = Field(examples=["front"])


class NewHandover(Asked):
    """To whom, and what he should know beside."""

    taker: Account
    note: Annotated[str, StringConstraints(max_length=1_000)] = ""


class ShiftAnswer(Answer):
    """One line of the roster."""

    number: int
    account: str
    name: str | None
    role: Role
    role_words: WordsAnswer
    area: str
    deputy_of: str | None
    deputy_of_name: str | None
    zone: str
    weekdays: tuple[int, ...]
    starts_min: int
    lasts_min: int
    begins: datetime
    ends: datetime | None
    version: int


class ShiftPage(Answer):
    """Lines of the roster, newest first."""

    items: tuple[ShiftAnswer, ...]
    next: str | None


class LeaveAnswer(Answer):
    """Somebody is away."""

    number: int
    account: str
    name: str | None
    stand_in: str | None
    stand_in_name: str | None
    begins: datetime
    ends: datetime
    version: int


class LeavePage(Answer):
    """Leaves, newest first."""

    items: tuple[LeaveAnswer, ...]
    next: str | None


class OnDutyAnswer(Answer):
    """Who serves. A role without words is on no roster."""

    role: Role
    role_words: WordsAnswer | None
    area: str
    accounts: tuple[str, ...]
    people: tuple[PersonAnswer, ...]
    """The same, by name."""


class DeskAnswer(Answer):
    """A live desk that somebody sits at."""

    desk: str
    account: str
    since: datetime
    seen: datetime


class DesksAnswer(Answer):
    """Whether somebody sits at any desk of the station, and at which."""

    attended: bool
    desks: tuple[DeskAnswer, ...]


class OpenAlarmAnswer(Answer):
    """An alarm that was open."""

    id: str
    number: int
    kind: str
    state: str
    owner: str | None
    owner_name: str | None
    received: datetime


class OpenFaultAnswer(Answer):
    """A fault that was open."""

    number: int
    code: str
    about: str
    since: datetime


class OutAnswer(Answer):
    """Somebody who was out."""

    who: str
    name: str | None
    alarm: str
    since: datetime


class HandoverAnswer(Answer):
    """A sheet. `done`: since when the taker has what the giver had."""

    number: int
    giver: str
    giver_name: str | None
    taker: str
    taker_name: str | None
    note: str
    made: datetime
    gave: datetime | None
    took: datetime | None
    done: datetime | None
    alarms: tuple[OpenAlarmAnswer, ...]
    faults: tuple[OpenFaultAnswer, ...]
    out: tuple[OutAnswer, ...]
    version: int


class HandoverPage(Answer):
    """Sheets, newest first."""

    items: tuple[HandoverAnswer, ...]
    next: str | None


def shift_answer(row: DutyShift, names: Mapping[str, str]) -> ShiftAnswer:
    """A row as HTTP shows it. `names`: of accounts."""
    assert row.number is not None
    return ShiftAnswer(
        number=row.number,
        account=row.account,
        name=names.get(row.account),
        role=Role(row.role),
        role_words=words_answer(ROLE_WORDS[Role(row.role)]),
        area=row.area,
        deputy_of=row.deputy_of,
        deputy_of_name=names.get(row.deputy_of or ""),
        zone=row.zone,
        weekdays=tuple(int(day) for day in row.weekdays),
        starts_min=row.starts_min,
        lasts_min=row.lasts_min,
        begins=iso(row.from_ms),
        ends=None if row.to_ms is None else iso(row.to_ms),
        version=row.version,
    )


def leave_answer(row: DutyLeave, names: Mapping[str, str]) -> LeaveAnswer:
    """A row as HTTP shows it. `names`: of accounts."""
    assert row.number is not None
    return LeaveAnswer(
        number=row.number,
        account=row.account,
        name=names.get(row.account),
        stand_in=row.stand_in,
        stand_in_name=names.get(row.stand_in or ""),
        begins=iso(row.from_ms),
        ends=iso(row.to_ms),
        version=row.version,
    )


def desk_answer(row: LiveDesk) -> DeskAnswer:
    """A row as HTTP shows it."""
    return DeskAnswer(desk=row.name, account=row.account, since=iso(row.since_ms), seen=iso(row.seen_ms))


def handover_answer(row: Handover, names: Mapping[str, str]) -> HandoverAnswer:
    """A row as HTTP shows it. `names`: of accounts."""
    assert row.number is not None
    sheet = Sheet.read(row.sheet)
    return HandoverAnswer(
        number=row.number,
        giver=row.giver,
        giver_name=names.get(row.giver),
        taker=row.taker,
        taker_name=names.get(row.taker),
        note=row.note,
        made=iso(row.made_ms),
        gave=_iso(row.gave_ms),
        took=_iso(row.took_ms),
        done=_iso(row.done_ms),
        alarms=tuple(
            OpenAlarmAnswer(
                id=one.id, number=one.number, kind=one.kind, state=one.state, owner=one.owner,
                owner_name=names.get(one.owner or ""), received=iso(one.received_ms),
            )
            for one in sheet.alarms
        ),
        faults=tuple(
            OpenFaultAnswer(number=one.number, code=one.code, about=one.about, since=iso(one.first_ms))
            for one in sheet.faults
        ),
        out=tuple(
            OutAnswer(who=one.who, name=names.get(one.who), alarm=one.alarm, since=iso(one.since_ms))
            for one in sheet.out
        ),
        version=row.version,
    )  # fmt: skip


def _iso(ms: int | None) -> datetime | None:
    return None if ms is None else iso(ms)
