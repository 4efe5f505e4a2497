"""Who is on duty, whether anybody sits at the desk, and how one officer hands over to the next."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from api.accounts.models import Account, AccountGrant
from api.database import Database
from api.duty.rules import UNATTENDED_S, Attention, Leave, Shift, may_roster, on_duty, serves
from api.duty.schemas import NewHandover, NewLeave, NewShift
from api.duty.service import BadZone, DeskWatch, Duty, NotForDuty, NotYourSheet, OutsideRoster, desk_attended
from api.duty.service import on_duty as on_duty_in
from api.duty.sheets import OpenAlarm, OpenFault, Out, Sheet, Signed
from api.duty.sheets import page as printed
from api.etags import StaleVersion, etag
from api.ingest.models import Fault
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Grant, Principal, Role, rights
from api.settings import StationSettings
from tests.api.conftest import Served
from tests.api.peers import COMMUNITY, GRID, STATION, Gateway, eventually
from tests.api.people import somebody

ZONE = "Asia/Shanghai"
MONDAY = int(datetime(2026, 11, 23, 0, 0, tzinfo=UTC).timestamp() * 1_000)
"""08:00 on a Monday in Shanghai."""
HOUR = 3_600_000


def shift(account: str, **changed: object) -> Shift:
    values: dict[str, object] = {
        "account": account, "role": Role.GRID_WORKER, "area": "r1", "zone": ZONE, "from_ms": 0,
    }  # fmt: skip
    return Shift(**(values | changed))  # type: ignore[arg-type] # a test's dictionary


class TestRules:
    def test_a_shift_serves_on_its_days_and_hours_in_its_own_zone(self) -> None:
        days = shift("a", weekdays=frozenset({1}), starts_min=480, lasts_min=600)
        assert serves(days, MONDAY)
        assert not serves(days, MONDAY - 1)
        assert not serves(days, MONDAY + 10 * HOUR)
        assert not serves(days, MONDAY + 24 * HOUR)

    def test_a_night_shift_passes_midnight(self) -> None:
        night = shift("a", weekdays=frozenset({1}), starts_min=20 * 60, lasts_min=720)
        assert serves(night, MONDAY + 12 * HOUR)
        assert serves(night, MONDAY + 23 * HOUR)
        assert not serves(night, MONDAY + 24 * HOUR)
        assert not serves(night, MONDAY)  # Sunday's night would be needed for that

    def test_a_shift_is_good_from_a_moment_until_before_another(self) -> None:
        span = shift("a", from_ms=10, to_ms=20)
        assert [serves(span, at) for at in (9, 10, 19, 20)] == [False, True, True, False]

    def test_the_b_post_serves_only_while_the_a_post_is_away(self) -> None:
        posts = [shift("a"), shift("b", deputy_of="a"), shift("c", deputy_of="a", area="r2")]
        assert on_duty(posts, [], MONDAY) == ["a"]
        assert on_duty(posts, [Leave(account="a", from_ms=0, to_ms=MONDAY + 1)], MONDAY) == ["b"]
        assert on_duty(posts, [Leave(account="a", from_ms=0, to_ms=MONDAY)], MONDAY) == ["a"]

    def test_the_named_stand_in_goes_before_deputies_unless_he_is_away_as_well(self) -> None:
        posts = [shift("a"), shift("b", deputy_of="a")]
        leave = Leave(account="a", from_ms=0, to_ms=MONDAY + 1, stand_in="s")
        assert on_duty(posts, [leave], MONDAY) == ["s"]
        assert on_duty(posts, [leave, Leave(account="s", from_ms=0, to_ms=MONDAY + 1)], MONDAY) == ["b"]

    def test_everybody_away_is_nobody_on_duty(self) -> None:
        away = [Leave(account=one, from_ms=0, to_ms=MONDAY + 1) for one in ("a", "b")]
        assert on_duty([shift("a"), shift("b", deputy_of="a")], away, MONDAY) == []

    def test_a_community_keeps_the_roster_of_its_own_people_only(self) -> None:
        assert may_roster({Role.COMMUNITY}, Role.GRID_WORKER)
        assert may_roster({Role.COMMUNITY}, Role.GROUP_LEADER)
        assert not may_roster({Role.COMMUNITY}, Role.DUTY_OFFICER)
        assert may_roster({Role.COMMUNITY, Role.DUTY_LEADER}, Role.DUTY_OFFICER)
        assert not may_roster({Role.ADMINISTRATOR}, Role.HOUSEHOLD)
        assert not may_roster(set(), Role.GRID_WORKER)

    @pytest.mark.proves("A10", "N6")
    def test_a_desk_is_unattended_after_a_minute_in_which_it_was_not_heard(self) -> None:
        attention = Attention(began_s=0.0)
        assert not attention.look(0, now_s=UNATTENDED_S - 0.1)
        assert attention.look(0, now_s=UNATTENDED_S)
        assert not attention.look(1, now_s=UNATTENDED_S + 1)
        assert not attention.look(1, now_s=2 * UNATTENDED_S)
        assert attention.look(1, now_s=2 * UNATTENDED_S + 1)


class Stage:
    """A roster on real tables, with what is open said by the test."""

    def __init__(self, database: Database, settings: StationSettings) -> None:
        self.database = database
        self.now = MONDAY
        self.sheet = Sheet(alarms=(), faults=(), out=())
        self.moved: list[tuple[list[str], str, str]] = []
        register = Register(settings)
        register.begin(database)
        self.register = register
        with database.write() as session:
            for account, name in (
                ("wang", "王"),
                ("sun", "孙"),
                ("far", "远"),
                ("li", "李警官"),
                ("zhao", "<b>赵</b>"),
            ):
                session.add(Account(id=account, kind="person", name=name, state="active", made_ms=1))
            session.flush()
            for account, role, scope in (
                ("wang", Role.GRID_WORKER, COMMUNITY),
                ("sun", Role.GRID_WORKER, GRID),
                ("far", Role.GRID_WORKER, "elsewhere"),
                ("li", Role.DUTY_OFFICER, STATION),
                ("zhao", Role.OFFICER, COMMUNITY),
            ):
                session.add(AccountGrant(account=account, role=role.value, scope=scope, from_ms=1, given_ms=1))
        self.duty = Duty(
            register,
            clock=lambda: self.now,
            look=lambda _session: self.sheet,
            change_owner=lambda _session, alarms, giver, taker, _at: self.moved.append(([*alarms], giver, taker)),
        )

    def by(self, account: str, role: Role, scope: str, action: str = "duty.edit") -> Authority:
        principal = Principal(account=account, name=account, grants=(Grant(role=role, scope=scope),), via="token")
        return Authority(principal, action, rights().reach(principal, action, groups={}))

    def put_on(self, account: str, role: Role = Role.GRID_WORKER, area: str = GRID, **more: object) -> int:
        new = NewShift.model_validate({"account": account, "role": role, "area": area} | more)
        with self.database.write() as session:
            row = self.duty.put_on(session, self.by("chief", Role.DUTY_LEADER, STATION), new)
            assert row.number is not None
            return row.number

    def serving(self, role: Role = Role.GRID_WORKER, *areas: str) -> list[str]:
        with self.database.read() as session:
            return on_duty_in(session, role=role, areas=areas or (GRID, COMMUNITY, STATION), at_ms=self.now)


@pytest.fixture
def stage(database: Database, settings: StationSettings) -> Stage:
    return Stage(database, settings)


class TestRoster:
    @pytest.mark.proves("A8")
    def test_whoever_is_on_duty_for_an_area_around_is_found_with_his_deputy(self, stage: Stage) -> None:
        stage.put_on("wang")
        stage.put_on("sun", deputy_of="wang")
        stage.put_on("far", area="elsewhere")
        assert stage.serving() == ["wang"]
        with stage.database.write() as session:
            leave = NewLeave(account="wang", ends=datetime(2026, 11, 24, tzinfo=UTC))
            stage.duty.grant_leave(session, stage.by("chief", Role.DUTY_LEADER, STATION), leave)
        assert stage.serving() == ["sun"]
        stage.now += 24 * HOUR
        assert stage.serving() == ["wang"]

    @pytest.mark.proves("N4")
    def test_a_roster_gives_nobody_a_role_that_he_does_not_hold(self, stage: Stage) -> None:
        stage.put_on("wang", role=Role.DUTY_OFFICER, area=STATION)
        assert stage.serving(Role.DUTY_OFFICER) == []
        stage.put_on("wang")
        with stage.database.write() as session:
            grant = session.exec(select(AccountGrant).where(AccountGrant.account == "wang")).one()
            grant.to_ms = stage.now
        assert stage.serving() == []

    def test_the_same_line_twice_is_one_line(self, stage: Stage) -> None:
        begins = datetime(2026, 11, 23, tzinfo=UTC)
        assert stage.put_on("wang", begins=begins) == stage.put_on("wang", begins=begins)

    def test_an_ended_shift_still_says_who_served_before(self, stage: Stage) -> None:
        number = stage.put_on("wang")
        stage.now += HOUR
        with stage.database.write() as session:
            stage.duty.end(session, stage.by("chief", Role.DUTY_LEADER, STATION), number, at=None, if_match=etag(1))
        assert stage.serving() == []
        stage.now -= 1
        assert stage.serving() == ["wang"]

    def test_whoever_read_an_older_version_ends_nothing(self, stage: Stage) -> None:
        number = stage.put_on("wang")
        with stage.database.write() as session, pytest.raises(StaleVersion):
            stage.duty.end(session, stage.by("chief", Role.DUTY_LEADER, STATION), number, at=None, if_match=etag(7))

    @pytest.mark.proves("G5")
    def test_nobody_keeps_a_roster_outside_his_area_or_above_his_role(self, stage: Stage) -> None:
        new = NewShift(account="wang", role=Role.DUTY_OFFICER, area=COMMUNITY)
        with stage.database.write() as session:
            for by in (
                stage.by("c", Role.COMMUNITY, COMMUNITY),
                stage.by("x", Role.DUTY_LEADER, "elsewhere"),
                stage.by("x", Role.GRID_WORKER, GRID),
            ):
                with pytest.raises(OutsideRoster):
                    stage.duty.put_on(session, by, new)
            grid = NewShift(account="wang", role=Role.GRID_WORKER, area=GRID)
            stage.duty.put_on(session, stage.by("c", Role.COMMUNITY, COMMUNITY), grid)

    def test_a_shift_elsewhere_is_answered_like_one_that_is_not_there(self, stage: Stage) -> None:
        number = stage.put_on("wang")
        with stage.database.write() as session, pytest.raises(NotThere):
            stage.duty.end(session, stage.by("x", Role.DUTY_LEADER, "elsewhere"), number, at=None, if_match=etag(1))

    def test_a_zone_that_is_in_no_table_is_refused(self, stage: Stage) -> None:
        with pytest.raises(BadZone):
            stage.put_on("wang", zone="Asia/Nowhere")


class TestDesk:
    @pytest.mark.proves("A10")
    def test_a_desk_that_is_silent_for_a_minute_is_a_fault_until_it_speaks(self, stage: Stage) -> None:
        seconds, above = [0.0], list[int]()

        def watching() -> DeskWatch:
            return DeskWatch(
                stage.database,
                stage.register,
                above=lambda _session, now_ms: above.append(now_ms),
                clock=lambda: stage.now,
                monotonic_s=lambda: seconds[0],
            )

        def faults() -> list[tuple[str, bool]]:
            with stage.database.read() as session:
                return [(row.about, row.cleared_ms is None) for row in session.exec(select(Fault)).all()]

        by = stage.by("li", Role.DUTY_OFFICER, STATION, "duty.desk")
        watch = watching()
        watch.look()
        seconds[0] = 59.9
        assert not watch.look()
        assert faults() == []
        seconds[0] = 60.0
        assert watch.look()
        stage.now -= 365 * 24 * HOUR  # the wall clock is wrong: it changes nothing
        assert watch.look()
        assert faults() == [(STATION, True)]
        assert above == [MONDAY]  # told once
        watch = watching()  # the station starts anew: by itself that ends no fault, and raises none twice
        watch.look()
        assert faults() == [(STATION, True)]
        with stage.database.write() as session:
            stage.duty.beat(session, by, "front")
        assert not watch.look()
        assert faults() == [(STATION, False)]
        seconds[0] += 59.9
        assert not watch.look()
        seconds[0] += 0.1
        assert watch.look()
        assert faults()[-1] == (STATION, True)

    def test_an_attended_desk_is_one_heard_of_within_the_minute(self, stage: Stage) -> None:
        by = stage.by("li", Role.DUTY_OFFICER, STATION, "duty.desk")
        with stage.database.write() as session:
            stage.duty.beat(session, by, "front")
            assert desk_attended(session, STATION, stage.now + 59_999)
            assert not desk_attended(session, STATION, stage.now + 60_000)
            assert not desk_attended(session, "south", stage.now)

    def test_a_desk_tells_since_when_its_officer_has_it(self, stage: Stage) -> None:
        with stage.database.write() as session:
            for account in ("li", "li", "zhao"):
                stage.now += 1_000
                stage.duty.beat(session, stage.by(account, Role.DUTY_OFFICER, STATION, "duty.desk"), "front")
            desk = stage.duty.desks(session)[0]
            assert (desk.account, desk.since_ms, desk.beats) == ("zhao", MONDAY + 3_000, 3)


ALARM = OpenAlarm(id="a1", number=7, kind="panic", state="acknowledged", owner="li", received_ms=MONDAY)
OTHERS = OpenAlarm(id="a2", number=8, kind="duress", state="acknowledged", owner="sun", received_ms=MONDAY)


class TestHandingOver:
    def hand_over(self, stage: Stage, giver: str = "li", taker: str = "zhao") -> int:
        with stage.database.write() as session:
            new = NewHandover(taker=taker, note="东门锁坏 <script>")
            row = stage.duty.hand_over(session, stage.by(giver, Role.DUTY_OFFICER, STATION, "duty.handover"), new)
            assert row.number is not None
            return row.number

    def sign(self, stage: Stage, number: int, account: str, version: int) -> tuple[int, bool]:
        with stage.database.write() as session:
            by = stage.by(account, Role.DUTY_OFFICER, STATION, "duty.handover")
            row, signed = stage.duty.sign(session, by, number, if_match=etag(version))
            return row.version, signed

    @pytest.mark.proves("A7")
    def test_with_the_second_signature_the_givers_alarms_are_the_takers(self, stage: Stage) -> None:
        stage.sheet = Sheet(alarms=(ALARM, OTHERS), faults=(), out=())
        number = self.hand_over(stage)
        assert self.sign(stage, number, "li", 1) == (2, True)
        assert stage.moved == []
        assert self.sign(stage, number, "zhao", 2) == (3, True)
        assert stage.moved == [(["a1"], "li", "zhao")]
        assert self.sign(stage, number, "zhao", 3) == (3, True)  # once more changes nothing
        assert len(stage.moved) == 1

    def test_alarms_that_come_between_the_signatures_are_read_before_they_are_taken(self, stage: Stage) -> None:
        number = self.hand_over(stage)
        self.sign(stage, number, "li", 1)
        stage.sheet = Sheet(alarms=(ALARM,), faults=(), out=())
        assert self.sign(stage, number, "zhao", 2) == (3, False)
        with stage.database.read() as session:
            row = stage.duty.handover(session, number)
            assert (row.gave_ms, row.took_ms, row.done_ms) == (None, None, None)
            assert Sheet.read(row.sheet).alarms == (ALARM,)
        assert stage.moved == []

    def test_nobody_else_signs_and_nobody_signs_what_he_has_not_read(self, stage: Stage) -> None:
        number = self.hand_over(stage)
        with pytest.raises(NotYourSheet):
            self.sign(stage, number, "sun", 1)
        with pytest.raises(StaleVersion):
            self.sign(stage, number, "zhao", 5)
        with pytest.raises(NotYourSheet):
            self.hand_over(stage, taker="li")

    @pytest.mark.parametrize("taker", ["wang", "far", "nobody"])
    def test_only_somebody_who_may_be_on_duty_here_takes_over(self, stage: Stage, taker: str) -> None:
        """Else open alarms would be somebody's who cannot see them."""
        with pytest.raises(NotForDuty) as problem:
            self.hand_over(stage, taker=taker)
        assert problem.value.status == 422

    def test_asked_again_it_is_the_same_sheet_until_both_have_signed(self, stage: Stage) -> None:
        number = self.hand_over(stage)
        assert self.hand_over(stage) == number
        self.sign(stage, number, "li", 1)
        self.sign(stage, number, "zhao", 2)
        assert self.hand_over(stage) != number

    @pytest.mark.proves("F64")
    def test_the_printed_sheet_names_everything_and_trusts_nobodys_text(self, stage: Stage) -> None:
        stage.sheet = Sheet(
            alarms=(ALARM,),
            faults=(OpenFault(number=3, code="gateway_lost", about="g1", first_ms=MONDAY),),
            out=(Out(who="sun", alarm="a1", since_ms=MONDAY),),
        )
        number = self.hand_over(stage)
        self.sign(stage, number, "li", 1)
        with stage.database.read() as session:
            text = stage.duty.page(session, number, zone=ZoneInfo("Asia/Shanghai"))
        parts = ("紧急报警", "<td>签收</td>", "gateway_lost", "李警官", "2026-11-23 08:00", "未签", "A4")
        for part in (*parts, "&lt;b&gt;赵", "&lt;script&gt;"):
            assert part in text
        assert "<script" not in text


