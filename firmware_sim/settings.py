"""What a simulated village consists of. `deploy` makes these from a site file; here they are JSON.

A mistake in the text is a `BadSettings` that names the place.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any, TypeVar

from devices.frames import LAST_ADDRESS
from devices.radio433 import Form
from devices.sealing import KEY_BYTES
from firmware_sim.faults import Fault, fault_from, fault_to

M = TypeVar("M")


class BadSettings(ValueError):
    """The text does not describe a village; the message says where."""


class LineKind(Enum):
    """What hangs on a line; the value is its name in a site file."""

    NATIVE = "native"
    RDM6300 = "rdm6300"
    RADIO433 = "radio433"
    WIEGAND = "wiegand"
    PN532 = "pn532"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
    """One household's unit: `unit` is its address, `door` what its sticker says, `battery` in percent."""

    name: str
    unit: int
    key: bytes
    door: int = 0
    has_sounder: bool = True
    battery: int | None = None
    firmware: int = 0x0100

    def __post_init__(self) -> None:
        if not 1 <= self.unit <= LAST_ADDRESS:
            raise BadSettings(f"unit {self.name}: address {self.unit} is not 1 to {LAST_ADDRESS}")
        if len(self.key) != KEY_BYTES:
            raise BadSettings(f"unit {self.name}: a key has {KEY_BYTES} bytes, this one has {len(self.key)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """One port of the gateway and what hangs on it. `form`: what a 433 MHz receiver sends."""

    name: str
    baud: int = 9600
    kind: LineKind = LineKind.NATIVE
    units: tuple[UnitSettings, ...] = ()
    form: Form = Form.TIMED

    def __post_init__(self) -> None:
        if self.baud < 300:
            raise BadSettings(f"line {self.name}: {self.baud} baud")
        if self.units and self.kind is not LineKind.NATIVE:
            raise BadSettings(f"line {self.name}: only a native line has units")
        _refuse_twice(f"line {self.name}: two units with address", [unit.unit for unit in self.units])


@dataclass(frozen=True, slots=True, kw_only=True)
class VillageSettings:
    """A village. The same seed tells the same story; `heartbeat_s` 0 means no heartbeats."""

    lines: tuple[LineSettings, ...]
    seed: int = 1
    heartbeat_s: float = 60.0
    faults: tuple[Fault, ...] = ()
    """On every native line."""

    def __post_init__(self) -> None:
        _refuse_twice("two lines are named", [line.name for line in self.lines])
        _refuse_twice("two units are named", [unit.name for line in self.lines for unit in line.units])

    @classmethod
    def from_json(cls, text: str | bytes) -> VillageSettings:
        """Read what `to_json` writes; what is left out has its default."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise BadSettings(f"this is no JSON: {error}") from None
        return _village(value)

    def to_json(self) -> str:
        """Return the settings as text."""
        value = asdict(self)
        value["faults"] = [fault_to(fault) for fault in self.faults]
        return json.dumps(value, indent=1, default=_plain)


def _refuse_twice(what: str, values: list[Any]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise BadSettings(f"{what} {value}")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    assert isinstance(value, Enum)
    return value.value


def _village(value: object) -> VillageSettings:
    given = _given(value, "the village", VillageSettings)
    given["lines"] = tuple(_line(line) for line in _list(given.get("lines"), "lines"))
    given["faults"] = tuple(_fault(fault) for fault in _list(given.get("faults", []), "faults"))
    return VillageSettings(**given)


def _line(value: object) -> LineSettings:
    given = _given(value, "a line", LineSettings)
    where = f"line {given.get('name')}"
    if "kind" in given:
        given["kind"] = _named(LineKind, given["kind"], f"{where}: kind")
    if "form" in given:
        given["form"] = _named(Form, given["form"], f"{where}: form")
    given["units"] = tuple(_unit(unit) for unit in _list(given.get("units", []), f"{where}: units"))
    return _made(LineSettings, given, where)


def _unit(value: object) -> UnitSettings:
    given = _given(value, "a unit", UnitSettings)
    where = f"unit {given.get('name')}"
    try:
        given["key"] = bytes.fromhex(given["key"])
    except (KeyError, TypeError, ValueError):
        raise BadSettings(f"{where}: key is not given in hexadecimal") from None
    return _made(UnitSettings, given, where)


def _fault(value: object) -> Fault:
    try:
        return fault_from(value)
    except ValueError as error:
        raise BadSettings(str(error)) from None


_PLAIN_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "int | None": (int, type(None)),
}


def _given(value: object, where: str, model: type) -> dict[str, Any]:
    """Check names and plain types against the dataclass; nested values are read by their own function."""
    if not isinstance(value, Mapping):
        raise BadSettings(f"{where} is not a JSON object but {value!r}")
    types = {field.name: str(field.type) for field in fields(model)}
    for name, item in value.items():
        if name not in types:
            raise BadSettings(f"{where}: there is no {name!r}, only {', '.join(types)}")
        wanted = _PLAIN_TYPES.get(types[name])
        if wanted is not None and (not isinstance(item, wanted) or (isinstance(item, bool) and bool not in wanted)):
            raise BadSettings(f"{where}: {name} is {item!r}")
    return dict(value)


def _made(model: type[M], given: dict[str, Any], where: str) -> M:
    try:
        return model(**given)
    except TypeError as error:
        raise BadSettings(f"{where}: {error}") from None


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise BadSettings(f"{where}: a list is missing, this is {value!r}")
    return value


def _named(names: type[Enum], value: object, where: str) -> Any:
    try:
        return names(value)
    except ValueError:
        raise BadSettings(f"{where} is {value!r}, not one of {', '.join(str(name.value) for name in names)}") from None
