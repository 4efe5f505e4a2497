"""Channels and deliveries as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from api.clock import iso
from api.complaints.rules import Told
from api.notify.models import Delivery, NotifyChannel, NotifyHost
from api.notify.rules import DAY_MIN, Notice, called
from api.shapes import Answer, Asked, WordsAnswer, words_answer
from broker.kinds import Kind, Mark

Sort = Literal["apprise", "webhook"]
Minute = Annotated[int, Field(ge=0, lt=DAY_MIN, description="Minutes after midnight")]
Host = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.:-]{0,251}[a-z0-9])?$", to_lower=True, max_length=253)
]


class NewChannel(Asked):
    """A way to reach somebody. Quiet hours hold back what is not urgent, and never an alarm of one's duty."""

    sort: Sort
    url: Annotated[SecretStr, Field(min_length=8, max_length=2_000)] = Field(
        description="An https address (webhook), or one of apprise (wecombot, dingtalk, feishu, jsons, mailtos). "
        "It is kept sealed and never shown again.",
        examples=["https://hooks.example.cn/shouwang"],
    )
    label: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    quiet_from_min: Minute | None = None
    quiet_to_min: Minute | None = None
    zone: Literal["Asia/Shanghai", "Asia/Urumqi", "UTC"] = "Asia/Shanghai"
    police: bool = Field(default=False, description="Only for the station's own channels: only police read it")

    @model_validator(mode="after")
    def _quiet(self) -> Self:
        if (self.quiet_from_min is None) != (self.quiet_to_min is None):
            raise ValueError("quiet hours have a beginning and an end")
        return self


class PoliceMark(Asked):
    """Whether only police read a channel."""

    police: bool


class NewHost(Asked):
    """A host that channels may use."""

    host: Host = Field(examples=["oapi.dingtalk.com"])

    @field_validator("host")
    @classmethod
    def _named(cls, host: str) -> str:
        if host.endswith((".local", ".internal", ".localhost")):
            raise ValueError("this lies inside our own walls")
        return host


class ChannelAnswer(Answer):
    """A channel. Its address is never shown; `secret` of a webhook once, when it is made."""

    id: str
    account: str | None
    sort: Sort
    label: str
    host: str
    police: bool
    quiet_from_min: int | None
    quiet_to_min: int | None
    zone: str
    made: datetime
    secret: str | None = None
    version: int


class ChannelsAnswer(Answer):
    """Channels, oldest first."""

    items: tuple[ChannelAnswer, ...]


class HostAnswer(Answer):
    """A host that channels may use."""

    host: str
    made: datetime


class HostsAnswer(Answer):
    """Hosts, by name."""

    items: tuple[HostAnswer, ...]


class DeliveryAnswer(Answer):
    """One delivery and what became of it. `failed` is tried again."""

    id: str
    channel: str
    kind: Kind | None
    """None for what is no alarm."""
    fault: str | None
    over: bool
    """Whether it says that the fault is over."""
    complaint: Told | None
    """Why you were told of a complaint."""
    words: WordsAnswer
    mark: Mark | None
    trial: bool
    state: Literal["waiting", "sent", "failed", "undeliverable"]
    tries: int
    trouble: str | None
    gathered: bool
    """Whether it went out with others, in one message with a count."""
    made: datetime
    done: datetime | None


class DeliveryPage(Answer):
    """Deliveries, newest first."""

    items: tuple[DeliveryAnswer, ...]
    next: str | None


def channel_answer(row: NotifyChannel, secret: str | None = None) -> ChannelAnswer:
    """A row as HTTP shows it."""
    return ChannelAnswer(
        id=row.id,
        account=row.account,
        sort="webhook" if row.sort == "webhook" else "apprise",
        label=row.label,
        host=row.host,
        police=row.police,
        quiet_from_min=row.quiet_from_min,
        quiet_to_min=row.quiet_to_min,
        zone=row.zone,
        made=iso(row.made_ms),
        secret=secret,
        version=row.version,
    )


def host_answer(row: NotifyHost) -> HostAnswer:
    """A row as HTTP shows it."""
    return HostAnswer(host=row.host, made=iso(row.made_ms))


def delivery_answer(row: Delivery) -> DeliveryAnswer:
    """A row as HTTP shows it."""
    notice = Notice.read(row.notice)
    return DeliveryAnswer.model_validate(
        {
            "id": row.id,
            "channel": row.channel,
            "kind": notice.kind_shown,
            "fault": notice.fault,
            "over": notice.over,
            "complaint": notice.complaint,
            "words": words_answer(called(notice)),
            "mark": notice.mark,
            "trial": notice.trial,
            "state": row.state,
            "tries": row.tries,
            "trouble": row.trouble,
            "gathered": row.message is not None and row.message != row.id,
            "made": iso(row.made_ms),
            "done": None if row.done_ms is None else iso(row.done_ms),
        }
    )
