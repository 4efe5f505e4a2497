"""The register, ready to be asked. For now it is what the settings say."""

from collections.abc import Mapping

from api.rights.rules import Subject
from api.settings import Group, Household, Officer, StationSettings
from broker.ids import GroupId, HouseholdId
from broker.policy import Membership


class Register:
    """Who lives where, and who belongs together. Unknown is None, never an error: an unknown place may be in need."""

    def __init__(self, settings: StationSettings) -> None:
        self.station = settings.station
        self.gateways = settings.gateways
        self._officers = {officer.id: officer for officer in settings.officers}
        self._households = {household.id: household for household in settings.households}
        self._groups = {group.id: group for group in settings.groups}
        self._members: dict[GroupId, frozenset[HouseholdId]] = {}
        for household in settings.households:
            if household.group is not None:
                self._members[household.group] = self._members.get(household.group, frozenset()) | {household.id}

    @property
    def groups_of_places(self) -> Mapping[str, str]:
        """The group of every place that has one."""
        return {place: one.group for place, one in self._households.items() if one.group is not None}

    def areas_of(self, group: str | None) -> frozenset[str]:
        """Every area in which a group lies, itself and the station's own included, on both trees."""
        found = self.group(group)
        inside = () if found is None else (found.id, found.community, found.grid)
        return frozenset(area for area in (self.station, *inside) if area is not None)

    def groups_in(self, area: str) -> frozenset[str]:
        """Every group that lies in an area."""
        return frozenset(group for group in self._groups if area in self.areas_of(group))

    def subject(self, place: str | None, group: str | None = None) -> Subject:
        """What rights need to know of a place, or of a thing that belongs to `group`."""
        group = group or self.groups_of_places.get(place or "")
        return Subject(areas=self.areas_of(group), group=group, place=place)

    def officer(self, officer: str) -> Officer | None:
        """The officer of this id, who may have left."""
        return self._officers.get(officer)

    def household(self, household: str | None) -> Household | None:
        """The household of this id."""
        return None if household is None else self._households.get(HouseholdId(household))

    def group(self, group: str | None) -> Group | None:
        """The group of this id."""
        return None if group is None else self._groups.get(GroupId(group))

    def membership(self, place: str | None) -> Membership:
        """Who belongs together at this place; for an unknown one nobody, which leaves the police alone."""
        household = self.household(place)
        group = None if household is None else self.group(household.group)
        if household is None or group is None:
            return Membership(station=self.station)
        return Membership(
            station=self.station,
            group=group.id,
            households=self._members[group.id],
            excluded=household.excludes,
            community=group.community,
            grid=group.grid,
        )
