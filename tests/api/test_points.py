"""The points ledger: booked with reason and evidence, appealed, reversed, replayed, closed; rules tried beforehand."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.points.facts import Fact, Happened, Happening
from api.points.recomputing import as_text, recompute
from api.points.rules import DEFAULT
from api.rights.rules import Role
from deploy.cli import app
from tests.api.conftest import Serve, Served, as_json, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody

POINTS = "/api/v1/points"
GUARDS = "/api/v1/guards"
RULES = DEFAULT.read_text(encoding="utf-8")
FAIRER = RULES.replace("version = 1", "version = 2").replace(
    'when = "missed"\npoints = -2', 'when = "missed"\npoints = -1'
)


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan", "dongmen")
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, STATION)


@pytest.fixture
def leader(station: Served) -> Somebody:
    return somebody(station, "tang", Role.DUTY_LEADER, STATION)


@pytest.fixture
def north(station: Served) -> Somebody:
    return somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")


@pytest.fixture
def east(station: Served) -> Somebody:
    return somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")


@pytest.fixture
def wang(station: Served, north: Somebody) -> Somebody:
    """A guard with an account."""
    return employed(station, north, "beiguan", "B001", "王一")


def employed(station: Served, by: Somebody, company: str, number: str, name: str) -> Somebody:
    account = somebody(station, f"acc-{number.lower()}", Role.GUARD, company)
    body = {"service_number": number, "name": name, "company": company, "account": account.id}
    id_ = by.post(GUARDS, body, status=201)["id"]
    return GuardSomebody(account.served, account.id, id_)


class GuardSomebody(Somebody):
    """A guard's account, and who he is."""

    def __init__(self, served: Served, id_: str, guard: str) -> None:
        super().__init__(served, id_)
        object.__setattr__(self, "guard", guard)


def guard_of(who: Somebody) -> str:
    guard: str = who.guard  # type: ignore[attr-defined] # put there by `employed`
    return guard


def a_round(who: Somebody, *happened: Happened, key: str = "round:1", company: str = "beiguan", **more: Any) -> Fact:
    found = tuple(Happening(what=what, item=f"{n}:gate", evidence=(f"checkin:{n}",)) for n, what in enumerate(happened))
    fact = Fact(
        key=key, guard=guard_of(who), company=company, area=STATION, occurred_ms=NOW - 3_600_000, happenings=found,
        duty=True, active=True,
    )  # fmt: skip
    return replace(fact, **more)


def note(station: Served, *facts: Fact) -> None:
    with station.station.database.write() as session:
        station.station.points.note_all(session, facts)


def entries(who: Somebody) -> list[tuple[str, int, str]]:
    items = who.get(f"{POINTS}/entries")["items"]
    return [(one["rule"], one["points_tenths"], one["state"]) for one in reversed(items)]


def agrees(station: Served) -> None:
    found = recompute(station.station.settings)
    assert found.agrees, as_text(found)


@pytest.mark.proves("P7")
def test_an_entry_says_by_which_rule_on_what_evidence_and_what_would_have_changed_it(
    station: Served, wang: Somebody
) -> None:
    note(station, a_round(wang, Happened.MISSED))
    (entry,) = wang.get(f"{POINTS}/entries")["items"]
    assert (entry["rule"], entry["version"], entry["points_tenths"], entry["state"]) == ("P04", 1, -20, "pending")
    assert entry["reason"] == {"zh": "巡查点gate漏巡", "en": "checkpoint gate was missed"}
    opened = wang.get(f"{POINTS}/entries/{entry['id']}")
    assert opened["evidence"] == ["checkin:0"]
    assert opened["rule"]["zh"].startswith("无故漏巡")
    assert "免扣" in opened["but"]["zh"]
    assert wang.get(f"{POINTS}/guards/{guard_of(wang)}")["pending_tenths"] == -20
    agrees(station)


