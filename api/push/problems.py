"""What can be wrong with a browser that wants to be pushed to.

NotSubscribed               422: .trouble: an address or keys that may not be used, in one word
NoSession                   403: it asks by a token or at a shared desk, and not as somebody's own phone
"""

from http import HTTPStatus

from api.problems import Problem


class NotSubscribed(Problem):
    """This cannot be pushed to. Field: `trouble`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "not_subscribed"
    title = "This browser cannot be pushed to"

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        super().__init__(
            "an address of a push service that this station allows, with a browser's keys", trouble=trouble
        )


class NoSession(Problem):
    """Only a phone on which somebody signed in is pushed to."""

    status = HTTPStatus.FORBIDDEN
    type = "no_session"
    title = "Not here"

    def __init__(self) -> None:
        super().__init__("sign in on your own phone: a token and a shared workstation are not pushed to")
