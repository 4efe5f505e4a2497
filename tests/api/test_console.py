"""Pages as a browser without scripts gets them: who sees what, in which language, and with which guards around."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi import HTTPException
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from api.console import desk
from api.rights.rules import Role
from broker.kinds import Kind
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION, Gateway
from tests.api.signing_in import ORIGIN, PASSWORD, account

pytestmark = only_sqlite


@pytest.fixture
def visitor(served: Served) -> Visitor:
    for login, role, scope in (
        ("wang", Role.DUTY_OFFICER, STATION),
        ("qian", Role.OFFICER, STATION),
        ("sun", Role.COMMUNITY, COMMUNITY),
    ):
        account(served.station, login, (role, scope))
    return Visitor(served)


class TestComingIn:
    @pytest.mark.proves("G5")
    def test_whoever_is_not_signed_in_is_asked_and_comes_where_he_wanted_to(self, visitor: Visitor) -> None:
        asked = visitor.get("/desk")
        assert 'name="password"' in asked
        assert 'value="/desk"' in asked
        assert "未办结警情" in visitor.sign_in("wang")

    def test_a_wrong_password_is_said_beside_the_form_and_the_login_kept(self, visitor: Visitor) -> None:
        answered = visitor.sign_in("wang", "no such password", status=401)
        assert "账号或密码不对" in answered
        assert 'value="wang"' in answered

    @pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"])
    def test_nobody_is_led_away_from_the_station(self, visitor: Visitor, to: str) -> None:
        visitor.client.follow_redirects = False
        answer = visitor.client.post(
            "/login", data={"login": "wang", "password": PASSWORD, "to": to}, headers={"Origin": ORIGIN}
        )
        assert answer.headers["location"] == "/"

    def test_whoever_signs_out_is_nobody(self, visitor: Visitor) -> None:
        visitor.post("/logout", csrf=csrf_of(visitor.sign_in("wang")))
        assert 'name="password"' in visitor.get("/desk")

    def test_the_language_is_that_of_the_browser_until_somebody_chooses(self, served: Served, visitor: Visitor) -> None:
        assert "登录" in visitor.get("/login")
        assert "Sign in" in Visitor(served, "en-GB,en;q=0.8").get("/login")
        assert "Sign in" in visitor.get("/language/en?to=/login")
        assert "登录" in visitor.get("/language/zh?to=/login")

    @pytest.mark.parametrize(
        ("referer", "back"),
        [(f"{ORIGIN}/patrol/cards?tag=04", "/patrol/cards"), ("https://elsewhere.example/me", "/"), ("", "/")],
    )
    def test_after_a_form_the_other_language_is_had_where_the_form_was(
        self, visitor: Visitor, referer: str, back: str
    ) -> None:
        csrf = csrf_of(visitor.sign_in("wang"))
        headers = {"Origin": ORIGIN, "Referer": referer}
        wrong = visitor.client.post("/patrol/cards", data={"csrf": csrf, "do": "issue"}, headers=headers)
        assert wrong.status_code == 422
        assert f'href="/language/en?to={back}"' in wrong.text


class TestWhatWentWrong:
    def test_a_browser_reads_it_as_a_page_with_a_way_on_and_a_program_as_before(self, served: Served) -> None:
        def fails(what: Exception) -> Any:
            def run() -> None:
                raise what

            return run

        lost = OperationalError("SELECT 1", {}, Exception("secret of a row"))
        served.app.add_api_route("/fails/mistake", fails(RuntimeError("secret of a row")))
        served.app.add_api_route("/fails/database", fails(lost))
        served.app.add_api_route("/fails/rights", fails(HTTPException(403)))
        reads = {"Accept": "text/html,application/xhtml+xml"}
        client = TestClient(served.app, raise_server_exceptions=False)
        for path, status, zh, en in (
            ("/no-such-page", 404, "没有这个页面", "There is no such page"),
            ("/phone/nothing", 404, "没有这个页面", "There is no such page"),
            ("/alarms/NOPE", 422, "没有这个页面", "There is no such page"),
            ("/fails/rights", 403, "角色", "Your role may not"),
            ("/fails/mistake", 500, "系统出错了", "A mistake of this system"),
            ("/fails/database", 503, "请稍后再试", "Try again in a moment"),
        ):
            for language, words in (("zh-CN", zh), ("en-GB", en)):
                answer = client.get(path, headers=reads | {"Accept-Language": language})
                assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
                assert words in answer.text
                assert "secret" not in answer.text
                assert ("110" in answer.text) == (status >= 500)
                seen = Seen(answer.text)
                assert seen.inline == []
                assert "/" in seen.addresses
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            for headers in ({}, reads | {"HX-Request": "true"}):
                assert client.get(path, headers=headers).headers["content-type"] == "application/problem+json"
        assert client.get("/api/v1/nothing", headers=reads).headers["content-type"] == "application/problem+json"


class TestDesk:
    @pytest.mark.proves("A7", "N11")
    def test_of_two_officers_one_takes_the_alarm_and_the_other_reads_who_it_was(
        self, served: Served, visitor: Visitor, gateway: Gateway
    ) -> None:
        event = gateway.event(label="<b>老王</b>家")
        gateway.send([event])
        gateway.receipted([event])
        second = Visitor(served)
        second.sign_in("qian")
        first = visitor.sign_in("wang")
        assert "待签收" in first
        assert "&lt;b&gt;老王&lt;/b&gt;家" in first
        token, other = csrf_of(first), csrf_of(second.get("/desk"))
        visitor.client.headers["HX-Request"] = second.client.headers["HX-Request"] = "true"
        taken = visitor.post(f"/desk/alarms/{event.id}/acknowledge", csrf=token)
        assert "签收 · wang的名字" in taken
        late = second.post(f"/desk/alarms/{event.id}/acknowledge", csrf=other)
        assert "wang的名字 已先签收" in late

    @pytest.mark.proves("A7")
    def test_cards_come_by_their_ids_and_of_what_is_closed_or_unknown_there_is_none(
        self, visitor: Visitor, gateway: Gateway
    ) -> None:
        events = [gateway.event(kind=kind) for kind in (Kind.HELP, Kind.FIRE, Kind.MEDICAL)]
        gateway.send(events)
        gateway.receipted(events)
        help_, fire, medical = (event.id for event in events)
        wang = visitor.sign_in("wang")
        asked = "/desk/alarms?" + "&".join(f"id={id_}" for id_ in (help_, fire, help_[:-4] + "0000"))
        piece = visitor.get(asked)
        assert re.findall(r'id="alarm-([0-9a-f-]+)"', piece) == [fire, help_]
        assert medical not in piece
        for step, more in (
            ("acknowledge", {}),
            ("call-back", {"result": "safe"}),
            ("resolve", {"outcome": "false", "cause": "mistake"}),
        ):
            csrf = csrf_of(wang)
            answer = visitor.client.post(
                f"/api/v1/alarms/{fire}/{step}", json=more, headers={"X-CSRF-Token": csrf, "Origin": ORIGIN}
            )
            assert answer.status_code == 200, answer.text
        assert re.findall(r'id="alarm-([0-9a-f-]+)"', visitor.get(asked)) == [help_]
        visitor.get("/desk/alarms?id=%3Cb%3E", status=422)
        assert "没有未办结的警情" in visitor.get(f"/desk/alarms?id={fire}")

    def test_of_more_alarms_than_a_page_bears_the_rest_is_a_link_away(
        self, visitor: Visitor, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "PAGE", 2)
        monkeypatch.setattr(desk, "PAGES", 2)
        events = [gateway.event(press=f"u1:1:{number}") for number in range(7)]
        gateway.send(events)
        gateway.receipted(events)
        page = visitor.sign_in("wang")
        found: list[str] = []
        for _ in range(2):
            found += re.findall(r'id="alarm-([0-9a-f-]+)"', page)
            following = re.search(r'href="(/desk\?after=[^"]+)"', page)
            page = visitor.get(following[1]) if following else ""
        assert sorted(found) == sorted(event.id for event in events)
        assert page == ""

    def test_a_page_of_somebody_else_acknowledges_nothing(
        self, served: Served, visitor: Visitor, gateway: Gateway
    ) -> None:
        event = gateway.event()
        gateway.send([event])
        gateway.receipted([event])
        visitor.sign_in("wang")
        visitor.post(f"/desk/alarms/{event.id}/acknowledge", csrf="guessed")
        assert served.alarms()[0]["state"] == "received"

    @pytest.mark.proves("N4")
    def test_a_duress_alarm_is_on_no_page_of_the_community_and_first_at_the_police_desk(
        self, served: Served, visitor: Visitor, gateway: Gateway
    ) -> None:
        fire = gateway.event(kind=Kind.FIRE)
        duress = gateway.event(kind=Kind.DURESS, place=HOUSEHOLDS[1], unit="u2")
        gateway.send([fire, duress])
        gateway.receipted([fire, duress])
        police = visitor.sign_in("wang")
        assert police.index(f"alarm-{duress.id}") < police.index(f"alarm-{fire.id}")
        assert "请勿回拨" in police
        community = Visitor(served)
        seen = community.sign_in("sun")
        assert f"alarm-{fire.id}" in seen
        for page in (seen, community.get("/desk/alarms"), community.client.get(f"/desk/alarms?id={duress.id}").text):
            assert duress.id not in page
            assert "胁迫" not in page


PAGES = (
    "/login",
    "/me",
    "/works",
    "/trust",
    "/desk",
    "/desk/alarms",
    "/patrol",
    "/points",
    "/reports",
    "/county",
    "/county/now",
    "/wall",
    "/wall/now",
    "/map",
    "/map/now",
    "/phone/c/",
    "/register/places/h01",
    "/health",
    "/duty",
    "/me/channels",
    "/admin/ladders",
    "/admin/rules",
    "/register/devices",
    "/register/gateways",
    "/patrol/tags",
    "/patrol/cards",
    "/joint",
    "/joint/inspections",
    "/joint/trainings",
    "/joint/meetings",
    "/affairs/today",
    "/affairs",
    "/affairs/tasks",
    "/affairs/admitted",
    "/affairs/drills",
    "/affairs/tips",
    "/boards",
    "/desk/alarms/{alarm}/more",
    "/alarms/{alarm}",
    "/alarms/{alarm}/now",
)


class TestGuards:
    @pytest.mark.parametrize("path", PAGES)
    def test_nothing_of_a_page_comes_from_elsewhere_or_stands_inside_it(
        self, visitor: Visitor, gateway: Gateway, path: str
    ) -> None:
        event = gateway.event()
        gateway.send([event])
        gateway.receipted([event])
        visitor.sign_in("wang")
        answer = visitor.client.get(path.format(alarm=event.id))
        seen = Seen(answer.text)
        assert seen.inline == []
        assert {urlsplit(urljoin(ORIGIN, one)).netloc for one in seen.addresses} <= {"testserver"}
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        for address in seen.addresses:
            if address.startswith("/static/"):
                assert visitor.client.get(address).status_code == 200, address

    @pytest.mark.parametrize("name", ["../page.py", "..%2fpage.py", "vendor/../../page.py", "nothing.css", ""])
    def test_no_file_outside_of_the_folder_is_had(self, visitor: Visitor, name: str) -> None:
        assert visitor.client.get(f"/static/{name}").status_code == 404
