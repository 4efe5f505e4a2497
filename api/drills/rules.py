"""When a press belongs to a drill, and how ready a group is: pure.

Theory:

1. A drill is announced beforehand, is about one group, names its units, and ends by itself. A press is part of it when
   its unit is named, within its minutes, *and* the gateway itself knew of the drill and marked the press. Everything
   else is real, is shown as 演练期间 and climbs: whoever is in need during a drill is in need.
2. Ready means: can be reached now. A place is reached when one of its units is on a gateway that is there and nothing
   is known that keeps the unit from hearing or sounding. Places that say that nobody is at home are not counted on,
   and are shown as away. Exclusions are not looked at: a figure that moved with them would tell of them.
3. A place is late with its monthly test when none of its units was tested for TEST_DUE_MS. A unit that was installed
   since then is not late yet.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
AHEAD_MS: Final = 600_000
"""A drill is announced at least ten minutes before it begins."""
LONGEST_MS: Final = 2 * HOUR_MS
FARTHEST_MS: Final = 90 * DAY_MS
TEST_DUE_MS: Final = 35 * DAY_MS
"""A month and some days: who tests on the first of each month is never late."""

DEAF: Final = frozenset({"silent", "silence", "sounder", "does_not_confirm", "line_silent", "line_lost"})
"""Faults of a unit or of its line that keep it from hearing or sounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The minutes of a drill and the units that it names."""

    begins_ms: int
    ends_ms: int
    called_off_ms: int | None
    units: frozenset[str]

    def runs(self, at_ms: int) -> bool:
        """Whether it was going on then."""
        ends_ms = self.ends_ms if self.called_off_ms is None else min(self.ends_ms, self.called_off_ms)
        return self.begins_ms <= at_ms < ends_ms


@dataclass(frozen=True, slots=True)
class Judged:
    """What a press during drills is: part of one, or real though one went on."""

    drill: bool
    during: bool


def judge(spans: Sequence[Span], *, unit: str | None, marked: bool, at_ms: int) -> Judged:
    """Judge a press of `unit` that happened at `at_ms`; `marked`: its gateway took it for a part of a drill."""
    running = [span for span in spans if span.runs(at_ms)]
    named = any(unit in span.units for span in running)
    return Judged(drill=marked and named, during=bool(running) and not (marked and named))


def bad_times(*, now_ms: int, begins_ms: int, ends_ms: int) -> str | None:
    """Why this cannot be announced, in words; None when it can."""
    if begins_ms < now_ms + AHEAD_MS:
        return f"a drill is announced at least {AHEAD_MS // 60_000} minutes before it begins"
    if begins_ms > now_ms + FARTHEST_MS:
        return f"a drill is announced at most {FARTHEST_MS // DAY_MS} days before it begins"
    if ends_ms <= begins_ms:
        return "it would end before it begins"
    if ends_ms - begins_ms > LONGEST_MS:
        return f"a drill takes at most {LONGEST_MS // HOUR_MS} hours"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNow:
    """What is known of a unit: its gateway is there, the faults that are open about it and its line, its last test."""

    unit: str
    place: str
    gateway_there: bool
    faults: frozenset[str] = frozenset()
    tested_ms: int | None = None
    since_ms: int = 0

    @property
    def reached(self) -> bool:
        """Whether it can hear and sound, for all that is known."""
        return self.gateway_there and not self.faults & DEAF

    def late(self, now_ms: int) -> bool:
        """Whether its test is overdue."""
        return now_ms - max(self.tested_ms or 0, self.since_ms) > TEST_DUE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Of one group: all places, those that can be reached now, those away, those late with their test."""

    places: int
    reached: frozenset[str]
    away: frozenset[str]
    late: frozenset[str]
    station_reached: bool

    def seen_from(self, place: str) -> tuple[int, int]:
        """From one place: how many neighbours can be reached now, and how many there are."""
        return len(self.reached - {place}), self.places - 1


def readiness(
    places: Collection[str],
    units: Sequence[UnitNow],
    *,
    away: Collection[str],
    station_reached: bool,
    now_ms: int,
) -> Readiness:
    """How ready a group of `places` is."""
    here = frozenset(places)
    mine: Mapping[str, list[UnitNow]] = {place: [unit for unit in units if unit.place == place] for place in here}
    gone = here & frozenset(away)
    return Readiness(
        places=len(here),
        reached=frozenset(place for place in here - gone if any(unit.reached for unit in mine[place])),
        away=gone,
        late=frozenset(place for place in here if mine[place] and all(unit.late(now_ms) for unit in mine[place])),
        station_reached=station_reached,
    )