def test_on_paper_alarms_have_numbers_and_faults_have_words() -> None:
    sheet = Sheet(
        alarms=(ALARM,),
        faults=(
            OpenFault(number=3, code="line_lost", about="line1", first_ms=MONDAY),
            OpenFault(number=4, code="unattended", about="north", first_ms=MONDAY),
        ),
        out=(Out(who="li", alarm="a1", since_ms=MONDAY), Out(who="120", alarm="gone", since_ms=MONDAY)),
    )
    signed = Signed(
        number=1,
        station=STATION,
        giver="li",
        taker="zhao",
        note="",
        made_ms=MONDAY,
        gave_ms=None,
        took_ms=None,
        sheet=sheet,
    )
    names = {"li": "李警官", "north": "城北派出所"}
    text = printed(signed, names=names, state=lambda one: one.state, zone=ZoneInfo("Asia/Shanghai"))
    assert "<td>7</td><td>2" in text.split("在外人员")[1]
    assert "a1" not in text
    assert "line_lost" not in text
    assert "<td>城北派出所</td>" in text
    assert "<td>line1</td>" in text


class TestStation:
    @pytest.mark.proves("A7")
    def test_a_hand_over_moves_open_alarms_with_a_step_in_each(self, served: Served, gateway: Gateway) -> None:
        presses = gateway.presses(2)
        gateway.send(presses)
        eventually(lambda: len(served.alarms()) == 2, "two alarms")
        served.post(f"/api/v1/alarms/{presses[0].id}/acknowledge", officer="li")
        li, zhao = ({"Authorization": f"Bearer token-of-{name}"} for name in ("li", "zhao"))

        def asked(path: str, headers: dict[str, str], body: object = None, status: int = 200) -> Any:
            answer = served.client.post(f"/api/v1/duty{path}", json=body, headers=headers)
            assert answer.status_code == status, answer.text
            return answer.json()

        sheet = asked("/handovers", li, {"taker": "zhao", "note": "东门"}, 201)
        assert [(one["id"], one["state"], one["owner"]) for one in sheet["alarms"]] == [
            (presses[0].id, "acknowledged", "li"),
            (presses[1].id, "received", None),
        ]
        names = served.rows("SELECT id, name FROM account WHERE id IN ('li', 'zhao') ORDER BY id")
        assert [sheet["giver_name"], sheet["taker_name"]] == [name for _, name in names]
        assert sheet["alarms"][0]["owner_name"] == names[0][1]
        path = f"/handovers/{sheet['number']}/sign"
        asked(path, li | {"If-Match": '"1"'})
        asked(path, zhao | {"If-Match": '"1"'}, status=412)
        late = gateway.event()
        gateway.send([late])
        eventually(lambda: len(served.alarms()) == 3, "a third alarm")
        changed = asked(path, zhao | {"If-Match": '"2"'}, status=409)
        assert changed["type"] == "sheet_changed"
        for name, version in ((li, 3), (zhao, 4)):
            sheet = asked(path, name | {"If-Match": f'"{version}"'})
        assert sheet["done"] is not None
        assert len(sheet["alarms"]) == 3
        assert served.rows("SELECT owner FROM alarm WHERE id = ?", presses[0].id) == [("zhao",)]
        assert served.rows("SELECT owner FROM alarm WHERE id = ?", presses[1].id) == [(None,)]
        steps = served.rows("SELECT detail FROM alarm_step WHERE alarm = ? AND action = 'note'", presses[0].id)
        assert steps == [('{"handover_from": "li", "handover_to": "zhao"}',)]
        about = f"alarm:{presses[0].id}"
        assert served.rows("SELECT account FROM audit WHERE action = 'alarm.note' AND about = ?", about) == [("zhao",)]
        heard = served.rows("SELECT body FROM feed_entry WHERE about = ?", about)
        assert [json.loads(body)["action"] for (body,) in heard][-1] == "note"
        page = served.client.get(f"/api/v1/duty/handovers/{sheet['number']}/sheet", headers=li)
        assert page.headers["content-type"].startswith("text/html")
        assert "东门" in page.text
        assert "李警官" in page.text

    @pytest.mark.proves("N4")
    def test_a_sheet_names_duress_and_is_for_police_alone(self, served: Served) -> None:
        for role, scope in ((Role.GRID_WORKER, GRID), (Role.COMMUNITY, COMMUNITY), (Role.ADMINISTRATOR, "")):
            one = somebody(served, f"one-{role.value.replace('_', '-')}", role, scope)
            one.get("/api/v1/duty/handovers", status=403)
            one.post("/api/v1/duty/handovers", {"taker": "li"}, status=403)

    def test_a_roster_over_http(self, served: Served) -> None:
        chief = somebody(served, "chief", Role.DUTY_LEADER, STATION)
        worker = somebody(served, "wang", Role.GRID_WORKER, GRID)
        new = {"account": "wang", "role": "grid_worker", "area": GRID}
        worker.post("/api/v1/duty/roster", new, status=403)
        made = chief.post("/api/v1/duty/roster", new, status=201)
        assert made["role_words"]["zh"] == "网格员"
        assert worker.get("/api/v1/duty/now", role="grid_worker", area=GRID)["accounts"] == ["wang"]
        chief.post("/api/v1/duty/leaves", {"account": "wang", "ends": "2099-01-01T00:00:00Z"}, status=201)
        assert worker.get("/api/v1/duty/now", role="grid_worker", area=GRID)["accounts"] == []
        assert [one["account"] for one in worker.get("/api/v1/duty/roster")["items"]] == ["wang"]
        assert [one["account"] for one in worker.get("/api/v1/duty/leaves")["items"]] == ["wang"]
        worker.get("/api/v1/duty/now", role="grid_worker", area="elsewhere", status=404)
        bad = chief.post("/api/v1/duty/roster", new | {"weekdays": [8], "starts_min": -1}, status=422)
        assert len(bad["faults"]) == 2

    def test_moments_at_the_ends_of_the_calendar_are_refused(self, served: Served) -> None:
        chief = somebody(served, "chief", Role.DUTY_LEADER, STATION)
        new = {"account": "wang", "role": "grid_worker", "area": GRID}
        for when in ({"begins": "0001-01-01T00:00:00+14:00"}, {"ends": "9999-12-31T23:59:59-14:00"}):
            chief.post("/api/v1/duty/roster", new | when, status=422)
        chief.get("/api/v1/duty/roster", at="9999-12-31T23:59:59-14:00", status=422)
