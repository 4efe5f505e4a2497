"""Which households were erased, by ids that say nothing of them: a restored backup must not bring them back."""

from sqlmodel import BigInteger, Field, SQLModel


class Erasure(SQLModel, table=True):
    """A household that was erased. `again`: a backup was restored since, in which it may be, and it waits its turn."""

    place: str = Field(primary_key=True)
    occupant: str = Field(primary_key=True)
    erased_ms: int = Field(sa_type=BigInteger)
    again: bool = False
