"""Quieting the neighbours' sirens of one place: who may, for how long, who sees it, and what it does to an alarm."""

from typing import Any

import pytest

from api.rights.rules import Role
from broker.kinds import EventType, Kind
from broker.messages import Action, ConfigPart
from tests.api.conftest import Serve, Served
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION, Gateway, eventually
from tests.api.people import Hands, Somebody, somebody
from tests.api.test_lifecycle import taken_in
from tests.api.test_register_slices import home, text

PLACE = HOUSEHOLDS[0]
QUIET = f"/api/v1/register/places/{PLACE}/quiet"
LIST = "/api/v1/register/quietings"
WHY = "一周内第三次误报"


def order(who: Somebody, minutes: int = 60, *, status: int = 201) -> Any:
    return who.post(QUIET, {"minutes": minutes, "reason": WHY}, status=status)


def listed(who: Somebody, **query: Any) -> list[tuple[str, bool, str | None]]:
    return [(one["place"], one["ended"] is None, one["lifted_by"]) for one in who.get(LIST, **query)["items"]]


class TestOrders:
    @pytest.mark.proves("A7")
    def test_an_officer_quiets_with_a_reason_and_an_end_lifts_it_and_all_of_it_stays_to_be_seen(
        self, serve: Serve
    ) -> None:
        hands = Hands()
        with serve(clock=hands) as served:
            li = somebody(served, "of", Role.OFFICER, STATION)
            worker = somebody(served, "worker", Role.GRID_WORKER, "r1")
            far = somebody(served, "far", Role.OFFICER, "elsewhere")
            for minutes, reason in ((0, WHY), (72 * 60 + 1, WHY), (60, ""), (60, "  ")):
                li.post(QUIET, {"minutes": minutes, "reason": reason}, status=422)
            order(worker, status=403)
            order(far, status=404)
            li.post(f"{QUIET}/lift", {"reason": "已更换"}, status=404)
            first = order(li, 72 * 60)
            assert (first["reason"], first["by"], first["ended"]) == (WHY, "of", None)
            assert worker.get(f"/api/v1/register/places/{PLACE}")["quiet_until"] == first["until"]
            hands.pass_(minutes=1)
            order(li)
            hands.pass_(minutes=1)
            lifted = li.post(f"{QUIET}/lift", {"reason": "报警器已更换"})
            assert lifted["lifted_by"] == "of"
            assert worker.get(f"/api/v1/register/places/{PLACE}")["quiet_until"] is None
            order(li, 5)
            assert listed(li) == [(PLACE, True, None), (PLACE, False, "of"), (PLACE, False, "of")]
            hands.pass_(minutes=5)
            assert listed(li, place=PLACE, limit=1) == [(PLACE, False, None)]
            served.station.registrar.end_quietings(hands())
            assert listed(li, still=True) == []
            assert served.rows("SELECT to_ms = until_ms, lifted_by FROM quieting ORDER BY number DESC LIMIT 1") == [
                (True, None)
            ]
            assert listed(far) == []
            worker.get(LIST, status=403)
            audited = served.rows("SELECT action FROM audit WHERE about = ? ORDER BY seq", f"place:{PLACE}")
            assert [action for (action,) in audited] == ["quieting.order", "quieting.order", "quieting.lift",
                                                         "quieting.order"]  # fmt: skip

    @pytest.mark.proves("A7", "G7")
    def test_whoever_moves_in_begins_with_sirens_that_sound(self, serve: Serve) -> None:
        with serve() as served:
            li = somebody(served, "of", Role.OFFICER, STATION)
            order(li)
            version = li.get(f"/api/v1/register/places/{PLACE}")["version"]
            with served.station.registrar.edit("li") as edit:
                edit.move_in(PLACE, "新住户", if_match=f'"{version}"')
            assert li.get(f"/api/v1/register/places/{PLACE}")["quiet_until"] is None


class TestAlarms:
    @pytest.mark.proves("A7", "N4")
    def test_a_quiet_alarm_says_so_to_everybody_who_sees_it_and_nobody_sees_less(
        self, served: Served, gateway: Gateway
    ) -> None:
        li = somebody(served, "of", Role.OFFICER, STATION)
        office = somebody(served, "office", Role.COMMUNITY, COMMUNITY)
        neighbour = somebody(served, "next", Role.HOUSEHOLD, HOUSEHOLDS[1])
        taken_in(gateway, quiet := gateway.event(EventType.PRESS, kind=Kind.PANIC, detail={"quiet": True}))
        taken_in(gateway, loud := gateway.event(EventType.PRESS, kind=Kind.PANIC, place=HOUSEHOLDS[2], door=103))
        for who in (li, office, neighbour):
            found = {one["id"]: one for one in who.get("/api/v1/alarms")["items"]}
            assert (found[quiet.id]["quiet"], found[loud.id]["quiet"]) == (True, False)
        assert "邻户警笛已静音" in li.get(f"/api/v1/alarms/{quiet.id}/sheet").text

    @pytest.mark.proves("A7")
    def test_the_gateway_is_told_until_when_and_what_the_station_raises_is_ordered_without_neighbours(
        self, served: Served, gateway: Gateway
    ) -> None:
        home(served, gateway)
        gateway.say_status(register_version=1)
        eventually(
            lambda: served.rows("SELECT online FROM gateway WHERE id = ?", gateway.name) == [(True,)], "online"
        )  # fmt: skip
        li = somebody(served, "of", Role.OFFICER, STATION)
        presser = somebody(served, "home", Role.HOUSEHOLD, PLACE)
        order(li)
        ((until_ms,),) = served.rows("SELECT until_ms FROM quieting")
        part = gateway.hear(ConfigPart, lambda part: part.version == 2)
        assert {one.id: one.quiet_until_ms for one in text(part).households if one.quiet_until_ms} == {PLACE: until_ms}
        answer = served.client.post(
            "/api/v1/alarms", json={"kind": "panic", "whereabouts": "home"},
            headers={"Authorization": f"Bearer token-of-{presser.id}", "Idempotency-Key": "press-1-of-mine"},
        )  # fmt: skip
        assert (answer.status_code, answer.json()["quiet"]) == (201, True)
        assert gateway.commanded(lambda one: one.action is Action.ALERT).quiet is True
        li.post(f"{QUIET}/lift", {"reason": "报警器已更换"})
        part = gateway.hear(ConfigPart, lambda part: part.version == 3)
        assert not any(one.quiet_until_ms for one in text(part).households)
