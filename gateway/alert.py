"""The local alert: which sounder plays what now. Desired states, recomputed from the open alarms; no queue.

Theory: sound and alarm are two things. The gateway owns sound: 3 min for each alarm, then silence, while the
alarm stays open at the station. Sound ends early by a signed command, by the presser's own cancel, or (for one's
own sounder only) by a neighbour's key; never because somebody acknowledged. Of several alarms the highest kind
plays, and the newest doors are named. Where an officer quieted the neighbours' sirens for a place, only the presser's
own sound; what rings already goes on. It waits for nothing: no disk, no network, no right clock (N5).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from broker.ids import EventId, GroupId, HouseholdId, UnitId
from broker.kinds import Kind, Mark
from broker.messages import AlarmView, Command
from broker.policy import AlarmFacts, siren, sounding
from devices.commands import MOST_DOORS, Pattern, Siren
from gateway.events import Event
from gateway.register import Register
from gateway.settings import Sounder, Unit

PATTERNS: Final = {
    Kind.FIRE: Pattern.FIRE,
    Kind.PANIC: Pattern.PANIC,
    Kind.INTRUSION: Pattern.INTRUSION,
    Kind.MEDICAL: Pattern.MEDICAL,
    Kind.HELP: Pattern.HELP,
    Kind.DRILL: Pattern.DRILL,
}
FULL_VOLUME: Final = 3
MOST_PRESSES: Final = 16
"""So many presses of one place are remembered as the ones that sound now."""


@dataclass(slots=True)
class Ringing:
    """What sounds now for one place and pattern. Another press there prolongs it, with a door already told."""

    key: tuple[str, Pattern]
    alarms: list[EventId]
    door: int
    presser: HouseholdId | None
    group: GroupId | None
    audience: frozenset[HouseholdId]
    until_ns: int
    reference: int
    stand_back: bool = False
    quiet: bool = False
    """It began before a restart and is too old to be rung again: what still plays is only ever told to end (N12)."""
    alone: bool = False
    """Neighbours are told by message only: no sounder of a whole group plays it either."""

    @property
    def pattern(self) -> Pattern:
        """What it sounds like."""
        return self.key[1]


@dataclass(frozen=True, slots=True)
class Play:
    """`unit` shall play this from now on (None: nothing)."""

    unit: Unit
    siren: Siren | None


@dataclass(frozen=True, slots=True)
class Switch:
    """A wired sounder shall be on or off from now on."""

    sounder: Sounder
    on: bool


class Alert:
    """The alarms that sound at one gateway."""

    def __init__(self, register: Register, *, siren_s: int, night: tuple[int, int], utc_offset_min: int) -> None:
        """`night` are hours of local time between which a place's night volume counts."""
        self.register = register
        self._siren_s = siren_s
        self._night = night
        self._utc_offset_min = utc_offset_min
        self._ringing: dict[tuple[str, Pattern], Ringing] = {}
        self._of: dict[EventId, Ringing] = {}
        self._at: dict[UnitId, dict[tuple[str, Pattern], Ringing]] = {}
        self._on: set[UnitId] = set()
        self._is_night = False

    @property
    def ringing(self) -> tuple[Ringing, ...]:
        """What sounds now."""
        return tuple(self._ringing.values())

    def alarm_of(self, reference: int) -> EventId | None:
        """The newest alarm that a unit means by the 16-bit reference of its siren frame."""
        return next((ringing.alarms[-1] for ringing in self._ringing.values() if ringing.reference == reference), None)

    def chirp(self, unit: Unit) -> list[Play | Switch]:
        """One short tone on this unit alone, unless it sounds for somebody in need."""
        if self._at.get(unit.id):
            return []
        return [Play(unit, Siren(Pattern.CHIRP, volume=unit.volume, seconds=1, alarm=0, doors=(), own=True))]

    def ring(self, event: Event, *, facts: AlarmFacts, now_ns: int, quiet: bool = False) -> list[Play | Switch]:
        """Sound `event` where the policy lets it sound; nothing for duress and whatever else is not audible."""
        kind = None if event.membership is None else siren(facts, event.membership)
        if event.membership is None or kind is None:
            return []
        audience = frozenset(sounding(facts, event.membership))
        self._is_night = event.stamp.quality == "synced" and self._night_at(event.stamp.wall_ms)
        return self._ring(
            event.id,
            (event.place or event.id, PATTERNS[kind]),
            door=event.door,
            presser=event.place,
            group=event.group,
            audience=audience,
            now_ns=now_ns,
            quiet=quiet,
            alone=facts.quiet is True,
        )

    def plays_at(self, now_ns: int, *, began_ns: int) -> bool:
        """Whether what began then may still play."""
        return now_ns < began_ns + self._siren_s * 1_000_000_000

    def take_up(self, event: Event, *, facts: AlarmFacts, began_ns: int) -> None:
        """Know of an alarm that began before a restart, without a sound: so that what plays by itself can be ended."""
        self.ring(event, facts=facts, now_ns=began_ns, quiet=True)

    def ring_view(self, view: AlarmView, household: HouseholdId, *, now_ns: int) -> list[Play | Switch]:
        """Sound, at one household that is here, an alarm that another gateway told it by message."""
        if view.kind not in PATTERNS or view.quiet:
            return []
        key = (view.id, PATTERNS[Kind.DRILL if view.mark is Mark.DRILL else view.kind])
        known = self._ringing.get(key)  # of the same alarm, for another household here
        audience = frozenset({household}) | (known.audience if known else frozenset())
        return self._ring(view.id, key, door=view.door, presser=None, group=None, audience=audience, now_ns=now_ns)

    def ring_command(self, command: Command, *, now_ns: int) -> list[Play | Switch]:
        """Sound, at a whole group, an alarm that the station journalled (a phone press, a call to the desk).

        The same policy speaks as for a key: who is excluded, what medical sounds like, that a test disturbs nobody.
        """
        if command.alarm is None or command.kind is None or command.group is None:
            return []
        place = self.register.household(command.place)
        if place is None or place.group != command.group:
            membership = self.register.membership_of(command.group)
        else:
            membership = self.register.membership(place)
        facts = AlarmFacts(
            kind=command.kind,
            group=command.group,
            place=command.place,
            door=command.door,
            mark=command.mark,
            medical_consent=place is not None and place.medical_consent,
            quiet=command.quiet,
        )
        kind = siren(facts, membership)
        if kind is None:
            return []
        return self._ring(
            EventId(command.alarm),
            (command.place or command.alarm, PATTERNS[kind]),
            door=command.door,
            presser=command.place,
            group=command.group,
            audience=frozenset(sounding(facts, membership)),
            now_ns=now_ns,
            alone=facts.quiet is True,
        )

    def _ring(
        self,
        alarm: EventId,
        key: tuple[str, Pattern],
        *,
        door: int | None,
        presser: HouseholdId | None,
        group: GroupId | None,
        audience: frozenset[HouseholdId],
        now_ns: int,
        quiet: bool = False,
        alone: bool = False,
    ) -> list[Play | Switch]:
        before = self._ringing.pop(key, None)
        if alone and before is not None and not before.alone:  # quieted while it rang
            audience, alone = before.audience, False
        ringing = Ringing(
            key=key,
            alarms=[*(before.alarms if before else ())[-MOST_PRESSES:], alarm],
            door=door or 0,
            presser=presser,
            group=group,
            audience=audience,
            until_ns=now_ns + self._siren_s * 1_000_000_000,
            reference=before.reference if before and before.quiet <= quiet else _reference(alarm),
            stand_back=before.stand_back if before else False,
            quiet=quiet,
            alone=alone,
        )
        self._ringing[key] = ringing
        self._of.update(dict.fromkeys(ringing.alarms, ringing))
        units = list(self._units_for(ringing))
        for unit in units:
            at = self._at.setdefault(unit.id, {})
            at.pop(key, None)  # the newest stands last
            at[key] = ringing
        return [*self._plays(unit.id for unit in units), *self._switches()]

    def stop(self, alarm: EventId) -> list[Play | Switch]:
        """End the sound of one alarm everywhere."""
        ringing = self._of.get(alarm)
        return [] if ringing is None else self._end([ringing])

    def stand_back(self, alarm: EventId) -> list[Play | Switch]:
        """Tell the neighbours of one alarm not to come near."""
        ringing = self._of.get(alarm)
        if ringing is None:
            return []
        ringing.stand_back = True
        if ringing.quiet:
            return []  # it would begin anew where it is over
        return self._plays(unit.id for unit in self._units_for(ringing))

    def silence(self, unit: UnitId) -> list[Play | Switch]:
        """End the sound of what rings now at one unit, by its own key; the next alarm rings there again."""
        self._at.pop(unit, None)
        return self._plays([unit])

    def advance(self, now_ns: int) -> list[Play | Switch]:
        """End what has sounded for its time."""
        return self._end([ringing for ringing in self._ringing.values() if ringing.until_ns <= now_ns])

    def next_due(self) -> int | None:
        """When `advance` is worth calling."""
        first = next(iter(self._ringing.values()), None)  # all sound for the same time, and the newest stands last
        return None if first is None else first.until_ns

    def _end(self, ended: list[Ringing]) -> list[Play | Switch]:
        touched: dict[UnitId, None] = {}
        for ringing in ended:
            del self._ringing[ringing.key]
            for alarm in ringing.alarms:
                self._of.pop(alarm, None)
            for unit in self._units_for(ringing):
                if self._at.get(unit.id, {}).pop(ringing.key, None) is not None:
                    touched[unit.id] = None
        return [*self._plays(touched), *self._switches()] if ended else []

    def _plays(self, units: Iterable[UnitId]) -> list[Play | Switch]:
        plays: list[Play | Switch] = []
        for unit_id in units:
            unit = self.register.unit_by_id(unit_id)
            at = self._at.get(unit_id)
            if not at:
                self._at.pop(unit_id, None)
            if unit is not None:
                loud = [ringing for ringing in reversed((at or {}).values()) if not ringing.quiet]
                plays.append(Play(unit, self._siren(unit, loud) if loud else None))
        return plays

    def _switches(self) -> list[Switch]:
        switches = []
        for sounder in self.register.sounders:
            on = any(_concerns(sounder, ringing) for ringing in self._ringing.values() if not ringing.quiet)
            if on != (sounder.id in self._on):
                (self._on.add if on else self._on.discard)(sounder.id)
                switches.append(Switch(sounder, on))
        return switches

    def _units_for(self, ringing: Ringing) -> Iterable[Unit]:
        """Neighbours who may know, and the presser's own."""
        places = ringing.audience if ringing.presser is None else ringing.audience | {ringing.presser}
        for place in sorted(places):
            yield from self.register.units_of(place)

    def _siren(self, unit: Unit, alarms: list[Ringing]) -> Siren:
        """What one unit plays for the alarms that concern it, newest first."""
        loudest = min(alarms, key=lambda ringing: (ringing.pattern, not ringing.stand_back))
        doors = tuple(dict.fromkeys(ringing.door for ringing in alarms if ringing.door))
        volume = unit.night_volume if self._is_night else unit.volume
        return Siren(
            pattern=loudest.pattern,
            volume=FULL_VOLUME if loudest.pattern is Pattern.FIRE else volume,
            seconds=min(self._siren_s, 255),
            alarm=loudest.reference,
            doors=doors[:MOST_DOORS],
            own=any(ringing.presser == unit.household for ringing in alarms),
            strobe=unit.strobe,
            stand_back=any(ringing.stand_back for ringing in alarms),
        )

    def _night_at(self, wall_ms: int) -> bool:
        hour = (wall_ms // 60_000 + self._utc_offset_min) // 60 % 24
        begin, end = self._night
        return begin <= hour < end if begin <= end else hour >= begin or hour < end


def _reference(alarm: EventId) -> int:
    """Sixteen random bits of the id: the same after a restart, so that whoever silenced it is not rung again."""
    return int(alarm[-4:], 16) or 1


def _concerns(sounder: Sounder, ringing: Ringing) -> bool:
    """A household's sounder plays for that household; a group's, or the whole box's, for any alarm there."""
    if sounder.household is not None:
        return sounder.household == ringing.presser or sounder.household in ringing.audience
    return not ringing.alone and (sounder.group is None or sounder.group == ringing.group)
