"""Roll-calls: a draw that nobody can steer, deadlines as rows, answers beside the last check-in; spot calls excuse."""

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checkins import repository as checkins
from api.checkins.rules import CheckIn, Source
from api.guards import service as guards
from api.patrols.models import Checkpoint, PatrolLeg
from api.rights.rules import Role
from api.rollcalls.rules import CONTRADICTS_MS, contradicts, draw, rank
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GATEWAYS, STATION
from tests.api.people import NOW, Hands, Somebody, add_companies, somebody
from tests.api.test_guards import HOUR, duty, hire

CALLS, SPOTS = "/api/v1/roll-calls", "/api/v1/spot-calls"


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


def team(officer: Somebody, hands: Hands, many: int) -> list[str]:
    """So many guards of a company, on duty since half an hour."""
    people = [hire(officer, f"B{one:03}", f"保安{one}", "beiguan") for one in range(many)]
    duty(officer, *people, hours=(1, 9))
    hands.pass_(hours=1.5)
    return people


def look(station: Served, hands: Hands) -> None:
    station.station.rollcalls.look(station.station.database, hands.now_ms)


def check_in(station: Served, guard: str, point: str, at_ms: int, number: int = 1) -> CheckIn:
    one = CheckIn(
        id=f"01a20124-9d1e-7dd3-acdc-{number:012}", guard=guard, tag="0F004EBEFC", point=point,
        source=Source.FIXED_READER, at_ms=at_ms, device_ms=at_ms, server_ms=at_ms, skew_ms=0, flags=frozenset(),
    )  # fmt: skip
    with station.station.database.write() as session:
        checkins.add(session, [(one, None, None)])
        session.flush()
        station.station.rollcalls.heard(session, [one])
    return one


def person(answer: Any, guard: str) -> Any:
    return next(one for one in answer["people"] if one["guard"] == guard)


@pytest.mark.proves("P5")
def test_a_draw_is_committed_to_before_it_is_made_and_can_be_made_again_by_anybody(
    officer: Somebody, hands: Hands
) -> None:
    people = team(officer, hands, 5)
    committed = officer.post(f"{CALLS}/draws", {"area": COMMUNITY, "many": 2}, status=201)
    assert (committed["seed"], committed["people"], committed["called"]) == (None, [], None)
    number = committed["number"]
    called = officer.post(f"{CALLS}/{number}/call")
    assert (called["seed"], called["candidates"], len(called["people"])) == (None, 5, 2)
    assert officer.post(f"{CALLS}/{number}/call", status=409)["type"] == "not_now"
    for one in called["people"]:
        officer.post(f"{CALLS}/{number}/radio", {"guard": one["guard"]})
    over = officer.get(f"{CALLS}/{number}")
    assert sha256(bytes.fromhex(over["seed"])).hexdigest() == committed["seed_digest"]
    drawn = draw(over["seed"], people, 2)
    assert drawn == [one["guard"] for one in over["people"]]
    assert [rank(over["seed"], one) for one in drawn] == over["ranks"][:2]
    empty = officer.post(f"{CALLS}/draws", {"area": STATION, "many": 2}, status=201)["number"]
    hands.pass_(days=1)
    assert officer.post(f"{CALLS}/{empty}/call", status=409)["type"] == "nobody_there"


