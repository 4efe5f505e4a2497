"""What can be wrong with a call.

CallProblem
+-- NotNow                  409: it is called already, or over, or he has answered
+-- NobodyThere             409: nobody is on duty there now
+-- NotCalled               422: .guard is not called by this
+-- BadCall                 422: it cannot be like this
"""

from http import HTTPStatus

from api.problems import Problem


class CallProblem(Problem):
    """What is asked of a call cannot be."""

    status = HTTPStatus.CONFLICT


class NotNow(CallProblem):
    """It is called already, or over, or answered."""

    type = "not_now"
    title = "Not in this state"


class NobodyThere(CallProblem):
    """There is nobody to draw from."""

    type = "nobody_there"
    title = "Nobody is on duty there"

    def __init__(self) -> None:
        super().__init__("nobody of yours is on a duty list there now (无人在岗)")


class NotCalled(CallProblem):
    """This call is not about him. Field: `guard`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_called"
    title = "Not called"

    def __init__(self, guard: str) -> None:
        self.guard = guard
        super().__init__("this call is not about him", guard=guard)


class BadCall(CallProblem):
    """It cannot be like this."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_call"
    title = "This call cannot be"
