"""What can be wrong with working off a fault.

NoSuchFault                 404: none by that number, or none that this account may see
AlreadyTaken                409: .by and .at of whoever has it
StillThere                  409: it is not over; whoever closes it anyway says why
AlreadyDone                 409: nothing is to be done about it any more
"""

from http import HTTPStatus

from api.clock import iso
from api.problems import NotThere, Problem


class NoSuchFault(NotThere):
    """No fault by that number."""

    type = "no_such_fault"
    title = "There is no such fault"

    def __init__(self, number: int) -> None:
        super().__init__(f"no fault {number} here")


class AlreadyTaken(Problem):
    """Somebody sees to it already. Fields: `by`, `at_ms`."""

    status = HTTPStatus.CONFLICT
    type = "already_taken"
    title = "Somebody has this fault already"

    def __init__(self, number: int, *, by: str | None, at_ms: int | None) -> None:
        self.by = by
        at = None if at_ms is None else iso(at_ms).isoformat()
        super().__init__(f"fault {number} is {by or 'somebody'}'s already", fault=number, by=by, at=at)


class StillThere(Problem):
    """What is wrong is wrong still."""

    status = HTTPStatus.CONFLICT
    type = "still_there"
    title = "It is not over"

    def __init__(self, number: int) -> None:
        super().__init__(f"fault {number} is still there: say why it is done none the less", fault=number)


class AlreadyDone(Problem):
    """It is done with."""

    status = HTTPStatus.CONFLICT
    type = "already_done"
    title = "This fault is done"

    def __init__(self, number: int) -> None:
        super().__init__(f"fault {number} is done; it opens again by itself when it comes back", fault=number)
