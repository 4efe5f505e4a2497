"""People on patrol call for help: once for each press, where they were last, and to whom it is told and to whom not."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.alarms.rules import INCIDENT_MS, OPEN, State
from api.clock import iso
from api.helps.rules import LOOKED_BACK_MS, READS, TOLD_MOST, Eyes, Seen, eyes, joins, place, told
from api.rights.rules import Role, Without, rights
from broker.kinds import Kind
from tests.api.browsing import Visitor, csrf_of
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, HOUSEHOLDS, STATION
from tests.api.people import NOW, Hands, Somebody, somebody
from tests.api.signing_in import ORIGIN, account
from tests.api.test_guards import HOUR, duty, hire
from tests.api.test_orders import Team, check_in, officer, station, team

__all__ = ["officer", "station", "team"]

CALLS = "/api/v1/help-calls"
MINUTE_MS = 60_000


def iso_of(ms: int) -> str:
    return iso(ms).isoformat()


def press(who: Somebody, key: str = "press-number-1", *, status: int = 201, **body: Any) -> Any:
    answer = who.served.client.post(
        CALLS, json=body, headers={"Authorization": f"Bearer token-of-{who.id}", "Idempotency-Key": key}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


class TestRules:
    @given(
        st.lists(st.builds(Seen, st.sampled_from("abc"), st.integers(0, NOW * 2)), max_size=5),
        st.none() | st.builds(Seen, st.just("phone"), st.integers(0, NOW * 2)),
    )
    def test_the_newest_counts_nothing_old_and_nothing_of_the_future(
        self, read: list[Seen], phone: Seen | None
    ) -> None:
        found = place(read, phone, now_ms=NOW)
        fresh = [one for one in (*read, *([] if phone is None else [phone])) if NOW - one.at_ms <= LOOKED_BACK_MS]
        assert (found is None) == (not fresh)
        if found is not None:
            assert NOW - LOOKED_BACK_MS <= found.at_ms <= NOW
            assert found.at_ms == min(NOW, max(one.at_ms for one in fresh))

    @pytest.mark.parametrize("state", State)
    def test_presses_join_while_it_is_open_and_danger_is_another_alarm(self, state: State) -> None:
        def joined(kind: Kind, after_ms: int) -> bool:
            return joins(kind, before=Kind.HELP, state=state, cancelled=False, last_ms=NOW, now_ms=NOW + after_ms)

        assert joined(Kind.HELP, INCIDENT_MS - 1) is (state in OPEN)
        assert not joined(Kind.HELP, INCIDENT_MS)
        assert not joined(Kind.PANIC, 1)
        assert not joins(Kind.HELP, before=Kind.HELP, state=state, cancelled=True, last_ms=NOW, now_ms=NOW + 1)

    def test_a_few_near_are_told_who_can_read_it_and_never_himself(self) -> None:
        accounts = {"me": "a", "b": None, "c": "c", "d": "d", "e": "e", "f": "f"}
        assert told(["me", "b", "c", "d", "e", "f"], caller="me", accounts=accounts) == ["c", "d", "e"]
        assert len(told([*"cdef"], caller=None, accounts=accounts)) == TOLD_MOST

    @pytest.mark.proves("N4")
    def test_what_police_alone_may_know_is_read_by_nobody_else(self) -> None:
        for police in (True, False):
            for own, company, near in ((True, True, True), (False, True, True), (False, False, True)):
                by = eyes(police=police, own=own, company=company, told=near, hidden=True, is_open=True)
                assert by is (Eyes.POLICE if police else None)
        assert eyes(police=False, own=False, company=False, told=True, hidden=False, is_open=False) is None
        assert eyes(police=False, own=False, company=False, told=False, hidden=False, is_open=True) is None

    @pytest.mark.proves("N4", "G7")
    def test_the_table_of_who_reads_what(self) -> None:
        assert {by.value: sorted(fields) for by, fields in READS.items()} == {
            "police": ["company", "guard", "name", "on_duty", "role", "seen", "service_number", "told"],
            "company": ["company", "guard", "name", "on_duty", "seen", "service_number"],
            "told": ["company", "seen", "service_number"],
            "own": ["seen", "told"],
        }
        readers = rights().actions["help.read"]
        assert not isinstance(readers, Without)
        assert not {Role.HOUSEHOLD, Role.GROUP_LEADER, Role.TOWNSHIP} & {*readers}


@pytest.mark.proves("P10", "N3", "A7")
def test_a_guard_calls_for_help_where_he_was_last_and_however_often_it_is_sent_it_is_one_alarm(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    first, again = (press(team.own, kind="panic", words="两人持械") for _ in range(2))
    assert first == again
    assert (first["own"], first["open"], first["state"], first["name"], first["guard"]) == (
        True, True, "received", None, None,
    )  # fmt: skip
    assert (first["seen"]["name"], first["seen"]["minutes"]) == ("cp2", 1)
    press(team.own, kind="help", status=422)  # the same key for something else
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert (alarm["kind"], alarm["place"], alarm["group"], alarm["address"], alarm["ring"], alarm["said"]) == (
        "panic", None, None, "cp2", "no_gateway", "两人持械",
    )  # fmt: skip
    assert officer.get(f"/api/v1/alarms/{alarm['id']}")["steps"][0]["officer"] == "wang"
    assert station.rows("SELECT count(*) FROM outgoing WHERE command_to IS NOT NULL") == [(0,)]
    seen = officer.get(f"{CALLS}/{alarm['id']}")
    assert (seen["name"], seen["service_number"], seen["company"], seen["role"], seen["on_duty"], seen["told"]) == (
        "王一", "B1", "beiguan", "guard", True, 1,
    )  # fmt: skip
    hands.pass_(minutes=2)
    check_in(station, team.wang, "cp3", hands.now_ms - 30_000)
    press(team.own, "press-number-2")
    (alarm,) = officer.get("/api/v1/alarms", open="true")["items"]
    assert (alarm["presses"], alarm["address"]) == (2, "cp3")
    (seen,) = officer.get(CALLS, open="true")["items"]
    assert (seen["alarm"], seen["seen"]["point"], seen["seen"]["minutes"]) == (alarm["id"], "cp3", 0)
    hands.pass_(minutes=7)
    assert officer.get(f"{CALLS}/{alarm['id']}")["seen"]["minutes"] == 7
    near = officer.get(f"/api/v1/alarms/{alarm['id']}/nearest-guards")
    assert (near["known"], near["items"][0]["near"]["guard"]) == (True, team.wang)  # from where he was seen last
    help_ = press(team.own, "press-number-3", kind="help")["alarm"]
    assert help_ != alarm["id"]


@pytest.mark.proves("N4", "G5")
def test_his_company_and_the_nearest_learn_of_it_while_it_is_open_and_nobody_else_can_tell(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    near = somebody(station, "zhou", Role.GUARD, "dongmen")
    far = somebody(station, "feng", Role.GUARD, "dongmen")
    away = hire(officer, "D1", "周五", "dongmen", area=COMMUNITY, account="zhou")
    hire(officer, "D2", "冯六", "dongmen", area=COMMUNITY, account="feng")
    other = somebody(station, "dong", Role.GUARD_COMPANY, "dongmen")
    nobodys = [
        somebody(station, f"as-{role.value}", role, scope)
        for role, scope in ((Role.HOUSEHOLD, HOUSEHOLDS[0]), (Role.GROUP_LEADER, "gr1"), (Role.GRID_WORKER, GRID),
                            (Role.COMMUNITY, COMMUNITY), (Role.TOWNSHIP, COMMUNITY))
    ]  # fmt: skip
    hands.pass_(minutes=2)
    duty(officer, away, hours=((hands.now_ms - NOW - MINUTE_MS) / HOUR, 9))
    hands.pass_(minutes=2)
    check_in(station, away, "cp3", hands.now_ms - 1_000)
    before = [[who.get("/api/v1/alarms") for who in nobodys], *([far.get(CALLS), other.get(CALLS)])]
    alarm = press(team.own)["alarm"]
    assert [[who.get("/api/v1/alarms") for who in nobodys], *([far.get(CALLS), other.get(CALLS)])] == before
    for who in (*nobodys, far, other):
        who.get(f"/api/v1/alarms/{alarm}", status=403 if who is other else 404)
    (mine,) = team.company.get(CALLS)["items"]
    assert (mine["name"], mine["guard"], mine["seen"]["point"], mine["told"]) == ("王一", team.wang, "cp2", None)
    (theirs,) = near.get(CALLS)["items"]
    assert (theirs["name"], theirs["guard"], theirs["service_number"], theirs["seen"]["point"]) == (
        None, None, "B1", "cp2",
    )  # fmt: skip
    near.get(f"/api/v1/alarms/{alarm}", status=404)  # where he is, and nothing of what is done about it
    officer.post(f"/api/v1/alarms/{alarm}/acknowledge")
    assert team.own.get(f"{CALLS}/{alarm}")["state"] == "acknowledged"
    officer.post(f"/api/v1/alarms/{alarm}/call-back", {"result": "safe", "in_person": True})
    officer.post(f"/api/v1/alarms/{alarm}/resolve", {"outcome": "real"})
    assert near.get(CALLS)["items"] == []
    near.get(f"{CALLS}/{alarm}", status=404)
    assert (team.own.get(f"{CALLS}/{alarm}")["open"], team.company.get(CALLS, open="true")["items"]) == (False, [])


@pytest.mark.proves("P10")
def test_what_his_phone_knows_counts_where_it_is_newer_and_whoever_is_off_duty_is_heard_as_well(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    def call(key: str, **body: Any) -> Any:
        hands.pass_(milliseconds=INCIDENT_MS)
        return officer.get(f"{CALLS}/{press(team.own, key, **body)['alarm']}")

    now = hands.now_ms + INCIDENT_MS
    newer = call("phone-knows-1", last={"point": "cp4", "at": iso_of(now - 30_000)})
    assert (newer["seen"]["point"], newer["seen"]["minutes"]) == ("cp4", 0)
    now += INCIDENT_MS
    fast = call(
        "phone-knows-2", last={"point": "cp1", "at": iso_of(now + 50 * MINUTE_MS)}, now=iso_of(now + 55 * MINUTE_MS)
    )
    assert (fast["seen"]["point"], fast["seen"]["minutes"]) == ("cp1", 5)  # by a clock that is 55 minutes fast
    unknown = call("phone-knows-3", last={"point": "nowhere", "at": iso_of(hands.now_ms)})
    assert unknown["seen"]["point"] == "cp2"
    where = {"lat": 31.2, "lon": 121.5, "accuracy_m": 20}
    placed = call("phone-knows-4", position=where)
    assert officer.get(f"/api/v1/alarms/{placed['alarm']}")["position"] == where
    hands.pass_(days=1)
    off = officer.get(f"{CALLS}/{press(team.own, 'off-duty-press')['alarm']}")
    assert (off["on_duty"], off["seen"]) == (False, None)
    worker = somebody(station, "ge", Role.GRID_WORKER, GRID)
    called = press(worker, "grid-worker-press", kind="help")
    seen = officer.get(f"{CALLS}/{called['alarm']}")
    assert (seen["role"], seen["name"], seen["guard"], seen["company"]) == ("grid_worker", "某ge", None, None)
    assert [one["alarm"] for one in worker.get(CALLS)["items"]] == [called["alarm"]]


@only_sqlite
def test_who_may_not_call_is_refused_and_a_press_without_a_key_is_none(station: Served, team: Team) -> None:
    presser = somebody(station, "home", Role.HOUSEHOLD, HOUSEHOLDS[0])
    press(presser, status=403)
    team.own.post(CALLS, {}, status=422)
    press(team.own, kind="duress", status=422)
    assert station.rows("SELECT count(*) FROM alarm") == [(0,)]


@only_sqlite
@pytest.mark.proves("P10")
def test_the_desk_reads_who_called_and_where_he_was_last(station: Served, hands: Hands, team: Team) -> None:
    account(station.station, "ma", (Role.DUTY_OFFICER, STATION))
    alarm = press(team.own)["alarm"]
    hands.pass_(minutes=4)
    desk = Visitor(station)
    desk.sign_in("ma")
    for path in ("/desk", f"/desk/alarms?id={alarm}", f"/alarms/{alarm}"):
        page = desk.get(path)
        assert "保安 王一" in page, path
        assert re.search(r"最后打卡： <b>cp2</b>, <time [^>]*>5 分钟前</time>", page), path


@only_sqlite
@pytest.mark.proves("A6", "P10")
def test_he_takes_his_own_call_back_which_closes_nothing_and_a_later_press_is_not_lost(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    first = press(team.own)
    path = f"{CALLS}/{first['alarm']}/cancel"
    other = somebody(station, "ge", Role.GRID_WORKER, GRID)
    other.post(path, {"called": first["called"]}, status=404)
    somebody(station, "home", Role.HOUSEHOLD, HOUSEHOLDS[0]).post(path, {"called": first["called"]}, status=403)
    hands.pass_(minutes=1)
    again = press(team.own, "press-number-2")
    stands = team.own.post(path, {"called": first["called"]})
    assert (stands["state"], stands["cancelled"]) == ("received", None)  # he pressed again since
    hands.pass_(minutes=1)
    at = iso_of(hands.now_ms)
    back, twice = (team.own.post(path, {"called": again["called"]}) for _ in range(2))
    assert back == twice
    assert (back["open"], back["state"], back["state_words"]["zh"]) == (
        True, "cancelled_by_household", "本人撤销·待核实",
    )  # fmt: skip
    assert back["cancelled"] == at.replace("+00:00", "Z")
    assert station.rows("SELECT count(*) FROM outgoing WHERE command_to IS NOT NULL") == [(0,)]
    shown = officer.get(f"/api/v1/alarms/{first['alarm']}")
    (step,) = [one for one in shown["steps"] if one["action"] == "cancel"]
    assert (step["officer"], step["words"]) == ("wang", {"zh": "本人撤销", "en": "taken back by whoever called"})
    assert (shown["state_words"]["en"], shown["cancelled"]) == (
        "taken back by whoever called, to be verified", back["cancelled"],
    )  # fmt: skip
    assert team.company.get(CALLS)["items"][0]["cancelled"] == back["cancelled"]
    account(station.station, "ma", (Role.DUTY_OFFICER, STATION))
    desk = Visitor(station)
    desk.sign_in("ma")
    for page in ("/desk", f"/alarms/{first['alarm']}", f"/api/v1/alarms/{first['alarm']}/sheet"):
        text = desk.get(page)
        assert "本人撤销" in text, page
        assert "住户撤销" not in text, page
    assert "求助人" in desk.get(f"/alarms/{first['alarm']}")
    next_ = account(station.station, "qian", (Role.DUTY_OFFICER, STATION))
    signed = {"Origin": ORIGIN, "X-CSRF-Token": csrf_of(desk.get("/me"))}
    handed = desk.client.post("/api/v1/duty/handovers", json={"taker": next_}, headers=signed).json()
    printed = desk.get(f"/api/v1/duty/handovers/{handed['number']}/sheet")
    assert "本人撤销·待核实" in printed
    assert "住户撤销" not in printed
    told = station.rows("SELECT body FROM outgoing")
    assert any("本人撤销·待核实" in str(body) for (body,) in told)
    assert not any("住户撤销" in str(body) for (body,) in told)
    needed = press(team.own, "press-number-3")
    assert needed["alarm"] != first["alarm"]  # and is not lost in what was taken back
    assert (needed["state"], needed["cancelled"]) == ("received", None)
    officer.post(f"/api/v1/alarms/{first['alarm']}/resolve", {"outcome": "false", "cause": "mistake"}, status=409)
