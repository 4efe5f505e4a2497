"""What a restart interrupted: alarms that were kept, and whose sirens and lamps may not all have been told.

Pure. The journal tells in order what was kept; replaying it brings alert and ladder to where they were. Sirens are
desired states: a unit that plays already is told the same once more and does not begin anew, one that was not reached
begins. Only what is fresh rings (N12): after a reboot nothing is, because nobody can say how long it took. What is
older, and may still play on units by itself, is taken up without a sound, so that a cancel or a stop ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.ids import EventId, GatewayId, PressKey, UnitId
from broker.kinds import AUDIBLE, OLD_AFTER_MS, EventType
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
    last: dict[UnitId, EventId] = field(default_factory=dict)
    """The latest press of each unit that all may hear of: what a cancel without a number means."""


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
                if event.unit is not None and event.kind in AUDIBLE:
                    resumed.last[event.unit] = event.id
                _light(event, ladder, resumed, now=now, owed=owed)
                resumed.sounds += _ring(event, alert, gateway=gateway, now=now)
            case EventType.CANCEL if event.verified:
                alarm = _cancelled(event, presses, resumed.last)
                resumed.sounds += [] if alarm is None else alert.stop(alarm)
            case EventType.SILENCED if "alarm" in event.detail:  # the station's order
                resumed.sounds += alert.stop(EventId(str(event.detail["alarm"])))
            case EventType.SILENCED if event.verified and event.unit is not None:
                resumed.sounds += alert.silence(event.unit)
            case _:
                pass
    return resumed


def _ring(event: Event, alert: Alert, *, gateway: GatewayId, now: Stamp) -> list[Play | Switch]:
    facts = event.facts(gateway)
    age = age_ms(event.stamp, now) + event.late_ms
    if age <= OLD_AFTER_MS:
        return alert.ring(event, facts=facts, now_ns=event.stamp.mono_ns)
    began_ns = now.mono_ns - age * 1_000_000
    if alert.plays_at(now.mono_ns, began_ns=began_ns) and event.late_ms <= OLD_AFTER_MS:  # else it never rang
        alert.take_up(event, facts=facts, began_ns=began_ns)
    return []


def _cancelled(event: Event, presses: Mapping[PressKey, EventId], last: Mapping[UnitId, EventId]) -> EventId | None:
    """The alarm that a household took back; without a number, its latest."""
    if event.press is None or event.unit is None:
        return None
    return last.get(event.unit) if event.press.endswith(":0") else presses.get(event.press)


def _light(event: Event, ladder: Ladder, resumed: Resumed, *, now: Stamp, owed: bool) -> None:
    if age_ms(event.stamp, now) > LAMP_MS:
        return
    show = ladder.begin(event, now.mono_ns)
    if show is not None:
        resumed.shows.append(show)
    if not owed:
        ladder.receipted([event.id])
