"""The page of one alarm, and what the live desk shows beside its cards, as a browser without scripts gets them."""

import re
from typing import Any

import pytest

from api.console import desk
from api.rights.rules import Role
from broker.kinds import Kind
from broker.messages import GatewayEvent
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION, Gateway
from tests.api.signing_in import ORIGIN, PASSWORD, account

pytestmark = only_sqlite

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


class Reader(Visitor):
    """Somebody at the page of one alarm, with a language."""

    def __init__(self, served: Served, login: str, language: str = "zh-CN,zh;q=0.9") -> None:
        super().__init__(served, language)
        self.csrf = csrf_of(self.sign_in(login))
        self.account: str = self.client.get("/api/v1/session").json()["account"]

    def page(self, alarm: str) -> str:
        return self.get(f"/alarms/{alarm}")

    def do(self, alarm: str, form: str, *, status: int = 200, seen: str | None = None, **fields: str) -> str:
        """Send a form of the page as it is now, or as it was when it was `seen`."""
        page = seen or self.page(alarm)
        hidden = {name: found[1] for name in ("version", "seen") if (found := _hidden(name).search(page))}
        return self.post(f"/alarms/{alarm}/do/{form}", status=status, csrf=self.csrf, **hidden, **fields)


def _hidden(name: str) -> re.Pattern[str]:
    return re.compile(rf'name="{name}" value="(\d*)"')


def pressed(gateway: Gateway, kind: Kind = Kind.PANIC, **more: Any) -> GatewayEvent:
    event = gateway.event(kind=kind, **more)
    gateway.send([event])
    gateway.receipted([event])
    return event


@pytest.fixture
def town(served: Served) -> Served:
    for login, role, scope in (
        ("wang", Role.DUTY_OFFICER, STATION),
        ("qian", Role.OFFICER, STATION),
        ("lin", Role.DUTY_LEADER, STATION),
        ("sun", Role.COMMUNITY, COMMUNITY),
    ):
        account(served.station, login, (role, scope))
    return served


