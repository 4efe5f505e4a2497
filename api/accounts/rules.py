"""Rules of accounts, pure.

Theory:

1. *A session ends, a desk does not.* A person's session ends when it is idle or old. A paired desk that was put on duty
   goes on reading (`rights.toml`, [desk]) until somebody takes it off duty; only actions ask again who it is.
2. *Wrong guesses cost time, never the account.* Each source and each account has a count of failures, and a wait that
   grows with it and has an end. A paired desk is a source of its own with a wait of at most some seconds, and asks
   neither the account's count nor anybody else's: nobody far away can keep an officer from the alarm desk.
3. *Rights of administration need a second factor*, except for setting one up.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from api.rights.rules import Role


class Kind(StrEnum):
    """Whose an account is."""

    PERSON = "person"
    MACHINE = "machine"
    DESK = "desk"


class State(StrEnum):
    """What an account is now."""

    WAITING = "waiting"
    """A household joined; nobody has confirmed it yet."""
    ACTIVE = "active"
    CLOSED = "closed"


class Ended(StrEnum):
    """Why a session ended."""

    SIGNED_OUT = "signed_out"
    IDLE = "idle"
    OLD = "old"
    ROTATED = "rotated"
    CHANGED_OFFICER = "changed_officer"
    CREDENTIALS = "credentials"
    CLOSED = "closed"


SECOND_FACTOR: Final = frozenset({Role.ADMINISTRATOR})
HOME: Final = frozenset({Role.HOUSEHOLD, Role.GROUP_LEADER})
"""Whoever is nothing else stays signed in on his phone: see `Limits`."""
OWN: Final = frozenset({"session.own", "account.own"})
"""Actions that are possible before the second factor and the first password of one's own are there."""

GIVES: Final[dict[Role, frozenset[Role]]] = {
    Role.ADMINISTRATOR: frozenset(Role),
    Role.DUTY_LEADER: frozenset(
        {Role.OFFICER, Role.DUTY_OFFICER, Role.GRID_WORKER, Role.GROUP_LEADER, Role.COMMUNITY, Role.INSTALLER}
    ),
}
"""Which roles a role may give, within its own area."""

PIN_DIGITS: Final = 6
FREE_TRIES: Final = 5
FIRST_WAIT_MS: Final = 1_000
SOURCE_WAIT_MS: Final = 300_000
ACCOUNT_WAIT_MS: Final = 60_000
DESK_WAIT_MS: Final = 10_000
FORGET_MS: Final = 3_600_000
"""After this long without a failure the count begins anew."""
JOINING_TRIES: Final = 5
NEVER_MS: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a session lasts."""

    idle_ms: int
    absolute_ms: int


def wait_ms(failures: int, *, most_ms: int) -> int:
    """How long to wait after so many failures in a row: nothing, then doubling, up to an end."""
    over = failures - FREE_TRIES
    return 0 if over < 0 else min(FIRST_WAIT_MS << min(over, 20), most_ms)


def at_home(roles: Collection[Role]) -> bool:
    """Whether somebody with these roles is a household and nothing else."""
    return bool(roles) and HOME.issuperset(roles)


def has_ended(*, began_ms: int, seen_ms: int, now_ms: int, limits: Limits) -> Ended | None:
    """Whether a session has reached one of its limits."""
    if now_ms - began_ms >= limits.absolute_ms:
        return Ended.OLD
    if now_ms - seen_ms >= limits.idle_ms:
        return Ended.IDLE
    return None


def weak_pin(pin: str) -> bool:
    """Whether it is among the first that anybody tries: few digits, or a run of them."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return len(set(pin)) < 3 or steps in ({1}, {9})


def may_give(giver: Role, role: Role) -> bool:
    """Whether who is `giver` may make somebody else `role`."""
    return role in GIVES.get(giver, frozenset())
