"""Guards, their duties and orders as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api.clock import iso
from api.guards.guarding import Listed
from api.guards.models import (
    Guard,
    GuardCard,
    GuardEmployment,
    GuardLeave,
    GuardPhoneOut,
    PatrolRelief,
    PatrolSuspension,
)
from api.guards.rules import FORCE_WORDS, Came, CardEnd, Decision, Employment, Force, Instead, Went, employer
from api.guards.takeovers import Asked as TakeoverAsked
from api.pages import NUMBER_MOST
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import EVENT_ID, SEGMENT
from broker.tags import parse

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]
GuardId = Annotated[str, StringConstraints(pattern=EVENT_ID)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
AccountId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
ServiceNumber = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,20}$")]
RowNumber = Annotated[int, Field(ge=1, le=NUMBER_MOST)]


def _a_tag(text: str) -> str:
    if parse(text) is None:
        raise ValueError("this is no tag: hexadecimal of 3, 4, 5, 7 or 10 octets, ten digits, or FFF,NNNNN")
    return text


TagText = Annotated[str, StringConstraints(max_length=64), AfterValidator(_a_tag)]


class GuardAsked(Asked):
    """What a guard is known by; nothing else is kept of him. `account`: with which he signs in, if he does."""

    service_number: ServiceNumber
    name: Line
    area: Segment
    account: AccountId | None = None


class NewGuard(Asked):
    """A guard is employed by a company of the register; police, grid workers and volunteers are not.

    Without `area` he belongs to the whole station.
    """

    force: Force = Force.GUARD
    service_number: ServiceNumber
    name: Line
    company: Segment | None = None
    area: Segment | None = None
    account: AccountId | None = None


class GuardAnswer(Answer):
    """A guard. Number and name are null once their period has ended."""

    id: str
    force: Force
    force_words: WordsAnswer
    service_number: str | None
    name: str | None
    area: str
    account: str | None
    company: str | None
    left: datetime | None
    version: int


class EmploymentAnswer(Answer):
    """With a company from a moment until before another; null: still."""

    company: str
    begins: datetime
    ends: datetime | None


class CardAnswer(Answer):
    """A card that is or was his."""

    number: int
    tag: str
    begins: datetime
    ends: datetime | None
    ended: CardEnd | None


class LeaveAnswer(Answer):
    """He is away. `uncovered`: duty lists that nobody took over, when it was entered."""

    number: int
    guard: str
    begins: datetime
    ends: datetime
    stand_in: str | None
    uncovered: tuple[int, ...] = ()


class GuardDetailAnswer(GuardAnswer):
    """A guard with his employers, cards, and leave that is not over."""

    employments: tuple[EmploymentAnswer, ...]
    cards: tuple[CardAnswer, ...]
    leaves: tuple[LeaveAnswer, ...]


class GuardPage(Answer):
    """A page, by id."""

    items: tuple[GuardAnswer, ...]
    next: str | None


class NewTakeover(Asked):
    """Which guard of another company, by his service number, and why."""

    company: Segment
    service_number: ServiceNumber
    words: Said | None = None


class TakeoverDecision(Asked):
    """A refusal has a reason."""

    confirm: bool
    reason: Said | None = None

    @model_validator(mode="after")
    def _why(self) -> Self:
        if not self.confirm and self.reason is None:
            raise ValueError("a refusal has a reason")
        return self


class TakeoverAnswer(Answer):
    """A company asked for a guard. `guard`: who he is, once the police have confirmed; until then nobody is told.

    `present`: whose he is now, for the police alone.
    """

    number: int
    company: str
    service_number: str | None
    words: str | None
    by: str
    asked: datetime
    decision: Decision | None
    reason: str | None
    decided: datetime | None
    guard: str | None
    present: str | None


class TakeoverPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[TakeoverAnswer, ...]
    next: str | None


class NewEmployment(Asked):
    """Which company employs him from now on."""

    company: Segment


class NewCard(Asked):
    """A card as it is read, or as people copy it off: `04:A1:B2:C3`, ten digits, FFF,NNNNN.

    `since`: he has had it since then, and what was checked in with it is his; without: from now on.
    """

    tag: TagText
    since: Moment | None = None


class CardEnding(Asked):
    """Lost (挂失) or given back. `at`: since then; without: now. What was read later is nobody's."""

    how: CardEnd
    at: Moment | None = None


