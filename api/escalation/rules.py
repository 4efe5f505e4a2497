"""Ladders, and what is due on them: pure.

Theory:

1. A ladder belongs to a kind, an area and a stage: what is waited for. Where several fit, the one of the nearest area
   counts, and there the one of the kind itself before the one for any kind. What is for any kind is for none that only
   the police may know: such a kind has ladders of its own, or the defaults.
2. When a stage begins, every level gets a deadline: a moment in UTC, and how many seconds remain, counted by a clock
   that nobody sets. After a restart the earlier of the two counts, so that neither downtime nor a wrong clock delays.
3. When several levels of one stage are overdue (the station was away), each is marked late, and only the highest is
   told; with it the duty officer, who would otherwise learn of it from his superior.
4. A level with nobody to tell is skipped, and the next one is due at once. So is the next one when nobody of a level
   could be reached.
5. A stage ends when its alarm has come further, whatever its levels did. Tests and drills have no stages.
6. What a superior urges (督办) is a stage beside the others: counted from the deadline that he gave, begun anew by each
   urge, and over when the alarm is resolved.
"""

import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from api.alarms.rules import State
from api.rights.rules import Role, rights
from broker.kinds import Kind, Mark, Words
from broker.policy import POLICY, Audience

DEFAULTS: Final = Path(__file__).with_name("ladders.toml")
LATE_MS: Final = 15_000
"""A level that is told so long after it was due is marked late."""
SAVE_S: Final = 10.0
"""How often it is written down how far everything was counted."""
LEVELS_MOST: Final = 10
ANY: Final = ""


class Stage(StrEnum):
    """What is waited for."""

    ACKNOWLEDGE = "acknowledge"
    ANSWERS = "answers"
    DISPATCH = "dispatch"
    ARRIVE = "arrive"
    RESOLVE = "resolve"
    URGED = "urged"


class Target(StrEnum):
    """Whom a rung tells: roles by the names of `api.rights`, and two that are no role."""

    NEIGHBOURS = "neighbours"
    DESK = "desk"
    GROUP_LEADER = "group_leader"
    GRID_WORKER = "grid_worker"
    COMMUNITY = "community"
    TOWNSHIP = "township"
    OFFICER = "officer"
    DUTY_OFFICER = "duty_officer"
    DUTY_LEADER = "duty_leader"
    COMMAND_CENTRE = "command_centre"

    @property
    def role(self) -> Role | None:
        """The role of whoever is on duty; None for the two that are no role."""
        return None if self in {Target.NEIGHBOURS, Target.DESK} else Role(self.value)

    @property
    def eyes(self) -> Audience | None:
        """Whose view of an alarm the target gets."""
        if self is Target.NEIGHBOURS:
            return Audience.NEIGHBOUR
        return Audience.POLICE if self is Target.DESK else rights().eyes[Role(self.value)]


class Sound(StrEnum):
    """What the desk hears."""

    ALARM = "alarm"
    URGENT = "urgent"


class Outcome(StrEnum):
    """What became of a deadline."""

    RUNNING = "running"
    TOLD = "told"
    PASSED = "passed"
    """Overdue together with a higher level, which was told instead."""
    SKIPPED = "skipped"
    """Nobody to tell."""
    SETTLED = "settled"
    """The alarm had come further before it was due."""
    ENOUGH = "enough"
    """Enough neighbours had answered."""


class Cause(StrEnum):
    """Why a level came."""

    TIMER = "timer"
    NOBODY = "nobody"
    """The level below had nobody to tell."""
    UNDELIVERABLE = "undeliverable"
    """Nobody of the level below could be reached."""


STAGE_WORDS: Final[Mapping[Stage, Words]] = {
    Stage.ACKNOWLEDGE: Words("待签收", "to be acknowledged"),
    Stage.ANSWERS: Words("待邻户应答", "neighbours to answer"),
    Stage.DISPATCH: Words("待派警", "somebody to be sent"),
    Stage.ARRIVE: Words("待到场", "somebody to arrive"),
    Stage.RESOLVE: Words("待办结", "to be resolved"),
    Stage.URGED: Words("督办到期", "urged and overdue"),
}

STAGE_OF: Final[Mapping[State, Stage | None]] = {
    State.RECEIVED: Stage.ACKNOWLEDGE,
    State.CANCELLED_BY_HOUSEHOLD: Stage.ACKNOWLEDGE,
    State.ACKNOWLEDGED: Stage.DISPATCH,
    State.VERIFIED: Stage.DISPATCH,
    State.DISPATCHED: Stage.ARRIVE,
    State.ON_THE_WAY: Stage.ARRIVE,
    State.ON_SCENE: Stage.RESOLVE,
    State.RESOLVED: None,
    State.FOLLOWED_UP: None,
    State.ARCHIVED: None,
}
"""What is waited for in each state. A household's cancel ends no waiting: an intruder can force it."""

ANSWERS_COUNT: Final = frozenset({State.RECEIVED, State.CANCELLED_BY_HOUSEHOLD, State.ACKNOWLEDGED, State.VERIFIED,
                                  State.DISPATCHED, State.ON_THE_WAY})  # fmt: skip
"""States in which too few answers still matter: nobody of the police is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Whom a level tells, and when. `share`: only when fewer neighbours answered, of those who can be reached now."""

    after_s: int
    tell: tuple[Target, ...]
    sound: Sound | None = None
    share: float | None = None


