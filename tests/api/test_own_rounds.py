"""A guard's own rounds: what he is to walk today, what he has checked in, and nobody else's."""

from collections.abc import Iterator

import pytest

from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import Hands, Somebody, add_companies, somebody
from tests.api.test_guards import duty, hire
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out

OWN = "/api/v1/patrol-rounds/own"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, STATION)


@pytest.mark.proves("P2", "P3")
def test_a_guard_sees_his_rounds_with_the_bands_and_what_he_checked_in_before_it_is_judged(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    lay_out(officer)
    wang = somebody(station, "wang", Role.GUARD, "beiguan")
    zhao = somebody(station, "song", Role.GUARD, "beiguan")
    mine = hire(officer, "B1", "王一", "beiguan", account="wang")
    hire(officer, "B2", "赵二", "beiguan", account="song")
    assert wang.get(OWN)["rounds"] == []
    duty(officer, mine, area="gr1")
    seen = wang.get(OWN)
    assert (seen["guard"], seen["name"], seen["last"]) == (mine, "王一", None)
    assert [one["id"] for one in seen["groups"]] == ["gr1"]
    (found,) = seen["rounds"]
    assert (found["name"], found["order"]) == ("北片线", "timed")
    first, *_ = found["visits"]
    assert (first["point"], first["outcome"], first["seen"]) == (
        {"id": "east", "name": "东门", "group": "gr1"}, "pending", None,
    )  # fmt: skip
    assert first["opens"] < first["planned"] < first["due"] < first["closes"]
    assert zhao.get(OWN)["rounds"] == []

    hands.now_ms = BEGINS_MS + MINUTE_MS
    code = somebody(station, "keeper", Role.DUTY_LEADER, STATION).get("/api/v1/checkpoints/east/code")
    assert code["page"] == f"/phone/c/{code['code']}"
    moment = f"{hands.now_ms // 1000}"
    item = {"key": f"k-{moment}", "how": "qr", "written": code["code"], "at": "2027-01-15T09:01:00Z"}
    wang.post("/api/v1/check-ins", {"now": "2027-01-15T09:01:00Z", "items": [item]})
    seen = wang.get(OWN)
    (first, second, _third) = seen["rounds"][0]["visits"]
    assert (first["outcome"], first["seen"], second["seen"]) == ("pending", "2027-01-15T09:01:00Z", None)
    assert (seen["last"]["point"]["id"], seen["last"]["at"]) == ("east", first["seen"])


@only_sqlite
@pytest.mark.proves("G5")
def test_whoever_does_not_go_on_patrol_has_no_rounds(station: Served, officer: Somebody) -> None:
    assert somebody(station, "nobody", Role.GUARD, "beiguan").get(OWN, status=404)["type"] == "not_there"
    officer.get(OWN, status=404)
    somebody(station, "boss", Role.GUARD_COMPANY, "beiguan").get(OWN, status=403)