@pytest.mark.proves("P5", "N11")
def test_a_call_is_repeated_after_three_minutes_and_missed_three_minutes_later_whoever_looks(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    one, two = team(officer, hands, 2)
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two]}, status=201)["number"]
    assert officer.post(CALLS, {"area": COMMUNITY, "guards": [one]}, status=409)["type"] == "not_now"
    hands.pass_(seconds=40)
    answered = officer.post(f"{CALLS}/{number}/radio", {"guard": one, "claimed": "p1"})
    assert (person(answered, one)["seconds"], person(answered, one)["over"]) == (40, "radio")
    assert officer.post(f"{CALLS}/{number}/radio", {"guard": one}, status=409)["type"] == "not_now"
    hands.pass_(seconds=139)
    look(station, hands)
    assert person(officer.get(f"{CALLS}/{number}"), two)["second_call"] is None
    hands.pass_(seconds=61)
    look(station, hands)
    again = person(officer.get(f"{CALLS}/{number}"), two)
    assert again["second_call"] > again["second_due"]
    hands.pass_(seconds=179)
    look(station, hands)
    assert person(officer.get(f"{CALLS}/{number}"), two)["state"] == "waiting"
    hands.pass_(days=1)
    look(station, hands)
    look(station, hands)
    missed = officer.get(f"{CALLS}/{number}")
    assert (person(missed, two)["state"], person(missed, two)["missed"]) == ("missed", again["due"])
    assert missed["ended"] is not None


@pytest.mark.proves("P5", "P9")
def test_a_tag_at_a_reader_answers_and_what_he_claims_stands_beside_where_he_was(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    one, two = team(officer, hands, 2)
    check_in(station, two, "p7", hands.now_ms, 1)
    hands.pass_(seconds=10)
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two]}, status=201)["number"]
    hands.pass_(seconds=20)
    check_in(station, one, "p1", hands.now_ms, 2)
    over = officer.get(f"{CALLS}/{number}")
    assert (person(over, one)["over"], person(over, one)["claimed"]) == ("reader", "p1")
    claim = officer.post(f"{CALLS}/{number}/radio", {"guard": two, "claimed": "p2"})
    told = person(claim, two)
    assert (told["last_point"], told["contradicts"], told["on_roster"]) == ("p7", True, True)


@pytest.mark.proves("P5")
@only_sqlite
def test_a_guard_answers_on_his_own_page_and_nobody_elses_call(
    station: Served, officer: Somebody, north: Somebody, hands: Hands
) -> None:
    one, two = team(officer, hands, 2)
    theirs = hire(officer, "D001", "赵二", "dongmen")
    own = somebody(station, "wang", Role.GUARD, "beiguan")
    headers = {"Authorization": "Bearer token-of-xu", "If-Match": '"1"'}
    body = {"service_number": "B000", "name": "保安0", "area": STATION, "account": "wang"}
    assert station.client.put(f"/api/v1/guards/{one}", json=body, headers=headers).status_code == 200
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two, theirs]}, status=201)["number"]
    third = hire(officer, "B9", "保安九", "beiguan")
    other = officer.post(CALLS, {"area": COMMUNITY, "guards": [third]}, status=201)["number"]
    (waiting,) = own.get(f"{CALLS}/waiting")["items"]
    assert waiting["number"] == number
    own.post(f"{CALLS}/{other}/answer", {}, status=404)
    assert own.post(f"{CALLS}/{number}/answer", {})["over"] == "phone"
    assert own.get(f"{CALLS}/waiting")["items"] == []
    own.post(CALLS, {"area": COMMUNITY, "guards": [two]}, status=403)
    seen = north.get(f"{CALLS}/{number}")
    assert [one["name"] for one in seen["people"]] == ["保安0", "保安1", None]
    assert person(officer.get(f"{CALLS}/{number}"), theirs)["on_roster"] is False


@only_sqlite
@pytest.mark.proves("P5")
def test_a_call_is_made_while_the_clock_goes_on(serve: Serve) -> None:
    moments = count(NOW)
    with serve(clock=lambda: next(moments), wait=False) as one:
        add_companies(one, "beiguan")
        officer = somebody(one, "xu", Role.OFFICER, STATION)
        guard = hire(officer, "B1", "王一", "beiguan")
        called = officer.post(CALLS, {"area": COMMUNITY, "guards": [guard]}, status=201)
        assert called["called"] == called["committed"]


