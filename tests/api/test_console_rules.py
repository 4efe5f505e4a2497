"""In what order and colour a desk shows alarms."""

from itertools import permutations
from typing import Any

import pytest

from api.alarms.rules import State
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
