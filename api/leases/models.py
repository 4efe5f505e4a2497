"""The table of who works."""

from sqlalchemy import CheckConstraint
from sqlmodel import BigInteger, Field, SQLModel


class Lease(SQLModel, table=True):
    """`holder` may do `job` for `station` until `until_ms`. `term` rises each time that another takes it."""

    __table_args__ = (CheckConstraint("term > 0", name="rises"),)

    station: str = Field(primary_key=True)
    job: str = Field(primary_key=True)
    holder: str
    term: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
