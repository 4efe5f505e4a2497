"""What follows when an alarm has changed: told in its transaction, so that neither is done without the other.

Escalation, notifications, the live feed and the ladder back to the lamp listen here. A consequence writes rows and
nothing else: what leaves the station is sent by a worker after the commit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlmodel import Session

from api.alarms.models import AlarmRecord
from api.alarms.rules import Action, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`alarm` is as it is now. `before`: None for one just opened. `by`: an account, None for a timer or an event."""

    alarm: AlarmRecord
    action: Action
    before: State | None
    at_ms: int
    by: str | None = None


Consequence = Callable[[Session, Sequence[Change]], None]
"""Hears of the changes of a transaction, in order: of a batch of events all at once."""
