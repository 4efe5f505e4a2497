"""Pages of long works as a browser without scripts gets them: watched, left, come back to, given up, fetched."""

import re

import pytest

from api.console import works
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, DEADLINE_S, STATION, eventually
from tests.api.signing_in import ORIGIN, account, code
from tests.api.test_works import hold

pytestmark = only_sqlite


def wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages wait until a work is done, however slow the machine is."""
    monkeypatch.setattr(works, "LOOKS_S", (0.05,) * 400)


@pytest.fixture
def visitor(served: Served) -> Visitor:
    for login, role, scope in (
        ("qian", Role.DUTY_LEADER, STATION),
        ("sun", Role.COMMUNITY, COMMUNITY),
        ("chief", Role.ADMINISTRATOR, ""),
    ):
        account(served.station, login, (role, scope))
    one = Visitor(served)
    one.sign_in("qian")
    return one


def test_what_takes_long_is_watched_left_and_come_back_to(
    served: Served, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold(served)
    months = visitor.get("/points/months")
    csrf = csrf_of(months)
    assert 'action="/works/points"' in months
    page = visitor.post("/works/points", csrf=csrf)
    assert Seen(page).inline == []
    assert held.begun.wait(DEADLINE_S)
    assert '<noscript><meta http-equiv="refresh"' in page
    (now,) = re.findall(r'hx-get="(/works/[^"]+/now)"', page)
    work = now.removesuffix("/now")
    eventually(lambda: "67 %" in visitor.get(now), "how far it is")
    piece = visitor.get(now)
    assert 'value="675"' in piece
    assert "50 / 100" in piece
    assert "<html" not in piece
    listed = visitor.get("/works")
    assert f'href="{work}"' in listed
    assert "进行中" in listed
    assert 'href="/works"' in visitor.get("/me")

    sun = Visitor(served)
    sun.sign_in("sun")
    sun.get(work, status=404)
    assert "没有长任务" in sun.get("/works?everybody=1")
    assert 'action="/works/points"' not in sun.get("/reports")

    admin = Visitor(served)
    admin.post("/login", login="chief", password="correct horse battery", code=code(served.station), to="/works")
    assert "qian的名字" in admin.get("/works?everybody=1")
    assert "放弃任务" in admin.get(work)

    wait_long(monkeypatch)
    given = visitor.post(f"{work}/give-up", csrf=csrf)
    assert "已放弃" in given
    answer = visitor.client.get(now)
    assert (answer.status_code, answer.headers["hx-refresh"]) == (204, "true")
    held.go.set()
    again = visitor.post(f"{work}/again", csrf=csrf)
    assert "分毫不差" in again
    assert "hx-trigger" not in again
    visitor.client.cookies.clear()
    assert visitor.client.get(now).headers["hx-refresh"] == "true"  # and so to where he signs in


@pytest.mark.proves("G3")
def test_a_year_is_downloaded_at_once_where_it_is_made_at_once(
    served: Served, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_long(monkeypatch)
    page = visitor.get("/reports?period=year")
    csrf = csrf_of(page)
    assert 'class="tiles"' not in page  # a year is reckoned when it is asked for
    assert "没有这个区域" in visitor.post("/reports", csrf=csrf, area=STATION, period="year", day="never", status=422)
    page = visitor.post("/reports", csrf=csrf, area=STATION, period="year", day="2026-11-22", cards="grid")
    assert 'class="tiles"' in page
    (community,) = re.findall(r'href="(/reports\?work=[^"]+cards=community)"', page)
    community = community.replace("&amp;", "&")
    assert 'class="tiles"' in visitor.get(community)
    year = re.findall(r"work=([^&]+)", community)[0]
    assert f'href="/reports?work={year}"' in visitor.get(f"/works/{year}")
    sun = Visitor(served)
    sun.sign_in("sun")
    for there in (f"/reports?work={year}", "/reports?work=nothing"):
        nothing = sun.get(there, status=404)
        assert "已经没有了" in nothing
        assert 'class="tiles"' not in nothing
    forms = re.findall(r'<form class="files" method="post" action="([^"]+)">(.*?)</form>', page)
    assert [action for action, _ in forms] == ["/works/reports", "/works/reports", "/works/points-reports"]
    assert "/works/reports" not in visitor.get("/reports?period=month")
    for action, form in forms:
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.partition("<button")[0]))
        answer = visitor.client.post(action, data={**fields, "csrf": csrf, "format": "csv"}, headers={"Origin": ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].endswith('.csv"')
    asked = {"csrf": csrf, "area": STATION, "day": "2025-11-22", "period": "year", "format": "xlsx"}
    answer = visitor.client.post("/works/points-reports", data=asked, headers={"Origin": ORIGIN})
    assert answer.content.startswith(b"PK")
    assert "points" in answer.headers["content-disposition"]
    listed = visitor.get("/works")
    assert listed.count("已完成") == 5
    work = re.findall(r'href="(/works/[^"]+)"', listed)[0]
    assert "保留到" in visitor.get(work)
    bad = visitor.client.post("/works/reports", data={**asked, "report": "alarms", "area": "nowhere"},
                              headers={"Origin": ORIGIN})  # fmt: skip
    assert bad.status_code == 404


def test_a_work_that_was_broken_off_says_so_in_the_readers_language(serve: Serve) -> None:
    with serve(wait=False) as served:
        account(served.station, "qian", (Role.DUTY_LEADER, STATION))
        held, one = hold(served), Visitor(served, "en")
        csrf = csrf_of(one.sign_in("qian"))
        page = one.post("/works/points", csrf=csrf)
        work = re.findall(r'hx-get="(/works/[^"]+)/now"', page)[0]
        assert "You may leave this page" in page
        assert held.begun.wait(DEADLINE_S)
    with serve(wait=False) as served:
        one = Visitor(served, "en")
        one.sign_in("qian")
        page = one.get(work)
        assert "nothing half done was kept" in page
        assert f'action="{work}/again"' in page
