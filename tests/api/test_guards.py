"""Guards: whose they are and were, cards, duty lists that nobody stands on twice, and what excuses a missed visit."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins.rules import Source
from api.checkins.service import Said, of_guard
from api.guards import service
from api.guards.rules import Employment, clip, employer, overlap
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody

HOUR = 3_600_000
GUARDS, DUTIES, ORDERS = "/api/v1/guards", "/api/v1/patrol-duties", "/api/v1/patrol-suspensions"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan", "dongmen")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, STATION)


@pytest.fixture
def north(station: Served) -> Somebody:
    return somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")


@pytest.fixture
def east(station: Served) -> Somebody:
    return somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")


def at(hours: float) -> str:
    return (MOMENT + timedelta(hours=hours)).isoformat()


def hire(by: Somebody, number: str, name: str, company: str | None, **more: Any) -> str:
    body = {"service_number": number, "name": name, "company": company} | more
    id_: str = by.post(GUARDS, body, status=201)["id"]
    return id_


def duty(by: Somebody, *guards: str, hours: tuple[float, float] = (1, 9), status: int = 201, **more: Any) -> Any:
    body = {"area": COMMUNITY, "shift": "夜班", "begins": at(hours[0]), "ends": at(hours[1]), "guards": guards} | more
    return by.post(DUTIES, body, status=status)


def names(answer: Any) -> list[str | None]:
    return [one["name"] for one in answer["members"] if one["begins"] < one["ends"]]


@pytest.mark.proves("P5", "G5")
def test_a_company_sees_and_changes_its_own_people_and_nobody_elses(
    officer: Somebody, north: Somebody, east: Somebody
) -> None:
    mine, theirs = hire(north, "B001", "王一", "beiguan"), hire(east, "D001", "赵二", "dongmen")
    assert [one["name"] for one in north.get(GUARDS)["items"]] == ["王一"]
    assert len(officer.get(GUARDS)["items"]) == 2
    north.get(f"{GUARDS}/{theirs}", status=404)
    north.post(f"{GUARDS}/{theirs}/leaving", status=404)
    north.post(GUARDS, {"service_number": "D9", "name": "某", "company": "dongmen"}, status=404)
    assert north.get(f"{GUARDS}/{mine}")["employments"][0]["company"] == "beiguan"
    assert officer.get(f"{GUARDS}/{mine}", status=422)["type"] == "needs_reason"
    assert officer.get(f"{GUARDS}/{mine}", reason="核对点名")["name"] == "王一"
    listed = duty(officer, mine, theirs)
    assert names(listed) == ["王一", "赵二"]
    seen = north.get(f"{DUTIES}/{listed['number']}")
    assert names(seen) == ["王一", None]
    other = seen["members"][1]
    assert (other["guard"], other["service_number"], other["company"]) == (None, None, "dongmen")
    assert "赵二" not in str(north.get(DUTIES))


@pytest.mark.proves("P5")
def test_whoever_would_be_in_two_places_at_once_is_refused_by_name(officer: Somebody, north: Somebody) -> None:
    guard = hire(north, "B001", "王一", "beiguan")
    first = duty(north, guard, hours=(1, 9))
    refused = duty(officer, guard, hours=(8, 10), status=409)
    assert (refused["type"], refused["name"], refused["duty"]) == ("overlapping_shifts", "王一", first["number"])
    assert "王一" in refused["detail"]
    assert len(officer.get(DUTIES)["items"]) == 1
    duty(officer, guard, hours=(9, 10))
    assert duty(officer, guard, hours=(20, 19), status=422)["type"] == "bad_span"
    assert duty(officer, guard, hours=(20, 50), status=422)["type"] == "bad_span"


@pytest.mark.proves("P5", "P7")
def test_the_ledger_goes_with_the_guard_and_each_day_stays_with_its_employer(
    station: Served, officer: Somebody, north: Somebody, east: Somebody, hands: Hands
) -> None:
    guard = hire(north, "B001", "王一", "beiguan")
    coming = duty(north, guard, hours=(30, 38))["number"]
    hands.pass_(days=1)
    north.post(f"{GUARDS}/{guard}/employments/end")
    assert duty(officer, guard, hours=(40, 48), status=422)["type"] == "not_employed"
    assert names(officer.get(f"{DUTIES}/{coming}")) == []
    east.post(f"{GUARDS}/{guard}/employments", {"company": "dongmen"}, status=404)
    officer.post(f"{GUARDS}/{guard}/employments", {"company": "dongmen"}, status=201)
    north.get(f"{GUARDS}/{guard}", status=404)
    assert [one["company"] for one in east.get(f"{GUARDS}/{guard}")["employments"]] == ["beiguan", "dongmen"]
    with station.station.database.read() as session:
        assert service.employer_at(session, guard, NOW + HOUR) == "beiguan"
        assert service.employer_at(session, guard, NOW + 25 * HOUR) == "dongmen"
        assert service.of_company(session, "beiguan", from_ms=NOW, to_ms=NOW + HOUR) == [guard]


@pytest.mark.proves("P1")
@only_sqlite
def test_a_lost_card_is_nobodys_and_the_next_one_is_his(station: Served, north: Somebody, hands: Hands) -> None:
    guard, other = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    card = north.post(f"{GUARDS}/{guard}/cards", {"tag": "0f:00:4e:be:fc"}, status=201)
    assert card["tag"] == "0F004EBEFC"
    for same in ("0F004EBEFC", "AA004EBEFC", "4EBEFC"):
        refused = north.post(f"{GUARDS}/{other}/cards", {"tag": same}, status=409)
        assert refused["type"] == "card_taken"
    north.post(f"{GUARDS}/{other}/cards", {"tag": "no tag"}, status=422)
    hands.pass_(hours=1)
    north.post(f"{GUARDS}/{guard}/cards/{card['number']}/end", {"how": "lost"})
    north.post(f"{GUARDS}/{guard}/cards/{card['number']}/end", {"how": "lost"}, status=409)
    north.post(f"{GUARDS}/{guard}/cards", {"tag": "3A0073B8C6"}, status=201)
    with station.station.database.read() as session:
        assert service.guard_of_card(session, "0F004EBEFC", NOW) == guard
        assert service.guard_of_card(session, "4EBEFC", NOW + HOUR - 1) == guard
        assert service.guard_of_card(session, "0F004EBEFC", NOW + HOUR) is None
        assert service.guard_of_card(session, "73B8C6", NOW + HOUR) == guard
        assert service.guard_of_card(session, "rubbish", NOW) is None


@pytest.mark.proves("P5", "P3")
def test_leave_names_the_lists_that_nobody_took_over_and_a_stand_in_takes_them(
    station: Served, north: Somebody
) -> None:
    guard, other = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    number = duty(north, guard, hours=(1, 9))["number"]
    later = duty(north, guard, hours=(30, 38))["number"]
    leaves = f"{GUARDS}/{guard}/leaves"
    covered = north.post(leaves, {"begins": at(0), "ends": at(12), "stand_in": other}, status=201)
    assert covered["uncovered"] == []
    assert names(north.get(f"{DUTIES}/{number}")) == ["李四"]
    alone = north.post(leaves, {"begins": at(24), "ends": at(48)}, status=201)
    assert alone["uncovered"] == [later]
    assert duty(north, guard, hours=(40, 44), status=409)["type"] == "on_leave"
    with station.station.database.read() as session:
        excused = service.excuses(session, guard, NOW, NOW + 6 * HOUR)
        assert [(one.cause, one.from_ms, one.to_ms) for one in excused] == [("leave", NOW, NOW + 6 * HOUR)]
    north.post(f"{leaves}/{alone['number']}/end")
    duty(north, guard, hours=(40, 44))


@pytest.mark.proves("P5")
@only_sqlite
def test_two_change_places_and_one_stands_in_only_among_people_of_ones_own(
    officer: Somebody, north: Somebody, east: Somebody
) -> None:
    one, two = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    theirs = hire(east, "D001", "赵二", "dongmen")
    police = hire(officer, "P01", "周警官", None, force="police")
    helper = hire(officer, "V01", "吴志愿", None, force="volunteer")
    first, second = (
        duty(north, one, hours=(1, 9))["number"],
        duty(officer, two, theirs, police, hours=(9, 17))["number"],
    )
    change = {"guard": one, "other_duty": second, "with_guard": two}
    assert names(north.post(f"{DUTIES}/{first}/swaps", change)) == ["李四"]
    assert "王一" in names(officer.get(f"{DUTIES}/{second}"))
    north.post(f"{DUTIES}/{second}/stand-ins", {"guard": theirs, "stand_in": two}, status=404)
    north.post(f"{DUTIES}/{second}/call-off", status=404)
    assert set(names(officer.post(f"{DUTIES}/{second}/members", {"guard": helper}))) == {
        "王一", "赵二", "周警官", "吴志愿",
    }  # fmt: skip
    assert officer.post(f"{DUTIES}/{second}/call-off")["called_off"] is not None
    assert names(officer.get(f"{DUTIES}/{second}")) == []
    assert officer.post(f"{DUTIES}/{second}/call-off", status=409)["type"] == "not_now"


@pytest.mark.proves("P5")
@only_sqlite
def test_a_relief_serves_the_rest_and_what_was_said_is_kept(station: Served, north: Somebody, hands: Hands) -> None:
    one, two = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    number = duty(north, one, hours=(1, 9))["number"]
    duty(north, two, hours=(8, 16))
    hands.pass_(hours=5)
    handed = {"giver": one, "taker": two, "words": "东门灯坏, 已报修"}
    north.post(f"{DUTIES}/{number}/reliefs", handed)
    assert north.get(f"{DUTIES}/{number}/reliefs")["items"][0]["words"] == handed["words"]
    with station.station.database.read() as session:
        spans = [
            (one_.from_ms - NOW, one_.to_ms - NOW) for one_ in service.servings_of(session, two, NOW, NOW + 20 * HOUR)
        ]
        assert spans == [(5 * HOUR, 8 * HOUR), (8 * HOUR, 16 * HOUR)]
        assert service.on_duty(session, NOW + 4 * HOUR, [COMMUNITY]) == [one]
        assert service.on_duty(session, NOW + 6 * HOUR, [COMMUNITY]) == [two]


@pytest.mark.proves("P5")
@only_sqlite
def test_a_relief_may_overlap_by_a_quarter_of_an_hour_and_nobody_is_in_two_places(
    station: Served, north: Somebody, hands: Hands
) -> None:
    one, two = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    number = duty(north, one, hours=(1, 9.25))["number"]
    duty(north, two, hours=(9, 17))
    hands.pass_(hours=9, minutes=5)
    handed = {"giver": one, "taker": two, "words": "一切正常"}
    over = north.post(f"{DUTIES}/{number}/reliefs", handed)
    assert [(row["guard"], row["went"]) for row in over["members"]] == [(one, "relief")]
    with station.station.database.read() as session:
        spans = [row.duty for row in service.servings_of(session, two, NOW, NOW + 20 * HOUR)]
    assert len(spans) == 1  # he is on his own list, and on no second one
    long, three = hire(north, "B003", "赵三", "beiguan"), hire(north, "B004", "孙四", "beiguan")
    first = duty(north, long, hours=(10, 18))["number"]
    duty(north, three, hours=(12, 20))
    hands.pass_(hours=4)
    refused = north.post(f"{DUTIES}/{first}/reliefs", {"giver": long, "taker": three, "words": "去家里"}, status=409)
    assert refused["type"] == "overlapping_shifts"


@pytest.mark.proves("P3")
def test_an_order_to_suspend_excuses_until_it_is_lifted(
    station: Served, officer: Somebody, north: Somebody, hands: Hands
) -> None:
    guard = hire(north, "B001", "王一", "beiguan")
    order = {"area": COMMUNITY, "cause": "weather", "words": "暴雨", "begins": at(0), "ends": at(6)}
    north.post(ORDERS, order, status=403)
    number = officer.post(ORDERS, order, status=201)["number"]
    assert north.get(ORDERS)["items"][0]["words"] == "暴雨"
    hands.pass_(hours=2)
    officer.post(f"{ORDERS}/{number}/lift")
    assert north.get(ORDERS)["items"] == []
    with station.station.database.read() as session:
        (excuse,) = service.excuses(session, guard, NOW - HOUR, NOW + 6 * HOUR)
        assert (excuse.from_ms, excuse.to_ms, excuse.areas) == (NOW, NOW + 2 * HOUR, frozenset((COMMUNITY,)))
        assert excuse.evidence == f"suspension:{number}"


@pytest.mark.proves("P1")
@only_sqlite
def test_a_dead_phone_is_told_and_only_a_partner_on_the_same_list_is_a_witness(
    station: Served, north: Somebody
) -> None:
    one, two = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    three = hire(north, "B003", "郑五", "beiguan")
    duty(north, one, two)
    outs, span = f"{GUARDS}/{one}/phone-outs", {"begins": at(2), "ends": at(5)}
    assert north.post(outs, span | {"instead": "witness", "witness": three}, status=422)["type"] == "not_on_duty"
    assert north.post(outs, span | {"instead": "radio", "witness": two}, status=422)["type"] == "bad_span"
    north.post(outs, span | {"instead": "witness", "witness": two}, status=201)
    with station.station.database.read() as session:
        found = service.phone_out(session, one, NOW + 3 * HOUR)
        assert found is not None
        assert (found.instead, found.witness) == ("witness", two)
        assert service.phone_out(session, one, NOW + 5 * HOUR) is None


@pytest.mark.proves("P3", "P5")
@only_sqlite
def test_a_check_in_carries_the_mark_of_a_dead_phone_whenever_that_was_told(
    station: Served, north: Somebody, hands: Hands
) -> None:
    one, two = hire(north, "B001", "王一", "beiguan"), hire(north, "B002", "李四", "beiguan")
    duty(north, one, two)

    def read(guard: str, hours: float) -> None:
        at_ms = NOW + round(hours * HOUR)
        said = Said(id=f"c-{guard[-4:]}-{hours}", source=Source.FIXED_READER, tag=None, at_ms=at_ms, device_ms=None,
                    guard=guard, point="p1")  # fmt: skip
        with station.station.database.write() as session:
            station.station.checkins.add(session, [said], station.station.clock())

    hands.pass_(hours=3)
    for guard in (one, two):
        read(guard, 1.5)
        read(guard, 2.5)
    span = {"begins": at(2), "ends": at(5), "instead": "reader"}
    north.post(f"{GUARDS}/{one}/phone-outs", span, status=201)
    hands.pass_(hours=3)
    for hours in (4, 5.5):
        read(one, hours)
    with station.station.database.read() as session:
        flags = [("phone_out" in row.flags) for row in of_guard(session, one, NOW, NOW + 9 * HOUR)]
        assert flags == [False, True, True, False]
        assert not any(row.flags for row in of_guard(session, two, NOW, NOW + 9 * HOUR))


@pytest.mark.proves("N16", "P5")
@only_sqlite
def test_who_left_is_on_no_list_and_of_two_who_edit_one_is_told(
    station: Served, north: Somebody, officer: Somebody, hands: Hands
) -> None:
    guard = hire(north, "B001", "王一", "beiguan")
    hire(north, "B002", "李四", "beiguan")
    body = {"service_number": "B002", "name": "王一", "area": STATION}
    stale = {"Authorization": "Bearer token-of-qian", "If-Match": '"7"'}
    assert station.client.put(f"{GUARDS}/{guard}", json=body, headers=stale).status_code == 412
    fresh = stale | {"If-Match": '"1"'}
    assert station.client.put(f"{GUARDS}/{guard}", json=body, headers=fresh).json()["type"] == "number_taken"
    renamed = station.client.put(f"{GUARDS}/{guard}", json=body | {"service_number": "B7"}, headers=fresh)
    assert (renamed.status_code, renamed.headers["ETag"]) == (200, '"2"')
    number = duty(north, guard)["number"]
    hands.pass_(minutes=1)
    assert north.post(f"{GUARDS}/{guard}/leaving")["left"] is not None
    assert names(officer.get(f"{DUTIES}/{number}")) == []
    assert officer.post(f"{GUARDS}/{guard}/employments", {"company": "beiguan"}, status=409)["type"] == "not_now"


moments = st.integers(0, 100)


@pytest.mark.proves("P5")
@given(moments, moments, moments, moments)
def test_two_spans_overlap_exactly_where_they_share_a_moment(a: int, b: int, c: int, d: int) -> None:
    one, two = sorted((a, b)), sorted((c, d))
    shared = set(range(*one)) & set(range(*two))
    assert overlap(one[0], one[1], two[0], two[1]) is bool(shared)
    cut = clip(one[0], one[1], within_from=two[0], within_to=two[1])
    assert set(range(*cut)) == shared if cut else not shared


@pytest.mark.proves("P8")
def test_of_two_employers_the_one_of_that_moment_counts() -> None:
    rows = [Employment(company="a", from_ms=10, to_ms=20), Employment(company="b", from_ms=20, to_ms=None)]
    assert [employer(rows, at) for at in (9, 10, 19, 20, 99)] == [None, "a", "a", "b", "b"]


@pytest.mark.proves("P5", "G5")
def test_a_company_takes_a_guard_over_only_with_the_polices_word_and_learns_nothing_by_asking(
    station: Served, officer: Somebody, north: Somebody, east: Somebody, hands: Hands
) -> None:
    asks = "/api/v1/guard-takeovers"
    guard = hire(north, "B001", "王一", "beiguan")
    coming = duty(north, guard, hours=(30, 38))["number"]
    real = east.post(asks, {"company": "dongmen", "service_number": "B001", "words": "本人同意"}, status=201)
    nobody = east.post(asks, {"company": "dongmen", "service_number": "B999"}, status=201)
    same = {"number", "service_number", "words"}
    assert {k: v for k, v in real.items() if k not in same} == {k: v for k, v in nobody.items() if k not in same}
    again = east.post(asks, {"company": "dongmen", "service_number": "B001"}, status=201)
    assert again["number"] == real["number"]
    east.post(asks, {"company": "beiguan", "service_number": "B001"}, status=404)
    assert north.get(asks)["items"] == []
    east.post(f"{asks}/{real['number']}/decision", {"confirm": True}, status=403)
    shown = {one["number"]: one["present"] for one in officer.get(asks)["items"]}
    assert shown == {real["number"]: "beiguan", nobody["number"]: None}
    hands.pass_(hours=1)
    done = officer.post(f"{asks}/{real['number']}/decision", {"confirm": True})
    assert (done["guard"], done["present"]) == (guard, "dongmen")
    assert [one["company"] for one in east.get(f"{GUARDS}/{guard}")["employments"]] == ["beiguan", "dongmen"]
    north.get(f"{GUARDS}/{guard}", status=404)
    assert names(officer.get(f"{DUTIES}/{coming}")) == []
    assert officer.post(f"{asks}/{real['number']}/decision", {"confirm": True}, status=409)["type"] == "not_now"
    officer.post(f"{asks}/{nobody['number']}/decision", {"confirm": True}, status=409)
    officer.post(f"{asks}/{nobody['number']}/decision", {"confirm": False}, status=422)
    officer.post(f"{asks}/{nobody['number']}/decision", {"confirm": False, "reason": "查无此人"})
    assert [one["decision"] for one in east.get(asks)["items"]] == ["refused", "confirmed"]
    with station.station.database.read() as session:
        assert service.employer_at(session, guard, NOW) == "beiguan"
