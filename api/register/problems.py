"""What can be wrong with an edit of the register.

Impossible              409: .faults, every one of them; nothing was changed
NotAhead                422: what is planned lies ahead
NeedsReason             422: people are looked up with a reason, which is recorded
"""

from collections.abc import Iterable
from http import HTTPStatus

from api.problems import Problem
from api.register.rules import Fault


class Impossible(Problem):
    """A register that cannot be. Field: `faults`."""

    status = HTTPStatus.CONFLICT
    type = "impossible_register"
    title = "The register cannot be like that"

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "; ".join(fault.words.en for fault in self.faults)[:512],
            faults=[
                {"code": fault.code, "about": fault.about, "zh": fault.words.zh, "en": fault.words.en}
                for fault in self.faults
            ],
        )


class NotAhead(Problem):
    """A moment that is not to come."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_ahead"
    title = "This moment is over"

    def __init__(self) -> None:
        super().__init__("plan for a moment to come; what shall hold from now on is changed at once")


class NeedsReason(Problem):
    """A look-up of people without a reason."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "needs_reason"
    title = "Why do you ask?"

    def __init__(self) -> None:
        super().__init__("give a reason of at least 4 characters: it is recorded, and the household may read it")
