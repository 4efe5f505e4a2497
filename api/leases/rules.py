"""Who may do a job. A lease is a row with a holder, a term and an end; it is renewed, and taken over when it ran out.

The clocks of two machines may differ, so the end only says when somebody else may try. What keeps two from working
is the term: whoever commits shows that it is still theirs, in the same transaction (`api.leases.service`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

HELD_MS: Final = 15_000
"""How long a lease lasts without being renewed: so long is a station without a process when a machine dies."""
RENEW_S: Final = 4.0
TRY_S: Final = 0.5
"""How often a process that stands by looks whether it is its turn."""


class Job(StrEnum):
    """What one process at a time does for a station. Serving people is none: any number may."""

    INGEST = "ingest"
    """The connection to the broker: taking in, sending out, and looking after the gateways."""
    NOTIFIER = "notifier"
    """The clock: what climbs, who is told, and what is due."""


class Role(StrEnum):
    """What a process was started for."""

    ALL = "all"
    INGEST = "ingest"
    NOTIFIER = "notifier"
    WEB = "web"

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What it needs a lease for, in the order in which it asks."""
        return _JOBS[self]

    @property
    def serves(self) -> bool:
        """Whether people are answered, and not only asked for its health."""
        return self in {Role.ALL, Role.WEB}


_JOBS: Final[Mapping[Role, tuple[Job, ...]]] = MappingProxyType(
    {
        Role.ALL: (Job.INGEST, Job.NOTIFIER),
        Role.INGEST: (Job.INGEST,),
        Role.NOTIFIER: (Job.NOTIFIER,),
        Role.WEB: (),
    }
)


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
