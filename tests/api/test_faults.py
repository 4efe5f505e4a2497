"""Faults: many that are one, working them off, what comes back, and what nobody tells."""

from itertools import product
from typing import Any

import pytest

from api.clock import wall_ms
from api.faults import rules
from api.faults.rules import BATTERY_MS, COMES_BACK_MS, LOST_MS, TABLE, TOGETHER_MS, Act, Silence, Work
from api.faults.service import LOOK_S, SETTLE_S, clear_fault, raise_fault
from api.faults.words import WORDS, words
from broker.kinds import EventType
from tests.api.conftest import ROOT, TOKENS, Serve, Served, only_sqlite
from tests.api.peers import Gateway

NEAR = ("gr1", "r1", "c1", "north")


def silence(number: int, *, began_ms: int = 0, gateway: str = "g1", areas: Any = NEAR, **more: Any) -> Silence:
    return Silence(number=number, began_ms=began_ms, gateway=gateway, areas=areas, **more)


def put(served: Served, code: str = "battery", *, about: str = "u1", at_ms: int | None = None, **more: Any) -> int:
    values: dict[str, Any] = {"areas": {"north", "gr1"}, "gateway": "g1"} | more
    with served.station.database.write() as session:
        row = raise_fault(session, code, about=about, now_ms=at_ms or wall_ms(), **values)
        return row.number or 0


def over(served: Served, code: str = "battery", *, about: str = "u1", at_ms: int | None = None) -> None:
    with served.station.database.write() as session:
        clear_fault(session, code, about=about, gateway="g1", now_ms=at_ms or wall_ms())


