"""Long works: begun, looked at, left, come back to, given up, broken off; and what came of them for whom."""

import json
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import pytest

from api.leases.service import this_process
from api.points.aside import RecomputingFailed, recompute_aside
from api.points.facts import Happened
from api.rights.rules import Role
from api.works import rules
from api.works.doing import GONE_MS, Doing, Outcome, Task
from api.works.kinds import kinds
from api.works.models import LongWork
from api.works.rules import Kind, left_s, thousandths
from api.works.service import UNFINISHED_MOST
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, DEADLINE_S, STATION, eventually
from tests.api.people import Somebody, somebody
from tests.api.test_points import a_round, employed, guard_of, note
from tests.api.test_register_import import NEW, village, workbook

WORKS: Final = "/api/v1/works"


class Officer(Somebody):
    """Somebody who asks for long works."""

    def begin(self, path: str, *, status: int = 202, data: bytes | None = None, **query: Any) -> Any:
        more: dict[str, Any] = {"json": query or None} if data is None else {"content": data, "params": query}
        return self.ask("POST", f"{WORKS}/{path}", status=status, **more)

    def work(self, begun: Any) -> Any:
        return self.get(f"{WORKS}/{begun['id']}")

    def ended(self, begun: Any, state: str = "done") -> Any:
        eventually(lambda: self.work(begun)["state"] not in {"waiting", "running"}, "an end")
        found = self.work(begun)
        assert found["state"] == state, found
        return found

    def until(self, begun: Any, state: str) -> Any:
        eventually(lambda: self.work(begun)["state"] == state, state)
        return self.work(begun)


def officer(served: Served, id_: str, role: Role = Role.DUTY_LEADER, scope: str = STATION) -> Officer:
    return Officer(served, somebody(served, id_, role, scope).id)


