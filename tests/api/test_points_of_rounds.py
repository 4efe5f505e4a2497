"""From the round to the ledger: what a guard walked is what he is scored on, and late data put it right."""

from collections.abc import Iterator

import pytest

from api.checkins.rules import Source
from api.checkins.service import Said
from api.ingest.models import Fault
from api.points.recomputing import as_text, recompute
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import Hands, Somebody, add_companies, somebody
from tests.api.test_patrols import BEGINS_MS, MINUTE_MS, lay_out, look, moments

pytestmark = only_sqlite


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, STATION)


def hired(officer: Somebody, number: str) -> str:
    body = {"service_number": number, "name": "某", "company": "beiguan"}
    id_: str = officer.post("/api/v1/guards", body, status=201)["id"]
    return id_


def on_duty(officer: Somebody, *guards: str) -> None:
    body = {"area": "gr1", "shift": "晚班", "begins": moments(-5).isoformat(), "ends": moments(480).isoformat()}
    officer.post("/api/v1/patrol-duties", body | {"guards": guards}, status=201)


def read(station: Served, guard: str, *said: tuple[str, int]) -> None:
    new = [
        Said(
            id=f"c-{guard}-{point}-{minutes}", source=Source.NFC_PHONE, tag=None, guard=guard, point=point,
            at_ms=BEGINS_MS + minutes * MINUTE_MS, device_ms=None,
        )
        for point, minutes in said
    ]  # fmt: skip
    with station.station.database.write() as session:
        station.station.checkins.add(session, new, station.station.clock())


def booked(officer: Somebody, guard: str) -> list[tuple[str, int]]:
    items = officer.get(f"/api/v1/points/entries?guard={guard}")["items"]
    return [(one["rule"], one["points_tenths"]) for one in reversed(items)]


def agrees(station: Served) -> None:
    found = recompute(station.station.settings)
    assert found.agrees, as_text(found)


@pytest.mark.proves("P7", "P3")
def test_each_guard_of_a_round_has_what_he_did_and_late_data_put_it_right(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang, sun, lone = (hired(officer, f"B00{number}") for number in range(3))
    lay_out(officer)
    on_duty(officer, wang, sun)
    hands.now_ms = BEGINS_MS + MINUTE_MS
    read(station, wang, ("east", 1), ("shed", 15))
    look(station, hands, minutes=61)
    assert booked(officer, wang) == [("P02", -5), ("P04", -20)]
    assert booked(officer, sun) == [("P04", -20)]
    assert booked(officer, lone) == []
    (round_,) = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
    visits = officer.get(f"/api/v1/patrol-rounds/{round_['number']}")["visits"]
    assert [(one["point_name"], one["weight"]) for one in visits] == [("东门", 60), ("车棚", 60), ("配电房", None)]
    reasons = [one["reason"] for one in officer.get(f"/api/v1/points/entries?guard={wang}")["items"]]
    assert {one["zh"] for one in reasons} == {"巡查点车棚迟到", "巡查点配电房漏巡"}
    assert {one["en"] for one in reasons} == {"checkpoint 车棚 was visited late", "checkpoint 配电房 was missed"}
    read(station, sun, ("power", 21))  # his phone had no network
    look(station, hands, minutes=70)
    assert booked(officer, wang) == [("P02", -5), ("P04", -20), ("A03", 20)]
    assert booked(officer, sun) == [("P04", -20), ("A03", 20)]
    agrees(station)


@pytest.mark.proves("P7")
def test_what_was_missed_while_the_reader_was_away_costs_nobody_anything(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    wang = hired(officer, "B001")
    lay_out(officer)
    on_duty(officer, wang)
    hands.now_ms = BEGINS_MS + MINUTE_MS
    with station.station.database.write() as session:
        away = Fault(code="line_lost", gateway="g1", about="r-shed", first_ms=BEGINS_MS, last_ms=BEGINS_MS)
        away.cleared_ms = BEGINS_MS + 30 * MINUTE_MS
        session.add(away)
    read(station, wang, ("east", 1), ("power", 20))
    look(station, hands, minutes=61)
    assert booked(officer, wang) == [("P01", 10)]
    agrees(station)
