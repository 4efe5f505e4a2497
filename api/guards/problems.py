"""What can be wrong with what is asked about guards and their duties.

GuardProblem
+-- OverlappingShifts       409: .guard .name is on duty .duty then
+-- OnLeave                 409: .guard is on leave then
+-- NumberTaken             409: another guard has this service number, or this account
+-- CardTaken               409: the card is somebody's already, or a short reader could not tell it from another one
+-- NotNow                  409: it was so already, or is over
+-- NotEmployed             422: .guard is nobody's employee then
+-- NotOnDuty               422: .guard is not on this list then
+-- BadSpan                 422: it cannot be so long, so late, or end before it begins
+-- NoSuchArea, NoSuchCompany   422
"""

from http import HTTPStatus

from api.clock import iso
from api.problems import Problem


class GuardProblem(Problem):
    """What is asked about a guard cannot be."""

    status = HTTPStatus.CONFLICT


class OverlappingShifts(GuardProblem):
    """He would be in two places at once. Fields: `guard`, `name`, `duty`, `begins`, `ends`."""

    type = "overlapping_shifts"
    title = "Shifts overlap (班次重叠)"

    def __init__(self, guard: str, name: str | None, duty: int, from_ms: int, to_ms: int) -> None:
        self.guard, self.name, self.duty = guard, name, duty
        who = name or guard
        super().__init__(
            f"{who} is on duty list {duty} from {iso(from_ms):%F %R} to {iso(to_ms):%F %R} UTC "
            f"({who}已在第{duty}号值班表上)",
            guard=guard,
            name=name,
            duty=duty,
            begins=iso(from_ms).isoformat(),
            ends=iso(to_ms).isoformat(),
        )


class OnLeave(GuardProblem):
    """He is away then. Fields: `guard`, `name`."""

    type = "on_leave"
    title = "On leave (请假)"

    def __init__(self, guard: str, name: str | None) -> None:
        self.guard, self.name = guard, name
        super().__init__(f"{name or guard} is on leave then", guard=guard, name=name)


class NumberTaken(GuardProblem):
    """Somebody else has it. Field: `what`."""

    type = "number_taken"
    title = "Somebody else has it"

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"another guard has this {what}", what=what)


class CardTaken(GuardProblem):
    """The card is somebody's, or looks like one at a short reader."""

    type = "card_taken"
    title = "This card is taken"

    def __init__(self) -> None:
        super().__init__("it stands for somebody already, or a 24-bit reader could not tell it from such a card")


class NotNow(GuardProblem):
    """It is so already, or over."""

    type = "not_now"
    title = "Not in this state"


class NotEmployed(GuardProblem):
    """A guard goes on duty for a company. Fields: `guard`, `name`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_employed"
    title = "Nobody's employee then"

    def __init__(self, guard: str, name: str | None) -> None:
        self.guard, self.name = guard, name
        super().__init__(f"no company employs {name or guard} then", guard=guard, name=name)


class NotOnDuty(GuardProblem):
    """He is not on this list then. Fields: `guard`, `duty`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_on_duty"
    title = "Not on this duty list"

    def __init__(self, guard: str, duty: int | None = None) -> None:
        self.guard, self.duty = guard, duty
        where = "any duty list" if duty is None else f"duty list {duty}"
        super().__init__(f"{guard} is not on {where} then", guard=guard, duty=duty)


class BadSpan(GuardProblem):
    """These times cannot be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_span"
    title = "These times cannot be"


class NoSuchArea(GuardProblem):
    """The register has no such area. Field: `area`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_area"
    title = "No such area"

    def __init__(self, area: str) -> None:
        self.area = area
        super().__init__(f"the register has no area {area!r}", area=area)


class NoSuchCompany(GuardProblem):
    """The register has no such company. Field: `company`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_company"
    title = "No such company"

    def __init__(self, company: str) -> None:
        self.company = company
        super().__init__(f"the register has no company {company!r}", company=company)