class NewLeave(Asked):
    """From when until when, and who takes his duties meanwhile. Why is nobody's business here."""

    begins: Moment
    ends: Moment
    stand_in: GuardId | None = None


class NewPhoneOut(Asked):
    """His phone is dead: what shows his visits instead. `witness`: a partner on the same list, where one is to."""

    begins: Moment
    ends: Moment
    instead: Instead
    witness: GuardId | None = None


class PhoneOutAnswer(NewPhoneOut):
    """What was told of a dead phone. Visits of that time are marked with it."""

    number: int
    guard: str


class NewDuty(Asked):
    """A duty list: people of one or several employers, with police, grid workers and volunteers where they join in."""

    area: Segment
    route: Segment | None = None
    shift: Line = Field(examples=["夜班"])
    begins: Moment
    ends: Moment
    guards: Annotated[tuple[GuardId, ...], Field(min_length=1, max_length=100)]


class MemberAnswer(Answer):
    """Somebody on a list. Who he is, is null for whoever does not reach him: then force and company are all."""

    guard: str | None
    service_number: str | None
    name: str | None
    force: Force
    company: str | None
    begins: datetime
    ends: datetime
    came: Came
    went: Went | None


class DutyAnswer(Answer):
    """A duty list with everybody who is or was on it. `company`: his employer when his time began."""

    number: int
    area: str
    route: str | None
    route_name: str | None
    shift: str
    begins: datetime
    ends: datetime
    called_off: datetime | None
    members: tuple[MemberAnswer, ...]
    version: int


class DutyPage(Answer):
    """A page, newest first."""

    items: tuple[DutyAnswer, ...]
    next: str | None


class Joining(Asked):
    """Who goes as well."""

    guard: GuardId


class StandIn(Asked):
    """Who serves for whom, from now or the list's beginning on (顶班)."""

    guard: GuardId
    stand_in: GuardId


class Swap(Asked):
    """Who changes places with whom of which other list (换班)."""

    guard: GuardId
    other_duty: RowNumber
    with_guard: GuardId


class Relief(Asked):
    """Who hands over to whom, and what there is to know (交接)."""

    giver: GuardId
    taker: GuardId
    words: Said


class ReliefAnswer(Answer):
    """What was handed over."""

    giver: str
    taker: str
    words: str
    at: datetime


class ReliefList(Answer):
    """In the order in which they were handed over."""

    items: tuple[ReliefAnswer, ...]


class NewSuspension(Asked):
    """Nobody patrols there for a time: why, in words."""

    area: Segment
    cause: Literal["weather", "emergency"]
    words: Said = Field(examples=["台风蓝色预警"])
    begins: Moment
    ends: Moment


class SuspensionAnswer(NewSuspension):
    """An order to suspend. `lifted`: when it was ended early."""

    number: int
    lifted: datetime | None


class SuspensionPage(Answer):
    """A page, newest first."""

    items: tuple[SuspensionAnswer, ...]
    next: str | None


def ms(moment: datetime) -> int:
    """A moment as tables have it."""
    return round(moment.timestamp() * 1_000)


def _until(unix_ms: int | None) -> datetime | None:
    return None if unix_ms is None else iso(unix_ms)


def _guard(guard: Guard, company: str | None) -> dict[str, object]:
    force = Force(guard.force)
    return {
        "id": guard.id,
        "force": force,
        "force_words": words_answer(FORCE_WORDS[force]),
        "service_number": guard.service_number,
        "name": guard.name,
        "area": guard.area,
        "account": guard.account,
        "company": company,
        "left": _until(guard.closed_ms),
        "version": guard.version,
    }


def guard_answer(guard: Guard, company: str | None) -> GuardAnswer:
    """A row as HTTP shows it."""
    return GuardAnswer.model_validate(_guard(guard, company))


