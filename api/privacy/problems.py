"""What can be wrong with export and erasure.

NoSuchOccupant      404
StillNeeded         409: an alarm of the household is open
"""

from http import HTTPStatus

from api.problems import NotThere, Problem


class NoSuchOccupant(NotThere):
    """No such household, or none within reach."""

    type = "no_such_occupant"
    title = "There is no such household"

    def __init__(self, place: str) -> None:
        super().__init__(f"no such household in {place[:64]!r}")


class StillNeeded(Problem):
    """The data is needed to answer an alarm."""

    status = HTTPStatus.CONFLICT
    type = "still_needed"
    title = "An alarm of this household is open"

    def __init__(self) -> None:
        super().__init__("resolve it first; then erase")
