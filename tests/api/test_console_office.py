"""Pages of health, duty, administration and one's own, as a browser without scripts gets them."""

import re
from typing import Any

import pyotp
import pytest

from api.faults.service import raise_fault
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, STATION, Gateway
from tests.api.signing_in import ORIGIN, PASSWORD, account, code

pytestmark = only_sqlite

NEW = "another horse battery"


def administrator(served: Served) -> Visitor:
    account(served.station, "gao", (Role.ADMINISTRATOR, ""))
    one = Visitor(served)
    one.post("/login", login="gao", password=PASSWORD, code=code(served.station), to="/me")
    return one


def chosen_from(page: str, name: str) -> list[str]:
    """What the first list of that name lets one choose."""
    found = re.search(rf'<select name="{name}".*?</select>', page, re.DOTALL)
    assert found is not None
    return re.findall(r'<option value="([^"]*)"', found[0])


@pytest.mark.proves("G2")
def test_gateways_and_the_station_say_how_they_are(served: Served, gateway: Gateway) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    event = gateway.event()
    gateway.send([event])
    gateway.receipted([event])
    visitor = Visitor(served)
    visitor.sign_in("wang")
    for path in ("/health", "/health?state=all", "/health/gateways", "/health/quieted"):
        assert Seen(visitor.get(path)).inline == []
    page = visitor.get("/health/gateways")
    assert "接收事件" in page
    assert "数据库" in page
    visitor.get("/health/faults/999999", status=404)
    # A quieted place is called by its door and label.
    asked = {"minutes": 60, "reason": "婴儿满月酒"}
    signed = {"Origin": ORIGIN, "X-CSRF-Token": csrf_of(page)}
    ordered = visitor.client.post("/api/v1/register/places/h01/quiet", json=asked, headers=signed)
    assert ordered.status_code == 201, ordered.text
    quieted = visitor.get("/health/quieted")
    assert '<span class="door">101 号门</span> <a href="/register/places/h01">第0户</a>' in quieted
    assert ">h01<" not in quieted


def test_a_fault_is_taken_and_worked_off_with_a_reason(served: Served, gateway: Gateway) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    visitor = Visitor(served)
    csrf = csrf_of(visitor.sign_in("wang"))
    assert gateway is not None
    with served.station.database.write() as session:
        areas = frozenset({STATION, GRID})
        raised = raise_fault(
            session, "line_lost", about="line1", gateway="g1", now_ms=served.station.clock(), areas=areas
        )
        path = f"/health/faults/{raised.number}"
    assert path in visitor.get("/health?state=all")
    assert "已接手" in visitor.post(path, csrf=csrf, do="acknowledge")
    assert "fault-words" in visitor.post(path, csrf=csrf, do="note", words="", status=422)
    # Given on to whoever may work it off there, by name.
    worker = account(served.station, "zhou", (Role.GRID_WORKER, GRID))
    guard = account(served.station, "guard", (Role.GUARD, "co1"))
    page = visitor.get(path)
    offered = chosen_from(page, "account")
    assert worker in offered
    assert guard not in offered
    version = re.search(r'name="version" value="([^"]+)"', page)
    assert version is not None
    etag = version[1].replace("&#34;", '"')
    refused = visitor.post(path, csrf=csrf, do="assign", version=etag, account=guard, status=422)
    assert 'id="fault-account"' in refused
    given = visitor.post(path, csrf=csrf, do="assign", version=etag, account=worker)
    assert "→ <span>zhou的名字</span>" in given


@pytest.mark.proves("G2")
def test_one_officer_hands_over_to_the_next_and_both_sign(served: Served) -> None:
    own = account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    taker = account(served.station, "qian", (Role.DUTY_OFFICER, STATION))
    giver, next_ = Visitor(served), Visitor(served)
    csrf, other = csrf_of(giver.sign_in("wang")), csrf_of(next_.sign_in("qian"))
    assert Seen(giver.get("/duty")).inline == []
    kept = giver.post("/duty/handovers", csrf=csrf, taker="", note="<b>东街</b>有人不在", status=422)
    assert "&lt;b&gt;东街&lt;/b&gt;" in kept
    assert 'id="fault-taker"' in kept
    offered = chosen_from(kept, "taker")
    assert taker in offered
    assert own not in offered
    sheet = giver.post("/duty/handovers", csrf=csrf, taker=taker, note="东街有人不在")
    number = re.search(r"/api/v1/duty/handovers/(\d+)/sheet", sheet)
    assert number is not None
    path = f"/duty/handovers/{number[1]}"

    def sign(who: Visitor, token: str) -> str:
        version = re.search(r'name="version" value="&#34;(\d+)&#34;"', who.get(path))
        assert version is not None
        return who.post(path, csrf=token, version=f'"{version[1]}"')

    assert "我签字" not in sign(giver, csrf)
    assert "双方已签字" in sign(next_, other)
    assert "双方已签字" in giver.get("/duty/handovers")


def test_the_roster_is_kept_by_the_duty_leader(served: Served) -> None:
    account(served.station, "qian", (Role.DUTY_LEADER, STATION))
    officer = account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    leader = Visitor(served)
    csrf = csrf_of(leader.sign_in("qian"))
    page = leader.post(
        "/duty",
        csrf=csrf,
        do="shift",
        account=officer,
        role="duty_officer",
        area=STATION,
        starts="08:00",
        ends="08:00",
        weekday="1",
    )
    assert "08:00–08:00" in page
    assert "wang的名字" in page or officer in page
    bad = leader.post("/duty", csrf=csrf, do="leave", account=officer, until="soon", status=422)
    assert 'value="soon"' in bad
    assert f'<option value="{officer}" selected>' in bad