def ask(
    served: Served,
    path: str,
    body: Any = None,
    *,
    officer: str = "li",
    status: int = 200,
    match: int = 0,
    key: str = "",
) -> Any:
    headers = ({"If-Match": f'"{match}"'} if match else {}) | ({"Idempotency-Key": key} if key else {})
    answer = served.client.post(
        f"/api/v1/faults/{path}", json=body, headers={"Authorization": f"Bearer {TOKENS[officer]}"} | headers
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def listed(served: Served, state: str = "open") -> list[dict[str, Any]]:
    faults: list[dict[str, Any]] = served.get("/api/v1/faults", state=state)["faults"]
    return faults


class TestManyThatAreOne:
    @pytest.mark.proves("A10")
    def test_a_third_of_a_group_that_falls_silent_together_is_one_fault(self) -> None:
        (found,) = rules.outages([silence(n, began_ms=n * 60_000) for n in range(1, 5)], {"gr1": 9, "r1": 90})
        assert (found.area, found.members, found.units, found.began_ms) == ("gr1", (1, 2, 3, 4), 4, 60_000)
        assert found.battery_until_ms is None

    def test_batteries_last_from_the_first_that_lost_mains(self) -> None:
        members = [silence(1), silence(2, began_ms=500, mains=True), silence(3, began_ms=900, mains=True)]
        (found,) = rules.outages(members, {"gr1": 6})
        assert found.battery_until_ms == 500 + BATTERY_MS

    @pytest.mark.parametrize(
        ("silences", "units"),
        [
            ([silence(1), silence(2)], 3),  # too few
            ([silence(n) for n in range(3)], 9),  # not more than a third
            ([silence(n, began_ms=n * (TOGETHER_MS + 1)) for n in range(4)], 5),  # one after the other
            ([silence(1, units=9)], 9),  # a gateway that is lost is just that
        ],
    )
    def test_otherwise_each_is_a_fault_of_its_own(self, silences: list[Silence], units: int) -> None:
        assert rules.outages(silences, dict.fromkeys(NEAR, units)) == []

    def test_two_gateways_of_one_grid_are_the_grids_and_of_two_grids_the_communitys(self) -> None:
        areas = [("gr1", "r1", "c1", "north"), ("gr2", "r1", "c1", "north"), ("gr3", "r2", "c1", "north")]
        lost = [silence(n, gateway=f"g{n}", areas=area, units=10) for n, area in enumerate(areas)]
        units = {"gr1": 10, "gr2": 10, "gr3": 10, "r1": 20, "r2": 10, "c1": 30, "north": 30}
        assert [one.area for one in rules.outages(lost[:2], units)] == ["r1"]
        assert [(one.area, one.units) for one in rules.outages(lost, units)] == [("c1", 30)]

    def test_nobody_is_in_two_outages(self) -> None:
        here = [silence(n) for n in range(4)]
        there = [silence(n, areas=("gr2", "r2", "c1", "north"), began_ms=2 * TOGETHER_MS) for n in range(4, 8)]
        found = rules.outages([*here, *there], {"gr1": 5, "gr2": 5, "r1": 50, "r2": 50, "c1": 500, "north": 500})
        assert [one.members for one in found] == [(0, 1, 2, 3), (4, 5, 6, 7)]

    @pytest.mark.parametrize(("then", "now", "is_over"), [(4, 4, False), (4, 2, False), (4, 1, True), (0, 0, False)])
    def test_it_is_over_when_most_are_back(self, then: int, now: int, *, is_over: bool) -> None:
        assert rules.is_over(then, now) is is_over


class TestTable:
    def test_every_pair_has_an_answer(self) -> None:
        assert {*TABLE} == {*product(Work, [act for act in Act if act is not Act.BEGAN])}

    def test_a_fault_is_lost_within_90_s(self) -> None:
        assert not rules.is_lost(0, LOST_MS, within_s=90)
        assert rules.is_lost(0, LOST_MS + 1, within_s=90)
        assert not rules.is_lost(0, rules.LOST_CLOSE_MS, within_s=20)
        assert rules.is_lost(0, rules.LOST_CLOSE_MS + 1, within_s=20)
        assert LOST_MS + 5_000 < 90_000


class TestWorkingOff:
    def test_exactly_one_takes_it_and_the_other_is_told_who(self, served: Served) -> None:
        number = put(served)
        taken = ask(served, f"{number}/acknowledge")
        assert (taken["work"], taken["owner"]) == ("acknowledged", "li")
        assert taken["owner_name"] == served.rows("SELECT name FROM account WHERE id = 'li'")[0][0]
        refused = ask(served, f"{number}/acknowledge", officer="zhao", status=409)
        assert (refused["type"], refused["by"]) == ("already_taken", "li")
        assert ask(served, f"{number}/acknowledge") == taken

    def test_it_is_given_to_somebody_and_closed_and_all_of_it_stays(self, served: Served) -> None:
        number = put(served)
        given = ask(served, f"{number}/assign", {"account": "zhao"}, match=1)
        assert (given["work"], given["owner"], given["version"]) == ("assigned", "zhao", 2)
        assert ask(served, f"{number}/assign", {"account": "li"}, status=412, match=1)["version"] == 2
        for _ in range(2):
            ask(served, f"{number}/notes", {"words": "换了电池"}, key="12345678")
        assert ask(served, f"{number}/done", {}, status=409, match=3)["type"] == "still_there"
        over(served)
        done = ask(served, f"{number}/done", {}, match=4)
        assert (done["work"], done["there"]) == ("done", False)
        one = served.get(f"/api/v1/faults/{number}")
        assert [step["act"] for step in one["steps"]] == ["began", "assign", "note", "restored", "done"]
        assert [step["words"] for step in one["steps"] if step["act"] == "note"] == ["换了电池"]
        assert ask(served, f"{number}/acknowledge", status=409)["type"] == "already_done"

    def test_what_is_over_before_anybody_took_it_is_done_and_what_is_in_hand_stays(self, served: Served) -> None:
        put(served, about="u1")
        number = put(served, about="u2")
        ask(served, f"{number}/acknowledge")
        over(served, about="u1")
        over(served, about="u2")
        assert [(fault["about"], fault["there"], fault["work"]) for fault in listed(served)] == [
            ("u2", False, "acknowledged")
        ]
        assert len(listed(served, "all")) == 2

    def test_what_is_closed_while_it_is_there_has_a_reason_and_is_not_shown(self, served: Served) -> None:
        number = put(served)
        closed = ask(served, f"{number}/done", {"reason": "住户明天换"}, match=1)
        assert (closed["work"], closed["there"]) == ("done", True)
        assert put(served) == number
        assert listed(served) == []

    def test_what_comes_back_within_a_day_is_the_same_fault_to_be_seen_to_again(self, served: Served) -> None:
        now = wall_ms()
        number = put(served, at_ms=now)
        ask(served, f"{number}/acknowledge")
        over(served, at_ms=now + 1)
        ask(served, f"{number}/done", {}, match=3)
        assert put(served, at_ms=now + 2) == number
        (fault,) = listed(served)
        assert (fault["work"], fault["times"], fault["there"]) == ("open", 2, True)
        over(served, at_ms=now + 3)
        assert put(served, at_ms=now + 4 + COMES_BACK_MS) != number

    @pytest.mark.proves("G5")
    def test_what_lies_elsewhere_is_not_there(self, served: Served) -> None:
        number = put(served, areas={"south"})
        assert listed(served) == []
        assert served.get(f"/api/v1/faults/{number}", status=404)["type"] == "no_such_fault"
        ask(served, f"{number}/acknowledge", status=404)
        ask(served, "999/acknowledge", status=404)

    def test_it_never_stands_among_alarms_nor_an_alarm_among_faults(self, served: Served, gateway: Gateway) -> None:
        events = [gateway.event(), gateway.event(EventType.FAULT, unit="u1", detail={"fault": "battery"})]
        gateway.send(events)
        gateway.receipted(events)
        assert [alarm["id"] for alarm in served.alarms()] == [events[0].id]
        (fault,) = listed(served)
        assert (fault["code"], fault["about"], fault["words"]["zh"]) == ("battery", "u1", "电池电量低")

    def test_whoever_does_something_stands_in_the_audit_chain_and_screens_hear_of_it(self, served: Served) -> None:
        number = put(served)
        ask(served, f"{number}/acknowledge")
        about = f"fault:{number}"
        assert ("li", "fault.work") in served.rows("SELECT account, action FROM audit WHERE about = ?", about)
        assert served.rows("SELECT topic FROM feed_entry WHERE about = ?", about) == [("fault",), ("fault",)]


class TestWhatNobodyTells:
    @pytest.mark.proves("N8")
    def test_a_gateway_that_says_nothing_is_lost_until_it_says_something(
        self, served: Served, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faults = served.station.faults
        gateway.say_status()
        last = gateway.event(EventType.HEARTBEAT)
        gateway.send([last])
        gateway.receipted([last])
        faults.supervise(wall_ms() + LOST_MS + 5_000)
        assert listed(served) == []  # the station itself has only just come
        monkeypatch.setattr(faults, "_ready_since", faults._ready_since - SETTLE_S)  # type: ignore[operator] # it is there
        faults.supervise(wall_ms() + LOST_MS - 5_000)
        assert listed(served) == []
        faults.supervise(wall_ms() + LOST_MS + 5_000)
        assert [(fault["code"], fault["gateway"]) for fault in listed(served)] == [("gateway_offline", "g1")]
        gateway.say_status()
        last = gateway.event(EventType.HEARTBEAT)
        gateway.send([last])
        gateway.receipted([last])
        assert listed(served) == []

    @pytest.mark.proves("N8")
    def test_a_clock_that_is_put_forward_makes_no_gateway_silent(
        self, served: Served, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        faults = served.station.faults
        gateway.say_status()
        last = gateway.event(EventType.HEARTBEAT)
        gateway.send([last])
        gateway.receipted([last])
        faults.supervise(wall_ms())
        monkeypatch.setattr(faults, "_ready_since", faults._ready_since - SETTLE_S)  # type: ignore[operator] # it is there
        monkeypatch.setattr(faults, "_clock", lambda: wall_ms() + 10 * LOST_MS)
        faults.supervise(wall_ms() + 10 * LOST_MS)
        assert listed(served) == []

    def test_a_broker_that_is_away_is_one_fault_and_no_gateway_is_blamed(
        self, serve: Serve, broker: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serve() as served:
            broker.stop()
            link, faults = served.station.link, served.station.faults
            while link.ready.is_set():
                link.ready.wait(0)
            faults.supervise(wall_ms())
            monkeypatch.setattr(faults, "_lost_since", faults._lost_since - 61)  # type: ignore[operator] # it is there
            faults.supervise(wall_ms() + 10 * LOST_MS)
            assert [fault["code"] for fault in listed(served)] == ["broker_lost"]

    @pytest.mark.proves("A10")
    def test_many_silent_units_are_one_line_with_a_count_and_single_ones_when_most_are_back(
        self, served: Served
    ) -> None:
        now = wall_ms()
        for number in range(1, 5):
            put(served, "mains" if number == 1 else "unit_silent", about=f"x{number}", at_ms=now + number * 1_000)
        served.station.faults.supervise(now + 9_000)
        (whole,) = listed(served)
        assert (whole["code"], whole["units"], whole["words"]["zh"]) == ("area_outage", 4, "停电/干扰待判")
        assert whole["battery_until"] is not None
        assert len(served.get(f"/api/v1/faults/{whole['number']}")["parts"]) == 4
        put(served, "unit_silent", about="x5", at_ms=now + 9_500)
        served.station.faults.supervise(now + 10_000)
        assert [(fault["code"], fault["units"]) for fault in listed(served)] == [("area_outage", 5)]
        over(served, "mains", about="x1", at_ms=now + 11_000)
        for number in (2, 3):
            over(served, "unit_silent", about=f"x{number}", at_ms=now + 12_000)
        served.station.faults.supervise(now + 13_000)
        assert [fault["about"] for fault in listed(served)] == ["x5", "x4"]


def test_every_code_has_words_in_both_languages_and_the_table_names_every_fault_that_is_explained() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = text.partition("## Faults")[2].partition("\n## ")[0]
    assert "area_outage" in text
    explained = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert explained <= {*WORDS}
    assert all(one.zh and one.en for one in WORDS.values())
    assert words("new_one").en == "fault: new_one"


@only_sqlite
@pytest.mark.proves("N8", "A10")
@pytest.mark.parametrize(("within_s", "phase_s"), [(90, 0.0), (90, 1.3), (90, LOOK_S - 0.01), (20, LOOK_S - 0.01)])
def test_a_gateway_is_called_lost_in_time_after_its_last_word_whenever_the_station_looks(
    serve: Serve, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, within_s: int, phase_s: float
) -> None:
    """Its status comes every 20 s (60 s at most), or every 5 s: it may have died right after one. 80 or 19.5 s."""
    now = [1_800_000_000_000]
    with serve(clock=lambda: now[0], lost_within_s=within_s) as served:
        faults = served.station.faults
        said_ms = now[0]
        gateway.say_status()
        last = gateway.event(EventType.HEARTBEAT)
        gateway.send([last])
        gateway.receipted([last])
        monkeypatch.setattr(faults, "_judges", lambda: True)  # the station has been there for long
        now[0] += round(phase_s * 1_000)
        while not served.rows("SELECT 1 FROM fault WHERE code = 'gateway_offline'"):
            now[0] += round(LOOK_S * 1_000)
            assert now[0] - said_ms <= within_s * 1_000
            faults.supervise(now[0])
        lost_ms = {90: LOST_MS, 20: rules.LOST_CLOSE_MS}[within_s]
        assert lost_ms < now[0] - said_ms <= lost_ms + LOOK_S * 1_000
