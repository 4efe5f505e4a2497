"""The gateway's slice of the register, ready to be asked: who is behind this address, who are the neighbours."""

from __future__ import annotations

from dataclasses import replace

from broker.ids import GroupId, HouseholdId, UnitId
from broker.policy import Membership
from gateway.settings import Contact, GatewaySettings, Group, Household, Remote, Sounder, Unit, ZigbeeButton


class Register:
    """Look-ups over one version of the slice. Unknown is None, never an error: an unknown unit may be in need."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._station = settings.station
        self._households = {household.id: household for household in settings.households}
        self._groups = {group.id: group for group in settings.groups}
        self._members: dict[GroupId, frozenset[HouseholdId]] = {}
        for household in settings.households:
            if household.group is not None:
                known = self._members.get(household.group, frozenset())
                self._members[household.group] = known | {household.id}
        self._units = {(unit.line, unit.address): unit for unit in settings.units}
        self._by_id = {unit.id: unit for unit in settings.units}
        self._at: dict[HouseholdId, list[Unit]] = {}
        for unit in settings.units:
            self._at.setdefault(unit.household, []).append(unit)
        self._remotes = {(remote.identity, remote.command): remote for remote in settings.remotes}
        self._buttons = {button.name: button for button in settings.zigbee_buttons}
        self._contacts = {contact.id: contact for contact in settings.contacts}
        self._memberships: dict[HouseholdId, Membership] = {}
        """Of the households that were asked for."""
        self.sounders: tuple[Sounder, ...] = settings.sounders

    def unit(self, line: str, address: int) -> Unit | None:
        """The unit with this address on this line."""
        return self._units.get((line, address))

    def unit_by_id(self, unit: UnitId) -> Unit | None:
        """The native unit of this id."""
        return self._by_id.get(unit)

    def units(self) -> tuple[Unit, ...]:
        """Every native unit."""
        return tuple(self._by_id.values())

    def units_of(self, household: HouseholdId) -> tuple[Unit, ...]:
        """The native units in this household."""
        return tuple(self._at.get(household, ()))

    def remote(self, identity: int, command: int) -> Remote | None:
        """The radio button with this code."""
        return self._remotes.get((identity, command))

    def button(self, name: str) -> ZigbeeButton | None:
        """The Zigbee button of this name."""
        return self._buttons.get(name)

    def contact(self, contact: UnitId) -> Contact | None:
        """The wired contact of this id."""
        return self._contacts.get(contact)

    def household(self, household: HouseholdId | None) -> Household | None:
        """The household of this id."""
        return None if household is None else self._households.get(household)

    def group(self, group: GroupId | None) -> Group | None:
        """The group of this id."""
        return None if group is None else self._groups.get(group)

    def members(self, group: GroupId | None) -> frozenset[HouseholdId]:
        """The households of a group; none of an unknown one."""
        return frozenset() if group is None else self._members.get(group, frozenset())

    def membership(self, household: Household | None) -> Membership:
        """Who belongs together at this place; for an unknown one, nobody."""
        if household is None:
            return Membership(station=self._station)
        known = self._memberships.get(household.id)
        if known is None:
            group = self.group(household.group)
            known = Membership(station=self._station)
            if group is not None:
                known = replace(self.membership_of(group.id), excluded=household.excludes)
            self._memberships[household.id] = known
        return known

    def membership_of(self, group: GroupId) -> Membership:
        """Who belongs together in a group, whatever the place; in an unknown one, nobody."""
        known = self.group(group)
        if known is None:
            return Membership(station=self._station)
        return Membership(
            station=self._station,
            group=group,
            households=self.members(group),
            community=known.community,
            grid=known.grid,
        )
