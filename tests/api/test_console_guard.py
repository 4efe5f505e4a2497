"""Pages of guards and grid workers as the server gives them; what their scripts do is walked in tests/screens."""

import re
from collections.abc import Iterator

import pytest

from api.alarms.rules import State
from api.console import checking_in
from api.console.phone import PHONE
from api.console.rules import URGENT
from api.patrols.models import Checkpoint
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import Hands, Somebody, add_companies, somebody
from tests.api.signing_in import account
from tests.api.test_guards import duty, hire
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out

TAG = "04416D412B0289"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        yield one


@pytest.fixture
def leader(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_LEADER, STATION)


@pytest.fixture
def guard(station: Served, leader: Somebody, hands: Hands) -> Visitor:
    """Wang, on duty on a round that has begun; nobody is signed in yet."""
    officer = somebody(station, "planner", Role.OFFICER, STATION)
    lay_out(officer)
    with station.station.database.write() as session:
        session.get_one(Checkpoint, "east").name = "东门岗亭"
    own = account(station.station, "wang", (Role.GUARD, "beiguan"))
    duty(officer, hire(officer, "B1", "王一", "beiguan", account=own), area="gr1")
    leader.post("/api/v1/checkpoint-tags", {"tag": TAG, "point": "shed", "since": "2027-01-15T08:00:00Z"}, status=201)
    hands.now_ms = BEGINS_MS + MINUTE_MS
    return Visitor(station)


def key_of(page: str) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


@only_sqlite
@pytest.mark.proves("P1")
def test_a_code_is_an_address_that_leads_a_guard_through_signing_in_to_his_check_in(
    station: Served, guard: Visitor, leader: Somebody
) -> None:
    where = leader.get("/api/v1/checkpoints/east/code")["page"]
    asked = guard.get(where)
    assert 'name="password"' in asked
    to = re.search(r'name="to" value="([^"]+)"', asked)
    assert to is not None
    page = guard.post("/login", login="wang", password="correct horse battery", to=to[1])
    assert "巡查点：东门岗亭" in page
    assert "北片线" in page
    assert station.rows("SELECT id FROM check_in") == []  # opening it checks nobody in
    key, csrf = key_of(page), csrf_of(page)
    code = where.rpartition("/")[2]
    done = guard.post("/phone/c/", written=code, key=key, csrf=csrf)
    assert "已打卡：东门岗亭" in done
    assert "已打卡</li>" in done
    again = guard.post("/phone/c/", written=code, key=key, csrf=csrf)
    assert "这一次已经打过卡了" in again
    assert station.rows("SELECT source, point, flags FROM check_in") == [("qr", "east", "")]
    guard.post("/phone/c/", written=code, key="0" * 32, csrf="guessed", status=403)


@only_sqlite
@pytest.mark.proves("P1")
def test_what_is_typed_is_marked_and_what_was_wrong_stands_beside_it(station: Served, guard: Visitor) -> None:
    csrf = csrf_of(guard.sign_in("wang", to="/phone/c/"))
    form = guard.get("/phone/c/")
    assert Seen(form).inline == []
    assert "请先输入" in guard.post("/phone/c/", written=" ", key=key_of(form), csrf=csrf, status=422)
    typed = guard.post("/phone/c/", written=TAG, key=key_of(form), csrf=csrf)
    assert "已打卡：车棚" in typed
    assert "手工输入标签号" in typed
    assert station.rows("SELECT source, point, flags FROM check_in") == [("qr", "shed", "typed")]
    unknown = guard.post("/phone/c/", written="<b>0417</b>", csrf=csrf)
    assert "不知道是哪个巡查点" in unknown
    broken = guard.get("/phone/c/PT1:east:1:<i>")
    assert "这不是巡查点的码" in broken
    assert "<i>" not in broken
    english = Visitor(station, "en-GB")
    english.sign_in("wang", to="/phone/c/")
    assert "I am here: check in" in english.get("/phone/c/")


@only_sqlite
@pytest.mark.proves("G5")
def test_whoever_may_not_check_in_is_told_so(station: Served, guard: Visitor) -> None:
    account(station.station, "sun", (Role.COMMUNITY, "c1"))
    csrf = csrf_of(guard.sign_in("sun", to="/phone/c/"))
    assert "没有对应的巡逻人员" in guard.get("/phone/c/")
    assert "您的角色不能" in guard.post("/phone/c/", written=TAG, csrf=csrf, status=403)


@only_sqlite
@pytest.mark.proves("P1")
def test_a_label_is_printed_by_whoever_looks_after_the_checkpoints(station: Served, guard: Visitor) -> None:
    account(station.station, "ma", (Role.DUTY_LEADER, STATION))
    police = Visitor(station)
    police.sign_in("ma", to="/phone/c/")
    page = police.get("/checkpoints/east/label")
    assert "http://testserver/phone/c/PT1:east:1:" in page
    assert "<svg" in page
    assert Seen(page).inline == []
    police.get("/checkpoints/nowhere/label", status=404)
    guard.sign_in("wang", to="/phone/c/")
    guard.get("/checkpoints/east/label", status=403)


def test_codes_are_found_in_whatever_a_scanner_gives() -> None:
    code = "PT1:east-gate:1:0123456789abcdef"
    for text in (code, f" {code}\n", f"https://station.example/phone/c/{code}", f"{code}?x=1"):
        assert checking_in.code_in(text) == code
    for text in ("", "PT1:east:1", "PT1:east:1:0123", "https://elsewhere.example/", TAG):
        assert checking_in.code_in(text) is None


@only_sqlite
@pytest.mark.parametrize("name", ["guard", "field", "install"])
def test_the_phone_pages_are_served_whole(station: Served, name: str) -> None:
    page = Visitor(station).client.get(f"/phone/{name}")
    assert page.status_code == 200
    seen = Seen(page.text)
    assert seen.inline == []
    for address in seen.addresses:
        if address.startswith("/static/"):
            assert Visitor(station).client.get(address).status_code == 200, address
    worker = Visitor(station).get("/phone/worker.js")
    for path in PHONE.glob(f"{name}*"):
        assert f"/static/phone/{path.name}" in worker or f"/phone/{path.stem}" in worker


def test_phones_look_at_alarms_in_the_order_of_the_desk_and_know_every_state() -> None:
    text = (PHONE / "urgency.js").read_text("utf-8")
    named = {
        name: re.findall(r'"(\w+)"', found) for name, found in re.findall(r"export const (\w+) = (\[[^\]]*\])", text)
    }
    assert named["URGENT"] == [kind.value for kind in URGENT]
    back = {State.RESOLVED, State.FOLLOWED_UP, State.ARCHIVED}
    assert {*named["SENT"], *named["SEEN"]} == {state.value for state in State if state not in back}
