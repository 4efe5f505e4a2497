"""What can be done to a village: the commands of the simulator, as frozen facts and as JSON.

`{"do": "press", "unit": "u03", "key": "panic", "hold_ms": 200}` is `Press("u03", Key.PANIC, hold_ms=200)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, get_type_hints

from devices.radio433 import code_of
from devices.readings import Answer, Key
from firmware_sim.faults import Fault, fault_from


class BadAct(ValueError):
    """Nobody can do that; the message says why."""


@dataclass(frozen=True, slots=True)
class Press:
    """A finger on a key. `bounces`: how often a worn contact opens again at the beginning."""

    do: ClassVar[str] = "press"
    unit: str
    key: Key
    hold_ms: int = 200
    bounces: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    do: ClassVar[str] = "release"
    unit: str
    key: Key


@dataclass(frozen=True, slots=True)
class Jam:
    """A key sticks, or comes free."""

    do: ClassVar[str] = "jam"
    unit: str
    key: Key
    jammed: bool = True


@dataclass(frozen=True, slots=True)
class Cancel:
    do: ClassVar[str] = "cancel"
    unit: str


@dataclass(frozen=True, slots=True)
class GiveAnswer:
    do: ClassVar[str] = "answer"
    unit: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Test:
    __test__ = False  # pytest collects classes named Test; this one is an act

    do: ClassVar[str] = "test"
    unit: str


@dataclass(frozen=True, slots=True)
class HoldTag:
    """A tag at a native unit, or near a bare reader (`unit` is then the line's name) for `hold_ms`.

    `memory`: what is written on an NFC card, its user memory as hexadecimal digits; a PN532 alone reads it.
    """

    do: ClassVar[str] = "tag"
    unit: str
    tag: str
    hold_ms: int = 400
    memory: str = ""

    def __post_init__(self) -> None:
        if not 2 <= len(self.tag) <= 20 or len(self.tag) % 2 or set(self.tag) - set("0123456789ABCDEFabcdef"):
            raise BadAct(f"a tag is 2 to 20 hexadecimal digits, an even number of them; this is {self.tag!r}")
        try:
            bytes.fromhex(self.memory)
        except ValueError:
            raise BadAct(f"what is written on a card is octets in hexadecimal, this is {self.memory!r}") from None


@dataclass(frozen=True, slots=True)
class SendCode:
    """The key of a fixed-code transmitter in reach of a 433 MHz receiver (`unit` is the line's name)."""

    do: ClassVar[str] = "code"
    unit: str
    identity: int
    command: int = 1
    hold_ms: int = 200

    def __post_init__(self) -> None:
        try:
            code_of(self.identity, self.command)
        except ValueError as error:
            raise BadAct(str(error)) from None


@dataclass(frozen=True, slots=True)
class Reboot:
    do: ClassVar[str] = "reboot"
    unit: str
    off_ms: int = 500


@dataclass(frozen=True, slots=True)
class Tamper:
    do: ClassVar[str] = "tamper"
    unit: str
    opened: bool = True


@dataclass(frozen=True, slots=True)
class CutMains:
    do: ClassVar[str] = "mains"
    unit: str
    cut: bool = True


@dataclass(frozen=True, slots=True)
class SetBattery:
    do: ClassVar[str] = "battery"
    unit: str
    percent: int


@dataclass(frozen=True, slots=True)
class BreakSounder:
    do: ClassVar[str] = "sounder"
    unit: str
    broken: bool = True


@dataclass(frozen=True, slots=True)
class CutLine:
    """The wire is cut behind the units that stay; these hear nothing. No `units`: whoever is on the line."""

    do: ClassVar[str] = "cut"
    line: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MendLine:
    do: ClassVar[str] = "mend"
    line: str


@dataclass(frozen=True, slots=True)
class SetFaults:
    """From now on these faults, and no others, are on the line."""

    do: ClassVar[str] = "faults"
    line: str
    faults: tuple[Fault, ...] = ()


Act = (
    Press
    | Release
    | Jam
    | Cancel
    | GiveAnswer
    | Test
    | HoldTag
    | SendCode
    | Reboot
    | Tamper
    | CutMains
    | SetBattery
    | BreakSounder
    | CutLine
    | MendLine
    | SetFaults
)

ACTS: Mapping[str, type[Act]] = {
    act.do: act
    for act in (
        Press,
        Release,
        Jam,
        Cancel,
        GiveAnswer,
        Test,
        HoldTag,
        SendCode,
        Reboot,
        Tamper,
        CutMains,
        SetBattery,
        BreakSounder,
        CutLine,
        MendLine,
        SetFaults,
    )
}


def act_from(value: object) -> Act:
    """Read an act as it stands in JSON."""
    if not isinstance(value, Mapping) or value.get("do") not in ACTS:
        raise BadAct(f"do is one of {', '.join(ACTS)}; this is {value!r}")
    act = ACTS[value["do"]]
    types = get_type_hints(act)
    known = [field.name for field in fields(act)]
    given: dict[str, Any] = {}
    for name, item in value.items():
        if name == "do":
            continue
        if name not in known:
            raise BadAct(f"{act.do}: there is no {name!r}, only {', '.join(known)}")
        given[name] = _read(item, types[name], f"{act.do}: {name}")
    try:
        return act(**given)
    except TypeError:
        raise BadAct(f"{act.do}: needs {', '.join(known)}; this is {value!r}") from None


def act_to(act: Act) -> dict[str, object]:
    """The other way round, for acts without faults."""
    return {"do": act.do, **{field.name: _plain(getattr(act, field.name)) for field in fields(act)}}


def _plain(value: object) -> object:
    return value.name.lower() if isinstance(value, Key | Answer) else value


def _read(item: object, wanted: object, where: str) -> object:
    try:
        if wanted is Key or wanted is Answer:
            assert isinstance(item, str)
            return (Key if wanted is Key else Answer)[item.upper()]
        if wanted == tuple[Fault, ...]:
            assert isinstance(item, list)
            return tuple(fault_from(fault) for fault in item)
        if wanted == tuple[str, ...]:
            assert isinstance(item, list)
            assert all(isinstance(name, str) for name in item)
            return tuple(item)
        assert type(item) is wanted
        assert not isinstance(item, int) or item >= 0
    except (AssertionError, KeyError, ValueError) as error:
        raise BadAct(f"{where} is {item!r}" + (f": {error}" if isinstance(error, ValueError) else "")) from None
    return item
