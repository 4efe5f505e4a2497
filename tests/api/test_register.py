"""The register: what it begins with, what it answers, and what changes of it leave behind."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from api.database import Database
from api.register import repository
from api.register.models import Meaning
from api.register.seed import contents_of
from api.register.service import Register
from api.register.snapshot import AreaNow, Contents, PlaceNow, Snapshot
from api.settings import StationSettings
from broker.ids import GroupId, StationId


def area(id_: str, meaning: Meaning, parent: str | None = None, police: str | None = None) -> AreaNow:
    return AreaNow(id=id_, level=meaning.value, meaning=meaning, parent=parent, police_parent=police)


def tree(*areas: AreaNow, places: tuple[PlaceNow, ...] = ()) -> Snapshot:
    return Snapshot(Contents(station=StationId("north"), areas=areas, places=places))


TOWN = tree(
    area("county", Meaning.COUNTY),
    area("street", Meaning.TOWNSHIP, "county"),
    area("c1", Meaning.COMMUNITY, "street", "pg1"),
    area("r1", Meaning.GRID, "c1"),
    area("r1a", Meaning.GRID, "r1", "pg2"),
    area("gr1", Meaning.GROUP, "r1"),
    area("gr2", Meaning.GROUP, "r1a"),
    area("north", Meaning.STATION, None, "bureau"),
    area("bureau", Meaning.COMMAND),
    area("pg1", Meaning.POLICE_GRID, None, "north"),
    area("pg2", Meaning.POLICE_GRID, None, "north"),
)


@pytest.fixture
def plain(tmp_path: Path) -> StationSettings:
    return StationSettings.model_validate(
        {
            "station": "north",
            "broker": {"user": "north.station", "password": "x"},
            "signing": {"path": tmp_path / "key"},
            "groups": [
                {"id": "gr1", "community": "c1", "grid": "r1", "gateway": "g1"},
                {"id": "gr2", "community": "c1", "grid": "r1"},
                {"id": "alone"},
            ],
            "households": [
                {"id": "h01", "group": "gr1", "door": 101, "label": "东头", "excludes": ["h02"], "duress": True},
                {"id": "h02", "group": "gr1", "medical_consent": True},
                {"id": "h03", "group": "gr2"},
                {"id": "h04"},
            ],
            "units": [{"id": "u1", "household": "h01", "gateway": "g1", "line": "line1", "address": 4}],
            "area_names": {"north": "北关派出所", "c1": "幸福社区"},
        }
    )


class TestTrees:
    @pytest.mark.proves("G1")
    def test_a_group_lies_in_everything_above_it_on_both_trees(self) -> None:
        assert TOWN.ancestors("gr1") == ("r1", "c1", "street", "county", "pg1", "north", "bureau")
        assert TOWN.areas_of_groups["gr1"] == {"gr1", "r1", "c1", "street", "county", "pg1", "north", "bureau"}

    @pytest.mark.proves("G1")
    def test_a_grid_may_nest_and_the_nearest_one_is_the_groups_own(self) -> None:
        group = TOWN.groups[GroupId("gr2")]
        assert (group.grid, group.community) == ("r1a", "c1")
        assert "r1" in TOWN.ancestors("gr2")

    @pytest.mark.proves("G1")
    def test_a_police_grid_that_stands_nearer_goes_before_one_further_away(self) -> None:
        assert "pg2" in TOWN.areas_of_groups["gr2"]
        assert "pg1" not in TOWN.areas_of_groups["gr2"]
        assert TOWN.groups_by_area["pg1"] == {"gr1"}
        assert TOWN.groups_by_area["bureau"] == TOWN.groups_by_area["county"] == {"gr1", "gr2"}

    def test_what_is_not_there_lies_nowhere(self) -> None:
        assert TOWN.ancestors("nowhere") == ()
        assert TOWN.nearest("nowhere", Meaning.GRID) is None

    @given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("abcdef")))
    def test_even_a_circle_ends(self, parents: dict[str, str]) -> None:
        areas = [area(one, Meaning.GROUP, above, above) for one, above in parents.items()]
        snapshot = tree(*areas)
        for one in parents:
            assert one not in snapshot.ancestors(one)
            assert one in snapshot.areas_of_groups[one]


class TestBeginning:
    @pytest.mark.proves("G1")
    def test_the_tables_begin_with_what_the_settings_say(self, plain: StationSettings, database: Database) -> None:
        seeded, told = Register(plain), Register(plain)
        seeded.begin(database)
        for one in ("h01", "h02", "h03", "h04", "h99"):
            assert seeded.membership(one) == told.membership(one)
            assert seeded.subject(one) == told.subject(one)
        assert seeded.version == 0
        first = seeded.place("h01")
        assert first is not None
        assert (first.group, first.door, first.label) == ("gr1", 101, "东头")
        assert first.excludes == {"h02"}
        assert (first.duress, first.medical_consent) == (True, False)
        assert seeded.place_of_unit("u1") == "h01"
        assert [seeded.gateway_of(group) for group in ("gr1", "gr2", None)] == ["g1", None, None]
        assert (seeded.community_of("gr1"), seeded.grid_of("gr1"), seeded.grid_of("alone")) == ("c1", "r1", None)
        assert [seeded.places_in(one) for one in ("gr1", "alone", None)] == [{"h01", "h02"}, frozenset(), frozenset()]
        assert (seeded.units_of("h01"), seeded.units_of("h02")) == (("u1",), ())
        named = seeded.area("c1")
        assert named is not None
        assert (named.name, named.meaning) == ("幸福社区", Meaning.COMMUNITY)

    def test_areas_reach_what_lies_in_them(self, plain: StationSettings, database: Database) -> None:
        register = Register(plain)
        register.begin(database)
        assert register.groups_in("north") == {"gr1", "gr2", "alone"}
        assert register.groups_in("r1") == register.groups_in("c1") == {"gr1", "gr2"}
        assert register.groups_in("elsewhere") == frozenset()
        assert register.areas_of("gr1") == {"gr1", "r1", "c1", "north"}
        assert register.areas_of(None) == register.areas_of("elsewhere") == {"north"}
        assert register.subject_of_area("gr1").group == "gr1"
        assert register.subject_of_area("r1").areas == {"r1", "c1", "north"}
        assert register.subject_of_area("r1").group is None

    def test_once_seeded_the_tables_are_the_authority(self, plain: StationSettings, database: Database) -> None:
        Register(plain).begin(database)
        later = Register(plain.model_copy(update={"households": (), "units": (), "groups": ()}))
        later.begin(database)
        assert later.place("h01") is not None

    def test_a_snapshot_is_made_anew_only_after_a_change(self, plain: StationSettings, database: Database) -> None:
        register = Register(plain)
        register.begin(database)
        before = register.now
        assert not register.refresh(database)
        assert register.now is before
        with database.write() as session:
            assert repository.rise(session, "north", at_ms=5) == 1
        assert register.refresh(database)
        assert (register.version, register.now.places) == (1, before.places)

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"groups": [{"id": "c1", "community": "c1"}]}, "named as community and as group"),
            ({"groups": [{"id": "north"}]}, "named as group and as station"),
            (
                {"groups": [{"id": "a", "community": "c1", "grid": "r"}, {"id": "b", "community": "c2", "grid": "r"}]},
                "lies in c1 and in c2",
            ),
        ],
    )
    def test_settings_in_which_an_id_means_two_areas_are_refused(
        self, plain: StationSettings, changed: dict[str, Any], why: str
    ) -> None:
        values = plain.model_dump() | {"households": [], "units": []} | changed
        with pytest.raises(ValidationError, match=why):
            StationSettings.model_validate(values)


class TestTables:
    @pytest.mark.proves("G1")
    @pytest.mark.parametrize(
        ("table", "row"),
        [
            ("place_group", {"place": "h01", "group": "gr2"}),
            ("place_group", {"place": "h04", "group": "nowhere"}),
            ("area_parent", {"area": "r1", "parent": "alone", "tree": "government"}),
            ("area_parent", {"area": "north", "parent": "north", "tree": "police"}),
            ("occupancy", {"place": "h01", "occupant": "h02", "began": "moved_in"}),
            ("unit_place", {"unit": "u1", "place": "h02", "began": "installed"}),
            ("place_group", {"place": "h04", "group": "gr1", "to_ms": 4}),
        ],
    )
    def test_nothing_is_in_two_places_at_once(
        self, plain: StationSettings, database: Database, table: str, row: dict[str, Any]
    ) -> None:
        Register(plain).begin(database)
        with pytest.raises(IntegrityError), database.write() as session:
            repository.add(session, table, [{"station": "north", "from_ms": 5, **row}])


def test_the_seed_says_each_thing_once(plain: StationSettings) -> None:
    contents = contents_of(plain)
    assert [one.id for one in contents.areas] == ["north", "c1", "r1", "gr1", "gr2", "alone"]
    assert {place.occupant for place in contents.places} == {"h01", "h02", "h03", "h04"}