@pytest.mark.proves("G5")
def test_people_are_chosen_by_name_and_nobody_is_put_on_a_roster_who_is_not_there(served: Served) -> None:
    leader_ = account(served.station, "qian", (Role.DUTY_LEADER, STATION))
    officer = account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    worker = account(served.station, "zhou", (Role.GRID_WORKER, GRID))
    account(served.station, "sun", (Role.COMMUNITY, COMMUNITY))
    gone = account(served.station, "feng", (Role.DUTY_OFFICER, STATION))
    with served.station.database.write() as session:
        session.connection().exec_driver_sql("UPDATE account SET state = 'closed', closed_ms = 1 WHERE id = ?", (gone,))
    leader, community = Visitor(served), Visitor(served)
    csrf = csrf_of(leader.sign_in("qian"))
    people = chosen_from(leader.get("/duty"), "account")
    assert {officer, worker, leader_} <= {*people}
    assert gone not in people
    line: dict[str, Any] = {"do": "shift", "role": "duty_officer", "area": STATION, "starts": "08:00", "ends": "20:00"}
    line["weekday"] = "1"
    wrong = leader.post("/duty", csrf=csrf, account="wnag", status=422, **line)
    assert 'id="fault-account"' in wrong
    assert "请从名单中选择" in wrong
    assert '<option value="wnag" selected>' in wrong  # kept to be seen, and refused again
    assert "wang的名字" in leader.post("/duty", csrf=csrf, account="wang的名字", **line)  # typed where lists are long
    away = leader.post(
        "/duty", csrf=csrf, do="leave", account=officer, until="2099-01-01T08:00", stand_in="wnag", status=422
    )
    assert 'id="fault-stand_in"' in away
    # A community keeps the roster of its grid workers, and is offered nothing else.
    token = csrf_of(community.sign_in("sun"))
    page = community.get("/duty")
    assert chosen_from(page, "account") == ["", worker]
    assert chosen_from(page, "role") == ["grid_worker"]
    assert community.post("/duty", csrf=token, account=worker, status=403, **line)


@pytest.mark.proves("G5")
def test_whoever_may_open_no_account_is_shown_no_form_for_it(served: Served) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    officer = Visitor(served)
    csrf = csrf_of(officer.sign_in("wang"))
    page = officer.get("/admin", status=403)
    assert 'action="/admin"' not in page
    assert 'action="/admin"' not in officer.post("/admin", csrf=csrf, name="谁", login="who", status=403)
    assert served.rows("SELECT count(*) FROM account WHERE login = 'who'") == [(0,)]


@pytest.mark.proves("G5")
def test_an_account_is_opened_its_password_shown_once_and_closed(served: Served) -> None:
    with served.station.registrar.edit("li") as edit:
        edit.put_company("beiguan", name="北关保安", code=None, if_match=None)
    account(served.station, "bao", (Role.GUARD_COMPANY, "beiguan"))
    admin = administrator(served)
    page = admin.get("/admin")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    assert "保安公司 · 北关保安" in page
    assert "已有人用" in admin.post("/admin", csrf=csrf, name="高二", login="gao", status=409)
    opened = admin.post("/admin", csrf=csrf, name="<i>周</i>", login="zhou")
    assert "&lt;i&gt;周&lt;/i&gt;" in opened
    secret = re.search(r'class="secret">([^<]+)<', opened)
    path = re.search(r'action="(/admin/accounts/[^"]+)"', opened)
    assert secret is not None
    assert path is not None
    assert secret[1] not in admin.get(path[1])
    wrong = admin.post(path[1], csrf=csrf, do="grant", role="officer", scope="nowhere", status=422)
    assert 'value="nowhere"' in wrong
    assert 'name="number"' in admin.post(path[1], csrf=csrf, do="grant", role="officer", scope=STATION)
    other = Visitor(served)
    asked = other.post("/login", login="zhou", password=secret[1], to="/me")
    assert "先" in asked
    done = other.post("/me/password", csrf=csrf_of(asked), password=secret[1], new=NEW, again=NEW)
    assert "warning" not in done
    assert "已注销" in admin.post(path[1], csrf=csrf, do="close", reason="调离")
    told = admin.get("/admin/audit")
    assert '开立账号 <span class="exact mono">account.open</span>' in told
    assert "&lt;i&gt;周&lt;/i&gt;" in told


@pytest.mark.proves("G5")
def test_password_pin_and_second_factor_are_set_by_oneself(served: Served) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    one = Visitor(served)
    one.sign_in("wang")
    page = one.get("/me")
    assert Seen(page).inline == []
    csrf = csrf_of(page)
    assert "不一样" in one.post("/me/password", csrf=csrf, password=PASSWORD, new=NEW, again="x", status=422)
    assert "fault-pin" in one.post("/me/pin", csrf=csrf, password=PASSWORD, pin="12", status=422)
    assert "已设" in one.post("/me/pin", csrf=csrf, password=PASSWORD, pin="402918")
    begun = one.post("/me/factor", csrf=csrf, password=PASSWORD)
    assert "<svg" in begun
    secret = re.search(r'class="mono">([A-Z2-7]{16,})<', begun)
    assert secret is not None
    confirmed = one.post("/me/factor/confirm", csrf=csrf, code=pyotp.TOTP(secret[1]).now())
    assert confirmed.count('<li class="mono">') == 10
    assert "<li class=" not in one.get("/me")
