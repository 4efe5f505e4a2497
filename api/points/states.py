"""How far an entry or a flag is: worked out from what was done about it and the time, never stored. Pure."""

import json
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

from broker.kinds import Words

BEGINNING: Final = "0" * 64
"""Stands before the first closed month."""


class StepAction(StrEnum):
    """What can be done about an entry or a flag."""

    APPEALED = "appealed"
    UPHELD = "upheld"
    REJECTED = "rejected"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"
    """By the machine itself: late data took the ground away."""


class EntryState(StrEnum):
    """How far an entry is."""

    PENDING = "pending"
    APPEALED = "appealed"
    FINAL = "final"
    REVERSED = "reversed"


class FlagState(StrEnum):
    """How far a flag is."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    WITHDRAWN = "withdrawn"


ENTRY_WORDS: Final = {
    EntryState.PENDING: Words("公示中，可申诉", "pending, can be appealed"),
    EntryState.APPEALED: Words("申诉复核中", "appealed, under review"),
    EntryState.FINAL: Words("已生效", "final"),
    EntryState.REVERSED: Words("已冲正", "reversed"),
}
FLAG_WORDS: Final = {
    FlagState.OPEN: Words("待核实", "to be looked at"),
    FlagState.CONFIRMED: Words("已核实", "confirmed"),
    FlagState.DISMISSED: Words("不予认定", "dismissed"),
    FlagState.WITHDRAWN: Words("已撤回", "withdrawn"),
}


def entry_state(
    *,
    points_tenths: int,
    booked_ms: int,
    reversal: bool,
    reversed_: bool,
    steps: Collection[str],
    appeal_ms: int,
    now_ms: int,
) -> EntryState:
    """Of an entry. What takes points is pending for the time of appeal; a reversal and what gives points never are."""
    if reversed_:
        return EntryState.REVERSED
    if StepAction.APPEALED.value in steps and StepAction.REJECTED.value not in steps:
        return EntryState.APPEALED
    if points_tenths < 0 and not reversal and StepAction.REJECTED.value not in steps and now_ms < booked_ms + appeal_ms:
        return EntryState.PENDING
    return EntryState.FINAL


def flag_state(steps: Collection[str]) -> FlagState:
    """Of a flag."""
    for state in (FlagState.CONFIRMED, FlagState.DISMISSED, FlagState.WITHDRAWN):
        if state.value in steps:
            return state
    return FlagState.OPEN


def month_digest(previous: str, month: str, lines: Iterable[Sequence[object]]) -> str:
    """SHA-256 over the digest of the month before and every line, each as one JSON list."""
    made = sha256(json.dumps([previous, month]).encode())
    for line in lines:
        made.update(json.dumps([*line], ensure_ascii=False, separators=(",", ":")).encode())
        made.update(b"\n")
    return made.hexdigest()
