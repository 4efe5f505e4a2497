"""Four colours of areas: decided by people with a reason and an end, suggested by alarms, and no other field."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.alarms import repository as alarms
from api.colours import service
from api.colours.rules import DAY_MS, TABLE, Colour, Decided, band, read, suggest, table
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody
from tests.api.test_guards import hire
from tests.api.test_privacy import alarm


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        yield one


@pytest.fixture
def leader(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_LEADER, STATION)


def decide(who: Somebody, version: int, *, area: str = COMMUNITY, status: int = 200, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer token-of-{who.id}", "If-Match": f'"{version}"'}
    answer = who.served.client.put(f"/api/v1/areas/{area}/colour", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def ring(station: Served, *kinds: str) -> None:
    with station.station.database.write() as session:
        alarms.add_alarms(session, [alarm(one, kind=kind) for one, kind in enumerate(kinds, 1)])


@pytest.mark.proves("P2")
def test_a_colour_is_decided_with_a_reason_and_falls_to_what_was_named_when_it_ends(
    station: Served, leader: Somebody, hands: Hands
) -> None:
    before = leader.get(f"/api/v1/areas/{COMMUNITY}/colour")
    assert (before["colour"], before["every_min"], before["decided"], before["version"]) == ("blue", 480, False, 0)
    red = decide(leader, 0, colour="red", afterwards="yellow", reason="一周三起入室")
    assert (red["colour"], red["every_min"], red["expired"]) == ("red", 60, False)
    assert decide(leader, 0, colour="blue", reason="同时", status=412)["type"] == "stale_version"
    assert decide(leader, red["version"], colour="blue", reason="", status=422)
    late = {"expires": (MOMENT + timedelta(days=32)).isoformat()}
    assert decide(leader, red["version"], colour="red", reason="太长", status=422, **late)["type"] == "bad_band"
    hands.pass_(days=8)
    after = leader.get(f"/api/v1/areas/{COMMUNITY}/colour")
    assert (after["colour"], after["every_min"], after["expired"]) == ("yellow", 240, True)
    decide(leader, red["version"], colour="orange", every_min=90, reason="复核")
    newest, oldest = leader.get(f"/api/v1/areas/{COMMUNITY}/colours")["items"]
    assert (newest["set_by"], newest["reason"], newest["every_min"]) == ("xu", "复核", 90)
    assert newest["set_by_name"] == "某xu"
    assert oldest["ends"] == newest["begins"]
    with station.station.database.read() as session:
        assert service.band_at(session, COMMUNITY, NOW).colour is Colour.RED
        assert service.band_at(session, COMMUNITY, NOW + 7 * DAY_MS).colour is Colour.YELLOW
    assert station.rows("SELECT count(*) FROM audit WHERE action = 'colour.decide'") == [(2,)]


@pytest.mark.proves("P2", "N4")
def test_alarms_suggest_and_a_person_decides_and_nobody_learns_of_duress_by_it(
    station: Served, leader: Somebody, hands: Hands
) -> None:
    worker = somebody(station, "liu", Role.GRID_WORKER, GRID)
    ring(station, "panic", "panic", "duress", "duress", "duress", "test")
    hands.pass_(minutes=1)
    seen = leader.get(f"/api/v1/areas/{GRID}/colour")
    assert (seen["colour"], seen["alarms"]) == ("blue", 2)
    assert (seen["suggestion"]["colour"], seen["suggestion"]["least"]) == ("yellow", 2)
    assert worker.get(f"/api/v1/areas/{GRID}/colour")["alarms"] == 2
    worker.get(f"/api/v1/areas/{COMMUNITY}/colour", status=404)
    decide(worker, 0, area=GRID, colour="red", reason="我来", status=403)
    assert decide(leader, 0, area=GRID, colour="yellow", reason="采纳建议")["suggestion"] is None
    assert {one["area"] for one in leader.get("/api/v1/colours")["items"]} >= {GRID, COMMUNITY}


@pytest.mark.proves("P8")
@only_sqlite
def test_the_card_of_a_guard_is_another_field_and_its_levels_are_kept(
    station: Served, leader: Somebody, hands: Hands
) -> None:
    add_companies(station, "beiguan")
    north = somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")
    other = somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")
    guard = hire(north, "B001", "王一", "beiguan")
    cards = f"/api/v1/guards/{guard}/good-cards"
    level = {"level": "second", "quarter": "2026Q4", "reason": "巡逻时长达标"}
    north.post(cards, level, status=403)
    leader.post(cards, level, status=201)
    hands.pass_(days=90)
    leader.post(cards, level | {"level": "first", "quarter": "2027Q1"}, status=201)
    assert [one["level"] for one in north.get(cards)["items"]] == ["first", "second"]
    other.get(cards, status=404)


@pytest.mark.proves("P2")
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 200))
def test_at_every_moment_exactly_one_colour_holds(lasts: list[int], at: int) -> None:
    rows, begins = [], 0
    for number, last in enumerate(lasts):
        rows.append(
            Decided(
                colour=[*Colour][number % 4], afterwards=Colour.ORANGE, every_min=60, checks_month=1,
                from_ms=begins, expires_ms=begins + 10, to_ms=begins + last,
            )
        )  # fmt: skip
        begins += last
    found = band(rows, at, of=table())
    held = [row for row in rows if row.to_ms is not None and row.from_ms <= at < row.to_ms]
    if not held:
        assert (found.colour, found.decided) == (Colour.BLUE, False)
    else:
        assert found.expired is (at >= held[0].expires_ms)
        assert found.colour is (Colour.ORANGE if found.expired else held[0].colour)


@pytest.mark.proves("P2")
@given(st.integers(0, 30), st.sampled_from([*Colour]))
def test_more_alarms_never_suggest_a_weaker_colour(alarms: int, now: Colour) -> None:
    strength = [*Colour]

    def after(count: int) -> Colour:
        found = suggest(now, count, of=table())
        return now if found is None else found.colour

    assert strength.index(after(alarms + 1)) <= strength.index(after(alarms))


def test_a_table_in_which_red_is_weaker_than_orange_is_refused() -> None:
    text = TABLE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="most often"):
        read(text.replace("every_min = 60", "every_min = 130"))
    with pytest.raises(ValueError, match="most alarms"):
        read(text.replace("red = 10", "red = 3"))
