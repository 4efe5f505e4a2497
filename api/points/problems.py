"""What can be wrong with what is asked of points.

PointsProblem
+-- TooLate                 409: the time of appeal is over, or it was never open. .state
+-- Decided                 409: somebody was faster, or it is not open any more. .state
+-- OwnDecision             409: whoever made it does not decide about the appeal against it
+-- AlreadyPaid             409: the same thing pays the same guard once. .reference
+-- NotOver                 409: the month still has what can change. .pending .appealed
+-- MonthClosed             409
+-- NotSimulated            409: rules are simulated on the past before they are switched on
+-- BadRuleTable            422: .faults, every one of them
+-- NoSuchGuard             422
+-- NotThisMonth            422: a version begins with a civil month that is to come, and is the next number
"""

from collections.abc import Sequence
from http import HTTPStatus

from api.points.rules import Fault
from api.problems import Problem


class PointsProblem(Problem):
    """What is asked cannot be."""

    status = HTTPStatus.CONFLICT


class TooLate(PointsProblem):
    """It cannot be appealed now. Field: `state`."""

    type = "too_late"
    title = "Not open for appeal (不在申诉期)"

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"this entry is {state}", state=state)


class Decided(PointsProblem):
    """There is nothing to decide any more. Field: `state`."""

    type = "decided"
    title = "This is decided"

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"it is {state}", state=state)


class OwnDecision(PointsProblem):
    """Whoever made an entry does not decide about the appeal against it."""

    type = "own_decision"
    title = "Somebody else has to decide (须由他人复核)"

    def __init__(self) -> None:
        super().__init__("you made this entry; the review is another person's")


class AlreadyPaid(PointsProblem):
    """One thing pays once. Field: `reference`."""

    type = "already_paid"
    title = "This was counted already (一事一奖)"

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"{reference!r} was counted for this guard already", reference=reference)


class NotOver(PointsProblem):
    """A month in which something can still change is not closed. Fields: `pending`, `appealed`."""

    type = "not_over"
    title = "This month cannot be closed yet"

    def __init__(self, why: str, *, pending: int = 0, appealed: int = 0) -> None:
        self.pending, self.appealed = pending, appealed
        super().__init__(why, pending=pending, appealed=appealed)


class MonthClosed(PointsProblem):
    """It is closed."""

    type = "month_closed"
    title = "This month is closed"

    def __init__(self, month: str) -> None:
        super().__init__(f"{month} is closed; what comes later is in a later month's account", month=month)


class NotSimulated(PointsProblem):
    """These very rules were not simulated."""

    type = "not_simulated"
    title = "Simulate these rules on the past first (先试算后启用)"

    def __init__(self) -> None:
        super().__init__("nobody has seen what these rules would have changed")


class BadRuleTable(PointsProblem):
    """A table that cannot be. Field: `faults`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_rules"
    title = "These are no rules"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        words = [{"where": one.where, "why": one.why} for one in faults]
        super().__init__("; ".join(f"{one.where}: {one.why}" for one in faults)[:2_000], faults=words)


class NoSuchGuard(PointsProblem):
    """Nobody of that id is yours."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "no_such_guard"
    title = "No such guard"

    def __init__(self, guard: str) -> None:
        super().__init__(f"no guard {guard!r} of yours", guard=guard)


class NotThisMonth(PointsProblem):
    """A version that begins at another time, or has another number, than it may."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_this_month"
    title = "Not from then on"
