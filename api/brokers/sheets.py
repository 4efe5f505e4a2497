"""What somebody carries to a new gateway, screen or household: its account at the broker, on paper, once."""

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from api import paper
from api.brokers.schemas import AccountRole, GivenBrokerAccount

WORDS: Final[Mapping[AccountRole, str]] = {
    AccountRole.POLICE: "公安 Police",
    AccountRole.COMMUNITY: "社区 Community",
    AccountRole.GRID: "网格 Grid",
    AccountRole.HOUSEHOLD: "住户 Household",
    AccountRole.GATEWAY: "网关 Gateway",
}


def enrolment_page(
    given: GivenBrokerAccount, *, station: str, public: str, now_ms: int, zone: ZoneInfo
) -> str:  # fmt: skip
    """The sheet. `public`: the station's line of `keys/public`. The QR code holds the line of the account's file."""
    line = f"{given.user} {given.password}"
    return paper.page(
        "api.brokers",
        "enrolment.html",
        station=station,
        what=WORDS[given.role],
        id=given.id or "",
        gateway=given.role is AccountRole.GATEWAY,
        user=given.user,
        password=given.password,
        topics=given.topics,
        line=line,
        public=public,
        picture=paper.picture(line),
        made=paper.civil(now_ms, zone),
    )
