"""Who is on duty at a moment: pure.

Theory:

1. A shift says that an account serves in a role for an area, on some days of the week, from a time of day for some
   minutes (past midnight, if need be), from a day to a day. Times of day are those of the shift's own zone.
2. Post A (a shift that is nobody's deputy) serves in its times. Post B (`deputy_of` an account, same role and area)
   serves in the times of A, and only while A is away: AB 岗.
3. Who is on leave does not serve. Whom the leave names as stand-in serves instead; without one, or when he is away as
   well, all deputies who are not.
4. A desk is attended while somebody's live desk has been heard of within UNATTENDED_S. That is counted by a clock that
   nobody sets, so that a wrong clock neither raises a fault nor hides one.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from api.rights.rules import Role

DAYS: Final = frozenset(range(1, 8))
"""Monday is 1, as ISO counts."""
DAY_MIN: Final = 1_440
UNATTENDED_S: Final = 60.0
BEAT_S: Final = 15.0
"""How often a live desk says that somebody sits there."""

BY_COMMUNITY: Final = frozenset({Role.GRID_WORKER, Role.GROUP_LEADER})
"""Roles whose roster a community keeps."""
ON_ROSTERS: Final = frozenset(
    {
        Role.GROUP_LEADER,
        Role.GRID_WORKER,
        Role.COMMUNITY,
        Role.TOWNSHIP,
        Role.OFFICER,
        Role.DUTY_OFFICER,
        Role.DUTY_LEADER,
        Role.COMMAND_CENTRE,
    }
)
"""Roles that somebody can be on duty in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """`account` serves in `role` for `area`. Good from `from_ms` until before `to_ms` (None: without an end)."""

    account: str
    role: Role
    area: str
    zone: str
    from_ms: int
    to_ms: int | None = None
    weekdays: frozenset[int] = DAYS
    starts_min: int = 0
    lasts_min: int = DAY_MIN
    deputy_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """`account` does not serve; `stand_in` does instead."""

    account: str
    from_ms: int
    to_ms: int
    stand_in: str | None = None


def serves(shift: Shift, at_ms: int) -> bool:
    """Whether this is a time of the shift."""
    if at_ms < shift.from_ms or (shift.to_ms is not None and at_ms >= shift.to_ms):
        return False
    local = datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(shift.zone)).replace(tzinfo=None)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - timedelta(days=1)):
        begins = day + timedelta(minutes=shift.starts_min)
        if day.isoweekday() in shift.weekdays and begins <= local < begins + timedelta(minutes=shift.lasts_min):
            return True
    return False


def on_duty(shifts: Collection[Shift], leaves: Iterable[Leave], at_ms: int) -> list[str]:
    """The accounts that serve now, deputies and stand-ins counted, each once, sorted."""
    away: dict[str, list[str]] = {}
    for leave in leaves:
        if leave.from_ms <= at_ms < leave.to_ms:
            away.setdefault(leave.account, []).extend([] if leave.stand_in is None else [leave.stand_in])
    serving: set[str] = set()
    for shift in shifts:
        if shift.deputy_of is not None or not serves(shift, at_ms):
            continue
        if shift.account not in away:
            serving.add(shift.account)
            continue
        instead = {one for one in away[shift.account] if one not in away}
        serving |= instead or {
            deputy.account
            for deputy in shifts
            if (deputy.deputy_of, deputy.role, deputy.area) == (shift.account, shift.role, shift.area)
            and deputy.account not in away
            and serves(deputy, at_ms)
        }
    return sorted(serving)


def may_roster(keepers: Collection[Role], role: Role) -> bool:
    """Whether somebody who keeps rosters as one of `keepers` may put accounts on duty in `role`."""
    theirs = set(keepers)
    return role in ON_ROSTERS and bool(theirs if role in BY_COMMUNITY else theirs - {Role.COMMUNITY})


class Attention:
    """Whether anybody sits at the desk, as one watcher counts: by its own monotonic seconds."""

    def __init__(self, *, began_s: float) -> None:
        self._heard_s = began_s
        self._beats: int | None = None
        self.heard = False
        """Whether a desk was heard of since this watcher began: a restart by itself ends no fault."""

    def look(self, beats: int, *, now_s: float) -> bool:
        """`beats` is how often a desk was heard of, ever. Returns whether nobody has sat there for UNATTENDED_S."""
        if self._beats is not None and beats != self._beats:
            self._heard_s = now_s
            self.heard = True
        self._beats = beats
        return now_s - self._heard_s >= UNATTENDED_S
