"""Accounts at the broker as HTTP takes and shows them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from api.shapes import Answer, Asked
from broker.ids import SEGMENT
from broker.topics import Role

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]
USER: Final = r"^[a-z0-9-]{1,32}\.[a-z]{1,16}(\.[a-z0-9-]{1,32})?(@[a-z0-9-]{1,32})?$"


class AccountRole(StrEnum):
    """Who can be given an account: everybody but the station itself."""

    POLICE = Role.POLICE.value
    COMMUNITY = Role.COMMUNITY.value
    GRID = Role.GRID.value
    HOUSEHOLD = Role.HOUSEHOLD.value
    GATEWAY = Role.GATEWAY.value


class NewBrokerAccount(Asked):
    """Whose account it is to be. `id` is left out for the police; `seat` tells several of one principal apart.

    `renew`: it has one already, and shall have another password; the one before ends with whoever uses it.
    """

    role: AccountRole = Field(examples=["household"])
    id: Segment | None = Field(default=None, examples=["h04"])
    seat: Annotated[Segment, Field(max_length=24)] | None = None
    renew: bool = False


class BrokerAccountAnswer(Answer):
    """An account. `valid` false: nobody lives there any more who was given it, or what it was for is gone."""

    user: str
    role: AccountRole
    id: str | None
    seat: str | None
    given: datetime
    by: str | None
    ended: datetime | None
    valid: bool


class GivenBrokerAccount(BrokerAccountAnswer):
    """A new account. The password is shown once, and kept nowhere. `topics` are what it may subscribe to."""

    password: str
    topics: list[str]


class BrokerAccountPage(Answer):
    """Accounts by user name."""

    items: list[BrokerAccountAnswer]
    next: str | None
