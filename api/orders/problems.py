"""What can be wrong with an order.

OrderProblem
+-- NotNow                  409: it is answered, or has ended
+-- NotOnDuty               409: .guard is on no duty list now
+-- AlreadyOrdered          409: .guard is at an alarm already; .order where it is this one
+-- ForPoliceAlone          422: who is no police is sent there only with a reason, in an officer's own words
"""

from http import HTTPStatus

from api.problems import Problem


class OrderProblem(Problem):
    """What is asked of an order cannot be."""

    status = HTTPStatus.CONFLICT


class NotNow(OrderProblem):
    """It is answered, or has ended."""

    type = "not_now"
    title = "Not in this state"


class NotOnDuty(OrderProblem):
    """Nobody is sent who is off duty. Field: `guard`."""

    type = "not_on_duty"
    title = "Not on duty"

    def __init__(self, guard: str) -> None:
        super().__init__("he is on no duty list of yours now (不在岗)", guard=guard)


class AlreadyOrdered(OrderProblem):
    """He has somewhere to go already. Fields: `guard`, and `order` where it is to the same alarm."""

    type = "already_ordered"
    title = "He is sent already"

    def __init__(self, guard: str, order: int | None) -> None:
        super().__init__("call him back first (已有派单)", guard=guard, order=order)


class ForPoliceAlone(OrderProblem):
    """An officer may send him all the same, if he says why."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "for_police_alone"
    title = "This is for the police alone"

    def __init__(self, guard: str) -> None:
        super().__init__(
            "he is no police: say why he is sent all the same; he is told by radio, and nothing is shown to him "
            "(仅限民警; 如确需派其前往, 请写明理由并用电台告知)",
            guard=guard,
        )
