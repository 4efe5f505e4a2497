"""Every topic of Shouwang: one table, from which names, rights and documents are derived.

Everything of one police station lives under `sw1/{station}/`: the station is the unit of access, of sharding
and of ownership. A row says who publishes, who receives, and whom the message is *for* (`audience`, which a
message repeats in its signed body). An id in a template belongs to a role: `{gateway}` is one gateway. A
principal whose role is the one in the template has its own topic and no other; where the id belongs to
somebody else (a gateway that alerts households), `broker.acl` decides which ones.

Events are never retained. Only the two kinds of status are: they are state, and carry a generation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

from broker.ids import StationId, is_segment, segment

ROOT: Final = "sw1"


class Role(StrEnum):
    """Who can be at an end of the broker. A role also is the name of the id in a template."""

    GATEWAY = "gateway"
    STATION = "station"
    POLICE = "police"
    COMMUNITY = "community"
    GRID = "grid"
    HOUSEHOLD = "household"
    OBSERVER = "observer"  # has an account and no right at all

    @property
    def many(self) -> bool:
        """Whether one station has several of them, so that each needs an id."""
        return self not in {Role.STATION, Role.POLICE, Role.OBSERVER}


class Name(StrEnum):
    """The rows of the table."""

    POLICE_ALARM = "police_alarm"
    POLICE_UPDATE = "police_update"
    COMMUNITY_ALARM = "community_alarm"
    COMMUNITY_UPDATE = "community_update"
    GRID_ALARM = "grid_alarm"
    GRID_UPDATE = "grid_update"
    HOUSEHOLD_ALARM = "household_alarm"
    HOUSEHOLD_UPDATE = "household_update"
    GATEWAY_EVENT = "gateway_event"
    GATEWAY_RECEIPT = "gateway_receipt"
    GATEWAY_COMMAND = "gateway_command"
    GATEWAY_CONFIG = "gateway_config"
    GATEWAY_STATUS = "gateway_status"
    STATION_STATUS = "station_status"


@cache
def _owner(template: str) -> Role | None:
    head, _, rest = template.partition("/")
    return Role(head) if rest.startswith("{") else None


@dataclass(frozen=True, slots=True)
class Row:
    """One topic of every station.

    `template` is below `sw1/{station}/`; `owner` the role whose id it holds, None without one; `bodies` the
    message types that may travel on it.
    """

    name: Name
    template: str
    publisher: Role
    receivers: tuple[Role, ...]
    audience: Role
    bodies: tuple[str, ...]
    purpose: str
    retained: bool = False
    qos: int = 1

    @property
    def owner(self) -> Role | None:
        """The role whose id stands in the template."""
        return _owner(self.template)


TABLE: Final = (
    Row(
        Name.POLICE_ALARM,
        "police/alarm",
        publisher=Role.GATEWAY,
        receivers=(Role.POLICE,),
        audience=Role.POLICE,
        bodies=("alarm",),
        purpose="every alarm, each with all that the police may know; duress and unverified ones go nowhere else",
    ),
    Row(
        Name.POLICE_UPDATE,
        "police/update",
        publisher=Role.STATION,
        receivers=(Role.POLICE,),
        audience=Role.POLICE,
        bodies=("update",),
        purpose="what became of an alarm",
    ),
    Row(
        Name.COMMUNITY_ALARM,
        "community/{community}/alarm",
        publisher=Role.GATEWAY,
        receivers=(Role.COMMUNITY,),
        audience=Role.COMMUNITY,
        bodies=("alarm",),
        purpose="alarms and tampering in the community's area",
    ),
    Row(
        Name.COMMUNITY_UPDATE,
        "community/{community}/update",
        publisher=Role.STATION,
        receivers=(Role.COMMUNITY,),
        audience=Role.COMMUNITY,
        bodies=("update",),
        purpose="what became of an alarm that this community was told of",
    ),
    Row(
        Name.GRID_ALARM,
        "grid/{grid}/alarm",
        publisher=Role.GATEWAY,
        receivers=(Role.GRID,),
        audience=Role.GRID,
        bodies=("alarm",),
        purpose="alarms in the grid, for its grid worker",
    ),
    Row(
        Name.GRID_UPDATE,
        "grid/{grid}/update",
        publisher=Role.STATION,
        receivers=(Role.GRID,),
        audience=Role.GRID,
        bodies=("update",),
        purpose="what became of an alarm that this grid worker was told of",
    ),
    Row(
        Name.HOUSEHOLD_ALARM,
        "household/{household}/alarm",
        publisher=Role.GATEWAY,
        receivers=(Role.HOUSEHOLD, Role.GATEWAY),
        audience=Role.HOUSEHOLD,
        bodies=("alarm",),
        purpose="a neighbour's alarm, one topic per household that may know, so that exclusions hold at the broker; "
        "a gateway receives it for its units that are marked remote",
    ),
    Row(
        Name.HOUSEHOLD_UPDATE,
        "household/{household}/update",
        publisher=Role.STATION,
        receivers=(Role.HOUSEHOLD, Role.GATEWAY),
        audience=Role.HOUSEHOLD,
        bodies=("update",),
        purpose="what became of an alarm that this household was told of",
    ),
    Row(
        Name.GATEWAY_EVENT,
        "gateway/{gateway}/event",
        publisher=Role.GATEWAY,
        receivers=(Role.STATION,),
        audience=Role.STATION,
        bodies=("event",),
        purpose="everything that the gateway recorded; sent until the station's receipt names it",
    ),
    Row(
        Name.GATEWAY_RECEIPT,
        "gateway/{gateway}/receipt",
        publisher=Role.STATION,
        receivers=(Role.GATEWAY,),
        audience=Role.GATEWAY,
        bodies=("receipt", "hello", "audit"),
        purpose="event ids that the station has committed, what it holds of this gateway, where its own record ends",
    ),
    Row(
        Name.GATEWAY_COMMAND,
        "gateway/{gateway}/command",
        publisher=Role.STATION,
        receivers=(Role.GATEWAY,),
        audience=Role.GATEWAY,
        bodies=("command",),
        purpose="ladder, stop, stand back, alert, readiness, drill, installation, roll-call; "
        "bound to the session in the gateway's status",
    ),
    Row(
        Name.GATEWAY_CONFIG,
        "gateway/{gateway}/config",
        publisher=Role.STATION,
        receivers=(Role.GATEWAY,),
        audience=Role.GATEWAY,
        bodies=("config",),
        purpose="a higher version of the register slice, in parts with a hash",
    ),
    Row(
        Name.GATEWAY_STATUS,
        "gateway/{gateway}/status",
        publisher=Role.GATEWAY,
        receivers=(Role.STATION,),
        audience=Role.STATION,
        bodies=("gateway_status",),
        purpose="presence (also as will), session, heads, faults",
        retained=True,
    ),
    Row(
        Name.STATION_STATUS,
        "station/status",
        publisher=Role.STATION,
        receivers=(Role.GATEWAY,),
        audience=Role.GATEWAY,
        bodies=("station_status",),
        purpose="presence (also as will) and generation; a new generation asks for what has no receipt",
        retained=True,
    ),
)

BY_NAME: Final[dict[Name, Row]] = {row.name: row for row in TABLE}

_BY_SHAPE: Final[dict[tuple[str, str, bool], Row]] = {
    (row.template.split("/")[0], row.template.split("/")[-1], row.owner is not None): row for row in TABLE
}


class TopicError(ValueError):
    """A topic that is not in the table. Field: `topic` (bounded)."""

    def __init__(self, topic: str) -> None:
        self.topic = topic[:128]
        super().__init__(f"not a topic of ours: {self.topic!r}")


@dataclass(frozen=True, slots=True)
class Topic:
    """A concrete topic, taken apart. `id` is empty for the rows without one."""

    row: Row
    station: StationId
    id: str = ""

    @property
    def audience(self) -> str:
        """Whom its messages are for, as `body.audience` repeats it: `police`, `household:h03`, `gateway:g1`.

        A role without id is everybody of that role at this station.
        """
        return f"{self.row.audience}:{self.id}" if self.row.owner is self.row.audience else str(self.row.audience)

    def __str__(self) -> str:
        """The topic as the broker has it."""
        return build(self.row.name, self.station, self.id)


def build(name: Name, station: StationId, id: str = "") -> str:  # noqa: A002 - an id is what it is
    """The topic of row `name` at `station`, for `id` where the row has one. Raises IdError on a bad id."""
    return _build(name, station, id)


@lru_cache(maxsize=4_096)  # a press asks for the same dozen again and again, on a Pi
def _build(name: Name, station: str, id_: str) -> str:
    row = BY_NAME[name]
    segment("station", station)
    if row.owner is None:
        if id_:
            raise ValueError(f"{name} has no id, got {id_!r}")
        return f"{ROOT}/{station}/{row.template}"
    segment(row.owner, id_)
    return f"{ROOT}/{station}/{row.template.replace('{' + row.owner + '}', id_)}"


@lru_cache(maxsize=4_096)  # every message of a gateway comes on the same two; what is none of ours is not kept
def parse(topic: str) -> Topic:
    """Take a topic apart. Raises TopicError when it is not one of the table's."""
    match topic.split("/"):
        case [root, station, branch, leaf]:
            owned, id_ = False, ""
        case [root, station, branch, id_, leaf]:
            owned = True
        case _:
            raise TopicError(topic)
    row = _BY_SHAPE.get((branch, leaf, owned))
    if row is None or root != ROOT or not is_segment(station) or (owned and not is_segment(id_)):
        raise TopicError(topic)
    return Topic(row, StationId(station), id_)


def filter_of(name: Name, station: StationId) -> str:
    """The filter that takes row `name` of `station` for every id: `sw1/north/gateway/+/event`."""
    row = BY_NAME[name]
    template = row.template if row.owner is None else row.template.replace("{" + row.owner + "}", "+")
    return f"{ROOT}/{segment('station', station)}/{template}"


def received_by(role: Role) -> Iterator[Row]:
    """The rows that a role receives."""
    return (row for row in TABLE if role in row.receivers)
