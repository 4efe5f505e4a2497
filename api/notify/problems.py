"""What can be wrong with channels.

BadChannel                  422: an address that may not be used, in one word
NotYourChannel              403: only whoever may say so marks a channel as the police's
TooManyChannels             409
"""

from http import HTTPStatus
from typing import Final

from api.problems import Problem

CHANNELS_MOST: Final = 10


class BadChannel(Problem):
    """An address that may not be used. Field: `trouble`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_channel"
    title = "This address may not be used"

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble
        super().__init__("https or a known service, to a host that an administrator allowed", trouble=trouble)


class TooManyChannels(Problem):
    """One account has so many channels and no more."""

    status = HTTPStatus.CONFLICT
    type = "too_many_channels"
    title = "There are enough channels"

    def __init__(self) -> None:
        super().__init__(f"end one of the {CHANNELS_MOST} first")
