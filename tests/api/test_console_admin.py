"""Pages of ladders, channels, rules and workstations, as a browser without scripts gets them."""

import re
from typing import Any

import pytest

from api.console.channels import minutes_of
from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION, eventually
from tests.api.people import somebody
from tests.api.signing_in import PASSWORD, account, code
from tests.api.test_notify import LOOPBACK, Receiver, receiver, station

__all__ = ["receiver"]

pytestmark = only_sqlite

LADDER = "/admin/ladders/acknowledge/panic/any"


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1].replace("&#34;", '"').replace("&quot;", '"')


def leader(served: Served) -> Visitor:
    account(served.station, "lin", (Role.DUTY_LEADER, STATION))
    one = Visitor(served)
    one.sign_in("lin")
    return one


@pytest.mark.proves("A8")
def test_a_ladder_is_set_and_taken_back(served: Served) -> None:
    one = leader(served)
    page = one.get("/admin/ladders?kind=panic")
    assert Seen(page).inline == []
    assert "立即" in page
    assert "5分钟后" in page
    assert "沿用本版本的默认阶梯" in page
    group = next(area.id for area in served.station.register.now.contents.areas if area.id.startswith("gr"))
    assert "第1级" in one.get(f"/admin/ladders?stage=acknowledge&kind=panic&area={group}")
    form = one.get(f"/admin/ladders/acknowledge/panic/{group}")
    csrf, version = csrf_of(form), field(form, "version")
    path = f"/admin/ladders/acknowledge/panic/{group}"
    early: dict[str, Any] = {"after-0": "30", "tell-0": "desk", "after-1": "30", "tell-1": "duty_leader"}
    wrong = one.post(path, csrf=csrf, version=version, do="set", status=422, **early)
    assert wrong.count("必须晚于上一级") == 1
    assert 'name="after-1" inputmode="numeric" maxlength="6" value="30"' in wrong
    odd: dict[str, Any] = {"after-0": "x", "tell-0": "desk"}
    none = one.post(path, csrf=csrf, version=version, do="set", status=422, **odd)
    assert 'value="x"' in none
    assert none.count("请再看") == 1
    fit: dict[str, Any] = early | {"after-1": "90"}
    done = one.post(path, csrf=csrf, version=version, do="set", **fit)
    assert "90秒后" in done
    stale = one.post(path, csrf=csrf, version=version, do="set", status=412, **fit)
    assert "刚才有人改过" in stale
    again = one.get(path)
    assert "沿用本版本的默认阶梯" in one.post(path, csrf=csrf, version=field(again, "version"), do="back")
    later = one.get(path)
    assert field(later, "version") == '"1"'
    assert "90秒后" in one.post(path, csrf=csrf, version=field(later, "version"), do="set", **fit)
    blind = one.post(
        "/admin/ladders/acknowledge/duress/any",
        csrf=csrf,
        version='"0"',
        do="set",
        status=422,
        **odd | {"after-0": "0", "tell-0": "community"},
    )
    assert "有人不得知道这类警情" in blind
    one.get("/admin/ladders/acknowledge/nothing/any", status=404)
    account(served.station, "sun", (Role.COMMUNITY, COMMUNITY))
    other = Visitor(served)
    other.sign_in("sun")
    other.get("/admin/ladders", status=403)


