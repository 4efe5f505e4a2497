"""Pages of health, duty, administration and one's own, as a browser without scripts gets them."""

import re

import pyotp
import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import STATION, Gateway
from tests.api.signing_in import PASSWORD, account, code

pytestmark = only_sqlite

NEW = "another horse battery"


def administrator(served: Served) -> Visitor:
    account(served.station, "gao", (Role.ADMINISTRATOR, ""))
    one = Visitor(served)
    one.post("/login", login="gao", password=PASSWORD, code=code(served.station), to="/me")
    return one


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


def test_a_fault_is_taken_and_worked_off_with_a_reason(served: Served, gateway: Gateway) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    visitor = Visitor(served)
    csrf = csrf_of(visitor.sign_in("wang"))
    assert gateway is not None
    page = visitor.get("/health?state=all")
    found = re.search(r"/health/faults/(\d+)", page)
    if found is None:
        assert "没有故障" in page
        return
    path = f"/health/faults/{found[1]}"
    assert "已接手" in visitor.post(path, csrf=csrf, do="acknowledge")
    assert "fault-words" in visitor.post(path, csrf=csrf, do="note", words="", status=422)


@pytest.mark.proves("G2")
def test_one_officer_hands_over_to_the_next_and_both_sign(served: Served) -> None:
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    taker = account(served.station, "qian", (Role.DUTY_OFFICER, STATION))
    giver, next_ = Visitor(served), Visitor(served)
    csrf, other = csrf_of(giver.sign_in("wang")), csrf_of(next_.sign_in("qian"))
    assert Seen(giver.get("/duty")).inline == []
    kept = giver.post("/duty/handovers", csrf=csrf, other="", note="<b>东街</b>有人不在", status=422)
    assert "&lt;b&gt;东街&lt;/b&gt;" in kept
    sheet = giver.post("/duty/handovers", csrf=csrf, other=taker, note="东街有人不在")
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


@pytest.mark.proves("G5")
def test_an_account_is_opened_its_password_shown_once_and_closed(served: Served) -> None:
    admin = administrator(served)
    page = admin.get("/admin")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
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