@pytest.mark.proves("P5", "P3")
def test_a_spot_call_retasks_in_one_step_and_excuses_until_it_is_done(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    (one,) = team(officer, hands, 1)
    idle = hire(officer, "B9", "闲", "beiguan")
    task = {"area": COMMUNITY, "guard": one, "words": "到东门协助疏导", "minutes": 60}
    assert officer.post(SPOTS, task | {"guard": idle}, status=422)["type"] == "bad_call"
    number = officer.post(SPOTS, task, status=201)["number"]
    assert officer.post(SPOTS, task, status=409)["type"] == "not_now"
    began = hands.now_ms
    with station.station.database.read() as session:
        (excuse,) = guards.excuses(session, one, NOW, NOW + 9 * HOUR)
        assert (excuse.cause, excuse.from_ms, excuse.to_ms) == ("spot_call", began, began + HOUR)
    hands.pass_(minutes=20)
    officer.post(f"{SPOTS}/{number}/done")
    with station.station.database.read() as session:
        (excuse,) = guards.excuses(session, one, NOW, NOW + 9 * HOUR)
        assert (excuse.to_ms, excuse.evidence) == (began + 20 * 60_000, f"spot_call:{number}")
    assert officer.post(f"{SPOTS}/{number}/done", status=409)["type"] == "not_now"


@pytest.mark.proves("P5", "P7")
@only_sqlite
def test_the_ledger_hears_of_an_answer_in_time_and_of_none(station: Served, officer: Somebody, hands: Hands) -> None:
    one, two = team(officer, hands, 2)
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two]}, status=201)["number"]
    hands.pass_(seconds=30)
    officer.post(f"{CALLS}/{number}/radio", {"guard": one})
    for _ in range(2):
        hands.pass_(minutes=4)
        look(station, hands)
    booked = dict(station.rows("SELECT guard, rule FROM points_entry"))
    assert booked == {one: "R01", two: "R03"}


@pytest.mark.proves("P5")
def test_everybody_has_the_same_chance_in_a_draw() -> None:
    people = [f"g{one}" for one in range(8)]
    seen = Counter(one for seed in range(4_000) for one in draw(f"{seed:064x}", people, 2))
    assert {*seen} == {*people}
    assert all(abs(count - 1_000) < 150 for count in seen.values())  # five times the deviation of a fair one


@pytest.mark.proves("P5")
@given(st.binary(min_size=32, max_size=32), st.sets(st.text("abcdef0123456789", min_size=1), max_size=20), st.data())
def test_a_draw_depends_on_the_seed_and_the_people_and_on_nothing_else(
    seed: bytes, people: set[str], data: st.DataObject
) -> None:
    many = data.draw(st.integers(0, 25))
    drawn = draw(seed.hex(), data.draw(st.permutations(sorted(people))), many)
    assert drawn == draw(seed.hex(), people, many)
    assert len(drawn) == min(many, len(people))
    assert set(drawn) <= people


@pytest.mark.proves("P9")
def test_only_another_checkpoint_a_moment_before_contradicts() -> None:
    base: dict[str, Any] = {"claimed": "a", "last": "b", "last_ms": 1_000, "answered_ms": 1_000 + CONTRADICTS_MS - 1}
    assert contradicts(**base)
    for change in ({"claimed": None}, {"claimed": "b"}, {"last": None, "last_ms": None}, {"last_ms": 0}):
        assert not contradicts(**(base | change))
    far = base | {"least_ms": 180_000}
    assert contradicts(**far | {"answered_ms": 1_000 + 179_999})
    assert not contradicts(**far | {"answered_ms": 1_000 + 180_000})


