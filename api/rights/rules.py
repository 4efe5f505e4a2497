"""Rights as a table, and the rules that read it: pure, without tables of a database or requests.

Theory:

1. An account holds grants. A grant is a role over something: an area, a company, a place, or all; from a day to a day.
2. `rights.toml` says for each action which roles have it, and over what. What it does not say is refused.
3. What a grant reaches is decided for each thing by itself (`Reach.covers`): an area reaches what lies in it, on either
   tree, at any depth. A thing that nobody's grant reaches is answered like one that does not exist.
4. A role has eyes: the audience of `broker.policy` whose view of an alarm it gets. Two grants are not added up: whoever
   is a grid worker here and a neighbour there sees here what a grid worker sees, and there what a neighbour sees.
   Of several grants that reach the same thing, the one that stands first in `SHARPEST` decides.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

from broker.kinds import Words
from broker.policy import Audience

TABLE: Final = Path(__file__).with_name("rights.toml")


class Role(StrEnum):
    """What somebody is (mission G5)."""

    HOUSEHOLD = "household"
    GROUP_LEADER = "group_leader"
    GRID_WORKER = "grid_worker"
    COMMUNITY = "community"
    TOWNSHIP = "township"
    """A street or township centre (综治中心)."""
    INSTALLER = "installer"
    GUARD = "guard"
    GUARD_COMPANY = "guard_company"
    OFFICER = "officer"
    """A community officer or any other officer (社区民警, 民警)."""
    DUTY_OFFICER = "duty_officer"
    DUTY_LEADER = "duty_leader"
    COMMAND_CENTRE = "command_centre"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


ROLE_WORDS: Final[Mapping[Role, Words]] = {
    Role.HOUSEHOLD: Words("住户", "household"),
    Role.GROUP_LEADER: Words("中心户长", "group leader"),
    Role.GRID_WORKER: Words("网格员", "grid worker"),
    Role.COMMUNITY: Words("社区", "community"),
    Role.TOWNSHIP: Words("街道(乡镇)综治中心", "street or township centre"),
    Role.INSTALLER: Words("安装员", "installer"),
    Role.GUARD: Words("保安", "guard"),
    Role.GUARD_COMPANY: Words("保安公司", "guard company"),
    Role.OFFICER: Words("社区民警", "community officer"),
    Role.DUTY_OFFICER: Words("值班民警", "duty officer"),
    Role.DUTY_LEADER: Words("值班领导", "duty leader"),
    Role.COMMAND_CENTRE: Words("指挥中心", "command centre"),
    Role.ADMINISTRATOR: Words("管理员", "administrator"),
    Role.AUDITOR: Words("审计员", "auditor"),
}


class Over(StrEnum):
    """What an action of a role is over; the table explains each word."""

    AREA = "area"
    COMPANY = "company"
    PLACE = "place"
    GROUP = "group"
    SELF = "self"
    DISPATCHED = "dispatched"
    ALL = "all"


class Without(StrEnum):
    """Actions that ask for no role."""

    ANYBODY = "anybody"
    MACHINE = "machine"


SHARPEST: Final = (Audience.POLICE, Audience.COMMUNITY, Audience.GRID, Audience.NEIGHBOUR, None)
"""Eyes, from those that see most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role over something. `scope` is the id of an area, a company or a place; empty where the role is over all.

    Good from `from_ms` until before `to_ms` (Unix milliseconds; None: without an end).
    """

    role: Role
    scope: str = ""
    from_ms: int = 0
    to_ms: int | None = None

    def holds(self, now_ms: int) -> bool:
        """Whether it is good now."""
        return self.from_ms <= now_ms and (self.to_ms is None or now_ms < self.to_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: an account with the grants that are good now. `via` says how it was proved."""

    account: str
    name: str
    grants: tuple[Grant, ...]
    via: str

    def has(self, *roles: Role) -> bool:
        """Whether one of these roles is held, over whatever."""
        return any(grant.role in roles for grant in self.grants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be reached, as far as rights ask about it.

    `areas`: every area that it lies in, on both trees, its group among them. `accounts`: whose it is.
    `dispatched`: the accounts that were sent to it and have not been called back.
    """

    areas: frozenset[str] = frozenset()
    group: str | None = None
    place: str | None = None
    company: str | None = None
    accounts: frozenset[str] = frozenset()
    dispatched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One grant's share in an action. `group`: where the place of a household lies."""

    role: Role
    eyes: Audience | None
    over: Over
    scope: str
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far an account reaches with one action."""

    account: str
    held: tuple[Held, ...]

    def covers(self, subject: Subject) -> tuple[Held, ...]:
        """The grants that reach `subject`, sharpest eyes first; empty: for this account it does not exist."""
        found = [held for held in self.held if _covers(held, subject, self.account)]
        return tuple(sorted(found, key=lambda held: SHARPEST.index(held.eyes)))

    @property
    def everything(self) -> bool:
        """Whether it is over all."""
        return any(held.over is Over.ALL for held in self.held)

    def over(self, *words: Over) -> frozenset[str]:
        """The scopes that are held over these: for narrowing a query before `covers` judges row by row."""
        return frozenset(held.scope for held in self.held if held.over in words)


@dataclass(frozen=True, slots=True)
class Authority:
    """Who asks, for what, and how far he reaches with it."""

    principal: Principal
    action: str
    reach: Reach


class RightsError(Exception):
    """The table says something that cannot be. Field: `where`."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        super().__init__(f"rights.toml: {where}: {why}")


@dataclass(frozen=True, slots=True)
class Rights:
    """The whole table."""

    eyes: Mapping[Role, Audience | None]
    scopes: Mapping[Role, str]
    actions: Mapping[str, Mapping[Role, Over] | Without]
    desk: frozenset[str] = frozenset()
    """What a desk on duty does by itself, with no officer signed in."""
    sent: frozenset[str] = frozenset()
    """What whoever was sent does with the alarm that he was sent to as well, wherever his grants lie."""

    def reach(self, principal: Principal, action: str, *, groups: Mapping[str, str]) -> Reach:
        """How far `principal` reaches with `action`; `groups`: the group of a place. KeyError: no action."""
        row = self.actions[action]
        if isinstance(row, Without):
            return Reach(account=principal.account, held=())
        held = [
            Held(
                role=grant.role,
                eyes=self.eyes[grant.role],
                over=row[grant.role],
                scope=grant.scope,
                group=groups.get(grant.scope) if self.scopes[grant.role] == "place" else None,
            )
            for grant in principal.grants
            if grant.role in row
        ]
        if action in self.sent:
            held += self._sent(held)
        return Reach(account=principal.account, held=tuple(held))

    @staticmethod
    def _sent(held: Sequence[Held]) -> list[Held]:
        """The same over what he was sent to: police with their own eyes, everybody else with nobody's."""
        if any(one.over is Over.DISPATCHED for one in held):
            held = [one for one in held if one.eyes is Audience.POLICE]
        by_eyes = {one.eyes if one.eyes is Audience.POLICE else None: one for one in held}
        return [replace(one, eyes=eyes, over=Over.DISPATCHED, group=None) for eyes, one in by_eyes.items()]


@cache
def rights() -> Rights:
    """The table of this release. Raises RightsError."""
    return read(TABLE.read_text(encoding="utf-8"))


def read(text: str) -> Rights:
    """Read a table. Raises RightsError, which says where."""
    table = tomllib.loads(text)
    roles = table["roles"]
    if missing := set(Role) ^ {*roles}:
        raise RightsError("roles", f"these are not on both sides: {', '.join(sorted(missing))}")
    eyes = {Role(name): None if row["eyes"] == "none" else Audience(row["eyes"]) for name, row in roles.items()}
    scopes = {Role(name): row["scope"] for name, row in roles.items()}
    actions = {action: _row(action, row) for action, row in table["actions"].items()}
    desk = frozenset(table.get("desk", {}).get("may", ()))
    sent = frozenset(table.get("sent", {}).get("may", ()))
    for where, named in (("desk", desk), ("sent", sent)):
        if strangers := named - actions.keys():
            raise RightsError(where, f"no such action: {', '.join(sorted(strangers))}")
    return Rights(eyes, scopes, actions, desk, sent)


def _row(action: str, row: str | dict[str, str]) -> Mapping[Role, Over] | Without:
    try:
        return Without(row) if isinstance(row, str) else {Role(role): Over(over) for role, over in row.items()}
    except ValueError as error:
        raise RightsError(action, str(error)) from None


def _covers(held: Held, subject: Subject, account: str) -> bool:
    match held.over:
        case Over.ALL:
            return True
        case Over.AREA:
            return held.scope in subject.areas
        case Over.COMPANY:
            return held.scope != "" and held.scope == subject.company
        case Over.PLACE:
            return held.scope != "" and held.scope == subject.place
        case Over.GROUP:
            own = held.scope != "" and held.scope == subject.place
            return own or held.scope in subject.areas or (held.group is not None and held.group == subject.group)
        case Over.SELF:
            return account in subject.accounts
        case Over.DISPATCHED:
            return account in subject.dispatched
