"""Rounds of a station: planned at the desk, unfolded, looked at when due, judged once and again for late data."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from api.checkins.rules import Source
from api.checkins.service import Said
from api.ingest.models import Fault
from api.patrols.judging import Verdict
from api.patrols.rules import Outcome
from api.register.models import Company
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody

MINUTE_MS = 60_000
START_MIN = 17 * 60
"""Five in the afternoon in Shanghai: an hour after the tests' moment."""
BEGINS_MS = NOW - NOW % 3_600_000 + 3_600_000


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, "north")


def lay_out(officer: Somebody, **changed: object) -> int:
    """Three points, a route in exact order with times every ten minutes, a shift, and one round at its beginning."""
    for point, name in (("east", "东门"), ("shed", "车棚"), ("power", "配电房")):
        reader = {"gateway": "g1", "reader": "r-shed"} if point == "shed" else {}
        officer.post("/api/v1/checkpoints", {"id": point, "area": "gr1", "name": name, **reader}, status=201)
    officer.put("/api/v1/patrol-legs", {"from_point": "east", "to_point": "shed", "least_s": 240})
    visits = [
        {"point": point, "after_min": after, "buffer_min": 3, "extended_min": 5}
        for point, after in (("east", 0), ("shed", 10), ("power", 20))
    ]
    route = {"id": "night-1", "area": "gr1", "name": "北片线", "order": "timed", "visits": visits}
    officer.post("/api/v1/patrol-routes", route, status=201)
    shift = {"id": "late", "area": "gr1", "name": "晚班", "starts_min": START_MIN, "lasts_min": 480}
    officer.post("/api/v1/patrol-shifts", shift, status=201)
    plan = {"route": "night-1", "shift": "late", "begins_min": [0], "lasts_min": 60, **changed}
    number: int = officer.post("/api/v1/patrol-plans", plan, status=201)["number"]
    return number


def read(station: Served, *said: tuple[str, int]) -> None:
    """Somebody checks in at points, minutes after the round began; the clock is as it is."""
    now = station.station.clock()
    new = [
        Said(
            id=f"c-{point}-{minutes}",
            source=Source.NFC_PHONE,
            tag=None,
            at_ms=BEGINS_MS + minutes * MINUTE_MS,
            device_ms=None,
            point=point,
        )
        for point, minutes in said
    ]
    with station.station.database.write() as session:
        station.station.checkins.add(session, new, now)


def look(station: Served, hands: Hands, *, minutes: int) -> None:
    """So many minutes after the round began, the clock looks."""
    hands.now_ms = BEGINS_MS + minutes * MINUTE_MS + 1
    station.station.patrols.look(station.station.database, hands.now_ms)


def today(officer: Somebody) -> dict[str, Any]:
    (found,) = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
    detail: dict[str, Any] = officer.get(f"/api/v1/patrol-rounds/{found['number']}")
    return detail


def outcomes(detail: dict[str, Any]) -> list[str]:
    return [visit["outcome"] for visit in detail["visits"]]


def moments(minutes: float) -> datetime:
    return datetime.fromtimestamp(BEGINS_MS / 1_000 + minutes * 60, UTC)


def test_the_tests_moment_is_before_the_round() -> None:
    assert MOMENT.isoformat() == "2027-01-15T08:00:00+00:00"