Ladder = tuple[Rung, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One level of a stage of one alarm."""

    level: int
    due_ms: int
    remaining_s: int
    rung: Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What to do with the overdue levels of one stage: `told` is the highest, `passed` are those below it."""

    told: int
    passed: tuple[int, ...]
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """How far it goes at once: levels `skipped` with nobody to tell, and the one `told` (None: nobody anywhere)."""

    skipped: tuple[int, ...]
    told: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderFault:
    """What is wrong with a ladder. `where`: the rung, counted from 0."""

    where: int
    why: str


BESIDE: Final = frozenset({Stage.ANSWERS, Stage.URGED})
"""Stages that do not end because the alarm comes into another state of those in which somebody has to do something."""


def plan(ladder: Ladder, opened_ms: int, *, after_s: int = 0) -> tuple[Deadline, ...]:
    """The deadlines of a stage that began at `opened_ms` and is counted from `after_s` later."""
    return tuple(
        Deadline(
            level=level,
            due_ms=opened_ms + (after_s + rung.after_s) * 1_000,
            remaining_s=after_s + rung.after_s,
            rung=rung,
        )
        for level, rung in enumerate(ladder)
    )


def remains_ms(*, due_ms: int, remaining_s: int, counted_ms: int, now_ms: int) -> int:
    """How long until it is due, after a restart: the earlier of the two counts. Negative when it is overdue."""
    return min(due_ms - now_ms, remaining_s * 1_000 - counted_ms)


def due(remaining_ms: Mapping[int, int]) -> Due | None:
    """What is due among the running levels of one stage; by level, how long until it is due."""
    overdue = sorted(level for level, left in remaining_ms.items() if left <= 0)
    if not overdue:
        return None
    late = len(overdue) > 1 or remaining_ms[overdue[-1]] < -LATE_MS
    return Due(told=overdue[-1], passed=tuple(overdue[:-1]), late=late)


def climb(levels: Iterable[int], somebody: Callable[[int], bool]) -> Climb:
    """From the lowest of `levels` upward to the first that has somebody to tell."""
    skipped: list[int] = []
    for level in sorted(levels):
        if somebody(level):
            return Climb(skipped=tuple(skipped), told=level)
        skipped.append(level)
    return Climb(skipped=tuple(skipped), told=None)


def enough(*, answered: int, reachable: int, share: float) -> bool:
    """Whether so many answers are enough. Nobody to be reached is never enough."""
    return reachable > 0 and answered >= share * reachable


def climbs(kind: Kind, mark: Mark | None) -> bool:
    """Whether an alarm is in earnest. A real press during a drill carries no mark."""
    return mark is None and kind not in {Kind.TEST, Kind.DRILL}


def stages(state: State, before: State | None) -> tuple[Stage, ...]:
    """The stages that begin when an alarm comes into `state`."""
    now = STAGE_OF[state]
    if now is None or (before is not None and STAGE_OF[before] is now):
        return ()
    return (now, Stage.ANSWERS) if before is None else (now,)


def pick(found: Mapping[tuple[str, str], Ladder], default: Ladder, *, kind: Kind, areas: Sequence[str]) -> Ladder:
    """The ladder that counts: `found` by (kind, area) of one stage, `areas` from near to far."""
    police_only = POLICY[kind][Audience.GRID] is None
    for area in (*areas, ANY):
        for name in (kind.value, *(() if police_only else (ANY,))):
            if (name, area) in found:
                return found[name, area]
    return default


def faults(ladder: Ladder, *, kind: Kind | None, stage: Stage) -> list[LadderFault]:
    """What is wrong with a ladder for a kind (None: any kind)."""
    wrong: list[LadderFault] = []
    last_s = -1
    for where, rung in enumerate(ladder):
        if rung.after_s <= last_s:
            wrong.append(LadderFault(where=where, why="it must come after the one before it"))
        last_s = rung.after_s
        if not rung.tell:
            wrong.append(LadderFault(where=where, why="it tells nobody"))
        if (rung.share is not None) != (stage is Stage.ANSWERS):
            wrong.append(LadderFault(where=where, why="a share belongs to the stage of answers and only there"))
        if kind is not None and (blind := _blind(kind, rung.tell)):
            why = f"{', '.join(blind)} may not know of {kind.value}"
            wrong.append(LadderFault(where=where, why=why))
    return wrong


def _blind(kind: Kind, tell: Collection[Target]) -> list[str]:
    return [target.value for target in tell if target.eyes is None or POLICY[kind][target.eyes] is None]


@cache
def defaults() -> Mapping[tuple[Kind, Stage], Ladder]:
    """The ladders of this release."""
    return read(DEFAULTS.read_text(encoding="utf-8"))


def read(text: str) -> Mapping[tuple[Kind, Stage], Ladder]:
    """Read a file of ladders. Raises ValueError or KeyError for one that cannot be."""
    found: dict[tuple[Kind, Stage], Ladder] = {}
    for one in tomllib.loads(text)["ladder"]:
        stage, ladder = Stage(one["stage"]), tuple(rung(values) for values in one["rungs"])
        for kind in map(Kind, one["kinds"]):
            if (kind, stage) in found:
                raise ValueError(f"two ladders for {kind} and {stage}")
            if wrong := faults(ladder, kind=kind, stage=stage):
                raise ValueError(f"{kind}, {stage}, rung {wrong[0].where}: {wrong[0].why}")
            found[kind, stage] = ladder
    return found


def rung(values: Mapping[str, Any]) -> Rung:
    """A rung as data. Raises ValueError or KeyError."""
    return Rung(
        after_s=int(values["after_s"]),
        tell=tuple(Target(name) for name in values["tell"]),
        sound=None if values.get("sound") is None else Sound(values["sound"]),
        share=None if values.get("share") is None else float(values["share"]),
    )


def as_data(one: Rung) -> dict[str, Any]:
    """A rung for a row."""
    values = {
        "after_s": one.after_s,
        "tell": [target.value for target in one.tell],
        "sound": one.sound,
        "share": one.share,
    }
    return {name: value for name, value in values.items() if value is not None}