class Held:
    """A kind of work that goes on until the test lets it, and says how far it is when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go, self.steps = threading.Event(), threading.Event(), 0

    def __call__(self, task: Task) -> Outcome:
        self.begun.set()
        while not self.go.wait(0.01):
            self.steps += 1
            task.tell("judging", 50, 100)
        return Outcome(result={"agrees": True, "entries": 0, "owners": 0, "months": 0, "points_tenths": 0, "wrong": 0,
                               "differences": []})  # fmt: skip


def hold(served: Served) -> Held:
    served.station.doing.do[Kind.POINTS] = held = Held()
    return held


class TestRules:
    def test_parts_add_up_to_the_whole_and_never_to_more(self) -> None:
        for kind, parts in rules.PHASES.items():
            assert sum(weight for _, weight in parts) == rules.WHOLE
            assert thousandths(kind, parts[0][0], 0, 0) == 0
            assert thousandths(kind, parts[-1][0], 9, 7) == rules.WHOLE
            assert {name for name, _ in parts} <= rules.PHASE_WORDS.keys()
        assert thousandths(Kind.POINTS, "judging", 50, 100) == 400 + 275

    def test_how_long_it_will_take_is_said_once_it_is_known(self) -> None:
        assert left_s(0, 999, 500) is None
        assert left_s(0, 20_000, 10) is None
        assert (left_s(0, 3_000, 250), left_s(0, 3_000, 999), left_s(0, 3_000, 1_000)) == (9, 1, 0)


class TestImports:
    @pytest.mark.proves("G1")
    def test_a_trial_is_a_report_that_is_taken_once_and_nothing_of_the_file_stays(self, served: Served) -> None:
        zhao = officer(served, "leader")
        begun = zhao.begin("imports", data=NEW, name="新户.xlsx")
        found = zhao.ended(begun)
        assert (found["sent"], found["part"], found["report"]["wrong"], found["may_take"]) == (
            "新户.xlsx",
            1000,
            0,
            True,
        )
        assert found["report"]["dry_run"]
        assert served.station.register.place("n01") is None
        taken = zhao.ended(zhao.begin(f"{found['id']}/take"))
        assert (taken["kind"], taken["report"]["applied"], taken["report"]["added"]) == ("import", True, 8)
        assert taken["report"]["version"] == served.station.register.version
        assert served.station.register.place("n01")
        assert served.rows("SELECT count(*) FROM long_work_file") == [(0,)]
        assert (zhao.work(begun)["may_take"], zhao.work(begun)["report"]["added"]) == (False, 8)
        zhao.begin(f"{found['id']}/take", status=409)
        same = zhao.ended(zhao.begin("imports", data=NEW))
        assert (same["may_take"], same["report"]["unchanged"] > 0) == (False, True)
        actions = [row[0] for row in served.rows("SELECT action FROM audit WHERE account = 'leader' ORDER BY seq")]
        assert actions.count("work.begin") == 3
        assert actions.count("register.import") == 1

    @only_sqlite
    def test_what_cannot_be_taken_says_why_in_both_languages_and_can_be_tried_again(self, served: Served) -> None:
        zhao = officer(served, "leader")
        assert zhao.ended(zhao.begin("imports", data=b"nothing"), "failed")["why"]["zh"] == "不是 XLSX 文件"
        wrong = zhao.ended(zhao.begin("imports", data=workbook(places=[["id", "联防组"], ["n01", "nowhere"]])))
        assert (wrong["report"]["wrong"] > 0, wrong["may_take"], wrong["may_again"]) == (True, False, False)
        trial = zhao.ended(zhao.begin("imports", data=village(1)))
        with served.station.registrar.edit("li") as edit:
            edit.rename("nobody", "")  # a new version of the register
        stale = zhao.ended(zhao.begin(f"{trial['id']}/take"), "failed")
        assert ("重新试算" in stale["why"]["zh"], stale["report"], stale["may_again"]) == (True, None, True)
        again = zhao.ended(zhao.begin(f"{stale['id']}/again"))
        assert (again["kind"], again["may_take"]) == ("import_trial", True)
        assert zhao.ended(zhao.begin(f"{again['id']}/take"))["report"]["applied"]
        zhao.begin(f"{stale['id']}/again", status=409)  # its file was taken
        zhao.begin("imports", data=b"", sheet="nothing", status=422)
        Officer(served, "li").begin("imports", data=NEW, status=403)
        officer(served, "gridded", Role.DUTY_OFFICER, "gr1").begin("imports", data=NEW, status=403)


class TestWaiting:
    @pytest.mark.proves("N3")
    def test_it_says_how_far_it_is_small_ones_pass_it_and_giving_up_keeps_nothing(self, served: Served) -> None:
        leader, other, held = officer(served, "leader"), officer(served, "other"), hold(served)
        begun = leader.begin("points")
        assert leader.begin("points")["id"] == begun["id"]  # who asks twice has one
        second = other.begin("points")
        assert held.begun.wait(DEADLINE_S)
        eventually(lambda: leader.work(begun)["part"] == 675, "half judged")
        now = leader.work(begun)
        assert (now["phase"]["zh"], now["done"], now["total"], now["file"], now["recomputed"]) == (
            "核对规则", 50, 100, None, None,
        )  # fmt: skip
        assert other.work(second)["before"] == 1
        assert other.ended(other.begin("imports", data=NEW))["report"]["wrong"] == 0  # meanwhile
        assert other.post(f"{WORKS}/{second['id']}/give-up")["state"] == "given_up"
        leader.post(f"{WORKS}/{begun['id']}/give-up")
        gone = leader.ended(begun, "given_up")
        assert (gone["recomputed"], gone["may_again"], gone["why"]) == (None, True, None)
        assert leader.post(f"{WORKS}/{begun['id']}/give-up")["ended"] == gone["ended"]
        held.go.set()
        assert leader.ended(leader.begin(f"{begun['id']}/again"))["recomputed"]["agrees"]

    @only_sqlite
    def test_nobody_asks_for_more_than_he_can_wait_for(self, served: Served) -> None:
        leader, held = officer(served, "leader"), hold(served)
        days = [f"2026-11-{day:02}" for day in range(1, UNFINISHED_MOST + 1)]
        leader.begin("points")
        assert held.begun.wait(DEADLINE_S)
        begun = [leader.begin("reports", report="alarms", area=STATION, day=day) for day in days[:-1]]
        assert leader.begin("reports", report="alarms", area=STATION, day=days[-1], status=429)["most"] == 5
        held.go.set()
        assert {leader.ended(one)["state"] for one in begun} == {"done"}

    @only_sqlite
    def test_a_station_that_is_started_again_says_what_it_broke_off(self, serve: Serve) -> None:
        with serve(wait=False) as served:
            leader, held = officer(served, "leader"), hold(served)
            running = leader.begin("points")
            waiting = leader.begin("reports", report="alarms", area=STATION, day="2026-11-22")
            assert held.begun.wait(DEADLINE_S)
        with serve(wait=False) as served:
            leader = Officer(served, "leader")
            broken = leader.work(running)
            assert (broken["state"], broken["may_again"]) == ("broken", True)
            assert "没有保留" in broken["why"]["zh"]
            leader.ended(waiting)  # had not begun, and loses nothing
            hold(served).go.set()
            assert leader.ended(leader.begin(f"{running['id']}/again"))["recomputed"]["agrees"]
            with served.station.database.write() as session:  # as a power cut leaves it
                session.add(LongWork(
                    station=STATION, id="01a20124-9d1e-7dd3-acdc-000000000001", by="leader", kind="points", asked="{}",
                    same="", heavy=True, made_ms=1, begun_ms=1, beat_ms=1, state="running", holder=this_process(),
                ))  # fmt: skip
        with serve(wait=False) as served:
            assert Officer(served, "leader").work({"id": "01a20124-9d1e-7dd3-acdc-000000000001"})["state"] == "broken"

    def test_of_several_processes_one_does_it_all_show_it_and_one_that_is_gone_is_missed(self, served: Served) -> None:
        """Two more processes of the station, as far as works go."""
        station, leader, held = served.station, officer(served, "leader"), hold(served)
        now = [station.clock()]
        gone = this_process().rpartition("/")[0] + "/1"  # began at another time: a process that has ended

        def another(holder: str) -> Doing:
            return Doing(station.database, station.long_works, {Kind.POINTS: held}, station=STATION, holder=holder,
                         clock=lambda: now[0])  # fmt: skip

        begun = leader.begin("points")
        assert held.begun.wait(DEADLINE_S)
        one, other = another(gone), another("elsewhere/1/1/1")
        if station.database.shared:
            one.look(now[0])
            other.look(now[0])
            assert leader.work(begun)["state"] == "running"  # somebody's who is alive
            station.doing.look(now[0] + GONE_MS)
            other.look(now[0] + GONE_MS + 1)
            assert leader.work(begun)["state"] == "running"
        held.go.set()
        assert leader.ended(begun)["part"] == 1000
        station.doing.stop()
        second = leader.begin("points")
        one.start()
        assert leader.ended(second)["state"] == "done"
        one.stop()
        held.go.clear()
        held.begun.clear()
        third = leader.begin("points")
        one = another(gone)
        one.start()
        assert held.begun.wait(DEADLINE_S)
        station.doing.look(now[0])  # it is known that this process has ended
        assert leader.ended(third, "broken")["why"]["en"].startswith("the station was started again")
        eventually(lambda: not any(lane.number for lane in one._lanes), "that it noticed itself")
        held.go.set()
        one.stop()
        assert leader.work(third)["state"] == "broken"


class TestPoints:
    @only_sqlite
    @pytest.mark.proves("P7")
    def test_points_are_recomputed_by_a_process_of_their_own(self, served: Served) -> None:
        leader, station = officer(served, "leader"), served.station
        with station.registrar.edit("li") as edit:
            edit.put_company("beiguan", name="北关保安", code=None, if_match=None)
        wang = employed(served, officer(served, "north", Role.GUARD_COMPANY, "beiguan"), "beiguan", "B001", "王一")
        note(served, a_round(wang, Happened.MISSED))
        found = leader.ended(leader.begin("points"))["recomputed"]
        assert (found["agrees"], found["entries"], found["wrong"]) == (True, 1, 0)
        with station.database.write() as session:
            session.connection().exec_driver_sql("UPDATE points_balance SET points_tenths = points_tenths + 1")
        found = leader.ended(leader.begin("points"))["recomputed"]
        assert (found["agrees"], found["wrong"]) == (False, 1)
        assert found["differences"][0]["what"] == "balance"
        assert guard_of(wang) in found["differences"][0]["about"]

        def enough(*_: object) -> None:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            recompute_aside(station.settings.database, station=STATION, zone=station.settings.zone, tell=enough)
        with pytest.raises(RecomputingFailed):
            recompute_aside("sqlite:////nowhere/at/all.db", station=STATION, zone=station.settings.zone,
                            tell=lambda *_: None)  # fmt: skip


class TestReading:
    @only_sqlite
    @pytest.mark.proves("G5")
    def test_what_came_of_it_is_for_whoever_asked_as_long_as_he_may_read_it(self, served: Served) -> None:
        leader, other = officer(served, "leader"), officer(served, "other")
        admin, worker = officer(served, "admin", Role.ADMINISTRATOR, ""), officer(served, "worker", Role.GRID_WORKER)
        asked: dict[str, Any] = {"area": STATION, "day": "2026-11-22", "period": "year", "format": "csv"}
        alarms = leader.ended(leader.begin("reports", report="alarms", **asked))
        cards = leader.ended(leader.begin("reports", report="cards", whose="community", **asked))
        points = leader.ended(leader.begin("points-reports", **asked))
        assert alarms["file"]["name"] == f"alarms-{STATION}-year-2026-11-22.csv"
        for one, path in (
            (alarms, f"/api/v1/reports/{STATION}/alarms"),
            (cards, f"/api/v1/reports/{STATION}/cards"),
            (points, f"/api/v1/points/reports/{STATION}"),
        ):
            file = leader.ask("GET", f"{WORKS}/{one['id']}/file", status=200)
            assert file.headers["content-disposition"].startswith("attachment; filename=")
            assert file.content == leader.ask("GET", path, status=200, params={**asked, "whose": "community"}).content
            assert len(file.content) == one["file"]["octets"]
        trial = leader.ended(leader.begin("imports", data=NEW))

        other.get(f"{WORKS}/{alarms['id']}", status=404)
        other.ask("GET", f"{WORKS}/{alarms['id']}/file", status=404)
        assert other.get(WORKS, everybody=True)["items"] == []
        assert (admin.work(alarms)["file"], admin.work(alarms)["by_name"]) == (None, "某leader")
        assert admin.ask("GET", f"{WORKS}/{alarms['id']}/file", status=404)["type"] == "no_file"
        assert admin.work(trial)["report"]["added"] == 8  # the register is all his
        assert admin.get(WORKS)["items"] == []
        listed = admin.get(WORKS, everybody=True, limit=3)
        assert [one["id"] for one in listed["items"]] == [trial["id"], points["id"], cards["id"]]
        assert [one["id"] for one in admin.get(WORKS, everybody=True, after=listed["next"])["items"]] == [alarms["id"]]
        worker.begin("points", status=403)
        worker.begin("reports", report="alarms", area="nowhere", day="2026-11-22", status=404)
        leader.begin("points-reports", area="nowhere", day="2026-11-22", status=404)

        with served.station.database.write() as session:  # he is a community worker now: with other eyes
            session.connection().exec_driver_sql("UPDATE account_grant SET role = 'community' WHERE account = 'leader'")
        assert leader.work(alarms)["file"] is None
        assert leader.ask("GET", f"{WORKS}/{alarms['id']}/file", status=404)["type"] == "no_file"

    @only_sqlite
    @pytest.mark.proves("G4", "G5")
    def test_a_year_says_what_its_parts_say_and_points_to_those_who_may_read_them(self, served: Served) -> None:
        leader, company = officer(served, "leader"), officer(served, "north", Role.GUARD_COMPANY, "beiguan")
        with served.station.registrar.edit("li") as edit:
            edit.put_company("beiguan", name="北关保安", code=None, if_match=None)
        wang = employed(served, company, "beiguan", "B001", "王一")
        note(served, a_round(wang, Happened.MISSED, occurred_ms=served.station.clock()))
        day = str(datetime.fromtimestamp(served.station.clock() / 1_000, served.station.settings.zone).date())
        asked: dict[str, Any] = {"area": STATION, "day": day}
        begun = leader.ended(leader.begin("year-reports", **asked))
        found = leader.get(f"{WORKS}/{begun['id']}/file")
        path = f"/api/v1/reports/{STATION}"
        assert found["alarms"] | {"as_of": ""} == leader.get(f"{path}/alarms", **asked, period="year") | {"as_of": ""}
        assert set(found["cards"]) == {"grid", "community", "station"}
        for whose, cards in found["cards"].items():
            assert cards == leader.get(f"{path}/cards", **asked, period="year", whose=whose)["cards"]
        (guard,) = leader.get(f"/api/v1/points/reports/{STATION}", **asked)["guards"]
        assert len(found["points"]) == int(day[5:7])  # months to come are not on it
        assert found["points"][-1] == {"month": f"{day[:7]}-01"} | {
            name: guard[name] for name in ("earned", "lost", "reversed", "total")
        }
        assert guard["lost"]

        sun = officer(served, "sun", Role.COMMUNITY, COMMUNITY)
        sun.begin("year-reports", **asked, status=404)
        of_sun = sun.ended(sun.begin("year-reports", area=COMMUNITY, day=day))
        chen = officer(served, "chen", Role.COMMUNITY, COMMUNITY)  # of the same role and area: yet it is not his
        for other in (leader, chen):
            assert other.ask("GET", f"{WORKS}/{of_sun['id']}/file", status=404)["type"] == "not_there"
        company.begin("year-reports", **asked, status=403)
        with served.station.database.write() as session:
            session.connection().exec_driver_sql("UPDATE account_grant SET to_ms = 2 WHERE account = 'sun'")
        sun.ask("GET", f"{WORKS}/{of_sun['id']}/file", status=403)  # his role ended since

    @only_sqlite
    @pytest.mark.proves("G5")
    def test_an_export_is_recorded_with_its_reason_and_nobody_elses(self, served: Served) -> None:
        one, other = officer(served, "one"), officer(served, "other")
        admin = officer(served, "admin", Role.ADMINISTRATOR, "")
        asked: dict[str, Any] = {"format": "toml", "reason": "年度核对"}
        made: Any = None
        for form, sheet in (("xlsx", None), ("csv", "places"), ("toml", None)):
            made = one.ended(one.begin("exports", format=form, sheet=sheet, reason="年度核对"))
            file = one.ask("GET", f"{WORKS}/{made['id']}/file", status=200)
            query = {"format": form, "reason": "核对一下"} | ({"sheet": sheet} if sheet else {})
            assert file.content == one.ask("GET", "/api/v1/register/export", status=200, params=query).content
            assert file.headers["content-disposition"] == f'attachment; filename="{made["sent"]}"'
            assert made["sent"].startswith("register")
            assert made["part"] == 1000
        said = served.rows(
            "SELECT words FROM audit JOIN audit_words USING (seq) WHERE action = 'register.export' AND account = 'one'"
        )
        assert [json.loads(words)["reason"] for (words,) in said] == ["年度核对", "核对一下"] * 3
        assert other.ask("GET", f"{WORKS}/{made['id']}/file", status=404)["type"] == "not_there"
        assert admin.work(made)["file"] is None  # he sees that it was asked for, and gets nothing
        assert admin.ask("GET", f"{WORKS}/{made['id']}/file", status=404)["type"] == "no_file"
        assert one.begin("exports", **asked | {"reason": " x "}, status=422)["type"] == "needs_reason"
        assert one.begin("exports", format="csv", reason="年度核对", status=422)["type"] == "file_refused"
        one.begin("exports", format="pdf", reason="年度核对", status=422)
        officer(served, "sun", Role.COMMUNITY, COMMUNITY).begin("exports", **asked, status=403)
        officer(served, "gridded", Role.DUTY_OFFICER, "gr1").begin("exports", **asked, status=403)

    @only_sqlite
    @pytest.mark.proves("N16")
    def test_after_a_day_nothing_of_it_is_there_any_more(self, served: Served) -> None:
        leader = officer(served, "leader")
        leader.ended(leader.begin("reports", report="alarms", area=STATION, day="2026-11-22"))
        trial = leader.ended(leader.begin("imports", data=NEW))
        served.station.privacy.retain(served.station.clock() + rules.KEPT_MS - 60_000)
        assert leader.work(trial)["may_take"]
        served.station.privacy.retain(served.station.clock() + rules.KEPT_MS)
        assert served.rows("SELECT (SELECT count(*) FROM long_work), (SELECT count(*) FROM long_work_file)") == [(0, 0)]
        assert leader.get(WORKS)["items"] == []

    @only_sqlite
    def test_it_is_done_in_the_name_of_whoever_asked_as_far_as_he_reaches_then(self, served: Served) -> None:
        leader, held = officer(served, "leader"), hold(served)
        leader.begin("points")
        assert held.begun.wait(DEADLINE_S)
        report = leader.begin("reports", report="alarms", area=STATION, day="2026-11-22")
        with served.station.database.write() as session:
            session.connection().exec_driver_sql("UPDATE account_grant SET to_ms = 2 WHERE account = 'leader'")
        held.go.set()
        rows: Callable[[], Any] = lambda: served.rows(f"SELECT state, why FROM long_work WHERE id = '{report['id']}'")  # noqa: E731, S608
        eventually(lambda: rows() == [("failed", "may_not")], "that he may not")


def test_every_kind_is_done_and_has_its_words(served: Served) -> None:
    station = served.station
    done = kinds(station.settings, station.database, station.register, takes=station.takes, reports=station.reports,
                 standings=station.standings, clock=station.clock)  # fmt: skip
    assert set(done) == set(Kind) == set(rules.ACTIONS) == set(rules.KIND_WORDS) == set(rules.PHASES)
