"""On-site inspections with form and photo, training with sign-in by tag, joint meetings, and the weekly four ones."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.rules import CheckIn, Source
from api.inspections.rules import Checks, week
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import NOW, Hands, Somebody, add_companies, somebody
from tests.api.test_guards import HOUR, at, duty, hire
from tests.api.test_pictures import SECRET, exif, jpeg, segment

FORMS, TRAININGS, MEETINGS = "/api/v1/inspections", "/api/v1/trainings", "/api/v1/meetings"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan", "dongmen")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, STATION)


@pytest.fixture
def north(station: Served) -> Somebody:
    return somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")


@pytest.fixture
def east(station: Served) -> Somebody:
    return somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")


def form(guard: str, *items: str, **more: Any) -> dict[str, Any]:
    return {"area": COMMUNITY, "guard": guard, "items": items} | more


def tag(station: Served, guard: str, point: str, at_ms: int) -> None:
    one = CheckIn(
        id=f"01a20124-9d1e-7dd3-acdc-{at_ms % 10**12:012}", guard=guard, tag="0F004EBEFC", point=point,
        source=Source.FIXED_READER, at_ms=at_ms, device_ms=at_ms, server_ms=at_ms, skew_ms=0, flags=frozenset(),
    )  # fmt: skip
    with station.station.database.write() as session:
        station.station.inspections.heard(session, [one])


@pytest.mark.proves("P6", "P7")
def test_what_an_officer_finds_on_site_is_a_form_and_reaches_the_ledger(
    station: Served, officer: Somebody, north: Somebody, east: Somebody
) -> None:
    good, bad = hire(officer, "B001", "王一", "beiguan"), hire(officer, "B002", "李四", "beiguan")
    number = duty(officer, good, hours=(0, 8))["number"]
    passed = officer.post(FORMS, form(good, point="p1"), status=201)
    assert (passed["passed"], passed["duty"], passed["company"]) == (True, number, "beiguan")
    assert officer.post(FORMS, form(bad, "asleep_or_drunk"), status=422)["type"] == "bad_form"
    assert officer.post(FORMS, form(bad, "asleep_or_drunk", witness=bad), status=422)["type"] == "bad_form"
    found = officer.post(FORMS, form(bad, "asleep_or_drunk", "dress", "gear", witness="zhao"), status=201)
    assert [one["rule"] for one in found["items"]] == ["I03", "I04", "I04"]
    assert officer.post(FORMS, form(bad, "point_damaged"), status=422)["type"] == "bad_form"
    officer.post("/api/v1/checkpoints", {"id": "p2", "area": COMMUNITY, "name": "东门"}, status=201)
    assert officer.post(FORMS, form(bad, "point_damaged", point="p2"), status=201)["items"][0]["rule"] == "F04"
    reasons = station.rows("SELECT points_tenths, reason_zh FROM points_entry WHERE rule = 'F04'")
    assert reasons == [(-40, "检查认定损坏巡查点东门")]
    north.post(FORMS, form(good), status=403)
    assert [one["name"] for one in north.get(FORMS)["items"]] == ["李四", "李四", "王一"]
    assert east.get(FORMS)["items"] == []
    east.get(f"{FORMS}/{found['number']}", status=404)
    booked = sorted(station.rows("SELECT guard, rule FROM points_entry"))
    assert booked == sorted([(good, "I01"), (bad, "I03"), (bad, "I04"), (bad, "I04"), (bad, "F04")])


@pytest.mark.proves("P6", "N16")
@only_sqlite
def test_a_photo_keeps_the_picture_and_nothing_of_where_it_was_taken(
    officer: Somebody, north: Somebody, hands: Hands
) -> None:
    guard = hire(officer, "B001", "王一", "beiguan")
    number = officer.post(FORMS, form(guard, "off_post"), status=201)["number"]
    path = f"{FORMS}/{number}/photos"
    picture = jpeg(segment(0xE1, exif()))
    kept = officer.ask("POST", path, status=201, content=picture)
    assert officer.ask("POST", path, status=201, content=picture)["id"] == kept["id"]
    assert officer.ask("POST", path, status=415, content=b"<svg/>")["type"] == "no_photo"
    shown = north.get(f"{path}/{kept['id']}")
    assert SECRET not in shown.content
    assert shown.headers["content-disposition"].startswith("attachment")
    hands.pass_(days=2)
    assert officer.ask("POST", path, status=409, content=jpeg())["type"] == "not_now"


@pytest.mark.proves("P12", "P7")
def test_a_tag_signs_in_at_a_training_and_who_missed_it_without_leave_is_told_to_the_ledger(
    station: Served, officer: Somebody, north: Somebody, hands: Hands
) -> None:
    one, two, three, away = (hire(officer, f"B{n}", f"保安{n}", "beiguan") for n in range(4))
    officer.post(f"/api/v1/guards/{away}/leaves", {"begins": at(0), "ends": at(5)}, status=201)
    announced = {
        "area": COMMUNITY, "subject": "灭火器使用", "point": "hall", "begins": at(1), "ends": at(2),
        "expected": [one, two, three, away],
    }  # fmt: skip
    number = officer.post(TRAININGS, announced, status=201)["number"]
    path = f"{TRAININGS}/{number}"
    assert officer.post(f"{path}/sign-ins", {"guard": two}, status=409)["type"] == "not_now"
    tag(station, one, "hall", NOW + 10 * 60_000)
    tag(station, three, "elsewhere", NOW + HOUR)
    assert not any(guest["signed"] for guest in officer.get(path)["guests"])
    tag(station, one, "hall", NOW + HOUR - 60_000)
    hands.pass_(hours=1.2)
    officer.post(f"{path}/sign-ins", {"guard": two})
    officer.post(f"{path}/marks", {"guard": one, "mark": 92})
    assert officer.post(f"{path}/marks", {"guard": three, "mark": 92}, status=422)["type"] == "bad_form"
    assert officer.post(f"{path}/close", status=409)["type"] == "not_now"
    hands.pass_(hours=1)
    guests = {guest["name"]: guest for guest in officer.post(f"{path}/close")["guests"]}
    assert [guests[f"保安{n}"]["signed_by"] for n in range(4)] == ["tag", "hand", None, None]
    assert guests["保安0"]["mark"] == 92
    assert north.get(path)["guests"] == [*officer.get(path)["guests"]]
    told = station.rows("SELECT guard, points_tenths FROM points_entry")
    assert {guard: points > 0 for guard, points in told} == {one: True, two: True, three: False}


@pytest.mark.proves("P12")
def test_a_company_reads_the_minutes_and_does_its_own_tasks(officer: Somebody, north: Somebody, east: Somebody) -> None:
    minutes = {
        "area": COMMUNITY, "subject": "联席会议", "at": at(-1), "companies": ["beiguan"], "minutes": "议定错峰巡逻",
        "tasks": [
            {"company": "beiguan", "words": "补装反光背心", "due": at(24)},
            {"company": "dongmen", "words": "更换电台电池", "due": at(24)},
            {"words": "发布错峰方案", "due": at(48)},
        ],
    }  # fmt: skip
    met = officer.post(MEETINGS, minutes, status=201)
    path = f"{MEETINGS}/{met['number']}"
    assert [one["words"] for one in north.get(path)["tasks"]] == ["补装反光背心"]
    (theirs,) = east.get(path)["tasks"]
    north.post(f"{path}/tasks/{theirs['number']}/done", {"words": "已换"}, status=404)
    assert east.post(f"{path}/tasks/{theirs['number']}/done", {"words": "已换"})["tasks"][0]["done"] is not None
    assert east.post(f"{path}/tasks/{theirs['number']}/done", {"words": "已换"}, status=409)["type"] == "not_now"
    assert len(officer.get(MEETINGS)["items"][0]["tasks"]) == 3
    officer.post(MEETINGS, minutes | {"companies": ["nobody"]}, status=422)
    officer.post(MEETINGS, minutes | {"at": at(1)}, status=422)


@pytest.mark.proves("P12")
@only_sqlite
def test_the_four_ones_fill_themselves(officer: Somebody, hands: Hands) -> None:
    path = f"/api/v1/areas/{COMMUNITY}/four-ones"

    def done() -> dict[str, bool | None]:
        return {one["one"]: one["done"] for one in officer.get(path)["items"]}

    assert done() == {"check": False, "training": False, "comment": False, "meeting": False}
    guard = hire(officer, "B001", "王一", "beiguan")
    officer.post(FORMS, form(guard), status=201)
    officer.post(
        TRAININGS, {"area": COMMUNITY, "subject": "急救", "begins": at(1), "ends": at(2)}, status=201
    )  # announced is not done
    minutes = {"area": COMMUNITY, "subject": "例会", "at": at(0), "minutes": "略"}
    officer.post(MEETINGS, minutes, status=201)
    assert done() == {"check": True, "training": False, "comment": False, "meeting": True}
    hands.pass_(hours=1)
    assert done()["training"] is True
    hands.pass_(days=7)
    assert done() == {"check": False, "training": False, "comment": False, "meeting": False}


@pytest.mark.proves("P12")
@given(st.integers(1_500_000_000_000, 2_500_000_000_000))
def test_every_moment_lies_in_one_civil_week_from_monday(moment: int) -> None:
    span = week(moment, SHANGHAI)
    assert span.from_ms <= moment < span.to_ms
    begins = datetime.fromtimestamp(span.from_ms / 1_000, UTC).astimezone(SHANGHAI)
    assert (begins.weekday(), begins.hour, begins.minute) == (0, 0, 0)
    assert span.to_ms - span.from_ms == timedelta(days=7) / timedelta(milliseconds=1)


@pytest.mark.proves("P6", "P8")
def test_colours_and_grades_say_who_is_to_be_looked_at_this_month_and_inspections_fill_the_list(
    officer: Somebody, north: Somebody, hands: Hands
) -> None:
    good = hire(officer, "B001", "王一", "beiguan", area=COMMUNITY)
    bad = hire(officer, "B002", "李四", "beiguan", area=COMMUNITY)
    hire(officer, "D001", "赵二", "dongmen", area=STATION)
    away = hire(officer, "D002", "钱三", "dongmen", area=STATION)
    duty(officer, away, hours=(0, 8))
    path = f"/api/v1/areas/{COMMUNITY}/due-inspections"
    before = officer.get(path)
    assert (before["begins"], before["ends"]) == ("2026-12-31T16:00:00Z", "2027-01-31T16:00:00Z")
    assert {one["id"]: (one["by"], one["of"], one["done"]) for one in before["guards"]} == dict.fromkeys(
        (good, bad, away), ("A", 1, 0)
    )
    assert [(one["id"], one["of"], one["left"]) for one in before["companies"]] == [
        ("beiguan", 2, 2),
        ("dongmen", 2, 2),
    ]  # nobody of theirs took part yet: not the best grade
    (area,) = before["areas"]
    assert (area["id"], area["by"], area["done"]) == (COMMUNITY, "blue", 0)
    officer.post(FORMS, form(good), status=201)
    officer.post(FORMS, form(bad, "asleep_or_drunk", witness="zhao"), status=201)
    hands.pass_(hours=80)  # nobody appeals, and his six points are lost for good
    after = officer.get(path)
    assert [(one["name"], one["by"], one["of"], one["done"], one["left"]) for one in after["guards"]] == [
        ("李四", "C", 4, 1, 3), ("钱三", "A", 1, 0, 1),
    ]  # fmt: skip
    assert after["guards"][0]["overdue"] is True  # the second of four was due by the sixteenth
    everybody = officer.get(path, everybody="true", limit=2)
    assert [one["left"] for one in everybody["guards"]] == [3, 1]
    rest = officer.get(path, everybody="true", limit=2, after=everybody["next"])
    assert [(one["id"], one["left"], one["next"]) for one in rest["guards"]] == [(good, 0, None)]
    assert "dongmen" in {one["id"] for one in after["companies"]}
    assert after["areas"][0]["done"] == 2
    north.get(path, status=403)
    checks = officer.get(f"/api/v1/areas/{COMMUNITY}/four-ones")["checks"]
    assert (checks["id"], checks["done"]) == (COMMUNITY, 2)
    hands.pass_(days=20)
    assert {one["done"] for one in officer.get(path)["guards"]} == {0}  # another month


@given(of=st.integers(0, 31), done=st.integers(0, 40), long=st.integers(1, 10**10))
def test_checks_are_due_at_equal_distances_and_the_last_at_the_end(of: int, done: int, long: int) -> None:
    checks = Checks(of=of, done=done, from_ms=7, to_ms=7 + long)
    assert checks.left == max(0, of - done)
    if checks.next_ms is None:
        assert done >= of
        assert not checks.overdue(10**12)
        return
    assert 7 <= checks.next_ms <= 7 + long
    assert (checks.next_ms == 7 + long) is (done + 1 == of) or long < of
    assert checks.overdue(checks.next_ms)
    assert not checks.overdue(checks.next_ms - 1)
