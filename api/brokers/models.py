"""The table of accounts at the broker that were given out, or ended, by somebody."""

from sqlalchemy import CheckConstraint
from sqlmodel import BigInteger, Field, SQLModel


class BrokerAccount(SQLModel, table=True):
    """An account that was given out. `digest` None: its password is one that the site was set up with.

    A household's account is its occupant's: whoever lives there later has none. `to_ms`: it was taken back then.
    """

    __tablename__ = "broker_account"
    __table_args__ = (
        CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        CheckConstraint("role IN ('police', 'community', 'grid', 'household', 'gateway')", name="role"),
    )

    station: str = Field(primary_key=True)
    user: str = Field(primary_key=True)
    role: str
    id: str = ""
    seat: str = ""
    occupant: str | None = None
    digest: str | None = None
    by: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
