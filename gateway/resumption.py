"""What a restart interrupted: alarms that were kept, and whose sirens and lamps may not all have been told.

Pure. The journal tells in order what was kept; replaying it brings alert and ladder to where they were. Sirens are
desired states: a unit that plays already is told the same once more and does not begin anew, one that was not reached
begins. Only what is fresh rings (N12): after a reboot nothing is, because nobody can say how long it took.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from broker.ids import EventId, GatewayId, PressKey
from broker.kinds import OLD_AFTER_MS, EventType
from gateway.alert import Alert, Play, Switch
from gateway.events import Entry, Event
from gateway.ladder import Ladder, Show
from gateway.stamps import Stamp, age_ms

LAMP_MS: Final = 3_600_000
"""So long after its press a lamp is lit again. What became of it since, the station tells when it greets us."""


@dataclass(slots=True)
class Resumed:
    """What has to be told to units and pins."""

    sounds: list[Play | Switch] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)


def resume(
    lately: Iterable[tuple[Entry, bool]], *, alert: Alert, ladder: Ladder, gateway: GatewayId, now: Stamp
) -> Resumed:
    """Take up what was kept `lately` (oldest first, each with whether the station still owes its receipt)."""
    resumed = Resumed()
    presses: dict[PressKey, EventId] = {}
    for entry, owed in lately:
        event = entry.event
        match event.type:
            case EventType.PRESS:
                if event.press is not None:
                    presses[event.press] = event.id
                _light(event, ladder, resumed, now=now, owed=owed)
                if age_ms(event.stamp, now) + event.late_ms <= OLD_AFTER_MS:
                    resumed.sounds += alert.ring(event, facts=event.facts(gateway), now_ns=event.stamp.mono_ns)
            case EventType.CANCEL if event.verified and event.press in presses:
                resumed.sounds += alert.stop(presses[event.press])
            case EventType.SILENCED if event.verified and event.unit is not None:
                resumed.sounds += alert.silence(event.unit)
            case _:
                pass
    return resumed


def _light(event: Event, ladder: Ladder, resumed: Resumed, *, now: Stamp, owed: bool) -> None:
    if age_ms(event.stamp, now) > LAMP_MS:
        return
    show = ladder.begin(event, now.mono_ns)
    if show is not None:
        resumed.shows.append(show)
    if not owed:
        ladder.receipted([event.id])
