import pytest

from broker.ids import GroupId, HouseholdId, UnitId
from tests.gateway.place import COMMUNITY, EXCLUDED, GRID, GROUP, HOUSEHOLDS, LONELY, PRESSER, STATION, register


def test_membership_names_the_whole_group_and_whom_the_presser_excluded() -> None:
    known = register()
    membership = known.membership(known.household(PRESSER))
    assert membership.group == GROUP
    assert membership.households == {*HOUSEHOLDS[:4]}
    assert membership.excluded == {EXCLUDED}
    assert (membership.community, membership.grid) == (COMMUNITY, GRID)


@pytest.mark.proves("N4")
def test_a_household_whose_group_is_unknown_belongs_to_nobody() -> None:
    known = register()
    for household in (known.household(LONELY), None):
        membership = known.membership(household)
        assert membership.station == STATION
        assert membership.group is None
        assert not membership.households
    assert known.membership_of(GroupId("nowhere")).group is None


def test_what_is_unknown_is_none_and_never_an_error() -> None:
    known = register()
    assert known.unit("line1", 99) is None
    assert known.unit("line2", 1) is None
    assert known.unit_by_id(UnitId("u99")) is None
    assert known.household(HouseholdId("h99")) is None
    assert known.household(None) is None
    assert known.group(None) is None
    assert known.remote(1, 1) is None
    assert known.button("hall") is None
    assert known.contact(UnitId("c1")) is None
    assert known.members(None) == frozenset()
    assert known.members(GroupId("g9")) == frozenset()


def test_units_are_found_by_line_and_address_by_id_and_by_household() -> None:
    known = register()
    found = known.unit("line1", 3)
    assert found is not None
    assert known.unit_by_id(found.id) is found
    assert known.units_of(found.household) == (found,)
    assert len(known.units()) == 5
    assert known.members(GROUP) == {*HOUSEHOLDS[:4]}
