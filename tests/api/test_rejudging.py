"""Who answers for what on a round, and what becomes known when it is over: the ledger follows, each round once."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from api.checkins.rules import Source
from api.checkins.service import Said
from api.faults.service import clear_fault, raise_fault
from api.guards.service import Cause, end_excuse, excuse
from api.patrols import repository
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import Hands, Somebody, add_companies, somebody
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out, look, moments, outcomes, today
from tests.api.test_points_of_rounds import agrees, booked, hired, on_duty, read


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, STATION)


def listed(officer: Somebody, *guards: str, **more: object) -> int:
    body = {"area": "gr1", "shift": "晚班", "begins": moments(-5).isoformat(), "ends": moments(480).isoformat()}
    number: int = officer.post("/api/v1/patrol-duties", body | {"guards": guards} | more, status=201)["number"]
    return number


def nobody_went(station: Served, officer: Somebody, hands: Hands, name: str = "B001") -> str:
    """王一 is listed for the round of five o'clock and stays away; it is judged."""
    wang = hired(officer, name)
    lay_out(officer)
    on_duty(officer, wang)
    look(station, hands, minutes=61)
    assert booked(officer, wang) == [("P04", -20), ("P04", -20), ("P04", -20)]
    return wang


def judged_once_more(station: Served, officer: Somebody, hands: Hands, *, minutes: int = 62) -> dict[str, Any]:
    """The clock looks three times: the round was touched once, and nothing else was."""
    before = station.station.patrols.judged
    for more in range(3):
        look(station, hands, minutes=minutes + more)
    assert station.station.patrols.judged == before + 1
    return today(officer)


