"""Who reads and changes what of the register: each role in its own area, and nothing of anybody else's."""

from typing import Any

import pytest

from api.rights.rules import Role
from tests.api.conftest import Served
from tests.api.signing_in import Browser, account, browser

REGISTER = "/api/v1/register"


@pytest.fixture
def town(served: Served) -> Served:
    """A second community with a household of its own."""
    token = {"Authorization": "Bearer token-of-zhao"}
    for body in (
        {"id": "c2", "level": "community", "police_parent": "north"},
        {"id": "r2", "level": "grid", "parent": "c2"},
        {"id": "gr2", "level": "group", "parent": "r2"},
    ):
        assert served.client.post(f"{REGISTER}/areas", json=body, headers=token).status_code == 201
    place = {"id": "far", "group": "gr2", "occupant": "远处人家"}
    assert served.client.post(f"{REGISTER}/places", json=place, headers=token).status_code == 201
    return served


def signed_in(served: Served, *roles: tuple[Role, str]) -> Browser:
    account(served.station, "somebody", *roles)
    one = browser(served.station, served.client.app)
    one.sign_in("somebody")
    return one


def ids(one: Browser, path: str) -> set[str]:
    return {item["id"] for item in one.get(f"{REGISTER}{path}")["items"]}


class TestReach:
    @pytest.mark.proves("G5", "G7")
    def test_a_grid_worker_reads_and_changes_his_own_grid_alone(self, town: Served) -> None:
        worker = signed_in(town, (Role.GRID_WORKER, "r1"))
        assert "far" not in ids(worker, "/places")
        assert "h01" in ids(worker, "/places")
        assert ids(worker, "/areas") == {"r1", "gr1"}
        for path in ("/places/far", "/places/far/people?reason=12345", "/areas/r2", "/places/far/history"):
            worker.get(f"{REGISTER}{path}", status=404)
        match = {"If-Match": '"1"'}
        for path, body in (("/places/far/move-in", {"name": "x"}), ("/places/far/move-out", None)):
            worker.ask("POST", f"{REGISTER}{path}", status=404, json=body, headers=match)
        body = {"group": "gr2"}
        worker.ask("PUT", f"{REGISTER}/places/h01", status=404, json=body, headers=match)
        worker.ask("POST", f"{REGISTER}/places/h01/move-in", status=200, json={"name": "新住户"}, headers=match)

    @pytest.mark.proves("G5", "G7")
    def test_a_household_reads_its_own_and_nobody_elses(self, town: Served) -> None:
        household = signed_in(town, (Role.HOUSEHOLD, "h01"))
        assert ids(household, "/places") == {"h01"}
        assert ids(household, "/units") == {"u1"}
        assert household.get(f"{REGISTER}/places/h01/people")["occupant"] == "h01"
        for path in ("/places/h02", "/places/h02/people", "/places/far", "/areas/gr1"):
            household.get(f"{REGISTER}{path}", status=404)
        asked = {"excludes": ["h02"]}
        match = {"If-Match": '"1"'}
        household.ask("PUT", f"{REGISTER}/places/h01/exclusions", status=200, json=asked, headers=match)
        household.ask("PUT", f"{REGISTER}/places/h02/exclusions", status=404, json=asked, headers=match)
        household.ask("POST", f"{REGISTER}/places/h01/move-in", status=403, json={"name": "x"}, headers=match)

    @pytest.mark.proves("G5", "N4")
    def test_of_a_silent_key_only_the_police_and_who_installs_it_know(self, town: Served) -> None:
        consent: dict[str, Any] = {"purpose": "duress_key", "version": 1, "given": True, "how": "paper"}
        worker = signed_in(town, (Role.GRID_WORKER, "r1"))
        match = {"If-Match": '"1"'}
        path = f"{REGISTER}/places/h01/consents"
        worker.ask("POST", path, status=403, json=consent, headers=match)
        police = {"Authorization": "Bearer token-of-li"} | match
        assert town.client.post(path, json=consent, headers=police).status_code == 200
        unit = {"gateway": None, "silent": True}
        assert town.client.put(f"{REGISTER}/units/u1", json=unit, headers=police).json()["silent"] is True
        people = worker.get(f"{REGISTER}/places/h01/people?reason=回拨核实")
        assert people["consents"] == []
        assert worker.get(f"{REGISTER}/units/u1")["silent"] is None
        for body in ({"silent": False}, {}):
            changed = worker.ask("PUT", f"{REGISTER}/units/u1", json=body, headers={"If-Match": _etag(town)})
            assert changed.status_code == 200
        assert town.rows("SELECT silent FROM unit WHERE id = 'u1'") in ([(1,)], [(True,)])

    @pytest.mark.proves("G5")
    def test_an_installer_sees_places_and_units_and_nobodys_name(self, town: Served) -> None:
        installer = signed_in(town, (Role.INSTALLER, "c1"))
        assert "far" not in ids(installer, "/places")
        assert "u1" in ids(installer, "/units")
        installer.get(f"{REGISTER}/places/h01/people?reason=12345", status=403)
        installer.get(f"{REGISTER}/export?reason=12345", status=403)

    @pytest.mark.proves("G5")
    def test_a_community_draws_in_its_own_area_alone(self, town: Served) -> None:
        community = signed_in(town, (Role.COMMUNITY, "c1"))
        inside = {"id": "r1b", "level": "grid", "parent": "c1"}
        community.post(f"{REGISTER}/areas", inside, status=201)
        community.post(f"{REGISTER}/areas", {"id": "r3", "level": "grid", "parent": "c2"}, status=404)
        community.post(f"{REGISTER}/areas", {"id": "c3", "level": "community"}, status=404)
        moved = {"name": "x", "parent": "c2"}
        community.ask("PUT", f"{REGISTER}/areas/r1", status=404, json=moved, headers={"If-Match": '"1"'})


def _etag(town: Served) -> str:
    answer = town.client.get(f"{REGISTER}/units/u1", headers={"Authorization": "Bearer token-of-li"})
    tag: str = answer.headers["ETag"]
    return tag