@pytest.mark.proves("P7")
def test_an_appeal_that_is_upheld_reverses_the_entry_and_restores_the_balance(
    station: Served, wang: Somebody, officer: Somebody, hands: Hands
) -> None:
    note(station, a_round(wang, Happened.MISSED, Happened.LATE))
    missed, late = reversed(wang.get(f"{POINTS}/entries")["items"])
    said = {"words": "当时在处置警情"}
    assert wang.post(f"{POINTS}/entries/{missed['id']}/appeal", said)["entry"]["state"] == "appealed"
    assert wang.post(f"{POINTS}/entries/{missed['id']}/appeal", said, status=409)["type"] == "too_late"
    wang.post(f"{POINTS}/entries/{missed['id']}/decision", {"yes": True, "words": "同意"}, status=403)
    found = officer.post(f"{POINTS}/entries/{missed['id']}/decision", {"yes": True, "words": "属实"})
    assert (found["reversal"]["rule"], found["reversal"]["points_tenths"]) == ("A01", 20)
    assert [step["action"] for step in found["steps"]] == ["appealed", "upheld"]
    assert wang.get(f"{POINTS}/guards/{guard_of(wang)}")["points_tenths"] == -5
    hands.pass_(hours=73)
    assert wang.post(f"{POINTS}/entries/{late['id']}/appeal", said, status=409)["state"] == "final"
    note(station, a_round(wang, Happened.MISSED, Happened.LATE, night=True))  # judged anew: what was decided stays
    assert entries(wang) == [("P04", -20, "reversed"), ("P02", -5, "final"), ("A01", 20, "final")]
    agrees(station)


@pytest.mark.proves("P7")
def test_an_appeal_that_is_rejected_leaves_the_entry_and_another_one_cannot_follow(
    station: Served, wang: Somebody, north: Somebody, officer: Somebody
) -> None:
    note(station, a_round(wang, Happened.MISSED))
    (missed,) = north.get(f"{POINTS}/entries")["items"]
    north.post(f"{POINTS}/entries/{missed['id']}/appeal", {"words": "请复核"})
    officer.post(f"{POINTS}/entries/{missed['id']}/decision", {"yes": False, "words": "记录完整"})
    assert officer.post(f"{POINTS}/entries/{missed['id']}/decision", {"yes": True, "words": "x"}, status=409)
    assert wang.post(f"{POINTS}/entries/{missed['id']}/appeal", {"words": "再"}, status=409)["state"] == "final"
    agrees(station)


@pytest.mark.proves("P7")
def test_late_data_reverse_what_they_change_and_nothing_else(station: Served, wang: Somebody) -> None:
    note(station, a_round(wang, Happened.MISSED, Happened.LATE))
    better = a_round(wang, Happened.LATE)
    gone = replace(better, happenings=(Happening(what=Happened.LATE, item="1:gate", evidence=("checkin:1",)),))
    note(station, gone)
    note(station, gone)
    assert entries(wang) == [("P04", -20, "reversed"), ("P02", -5, "pending"), ("A03", 20, "final")]
    agrees(station)


@pytest.mark.proves("P7")
def test_what_turns_out_to_be_the_systems_fault_is_excused_by_itself(station: Served, wang: Somebody) -> None:
    note(station, a_round(wang, Happened.MISSED))
    by_fault = Happening(what=Happened.EXCUSED, item="0:gate", evidence=("fault:7",))
    note(station, replace(a_round(wang), happenings=(by_fault,)))
    (reversal, _) = wang.get(f"{POINTS}/entries")["items"]
    assert (reversal["rule"], reversal["points_tenths"]) == ("A02", 20)
    assert "fault:7" in wang.get(f"{POINTS}/entries/{reversal['id']}")["evidence"]
    agrees(station)