@only_sqlite
@pytest.mark.proves("P9")
def test_a_claim_is_held_against_the_least_walking_times_of_the_plans(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    one, two = team(officer, hands, 2)
    with station.station.database.write() as session:
        for point in ("p1", "p2", "p3"):
            session.add(Checkpoint(id=point, station=STATION, area=COMMUNITY, name=point, from_ms=1, made_by="li"))
        session.flush()
        for here, there in (("p1", "p2"), ("p2", "p3")):
            session.add(PatrolLeg(from_point=here, to_point=there, least_s=120, made_by="li", made_ms=1))
    check_in(station, one, "p1", hands.now_ms, 1)
    check_in(station, two, "p1", hands.now_ms, 2)
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two]}, status=201)["number"]
    hands.pass_(seconds=150)
    near = officer.post(f"{CALLS}/{number}/radio", {"guard": one, "claimed": "p2"})
    assert person(near, one)["contradicts"] is False
    far = officer.post(f"{CALLS}/{number}/radio", {"guard": two, "claimed": "p3"})
    assert person(far, two)["contradicts"] is True  # four minutes over p2


def commands(station: Served) -> list[tuple[str, list[str], int]]:
    """What gateways were told of calls: to whom, which readers, for how many seconds; oldest first."""
    told = station.rows("SELECT command_to, body FROM outgoing WHERE command_to IS NOT NULL ORDER BY number")
    bodies = [(gateway, body, json.loads(body)) for gateway, body in told]
    assert not any("保安" in body or "guard" in body for _, body, _ in bodies)
    return [(gateway, one["units"], one["lasts_ms"] // 1_000) for gateway, _, one in bodies if one["action"] == "call"]


def readers(officer: Somebody) -> None:
    """Checkpoints with readers: two on one gateway, one on another, and one on a gateway that there is not."""
    for point, area, gateway, reader in (
        ("east", "gr1", GATEWAYS[0], "r-east"),
        ("shed", "gr1", GATEWAYS[0], "r-shed"),
        ("west", "c1", GATEWAYS[1], "r-west"),
        ("gone", "gr1", "g99", "r-gone"),
    ):
        body = {"id": point, "area": area, "name": point, "gateway": gateway, "reader": reader}
        officer.post("/api/v1/checkpoints", body, status=201)


@only_sqlite
@pytest.mark.proves("P5", "G7")
def test_the_lamps_of_the_readers_on_his_way_call_him_until_he_answers_and_nobody_is_named(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    readers(officer)
    one, two = team(officer, hands, 2)
    number = officer.post(CALLS, {"area": COMMUNITY, "guards": [one, two]}, status=201)["number"]
    both = [(GATEWAYS[0], ["r-east", "r-shed"], 360), (GATEWAYS[1], ["r-west"], 360)]
    assert commands(station) == both
    hands.pass_(seconds=60)
    officer.post(f"{CALLS}/{number}/radio", {"guard": one})
    assert commands(station)[2:] == [(gateway, units, 300) for gateway, units, _ in both]
    hands.pass_(seconds=120)
    look(station, hands)
    assert commands(station)[4:] == [(gateway, units, 180) for gateway, units, _ in both]
    check_in(station, two, "east", hands.now_ms)
    assert commands(station)[6:] == [(gateway, [], 0) for gateway, _, _ in both]


@only_sqlite
@pytest.mark.proves("P5")
def test_on_a_route_only_its_own_readers_call_and_a_missed_call_ends(
    station: Served, officer: Somebody, hands: Hands
) -> None:
    readers(officer)
    visits = [{"point": "shed", "buffer_min": 3, "extended_min": 5}]
    route = {"id": "night-1", "area": "gr1", "name": "北片线", "order": "free", "visits": visits}
    officer.post("/api/v1/patrol-routes", route, status=201)
    guard = hire(officer, "B001", "保安甲", "beiguan")
    duty(officer, guard, hours=(1, 9), route="night-1")
    hands.pass_(hours=1.5)
    officer.post(CALLS, {"area": COMMUNITY, "guards": [guard]}, status=201)
    assert commands(station) == [(GATEWAYS[0], ["r-shed"], 360)]
    for _ in range(2):
        hands.pass_(seconds=180)
        look(station, hands)
    assert commands(station)[1:] == [(GATEWAYS[0], ["r-shed"], 180), (GATEWAYS[0], [], 0)]
