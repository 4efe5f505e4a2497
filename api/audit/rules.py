"""The chain, pure: what an entry's digest is made of, and what is wrong with a row.

Theory:

1. An entry of the chain holds ids and two digests, and nothing that a person could be known by.
2. `sealed` is the HMAC of the entry's words (detail and reason), keyed with a salt of their own. Words and salt stand
   in a row of their own. When that row is erased the words cannot be guessed from the digest, and the chain verifies.
3. `digest` is over the digest before it and over the whole entry. Whoever changes, takes out or puts in an entry has to
   change every digest after it, and the head shows it to everybody who was told an earlier head.

Digests are SHA-256, over the fields as one JSON list, so that no two entries have the same text.
"""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

AUDIT_CHANGED: Final = "audit_changed"
"""The code of the fault: the chain does not hold what gateways were told."""
SALT_BYTES: Final = 16
BEGINNING: Final = "0" * 64
"""Stands for the digest before the first entry."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of the chain. Whoever knows it can tell whether anything up to `seq` was changed since."""

    seq: int = 0
    digest: str = BEGINNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a gateway is told: where the chain ends, and what of that it told back.

    `rewritten`: what it told back is not in the chain, and somebody answered for that.
    """

    head: Head
    follows: Head | None
    rewritten: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One link of the chain."""

    seq: int
    at_ms: int
    account: str | None
    action: str
    about: str
    sealed: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What an entry says beside its ids, as text, with the salt of its seal (hexadecimal)."""

    seq: int
    salt: str
    words: str


class Why(StrEnum):
    """What is wrong with a row."""

    MISSING = "missing"
    """Its number is not the next one: rows were taken out or put in."""
    CHANGED = "changed"
    """Its digest is not that of its fields and of the row before."""
    WORDS_CHANGED = "words_changed"
    """Detail or reason are not what they were."""
    CUT_OFF = "cut_off"
    """The chain ends elsewhere than its head says."""
    OTHER_HISTORY = "other_history"
    """Somebody was told another digest for this number."""


IN_WORDS: Final[Mapping[Why, str]] = {
    Why.CUT_OFF: "it was told entry {seq}, and the chain ends before that: it was cut off, or an older copy restored",
    Why.MISSING: "it was told entry {seq}, which is not in the chain: it was taken out",
    Why.OTHER_HISTORY: "it was told another entry {seq} than the chain has: it was rewritten, or went on from an older "
    "copy",
}
"""What is wrong with a chain that a witness was told otherwise of."""


@dataclass(frozen=True, slots=True)
class Bad:
    """The first row that is not as it was written."""

    seq: int
    why: Why


def held_against(told: Head, *, head: Head, digest: str | None) -> Why | None:
    """What is wrong with a chain that ends at `head`, whose entry `told.seq` has this digest, when `told` was told."""
    if told.seq > head.seq:
        return Why.CUT_OFF
    if digest is None:
        return Why.MISSING
    return None if digest == told.digest else Why.OTHER_HISTORY


def words_of(detail: Mapping[str, object] | None, reason: str | None) -> str:
    """Detail and reason as the text that is sealed. TypeError: the detail is no JSON."""
    said = {"detail": dict(detail) if detail else None, "reason": reason}
    return _json({key: value for key, value in said.items() if value is not None})


def seal(salt: str, words: str) -> str:
    """The keyed digest of words."""
    return hmac.new(bytes.fromhex(salt), words.encode(), sha256).hexdigest()


def link(
    head: Head, *, at_ms: int, account: str | None, action: str, about: str, words: str, salt: str
) -> tuple[Entry, Words]:
    """The entry that comes after `head`, and its words."""
    seq, sealed = head.seq + 1, seal(salt, words)
    digest = _digest(head.digest, seq, at_ms, account, action, about, sealed)
    entry = Entry(seq=seq, at_ms=at_ms, account=account, action=action, about=about, sealed=sealed, digest=digest)
    return entry, Words(seq=seq, salt=salt, words=words)


def check(
    rows: Iterable[tuple[Entry, Words | None]], *, head: Head, told: Mapping[int, str] | None = None
) -> tuple[int, int, Bad | None]:
    """Walk a whole chain, in order: how many entries are good, how many of those lost their words, what is bad first.

    `told`: digests, by number, that somebody else was given as a head.
    """
    at, erased = Head(), 0
    for entry, words in rows:
        if bad := _bad(at, entry, words, told or {}):
            return at.seq, erased, bad
        at, erased = Head(entry.seq, entry.digest), erased + (words is None)
    if at != head:
        return at.seq, erased, Bad(min(at.seq, head.seq) + 1, Why.CUT_OFF)
    if beyond := [seq for seq in told or {} if seq > at.seq]:
        return at.seq, erased, Bad(min(beyond), Why.CUT_OFF)
    return at.seq, erased, None


def _bad(before: Head, entry: Entry, words: Words | None, told: Mapping[int, str]) -> Bad | None:
    seq = before.seq + 1
    if entry.seq != seq:
        return Bad(seq, Why.MISSING)
    made = _digest(before.digest, seq, entry.at_ms, entry.account, entry.action, entry.about, entry.sealed)
    if made != entry.digest:
        return Bad(seq, Why.CHANGED)
    if words is not None and seal(words.salt, words.words) != entry.sealed:
        return Bad(seq, Why.WORDS_CHANGED)
    if told.get(seq, made) != made:
        return Bad(seq, Why.OTHER_HISTORY)
    return None


def _digest(*fields: object) -> str:
    return sha256(_json(fields).encode()).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