def guard_detail(
    guard: Guard,
    company: str | None,
    *,
    employments: list[GuardEmployment],
    cards: list[GuardCard],
    leaves: list[GuardLeave],
) -> GuardDetailAnswer:
    """A row with what belongs to it."""
    return GuardDetailAnswer.model_validate(
        {
            **_guard(guard, company),
            "employments": tuple(
                EmploymentAnswer(company=row.company, begins=iso(row.from_ms), ends=_until(row.to_ms))
                for row in employments
            ),
            "cards": tuple(map(card_answer, cards)),
            "leaves": tuple(map(leave_answer, leaves)),
        }
    )


def card_answer(card: GuardCard) -> CardAnswer:
    """A row as HTTP shows it."""
    assert card.number is not None
    return CardAnswer(
        number=card.number,
        tag=card.tag,
        begins=iso(card.from_ms),
        ends=_until(card.to_ms),
        ended=None if card.ended is None else CardEnd(card.ended),
    )


def leave_answer(row: GuardLeave, uncovered: tuple[int, ...] = ()) -> LeaveAnswer:
    """A row as HTTP shows it."""
    assert row.number is not None
    return LeaveAnswer(
        number=row.number,
        guard=row.guard,
        begins=iso(row.from_ms),
        ends=iso(row.to_ms),
        stand_in=row.stand_in,
        uncovered=uncovered,
    )


def phone_out_answer(row: GuardPhoneOut) -> PhoneOutAnswer:
    """A row as HTTP shows it."""
    assert row.number is not None
    return PhoneOutAnswer(
        number=row.number,
        guard=row.guard,
        begins=iso(row.from_ms),
        ends=iso(row.to_ms),
        instead=Instead(row.instead),
        witness=row.witness,
    )


def duty_answer(
    listed: Listed,
    *,
    seen: Mapping[str, Guard],
    forces: Mapping[str, Force],
    employed: Mapping[str, list[Employment]],
    routes: Mapping[str, str],
) -> DutyAnswer:
    """A list as whoever reaches those of `seen` may read it."""
    duty, members = listed.duty, []
    assert duty.number is not None
    for row in listed.members:
        who = seen.get(row.guard)
        members.append(
            MemberAnswer(
                guard=None if who is None else who.id,
                service_number=None if who is None else who.service_number,
                name=None if who is None else who.name,
                force=forces[row.guard],
                company=employer(employed.get(row.guard, ()), row.from_ms),
                begins=iso(row.from_ms),
                ends=iso(row.to_ms),
                came=Came(row.came),
                went=None if row.went is None else Went(row.went),
            )
        )
    return DutyAnswer(
        number=duty.number,
        area=duty.area,
        route=duty.route,
        route_name=None if duty.route is None else routes.get(duty.route, duty.route),
        shift=duty.shift,
        begins=iso(duty.from_ms),
        ends=iso(duty.to_ms),
        called_off=_until(duty.called_off_ms),
        members=tuple(members),
        version=duty.version,
    )


def relief_answer(row: PatrolRelief) -> ReliefAnswer:
    """A row as HTTP shows it."""
    return ReliefAnswer(giver=row.giver, taker=row.taker, words=row.words, at=iso(row.at_ms))


def suspension_answer(row: PatrolSuspension) -> SuspensionAnswer:
    """A row as HTTP shows it."""
    return SuspensionAnswer.model_validate(
        {
            "number": row.number,
            "area": row.area,
            "cause": row.cause,
            "words": row.words or "-",
            "begins": iso(row.from_ms),
            "ends": iso(row.to_ms),
            "lifted": _until(row.lifted_ms),
        }
    )


def takeover_answer(found: TakeoverAsked) -> TakeoverAnswer:
    """What a company asked for, as HTTP shows it."""
    row = found.row
    assert row.number is not None
    return TakeoverAnswer(
        number=row.number,
        company=row.company,
        service_number=row.service_number,
        words=row.words,
        by=row.by,
        asked=iso(row.asked_ms),
        decision=None if row.decision is None else Decision(row.decision),
        reason=row.reason,
        decided=None if row.decided_ms is None else iso(row.decided_ms),
        guard=row.guard,
        present=found.present,
    )
