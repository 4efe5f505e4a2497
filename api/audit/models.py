"""Tables of the audit chain."""

from typing import Final

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import BigInteger, Field, SQLModel

HEX64: Final = "length(digest) = 64"


class Audit(SQLModel, table=True):
    """One entry of the chain: ids and digests (`api.audit.rules`). Never changed, never deleted.

    `about` names a thing: "alarm:<id>", "place:<id>", "account:<id>", ... `account` is empty for the station itself.
    """

    __table_args__ = (
        CheckConstraint("seq > 0", name="order"),
        CheckConstraint("length(sealed) = 64", name="sealed"),
        CheckConstraint(HEX64, name="digest"),
        Index("ix_audit_about", "about", "seq"),
        Index("ix_audit_account", "account", "seq"),
    )

    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    at_ms: int = Field(sa_type=BigInteger, index=True)
    account: str | None = None
    action: str
    about: str
    sealed: str
    digest: str


class AuditWords(SQLModel, table=True):
    """What an entry says beside its ids. Erasing a row leaves the chain as good as it was."""

    __tablename__ = "audit_words"
    __table_args__ = (CheckConstraint("length(salt) = 32", name="salt"),)

    seq: int = Field(
        primary_key=True, sa_type=BigInteger, foreign_key="audit.seq", sa_column_kwargs={"autoincrement": False}
    )
    salt: str
    words: str = Field(sa_type=Text)


class AuditWitness(SQLModel, table=True):
    """The newest head of the chain that a gateway says it was told, and what is wrong with it (`Why`, empty: nothing).

    `explained_ms`: somebody answered for it by name; the chain has an entry that says who, and why.
    """

    __tablename__ = "audit_witness"
    __table_args__ = (
        CheckConstraint(HEX64, name="digest"),
        CheckConstraint("seq > 0", name="order"),
        CheckConstraint("why IN ('', 'cut_off', 'missing', 'other_history')", name="why"),
    )

    gateway: str = Field(primary_key=True)
    seq: int = Field(sa_type=BigInteger)
    digest: str
    said_ms: int = Field(sa_type=BigInteger)
    why: str = ""
    explained_ms: int | None = Field(sa_type=BigInteger, default=None)


class AuditHead(SQLModel, table=True):
    """The one row that says where the chain ends. Whoever writes to the chain locks it."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"), CheckConstraint(HEX64, name="digest"))

    id: int = Field(primary_key=True, default=1, sa_column_kwargs={"autoincrement": False})
    seq: int = Field(sa_type=BigInteger)
    digest: str