class TestActing:
    @pytest.mark.proves("A7", "G5")
    def test_an_alarm_goes_from_taken_to_filed_by_forms_alone_and_somebody_else_follows_up(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway).id
        wang, qian = Reader(town, "wang"), Reader(town, "qian")
        fresh = wang.page(alarm)
        assert "待签收" in fresh
        assert f'action="/alarms/{alarm}/do/resolve"' not in fresh
        taken = wang.do(alarm, "acknowledge")
        assert "wang的名字" in taken
        assert "回拨或到场后方可办结" in taken
        called_back = wang.do(alarm, "call-back", result="in_need", words="老人摔倒")
        assert "老人摔倒" in called_back
        assert 'class="alarm seen"' in called_back
        sent = wang.do(alarm, "dispatch", accounts=wang.account, words="带急救箱")
        assert "派出人员" in sent
        assert "赶赴现场" in wang.do(alarm, "on-the-way")
        assert "到场" in wang.do(alarm, "on-scene", behalf="李队")
        assert "属实" in wang.do(alarm, "resolve", outcome="real", words="已送医")
        refused = wang.do(alarm, "follow-up", satisfaction="5", words="谢谢", status=409)
        assert "处置过的人不回访" in refused
        assert "谢谢" in refused
        assert "已回访" in qian.do(alarm, "follow-up", satisfaction="5", words="谢谢")
        done = wang.do(alarm, "archive")
        for said in ("归档", "代录：李队", "带急救箱", "已送医", "满意度 5"):
            assert said in done

    @pytest.mark.proves("A7")
    def test_what_is_missing_is_said_beside_it_and_what_was_typed_is_kept(self, town: Served, gateway: Gateway) -> None:
        alarm = pressed(gateway).id
        wang = Reader(town, "wang")
        wang.do(alarm, "acknowledge")
        wang.do(alarm, "call-back", result="safe")
        without = wang.do(alarm, "resolve", outcome="false", words="<b>孩子按的</b>", status=422)
        assert "误报须选原因" in without
        assert "&lt;b&gt;孩子按的&lt;/b&gt;" in without
        assert 'id="do-resolve" name="do" open' in without
        short = wang.do(alarm, "kind", kind="fire", reason="火", status=422)
        assert 'class="wrong"' in short
        assert ">火</textarea>" in short
        assert "请选择要派的人" in wang.do(alarm, "dispatch", status=422)
        english = Reader(town, "qian", "en-GB,en")
        assert "A false alarm has a cause" in english.do(alarm, "resolve", outcome="false", status=422)

    @pytest.mark.proves("N11")
    def test_whoever_acts_on_what_is_no_longer_so_reads_what_changed_and_harmless_steps_hinder_nobody(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway).id
        wang, qian = Reader(town, "wang"), Reader(town, "qian")
        seen = wang.do(alarm, "acknowledge")
        qian.do(alarm, "notes", words="门口有狗")
        seen_by_qian = qian.page(alarm)
        assert "门口有狗" in wang.do(alarm, "call-back", seen=seen, result="safe")
        late = qian.do(alarm, "kind", seen=seen_by_qian, kind="medical", reason="老人不适", status=412)
        assert "其间有人处置过" in late
        assert "核实 · wang的名字" in late
        assert "老人不适" in late
        assert "医疗" in qian.do(alarm, "kind", seen=late, kind="medical", reason="老人不适")

    @pytest.mark.proves("A7", "N11")
    def test_the_second_to_take_it_is_told_who_was_first_also_in_a_piece(self, town: Served, gateway: Gateway) -> None:
        alarm = pressed(gateway).id
        wang, qian = Reader(town, "wang"), Reader(town, "qian")
        qian.client.headers["HX-Request"] = "true"
        wang.do(alarm, "acknowledge")
        late = qian.do(alarm, "acknowledge")
        assert "wang的名字 已先签收" in late
        assert "<html" not in late

    @pytest.mark.proves("A7")
    def test_rarer_actions_are_forms_as_well(self, town: Served, gateway: Gateway) -> None:
        alarm, other = pressed(gateway).id, pressed(gateway, place=HOUSEHOLDS[1], unit="u2").id
        wang, lin = Reader(town, "wang"), Reader(town, "lin")
        wang.do(alarm, "acknowledge")
        assert "已通知邻户不要靠近" in wang.do(alarm, "stand-back")
        assert "张接警" in wang.do(alarm, "hand-over", service="120", name="张接警")
        assert "110: X-77" in wang.do(alarm, "number", number="X-77")
        assert "限" in lin.do(alarm, "urge", due="2099-01-02T03:04", reason="尽快办理")
        assert "2099年1月2日 03:04:00" in lin.page(alarm)
        offered = wang.do(alarm, "transfer", receiver=COMMUNITY, reason="请社区处理")
        assert "请社区处理" in offered
        assert f'action="/alarms/{alarm}/do/transfer"' not in offered
        refused = lin.do(alarm, "answer-transfer", accept="no", status=422)
        assert "拒绝须写明理由" in refused
        assert "已接受" in lin.do(alarm, "answer-transfer", accept="yes")
        assert "没有这个区域" in wang.do(alarm, "joint", receiver="nowhere", reason="一起处理", status=422)
        assert other in wang.page(alarm)
        assert "静音至" in wang.do(alarm, "quiet", minutes="60", reason="三次误报")
        assert "静音至" not in wang.do(alarm, "lift", reason="已更换")


