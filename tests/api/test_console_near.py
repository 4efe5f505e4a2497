"""Guards near an alarm ordered by one press, the plan around its place, and its audit, without scripts."""

import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import Hands, Somebody
from tests.api.signing_in import ORIGIN, account
from tests.api.test_orders import Team, called, check_in, officer, station, team

__all__ = ["officer", "station", "team"]

pytestmark = only_sqlite


@pytest.mark.proves("P10")
def test_the_nearest_guard_is_ordered_by_one_press_from_the_desk(
    station: Served, officer: Somebody, team: Team, hands: Hands
) -> None:
    check_in(station, team.wang, "cp2", hands() - 60_000)
    alarm = called(officer)
    account(station.station, "bai", (Role.DUTY_OFFICER, STATION))
    one = Visitor(station)
    csrf = csrf_of(one.sign_in("bai"))
    more = one.get(f"/desk/alarms/{alarm}/more")
    assert Seen(more).inline == []
    assert more.count("立即派他") >= 1
    page = one.get(f"/alarms/{alarm}")
    assert Seen(page).inline == []
    assert "立即派他" in page
    assert 'id="around"' not in page  # the register does not know where h01 is
    answer = one.client.post(
        f"/desk/alarms/{alarm}/order",
        data={"csrf": csrf, "guard": team.wang},
        headers={"Origin": ORIGIN, "HX-Request": "true"},
    )
    assert answer.status_code == 200
    assert f'value="{team.wang}"' not in answer.text
    assert [row["guard"] for row in officer.get(f"/api/v1/alarms/{alarm}/orders")["items"]] == [team.wang]
    twice = one.client.post(
        f"/desk/alarms/{alarm}/order",
        data={"csrf": csrf, "guard": "nobody"},
        headers={"Origin": ORIGIN, "HX-Request": "true"},
    )
    assert "problem" in twice.text
    assert 'id="guards"' in one.post(f"/desk/alarms/{alarm}/order", csrf=csrf, guard=team.wang)


@pytest.mark.proves("A7")
def test_an_alarm_shows_where_it_is_and_its_audit_to_a_leader(station: Served, officer: Somebody) -> None:
    place = officer.get("/api/v1/register/places/h01")
    kept = {name: place[name] for name in ("label", "address", "door", "group")}
    answer = station.client.put(
        "/api/v1/register/places/h01",
        json=kept | {"latitude": 31.2, "longitude": 121.5},
        headers={"Authorization": "Bearer token-of-xu", "If-Match": f'"{place["version"]}"'},
    )
    assert answer.status_code == 200, answer.text
    alarm = called(officer)
    account(station.station, "gong", (Role.DUTY_LEADER, STATION))
    leader = Visitor(station)
    leader.sign_in("gong")
    page = leader.get(f"/alarms/{alarm}")
    assert Seen(page).inline == []
    assert 'id="around"' in page
    assert 'data-lat="31.2"' in page
    assert "vendor/leaflet.js" in page
    audit = leader.get(f"/alarms/{alarm}/audit")
    assert Seen(audit).inline == []
    assert '签收 <span class="exact mono">alarm.acknowledge</span>' in audit
    assert '徐 <span class="exact mono">' not in audit
    leader.get("/alarms/0000/audit", status=404)
    account(station.station, "bai", (Role.DUTY_OFFICER, STATION))
    other = Visitor(station)
    other.sign_in("bai")
    assert f"/alarms/{alarm}/audit" not in other.get(f"/alarms/{alarm}")
    other.get(f"/alarms/{alarm}/audit", status=403)
