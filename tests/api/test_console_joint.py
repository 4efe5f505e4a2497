"""Working together as a browser without scripts gets it: four ones, inspections, trainings, meetings."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, csrf_of, post, visit
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import MOMENT, Hands, add_companies, somebody
from tests.api.signing_in import ORIGIN, account
from tests.api.test_guards import duty, hire
from tests.api.test_pictures import jpeg

pytestmark = only_sqlite


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        for login, role, scope in (
            ("wang", Role.OFFICER, STATION),
            ("sun", Role.COMMUNITY, COMMUNITY),
            ("bao", Role.GUARD_COMPANY, "beiguan"),
        ):
            account(one.station, login, (role, scope))
        yield one


def civil(moment: datetime) -> str:
    return (moment + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.proves("P6", "P12")
def test_an_inspection_is_entered_with_a_photo_and_fills_the_four_ones(station: Served) -> None:
    officer = somebody(station, "xu", Role.OFFICER, STATION)
    guard = hire(officer, "B001", "王一", "beiguan")
    duty(officer, guard, hours=(0, 8))
    wang = visit(station, "wang")
    before = wang.get(f"/joint?area={COMMUNITY}")
    assert "每周一次检查" in before
    assert Seen(before).inline == []
    form: dict[str, Any] = {"area": COMMUNITY, "guard": guard, "items": ["asleep_or_drunk", "dress"]}
    kept = post(wang, "/joint/inspections", status=422, **form, words="夜里三点")
    assert "须有见证人" in kept
    assert 'value="dress" checked' in kept
    assert "夜里三点</textarea>" in kept
    assert 'id="fault-guard"' in post(wang, "/joint/inspections", status=422, **form | {"guard": "nobody"})
    page = post(wang, "/joint/inspections", **form, witness="zhao")
    assert "睡岗或酒后上岗" in page
    assert "积分规则 I03" in page
    csrf = csrf_of(page)
    for content, status, words in ((jpeg(), 200, "<img"), (b"nothing", 415, "这不是完整的图片")):
        answer = wang.client.post(
            "/joint/inspections/1/photos",
            data={"csrf": csrf},
            files={"file": ("a.jpg", content, "image/jpeg")},
            headers={"Origin": ORIGIN},
        )
        assert answer.status_code == status
        assert words in answer.text
    assert "1 次" in wang.get(f"/joint?area={COMMUNITY}")
    company = visit(station, "bao")
    assert "王一" in company.get("/joint/inspections")
    assert 'type="file"' not in company.get("/joint/inspections/1")
    company.get("/joint", status=403)
    assert "每周一次联席会议" in visit(station, "sun").get("/joint")


@pytest.mark.proves("P12")
def test_a_training_is_announced_signed_in_marked_and_closed(station: Served, hands: Hands) -> None:
    officer = somebody(station, "xu", Role.OFFICER, STATION)
    guard, other = hire(officer, "B001", "王一", "beiguan"), hire(officer, "B002", "李四", "beiguan")
    wang = visit(station, "wang")
    form: dict[str, Any] = {
        "area": COMMUNITY,
        "subject": "<b>灭火器</b>",
        "begins": civil(MOMENT + timedelta(minutes=10)),
        "ends": civil(MOMENT + timedelta(minutes=70)),
        "expected": [guard, other],
    }
    assert 'id="fault-subject"' in post(wang, "/joint/trainings", status=422, **form | {"subject": ""})
    page = post(wang, "/joint/trainings", **form)
    assert "&lt;b&gt;灭火器&lt;/b&gt;" in page
    hands.pass_(minutes=12)
    assert "手工签到" in post(wang, "/joint/trainings/1", do="sign-in", guard=guard)
    wrong = post(wang, "/joint/trainings/1", status=422, do="mark", guard=guard, mark="101")
    assert 'id="fault-mark"' in wrong
    assert 'value="101"' in wrong
    assert ">95<" in post(wang, "/joint/trainings/1", do="mark", guard=guard, mark="95")
    post(wang, "/joint/trainings/1", status=409, do="close")
    hands.pass_(minutes=90)
    wang = visit(station, "wang")
    closed = post(wang, "/joint/trainings/1", do="close")
    assert "缺席" in closed
    assert 'value="mark"' not in closed
    assert "灭火器" in visit(station, "bao").get("/joint/trainings")


@pytest.mark.proves("P12")
def test_minutes_are_kept_and_a_company_says_what_it_did(station: Served) -> None:
    wang = visit(station, "wang")
    form: dict[str, Any] = {
        "area": COMMUNITY,
        "subject": "周例会",
        "at": civil(MOMENT - timedelta(hours=2)),
        "companies": ["beiguan"],
        "minutes": "一、通报\n二、部署",
        "words_0": "补齐反光背心",
        "company_0": "beiguan",
        "due_0": civil(MOMENT + timedelta(days=3)),
    }
    kept = post(wang, "/joint/meetings", status=422, **form | {"minutes": ""})
    assert 'id="fault-minutes"' in kept
    assert 'value="补齐反光背心"' in kept
    assert 'id="fault-tasks"' in post(wang, "/joint/meetings", status=422, **form | {"due_0": ""})
    assert "补齐反光背心" in post(wang, "/joint/meetings", **form)
    company = visit(station, "bao")
    assert "/joint/meetings" in company.get("/company")
    assert 'id="fault-words"' in post(company, "/joint/meetings/1", status=422, task="1", words="")
    assert "已补齐" in post(company, "/joint/meetings/1", task="1", words="已补齐")
    assert "1 / 1" in wang.get("/joint/meetings")
    wang.get("/joint/meetings/77", status=404)
