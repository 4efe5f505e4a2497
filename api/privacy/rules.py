"""The field register, read and checked: pure."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

REGISTER: Final = Path(__file__).with_name("fields.toml")
DAY_MS: Final = 86_400_000
MOVED_OUT: Final = "occupancy"
"""Instead of a column: since the occupant has moved out of every place."""
VACANT: Final = "vacancy"
"""Instead of a column: since it was replaced, or since nobody has lived in the place any more."""


class Then(StrEnum):
    """What becomes of personal data after its period."""

    BLANK = "blank"
    DELETE = "delete"


class RegisterError(Exception):
    """The field register says something that cannot be. Field: `where`."""

    def __init__(self, where: str, why: str) -> None:
        self.where = where
        super().__init__(f"fields.toml: {where}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """Why data is held, and how long. `most_days` None: as long as what it belongs to."""

    name: str
    zh: str
    en: str
    least_days: int
    most_days: int | None
    law: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """From when a period counts: `column`, of another `table` that is found by `key` of this one."""

    column: str
    table: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The register's word on one table."""

    table: str
    personal: Mapping[str, Class]
    ids: frozenset[str]
    plain: frozenset[str]
    since: Since | None
    then: Then | None
    keep: Mapping[str, frozenset[str]]
    """Of columns that hold a JSON object, the keys that say nothing about a person and that assessment needs."""

    @property
    def days(self) -> int | None:
        """After how many days what is personal goes; None: with what it belongs to."""
        most = {one.most_days for one in self.personal.values()}
        return most.pop() if most else None

    @property
    def declared(self) -> frozenset[str]:
        """Every column that the register has a word on."""
        return self.ids | self.plain | self.personal.keys()


@cache
def register() -> tuple[Mapping[str, Class], Mapping[str, Rule]]:
    """Classes and tables of this release. Raises RegisterError."""
    return read(REGISTER.read_text(encoding="utf-8"))


def read(text: str) -> tuple[Mapping[str, Class], Mapping[str, Rule]]:
    """Read a register. Raises RegisterError, which says where."""
    document = tomllib.loads(text)
    classes = {name: _class(name, row) for name, row in document["class"].items()}
    return classes, {name: _rule(name, row, classes) for name, row in document["table"].items()}


def _class(name: str, row: Mapping[str, Any]) -> Class:
    found = Class(
        name=name,
        zh=row["purpose"]["zh"],
        en=row["purpose"]["en"],
        least_days=row["least_days"],
        most_days=row.get("most_days"),
        law=row["law"],
    )
    if found.most_days is not None and not 0 <= found.least_days <= found.most_days:
        raise RegisterError(f"class.{name}", "the least period is longer than the most")
    return found


def _rule(name: str, row: Mapping[str, Any], classes: Mapping[str, Class]) -> Rule:
    where = f"table.{name}"
    personal = {}
    for column, word in row.get("personal", {}).items():
        if word not in classes:
            raise RegisterError(where, f"{column}: there is no class {word}")
        personal[column] = classes[word]
    since = row.get("since")
    rule = Rule(
        table=name,
        personal=personal,
        ids=frozenset(row.get("ids", ())),
        plain=frozenset(row.get("plain", ())),
        since=None if since is None else Since(column=since) if isinstance(since, str) else Since(**since),
        then=None if "then" not in row else Then(row["then"]),
        keep={column: frozenset(keys) for column, keys in row.get("keep", {}).items()},
    )
    if rule.keep.keys() - personal.keys() or (rule.keep and rule.then is not Then.BLANK):
        raise RegisterError(where, "keys are kept of a personal column that is blanked")
    if len({one.most_days for one in personal.values()}) > 1:
        raise RegisterError(where, "what is in one row goes at one time: the periods of its classes differ")
    if personal and rule.days is not None and (rule.since is None or rule.then is None):
        raise RegisterError(where, "say since when the period counts, and what happens then")
    if len(rule.declared) != len(rule.ids) + len(rule.plain) + len(personal):
        raise RegisterError(where, "a column stands there twice")
    return rule


def before_ms(rule: Rule, now_ms: int) -> int | None:
    """What is of this moment or earlier is due; None: nothing ever is by itself."""
    return None if rule.days is None else now_ms - rule.days * DAY_MS
