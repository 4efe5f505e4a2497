"""Where somebody begins who has just signed in, and that each page says in its title which one it is."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from api.console import phone
from api.console.page import first_page
from api.console.routers import ROUTERS
from api.rights.rules import Role
from tests.api.browsing import Visitor
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION
from tests.api.people import add_companies
from tests.api.signing_in import account

PEOPLE = {
    "lin": (Role.DUTY_LEADER, STATION),
    "bao": (Role.GUARD_COMPANY, "beiguan"),
    "he": (Role.GROUP_LEADER, "gr1"),
    "gu": (Role.GUARD, "beiguan"),
}
NAMES = {"守望", "公示牌"}
TEMPLATES = Path(phone.__file__).with_name("templates")


def addresses() -> Iterator[str]:
    """Of every page whose address needs to know nothing."""
    yield from (f"/phone/{name}" for name in phone.SHELLS if name != "household")
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and "{" not in route.path:
                yield route.path


def test_every_template_of_a_page_says_what_the_page_is() -> None:
    for path in sorted(TEMPLATES.glob("*.html")):
        text = path.read_text("utf-8")
        if "{% extends" in text and not path.stem.endswith("_base"):
            found = re.search(r"{% block title %}(.+?){% endblock %}", text, re.DOTALL)
            assert found is not None, path.name
            assert found[1].strip() not in {'{{ _("Shouwang") }}', '{{ _("Public board") }}'}, path.name


@only_sqlite
@pytest.mark.timeout(180)  # every page there is, once
def test_each_page_is_told_from_the_others_by_its_title(served: Served) -> None:
    add_companies(served, "beiguan")
    titles: dict[str, str] = {}
    nobody = Visitor(served)
    found = re.search("<title>(.*?)</title>", nobody.get("/login"), re.DOTALL)
    assert found is not None
    titles["/login"] = unescape(found[1])
    for login, role in PEOPLE.items():
        account(served.station, login, role)
        one = Visitor(served)
        one.sign_in(login, to="/me")
        for path in addresses():
            answer = one.client.get(path, follow_redirects=False)
            if path in titles or answer.status_code != 200 or not answer.text.lstrip().startswith("<!doctype html"):
                continue
            found = re.search("<title>(.*?)</title>", answer.text, re.DOTALL)
            assert found is not None, path
            titles[path] = unescape(found[1]).removesuffix(f" · {STATION}").strip()
    titles.pop("/phone", None)  # leads to another
    assert len(titles) > 60
    assert [path for path, title in titles.items() if title in NAMES] == []
    twice = {title: [path for path in titles if titles[path] == title] for title in titles.values()}
    assert {title: paths for title, paths in twice.items() if len(paths) > 1} == {}


@only_sqlite
def test_whoever_may_not_read_the_page_that_was_asked_for_begins_with_his_own(served: Served) -> None:
    add_companies(served, "beiguan")
    account(served.station, "bao", (Role.GUARD_COMPANY, "beiguan"))
    account(served.station, "wang", (Role.DUTY_OFFICER, STATION))
    account(served.station, "hu", (Role.HOUSEHOLD, HOUSEHOLDS[0]))
    for login, to, where in (
        ("bao", "/desk", "/company"),
        ("bao", "/points", "/points"),
        ("hu", "/desk", "/phone/"),
        ("hu", "/me", "/me"),
        ("wang", "/desk", "/desk"),
        ("wang", "/admin", "/desk"),
        ("wang", "//evil.example/desk", "/desk"),
    ):
        one = Visitor(served)
        one.sign_in(login, to=to)
        answer = one.client.post("/login", data={"login": login, "password": "correct horse battery", "to": to})
        assert (answer.status_code, answer.url.path) == (200, where), (login, to)


def test_the_part_of_a_page_is_that_of_its_whole_name() -> None:
    who = {"grants": [{"role": "guard_company", "scope": "x"}]}
    assert first_page(who, "/desk") == first_page(who, "/desk/alarms?id=1") == "/"
    assert first_page(who, "/desktop") == "/desktop"
    assert first_page({"grants": [{"role": "community", "scope": COMMUNITY}]}, "/desk") == "/desk"
