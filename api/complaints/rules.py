"""Who looks into a complaint, by when, and what may follow: pure.

Theory:

1. A complaint is about a duty in an area, never about a person: there is no field for a name, nothing is looked up by
   one, and no card counts complaints. The words go after their period.
2. It goes to those who lead the duty complained of (HANDLERS), never to those who have it. Whoever has that duty in the
   area himself does not see it there, whatever else he may be.
3. It is taken, then answered with a finding; each once. It is due ANSWER_WITHIN_MS after it was made, whoever has it.
4. Whoever is to look into it is told, by those who are nearest to the duty first (RUNGS). Not taken within
   TAKE_WITHIN_MS, the next above are told as well; overdue, all of them. After a rest only the highest of it is told.
   Nobody is told who could not look into it, and where there is nobody at all the clock asks again every hour.
5. Whoever complained has a code of CODE_CHARS drawn characters, and needs nothing else to read how far it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.rights.rules import Grant, Role
from broker.kinds import Words

DAY_MS: Final = 86_400_000
ANSWER_WITHIN_MS: Final = 15 * DAY_MS
TAKE_WITHIN_MS: Final = 3 * DAY_MS
HOUR_MS: Final = 3_600_000
MOST_AN_HOUR: Final = 20
"""Complaints over one grid's board in an hour; whoever has more to say telephones."""
CODE_CHARS: Final = 12
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""None of them is taken for another one when it is read out."""


class About(StrEnum):
    """The duty that is complained of."""

    GRID_WORKER = "grid_worker"
    COMMUNITY = "community"
    OFFICER = "officer"
    LEADER = "leader"
    OTHER = "other"


class Way(StrEnum):
    """How a complaint came."""

    BOARD = "board"
    ACCOUNT = "account"
    PHONE = "phone"


class Finding(StrEnum):
    """What was found."""

    FOUNDED = "founded"
    PARTLY = "partly"
    UNFOUNDED = "unfounded"


class Told(StrEnum):
    """Why those who look into a complaint are told of it."""

    RECEIVED = "received"
    UNTAKEN = "untaken"
    OVERDUE = "overdue"


class Stage(StrEnum):
    """How far a complaint is."""

    RECEIVED = "received"
    TAKEN = "taken"
    ANSWERED = "answered"


ABOUT_WORDS: Final[Mapping[About, Words]] = {
    About.GRID_WORKER: Words("网格员", "grid worker"),
    About.COMMUNITY: Words("社区工作人员", "community staff"),
    About.OFFICER: Words("民警", "officer"),
    About.LEADER: Words("值班领导", "duty leader"),
    About.OTHER: Words("其他", "something else"),
}
FINDING_WORDS: Final[Mapping[Finding, Words]] = {
    Finding.FOUNDED: Words("属实", "founded"),
    Finding.PARTLY: Words("部分属实", "partly founded"),
    Finding.UNFOUNDED: Words("不属实", "unfounded"),
}
STAGE_WORDS: Final[Mapping[Stage, Words]] = {
    Stage.RECEIVED: Words("已收到", "received"),
    Stage.TAKEN: Words("办理中", "being looked into"),
    Stage.ANSWERED: Words("已答复", "answered"),
}

TOLD_WORDS: Final[Mapping[Told, Words]] = {
    Told.RECEIVED: Words("收到投诉", "a complaint came in"),
    Told.UNTAKEN: Words("投诉无人受理", "a complaint was not taken"),
    Told.OVERDUE: Words("投诉逾期未答复", "a complaint is overdue"),
}

RUNGS: Final[Mapping[About, Sequence[frozenset[Role]]]] = {
    About.GRID_WORKER: (
        frozenset({Role.COMMUNITY}), frozenset({Role.TOWNSHIP}), frozenset({Role.COMMAND_CENTRE}),
    ),
    About.COMMUNITY: (frozenset({Role.TOWNSHIP, Role.DUTY_LEADER}), frozenset({Role.COMMAND_CENTRE})),
    About.OFFICER: (frozenset({Role.DUTY_LEADER}), frozenset({Role.COMMAND_CENTRE})),
    About.LEADER: (frozenset({Role.COMMAND_CENTRE}),),
    About.OTHER: (
        frozenset({Role.COMMUNITY}), frozenset({Role.TOWNSHIP, Role.DUTY_LEADER}), frozenset({Role.COMMAND_CENTRE}),
    ),
}  # fmt: skip
"""Who looks into complaints about a duty, from the nearest up."""
HANDLERS: Final[Mapping[About, frozenset[Role]]] = {
    about: frozenset[Role]().union(*rungs) for about, rungs in RUNGS.items()
}
CONCERNED: Final[Mapping[About, frozenset[Role]]] = {
    About.GRID_WORKER: frozenset({Role.GRID_WORKER, Role.GROUP_LEADER}),
    About.COMMUNITY: frozenset({Role.COMMUNITY}),
    About.OFFICER: frozenset({Role.OFFICER, Role.DUTY_OFFICER}),
    About.LEADER: frozenset({Role.DUTY_LEADER}),
    About.OTHER: frozenset(),
}
"""Who has the duty: he looks into no complaint about it, whatever else he is."""


@dataclass(frozen=True, slots=True)
class Handled:
    """Complaints of this sort that an account looks into, by area: in all of them but `never`."""

    about: About
    scopes: frozenset[str]
    never: frozenset[str]


def handled(held: Iterable[tuple[Role, str]], grants: Collection[Grant]) -> list[Handled]:
    """What somebody looks into, by what he holds of the action and by all that he is."""
    held = [*held]
    found = []
    for about in About:
        scopes = frozenset(scope for role, scope in held if role in HANDLERS[about])
        never = frozenset(grant.scope for grant in grants if grant.role in CONCERNED[about])
        if scopes:
            found.append(Handled(about, scopes, never))
    return found


def stage(taken_ms: int | None, answered_ms: int | None) -> Stage:
    """How far a complaint is."""
    if answered_ms is not None:
        return Stage.ANSWERED
    return Stage.RECEIVED if taken_ms is None else Stage.TAKEN


def why(*, made_ms: int, due_ms: int, taken: bool, told: Told | None, now_ms: int) -> Told | None:
    """What there is to tell now of a complaint that has no answer; None: nothing that was not told."""
    if now_ms >= due_ms:
        found = Told.OVERDUE
    elif now_ms >= made_ms + TAKE_WITHIN_MS and not taken:
        found = Told.UNTAKEN
    else:
        found = Told.RECEIVED
    order = [*Told]
    return found if told is None or order.index(found) > order.index(told) else None


def climbs_ms(*, made_ms: int, due_ms: int, now_ms: int) -> int | None:
    """When there may be something to tell again; None: never."""
    return next((at_ms for at_ms in (made_ms + TAKE_WITHIN_MS, due_ms) if at_ms > now_ms), None)


def whom(rungs: Iterable[Collection[str]], told: Told) -> list[str]:
    """The accounts that are told, of those on each rung from the nearest up; rungs with nobody are passed over."""
    there = [rung for rung in rungs if rung]
    reached = {Told.RECEIVED: 1, Told.UNTAKEN: 2, Told.OVERDUE: len(there)}[told]
    return sorted({account for rung in there[:reached] for account in rung})


def code(drawn: bytes) -> str:
    """What a complaint is looked up by, of CODE_CHARS drawn octets."""
    return "".join(_LETTERS[octet % len(_LETTERS)] for octet in drawn)
