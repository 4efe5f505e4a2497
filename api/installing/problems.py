"""What can be wrong with an installation.

OtherAddress            409: what was read at the door is not what the register says
NotReady                409: .left, what is to be done before
BadWindow               422: it cannot be that long
"""

from collections.abc import Iterable
from http import HTTPStatus

from api.installing.rules import LEFT_WORDS, LONGEST_MS, Left
from api.problems import Problem


class OtherAddress(Problem):
    """The unit hangs elsewhere than the register says: put the register right first."""

    status = HTTPStatus.CONFLICT
    type = "other_address"
    title = "The register has another address"

    def __init__(self, known: str) -> None:
        super().__init__("put the register right, or hang the unit where it belongs", known=known, zh="登记的地址不同")


class NotReady(Problem):
    """Something is left to do before. Field: `left`."""

    status = HTTPStatus.CONFLICT
    type = "not_ready"
    title = "Something is left to do"

    def __init__(self, left: Iterable[Left]) -> None:
        self.left = tuple(left)
        words = [LEFT_WORDS[one] for one in self.left]
        super().__init__(
            "; ".join(one.en for one in words),
            left=[one.value for one in self.left],
            zh="；".join(one.zh for one in words),
        )


class BadWindow(Problem):
    """A window of a gateway that is not there, or of a place that is not on it."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_window"
    title = "There cannot be such a window"

    def __init__(self, why: str) -> None:
        super().__init__(why, longest_minutes=LONGEST_MS // 60_000)
