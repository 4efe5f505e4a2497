"""The sites that are measured: groups of ten households with one unit each, everybody with an observer's account."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.crowd import Crowd
from broker.ids import GatewayId, UnitId
from deploy import check
from deploy.box import Box

GATEWAY: Final = GatewayId("gw1")
LINE: Final = "line1"
HOUSEHOLDS: Final = 10
"""In each group: whoever presses has nine neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A village to be measured: so many groups of ten, on one line."""

    groups: int
    baud: int
    accounts: bool = True
    """Whether every household has an account at the broker, so that what it gets can be seen."""

    @property
    def units(self) -> tuple[str, ...]:
        """The units' ids; the unit at index i has address i + 1."""
        return tuple(f"u{number:03}" for number in range(1, self.groups * HOUSEHOLDS + 1))

    def group_of(self, unit: str) -> int:
        """The index of the group that a unit's household belongs to."""
        return (int(unit[1:]) - 1) // HOUSEHOLDS

    def neighbours_of(self, unit: str) -> tuple[str, ...]:
        """All units of a unit's group, its own included: those whose sirens its press starts."""
        first = self.group_of(unit) * HOUSEHOLDS
        return self.units[first : first + HOUSEHOLDS]

    def audiences_of(self, unit: str) -> tuple[str, ...]:
        """Everybody who learns of a press of this unit: police, community, grid, nine neighbours."""
        own = unit.replace("u", "h")
        neighbours = (f"household:{other.replace('u', 'h')}" for other in self.neighbours_of(unit))
        return ("police", "community:c1", "grid:w1", *(one for one in neighbours if one != f"household:{own}"))

    def text(self) -> str:
        """The site file."""
        tables = [
            '[station]\nid = "bench"\n\n[broker]\nprivate = true\n',
            '[[officer]]\nid = "desk"\n\n[[community]]\nid = "c1"\nlabel = "柳岸社区"\n',
            '[[grid]]\nid = "w1"\ncommunity = "c1"\nlabel = "柳岸一格"\n',
            f'[[gateway]]\nid = "{GATEWAY}"\nheartbeat_s = 300\n',
            f'[[gateway.line]]\nname = "{LINE}"\nport = "ports/{LINE}"\nbaud = {self.baud}\n',
        ]
        tables += [
            f'[[group]]\nid = "g{group}"\ngrid = "w1"\ngateway = "{GATEWAY}"\n' for group in range(1, self.groups + 1)
        ]
        for number, unit in enumerate(self.units, 1):
            tables.append(
                f'[[household]]\nid = "h{unit[1:]}"\ngroup = "g{self.group_of(unit) + 1}"\ndoor = {number}\n'
                f'label = "3号楼{number}室"\nmqtt = {str(self.accounts).lower()}\n'
            )
            tables.append(
                f'[[gateway.unit]]\nid = "{unit}"\nline = "{LINE}"\naddress = {number}\nhousehold = "h{unit[1:]}"\n'
            )
        return "\n".join(tables)

    def box(self, directory: Path) -> Box:
        """The site with everything that it needs, in `directory`; its broker runs, nothing else does."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "site.toml"
        path.write_text(self.text(), encoding="utf-8")
        box = Box(check.load(path), path, directory)
        box.broker.start()
        return box

    def port(self, box: Box) -> Path:
        """Where the gateway looks for its line."""
        return box.gateway_state(GATEWAY) / "ports" / LINE

    def crowd(self, box: Box) -> Crowd:
        """The units of the site, with their own keys."""
        return Crowd({unit: box.keys.unit(GATEWAY, UnitId(unit)) for unit in self.units})
