"""Pure rules of faults: who may do what when, which come back, and which many are one.

Theory:

1. A fault has two lives that do not hang together. It is there, or over (`cleared_ms`): things say so. And somebody
   sees to it (`Work`): people say so. Nobody closes by hand what is still there, unless he says why.
2. What is over before anybody took it is done. What comes back within a day is the same fault again, to be seen to
   again; later it is a new one.
3. Many that fall silent or lose mains at about the same time in one area have one cause: a power cut, or somebody who
   jams (停电/干扰待判). They are one fault of the area, with a count and the time for which batteries last (`outages`).
   It is over when most of them are back; whoever is not is a fault of its own again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

COMES_BACK_MS: Final = 86_400_000
LOST_MS: Final = 75_000
"""A gateway tells its status every 20 s (60 at most). Silent for longer it is lost: with LOOK_S that is within 90 s."""
CLOSE_S: Final = 20
LOST_CLOSE_MS: Final = 14_500
"""The same for a site that wants to know within 20 s, whose gateways tell theirs every 5 s."""
TOGETHER_MS: Final = 600_000
"""Heartbeats are spread over minutes: what one cut takes away is missed one by one."""
MANY_LEAST: Final = 3
MANY_SHARE: Final = 3
"""More than one unit in three, and at least MANY_LEAST faults or two gateways, have one cause."""
BATTERY_MS: Final = 8 * 3_600_000
"""How long a unit works without mains, at least."""

AREA_OUTAGE: Final = "area_outage"
GATEWAY_OFFLINE: Final = "gateway_offline"
BROKER_LOST: Final = "broker_lost"
MAINS: Final = frozenset({"mains", "power_cut"})
SILENT: Final = frozenset({"unit_silent", "line_silent", "line_lost", GATEWAY_OFFLINE, *MAINS})
"""Faults that a power cut or a jammer makes many of."""


class Work(StrEnum):
    """How far people are with a fault."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    DONE = "done"


class Act(StrEnum):
    """What is done about a fault; the last three things do, without people."""

    ACKNOWLEDGE = "acknowledge"
    ASSIGN = "assign"
    NOTE = "note"
    DONE = "done"
    BEGAN = "began"
    RESTORED = "restored"
    CAME_BACK = "came_back"


