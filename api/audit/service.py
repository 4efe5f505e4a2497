"""Writing down who did what, and looking whether anybody changed it since.

What is recorded in a transaction goes into the chain when that transaction commits, as its last act: the head is the
last thing that a writer locks and it holds it for one round of inserts, so that two writers can neither wait for each
other in a circle nor find the same place in the chain. What rolls back leaves nothing.
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import event
from sqlalchemy.orm import Session as PlainSession
from sqlmodel import Session

from api.audit import repository, rules
from api.audit.rules import Bad, Head, Why

PENDING: Final = "audit"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    at_ms: int
    account: str | None
    action: str
    about: str
    words: str
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A gateway was told a head that this chain does not hold. `explained`: somebody answered for that by name."""

    gateway: str
    head: Head
    why: Why
    explained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a look at the whole chain: `rows` are good, `erased` of them have no words any more."""

    rows: int
    erased: int
    head: Head
    bad: Bad | None
    disputes: tuple[Dispute, ...] = ()
    """What gateways were told and the chain does not hold, explained or not."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong for which nobody answered."""
        return self.bad is None and all(one.explained for one in self.disputes)


def record(
    session: Session,
    *,
    at_ms: int,
    by: str | None,
    action: str,
    about: str,
    detail: Mapping[str, object] | None = None,
    reason: str | None = None,
) -> None:
    """Put one entry into the chain when the caller's transaction commits.

    `by`: the account, None for the station itself. `about`: "alarm:<id>", "place:<id>", ... Ids only: whatever a person
    could be known by belongs into `detail` (JSON) or `reason`, which can be erased.
    """
    recorded = _Recorded(
        at_ms=at_ms,
        account=by,
        action=action,
        about=about,
        words=rules.words_of(detail, reason),
        salt=secrets.token_hex(rules.SALT_BYTES),
    )
    if session.in_nested_transaction():
        _write(session, [recorded])  # it goes where its savepoint goes
    else:
        session.info.setdefault(PENDING, []).append(recorded)


def head(session: Session) -> Head:
    """Where the chain ends now: to be told to whoever shall notice when it changes."""
    return repository.head(session)


def verify(session: Session, *, told: Mapping[int, str] | None = None) -> Verdict:
    """Look at every entry, and at what gateways say they were told. `told`: what others were, digests by number."""
    end = repository.head(session)
    rows, erased, bad = rules.check(repository.walk(session), head=end, told=told)
    return Verdict(rows=rows, erased=erased, head=end, bad=bad, disputes=tuple(_disputes(session, end)))


def _disputes(session: Session, end: Head) -> Iterator[Dispute]:
    for row in repository.witnesses(session):
        head = Head(row.seq, row.digest)
        why = rules.held_against(head, head=end, digest=repository.digest_at(session, head.seq))
        if why is not None:
            yield Dispute(gateway=row.gateway, head=head, why=why, explained=row.explained_ms is not None)


@event.listens_for(PlainSession, "before_commit")
def _before_commit(session: PlainSession) -> None:
    if PENDING in session.info and isinstance(session, Session) and not session.in_nested_transaction():
        _write(session, session.info.pop(PENDING))


@event.listens_for(PlainSession, "after_rollback")
def _after_rollback(session: PlainSession) -> None:
    if not session.in_nested_transaction():
        session.info.pop(PENDING, None)


def _write(session: Session, recorded: list[_Recorded]) -> None:
    session.flush()
    at = repository.locked_head(session)
    made = []
    for one in recorded:
        entry, words = rules.link(
            at,
            at_ms=one.at_ms,
            account=one.account,
            action=one.action,
            about=one.about,
            words=one.words,
            salt=one.salt,
        )
        made.append((entry, words))
        at = Head(entry.seq, entry.digest)
    repository.add(session, [entry for entry, _ in made], [words for _, words in made], to=at)
