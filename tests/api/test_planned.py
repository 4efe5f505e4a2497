"""Changes of the register planned ahead: tried when they are planned, made at their time, refused with a reason."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.faults.repository import present
from api.register.agenda import REFUSED
from api.register.registrar import AreaFields
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.people import MOMENT, Hands, Somebody, somebody

PATH = "/api/v1/register/planned"
LI = "日后的李家"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def clerk(station: Served) -> Somebody:
    return somebody(station, "clerk", Role.COMMUNITY, "c1")


def on(**ahead: float) -> str:
    return (MOMENT + timedelta(**ahead)).isoformat()


def moves(step: str, place: str = "h01", *, at: str, **more: Any) -> dict[str, Any]:
    return {"at": at, "place": place, "step": step, **more}


def plan(who: Somebody, about: str, body: object, *, status: int = 200, dry_run: bool = False) -> Any:
    return who.ask("POST", f"{PATH}/{about}", status=status, json=body, params={"dry_run": dry_run})


def run(station: Served, hands: Hands, **later: float) -> None:
    hands.pass_(**later)
    station.station.agenda.run(station.station.database, hands.now_ms)


def area(station: Served, **becomes: Any) -> dict[str, Any]:
    now = station.station.register.area("r1")
    assert now is not None
    return {"name": now.name, "parent": now.parent, "police_parent": now.police_parent} | becomes


def fault(station: Served, number: int) -> Any:
    with station.station.database.read() as session:
        return present(session, REFUSED, "", str(number))


@pytest.mark.proves("G1")
def test_whoever_moves_in_next_monday_lives_there_from_then_on_and_not_before(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    register = station.station.register
    before = register.place("h01")
    tried = plan(clerk, "occupancies", moves("move_in", at=on(days=3), name=LI), dry_run=True)
    assert (tried["planned"], clerk.get(PATH)["items"]) == (None, [])
    made = plan(clerk, "occupancies", moves("move_in", at=on(days=3), name=LI))["planned"]
    assert (made["state"], made["step"], made["by"], LI in str(made)) == ("planned", "move_in", "clerk", False)
    run(station, hands, days=2)
    assert register.place("h01") == before
    run(station, hands, days=1)
    now = register.place("h01")
    assert before is not None
    assert now is not None
    assert now.occupant != before.occupant
    assert clerk.get("/api/v1/register/places/h01/people", reason="看看谁住")["name"] == LI
    (done,) = clerk.get(PATH, state="done")["items"]
    assert (done["number"], done["ended_by"]) == (made["number"], None)
    assert station.rows("SELECT body FROM planned_change") == [("",)]
    run(station, hands, days=1)
    assert register.place("h01") == now


@pytest.mark.proves("G1")
def test_an_area_is_drawn_anew_at_its_time_and_slices_go_out_then(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    drawn = [[116.0, 39.0], [116.1, 39.0], [116.1, 39.1]]
    tried = plan(clerk, "areas", {"at": on(days=1), "area": "r1", "becomes": area(station, outline=drawn)})
    assert tried["changes"] == ["outline"]
    version = station.station.register.version
    with station.station.registrar.edit("zhao") as edit:  # somebody names it anew meanwhile: that stays
        fields = edit.now.areas["r1"]
        edit.put_area(fields, _named(station, "甲网格"))
    sliced = station.station._sliced
    run(station, hands, days=1)
    now = station.station.register.area("r1")
    assert now is not None
    assert (now.name, now.outline) == ("甲网格", "[[116.0,39.0],[116.1,39.0],[116.1,39.1]]")
    assert station.station.register.version == version + 2
    assert station.station._sliced == sliced + 1


def _named(station: Served, name: str) -> Any:
    now = station.station.register.area("r1")
    assert now is not None
    return AreaFields(name=name, parent=now.parent, police_parent=now.police_parent)


@pytest.mark.proves("G1")
def test_what_is_planned_is_tried_after_what_is_planned_before_it(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    out = plan(clerk, "occupancies", moves("move_out", at=on(days=1)))["planned"]["number"]
    vacant = plan(clerk, "occupancies", moves("lend", at=on(days=2), name=LI), status=409)
    assert [one["code"] for one in vacant["faults"]] == ["vacant"]
    tried = plan(clerk, "occupancies", moves("move_in", at=on(days=2), name=LI))
    assert tried["after"] == [out]
    assert plan(clerk, "occupancies", moves("lend", at=on(hours=1), name=LI))["after"] == []
    run(station, hands, days=5)  # a station that was away makes all of them, in their order
    states = station.rows("SELECT state FROM planned_change ORDER BY at_ms, number")
    assert states == [("done",), ("done",), ("done",)]
    assert clerk.get("/api/v1/register/places/h01/people", reason="看看谁住")["name"] == LI


@pytest.mark.proves("G1")
def test_what_is_not_possible_any_more_is_refused_with_its_reasons_and_is_somebodys_to_see_to(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    plan(clerk, "areas", {"at": on(days=1), "area": "r1", "becomes": area(station, name="甲网格")})
    plan(clerk, "occupancies", moves("move_out", "h02", at=on(days=1)))
    with station.station.registrar.edit("zhao") as edit:
        edit.put_area(edit.now.areas["r1"], _named(station, "乙网格"))
    run(station, hands, days=1)
    (refused,) = clerk.get(PATH, state="refused")["items"]
    assert [(one["code"], one["about"]) for one in refused["refused"]] == [("changed_meanwhile", "name")]
    assert refused["refused"][0]["words"]["zh"]
    number = refused["number"]
    assert fault(station, number).detail == "changed_meanwhile"
    assert any(one["code"] == REFUSED for one in clerk.get("/api/v1/faults")["faults"])
    now = station.station.register.place("h02")
    assert now is not None
    assert now.occupant is None  # one that is refused holds up no other
    cancel(clerk, number, refused["version"])
    assert fault(station, number) is None


def cancel(who: Somebody, number: int, version: int, *, status: int = 200) -> Any:
    answer = who.served.client.post(
        f"{PATH}/{number}/cancel",
        headers={"Authorization": f"Bearer token-of-{who.id}", "If-Match": f'"{version}"'},
    )
    assert answer.status_code == status, answer.text
    return answer.json()


@only_sqlite
@pytest.mark.proves("G1", "G5")
def test_whoever_may_not_do_it_then_has_planned_it_in_vain(station: Served, clerk: Somebody, hands: Hands) -> None:
    plan(clerk, "occupancies", moves("move_out", at=on(days=1)))
    with station.station.database.write() as session:
        session.connection().exec_driver_sql("UPDATE account_grant SET to_ms = 5 WHERE account = 'clerk'")
    run(station, hands, days=1)
    found = station.rows("SELECT state, refused FROM planned_change")
    assert found == [("refused", '[["planner_gone", "clerk"]]')]
    now = station.station.register.place("h01")
    assert now is not None
    assert now.occupant is not None


@only_sqlite
@pytest.mark.proves("G1", "G5")
def test_it_is_seen_and_cancelled_only_by_whoever_reaches_it_and_may_plan_it(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    far = somebody(station, "far", Role.COMMUNITY, "c9")
    centre = somebody(station, "centre", Role.COMMAND_CENTRE, "north")
    plan(far, "occupancies", moves("move_out", at=on(days=1)), status=404)
    plan(clerk, "occupancies", moves("swap", at=on(days=1), other="h77"), status=404)
    plan(clerk, "areas", {"at": on(days=1), "area": "north"}, status=404)
    number = plan(clerk, "occupancies", moves("move_out", at=on(days=1)))["planned"]["number"]
    assert far.get(PATH)["items"] == []
    assert [one["number"] for one in centre.get(PATH)["items"]] == [number]
    for who in (far, centre):
        cancel(who, number, 1, status=404)
    cancel(clerk, number, 7, status=412)
    assert cancel(clerk, number, 1)["state"] == "cancelled"
    cancel(clerk, number, 2, status=404)
    run(station, hands, days=2)
    now = station.station.register.place("h01")
    assert now is not None
    assert now.occupant is not None


@only_sqlite
@pytest.mark.proves("G1")
def test_bad_plans_are_refused_at_once(station: Served, clerk: Somebody) -> None:
    assert plan(clerk, "occupancies", moves("move_out", at=on(days=-1)), status=422)["type"] == "not_ahead"
    plan(clerk, "occupancies", moves("move_in", at=on(days=1)), status=422)
    plan(clerk, "occupancies", moves("swap", at=on(days=1)), status=422)
    same = {"at": on(days=1), "area": "r1", "becomes": area(station)}
    assert [one["code"] for one in plan(clerk, "areas", same, status=409)["faults"]] == ["nothing_changes"]
    in_use = plan(clerk, "areas", {"at": on(days=1), "area": "r1"}, status=409)
    assert [one["code"] for one in in_use["faults"]] == ["area_in_use"]
    assert station.rows("SELECT count(*) FROM planned_change") == [(0,)]


@only_sqlite
@pytest.mark.proves("G1", "G7")
def test_a_household_that_is_erased_is_erased_from_what_is_planned(
    station: Served, clerk: Somebody, hands: Hands
) -> None:
    plan(clerk, "occupancies", moves("lend", at=on(days=1), name=LI))
    with station.station.database.write() as session:
        session.connection().exec_driver_sql("UPDATE planned_change SET body = ''")
    run(station, hands, days=1)
    assert station.rows("SELECT refused FROM planned_change") == [('[["words_erased", "h01"]]',)]
