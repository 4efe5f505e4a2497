"""How far each press got, as its lamp shows it: the receipt ladder back to the presser. Pure.

kept (on disk) -> police have it (somebody acknowledged) -> somebody is coming -> closed; and "neighbours rung,
police not reached, phone 110" when the station has not receipted an alarm in time. A lamp belongs to the unit that
pressed; of several presses the furthest rung of the newest one shows. For duress there is no ladder: the unit
behaves as if idle, whatever happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from broker.ids import EventId, UnitId
from broker.kinds import AUDIBLE, LadderState
from devices.commands import Lamp
from gateway.events import Event

LAMPS: Final = {
    LadderState.KEPT: Lamp.KEPT,
    LadderState.POLICE_HAVE_IT: Lamp.POLICE_HAVE_IT,
    LadderState.SOMEBODY_COMING: Lamp.COMING,
    LadderState.POLICE_NOT_REACHED: Lamp.NOT_REACHED,
    LadderState.CLOSED: Lamp.IDLE,
}
MOST_OPEN: Final = 5_000


@dataclass(slots=True)
class _Climb:
    unit: UnitId
    state: LadderState
    due_ns: int | None
    """When the police count as not reached; None once they have it."""


@dataclass(frozen=True, slots=True)
class Show:
    """The lamp of `unit` shall show this."""

    unit: UnitId
    lamp: Lamp


class Ladder:
    """The open alarms of one gateway's own units."""

    def __init__(self, *, not_reached_s: int) -> None:
        """`not_reached_s`: without the station's receipt for so long, the police count as not reached."""
        self._not_reached_ns = not_reached_s * 1_000_000_000
        self._climbs: dict[EventId, _Climb] = {}
        self._dues: deque[tuple[int, EventId]] = deque()
        """In order, since all wait for the same time; what the police have meanwhile goes when its turn comes."""

    def begin(self, event: Event, now_ns: int) -> Show | None:
        """An alarm is on disk: its lamp blinks slowly from the answer on. None where no lamp may change."""
        if event.unit is None or event.kind not in AUDIBLE:
            return None
        while len(self._climbs) >= MOST_OPEN:
            del self._climbs[next(iter(self._climbs))]
        due_ns = now_ns + self._not_reached_ns
        self._climbs[event.id] = _Climb(event.unit, LadderState.KEPT, due_ns)
        self._dues.append((due_ns, event.id))
        return self._shown(event.unit)

    def receipted(self, events: Iterable[EventId]) -> list[Show]:
        """The station has these: it is reached (again)."""
        shows: list[Show] = []
        for event in events:
            climb = self._climbs.get(event)
            if climb is not None:
                climb.due_ns = None
                if climb.state is LadderState.POLICE_NOT_REACHED:
                    climb.state = LadderState.KEPT
                    shows.append(self._shown(climb.unit))
        return shows

    def moved(self, alarm: EventId, state: LadderState) -> list[Show]:
        """The station says how far the alarm is."""
        climb = self._climbs.get(alarm)
        if climb is None:
            return []
        climb.due_ns = None
        climb.state = state
        if state is LadderState.CLOSED:
            del self._climbs[alarm]
        return [self._shown(climb.unit)]

    def advance(self, now_ns: int) -> list[Show]:
        """Say of what has waited too long that the police are not reached."""
        shows: list[Show] = []
        while (due_ns := self.next_due()) is not None and due_ns <= now_ns:
            climb = self._climbs[self._dues.popleft()[1]]
            climb.due_ns = None
            climb.state = LadderState.POLICE_NOT_REACHED
            shows.append(self._shown(climb.unit))
        return shows

    def next_due(self) -> int | None:
        """When `advance` is worth calling."""
        while self._dues:
            due_ns, event = self._dues[0]
            climb = self._climbs.get(event)
            if climb is not None and climb.due_ns == due_ns:
                return due_ns
            self._dues.popleft()
        return None

    def _shown(self, unit: UnitId) -> Show:
        newest = next((climb for climb in reversed(self._climbs.values()) if climb.unit == unit), None)
        return Show(unit, Lamp.IDLE if newest is None else LAMPS[newest.state])