@pytest.mark.proves("P3", "P2")
def test_a_missed_visit_is_raised_when_it_is_due_and_late_data_judge_that_round_again(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    told: list[Verdict] = []
    patrols = station.station.patrols
    patrols._consequences = (*patrols._consequences, lambda _, verdicts: told.extend(verdicts))
    lay_out(officer)
    hands.now_ms = BEGINS_MS + MINUTE_MS
    read(station, ("east", 1))
    look(station, hands, minutes=17)
    assert officer.get("/api/v1/patrol-exceptions")["items"] == []
    look(station, hands, minutes=18)
    (missed,) = officer.get("/api/v1/patrol-exceptions")["items"]
    assert (missed["point"], missed["outcome"]) == ("shed", "missed")
    assert datetime.fromisoformat(missed["due"]) == moments(18)
    assert datetime.fromisoformat(missed["detected"]) > moments(18)
    assert today(officer)["judged"] is None

    read(station, ("power", 24))
    look(station, hands, minutes=28)
    detail = today(officer)
    assert (outcomes(detail), detail["evaluations"]) == (["on_time", "missed", "late"], 1)
    for _ in range(3):
        look(station, hands, minutes=40)
    assert today(officer)["evaluations"] == 1  # once, however often somebody looks

    read(station, ("shed", 9), ("elsewhere", 9))
    look(station, hands, minutes=90)
    detail = today(officer)
    assert (outcomes(detail), detail["evaluations"]) == (["on_time", "on_time", "late"], 2)
    (change,) = detail["rescored"]
    assert (change["point"], change["before"], change["after"]) == ("shed", "missed", "on_time")
    assert [one["outcome"] for one in officer.get("/api/v1/patrol-exceptions")["items"]] == ["late"]
    read(station, ("shed", 60))  # outside every band: nothing to judge
    look(station, hands, minutes=120)
    assert today(officer)["evaluations"] == 2
    assert [one.before is None for one in told] == [True, False]
    assert [one.outcome for one in told[1].evaluation.visits] == [Outcome.ON_TIME, Outcome.ON_TIME, Outcome.LATE]
    assert station.station.patrols.judged == 2


@only_sqlite
@pytest.mark.proves("P3")
def test_a_walk_that_nobody_can_do_is_flagged_and_a_reader_that_was_down_excuses(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    lay_out(officer)
    with station.station.database.write() as session:
        down = Fault(code="line_lost", gateway="g1", about="r-shed", first_ms=BEGINS_MS, last_ms=BEGINS_MS)
        down.cleared_ms = BEGINS_MS + 30 * MINUTE_MS
        session.add(down)
    hands.now_ms = BEGINS_MS + 25 * MINUTE_MS
    read(station, ("east", 20), ("power", 20))
    look(station, hands, minutes=28)
    detail = today(officer)
    assert outcomes(detail) == ["missed", "excused", "on_time"]
    excused = detail["visits"][1]
    assert (excused["excuse"], excused["evidence"]) == ("reader", "fault:1")


@only_sqlite
@pytest.mark.proves("P2")
def test_rounds_unfold_ahead_and_follow_plans_holidays_and_overrides(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    number = lay_out(officer)
    days = [one["day"] for one in officer.get("/api/v1/patrol-rounds")["items"]]
    assert days == ["2027-01-17", "2027-01-16", "2027-01-15"]
    hands.pass_(days=1)
    station.station.patrols.unfold_next(station.station.database, hands.now_ms)
    station.station.patrols.unfold_next(station.station.database, hands.now_ms)
    assert len(officer.get("/api/v1/patrol-rounds")["items"]) == 4
    nothing = {
        "route": "night-1", "shift": "late", "begins_min": [], "lasts_min": 60, "temporary": True,
        "from_day": "2027-01-17", "to_day": "2027-01-17",
    }  # fmt: skip
    officer.post("/api/v1/patrol-plans", nothing, status=201)
    assert officer.get("/api/v1/patrol-rounds", day="2027-01-17")["items"] == []
    officer.post(f"/api/v1/patrol-plans/{number}/end")
    left = officer.get("/api/v1/patrol-rounds")["items"]
    assert [one["day"] for one in left] == ["2027-01-15"]  # it had begun
    officer.put("/api/v1/patrol-days/2027-10-01", {"counts_as": 0, "name": "国庆节"})
    assert [one["name"] for one in officer.get("/api/v1/patrol-days", year=2027)["items"]] == ["国庆节"]


@only_sqlite
@pytest.mark.proves("P2")
def test_what_cannot_be_walked_is_refused_and_every_reason_is_named(officer: Somebody) -> None:
    lay_out(officer)
    shift = {"id": "dawn", "area": "gr1", "name": "早班", "starts_min": 0, "lasts_min": 90}
    overlap = officer.post("/api/v1/patrol-shifts", shift, status=422)
    assert [one["zh"] for one in overlap["troubles"]] == ["与班次 late 重叠"]  # which passes midnight
    visits = [{"point": "east", "after_min": 0, "buffer_min": 0}, {"point": "shed", "after_min": 2, "buffer_min": 0}]
    quick = {"id": "quick", "area": "gr1", "name": "快线", "order": "timed", "visits": visits}
    officer.post("/api/v1/patrol-routes", quick, status=201)
    plan = {"route": "quick", "shift": "late", "begins_min": [0, 30, 470], "lasts_min": 60}
    found = officer.post("/api/v1/patrol-plans", plan, status=422)
    assert [one["where"] for one in found["troubles"]] == ["begins_min", "lasts_min", "shed"]
    again = {"route": "night-1", "shift": "late", "begins_min": [30], "lasts_min": 60}
    assert "2027-01-15" in officer.post("/api/v1/patrol-plans", again, status=422)["troubles"][0]["zh"]
    nowhere = {**quick, "id": "nowhere", "visits": [{"point": "moon", "after_min": 0}, {"point": "mars"}]}
    assert len(officer.post("/api/v1/patrol-routes", nowhere, status=422)["troubles"]) == 3
    officer.post("/api/v1/checkpoints/east/end", status=409)
    officer.post("/api/v1/patrol-routes/night-1/end", status=409)
    officer.post("/api/v1/patrol-shifts/late/end", status=409)
    officer.post("/api/v1/patrol-routes", quick, status=409)
    taken = {"id": "shed-2", "area": "gr1", "name": "x", "gateway": "g1", "reader": "r-shed"}
    assert officer.post("/api/v1/checkpoints", taken, status=422)["troubles"][0]["where"] == "reader"


@only_sqlite
def test_a_company_sees_the_rounds_of_its_own_guards_alone(station: Served, officer: Somebody) -> None:
    with station.station.database.write() as session:
        session.add_all(Company(station="north", id=id_, name=id_, from_ms=1) for id_ in ("dongan", "other"))
        session.flush()
    lay_out(officer, company="dongan")
    mine = somebody(station, "boss", Role.GUARD_COMPANY, "dongan")
    theirs = somebody(station, "rival", Role.GUARD_COMPANY, "other")
    rounds = mine.get("/api/v1/patrol-rounds")["items"]
    assert len(rounds) == 3
    assert mine.get(f"/api/v1/patrol-rounds/{rounds[0]['number']}")["guards"] == []
    assert len(mine.get("/api/v1/patrol-plans")["items"]) == 1
    assert theirs.get("/api/v1/patrol-rounds")["items"] == []
    assert theirs.get("/api/v1/patrol-plans")["items"] == []
    theirs.get(f"/api/v1/patrol-rounds/{rounds[0]['number']}", status=404)
    mine.post("/api/v1/patrol-plans", {"route": "night-1"}, status=403)


@pytest.mark.proves("P3", "P7")
def test_what_a_guard_missed_is_on_his_ledger_and_what_an_order_kept_him_from_is_not(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    add_companies(station, "beiguan")
    lay_out(officer, company="beiguan")
    boss = somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")
    new = {"service_number": "B001", "name": "王一", "company": "beiguan"}
    guard = boss.post("/api/v1/guards", new, status=201)["id"]
    listed = {"area": "gr1", "shift": "晚班", "begins": moments(0).isoformat(), "ends": moments(480).isoformat()}
    boss.post("/api/v1/patrol-duties", {**listed, "guards": [guard]}, status=201)
    times = {"begins": moments(15).isoformat(), "ends": moments(28).isoformat()}
    order = {"area": "gr1", "cause": "weather", "words": "雷暴", **times}
    leader = somebody(station, "zhou", Role.DUTY_LEADER, "north")
    hands.now_ms = BEGINS_MS + 14 * MINUTE_MS
    leader.post("/api/v1/patrol-suspensions", order, status=201)
    read(station, ("shed", 12))  # nobody's card: on a round with a list it does not count
    look(station, hands, minutes=28)
    detail = today(officer)
    assert outcomes(detail) == ["missed", "missed", "excused"]
    assert detail["guards"] == [guard]
    assert boss.get(f"/api/v1/patrol-rounds/{detail['number']}")["guards"] == [guard]
    booked = [(one["rule"], one["points_tenths"]) for one in boss.get("/api/v1/points/entries")["items"]]
    assert [rule for rule, _ in booked].count("P04") == 2
