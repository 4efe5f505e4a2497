"""Who may do what: the table, the rules that read it, and that no route is without a row."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.access import Anybody, May
from api.rights.rules import Grant, Over, Principal, Rights, RightsError, Role, Subject, Without, read, rights
from broker.policy import Audience
from tests.api.conftest import Served

ROLES = "\n".join(f'{role} = {{ eyes = "none", scope = "place" }}' for role in Role)


def table(rows: str) -> Rights:
    return read(f"[roles]\n{ROLES}\n[actions]\n{rows}\n")


def principal(*grants: Grant) -> Principal:
    return Principal(account="li", name="李", grants=grants, via="token")


def actions_of(dependant: Dependant) -> list[tuple[str, bool]]:
    """The actions that a route asks for, and whether it asks somebody."""
    own = [(call.action, isinstance(call, May)) for call in [dependant.call] if isinstance(call, May | Anybody)]
    return own + [one for below in dependant.dependencies for one in actions_of(below)]


def routes(app: FastAPI) -> list[APIRoute]:
    found = [context.original_route for context in iter_route_contexts(app.routes)]
    return [route for route in found if isinstance(route, APIRoute)]


@pytest.mark.proves("G5")
def test_every_route_names_exactly_one_action_that_is_in_the_table(served: Served) -> None:
    assert routes(served.client.app)  # type: ignore[arg-type] # the test client says less than it has
    for route in routes(served.client.app):  # type: ignore[arg-type] # the test client says less than it has
        named = actions_of(route.dependant)
        assert len(named) == 1, route.path
        action, asks = named[0]
        assert asks is not isinstance(rights().actions[action], Without), route.path


@pytest.mark.proves("G5")
def test_every_action_of_the_table_is_asked_for_by_a_route(served: Served) -> None:
    asked = {action for route in routes(served.client.app) for action, _ in actions_of(route.dependant)}  # type: ignore[arg-type] # as above
    assert asked == {*rights().actions}


def test_what_the_table_does_not_say_is_refused() -> None:
    reach = table('"alarm.read" = { officer = "area" }').reach(
        principal(Grant(role=Role.GUARD, scope="c1")), "alarm.read", groups={}
    )
    assert reach.held == ()


@pytest.mark.parametrize(
    ("over", "scope", "reached"),
    [
        ("area", "north", True),
        ("area", "south", False),
        ("company", "guards", True),
        ("company", "", False),
        ("place", "h01", True),
        ("place", "h02", False),
        ("group", "gr1", True),
        ("group", "h09", True),  # the place h09 lies in gr1
        ("group", "h77", False),
        ("self", "", True),
        ("dispatched", "", False),
        ("all", "", True),
    ],
)
def test_a_grant_reaches_what_its_word_says(over: str, scope: str, *, reached: bool) -> None:
    here = table(f'"x" = {{ household = "{over}" }}')
    subject = Subject(
        areas=frozenset({"north", "gr1"}), group="gr1", place="h01", company="guards", accounts=frozenset({"li"})
    )
    reach = here.reach(principal(Grant(role=Role.HOUSEHOLD, scope=scope)), "x", groups={"h09": "gr1"})
    assert bool(reach.covers(subject)) is reached


@pytest.mark.proves("G5", "N4")
def test_whoever_is_sent_reaches_it_wherever_his_area_lies_and_only_police_with_eyes_of_his_own() -> None:
    here, there = rights(), Subject(areas=frozenset({"south"}), dispatched=frozenset({"li"}))
    for role, eyes in ((Role.GRID_WORKER, None), (Role.COMMUNITY, None), (Role.OFFICER, Audience.POLICE)):
        who = principal(Grant(role=role, scope="r1"), Grant(role=role, scope="r2"))
        for action in ("alarm.read", "alarm.report"):
            (held,) = here.reach(who, action, groups={}).covers(there)
            assert (held.over, held.eyes) == (Over.DISPATCHED, eyes)
            assert not here.reach(who, action, groups={}).covers(Subject(areas=frozenset({"south"})))
        assert not here.reach(who, "alarm.acknowledge", groups={}).covers(there)
    for role in (Role.AUDITOR, Role.ADMINISTRATOR, Role.INSTALLER):
        assert not here.reach(principal(Grant(role=role)), "alarm.read", groups={}).held


def test_of_several_grants_the_sharpest_eyes_come_first() -> None:
    here = rights()
    held = here.reach(
        principal(Grant(role=Role.GRID_WORKER, scope="r1"), Grant(role=Role.OFFICER, scope="north")),
        "alarm.read",
        groups={},
    ).covers(Subject(areas=frozenset({"north", "r1"})))
    assert [one.eyes for one in held] == [Audience.POLICE, Audience.GRID]


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "good"), [(0, None, True), (5, None, True), (6, None, False), (0, 5, False), (0, 6, True)]
)
def test_a_grant_holds_from_a_day_to_a_day(from_ms: int, to_ms: int | None, *, good: bool) -> None:
    assert Grant(role=Role.GUARD, from_ms=from_ms, to_ms=to_ms).holds(5) is good


def test_a_table_with_a_word_that_nobody_knows_says_where() -> None:
    with pytest.raises(RightsError, match=r"alarm\.read"):
        table('"alarm.read" = { sheriff = "area" }')
    with pytest.raises(RightsError, match="roles"):
        read("[roles]\n[actions]\n")


def test_administrators_and_auditors_have_nobodys_eyes() -> None:
    assert {role for role, eyes in rights().eyes.items() if eyes is Audience.POLICE} == {
        Role.OFFICER, Role.DUTY_OFFICER, Role.DUTY_LEADER, Role.COMMAND_CENTRE
    }  # fmt: skip
    assert rights().eyes[Role.ADMINISTRATOR] is None
    assert Over.ALL not in rights().actions["alarm.read"].values()  # type: ignore[union-attr] # it asks roles


def test_the_table_is_one_file() -> None:
    assert Path(__file__).parents[2].joinpath("api/rights/rights.toml").is_file()
