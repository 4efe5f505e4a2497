"""What can be wrong with an inspection, a training or a meeting.

NotNow                      409: it is closed, or done already
BadForm                     422: what the form says cannot be
"""

from http import HTTPStatus

from api.problems import Problem


class NotNow(Problem):
    """It is closed, or done already."""

    status = HTTPStatus.CONFLICT
    type = "not_now"
    title = "Not in this state"


class BadForm(Problem):
    """What the form says cannot be."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_form"
    title = "This cannot be"
