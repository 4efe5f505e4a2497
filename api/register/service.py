"""The register, ready to be asked: one snapshot in memory, made of the tables, and made anew after each change of them.

The settings seed the tables once (version 0); from then on the tables are the authority. Whoever changes them calls
`refresh` after the commit. Where other processes may change them, each transaction begins with a look at the version
in `register_state` (`keep_up`), so that no process judges by an older register than the rows that it reads.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from sqlmodel import Session

from api.database import Database
from api.problems import MayNot
from api.register import repository
from api.register.models import Meaning
from api.register.seed import contents_of
from api.register.snapshot import AreaNow, Contents, GroupNow, PlaceNow, Snapshot, UnitNow
from api.rights.rules import Authority, Subject
from api.settings import Officer, StationSettings
from broker.ids import CommunityId, GatewayId, GridId, GroupId, HouseholdId, UnitId
from broker.policy import Membership
from broker.signing import gateway_kid, gateway_of_kid


@dataclass(frozen=True, slots=True)
class _Keyed:
    """Whose signatures count, worked out once for each version of the register."""

    of: Mapping[GatewayId, str | None]
    by_kid: Mapping[str, str]
    gateways: frozenset[GatewayId]

    @classmethod
    def made(cls, stated: Mapping[str, str], put_down: Mapping[GatewayId, str | None]) -> Self:
        """What was put down here goes before what the settings say, also where it says that a key counts no more."""
        by_kid = {kid: key for kid, key in stated.items() if gateway_of_kid(kid) not in put_down}
        by_kid |= {gateway_kid(gateway): key for gateway, key in put_down.items() if key is not None}
        return cls(put_down, by_kid, frozenset(gateway_of_kid(kid) for kid in by_kid))


class Register:
    """Who lives where, and who belongs together. Unknown is None, never an error: an unknown place may be in need.

    Any thread may ask. Several questions that must fit together are asked of one `now`.
    """

    def __init__(self, settings: StationSettings) -> None:
        """Until `begin` it is what the settings say."""
        self.station = settings.station
        self._stated = settings.gateway_keys
        self._keyed: _Keyed | None = None
        self._officers = {officer.id: officer for officer in settings.officers}
        seed = contents_of(settings)
        self._seed: Contents | None = seed
        self._now = Snapshot(seed)
        self._one_at_a_time = threading.Lock()

    def begin(self, database: Database) -> None:
        """Take the tables for the truth; where they are empty, seed them first."""
        with database.read() as session:
            seeded = repository.version(session, self.station) is not None
        if not seeded and self._seed is not None:
            with database.write() as session:
                if repository.version(session, self.station) is None:
                    repository.seed(session, self._seed)
                    repository.rise(session, self.station, at_ms=0)
        self._seed = None
        with database.read() as session:
            self._now = Snapshot(repository.load(session, self.station))
        if database.shared:
            database.begun = self.keep_up

    def refresh(self, database: Database) -> bool:
        """Look whether the tables changed, and ask them anew if so. Call it after the commit of a change."""
        before = self.version
        with database.read() as session:
            self.keep_up(session)
        return self.version != before

    def keep_up(self, session: Session) -> None:
        """The same, in a transaction that has changed nothing yet."""
        if repository.version(session, self.station) == self.version:
            return
        with self._one_at_a_time:  # whoever has it has a connection already, and waits for nobody
            version = repository.version(session, self.station)
            if version is not None and version > self.version:  # a reader's moment may be older than the snapshot
                self._now = Snapshot(repository.load(session, self.station))

    @property
    def now(self) -> Snapshot:
        """The register at one moment."""
        return self._now

    @property
    def version(self) -> int:
        """The version of the tables that the snapshot was made of."""
        return self._now.contents.version

    @property
    def groups_of_places(self) -> Mapping[str, str]:
        """The group of every place that has one."""
        return self._now.groups_of_places

    @property
    def gateways(self) -> frozenset[GatewayId]:
        """Every gateway that has a key here."""
        return self._keys.gateways

    @property
    def gateway_keys(self) -> Mapping[str, str]:
        """Public keys of gateways, hexadecimal, by kid: those of the settings, and what was put down here since."""
        return self._keys.by_kid

    @property
    def _keys(self) -> "_Keyed":
        now, known = self._now, self._keyed
        if known is None or known.of is not now.contents.gateway_keys:
            known = self._keyed = _Keyed.made(self._stated, now.contents.gateway_keys)
        return known

    def areas_of(self, group: str | None) -> frozenset[str]:
        """Every area in which a group lies, itself and the station's own included, on both trees."""
        found = None if group is None else self._now.areas_of_groups.get(group)
        return frozenset((self.station,)) if found is None else found

    def groups_in(self, area: str) -> frozenset[str]:
        """Every group that lies in an area."""
        return self._now.groups_by_area.get(area, frozenset())

    def area(self, area: str | None) -> AreaNow | None:
        """The area of this id."""
        return None if area is None else self._now.areas.get(area)

    def ancestors(self, area: str) -> tuple[str, ...]:
        """What an area lies in, from near to far: the government's tree, then the police's."""
        return self._now.ancestors(area)

    def lies_in(self, area: str) -> frozenset[str]:
        """Every area in which an area lies, itself and the station's own included."""
        return frozenset((area, self.station, *self._now.ancestors(area)))

    def within(self, area: str) -> frozenset[str]:
        """Every area that lies in an area, itself included."""
        return frozenset(one for one in self._now.areas if area in self.lies_in(one))

    def subject(self, place: str | None, group: str | None = None) -> Subject:
        """What rights need to know of a place, or of a thing that belongs to `group`."""
        group = group or self.groups_of_places.get(place or "")
        return Subject(areas=self.areas_of(group), group=group, place=place)

    def whole(self, by: Authority) -> None:
        """Refuse whoever is not granted the whole station: the one answer for routes and works. Raises MayNot."""
        if not by.reach.covers(self.subject_of_area(self.station)):
            raise MayNot(by.action, over="the whole station")

    def subject_of_area(self, area: str) -> Subject:
        """What rights need to know of a thing that belongs to an area, which may be a group."""
        found = self.area(area)
        group = area if found is not None and found.meaning is Meaning.GROUP else None
        return Subject(areas=self.lies_in(area), group=group)

    def officer(self, officer: str) -> Officer | None:
        """The officer of this id, who may have left."""
        return self._officers.get(officer)

    def place(self, place: str | None) -> PlaceNow | None:
        """The place of this id."""
        return None if place is None else self._now.places.get(place)

    def household(self, household: str | None) -> PlaceNow | None:
        """The place of this id: messages call every place a household."""
        return self.place(household)

    def unit(self, unit: str | None) -> UnitNow | None:
        """The unit of this id, where it hangs now."""
        return None if unit is None else self._now.units.get(unit)

    def place_of_unit(self, unit: str | None) -> HouseholdId | None:
        """The place where a unit hangs now."""
        found = self.unit(unit)
        return None if found is None else found.place

    def units_of(self, place: str) -> tuple[UnitId, ...]:
        """The units that hang in a place."""
        return tuple(unit.id for unit in self._now.units_at.get(place, ()))

    def unit_since(self, unit: str) -> int:
        """Since when a unit hangs where it hangs (Unix ms); 0 for an unknown one."""
        found = self.unit(unit)
        return 0 if found is None else found.since_ms

    def group(self, group: str | None) -> GroupNow | None:
        """The group of this id."""
        return None if group is None else self._now.groups.get(GroupId(group))

    def gateway_of(self, group: str | None) -> GatewayId | None:
        """The home gateway of a group."""
        found = self.group(group)
        return None if found is None else found.gateway

    def community_of(self, group: str | None) -> CommunityId | None:
        """The community of a group."""
        found = self.group(group)
        return None if found is None else found.community

    def grid_of(self, group: str | None) -> GridId | None:
        """The grid of a group: of nested ones the nearest."""
        found = self.group(group)
        return None if found is None else found.grid

    def places_in(self, group: str | None) -> frozenset[HouseholdId]:
        """The places of a group; none of an unknown one."""
        return frozenset() if group is None else self._now.members.get(GroupId(group), frozenset())

    def membership(self, place: str | None) -> Membership:
        """Who belongs together at this place; for an unknown one nobody, which leaves the police alone."""
        found = None if place is None else self._now.memberships.get(place)
        return Membership(station=self.station) if found is None else found
