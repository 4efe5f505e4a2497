"""What may happen to a matter and to a task: pure.

Theory:

1. A matter goes the way of an alarm: collect (报告) - find (核实) - assign (签收) - handle (处置) - feed back (回访),
   each step timed (闭环). Its states and what follows are the table of `api.alarms.rules`; MATTER_ACTIONS says which
   of its actions there are for a matter. It never rings.
2. Nobody asks about his own work, and a closed matter is closed by somebody who looked.
3. A task is laid on a grid worker only from the admitted list (准入清单), as the list stands at that moment; its
   deadline is the list's. It is done with when whoever assigned it says so; sent back, it is due as before.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from api.alarms.rules import TABLE, Action, State
from broker.kinds import Words

HOUR_MS: Final = 3_600_000


class MatterKind(StrEnum):
    """What is reported."""

    HAZARD = "hazard"
    INCIDENT = "incident"


class TaskState(StrEnum):
    """How far a task is."""

    ASSIGNED = "assigned"
    DONE = "done"
    ACCEPTED = "accepted"


MATTER_WORDS: Final = {
    MatterKind.HAZARD: Words("安全隐患", "hazard"),
    MatterKind.INCIDENT: Words("警情线索", "incident"),
}
TASK_WORDS: Final = {
    TaskState.ASSIGNED: Words("待办", "assigned"),
    TaskState.DONE: Words("已反馈", "done"),
    TaskState.ACCEPTED: Words("办结", "accepted"),
}

MATTER_ACTIONS: Final[frozenset[Action]] = frozenset(
    {
        Action.ACKNOWLEDGE,
        Action.VERIFY,
        Action.ON_THE_WAY,
        Action.ON_SCENE,
        Action.NOTE,
        Action.RESOLVE,
        Action.FOLLOW_UP,
        Action.ARCHIVE,
        Action.REOPEN,
    }
)

_TASKS: Final[Mapping[tuple[TaskState, str], TaskState]] = {
    (TaskState.ASSIGNED, "done"): TaskState.DONE,
    (TaskState.DONE, "accept"): TaskState.ACCEPTED,
    (TaskState.DONE, "send_back"): TaskState.ASSIGNED,
}


def matter_after(state: State, action: Action) -> State | None:
    """The state of a matter after an action; None when it is refused."""
    return TABLE[state, action] if action in MATTER_ACTIONS else None


def task_after(state: TaskState, action: str) -> TaskState | None:
    """The state of a task after `done`, `accept` or `send_back`; None when it is refused."""
    return _TASKS.get((state, action))


def may_ask(account: str, handlers: frozenset[str]) -> bool:
    """Whether this account may ask the reporter how it was handled: it had no hand in it."""
    return account not in handlers


def admits(from_ms: int, to_ms: int | None, now_ms: int) -> bool:
    """Whether an entry of the list is in force."""
    return from_ms <= now_ms and (to_ms is None or now_ms < to_ms)


def due_ms(assigned_ms: int, deadline_h: int) -> int:
    """When a task must be done."""
    return assigned_ms + deadline_h * HOUR_MS


def overdue(state: TaskState, due: int, done_ms: int | None, now_ms: int) -> bool:
    """Whether it is, or was done, too late."""
    return (done_ms or now_ms) > due if state is not TaskState.ASSIGNED else now_ms > due
