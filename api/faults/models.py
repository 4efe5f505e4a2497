"""What was done about faults. The faults themselves are rows of `api.ingest.models.Fault`."""

from sqlalchemy import CheckConstraint, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.faults.rules import Act


class FaultStep(SQLModel, table=True):
    """Something was done about a fault, by a person or (`account` empty) by the thing itself."""

    __tablename__ = "fault_step"
    __table_args__ = (
        CheckConstraint(f"act IN ({', '.join(repr(act.value) for act in Act)})", name="act"),
        UniqueConstraint("fault", "asked", name="uq_fault_step_asked"),
    )

    number: int | None = Field(primary_key=True, default=None)
    fault: int = Field(foreign_key="fault.number", index=True)
    act: str
    account: str | None = None
    assignee: str | None = None
    words: str = Field(default="", sa_type=Text)
    asked: str | None = None
    """The Idempotency-Key of the request."""
    at_ms: int = Field(sa_type=BigInteger)
