"""What is handed over (交接班), as it is kept and as it is printed: open alarms, open faults, people out.

A sheet keeps ids, states and times. Names and doors are looked up when it is shown, from rows that can be erased.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from api import paper
from api.faults.words import words
from broker.kinds import KIND_WORDS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlarm:
    """An open alarm on a sheet. `owner`: the account that has it."""

    id: str
    number: int
    kind: str
    state: str
    owner: str | None
    received_ms: int
    himself: bool = False
    """Whoever raised it did so for himself, and not for a household; a sheet of an older release does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFault:
    """An open fault on a sheet."""

    number: int
    code: str
    about: str
    first_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """Somebody who is out: an account or a team, for an alarm."""

    who: str
    alarm: str
    since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is handed over."""

    alarms: tuple[OpenAlarm, ...]
    faults: tuple[OpenFault, ...]
    out: tuple[Out, ...]

    def text(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> "Sheet":
        """As it was kept."""
        kept: dict[str, list[dict[str, Any]]] = json.loads(text)
        return cls(
            alarms=tuple(OpenAlarm(**one) for one in kept["alarms"]),
            faults=tuple(OpenFault(**one) for one in kept["faults"]),
            out=tuple(Out(**one) for one in kept["out"]),
        )

    def same_alarms(self, other: "Sheet") -> bool:
        """Whether the same alarms are open, in the same hands and states."""
        return [(one.id, one.state, one.owner) for one in self.alarms] == [
            (one.id, one.state, one.owner) for one in other.alarms
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A sheet with the hands that it goes through."""

    number: int
    station: str
    giver: str
    taker: str
    note: str
    made_ms: int
    gave_ms: int | None
    took_ms: int | None
    sheet: Sheet


def page(signed: Signed, *, names: Mapping[str, str], state: Callable[[OpenAlarm], str], zone: ZoneInfo) -> str:
    """The sheet as a page to print on A4. `names` by account and area; `state`: an alarm's state in words."""
    return paper.page(
        "api.duty",
        "handover.html",
        one=signed,
        at=partial(paper.civil, zone=zone),
        name=lambda account: "" if account is None else names.get(account, account),
        kind=lambda kind: KIND_WORDS[Kind(kind)].zh,
        state=state,
        fault_words=lambda code: words(code).zh,
        numbers={alarm.id: alarm.number for alarm in signed.sheet.alarms},
    )
