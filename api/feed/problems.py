"""What can be wrong with listening.

TooManyViewers              503: this account, or all together, listen often enough
"""

from http import HTTPStatus

from api.problems import Problem


class TooManyViewers(Problem):
    """There is no room for one more."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "too_many_viewers"
    title = "Too many are listening"
    headers = {"Retry-After": "10"}  # noqa: RUF012 - a constant like its neighbours

    def __init__(self) -> None:
        super().__init__("close a screen that nobody looks at, or try again")
