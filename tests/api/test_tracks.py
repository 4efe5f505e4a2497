"""Tracks and reverse look-up over HTTP: the three answers, a reason in the chain, nobody outside of his shift."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from api.checkins.rules import Source
from api.checkins.service import Said
from api.patrols.models import Checkpoint, PatrolLeg, PatrolRoute, PatrolRouteVisit
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, somebody

MINUTE = 60_000
POINTS = ("cp1", "cp2", "cp3")
REASON = "北公(刑)立字〔2027〕7号"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    """Three checkpoints in a row on a route in exact order, three minutes apart."""
    with serve(clock=hands, wait=False) as one:
        with one.station.database.write() as session:
            for point in POINTS:
                session.add(
                    Checkpoint(
                        id=point,
                        station=STATION,
                        area=COMMUNITY,
                        place="h01" if point == "cp3" else None,
                        name=f"{point}号点",
                        from_ms=1,
                        made_by="li",
                    )
                )
            session.add(
                PatrolRoute(
                    id="r1", station=STATION, area=COMMUNITY, name="一线", order="ordered", from_ms=1, made_by="li"
                )
            )
            session.flush()
            for nth, point in enumerate(POINTS, start=1):
                session.add(
                    PatrolRouteVisit(
                        route="r1", nth=nth, point=point, buffer_min=5, extended_min=5, optional=False, dwell_min=0
                    )
                )
            for one_, other in (("cp1", "cp2"), ("cp2", "cp3")):
                session.add(PatrolLeg(from_point=one_, to_point=other, least_s=180, made_by="li", made_ms=1))
            session.flush()
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, STATION)


def at(minutes: float) -> str:
    return (MOMENT + timedelta(minutes=minutes)).isoformat()


def on_duty(officer: Somebody, *names: str, route: str | None = "r1") -> list[str]:
    """Guards on a duty list from ten minutes on, for four hours."""
    ids = [
        officer.post(
            "/api/v1/guards",
            {"service_number": f"B{number}", "name": name, "company": None, "force": "police", "area": COMMUNITY},
            status=201,
        )["id"]
        for number, name in enumerate(names)
    ]
    duty = {"area": COMMUNITY, "shift": "夜班", "begins": at(10), "ends": at(250), "guards": ids, "route": route}
    officer.post("/api/v1/patrol-duties", duty, status=201)
    return ids


def checked_in(station: Served, guard: str, point: str, minutes: float, source: Source = Source.WAND) -> str:
    at_ms = NOW + round(minutes * MINUTE)
    id_ = f"{guard[-4:]}-{point}-{minutes}"
    said = Said(id=id_, source=source, tag=None, at_ms=at_ms, device_ms=at_ms, guard=guard, point=point)
    with station.station.database.write() as session:
        station.station.checkins.add(session, [said], at_ms)
    return id_


def asked(point: str, begins: float, ends: float, **more: Any) -> dict[str, Any]:
    return {"point": point, "begins": at(begins), "ends": at(ends), "reason": REASON} | more


@pytest.mark.proves("P4")
def test_a_look_up_gives_three_answers_with_evidence_and_stands_in_the_audit_chain_with_its_reason(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    was, must, could, gone, idle = on_duty(officer, "王一", "赵二", "钱三", "孙四", "李五")
    hands.pass_(hours=3)
    there = checked_in(station, was, "cp2", 65)
    both = [checked_in(station, must, "cp1", 61), checked_in(station, must, "cp3", 69, Source.QR)]
    checked_in(station, could, "cp1", 58)
    checked_in(station, could, "cp1", 70)
    checked_in(station, gone, "cp3", 59)
    checked_in(station, gone, "cp3", 64)
    checked_in(station, gone, "cp3", 69)
    found = officer.post("/api/v1/track-look-ups", asked("cp2", 60, 70))
    said = {one["guard"]: one for one in found["findings"]}
    assert {guard: one["answer"] for guard, one in said.items()} == {
        was: "was_there",
        must: "must_have_passed",
        could: "could_have_been",
        idle: "cannot_say",
    }
    assert found["findings"][0]["guard"] == was
    assert [one["id"] for one in said[was]["evidence"]] == [there]
    assert [one["id"] for one in said[must]["evidence"]] == both
    assert (said[must]["weight"], said[must]["route"], said[must]["name"]) == (40, "r1", "赵二")
    assert found["guards_on_duty"] == 5
    logged = station.rows("SELECT about FROM audit WHERE action = 'track.look_up'")
    assert [row[0] for row in logged] == ["checkpoint:cp2"]
    officer.post("/api/v1/track-look-ups", asked("cp2", 60, 70, reason=" "), status=422)
    assert officer.post("/api/v1/track-look-ups", asked("cp2", 70, 60), status=422)["type"] == "bad_window"
    officer.post("/api/v1/track-look-ups", asked("cp9", 60, 70), status=404)


@only_sqlite
@pytest.mark.proves("P4")
def test_neighbours_far_from_the_window_are_evidence_all_the_same(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    (guard,) = on_duty(officer, "王一")
    hands.pass_(hours=5)
    far = [checked_in(station, guard, "cp1", 20), checked_in(station, guard, "cp3", 240)]
    (found,) = officer.post("/api/v1/track-look-ups", asked("cp2", 120, 125))["findings"]
    assert (found["answer"], [one["id"] for one in found["evidence"]]) == ("could_have_been", far)


@pytest.mark.proves("P4")
def test_the_sheet_for_the_case_file_has_the_reason_the_answers_and_nothing_that_runs(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    (guard,) = on_duty(officer, "<b>王一</b>")
    hands.pass_(hours=3)
    checked_in(station, guard, "cp2", 65)
    page = officer.post("/api/v1/track-look-ups/sheet", asked("cp2", 60, 70)).text
    assert REASON in page
    assert "确曾到位" in page
    assert "&lt;b&gt;王一" in page
    assert "<script" not in page


@pytest.mark.proves("P4")
def test_a_track_is_of_shifts_only_and_asks_for_a_reason(station: Served, officer: Somebody, hands: Hands) -> None:
    (guard,) = on_duty(officer, "王一")
    hands.pass_(hours=5)
    checked_in(station, guard, "cp1", 5)
    checked_in(station, guard, "cp1", 15)
    checked_in(station, guard, "cp2", 25)
    checked_in(station, guard, "cp2", 260)
    window: dict[str, Any] = {"begins": at(0), "ends": at(300)}
    officer.get(f"/api/v1/guards/{guard}/track", status=422, **window)
    (shift,) = officer.get(f"/api/v1/guards/{guard}/track", reason=REASON, **window)["shifts"]
    assert [one["point"] for one in shift["steps"]] == ["cp1", "cp2"]
    assert shift["steps"][0]["weight"] == Source.WAND.weight
    found = officer.post("/api/v1/track-look-ups", asked("cp2", 240, 280))
    assert found["outside_shifts"] == 1
    assert all(one["answer"] != "was_there" for one in found["findings"])


@pytest.mark.proves("P10")
def test_the_nearest_guards_are_named_by_walking_time_from_their_last_check_in(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    far, near, _nowhere = on_duty(officer, "王一", "赵二", "钱三")
    hands.pass_(minutes=60)
    checked_in(station, far, "cp1", 59)
    checked_in(station, near, "cp2", 58)
    found = officer.get("/api/v1/places/h01/nearest-guards")
    assert [(one["guard"], one["soonest_s"], one["latest_s"]) for one in found["items"]] == [
        (near, 180, 300),
        (far, 360, 420),
    ]
    assert officer.get("/api/v1/places/h02/nearest-guards", status=422)["type"] == "nowhere_known"


@pytest.mark.proves("P4")
def test_coverage_counts_what_was_longer_than_the_colour_allowed(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    (guard,) = on_duty(officer, "王一")
    hands.pass_(hours=30)
    checked_in(station, guard, "cp1", 60)
    found = officer.get(f"/api/v1/areas/{COMMUNITY}/coverage", begins=at(0), ends=at(20 * 60))
    (gap,) = found["gaps"]
    assert (gap["colour"], gap["limit_min"], gap["over_min"]) == ("blue", 480, 660.0)
    assert (found["passes"], found["compliance"]) == (1, 0.45)


@only_sqlite
def test_whoever_is_no_police_learns_nothing_of_tracks(station: Served, officer: Somebody) -> None:
    (guard,) = on_duty(officer, "王一")
    window = {"begins": at(0), "ends": at(300), "reason": REASON}
    for role, scope in ((Role.GUARD, "co1"), (Role.GUARD_COMPANY, "co1"), (Role.HOUSEHOLD, "h01")):
        who = somebody(station, f"is-{role.value.replace('_', '-')}", role, scope)
        who.get(f"/api/v1/guards/{guard}/track", status=403, **window)
        who.post("/api/v1/track-look-ups", asked("cp1", 0, 10), status=403)
        who.get("/api/v1/places/h01/nearest-guards", status=403)
