"""Affairs of the neighbourhood as a browser without scripts gets them: matters, tasks, drills, tips, complaints."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.audit import service as audit
from api.rights.rules import Role
from broker.kinds import Mark
from tests.api.browsing import Seen, Visitor, csrf_of, post, visit
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, HOUSEHOLDS, STATION, Gateway
from tests.api.people import MOMENT, Hands, somebody
from tests.api.signing_in import ORIGIN, account
from tests.api.test_pictures import jpeg

pytestmark = only_sqlite

MB = 1 << 20


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        for login, role, scope in (
            ("wang", Role.DUTY_OFFICER, STATION),
            ("qian", Role.OFFICER, STATION),
            ("lin", Role.DUTY_LEADER, STATION),
            ("tang", Role.COMMAND_CENTRE, STATION),
            ("sun", Role.COMMUNITY, COMMUNITY),
            ("liu", Role.GRID_WORKER, GRID),
            ("he", Role.GROUP_LEADER, "gr1"),
            ("hu", Role.HOUSEHOLD, HOUSEHOLDS[0]),
            ("xia", Role.TOWNSHIP, COMMUNITY),
            ("xin", Role.INSTALLER, COMMUNITY),
            ("shen", Role.AUDITOR, ""),
        ):
            account(one.station, login, (role, scope))
        yield one


def send_photo(who: Visitor, path: str, content: bytes, *, status: int = 200) -> str:
    csrf = csrf_of(who.get("/me"))
    answer = who.client.post(
        path, data={"csrf": csrf}, files={"file": ("a.jpg", content, "image/jpeg")}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == status, answer.text
    return answer.text


@pytest.mark.proves("P11", "G2")
def test_a_hazard_is_reported_handled_followed_up_by_another_and_filed_from_pages(station: Served) -> None:
    wang, qian = visit(station, "wang"), visit(station, "qian")
    assert "没有上报" in wang.get("/affairs")
    said: dict[str, Any] = {"kind": "hazard", "group": "gr1", "words": "<b>消防通道</b>被堵"}
    wrong = post(wang, "/affairs", status=422, **said | {"words": ""})
    assert 'id="fault-words"' in wrong
    page = post(wang, "/affairs", **said)
    assert "&lt;b&gt;消防通道&lt;/b&gt;" in page
    assert Seen(page).inline == []
    matter = "/affairs/matters/1"
    assert 'value="archive"' not in page
    post(wang, matter, do="acknowledge")
    assert "wang的名字" in post(wang, matter, do="on_scene", words="已到")
    half = post(wang, matter, status=422, do="resolve", words="已清理")
    assert 'id="fault-outcome"' in half
    assert "已清理</textarea>" in half
    post(wang, matter, do="resolve", outcome="real", words="已清理")
    own = post(wang, matter, status=409, do="follow_up", satisfaction="5", words="满意")
    assert "请由他人回访" in own
    assert "满意</textarea>" in own
    assert 'id="fault-satisfaction"' in post(qian, matter, status=422, do="follow_up", satisfaction="7")
    post(qian, matter, do="follow_up", satisfaction="4")
    filed = post(qian, matter, do="archive")
    assert "4 / 5" in filed
    assert 'type="file"' not in filed
    hu = visit(station, "hu")
    own_matter = post(hu, "/affairs", kind="hazard", group="gr1", place=HOUSEHOLDS[0], words="广告牌松了")
    post(wang, "/affairs/matters/2", do="acknowledge")
    seen = hu.get("/affairs/matters/2")
    assert "广告牌松了" in own_matter
    assert "本所人员" in seen
    assert "wang的名字" not in seen
    assert 'value="verify"' not in seen
    listed = wang.get("/affairs")
    assert "归档" in listed
    assert matter in wang.get("/affairs?state=archived")
    assert matter not in wang.get("/affairs?state=received")
    wang.get("/affairs/matters/77", status=404)


@pytest.mark.proves("P11")
def test_a_photo_is_shown_and_what_is_none_or_too_large_is_said_beside_its_field(station: Served) -> None:
    wang = visit(station, "wang")
    post(wang, "/affairs", kind="hazard", group="gr1", words="井盖没了")
    path = "/affairs/matters/1/photos"
    picture = re.search(r'<img src="([^"]+)"', send_photo(wang, path, jpeg()))
    assert picture is not None
    assert wang.client.get(picture[1]).headers["content-type"] == "image/jpeg"
    for content, status, words in (
        (b"no picture at all", 415, "这不是完整的图片"),
        (b"\xff\xd8" + bytes(9 * MB), 413, "照片超过 8 MB"),
        (b"\xff\xd8" + bytes(50 * MB), 413, "照片超过 8 MB"),
    ):
        page = send_photo(wang, path, content, status=status)
        assert words in page.split('id="fault-file"')[1][:120]
        assert 'aria-describedby="fault-file"' in page
        assert "井盖没了" in page


@pytest.mark.proves("G6")
def test_a_task_is_laid_on_a_grid_worker_from_the_admitted_list_alone(station: Served) -> None:
    county, community, worker = (visit(station, login) for login in ("tang", "sun", "liu"))
    assert "准入清单是空的" in community.get("/affairs/tasks")
    assert 'value="admit"' not in community.get("/affairs/admitted")
    entry: dict[str, Any] = {
        "id": "monthly", "name": "月度测试协助", "department": "区民政局", "authority": "3号批复", "funds": "每件15元",
    }  # fmt: skip
    assert 'id="fault-deadline_h"' in post(county, "/affairs/admitted", status=422, do="admit", **entry)
    assert "月度测试协助" in post(county, "/affairs/admitted", do="admit", deadline_h="48", **entry)
    assert "已有同名事项" in post(county, "/affairs/admitted", status=409, do="admit", deadline_h="48", **entry)
    form = community.get(f"/affairs/tasks?area={GRID}")
    chosen = re.search(r'<option value="([^"]+)">liu的名字', form)
    assert chosen is not None
    task: dict[str, Any] = {
        "do": "assign",
        "admitted": "monthly",
        "area": GRID,
        "worker": chosen[1],
        "words": "协助501测试",
    }
    assert "不是该区域的网格员" in post(community, "/affairs/tasks", status=422, **task | {"worker": "nobody"})
    assert "协助501测试" in post(community, "/affairs/tasks", **task)
    assert 'value="accept"' not in community.get("/affairs/tasks")
    assert 'id="fault-words"' in post(worker, "/affairs/tasks", status=422, do="done", number="1", words="")
    post(worker, "/affairs/tasks", do="done", number="1", words="已测试")
    post(community, "/affairs/tasks", do="send-back", number="1", words="没有照片")
    post(worker, "/affairs/tasks", do="done", number="1", words="已测试，附照片")
    assert "办结" in post(community, "/affairs/tasks", do="accept", number="1")
    post(community, "/affairs", kind="hazard", group="gr1", words="楼道堆物")
    of_matter = post(community, "/affairs/matters/1", do="assign", admitted="monthly", worker=chosen[1], words="清理")
    assert "由此派出的任务" in of_matter
    assert "liu的名字" in of_matter
    worker.get("/affairs/complaints", status=403)


@pytest.mark.proves("A11")
def test_a_drill_is_announced_run_and_its_results_read_by_household(
    station: Served, hands: Hands, gateway: Gateway
) -> None:
    leader = visit(station, "he")
    page = leader.get("/affairs/drills")
    assert "户邻居中" in page
    assert 'value="u1"' in page
    begins = (MOMENT + timedelta(hours=8, minutes=15)).strftime("%Y-%m-%dT%H:%M")
    ends = (MOMENT + timedelta(hours=8, minutes=45)).strftime("%Y-%m-%dT%H:%M")
    drill: dict[str, Any] = {"group": "gr1", "begins": begins, "ends": ends, "purpose": "每月演练", "units": ["u1"]}
    kept = post(leader, "/affairs/drills", status=422, **drill | {"ends": "2027-01-16T16:15"})
    assert "最长两小时" in kept
    assert 'value="每月演练"' in kept
    assert 'value="u1" checked' in kept
    assert 'id="fault-units"' in post(leader, "/affairs/drills", status=422, **drill | {"units": []})
    made = post(leader, "/affairs/drills", **drill)
    assert "已预告" in made
    assert "取消演练" in made
    hands.pass_(minutes=20)
    event = gateway.event(at_ms=hands.now_ms, mark=Mark.DRILL)
    gateway.send([event])
    gateway.receipted([event])
    running = leader.get("/affairs/drills/1")
    assert "演练中" in running
    assert re.search(r"按键.*第0户", running, re.DOTALL)
    neighbour = somebody(station, "zhang", Role.HOUSEHOLD, HOUSEHOLDS[1])
    neighbour.post(f"/api/v1/alarms/{event.id}/answer", {"answer": "coming"})
    assert "马上去" in leader.get("/affairs/drills/1")
    assert "已取消" in post(leader, "/affairs/drills/1")
    assert "/affairs/drills/1" in leader.get("/affairs/drills?over=1")
    assert visit(station, "hu").client.get("/affairs/drills/1").status_code == 403


@pytest.mark.proves("A12")
def test_a_warning_is_written_to_areas_and_says_how_many_have_read_it(station: Served) -> None:
    wang = visit(station, "wang")
    said: dict[str, Any] = {"do": "publish", "kind": "warning", "title": "冒充客服", "text": "不要转账", "begins": ""}
    expires = (MOMENT + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M")
    kept = post(wang, "/affairs/tips", status=422, **said | {"expires": expires, "areas": []})
    assert 'id="fault-areas"' in kept
    assert "不要转账</textarea>" in kept
    late = (MOMENT + timedelta(days=99)).strftime("%Y-%m-%dT%H:%M")
    assert "90 天之内" in post(wang, "/affairs/tips", status=422, **said | {"expires": late, "areas": [COMMUNITY]})
    published = post(wang, "/affairs/tips", **said | {"expires": expires, "areas": [COMMUNITY]})
    assert f"{len(HOUSEHOLDS)} 户中 0 户已读" in published
    household = somebody(station, "hu2", Role.HOUSEHOLD, HOUSEHOLDS[0])
    household.post("/api/v1/tips/1/read", status=204)
    assert f"{len(HOUSEHOLDS)} 户中 1 户已读" in wang.get("/affairs/tips")
    assert "已撤回" in post(wang, "/affairs/tips", do="withdraw", number="1")
    visit(station, "liu").get("/affairs/tips", status=403)


@pytest.mark.proves("G3")
def test_anybody_complains_over_a_board_and_reads_by_his_code_what_was_found(station: Served) -> None:
    community = visit(station, "sun")
    hung = {
        "supervision_phone": "110 1234",
        "entries": [{"name": "刘网格", "duty": "网格员", "contact": "139 0000 0000"}],
    }
    somebody(station, "keeper", Role.COMMUNITY, COMMUNITY).put(f"/api/v1/boards/{GRID}", hung)
    anybody = Visitor(station)
    assert f"/boards/{GRID}" in anybody.get("/boards")
    board = anybody.get(f"/boards/{GRID}")
    assert "刘网格" in board
    assert Seen(board).inline == []
    assert f"/boards/{GRID}#complain" in anybody.get(f"/api/v1/boards/{GRID}/page")
    anybody.get("/boards/nowhere", status=404)
    said: dict[str, Any] = {"about": "grid_worker", "words": "三个月<i>没人</i>来", "phone": ""}
    wrong = anybody.post(f"/boards/{GRID}", status=422, **said | {"phone": "call me"})
    assert 'id="fault-phone"' in wrong
    assert "三个月&lt;i&gt;没人&lt;/i&gt;来</textarea>" in wrong
    code = re.search(r'class="secret">(\w{12})<', anybody.post(f"/boards/{GRID}", **said))
    assert code is not None
    assert "已收到" in anybody.post("/boards", code=code[1].upper())
    assert "没有这个查询码" in anybody.post("/boards", status=404, code="0" * 12)
    assert "由 12 位" in anybody.post("/boards", status=422, code="<b>")
    listed = community.get("/affairs/complaints")
    assert "三个月&lt;i&gt;没人&lt;/i&gt;来" in listed
    assert code[1] not in listed
    post(community, "/affairs/complaints", do="take", number="1")
    half = post(community, "/affairs/complaints", status=422, do="answer", number="1", words="已整改")
    assert 'id="fault-finding"' in half
    assert "已整改</textarea>" in half
    post(community, "/affairs/complaints", do="answer", number="1", finding="founded", words="已整改")
    assert "没有等您办理" in community.get("/affairs/complaints")
    found = anybody.post("/boards", code=code[1])
    assert "属实" in found
    assert "已整改" in found
    told = post(community, "/affairs/complaints", do="enter", grid=GRID, about="other", words="来电说路灯坏了")
    assert re.search(r'class="secret">\w{12}<', told)
    visit(station, "qian").get("/affairs/complaints", status=403)


@pytest.mark.proves("G5")
def test_each_role_begins_with_a_page_that_is_there_for_it(station: Served) -> None:
    for login, where in (
        ("wang", "/desk"),
        ("lin", "/desk"),
        ("tang", "/county"),
        ("xia", "/county"),
        ("sun", "/affairs/today"),
        ("liu", "/phone/field"),
        ("he", "/group"),
        ("hu", "/phone/"),
        ("xin", "/phone/install"),
        ("shen", "/audit"),
    ):
        one = visit(station, login)
        answer = one.client.get("/")
        assert (answer.status_code, answer.url.path) == (200, where), login


@pytest.mark.proves("G5")
def test_the_community_sees_what_there_is_to_do_and_confirms_who_joined(station: Served, gateway: Gateway) -> None:
    community = visit(station, "sun")
    empty = community.get("/affairs/today")
    assert "没有未办结的警情" in empty
    assert Seen(empty).inline == []
    event = gateway.event(label="老王家")
    gateway.send([event])
    gateway.receipted([event])
    post(visit(station, "wang"), "/affairs", kind="hazard", group="gr1", words="井盖没了")
    page = community.get("/affairs/today")
    assert f"/alarms/{event.id}" in page
    assert "1 起无人签收" in page
    assert "井盖没了" in page
    invited = somebody(station, "inviter", Role.COMMUNITY, COMMUNITY).post(
        f"/api/v1/places/{HOUSEHOLDS[1]}/joining", status=201
    )
    joined = {"code": invited["code"], "name": "<i>李大妈</i>", "login": "lidama", "password": "a long enough one"}
    assert station.client.post("/api/v1/join", json=joined, headers={"Origin": ORIGIN}).status_code == 201
    waiting = visit(station, "he").get("/group")
    found = re.search(r'name="joining" value="([^"]+)"', waiting)
    assert found is not None
    assert "&lt;i&gt;李大妈&lt;/i&gt;" in waiting
    assert "没有等待确认" in post(visit(station, "he"), "/group", joining=found[1], do="confirm")
    assert "李大妈" not in community.get("/affairs/today")


@pytest.mark.proves("A9", "A11")
def test_a_group_leader_sees_who_answered_and_how_ready_the_group_is(station: Served, gateway: Gateway) -> None:
    event = gateway.event(label="老王家")
    gateway.send([event])
    gateway.receipted([event])
    neighbour = somebody(station, "zhang", Role.HOUSEHOLD, HOUSEHOLDS[1])
    neighbour.post(f"/api/v1/alarms/{event.id}/answer", {"answer": "coming"})
    page = visit(station, "he").get("/group")
    assert "户邻居中" in page
    assert "马上去 1" in page
    assert Seen(page).inline == []
    now = visit(station, "he").get("/group/now")
    assert "<html" not in now
    assert '<span class="door">102</span>' in now[now.index("谁应答了") :]
    other = somebody(station, "leader-of-another", Role.GROUP_LEADER, "gr1-other")
    other.get(f"/api/v1/alarms/{event.id}", status=404)
    told = somebody(station, "chen", Role.HOUSEHOLD, HOUSEHOLDS[2]).get(f"/api/v1/alarms/{event.id}")["answers"]
    assert (told["coming"], told["list"]) == (1, [])  # a neighbour hears how many
    assert visit(station, "wang").client.get("/group").url.path == "/desk"


@pytest.mark.proves("G5", "N4")
def test_the_audit_is_searched_and_an_auditor_reads_nothing_of_alarms(station: Served, gateway: Gateway) -> None:
    event = gateway.event()
    gateway.send([event])
    gateway.receipted([event])
    lin, auditor = visit(station, "lin"), visit(station, "shen")
    post(lin, f"/desk/alarms/{event.id}/acknowledge")
    gu = account(station.station, "gu", (Role.OFFICER, STATION))
    ma = account(station.station, "ma", (Role.OFFICER, STATION))
    with station.station.database.write() as session:
        audit.record(session, at_ms=1, by=gu, action="joining.invite", about="place:h01")
        audit.record(session, at_ms=1, by=gu, action="grant.give", about=f"account:{ma}")
        audit.record(session, at_ms=1, by=None, action="of.an_older_version", about="forgotten:7")
    whole = lin.get("/audit")
    assert f'href="/alarms/{event.id}"' in whole
    assert Seen(whole).inline == []
    for said in ("lin的名字", "签收", "登录", "本站", "of.an_older_version", "forgotten"):
        assert f">{said}" in whole, said
    place = station.station.register.place("h01")
    assert place is not None
    label = place.label
    assert f'<a href="/register/places/h01">{label}</a> <span class="exact mono">h01</span>' in whole
    assert f'<a href="/admin/accounts/{ma}">ma的名字</a>' in whole
    assert f'<a href="/audit?account={gu}">gu的名字</a>' in whole
    begun = lin.get("/audit?action=session.begin")
    assert f'href="/alarms/{event.id}"' not in begun
    assert '<option value="session.begin" selected>登录</option>' in begun
    assert '<option value="of.an_older_version" selected>' in lin.get("/audit?action=of.an_older_version")
    assert '<span class="exact mono">session.begin</span>' in begun
    assert "没有这样的记录" in lin.get("/audit?action=track.look_up")
    seen = auditor.get("/audit")
    assert "登录" in seen
    assert "gu的名字" in seen  # who may read what was done may know by whom
    assert '<span class="mono">h01</span>' in seen  # and is told no place that is not his to read
    assert label not in seen
    assert f'<span class="mono">{ma}</span>' in seen
    assert event.id not in seen
    assert "没有网关报告审计链被改动" in seen
    auditor.get("/audit/chain", status=403)
    chain = lin.get("/audit/chain")
    assert re.search(r"[0-9a-f]{64}", chain)
    assert "还没有网关回报" in chain
    visit(station, "liu").get("/audit", status=403)