class TestShowing:
    @pytest.mark.proves("N4")
    def test_of_duress_the_page_offers_no_call_and_the_community_reads_that_there_is_no_such_alarm(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway, Kind.DURESS).id
        wang, sun = Reader(town, "wang"), Reader(town, "sun")
        page = wang.do(alarm, "acknowledge")
        assert "请勿回拨" in page
        assert "tel:" not in page
        assert "联系人" not in page
        assert 'name="contact"' not in page
        assert "当面核实" in page
        assert f'action="/alarms/{alarm}/do/kind"' not in page
        gone = sun.get(f"/alarms/{alarm}", status=404)
        assert "没有这起警情" in gone
        assert "胁迫" not in gone + sun.get(f"/alarms/{alarm}/now")
        assert "没有这起警情" in sun.post(f"/alarms/{alarm}/do/acknowledge", status=404, csrf=sun.csrf)

    @pytest.mark.proves("N4")
    def test_the_community_reads_neither_telephones_nor_what_officers_wrote(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway).id
        wang, sun = Reader(town, "wang"), Reader(town, "sun")
        wang.do(alarm, "acknowledge")
        wang.do(alarm, "notes", words="内部备注")
        page = sun.page(alarm)
        assert "内部备注" not in page
        assert "按顺序拨打" not in page
        assert f'action="/alarms/{alarm}/do/resolve"' not in page
        assert f'action="/alarms/{alarm}/do/notes"' in page

    @pytest.mark.proves("A7")
    def test_other_alarms_of_the_place_are_there_and_of_no_other(self, town: Served, gateway: Gateway) -> None:
        first, other = pressed(gateway, Kind.FIRE).id, pressed(gateway, place=HOUSEHOLDS[1], unit="u2").id
        second = pressed(gateway, Kind.MEDICAL).id
        page = Reader(town, "wang").page(second)
        earlier = page[page.index("该处其他警情") :]
        assert first in earlier
        assert other not in earlier

    def test_what_changes_by_itself_comes_without_telephones_of_which_every_look_is_written_down(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway).id
        wang = Reader(town, "wang")
        wang.page(alarm)
        looks = "SELECT count(*) FROM audit WHERE action = 'alarm.contacts'"
        before = town.rows(looks)
        piece = wang.get(f"/alarms/{alarm}/now")
        assert 'id="now-head"' in piece
        assert 'id="now-rest"' in piece
        assert "<html" not in piece
        assert town.rows(looks) == before

    @pytest.mark.proves("A7")
    def test_a_picture_is_attached_and_had_back_and_what_is_none_is_refused_in_words(
        self, town: Served, gateway: Gateway
    ) -> None:
        alarm = pressed(gateway).id
        wang = Reader(town, "wang")
        for content, status, said in ((PNG, 200, "&lt;i&gt;门.png"), (b"MZ", 415, "不保存这种文件")):
            answer = wang.client.post(
                f"/alarms/{alarm}/attach",
                data={"csrf": wang.csrf},
                files={"file": ("<i>门.png", content)},
                headers={"Origin": ORIGIN},
            )
            assert answer.status_code == status
            assert said in answer.text
        (address,) = {one for one in Seen(wang.page(alarm)).addresses if "/attachments/" in one}
        assert wang.client.get(address).content == PNG


class TestDesk:
    @pytest.mark.proves("A9")
    def test_a_card_that_is_opened_shows_neighbours_and_guards(self, town: Served, gateway: Gateway) -> None:
        alarm = pressed(gateway).id
        wang = Reader(town, "wang")
        assert f'data-more="/desk/alarms/{alarm}/more"' in wang.get("/desk")
        shown = wang.get(f"/desk/alarms/{alarm}/more")
        assert "可联系到" in shown
        assert "附近没有在岗的保安" in shown

    def test_more_open_alarms_than_one_page_of_the_interface_are_all_there_once(
        self, town: Served, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk, "PAGE", 2)
        events = [gateway.event(press=None, kind=Kind.HELP) for _ in range(5)]
        gateway.send(events)
        gateway.receipted(events)
        page = Reader(town, "wang").get("/desk")
        assert [page.count(f'id="alarm-{one.id}"') for one in events] == [1] * 5

    @pytest.mark.proves("G5")
    def test_officers_change_by_pin_on_a_paired_desk_which_stays_on_duty(self, town: Served) -> None:
        lin, qian = Reader(town, "lin"), Reader(town, "qian")
        assert "换人" not in lin.get("/desk")
        for one in (lin, qian):
            kept = one.client.put(
                "/api/v1/account/pin",
                json={"password": PASSWORD, "pin": "271828"},
                headers={"Origin": ORIGIN, "X-CSRF-Token": one.csrf},
            )
            assert kept.status_code == 204, kept.text
        paired = lin.client.post(
            "/api/v1/desks",
            json={"name": "前台", "area": STATION},
            headers={"Origin": ORIGIN, "X-CSRF-Token": lin.csrf},
        )
        assert paired.status_code == 201, paired.text
        lin.post("/logout", csrf=lin.csrf)
        again = lin.sign_in("lin")
        assert "换人" in again
        assert "未办结警情" in lin.post("/desk/duty", csrf=csrf_of(again), on="yes")
        wrong = lin.post("/desk/officer", login="qian", pin="000000", status=401)
        assert "账号或密码不对" in wrong
        assert 'value="qian"' in wrong
        assert "qian的名字" in lin.post("/desk/officer", login="qian", pin="271828")
        lin.post("/logout", csrf=csrf_of(lin.get("/desk")))
        nobody = lin.get("/desk")
        assert "未办结警情" in nobody
        assert "换人" in nobody
