"""Tables of installing: windows that were opened, and what was done about each unit in the place where it hangs."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlmodel import BigInteger, Field, SQLModel


class InstallationWindow(SQLModel, table=True):
    """From when to when units of a gateway (of one place, or all) that are not handed over may chirp."""

    __tablename__ = "installation_window"
    __table_args__ = (
        CheckConstraint("to_ms >= from_ms", name="period"),
        Index("ix_installation_window_gateway", "station", "gateway", "to_ms"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    gateway: str
    place: str | None = None
    by: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int = Field(sa_type=BigInteger)
    """When it ends, or was closed."""
    told: str | None = None
    """The gateway's session to which it was told last."""


class Installation(SQLModel, table=True):
    """How far a unit's installation in a place is: when it chirped, who read the address back, who heard the siren.

    `siren`: whether it sounded, as somebody beside it heard; None: nobody said. `siren_ms`: when it was heard.
    """

    __table_args__ = (
        ForeignKeyConstraint(["station", "unit"], ["unit.station", "unit.id"]),
        CheckConstraint("chirps >= 0 AND (chirps > 0) = (chirped_ms IS NOT NULL)", name="chirped"),
        CheckConstraint("(read_ms IS NULL) = (read_by IS NULL)", name="read"),
    )

    station: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    place: str = Field(primary_key=True)
    chirps: int = 0
    chirped_ms: int | None = Field(sa_type=BigInteger, default=None)
    read_ms: int | None = Field(sa_type=BigInteger, default=None)
    read_by: str | None = None
    siren: bool | None = None
    siren_ms: int | None = Field(sa_type=BigInteger, default=None)
    siren_by: str | None = None
