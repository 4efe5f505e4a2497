"""Hazards and incidents on the way of an alarm, and tasks from the admitted list alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.alarms.rules import Action, State
from api.rights.rules import Role
from api.tasks.rules import MATTER_ACTIONS, TaskState, matter_after, overdue, task_after
from tests.api.conftest import Serve, Served
from tests.api.people import Hands, Somebody, somebody
from tests.api.test_pictures import SECRET, chunk, exif, jpeg, png, segment, webp

MATTERS = "/api/v1/matters"
ENTRY = {
    "id": "test-help",
    "name": "独居老人月度测试协助",
    "department": "区民政局",
    "authority": "2026年第3号批复",
    "deadline_h": 48,
    "funds": "每件15元",
}


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def household(station: Served) -> Somebody:
    return somebody(station, "wang", Role.HOUSEHOLD, "h01")


@pytest.fixture
def worker(station: Served) -> Somebody:
    return somebody(station, "liu", Role.GRID_WORKER, "r1")


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, "north")


def matter(**more: Any) -> dict[str, Any]:
    return {"kind": "hazard", "group": "gr1", "words": "消防通道被堵"} | more


def step(who: Somebody, number: int, action: str, *, status: int = 200, **more: Any) -> Any:
    return who.post(f"{MATTERS}/{number}/steps", {"action": action, **more}, status=status)


@pytest.mark.proves("P11", "G2")
def test_a_hazard_goes_from_the_report_to_the_archive_and_somebody_else_asks_afterwards(
    household: Somebody, worker: Somebody, officer: Somebody, hands: Hands
) -> None:
    number = household.post(MATTERS, matter(), status=201)["number"]
    step(worker, number, "acknowledge")
    hands.pass_(minutes=10)
    step(worker, number, "on_scene")
    step(worker, number, "resolve", outcome="real", words="已清理")
    assert step(worker, number, "follow_up", satisfaction=5, status=409)["type"] == "own_work"
    assert step(officer, number, "follow_up", satisfaction=4, words="满意")["satisfaction"] == 4
    step(officer, number, "archive")
    whole = household.get(f"{MATTERS}/{number}")
    assert whole["state"] == "archived"
    assert whole["owner"] == "liu"
    assert [one["action"] for one in whole["steps"]] == [
        "receive", "acknowledge", "on_scene", "resolve", "follow_up", "archive",
    ]  # fmt: skip
    assert whole["steps"][2]["at"] > whole["steps"][1]["at"]


@pytest.mark.proves("P11")
def test_a_report_that_a_phone_sends_again_is_one_until_it_is_closed(
    household: Somebody, worker: Somebody, hands: Hands
) -> None:
    number = household.post(MATTERS, matter(), status=201)["number"]
    assert household.post(MATTERS, matter(), status=201)["number"] == number
    others = (
        household.post(MATTERS, matter(words="井盖没了"), status=201)["number"],
        household.post(MATTERS, matter(place="h01"), status=201)["number"],
        worker.post(MATTERS, matter(), status=201)["number"],
    )
    assert len({number, *others}) == 4
    assert len(worker.get(f"{MATTERS}/{number}")["steps"]) == 1
    step(worker, number, "acknowledge")
    step(worker, number, "verify")
    step(worker, number, "resolve", outcome="real", words="已清理")
    again = household.post(MATTERS, matter(), status=201)["number"]
    assert again not in {number, *others}
    hands.pass_(days=2)
    assert household.post(MATTERS, matter(), status=201)["number"] != again


@pytest.mark.proves("P11")
def test_of_two_who_take_it_one_wins_and_what_cannot_follow_is_refused(
    household: Somebody, worker: Somebody, officer: Somebody
) -> None:
    number = household.post(MATTERS, matter(kind="incident"), status=201)["number"]
    step(officer, number, "acknowledge")
    assert step(worker, number, "acknowledge", status=409)["state"] == "acknowledged"
    step(worker, number, "archive", status=409)
    for bad in ({"outcome": "real"}, {"words": "好了"}, {"outcome": "real", "words": "好了", "satisfaction": 5}):
        step(worker, number, "resolve", status=422, **bad)
    step(worker, number, "dance", status=422)
    assert officer.get(f"{MATTERS}/{number}")["version"] == 2


@pytest.mark.proves("P11", "G5")
def test_whoever_has_nothing_to_do_with_it_does_not_learn_that_it_is_there(
    household: Somebody, station: Served
) -> None:
    number = household.post(MATTERS, matter(place="h01"), status=201)["number"]
    neighbour = somebody(station, "zhang", Role.HOUSEHOLD, "h02")
    elsewhere = somebody(station, "zhou", Role.COMMUNITY, "c9")
    for who in (neighbour, elsewhere):
        assert who.get(f"{MATTERS}/{number}", status=404)["type"] == who.get(f"{MATTERS}/77", status=404)["type"]
        assert who.get(MATTERS)["items"] == []
    household.post(MATTERS, matter(group="gr9"), status=404)
    household.post(MATTERS, matter(place="h99"), status=404)
    step(household, number, "acknowledge", status=403)


@pytest.mark.proves("G6")
def test_a_task_that_is_not_on_the_admitted_list_cannot_be_assigned(
    worker: Somebody, station: Served, hands: Hands
) -> None:
    county = somebody(station, "tang", Role.COMMAND_CENTRE, "north")
    community = somebody(station, "sun", Role.COMMUNITY, "c1")
    task = {"admitted": "test-help", "worker": "liu", "area": "r1", "words": "协助3号楼501测试"}
    assert community.post("/api/v1/tasks", task, status=422)["type"] == "not_admitted"
    community.post("/api/v1/admitted", ENTRY, status=403)
    county.post("/api/v1/admitted", ENTRY, status=201)
    assert county.post("/api/v1/admitted", ENTRY, status=409)["type"] == "already_listed"
    made = community.post("/api/v1/tasks", task, status=201)
    assert (made["state"], made["overdue"]) == ("assigned", False)
    assert community.post("/api/v1/tasks", task | {"worker": "sun"}, status=422)["type"] == "no_such_worker"
    community.post("/api/v1/tasks", task | {"area": "north"}, status=404)

    hands.pass_(hours=48, seconds=1)
    assert worker.get("/api/v1/tasks")["items"][0]["overdue"]
    county.post("/api/v1/admitted/test-help/end")
    assert worker.get("/api/v1/admitted")["items"] == []
    assert community.post("/api/v1/tasks", task, status=422)["type"] == "not_admitted"


@pytest.mark.proves("G6")
def test_what_was_done_is_done_when_whoever_assigned_it_says_so(worker: Somebody, station: Served) -> None:
    county = somebody(station, "tang", Role.COMMAND_CENTRE, "north")
    county.post("/api/v1/admitted", ENTRY, status=201)
    task = {"admitted": "test-help", "worker": "liu", "area": "r1", "words": "协助测试"}
    number = county.post("/api/v1/tasks", task, status=201)["number"]
    path = f"/api/v1/tasks/{number}"
    somebody(station, "he", Role.GRID_WORKER, "r1").post(f"{path}/done", {"words": "抢功"}, status=404)
    county.post(f"{path}/accept", status=409)
    worker.post(f"{path}/done", {"words": "已测试"})
    county.post(f"{path}/send-back", {"words": "没有照片"})
    assert worker.get("/api/v1/tasks", state="assigned")["items"][0]["found"] is None
    worker.post(f"{path}/done", {"words": "已测试，附照片"})
    assert county.post(f"{path}/accept")["state"] == "accepted"
    worker.post(f"{path}/done", {"words": "再来"}, status=409)


@given(st.lists(st.sampled_from(sorted(Action)), max_size=12))
def test_a_matter_is_only_ever_in_states_that_an_alarm_may_be_in(actions: list[Action]) -> None:
    state = State.RECEIVED
    for action in actions:
        after = matter_after(state, action)
        assert after is None or action in MATTER_ACTIONS
        state = after or state
    assert state is not State.CANCELLED_BY_HOUSEHOLD


def test_a_task_is_overdue_by_when_it_was_done() -> None:
    assert not overdue(TaskState.ASSIGNED, 10, None, 10)
    assert overdue(TaskState.ASSIGNED, 10, None, 11)
    assert not overdue(TaskState.DONE, 10, 10, 99)
    assert overdue(TaskState.ACCEPTED, 10, 11, 99)
    assert task_after(TaskState.ACCEPTED, "send_back") is None


def photo(who: Somebody, number: int, content: bytes, *, status: int = 201) -> Any:
    return who.ask("POST", f"{MATTERS}/{number}/photos", status=status, content=content)


@pytest.mark.proves("P11", "N4")
def test_a_photo_is_seen_by_whoever_sees_the_matter_and_tells_nothing_but_the_picture(
    station: Served, household: Somebody, worker: Somebody, officer: Somebody
) -> None:
    neighbour = somebody(station, "next", Role.HOUSEHOLD, "h02")
    far = somebody(station, "far", Role.OFFICER, "elsewhere")
    number = household.post(MATTERS, matter(), status=201)["number"]
    kept = photo(household, number, jpeg(segment(0xE1, exif()), behind=SECRET))
    assert photo(household, number, jpeg(segment(0xE1, exif())))["id"] == kept["id"]
    for who in (household, worker, officer):
        assert [one["id"] for one in who.get(f"{MATTERS}/{number}")["photos"]] == [kept["id"]]
        got = who.get(f"{MATTERS}/{number}/photos/{kept['id']}")
        assert SECRET not in got.content
        assert (got.headers["content-type"], got.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
        assert got.headers["content-disposition"].startswith("attachment")
        assert len(got.content) == kept["size"]
    for stranger in (neighbour, far):
        stranger.get(f"{MATTERS}/{number}/photos/{kept['id']}", status=404)
        photo(stranger, number, png(), status=404)
    other = household.post(MATTERS, matter(words="另一处"), status=201)["number"]
    household.get(f"{MATTERS}/{other}/photos/{kept['id']}", status=404)
    assert photo(household, number, b"%PDF-1.7", status=415)["type"] == "no_photo"
    assert photo(household, number, bytes(9 << 20), status=413)["type"] == "too_large"
    for many in range(5):
        photo(worker, number, png(chunk(b"bKGD", bytes([0, many]))))
    assert photo(worker, number, webp(), status=409)["type"] == "enough_photos"


@pytest.mark.proves("P11", "N16")
def test_photos_go_after_their_period_and_with_the_household(
    station: Served, household: Somebody, hands: Hands
) -> None:
    leader = somebody(station, "sun", Role.DUTY_LEADER, "north")
    old = household.post(MATTERS, matter(place="h01"), status=201)["number"]
    photo(household, old, jpeg())
    hands.pass_(days=731)
    station.station.privacy.retain(hands())
    assert station.rows("SELECT count(*) FROM matter_photo") == [(0,)]
    new = household.post(MATTERS, matter(place="h01"), status=201)["number"]
    photo(household, new, jpeg())
    answer = station.client.post(
        "/api/v1/places/h01/erase",
        json={"reason": "住户要求"},
        headers={"Authorization": f"Bearer token-of-{leader.id}"},
    )
    assert answer.is_success, answer.text
    assert station.rows("SELECT count(*) FROM matter_photo") == [(0,)]


@pytest.mark.proves("G2")
def test_a_grid_worker_reads_his_own_card_and_the_level_above_reads_the_same(
    station: Served, household: Somebody, worker: Somebody, officer: Somebody, hands: Hands
) -> None:
    county = somebody(station, "tang", Role.COMMAND_CENTRE, "north")
    community = somebody(station, "sun", Role.COMMUNITY, "c1")
    other = somebody(station, "he", Role.GRID_WORKER, "r1")
    county.post("/api/v1/admitted", ENTRY, status=201)
    task = {"admitted": "test-help", "worker": "liu", "area": "r1", "words": "协助测试"}
    done, late = (community.post("/api/v1/tasks", task, status=201)["number"] for _ in range(2))
    worker.post(f"/api/v1/tasks/{done}/done", {"words": "已测试"})
    taken, _ = (household.post(MATTERS, matter(), status=201)["number"] for _ in range(2))
    step(worker, taken, "acknowledge")
    step(worker, taken, "on_scene")
    step(worker, taken, "resolve", outcome="real", words="已清理")
    step(officer, taken, "follow_up", satisfaction=5)
    hands.pass_(hours=49)
    worker.post(f"/api/v1/tasks/{late}/done", {"words": "已测试"})
    asked: dict[str, Any] = {"day": "2027-03-01", "period": "year"}
    own = worker.get("/api/v1/reports/own/card", **asked)
    assert own["begins"].startswith("2026-12-31T16:00")
    assert own["ends"].startswith("2027-12-31T16:00")
    shares = {
        name: (own[name]["part"], own[name]["whole"]) for name in ("tasks_on_time", "matters_on_time", "satisfied")
    }
    assert shares == {"tasks_on_time": (1, 2), "matters_on_time": (1, 1), "satisfied": (1, 1)}
    assert (own["matters"], own["score_tenths"]) == (1, 775)  # 45 x 1/2 + 35 + 20
    assert other.get("/api/v1/reports/own/card", **asked)["score_tenths"] is None
    listed = community.get("/api/v1/reports/c1/workers", **asked)["cards"]
    assert [one["worker"] for one in listed] == ["liu", "he"]
    assert listed[0] == {name: own[name] for name in listed[0]}
    assert worker.get("/api/v1/reports/own/card", day="2027-02-01")["tasks_on_time"]["whole"] == 0
    worker.get("/api/v1/reports/r1/workers", status=403, day="2027-03-01")
    somebody(station, "far", Role.COMMUNITY, "c9").get("/api/v1/reports/c1/workers", status=404, day="2027-03-01")
    officer.get("/api/v1/reports/own/card", status=403, day="2027-03-01")
