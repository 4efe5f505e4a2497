"""A browser without scripts: what tests of pages share."""

import re
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

from tests.api.conftest import Served
from tests.api.signing_in import ORIGIN, PASSWORD


class Seen(HTMLParser):
    """What a page links to and loads, its words, and what would run or style inside it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [
            named[name] or "" for name in ("href", "src", "action", "hx-get", "hx-post") if name in named
        ]
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


class Visitor:
    """A browser without scripts, with a language."""

    def __init__(self, served: Served, language: str = "zh-CN,zh;q=0.9") -> None:
        self.client = TestClient(served.app, follow_redirects=True, headers={"Accept-Language": language})

    def get(self, path: str, *, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, *, status: int = 200, **fields: str) -> str:
        answer = self.client.post(path, data=fields, headers={"Origin": ORIGIN})
        assert answer.status_code == status, answer.text
        return answer.text

    def sign_in(self, login: str, password: str = PASSWORD, *, to: str = "/desk", status: int = 200) -> str:
        return self.post("/login", login=login, password=password, to=to, status=status)


def csrf_of(text: str) -> str:
    found = re.search(r'data-csrf="([^"]+)"', text)
    assert found is not None
    return found[1]


def visit(station: Served, login: str) -> Visitor:
    one = Visitor(station)
    one.sign_in(login, to="/me")
    return one


def post(who: Visitor, path: str, *, status: int = 200, **fields: Any) -> str:
    """Send a form of a page with that page's token; a list is sent as several fields of one name."""
    csrf = csrf_of(who.get("/me"))
    answer = who.client.post(path, data={"csrf": csrf, **fields}, headers={"Origin": ORIGIN})
    assert answer.status_code == status, answer.text
    return answer.text
