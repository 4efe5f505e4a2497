"""What the audit chain gives over HTTP."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.audit.models import AuditWitness
from api.audit.rules import IN_WORDS, Entry, Head, Why, Words
from api.audit.words import words_of_action
from api.clock import iso
from api.shapes import Answer, Asked, WordsAnswer, words_answer
from broker.ids import SEGMENT

WITHOUT_ALARMS: Final = ("session.", "account.", "grant.", "token.", "desk.", "joining.", "privacy.")
"""How actions begin whose entries say nothing about any alarm."""


class EntryAnswer(BaseModel):
    """Who did what. `detail` and `reason` are empty once they were erased.

    `by`: an account, with its name of today; null: the station itself. `words`: the action, for people.
    """

    at: datetime
    by: str | None
    by_name: str | None
    action: str
    words: WordsAnswer
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


class WitnessAnswer(Answer):
    """What a gateway says it was told of this chain. `wrong`: what is wrong with that, in words; null: nothing."""

    gateway: str
    seq: int
    digest: str
    said_at: datetime
    wrong: str | None
    explained_at: datetime | None


class Explanation(Asked):
    """Whoever answers for it that this chain does not hold what these gateways were told, and why that is so."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"gateways": ["gw1"], "reason": "restored from the copy of 03:00 after the disk had failed"}]
        },
    )

    gateways: Annotated[list[Annotated[str, StringConstraints(pattern=SEGMENT)]], Field(min_length=1, max_length=1_000)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=500)]


def witness_answer(row: AuditWitness) -> WitnessAnswer:
    """A gateway as a witness."""
    return WitnessAnswer(
        gateway=row.gateway,
        seq=row.seq,
        digest=row.digest,
        said_at=iso(row.said_ms),
        wrong=IN_WORDS[Why(row.why)].format(seq=row.seq) if row.why else None,
        explained_at=None if row.explained_ms is None else iso(row.explained_ms),
    )


def entry_answer(entry: Entry, words: Words | None, names: Mapping[str, str]) -> EntryAnswer:
    """An entry with its words. `names`: what accounts are called."""
    said = {} if words is None else json.loads(words.words)
    return EntryAnswer(
        at=iso(entry.at_ms),
        by=entry.account,
        by_name=None if entry.account is None else names.get(entry.account),
        action=entry.action,
        words=words_answer(words_of_action(entry.action)),
        about=entry.about,
        detail=said.get("detail"),
        reason=said.get("reason"),
        erased=words is None,
    )


def head_answer(head: Head) -> HeadAnswer:
    """The end of the chain."""
    return HeadAnswer(seq=head.seq, digest=head.digest)
