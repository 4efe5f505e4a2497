"""Tables of channels, of hosts that they may use, of deliveries, and of the station's key for push services."""

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel


class NotifyHost(SQLModel, table=True):
    """A host that an administrator allowed channels to send to."""

    __tablename__ = "notify_host"

    station: str = Field(primary_key=True)
    host: str = Field(primary_key=True)
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)


class NotifyChannel(SQLModel, table=True):
    """A way to reach an account, or the station's desk (`account` is None). `sealed`: address and secret.

    `police`: somebody who may say so said that only police read it. `host` is shown; it is no secret.
    A browser to which is pushed is a channel, too: `endpoint` is the digest of its address, `session` that of the
    session in which it was said, `renewed_ms` when its page said so last.
    """

    __tablename__ = "notify_channel"
    __table_args__ = (
        CheckConstraint("sort IN ('apprise', 'webhook', 'push')", name="sort"),
        CheckConstraint(
            "(sort = 'push') = (endpoint IS NOT NULL) AND (endpoint IS NULL) = (renewed_ms IS NULL)", name="push"
        ),
        CheckConstraint(
            "(quiet_from_min IS NULL) = (quiet_to_min IS NULL)"
            " AND (quiet_from_min IS NULL OR quiet_from_min BETWEEN 0 AND 1439)"
            " AND (quiet_to_min IS NULL OR quiet_to_min BETWEEN 0 AND 1439)",
            name="quiet",
        ),
        CheckConstraint("version > 0", name="version"),
        Index("ix_notify_channel_account", "station", "account"),
        Index("ix_notify_channel_endpoint", "endpoint"),
    )

    id: str = Field(primary_key=True)
    station: str
    account: str | None = None
    sort: str
    label: str
    host: str
    sealed: str = Field(sa_type=Text)
    police: bool = False
    quiet_from_min: int | None = None
    quiet_to_min: int | None = None
    zone: str
    made_by: str
    made_ms: int = Field(sa_type=BigInteger)
    ended_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1
    endpoint: str | None = None
    session: str | None = None
    renewed_ms: int | None = Field(sa_type=BigInteger, default=None)


class PushKey(SQLModel, table=True):
    """The key that push services know a station by. `sealed`: its private half."""

    __tablename__ = "push_key"

    station: str = Field(primary_key=True)
    sealed: str = Field(sa_type=Text)
    public: str
    made_ms: int = Field(sa_type=BigInteger)


class Delivery(SQLModel, table=True):
    """One notice on its way through one channel. `id` is drawn at random; `message` is shared by those sent as one.

    `escalation`: the deadline that told, so that it climbs when nobody can be reached.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'failed', 'undeliverable')", name="state"),
        CheckConstraint("(state IN ('sent', 'undeliverable')) = (done_ms IS NOT NULL)", name="done"),
        CheckConstraint("tries >= 0", name="tries"),
        CheckConstraint("length(id) = 32", name="id"),
        Index("ix_delivery_due", "station", "state", "due_ms"),
        Index("ix_delivery_account", "account", "made_ms"),
        Index("ix_delivery_channel", "channel", "done_ms"),
        Index("ix_delivery_escalation", "escalation"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    station: str
    channel: str = Field(foreign_key="notify_channel.id")
    account: str | None = None
    notice: str = Field(sa_type=Text)
    """JSON of a `rules.Notice`: nothing that says who or where."""
    police: bool
    urgent: bool
    escalation: str | None = None
    state: str = "waiting"
    """`failed` is tried again when it is due."""
    tries: int = 0
    made_ms: int = Field(sa_type=BigInteger)
    due_ms: int = Field(sa_type=BigInteger)
    expires_ms: int = Field(sa_type=BigInteger)
    claimed_ms: int | None = Field(sa_type=BigInteger, default=None)
    message: str | None = None
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    trouble: str | None = None
    """Why it failed, in one word."""
    private: bool = False
    """Whether it is its account's alone to read of: nobody reads it among the deliveries of the station."""
