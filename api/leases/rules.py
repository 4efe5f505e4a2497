"""Who may do a job. A lease is a row with a holder, a term and an end; it is renewed, and taken over when it ran out.

The clocks of two machines may differ, so the end only says when somebody else may try. What keeps two from working
is the term: whoever commits shows that it is still theirs, in the same transaction (`api.leases.service`).
"""

from dataclasses import dataclass
from typing import Final

HELD_MS: Final = 15_000
"""How long a lease lasts without being renewed: so long is a station without a process when a machine dies."""
RENEW_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as it stands."""

    holder: str
    term: int
    until_ms: int


def claim(held: Held | None, *, by: str, now_ms: int, gone: bool) -> Held | None:
    """The lease after `by` has asked for it, or None where another has it. `gone`: the other is known to be dead."""
    if held is None:
        return Held(by, 1, now_ms + HELD_MS)
    if held.holder == by:
        return Held(by, held.term, now_ms + HELD_MS)
    if gone or held.until_ms <= now_ms:
        return Held(by, held.term + 1, now_ms + HELD_MS)
    return None