TABLE: Final[Mapping[tuple[Work, Act], Work | None]] = {
    (Work.OPEN, Act.ACKNOWLEDGE): Work.ACKNOWLEDGED,
    (Work.OPEN, Act.ASSIGN): Work.ASSIGNED,
    (Work.OPEN, Act.NOTE): Work.OPEN,
    (Work.OPEN, Act.DONE): Work.DONE,
    (Work.OPEN, Act.RESTORED): Work.DONE,
    (Work.OPEN, Act.CAME_BACK): Work.OPEN,
    (Work.ACKNOWLEDGED, Act.ACKNOWLEDGE): None,
    (Work.ACKNOWLEDGED, Act.ASSIGN): Work.ASSIGNED,
    (Work.ACKNOWLEDGED, Act.NOTE): Work.ACKNOWLEDGED,
    (Work.ACKNOWLEDGED, Act.DONE): Work.DONE,
    (Work.ACKNOWLEDGED, Act.RESTORED): Work.ACKNOWLEDGED,
    (Work.ACKNOWLEDGED, Act.CAME_BACK): Work.ACKNOWLEDGED,
    (Work.ASSIGNED, Act.ACKNOWLEDGE): None,
    (Work.ASSIGNED, Act.ASSIGN): Work.ASSIGNED,
    (Work.ASSIGNED, Act.NOTE): Work.ASSIGNED,
    (Work.ASSIGNED, Act.DONE): Work.DONE,
    (Work.ASSIGNED, Act.RESTORED): Work.ASSIGNED,
    (Work.ASSIGNED, Act.CAME_BACK): Work.ASSIGNED,
    (Work.DONE, Act.ACKNOWLEDGE): None,
    (Work.DONE, Act.ASSIGN): None,
    (Work.DONE, Act.NOTE): Work.DONE,
    (Work.DONE, Act.DONE): None,
    (Work.DONE, Act.RESTORED): Work.DONE,
    (Work.DONE, Act.CAME_BACK): Work.OPEN,
}
"""What follows; None: refused. BEGAN makes a fault and is no step from one to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A fault that may be part of something greater. `units`: how many it takes away; `areas`: from near to far."""

    number: int
    began_ms: int
    gateway: str
    areas: Sequence[str]
    units: int = 1
    mains: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One fault instead of many. `battery_until_ms`: as long as batteries last; None: nobody said that mains failed."""

    area: str
    members: tuple[int, ...]
    units: int
    began_ms: int
    battery_until_ms: int | None


def outages(silences: Iterable[Silence], units_in: Mapping[str, int]) -> list[Outage]:
    """Which of these have one cause. `units_in`: how many units there are in each area. Nobody is in two outages.

    The greatest area comes first for which it is true, and which holds more than one of its parts does.
    """
    left = sorted(silences, key=lambda one: (one.began_ms, one.number))
    areas = sorted({area for one in left for area in one.areas}, key=lambda area: (-units_in.get(area, 0), area))
    found: list[Outage] = []
    for area in areas:
        together = _together([one for one in left if area in one.areas])
        if not _many(together, units_in.get(area, 0)) or _is_of_one_part(together, area):
            continue
        taken = {one.number for one in together}
        left = [one for one in left if one.number not in taken]
        found.append(outage(area, together))
    return found


def outage(area: str, members: Sequence[Silence]) -> Outage:
    """What `members` are together."""
    without = [one.began_ms for one in members if one.mains]
    return Outage(
        area=area,
        members=tuple(one.number for one in members),
        units=sum(one.units for one in members),
        began_ms=min(one.began_ms for one in members),
        battery_until_ms=min(without) + BATTERY_MS if without else None,
    )


def joins(one: Silence, area: str, last_ms: int) -> bool:
    """Whether a new silence is part of an outage of `area` whose latest member began at `last_ms`."""
    return area in one.areas and abs(one.began_ms - last_ms) <= TOGETHER_MS


def is_over(units_then: int, units_now: int) -> bool:
    """Whether an outage of so many units is over when so many are still away: most are back."""
    return units_now * 2 < units_then


def comes_back(cleared_ms: int, now_ms: int) -> bool:
    """Whether what is wrong again is the same fault as the one that ended then."""
    return now_ms - cleared_ms <= COMES_BACK_MS


def is_lost(seen_ms: int, now_ms: int, *, within_s: int) -> bool:
    """Whether a gateway that was heard of then is lost. `within_s`: the site's profile, 90 or 20."""
    return now_ms - seen_ms > (LOST_CLOSE_MS if within_s == CLOSE_S else LOST_MS)


def _together(silences: Sequence[Silence]) -> list[Silence]:
    """The greatest run of silences that began within TOGETHER_MS of each other's."""
    best: list[Silence] = []
    for first, begin in enumerate(silences):
        run = [one for one in silences[first:] if one.began_ms - begin.began_ms <= TOGETHER_MS]
        if sum(one.units for one in run) > sum(one.units for one in best):
            best = run
    return best


def _many(silences: Collection[Silence], units: int) -> bool:
    several = len(silences) >= MANY_LEAST or len({one.gateway for one in silences}) >= 2
    away = sum(one.units for one in silences)
    return several and away >= MANY_LEAST and away * MANY_SHARE > units


def _is_of_one_part(silences: Sequence[Silence], area: str) -> bool:
    """Whether all of them lie in one and the same smaller area, which then says more."""
    places = [list(one.areas).index(area) for one in silences]
    parts = {one.areas[place - 1] if place else None for one, place in zip(silences, places, strict=True)}
    return len(parts) == 1 and None not in parts