@pytest.mark.proves("A8")
def test_channels_are_added_tried_and_ended(serve: Serve, receiver: Receiver) -> None:
    assert [minutes_of(text) for text in ("22:30", "00:00", "", "late")] == [1_350, 0, None, "late"]
    with station(serve) as served:
        one = leader(served)
        page = one.get("/admin/channels")
        csrf = csrf_of(page)
        assert Seen(page).inline == []
        fields: dict[str, Any] = {
            "csrf": csrf,
            "do": "add",
            "sort": "webhook",
            "label": "<b>群</b>",
            "url": receiver.url("/group"),
        }
        assert "管理员没有允许这个主机" in one.post("/admin/channels", status=422, **fields)
        somebody(served, "root", Role.ADMINISTRATOR).post("/api/v1/notify/hosts", {"host": LOOPBACK}, status=201)
        made = one.post("/admin/channels", police="1", quiet_from="22:30", quiet_to="07:00", **fields)
        assert "只显示一次" in made
        listed = one.get("/admin/channels")
        assert "&lt;b&gt;群&lt;/b&gt;" in listed
        assert "只显示一次" not in listed
        assert "/group" not in listed
        assert "22:30 – 07:00" in listed
        which: dict[str, Any] = {"csrf": csrf, "channel": field(listed, "channel"), "version": field(listed, "version")}
        assert "测试消息已发出" in one.post("/admin/channels", do="test", **which)
        eventually(lambda: len(receiver.got) == 1, "the test message")
        assert receiver.got[0].data["trial"]
        eventually(lambda: "已发送" in one.get("/admin/channels"), "what became of it")
        assert "设为仅民警可读" in one.post("/admin/channels", do="police", to="0", **which)
        assert "刚才有人改过" in one.post("/admin/channels", do="end", status=412, **which)
        which["version"] = field(one.get("/admin/channels"), "version")
        assert "还没有通道" in one.post("/admin/channels", do="end", **which)
        own = one.get("/me/channels")
        assert Seen(own).inline == []
        assert "只显示一次" in one.post("/me/channels", **(fields | {"label": "手机"}))
        mine = one.get("/me/channels")
        which = {"csrf": csrf, "channel": field(mine, "channel"), "version": field(mine, "version")}
        assert "测试消息已发出" in one.post("/me/channels", do="test", **which)
        eventually(lambda: len(receiver.got) == 2, "the test message")
        assert "还没有通道" in one.post("/me/channels", do="end", **which)
        assert "手机" not in one.get("/admin/channels")


def test_an_administrator_allows_hosts_and_sees_no_deliveries(served: Served) -> None:
    account(served.station, "gao", (Role.ADMINISTRATOR, ""))
    one = Visitor(served)
    one.post("/login", login="gao", password=PASSWORD, code=code(served.station), to="/me")
    page = one.get("/admin/channels")
    csrf = csrf_of(page)
    assert "只有民警可以查看" in page
    one.post("/admin/channels", csrf=csrf, do="allow", host="a.local", status=422)
    assert "hooks.example.cn" in one.post("/admin/channels", csrf=csrf, do="allow", host="hooks.example.cn")
    assert "hooks.example.cn" not in one.post("/admin/channels", csrf=csrf, do="forbid", host="hooks.example.cn")
    levels = one.get("/admin/rules")
    assert Seen(levels).inline == []
    named: dict[str, Any] = {name: field(levels, name) for name in ("level", "tree", "rank", "meaning")}
    renamed = one.post("/admin/rules", csrf=csrf, do="level", name_zh="<i>县</i>", name_en="shire", **named)
    assert "&lt;i&gt;县&lt;/i&gt;" in renamed
    assert "shire" in renamed


def test_workstations_are_paired_and_unpaired(served: Served) -> None:
    chief = leader(served)
    page = chief.get("/admin/desks")
    assert Seen(page).inline == []
    csrf = csrf_of(page)
    paired = chief.post("/admin/desks", csrf=csrf, do="pair", name="一号台", area=STATION)
    assert "一号台" in paired
    desk = field(paired, "desk")
    chief.post("/admin/desks", csrf=csrf, do="unpair", desk=desk, reason="", status=422)
    assert "没有已配对" in chief.post("/admin/desks", csrf=csrf, do="unpair", desk=desk, reason="电脑报废了")


def test_english_counts_one_and_many(served: Served) -> None:
    account(served.station, "lin", (Role.DUTY_LEADER, STATION))
    one = Visitor(served, "en")
    one.sign_in("lin")
    page = one.get("/admin/ladders?kind=panic")
    assert "after 1 minute<" in page
    assert "after 2 minutes<" in page
