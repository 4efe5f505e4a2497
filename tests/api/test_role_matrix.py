"""Each role at each route: 401, 403 or let through, as rights.toml says. The routes are the application's own."""

import re
from typing import Any, Final

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.access import Anybody, May
from api.accounts import repository
from api.accounts.rules import Kind
from api.rights.rules import Role, Without, rights
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import GRID, HOUSEHOLDS, STATION
from tests.api.signing_in import digest, machine, scope_of

SOME_ID: Final = "01a20124-9d1e-7dd3-acdc-c9a14d326c69"
STREAMS: Final = {"/api/v1/feed"}
"""Routes that go on answering for as long as somebody listens: only their refusals are asked for here."""


def action_of(dependant: Dependant) -> list[str]:
    own = [dependant.call.action] if isinstance(dependant.call, May | Anybody) else []
    return own + [action for below in dependant.dependencies for action in action_of(below)]


def routes(app: Any) -> list[tuple[str, str, str]]:
    """Every method and path with its action; the paths are filled in with ids of the right form."""
    assert isinstance(app, FastAPI)
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            (action,) = action_of(route.dependant)
            path = context.path or route.path
            found += [(method, filled(path), action) for method in sorted(route.methods or ())]
    return found


def filled(path: str) -> str:
    ids = {"alarm": SOME_ID, "incident": SOME_ID, "place": HOUSEHOLDS[0], "number": "999999", "gateway": "g1"}
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: ids.get(match[1], "999999"), path)


def kind(answer: Any) -> str:
    return str(answer.json().get("type", "")) if "problem+json" in answer.headers.get("content-type", "") else ""


def headers(served: Served, role: Role) -> dict[str, str]:
    """Of a machine with this role, over something of its kind."""
    scope = scope_of(role, area=STATION, place=HOUSEHOLDS[0], company="co1")
    return machine(served.station, f"as-{role}", (role, scope))


pytestmark = only_sqlite
"""The table of rights is the same on both."""


@pytest.mark.proves("G5")
def test_without_proof_nobody_comes_in_where_somebody_is_asked(served: Served) -> None:
    for method, path, action in routes(served.client.app):
        answer = served.client.request(method, path)
        if rights().actions[action] is Without.ANYBODY:
            assert kind(answer) not in {"not_known", "may_not"}, (method, path)
        elif rights().actions[action] is not Without.MACHINE:
            assert (answer.status_code, kind(answer)) == (401, "not_known"), (method, path)


@pytest.mark.proves("G5", "F61")
@pytest.mark.parametrize("role", [*Role])
def test_each_role_comes_as_far_as_the_table_says(served: Served, role: Role) -> None:
    asked, mine = routes(served.client.app), headers(served, role)
    assert len(asked) > 50
    for method, path, action in asked:
        row = rights().actions[action]
        if isinstance(row, Without) or (role in row and path in STREAMS):
            continue
        answer = served.client.request(method, path, headers=mine)
        refused = (answer.status_code, kind(answer)) == (403, "may_not")
        assert answer.status_code < 500, (method, path, answer.text)
        assert refused is (role not in row), (method, path, action, answer.text)


@pytest.mark.proves("G5")
def test_a_grant_that_has_ended_opens_nothing(served: Served) -> None:
    ended = machine(served.station, "ended", (Role.DUTY_LEADER, STATION))
    with served.station.database.write() as session:
        repository.change(session, repository.GRANT, {"scope": STATION, "role": "duty_leader"}, to_ms=1, from_ms=0)
    for method, path, action in routes(served.client.app):
        if not isinstance(rights().actions[action], Without):
            answer = served.client.request(method, path, headers=ended)
            assert answer.status_code == 403, (method, path)


@pytest.mark.proves("G5")
def test_a_desk_on_duty_does_by_itself_only_what_the_table_says(served: Served) -> None:
    station = served.station
    with station.database.write() as session:
        account = station.office.open(session, None, kind=Kind.DESK, name="值班台", id_="d-test")
        from_ms = station.clock()
        values = {"account": account, "role": "duty_officer", "from_ms": from_ms, "given_ms": from_ms}
        repository.add_grant(session, scope=STATION, **values)
        repository.add(
            session, repository.DESK, account=account, digest=digest("cookie"), area=STATION, paired_by="li",
            paired_ms=from_ms, duty_ms=from_ms, officer="li", seen_ms=from_ms,
        )  # fmt: skip
    cookies = {"Cookie": "shouwang_desk=cookie"}
    for method, path, action in routes(served.client.app):
        row = rights().actions[action]
        if isinstance(row, Without) or path in STREAMS:
            continue
        answer = served.client.request(method, path, headers=cookies)
        if method == "GET":
            asks = (answer.status_code, kind(answer)) == (401, "ask_again")
            assert asks is (action not in rights().desk), (method, path)
        else:  # a desk has no hands: without the page's token not even what it may
            assert kind(answer) in {"cross_site", "ask_again"}, (method, path)


def test_the_scopes_of_this_test_are_those_of_the_register(served: Served) -> None:
    assert served.station.register.area(GRID) is not None
    assert served.station.register.place(HOUSEHOLDS[0]) is not None