@only_sqlite
@pytest.mark.proves("P3", "P7")
def test_whoever_was_relieved_answers_for_what_was_due_before_and_his_relief_for_the_rest(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang, sun = hired(officer, "B001"), hired(officer, "B002")
    lay_out(officer)
    duty = listed(officer, wang)
    hands.now_ms = BEGINS_MS + 6 * MINUTE_MS
    relief = {"giver": wang, "taker": sun, "words": "东门门禁坏了"}
    officer.post(f"/api/v1/patrol-duties/{duty}/reliefs", relief)
    look(station, hands, minutes=61)
    assert outcomes(today(officer)) == ["missed", "missed", "missed"]
    assert booked(officer, wang) == [("P04", -20)]
    assert booked(officer, sun) == [("P04", -20), ("P04", -20)]
    agrees(station)


@only_sqlite
@pytest.mark.proves("P7")
def test_whoever_is_on_the_list_of_another_route_and_comes_along_misses_nothing(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = hired(officer, "B001")
    lay_out(officer)
    listed(officer, wang, route="south-2")
    hands.now_ms = BEGINS_MS + MINUTE_MS
    read(station, wang, ("east", 1))
    look(station, hands, minutes=61)
    assert outcomes(today(officer)) == ["on_time", "missed", "missed"]
    assert booked(officer, wang) == []


@pytest.mark.proves("P3", "P7")
def test_a_fault_of_the_reader_that_is_known_later_gives_the_points_back(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = hired(officer, "B001")
    lay_out(officer)
    on_duty(officer, wang)
    hands.now_ms = BEGINS_MS + MINUTE_MS
    read(station, wang, ("east", 1), ("power", 20))
    look(station, hands, minutes=61)
    assert booked(officer, wang) == [("P04", -20)]
    with station.station.database.write() as session:
        for code, about in (("line_lost", "r-shed"), ("line_lost", "r-other"), ("clock", "")):
            at_ms = BEGINS_MS + 5 * MINUTE_MS
            raise_fault(session, code, about=about, gateway="g1", now_ms=at_ms, areas=())
            clear_fault(session, code, about=about, gateway="g1", now_ms=at_ms + 30 * MINUTE_MS)
    detail = judged_once_more(station, officer, hands)
    assert (outcomes(detail), detail["evaluations"]) == (["on_time", "excused", "on_time"], 2)
    assert booked(officer, wang) == [("P04", -20), ("A02", 20), ("P01", 10)]
    agrees(station)


@only_sqlite
@pytest.mark.proves("P3")
def test_a_fault_that_comes_back_excuses_nothing_of_the_time_between(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = nobody_went(station, officer, hands)
    with station.station.database.write() as session:
        for minutes in (-30, 45):
            at_ms = BEGINS_MS + minutes * MINUTE_MS
            raise_fault(session, "line_lost", about="r-shed", gateway="g1", now_ms=at_ms, areas=())
            clear_fault(session, "line_lost", about="r-shed", gateway="g1", now_ms=at_ms + 5 * MINUTE_MS)
    look(station, hands, minutes=62)
    assert (today(officer)["evaluations"], station.station.patrols.judged) == (1, 1)
    assert booked(officer, wang) == [("P04", -20), ("P04", -20), ("P04", -20)]


@only_sqlite
@pytest.mark.proves("P3", "P7")
@pytest.mark.parametrize("cause", [Cause.ALARM, Cause.SPOT_CALL])
def test_whoever_was_sent_elsewhere_gets_back_what_he_missed_meanwhile(
    station: Served, officer: Somebody, hands: Hands, cause: Cause
) -> None:
    wang = nobody_went(station, officer, hands)
    idle = hired(officer, "B009")
    with station.station.database.write() as session:
        for guard in (wang, idle):
            excuse(
                session, station=STATION, guard=guard, cause=cause, evidence="order:7", now_ms=hands.now_ms,
                from_ms=BEGINS_MS + 8 * MINUTE_MS, to_ms=BEGINS_MS + 60 * MINUTE_MS,
            )  # fmt: skip
        end_excuse(session, wang, "order:7", BEGINS_MS + 15 * MINUTE_MS)
    detail = judged_once_more(station, officer, hands)
    assert (outcomes(detail), detail["evaluations"]) == (["missed", "excused", "missed"], 2)
    assert booked(officer, wang)[3:] == [("A02", 20)]
    agrees(station)


@only_sqlite
@pytest.mark.proves("P3", "P7")
def test_an_order_to_suspend_that_is_written_down_later_gives_everything_of_its_time_back(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = nobody_went(station, officer, hands)
    leader = somebody(station, "zhou", Role.DUTY_LEADER, STATION)
    times = {"begins": moments(-10).isoformat(), "ends": moments(50).isoformat()}
    leader.post("/api/v1/patrol-suspensions", {"area": "gr1", "cause": "weather", "words": "雷暴", **times}, status=201)
    detail = judged_once_more(station, officer, hands)
    assert outcomes(detail) == ["excused", "excused", "excused"]
    assert booked(officer, wang)[3:] == [("A02", 20)] * 3
    assert officer.get("/api/v1/patrol-exceptions")["items"] == []
    agrees(station)


@pytest.mark.proves("P3", "P7")
def test_leave_that_is_entered_later_costs_him_nothing_and_the_round_was_still_missed(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = nobody_went(station, officer, hands)
    times = {"begins": moments(-10).isoformat(), "ends": moments(480).isoformat()}
    officer.post(f"/api/v1/guards/{wang}/leaves", times, status=201)
    detail = judged_once_more(station, officer, hands)
    assert (outcomes(detail), detail["guards"]) == (["missed", "missed", "missed"], [])
    assert booked(officer, wang)[3:] == [("A02", 20)] * 3
    agrees(station)


@only_sqlite
@pytest.mark.proves("P3", "P7")
def test_whoever_is_put_on_the_list_later_answers_for_the_round_that_was_judged_without_him(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang, sun = hired(officer, "B001"), hired(officer, "B002")
    lay_out(officer, company="beiguan")
    look(station, hands, minutes=61)
    assert booked(officer, wang) == []
    listed(officer, wang)
    assert judged_once_more(station, officer, hands)["evaluations"] == 2
    assert booked(officer, wang) == [("P04", -20)] * 3
    listed(officer, sun, route="south-2")
    look(station, hands, minutes=70)
    assert today(officer)["evaluations"] == 2


@only_sqlite
@pytest.mark.proves("P3", "P7", "P1")
def test_a_lost_card_shows_nobody_and_once_it_is_known_whose_it_was_it_shows_him_again(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = hired(officer, "B001")
    lay_out(officer)
    on_duty(officer, wang)
    first = {"tag": "33:00:51:23:45", "since": moments(-60).isoformat()}
    card = officer.post(f"/api/v1/guards/{wang}/cards", first, status=201)["number"]
    read(station, wang, ("east", 1), ("power", 20))
    at_ms = BEGINS_MS + 10 * MINUTE_MS
    said = Said(
        id="c-card", source=Source.FIXED_READER, tag="3300512345", at_ms=at_ms, device_ms=at_ms, gateway="g1",
        reader="r-shed",
    )  # fmt: skip
    with station.station.database.write() as session:
        station.station.checkins.add(session, [said], at_ms)
    look(station, hands, minutes=61)
    assert booked(officer, wang) == [("P01", 10)]
    lost = {"how": "lost", "at": moments(5).isoformat()}
    officer.post(f"/api/v1/guards/{wang}/cards/{card}/end", lost)
    assert outcomes(judged_once_more(station, officer, hands)) == ["on_time", "missed", "on_time"]
    assert booked(officer, wang) == [("P01", 10), ("A03", -10), ("P04", -20)]
    officer.post(f"/api/v1/guards/{wang}/cards", first, status=201)  # it was in his other coat
    assert outcomes(judged_once_more(station, officer, hands, minutes=70)) == ["on_time"] * 3
    assert booked(officer, wang)[3:] == [("A03", 20), ("P01", 10)]
    agrees(station)


@only_sqlite
@pytest.mark.proves("P3")
def test_late_data_have_their_own_round_judged_again_and_not_that_of_another_team_at_the_same_point(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang, sun = hired(officer, "B001"), hired(officer, "B002")
    lay_out(officer)
    visits = [{"point": "shed", "after_min": 10, "buffer_min": 3, "extended_min": 5}]
    second = {"id": "south-2", "area": "gr1", "name": "南片线", "order": "timed", "visits": visits}
    officer.post("/api/v1/patrol-routes", second, status=201)
    officer.post(
        "/api/v1/patrol-plans", {"route": "south-2", "shift": "late", "begins_min": [0], "lasts_min": 60}, status=201
    )
    listed(officer, wang, route="night-1")
    listed(officer, sun, route="south-2")
    look(station, hands, minutes=61)
    read(station, wang, ("shed", 11))
    look(station, hands, minutes=62)
    rounds = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
    counted = {one["route"]: officer.get(f"/api/v1/patrol-rounds/{one['number']}")["evaluations"] for one in rounds}
    assert counted == {"night-1": 2, "south-2": 1}
    assert station.station.patrols.judged == 3


@only_sqlite
@pytest.mark.proves("P3")
def test_one_reading_is_one_visit_and_the_other_is_missed_when_it_closes_and_not_when_the_round_does(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    lay_out(officer)
    visits = [
        {"point": point, "after_min": after, "buffer_min": 3, "extended_min": 5}
        for point, after in (("east", 0), ("east", 6), ("power", 40))
    ]
    second = {"id": "south-2", "area": "gr1", "name": "南片线", "order": "timed", "visits": visits}
    officer.post("/api/v1/patrol-routes", second, status=201)
    officer.post(
        "/api/v1/patrol-plans", {"route": "south-2", "shift": "late", "begins_min": [0], "lasts_min": 60}, status=201
    )
    hands.now_ms = BEGINS_MS + 2 * MINUTE_MS
    read(station, "", ("east", 2))  # in the time of both
    look(station, hands, minutes=15)
    missed = officer.get("/api/v1/patrol-exceptions")["items"]
    assert [(one["point"], one["outcome"]) for one in missed] == [("east", "missed")]
    look(station, hands, minutes=61)
    rounds = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
    (number,) = [one["number"] for one in rounds if one["route"] == "south-2"]
    assert outcomes(officer.get(f"/api/v1/patrol-rounds/{number}")) == ["on_time", "missed", "missed"]


@only_sqlite
@pytest.mark.proves("P7")
def test_what_a_check_in_touches_is_found_by_its_point_however_many_rounds_were_judged(station: Served) -> None:
    """By the rounds for which nothing waits, each batch of check-ins went through all that were ever judged."""
    asked: list[tuple[str, Any]] = []
    with station.station.database.read() as session:
        connection = session.connection()

        def hear(_connection: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> None:
            asked.append((sql, values))

        event.listen(connection, "before_cursor_execute", hear)
        assert repository.touched(session, ["east", "gate"], 1, 2, now_ms=3) == []
        event.remove(connection, "before_cursor_execute", hear)
        ((sql, values),) = asked
        plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert plan[0].startswith("SEARCH patrol_visit USING INDEX ix_patrol_visit_point")
    assert plan[1].startswith("SEARCH patrol_round USING INTEGER PRIMARY KEY")
