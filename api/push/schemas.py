"""Push as HTTP takes and shows it."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, SecretStr, StringConstraints

from api.shapes import Answer, Asked

Octets = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+={0,2}$", max_length=128)]
"""Octets in base64url, as browsers give them."""


class Subscription(Asked):
    """A browser that wants to be pushed to: its `PushSubscription`, the language it reads in, and the page it has."""

    endpoint: Annotated[SecretStr, Field(min_length=12, max_length=1_000)] = Field(
        description="Where its push service takes messages. It is kept sealed and never shown again."
    )
    p256dh: Octets
    auth: Octets
    language: Literal["zh", "en"] = "zh"
    page: Literal["household", "guard", "field"] = "household"


class Endpoint(Asked):
    """A browser, by its address."""

    endpoint: Annotated[SecretStr, Field(min_length=12, max_length=1_000)]


class PushAnswer(Answer):
    """Whether this station pushes. `key`: what a browser subscribes with; None where it does not push."""

    offered: bool
    key: str | None
    devices: int
    """How many browsers of yours are pushed to."""


class SubscribedAnswer(Answer):
    """A browser that is pushed to."""

    renewed: datetime
    until: datetime
    """Unless its page is opened before then."""


class StationPushAnswer(Answer):
    """What became of what was pushed in the last 24 hours. Nobody was ever relied to be reached by it."""

    state: Literal["off", "unused", "quiet", "reached", "not_reached"]
    """`off`: no push service is allowed; `unused`: no browser; `quiet`: nothing was sent; else how the last try went.
    """
    services: tuple[str, ...]
    """The push services that are allowed."""
    devices: int
    sent: int
    failed: int
    waiting: int
    last: datetime | None
    trouble: str | None