@pytest.mark.proves("P9")
def test_what_is_suspected_costs_nothing_until_an_officer_confirms_it_and_can_then_be_appealed(
    station: Served, wang: Somebody, officer: Somebody, leader: Somebody
) -> None:
    note(station, a_round(wang, Happened.TOO_FAST), a_round(wang, Happened.CLONED, key="suspicion:1"))
    assert entries(wang) == []
    cloned, fast = officer.get(f"{POINTS}/flags")["items"]
    wang.get(f"{POINTS}/flags", status=403)
    officer.post(f"{POINTS}/flags/{cloned['id']}/decision", {"yes": False, "words": "标签正常"})
    officer.post(f"{POINTS}/flags/{fast['id']}/decision", {"yes": True, "words": "录像核实"})
    officer.post(f"{POINTS}/flags/{fast['id']}/decision", {"yes": True, "words": "再"}, status=409)
    assert entries(wang) == [("P07", -30, "pending")]
    (entry,) = wang.get(f"{POINTS}/entries")["items"]
    assert entry["made_by"] == officer.id
    wang.post(f"{POINTS}/entries/{entry['id']}/appeal", {"words": "走近路"})
    decision = {"yes": True, "words": "确有近路"}
    assert officer.post(f"{POINTS}/entries/{entry['id']}/decision", decision, status=409)["type"] == "own_decision"
    leader.post(f"{POINTS}/entries/{entry['id']}/decision", decision)
    assert wang.get(f"{POINTS}/guards/{guard_of(wang)}")["points_tenths"] == 0
    note(station, a_round(wang))
    assert len(officer.get(f"{POINTS}/flags")["items"]) == 2
    agrees(station)


@pytest.mark.proves("P9")
def test_a_suspicion_that_late_data_explain_is_withdrawn(station: Served, wang: Somebody, officer: Somebody) -> None:
    note(station, a_round(wang, Happened.TOO_FAST))
    note(station, a_round(wang))
    assert [one["state"] for one in officer.get(f"{POINTS}/flags")["items"]] == ["withdrawn"]


@pytest.mark.proves("P7", "G5")
def test_a_guard_reads_his_own_entries_and_a_company_those_of_its_own_people(
    station: Served, wang: Somebody, north: Somebody, east: Somebody, officer: Somebody
) -> None:
    zhao = employed(station, east, "dongmen", "D001", "赵二")
    note(station, a_round(wang, Happened.MISSED), a_round(zhao, Happened.LATE, key="round:2", company="dongmen"))
    assert [rule for rule, _, _ in entries(wang)] == [rule for rule, _, _ in entries(north)] == ["P04"]
    assert [rule for rule, _, _ in entries(zhao)] == [rule for rule, _, _ in entries(east)] == ["P02"]
    assert len(entries(officer)) == 2
    (late,) = zhao.get(f"{POINTS}/entries")["items"]
    for other in (wang, north):
        other.get(f"{POINTS}/entries/{late['id']}", status=404)
        other.post(f"{POINTS}/entries/{late['id']}/appeal", {"words": "x"}, status=404)
        other.get(f"{POINTS}/guards/{guard_of(zhao)}", status=404)
        assert other.get(f"{POINTS}/entries?guard={guard_of(zhao)}")["items"] == []


@pytest.mark.proves("P7")
def test_a_merit_is_entered_once_and_a_cap_is_told_by_nothing_more_being_booked(
    station: Served, wang: Somebody, officer: Somebody
) -> None:
    merit = {"what": "incident", "guard": guard_of(wang), "reference": "J2027-001", "occurred": MOMENT.isoformat()}
    (entry,) = officer.post(f"{POINTS}/merits", merit, status=201)["items"]
    assert (entry["rule"], entry["points_tenths"], entry["state"]) == ("M02", 20, "final")
    assert officer.post(f"{POINTS}/merits", merit, status=409)["type"] == "already_paid"
    for number in range(7):
        told = merit | {"what": "information", "reference": f"X{number}"}
        found = officer.post(f"{POINTS}/merits", told, status=201)["items"]
        assert len(found) == (number < 6)
    assert (
        officer.post(f"{POINTS}/merits", merit | {"guard": "01a20124-9d1e-7dd3-acdc-c9a14d326c69"}, status=422)["type"]
        == "no_such_guard"
    )
    officer.post(f"{POINTS}/merits", merit | {"what": "complete"}, status=422)
    agrees(station)


