"""What the audit chain gives over HTTP."""

import json
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from api.audit.rules import Entry, Head, Words
from api.clock import iso

WITHOUT_ALARMS: Final = ("session.", "account.", "grant.", "token.", "desk.", "joining.", "privacy.")
"""How actions begin whose entries say nothing about any alarm."""


class EntryAnswer(BaseModel):
    """Who did what. `detail` and `reason` are empty once they were erased."""

    at: datetime
    by: str | None
    action: str
    about: str
    detail: dict[str, Any] | None
    reason: str | None
    erased: bool


class EntryPage(BaseModel):
    """Entries, newest first."""

    items: list[EntryAnswer]
    next: str | None


class HeadAnswer(BaseModel):
    """Where the chain ends: keep it elsewhere, and `shouwang audit verify --told` holds the chain against it."""

    seq: int
    digest: str


def entry_answer(entry: Entry, words: Words | None) -> EntryAnswer:
    """An entry with its words."""
    said = {} if words is None else json.loads(words.words)
    return EntryAnswer(
        at=iso(entry.at_ms),
        by=entry.account,
        action=entry.action,
        about=entry.about,
        detail=said.get("detail"),
        reason=said.get("reason"),
        erased=words is None,
    )


def head_answer(head: Head) -> HeadAnswer:
    """The end of the chain."""
    return HeadAnswer(seq=head.seq, digest=head.digest)
