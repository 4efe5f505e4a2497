"""Pages of the patrol and of points, as a browser without scripts gets them."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.checkins.rules import Source
from api.checkins.service import Said
from api.points.facts import Fact, Happened, Happening
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, somebody
from tests.api.signing_in import account

pytestmark = only_sqlite

MINUTE_MS = 60_000
BEGINS_MS = NOW + 60 * MINUTE_MS
"""Five in the afternoon in Shanghai, when the round begins."""
POINTS = (("east", "东门"), ("shed", "车棚"), ("power", "配电房"))
PAGES = (
    "/patrol",
    "/patrol/rounds",
    "/patrol/rounds/1",
    "/patrol/look-up",
    "/patrol/track",
    "/patrol/roll-calls",
    "/patrol/coverage",
    "/patrol/unknown-tags",
    "/patrol/plans",
    "/patrol/plans?kind=routes",
    "/patrol/days",
    "/patrol/colours",
    "/patrol/staggered",
    "/points",
    "/points/appeals",
    "/points/suspicions",
    "/points/ranking",
    "/points/grades",
    "/points/cards",
    "/points/comments?day=2027-01-15",
    "/points/rewards",
    "/points/rules",
    "/points/months",
)


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    """A company, a guard, three points, a route in exact order with times, and one round of it this afternoon."""
    with serve(clock=hands, wait=False) as one:
        with one.station.registrar.edit("li") as edit:
            edit.put_company("anning", name="安宁保安", code=None, if_match=None)
        officer = somebody(one, "xu", Role.DUTY_OFFICER, STATION)
        for login, role, scope in (
            ("wang", Role.DUTY_OFFICER, STATION),
            ("qian", Role.OFFICER, STATION),
            ("zhou", Role.DUTY_LEADER, STATION),
            ("boss", Role.GUARD_COMPANY, "anning"),
            ("sun", Role.COMMUNITY, COMMUNITY),
        ):
            account(one.station, login, (role, scope))
        yield lay_out(one, officer)


def lay_out(one: Served, officer: Somebody) -> Served:
    new = {"service_number": "B1", "name": "<b>张强</b>", "company": "anning", "area": COMMUNITY}
    guard = officer.post("/api/v1/guards", new, status=201)["id"]
    for point, name in POINTS:
        officer.post("/api/v1/checkpoints", {"id": point, "area": COMMUNITY, "name": name}, status=201)
    officer.put("/api/v1/patrol-legs", {"from_point": "east", "to_point": "shed", "least_s": 240})
    visits = [
        {"point": point, "after_min": 10 * nth, "buffer_min": 3, "extended_min": 5}
        for nth, (point, _) in enumerate(POINTS)
    ]
    route = {"id": "north", "area": COMMUNITY, "name": "北线", "order": "timed", "visits": visits}
    officer.post("/api/v1/patrol-routes", route, status=201)
    shift = {"id": "late", "area": COMMUNITY, "name": "晚班", "starts_min": 17 * 60, "lasts_min": 480}
    officer.post("/api/v1/patrol-shifts", shift, status=201)
    plan = {"route": "north", "shift": "late", "company": "anning", "begins_min": [0], "lasts_min": 60}
    officer.post("/api/v1/patrol-plans", plan, status=201)
    duty = {"begins": (MOMENT + timedelta(minutes=30)).isoformat(), "ends": (MOMENT + timedelta(hours=9)).isoformat()}
    officer.post(
        "/api/v1/patrol-duties",
        {"area": COMMUNITY, "route": "north", "shift": "晚班", "guards": [guard], **duty},
        status=201,
    )
    return one


def the_guard(one: Served) -> str:
    ((guard,),) = one.rows("SELECT id FROM guard")
    return str(guard)


def walked(one: Served, hands: Hands) -> None:
    """He was at the east gate in time by a QR code, and not at the shed; the power room is still to come."""
    hands.now_ms = BEGINS_MS + 19 * MINUTE_MS
    at_ms = BEGINS_MS + MINUTE_MS
    said = Said(
        id="c-1", source=Source.QR, tag=None, at_ms=at_ms, device_ms=at_ms - 7_000, guard=the_guard(one), point="east"
    )
    with one.station.database.write() as session:
        one.station.checkins.add(session, [said], at_ms + 9_000)
    one.station.patrols.look(one.station.database, hands.now_ms)


def judged(one: Served, hands: Hands) -> None:
    """The round is over."""
    hands.now_ms = BEGINS_MS + 61 * MINUTE_MS
    one.station.patrols.look(one.station.database, hands.now_ms)


def visitor(one: Served, login: str = "wang", language: str = "zh-CN,zh;q=0.9") -> Visitor:
    found = Visitor(one, language)
    found.sign_in(login, to="/me")
    return found


def noted(one: Served, *what: Happened, key: str = "round:1", evidence: str = "checkin:{nth}") -> None:
    """What a round was worth to him."""
    fact = Fact(
        key=key,
        guard=the_guard(one),
        company="anning",
        area=COMMUNITY,
        occurred_ms=one.station.clock(),
        duty=True,
        active=True,
        happenings=tuple(
            Happening(what=each, item=f"{nth}:gate", evidence=(evidence.format(nth=nth),))
            for nth, each in enumerate(what)
        ),
    )
    with one.station.database.write() as session:
        one.station.points.note(session, fact)


@pytest.mark.proves("P3")
def test_the_board_shows_rounds_with_their_visits_in_words_and_what_was_missed(station: Served, hands: Hands) -> None:
    assert "现在没有巡逻轮次" in visitor(station).get("/patrol")
    walked(station, hands)
    officer = visitor(station)
    board = officer.get("/patrol")
    time_of = r'(?:<span class="num aside">[0-9:]+</span>)?'
    shown = re.findall(rf'class="point">([^<]+)</span>{time_of}<span class="said">([^<]+)<', board)
    assert shown == [("东门", "已到"), ("车棚", "漏巡"), ("配电房", "待巡")]
    assert 'href="/patrol/rounds/1"><b>车棚</b> · 北线' in board
    assert "北线" in officer.get(f"/patrol/now?area={COMMUNITY}")
    assert "北线" not in officer.get("/patrol/now?area=gr1")
    assert "北线" in officer.get("/patrol/rounds")
    assert "当日没有轮次" in officer.get("/patrol/rounds?day=2027-01-01")
    assert "was there" in visitor(station, "wang", "en-GB,en").get("/patrol")


@pytest.mark.proves("P1", "P3")
def test_a_round_shows_every_visit_with_its_check_in_source_weight_and_three_clocks(
    station: Served, hands: Hands
) -> None:
    walked(station, hands)
    judged(station, hands)
    page = visitor(station).get("/patrol/rounds/1")
    for said in ("二维码 · 权重 40", "设备时钟", "17:00:53", "17:01:00", "17:01:09", "安宁保安", "按序定时"):
        assert said in page, said
    assert "&lt;b&gt;张强&lt;/b&gt; B1" in page
    assert "已经没有了" in visitor(station).get("/patrol/rounds/99", status=404)
    assert "只有管理全所的人可看" in visitor(station, "sun").get("/patrol/rounds/1")


@pytest.mark.proves("P4")
def test_a_look_up_is_asked_with_a_reason_and_answers_in_three_parts_or_on_a_sheet(
    station: Served, hands: Hands
) -> None:
    walked(station, hands)
    officer = visitor(station)
    asked: dict[str, Any] = {
        "point": "east",
        "begins": "2027-01-15T16:50",
        "ends": "2027-01-15T17:10",
        "reason": "北公立字7号",
    }
    asked["csrf"] = csrf_of(officer.get("/patrol/look-up"))
    found = officer.post("/patrol/look-up", **asked)
    for said in ("确曾到位", "必经此处", "可能到过", "&lt;b&gt;张强&lt;/b&gt;", "该时段在该点有打卡", "权重 40"):
        assert said in found, said
    sheet = officer.post("/patrol/look-up", **asked | {"as": "sheet"})
    assert "轨迹反查记录（案件用）" in sheet
    refused = officer.post("/patrol/look-up", **asked | {"reason": "?"}, status=422)
    assert "请再看看这一项" in refused
    assert 'name="reason" value="?"' in refused
    assert "时段不对" in officer.post("/patrol/look-up", **asked | {"ends": "2027-01-15T16:00"}, status=422)
    assert len(station.rows("SELECT 1 FROM audit WHERE action = 'track.look_up'")) == 2


@pytest.mark.proves("P4")
def test_a_track_is_shown_when_somebody_said_why(station: Served, hands: Hands) -> None:
    walked(station, hands)
    officer = visitor(station)
    form = officer.get("/patrol/track")
    assert "data-steps" not in form
    asked: dict[str, Any] = {
        "guard": the_guard(station),
        "begins": "2027-01-15T12:00",
        "ends": "2027-01-15T18:00",
        "reason": "案7",
    }
    track = officer.post("/patrol/track", **asked, csrf=csrf_of(form))
    assert "17:01:00" in track
    assert "data-steps" in track
    assert "请再看看这一项" in officer.post("/patrol/track", **asked | {"reason": ""}, csrf=csrf_of(form), status=422)


@pytest.mark.proves("P5")
def test_a_draw_shows_its_digest_before_anybody_is_called_and_answers_are_typed_in(
    station: Served, hands: Hands
) -> None:
    officer = visitor(station)
    token = csrf_of(officer.get("/patrol/roll-calls"))
    nobody = officer.post("/patrol/roll-calls", csrf=token, way="draw", area=COMMUNITY, many="1")
    assert "承诺" in nobody
    assert re.search(r'class="mono">[0-9a-f]{64}<', nobody)
    assert "现在无人当班" in officer.post("/patrol/roll-calls/1/call", csrf=token, status=409)
    walked(station, hands)
    officer = visitor(station)
    token = csrf_of(officer.get("/patrol/roll-calls/1"))
    called = officer.post("/patrol/roll-calls/1/call", csrf=token)
    assert "电台应答" in called
    answered = officer.post("/patrol/roll-calls/1/radio", csrf=token, guard=the_guard(station), claimed="shed")
    assert "自报在 车棚" in answered
    assert "自报在 车棚" in officer.get("/patrol/roll-calls/1/now")
    assert "随机点名" in officer.get("/patrol/roll-calls")
    empty = officer.post("/patrol/roll-calls", csrf=token, way="spot", area=COMMUNITY, minutes="20", status=422)
    assert "请再看看这一项" in empty


@pytest.mark.proves("P2")
def test_coverage_names_the_gaps_of_an_area(station: Served, hands: Hands) -> None:
    walked(station, hands)
    page = visitor(station).get(f"/patrol/coverage?area={COMMUNITY}&begins=2027-01-14T00:00&ends=2027-01-15T17:00")
    assert "空档" in page
    assert "达标时间" in page
    assert "时段不对" in visitor(station).get(
        f"/patrol/coverage?area={COMMUNITY}&begins=2027-01-15T17:00&ends=2027-01-14T17:00", status=422
    )


@pytest.mark.proves("P1")
def test_a_tag_that_nobody_knew_is_settled(station: Served) -> None:
    now = station.station.clock()
    said = Said(
        id="u-1", source=Source.FIXED_READER, tag="100086F444", at_ms=now, device_ms=now, gateway="g1", reader="r1"
    )
    with station.station.database.write() as session:
        station.station.checkins.add(session, [said], now)
    officer = visitor(station)
    page = officer.get("/patrol/unknown-tags")
    assert "100086F444" in page
    token = csrf_of(page)
    assert "没有未登记的卡" in officer.post("/patrol/unknown-tags/1", csrf=token, how="dismiss")
    assert "不予处理" in officer.get("/patrol/unknown-tags?all=1")


@pytest.mark.proves("P7")
def test_an_entry_is_explained_appealed_by_the_company_and_decided_by_an_officer(station: Served) -> None:
    noted(station, Happened.MISSED)
    boss, officer = visitor(station, "boss"), visitor(station, "qian")
    ledger = boss.get("/points")
    (address,) = set(re.findall(r"/points/entries/[0-9a-f-]+", ledger))
    page = boss.get(address)
    for said in ("P04", "怎样会不同", "checkin:0", "公示中，可申诉", "-2.0"):
        assert said in page, said
    empty = boss.post(f"{address}/appeal", csrf=csrf_of(page), words="", status=422)
    assert "请再看看这一项" in empty
    assert "申诉复核中" in boss.post(f"{address}/appeal", csrf=csrf_of(page), words="<i>读卡器</i>坏了")
    queue = officer.get("/points/appeals")
    assert address in queue
    shown = officer.get(address)
    assert "&lt;i&gt;读卡器&lt;/i&gt;坏了" in shown
    decided = officer.post(f"{address}/decision", csrf=csrf_of(shown), yes="1", words="属实")
    assert "已冲正" in decided
    assert "没有待复核的申诉" in officer.get("/points/appeals")
    assert "已有结论" in officer.post(f"{address}/decision", csrf=csrf_of(shown), yes="0", words="x", status=409)
    assert address not in officer.get("/points?rule=P01")
    assert address in officer.get(f"/points?rule=P04&guard={the_guard(station)}")


@pytest.mark.proves("P7")
def test_evidence_is_said_in_words_with_the_way_to_it_for_whoever_may_go_there(station: Served) -> None:
    for evidence in ("inspection:7", "fault:3"):
        noted(station, Happened.OFF_POST, key=f"inspection:{evidence[-1]}", evidence=evidence)
    boss, officer = visitor(station, "boss"), visitor(station, "qian")
    entries = {*re.findall(r"/points/entries/[0-9a-f-]+", boss.get("/points"))}
    pages = {who: "".join(map(who.get, entries)) for who in (boss, officer)}
    for page in pages.values():
        assert '<a class="chip" href="/joint/inspections/7">实地检查 7</a>' in page
        assert "inspection:7" not in page
    assert '<span class="chip">故障 3</span>' in pages[boss]  # a company reads no fault
    assert '<a class="chip" href="/health/faults/3">故障 3</a>' in pages[officer]


@pytest.mark.proves("P9")
def test_a_suspicion_is_confirmed_or_dismissed_by_a_person(station: Served) -> None:
    noted(station, Happened.TOO_FAST)
    noted(station, Happened.CLONED, key="suspicion:1")
    officer = visitor(station)
    page = officer.get("/points/suspicions")
    one, other = dict.fromkeys(re.findall(r'action="(/points/suspicions/[0-9a-f-]+)"', page))
    assert "请再看看这一项" in officer.post(one, csrf=csrf_of(page), yes="1", words="", status=422)
    officer.post(one, csrf=csrf_of(page), yes="1", words="录像核实")
    settled = officer.post(other, csrf=csrf_of(page), yes="0", words="标签正常")
    assert "已核实" in settled
    assert "不予认定" in settled
    assert 'action="/points/suspicions/' not in settled


@pytest.mark.proves("P8")
def test_rankings_grades_and_the_company_s_home_say_how_each_stands(station: Served, hands: Hands) -> None:
    walked(station, hands)
    noted(station, Happened.MISSED)
    officer, boss = visitor(station), visitor(station, "boss")
    ranking = officer.get("/points/ranking?day=2027-01-15")
    assert "&lt;b&gt;张强&lt;/b&gt; B1" in ranking
    assert "参加排名 n = 0" in ranking
    assert "安宁保安" in officer.get("/points/grades?day=2027-01-15")
    home = boss.get("/company")
    for said in (
        "<h1>安宁保安</h1>",
        "值班表",
        "晚班",
        "漏巡",
        "北线 · 车棚",
        "公示中，可申诉",
        "月度报表",
        "&lt;b&gt;张强&lt;/b&gt;",
    ):
        assert said in home, said
    assert boss.client.get(f"/api/v1/points/reports/{STATION}?day=2027-01-15&format=html").status_code == 200
    listed = boss.get("/patrol/rounds?day=2027-01-15")  # a company reads no list of routes, and names all the same
    assert "北线" in listed
    (round_,) = set(re.findall(r"/patrol/rounds/\d+", listed))
    for said in ("北线", "车棚", "东门", "配电房"):
        assert said in boss.get(round_), said


@pytest.mark.proves("P7")
def test_rules_are_tried_on_the_past_before_a_leader_switches_them_on(station: Served) -> None:
    noted(station, Happened.MISSED)
    leader = visitor(station, "zhou")
    page = leader.get("/points/rules")
    text = leader.client.get("/api/v1/points/rules").json()["text"]
    text = text.replace("version = 1", "version = 2").replace("points = -2\n", "points = -3\n", 1)
    form: dict[str, Any] = {
        "csrf": csrf_of(page),
        "text": text,
        "begins": "2027-01-01T00:00",
        "ends": "2027-02-01T00:00",
    }
    form["etag"] = re.search(r'name="etag" value="([^"]*)"', page)[1].replace("&#34;", '"')  # type: ignore[index] # there
    switch = form | {"do": "switch", "month": "2027-02", "reason": "从严"}
    assert "请先试算，再启用" in leader.post("/points/rules", **switch, status=409)
    assert "会有哪些不同" in leader.post("/points/rules", **form | {"do": "try"})
    assert "规则有误" in leader.post("/points/rules", **form | {"do": "try", "text": "x = 1"}, status=422)
    assert "从严" not in leader.post("/points/rules", **switch)
    assert "请稍后" not in leader.get("/points/months")
    token = csrf_of(leader.get("/points/months"))
    assert "还不能结账" in leader.post("/points/months", csrf=token, month="2027-01", status=409)


@pytest.mark.proves("P8")
def test_a_comment_is_begun_from_its_draft_edited_with_its_facts_and_published(station: Served) -> None:
    noted(station, Happened.MISSED)
    officer = visitor(station)
    page = officer.get("/points/comments?day=2027-01-15")
    assert "以此草稿起草" in page
    token = csrf_of(page)
    editor = officer.post("/points/comments", csrf=token, area=STATION, day="2027-01-15", period="day")
    found = dict(re.findall(r'name="((?:etag|company_\d+|cites_\d+))" value="([^"]*)"', editor))
    fields: dict[str, Any] = {name: value.replace("&#34;", '"') for name, value in found.items()}
    (address,) = set(re.findall(r'action="(/points/comments/[0-9a-f-]+)"', editor))
    said: dict[str, Any] = {name.replace("cites", "zh"): f"第{name}句" for name in fields if name.startswith("cites")}
    uncited = {name: value for name, value in (fields | said).items() if not name.startswith("cites_0")}
    assert "第cites_0句" in officer.post(address, csrf=token, do="keep", **uncited, status=422)
    published = officer.post(address, csrf=token, do="publish", **fields, **said)
    assert "已发布" in published
    assert "写更正" in published
    assert "第cites_0句" in published


@pytest.mark.proves("P8")
def test_a_reward_goes_from_hand_to_hand(station: Served) -> None:
    boss, officer = visitor(station, "boss"), visitor(station, "qian")
    form: dict[str, Any] = {
        "guard": the_guard(station),
        "event": "J2027-1",
        "occurred": "2027-01-15T16:00",
        "words": "协助抓获",
    }
    token = csrf_of(boss.get("/points/rewards"))
    refused = boss.post("/points/rewards", csrf=token, do="apply", amount="很多", **form, status=422)
    assert "请再看看这一项" in refused
    assert 'value="很多"' in refused
    assert "¥ 500.00" in boss.post("/points/rewards", csrf=token, do="apply", amount="500", **form)
    assert "一事一奖" in boss.post("/points/rewards", csrf=token, do="apply", amount="500", **form, status=409)
    token = csrf_of(officer.get("/points/rewards/1"))
    assert "已核实" in officer.post("/points/rewards/1/check", csrf=token, yes="1", words="属实")
    leader = visitor(station, "zhou")
    assert "已审批" in leader.post(
        "/points/rewards/1/approval", csrf=csrf_of(leader.get("/points/rewards/1")), yes="1", words="同意"
    )


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_every_page_brings_nothing_from_elsewhere_and_runs_nothing_inside(
    station: Served, hands: Hands, language: str
) -> None:
    walked(station, hands)
    noted(station, Happened.MISSED, Happened.TOO_FAST)
    officer = visitor(station, "wang", language)
    for path in PAGES:
        answer = officer.client.get(path)
        assert answer.status_code == 200, path
        assert Seen(answer.text).inline == [], path
        assert "unsafe" not in answer.headers["Content-Security-Policy"], path


def test_whoever_has_no_part_in_it_is_offered_none_of_it(station: Served) -> None:
    community = visitor(station, "sun")
    assert 'href="/points"' not in community.get("/patrol")
    assert "您的角色不能这样做" in community.get("/points", status=403)
    assert 'href="/patrol/look-up"' not in community.get("/patrol")


@pytest.mark.proves("P2")
def test_points_routes_shifts_and_plans_are_laid_down_and_ended_by_forms(station: Served) -> None:
    officer = visitor(station)
    token = csrf_of(officer.get("/patrol/plans"))
    point: dict[str, Any] = {"name": "幼儿园", "id": "school", "area": COMMUNITY}
    assert "幼儿园" in officer.post("/patrol/plans/checkpoints", csrf=token, **point)
    again = officer.post("/patrol/plans/checkpoints", csrf=token, status=409, **point)
    assert "编号已用过" in again
    assert 'value="school"' in again
    shift: dict[str, Any] = {"name": "早班", "id": "early", "area": COMMUNITY, "starts": "06:00", "lasts_min": "240"}
    assert "06:00–10:00" in officer.post("/patrol/plans/shifts", csrf=token, **shift)
    leg: dict[str, Any] = {"from_point": "east", "to_point": "school", "least_s": "1200", "both_ways": "1"}
    assert "1200 秒" in officer.post("/patrol/plans/legs", csrf=token, **leg)
    route: dict[str, Any] = {
        "name": "东线",
        "id": "eastern",
        "area": COMMUNITY,
        "order": "timed",
        "point_0": "east",
        "after_0": "0",
    }
    route |= {"buffer_0": "5", "extended_0": "5", "point_1": "school", "after_1": "2", "buffer_1": "1"}
    assert "这样无法巡逻" in officer.post("/patrol/plans/routes", csrf=token, status=422, **route | {"after_0": "40"})
    routes = officer.post("/patrol/plans/routes", csrf=token, **route | {"after_1": "30"})
    assert "东门 +0 → 幼儿园 +30" in re.sub(r"<[^>]+>", "", routes)
    plan: dict[str, Any] = {"route": "eastern", "shift": "early", "begins": "0 90", "lasts_min": "60"}
    assert "请再看看这一项" in officer.post("/patrol/plans/plans", csrf=token, status=422, **plan)
    listed = officer.post("/patrol/plans/plans", csrf=token, **plan | {"weekdays": "6"})
    assert "0, 90" in listed
    assert "请先结束" in officer.post("/patrol/plans/routes/eastern/end", csrf=token, status=409)
    officer.post("/patrol/plans/plans/2/end", csrf=token)
    assert "东线" not in officer.post("/patrol/plans/routes/eastern/end", csrf=token).split("</table>")[0]
    assert "保存" not in visitor(station, "sun").get("/patrol/plans?kind=routes")


@pytest.mark.proves("P2")
def test_a_colour_is_decided_with_a_reason_and_until_a_moment(station: Served) -> None:
    officer = visitor(station)
    page = officer.get(f"/patrol/colours/{COMMUNITY}")
    version = re.search(r'name="etag" value="([^"]*)"', page)
    assert version is not None
    form: dict[str, Any] = {
        "csrf": csrf_of(page),
        "etag": version[1].replace("&#34;", '"'),
        "colour": "red",
        "every_min": "45",
    }
    path = f"/patrol/colours/{COMMUNITY}"
    assert "请再看看这一项" in officer.post(path, reason="?", status=422, **form)
    decided = officer.post(path, reason="一周三起入室", expires="2027-01-20T08:00", **form)
    for said in ("红色 · 每 45 分钟", "的名字</span>", "一周三起入室", "2027年1月20日 08:00"):
        assert said in decided, said
    assert "刚才有人改过了" in officer.post(path, reason="再来", status=412, **form)
    assert "红色" in officer.get("/patrol/colours")


@pytest.mark.proves("P2")
def test_staggered_rounds_are_drafted_and_become_plans_or_say_why_not(station: Served) -> None:
    officer = visitor(station)
    token = csrf_of(officer.get("/patrol/staggered"))
    duty: dict[str, Any] = {"csrf": token, "area": COMMUNITY, "begins": "2027-01-16T17:00", "ends": "2027-01-16T23:00"}
    duty |= {"apart_min": "10", "limit_min": "120", "others": "2027-01-16T18:00 2027-01-16T20:00", "team_0": "t1"}
    none = officer.post("/patrol/staggered", status=422, **duty | {"round_0": "30", "limit_min": "20"})
    assert "没有满足全部条件的编排" in none
    assert 'value="t1"' in none
    draft = officer.post("/patrol/staggered", **duty, round_0="30")
    assert "民警及其他队伍" in draft
    assert "值班结束后公布" in draft
    refused = officer.post("/patrol/staggered/1", csrf=token, teams="t1", status=422)
    assert "problem" in refused
    walked_ = officer.post(
        "/patrol/staggered/1", csrf=token, teams="t1", route_t1="north", shift_t1="late", company_t1="anning"
    )
    assert "已转为计划" in walked_
    assert "临时" in officer.get("/patrol/plans")


@pytest.mark.proves("P2")
def test_a_day_is_made_a_holiday_for_the_whole_station(station: Served) -> None:
    wang = visitor(station)
    assert "没有节假日或调休" in wang.get("/patrol/days?year=2027")
    csrf = csrf_of(wang.get("/me"))
    day: dict[str, Any] = {"csrf": csrf, "day": "2027-02-17", "counts_as": "0", "name": "<b>春节</b>"}
    assert 'id="fault-name"' in wang.post("/patrol/days", status=422, **day | {"name": ""})
    assert 'id="fault-day"' in wang.post("/patrol/days", status=422, **day | {"day": "soon"})
    page = wang.post("/patrol/days", **day)
    assert "&lt;b&gt;春节&lt;/b&gt;" in page
    assert "2027年2月17日" in page
    community = visitor(station, "sun")
    assert "2027年2月17日" in community.get("/patrol/days?year=2027")
    assert 'name="counts_as"' not in community.get("/patrol/days?year=2027")
    assert "2027年2月17日" not in wang.get("/patrol/days?year=2026")


@pytest.mark.proves("P8")
def test_a_guards_card_is_decided_with_a_reason_and_his_company_reads_it(station: Served) -> None:
    wang, guard = visitor(station), the_guard(station)
    assert "还没有人获得好人卡" in wang.get("/points/cards")
    said: dict[str, Any] = {
        "csrf": csrf_of(wang.get("/me")),
        "guard": guard,
        "level": "second",
        "quarter": "2027Q1",
        "reason": "扶老人",
    }
    kept = wang.post("/points/cards", status=422, **said | {"quarter": "spring"})
    assert 'id="fault-quarter"' in kept
    assert 'value="扶老人"' in kept
    assert "好人卡二级" in wang.post("/points/cards", **said)
    wang.post("/points/cards", **said | {"level": "first", "reason": "抓到小偷"})
    listed = wang.get("/points/cards")
    assert "好人卡一级" in listed
    assert "好人卡二级" not in listed.split("<table>")[1]
    company = visitor(station, "boss")
    assert "抓到小偷" in company.get("/points/cards")
    assert "扶老人" in company.get(f"/points/cards?guard={guard}")
    assert 'name="level"' not in company.get(f"/points/cards?guard={guard}")
    wang.get("/points/cards?guard=nobody", status=422)
    visitor(station, "sun").get("/points/cards", status=403)