@pytest.mark.proves("P7")
def test_whatever_is_changed_behind_the_stations_back_is_named(
    station: Served, wang: Somebody, leader: Somebody, hands: Hands
) -> None:
    note(station, a_round(wang, Happened.MISSED), a_round(wang, Happened.LATE, key="round:2"))
    hands.pass_(days=40)
    leader.post(f"{POINTS}/months/2027-01/closing", status=201)
    agrees(station)

    def after(sql: str) -> str:
        with station.station.database.write() as session:
            session.execute(text(sql))
        return as_text(recompute(station.station.settings))

    owner = f"guard:{guard_of(wang)}"
    assert f"{owner} 2027-01: balance is -2.5, recomputed -2.4" in after(
        "UPDATE points_entry SET points_tenths = -19 WHERE rule = 'P04'"
    )
    said = after("UPDATE points_balance SET points_tenths = -24")
    assert "worth is -1.9, recomputed -2.0" in said.splitlines()[1]
    assert "month 2027-01: digest is" in said
    after("UPDATE points_entry SET points_tenths = -20 WHERE rule = 'P04'")
    assert "everything agrees" in after("UPDATE points_balance SET points_tenths = -25")


@pytest.mark.proves("P7")
@only_sqlite
def test_the_command_says_by_its_exit_code_whether_the_ledger_agrees(
    station: Served, wang: Somebody, tmp_path: Path
) -> None:
    note(station, a_round(wang, Happened.MISSED))
    path = tmp_path / "settings.json"
    path.write_text(as_json(station.station.settings))
    asked = ["points", "recompute", "--settings", str(path)]
    found = CliRunner().invoke(app, asked)
    assert (found.exit_code, found.stdout.splitlines()[-1]) == (0, "everything agrees to the digit")
    with station.station.database.write() as session:
        session.execute(text("UPDATE points_balance SET points_tenths = 0"))
    found = CliRunner().invoke(app, [*asked, "--json"])
    (difference,) = json.loads(found.stdout)["differences"]
    assert (found.exit_code, difference["kept"], difference["recomputed"]) == (1, "0.0", "-2.0")
    assert CliRunner().invoke(app, ["points", "recompute", "--state", str(tmp_path / "no")]).exit_code == 2


@pytest.mark.proves("P7")
def test_a_month_is_closed_when_nothing_in_it_can_change_and_what_comes_later_is_in_a_later_account(
    station: Served, wang: Somebody, leader: Somebody, hands: Hands
) -> None:
    note(station, a_round(wang, Happened.MISSED))
    assert leader.post(f"{POINTS}/months/2027-01/closing", status=409)["type"] == "not_over"
    hands.pass_(days=20)
    note(station, a_round(wang, Happened.LATE, key="round:2", occurred_ms=NOW))
    assert leader.post(f"{POINTS}/months/2027-01/closing", status=409)["pending"] == 1
    hands.pass_(days=4)
    january = leader.post(f"{POINTS}/months/2027-01/closing", status=201)
    assert (january["entries"], january["points_tenths"]) == (2, -25)
    assert leader.post(f"{POINTS}/months/2027-01/closing", status=409)["type"] == "month_closed"
    note(station, a_round(wang))  # a wand that was found says that nothing was missed
    (late, *_) = wang.get(f"{POINTS}/entries")["items"]
    assert (late["rule"], late["month"], late["occurred"][:7]) == ("A03", "2027-02", "2027-01")
    hands.pass_(days=30)
    february = leader.post(f"{POINTS}/months/2027-02/closing", status=201)
    assert february["previous"] == january["digest"]
    agrees(station)


