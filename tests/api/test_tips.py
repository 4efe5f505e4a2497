"""Warnings and tips: to areas of one's own, until they expire, counted by places."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.rights.rules import Role
from tests.api.conftest import Serve, Served
from tests.api.people import MOMENT, Hands, Somebody, somebody


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def community(station: Served) -> Somebody:
    return somebody(station, "sun", Role.COMMUNITY, "c1")


@pytest.fixture
def household(station: Served) -> Somebody:
    return somebody(station, "wang", Role.HOUSEHOLD, "h01")


def tip(**more: Any) -> dict[str, Any]:
    expires = (MOMENT + timedelta(days=7)).isoformat()
    return {"kind": "warning", "title": "冒充客服诈骗", "text": "不要转账", "areas": ["c1"], "expires": expires} | more


@pytest.mark.proves("A12")
def test_a_warning_is_read_by_those_for_whom_it_is_and_counted_by_places(
    community: Somebody, household: Somebody
) -> None:
    made = community.post("/api/v1/tips", tip(), status=201)
    assert made["reads"] == {"places": 4, "read": 0}
    seen = household.get("/api/v1/tips")["items"]
    assert [one["title"] for one in seen] == ["冒充客服诈骗"]
    assert seen[0]["reads"] is None
    for _ in range(2):
        household.post(f"/api/v1/tips/{made['number']}/read", status=204)
    assert community.get("/api/v1/tips/published")["items"][0]["reads"] == {"places": 4, "read": 1}


def test_it_is_for_nobody_else(community: Somebody, station: Served) -> None:
    somebody(station, "xu", Role.OFFICER, "north").post("/api/v1/tips", tip(areas=["north"]), status=201)
    community.post("/api/v1/tips", tip(areas=["gr1"]), status=201)
    elsewhere = somebody(station, "zhou", Role.COMMUNITY, "c9")
    assert len(community.get("/api/v1/tips")["items"]) == 2
    assert [one["areas"] for one in elsewhere.get("/api/v1/tips")["items"]] == [["north"]]


def test_nobody_publishes_outside_his_own_areas(community: Somebody, household: Somebody) -> None:
    refused = community.post("/api/v1/tips", tip(areas=["c1", "north", "zzz"]), status=403)
    assert refused["areas"] == ["north", "zzz"]
    assert community.get("/api/v1/tips")["items"] == []
    household.post("/api/v1/tips", tip(), status=403)


def test_it_ends_by_itself(community: Somebody, household: Somebody, hands: Hands) -> None:
    number = community.post("/api/v1/tips", tip(), status=201)["number"]
    hands.pass_(days=7)
    assert household.get("/api/v1/tips")["items"] == []
    household.post(f"/api/v1/tips/{number}/read", status=404)
    assert community.get("/api/v1/tips/published")["items"][0]["state"] == "expired"


def test_it_is_not_shown_before_its_time(community: Somebody, household: Somebody, hands: Hands) -> None:
    community.post("/api/v1/tips", tip(begins=(MOMENT + timedelta(hours=1)).isoformat()), status=201)
    assert household.get("/api/v1/tips")["items"] == []
    hands.pass_(hours=1)
    assert len(household.get("/api/v1/tips")["items"]) == 1


def test_what_is_withdrawn_is_shown_to_nobody_and_withdrawn_once(community: Somebody, household: Somebody) -> None:
    number = community.post("/api/v1/tips", tip(), status=201)["number"]
    for _ in range(2):
        assert community.post(f"/api/v1/tips/{number}/withdraw")["state"] == "withdrawn"
    assert household.get("/api/v1/tips")["items"] == []


@pytest.mark.parametrize("number", [77, 2**31 - 1])
def test_what_is_not_there_cannot_be_withdrawn(community: Somebody, number: int) -> None:
    community.post(f"/api/v1/tips/{number}/withdraw", status=404)


@pytest.mark.parametrize(
    "more",
    [
        {"expires": (MOMENT + timedelta(days=91)).isoformat()},
        {"expires": (MOMENT - timedelta(days=1)).isoformat()},
        {"begins": (MOMENT + timedelta(days=8)).isoformat()},
        {"expires": "2027-02-30T00:00:00Z"},
        {"expires": "2027-02-01T00:00:00"},  # in which zone?
        {"title": "   "},
        {"areas": []},
        {"kind": "gossip"},
        {"colour": "red"},
    ],
)
def test_what_cannot_be_published_is_told_and_not_kept(community: Somebody, more: dict[str, Any]) -> None:
    community.post("/api/v1/tips", tip(**more), status=422)
    assert community.get("/api/v1/tips/published")["items"] == []


def test_pages_follow_one_another(community: Somebody) -> None:
    for number in range(5):
        community.post("/api/v1/tips", tip(title=f"第{number}条"), status=201)
    first = community.get("/api/v1/tips", limit=3)
    rest = community.get("/api/v1/tips", limit=3, after=first["next"])
    assert [one["title"] for one in first["items"] + rest["items"]] == [f"第{number}条" for number in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
