"""The register's pages as a browser without scripts gets them: the tree, a household, sheets, installations, boards."""

import re
from typing import Any

import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.signing_in import ORIGIN, account
from tests.api.test_console_works import wait_long

pytestmark = only_sqlite


@pytest.fixture
def visitor(served: Served) -> Visitor:
    for login, role, scope in (
        ("wang", Role.DUTY_OFFICER, STATION),
        ("qian", Role.DUTY_LEADER, STATION),
        ("sun", Role.COMMUNITY, COMMUNITY),
    ):
        account(served.station, login, (role, scope))
    one = Visitor(served)
    one.sign_in("wang")
    return one


def version_of(page: str, do: str) -> str:
    found = re.search(rf'value="{do}"><input type="hidden" name="version" value="&quot;(\d+)', page)
    assert found is not None
    return f'"{found[1]}"'


@pytest.mark.proves("G2")
def test_places_are_found_by_area_and_by_what_is_said_of_them(visitor: Visitor) -> None:
    page = visitor.get("/register?area=gr1")
    assert Seen(page).inline == []
    assert "/register/places/h01" in page
    found = visitor.get("/register?q=H01")
    assert "/register/places/h01" in found
    assert "/register/places/h02" not in found
    assert "没有查到" in visitor.get("/register?q=%3Cb%3E")
    visitor.get("/register/places/nowhere", status=404)


@pytest.mark.proves("G2")
def test_people_are_shown_for_a_reason_and_somebody_moves_out_and_in(visitor: Visitor) -> None:
    page = visitor.get("/register/places/h01")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    assert "理由" in visitor.post("/register/places/h01", csrf=csrf, do="people", reason="x", status=422)
    assert "按此顺序呼叫" in visitor.post("/register/places/h01", csrf=csrf, do="people", reason="回访核对")
    stale = visitor.post("/register/places/h01", csrf=csrf, do="move-out", version='"0"', status=412)
    assert "刚才有人改过" in stale
    out = visitor.post("/register/places/h01", csrf=csrf, do="move-out", version=version_of(page, "move-out"))
    assert "无人居住" in out
    back = visitor.post(
        "/register/places/h01", csrf=csrf, do="move-in", version=version_of(out, "move-in"), name="<b>新住户</b>"
    )
    assert "无人居住" not in back
    seen = visitor.post("/register/places/h01", csrf=csrf, do="people", reason="回访核对")
    assert "&lt;b&gt;新住户&lt;/b&gt;" in seen
    contacts = visitor.post(
        "/register/places/h01",
        csrf=csrf,
        do="consent",
        version=version_of(seen, "consent"),
        purpose="contacts",
        wording="1",
        given="1",
    )
    again = visitor.post("/register/places/h01", csrf=csrf, do="people", reason="回访核对")
    assert "已同意" in again
    assert "无人居住" not in contacts
    visitor.post(
        "/register/places/h01",
        csrf=csrf,
        do="contacts",
        version=version_of(again, "contacts"),
        name="女儿",
        phone="139 0000 0000",
        relation="女儿",
    )
    assert "139 0000 0000" in visitor.post("/register/places/h01", csrf=csrf, do="people", reason="回访核对")


@pytest.mark.proves("G2")
def test_a_sheet_is_tried_and_then_taken_whole(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_long(monkeypatch)
    page = visitor.get("/register/sheets")
    csrf = csrf_of(page)
    head = "编号,联防组,门号,门牌"

    def send(text: str, name: str = "places.csv", *, status: int = 200) -> str:
        answer = visitor.client.post(
            "/register/sheets/import",
            data={"csrf": csrf, "sheet": "places", "do": "try"},
            files={"file": (name, text.encode(), "text/csv")},
            headers={"Origin": ORIGIN},
        )
        assert answer.status_code == status, answer.text
        return answer.text

    wrong = send(f"{head}\nh01,nowhere,101,东头\nh77,gr1,x,新户\n")
    assert "怎么改" in wrong
    assert "全部导入" not in wrong
    assert "problem" in send("PK no spreadsheet", "a.xlsx", status=422)
    tried = send(f"{head}\nh77,gr1,177,新户\n")
    assert "全部导入" in tried
    visitor.get("/register/places/h77", status=404)
    (taking,) = re.findall(r'action="(/works/[^/]+/take)"', tried)
    done = visitor.post(taking, csrf=csrf)
    assert "已导入" in done
    assert "hx-trigger" not in done  # what is done at once shows no progress
    assert "全部导入" not in visitor.get(taking.removesuffix("/take"))
    assert "没有变化" in visitor.post(taking, csrf=csrf, status=409)
    assert "新户" in visitor.get("/register/places/h77")
    assert "理由" in visitor.post("/register/sheets/export", csrf=csrf, format="xlsx", reason="", status=422)
    answer = visitor.client.post(
        "/register/sheets/export",
        data={"csrf": csrf, "format": "csv", "sheet": "places", "reason": "年度核对"},
        headers={"Origin": ORIGIN},
    )
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "h77" in answer.text


def test_what_is_planned_is_tried_first_and_can_be_cancelled(visitor: Visitor) -> None:
    csrf = csrf_of(visitor.get("/register/planned"))
    fields: dict[str, Any] = {"csrf": csrf, "place": "h02", "step": "move_out"}
    assert "已经过去" in visitor.post("/register/planned", at="2020-01-01T08:00", do="try", status=422, **fields)
    assert "到时可以办" in visitor.post("/register/planned", at="2099-01-01T08:00", do="try", **fields)
    listed = visitor.post("/register/planned", at="2099-01-01T08:00", do="plan", **fields)
    number = re.search(r"/register/planned/(\d+)/cancel", listed)
    version = re.search(r'name="version" value="(\d+)"', listed)
    assert number is not None
    assert version is not None
    assert "已取消" in visitor.post(f"/register/planned/{number[1]}/cancel", csrf=csrf, version=version[1])


def test_installations_say_what_is_left_and_a_window_is_opened_and_closed(visitor: Visitor) -> None:
    page = visitor.get("/register/installations")
    assert Seen(page).inline == []
    csrf = csrf_of(page)
    bad = visitor.post("/register/installations", csrf=csrf, do="window", gateway="g1", minutes="999", status=422)
    assert "fault-minutes" in bad
    opened = visitor.post("/register/installations", csrf=csrf, do="window", gateway="g1", minutes="30")
    number = re.search(r'name="number" value="(\d+)"', opened)
    assert number is not None
    assert 'value="close"' not in visitor.post("/register/installations", csrf=csrf, do="close", number=number[1])


def test_the_community_hangs_a_board(served: Served) -> None:
    account(served.station, "sun", (Role.COMMUNITY, COMMUNITY))
    community = Visitor(served)
    csrf = csrf_of(community.sign_in("sun"))
    assert "/register/boards/r1" in community.get("/register/boards")
    fields: dict[str, Any] = {"csrf": csrf, "name": "王网格", "duty": "巡查", "contact": "8001", "note": ""}
    kept = community.post("/register/boards/r1", phone="no phone", status=422, **fields)
    assert 'value="no phone"' in kept
    assert 'value="王网格"' in kept
    hung = community.post("/register/boards/r1", phone="0571 8000 0000", **fields)
    assert "/api/v1/boards/r1/page" in hung
