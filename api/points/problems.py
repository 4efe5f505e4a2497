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
+-- CommentThere            409: there is one for this time, or this one is corrected already. .id
+-- CommentPublished        409: it is published, and never changes
+-- NothingSaid             409: there is no sentence, or it did not begin yet
+-- FactsChanged            409: what is cited was judged anew since somebody wrote it. .facts
+-- BadComment              422: .faults, every one of them
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


class CommentThere(PointsProblem):
    """A time has one comment, and each comment one correction. Field: `id`, of the one that is there."""

    type = "comment_there"
    title = "There is one already (已有点评)"

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__("edit that one, or correct it once it is published", id=id_)


class CommentPublished(PointsProblem):
    """What was published never changes."""

    type = "comment_published"
    title = "It is published (点评已发布)"

    def __init__(self) -> None:
        super().__init__(
            "what was published stays as it is; make a correction of it", zh="已发布的点评不得修改, 请另发更正"
        )


class NothingSaid(PointsProblem):
    """There is nothing to publish, or nothing to comment on yet."""

    type = "nothing_said"
    title = "There is nothing to say (无可点评)"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class FactsChanged(PointsProblem):
    """What is cited was judged anew. Field: `facts`, their keys."""

    type = "facts_changed"
    title = "What is cited was judged anew (所引事实已重新评定)"

    def __init__(self, facts: Sequence[str]) -> None:
        self.facts = tuple(facts)
        super().__init__("read these again, and say what is so now", facts=[*facts])


class BadComment(PointsProblem):
    """Sentences that cannot be. Field: `faults`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_comment"
    title = "This cannot be said so"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        words = [{"where": one.where, "why": one.why} for one in faults]
        super().__init__("; ".join(f"{one.where}: {one.why}" for one in faults)[:2_000], faults=words)