@pytest.mark.proves("P7")
@only_sqlite
def test_rules_are_tried_on_the_past_before_they_hold_and_then_only_for_what_is_to_come(
    station: Served, wang: Somebody, leader: Somebody, hands: Hands
) -> None:
    note(station, a_round(wang, Happened.MISSED), a_round(wang, Happened.LATE, key="round:2"))
    span = {"begins": "2027-01-01T00:00:00+08:00", "ends": "2027-02-01T00:00:00+08:00"}
    new = {"text": FAIRER, "month": "2027-02", "reason": "减轻漏巡扣分"}

    bad = leader.post(f"{POINTS}/rules/simulation", span | {"text": FAIRER.replace("= 72", "= 1")}, status=422)
    assert [one["where"] for one in bad["faults"]] == ["set.appeal_h"]
    headers = {"Authorization": f"Bearer token-of-{leader.id}", "If-Match": '"1"'}
    put = station.client.put(f"{POINTS}/rules", json=new, headers=headers)
    assert (put.status_code, put.json()["type"]) == (409, "not_simulated")
    found = leader.post(f"{POINTS}/rules/simulation", span | {"text": FAIRER})
    (changed,) = found["by_guard"]
    assert (changed["name"], changed["before_tenths"], changed["after_tenths"]) == (guard_of(wang), -25, -15)
    assert [one["name"] for one in found["by_rule"]] == ["P02", "P04"]
    put = station.client.put(f"{POINTS}/rules", json=new | {"month": "2027-01"}, headers=headers)
    assert put.json()["type"] == "not_this_month"
    assert station.client.put(f"{POINTS}/rules", json=new, headers=headers).status_code == 200
    assert station.client.put(f"{POINTS}/rules", json=new, headers=headers).status_code == 412
    assert wang.get(f"{POINTS}/rules")["version"] == 2
    assert wang.get(f"{POINTS}/guards/{guard_of(wang)}")["points_tenths"] == -25
    hands.pass_(days=25)
    note(station, a_round(wang, Happened.MISSED, key="round:3", occurred_ms=hands.now_ms))
    assert entries(wang)[-1] == ("P04", -10, "pending")
    agrees(station)


@pytest.mark.proves("G5")
@only_sqlite
def test_rules_and_months_are_for_whoever_leads_the_whole_station(station: Served) -> None:
    north = somebody(station, "song", Role.DUTY_LEADER, COMMUNITY)
    span = {"begins": "2027-01-01T00:00:00+08:00", "ends": "2027-02-01T00:00:00+08:00"}
    north.post(f"{POINTS}/rules/simulation", span | {"text": RULES}, status=403)
    north.post(f"{POINTS}/months/2026-12/closing", status=403)


def walked(who: Somebody, n: int, *happened: Happened, company: str = "beiguan") -> list[Fact]:
    return [a_round(who, *happened, key=f"round:{company}:{number}", company=company) for number in range(n)]


@pytest.mark.proves("P8", "G5")
@only_sqlite
def test_a_company_sees_its_own_people_in_the_ranking_and_among_how_many(
    station: Served, wang: Somebody, north: Somebody, east: Somebody, officer: Somebody
) -> None:
    zhao = employed(station, east, "dongmen", "D001", "赵二")
    note(station, *walked(wang, 6, Happened.COMPLETE), *walked(zhao, 6, Happened.LATE, company="dongmen"))
    asked = f"{POINTS}/ranking/{STATION}?day=2027-01-15"
    whole = officer.get(asked)
    assert [(row["guard"], row["place"]) for row in whole["rows"]] == [(guard_of(wang), 1), (guard_of(zhao), 2)]
    assert whole["rows"][0]["words"]["zh"].startswith("6班每班1.00分")
    for who, guard, place in ((east, zhao, 2), (zhao, zhao, 2), (north, wang, 1), (wang, wang, 1)):
        seen = who.get(asked)
        assert [(row["guard"], row["place"]) for row in seen["rows"]] == [(guard_of(guard), place)]
        assert seen["ranked"] == 2
    assert "赵二" not in str(whole)
    assert wang.get(f"{POINTS}/guards/{guard_of(wang)}/grade")["grade"] == "A"
    wang.get(f"{POINTS}/guards/{guard_of(zhao)}/grade", status=404)


