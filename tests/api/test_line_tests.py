"""The silent key of a phone: what everybody's phone has, what police alone learn, and no trace anywhere else (N4)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.rights.rules import Role
from api.settings import StationSettings
from broker.kinds import Kind
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import HOUSEHOLDS, STATION
from tests.api.people import MOMENT, Hands, Somebody, somebody
from tests.api.test_exits import _Known, paths_of, walk

PATH = "/api/v1/line-tests"


@pytest.fixture
def settings(settings: StationSettings) -> StationSettings:
    """The first household agreed to a silent key, the others did not."""
    first, *others = settings.households
    return settings.model_copy(update={"households": (first.model_copy(update={"duress": True}), *others)})


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


def hold(who: Somebody, key: str = "held-the-key-1", **body: Any) -> tuple[int, str]:
    answer = who.served.client.post(
        PATH, json={"held": True} | body, headers={"Authorization": f"Bearer token-of-{who.id}", "Idempotency-Key": key}
    )
    return answer.status_code, answer.text


@pytest.mark.proves("N4", "A3", "N3")
def test_a_held_key_of_who_agreed_is_one_silent_alarm_and_every_answer_is_the_same(
    station: Served,
) -> None:
    officer = somebody(station, "xu", Role.DUTY_OFFICER, STATION)
    agreed = somebody(station, "hu", Role.HOUSEHOLD, HOUSEHOLDS[0])
    others = somebody(station, "lin", Role.HOUSEHOLD, HOUSEHOLDS[1])
    worker = somebody(station, "ge", Role.GRID_WORKER, "r1")
    plain = hold(agreed, "tapped-only-1", held=False)
    assert officer.get("/api/v1/alarms")["items"] == []
    assert hold(agreed) == hold(agreed) == hold(others) == plain
    assert plain[0] == 200
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert (alarm["kind"], alarm["place"], alarm["source"], alarm["ring"], alarm["do_not_call"], alarm["late"]) == (
        Kind.DURESS, HOUSEHOLDS[0], "phone", "silent", True, False,
    )  # fmt: skip
    assert station.rows("SELECT count(*) FROM outgoing WHERE command_to IS NOT NULL") == [(0,)]
    for who in (agreed, others, worker):
        assert who.get("/api/v1/alarms")["items"] == []
        who.get(f"/api/v1/alarms/{alarm['id']}", status=404)
    hold(agreed, "held-the-key-2", at=MOMENT.isoformat(), now=(MOMENT + timedelta(minutes=50)).isoformat())
    late = officer.get("/api/v1/alarms", open="true")["items"][0]
    assert (late["late"], late["age_ms"]) == (True, 50 * 60_000)  # it had no network, and police read that
    loud = agreed.served.client.post(
        "/api/v1/alarms", json={"kind": "panic", "whereabouts": "home"},
        headers={"Authorization": f"Bearer token-of-{agreed.id}", "Idempotency-Key": "a-loud-press"},
    ).json()  # fmt: skip
    assert [one["id"] for one in agreed.get("/api/v1/alarms")["items"]] == [loud["id"]]  # it joins nothing silent


@only_sqlite
@pytest.mark.timeout(240)
@pytest.mark.proves("N4")
def test_his_own_account_and_his_neighbours_can_tell_no_difference_at_any_exit(station: Served) -> None:
    officer = somebody(station, "xu", Role.DUTY_OFFICER, STATION)
    agreed = somebody(station, "hu", Role.HOUSEHOLD, HOUSEHOLDS[0])
    at_home = somebody(station, "relative", Role.HOUSEHOLD, HOUSEHOLDS[0])
    others = somebody(station, "lin", Role.HOUSEHOLD, HOUSEHOLDS[1])
    values = {
        "group": "gr1", "area": "c1", "place": HOUSEHOLDS[0], "unit": "u1", "gateway": "g1", "number": "1", "id": "x",
        "day": MOMENT.date().isoformat(), "reason": "test", "grid": "r1", "account": "hu", "over": "true",
        "begins": MOMENT.isoformat(), "ends": MOMENT.isoformat(), "alarm": "01a20124-9d1e-7dd3-acdc-000000000000",
    }  # fmt: skip
    # an export counts who looked, the walk itself; what it says of alarms is asked below
    paths = [path for path in paths_of(station, _Known(values)) if "/export" not in path]
    station.station.ladder_clock.stop()
    station.station.rounds.stop()
    hold(agreed, "tapped-only-1", held=False)  # as a token is used at all
    before = [walk(who, paths) for who in (agreed, at_home, others)]
    hold(agreed)
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    officer.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
    after = [walk(who, paths) for who in (agreed, at_home, others)]
    assert [one.differs(other) for one, other in zip(before, after, strict=True)] == [{}, {}, {}]
    assert at_home.get(f"/api/v1/places/{HOUSEHOLDS[0]}/export")["alarms"] == []
    assert walk(officer, paths).differs(before[0]), "the walk sees nothing at all"


@only_sqlite
def test_nobody_holds_it_for_another_place_and_whoever_is_no_household_has_none(station: Served) -> None:
    others = somebody(station, "lin", Role.HOUSEHOLD, HOUSEHOLDS[1])
    assert hold(others, place=HOUSEHOLDS[0])[0] == 422
    assert hold(somebody(station, "gu", Role.GUARD, "beiguan"))[0] == 403
    assert station.rows("SELECT count(*) FROM alarm") == [(0,)]
