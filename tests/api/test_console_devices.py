"""Units and gateways on pages: the store, keys, labels, accounts at the broker on a sheet."""

import re
from typing import Any

import pytest

from api.rights.rules import Role
from tests.api.browsing import Seen, Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, GATEWAYS, STATION
from tests.api.signing_in import PASSWORD, account

pytestmark = only_sqlite

KEY = "0123456789abcdef" * 2


def visitor(served: Served, login: str, role: Role, scope: str) -> Visitor:
    account(served.station, login, (role, scope))
    one = Visitor(served)
    one.post("/login", login=login, password=PASSWORD, to="/me")
    return one


@pytest.mark.proves("A2")
def test_a_unit_is_added_keyed_labelled_and_hung(served: Served) -> None:
    one = visitor(served, "lin", Role.DUTY_LEADER, STATION)
    page = one.get("/register/devices")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    new: dict[str, Any] = {"csrf": csrf, "id": "u900", "sort": "native", "serial": "S-77", "gateway": GATEWAYS[0]}
    wrong = one.post("/register/devices", status=422, **new | {"address": "far"})
    assert 'value="S-77"' in wrong
    assert 'value="far"' in wrong
    unkeyed = one.post("/register/devices", status=422, key="short", **new)
    assert "u900" in unkeyed
    assert "short" not in unkeyed
    made = one.post("/register/devices/u900", csrf=csrf, do="key", key=" ".join(re.findall("....", KEY.upper())))
    assert "在库" in made
    assert KEY not in made
    one.post("/register/devices", status=409, **new)
    labels = one.get("/register/devices/labels?unit=u900&unit=nobody")
    assert Seen(labels).inline == []
    assert labels.count("<svg") == 2  # the mark in the head, and one label
    assert "S-77" in labels
    assert "<script>" not in one.get("/register/devices/labels?unit=%3Cscript%3E", status=422)
    one.get("/register/devices/u901", status=404)
    officer = visitor(served, "wang", Role.OFFICER, STATION)
    form = officer.get("/register/devices/u900")
    version = re.search(r'name="version" value="(\d+)"', form)
    assert version is not None
    which: dict[str, Any] = {"csrf": csrf_of(form), "version": version[1]}
    officer.post("/register/devices/u900", do="install", place="nowhere", status=404, **which)
    hung = officer.post("/register/devices/u900", do="install", place="h01", **which)
    assert '<span class="door">101 号门</span> <a href="/register/places/h01">第0户</a>' in hung
    assert ">h01<" not in hung  # a place is called by its door and label
    listed = officer.get("/register/devices")
    assert '<a href="/register/places/h01">' in listed
    assert ">h01<" not in listed
    assert "刚才有人改过" in officer.post("/register/devices/u900", do="change", sort="native", status=412, **which)
    newer = re.search(r'name="version" value="(\d+)"', hung)
    assert newer is not None
    changed = officer.post(
        "/register/devices/u900", csrf=which["csrf"], version=newer[1], do="change", sort="native", serial="S-78"
    )
    assert "S-78" in changed
    assert 'name="key"' not in changed


@pytest.mark.proves("A2")
def test_a_gateway_is_believed_and_its_account_printed_once(served: Served) -> None:
    one = visitor(served, "lin", Role.DUTY_LEADER, STATION)
    page = one.get("/register/gateways")
    csrf = csrf_of(page)
    assert Seen(page).inline == []
    assert GATEWAYS[0] in page
    assert one.get(f"/register/devices/labels?gateway={GATEWAYS[0]}&gateway=gx").count("<svg") == 2
    wrong = one.post("/register/gateways", csrf=csrf, do="believe", gateway=GATEWAYS[0], key="abc", status=422)
    assert 'value="abc"' in wrong
    key = "ab" * 32
    assert "abababab…abababab" in one.post("/register/gateways", csrf=csrf, do="believe", gateway=GATEWAYS[0], key=key)
    sheet: dict[str, Any] = {"csrf": csrf, "do": "sheet", "role": "household", "id": "h01"}
    printed = one.client.post("/register/gateways", data=sheet, headers={"Origin": "http://testserver"})
    assert "入网单" in printed.text
    assert printed.headers["cache-control"] == "no-store"
    assert "script-src" not in printed.headers["content-security-policy"]
    again = one.post("/register/gateways", status=409, **sheet)
    assert "它已有账号" in again
    listed = one.get("/register/gateways")
    user = re.search(r'name="user" value="([^"]+)"', listed)
    assert user is not None
    assert user[1] not in re.findall(
        r'name="user" value="([^"]+)"', one.post("/register/gateways", csrf=csrf, do="end", user=user[1])
    )
    installer = visitor(served, "xin", Role.INSTALLER, COMMUNITY)
    own = installer.get("/register/gateways")
    assert "受信任的网关" not in own
    assert 'value="sheet"' in own
    visitor(served, "sun", Role.COMMUNITY, COMMUNITY).get("/register/gateways", status=403)