@pytest.mark.proves("P8")
@only_sqlite
def test_a_company_has_its_grade_on_one_page_with_the_share_that_took_part(
    station: Served, wang: Somebody, north: Somebody, east: Somebody, hands: Hands
) -> None:
    officer = somebody(station, "xu", Role.OFFICER, STATION)
    for number in range(3):
        employed(station, north, "beiguan", f"B10{number}", "某")
    note(station, a_round(wang, Happened.MISSED, Happened.MISSED))
    hands.pass_(hours=73)
    found = north.get(f"{POINTS}/companies/beiguan/grade?day=2027-01-15")
    assert (found["guards"], found["active"], found["share"], found["share_met"]) == (4, 1, 25, False)
    assert (found["left_tenths"], found["grade"], found["checks_a_month"]) == (110, "B", 2)
    east.get(f"{POINTS}/companies/beiguan/grade?day=2027-01-15", status=404)
    officer.get(f"{POINTS}/companies/nobodys/grade?day=2027-01-15", status=404)
    assert officer.get(f"{POINTS}/areas/{STATION}/grade")["left_tenths"] == 80


@pytest.mark.proves("P7")
def test_facts_that_are_heard_one_by_one_and_put_right_leave_the_ledger_as_the_facts_are(
    station: Served, wang: Somebody
) -> None:
    draws = Random(7)
    words = [Happened.COMPLETE, Happened.LATE, Happened.MISSED, Happened.TOO_FAST, Happened.WRONG_ORDER]
    for _ in range(60):
        key = f"round:{draws.randrange(40)}"
        happened = draws.sample(words, draws.randrange(3))
        note(station, a_round(wang, *happened, key=key, occurred_ms=NOW - draws.randrange(40) * 86_400_000))
    agrees(station)
    rules = Counter(rule for rule, _, state in entries(wang) if state != "reversed")
    assert rules["P01"]
    assert rules["A03"]


@pytest.mark.proves("P8")
@only_sqlite
def test_reports_say_the_same_in_every_form_and_a_companys_has_its_own_people_alone(
    station: Served, wang: Somebody, east: Somebody, north: Somebody, officer: Somebody
) -> None:
    zhao = employed(station, east, "dongmen", "D001", "赵二")
    note(station, *walked(wang, 2, Happened.MISSED), *walked(zhao, 1, Happened.COMPLETE, company="dongmen"))
    asked = ""
    for period in ("day", "week", "month"):
        asked = f"{POINTS}/reports/{STATION}?day=2027-01-15&period={period}"
        whole = officer.get(asked)
        assert {one["name"]: (one["earned"], one["lost"]) for one in whole["companies"]} == {
            "beiguan": (0, -40), "dongmen": (10, 0)
        }  # fmt: skip
        assert [one["name"] for one in north.get(asked)["guards"]] == [guard_of(wang)]
    assert f"{guard_of(wang)},beiguan,0.0,'-4.0" in officer.get(f"{asked}&format=csv").content.decode()
    assert officer.get(f"{asked}&format=xlsx").content[:2] == b"PK"
    page = officer.get(f"{asked}&format=html").text
    assert "积分统计" in page
    assert "-4.0" in page
    wang.get(asked, status=403)


@pytest.mark.proves("P8")
@only_sqlite
def test_the_draft_of_the_daily_comment_cites_what_it_says_and_is_the_stations(
    station: Served, wang: Somebody, officer: Somebody, north: Somebody
) -> None:
    note(station, a_round(wang, Happened.MISSED), a_round(wang, Happened.COMPLETE, key="round:2"))
    asked = f"{POINTS}/comments/{STATION}?day=2027-01-15"
    said = officer.get(asked)["sentences"]
    assert [one["words"]["zh"] for one in said] == ["当日应巡2人次", "1人次全程按时到位", "漏巡1处，须查明原因"]
    assert said[2]["cites"] == ["round:1"]
    assert officer.get(f"{POINTS}/comments/{STATION}?day=2027-01-14")["sentences"] == []
    north.get(asked, status=403)
