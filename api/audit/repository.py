"""Reading and writing the chain. Never commits."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, or_, select, update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_rows

from api.audit.models import Audit, AuditHead, AuditWitness, AuditWords
from api.audit.rules import Entry, Head, Words
from api.database import Bulk

AUDIT: Final[Table] = SQLModel.metadata.tables[str(Audit.__tablename__)]
WORDS: Final[Table] = SQLModel.metadata.tables[str(AuditWords.__tablename__)]
HEAD: Final[Table] = SQLModel.metadata.tables[str(AuditHead.__tablename__)]

READ_AT_ONCE: Final = 1_000

_ENTRY: Final = tuple(field.name for field in fields(Entry))
_ADD_ENTRY: Final = Bulk(AUDIT.name, _ENTRY)
_ADD_WORDS: Final = Bulk(WORDS.name, [field.name for field in fields(Words)])
_entry_values: Final = attrgetter(*_ADD_ENTRY.names)
_words_values: Final = attrgetter(*_ADD_WORDS.names)
_LOCKED_HEAD: Final = select(HEAD.c.seq, HEAD.c.digest).with_for_update()
_SET_HEAD: Final = update(HEAD).values(seq=bindparam("to_seq"), digest=bindparam("to_digest"))
_PAGE: Final = (
    select(*AUDIT.c, WORDS.c.salt, WORDS.c.words)
    .select_from(AUDIT.outerjoin(WORDS, WORDS.c.seq == AUDIT.c.seq))
    .where(AUDIT.c.seq > bindparam("after"))
    .order_by(AUDIT.c.seq)
    .limit(READ_AT_ONCE)
)


def head(session: Session) -> Head:
    """Where the chain ends."""
    seq, digest = session.connection().execute(select(HEAD.c.seq, HEAD.c.digest)).one()
    return Head(seq, digest)


def locked_head(session: Session) -> Head:
    """Where the chain ends; nobody else adds to it before this transaction ends."""
    seq, digest = session.connection().execute(_LOCKED_HEAD).one()
    return Head(seq, digest)


def add(session: Session, entries: Sequence[Entry], words: Sequence[Words], *, to: Head) -> None:
    """Insert entries behind a locked head, and set it."""
    _ADD_ENTRY.insert(session, [_entry_values(entry) for entry in entries])
    _ADD_WORDS.insert(session, [_words_values(one) for one in words])
    session.connection().execute(_SET_HEAD, {"to_seq": to.seq, "to_digest": to.digest})


def walk(session: Session) -> Iterator[tuple[Entry, Words | None]]:
    """The whole chain in order, a piece at a time."""
    after, more = -1, True
    while more:
        rows = session.connection().execute(_PAGE, {"after": after}).all()
        yield from (_both(row) for row in rows)
        more = len(rows) == READ_AT_ONCE
        after = rows[-1].seq if rows else after


def page(
    session: Session, *, below: int | None, about: str | None, account: str | None, action: str | None, limit: int
) -> list[tuple[Entry, Words | None]]:
    """Entries, newest first."""
    found = (
        select(*AUDIT.c, WORDS.c.salt, WORDS.c.words)
        .select_from(AUDIT.outerjoin(WORDS, WORDS.c.seq == AUDIT.c.seq))
        .order_by(AUDIT.c.seq.desc())
        .limit(limit)
    )
    if below is not None:
        found = found.where(AUDIT.c.seq < below)
    for column, wanted in ((AUDIT.c.about, about), (AUDIT.c.account, account), (AUDIT.c.action, action)):
        if wanted is not None:
            found = found.where(column == wanted)
    return [_both(row) for row in session.connection().execute(found)]


def of_actions(
    session: Session, beginnings: Sequence[str], *, before_ms: int | None, limit: int
) -> list[tuple[Entry, Words | None]]:
    """Entries whose action begins so, newest first."""
    found = (
        select(*AUDIT.c, WORDS.c.salt, WORDS.c.words)
        .select_from(AUDIT.outerjoin(WORDS, WORDS.c.seq == AUDIT.c.seq))
        .where(or_(*(AUDIT.c.action.startswith(beginning, autoescape=True) for beginning in beginnings)))
        .order_by(AUDIT.c.at_ms.desc(), AUDIT.c.seq.desc())
        .limit(limit)
    )
    if before_ms is not None:
        found = found.where(AUDIT.c.at_ms < before_ms)
    return [_both(row) for row in session.connection().execute(found)]


def changed_after(session: Session, seq: int, beginnings: Sequence[str], *, but: str) -> bool:
    """Whether an entry above `seq` has an action that begins so and does not end with `but`."""
    found = select(AUDIT.c.seq).where(
        AUDIT.c.seq > seq,
        or_(*(AUDIT.c.action.startswith(beginning, autoescape=True) for beginning in beginnings)),
        AUDIT.c.action.not_like(f"%{but}"),
    )
    return session.connection().execute(found.limit(1)).first() is not None


def after_of(session: Session, seq: int, actions: Collection[str]) -> list[Entry]:
    """Entries above `seq` with one of these actions, in order, without words."""
    found = select(*AUDIT.c).where(AUDIT.c.seq > seq, AUDIT.c.action.in_(actions)).order_by(AUDIT.c.seq)
    return [Entry(**row) for row in session.connection().execute(found).mappings()]


def digest_at(session: Session, seq: int) -> str | None:
    """The digest of one entry; None when there is none of this number."""
    return session.connection().execute(select(AUDIT.c.digest).where(AUDIT.c.seq == seq)).scalar_one_or_none()


def witness(session: Session, gateway: str) -> AuditWitness | None:
    """What a gateway says it was told."""
    return session.get(AuditWitness, gateway)


def witnesses(session: Session) -> Sequence[AuditWitness]:
    """What gateways say they were told, by gateway."""
    return session.exec(select_rows(AuditWitness).order_by(col(AuditWitness.gateway))).all()


def disputes(session: Session) -> Sequence[AuditWitness]:
    """What gateways were told and the chain does not hold, and nobody answered for."""
    found = select_rows(AuditWitness).where(AuditWitness.why != "", col(AuditWitness.explained_ms).is_(None))
    return session.exec(found.order_by(col(AuditWitness.gateway))).all()


def add_witness(session: Session, row: AuditWitness) -> None:
    """Insert what a gateway says for the first time."""
    session.add(row)
    session.flush()


def erase_words(session: Session, seqs: Sequence[int]) -> int:
    """Erase the words of these entries. Returns how many had any."""
    gone = 0
    for first in range(0, len(seqs), READ_AT_ONCE):
        some = seqs[first : first + READ_AT_ONCE]
        gone += session.connection().execute(delete(WORDS).where(WORDS.c.seq.in_(some))).rowcount
    return gone


def _both(row: Any) -> tuple[Entry, Words | None]:
    entry = Entry(**{name: getattr(row, name) for name in _ENTRY})
    return entry, None if row.words is None else Words(seq=row.seq, salt=row.salt, words=row.words)
