"""What can be wrong with a decision about a colour.

BadBand                     422: it cannot hold so long
"""

from http import HTTPStatus

from api.problems import Problem


class BadBand(Problem):
    """It would hold for too long, or be over before it begins."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_band"
    title = "A colour cannot hold so long"
