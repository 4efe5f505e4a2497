"""Enrolling tags of checkpoints and guards' cards on pages, without scripts."""

import re

import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import add_companies, somebody
from tests.api.signing_in import account
from tests.api.test_guards import hire
from tests.api.test_patrols import lay_out

pytestmark = only_sqlite


@pytest.fixture
def officer(served: Served) -> Visitor:
    lay_out(somebody(served, "planner", Role.OFFICER, STATION))
    account(served.station, "wang", (Role.OFFICER, STATION))
    one = Visitor(served)
    one.sign_in("wang")
    return one


@pytest.mark.proves("P1")
def test_a_tag_is_hung_at_a_checkpoint_and_taken_down(officer: Visitor) -> None:
    points = officer.get("/patrol/plans?kind=checkpoints")
    assert "/checkpoints/east/label" in points
    assert "/patrol/tags?point=east" in points
    assert "/checkpoints/east/label" in officer.get("/patrol/plans?kind=routes")
    page = officer.get("/patrol/tags?point=east")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    assert "还没有标签" in page
    wrong = officer.post("/patrol/tags", csrf=csrf, tag="<b>no tag", point="east", status=422)
    assert "&lt;b&gt;no tag" in wrong
    hung = officer.post("/patrol/tags", csrf=csrf, tag="0008844356", point="east")
    assert "使用中" in hung
    taken = officer.post("/patrol/tags", csrf=csrf, tag="0008844356", point="shed", status=409)
    assert "已登记" in taken or "problem" in taken
    number = re.search(r"/patrol/tags/(\d+)/end", hung)
    assert number is not None
    ended = officer.post(f"/patrol/tags/{number[1]}/end", csrf=csrf, how="lost")
    assert "丢失" in ended
    assert "使用中" not in officer.get("/patrol/tags?point=east")


@pytest.mark.proves("P1")
def test_a_card_is_issued_lost_and_issued_anew(served: Served, officer: Visitor) -> None:
    add_companies(served, "beiguan")
    guard = hire(somebody(served, "boss", Role.OFFICER, STATION), "B1", "顾强", "beiguan")
    page = officer.get("/patrol/cards?tag=04A1B2C3&since=2026-01-01T08:00")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    assert 'value="04A1B2C3"' in page
    assert 'value="2026-01-01T08:00"' in page
    assert "理由" in officer.post("/patrol/cards", csrf=csrf, guard=guard, reason="x", status=422)
    assert "no card" in officer.post("/patrol/cards", csrf=csrf, guard=guard, do="issue", tag="no card", status=422)
    officer.post("/patrol/cards", csrf=csrf, guard="", do="issue", tag="04A1B2C3", status=422)
    issued = officer.post("/patrol/cards", csrf=csrf, guard=guard, reason="补发新卡", do="issue", tag="04A1B2C3")
    assert "已发卡" in issued
    number = re.search(rf"/patrol/cards/{guard}/(\d+)/end", issued)
    assert number is not None
    lost = officer.post(f"/patrol/cards/{guard}/{number[1]}/end", csrf=csrf, how="lost", reason="补发新卡")
    assert "已挂失" in lost
    assert f'action="/patrol/cards/{guard}/{number[1]}/end"' not in lost
    again = officer.post("/patrol/cards", csrf=csrf, guard=guard, reason="补发新卡", do="issue", tag="04A1B2C4")
    assert "04A1B2C4" in again
    assert len(re.findall(rf'action="/patrol/cards/{guard}/\d+/end"', again)) == 1
    account(served.station, "bao", (Role.GUARD_COMPANY, "beiguan"))
    company = Visitor(served)
    company.sign_in("bao", to="/company")
    assert f"/patrol/cards?guard={guard}" in company.get("/company")
    own = company.get(f"/patrol/cards?guard={guard}")
    assert "04A1B2C4" in own
    assert "理由（会记录在案）" not in own
    company.get("/patrol/tags", status=403)


@pytest.mark.proves("G5")
def test_a_community_is_shown_the_way_to_its_phone_page(served: Served) -> None:
    for login, role, scope in (("sun", Role.COMMUNITY, COMMUNITY), ("wang", Role.OFFICER, STATION)):
        account(served.station, login, (role, scope))
        one = Visitor(served)
        one.sign_in(login)
        assert ('href="/phone/field"' in one.get("/me")) is (login == "sun")
