"""The register as it is now, in memory: pure, frozen, and ready to be asked by many threads at once.

Theory:

1. An area has at most one parent on each tree. On the government's tree a group lies in everything that its chain of
   parents names. On the police's tree the nearest area of that chain (the group itself first) that has a police parent
   decides, and from there on police parents alone: a community that is split between two police grids says so at its
   grids, and what stands nearer goes before what stands further away.
2. Everything lies in the station, whatever the trees say.
3. The community and the grid of a group are the nearest areas above it whose level means that.
4. Unknown is None, never an error: an unknown place may be in need.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from api.register.models import AreaKind, Meaning, PlaceKind, Tree, UnitSort
from broker.ids import CommunityId, GatewayId, GridId, GroupId, HouseholdId, StationId, UnitId
from broker.policy import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelNow:
    """A level of a tree."""

    id: str
    tree: Tree
    rank: int
    name_zh: str
    name_en: str
    meaning: Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaNow:
    """An area. `parent` on the government's tree, `police_parent` on the police's; `gateway` of a group, its home."""

    id: str
    level: str
    meaning: Meaning
    name: str = ""
    kind: AreaKind = AreaKind.ORDINARY
    code: str | None = None
    outline: str | None = None
    parent: str | None = None
    police_parent: str | None = None
    gateway: GatewayId | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNow:
    """A group, with the community and the grid that it belongs to, and its home gateway."""

    id: GroupId
    name: str
    community: CommunityId | None
    grid: GridId | None
    gateway: GatewayId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNow:
    """A place behind a door. `excludes` are neighbours that shall not be told of what happens here."""

    id: HouseholdId
    group: GroupId | None = None
    kind: PlaceKind = PlaceKind.HOUSEHOLD
    door: int | None = None
    label: str = ""
    address: str = ""
    way_in: str = ""
    code: str | None = None
    lat_e7: int | None = None
    lon_e7: int | None = None
    occupant: str | None = None
    excludes: frozenset[HouseholdId] = frozenset()
    medical_consent: bool = False
    duress: bool = False
    quiet_until_ms: int | None = None
    """Until when an officer quieted the neighbours' sirens for it; a moment that may have passed."""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNow:
    """A unit that hangs on a wall. `handed`: it is in earnest; until then it is being installed."""

    id: UnitId
    place: HouseholdId
    sort: UnitSort = UnitSort.NATIVE
    gateway: GatewayId | None = None
    line: str | None = None
    address: int | None = None
    silent: bool = False
    volume: int = 3
    night_volume: int = 3
    strobe: bool = False
    handed: bool = True
    since_ms: int = 0
    """Since when it hangs there in earnest; while it is being installed, since when it hangs there."""
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a snapshot is made of."""

    station: StationId
    version: int = 0
    levels: tuple[LevelNow, ...] = ()
    areas: tuple[AreaNow, ...] = ()
    places: tuple[PlaceNow, ...] = ()
    units: tuple[UnitNow, ...] = ()
    gateway_keys: Mapping[GatewayId, str | None] = field(default_factory=dict)
    """Public keys that were put down here, hexadecimal; None: believed no more, whatever the settings say."""


@dataclass(frozen=True)
class Snapshot:
    """Look-ups over one version of the register."""

    contents: Contents
    areas: Mapping[str, AreaNow] = field(init=False)
    places: Mapping[str, PlaceNow] = field(init=False)
    units: Mapping[str, UnitNow] = field(init=False)
    levels: Mapping[str, LevelNow] = field(init=False)

    def __post_init__(self) -> None:
        """Index everything by its id."""
        for name in ("areas", "places", "units", "levels"):
            indexed = {one.id: one for one in getattr(self.contents, name)}
            object.__setattr__(self, name, indexed)

    def ancestors(self, area: str) -> tuple[str, ...]:
        """What an area lies in: the government's tree from near to far, then the police's. Not the area itself."""
        found = self._ancestors.get(area)
        if found is None:
            found = self._look_up(area)
            if area in self.areas:
                self._ancestors[area] = found
        return found

    @cached_property
    def _ancestors(self) -> dict[str, tuple[str, ...]]:
        """Answers given before: it is asked for every alarm."""
        return {}

    def _look_up(self, area: str) -> tuple[str, ...]:
        above = tuple(self._chain(area, Tree.GOVERNMENT))
        own = next((one for one in (area, *above) if self._parent(one, Tree.POLICE) is not None), None)
        police = () if own is None else tuple(self._chain(own, Tree.POLICE))
        return tuple(dict.fromkeys((*above, *police)))

    def nearest(self, area: str, meaning: Meaning) -> str | None:
        """The nearest area of this meaning on the government's tree, the area itself among them."""
        return next((one for one in self._up(area) if self.areas[one].meaning is meaning), None)

    @cached_property
    def groups(self) -> Mapping[GroupId, GroupNow]:
        """Every group."""
        return {GroupId(area.id): self._group(area) for area in self.areas.values() if area.meaning is Meaning.GROUP}

    @cached_property
    def members(self) -> Mapping[GroupId, frozenset[HouseholdId]]:
        """The places of each group that has any."""
        found: dict[GroupId, set[HouseholdId]] = {}
        for place in self.places.values():
            if place.group is not None:
                found.setdefault(place.group, set()).add(place.id)
        return {group: frozenset(places) for group, places in found.items()}

    @cached_property
    def groups_of_places(self) -> Mapping[str, str]:
        """The group of every place that has one."""
        return {place.id: place.group for place in self.places.values() if place.group is not None}

    @cached_property
    def areas_of_groups(self) -> Mapping[str, frozenset[str]]:
        """Every area in which each group lies, itself and the station among them."""
        station = str(self.contents.station)
        return {group: frozenset((group, station, *self.ancestors(group))) for group in self.groups}

    @cached_property
    def groups_by_area(self) -> Mapping[str, frozenset[str]]:
        """The groups that lie in each area."""
        found: dict[str, set[str]] = {}
        for group, areas in self.areas_of_groups.items():
            for area in areas:
                found.setdefault(area, set()).add(group)
        return {area: frozenset(groups) for area, groups in found.items()}

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """The areas right below each area, on either tree."""
        found: dict[str, dict[str, None]] = {}
        for area in self.areas.values():
            for parent in (area.parent, area.police_parent):
                if parent is not None:
                    found.setdefault(parent, {})[area.id] = None
        return {parent: tuple(areas) for parent, areas in found.items()}

    @cached_property
    def units_at(self) -> Mapping[str, tuple[UnitNow, ...]]:
        """The units of each place that has any."""
        found: dict[str, list[UnitNow]] = {}
        for unit in self.units.values():
            found.setdefault(unit.place, []).append(unit)
        return {place: tuple(units) for place, units in found.items()}

    @cached_property
    def memberships(self) -> Mapping[str, Membership]:
        """Who belongs together, for each place that has a group."""
        return {
            place.id: Membership(
                station=self.contents.station,
                group=group.id,
                households=self.members[group.id],
                excluded=place.excludes,
                community=group.community,
                grid=group.grid,
            )
            for place in self.places.values()
            if place.group is not None and (group := self.groups.get(place.group)) is not None
        }

    def _group(self, area: AreaNow) -> GroupNow:
        community, grid = self.nearest(area.id, Meaning.COMMUNITY), self.nearest(area.id, Meaning.GRID)
        return GroupNow(
            id=GroupId(area.id),
            name=area.name,
            community=None if community is None else CommunityId(community),
            grid=None if grid is None else GridId(grid),
            gateway=area.gateway,
        )

    def _parent(self, area: str, tree: Tree) -> str | None:
        found = self.areas.get(area)
        if found is None:
            return None
        return found.parent if tree is Tree.GOVERNMENT else found.police_parent

    def _up(self, area: str) -> Iterator[str]:
        own: Iterable[str] = (area,) if area in self.areas else ()
        return (one for one in chain(own, self._chain(area, Tree.GOVERNMENT)) if one in self.areas)

    def _chain(self, area: str, tree: Tree) -> Iterator[str]:
        """Parents up to the root. A circle, which no verb lets in, ends it."""
        seen = {area}
        parent = self._parent(area, tree)
        while parent is not None and parent not in seen:
            yield parent
            seen.add(parent)
            parent = self._parent(parent, tree)
