"""Drills from the announcement to the press that is part of one, readiness, and places where nobody is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.drills.rules import TEST_DUE_MS
from api.register import repository as register
from api.register.models import GroupGateway
from api.rights.rules import Role
from broker.kinds import EventType, Kind, Mark
from broker.messages import Action, Command, GatewayEvent
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served
from tests.api.peers import Gateway, eventually
from tests.api.people import MOMENT, Hands, Somebody, somebody


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        yield one


@pytest.fixture
def leader(station: Served) -> Somebody:
    return somebody(station, "he", Role.GROUP_LEADER, "gr1")


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, "north")


def drill(*, begins: datetime = MOMENT + timedelta(minutes=10), minutes: float = 30, **more: Any) -> dict[str, Any]:
    ends = begins + timedelta(minutes=minutes)
    times = {"begins": begins.isoformat(), "ends": ends.isoformat()}
    return {"group": "gr1", "units": ["u1"], "purpose": "每月演练", **times} | more


def press(gateway: Gateway, hands: Hands, **more: Any) -> GatewayEvent:
    event = gateway.event(at_ms=hands.now_ms, **more)
    gateway.send([event])
    gateway.receipted([event])
    return event


def home(station: Served) -> None:
    """Give the group its home gateway, as an officer would who re-draws it."""
    with station.station.database.write() as session:
        session.add(GroupGateway(station="north", group="gr1", gateway="g1", from_ms=1))
        session.flush()
        register.rise(session, "north", at_ms=1)
    station.station.register.refresh(station.station.database)


@pytest.mark.proves("A11", "A3")
def test_the_gateway_is_told_when_a_drill_begins_and_a_marked_press_of_a_named_unit_is_part_of_it(
    station: Served, broker: PrivateBroker, leader: Somebody, officer: Somebody, hands: Hands
) -> None:
    home(station)
    with Gateway(broker) as gateway:
        gateway.say_status()
        eventually(lambda: bool(station.get("/api/v1/gateways")["gateways"]), "known")
        number = leader.post("/api/v1/drills", drill(), status=201)["number"]
        hands.pass_(minutes=10)
        order = gateway.hear(Command, lambda one: one.action is Action.DRILL)
        assert (order.group, order.units) == ("gr1", ("u1",))
        assert order.lasts_ms == 30 * 60_000
        hands.pass_(seconds=1)
        part = press(gateway, hands, mark=Mark.DRILL)
        real = press(gateway, hands)
        other = press(gateway, hands, mark=Mark.DRILL, unit="u2", press="u2:1:1")
        silent = press(gateway, hands, kind=Kind.DURESS, press="u1:1:77")
        found = {one["id"]: one for one in officer.get("/api/v1/alarms")["items"]}
        assert (found[part.id]["mark"], found[part.id]["during_drill"]) == ("drill", False)
        for event in (real, other, silent):
            assert (found[event.id]["mark"], found[event.id]["during_drill"]) == (None, True), event.unit

        leader.post(f"/api/v1/drills/{number}/call-off")
        ended = gateway.hear(Command, lambda one: one.action is Action.DRILL and not one.lasts_ms)
        assert ended.counter > order.counter
        hands.pass_(seconds=1)
        late = press(gateway, hands, mark=Mark.DRILL, press="u1:2:1")
        assert officer.get(f"/api/v1/alarms/{late.id}")["mark"] is None
    listed = leader.get("/api/v1/drills", over=True)["items"]
    assert [(one["state"], one["told"] is not None) for one in listed] == [("called_off", True)]
    assert leader.get("/api/v1/drills")["items"] == []


def test_nobody_drills_without_a_word_or_with_anothers_units(station: Served, leader: Somebody, hands: Hands) -> None:
    del hands
    leader.post("/api/v1/drills", drill(begins=MOMENT + timedelta(minutes=9)), status=422)
    leader.post("/api/v1/drills", drill(minutes=121), status=422)
    assert leader.post("/api/v1/drills", drill(units=["u1", "u9"]), status=422)["units"] == ["u9"]
    leader.post("/api/v1/drills", drill(units=[]), status=422)
    leader.post("/api/v1/drills", drill(group="gr9"), status=404)
    elsewhere = somebody(station, "zhou", Role.GROUP_LEADER, "gr9")
    elsewhere.post("/api/v1/drills", drill(), status=404)
    household = somebody(station, "wang", Role.HOUSEHOLD, "h01")
    household.post("/api/v1/drills", drill(), status=403)
    number = leader.post("/api/v1/drills", drill(), status=201)["number"]
    elsewhere.post(f"/api/v1/drills/{number}/call-off", status=404)
    assert [one["number"] for one in household.get("/api/v1/drills")["items"]] == [number]


@pytest.mark.proves("A11")
def test_how_ready_a_group_is(station: Served, broker: PrivateBroker, leader: Somebody, hands: Hands) -> None:
    home(station)
    household = somebody(station, "wang", Role.HOUSEHOLD, "h02")
    path = "/api/v1/groups/gr1/readiness"
    assert leader.get(path)["not_reached"] == ["h01", "h02", "h03", "h04"]
    with Gateway(broker) as gateway:
        gateway.say_status()
        eventually(lambda: bool(leader.get(path)["neighbours_reached"]), "reached")
        ready = household.get(path)
        assert (ready["neighbours"], ready["neighbours_reached"], ready["station_reached"]) == (3, 1, True)
        assert ready["words"]["zh"] == "3户邻居中1户可达，派出所可达"
        assert ready["not_reached"] is ready["away"] is ready["late_with_test"] is None

        fault = gateway.event(EventType.FAULT, detail={"fault": "silent", "subject": "u1"})
        gateway.send([fault])
        gateway.receipted([fault])
        assert leader.get(path)["neighbours_reached"] == 0
        over = gateway.event(EventType.FAULT_RESTORED, detail={"fault": "silent", "subject": "u1"})
        gateway.send([over])
        gateway.receipted([over])
        assert leader.get(path)["neighbours_reached"] == 1

        assert leader.get(path)["late_with_test"] == ["h01"]
        test = gateway.event(EventType.TEST, at_ms=hands.now_ms)
        gateway.send([test])
        gateway.receipted([test])
        assert leader.get(path)["late_with_test"] == []
        hands.pass_(seconds=TEST_DUE_MS / 1_000 + 1)
        assert leader.get(path)["late_with_test"] == ["h01"]
    somebody(station, "zhou", Role.GROUP_LEADER, "gr9").get(path, status=404)


@pytest.mark.proves("A11")
def test_whoever_is_away_is_not_counted_on_until_somebody_is_back(
    station: Served, broker: PrivateBroker, leader: Somebody, hands: Hands
) -> None:
    home(station)
    household = somebody(station, "wang", Role.HOUSEHOLD, "h01")
    ready = "/api/v1/groups/gr1/readiness"
    away = "/api/v1/places/h01/absence"
    with Gateway(broker) as gateway:
        gateway.say_status()
        eventually(lambda: leader.get(ready)["neighbours_reached"] == 1, "reached")
        household.put(away, {"until": (MOMENT + timedelta(days=3)).isoformat()})
        assert leader.get(ready)["away"] == ["h01"]
        assert leader.get(ready)["neighbours_reached"] == 0
        hands.pass_(days=3)
        assert leader.get(ready)["away"] == []
        household.put(away, {})
        hands.pass_(days=30)
        assert leader.get(ready)["away"] == ["h01"]
        for _ in range(2):
            household.delete(away)
        assert leader.get(ready)["away"] == []
    household.put("/api/v1/places/h02/absence", {}, status=404)
    household.put(away, {"begins": "2027-06-01T00:00:00Z", "until": "2027-05-01T00:00:00Z"}, status=422)


@pytest.mark.proves("A10")
def test_a_household_reads_how_its_own_unit_is_and_nobody_elses(
    station: Served, broker: PrivateBroker, hands: Hands
) -> None:
    home(station)
    household = somebody(station, "wang", Role.HOUSEHOLD, "h01")
    path = "/api/v1/places/h01/condition"
    before = household.get(path)
    assert (before["group"], before["absence"]) == ("gr1", None)
    assert [(one["unit"], one["reached"], one["battery_low"]) for one in before["units"]] == [("u1", False, False)]
    with Gateway(broker) as gateway:
        gateway.say_status()
        eventually(lambda: household.get(path)["units"][0]["reached"], "reached")
        events = [
            gateway.event(EventType.FAULT, unit=unit, detail={"fault": "battery"}, at_ms=hands.now_ms)
            for unit in ("u1", "u2")
        ]
        gateway.send(events)
        gateway.receipted(events)
    household.put("/api/v1/places/h01/absence", {})
    after = household.get(path)
    assert after["absence"]["until"] is None
    (unit,) = after["units"]
    assert unit["battery_low"]
    assert [fault["words"]["zh"] for fault in unit["faults"]] == ["电池电量低"]
    household.get("/api/v1/places/h02/condition", status=404)
    somebody(station, "xu", Role.OFFICER, "north").get(path)
    somebody(station, "qi", Role.INSTALLER, "north").get(path, status=403)  # whether anybody is at home is not for him
