"""Pages of figures: reports, the county page, the wall display and the map, as a browser without scripts gets them."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from api.rights.rules import Role
from broker.kinds import EventType, Kind
from deploy.mosquitto import PrivateBroker
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION, Gateway
from tests.api.people import MOMENT, Hands, Somebody, add_companies, somebody
from tests.api.signing_in import account
from tests.api.test_console_works import wait_long

pytestmark = only_sqlite


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        for login, role, scope in (
            ("wang", Role.DUTY_OFFICER, STATION),
            ("meng", Role.DUTY_LEADER, STATION),
            ("xiang", Role.TOWNSHIP, COMMUNITY),
        ):
            account(one.station, login, (role, scope))
        yield one


@pytest.fixture
def gateway(station: Served, broker: PrivateBroker) -> Iterator[Gateway]:
    del station
    with Gateway(broker) as one:
        yield one


def signed_in(station: Served, login: str, language: str = "zh-CN,zh;q=0.9") -> Visitor:
    one = Visitor(station, language)
    one.sign_in(login)
    return one


def press(gateway: Gateway, hands: Hands, event: EventType = EventType.PRESS, **more: Any) -> str:
    made = gateway.event(event, at_ms=hands.now_ms - 5, **more)
    gateway.send([made])
    gateway.receipted([made])
    return str(made.id)


def handled(station: Served, hands: Hands, alarm: str) -> Somebody:
    officer = somebody(station, "xu", Role.DUTY_OFFICER, STATION)
    hands.pass_(seconds=20)
    officer.post(f"/api/v1/alarms/{alarm}/acknowledge")
    return officer


def plots(page: str) -> list[Any]:
    return [json.loads(unescape(found)) for found in re.findall(r'data-plot="([^"]*)"', page)]


def numbers(page: str, heading: str) -> list[int]:
    """The last column of the table that stands below a heading."""
    part = page[page.index(f"<h2>{heading}</h2>") :]
    return [int(found) for found in re.findall(r'<td class="right num">(\d+)</td>', part[: part.index("</tbody>")])]


@pytest.mark.proves("G4")
def test_a_report_shows_the_figures_of_the_interface_as_plots_and_the_same_numbers_as_tables(
    station: Served, gateway: Gateway, hands: Hands
) -> None:
    first = press(gateway, hands)
    press(gateway, hands, kind=Kind.FIRE, place=HOUSEHOLDS[1], unit="u2", press="u2:1:1")
    press(gateway, hands, EventType.TEST)
    asked = handled(station, hands, first).get(f"/api/v1/reports/{STATION}/alarms?day={MOMENT.date()}&period=week")
    wang = signed_in(station, "wang")
    page = wang.get("/reports?period=week")
    hours, kinds = plots(page)[:2]
    assert hours["series"][0]["values"] == numbers(page, "分时段报警") == asked["figures"]["by_hour"]
    assert sum(kinds["series"][0]["values"]) == sum(numbers(page, "分类别报警")) == 2
    assert "20.0 秒" in page
    assert "安装率" in page
    for form in ("html", "xlsx", "csv"):
        address = f"/api/v1/reports/{STATION}/alarms?day={MOMENT.date()}&period=week&format={form}"
        assert address.replace("&", "&amp;") in page
        assert wang.client.get(address).status_code == 200
    assert Seen(page).inline == []
    assert "Alarms by hour" in signed_in(station, "wang", "en").get("/reports")


@pytest.mark.proves("G4")
@pytest.mark.parametrize("period", ["day", "month", "year"])
def test_every_period_has_its_report(station: Served, period: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_long(monkeypatch)
    wang = signed_in(station, "wang")
    csrf, day = csrf_of(wang.get("/reports?period=year")), str(MOMENT.date())
    page = wang.post("/reports", csrf=csrf, area=STATION, period=period, day=day, cards="community")
    assert "这段时间没有报警" in page
    points = plots(page)[-1]
    assert len(points["labels"]) == {"day": 7, "month": 15, "year": 1}[period]


def test_what_cannot_be_asked_is_said_beside_the_form_and_another_area_is_not_there(station: Served) -> None:
    wang = signed_in(station, "wang")
    assert "没有这个区域、周期或日期" in wang.get("/reports?period=century", status=422)
    assert "没有这个区域、周期或日期" in wang.get("/reports?day=yesterday", status=422)
    assert 'class="problem"' in signed_in(station, "xiang").get(f"/reports?area={STATION}", status=404)


@pytest.mark.proves("N4", "G5")
def test_the_county_urges_with_a_deadline_and_a_township_never_reads_of_duress(
    station: Served, gateway: Gateway, hands: Hands
) -> None:
    fire = press(gateway, hands, kind=Kind.FIRE)
    duress = press(gateway, hands, kind=Kind.DURESS, place=HOUSEHOLDS[1], unit="u2", press="u2:1:90")
    leader = signed_in(station, "meng")
    page = leader.get("/county")
    assert page.index(f"alarm-{duress}") < page.index(f"alarm-{fire}")
    refused = leader.post(
        f"/county/alarms/{fire}/urge", csrf=csrf_of(page), due="2027-01-15T16:10", reason="", status=422
    )
    assert 'value="2027-01-15T16:10"' in refused
    assert 'aria-invalid="true"' in refused
    done = leader.post(f"/county/alarms/{fire}/urge", csrf=csrf_of(page), due="2027-01-15T16:10", reason="尽快到场")
    assert "督办：限 1月15日 16:10 前" in done
    hands.pass_(minutes=20)
    assert "已超期" in leader.get("/county/now")
    feng = signed_in(station, "xiang")
    for path in ("/county", "/county/now"):
        seen = feng.get(path)
        assert f"alarm-{fire}" in seen
        assert duress not in seen
        assert "胁迫" not in seen
        assert Seen(seen).inline == []
    assert "/county" not in Seen(signed_in(station, "wang").get("/desk")).addresses


@pytest.mark.proves("N4", "G5")
def test_a_wall_shows_no_name_no_door_and_nothing_of_duress_even_to_police(
    station: Served, gateway: Gateway, hands: Hands
) -> None:
    leader = signed_in(station, "meng")
    before = leader.get("/wall/now")
    assert '<p class="huge">0</p>' in before
    press(gateway, hands, kind=Kind.DURESS, place=HOUSEHOLDS[1], unit="u2", press="u2:1:90", label="老李家")
    press(gateway, hands, EventType.UNVERIFIED, unit=None, place=None, group=None)
    press(gateway, hands, EventType.TEST)
    assert leader.get("/wall/now") == before
    first = press(gateway, hands, label="老王家")
    page = leader.get("/wall")
    assert '<p class="huge">1</p>' in page
    assert "紧急报警" in page
    handled(station, hands, first)
    after = leader.get("/wall/now")
    assert '<p class="huge">0</p>' in after
    assert "20.0 秒" in after
    for shown in (page, after):
        for word in ("老王家", "老李家", "胁迫", "号门", first, "某xu", "meng", "<form", "<button", "<a "):
            assert word not in shown
        assert Seen(shown).inline == []


@pytest.mark.proves("N4", "G5")
def test_a_map_has_the_outlines_of_areas_and_of_alarms_what_the_reader_may_see(
    station: Served, gateway: Gateway, hands: Hands
) -> None:
    add_companies(station, "beiguan")
    fire = press(gateway, hands, kind=Kind.FIRE, label="<b>老王</b>家")
    duress = press(gateway, hands, kind=Kind.DURESS, place=HOUSEHOLDS[1], unit="u2", press="u2:1:90")
    leader = somebody(station, "xu", Role.DUTY_LEADER, STATION)
    path = f"/api/v1/register/areas/{COMMUNITY}"
    old = leader.get(path)
    version = station.client.get(path, headers={"Authorization": "Bearer token-of-xu"}).headers["etag"]
    kept = {name: old[name] for name in ("name", "kind", "code", "parent", "police_parent", "gateway")}
    corners = [[114.80, 34.40], [114.82, 34.40], [114.82, 34.42]]
    answer = station.client.put(
        path, json=kept | {"outline": corners}, headers={"Authorization": "Bearer token-of-xu", "If-Match": version}
    )
    assert answer.status_code < 300, answer.text
    page = signed_in(station, "wang").get("/map")
    found = re.search(r'data-outlines="([^"]*)"', page)
    assert found is not None
    (outline,) = json.loads(unescape(found[1]))
    assert outline["outline"] == [[north, east] for east, north in corners]
    assert f"/alarms/{fire}" in page
    assert f"/alarms/{duress}" in page
    assert "&lt;b&gt;老王&lt;/b&gt;家" in page
    assert "位置未知" in page
    assert "tile" not in page
    seen = Seen(page)
    assert seen.inline == []
    for path in ("/map", "/map/now"):
        told = signed_in(station, "xiang").get(path)
        assert f"/alarms/{fire}" in told
        assert duress not in told
        assert "胁迫" not in told
