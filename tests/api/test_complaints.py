"""A resident's complaint: made by anybody, looked into by others than it is about, answered, counted, forgotten."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from api.complaints.models import Complaint
from api.complaints.rules import (
    ABOUT_WORDS,
    ANSWER_WITHIN_MS,
    CONCERNED,
    FINDING_WORDS,
    HANDLERS,
    MOST_AN_HOUR,
    STAGE_WORDS,
    TAKE_WITHIN_MS,
    TOLD_WORDS,
    About,
    Finding,
    Stage,
    Told,
    climbs_ms,
    code,
    handled,
    whom,
    why,
)
from api.complaints.service import NOBODY
from api.faults.repository import present
from api.notify.models import Delivery, NotifyChannel
from api.notify.rules import Notice, words
from api.rights.rules import Grant, Role
from tests.api.conftest import Serve, Served
from tests.api.people import Hands, Somebody, add_grant, somebody

BOARD = "/api/v1/boards/r1/complaints"
PATH = "/api/v1/complaints"
SAID = "三个月没有人上门协助测试"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


def complain(station: Served, about: str = "grid_worker", *, status: int = 201, **more: Any) -> Any:
    answer = station.client.post(BOARD, json={"about": about, "words": SAID} | more)
    assert answer.status_code == status, answer.text
    return answer.json()


def look_up(station: Served, code: str, *, status: int = 200) -> Any:
    answer = station.client.post(f"{PATH}/look-up", json={"code": code})
    assert answer.status_code == status, answer.text
    return answer.json()


def seen(who: Somebody, **query: Any) -> list[str]:
    return [one["about"] for one in who.get(PATH, **query)["items"]]


@pytest.mark.proves("G3")
def test_anybody_complains_over_the_board_and_reads_the_answer_by_the_code_alone(station: Served, hands: Hands) -> None:
    office = somebody(station, "office", Role.COMMUNITY, "c1")
    street = somebody(station, "street", Role.TOWNSHIP, "c1")
    made = complain(station, phone="13800000001")
    assert look_up(station, made["code"])["stage"] == "received"
    look_up(station, "0" * 12, status=404)
    (one,) = office.get(PATH, still=True)["items"]
    assert (one["words"], one["phone"], one["way"], one["overdue"]) == (SAID, "13800000001", "board", False)
    number = one["number"]
    found = {"finding": "founded", "words": "情况属实，已安排每月上门"}
    office.post(f"{PATH}/{number}/answer", found, status=409)
    office.post(f"{PATH}/{number}/take")
    assert street.post(f"{PATH}/{number}/take", status=409)["stage"] == "taken"
    hands.pass_(days=2)
    office.post(f"{PATH}/{number}/answer", found)
    told = look_up(station, made["code"].upper())
    assert (told["stage_words"]["zh"], told["finding"], told["answer"]) == ("已答复", "founded", found["words"])
    assert SAID not in str(told)
    assert office.get(PATH, still=True)["items"] == []
    office.post(f"{PATH}/{number}/answer", found, status=409)


@pytest.mark.proves("G3")
def test_it_goes_to_whoever_leads_the_duty_and_never_to_whoever_has_it(station: Served) -> None:
    roles = (Role.GRID_WORKER, Role.COMMUNITY, Role.TOWNSHIP, Role.OFFICER, Role.DUTY_OFFICER, Role.DUTY_LEADER,
             Role.COMMAND_CENTRE)  # fmt: skip
    scopes = {Role.GRID_WORKER: "r1", Role.COMMUNITY: "c1", Role.TOWNSHIP: "c1"}
    people = {role: somebody(station, role.value, role, scopes.get(role, "north")) for role in roles}
    for about in About:
        complain(station, about.value)
    for role in (Role.GRID_WORKER, Role.OFFICER, Role.DUTY_OFFICER):
        people[role].get(PATH, status=403)
    assert seen(people[Role.COMMUNITY]) == ["other", "grid_worker"]
    assert seen(people[Role.TOWNSHIP]) == ["other", "community", "grid_worker"]
    assert seen(people[Role.DUTY_LEADER]) == ["other", "officer", "community"]
    assert seen(people[Role.COMMAND_CENTRE]) == [about.value for about in reversed(About)]
    assert seen(somebody(station, "far", Role.COMMUNITY, "elsewhere")) == []
    with station.station.database.write() as session:
        add_grant(session, "community", Role.GRID_WORKER, "r1")  # who stands in for a grid worker is one
    assert seen(people[Role.COMMUNITY]) == ["other"]
    people[Role.COMMUNITY].post(f"{PATH}/1/take", status=404)
    people[Role.DUTY_LEADER].post(f"{PATH}/4/take", status=404)


@pytest.mark.proves("G3")
def test_a_household_complains_by_account_and_the_desk_types_a_caller_in(station: Served) -> None:
    home = somebody(station, "home", Role.HOUSEHOLD, "h01")
    next_door = somebody(station, "next", Role.HOUSEHOLD, "h02")
    desk = somebody(station, "desk", Role.DUTY_OFFICER, "north")
    office = somebody(station, "office", Role.COMMUNITY, "c1")
    home.post(PATH, {"about": "grid_worker", "words": SAID}, status=201)
    home.post(PATH, {"about": "grid_worker", "words": SAID, "grid": "elsewhere"}, status=404)
    called = desk.post(PATH, {"about": "grid_worker", "words": "电话投诉", "grid": "r1", "phone": "110"}, status=201)
    assert look_up(station, called["code"])["stage"] == "received"
    desk.get(PATH, status=403)
    assert [(one["way"], one["place"]) for one in office.get(PATH)["items"]] == [("phone", None), ("account", "h01")]
    assert [one["way"] for one in home.get(PATH)["items"]] == ["account"]
    assert next_door.get(PATH)["items"] == []
    home.post(f"{PATH}/1/take", status=403)


@pytest.mark.proves("G3")
def test_a_board_that_is_flooded_asks_for_patience(station: Served, hands: Hands) -> None:
    for _ in range(MOST_AN_HOUR):
        complain(station)
    assert complain(station, status=429)["type"] == "too_many_complaints"
    hands.pass_(hours=1)
    complain(station)
    assert station.client.post(BOARD.replace("r1", "gr1"), json={"about": "other", "words": "x"}).status_code == 404


@pytest.mark.proves("G3", "G2")
def test_complaints_are_counted_and_what_is_late_counts_against(station: Served, hands: Hands) -> None:
    office = somebody(station, "office", Role.COMMUNITY, "c1")
    worker = somebody(station, "worker", Role.GRID_WORKER, "r1")
    for number in range(1, 4):
        complain(station)
        if number < 3:
            office.post(f"{PATH}/{number}/take")
    office.post(f"{PATH}/1/answer", {"finding": "founded", "words": "属实"})
    hands.pass_(days=16)
    office.post(f"{PATH}/2/answer", {"finding": "unfounded", "words": "不属实"})
    found = office.get("/api/v1/reports/c1/complaints", day="2027-01-20", period="year")
    shares = {name: (found[name]["part"], found[name]["whole"]) for name in ("answered", "answered_on_time", "founded")}
    assert shares == {"answered": (2, 3), "answered_on_time": (1, 3), "founded": (1, 2)}
    assert (found["made"], found["by_about"], found["by_way"]) == (3, {"grid_worker": 3}, {"board": 3})
    assert found["begins"].startswith("2026-12-31T16:00")
    worker.get("/api/v1/reports/r1/complaints", day="2027-01-20", status=403)
    assert [one["overdue"] for one in office.get(PATH)["items"]] == [True, True, False]


@pytest.mark.proves("G3", "N16")
def test_no_column_is_about_a_person_and_the_words_go(station: Served, hands: Hands) -> None:
    made = complain(station, phone="13800000001")
    assert not [name for name in Complaint.model_fields if "name" in name or "person" in name or "against" in name]
    hands.pass_(days=366)
    station.station.privacy.retain(hands())
    assert station.rows("SELECT words, phone, answer FROM complaint") == [("", None, None)]
    assert look_up(station, made["code"])["stage"] == "received"


@given(st.sets(st.sampled_from([*Role])), st.sets(st.sampled_from([*Role])))
def test_nobody_looks_into_his_own_duty(held: set[Role], also: set[Role]) -> None:
    grants = [Grant(role=role, scope="r1") for role in held | also]
    for one in handled(((role, "r1") for role in held), grants):
        assert held & HANDLERS[one.about]
        assert ("r1" in one.never) is bool((held | also) & CONCERNED[one.about])


def test_every_word_is_there_and_every_duty_has_somebody_else() -> None:
    assert {*ABOUT_WORDS} == {*HANDLERS} == {*CONCERNED} == {*About}
    assert {*FINDING_WORDS} == {*Finding}
    assert {*STAGE_WORDS} == {*Stage}
    for about in About:
        assert HANDLERS[about] - CONCERNED[about] == HANDLERS[about] != frozenset()
    assert code(bytes(range(244, 256))) == code(bytes(range(20, 32)))
    assert ANSWER_WITHIN_MS == 15 * 86_400_000


def channel(station: Served, account: str) -> None:
    """A way to reach an account, as the table has it; nothing is sent by it here."""
    with station.station.database.write() as session:
        session.add(
            NotifyChannel(
                id=f"{account:0<32}",
                station=station.station.settings.station,
                account=account,
                sort="webhook",
                label="own",
                host="127.0.0.1",
                sealed="",
                zone="Asia/Shanghai",
                made_by=account,
                made_ms=1,
            )
        )


def told(station: Served) -> list[tuple[str, Notice]]:
    """Who was owed what since the last time that this was asked."""
    with station.station.database.write() as session:
        found = session.exec(select(Delivery).order_by(col(Delivery.number))).all()
        notices = [(str(row.account), Notice.read(row.notice)) for row in found]
        for row in found:
            session.delete(row)
        return notices


def unheard(station: Served) -> bool:
    with station.station.database.read() as session:
        return present(session, NOBODY, "", station.station.settings.station) is not None


@pytest.mark.proves("G3")
def test_whoever_is_to_look_into_it_is_told_and_it_climbs_until_it_is_answered(station: Served, hands: Hands) -> None:
    for id_, role, scope in (
        ("worker", Role.GRID_WORKER, "r1"), ("office", Role.COMMUNITY, "c1"), ("street", Role.TOWNSHIP, "c1"),
        ("centre", Role.COMMAND_CENTRE, "north"), ("leader", Role.DUTY_LEADER, "north"),
        ("both", Role.COMMUNITY, "c1"), ("far", Role.COMMUNITY, "c9"),
    ):  # fmt: skip
        somebody(station, id_, role, scope)
        channel(station, id_)
    with station.station.database.write() as session:
        add_grant(session, "both", Role.GRID_WORKER, "r1")

    def climb() -> None:
        station.station.complaints.climb(station.station.database, hands.now_ms)

    complain(station, phone="13800000001")
    ((who, notice),) = told(station)
    assert (who, notice.complaint, notice.grid, notice.number, notice.urgent) == (
        "office", Told.RECEIVED, "r1", 1, False,
    )  # fmt: skip
    said = words([notice])
    text = f"{said.title} {said.body} {said.data} {notice.text()}"
    for leaked in (SAID, "13800000001", "grid_worker", "网格员"):
        assert leaked not in text
    climb()
    assert told(station) == []
    hands.pass_(days=3)
    climb()
    assert [(who, one.complaint) for who, one in told(station)] == [("office", Told.UNTAKEN), ("street", Told.UNTAKEN)]
    hands.pass_(days=20)
    climb()
    climb()
    assert [(who, one.complaint) for who, one in told(station)] == [
        ("centre", Told.OVERDUE), ("office", Told.OVERDUE), ("street", Told.OVERDUE),
    ]  # fmt: skip
    assert not unheard(station)


@pytest.mark.proves("G3")
def test_what_is_taken_climbs_only_when_it_is_overdue_and_what_is_answered_never(station: Served, hands: Hands) -> None:
    office = somebody(station, "office", Role.COMMUNITY, "c1")
    somebody(station, "street", Role.TOWNSHIP, "c1")
    for id_ in ("office", "street"):
        channel(station, id_)
    complain(station)
    complain(station)
    for number in (1, 2):
        office.post(f"{PATH}/{number}/take")
    office.post(f"{PATH}/2/answer", {"finding": "founded", "words": "属实"})
    assert len(told(station)) == 2
    hands.pass_(days=4)
    station.station.complaints.climb(station.station.database, hands.now_ms)
    assert told(station) == []
    hands.pass_(days=12)
    station.station.complaints.climb(station.station.database, hands.now_ms)
    assert [(who, one.number) for who, one in told(station)] == [("office", 1), ("street", 1)]


@pytest.mark.proves("G3")
def test_a_complaint_that_nobody_may_look_into_is_a_fault_until_somebody_is_told(station: Served, hands: Hands) -> None:
    complain(station, about="leader")
    assert unheard(station)
    somebody(station, "centre", Role.COMMAND_CENTRE, "north")
    channel(station, "centre")
    hands.pass_(hours=1)
    station.station.complaints.climb(station.station.database, hands.now_ms)
    assert [who for who, _ in told(station)] == ["centre"]
    assert not unheard(station)


@pytest.mark.proves("G3")
def test_what_was_told_of_a_complaint_is_read_by_nobody_else_among_the_deliveries(station: Served) -> None:
    leader = somebody(station, "leader", Role.DUTY_LEADER, "north")
    desk = somebody(station, "desk", Role.DUTY_OFFICER, "north")
    channel(station, "leader")
    complain(station, about="officer")
    assert [one["complaint"] for one in leader.get("/api/v1/notify/deliveries")["items"]] == ["received"]
    assert desk.get("/api/v1/notify/station/deliveries")["items"] == []


@pytest.mark.proves("G3")
@given(
    passed=st.integers(0, 2 * ANSWER_WITHIN_MS), taken=st.booleans(), before=st.sampled_from([None, *Told])
)  # fmt: skip
def test_nothing_is_told_twice_and_the_clock_comes_back_until_it_is_overdue(
    passed: int, taken: bool, before: Told | None
) -> None:
    due = ANSWER_WITHIN_MS
    found = why(made_ms=0, due_ms=due, taken=taken, told=before, now_ms=passed)
    assert found is None or before is None or [*Told].index(found) > [*Told].index(before)
    assert (found is Told.OVERDUE) <= (passed >= due)
    assert (found is Told.UNTAKEN) <= (TAKE_WITHIN_MS <= passed < due and not taken)
    again = climbs_ms(made_ms=0, due_ms=due, now_ms=passed)
    assert (again is None) == (passed >= due)
    assert again is None or again > passed


def test_rungs_with_nobody_are_passed_over_and_each_is_told_once() -> None:
    rungs = [frozenset[str](), frozenset({"b", "a"}), frozenset({"a", "c"})]
    assert [whom(rungs, one) for one in Told] == [["a", "b"], ["a", "b", "c"], ["a", "b", "c"]]
    assert whom([frozenset()], Told.OVERDUE) == []
    assert {*TOLD_WORDS} == {*Told}
