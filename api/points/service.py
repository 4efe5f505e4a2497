"""The points ledger as other parts of the station use it. Takes a session, never commits.

points.note(session, fact)    a fact, or a newer revision of one: what it is worth is booked or put right
points.book(session, entry)   one entry by hand; entries are never changed, only reversed
"""

from dataclasses import dataclass

from sqlmodel import Session

from api.points.facts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger. Points are whole tenths, `occurred_ms` is UTC, `guard` None: about the company.

    `reverses`: the id of the entry that this one takes back (冲正). `made_by`: an account, or "system".
    `fact` and `item`: what the rules made it of; `area`, `colour` and `night` say with whom it may be compared.
    """

    rule: str
    version: int
    guard: str | None
    company: str | None
    points_tenths: int
    occurred_ms: int
    evidence: tuple[str, ...]
    reason_zh: str
    reason_en: str
    made_by: str
    reverses: str | None = None
    fact: str | None = None
    item: str = ""
    area: str | None = None
    colour: str | None = None
    night: bool = False


def book(session: Session, entry: Entry) -> str:
    """Add one entry; returns its id."""
    raise NotImplementedError


def note(session: Session, fact: Fact) -> None:
    """Keep a fact or a newer revision of it, and let the ledger follow."""
    raise NotImplementedError
