"""In what order and colour a desk shows alarms."""

from itertools import permutations
from typing import Any

import pytest

from api.alarms.rules import State
from api.console.known import LISTED, People
from api.console.rules import in_order, light


def alarm(name: str, kind: str, *, state: str = "received", mark: str | None = None, at: int = 0) -> dict[str, Any]:
    return {"id": name, "kind": kind, "state": state, "mark": mark, "received": f"2026-11-22T06:00:{at:02}+00:00"}


@pytest.mark.proves("A5")
@pytest.mark.parametrize(
    ("colour", "states"),
    [
        ("sent", {State.RECEIVED, State.CANCELLED_BY_HOUSEHOLD}),
        ("seen", {State.ACKNOWLEDGED, State.VERIFIED, State.DISPATCHED, State.ON_THE_WAY, State.ON_SCENE}),
        ("back", {State.RESOLVED, State.FOLLOWED_UP, State.ARCHIVED}),
    ],
)
def test_red_is_sent_green_is_seen_and_grey_is_reported_back(colour: str, states: set[State]) -> None:
    assert {state for state in State if light(state.value) == colour} == states


@pytest.mark.proves("A7")
def test_what_nobody_has_taken_comes_first_by_kind_then_the_oldest_and_drills_last() -> None:
    wanted = [
        alarm("silent", "duress", at=9),
        alarm("burning", "fire", at=8),
        alarm("first", "panic", at=1),
        alarm("second", "panic", at=2),
        alarm("unsure", "unverified", at=0),
        alarm("asked", "help", at=0),
        alarm("taken", "fire", state="acknowledged", at=0),
        alarm("played", "fire", mark="drill", at=0),
    ]
    for some in list(permutations(wanted))[::997]:
        assert [one["id"] for one in in_order(some)] == [one["id"] for one in wanted]


def test_where_people_are_many_one_is_found_by_the_beginning_of_a_name() -> None:
    rows = [{"account": f"a{nth}", "name": f"王{nth % 70}", "roles": []} for nth in range(LISTED + 11)]
    people = People(rows)
    assert not people.few
    assert people.meant("王1 (a1)") == "a1"
    assert people.meant("王2") == "a2"
    assert people.meant("王0") == "王0"  # two are called so: the interface refuses what names nobody
    assert people.said("nobody") == "nobody"
