"""One small place with a gateway, as values: six households in two groups, a driven clock, chance from a seed."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from broker.ids import (
    CommunityId,
    EventId,
    GatewayId,
    GridId,
    GroupId,
    HouseholdId,
    PressKey,
    StationId,
    UnitId,
    event_id,
)
from broker.kinds import EventType, Kind
from broker.policy import Membership
from broker.signing import STATION_KID, Signer, gateway_kid
from gateway.events import Event
from gateway.register import Register
from gateway.settings import GatewaySettings
from gateway.stamps import Quality, Stamp

STATION = StationId("north")
GATEWAY = GatewayId("gw1")
OTHER_GATEWAY = GatewayId("gw2")
GROUP = GroupId("g1")
COMMUNITY = CommunityId("c1")
GRID = GridId("r1")
HOUSEHOLDS = tuple(HouseholdId(f"h{number:02}") for number in range(1, 6))
PRESSER, EXCLUDED, NEIGHBOUR, FAR_ONE, LONELY = HOUSEHOLDS
"""h02 is excluded by h01; h05 belongs to a group that nobody knows."""
UNITS = tuple(UnitId(f"u{number:02}") for number in range(1, 6))
REMOTE = (HouseholdId("h08"), HouseholdId("h09"))

AT_MS = 1_790_000_000_000
S = 1_000_000_000


def seed(name: str) -> bytes:
    return sha256(name.encode()).digest()


STATION_SIGNER = Signer(STATION_KID, seed("station"))
OTHER_SIGNER = Signer(gateway_kid(OTHER_GATEWAY), seed("gw2"))
GATEWAY_SIGNER = Signer(gateway_kid(GATEWAY), seed("gw1"))


class Clock:
    """Moves when it is told to."""

    def __init__(self, *, wall_ms: int = AT_MS, boot: str = "b1", quality: Quality = "synced") -> None:
        self.wall_ms = wall_ms
        self.mono_ns = 1_000 * S
        self.boot = boot
        self.quality: Quality = quality

    def __call__(self) -> Stamp:
        return Stamp(self.wall_ms, self.mono_ns, self.boot, self.quality)

    def pass_s(self, seconds: float) -> Stamp:
        self.wall_ms += int(seconds * 1_000)
        self.mono_ns += int(seconds * S)
        return self()


def unit(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"u{number:02}",
        "line": "line1",
        "address": number,
        "household": f"h{number:02}",
        "key": seed(f"u{number:02}")[:16],
        **more,
    }


def settings(state: Path, **more: Any) -> GatewaySettings:
    """The place's gateway. `more` replaces or adds fields."""
    values: dict[str, Any] = {
        "station": STATION,
        "gateway": GATEWAY,
        "state": state,
        "broker": {"port": 1, "user": "nobody", "password": "x"},
        "signing_seed": seed("gw1"),
        "known_keys": {signer.kid: signer.public.hex() for signer in (STATION_SIGNER, OTHER_SIGNER)},
        "lines": [{"name": "line1", "port": "line1", "baud": 115200}],
        "units": [unit(number) for number in range(1, 6)],
        "households": [
            {"id": "h01", "group": "g1", "door": 101, "label": "老王家", "excludes": ["h02"]},
            {"id": "h02", "group": "g1", "door": 102},
            {"id": "h03", "group": "g1", "door": 103},
            {"id": "h04", "group": "g1", "door": 104},
            {"id": "h05", "group": "nowhere", "door": 105},
        ],
        "groups": [{"id": "g1", "community": "c1", "grid": "r1"}],
        "ballast_bytes": 0,
    }
    return GatewaySettings.model_validate(values | more)


def register(**more: Any) -> Register:
    return Register(settings(Path("/nowhere"), **more))


class Dice:
    """Random octets that come out the same in every run."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)

    def __call__(self, count: int) -> bytes:
        return self._random.randbytes(count)


DICE = Dice()


def new_id(at_ms: int = AT_MS) -> EventId:
    return event_id(at_ms, DICE(10))


def press(clock: Clock, *, number: int = 1, unit: str = "u01", kind: Kind = Kind.PANIC, **more: Any) -> Event:
    """A press of one of the place's units, as intake makes it."""
    known = register()
    found = known.unit_by_id(UnitId(unit))
    household = None if found is None else known.household(found.household)
    membership = known.membership(household)
    key = PressKey(f"{unit}:1:{number}")
    event = Event(
        id=new_id(clock().wall_ms),
        type=EventType.PRESS,
        stamp=clock(),
        kind=kind,
        unit=UnitId(unit),
        place=None if household is None else household.id,
        group=membership.group,
        door=None if household is None else household.door,
        press=key,
        message=key,
        membership=membership,
    )
    return replace(event, **more)


def plain(clock: Clock, type_: EventType, **more: Any) -> Event:
    """An event that makes no views."""
    membership = Membership(station=STATION)
    return Event(id=new_id(clock().wall_ms), type=type_, stamp=clock(), membership=membership, **more)
