"""Edits of the register: what may be, what may not, what stays of what was, and who may do it."""

from pathlib import Path
from typing import Any

import pytest

from api.database import Database
from api.etags import StaleVersion
from api.problems import NotThere
from api.register import repository, views
from api.register.models import CameDown, How, Meaning, Note, Purpose, TeamSort, Tree
from api.register.problems import Impossible
from api.register.registrar import AreaFields, Edit, Person, PlaceFields, Registrar, UnitFields
from api.register.service import Register
from api.settings import StationSettings
from tests.api.conftest import Served

DAY = 86_400_000


class Desk:
    """A register on tables, and a clock that is advanced."""

    def __init__(self, settings: StationSettings, database: Database) -> None:
        self.database = database
        self.register = Register(settings)
        self.register.begin(database)
        self.now_ms = DAY
        drawn = iter(range(1, 1000))
        self.registrar = Registrar(
            self.register,
            database,
            clock=lambda: self.now_ms,
            random_bytes=lambda many: next(drawn).to_bytes(many, "big"),
        )

    def does(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        """One edit, a day after the one before."""
        self.now_ms += DAY
        with self.registrar.edit("li") as edit:
            return getattr(edit, verb)(*args, **kwargs)

    def of(self, place: str) -> str:
        found = self.register.place(place)
        assert found is not None
        return f'"{found.version}"'

    def unit(self, unit: str) -> str:
        return f'"{self.row("unit", unit)["version"]}"'

    def row(self, name: str, id_: str) -> Any:
        with self.database.read() as session:
            return repository.row(session, name, "north", id_)

    def refused(self, verb: str, *args: Any, **kwargs: Any) -> list[str]:
        version = self.register.version
        with pytest.raises(Impossible) as caught:
            self.does(verb, *args, **kwargs)
        assert self.register.version == version
        return [fault.code for fault in caught.value.faults]

    def people(self, place: str) -> Any:
        found = self.register.place(place)
        assert found is not None
        with self.database.read() as session:
            return views.people_answer(session, "north", found, police=True)

    def assignment(self, unit: str, at_ms: int) -> Any:
        with self.database.read() as session:
            return views.assignment(session, "north", unit, at_ms)


@pytest.fixture
def desk(tmp_path: Path, database: Database) -> Desk:
    settings = StationSettings.model_validate(
        {
            "station": "north",
            "broker": {"user": "north.station", "password": "x"},
            "signing": {"path": tmp_path / "key"},
            "gateway_keys": {"gateway:g1": "00" * 32},
            "groups": [
                {"id": "gr1", "community": "c1", "grid": "r1", "gateway": "g1"},
                {"id": "gr2", "community": "c2", "grid": "r2"},
            ],
            "households": [
                {"id": f"h{number:02}", "group": "gr1", "door": number, "label": f"{number}号"}
                for number in range(1, 5)
            ]
            + [{"id": "h09", "group": "gr2"}],
            "units": [
                {"id": "u1", "household": "h01", "gateway": "g1", "line": "line1", "address": 1},
                {"id": "u2", "household": "h02", "gateway": "g1", "line": "line1", "address": 2},
            ],
        }
    )
    return Desk(settings, database)


class TestAreas:
    @pytest.mark.proves("G1")
    def test_a_grid_is_re_drawn_and_an_old_alarm_keeps_what_it_lay_in(self, desk: Desk) -> None:
        before = desk.now_ms
        desk.does("change_area", "r1", AreaFields(name="一网格", parent="c2"), if_match='"1"')
        assert desk.register.community_of("gr1") == "c2"
        assert desk.register.groups_in("c1") == frozenset()
        assert desk.assignment("u1", before).areas == ["r1", "c1", "north"]
        assert desk.assignment("u1", desk.now_ms).areas == ["r1", "c2", "north"]

    @pytest.mark.proves("G1")
    def test_trees_grow_to_any_depth_and_grids_nest(self, desk: Desk) -> None:
        desk.does("create_area", "town", "township", AreaFields(name="北街道"))
        desk.does("change_area", "c1", AreaFields(parent="town", police_parent="north"), if_match='"1"')
        desk.does("create_area", "r1a", "subgrid", AreaFields(parent="r1"))
        desk.does("create_area", "pg1", "police-grid", AreaFields(police_parent="north"))
        desk.does("change_area", "gr1", AreaFields(parent="r1a", police_parent="pg1", gateway="g1"), if_match='"1"')
        assert desk.register.ancestors("gr1") == ("r1a", "r1", "c1", "town", "pg1", "north")
        assert (desk.register.grid_of("gr1"), desk.register.gateway_of("gr1")) == ("r1a", "g1")
        desk.does("create_level", "village", tree=Tree.GOVERNMENT, rank=35, name_zh="自然村", name_en="hamlet",
                  meaning=Meaning.OTHER)  # fmt: skip
        desk.does("create_area", "v1", "village", AreaFields(parent="c1"))
        assert desk.register.ancestors("v1") == ("c1", "town", "north")

    @pytest.mark.proves("G1")
    @pytest.mark.parametrize(
        ("verb", "args", "codes"),
        [
            ("change_area", ("c1", AreaFields(parent="r1")), ["level_order", "cycle"]),
            ("change_area", ("r1", AreaFields(parent="r1")), ["cycle"]),
            ("change_area", ("r1", AreaFields(parent="nowhere")), ["area_unknown", "grid_without_community"]),
            ("change_area", ("r1", AreaFields(parent=None)), ["grid_without_community"]),
            ("change_area", ("r1", AreaFields(parent="north")), ["wrong_tree", "grid_without_community"]),
            ("change_area", ("r1", AreaFields(parent="c1", police_parent="c2")), ["wrong_tree"]),
            ("change_area", ("gr1", AreaFields(parent="r1", gateway="g9")), ["gateway_unknown"]),
            ("close_area", ("gr1",), ["area_in_use"]),
            ("close_area", ("c1",), ["area_in_use"]),
            ("close_area", ("north",), ["station_stays"]),
        ],
    )
    def test_what_cannot_be_drawn_is_refused_with_every_reason(
        self, desk: Desk, verb: str, args: tuple[Any, ...], codes: list[str]
    ) -> None:
        assert desk.refused(verb, *args, if_match='"1"') == codes

    def test_an_id_is_never_used_twice(self, desk: Desk) -> None:
        desk.does("create_area", "gr3", "group", AreaFields(parent="r1"))
        desk.does("close_area", "gr3", if_match='"1"')
        assert desk.register.group("gr3") is None
        assert desk.refused("create_area", "gr3", "group", AreaFields(parent="r1")) == ["taken"]
        assert desk.refused("create_place", "h01", PlaceFields(group="gr1")) == ["taken"]
        assert desk.refused("create_unit", "u1", UnitFields()) == ["taken"]
        assert desk.refused("create_area", "x", "nothing", AreaFields()) == ["level_unknown"]

    def test_whoever_read_something_older_is_told(self, desk: Desk) -> None:
        desk.does("change_area", "r1", AreaFields(name="新", parent="c1"), if_match='"1"')
        with pytest.raises(StaleVersion) as caught:
            desk.does("change_area", "r1", AreaFields(name="旧", parent="c1"), if_match='"1"')
        assert caught.value.version == 2


class TestPlaces:
    @pytest.mark.proves("G1")
    def test_a_place_is_in_one_group_at_a_time_and_the_change_is_kept(self, desk: Desk) -> None:
        before = desk.now_ms
        desk.does("change_place", "h01", PlaceFields(group="gr2", door=7, label="搬"), if_match=desk.of("h01"))
        assert desk.register.places_in("gr2") == {"h01", "h09"}
        assert desk.register.membership("h01").households == {"h01", "h09"}
        assert "h01" not in desk.register.membership("h02").households
        old, new = desk.assignment("u1", before), desk.assignment("u1", desk.now_ms)
        assert (old.group, old.door, old.label) == ("gr1", 1, "1号")
        assert (new.group, new.door, new.label) == ("gr2", 7, "搬")

    @pytest.mark.proves("G1")
    def test_a_group_has_thirty_households_at_most(self, desk: Desk) -> None:
        for number in range(26):
            desk.does("create_place", f"n{number:02}", PlaceFields(group="gr1"))
        assert desk.refused("create_place", "n99", PlaceFields(group="gr1")) == ["group_is_full"]
        codes = desk.refused("change_place", "h09", PlaceFields(group="gr1"), if_match=desk.of("h09"))
        assert codes == ["group_is_full"]

    def test_a_place_needs_a_group_that_is_one(self, desk: Desk) -> None:
        assert desk.refused("create_place", "n1", PlaceFields()) == ["no_group"]
        assert desk.refused("create_place", "n1", PlaceFields(group="c1")) == ["not_a_group"]
        assert desk.refused("create_place", "n1", PlaceFields(group="x")) == ["area_unknown"]
        assert desk.refused("change_place", "h01", PlaceFields(), if_match=desk.of("h01")) == ["no_group"]

    def test_a_place_ends_only_when_nobody_and_nothing_is_there(self, desk: Desk) -> None:
        assert desk.refused("close_place", "h01", if_match=desk.of("h01")) == ["place_in_use"]
        desk.does("move_out", "h01", if_match=desk.of("h01"))
        desk.does("take_down", "u1", CameDown.REMOVED, if_match=desk.unit("u1"))
        desk.does("close_place", "h01", if_match=desk.of("h01"))
        assert desk.register.place("h01") is None
        with pytest.raises(NotThere):
            desk.does("move_in", "h01", "谁", if_match='"1"')


class TestOccupants:
    @pytest.mark.proves("G7")
    def test_a_new_occupant_begins_with_nobodys_consents_and_exclusions(self, desk: Desk) -> None:
        desk.does("exclude", "h01", ["h02"], if_match=desk.of("h01"))
        for purpose in (Purpose.MEDICAL_WORD, Purpose.CONTACTS, Purpose.RESPONDER_NOTES):
            desk.does("consent", "h01", purpose, version=2, given=True, how=How.PAPER, if_match=desk.of("h01"))
        desk.does("contacts", "h01", [Person(name="女儿", phone="13900000000")], if_match=desk.of("h01"))
        desk.does("notes", "h01", {Note.OXYGEN: "卧室"}, if_match=desk.of("h01"))
        place = desk.register.place("h01")
        assert place is not None
        assert (set(place.excludes), place.medical_consent) == ({"h02"}, True)
        before = desk.now_ms
        desk.does("move_in", "h01", "新住户", if_match=desk.of("h01"))
        place = desk.register.place("h01")
        assert place is not None
        assert (set(place.excludes), place.medical_consent) == (set(), False)
        people = desk.people("h01")
        assert (people.name, people.contacts, people.notes, people.consents) == ("新住户", [], {}, [])
        assert desk.assignment("u1", before).occupant == "h01"
        assert desk.assignment("u1", desk.now_ms).occupant == people.occupant != "h01"

    @pytest.mark.proves("G7", "N16")
    def test_what_hung_on_a_consent_is_erased_when_it_is_taken_back(self, desk: Desk) -> None:
        for purpose in (Purpose.CONTACTS, Purpose.RESPONDER_NOTES):
            desk.does("consent", "h01", purpose, version=1, given=True, how=How.PHONE, if_match=desk.of("h01"))
        desk.does("contacts", "h01", [Person(name="女儿", phone="13900000000")], if_match=desk.of("h01"))
        desk.does("notes", "h01", {Note.DOG: "大黄"}, if_match=desk.of("h01"))
        for purpose in (Purpose.CONTACTS, Purpose.RESPONDER_NOTES):
            desk.does("consent", "h01", purpose, version=1, given=False, how=How.PAPER, if_match=desk.of("h01"))
        people = desk.people("h01")
        assert (people.contacts, people.notes) == ([], {})
        assert {one.purpose: one.given for one in people.consents} == dict.fromkeys(
            (Purpose.CONTACTS, Purpose.RESPONDER_NOTES), False
        )
        with desk.database.read() as session:
            contacts = repository.history(session, "contact", "north", occupant="h01")
            notes = repository.history(session, "responder_note", "north", occupant="h01")
        assert [(row["name"], row["phone"]) for row in contacts] == [(None, None)]
        assert [row["words"] for row in notes] == [None]

    @pytest.mark.proves("G7")
    def test_phones_and_notes_need_a_consent(self, desk: Desk) -> None:
        person = Person(name="女儿", phone="13900000000")
        assert desk.refused("contacts", "h01", [person], if_match=desk.of("h01")) == ["needs_consent"]
        assert desk.refused("notes", "h01", {Note.DEAF: ""}, if_match=desk.of("h01")) == ["needs_consent"]

    def test_contacts_are_called_in_their_order_and_those_who_left_the_list_are_erased(self, desk: Desk) -> None:
        desk.does("consent", "h01", Purpose.CONTACTS, version=1, given=True, how=How.PAPER, if_match=desk.of("h01"))
        one, two = Person(name="儿子", phone="138"), Person(name="女儿", phone="139", relation="女")
        desk.does("contacts", "h01", [one, two], if_match=desk.of("h01"))
        desk.does("contacts", "h01", [two], if_match=desk.of("h01"))
        assert [(person.name, person.phone) for person in desk.people("h01").contacts] == [("女儿", "139")]
        with desk.database.read() as session:
            rows = repository.history(session, "contact", "north", occupant="h01")
        assert [row["name"] for row in rows if row["to_ms"] is not None] == [None, None]

    def test_whoever_lends_a_place_comes_back_as_he_was(self, desk: Desk) -> None:
        desk.does("exclude", "h01", ["h02"], if_match=desk.of("h01"))
        desk.does("lend", "h01", "表弟", if_match=desk.of("h01"))
        lent = desk.register.place("h01")
        assert lent is not None
        assert (lent.excludes, desk.people("h01").name) == (frozenset(), "表弟")
        desk.does("give_back", "h01", if_match=desk.of("h01"))
        back = desk.register.place("h01")
        assert back is not None
        assert (set(back.excludes), back.occupant) == ({"h02"}, "h01")
        assert desk.refused("give_back", "h01", if_match=desk.of("h01")) == ["not_lent"]

    def test_when_the_borrower_moves_out_the_lender_is_gone_as_well(self, desk: Desk) -> None:
        desk.does("exclude", "h01", ["h02"], if_match=desk.of("h01"))
        desk.does("lend", "h01", "表弟", if_match=desk.of("h01"))
        desk.does("move_out", "h01", if_match=desk.of("h01"))
        with desk.database.read() as session:
            assert repository.still(session, "exclusion", "north", place="h01") == []
        assert desk.refused("move_out", "h01", if_match=desk.of("h01")) == ["vacant"]

    def test_two_occupants_change_places(self, desk: Desk) -> None:
        desk.does("exclude", "h01", ["h02"], if_match=desk.of("h01"))
        desk.does("swap", "h01", "h03", if_match=desk.of("h01"))
        one, three = desk.register.place("h01"), desk.register.place("h03")
        assert one is not None
        assert three is not None
        assert (one.occupant, three.occupant) == ("h03", "h01")
        assert one.excludes == three.excludes == frozenset()
        assert desk.refused("swap", "h01", "h01", if_match=desk.of("h01")) == ["itself"]

    def test_exclusions_name_places_that_are_there(self, desk: Desk) -> None:
        codes = desk.refused("exclude", "h01", ["h01", "h77"], if_match=desk.of("h01"))
        assert codes == ["place_unknown", "itself"]


class TestUnits:
    def test_an_alarm_keeps_the_assignment_of_its_moment(self, desk: Desk) -> None:
        before = desk.now_ms
        desk.does("swap_units", "u1", "u2", if_match=desk.unit("u1"))
        assert (desk.register.place_of_unit("u1"), desk.register.place_of_unit("u2")) == ("h02", "h01")
        assert desk.assignment("u1", before).place == "h01"
        assert desk.assignment("u1", desk.now_ms).place == "h02"
        swapped = desk.register.unit("u1")
        assert swapped is not None
        assert swapped.handed
        assert desk.assignment("nobody", before).place is None

    def test_a_unit_is_replaced_by_another_which_is_to_be_handed_over(self, desk: Desk) -> None:
        desk.does("create_unit", "u3", UnitFields(gateway="g1", line="line1", address=3))
        desk.does("replace_unit", "u1", "u3", if_match=desk.unit("u1"))
        new = desk.register.unit("u3")
        assert new is not None
        assert (new.place, new.handed) == ("h01", False)
        assert (desk.register.place_of_unit("u1"), desk.row("unit", "u1")["state"]) == (None, "stored")
        desk.does("hand_over", "u3")
        handed = desk.register.unit("u3")
        assert handed is not None
        assert (handed.handed, handed.since_ms) == (True, desk.now_ms)

    @pytest.mark.parametrize(("how", "state"), [(CameDown.LOST, "lost"), (CameDown.SCRAPPED, "scrapped")])
    def test_what_is_lost_or_scrapped_hangs_nowhere_again(self, desk: Desk, how: CameDown, state: str) -> None:
        desk.does("take_down", "u1", how, if_match=desk.unit("u1"))
        assert desk.row("unit", "u1")["state"] == state
        assert desk.register.units_of("h01") == ()
        assert desk.refused("install", "u1", "h01", if_match=desk.unit("u1")) == ["out_of_use"]

    def test_wiring_that_cannot_be_is_refused(self, desk: Desk) -> None:
        assert desk.refused("create_unit", "u9", UnitFields(gateway="g9")) == ["gateway_unknown"]
        assert desk.refused("create_unit", "u9", UnitFields(gateway="g1", address=9)) == ["needs_line"]
        taken = UnitFields(gateway="g1", line="line1", address=1)
        assert desk.refused("create_unit", "u9", taken) == ["address_taken"]
        assert desk.refused("install", "u1", "h02", if_match=desk.unit("u1")) == ["hangs"]
        desk.does("create_unit", "u9", UnitFields())
        codes = desk.refused("take_down", "u9", CameDown.REMOVED, if_match=desk.unit("u9"))
        assert codes == ["hangs_nowhere"]


class TestTeams:
    def test_a_team_has_an_area_a_company_and_members_with_their_time(self, desk: Desk) -> None:
        desk.does("put_company", "guards", name="北关保安", code=None, if_match=None)
        desk.does("put_team", "t1", name="夜巡", sort=TeamSort.PATROL, area="c1", company="guards", if_match=None)
        desk.does("team_members", "t1", ["wang", "zhou"], if_match='"1"')
        desk.does("team_members", "t1", ["zhou"], if_match='"2"')
        with desk.database.read() as session:
            team = views.team_answer(session, "north", repository.row(session, "team", "north", "t1"))  # type: ignore[arg-type] # it is there
        assert (team.members, team.version, team.company) == (["zhou"], 3, "guards")
        team_fields = {"name": "x", "sort": TeamSort.PATROL}
        codes = desk.refused("put_team", "t2", **team_fields, area="x", company="y", if_match=None)
        assert codes == ["area_unknown", "company_unknown"]
        assert desk.refused("put_company", "guards", name="又", code=None, if_match=None) == ["taken"]


def test_everything_that_was_done_is_recorded(desk: Desk) -> None:
    desk.does("move_in", "h01", "新住户", if_match=desk.of("h01"))
    with desk.database.read() as session:
        rows = session.connection().exec_driver_sql("SELECT action, about FROM audit").fetchall()
    assert ("register.move_in", "place:h01") in [tuple(row) for row in rows]


def test_an_edit_that_fails_leaves_nothing(desk: Desk) -> None:
    def add_and_break(edit: Edit) -> None:
        edit.create_place("n1", PlaceFields(group="gr1"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), desk.registrar.edit("li") as edit:
        add_and_break(edit)
    assert not desk.register.refresh(desk.database)
    assert desk.register.place("n1") is None


def call(served: Served, verb: str, path: str, *, status: int = 200, if_match: str | None = None, **body: Any) -> Any:
    headers = {"Authorization": "Bearer token-of-li"} | ({} if if_match is None else {"If-Match": if_match})
    answer = served.client.request(verb, f"/api/v1/register{path}", json=body or None, headers=headers)
    assert answer.status_code == status, answer.text
    return answer


class TestOverHttp:
    def test_a_place_is_read_changed_and_read_again(self, served: Served) -> None:
        read = call(served, "GET", "/places/h01")
        assert read.json()["units"] == ["u1"]
        body: dict[str, Any] = {"group": "gr1", "door": 9, "label": "新", "address": "东街 9 号"}
        changed = call(served, "PUT", "/places/h01", if_match=read.headers["ETag"], **body)
        assert (changed.json()["door"], changed.headers["ETag"]) == (9, '"2"')
        stale = call(served, "PUT", "/places/h01", status=412, if_match=read.headers["ETag"], **body).json()
        assert (stale["type"], stale["version"]) == ("stale_version", 2)
        assert call(served, "PUT", "/places/h01", status=422, **body).json()["type"] == "malformed"

    def test_pages_follow_one_another(self, served: Served) -> None:
        first = call(served, "GET", "/places?limit=2").json()
        second = call(served, "GET", f"/places?limit=200&after={first['next']}").json()
        ids = [place["id"] for place in [*first["items"], *second["items"]]]
        assert ids == sorted({*ids})
        assert second["next"] is None
        assert [area["id"] for area in call(served, "GET", "/areas?within=r1").json()["items"]] == ["gr1", "r1"]
        assert [area["id"] for area in call(served, "GET", "/areas?meaning=community").json()["items"]] == ["c1"]

    @pytest.mark.proves("G7")
    def test_people_are_looked_up_with_a_reason_which_is_recorded(self, served: Served) -> None:
        assert call(served, "GET", "/places/h01/people", status=422).json()["type"] == "needs_reason"
        assert call(served, "GET", "/places/h01/people?reason=回拨核实").json()["occupant"] == "h01"
        assert served.rows("SELECT account, about FROM audit WHERE action = 'register.people.read'") == [
            ("li", "place:h01")
        ]

    def test_an_impossible_edit_is_one_answer_with_every_reason_in_both_languages(self, served: Served) -> None:
        answer = call(
            served, "POST", "/places", status=409, id="h01", group="c1"
        ).json()  # fmt: skip
        assert answer["type"] == "impossible_register"
        assert [fault["code"] for fault in answer["faults"]] == ["taken", "not_a_group"]
        assert all(fault["zh"] and fault["en"] for fault in answer["faults"])

    def test_a_household_moves_in_and_its_history_shows_both(self, served: Served) -> None:
        answer = call(served, "POST", "/places/h01/move-in", if_match='"1"', name="新住户").json()
        assert answer["occupied"]
        history = call(served, "GET", "/places/h01/history").json()
        assert [(one["began"], one["ended"]) for one in history["occupants"]] == [
            ("moved_in", "moved_out"), ("moved_in", None),
        ]  # fmt: skip
        assert "新住户" not in str(history)

    def test_a_unit_changes_hands(self, served: Served) -> None:
        unit = call(served, "GET", "/units/u1")
        assert (unit.json()["place"], unit.json()["handed"], unit.json()["silent"]) == ("h01", True, False)
        call(served, "POST", "/units/u1/lost", if_match=unit.headers["ETag"])
        assert call(served, "GET", "/units/u1").json()["state"] == "lost"
        assert call(served, "GET", "/assignments/u1?at_ms=5").json()["place"] == "h01"
        assert call(served, "GET", f"/assignments/u1?at_ms={(1 << 53) - 1}", status=422).json()["type"] == "malformed"
        assert call(served, "GET", "/units").json()["items"] == []

    def test_a_company_and_a_team_are_put_there_and_changed(self, served: Served) -> None:
        made = call(served, "PUT", "/companies/guards", name="北关保安")
        assert (
            call(served, "PUT", "/companies/guards", status=409, name="又一个").json()["type"] == "impossible_register"
        )
        call(served, "PUT", "/companies/guards", if_match=made.headers["ETag"], name="北关保安公司")
        team = call(served, "PUT", "/teams/t1", name="夜巡", sort="patrol", area="c1", company="guards")
        call(served, "PUT", "/teams/t1/members", if_match=team.headers["ETag"], members=["zhou"])
        assert call(served, "GET", "/teams").json()["items"][0]["members"] == ["zhou"]
        assert [one["name"] for one in call(served, "GET", "/companies").json()["items"]] == ["北关保安公司"]

    def test_what_is_not_there_is_not_there(self, served: Served) -> None:
        for path in ("/places/h99", "/areas/x", "/units/u9", "/places/h99/people?reason=12345", "/places/h99/history"):
            call(served, "GET", path, status=404)
