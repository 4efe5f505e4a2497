"""What can be wrong with events that come by HTTP.

NotBelieved                 403: .reasons; nothing in the request is genuine
TooOften                    429: .wait_s; what was not taken stays with the gateway, which comes again
"""

from collections.abc import Collection
from http import HTTPStatus
from math import ceil

from api.problems import Problem


class NotBelieved(Problem):
    """Not one envelope is that of this gateway."""

    status = HTTPStatus.FORBIDDEN
    type = "not_believed"
    title = "Nothing of this is genuine"

    def __init__(self, reasons: Collection[str]) -> None:
        self.reasons = sorted(reasons)
        super().__init__("no envelope is signed by this gateway for its own topic", reasons=self.reasons)


class TooOften(Problem):
    """Nothing was looked at."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "too_often"
    title = "Too many requests"

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self.headers = {"Retry-After": str(max(1, ceil(wait_s)))}
        super().__init__("nothing of it was taken; keep it and come again")


class NotEvents(Problem):
    """A body that is no list of envelopes."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "malformed"
    title = "The request is malformed"
