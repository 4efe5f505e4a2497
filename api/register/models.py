"""Tables of the register. What joins two things has `from_ms` and `to_ms` (None: still), and is never overwritten.

Areas stand in two trees, the government's and the police's. A place, the people in it and the unit on its wall are
three things; what an alarm belonged to is found by its moment. Names, phones and notes stand in `occupant`,
`contact` and `responder_note` and nowhere else, so that they can be erased.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlmodel import BigInteger, Field, SQLModel

from broker.policy import LONGEST_QUIET_MS


class Tree(StrEnum):
    """The two trees of areas."""

    GOVERNMENT = "government"
    POLICE = "police"


class Meaning(StrEnum):
    """What the station takes the areas of a level for; what people call the level stands beside it."""

    COUNTY = "county"
    TOWNSHIP = "township"
    COMMUNITY = "community"
    GRID = "grid"
    GROUP = "group"
    COMMAND = "command"
    STATION = "station"
    POLICE_GRID = "police_grid"
    OTHER = "other"


class AreaKind(StrEnum):
    """An ordinary area, or one of its own for a site (专属)."""

    ORDINARY = "ordinary"
    DEDICATED = "dedicated"


class PlaceKind(StrEnum):
    """What is behind a door: 住户, 商户, 单位."""

    HOUSEHOLD = "household"
    SHOP = "shop"
    OFFICE = "office"


class CameIn(StrEnum):
    """How somebody came to live in a place."""

    MOVED_IN = "moved_in"
    LENT = "lent"
    SWAPPED = "swapped"
    RETURNED = "returned"


class WentOut(StrEnum):
    """How somebody ceased to live in a place."""

    MOVED_OUT = "moved_out"
    LENT = "lent"
    SWAPPED = "swapped"
    RETURNED = "returned"


class Purpose(StrEnum):
    """What a household may consent to."""

    MEDICAL_WORD = "medical_word"
    """Neighbours read medical (医疗求助) and not only help."""
    RESPONDER_NOTES = "responder_notes"
    """Responders are told what helps them: deaf, oxygen, dog, alone."""
    DURESS_KEY = "duress_key"
    """The unit has a silent key."""
    CONTACTS = "contacts"
    """Phones of contacts are kept, for calling back."""
    POSITION = "position"
    """A phone alarm tells where the phone is."""


class How(StrEnum):
    """How a consent was given."""

    PAPER = "paper"
    PHONE = "phone"
    KEY = "key"


class Note(StrEnum):
    """What responders should know."""

    DEAF = "deaf"
    OXYGEN = "oxygen"
    DOG = "dog"
    ALONE = "alone"
    OTHER = "other"


class UnitSort(StrEnum):
    """What a unit is, to the gateway that it hangs on."""

    NATIVE = "native"
    CONTACT = "contact"
    REMOTE = "remote"
    ZIGBEE = "zigbee"


class UnitState(StrEnum):
    """Where a unit is in its life."""

    STORED = "stored"
    INSTALLED = "installed"
    LOST = "lost"
    SCRAPPED = "scrapped"


class CameUp(StrEnum):
    """How a unit came to a place."""

    INSTALLED = "installed"
    SWAPPED = "swapped"
    REPLACED = "replaced"
    LENT = "lent"


class CameDown(StrEnum):
    """How a unit left a place."""

    REMOVED = "removed"
    SWAPPED = "swapped"
    REPLACED = "replaced"
    LOST = "lost"
    SCRAPPED = "scrapped"


class TeamSort(StrEnum):
    """What a team is."""

    VOLUNTEERS = "volunteers"
    PATROL = "patrol"
    EMERGENCY = "emergency"
    GUARDS = "guards"


def _in(column: str, words: type[StrEnum], *, absent: bool = False) -> CheckConstraint:
    listed = f"{column} IN ({', '.join(repr(word.value) for word in words)})"
    return CheckConstraint(f"{column} IS NULL OR {listed}" if absent else listed, name=column)


def _of(column: str, table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["station", column], [f"{table}.station", f"{table}.id"])


def _period() -> CheckConstraint:
    return CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period")


def _one_still(table: str, *columns: str) -> Index:
    """At most one row of these that has not ended."""
    still: Any = text("to_ms IS NULL")
    return Index(f"uq_{table}_still", "station", *columns, unique=True, sqlite_where=still, postgresql_where=still)


def _looked_up(table: str, *columns: str) -> Index:
    return Index(f"ix_{table}_{'_'.join(columns)}", "station", *columns)


class RegisterState(SQLModel, table=True):
    """One row a station: `version` rises with every change, so that a process sees that its snapshot is old."""

    __tablename__ = "register_state"

    station: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    changed_ms: int = Field(sa_type=BigInteger)


class AreaLevel(SQLModel, table=True):
    """A level of a tree, as people call it. `rank` rises from the root to the leaves."""

    __tablename__ = "area_level"
    __table_args__ = (_in("tree", Tree), _in("meaning", Meaning))

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    tree: str
    rank: int
    name_zh: str
    name_en: str
    meaning: str


class Area(SQLModel, table=True):
    """An area. `version` counts changes of it and of what it lies in."""

    __table_args__ = (_of("level", "area_level"), _period(), CheckConstraint("version > 0", name="version"))

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    level: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class AreaDetail(SQLModel, table=True):
    """What an area was called and how it was drawn. `outline` is JSON: [[longitude, latitude], ...] in WGS-84."""

    __tablename__ = "area_detail"
    __table_args__ = (_of("area", "area"), _in("kind", AreaKind), _period(), _one_still("area_detail", "area"))

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    name: str
    kind: str
    code: str | None = None
    """The national code, where there is one."""
    outline: str | None = Field(sa_type=Text, default=None)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class AreaParent(SQLModel, table=True):
    """What an area lies in, on one of the trees."""

    __tablename__ = "area_parent"
    __table_args__ = (
        _of("area", "area"),
        _of("parent", "area"),
        _in("tree", Tree),
        CheckConstraint("area != parent", name="itself"),
        _period(),
        _one_still("area_parent", "area", "tree"),
        _looked_up("area_parent", "parent"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    area: str
    parent: str
    tree: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class GroupGateway(SQLModel, table=True):
    """The home gateway of a group."""

    __tablename__ = "group_gateway"
    __table_args__ = (_of("group", "area"), _period(), _one_still("group_gateway", "group"))

    number: int | None = Field(primary_key=True, default=None)
    station: str
    group: str
    gateway: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Place(SQLModel, table=True):
    """A place behind a door. `version` counts changes of it and of all that is joined to it."""

    __table_args__ = (_period(), CheckConstraint("version > 0", name="version"))

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class PlaceDetail(SQLModel, table=True):
    """What a place is and how to get in. `label` is what neighbours' screens show; positions in 1e-7 degrees."""

    __tablename__ = "place_detail"
    __table_args__ = (
        _of("place", "place"),
        _in("kind", PlaceKind),
        CheckConstraint("door IS NULL OR door BETWEEN 0 AND 9999", name="door"),
        CheckConstraint("(lat_e7 IS NULL) = (lon_e7 IS NULL)", name="position"),
        _period(),
        _one_still("place_detail", "place"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    kind: str
    door: int | None = None
    label: str = ""
    address: str = ""
    way_in: str = ""
    code: str | None = None
    lat_e7: int | None = Field(sa_type=BigInteger, default=None)
    lon_e7: int | None = Field(sa_type=BigInteger, default=None)
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class PlaceGroup(SQLModel, table=True):
    """The group that a place belongs to: one at a time."""

    __tablename__ = "place_group"
    __table_args__ = (
        _of("place", "place"),
        _of("group", "area"),
        _period(),
        _one_still("place_group", "place"),
        _looked_up("place_group", "group"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    group: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Occupant(SQLModel, table=True):
    """Who lives or works in a place: a household, a shop, a unit. `name` is None when it was erased."""

    __table_args__ = (CheckConstraint("erased_ms IS NULL OR name IS NULL", name="erased"),)

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str | None = ""
    since_ms: int = Field(sa_type=BigInteger)
    erased_ms: int | None = Field(sa_type=BigInteger, default=None)


class Occupancy(SQLModel, table=True):
    """Who lived where, from when to when: one occupant at a time."""

    __table_args__ = (
        _of("place", "place"),
        _of("occupant", "occupant"),
        _in("began", CameIn),
        _in("ended", WentOut, absent=True),
        CheckConstraint("(ended IS NULL) = (to_ms IS NULL)", name="ending"),
        _period(),
        _one_still("occupancy", "place"),
        _looked_up("occupancy", "occupant"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    occupant: str
    began: str
    ended: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Contact(SQLModel, table=True):
    """Whom to call for an occupant, in the order of `rank`."""

    __table_args__ = (
        _of("occupant", "occupant"),
        CheckConstraint("rank BETWEEN 1 AND 9", name="rank"),
        _period(),
        _one_still("contact", "occupant", "rank"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    occupant: str
    rank: int
    name: str | None = None
    phone: str | None = None
    relation: str = ""
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Exclusion(SQLModel, table=True):
    """A neighbour (`excluded`, a place) that shall not be told of what happens to this occupant in this place."""

    __table_args__ = (
        _of("place", "place"),
        _of("occupant", "occupant"),
        CheckConstraint("place != excluded", name="itself"),
        _period(),
        _one_still("exclusion", "occupant", "place", "excluded"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    occupant: str
    excluded: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Consent(SQLModel, table=True):
    """What an occupant consented to in a place, or took back. `version` is that of the text; `by` typed it in."""

    __table_args__ = (
        _of("place", "place"),
        _of("occupant", "occupant"),
        _in("purpose", Purpose),
        _in("how", How),
        _period(),
        _one_still("consent", "occupant", "place", "purpose"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    occupant: str
    purpose: str
    version: int
    given: bool
    how: str
    by: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class ResponderNote(SQLModel, table=True):
    """What responders should know of an occupant; there only by consent."""

    __tablename__ = "responder_note"
    __table_args__ = (
        _of("occupant", "occupant"),
        _in("note", Note),
        _period(),
        _one_still("responder_note", "occupant", "note"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    occupant: str
    note: str
    words: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Quieting(SQLModel, table=True):
    """The neighbours' sirens of a place, quieted by an officer until a moment; `to_ms`: when it really ended."""

    __table_args__ = (
        _of("place", "place"),
        CheckConstraint(f"until_ms > from_ms AND until_ms - from_ms <= {LONGEST_QUIET_MS}", name="span"),
        CheckConstraint("to_ms IS NULL OR (to_ms >= from_ms AND to_ms <= until_ms)", name="period"),
        CheckConstraint("lifted_by IS NULL OR to_ms IS NOT NULL", name="lifted"),
        _one_still("quieting", "place"),
        _looked_up("quieting", "place"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    place: str
    reason: str
    by: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    lifted_by: str | None = None


class Unit(SQLModel, table=True):
    """Something to press. What it hangs on (`gateway`, and for a native one `line` and `address`) is as it is now."""

    __table_args__ = (
        _in("sort", UnitSort),
        _in("state", UnitState),
        CheckConstraint("address IS NULL OR address BETWEEN 1 AND 65519", name="address"),
        CheckConstraint("volume BETWEEN 0 AND 3 AND night_volume BETWEEN 0 AND 3", name="volume"),
        CheckConstraint("version > 0", name="version"),
    )

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    sort: str
    state: str
    gateway: str | None = None
    line: str | None = None
    address: int | None = None
    serial: str = ""
    silent: bool = False
    volume: int = 3
    night_volume: int = 3
    strobe: bool = False
    from_ms: int = Field(sa_type=BigInteger)
    version: int = 1


class UnitPlace(SQLModel, table=True):
    """Where a unit hung, from when to when. It is in earnest from `handed_ms` on; None: it is being installed."""

    __tablename__ = "unit_place"
    __table_args__ = (
        _of("unit", "unit"),
        _of("place", "place"),
        _in("began", CameUp),
        _in("ended", CameDown, absent=True),
        CheckConstraint("(ended IS NULL) = (to_ms IS NULL)", name="ending"),
        _period(),
        _one_still("unit_place", "unit"),
        _looked_up("unit_place", "place"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    unit: str
    place: str
    began: str
    ended: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    handed_ms: int | None = Field(sa_type=BigInteger, default=None)
    handed_by: str | None = None


class UnitKey(SQLModel, table=True):
    """The key of a unit, sealed for the station itself; a gateway gets it sealed for that gateway."""

    __tablename__ = "unit_key"
    __table_args__ = (_of("unit", "unit"),)

    station: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    sealed: str
    by: str | None = None
    from_ms: int = Field(sa_type=BigInteger)


class GatewayKey(SQLModel, table=True):
    """The public key of a gateway, from when to when it was believed."""

    __tablename__ = "gateway_key"
    __table_args__ = (
        _period(),
        CheckConstraint("length(public) = 64", name="public"),
        _one_still("gateway_key", "gateway"),
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    gateway: str
    public: str
    by: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class Company(SQLModel, table=True):
    """A guard company or another employer."""

    __table_args__ = (_period(), CheckConstraint("version > 0", name="version"))

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    code: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class Team(SQLModel, table=True):
    """People who go together: volunteers, a patrol, an emergency team, guards of a company."""

    __table_args__ = (
        _in("sort", TeamSort),
        _of("area", "area"),
        _of("company", "company"),
        _period(),
        CheckConstraint("version > 0", name="version"),
    )

    station: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    name: str
    sort: str
    area: str | None = None
    company: str | None = None
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)
    version: int = 1


class TeamMember(SQLModel, table=True):
    """An account in a team."""

    __tablename__ = "team_member"
    __table_args__ = (_of("team", "team"), _period(), _one_still("team_member", "team", "account"))

    number: int | None = Field(primary_key=True, default=None)
    station: str
    team: str
    account: str
    from_ms: int = Field(sa_type=BigInteger)
    to_ms: int | None = Field(sa_type=BigInteger, default=None)


class GatewaySlice(SQLModel, table=True):
    """The newest slice of the register for a gateway, and which one it said that it runs.

    `sealing_key` is the key for sealing that it told, `sealed_for` the one for which `text` was made.
    """

    __tablename__ = "gateway_slice"
    __table_args__ = (CheckConstraint("version >= 0", name="version"),)

    station: str = Field(primary_key=True)
    gateway: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    sha256: str
    text: str = Field(sa_type=Text)
    made_ms: int = Field(sa_type=BigInteger)
    runs: int | None = Field(sa_type=BigInteger, default=None)
    runs_ms: int | None = Field(sa_type=BigInteger, default=None)
    drift: bool = False
    sent_ms: int | None = Field(sa_type=BigInteger, default=None)
    sealing_key: str | None = None
    sealed_for: str | None = None


class ChangeSort(StrEnum):
    """What a change that is planned ahead is about."""

    AREA = "area"
    PLACE = "place"
    OCCUPANCY = "occupancy"


class ChangeStep(StrEnum):
    """What happens to the people of a place."""

    MOVE_IN = "move_in"
    MOVE_OUT = "move_out"
    LEND = "lend"
    GIVE_BACK = "give_back"
    SWAP = "swap"


class ChangeState(StrEnum):
    """What became of a planned change."""

    PLANNED = "planned"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class PlannedChange(SQLModel, table=True):
    """A change of the register that is to be made by itself at a moment. `about`: the id of its area or place.

    `body`: JSON of what is asked (`api.register.agenda`), gone once it is done or cancelled. `refused`: JSON of why it
    was not possible then.
    """

    __tablename__ = "planned_change"
    __table_args__ = (
        _in("sort", ChangeSort),
        _in("state", ChangeState),
        CheckConstraint("(state = 'planned') = (ended_ms IS NULL)", name="ended"),
        CheckConstraint("version > 0", name="version"),
        Index("ix_planned_change_due", "station", "state", "at_ms"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    station: str
    sort: str
    about: str
    place: str | None = None
    body: str = Field(sa_type=Text)
    at_ms: int = Field(sa_type=BigInteger)
    by: str
    made_ms: int = Field(sa_type=BigInteger)
    state: str = ChangeState.PLANNED.value
    refused: str = Field(default="", sa_type=Text)
    ended_ms: int | None = Field(sa_type=BigInteger, default=None)
    ended_by: str | None = None
    version: int = 1
