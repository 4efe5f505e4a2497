"""Red areas that nobody passed for too long cost the company on duty there, unless it was not its doing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.checkins.rules import Source
from api.checkins.service import Said
from api.ingest.models import Fault
from api.points.recomputing import as_text, recompute
from api.rights.rules import Role
from api.tracks.uncovered import SETTLE_MS
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody

pytestmark = only_sqlite
MINUTE = 60_000
LASTS = 240


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_LEADER, STATION)


def red(officer: Somebody) -> None:
    headers = {"Authorization": f"Bearer token-of-{officer.id}", "If-Match": '"0"'}
    body = {"colour": "red", "reason": "一周三起入室"}
    answer = officer.served.client.put("/api/v1/areas/gr1/colour", json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def on_duty(officer: Somebody) -> str:
    """A guard of a company, at the two checkpoints of an area for four hours."""
    for point in ("east", "west"):
        reader = {"gateway": "g1", "reader": f"r-{point}"}
        officer.post("/api/v1/checkpoints", {"id": point, "area": "gr1", "name": point, **reader}, status=201)
    new = {"service_number": "B001", "name": "王一", "company": "beiguan"}
    guard: str = officer.post("/api/v1/guards", new, status=201)["id"]
    duty = {"area": "gr1", "shift": "晚班", "begins": MOMENT.isoformat(), "guards": [guard]}
    ends = (MOMENT + timedelta(minutes=LASTS)).isoformat()
    officer.post("/api/v1/patrol-duties", duty | {"ends": ends}, status=201)
    return guard


def read(station: Served, guard: str, *minutes: int) -> None:
    new = [
        Said(id=f"c-{minute}", source=Source.WAND, tag=None, guard=guard, point="east",
             at_ms=NOW + minute * MINUTE, device_ms=None)
        for minute in minutes
    ]  # fmt: skip
    with station.station.database.write() as session:
        station.station.checkins.add(session, new, station.station.clock())


def look(station: Served, hands: Hands, *, minutes: int = LASTS) -> None:
    hands.now_ms = max(hands.now_ms, NOW + minutes * MINUTE + SETTLE_MS)
    station.station.uncovered.look(station.station.database)


def booked(officer: Somebody) -> list[tuple[Any, ...]]:
    items = officer.get("/api/v1/points/entries")["items"]
    return [(one["rule"], one["guard"], one["company"], one["points_tenths"]) for one in reversed(items)]


P09 = ("P09", None, "beiguan", -10)


@pytest.mark.proves("P7", "P2")
def test_a_red_area_uncovered_for_too_long_costs_the_company_on_duty_and_late_data_take_it_back(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    red(officer)
    guard = on_duty(officer)
    read(station, guard, 20, 100, 195)  # 80 minutes and 45 are within 1.5 of an hour; 95 are not
    hands.now_ms = NOW + (LASTS + 59) * MINUTE
    station.station.uncovered.look(station.station.database)
    assert booked(officer) == []  # a wand may have more to say
    look(station, hands)
    look(station, hands)
    assert booked(officer) == [P09]
    (entry,) = officer.get("/api/v1/points/entries")["items"]
    name = station.station.register.area("gr1").name or "gr1"  # type: ignore[union-attr] # it is there
    assert entry["reason"]["zh"] == f"{name}巡逻间隔超过规定1.5倍"
    opened = officer.get(f"/api/v1/points/entries/{entry['id']}")
    assert opened["evidence"][0].startswith("duty:")
    assert opened["evidence"][1:] == ["c-100", "c-195"]
    read(station, guard, 150)
    look(station, hands)
    assert booked(officer) == [P09, ("A03", None, "beiguan", 10)]
    found = recompute(station.station.settings)
    assert found.agrees, as_text(found)


@pytest.mark.proves("P7")
def test_outside_of_a_duty_and_in_an_area_that_is_not_red_nobody_owes_a_pass(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    guard = on_duty(officer)
    look(station, hands, minutes=3 * LASTS)
    assert booked(officer) == []
    assert guard
    assert station.rows("SELECT key FROM points_fact") == []


@pytest.mark.proves("P7")
@pytest.mark.parametrize("cause", ["weather", "gateway"])
def test_what_was_not_the_companys_doing_costs_it_nothing(
    station: Served, officer: Somebody, hands: Hands, cause: str
) -> None:
    red(officer)
    on_duty(officer)
    if cause == "weather":
        times = {"begins": (MOMENT + timedelta(minutes=60)).isoformat(),
                 "ends": (MOMENT + timedelta(minutes=90)).isoformat()}  # fmt: skip
        officer.post("/api/v1/patrol-suspensions", {"area": "gr1", "cause": "weather", "words": "台风", **times},
                     status=201)  # fmt: skip
    else:
        fault = Fault(code="gateway_offline", gateway="g1", about="g1", first_ms=NOW + 30 * MINUTE,
                      last_ms=NOW + 30 * MINUTE, began_ms=NOW + 30 * MINUTE)  # fmt: skip
        with station.station.database.write() as session:
            session.add(fault)
    look(station, hands)
    assert booked(officer) == []
    ((told,),) = station.rows("SELECT happenings FROM points_fact WHERE newest")
    assert told.startswith('[["excused"')
